"""Image files of odd forms; expected values are those of Keras 3.15 on TensorFlow 2.21."""

import io
import struct
import zlib

import numpy as np
import pytest

from hornbeam.errors import FileError
from hornbeam.utils import image_dataset_from_directory

Image = pytest.importorskip("PIL.Image")

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype("uint8")
RGB[0, :4] = [[103, 198, 70], [255, 255, 255], [9, 9, 9], [1, 2, 3]]
ALPHA = np.random.default_rng(1).integers(0, 256, (6, 8, 1)).astype("uint8")


def encoded(image, kind, **options):
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def png(array, color, *parts):
    """Return a PNG file with any number of bits, of which Pillow writes only some."""
    bits = 8 * array.dtype.itemsize
    size = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, color, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in array)
    chunks = [(b"IHDR", size), *parts, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def read(tmp_path, content, color_mode="rgb", name="x.png"):
    (tmp_path / "a").mkdir(exist_ok=True)
    (tmp_path / "a" / name).write_bytes(content)
    (x,) = image_dataset_from_directory(
        tmp_path, image_size=(6, 8), color_mode=color_mode, label_mode=None, batch_size=None,
        verbose=False,
    )  # fmt: skip
    return x


def test_forms_of_png(tmp_path):
    both = np.concatenate([RGB, ALPHA], axis=-1)
    deep = RGB.astype("uint16") * 256 + 200
    for content in (
        encoded(RGB, "PNG"), encoded(both, "PNG"), png(deep, 2), encoded(RGB, "BMP"),
        png(np.concatenate([deep, ALPHA * np.uint16(257)], axis=-1), 6),
        png(RGB, 2, (b"tRNS", struct.pack(">HHH", *RGB[3, 3].tolist()))),
        encoded(RGB, "WEBP", lossless=True),
    ):  # fmt: skip
        np.testing.assert_array_equal(read(tmp_path, content), RGB)
    np.testing.assert_array_equal(read(tmp_path, encoded(both, "PNG"), "rgba"), both)
    gray = read(tmp_path, encoded(RGB, "PNG"), "grayscale")
    assert gray[0, :4, 0].tolist() == [154, 255, 9, 1]
    one_bit = encoded(RGB[..., 0] > 100, "PNG")
    np.testing.assert_array_equal(read(tmp_path, one_bit)[..., 1], (RGB[..., 0] > 100) * 255)
    palette = Image.fromarray(RGB).quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    for kind in ("PNG", "GIF", "BMP"):
        np.testing.assert_array_equal(read(tmp_path, encoded(palette, kind)), expected)


def test_moving_and_transparent_gif_files(tmp_path):
    frames = [Image.fromarray(np.roll(RGB, i, 1)).quantize(16) for i in range(3)]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    expected = np.array(frames[0].convert("RGB"))
    np.testing.assert_array_equal(read(tmp_path, moving), expected)
    clear = encoded(frames[0], "GIF", transparency=5)
    with Image.open(io.BytesIO(clear)) as image:
        hidden = np.asarray(image) == image.info["transparency"]
    assert hidden.any()
    expected[hidden] = 0
    np.testing.assert_array_equal(read(tmp_path, clear), expected)


def test_marks_of_rotation_have_no_effect(tmp_path):
    plain = read(tmp_path, encoded(RGB, "JPEG"), name="x.jpg")
    for orientation in (3, 6, 8):
        exif = Image.Exif()
        exif[0x112] = orientation
        turned = read(tmp_path, encoded(RGB, "JPEG", exif=exif), name="x.jpg")
        np.testing.assert_array_equal(turned, plain)
    more = encoded(RGB, "JPEG") + b"and other bytes"
    np.testing.assert_array_equal(read(tmp_path, more, name="x.jpg"), plain)


JPEG, PNG, GIF, BMP = (encoded(RGB, kind) for kind in ("JPEG", "PNG", "GIF", "BMP"))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"a text\n" * 30, JPEG[:-2], JPEG[: len(JPEG) * 2 // 3], JPEG[:100],
        PNG[: len(PNG) * 2 // 3], GIF[:-60], BMP[: len(BMP) // 2],
        PNG[:30] + bytes([PNG[30] ^ 1]) + PNG[31:], PNG[:-20] + bytes([PNG[-20] ^ 1]) + PNG[-19:],
    ],
)  # fmt: skip
def test_files_that_are_no_complete_image_are_named(content, tmp_path):
    with pytest.raises(FileError, match=r"a/x\.jpg' is not a complete image"):
        read(tmp_path, content, name="x.jpg")
