"""The kernel that samples images between their pixels, against JAX."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.ops import geometry, routes

kernels = pytest.importorskip(
    "hornbeam_cpu",
    reason="hornbeam-cpu is not installed: pip install ./native",
    exc_type=ImportError,
)
FILLS = ("constant", "nearest", "wrap", "mirror", "reflect")


def arrays(channels, size=(5, 7), count=2):
    """Return images, and positions on pixels, halfway between them, and far outside."""
    rng = np.random.default_rng(channels)
    images = rng.normal(size=(count, *size, channels)).astype("float32")
    places = rng.uniform(-20, 20, (count, 2, 6, 4)).astype("float32")
    places[0, :, :3] = np.round(places[0, :, :3] * 2) / 2
    return images, places


def sampled(images, places, fill, interpolation):
    return geometry.sampled(images, places, interpolation, fill, 1.5, "test")


@pytest.mark.parametrize("fill", FILLS)
def test_pixels_are_those_of_jax(fill):
    for channels, interpolation in itertools.product((1, 3, 4), ("bilinear", "nearest")):
        images, places = arrays(channels)
        assert routes.sampled(images.dtype, images.shape, places.shape).name == "native"
        found = sampled(images, places, fill, interpolation)
        hb.config.set_kernels("plain")
        try:
            expected = sampled(images, places, fill, interpolation)
        finally:
            hb.config.set_kernels("auto")
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_single_pixels_and_missing_places():
    images, places = arrays(3, size=(1, 1))
    places[0, 0, 0] = [np.nan, np.inf, -np.inf, 1e30]
    for fill in ("nearest", "wrap", "mirror", "reflect"):
        found = sampled(images, places, fill, "nearest")
        np.testing.assert_array_equal(found[1], np.broadcast_to(images[1], (6, 4, 3)))
    assert sampled(images[:0], places[:0], "wrap", "nearest").shape == (0, 6, 4, 3)


def test_gradients_and_batches_take_the_plain_way():
    images, places = arrays(3)

    def total(x):
        return (sampled(x, places, "reflect", "bilinear") ** 2).sum()

    def plain_total(x):
        y = geometry._plain(x, places, fill="reflect", linear=True, missing=1.5)
        return (y**2).sum()

    np.testing.assert_allclose(
        jax.grad(total)(images), jax.grad(plain_total)(images), rtol=1e-4, atol=1e-5
    )
    several = jax.vmap(lambda x: sampled(x, places, "wrap", "bilinear"))(jnp.stack([images] * 2))
    np.testing.assert_allclose(several[1], sampled(images, places, "wrap", "bilinear"), atol=1e-6)


def test_wrong_operands_are_refused():
    images, places = arrays(3)

    def call(images, places, shape, fill="wrap"):
        result = jax.ShapeDtypeStruct(shape, "float32")
        return jax.ffi.ffi_call("hornbeam_sampled", result)(
            images, places, fill=fill, linear=True, missing=np.float32(0)
        )

    good = (2, 6, 4, 3)
    for wrong in (
        lambda: call(images.astype("int32"), places, good),
        lambda: call(images[0], places, good),
        lambda: call(images, places[:1], good),
        lambda: call(images, places, (2, 6, 5, 3)),
        lambda: call(images[:, :0], places, good),
        lambda: call(images, places, good, "other"),
    ):
        with pytest.raises(Exception, match="hornbeam_sampled"):
            jax.block_until_ready(wrong())
