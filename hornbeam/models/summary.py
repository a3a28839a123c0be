"""The table that `Model.summary` prints."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from hornbeam import tree
from hornbeam.core.graph import nodes_of
from hornbeam.core.op import OpCall
from hornbeam.dtypes import standardize_dtype
from hornbeam.layers.layer import Layer
from hornbeam.layers.state import output_shapes_of_call
from hornbeam.training.requests import check_flag

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["count_bytes", "print_summary"]


def print_summary(
    model: Model,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[..., Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Print the layers of `model` and its parameter counts; see `Model.summary`."""
    from rich.console import Console  # heavy, and rarely needed
    from rich.markup import escape

    _check_arguments(line_length, positions, print_fn, expand_nested, show_trainable)
    branching = _is_branching(model)
    width = line_length or (88 if branching else 78) + (12 if show_trainable else 0)
    table = _empty_table(branching, bool(show_trainable), positions, width)

    def add_rows(parent: Any, depth: int) -> None:
        for layer in _in_range(_members(parent), layer_range if depth == 0 else None):
            mark = f"{'   ' * depth}└ " if depth else ""
            label = f"{mark}{layer.name} ({_kind(layer)})"
            cells = [escape(label), escape(_output_shape(layer)), _params(layer)]
            if branching:
                cells.append(escape(_connections(layer, parent)))
            if show_trainable:
                has_weights = isinstance(layer, Layer) and layer.weights
                cells.append(("Y" if layer.trainable else "N") if has_weights else "-")
            table.add_row(*cells)
            if expand_nested and hasattr(layer, "layers"):
                add_rows(layer, depth + 1)

    add_rows(model, 0)
    sink = io.StringIO()
    console = Console(file=sink, width=max(width + 16, 80), highlight=False, color_system=None)
    console.print(f'Model: "{model.name}"', markup=False)
    console.print(table)
    trainable, others = model.trainable_weights, model.non_trainable_weights
    # Before the first step, an optimizer has no variables for the weights.
    has_slots = getattr(getattr(model, "optimizer", None), "built", False)
    optimizer = list(model.optimizer.variables) if has_slots else []
    for label, variables in (
        ("Total", [*trainable, *others, *optimizer]),
        ("Trainable", trainable),
        ("Non-trainable", others),
        ("Optimizer", optimizer),
    ):
        if label != "Optimizer" or optimizer:
            count = sum(int(np.prod(v.shape)) for v in variables)
            console.print(f" {label} params: {count:,} ({count_bytes(variables)})", markup=False)
    text = sink.getvalue()
    for line in text.rstrip("\n").split("\n"):
        (print_fn or print)(line.rstrip())


def _check_arguments(
    line_length: Any, positions: Any, print_fn: Any, expand_nested: Any, show_trainable: Any
) -> None:
    """Raise `ValueError` if an argument is invalid."""
    if line_length is not None and (
        isinstance(line_length, bool)
        or not isinstance(line_length, (int, np.integer))
        or line_length < 1
    ):
        raise ValueError(
            f"summary: `line_length` must be a positive integer, received {line_length!r}."
        )
    if positions is not None and not (
        isinstance(positions, (list, tuple))
        and all(isinstance(p, (int, float)) and p > 0 for p in positions)
        and positions
    ):
        raise ValueError(
            f"summary: `positions` must be a list of positive numbers, received {positions!r}."
        )
    if print_fn is not None and not callable(print_fn):
        raise ValueError(
            f"summary: `print_fn` must be a function that takes a line, received {print_fn!r}."
        )
    check_flag("summary", "expand_nested", expand_nested)
    check_flag("summary", "show_trainable", show_trainable)


def _empty_table(
    branching: bool, show_trainable: bool, positions: Sequence[float] | None, width: int
) -> Any:
    """Return the table with its columns and no rows."""
    from rich import box  # heavy, and rarely needed
    from rich.table import Table

    columns = ["Layer (type)", "Output Shape", "Param #"]
    if branching:
        columns.append("Connected to")
    if show_trainable:
        columns.append("Trainable")
    table = Table(box=box.HEAVY_HEAD, show_lines=True)
    relative = positions or ([0.33, 0.56, 0.67, 1.0] if branching else [0.45, 0.75, 1.0])
    if max(relative) > 1:
        relative = [p / max(relative) for p in relative]
    lefts = [0.0, *relative[:-1]]
    for index, (name, left, right) in enumerate(zip(columns, lefts, relative, strict=False)):
        size = max(8, int((right - left) * width) - 2)
        table.add_column(
            name, justify="right" if index == 2 else "left", width=size, overflow="fold"
        )
    for name in columns[len(relative) :]:
        table.add_column(name, justify="center", width=9)
    return table


def count_bytes(variables: Sequence[Any]) -> str:
    """Return the memory size of variables as text, such as `"26.63 KB"`."""
    size = float(sum(int(np.prod(v.shape)) * _itemsize(v.dtype) for v in variables))
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            break
        size /= 1024
    return f"{size:.2f} {unit}"


def _itemsize(dtype: str) -> int:
    return jnp.dtype(standardize_dtype(dtype)).itemsize


def _members(parent: Any) -> list[Any]:
    """Return the rows of the table: the layers, and for a graph also the ops."""
    chain = hasattr(parent, "add")  # a Sequential; its input is not listed
    return parent.layers if chain or not hasattr(parent, "_graph") else parent.operations


def _kind(operation: Any) -> str:
    return operation.info.class_name if isinstance(operation, OpCall) else type(operation).__name__


def _params(layer: Any) -> str:
    if not isinstance(layer, Layer):
        return "0"
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _output_shape(layer: Layer) -> str:
    shapes = []
    for node in nodes_of(layer)[:1]:
        shapes = [str(x.shape) for x in tree.flatten(node.outputs)]
    if not shapes and getattr(layer, "_functional", None) is not None:
        shapes = [str(x.shape) for x in layer._functional.outputs]  # type: ignore[attr-defined]
    if not shapes:
        shapes = [str(shape) for shape in output_shapes_of_call(layer)]
    return ", ".join(shapes) or "?"


def _connections(layer: Layer, parent: Any) -> str:
    if not hasattr(parent, "_graph"):
        return "-"
    members = {id(node) for node in parent._graph.nodes}
    sources = []
    for node in nodes_of(layer):
        if id(node) in members:
            for x in node.inputs:
                if x.history is not None:
                    sources.append(
                        f"{x.history[0].operation.name}[{x._keras_history[1]}][{x.history[1]}]"
                    )
    return ", ".join(sources) or "-"


def _is_branching(model: Any) -> bool:
    """Return whether a graph is not a plain chain."""
    if not hasattr(model, "_graph"):
        return False
    nodes = [n for n in model._graph.nodes if n.inputs]
    uses: dict[int, int] = {}
    for node in nodes:
        for x in node.inputs:
            uses[id(x)] = uses.get(id(x), 0) + 1
    return any(len(n.inputs) > 1 for n in nodes) or any(u > 1 for u in uses.values())


def _in_range(layers: list[Layer], layer_range: Sequence[str] | None) -> list[Layer]:
    if layer_range is None:
        return layers
    if not isinstance(layer_range, (list, tuple)) or len(layer_range) != 2:
        raise ValueError(
            f"summary: `layer_range` must be a list of two names, received {layer_range!r}."
        )
    hits = [
        [i for i, layer in enumerate(layers) if layer.name == end or re.fullmatch(end, layer.name)]
        for end in layer_range
    ]
    if not hits[0] or not hits[1]:
        raise ValueError(f"summary: no layer matches `layer_range` {layer_range!r}.")
    return layers[min(hits[0][0], hits[1][-1]) : max(hits[0][0], hits[1][-1]) + 1]
