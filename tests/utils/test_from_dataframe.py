"""Data sets of the images that a table names."""

import numpy as np
import pytest

from hornbeam.data import Dataset
from hornbeam.utils import image_dataset_from_dataframe, save_img

pytest.importorskip("PIL.Image")

NAMES = [f"{number}.png" for number in range(6)]
CLASSES = ["cat", "dog", "cat", "bird", "dog", "cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pets")
    for number, name in enumerate(NAMES):
        save_img(folder / name, np.full((4, 5, 3), 40 * number, "uint8"), scale=False)
    return folder


def table(**columns):
    return {"filename": NAMES, "class": CLASSES, **columns}


def images(frame, folder, **arguments):
    settings = {"image_size": (2, 2), "verbose": False, "shuffle": False, **arguments}
    return image_dataset_from_dataframe(frame, folder, **settings)


def shown(data):
    """Return the numbers of the images, and the labels."""
    return [(int(x.max()) // 40, *map(np.ndarray.tolist, map(np.asarray, y))) for x, *y in data]


def pandas(columns):
    return pytest.importorskip("pandas").DataFrame(columns)


def category(columns):
    frame = pandas(columns)
    return frame.assign(**{"class": frame["class"].astype("category")})


def polars(columns):
    return pytest.importorskip("polars").DataFrame(columns)


def arrow(columns):
    return pytest.importorskip("pyarrow").table(columns)


@pytest.mark.parametrize("make", [dict, pandas, category, polars, arrow])
def test_rows_of_all_kinds_of_tables(make, folder, capsys):
    data = images(make(table()), folder, verbose=True)
    assert capsys.readouterr().out == "Found 6 files belonging to 3 classes.\n"
    assert isinstance(data, Dataset)
    assert data.class_names == ["bird", "cat", "dog"]
    assert data.file_paths == [str(folder / name) for name in NAMES]
    ((x, y),) = data
    assert (x.shape, x.dtype, y.dtype) == ((6, 2, 2, 3), "float32", "int32")
    assert y.tolist() == [1, 2, 1, 0, 2, 1]
    assert x[:, 0, 0, 0].tolist() == [40 * number for number in range(6)]


def test_forms_of_labels(folder):
    single = {"batch_size": None}
    some = images(table(), folder, label_mode="binary", class_names=["dog", "cat"], **single)
    assert shown(some) == [(0, [1]), (1, [0]), (2, [1]), (4, [0]), (5, [1])]
    assert len(some.file_paths) == 5
    sets = table(**{"class": [["cat"], ["dog", "cat"], ["cow"], ["cat"], [], ["cow", "dog"]]})
    data = images(sets, folder, label_mode="categorical", **single)
    assert data.class_names == ["cat", "cow", "dog"]
    assert shown(data) == [
        (0, [1, 0, 0]), (1, [1, 0, 1]), (2, [0, 1, 0]), (3, [1, 0, 0]), (5, [0, 1, 1]),
    ]  # fmt: skip
    numbers = table(**{"class": [5, 7, 5, 11, 7, 5]})
    data = images(numbers, folder, **single)
    assert data.class_names == ["5", "7", "11"]
    assert [y for _, y in shown(data)] == [0, 1, 0, 2, 1, 0]
    sizes = table(a=np.arange(6.0), b=[True, False] * 3)
    raw = images(sizes, folder, y_col="a", label_mode="raw", **single)
    assert [y for _, y in shown(raw)] == [0, 1, 2, 3, 4, 5]
    raw = images(sizes, folder, y_col=["a", "b"], label_mode="raw", weight_col="a", **single)
    assert shown(raw)[:2] == [(0, [0, 1], 0), (1, [1, 0], 1)]
    (_, outputs), = images(sizes, folder, y_col=["a", "b"], label_mode="multi_output")  # fmt: skip
    assert [y.dtype.name for y in outputs] == ["float64", "bool"]
    (x,) = images({"filename": NAMES}, folder, label_mode=None)
    assert x.shape == (6, 2, 2, 3)


def test_order_and_parts_are_those_of_the_loader_of_folders(folder):
    split = {"shuffle": True, "seed": 3, "validation_split": 0.4, "batch_size": None}
    train, test = images(table(), folder, subset="both", **split)
    assert sorted(train.file_paths + test.file_paths) == [str(folder / name) for name in NAMES]
    assert images(table(), folder, subset="validation", **split).file_paths == test.file_paths
    labels = dict(zip(NAMES, [1, 2, 1, 0, 2, 1], strict=True))
    assert all(labels[f"{number}.png"] == y for number, y in shown(train) + shown(test))
    assert sorted(number for number, _ in shown(train)) == sorted(
        int(path[-5]) for path in train.file_paths
    )


@pytest.mark.parametrize(
    ("columns", "arguments", "error", "match"),
    [
        ({}, {"x_col": "file"}, ValueError, "column in `x_col` .*'file'.*Known: 'class', 'fil"),
        ({}, {"y_col": "label"}, ValueError, "column in `y_col` .*'label'"),
        ({}, {"label_mode": "sparse"}, ValueError, "`label_mode` must be one of 'int'"),
        ({}, {"y_col": ["class"]}, ValueError, "must be one column with `label_mode='int'`"),
        ({}, {"label_mode": "binary"}, ValueError, "needs 2 classes; there are 3"),
        ({}, {"label_mode": "raw"}, ValueError, "'class' of `dataframe` holds text"),
        ({}, {"class_names": ["cow"]}, ValueError, r"which are \['bird', 'cat', 'dog'\]"),
        ({}, {"directory": "elsewhere"}, FileNotFoundError, "no file 'elsewhere/0.png'"),
        ({}, {"label_mode": None, "weight_col": "w"}, ValueError, "`weight_col` needs labels"),
        ({"class": ["a", None] * 3}, {}, ValueError, "a class in each row, received None in row 1"),
        ({"class": [["a"]] * 6}, {}, ValueError, "Lists of classes need"),
        ({"filename": ["0.png", None] * 3}, {}, TypeError, "received None in row 1"),
    ],
)
def test_what_does_not_fit_is_named(columns, arguments, error, match, folder):
    arguments = {"directory": folder, **arguments}
    with pytest.raises(error, match=match):
        image_dataset_from_dataframe(table(**columns), **arguments)
    with pytest.raises(TypeError, match="`dataframe` must be a data frame or a dictionary"):
        image_dataset_from_dataframe([1], folder)


def test_files_that_cannot_be_read_are_left_out_on_request(folder):
    bad = table(filename=["none.png", *NAMES[1:]])
    data = images(bad, folder, ignore_errors=True, batch_size=2)
    with pytest.warns(UserWarning, match=r"image_dataset_from_dataframe: 1 file .*none\.png"):
        assert sum(len(y) for _, y in data) == 5
    assert list(data.skipped_files) == [str(folder / "none.png")]
