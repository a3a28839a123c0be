"""All layers for text and categories in all their modes, against Keras on TensorFlow."""

import json

import numpy as np
import pytest
from text_rows import RECORD, digest_of, rows

import hornbeam as hb

RECORDED = json.loads(RECORD.read_text())


def as_input(x):
    """Return texts as objects, and numbers as an array."""
    array = np.asarray(x)
    return array.astype(object) if array.dtype.kind == "U" else array


def wrong(folder, layers):
    """Return the rows of some layers whose digests differ from the recorded ones."""
    chosen = [row for row in rows(folder) if row.layer in layers]
    assert chosen
    return [
        row.name
        for row in chosen
        if digest_of(row, hb.layers, as_input, folder) != RECORDED[row.name]
    ]


def test_indices(tmp_path):
    """The quick part: what needs no compiled program."""
    chosen = [row for row in rows(tmp_path) if row.arguments.get("output_mode", "int") == "int"]
    found = {row.name: digest_of(row, hb.layers, as_input, tmp_path) for row in chosen}
    assert found == {row.name: RECORDED[row.name] for row in chosen}


LAYERS = [
    "TextVectorization", "StringLookup", "IntegerLookup", "Hashing", "HashedCrossing",
    "CategoryEncoding", "Discretization",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
def test_all_rows(layer, tmp_path):
    assert wrong(tmp_path, [layer]) == []


def test_every_row_is_recorded(tmp_path):
    assert sorted(row.name for row in rows(tmp_path)) == sorted(RECORDED)
