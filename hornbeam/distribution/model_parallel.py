"""Model parallelism: variables are divided among the devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hornbeam import errors
from hornbeam.core.variable import Variable
from hornbeam.distribution.distribution import Distribution
from hornbeam.distribution.layout_map import LayoutMap
from hornbeam.distribution.mesh import DeviceMesh, TensorLayout, list_devices

__all__ = ["ModelParallel", "TensorParallel"]


class ModelParallel(Distribution):
    """Divide variables, and outputs of layers, by the rules of a `LayoutMap`.

    The slots of an optimizer have the layout of their weight. Batches are divided along one axis of
    the mesh, so a mesh of two axes has both kinds of parallelism.

    Args:
        layout_map: The layouts by path. The output of a layer has the path of the layer and
            `"/output"`.
        batch_dim_name: The mesh axis that divides batches. Default: the first.
        auto_shard_dataset: As for `DataParallel`.
        **kwargs: `device_mesh`, an argument of earlier versions of Keras, which must be the mesh of
            `layout_map`.

    Raises:
        TypeError: If an argument is unknown.
        ValueError: If `layout_map` is missing, or the mesh has no axis `batch_dim_name`.

    Example:
        >>> mesh = DeviceMesh((1, 1), ["batch", "model"], devices=["cpu:0"])
        >>> rules = LayoutMap(mesh)
        >>> rules[".*kernel"] = (None, "model")
        >>> ModelParallel(layout_map=rules).num_model_replicas
        1
    """

    def __init__(
        self,
        *,
        layout_map: LayoutMap | None = None,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
        **kwargs: Any,
    ):
        mesh = kwargs.pop("device_mesh", None)
        if kwargs:
            known = ("layout_map", "batch_dim_name", "auto_shard_dataset")
            raise errors.unexpected("ModelParallel", set(kwargs), known)
        if not isinstance(layout_map, LayoutMap):
            raise ValueError(
                "ModelParallel: `layout_map` must be a LayoutMap, received"
                f" {errors.describe(layout_map)}."
            )
        if mesh is not None and mesh is not layout_map.device_mesh:
            raise ValueError(
                f"ModelParallel: `device_mesh` {mesh} is not the mesh of `layout_map`,"
                f" {layout_map.device_mesh}. Leave `device_mesh` out."
            )
        super().__init__(layout_map.device_mesh, batch_dim_name, auto_shard_dataset)
        self.layout_map = layout_map

    def variable_axes(self, variable: Variable) -> TensorLayout | None:
        """Return the layout of the rule that matches the variable's path."""
        return self.layout_map[variable.path]

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        """Return the layout of the rule that matches a path, or `None`."""
        return self.layout_map[path]


class TensorParallel(Distribution):
    """Divide the last axis of each kernel among the devices; every device has the whole batch.

    A layer's devices compute different units of its output. No rules are needed; `ModelParallel`
    takes rules, by which fewer values travel between the devices.

    Args:
        devices: Names of devices, as in `list_devices`. Default: all.

    Example:
        >>> import hornbeam as hb
        >>> TensorParallel(["cpu:0"]).get_variable_layout(hb.Variable("zeros", (3, 8))).axes
        (None, 'model')
    """

    def __init__(self, devices: Sequence[str] | None = None):
        names = list_devices() if devices is None else list(devices)
        super().__init__(DeviceMesh((1, len(names)), ["batch", "model"], names))

    def variable_axes(self, variable: Variable) -> Sequence[str | None] | None:
        """Return the layout of a variable: its last axis is divided if the sizes allow it."""
        if not variable.shape or variable.shape[-1] % self.device_mesh.shape[1]:
            return None
        return [*[None] * (len(variable.shape) - 1), "model"]
