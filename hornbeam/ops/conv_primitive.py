"""Convolution as a JAX primitive: a native kernel computes it on CPU, XLA elsewhere.

A convolution, its gradient with respect to the inputs and its gradient with respect to the kernel
are each linear in both operands, and the derivatives of each are the other two. So one primitive of
three kinds has derivatives of any order, forward and backward.

Arrays are (N, *space, C) and (N, *space, O), kernels (*window, C / groups, O).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad, batching

from hornbeam.ops import routes
from hornbeam.ops.primitive import define
from hornbeam.ops.product import columns_product
from hornbeam.typing import Tensor

__all__ = ["Spec", "convolve", "convolve_fused"]

# Axes of the operands and the result of each kind: batch N, input channels C, output channels O.
_AXES = {"forward": ("NC", "CO", "NO"), "inputs": ("NO", "CO", "NC"), "kernel": ("NC", "NO", "CO")}


@dataclasses.dataclass(frozen=True)
class Spec:
    """A convolution without its operands.

    Args:
        kind: `"forward"`: inputs, kernel -> outputs. `"inputs"`: outputs' gradient, kernel ->
            inputs' gradient. `"kernel"`: inputs, outputs' gradient -> kernel's gradient.
        space: Spatial sizes of the inputs.
        window: Spatial sizes of the kernel.
        strides, dilation: One number per spatial axis.
        padding: (before, after) for each spatial axis.
        groups: Number of groups of channels that are convolved separately.
        activation: `"linear"` or `"relu"`; used only by `convolve_fused`.
    """

    kind: str
    space: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1
    activation: str = "linear"

    def as_kind(self, kind: str) -> Spec:
        """Return the same convolution as another of the three kinds."""
        return dataclasses.replace(self, kind=kind)

    def out_space(self) -> tuple[int, ...]:
        """Return the spatial sizes of the outputs."""
        return tuple(
            max(0, (size + sum(pads) - (window - 1) * dilation - 1) // stride + 1)
            for size, window, stride, pads, dilation in zip(
                self.space, self.window, self.strides, self.padding, self.dilation, strict=True
            )
        )


def convolve(lhs: Tensor, rhs: Tensor, spec: Spec) -> Tensor:
    """Compute one of the three kinds of convolution; `Spec.kind` names the operands."""
    return _conv_p.bind(lhs, rhs, spec=spec)


def convolve_fused(inputs: Tensor, kernel: Tensor, bias: Tensor, spec: Spec) -> Tensor:
    """Convolve, add a bias (O,) and apply the activation of `spec`, in one pass."""
    return _fused_p.bind(inputs, kernel, bias, spec=spec)


def _shape(lhs: Any, rhs: Any, *bias: Any, spec: Spec) -> tuple[int, ...]:
    if spec.kind == "forward":
        return (lhs.shape[0], *spec.out_space(), rhs.shape[-1])
    if spec.kind == "inputs":
        return (lhs.shape[0], *spec.space, rhs.shape[-2] * spec.groups)
    return (*spec.window, lhs.shape[-1] // spec.groups, rhs.shape[-1])


def _plain(lhs: Any, rhs: Any, *, spec: Spec) -> Any:
    """Compute the convolution by XLA."""
    space = "DHW"[-len(spec.space) :]

    def forward(inputs: Any, kernel: Any) -> Any:
        return jax.lax.conv_general_dilated(
            inputs, kernel, spec.strides, spec.padding, rhs_dilation=spec.dilation,
            dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
            feature_group_count=spec.groups,
        )  # fmt: skip

    if spec.kind == "forward":
        return forward(lhs, rhs)
    result = jax.ShapeDtypeStruct(_shape(lhs, rhs, spec=spec), lhs.dtype)
    if spec.kind == "inputs":
        return jax.linear_transpose(lambda inputs: forward(inputs, rhs), result)(lhs)[0]
    return jax.linear_transpose(lambda kernel: forward(lhs, kernel), result)(rhs)[0]


def _plain_fused(inputs: Any, kernel: Any, bias: Any, *, spec: Spec) -> Any:
    x = _plain(inputs, kernel, spec=spec) + bias
    return jax.nn.relu(x) if spec.activation == "relu" else x


def _native(*operands: Any, spec: Spec) -> Any:
    """Compute the convolution with the native kernel.

    The call contains all settings, so compiled programs can be cached.
    """
    shape = _shape(*operands, spec=spec)
    ends = {"forward": (operands[0].shape, shape), "inputs": (shape, operands[0].shape)}
    inputs, outputs = ends.get(spec.kind, (operands[0].shape, operands[1].shape))
    way = routes.native_convolution(
        spec.kind, operands[0].dtype, spec, inputs[0], (inputs[-1], outputs[-1])
    )
    if way == "product":
        return _product(*operands, spec=spec)
    if way == "native product":
        rows = [x.reshape(-1, x.shape[-1]) for x in operands]
        return columns_product(*rows).reshape(shape)
    call = jax.ffi.ffi_call("hornbeam_convolution", jax.ShapeDtypeStruct(shape, operands[0].dtype))
    return call(
        *operands, kind=spec.kind, by=way, activation=spec.activation,
        strides=np.array(spec.strides, np.int64),
        dilation=np.array(spec.dilation, np.int64),
        before=np.array([pair[0] for pair in spec.padding], np.int64),
        after=np.array([pair[1] for pair in spec.padding], np.int64), groups=np.int64(spec.groups),
    )  # fmt: skip


def _product(lhs: Any, kernel: Any, *bias: Any, spec: Spec) -> Any:
    matrix = kernel.reshape(kernel.shape[-2:])
    x = jnp.dot(lhs, matrix.T if spec.kind == "inputs" else matrix)
    x = x + bias[0] if bias else x
    return jax.nn.relu(x) if spec.activation == "relu" else x


def _transpose_lhs(cotangent: Any, lhs: Any, rhs: Any, *, spec: Spec) -> Any:
    kind = {"forward": "inputs", "inputs": "forward", "kernel": "inputs"}[spec.kind]
    operands = (rhs, cotangent) if spec.kind == "kernel" else (cotangent, rhs)
    return convolve(*operands, spec.as_kind(kind))


def _transpose_rhs(cotangent: Any, lhs: Any, rhs: Any, *, spec: Spec) -> Any:
    kind = {"forward": "kernel", "inputs": "kernel", "kernel": "forward"}[spec.kind]
    operands = (cotangent, lhs) if spec.kind == "inputs" else (lhs, cotangent)
    return convolve(*operands, spec.as_kind(kind))


def _position(axes: str, axis: str) -> int:
    """Return the position of an axis; that of channels is counted from the end."""
    return 0 if axis == "N" else axes.index(axis) - 2


def _merge(x: Any, batch_axis: int, axis: int) -> Any:
    """Merge the axis `batch_axis` into another axis, as its slower varying part."""
    x = jnp.moveaxis(x, batch_axis, 0)
    axis %= x.ndim - 1
    x = jnp.moveaxis(x, 0, axis)
    return x.reshape(*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2 :])


def _split(x: Any, axis: int, size: int) -> tuple[Any, int]:
    axis %= x.ndim
    return x.reshape(*x.shape[:axis], size, x.shape[axis] // size, *x.shape[axis + 1 :]), axis


def _batch(operands: Any, axes: Any, *, spec: Spec) -> tuple[Any, int]:
    """Compute a batch of convolutions as one convolution with more examples, channels or groups."""
    (lhs, rhs), (lhs_axis, rhs_axis) = operands, axes
    names = _AXES[spec.kind]
    size = lhs.shape[lhs_axis] if lhs_axis is not None else rhs.shape[rhs_axis]
    if (lhs_axis is None) != (rhs_axis is None):
        # Merge the batch into the axis that the batched operand shares with the result.
        side = 0 if lhs_axis is not None else 1
        (shared,) = set(names[side]) & set(names[2])
        if shared == "N" or spec.groups == 1:
            merged = _merge(operands[side], axes[side], _position(names[side], shared))
            pair = (merged, rhs) if side == 0 else (lhs, merged)
            result = _conv_p.bind(*pair, spec=spec)
            return _split(result, _position(names[2], shared), size)
    # Each convolution of the batch becomes a group.
    merged = [
        _merge(x, 0, -1) if axis is None else _merge(x, axis, -1)
        for x, axis in (
            (jnp.broadcast_to(x, (size, *x.shape)), 0) if axis is None else (x, axis)
            for x, axis in zip(operands, axes, strict=True)
        )
    ]
    return _split(
        _conv_p.bind(*merged, spec=dataclasses.replace(spec, groups=spec.groups * size)), -1, size
    )


def _fused_batch(operands: Any, axes: Any, *, spec: Spec) -> tuple[Any, int]:
    if axes[1] is None and axes[2] is None:
        merged = _merge(operands[0], axes[0], 0)
        return _split(
            convolve_fused(merged, operands[1], operands[2], spec), 0, operands[0].shape[axes[0]]
        )

    def apart(inputs: Any, kernel: Any, bias: Any) -> Any:
        x = convolve(inputs, kernel, dataclasses.replace(spec, activation="linear")) + bias
        return jax.nn.relu(x) if spec.activation == "relu" else x

    return jax.vmap(apart, axes)(*operands), 0


def _fused_jvp(primals: Any, tangents: Any, *, spec: Spec) -> tuple[Any, Any]:
    inputs, kernel, bias = primals
    outputs = convolve_fused(inputs, kernel, bias, spec)
    linear = dataclasses.replace(spec, activation="linear")
    parts = []
    if not isinstance(tangents[0], ad.Zero):
        parts.append(convolve(tangents[0], kernel, linear))
    if not isinstance(tangents[1], ad.Zero):
        parts.append(convolve(inputs, tangents[1], linear))
    if not isinstance(tangents[2], ad.Zero):
        parts.append(jnp.broadcast_to(tangents[2], outputs.shape))
    tangent = functools.reduce(jnp.add, parts)
    # The slope of ReLU follows from its result.
    return outputs, jnp.where(outputs > 0, tangent, 0) if spec.activation == "relu" else tangent


_conv_p = define("hornbeam_conv", _plain, _shape, {"cpu": _native}, ["spec"])
_fused_p = define("hornbeam_conv_fused", _plain_fused, _shape, {"cpu": _native}, ["spec"])
batching.primitive_batchers[_conv_p] = _batch
batching.primitive_batchers[_fused_p] = _fused_batch
ad.defbilinear(_conv_p, _transpose_lhs, _transpose_rhs)
ad.primitive_jvps[_fused_p] = _fused_jvp
