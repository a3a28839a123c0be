"""Diagrams in the language of Graphviz, and pictures that Graphviz draws."""

from __future__ import annotations

import html
import io
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hornbeam.drawing.diagram import Box, Diagram, printable
from hornbeam.drawing.figure import FIGURE_FORMATS, to_file
from hornbeam.drawing.picture import arrange
from hornbeam.drawing.svg import COLORS, to_svg
from hornbeam.typing import FilePath

__all__ = ["Dot", "has_graphviz"]

_TEXT = ("raw", "dot")


def has_graphviz(program: str = "dot") -> bool:
    """Return whether a program of Graphviz is installed."""
    return shutil.which(program) is not None


class Dot:
    """A diagram that is text for Graphviz, and a picture. The methods are those of `pydot.Dot`.

    Graphviz draws the picture if it is installed. Otherwise Hornbeam does.

    Args:
        diagram: What to show.
        rankdir, splines, dpi: As for `hornbeam.utils.plot_model`.
        subgraph: Whether the text is a part of another graph.

    Example:
        >>> from hornbeam.drawing import Box, Diagram
        >>> Dot(Diagram([Box("a", "Dense")])).create_svg()[:4]
        b'<svg'
    """

    def __init__(
        self, diagram: Diagram, rankdir: str = "TB", splines: str = "ortho",
        dpi: float | None = None, subgraph: bool = False,
    ):  # fmt: skip
        self.diagram, self.rankdir, self.splines, self.dpi = diagram, rankdir, splines, dpi
        self.subgraph = subgraph

    @property
    def lines(self) -> list[str]:
        """The statements of the graph."""
        settings = [
            f"rankdir={self.rankdir};", f'splines="{self.splines}";', "concentrate=true;",
            "node [shape=plaintext];",
        ]  # fmt: skip
        settings += [f"dpi={self.dpi:g};"] if self.dpi else []
        return [*settings, *_statements(self.diagram, "")]

    def to_string(self) -> str:
        """Return the text of the graph."""
        start = "subgraph cluster_model {" if self.subgraph else "digraph G {"
        return "\n".join([start, *self.lines, "}"])

    def __str__(self) -> str:
        return self.to_string()

    def create(self, prog: str | None = None, format: str = "ps") -> bytes:
        """Return the picture.

        Args:
            prog: Program of Graphviz. Default: `"dot"`.
            format: Format of the picture, such as `"png"`, `"svg"` or `"pdf"`, or `"dot"` for the
                text.

        Raises:
            FileNotFoundError: If the program is not installed, and Hornbeam cannot take its place,
                because it is not `dot` or because the format is another.
            ImportError: If Graphviz is not installed, and the format needs Matplotlib, which is not
                installed either.
            RuntimeError: If Graphviz fails.
        """
        program = prog or "dot"
        if format in _TEXT:
            return self.to_string().encode()
        if has_graphviz(program):
            return self._by_graphviz(program, format)
        if program != "dot" or format not in ("svg", *FIGURE_FORMATS):
            what = f"the layout `{program}`" if program != "dot" else f"the format '{format}'"
            formats = ", ".join(("svg", *FIGURE_FORMATS))
            raise FileNotFoundError(
                f"plot_model: {what} needs Graphviz, which is not installed. Install it"
                f" (https://graphviz.org/download), or take one of the formats {formats}, which"
                " Hornbeam draws."
            )
        return self.draw(format)

    def draw(self, format: str = "svg") -> bytes:
        """Return the picture as Hornbeam draws it, whether Graphviz is installed or not."""
        picture = arrange(self.diagram, self.rankdir, self.splines)
        if format == "svg":
            return to_svg(picture).encode()
        file = io.BytesIO()
        to_file(picture, file, format, self.dpi)
        return file.getvalue()

    def _by_graphviz(self, program: str, format: str) -> bytes:
        text = self.to_string()
        if self.subgraph:  # Graphviz draws whole graphs only
            text = f"digraph G {{\n{text}\n}}"
        done = subprocess.run(
            [program, f"-T{format}"], input=text.encode(), capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"plot_model: `{program}` failed: {done.stderr.decode()[-500:]}")
        return done.stdout

    def write(self, path: FilePath, prog: str | None = None, format: str = "raw") -> bool:
        """Write the graph as text (`"raw"`, `"dot"`), or as a picture."""
        Path(path).write_bytes(self.create(prog, format))
        return True

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return `create_svg`, `write_png` and the like."""
        found = re.fullmatch("(create|write)_([a-z0-9_]+)", name)
        if not found:
            raise AttributeError(f"'Dot' object has no attribute {name!r}")
        method, format = getattr(self, found[1]), found[2]
        return lambda *args, **kwargs: method(*args, format=format, **kwargs)

    def _repr_svg_(self) -> str:
        """Return the picture for a notebook."""
        return self.draw("svg").decode()


def _statements(diagram: Diagram, prefix: str) -> Iterator[str]:
    for box in diagram.boxes:
        name = f"{prefix}{box.key}"
        if box.inside is not None:
            yield f'subgraph "cluster_{name}" {{ label=<{_escaped(box.title)}>;'
            yield from _statements(box.inside, f"{name}/")
            yield "}"
        else:
            yield f'"{name}" [label=<{_label(box)}>];'
    boxes = {box.key: box for box in diagram.boxes}
    for arrow in diagram.arrows:
        start = _end(boxes[arrow.start], arrow.output, prefix, "outputs")
        end = _end(boxes[arrow.end], arrow.input, prefix, "inputs")
        yield f'"{start}" -> "{end}";'


def _end(box: Box, index: int, prefix: str, side: str) -> str:
    """Return the name of the box at which an arrow begins or ends, inside of frames."""
    name = f"{prefix}{box.key}"
    if box.inside is None:
        return name
    keys = getattr(box.inside, side) or [box.inside.boxes[0].key]
    key = keys[min(index, len(keys) - 1)]
    inner = next(b for b in box.inside.boxes if b.key == key)
    return _end(inner, 0, f"{name}/", side)


def _escaped(text: str) -> str:
    return html.escape(printable(text))


def _label(box: Box) -> str:
    """Return a table of what a box shows, in Graphviz's HTML."""
    fill, ink = COLORS[box.kind]
    rows = [
        f'<td bgcolor="{fill}"><font color="{ink}"><b>{_escaped(box.title)}</b></font></td>',
        *(f"<td>{_escaped(word)} <b>{_escaped(value)}</b></td>" for word, value in box.rows),
    ]
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table border="0" cellborder="1" cellspacing="0" cellpadding="8">{table}</table>'
