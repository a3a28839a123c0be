"""What feeds a model: arrays, frames, generators and loaders behind one interface."""

from hornbeam.data.sources import ArraySource, IterableSource, Source, make_source

__all__ = ["ArraySource", "IterableSource", "Source", "make_source"]
