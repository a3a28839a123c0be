"""The contents of the files that `callbacks.TensorBoard` writes."""

import json
import struct

import numpy as np
import pytest

import hornbeam as hb

pytest.importorskip(
    "tensorboardX", reason="tensorboardX is not installed: pip install 'hornbeam[tensorboard]'"
)
from tensorboardX.proto.event_pb2 import Event

X = np.random.RandomState(0).rand(8, 6, 6, 1).astype("float32")
Y = np.random.RandomState(1).rand(8, 2).astype("float32")


def network():
    model = hb.Sequential([
        hb.Input((6, 6, 1)), hb.layers.Conv2D(2, 3, name="c"), hb.layers.Flatten(),
        hb.layers.Dense(2, name="d"),
    ], name="net")  # fmt: skip
    model.compile("adam", "mse", metrics=["mae"])
    return model


def trained(folder, model=None, x=X, y=Y, epochs=2, **options):
    model = model or network()
    callback = hb.callbacks.TensorBoard(folder, **options)
    validation = (x[:4], y[:4])
    history = model.fit(
        x,
        y,
        batch_size=2,
        epochs=epochs,
        verbose=0,
        validation_data=validation,
        callbacks=[callback],
    )
    return model, history.history


def values(folder):
    """Return (step, value) pairs by tag from all event files.

    Each record is a length, a checksum, an event and a checksum.
    """
    found = {}
    for path in sorted(folder.rglob("events.out.tfevents*")):
        data, place = path.read_bytes(), 0
        while place < len(data):
            (length,) = struct.unpack_from("<Q", data, place)
            event = Event.FromString(data[place + 12 : place + 12 + length])
            place += 16 + length
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
    return found


def numbers(found, tag):
    return [(step, value.simple_value) for step, value in found[tag]]


def steps(found, tag):
    return [step for step, _ in found[tag]]


def test_scalars_of_epochs(tmp_path):
    _, history = trained(tmp_path)
    train, validation = values(tmp_path / "train"), values(tmp_path / "validation")
    for name in ("loss", "mae"):
        np.testing.assert_allclose(
            numbers(train, f"epoch_{name}"), list(enumerate(history[name])), rtol=1e-6
        )
        np.testing.assert_allclose(
            numbers(validation, f"epoch_{name}"), list(enumerate(history[f"val_{name}"])), rtol=1e-6
        )
        assert steps(validation, f"evaluation_{name}_vs_iterations") == [4, 8]
    np.testing.assert_allclose(
        numbers(train, "epoch_learning_rate"), [(0, 0.001), (1, 0.001)], rtol=1e-6
    )
    assert set(train) == {"epoch_loss", "epoch_mae", "epoch_learning_rate", "keras"}


def test_scalars_of_batches_weights_and_the_graph(tmp_path):
    model, history = trained(
        tmp_path,
        update_freq=2,
        histogram_freq=1,
        write_images=True,
        write_steps_per_second=True,
        write_graph=True,
    )
    train = values(tmp_path / "train")
    assert steps(train, "batch_loss") == steps(train, "batch_steps_per_second") == [2, 4, 6, 8]
    assert [
        value for step, value in numbers(train, "batch_loss") if step % 4 == 0
    ] == pytest.approx(history["loss"])
    assert all(
        value > 0
        for tag in ("batch", "epoch")
        for _, value in numbers(train, f"{tag}_steps_per_second")
    )
    for weight in model.weights:
        assert (
            steps(train, f"{weight.path}/histogram")
            == steps(train, f"{weight.path}/image")
            == [0, 1]
        )
        histogram = train[f"{weight.path}/histogram"][-1][1].histo
        value = weight.numpy()
        assert histogram.num == value.size
        np.testing.assert_allclose(
            [histogram.min, histogram.max, histogram.sum],
            [value.min(), value.max(), value.sum()],
            rtol=1e-4,
        )
    sizes = {name: (image.width, image.height) for name in ("c/kernel", "d/kernel", "d/bias")
        for image in [train[f"net/{name}/image"][-1][1].image]}  # fmt: skip
    assert sizes == {"c/kernel": (6, 3), "d/kernel": (32, 2), "d/bias": (2, 1)}
    ((step, graph),) = train["keras"]
    assert (step, graph.metadata.plugin_data.plugin_name) == (0, "graph_keras_model")
    assert json.loads(graph.tensor.string_val[0]) == json.loads(model.to_json())


def test_it_only_looks(tmp_path, monkeypatch):
    """Writing changes neither the number of steps per dispatch nor the results."""
    from hornbeam.training.hooks import BatchHooks

    dispatches = []
    end = BatchHooks.end
    monkeypatch.setattr(
        BatchHooks,
        "end",
        lambda self, *args: (dispatches.append(args[1].steps), end(self, *args))[1],
    )
    x, y = np.repeat(X, 50, 0).reshape(400, -1), np.repeat(Y, 50, 0)
    rows = {
        "none": None,
        "epoch": {},
        "batch": {"update_freq": "batch"},
        "profile": {"profile_batch": (3, 5)},
    }
    losses, counts = {}, {}
    for name, options in rows.items():
        hb.utils.set_random_seed(1)
        model = hb.Sequential([hb.Input((36,)), hb.layers.Dense(2)])
        model.compile("sgd", "mse")
        profiler = []
        monkeypatch.setattr(
            "jax.profiler.start_trace", lambda folder, seen=profiler: seen.append(folder)
        )
        monkeypatch.setattr("jax.profiler.stop_trace", lambda seen=profiler: seen.append("stop"))
        callbacks = (
            [] if options is None else [hb.callbacks.TensorBoard(tmp_path / name, **options)]
        )
        dispatches.clear()
        losses[name] = model.fit(
            x, y, batch_size=2, epochs=2, verbose=0, callbacks=callbacks
        ).history["loss"]
        assert sum(dispatches) == 400
        counts[name] = list(dispatches)
        assert profiler == (
            [str(tmp_path / "profile" / "train"), "stop"] if name == "profile" else []
        )
    assert losses["none"] == losses["epoch"] == losses["batch"] == losses["profile"]
    assert max(counts["batch"]) > 1
    ends = np.cumsum(counts["profile"])
    assert {2, 5} <= set(ends.tolist())
    batches = values(tmp_path / "batch")["batch_loss"]
    assert [step for step, _ in batches] == list(range(1, 401))


def test_embeddings(tmp_path):
    model = hb.Sequential([hb.Input((3,), dtype="int32"), hb.layers.Embedding(5, 4, name="words"),
        hb.layers.Flatten(),
        hb.layers.Dense(2)])  # fmt: skip
    model.compile("sgd", "mse")
    x = np.random.RandomState(0).randint(5, size=(8, 3))
    trained(tmp_path, model, x, embeddings_freq=1, embeddings_metadata={"words": "words.tsv"})
    table = np.loadtxt(tmp_path / "words-1.tsv")
    np.testing.assert_allclose(table, model.layers[0].embeddings.numpy(), rtol=1e-5)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert 'tensor_path: "words-1.tsv"' in config
    assert 'metadata_path: "words.tsv"' in config
    with pytest.raises(ValueError, match=r"\['other'\].*\['words'\]"):
        trained(tmp_path, model, x, embeddings_freq=1, embeddings_metadata={"other": "x"})


@pytest.mark.parametrize("update_freq", ["epoch", "batch"])
def test_steps_go_on_after_a_restart(tmp_path, update_freq):
    """The step numbers continue after a restart within the second epoch or at its start."""
    for done in (0, 3):
        callback = hb.callbacks.TensorBoard(
            tmp_path / str(done), update_freq=update_freq, write_graph=False
        )
        callback.set_model(network())
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        for batch in range(5):
            callback.on_train_batch_end(batch, {"loss": 1.0})
        callback.on_epoch_end(0, {"loss": 1.0})
        if done:
            callback.on_epoch_begin(1)
            for batch in range(done):
                callback.on_train_batch_end(batch, {"loss": 1.0})
        again = hb.callbacks.TensorBoard(
            tmp_path / f"{done}again", update_freq=update_freq, write_graph=False
        )
        again.set_model(callback.model)
        again.on_train_begin()
        again.load_state_dict(callback.state_dict())
        again.on_epoch_begin(1)
        if done:
            again.load_state_dict(callback.state_dict())
        for batch in range(done, 5):
            again.on_train_batch_end(batch, {"loss": 1.0})
        again.on_test_end({"loss": 2.0})
        for one in (callback, again):
            one.on_train_end()
        found = values(tmp_path / f"{done}again" / "validation")
        assert numbers(found, "evaluation_loss_vs_iterations") == [(10, 2.0)]


def test_evaluation_by_itself(tmp_path):
    callback = hb.callbacks.TensorBoard(tmp_path)
    results = network().evaluate(X, Y, verbose=0, return_dict=True, callbacks=[callback])
    ((step, loss),) = numbers(values(tmp_path / "validation"), "evaluation_loss_vs_iterations")
    assert (step, pytest.approx(loss)) == (0, results["loss"])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"update_freq": "x"}, "`update_freq`"), ({"update_freq": 0}, "`update_freq`"),
        ({"histogram_freq": -1}, "`histogram_freq`"),
        ({"embeddings_freq": 1.5}, "`embeddings_freq`"),
        ({"profile_batch": (5, 2)}, "`profile_batch`"), ({"profile_batch": "a"}, "`profile_batch`"),
        ({"profile_batch": -1}, "`profile_batch`"),
        ({"profile_batch": [1, 2, 3]}, "`profile_batch`"),
    ],
)  # fmt: skip
def test_bad_arguments(options, text):
    with pytest.raises(ValueError, match=text):
        hb.callbacks.TensorBoard("logs", **options)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"hornbeam\[tensorboard\]"):
        hb.callbacks.TensorBoard("logs")
