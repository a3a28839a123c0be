"""Compare 2 processes with 1 core each with 1 process with 2 cores: steps per second of `fit`.

    script/bench distribution [WORKLOAD...] [--rounds 3] [--epochs 4] [--json FILE]

Both train the same model on the same batches and take turns, in alternating order, so other load on
the machine affects both. Each turn starts new processes, which compile before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.workloads.table import WORKLOADS

__all__ = ["KINDS", "main", "measure", "train"]

KINDS = {
    "1 process, 2 cores": ("--processes", "1", "--cores", "2"),
    "2 processes, 1 core each": ("--processes", "2", "--cores", "1"),
}


def train(name: str, epochs: int) -> None:
    """Train as one of the processes; the first one prints the steps per second."""
    import jax

    import hornbeam
    from bench.workloads import keras_family
    from bench.workloads.data import make

    workload = WORKLOADS[name]
    if jax.process_count() > 1:
        hornbeam.distribution.set_distribution(hornbeam.distribution.DataParallel())
    trainer = keras_family.Trainer(hornbeam, "", workload, *make(workload))
    trainer.fit(2)  # compiles, and finds the number of steps per dispatch
    start = time.perf_counter()
    losses = trainer.fit(epochs)
    seconds = time.perf_counter() - start
    if jax.process_index() == 0:
        print(json.dumps({"speed": epochs * workload.steps / seconds, "loss": losses[-1]}))


def measure(name: str, rounds: int, epochs: int) -> dict[str, list[dict[str, float]]]:
    """Return for each kind the speed, in steps per second, and the last loss of each turn."""
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in list(KINDS) if number % 2 == 0 else list(KINDS)[::-1]:
            done = subprocess.run(
                [sys.executable, "-m", "hornbeam", "launch", *KINDS[kind],
                 "-m", "bench.distribution", "--train", name, "--epochs", str(epochs)],
                env={**os.environ, "JAX_PLATFORMS": "cpu"},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(f"{kind} failed on {name}:\n{done.stderr}")
            found[kind].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="script/bench distribution", description=__doc__.splitlines()[0]
    )
    parser.add_argument("workloads", nargs="*", default=["tiny", "mlp"], help="default: tiny, mlp")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of a turn (default 4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for all measured speeds")
    parser.add_argument("--train", metavar="WORKLOAD", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.train:
        train(options.train, options.epochs)
        return 0
    results = {}
    print("| steps per second: median (fastest) |", *(f" {kind} |" for kind in KINDS), sep="")
    print("|---|", *("---:|" for _ in KINDS), sep="")
    for name in options.workloads:
        results[name] = measure(name, options.rounds, options.epochs)
        speeds = [[turn["speed"] for turn in turns] for turns in results[name].values()]
        cells = (f" {statistics.median(s):,.0f} ({max(s):,.0f}) |" for s in speeds)
        print(f"| {WORKLOADS[name].title} |", *cells, sep="", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
