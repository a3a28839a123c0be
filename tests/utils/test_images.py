"""Image files and arrays, compared with Keras."""

import io
import sys

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.errors import FileError
from hornbeam.utils import array_to_img, img_to_array, load_img, save_img
from hornbeam.utils.images import smart_resize
from hornbeam.utils.resizing import resize

Image = pytest.importorskip("PIL.Image")

RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (9, 7, 3)).astype("uint8")
ARRAYS = {
    "rgb": RGB,
    "rgba": RANDOM.integers(0, 256, (9, 7, 4)).astype("uint8"),
    "gray": RGB[..., :1],
    "constant": np.full((3, 3, 1), 7.0),
    "zero": np.zeros((3, 3, 3)),
    "wide": RANDOM.normal(size=(4, 5, 3)) * 1000,
    "deep gray": np.arange(9.0).reshape(3, 3, 1) * 300,
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_arrays_and_images(name, scale, data_format):
    x = ARRAYS[name]
    if name == "wide" and not scale:
        x = np.clip(x, 0, 255)
    if data_format == "channels_first":
        x = x.transpose(2, 0, 1)
    ours, theirs = (
        lib.utils.array_to_img(x, data_format=data_format, scale=scale) for lib in (hb, keras)
    )
    assert (ours.mode, ours.size) == (theirs.mode, theirs.size)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    for dtype in (None, "uint8"):
        a, b = (
            lib.utils.img_to_array(ours, data_format=data_format, dtype=dtype)
            for lib in (hb, keras)
        )
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_the_default_data_format():
    hb.config.set_image_data_format("channels_first")
    image = array_to_img(RGB.transpose(2, 0, 1))
    assert image.size == (7, 9)
    assert img_to_array(image).shape == (3, 9, 7)
    assert img_to_array(RGB[..., 0]).shape == (1, 9, 7)


FILES = ["rgb.png", "rgba.png", "gray.png", "rgb.bmp", "rgb.gif", "rgb.jpg", "deep.tif", "16.png"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name in FILES[:6]:
        save_img(folder / name, ARRAYS[name.split(".")[0]], scale=False)
    save_img(folder / "deep.tif", ARRAYS["deep gray"], scale=False)
    Image.fromarray(np.arange(12, dtype="uint16").reshape(3, 4) * 5000).save(folder / "16.png")
    return folder


@pytest.mark.parametrize("name", FILES)
def test_files(folder, name):
    settings = [
        {},
        {"color_mode": "grayscale"},
        {"color_mode": "rgba"},
        {"target_size": (4, 5)},
        {"target_size": (9, 7)},
        {"target_size": (3, 12), "keep_aspect_ratio": True, "interpolation": "bilinear"},
        *(
            {"target_size": (4, 12), "interpolation": method}
            for method in ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
        ),
    ]
    for arguments in settings:
        ours, theirs = (lib.utils.load_img(folder / name, **arguments) for lib in (hb, keras))
        assert (ours.mode, ours.size) == (theirs.mode, theirs.size)
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    content = io.BytesIO((folder / name).read_bytes())
    np.testing.assert_array_equal(
        np.asarray(load_img(content)), np.asarray(load_img(folder / name))
    )


def test_saving(tmp_path):
    with pytest.warns(UserWarning, match="JPEG has no transparency"):
        save_img(tmp_path / "a.jpg", ARRAYS["rgba"], quality=90)
    assert load_img(tmp_path / "a.jpg").size == (7, 9)
    file = io.BytesIO()
    save_img(file, RGB, file_format="png", scale=False)
    np.testing.assert_array_equal(img_to_array(load_img(file), dtype="uint8"), RGB)
    assert np.asarray(load_img(file, grayscale=True)).shape == (9, 7)


def png(size):
    """Return a PNG file that claims a size."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "png")
    content = bytearray(file.getvalue())
    content[16:24] = size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big")
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


HOSTILE = {
    "empty": (b"", "not a complete image"),
    "text": (b"hello", "not a complete image"),
    "vast": (png((100_000, 100_000)), "too many pixels"),
    "large": (png((10_000, 10_000)), "too many pixels"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path, name):
    content, match = HOSTILE[name]
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(FileError, match=rf"a\.png' .*{match}"):
        load_img(tmp_path / "a.png")


def test_a_file_that_is_cut_off(folder, tmp_path):
    content = (folder / "rgb.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:60])
    with pytest.raises(FileError, match=r"a\.png' is not a complete image"):
        load_img(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError):
        load_img(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: array_to_img(RGB[0]), r"3 axes \(one image\), received shape \(7, 3\)"),
        (lambda: array_to_img(RGB[..., :2]), "1, 3 or 4 channels, received 2"),
        (lambda: array_to_img(RGB, data_format="last"), "`data_format`.*received 'last'"),
        (lambda: img_to_array(RGB[None]), "2 or 3 axes"),
        (lambda: load_img("a.png", color_mode="bgr"), "`color_mode`.*'bgr'"),
        (lambda: smart_resize(RGB, (1, 2, 3)), r"\(height, width\), received \(1, 2, 3\)"),
        (lambda: smart_resize(RGB[0], (1, 2)), r"received shape \(7, 3\)"),
        (lambda: smart_resize(RGB, (1, 2), interpolation="box"), "`interpolation`.*'box'"),
    ],
)
def test_wrong_arguments(call, match):
    with pytest.raises(ValueError, match=match):
        call()
    with pytest.raises(TypeError, match="`path` must be a path"):
        load_img(5)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r'array_to_img needs .*pip install "hornbeam\[image\]"'):
        array_to_img(RGB)


SIZES = [(9, 7), (3, 3), (20, 9), (4, 13), (1, 1)]
# Pixel (1, 1) of RGB resized to (4, 5) by TensorFlow 2.21's image.resize.
FILTERS = {
    "bilinear": [135.575, 133.275, 139.95],
    "nearest": [134, 96, 79],
    "bicubic": [144.293, 122.848, 139.31],
    "area": [117.889, 155.778, 139.952],
    "lanczos3": [156.707, 112.488, 149.491],
    "lanczos5": [165.101, 100.544, 154.023],
    "gaussian": [130.244, 139.106, 139.868],
    "mitchellcubic": [137.597, 131.826, 140.831],
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters(name):
    found = resize(RGB, (4, 5), name)
    np.testing.assert_allclose(found[1, 1], FILTERS[name], atol=2e-3)


def test_places_of_the_bicubic_filter_are_those_of_tensorflow():
    # At place 38, float64 rounds to another of the 1024 steps between two pixels.
    x = (np.arange(500) * 37 % 256).astype("uint8").reshape(1, 500, 1)
    expected = [178.074, -3.359, 108.16, 203.442, 24.996]
    np.testing.assert_allclose(resize(x, (1, 53), "bicubic")[0, 36:41, 0], expected, atol=2e-3)


def test_very_long_images_need_little_memory():
    import tracemalloc

    x = np.zeros((1, 200_000, 1), "uint8")
    tracemalloc.start()
    for name in ("bilinear", "area", "lanczos5"):
        assert resize(x, (256, 256), name).shape == (256, 256, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * 2**20


def test_smart_resize():
    for size in SIZES:
        for interpolation in ("bilinear", "nearest"):
            ours, theirs = (
                lib.preprocessing.image.smart_resize(RGB, size, interpolation=interpolation)
                for lib in (hb, keras)
            )
            assert (ours.shape, ours.dtype) == ((*size, 3), theirs.dtype)
            np.testing.assert_allclose(ours, theirs, atol=1e-3)
    batch = np.stack([RGB, RGB[::-1]])
    first = smart_resize(batch.transpose(0, 3, 1, 2), (4, 5), data_format="channels_first")
    np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), smart_resize(batch, (4, 5)))
    array = smart_resize(jnp.asarray(batch), (4, 5))
    assert isinstance(array, jnp.ndarray)
    np.testing.assert_allclose(array, smart_resize(batch, (4, 5)), rtol=1e-5)
    assert hb.preprocessing.image.load_img is load_img
