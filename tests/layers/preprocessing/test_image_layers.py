"""Layers that change images, against Keras where the seed decides the result."""

import json

import keras
import numpy as np
import pytest
from compare import close, mostly_slow, plain

import hornbeam as hb
from hornbeam.layers.preprocessing.image.boxes import BOX_FORMATS, from_corners, to_corners

# Keras asks JAX for integers of 64 bits.
pytestmark = pytest.mark.filterwarnings("ignore:.*Explicitly requested dtype int64")

IMAGES = np.random.RandomState(0).randint(0, 256, (3, 6, 9, 3)).astype("float32")

# A name, the arguments, and why the values of Keras differ, if they do.
ROWS = {
    "resizing": ("Resizing", {"height": 4, "width": 5}, ""),
    "resizing_nearest": ("Resizing", {"height": 8, "width": 5, "interpolation": "nearest"}, ""),
    "resizing_bicubic": ("Resizing", {"height": 8, "width": 5, "interpolation": "bicubic"}, ""),
    "resizing_lanczos3": (
        "Resizing",
        {"height": 4, "width": 5, "interpolation": "lanczos3", "antialias": True},
        "",
    ),
    "resizing_lanczos5": ("Resizing", {"height": 9, "width": 5, "interpolation": "lanczos5"}, ""),
    "resizing_crop": ("Resizing", {"height": 4, "width": 5, "crop_to_aspect_ratio": True}, ""),
    "resizing_pad": (
        "Resizing",
        {"height": 4, "width": 4, "pad_to_aspect_ratio": True, "fill_value": 7.0},
        "",
    ),
    "center_crop": ("CenterCrop", {"height": 3, "width": 4}, ""),
    "center_crop_small": ("CenterCrop", {"height": 8, "width": 4}, ""),
    "random_flip": ("RandomFlip", {}, ""),
    "random_flip_horizontal": ("RandomFlip", {"mode": "horizontal"}, ""),
    "random_flip_vertical": ("RandomFlip", {"mode": "vertical"}, ""),
    "random_rotation": ("RandomRotation", {"factor": 0.2}, ""),
    "random_rotation_fixed": ("RandomRotation", {"factor": (0.3, 0.3), "fill_mode": "wrap"}, ""),
    "random_zoom": ("RandomZoom", {"height_factor": 0.3}, ""),
    "random_zoom_both": (
        "RandomZoom",
        {"height_factor": (-0.5, 0.1), "width_factor": 0.2, "fill_mode": "nearest"},
        "",
    ),
    "random_translation": (
        "RandomTranslation",
        {"height_factor": 0.2, "width_factor": (-0.1, 0.5), "fill_mode": "constant"},
        "",
    ),
    "random_crop_same": ("RandomCrop", {"height": 6, "width": 9}, ""),
    "random_crop": ("RandomCrop", {"height": 4, "width": 5}, "each image has a place of its own"),
    "random_shear": ("RandomShear", {"x_factor": 0.3, "y_factor": (0.1, 0.2)}, ""),
    "random_brightness": ("RandomBrightness", {"factor": 0.3}, ""),
    "random_contrast": ("RandomContrast", {"factor": (0.5, 0.9)}, ""),
    "random_saturation": ("RandomSaturation", {"factor": (0.1, 0.5)}, ""),
    "random_hue": ("RandomHue", {"factor": 0.4}, ""),
    "random_grayscale": ("RandomGrayscale", {}, ""),
    "random_color_degeneration": ("RandomColorDegeneration", {"factor": 0.6}, ""),
    "random_color_jitter": (
        "RandomColorJitter",
        {"brightness_factor": (0.2, 0.2), "contrast_factor": (0.3, 0.3), "hue_factor": (0, 0)},
        "",
    ),
    "random_invert": ("RandomInvert", {}, ""),
    "random_sharpness": ("RandomSharpness", {"factor": 1.0}, ""),
    "random_posterization": ("RandomPosterization", {"factor": (2, 6)}, ""),
    "solarization": ("Solarization", {"addition_factor": 0.4, "threshold_factor": 0.9}, ""),
    "random_gaussian_blur": (
        "RandomGaussianBlur",
        {"factor": (1, 1), "kernel_size": (3, 5), "sigma": (0.7, 0.7)},
        "",
    ),
    "random_erasing": ("RandomErasing", {"fill_value": 3.0}, "the draws have another order"),
    "random_perspective": ("RandomPerspective", {"factor": 0.8, "scale": 0.3}, ""),
    "random_elastic_transform": ("RandomElasticTransform", {}, "the draws have another order"),
    "mix_up": ("MixUp", {"alpha": 0.4}, ""),
    "cut_mix": ("CutMix", {}, "the draws have another order"),
    "rand_augment": ("RandAugment", {"factor": 0.3, "num_ops": 1}, "the draws have another order"),
    "aug_mix": (
        "AugMix",
        {"all_ops": False, "num_chains": 1, "chain_depth": 1},
        "the draws have another order",
    ),
    "auto_contrast": ("AutoContrast", {}, ""),
    "equalization": ("Equalization", {}, "each image has a histogram of its own"),
    "limited_equalization": (
        "ContrastLimitedAdaptiveHistogramEqualization",
        {"tile_grid_size": (2, 4), "clip_limit": 20.0},
        "",
    ),
    "unlimited_equalization": (
        "ContrastLimitedAdaptiveHistogramEqualization",
        {"tile_grid_size": (4, 3), "clip_limit": 0, "value_range": (-100, 300)},
        "",
    ),
}
NO_SEED = (
    "Resizing",
    "CenterCrop",
    "AutoContrast",
    "Equalization",
    "ContrastLimitedAdaptiveHistogramEqualization",
)
QUICK = ("resizing", "center_crop", "random_flip", "random_zoom", "random_contrast")
ALL = mostly_slow(ROWS, QUICK)


def make(library, row, **other):
    name, arguments, _ = ROWS[row]
    seed = {} if name in NO_SEED else {"seed": 7}
    return getattr(library.layers, name)(**arguments, **seed, **other)


def numbers(images):
    return np.asarray(images, "float32")


@pytest.mark.parametrize("row", ALL)
def test_values_dtypes_and_configurations_are_those_of_keras(row):
    for dtype in ("float32", "uint8"):
        ours, theirs, x = make(hb, row), make(keras, row), IMAGES.astype(dtype)
        for training in (True, False):
            if (row, dtype) == ("random_saturation", "uint8"):
                continue  # an error in Keras
            y, expected = ours(x, training=training), theirs(x, training=training)
            assert y.shape == expected.shape, (dtype, training)
            assert np.asarray(y).dtype == np.asarray(expected).dtype, (dtype, training)
            if not training or not (ROWS[row][2] or (dtype == "uint8" and "brightness" in row)):
                close(y, expected, wide=3)
    if "shear" not in row:  # Keras's file holds a range that it cannot read
        config, expected = plain(ours.get_config()), plain(theirs.get_config())
        assert {**expected, **config} == config


@pytest.mark.parametrize("row", ALL)
def test_a_layer_is_made_from_its_configuration_and_from_that_of_keras(row):
    layer = make(hb, row)
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert plain(again.get_config()) == plain(config)
    close(again(IMAGES, training=True), layer(IMAGES, training=True))
    theirs = keras.layers.serialize(type(make(keras, row)).from_config(config))
    read = hb.layers.deserialize(theirs)
    expected = layer.transform_images(IMAGES, layer.get_random_transformation(IMAGES, seed=3))
    close(read.transform_images(IMAGES, read.get_random_transformation(IMAGES, seed=3)), expected)


@pytest.mark.parametrize("row", ALL)
def test_single_images_data_formats_and_seeds(row):
    layer, first = make(hb, row), make(hb, row, data_format="channels_first")
    transformation = layer.get_random_transformation(IMAGES, seed=3)
    images = layer.transform_images(IMAGES, transformation)
    close(images, layer.transform_images(IMAGES, layer.get_random_transformation(IMAGES, seed=3)))
    turned = np.moveaxis(IMAGES, -1, 1)
    transformation = first.get_random_transformation(turned, seed=3)
    close(np.moveaxis(np.asarray(first.transform_images(turned, transformation)), 1, -1), images)
    one = layer.transform_images(IMAGES[:1], layer.get_random_transformation(IMAGES[:1], seed=3))
    transformation = layer.get_random_transformation(IMAGES[0], seed=3)
    close(layer.transform_images(IMAGES[0], transformation), one[0])


@pytest.mark.parametrize("row", ALL)
def test_a_layer_runs_in_a_compiled_model(row):
    model = hb.Sequential([hb.Input((6, 9, 3)), make(hb, row), hb.layers.GlobalMaxPooling2D()])
    model.compile("sgd", "mse", run_eagerly=False)
    assert model.output_shape == (None, 3)
    expected = make(hb, row)(IMAGES, training=False)
    close(model.predict(IMAGES, verbose=0), np.max(numbers(expected), axis=(1, 2)))
    first = make(hb, row)(IMAGES, training=True)
    loss = model.fit(IMAGES, np.zeros((3, 3)), batch_size=3, shuffle=False, verbose=0)
    close(loss.history["loss"], np.mean(np.square(np.max(numbers(first), axis=(1, 2)))), wide=10)
    symbolic = make(hb, row)(hb.Input((None, None, 3)))
    assert symbolic.shape[-1] == 3


def test_each_step_draws_anew_and_each_image_too():
    x = np.broadcast_to(np.arange(64, dtype="float32").reshape(1, 8, 8, 1), (16, 8, 8, 1))
    for layer in (
        hb.layers.RandomCrop(2, 2, seed=1),
        hb.layers.RandomTranslation(0.5, 0.5, seed=1),
        hb.layers.RandomBrightness(0.5, seed=1),
    ):
        first, second = layer(x, training=True), layer(x, training=True)
        assert len(np.unique(numbers(first).reshape(16, -1), axis=0)) > 8
        assert np.any(numbers(first) != numbers(second))


@pytest.mark.slow
def test_all_layers_are_saved_and_loaded_both_ways(tmp_path):
    # Keras's symbolic call of Equalization makes no model.
    rows = [row for row in ROWS if row != "equalization"]

    def build(library):
        return library.Sequential([library.Input((6, 9, 3)), *(make(library, row) for row in rows)])

    build(keras).save(tmp_path / "keras.keras")
    ours = hb.saving.load_model(tmp_path / "keras.keras")
    ours.save(tmp_path / "ours.keras")
    theirs = keras.saving.load_model(tmp_path / "ours.keras")
    assert [type(x).__name__ for x in theirs.layers] == [type(x).__name__ for x in ours.layers]
    close(ours.predict(IMAGES, verbose=0), theirs.predict(IMAGES, verbose=0))


# --- labels, boxes and masks ---------------------------------------------------------------------

BOXES = np.float32([[[1, 1, 4, 5], [0, 0, 9, 6]], [[2, 2, 3, 6], [5, 1, 7, 2]]])


def marked(boxes):
    """Return images and masks whose pixels within the first box of each are 1."""
    images = np.zeros((2, 6, 9, 1), "float32")
    for image, (left, top, right, bottom) in zip(images, boxes[:, 0].astype(int), strict=True):
        image[top:bottom, left:right] = 1
    return images


@pytest.mark.parametrize("box_format", BOX_FORMATS)
def test_box_formats_are_those_of_keras(box_format):
    expected = keras.utils.bounding_boxes.convert_format(
        BOXES, source="xyxy", target=box_format, height=6, width=9
    )
    boxes = from_corners(BOXES, box_format, 6, 9)
    close(boxes, expected)
    close(to_corners(boxes, box_format, 6, 9), BOXES)


@pytest.mark.parametrize(
    "layer",
    [
        hb.layers.Resizing(12, 18, interpolation="nearest"),
        hb.layers.Resizing(18, 18, pad_to_aspect_ratio=True, interpolation="nearest"),
        hb.layers.CenterCrop(4, 5),
        hb.layers.RandomFlip(seed=1),
        hb.layers.RandomRotation((0.5, 0.5), fill_mode="constant"),
        hb.layers.RandomTranslation((0.5, 0.5), (-1 / 3, -1 / 3), fill_mode="constant"),
        hb.layers.RandomZoom((-0.5, -0.5), fill_mode="constant", interpolation="nearest"),
        hb.layers.RandomCrop(4, 5, seed=2),
    ],
    ids=lambda layer: layer.name,
)
@pytest.mark.parametrize("box_format", ["xyxy", "rel_center_xywh"])
def test_boxes_and_masks_move_as_the_pixels(layer, box_format):
    layer = type(layer).from_config({**layer.get_config(), "bounding_box_format": box_format})
    images = marked(BOXES)
    given = {"boxes": from_corners(BOXES, box_format, 6, 9), "labels": np.int32([[1, 2], [3, 4]])}
    masks = images.astype("int32")
    result = layer(
        {"images": images, "bounding_boxes": given, "segmentation_masks": masks, "labels": [5, 6]},
        training=True,
    )
    size = result["images"].shape[1:3]
    assert result["labels"] == [5, 6]
    np.testing.assert_array_equal(result["segmentation_masks"], numbers(result["images"]) > 0.5)
    boxes = to_corners(result["bounding_boxes"]["boxes"], box_format, *size)
    for image, (box, *_), label in zip(
        numbers(result["images"]), np.asarray(boxes), result["bounding_boxes"]["labels"][:, 0],
        strict=True,
    ):  # fmt: skip
        rows, columns = np.nonzero(image[..., 0] > 0.5)
        if label == -1:
            assert not len(rows)
        else:
            edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(box, edges, atol=0.51)


def test_boxes_need_a_format_and_wait_for_training():
    data = {
        "images": IMAGES[:2],
        "bounding_boxes": {"boxes": BOXES, "labels": np.zeros((2, 2), "int32")},
        "other": "kept",
    }
    with pytest.raises(ValueError, match=r"RandomFlip.*bounding_box_format='xyxy'"):
        hb.layers.RandomFlip()(data)
    result = hb.layers.RandomFlip(bounding_box_format="xyxy")(data, training=False)
    close(result["bounding_boxes"]["boxes"], BOXES)
    assert result["other"] == "kept"


def test_labels_and_masks_are_mixed_as_the_images():
    labels, masks = np.eye(3, dtype="float32"), IMAGES[..., :1]
    data = {"images": IMAGES, "labels": labels, "segmentation_masks": masks}
    ours, theirs = (library.layers.MixUp(0.4, seed=7) for library in (hb, keras))
    expected = theirs({"images": IMAGES, "labels": labels}, training=True)
    result = ours(data, training=True)
    close(result["images"], expected["images"])
    close(result["labels"], expected["labels"])
    assert result["segmentation_masks"].shape == (3, 6, 9, 2)

    layer, theirs = hb.layers.CutMix(seed=7), keras.layers.CutMix(seed=7)
    drawn = layer.get_random_transformation(data)
    close(layer.transform_images(IMAGES, drawn), theirs.transform_images(IMAGES, drawn))
    close(layer.transform_labels(labels, drawn), theirs.transform_labels(labels, drawn))
    part = np.mean(numbers(drawn["batch_masks"]), axis=(1, 2)).ravel()
    np.testing.assert_allclose(1 - part, drawn["mix_weight"].ravel(), atol=0.3)
    for layer in (hb.layers.MixUp(), hb.layers.CutMix()):
        with pytest.raises(ValueError, match=r"class numbers cannot be mixed.*to_categorical"):
            layer({"images": IMAGES, "labels": np.arange(3)}, training=True)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_the_number_of_boxes_is_fixed(number):
    data = {
        "images": IMAGES[:2],
        "bounding_boxes": {"boxes": BOXES, "labels": np.int32([[1, 2], [3, 4]])},
    }
    results = [
        library.layers.MaxNumBoundingBoxes(number, bounding_box_format="xyxy")(data)
        for library in (hb, keras)
    ]
    close(results[0]["bounding_boxes"], results[1]["bounding_boxes"])


def test_distributions_of_boxes_are_those_of_keras():
    x = np.zeros((400, 20, 20, 1), "float32")
    for name, arguments in (
        ("RandomErasing", {"factor": (0.7, 0.7), "scale": (0.1, 0.9)}),
        ("CutMix", {"factor": (1, 1)}),
    ):
        ours, theirs = (getattr(lib.layers, name)(seed=1, **arguments) for lib in (hb, keras))
        drawn, expected = ours.get_random_transformation(x), theirs.get_random_transformation(x)
        for key, axes in (("batch_masks", (1, 2, 3)), ("batch_masks", (1, 3))):
            means = [np.mean(numbers(t[key]), axis=axes) for t in (drawn, expected)]
            np.testing.assert_allclose(np.mean(means[0]), np.mean(means[1]), atol=0.06)
            np.testing.assert_allclose(np.std(means[0]), np.std(means[1]), atol=0.06)
        for key in set(drawn) & {"apply_erasing", "mix_weight"}:
            np.testing.assert_allclose(np.mean(drawn[key]), np.mean(expected[key]), atol=0.1)


def test_the_noise_of_erased_boxes_is_that_of_keras():
    x = np.zeros((60, 8, 8, 3), "float32")
    for values in ((0, 255), (-1, 1), (10, 20)):
        fills = []
        for library in (hb, keras):
            layer = library.layers.RandomErasing((1.0, 1.0), value_range=values, seed=1)
            fills.append(numbers(layer.get_random_transformation(x)["fill_value"]))
        assert fills[0].shape == fills[1].shape  # each channel has a noise of its own
        assert (fills[0].min(), fills[0].max()) == values
        for statistic in (np.mean, np.std):
            found, expected = map(statistic, fills)
            np.testing.assert_allclose(found, expected, atol=0.05 * (values[1] - values[0]))


def test_boxes_have_the_documented_part_of_small_images():
    x = np.zeros((2000, 5, 7, 1), "float32")
    layer = hb.layers.RandomErasing((1.0, 1.0), scale=(0.05, 0.05), seed=1)
    masks = numbers(layer.get_random_transformation(x)["batch_masks"])
    np.testing.assert_allclose(np.mean(masks), 0.05, atol=0.005)
    assert np.all(masks.any(axis=0))  # also at the edges
    drawn = hb.layers.CutMix(seed=1).get_random_transformation(x)
    expected = 1 - np.mean(drawn["mix_weight"])
    np.testing.assert_allclose(np.mean(drawn["batch_masks"]), expected, atol=0.03)


def test_an_elastic_transform_moves_pixels_in_both_directions():
    rows, columns = np.meshgrid(np.arange(20.0), np.arange(30.0), indexing="ij")
    places = np.broadcast_to(np.stack([rows, columns], axis=-1), (32, 20, 30, 2))
    moves = []
    for library in (hb, keras):
        layer = library.layers.RandomElasticTransform((1, 1), (0.8, 0.8), seed=1)
        moves.append((numbers(layer(places, training=True)) - places)[:, 4:16, 4:26])
    spreads = np.std(moves, axis=(1, 2, 3))
    np.testing.assert_allclose(spreads[0], spreads[1], rtol=0.1)
    steps = [np.std(np.diff(m, axis=axis)) for m in moves for axis in (1, 2)]
    np.testing.assert_allclose(steps[:2], steps[2:], rtol=0.1)
    together = np.corrcoef(moves[0][..., 0].ravel(), moves[0][..., 1].ravel())[0, 1]
    assert abs(together) < 0.1  # in Keras, both directions move alike


# --- where Keras is wrong ------------------------------------------------------------------------


def test_integer_images_get_brighter_and_stay_in_the_range():
    x = np.uint8([[[[0], [100], [250]]]])
    y = hb.layers.RandomBrightness((0.2, 0.2))(x, training=True)
    assert np.asarray(y).ravel().tolist() == [51, 151, 255]


def test_colors_stay_in_the_range_of_values():
    y = hb.layers.RandomSaturation((1.0, 1.0))(IMAGES, training=True)
    assert numbers(y).min() >= -1e-3
    y = hb.layers.RandomInvert((1.0, 1.0), value_range=(-1, 1))([[[-1.0], [0.5]]], training=True)
    assert np.asarray(y).ravel().tolist() == [1.0, -0.5]
    layer = hb.layers.Solarization(addition_factor=(0.2, 0.2), threshold_factor=(1.0, 1.0))
    assert np.asarray(layer([[[10.0], [100.0]]], training=True)).ravel().tolist() == [61, 151]


def test_a_small_image_keeps_its_aspect_ratio_in_a_random_crop():
    y = hb.layers.RandomCrop(12, 9)(IMAGES, training=True)
    close(y, hb.layers.CenterCrop(12, 9)(IMAGES))


def test_equalization_of_an_image_does_not_depend_on_the_batch():
    layer, theirs = hb.layers.Equalization(), keras.layers.Equalization()
    for image, result in zip(IMAGES, layer(IMAGES, training=True), strict=True):
        close(result, theirs(image))


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Resizing", {"height": 0, "width": 3}, "`height` must be a positive integer"),
        ("Resizing", {"height": 2, "width": 3, "interpolation": "cubic"}, "`interpolation`"),
        ("Resizing", {"height": 2, "width": 3, "bounding_box_format": "xx"}, "bounding_box_format"),
        ("CenterCrop", {"height": 2, "width": None}, "`width` must be a positive integer"),
        ("RandomCrop", {"height": 2, "width": -1}, "`width` must be a positive integer"),
        ("RandomFlip", {"mode": "diagonal"}, "`mode` must be one of"),
        ("RandomFlip", {"seed": 1.5}, "`seed` must be an integer"),
        ("RandomFlip", {"data_format": "first"}, "data_format"),
        ("RandomRotation", {"factor": 1.5}, "`factor` must be a number, or two numbers, from -1"),
        ("RandomRotation", {"factor": 0.1, "fill_mode": "mirror"}, "`fill_mode`"),
        ("RandomRotation", {"factor": 0.1, "interpolation": "bicubic"}, "`interpolation`"),
        ("RandomZoom", {"height_factor": (-1.0, 0.5)}, "`height_factor` must be above -1"),
        ("RandomTranslation", {"height_factor": 0.1, "width_factor": (0, 2)}, "`width_factor`"),
        ("RandomShear", {"x_factor": -0.1}, "`x_factor`"),
        ("RandomContrast", {"factor": -0.1}, "`factor`"),
        ("RandomBrightness", {"factor": 0.1, "value_range": (0,)}, "`value_range`"),
        ("RandomGrayscale", {"factor": (0, 1)}, "`factor`"),
        ("RandomPosterization", {"factor": 9}, "`factor`"),
        ("Solarization", {"addition_factor": (-0.5, 0.2)}, "`addition_factor`"),
        ("Equalization", {"bins": 0}, "`bins`"),
        (
            "ContrastLimitedAdaptiveHistogramEqualization",
            {"tile_grid_size": (0, 1)},
            "`tile_grid_size` must be two positive integers",
        ),
        ("ContrastLimitedAdaptiveHistogramEqualization", {"clip_limit": "a"}, "`clip_limit`"),
        ("RandomColorJitter", {"brightness_factor": 3}, "`factor`"),
    ],
)
def test_arguments_out_of_range_are_named(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(hb.layers, name)(**arguments)


def test_images_must_have_3_or_4_axes():
    with pytest.raises(ValueError, match=r"3 axes or a batch of images with 4 axes.*\(8, 8\)"):
        hb.layers.RandomFlip()(np.zeros((8, 8)), training=True)


def test_a_pipeline_applies_its_layers_in_order(tmp_path):
    layers = [hb.layers.RandomFlip(seed=1), hb.layers.Rescaling(2.0)]
    pipeline = hb.layers.Pipeline(layers)
    flipped = hb.layers.RandomFlip(seed=1)(IMAGES, training=True)
    close(pipeline(IMAGES), 2 * flipped)
    close(pipeline(IMAGES, training=False), 2 * IMAGES)
    model = hb.Sequential([hb.Input((6, 9, 3)), pipeline])
    model.save(tmp_path / "model.keras")
    close(keras.saving.load_model(tmp_path / "model.keras").predict(IMAGES, verbose=0), 2 * IMAGES)
    again = hb.saving.load_model(tmp_path / "model.keras")
    assert [type(layer).__name__ for layer in again.layers[0].layers] == ["RandomFlip", "Rescaling"]
    theirs = keras.Sequential(
        [keras.Input((6, 9, 3)), keras.layers.Pipeline([keras.layers.Rescaling(2.0)])]
    )
    theirs.save(tmp_path / "theirs.keras")
    close(hb.saving.load_model(tmp_path / "theirs.keras").predict(IMAGES, verbose=0), 2 * IMAGES)
    with pytest.raises(ValueError, match="`layers` must be a list of layers"):
        hb.layers.Pipeline(hb.layers.RandomFlip)
