"""Layers that prepare data, either before a model or as part of it."""

from hornbeam.layers.preprocessing.discretization import Discretization
from hornbeam.layers.preprocessing.encoding import CategoryEncoding
from hornbeam.layers.preprocessing.hashing import HashedCrossing, Hashing
from hornbeam.layers.preprocessing.lookup import IntegerLookup, StringLookup
from hornbeam.layers.preprocessing.normalization import Normalization
from hornbeam.layers.preprocessing.rescaling import Rescaling
from hornbeam.layers.preprocessing.text_vectorization import TextVectorization

__all__ = [
    "CategoryEncoding",
    "Discretization",
    "HashedCrossing",
    "Hashing",
    "IntegerLookup",
    "Normalization",
    "Rescaling",
    "StringLookup",
    "TextVectorization",
]
