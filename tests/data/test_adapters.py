"""Arrays, tables and data sets of other libraries: the same numbers as NumPy's arrays."""

import datetime
import decimal
import io
import tarfile

import numpy as np
import pytest

import hornbeam as hb
from hornbeam.data import Dataset, lazy, make_source

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(10, 3)).astype("float32")
X[::3] = 0  # for the sparse ones
Y = (X.sum(axis=1) > 0).astype("float32")
NAMES = ["a", "b", "c"]


def library(name):
    return pytest.importorskip(name, reason=f"{name} is not installed")


def columns(x=X):
    return {name: x[:, i] for i, name in enumerate(NAMES)}


def pandas_frame(folder):
    pandas = library("pandas")
    return {"x": pandas.DataFrame(columns()), "y": pandas.Series(Y == 1, dtype="boolean")}


def polars_frame(folder):
    polars = library("polars")
    return {"x": polars.DataFrame(columns()), "y": polars.Series(Y == 1)}


def polars_lazy_frame(folder):
    return {"x": library("polars").LazyFrame(columns()), "y": Y}


def polars_arrays(folder):
    polars = library("polars")
    return {"x": polars.Series(X, dtype=polars.Array(polars.Float32, 3)), "y": polars.Series(Y)}


def arrow_table(folder):
    arrow = library("pyarrow")
    return {"x": arrow.table(columns()), "y": arrow.array(Y == 1)}


def arrow_lists(folder):
    arrow = library("pyarrow")
    return {"x": arrow.chunked_array([X[:4].tolist(), X[4:].tolist()]), "y": arrow.array(Y)}


def arrow_decimals(folder):
    arrow = library("pyarrow")
    y = [decimal.Decimal(int(value)) for value in Y]
    return {"x": arrow.table(columns()).to_batches()[0], "y": arrow.array(y)}


def sparse(kind):
    def make(folder):
        return {"x": getattr(library("scipy.sparse"), kind)(X), "y": Y}

    return make


def memory_mapped(folder):
    np.save(folder / "x.npy", X.astype("float64"))
    return {"x": np.load(folder / "x.npy", mmap_mode="r"), "y": Y}


def h5py_file(chunks):
    def make(folder):
        with library("h5py").File(folder / "a.h5", "w") as file:
            file.create_dataset("x", data=X.astype("float64"), chunks=chunks)
            file["y"] = Y == 1
        file = library("h5py").File(folder / "a.h5")
        return {"x": file["x"], "y": file["y"]}

    return make


def zarr_arrays(shards):
    def make(folder):
        zarr = library("zarr")
        x = zarr.create_array(folder / "x.zarr", data=X, chunks=(2, 2), shards=shards)
        return {"x": x, "y": zarr.create_array(folder / "y.zarr", data=Y, chunks=(3,))}

    return make


def hugging_face(folder):
    data = library("datasets").Dataset.from_dict({"x": X, "y": Y})
    return {"x": data["x"], "y": data["y"]}


def hugging_face_dataset(folder):
    data = library("datasets").Dataset.from_dict({"x": X, "y": Y})
    return {"x": Dataset.from_table(data, columns="x", target="y").batch(4)}


def hugging_face_stream(folder):
    data = library("datasets").Dataset.from_dict({"x": X, "y": Y}).to_iterable_dataset()
    return {"x": Dataset.from_table(data, columns="x", target="y").batch(4)}


def grain_map(folder):
    grain = library("grain")
    return {"x": grain.MapDataset.source(list(zip(X, Y, strict=True))).batch(4)}


def grain_iter(folder):
    return {"x": grain_map(folder)["x"].to_iter_dataset()}


def grain_loader(folder):
    grain = library("grain")
    sampler = grain.samplers.IndexSampler(len(X), shuffle=False, num_epochs=1)
    batch = grain.transforms.Batch(4)
    rows = list(zip(X, Y, strict=True))
    return {"x": grain.DataLoader(data_source=rows, sampler=sampler, operations=[batch])}


def parquet(folder):
    arrow, files = library("pyarrow"), []
    write = library("pyarrow.parquet").write_table
    for number, rows in enumerate((slice(0, 7), slice(7, 10))):
        files.append(folder / f"{number}.parquet")
        table = arrow.table({"x": X[rows].tolist(), "other": ["-"] * len(X[rows]), "y": Y[rows]})
        write(table, files[-1], row_group_size=3)
    return {"x": Dataset.from_parquet(files, columns="x", target="y", batch_size=4)}


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def shards(folder):
    for number, rows in enumerate((range(7), range(7, 10))):
        ending = "tar.gz" if number else "tar"
        with tarfile.open(folder / f"{number}.{ending}", "w:gz" if number else "w") as archive:
            for row in rows:
                add(archive, f"train/{row:03}.x.npy", npy(X[row]))
                add(archive, f"train/{row:03}.cls", b"%d" % Y[row])
    return folder


def tar_shards(folder):
    return {"x": Dataset.from_tar(shards(folder), columns="x.npy", target="cls").batch(4)}


def webdataset(folder):
    library("webdataset")
    from webdataset import WebDataset

    samples = WebDataset(str(shards(folder) / "0.tar"), shardshuffle=False).decode()
    rest = WebDataset(str(folder / "1.tar.gz"), shardshuffle=False).decode()
    rows = [*samples.to_tuple("x.npy", "cls"), *rest.to_tuple("x.npy", "cls")]
    return {"x": Dataset.from_elements(rows).batch(4)}


SOURCES = {
    "pandas": pandas_frame,
    "polars": polars_frame,
    "polars, lazy": polars_lazy_frame,
    "polars, arrays": polars_arrays,
    "arrow": arrow_table,
    "arrow, lists": arrow_lists,
    "arrow, decimals": arrow_decimals,
    "sparse csr": sparse("csr_matrix"),
    "sparse coo": sparse("coo_array"),
    "memory-mapped": memory_mapped,
    "h5py": h5py_file((3, 2)),
    "h5py, contiguous": h5py_file(None),
    "zarr": zarr_arrays(None),
    "zarr, shards": zarr_arrays((4, 4)),
    "Hugging Face, columns": hugging_face,
    "Hugging Face": hugging_face_dataset,
    "Hugging Face, stream": hugging_face_stream,
    "grain, by number": grain_map,
    "grain, stream": grain_iter,
    "grain, loader": grain_loader,
    "parquet": parquet,
    "tar": tar_shards,
    "webdataset": webdataset,
}


@pytest.fixture(scope="module")
def model():
    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1, activation="sigmoid")])
    model.compile(hb.optimizers.SGD(0.5), loss="binary_crossentropy")
    return model, model.get_weights()


def numbers(model, source):
    """Return what fit, evaluate, predict and adapt make of a source."""
    model, weights = model
    model.set_weights(weights)
    options = {"verbose": 0} if "y" not in source else {"verbose": 0, "batch_size": 4}
    losses = model.fit(**source, epochs=2, shuffle=False, **options).history["loss"]
    layer = hb.layers.Normalization()
    layer.adapt(source["x"])
    return [
        losses,
        model.evaluate(**source, **options),
        model.predict(source["x"], **options),
        np.asarray(layer.mean), np.asarray(layer.variance),
    ]  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_numbers_of_numpy(name, model, tmp_path):
    expected = numbers(model, {"x": X, "y": Y})
    for found, wanted in zip(numbers(model, SOURCES[name](tmp_path)), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
