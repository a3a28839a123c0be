"""`plot_model`: a picture of a model's layers."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hornbeam import errors
from hornbeam.drawing.dot import Dot, has_graphviz
from hornbeam.drawing.figure import FIGURE_FORMATS
from hornbeam.drawing.picture import DIRECTIONS, SPLINES
from hornbeam.models import Model
from hornbeam.models.diagram import Shown, diagram_of
from hornbeam.typing import FilePath

__all__ = ["Dot", "model_to_dot", "plot_model"]

_DRAWN = ("svg", *FIGURE_FORMATS)

_ARGUMENTS = [
    "show_shapes", "show_dtype", "show_layer_names", "rankdir", "expand_nested", "dpi", "subgraph",
    "show_layer_activations", "show_trainable", "splines", "layer_range",
]  # fmt: skip


def model_to_dot(
    model: Model, show_shapes: bool = False, show_dtype: bool = False,
    show_layer_names: bool = True, rankdir: str = "TB", expand_nested: bool = False,
    dpi: float | None = 200, subgraph: bool = False, show_layer_activations: bool = False,
    show_trainable: bool = False, splines: str = "ortho",
    layer_range: Sequence[str] | None = None, **kwargs: Any,
) -> Dot:  # fmt: skip
    """Return the layers of a model and what they pass on, as a graph.

    Args:
        model: The model. Of one that is neither functional nor sequential, the layers stand alone.
        show_shapes: Whether to show the shapes of inputs and outputs.
        show_dtype: Whether to show the dtype of the outputs.
        show_layer_names: Whether to show the names of the layers.
        rankdir: `"TB"` from top to bottom, `"LR"` from left to right, `"BT"` or `"RL"`.
        expand_nested: Whether to show the layers of models inside the model.
        dpi: Dots per inch of a picture.
        subgraph: Whether the text of the graph is a part of another graph, a `subgraph`.
        show_layer_activations: Whether to show the activations.
        show_trainable: Whether to show which layers are trainable.
        splines: Form of the lines: `"ortho"` for right angles, `"curved"`, `"line"`, or `"none"`.
        layer_range: Names, or regular expressions, of the first and the last layer to show.

    Returns:
        An object with methods of `pydot.Dot`, such as `to_string()` and `create(format="svg")`.

    Raises:
        ValueError: If the model is not built, `layer_range` names no layer, or `rankdir`, `splines`
            or `dpi` is none of the above.
        TypeError: If an argument is unknown.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(3)])
        >>> "(None, 3)" in model_to_dot(model, show_shapes=True).to_string()
        True
    """
    if kwargs:
        raise errors.unexpected("model_to_dot", kwargs, _ARGUMENTS)
    if not model.built:
        raise ValueError(
            f"plot_model: model '{model.name}' is not built yet, so it has no shapes. Call it on"
            " data, or `build(input_shape)` it."
        )
    rankdir, splines = str(rankdir).upper(), str(splines).lower()
    for name, value, known in (("rankdir", rankdir, DIRECTIONS), ("splines", splines, SPLINES)):
        if value not in known:
            raise ValueError(
                f"plot_model: `{name}` must be one of {errors.listed(known)}, received {value!r}."
            )
    if dpi is not None and not (isinstance(dpi, (int, float)) and dpi > 0):
        raise ValueError(f"plot_model: `dpi` must be a positive number, received {dpi!r}.")
    shown = Shown(
        show_layer_names, show_shapes, show_dtype, show_layer_activations, show_trainable,
        expand_nested,
    )  # fmt: skip
    return Dot(diagram_of(model, shown, layer_range), rankdir, splines, dpi, subgraph)


def plot_model(
    model: Model, to_file: FilePath | None = "model.png", show_shapes: bool = False,
    show_dtype: bool = False, show_layer_names: bool = False, rankdir: str = "TB",
    expand_nested: bool = False, dpi: float | None = 200, show_layer_activations: bool = False,
    show_trainable: bool = False, splines: str = "ortho",
    layer_range: Sequence[str] | None = None, engine: str | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """Draw a model into a file.

    Hornbeam draws SVG itself, and PNG, PDF, JPEG and PostScript with Matplotlib, the extra `viz`.
    Where Matplotlib is missing, it writes the picture as SVG beside the file, with a warning.

    Args:
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi,
            show_layer_activations, show_trainable, splines, layer_range: As for `model_to_dot`.
        to_file: Path of the picture. Its ending is the format; `.dot` is the graph as text. `None`
            writes no file.
        engine: `"graphviz"` if Graphviz is to draw, which must be installed. Default: Hornbeam
            draws; Graphviz draws formats that Hornbeam does not know, such as GIF.

    Returns:
        In a notebook, the picture; otherwise `None`.

    Raises:
        FileNotFoundError: If Graphviz is needed and not installed.
        ValueError: As for `model_to_dot`, or if `engine` is unknown.

    Example:
        >>> import hornbeam as hb, pathlib, tempfile
        >>> path = tempfile.mkdtemp() + "/model.svg"
        >>> plot_model(hb.Sequential([hb.Input((2,)), hb.layers.Dense(3)]), path)
        >>> pathlib.Path(path).read_text()[:4]
        '<svg'
    """
    if kwargs:
        raise errors.unexpected("plot_model", kwargs, ["to_file", *_ARGUMENTS, "engine"])
    if engine not in (None, "graphviz"):
        raise ValueError(f"plot_model: `engine` must be 'graphviz' or None, received {engine!r}.")
    dot = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, False,
        show_layer_activations, show_trainable, splines, layer_range,
    )  # fmt: skip
    if to_file is None:
        return _in_notebook("SVG", dot.draw("svg"))
    path = os.fspath(to_file)
    ending = os.path.splitext(path)[1][1:].lower() or "png"
    data = _drawn(dot, path, ending, engine)
    if data is None:
        return None
    Path(path).write_bytes(data)
    kind = {"svg": "SVG", "png": "Image", "jpg": "Image", "jpeg": "Image", "gif": "Image"}
    return _in_notebook(kind[ending], data) if ending in kind else None


def _drawn(dot: Dot, path: str, ending: str, engine: str | None) -> bytes | None:
    """Return what the file holds; `None`, with a file of SVG beside it, where that cannot be."""
    if engine is not None and not has_graphviz():
        raise FileNotFoundError(
            "plot_model: `engine='graphviz'` needs Graphviz, which is not installed. Install it"
            " (https://graphviz.org/download), or leave `engine` out."
        )
    if engine is not None or ending in ("dot", "raw"):
        return dot.create(format=ending)
    try:
        return dot.draw(ending) if ending in _DRAWN else dot.create(format=ending)
    except ImportError:
        if has_graphviz():
            return dot.create(format=ending)
        other = os.path.splitext(path)[0] + ".svg"
        Path(other).write_bytes(dot.draw("svg"))
        warnings.warn(
            f"plot_model: Matplotlib, which draws pictures in the format {ending}, is not"
            f" installed. The picture was written to '{other}'. Run `pip install \"hornbeam[viz]\"`"
            " for the other formats.",
            stacklevel=3,
        )
        return None


def _in_notebook(kind: str, data: bytes) -> Any:
    """Return a picture as a notebook shows it; elsewhere `None`."""
    try:
        ipython = importlib.import_module("IPython")
    except ImportError:
        return None
    if ipython.get_ipython() is None:
        return None
    return getattr(importlib.import_module("IPython.display"), kind)(data)
