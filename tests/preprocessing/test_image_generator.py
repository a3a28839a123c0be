"""Images as Keras 2 changed them at random; expected values are those of tf_keras 2.21."""

import pickle

import numpy as np
import pytest

import hornbeam as hb
from hornbeam.preprocessing import image as images
from hornbeam.utils import save_img

pytest.importorskip("PIL.Image")
Generator = images.ImageDataGenerator
X = np.random.RandomState(5).rand(10, 6, 7, 3) * 255


def mark(x):
    """Return a number that depends on each pixel and its place."""
    return np.sum(x * np.cos(np.arange(x.size)).reshape(x.shape))


# Arguments, and marks of three batches of a loop and of a batch by number.
ROWS = {
    "nothing": ({}, [-296.776, 1015.01, -878.617, 1015.01]),
    "rotation": ({"rotation_range": 40}, [94.138, 720.156, -923.199, 246.667]),
    "width": ({"width_shift_range": 0.3}, [-34.6051, 914.494, -696.537, 301.316]),
    "height": ({"height_shift_range": 2.5}, [1202.56, 115.982, -774.637, 395.225]),
    "widths": ({"width_shift_range": [1, 2, 3]}, [338.713, -1116.37, -201.788, 1023.59]),
    "heights": ({"height_shift_range": (-1, 1)}, [840.251, -300.195, 408.16, -307.358]),
    "whole width": ({"width_shift_range": 2}, [993.685, 1625.48, -878.617, 1534.34]),
    "brightness": ({"brightness_range": (0.4, 1.6)}, [-621.68, 1132.31, -976.344, 1177.01]),
    "shear": ({"shear_range": 25}, [-676.043, 1051.93, -899.045, 1588.07]),
    "zoom": ({"zoom_range": 0.4}, [-360.282, 597.969, -149.704, 366.802]),
    "zooms": ({"zoom_range": [0.5, 0.9]}, [612.003, -12.7379, -271.795, 666.262]),
    "channels": ({"channel_shift_range": 40.0}, [-263.755, 1035.81, -871.864, 1109.42]),
    "constant": (
        {"rotation_range": 90, "fill_mode": "constant", "cval": 9.0},
        [240.15, 610.676, -1017.17, -187.421],
    ),
    "wrap": (
        {"height_shift_range": 0.9, "fill_mode": "wrap"},
        [820.909, 511.361, -702.751, -357.188],
    ),
    "flips": (
        {"horizontal_flip": True, "vertical_flip": True},
        [-1173.55, -521.323, -765.186, 1305.77],
    ),
    "function": (
        {"preprocessing_function": lambda image: image - 3, "rescale": 1 / 255},
        [-1.17889, 3.96536, -3.45355, 3.96536],
    ),
    "cubic": (
        {"rotation_range": 50, "interpolation_order": 3, "fill_mode": "reflect"},
        [-81.3987, 1144.41, -1280.48, 71.1157],
    ),
    "center": ({"samplewise_center": True}, [-465.92, 852.32, -963.527, 852.32]),
    "deviation": (
        {"samplewise_std_normalization": True, "dtype": "float64"},
        [-6.60928, 10.8259, -13.8817, 10.8259],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_batches_are_those_of_keras(name):
    arguments, expected = ROWS[name]
    np.random.seed(11)
    batches = Generator(**arguments).flow(X, np.arange(10), batch_size=4, seed=1)
    found = [next(batches) for _ in range(3)]
    found.append(batches[1])
    assert [y.tolist() for _, y in found] == [[2, 9, 6, 4], [0, 3, 1, 7], [8, 5], [0, 3, 1, 7]]
    assert {x.dtype.name for x, _ in found} == {arguments.get("dtype", "float32")}
    size = np.abs(found[0][0]).max()
    np.testing.assert_allclose([mark(x) for x, _ in found], expected, rtol=1e-5, atol=1e-4 * size)


@pytest.mark.parametrize("name", ["rotation", "brightness", "flips", "channels"])
def test_channels_first(name):
    last, first = (Generator(data_format=f"channels_{place}", **ROWS[name][0])
                   for place in ("last", "first"))  # fmt: skip
    square = X[:, :, :6]
    expected = last.flow(square, batch_size=4, seed=1)[0]
    found = first.flow(np.moveaxis(square, -1, 1), batch_size=4, seed=1)[0]
    np.testing.assert_allclose(np.moveaxis(found, 1, -1), expected, rtol=1e-6)
    assert Generator(data_format="th").channel_axis == 1


STATISTICS = {
    "mean": ({"featurewise_center": True}, [0.50748], 2.76579),
    "deviation": ({"featurewise_std_normalization": True}, [0.50748, 0.291794], 9.47855),
    "zca": ({"zca_whitening": True, "zca_epsilon": 0.1}, [0.50748], 7.09711),
    "augmented": (
        {"featurewise_std_normalization": True, "rotation_range": 30, "rescale": 0.1},
        [0.0508259, 0.0235257],
        11.4335,
    ),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_are_those_of_keras(name):
    arguments, expected, batch = STATISTICS[name]
    x = np.random.RandomState(5).rand(8, 5, 5, 1).astype("float32")
    generator = Generator(**arguments)
    images = np.ones((5, 5, 1), "float32")
    with pytest.warns(UserWarning, match="has no effect until the statistics are computed"):
        generator.standardize(images)
    generator.standardize(images)  # says it once
    generator.fit(x, augment=name == "augmented", rounds=2, seed=3)
    found = [a for a in (generator.mean, generator.std) if a is not None]
    np.testing.assert_allclose([mark(a) for a in found], expected, rtol=1e-5)
    normalized = generator.flow(x, batch_size=8, shuffle=False, seed=1)[0]
    np.testing.assert_allclose(mark(normalized), batch, rtol=1e-4)


def test_parts_weights_and_further_inputs():
    generator, numbers = Generator(validation_split=0.3), np.arange(10)
    flow = {"shuffle": False, "sample_weight": numbers * 0.5}
    x, y, weight = generator.flow(X, numbers % 2, subset="validation", **flow)[0]
    np.testing.assert_allclose(x, X[:3], rtol=1e-6)
    assert (y.tolist(), weight.tolist()) == ([0, 1, 0], [0, 0.5, 1])
    _, y, weight = generator.flow(X, numbers % 2, subset="training", **flow)[0]
    assert (len(y), weight.tolist()) == (7, [1.5, 2, 2.5, 3, 3.5, 4, 4.5])
    both, y = generator.flow((X, [numbers, numbers * 2]), numbers, batch_size=3, seed=1)[0]
    assert (both[1].tolist(), both[2].tolist()) == (y.tolist(), (y * 2).tolist())
    assert generator.flow(X, batch_size=3)[3].shape == (1, 6, 7, 3)
    again = pickle.loads(pickle.dumps(generator.flow(X, numbers, batch_size=3, seed=1)))
    assert next(again)[1].tolist() == y.tolist()


NAMES = [
    "a/00.png", "a/10.png", "a/3.bmp", "b/0.PNG", "b/1.png", "b/z.png", "b/sub/9.png", "c/0.png",
    "c/1.bmp", "c/x.png",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name in [*NAMES, "top.png"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        kind = "bmp" if name.endswith("bmp") else "png"
        x = np.full((6, 6, 3), NAMES.index(name) * 9 if name in NAMES else 255)
        save_img(folder / name, x, scale=False, file_format=kind)
    (folder / "a" / "2.txt").write_text("no image")
    return folder


FOLDERS = {
    "all": ({}, NAMES, {"a": 0, "b": 1, "c": 2}),
    "chosen": ({"classes": ["c", "a"]}, NAMES[7:] + NAMES[:3], {"c": 0, "a": 1}),
    "training": ({"subset": "training"}, NAMES[:3] + NAMES[4:], {"a": 0, "b": 1, "c": 2}),
    "validation": ({"subset": "validation"}, NAMES[3:4], {"a": 0, "b": 1, "c": 2}),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_files_and_classes_of_folders_are_those_of_keras(folder, name, capsys):
    arguments, names, classes = FOLDERS[name]
    flow = Generator(validation_split=0.3).flow_from_directory(
        folder, target_size=(6, 6), seed=3, **arguments
    )
    assert (flow.filenames, flow.class_indices) == (names, classes)
    assert flow.classes.tolist() == [classes[path[0]] for path in names]
    assert (flow.samples, flow.image_shape) == (len(names), (6, 6, 3))
    said = f"Found {len(names)} images belonging to {len(classes)} classes.\n"
    assert capsys.readouterr().out == said


MODES = {
    "categorical": lambda numbers: np.eye(3)[numbers],
    "sparse": lambda numbers: numbers,
    "binary": lambda numbers: numbers,
    "input": None,
    None: None,
}


@pytest.mark.parametrize("mode", MODES)
def test_targets_of_folders(folder, mode):
    flow = Generator().flow_from_directory(
        folder, target_size=(6, 6), class_mode=mode, batch_size=4, seed=3
    )
    np.random.seed(3)
    order = np.random.permutation(10)
    for number in range(3):
        batch = flow[number]
        rows = order[4 * number : 4 * number + 4]
        x = batch if mode is None else batch[0]
        assert (x == (rows * 9)[:, None, None, None]).all()
        if mode == "input":
            assert (batch[1] == x).all()
        elif mode:
            np.testing.assert_array_equal(batch[1], MODES[mode](flow.classes[rows]))
            assert batch[1].dtype == "float32"


def test_sizes_and_colors(folder):
    flow = Generator().flow_from_directory(
        folder, target_size=(4, 5), color_mode="grayscale", class_mode=None, shuffle=False
    )
    assert flow[0].shape == (10, 4, 5, 1)
    assert flow[0][:, 0, 0, 0].tolist() == [9.0 * n for n in range(10)]
    flow = Generator(data_format="channels_first").flow_from_directory(
        folder, target_size=(4, 5), color_mode="rgba", class_mode=None
    )
    assert flow[0].shape == (10, 4, 4, 5)


TABLE = {
    "filename": ["b/1.png", "b/0.PNG", "a/3.bmp", "a/2.txt", "c/0.png", "nope.png", "c/x.png"],
    "class": list("bbaaccc"),
    "two": list("uvuvuvv"),
    "number": [0.0, 1, 2, 3, 4, 5, 6],
    "weight": [0.0, 0.5, 1, 1.5, 2, 2.5, 3],
    "several": [["b"], ["b", "x"], ["a"], ["a"], ["c", "b"], ["c"], ["x"]],
}
# Arguments; the rows of the table that are left; the targets.
TABLES = {
    "categorical": ({}, [0, 1, 2, 4, 6], np.eye(3)[[1, 1, 0, 2, 2]]),
    "sparse": ({"class_mode": "sparse"}, [0, 1, 2, 4, 6], [1, 1, 0, 2, 2]),
    "binary": ({"y_col": "two", "class_mode": "binary"}, [0, 1, 2, 4, 6], [0, 1, 0, 0, 1]),
    "raw": ({"y_col": "number", "class_mode": "raw"}, [0, 1, 2, 4, 6], [0, 1, 2, 4, 6]),
    "raw ones": (
        {"y_col": ["number", "weight"], "class_mode": "raw"},
        [0, 1, 2, 4, 6],
        [[0, 0], [1, 0.5], [2, 1], [4, 2], [6, 3]],
    ),
    "several": (
        {"y_col": "several"},
        [0, 1, 2, 4, 6],
        [[0, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]],
    ),
    "chosen of several": (
        {"y_col": "several", "classes": ["b", "x"]},
        [0, 1, 4, 6],
        [[1, 0], [1, 1], [1, 0], [0, 1]],
    ),
    "chosen": ({"classes": ["c", "a"]}, [2, 4, 6], [[0, 1], [1, 0], [1, 0]]),
    "training": ({"subset": "training", "class_mode": "sparse"}, [1, 2, 4, 6], [1, 0, 2, 2]),
    "validation": ({"subset": "validation", "class_mode": "sparse"}, [0], [1]),
}


@pytest.mark.parametrize("name", TABLES)
def test_rows_of_tables_are_those_of_keras(folder, name, capsys):
    pandas = pytest.importorskip("pandas")
    arguments, rows, targets = TABLES[name]
    table = pandas.DataFrame(TABLE)
    generator = Generator(validation_split=0.3)
    with pytest.warns(UserWarning, match=r"2 rows are dropped.*'.*a.2\.txt'"):
        flow = generator.flow_from_dataframe(
            table, folder, target_size=(6, 6), shuffle=False, weight_col="weight", **arguments
        )
    x, y, weight = flow[0]
    assert flow.filenames == [TABLE["filename"][row] for row in rows]
    assert weight.tolist() == [row / 2 for row in rows]
    assert x[:, 0, 0, 0].tolist() == [9.0 * NAMES.index(name) for name in flow.filenames]
    np.testing.assert_array_equal(y, targets)
    classes = arguments.get("class_mode") != "raw" and len(flow.class_indices)
    kinds = f" belonging to {classes} classes" if classes else ""
    assert capsys.readouterr().out == f"Found {len(rows)} validated image filenames{kinds}.\n"


def test_tables_with_several_outputs_and_without_checks(folder, capsys):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(TABLE).iloc[[0, 1, 2]]
    columns = {"y_col": ["number", "weight"], "class_mode": "multi_output"}
    flow = Generator().flow_from_dataframe(table, folder, shuffle=False, **columns)
    x, (number, weight) = flow[0]
    assert x.shape == (3, 256, 256, 3)
    assert (number.tolist(), weight.tolist()) == ([0, 1, 2], [0, 0.5, 1])
    whole = table.assign(filename=[str(folder / name) for name in table["filename"]])
    flow = Generator().flow_from_dataframe(whole, class_mode=None, validate_filenames=False)
    assert len(flow[0]) == 3
    assert capsys.readouterr().out.endswith("Found 3 non-validated image filenames.\n")


def test_changed_images_train_a_model_and_are_saved(folder, tmp_path):
    flow = Generator(rescale=1 / 255, horizontal_flip=True).flow_from_directory(
        folder, target_size=(6, 6), batch_size=4, seed=1, save_to_dir=tmp_path, save_prefix="p",
        save_format="jpeg",
    )  # fmt: skip
    model = hb.Sequential([hb.layers.Flatten(), hb.layers.Dense(3, activation="softmax")])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(flow, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert model.predict(flow, verbose=0).shape == (10, 3)
    saved = list(tmp_path.iterdir())
    assert len(saved) >= 20
    assert all(path.name.startswith("p_") and path.suffix == ".jpeg" for path in saved)


def test_an_epoch_may_have_any_number_of_steps():
    def fresh():
        model = hb.Sequential([hb.Input((6, 7, 3)), hb.layers.Flatten(), hb.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    batches = Generator(rescale=1e-3).flow(X, np.arange(10), batch_size=4, seed=1)
    for steps, count in ((None, 6), (2, 4), (3, 6), (7, 14)):
        model = fresh()
        history = model.fit(batches, steps_per_epoch=steps, epochs=2, verbose=0)
        assert len(history.epoch) == 2
        assert int(model.optimizer.iterations) == count
    older = {"samples_per_epoch": 20, "nb_epoch": 2, "validation_data": batches}
    history = model.fit_generator(batches, nb_val_samples=10, verbose=0, **older)
    assert len(history.history["val_loss"]) == 2
    assert int(model.optimizer.iterations) == 14 + 10
    assert model.predict(batches, steps=5, verbose=0).shape[0] == 18


def flow(*arguments, **named):
    return lambda: Generator(validation_split=0.3).flow(*arguments, **named)


ERRORS = {
    "`zoom_range` must be": lambda: Generator(zoom_range=(1, 2, 3)),
    "`brightness_range` must be two numbers, received 0.3": lambda: Generator(brightness_range=0.3),
    "`validation_split` must be between": lambda: Generator(validation_split=1.5),
    "`data_format` must be": lambda: Generator(data_format="x"),
    r"rank 4.*received shape \(3, 4\)": flow(np.zeros((3, 4))),
    "`y` must have the same length, received 10 and 9": flow(X, np.zeros(9)),
    "`sample_weight` must have the same": flow(X, sample_weight=np.zeros(9)),
    "`input 2` must have the same": flow((X, [np.zeros(10), np.zeros(9)])),
    "'training' or 'validation', received 'a'": flow(X, subset="a"),
    "have different classes": flow(X, np.arange(10), subset="validation"),
    "there is no batch 3; expected an index from 0 to 2": lambda: flow(X, batch_size=4)()[3],
    "`save_to_dir` must be an existing folder": flow(X, save_to_dir="/nowhere/at/all"),
    "fit: `x` must have rank 4": lambda: Generator().fit(np.zeros((3, 4))),
    "there is no folder": lambda: Generator().flow_from_directory("/nowhere/at/all"),
    "no images in the folders of 'docs'": lambda: next(
        Generator().flow_from_directory("docs", classes=["none"])
    ),
    "`class_mode` must be": lambda: Generator().flow_from_directory(".", class_mode="x"),
    "`color_mode` must be": lambda: Generator().flow_from_directory(".", color_mode="x"),
    "must be the three axes of `x`": lambda: images.apply_affine_transform(np.zeros((3, 3)), 1),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ERRORS[message]()


BAD_COLUMNS = {
    "no column 'nothing'; the columns are 'filename', 'class'": {"y_col": "nothing"},
    r"column 'number' must hold class names, or lists of them, received 0\.0": {"y_col": "number"},
    "column 'number' must hold file names": {"x_col": "number"},
    "needs 2 classes, received 3": {"class_mode": "binary"},
    "`class_mode` must be one of 'binary'": {"class_mode": "x"},
    "`has_ext=False` is not supported": {"has_ext": False},
}


@pytest.mark.filterwarnings("ignore:flow_from_dataframe")
@pytest.mark.parametrize("message", BAD_COLUMNS)
def test_errors_of_tables(folder, message):
    pandas = pytest.importorskip("pandas")
    with pytest.raises((ValueError, TypeError), match=message):
        Generator().flow_from_dataframe(pandas.DataFrame(TABLE), folder, **BAD_COLUMNS[message])


def test_functions_for_one_image():
    x = np.arange(16.0).reshape(4, 4, 1)
    axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
    turned = images.apply_affine_transform(x, theta=90, **axes)[..., 0]
    np.testing.assert_allclose(turned, np.rot90(x[..., 0]), atol=1e-6)
    shifted = images.apply_affine_transform(x, tx=1, **axes)[..., 0]
    np.testing.assert_array_equal(shifted, x[:, [1, 2, 3, 3], 0])
    random = {
        "random_rotation": (40,), "random_shift": (0.3, 0.2), "random_shear": (30,),
        "random_zoom": ((0.5, 1.5),),
    }  # fmt: skip
    for name, arguments in random.items():
        y = getattr(images, name)(x, *arguments, **axes)
        assert y.shape == x.shape
        assert not np.array_equal(y, x)
    np.testing.assert_array_equal(images.random_zoom(x, (1, 1), **axes), x)
    assert images.random_channel_shift(x, 3, 2).max() <= 15
    assert images.random_brightness(x, (0.5, 0.6), scale=False).mean() < x.mean()
    stretched = images.apply_brightness_shift(x - 8, 1.0, scale=False)
    np.testing.assert_allclose(stretched, x - 8, atol=0.05)
    with pytest.raises(ValueError, match="must be two numbers"):
        images.random_zoom(x, (1, 2, 3))
    with pytest.raises(ValueError, match="must be two numbers"):
        images.random_brightness(x, (1, 2, 3))
