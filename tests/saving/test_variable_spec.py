"""`variable_serialization_spec`: which variables files hold, and in which order."""

import h5py
import numpy as np
import pytest

import hornbeam as hb
from hornbeam import layers

SCALES = ["kernel_scale", "kernel_zero"]


def test_specs_are_keras_s():
    spec = layers.Dense(3).variable_serialization_spec
    assert spec == layers.EinsumDense("ab,bc->ac", 3).variable_serialization_spec
    assert list(spec) == [None, "int8", "int4", "float8", "gptq", "awq"]
    assert spec[None] == ["kernel", "bias"]
    assert spec["int8"] == ["kernel", "bias", "kernel_scale"]
    assert spec["awq"] == ["bias", "quantized_kernel", *SCALES, "awq_scales", "g_idx"]
    spec = layers.Embedding(4, 2).variable_serialization_spec
    assert spec == layers.ReversibleEmbedding(4, 2).variable_serialization_spec == {
        None: ["embeddings"], "int8": ["embeddings", "embeddings_scale"],
        "int4": ["embeddings", "embeddings_scale", "embeddings_zero", "g_idx"],
    }  # fmt: skip


def _model(names):
    class Own(layers.Dense):
        variable_serialization_spec = property(lambda self: {None: names})

    return hb.Sequential([hb.Input((4,)), Own(3, bias_initializer="ones", name="d")])


def test_another_order(tmp_path):
    path = tmp_path / "a.weights.h5"
    model = _model(["bias", "kernel"])
    model.save_weights(path)
    with h5py.File(path) as file:
        assert file["layers/own/vars/0"].shape == (3,)
    other = _model(["bias", "kernel"])
    other.load_weights(path)
    np.testing.assert_array_equal(other.layers[0].kernel.value, model.layers[0].kernel.value)
    with pytest.raises(ValueError, match="shape"):
        _model(["kernel", "bias"]).load_weights(path)


def test_fewer_variables(tmp_path):
    model, path = _model(["kernel"]), tmp_path / "b.weights.h5"
    model.save_weights(path)
    other = _model(["kernel"])
    other.layers[0].bias.assign([5.0, 6.0, 7.0])
    other.load_weights(path)
    assert other.layers[0].bias.numpy().tolist() == [5.0, 6.0, 7.0]
    np.testing.assert_array_equal(other.layers[0].kernel.value, model.layers[0].kernel.value)


def test_wrong_names(tmp_path):
    with pytest.raises(ValueError, match=r"/d'.*names \['nothing'\]"):
        _model(["kernel", "nothing"]).save_weights(tmp_path / "c.weights.h5")
