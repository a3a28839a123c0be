"""An LSTM on the adding problem: return the sum of two marked numbers of a sequence.

Each step of a sequence is a number between 0 and 1 and a mark; exactly two steps are marked, one
in each half. Always answering 1 has a mean squared error of 1/6. A model with a much smaller error
has learned to remember across many steps (Hochreiter and Schmidhuber, 1997).

Run it:  python examples/lstm_sequences.py [--quick]
"""

import argparse

import numpy as np

import hornbeam as hb
from hornbeam import layers


def adding_problem(count, length, generator):
    """Return sequences of shape (count, length, 2) and their sums of shape (count, 1)."""
    numbers = generator.random((count, length), dtype="float32")
    marks = np.zeros((count, length), "float32")
    rows = np.arange(count)
    first = generator.integers(0, length // 2, count)
    second = generator.integers(length // 2, length, count)
    marks[rows, first] = marks[rows, second] = 1
    sums = numbers[rows, first] + numbers[rows, second]
    return np.stack([numbers, marks], axis=-1), sums[:, np.newaxis]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds on little data")
    options = parser.parse_args()
    length, count, epochs = (10, 2000, 3) if options.quick else (40, 20000, 15)

    hb.utils.set_random_seed(2)
    generator = np.random.default_rng(2)
    x_train, y_train = adding_problem(count, length, generator)
    x_test, y_test = adding_problem(2000, length, generator)

    model = hb.Sequential(
        [
            layers.Input((None, 2)),  # sequences of any length
            layers.LSTM(64),
            layers.Dense(1),
        ]
    )
    model.compile(optimizer=hb.optimizers.Adam(3e-3, clipnorm=1.0), loss="mse", metrics=["mae"])
    model.summary()
    model.fit(x_train, y_train, batch_size=100, epochs=epochs, verbose=2)

    baseline = float(np.mean((y_test - y_train.mean()) ** 2))
    loss, error = model.evaluate(x_test, y_test, verbose=0)
    print(f"Always answering the mean: squared error {baseline:.4f}")
    print(f"The LSTM:                  squared error {loss:.4f} (off by {error:.3f} on average)")
    for sequence, true in zip(x_test[:3], y_test[:3], strict=True):
        a, b = sequence[sequence[:, 1] == 1, 0]
        answer = model.predict(sequence[np.newaxis], verbose=0)[0, 0]
        print(f"  {a:.3f} + {b:.3f} = {true[0]:.3f}, answered {answer:.3f}")


if __name__ == "__main__":
    main()
