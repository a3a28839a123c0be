"""A GRU that forecasts a noisy wave step by step, from its previous forecasts.

The training series is a sum of two sine waves with noise. The network sees 40 steps and learns the
41st; later it continues the series from its own forecasts. The baseline repeats the last known
value.

Run it:  python examples/gru_sequences.py [--quick]
"""

import argparse

import numpy as np

import hornbeam as hb
from hornbeam import layers

WINDOW = 40


def wave(steps, generator):
    t = np.arange(steps)
    clean = 0.6 * np.sin(2 * np.pi * t / 25) + 0.4 * np.sin(2 * np.pi * t / 60)
    return (clean + generator.normal(0, 0.03, steps)).astype("float32")


def windows(series):
    """Return all windows of WINDOW steps, (B, WINDOW, 1), and the next value of each, (B, 1)."""
    stretches = np.lib.stride_tricks.sliding_window_view(series, WINDOW + 1)
    return stretches[:, :-1, np.newaxis], stretches[:, -1:]


def forecast(model, start, steps):
    """Continue a series: each forecast becomes part of the next window."""
    series = list(start)
    for _ in range(steps):
        window = np.array(series[-WINDOW:], "float32").reshape(1, WINDOW, 1)
        series.append(float(model.predict(window, verbose=0)[0, 0]))
    return np.array(series[len(start) :])


def plot(values, width=61):
    """Draw a series as text, one line per step."""
    for value in values:
        place = round((np.clip(value, -1.2, 1.2) + 1.2) / 2.4 * (width - 1))
        print("  " + " " * place + "*" + f"{value:{width - place + 6}.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds on little data")
    options = parser.parse_args()
    length, epochs = (600, 6) if options.quick else (4000, 12)

    hb.utils.set_random_seed(3)
    generator = np.random.default_rng(3)
    series = wave(length, generator)
    x, y = windows(series[:-60])
    model = hb.Sequential([layers.Input((WINDOW, 1)), layers.GRU(32), layers.Dense(1)])
    model.compile(optimizer=hb.optimizers.Adam(5e-3), loss="mse")
    model.summary()
    slower = hb.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=2)
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=2, callbacks=[slower])

    truth = series[-60:]
    continued = forecast(model, series[:-60], 60)
    yardstick = np.full(60, series[-61])
    print(f"Repeating the last value: off by {np.abs(yardstick - truth).mean():.3f} on average")
    print(f"60 forecast steps:        off by {np.abs(continued - truth).mean():.3f} on average")
    print("The first 25 of them:")
    plot(continued[:25])


if __name__ == "__main__":
    main()
