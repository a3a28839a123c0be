"""The data sets of rows and of texts equal Keras's, for each argument."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from hornbeam import datasets
from hornbeam.errors import FileError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def ragged(lists):
    array = np.empty(len(lists), object)
    array[:] = lists
    return array


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with small files in Keras's formats."""
    folder = tmp_path_factory.mktemp("files")
    random = np.random.default_rng(0)

    def texts(count):
        return ragged([random.integers(1, 40, n).tolist() for n in random.integers(1, 9, count)])

    np.savez(
        folder / "imdb.npz", x_train=texts(30), y_train=np.arange(30), x_test=texts(20),
        y_test=np.arange(20),
    )  # fmt: skip
    np.savez(folder / "reuters.npz", x=texts(40), y=np.arange(40))
    np.savez(folder / "boston_housing.npz", x=random.normal(size=(50, 13)), y=np.arange(50.0))
    np.savez(folder / "california_housing.npz", x=random.normal(size=(700, 8)), y=np.arange(700.0))
    for name in ("imdb", "reuters"):
        (folder / f"{name}_word_index.json").write_text(json.dumps({"the": 1, "of": 2}))
    return folder


def both(monkeypatch, folder, name, function="load_data", **arguments):
    """Return the results of Hornbeam and Keras for the same file."""
    file = f"{name}.npz" if function == "load_data" else f"{name}_word_index.json"
    theirs = getattr(getattr(keras.datasets, name), function)
    # Keras refuses files with another checksum than the published one.
    monkeypatch.setitem(theirs.__globals__, "get_file", lambda *a, **k: str(folder / file))
    ours = getattr(getattr(datasets, name), function)
    return ours(path=folder / file, **arguments), theirs(**arguments)


def assert_equal(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        for a, b in zip(mine, other, strict=True):
            assert len(a) == len(b)
            if a.dtype == object:
                assert [list(row) for row in a] == [list(row) for row in b]
                assert all(type(row) is list for row in a)
            else:
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(a, b)


TEXTS = [
    {},
    {"num_words": 20},
    {"num_words": 20, "skip_top": 8},
    {"skip_top": 8, "oov_char": None},
    {"maxlen": 5},
    {"maxlen": 5, "num_words": 10, "oov_char": None},
    {"seed": 7},
    {"start_char": None},
    {"start_char": 5, "oov_char": 6, "index_from": 10, "num_words": 30},
    {"index_from": 0},
    {"start_char": None, "index_from": None},
]


@pytest.mark.parametrize("arguments", TEXTS, ids=str)
def test_texts(monkeypatch, files, arguments):
    for name in ("imdb", "reuters"):
        assert_equal(*both(monkeypatch, files, name, **arguments))


@pytest.mark.parametrize("arguments", [{}, {"test_split": 0.35, "seed": 2}, {"test_split": 0}])
def test_rows(monkeypatch, files, arguments):
    for name in ("boston_housing", "california_housing"):
        assert_equal(*both(monkeypatch, files, name, **arguments))
    assert_equal(*both(monkeypatch, files, "california_housing", version="small", **arguments))
    if arguments:
        assert_equal(*both(monkeypatch, files, "reuters", **arguments))


def test_words_and_topics(monkeypatch, files):
    for name in ("imdb", "reuters"):
        ours, theirs = both(monkeypatch, files, name, function="get_word_index")
        assert ours == theirs == {"the": 1, "of": 2}
    assert datasets.reuters.get_label_names() == keras.datasets.reuters.get_label_names()


def test_wrong_arguments(files):
    for name in ("imdb", "reuters"):
        module, path = getattr(datasets, name), files / f"{name}.npz"
        with pytest.raises(ValueError, match="no text is shorter than `maxlen`=1. Increase"):
            module.load_data(path, maxlen=1)
        with pytest.raises(TypeError, match=f"{name}.load_data: unknown arguments num_word"):
            module.load_data(path, num_word=10)
        assert_equal(module.load_data(path, nb_words=9), module.load_data(path, num_words=9))
    for name in ("boston_housing", "california_housing", "reuters"):
        for wrong in (1, -0.1):
            with pytest.raises(ValueError, match=f"{name}.load_data: `test_split`.*{wrong}"):
                getattr(datasets, name).load_data(path=files / f"{name}.npz", test_split=wrong)
    with pytest.raises(ValueError, match="'small' or 'large', received 'tiny'"):
        datasets.california_housing.load_data("tiny", path=files / "california_housing.npz")


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"x": ragged([[1], "a b"]), "y": np.arange(2)}, "row 1 of x is 'a b'"),
        ({"x": ragged([[1], [1.5]]), "y": np.arange(2)}, r"row 1 of x is \[1.5\]"),
        ({"x": ragged([[1], [2]]), "y": np.arange(3)}, r"shape \(3,\) for x of"),
        ({"x": ragged([[1], [2]]), "y": np.ones(2)}, "dtype float64"),
        ({"x": ragged([[1], [2]])}, "lacks the arrays y"),
    ],
)
def test_files_that_hold_no_texts(tmp_path, arrays, match):
    np.savez(tmp_path / "reuters.npz", **arrays)
    with pytest.raises(FileError, match=match):
        datasets.reuters.load_data(tmp_path / "reuters.npz")


@pytest.mark.parametrize("content", ["", "[1]", '{"the": "1"}', "[" * 100_000])
def test_files_that_hold_no_words(tmp_path, content):
    (tmp_path / "words.json").write_text(content)
    with pytest.raises(FileError, match="words.json"):
        datasets.imdb.get_word_index(tmp_path / "words.json")


@pytest.mark.parametrize("name", ["boston_housing", "california_housing", "reuters"])
def test_real_files(monkeypatch, name):
    if not SHARED.is_dir():
        pytest.skip("needs a copy of the data sets")
    assert_equal(*both(monkeypatch, SHARED, name))


@pytest.mark.slow
def test_real_imdb(monkeypatch):
    if not SHARED.is_dir():
        pytest.skip("needs a copy of the data sets")
    assert_equal(*both(monkeypatch, SHARED, "imdb", num_words=10_000))


def test_fashion_mnist(monkeypatch, tmp_path):
    if not SHARED.is_dir():
        pytest.skip("needs a copy of the data sets")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "fashion-mnist").symlink_to(SHARED / "fashion-mnist")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("HORNBEAM_MIRROR", "http://127.0.0.1:9/")
    ours = datasets.fashion_mnist.load_data()
    theirs = keras.datasets.fashion_mnist.load_data
    monkeypatch.setitem(
        theirs.__globals__, "get_file",
        lambda name, **k: str(SHARED / "fashion-mnist" / Path(name).name),
    )  # fmt: skip
    assert_equal(ours, theirs())
