"""Measure layers for images inside the training step against Keras on TensorFlow, in turn.

    python -m bench.augmentation --peer-python PATH [--rounds 5] [--cores 2] [--only TEXT] [--quick]

Run it in an environment with Hornbeam. PATH is a Python with `keras` and `tensorflow`.

A convolutional network trains on images that five layers at its start flip, rotate, zoom, move and
change in contrast. For comparison, it trains without them, and a linear model trains with them.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from bench import pair

STEPS = 4


def augmentation(layers: Any) -> list[Any]:
    """Return the layers that change images."""
    return [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.2),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomContrast(0.2),
    ]


def network(library: Any, size: int, augmented: bool, convolutions: bool) -> Any:
    """Return a compiled model for images of `size` x `size`."""
    layers = library.layers
    model = library.Sequential([library.Input((size, size, 3))])
    for layer in augmentation(layers) if augmented else []:
        model.add(layer)
    for filters in (32, 64) if convolutions else ():
        model.add(layers.Conv2D(filters, 3, strides=2 if size > 100 else 1, activation="relu"))
        model.add(layers.MaxPooling2D())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10))
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    return model


def make_calls(library: Any, quick: bool) -> pair.Calls:
    """Return what is measured, by name."""
    rng = np.random.default_rng(0)
    calls: pair.Calls = {}
    for size, batch in ((32, 4), (224, 2)) if quick else ((32, 128), (224, 16)):
        images = rng.uniform(0, 255, (batch * STEPS, size, size, 3)).astype("float32")
        classes = rng.integers(0, 10, len(images))
        for name, augmented, convolutions in (
            ("network with augmentation", True, True),
            ("network alone", False, True),
            ("augmentation alone", True, False),
        ):
            model = network(library, size, augmented, convolutions)
            data = {"x": images, "y": classes, "batch_size": batch, "verbose": 0}
            label = f"{size} x {size}, batches of {batch}: {name}"
            calls[label] = functools.partial(model.fit, **data)
    return calls


def times(name: str) -> int:
    """Return the number of steps in a call."""
    return STEPS


if __name__ == "__main__":
    pair.main("bench.augmentation", make_calls, times, __doc__)
