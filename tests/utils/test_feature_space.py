"""`FeatureSpace` against results of real Keras on TensorFlow, and models that take columns."""

import copy
import datetime
import io
import json
import zipfile

import h5py
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.data import Dataset
from hornbeam.utils import FeatureSpace

# --- values of Keras 3.15 on TensorFlow -----------------------------------------------------------

DATA = {
    "size": [0.5, 1.0, 2.0, 3.0, 4.0],
    "price": [1.0, 2.0, 4.0, 8.0, 16.0],
    "rooms": [2, 3, 2, 4, 2],
    "zip": [100, 200, 300, 400, 500],
    "city": ["Oslo", "Lima", "Oslo", "Rome", "Lima"],
    "street": ["a", "b", "c", "d", "e"],
}
NEW = {
    "size": [1.0, 9.0],
    "price": [3.0, 0.0],
    "rooms": [4, 77],
    "zip": [200, 7],
    "city": ["Rome", "Bonn"],
    "street": ["b", "zz"],
}
ROWS = {
    "names of features": lambda s: s(
        {
            "size": "float",
            "price": "float_normalized",
            "rooms": "integer_categorical",
            "city": "string_categorical",
            "street": "string_hashed",
            "zip": "integer_hashed",
        },
        hashing_dim=5,
        output_mode="dict",
    ),
    "arguments": lambda s: s(
        {
            "size": s.float_rescaled(scale=2.0, offset=1.0),
            "price": s.float(),
            "rooms": s.integer_categorical(max_tokens=3, num_oov_indices=2),
            "city": s.string_categorical(max_tokens=3),
            "zip": s.integer_hashed(3),
            "street": s.string_hashed(4),
        },
        output_mode="dict",
    ),
    "integers": lambda s: s(
        {
            "rooms": s.integer_categorical(output_mode="int"),
            "zip": s.integer_hashed(3, "int"),
            "city": s.string_categorical(output_mode="int"),
            "street": s.string_hashed(4, output_mode="int"),
            "size": s.float_rescaled(),
        },
        crosses=[s.cross(("city", "rooms"), 8, output_mode="int")],
        output_mode="dict",
    ),
    "crosses": lambda s: s(
        {
            "street": "string_hashed",
            "city": s.string_categorical(),
            "rooms": "integer_categorical",
            "zip": s.integer_hashed(6),
        },
        crosses=[("rooms", "city"), ("city", "zip"), s.cross(["street", "city"], 16)],
        crossing_dim=7,
        hashing_dim=9,
        output_mode="dict",
    ),
    "one vector": lambda s: s(
        {"rooms": s.integer_categorical(), "price": s.float_normalized(), "city": "string_hashed"},
        crosses=[("rooms", "city")],
        crossing_dim=3,
        hashing_dim=2,
    ),
    "one feature": lambda s: s({"city": "string_categorical"}),
}
# One-hot rows are written as [size, places].
EXPECTED = {
    "names of features": {
        "city": [4, [3, 0]], "price": [[-0.58659], [-1.13652]], "rooms": [4, [2, 0]],
        "size": [[1.0], [9.0]], "street": [5, [2, 2]], "zip": [5, [0, 3]],
    },
    "arguments": {
        "city": [3, [0, 0]], "price": [[3.0], [0.0]], "rooms": [3, [0, 1]],
        "size": [[3.0], [19.0]], "street": [4, [2, 2]], "zip": [3, [0, 1]],
    },
    "integers": {
        "city": [[3], [0]], "rooms": [[2], [0]], "size": [[1.0], [9.0]], "street": [[2], [2]],
        "zip": [[0], [1]], "city_X_rooms": [[3], [0]],
    },
    "crosses": {
        "city": [4, [3, 0]], "rooms": [4, [2, 0]], "street": [9, [1, 4]], "zip": [6, [3, 4]],
        "city_X_zip": [7, [2, 4]], "rooms_X_city": [7, [5, 1]], "street_X_city": [16, [3, 10]],
    },
    "one vector": [
        [0.0, 1.0, -0.58659, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0],
        [0.0, 1.0, -1.13652, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    ],
    "one feature": [4, [3, 0]],
}  # fmt: skip


def expected(rows):
    if isinstance(rows, dict):
        return {name: expected(part) for name, part in rows.items()}
    if isinstance(rows[0], int):
        return np.eye(rows[0])[rows[1]]
    return np.array(rows)


def check(found, wanted):
    if not isinstance(wanted, dict):
        found, wanted = {"": found}, {"": wanted}
    assert list(found) == list(wanted)
    for name, rows in wanted.items():
        assert found[name].shape == rows.shape, name
        np.testing.assert_allclose(found[name], rows, atol=1e-5, err_msg=name)


def chosen(space, data):
    return {name: data[name] for name in space.features}


@pytest.mark.parametrize("name", ROWS)
def test_encodings_are_those_of_keras(name):
    """Of batches, single samples, and stages of a data set, adapted to rows."""
    space, wanted = ROWS[name](FeatureSpace), expected(EXPECTED[name])
    assert not space.built
    space.adapt(Dataset.from_tensor_slices(DATA))
    new = chosen(space, NEW)
    check(space(new), wanted)
    check(space({**NEW, "other": "left out"}), wanted)
    check(space({key: np.array(values)[:, None] for key, values in new.items()}), wanted)
    first = {key: w[0] for key, w in wanted.items()} if isinstance(wanted, dict) else wanted[0]
    check(space({key: values[0] for key, values in new.items()}), first)
    check(next(iter(Dataset.from_tensor_slices(new).batch(2).map(space))), wanted)
    check(next(iter(Dataset.from_tensor_slices(new).map(space).batch(2))), wanted)
    symbolic = space.get_encoded_features()
    parts = symbolic if isinstance(symbolic, dict) else {"": symbolic}
    shapes = wanted if isinstance(wanted, dict) else {"": wanted}
    assert {key: x.shape for key, x in parts.items()} == {
        key: (None, *rows.shape[1:]) for key, rows in shapes.items()
    }
    assert [(x.name, x.shape) for x in space.get_inputs().values()] == [
        (key, (None, 1)) for key in space.features
    ]


def test_boundaries_given_and_learned():
    space = FeatureSpace(
        {"a": FeatureSpace.float_discretized(3), "b": "integer_categorical"},
        crosses=[("a", "b")], crossing_dim=4, output_mode="dict",
    )  # fmt: skip
    space.adapt({"a": [0.5, 1.0, 4.0, 5.0, 6.0, np.nan], "b": [7, 7, 8, 9, 9, 9]})
    found = space({"a": [0.0, 4.0, 9.0], "b": [7, 9, 100]})
    np.testing.assert_array_equal(found["a"], np.eye(3))
    given = FeatureSpace(
        {"a": FeatureSpace.float_discretized(3, bin_boundaries=[1.0, 2.0], output_mode="int")},
        output_mode="dict",
    )
    assert given.built  # there is nothing to learn, so no `adapt` is needed
    assert given({"a": [0.0, 1.0, 2.0]})["a"].ravel().tolist() == [0, 1, 2]


def test_own_preprocessors():
    """Layers with something to learn, with a vocabulary, with `adapt` of their own; functions."""

    class Largest(hb.layers.Layer):
        def adapt(self, data):
            self.largest = float(np.max(data))

        def call(self, x):
            return x / self.largest

    make = FeatureSpace.feature
    space = FeatureSpace({
        "a": make("string", hb.layers.TextVectorization(output_mode="multi_hot"), "float"),
        "b": make("string", hb.layers.StringLookup(vocabulary=["x", "y"]), "one_hot"),
        "c": make("float32", Largest(), "float"),
        "d": make("float32", lambda x: x + 1, "float"),
    })  # fmt: skip
    space.adapt([{"a": "q", "c": 2.0}, {"a": "r", "c": 4.0}])
    row = space({"a": "q z", "b": "y", "c": 2.0, "d": 1.0})
    np.testing.assert_array_equal(row, [1, 0, 1, 0, 0, 1, 0.5, 2])
    assert space.features["a"].kind == "feature"


PEOPLE = {
    "city": ["a", None, "b", "a"], "age": [20.0, np.nan, 40.0, 60.0], "kids": [1, 2, None, 2],
    "job": ["x", "y", "", None], "code": [7, None, 8, 9],
}  # fmt: skip
FEATURES = {
    "city": "string_categorical", "age": "float_normalized", "kids": "integer_categorical",
    "job": "string_hashed", "code": "integer_hashed",
}  # fmt: skip


def frames():
    yield "dict", PEOPLE
    yield "rows", [({name: part[row] for name, part in PEOPLE.items()}, 0) for row in range(4)]
    yield "arrays", {name: np.array(part, object) for name, part in PEOPLE.items()}


@pytest.mark.parametrize("form", ["dict", "rows", "arrays", "pandas", "pieces", "polars"])
def test_missing_values(form):
    """They are left out by `adapt`, and are unknown, the mean, -1 or the empty text."""
    data = dict(frames()).get(form)
    if form in ("pandas", "pieces"):
        pd = pytest.importorskip("pandas")
        data = pd.DataFrame(PEOPLE).astype({"kids": "Int64", "city": "string"})
        data = data if form == "pandas" else iter([data[:2], data[2:]])
    elif form == "polars":
        data = pytest.importorskip("polars").DataFrame(PEOPLE, strict=False)
    space = FeatureSpace(FEATURES, hashing_dim=6, output_mode="dict")
    space.adapt(data)
    assert space.preprocessors["city"].get_vocabulary() == ["[UNK]", "a", "b"]
    assert space.preprocessors["kids"].get_vocabulary() == [-1, 2, 1]
    np.testing.assert_allclose(space.preprocessors["age"].mean, [[40.0]])
    found = space(PEOPLE if form in ("rows", "pieces") else data)
    assert found["city"].argmax(1).tolist() == [1, 0, 2, 1]
    assert found["kids"].argmax(1).tolist() == [2, 1, 0, 1]
    assert found["age"][1, 0] == 0
    assert found["job"][2].tolist() == found["job"][3].tolist()
    none = {"city": None, "age": None, "kids": None, "job": None, "code": -1}
    for name, row in space(none).items():
        assert row.tolist() == space({**none, "code": None})[name].tolist()


def small():
    space = FeatureSpace({"f": "float", "s": "string_categorical", "i": "integer_categorical"})
    space.adapt({"f": [1.0, 2.0], "s": ["a", "b"], "i": [1, 2]})
    return space


GOOD = {"f": [1.0], "s": ["a"], "i": [1]}
WRONG = {
    "a missing column": ({"f": [1.0], "i": [1]}, "lack the column 's'. The columns are 'f', 'i'"),
    "text for a number": ({**GOOD, "f": ["1"]}, r"column 'f' \(float\): expected numbers.*'1'"),
    "a number for text": ({**GOOD, "s": [1]}, r"column 's' \(string_categorical\): expected text"),
    "a number among texts": ({**GOOD, "s": ["a", 1]}, r"column 's'.*expected text.*row 1"),
    "a fraction": ({**GOOD, "i": [1.5]}, r"column 'i'.*expected integers, received 1.5"),
    "text for an integer": ({**GOOD, "i": ["x"]}, r"column 'i'.*expected integers, received 'x'"),
    "a missing number": ({**GOOD, "f": [None]}, r"column 'f'.*row 0 is missing. Fill"),
    "other numbers of rows": ({**GOOD, "f": [1.0, 2.0]}, "different numbers of rows.*'f'"),
    "two values per row": ({**GOOD, "i": [[1, 2]]}, r"column 'i'.*one value per row.*\(1, 2\)"),
    "no dictionary": ([1.0, "a", 1], "a dictionary of columns or a data frame"),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_name_the_column(name):
    data, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        small()(data)


MISUSED = {
    "no features": (lambda s: s({}), "`features` must be a dictionary"),
    "an unknown feature": (lambda s: s({"a": "strange"}), "column 'a'.*'strange'"),
    "an output mode": (lambda s: s({"a": "float"}, output_mode="x"), "'concat', 'dict'"),
    "a feature's mode": (lambda s: s.string_hashed(3, output_mode="x"), "'int', 'one_hot'"),
    "a cross's mode": (lambda s: s.cross(("a", "b"), 3, "float"), "'int', 'one_hot'"),
    "one name": (lambda s: s.cross("ab", 3), "at least two names"),
    "an unknown cross": (
        lambda s: s({"a": "integer_hashed"}, crosses=[("a", "c")]), "unknown names 'c'"
    ),
    "a text as a cross": (lambda s: s({"a": "float"}, crosses=["ab"]), "`crosses` must hold"),
    "a cross of floats": (
        lambda s: s({"a": "float", "b": "float"}, crosses=[("a", "b")]).get_inputs(),
        "'a_X_b' needs categories or bins, but the feature 'a'",
    ),
    "integers in a vector": (
        lambda s: s({"a": s.integer_hashed(3, "int")}).get_inputs(), "'a' returns integers"
    ),
    "one-hot floats": (
        lambda s: s({"a": s.feature("float32", hb.layers.Rescaling(2.0), "one_hot")}).get_inputs(),
        "'a' must return integers for `output_mode='one_hot'`",
    ),
    "no `adapt`": (lambda s: s({"a": "float_normalized"}).get_inputs(), "is not adapted"),
    "a call before": (lambda s: s({"a": "float_normalized"})({"a": 1.0}), "is not adapted"),
    "no values": (lambda s: s(FEATURES).adapt({**PEOPLE, "age": [None] * 4}), "'age'.*no values"),
    "no column": (lambda s: s(FEATURES).adapt({"age": [1.0]}), "lack the columns 'city', 'kids'"),
    "no data": (lambda s: s(FEATURES).adapt(3), "`dataset` must be a dictionary"),
    "a change": (lambda s: small().features.__setitem__("f", "float"), "cannot be changed after"),
    "a removal": (lambda s: small().features.__delitem__("f"), "cannot be changed after"),
    "a frame": (lambda s: s.from_dataframe([1, 2]), "`df` must be a data frame"),
    "a target": (lambda s: s.from_dataframe(PEOPLE, target="y"), "lack the column 'y'"),
    "no column left": (lambda s: s.from_dataframe({"a": [1, 1]}), "a: one value only"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISUSED)
def test_errors_say_what_was_expected(name):
    run, message = MISUSED[name]
    with pytest.raises(ValueError, match=message):
        run(FeatureSpace)


def test_a_failed_adapt_keeps_what_was_learned():
    space = small()
    with pytest.raises(ValueError, match="column 'i'"):
        space.adapt({"s": ["q"], "i": ["x"]})
    assert space.preprocessors["s"].get_vocabulary() == ["[UNK]", "b", "a"]
    space.adapt(Dataset.from_tensor_slices({"s": ["q", "r", "s"], "i": [1, 2, 3]}).batch(2))
    assert space({"f": 1.0, "s": "q", "i": 1}).shape == (9,)


# --- files ----------------------------------------------------------------------------------------


def part_of_keras(name, config, build=None):
    """Return how Keras 3.15 writes a part of its module for feature spaces."""
    module = "keras.src.layers.preprocessing.feature_space"
    found = {"module": module, "class_name": name, "config": config, "registered_name": name}
    return found if build is None else {**found, "build_config": build}


def file_of_keras():
    policy = {"module": "keras", "class_name": "DTypePolicy", "registered_name": None}
    base = {"trainable": True, "dtype": {**policy, "config": {"name": "float32"}}}
    column = {"input_shape": [None, 1]}

    def layer(class_name, build, **config):
        return {
            "module": "keras.layers", "class_name": class_name, "config": {**base, **config},
            "registered_name": None, "build_config": build,
        }  # fmt: skip

    features = {
        "city": ("string", "one_hot", layer(
            "StringLookup", {}, name="city_preprocessor", invert=False, max_tokens=None,
            num_oov_indices=1, oov_token="[UNK]", mask_token=None, output_mode="int", sparse=False,
            pad_to_max_tokens=False, idf_weights=None, vocabulary=None, vocabulary_size=3,
            oov_method="floormod", salt=None, encoding="utf-8",
        )),
        "size": ("float32", "float", layer(
            "Normalization", column, name="float_normalized_preprocessor", axis=[-1], invert=False,
            mean=None, variance=None,
        )),
        "rate": ("float32", "float", part_of_keras(
            "TFDIdentity", {**base, "name": "rate_preprocessor"}, column
        )),
    }  # fmt: skip
    cross = {"feature_names": ["city", "city"], "crossing_dim": 4, "output_mode": "one_hot"}
    return {
        "module": "keras.utils", "class_name": "FeatureSpace", "registered_name": None,
        "build_config": {"city": {}, "size": column, "rate": column},
        "config": {
            "features": {
                name: part_of_keras(
                    "Feature", {"dtype": dtype, "preprocessor": made, "output_mode": mode}
                )
                for name, (dtype, mode, made) in features.items()
            },
            "output_mode": "concat", "crosses": [part_of_keras("Cross", cross)],
            "crossing_dim": 4, "hashing_dim": 32, "num_discretization_bins": 32,
        },
    }  # fmt: skip


def test_files_have_the_layout_of_keras_and_are_read_from_it(tmp_path):
    space = FeatureSpace(
        {"city": "string_categorical", "size": FeatureSpace.float_normalized(), "rate": "float"},
        crosses=[("city", "city")], crossing_dim=4,
    )  # fmt: skip
    data = {"city": ["a", "b", "a"], "size": [1.0, 2.0, 6.0], "rate": [1.0, 2.0, 3.0]}
    space.adapt(data)
    path = tmp_path / "space.keras"
    space.save(path)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    assets = [name for name in members if name.endswith(".txt")]
    assert assets == ["assets/preprocessors/string_lookup/vocabulary.txt"]
    with h5py.File(io.BytesIO(members["model.weights.h5"])) as weights:
        found = []
        weights.visititems(lambda name, item: found.append(name))
    parts = ["preprocessors/normalization", "preprocessors/tfd_identity", "concat"]
    parts += ["preprocessors/string_lookup", "crossers/hashed_crossing"]
    parts += ["one_hot_encoders/category_encoding", "one_hot_encoders/category_encoding_1"]
    arrays = {f"preprocessors/normalization/vars/{number}" for number in range(3)}
    groups = {"preprocessors", "crossers", "one_hot_encoders"}
    assert set(found) == arrays | groups | {"vars", *parts, *(f"{part}/vars" for part in parts)}

    check(hb.models.load_model(path)(data), np.asarray(space(data)))
    members["config.json"] = json.dumps(file_of_keras()).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    check(hb.models.load_model(path)(data), np.asarray(space(data)))


def test_copies_and_configurations():
    space = small()
    check(copy.deepcopy(space)(GOOD), np.asarray(space(GOOD)))
    again = FeatureSpace.from_config(json.loads(json.dumps(space.get_config())))
    assert not again.built
    assert list(again.features) == list(space.features)
    again.features["s"] = "string_hashed"
    del again.features["f"]
    again.adapt({"i": [1, 2]})
    assert again({"s": "a", "i": 1}).shape == (35,)


# --- proposals ------------------------------------------------------------------------------------


def test_proposals_by_the_types_of_columns():
    days = [datetime.date(2024, 1, day + 1) for day in range(6)]
    columns = {
        "size": [1.0, 2.5, None, 3.0, 4.0, 5.0], "rooms": [1, 2, 1, 2, 1, 2],
        "price": [1, 2, 3, 4, 5, 6], "floors": [1.0, 2.0, 1.0, 2.0, 1.0, None],
        "city": ["a", "b", None, "a", "b", "a"], "id": ["q", "r", "s", "t", "u", "v"],
        "new": [True, False, True, True, True, True], "old": [True, None, False, True, True, True],
        "day": days, "year": [2024] * 6, "empty": [None] * 6, "list": [[1]] * 6,
        "mixed": ["a", 1, 2, 3, 4, 5], "y": [0, 1] * 3,
    }  # fmt: skip
    space = FeatureSpace.from_dataframe(columns, target="y", max_categories=3)
    assert {name: feature.kind for name, feature in space.features.items()} == {
        "size": "float_normalized", "rooms": "integer_categorical", "price": "float_normalized",
        "floors": "integer_categorical", "city": "string_categorical", "id": "string_hashed",
        "new": "float", "old": "integer_categorical", "day": "float_normalized",
    }  # fmt: skip
    shown = str(space)
    assert "not adapted yet" in shown
    lines = {line.split()[0]: line for line in shown.splitlines()[1:]}
    assert "left out" in lines["year"]
    assert "one value only" in lines["year"]
    assert "left out" in lines["list"]
    assert "list" in lines["list"]
    assert "identifier" in lines["id"]
    assert "1 missing" in lines["city"]
    assert "as unknown" in lines["city"]
    del space.features["id"]
    space.features["size"] = "float_discretized"
    space.features["size"] = "float_normalized"
    space.adapt(columns)
    assert "one_hot, 3" in str(space)
    encoded = space(columns)
    assert np.isfinite(encoded).all()
    np.testing.assert_allclose(space.preprocessors["day"].mean, [[19725.5]])
    # Points of time are read from every form.
    frame = {**columns, "day": np.array(days, "datetime64[ns]")}
    np.testing.assert_array_equal(space(frame), encoded)
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({**columns, "day": pd.to_datetime(days).tz_localize("UTC")})
    np.testing.assert_array_equal(space(frame), encoded)
    found = FeatureSpace.from_dataframe(frame, target=["y"], max_categories=3)
    assert found.features["day"].kind == "float_normalized"
    assert found.features["floors"].kind == "integer_categorical"


# --- models that take columns ---------------------------------------------------------------------


def table(rows=24):
    random = np.random.default_rng(0)
    return {
        "city": random.choice(["a", "b", "c"], rows), "kids": random.integers(0, 3, rows),
        "age": random.normal(40, 10, rows), "code": random.integers(0, 99, rows),
        "y": random.integers(0, 2, rows).astype("float32"), "note": ["left out"] * rows,
    }  # fmt: skip


def test_a_model_of_raw_columns(tmp_path):
    """It trains, predicts and is saved; data frames give their columns by name."""
    columns = table()
    space = FeatureSpace(
        {"city": "string_categorical", "kids": "integer_categorical", "age": "float_normalized",
         "code": FeatureSpace.integer_hashed(4)},
        crosses=[("city", "kids"), ("kids", "code")], crossing_dim=6,
    )  # fmt: skip
    space.adapt(columns)
    encoded = space.get_encoded_features()
    model = hb.Model(space.get_inputs(), hb.layers.Dense(1)(encoded))
    model.compile("sgd", "mse")
    inputs, y = chosen(space, columns), columns["y"]
    model.fit(inputs, y, batch_size=8, verbose=0)
    predicted = model.predict(inputs, verbose=0)
    weight, bias = model.layers[-1].get_weights()
    scale = np.abs(predicted).max()
    by_hand = np.asarray(space(columns)) @ weight + bias
    np.testing.assert_allclose(predicted / scale, by_hand / scale, atol=1e-5)
    batches = Dataset.from_tensor_slices((inputs, y)).batch(8)
    loss = model.evaluate(inputs, y, batch_size=8, verbose=0)
    np.testing.assert_allclose(model.evaluate(batches, verbose=0), loss, rtol=1e-4)
    path = tmp_path / "model.keras"
    model.save(path)
    np.testing.assert_array_equal(hb.models.load_model(path).predict(inputs, verbose=0), predicted)

    # A space on other symbolic inputs.
    named = {key: hb.Input((1,), dtype=x.dtype) for key, x in space.get_inputs().items()}
    assert space(named).shape == encoded.shape

    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(columns)[["note", "age", "y", "city", "kids", "code"]]
    for found in (model.predict(frame, verbose=0), model(frame), model.predict_on_batch(frame)):
        np.testing.assert_allclose(found / scale, predicted / scale, atol=1e-5)
    np.testing.assert_allclose(model.evaluate(frame, y, batch_size=8, verbose=0), loss, rtol=1e-4)
    gaps = frame.astype({"city": object})
    gaps.loc[0, ["age", "city"]] = None
    model.fit(gaps, y, batch_size=8, verbose=0, validation_split=0.3)
    assert np.isfinite(model.predict(gaps, verbose=0)).all()
    with pytest.raises(ValueError, match=r"Model '\w+'.*lack the columns 'kids', 'age'. The col"):
        model.predict(frame[["city", "code"]], verbose=0)
    with pytest.raises(ValueError, match="column 'age': expected numbers, received 'x'"):
        model.predict(frame.assign(age="x"), verbose=0)
    with pytest.raises(ValueError, match="column 'code': expected integers.*from 1099511627776"):
        model.predict(frame.assign(code=2**40), verbose=0)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_a_model_with_several_inputs(library):
    frames = pytest.importorskip(library)
    columns = table(8)
    frame = frames.DataFrame({name: columns[name] for name in ("note", "kids", "age")})
    a, b = hb.Input((1,), name="age"), hb.Input((1,), name="kids")
    for given in ([a, b], {"age": a, "kids": b}):
        model = hb.Model(given, a - 2 * b)
        expected = np.array(columns["age"] - 2 * columns["kids"])[:, None]
        np.testing.assert_allclose(model.predict(frame, verbose=0) / 50, expected / 50, atol=1e-5)
    with pytest.raises(ValueError, match="lack the column 'age'"):
        model.predict(frame[["note", "kids"]], verbose=0)
    whole = hb.Model(wide := hb.Input((2,)), wide + 1)  # one input takes all columns
    assert whole.predict(frame[["kids", "age"]], verbose=0).shape == (8, 2)


def test_hashes_of_numbers_inside_a_model():
    """They run on the host, with what comes before them."""
    x = hb.Input((1,), dtype="int32")
    known = hb.layers.IntegerLookup(vocabulary=[3, 5])(x)
    crossed = hb.layers.HashedCrossing(4)((known, hb.layers.Hashing(3)(x)))
    model = hb.Model(x, [hb.ops.cast(known, "float32"), hb.ops.cast(crossed, "float32")])
    data = np.array([[3], [4], [5]])
    for found, eager in zip(model.predict(data, verbose=0), model(data), strict=True):
        np.testing.assert_array_equal(found, eager)
    late = hb.Model(x, hb.layers.Hashing(3)(hb.layers.Dense(1)(hb.ops.cast(x, "float32"))))
    np.testing.assert_array_equal(late.predict(data, verbose=0), late(data))
