"""Rows for the layers for text and categories, with digests of what Keras on TensorFlow gives.

    KERAS_BACKEND=tensorflow python tests/support/text_rows.py

records the digests, in an environment with Keras and TensorFlow.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RECORD = Path(__file__).with_name("text_rows.json")

TEXTS = [
    "Hello, World! hello", "It's a dog-eat-dog WORLD.", "Ünïcode ÄÖ\u00a0x\u2003y z\tq\nw", "",
    "a a a b",
]  # fmt: skip
WORDS = ["a", "b", "b", "c", "c", "c", "d", "é", "zz", "a"]
QUERY = [["a", "c"], ["nope", "d"], ["", "[UNK]"], ["é", "ZZ"]]
INTEGERS = [5, 5, 7, 7, 7, 9, -2, 5, 100]
INTEGER_QUERY = [[5, 7], [100, -3], [0, 9], [-2, 12345678901]]
NUMBERS = np.array([[-1.5, 0.0], [0.5, 1.0], [2.0, 3.4], [5.5, 2.2]], "float32")
MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
HASH_MODES = MODES[:4]


class Row(NamedTuple):
    """A layer's class, its arguments, what it learns from (`None`: nothing), and its input."""

    layer: str
    arguments: dict[str, Any]
    lesson: Any
    query: Any

    @property
    def name(self) -> str:
        """Name of the row."""
        data = repr((_listed(self.lesson), _listed(self.query)))
        return f"{self.layer} {self.arguments} {zlib.crc32(data.encode()):08x}"


def _listed(data: Any) -> Any:
    return data.tolist() if isinstance(data, np.ndarray) else data


def rows(folder: Path) -> Iterator[Row]:
    """Yield the rows.

    Args:
        folder: A folder for files with vocabularies.
    """
    (folder / "words.txt").write_text("alpha\nbeta\ngamma\n")
    (folder / "integers.txt").write_text("5\n6\n")
    yield from _of_vectorization()
    yield from _of_lookups()
    yield from _of_hashes()
    for mode in HASH_MODES:
        given = {"bin_boundaries": [0.0, 1.0, 3.0], "output_mode": mode}
        for query in (NUMBERS, NUMBERS[:, :1], NUMBERS[:, 0]):
            yield Row("Discretization", given, None, query)
        yield Row("Discretization", {"num_bins": 3, "output_mode": mode}, NUMBERS, NUMBERS)
    for mode in HASH_MODES[1:]:
        for query in ([[0, 1], [2, 3]], [1, 2], [[1], [2]], 1):
            yield Row("CategoryEncoding", {"num_tokens": 4, "output_mode": mode}, None, query)


def _of_vectorization() -> Iterator[Row]:
    def row(query: Any = TEXTS, lesson: Any = TEXTS, **arguments: Any) -> Row:
        lesson = None if "vocabulary" in arguments else lesson
        return Row("TextVectorization", arguments, lesson, query)

    for mode, sizes, padded in itertools.product(
        ("int", "multi_hot", "count", "tf_idf"), (None, 2, (2,), (1, 3)), (False, True)
    ):
        last = {"output_sequence_length": 3} if padded else {}
        last = last if mode == "int" else {"pad_to_max_tokens": padded}
        yield row(output_mode=mode, ngrams=sizes, max_tokens=9, **last)
    for how in ("lower_and_strip_punctuation", "lower", "strip_punctuation", None):
        for split in ("whitespace", "character", None):
            yield row(standardize=how, split=split)
            if split is not None:
                yield row(standardize=how, split=split, ngrams=2, output_mode="count")
    yield row(vocabulary=["b", "a"])
    yield row(vocabulary=["", "[UNK]", "b", "a"])
    yield row(["alpha x beta", "gamma"], vocabulary="words.txt")
    weights = {"output_mode": "tf_idf", "vocabulary": ["b", "a"], "idf_weights": [0.5, 0.25]}
    yield row(**weights)
    yield row(**weights, max_tokens=6, pad_to_max_tokens=True)
    special = {"vocabulary": ["[UNK]", "b", "a"], "idf_weights": [0.9, 0.5, 0.25]}
    yield row(output_mode="tf_idf", **special)
    for query in ([""], [[text] for text in TEXTS], "hello world"):
        yield row(query)
    yield row([["a", "b"]], split=None)


def _of_lookups() -> Iterator[Row]:
    for mode, unknown, mask in itertools.product(MODES, (0, 1, 3), (None, "m")):
        for layer, lesson, queries in (
            ("StringLookup", WORDS, [QUERY, [["a"], ["c"]], ["a", "c"]]),
            ("IntegerLookup", INTEGERS, [INTEGER_QUERY, [[5], [7]], [5, 7]]),
        ):
            token = mask if layer == "StringLookup" or mask is None else 0
            arguments = {"output_mode": mode, "num_oov_indices": unknown, "mask_token": token}
            for query in queries if unknown else queries[1:]:
                yield Row(layer, arguments, lesson, query)
        arguments = {"output_mode": mode, "num_oov_indices": unknown}
        if mask is None and unknown:
            most = {"max_tokens": 12, "pad_to_max_tokens": True}
            yield Row("StringLookup", {**arguments, **most}, WORDS, QUERY)
            yield Row("StringLookup", {**arguments, "max_tokens": 5}, WORDS, QUERY)
    strings: list[tuple[dict[str, Any], Any]] = [
        ({"vocabulary": "words.txt"}, ["alpha", "x", "gamma"]),
        ({"vocabulary": ("x", "y")}, ["x", "z"]),
        ({"vocabulary": ["", "[UNK]", "x"], "mask_token": ""}, ["x", "", "q"]),
        ({"vocabulary": ["x"], "oov_token": "OOO"}, ["x", "OOO"]),
        ({"vocabulary": ["x", "y"], "idf_weights": [0.5, 0.7], "output_mode": "tf_idf"},
         [["x", "y", "z"]]),
        ({"vocabulary": ["x", "y"], "invert": True}, [[0, 1], [2, 5]]),
        ({"vocabulary": ["x", "y"], "invert": True, "mask_token": "", "num_oov_indices": 2},
         [[0, 1, 2], [3, 4, 5]]),
        ({"vocabulary": ["1", "2"], "num_oov_indices": 5, "salt": 7}, ["a", "b", "c", "1"]),
    ]  # fmt: skip
    for arguments, query in strings:
        yield Row("StringLookup", arguments, None, query)
    for lesson in ([["q", "x"], ["q", "y"]], ["[UNK]", "m", "x", "[UNK]", "[UNK]"]):
        yield Row("StringLookup", {"mask_token": "m"}, lesson, ["x", "m", "q"])
    for arguments in (
        {"vocabulary": [-1, 5, 6]}, {"vocabulary": [0, -1, 5, 6], "mask_token": 0},
        {"vocabulary": [5.0, 6.0]}, {"vocabulary": "integers.txt"},
    ):  # fmt: skip
        yield Row("IntegerLookup", arguments, None, [5, 6, 7, 0])
    yield Row("IntegerLookup", {"vocabulary": [5, 6], "invert": True}, None, [0, 1, 2, 3])
    yield Row("IntegerLookup", {"max_tokens": 3}, INTEGERS, [5, 7, 9, 100])


def _of_hashes() -> Iterator[Row]:
    for mode in HASH_MODES:
        for extra in (
            {}, {"mask_value": "a"}, {"salt": 3}, {"salt": [3, 4]}, {"mask_value": "", "salt": 5},
        ):  # fmt: skip
            for query in (QUERY, ["a", "b"], [["a"], ["b"]]):
                arguments = {"num_bins": 5, "output_mode": mode, **extra}
                yield Row("Hashing", arguments, None, query)
        for extra in ({}, {"mask_value": 5}):
            arguments = {"num_bins": 5, "output_mode": mode, **extra}
            yield Row("Hashing", arguments, None, INTEGER_QUERY)
    for arguments in ({"num_bins": 1}, {"num_bins": 1, "mask_value": "a"}):
        yield Row("Hashing", arguments, None, ["a", "b"])
    for mode in HASH_MODES[:2]:
        for query in (
            (["A", "B", "A"], [1, 2, 3]), ([["A"], ["B"]], [[1], [2]]),
            (["A", "B", "A"], [1, 2, 3], ["x", "y", "zz"]), ("A", 1),
        ):  # fmt: skip
            yield Row("HashedCrossing", {"num_bins": 10, "output_mode": mode}, None, query)


def digest_of(row: Row, layers: Any, as_input: Callable[[Any], Any], folder: Path) -> str:
    """Return a digest of the layer's vocabulary, boundaries and results, to four digits."""
    arguments = dict(row.arguments)
    if isinstance(arguments.get("vocabulary"), str):
        arguments["vocabulary"] = str(folder / arguments["vocabulary"])
    layer = getattr(layers, row.layer)(**arguments)
    if row.lesson is not None:
        layer.adapt(as_input(row.lesson))
    query = row.query
    found = layer(tuple(map(as_input, query)) if isinstance(query, tuple) else as_input(query))
    learned = [str(t) for t in layer.get_vocabulary()] if hasattr(layer, "get_vocabulary") else []
    learned += [round(float(b), 4) for b in getattr(layer, "bin_boundaries", [])]
    values = _plain(np.asarray(found).tolist())
    return hashlib.sha256(json.dumps([learned, values]).encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return (
        value.decode()
        if isinstance(value, bytes)
        else value
        if isinstance(value, str)
        else round(float(value), 4)
    )


def record() -> None:
    """Record the digests of Keras."""
    import tempfile

    import keras
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            row.name: digest_of(row, keras.layers, tf.constant, folder) for row in rows(folder)
        }
    RECORD.write_text(json.dumps(found, indent=0, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    record()
