"""Layers that change the brightness and colors of images by random factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam import random
from hornbeam.layers.preprocessing.image.base import (
    BaseImagePreprocessingLayer,
    checked_range,
    checked_values,
    per_image,
    rescaled,
)
from hornbeam.ops.image import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from hornbeam.typing import Tensor

__all__ = [
    "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPosterization", "RandomSaturation",
    "RandomSharpness", "Solarization",
]  # fmt: skip

Factor = float | Sequence[float]


class _Color(BaseImagePreprocessingLayer):
    """Base of layers with images in a range of values, which draw by one factor."""

    casts_outside_training = False
    _bounds: tuple[float, float] = (0, 1)

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255), seed: int | None = None,
        data_format: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.factor = checked_range(type(self).__name__, "factor", factor, self._bounds)
        self.value_range = checked_values(type(self).__name__, value_range)
        self.keep_seed(seed)

    def _clip(self, images: Tensor) -> Tensor:
        return jnp.clip(images, *self.value_range)

    def _rescaled(self, images: Tensor, high: float) -> Tensor:
        """Return values moved from the layer's range to the range from 0 to `high`."""
        return rescaled(images, self.value_range, (0, high))

    def _restored(self, images: Tensor, high: float) -> Tensor:
        """Return the inverse of `_rescaled`."""
        return rescaled(images, (0, high), self.value_range)


class RandomBrightness(_Color):
    """Adds one random number to all values of an image in training.

    Args:
        factor: Range of the number, as fractions of the range of values: two numbers from -1 to 1,
            or one number f for the range from -f to f.
        value_range: The smallest and the largest value of images; results are clipped to them.
            Default: (0, 255).
        seed: Integer seed. Default: random.

    Input and output: images (B, H, W, C) or (H, W, C), or with `data_format="channels_first"` (B,
    C, H, W) or (C, H, W). Integer images stay integers. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> lighter = hb.layers.RandomBrightness((0.2, 0.2))
        >>> lighter([[[0.0], [100.0], [250.0]]], training=True)[0, :, 0].tolist()
        [51.0, 151.0, 255.0]
    """

    casts = False
    _bounds = (-1, 1)

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255), seed: int | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(factor, value_range, seed, **kwargs)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        share = self.uniform((batch, 1, 1, 1), self.factor, seed)
        return {"rgb_delta": share * (self.value_range[1] - self.value_range[0])}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        delta = per_image(transformation["rgb_delta"])
        lighter = self._clip(images.astype(self.compute_dtype) + delta.astype(self.compute_dtype))
        if jnp.issubdtype(images.dtype, jnp.integer):
            return jnp.round(lighter).astype(images.dtype)
        return lighter


class RandomContrast(_Color):
    """Multiplies the differences from the mean by one random factor for each image in training.

    The result is `(x - mean) * factor + mean`, with the mean of each channel of an image.

    Args:
        factor: Range of the factor: two numbers from 0 to 1, lower and upper, for factors from `1 -
            lower` to `1 + upper`, or one number f for factors from 1 to `1 + f`.
        value_range: The smallest and the largest value of images; results are clipped to them.
            Default: (0, 255).
        seed: Integer seed. Default: random.

    Input and output: images (B, H, W, C) or (H, W, C), or with `data_format="channels_first"` (B,
    C, H, W) or (C, H, W); results have the compute dtype. Outside training, the output is the
    input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> stronger = hb.layers.RandomContrast(0.5, seed=1)
        >>> stronger(hb.ops.full((1, 4, 4, 3), 100.0), training=True)[0, 0, 0].tolist()
        [100.0, 100.0, 100.0]
    """

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255), seed: int | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(factor, value_range, seed, **kwargs)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        limits = (1 - self.factor[0], 1 + self.factor[1])
        return {"contrast_factor": self.uniform((batch, 1, 1, 1), limits, seed)}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        factor = per_image(transformation["contrast_factor"]).astype(images.dtype)
        mean = jnp.mean(images, axis=(1, 2), keepdims=True)
        return self._clip((images - mean) * factor + mean)


class RandomSaturation(_Color):
    """Multiplies the saturation of each image by a random number in training.

    Args:
        factor: Range of f, two numbers from 0 to 1, or one number for the range from minus it to
            it. The saturation is multiplied by `f / (1 - f)` and kept from 0 to 1: 0 makes images
            gray, 0.5 does not change them, 1 gives the strongest colors.
        value_range: The smallest and the largest value of images. Default: (0, 255).
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        seed: Integer seed. Default: random.

    Input and output: RGB images (B, H, W, 3) or (H, W, 3), or with `"channels_first"` (B, 3, H, W)
    or (3, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range, or images do not have 3 channels.

    Example:
        >>> import hornbeam as hb
        >>> gray = hb.layers.RandomSaturation((0.0, 0.0))
        >>> gray([[[200.0, 100.0, 100.0]]], training=True).round(2).tolist()
        [[[200.0, 200.0, 200.0]]]
    """

    _bounds = (-1, 1)

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255),
        data_format: str | None = None, seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        drawn = self.uniform((batch,), self.factor, seed)
        return {"factor": drawn / (1 - drawn + 1e-7)}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        factor = per_image(transformation["factor"], 3).astype(images.dtype)
        hsv = rgb_to_hsv(self._rescaled(images, 1), data_format="channels_last")
        saturation = jnp.clip(hsv[..., 1] * factor, 0, 1)
        hsv = jnp.stack([hsv[..., 0], saturation, hsv[..., 2]], axis=-1)
        return self._restored(hsv_to_rgb(hsv, data_format="channels_last"), 1)


class RandomHue(_Color):
    """Turns the hue of each image by a random angle in training, to either side.

    Args:
        factor: Range of the angle, as fractions of half a turn: two numbers from 0 to 1, or one
            number f for the range from 0 to f.
        value_range: The smallest and the largest value of images. Default: (0, 255).
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        seed: Integer seed. Default: random.

    Input and output: RGB images (B, H, W, 3) or (H, W, 3), or with `"channels_first"` (B, 3, H, W)
    or (3, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range, or images do not have 3 channels.

    Example:
        >>> import hornbeam as hb
        >>> opposite = hb.layers.RandomHue((1.0, 1.0))
        >>> opposite([[[200.0, 100.0, 100.0]]], training=True).round().tolist()
        [[[100.0, 200.0, 200.0]]]
    """

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255),
        data_format: str | None = None, seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        side = jnp.where(self.uniform((batch,), (0, 1), seed) > 0.5, -1.0, 1.0)
        return {"factor": side * self.uniform((batch,), self.factor, seed) * 0.5}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        turn = per_image(transformation["factor"], 3).astype(images.dtype)
        hsv = rgb_to_hsv(self._rescaled(images, 1), data_format="channels_last")
        hsv = jnp.stack([(hsv[..., 0] + turn) % 1, hsv[..., 1], hsv[..., 2]], axis=-1)
        turned = self._restored(hsv_to_rgb(hsv, data_format="channels_last"), 1)
        return self._clip(turned)


class RandomGrayscale(BaseImagePreprocessingLayer):
    """Turns images gray in training, each with a given probability. They keep 3 equal channels.

    Args:
        factor: Probability, from 0 to 1. Default: 0.5.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        seed: Integer seed. Default: random.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W), with 3 channels, or 1, which does not change. Integer images stay integers. Outside
    training, the output is the input.

    Raises:
        ValueError: If `factor` is not from 0 to 1, or images have another number of channels.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.RandomGrayscale(1.0)([[[255.0, 0.0, 0.0]]], training=True).round().tolist()
        [[[76.0, 76.0, 76.0]]]
    """

    casts = False

    def __init__(
        self, factor: float = 0.5, data_format: str | None = None, seed: int | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        if isinstance(factor, (list, tuple)):
            factor = float("nan")
        self.factor = checked_range("RandomGrayscale", "factor", factor, (0, 1))[1]
        self.keep_seed(seed)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        return {"grayscale": self.uniform((batch, 1, 1, 1), (0, 1), seed) < self.factor}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        chosen = transformation["grayscale"] if isinstance(transformation, dict) else transformation
        return jnp.where(per_image(chosen), _gray(images), images)


def _gray(images: Tensor) -> Tensor:
    if images.shape[-1] == 1:
        return images
    return rgb_to_grayscale(images, data_format="channels_last")


class RandomColorDegeneration(_Color):
    """Mixes each image with its gray version by a random share in training.

    Args:
        factor: Range of the share of gray: two numbers from -1 to 1, or one number f for the range
            from -f to f. Negative shares make colors stronger.
        value_range: The smallest and the largest value of images; results are clipped to them.
            Default: (0, 255).
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        seed: Integer seed. Default: random.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W), with 3 channels, or 1, which does not change; results have the compute dtype. Outside
    training, the output is the input.

    Raises:
        ValueError: If an argument is out of range, or images have another number of channels.

    Example:
        >>> import hornbeam as hb
        >>> gray = hb.layers.RandomColorDegeneration((1.0, 1.0))
        >>> gray([[[255.0, 0.0, 0.0]]], training=True).round().tolist()
        [[[76.0, 76.0, 76.0]]]
    """

    _bounds = (-1, 1)

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255),
        data_format: str | None = None, seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        return {"factor": self.uniform((batch, 1, 1, 1), self.factor, seed)}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        factor = per_image(transformation["factor"]).astype(images.dtype)
        return self._clip(images * (1 - factor) + _gray(images) * factor)


class RandomInvert(_Color):
    """Inverts images in training, each with a random probability.

    Args:
        factor: Range of the probability: two numbers from 0 to 1, or one number f for the range
            from 0 to f. Default: 1.
        value_range: The smallest and the largest value of images. Default: (0, 255).
        seed: Integer seed. Default: random.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.RandomInvert((1.0, 1.0))([[[0.0], [100.0]]], training=True)[0, :, 0].tolist()
        [255.0, 155.0]
    """

    def __init__(
        self, factor: Factor = 1.0, value_range: Sequence[float] = (0, 255),
        seed: int | None = None, data_format: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        return {"apply_inversion": self.chosen(batch, seed)}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        chosen = per_image(transformation["apply_inversion"])
        return jnp.where(chosen, sum(self.value_range) - images, images)


class RandomSharpness(_Color):
    """Sharpens or smooths each image by a random amount in training.

    Args:
        factor: Range of the amount: two numbers from 0 to 1, or one number f for the range from 0
            to f. 0 smooths images, 0.5 does not change them, and 1 sharpens them.
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
        >>> hb.layers.RandomSharpness(0.5)(hb.ops.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    casts_outside_training = True

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255),
        data_format: str | None = None, seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        return {"factor": self.uniform((batch,), self.factor, seed)}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        factor = per_image(transformation["factor"]).astype(images.dtype)
        high, wide = images.shape[1:3]
        padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
        around = sum(
            padded[:, top : top + high, left : left + wide] for top in range(3) for left in range(3)
        )
        smooth = (around + 4 * images) / 13
        return self._clip(smooth + 2 * factor * (images - smooth))


class RandomPosterization(_Color):
    """Keeps only the upper bits of the values of each image in training, a random number of them.

    Args:
        factor: Range of the number of bits, from 1 to 8: two integers, the second not included
            unless they are equal, or one integer n for the range from 1 to n.
        value_range: The smallest and the largest value of images. Default: (0, 255).
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        seed: Integer seed. Default: random.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> two_values = hb.layers.RandomPosterization((1, 1))
        >>> two_values([[[50.0], [100.0], [200.0]]], training=True)[0, :, 0].tolist()
        [0.0, 0.0, 128.0]
    """

    _bounds = (1, 8)

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255),
        data_format: str | None = None, seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        low, high = (int(limit) for limit in self.factor)
        return {"shift_factor": 8 - random.randint((batch,), low, high, seed=seed)}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        shift = per_image(transformation["shift_factor"]).astype("uint8")
        bits = jnp.clip(self._rescaled(images, 255), 0, 255).astype("uint8")
        kept = jnp.left_shift(jnp.right_shift(bits, shift), shift).astype(images.dtype)
        return self._restored(kept, 255)


class Solarization(_Color):
    """Adds a random number to each image in training, and inverts values above a random threshold.

    Args:
        addition_factor: Range of the number, as fractions of the range of values: two numbers from
            0 to 1, or one number f for the range from 0 to f. Default: 0.
        threshold_factor: Range of the threshold, in the same way. Default: 0, which inverts all.
        value_range: The smallest and the largest value of images; results are clipped to them.
            Default: (0, 255).
        seed: Integer seed. Default: random.

    Input and output: images (B, H, W, C) or (H, W, C), or with `data_format="channels_first"` (B,
    C, H, W) or (C, H, W); results have the compute dtype. Outside training, the output is the
    input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> layer = hb.layers.Solarization(threshold_factor=(0.5, 0.5))
        >>> layer([[[100.0], [200.0]]], training=True)[0, :, 0].tolist()
        [100.0, 55.0]
    """

    casts_outside_training = True

    def __init__(
        self, addition_factor: Factor = 0.0, threshold_factor: Factor = 0.0,
        value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        BaseImagePreprocessingLayer.__init__(self, **kwargs)
        self.addition_factor, self.threshold_factor = (
            checked_range("Solarization", name, factor, (0, 1), strict=True)
            for name, factor in (
                ("addition_factor", addition_factor), ("threshold_factor", threshold_factor)
            )
        )  # fmt: skip
        self.value_range = checked_values("Solarization", value_range)
        self.keep_seed(seed)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        return {  # of values from 0 to 255
            name: self.uniform((batch, 1, 1, 1), (255 * factor[0], 255 * factor[1]), seed)
            for name, factor in (
                ("additions", self.addition_factor), ("thresholds", self.threshold_factor)
            )
        }  # fmt: skip

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        additions, thresholds = (
            per_image(transformation[name]).astype(images.dtype)
            for name in ("additions", "thresholds")
        )
        added = jnp.clip(self._rescaled(images, 255) + additions, 0, 255)
        inverted = jnp.where(added < thresholds, added, 255 - added)
        return self._restored(inverted, 255)


class RandomColorJitter(BaseImagePreprocessingLayer):
    """Changes brightness, contrast, saturation and hue of each image in training, in this order.

    Args:
        value_range: The smallest and the largest value of images. Default: (0, 255).
        brightness_factor: As for `RandomBrightness`. Default: `None`, no change.
        contrast_factor: As for `RandomContrast`. Default: `None`.
        saturation_factor: As for `RandomSaturation`. Default: `None`.
        hue_factor: As for `RandomHue`. Default: `None`.
        seed: Integer seed. Default: random.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> jitter = hb.layers.RandomColorJitter((0, 1), brightness_factor=0.2, hue_factor=0.1)
        >>> jitter(hb.ops.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    casts_outside_training = False

    def __init__(
        self, value_range: Sequence[float] = (0, 255), brightness_factor: Factor | None = None,
        contrast_factor: Factor | None = None, saturation_factor: Factor | None = None,
        hue_factor: Factor | None = None, seed: int | None = None, data_format: str | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = checked_values("RandomColorJitter", value_range)
        self.brightness_factor, self.contrast_factor = brightness_factor, contrast_factor
        self.saturation_factor, self.hue_factor = saturation_factor, hue_factor
        self.keep_seed(seed)
        kinds = {
            "random_brightness": (RandomBrightness, brightness_factor),
            "random_contrast": (RandomContrast, contrast_factor),
            "random_saturation": (RandomSaturation, saturation_factor),
            "random_hue": (RandomHue, hue_factor),
        }
        self._steps = [name for name, (_, factor) in kinds.items() if factor is not None]
        for name in self._steps:
            kind, factor = kinds[name]
            layer = kind(
                factor, value_range=self.value_range, seed=seed, dtype=self.dtype_policy, name=name
            )
            setattr(self, name, layer)

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        return {name: getattr(self, name).draw(batch, height, width, seed) for name in self._steps}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        for name in self._steps:
            images = getattr(self, name).augment(images, transformation[name])
        return images
