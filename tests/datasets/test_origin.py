"""Where a data set's file comes from: caches, mirrors, and what happens when they fail."""

import gc
import hashlib
import pickle
import tarfile

import numpy as np
import pytest
from mirror import mirror_server

from hornbeam import config
from hornbeam.datasets import boston_housing, cifar10, cifar100, dataset_file, readers
from hornbeam.datasets.dataset_file import DatasetFile
from hornbeam.errors import FileError


@pytest.fixture(autouse=True)
def homes(monkeypatch, tmp_path):
    """Empty caches of Hornbeam and Keras, and no way to the network."""
    for name in ("HORNBEAM_HOME", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
        (tmp_path / name / "datasets").mkdir(parents=True)
    monkeypatch.setenv("HORNBEAM_MIRROR", "http://127.0.0.1:9/")  # nobody answers there
    return tmp_path / "HORNBEAM_HOME" / "datasets", tmp_path / "KERAS_HOME" / "datasets"


@pytest.fixture
def mirror(monkeypatch):
    with mirror_server() as mirror:
        monkeypatch.setenv("HORNBEAM_MIRROR", mirror.url)
        yield mirror


def npz(path, rows=10):
    x = np.arange(13.0 * rows).reshape(rows, 13)
    np.savez_compressed(path, x=x, y=x[:, 0])
    return path.read_bytes()


@pytest.mark.parametrize("home", [0, 1])
def test_a_cache_is_read_without_the_network(homes, home):
    npz(homes[home] / "boston_housing.npz")
    (x_train, _), (x_test, y_test) = boston_housing.load_data()
    assert (x_train.shape, x_test.shape) == ((8, 13), (2, 13))
    np.testing.assert_array_equal(x_test[:, 0], y_test)


def test_a_file_by_its_path(tmp_path):
    npz(tmp_path / "own.npz")
    assert boston_housing.load_data(tmp_path / "own.npz", test_split=0.5)[0][0].shape == (5, 13)


def test_a_script_may_give_a_cached_file_another_name(homes):
    npz(homes[1] / "boston_housing.npz")
    assert boston_housing.load_data("houses.npz")[0][0].shape == (8, 13)
    npz(homes[0] / "houses.npz", rows=20)
    assert boston_housing.load_data("houses.npz")[0][0].shape == (16, 13)


@pytest.mark.parametrize("layout", ["fashion-mnist/", ""])
def test_a_mirror_may_have_folders(mirror, monkeypatch, layout):
    content = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])
    mirror.files[f"{layout}labels"] = content
    file = DatasetFile("fashion-mnist/labels", "https://x.invalid/labels", readers.read_idx)
    np.testing.assert_array_equal(file.read(), [7, 2, 1])
    assert file.find().parts[-3:] == ("datasets", "fashion-mnist", "labels")


@pytest.mark.parametrize("fault", [None, "slow"])
def test_a_file_is_downloaded_once(mirror, homes, tmp_path, fault, capsys):
    mirror.files["boston_housing.npz"] = npz(tmp_path / "a.npz", rows=1000)
    mirror.faults["boston_housing.npz"] = fault
    for _ in range(2):
        assert boston_housing.load_data()[0][0].shape == (800, 13)
    assert mirror.asked == [("boston_housing.npz", 0)]
    assert [path.name for path in homes[0].iterdir()] == ["boston_housing.npz"]
    assert list(homes[1].iterdir()) == []
    shown = capsys.readouterr().out
    assert f"Downloading data from {mirror.url}boston_housing.npz" in shown
    size = len(mirror.files["boston_housing.npz"])
    assert f"{size}/{size} ━━━━━━━━━━━━━━━━━━━━" in shown


def test_a_cut_download_goes_on_the_next_time(mirror, homes, tmp_path):
    content = mirror.files["boston_housing.npz"] = npz(tmp_path / "a.npz", rows=1000)
    mirror.faults["boston_housing.npz"] = "cut"
    with pytest.raises(OSError, match="Run again to continue"):
        boston_housing.load_data()
    mirror.faults.clear()
    mirror.asked.clear()
    assert boston_housing.load_data()[0][0].shape == (800, 13)
    assert mirror.asked[-1][1] > len(content) / 2
    assert [path.name for path in homes[0].iterdir()] == ["boston_housing.npz"]


# Python forgets the sockets of connections that are refused.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("fault", "error", "match"),
    [
        (404, OSError, "404"),
        (503, OSError, "503"),
        ("wrong", FileError, "not the expected data set: .*not a complete .npz"),
        ("gone", OSError, "refused"),
    ],
)
def test_faults_of_a_mirror(mirror, homes, tmp_path, monkeypatch, fault, error, match):
    mirror.files["boston_housing.npz"] = npz(tmp_path / "a.npz")
    mirror.faults["boston_housing.npz"] = fault
    if fault == "gone":
        monkeypatch.setenv("HORNBEAM_MIRROR", "http://127.0.0.1:9/")
    with pytest.raises(error, match=match) as raised:
        boston_housing.load_data()
    message = str(raised.value)
    del raised
    gc.collect()  # such a socket
    assert "boston_housing.npz" in message
    assert f"'{homes[0]}'" in message  # where to put the file by hand
    assert ("http://127.0.0.1:9/" if fault == "gone" else mirror.url) in message
    assert [path for path in homes[0].iterdir() if path.is_file()] == []


def test_without_a_mirror_the_published_address_is_asked(homes, monkeypatch):
    monkeypatch.delenv("HORNBEAM_MIRROR")
    asked = []
    monkeypatch.setattr(dataset_file, "download", lambda *a: asked.append(a) or npz(a[1]))
    boston_housing.load_data()
    address = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/boston_housing.npz"
    assert asked == [(address, homes[0] / "boston_housing.npz", None)]


def test_a_checksum_refuses_other_files(mirror, homes):
    content = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])
    mirror.files["labels"] = content
    digest = hashlib.sha256(content).hexdigest()
    np.testing.assert_array_equal(
        DatasetFile("labels", "https://x.invalid/labels", readers.read_idx, digest).read(),
        [7, 2, 1],
    )
    (homes[0] / "labels").unlink()
    with pytest.raises(FileError, match="does not have the hash"):
        DatasetFile("labels", "https://x.invalid/labels", readers.read_idx, "0" * 32).read()
    assert list(homes[0].iterdir()) == []


def test_a_damaged_file_in_a_cache_is_named(homes):
    (homes[1] / "boston_housing.npz").write_bytes(b"PK\3\4")
    with pytest.raises(FileError, match=r"Delete '.*KERAS_HOME/datasets/boston_housing.npz'"):
        boston_housing.load_data()


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (np.zeros((3, 12)), np.zeros(3), r"received shapes \(3, 12\)"),
        (np.zeros((3, 13)), np.zeros(2), r"and \(2,\)"),
        (np.zeros((3, 13), "U2"), np.zeros(3), "x has dtype <U2"),
    ],
)
def test_arrays_that_are_not_the_data_sets(homes, x, y, match):
    np.savez(homes[0] / "boston_housing.npz", x=x, y=y)
    with pytest.raises(FileError, match=match):
        boston_housing.load_data()


# --- CIFAR ----------------------------------------------------------------------------------------


def batches(folder, count, test_count):
    """Write batches of CIFAR-10 and CIFAR-100 and return the images and labels of CIFAR-10."""
    random = np.random.default_rng(0)
    found = []
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        data = random.integers(0, 256, (count, 3072), "uint8")
        labels = random.integers(0, 10, count).tolist()
        found.append((data, labels))
        write(folder / "cifar-10-batches-py" / name, {b"data": data, b"labels": labels})
    for name, n in (("train", 5 * count), ("test", test_count)):
        labels = random.integers(0, 20, n).tolist()
        content = {
            b"data": random.integers(0, 256, (n, 3072), "uint8"),
            b"fine_labels": [label + 80 for label in labels],
            b"coarse_labels": labels,
        }
        write(folder / "cifar-100-python" / name, content)
    return found


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, 2))


@pytest.fixture
def small(monkeypatch):
    """Let the batches have 4 images instead of 10,000."""
    monkeypatch.setattr(cifar10, "_COUNT", 4)
    counts = {"cifar-100-python/train": 20, "cifar-100-python/test": 4}
    monkeypatch.setattr(cifar100, "_COUNTS", counts)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("layout", ["keras 3", "keras 2", "keras archive", "archive"])
def test_cifar_is_found_in_each_layout(homes, tmp_path, layout):
    hornbeam, keras = homes
    folder = {"keras 3": keras / "{}-target", "keras 2": keras}.get(layout, tmp_path / "made")
    names = ("cifar-10-batches-py", "cifar-100-python")
    found = batches(tmp_path / "made", 4, 4)
    for name in names:
        source = tmp_path / "made" / name
        if "archive" in layout:
            target = {
                "archive": hornbeam / f"{name.replace('batches-py', 'python')}.tar.gz",
                "keras archive": keras / f"{name}-target_archive",
            }[layout]
            with tarfile.open(target, "w:gz") as archive:
                archive.add(source, name)
        else:
            target = type(folder)(str(folder).format(name)) / name
            target.parent.mkdir(exist_ok=True)
            source.rename(target)
    (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    assert (x_train.shape, x_test.shape) == ((20, 32, 32, 3), (4, 32, 32, 3))
    np.testing.assert_array_equal(x_train[4], found[1][0][0].reshape(3, 32, 32).transpose(1, 2, 0))
    np.testing.assert_array_equal(y_test, np.reshape(found[5][1], (4, 1)))
    assert (x_train.dtype, y_train.dtype, y_test.dtype) == ("uint8", "uint8", "uint8")
    (_, fine), (_, fine_test) = cifar100.load_data()
    (x_train, coarse), _ = cifar100.load_data("coarse")
    np.testing.assert_array_equal(fine, coarse + 80)
    assert (fine.shape, fine.dtype, fine_test.shape) == ((20, 1), "int64", (4, 1))
    config.set_image_data_format("channels_first")
    np.testing.assert_array_equal(cifar100.load_data()[0][0].transpose(0, 2, 3, 1), x_train)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({b"labels": [1] * 4}, "'data' must be a uint8 array"),
        ({b"data": np.zeros((4, 3072), "uint8"), b"labels": [1] * 3}, "must be a list of 4"),
        ({b"data": np.zeros((4, 3072), "uint8"), b"labels": [10] * 4}, "from 0 to 9"),
        ({b"data": print}, "not data"),
    ],
)
def test_damaged_cifar(homes, content, match):
    batches(homes[1], 4, 4)
    write(homes[1] / "cifar-10-batches-py" / "data_batch_3", content)
    with pytest.raises(FileError, match=f"data_batch_3'.*{match}"):
        cifar10.load_data()
    with pytest.raises(ValueError, match="'fine' or 'coarse', received 'medium'"):
        cifar100.load_data("medium")
