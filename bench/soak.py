"""Train and predict many times in one process, and check that its memory stays flat.

    script/bench soak [--fits 1000] [--predicts 10000] [--allow-mb 30]

The first tenth of the calls may fill caches. After that, resident memory may grow by at most
`--allow-mb` in each part.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = ["main", "soak"]


def resident_mb() -> float:
    """Return the resident memory of this process in MB, after garbage collection."""
    gc.collect()
    try:
        return (
            int(Path("/proc/self/statm").read_text().split()[1])
            * os.sysconf("SC_PAGE_SIZE")
            / 2**20
        )
    except OSError:
        raise SystemExit(
            "soak: needs /proc to read resident memory; this system has none. Use Linux."
        ) from None


def soak(what: str, call: Callable[[int], object], calls: int, allowed_mb: float) -> bool:
    """Call `calls` times and print resident memory; return whether it stayed flat."""
    warm, interval = max(1, calls // 10), max(1, calls // 10)
    base = highest = 0.0
    for number in range(1, calls + 1):
        call(number)
        if number % interval == 0 or number == warm:
            now = resident_mb()
            if number == warm:
                base = highest = now
            highest = max(highest, now)
            print(f"{what} {number:>6}: {now:8.1f} MB ({now - base:+.1f})", flush=True)
    flat = highest - base <= allowed_mb
    verdict = "flat" if flat else "NOT flat"
    print(
        f"{what}: {verdict}, grew by {highest - base:.1f} MB after the first {warm};"
        f" {allowed_mb:.0f} allowed",
        flush=True,
    )
    return flat


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 1 if memory grew."""
    parser = argparse.ArgumentParser(prog="script/bench soak", description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=1000)
    parser.add_argument("--predicts", type=int, default=10_000)
    parser.add_argument(
        "--allow-mb", type=float, default=30, help="growth allowed in each part (default 30)"
    )
    options = parser.parse_args(arguments)

    import hornbeam
    from bench.workloads import keras_family
    from bench.workloads.data import make
    from bench.workloads.table import WORKLOADS

    workload = WORKLOADS["tiny"].quick()
    x, y = make(workload)
    trainer = keras_family.Trainer(hornbeam, "", workload, x, y)
    model, rng = trainer.model, np.random.default_rng(0)

    def fit(_: int) -> None:
        order = rng.permutation(len(x))  # new arrays each time, as with new data
        trainer.x, trainer.y = x[order], y[order]
        trainer.fit(2)

    def predict(_: int) -> None:
        model.predict(rng.standard_normal((1, x.shape[1]), np.float32), verbose=0)

    flat = soak("fit", fit, options.fits, options.allow_mb)
    flat = soak("predict", predict, options.predicts, options.allow_mb) and flat
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
