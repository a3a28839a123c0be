"""The loops over generators that Keras 1 and 2 had beside `fit`, `evaluate` and `predict`.

`hornbeam.legacy` makes them methods of `Model`.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from hornbeam import tree
from hornbeam.callbacks.callback import Callback
from hornbeam.callbacks.history import History
from hornbeam.data.sources import unpack
from hornbeam.models import Model
from hornbeam.training.requests import apply_reader_settings
from hornbeam.typing import ClassWeights, Data, Structure

__all__ = ["evaluate_generator", "fit_generator", "predict_generator"]


def fit_generator(
    self: Model, generator: Data, steps_per_epoch: int | None = None, epochs: int = 1,
    verbose: int | str = "auto", callbacks: Callback | Sequence[Callback | str] | None = None,
    validation_data: Data = None, validation_steps: int | None = None,
    validation_freq: int | Sequence[int] | set[int] = 1, class_weight: ClassWeights = None,
    shuffle: bool = True, initial_epoch: int = 0, **old: Any,
) -> History:  # fmt: skip
    """Train on a generator of batches: `fit`, by the name of Keras 1 and 2.

    Args:
        generator: Yields `(x, y)` or `(x, y, sample_weight)`.
        steps_per_epoch: Batches per epoch. The arguments after it are `fit`'s.
        **old: Keras 1's words `samples_per_epoch`, `nb_epoch` and `nb_val_samples`, which count
            samples where Keras 2 counts batches; `max_queue_size`, `workers` and
            `use_multiprocessing`, which matter for a `PyDataset`.

    Returns:
        `fit`'s `History`.

    Raises:
        TypeError: If an argument is not known.

    Example:
        >>> import numpy as np
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> batches = ((np.ones((4, 2)), np.ones((4, 1))) for _ in range(6))
        >>> history = model.fit_generator(batches, samples_per_epoch=12, nb_epoch=2, verbose=0)
        >>> history.epoch
        [0, 1]
    """
    epochs = old.pop("nb_epoch", epochs)
    generator, steps = _steps(generator, steps_per_epoch, old.pop("samples_per_epoch", None))
    validation = validation_data
    if not isinstance(validation, (list, tuple)) and validation is not None:
        validation, validation_steps = _steps(
            validation, validation_steps, old.pop("nb_val_samples", None)
        )
    apply_reader_settings("fit_generator", generator, old, known=_arguments(fit_generator))
    return self.fit(
        generator, steps_per_epoch=steps, epochs=epochs, verbose=verbose, callbacks=callbacks,
        validation_data=validation, validation_steps=validation_steps,
        validation_freq=validation_freq, class_weight=class_weight, shuffle=shuffle,
        initial_epoch=initial_epoch,
    )  # fmt: skip


def evaluate_generator(
    self: Model,
    generator: Data,
    steps: int | None = None,
    callbacks: Callback | Sequence[Callback | str] | None = None,
    verbose: int | str = 0,
    **old: Any,
) -> Any:
    """Evaluate on a generator of batches: `evaluate`, by the name of Keras 1 and 2.

    Args:
        generator: Yields `(x, y)` or `(x, y, sample_weight)`.
        steps: Number of batches. The arguments after it are `evaluate`'s.
        **old: Keras 1's `val_samples`, a number of samples; the words about workers as for
          `fit_generator`.

    Returns:
        What `evaluate` returns.

    Raises:
        TypeError: If an argument is not known.
    """
    generator, steps = _steps(generator, steps, old.pop("val_samples", None))
    apply_reader_settings(
        "evaluate_generator", generator, old, known=_arguments(evaluate_generator)
    )
    return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose)


def predict_generator(
    self: Model,
    generator: Data,
    steps: int | None = None,
    callbacks: Callback | Sequence[Callback | str] | None = None,
    verbose: int | str = 0,
    **old: Any,
) -> Structure:
    """Predict on a generator of batches: `predict`, by the name of Keras 1 and 2.

    Args:
        generator: Yields batches of inputs.
        steps: Number of batches. The arguments after it are `predict`'s.
        **old: Keras 1's `val_samples`, a number of samples; the words about workers as for
          `fit_generator`.

    Returns:
        What `predict` returns.

    Raises:
        TypeError: If an argument is not known.
    """
    generator, steps = _steps(generator, steps, old.pop("val_samples", None))
    apply_reader_settings("predict_generator", generator, old, known=_arguments(predict_generator))
    return self.predict(generator, steps=steps, callbacks=callbacks, verbose=verbose)


def _steps(generator: Any, steps: int | None, samples: int | None) -> tuple[Any, int | None]:
    """Return the generator and its number of steps, computed from `samples` if necessary."""
    if steps is not None or samples is None:
        return generator, steps
    if hasattr(generator, "__getitem__"):
        first = generator[0]
    else:
        generator = iter(generator)
        first = next(generator)
        generator = itertools.chain([first], generator)
    rows = len(tree.flatten(unpack(first)[0])[0])
    return generator, math.ceil(samples / rows)


def _arguments(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "old")]
