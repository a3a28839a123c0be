"""Files with labels: those in folders, one folder per class; two parts of them; their contents."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hornbeam.data import stages
from hornbeam.data.columns import objects
from hornbeam.data.counts import count
from hornbeam.data.dataset import Dataset
from hornbeam.data.elements import map_leaves
from hornbeam.data.reading import Filler, Read, ReadBatches
from hornbeam.data.skipped import Skipped
from hornbeam.typing import FilePath

__all__ = ["LabelledFiles", "Split", "check_choice", "find_files", "read_files", "targets_of"]


@dataclass(frozen=True)
class LabelledFiles:
    """Files and their labels.

    Args:
        paths: The paths, in order.
        targets: Arrays, or tuples of them, with a row per file: labels, perhaps weights.
        class_names: Names of the classes; `None` without classes.
    """

    paths: list[str]
    targets: tuple[Any, ...] = ()
    class_names: list[str] | None = None

    def at(self, numbers: np.ndarray) -> LabelledFiles:
        """Return some of the files."""
        targets = map_leaves(lambda a: a[numbers], self.targets)
        return LabelledFiles([self.paths[n] for n in numbers], targets, self.class_names)


@dataclass(frozen=True)
class Split:
    """The order of files, and which part of them is used.

    Args:
        shuffle: Whether the files are shuffled, and each pass has another order.
        seed: Seed of the order.
        validation_split: Fraction of the files that are for validation.
        subset: `"training"`, `"validation"`, `"both"`, or `None` without a split.
    """

    shuffle: bool
    seed: int | None
    validation_split: float | None
    subset: str | None


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
        label_mode: As in `targets_of`; `None` for no labels.
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
        found = _per_class(function, root, endings, class_names, label_mode, follow_links)
    else:
        paths = _walk(root, endings, follow_links)
        found = _with_labels(function, root, paths, labels, label_mode)
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
    label_mode: str, follow_links: bool,
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
    numbers = list(range(len(names)))
    return LabelledFiles(paths, targets_of(function, labels, numbers, names, label_mode), names)


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


def _with_labels(
    function: str, root: str, paths: list[str], labels: Any, label_mode: str
) -> LabelledFiles:
    if labels is None:
        return LabelledFiles(paths)
    numbers = np.asarray(labels)
    if numbers.ndim != 1 or len(numbers) != len(paths) or numbers.dtype.kind not in "iu":
        raise ValueError(
            f"{function}: `labels` must hold one integer for each of the {len(paths)} files in"
            f" '{root}', received an array of shape {numbers.shape} and dtype {numbers.dtype}."
        )
    classes = sorted(set(numbers.tolist()))
    names = [str(n) for n in classes]
    return LabelledFiles(paths, targets_of(function, numbers, classes, names, label_mode), names)


def targets_of(
    function: str, labels: Any, classes: Sequence[int], names: Sequence[str], label_mode: str
) -> tuple[np.ndarray]:
    """Return the labels of files as an array of the form that `label_mode` says, in a tuple.

    Args:
        function: Name of the caller, for errors.
        labels: One integer per file.
        classes: The label of each class, sorted.
        names: The name of each class.
        label_mode: `"int"`, `"binary"` (0.0 or 1.0) or `"categorical"` (one-hot rows).

    Raises:
        ValueError: If `"binary"` labels have more or fewer than two classes.

    Example:
        >>> targets_of("f", [7, 5], [5, 7], ["5", "7"], "categorical")[0].tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    numbers = np.asarray(labels, "int32")
    if label_mode == "int":
        return (numbers,)
    if label_mode == "binary" and len(names) != 2:
        raise ValueError(
            f"{function}: `label_mode='binary'` needs 2 classes; there are {len(names)}:"
            f" {list(names)}."
        )
    ranks = np.searchsorted(np.asarray(classes), numbers)
    rows = ranks[:, None] if label_mode == "binary" else np.eye(len(names))[ranks]
    return (rows.astype("float32"),)


def read_files(
    function: str, files: LabelledFiles, read: Callable[[str], Any], split: Split,
    batch_size: int | None, ignore_errors: bool, padded: bool = False,
    filler: Filler | None = None,
) -> Any:  # fmt: skip
    """Return what a function reads from each file, with its targets, read ahead by threads.

    Args:
        function: Name of the caller, for errors.
        files: The files.
        read: Function of a path.
        split: Their order and parts.
        batch_size: Number of files per batch; `None` for single files.
        ignore_errors: Whether files that cannot be read are left out.
        padded: Whether the arrays of a batch are filled to one shape.
        filler: What reads a file to a given place; then batches need no copy.

    Returns:
        A `Dataset`, or a list of two with the subset `"both"`.

    Raises:
        ValueError: If the split is wrong, or a part would be empty.
    """
    parts, seed = _parts_of(function, files, split)
    threads = max(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, 2)
    found = []
    for part in parts:
        paths = objects(part.paths)
        stage: stages.Stage = stages.Slices((paths, *part.targets) if part.targets else paths)
        if split.shuffle:
            stage = stages.Shuffle(stage, None, seed, again=True)
        if filler is not None and batch_size is not None and not ignore_errors:
            batches = stages.Batch(stage, count("batch", "batch_size", batch_size), False)
            data = Dataset(ReadBatches(batches, filler, threads))
        else:
            skipped = Skipped(function) if ignore_errors else None
            data = Dataset(Read(stage, read, threads, skipped))
            if batch_size is not None:
                data = data.padded_batch(batch_size) if padded else data.batch(batch_size)
        data = data.prefetch()
        data.class_names, data.file_paths = part.class_names, part.paths
        found.append(data)
    return found if split.subset == "both" else found[0]


def _parts_of(function: str, files: LabelledFiles, split: Split) -> tuple[list[LabelledFiles], int]:
    """Return the files of each part that is asked for, and the seed.

    The order is Keras's for the same seed.
    """
    validation_split, subset, seed = split.validation_split, split.subset, split.seed
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
    if subset and split.shuffle and seed is None:
        raise ValueError(
            f"{function}: `seed` is needed to shuffle with `validation_split`: without it, the"
            " two parts could share files. Pass `seed`, or `shuffle=False`."
        )
    seed = int(np.random.randint(10**6)) if seed is None else seed
    order = np.arange(len(files.paths))
    if split.shuffle:
        np.random.RandomState(seed).shuffle(order)
    if not subset or not validation_split:
        return [files.at(order)], seed
    left = len(order) - int(validation_split * len(order))
    parts = {"training": order[:left], "validation": order[left:]}
    chosen = ["training", "validation"] if subset == "both" else [subset]
    for name in chosen:
        if not len(parts[name]):
            raise ValueError(
                f"{function}: `validation_split`={validation_split} leaves no file for {name};"
                f" there are {len(order)}."
            )
        print(f"Using {len(parts[name])} files for {name}.")
    return [files.at(parts[name]) for name in chosen], seed
