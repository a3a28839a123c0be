"""The base class of layers that change images: what a call does with images, labels and boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam import random
from hornbeam.core.random import SeedGenerator, global_seed_generator
from hornbeam.core.tracing import shape_with_unknowns
from hornbeam.layers.layer import Layer
from hornbeam.layers.preprocessing.image.boxes import BOX_FORMATS, clipped, from_corners, to_corners
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Structure, Tensor

__all__ = [
    "BaseImagePreprocessingLayer",
    "checked_range",
    "checked_values",
    "per_image",
    "rescaled",
]

Range = tuple[float, float]


class BaseImagePreprocessingLayer(Layer):
    """Base of layers that change images, and with them labels, bounding boxes and masks.

    A subclass implements `draw`, which returns random parameters for a batch, and `augment`, the
    formula. If it moves pixels, it sets `moves = True` and implements `move_boxes` too. The base
    class does the rest: single images, data formats, dtypes, and the parts of a dictionary.

    Args:
        bounding_box_format: How boxes are written, such as `"xyxy"`. Default: `None`, which allows
            no boxes.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        **kwargs: Arguments of `Layer`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); or a dictionary with `"images"` and any of `"labels"`, `"bounding_boxes"` (a
    dictionary with `"boxes"` (B, N, 4) and `"labels"` (B, N)) and `"segmentation_masks"` (B, H, W,
    1). Other keys pass through.

    Raises:
        ValueError: If `bounding_box_format` or `data_format` is unknown, or in the call, if the
            images do not have 3 or 4 axes, or there are boxes without `bounding_box_format`.

    Example:
        >>> import hornbeam as hb
        >>> class Fade(BaseImagePreprocessingLayer):
        ...     def __init__(self, seed=None, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.keep_seed(seed)
        ...     def draw(self, batch, height, width, seed):
        ...         return {"share": hb.random.uniform((batch, 1, 1, 1), seed=seed)}
        ...     def augment(self, images, transformation):
        ...         return images * transformation["share"]
        >>> Fade()(hb.ops.ones((2, 4, 4, 3)), training=True).shape
        (2, 4, 4, 3)
    """

    # Whether the layer draws random numbers, and whether it changes images only in training.
    draws, only_in_training = True, True
    # Whether the layer moves pixels, so that boxes and masks change too.
    moves = False
    # Whether results have the compute dtype, in training and outside of it.
    casts, casts_outside_training = True, True

    factor: Any

    def __init__(
        self, bounding_box_format: str | None = None, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        if bounding_box_format is not None and bounding_box_format not in BOX_FORMATS:
            raise ValueError(
                f"{type(self).__name__}: `bounding_box_format` must be one of"
                f" {', '.join(BOX_FORMATS)}, received {bounding_box_format!r}."
            )
        self.bounding_box_format = bounding_box_format
        self.data_format = standardize_data_format(data_format)
        self.generator: SeedGenerator | None = None

    def keep_seed(self, seed: int | None) -> None:
        """Keep `seed` and make the generator of the layer's draws from it."""
        self.seed = seed
        # A layer made anew in each call of another would draw the same numbers each time.
        is_late = self._late_maker is not None
        self.generator = global_seed_generator() if is_late else SeedGenerator(seed)

    # --- what a subclass implements -------------------------------------------------------------

    def draw(self, batch: int, height: int, width: int, seed: Any) -> dict[str, Any]:
        """Return random parameters for a batch of images, by name.

        Args:
            batch: Number of images.
            height: Their height.
            width: Their width.
            seed: Seed of the draws, as the functions of `hornbeam.random` take it.
        """
        return {}

    def draw_noise(self, shape: tuple[int, ...], seed: Any) -> dict[str, Any]:
        """Return random parameters for each value of a batch of images, by name.

        Args:
            shape: Shape of the batch, (B, H, W, C).
            seed: As for `draw`.
        """
        return {}

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        """Return the changed images.

        Args:
            images: (B, H, W, C), in the compute dtype.
            transformation: The result of `get_random_transformation`.
        """
        return images

    def augment_masks(self, masks: Tensor, transformation: Any) -> Tensor:
        """Return the changed masks, if the layer moves pixels; see `augment`."""
        return self.augment(masks, transformation)

    def move_boxes(self, boxes: Tensor, transformation: Any) -> Tensor:
        """Return boxes (B, N, 4), as the left, top, right and bottom edges in pixels."""
        return boxes

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the results."""
        return height, width

    # --- the public interface of Keras ----------------------------------------------------------

    def get_random_transformation(
        self, data: Structure, training: bool | None = True, seed: Any = None
    ) -> Any:
        """Draw the random parameters for a batch, one for each image.

        Args:
            data: Images, or a dictionary as for the call.
            training: Whether this is training. Otherwise the result is `None`.
            seed: A seed or generator. Default: the layer's generator.
        """
        images = data["images"] if isinstance(data, Mapping) else data
        if self.only_in_training and not training:
            return None
        if isinstance(seed, int):
            seed = SeedGenerator(seed)  # several draws must differ
        seed = self.generator if seed is None else seed
        batch, height, width = self._sizes(images.shape)
        channels = images.shape[-3 if self.data_format == "channels_first" else -1]
        drawn = self.draw(batch, height, width, seed)
        noise = self.draw_noise((batch, height, width, channels), seed)
        return {**drawn, **noise, "input_shape": tuple(images.shape)}

    def transform_images(
        self, images: Tensor, transformation: Any = None, training: bool | None = True
    ) -> Tensor:
        """Change images by a result of `get_random_transformation`."""
        images = jnp.asarray(images)
        if self._is_idle(transformation, training):
            casts = self.casts and self.casts_outside_training
            return images.astype(self.compute_dtype) if casts else images
        x, back = self._as_batch(images)
        x = x.astype(self.compute_dtype) if self.casts else x
        return back(self.augment(x, transformation))

    def transform_labels(
        self, labels: Tensor, transformation: Any, training: bool | None = True
    ) -> Tensor:
        """Return labels for the changed images. Most layers do not change them."""
        return labels

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Any, training: bool | None = True
    ) -> Tensor:
        """Move the pixels of masks as those of the images, without mixing neighbors."""
        if not self.moves or self._is_idle(transformation, training):
            return segmentation_masks
        masks, back = self._as_batch(jnp.asarray(segmentation_masks))
        return back(self.augment_masks(masks, transformation).astype(masks.dtype))

    def transform_bounding_boxes(
        self, bounding_boxes: dict[str, Tensor], transformation: Any, training: bool | None = True
    ) -> dict[str, Tensor]:
        """Move boxes as the pixels, and clip them to the image.

        A box outside of the image gets the label -1.

        Args:
            bounding_boxes: `"boxes"` (B, N, 4) in the layer's `bounding_box_format` and `"labels"`
                (B, N).
            transformation: The result of `get_random_transformation`.
            training: Whether this is training.
        """
        if not self.moves or self._is_idle(transformation, training):
            return bounding_boxes
        _, *size = self._sizes(transformation["input_shape"])
        boxes = jnp.asarray(bounding_boxes["boxes"], "float32")
        single = boxes.ndim == 2
        corners = to_corners(boxes[None] if single else boxes, self.bounding_box_format, *size)
        moved, visible = clipped(self.move_boxes(corners, transformation), *self.size_after(*size))
        moved = from_corners(moved, self.bounding_box_format, *self.size_after(*size))
        moved, visible = (moved[0], visible[0]) if single else (moved, visible)
        labels = jnp.asarray(bounding_boxes["labels"])
        labels = jnp.where(visible, labels, jnp.asarray(-1, labels.dtype))
        return {**bounding_boxes, "boxes": moved, "labels": labels}

    def call(self, data: Structure, training: bool | None = True) -> Structure:
        """Change images, and with them the other parts of a dictionary."""
        transformation = self.get_random_transformation(data, training=training)
        if not isinstance(data, Mapping):
            return self.transform_images(data, transformation, training=training)
        if "bounding_boxes" in data and self.bounding_box_format is None:
            raise ValueError(
                f"{self._label()}: the input has 'bounding_boxes', but `bounding_box_format` is"
                f" None. Pass it to the constructor, such as {type(self).__name__}(...,"
                " bounding_box_format='xyxy')."
            )
        parts: dict[str, Callable[..., Any]] = {
            "images": self.transform_images,
            "labels": self.transform_labels,
            "bounding_boxes": self.transform_bounding_boxes,
            "segmentation_masks": self.transform_segmentation_masks,
        }
        return {
            key: parts[key](part, transformation, training=training) if key in parts else part
            for key, part in data.items()
        }

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.bounding_box_format is None:
            config.pop("bounding_box_format", None)
        return config

    def _is_idle(self, transformation: Any, training: bool | None) -> bool:
        """Return whether the layer does nothing in this call."""
        return (self.only_in_training and not training) or (self.draws and transformation is None)

    # --- helpers --------------------------------------------------------------------------------

    def _sizes(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Return the number of images, their height and their width."""
        if len(shape) not in (3, 4):
            raise ValueError(
                f"{self._label()}: expected images with 3 axes or a batch of images with 4 axes,"
                f" received shape {shape_with_unknowns(shape)}."
            )
        places = slice(-2, None) if self.data_format == "channels_first" else slice(-3, -1)
        height, width = shape[places]
        return (shape[0] if len(shape) == 4 else 1), height, width

    def _as_batch(self, images: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return images as (B, H, W, C), and a function that restores their layout."""
        self._sizes(images.shape)
        first, single = self.data_format == "channels_first", images.ndim == 3
        x = images[None] if single else images
        x = jnp.moveaxis(x, 1, -1) if first else x

        def back(y: Tensor) -> Tensor:
            y = jnp.moveaxis(y, -1, 1) if first else y
            return y[0] if single else y

        return x, back

    def uniform(self, shape: tuple[int, ...], limits: Range, seed: Any) -> Tensor:
        """Draw numbers between two limits."""
        return random.uniform(shape, limits[0], limits[1], "float32", seed)

    def chosen(self, batch: int, seed: Any) -> Tensor:
        """Choose images, booleans (batch,), with a probability drawn from the layer's `factor`."""
        probability = self.uniform((batch,), self.factor, seed)
        return self.uniform((batch,), (0, 1), seed) < probability


def rescaled(images: Tensor, old: Sequence[float], new: Sequence[float]) -> Tensor:
    """Return values moved from one range to another.

    Example:
        >>> rescaled(jnp.array([0.0, 128.0]), (0, 255), (0, 510)).tolist()
        [0.0, 256.0]
    """
    if tuple(old) == tuple(new):
        return images
    return (images - old[0]) / (old[1] - old[0]) * (new[1] - new[0]) + new[0]


def per_image(values: Any, axes: int = 4) -> Any:
    """Return parameters (B,) or (B, 1, ...) with `axes` axes, to broadcast against images."""
    values = jnp.asarray(values)
    return values.reshape((-1,) + (1,) * (axes - 1))


def checked_values(owner: str, value_range: Any) -> list[float]:
    """Return `value_range`, the smallest and the largest value of images.

    Raises:
        ValueError: If it is not two different numbers.

    Example:
        >>> checked_values("RandomBrightness", (0, 255))
        [0, 255]
    """
    pair = list(value_range) if isinstance(value_range, (list, tuple)) else []
    if len(pair) != 2 or not all(isinstance(v, (int, float)) for v in pair) or pair[0] == pair[1]:
        raise ValueError(
            f"{owner}: `value_range` must be two different numbers, the smallest and the largest"
            f" value of the images, received {value_range!r}."
        )
    return sorted(pair)


def checked_range(
    owner: str, name: str, value: Any, bounds: Range, symmetric: bool = False, strict: bool = False
) -> Range:
    """Return a factor, a number or two numbers, as the limits of its draws.

    A number stands for the range from the lower bound to it, at least from 0 or, if `bounds`
    include negative numbers, from minus the number.

    Args:
        owner: Class for the message.
        name: Argument for the message.
        value: What the user gave.
        bounds: Smallest and largest number.
        symmetric: Whether a number stands for the range from minus the number to it, whatever the
            bounds.
        strict: Whether both of two numbers must be within the bounds; otherwise some number
            between them must be.

    Raises:
        ValueError: If it is something else.

    Example:
        >>> checked_range("RandomRotation", "factor", 0.2, (-1, 1))
        (-0.2, 0.2)
    """
    pair = list(value) if isinstance(value, (list, tuple)) else [value, value]
    fine = len(pair) == 2 and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) for v in pair
    )
    if fine:
        low, high = sorted(pair)
        lone = strict or not isinstance(value, (list, tuple))
        inside = bounds[0] <= low and high <= bounds[1]
        fine = inside if lone else low <= bounds[1] and high >= bounds[0]
    if not fine:
        raise ValueError(
            f"{owner}: `{name}` must be a number, or two numbers, from {bounds[0]} to {bounds[1]},"
            f" received {value!r}."
        )
    if isinstance(value, (list, tuple)):
        return low, high
    if symmetric or bounds[0] < 0:
        return -abs(value), abs(value)
    return bounds[0], value
