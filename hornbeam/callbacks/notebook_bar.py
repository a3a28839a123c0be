"""Progress in a notebook: one place of the page, which is written over."""

from __future__ import annotations

import html
import importlib
import sys
from typing import Any

__all__ = ["Page", "in_notebook"]

_LINES_SHOWN = 6  # lines about finished epochs that are visible without a click


def in_notebook() -> bool:
    """Return whether a kernel of Jupyter runs this program."""
    return "ipykernel" in sys.modules and "IPython" in sys.modules


class Page:
    """A bar, and lines above it, in one output of a notebook.

    Example:
        >>> page = Page(); page.add("Epoch 1/2"); "<progress" in page.html("1/2", 1, 2)
        True
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._output: Any = None

    def add(self, line: str) -> None:
        """Add a line above the bar."""
        self._lines.append(line)

    def show(self, text: str, done: int, target: int | None, finalize: bool) -> None:
        """Show a bar with a text beside it; `finalize` makes a line of it."""
        if finalize:
            self.add(text)
        display = importlib.import_module("IPython.display")
        content = display.HTML(self.html("" if finalize else text, done, target))
        if self._output is None:
            self._output = display.display(content, display_id=True)
        else:
            self._output.update(content)

    def html(self, text: str, done: int, target: int | None) -> str:
        """Return the lines, the older ones folded, and the bar unless the text is empty."""
        older, latest = self._lines[:-_LINES_SHOWN], self._lines[-_LINES_SHOWN:]
        parts = []
        if older:
            parts.append(
                f"<details><summary>{len(older)} more lines</summary>{_pre(older)}</details>"
            )
        parts.append(_pre(latest))
        if text:
            ends = f' value="{done}" max="{target}"' if target else ""
            parts.append(f"<progress{ends}></progress> <code>{html.escape(text)}</code>")
        return "".join(parts)


def _pre(lines: list[str]) -> str:
    return f"<pre>{html.escape(chr(10).join(lines))}</pre>" if lines else ""
