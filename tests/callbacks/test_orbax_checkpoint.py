"""Checkpoints of Orbax: saved in parts, loaded in other parts, whole after a kill."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import hornbeam as hb

pytest.importorskip("orbax.checkpoint")
X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
Y = X[:, :1]


def make(name="net", units=3):
    model = hb.Sequential(
        [
            hb.Input((4,)),
            hb.layers.Dense(units, name="a"),
            hb.layers.BatchNormalization(name="bn"),
            hb.layers.Dropout(0.2),
            hb.layers.Dense(1, name="b"),
        ],
        name=name,
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def fit(model, folder, epochs=1, **arguments):
    callback = hb.callbacks.OrbaxCheckpoint(folder, **arguments)
    model.fit(X, Y, epochs=epochs, batch_size=8, callbacks=[callback], verbose=0)


def assert_equal(model, other):
    for a, b in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


def test_the_newest_checkpoint_is_loaded(tmp_path):
    model = make()
    fit(model, tmp_path / "c", epochs=3, max_to_keep=2, save_on_background=False)
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["1", "2"]
    loaded = hb.saving.load_model(tmp_path / "c")
    assert_equal(model, loaded)
    assert_equal(model.optimizer, loaded.optimizer)
    loaded.fit(X, Y, verbose=0)

    # Another name, and an older step; the model of the same shape fits by the order of variables.
    other = make("other")
    other.load_weights(tmp_path / "c")
    assert_equal(model.optimizer, other.optimizer)
    assert_equal(model, other)
    other.load_weights(tmp_path / "c" / "1")
    assert other.optimizer.iterations.numpy() == 4

    # In a folder with checkpoints the numbers go on; weights alone cannot be a model.
    fit(model, tmp_path / "c", save_weights_only=True, save_freq=2)
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["3"]
    with pytest.raises(hb.errors.FileError, match="holds weights only"):
        hb.saving.load_model(tmp_path / "c")
    with pytest.raises(ValueError, match=r"\(4, 5\) has shape \(4, 3\) in the checkpoint"):
        make(units=5).load_weights(tmp_path / "c")
    (tmp_path / "c" / "3" / "pytree" / "_METADATA").write_text("{}")
    with pytest.raises(hb.errors.FileError):
        make().load_weights(tmp_path / "c")


def test_wrong_arguments_say_what_is_wrong(tmp_path):
    for arguments, words in [
        ({"directory": ""}, "`directory` must be the path of a folder"),
        ({"max_to_keep": 0}, "`max_to_keep` must be a positive integer or None, received 0"),
        ({"save_freq": 0}, "`save_freq` must be 'epoch' or a number of batches, received 0"),
        ({"mode": "least"}, "`mode` must be"),
    ]:
        with pytest.raises(ValueError, match=words):
            hb.callbacks.OrbaxCheckpoint(**{"directory": tmp_path, **arguments})


DIVIDED = """
import json, sys
import jax, numpy as np
import hornbeam as hb

D = hb.distribution
folder, chosen, action = sys.argv[1:]

def distribution():
    n = len(jax.devices())
    if chosen == "one":
        return None
    if chosen == "rules":
        rules = D.LayoutMap(D.DeviceMesh((2, n // 2), ["batch", "model"]))
        rules[".*kernel"] = (None, "model")
        return D.ModelParallel(layout_map=rules)
    return D.FullyShardedDataParallel(min_size=8)

def make():
    hb.utils.set_random_seed(1)
    model = hb.Sequential([hb.Input((8,)), hb.layers.Dense(12, name="a"),
                           hb.layers.BatchNormalization(), hb.layers.Dense(12, name="b")],
                          name="net")
    model.compile("adam", "mse", distribution=distribution())
    return model

x = np.random.default_rng(0).normal(size=(24, 8)).astype("float32")
y = x @ np.ones((8, 12), "float32")
model = make()
if action == "save":
    model.fit(x, y, verbose=0, callbacks=[hb.callbacks.OrbaxCheckpoint(folder + "/orbax")])
    model.save(folder + "/whole.keras")
    kernel = model.layers[0].kernel.stored
    assert kernel.addressable_shards[0].data.shape != kernel.shape
    assert getattr(kernel, "_npy_value", None) is None  # no joined copy stays behind
    parts = None
else:
    model.load_weights(folder + "/orbax")
    every = [*model.weights, *model.optimizer.variables]
    parts = {v.path: list(v.stored.addressable_shards[0].data.shape) for v in every}
    scope = distribution().scope() if chosen != "one" else None
    if scope:
        scope.__enter__()
    loaded = hb.saving.load_model(folder + "/orbax")
    whole = hb.saving.load_model(folder + "/whole.keras")
    for other in (loaded, whole):
        for a, b in zip(model.weights, other.weights, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
            assert a.stored.sharding.is_equivalent_to(b.stored.sharding, a.stored.ndim)
weights = [w.tolist() for w in model.get_weights()]
slots = [v.numpy().tolist() for v in model.optimizer.variables if "momentum" in v.path]
again = model.fit(x, y, verbose=0, shuffle=False).history["loss"]
print(json.dumps([weights, slots, again, parts]))
"""


def run(program, devices, *arguments):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_parts_on_four_devices_are_loaded_on_others(tmp_path):
    weights, slots, loss, _ = run(DIVIDED, 4, tmp_path, "fsdp", "save")
    kernels = {"fsdp": [8, 4], "rules": [8, 6], "one": [8, 12]}
    for devices, chosen in [(3, "fsdp"), (4, "rules"), (1, "one")]:
        found = run(DIVIDED, devices, tmp_path, chosen, "load")
        assert found[:2] == [weights, slots]
        np.testing.assert_allclose(found[2], loss, rtol=1e-5)
        assert found[3]["net/a/kernel"] == kernels[chosen]
        assert found[3]["adam/net_a_kernel_momentum"] == kernels[chosen]


KILLED = """
import os, sys, threading, time
import numpy as np
import hornbeam as hb

class Kill(hb.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:  # while threads write the third checkpoint
            threading.Timer(float(sys.argv[2]), lambda: os.kill(os.getpid(), 9)).start()
            time.sleep(5)

model = hb.Sequential([hb.Input((512,)), hb.layers.Dense(4096, name="a")], name="net")
model.compile("sgd", "mse")
x = np.ones((8, 512), "float32")
callbacks = [hb.callbacks.OrbaxCheckpoint(sys.argv[1]), Kill()]
model.fit(x, np.zeros((8, 4096)), epochs=4, callbacks=callbacks, verbose=0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1])
def test_a_kill_during_a_save_leaves_a_checkpoint(tmp_path, seconds):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "c", str(seconds)])
    assert done.returncode == -9
    loaded = hb.saving.load_model(tmp_path / "c")
    assert int(loaded.optimizer.iterations.numpy()) in (2, 3)
    loaded.fit(
        np.ones((8, 512), "float32"),
        np.zeros((8, 4096)),
        callbacks=[hb.callbacks.OrbaxCheckpoint(tmp_path / "c")],
        verbose=0,
    )
    assert len([p for p in Path(tmp_path / "c").iterdir() if not p.name.isdecimal()]) == 0
    jax.block_until_ready(hb.saving.load_model(tmp_path / "c").weights[0].value)
