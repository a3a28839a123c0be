"""The dtypes of `tf`."""

from __future__ import annotations

__all__ = [
    "bfloat16", "bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8",
    "uint16", "uint32", "uint64", "uint8",
]  # fmt: skip

# These names replace TensorFlow's dtype objects. Hornbeam takes dtypes by name, as Keras does.
bfloat16, float16, float32, float64 = "bfloat16", "float16", "float32", "float64"
int8, int16, int32, int64 = "int8", "int16", "int32", "int64"
uint8, uint16, uint32, uint64 = "uint8", "uint16", "uint32", "uint64"
bool = "bool"
