"""Single arrays over several devices, and functions of their parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from hornbeam import errors
from hornbeam.distribution.mesh import DeviceMesh, TensorLayout
from hornbeam.typing import Tensor

__all__ = ["distribute_tensor", "shard_map"]


def distribute_tensor(tensor: Tensor, layout: TensorLayout) -> Tensor:
    """Return a tensor in a layout.

    In a function that JAX traces, the layout becomes a constraint of the compiled program.

    Args:
        tensor: Array of any shape.
        layout: A `TensorLayout` with a mesh, or a sharding of JAX.

    Raises:
        TypeError: If `layout` is neither.
        ValueError: If the layout does not fit the shape.

    Example:
        >>> import numpy as np
        >>> mesh = DeviceMesh((1,), ["batch"], devices=["cpu:0"])
        >>> distribute_tensor(np.zeros((4, 2)), TensorLayout(["batch", None], mesh)).shape
        (4, 2)
    """
    sharding = layout.backend_layout if isinstance(layout, TensorLayout) else layout
    if not isinstance(sharding, jax.sharding.Sharding):
        raise TypeError(
            "distribute_tensor: `layout` must be a TensorLayout, received"
            f" {errors.describe(layout)}."
        )
    if isinstance(tensor, jax.core.Tracer):
        return jax.lax.with_sharding_constraint(tensor, sharding)
    return jax.device_put(tensor, sharding)


def shard_map(
    function: Callable[..., Any],
    device_mesh: DeviceMesh,
    in_axes: Sequence[Sequence[str | None]],
    out_axes: Sequence[str | None],
) -> Callable[..., Any]:
    """Return a function that each device runs on its parts of the arguments.

    Inside, `jax.lax.psum(x, "batch")` and its like exchange values between the devices.

    Args:
        function: Function of arrays, the parts of the arguments.
        device_mesh: The mesh.
        in_axes: For each argument its layout: a mesh axis or `None` per axis. An argument with
            fewer entries than axes is whole along the last ones.
        out_axes: Layout of the result.

    Example:
        >>> import jax, numpy as np
        >>> mesh = DeviceMesh((1,), ["batch"], devices=["cpu:0"])
        >>> total = shard_map(lambda x: jax.lax.psum(x.sum(), "batch"), mesh, [["batch"]], [])
        >>> float(total(np.ones(4)))
        4.0
    """
    spec = jax.sharding.PartitionSpec
    return jax.shard_map(
        function,
        mesh=device_mesh.backend_mesh,
        in_specs=tuple(spec(*axes) for axes in in_axes),
        out_specs=spec(*out_axes),
    )
