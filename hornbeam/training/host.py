"""Layers that run on the host before and after the compiled steps, such as those that take text.

XLA has no text. So the layers of a model that take text run with NumPy while batches are read, and
the compiled step begins with their results. Layers that make text run after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from hornbeam import errors
from hornbeam.data.adapters import is_frame, refuse_mistakes
from hornbeam.data.sources import (
    ArraySource,
    IterableSource,
    RowsSource,
    Source,
    is_iterable_of_batches,
    make_source,
)
from hornbeam.training.columns import labels_of
from hornbeam.training.overrides import overrides
from hornbeam.typing import Data, Structure

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["HostSource", "arrays_on_host", "outputs_on_host", "source_for", "source_on_host"]


def source_for(
    model: Trainable, x: Data, y: Structure = None, sample_weight: Structure = None,
    batch_size: int | None = None, shuffle: bool | str = False, steps: int | None = None,
    trains: bool = False,
) -> Source:  # fmt: skip
    """Return the source of the data that a user passed, with inputs as the model takes them.

    Args:
        model: The model.
        x, y, sample_weight, batch_size, shuffle, steps: As for `make_source`.
        trains: Whether the model is trained on the data. It then keeps the names of the columns of
            a data frame.
    """
    if trains:
        _keep_columns(model, x)
    source = make_source(arrays_on_host(model, x), y, sample_weight, batch_size, shuffle, steps)
    if isinstance(source, IterableSource):

        def choose(x: Structure) -> Structure:
            if trains:
                _keep_columns(model, x)
            return arrays_on_host(model, x)

        source.choose = choose
    return source


def arrays_on_host(model: Trainable, x: Data) -> Data:
    """Return arrays as the compiled steps of a model take them.

    Of a data frame, a model with several named inputs gets the columns of these names. A model with
    one input gets all columns, in the order in which it was trained on them.

    Args:
        model: The model.
        x: What the user passed. Sources and iterables of batches are returned as they are.
    """
    if x is None or isinstance(x, Source):
        return x
    if isinstance(x, (np.ndarray, jax.Array)) and x.dtype.kind in "biufc":
        layers = model.host_layers()  # the rest is for frames and texts
        return x if layers is None else layers(x)
    refuse_mistakes(x, "x")
    x = model.chosen_columns(x)
    x = _in_order(model, x) if is_frame(x) else x
    layers = model.host_layers(x)
    if layers is None or is_iterable_of_batches(x):
        return x
    return layers(x)


def _keep_columns(model: Trainable, x: Data) -> None:
    if is_frame(x):
        model.__dict__["frame_columns"] = labels_of(x)


def _in_order(model: Any, frame: Any) -> Any:
    """Return the columns of a data frame in the order in which the model was trained on them."""
    label, labels, known = f"Model '{model.name}'", labels_of(frame), model.frame_columns
    if known and labels != known and not set(known).isdisjoint(labels):
        missing = [name for name in known if name not in labels]
        if missing:
            raise ValueError(
                f"{label}: the data lack the column{'s' * (len(missing) > 1)}"
                f" {errors.listed(map(str, missing))} that it was trained with. The"
                f" columns are {errors.listed(map(str, labels))}."
            )
        return frame.select(known) if hasattr(frame, "select") else frame[known]
    inputs = getattr(model, "inputs", None) if model.built else None
    size = inputs[0].shape[-1] if inputs and len(inputs[0].shape) == 2 else None
    if size is not None and len(labels) not in (1, size):
        raise ValueError(
            f"{label}: its input has {size} columns, the data have {len(labels)}:"
            f" {errors.listed(map(str, labels))}. Choose those that it was trained with."
        )
    return frame


def outputs_on_host(model: Trainable, outputs: Structure) -> Structure:
    """Return the outputs of compiled steps of prediction, with texts where the model makes them.

    Args:
        model: The model.
        outputs: The outputs as NumPy arrays.
    """
    finish = model.text_outputs()
    return outputs if finish is None or overrides(model, "predict_step") else finish(outputs)


def source_on_host(model: Trainable, source: Source) -> Source:
    """Return a source whose batches the compiled steps of a model take.

    Args:
        model: The model.
        source: The data. Those in arrays went through `arrays_on_host`.
    """
    in_arrays = isinstance(source, ArraySource) and not isinstance(source, RowsSource)
    layers = None if in_arrays else model.host_layers()
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
