"""Numbers in fewer bits: the functions, the quantizers, and what `quantize` is told.

How layers hold their weights so is in `hornbeam.quantizers.schemes`, how calibration rounds them in
`hornbeam.quantizers.calibration`.
"""

from __future__ import annotations

from typing import Any

from hornbeam import errors
from hornbeam.quantizers.configs import (
    AWQConfig,
    Float8QuantizationConfig,
    GPTQConfig,
    Int4QuantizationConfig,
    Int8QuantizationConfig,
    QuantizationConfig,
)
from hornbeam.quantizers.float8 import compute_float8_amax_history, compute_float8_scale, quantize_and_dequantize
from hornbeam.quantizers.rounding import (
    AbsMaxQuantizer,
    Quantizer,
    abs_max_quantize,
    abs_max_quantize_grouped_with_zero_point,
    fake_quant_with_min_max_vars,
    pack_int4,
    unpack_int4,
)

__all__ = [
    "AWQConfig",
    "AbsMaxQuantizer",
    "Float8QuantizationConfig",
    "GPTQConfig",
    "Int4QuantizationConfig",
    "Int8QuantizationConfig",
    "QuantizationConfig",
    "Quantizer",
    "abs_max_quantize",
    "abs_max_quantize_grouped_with_zero_point",
    "compute_float8_amax_history",
    "compute_float8_scale",
    "deserialize",
    "fake_quant_with_min_max_vars",
    "get",
    "pack_int4",
    "quantize_and_dequantize",
    "serialize",
    "unpack_int4",
]

_NAMES = {"abs_max_quantizer": AbsMaxQuantizer, "quantizer": Quantizer}
_NAMES |= {cls.__name__: cls for cls in _NAMES.values()}


def get(identifier: Any, **kwargs: Any) -> Any:
    """Return the quantizer that a name, config, class, function or object stands for.

    Args:
        identifier: The name and so on; `None` stays.
        **kwargs: Arguments of the class, where a name or a class is given.

    Raises:
        ValueError: If it stands for none.

    Example:
        >>> get("abs_max_quantizer", axis=0).axis
        (0,)
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        from hornbeam.saving.config import get_registered_object

        found = _NAMES.get(identifier) or get_registered_object(identifier)
        if found is None:
            raise errors.unknown_name("quantizer", identifier, _NAMES)
        identifier = found
    if isinstance(identifier, type):
        return identifier(**kwargs)
    if identifier is None or callable(identifier):
        return identifier
    raise ValueError(f"Expected a quantizer's name, object or function, received {identifier!r}.")


def serialize(initializer: Any) -> Any:
    """Return the config of a quantizer (or of a quantization's configuration), with its class, ready for JSON.

    Args:
        initializer: The quantizer; the name is Keras's.
    """
    from hornbeam.saving.config import serialize as to_config

    return to_config(initializer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return the quantizer (or configuration) of a config with its class.

    Example:
        >>> deserialize(serialize(AbsMaxQuantizer(axis=0))).axis
        (0,)
    """
    from hornbeam.saving.config import deserialize as from_config

    return from_config(config, custom_objects=custom_objects)
