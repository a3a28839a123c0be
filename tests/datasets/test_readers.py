"""Readers of data sets' files: they read valid files and reject hostile ones.

Rejecting a file neither runs its code nor allocates the memory that it claims.
"""

import gzip
import lzma
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from hornbeam.datasets import readers
from hornbeam.datasets.pickles import PickleError, read_pickle
from hornbeam.errors import FileError


def same(found, expected):
    """Compare structures of arrays and plain data, including their types."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            same(found[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            same(a, b)
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        same(found.tolist(), expected.tolist())
    else:
        assert found == expected


RAGGED = np.empty(3, object)
RAGGED[:] = [[1, 2, 3], [], [4]]
DATA = {
    "numbers": [0, 1, -5, 300, 70_000, 2**40, -(2**70), 0.5, True, False, None],
    "texts": ["", "a", "\N{GREEK SMALL LETTER ALPHA}" * 300, b"", b"\x00\xff" * 300],
    "nested": {"a": [(), (1,), (1, (2, 3)), (1, 2, 3, 4), [[]], {}], b"b": {"c": 1}},
    "arrays": [
        np.arange(6, dtype=d).reshape(2, 3)
        for d in ("uint8", "int16", ">i4", "float32", "float64", "complex64")
    ],
    "bools": np.array([True, False]),
    "words": np.array(["ab", "c"]),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "empty": np.zeros((0, 3), "float32"),
    "number": np.array(3.5),
    "ragged": RAGGED,
    "in tuples": (np.arange(3), [np.arange(2)]),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", DATA)
def test_pickles_of_data_are_read(name, protocol):
    again = [DATA[name], DATA[name]]  # the second is a reference to the first
    same(read_pickle(pickle.dumps(again, protocol)), again)


def test_pickles_of_python_2_are_read():
    # Written by cPickle of Python 2 with protocol 2:
    # {'labels': [6], 'data': numpy.array([[1, 2]], 'uint8')}.
    content = (
        b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03K\x06aU\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\n"
        b"ndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\x09"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x01\x02tbu."
    )
    same(read_pickle(content), {b"labels": [6], b"data": np.array([[1, 2]], "uint8")})


class Calls:
    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


class Plain:
    def __init__(self):
        self.x = 1


def _array_pickle(
    shape=b"K\x02\x85", dtype=b"U\x02u1", state=b"K\x03U\x01|NNNK\x00K\x00K\x00t", data=b"U\x02ab"
):
    """Return a pickle of an array of two bytes, with the given parts replaced."""
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\n" + dtype + b"K\x00K\x01\x87R(" + state + b"b\x89" + data + b"tb."
    )  # fmt: skip


MARK_FILE = "HORNBEAM_TEST_WAS_RUN"
HOSTILE = {
    "a call": (pickle.dumps(Calls(os.putenv, MARK_FILE, "1")), "not data"),
    "a call, in protocol 0": (b"cos\nputenv\n(S'HORNBEAM_TEST_WAS_RUN'\nS'1'\ntR.", "not data"),
    "a call of a builtin": (b"c__builtin__\neval\n(S'1'\ntR.", "not data"),
    "INST": (b"(S'1'\nios\nputenv\n.", "INST"),
    "OBJ": (b"(cnumpy\nndarray\no.", "OBJ"),
    "a class": (pickle.dumps(Plain()), "not data"),
    "copyreg": (pickle.dumps(Plain(), 0), "not data"),
    "a set": (pickle.dumps({1, 2}), "EMPTY_SET"),
    "a persistent object": (b"Pname\n.", "PERSID"),
    "an extension": (b"\x82\x01.", "EXT1"),
    "a number as key": (pickle.dumps({1: 2}), "key"),
    "an array as key": (pickle.dumps({"a": 1})[:-1] + b"u.", "damaged|without its arguments"),
    "an array called in another way": (b"cnumpy.core.multiarray\n_reconstruct\n(I1\ntR.",
        "call of array"),
    "a name as value": (b"]cnumpy\nndarray\na.", "other than data"),
    "a name alone": (b"cnumpy\nndarray\n.", "other than data"),
    "a type in a tuple": (b"]cnumpy\nndarray\n\x85a.", "other than data"),
    "an array without state": (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R.",
        "without values"),
    "a vast shape": (_array_pickle(shape=b"\x8a\x08" + bytes(7) + b"\x10\x85"), "missing"),
    "a negative shape": (_array_pickle(shape=b"J\xff\xff\xff\xff\x85"), "shape"),
    "a shape of bools": (_array_pickle(shape=b"\x88\x88\x86"), "shape"),
    "an unknown dtype": (_array_pickle(dtype=b"U\x02b9"), "dtype"),
    "a dtype that is no name": (_array_pickle(dtype=b"K\x02"), "dtype"),
    "records": (_array_pickle(state=b"K\x03U\x01|NU\x01aNK\x00K\x00K\x00t"), "structured"),
    "a byte order": (_array_pickle(state=b"K\x03U\x01!NNNK\x00K\x00K\x00t"), "byte order"),
    "objects as bytes": (_array_pickle(dtype=b"U\x02O8"), "missing"),
    "too few values": (_array_pickle(data=b"U\x01a"), "missing"),
    "a state for a list": (b"]K\x01b.", "object of a class"),
    "two states": (_array_pickle()[:-1] + b"N\x85b.", "unknown format"),
    "nothing": (b"", "damaged"),
    "cut off": (pickle.dumps([1, 2, 3])[:-3], "damaged"),
    "text": (b"hello", "missing object"),
    "a long claim": (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc.", "damaged"),
    "a long claim of bytes": (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"abc.", "damaged"),
    "a far place in memory": (b"\x80\x02K\x01r\xff\xff\xff\x7fh\x01.", "reference"),
    "no value": (b"\x80\x02.", "one value"),
    "two values": (b"\x80\x02K\x01K\x02.", "one value"),
    "a mark as value": (b"\x80\x02(.", "other than data"),
    "no list": (b"\x80\x02K\x01K\x02a.", "arguments"),
    "a key alone": (b"\x80\x02}(U\x01au.", "without a value"),
    "bytes that are none": (b"c_codecs\nencode\n(V\\u1234\nVlatin1\ntR.", "damaged"),
    "another encoding": (b"c_codecs\nencode\n(Va\nVzip\ntR.", "call of encode"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles(name):
    content, text = HOSTILE[name]
    tracemalloc.start()
    try:
        with pytest.raises(PickleError, match=text):
            read_pickle(content)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert MARK_FILE not in os.environ


def test_values_that_are_used_again_and_again_are_not_copied_without_end():
    data = bytes(100_000)
    array = _array_pickle(data=b"h\x63")[2:-1]
    shape = struct.pack("<I", len(data))
    array = array.replace(b"K\x02\x85", b"J" + shape + b"\x85", 1)
    content = b"\x80\x02T" + shape + data + b"q\x630](" + array * 100 + b"e."
    with pytest.raises(PickleError, match="larger than the file"):
        read_pickle(content)
    same(read_pickle(content.replace(array * 100, array)), [np.frombuffer(data, "uint8")])


def test_nested_deeply_or_in_itself_is_read_without_recursion():
    found = read_pickle(b"]" * 100_000 + b"a" * 99_999 + b".")
    depth = 0
    while found:
        found, depth = found[0], depth + 1
    assert depth == 99_999
    inside = read_pickle(b"]q\x01h\x01a.")
    assert inside[0] is inside


def test_pickles_damaged_anywhere_raise_one_error():
    content = pickle.dumps(DATA, 2)
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), random.integers(1, 4)):
            damaged[place] = random.integers(256)
        try:
            read_pickle(bytes(damaged))
        except PickleError:
            refused += 1
    assert refused > 500


# --- files ---------------------------------------------------------------------------------------


def test_npz_reads_the_arrays_asked_for(tmp_path):
    arrays = {
        "x": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "y": np.zeros((0, 3), ">f4"),
        "z": np.array(2.5),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = readers.read_npz(tmp_path / "a.npz", ["z", "x", "y"])
    same({name: found[name] for name in "xyz"}, arrays)
    found["x"][0, 0] = 7  # the array is writable


def test_npz_reads_lists_only_where_they_are_expected(tmp_path):
    np.savez(tmp_path / "a.npz", x=RAGGED, y=np.arange(3))
    same(
        readers.read_npz(tmp_path / "a.npz", ["x", "y"], ragged=["x", "y"]),
        {"x": RAGGED, "y": np.arange(3)},
    )
    with pytest.raises(FileError, match=r"a\.npz': x .* holds Python objects"):
        readers.read_npz(tmp_path / "a.npz", ["x", "y"], ragged=["y"])
    assert list(readers.read_npz(tmp_path / "a.npz", ["y"])) == ["y"]


def _npy(header, data=b"", version=b"\1\0"):
    text = header.encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def _header(shape, descr="'|u1'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


HOSTILE_NPY = {
    "no array": (b"hello", "not an array"),
    "another version": (_npy(_header("(1,)"), b"a", b"\3\0"), "version"),
    "a vast shape": (_npy(_header("(1000000000, 1000000000)"), b"a"), "not a complete"),
    "a shape of negative sizes": (_npy(_header("(-1, -2)"), b"ab"), "not a complete"),
    "cut off": (_npy(_header("(3,)"), b"ab"), "not a complete"),
    "too long": (_npy(_header("(1,)"), b"ab"), "not a complete"),
    "code": (
        _npy(_header("__import__('os').putenv('HORNBEAM_TEST_WAS_RUN', '1')"), b""),
        "not a complete",
    ),
    "objects": (
        _npy(_header("(1,)", "'|O'"), pickle.dumps(Calls(os.putenv, MARK_FILE, "1"))),
        "Python objects",
    ),
    "records of objects": (_npy(_header("(1,)", "[('a', '|O')]"), b"12345678"), "Python objects"),
}


@pytest.mark.parametrize("name", HOSTILE_NPY)
def test_hostile_arrays(tmp_path, name):
    content, text = HOSTILE_NPY[name]
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(FileError, match=text):
        readers.read_npz(tmp_path / "a.npz", ["x"])
    assert MARK_FILE not in os.environ


def test_objects_in_ragged_arrays_are_not_run(tmp_path):
    call = pickle.dumps(Calls(os.putenv, MARK_FILE, "1"))
    for data, text in (
        (call, "not data"),
        (pickle.dumps([1]), "not an array of shape"),
        (pickle.dumps(np.ones(2)), "not an array of"),
    ):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("x.npy", _npy(_header("(1,)", "'|O'"), data))
        with pytest.raises(FileError, match=text):
            readers.read_npz(tmp_path / "a.npz", ["x"], ragged=["x"])
    assert MARK_FILE not in os.environ


def _idx(array, code):
    return (
        bytes([0, 0, code, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("code", "dtype"), [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
def test_idx_is_read(tmp_path, code, dtype, pack):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    (tmp_path / "a").write_bytes(pack(_idx(array, code)))
    found = readers.read_idx(tmp_path / "a")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.flags.writeable


WHOLE = _idx(np.arange(6, dtype="u1"), 8)
HOSTILE_IDX = {
    "empty": b"",
    "text": b"hello, world",
    "an unknown type": b"\0\0\x07" + WHOLE[3:],
    "cut off": WHOLE[:-1],
    "too long": WHOLE + b"\0",
    "a vast shape": b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**31, 2**31) + b"abc",
    "a large shape": b"\0\0\x08\x01" + struct.pack(">I", 2**26 - 1) + b"abc",
    "many axes": b"\0\0\x08\xff" + bytes(4 * 255),
}


@pytest.mark.parametrize("name", HOSTILE_IDX)
def test_hostile_idx(tmp_path, name):
    for content in (
        HOSTILE_IDX[name],
        gzip.compress(HOSTILE_IDX[name]),
        gzip.compress(HOSTILE_IDX[name])[:-3],
    ):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(FileError, match="a'"):
            readers.read_idx(tmp_path / "a")


def test_packed_bombs_are_refused(tmp_path):
    (tmp_path / "a.xz").write_bytes(lzma.compress(bytes(2**20)))
    with pytest.raises(FileError, match="not complete"):
        readers.read_packed(tmp_path / "a.xz", {"x": (10,)})
    with pytest.raises(FileError, match="cannot hold"):
        readers.read_packed(tmp_path / "a.xz", {"x": (2**40,)})
    assert readers.read_packed(tmp_path / "a.xz", {"x": (2**10, 2**9), "y": (2**19,)})[
        "y"
    ].shape == (2**19,)


def test_a_pickled_batch_has_texts_as_names(tmp_path):
    (tmp_path / "batch").write_bytes(pickle.dumps({b"data": np.ones(2), "labels": [1]}, 2))
    same(readers.read_pickle_batch(tmp_path / "batch"), {"data": np.ones(2), "labels": [1]})
    for content, text in (
        (pickle.dumps([1]), "must hold a batch"),
        (pickle.dumps(Calls(os.getpid)), "not data"),
        (b"", "damaged"),
    ):
        (tmp_path / "batch").write_bytes(content)
        with pytest.raises(FileError, match=f"batch'.*{text}"):
            readers.read_pickle_batch(tmp_path / "batch")
