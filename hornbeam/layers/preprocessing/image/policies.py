"""Layers that apply a random choice of other layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import random
from hornbeam.core.checks import check_choice
from hornbeam.core.random import draw_key
from hornbeam.layers.preprocessing.image.base import (
    BaseImagePreprocessingLayer,
    checked_range,
    checked_values,
)
from hornbeam.layers.preprocessing.image.color import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomContrast,
    RandomPosterization,
    RandomSharpness,
    Solarization,
)
from hornbeam.layers.preprocessing.image.geometry import (
    RandomRotation,
    RandomShear,
    RandomTranslation,
)
from hornbeam.layers.preprocessing.image.histogram import AutoContrast, Equalization
from hornbeam.typing import Tensor

__all__ = ["AugMix", "RandAugment"]

Factor = float | Sequence[float]


class _Policy(BaseImagePreprocessingLayer):
    """Base of layers that apply some of eleven layers, chosen at random for the whole batch."""

    moves = True

    def __init__(
        self, value_range: Sequence[float], factor: Factor, interpolation: str, seed: int | None,
        colors: bool, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.value_range = checked_values(owner, value_range)
        self.factor = checked_range(owner, "factor", factor, (0, 1), strict=True)
        check_choice(owner, "interpolation", interpolation, ("nearest", "bilinear"))
        self.interpolation = interpolation
        self.keep_seed(seed)
        limits, moving = self.factor, {"interpolation": interpolation}
        values = {"value_range": self.value_range}
        bits = max(int(8 * limits[1]), 1)
        made: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
            "random_shear": (RandomShear, (limits, limits), moving),
            "random_translation": (RandomTranslation, (limits, limits), moving),
            "random_rotation": (RandomRotation, (limits,), moving),
            "random_brightness": (RandomBrightness, (limits,), values),
            "random_color_degeneration": (RandomColorDegeneration, (limits,), values),
            "random_contrast": (RandomContrast, (limits,), values),
            "random_sharpness": (RandomSharpness, (limits,), values),
            "random_posterization": (RandomPosterization, (bits,), values),
            "solarization": (Solarization, (limits, limits), values),
            "auto_contrast": (AutoContrast, (), values),
            "equalization": (Equalization, (), values),
        }
        only_colors = (
            "random_brightness", "random_color_degeneration", "random_contrast", "random_sharpness",
        )  # fmt: skip
        self._names = [name for name in made if colors or name not in only_colors]
        common = {"data_format": self.data_format, "dtype": self.dtype_policy}
        for name in self._names:
            kind, arguments, options = made[name]
            setattr(self, name, kind(*arguments, **options, **common, name=name))

    def _parameters(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        """Draw the parameters of all layers."""
        return {name: getattr(self, name).draw(batch, height, width, seed) for name in self._names}

    def _apply(self, method: str, x: Tensor, number: Tensor, transformation: Any) -> Tensor:
        """Apply the layer of a number by its method `augment`, `augment_masks` or `move_boxes`."""

        def branch(name: str) -> Any:
            layer = getattr(self, name)
            shape = {"input_shape": transformation["input_shape"]}
            drawn = {**transformation["transforms"][name], **shape}
            if method != "augment" and not layer.moves:
                return lambda y: y
            return lambda y: getattr(layer, method)(y, drawn).astype(y.dtype)

        return jax.lax.switch(number, [branch(name) for name in self._names], x)


class RandAugment(_Policy):
    """Applies some layers in training, chosen at random for each batch.

    The choices are shear, translation, rotation, brightness, color degeneration, contrast,
    sharpness, posterization, solarization, `AutoContrast` and `Equalization`; the same one may be
    chosen again. The parameters are drawn for each image.

    Args:
        value_range: The smallest and the largest value of images. Default: (0, 255).
        num_ops: Number of layers to apply. Default: 2.
        factor: Range of the strength of all layers: two numbers from 0 to 1, or one number f for
            the range from 0 to f. Default: 0.5.
        interpolation: `"bilinear"` or `"nearest"`. Default: `"bilinear"`.
        seed: Integer seed. Default: random.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W), with 1 or 3 channels; results have the compute dtype. Outside training, the output is
    the input.

    Raises:
        ValueError: If an argument is out of range.

    Source: Cubuk et al. 2020, RandAugment: practical automated data augmentation with a reduced
    search space.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.RandAugment()(hb.ops.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    def __init__(
        self, value_range: Sequence[float] = (0, 255), num_ops: int = 2, factor: Factor = 0.5,
        interpolation: str = "bilinear", seed: int | None = None, data_format: str | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            value_range, factor, interpolation, seed, True, data_format=data_format, **kwargs
        )
        if isinstance(num_ops, bool) or not isinstance(num_ops, int) or num_ops < 0:
            raise ValueError(
                f"RandAugment: `num_ops` must be an integer of at least 0, received {num_ops!r}."
            )
        self.num_ops = num_ops

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        return {
            "layer_idxes": random.randint((self.num_ops,), 0, len(self._names), seed=seed),
            "transforms": self._parameters(batch, height, width, seed),
        }

    def _all(self, method: str, x: Tensor, transformation: Any) -> Tensor:
        for step in range(self.num_ops):
            x = self._apply(method, x, transformation["layer_idxes"][step], transformation)
        return x

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        return self._all("augment", images, transformation)

    def augment_masks(self, masks: Tensor, transformation: Any) -> Tensor:
        return self._all("augment_masks", masks, transformation)

    def move_boxes(self, boxes: Tensor, transformation: Any) -> Tensor:
        return self._all("move_boxes", boxes, transformation)


class AugMix(_Policy):
    """Mixes each image with several augmented versions of it in training.

    A version comes from a chain of random layers, as in `RandAugment`; each chain has its own
    number of layers. Boxes and masks do not change.

    Args:
        value_range: The smallest and the largest value of images. Default: (0, 255).
        num_chains: Number of versions. Default: 3.
        chain_depth: Largest number of layers of a chain. Default: 3.
        factor: Range of the strength of all layers: two numbers from 0 to 1, or one number f for
            the range from 0 to f. Default: 0.3.
        alpha: Parameter of the distributions of the weights of versions (Dirichlet) and of the
            image (beta). Default: 1.
        all_ops: Whether to use brightness, color degeneration, contrast and sharpness too. Default:
            True.
        interpolation: `"bilinear"` or `"nearest"`. Default: `"bilinear"`.
        seed: Integer seed. Default: random.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W), with 1 or 3 channels; results have the compute dtype. Outside training, the output is
    the input.

    Raises:
        ValueError: If an argument is out of range.

    Source: Hendrycks et al. 2020, AugMix: a simple data processing method to improve robustness and
    uncertainty.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.AugMix()(hb.ops.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    moves = False

    def __init__(
        self, value_range: Sequence[float] = (0, 255), num_chains: int = 3, chain_depth: int = 3,
        factor: Factor = 0.3, alpha: float = 1.0, all_ops: bool = True,
        interpolation: str = "bilinear", seed: int | None = None, data_format: str | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            value_range, factor, interpolation, seed, all_ops, data_format=data_format, **kwargs
        )
        for name, value, kind in (
            ("num_chains", num_chains, int), ("chain_depth", chain_depth, int),
            ("alpha", alpha, (int, float)),
        ):  # fmt: skip
            if isinstance(value, bool) or not isinstance(value, kind) or value <= 0:
                raise ValueError(f"AugMix: `{name}` must be a positive number, received {value!r}.")
        self.num_chains, self.chain_depth = num_chains, chain_depth
        self.alpha, self.all_ops = alpha, all_ops

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        chains = (self.num_chains, self.chain_depth)
        return {
            "chain_mixing_weights": jax.random.dirichlet(
                draw_key(seed), jnp.full(self.num_chains, self.alpha, "float32")
            ),
            "weight_sample": random.beta((), self.alpha, self.alpha, seed=seed),
            "depths": random.randint((self.num_chains,), 1, self.chain_depth + 1, seed=seed),
            "layer_idxes": random.randint(chains, 0, len(self._names), seed=seed),
            "transforms": [
                [self._parameters(batch, height, width, seed) for _ in range(self.chain_depth)]
                for _ in range(self.num_chains)
            ],
        }

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        mixed = jnp.zeros_like(images)
        for chain in range(self.num_chains):
            version = images
            for step in range(self.chain_depth):
                drawn = {**transformation, "transforms": transformation["transforms"][chain][step]}
                number = transformation["layer_idxes"][chain, step]
                version = jax.lax.cond(
                    step < transformation["depths"][chain],
                    lambda x, n=number, t=drawn: self._apply("augment", x, n, t),
                    lambda x: x,
                    version,
                )
            weight = transformation["chain_mixing_weights"][chain]
            mixed = mixed + weight.astype(images.dtype) * version
        share = transformation["weight_sample"].astype(images.dtype)
        return share * images + (1 - share) * mixed
