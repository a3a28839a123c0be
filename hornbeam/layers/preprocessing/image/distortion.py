"""Layers that blur, erase and distort images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam import random
from hornbeam.core.checks import check_choice
from hornbeam.layers.preprocessing.image.base import (
    BaseImagePreprocessingLayer,
    checked_range,
    checked_values,
    per_image,
)
from hornbeam.layers.preprocessing.image.boxes import hulls
from hornbeam.ops.geometry import homography, sampled
from hornbeam.ops.image import perspective_transform
from hornbeam.typing import Tensor

__all__ = ["RandomElasticTransform", "RandomErasing", "RandomGaussianBlur", "RandomPerspective"]

Factor = float | Sequence[float]


def smoothed(images: Tensor, size: tuple[int, int], sigma: tuple[Any, Any]) -> Tensor:
    """Smooth images by a Gaussian filter; outside of the image is zero.

    Args:
        images: (B, H, W, C).
        size: Height and width of the filter, odd.
        sigma: Standard deviations along height and width: numbers or vectors (B,).

    Example:
        >>> float(smoothed(jnp.ones((1, 3, 3, 1)), (3, 3), (1e-3, 1e-3))[0, 0, 0, 0])
        1.0
    """
    for axis, width, spread in zip((1, 2), size, sigma, strict=True):
        distance = jnp.arange(width, dtype="float32") - (width - 1) / 2
        spread = jnp.maximum(jnp.asarray(spread, "float32").reshape(-1, 1), 1e-5)
        weights = jnp.exp(-0.5 * jnp.square(distance / spread))
        weights = (weights / weights.sum(axis=1, keepdims=True)).astype(images.dtype)
        pads = [(0, 0)] * 4
        pads[axis] = (width // 2, width // 2)
        padded, count = jnp.pad(images, pads), images.shape[axis]
        parts = (
            per_image(weights[:, i]) * jnp.take(padded, jnp.arange(i, i + count), axis=axis)
            for i in range(width)
        )
        images = sum(parts, start=jnp.zeros_like(images))
    return images


class RandomGaussianBlur(BaseImagePreprocessingLayer):
    """Smooths images by a Gaussian filter in training, each with a random probability.

    Args:
        factor: Range of the probability: two numbers from 0 to 1, or one number f for the range
            from 0 to f. Default: 1.
        kernel_size: Size of the filter, an odd integer or two (width, height). Default: 3.
        sigma: Range of the standard deviation, drawn for height and width: two numbers from 0 to 1,
            or one number s for the range from 0 to s. Default: 1.
        value_range: The smallest and the largest value of images; results are clipped to them.
            Default: (0, 255).
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        seed: Integer seed. Default: random.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.RandomGaussianBlur()(hb.ops.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    def __init__(
        self, factor: Factor = 1.0, kernel_size: int | Sequence[int] = 3, sigma: Factor = 1.0,
        value_range: Sequence[float] = (0, 255), data_format: str | None = None,
        seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.factor = checked_range("RandomGaussianBlur", "factor", factor, (0, 1))
        pair = tuple(kernel_size) if isinstance(kernel_size, (list, tuple)) else (kernel_size,) * 2
        if len(pair) != 2 or any(not isinstance(n, int) or n < 1 or n % 2 == 0 for n in pair):
            raise ValueError(
                "RandomGaussianBlur: `kernel_size` must be a positive odd integer, or two,"
                f" received {kernel_size!r}."
            )
        self.kernel_size = pair
        self.sigma = checked_range("RandomGaussianBlur", "sigma", sigma, (0, math.inf))
        self.value_range = checked_values("RandomGaussianBlur", value_range)
        self.keep_seed(seed)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        chosen = self.chosen(batch, seed)
        return {
            "should_apply_blur": chosen,
            "blur_factor": self.uniform((batch, 2), self.sigma, seed),
        }

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        wide, high = jnp.moveaxis(jnp.asarray(transformation["blur_factor"]), -1, 0)
        blurred = smoothed(images, (self.kernel_size[1], self.kernel_size[0]), (high, wide))
        blurred = jnp.clip(blurred, *self.value_range)
        return jnp.where(per_image(transformation["should_apply_blur"]), blurred, images)


def random_boxes(
    height: int, width: int, tall: Tensor, wide: Tensor, places: tuple[Tensor, Tensor]
) -> Tensor:
    """Return masks (B, H, W, 1) that are true within one box for each image.

    Args:
        height: Height of the images.
        width: Their width.
        tall: Heights of the boxes, as fractions of the height.
        wide: Widths of the boxes, as fractions of the width.
        places: Random numbers (B,) from 0 to 1, which place the boxes down and to the right.

    Example:
        >>> half, start = jnp.array([0.5]), jnp.array([0.0])
        >>> random_boxes(1, 4, 2 * half, half, (start, start))[0, 0, :, 0].tolist()
        [True, True, False, False]
    """
    inside = []
    for size, share, place in ((height, tall, places[0]), (width, wide, places[1])):
        length = (share * size)[:, None]
        start = place[:, None] * (size - length)
        middle = jnp.arange(size) + 0.5  # of each pixel: so the mean length is right
        inside.append((middle >= start) & (middle < start + length))
    return (inside[0][:, :, None] & inside[1][:, None, :])[..., None]


class RandomErasing(BaseImagePreprocessingLayer):
    """Replaces one box of each image in training, with a random probability.

    Args:
        factor: Range of the probability: two numbers from 0 to 1, or one number f for the range
            from 0 to f. Default: 1.
        scale: Range of the box's part of the image: two numbers from 0 to 1, or one number for the
            range from 0 to it. Height and width are drawn independently. Default: (0.02, 0.33).
        fill_value: Value of the box. Default: `None`, which fills it with noise: for each pixel and
            channel, a normal number times the largest value, clipped to `value_range`.
        value_range: The smallest and the largest value of images. Default: (0, 255).
        seed: Integer seed. Default: random.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.

    Source: Zhong et al. 2020, Random erasing data augmentation.

    Example:
        >>> import hornbeam as hb
        >>> erase = hb.layers.RandomErasing((1.0, 1.0), scale=(1.0, 1.0), fill_value=7)
        >>> float(erase(hb.ops.ones((1, 4, 4, 3)), training=True).min())
        7.0
    """

    def __init__(
        self, factor: Factor = 1.0, scale: Factor = (0.02, 0.33), fill_value: float | None = None,
        value_range: Sequence[float] = (0, 255), seed: int | None = None,
        data_format: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.factor = checked_range("RandomErasing", "factor", factor, (0, 1))
        self.scale = checked_range("RandomErasing", "scale", scale, (0, 1), strict=True)
        if fill_value is not None and not isinstance(fill_value, (int, float)):
            raise ValueError(
                f"RandomErasing: `fill_value` must be a number or None, received {fill_value!r}."
            )
        self.fill_value = fill_value
        self.value_range = checked_values("RandomErasing", value_range)
        self.keep_seed(seed)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        chosen = self.chosen(batch, seed)
        tall, wide = (jnp.sqrt(self.uniform((batch,), self.scale, seed)) for _ in range(2))
        places = tuple(self.uniform((batch,), (0, 1), seed) for _ in range(2))
        masks = random_boxes(height, width, tall, wide, (places[0], places[1]))
        return {"apply_erasing": chosen, "batch_masks": masks}

    def draw_noise(self, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        if self.fill_value is not None:
            return {"fill_value": jnp.full((1, 1, 1, 1), self.fill_value, "float32")}
        low, high = self.value_range
        return {"fill_value": jnp.clip(random.normal(shape, seed=seed) * high, low, high)}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        masks = per_image(transformation["apply_erasing"]) & transformation["batch_masks"]
        fill = jnp.asarray(transformation["fill_value"]).astype(images.dtype)
        return jnp.where(masks, fill, images)


class RandomPerspective(BaseImagePreprocessingLayer):
    """Distorts the perspective of images in training, each with a random probability.

    Args:
        factor: Range of the probability: two numbers from 0 to 1, or one number f for the range
            from 0 to f. Default: 1.
        scale: How far corners move: each coordinate of a corner is multiplied by a number from `1 -
            scale / 2` to `1 + scale / 2`. From 0 to 1. Default: 1.
        interpolation: `"bilinear"` or `"nearest"`. Default: `"bilinear"`.
        fill_value: Value outside of the image. Default: 0.
        seed: Integer seed. Default: random.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.RandomPerspective(scale=0.3)(hb.ops.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    moves = True

    def __init__(
        self, factor: Factor = 1.0, scale: float = 1.0, interpolation: str = "bilinear",
        fill_value: float = 0.0, seed: int | None = None, data_format: str | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.factor = checked_range("RandomPerspective", "factor", factor, (0, 1))
        if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0 <= scale <= 1:
            raise ValueError(
                f"RandomPerspective: `scale` must be a number from 0 to 1, received {scale!r}."
            )
        self.scale, self.fill_value = scale, fill_value
        self.interpolation = check_choice(
            "RandomPerspective", "interpolation", interpolation, ("nearest", "bilinear")
        )
        self.keep_seed(seed)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        chosen = self.chosen(batch, seed)
        right, bottom = width - 1, height - 1
        corners = jnp.asarray([[0, 0], [right, 0], [0, bottom], [right, bottom]], "float32")
        start = jnp.broadcast_to(corners, (batch, 4, 2))
        end = start * (1 + self.uniform((batch, 4, 2), (-self.scale / 2, self.scale / 2), seed))
        return {"apply_perspective": chosen, "start_points": start, "end_points": end}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        return self._moved(images, transformation, self.interpolation)

    def augment_masks(self, masks: Tensor, transformation: Any) -> Tensor:
        return self._moved(masks, transformation, "nearest")

    def _moved(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        moved = perspective_transform(
            images, transformation["start_points"], transformation["end_points"], interpolation,
            self.fill_value, "channels_last",
        )  # fmt: skip
        return jnp.where(per_image(transformation["apply_perspective"]), moved, images)

    def move_boxes(self, boxes: Tensor, transformation: Any) -> Tensor:
        transform = homography(transformation["start_points"], transformation["end_points"])
        chosen = per_image(transformation["apply_perspective"], 3)
        return jnp.where(chosen, hulls(boxes, transform), boxes)


class RandomElasticTransform(BaseImagePreprocessingLayer):
    """Distorts images by smooth random displacements in training, with a random probability.

    The displacements have a standard deviation of about 3 % of the longer side, times a random
    strength, which the images of a batch share.

    Args:
        factor: Range of the probability: two numbers from 0 to 1, or one number f for the range
            from 0 to f. Default: 1.
        scale: Range of the strength, in the same way. Default: 1.
        interpolation: `"bilinear"` or `"nearest"`. Default: `"bilinear"`.
        fill_mode: Values outside of the image: `"reflect"` mirrors it with the edge, `"wrap"`
            repeats it, `"nearest"` repeats the edge, `"constant"` is `fill_value`. Default:
            `"reflect"`.
        fill_value: Value for `"constant"`. Default: 0.
        value_range: The smallest and the largest value of images; results are clipped to them.
            Default: (0, 255).
        seed: Integer seed. Default: random.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.
        NotImplementedError: In the call, if there are bounding boxes.

    Source: Simard et al. 2003, Best practices for convolutional neural networks applied to visual
    document analysis.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.RandomElasticTransform()(hb.ops.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    moves = True

    def __init__(
        self, factor: Factor = 1.0, scale: Factor = 1.0, interpolation: str = "bilinear",
        fill_mode: str = "reflect", fill_value: float = 0.0,
        value_range: Sequence[float] = (0, 255), seed: int | None = None,
        data_format: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        owner = "RandomElasticTransform"
        self.factor = checked_range(owner, "factor", factor, (0, 1))
        self.scale = checked_range(owner, "scale", scale, (0, 1))
        check_choice(owner, "interpolation", interpolation, ("nearest", "bilinear"))
        check_choice(owner, "fill_mode", fill_mode, ("reflect", "wrap", "constant", "nearest"))
        self.interpolation, self.fill_mode, self.fill_value = interpolation, fill_mode, fill_value
        self.value_range = checked_values(owner, value_range)
        self.keep_seed(seed)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        chosen = self.chosen(batch, seed)
        strength = self.uniform((), self.scale, seed)
        noise = random.normal((batch, height, width, 2), dtype="float32", seed=seed)
        # The largest sigma decides the size of the filter, which must be known in advance.
        size = 2 * math.ceil(3 * 0.05 * min(height, width) * self.scale[1]) + 1
        sigma = 0.05 * min(height, width) * strength
        # Smoothing divides the spread of the noise by 2 sqrt(pi) sigma.
        moves = smoothed(sigma * noise, (size, size), (sigma, sigma))
        moves = 0.1 * max(height, width) * strength * moves
        return {"apply_transform": chosen, "distortion_factor": strength, "moves": moves}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        moved = self._moved(images, transformation, self.interpolation)
        return jnp.clip(moved, *self.value_range)

    def augment_masks(self, masks: Tensor, transformation: Any) -> Tensor:
        return self._moved(masks, transformation, "nearest")

    def _moved(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        grid = jnp.meshgrid(
            *(jnp.arange(n, dtype="float32") for n in images.shape[1:3]), indexing="ij"
        )
        places = jnp.stack(grid)[None] + jnp.moveaxis(transformation["moves"], -1, 1)
        owner = "RandomElasticTransform"
        moved = sampled(images, places, interpolation, self.fill_mode, self.fill_value, owner)
        return jnp.where(per_image(transformation["apply_transform"]), moved, images)

    def transform_bounding_boxes(
        self, bounding_boxes: dict[str, Tensor], transformation: Any, training: bool | None = True
    ) -> dict[str, Tensor]:
        if self._is_idle(transformation, training):
            return bounding_boxes
        raise NotImplementedError(
            f"{self._label()}: boxes cannot follow an elastic distortion. Leave out"
            " 'bounding_boxes', or use RandomPerspective."
        )
