"""`tf.lookup.experimental`: tables whose entries change."""

from __future__ import annotations

from hornbeam.tensorflow.lookup import DenseHashTable, MutableHashTable

__all__ = ["DenseHashTable", "MutableHashTable"]
