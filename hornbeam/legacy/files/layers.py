"""Configurations of layers of Keras 1 and 2 in the words of Keras 3.

Constructors take arguments by their older names themselves (`hornbeam.legacy.arguments`). This file
changes classes and values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hornbeam import layers, ops
from hornbeam.core.op_table import OPS
from hornbeam.core.registry import get_registered_object, register_keras_serializable
from hornbeam.legacy import keras1_layers
from hornbeam.typing import Tensor

__all__ = ["hard_sigmoid_of_keras_2", "modern_layer", "modern_name", "modern_part", "plain_values"]

Config = dict[str, Any]


@register_keras_serializable("hornbeam")
def hard_sigmoid_of_keras_2(x: Tensor) -> Tensor:
    """Return `0.2 x + 0.5` clipped to [0, 1], the `hard_sigmoid` of Keras 1 and 2.

    Keras 3's `hard_sigmoid` has the slope 1/6.

    Example:
        >>> hard_sigmoid_of_keras_2(1.0)
        Array(0.7, dtype=float32)
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


_FUNCTION = {"module": "builtins", "class_name": "function", "registered_name": "function"}
# Activations that meant something else, or have a private name in files.
_ACTIVATIONS: dict[str, Any] = {
    "hard_sigmoid": {**_FUNCTION, "config": "hornbeam>hard_sigmoid_of_keras_2"},
    "softmax_v2": "softmax",
    "swish_v2": "swish",
}

# Classes that have another name now.
_CLASSES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "Convolution1DTranspose": "Conv1DTranspose",
    "LayerNormalizationV2": "LayerNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "TimeDistributedDense": "Dense",
    "UnifiedGRU": "GRU",
    "UnifiedLSTM": "LSTM",
    "UpSampling": "UpSampling2D",
}

# Classes of Keras 1 that `keras1_layers` has.
_GONE = tuple(keras1_layers.__all__)

# Arguments without effect on what a model computes, if they have one of these values. Empty:
# whatever the value.
_DROPPED: dict[str, tuple[Any, ...]] = {
    "adjustment": (None,),
    "batch_input_shape": (),
    "fused": (),
    "consume_less": (),
    "implementation": (),
    "input_dtype": (),
    "input_length": (),
    "key_shape": (),
    "num_constants": (None, 0),
    "query_shape": (),
    "ragged": (False, None),
    "renorm": (False, None),
    "renorm_clipping": (None, {}),
    "renorm_momentum": (0.99,),
    "robust_masking": (),
    "softmax_robust_masking": (),
    "sparse": (False, None),
    "value_shape": (),
    "virtual_batch_size": (None,),
}
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")


def modern_name(name: str) -> str:
    """Return a layer's name with underscores for slashes, which Keras 3 does not allow.

    Example:
        >>> modern_name("conv1/bn")
        'conv1_bn'
    """
    return name.replace("/", "_")


def plain_values(value: Any) -> Any:
    """Return configuration data with plain values for arrays and tuples.

    Keras 1 and 2 wrote these in special forms.

    Example:
        >>> plain_values({"alpha": {"type": "ndarray", "value": 0.3}})
        {'alpha': 0.3}
    """
    if isinstance(value, Mapping):
        if set(value) == {"type", "value"}:
            return value["value"]
        if value.get("class_name") == "__tuple__" and "items" in value:
            return [plain_values(item) for item in value["items"]]
        return {key: plain_values(item) for key, item in value.items()}
    return [plain_values(item) for item in value] if isinstance(value, list) else value


def modern_layer(name: str, config: Config, first: bool) -> tuple[str, Config, Config]:
    """Return class name and configuration of a layer in Keras 3's words.

    Args:
        name: The saved class name.
        config: The saved configuration.
        first: Whether Keras 1 wrote it.

    Returns:
        Class name, configuration, and more arguments for each call of the layer.

    Raises:
        ValueError: If the layer uses something that has no counterpart any more.

    Example:
        >>> modern_layer("Convolution2D", {"nb_filter": 8, "nb_row": 3, "nb_col": 3}, True)[:2]
        ('Convolution2D', {'nb_filter': 8, 'kernel_size': [3, 3]})
    """
    name = _CLASSES.get(name, name)
    if name in _GONE and get_registered_object(name) is None:
        name = f"hornbeam>{name}"
    elif name not in layers.__all__ and name not in _CHANGES and name not in ("InputLayer", "RNN"):
        return name, config, {}  # a class of the user's
    label = f"{name} '{config.get('name')}'"
    config = {key: modern_part(key, value) for key, value in config.items()}
    if name == "InputLayer":
        return name, _input(config), {}
    for key, harmless in _DROPPED.items():
        if key in config and (not harmless or config[key] in harmless):
            del config[key]
    if name != "Embedding":
        config.pop("input_dim", None)  # the input layer has it
    if config.get("dtype") in _INTEGERS and name != "Masking":
        del config["dtype"]  # the dtype of the inputs, which the input layer has
    if "name" in config and isinstance(config["name"], str):
        config["name"] = modern_name(config["name"])
    call_arguments: Config = {}
    if name in ("Attention", "AdditiveAttention", "BaseDenseAttention") and config.pop(
        "causal", False
    ):
        call_arguments["use_causal_mask"] = True
    change = _CHANGES.get(name)
    if change is not None:
        name, config = change(name, config, first, label)
    if name in OPS:
        config.setdefault("trainable", True)  # distinguishes a layer from the op of the same name
    return name, config, call_arguments


def modern_part(key: str, value: Any) -> Any:
    """Return an argument's value in Keras 3's form.

    Only activations, initializers, regularizers and constraints are changed.

    Args:
        key: Name of the argument.
        value: Its value in the file.

    Example:
        >>> modern_part("activation", "swish_v2")
        'swish'
    """
    if key.endswith(("activation", "inner_activation")) and isinstance(value, str):
        return _ACTIVATIONS.get(value, value)
    if (
        key.endswith("activation")
        and isinstance(value, Mapping)
        and value.get("class_name") == "function"
    ):
        return _ACTIVATIONS.get(str(value.get("config")), value)
    if not isinstance(value, Mapping):
        return value
    if (
        "class_name" not in value
        and "name" in value
        and key.endswith(("regularizer", "constraint"))
    ):
        return _first_penalty(dict(value))
    inner = value.get("config")
    if key.endswith(("initializer", "init")) and isinstance(inner, Mapping):
        inner = {k: v for k, v in inner.items() if k not in ("dtype", "partition_info")}
        if inner.get("distribution") == "normal":
            inner["distribution"] = "truncated_normal"
        return {**value, "config": inner}
    if key.endswith("constraint") and isinstance(inner, Mapping) and "m" in inner:
        return {**value, "config": {"max_value" if k == "m" else k: v for k, v in inner.items()}}
    return value


def _first_penalty(value: Config) -> Config:
    """Return a regularizer or constraint of Keras 1 in Keras 3's form.

    Keras 1 wrote the arguments and the name into the same dict.
    """
    name = str(value.pop("name"))
    if name in ("WeightRegularizer", "ActivityRegularizer", "L1L2Regularizer"):
        name = "L1L2"
    if "m" in value:
        value["max_value"] = value.pop("m")
    return {"class_name": name, "config": value}


def _input(config: Config) -> Config:
    """Return the configuration of an input in Keras 3's words."""
    dtype = config.get("input_dtype") or config.get("dtype") or "float32"
    kept = {
        key: value
        for key, value in config.items()
        if key in ("name", "optional", "sparse", "ragged") and value
    }
    shape = config.get("batch_input_shape", config.get("batch_shape"))
    if "name" in kept:
        kept["name"] = modern_name(kept["name"])
    return {**kept, "batch_shape": shape, "dtype": dtype}


# --- changes of single layers ---------------------------------------------------------------------


def _convolution(name: str, config: Config, first: bool, label: str) -> tuple[str, Config]:
    for words in (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")):
        if words[0] in config:
            config["kernel_size"] = [config.pop(word) for word in words]
    if name.startswith(("Depthwise", "Separable", "Deconvolution")) or name.endswith("Transpose"):
        if config.pop("groups", 1) not in (1, None):
            raise ValueError(
                f"{label}: `groups` must be 1, because it never had an effect on this layer. Build"
                " the model in your program and load its weights."
            )
    if name.startswith(("DepthwiseConv", "SeparableConv")):
        # Keras 2 also wrote arguments of the base class, which these layers do not use.
        for word in ("filters", "kernel_initializer", "kernel_regularizer", "kernel_constraint"):
            if not (word == "filters" and name.startswith("SeparableConv")):
                config.pop(word, None)
    if name.startswith(("Deconvolution", "Convolution2DTranspose")):
        config.pop("output_shape", None)
    return name, config


def _embedding(name: str, config: Config, first: bool, label: str) -> tuple[str, Config]:
    dropout = config.pop("dropout", 0)
    return (
        ("hornbeam>EmbeddingOfKeras1", {**config, "dropout": dropout})
        if dropout
        else (name, config)
    )


def _batch_normalization(name: str, config: Config, first: bool, label: str) -> tuple[str, Config]:
    mode = config.pop("mode", 0)
    if mode != 0:
        if mode not in (1, 2):
            raise ValueError(
                f"{label}: `mode` must be 0, 1 or 2, as in Keras 1, received {mode!r:.50}."
            )
        name, config["mode"] = "hornbeam>BatchNormalizationOfKeras1", mode
    axis = config.get("axis")
    if isinstance(axis, Mapping):  # TensorFlow wrote lists as {"0": 3}
        axis = list(axis.values())
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if axis is not None:
        config["axis"] = axis
    return name, config


def _layer_normalization(name: str, config: Config, first: bool, label: str) -> tuple[str, Config]:
    if isinstance(config.get("axis"), Mapping):
        config["axis"] = list(config["axis"].values())
    return name, config


def _gru(name: str, config: Config, first: bool, label: str) -> tuple[str, Config]:
    # `reset_after=True`, Keras 3's default, came late to Keras 2. A file without the argument means
    # False.
    if name == "CuDNNGRU":
        return "GRU", {**config, "reset_after": True, "recurrent_activation": "sigmoid"}
    return name, {"reset_after": False, **_gates(config, first)}


def _lstm(name: str, config: Config, first: bool, label: str) -> tuple[str, Config]:
    if name == "CuDNNLSTM":
        return "LSTM", {**config, "recurrent_activation": "sigmoid"}
    return name, _gates(config, first)


def _gates(config: Config, first: bool) -> Config:
    if "inner_activation" not in config and "recurrent_activation" not in config and first:
        config["recurrent_activation"] = _ACTIVATIONS["hard_sigmoid"]
    return config


def _lambda(name: str, config: Config, first: bool, label: str) -> tuple[str, Config]:
    """Keras 1 and 2 wrote the kind of a function beside it."""
    for word in ("function", "output_shape", "mask"):
        kind = config.pop(f"{word}_type", None)
        config.pop(f"{word}_module", None)
        if word in config:
            config[word] = _function(config[word], kind)
    config.pop("module", None)
    return name, config


def _function(value: Any, kind: str | None) -> Any:
    if kind == "lambda" and isinstance(value, list):
        code, defaults, closure = [*value, None, None][:3]
        return {
            "class_name": "__lambda__",
            "config": {"code": code, "defaults": defaults, "closure": closure},
        }
    if kind == "function" and isinstance(value, str):
        return {**_FUNCTION, "config": value}
    return value


_MERGES = {
    "ave": "Average", "concat": "Concatenate", "cos": "Dot", "dot": "Dot", "max": "Maximum",
    "mul": "Multiply", "sum": "Add",
}  # fmt: skip


def _merge(name: str, config: Config, first: bool, label: str) -> tuple[str, Config]:
    """Keras 1 had one layer for what are seven layers today."""
    kept: Config = {key: value for key, value in config.items() if key in ("name", "trainable")}
    mode = config.get("mode", "sum")
    if config.get("mode_type") in ("lambda", "function"):
        function = _function(mode, config["mode_type"])
        return "Lambda", {**kept, "function": function, "arguments": config.get("arguments") or {}}
    if mode not in _MERGES:
        raise ValueError(
            f"{label}: `mode` must be a function or one of {', '.join(_MERGES)}, received {mode!r}."
        )
    if mode == "concat":
        kept["axis"] = config.get("concat_axis", -1)
    if mode in ("dot", "cos"):
        kept["axes"] = config.get("dot_axes", -1)
        kept["normalize"] = mode == "cos"
    return _MERGES[mode], kept


def _padding(name: str, config: Config, first: bool, label: str) -> tuple[str, Config]:
    """Keras 1 also took sides by name, and a list of four numbers."""
    padding = config.get("padding")
    if isinstance(padding, Mapping):
        sides = {
            **dict.fromkeys(("left", "right", "top", "bottom"), 0),
            **{k.split("_")[0]: v for k, v in padding.items()},
        }
        pairs = [[sides["top"], sides["bottom"]], [sides["left"], sides["right"]]]
        config["padding"] = pairs[1] if name == "ZeroPadding1D" else pairs
    elif isinstance(padding, list) and name == "ZeroPadding2D" and len(padding) == 4:
        config["padding"] = [padding[:2], padding[2:]]
    return name, config


def _repeat(name: str, config: Config, first: bool, label: str) -> tuple[str, Config]:
    if isinstance(config.get("size"), list) and name == "UpSampling1D":
        config["size"] = config["size"][0]
    return name, config


Change = Callable[[str, Config, bool, str], tuple[str, Config]]
_CHANGES: dict[str, Change] = {
    "BatchNormalization": _batch_normalization,
    "CuDNNGRU": _gru,
    "CuDNNLSTM": _lstm,
    "Embedding": _embedding,
    "GRU": _gru,
    "GRUCell": _gru,
    "LSTM": _lstm,
    "LSTMCell": _lstm,
    "Lambda": _lambda,
    "LayerNormalization": _layer_normalization,
    "Merge": _merge,
    "UpSampling1D": _repeat,
    "ZeroPadding1D": _padding,
    "ZeroPadding2D": _padding,
}
_CHANGES |= {
    f"{kind}{rank}": _convolution
    for kind in (
        "AtrousConvolution", "Conv", "Convolution", "Deconvolution", "DepthwiseConv",
        "SeparableConv", "SeparableConvolution",
    )
    for rank in ("1D", "2D", "3D", "1DTranspose", "2DTranspose", "3DTranspose")
}  # fmt: skip
