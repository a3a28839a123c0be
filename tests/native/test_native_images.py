"""hornbeam-cpu resizes images to the bits that NumPy gives."""

from __future__ import annotations

import concurrent.futures

import numpy as np
import pytest

import hornbeam as hb
from hornbeam.ops.routes import image_kernels
from hornbeam.utils.resizing import INTERPOLATIONS, resize

native = pytest.importorskip(
    "hornbeam_cpu.images",
    reason="hornbeam-cpu is not installed: pip install ./native",
    exc_type=ImportError,
)

# Shapes before and sizes after: smaller, larger, the same, one pixel, many rows that are not used.
SIZES = [
    ((9, 7), (4, 5)), ((9, 7), (20, 30)), ((9, 7), (9, 7)), ((1, 1), (3, 2)), ((40, 33), (7, 33)),
    ((5, 6), (1, 1)),
]  # fmt: skip


def plain(x, size, interpolation):
    """Return the image that NumPy computes."""
    before = hb.config.kernels()
    hb.config.set_kernels("plain")
    try:
        assert image_kernels() is None
        return resize(x, size, interpolation)
    finally:
        hb.config.set_kernels(before)


def some(rng, dtype, shape):
    x = rng.integers(0, 256, shape) if dtype != "float32" else rng.normal(size=shape) * 1e3
    return x.astype(dtype)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_bits_are_those_of_numpy(interpolation):
    assert image_kernels() is native
    rng = np.random.default_rng(0)
    for before, after in SIZES:
        for channels in (1, 2, 3, 4, 5):
            for dtype in ("uint8", "float32", "int32", "float64", "bool"):
                for batch in ((), (3,)):
                    x = some(rng, dtype, (*batch, *before, channels))
                    expected, found = (
                        plain(x, after, interpolation),
                        resize(x, after, interpolation),
                    )
                    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
                    np.testing.assert_array_equal(found, expected)
    x = some(rng, "float32", (12, 14, 3))[::2, 1::3]  # a view with gaps
    np.testing.assert_array_equal(resize(x, (5, 4), interpolation), plain(x, (5, 4), interpolation))


def test_values_that_are_no_numbers_stay_where_they_are():
    x = np.ones((4, 4, 3), "float32")
    x[0, 0], x[3, 3, 1] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        expected = plain(x, (7, 5), "bilinear")
    np.testing.assert_array_equal(resize(x, (7, 5)), expected)


def test_threads_resize_at_the_same_time():
    rng = np.random.default_rng(1)
    images = [some(rng, "uint8", (n % 7 + 2, n % 5 + 2, 3)) for n in range(40)]
    expected = [plain(x, (6, 6), "bilinear") for x in images]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: resize(x, (6, 6)), images * 5))
    for number, x in enumerate(found):
        np.testing.assert_array_equal(x, expected[number % 40])
    batch = some(rng, "uint8", (64, 60, 60, 3))  # large enough for several threads
    np.testing.assert_array_equal(resize(batch, (40, 50)), plain(batch, (40, 50), "bilinear"))


def between(x, sizes, columns, rows, out):
    native.between(x, sizes, 0, columns, rows, out)


def test_memory_of_other_sizes_is_refused():
    x, y = np.zeros((2, 2, 3), "uint8"), np.zeros(12, "float32")
    n, part = np.array([0, 1]), np.zeros(2, "float32")
    places, sizes = (n, n, part), (1, 2, 2, 3)
    for call, match in (
        (lambda: between(x, sizes, places, places, y[:-1]), "sizes differ"),
        (lambda: between(x, (1, 2, 1, 3), places, places, y), "no pixel"),
        (lambda: between(x, sizes, (n, n, part[:1]), places, y), "neighbors differ"),
        (lambda: native.nearest(x, sizes, n, -n, y), "no pixel"),
        (lambda: native.nearest(x, (1, 2, 2, 4), n, n, y), "sizes differ"),
        (lambda: native.sums(y, (1, 2, 6), n, part, 0, y), "sizes differ"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
