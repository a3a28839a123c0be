"""`LayoutMap`: layouts of variables by patterns of their paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping, Sequence

from hornbeam import errors
from hornbeam.distribution.mesh import DeviceMesh, TensorLayout

__all__ = ["LayoutMap"]


class LayoutMap(MutableMapping[str, TensorLayout | None]):
    """Maps paths of variables, or regular expressions that match whole paths, to layouts.

    A look-up takes the key that equals the path, else the only key that matches it as a regular
    expression. As in Keras, the whole path must match: use `".*kernel"` for all kernels.

    Args:
        device_mesh: Mesh of the layouts that are given as tuples of axes.

    Example:
        >>> rules = LayoutMap(DeviceMesh((1, 1), ["batch", "model"], devices=["cpu:0"]))
        >>> rules[".*dense.*kernel"] = (None, "model")
        >>> rules["mlp/dense_1/kernel"].axes
        (None, 'model')
        >>> rules["mlp/dense_1/bias"] is None
        True
    """

    def __init__(self, device_mesh: DeviceMesh):
        self._mesh = device_mesh
        self._layouts: dict[str, TensorLayout] = {}

    @property
    def device_mesh(self) -> DeviceMesh:
        """The mesh of devices."""
        return self._mesh

    def matches(self, path: str) -> list[str]:
        """Return the keys that match a path."""
        if path in self._layouts:
            return [path]
        return [key for key in self._layouts if re.fullmatch(key, path)]

    def __getitem__(self, path: str) -> TensorLayout | None:
        """Return the layout of a path, or `None` if no key matches.

        Raises:
            ValueError: If several keys match.
        """
        keys = self.matches(path)
        if len(keys) > 1:
            raise ValueError(
                f"LayoutMap: the path {path!r} matches {len(keys)} keys,"
                f" {errors.listed(keys)}. Make the keys so that one of them matches."
            )
        return self._layouts[keys[0]] if keys else None

    def __setitem__(self, key: str, layout: TensorLayout | Sequence[str | None] | None) -> None:
        """Add a layout, or a tuple of mesh axes for one.

        Raises:
            ValueError: If the key is there already, the layout is neither, or the mesh has no axis
                of a name.
        """
        if key in self._layouts:
            raise ValueError(
                f"LayoutMap: the key {key!r} is there already, with {self._layouts[key].axes}."
                " Delete it first."
            )
        if isinstance(layout, (tuple, list)):
            layout = TensorLayout(layout, self._mesh)
        if not isinstance(layout, TensorLayout):
            raise ValueError(
                f"LayoutMap: the layout of {key!r} must be a TensorLayout or a tuple of mesh axes,"
                f" received {errors.describe(layout)}."
            )
        try:
            re.compile(key)
        except re.error as error:
            raise ValueError(
                f"LayoutMap: the key {key!r} is no regular expression: {error}."
            ) from None
        if layout.device_mesh is None:
            layout.device_mesh = self._mesh
        self._layouts[key] = layout

    def __delitem__(self, key: str) -> None:
        del self._layouts[key]

    def __contains__(self, key: object) -> bool:
        """Return whether a key is there, spelled like this."""
        return key in self._layouts

    def __len__(self) -> int:
        return len(self._layouts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._layouts)

    def __repr__(self) -> str:
        rules = {key: layout.axes for key, layout in self._layouts.items()}
        return f"<LayoutMap {rules}, device_mesh={self._mesh}>"
