"""From a diagram to a picture: sizes of boxes, their places, and the paths of arrows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hornbeam.drawing.diagram import Box, Diagram, text_width
from hornbeam.drawing.layered import Edge, Layout, lay_out

__all__ = ["DIRECTIONS", "FONT_SIZE", "LINE", "SPLINES", "Path", "Picture", "arrange"]

Point = tuple[float, float]
DIRECTIONS = ("TB", "LR", "BT", "RL")
# Graphviz's words for the forms of lines.
SPLINES = {
    "ortho": "ortho", "curved": "curved", "spline": "curved", "true": "curved", "line": "line",
    "polyline": "line", "false": "line", "none": "none", "": "none",
}  # fmt: skip

FONT_SIZE = 10.0
LINE = 17.0  # height of a line of text
_INDENT = 9.0  # beside a text
_FRAME = 14.0  # between a frame and what is in it
_MARGIN = 8.0
_LOOP = 14.0  # width of a line from a box to itself


@dataclass
class Path:
    """A line, and the corner of its arrow.

    Attributes:
        steps: The first point, then lists of one point (a straight line), two (a curve with one
            control point) or three (a curve with two control points).
        head: Whether an arrow head is at the end.
    """

    steps: list[list[Point]]
    head: bool = True


@dataclass
class Picture:
    """Boxes with their left upper corners and sizes, frames likewise, and lines."""

    width: float
    height: float
    boxes: list[tuple[Box, float, float, float, float]] = field(default_factory=list)
    frames: list[tuple[Box, float, float, float, float]] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)


@dataclass
class _Inner:
    """A diagram that is laid out: where data enter and leave, and the diagrams inside boxes."""

    layout: Layout
    sizes: list[tuple[float, float]]
    edges: list[Edge]
    inner: dict[int, _Inner]
    entries: list[float]
    exits: list[float]


def arrange(diagram: Diagram, direction: str = "TB", splines: str = "ortho") -> Picture:
    """Lay a diagram out.

    Args:
        diagram: The diagram.
        direction: One of `DIRECTIONS`, such as `"LR"` from left to right.
        splines: One of `SPLINES`, the form of the lines.
    """
    form = SPLINES[splines]
    sideways, flipped = direction in ("LR", "RL"), direction in ("BT", "RL")
    laid = _lay(diagram, sideways, flipped, form == "ortho", nested=False)
    across, along = laid.layout.size
    width, height = (along, across) if sideways else (across, along)
    picture = Picture(width + 2 * _MARGIN, height + 2 * _MARGIN)

    def place(point: Point) -> Point:
        x, y = point[0], along - point[1] if flipped else point[1]
        x, y = (y, x) if sideways else (x, y)
        return x + _MARGIN, y + _MARGIN

    _collect(diagram, laid, (0.0, 0.0), picture, place, sideways, flipped, form)
    return picture


def _size_of(box: Box) -> tuple[float, float]:
    widths = [text_width(box.title, FONT_SIZE, bold=True)]
    widths += [
        text_width(f"{word}  ", FONT_SIZE) + text_width(value, FONT_SIZE)
        for word, value in box.rows
    ]
    return max(widths) + 2 * _INDENT, LINE * (1 + len(box.rows)) + 3


def _frame(sideways: bool, flipped: bool) -> tuple[float, float, float, float]:
    """Return the room between a frame and its diagram: before and after, across and along."""
    if sideways:
        return _FRAME + LINE, _FRAME, _FRAME, _FRAME
    return _FRAME, _FRAME, _FRAME + LINE * (not flipped), _FRAME + LINE * flipped


def _lay(
    diagram: Diagram, sideways: bool, flipped: bool, right_angles: bool, nested: bool
) -> _Inner:
    inner: dict[int, _Inner] = {}
    sizes: list[tuple[float, float]] = []
    left, right, before, after = _frame(sideways, flipped)
    entries = diagram.inputs if nested else []
    exits = diagram.outputs if nested else []
    first = len(entries)
    loops = {arrow.start for arrow in diagram.arrows if arrow.start == arrow.end}
    sizes += [(1.0, 0.0)] * first
    for number, box in enumerate(diagram.boxes):
        if box.inside is None:
            width, height = _size_of(box)
            if box.key in loops:
                width += 0 if sideways else 2 * _LOOP
                height += 2 * _LOOP if sideways else 0
            sizes.append((height, width) if sideways else (width, height))
            continue
        laid = inner[number] = _lay(box.inside, sideways, flipped, right_angles, nested=True)
        across, along = laid.layout.size
        title = text_width(box.title, FONT_SIZE, bold=True) + 2 * _INDENT
        across, along = across + left + right, along + before + after
        across, along = (across, max(along, title)) if sideways else (max(across, title), along)
        sizes.append((across, along))
    sizes += [(1.0, 0.0)] * len(exits)
    number_of = {box.key: first + i for i, box in enumerate(diagram.boxes)}
    places = _Ends(inner, sizes, number_of, first, left)
    edges = [Edge(i, number_of[key], 0.0, places.enters(key, i)) for i, key in enumerate(entries)]
    edges += [
        Edge(
            number_of[a.start], number_of[a.end], places.leaves(a.start, a.output),
            places.enters(a.end, a.input),
        )
        for a in diagram.arrows
    ]  # fmt: skip
    last = first + len(diagram.boxes)
    edges += [
        Edge(number_of[key], last + i, places.leaves(key, i), 0.0) for i, key in enumerate(exits)
    ]
    layout = lay_out(sizes, edges, right_angles)
    return _Inner(
        layout, sizes[first:last], edges, inner,
        [layout.centers[i][0] for i in range(first)],
        [layout.centers[last + i][0] for i in range(len(exits))],
    )  # fmt: skip


@dataclass
class _Ends:
    """Where arrows meet boxes, relative to the centers of the boxes."""

    inner: dict[int, _Inner]
    sizes: list[tuple[float, float]]
    number_of: dict[str, int]
    first: int
    left: float

    def enters(self, key: str, index: int) -> float:
        return self._offset(key, index, "entries")

    def leaves(self, key: str, index: int) -> float:
        return self._offset(key, index, "exits")

    def _offset(self, key: str, index: int, side: str) -> float:
        number = self.number_of[key]
        laid = self.inner.get(number - self.first)
        places = getattr(laid, side) if laid is not None else []
        if not places:
            return 0.0
        place = places[min(index, len(places) - 1)]
        return place + self.left - self.sizes[number][0] / 2


def _collect(
    diagram: Diagram, laid: _Inner, origin: Point, picture: Picture,
    place: Callable[[Point], Point], sideways: bool, flipped: bool, form: str,
) -> None:  # fmt: skip
    """Add a diagram's boxes and lines to a picture."""
    left, _, before, after = _frame(sideways, flipped)
    first = len(laid.entries)
    for number, box in enumerate(diagram.boxes):
        x, y = laid.layout.centers[first + number]
        x, y = x + origin[0], y + origin[1]
        across, along = laid.sizes[number]
        corners = [place((x + s * across / 2, y + s * along / 2)) for s in (-1, 1)]
        low = min(p[0] for p in corners), min(p[1] for p in corners)
        size = abs(corners[0][0] - corners[1][0]), abs(corners[0][1] - corners[1][1])
        if box.inside is None:
            width, height = _size_of(box)
            low = low[0] + (size[0] - width) / 2, low[1] + (size[1] - height) / 2
            picture.boxes.append((box, *low, width, height))
            continue
        picture.frames.append((box, *low, *size))
        corner = (x - across / 2 + left, y - along / 2 + before)
        _collect(box.inside, laid.inner[number], corner, picture, place, sideways, flipped, form)
    if form == "none":
        return
    targets = len(diagram.boxes) + first
    framed = {first + number for number in laid.inner}
    for edge, route in zip(laid.edges, laid.layout.routes, strict=True):
        if edge.start == edge.end:
            own = diagram.boxes[edge.start - first]
            place_of = next(placed for placed in picture.boxes if placed[0] is own)
            picture.paths.append(_loop(sideways, *place_of[1:]))
            continue
        # Where data enter or leave a frame, lines begin and end at the frame.
        if edge.start < first:
            route = [(route[0][0], route[0][1] - before), *route]
        if edge.end >= targets:
            route = [*route, (route[-1][0], route[-1][1] + after)]
        points = [place((x + origin[0], y + origin[1])) for x, y in route]
        # A line that leads into a frame, or out of one, goes on inside or outside.
        head = edge.end < targets and edge.end not in framed
        picture.paths.append(Path(_steps(points, form, sideways), head))


def _loop(sideways: bool, left: float, top: float, width: float, height: float) -> Path:
    """Return a line from a box to itself: at its right, or below it."""
    if sideways:
        x, y = left + width / 2, top + height
        corners = [(x - 5, y), (x - 5, y + _LOOP), (x + 5, y + _LOOP), (x + 5, y)]
    else:
        x, y = left + width, top + height / 2
        corners = [(x, y - 5), (x + _LOOP, y - 5), (x + _LOOP, y + 5), (x, y + 5)]
    return Path([[corner] for corner in corners])


def _steps(points: list[Point], form: str, sideways: bool) -> list[list[Point]]:
    """Return the steps of a path through corners."""
    steps = [[points[0]]]
    for i, (x1, y1) in enumerate(points[1:], 1):
        x0, y0 = points[i - 1]
        if form == "line":
            steps.append([(x1, y1)])
        elif form == "curved":
            if sideways:
                middle = (x0 + x1) / 2
                steps.append([(middle, y0), (middle, y1), (x1, y1)])
            else:
                middle = (y0 + y1) / 2
                steps.append([(x0, middle), (x1, middle), (x1, y1)])
        elif i + 1 < len(points):
            x2, y2 = points[i + 1]
            steps += _rounded((x0, y0), (x1, y1), (x2, y2))
        else:
            steps.append([(x1, y1)])
    return steps


def _rounded(before: Point, corner: Point, after: Point) -> list[list[Point]]:
    """Return a line to a corner, and a curve around it."""

    def toward(target: Point) -> Point:
        dx, dy = target[0] - corner[0], target[1] - corner[1]
        length = max((dx**2 + dy**2) ** 0.5, 1e-9)
        part = min(4.0, length / 2) / length
        return corner[0] + dx * part, corner[1] + dy * part

    return [[toward(before)], [corner, toward(after)]]
