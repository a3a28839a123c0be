"""Files that cannot be read are an error that names them, or left out on request."""

import io
import tarfile

import numpy as np
import pytest

from hornbeam.data import Dataset
from hornbeam.errors import FileError
from hornbeam.utils import (
    audio_dataset_from_directory,
    image_dataset_from_dataframe,
    image_dataset_from_directory,
    save_img,
    text_dataset_from_directory,
)

pytest.importorskip("PIL.Image")

COUNT = 7
BAD = (1, 4, 5, 6)


def png(number):
    file = io.BytesIO()
    save_img(file, np.full((2, 2, 3), number), file_format="png", scale=False)
    return file.getvalue()


def wav(number):
    head = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\2\0\0\0"
    return head + bytes([number, 0])


def write(folder, ending, content):
    (folder / "a").mkdir()
    for number in range(COUNT):
        data = content(number)
        path = folder / "a" / f"{number}.{ending}"
        path.write_bytes(data if number not in BAD else (b"\xff" + data)[: len(data) - 4])


def images(folder, **arguments):
    write(folder, "png", png)
    return image_dataset_from_directory(folder, image_size=(2, 2), **arguments)


def table(folder, **arguments):
    write(folder, "png", png)
    rows = {"filename": [f"a/{n}.png" for n in range(COUNT)], "class": ["a"] * COUNT}
    return image_dataset_from_dataframe(rows, folder, image_size=(2, 2), **arguments)


def sounds(folder, **arguments):
    write(folder, "wav", wav)
    return audio_dataset_from_directory(folder, **arguments)


def texts(folder, **arguments):
    write(folder, "txt", lambda number: f"{number} text".encode())
    return text_dataset_from_directory(folder, **arguments)


@pytest.mark.parametrize("loader", [images, table, sounds, texts])
def test_files_in_folders(loader, tmp_path):
    settings = {"shuffle": False, "verbose": False, "batch_size": 2}
    data = loader(tmp_path, ignore_errors=True, **settings)
    assert (data.cardinality(), data.skipped_files, len(data.file_paths)) == (-2, {}, COUNT)
    with pytest.warns(
        UserWarning, match=r"4 files are left out.*1\.\w+', .*4\.\w+', .* and 1 more"
    ):
        batches = [x for x, _ in data]
    assert [len(x) for x in batches] == [2, 1]
    names = [str(tmp_path / "a" / f"{n}.") for n in BAD]
    assert [
        path[: len(name)] for path, name in zip(data.skipped_files, names, strict=True)
    ] == names
    assert all(path in why for path, why in data.skipped_files.items())
    # The second pass finds nothing new, so it does not warn; a pass may start anywhere.
    later = data.map(lambda x, y: x).take(5)
    assert [np.shape(x) for x in later] == [np.shape(x) for x in batches]
    np.testing.assert_array_equal(next(data.elements(0, 1, start=1))[0], batches[1])
    assert len(later.skipped_files) == 4


@pytest.mark.parametrize("loader", [images, table, sounds, texts])
def test_they_are_an_error_by_default(loader, tmp_path):
    data = loader(tmp_path, shuffle=False, verbose=False, batch_size=None)
    assert len(data) == COUNT
    with pytest.raises(FileError, match=r"a/1\.\w+'"):
        list(data)


def test_files_that_vanish_are_named(tmp_path):
    data = images(tmp_path, shuffle=False, verbose=False, label_mode=None, ignore_errors=True)
    (tmp_path / "a" / "0.png").unlink()
    with pytest.warns(UserWarning, match="5 files are left out"):
        (x,) = data
    assert x[:, 0, 0, 0].tolist() == [2, 3]
    assert "No such file" in data.skipped_files[str(tmp_path / "a" / "0.png")]


def test_data_sets_side_by_side_name_the_files_of_both(tmp_path):
    settings = {"shuffle": False, "verbose": False, "label_mode": None, "ignore_errors": True}
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    data = Dataset.zip(images(tmp_path / "x", **settings), texts(tmp_path / "y", **settings))
    both = data.concatenate(data)
    with pytest.warns(UserWarning, match="4 files are left out"):
        list(both)
    assert len(both.skipped_files) == 8


def tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_samples_of_tar_files(tmp_path):
    whole = [
        (f"{n}.{e}", png(n) if e == "png" else b"%d" % n) for n in range(4) for e in ("cls", "png")
    ]
    whole[3] = ("1.png", b"no image")
    whole[4] = ("2.cls", b"no number")
    tar(tmp_path / "0.tar", whole)
    cut = tar(tmp_path / "1.tar", [("a.cls", b"7"), ("b.cls", bytes(5000))])
    cut.write_bytes(cut.read_bytes()[:3000])
    tar(tmp_path / "2.tar", [("c.cls", b"8")])
    data = Dataset.from_tar(tmp_path, "cls", ignore_errors=True).batch(10)
    with pytest.warns(UserWarning, match=r"Dataset\.from_tar: 2 files are left out.*2\.cls of .*"):
        (numbers,) = data
    # Images are not read. The sample before the damage may not be complete.
    assert numbers.tolist() == [0, 1, 3, 8]
    assert list(data.skipped_files) == [
        f"2.cls of {str(tmp_path / '0.tar')!r}", str(tmp_path / "1.tar"),
    ]  # fmt: skip
    data = Dataset.from_tar(tmp_path / "0.tar", ignore_errors=True)
    with pytest.warns(UserWarning, match="2 files are left out"):
        assert [int(sample["cls"]) for sample in data] == [0, 3]
    with pytest.raises(FileError, match=r"1\.png of .* cannot be decoded"):
        list(Dataset.from_tar(tmp_path / "0.tar"))
