"""Layers that run on the host before the compiled steps, such as those that take text.

XLA has no text. So the layers of a model that take text run with NumPy while batches are read, and
the compiled step begins with their results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from hornbeam.data.sources import ArraySource, Source, is_iterable_of_batches
from hornbeam.typing import Data, Structure

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["HostSource", "arrays_on_host", "source_on_host"]


def arrays_on_host(model: Trainable, x: Data) -> Data:
    """Return arrays as the compiled steps of a model take them.

    Of a data frame, a model with several named inputs gets the columns of these names.

    Args:
        model: The model.
        x: What the user passed. Sources and iterables of batches are returned as they are.
    """
    if x is None or isinstance(x, Source):
        return x
    x = model.chosen_columns(x)
    layers = model.host_layers(x)
    if layers is None or is_iterable_of_batches(x):
        return x
    return layers(x)


def source_on_host(model: Trainable, source: Source) -> Source:
    """Return a source whose batches the compiled steps of a model take.

    Args:
        model: The model.
        source: The data. Those in arrays went through `arrays_on_host`.
    """
    layers = None if isinstance(source, ArraySource) else model.host_layers()
    return source if layers is None else HostSource(source, layers)


class HostSource(Source):
    """Batches of a source, whose inputs pass through the layers that run on the host.

    Args:
        source: The source.
        layers: Takes the inputs of a batch.
    """

    def __init__(self, source: Source, layers: Callable[[Structure], Structure]):
        self._source, self._layers = source, layers
        self.num_batches, self.repeats = source.num_batches, source.repeats

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Any]:
        """Return the batches of an epoch, from batch number `start` on."""
        batches = self._source.epoch(seed, epoch, start)
        return ((self._layers(x), y, weight) for x, y, weight in batches)

    @property
    def can_restart(self) -> bool:
        """Whether the wrapped source can start again."""
        return self._source.can_restart

    def on_epoch_end(self) -> None:
        self._source.on_epoch_end()

    def close(self) -> None:
        self._source.close()
