"""The names of `keras.preprocessing.sequence`."""

from hornbeam.utils.sequences import pad_sequences

__all__ = ["pad_sequences"]
