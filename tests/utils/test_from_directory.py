"""Data sets from folders and series; expected values are those of Keras 3.15 on TensorFlow 2.21."""

import wave
from pathlib import Path

import numpy as np
import pytest

import hornbeam as hb
from hornbeam.data import Dataset
from hornbeam.errors import FileError
from hornbeam.utils import (
    audio_dataset_from_directory,
    image_dataset_from_directory,
    save_img,
    text_dataset_from_directory,
    timeseries_dataset_from_array,
)

pytest.importorskip("PIL.Image")

NAMES = [
    "top.png", "a/0.png", "a/12.png", "a/3.png", "a/6.png", "a/9.PNG", "a/sub/z.png", "b/0.png",
    "b/3.png", "b/6.png", "b/9.png", "c10/0.png", "c10/3.png", "c10/6.png", "c2/0.png",
    "c2/3.png", "c2/6.png",
]  # fmt: skip


def pixels(name):
    """Return the image of a file, 6 by 5 to 8 by 6 pixels."""
    number = NAMES.index(name)
    shape = (6 + number % 3, 5 + number % 2, 3)
    return np.random.default_rng(number).integers(0, 256, shape).astype("uint8")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        save_img(root / name, pixels(name), scale=False, file_format="png")
    (root / "a" / "notes.md").write_text("no image")
    (root / ".hidden").mkdir()
    return root


def images(root, **arguments):
    return image_dataset_from_directory(
        root, **{"image_size": (4, 4), "verbose": False, "shuffle": False, **arguments}
    )


def names_of(data, root):
    return [Path(path).relative_to(root).as_posix() for path in data.file_paths]


def test_classes_and_order(root, capsys):
    data = images(root, verbose=True)
    assert capsys.readouterr().out == "Found 16 files belonging to 4 classes.\n"
    assert isinstance(data, Dataset)
    assert data.class_names == ["a", "b", "c10", "c2"]
    assert names_of(data, root) == NAMES[1:]
    ((x, y),) = data
    assert (x.shape, x.dtype, y.dtype) == ((16, 4, 4, 3), "float32", "int32")
    assert y.tolist() == [0] * 6 + [1] * 4 + [2] * 3 + [3] * 3
    chosen = images(root, class_names=["c2", "a"])
    assert names_of(chosen, root) == [*NAMES[14:], *NAMES[1:7]]
    assert chosen.class_names == ["c2", "a"]


def test_links_between_folders(root, tmp_path):
    (tmp_path / "a").mkdir()
    save_img(tmp_path / "a" / "0.png", pixels("a/0.png"))
    (tmp_path / "a" / "around").symlink_to(tmp_path)
    (tmp_path / "a" / "other").symlink_to(root / "b")
    assert names_of(images(tmp_path), tmp_path) == ["a/0.png"]
    followed = names_of(images(tmp_path, follow_links=True), tmp_path)
    assert [name for name in followed if "around" not in name] == [
        "a/0.png", "a/other/0.png", "a/other/3.png", "a/other/6.png", "a/other/9.png",
    ]  # fmt: skip
    assert len(followed) <= 6


# The order of Keras for `seed=5`, and how it is split.
SHUFFLED = [
    "a/sub/z.png", "a/12.png", "b/3.png", "a/3.png", "c10/0.png", "c2/6.png", "c10/3.png",
    "a/9.PNG", "b/6.png", "b/9.png", "a/0.png", "c10/6.png", "b/0.png", "c2/0.png", "c2/3.png",
    "a/6.png",
]  # fmt: skip


def test_shuffled_files_and_splits(root, capsys):
    assert names_of(images(root, shuffle=True, seed=5), root) == SHUFFLED
    split = {"seed": 5, "shuffle": True, "validation_split": 0.3}
    train, test = images(root, **split, subset="both")
    out = capsys.readouterr().out
    assert out == "Using 12 files for training.\nUsing 4 files for validation.\n"
    assert names_of(train, root) + names_of(test, root) == SHUFFLED
    assert len(test.file_paths) == 4
    assert names_of(images(root, **split, subset="validation"), root) == SHUFFLED[12:]
    assert names_of(images(root, **split, subset="training"), root) == SHUFFLED[:12]
    test = images(root, validation_split=0.3, subset="validation")
    assert names_of(test, root) == NAMES[13:]


def test_each_pass_has_another_order(root):
    data = images(root, shuffle=True, seed=5, batch_size=None)
    first, second = [[int(y) for _, y in data] for _ in range(2)]
    assert first != second
    assert sorted(first) == sorted(second) == [0] * 6 + [1] * 4 + [2] * 3 + [3] * 3
    again = images(root, shuffle=True, seed=5, batch_size=None)
    for (x, y), (other, label) in zip(data.elements(0, 3), again.elements(0, 3), strict=True):
        np.testing.assert_array_equal(x, other)
        assert y == label


def test_labels(root):
    ((_, y),) = images(root, label_mode="categorical")
    assert (y.shape, y.dtype, y.sum(axis=0).tolist()) == ((16, 4), "float32", [6, 4, 3, 3])
    ((_, y),) = images(root, label_mode="binary", class_names=["b", "a"])
    assert (y.dtype, y.tolist()) == ("float32", [[0.0]] * 4 + [[1.0]] * 6)
    for arguments in ({"labels": None}, {"label_mode": None}):
        data = images(root, **arguments)
        (x,) = data
        assert x.shape == (17, 4, 4, 3)
        assert names_of(data, root) == NAMES
        assert data.class_names is None
    given = [5, 7] * 8 + [7]
    data = images(root, labels=given)
    ((_, y),) = data
    assert (y.tolist(), data.class_names) == (given, ["5", "7"])
    ((_, y),) = images(root, labels=given, label_mode="categorical")
    assert y[:, 1].tolist() == [0, 1] * 8 + [1]
    ((_, y),) = images(root, labels=given, label_mode="binary")
    assert y[:, 0].tolist() == [0, 1] * 8 + [1]


def first(data):
    return next(iter(data))[0]


def test_pixels(root):
    single = {"batch_size": None, "class_names": ["a"]}
    exact = pixels("a/0.png")  # 7 by 6 pixels
    same = first(images(root, **single, image_size=exact.shape[:2]))
    np.testing.assert_array_equal(same, exact)
    near = first(images(root, **single, interpolation="nearest"))
    assert near.dtype == "uint8"
    np.testing.assert_array_equal(near, exact[[0, 2, 4, 6]][:, [0, 2, 3, 5]])
    gray = first(images(root, **single, color_mode="grayscale", image_size=(7, 6)))
    np.testing.assert_allclose(gray[..., 0], exact @ [0.299, 0.587, 0.114], atol=1)
    alpha = first(images(root, **single, color_mode="rgba", image_size=(7, 6)))
    np.testing.assert_array_equal(alpha[..., :3], exact)
    assert (alpha[..., 3] == 255).all()
    turned = first(images(root, **single, data_format="channels_first", image_size=(7, 6)))
    np.testing.assert_array_equal(turned, exact.transpose(2, 0, 1))
    cropped = first(images(root, **single, crop_to_aspect_ratio=True, image_size=(3, 6)))
    np.testing.assert_array_equal(cropped, exact[2:5])
    framed = first(images(root, **single, pad_to_aspect_ratio=True, image_size=(7, 16)))
    np.testing.assert_array_equal(framed[:, 5:11], exact)
    assert framed[:, :5].max() == framed[:, 11:].max() == 0
    assert first(images(root, image_size=3)).shape == (16, 3, 3, 3)


def test_sixteen_bits_keep_the_upper_eight(tmp_path):
    from PIL import Image

    (tmp_path / "a").mkdir()
    deep = np.arange(12, dtype="uint16").reshape(3, 4) * 5000
    Image.fromarray(deep).save(tmp_path / "a" / "x.png")
    (x,) = images(tmp_path, label_mode=None, image_size=(3, 4), batch_size=None)
    np.testing.assert_array_equal(x, np.repeat((deep >> 8)[..., None], 3, axis=-1))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"label_mode": "one"}, "`label_mode` must be one of 'int', 'categorical'"),
        ({"label_mode": "binary"}, "needs 2 classes; there are 4"),
        ({"labels": "none"}, "`labels` must be 'inferred', a list"),
        ({"labels": [1, 2]}, "one integer for each of the 17 files"),
        ({"labels": [0.5] * 17}, "dtype float64"),
        ({"class_names": ["a", "zz"]}, r"`class_names` must name folders.*received \['a', 'zz'\]"),
        ({"class_names": ["a"], "labels": None}, "`class_names` needs `labels='inferred'`"),
        ({"color_mode": "bgr"}, "`color_mode`.*'bgr'"),
        ({"interpolation": "box"}, "`interpolation`.*'box'"),
        ({"data_format": "last"}, "`data_format`"),
        ({"format": "torch"}, "`format`"),
        ({"image_size": (0, 4)}, "`image_size` must be two positive integers"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "only one of"),
        ({"validation_split": 0.2}, "must be set together"),
        ({"subset": "training"}, "must be set together"),
        ({"validation_split": 0.2, "subset": "test"}, "`subset`.*'test'"),
        ({"validation_split": 1.5, "subset": "both"}, "between 0 and 1, received 1.5"),
        ({"validation_split": 0.01, "subset": "both"}, "leaves no file for validation"),
        ({"validation_split": 0.2, "subset": "both", "shuffle": True}, "`seed` is needed"),
    ],
)
def test_wrong_arguments(root, arguments, match):
    with pytest.raises(ValueError, match=match):
        images(root, **arguments)


def test_folders_without_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        images(tmp_path / "nothing")
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match=r"no files .* end in \.bmp"):
        images(tmp_path)


def test_a_damaged_file_is_named(root, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes((root / "a" / "0.png").read_bytes()[:70])
    with pytest.raises(FileError, match=r"a/x\.png' is not a complete image"):
        list(images(tmp_path))


def test_models_take_folders(root):
    hb.utils.set_random_seed(0)
    model = hb.Sequential(
        [hb.Input((4, 4, 3)), hb.layers.Rescaling(1 / 255), hb.layers.Flatten(),
         hb.layers.Dense(4, activation="softmax")]
    )  # fmt: skip
    model.compile("sgd", "sparse_categorical_crossentropy")
    split = {"seed": 1, "shuffle": True, "validation_split": 0.25, "batch_size": 4}
    train, test = images(root, **split, subset="both")
    history = model.fit(train, validation_data=test, epochs=2, verbose=0).history
    assert np.isfinite([history["loss"], history["val_loss"]]).all()
    assert model.predict(images(root, label_mode=None), verbose=0).shape == (17, 4)


# --- texts ----------------------------------------------------------------------------------------


def test_texts(tmp_path):
    for name, text in {
        "a/0.txt": "na\u00efve",
        "a/10.txt": "b\r\nc",
        "a/2.txt": "",
        "b/1.txt": "d",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "a" / "x.text").write_text("no")

    def texts(**arguments):
        return text_dataset_from_directory(
            tmp_path, **{"verbose": False, "shuffle": False, **arguments}
        )

    ((x, y),) = texts()
    assert (x.tolist(), y.tolist()) == (["na\u00efve", "b\r\nc", "", "d"], [0, 0, 0, 1])
    assert texts().class_names == ["a", "b"]
    assert [part.tolist() for part in texts(label_mode=None, batch_size=3, max_length=3)] == [
        ["na\u00ef", "b\r\n", ""], ["d"],
    ]  # fmt: skip
    assert [str(x) for x, _ in texts(batch_size=None)][3] == "d"
    train, test = texts(validation_split=0.5, subset="both")
    assert (len(train.file_paths), len(test.file_paths)) == (2, 2)
    with pytest.raises(ValueError, match="`max_length` must be a positive integer, received 0"):
        texts(max_length=0)
    (tmp_path / "b" / "1.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(FileError, match=r"b/1\.txt' is not in UTF-8"):
        list(texts())


# --- sounds ---------------------------------------------------------------------------------------


def write_sound(path, samples, width=2, rate=8000, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {1: "u1", 2: "<i2", 4: "<i4"}
    data = np.asarray(samples)
    if width == 3:
        content = data.astype("<i4").tobytes()
        content = b"".join(content[i : i + 3] for i in range(0, len(content), 4))
    else:
        content = data.astype(kinds[width]).tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(content)


def sounds(root, **arguments):
    return audio_dataset_from_directory(root, **{"verbose": False, "shuffle": False, **arguments})


def test_sounds(tmp_path):
    write_sound(tmp_path / "a" / "0.wav", [-3, 0, 32767, -32768])
    write_sound(tmp_path / "a" / "1.wav", [1])
    write_sound(tmp_path / "b" / "0.wav", [2, 3])
    ((x, y),) = sounds(tmp_path)
    assert (x.shape, x.dtype, y.tolist()) == ((3, 4, 1), "float32", [0, 0, 1])
    assert x[0, :, 0].tolist() == [-9.1552734375e-05, 0, 0.999969482421875, -1]
    assert x[1:, 1:].max() == 3 / 32768
    ((x, _),) = sounds(tmp_path, output_sequence_length=2)
    assert (x.shape, x[1, :, 0].tolist()) == ((3, 2, 1), [1 / 32768, 0])
    assert [len(x) for x, _ in sounds(tmp_path, batch_size=None)] == [4, 1, 2]
    (x,) = sounds(tmp_path, label_mode=None)
    assert x.shape == (3, 4, 1)


@pytest.mark.parametrize(
    ("width", "samples"),
    [
        (1, [0, 128, 192]),
        (2, [-32768, 0, 16384]),
        (3, [-(2**23), 0, 2**22]),
        (4, [-(2**31), 0, 2**30]),
    ],
)
def test_widths_of_samples(tmp_path, width, samples):
    write_sound(tmp_path / "a" / "0.wav", np.repeat(samples, 2), width, channels=2)
    (x,) = sounds(tmp_path, label_mode=None, batch_size=None)
    assert x.tolist() == [[-1, -1], [0, 0], [0.5, 0.5]]


def test_sounds_are_resampled(tmp_path):
    time = np.arange(8000) / 8000
    write_sound(tmp_path / "a" / "0.wav", 20000 * np.sin(2 * np.pi * 50 * time))
    (x,) = sounds(tmp_path, label_mode=None, batch_size=None, sampling_rate=6000)
    assert x.shape == (6000, 1)
    expected = 20000 / 32768 * np.sin(2 * np.pi * 50 * np.arange(6000) / 6000)
    np.testing.assert_allclose(x[100:-100, 0], expected[100:-100], atol=0.01)


HEADER = b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data"
HOSTILE = {
    "empty": b"",
    "text": b"hello",
    "claims more": HEADER + b"\xff\xff\xff\x7f" + bytes(10),
    "no rate": HEADER.replace(b"\x40\x1f", b"\0\0") + b"\4\0\0\0abcd",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_sounds(tmp_path, name):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.wav").write_bytes(HOSTILE[name])
    with pytest.raises(FileError, match=r"a/0\.wav' is (damaged|not a complete WAV)"):
        list(sounds(tmp_path))


def test_sounds_that_cannot_be(tmp_path):
    for arguments, match in (
        ({"ragged": True}, "`ragged=True` is not supported"),
        ({"sampling_rate": 0}, "`sampling_rate` must be a positive integer"),
        ({"output_sequence_length": 1.5}, "`output_sequence_length`"),
    ):
        with pytest.raises(ValueError, match=match):
            sounds(tmp_path, **arguments)


# --- series ---------------------------------------------------------------------------------------

X = np.arange(20)
SERIES = [
    ((X[:8], None), {"sequence_length": 5, "batch_size": 3},
        [[[0, 1, 2, 3, 4], [1, 2, 3, 4, 5], [2, 3, 4, 5, 6]], [[3, 4, 5, 6, 7]]]),
    ((X, X[5:]), {"sequence_length": 5, "sequence_stride": 6},
        [([[0, 1, 2, 3, 4], [6, 7, 8, 9, 10], [12, 13, 14, 15, 16]], [5, 11, 17])]),
    ((X, X), {"sequence_length": 4, "start_index": 3, "end_index": 12, "sampling_rate": 2,
              "sequence_stride": 2}, [([[3, 5, 7, 9], [5, 7, 9, 11]], [3, 5])]),
    ((X, None), {"sequence_length": 3, "batch_size": None, "start_index": 16},
        [[16, 17, 18], [17, 18, 19]]),
    ((X, None), {"sequence_length": 30}, []),
    ((X, X[:7]), {"sequence_length": 3, "sequence_stride": 3},
        [([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [0, 3, 6])]),
    ((X, X[:3]), {"sequence_length": 3, "end_index": 6}, [([[0, 1, 2], [1, 2, 3], [2, 3, 4]],
        [0, 1, 2])]),
    ((X.reshape(10, 2), None), {"sequence_length": 9},
        [np.stack([X.reshape(10, 2)[:9], X.reshape(10, 2)[1:]]).tolist()]),
]  # fmt: skip


def plain(element):
    return tuple(a.tolist() for a in element) if isinstance(element, tuple) else element.tolist()


@pytest.mark.parametrize(("arrays", "arguments", "expected"), SERIES)
def test_windows(arrays, arguments, expected):
    data = timeseries_dataset_from_array(*arrays, **arguments)
    assert [plain(element) for element in data] == expected
    assert len(data) == len(expected)


def test_shuffled_windows():
    data = timeseries_dataset_from_array(X, X, 3, shuffle=True, seed=1, batch_size=5)
    for epoch in range(2):
        windows = np.concatenate([x for x, _ in data.elements(0, epoch)])
        assert sorted(windows[:, 0].tolist()) == list(range(18))
        assert (windows[:, 0] != np.arange(18)).any()
        assert (np.diff(windows) == 1).all()
    assert all((x[:, 0] == y).all() for x, y in data)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"sequence_length": 0}, "`sequence_length` must be an integer at least 1, received 0"),
        ({"sequence_stride": 0}, "`sequence_stride` must be an integer from 1 to 19"),
        ({"sampling_rate": 20}, "`sampling_rate`.*received 20; `data` have 20 steps"),
        ({"start_index": -1}, "`start_index`.*-1"),
        ({"start_index": 20}, "`start_index`.*20"),
        ({"start_index": 5, "end_index": 5}, "`end_index` must be an integer from 6 to 20"),
        ({"format": "torch"}, "`format`"),
    ],
)
def test_windows_that_cannot_be(arguments, match):
    with pytest.raises(ValueError, match=match):
        timeseries_dataset_from_array(X, None, **{"sequence_length": 3, **arguments})
