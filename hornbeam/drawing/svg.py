"""Pictures as SVG, without any package."""

from __future__ import annotations

import html
import math

from hornbeam.drawing.diagram import printable
from hornbeam.drawing.picture import FONT_SIZE, LINE, Path, Picture

__all__ = ["COLORS", "FRAME", "INK", "arrow_head", "to_svg"]

# Background and text of titles, by kind of box.
COLORS = {
    "input": ("#31688e", "#ffffff"),
    "weights": ("#1f2937", "#ffffff"),
    "frozen": ("#6b7280", "#ffffff"),
    "plain": ("#d9dee6", "#111827"),
}
FRAME = "#f3f6fa"
INK = "#4b5563"


def to_svg(picture: Picture) -> str:
    """Return a picture as the text of an SVG file. Names in it cannot be markup."""
    width, height = math.ceil(picture.width), math.ceil(picture.height)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" font-family="DejaVu Sans, Verdana, sans-serif"'
        f' font-size="{FONT_SIZE:g}">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for box, x, y, w, h in picture.frames:
        out.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="5"'
            f' fill="{FRAME}" stroke="{INK}" stroke-dasharray="4 3"/>'
            + _text(box.title, x + 9, y + LINE * 0.72 + 3, 'font-weight="bold"')
        )
    out += [_path(path) for path in picture.paths]
    for box, x, y, w, h in picture.boxes:
        fill, ink = COLORS[box.kind]
        out.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="#ffffff"'
            f' stroke="{INK}"/><rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}"'
            f' height="{LINE + (0 if box.rows else 3):.1f}" fill="{fill}" stroke="{INK}"/>'
            + _text(
                box.title, x + w / 2, y + LINE * 0.72 + (0 if box.rows else 1.5),
                f'font-weight="bold" fill="{ink}" text-anchor="middle"',
            )
        )  # fmt: skip
        for number, (word, value) in enumerate(box.rows, 1):
            at = y + LINE * (number + 0.72) + 1
            out.append(_text(word, x + 9, at, f'fill="{INK}"'))
            out.append(_text(value, x + w - 9, at, 'text-anchor="end"'))
    out.append("</svg>")
    return "\n".join(out)


def _text(text: str, x: float, y: float, style: str) -> str:
    shown = html.escape(printable(text))
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{shown}</text>'


def _path(path: Path) -> str:
    letters = {1: "L", 2: "Q", 3: "C"}
    parts = []
    for number, step in enumerate(path.steps):
        points = " ".join(f"{x:.1f} {y:.1f}" for x, y in step)
        parts.append(f"{letters[len(step)] if number else 'M'}{points}")
    line = f'<path d="{" ".join(parts)}" fill="none" stroke="{INK}"/>'
    if not path.head:
        return line
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in arrow_head(path))
    return f'{line}<polygon points="{corners}" fill="{INK}"/>'


def arrow_head(path: Path, size: float = 6.0) -> list[tuple[float, float]]:
    """Return the three corners of the arrow head at the end of a path."""
    points = [point for step in path.steps for point in step]
    x, y = points[-1]
    before = next((p for p in reversed(points[:-1]) if math.dist(p, (x, y)) > 1e-6), (x, y - 1))
    angle = math.atan2(y - before[1], x - before[0])
    back = x - size * math.cos(angle), y - size * math.sin(angle)
    side = 0.45 * size * math.sin(angle), -0.45 * size * math.cos(angle)
    return [
        (x, y), (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1]),
    ]  # fmt: skip
