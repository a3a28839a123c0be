"""Building a layer: runs `build` in its name scope and finds the shapes that it takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from hornbeam.core import naming
from hornbeam.layers.call_scope import running_scope
from hornbeam.layers.shapes import shape_to_config

__all__ = ["build_arguments", "wrap_build"]


def wrap_build(build: Callable[..., None]) -> Callable[..., None]:
    """Wrap a `build` method to use the layer's name scope, set `built` and record the shapes.

    A call of `super().build()` inside another `build` runs the unwrapped method.
    """
    if getattr(build, "_wrapped", False):
        return build

    @functools.wraps(build)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        if getattr(self, "_building", False):
            build(self, *args, **kwargs)
            return
        object.__setattr__(self, "_building", True)
        scope = naming.current_path()
        inside = scope == self.name or scope.endswith(f"/{self.name}")
        try:
            with running_scope(self), nullcontext() if inside else naming.name_scope(self.name):
                self._path = naming.current_path()
                build(self, *args, **kwargs)
        finally:
            object.__setattr__(self, "_building", False)
        self.built = True
        names = list(inspect.signature(build).parameters)[1:]
        shapes = dict(zip(names, args, strict=False)) | kwargs
        self._build_shapes = {n: shape_to_config(s) for n, s in shapes.items()}

    wrapped._wrapped = True  # type: ignore[attr-defined]  # prevents wrapping twice
    return wrapped


def build_arguments(
    build: Callable[..., None], shapes: dict[str, Any]
) -> tuple[list, dict[str, Any]]:
    """Return the arguments for `build`: the first shape, or one `NAME_shape` per input.

    Args:
        build: The layer's bound method.
        shapes: Shapes of the tensors in a call, by the names of `call`'s parameters.

    Returns:
        Positional arguments and keyword arguments.
    """
    parameters = inspect.signature(build).parameters
    wanted = [n for n, p in parameters.items() if p.kind in (0, 1, 3)]
    first = next(iter(shapes.values()), None)
    if len(wanted) <= 1:
        return ([first] if wanted else []), {}
    named = {n: shapes.get(n.removesuffix("_shape")) for n in wanted if n.endswith("_shape")}
    if "input_shape" in wanted and named.get("input_shape") is None:
        named["input_shape"] = first
    return [], {
        n: s
        for n, s in named.items()
        if s is not None or parameters[n].default is inspect.Parameter.empty
    }
