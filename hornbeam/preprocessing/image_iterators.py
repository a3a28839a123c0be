"""Iterators of `ImageDataGenerator` over images in arrays, folders and tables."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from collections.abc import Iterator as AnyIterator
from typing import Any

import numpy as np

from hornbeam import settings
from hornbeam.data import PyDataset
from hornbeam.typing import FilePath
from hornbeam.utils.images import array_to_img, img_to_array, load_img
from hornbeam.utils.pixels import CHANNELS

__all__ = ["DataFrameIterator", "DirectoryIterator", "Iterator", "NumpyArrayIterator"]

ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff")


class Iterator(PyDataset):
    """Base class of iterators over images.

    It is a data set for `fit`, and an endless iterator for loops. All random numbers are drawn from
    NumPy's global generator, as in Keras 2. If `seed` is given, that generator is seeded again
    before each batch.

    Args:
        n: Number of images.
        batch_size: Number of images per batch.
        shuffle: Whether each pass has a different order.
        seed: Seed of the order and of the random transformations.
    """

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None) -> None:
        super().__init__()
        self.n, self.batch_size, self.shuffle, self.seed = n, batch_size, shuffle, seed
        self.batch_index = self.total_batches_seen = 0
        self.index_array: np.ndarray | None = None
        self.index_generator = self._flow_index()
        self.lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        del state["lock"], state["index_generator"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock, self.index_generator = threading.Lock(), self._flow_index()

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return -(-self.n // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        """Return batch `index` of the current pass."""
        if not 0 <= index < len(self):
            raise ValueError(
                f"{type(self).__name__}: there is no batch {index}; expected an index from 0 to"
                f" {len(self) - 1}."
            )
        with self.lock:
            self._start_batch()
            if self.index_array is None:
                self._set_index_array()
            assert self.index_array is not None
            rows = self.index_array[self.batch_size * index : self.batch_size * (index + 1)]
        return self._get_batches_of_transformed_samples(rows)

    def __iter__(self) -> AnyIterator[Any]:
        return self

    def __next__(self) -> Any:
        with self.lock:
            rows = next(self.index_generator)
        return self._get_batches_of_transformed_samples(rows)

    def next(self) -> Any:
        """Return the next batch. After the last batch, a new pass starts."""
        return next(self)

    def reset(self) -> None:
        """Start a new pass at the next batch."""
        self.batch_index = 0

    def on_epoch_end(self) -> None:
        """Draw the order of the next pass."""
        self._set_index_array()

    def _start_batch(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _flow_index(self) -> AnyIterator[np.ndarray]:
        """Yield the image indices of each batch, endlessly."""
        self.reset()
        while True:
            self._start_batch()
            if self.batch_index == 0:
                self._set_index_array()
            assert self.index_array is not None
            if not self.n:
                folder = getattr(self, "directory", None)
                where = f" in the folders of '{folder}' that were asked for" if folder else ""
                raise ValueError(
                    f"{type(self).__name__}: there are no images{where}; expected at least one."
                )
            first = (self.batch_index * self.batch_size) % self.n
            self.batch_index = self.batch_index + 1 if first + self.batch_size < self.n else 0
            yield self.index_array[first : first + self.batch_size]

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} must implement `_get_batches_of_transformed_samples`."
        )


def _check_color_mode(function: str, color_mode: str) -> None:
    if color_mode not in CHANNELS:
        raise ValueError(
            f"{function}: `color_mode` must be 'rgb', 'rgba' or 'grayscale', received"
            f" {color_mode!r}."
        )


def _check_saving(function: str, folder: FilePath | None) -> None:
    if folder is not None and not os.path.isdir(folder):
        raise FileNotFoundError(
            f"{function}: `save_to_dir` must be an existing folder, received '{folder}'. Create it"
            " first."
        )


class NumpyArrayIterator(Iterator):
    """Iterator over batches of the images in an array, made by `ImageDataGenerator.flow`.

    Args:
        x: Images, an array of rank 4; or a pair of this array and further inputs of the model.
        y: Targets, one per image.
        image_data_generator: The generator that augments the images.
        batch_size, shuffle, seed: As in `Iterator`.
        sample_weight: Weights, one per image.
        data_format: `"channels_last"` or `"channels_first"`.
        save_to_dir: Folder in which to save the augmented images for inspection.
        save_prefix, save_format: Prefix and extension of the names of the saved files.
        subset: `"training"` or `"validation"`, as split by the generator's `validation_split`.
        ignore_class_split: Whether the two subsets may have different classes.
        dtype: Dtype of the batches. Default: the dtype of the generator.

    Raises:
        ValueError: If the arrays have different lengths, or `x` does not have rank 4.
    """

    def __init__(
        self, x: Any, y: Any, image_data_generator: Any, batch_size: int = 32,
        shuffle: bool = False, sample_weight: Any = None, seed: int | None = None,
        data_format: str | None = None, save_to_dir: FilePath | None = None, save_prefix: str = "",
        save_format: str = "png", subset: str | None = None, ignore_class_split: bool = False,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        self.dtype = dtype or image_data_generator.dtype
        _check_saving("flow", save_to_dir)
        x, misc = x if isinstance(x, (tuple, list)) and len(x) == 2 else (x, [])
        misc = misc if isinstance(misc, list) else [misc]
        arrays = {"y": y, "sample_weight": sample_weight}
        arrays |= {f"input {n}": other for n, other in enumerate(misc, 1)}
        arrays = {name: np.asarray(a) for name, a in arrays.items() if a is not None}
        x = np.asarray(x, dtype=self.dtype)
        for name, array in arrays.items():
            if len(array) != len(x):
                raise ValueError(
                    f"flow: `x` and `{name}` must have the same length, received {len(x)} and"
                    f" {len(array)}."
                )
        if x.ndim != 4:
            raise ValueError(
                "flow: `x` must have rank 4 (images, height, width, channels), received shape"
                f" {x.shape}."
            )
        part = _part(len(x), image_data_generator, subset)
        if subset and "y" in arrays and not ignore_class_split:
            chosen = np.zeros(len(x), bool)
            chosen[part] = True
            ours, others = (np.unique(arrays["y"][rows]) for rows in (chosen, ~chosen))
            if not np.array_equal(ours, others):
                raise ValueError(
                    "flow: the training and the validation subset have different classes. Shuffle"
                    " the arrays first, or pass `ignore_class_split=True`."
                )
        arrays = {name: array[part] for name, array in arrays.items()}
        self.x, self.y = x[part], arrays.pop("y", None)
        self.sample_weight = arrays.pop("sample_weight", None)
        self.x_misc = list(arrays.values())
        self.image_data_generator = image_data_generator
        self.data_format = data_format or settings.image_data_format()
        axis = -1 if self.data_format == "channels_last" else 1
        if x.shape[axis] not in (1, 3, 4):
            warnings.warn(
                f"flow: `x` of shape {x.shape} has {x.shape[axis]} channels in data format"
                f" {self.data_format!r}; expected 1, 3 or 4. Check `data_format`.",
                stacklevel=3,
            )
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        generator = self.image_data_generator
        batch = np.zeros((len(index_array), *self.x.shape[1:]), dtype=self.dtype)
        for place, row in enumerate(index_array):
            image = self.x[row]
            change = generator.get_random_transform(image.shape)
            image = generator.apply_transform(image.astype(self.dtype), change)
            batch[place] = generator.standardize(image)
        _save(self, batch, index_array)
        x = [batch, *(other[index_array] for other in self.x_misc)] if self.x_misc else batch
        parts = [x, *(a[index_array] for a in (self.y, self.sample_weight) if a is not None)]
        return x if self.y is None else tuple(parts)


def _part(n: int, generator: Any, subset: str | None) -> slice:
    """Return the slice of rows in a subset. Validation rows come first, as in Keras."""
    split = int(n * generator.validation_split)
    if subset not in ("training", "validation", None):
        raise ValueError(
            f"ImageDataGenerator: `subset` must be 'training' or 'validation', received {subset!r}."
        )
    return {"validation": slice(split), "training": slice(split, None), None: slice(None)}[subset]


def _save(iterator: Any, batch: np.ndarray, numbers: Sequence[int] | np.ndarray) -> None:
    """Save the images of a batch in `save_to_dir`, if it is set."""
    if not iterator.save_to_dir:
        return
    for image, number in zip(batch, numbers, strict=True):
        mark = np.random.randint(10_000)
        name = f"{iterator.save_prefix}_{number}_{mark}.{iterator.save_format}"
        path = os.path.join(iterator.save_to_dir, name)
        array_to_img(image, iterator.data_format, scale=True).save(path)


class FilesIterator(Iterator):
    """Base class of iterators over image files.

    Subclasses set `filepaths`, `labels` (class indices or targets), `class_indices` and
    `sample_weight`, and then call this class's constructor.

    Args:
        image_data_generator: The generator that augments the images.
        target_size: Height and width to which images are resized.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`.
        class_mode: Kind of targets, as described in the subclasses.
        batch_size, shuffle, seed: As in `Iterator`.
        data_format, save_to_dir, save_prefix, save_format, dtype: As in `NumpyArrayIterator`.
        interpolation, keep_aspect_ratio: As in `load_img`.
    """

    filepaths: list[str]
    class_indices: dict[Any, int]
    sample_weight: np.ndarray | None = None
    labels: Any = None
    function = "flow_from_directory"

    def __init__(
        self, image_data_generator: Any, target_size: tuple[int, int], color_mode: str,
        class_mode: str | None, batch_size: int, shuffle: bool, seed: int | None,
        data_format: str | None, save_to_dir: FilePath | None, save_prefix: str, save_format: str,
        interpolation: str, keep_aspect_ratio: bool, dtype: Any,
    ) -> None:  # fmt: skip
        _check_saving(self.function, save_to_dir)
        self.image_data_generator = image_data_generator
        self.target_size = (target_size[0], target_size[1])
        self.color_mode, self.class_mode = color_mode, class_mode
        self.data_format = data_format or settings.image_data_format()
        channels = CHANNELS[color_mode]
        last = self.data_format == "channels_last"
        self.image_shape = (*target_size, channels) if last else (channels, *target_size)
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        self.interpolation, self.keep_aspect_ratio = interpolation, keep_aspect_ratio
        self.dtype = dtype or image_data_generator.dtype
        super().__init__(len(self.filepaths), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        generator = self.image_data_generator
        batch = np.zeros((len(index_array), *self.image_shape), dtype=self.dtype)
        for place, number in enumerate(index_array):
            image = load_img(
                self.filepaths[number], self.color_mode, self.target_size, self.interpolation,
                self.keep_aspect_ratio,
            )  # fmt: skip
            x = img_to_array(image, self.data_format)
            x = generator.apply_transform(x, generator.get_random_transform(x.shape))
            batch[place] = generator.standardize(x)
        _save(self, batch, index_array)
        if self.class_mode is None:
            return batch
        y = self._targets(index_array) if self.class_mode != "input" else batch.copy()
        if self.sample_weight is None:
            return batch, y
        return batch, y, self.sample_weight[index_array]

    def _targets(self, rows: np.ndarray) -> Any:
        if self.class_mode in ("binary", "sparse"):
            return np.asarray(self.labels)[rows].astype(self.dtype)
        y = np.zeros((len(rows), len(self.class_indices)), dtype=self.dtype)
        for place, row in enumerate(rows):
            y[place, self.labels[row]] = 1
        return y


class DirectoryIterator(FilesIterator):
    """Iterator over batches of images in one folder per class.

    It is made by `ImageDataGenerator.flow_from_directory`.

    Args:
        directory: Folder with one subfolder per class. Files with the extensions .bmp, .jpeg, .jpg,
            .png, .ppm, .tif and .tiff are read.
        image_data_generator, target_size, color_mode, batch_size, shuffle, seed, data_format,
            save_to_dir, save_prefix, save_format, interpolation, keep_aspect_ratio, dtype: As in
            `FilesIterator`.
        classes: Names of the class folders, in the order of the class indices. Default: all
            folders, sorted.
        class_mode: `"categorical"` (one-hot rows), `"binary"` or `"sparse"` (class indices),
            `"input"` (the images are the targets) or `None` (no targets).
        follow_links: Whether to follow symbolic links to folders.
        subset: As in `NumpyArrayIterator`. Each class is split separately.

    Attributes:
        filenames, filepaths: Paths of the files, relative to `directory`, and including it.
        classes: Class index of each file.
        class_indices: Dictionary from class names to class indices.
        samples, num_classes: Number of files, and number of classes.

    Raises:
        ValueError: If an argument has an invalid value.
        FileNotFoundError: If `directory` does not exist.
    """

    def __init__(
        self, directory: FilePath, image_data_generator: Any,
        target_size: tuple[int, int] = (256, 256), color_mode: str = "rgb", classes: Any = None,
        class_mode: str | None = "categorical", batch_size: int = 32, shuffle: bool = True,
        seed: int | None = None, data_format: str | None = None,
        save_to_dir: FilePath | None = None, save_prefix: str = "", save_format: str = "png",
        follow_links: bool = False, subset: str | None = None, interpolation: str = "nearest",
        keep_aspect_ratio: bool = False, dtype: Any = None,
    ) -> None:  # fmt: skip
        if class_mode not in ("categorical", "binary", "sparse", "input", None):
            raise ValueError(
                "flow_from_directory: `class_mode` must be 'categorical', 'binary', 'sparse',"
                f" 'input' or None, received {class_mode!r}."
            )
        _check_color_mode(self.function, color_mode)
        if not os.path.isdir(directory):
            raise FileNotFoundError(f"flow_from_directory: there is no folder '{directory}'.")
        self.directory = directory
        names = list(classes or [])
        if not names:
            names = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        self.class_indices = {name: number for number, name in enumerate(names)}
        self.num_classes = len(names)
        self.filenames: list[str] = []
        found: list[int] = []
        for name, number in self.class_indices.items():
            files = _images_in(os.path.join(directory, name), follow_links)
            files = files[_part_of_class(len(files), image_data_generator, subset)]
            self.filenames += [os.path.relpath(path, directory) for path in files]
            found += [number] * len(files)
        self.classes = self.labels = np.array(found, dtype="int32")
        self.samples = len(found)
        self.filepaths = [os.path.join(directory, name) for name in self.filenames]
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(
            image_data_generator, target_size, color_mode, class_mode, batch_size, shuffle, seed,
            data_format, save_to_dir, save_prefix, save_format, interpolation, keep_aspect_ratio,
            dtype,
        )  # fmt: skip


def _images_in(folder: str, follow_links: bool) -> list[str]:
    """Return the image files in a folder and its subfolders, sorted within each folder."""
    walked = sorted(os.walk(folder, followlinks=follow_links), key=lambda place: place[0])
    return [
        os.path.join(place, name)
        for place, _, names in walked
        for name in sorted(names)
        if name.lower().endswith(ENDINGS)
    ]


def _part_of_class(n: int, generator: Any, subset: str | None) -> slice:
    _part(n, generator, subset)  # validates `subset`
    split = int(generator.validation_split * n)
    if not generator.validation_split or subset is None:
        return slice(None)
    return slice(split) if subset == "validation" else slice(split, None)


class DataFrameIterator(FilesIterator):
    """Iterator over batches of the image files listed in a pandas `DataFrame`.

    It is made by `ImageDataGenerator.flow_from_dataframe`.

    Args:
        dataframe: The table, with one row per image.
        directory: Folder of the files. Default: the table has full paths.
        image_data_generator, target_size, color_mode, batch_size, shuffle, seed, data_format,
            save_to_dir, save_prefix, save_format, interpolation, keep_aspect_ratio, dtype: As in
            `FilesIterator`.
        x_col: Column of the file names.
        y_col: Column of the targets, or a list of columns.
        weight_col: Column of the sample weights.
        classes: The classes to use. Default: all classes in the table.
        class_mode: `"categorical"` (one-hot rows, or multi-hot rows for lists of classes),
            `"binary"` or `"sparse"` (class indices), `"raw"` (the columns' values),
            `"multi_output"` (a list with the values of each column), `"input"` (the images are the
            targets) or `None` (no targets).
        subset: As in `NumpyArrayIterator`.
        validate_filenames: Whether to drop rows without an image file, with a warning.

    Raises:
        ValueError: If an argument has an invalid value, or `"binary"` has more or fewer than two
            classes.
        TypeError: If a column holds values that `class_mode` does not support.
    """

    function = "flow_from_dataframe"

    def __init__(
        self, dataframe: Any, directory: FilePath | None = None, image_data_generator: Any = None,
        x_col: str = "filename", y_col: Any = "class", weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256), color_mode: str = "rgb", classes: Any = None,
        class_mode: str | None = "categorical", batch_size: int = 32, shuffle: bool = True,
        seed: int | None = None, data_format: str | None = None,
        save_to_dir: FilePath | None = None, save_prefix: str = "", save_format: str = "png",
        subset: str | None = None, interpolation: str = "nearest", keep_aspect_ratio: bool = False,
        dtype: Any = None, validate_filenames: bool = True,
    ) -> None:  # fmt: skip
        modes = ("binary", "categorical", "input", "multi_output", "raw", "sparse", None)
        if class_mode not in modes:
            raise ValueError(
                f"flow_from_dataframe: `class_mode` must be one of {', '.join(map(repr, modes))},"
                f" received {class_mode!r}."
            )
        columns = list(y_col) if isinstance(y_col, (list, tuple)) else [y_col]
        used = [x_col, *([weight_col] if weight_col else [])]
        used += columns if class_mode not in ("input", None) else []
        missing = [name for name in used if name not in dataframe.columns]
        if missing:
            raise ValueError(
                f"flow_from_dataframe: there is no column {', '.join(map(repr, missing))}; the"
                f" columns are {', '.join(map(repr, dataframe.columns))}."
            )
        _check_color_mode(self.function, color_mode)
        _check_column(dataframe, x_col, class_mode, columns)
        self.directory = directory
        rows = np.arange(len(dataframe))
        if validate_filenames:
            rows = self._with_files(dataframe, x_col, rows)
        if class_mode in ("categorical", "binary", "sparse"):
            rows = self._choose_classes(dataframe[columns[0]], rows, classes, class_mode)
        start, stop = _part_of_class(len(rows), image_data_generator, subset).indices(len(rows))[:2]
        rows = rows[start:stop]
        table = dataframe.iloc[rows]
        self.filenames = table[x_col].tolist()
        self.samples = len(rows)
        self.filepaths = [os.path.join(directory or "", name) for name in self.filenames]
        if weight_col:
            self.sample_weight = table[weight_col].to_numpy()
        kinds = self._set_targets(table, columns, y_col, class_mode)
        checked = "" if validate_filenames else "non-"
        print(f"Found {self.samples} {checked}validated image filenames{kinds}.")
        super().__init__(
            image_data_generator, target_size, color_mode, class_mode, batch_size, shuffle, seed,
            data_format, save_to_dir, save_prefix, save_format, interpolation, keep_aspect_ratio,
            dtype,
        )  # fmt: skip

    def _with_files(self, dataframe: Any, x_col: str, rows: np.ndarray) -> np.ndarray:
        """Return the rows whose files exist and have the extension of an image."""
        paths = [os.path.join(self.directory or "", name) for name in dataframe[x_col]]
        good = [path.lower().endswith(ENDINGS) and os.path.isfile(path) for path in paths]
        if not all(good):
            first = paths[good.index(False)]
            warnings.warn(
                f"flow_from_dataframe: {len(good) - sum(good)} rows are dropped, because the path"
                f" in column {x_col!r} is not an image file. The first is '{first}'.",
                stacklevel=4,
            )
        return rows[np.array(good, bool)]

    def _choose_classes(
        self, column: Any, rows: np.ndarray, classes: Any, class_mode: str
    ) -> np.ndarray:
        """Set `class_indices`, and return the rows that have one of the classes."""
        sets = [value if isinstance(value, (list, tuple)) else [value] for value in column]
        if classes is None:
            names = sorted({name for row in rows for name in sets[row]})
        else:
            names = list(dict.fromkeys(classes))
            rows = np.array([row for row in rows if set(sets[row]) & set(names)], int)
        if class_mode == "binary" and len(names) != 2:
            raise ValueError(
                "flow_from_dataframe: `class_mode='binary'` needs 2 classes, received"
                f" {len(names)}: {names}."
            )
        self.class_indices = {name: number for number, name in enumerate(names)}
        return rows

    def _set_targets(self, table: Any, columns: list[str], y_col: Any, mode: str | None) -> str:
        """Set `labels`, and return the part of the printed message about classes."""
        if mode in ("categorical", "binary", "sparse"):
            numbers = self.class_indices
            self.classes = self.labels = [
                [numbers[name] for name in value if name in numbers]
                if isinstance(value, (list, tuple))
                else numbers[value]
                for value in table[columns[0]]
            ]
            return f" belonging to {len(numbers)} classes"
        if mode == "raw":
            self.labels = table[y_col].to_numpy()
        elif mode == "multi_output":
            self.labels = [np.stack(table[name].to_numpy()) for name in columns]
        return ""

    def _targets(self, rows: np.ndarray) -> Any:
        if self.class_mode == "raw":
            return self.labels[rows]
        if self.class_mode == "multi_output":
            return [column[rows] for column in self.labels]
        return super()._targets(rows)


def _check_column(dataframe: Any, x_col: str, class_mode: str | None, columns: list[str]) -> None:
    """Raise an error if a column holds values of a wrong type."""

    def check(name: str, is_right: Callable[[Any], bool], what: str) -> None:
        wrong = [value for value in dataframe[name] if not is_right(value)]
        if wrong:
            raise TypeError(
                f"flow_from_dataframe: column {name!r} must hold {what}, received {wrong[0]!r}."
            )

    check(x_col, lambda value: isinstance(value, str), "file names")
    if class_mode in ("binary", "sparse"):
        check(columns[0], lambda value: isinstance(value, str), "class names")
    if class_mode == "categorical":
        kinds = (str, list, tuple)
        check(columns[0], lambda value: isinstance(value, kinds), "class names, or lists of them")
