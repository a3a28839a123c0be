"""Data sets for first steps, bundled with the package."""

from hornbeam.datasets import mnist

__all__ = ["mnist"]
