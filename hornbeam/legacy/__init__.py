"""Keras's older ways that are still asked for by name."""

from hornbeam.legacy import backend, layers, saving

__all__ = ["backend", "layers", "saving"]
