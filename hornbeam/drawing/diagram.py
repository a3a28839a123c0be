"""What a diagram shows: boxes with lines of text, and arrows between them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

__all__ = ["Arrow", "Box", "Diagram", "printable", "text_width"]


@dataclass
class Box:
    """A box with a title, or a frame around a diagram of its own.

    Attributes:
        key: Name by which arrows find the box; unique in its diagram.
        title: The first line.
        rows: Further lines, as pairs of a word and a value.
        kind: `"input"`, `"weights"`, `"frozen"` or `"plain"`, which chooses the color of the title.
        inside: The diagram in the frame. Default: `None`, a plain box.
    """

    key: str
    title: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    kind: str = "plain"
    inside: Diagram | None = None


@dataclass
class Arrow:
    """An arrow from one box to another.

    Attributes:
        start, end: Keys of the boxes.
        output: Which output of the diagram inside `start` the arrow comes from.
        input: Which input of the diagram inside `end` the arrow leads to.
    """

    start: str
    end: str
    output: int = 0
    input: int = 0


@dataclass
class Diagram:
    """Boxes, in an order in which most arrows lead forward, and arrows.

    Attributes:
        inputs, outputs: Keys of the boxes that arrows lead to, or come from, where the diagram is
            inside a box.
    """

    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def count(self) -> int:
        """Return the number of boxes, with those inside."""
        return sum(1 + (box.inside.count() if box.inside else 0) for box in self.boxes)


def printable(text: str) -> str:
    """Replace characters that a picture cannot show, such as control characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


# Widths of characters of the font DejaVu Sans, as fractions of the font's size.
_CHARACTERS = {
    0.25: "'", 0.32: ",.IJijl ", 0.36: "-/:;\\f|", 0.4: "!()[]rt", 0.45: '"', 0.5: "*_`sz",
    0.55: "?Lc", 0.6: "FPTYaekovxy", 0.65: "$0123456789EKSbdghnpqu{}", 0.7: "ABCRVXZ",
    0.76: "DGHNU", 0.8: "&OQw", 0.85: "#+<=>M^~", 0.97: "%m", 1.0: "@W",
}  # fmt: skip
_WIDTHS = {character: width for width, text in _CHARACTERS.items() for character in text}


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return about how wide a text is."""
    width = sum(
        _WIDTHS[c] if c in _WIDTHS else 1.0 if unicodedata.east_asian_width(c) in "WF" else 0.7
        for c in text
    )
    return size * width * (1.12 if bold else 1.0)
