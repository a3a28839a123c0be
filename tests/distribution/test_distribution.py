"""Several devices give the same results as one. A separate process has four CPU devices."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.distribution import DataParallel, DeviceMesh, TensorLayout

TRAIN = """
import contextlib, json, re, sys
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

# Each strategy, chosen by `compile` or by a scope, trains as one device does.
D = hb.distribution
mesh = D.DeviceMesh((2, 2), ["batch", "model"])
rules = D.LayoutMap(mesh)
rules["net/c/kernel"], rules["net/d/kernel"] = (None, None, None, "model"), ("model", None)
rules["net/c/output"] = ("batch", None, None, "model")
rules["net/none"] = (None,)

def strategy(chosen):
    hb.utils.clear_session()
    hb.utils.set_random_seed(3)
    in_scope = isinstance(chosen, D.ModelParallel)
    with chosen.scope() if in_scope else contextlib.nullcontext():
        model = hb.Sequential([
            hb.Input((6, 6, 2)), hb.layers.Conv2D(8, 3, name="c"), hb.layers.ReLU(),
            hb.layers.BatchNormalization(), hb.layers.Flatten(), hb.layers.Dense(4, name="d"),
        ], name="net")
        first = str(model.layers[0].kernel.stored.sharding.is_fully_replicated)
        loss = hb.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(
            hb.optimizers.SGD(0.05, momentum=0.9), loss, ["accuracy"],
            distribution=None if in_scope else chosen)
        weights = np.linspace(0.5, 2, 45)
        history = model.fit(
            images, labels, batch_size=8, verbose=0, sample_weight=weights, class_weight={0: 2.0})
        parts = {v.path: list(v.stored.addressable_shards[0].data.shape)
                 for v in [*model.weights, *model.optimizer.variables]}
        predictions = model.predict(images[:5], verbose=0).tolist()
        model.save_weights(sys.argv[1])
        model.load_weights(sys.argv[1])
        again = model.predict(images[:5], verbose=0).tolist()
        said = []
        D.table(model, print_fn=said.append)
    return [history.history, [w.tolist() for w in model.get_weights()], predictions], {
        "parts": parts, "loads": again == predictions, "table": said[0], "replicated": first}

chosen = {"one": None, "data": "data", "fsdp": D.FullyShardedDataParallel(min_size=8),
          "tensor": "tensor", "rules": D.ModelParallel(layout_map=rules), "auto": "auto"}
strategies = {name: strategy(value) for name, value in chosen.items()}
whole = D.distribute_tensor(np.arange(8.0), D.TensorLayout(["model"], mesh))
total = D.shard_map(lambda x: jax.lax.psum(x.sum(), "model"), mesh, [["model"]], [])
assert whole.addressable_shards[0].data.shape == (4,) and float(total(whole)) == 28
shard = jax.device_put(np.zeros((8, 2)), batch).addressable_shards[0].data.shape

# Seven rows on four devices: each gets two, one of them zeros that no result sees.
from hornbeam.core.placement import place_batch, without_filling
data, rows = D.DataParallel(), rng.normal(size=(7, 2)).astype("float32")
placed, weights = place_batch(data, rows, 0), np.ones((2, 64), "float32")
square = jax.jit(lambda x: ((without_filling(data, x) @ weights) ** 2).mean(0))
np.testing.assert_allclose(square(placed), square(rows), rtol=1e-6)
part = placed.array.addressable_shards[0].data.shape
program = square.lower(placed).compile().as_text()
products = sorted(set(re.findall(r"f32.(\\d+),64.[^=]* dot.", program)))
print(json.dumps({"one": one, "four": four, "placed": [on_one, on_four], "shard": shard,
                  "part": part, "products": products,
                  "strategies": strategies}))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path_factory.mktemp("d") / "a.weights.h5")],
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


def test_batches_that_cannot_be_divided_equally_are_divided_too(trained):
    assert (trained["part"], trained["products"]) == ([2, 2], ["2"])


@pytest.mark.parametrize("name", ["data", "fsdp", "tensor", "rules", "auto"])
def test_every_strategy_trains_as_one_device(trained, name):
    results, _ = trained["strategies"][name]
    one, _ = trained["strategies"]["one"]
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(results), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


# The part of each variable that a device keeps: kernel (3, 3, 2, 8), bias (8,), kernel (128, 4).
PARTS = {
    "one": [[3, 3, 2, 8], [8], [128, 4]],
    "data": [[3, 3, 2, 8], [8], [128, 4]],
    "auto": [[3, 3, 2, 8], [8], [128, 4]],
    "fsdp": [[3, 3, 2, 2], [2], [32, 4]],
    "tensor": [[3, 3, 2, 2], [2], [128, 1]],
    "rules": [[3, 3, 2, 4], [8], [64, 4]],
}


@pytest.mark.parametrize("name", PARTS)
def test_variables_and_slots_are_divided(trained, name):
    _, found = trained["strategies"][name]
    for start, end in (("net/", ""), ("sgd/net_", "_momentum")):
        parts = [
            found["parts"].get(f"{start}{path.replace('/', '_' if end else '/')}{end}")
            for path in ("c/kernel", "c/bias", "d/kernel")
        ]
        assert parts == PARTS[name], (start, sorted(found["parts"]))
    assert found["loads"]
    # Under a scope the first value is made in parts already.
    assert found["replicated"] == str(name != "rules")


def test_the_table_names_rules_without_effect(trained):
    text = trained["strategies"]["rules"][1]["table"]
    assert "Layouts of 'net', devices: 4" in text
    assert "The rule 'net/none' matches no variable" in text
    assert "'net/c/output'" not in text
    fsdp = trained["strategies"]["fsdp"][1]["table"]
    assert "net/d/kernel" in fsdp
    assert "('batch', None)" in fsdp
    assert "512" in fsdp  # bytes of 32 x 4 numbers


def test_layout_map_takes_the_only_rule_of_a_whole_path():
    mesh = DeviceMesh((1, 1), ["batch", "model"], devices=["cpu:0"])
    rules = hb.distribution.LayoutMap(mesh)
    rules["a"], rules["a.*"] = ("model",), TensorLayout([None])
    assert (rules["a"].axes, rules["ab"].axes, rules["ba"]) == (("model",), (None,), None)
    assert (list(rules), len(rules), "a" in rules, "ab" in rules) == (["a", "a.*"], 2, True, False)
    assert rules["ab"].device_mesh is mesh
    rules[".*b"] = ("batch",)
    with pytest.raises(ValueError, match="matches 2 keys, 'a.*', '.*b'"):
        _ = rules["ab"]
    del rules["a.*"]
    assert rules["ab"].axes == ("batch",)
    with pytest.raises(KeyError):
        del rules["a.*"]
    parallel = hb.distribution.ModelParallel(layout_map=rules, batch_dim_name="model")
    assert (parallel.batch_dim_name, parallel.data_shard_id, parallel.layout_map) == (
        "model", 0, rules,
    )  # fmt: skip
    assert parallel.distribute_dataset([1]) == parallel.distribute_tf_dataset([1]) == [1]
    own = hb.Variable(np.zeros((2, 2)), layout=TensorLayout([None, "model"], mesh))
    assert parallel.get_variable_layout(own).axes == (None, "model")


def test_the_programs_of_the_page(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).resolve().parents[2] / "docs" / "distribution.md"
    programs = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    assert len(programs) == 5
    for program in programs:
        exec(compile(program, str(page), "exec"), {})
    assert "All variables: 1,628,208 bytes per device" in capsys.readouterr().out


def test_distributions_have_names():
    found = [type(hb.distribution.choose(name)) for name in ("data", "fsdp", "tensor", None)]
    assert found == [
        DataParallel, hb.distribution.FullyShardedDataParallel, hb.distribution.TensorParallel,
        type(None),
    ]  # fmt: skip
    assert hb.distribution.choose("auto") is None  # there is one device
    one = hb.distribution.TensorParallel(["cpu:0"])
    assert hb.distribution.choose(one) is one


def rules_of(key, axes):
    rules = hb.distribution.LayoutMap(DeviceMesh((1, 1), ["batch", "model"], devices=["cpu:0"]))
    rules[key] = axes
    return rules


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
    "names twice": (lambda: DeviceMesh((1, 1), ["a", "a"], devices=["cpu:0"]), "must differ"),
    "device twice": (lambda: DeviceMesh((2,), ["a"], devices=["cpu:0"] * 2), "must differ"),
    "axis twice": (lambda: TensorLayout(["a", None, "a"]), "at most once"),
    "type of device": (lambda: hb.distribution.list_devices("nonsense"), "received 'nonsense'"),
    "axis": (lambda: TensorLayout(["x"], DeviceMesh((1,), ["a"], ["cpu:0"])), "received 'x'"),
    "mesh": (lambda: DataParallel(3), "must be a DeviceMesh"),
    "both": (lambda: DataParallel(DeviceMesh((1,), ["a"], ["cpu:0"]), ["cpu:0"]), "give either"),
    "rule twice": (lambda: rules_of("a", ("model",)).update(a=("model",)), "'a' is there already"),
    "rule": (lambda: rules_of("a", 3), "the layout of 'a' must be a TensorLayout .*received 3"),
    "rule's axis": (lambda: rules_of("a", ("x",)), "received 'x'"),
    "expression": (lambda: rules_of("(", ("model",)), "'\\(' is no regular expression"),
    "no rules": (lambda: hb.distribution.ModelParallel(), "must be a LayoutMap, received None"),
    "batch axis": (
        lambda: hb.distribution.ModelParallel(
            layout_map=rules_of("a", ("model",)), batch_dim_name="x"
        ),
        "`batch_dim_name` must name an axis of the mesh.*received 'x'",
    ),
    "unknown argument": (
        lambda: hb.distribution.ModelParallel(layout_map=rules_of("a", ("model",)), foo=1),
        "unexpected argument 'foo'",
    ),
    "another mesh": (
        lambda: hb.distribution.ModelParallel(
            layout_map=rules_of("a", ()), device_mesh=DeviceMesh((1,), ["a"], ["cpu:0"])
        ),
        "is not the mesh of `layout_map`",
    ),
    "rank": (
        lambda: hb.distribution.ModelParallel(
            layout_map=rules_of(".*", ("model",))
        ).get_variable_layout(hb.Variable(np.zeros((2, 2)), name="w")),
        "of the variable 'w' has 1 axes, expected 2",
    ),
    "layout": (lambda: hb.distribution.distribute_tensor(np.zeros(2), 3), "must be a TensorLayout"),
    "name": (lambda: hb.distribution.choose("datta"), "must be a Distribution or one of 'auto'"),
    "compile": (
        lambda: hb.Sequential([hb.layers.Dense(1)]).compile(distribution="datta"),
        "compile: `distribution` must be a Distribution, None, or one of 'auto'.*received 'datta'",
    ),
    "no variables": (
        lambda: hb.distribution.table(hb.Sequential([hb.layers.Dense(1)])),
        "has no variables yet",
    ),
    "process": (
        lambda: hb.distribution.initialize("127.0.0.1:1", 2, 2),
        "`process_id` must be from 0 to 1",
    ),
    "processes": (lambda: hb.distribution.initialize("a:1", "two", 0), "must be an integer"),
    "address": (lambda: hb.distribution.initialize("here", 2, 0), "an address and a port"),
    "distribution": (lambda: hb.distribution.set_distribution("data"), "must be a distribution"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_say_what_is_wrong(case):
    make, words = WRONG[case]
    with pytest.raises((TypeError, ValueError), match=words):
        make()
