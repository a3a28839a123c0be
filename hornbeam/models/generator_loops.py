"""The loops over generators that Keras 1 and 2 had beside `fit`, `evaluate` and `predict`."""

from __future__ import annotations

import itertools
import math
from typing import Any

from hornbeam import tree
from hornbeam.data.sources import unpack
from hornbeam.training.requests import apply_reader_settings

__all__ = ["GeneratorLoops"]


class GeneratorLoops:
    """The methods of `Model` for generators, by their older names; Keras 1 counted samples instead
    of steps.
    """

    def fit_generator(
        self, generator: Any, steps_per_epoch: int | None = None, epochs: int = 1, verbose: Any = "auto", callbacks: Any = None,
        validation_data: Any = None, validation_steps: int | None = None, validation_freq: Any = 1, class_weight: Any = None,
        shuffle: bool = True, initial_epoch: int = 0, **old: Any,
    ) -> Any:  # fmt: skip
        """Train on a generator of batches: `fit`, by the name of Keras 1 and 2.

        Args:
            generator: Yields `(x, y)` or `(x, y, sample_weight)`.
            steps_per_epoch: Batches per epoch. The other arguments are as for `fit`.
            **old: Keras 1's `samples_per_epoch`, `nb_epoch` and `nb_val_samples`; `max_queue_size`,
                `workers` and `use_multiprocessing`, which a `PyDataset` uses.
        """
        epochs = old.pop("nb_epoch", epochs)
        generator, steps = _steps(generator, steps_per_epoch, old.pop("samples_per_epoch", None))
        validation = validation_data
        if not isinstance(validation, (list, tuple)) and validation is not None:
            validation, validation_steps = _steps(validation, validation_steps, old.pop("nb_val_samples", None))
        apply_reader_settings("fit_generator", generator, old)
        return self.fit(
            generator, steps_per_epoch=steps, epochs=epochs, verbose=verbose, callbacks=callbacks, validation_data=validation,
            validation_steps=validation_steps, validation_freq=validation_freq, class_weight=class_weight, shuffle=shuffle,
            initial_epoch=initial_epoch,
        )  # fmt: skip

    def evaluate_generator(
        self, generator: Any, steps: int | None = None, callbacks: Any = None, verbose: Any = 0, **old: Any
    ) -> Any:
        """Evaluate on a generator of batches: `evaluate`, by its name in Keras 1 and 2."""
        generator, steps = _steps(generator, steps, old.pop("val_samples", None))
        apply_reader_settings("evaluate_generator", generator, old)
        return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    def predict_generator(
        self, generator: Any, steps: int | None = None, callbacks: Any = None, verbose: Any = 0, **old: Any
    ) -> Any:
        """Predict on a generator of batches: `predict`, by its name in Keras 1 and 2."""
        generator, steps = _steps(generator, steps, old.pop("val_samples", None))
        apply_reader_settings("predict_generator", generator, old)
        return self.predict(generator, steps=steps, callbacks=callbacks, verbose=verbose)


def _steps(generator: Any, steps: int | None, samples: int | None) -> tuple[Any, int | None]:
    """Return the generator and its number of steps, computed from a number of samples if only that
    is given.
    """
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
