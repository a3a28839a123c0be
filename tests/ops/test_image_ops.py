"""Image ops against Keras."""

import jax
import keras
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.ops import image

R = np.random.RandomState(0)
COLOURS = R.rand(2, 6, 8, 3).astype("float32")
FIRST = {"data_format": "channels_first"}
# No pixel lies halfway between two others, where the last bit decides which is nearest.
TURN = np.array([[0.9, 0.2, 0.47, -0.3, 1.1, 0.2, 0, 0], [1, 0, 1.5, 0, 1, -2, 0, 0]], "float32")
CORNERS = np.array([[[0, 0], [7, 0], [0, 5], [7, 5]]] * 2, "float32")
MOVED = CORNERS + R.rand(2, 4, 2).astype("float32")
PLACES = (R.rand(2, 9) * 9 - 2).astype("float32")
VOLUMES = R.randn(2, 4, 5, 6, 2).astype("float32")
LARGE = R.rand(2, 14, 13, 3).astype("float32")

# (op, tensor arguments, settings)
ROWS = [
    *[(name, (COLOURS,), {}) for name in ("rgb_to_grayscale", "rgb_to_hsv", "hsv_to_rgb",
        "sobel_edges")],
    *[(name, (COLOURS.transpose(0, 3, 1, 2),), FIRST) for name in ("rgb_to_grayscale", "rgb_to_hsv",
        "hsv_to_rgb")],
    *[(name, (COLOURS[0],), {}) for name in ("rgb_to_grayscale", "rgb_to_hsv", "hsv_to_rgb")],
    *[("resize", (COLOURS,), {"size": (4, 11), "interpolation": m}) for m in ("nearest", "bilinear",
        "bicubic", "lanczos3", "lanczos5")],
    ("resize", (COLOURS,), {"size": (3, 3), "antialias": True}),
    ("resize", (COLOURS[0],), {"size": (9, 3)}),
    ("resize", (COLOURS.transpose(0, 3, 1, 2),), {"size": (9, 3), **FIRST}),
    ("resize", (COLOURS,), {"size": (4, 4), "crop_to_aspect_ratio": True}),
    ("resize", (COLOURS,), {"size": (9, 4), "pad_to_aspect_ratio": True, "fill_value": 0.5}),
    ("resize", ((COLOURS * 255).astype("uint8"),), {"size": (4, 4)}),
    *[("affine_transform", (COLOURS, TURN), {"fill_mode": m, "interpolation": i, "fill_value": 0.3})
        for m in ("constant", "nearest", "wrap", "mirror", "reflect")
        for i in ("nearest", "bilinear")],
    ("affine_transform", (COLOURS[0], TURN[0]), {}),
    ("affine_transform", (COLOURS.transpose(0, 3, 1, 2), TURN), FIRST),
    ("perspective_transform", (COLOURS, CORNERS, MOVED), {}),
    ("perspective_transform", (COLOURS, CORNERS, MOVED),
        {"interpolation": "nearest", "fill_value": 0.5}),
    ("perspective_transform", (COLOURS[0], CORNERS[0], MOVED[0]), {}),
    *[("map_coordinates", (COLOURS[0, :, :, 0], PLACES),
        {"order": o, "fill_mode": m, "fill_value": 0.2})
        for m in ("constant", "nearest", "wrap", "mirror", "reflect") for o in (0, 1)],
    ("extract_patches", (COLOURS,), {"size": 2}),
    ("extract_patches", (COLOURS,), {"size": (3, 2), "strides": (1, 2), "padding": "same"}),
    ("extract_patches", (COLOURS.transpose(0, 3, 1, 2),), {"size": 3, "strides": 1, **FIRST}),
    ("extract_patches", (COLOURS[0],), {"size": 2, "dilation_rate": 2, "strides": 1}),
    ("extract_patches_3d", (VOLUMES,), {"size": 2}),
    ("extract_patches_3d", (VOLUMES,), {"size": (2, 3, 2), "strides": 1}),
    ("pad_images", (COLOURS,), {"top_padding": 1, "left_padding": 2, "bottom_padding": 0,
        "right_padding": 3}),
    ("pad_images", (COLOURS[0],), {"top_padding": 1, "left_padding": 2, "target_height": 9,
        "target_width": 10}),
    ("crop_images", (COLOURS,), {"top_cropping": 1, "left_cropping": 2, "bottom_cropping": 0,
        "right_cropping": 3}),
    ("crop_images", (COLOURS.transpose(0, 3, 1, 2),),
        {"bottom_cropping": 1, "right_cropping": 2, "target_height": 3, "target_width": 4,
            **FIRST}),
    ("ssim", (LARGE, LARGE[::-1].copy()), {}), ("ssim", (LARGE, LARGE**2),
        {"filter_size": 7, "max_val": 2.0, "k1": 0.1}),
    ("scale_and_translate", (COLOURS, (2, 4, 4, 3), np.array([0.7, 0.5], "float32"),
        np.array([0.3, 1.0], "float32")),
        {"spatial_dims": (1, 2), "method": "linear"}),
]  # fmt: skip
IDS = [f"{row[0]}-{i}" for i, row in enumerate(ROWS)]
# The modes of one op are much alike: every third row of the table always runs.
MARKED = [
    pytest.param(*row, marks=() if i % 3 == 0 else pytest.mark.slow) for i, row in enumerate(ROWS)
]


@pytest.mark.parametrize(("name", "args", "settings"), MARKED, ids=IDS)
def test_like_keras(name, args, settings):
    """Values and dtypes equal Keras's, and compiled results equal uncompiled ones."""
    ours, theirs = (
        getattr(image, name)(*args, **settings),
        getattr(keras.ops.image, name)(*args, **settings),
    )
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-5)
    if name != "scale_and_translate":  # its shape argument is not a tensor
        compiled = jax.jit(lambda *x: getattr(image, name)(*x, **settings))(*args)
        # Compiled code may round a half in the other direction.
        np.testing.assert_allclose(
            compiled, ours, rtol=1e-5, atol=1 if ours.dtype == "uint8" else 2e-5
        )


@pytest.mark.parametrize("name", sorted({row[0] for row in ROWS} - {"scale_and_translate"}))
def test_symbolic(name):
    """An unknown batch size stays unknown, and files store the op under Keras's class."""
    _, args, settings = next(row for row in ROWS if row[0] == name)
    several = name != "map_coordinates"
    found = []
    for library in (hb, keras):
        inputs = [
            library.Input(
                batch_shape=(None, *a.shape[1:]) if several else a.shape, dtype=str(a.dtype)
            )
            for a in args
        ]
        y = getattr(library.ops.image, name)(*inputs, **settings)
        operation = y.history[0].operation if library is hb else y._keras_history.operation
        kind = operation.info if library is hb else type(operation)
        found.append(
            (kind.module, kind.class_name) if library is hb else (kind.__module__, kind.__name__)
        )
        if library is hb:
            value = getattr(image, name)(*args, **settings)
            assert y.shape == ((None, *value.shape[1:]) if several else value.shape)
    if name != "extract_patches_3d":  # Keras stores it under the 2D op's name
        assert found[0] == found[1]


def test_gaussian_blur():
    """Compared with the definition: Keras blurs along only one axis and loses brightness."""

    def bell(size, sigma):
        weights = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
        return weights / weights.sum()

    for size, sigma in (((3, 3), (1.0, 1.0)), ((5, 3), (0.8, 2.0))):
        expected = np.pad(COLOURS, ((0, 0), (size[0] // 2,) * 2, (size[1] // 2,) * 2, (0, 0)))
        for axis in (1, 2):
            weights = bell(size[axis - 1], sigma[axis - 1])
            expected = np.apply_along_axis(
                lambda row, weights=weights: np.convolve(row, weights, "valid"), axis, expected
            )
        np.testing.assert_allclose(
            image.gaussian_blur(COLOURS, size, sigma), expected, rtol=1e-4, atol=1e-6
        )
        first = image.gaussian_blur(
            COLOURS.transpose(0, 3, 1, 2), size, sigma, data_format="channels_first"
        )
        np.testing.assert_allclose(first, expected.transpose(0, 3, 1, 2), rtol=1e-4, atol=1e-6)
    x = hb.Input((None, None, 3))
    assert image.gaussian_blur(x).shape == (None, None, None, 3)


def test_elastic_transform():
    still = image.elastic_transform(COLOURS, alpha=0.0, seed=1)
    np.testing.assert_allclose(still, COLOURS, rtol=1e-5, atol=1e-6)
    bent = [
        np.asarray(image.elastic_transform(COLOURS, alpha=30.0, sigma=2.0, seed=seed))
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(bent[0], bent[1])
    assert np.abs(bent[0] - bent[2]).max() > 1e-3
    assert np.abs(bent[0] - COLOURS).max() > 1e-3
    assert bent[0].min() >= COLOURS.min() - 1e-6


# (call, pattern of the message)
BAD = [
    (lambda: image.resize(COLOURS, (2, 2), interpolation="area"), "interpolation.*area"),
    (lambda: image.resize(COLOURS, (2, 2, 2)), "size"),
    (lambda: image.resize(COLOURS[0, 0], (2, 2)), "3 or 4 axes"),
    (lambda: image.resize(COLOURS, (2, 2), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
        "one of"),
    (lambda: image.rgb_to_hsv((COLOURS * 255).astype("uint8")), "floating"),
    (lambda: image.rgb_to_grayscale(COLOURS[..., :2]), "3 channels"),
    (lambda: image.affine_transform(COLOURS, TURN[:, :6]), "transform"),
    (lambda: image.affine_transform(COLOURS, TURN, fill_mode="edge"), "fill_mode.*edge"),
    (lambda: image.perspective_transform(COLOURS, CORNERS[:, :3], MOVED), "start_points"),
    (lambda: image.map_coordinates(COLOURS, PLACES, 1), "coordinates"),
    (lambda: image.map_coordinates(COLOURS[0, :, :, 0], PLACES, 3), "order"),
    (lambda: image.pad_images(COLOURS, 1, 1), "two of"),
    (lambda: image.crop_images(COLOURS, 9, 0, 0, 0), "height"),
    (lambda: image.ssim(COLOURS, COLOURS), "window"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), BAD)
def test_bad_input(call, text):
    with pytest.raises((ValueError, TypeError), match=f"(?s){text}"):
        call()
