"""Data for a model: arrays, tables, generators and data loaders behind one interface."""

from hornbeam.data.sources import ArraySource, IterableSource, Source, make_source

__all__ = ["ArraySource", "IterableSource", "Source", "make_source"]
