"""Weights of networks from torchvision and Hugging Face: where they lie, and their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hornbeam import errors
from hornbeam.datasets.dataset_file import DatasetFile
from hornbeam.errors import FileError
from hornbeam.layers import BatchNormalization, Normalization, ZeroPadding2D
from hornbeam.models import Model
from hornbeam.models.choice import all_layers
from hornbeam.models.torch_weights import KNOWN, modules_in_order
from hornbeam.saving.disk import parse_json
from hornbeam.saving.safetensors import looks_like_safetensors, read_tensors

__all__ = ["TorchFile", "find_torch_file"]

_HUB = "https://huggingface.co/"
# Families of networks by the word in `config.json`.
_FAMILIES = {"resnet": "ResNet", "convnext": "ConvNeXt", "efficientnet": "EfficientNet"}


@dataclass(frozen=True)
class TorchFile:
    """A file with the `state_dict` of a network.

    Args:
        path: Path of the file.
        like_torch: Whether the network pads, strides and normalizes as torchvision's does.
        of_hub: Whether the names are those of Hugging Face's library.
    """

    path: Path
    like_torch: bool
    of_hub: bool = False


def find_torch_file(title: str, weights: Any) -> TorchFile | None:
    """Return the file that the argument `weights` of a network means, or `None` for other files.

    Args:
        title: Public name of the network.
        weights: `"hf://owner/name"`, a folder with `config.json` and `model.safetensors`, or the
            path of a `.safetensors` file.

    Raises:
        FileError: If the files are damaged, or are of another family of networks.
        OSError: If a file cannot be downloaded, or is not in the folder.
    """
    if isinstance(weights, str) and weights.startswith("hf://"):
        return _of_hub(title, *(_downloaded(title, weights, name) for name in _FILES))
    if not isinstance(weights, (str, Path)):
        return None
    path = Path(weights)
    if path.is_dir() and (path / "config.json").exists():
        if not (path / "model.safetensors").exists():
            raise FileNotFoundError(
                f"{title}: the folder '{path}' of `weights` has a 'config.json', but no"
                " 'model.safetensors'."
            )
        return _of_hub(title, path / "config.json", path / "model.safetensors")
    if not looks_like_safetensors(path):
        return None
    try:
        names = read_tensors(path)
    except FileError as error:
        raise FileError(f"{title}: `weights`: {error}") from error
    if any(name.startswith(tuple(f"{word}." for word in _FAMILIES)) for name in names):
        return TorchFile(path, title.startswith("ResNet"), of_hub=True)
    return TorchFile(path, like_torch=True) if any(n.endswith(".weight") for n in names) else None


_FILES = ("config.json", "model.safetensors")


def _downloaded(title: str, weights: str, name: str) -> Path:
    parts = re.fullmatch(r"hf://([\w.-]+)/([\w.-]+)", weights)
    if parts is None or ".." in weights:
        raise ValueError(
            f"{title}: `weights` must be 'hf://owner/name', received {weights!r}, for example"
            " 'hf://microsoft/resnet-50'."
        )
    place = f"{parts[1]}/{parts[2]}"
    file = DatasetFile(
        name=f"hf/{place}/{name}",
        address=f"{_HUB}{place}/resolve/main/{name}",
        reader=_config if name == "config.json" else _checked,
        folder="models",
    )
    file.read()
    found = file.find()
    assert found is not None  # `read` downloaded it
    return found


def _checked(path: Path) -> None:
    """Raise `FileError` if a file is damaged, as far as its form shows."""
    read_tensors(path)


def _config(path: Path) -> dict[str, Any]:
    config = parse_json(path.read_bytes(), f"'{path.name}'")
    if not isinstance(config, dict):
        raise FileError(f"'{path}' is not a JSON object.")
    return config


def _of_hub(title: str, config_path: Path, path: Path) -> TorchFile:
    kind = _config(config_path).get("model_type")
    family = _FAMILIES.get(str(kind))
    if family is None or not title.startswith(family) or title.endswith("V2"):
        raise FileError(
            f"{title}: `weights` are of a network of the type {kind!r}. Networks of the types"
            f" {errors.listed(_FAMILIES)} have a counterpart here, by this name."
        )
    return TorchFile(path, family == "ResNet", of_hub=True)


Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]


def _of_resnet(m: re.Match[str]) -> str:
    stage, block, conv, kind = int(m[1]) - 1, int(m[2]) - 1, int(m[3]), m[4]
    part = f"downsample.{0 if kind == 'conv' else 1}" if conv == 0 else f"{kind}{conv}"
    return f"layer{stage}.{block}.{part}"


def _of_hub_resnet(m: re.Match[str]) -> str:
    stage, block, conv = int(m[1]) - 2, int(m[2]) - 1, int(m[3])
    part = "convolution" if m[4] == "conv" else "normalization"
    inner = "shortcut" if conv == 0 else f"layer.{conv - 1}"
    return f"resnet.encoder.stages.{stage}.layers.{block}.{inner}.{part}"


def _of_densenet(m: re.Match[str]) -> str:
    part = {"0_bn": "norm1", "1_conv": "conv1", "1_bn": "norm2", "2_conv": "conv2"}[m[3]]
    return f"features.denseblock{int(m[1]) - 1}.denselayer{m[2]}.{part}"


# Patterns of whole names of layers, and the names of modules.
_RESNET: Rules = (
    ("conv1_(conv|bn)", lambda m: "conv1" if m[1] == "conv" else "bn1"),
    (r"conv(\d)_block(\d+)_(\d)_(conv|bn)", _of_resnet),
    ("predictions", "fc"),
)
_HUB_RESNET: Rules = (
    ("conv1_conv", "resnet.embedder.embedder.convolution"),
    ("conv1_bn", "resnet.embedder.embedder.normalization"),
    (r"conv(\d)_block(\d+)_(\d)_(conv|bn)", _of_hub_resnet),
    ("predictions", "classifier.1"),
)
_DENSENET: Rules = (
    ("conv1_conv", "features.conv0"),
    ("conv1_bn", "features.norm0"),
    (r"conv(\d)_block(\d+)_(0_bn|1_conv|1_bn|2_conv)", _of_densenet),
    (r"pool(\d)_bn", lambda m: f"features.transition{int(m[1]) - 1}.norm"),
    (r"pool(\d)_conv", lambda m: f"features.transition{int(m[1]) - 1}.conv"),
    ("bn", "features.norm5"),
    ("predictions", "classifier"),
)
_CONVNEXT_PARTS = {
    "depthwise_conv": "dwconv", "layernorm": "layernorm", "pointwise_conv_1": "pwconv1",
    "pointwise_conv_2": "pwconv2", "layer_scale": "layer_scale_parameter",
}  # fmt: skip
_HUB_CONVNEXT: Rules = (
    (".*_stem_conv", "convnext.embeddings.patch_embeddings"),
    (".*_stem_layernorm", "convnext.embeddings.layernorm"),
    (
        rf".*_stage_(\d)_block_(\d+)_({'|'.join(_CONVNEXT_PARTS)})",
        lambda m: f"convnext.encoder.stages.{m[1]}.layers.{m[2]}.{_CONVNEXT_PARTS[m[3]]}",
    ),
    (
        r".*_downsampling_(layernorm|conv)_(\d)",
        lambda m: (
            f"convnext.encoder.stages.{int(m[2]) + 1}.downsampling_layer."
            f"{0 if m[1] == 'layernorm' else 1}"
        ),
    ),
    (".*_head_layernorm|layer_normalization.*", "convnext.layernorm"),
    (".*_head_dense", "classifier"),
)
_EFFICIENTNET_PARTS = {
    "expand_conv": "expansion.expand_conv", "expand_bn": "expansion.expand_bn",
    "dwconv": "depthwise_conv.depthwise_conv", "bn": "depthwise_conv.depthwise_norm",
    "se_reduce": "squeeze_excite.reduce", "se_expand": "squeeze_excite.expand",
    "project_conv": "projection.project_conv", "project_bn": "projection.project_bn",
}  # fmt: skip
_HUB_EFFICIENTNET: Rules = (
    ("stem_conv", "efficientnet.embeddings.convolution"),
    ("stem_bn", "efficientnet.embeddings.batchnorm"),
    ("top_conv", "efficientnet.encoder.top_conv"),
    ("top_bn", "efficientnet.encoder.top_bn"),
    ("predictions", "classifier"),
)


def _by_rules(names: list[str], rules: Rules) -> dict[str, str]:
    found = {}
    for name in names:
        for pattern, module in rules:
            match = re.fullmatch(pattern, name)
            if match is not None:
                found[name] = module if isinstance(module, str) else module(match)
                break
    return found


def _of_hub_efficientnet(names: list[str]) -> dict[str, str]:
    found = _by_rules(names, _HUB_EFFICIENTNET)
    blocks: dict[str, int] = {}
    for name in names:
        match = re.fullmatch(rf"(block\d[a-z]+)_({'|'.join(_EFFICIENTNET_PARTS)})", name)
        if match is not None:
            number = blocks.setdefault(match[1], len(blocks))
            found[name] = f"efficientnet.encoder.blocks.{number}.{_EFFICIENTNET_PARTS[match[2]]}"
    return found


# A layer by which a network is known, and how its names follow from those in a file.
_IN_ORDER = ("block1_conv1", "expanded_conv_depthwise", "block1a_dwconv", "_stem_conv")


def _known(model: Model, tensors: set[str]) -> tuple[dict[str, str], list[str]] | None:
    """Return the names of modules, and how the network differs from that of the file."""
    layers = [x for x in all_layers(model) if x.weights and not isinstance(x, Normalization)]
    names = [layer.name for layer in layers]
    of_hub = any(name.startswith(tuple(f"{word}." for word in _FAMILIES)) for name in tensors)
    differing: list[str] = []
    if "conv2_block1_1_bn" in names and "conv2_block1_3_bn" in names and "conv1_bn" in names:
        shortcut: Any = model.get_layer("conv3_block1_1_conv")
        if shortcut.strides != (1, 1):
            differing = [
                f"'conv{s}_block1_1_conv' has strides of 2; in the file's network"
                f" 'conv{s}_block1_2_conv' has them."
                for s in (3, 4, 5)
            ]
        return _by_rules(names, _HUB_RESNET if of_hub else _RESNET), _advised(differing)
    if "conv2_block1_0_bn" in names and "pool2_conv" in names:
        return _by_rules(names, _DENSENET), []
    if not any(name.endswith(_IN_ORDER) for name in names):
        return None
    if of_hub and any(name.endswith("_stem_conv") for name in names):
        return _by_rules(names, _HUB_CONVNEXT), []
    if of_hub:
        return _of_hub_efficientnet(names), []
    modules = modules_in_order(tensors)
    found = dict(zip(names, modules, strict=False))
    return found, _advised([*_differing(model), *_numbers(names, modules)])


def _numbers(names: list[str], modules: list[str]) -> list[str]:
    """Return the difference between the numbers of layers and modules beside the top's."""
    body = [m for m in modules if not m.startswith(("classifier", "fc", "head"))]
    if len(body) <= len(names) <= len(modules):
        return []
    return [f"the model has {len(names)} layers with weights, the file {len(modules)}."]


def _differing(model: Model) -> list[str]:
    """Return the layers that pad or normalize otherwise than those of torchvision."""
    found = []
    for layer in model.layers:
        if isinstance(layer, ZeroPadding2D) and any(a != b for a, b in layer.padding):
            found.append(
                f"'{layer.name}' pads by {layer.padding}; the file's network pads all sides alike."
            )
    names = {layer.name for layer in model.layers}
    if "Conv1" in names and "Conv1_pad" not in names:
        found.append("'Conv1' pads otherwise than the file's network.")
    epsilon = 1e-5
    for layer in model.layers if "Conv1" in names else ():
        if isinstance(layer, BatchNormalization) and layer.epsilon > 2 * epsilon:
            found.append(f"'{layer.name}' has epsilon={layer.epsilon}; it is {epsilon} there.")
    return found


def _advised(lines: list[str]) -> list[str]:
    if lines:
        lines = ["build the network with these weights: pass the path as `weights`.", *lines]
    return lines


KNOWN.append(_known)
