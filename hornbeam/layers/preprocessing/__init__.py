"""Layers that prepare data, either before a model or as part of it."""

from hornbeam.layers.preprocessing.normalization import Normalization
from hornbeam.layers.preprocessing.rescaling import Rescaling

__all__ = ["Normalization", "Rescaling"]
