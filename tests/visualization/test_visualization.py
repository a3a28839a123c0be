"""Galleries, boxes and masks as Keras draws them; what models see, against formulas."""

import keras
import matplotlib.patches
import matplotlib.pyplot
import numpy as np
import pytest

import hornbeam as hb

vis = hb.visualization
L = hb.layers
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6, 8, 10, 3)).astype("uint8")
COLORS = {n: (n * 10, 0, 255) for n in range(9)}


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_classes": 9, "color_mapping": COLORS},
        {"num_classes": 9, "color_mapping": COLORS, "alpha": 0.5, "ignore_index": 3},
        {"num_classes": 9, "color_mapping": COLORS, "blend": False},
        {"num_classes": 20, "ignore_index": 0},
        {"num_classes": 9, "color_mapping": COLORS, "data_format": "channels_first"},
    ],
)
def test_masks_are_keras_s(arguments):
    images, masks = IMAGES, RANDOM.integers(-1, 8, (6, 8, 10, 1))
    if "data_format" in arguments:
        images, masks = images.transpose(0, 3, 1, 2), masks.transpose(0, 3, 1, 2)
    found = vis.draw_segmentation_masks(images, masks, **arguments)
    expected = keras.visualization.draw_segmentation_masks(images, masks, **arguments)
    assert (found.dtype, found.shape) == ("uint8", (6, 8, 10, 3))
    np.testing.assert_allclose(found, expected, atol=1)


def test_masks():
    masks = np.array([[[0, 1, 2]]])
    image = np.full((1, 1, 3, 1), 100.0)
    # The background is not drawn, the highest class is; a gray image gets colors.
    found = vis.draw_segmentation_masks(image, masks, blend=False)
    assert found[0, 0].tolist() == [[100] * 3, [1, 127, 31], [2, 254, 62]]
    with pytest.raises(TypeError, match="argmax"):
        vis.draw_segmentation_masks(image, masks.astype(float))
    with pytest.raises(ValueError, match=r"shape \(1, 1, 3\)"):
        vis.draw_segmentation_masks(image, masks[:, :, :2])
    with pytest.raises(ValueError, match="alpha"):
        vis.draw_segmentation_masks(image, masks, alpha=2)
    figure = vis.plot_segmentation_mask_gallery(
        IMAGES, 3, y_true=np.ones((6, 8, 10), int), y_pred=np.zeros((6, 8, 10), int), show=False
    )
    shown = [axes.get_images()[0].get_array() for axes in figure.axes]
    assert len(shown) == 6
    np.testing.assert_array_equal(shown[1], np.concatenate(
        [IMAGES[1], vis.draw_segmentation_masks(IMAGES[1:2], np.ones((1, 8, 10), int))[0],
         IMAGES[1]], axis=1))  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "grid"),
    [({}, (3, 2)), ({"rows": 2}, (2, 3)), ({"cols": 2, "scale": 3}, (3, 2)),
     ({"rows": 1, "cols": 3}, (1, 3)), ({"rows": 5, "cols": 5}, (5, 5))],
)  # fmt: skip
def test_gallery(arguments, grid):
    figure = vis.plot_image_gallery(IMAGES, show=False, **arguments)
    scale = arguments.get("scale", 2)
    assert figure.get_size_inches().tolist() == [grid[1] * scale, grid[0] * scale]
    assert len(figure.axes) == min(6, grid[0] * grid[1])
    np.testing.assert_array_equal(figure.axes[-1].get_images()[0].get_array(),
                                  IMAGES[len(figure.axes) - 1])  # fmt: skip


def test_gallery_s_other_arguments(tmp_path, monkeypatch):
    floats = IMAGES.transpose(0, 3, 1, 2) / 255
    figure = vis.plot_image_gallery(
        floats, y_true=np.arange(6) % 2, y_pred=[0] * 6, label_map={0: "a", 1: "b$x$"},
        value_range=(0, 1), path=tmp_path / "a.png", dpi=30, data_format="channels_first",
        legend_handles=[matplotlib.patches.Patch(color="red", label="x")],
    )  # fmt: skip
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles == ["Label: a  Pred: a", "Label: b$x$  Pred: a"]
    np.testing.assert_array_equal(figure.axes[0].get_images()[0].get_array(), IMAGES[0])
    assert len(figure.legends) == 1
    saved = matplotlib.pyplot.imread(tmp_path / "a.png")
    assert saved.shape == (180, 120, 4)
    assert saved[0, 0, 3] == 0  # transparent
    shown = []
    monkeypatch.setattr(matplotlib.pyplot, "show", lambda: shown.append(matplotlib.pyplot.gcf()))
    assert vis.plot_image_gallery(IMAGES[..., :1]) is None
    assert len(shown[0].axes) == 6
    matplotlib.pyplot.close("all")
    for wrong, match in (
        ({"path": "a.png", "show": True}, "both"), ({"y_true": [0] * 6}, "label_map"),
        ({"y_true": [7] * 6, "label_map": {}}, "no name for the class 7"), ({"rows": 0}, "rows"),
        ({"value_range": (1, 0)}, "value_range"), ({"images": IMAGES[0]}, "four axes"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            vis.plot_image_gallery(**{"images": IMAGES, "show": False} | wrong)


def test_boxes():
    images = np.zeros((2, 12, 16, 3))
    boxes = {
        "boxes": np.array([[[2, 3, 9, 8], [0, 0, 5, 5]]] * 2, "float32"),
        "labels": np.array([[0, -1]] * 2),
    }
    found = vis.draw_bounding_boxes(images, boxes, "xyxy", color=(1, 2, 3), line_thickness=1)
    expected = np.zeros((12, 16), bool)
    expected[[3, 8], 2:10] = True
    expected[3:9, [2, 9]] = True
    np.testing.assert_array_equal((found == (1, 2, 3)).all(-1), [expected] * 2)
    relative = {**boxes, "boxes": boxes["boxes"] / [16, 12, 16, 12]}
    again = vis.draw_bounding_boxes(images.transpose(0, 3, 1, 2), relative, "rel_xyxy",
                                    color=(1, 2, 3), line_thickness=1,
                                    data_format="channels_first")  # fmt: skip
    np.testing.assert_array_equal(again, found)
    thick = vis.draw_bounding_boxes(images, boxes, "xyxy", line_thickness=3)
    assert (thick > 0).sum() > 2 * (found > 0).sum()
    for wrong, error in (([1], TypeError), ({"boxes": []}, ValueError),
                         ({**boxes, "labels": np.zeros((2, 3))}, ValueError)):  # fmt: skip
        with pytest.raises(error, match="boxes"):
            vis.draw_bounding_boxes(images, wrong, "xyxy")


def test_boxes_with_names():
    images = np.full((1, 60, 120, 3), 255)
    boxes = {"boxes": np.array([[[10, 30, 100, 50]]]), "labels": np.array([[1]])}
    arguments = {"bounding_box_format": "xyxy", "color": (200, 0, 0)}
    plain = vis.draw_bounding_boxes(images, boxes, **arguments)
    changed = []
    for more in ({}, {"font_scale": 1.5}, {"text_thickness": 3},
                 {"class_mapping": {}}, {"class_mapping": ["a", "dog"]}):  # fmt: skip
        named = vis.draw_bounding_boxes(
            images, boxes, **{"class_mapping": {1: "dog"}} | arguments | more
        )
        assert (named[:, :29] != plain[:, :29]).any()  # above the box
        changed.append((named != plain).sum())
    assert changed[1] > changed[0]
    assert changed[3] < changed[0] == changed[4]
    sure = vis.draw_bounding_boxes(
        images, {**boxes, "confidences": np.array([[0.9]])}, class_mapping={1: "dog"}, **arguments
    )
    assert (sure != plain).sum() > changed[0]
    figure = vis.plot_bounding_box_gallery(
        images, "xyxy", y_true=boxes, y_pred=boxes, class_mapping={1: "dog"}, legend=True,
        prediction_mapping={1: "cat"}, true_color=(0, 0, 0), rows=1, cols=1, show=False,
    )  # fmt: skip
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "Ground Truth", "Prediction",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="both"):
        vis.plot_bounding_box_gallery(images, "xyxy", legend=True, legend_handles=[])


def network():
    hb.utils.set_random_seed(0)
    return hb.Sequential([
        hb.Input((8, 8, 3)), L.Conv2D(4, 3, activation="relu", name="conv"),
        L.GlobalAveragePooling2D(), L.Dense(3, name="scores"),
    ])  # fmt: skip


def test_what_a_model_sees():
    model, x = network(), RANDOM.normal(size=(2, 8, 8, 3)).astype("float32")
    maps = vis.feature_maps(model, x)
    assert list(maps) == ["conv"]
    np.testing.assert_allclose(maps["conv"], np.asarray(model.get_layer("conv")(x)), rtol=1e-5)
    assert vis.feature_maps(model, x, "scores")["scores"].shape == (2, 3)
    # Here the gradients' means are the kernel of the last layer over the number of pixels.
    kernel = model.get_layer("scores").kernel.numpy()
    heat = np.maximum(maps["conv"] @ kernel[:, 2], 0)
    found = vis.grad_cam(model, x, classes=2, resize=False)
    np.testing.assert_allclose(found, heat / heat.max((1, 2), keepdims=True), atol=1e-5)
    resized = vis.grad_cam(model, x, layer="conv")
    assert resized.shape == (2, 8, 8)
    given = vis.integrated_gradients(model, x, classes=[0, 2], baseline=x[:1] * 0.5, steps=100)
    scores = np.asarray(model(x)) - np.asarray(model(x[:1] * 0.5))
    np.testing.assert_allclose(given.sum((1, 2, 3)), scores[[0, 1], [0, 2]], atol=2e-2)
    drawn = vis.draw_heatmaps(np.zeros((2, 8, 8, 3)), given)
    assert (drawn.shape, drawn.dtype) == ((2, 8, 8, 3), "uint8")
    flat = hb.Sequential([hb.Input((4,)), L.Dense(2)])
    for call, match in (
        (lambda: vis.grad_cam(flat, np.ones((1, 4))), "integrated_gradients"),
        (lambda: vis.feature_maps(flat, np.ones((1, 4))), "Name the layers"),
        (lambda: vis.feature_maps(model, x, "cov"), "conv"),
        (lambda: vis.grad_cam(model, x, layer="cov"), "conv"),
        (lambda: vis.grad_cam(model, x, classes=3), "from 0 to 2"),
        (lambda: vis.integrated_gradients(model, x, steps=0), "steps"),
        (lambda: vis.draw_heatmaps(x, np.ones((2, 3, 3))), "heatmaps"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
