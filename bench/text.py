"""Measure the layers for text against Keras on TensorFlow, in turn.

    python -m bench.text --peer-python PATH [--rounds 5] [--cores 2] [--quick]

Run it in an environment with Hornbeam. PATH is a Python with `keras` and `tensorflow`. Each library
runs in its own process on the same cores. The processes take turns, in an order that changes with
the round. The table shows medians of wall time, and medians of the ratios of the rounds, which are
fair even if the machine has other work.

Both get NumPy arrays. `tensors` gives TensorFlow its own tensors of texts instead, so that it need
not convert them; Hornbeam gets NumPy arrays then too.
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
WORDS, PER_TEXT = 50_000, 230


def vocabulary() -> np.ndarray:
    """Return words of 2 to 12 letters."""
    rng = np.random.default_rng(0)
    letters = rng.integers(ord("a"), ord("z") + 1, (WORDS * 2, 12)).astype("uint32")
    letters[np.arange(12) >= rng.integers(2, 13, (len(letters), 1))] = 0
    words = np.unique(letters.view("U12")[:, 0])
    return rng.permutation(words)[:WORDS]


def make_texts(count: int) -> np.ndarray:
    """Return texts of 230 words, some capitalized or before a comma, whose frequency falls."""
    rng = np.random.default_rng(1)
    words = vocabulary().astype(object)
    words[::5] = [word.capitalize() + "," for word in words[::5]]
    places = (WORDS ** rng.random((count, PER_TEXT))).astype(int) - 1
    return np.array([" ".join(words[row]) for row in places], object)


def make_calls(library: Any, texts: int, values: int) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by name."""
    layers, many = library.layers, make_texts(texts)
    rng, words = np.random.default_rng(2), vocabulary()
    strings, integers = words[rng.integers(0, WORDS, values)], rng.integers(0, 10**9, values)
    vectorization = layers.TextVectorization(max_tokens=20_000, output_sequence_length=200)
    lookup = layers.StringLookup(vocabulary=words[: WORDS // 2].tolist())
    hashing, salted = layers.Hashing(1000), layers.Hashing(1000, salt=[1, 2])
    tensors: Any = strings
    if library.__name__ == "keras":
        tensors = importlib.import_module("tensorflow").constant(strings)
    one = many[:1]
    return {
        f"TextVectorization.adapt, {texts:,} texts": lambda: vectorization.adapt(many),
        f"TextVectorization, {texts:,} texts": lambda: vectorization(many),
        "TextVectorization, one text": lambda: [vectorization(one) for _ in range(20)],
        f"StringLookup, {values:,} texts": lambda: lookup(strings),
        f"StringLookup, {values:,} texts, tensors": lambda: lookup(tensors),
        f"Hashing, {values:,} texts": lambda: hashing(strings),
        f"Hashing, {values:,} texts, tensors": lambda: hashing(tensors),
        f"Hashing with a salt, {values:,} texts": lambda: salted(strings),
        f"Hashing, {values:,} integers": lambda: hashing(integers),
    }


def serve(library: str, texts: int, values: int) -> None:
    """Answer each line of standard input, a name, with the wall and processor time."""
    calls = make_calls(importlib.import_module(library), texts, values)
    print(json.dumps(list(calls)), flush=True)
    for line in sys.stdin:
        start = time.perf_counter(), time.process_time()
        np.asarray(calls[line.strip()]())
        print([time.perf_counter() - start[0], time.process_time() - start[1]], flush=True)


# The wall and processor times of each round, by what is measured and library.
Seconds = dict[str, dict[str, list[tuple[float, float]]]]


class Worker:
    """A process with one library."""

    def __init__(self, library: str, python: str, options: argparse.Namespace):
        environment = {
            **os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu",
        }  # fmt: skip
        sizes = [str(options.texts), str(options.values)]
        self.process = subprocess.Popen(
            [python, "-m", "bench.text", "--serve", library, *sizes],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )  # fmt: skip
        self.names: list[str] = []

    def read(self) -> Any:
        """Return the next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("A worker of bench.text ended early. Its error is above.")
        return json.loads(line)

    def measure(self, name: str) -> tuple[float, float]:
        """Return the seconds of one call: wall time and processor time."""
        assert self.process.stdin is not None
        print(name, file=self.process.stdin, flush=True)
        return self.read()


def compare(options: argparse.Namespace) -> Seconds:
    """Return the seconds of each round, by name and library."""
    workers = {
        "hornbeam": Worker("hornbeam", sys.executable, options),
        "keras": Worker("keras", options.peer_python, options),
    }
    try:
        names = [worker.read() for worker in workers.values()][0]
        seconds: Seconds = {n: {w: [] for w in workers} for n in names}
        for name in names:
            for number in range(options.rounds + 1):
                for library in list(workers)[:: 1 if number % 2 else -1]:
                    found = workers[library].measure(name)
                    if number:  # the first round only warms up
                        seconds[name][library].append(found)
        return seconds
    finally:
        for worker in workers.values():
            worker.process.kill()
            worker.process.wait()


def table(seconds: Seconds) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| | Hornbeam, ms | Keras on TensorFlow, ms | ratio | ratio of processor time |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, found in seconds.items():
        times = 20 if "one text" in name else 1
        ours, theirs = (
            statistics.median(wall for wall, _ in found[k]) / times * 1e3
            for k in ("hornbeam", "keras")
        )
        wall, processor = (
            statistics.median(
                b[clock] / a[clock] for a, b in zip(found["hornbeam"], found["keras"], strict=True)
            )
            for clock in (0, 1)
        )
        lines.append(f"| {name} | {ours:.4g} | {theirs:.4g} | {wall:.1f} | {processor:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the comparison, or one worker of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.text", description=__doc__)
    parser.add_argument("--peer-python", default=sys.executable, metavar="PATH")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the data, one round")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], *map(int, options.serve[1:]))
        return
    options.texts, options.values = 25_000, 10_000_000
    if options.quick:
        options.texts, options.values, options.rounds = 250, 100_000, 1
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    print(table(compare(options)))


if __name__ == "__main__":
    main()
