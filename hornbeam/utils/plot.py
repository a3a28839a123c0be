"""`plot_model`: a picture of a model's layers, drawn by Graphviz."""

from __future__ import annotations

import html
import importlib
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hornbeam import errors
from hornbeam.core.graph import nodes_of
from hornbeam.layers import InputLayer, Layer
from hornbeam.layers.shapes import shape_of
from hornbeam.models import Functional, Model, Sequential
from hornbeam.typing import FilePath

__all__ = ["Dot", "model_to_dot", "plot_model"]


class Dot:
    """A graph in the language of Graphviz.

    Args:
        lines: The statements of the graph.

    Example:
        >>> print(Dot(["a -> b"]).to_string())
        digraph G {
        a -> b
        }
    """

    def __init__(self, lines: Sequence[str]):
        self.lines = list(lines)

    def to_string(self) -> str:
        """Return the text of the graph."""
        return "\n".join(["digraph G {", *self.lines, "}"])

    def create(self, prog: str = "dot", format: str = "ps") -> bytes:
        """Return the graph as a picture.

        Args:
            prog: Program of Graphviz.
            format: Format of the picture, such as `"png"`, `"svg"` or `"pdf"`.

        Raises:
            FileNotFoundError: If the program is not installed.
            RuntimeError: If it fails.
        """
        if shutil.which(prog) is None:
            raise FileNotFoundError(
                f"plot_model: the program `{prog}` of Graphviz draws the picture and is not"
                " installed. Install Graphviz (https://graphviz.org/download), or write the graph"
                " as text: `plot_model(model, 'model.dot')`."
            )
        done = subprocess.run(
            [prog, f"-T{format}"], input=self.to_string().encode(), capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"plot_model: `{prog}` failed: {done.stderr.decode()[-500:]}")
        return done.stdout

    def write(self, path: FilePath, prog: str = "dot", format: str = "raw") -> bool:
        """Write the graph as text (`"raw"`, `"dot"`), or as a picture."""
        raw = format in ("raw", "dot")
        data = self.to_string().encode() if raw else self.create(prog, format)
        Path(path).write_bytes(data)
        return True


def model_to_dot(
    model: Model, show_shapes: bool = False, show_dtype: bool = False,
    show_layer_names: bool = True, rankdir: str = "TB", expand_nested: bool = False,
    dpi: int | None = 200, subgraph: bool = False, show_layer_activations: bool = False,
    show_trainable: bool = False, splines: str = "ortho",
    layer_range: Sequence[str] | None = None, **kwargs: Any,
) -> Dot:  # fmt: skip
    """Return the layers of a model and what they pass on, as a graph for Graphviz.

    Args:
        model: The model. Of one that is neither functional nor sequential, the layers stand alone.
        show_shapes: Whether to show the shapes of inputs and outputs.
        show_dtype: Whether to show the dtype of the outputs.
        show_layer_names: Whether to show the names of the layers.
        rankdir: `"TB"` from top to bottom, `"LR"` from left to right.
        expand_nested: Whether to show the layers of models inside the model.
        dpi: Dots per inch of a picture.
        subgraph: Without effect: models inside are clusters.
        show_layer_activations: Whether to show the activations.
        show_trainable: Whether to show which layers are trainable.
        splines: Form of the lines: `"ortho"`, `"curved"` or another of Graphviz.
        layer_range: Names, or regular expressions, of the first and the last layer to show.

    Raises:
        ValueError: If the model is not built, or `layer_range` names no layer.
        TypeError: If an argument is unknown.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(3)])
        >>> "(None, 3)" in model_to_dot(model, show_shapes=True).to_string()
        True
    """
    if kwargs:
        raise errors.unexpected("model_to_dot", kwargs, ["show_shapes", "rankdir", "dpi"])
    if not model.built:
        raise ValueError(
            f"plot_model: model '{model.name}' is not built yet, so it has no shapes. Call it on"
            " data, or `build(input_shape)` it."
        )
    shown = {
        "names": show_layer_names, "shapes": show_shapes, "dtype": show_dtype,
        "activations": show_layer_activations, "trainable": show_trainable,
    }  # fmt: skip
    lines = [
        f"rankdir={rankdir};",
        f"splines={splines};",
        "concentrate=true;",
        "node [shape=plaintext];",
    ]
    lines += [f"dpi={dpi};"] if dpi else []
    chosen = _in_range(_layers(model), layer_range)
    return Dot([*lines, *_statements(model, chosen, shown, expand_nested)])


def plot_model(
    model: Model, to_file: FilePath = "model.png", show_shapes: bool = False,
    show_dtype: bool = False, show_layer_names: bool = False, rankdir: str = "TB",
    expand_nested: bool = False, dpi: int | None = 200, show_layer_activations: bool = False,
    show_trainable: bool = False, splines: str = "ortho",
    layer_range: Sequence[str] | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """Draw a model into a file.

    Graphviz draws it. Without Graphviz, the graph is written as text beside the file, with the
    ending `.dot`, and a warning says so.

    Args:
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi,
            show_layer_activations, show_trainable, splines, layer_range: As for `model_to_dot`.
        to_file: Path of the picture. Its ending is the format; `.dot` is the graph as text.

    Returns:
        In a notebook, the picture; otherwise `None`.

    Raises:
        ValueError: As for `model_to_dot`.

    Example:
        >>> import hornbeam as hb, pathlib, tempfile
        >>> path = tempfile.mkdtemp() + "/model.dot"
        >>> plot_model(hb.Sequential([hb.Input((2,)), hb.layers.Dense(3)]), path)
        >>> pathlib.Path(path).read_text().splitlines()[0]
        'digraph G {'
    """
    dot = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, False,
        show_layer_activations, show_trainable, splines, layer_range, **kwargs,
    )  # fmt: skip
    path = os.fspath(to_file)
    ending = os.path.splitext(path)[1][1:] or "png"
    if ending != "dot" and shutil.which("dot") is None:
        text = os.path.splitext(path)[0] + ".dot"
        warnings.warn(
            "plot_model: Graphviz, which draws the picture, is not installed. The graph was written"
            f" to '{text}'. Install Graphviz (https://graphviz.org/download), then run"
            f" `dot -T{ending} {text} -o {path}`.",
            stacklevel=2,
        )
        dot.write(text)
        return None
    dot.write(path, format=ending)
    return _shown_in_notebook(path) if ending in ("png", "jpg", "jpeg", "gif") else None


def _shown_in_notebook(path: str) -> Any:
    try:
        ipython = importlib.import_module("IPython")
    except ImportError:
        return None
    if ipython.get_ipython() is None:
        return None
    return importlib.import_module("IPython.display").Image(filename=path)


# --- statements -----------------------------------------------------------------------------------


def _layers(model: Model) -> list[Layer]:
    if isinstance(model, Sequential) and model.inputs:
        source = nodes_of(model.inputs[0].producer[0].operation)[0].operation
        first = [source] if isinstance(source, InputLayer) and source not in model.layers else []
        return [*first, *model.layers]
    if isinstance(model, Functional):
        return list(model.operations)  # type: ignore[arg-type]  # ops are shown as layers
    return model.layers


def _in_range(layers: list[Layer], layer_range: Sequence[str] | None) -> list[Layer]:
    if layer_range is None:
        return layers
    ends = []
    for pattern in layer_range:
        found = [i for i, layer in enumerate(layers) if re.fullmatch(pattern, layer.name)]
        if not found:
            raise errors.unknown_name("layer of `layer_range`", pattern, [x.name for x in layers])
        ends.append(found)
    first, last = ends[0][0], ends[-1][-1]
    return layers[min(first, last) : max(first, last) + 1]


def _key(layer: Any) -> str:
    return str(id(layer))


def _statements(
    model: Model, layers: list[Layer], shown: dict[str, bool], expand: bool
) -> Iterator[str]:
    for layer in layers:
        if expand and isinstance(layer, Model) and _layers(layer):
            yield f"subgraph cluster_{_key(layer)} {{ label={_quoted(layer.name)};"
            yield from _statements(layer, _layers(layer), shown, expand)
            yield "}"
        else:
            yield f"{_key(layer)} [label=<{_label(layer, shown)}>];"
    known = set(layers)
    for start, end in _edges(model):
        if start in known and end in known:
            yield f"{_key(_end_of(start, expand, -1))} -> {_key(_end_of(end, expand, 0))};"


def _end_of(layer: Layer, expand: bool, index: int) -> Layer:
    """Return the first or the last layer inside a model that is expanded."""
    while expand and isinstance(layer, Model) and _layers(layer):
        layer = _layers(layer)[index]
    return layer


def _edges(model: Model) -> list[tuple[Layer, Layer]]:
    """Return pairs of layers of which the second takes an output of the first."""
    if isinstance(model, Sequential):
        layers = _layers(model)
        return list(zip(layers, layers[1:], strict=False))
    if not isinstance(model, Functional):
        return []
    nodes = model.graph_nodes
    pairs = [
        (parent.operation, node.operation)
        for node in nodes
        for parent in node.parents
        if parent in nodes
    ]
    return list(dict.fromkeys(pairs))  # type: ignore[arg-type]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'") + '"'


def _label(layer: Any, shown: dict[str, bool]) -> str:
    """Return a table of what is shown of a layer, in Graphviz's HTML."""
    title = type(layer).__name__
    if title == "OpCall":
        title = layer.info.class_name
    title = f"{layer.name} ({title})" if shown["names"] else title
    rows = [f'<td bgcolor="black"><font color="white"><b>{html.escape(title)}</b></font></td>']
    nodes = nodes_of(layer)
    if shown["activations"]:
        activation = getattr(layer, "activation", None)
        if activation is not None:
            name = getattr(activation, "__name__", type(activation).__name__)
            rows.append(f"<td>Activation: <b>{html.escape(name)}</b></td>")
    if shown["shapes"] and nodes:
        inputs = [x.shape for x in nodes[0].inputs]
        given = inputs[0] if len(inputs) == 1 else inputs
        made = shape_of(nodes[0].outputs)
        rows.append(f"<td>Input: <b>{html.escape(str(given or made))}</b></td>")
        rows.append(f"<td>Output: <b>{html.escape(str(made))}</b></td>")
    if shown["dtype"] and nodes:
        kinds = [x.dtype for x in _tensors(nodes[0].outputs)]
        rows.append(f"<td>Dtype: <b>{html.escape(', '.join(kinds))}</b></td>")
    if shown["trainable"] and getattr(layer, "weights", None):
        kind = "Trainable" if layer.trainable else "Non-trainable"
        rows.append(f"<td><b>{kind}</b></td>")
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table border="0" cellborder="1" cellspacing="0" cellpadding="8">{table}</table>'


def _tensors(outputs: Any) -> list[Any]:
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
