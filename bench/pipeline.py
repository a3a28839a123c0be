"""Measure pipelines of data against tf.data, in turn.

    python -m bench.pipeline --peer-python PATH [--rounds 5] [--cores 2] [--only TEXT] [--quick]

Run it in an environment with Hornbeam. PATH is a Python with `keras` and `tensorflow`.

A pipeline takes rows of arrays, applies a function to each row or to each batch of 32, and reads
ahead. It is read alone, and it feeds a small network (`fit`). To show whether reading ahead hides
the pipeline, a larger network trains on batches that each take 4 ms to come, as from a slow disk,
and on batches that are there at once.
"""

from __future__ import annotations

import functools
import importlib
import time
from typing import Any

import numpy as np

from bench import pair

BATCH = 32
WAIT = 0.004  # seconds until a batch comes, less than a step of the larger network


def small(library: Any) -> Any:
    """Return the tiny network, compiled."""
    layers = library.layers
    sizes = [layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(10)]
    return compiled(library, [library.Input((20,)), *sizes])


def large(library: Any) -> Any:
    """Return a network whose step takes about 10 ms, compiled."""
    layers = library.layers
    sizes = [*(layers.Dense(1024, "relu") for _ in range(4)), layers.Dense(10)]
    return compiled(library, [library.Input((20,)), *sizes])


def compiled(library: Any, layers: list[Any]) -> Any:
    """Return a stack of layers, compiled."""
    model = library.Sequential(layers)
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    return model


def slowly(x: Any, y: Any) -> Any:
    """Return a batch after a while."""
    time.sleep(WAIT)
    return x, y


def pipelines(library: Any, rows: int) -> dict[str, Any]:
    """Return pipelines by name: hornbeam's, or those of tf.data."""
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(rows, 20)).astype("float32"), rng.integers(0, 10, rows)

    def scaled(x: Any, y: Any) -> Any:
        return x * 0.5 + 1.0, y

    if library.__name__ == "keras":
        tf = importlib.import_module("tensorflow")
        dataset: Any = tf.data.Dataset

        def wait(x: Any, y: Any) -> Any:
            x, y = tf.numpy_function(slowly, [x, y], [tf.float32, tf.int64])
            return tf.ensure_shape(x, (BATCH, 20)), tf.ensure_shape(y, (BATCH,))
    else:
        dataset, wait = library.data.Dataset, slowly
    data = dataset.from_tensor_slices(arrays)
    few = dataset.from_tensor_slices(tuple(a[: 64 * BATCH] for a in arrays)).batch(BATCH)
    return {
        "map, batch": data.map(scaled).batch(BATCH).prefetch(2),
        "batch, map": data.batch(BATCH).map(scaled).prefetch(2),
        "slow": few.map(wait).prefetch(2),
        "at once": few.prefetch(2),
    }


def drain(data: Any) -> None:
    """Read all elements."""
    for _ in data:
        pass


def make_calls(library: Any, quick: bool) -> pair.Calls:
    """Return what is measured, by name."""
    rows = 3_200 if quick else 64_000
    made = pipelines(library, rows)
    tiny, wide = small(library), large(library)
    calls: pair.Calls = {}
    for name in ("map, batch", "batch, map"):
        calls[f"{name}: {rows:,} rows read"] = functools.partial(drain, made[name])
        fit = functools.partial(tiny.fit, made[name], verbose=0)
        calls[f"{name}: {rows:,} rows train the tiny network"] = fit
    calls["64 batches at once train a larger network"] = functools.partial(
        wide.fit, made["at once"], verbose=0
    )
    calls["64 batches of 4 ms train a larger network"] = functools.partial(
        wide.fit, made["slow"], verbose=0
    )
    return calls


if __name__ == "__main__":
    pair.main("bench.pipeline", make_calls, description=__doc__)
