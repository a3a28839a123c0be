"""A dense network on MNIST: load, scale, train, evaluate, and look at the mistakes.

Run it:  python examples/dense.py [--quick]
"""

import argparse

import numpy as np

import hornbeam as hb
from hornbeam import layers


def load_data(quick):
    (x_train, y_train), (x_test, y_test) = hb.datasets.mnist.load_data()
    # Pixels are integers from 0 to 255; a network learns better from values between 0 and 1.
    x_train = x_train.reshape(-1, 784).astype("float32") / 255
    x_test = x_test.reshape(-1, 784).astype("float32") / 255
    if quick:
        x_train, y_train = x_train[:6000], y_train[:6000]
    return (x_train, y_train), (x_test, y_test)


def build_model():
    return hb.Sequential(
        [
            layers.Input((784,)),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds on part of the data")
    options = parser.parse_args()

    hb.utils.set_random_seed(1)
    (x_train, y_train), (x_test, y_test) = load_data(options.quick)
    model = build_model()
    model.summary()
    model.compile(
        optimizer=hb.optimizers.Adam(1e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        x_train,
        y_train,
        batch_size=128,
        epochs=2 if options.quick else 8,
        validation_split=0.1,
        # Stops when the validation loss no longer falls, and restores the best weights.
        callbacks=[hb.callbacks.EarlyStopping(patience=2, restore_best_weights=True)],
        verbose=2,
    )
    results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print(f"Test accuracy {results['accuracy']:.4f}, loss {results['loss']:.4f}")

    probabilities = model.predict(x_test, batch_size=1000, verbose=0)
    predicted = probabilities.argmax(axis=-1)
    confusions = np.zeros((10, 10), int)
    np.add.at(confusions, (y_test, predicted), 1)
    np.fill_diagonal(confusions, 0)
    print("The most frequent mistakes:")
    for place in np.argsort(confusions, axis=None)[::-1][:3]:
        true, wrong = divmod(int(place), 10)
        print(f"  {confusions[true, wrong]:3d} times a {true} was read as a {wrong}")


if __name__ == "__main__":
    main()
