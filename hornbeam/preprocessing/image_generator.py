"""`ImageDataGenerator`: random augmentation of images on the host, while they are read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hornbeam import settings
from hornbeam.preprocessing.image_iterators import (
    DataFrameIterator,
    DirectoryIterator,
    NumpyArrayIterator,
)
from hornbeam.preprocessing.image_transforms import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
)
from hornbeam.typing import FilePath

__all__ = ["ImageDataGenerator"]


class ImageDataGenerator:
    """Generator of batches of randomly augmented and normalized images, as in Keras 1 and 2.

    In new code, use layers like `layers.RandomFlip`, which run within the compiled step. All random
    numbers are drawn from NumPy's global generator in Keras 2's order, so the same seed gives the
    same images.

    Args:
        featurewise_center, featurewise_std_normalization: Whether to subtract the mean of the data,
            and to divide by its standard deviation. Both need `fit`.
        samplewise_center, samplewise_std_normalization: The same with each image's own statistics.
        zca_whitening: Whether to decorrelate pixels by ZCA whitening. Needs `fit`.
        zca_epsilon: Small number that is added to the singular values.
        rotation_range: Largest rotation in either direction, in degrees.
        width_shift_range, height_shift_range: Largest shift. A float is a fraction of the size if
            it is below 1, else a number of pixels. An integer `n` means whole pixels, fewer than
            `n`. A list gives the pixels to choose from, with a random sign. As in Keras 2 since
            2020, `width_shift_range` shifts images vertically and `height_shift_range`
            horizontally.
        brightness_range: Smallest and largest brightness factor.
        shear_range: Largest shear angle, in degrees.
        zoom_range: Smallest and largest zoom factor, or a number `z` for the range from `1 - z` to
            `1 + z`.
        channel_shift_range: Largest number that is added to or subtracted from all channels.
        fill_mode, cval: As in `apply_affine_transform`.
        horizontal_flip, vertical_flip: Whether to flip half of the images.
        rescale: Factor that multiplies all values after `preprocessing_function`.
        preprocessing_function: Function from an image to an image, applied after the random
            augmentation.
        data_format: `"channels_last"` or `"channels_first"` (in Keras 1 `"tf"` or `"th"`). Default:
            `config.image_data_format()`.
        validation_split: Fraction of the images to reserve for validation.
        interpolation_order: `order` of `apply_affine_transform`.
        dtype: Dtype of the batches. Default: `"float32"`.

    Raises:
        ValueError: If an argument has an invalid value.

    Example:
        >>> generator = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
        >>> batches = generator.flow(np.zeros((10, 8, 8, 3)), np.arange(10), batch_size=4)
        >>> [len(y) for _, (_, y) in zip(range(3), batches)]
        [4, 4, 2]
    """

    def __init__(
        self, featurewise_center: bool = False, samplewise_center: bool = False,
        featurewise_std_normalization: bool = False, samplewise_std_normalization: bool = False,
        zca_whitening: bool = False, zca_epsilon: float = 1e-6, rotation_range: float = 0,
        width_shift_range: Any = 0.0, height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None, shear_range: float = 0.0,
        zoom_range: float | Sequence[float] = 0.0, channel_shift_range: float = 0.0,
        fill_mode: str = "nearest", cval: float = 0.0, horizontal_flip: bool = False,
        vertical_flip: bool = False, rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
        data_format: str | None = None, validation_split: float = 0.0,
        interpolation_order: int = 1, dtype: Any = None,
    ) -> None:  # fmt: skip
        self.samplewise_center = samplewise_center or samplewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.featurewise_center = (
            featurewise_center or featurewise_std_normalization or zca_whitening
        )
        self.featurewise_std_normalization = featurewise_std_normalization and not zca_whitening
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self.rotation_range, self.shear_range = rotation_range, shear_range
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.channel_shift_range = channel_shift_range
        self.fill_mode, self.cval, self.interpolation_order = fill_mode, cval, interpolation_order
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self.dtype = dtype or "float32"
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(
                "ImageDataGenerator: `validation_split` must be between 0 and 1, received"
                f" {validation_split!r}."
            )
        self.validation_split = validation_split
        self.zoom_range = _zoom_range(zoom_range)
        if brightness_range is not None and not _is_pair(brightness_range):
            raise ValueError(
                "ImageDataGenerator: `brightness_range` must be two numbers, received"
                f" {brightness_range!r}."
            )
        self.brightness_range = brightness_range
        formats = {"tf": "channels_last", "th": "channels_first"}
        self.data_format = formats.get(str(data_format), data_format)
        self.data_format = self.data_format or settings.image_data_format()
        if self.data_format not in formats.values():
            raise ValueError(
                "ImageDataGenerator: `data_format` must be 'channels_last' or 'channels_first',"
                f" received {data_format!r}."
            )
        first = self.data_format == "channels_first"
        self.channel_axis, self.row_axis, self.col_axis = (1, 2, 3) if first else (3, 1, 2)
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.zca_whitening_matrix: np.ndarray | None = None
        self._said: set[str] = set()

    def flow(
        self, x: Any, y: Any = None, batch_size: int = 32, shuffle: bool = True,
        sample_weight: Any = None, seed: int | None = None, save_to_dir: FilePath | None = None,
        save_prefix: str = "", save_format: str = "png", ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> NumpyArrayIterator:  # fmt: skip
        """Return a `NumpyArrayIterator`, which yields batches of the images in an array."""
        return NumpyArrayIterator(
            x, y, self, batch_size=batch_size, shuffle=shuffle, sample_weight=sample_weight,
            seed=seed, data_format=self.data_format, save_to_dir=save_to_dir,
            save_prefix=save_prefix, save_format=save_format, subset=subset,
            ignore_class_split=ignore_class_split, dtype=self.dtype,
        )  # fmt: skip

    def flow_from_directory(
        self, directory: FilePath, target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb", classes: Any = None, class_mode: str | None = "categorical",
        batch_size: int = 32, shuffle: bool = True, seed: int | None = None,
        save_to_dir: FilePath | None = None, save_prefix: str = "", save_format: str = "png",
        follow_links: bool = False, subset: str | None = None, interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> DirectoryIterator:  # fmt: skip
        """Return a `DirectoryIterator`, which yields images from one folder per class."""
        return DirectoryIterator(
            directory, self, target_size=target_size, color_mode=color_mode, classes=classes,
            class_mode=class_mode, batch_size=batch_size, shuffle=shuffle, seed=seed,
            data_format=self.data_format, save_to_dir=save_to_dir, save_prefix=save_prefix,
            save_format=save_format, follow_links=follow_links, subset=subset,
            interpolation=interpolation, keep_aspect_ratio=keep_aspect_ratio, dtype=self.dtype,
        )  # fmt: skip

    def flow_from_dataframe(
        self, dataframe: Any, directory: FilePath | None = None, x_col: str = "filename",
        y_col: Any = "class", weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256), color_mode: str = "rgb", classes: Any = None,
        class_mode: str | None = "categorical", batch_size: int = 32, shuffle: bool = True,
        seed: int | None = None, save_to_dir: FilePath | None = None, save_prefix: str = "",
        save_format: str = "png", subset: str | None = None, interpolation: str = "nearest",
        validate_filenames: bool = True, **kwargs: Any,
    ) -> DataFrameIterator:  # fmt: skip
        """Return a `DataFrameIterator`, which yields batches of the images listed in a table.

        Of the arguments of older versions, `has_ext=False` raises an error, and `sort` and
        `drop_duplicates` have no effect, as in Keras 2.
        """
        if not kwargs.pop("has_ext", True):
            raise ValueError(
                "flow_from_dataframe: `has_ext=False` is not supported. Use file names with"
                " extensions in column `x_col`."
            )
        for name in ("has_ext", "sort", "drop_duplicates"):
            kwargs.pop(name, None)
        return DataFrameIterator(
            dataframe, directory, self, x_col=x_col, y_col=y_col, weight_col=weight_col,
            target_size=target_size, color_mode=color_mode, classes=classes,
            class_mode=class_mode, data_format=self.data_format, batch_size=batch_size,
            shuffle=shuffle, seed=seed, save_to_dir=save_to_dir, save_prefix=save_prefix,
            save_format=save_format, subset=subset, interpolation=interpolation,
            validate_filenames=validate_filenames, dtype=self.dtype, **kwargs,
        )  # fmt: skip

    def get_random_transform(
        self, img_shape: Sequence[int], seed: int | None = None
    ) -> dict[str, Any]:
        """Draw random parameters for `apply_transform`.

        Args:
            img_shape: Shape of the image.
            seed: Seed of NumPy's global generator.
        """
        if seed is not None:
            np.random.seed(seed)
        height, width = img_shape[self.row_axis - 1], img_shape[self.col_axis - 1]
        theta = np.random.uniform(-1, 1) * self.rotation_range if self.rotation_range else 0
        tx, ty = _shift(self.height_shift_range, height), _shift(self.width_shift_range, width)
        shear = np.random.uniform(-self.shear_range, self.shear_range) if self.shear_range else 0
        low, high = self.zoom_range
        zx, zy = (1, 1) if low == high == 1 else np.random.uniform(low, high, 2)
        flips = [
            (np.random.random() < 0.5) * flip for flip in (self.horizontal_flip, self.vertical_flip)
        ]
        span = self.channel_shift_range
        intensity = np.random.uniform(-span, span) if span else None
        brightness = None
        if self.brightness_range is not None:
            brightness = np.random.uniform(self.brightness_range[0], self.brightness_range[1])
        return {
            "theta": theta, "tx": tx, "ty": ty, "shear": shear, "zx": zx, "zy": zy,
            "flip_horizontal": flips[0], "flip_vertical": flips[1],
            "channel_shift_intensity": intensity, "brightness": brightness,
        }  # fmt: skip

    def apply_transform(self, x: np.ndarray, transform_parameters: dict[str, Any]) -> np.ndarray:
        """Apply a transformation to an image.

        Args:
            x: An image, an array of rank 3.
            transform_parameters: `theta`, `tx`, `ty`, `shear`, `zx` and `zy` as in
                `apply_affine_transform`; `channel_shift_intensity`, `flip_horizontal`,
                `flip_vertical` and `brightness`. All are optional.
        """
        given: Callable[..., Any] = transform_parameters.get
        row, column, channel = (a - 1 for a in (self.row_axis, self.col_axis, self.channel_axis))
        x = apply_affine_transform(
            x, given("theta", 0), given("tx", 0), given("ty", 0), given("shear", 0), given("zx", 1),
            given("zy", 1), row_axis=row, col_axis=column, channel_axis=channel,
            fill_mode=self.fill_mode, cval=self.cval, order=self.interpolation_order,
        )  # fmt: skip
        if given("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, given("channel_shift_intensity"), channel)
        for name, axis in (("flip_horizontal", column), ("flip_vertical", row)):
            x = np.flip(x, axis) if given(name, False) else x
        if given("brightness") is not None:
            last = np.moveaxis(x, channel, 2)
            last = apply_brightness_shift(last, given("brightness"), scale=False)
            x = np.moveaxis(last, 2, channel)
        return x

    def random_transform(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """Apply a random transformation to an image.

        Args:
            x: An image, an array of rank 3.
            seed: Seed of NumPy's global generator.
        """
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """Normalize an image or a batch as configured, possibly in place.

        Args:
            x: An array of floats.
        """
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + 1e-6
        if self.featurewise_center and self._has("mean", "featurewise_center"):
            x -= self.mean
        if self.featurewise_std_normalization and self._has("std", "featurewise_std_normalization"):
            assert self.std is not None
            x /= self.std + 1e-6
        if self.zca_whitening and self._has("zca_whitening_matrix", "zca_whitening"):
            assert self.zca_whitening_matrix is not None
            flat = x.reshape(-1, np.prod(x.shape[-3:]))
            x = (flat @ self.zca_whitening_matrix).reshape(x.shape)
        return x

    def _has(self, name: str, setting: str) -> bool:
        if getattr(self, name) is None and setting not in self._said:
            self._said.add(setting)
            warnings.warn(
                f"ImageDataGenerator: `{setting}` has no effect until the statistics are computed."
                " Call `fit` with the training images first.",
                stacklevel=3,
            )
        return getattr(self, name) is not None

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Compute the statistics that the `featurewise_` settings and `zca_whitening` need.

        Args:
            x: Images, an array of rank 4.
            augment: Whether to apply random transformations to the images first.
            rounds: Number of passes over the images with `augment`.
            seed: Seed of NumPy's global generator.

        Raises:
            ValueError: If `x` does not have rank 4.
        """
        x = np.asarray(x, dtype=self.dtype)
        if x.ndim != 4:
            raise ValueError(
                "ImageDataGenerator.fit: `x` must have rank 4 (images, height, width, channels),"
                f" received shape {x.shape}."
            )
        if x.shape[self.channel_axis] not in (1, 3, 4):
            warnings.warn(
                f"ImageDataGenerator.fit: `x` of shape {x.shape} has {x.shape[self.channel_axis]}"
                f" channels in data format {self.data_format!r}; expected 1, 3 or 4. Check"
                " `data_format`.",
                stacklevel=2,
            )
        if seed is not None:
            np.random.seed(seed)
        x = np.copy(x)
        if self.rescale:
            x *= self.rescale
        if augment:
            changed = [self.random_transform(image) for _ in range(rounds) for image in x]
            x = np.stack(changed).astype(self.dtype)
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = np.mean(x, axis=axes, keepdims=True)[0]
            x -= self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(x, axis=axes, keepdims=True)[0]
            x /= self.std + 1e-6
        if self.zca_whitening:
            flat = x.reshape(len(x), -1)
            u, s, _ = np.linalg.svd(flat.T, full_matrices=False)
            self.zca_whitening_matrix = (u * (np.sqrt(len(x)) / (s + self.zca_epsilon))) @ u.T


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2


def _zoom_range(zoom: Any) -> Sequence[float]:
    if isinstance(zoom, (int, float, np.number)):
        return [1 - zoom, 1 + zoom]
    if _is_pair(zoom) and all(isinstance(value, (int, float, np.number)) for value in zoom):
        return [zoom[0], zoom[1]]
    raise ValueError(
        f"ImageDataGenerator: `zoom_range` must be a number or two numbers, received {zoom!r}."
    )


def _shift(span: Any, size: int) -> Any:
    """Return a random shift in pixels, for a list of choices or a largest shift."""
    if not np.any(span):
        return 0
    if np.ndim(span) == 1 or isinstance(span, (int, np.integer)):  # an integer n means 0 to n - 1
        return np.random.choice(span) * np.random.choice([-1, 1])
    shift = np.random.uniform(-span, span)
    return shift * size if span < 1 else shift
