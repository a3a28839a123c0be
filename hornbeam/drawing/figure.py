"""Pictures as PNG, PDF and other formats of Matplotlib."""

from __future__ import annotations

import io
from typing import Any

from hornbeam.drawing.diagram import printable
from hornbeam.drawing.picture import FONT_SIZE, LINE, Picture
from hornbeam.drawing.svg import COLORS, FRAME, INK, arrow_head
from hornbeam.optional import import_module
from hornbeam.typing import FilePath

__all__ = ["FIGURE_FORMATS", "as_png", "finish", "new_figure", "to_file"]

FIGURE_FORMATS = ("png", "pdf", "jpg", "jpeg", "ps", "eps")

# Matplotlib draws images with at most this many pixels a side.
_MOST_PIXELS = 2**15


def new_figure(needed_for: str, width: float, height: float, show: bool = False) -> Any:
    """Return an empty figure of Matplotlib. A notebook shows it where it is the result of a cell.

    Args:
        needed_for: Subject of the message if Matplotlib is missing.
        width, height: Size in inches.
        show: Whether `finish` will show it in a window.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    figures = import_module("matplotlib.figure", extra="viz", needed_for=needed_for)
    if show:
        pyplot = import_module("matplotlib.pyplot", extra="viz", needed_for=needed_for)
        return pyplot.figure(figsize=(width, height))
    figure = figures.Figure(figsize=(width, height))
    figure._repr_png_ = lambda: as_png(figure)
    return figure


def as_png(figure: Any) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def finish(
    figure: Any, path: FilePath | None = None, show: bool = False, dpi: float | None = None,
    transparent: bool = False,
) -> Any:  # fmt: skip
    """Save a figure, and show it in a window, if that is wanted; return it."""
    if path is not None:
        figure.savefig(path, dpi=dpi or "figure", transparent=transparent)
    if show:
        import_module("matplotlib.pyplot", extra="viz", needed_for="A window").show()
    return figure


def to_file(picture: Picture, file: FilePath | Any, format: str, dpi: float | None = None) -> None:
    """Write a picture with Matplotlib.

    Args:
        picture: The picture.
        file: A path, or a file opened for bytes.
        format: One of `FIGURE_FORMATS`.
        dpi: Pixels per inch; fewer if the picture would have more than 32,768 a side. Default: 96.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    width, height = picture.width / 72, picture.height / 72
    figure = new_figure(f"A picture in the format {format}", width, height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, picture.width), ylim=(picture.height, 0))
    axes.axis("off")
    _draw_shapes(axes, picture)
    for box, x, y, _, _ in picture.frames:
        _text(axes, box.title, x + 9, y + LINE * 0.72 + 3, weight="bold")
    for box, x, y, w, _ in picture.boxes:
        down = LINE * 0.72 + (0 if box.rows else 1.5)
        _text(axes, box.title, x + w / 2, y + down, weight="bold", ha="center",
              color=COLORS[box.kind][1])  # fmt: skip
        for number, (word, value) in enumerate(box.rows, 1):
            at = y + LINE * (number + 0.72) + 1
            _text(axes, word, x + 9, at, color=INK)
            _text(axes, value, x + w - 9, at, ha="right")
    most = _MOST_PIXELS / max(width, height)
    figure.savefig(file, format=format, dpi=min(dpi or 96, most))


def _draw_shapes(axes: Any, picture: Picture) -> None:
    patches = import_module("matplotlib.patches", extra="viz", needed_for="A picture")
    paths = import_module("matplotlib.path", extra="viz", needed_for="A picture")
    for _, x, y, w, h in picture.frames:
        axes.add_patch(
            patches.Rectangle((x, y), w, h, facecolor=FRAME, edgecolor=INK, linestyle="--")
        )
    codes = {1: [2], 2: [3, 3], 3: [4, 4, 4]}  # of Matplotlib's paths
    for path in picture.paths:
        points = [point for step in path.steps for point in step]
        kinds = [1, *(code for step in path.steps[1:] for code in codes[len(step)])]
        axes.add_patch(
            patches.PathPatch(paths.Path(points, kinds), fill=False, edgecolor=INK, linewidth=1)
        )
        if path.head:
            axes.add_patch(patches.Polygon(arrow_head(path), color=INK, linewidth=0))
    for box, x, y, w, h in picture.boxes:
        axes.add_patch(patches.Rectangle((x, y), w, h, facecolor="white", edgecolor=INK))
        title = LINE + (0 if box.rows else 3)
        color = COLORS[box.kind][0]
        axes.add_patch(patches.Rectangle((x, y), w, title, facecolor=color, edgecolor=INK))


def _text(axes: Any, text: str, x: float, y: float, **style: Any) -> None:
    """Write a text as it is: `$` does not start a formula."""
    axes.text(
        x, y, printable(text), family="DejaVu Sans", size=FONT_SIZE, va="baseline",
        parse_math=False, **style,
    )  # fmt: skip
