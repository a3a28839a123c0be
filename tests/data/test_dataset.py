"""`Dataset`: the elements of `tf.data`, in an order that depends on seed and pass only."""

import itertools
import threading
import time

import jax
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb
from hornbeam.data import AUTOTUNE, Dataset, DatasetSource, RowsSource, make_source

D, r = Dataset, Dataset.range


def six(n):
    return D.from_tensors(n).repeat(6)


# A data set, and the number and values of its elements in TensorFlow 2.21 (the first of them, where
# they have no end).
ROWS = [
    (lambda: r(2, 11, 3), 3, [2, 5, 8]),
    (lambda: r(10).batch(4), 3, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]),
    (lambda: r(10).batch(4, drop_remainder=True), 2, [[0, 1, 2, 3], [4, 5, 6, 7]]),
    (lambda: D.zip((r(3), r(5, 10))), 3, [[0, 5], [1, 6], [2, 7]]),
    (lambda: D.zip({"a": r(3), "b": r(2)}), 2, [{"a": 0, "b": 0}, {"a": 1, "b": 1}]),
    (lambda: D.zip(r(3), r(4)), 3, [[0, 0], [1, 1], [2, 2]]),
    (lambda: r(4).map(lambda n: n * 2), 4, [0, 2, 4, 6]),
    (lambda: D.zip((r(3), r(3))).map(lambda a, b: (a + b, a * b)), 3, [[0, 0], [2, 1], [4, 4]]),
    (
        lambda: r(3).map(lambda n: {"x": n, "y": n + 1}),
        3,
        [{"x": 0, "y": 1}, {"x": 1, "y": 2}, {"x": 2, "y": 3}],
    ),
    (lambda: r(10).filter(lambda n: n % 3 == 0), -2, [0, 3, 6, 9]),
    (lambda: r(3).repeat(), -1, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]),
    (
        lambda: r(3).repeat(-1).batch(4),
        -1,
        [
            [0, 1, 2, 0],
            [1, 2, 0, 1],
            [2, 0, 1, 2],
            [0, 1, 2, 0],
            [1, 2, 0, 1],
            [2, 0, 1, 2],
            [0, 1, 2, 0],
            [1, 2, 0, 1],
            [2, 0, 1, 2],
            [0, 1, 2, 0],
            [1, 2, 0, 1],
            [2, 0, 1, 2],
        ],
    ),
    (lambda: r(5).repeat(3).batch(4), 4, [[0, 1, 2, 3], [4, 0, 1, 2], [3, 4, 0, 1], [2, 3, 4]]),
    (
        lambda: r(5).repeat(3).batch(4, drop_remainder=True),
        3,
        [[0, 1, 2, 3], [4, 0, 1, 2], [3, 4, 0, 1]],
    ),
    (lambda: r(5).take(3), 3, [0, 1, 2]),
    (lambda: r(5).take(9), 5, [0, 1, 2, 3, 4]),
    (lambda: r(5).take(-1), 5, [0, 1, 2, 3, 4]),
    (lambda: r(5).skip(3), 2, [3, 4]),
    (lambda: r(5).skip(9), 0, []),
    (lambda: r(5).skip(-1), 0, []),
    (lambda: r(10).skip(2).take(4).batch(3), 2, [[2, 3, 4], [5]]),
    (lambda: r(3).repeat().skip(4).take(5), 5, [1, 2, 0, 1, 2]),
    (lambda: r(3).concatenate(r(7, 9)), 5, [0, 1, 2, 7, 8]),
    (lambda: r(3).concatenate(r(7, 9)).batch(2), 3, [[0, 1], [2, 7], [8]]),
    (lambda: r(3, 5).enumerate(7), 2, [[7, 3], [8, 4]]),
    (lambda: r(10).shard(3, 1), 3, [1, 4, 7]),
    (lambda: r(10).shard(3, 2).batch(2), 2, [[2, 5], [8]]),
    (
        lambda: (
            D.zip((r(5), r(5, 10))).window(2).flat_map(lambda a, b: D.zip((a.batch(2), b.batch(2))))
        ),
        -2,
        [[[0, 1], [5, 6]], [[2, 3], [7, 8]], [[4], [9]]],
    ),
    (
        lambda: r(5).map(lambda n: {"x": n}).window(2).map(lambda w: w),
        3,
        [{"x": [0, 1]}, {"x": [2, 3]}, {"x": [4]}],
    ),
    (
        lambda: r(1, 6).interleave(lambda n: D.range(n), cycle_length=3, block_length=2),
        -2,
        [0, 0, 1, 0, 1, 0, 1, 2, 2, 3, 0, 1, 2, 3, 4],
    ),
    (lambda: r(4).flat_map(lambda n: D.range(n)), -2, [0, 0, 1, 0, 1, 2]),
    (lambda: r(6).batch(4).unbatch(), -2, [0, 1, 2, 3, 4, 5]),
    (
        lambda: D.from_tensor_slices(([[1, 2], [3, 4]], [[5], [6]])).batch(2).unbatch(),
        -2,
        [[[1, 2], [5]], [[3, 4], [6]]],
    ),
    (lambda: r(10).batch(3).rebatch(4), -2, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]),
    (lambda: r(10).batch(3).rebatch(4, drop_remainder=True), -2, [[0, 1, 2, 3], [4, 5, 6, 7]]),
    (lambda: r(10).batch(7).rebatch(2), -2, [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]),
    (
        lambda: D.from_tensor_slices(([1, 2, 3], {"a": [[1.0], [2.0], [3.0]]})),
        3,
        [[1, {"a": [1.0]}], [2, {"a": [2.0]}], [3, {"a": [3.0]}]],
    ),
    (lambda: r(5).prefetch(2), 5, [0, 1, 2, 3, 4]),
    (lambda: r(5).cache().repeat(2), 10, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]),
    (lambda: r(10).batch(2).batch(2), 3, [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9]]]),
    (lambda: D.from_tensors(([1, 2], 3)).repeat(2), 2, [[[1, 2], 3], [[1, 2], 3]]),
    (lambda: r(5).batch(2).batch(2), 2, [[[0, 1], [2, 3]], [[4]]]),
    (lambda: r(3).repeat(0), 0, []),
    (lambda: r(3).repeat(2), 6, [0, 1, 2, 0, 1, 2]),
    (lambda: r(11).window(3, None, 1, False), 4, [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]),
    (lambda: r(11).window(3, None, 1, True), 3, [[0, 1, 2], [3, 4, 5], [6, 7, 8]]),
    (
        lambda: r(11).window(3, 1, 1, True),
        9,
        [
            [0, 1, 2],
            [1, 2, 3],
            [2, 3, 4],
            [3, 4, 5],
            [4, 5, 6],
            [5, 6, 7],
            [6, 7, 8],
            [7, 8, 9],
            [8, 9, 10],
        ],
    ),
    (
        lambda: r(11).window(3, 2, 2, False),
        6,
        [[0, 2, 4], [2, 4, 6], [4, 6, 8], [6, 8, 10], [8, 10], [10]],
    ),
    (lambda: r(11).window(3, 2, 2, True), 4, [[0, 2, 4], [2, 4, 6], [4, 6, 8], [6, 8, 10]]),
    (lambda: r(11).window(2, 5, 1, False), 3, [[0, 1], [5, 6], [10]]),
    (lambda: r(11).window(2, 5, 1, True), 2, [[0, 1], [5, 6]]),
    (
        lambda: r(11).window(3, 1, 2, False),
        11,
        [
            [0, 2, 4],
            [1, 3, 5],
            [2, 4, 6],
            [3, 5, 7],
            [4, 6, 8],
            [5, 7, 9],
            [6, 8, 10],
            [7, 9],
            [8, 10],
            [9],
            [10],
        ],
    ),
    (lambda: r(11).window(4, 4, 3, True), 1, [[0, 3, 6, 9]]),
    (
        lambda: r(1, 6).interleave(six, cycle_length=2, block_length=4),
        -2,
        [1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 3, 3, 4, 4, 5, 5, 5, 5, 5, 5],
    ),
    (
        lambda: r(1, 6).interleave(six, cycle_length=1, block_length=1),
        -2,
        [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5],
    ),
    (
        lambda: r(1, 6).interleave(six, cycle_length=3, block_length=2),
        -2,
        [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 4, 4, 5, 5, 4, 4, 5, 5],
    ),
    (
        lambda: r(1, 6).interleave(six, cycle_length=5, block_length=1),
        -2,
        [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5],
    ),
    (
        lambda: r(1, 6).interleave(six, cycle_length=8, block_length=4),
        -2,
        [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5],
    ),
]


def plain(element):
    """Return an element as plain data."""
    if isinstance(element, tuple):
        return [plain(part) for part in element]
    if isinstance(element, dict):
        return {key: plain(value) for key, value in element.items()}
    if isinstance(element, Dataset):
        return [plain(part) for part in element]
    return np.asarray(element).tolist()


@pytest.mark.parametrize(("make", "count", "values"), ROWS, ids=range(len(ROWS)))
def test_elements_are_those_of_tf_data(make, count, values):
    data = make()
    assert data.cardinality() == count
    assert [plain(e) for e in data.take(len(values) + (count >= -2 and count != -1))] == values
    # A pass can begin at any element.
    for start in range(len(values) + 1):
        rest = data.elements(seed=0, epoch=0, start=start)
        assert [plain(e) for e in itertools.islice(rest, len(values) - start)] == values[start:]
    if count >= 0:
        assert len(data) == count
    else:
        with pytest.raises(TypeError, match="infinite" if count == -1 else "unknown"):
            len(data)


# --- order ----------------------------------------------------------------------------------------


def stream(n):
    return D.from_generator(lambda: range(n))


SHUFFLED = {
    "rows": lambda **a: r(20).shuffle(5, **a),
    "stream": lambda **a: stream(20).shuffle(5, **a),
    "rows in batches": lambda **a: r(20).shuffle(20, **a).batch(3),
    "repeated": lambda **a: r(20).shuffle(20, **a).repeat(2).batch(3),
    "without end": lambda **a: r(20).shuffle(20, **a).repeat().batch(3).take(20),
    "mapped": lambda **a: r(20).shuffle(20, **a).map(lambda n: n * 2).batch(3),
    "in parts": lambda **a: r(10).shuffle(10, **a).concatenate(r(10).shuffle(10, **a)).batch(3),
    "zipped": lambda **a: D.zip(r(20).shuffle(20, **a), stream(20).shuffle(4, **a)),
    "interleaved": lambda **a: r(4).interleave(lambda n: r(5).shuffle(5, **a)),
    "ahead": lambda **a: r(20).shuffle(20, **a).prefetch(2),
}


def read(data, seed=0, epoch=0, start=0):
    return [plain(element) for element in data.elements(seed, epoch, start)]


@pytest.mark.parametrize("name", SHUFFLED)
def test_the_order_is_a_function_of_seed_and_pass(name):
    make = SHUFFLED[name]
    whole = read(make(), seed=1, epoch=2)
    assert whole == read(make(), seed=1, epoch=2)
    assert whole != read(make(), seed=1, epoch=3)
    assert whole != read(make(), seed=2, epoch=2)
    for start in (1, 4, len(whole)):
        assert read(make(), seed=1, epoch=2, start=start) == whole[start:]
    seeded = read(make(seed=7), seed=1, epoch=2)
    assert seeded == read(make(seed=7), seed=5, epoch=2) != read(make(seed=8), seed=1, epoch=2)
    fixed = make(seed=7, reshuffle_each_iteration=False)
    assert read(fixed, epoch=0) == read(fixed, epoch=1)
    again = make()
    assert [plain(e) for e in again] != [plain(e) for e in again]


def test_rows_are_shuffled_completely_and_streams_in_a_window():
    numbers = read(r(1000).shuffle(2))
    assert sorted(numbers) == list(range(1000))
    assert np.mean(np.abs(np.array(numbers) - np.arange(1000))) > 250
    numbers = read(stream(1000).shuffle(10))
    assert sorted(numbers) == list(range(1000))
    assert max(place - number for place, number in enumerate(numbers)) < 200
    assert all(number - place < 10 for place, number in enumerate(numbers))
    with pytest.raises(ValueError, match="`buffer_size` must be given"):
        list(stream(3).shuffle())


def test_batches_of_rows_equal_those_of_elements():
    x = np.random.default_rng(0).normal(size=(23, 2))
    data = D.from_tensor_slices({"x": x, "n": np.arange(23)}).shuffle(5).repeat(2).skip(3)
    for drop in (False, True):
        rows = list(data.batch(4, drop_remainder=drop).elements(1, 0))
        singly = list(data.map(lambda e: e).batch(4, drop_remainder=drop).elements(1, 0))
        assert len(rows) == len(singly) == 10 + (not drop)
        jax.tree.map(np.testing.assert_array_equal, rows, singly)
        assert rows[0]["x"].dtype == "float64"


def test_what_a_function_changes_is_its_own():
    x = np.ones((6, 2))

    def halve(a):
        a /= 2
        return a

    data = D.from_tensor_slices(x)
    assert read(data.map(halve)) == read(data.batch(3).map(halve).unbatch()) == [[0.5, 0.5]] * 6
    assert x.min() == 1


def test_a_cache_reads_once():
    reads = []

    def numbers():
        reads.append(1)
        yield from range(4)

    data = D.from_generator(numbers).map(lambda n: n + 1).cache()
    assert next(iter(data)) == 1  # an incomplete pass is not kept
    for _ in range(3):
        assert read(data) == [1, 2, 3, 4]
    assert read(data.repeat(2), start=5) == [2, 3, 4]
    assert len(reads) == 2
    order = r(9).shuffle(9).cache()
    assert read(order, epoch=0) == read(order, epoch=1)
    with pytest.raises(ValueError, match="only in memory"):
        data.cache("/tmp/file")


# --- threads --------------------------------------------------------------------------------------


def test_map_in_threads_keeps_the_order():
    threads = set()

    def slow(n):
        threads.add(threading.current_thread().name)
        time.sleep(0.02 if n == 0 else 0.001)
        return n

    for parallel in (3, AUTOTUNE):
        assert read(r(20).map(slow, num_parallel_calls=parallel)) == list(range(20))
    assert len(threads) > 1
    assert "MainThread" not in threads


@pytest.mark.parametrize("parallel", [None, 2])
def test_an_error_names_its_element(parallel):
    def function(n):
        return 1 // (n - 3)

    data = stream(9).map(function, num_parallel_calls=parallel).prefetch(2)
    found = []
    with pytest.raises(ZeroDivisionError) as raised:
        found.extend(data)
    assert len(found) == 3
    assert raised.value.__notes__ == ["This was raised in Dataset.map, for element 3."]
    with pytest.raises(ZeroDivisionError) as raised:
        list(r(9).filter(lambda n: 1 // (int(n) - 4)))
    assert raised.value.__notes__ == ["This was raised in Dataset.filter, for element 4."]


def test_an_abandoned_iterator_ends_its_threads():
    endless = D.from_generator(itertools.count).map(abs, num_parallel_calls=2).prefetch(2)
    numbers = iter(endless)
    assert [next(numbers) for _ in range(3)] == [0, 1, 2]
    numbers.close()
    for _ in range(100):
        names = [thread.name for thread in threading.enumerate()]
        if not any(name.startswith(("hornbeam-prefetch", "hornbeam-data")) for name in names):
            break
        time.sleep(0.05)
    else:
        pytest.fail(f"threads that still run: {names}")


# --- arguments ------------------------------------------------------------------------------------


def test_padded_batches():
    data = D.from_generator(lambda: [([1], "a"), ([2, 3], "bc"), ([], "")])
    (numbers, texts), (last, _) = data.padded_batch(2)
    assert (plain(numbers), plain(texts), plain(last)) == ([[1, 0], [2, 3]], ["a", "bc"], [[]])
    (numbers, _), _ = data.padded_batch(2, padded_shapes=([4], []), padding_values=(-1, "-"))
    assert plain(numbers) == [[1, -1, -1, -1], [2, 3, -1, -1]]
    assert len(list(data.padded_batch(2, drop_remainder=True))) == 1
    rows = D.from_generator(lambda: [np.ones((2, 1)), np.ones((1, 3))])
    assert rows.padded_batch(2, padded_shapes=[None, -1]).get_single_element().shape == (2, 2, 3)
    with pytest.raises(ValueError, match=r"shape \(2, 3\) does not fit `padded_shapes` \(1, 3\)"):
        list(rows.padded_batch(2, padded_shapes=[1, None]))
    with pytest.raises(ValueError, match="`padded_shapes` must have the structure of an element"):
        list(data.padded_batch(2, padded_shapes=([4],)))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: D.from_tensor_slices(([1, 2], [1])), r"same number of rows.*\(2,\), \(1,\)"),
        (lambda: D.from_tensor_slices(5), "from_tensor_slices: expected arrays with rows"),
        (lambda: D.from_tensor_slices([[1], [1, 2]]), "rows of different shapes"),
        (lambda: list(D.from_generator(lambda: [[1], [1, 2]]).batch(2)),
            r"element 1 has shape \(2,\), and element 0 has shape \(1,\). Use `padded"),
        (lambda: list(D.from_generator(lambda: [(1, 2), (1,)]).batch(2)), "different structure"),
        (lambda: r(3).batch(0), "Dataset.batch: `batch_size` must be a positive integer"),
        (lambda: r(3).batch(2.5), "received 2.5"),
        (lambda: r(3).shuffle(-3), "`buffer_size`"),
        (lambda: r(3).take(-2), "`count` must be an integer of at least 0"),
        (lambda: r(3).window(0), "Dataset.window: `size`"),
        (lambda: r(3).shard(2, 2), "`index` must be less than `num_shards`=2"),
        (lambda: r(3).get_single_element(), "expected exactly one element"),
        (lambda: list(r(3).unbatch()), r"unbatch: all arrays .* shapes \(\)"),
    ],
)  # fmt: skip
def test_wrong_values(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_wrong_types():
    with pytest.raises(TypeError, match="A generator can be read only once"):
        D.from_generator(iter([1]))
    with pytest.raises(TypeError, match="Dataset.zip: expected data sets"):
        D.zip(r(3), [1, 2])
    with pytest.raises(TypeError, match="Dataset.flat_map: `map_func` must return a Dataset"):
        list(r(3).flat_map(lambda n: [n]))
    with pytest.raises(TypeError, match="must be callable"):
        r(3).map(3)


def test_other_ways_in_and_out():
    pd = pytest.importorskip("pandas")
    table = D.from_tensor_slices(pd.DataFrame({"a": [1, 2], "b": [3.0, 4.0]}))
    assert read(table) == [{"a": 1, "b": 3.0}, {"a": 2, "b": 4.0}]
    typed = D.from_generator(lambda n: [(n, [n])], args=(3,), output_types=("float32", "int8"))
    x, y = typed.get_single_element()
    assert (x.dtype, y.dtype) == ("float32", "int8")
    spec = (jax.ShapeDtypeStruct((), "float16"), jax.ShapeDtypeStruct((1,), "int8"))
    x, _ = D.from_generator(lambda: [(1, [2])], output_signature=spec).get_single_element()
    assert x.dtype == "float16"
    ops = r(3).map(lambda n: hb.ops.add(n, 1))
    assert all(type(n) is np.ndarray for n in ops.as_numpy_iterator())
    assert r(4).reduce(0, lambda a, b: a + b) == 6
    assert read(r(4).apply(lambda data: data.batch(2))) == [[0, 1], [2, 3]]
    assert bool(r(0))
    assert repr(r(3).repeat()) == "<Dataset of infinitely many elements>"


# --- training -------------------------------------------------------------------------------------


def model_and_data():
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    hb.utils.set_random_seed(3)
    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model, x, y


def test_models_take_data_sets():
    model, x, y = model_and_data()
    batches = D.from_tensor_slices((x, y)).batch(8)
    with_arrays = model_and_data()[0]
    expected = with_arrays.fit(
        x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, validation_data=(x, y)
    )
    history = model.fit(batches, epochs=2, verbose=0, validation_data=batches)
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, rtol=1e-5)
    np.testing.assert_allclose(model.evaluate(batches, verbose=0), history.history["val_loss"][-1],
        rtol=1e-5)  # fmt: skip
    np.testing.assert_array_equal(
        model.predict(batches, verbose=0), model.predict(x, batch_size=8, verbose=0)
    )
    layer = hb.layers.Normalization()
    layer.adapt(batches.map(lambda x, y: x))
    np.testing.assert_allclose(layer.mean[0], x.mean(axis=0), rtol=1e-5, atol=1e-6)
    # Without end, an epoch has as many steps as the user says, and the next one goes on.
    seen = []
    endless = D.from_tensor_slices((x, y, np.arange(40.0))).batch(8).repeat()
    endless = endless.map(lambda x, y, n: (seen.append(int(n[0])), (x, y))[1])
    model.fit(endless, epochs=2, steps_per_epoch=3, verbose=0)
    assert seen[:6] == [0, 8, 16, 24, 32, 0]


def doubled(x, y):
    return 2 * x, y


def parts(rows):
    """Return a data set of four data sets, read two at a time."""
    return r(4).interleave(lambda n: rows.shard(4, int(n)), cycle_length=2, block_length=3)


def read_in_order(rows):
    """Return the rows as elements that must be read one after another."""
    return D.from_generator(lambda: iter(rows))


PIPELINES = {
    "rows": lambda rows: rows.shuffle(40).batch(8),
    "batches mapped": lambda rows: rows.shuffle(40).batch(8).map(doubled),
    "mapped by threads": lambda rows: rows.shuffle(40).map(doubled, num_parallel_calls=3).batch(8),
    "read ahead": lambda rows: rows.shuffle(40).batch(8).map(doubled).prefetch(3),
    "repeated": lambda rows: rows.take(20).shuffle(20).repeat(2).batch(8),
    "without an end": lambda rows: rows.shuffle(40).batch(8).repeat(),
    "interleaved": lambda rows: parts(rows).batch(8),
    "a stream in a window": lambda rows: read_in_order(rows).shuffle(10).batch(8),
    "all of them": lambda rows: (
        parts(rows).shuffle(10).map(doubled, num_parallel_calls=3).batch(8).repeat().prefetch(2)
    ),
}


@pytest.mark.parametrize("name", mostly_slow(PIPELINES, ["rows", "all of them"]))
def test_training_resumes_inside_a_pass(tmp_path, name):
    class Stop(hb.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.params.get("stop") and self.model.optimizer.iterations == 7:
                raise KeyboardInterrupt

    def train(stop, folder):
        model, x, y = model_and_data()
        hb.utils.set_random_seed(5)
        data = PIPELINES[name](D.from_tensor_slices((x, y)))
        callback = Stop()
        callback.params = {"stop": stop}
        callback.set_params = lambda params: None
        try:
            backup = hb.callbacks.BackupAndRestore(folder, save_freq=2)
            model.fit(
                data, epochs=3, steps_per_epoch=None if len_of(data) else 5, verbose=0,
                callbacks=[backup, callback],
            )  # fmt: skip
        except KeyboardInterrupt:
            return None
        return model.get_weights()

    expected = train(stop=False, folder=tmp_path / "other")
    assert train(stop=True, folder=tmp_path / "backup") is None
    found = train(stop=False, folder=tmp_path / "backup")
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def len_of(data):
    """Return the number of batches, or 0 if there is no end or it is not known."""
    return max(data.cardinality(), 0)


SOURCES = {
    "in order": (lambda rows: rows.batch(4), RowsSource),
    "shuffled": (lambda rows: rows.shuffle(3).batch(4).prefetch(2), RowsSource),
    "seeded": (lambda rows: rows.shuffle(3, seed=1).batch(4), RowsSource),
    "whole batches": (lambda rows: rows.batch(5, drop_remainder=True), RowsSource),
    "kept": (lambda rows: rows.shuffle(3).cache().batch(4), RowsSource),
    "without the rest": (lambda rows: rows.batch(4, drop_remainder=True), DatasetSource),
    "some rows": (lambda rows: rows.skip(2).batch(4), DatasetSource),
    "repeated": (lambda rows: rows.repeat(2).batch(4), DatasetSource),
    "mapped": (lambda rows: rows.map(lambda *e: e).batch(4), DatasetSource),
    "mapped batches": (lambda rows: rows.batch(4).map(lambda *e: e), DatasetSource),
    "padded": (lambda rows: rows.padded_batch(4), DatasetSource),
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources_of_data_sets(name):
    make, kind = SOURCES[name]
    x = np.arange(20, dtype="float32").reshape(10, 2)
    data = make(D.from_tensor_slices((x, x[:, 0], np.arange(10, dtype="int32"))))
    source = make_source(data)
    assert type(source) is kind
    assert (source.num_batches, source.can_restart, source.own_batches) == (len(data), True, True)
    for epoch, start in ((0, 0), (1, 1)):
        ours = list(source.epoch(5, epoch, start))
        jax.tree.map(np.testing.assert_array_equal, ours, list(data.elements(5, epoch, start)))


def test_sources_of_other_data_sets():
    assert make_source(r(5).repeat().batch(2)).num_batches is None
    assert type(make_source(D.from_tensor_slices(np.array(["a", "b"])).batch(2))) is DatasetSource
    assert type(make_source(r(5))) is DatasetSource
    with pytest.raises(ValueError, match="`y` must be None"):
        make_source(r(5).batch(2), np.zeros(5))
    with pytest.raises(ValueError, match="`utils.split_dataset`"):
        make_source(r(5).batch(2)).split(0.5)
    layer = hb.layers.Normalization(axis=None)
    layer.adapt(r(2**40, 2**40 + 4).batch(2))  # numbers that 32 bits would not hold
    np.testing.assert_allclose(layer.mean, 2**40, rtol=1e-6)


def test_class_weights_follow_the_order():
    model, x, _ = model_and_data()
    y = (np.arange(40) % 2).astype("int32")
    rows = D.from_tensor_slices((x, y)).shuffle(40, seed=2)
    values = []
    for data in (rows.batch(8), rows.map(lambda *e: e).batch(8)):
        model, *_ = model_and_data()
        with pytest.warns(UserWarning, match="no effect"):
            history = model.fit(
                data, class_weight={0: 1.0, 1: 3.0}, verbose=0, batch_size=3, epochs=2
            )
        values.append(history.history["loss"])
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5)
