"""U-Nets: for segmentation, and for denoising diffusion, with the diffusion itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import random
from hornbeam.core.program import Program
from hornbeam.layers import (
    Activation,
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Embedding,
    GroupNormalization,
    Input,
    MaxPooling2D,
    MultiHeadAttention,
    Reshape,
    UpSampling2D,
)
from hornbeam.layers.arguments import keep
from hornbeam.models.functional import Functional
from hornbeam.models.model import Model
from hornbeam.typing import Shapes, Tensor

__all__ = ["Diffusion", "diffusion_unet", "unet"]


def _check_sides(title: str, shape: tuple[int, ...], depth: int) -> None:
    factor = 2 ** (depth - 1)
    if any(side is not None and side % factor for side in shape[:2]):
        raise ValueError(
            f"{title}: height and width must be multiples of {factor}, because `widths` has"
            f" {depth} numbers; received `input_shape` {tuple(shape)}."
        )


def unet(
    input_shape: tuple[int, ...] = (128, 128, 3),
    classes: int = 1,
    widths: Sequence[int] = (32, 64, 128, 256),
    activation: Any = "sigmoid",
    name: str = "unet",
) -> Functional:
    """Return a U-Net, which classifies each pixel (Ronneberger et al. 2015).

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of outputs for each pixel.
        widths: Number of filters at each size of the image, from the whole to the smallest.
        activation: Activation of the outputs.
        name: Name of the model.

    Raises:
        ValueError: If the image cannot be halved so often.

    Example:
        >>> unet((8, 8, 3), classes=2, widths=(4, 8)).output_shape
        (None, 8, 8, 2)
    """
    _check_sides("unet", input_shape, len(widths))
    x = image = Input(input_shape)
    seen = []
    for number, width in enumerate(widths):
        x = MaxPooling2D(2)(x) if number else x
        x = _convolved(x, width, f"down_{number}")
        seen.append(x)
    for number, width in reversed(list(enumerate(widths[:-1]))):
        x = Conv2DTranspose(width, 2, strides=2, name=f"up_{number}")(x)
        x = Concatenate()([seen[number], x])
        x = _convolved(x, width, f"merge_{number}")
    return Functional(image, Conv2D(classes, 1, activation=activation, name="pixels")(x), name=name)


def _convolved(x: Tensor, width: int, name: str) -> Tensor:
    for part in ("a", "b"):
        x = Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_{part}")(x)
        x = BatchNormalization(name=f"{name}_{part}_norm")(x)
        x = Activation("relu")(x)
    return x


def diffusion_unet(
    input_shape: tuple[int, ...] = (32, 32, 3),
    widths: Sequence[int] = (32, 64, 96),
    steps: int = 1000,
    heads: int = 2,
    name: str = "diffusion_unet",
) -> Functional:
    """Return a U-Net that predicts the noise in an image (Ho et al. 2020).

    Its inputs are images and the number of each image's step of diffusion, (B,).

    Args:
        input_shape: Height, width and channels of the images.
        widths: Number of filters at each size of the image; multiples of 4 and of `heads`.
        steps: Number of steps of the diffusion.
        heads: Number of heads of the attention at the smallest size.
        name: Name of the model.

    Raises:
        ValueError: If the image cannot be halved so often.

    Example:
        >>> diffusion_unet((8, 8, 1), widths=(4, 8), steps=10).output_shape
        (None, 8, 8, 1)
    """
    _check_sides("diffusion_unet", input_shape, len(widths))
    image, step = Input(input_shape, name="image"), Input((), dtype="int32", name="step")
    time = Embedding(steps, 4 * widths[0], name="time")(step)
    time = Dense(4 * widths[0], activation="silu", name="time_dense")(time)
    x = Conv2D(widths[0], 3, padding="same", name="start")(image)
    seen = []
    for number, width in enumerate(widths):
        if number:
            x = Conv2D(width, 3, strides=2, padding="same", name=f"shrink_{number}")(x)
        x = _residual(x, time, width, f"down_{number}")
        seen.append(x)
    normal = GroupNormalization(4, name="attention_norm")(x)
    attention = MultiHeadAttention(
        heads, widths[-1] // heads, attention_axes=(1, 2), name="attention"
    )
    x = Add()([x, attention(normal, normal)])
    for number, width in reversed(list(enumerate(widths))):
        x = Concatenate()([x, seen[number]])
        x = _residual(x, time, width, f"up_{number}")
        x = UpSampling2D(2)(x) if number else x
    x = Activation("silu")(GroupNormalization(4, name="end_norm")(x))
    x = Conv2D(input_shape[-1], 3, padding="same", kernel_initializer="zeros", name="noise")(x)
    return Functional({"image": image, "step": step}, x, name=name)


def _residual(x: Tensor, time: Tensor, width: int, name: str) -> Tensor:
    """Return `x` plus two convolutions, between which the step of the diffusion is added."""
    new = Activation("silu")(GroupNormalization(4, name=f"{name}_norm_a")(x))
    new = Conv2D(width, 3, padding="same", name=f"{name}_a")(new)
    shift = Reshape((1, 1, width))(Dense(width, name=f"{name}_time")(time))
    new = Add()([new, shift])
    new = Activation("silu")(GroupNormalization(4, name=f"{name}_norm_b")(new))
    new = Conv2D(width, 3, padding="same", name=f"{name}_b")(new)
    if x.shape[-1] != width:
        x = Conv2D(width, 1, name=f"{name}_shortcut")(x)
    return Add()([x, new])


class Diffusion(Model):
    """Denoising diffusion (Ho et al. 2020): learns from images, and samples new ones.

    `compile` it with an optimizer only, and `fit` it on images with values from -1 to 1. In
    training, noise is added to images, and the network learns to predict it. A call returns the
    predicted noise.

    Args:
        input_shape: Height, width and channels of the images.
        widths: As for `diffusion_unet`.
        steps: Number of steps, over which the variance of the noise rises linearly.
        **kwargs: Arguments of `Model`.

    Example:
        >>> model = Diffusion((4, 4, 1), widths=(4,), steps=5)
        >>> model.sample(2, seed=0).shape
        (2, 4, 4, 1)
    """

    widths: tuple[int, ...]
    steps: int

    def __init__(
        self,
        input_shape: tuple[int, ...] = (32, 32, 3),
        widths: Sequence[int] = (32, 64, 96),
        steps: int = 1000,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(input_shape)
        keep(self, {"widths": tuple(widths), "steps": steps})
        self.network = diffusion_unet(input_shape, widths, steps, name="network")
        self.seed_generator = random.SeedGenerator()
        self._variances = np.linspace(1e-4, 0.02, steps, dtype="float32") * min(1000 / steps, 40)
        self._kept = np.cumprod(1 - self._variances).astype("float32")
        self._denoise: Program | None = None

    def build(self, input_shape: Shapes = None) -> None:
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        count = inputs.shape[0]
        step = random.randint((count,), 0, self.steps, seed=self.seed_generator)
        noise = random.normal(inputs.shape, seed=self.seed_generator)
        kept = jnp.asarray(self._kept)[step][:, None, None, None]
        noisy = jnp.sqrt(kept) * inputs + jnp.sqrt(1 - kept) * noise
        predicted = self.network({"image": noisy, "step": step}, training=training)
        self.add_loss(jnp.mean(jnp.square(predicted - noise)))
        return predicted

    def sample(self, count: int, seed: int | None = None) -> np.ndarray:
        """Return new images, from noise that the network removes step by step.

        Args:
            count: Number of images.
            seed: Seed of the noise.
        """
        if self._denoise is None:
            self._denoise = Program(self._all_steps, read=self.network.variables, donate=False)
        key = jax.random.key(np.random.default_rng(seed).integers(2**31))
        start, key = jax.random.split(key)
        x = jax.random.normal(start, (count, *self.image_shape))
        return np.asarray(self._denoise(x, key))

    def _all_steps(self, x: Tensor, key: Tensor) -> Tensor:
        variances, kept = jnp.asarray(self._variances), jnp.asarray(self._kept)

        def body(number: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            x, key = state
            step = self.steps - 1 - number
            key, own = jax.random.split(key)
            times = jnp.full((x.shape[0],), step, "int32")
            noise = self.network({"image": x, "step": times}, training=False)
            variance = variances[step]
            x = (x - variance / jnp.sqrt(1 - kept[step]) * noise) / jnp.sqrt(1 - variance)
            new = jnp.sqrt(variance) * jax.random.normal(own, x.shape)
            return x + jnp.where(step > 0, new, 0.0), key

        return jax.lax.fori_loop(0, self.steps, body, (x, key))[0]
