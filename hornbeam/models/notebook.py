"""What a notebook shows of a model: its summary and its picture."""

from __future__ import annotations

import html
from typing import Any

from hornbeam.drawing import arrange, to_svg
from hornbeam.models.diagram import Shown, diagram_of
from hornbeam.models.summary import print_summary

__all__ = ["as_html"]

_MOST_BOXES = 400  # a larger picture helps nobody, and makes the notebook's file large


def as_html(model: Any) -> str:
    """Return the summary of a model and, if it is built, its picture.

    Example:
        >>> import hornbeam as hb
        >>> "Total params: 3" in as_html(hb.Sequential([hb.Input((2,)), hb.layers.Dense(1)]))
        True
    """
    lines: list[str] = []
    print_summary(model, print_fn=lines.append)
    text = html.escape("\n".join(lines))
    parts = [f'<pre style="line-height:1.2">{text}</pre>']
    if model.built:
        diagram = diagram_of(model, Shown(shapes=True))
        if 0 < diagram.count() <= _MOST_BOXES:
            picture = to_svg(arrange(diagram))
            parts.append(f"<details><summary>Picture</summary>{picture}</details>")
    return "".join(parts)
