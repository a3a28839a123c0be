"""The names of `keras.preprocessing`."""

from hornbeam.preprocessing import image, sequence

__all__ = ["image", "sequence"]
