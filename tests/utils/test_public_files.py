"""Files of odd forms that other packages bring along.

The expected digests of images are those of Keras 3.15 on TensorFlow 2.21.
"""

import hashlib
import importlib.util
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from hornbeam.data import Dataset
from hornbeam.errors import FileError
from hornbeam.utils import audio_dataset_from_directory, image_dataset_from_directory
from hornbeam.utils.sounds import read_sound


def find(name):
    """Return the path of a file in an installed package."""
    package, _, rest = name.partition("/")
    found = importlib.util.find_spec(package)
    path = Path(found.origin).parent / rest if found and found.origin else None
    if path is None or not path.exists():
        pytest.skip(f"{name} is not installed")
    return path


# Each with the digests in color and in gray. (TensorFlow computes the gray of a PNG file with a
# gamma in linear light.)
IMAGES = {
    "sklearn/datasets/images/china.jpg": ("ba5894627abff80f", "12075308f9e5f423"),
    "sklearn/datasets/images/flower.jpg": ("830cd08e00be1859", "b7fa30b342e999ba"),
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg": ("de0c6a8318d72e03", "afe957373c021f59"),
    "matplotlib/mpl-data/sample_data/Minduka_Present_Blue_Pack.png": (
        "60bbaa20bd9687b7",
        "3dbc34441a7abfb5",
    ),
    "matplotlib/mpl-data/sample_data/logo2.png": ("5385ec9e72ca2757", "cad670c8a12c6df6"),
    "matplotlib/mpl-data/images/hand.png": ("02c88c0037cd8846", None),
    "matplotlib/mpl-data/images/matplotlib_large.png": ("94f717c00a21ffff", "42e181e0aaa4457a"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images(name, tmp_path):
    pytest.importorskip("PIL.Image")
    path = find(name)
    if path.suffix == ".jpg":
        pytest.importorskip("simplejpeg")
    (tmp_path / "a").mkdir()
    shutil.copy(path, tmp_path / "a")
    for color_mode, digest in zip(("rgb", "grayscale"), IMAGES[name], strict=True):
        if digest is None:
            continue
        (x,) = image_dataset_from_directory(
            tmp_path, image_size=(48, 40), color_mode=color_mode, label_mode=None, verbose=False
        )
        assert hashlib.sha256(x.tobytes()).hexdigest()[:16] == digest


SOUNDS = "scipy/io/tests/data"
DAMAGED = ("early-eof", "incomplete-chunk", "inconsistent", "ulaw", "no-data")


def test_sounds():
    wavfile = pytest.importorskip("scipy.io.wavfile")
    paths = sorted(find(SOUNDS).glob("*.wav"))
    good = [path for path in paths if not any(word in path.name for word in DAMAGED)]
    if not good:
        pytest.skip("SciPy has no sample files")
    for path in good:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, expected = wavfile.read(path)
        scale = 2.0 ** (8 * expected.dtype.itemsize - 1) if expected.dtype.kind != "f" else 1
        if expected.dtype.kind == "u":
            expected = expected.astype("int64") - 128
        x, found = read_sound(str(path), "test")
        assert found == rate, path
        np.testing.assert_allclose(
            x.reshape(expected.shape), expected / scale, atol=1e-6, err_msg=str(path)
        )


def test_damaged_sounds_are_left_out(tmp_path):
    (tmp_path / "a").mkdir()
    for path in find(SOUNDS).glob("*Hz-le-1ch-4bytes*.wav"):
        shutil.copy(path, tmp_path / "a")
    settings = {"label_mode": None, "verbose": False, "shuffle": False, "batch_size": None}
    with pytest.raises(FileError, match="early-eof"):
        list(audio_dataset_from_directory(tmp_path, **settings))
    data = audio_dataset_from_directory(tmp_path, ignore_errors=True, **settings)
    with pytest.warns(UserWarning, match="files are left out"):
        lengths = {len(x) for x in data}
    assert lengths == {4410}
    assert all("early-eof" in path or "incomplete" in path for path in data.skipped_files)


def test_tables_and_arrays():
    pandas = pytest.importorskip("pandas")
    digits = pandas.read_csv(find("sklearn/datasets/data/digits.csv.gz"), header=None)
    digits.columns = [f"c{number}" for number in digits.columns]
    ((x, y),) = Dataset.from_table(digits, ["c2", "c3"], target="c64").batch(5).take(1)
    assert (list(x), x["c2"].tolist(), y.tolist()) == (
        ["c2", "c3"],
        [5, 0, 0, 7, 0],
        [0, 1, 2, 3, 4],
    )
    with np.load(find("matplotlib/mpl-data/sample_data/topobathy.npz")) as file:
        rows = Dataset.from_tensor_slices(file["topo"]).batch(8)
        assert next(iter(rows)).shape == (8, file["topo"].shape[1])
