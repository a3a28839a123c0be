"""Several devices give the same results as one. A separate process has four CPU devices."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.distribution import DataParallel, DeviceMesh, TensorLayout

TRAIN = """
import json, sys
import jax, numpy as np
import hornbeam as hb

assert len(hb.distribution.list_devices()) == hb.distribution.get_device_count() == 4
rng = np.random.default_rng(0)
images, labels = rng.normal(size=(45, 6, 6, 2)).astype("float32"), rng.integers(0, 3, 45)

def trained(distribution):
    hb.utils.clear_session()
    hb.utils.set_random_seed(3)
    model = hb.Sequential([
        hb.Input((6, 6, 2)), hb.layers.Conv2D(4, 3), hb.layers.BatchNormalization(),
        hb.layers.ReLU(), hb.layers.Flatten(), hb.layers.Dropout(0.3), hb.layers.Dense(3),
    ])
    hb.distribution.set_distribution(distribution)
    loss = hb.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(hb.optimizers.SGD(0.05, momentum=0.9), loss, ["accuracy"])
    history = model.fit(images, labels, epochs=3, batch_size=8, validation_split=0.2, verbose=0)
    placed = [len(w.stored.sharding.device_set) for w in model.weights]
    batches = model.fit(
        iter([(images[:8], labels[:8])] * 3), epochs=1, steps_per_epoch=3, verbose=0)
    results = {
        "history": history.history, "batches": batches.history,
        "weights": [w.tolist() for w in model.get_weights()],
        "predictions": model.predict(images, batch_size=16, verbose=0).tolist(),
        "one": model.predict(images[:3], verbose=0).tolist(),
        "assigned": None,
    }
    model.set_weights([np.full_like(w, 0.1) for w in model.get_weights()])
    results["assigned"] = model.train_on_batch(images[:8], labels[:8], return_dict=True)
    hb.distribution.set_distribution(None)
    # Back on one device, the same model goes on.
    results["after"] = model.evaluate(images, labels, verbose=0, return_dict=True)
    return results, placed

one, on_one = trained(None)
with hb.distribution.DataParallel().scope() as data_parallel:
    assert hb.distribution.distribution() is data_parallel
    assert data_parallel.num_model_replicas == 4
assert hb.distribution.distribution() is None
four, on_four = trained(hb.distribution.DataParallel(devices=[f"cpu:{i}" for i in range(4)]))
batch = hb.distribution.DataParallel().batch_sharding((8, 2), 0)
shard = jax.device_put(np.zeros((8, 2)), batch).addressable_shards[0].data.shape
print(json.dumps({"one": one, "four": four, "placed": [on_one, on_four], "shard": shard}))
"""


@pytest.fixture(scope="module")
def trained():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-c", TRAIN],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_four_devices_train_and_predict_as_one(trained):
    leaves = jax.tree.leaves(trained["one"]), jax.tree.leaves(trained["four"])
    np.testing.assert_allclose(*leaves, rtol=2e-4, atol=2e-5)


def test_variables_lie_on_all_devices_and_batches_are_divided(trained):
    assert set(trained["placed"][0]) == {1}
    assert set(trained["placed"][1]) == {4}
    assert trained["shard"] == [2, 2]


def test_mesh_and_layouts():
    mesh = DeviceMesh((1, 1), ["batch", "model"], devices=["cpu:0"])
    assert (mesh.shape, mesh.axis_names) == ((1, 1), ["batch", "model"])
    assert mesh.devices.tolist() == [["cpu:0"]]
    assert dict(mesh.backend_mesh.shape) == {"batch": 1, "model": 1}
    layout = TensorLayout([None, "model"])
    with pytest.raises(ValueError, match="set `device_mesh`"):
        _ = layout.backend_layout
    layout.device_mesh = mesh
    assert layout.backend_layout.spec == jax.sharding.PartitionSpec(None, "model")
    with pytest.raises(ValueError, match="already set"):
        layout.device_mesh = mesh
    data_parallel = DataParallel(mesh)
    assert data_parallel.batch_dim_name == "batch"
    assert data_parallel.get_data_layout((8, 3)).axes == ("batch", None)
    assert data_parallel.get_variable_layout(hb.Variable(np.zeros((2, 2)))).axes == (None, None)
    assert data_parallel.get_tensor_layout("dense/kernel") is None
    assert (data_parallel.num_processes, data_parallel.auto_shard_dataset) == (1, True)


WRONG = {
    "no shape": (lambda: DeviceMesh((), []), "one entry per axis"),
    "names": (lambda: DeviceMesh((1,), ["a", "b"]), "one entry per axis"),
    "number": (lambda: DeviceMesh((3,), ["a"], devices=["cpu:0"]), "for 3 devices, received 1"),
    "device": (lambda: DeviceMesh((1,), ["a"], devices=["cpu:99"]), "no device 'cpu:99'"),
    "type of device": (lambda: hb.distribution.list_devices("nonsense"), "received 'nonsense'"),
    "axis": (lambda: TensorLayout(["x"], DeviceMesh((1,), ["a"], ["cpu:0"])), "received 'x'"),
    "mesh": (lambda: DataParallel(3), "must be a DeviceMesh"),
    "both": (lambda: DataParallel(DeviceMesh((1,), ["a"], ["cpu:0"]), ["cpu:0"]), "give either"),
    "distribution": (lambda: hb.distribution.set_distribution("data"), "must be a distribution"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_say_what_is_wrong(case):
    make, words = WRONG[case]
    with pytest.raises((TypeError, ValueError), match=words):
        make()
