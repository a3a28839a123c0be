"""Layers that mix the images of a batch, and one that fixes the number of bounding boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import random
from hornbeam.core.random import draw_key
from hornbeam.layers.preprocessing.image.base import (
    BaseImagePreprocessingLayer,
    checked_range,
    per_image,
)
from hornbeam.layers.preprocessing.image.distortion import random_boxes
from hornbeam.typing import Tensor

__all__ = ["CutMix", "MaxNumBoundingBoxes", "MixUp"]

Factor = float | Sequence[float]


class _Mixing(BaseImagePreprocessingLayer):
    """Base of layers that mix each image, and its label, with another one of the batch."""

    def transform_labels(
        self, labels: Tensor, transformation: Any, training: bool | None = True
    ) -> Tensor:
        """Mix labels as the images; they must be rows of classes, or numbers to predict."""
        if self._is_idle(transformation, training):
            return labels
        labels = jnp.asarray(labels)
        if labels.ndim < 2 and jnp.issubdtype(labels.dtype, jnp.integer):
            raise ValueError(
                f"{self._label()}: class numbers cannot be mixed, received labels of dtype"
                f" {labels.dtype} and shape {labels.shape}. Pass rows of classes from"
                " `utils.to_categorical(labels, num_classes)`, or floats to predict numbers."
            )
        labels = labels.astype(self.compute_dtype)
        weight = jnp.asarray(transformation["mix_weight"]).reshape(-1)
        weight = per_image(weight, max(labels.ndim, 1)).astype(labels.dtype)
        other = labels[transformation["permutation_order"]] if labels.ndim else labels
        return weight * labels + (1 - weight) * other


class MixUp(_Mixing):
    """Averages each image and its label with another one of the batch in training.

    Args:
        alpha: Parameter of the beta distribution of the weights; larger numbers mix more. Default:
            0.2.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        seed: Integer seed. Default: random.

    Input and output: a dictionary with `"images"` (B, H, W, C) and `"labels"`, rows of classes (B,
    classes) or numbers to predict. Bounding boxes of both images are kept, and masks of both are
    joined along the channels. Images alone are mixed too; results have the compute dtype. Outside
    training, the output is the input.

    Raises:
        ValueError: If `alpha` is not positive, or in the call, if labels are class numbers.

    Source: Zhang et al. 2018, mixup: beyond empirical risk minimization.

    Example:
        >>> import hornbeam as hb
        >>> batch = {"images": hb.ops.ones((2, 8, 8, 3)), "labels": hb.ops.eye(2)}
        >>> mixed = hb.layers.MixUp(seed=1)(batch, training=True)
        >>> mixed["labels"].sum(axis=1).tolist()
        [1.0, 1.0]
    """

    casts_outside_training = False

    def __init__(
        self, alpha: float = 0.2, data_format: str | None = None, seed: int | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or alpha <= 0:
            raise ValueError(f"MixUp: `alpha` must be a positive number, received {alpha!r}.")
        self.alpha = alpha
        self.keep_seed(seed)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        order = jax.random.permutation(draw_key(seed), batch)
        return {
            "permutation_order": order,
            "mix_weight": random.beta((batch,), self.alpha, self.alpha, seed=seed),
        }

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        weight = per_image(transformation["mix_weight"]).astype(images.dtype)
        return weight * images + (1 - weight) * images[transformation["permutation_order"]]

    def transform_bounding_boxes(
        self, bounding_boxes: dict[str, Tensor], transformation: Any, training: bool | None = True
    ) -> dict[str, Tensor]:
        if self._is_idle(transformation, training):
            return bounding_boxes
        return {name: _with_other(part, transformation) for name, part in bounding_boxes.items()}

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Any, training: bool | None = True
    ) -> Tensor:
        if self._is_idle(transformation, training):
            return segmentation_masks
        axis = 1 if self.data_format == "channels_first" else -1
        return _with_other(segmentation_masks, transformation, axis)


def _with_other(part: Tensor, transformation: Any, axis: int = 1) -> Tensor:
    """Join each row with that of the image it is mixed with."""
    part = jnp.asarray(part)
    return jnp.concatenate([part, part[transformation["permutation_order"]]], axis=axis)


class CutMix(_Mixing):
    """Replaces a box of each image by that of another one of the batch in training.

    Labels are averaged by the parts of the image.

    Args:
        factor: Range of the parameter of the beta distribution of the parts: two numbers from 0 to
            1, or one number f for the range from 0 to f. Default: 1.
        seed: Integer seed. Default: random.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: a dictionary with `"images"` (B, H, W, C) and `"labels"`, rows of classes (B,
    classes) or numbers to predict. Images alone are mixed too; results have the compute dtype.
    Outside training, the output is the input.

    Raises:
        ValueError: If `factor` is out of range, or in the call, if labels are class numbers.
        NotImplementedError: In the call, if there are bounding boxes.

    Source: Yun et al. 2019, CutMix: regularization strategy to train strong classifiers with
    localizable features.

    Example:
        >>> import hornbeam as hb
        >>> batch = {"images": hb.ops.ones((2, 8, 8, 3)), "labels": hb.ops.eye(2)}
        >>> hb.layers.CutMix(seed=1)(batch, training=True)["images"].shape
        (2, 8, 8, 3)
    """

    def __init__(
        self, factor: Factor = 1.0, seed: int | None = None, data_format: str | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.factor = checked_range("CutMix", "factor", factor, (0, 1))
        self.keep_seed(seed)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        order = jax.random.permutation(draw_key(seed), batch)
        alpha = jnp.maximum(self.uniform((batch,), self.factor, seed), 1e-6)
        weight = random.beta((batch,), alpha, alpha, seed=seed)
        side = jnp.sqrt(1 - weight)
        places = (self.uniform((batch,), (0, 1), seed), self.uniform((batch,), (0, 1), seed))
        return {
            "permutation_order": order,
            "batch_masks": random_boxes(height, width, side, side, places),
            "mix_weight": per_image(weight),
        }

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        other = images[transformation["permutation_order"]]
        return jnp.where(transformation["batch_masks"], other, images)

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Any, training: bool | None = True
    ) -> Tensor:
        if self._is_idle(transformation, training):
            return segmentation_masks
        masks, back = self._as_batch(jnp.asarray(segmentation_masks))
        return back(self.augment(masks, transformation))

    def transform_bounding_boxes(
        self, bounding_boxes: dict[str, Tensor], transformation: Any, training: bool | None = True
    ) -> dict[str, Tensor]:
        if self._is_idle(transformation, training):
            return bounding_boxes
        raise NotImplementedError(
            f"{self._label()}: boxes may be cut in pieces. Leave out 'bounding_boxes', or use"
            " MixUp."
        )


class MaxNumBoundingBoxes(BaseImagePreprocessingLayer):
    """Gives each image the same number of bounding boxes: cuts off the rest, or adds empty ones.

    Args:
        max_number: The number.
        fill_value: Coordinates and labels of the added boxes. Default: -1.

    Input and output: a dictionary with `"images"` and `"bounding_boxes"`; images do not change. As
    in Keras.

    Raises:
        ValueError: If `max_number` is not a positive integer.

    Example:
        >>> import hornbeam as hb
        >>> layer = hb.layers.MaxNumBoundingBoxes(2, bounding_box_format="xyxy")
        >>> boxes = {"boxes": hb.ops.ones((1, 1, 4)), "labels": hb.ops.ones((1, 1))}
        >>> layer({"images": hb.ops.ones((1, 8, 8, 3)), "bounding_boxes": boxes})[
        ...     "bounding_boxes"]["labels"].tolist()
        [[1.0, -1.0]]
    """

    draws, only_in_training, casts = False, False, False

    def __init__(self, max_number: int, fill_value: float = -1, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(max_number, bool) or not isinstance(max_number, int) or max_number < 1:
            raise ValueError(
                "MaxNumBoundingBoxes: `max_number` must be a positive integer, received"
                f" {max_number!r}."
            )
        self.max_number, self.fill_value = max_number, fill_value

    def transform_bounding_boxes(
        self, bounding_boxes: dict[str, Tensor], transformation: Any, training: bool | None = True
    ) -> dict[str, Tensor]:
        def fixed(part: Tensor, axis: int) -> Tensor:
            part = jax.lax.slice_in_dim(part, 0, min(part.shape[axis], self.max_number), axis=axis)
            pads = [(0, 0)] * part.ndim
            pads[axis] = (0, self.max_number - part.shape[axis])
            return jnp.pad(part, pads, constant_values=self.fill_value)

        boxes = jnp.asarray(bounding_boxes["boxes"])
        axis = boxes.ndim - 2
        return {name: fixed(jnp.asarray(part), axis) for name, part in bounding_boxes.items()}
