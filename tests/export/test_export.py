"""Exported models: results, contents, and damaged or hostile files."""

from __future__ import annotations

import dataclasses
import json
import re
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export as jax_export

import hornbeam as hb
from hornbeam import export
from hornbeam.ops import routes

L = hb.layers


def images():
    return hb.Sequential(
        [
            hb.Input((12, 12, 3)), L.Conv2D(64, 3, padding="same"), L.BatchNormalization(),
            L.ReLU(), L.MaxPooling2D(),
            L.DepthwiseConv2D(3), L.Dropout(0.5), L.GlobalAveragePooling2D(), L.Dense(5, "softmax"),
        ]
    )  # fmt: skip


def texts():
    words = hb.Input((None,), dtype="int32")
    x = L.Embedding(3000, 24, mask_zero=True)(words)
    x = L.Bidirectional(L.LSTM(16, return_sequences=True))(x)
    return hb.Model(words, L.Dense(3)(L.GRU(16)(x)))


def attention():
    x = hb.Input((8, 16))
    y = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 8)(x, x)]))
    return hb.Model(x, L.Dense(16, "gelu")(y))


def named():
    a, b = hb.Input((3,), name="a"), hb.Input((4,), name="b")
    both = L.Concatenate()([a, b])
    return hb.Model({"a": a, "b": b}, {"sum": L.Dense(2)(both), "parts": [a, L.Dense(1)(b)]})


def half():
    return hb.Sequential([hb.Input((6,)), L.Dense(8, "relu", dtype="mixed_bfloat16"), L.Dense(2)])


def inputs_of(name, count):
    rng = np.random.default_rng(count)
    if name == "texts":
        return rng.integers(0, 3000, (count, 5 + count)).astype("int32")
    if name == "named":
        return {
            "b": rng.normal(size=(count, 4)).astype("float32"),
            "a": rng.normal(size=(count, 3)).astype("float32"),
        }
    sizes = {"images": (12, 12, 3), "attention": (8, 16), "half": (6,)}
    return rng.normal(size=(count, *sizes[name])).astype("float32")


MODELS = {function.__name__: function for function in (images, texts, attention, named, half)}


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_program_computes_what_the_model_does_for_any_batch(name, tmp_path):
    model = MODELS[name]()
    export.export_stablehlo(model, tmp_path / "model.stablehlo")
    program = export.load_stablehlo(tmp_path / "model.stablehlo")
    assert list(program.weights) == [weight.path for weight in model.weights]
    for count in (1, 3):
        inputs = inputs_of(name, count)
        wanted, given = model(inputs), program(inputs)
        assert jax.tree.structure(wanted) == jax.tree.structure(given)
        for a, b in zip(jax.tree.leaves(wanted), jax.tree.leaves(given), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(
                np.asarray(b, "float32"), np.asarray(a, "float32"), rtol=1e-3, atol=1e-4
            )


def custom_calls(model, inputs):
    function, weights = export.exporter.pure_call(model)
    exported = jax_export.export(jax.jit(function))([weight.value for weight in weights], inputs)
    return set(re.findall(r"custom_call @([\w.]+)", exported.mlir_module()))


@pytest.mark.parametrize("name", MODELS)
def test_a_portable_program_calls_no_kernel_of_ours(name):
    assert not any("hornbeam" in call for call in custom_calls(MODELS[name](), inputs_of(name, 3)))


@pytest.mark.skipif(routes.why_plain("float32") is not None, reason="no native kernels here")
@pytest.mark.parametrize("name", ["images", "texts"])
def test_without_portable_the_same_programs_would_call_kernels(name):
    model, inputs = MODELS[name](), inputs_of(name, 3)
    assert "hornbeam" in jax.jit(lambda x: model(x)).lower(inputs).as_text()


class Positions(L.Layer):
    """Adds numbers of positions, divided by the length."""

    def call(self, x):
        length = hb.ops.shape(x)[1]
        positions = hb.ops.cast(hb.ops.arange(0, length), x.dtype)
        return x + positions[:, None] / hb.ops.cast(length, x.dtype)


def of_any_size():
    """Return a model of many kinds of layers, whose batch and length are open."""
    inputs = hb.Input((None, 4))
    x = L.Conv1D(8, 3, padding="same", strides=2, activation="relu")(inputs)
    x = L.MaxPooling1D(2, padding="same")(L.DepthwiseConv1D(2, padding="same")(x))
    x = L.AveragePooling1D(2, 1, padding="same")(L.Conv1DTranspose(8, 3, 2)(x))
    x = Positions()(x)
    x = L.Dense(8, "gelu")(L.LayerNormalization()(x) + L.MultiHeadAttention(2, 4)(x, x))
    x = L.Bidirectional(L.GRU(3, return_sequences=True))(L.LSTM(3, return_sequences=True)(x))
    return hb.Model(inputs, L.Dense(3)(L.AveragePooling1D(2)(x)))


def test_jax_export_leaves_sizes_open_and_calls_no_kernel():
    model, scope = of_any_size(), jax_export.SymbolicScope()
    for sizes in ((3, 9), jax_export.symbolic_shape("b, n", scope=scope)):
        exported = jax_export.export(jax.jit(lambda x: model(x)))(
            jax.ShapeDtypeStruct((*sizes, 4), "float32")
        )
        assert "custom_call @hornbeam" not in exported.mlir_module()
        inputs = np.random.default_rng(0).normal(size=(3, 9, 4)).astype("float32")
        np.testing.assert_allclose(exported.call(inputs), model(inputs), rtol=1e-4, atol=1e-5)


def test_jax_export_of_a_training_step_leaves_the_batch_open():
    model = hb.Sequential(
        [hb.Input((16,)), L.Dense(5000, "relu"), L.Dropout(0.5, seed=1), L.Dense(3)]
    )
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    groups = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
    state = tuple([v.value for v in group] for group in groups)

    def step(state, x):
        def loss(weights):
            outputs, _ = model.stateless_call(weights, state[1], x, training=True)
            return jax.numpy.mean(outputs**2)

        gradients = jax.grad(loss)(state[0])
        return model.optimizer.stateless_apply(state[2], gradients, state[0])[0]

    (batch,) = jax_export.symbolic_shape("b")
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), state)
    exported = jax_export.export(jax.jit(step))(
        shapes, jax.ShapeDtypeStruct((batch, 16), "float32")
    )
    assert "custom_call @hornbeam" not in exported.mlir_module()
    inputs = np.random.default_rng(0).normal(size=(4, 16)).astype("float32")
    for ours, plain in zip(exported.call(state, inputs), step(state, inputs), strict=True):
        np.testing.assert_allclose(ours, plain, atol=3e-3)


def test_a_program_for_several_platforms_runs_here(tmp_path):
    model = attention()
    export.export_stablehlo(model, tmp_path / "m", platforms=("cpu", "cuda", "tpu"))
    inputs = inputs_of("attention", 2)
    np.testing.assert_allclose(
        export.load_stablehlo(tmp_path / "m")(inputs), model(inputs), rtol=1e-3, atol=1e-4
    )


def test_a_signature_gives_inputs_to_a_model_that_has_none(tmp_path):
    class Sums(hb.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, pair):
            return self.dense(pair[0] + pair[1])

    model = Sums()
    pair = [np.ones((2, 3), "float32"), np.ones((2, 3), "float32")]
    model(pair)
    with pytest.raises(
        ValueError, match=r"does not know the shapes of its inputs.*Pass `input_signature`"
    ):
        export.export_stablehlo(model, tmp_path / "m")
    with pytest.raises(ValueError, match="must hold objects with a `shape`"):
        export.export_stablehlo(model, tmp_path / "m", ["float32", "float32"])
    assert not (tmp_path / "m").exists()
    export.export_stablehlo(
        model,
        tmp_path / "m",
        [hb.KerasTensor((None, 3)), jax.ShapeDtypeStruct((None, 3), "float32")],
    )
    program = export.load_stablehlo(tmp_path / "m")
    np.testing.assert_allclose(program([x[:1] for x in pair]), model(pair)[:1], rtol=1e-6)
    with pytest.raises(ValueError, match="must have the structure"):
        program(pair[0])
    with pytest.raises(ValueError, match="shape"):
        program([np.ones((2, 4)), np.ones((2, 4))])


def test_platforms_that_do_not_exist_are_refused(tmp_path):
    for platforms in ((), ("abacus",)):
        with pytest.raises(
            ValueError, match="`platforms` must be some of 'cpu', 'cuda', 'rocm', 'tpu'"
        ):
            export.export_stablehlo(half(), tmp_path / "m", platforms=platforms)


def test_a_model_that_calls_back_into_python_is_refused(tmp_path):
    def doubled(x):
        return jax.pure_callback(
            lambda a: a * 2, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential"
        )

    model = hb.Sequential([hb.Input((3,), batch_size=2), L.Lambda(doubled, output_shape=(3,))])
    with pytest.raises(
        ValueError, match=r"cannot be exported: .*callback.*Leave out layers that call back"
    ):
        export.export_stablehlo(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_size_that_must_be_a_number_is_asked_for(tmp_path):
    x = hb.Input((None, 4))
    model = hb.Model(x, L.Dense(2)(hb.ops.reshape(x, (-1, 8))))
    with pytest.raises(ValueError, match="set it with `input_signature`"):
        export.export_stablehlo(model, tmp_path / "m")
    export.export_stablehlo(model, tmp_path / "m", hb.KerasTensor((None, 6, 4)))
    inputs = np.ones((2, 6, 4), "float32")
    np.testing.assert_allclose(
        export.load_stablehlo(tmp_path / "m")(inputs), model(inputs), rtol=1e-5
    )


def test_each_exporter_is_found_by_its_name(tmp_path):
    assert all(exporter.name == name for name, exporter in export.EXPORTERS.items())
    model = half()
    export.EXPORTERS["stablehlo"].write(model, tmp_path / "m", platforms=["cpu"])
    inputs = inputs_of("half", 2)
    np.testing.assert_allclose(
        export.load_stablehlo(tmp_path / "m")(inputs), model(inputs), rtol=1e-2, atol=1e-2
    )


# --- invalid files --------------------------------------------------------------------------------


@pytest.fixture
def members(tmp_path):
    export.export_stablehlo(half(), tmp_path / "good")
    with zipfile.ZipFile(tmp_path / "good") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(folder, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(folder / "bad", "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return folder / "bad"


def changed(edit):
    def change(members):
        signature = json.loads(members["signature.json"])
        edit(signature)
        return members | {"signature.json": json.dumps(signature).encode()}

    return change


HOSTILE = {
    "another format": (changed(lambda s: s.update(format=2)), "expected format version"),
    "no object": (lambda m: m | {"signature.json": b"[]"}, "expected format version"),
    "no signature": (lambda m: {k: v for k, v in m.items() if "json" not in k},
        "not a StableHLO file"),
    "a member more": (lambda m: m | {"../evil.py": b""}, "not a StableHLO file"),
    "no program": (lambda m: m | {"program.mlirbc": b"MLfR nothing"}, "cannot be loaded"),
    "half a program": (lambda m: m | {"program.mlirbc": m["program.mlirbc"][:200]},
        "cannot be loaded"),
    "weights too short": (lambda m: m | {"weights.bin": m["weights.bin"][:-4]}, "do not fit"),
    "weights too long": (lambda m: m | {"weights.bin": m["weights.bin"] + b"0000"}, "do not fit"),
    "a weight of any size": (changed(lambda s: s["weights"][0].update(shape=[2**40, 2**40])),
        "do not fit"),
    "a negative size": (changed(lambda s: s["weights"][0].update(shape=[-1])), "has the shape"),
    "a weight twice": (changed(lambda s: s["weights"].append(dict(s["weights"][0]))), "do not fit"),
    "no dtype": (changed(lambda s: s["inputs"].update(dtype="object")), "object"),
    "a size that is code": (changed(lambda s: s["inputs"].update(shape=["__import__('os')", 6])),
        "has the size"),
    "a power": (changed(lambda s: s["inputs"].update(shape=["batch**9**9**9", 6])), "has the size"),
    "a long size": (changed(lambda s: s["inputs"].update(shape=["a+" * 500 + "a", 6])),
        "has the size"),
    "another kind of node": (changed(lambda s: s.update(inputs=["set", []])), "cannot be loaded"),
    "another platform": (changed(lambda s: s.update(platforms=["abacus"])), "not known"),
    "a later convention": (changed(lambda s: s.update(calling_convention=10**6)),
        "calling convention"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_wrong_with_a_file_is_a_file_error(change, message, members, tmp_path):
    with pytest.raises(hb.saving.FileError, match=message):
        export.load_stablehlo(written(tmp_path, change(members)))


def test_compressed_members_and_other_files_are_refused(members, tmp_path):
    with pytest.raises(hb.saving.FileError, match="neither compressed nor encrypted"):
        export.load_stablehlo(written(tmp_path, members, zipfile.ZIP_DEFLATED))
    (tmp_path / "text").write_text("no zip")
    with pytest.raises(hb.saving.FileError, match="zip"):
        export.load_stablehlo(tmp_path / "text")
    with pytest.raises(FileNotFoundError, match="no file at"):
        export.load_stablehlo(tmp_path)


def test_a_bit_that_fell_over_is_found(members, tmp_path):
    data = bytearray((tmp_path / "good").read_bytes())
    data[data.index(members["program.mlirbc"]) + 50] ^= 1
    (tmp_path / "good").write_bytes(data)
    with pytest.raises(hb.saving.FileError, match="CRC"):
        export.load_stablehlo(tmp_path / "good")


@pytest.mark.parametrize(
    "target", ["xla_ffi_python_cpu_callback", "hornbeam_convolution", "odd name", "stablehlo.a b"]
)
def test_a_program_that_calls_a_library_is_refused(target, members, tmp_path):
    def call(weights, inputs):
        return jax.ffi.ffi_call(target, jax.ShapeDtypeStruct((2, 2), jnp.float32))(inputs)

    weights = [
        jax.ShapeDtypeStruct(w["shape"], w["dtype"])
        for w in json.loads(members["signature.json"])["weights"]
    ]
    allowed = [jax_export.DisabledSafetyCheck.custom_call(target)]
    made = jax_export.export(jax.jit(call, keep_unused=True), disabled_checks=allowed)
    hostile = made(weights, jax.ShapeDtypeStruct((2, 6), "float32"))
    path = written(tmp_path, members | {"program.mlirbc": hostile.mlir_module_serialized})
    with pytest.raises(hb.saving.FileError, match=f"calls '{target}'"):
        export.load_stablehlo(path)


def test_a_program_of_another_signature_fails_when_it_is_called(members, tmp_path):
    signature = json.loads(members["signature.json"])
    signature["outputs"]["shape"] = ["batch", 7]
    path = written(tmp_path, members | {"signature.json": json.dumps(signature).encode()})
    program = export.load_stablehlo(path)
    with pytest.raises(Exception, match="func.call|type"):
        program(inputs_of("half", 2))


def test_a_loaded_program_cannot_be_changed(tmp_path):
    export.export_stablehlo(half(), tmp_path / "m")
    with pytest.raises(dataclasses.FrozenInstanceError):
        export.load_stablehlo(tmp_path / "m").inputs = None
