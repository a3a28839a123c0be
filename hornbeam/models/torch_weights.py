"""Weights of PyTorch's modules in layers: names, kernels turned, statistics placed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from hornbeam import errors, tree
from hornbeam.core.variable import Variable
from hornbeam.errors import FileError
from hornbeam.layers.conv import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv1D,
    DepthwiseConv2D,
)
from hornbeam.layers.core import Dense, Embedding
from hornbeam.layers.layer import Layer
from hornbeam.layers.normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
)
from hornbeam.layers.reshaping import Flatten, Reshape
from hornbeam.models.choice import all_layers, check_model
from hornbeam.models.functional import Functional
from hornbeam.models.model import Model
from hornbeam.models.sequential import Sequential
from hornbeam.objects.guard import one_error
from hornbeam.saving.layout import Differences, file_label
from hornbeam.saving.safetensors import looks_like_safetensors, read_tensors
from hornbeam.typing import FilePath

__all__ = ["KNOWN", "load_torch_weights", "modules_in_order"]

Names: TypeAlias = dict[str, str]
"""Names of PyTorch's modules by the names of layers."""

KNOWN: list[Callable[[Model, set[str]], tuple[Names, list[str]] | None]] = []
"""Functions that know a family of networks; `applications` adds them. Each takes the model and the
names in the file, and returns the names of modules and the differences of the two networks, or
`None` for another network."""

_CONVOLUTIONS = (Conv1D, Conv2D, Conv3D)
_TRANSPOSED = (Conv1DTranspose, Conv2DTranspose, Conv3DTranspose)
_DEPTHWISE = (DepthwiseConv1D, DepthwiseConv2D)
_OF_NORMALIZATION = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
    "moving_variance": "running_var",
}  # fmt: skip
_WITHOUT_MEANING = ("num_batches_tracked", "position_ids")


def load_torch_weights(
    model: Model,
    filepath: FilePath,
    names: Mapping[str, str] | None = None,
    skip_mismatch: bool = False,
) -> list[str]:
    """Load a `state_dict` of PyTorch from a `.safetensors` file into a built model.

    Kernels are turned to the order of axes here, and the statistics of `BatchNormalization` are
    placed. A dense layer after a `Flatten` gets its rows in the order of channels-last images. A
    bias that the file lacks becomes zero.

    Networks of `hornbeam.applications` know the names in files of torchvision, and some those of
    Hugging Face. Some of these networks pad or stride differently there: build them by their
    argument `weights` then, such as `ResNet50(weights=path)`.

    Args:
        model: The model.
        filepath: Path of the file. `safetensors.torch.save_file(module.state_dict(), path)` writes
            it.
        names: Names of PyTorch's modules by the names of layers, for other models, such as
            `{"conv1": "features.0"}`.
        skip_mismatch: Whether weights that do not fit are skipped with a warning.

    Returns:
        Remarks by layer, such as a bias that is zero.

    Raises:
        FileNotFoundError: If there is no such file.
        FileError: If the weights do not fit (the message lists all differences, and nothing is
            changed), or the file is damaged.
        ValueError: If `names` are needed or name no layer.

    Example:
        >>> import tempfile, hornbeam as hb, numpy as np
        >>> from hornbeam.saving.safetensors import write_tensors
        >>> path = tempfile.mkdtemp() + "/linear.safetensors"
        >>> write_tensors(path, {"fc.weight": np.ones((2, 3)), "fc.bias": np.zeros(2)})
        >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2, name="dense")])
        >>> load_torch_weights(model, path, names={"dense": "fc"})
        []
        >>> model.layers[0].kernel.shape
        (3, 2)
    """
    check_model("load_torch_weights", model)
    what = file_label(filepath)
    if not looks_like_safetensors(filepath):
        open(filepath, "rb").close()  # a missing file has its own error
        raise FileError(
            f"{what} is not a safetensors file. In PyTorch, call"
            " `safetensors.torch.save_file(module.state_dict(), path)`."
        )
    tensors = {
        name: value
        for name, value in read_tensors(filepath).items()
        if not name.endswith(_WITHOUT_MEANING)
    }
    found, differing = _names(model, names, set(tensors))
    with one_error(what):
        differences = Differences(what, skip_mismatch)
        differences.lines += differing
        jobs, remarks = _matched(model, found, tensors, differences)
        if differences.lines and not skip_mismatch:
            differences.report()
        for variable, value in jobs:
            variable.assign(np.asarray(value, "float32"))
        differences.report()
    return remarks


Jobs: TypeAlias = list[tuple[Variable, np.ndarray]]
"""Variables, and their new values."""


def _matched(
    model: Model, found: Names, tensors: Mapping[str, np.ndarray], differences: Differences
) -> tuple[Jobs, list[str]]:
    """Return the weights that fit, and remarks; add what does not fit to `differences`."""
    jobs: Jobs = []
    remarks, used = [], set()
    for layer in all_layers(model):
        if not layer.weights or layer.name not in found and hasattr(layer, "adapt"):
            continue  # layers that learn from data have no counterpart
        prefix = found.get(layer.name)
        for variable, suffix in _parts(layer):
            name = _tensor(prefix, suffix, tensors)
            if name is None and suffix == "bias" and prefix and f"{prefix}.weight" in tensors:
                remarks.append(f"{layer.name}: the file has no bias, so it is zero.")
                jobs.append((variable, np.zeros(variable.shape, "float32")))
                continue
            if name is None:
                differences.add(f"'{layer.name}': the file has no {prefix or '?'}.{suffix}.")
                continue
            used.add(name)
            value = _turned(layer, variable, suffix, tensors[name], model)
            if value.shape == variable.shape:
                differences.loaded.append(name)
                jobs.append((variable, value))
            else:
                differences.add(
                    f"'{layer.name}': {variable.name} has shape {variable.shape}; '{name}' in the"
                    f" file has {tensors[name].shape}."
                )
    for name in sorted(tensors.keys() - used):
        if not _of_classifier_left_out(name, model):
            differences.add(f"the file has '{name}', which the model lacks.")
    return jobs, remarks


def _names(model: Model, names: Any, tensors: set[str]) -> tuple[Names, list[str]]:
    """Return the modules of layers, and the differences between the networks."""
    if names is not None:
        known = {layer.name for layer in all_layers(model)}
        for name in names:
            if name not in known:
                raise errors.unknown_name(f"layer in `names` for '{model.name}':", name, known)
        return dict(names), []
    for function in KNOWN:
        found = function(model, tensors)
        if found is not None:
            return found
    shown = sorted(tensors)[:3]
    raise ValueError(
        f"load_torch_weights: model '{model.name}' is no network whose names are known. Pass"
        " `names`, the modules by the names of layers. Names in the file are such as"
        f" {errors.listed(shown)}."
    )


def _of_classifier_left_out(name: str, model: Model) -> bool:
    """Return whether a tensor is of the classifier, and the model was made without one."""
    last = [layer for layer in all_layers(model) if layer.weights][-1]
    return not isinstance(last, Dense) and re.match(r"(classifier|fc|head)\.", name) is not None


def _parts(layer: Layer) -> Iterator[tuple[Variable, str]]:
    """Yield the variables of a layer, with the names that they have in PyTorch's modules."""
    for variable in layer.weights:
        if isinstance(layer, (BatchNormalization, LayerNormalization, GroupNormalization)):
            yield variable, _OF_NORMALIZATION.get(variable.name, variable.name)
        elif variable.dtype.startswith(("float", "bfloat")):
            yield variable, "bias" if variable.name == "bias" else "weight"


def _tensor(prefix: str | None, suffix: str, tensors: Mapping[str, Any]) -> str | None:
    """Return the name of a tensor; a module may be a single parameter."""
    if prefix is None:
        return None
    places = (f"{prefix}.{suffix}", prefix)
    return next((name for name in places if name in tensors), None)


def _turned(
    layer: Layer, variable: Variable, suffix: str, value: np.ndarray, model: Model
) -> np.ndarray:
    """Return a tensor in the order of axes that the layer has."""
    if suffix != "weight" or isinstance(layer, Embedding):
        return value
    rank = value.ndim
    if isinstance(layer, _DEPTHWISE) and rank > 2:
        channels = variable.shape[-2]
        value = value.reshape(channels, -1, *value.shape[2:])
        return np.moveaxis(value, (0, 1), (-2, -1))
    if isinstance(layer, (*_CONVOLUTIONS, *_TRANSPOSED)):
        if rank == 2:  # a linear module in place of a 1x1 convolution
            value = value.reshape(*value.shape, *([1] * (len(variable.shape) - 2)))
        return np.moveaxis(value, (0, 1), (-1, -2))
    if isinstance(layer, Dense):
        value = value.reshape(value.shape[0], -1)
        return _rows_of_images(layer, value, model).T
    return value.reshape(variable.shape) if value.size == _size(variable) else value


def _size(variable: Variable) -> int:
    return int(np.prod(variable.shape))


def _rows_of_images(layer: Dense, value: np.ndarray, model: Any) -> np.ndarray:
    """Return the weights of flattened images with the channels last."""
    if isinstance(model, Sequential):
        model = Functional(model.inputs, model.outputs)
    calls = getattr(model, "graph_nodes", ())
    node = next((node for node in calls if node.operation is layer and node.parents), None)
    while node is not None and len(node.parents) == 1:
        node = node.parents[0]  # past layers such as `Dropout`
        if isinstance(node.operation, (Flatten, Reshape)):
            shape = tree.flatten(node.inputs)[0].shape[1:]
            first = getattr(node.operation, "data_format", None) == "channels_first"
            if len(shape) < 2 or first or np.prod(shape) != value.shape[1]:
                return value
            moved = value.reshape(-1, shape[-1], *shape[:-1])
            return np.moveaxis(moved, 1, -1).reshape(value.shape)
        if getattr(node.operation, "weights", None):
            break
    return value


def modules_in_order(tensors: set[str]) -> list[str]:
    """Return the names of modules with weights, in the order of their numbers.

    Example:
        >>> modules_in_order({"features.10.weight", "features.2.weight", "features.2.bias"})
        ['features.2', 'features.10']
    """
    suffix = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)$"

    def key(name: str) -> list[Any]:
        parts = re.split(r"(\d+)", name)
        last = name.startswith(("classifier", "fc", "head"))
        return [last, *((1, int(p), "") if p.isdigit() else (0, 0, p) for p in parts)]

    return sorted({re.sub(suffix, "", name) for name in tensors}, key=key)
