"""The HDF5 reader agrees with h5py on every supported feature and names unsupported ones."""

import h5py
import ml_dtypes
import numpy as np
import pytest
from compare import mostly_slow

from hornbeam.saving import FileError
from hornbeam.saving.hdf5 import Dataset, Group, open_hdf5

FORMS = {
    "default": {},
    "earliest": {"libver": "earliest"},
    "1.8": {"libver": ("v108", "v108")},
    "latest": {"libver": "latest"},
    "in_order": {"track_order": True},
    "latest_in_order": {"libver": "latest", "track_order": True},
    "user_block": {"userblock_size": 1024},
}
TYPES = ["i1", "u1", "i2", ">i4", "i8", "u8", "f2", "f4", ">f8", "f8", "c8", "c16", "?", "V3", "S5"]


def fill(file):
    rng = np.random.default_rng(0)
    for kind in TYPES:
        values = (
            rng.integers(0, 2, (3, 4)) if kind == "?" else (rng.random((3, 4)) * 100).astype("i8")
        )
        file[f"types/{kind[-2:]}{len(kind)}"] = (
            np.zeros(4, kind) if kind[0] in "VS" else values.astype(kind)
        )
    for name in ("bfloat16", "float8_e4m3fn"):
        file[f"types/{name}"] = rng.random((3, 4)).astype(getattr(ml_dtypes, name))
    file["scalar"], file["empty"] = np.float32(3), np.zeros((0, 3), "f4")
    file["texts"] = np.array(["a", "", "b\xe9" * 400], h5py.string_dtype())
    file.create_dataset("filled", (5, 5), "f4", fillvalue=7.5)
    file.create_dataset("compact", data=np.arange(5), track_times=False)
    for name, filters in FILTERS.items():
        pieces(file.create_group(name), rng, filters)
    file["kind"] = np.dtype("f4")
    file.create_dataset("shared", data=np.ones(3), dtype=file["kind"])
    file["shared"].attrs.create("shared", 2.0, dtype=file["kind"])
    many = file.create_group("many")
    for i in range(400):
        many.create_group(f"group number {i}")
    file["deep/er/and/deeper"] = 1.0
    attributes = file.create_group("attributes").attrs
    for i in range(40):
        attributes[f"a{i}"] = i
    attributes["text"], attributes["bytes"], attributes["fixed"] = (
        "text \xe9",
        b"bytes",
        np.bytes_(b"fixed"),
    )
    attributes["texts"], attributes["names"] = ["a", "b"], np.array([b"x", b"yyy"])
    attributes["numbers"], attributes["flag"] = [1.5, 2.5], True
    if file.id.get_access_plist().get_libver_bounds()[0] > 0:
        attributes["long"] = np.arange(7000)


FILTERS = {
    "plain": {},
    "gzip": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf"},
}


def pieces(group, rng, filters):
    """Add chunked arrays that can grow along no axis, one axis and several axes.

    Each has a different kind of chunk index.
    """
    for name, shape, chunks, limits in (
        ("one", (7, 5), (7, 5), (7, 5)),
        ("fixed", (100, 37), (7, 9), None),
        ("room", (10, 12), (3, 5), (40, 50)),
        ("long", (9000,), (4,), None),
        ("rows", (50, 7), (4, 3), (None, 7)),
        ("columns", (7, 50), (3, 4), (9, None)),
        ("growing", (9000,), (2,), (None,)),
        ("both", (30, 40), (3, 4), (None, None)),
        ("deep", (60, 70), (1, 2), (None, None)),
    ):
        array = group.create_dataset(
            name, data=rng.random(shape), chunks=chunks, maxshape=limits, **filters
        )
        if name in ("rows", "both"):
            array.resize((11, *array.shape[1:]))
    noise = rng.integers(0, 256, 3000).astype("u1")
    # Incompressible data is stored unchanged.
    group.create_dataset("noise", data=noise, chunks=(1000,), **filters)
    group.create_dataset("runs", data=np.repeat(noise[:20], 500), chunks=(9000,), **filters)
    for name, limits in (("partly", None), ("partly_growing", (None,))):
        partly = group.create_dataset(
            name, (9000,), "f4", chunks=(2,), maxshape=limits, fillvalue=2, **filters
        )
        partly[[3, 5000, 8999]] = 1
    if not filters:
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_chunk((3, 4))
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple((10, 11), (20, 30))
        h5py.Dataset(h5py.h5d.create(group.id, b"early", h5py.h5t.IEEE_F32LE, space, early))[
            ...
        ] = rng.random((10, 11))


@pytest.mark.parametrize("form", mostly_slow(FORMS, ["latest"]))
def test_agrees_with_h5py(tmp_path, form):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", **FORMS[form]) as file:
        fill(file)
    with h5py.File(path) as file, open_hdf5(path) as mine:
        assert isinstance(mine, Group)
        expected, found = {"": file}, {"": mine}
        file.visititems(lambda name, item: expected.update({name: item}))
        mine.visititems(lambda name, item: found.update({name: item}))
        assert found.keys() == expected.keys()
        for name, item in expected.items():
            assert found[name].name == item.name
            assert found[name].attrs.keys() == item.attrs.keys()
            for key in item.attrs:
                same(found[name].attrs[key], item.attrs[key])
            if isinstance(item, h5py.Datatype):
                assert found[name].dtype == item.dtype
            elif isinstance(item, h5py.Dataset):
                assert isinstance(found[name], Dataset)
                assert found[name].shape == item.shape
                assert found[name].dtype == item.dtype
                same(found[name][()], item[()])
            else:
                assert "nothing/there" not in found[name]
                assert found[name].get("nothing") is None


def same(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        assert found.tolist() == expected.tolist()
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda f: f.create_dataset("x", data=np.arange(100), chunks=(10,), scaleoffset=0),
            "scale-offset",
        ),
        (lambda f: f.create_dataset("x", data=np.zeros(2, [("a", "f4"), ("b", "i4")])), "records"),
        (lambda f: f.create_dataset("x", (2,), h5py.ref_dtype), "references"),
        (
            lambda f: f.create_dataset("x", (300_000, 200_000), "f4", chunks=(100, 100)),
            "holds|claims",
        ),
        (lambda f: f.create_dataset("x", (300_000, 200_000), "f4"), "claims"),
    ],
)
def test_refuses_by_name(tmp_path, make, match):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        make(file)
    with pytest.raises(FileError, match=match), open_hdf5(tmp_path / "x.h5") as file:
        file["x"][()]


def test_no_type_at_the_end_of_a_name(tmp_path):
    """A type that refers to a missing shared type, and a type that is an array."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["kind"] = np.dtype("f4")
        file.create_dataset("x", (3,), file["kind"])
        place = h5py.h5o.get_info(file["kind"].id).addr.to_bytes(8, "little")
        other = h5py.h5o.get_info(file.id).addr.to_bytes(8, "little")
    raw = (tmp_path / "x.h5").read_bytes()
    at = raw.rindex(b"\x02" + place) + 1
    (tmp_path / "x.h5").write_bytes(raw[:at] + other + raw[at + 8 :])
    with (
        pytest.raises(FileError, match="shared type is missing"),
        open_hdf5(tmp_path / "x.h5") as file,
    ):
        file["x"][()]


@pytest.mark.parametrize(
    "content", [b"", b"x" * 4000, b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(200)]
)
def test_no_hdf5_at_all(tmp_path, content):
    (tmp_path / "x.h5").write_bytes(content)
    with pytest.raises(FileError), open_hdf5(tmp_path / "x.h5"):
        pass


def test_every_cut_is_an_error_or_reads(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["a/b"], file["c"] = np.arange(100.0), np.ones((3, 3))
        file.attrs["text"] = "x" * 1000
    whole = path.read_bytes()
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(FileError):
            read_all(path)


@pytest.mark.parametrize(
    ("form", "count"),
    [
        ("default", 200),
        ("latest", 200),
        ("in_pieces", 12),
        pytest.param("default", 600, marks=pytest.mark.slow),
        pytest.param("latest", 600, marks=pytest.mark.slow),
        pytest.param("in_pieces", 40, marks=pytest.mark.slow),
    ],
)
def test_flipped_bits(tmp_path, form, count):
    """Flipped bits only ever cause `FileError`; HDF5's library crashes on some of these files."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", **FORMS.get(form, FORMS["latest"])) as file:
        if form == "in_pieces":
            for name in ("plain", "lzf"):
                pieces(file.create_group(name), np.random.default_rng(0), FILTERS[name])
        file["a/b"], file["c"] = np.arange(100.0), np.ones((3, 3))
        file["a"].attrs["names"] = np.array([b"x", b"y"])
        file.attrs["text"] = "x" * 100
        for i in range(12):
            file.create_group(f"many/{i}").attrs["i"] = i
    whole, rng, outcomes = path.read_bytes(), np.random.default_rng(0), set()
    for _ in range(count):  # `fuzz_files.py` does this tens of thousands of times
        data = bytearray(whole)
        place = rng.choice(np.flatnonzero(np.frombuffer(whole, "u1")))
        data[place] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        try:
            read_all(path)
            outcomes.add("read")
        except FileError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def read_all(path):
    with open_hdf5(path) as file:

        def visit(name, item):
            dict(item.attrs)
            if isinstance(item, Dataset):
                item[()]

        visit("", file)
        file.visititems(visit)
