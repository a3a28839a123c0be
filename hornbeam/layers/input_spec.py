"""The shapes and dtypes that a layer expects, and their check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hornbeam import tree
from hornbeam.dtypes import standardize_dtype
from hornbeam.typing import DType, Structure

__all__ = ["InputSpec", "check_input_spec"]


class InputSpec:
    """Describes the rank, sizes and dtype that a layer expects of an input.

    A layer sets it as `self.input_spec`; each call checks its inputs against it. As in Keras.

    Args:
        dtype: Expected dtype. Default: any.
        shape: Expected shape with the batch axis; `None` for sizes that may vary. Default: any.
        ndim: Expected number of axes. Default: any.
        max_ndim: Largest number of axes. Default: any.
        min_ndim: Smallest number of axes. Default: any.
        axes: Dict from axis to expected size. Default: `None`.
        allow_last_axis_squeeze: Whether a last axis of size 1 may be missing or extra. Default:
            False.
        name: Key of the input if the inputs are a dict. Default: `None`.
        optional: Whether the input may be `None`. Default: False.

    Raises:
        ValueError: If `dtype` is not a dtype.

    Example:
        >>> import hornbeam as hb
        >>> class Grayscale(hb.layers.Layer):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.input_spec = hb.layers.InputSpec(ndim=4, axes={-1: 3})
        ...     def call(self, images):
        ...         return hb.ops.mean(images, axis=-1, keepdims=True)
        >>> Grayscale()(hb.ops.ones((1, 28, 28, 4)))
        Traceback (most recent call last):
        ValueError: Layer 'grayscale' (Grayscale): the input must have size 3 on axis -1, ...
    """

    def __init__(
        self,
        dtype: DType | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = standardize_dtype(dtype) if dtype is not None else None
        self.shape = tuple(shape) if shape is not None else None
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(k): v for k, v in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name, self.optional = name, optional
        self.remedy = ""  # last sentence of the error if an axis is missing

    def __repr__(self) -> str:
        parts = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        shown = [f"{part}={getattr(self, part)}" for part in parts if getattr(self, part)]
        return f"InputSpec({', '.join(shown)})"

    def get_config(self) -> dict[str, Any]:
        """Return the expectations by name."""
        return {
            name: getattr(self, name)
            for name in ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        }


def check_input_spec(spec: Any, inputs: Structure, label: str) -> None:
    """Raise a `ValueError` that names the layer if `inputs` do not meet `spec`.

    Args:
        spec: An `InputSpec` or a structure of them. `None` in it accepts anything.
        inputs: A tensor, or a structure of tensors.
        label: The layer's name in the message.
    """
    specs = tree.flatten(spec)
    tensors: list[Any]
    if isinstance(inputs, dict) and all(s is not None and s.name for s in specs):
        tensors = [inputs.get(s.name) for s in specs]
    else:
        tensors = tree.flatten(inputs)
    if len(specs) != len(tensors):
        raise ValueError(f"{label} expects {len(specs)} inputs, received {len(tensors)}.")
    for index, (one, x) in enumerate(zip(specs, tensors, strict=True)):
        if one is None or (x is None and one.optional):
            continue
        if not hasattr(x, "shape"):
            raise ValueError(f"{label}: input {index} must be a tensor, received {x!r}.")
        problem = _problem(one, tuple(x.shape), str(x.dtype))
        if problem:
            which = f"input {index}" if len(specs) > 1 else "the input"
            remedy = one.remedy if one.ndim == len(x.shape) + 1 else ""
            raise ValueError(
                f"{label}: {which} {problem}, received shape {tuple(x.shape)}.{remedy}"
            )


def _problem(spec: InputSpec, shape: tuple[int | None, ...], dtype: str) -> str | None:
    """Return which expectation a tensor of this shape and dtype does not meet, or `None`."""
    rank = len(shape)
    if spec.ndim is not None and rank != spec.ndim:
        squeezed = spec.allow_last_axis_squeeze and abs(rank - spec.ndim) == 1
        if not squeezed:
            return f"must have {spec.ndim} dimensions (batch included){_remedy(spec.ndim, rank)}"
        return None
    if spec.max_ndim is not None and rank > spec.max_ndim:
        return f"must have at most {spec.max_ndim} dimensions"
    if spec.min_ndim is not None and rank < spec.min_ndim:
        return (
            f"must have at least {spec.min_ndim} dimensions (batch"
            f" included){_remedy(spec.min_ndim, rank)}"
        )
    if spec.dtype is not None and spec.dtype != dtype:
        return f"must have dtype {spec.dtype}, has {dtype}"
    for axis, size in spec.axes.items():
        if size is not None and -rank <= axis < rank and shape[axis] not in (size, None):
            return f"must have size {size} on axis {axis}"
    for axis, size in enumerate(spec.shape or ()):
        if size is not None and shape[axis] not in (size, None):
            return f"must have shape {spec.shape}"
    return None


def _remedy(expected: int, received: int) -> str:
    """Return a hint on how to add an axis, if exactly one is missing."""
    if received == expected - 1:
        return (
            "; if one sample was meant, add the batch axis with `x[None]`, if channels are missing,"
            " `x[..., None]`"
        )
    return ""
