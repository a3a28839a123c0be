"""Arguments of `fit`, `evaluate` and `predict`, checked before any work is done."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hornbeam import errors, settings
from hornbeam.callbacks.callback import Callback
from hornbeam.data.py_dataset import PyDataset
from hornbeam.data.sources import Source
from hornbeam.typing import ClassWeights, Data, FilePath, Structure

__all__ = [
    "EvaluateRequest", "FitRequest", "PredictRequest", "apply_reader_settings", "check_batch_size",
    "check_flag", "limited", "steps_of", "verbosity", "warn_of_batch_size",
]  # fmt: skip

# Earlier Keras versions' names for settings that are now part of `PyDataset`, and the values of
# these settings that have no effect.
_READER_WORDS = {
    "max_q_size": "max_queue_size",
    "nb_worker": "workers",
    "pickle_safe": "use_multiprocessing",
}
_READER_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "max_queue_size": (None, 10), "workers": (None, 0, 1), "use_multiprocessing": (None, False),
}  # fmt: skip


@dataclass
class FitRequest:
    """Arguments of `Model.fit`, as fields of the same names.

    Attributes:
        older: Further arguments, from earlier Keras versions.

    Raises:
        TypeError: If an argument is unknown.
        ValueError: If an argument has an invalid value.
    """

    x: Data
    y: Structure
    batch_size: int | None
    epochs: int
    verbose: int | str
    callbacks: Callback | Sequence[Callback | str] | None
    validation_split: float
    validation_data: Data
    shuffle: bool | str
    class_weight: ClassWeights
    sample_weight: Structure
    initial_epoch: int
    steps_per_epoch: int | None
    validation_steps: int | None
    validation_batch_size: int | None
    validation_freq: int | Sequence[int] | set[int]
    resume: FilePath | bool | None = None
    older: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "nb_epoch" in self.older:
            warnings.warn(
                "`nb_epoch` is Keras 1's name for `epochs`.", DeprecationWarning, stacklevel=4
            )
            self.epochs = self.older.pop("nb_epoch")
        _drop_show_accuracy("fit", self.older)
        apply_reader_settings("fit", self.x, self.older, 5, _arguments(self))
        self._check_numbers()
        self._check_validation()
        if self.shuffle not in (True, False, None, "batch"):
            raise ValueError(
                f'fit: `shuffle` must be True, False or "batch", received {self.shuffle!r}.'
            )
        self.shuffle = self.shuffle or False
        verbosity("fit", self.verbose)
        self.epochs = limited("epochs", self.epochs, settings.max_epochs(), stacklevel=5)
        self.steps_per_epoch = steps_of(
            "fit", "steps_per_epoch", self.steps_per_epoch, stacklevel=5
        )
        self.validation_steps = steps_of(
            "fit", "validation_steps", self.validation_steps, limit=False
        )

    def _check_numbers(self) -> None:
        for name in ("epochs", "initial_epoch"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 0:
                raise ValueError(
                    f"fit: `{name}` must be a non-negative integer, received {number!r}."
                )
        for name in ("batch_size", "validation_batch_size"):
            check_batch_size("fit", name, getattr(self, name))

    def _check_validation(self) -> None:
        split = self.validation_split
        if split is None:
            split = self.validation_split = 0.0
        if not _is_number(split) or not 0 <= split < 1:
            raise ValueError(
                f"fit: `validation_split` must be between 0 and 1, received {split!r}."
            )
        _check_frequency(self.validation_freq)
        if self.validation_data is None and not split:
            unused = [
                n
                for n in ("validation_steps", "validation_batch_size")
                if getattr(self, n) is not None
            ]
            if unused:
                warnings.warn(
                    f"fit: {_no_effect(unused)} without validation data. Pass `validation_data` or"
                    " `validation_split`.",
                    stacklevel=5,
                )

    def validates_after(self, epoch: int) -> bool:
        """Return whether to validate after an epoch. Epochs are numbered from 0."""
        if isinstance(self.validation_freq, (list, tuple, set)):
            return epoch + 1 in self.validation_freq
        every: Any = self.validation_freq
        return bool((epoch + 1) % every == 0)


@dataclass
class EvaluateRequest:
    """Arguments of `Model.evaluate`, as fields of the same names.

    Attributes:
        older: Further arguments, from earlier Keras versions.

    Raises:
        TypeError: If an argument is unknown.
        ValueError: If an argument has an invalid value.
    """

    x: Data
    y: Structure
    batch_size: int | None
    verbose: int | str
    sample_weight: Structure
    steps: int | None
    callbacks: Callback | Sequence[Callback | str] | None
    return_dict: bool
    older: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _drop_show_accuracy("evaluate", self.older)
        apply_reader_settings("evaluate", self.x, self.older, 5, _arguments(self))
        check_batch_size("evaluate", "batch_size", self.batch_size)
        check_flag("evaluate", "return_dict", self.return_dict)
        verbosity("evaluate", self.verbose)
        self.steps = steps_of("evaluate", "steps", self.steps, stacklevel=5)


@dataclass
class PredictRequest:
    """Arguments of `Model.predict`, as fields of the same names.

    Raises:
        ValueError: If an argument has an invalid value.
    """

    x: Data
    batch_size: int | None
    verbose: int | str
    steps: int | None
    callbacks: Callback | Sequence[Callback | str] | None

    def __post_init__(self) -> None:
        check_batch_size("predict", "batch_size", self.batch_size)
        verbosity("predict", self.verbose)
        self.steps = steps_of("predict", "steps", self.steps, stacklevel=6)


# --- checks of single arguments -----------------------------------------------------------------


def apply_reader_settings(
    method: str,
    data: Data,
    settings: Mapping[str, Any],
    stacklevel: int = 3,
    known: Iterable[str] = (),
) -> None:
    """Apply worker settings to a `PyDataset`. For other data, warn that they have no effect.

    Args:
        method: Name of the method, for messages.
        data: The data passed to the method.
        settings: `max_queue_size`, `workers`, `use_multiprocessing`, or Keras 1's names for them.
        stacklevel: As in `warnings.warn`, relative to this function.
        known: The other arguments of the method, for the error message about an unknown argument.

    Raises:
        TypeError: If `settings` has an unknown name.
    """
    settings = {_READER_WORDS.get(name, name): value for name, value in settings.items()}
    unknown = sorted(set(settings) - set(_READER_DEFAULTS))
    if unknown:
        raise errors.unexpected(method, unknown, [*known, *_READER_DEFAULTS])
    if isinstance(data, PyDataset):
        for name, value in settings.items():
            if value is not None:
                setattr(data, name, value)
        return
    unused = [name for name, value in settings.items() if value not in _READER_DEFAULTS[name]]
    if unused:
        warnings.warn(
            f"{method}: {_no_effect(unused)} on these data. Only a `PyDataset` uses workers.",
            stacklevel=stacklevel,
        )


def _arguments(request: Any) -> list[str]:
    return [f.name for f in dataclasses.fields(request) if f.name != "older"]


def _drop_show_accuracy(method: str, older: dict[str, Any]) -> None:
    if older.pop("show_accuracy", False):
        warnings.warn(
            f'{method}: `show_accuracy` has no effect. Pass `metrics=["accuracy"]` to `compile`.',
            stacklevel=5,
        )


def check_flag(method: str, name: str, value: object) -> None:
    """Raise `ValueError` unless an argument is a boolean, 0 or 1."""
    if not isinstance(value, (bool, np.bool_)) and not (isinstance(value, int) and value in (0, 1)):
        raise ValueError(f"{method}: `{name}` must be True or False, received {value!r}.")


def check_batch_size(method: str, name: str, value: object) -> None:
    """Raise `ValueError` unless a batch size is a positive integer or `None`."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{method}: `{name}` must be a positive integer, received {value!r}.")


def warn_of_batch_size(
    method: str, source: Source, batch_size: int | None, stacklevel: int = 4
) -> None:
    """Warn if a batch size is given although the data yield batches."""
    if batch_size is not None and source.own_batches:
        warnings.warn(
            f"{method}: {_no_effect(['batch_size'])} on these data, because they already yield"
            " batches.",
            stacklevel=stacklevel,
        )


def steps_of(
    method: str, name: str, value: object, limit: bool = True, stacklevel: int = 3
) -> int | None:
    """Convert a number of steps to an integer, limited by `hornbeam.config`. `None` stays `None`.

    Fractions are rounded up, because scripts often divide the number of rows by the batch size.

    Raises:
        ValueError: If the number is not positive and finite.
    """
    if value is None:
        return None
    number: Any = value
    if not _is_number(value) or not 0 < number < math.inf:
        raise ValueError(f"{method}: `{name}` must be a positive integer, received {value!r}.")
    steps = math.ceil(number)
    return (
        limited("steps", steps, settings.max_steps_per_epoch(), stacklevel + 1) if limit else steps
    )


def limited(what: str, number: int, limit: int | None, stacklevel: int) -> int:
    """Limit `number` to `limit`, which `hornbeam.config` sets, with a warning."""
    if limit is None or number <= limit:
        return number
    warnings.warn(
        f"`hornbeam.config` limits {what} to {limit} (of {number}).", stacklevel=stacklevel
    )
    return limit


def verbosity(method: str, verbose: object) -> int:
    """Convert `verbose` to 0 (silent), 1 (progress bar) or 2 (one line per epoch).

    `"auto"` means 1 if the output is a terminal, else 2.

    Raises:
        ValueError: If `verbose` is not 0, 1, 2 or `"auto"`.
    """
    if isinstance(verbose, str) and verbose == "auto":
        return 1 if settings.output_is_terminal() else 2
    if not isinstance(verbose, (int, np.integer)) or verbose not in (0, 1, 2):
        raise ValueError(f"{method}: `verbose` must be 0, 1, 2 or 'auto', received {verbose!r}.")
    return int(verbose)


def _check_frequency(frequency: Any) -> None:
    if isinstance(frequency, (list, tuple, set)) and all(
        isinstance(n, (int, np.integer)) for n in frequency
    ):
        return
    if isinstance(frequency, bool) or not isinstance(frequency, (int, np.integer)) or frequency < 1:
        raise ValueError(
            "fit: `validation_freq` must be a positive integer or a list of epochs, received"
            f" {frequency!r}."
        )


def _no_effect(names: list[str]) -> str:
    return f"{errors.listed(names)} {'has' if len(names) == 1 else 'have'} no effect"


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float, np.integer, np.floating)) and not isinstance(x, bool)
