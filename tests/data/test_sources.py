"""Data sources: what they yield for each kind of data, and what they reject."""

import numpy as np
import pytest

import hornbeam as hb
from hornbeam.data import ArraySource, IterableSource, Source, make_source

X = np.arange(10.0).reshape(5, 2)


def firsts(source, **kwargs):
    return [
        np.asarray(x)[:, 0].tolist()
        for x, _, _ in source.epoch(**{"seed": 0, "epoch": 0, **kwargs})
    ]


class Pieces(hb.utils.PyDataset):
    ended = 0

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X[2 * index : 2 * index + 2], np.zeros(2)

    def on_epoch_end(self):
        self.ended += 1


def test_the_kind_of_data_chooses_the_source():
    for data in (X, X.tolist(), [X, X], {"a": X}, hb.ops.ones((5, 2))):
        assert type(make_source(data)) is ArraySource
    for data in (iter([X]), Pieces()):
        assert type(make_source(data)) is IterableSource
    source = make_source(X)
    assert make_source(source) is source


def test_arrays_are_cut_into_batches():
    source = ArraySource(X, np.arange(5), batch_size=2)
    assert source.num_batches == 3
    assert firsts(source) == [[0, 2], [4, 6], [8]]
    assert firsts(source, start=2) == [[8]]
    assert source.can_restart
    assert source.bytes_per_row == 3 * 4


@pytest.mark.parametrize("shuffle", [True, "batch"])
def test_the_order_is_a_function_of_seed_and_epoch(shuffle):
    source = ArraySource(X, batch_size=2, shuffle=shuffle)
    orders = [firsts(source, seed=seed, epoch=epoch) for seed in range(4) for epoch in range(4)]
    assert orders == [
        firsts(source, seed=seed, epoch=epoch) for seed in range(4) for epoch in range(4)
    ]
    assert len({str(order) for order in orders}) > 1
    assert all(sorted(sum(order, [])) == [0, 2, 4, 6, 8] for order in orders)
    if shuffle == "batch":
        rows = [sum(order, []) for order in orders]
        assert all(r.index(2) == r.index(0) + 1 and r.index(6) == r.index(4) + 1 for r in rows)


def test_a_split_keeps_the_last_rows_for_validation():
    train, validation = ArraySource(X, np.arange(5), batch_size=2, shuffle=True).split(0.4)
    assert (train.num_rows, train.shuffle) == (3, True)
    assert (firsts(validation), validation.shuffle) == ([[6, 8]], False)
    with pytest.raises(ValueError, match="`validation_split`=0.1 leaves"):
        ArraySource(X[:1]).split(0.1)


def test_what_can_be_iterated_once_goes_on():
    source = IterableSource(X[i : i + 1] for i in range(4))
    assert not source.can_restart
    assert source.num_batches is None
    epoch = source.epoch(seed=0, epoch=0)
    assert [float(next(epoch)[0][0, 0]) for _ in range(2)] == [0, 2]
    assert firsts(source) == [[4], [6]]


def test_a_data_set_by_number_starts_anywhere():
    data = Pieces()
    source = IterableSource(data)
    assert (source.num_batches, source.can_seek, source.has_hooks, source.can_restart) == (
        2,
        True,
        True,
        True,
    )
    assert firsts(source, start=1) == [[4, 6]]
    source.on_epoch_end()
    source.close()
    assert data.ended == 1


def test_a_source_must_say_what_it_yields():
    class Own(Source):
        pass

    with pytest.raises(NotImplementedError, match="Own must implement `epoch"):
        Own().epoch(seed=0, epoch=0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"x": None}, "`x` is missing"),
        ({"x": iter([X]), "y": X}, "`y` must be None"),
        ({"x": iter([X]), "sample_weight": X}, "`sample_weight` must be None"),
        ({"x": X, "y": X[:3]}, r"same number of rows, received x\[0\]: 5, y\[0\]: 3"),
        ({"x": X[:0]}, "0 rows"),
        ({"x": np.float32(1)}, "batch axis"),
        ({"x": np.array(["a", "b"])}, "expected numbers"),
        ({"x": np.array([1, "b"], object)}, "dtype object"),
        ({"x": [[1.0], [1.0, 2.0]]}, "Pad its rows"),
        ({"x": X, "batch_size": 0}, "`batch_size` must be a positive integer"),
    ],
)
def test_data_that_cannot_be_used(arguments, text):
    with pytest.raises(ValueError, match=text):
        make_source(**arguments)
