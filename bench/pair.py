"""Hornbeam and Keras on TensorFlow in two processes that take turns.

A benchmark of this kind makes calls by name for a library, and `main` measures them in both. The
processes run on the same cores, one at a time, in an order that changes with the round, so other
work on the machine affects both. The table shows medians of wall time, and medians of the ratios of
the rounds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
Calls = dict[str, Callable[[], Any]]
# Makes the calls of a library. The second argument is whether they shall be small.
MakeCalls = Callable[[Any, bool], Calls]
# The wall and processor times of each round, by what is measured and library.
Seconds = dict[str, dict[str, list[tuple[float, float]]]]


def serve(calls: Calls) -> None:
    """Answer each line of standard input, a name, with the wall and processor time."""
    answers, sys.stdout = sys.stdout, sys.stderr  # progress bars must not mix with answers
    print(json.dumps(list(calls)), file=answers, flush=True)
    for line in sys.stdin:
        start = time.perf_counter(), time.process_time()
        result = calls[line.strip()]()
        if hasattr(result, "__array__"):
            np.asarray(result)  # waits for the device
        times = [time.perf_counter() - start[0], time.process_time() - start[1]]
        print(times, file=answers, flush=True)


class Worker:
    """A process with one library.

    Args:
        module: The benchmark's module.
        library: `"hornbeam"` or `"keras"`.
        python: The Python that has it.
        quick: Whether the calls shall be small.
    """

    def __init__(self, module: str, library: str, python: str, quick: bool):
        environment = {
            **os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [python, "-m", module, "--serve", library, *["--quick"] * quick],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )  # fmt: skip
        self.name = module

    def read(self) -> Any:
        """Return the next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"A worker of {self.name} ended early. Its error is above.")
        return json.loads(line)

    def measure(self, name: str) -> tuple[float, float]:
        """Return the seconds of one call: wall time and processor time."""
        assert self.process.stdin is not None
        print(name, file=self.process.stdin, flush=True)
        return self.read()


def compare(module: str, peer_python: str, rounds: int, quick: bool, only: str = "") -> Seconds:
    """Return the seconds of each round, by name and library.

    Args:
        module: The benchmark's module.
        peer_python: A Python with `keras` and `tensorflow`.
        rounds: Number of rounds after the first one, which only warms up.
        quick: Whether the calls shall be small.
        only: Part of the names of the calls to measure.
    """
    workers = {
        "hornbeam": Worker(module, "hornbeam", sys.executable, quick),
        "keras": Worker(module, "keras", peer_python, quick),
    }
    try:
        names = [worker.read() for worker in workers.values()][0]
        seconds: Seconds = {n: {w: [] for w in workers} for n in names if only in n}
        for name in seconds:
            for number in range(rounds + 1):
                for library in list(workers)[:: 1 if number % 2 else -1]:
                    found = workers[library].measure(name)
                    if number:
                        seconds[name][library].append(found)
            print(f"measured: {name}", file=sys.stderr)
        return seconds
    finally:
        for worker in workers.values():
            worker.process.kill()
            worker.process.wait()


def table(seconds: Seconds, times: Callable[[str], int] = lambda name: 1) -> str:
    """Return the results as a Markdown table.

    Args:
        seconds: The result of `compare`.
        times: How often a call does what it measures, by its name.
    """
    lines = [
        "| | Hornbeam, ms | Keras on TensorFlow, ms | ratio | ratio of processor time |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, found in seconds.items():
        ours, theirs = (
            statistics.median(wall for wall, _ in found[k]) / times(name) * 1e3
            for k in ("hornbeam", "keras")
        )
        wall, processor = (
            statistics.median(
                b[clock] / max(a[clock], 1e-9)
                for a, b in zip(found["hornbeam"], found["keras"], strict=True)
            )
            for clock in (0, 1)
        )
        lines.append(f"| {name} | {ours:.4g} | {theirs:.4g} | {wall:.1f} | {processor:.1f} |")
    return "\n".join(lines)


def main(
    module: str, make_calls: MakeCalls, times: Callable[[str], int] = lambda name: 1,
    description: str | None = None,
) -> None:  # fmt: skip
    """Run a comparison from the command line, or one worker of it."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--peer-python", default=sys.executable, metavar="PATH")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--only", default="", metavar="TEXT", help="part of the rows' names")
    parser.add_argument("--quick", action="store_true", help="little data, one round")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(make_calls(importlib.import_module(options.serve), options.quick))
        return
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    rounds = 1 if options.quick else options.rounds
    print(table(compare(module, options.peer_python, rounds, options.quick, options.only), times))
