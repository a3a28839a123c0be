"""Data from which nothing can be made: each error names what is wrong, where, and the remedy."""

import numpy as np
import pytest

import hornbeam as hb

L, D = hb.layers, hb.data.Dataset
X, Y = np.zeros((4, 3), "float32"), np.zeros((4, 1), "float32")
FUTILE = b"\xff\xfe"


@pytest.fixture(scope="module")
def model():
    model = hb.Sequential([hb.Input((3,)), L.Dense(1)])
    model.compile("sgd", "mse")
    return model


def pairs(count):
    """Yield a few batches."""
    for _ in range(count):
        yield X, Y


def three_classes():
    """Return a compiled classifier."""
    model = hb.Sequential([hb.Input((3,)), L.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def splits():
    """Return a dictionary of two data sets of Hugging Face."""
    datasets = pytest.importorskip("datasets")
    part = datasets.Dataset.from_dict({"a": [1.0, 2.0]})
    return datasets.DatasetDict({"train": part, "test": part})


def nan_at(*place):
    """Return numbers with a NaN."""
    numbers = np.ones((5, 3))
    numbers[place] = np.nan
    return numbers


def in_batches(numbers):
    return iter(np.array_split(numbers, 2))


def lookup(**options):
    return L.StringLookup(vocabulary=["a", "b"], **options)


CASES = {
    # Numbers that are missing.
    "NaN for a mean": (lambda m, p: L.Normalization().adapt(nan_at(3, 1)),
        r"'normalization.*hold 1 missing or infinite values, the first in row 3, column 1: nan"),
    "NaN in a later batch": (lambda m, p: L.Normalization().adapt(in_batches(nan_at(4, 0))),
        "the first in row 4, column 0: nan. Fill them, or leave those rows out"),
    "infinity for a mean": (lambda m, p: L.Normalization(axis=None).adapt(np.array([1, np.inf])),
        "the first in row 1: inf"),
    "NaN for boundaries": (lambda m, p: L.Discretization(num_bins=2).adapt(nan_at(2, 2)),
        "'discretization.*the first in row 2, column 2: nan"),
    # Nothing at all.
    "no rows": (lambda m, p: m.fit(X[:0], Y[:0]), "0 rows"),
    "no batch to train on": (lambda m, p: m.fit(pairs(0), verbose=0), "no batch in epoch 1"),
    "no batch to predict": (lambda m, p: m.predict(pairs(0), verbose=0), "predict: .*no batch"),
    "no batch to evaluate": (lambda m, p: m.evaluate(pairs(0), verbose=0), "evaluate: .*no batch"),
    "an empty data set": (lambda m, p: m.fit(D.from_generator(lambda: iter([])), verbose=0),
        "no batch in epoch 1"),
    "no numbers to learn": (lambda m, p: L.Normalization().adapt(X[:0]), "`data` has no samples"),
    "no texts to learn": (lambda m, p: L.TextVectorization().adapt([]), "`data` has no samples"),
    "no tokens to learn": (lambda m, p: L.StringLookup().adapt(np.array([], object)),
        "`data` has no samples"),
    "no integers to learn": (lambda m, p: L.IntegerLookup().adapt(pairs(0)),
        "`data` has no samples"),
    "a generator of nothing to learn": (lambda m, p: L.Discretization(num_bins=2).adapt(pairs(0)),
        "`data` has no samples"),
    "an empty vocabulary": (
        lambda m, p: L.StringLookup(vocabulary=[]), "must have at least one token"),
    # Things that are no data.
    "a function": (lambda m, p: m.fit(pairs), r"the function 'pairs'; .*Call it: `pairs\(...\)`"),
    "a function for validation": (lambda m, p: m.fit(X, Y, validation_data=pairs),
        "`validation_data` is the function 'pairs'"),
    "a function to learn from": (lambda m, p: L.Normalization().adapt(pairs), "the function"),
    "a class": (lambda m, p: m.predict(dict), "the class 'dict'"),
    "splits": (lambda m, p: m.fit(splits()),
        r"DatasetDict with the splits 'train', 'test'. Choose one, such as `data\['train'\]`"),
    "splits for validation": (lambda m, p: m.fit(X, Y, validation_data=splits()), "the splits"),
    "splits to predict": (lambda m, p: m.predict(splits()), "the splits"),
    "splits to learn from": (lambda m, p: L.Normalization().adapt(splits()), "the splits"),
    "splits as a table": (lambda m, p: D.from_table(splits()), "the splits"),
    "splits to split": (lambda m, p: hb.utils.split_dataset(splits(), 0.5), "the splits"),
    "splits to propose features": (
        lambda m, p: hb.utils.FeatureSpace.from_dataframe(splits()), "the splits"),
    "single texts": (lambda m, p: L.TextVectorization().adapt(iter(["a b", "b"])),
        r"received the single value a b. Batch the elements, such as by `data.batch\(32\)`"),
    "named columns": (lambda m, p: L.Normalization().adapt(iter([{"a": X}])),
        "the columns 'a'.*Pass one of the columns"),
    # Labels that do not match.
    "fewer labels": (lambda m, p: m.fit(X, Y[:3]), "same number of rows"),
    "labels of another shape": (lambda m, p: three_classes().fit(X, np.zeros((4, 2)), verbose=0),
        "shape"),
    "a class too many": (lambda m, p: three_classes().fit(X, np.array([0, 1, 2, 3])),
        "class numbers from 0 to 3; the output has 3 classes"),
    "labels of text": (lambda m, p: m.fit(X, np.array(["a"] * 4)), "`y` has dtype .*expected"),
    "no labels": (lambda m, p: m.fit(X, verbose=0), "received no targets. Pass `y`"),
    "NaN labels": (lambda m, p: m.fit(X, nan_at(2, 0)[:4, :1], verbose=0), "NaN"),
    # Vocabularies.
    "a token twice": (lambda m, p: L.StringLookup(vocabulary=["x", "y", "x"]),
        r"received repeated tokens \['x'\]"),
    "a reserved token": (lambda m, p: L.TextVectorization(vocabulary=["x", "[UNK]"]),
        r"special token '\[UNK\]'. Remove it"),
    "a reserved integer": (lambda m, p: L.IntegerLookup(vocabulary=[5, -1]), "special token -1"),
    "an integer twice": (lambda m, p: L.IntegerLookup(vocabulary=[5, 5]), "repeated tokens"),
    "a missing file": (lambda m, p: L.StringLookup(vocabulary=f"{p}/none.txt"),
        "there is no file '.*none.txt'"),
    "a file in another encoding": (lambda m, p: L.StringLookup(vocabulary=str(p / "words.txt")),
        "words.txt' is no text in utf-8, see line 2: invalid start byte. Pass its `encoding`"),
    "weights of another length": (
        lambda m, p: lookup(idf_weights=[1.0], output_mode="tf_idf"), "`idf_weights` must have"),
    "n-grams of nothing": (lambda m, p: L.TextVectorization(ngrams=0), "positive integer"),
    # Texts.
    "no UTF-8": (lambda m, p: lookup()(np.array([b"a", FUTILE])),
        "the bytes at position 1, .*are no text in utf-8: invalid start byte. Pass the layer"),
    "no UTF-8 to learn": (lambda m, p: L.StringLookup().adapt(np.array([b"a", FUTILE], object)),
        "the bytes at position 1"),
    "a missing text": (lambda m, p: lookup()(np.array(["a", None], object)),
        r"received None at position 1 \(NoneType\). Fill missing values"),
    "unknown texts": (lambda m, p: lookup(num_oov_indices=0)(["z"]),
        r"the tokens \['z'\] are not in the vocabulary"),
    "integers out of range": (lambda m, p: L.CategoryEncoding(3)(np.array([[0, 3]])),
        "from 0 to 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_error_says_what_is_wrong(name, model, tmp_path):
    (tmp_path / "words.txt").write_bytes(b"one\ntw\xff\n")
    call, text = CASES[name]
    with pytest.raises(ValueError, match=text):
        call(model, tmp_path)


def test_a_generator_that_ends_early_ends_the_training_with_a_warning(model):
    with pytest.warns(UserWarning, match="ended after 3 of 5 steps in epoch 1; training stops"):
        history = model.fit(pairs(3), steps_per_epoch=5, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 1
    with pytest.warns(UserWarning, match="evaluation ended after 2 of 5 steps"):
        model.evaluate(pairs(2), steps=5, verbose=0)
    assert model.predict(pairs(2), steps=5, verbose=0).shape == (8, 1)


def test_an_error_describes_dictionaries_of_any_class(model):
    class Own(dict):
        pass

    with pytest.raises(Exception, match="Own"):
        model(Own(a=X))
