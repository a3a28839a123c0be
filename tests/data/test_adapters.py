"""Arrays, tables and data sets of other libraries: the same numbers as NumPy's arrays."""

import datetime
import decimal
import io
import tarfile

import numpy as np
import pytest
from compare import close

import hornbeam as hb
from hornbeam.data import Dataset, lazy, make_source

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(10, 3)).astype("float32")
X[::3] = 0  # for the sparse ones
Y = (X.sum(axis=1) > 0).astype("float32")
NAMES = ["a", "b", "c"]


def library(name):
    module = pytest.importorskip(name, reason=f"{name} is not installed")
    if getattr(module, "__file__", None) is None:  # a folder of that name, as `tests/datasets` is
        pytest.skip(f"{name} is not installed")
    return module


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


def sparse_jax(folder):
    return {"x": library("jax.experimental.sparse").BCOO.fromdense(X), "y": Y}


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

    paths = sorted(map(str, shards(folder).iterdir()))
    return {"x": WebDataset(paths, shardshuffle=False).decode().to_tuple("x.npy", "cls").batched(4)}


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
    "sparse jax": sparse_jax,
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


# WebDataset leaves closing its files to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_numbers_of_numpy(name, model, tmp_path):
    expected = numbers(model, {"x": X, "y": Y})
    for found, wanted in zip(numbers(model, SOURCES[name](tmp_path)), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


# --- tables and columns -------------------------------------------------------------------------


def frames(name):
    """Return what makes a table of columns."""
    make = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}[name]
    return getattr(library(name), make)


D = decimal.Decimal
COLUMNS = [
    ([True, False], [1, 0]),
    ([D("1.5"), D(2)], [1.5, 2]),
    ([D("1.5"), None], [1.5, np.nan]),
    ([1.5, None], [1.5, np.nan]),
    ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    (["b", "c"], r"Column 'n' of `x` holds text \(row 0: 'b'\).*StringLookup.*FeatureSpace"),
    ([None, "c"], r"Column 'n' of `x` holds text \(row 1: 'c'\)"),
    ([datetime.date(2020, 1, 1)] * 2, "Column 'n' of `x` holds dates or times"),
    ([datetime.datetime(2020, 1, 1)] * 2, "Column 'n' of `x` holds dates or times"),
    ([[1, 2], [3]], "Column 'n' of `x` holds lists of different lengths.*Pad them"),
    ([True, None], "Column 'n' of `x` holds truth values with missing values. Fill them"),
]


@pytest.mark.parametrize("name", ["pandas", "polars", "pyarrow"])
def test_columns_are_numbers_where_that_is_clear(name):
    for values, expected in COLUMNS:
        table = frames(name)({"n": values})
        if isinstance(expected, str):
            with pytest.raises(ValueError, match=expected):
                make_source(table)
            continue
        found = make_source(table).data[0]
        np.testing.assert_array_equal(found, np.reshape(expected, (2, -1)))
    with pytest.raises(ValueError, match="Column 'a'.*text.*Column 'b'.*dates"):
        make_source(frames(name)({"a": ["u"], "b": [datetime.date(2020, 1, 1)]}))
    with pytest.raises(ValueError, match="Column 'b' of `x` holds arrays.*as a dict"):
        make_source(frames(name)({"a": [1, 2], "b": [[1, 2], [3, 4]]}))
    with pytest.raises(ValueError, match=r"same number of rows, received x\[0\]: 2, y\[0\]: 3"):
        make_source(frames(name)({"a": [1, 2]}), frames(name)({"a": [1, 2, 3]})["a"])
    with pytest.raises(ValueError, match="without columns"):
        make_source(frames(name)({}))
    with pytest.raises(ValueError, match="The data are empty: `x` has 0 rows"):
        make_source(frames(name)({"a": np.zeros(0)}))


def test_missing_integers_are_not_guessed():
    polars, arrow, pandas = library("polars"), library("pyarrow"), library("pandas")
    tables = [
        polars.DataFrame({"n": [1, None]}),
        arrow.table({"n": [1, None]}),
        pandas.DataFrame({"n": pandas.array([1, None], "Int64")}),
        library("datasets").Dataset.from_dict({"n": [1, None]}),
    ]
    for table in tables:
        with pytest.raises(ValueError, match="Column 'n' of .* holds integers with missing values"):
            list(make_source(table).epoch(seed=0, epoch=0))
    source = make_source(pandas.DataFrame({"n": pandas.array([1, None], "Float64")}))
    np.testing.assert_array_equal(source.data[0], [[1], [np.nan]])


def test_categories_stand_for_their_values():
    polars, arrow, pandas = library("polars"), library("pyarrow"), library("pandas")
    categories = [
        polars.Series("n", ["b", "a"], polars.Categorical),
        arrow.table({"n": arrow.array(["b", "a"]).dictionary_encode()}),
        pandas.Series(["b", "a"], name="n", dtype="category"),
    ]
    for data in categories:
        with pytest.raises(ValueError, match="holds text"):
            make_source(data)
    source = make_source(pandas.Series([7, 5], dtype="category"))
    assert source.data[0].tolist() == [7, 5]


def test_text_goes_to_the_layers_that_take_it(tmp_path):
    words = ["b", "a", "b"]
    with library("h5py").File(tmp_path / "a.h5", "w") as file:
        file["s"] = words
        sources = [
            library("polars").Series(words),
            library("pyarrow").array(words),
            library("pandas").Series(words),
            library("datasets").Dataset.from_dict({"s": words})["s"],
            file["s"],
        ]
        for source in sources:
            layer = hb.layers.StringLookup()
            layer.adapt(source)
            assert layer(source).tolist() == [1, 2, 1]
        with pytest.raises(ValueError, match="`y` holds text|Column '/s' of `y` holds text"):
            make_source(X[:3], file["s"])


def test_tables_in_structures_and_batches():
    polars = library("polars")
    frame = polars.DataFrame(columns())
    for x in ({"p": frame, "q": frame["a"]}, [frame, frame["a"]]):
        first, second = hb.tree.flatten(make_source(x).data[0])
        np.testing.assert_array_equal(first, X)
        np.testing.assert_array_equal(second, X[:, 0])
    batch = next(make_source(iter([(frame, polars.Series(Y))])).epoch(seed=0, epoch=0))
    np.testing.assert_array_equal(batch[0], X)
    np.testing.assert_array_equal(hb.ops.convert_to_tensor(frame), X)


def test_rows_of_a_table_by_name():
    frame = library("polars").DataFrame({**columns(), "y": Y})
    for table in (frame, dict(frame.to_dict()), frame.to_arrow()):
        row, target = next(iter(Dataset.from_table(table, ["c", "a"], target="y").batch(10)))
        np.testing.assert_array_equal(row["c"], X[:, 2])
        assert (list(row), target.tolist()) == (["c", "a"], Y.tolist())
    _, targets = next(iter(Dataset.from_table(frame, target=["y", "a"])))
    assert list(targets) == ["y", "a"]
    with pytest.raises(ValueError, match="Unknown column of the table: 'z'.*Known: 'a', 'b', 'c'"):
        Dataset.from_table(frame, target="z")
    with pytest.raises(TypeError, match="must be a table.*from_tensor_slices"):
        Dataset.from_table(X)


def test_a_data_set_of_hugging_face_has_inputs_by_name():
    data = library("datasets").Dataset.from_dict({"p": X, "q": X[:, 0], "s": ["-"] * 10})
    numbers_only = data.select_columns(["p", "q"])
    for source in (make_source(numbers_only), make_source(numbers_only.to_iterable_dataset())):
        x, _, _ = next(source.epoch(seed=0, epoch=0))
        np.testing.assert_allclose(x["p"], X)
        np.testing.assert_allclose(x["q"], X[:, 0])
    changed = numbers_only.with_transform(
        lambda rows: {"p": np.array(rows["p"]) + 1, "q": rows["q"]}
    )
    np.testing.assert_allclose(make_source(changed).data[0]["p"][2:4], X[2:4] + 1, rtol=1e-6)
    with pytest.raises(ValueError, match="Column 's' of `x` holds text"):
        make_source(data)
    with pytest.raises(
        ValueError, match="table with the columns 'p', 'q'.*Pass one of the columns"
    ):
        hb.layers.Normalization().adapt(numbers_only)


# --- files that are read batch by batch ---------------------------------------------------------


def counted(reads, starts, length):
    """Return a lazy array that notes which blocks are read."""

    def read(block):
        reads.append(block)
        end = [*starts, length][block + 1]
        return np.arange(starts[block], end, dtype="float32")[:, None]

    blocks = lazy.Blocks(starts, read, "numbers")
    return lazy.LazyArray(blocks, length, blocks.starts)


def test_a_pass_reads_each_block_once_in_another_order(monkeypatch):
    monkeypatch.setattr(lazy, "_WINDOW_BYTES", 4 * 20)  # two blocks
    monkeypatch.setattr(lazy, "_CACHE_BYTES", 4 * 40)
    starts, reads = list(range(0, 100, 10)), []
    x = counted(reads, starts, 95)
    source = make_source(x, np.arange(95), batch_size=8, shuffle=True)
    assert source.data[0].shape == (95, 1)
    orders = []
    for epoch in range(2):
        reads.clear()
        batches = list(source.epoch(seed=1, epoch=epoch))
        assert all((x[:, 0] == y).all() for x, y, _ in batches)
        orders.append([int(value) for _, y, _ in batches for value in y])
        assert sorted(reads) == list(range(10))
        assert sorted(orders[-1]) == list(range(95))
        assert orders[-1] != sorted(orders[-1])
    assert orders[0] != orders[1]
    again = [int(value) for _, y, _ in source.epoch(seed=1, epoch=1) for value in y]
    assert again == orders[1]
    data = Dataset.from_tensor_slices((x, np.arange(95))).shuffle(95, seed=2).batch(8)
    assert all((x[:, 0] == y).all() for x, y in data)
    train, test = make_source(x).split(0.2)
    assert (train.num_rows, test.data[0][np.array([3, 0])].tolist()) == (76, [[79.0], [76.0]])


def test_files_are_never_whole_in_memory(monkeypatch, tmp_path, model):
    """Only blocks are read, by all methods; a memory-mapped array is never copied."""
    monkeypatch.setattr(lazy, "_BLOCK_BYTES", 256)
    with library("h5py").File(tmp_path / "a.h5", "w") as file:
        x = file.create_dataset("x", data=np.ones((640, 3), "float32"), chunks=(16, 3))
        source = make_source(x, np.ones(640))
        assert len(source.data[0].starts) == 40
        monkeypatch.setattr(lazy.LazyArray, "__array__", None)
        model[0].fit(x, np.ones(640), verbose=0)
        model[0].evaluate(x, np.ones(640), verbose=0)
        model[0].predict(x, verbose=0)
        hb.layers.Normalization().adapt(x)
    with pytest.raises(ValueError, match="h5py dataset is closed. Keep the file open"):
        make_source(x)
    np.save(tmp_path / "x.npy", np.ones((64, 3)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for view in (mapped, np.asarray(mapped), mapped[2:]):
        assert np.shares_memory(make_source(view).data[0], mapped)
        data = Dataset.from_tensor_slices(view).batch(4)
        assert np.shares_memory(make_source(data).data[0], mapped)


def test_an_error_of_a_file_says_where(tmp_path):
    def read(block):
        if block:
            raise OSError("no")
        return np.zeros((2, 1))

    with pytest.raises(OSError, match="no") as caught:
        lazy.Blocks([0, 2], read, "dataset 'x'")(np.arange(3))
    assert caught.value.__notes__ == ["This was raised while reading dataset 'x', from row 2 on."]
    uneven = lazy.Blocks([0, 2], lambda block: np.zeros((2, 1 + block)), "column 'a'")
    with pytest.raises(ValueError, match=r"column 'a': .*the rows from 2 on have shape \(2,\)"):
        uneven(np.arange(3))


def test_single_batches_and_other_functions(model, tmp_path):
    model, weights = model
    sparse_rows = library("scipy.sparse").csr_array(X)
    with library("h5py").File(tmp_path / "a.h5", "w") as file:
        file["x"] = X
        for x in (X.tolist(), sparse_rows, file["x"]):
            model.set_weights(weights)
            np.testing.assert_allclose(model.test_on_batch(x, Y), model.test_on_batch(X, Y))
            np.testing.assert_allclose(model.predict_on_batch(x), model.predict_on_batch(X))
            expected = model.train_on_batch(X, Y)
            model.set_weights(weights)
            np.testing.assert_allclose(model.train_on_batch(x, Y), expected)
            # A call multiplies sparse rows as they are, so its sums have another order.
            same = close if x is sparse_rows else np.testing.assert_allclose
            same(np.asarray(model(x)), np.asarray(model(X)))
            first, second = hb.utils.split_dataset(x, 0.4)
            np.testing.assert_allclose([*first, *second], X)
    arrow = library("pyarrow")
    assert hb.utils.pad_sequences(arrow.array([[1], [2, 3]])).tolist() == [[0, 1], [2, 3]]
    assert hb.utils.to_categorical(arrow.array([1, 0])).tolist() == [[0, 1], [1, 0]]


def test_grain_without_an_end_has_no_number_of_batches():
    data = library("grain").MapDataset.source(X).batch(4)
    assert make_source(data).num_batches == 3
    assert make_source(data.repeat()).num_batches is None


def test_tensors_of_torch_leave_their_graph_and_device():
    """A class with the methods of torch's tensors that are used stands for them."""

    class Tensor:
        dtype = "torch.bfloat16"

        def __init__(self, steps=()):
            self.steps = steps

        def __getattr__(self, name):
            if name not in ("detach", "cpu", "float"):
                raise AttributeError(name)
            return lambda: Tensor((*self.steps, name))

        def numpy(self):
            assert self.steps == ("detach", "cpu", "float")
            return X

    Tensor.__module__ = "torch"
    np.testing.assert_array_equal(make_source(Tensor()).data[0], X)
    (batch,) = make_source(iter([(Tensor(), Tensor())])).epoch(seed=0, epoch=0)
    np.testing.assert_array_equal(batch[0], X)
    # Its loader yields lists, of dictionaries and lists too.
    for made in ({"a": Tensor(), "b": Tensor()}, [Tensor(), Tensor()]):
        (batch,) = make_source(iter([[made, Tensor()]])).epoch(seed=0, epoch=0)
        for part in (*hb.tree.flatten(batch[0]), batch[1]):
            np.testing.assert_array_equal(part, X)
        assert type(batch[0]) is type(made)
        assert batch[2] is None
