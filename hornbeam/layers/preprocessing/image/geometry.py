"""Layers that flip, turn, zoom, move and shear images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam.core.checks import check_choice
from hornbeam.layers.preprocessing.image.base import (
    BaseImagePreprocessingLayer,
    checked_range,
    per_image,
)
from hornbeam.layers.preprocessing.image.boxes import hulls
from hornbeam.ops.image import affine_transform
from hornbeam.typing import Tensor

__all__ = ["RandomFlip", "RandomRotation", "RandomShear", "RandomTranslation", "RandomZoom"]

Factor = float | Sequence[float]


class RandomFlip(BaseImagePreprocessingLayer):
    """Mirrors each image in training with probability 1/2.

    Args:
        mode: `"horizontal"` swaps left and right, `"vertical"` top and bottom, and
            `"horizontal_and_vertical"` both at once. Default: `"horizontal_and_vertical"`.
        seed: Integer seed. Default: random.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If `mode` is unknown.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((32, 32, 3)), hb.layers.RandomFlip("horizontal"), hb.layers.Conv2D(8, 3)
        ... ])
        >>> model.output_shape
        (None, 30, 30, 8)
    """

    moves = True

    def __init__(
        self, mode: str = "horizontal_and_vertical", seed: int | None = None,
        data_format: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        modes = ("horizontal", "vertical", "horizontal_and_vertical")
        self.mode = check_choice("RandomFlip", "mode", mode, modes)
        self.keep_seed(seed)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        return {"flips": self.uniform((batch, 1, 1, 1), (0, 1), seed) <= 0.5}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        axes = [axis for axis, name in ((2, "horizontal"), (1, "vertical")) if name in self.mode]
        return jnp.where(per_image(transformation["flips"]), jnp.flip(images, axes), images)

    def move_boxes(self, boxes: Tensor, transformation: Any) -> Tensor:
        _, high, wide = self._sizes(transformation["input_shape"])
        left, top, right, bottom = jnp.moveaxis(boxes, -1, 0)
        if "horizontal" in self.mode:
            left, right = wide - right, wide - left
        if "vertical" in self.mode:
            top, bottom = high - bottom, high - top
        flipped = jnp.stack([left, top, right, bottom], axis=-1)
        return jnp.where(per_image(transformation["flips"], 3), flipped, boxes)


class _Affine(BaseImagePreprocessingLayer):
    """Base of layers that move pixels by one affine transform for each image."""

    moves = True

    def __init__(
        self, interpolation: str, fill_mode: str, fill_value: float, seed: int | None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_choice(owner, "interpolation", interpolation, ("nearest", "bilinear"))
        check_choice(owner, "fill_mode", fill_mode, ("reflect", "wrap", "constant", "nearest"))
        self.interpolation, self.fill_mode, self.fill_value = interpolation, fill_mode, fill_value
        self.keep_seed(seed)

    def matrix(self, transformation: Any, height: int, width: int) -> Tensor:
        """Return the transforms (B, 8) of `ops.image.affine_transform`."""
        raise NotImplementedError  # each layer implements it

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        return self._moved(images, transformation, self.interpolation)

    def augment_masks(self, masks: Tensor, transformation: Any) -> Tensor:
        return self._moved(masks, transformation, "nearest")

    def _moved(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        return affine_transform(
            images, self.matrix(transformation, *images.shape[1:3]), interpolation, self.fill_mode,
            self.fill_value, "channels_last",
        )  # fmt: skip

    def move_boxes(self, boxes: Tensor, transformation: Any) -> Tensor:
        _, *size = self._sizes(transformation["input_shape"])
        return hulls(boxes, self.matrix(transformation, *size))


def _rows(*numbers: Any) -> Tensor:
    """Return transforms (B, 8) from eight numbers or vectors (B,)."""
    return jnp.stack(jnp.broadcast_arrays(*(jnp.asarray(n, "float32") for n in numbers)), axis=-1)


class RandomRotation(_Affine):
    """Turns each image by a random angle in training.

    Args:
        factor: Range of the angle, as fractions of a full turn: two numbers, or one number f for
            the range from -f to f. Positive angles turn against the clock.
        fill_mode: Values outside of the image: `"reflect"` mirrors it with the edge, `"wrap"`
            repeats it, `"nearest"` repeats the edge, `"constant"` is `fill_value`. Default:
            `"reflect"`.
        interpolation: `"bilinear"` or `"nearest"`. Default: `"bilinear"`.
        seed: Integer seed. Default: random.
        fill_value: Value for `"constant"`. Default: 0.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> quarter = hb.layers.RandomRotation((0.25, 0.25))
        >>> quarter([[[1.0], [2.0]], [[3.0], [4.0]]], training=True)[..., 0].round().tolist()
        [[2.0, 4.0], [1.0, 3.0]]
    """

    def __init__(
        self, factor: Factor, fill_mode: str = "reflect", interpolation: str = "bilinear",
        seed: int | None = None, fill_value: float = 0.0, data_format: str | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            interpolation, fill_mode, fill_value, seed, data_format=data_format, **kwargs
        )
        self.factor = checked_range("RandomRotation", "factor", factor, (-1, 1))

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        limits = (self.factor[0] * 360, self.factor[1] * 360)
        return {"angle": self.uniform((batch,), limits, seed)}

    def matrix(self, transformation: Any, height: int, width: int) -> Tensor:
        angle = jnp.asarray(transformation["angle"]) * (np.pi / 180)
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        return _rows(cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y, 0, 0)


class RandomZoom(_Affine):
    """Zooms each image by a random factor in training.

    Args:
        height_factor: Range of the change of the visible height, as fractions of it: two numbers
            above -1 and up to 1, or one number f for the range from -f to f. Positive numbers zoom
            out, negative ones in.
        width_factor: The same for the width. Default: `None`, the factor drawn for the height,
            which keeps the aspect ratio.
        fill_mode: Values outside of the image: `"reflect"` mirrors it with the edge, `"wrap"`
            repeats it, `"nearest"` repeats the edge, `"constant"` is `fill_value`. Default:
            `"reflect"`.
        interpolation: `"bilinear"` or `"nearest"`. Default: `"bilinear"`.
        seed: Integer seed. Default: random.
        fill_value: Value for `"constant"`. Default: 0.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> zoom = hb.layers.RandomZoom((-0.5, -0.5), interpolation="nearest")  # to the double
        >>> zoom([[[1.0], [2.0], [3.0], [4.0]]], training=True)[0, :, 0].tolist()
        [2.0, 2.0, 3.0, 3.0]
    """

    def __init__(
        self, height_factor: Factor, width_factor: Factor | None = None,
        fill_mode: str = "reflect", interpolation: str = "bilinear", seed: int | None = None,
        fill_value: float = 0.0, data_format: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            interpolation, fill_mode, fill_value, seed, data_format=data_format, **kwargs
        )
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height_range = self._range("height_factor", height_factor)
        self._width_range = (
            None if width_factor is None else self._range("width_factor", width_factor)
        )

    @staticmethod
    def _range(name: str, factor: Factor) -> tuple[float, float]:
        low, high = checked_range("RandomZoom", name, factor, (-1, 1), strict=True)
        if low == -1 and isinstance(factor, (list, tuple)):
            raise ValueError(f"RandomZoom: `{name}` must be above -1, received {factor!r}.")
        return low, high

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        high = self.uniform((batch, 1), _shifted(self._height_range), seed)
        if self._width_range is None:
            return {"height_zoom": high, "width_zoom": high}
        wide = self.uniform((batch, 1), _shifted(self._width_range), seed)
        return {"height_zoom": high, "width_zoom": wide}

    def matrix(self, transformation: Any, height: int, width: int) -> Tensor:
        high, wide = (
            jnp.asarray(transformation[name]).reshape(-1) for name in ("height_zoom", "width_zoom")
        )
        x, y = (width - 1) / 2, (height - 1) / 2
        return _rows(wide, 0, (1 - wide) * x, 0, high, (1 - high) * y, 0, 0)


def _shifted(limits: tuple[float, float]) -> tuple[float, float]:
    return 1 + limits[0], 1 + limits[1]


class RandomTranslation(_Affine):
    """Moves each image by a random distance in training.

    Args:
        height_factor: Range of the distance downwards, as fractions of the height: two numbers, or
            one number f for the range from -f to f.
        width_factor: Range of the distance to the right, as fractions of the width.
        fill_mode: Values outside of the image: `"reflect"` mirrors it with the edge, `"wrap"`
            repeats it, `"nearest"` repeats the edge, `"constant"` is `fill_value`. Default:
            `"reflect"`.
        interpolation: `"bilinear"` or `"nearest"`. Default: `"bilinear"`.
        seed: Integer seed. Default: random.
        fill_value: Value for `"constant"`. Default: 0.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> move = hb.layers.RandomTranslation(0, (0.25, 0.25), fill_mode="constant")
        >>> move([[[1.0], [2.0], [3.0], [4.0]]], training=True)[0, :, 0].tolist()
        [0.0, 1.0, 2.0, 3.0]
    """

    def __init__(
        self, height_factor: Factor, width_factor: Factor, fill_mode: str = "reflect",
        interpolation: str = "bilinear", seed: int | None = None, fill_value: float = 0.0,
        data_format: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            interpolation, fill_mode, fill_value, seed, data_format=data_format, **kwargs
        )
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height_range, self._width_range = (
            checked_range("RandomTranslation", name, factor, (-1, 1), strict=True)
            for name, factor in (("height_factor", height_factor), ("width_factor", width_factor))
        )

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        down = self.uniform((batch, 1), self._height_range, seed) * height
        right = self.uniform((batch, 1), self._width_range, seed) * width
        return {"translations": jnp.concatenate([right, down], axis=1)}

    def matrix(self, transformation: Any, height: int, width: int) -> Tensor:
        right, down = jnp.asarray(transformation["translations"]).reshape(-1, 2).T
        return _rows(1, 0, -right, 0, 1, -down, 0, 0)


class RandomShear(_Affine):
    """Shears each image by a random factor in training, to either side.

    Args:
        x_factor: Range of the shift to the side per row, from 0 to 1: two numbers, or one number f
            for the range from -f to f. Default: 0.
        y_factor: Range of the shift up or down per column. Default: 0.
        interpolation: `"bilinear"` or `"nearest"`. Default: `"bilinear"`.
        fill_mode: Values outside of the image: `"reflect"` mirrors it with the edge, `"wrap"`
            repeats it, `"nearest"` repeats the edge, `"constant"` is `fill_value`. Default:
            `"reflect"`.
        fill_value: Value for `"constant"`. Default: 0.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        seed: Integer seed. Default: random.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.RandomShear(0.2)(hb.ops.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    def __init__(
        self, x_factor: Factor = 0.0, y_factor: Factor = 0.0, interpolation: str = "bilinear",
        fill_mode: str = "reflect", fill_value: float = 0.0, data_format: str | None = None,
        seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            interpolation, fill_mode, fill_value, seed, data_format=data_format, **kwargs
        )
        self.x_factor, self.y_factor = _one_number(x_factor), _one_number(y_factor)
        self._x_range, self._y_range = (
            checked_range("RandomShear", name, factor, (0, 1), symmetric=True, strict=True)
            for name, factor in (("x_factor", self.x_factor), ("y_factor", self.y_factor))
        )

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        side = jnp.where(self.uniform((batch, 1), (0, 1), seed) > 0.5, -1.0, 1.0)
        down = self.uniform((batch, 1), self._y_range, seed) * side
        right = self.uniform((batch, 1), self._x_range, seed) * side
        return {"shear_factor": jnp.concatenate([right, down], axis=1)}

    def matrix(self, transformation: Any, height: int, width: int) -> Tensor:
        x, y = jnp.asarray(transformation["shear_factor"]).reshape(-1, 2).T
        return _rows(1, x, 0, y, 1, 0, 0, 0)


def _one_number(factor: Any) -> Any:
    """Return f for the range from -f to f, as Keras's files write a number f."""
    pair = isinstance(factor, (list, tuple)) and len(factor) == 2
    return factor[1] if pair and factor[0] == -factor[1] else factor
