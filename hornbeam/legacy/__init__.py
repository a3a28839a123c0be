"""Keras's older ways that are still asked for by name."""

from hornbeam.legacy import saving

__all__ = ["saving"]
