"""Diagrams of boxes and arrows: their layout, and pictures of them as SVG, PNG, PDF and more."""

from hornbeam.drawing.diagram import Arrow, Box, Diagram
from hornbeam.drawing.figure import FIGURE_FORMATS, to_file
from hornbeam.drawing.picture import Picture, arrange
from hornbeam.drawing.svg import to_svg

__all__ = ["FIGURE_FORMATS", "Arrow", "Box", "Diagram", "Picture", "arrange", "to_file", "to_svg"]
