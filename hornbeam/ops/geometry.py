"""Sampling of tensors at positions between their elements."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import ndimage

from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.ops import routes
from hornbeam.ops.primitive import define
from hornbeam.typing import Tensor

__all__ = ["affine_coordinates", "homography", "map_coordinates", "sampled"]

_FILLS = ("constant", "nearest", "wrap", "mirror", "reflect")


@op("image")
def map_coordinates(
    inputs: Tensor,
    coordinates: Tensor,
    order: int,
    fill_mode: str = "constant",
    fill_value: float = 0,
) -> Tensor:
    """Interpolate a tensor at positions between its elements.

    Args:
        inputs: Tensor of n axes.
        coordinates: (n, ...), fractional indices along each axis.
        order: 0 for the nearest element, 1 for linear interpolation.
        fill_mode: Values outside of the tensor: `"constant"`, `"nearest"`, `"wrap"`, `"mirror"` or
            `"reflect"`.
        fill_value: Value for `"constant"`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> map_coordinates(jnp.array([0.0, 2.0]), jnp.array([[0.5, 1.0]]), 1).tolist()
        [1.0, 2.0]
    """
    x, places = convert(inputs), convert(coordinates)
    if order not in (0, 1):
        raise ValueError(f"map_coordinates: `order` must be 0 or 1, received {order!r}.")
    if fill_mode not in _FILLS:
        raise ValueError(
            f"map_coordinates: `fill_mode` must be one of {_FILLS}, received {fill_mode!r}."
        )
    if places.shape[0] != x.ndim:
        raise ValueError(
            f"map_coordinates: `coordinates` must have a first axis of size {x.ndim}, one index for"
            f" each axis of `inputs`, received shape {places.shape}."
        )
    places = places.astype(jnp.promote_types(places.dtype, "float32"))
    return ndimage.map_coordinates(x, list(places), order=order, mode=fill_mode, cval=fill_value)


def sampled(
    x: Tensor, places: Tensor, interpolation: str, fill_mode: str, fill_value: float, name: str
) -> Tensor:
    """Interpolate images (B, H, W, C) at `places` (B, 2, H, W): fractional rows and columns."""
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(
            f"{name}: `interpolation` must be 'nearest' or 'bilinear', received {interpolation!r}."
        )
    if fill_mode not in _FILLS:
        raise ValueError(f"{name}: `fill_mode` must be one of {_FILLS}, received {fill_mode!r}.")
    options: dict[str, Any] = {
        "fill": fill_mode,
        "linear": interpolation == "bilinear",
        "missing": fill_value,
    }
    if routes.sampled(x.dtype, x.shape, places.shape).name == "native":
        options["missing"] = float(fill_value)
        return _sampled_p.bind(x, places.astype("float32"), **options)
    return _plain(x, places, **options)


def _plain(x: Any, places: Any, *, fill: str, linear: bool, missing: float) -> Any:
    def one(channel: Any, place: Any) -> Any:
        return ndimage.map_coordinates(
            channel, list(place), order=int(linear), mode=fill, cval=missing
        )

    return jax.vmap(jax.vmap(one, in_axes=(2, None), out_axes=2))(x, places)


def _on_cpu(x: Any, places: Any, *, fill: str, linear: bool, missing: float) -> Any:
    result = jax.ShapeDtypeStruct(_shape(x, places), x.dtype)
    call = jax.ffi.ffi_call("hornbeam_sampled", result)
    return call(x, places, fill=fill, linear=linear, missing=np.float32(missing))


def _shape(x: Any, places: Any, **options: Any) -> tuple[int, ...]:
    return (*places.shape[:1], *places.shape[2:], x.shape[3])


_sampled_p = define(
    "hornbeam_sampled", _plain, _shape, {"cpu": _on_cpu}, ["fill", "linear", "missing"]
)


def affine_coordinates(transform: Tensor, high: int, wide: int) -> Tensor:
    """Return each output pixel's source position (B, 2, high, wide) for transforms (B, 8)."""
    rows, columns = jnp.meshgrid(
        jnp.arange(high, dtype="float32"), jnp.arange(wide, dtype="float32"), indexing="ij"
    )
    a0, a1, a2, b0, b1, b2, c0, c1 = (part[:, None, None] for part in transform.T)
    depth = c0 * columns + c1 * rows + 1
    return jnp.stack(
        [(b0 * columns + b1 * rows + b2) / depth, (a0 * columns + a1 * rows + a2) / depth], axis=1
    )


def homography(start: Tensor, end: Tensor) -> Tensor:
    """Return the transforms (B, 8) that map the points `end` (B, 4, 2) to `start`."""
    x, y = end[..., 0], end[..., 1]
    u, v = start[..., 0], start[..., 1]
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    rows_u = jnp.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=-1)
    rows_v = jnp.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=-1)
    matrix, wanted = jnp.concatenate([rows_u, rows_v], axis=-2), jnp.concatenate([u, v], axis=-1)
    return jnp.linalg.solve(matrix, wanted[..., None])[..., 0]
