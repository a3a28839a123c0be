"""Quantization: rounding functions, quantizers, and the configurations of `quantize`.

`hornbeam.quantizers.calibration` implements GPTQ and AWQ. `hornbeam.adaptation` has the quantized
weights of layers.
"""

from __future__ import annotations

from typing import Any

from hornbeam.objects.family import Family
from hornbeam.quantizers.configs import (
    AWQConfig,
    Float8QuantizationConfig,
    GPTQConfig,
    Int4QuantizationConfig,
    Int8QuantizationConfig,
    QuantizationConfig,
)
from hornbeam.quantizers.float8 import (
    compute_float8_amax_history,
    compute_float8_scale,
    quantize_and_dequantize,
)
from hornbeam.quantizers.rounding import (
    AbsMaxQuantizer,
    Quantizer,
    abs_max_quantize,
    abs_max_quantize_grouped_with_zero_point,
    fake_quant_with_min_max_vars,
    pack_int4,
    unpack_int4,
)
from hornbeam.typing import Identifier

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


QUANTIZERS = Family(
    "quantizer", (Quantizer, QuantizationConfig), "keras.quantizers", globals(), names=_NAMES
)
_, serialize, deserialize = QUANTIZERS.functions(
    "initializer",  # Keras's name for the argument
    """
>>> deserialize(serialize(AbsMaxQuantizer(axis=0))).axis
(0,)
""",
)


def get(identifier: Quantizer | Identifier, **kwargs: Any) -> Any:
    """Return the quantizer for a name, configuration, class, function or object.

    Args:
        identifier: One of these. For `None`, the result is `None`.
        **kwargs: Arguments of the class, if a name or a class is given.

    Raises:
        ValueError: If a name is unknown, or the identifier is none of these.

    Example:
        >>> get("abs_max_quantizer", axis=0).axis
        (0,)
    """
    return QUANTIZERS.get(identifier, **kwargs)
