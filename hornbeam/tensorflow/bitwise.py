"""`tf.bitwise`: operations on the bits of integers."""

from __future__ import annotations

from hornbeam import ops
from hornbeam.tensorflow.functions import binary, named, unary

__all__ = ["bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift"]

bitwise_and = named(binary(ops.bitwise_and), "bitwise_and")
bitwise_or = named(binary(ops.bitwise_or), "bitwise_or")
bitwise_xor = named(binary(ops.bitwise_xor), "bitwise_xor")
left_shift = named(binary(ops.left_shift), "left_shift")
right_shift = named(binary(ops.right_shift), "right_shift")
invert = named(unary(ops.bitwise_not), "invert")
