"""Weights of PyTorch in layers: axes turned, statistics placed, nothing half loaded."""

import re

import numpy as np
import pytest

import hornbeam as hb
from hornbeam import layers, models
from hornbeam.errors import FileError
from hornbeam.models.torch_weights import modules_in_order
from hornbeam.saving.safetensors import write_tensors

RANDOM = np.random.default_rng(0)


def draw(*shape):
    return RANDOM.uniform(0.5, 1.5, shape).astype("float32")


def network():
    image = hb.Input((4, 4, 2))
    x = layers.Conv2D(3, 2, name="conv")(image)
    x = layers.BatchNormalization(name="norm", epsilon=1e-5)(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise")(x)
    x = layers.Flatten()(x)
    return hb.Model(image, layers.Dense(5, name="dense")(layers.Dropout(0.5)(x)))


NAMES = {"conv": "a.0", "norm": "a.1", "depthwise": "b", "dense": "fc"}


def state():
    """Return the tensors as PyTorch's modules hold them."""
    return {
        "a.0.weight": draw(3, 2, 2, 2), "a.1.weight": draw(3), "a.1.bias": draw(3),
        "a.1.running_mean": draw(3), "a.1.running_var": draw(3),
        "a.1.num_batches_tracked": np.int64(7), "b.weight": draw(6, 1, 2, 2), "b.bias": draw(6),
        "fc.weight": draw(5, 24), "fc.bias": draw(5),
    }  # fmt: skip


def by_definition(x, t):
    """Compute the network as PyTorch defines its modules, on channels-first images."""
    x = np.moveaxis(x, -1, 1)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (2, 3))
    x = np.einsum("bchwij,ocij->bohw", windows, t["a.0.weight"])
    scale = t["a.1.weight"] / np.sqrt(t["a.1.running_var"] + 1e-5)
    x = (x - t["a.1.running_mean"][:, None, None]) * scale[:, None, None]
    x = np.repeat(x + t["a.1.bias"][:, None, None], 2, 1)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (2, 3))
    x = np.einsum("bohwij,oij->bohw", windows, t["b.weight"][:, 0]) + t["b.bias"][:, None, None]
    return x.reshape(len(x), -1) @ t["fc.weight"].T + t["fc.bias"]


def test_a_network_computes_as_its_modules(tmp_path):
    tensors = state()
    write_tensors(tmp_path / "m.safetensors", tensors)
    model = network()
    remarks = models.load_torch_weights(model, tmp_path / "m.safetensors", NAMES)
    assert remarks == ["conv: the file has no bias, so it is zero."]
    x = draw(2, 4, 4, 2)
    expected = by_definition(x, tensors)
    np.testing.assert_allclose(model(x), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


LAYERS = {
    "transposed": (lambda: layers.Conv2DTranspose(3, 2), (4, 4, 2), (2, 3, 2, 2), (2, 2, 3, 2)),
    "grouped": (lambda: layers.Conv1D(4, 3, groups=2), (9, 4), (4, 2, 3), (3, 2, 4)),
    "linear": (lambda: layers.Conv2D(3, 1), (4, 4, 2), (3, 2), (1, 1, 2, 3)),
    "pixel": (lambda: layers.Dense(3), (2,), (3, 2, 1, 1), (2, 3)),
}


@pytest.mark.parametrize("row", LAYERS)
def test_axes_are_turned(tmp_path, row):
    make, shape, given, kernel = LAYERS[row]
    model = hb.Sequential([hb.Input(shape), make()])
    tensors = {
        "m.weight": draw(*given),
        "m.bias": draw(kernel[-2] if row == "transposed" else kernel[-1]),
    }
    write_tensors(tmp_path / "m.safetensors", tensors)
    models.load_torch_weights(model, tmp_path / "m.safetensors", {model.layers[0].name: "m"})
    found = model.layers[0].kernel.numpy()
    assert found.shape == kernel
    axes = {"transposed": (2, 3, 1, 0), "grouped": (2, 1, 0)}.get(row, (1, 0))
    turned = tensors["m.weight"].reshape(given[: len(axes)]).transpose(axes)
    np.testing.assert_array_equal(found.reshape(turned.shape), turned)


def without(name):
    return lambda t: t.pop(name)


FAULTS = {
    "'norm': the file has no a.1.running_var": without("a.1.running_var"),
    "the file has 'extra.weight'": lambda t: t.update({"extra.weight": draw(2)}),
    "'conv': kernel has shape (2, 2, 2, 3); 'a.0.weight' in the file has (3, 4, 2, 2)": (
        lambda t: t.update({"a.0.weight": draw(3, 4, 2, 2)})
    ),
}


@pytest.mark.parametrize("message", FAULTS)
def test_nothing_is_half_loaded(tmp_path, message):
    tensors, model = state(), network()
    FAULTS[message](tensors)
    write_tensors(tmp_path / "m.safetensors", tensors)
    before = model.get_weights()
    with pytest.raises(FileError, match=re.escape(message)):
        models.load_torch_weights(model, tmp_path / "m.safetensors", NAMES)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    with pytest.warns(UserWarning, match=re.escape(message)):
        models.load_torch_weights(model, tmp_path / "m.safetensors", NAMES, skip_mismatch=True)
    np.testing.assert_array_equal(model.get_layer("dense").bias.numpy(), tensors["fc.bias"])


def test_errors_of_names_and_files(tmp_path):
    path = tmp_path / "m.safetensors"
    write_tensors(path, state())
    with pytest.raises(ValueError, match="Pass `names`"):
        models.load_torch_weights(network(), path)
    with pytest.raises(ValueError, match="Unknown layer in `names`"):
        models.load_torch_weights(network(), path, {"convolution": "a.0"})
    with pytest.raises(FileNotFoundError):
        models.load_torch_weights(network(), tmp_path / "none.safetensors", NAMES)
    damaged = path.read_bytes()[:-3]
    path.write_bytes(damaged)
    with pytest.raises(FileError, match="is damaged"):
        models.load_torch_weights(network(), path, NAMES)
    path.write_bytes(b"PK\x03\x04" + damaged)
    with pytest.raises(FileError, match="safetensors.torch.save_file"):
        models.load_torch_weights(network(), path, NAMES)


def test_modules_are_ordered_by_their_numbers():
    names = {"features.10.0.bias", "features.2.fc1.weight", "features.2.0.weight", "classifier.0"}
    expected = ["features.2.0", "features.2.fc1", "features.10.0", "classifier.0"]
    assert modules_in_order(names) == expected
