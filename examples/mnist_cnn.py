"""A convolutional network on MNIST that saves its best state and draws pictures of the results.

The last twelfth of the training images is used to choose the best epoch. The test images are used
only once, at the end. The model is then loaded from its file and must give exactly the same
predictions.

Run it:  python examples/mnist_cnn.py [--quick] [--epochs N] [--output FOLDER] [--require ACCURACY]
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np

import hornbeam as hb
from hornbeam import layers


def build_model():
    return hb.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 5, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ]
    )


def train(model, x, y, epochs, file):
    """Train with a learning rate that follows a cosine, and save the best epoch to `file`."""
    model.compile(
        optimizer=hb.optimizers.Adam(), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    callbacks = [
        hb.callbacks.LearningRateScheduler(
            lambda epoch: 1e-3 * (1 + math.cos(math.pi * epoch / epochs)) + 2e-5
        ),
        hb.callbacks.ModelCheckpoint(file, monitor="val_accuracy", save_best_only=True),
    ]
    return model.fit(
        x, y, batch_size=128, epochs=epochs, validation_split=1 / 12, callbacks=callbacks
    )


def draw(history, images, labels, probabilities, folder):
    """Draw the learning curves and sample predictions, if matplotlib is installed."""
    try:
        import matplotlib
    except ImportError:
        print("No pictures: matplotlib is not installed (pip install 'hornbeam[viz]').")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        epochs = range(1, len(history[name]) + 1)
        axis.plot(epochs, history[name], label="training (with dropout)")
        axis.plot(epochs, history[f"val_{name}"], label="validation")
        axis.set(xlabel="epoch", title=name)
        axis.legend()
    figure.savefig(folder / "learning_curves.png", dpi=120)

    # Half of the samples are mistakes, because these are the interesting ones.
    predicted = probabilities.argmax(axis=-1)
    mistakes = np.flatnonzero(predicted != labels)[:12]
    samples = [*mistakes, *np.flatnonzero(predicted == labels)[: 24 - len(mistakes)]]
    figure, axes = pyplot.subplots(4, 6, figsize=(9, 7), layout="constrained")
    for axis, i in zip(axes.flat, samples, strict=False):
        axis.imshow(images[i, :, :, 0], cmap="gray_r")
        color = "black" if predicted[i] == labels[i] else "red"
        sure = f"{100 * probabilities[i].max():.0f} %"
        axis.set_title(f"{predicted[i]} ({sure}), is {labels[i]}", color=color, fontsize=9)
        axis.axis("off")
    figure.savefig(folder / "sample_predictions.png", dpi=120)
    print(f"Pictures: {folder / 'learning_curves.png'}, {folder / 'sample_predictions.png'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds on part of the data")
    parser.add_argument("--epochs", type=int, help="default 10, or 2 with --quick")
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="folder to write")
    parser.add_argument("--require", type=float, default=0.0, help="fail below this accuracy")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / "best.keras"

    hb.utils.set_random_seed(options.seed)
    (x_train, y_train), (x_test, y_test) = hb.datasets.mnist.load_data()
    x_train, x_test = x_train[..., np.newaxis], x_test[..., np.newaxis]
    if options.quick:
        x_train, y_train = x_train[:6000], y_train[:6000]
    model = build_model()
    model.summary()
    epochs = options.epochs or (2 if options.quick else 10)
    history = train(model, x_train, y_train, epochs, file).history

    # The model has the weights of the last epoch; the file has the weights of the best one.
    best = hb.models.load_model(file)
    results = best.evaluate(x_test, y_test, batch_size=500, verbose=0, return_dict=True)
    print(f"Best epoch by validation: {int(np.argmax(history['val_accuracy'])) + 1} of {epochs}")
    print(f"Accuracy on the {len(x_test):,} test images: {results['accuracy']:.4f}")

    # Saving and loading once more must not change a single bit of the predictions.
    probabilities = best.predict(x_test, batch_size=500, verbose=0)
    again = options.output / "again.keras"
    best.save(again)
    reloaded = hb.models.load_model(again).predict(x_test, batch_size=500, verbose=0)
    identical = np.array_equal(probabilities, reloaded)
    print("Loaded again, it predicts", "identically." if identical else "DIFFERENTLY.")
    draw(history, x_test, y_test, probabilities, options.output)

    if not identical:
        sys.exit("The loaded model differs from the saved one.")
    if results["accuracy"] < options.require:
        sys.exit(f"The accuracy is below the required {options.require}.")


if __name__ == "__main__":
    main()
