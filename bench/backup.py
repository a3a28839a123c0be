"""Measure the cost of backups: `fit` with and without `BackupAndRestore`, in turn.

    script/bench backup [--pairs 15] [--seconds 1.5] [--steps N] [--json FILE] [--allow-percent 5]

Both run in one process. Backups are made after each epoch, which is the default. Wall time and
processor time (of all threads) are compared pair by pair, so other load on the machine affects both
sides. The result is the median of the ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.workloads.table import WORKLOADS, Workload

__all__ = ["compare", "main"]

# A model with very short steps, and one whose weights and Adam state take 70 MB.
MODELS = (
    WORKLOADS["tiny"],
    Workload("wide", "MLP 784-2048-2048-10, b128", "dense",
        {"inputs": 784, "hidden": (2048, 2048), "classes": 10}, 128, 100),
)  # fmt: skip


def clocks() -> tuple[float, float]:
    """Return the wall time and the processor time of this process."""
    return time.perf_counter(), time.process_time()


def compare(plain: Callable[[], Any], other: Callable[[], Any], pairs: int) -> dict[str, Any]:
    """Call two functions in turn, in alternating order.

    Returns:
        The seconds of all calls and the medians of the ratios `other / plain`.
    """
    seconds: dict[str, list[tuple[float, ...]]] = {"plain": [], "other": []}
    for number in range(pairs):
        turns = [("plain", plain), ("other", other)]
        for name, call in turns if number % 2 == 0 else turns[::-1]:
            before = clocks()
            call()
            seconds[name].append(
                tuple(now - then for now, then in zip(clocks(), before, strict=True))
            )
    ratios = [
        statistics.median(
            b[clock] / a[clock] for a, b in zip(seconds["plain"], seconds["other"], strict=True)
        )
        for clock in (0, 1)
    ]
    return {"seconds": seconds, "wall ratio": ratios[0], "processor ratio": ratios[1]}


def measure(workload: Workload, pairs: int, seconds: float) -> dict[str, Any]:
    """Return the cost of backups for one model; each `fit` takes about `seconds`."""
    import hornbeam
    from bench.workloads import keras_family
    from bench.workloads.data import make

    x, y = make(workload)
    model = keras_family.Trainer(hornbeam, "", workload, x, y).model

    def fit(epochs: int, folder: str | None) -> None:
        callbacks = [hornbeam.callbacks.BackupAndRestore(folder)] if folder else None
        model.fit(
            x, y, batch_size=workload.batch_size, epochs=epochs, verbose=0, callbacks=callbacks
        )

    with tempfile.TemporaryDirectory() as folder:
        fit(2, None)  # compiles, and finds the number of steps per dispatch
        fit(1, folder)
        start = time.perf_counter()
        fit(2, None)
        epochs = max(2, round(2 * seconds / (time.perf_counter() - start)))
        result = compare(lambda: fit(epochs, None), lambda: fit(epochs, folder), pairs)
    step = (
        statistics.median(wall for wall, _ in result["seconds"]["plain"])
        / (epochs * workload.steps)
        * 1e3
    )
    weights = sum(4 * w.size for w in model.get_weights()) / 2**20
    return {
        "title": workload.title,
        "epochs": epochs,
        "step ms": step,
        "weights MB": weights,
        **result,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 1 if backups cost more than allowed."""
    parser = argparse.ArgumentParser(
        prog="script/bench backup", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=15,
        help="number of fits with and without backups (default 15 each)",
    )
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="approximate length of a fit (default 1.5)"
    )
    parser.add_argument(
        "--allow-percent", type=float, default=5, help="allowed cost of backups (default 5)"
    )
    parser.add_argument("--steps", type=int, help="steps per epoch (default 100 or more)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for all measured times")
    options = parser.parse_args(arguments)
    results = {}
    for workload in MODELS:
        workload = replace(workload, steps=options.steps or workload.steps)
        results[workload.name] = result = measure(workload, options.pairs, options.seconds)
        print(
            f"{result['title']}: {result['weights MB']:.1f} MB of weights, {result['step ms']:.3f}"
            f" ms per step, {workload.steps} steps per epoch; backups cost"
            f" {100 * (result['wall ratio'] - 1):+.1f} % of wall time,"
            f" {100 * (result['processor ratio'] - 1):+.1f} % of processor time",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return int(
        any(100 * (result["wall ratio"] - 1) > options.allow_percent for result in results.values())
    )


if __name__ == "__main__":
    sys.exit(main())
