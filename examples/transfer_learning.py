"""Transfer learning: features learned on the digits 0 to 4 help with 5 to 9.

A convolutional network learns 0 to 4 and is saved. It is then loaded; all layers except the last
are frozen and get a new head, which learns 5 to 9 from few examples. The same network with random
frozen layers shows how much the first training helped.

Run it:  python examples/transfer_learning.py [--quick]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import hornbeam as hb
from hornbeam import layers


def load_digits(low, high, count):
    (x_train, y_train), (x_test, y_test) = hb.datasets.mnist.load_data()
    parts = []
    for x, y, number in ((x_train, y_train, count), (x_test, y_test, None)):
        chosen = np.flatnonzero((y >= low) & (y <= high))[:number]
        parts.append((x[chosen, ..., np.newaxis] / np.float32(255), y[chosen] - low))
    return parts


def build_base():
    return hb.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(16, 5, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="features"),
            layers.Dense(5, activation="softmax", name="head"),
        ]
    )


def train(model, data, epochs):
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    (x, y), (x_test, y_test) = data
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=2)
    return model.evaluate(x_test, y_test, batch_size=500, verbose=0, return_dict=True)["accuracy"]


def with_new_head(base):
    """Return a model with a new head on the frozen features of `base`."""
    features = hb.Model(base.inputs, base.get_layer("features").output, name="features_of_base")
    features.trainable = False
    inputs = layers.Input((28, 28, 1))
    outputs = layers.Dense(5, activation="softmax", name="new_head")(features(inputs))
    return hb.Model(inputs, outputs)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds on part of the data")
    options = parser.parse_args()
    many, few, epochs = (3000, 300, 2) if options.quick else (20000, 500, 4)

    hb.utils.set_random_seed(5)
    base = build_base()
    accuracy = train(base, load_digits(0, 4, many), epochs)
    print(f"The base reads 0 to 4 with accuracy {accuracy:.4f}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "base.keras"
        base.save(file)
        loaded = hb.models.load_model(file)

    model = with_new_head(loaded)
    model.summary()
    frozen = loaded.get_layer("features").kernel.numpy().copy()
    data = load_digits(5, 9, few)
    transferred = train(model, data, 8 * epochs)
    unchanged = np.array_equal(frozen, loaded.get_layer("features").kernel.numpy())
    print("The frozen layers", "did not change." if unchanged else "CHANGED.")
    untrained = train(with_new_head(build_base()), data, 8 * epochs)
    print(f"5 to 9 from {few} examples, on learned features: {transferred:.4f}")
    print(f"5 to 9 from {few} examples, on random features: {untrained:.4f}")


if __name__ == "__main__":
    main()
