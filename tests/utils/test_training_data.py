"""Sequences, packed batches and splits, compared with Keras."""

import keras
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.data import Dataset
from hornbeam.utils import (
    PyDataset,
    pack_x_y_sample_weight,
    pad_sequences,
    split_dataset,
    unpack_x_y_sample_weight,
)

NUMBERS = [[1], [2, 3], [], [4, 5, 6]]
STEPS = [[[1, 2]], [[3, 4], [5, 6]]]
TEXTS = [["a"], ["b", "cc"]]


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
def test_sequences_are_padded_as_in_keras(padding, truncating):
    for arguments in (
        {"sequences": NUMBERS},
        {"sequences": NUMBERS, "maxlen": 2},
        {"sequences": NUMBERS, "maxlen": 5, "dtype": "float32", "value": -1.5},
        {"sequences": STEPS},
        {"sequences": STEPS, "maxlen": 1},
        {"sequences": [[], [[1, 2]]], "maxlen": 2},
        {"sequences": TEXTS, "dtype": object, "value": "pad"},
        {"sequences": TEXTS, "dtype": "U3", "value": "pad"},
        {"sequences": np.arange(6).reshape(2, 3), "maxlen": 4},
        {"sequences": (np.arange(n) for n in ()), "maxlen": 2},
        {"sequences": [[], []]},
    ):
        ours = pad_sequences(**arguments, padding=padding, truncating=truncating)
        theirs = keras.utils.pad_sequences(
            **{**arguments, "sequences": list(arguments["sequences"])},
            padding=padding, truncating=truncating,
        )  # fmt: skip
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert hb.preprocessing.sequence.pad_sequences is pad_sequences


def test_edges_of_padding():
    assert pad_sequences([]).shape == (0, 0)
    assert pad_sequences([[1, 2]], maxlen=0).shape == (1, 0)
    assert pad_sequences(iter([[1], [2, 3]])).tolist() == [[0, 1], [2, 3]]
    steps = np.ones((2, 3, 2))
    np.testing.assert_array_equal(pad_sequences(steps, maxlen=4, dtype="float32")[:, 1:], steps)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"sequences": 5}, "must be a list of sequences, received 5"),
        ({"sequences": [1, 2]}, r"received \[1, 2\]"),
        ({"sequences": TEXTS, "value": "pad"}, "`dtype=object`"),
        ({"sequences": NUMBERS, "padding": "end"}, "`padding` must be 'pre' or 'post'.*'end'"),
        ({"sequences": NUMBERS, "truncating": "end"}, "`truncating`"),
        ({"sequences": NUMBERS, "maxlen": -1}, "`maxlen`.*-1"),
        ({"sequences": NUMBERS, "maxlen": 1.5}, "`maxlen`.*1.5"),
        ({"sequences": [[[1, 2]], [[1, 2, 3]]]}, r"sequence 1 have shape \(3,\); expected \(2,\)"),
    ],
)
def test_sequences_that_cannot_be_padded(arguments, match):
    with pytest.raises(ValueError, match=match):
        pad_sequences(**arguments)


def test_packed_batches_are_those_of_keras():
    for arguments in ((1,), ((1, 2),), ([1, 2],), (1, 2), (1, 2, 3), ({"a": 1},), (1, [2])):
        packed = pack_x_y_sample_weight(*arguments)
        assert packed == keras.utils.pack_x_y_sample_weight(*arguments)
        assert unpack_x_y_sample_weight(packed) == (*arguments, None, None)[:3]
    for data in (1, (1,), (1, 2), [1, 2], (1, 2, 3), {"a": 1}):
        assert unpack_x_y_sample_weight(data) == keras.utils.unpack_x_y_sample_weight(data)
    assert pack_x_y_sample_weight(1, None, 3) == (1, None, 3)
    for data in ((), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match=f"a tuple of {len(data)}"):
            unpack_x_y_sample_weight(data)


# --- splits: the values are those of Keras 3.15 ---------------------------------------------------


def parts(*args, **kwargs):
    return [
        [[np.asarray(a).tolist() for a in e] if isinstance(e, tuple) else np.asarray(e).tolist()
            for e in part]
        for part in split_dataset(*args, **kwargs)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (0.8, None, ([0, 1, 2, 3, 4, 5], [6])),
        (0.5, None, ([0, 1, 2, 3], [4, 5, 6])),
        (None, 0.5, ([0, 1, 2], [3, 4, 5, 6])),
        (3, None, ([0, 1, 2], [3, 4, 5, 6])),
        (3, 2, ([0, 1, 2], [5, 6])),
        (0.5, 0.2, ([0, 1, 2, 3], [6])),
    ],
)
def test_sizes_of_splits(left, right, expected):
    for data in (np.arange(7), Dataset.range(7), range(7)):
        assert parts(data, left_size=left, right_size=right) == list(expected)


def test_kinds_of_data_to_split():
    x = np.arange(4)
    pairs = [[[0, 0], [1, 2]], [[2, 4], [3, 6]]]
    assert parts((x, x * 2), left_size=2) == parts([x, x * 2], left_size=2) == pairs
    assert parts([1, 2, 3, 4], left_size=3) == [[1, 2, 3], [4]]
    left, right = split_dataset({"a": x}, right_size=1)
    assert [int(e["a"]) for e in (*left, *right)] == [0, 1, 2, 3]
    assert parts(Dataset.range(6).batch(2), left_size=2) == [[[0, 1], [2, 3]], [[4, 5]]]
    assert parts(iter([1, 2, 3]), left_size=1) == [[1], [2, 3]]

    class Batches(PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return np.full(2, index), np.full(2, -index)

    assert parts(Batches(), left_size=2)[1] == [[[2, 2], [-2, -2]]]
    assert len(left) == 3


def test_shuffled_splits():
    assert parts(np.arange(7), left_size=3, shuffle=True, seed=4) == [[5, 4, 6], [3, 0, 2, 1]]
    assert parts(range(7), left_size=3, shuffle=True, seed=4) == [[5, 4, 6], [3, 0, 2, 1]]
    hb.utils.set_random_seed(1)
    first = parts(np.arange(20), left_size=3, shuffle=True)
    hb.utils.set_random_seed(1)
    assert parts(np.arange(20), left_size=3, shuffle=True) == first


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({}, ValueError, "pass `left_size` or `right_size`"),
        ({"left_size": 0}, ValueError, "`left_size` must be an integer from 1 to 6.*received 0"),
        ({"left_size": 1.0}, ValueError, "between 0 and 1, received 1.0"),
        ({"right_size": 7}, ValueError, "`right_size`.*received 7"),
        ({"left_size": 0.7, "right_size": 0.7}, ValueError, "there are 7"),
        ({"left_size": 5, "right_size": 5}, ValueError, "parts of 5 and 5 samples"),
        ({"left_size": 0.01}, ValueError, "parts of 0 and 7 samples"),
        ({"left_size": "a"}, TypeError, "`left_size` must be an integer or a fraction.*'a'"),
        ({"dataset": 5, "left_size": 2}, TypeError, "arrays or a data set, received int"),
        ({"dataset": (np.arange(3), np.arange(2)), "left_size": 1}, ValueError, "number of rows"),
    ],
)
def test_splits_that_cannot_be(arguments, error, match):
    with pytest.raises(error, match=match):
        split_dataset(**{"dataset": np.arange(7), **arguments})
