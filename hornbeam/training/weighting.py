"""Class weights: weights of rows by the class of their target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hornbeam import errors, tree
from hornbeam.data.sources import ArraySource, Source
from hornbeam.typing import ClassWeights, Structure

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["ClassWeighted", "class_weighted", "weights_of_rows"]


class ClassWeighted(Source):
    """A source whose `sample_weight` is multiplied by the weight of each row's class.

    Args:
        source: The source.
        class_weight: `{class: weight}`, or that by output name (or in a list by output).
        model: The model, for the names of its outputs.
    """

    def __init__(self, source: Source, class_weight: ClassWeights, model: Trainable):
        self._source = source
        self.num_batches = source.num_batches
        graph: Any = model
        try:
            names = list(graph.output_names)
        except AttributeError:
            names = ["output"]
        self._names = names
        if isinstance(class_weight, Mapping) and not any(
            isinstance(v, Mapping) for v in class_weight.values()
        ):
            if len(names) > 1:
                raise ValueError(
                    f"fit: the model has {len(names)} outputs, so `class_weight` must say which one"
                    " is meant: {output name: {class: weight}} with the names"
                    f" {errors.listed(names)}."
                )
            self._by_output: list[Any] = [class_weight]
        elif isinstance(class_weight, Mapping):
            unknown = [k for k in class_weight if k not in names]
            if unknown:
                raise errors.unknown_name("output in `class_weight`:", unknown[0], names)
            self._by_output = [class_weight.get(name) for name in names]
        elif isinstance(class_weight, (list, tuple)) and len(class_weight) == len(names):
            self._by_output = list(class_weight)
        else:
            raise ValueError(
                "fit: `class_weight` must be a dict {class: weight}, received"
                f" {errors.describe(class_weight)}."
            )
        for table in self._by_output:
            _check_table(table)

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Any]:
        """Return the batches of an epoch, from batch number `start` on."""
        batches = self._source.epoch(seed, epoch, start)
        return ((x, y, self.weigh(y, weight)) for x, y, weight in batches)

    def close(self) -> None:
        self._source.close()

    @property
    def can_restart(self) -> bool:
        """Whether the wrapped source can start again."""
        return self._source.can_restart

    def on_epoch_end(self) -> None:
        self._source.on_epoch_end()

    def weigh(self, y: Structure, given: Structure) -> Structure:
        """Return the weights of rows with targets `y`, times those given."""
        if len(self._names) == 1:
            only = weights_of_rows(tree.flatten(y)[0], self._by_output[0])
            if given is None:
                return only
            base = np.asarray(tree.flatten(given)[0])
            return base * _like(only, base)
        targets = [y[name] for name in self._names] if isinstance(y, Mapping) else list(y)
        given_by_name = _by_name(given, self._names)
        out: dict[str, Any] = {}
        for name, target, table in zip(self._names, targets, self._by_output, strict=True):
            weight = given_by_name.get(name)
            if table is not None:
                factor = weights_of_rows(target, table)
                weight = (
                    factor
                    if weight is None
                    else np.asarray(weight) * _like(factor, np.asarray(weight))
                )
            # Every output gets a weight, so that batches have one structure.
            out[name] = np.ones(len(target), "float32") if weight is None else weight
        return out


def class_weighted(source: Source, class_weight: ClassWeights, model: Trainable) -> Source:
    """Return a source whose rows are weighted by class; arrays are weighted once, before
    training.
    """
    weighted = ClassWeighted(source, class_weight, model)
    if not isinstance(source, ArraySource):
        return weighted
    x, y, weight = source.data
    return ArraySource(x, y, weighted.weigh(y, weight), source.batch_size, source.shuffle)


def _check_table(table: Any) -> None:
    """Raise `ValueError` unless the weights of an output are numbers by class number; `None` means
    none.
    """
    if table is None:
        return
    if not isinstance(table, Mapping):
        raise ValueError(
            "fit: `class_weight` must hold dicts {class: weight}, received"
            f" {errors.describe(table)}."
        )
    for label, weight in table.items():
        try:
            int(label), float(weight)
        except (TypeError, ValueError):
            raise ValueError(
                f"fit: `class_weight` must map class numbers to numbers, received {{{label!r}:"
                f" {weight!r}}}."
            ) from None


def _by_name(given: Any, names: list[str]) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, (list, tuple)):
        return dict(zip(names, given, strict=True))
    return dict.fromkeys(names, given)


def _like(factor: np.ndarray, base: np.ndarray) -> np.ndarray:
    return factor.reshape(factor.shape + (1,) * (base.ndim - factor.ndim))


def weights_of_rows(y: Structure, class_weight: Mapping[Any, float]) -> np.ndarray:
    """Return float32 weights of shape (B,) (or y's leading axes) for class numbers or one-hot rows.

    Classes that are not listed weigh 1.

    Example:
        >>> weights_of_rows(np.array([0, 1, 1]), {1: 2.0})
        array([1., 2., 2.], dtype=float32)
    """
    y = np.asarray(y)
    if y.ndim > 1 and y.shape[-1] > 1:
        labels = y.argmax(-1)
    else:
        labels = y.reshape(y.shape[:-1]) if y.ndim > 1 else y
        labels = np.rint(labels).astype("int64")
    keys = {int(k): float(v) for k, v in class_weight.items()}
    out = np.ones(labels.shape, "float32")
    for label, weight in keys.items():
        out[labels == label] = weight
    return out
