"""Measure the layers for text against Keras on TensorFlow, in turn.

    python -m bench.text --peer-python PATH [--rounds 5] [--cores 2] [--only TEXT] [--quick]

Run it in an environment with Hornbeam. PATH is a Python with `keras` and `tensorflow`.

Both get NumPy arrays. In rows of ready texts, each library gets texts in a form that it need not
convert: TensorFlow its tensors of texts, and Hornbeam an array of bytes, NumPy's `StringDType` or,
if PyArrow is installed, an Arrow array.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np

from bench import pair

WORDS, PER_TEXT = 50_000, 230
REPEATS = 20  # of the call with one text


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


def ready(library: Any, strings: np.ndarray) -> dict[str, Any]:
    """Return texts in forms that a library need not convert, by name."""
    bytes_of = strings.astype("S")
    forms = {"ready bytes": bytes_of, "ready StringDType": strings.astype(np.dtypes.StringDType())}
    objects = bytes_of.astype(object)
    if library.__name__ == "keras":
        tensor = importlib.import_module("tensorflow").constant(strings)
        return dict.fromkeys([*forms, "ready objects", "ready Arrow array"], tensor)
    forms["ready objects"] = objects
    if importlib.util.find_spec("pyarrow"):
        forms["ready Arrow array"] = importlib.import_module("pyarrow").array(objects, "string")
    return forms


def make_calls(library: Any, quick: bool) -> pair.Calls:
    """Return what is measured, by name."""
    texts, values = (250, 100_000) if quick else (25_000, 10_000_000)
    layers, many = library.layers, make_texts(texts)
    rng, words = np.random.default_rng(2), vocabulary()
    strings, integers = words[rng.integers(0, WORDS, values)], rng.integers(0, 10**9, values)
    vectorization = layers.TextVectorization(max_tokens=20_000, output_sequence_length=200)
    lookup = layers.StringLookup(vocabulary=words[: WORDS // 2].tolist())
    hashing, salted = layers.Hashing(1000), layers.Hashing(1000, salt=[1, 2])
    one = many[:1]
    calls: pair.Calls = {
        f"TextVectorization.adapt, {texts:,} texts": lambda: vectorization.adapt(many),
        f"TextVectorization, {texts:,} texts": lambda: vectorization(many),
        "TextVectorization, one text": lambda: [vectorization(one) for _ in range(REPEATS)],
        f"StringLookup, {values:,} texts": lambda: lookup(strings),
        f"Hashing, {values:,} texts": lambda: hashing(strings),
        f"Hashing with a salt, {values:,} texts": lambda: salted(strings),
        f"Hashing, {values:,} integers": lambda: hashing(integers),
    }
    for form, given in ready(library, strings).items():
        calls[f"StringLookup, {values:,} {form}"] = lambda given=given: lookup(given)
        calls[f"Hashing, {values:,} {form}"] = lambda given=given: hashing(given)
    return calls


def times(name: str) -> int:
    """Return how often a call does what it measures."""
    return REPEATS if "one text" in name else 1


if __name__ == "__main__":
    pair.main("bench.text", make_calls, times, __doc__)
