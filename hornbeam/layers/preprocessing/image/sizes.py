"""Layers that change the size of images."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import random
from hornbeam.layers.preprocessing.image.base import BaseImagePreprocessingLayer
from hornbeam.ops.image import METHODS, resize
from hornbeam.typing import Tensor

__all__ = ["CenterCrop", "RandomCrop", "Resizing"]


def _checked_size(layer: str, height: Any, width: Any) -> None:
    for name, value in (("height", height), ("width", width)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{layer}: `{name}` must be a positive integer, received {value!r}.")


class _Sized(BaseImagePreprocessingLayer):
    """Base of layers whose results have one given size."""

    moves = True
    height: int
    width: int

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        return self.height, self.width


class Resizing(_Sized):
    """Resizes images to a given height and width.

    Args:
        height: New height.
        width: New width.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
            Default: `"bilinear"`.
        crop_to_aspect_ratio: Whether to keep the aspect ratio and crop the longer side evenly.
            Default: False, which stretches images.
        pad_to_aspect_ratio: Whether to keep the aspect ratio and pad the shorter side evenly.
            Default: False.
        fill_mode: How to pad: `"constant"`. Default: `"constant"`.
        fill_value: Value of the padding. Default: 0.
        antialias: Whether to smooth images before they are made smaller. Default: False.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or (C, H, W).
    Output: the same with the new height and width, in the dtype of the input. As in Keras.

    Raises:
        ValueError: If an argument is out of range, or both aspect ratio arguments are true.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((None, None, 3)), hb.layers.Resizing(32, 32), hb.layers.Conv2D(8, 3)
        ... ])
        >>> model.output_shape
        (None, 30, 30, 8)
    """

    draws, only_in_training, casts = False, False, False

    def __init__(
        self, height: int, width: int, interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant", fill_value: float = 0.0, antialias: bool = False,
        data_format: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        _checked_size("Resizing", height, width)
        if interpolation not in METHODS:
            raise ValueError(
                f"Resizing: `interpolation` must be one of {', '.join(METHODS)}, received"
                f" {interpolation!r}."
            )
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError(
                "Resizing: pass only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio`."
            )
        if fill_mode != "constant":
            raise ValueError(f"Resizing: `fill_mode` must be 'constant', received {fill_mode!r}.")
        self.height, self.width, self.interpolation = height, width, interpolation
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = (
            crop_to_aspect_ratio,
            pad_to_aspect_ratio,
        )
        self.fill_mode, self.fill_value, self.antialias = fill_mode, fill_value, antialias

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        return self._resized(images, self.interpolation)

    def augment_masks(self, masks: Tensor, transformation: Any) -> Tensor:
        return self._resized(masks, "nearest")

    def _resized(self, images: Tensor, interpolation: str) -> Tensor:
        return resize(
            images, (self.height, self.width), interpolation, self.antialias,
            self.crop_to_aspect_ratio, self.pad_to_aspect_ratio, self.fill_mode, self.fill_value,
            "channels_last",
        )  # fmt: skip

    def move_boxes(self, boxes: Tensor, transformation: Any) -> Tensor:
        _, high, wide = self._sizes(transformation["input_shape"])
        fitting = (int(wide * self.height / self.width), int(high * self.width / self.height))
        top, left, part = 0, 0, (high, wide)  # the part of the image that is resized
        if self.crop_to_aspect_ratio:
            part = (min(high, fitting[0]), min(wide, fitting[1]))
            top, left = (high - part[0]) // 2, (wide - part[1]) // 2
        elif self.pad_to_aspect_ratio:
            above, before = (max(n - m, 0) // 2 for n, m in zip(fitting, part, strict=True))
            top, left, part = -above, -before, (high + 2 * above, wide + 2 * before)
        start = jnp.asarray([left, top] * 2, "float32")
        return (boxes - start) * jnp.asarray(
            [self.width / part[1], self.height / part[0]] * 2, "float32"
        )


class CenterCrop(_Sized):
    """Cuts the middle of the given height and width out of images.

    If an image is smaller, the largest part of it with the same aspect ratio is resized instead.

    Args:
        height: New height.
        width: New width.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or (C, H, W).
    Output: the same with the new height and width, in the compute dtype. As in Keras.

    Raises:
        ValueError: If `height` or `width` is not a positive integer.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.CenterCrop(2, 2)(hb.ops.ones((1, 6, 8, 3))).shape
        (1, 2, 2, 3)
    """

    draws, only_in_training = False, False

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        _checked_size("CenterCrop", height, width)
        self.height, self.width = height, width

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        return self._cut(images, "bilinear")

    def augment_masks(self, masks: Tensor, transformation: Any) -> Tensor:
        return self._cut(masks, "nearest")

    def _cut(self, images: Tensor, interpolation: str) -> Tensor:
        high, wide = images.shape[1:3]
        if high < self.height or wide < self.width:
            return _largest_part(images, self.height, self.width, interpolation)
        top, left = (high - self.height) // 2, (wide - self.width) // 2
        return images[:, top : top + self.height, left : left + self.width]

    def move_boxes(self, boxes: Tensor, transformation: Any) -> Tensor:
        _, high, wide = self._sizes(transformation["input_shape"])
        if high < self.height or wide < self.width:
            return _move_with_largest_part(self, boxes, transformation)
        top, left = (high - self.height) // 2, (wide - self.width) // 2
        return boxes - jnp.asarray([left, top] * 2, boxes.dtype)


def _largest_part(images: Tensor, height: int, width: int, interpolation: str) -> Tensor:
    """Resize the largest middle part of images that has the new aspect ratio."""
    return resize(
        images, (height, width), interpolation, crop_to_aspect_ratio=True,
        data_format="channels_last",
    )  # fmt: skip


def _move_with_largest_part(layer: _Sized, boxes: Tensor, transformation: Any) -> Tensor:
    """Move boxes as `_largest_part` moves pixels."""
    resizing = Resizing(
        layer.height, layer.width, crop_to_aspect_ratio=True, data_format=layer.data_format
    )
    return resizing.move_boxes(boxes, transformation)


class RandomCrop(_Sized):
    """Cuts a part of the given height and width out of each image in training, at a random place.

    If an image is smaller, the largest middle part of it with the same aspect ratio is resized
    instead.

    Args:
        height: New height.
        width: New width.
        seed: Integer seed. Default: random.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or (C, H, W).
    Output: in training the same with the new height and width, in the compute dtype. Outside
    training, the output is the input, as in Keras; a layer that needs one size, such as `Dense`,
    needs a `CenterCrop` or `Resizing` before it.

    Raises:
        ValueError: If `height` or `width` is not a positive integer.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.RandomCrop(2, 2)(hb.ops.ones((1, 6, 8, 3)), training=True).shape
        (1, 2, 2, 3)
    """

    casts_outside_training = False

    def __init__(
        self, height: int, width: int, seed: int | None = None, data_format: str | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        _checked_size("RandomCrop", height, width)
        self.height, self.width = height, width
        self.keep_seed(seed)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        if height < self.height or width < self.width:
            return {}
        return {
            "top": random.randint((batch,), 0, height - self.height + 1, seed=seed),
            "left": random.randint((batch,), 0, width - self.width + 1, seed=seed),
        }

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        return self._cut(images, transformation, "bilinear")

    def augment_masks(self, masks: Tensor, transformation: Any) -> Tensor:
        return self._cut(masks, transformation, "nearest")

    def _cut(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        if isinstance(transformation, tuple):  # as Keras draws it: one place for all images
            top, left = (jnp.broadcast_to(start, images.shape[:1]) for start in transformation)
        elif "top" in transformation:
            top, left = transformation["top"], transformation["left"]
        else:
            return _largest_part(images, self.height, self.width, interpolation)

        def one(image: Tensor, top: Any, left: Any) -> Tensor:
            size = (self.height, self.width, image.shape[-1])
            return jax.lax.dynamic_slice(image, (top, left, 0), size)

        return jax.vmap(one)(images, top, left)

    def move_boxes(self, boxes: Tensor, transformation: Any) -> Tensor:
        if "top" not in transformation:
            return _move_with_largest_part(self, boxes, transformation)
        top, left = transformation["top"], transformation["left"]
        start = jnp.stack([left, top, left, top], axis=-1)[:, None]
        return boxes - start.astype(boxes.dtype)
