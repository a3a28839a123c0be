"""Models and training with the Keras interface, for both Hornbeam and Keras on each backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.workloads.table import ADAM, Workload

__all__ = ["Trainer"]


class Trainer:
    """A workload trained as by a user of the library: `compile`, `fit` on arrays, `predict`."""

    def __init__(
        self, library: Any, variant: str, workload: Workload, x: np.ndarray, y: np.ndarray
    ) -> None:
        if workload.precision == "bfloat16":
            library.config.set_dtype_policy("mixed_bfloat16")
        library.utils.set_random_seed(0)
        self.library, self.workload, self.x, self.y = library, workload, x, y
        self.model = MODELS[workload.family](library, **workload.sizes)
        self.model.compile(
            optimizer=library.optimizers.Adam(**ADAM),
            loss=library.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def fit(self, epochs: int, on_first_step: Callable[[], None] | None = None) -> list[float]:
        """Train, shuffled; return the mean loss of each epoch."""
        callbacks = [_first_step(self.library, on_first_step)] if on_first_step else None
        history = self.model.fit(
            self.x,
            self.y,
            batch_size=self.workload.batch_size,
            epochs=epochs,
            shuffle=True,
            verbose=0,
            callbacks=callbacks,
        )
        return [float(loss) for loss in history.history["loss"]]

    def predictions(self) -> dict[str, Callable[[], np.ndarray]]:
        """Return the ways to predict one row, each from a NumPy array to a NumPy array."""
        one, to_numpy = self.x[:1], self.library.ops.convert_to_numpy
        return {
            "predict": lambda: self.model.predict(one, verbose=0),
            "predict_on_batch": lambda: self.model.predict_on_batch(one),
            "model(x)": lambda: to_numpy(self.model(one)),
        }


def _first_step(library: Any, report: Callable[[], None]) -> Any:
    class FirstStep(library.callbacks.Callback):
        # With this, Hornbeam still runs several steps per dispatch. Keras ignores the attribute.
        observes_only = True
        seen = False

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if not self.seen:
                self.seen = True
                float(logs["loss"])  # waits for the device
                report()

    return FirstStep()


def _dense(
    library: Any, inputs: int, hidden: tuple[int, ...], classes: int, dropout: float = 0.0
) -> Any:
    layers = library.layers
    stack = [library.Input((inputs,))]
    for units in hidden:
        stack.append(layers.Dense(units, activation="relu"))
        if dropout:
            stack.append(layers.Dropout(dropout))
    return library.Sequential([*stack, layers.Dense(classes)])


def _conv(
    library: Any,
    image: tuple[int, ...],
    filters: tuple[int, ...],
    units: int,
    classes: int,
    pool_each: bool,
    dropout: float,
) -> Any:
    layers = library.layers
    stack = [library.Input(image)]
    for place, count in enumerate(filters):
        stack.append(layers.Conv2D(count, 3, activation="relu"))
        if pool_each or place == len(filters) - 1:
            stack.append(layers.MaxPooling2D())
    stack += [layers.Flatten(), *([layers.Dropout(dropout)] if dropout else [])]
    if units:
        stack.append(layers.Dense(units, activation="relu"))
    return library.Sequential([*stack, layers.Dense(classes)])


def _recurrent(
    library: Any, vocabulary: int, length: int, width: int, units: int, classes: int, cell: str
) -> Any:
    layers = library.layers
    return library.Sequential(
        [
            library.Input((length,), dtype="int32"),
            layers.Embedding(vocabulary, width),
            getattr(layers, cell)(units),
            layers.Dense(classes),
        ]
    )


def _resnet(
    library: Any,
    image: tuple[int, ...],
    widths: tuple[int, ...],
    blocks: tuple[int, ...],
    bottleneck: bool,
    classes: int,
) -> Any:
    """Return a ResNet (He et al. 2015); with `bottleneck`, the form for ImageNet.

    A shortcut that changes the size is a 1x1 convolution.
    """
    layers = library.layers

    def conv(x: Any, filters: int, size: int, stride: int = 1, relu: bool = True) -> Any:
        x = layers.Conv2D(filters, size, stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
        return layers.Activation("relu")(x) if relu else x

    inputs = library.Input(image)
    x = conv(inputs, widths[0], 7, 2) if bottleneck else conv(inputs, widths[0], 3)
    if bottleneck:
        x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for block in range(count):
            stride = 2 if stage and not block else 1
            filters = 4 * width if bottleneck else width
            same = stride == 1 and x.shape[-1] == filters
            shortcut = x if same else conv(x, filters, 1, stride, relu=False)
            if bottleneck:
                x = conv(conv(conv(x, width, 1), width, 3, stride), filters, 1, relu=False)
            else:
                x = conv(conv(x, width, 3, stride), filters, 3, relu=False)
            x = layers.Activation("relu")(layers.Add()([x, shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    return library.Model(inputs, layers.Dense(classes)(x))


def _transformer(
    library: Any,
    vocabulary: int,
    length: int,
    width: int,
    heads: int,
    depth: int,
    classes: int = 0,
    dropout: float = 0.0,
    language: bool = False,
) -> Any:
    """Return a transformer with pre-norm blocks as in GPT-2.

    With `language` it predicts the next token at each position, otherwise it classifies the mean.
    """
    layers = library.layers

    class Positions(layers.Layer):
        """Adds a trained vector to each position."""

        def build(self, shape: Any) -> None:
            self.table = self.add_weight(shape=shape[1:], initializer="random_normal", name="table")

        def call(self, x: Any) -> Any:
            return x + self.table

    inputs = library.Input((length,), dtype="int32")
    x = Positions()(layers.Embedding(vocabulary, width)(inputs))
    x = layers.Dropout(dropout)(x) if dropout else x
    for _ in range(depth):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        y = layers.MultiHeadAttention(heads, width // heads)(y, y, use_causal_mask=language)
        x = layers.Add()([x, layers.Dropout(dropout)(y) if dropout else y])
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        y = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(y))
        x = layers.Add()([x, layers.Dropout(dropout)(y) if dropout else y])
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    if language:
        return library.Model(inputs, layers.Dense(vocabulary, use_bias=False)(x))
    return library.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling1D()(x)))


MODELS = {
    "dense": _dense,
    "conv": _conv,
    "recurrent": _recurrent,
    "resnet": _resnet,
    "transformer": _transformer,
}
