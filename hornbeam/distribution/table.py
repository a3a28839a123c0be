"""A table of the layouts of a model's variables."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hornbeam.core.placement import current_placement
from hornbeam.distribution.choice import choose
from hornbeam.distribution.distribution import Distribution
from hornbeam.distribution.layout_map import LayoutMap

__all__ = ["table"]


def table(
    model: Any,
    distribution: Distribution | str | None = None,
    print_fn: Callable[[str], Any] | None = None,
) -> None:
    """Print for each variable of a model its path, shape, layout and bytes per device.

    Below it are the bytes of all, and the rules of a `LayoutMap` that match no variable or share
    one with another rule. The optimizer's slots are listed too once they exist.

    Args:
        model: A built model.
        distribution: The distribution. Default: the model's own, else the current one; without
            any, all variables are whole.
        print_fn: Called with the text. Default: `print`.

    Raises:
        ValueError: If the model has no variables yet, or a layout does not fit.

    Example:
        >>> import hornbeam as hb
        >>> from hornbeam.distribution import DataParallel
        >>> model = hb.Sequential([hb.Input((4,)), hb.layers.Dense(2, name="d")], name="m")
        >>> lines = []
        >>> table(model, DataParallel(devices=["cpu:0"]), lines.append)
        >>> lines[0].splitlines()[-1]
        'All variables: 40 bytes per device, 40 in one copy.'
    """
    chosen: Any = (
        choose(distribution, model) or getattr(model, "distribution", None) or current_placement()
    )
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.weights, *(optimizer.variables if optimizer is not None else ())]
    if not model.weights:
        raise ValueError(
            f"table: {model.name!r} has no variables yet. Build it by a call on data, or begin it"
            " with `Input`."
        )
    devices = chosen.device_mesh.devices.size if chosen is not None else 1
    rows = Table(title=f"Layouts of {model.name!r}, devices: {devices}", title_justify="left")
    for heading in ("variable", "shape", "layout"):
        rows.add_column(heading, overflow="fold")
    rows.add_column("bytes per device", justify="right")
    rules = getattr(chosen, "layout_map", None)
    total = whole = 0
    for variable in variables:
        axes: Any = (None,) * len(variable.shape)
        if chosen is not None and not _is_ambiguous(rules, variable.path):
            axes = chosen.get_variable_layout(variable).axes
        size = _part(variable, axes, chosen)
        total, whole = total + size, whole + variable.nbytes
        rows.add_row(variable.path, str(variable.shape), str(axes), f"{size:,}")
    written = io.StringIO()
    Console(width=100, file=written).print(rows)
    text = written.getvalue().rstrip()
    text += f"\nAll variables: {total:,} bytes per device, {whole:,} in one copy."
    for line in _faults(rules, [v.path for v in model.weights]):
        text += f"\n{line}"
    (print_fn or print)(text)


def _part(variable: Any, axes: tuple[str | None, ...], chosen: Any) -> int:
    """Return the bytes of the part of a variable that one device keeps."""
    sizes = list(variable.shape)
    for number, name in enumerate(axes):
        if name is not None:
            mesh = chosen.device_mesh
            sizes[number] //= mesh.shape[mesh.axis_names.index(name)]
    return math.prod(sizes) * np.dtype(variable.value.dtype).itemsize


def _is_ambiguous(rules: LayoutMap | None, path: str) -> bool:
    return rules is not None and len(rules.matches(path)) > 1


def _faults(rules: LayoutMap | None, paths: list[str]) -> list[str]:
    """Return one line for each rule that matches nothing, or a variable of another rule."""
    if rules is None:
        return []
    matched = {key: [path for path in paths if key in rules.matches(path)] for key in rules}
    found = [
        f"The rule {key!r} matches no variable; it must match a whole path."
        for key, hits in matched.items()
        if not hits and not key.endswith("output")
    ]
    for path in paths:
        keys = rules.matches(path)
        if len(keys) > 1:
            found.append(f"The variable {path!r} matches several rules: {', '.join(keys)}.")
    return found
