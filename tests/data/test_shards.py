"""`from_parquet` and `from_tar`: what they read, and damaged and hostile files."""

import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from hornbeam.data import Dataset, RowsSource, make_source

# --- Parquet --------------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    def write(name, columns, **options):
        parquet.write_table(arrow.table(columns), tmp_path / name, **options)
        return tmp_path / name

    return write


def test_parquet_files_are_rows_with_columns_by_name(write, tmp_path):
    write("b.parquet", {"n": [7], "t": ["d"]})
    write("a.parquet", {"n": [1, 2, 3], "t": ["a", None, "c"]}, row_group_size=2)
    (tmp_path / "note.txt").write_text("other files of the folder are left alone")
    data = Dataset.from_parquet(tmp_path)
    assert [(int(row["n"]), row["t"]) for row in data] == [(1, "a"), (2, None), (3, "c"), (7, "d")]
    assert len(data) == 4
    assert [n.tolist() for n in Dataset.from_parquet(tmp_path, "n", batch_size=3)] == [
        [1, 2, 3],
        [7],
    ]
    shuffled = Dataset.from_parquet(tmp_path, "n").shuffle(4, seed=3).batch(3)
    assert sorted(int(n) for batch in shuffled for n in batch) == [1, 2, 3, 7]
    source = make_source(Dataset.from_parquet(tmp_path, ["n"], target="n", batch_size=2))
    assert (type(source), source.num_batches) == (RowsSource, 2)
    with pytest.raises(
        ValueError, match="Unknown column of the Parquet files: 'm'.*Known: 'n', 't'"
    ):
        Dataset.from_parquet(tmp_path, "m")


def test_only_the_columns_and_row_groups_that_are_needed_are_read(write):
    path = write("a.parquet", {"x": np.arange(6.0), "n": [1, 2, 3, 4, 5, None]}, row_group_size=2)
    rows = iter(Dataset.from_parquet(path, ["n"]).batch(2))
    assert [next(rows)["n"].tolist() for _ in range(2)] == [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match="column 'n' of row group 2 of .* integers with missing"):
        next(rows)
    assert len(list(Dataset.from_parquet(path, ["x"]))) == 6


def test_damaged_parquet_files(write, tmp_path):
    good = write("a.parquet", {"n": np.arange(1000)}, row_group_size=500)
    whole = good.read_bytes()
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cut.parquet' is damaged or not a Parquet file"):
        Dataset.from_parquet(cut)
    cut.write_bytes(whole[:100] + bytes(200) + whole[300:])
    with pytest.raises(
        ValueError, match="column 'n' of row group 0 of .*cut.parquet' cannot be read"
    ):
        list(Dataset.from_parquet(cut).batch(10).prefetch())
    other = write("other.parquet", {"n": [0.5]})
    with pytest.raises(ValueError, match="same columns.*column 'n' is double in .*other"):
        Dataset.from_parquet([good, other])
    other = write("other.parquet", {"m": [1]})
    with pytest.raises(ValueError, match="column 'n' is missing in .*other"):
        Dataset.from_parquet([good, other])
    with pytest.raises(ValueError, match="holds no rows"):
        Dataset.from_parquet(write("empty.parquet", {"n": np.zeros(0)}))
    with pytest.raises(FileNotFoundError, match=r"from_parquet: there is no file '.*none'"):
        Dataset.from_parquet(tmp_path / "none")
    with pytest.raises(ValueError, match="from_parquet: `paths` is empty"):
        Dataset.from_parquet([])


# --- tar ------------------------------------------------------------------------------------------


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def image(mode):
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    file = io.BytesIO()
    pillow.new(mode, (3, 2)).save(file, "PNG")
    return file.getvalue()


def tar(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def test_files_with_one_key_are_a_sample(tmp_path):
    order_f = np.asfortranarray(np.arange(6).reshape(2, 3))
    first = [
        ("d/a.cls", b"3"), ("d/a.json", b'{"k": [1]}'), ("d/a.txt", "ä".encode()),
        ("d/a.seg.npy", npy(order_f)), ("d/a.PNG", image("P")), ("d/a.raw", b"\0"),
        ("d/a.npz", npz(v=np.ones(2))), ("README", b"no sample"),
    ]  # fmt: skip
    tar(tmp_path / "0.tar", first)
    tar(tmp_path / "1.tar.gz", [("._b.cls", b""), ("b.cls", b"4"), ("c.cls", b"5")], "w:gz")
    samples = list(Dataset.from_tar(tmp_path))
    assert [sample["__key__"] for sample in samples] == ["d/a", "b", "c"]
    sample = samples[0]
    assert (sample["cls"], sample["json"], sample["txt"], sample["raw"]) == (
        3, {"k": [1]}, "ä", b"\0",
    )  # fmt: skip
    np.testing.assert_array_equal(sample["seg.npy"], order_f)
    assert (sample["png"].shape, sample["png"].dtype) == ((2, 3, 3), np.uint8)
    assert sample["npz"]["v"].tolist() == [1, 1]
    numbers = Dataset.from_tar(tmp_path, columns="cls").shuffle(10, seed=1).batch(2)
    for _ in range(2):
        assert sorted(int(n) for batch in numbers for n in batch) == [3, 4, 5]
    assert list(Dataset.from_tar(tmp_path / "1.tar.gz", ["__key__"], "cls"))[1] == (
        {"__key__": "c"}, 5,
    )  # fmt: skip
    with pytest.raises(
        ValueError, match="Unknown column of the sample 'b': 'png'.*Known: '__key__', 'cls'"
    ):
        list(Dataset.from_tar(tmp_path, "png"))


class Trap:
    def __reduce__(self):
        return os._exit, (1,)


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.pyd", pickle.dumps(Trap()), r"a.pyd of .* is a pickle.*can run arbitrary code"),
        ("a.npy", npy(np.array([Trap()]), allow_pickle=True), "holds Python objects"),
        ("a.npy", npy(np.ones(3))[:-1], "its size does not match its shape"),
        (
            "a.npy",
            header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}\n"),
            "its size does not match its shape",
        ),
        ("a.npy", b"text", "a.npy of .* cannot be decoded"),
        ("a.npz", npz(a=np.ones(2))[:-9], "a.npz of .* cannot be decoded"),
        ("a.cls", b"dog", "a.cls of .* cannot be decoded"),
        ("a.txt", b"\xff", "a.txt of .* cannot be decoded"),
        ("a.json", b"[" * 10**5, "a.json of .* cannot be decoded"),
        ("a.png", b"no image", "a.png of .* cannot be decoded"),
    ],
)
def test_files_that_cannot_be_decoded(name, content, text, tmp_path):
    path = tar(tmp_path / "a.tar", [(name, content), ("a.other", b"1")])
    with pytest.raises(ValueError, match=text):
        list(Dataset.from_tar(path).prefetch())
    # What is not asked for is not decoded.
    assert list(Dataset.from_tar(path, columns="other")) == [b"1"]


def test_damaged_tar_files(tmp_path):
    good = tar(tmp_path / "a.tar", [("a.bin", bytes(5000)), ("b.bin", bytes(5000))])
    cut = tmp_path / "cut.tar"
    for end in (3000, 8000):
        cut.write_bytes(good.read_bytes()[:end])
        with pytest.raises(ValueError, match="cut.tar' is damaged or not a tar file"):
            list(Dataset.from_tar(cut).prefetch())
    packed = tar(tmp_path / "a.tar.gz", [("a.bin", os.urandom(5000))], "w:gz").read_bytes()
    cut.write_bytes(packed[:3000])
    with pytest.raises(ValueError, match="cut.tar' is damaged or not a tar file"):
        list(Dataset.from_tar(cut))
    cut.write_bytes(b"no tar file" * 100)
    with pytest.raises(ValueError, match="cut.tar' is damaged or not a tar file"):
        list(Dataset.from_tar(cut))
    twice = tar(tmp_path / "twice.tar", [("a.cls", b"1"), ("a.cls", b"2")])
    with pytest.raises(ValueError, match="sample 'a' of .*twice.tar' holds .cls twice"):
        list(Dataset.from_tar(twice))
    large = tarfile.TarInfo("a.bin")
    large.size = 2**40
    cut.write_bytes(large.tobuf() + bytes(1024))
    with pytest.raises(
        ValueError, match="'a.bin' of .*must have at most .*received 1099511627776 bytes"
    ):
        list(Dataset.from_tar(cut))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no file that ends with .tar or .tar.gz"):
        Dataset.from_tar(tmp_path / "empty")


# --- what dies on the way -------------------------------------------------------------------------


def dying():
    yield np.ones((2, 3)), np.ones(2)
    raise OSError("the disk is gone")


@pytest.mark.parametrize("kind", ["generator", "prefetch", "threads"])
def test_an_error_on_the_way_is_raised_and_nothing_hangs(kind):
    data = dying()
    if kind != "generator":
        data = Dataset.from_generator(dying)
        data = data.prefetch() if kind == "prefetch" else data.map(lambda *x: x, 2)
    batches = make_source(data).epoch(seed=0, epoch=0)
    next(batches)
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)
