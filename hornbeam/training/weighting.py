"""Class weights: weights of rows by the class of their target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hornbeam import errors, tree
from hornbeam.core.tensor import KerasTensor
from hornbeam.data.sources import ArraySource, Source
from hornbeam.training.advice import about_classes
from hornbeam.training.checks import loss_name
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
        self._source, self._model = source, model
        self.num_batches = source.num_batches
        self._classes: list[int | None] | None = None  # known when targets are seen
        tables: Mapping[Any, Any] = class_weight if isinstance(class_weight, Mapping) else {}
        by_name = any(isinstance(table, Mapping) for table in tables.values())
        graph: Any = model
        try:
            names = list(graph.output_names)
        except AttributeError:  # a subclass, whose outputs are known only after a step
            names = [str(name) for name in tables] if by_name else ["output"]
        self._names = names
        if isinstance(class_weight, Mapping) and not by_name:
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
        return ((x, y, self.weigh(x, y, weight)) for x, y, weight in batches)

    def close(self) -> None:
        self._source.close()

    @property
    def can_restart(self) -> bool:
        """Whether the wrapped source can start again."""
        return self._source.can_restart

    def on_epoch_end(self) -> None:
        self._source.on_epoch_end()

    def weigh(self, x: Structure, y: Structure, given: Structure) -> Structure:
        """Return the weights of rows with inputs `x` and targets `y`, times those given."""
        if self._classes is None:
            self._classes = _axes_of_classes(self._model, x, y, self._names)
        if len(self._names) == 1 and not isinstance(y, Mapping):
            factor = weights_of_rows(
                tree.flatten(y)[0], self._by_output[0], self._classes[0], self._tell_unlisted
            )
            return factor if given is None else _product(tree.flatten(given)[0], factor)
        targets = _by_name(y, self._names)
        if not any(name in targets for name in self._names):
            raise errors.unknown_name("output in `class_weight`:", self._names[0], list(targets))
        given_by_name = _by_name(given, self._names)
        out: dict[str, Any] = {}
        for name, table, axis in zip(self._names, self._by_output, self._classes, strict=True):
            target, weight = targets.get(name), given_by_name.get(name)
            if target is None:
                continue
            if table is not None:
                factor = weights_of_rows(target, table, axis, self._tell_unlisted)
                weight = factor if weight is None else _product(weight, factor)
            # Every output gets a weight, so that batches have one structure.
            out[name] = np.ones(len(target), "float32") if weight is None else weight
        return out

    def _tell_unlisted(self, classes: list[int]) -> None:
        about_classes(self._model, classes)


def class_weighted(source: Source, class_weight: ClassWeights, model: Trainable) -> Source:
    """Return a source whose rows are weighted by class; arrays are weighted once, before
    training.
    """
    weighted = ClassWeighted(source, class_weight, model)
    if not isinstance(source, ArraySource):
        return weighted
    x, y, weight = source.data
    return source.with_weights(weighted.weigh(x, y, weight))


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


def _product(given: Any, factor: np.ndarray) -> np.ndarray:
    """Return the product of weights; those of fewer axes apply to whole rows of the others."""
    given = np.asarray(given)
    rank = max(given.ndim, factor.ndim)
    given, factor = (w.reshape(w.shape + (1,) * (rank - w.ndim)) for w in (given, factor))
    return given * factor


def _axes_of_classes(model: Any, x: Structure, y: Structure, names: list[str]) -> list[int | None]:
    """Return for each output the axis of the classes in its targets; `None` for class numbers."""
    losses = _by_name(model.require_compiled("fit").loss, names)
    targets = _by_name(y, names)
    ranks: list[int] | None = None
    axes: list[int | None] = []
    for i, name in enumerate(names):
        target, loss = targets.get(name), losses.get(name)
        kind = loss_name(loss) if loss is not None else ""
        axis = getattr(loss, "axis", -1)
        if target is None or np.ndim(target) < 2 or "sparse" in kind:
            axes.append(None)
        elif "categorical" in kind or np.ndim(target) == 2 and np.shape(target)[-1] == 1:
            axes.append(axis)
        else:
            if ranks is None:
                ranks = _ranks_of_outputs(model, x)
            number_each = len(ranks) == len(names) and np.ndim(target) < ranks[i]
            axes.append(None if number_each else axis)
    return axes


def _ranks_of_outputs(model: Any, x: Structure) -> list[int]:
    """Return the ranks of the model's outputs; empty if they are not known before a step."""
    outputs = getattr(model, "outputs", None) if model.built else None
    if outputs:
        return [len(output.shape) for output in outputs]
    try:
        spec = model.compute_output_spec(
            tree.map_structure(lambda a: KerasTensor(np.shape(a), np.asarray(a).dtype.name), x)
        )
    except Exception:  # the step raises it, with an explanation
        return []
    return [len(output.shape) for output in tree.flatten(spec)]


def weights_of_rows(
    y: Structure,
    class_weight: Mapping[Any, float],
    axis: int | None = -1,
    tell: Callable[[list[int]], None] = lambda _: None,
) -> np.ndarray:
    """Return the float32 weight of each class number or one-hot row. Classes that are not listed
    weigh 1.

    Args:
        y: Class numbers, or rows with one number per class.
        class_weight: `{class: weight}`.
        axis: Axis of the classes in rows; `None`: `y` holds class numbers. A last axis of size 1
            holds class numbers too.
        tell: Called with the classes in `y` that are not listed, if there are any.

    Example:
        >>> weights_of_rows(np.array([0, 1, 1]), {1: 2.0})
        array([1., 2., 2.], dtype=float32)
    """
    y = np.asarray(y)
    if axis is not None and y.ndim > 1 and y.shape[axis] > 1:
        labels = y.argmax(axis)
    else:
        labels = y[..., 0] if y.ndim > 1 and y.shape[-1] == 1 else y
        labels = np.rint(labels).astype("int64")
    out = np.full(labels.shape, np.nan, "float32")
    for label, weight in class_weight.items():
        out[labels == int(label)] = float(weight)
    unlisted = np.isnan(out)
    if unlisted.any():
        tell([int(label) for label in np.unique(labels[unlisted]) if label >= 0])
        out[unlisted] = 1.0
    return out
