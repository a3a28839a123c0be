"""Measure image files as batches of arrays against Keras on TensorFlow, in turn.

    python -m bench.images --peer-python PATH [--rounds 5] [--cores 2] [--only TEXT] [--quick]

Run it in an environment with Hornbeam, simplejpeg and hornbeam-cpu. PATH is a Python with `keras`
and `tensorflow`.

Both libraries read the same files once, in order, by `image_dataset_from_directory`, and give the
same bits. The times are those of one image.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench import pair

FOLDER = "HORNBEAM_BENCH_IMAGES"  # the environment variable with the folder of the files
KINDS = {"JPEG of 500 x 375": ("jpg", 375, 500), "JPEG of 1600 x 1200": ("jpg", 1200, 1600),
         "JPEG of 64 x 64": ("jpg", 64, 64), "PNG of 500 x 375": ("png", 375, 500)}  # fmt: skip
# The rows: what is read, the arguments, and how many images.
ROWS: dict[str, tuple[str, dict[str, Any], int]] = {
    "JPEG of 500 x 375 to 224 x 224": ("JPEG of 500 x 375", {}, 512),
    "the same, cropped to the ratio": (
        "JPEG of 500 x 375", {"crop_to_aspect_ratio": True}, 512,
    ),
    "the same, bicubic": ("JPEG of 500 x 375", {"interpolation": "bicubic"}, 512),
    "the same, nearest": ("JPEG of 500 x 375", {"interpolation": "nearest"}, 512),
    "JPEG of 1600 x 1200 to 224 x 224": ("JPEG of 1600 x 1200", {}, 64),
    "JPEG of 64 x 64 to 32 x 32": ("JPEG of 64 x 64", {"image_size": (32, 32)}, 512),
    "PNG of 500 x 375 to 224 x 224": ("PNG of 500 x 375", {}, 64),
}  # fmt: skip


def photo(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return an image with large and small structures, whose JPEG has the size of a photo's."""
    x = np.zeros((height, width, 3))
    for size in (4, 16, 64):
        rows, columns = (np.linspace(0, size, n, endpoint=False) for n in (height, width))
        coarse = rng.normal(size=(size + 1, size + 1, 3)) * 60 / np.sqrt(size)
        x += coarse[rows.astype(int)][:, columns.astype(int)] * 2
    return (x + rng.normal(size=x.shape) * 6 + 128).clip(0, 255).astype("uint8")


def write_files(folder: Path, quick: bool) -> None:
    """Write the files of all kinds, a folder each, with two classes."""
    for number, (kind, (ending, height, width)) in enumerate(KINDS.items()):
        count = max(n for used, _, n in ROWS.values() if used == kind)
        rng = np.random.default_rng(number)
        photos = [photo(rng, height, width) for _ in range(8)]
        for i in range(8 if quick else count):
            place = folder / kind / "ab"[i % 2]
            place.mkdir(parents=True, exist_ok=True)
            options = {"quality": 90} if ending == "jpg" else {}
            x = np.roll(photos[i % 8], i, axis=(0, 1))
            Image.fromarray(x).save(place / f"{i:04}.{ending}", **options)


def make_calls(library: Any, quick: bool) -> pair.Calls:
    """Return what is measured, by name."""
    root = Path(os.environ[FOLDER])

    def read(kind: str, arguments: dict[str, Any]) -> None:
        data = library.utils.image_dataset_from_directory(
            root / kind, **{"image_size": (224, 224), "shuffle": False, "verbose": False}
            | arguments,
        )  # fmt: skip
        for _ in data:
            pass

    return {name: functools.partial(read, *row[:2]) for name, row in ROWS.items()}


def main() -> None:
    """Write the files and run the comparison, or one worker of it."""
    if FOLDER in os.environ:  # a worker
        pair.main("bench.images", make_calls)
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER] = folder
        quick = "--quick" in sys.argv
        write_files(Path(folder), quick)
        pair.main("bench.images", make_calls, lambda name: 8 if quick else ROWS[name][2], __doc__)


if __name__ == "__main__":
    main()
