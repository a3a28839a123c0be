"""Files in folders, one folder per class: which there are, their labels, and two parts of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hornbeam.data.dataset import Dataset
from hornbeam.typing import FilePath

__all__ = ["LabelledFiles", "check_choice", "find_files", "finished", "labelled", "parts_of"]


@dataclass
class LabelledFiles:
    """Files and their labels.

    Args:
        paths: The paths, in order.
        labels: One label per file; `None` without labels.
        class_names: Names of the classes; `None` without labels.
        class_labels: The label of each class, sorted.
    """

    paths: list[str]
    labels: list[int] | None = None
    class_names: list[str] | None = None
    class_labels: list[int] | None = None

    def at(self, numbers: np.ndarray) -> LabelledFiles:
        """Return some of the files."""
        return dataclasses.replace(
            self,
            paths=[self.paths[n] for n in numbers],
            labels=None if self.labels is None else [self.labels[n] for n in numbers],
        )


def check_choice(function: str, name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise `ValueError` unless an argument is one of some values."""
    if not any(value is choice or value == choice for choice in choices):
        shown = ", ".join(map(repr, choices))
        raise ValueError(f"{function}: `{name}` must be one of {shown}, received {value!r}.")


def find_files(
    function: str, directory: FilePath, endings: tuple[str, ...], labels: Any, label_mode: Any,
    class_names: Sequence[str] | None, follow_links: bool, verbose: bool,
) -> LabelledFiles:  # fmt: skip
    """Return the files of a folder with their labels, in the order of their names.

    Args:
        function: Name of the caller, for errors.
        directory: The folder.
        endings: Endings of the files that count, in small letters.
        labels: `"inferred"` (each folder in `directory` is a class), one integer per file, or
            `None`.
        label_mode: `None` for no labels.
        class_names: The folders to use, in the order of their class numbers. Default: all, sorted.
        follow_links: Whether folders behind symbolic links are searched.
        verbose: Whether the number of files is printed.

    Raises:
        ValueError: If a setting is wrong, or there are no files.
        FileNotFoundError: If there is no such folder.
    """
    if label_mode is None:
        labels = None
    if labels not in ("inferred", None) and not isinstance(labels, (list, tuple, np.ndarray)):
        raise ValueError(
            f"{function}: `labels` must be 'inferred', a list of integers or None, received"
            f" {labels!r:.80}."
        )
    root = os.fspath(directory)
    if not os.path.isdir(root):
        raise FileNotFoundError(f"{function}: there is no folder '{root}'.")
    if isinstance(labels, str):
        found = _per_class(function, root, endings, class_names, follow_links)
    else:
        found = _with_labels(function, root, _walk(root, endings, follow_links), labels)
        if class_names:
            raise ValueError(
                f"{function}: `class_names` needs `labels='inferred'` and a `label_mode`."
            )
    if not found.paths:
        raise ValueError(
            f"{function}: there are no files in '{root}' that end in {', '.join(endings)}."
        )
    if verbose:
        classes = (
            "" if found.class_names is None else (f" belonging to {len(found.class_names)} classes")
        )
        print(f"Found {len(found.paths)} files{classes}.")
    return found


def _per_class(
    function: str, root: str, endings: tuple[str, ...], class_names: Sequence[str] | None,
    follow_links: bool,
) -> LabelledFiles:  # fmt: skip
    folders = sorted(
        entry.name
        for entry in os.scandir(root)
        if entry.is_dir() and not entry.name.startswith(".")
    )
    names = folders if class_names is None else list(class_names)
    unknown = [name for name in names if name not in folders]
    if unknown or len(set(names)) < len(names):
        raise ValueError(
            f"{function}: `class_names` must name folders in '{root}', which are {folders};"
            f" received {names}."
        )
    paths: list[str] = []
    labels: list[int] = []
    for number, name in enumerate(names):
        inside = _walk(os.path.join(root, name), endings, follow_links)
        paths += inside
        labels += [number] * len(inside)
    return LabelledFiles(paths, labels, names, list(range(len(names))))


def _walk(folder: str, endings: tuple[str, ...], follow_links: bool) -> list[str]:
    found, seen = [], set()
    for place, folders, names in os.walk(folder, followlinks=follow_links):
        real = os.path.realpath(place)
        if real in seen:  # a link to a folder that was searched, such as one around it
            folders.clear()
            continue
        seen.add(real)
        found.append((place, sorted(name for name in names if name.lower().endswith(endings))))
    return [os.path.join(place, name) for place, names in sorted(found) for name in names]


def _with_labels(function: str, root: str, paths: list[str], labels: Any) -> LabelledFiles:
    if labels is None:
        return LabelledFiles(paths)
    numbers = np.asarray(labels)
    if numbers.ndim != 1 or len(numbers) != len(paths) or numbers.dtype.kind not in "iu":
        raise ValueError(
            f"{function}: `labels` must hold one integer for each of the {len(paths)} files in"
            f" '{root}', received an array of shape {numbers.shape} and dtype {numbers.dtype}."
        )
    classes = sorted(set(numbers.tolist()))
    return LabelledFiles(paths, numbers.tolist(), [str(n) for n in classes], classes)


def parts_of(
    function: str, files: LabelledFiles, validation_split: float | None, subset: str | None,
    shuffle: bool, seed: int | None,
) -> tuple[list[LabelledFiles], int]:  # fmt: skip
    """Return the files of each part that is asked for, and the seed.

    The order is Keras's for the same seed.

    Args:
        function: Name of the caller, for errors.
        files: All files.
        validation_split: Fraction of the files that are for validation.
        subset: `"training"`, `"validation"`, `"both"`, or `None` without a split.
        shuffle: Whether the files are shuffled first.
        seed: Seed of the shuffle.

    Raises:
        ValueError: If a setting is wrong, or a part would be empty.
    """
    if (validation_split is None) != (subset is None) and (validation_split or subset):
        raise ValueError(
            f"{function}: `validation_split` and `subset` must be set together, received"
            f" `validation_split`={validation_split!r} and `subset`={subset!r}."
        )
    check_choice(function, "subset", subset, ("training", "validation", "both", None))
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(
            f"{function}: `validation_split` must be between 0 and 1, received"
            f" {validation_split!r}."
        )
    if subset and shuffle and seed is None:
        raise ValueError(
            f"{function}: `seed` is needed to shuffle with `validation_split`: without it, the"
            " two parts could share files. Pass `seed`, or `shuffle=False`."
        )
    seed = int(np.random.randint(10**6)) if seed is None else seed
    order = np.arange(len(files.paths))
    if shuffle:
        np.random.RandomState(seed).shuffle(order)
    if not subset or not validation_split:
        return [files.at(order)], seed
    count = int(validation_split * len(order))
    parts = {"training": order[: len(order) - count], "validation": order[len(order) - count :]}
    chosen = ["training", "validation"] if subset == "both" else [subset]
    for name in chosen:
        if not len(parts[name]):
            raise ValueError(
                f"{function}: `validation_split`={validation_split} leaves no file for {name};"
                f" there are {len(order)}."
            )
        print(f"Using {len(parts[name])} files for {name}.")
    return [files.at(parts[name]) for name in chosen], seed


def labelled(
    function: str, files: LabelledFiles, read: Any, label_mode: str | None, shuffle: bool, seed: int
) -> Dataset:
    """Return what a function reads from each file, with labels as `label_mode` says.

    Args:
        function: Name of the caller, for errors.
        files: The files.
        read: Function of a path.
        label_mode: `"int"`, `"binary"`, `"categorical"` or `None`.
        shuffle: Whether each pass has another order.
        seed: Seed of the order.

    Raises:
        ValueError: If `"binary"` labels have more or fewer than two classes.
    """
    names = files.class_names or []
    if label_mode == "binary" and len(names) != 2:
        raise ValueError(
            f"{function}: `label_mode='binary'` needs 2 classes; there are {len(names)}: {names}."
        )
    paths = np.empty(len(files.paths), object)
    paths[:] = files.paths
    rows: Any = paths
    if files.labels is not None:
        labels: Any = np.asarray(files.labels, "int32")
        if label_mode != "int":
            labels = np.searchsorted(np.asarray(files.class_labels), labels)
            is_binary = label_mode == "binary"
            labels = labels[:, None] if is_binary else np.eye(len(names))[labels]
            labels = labels.astype("float32")
        rows = (paths, labels)
    data = Dataset.from_tensor_slices(rows)
    if shuffle:
        data = data.shuffle(seed=seed)

    def element(path: str, *label: Any) -> Any:
        return (read(path), *label) if label else read(path)

    return data.map(element, num_parallel_calls=max(os.cpu_count() or 1, 2))


def finished(data: Dataset, files: LabelledFiles) -> Dataset:
    """Return a data set that is read ahead, with the attributes that Keras gives it."""
    data = data.prefetch()
    data.class_names, data.file_paths = files.class_names, files.paths
    return data
