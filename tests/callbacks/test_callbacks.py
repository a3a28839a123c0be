"""Callbacks make the same decisions as Keras's; also interruptions and the progress display."""

import csv
import http.server
import io
import json
import os
import re
import signal
import threading
import urllib.parse
import warnings

import keras
import numpy as np
import pytest

import hornbeam as hb

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword"
)

X = np.random.RandomState(0).randn(12, 3).astype("float32")
Y = X[:, :1].copy()
LOSSES = [1.0, 0.8, 0.9, 0.79, 0.795, 0.9, 0.85, 0.2, 0.3, 0.31, 0.32, 0.4]
ACCURACIES = [0.1, 0.5, 0.4, 0.5, 0.6, 0.3, 0.2, 0.6, 0.61, 0.1, 0.1, 0.1]


def network(k):
    model = k.Sequential([k.Input((3,)), k.layers.Dense(1)])
    model.compile(k.optimizers.SGD(0.1), "mse", metrics=["mae"])
    return model


# Maps each name to a recipe `(callbacks, folder) -> callback`.
WATCHING = {
    "stop": lambda c: c.EarlyStopping(patience=2),
    "stop_at_once": lambda c: c.EarlyStopping(patience=0),
    "stop_min_delta": lambda c: c.EarlyStopping(
        patience=2, min_delta=0.05, monitor="val_loss", mode="min"
    ),
    "stop_auto_max": lambda c: c.EarlyStopping(patience=3, monitor="val_accuracy", mode="max"),
    "stop_baseline": lambda c: c.EarlyStopping(patience=3, baseline=0.5),
    "stop_restore": lambda c: c.EarlyStopping(patience=3, restore_best_weights=True),
    "stop_restore_never_better": lambda c: c.EarlyStopping(
        patience=2, baseline=0.01, restore_best_weights=True
    ),
    "stop_start_from": lambda c: c.EarlyStopping(patience=1, start_from_epoch=4),
    "plateau": lambda c: c.ReduceLROnPlateau(patience=1, factor=0.5),
    "plateau_options": lambda c: c.ReduceLROnPlateau(
        patience=2, factor=0.5, min_delta=0.02, cooldown=1, min_lr=0.04
    ),
    "plateau_max": lambda c: c.ReduceLROnPlateau(
        monitor="val_accuracy", mode="max", patience=1, cooldown=2
    ),
    "schedule": lambda c: c.LearningRateScheduler(
        lambda epoch, rate: rate * 0.9 if epoch > 2 else rate
    ),
    "schedule_of_epoch": lambda c: c.LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch)),
}


@pytest.mark.parametrize("name", WATCHING)
def test_decisions(name):
    """Fed with given results, callbacks stop, change rates and restore weights as Keras's do."""
    traces = []
    for k in (hb, keras):
        model, callback = network(k), WATCHING[name](k.callbacks)
        callback.set_model(model)
        model.stop_training = False
        callback.on_train_begin({})
        trace = []
        for epoch, (loss, accuracy) in enumerate(zip(LOSSES, ACCURACIES, strict=True)):
            callback.on_epoch_begin(epoch, {})
            model.set_weights([np.full((3, 1), float(epoch)), np.zeros(1)])
            logs = {"val_loss": loss, "val_accuracy": accuracy}
            callback.on_epoch_end(epoch, logs)
            trace.append(
                (float(np.asarray(model.optimizer.learning_rate)), logs.get("learning_rate"))
            )
            if model.stop_training:
                break
        callback.on_train_end({})
        traces.append((len(trace), trace, float(np.asarray(model.get_weights()[0])[0, 0])))
    assert traces[0][0] == traces[1][0]
    assert traces[0][2] == traces[1][2]
    for ours, reference in zip(traces[0][1], traces[1][1], strict=True):
        assert (ours[1] is None) == (reference[1] is None)
        np.testing.assert_allclose(ours[0], reference[0], rtol=1e-6)


SAVING = {
    "all": ("{epoch:02d}-{val_loss:.2f}.keras", {}),
    "best": ("best-{epoch}.keras", {"save_best_only": True, "monitor": "val_loss", "mode": "min"}),
    "best_max": (
        "best-{epoch}.keras",
        {"save_best_only": True, "monitor": "val_accuracy", "mode": "max"},
    ),
    "weights": ("{epoch}.weights.h5", {"save_weights_only": True, "save_best_only": True}),
    "threshold": ("{epoch}.keras", {"save_best_only": True, "initial_value_threshold": 0.85}),
    "h5": (
        "{epoch}.h5",
        {"save_best_only": True, "monitor": "val_loss", "verbose": 0, "mode": "min"},
    ),
}


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*considered legacy")
@pytest.mark.parametrize("name", SAVING)
def test_what_is_saved(name, tmp_path):
    pattern, options = SAVING[name]
    names = []
    for k in (hb, keras):
        folder = tmp_path / k.__name__
        folder.mkdir()
        model, callback = network(k), k.callbacks.ModelCheckpoint(str(folder / pattern), **options)
        callback.set_model(model)
        callback.on_train_begin({})
        for epoch, (loss, accuracy) in enumerate(zip(LOSSES[:6], ACCURACIES[:6], strict=True)):
            callback.on_epoch_begin(epoch, {})
            callback.on_epoch_end(epoch, {"val_loss": loss, "val_accuracy": accuracy})
        names.append(sorted(os.listdir(folder)))
    assert names[0] == names[1]
    assert names[0]


def test_checkpoints_in_training(tmp_path, capsys):
    """Checkpoints as tutorials write them, by batches, and every few epochs."""
    path = str(tmp_path / "best_model.h5")
    model = network(hb)
    best = hb.callbacks.ModelCheckpoint(
        path, monitor="val_loss", verbose=1, save_best_only=True, mode="min"
    )
    by_batch = hb.callbacks.ModelCheckpoint(
        tmp_path / "batch-{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=2
    )
    seldom = hb.callbacks.ModelCheckpoint(str(tmp_path / "seldom-{epoch}.keras"), period=2)
    model.fit(
        X,
        Y,
        epochs=3,
        batch_size=4,
        validation_data=(X, Y),
        verbose=0,
        callbacks=[best, by_batch, seldom],
    )
    text = capsys.readouterr().out
    assert text.count("improved") == 3
    assert path in text
    names = set(os.listdir(tmp_path))
    assert names == {
        "best_model.h5", "batch-1-2.weights.h5", "batch-2-1.weights.h5", "batch-2-3.weights.h5",
        "batch-3-2.weights.h5", "seldom-2.keras",
    }  # fmt: skip
    np.testing.assert_array_equal(
        hb.models.load_model(path).predict(X, verbose=0), model.predict(X, verbose=0)
    )


def test_log_file(tmp_path):
    rows = []
    for k in (hb, keras):
        path, model = tmp_path / f"{k.__name__}.csv", network(k)
        model.set_weights([np.ones((3, 1)), np.zeros(1)])
        for append in (False, True):
            logger = k.callbacks.CSVLogger(str(path), separator=";", append=append)
            model.fit(
                X, Y, epochs=2, shuffle=False, verbose=0, callbacks=[logger], validation_split=0.5
            )
        with open(path, newline="") as file:
            rows.append(list(csv.reader(file, delimiter=";")))
    assert rows[0][0] == rows[1][0]
    np.testing.assert_allclose(
        np.array(rows[0][1:], float), np.array(rows[1][1:], float), rtol=1e-4
    )


def test_hooks_are_called_as_keras_calls_them():
    calls = []
    for k in (hb, keras):
        seen = []

        class Spy(k.callbacks.Callback):
            def __getattribute__(self, name, seen=seen):
                value = super().__getattribute__(name)
                if not name.startswith("on_"):
                    return value

                def hook(*args, **kwargs):
                    numbers = [a for a in args if isinstance(a, int)]
                    logs = next((sorted(a) for a in args if isinstance(a, dict)), None)
                    seen.append((name, numbers, logs if name.endswith("end") else None))
                    return value(*args, **kwargs)

                return hook

            def on_train_batch_end(self, batch, logs=None):
                pass

        model = network(k)
        model.fit(
            X, Y, epochs=2, batch_size=6, validation_data=(X, Y), verbose=0, callbacks=[Spy()]
        )
        model.evaluate(X, Y, verbose=0, callbacks=[Spy()])
        model.predict(X, verbose=0, callbacks=[Spy()])
        calls.append([c for c in seen if "batch" not in c[0] or "train_batch" in c[0]])
    ours, reference = (
        [c[:2] for c in rows if not c[0].startswith(("on_batch",))] for rows in calls
    )
    assert ours == reference


def test_lambda_and_nan():
    seen = []
    hooks = hb.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(("epoch", epoch, sorted(logs))),
        on_train_batch_end=lambda batch, logs: seen.append(
            ("batch", batch, float(logs["loss"]) > 0)
        ),
    )
    network(hb).fit(X, Y, batch_size=6, verbose=0, callbacks=[hooks])
    assert seen == [("batch", 0, True), ("batch", 1, True), ("epoch", 0, ["loss", "mae"])]
    model = network(hb)
    model.set_weights([np.full((3, 1), np.nan), np.zeros(1)])
    history = model.fit(
        X, Y, epochs=5, batch_size=4, verbose=0, callbacks=[hb.callbacks.TerminateOnNaN()]
    )
    assert len(history.epoch) == 1


def test_auto_knows_what_is_better():
    """`mode="auto"` follows the metric's name. Keras knows the direction only after `compile`."""
    assert hb.callbacks.EarlyStopping(monitor="val_accuracy").monitor_op is np.greater
    assert hb.callbacks.EarlyStopping(monitor="val_loss").monitor_op is np.less


def test_unknown_values_are_named():
    for make in (hb.callbacks.EarlyStopping, hb.callbacks.ReduceLROnPlateau):
        with pytest.warns(UserWarning, match="'val_los'.*available are 'loss', 'mae'"):
            network(hb).fit(X, Y, epochs=2, verbose=0, callbacks=[make(monitor="val_los")])


BAD = {
    "mode": (lambda c: c.EarlyStopping(mode="up"), "mode"),
    "factor": (lambda c: c.ReduceLROnPlateau(factor=2.0), "factor"),
    "path": (lambda c: c.ModelCheckpoint("model.txt"), "filepath"),
    "frequency": (lambda c: c.ModelCheckpoint("model.keras", save_freq=0), "save_freq"),
    "early": (lambda c: c.EarlyStopping(patienc=1), "'patience'"),
    "log": (lambda c: c.CSVLogger("log", sep=","), "'separator'"),
    "reduce": (lambda c: c.ReduceLROnPlateau(patienc=1), "'patience'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name):
    make, text = BAD[name]
    with pytest.raises((ValueError, TypeError), match=text):
        make(hb.callbacks)


class Interrupt(hb.callbacks.Callback):
    """Ends the third step with an exception or a Ctrl-C."""

    def __init__(self, how):
        super().__init__()
        self.how, self.weights = how, []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.model.get_weights())
        if len(self.weights) == 3:
            if self.how == "signal":
                signal.raise_signal(signal.SIGINT)
            raise RuntimeError("stop here")


@pytest.mark.parametrize("how", ["signal", "exception"])
def test_an_interrupted_fit_keeps_the_last_step(how):
    model = network(hb)
    interrupt = Interrupt(how)
    with pytest.raises(KeyboardInterrupt if how == "signal" else RuntimeError):
        model.fit(X, Y, epochs=3, batch_size=2, verbose=0, callbacks=[interrupt])
    for ours, kept in zip(model.get_weights(), interrupt.weights[-1], strict=True):
        np.testing.assert_array_equal(ours, kept)
    assert int(model.optimizer.iterations.value) == 3
    before = model.evaluate(X, Y, verbose=0)[0]
    model.fit(X, Y, epochs=5, batch_size=2, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[0] < before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_line_an_epoch_without_a_terminal(capsys):
    network(hb).fit(X, Y, epochs=2, batch_size=4, validation_data=(X, Y))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    results = [line for line in lines if "val_loss:" in line]
    assert len(results) == 2
    form = r"3/3 - \d+s - \d+[mu]?s/step - loss: [\d.]+ - mae: .*val_loss: [\d.]+ - val_mae: [\d.]+"
    assert all(re.fullmatch(form, line) for line in results)  # Keras's form
    network(hb).fit(X, Y, verbose=0)
    assert capsys.readouterr().out == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_no_line_is_wider_than_the_terminal(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("COLUMNS", "80")
    model = network(hb)
    model.compile("sgd", "mse", metrics=["mae", "mse", "mape", "msle", "logcosh"])
    model.fit(X, Y**2, epochs=2, batch_size=4, verbose=1, validation_data=(X, Y**2))
    lines = [part for line in screen.getvalue().split("\n") for part in line.split("\r")]
    assert max(map(len, lines)) < 80
    assert sum("val_mape: " in line for line in lines) == 2  # all results are there


def test_the_time_left_does_not_count_compilation(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("hornbeam.callbacks.progbar.time.perf_counter", lambda: now[0])
    bar = hb.utils.Progbar(10)
    for step, now[0] in ((1, 100.0), (2, 101.0)):  # 100 seconds to compile
        bar.update(step)
    shown = capsys.readouterr().out.split("\r")
    assert shown[-1].split(" - ")[0].split()[-2:] == ["8s", "1s/step"]


def test_a_list_of_callbacks():
    seen = []

    class Watch(hb.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, logs["loss"], self.params["epochs"]))

    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1)])
    callbacks = hb.callbacks.CallbackList([Watch()], add_history=True, model=model, epochs=2)
    callbacks.on_train_begin()
    for epoch, loss in enumerate((0.5, 0.25)):
        callbacks.on_epoch_begin(epoch)
        callbacks.on_epoch_end(epoch, {"loss": loss})
    callbacks.on_train_end()
    assert seen == [(0, 0.5, 2), (1, 0.25, 2)]
    (history,) = [c for c in callbacks.callbacks if isinstance(c, hb.callbacks.History)]
    assert (history.history, history.epoch) == ({"loss": [0.5, 0.25]}, [0, 1])


def test_progress_as_a_callback_of_its_own(capsys):
    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, epochs=2, verbose=1, callbacks=[hb.callbacks.ProgbarLogger()])
    shown = capsys.readouterr().out
    assert shown.count("Epoch 2/2") == 1  # `fit` does not add a second one
    assert "loss" in shown


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_averages_are_evaluated(swap_on_epoch, tmp_path):
    """The weights that other callbacks see, the results and the final weights equal Keras's."""
    found = []
    for k in (hb, keras):
        seen = []

        class Spy(k.callbacks.Callback):
            def note(self, *args, seen=seen):
                seen.append(np.array(self.model.get_weights()[0]))

            on_epoch_begin = on_epoch_end = on_test_begin = on_test_end = on_train_end = note

        model = network(k)
        model.compile(k.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
        model.set_weights([np.ones((3, 1)), np.zeros(1)])
        callbacks = [Spy(), k.callbacks.SwapEMAWeights(swap_on_epoch=swap_on_epoch)]
        history = model.fit(
            X,
            Y,
            batch_size=4,
            epochs=3,
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks, Spy()],
            validation_data=(X, Y),
        )
        found.append(
            ([*history.history["loss"], *history.history["val_loss"]], seen, model.get_weights())
        )
    for own, other in zip(*found, strict=True):
        for a, b in zip(own, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="use_ema=True"):
        network(hb).evaluate(X, Y, verbose=0, callbacks=[hb.callbacks.SwapEMAWeights()])


def test_averages_stay_in_place_when_stopped_between_epochs():
    model = network(hb)
    model.compile(hb.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")

    class Stop(hb.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.averages, self.model.stop_training = self.model.get_weights(), True

    stop = Stop()
    model.fit(
        X, Y, epochs=3, verbose=0, callbacks=[hb.callbacks.SwapEMAWeights(swap_on_epoch=True), stop]
    )
    for a, b in zip(model.get_weights(), stop.averages, strict=True):
        np.testing.assert_array_equal(a, b)


def test_results_are_sent():
    got = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(
                (self.path, self.headers["Content-Type"], self.headers["X-Key"], body.decode())
            )
            self.send_response(200 if "missing" not in self.path else 404)
            self.end_headers()

        def log_message(self, *args):
            pass

    model = network(hb)
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            root = f"http://127.0.0.1:{server.server_port}"
            for arguments in (
                {},
                {"send_as_json": True},
                {"path": "/a", "field": "f", "headers": {"X-Key": "1"}},
            ):
                model.fit(
                    X, Y, verbose=0, callbacks=[hb.callbacks.RemoteMonitor(root, **arguments)]
                )
            with pytest.warns(UserWarning, match="could not be sent.*404"):
                model.fit(
                    X, Y, verbose=0, callbacks=[hb.callbacks.RemoteMonitor(root, path="/missing")]
                )
        finally:
            server.shutdown()
            thread.join()
    form, asked = "application/x-www-form-urlencoded", [{"data"}, None, {"f"}]
    assert [(path, kind, key) for path, kind, key, _ in got[:3]] == [
        ("/publish/epoch/end/", form, None), ("/publish/epoch/end/", "application/json", None),
        ("/a", form, "1"),
    ]  # fmt: skip
    for (*_, body), fields in zip(got, asked, strict=False):
        if fields is not None:
            values = urllib.parse.parse_qs(body)
            assert set(values) == fields
            ((body,),) = values.values()
        results = json.loads(body)
        assert list(results) == ["epoch", "loss", "mae"]
        assert results["loss"] > 0
    # The server no longer listens.
    with pytest.warns(UserWarning, match="could not be sent"):
        model.fit(X, Y, verbose=0, callbacks=[hb.callbacks.RemoteMonitor(root)])
    with pytest.raises(ValueError, match="http"):
        hb.callbacks.RemoteMonitor("file:///etc")


def test_accuracy_answers_to_its_older_name(tmp_path):
    """`acc` finds `accuracy`, and the other way round, and no name is listed twice."""
    for given, other in (("accuracy", "acc"), ("acc", "accuracy")):
        seen = []
        model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy", metrics=[given])
        best = hb.callbacks.ModelCheckpoint(
            str(tmp_path / (f"{{val_{other}:.2f}}.keras")), f"val_{other}", save_best_only=True
        )
        stop = hb.callbacks.EarlyStopping(f"val_{other}", patience=1)
        look = hb.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, other=other, seen=seen: seen.append(
                (logs.get(other), logs[f"val_{other}"])
            )
        )
        bits = (Y > 0).astype("float32")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = model.fit(
                X, bits, validation_data=(X, bits), verbose=0, callbacks=[best, stop, look]
            ).history
        assert sorted(result) == [given, "loss", f"val_{given}", "val_loss"]
        assert (result[other][0], result[f"val_{other}"][0]) == seen[0]
        assert f"val_{other}" in result
        assert "val_ac" not in result
        assert (tmp_path / f"{seen[0][1]:.2f}.keras").exists()
        with pytest.raises(KeyError):
            result["mae"]


def test_a_watched_value_of_some_epochs(tmp_path):
    """A value that only some epochs have is no mistake; the log file gets its column."""
    path = tmp_path / "log.csv"
    callbacks = [hb.callbacks.EarlyStopping("val_loss"), hb.callbacks.CSVLogger(path)]
    arguments = {"epochs": 4, "validation_data": (X, Y), "validation_freq": 2, "verbose": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = network(hb).fit(X, Y, callbacks=callbacks, **arguments).history
    lines = [line.split(",") for line in path.read_text().splitlines()]
    assert lines[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert lines[1][3:] == lines[3][3:] == ["NA", "NA"]
    assert [float(line[3]) for line in (lines[2], lines[4])] == pytest.approx(history["val_loss"])
    callbacks = [hb.callbacks.CSVLogger(path, append=True)]
    network(hb).fit(X, Y, callbacks=callbacks, **arguments)
    again = [line.split(",") for line in path.read_text().splitlines()]
    assert again[:5] == lines
    assert again[5][3:] == ["NA", "NA"]


@pytest.mark.parametrize(
    "make",
    [hb.callbacks.EarlyStopping, lambda m: hb.callbacks.ModelCheckpoint("a.keras", m, 0, True)],
)
def test_a_missing_value_is_named_before_the_epoch_ends(make, tmp_path, monkeypatch):
    """A checkpoint without its value saves each epoch, as in Keras: nothing is lost."""
    monkeypatch.chdir(tmp_path)
    model = network(hb)
    with pytest.warns(UserWarning, match="'val_mae'.*'loss', 'mae'.*validation_data") as caught:
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[make("val_mae")])
    assert len(caught) == 1
    assert (tmp_path / "a.keras").exists() == (make is not hb.callbacks.EarlyStopping)


def test_callbacks_always_get_logs():
    seen = []

    class Strict(hb.callbacks.Callback):
        def on_train_begin(self, logs):
            seen.append(logs)

        def on_epoch_begin(self, epoch, logs):
            seen.append(logs)

        def on_test_begin(self, logs):
            seen.append(logs)

        def on_predict_end(self, logs):
            seen.append(logs)

        def on_train_batch_begin(self, batch, logs):
            assert logs == {}

        def on_train_batch_end(self, batch, **kwargs):  # Keras passes these by name
            assert sorted(kwargs["logs"]) == ["loss", "mae"]

    hooks = hb.callbacks.LambdaCallback(on_train_begin=seen.append, on_train_end=lambda logs: None)
    model = network(hb)
    model.fit(X, Y, verbose=0, callbacks=[Strict(), hooks])
    model.evaluate(X, Y, verbose=0, callbacks=[Strict()])
    model.predict(X, verbose=0, callbacks=[Strict()])
    assert seen == [{}] * 5


def test_a_plateau_with_several_optimizers(capsys):
    slow, fast = hb.optimizers.SGD(0.001), hb.optimizers.SGD(0.1)
    both = hb.optimizers.MultiOptimizer(hb.optimizers.OptimizerMap(slow, {".*kernel": fast}))
    model = hb.Sequential([hb.Input((1,)), hb.layers.Dense(1)])
    model.compile(both, "mse")
    x = np.ones((2, 1))
    plateau = hb.callbacks.ReduceLROnPlateau(
        "loss", factor=0.1, patience=1, min_delta=1e9, min_lr=0.002, verbose=1
    )
    history = model.fit(x, x, epochs=3, verbose=0, callbacks=[plateau]).history
    np.testing.assert_allclose(fast.learning_rate, 0.002, rtol=1e-6)
    np.testing.assert_allclose(slow.learning_rate, 0.001, rtol=1e-6)  # was below `min_lr`
    assert set(history) == {"loss"}
    assert "reduced to" in capsys.readouterr().out
