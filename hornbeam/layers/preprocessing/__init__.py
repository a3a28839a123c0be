"""Layers that prepare data for a model, on the way in or inside it."""

from hornbeam.layers.preprocessing.normalization import Normalization
from hornbeam.layers.preprocessing.rescaling import Rescaling

__all__ = ["Normalization", "Rescaling"]
