"""Intersection over union of classes, from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam.checked import Count, checked
from hornbeam.core.convert import convert
from hornbeam.core.loading import pay_for
from hornbeam.dtypes import is_float
from hornbeam.losses.loss import expand_weights
from hornbeam.metrics.metric import Metric, divide_no_nan, masked_weights
from hornbeam.typing import Policy, Structure, Tensor

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


class IoU(Metric):
    """Mean over chosen classes of the intersection over union: `TP / (TP + FP + FN)`.

    The letters stand for true positives, false positives and false negatives of a class. Classes
    that neither targets nor predictions contain do not count; nor do pairs with a number that is no
    class, such as -1. Jaccard 1912, "The distribution of
    the flora in the alpine zone".

    Args:
        num_classes: Number of classes, at least 1.
        target_class_ids: Numbers of the classes that count.
        name: Name. Default: the class's name in snake case, numbered.
        dtype: Dtype or dtype policy. The confusion matrix has it if it is a float, else float32.
        ignore_class: Class number in targets that means "not labelled".
        sparse_y_true: Whether targets are class numbers, and not one score per class.
        sparse_y_pred: Whether predictions are class numbers, and not one score per class.
        axis: Axis of the scores.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1]).round(4))
        0.333...
    """

    @checked
    def __init__(
        self,
        num_classes: Count,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Policy = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(name=name, dtype="int32" if dtype is None else dtype)
        ids = list(target_class_ids)
        if not all(-num_classes <= number < num_classes for number in ids):
            raise ValueError(
                f"{type(self).__name__}: `target_class_ids` must be below `num_classes`, which is"
                f" {num_classes}, received {ids}."
            )
        self.num_classes, self.target_class_ids = num_classes, ids
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        # Weights may be fractions, so the sums are floats.
        self._float = self.dtype if is_float(self.dtype) else "float32"
        self.total_confusion_matrix = self.add_variable(
            shape=(num_classes, num_classes),
            initializer="zeros",
            dtype=self._float,
            name="total_confusion_matrix",
        )

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        sample_weight = masked_weights(y_pred, sample_weight, self._float)
        y_true, y_pred = convert(y_true), convert(y_pred)
        if not self.sparse_y_true:
            y_true = jnp.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = jnp.argmax(y_pred, axis=self.axis)
        weights = None
        if sample_weight is not None:
            weights = expand_weights(y_true, convert(sample_weight).astype(self._float))
            weights = jnp.broadcast_to(weights, y_true.shape).reshape(-1)
        y_true, y_pred = (jnp.reshape(y, (-1,)).astype("int32") for y in (y_true, y_pred))
        counts = (y_true >= 0) & (y_pred >= 0)
        if self.ignore_class is not None:
            counts &= y_true != self.ignore_class
        # Numbers of classes that do not exist are outside the matrix, where nothing is added.
        y_true = jnp.where(counts, y_true, self.num_classes)
        matrix = jnp.zeros((self.num_classes,) * 2, "int32" if weights is None else self._float)
        matrix = matrix.at[y_true, y_pred].add(1 if weights is None else weights, mode="drop")
        self.total_confusion_matrix.assign_add(matrix.astype(self._float))

    def result(self) -> Structure:
        matrix = self.total_confusion_matrix.value.astype("float32")
        hits = jnp.diag(matrix)
        union = matrix.sum(axis=0) + matrix.sum(axis=1) - hits
        ids = jnp.asarray(self.target_class_ids)
        hits, union = hits[ids], union[ids]
        return divide_no_nan(
            jnp.sum(divide_no_nan(hits, union)), jnp.sum(union > 0).astype("float32")
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["dtype"] = self._dtype_policy.name
        return config


class MeanIoU(IoU):
    """Mean over all classes of the intersection over union: `TP / (TP + FP + FN)`, as for `IoU`.

    Args:
        num_classes: Number of classes, at least 1.
        name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis: As for `IoU`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1]).round(4))
        0.333...
    """

    @checked
    def __init__(
        self,
        num_classes: Count,
        name: str | None = None,
        dtype: Policy = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(
            num_classes,
            _all_classes(num_classes),
            name,
            dtype,
            ignore_class,
            sparse_y_true,
            sparse_y_pred,
            axis,
        )


class BinaryIoU(IoU):
    """Intersection over union of scores for two classes: `TP / (TP + FP + FN)`, as for `IoU`.

    Args:
        target_class_ids: Numbers of the classes that count, out of 0 and 1.
        threshold: A score of at least this means class 1.
        name: Name. Default: the class's name in snake case, numbered.
        dtype: Dtype or dtype policy. The confusion matrix has it if it is a float, else float32.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]).round(4))
        0.333...
    """

    @checked
    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Policy = None,
    ):
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        weights = masked_weights(y_pred, sample_weight, self._float)
        super().update_state(y_true, convert(y_pred) >= self.threshold, weights)


class OneHotIoU(IoU):
    """`IoU` for one-hot targets and one score per class.

    Args:
        num_classes: Number of classes, at least 1.
        target_class_ids: Numbers of the classes that count.
        name, dtype, ignore_class, sparse_y_pred, axis: As for `IoU`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> metric = OneHotIoU(num_classes=2, target_class_ids=[0])
        >>> float(metric([[1, 0], [0, 1]], [[0.8, 0.2], [0.3, 0.7]]))
        1.0
    """

    @checked
    def __init__(
        self,
        num_classes: Count,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Policy = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )


class OneHotMeanIoU(OneHotIoU):
    """`MeanIoU` for one-hot targets and one score per class.

    Args:
        num_classes: Number of classes, at least 1.
        name, dtype, ignore_class, sparse_y_pred, axis: As for `IoU`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(OneHotMeanIoU(num_classes=2)([[1, 0], [0, 1]], [[0.8, 0.2], [0.3, 0.7]]))
        1.0
    """

    @checked
    def __init__(
        self,
        num_classes: Count,
        name: str | None = None,
        dtype: Policy = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes, _all_classes(num_classes), name, dtype, ignore_class, sparse_y_pred, axis
        )


def _all_classes(num_classes: int) -> range:
    pay_for("`num_classes`", 8 * num_classes)
    return range(num_classes)
