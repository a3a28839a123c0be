"""The planned training loop: results do not depend on the number of steps per dispatch.

Also the number of traces, and data from arrays and from Python.
"""

import functools
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb
from hornbeam.data import ArraySource, make_source
from hornbeam.training import plan as planning
from hornbeam.training.padding import rows_are_independent
from hornbeam.training.step import Steps

R = np.random.RandomState(0)
X = R.randn(203, 5).astype("float32")
Y = R.randint(0, 3, 203)


def network(loss="sparse_categorical_crossentropy", **arguments):
    hb.utils.set_random_seed(3)
    model = hb.Sequential(
        [
            hb.Input((5,)),
            hb.layers.Dense(8, activation="relu"),
            hb.layers.Dropout(0.3),
            hb.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", loss, metrics=["accuracy"], **arguments)
    return model


class EveryStep(hb.callbacks.Callback):
    """Records the results of all steps."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, logs["loss"]))


class Observer(EveryStep):
    observes_only = True


def traces(model):
    return {name[0]: entry[2].trace_count for name, entry in model._programs.items()}


WAYS = {
    "planned": ({}, []),
    "three": ({"steps_per_execution": 3}, []),
    "singly": ({}, [EveryStep]),
    "observed": ({}, [Observer]),
}


def trained(way):
    arguments, callbacks = WAYS[way]
    model = network(**arguments)
    callbacks = [make() for make in callbacks]
    history = model.fit(
        X,
        Y,
        batch_size=16,
        epochs=3,
        verbose=0,
        callbacks=callbacks,
        validation_data=(X[:50], Y[:50]),
    )
    return model, history.history, callbacks


# Shared by tests that only read the result. The seeds and data depend only on the arguments.
trained_once = functools.cache(trained)


@pytest.mark.parametrize("way", [w for w in WAYS if w != "planned"])
def test_results_do_not_depend_on_the_steps_of_a_dispatch(way):
    expected, history, _ = trained_once("planned")
    model, own, callbacks = trained_once(way)
    assert own == history
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for callback in callbacks:
        assert [batch for batch, _ in callback.seen] == list(range(13)) * 3
        assert [loss for batch, loss in callback.seen if batch == 12] == history["loss"]


def test_observers_see_what_single_steps_show():
    _, _, (single,) = trained_once("singly")
    _, _, (many,) = trained_once("observed")
    assert many.seen == single.seen


def test_observers_of_prediction_see_every_batch():
    seen = []

    class Watch(hb.callbacks.Callback):
        observes_only = True

        def on_predict_batch_end(self, batch, logs=None):
            seen.append(np.asarray(logs["outputs"]).shape)

    network().predict(X[:96], callbacks=[Watch()], verbose=0)
    assert seen == [(32, 3)] * 3


def test_nothing_is_traced_twice():
    model = network()
    for _ in range(2):
        model.fit(X, Y, batch_size=16, epochs=2, verbose=0, validation_split=0.2)
        # Other sizes of data use the same programs.
        model.fit(X[:100], Y[:100], batch_size=16, verbose=0)
    before = traces(model)
    for rows in (203, 190, 77):
        model.evaluate(X[:rows], Y[:rows], verbose=0)
        model.predict(X[:rows], verbose=0)
    model.fit(X[:162], Y[:162], batch_size=16, verbose=0)
    after = traces(model)
    assert after.pop("predict") == 1  # full and padded batches have the same shape
    assert before["train"] == after["train"] <= 3
    assert after["test"] <= before["test"] + 1  # batches of 32 besides those of 16


def test_slabs_that_do_not_hold_all(monkeypatch):
    expected, history, _ = trained_once("planned")
    monkeypatch.setattr(planning, "STEPS_PER_SLAB", 4)
    model, own, _ = trained("planned")
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(own["loss"], history["loss"], rtol=1e-6)


@pytest.mark.parametrize("rows", mostly_slow([1, 5, 32, 33, 203], [33]))
def test_filled_batches_change_no_result(rows):
    model = network()
    assert rows_are_independent(model, "test")
    kept = [
        hb.metrics.AUC(name="auc"), hb.metrics.CategoricalAccuracy(),
        hb.metrics.F1Score(average="macro"), hb.metrics.Recall(),
        hb.metrics.CosineSimilarity(), hb.metrics.MeanAbsoluteError(),
        hb.metrics.TopKCategoricalAccuracy(k=2),
        hb.metrics.OneHotMeanIoU(num_classes=3), hb.metrics.R2Score(), hb.metrics.KLDivergence(),
    ]  # fmt: skip
    one_hot = np.eye(3, dtype="float32")[Y]
    weight = R.rand(203).astype("float32")
    model.compile("sgd", "categorical_crossentropy", metrics=kept, weighted_metrics=["accuracy"])
    filled = model.evaluate(
        X[:rows], one_hot[:rows], sample_weight=weight[:rows], verbose=0, return_dict=True
    )
    # Batches from a generator are used as they are.
    batches = [(X[i : i + 32], one_hot[i : i + 32], weight[i : i + 32]) for i in range(0, rows, 32)]
    batches = [tuple(a[: rows - 32 * i] for a in batch) for i, batch in enumerate(batches)]
    plain = model.evaluate(iter(batches), verbose=0, return_dict=True)
    assert filled.keys() == plain.keys()
    for name in plain:
        np.testing.assert_allclose(filled[name], plain[name], rtol=2e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(
        model.predict(X[:rows], verbose=0),
        np.concatenate([model.predict_on_batch(x) for x, _, _ in batches]),
        rtol=1e-5,
        atol=1e-7,
    )


def test_rows_that_may_mix_are_left_alone():
    """A model with user code never gets padding rows."""
    x = hb.Input((5,))
    centred = hb.Model(x, hb.layers.Lambda(lambda t: t - hb.ops.mean(t, axis=0))(x))
    by_op = hb.Model(x, x - hb.ops.mean(x, axis=0))
    for model in (centred, by_op):
        assert not rows_are_independent(model, "predict")
        np.testing.assert_allclose(
            model.predict(X[:5], verbose=0), X[:5] - X[:5].mean(0), rtol=1e-5, atol=1e-6
        )
    by_activation = hb.Sequential(
        [hb.Input((5,)), hb.layers.Activation(lambda t: t - hb.ops.mean(t, axis=0))]
    )
    by_axis = hb.Sequential([hb.Input((5,)), hb.layers.Softmax(axis=-2)])
    for model in (by_activation, by_axis):
        assert not rows_are_independent(model, "predict")
    np.testing.assert_allclose(by_axis.predict(X[:5], verbose=0).sum(0), 1, rtol=1e-5)
    fixed = hb.Sequential([hb.Input((5,), batch_size=7), hb.layers.Dense(2)])
    assert fixed.predict(X[:7], verbose=0).shape == (7, 2)


def test_a_model_outside_of_training_is_called_compiled():
    model = network()
    before = model(X[:4])
    np.testing.assert_allclose(before, model.predict(X[:4], verbose=0), rtol=1e-6)
    assert traces(model)["predict"] == 1
    model.layers[0].trainable = False
    model.set_weights([w * 0 for w in model.get_weights()])
    np.testing.assert_allclose(model(X[:4]), 1 / 3, rtol=1e-6)
    with_dropout = {float(np.asarray(model(X[:64], training=True)).sum()) for _ in range(2)}
    assert with_dropout  # runs as uncompiled code


def test_accumulated_gradients_are_flushed_at_the_end_of_an_epoch():
    """Gradients of 16 rows accumulated over two steps equal steps of 32, with an odd last step."""

    def fitted(batch_size, **arguments):
        hb.utils.set_random_seed(1)
        model = hb.Sequential([hb.Input((5,)), hb.layers.Dense(3)])
        model.compile(hb.optimizers.Adam(0.01, **arguments), "mse")
        model.fit(
            X[:80], np.eye(3)[Y[:80]], batch_size=batch_size, epochs=2, shuffle=False, verbose=0
        )
        return model

    whole, gathered = fitted(32), fitted(16, gradient_accumulation_steps=2)
    assert int(gathered.optimizer.iterations) == int(whole.optimizer.iterations.value) == 6
    for a, b in zip(gathered.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


class Numbers(hb.utils.PyDataset):
    """Yields batches that contain their index and the epoch."""

    def __init__(self, fail=None, **arguments):
        super().__init__(**arguments)
        self.fail, self.passes = fail, 0

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index == self.fail:
            raise KeyError(f"no file for batch {index}")
        return X[index * 8 : index * 8 + 8] * (1 + self.passes), Y[index * 8 : index * 8 + 8]

    def on_epoch_end(self):
        self.passes += 1


@pytest.mark.parametrize(
    "arguments",
    [{}, {"workers": 3}, {"workers": 2, "use_multiprocessing": True, "max_queue_size": 3}],
)
def test_batches_by_number(arguments):
    """Batches arrive in order in each epoch, by threads or processes.

    An error in a worker reaches the caller.
    """
    plain, own = network(), network()
    epochs = 1 if arguments.get("use_multiprocessing") else 2
    data = Numbers()
    history = plain.fit(
        itertools.chain.from_iterable(_passes(data, epochs)),
        epochs=epochs,
        steps_per_epoch=6,
        verbose=0,
    )
    result = own.fit(Numbers(**arguments), epochs=epochs, verbose=0, shuffle=False)
    np.testing.assert_allclose(result.history["loss"], history.history["loss"], rtol=1e-6)
    with pytest.raises(KeyError, match="no file for batch 2"):
        own.fit(Numbers(fail=2, **arguments), verbose=0)
    assert len(own.predict(X[:3], verbose=0)) == 3  # the model is still usable
    for worker in [t for t in threading.enumerate() if t.name.startswith("hornbeam-data")]:
        worker.join(60)
        assert not worker.is_alive()


INTERRUPTED = """
import os, sys, time
import numpy as np
import hornbeam as hb

class Slow(hb.utils.PyDataset):
    def __len__(self):
        return 100

    def __getitem__(self, index):
        if index == 5:
            print("worker", os.getpid(), flush=True)
            time.sleep(600 if self.use_multiprocessing else 1)
        return np.ones((4, 3), "float32"), np.ones((4, 1), "float32")

if __name__ == "__main__":
    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1)])
    model.compile("sgd", "mse")
    slow = Slow(workers=2, use_multiprocessing=sys.argv[1] == "processes")
    model.fit(slow, verbose=0, shuffle=False)
"""


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        pytest.param("threads", signal.SIGINT, marks=pytest.mark.slow),
        ("processes", signal.SIGINT),
        pytest.param("processes", signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_ends_workers(kind, number, tmp_path):
    """Ctrl-C, or a kill, while a worker is busy ends the program and its workers at once."""
    script = tmp_path / "slow.py"
    script.write_text(INTERRUPTED)
    run = subprocess.Popen(
        [sys.executable, script, kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(hb.__file__).parent.parent,
        env={**os.environ, "PYTHONPATH": str(Path(hb.__file__).parent.parent)},
    )  # fmt: skip
    try:
        worker = int(run.stdout.readline().split()[1])
        assert (worker == run.pid) == (kind == "threads")
        run.send_signal(number)
        _, said = run.communicate(timeout=120)
    finally:
        run.kill()
    assert ("KeyboardInterrupt" in said) == (number == signal.SIGINT)
    assert run.returncode == -number
    if kind == "processes":
        for _ in range(600):  # the worker is gone, or ended but not yet reaped
            state = Path(f"/proc/{worker}/stat")
            if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"process {worker} is still at work")


def _passes(data, epochs):
    for _ in range(epochs):
        yield [data[i] for i in range(len(data))]
        data.on_epoch_end()


def test_a_pass_can_start_anywhere():
    """Arrays and batches by index can start at any step without reading earlier batches."""
    source = ArraySource(X, Y, batch_size=16, shuffle=True)
    whole = list(source.epoch(5, 2))
    for a, b in zip(source.epoch(5, 2, start=9), whole[9:], strict=True):
        np.testing.assert_array_equal(a[0], b[0])
    read = []

    class Reads(Numbers):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    assert len(list(make_source(Reads()).epoch(0, 0, start=4))) == 2
    assert read == [4, 5]


def test_threads_predict_while_one_trains():
    model, steady = network(), network()
    expected = steady.predict(X[:40], verbose=0)
    found, errors = [], []

    def predict():
        try:
            for _ in range(30):
                found.append(steady.predict(X[:40], verbose=0))
                assert np.isfinite(model.predict(X[:7], verbose=0)).all()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=predict) for _ in range(3)]
    for thread in threads:
        thread.start()
    model.fit(X, Y, epochs=20, batch_size=8, verbose=0)
    for thread in threads:
        thread.join()
    assert not errors
    assert len(found) == 90
    assert all(np.array_equal(f, expected) for f in found)


@pytest.mark.parametrize("slab", [planning.BYTES_PER_SLAB, 1])
def test_data_that_stay_on_an_accelerator(slab, monkeypatch):
    """On GPU and TPU, rows are gathered on the device by index, for slabs and single batches."""
    expected, history, _ = trained_once("planned")
    monkeypatch.setattr(planning, "_fits_on_accelerator", lambda source: True)
    monkeypatch.setattr(planning, "BYTES_PER_SLAB", slab)
    model, own, _ = trained("planned")
    np.testing.assert_allclose(own["loss"], history["loss"], rtol=1e-6)
    np.testing.assert_allclose(
        model.predict(X, verbose=0), expected.predict(X, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_large_models_take_single_steps_on_an_accelerator(monkeypatch):
    """A compiled loop would need twice the memory for the weights there."""
    steps = Steps(network(), "train")
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    assert steps.can_loop((X[:4], Y[:4], None))
    # Weights and two moments of 75 numbers.
    monkeypatch.setattr("hornbeam.training.step.BYTES_TO_LOOP", 3 * 4 * 75)
    assert not steps.can_loop((X[:4], Y[:4], None))


def test_rows_that_lie_on_disk(tmp_path):
    """A memory-mapped file is read slab by slab, and doubles are cast to float32 on the way."""
    np.save(tmp_path / "x.npy", X.astype("float64"))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert isinstance(make_source(mapped).data[0], np.memmap)
    plain = network()
    history = plain.fit(X, Y, verbose=0).history
    own = network()
    assert own.fit(mapped, Y, verbose=0).history == history
    np.testing.assert_array_equal(own.predict(mapped, verbose=0), plain.predict(X, verbose=0))


def endless():
    while True:
        yield X[:8], Y[:8]


def raises():
    yield X[:8], Y[:8]
    raise OSError("the disk is gone")


def changing():
    for rows in (8, 5, 8, 3):
        yield X[:rows], Y[:rows]


class OneRow(hb.utils.PyDataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return X[index : index + 1], Y[index : index + 1]


class Count(hb.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.steps = []

    def on_epoch_begin(self, epoch, logs=None):
        self.steps.append(0)

    def on_train_batch_begin(self, batch, logs=None):
        self.steps[-1] += 1


# Steps of each epoch as in Keras: a pass over the data may last for several epochs.
STEPS = [
    (4, [4, 4, 2, 4, 4, 2]), (5, [5] * 6), (7, [7, 3, 7, 3, 7, 3]), (10, [10] * 6),
    (12, [10] * 6), (1, [1] * 6),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["arrays", "PyDataset"])
def test_steps_per_epoch_as_in_keras(kind):
    model = network()
    data = (X[:10], Y[:10]) if kind == "arrays" else (OneRow(),)
    size = {"batch_size": 1} if kind == "arrays" else {}
    for steps, expected in STEPS:
        count = Count()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(*data, **size, steps_per_epoch=steps, epochs=6, verbose=0, callbacks=[count])
        assert count.steps == expected
        assert len(caught) == (10 % steps != 0)
        assert all("next epoch starts a new pass" in str(w.message) for w in caught)


def test_steps_choose_the_batch_size_as_in_keras():
    """Without `batch_size`, so many rows that the steps see all of them."""
    sizes = []

    class Sizes(hb.Model):
        def __init__(self):
            super().__init__()
            self.dense = hb.layers.Dense(2)

        def call(self, x):
            sizes.append(len(x))
            return self.dense(x)

    model = Sizes()
    model.compile("sgd", "mse", run_eagerly=True)
    model(X[:10])
    x, y = X[:10], np.zeros((10, 2))
    runs = {
        "fit": (lambda: model.fit(x, y, steps_per_epoch=3, verbose=0), [4, 4, 2]),
        "evaluate": (lambda: model.evaluate(x, y, steps=4, verbose=0), [3, 3, 3, 1]),
        "predict": (lambda: model.predict(x, steps=2, verbose=0), [5, 5]),
        "validation": (
            lambda: model.fit(x, y, validation_data=(x, y), validation_steps=5, verbose=0),
            [10, 2, 2, 2, 2, 2],
        ),
    }
    for name, (run, expected) in runs.items():
        sizes.clear()
        run()
        assert sizes == expected, name


def test_exhausted_generators_end_the_training():
    model = network()
    batch = X[:8], Y[:8]
    with pytest.warns(UserWarning, match="no batch in epoch 2; training stops"):
        history = model.fit(iter([batch] * 3), steps_per_epoch=3, epochs=2, verbose=0)
    assert history.epoch == [0]
    with pytest.warns(UserWarning, match="evaluation ended after 0 of 1 steps"):
        history = model.fit(
            *batch, epochs=2, validation_data=iter([batch]), validation_steps=1, verbose=0
        )
    assert len(history.history["val_loss"]) == 1


def test_bad_data_leave_the_model_usable():
    model = network()
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(raises(), verbose=0)
    with pytest.warns(UserWarning, match="ended after 4 of 9 steps"):
        model.fit(changing(), steps_per_epoch=9, verbose=0)
    with pytest.raises(ValueError, match="yielded no batch"):
        model.fit(iter(()), verbose=0)
    with pytest.raises(ValueError, match="empty"):
        model.fit(X[:0], Y[:0], verbose=0)
    assert len(model.fit(X[:3], Y[:3], batch_size=64, verbose=0).history["loss"]) == 1
    assert len(model.fit(endless(), steps_per_epoch=3, epochs=2, verbose=0).history["loss"]) == 2
    assert np.isfinite(model.evaluate(X, Y, verbose=0)[0])


@pytest.mark.parametrize(
    "name",
    [
        "dice", "Tversky", "cosine",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("Dice", "r2", "pearson")),
    ],
)  # fmt: skip
def test_losses_and_metrics_of_whole_batches(name):
    """The last, smaller batch is not filled up for what depends on all rows of a batch."""
    make = {
        "dice": lambda: "dice", "Dice": hb.losses.Dice, "Tversky": hb.losses.Tversky,
        "cosine": lambda: hb.losses.CosineSimilarity(axis=0),
        "r2": lambda: hb.metrics.R2Score(num_regressors=1),
        "pearson": lambda: hb.metrics.PearsonCorrelation(axis=0),
    }[name]  # fmt: skip
    random = np.random.default_rng(5)
    x, y = random.random((7, 3)).astype("float32"), random.random((7, 3)).astype("float32")
    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(3, "sigmoid")])
    is_metric = name in ("r2", "pearson")
    model.compile("sgd", "mse" if is_metric else make(), metrics=[make()] if is_metric else None)
    found, p = model.evaluate(x, y, batch_size=4, verbose=0), model.predict(x, verbose=0)
    parts = slice(0, 4), slice(4, 7)
    if is_metric:
        metric = make()
        for part in parts:
            metric.update_state(y[part], p[part])
        np.testing.assert_allclose(found[1], metric.result(), rtol=1e-4)
    else:
        loss = hb.losses.get(make())
        expected = [float(np.mean(loss(y[part], p[part]))) for part in parts]
        np.testing.assert_allclose(found, np.dot(expected, [4, 3]) / 7, rtol=1e-4)
