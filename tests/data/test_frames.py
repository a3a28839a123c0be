"""Data frames: whole or in batches, with columns in any order, missing or too many."""

import datetime
import decimal

import numpy as np
import pytest

import hornbeam as hb

L = hb.layers
ROWS = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
TARGETS = ROWS.sum(axis=1)
NAMES = ["a", "b", "c"]


def pandas(columns):
    return pytest.importorskip("pandas").DataFrame(columns)


def polars(columns):
    return pytest.importorskip("polars").DataFrame(columns)


def lazy_polars(columns):
    return polars(columns).lazy()


def pyarrow(columns):
    return pytest.importorskip("pyarrow").table(columns)


LIBRARIES = [pandas, polars, lazy_polars, pyarrow]


def table(make, names=NAMES, rows=slice(None), **others):
    """Return a frame of some columns of `ROWS`, and other columns."""
    return make({n: ROWS[rows, NAMES.index(n)] for n in names} | others)


def batches(make, names=NAMES, targets=True):
    """Return a generator of frames of four rows."""
    parts = [slice(i, i + 4) for i in range(0, 12, 4)]
    frames = [(table(make, names, rows), TARGETS[rows]) for rows in parts]
    return iter(frames if targets else [frame for frame, _ in frames])


@pytest.fixture(scope="module")
def models():
    """Return a model with one input and one with an input for each column, and their weights."""
    one = hb.Sequential([hb.Input((3,)), L.Dense(1)])
    inputs = [hb.Input((1,), name=name) for name in NAMES]
    named = hb.Model(inputs, L.Dense(1)(L.Concatenate()(inputs)))
    named.set_weights(one.get_weights())
    for model in (one, named):
        model.compile("sgd", "mse")
    return {"one input": one, "named inputs": named}, one.get_weights()


@pytest.mark.parametrize("make", LIBRARIES)
@pytest.mark.parametrize("kind", ["one input", "named inputs"])
def test_columns_are_found_by_name(kind, make, models):
    found, weights = models
    model = found[kind]
    model.set_weights(weights)
    arrays = ROWS if kind == "one input" else [ROWS[:, i : i + 1] for i in range(3)]
    options = {"verbose": 0, "batch_size": 4, "shuffle": False}
    loss = model.fit(arrays, TARGETS, **options).history["loss"]
    trained, expected = model.get_weights(), model.predict(arrays, verbose=0)
    for data in ({"x": table(make), "y": TARGETS}, {"x": batches(make)}):
        model.set_weights(weights)
        options = {} if "y" not in data else {"batch_size": 4, "shuffle": False}
        np.testing.assert_allclose(model.fit(**data, verbose=0, **options).history["loss"], loss,
            rtol=1e-5)  # fmt: skip
        model.set_weights(trained)
        wider = table(make, ["c", "a", "b"], more=["text"] * 12)
        for x in (wider, batches(make, ["c", "b", "a"], targets=False)):
            np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
        np.testing.assert_allclose(model.predict_on_batch(wider), expected, rtol=1e-5)
        error = model.evaluate(arrays, TARGETS, verbose=0)
        np.testing.assert_allclose(model.evaluate(wider, TARGETS, verbose=0), error, rtol=1e-5)
        for x in (table(make, ["a", "c"]), batches(make, ["c", "a"], targets=False)):
            with pytest.raises(ValueError, match="lack the column 'b'.* columns are '"):
                model.predict(x, verbose=0)


def test_columns_of_a_model_that_was_not_trained_on_a_frame():
    model = hb.Sequential([hb.Input((3,)), L.Dense(1)])
    with pytest.raises(ValueError, match="its input has 3 columns, the data have 4: .*'x'. Choose"):
        model.predict(table(pandas, x=ROWS[:, 0]), verbose=0)
    assert model.predict(table(pandas), verbose=0).shape == (12, 1)


def test_frames_with_other_names_are_taken_by_position(models):
    model = models[0]["one input"]
    model.fit(table(pandas), TARGETS, verbose=0)
    numbered = pandas(ROWS)
    np.testing.assert_allclose(
        model.predict(numbered, verbose=0), model.predict(ROWS, verbose=0), rtol=1e-5
    )


COLUMNS = {  # values of a column: what a named input of numbers gets, or an error
    "objects": ([1, 2.5], [1, 2.5]),
    "decimals": ([decimal.Decimal("1.5"), decimal.Decimal(2)], [1.5, 2]),
    "points of time": ([datetime.datetime(1970, 1, 2, 12)] * 2, [1.5, 1.5]),
    "truth values": ([True, False], [1, 0]),
    "missing numbers": ([None, 2.0], [np.nan, 2]),
    "text": (["1", "x"], "column 'a': expected numbers, received '1' .*row 0.*StringLookup"),
    "lists": ([[1], [2]], r"column 'a': expected numbers, received \[1\] \(list\) in row 0"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_kinds_of_columns_at_prediction(name):
    values, expected = COLUMNS[name]
    a, b = hb.Input((1,), name="a"), hb.Input((1,), name="b")
    model = hb.Model([a, b], a + 0 * b)
    frame = pandas({"b": [1.0, 2.0], "a": pandas({"a": values})["a"].astype(object)})
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            model.predict(frame, verbose=0)
    else:
        np.testing.assert_allclose(model.predict(frame, verbose=0)[:, 0], expected)


def test_categories_at_prediction():
    text, number = hb.Input((1,), dtype="string", name="text"), hb.Input((1,), name="number")
    known = L.StringLookup(vocabulary=["x", "y"])(text)
    model = hb.Model([text, number], hb.ops.cast(known, "float32") + number)
    frame = pandas({"number": [1.0, 2.0, 3.0], "text": ["y", "x", "z"]})
    frame["text"] = frame["text"].astype("category")
    assert model.predict(frame, verbose=0)[:, 0].tolist() == [3, 3, 3]
    frame["number"] = frame["number"].astype("category")
    assert model.predict(iter([frame]), verbose=0)[:, 0].tolist() == [3, 3, 3]


def texts(make):
    """Return texts in two batches, as columns."""
    name = make.__name__
    if name == "pyarrow":
        array = pytest.importorskip("pyarrow").array
        return [array(["a b", "b"]), array(["c"])]
    return [make({"t": ["a b", "b"]})["t"], make({"t": ["c"]})["t"]]


@pytest.mark.parametrize("make", [pandas, polars, pyarrow])
def test_columns_of_text_in_batches(make):
    vectorize = L.TextVectorization(output_sequence_length=2)
    vectorize.adapt(iter(texts(make)))
    assert vectorize.get_vocabulary() == ["", "[UNK]", "b", "c", "a"]
    model = hb.Sequential([hb.Input((1,), dtype="string"), vectorize])
    expected = [[4, 2], [2, 0], [3, 0]]
    assert model.predict(iter(texts(make)), verbose=0).tolist() == expected
    assert np.concatenate([vectorize(part) for part in texts(make)]).tolist() == expected
