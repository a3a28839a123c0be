"""Layers for text and categories; the expected values are those of Keras on TensorFlow."""

import jax
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.layers.preprocessing.fingerprints import fingerprints

L = hb.layers
WORDS = [
    "", "a", "bc", "def", "é", "ghij", "klmnopq", "rstuvwxy", "0123456789", "x" * 16,
    "abcdefghijklmnopqr", "y1" * 16, "z" * 33, "q7" * 25, "w" * 64, "v" * 65, "hello world " * 11,
    "m" * 128, "n" * 129, "The quick brown fox. " * 20,
]  # fmt: skip
INTEGERS = np.array([[0, 1, -5], [123456789, 2**40, 7]])
FEATURES = {
    "a": np.array(["A", "B", "A", "A", "A", "longer word than sixteen"]),
    "b": np.array([101, 101, 101, 102, 102, 7]),
    "c": np.array(["x", "yy", "zzz", "", "x", "yy"]),
}


def test_hashes_of_all_lengths():
    largest = np.uint64(2**63 - 1)
    assert (fingerprints(np.array(WORDS)) % largest).tolist() == FAST
    assert (fingerprints(np.array(WORDS), (133, 137)) % largest).tolist() == STRONG


FAST = [
    1936946117179621456, 3694432073954588132, 6006289270716924279, 2360477792506196755,
    693143013273849025, 644117723783472142, 7008577152892029621, 6317098706462265855,
    3244036785122165996, 3320895591121647644, 8977126518166278476, 3969582127416933565,
    6594686257597725552, 281668265615676855, 4555407945498560506, 978096718525207201,
    1971395540252727592, 3692896342712448313, 4003038510378759668, 1661531871930251709,
]  # fmt: skip
STRONG = [
    4928313950774450900, 7077939996121841354, 5432333659425391708, 6970741308518465459,
    2424455697274809134, 5919264016701714605, 3024108733243349486, 3365500597208365664,
    2319573042896632768, 3062600254328431651, 3332610446153489375, 8223346102582958511,
    7824477017918661507, 2647231873079637741, 702089228601891224, 3711674255615176459,
    1535328881775705557, 2075994622054057370, 7184546744762163014, 5448075425391824939,
]  # fmt: skip
HASHED = {
    "words": ({"num_bins": 7}, WORDS, [6, 5, 6, 0, 6, 1, 4, 0, 5, 0, 4, 6, 6, 6, 6, 4, 3, 1, 5, 3]),
    "a mask": ({"num_bins": 7, "mask_value": "a"}, WORDS,
        [6, 0, 4, 2, 2, 6, 5, 5, 4, 3, 3, 3, 2, 4, 5, 3, 6, 2, 4, 5]),
    "a salt": ({"num_bins": 7, "salt": 1337}, WORDS,
        [2, 0, 1, 1, 3, 3, 4, 2, 4, 0, 6, 4, 0, 4, 6, 3, 6, 1, 2, 6]),
    "two salts": ({"num_bins": 7, "salt": [133, 137]}, WORDS,
        [6, 4, 3, 2, 6, 3, 0, 6, 0, 2, 0, 3, 1, 2, 3, 0, 2, 1, 0, 0]),
    "a salt and a mask": ({"num_bins": 7, "salt": 1337, "mask_value": ""}, WORDS,
        [0, 5, 3, 3, 4, 4, 4, 6, 1, 5, 2, 1, 2, 3, 3, 3, 4, 2, 3, 1]),
    "integers": ({"num_bins": 11}, INTEGERS, [[2, 8, 5], [9, 4, 8]]),
    "integers, a mask": ({"num_bins": 11, "mask_value": 7}, INTEGERS, [[6, 10, 7], [7, 9, 0]]),
    "integers, a salt": ({"num_bins": 11, "salt": 3}, INTEGERS, [[9, 3, 5], [8, 8, 10]]),
}  # fmt: skip


@pytest.mark.parametrize("name", HASHED)
def test_hashing(name):
    settings, values, expected = HASHED[name]
    layer = L.Hashing(**settings)
    assert np.asarray(layer(values)).tolist() == expected
    assert np.asarray(L.Hashing.from_config(layer.get_config())(values)).tolist() == expected


CROSSED = {
    "ab": [891, 754, 891, 523, 523, 22],
    "ba": [656, 483, 656, 680, 680, 369],
    "abc": [95, 773, 28, 676, 793, 402],
    "bb": [13, 13, 13, 129, 129, 634],
}


def test_texts_keep_zeros_at_their_end_in_lists():
    # The values are those of Keras on TensorFlow.
    assert L.Hashing(1000)(["a\0", "a", "b"]).tolist() == [180, 939, 822]
    assert L.StringLookup(vocabulary=["a"])(["a\0", "a"]).tolist() == [0, 1]


def test_arrays_of_string_dtype():
    texts = np.array(["a", "b"], np.dtypes.StringDType())
    assert L.Hashing(7, mask_value="a")(texts).tolist()[0] == 0
    missing = np.array(["a", None], np.dtypes.StringDType(na_object=None))
    for given in (missing, ["a", 1], [["a"], ["b", "c"]]):
        with pytest.raises(ValueError, match="must hold text|the same length"):
            L.Hashing(7)(given)


@pytest.mark.parametrize("names", CROSSED)
def test_hashed_crossing(names):
    layer = L.HashedCrossing(num_bins=1000)
    features = tuple(FEATURES[n] for n in names)
    assert np.asarray(layer(features)).tolist() == CROSSED[names]
    columns = layer(tuple(f[:, None] for f in features))
    assert np.asarray(columns)[:, 0].tolist() == CROSSED[names]
    symbolic = layer([hb.Input((1,), dtype="string"), hb.Input((1,), dtype="int64")])
    assert (symbolic.shape, symbolic.dtype) == ((None, 1), "int64")
    one_hot = L.HashedCrossing(num_bins=5, output_mode="one_hot")(features)
    assert one_hot.shape == (6, 5)


# --- lookups ------------------------------------------------------------------------------------

IDF = [1.3059322, 1.011601, 1.2039728, 1.5040774, 1.5040774]
LEARNED = {  # settings: vocabulary, values
    "plain": ({}, ["[UNK]", "c", "b", "d", "a"], [[4, 1], [0, 3], [0, 0]]),
    "limited": ({"max_tokens": 3}, ["[UNK]", "c", "b"], [[0, 1], [0, 0], [0, 0]]),
    "three unknown": ({"num_oov_indices": 3}, ["[UNK]"] * 3 + ["c", "b", "d", "a"],
        [[6, 3], [1, 5], [2, 0]]),
    "salted": ({"num_oov_indices": 3, "salt": 3}, ["[UNK]"] * 3 + ["c", "b", "d", "a"],
        [[6, 3], [0, 5], [2, 0]]),
    "masked": ({"mask_token": "m", "num_oov_indices": 2}, ["m", "[UNK]", "[UNK]", "c", "b", "d",
        "a"], [[6, 3], [2, 5], [2, 0]]),
    "multi-hot": ({"output_mode": "multi_hot"}, ["[UNK]", "c", "b", "d", "a"],
        [[0, 1, 0, 0, 1], [1, 0, 0, 1, 0], [1, 0, 0, 0, 0]]),
    "padded": ({"output_mode": "count", "max_tokens": 7, "pad_to_max_tokens": True}, ["[UNK]", "c",
        "b", "d", "a"], [[0, 1, 0, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0]]),
    "TF-IDF": ({"output_mode": "tf_idf", "mask_token": "m"}, ["[UNK]", "c", "b", "d", "a"],
        [[0, IDF[1], 0, 0, IDF[4]], [IDF[0], 0, 0, IDF[3], 0], [IDF[0], 0, 0, 0, 0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", LEARNED)
def test_string_lookup(name, tmp_path):
    settings, vocabulary, expected = LEARNED[name]
    layer = L.StringLookup(**settings)
    layer.adapt(np.array(["a", "b", "b", "c", "c", "c", "d"]))
    assert layer.get_vocabulary() == vocabulary
    x = np.array([["a", "c"], ["z", "d"], ["q", "m"]])
    np.testing.assert_allclose(layer(x), expected, rtol=1e-6)
    words = hb.Input((2,), dtype="string")
    model = hb.Model(words, layer(words))
    assert model.output_shape[-1] == np.shape(expected)[-1]
    np.testing.assert_allclose(model(x), expected, rtol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = hb.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].get_vocabulary() == vocabulary
    np.testing.assert_allclose(loaded(x), expected, rtol=1e-6)


INTEGER_ROWS = {
    "plain": ({}, [[2, 1], [0, 0], [0, 0]]),
    "two unknown": ({"num_oov_indices": 2}, [[3, 2], [0, 1], [0, 1]]),
    "masked": ({"mask_token": 0}, [[3, 2], [1, 1], [0, 1]]),
    "hashed": ({"num_oov_indices": 3, "oov_method": "farmhash"}, [[4, 3], [0, 0], [1, 2]]),
    "counted": ({"output_mode": "count"}, [[0, 1, 1, 0, 0], [2, 0, 0, 0, 0], [2, 0, 0, 0, 0]]),
}


@pytest.mark.parametrize("name", INTEGER_ROWS)
def test_integer_lookup_on_the_host_and_compiled(name):
    settings, expected = INTEGER_ROWS[name]
    layer = L.IntegerLookup(**settings)
    layer.adapt(np.array([5, 5, 7, 7, 7, 9, -2]))
    assert layer.get_vocabulary(include_special_tokens=False) == [7, 5, 9, -2]
    x = np.array([[5, 7], [100, -3], [0, -7]])
    assert np.asarray(layer(x)).tolist() == expected
    if name == "hashed":
        with pytest.raises(ValueError, match="runs only on the host"):
            jax.jit(layer)(x)
    else:
        assert np.asarray(jax.jit(layer)(x)).tolist() == expected


def test_inverse_lookups():
    layer = L.StringLookup(vocabulary=["a", "b"], invert=True, mask_token="")
    assert layer(np.array([[0, 1], [3, 9]])).tolist() == [["", "[UNK]"], ["b", "[UNK]"]]
    layer = L.IntegerLookup(vocabulary=[4, 5], invert=True)
    assert np.asarray(layer(np.array([0, 1, 2, 8]))).tolist() == [-1, 4, 5, -1]


@pytest.mark.parametrize("make", [L.StringLookup, L.TextVectorization, L.IntegerLookup])
def test_files_of_models_with_learned_vectors(make, tmp_path):
    """The layer after the vectors is built before the file's vocabulary is read."""
    learned = np.array([5, 7]) if make is L.IntegerLookup else np.array(["a", "b"], object)
    layer = make(output_mode="tf_idf")
    layer.adapt(learned)
    x = hb.Input((1,), dtype="int64" if make is L.IntegerLookup else "string")
    model = hb.Model(x, L.Dense(2)(layer(x)))
    model.save(tmp_path / "model.keras")
    loaded = hb.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(learned[:, None]), model(learned[:, None]))


def test_files_hold_weights_that_the_constructor_got():
    """Keras reads them from the file, although the configuration holds them too."""
    for make in (L.StringLookup, L.TextVectorization):
        layer, stored = make(vocabulary=["a"], idf_weights=[0.5], output_mode="tf_idf"), {}
        layer.save_own_variables(stored)
        assert stored["idf_weights"].tolist() == [0.5, 0.5]
        again = make.from_config(layer.get_config())
        again.load_own_variables(stored)
        np.testing.assert_array_equal(again(["a a"]), layer(["a a"]))


def test_a_vocabulary_from_a_file_is_not_read_for_a_model_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("one\ntwo\n")
    layer = L.StringLookup(vocabulary=str(path))
    assert layer.get_vocabulary() == ["[UNK]", "one", "two"]
    x = hb.Input((1,), dtype="string")
    hb.Model(x, layer(x)).save(tmp_path / "model.keras")
    with pytest.raises(hb.errors.FileError, match="vocabulary"):
        hb.saving.load_model(tmp_path / "model.keras")


# --- texts --------------------------------------------------------------------------------------

TEXTS = [
    "Hello, World! hello", "It's a dog-eat-dog WORLD.", "Ünïcode ÄÖ\u00a0x\u2003y z\tq\nw", "",
    "a a a b",
]  # fmt: skip
DEFAULT = ["", "[UNK]", "a", "world", "hello", "Ünïcode", "ÄÖ\xa0x\u2003y", "z", "w", "q", "its",
    "dogeatdog", "b"]  # fmt: skip
VECTORIZED = {  # settings: vocabulary or its size, values
    "default": ({}, DEFAULT,
        [[4, 3, 4, 0, 0], [10, 2, 11, 3, 0], [5, 6, 7, 9, 8], [0] * 5, [2, 2, 2, 12, 0]]),
    "lower": ({"standardize": "lower"}, 15,
        [[11, 7, 12, 0, 0], [10, 2, 13, 6, 0], [3, 4, 5, 9, 8], [0] * 5, [2, 2, 2, 14, 0]]),
    "strip": ({"standardize": "strip_punctuation"}, 15,
        [[14, 11, 8, 0, 0], [13, 2, 9, 12, 0], [3, 4, 5, 7, 6], [0] * 5, [2, 2, 2, 10, 0]]),
    "as it is": ({"standardize": None}, 15,
        [[14, 11, 8, 0, 0], [13, 2, 9, 12, 0], [3, 4, 5, 7, 6], [0] * 5, [2, 2, 2, 10, 0]]),
    "pairs": ({"ngrams": 2, "output_sequence_length": 7}, 24,
        [[4, 3, 4, 18, 12, 0, 0], [17, 2, 20, 3, 16, 22, 19], [7, 9, 11, 15, 13, 6, 8], [0] * 7,
         [2, 2, 2, 21, 5, 5, 23]]),
    "ones and threes": ({"ngrams": (1, 3)}, 21,
        [[4, 3, 4, 15, 0, 0, 0, 0], [14, 2, 16, 3, 13, 18, 0, 0], [6, 8, 10, 12, 11, 5, 7, 9],
         [0] * 8, [2, 2, 2, 17, 20, 19, 0, 0]]),
    "whole": ({"split": None}, 6, [4, 3, 2, 0, 5]),
    "count": ({"output_mode": "count", "max_tokens": 6}, ["[UNK]", *DEFAULT[2:7]],
        [[0, 0, 1, 2, 0, 0], [2, 1, 1, 0, 0, 0], [3, 0, 0, 0, 1, 1], [0] * 6, [1, 3, 0, 0, 0, 0]]),
    "functions": ({"standardize": lambda x: np.char.replace(x, "!", ""),
        "split": lambda x: [t.split("l") for t in x]}, 9, None),
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORIZED)
def test_text_vectorization(name):
    settings, vocabulary, expected = VECTORIZED[name]
    layer = L.TextVectorization(**settings)
    layer.adapt(TEXTS)
    found = layer.get_vocabulary()
    assert (found if isinstance(vocabulary, list) else len(found)) == vocabulary
    if expected is not None:
        assert np.asarray(layer(TEXTS)).tolist() == expected
        column = layer([[text] for text in TEXTS])
        assert np.asarray(column).reshape(np.shape(expected)).tolist() == expected
    batches = L.TextVectorization(**settings)
    batches.adapt(iter([np.array(TEXTS[:2]), np.array(TEXTS[2:])]))
    assert batches.get_vocabulary() == found


def test_tf_idf_of_texts():
    layer = L.TextVectorization(output_mode="tf_idf")
    layer.adapt(TEXTS)
    row = np.asarray(layer(TEXTS))[0]
    np.testing.assert_allclose(row[[2, 3]], [0.9808293, 2.5055259], rtol=1e-4)
    assert np.count_nonzero(row) == 2


GOOD, BAD = "good fun film", "bad dull film"


def model_of_texts(form):
    layer = L.TextVectorization(output_sequence_length=4)
    layer.adapt([GOOD, BAD, "good great", "bad awful"])
    stack = [layer, L.Embedding(20, 3), L.GlobalAveragePooling1D(), L.Dense(1)]
    if form == "functional":
        texts, length = hb.Input((1,), dtype="string", name="t"), hb.Input((1,), name="n")
        y = stack[2](stack[1](layer(texts)))
        return hb.Model([texts, length], stack[3](L.Concatenate()([y, length])))
    return hb.Sequential([hb.Input((1,), dtype="string"), *stack] if form == "stack" else stack)


@pytest.mark.parametrize("form", ["functional", "stack", "stack without an input"])
def test_a_model_that_takes_texts(form, tmp_path):
    """The layers for text run on the host, the others in the compiled step."""
    texts, y = np.array([GOOD, BAD, "good great", "bad awful"]), np.array([[1.0], [0], [1], [0]])
    x = [texts, np.ones((4, 1), "float32")] if form == "functional" else texts
    model = model_of_texts(form)
    model.compile(hb.optimizers.Adam(0.1), "mse")
    losses = model.fit(x, y, epochs=20, verbose=0, validation_data=(x, y)).history
    assert losses["loss"][-1] < 0.2 * losses["loss"][0]
    outputs = model.predict(x, verbose=0)
    np.testing.assert_allclose(model(x), outputs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(x), outputs, rtol=1e-5, atol=1e-6)
    loss = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(loss, losses["val_loss"][-1], rtol=1e-4)
    np.testing.assert_allclose(loss, model.test_on_batch(x, y), rtol=1e-4)
    if form != "functional":
        model.fit(iter([(texts[:2], y[:2])]), verbose=0)
        data = hb.data.Dataset.from_tensor_slices((texts, y)).batch(3)
        assert np.isfinite(model.evaluate(data, verbose=0))
        assert model.predict([GOOD, BAD], verbose=0).shape == (2, 1)
    model.save(tmp_path / "model.keras")
    loaded = hb.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)


def test_text_that_no_layer_takes():
    with pytest.raises(ValueError, match="'dense'.*only layers for text take it, such as"):
        L.Dense(2)(hb.Input((1,), dtype="string"))


# --- numbers ------------------------------------------------------------------------------------


def test_discretization():
    layer = L.Discretization(bin_boundaries=[0.0, 1.0, 2.0])
    x = np.array([[-1.5, 0.0, 0.5, 1.0, 2.0, 3.4, np.nan]])
    assert np.asarray(layer(x)).tolist() == [[0, 1, 1, 2, 3, 3, 3]]
    assert np.asarray(jax.jit(layer)(x)).tolist() == [[0, 1, 1, 2, 3, 3, 3]]
    one_hot = L.Discretization(bin_boundaries=[1.0, 2.0], output_mode="one_hot")
    assert np.asarray(one_hot(np.array([[0.0], [1.0]]))).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("data", "bins", "expected"),
    [
        (np.arange(20.0), 3, [5.6666665, 12.333333]),
        (np.arange(100.0), 4, [24, 49, 74]),
        (np.arange(101.0), 4, [24.25, 49.5, 74.75]),
        ([1.0, 1, 1, 2, 3], 3, [1, 1.3333333]),
        ([1.0, 10, 100], 2, [5.5]),
    ],
)
def test_boundaries_are_learned(data, bins, expected):
    layer = L.Discretization(num_bins=bins)
    layer.adapt(np.array(data))
    np.testing.assert_allclose(layer.bin_boundaries, expected, rtol=1e-5)
    again = L.Discretization.from_config(layer.get_config())
    assert again.bin_boundaries == layer.bin_boundaries
    batches = L.Discretization(num_bins=bins)
    batches.adapt(iter(np.array_split(np.array(data), 2)))
    assert batches.bin_boundaries == layer.bin_boundaries


def test_boundaries_of_many_numbers_are_within_epsilon():
    layer = L.Discretization(num_bins=4, epsilon=0.001)
    numbers = np.random.RandomState(0).permutation(120_000)
    layer.adapt(iter(np.array_split(numbers, 7)))
    np.testing.assert_allclose(layer.bin_boundaries, [30_000, 60_000, 90_000], atol=120)


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("shape", [(), (3,), (3, 1), (3, 2)])
def test_category_encoding(mode, shape):
    import keras

    x = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 4
    ours, theirs = L.CategoryEncoding(4, mode), keras.layers.CategoryEncoding(4, mode)
    np.testing.assert_array_equal(ours(x), theirs(x))
    assert ours.get_config() | {"sparse": 0} == theirs.get_config() | {
        "sparse": 0,
        "name": ours.name,
    }
    if shape:
        spec = ours(hb.Input(batch_shape=shape, dtype="int32"))
        assert (spec.shape, spec.dtype) == (np.shape(theirs(x)), "float32")


def test_weighted_counts():
    layer = L.CategoryEncoding(4, output_mode="count")
    counted = layer(np.array([[1, 1]]), count_weights=np.array([[0.5, 0.25]]))
    assert np.asarray(counted).tolist() == [[0, 0.75, 0, 0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.Hashing(0), "`num_bins` must be a positive integer, received 0"),
        (lambda: L.Hashing(3, salt=[1, 2, 3]), "`salt` must be an integer or two"),
        (lambda: L.StringLookup(salt="x"), "StringLookup: `salt` must be an integer or two"),
        (lambda: L.HashedCrossing(3)(np.array(["a"])), "list or tuple of features"),
        (lambda: L.HashedCrossing(3)((np.array(["a"]), np.array([1.5]))), "text or integers"),
        (lambda: L.HashedCrossing(3)((np.zeros((2, 2), int),) * 2), r"\(batch, 1\)"),
        (lambda: L.StringLookup(vocabulary=["a", "a"]), r"repeated tokens \['a'\]"),
        (lambda: L.StringLookup(vocabulary=["a", "[UNK]"]), "special token"),
        (lambda: L.StringLookup(vocabulary=["a", "b"], max_tokens=2), "at most `max_tokens`=2"),
        (lambda: L.StringLookup()(["a"]), "no vocabulary yet. Call `adapt`"),
        (lambda: L.StringLookup(vocabulary=["a"]).adapt(["b"]), "nothing to adapt"),
        (lambda: L.StringLookup(vocabulary=["a"])(np.array([1])), "Use `IntegerLookup`"),
        (lambda: L.StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"]), r"\['b'\] are not in"),
        (lambda: L.StringLookup(vocabulary=["a"])(np.array(["a", None], object)),
         "received None at position 1"),
        (lambda: L.IntegerLookup(vocabulary=["x"]), "must hold integers, received 'x'"),
        (lambda: L.IntegerLookup(vocabulary=[1, 2.5]), "must hold integers, received 2.5"),
        (lambda: L.StringLookup(vocabulary=["a", np.nan]), "must hold strings, received nan"),
        (lambda: L.TextVectorization(vocabulary=["a", 1]), "must hold strings, received 1"),
        (lambda: L.IntegerLookup(salt=3), "`salt` needs `oov_method='farmhash'`"),
        (lambda: L.TextVectorization(output_mode="x"), "TextVectorization: `output_mode`"),
        (lambda: L.TextVectorization(split="x"), "`split` must be one of"),
        (lambda: L.TextVectorization(ragged=True), "ragged"),
        (lambda: L.TextVectorization(vocabulary=["a"])([["a", "b"]]), "Join the columns"),
        (lambda: L.Discretization(), "one of `bin_boundaries` and `num_bins`"),
        (lambda: L.Discretization([2.0, 1.0]), "ascending order"),
        (lambda: L.Discretization(num_bins=2)(np.ones(2)), "no boundaries yet"),
        (lambda: L.CategoryEncoding(), "`num_tokens` must be the number"),
        (lambda: L.CategoryEncoding(3)([[0, 3]]), "from 0 to 2"),
        (lambda: L.CategoryEncoding(3)(np.array([[0]]), count_weights=[[1.0]]), "needs"),
        (lambda: jax.jit(L.Hashing(3))(np.array([1])), "runs on the host"),
    ],
)  # fmt: skip
def test_errors_name_the_argument_and_the_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()
