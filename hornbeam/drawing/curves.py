"""Curves over steps or epochs: as SVG without any package, and as a figure of Matplotlib."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hornbeam.drawing.diagram import printable
from hornbeam.drawing.figure import new_figure

__all__ = ["curves_figure", "curves_svg"]

_COLORS = ("#1f77b4", "#e6550d", "#2ca02c", "#9467bd", "#8c564b", "#17becf")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 340, 210, 56, 28, 26
_MOST_POINTS = 1000

Panels = Mapping[str, Mapping[str, Sequence[float]]]


def curves_figure(
    panels: Panels, x: Sequence[float], x_label: str, *, columns: int = 2, log_y: bool = False,
    log_x: bool = False, show: bool = False, needed_for: str = "A plot",
) -> Any:  # fmt: skip
    """Return a figure of Matplotlib with one panel for each entry.

    Args:
        panels: Curves by name, by title of the panel. A curve may be shorter than `x`: its points
            are then the last ones.
        x: Where the points are.
        x_label: What `x` counts.
        columns: Most panels side by side.
        log_y, log_x: Whether an axis is logarithmic.
        show: Whether a window will show the figure.
        needed_for: Subject of the message if Matplotlib is missing.
    """
    columns = max(1, min(columns, len(panels)))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(needed_for, 4.6 * columns, 3.2 * rows, show)
    for number, (title, curves) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(rows, columns, number)
        for index, (name, values) in enumerate(curves.items()):
            y = np.asarray(values, dtype=float)
            marker = "o" if len(y) < 3 else None
            axes.plot(x[len(x) - len(y) :], y, label=name, marker=marker,
                      color=_COLORS[index % len(_COLORS)])  # fmt: skip
        axes.set_title(title, parse_math=False)
        axes.set_xlabel(x_label)
        axes.grid(alpha=0.3)
        axes.set_yscale("log" if log_y else "linear")
        axes.set_xscale("log" if log_x else "linear")
        if not log_x and all(float(at).is_integer() for at in x):
            axes.xaxis.get_major_locator().set_params(integer=True)
        if len(curves) > 1:
            axes.legend()
    figure.set_layout_engine("constrained")
    return figure


def curves_svg(panels: Panels, x: Sequence[float], x_label: str) -> str:
    """Return the panels side by side, as the text of an SVG file."""
    width = _WIDTH * max(1, len(panels))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}"'
        f' viewBox="0 0 {width} {_HEIGHT}" font-family="DejaVu Sans, Verdana, sans-serif"'
        f' font-size="10"><rect width="{width}" height="{_HEIGHT}" fill="#ffffff"/>'
    ]
    for number, (title, curves) in enumerate(panels.items()):
        parts.append(f'<g transform="translate({number * _WIDTH} 0)">')
        parts.append(_panel(title, curves, list(x), x_label))
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


def _panel(title: str, curves: Mapping[str, Sequence[float]], x: list[float], label: str) -> str:
    right, bottom = _WIDTH - 12, _HEIGHT - _BOTTOM
    numbers = np.concatenate([np.asarray(v, dtype=float).ravel() for v in curves.values()])
    numbers = numbers[np.isfinite(numbers)]
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 1.0)
    if high - low < 1e-12 * max(abs(high), 1):
        low, high = low - 0.5, high + 0.5
    first, last = (x[0], x[-1]) if len(x) > 1 else ((x or [0])[0] - 0.5, (x or [0])[0] + 0.5)

    def place(at: float, value: float) -> tuple[float, float]:
        across = _LEFT + (right - _LEFT) * (at - first) / ((last - first) or 1)
        return across, bottom - (bottom - _TOP) * (value - low) / (high - low)

    shown = html.escape(printable(title))
    parts = [f'<text x="{_LEFT}" y="16" font-weight="bold">{shown}</text>']
    for share in (0, 0.5, 1):
        value = low + share * (high - low)
        y = place(first, value)[1]
        parts.append(
            f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
            f'<text x="{_LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{value:.4g}</text>'
        )
    for at, anchor in ((first, "start"), (last, "end")):
        parts.append(
            f'<text x="{place(at, low)[0]:.1f}" y="{bottom + 13}" text-anchor="{anchor}">'
            f"{at:g}</text>"
        )
    parts.append(
        f'<text x="{(_LEFT + right) / 2}" y="{bottom + 22}" text-anchor="middle">{label}</text>'
    )
    for index, (name, values) in enumerate(curves.items()):
        color = _COLORS[index % len(_COLORS)]
        points = np.asarray(values, dtype=float)
        shown_at = x[len(x) - len(points) :]
        parts += _lines([place(a, b) for a, b in _thinned(shown_at, points)], color)
        parts.append(
            f'<text x="{right}" y="{16 + 12 * index}" text-anchor="end" fill="{color}">'
            f"{html.escape(printable(name))}</text>"
        )
    return "".join(parts)


def _thinned(x: list[float], y: np.ndarray) -> list[tuple[float, float]]:
    """Return the points, at most a thousand of them."""
    step = max(1, len(y) // _MOST_POINTS)
    return [(x[i], float(y[i])) for i in range(0, len(y), step)]


def _lines(points: list[tuple[float, float]], color: str) -> list[str]:
    """Return a curve, with gaps where a number is not finite."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    out = []
    for piece in pieces:
        if len(piece) == 1:
            x, y = piece[0]
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color}"/>')
        elif piece:
            corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in piece)
            out.append(
                f'<polyline points="{corners}" fill="none" stroke="{color}" stroke-width="1.6"/>'
            )
    return out
