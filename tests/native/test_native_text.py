"""The functions of hornbeam-cpu for texts give what Python gives, errors included."""

from __future__ import annotations

import concurrent.futures
import copy
import pickle

import jax
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.layers.preprocessing.fingerprints import fingerprints
from hornbeam.layers.preprocessing.native_text import (
    TextTable,
    count_tokens,
    from_arrow,
    native_hashes,
)
from hornbeam.layers.preprocessing.text import as_host_array

native = pytest.importorskip(
    "hornbeam_cpu.text",
    reason="hornbeam-cpu is not installed: pip install ./native",
    exc_type=ImportError,
)

# Ranges of characters: letters, other ASCII with zero and all white space, Latin with its own white
# space, letters that change their length when they are lowered, symbols, and beyond 16 bits.
RANGES = [(97, 123), (0, 128), (0x80, 0x180), (0x130, 0x131), (0x2000, 0x2070), (0x1F600, 0x1F640)]


def random_texts(rng, count, words=40):
    """Return texts of few different words, so that words repeat, and of any other characters."""

    def word():
        low, high = RANGES[rng.integers(len(RANGES))]
        return "".join(map(chr, rng.integers(low, high, rng.integers(1, 12))))

    known = [word() for _ in range(words)]
    known += [w.upper() for w in known] + ["x" * 16, "x" * 17, "x" * 300]
    spaces = [" ", "  ", "\t", "\n", "\x0b", "\x1c", "\x85", "\xa0", ", ", "--", ""]
    texts = [
        "".join(
            part for w in rng.choice(known, rng.integers(0, 9)) for part in (w, rng.choice(spaces))
        )
        for _ in range(count - 2)
    ]
    return [*texts, "", " "]


def forms(texts):
    """Return texts in every form that an array of texts can have."""
    plain = np.array(texts)
    some_bytes = np.array([t.encode() if i % 2 else t for i, t in enumerate(texts)], object)
    broken = np.array([t.encode()[1:] + b"\xff" * (i % 3) for i, t in enumerate(texts)], object)
    return {
        "list": texts,
        "objects": np.array(texts, object),
        "columns": np.array(texts, object)[:, None],
        "U": plain,
        "U of other byte order": plain.astype(plain.dtype.newbyteorder()),
        "U with gaps": np.repeat(plain, 2)[::2],
        "StringDType": np.array(texts, np.dtypes.StringDType()),
        "S": np.array([t.encode() for t in texts]),
        "bytes": some_bytes,
        "bytes that are no UTF-8": broken,
    }


def outcome(function):
    try:
        found = function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return np.asarray(found) if isinstance(found, jax.Array) else found


@pytest.fixture
def both():
    """Return a function that calls another with hornbeam-cpu and without, and compares."""
    before = hb.config.kernels()

    def compare(function):
        found = []
        for kernels in ("auto", "plain"):
            hb.config.set_kernels(kernels)
            found.append(outcome(function))
        if isinstance(found[0], str):
            assert found[0] == found[1]
        else:
            np.testing.assert_equal(*found)
        return found[0]

    yield compare
    hb.config.set_kernels(before)


PLANS = {
    "defaults": {},
    "lower, characters": {"standardize": "lower", "split": "character"},
    "strip": {"standardize": "strip_punctuation", "max_tokens": 12},
    "as it is, pairs": {"standardize": None, "ngrams": 2},
    "sizes": {"ngrams": (3, 1, 10**17), "output_sequence_length": 5},
    "whole texts": {"split": None, "standardize": "lower"},
    "counts": {"output_mode": "count"},
    "tf_idf": {"output_mode": "tf_idf", "split": "character", "ngrams": 2},
    "a function": {"standardize": lambda texts: [t[:5] for t in texts.tolist()]},
    "another encoding": {"encoding": "latin-1"},
}


@pytest.mark.parametrize("name", PLANS)
def test_vectors_of_random_texts(name, both):
    rng = np.random.default_rng(len(name))
    texts, others = random_texts(rng, 60), random_texts(rng, 20)

    def result(given):
        layer = hb.layers.TextVectorization(name="words", **PLANS[name])
        layer.adapt(given)
        layer.update_state(np.array(["more", "texts"]))
        indices = [
            layer._indices(layer._standardized(as_host_array(x, ""))) for x in (given, others)
        ]
        return layer.get_vocabulary(), *indices, layer._lookup_layer.idf_weights

    for form, given in forms(texts).items():
        found = both(lambda given=given: result(given))
        refused = name in ("whole texts", "another encoding") or form.startswith("bytes that")
        assert refused or not isinstance(found, str), (form, found)


@pytest.mark.parametrize("options", [
    {}, {"mask_token": ""}, {"num_oov_indices": 3}, {"num_oov_indices": 5, "salt": [-1, 2**70]},
    {"num_oov_indices": 0}, {"num_oov_indices": 2, "encoding": "latin-1"}, {"max_tokens": 9},
])  # fmt: skip
def test_lookups_of_random_texts(options, both):
    rng = np.random.default_rng(7)
    texts, others = random_texts(rng, 80), random_texts(rng, 40)

    def result(given):
        layer = hb.layers.StringLookup(name="known", **options)
        layer.adapt(texts[:50])
        learned = hb.layers.StringLookup(name="learned", **options)
        learned.adapt(given)
        return (
            learned.get_vocabulary(),
            layer.indices(np.asarray(given)),
            learned.indices(others[:1]),
        )

    for given in [*forms(texts).values(), *forms(others).values()]:
        both(lambda given=given: result(given))


def test_hashes_of_all_lengths_and_forms(both):
    rng = np.random.default_rng(3)
    # Python hashes texts of one length at once, so many lengths take it long.
    lengths = np.array([rng.bytes(size) for size in range(200)], object)
    for key in (None, (-1, 2**64 + 5)):
        both(lambda key=key: fingerprints(lengths, key))
        for given in forms(random_texts(rng, 20)).values():
            given = np.asarray(given, object) if isinstance(given, list) else given
            assert both(lambda given=given, key=key: fingerprints(given, key)).dtype == "uint64"


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", ">i8", "int64", "uint64", "bool"])
def test_hashes_of_integers(dtype, both):
    limits = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    numbers = [*limits, 0, 1, 9, 10, 99, 100, *(10**k for k in range(19))]
    numbers = [n for n in numbers if limits[0] <= n <= limits[1]]
    for key in (None, (5, -7)):
        both(lambda key=key: fingerprints(np.array(numbers, dtype)[::2], key))


def test_texts_of_all_short_lengths_are_found():
    words = ["abcdefghijklmnopqrs"[:size] for size in range(20)]
    words += [word[:-1] + "z" for word in words[1:]] + ["é", "abcdefghé", "a\0b", "日本語"]
    table = TextTable({word: number for number, word in enumerate(words)})
    for longest in range(21):
        some = [word for word in words if len(word.encode()) <= longest]
        given = np.array([word.encode() for word in some], f"S{max(longest, 1)}")
        strings = np.array(some, np.dtypes.StringDType())
        for form in (given, given.astype(object), np.array(some, object), strings):
            assert [words[i] for i in table.find(form, "utf-8")] == some
    assert table.find(np.array(["abd", "abcdefghijklmnopqrs!"], "S"), "utf-8").tolist() == [-2, -2]


def test_texts_that_utf8_cannot_represent(both):
    layer = hb.layers.TextVectorization(vocabulary=["a", "b"])
    lookup = hb.layers.StringLookup(vocabulary=["a", "\udcff", "b"])
    hashed = hb.layers.StringLookup(vocabulary=["a"], num_oov_indices=2)
    broken = ["a", "b \ud800", "\udcff"]
    for given in (broken, np.array(broken)):
        assert "surrogates not allowed" in both(lambda given=given: layer(given))
        assert "surrogates not allowed" in both(lambda given=given: fingerprints(np.array(given)))
        assert "surrogates not allowed" in both(lambda given=given: hashed(given))
        assert both(lambda given=given: lookup(given)).tolist() == [1, 0, 2]
    beyond = np.array([0x110000, 97], "uint32").view("U1")  # no character
    assert isinstance(both(lambda: layer(beyond)), str)
    assert isinstance(both(lambda: fingerprints(beyond)), str)
    # Overlong, half of a pair, above the last character, cut off: not UTF-8.
    for bad in (
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xe2\x82",
    ):
        assert "are no text in utf-8" in both(lambda bad=bad: hashed([b"a", bad]))
        assert both(lambda bad=bad: layer([b"a " + bad])).tolist() == [[2, 1]]
    for good in ("\0", "é", "\ud7ff", "\ue000", "\uffff", "\U0010ffff"):
        both(lambda good=good: hashed([good.encode()]))


def test_many_texts_in_several_threads(both):
    rng = np.random.default_rng(5)
    texts = np.array(random_texts(rng, 300) * 50, object)
    layer = hb.layers.TextVectorization(output_mode="tf_idf", ngrams=2, max_tokens=500)
    ids, lookup = hb.layers.TextVectorization(), hb.layers.StringLookup()

    def result():
        layer.adapt(texts)
        ids.adapt(texts)
        lookup.adapt(texts[:301])
        return (
            layer.get_vocabulary(),
            layer._lookup_layer.idf_weights,
            np.asarray(ids(texts)),
            lookup.indices(texts.astype(str)),
            fingerprints(texts),
        )

    expected = both(result)
    hb.config.set_kernels("auto")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: np.asarray(ids(texts)), range(8)):
            np.testing.assert_array_equal(found, expected[2])


def test_layers_with_a_table_can_be_copied():
    layer = hb.layers.TextVectorization(vocabulary=["a", "b"])
    assert layer(["b"]).tolist() == [[3]]
    table = layer._lookup_layer.table()
    for other in (copy.deepcopy(table), pickle.loads(pickle.dumps(table))):
        assert other.find(np.array(["b", "x"]), "utf-8").tolist() == [3, -2]


def test_wrong_operands_are_refused():
    numbers = np.zeros(2, "int32")
    table = native.table(["a", b"b"], numbers)
    assert native.table(["a", 5], numbers) is None
    assert native.find(table, ["a", None], 0, numbers) is None
    assert native.hashes([object()], None, 0, 0, np.empty(1, "uint64")) is None
    for mixed in ([5, "a"], ["a", None], ["a", [b"b"]]):
        mixed = (np.array([*mixed, "a"], object)[:2], "O", 8)
        assert native.find(table, mixed, 0, numbers) is None
        assert native.hashes(mixed, None, 0, 0, np.empty(2, "uint64")) is None
    assert native.count([1], (True, True, 1, ())) is None
    strings = np.array(["a"], np.dtypes.StringDType())
    for given in ((numbers, "O", 8), (numbers, "T", 16), (strings, "T", 4)):
        assert native.hashes(given, None, 0, 0, np.empty(2, "uint64")) is None
    assert native.hashes((np.zeros(7, "uint8"), "U", 4), None, 0, 0, np.empty(1, "uint64")) is None
    wrong = [
        lambda: native.table(["a"], numbers),
        lambda: native.find(table, ["a"], 0, numbers),
        lambda: native.find(numbers, ["a"], 0, numbers),
        lambda: native.find(table, ["a"], 0, b"read"),
        lambda: native.hashes(["a"], None, 0, 0, numbers[:1]),
        lambda: native.integer_hashes(numbers, True, None, 0, 0, np.empty(5, "uint64")),
        lambda: native.hashes(["a"], None, 5, 0, np.empty(1, "uint64")),
        lambda: native.are_texts(numbers),
        lambda: native.strings(np.array([0, 5], "int32"), False, b"abc", strings.copy()),
        lambda: native.strings(np.array([2, 1], "int32"), False, b"abc", strings.copy()),
        lambda: native.strings(np.array([0, 1, 2], "int32"), False, b"abc", strings.copy()),
        lambda: native.strings(np.array([0, 1], "int32"), False, b"abc", numbers),
        lambda: native.count(["a"], (True, True, 3, ())),
        lambda: native.count(["a"], (True, True, 1, (0,))),
        lambda: native.sequences(table, ["a"], (True, True, 1, (2**70,)), 0, 1, 0),
        lambda: native.sequences(table, ["a"], (True, True, 1, ()), 2**62, 1, 0),
    ]
    for call in wrong:
        with pytest.raises((ValueError, TypeError, BufferError, OverflowError, MemoryError)):
            call()


def test_what_hornbeam_cpu_leaves_to_python():
    texts = np.array(["a"], object)
    assert count_tokens(texts, (True, True, 1, ()), "latin-1") is None
    assert count_tokens(texts, (True, True, 1, ()), "no encoding") is None
    assert native_hashes(np.array(["\ud800"]), None) is None
    assert native_hashes(texts, None).dtype == "uint64"


def test_bins_are_remainders_of_hashes():
    values = np.array(random_texts(np.random.default_rng(6), 50), object)
    for bins in (1, 2, 7, 1000, 2**31 - 2):
        for given in (values, np.arange(-20, 20)):
            expected = fingerprints(given) % np.uint64(bins)
            found = native_hashes(given, None, bins, 1)
            np.testing.assert_array_equal(found, expected.astype("int64") + 1)
    assert native_hashes(values, None, 2**31) is None


def test_arrays_of_arrow_keep_their_memory():
    pyarrow = pytest.importorskip("pyarrow")
    texts = random_texts(np.random.default_rng(7), 50)
    for kind in ("string", "large_string"):
        array = pyarrow.array(texts, kind)
        chunks = pyarrow.chunked_array([array[:7], array[7:7], array[7:]])
        for given, expected in ((array, texts), (array[3:20], texts[3:20]), (chunks, texts)):
            assert from_arrow(given).tolist() == expected
        assert as_host_array(array, "").dtype.kind == "T"
    for others in (pyarrow.array(["a", None]), pyarrow.array([1])):
        assert from_arrow(others) is None
