"""Learnable data, made once by the runner; all workers read them from the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.workloads.table import Workload

__all__ = ["load", "make", "save"]


def make(workload: Workload, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and class numbers.

    Rows are float32 values, a centre for each class plus noise, or int32 tokens that depend on the
    class.
    """
    rng = np.random.default_rng(seed)
    sizes, rows = workload.sizes, workload.rows
    if "vocabulary" in sizes:
        return (_sentences if sizes.get("language") else _documents)(rng, rows, **sizes)
    shape = sizes.get("image") or (sizes["inputs"],)
    y = rng.integers(sizes["classes"], size=rows, dtype=np.int32)
    centres = rng.standard_normal((sizes["classes"], *shape), dtype=np.float32)
    x = rng.standard_normal((rows, *shape), dtype=np.float32)
    x += 0.5 * centres[y]
    return x, y


def _documents(
    rng: Any, rows: int, vocabulary: int, length: int, classes: int, **_: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return documents in which a quarter of the words are among the 50 words of their class."""
    y = rng.integers(classes, size=rows, dtype=np.int32)
    words = rng.integers(50 * classes, vocabulary, size=(rows, length), dtype=np.int32)
    own = 50 * y[:, None] + rng.integers(50, size=(rows, length), dtype=np.int32)
    return np.where(rng.random((rows, length)) < 0.25, own, words).astype(np.int32), y


def _sentences(
    rng: Any, rows: int, vocabulary: int, length: int, **_: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens and the tokens that follow them.

    In three of four cases a fixed permutation determines the next token; otherwise it is random.
    """
    follower = rng.permutation(vocabulary).astype(np.int32)
    tokens = rng.integers(vocabulary, size=(rows, length + 1), dtype=np.int32)
    kept = rng.random((rows, length)) < 0.75
    for t in range(length):
        tokens[:, t + 1] = np.where(kept[:, t], follower[tokens[:, t]], tokens[:, t + 1])
    return tokens[:, :-1].copy(), tokens[:, 1:].copy()


def save(workload: Workload, folder: Path) -> None:
    """Write the workload's data into `folder`."""
    for name, array in zip("xy", make(workload), strict=True):
        np.save(folder / f"{name}.npy", array)


def load(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the data that `save` wrote."""
    return np.load(folder / "x.npy"), np.load(folder / "y.npy")
