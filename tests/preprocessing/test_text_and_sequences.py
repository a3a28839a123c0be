"""Texts and sequences as Keras 2 prepared them; expected values are those of tf_keras 2.21."""

import json
import random

import numpy as np
import pytest

import hornbeam as hb
from hornbeam.preprocessing import sequence, text

TEXTS = [
    "The cat sat on the mat.",
    "the Dog ate my\thomework, the end!",
    "",
    "Don't stop; e-mail me",
    "new mat",
]

TOKENIZERS = {
    "plain": ({}, [[1, 2, 3, 4, 1, 5], [1, 6, 7, 8, 9, 1, 10], [], [11, 12, 13, 14, 15], [5]]),
    "few": ({"num_words": 5}, [[1, 2, 3, 4, 1], [1, 1], [], [], []]),
    "unknown": (
        {"oov_token": "?"},
        [[2, 3, 4, 5, 2, 6], [2, 7, 8, 9, 10, 2, 11], [], [12, 13, 14, 15, 16], [1, 6]],
    ),
    "few and unknown": (
        {"num_words": 4, "oov_token": "?"},
        [[2, 3, 1, 1, 2, 1], [2, 1, 1, 1, 1, 2, 1], [], [1, 1, 1, 1, 1], [1, 1]],
    ),
    "upper case": (
        {"lower": False, "filters": "."},
        [[2, 3, 4, 5, 1, 6], [1, 7, 8, 9, 1, 10], [], [11, 12, 13, 14], [6]],
    ),
    "split": ({"split": ","}, [[1], [2, 3, 4], [], [5, 6, 7], []]),
    "analyzer": (
        {"analyzer": lambda text: text.upper().split()},
        [[1, 2, 3, 4, 1, 5], [1, 6, 7, 8, 9, 1, 10], [], [11, 12, 13, 14], []],
    ),
    "characters": (
        {"char_level": True},
        [
            [2, 5, 3, 1, 11, 6, 2, 1, 10, 6, 2, 1, 4, 8, 1, 2, 5, 3, 1, 7, 6, 2, 12],
            [2, 5, 3, 1, 9, 4, 13, 1, 6, 2, 3, 1, 7, 14, 15, 5, 4, 7, 3, 16, 4, 17, 18, 19, 1]
            + [2, 5, 3, 1, 3, 8, 9, 20],
            [],
            [9, 4, 8, 21, 2, 1, 10, 2, 4, 22, 23, 1, 3, 24, 7, 6, 25, 26, 1, 7, 3],
            [8, 3, 16, 1, 7, 6, 2],
        ],
    ),
}


def fitted(name):
    tokenizer = text.Tokenizer(**TOKENIZERS[name][0])
    tokenizer.fit_on_texts(TEXTS[:4])
    return tokenizer


@pytest.mark.parametrize("name", TOKENIZERS)
def test_words_have_the_numbers_that_keras_gives(name):
    tokenizer = fitted(name)
    sequences = tokenizer.texts_to_sequences(TEXTS)
    assert sequences == TOKENIZERS[name][1]
    if name != "analyzer":
        copy = text.tokenizer_from_json(tokenizer.to_json())
        assert copy.texts_to_sequences(TEXTS) == sequences
        assert copy.get_config() == tokenizer.get_config()
    words = tokenizer.sequences_to_texts(sequences)
    assert words[2] == ""
    assert [line.count("?") for line in words] == [
        sum(n == 1 for n in row) if "unknown" in name else 0 for row in sequences
    ]


MATRICES = {
    "binary": [[1, 1, 1, 1], [1, 0, 0, 0]],
    "count": [[2, 1, 1, 1], [2, 0, 0, 0]],
    "freq": [[1 / 3, 1 / 6, 1 / 6, 1 / 6], [2 / 7, 0, 0, 0]],
    "tfidf": [[1.43459998, 1.09861229, 1.09861229, 1.09861229], [1.43459998, 0, 0, 0]],
}


@pytest.mark.parametrize("mode", MATRICES)
def test_matrices_are_those_of_keras(mode):
    matrix = fitted("plain").texts_to_matrix(TEXTS[:4], mode)
    assert matrix.shape == (4, 16)
    np.testing.assert_allclose(matrix[:2, 1:5], MATRICES[mode], rtol=1e-7)
    assert not matrix[:, 0].any()


def test_counts_go_on_and_lists_of_words_are_texts():
    tokenizer = text.Tokenizer(oov_token="X", num_words=3)
    tokenizer.fit_on_texts([["A b", "c"], "d e"])
    tokenizer.fit_on_texts(["A b b"])
    numbers = {"X": 1, "b": 2, "a b": 3, "c": 4, "d": 5, "e": 6, "a": 7}
    assert (tokenizer.word_index, tokenizer.document_count) == (numbers, 3)
    assert tokenizer.texts_to_sequences([["a B"], "b Z"]) == [[1], [2, 1]]
    assert tokenizer.sequences_to_texts([[1, 2, 9, 0]]) == ["X b X X"]
    assert list(tokenizer.word_counts.items())[-1] == ("b", 2)
    assert dict(tokenizer.word_docs) == dict.fromkeys(["a b", "c", "d", "e", "a", "b"], 1)
    by_number = text.Tokenizer(nb_words=4)
    by_number.fit_on_sequences([[1, 2, 2], [3]])
    expected = [[1.09861229, 0.69314718, 1.17360019, 0], [0, 0, 0, 0.69314718]]
    matrix = by_number.sequences_to_matrix([[1, 2, 2, 0, 9], [3]], "tfidf")
    np.testing.assert_allclose(matrix, expected, rtol=1e-7)


def test_a_tokenizer_of_keras_is_read():
    counts = {
        "word_counts": '{"a": 2, "b": 1}', "word_docs": '{"b": 1, "a": 2}',
        "index_docs": '{"2": 1, "1": 2}', "index_word": '{"1": "a", "2": "b"}',
        "word_index": '{"a": 1, "b": 2}',
    }  # fmt: skip
    config = {
        "num_words": None, "filters": "", "lower": True, "split": " ", "char_level": False,
        "oov_token": None, "document_count": 2,
    }  # fmt: skip
    written = json.dumps({"class_name": "Tokenizer", "config": {**config, **counts}})
    tokenizer = text.tokenizer_from_json(written)
    assert tokenizer.texts_to_sequences(["b A c"]) == [[2, 1]]
    assert tokenizer.index_docs == {2: 1, 1: 2}


def test_hashes():
    assert text.hashing_trick("the cat the Dog", 50, "md5") == [43, 32, 43, 2]
    assert text.hashing_trick("A b", 50, "md5", lower=False) == [11, 33]
    assert text.hashing_trick("A b", 50, "md5", analyzer=lambda text: ["x"]) == [34]
    assert text.hashing_trick("the cat", 50, lambda word: len(word) + 60) == [15, 15]
    assert text.one_hot("a B b", 9) == [hash(word) % 8 + 1 for word in "abb"]
    assert text.text_to_word_sequence("A b,c  D.", filters="b", split="c") == ["a ", ",", "  d."]


SKIPGRAMS = {
    "in order": (
        {"shuffle": False, "window_size": 1},
        [[1, 2], [2, 1], [3, 4], [4, 3], [4, 2], [2, 4], [4, 2], [1, 2], [2, 6], [4, 1], [2, 4]]
        + [[3, 1]],
        [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
    ),
    "categorical": (
        {"seed": 5, "categorical": True, "window_size": 1},
        [[2, 4], [3, 4], [3, 1], [1, 2], [2, 1], [4, 3], [4, 2], [1, 2], [2, 6], [2, 4], [4, 2]]
        + [[4, 1]],
        [[1, 0], [0, 1], [1, 0], [1, 0], [0, 1], [0, 1], [1, 0], [0, 1], [1, 0], [0, 1], [0, 1]]
        + [[1, 0]],
    ),
    "table": (
        {"seed": 3, "window_size": 1, "sampling_table": sequence.make_sampling_table(9, 0.5)},
        [[2, 1], [4, 2], [4, 2], [1, 2], [2, 1], [3, 4], [4, 2], [2, 4], [3, 4], [2, 7], [1, 7]]
        + [[4, 3]],
        [1, 0, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1],
    ),
    "without negative ones": (
        {"window_size": 1, "negative_samples": 0},
        [[3, 4], [1, 2], [2, 4], [4, 2], [2, 1], [4, 3]],
        [1, 1, 1, 1, 1, 1],
    ),
}


@pytest.mark.parametrize("name", SKIPGRAMS)
def test_skipgrams_are_drawn_as_keras_draws_them(name):
    arguments, pairs, labels = SKIPGRAMS[name]
    random.seed(7)
    assert sequence.skipgrams([1, 2, 0, 3, 4, 2], 9, **arguments) == (pairs, labels)


def test_sampling_table():
    expected = [0.00315225, 0.00315225, 0.00547597, 0.00741556, 0.00912817, 0.01068435]
    np.testing.assert_allclose(sequence.make_sampling_table(6), expected, atol=5e-9)


WINDOWS = {
    "plain": ({}, 3, [0, 1, 2, 3], 40, 190),
    "every second": ({"sampling_rate": 2}, 3, [0, 2], 40, 190),
    "far apart": ({"stride": 3}, 1, [0, 1, 2, 3], 40, 190),
    "reverse": ({"reverse": True}, 3, [3, 2, 1, 0], 40, 190),
    "part": ({"start_index": 2, "end_index": 12}, 2, [2, 3, 4, 5], 60, 120),
    "random": ({"shuffle": True, "batch_size": 4}, 4, [12, 13, 14, 15], 160, 110),
    "uneven": ({"length": 5, "sampling_rate": 3}, 3, [0, 3], 50, 190),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_are_those_of_keras(name):
    arguments, count, first, target, last = WINDOWS[name]
    np.random.seed(0)
    steps = np.arange(20)
    windows = sequence.TimeseriesGenerator(
        steps[:, None], steps * 10, **{"length": 4, "batch_size": 6, **arguments}
    )
    assert len(windows) == count
    x, y = windows[0]
    assert (x[0, :, 0].tolist(), y[0]) == (first, target)
    assert windows[len(windows) - 1][1][-1] == last


def test_windows_train_a_model():
    series = np.sin(np.arange(40) / 3)
    windows = sequence.TimeseriesGenerator(series[:, None], series, length=6, batch_size=8)
    model = hb.Sequential([hb.layers.Flatten(), hb.layers.Dense(1)])
    model.compile(hb.optimizers.Adam(0.05), "mse")
    history = model.fit(windows, epochs=12, verbose=0).history["loss"]
    assert history[-1] < history[0] / 4
    assert model.predict(windows, verbose=0).shape == (34, 1)
    again = sequence.TimeseriesGenerator([0, 1, 2], [3, 4, 5], 1, batch_size=2).to_json()
    config = json.loads(again)["config"]
    assert (config["data"], config["start_index"], config["end_index"]) == ("[0, 1, 2]", 1, 2)


ERRORS = {
    r"`num_words`, or call `fit_on_texts`": lambda: text.Tokenizer().texts_to_matrix(["a"]),
    r"needs the number of texts": lambda: text.Tokenizer(3).sequences_to_matrix([[1]], "tfidf"),
    r"`mode` must be 'binary'.*received 'x'": lambda: text.Tokenizer(3).sequences_to_matrix(
        [[1]], "x"
    ),
    r"no argument 'foo'": lambda: text.Tokenizer(foo=3),
    r"must be the result of `Tokenizer.to_json`": lambda: text.tokenizer_from_json('{"a": 1}'),
    r"`n` must be at least 2, received 0": lambda: text.one_hot("a", 0),
    r"`hash_function` must be": lambda: text.hashing_trick("a", 9, "sha"),
    r"received 20 and 5": lambda: sequence.TimeseriesGenerator(range(20), range(5), 3),
    r"before step 30, which is after `end_index`=19": lambda: sequence.TimeseriesGenerator(
        range(20), range(20), 30
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises((TypeError, ValueError), match=message):
        ERRORS[message]()
