"""The bundled data sets: exact contents, safe loading and helpful errors."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hornbeam.datasets import dataset_file, mnist
from hornbeam.errors import FileError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist.npz"

# Hashes of the arrays in the widely used mnist.npz (training images, training labels, test ...).
SHA256 = [
    "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
]


@pytest.fixture
def no_keras_home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def flat(data):
    (x_train, y_train), (x_test, y_test) = data
    return [x_train, y_train, x_test, y_test]


@pytest.mark.usefixtures("no_keras_home")
def test_bundled_mnist_is_mnist():
    arrays = flat(mnist.load_data())
    shapes = [(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)]
    assert [array.shape for array in arrays] == shapes
    assert {array.dtype for array in arrays} == {np.dtype("uint8")}
    assert [hashlib.sha256(array.tobytes()).hexdigest() for array in arrays] == SHA256
    assert all(array.flags.writeable and array.flags.owndata for array in arrays)


def test_bundled_mnist_equals_the_npz_file(no_keras_home):
    if not SHARED.is_file():
        pytest.skip("needs a copy of mnist.npz to compare with")
    for bundled, loaded in zip(flat(mnist.load_data()), flat(mnist.load_data(SHARED)), strict=True):
        np.testing.assert_array_equal(bundled, loaded)
    assert not no_keras_home.exists()


def test_loading_writes_nothing(no_keras_home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    mnist.load_data()
    assert not no_keras_home.exists()
    assert list(tmp_path.iterdir()) == []


def small_arrays():
    return {
        "x_train": np.full((3, 28, 28), 7, "uint8"),
        "y_train": np.array([1, 2, 3], "uint8"),
        "x_test": np.full((2, 28, 28), 8, "uint8"),
        "y_test": np.array([4, 5], "uint8"),
    }


def test_a_file_in_the_keras_folder_comes_first(no_keras_home):
    folder = no_keras_home / "datasets"
    folder.mkdir(parents=True)
    np.savez(folder / "mnist.npz", **small_arrays())
    (x_train, _), (_, y_test) = mnist.load_data()
    assert x_train.shape == (3, 28, 28)
    np.testing.assert_array_equal(y_test, [4, 5])


def test_an_absolute_path_is_loaded(tmp_path):
    np.savez(tmp_path / "own.npz", **small_arrays())
    assert mnist.load_data(tmp_path / "own.npz")[0][0].shape == (3, 28, 28)


def test_a_file_that_lacks_an_array_is_named(tmp_path):
    arrays = small_arrays()
    del arrays["y_test"]
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(ValueError, match=r"own\.npz' lacks the arrays y_test"):
        mnist.load_data(tmp_path / "own.npz")


def test_pickled_objects_are_refused(tmp_path):
    arrays = small_arrays()
    arrays["y_test"] = np.array([print, print], dtype=object)
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(ValueError, match="y_test must .* holds Python objects.*Move the file away"):
        mnist.load_data(tmp_path / "own.npz")


def _header(shape, kind="'|u1'"):
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


# Contents that replace the images, and the error that they cause.
HOSTILE_ARRAYS = {
    "no array": (b"hello", "not an array"),
    "vast": (_header("(10000000000000000,)"), "not a complete"),
    "negative": (_header("(-1,)"), "not a complete"),
    "nested": (_header("(" * 2000 + ")" * 2000), "not a complete"),
    "wide text": (_header("(1,)", "'U999999999'"), "not a complete"),
    "code": (_header("__import__('os').system('true')"), "not a complete"),
    "cut off": (_header("(100,)"), "not a complete"),
    "bomb": (_header(f"({2**27},)") + bytes(2**27), "bomb"),
}


@pytest.mark.parametrize("kind", HOSTILE_ARRAYS)
def test_hostile_arrays(tmp_path, kind):
    content, match = HOSTILE_ARRAYS[kind]
    np.savez(tmp_path / "own.npz", **small_arrays())
    with zipfile.ZipFile(tmp_path / "own.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "own.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in (members | {"x_train.npy": content}).items():
            archive.writestr(name, member)
    with pytest.raises(FileError, match=match):
        mnist.load_data(tmp_path / "own.npz")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x80\x04N.", b"PK\x03\x04", _header("(3,)") + b"abc"]
)
def test_files_that_hold_no_arrays(tmp_path, content):
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(FileError, match="not a complete"):
        mnist.load_data(tmp_path / "own.npz")


@pytest.mark.usefixtures("no_keras_home")
@pytest.mark.parametrize("place", [0, -1, 1000, 5_000_000])
def test_a_damaged_copy_is_refused(monkeypatch, tmp_path, place):
    content = bytearray((Path(mnist.__file__).parent / "mnist.xz").read_bytes())
    content[place] ^= 255
    (tmp_path / "mnist.xz").write_bytes(content)
    monkeypatch.setattr(dataset_file.resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match="damaged"):
        mnist.load_data()
