"""Model files: round trips in Hornbeam and to and from Keras, file layouts, and errors."""

import errno
import json
import pickle
import zipfile
from contextlib import nullcontext

import h5py
import keras
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb
from hornbeam.errors import FileError
from hornbeam.saving.layout import walk

# Keras itself warns when NumPy reads its variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BOTH = (hb, keras)


def stack(lib):
    layers = lib.layers
    return lib.Sequential(
        [
            lib.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )


def graph(lib):
    layers = lib.layers
    a, b = lib.Input((3,), name="a"), lib.Input((3,), name="b")
    shared = layers.Dense(4, name="shared")
    x = lib.ops.concatenate([shared(a) + shared(b) * 2.0, shared(a)], axis=-1)
    inner = lib.Sequential(
        [lib.Input((8,)), layers.Dense(5), layers.BatchNormalization(), layers.Dense(8)]
    )
    x = layers.Reshape((4, 2))(inner(x))
    outputs = [layers.Dense(2, name="p")(x), layers.LSTM(3, name="q")(x)]
    return lib.Model({"a": a, "b": b}, outputs)


def data(kind):
    rng = np.random.default_rng(0)
    if kind is stack:
        return rng.random((16, 8, 8, 1), "float32"), rng.integers(0, 3, 16)
    x = {name: rng.random((6, 3), "float32") for name in "ab"}
    return x, [np.zeros((6, 4, 2)), np.zeros((6, 3))]


def trained(lib, kind):
    model = kind(lib)
    loss = "sparse_categorical_crossentropy" if kind is stack else "mean_squared_error"
    model.compile("adam", loss)
    model.fit(*data(kind), epochs=1, verbose=0)
    return model


@pytest.fixture(scope="module")
def models():
    return {(lib, kind): trained(lib, kind) for lib in BOTH for kind in (stack, graph)}


def same(a, b, kind):
    x = data(kind)[0]
    first, second = (m.predict(x, verbose=0) for m in (a, b))
    for p, q in zip(*(y if isinstance(y, list) else [y] for y in (first, second)), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-5, atol=1e-6)


def load(lib, path, **kwargs):
    return (hb.saving.load_model if lib is hb else keras.models.load_model)(path, **kwargs)


@pytest.mark.parametrize("kind", mostly_slow([stack, graph], [graph]))
@pytest.mark.parametrize("extension", [".keras", ".h5"])
@pytest.mark.parametrize(("writer", "reader"), [(hb, hb), (hb, keras), (keras, hb)])
def test_whole_model(models, tmp_path, writer, reader, kind, extension):
    model = models[writer, kind]
    path = str(tmp_path / f"model{extension}")
    model.save(path)
    again = load(reader, path)
    same(model, again, kind)
    if reader is keras and extension == ".h5":
        return  # Keras also ignores the optimizer's slots in its `.h5` files
    own, read = model.optimizer.variables, again.optimizer.variables
    for a, b in zip(own, read, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("kind", mostly_slow([stack, graph], [graph]))
@pytest.mark.parametrize("name", ["w.weights.h5", "w.keras"])
@pytest.mark.parametrize(("writer", "reader"), [(hb, hb), (hb, keras), (keras, hb)])
def test_weights_alone(models, tmp_path, writer, reader, kind, name):
    model, path = models[writer, kind], str(tmp_path / name)
    model.save(path) if name.endswith(".keras") else model.save_weights(path)
    if reader is keras and name.endswith(".keras"):
        pytest.skip("read by the test of whole models")
    again = kind(reader)
    again.load_weights(path)
    same(model, again, kind)


@pytest.mark.parametrize("reader", BOTH)
def test_layered_weights(models, tmp_path, reader):
    path = str(tmp_path / "w.h5")
    models[hb, stack].save_weights(path)
    again = stack(reader)
    again.load_weights(path)
    same(models[hb, stack], again, stack)


def listing(path):
    with h5py.File(path) as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: getattr(item, "shape", None)}))
    return found


def parts_model(lib):
    layers = lib.layers

    class Net(lib.Model):
        def __init__(self):
            super().__init__()
            first = layers.Dense(2)
            self.zed, self.alpha = first, first
            self.many = [first, layers.Dense(2), [layers.Dense(2)]]
            self.named = {"x": layers.Dense(2)}
            self._hidden = layers.Dense(2)
            self.stack = lib.Sequential([layers.Dense(2), layers.Dropout(0.1)])
            self.scale = self.add_weight(shape=(2,), name="scale")

        def call(self, x):
            parts = [self.zed, self.many[1], *self.many[2], self.named["x"], self._hidden]
            for layer in [*parts, self.stack]:
                x = layer(x)
            return x * self.scale

    model = Net()
    model(np.ones((1, 2), "float32"))
    return model


def test_layout_of_subclassed_models(tmp_path):
    paths = []
    for lib in BOTH:
        paths.append(str(tmp_path / f"{lib.__name__}.weights.h5"))
        parts_model(lib).save_weights(paths[-1])
    assert listing(paths[0]) == listing(paths[1])
    model = parts_model(hb)
    model.load_weights(paths[1])
    assert [path for path, _ in walk(model)][:2] == ["", "alpha"]


def test_archive_members(models, tmp_path):
    models[hb, stack].save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert json.loads(archive.read("config.json"))["class_name"] == "Sequential"
    assert [p.name for p in tmp_path.iterdir()] == ["m.keras"]


def test_content_decides_the_format(models, tmp_path):
    models[hb, stack].save(tmp_path / "m.h5")
    (tmp_path / "m.h5").rename(tmp_path / "m.keras")
    same(models[hb, stack], hb.saving.load_model(tmp_path / "m.keras"), stack)


def test_folder(models, tmp_path):
    models[hb, stack].save(tmp_path / "m.keras", zipped=False)
    assert (tmp_path / "m.keras").is_dir()
    same(models[hb, stack], hb.saving.load_model(tmp_path / "m.keras"), stack)


def small(units=2, name="head"):
    return hb.Sequential([hb.Input((3,)), hb.layers.Dense(units, name=name)])


def test_differences_are_listed_and_nothing_changes(tmp_path):
    for name in ("w.weights.h5", "w.h5"):
        path = tmp_path / name
        small(4).save_weights(path)
        model = small(2)
        before = model.get_weights()
        with pytest.raises(ValueError, match=r"head.*kernel.*\(3, 2\).*\(3, 4\)"):
            model.load_weights(path)
        with pytest.warns(UserWarning, match="skipped"):
            model.load_weights(path, skip_mismatch=True)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_warning_lists_what_was_loaded(tmp_path):
    def network(units):
        names = [hb.layers.Dense(3, name="same"), hb.layers.Dense(units, name="head")]
        return hb.Sequential([hb.Input((3,)), *names])

    for name, loaded in (
        ("w.weights.h5", "'same'"),
        ("w.h5", "'same'"),
        ("w.safetensors", "'layers.dense.kernel', 'layers.dense.bias'"),
    ):
        source, model = network(4), network(2)
        source.save_weights(tmp_path / name)
        for by_name in (True, False):
            with pytest.warns(UserWarning, match=f"Loaded: {loaded}. The rest is unchanged"):
                model.load_weights(tmp_path / name, skip_mismatch=True, by_name=by_name)
        np.testing.assert_array_equal(model.get_weights()[0], source.get_weights()[0])


def test_by_name(tmp_path):
    source = small(name="x")
    for name in ("w.weights.h5", "w.h5"):
        source.save_weights(tmp_path / name)
        for layer, loaded in (("x", True), ("y", False)):
            model = small(name=layer)
            with (
                nullcontext() if loaded else pytest.warns(match="layers called 'x', the model 'y'")
            ):
                model.load_weights(tmp_path / name, by_name=True)
            equal = np.array_equal(model.get_weights()[0], source.get_weights()[0])
            assert equal == loaded


def test_a_report_by_name(tmp_path):
    source = hb.Sequential([hb.Input((2,)), dense(2, "a"), dense(2, "b"), dense(3, "c")])
    for name in ("w.weights.h5", "w.h5"):
        source.save_weights(tmp_path / name)
        model = hb.Sequential([hb.Input((2,)), dense(2, "new"), dense(2, "b"), dense(4, "c")])
        with pytest.warns(match=r"called 'new'.*\n.*called 'a'.*\n(.*c'.*\n)+Loaded: 'b'"):
            hb.saving.load_weights(model, tmp_path / name, by_name=True, skip_mismatch=True)
        np.testing.assert_array_equal(model.layers[1].kernel.value, source.layers[1].kernel.value)


def dense(units, name):
    return hb.layers.Dense(units, name=name)


def test_models_whose_layers_are_built_one_by_one(tmp_path):
    class Net(hb.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = dense(4, "a"), dense(3, "b")

        def call(self, x):
            return self.b(self.a(x))

    source, path = Net(), tmp_path / "n.weights.h5"
    source(np.ones((1, 2)))
    source.save_weights(path)
    model = Net()
    model.a.build((None, 2))
    with pytest.raises(ValueError, match="its layers 'b' have no weights yet"):
        model.load_weights(path)
    model.b.build((None, 4))
    model.load_weights(path)
    np.testing.assert_array_equal(model(np.ones((1, 2))), source(np.ones((1, 2))))


def test_half_width_weights(tmp_path):
    def make(lib):
        return lib.Sequential([lib.Input((3,)), lib.layers.Dense(2, dtype="bfloat16")])

    for name in ("w.weights.h5", "w.h5"):
        if name == "w.weights.h5":
            make(keras).save_weights(tmp_path / f"k{name}")
            make(hb).load_weights(tmp_path / f"k{name}")
        model, again = make(hb), make(hb)
        model.save_weights(tmp_path / name)
        again.load_weights(tmp_path / name)
        np.testing.assert_array_equal(model.get_weights()[0], again.get_weights()[0])


def test_custom_layers(tmp_path):
    class Twice(hb.layers.Layer):
        def call(self, x):
            return 2 * x

    model = hb.Sequential([hb.Input((3,)), Twice()])
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        with pytest.raises(ValueError, match=r"custom_objects=.*register_keras_serializable"):
            hb.saving.load_model(tmp_path / name)
        again = hb.saving.load_model(tmp_path / name, custom_objects={"Twice": Twice})
        np.testing.assert_array_equal(again.predict(np.ones((1, 3)), verbose=0), [[2, 2, 2]])


class _Trap:
    def __reduce__(self):
        return (print, ("ran",))


def test_code_in_files_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"code"):
        hb.saving.load_model(tmp_path / "m.keras")
    (tmp_path / "p.keras").write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(ValueError, match="neither"):
        hb.saving.load_model(tmp_path / "p.keras")


def _linked(path, make_link):
    small().save_weights(path)
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars/0"]
        make_link(file["layers/dense/vars"])


@pytest.mark.parametrize("kind", ["soft", "external", "storage", "claims", "text"])
def test_arrays_elsewhere_are_refused(tmp_path, kind):
    path = tmp_path / "w.weights.h5"
    (tmp_path / "other.bin").write_bytes(bytes(64))

    def change(group):
        if kind == "soft":
            group["0"] = h5py.SoftLink("/layers/dense/vars/1")
        elif kind == "external":
            group["0"] = h5py.ExternalLink("other.h5", "/x")
        elif kind == "storage":
            outside = [(str(tmp_path / "other.bin"), 0, 24)]
            group.create_dataset("0", (3, 2), "float32", external=outside)
        elif kind == "claims":
            group.create_dataset("0", (300_000, 200_000), "float32", chunks=(100, 100))
        else:
            group["0"] = np.array([["a", "b"]] * 3, dtype=h5py.string_dtype())

    _linked(path, change)
    model = small()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"link|outside|shape|numbers"):
        model.load_weights(path)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


@pytest.mark.parametrize("name", ["../evil", "extra.txt", "/etc/x"])
def test_unexpected_members_are_refused(tmp_path, name):
    small().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(ValueError, match="unexpected member"):
        hb.saving.load_model(tmp_path / "m.keras")


def test_damaged_files(tmp_path):
    for name in ("m.keras", "m.h5"):
        small().save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=name):
            hb.saving.load_model(tmp_path / name)


def test_paths(tmp_path):
    model = small()
    with pytest.raises(ValueError, match=r"\.keras"):
        model.save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"weights\.h5"):
        model.save_weights(tmp_path / "m")
    model.save(tmp_path / "m.keras")
    with pytest.raises(FileExistsError, match="overwrite"):
        model.save(tmp_path / "m.keras", overwrite=False)
    with pytest.raises(FileNotFoundError, match=r"m\.keras"):
        hb.saving.load_model(tmp_path / "n.keras")
    model.save_weights(tmp_path / "w.h5")
    with pytest.raises(ValueError, match="only weights"):
        hb.saving.load_model(tmp_path / "w.h5")
    with pytest.raises(ValueError, match="not built"):
        hb.Sequential([hb.layers.Dense(2)]).load_weights(tmp_path / "w.h5")


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5", "m.safetensors"])
def test_a_file_that_cannot_be_written_is_named(tmp_path, monkeypatch, name):
    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)])
    save = model.save if name in ("m.keras", "m.h5") else model.save_weights
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=rf"/file/{name}' cannot be written: "):
        save(tmp_path / "file" / name)

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(source))

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match=rf"/{name}' cannot be written: No space left") as caught:
        save(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_models_that_take_parts_of_tensors(tmp_path):
    x = np.random.RandomState(0).randn(2, 3, 4).astype("float32")
    for writer, reader in ((hb, keras), (keras, hb), (hb, hb)):
        inputs = writer.Input((3, 4))
        model = writer.Model(inputs, inputs[:, 0] + inputs[..., 1:, 0][:, :1])
        model.save(str(tmp_path / "parts.keras"))
        again = reader.models.load_model(str(tmp_path / "parts.keras"))
        np.testing.assert_allclose(again(x), x[:, 0] + x[:, 1:2, 0], rtol=1e-6)


def test_loading_makes_no_first_values(tmp_path, monkeypatch):
    from hornbeam.core.variable import Variable

    models = [stack(hb), graph(hb)]
    for number, model in enumerate(models):
        model.save(tmp_path / f"{number}.h5")
        model.save(tmp_path / f"{number}.keras")

    def made(self):
        raise AssertionError(f"{self.path} was initialised although the file has its value")

    monkeypatch.setattr(Variable, "_make_first_value", made)
    for number in range(len(models)):
        for kind in ("h5", "keras"):
            hb.saving.load_model(tmp_path / f"{number}.{kind}", compile=False)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_compiled_models_that_made_no_step(tmp_path, name):
    for lib in BOTH:
        model = small() if lib is hb else lib.Sequential([lib.Input((3,)), lib.layers.Dense(2)])
        model.compile("adam", "mean_squared_error")
        model.save(tmp_path / name)
        again = hb.saving.load_model(tmp_path / name)
        assert again.optimizer.name == "adam"
        np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def nested(lib):
    inputs = lib.Input((3,), name="inner_input")
    inner = lib.Model(inputs, lib.layers.Dense(3, name="inner_dense")(inputs), name="inner")
    a, b = lib.Input((3,), name="a"), lib.Input((3,), name="b")
    return [
        lib.Model(a, inner(a)),
        lib.Model([a, b], lib.layers.Subtract()([inner(a), inner(b)])),
        lib.Model(b, inner(inner(b))),
    ]


@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
@pytest.mark.parametrize(("writer", "reader"), [(hb, hb), (hb, keras), (keras, hb)])
def test_models_called_as_layers(tmp_path, writer, reader, name):
    for model in nested(writer):
        model.save(str(tmp_path / name))
        x = [np.random.default_rng(k).random((2, 3), "float32") for k in range(len(model.inputs))]
        x = x if len(x) > 1 else x[0]
        again = load(reader, str(tmp_path / name), compile=False)
        np.testing.assert_allclose(
            again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
        )


def test_safetensors(tmp_path):
    model = graph(hb)
    model.save_weights(tmp_path / "w.safetensors")
    raw = (tmp_path / "w.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    entry = header["layers.dense.kernel"]
    start, end = entry["data_offsets"]
    kernel = np.frombuffer(raw[8 + length + start : 8 + length + end], "<f4").reshape(
        entry["shape"]
    )
    np.testing.assert_array_equal(kernel, np.asarray(model.get_layer("shared").kernel))
    again = graph(hb)
    again.load_weights(tmp_path / "w.safetensors")
    same(model, again, graph)
    with pytest.raises(FileError, match=r"(?s)in the file it has.*which the model lacks"):
        small().load_weights(tmp_path / "w.safetensors")
    with pytest.raises(FileError, match="weights only"):
        hb.saving.load_model(tmp_path / "w.safetensors")


@pytest.mark.parametrize("kind", ["length", "gap", "shape", "dtype", "cut"])
def test_damaged_safetensors(tmp_path, kind):
    path = tmp_path / "w.safetensors"
    small().save_weights(path)
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header, rest = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    entry = header["layers.dense.kernel"]
    if kind == "gap":
        entry["data_offsets"] = [n + 4 for n in entry["data_offsets"]]
    elif kind == "shape":
        entry["shape"] = [2**31, 2**31]
    elif kind == "dtype":
        entry["dtype"] = "O"
    elif kind == "cut":
        rest = rest[:-4]
    text = json.dumps(header).encode()
    claimed = 2**60 if kind == "length" else len(text)
    path.write_bytes(claimed.to_bytes(8, "little") + text + rest)
    with pytest.raises(FileError):
        small().load_weights(path)


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5", "w.safetensors"])
def test_extra_weights_are_an_error(tmp_path, name):
    hb.Sequential(
        [hb.Input((3,)), hb.layers.Dense(2, name="head"), hb.layers.Dense(2, name="more")]
    ).save_weights(tmp_path / name)
    with pytest.raises(FileError, match=r"dense_1|more"):
        small(2).load_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_state_of_another_optimizer(tmp_path, name):
    model = small()
    model.compile("adam", "mse")
    model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    model.save(tmp_path / name)
    other = small()
    other.compile(hb.optimizers.SGD(momentum=0.9), "mse")
    if name == "m.h5":
        other.load_weights(tmp_path / name)  # these files store the weights separately
    else:
        with pytest.warns(UserWarning, match=r"the saved state of the optimizer.*SGD.*2 weights"):
            other.load_weights(tmp_path / name)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


def _small_with(optimizer, frozen=False):
    model = small()
    model.layers[-1].trainable = not frozen
    model.compile(optimizer, "mse")
    return model


COMPILED_OTHERWISE = {  # the model, and the number of the warnings about it
    "rate": (lambda: _small_with(hb.optimizers.Adam(1e-5)), 0),
    "class": (lambda: _small_with(hb.optimizers.AdamW(1e-5)), 0),
    "slots": (lambda: _small_with(hb.optimizers.SGD(1e-5, momentum=0.9)), 1),
    "schedule": (
        lambda: _small_with(hb.optimizers.Adam(hb.optimizers.schedules.CosineDecay(1e-5, 90000))),
        1,
    ),
    "frozen": (lambda: _small_with(hb.optimizers.Adam(1e-5), frozen=True), 1),
    "not compiled": (small, 0),
}


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
@pytest.mark.parametrize("name", COMPILED_OTHERWISE)
def test_load_weights_keeps_what_was_small_with(tmp_path, name, ending, recwarn):
    model = _small_with(hb.optimizers.Adam(0.01))
    model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    path = tmp_path / f"m{ending}"
    (model.save if ending == ".keras" else model.save_weights)(path)
    make, warned = COMPILED_OTHERWISE[name]
    other = make()
    other.load_weights(path)
    assert len(recwarn) == warned
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    if other.compiled:
        np.testing.assert_allclose(float(other.optimizer.learning_rate), 1e-5)
        assert int(other.optimizer.iterations.value) == 1 - warned
        other.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)


# --- `.h5` files for tf.keras 2 and Keras 3 -------------------------------------------------------


def _graph_of(shapes, make):
    """Return a model with inputs of these shapes."""
    inputs = [hb.Input(shape) for shape in shapes]
    return hb.Model(inputs if len(inputs) > 1 else inputs[0], make(hb.layers, *inputs))


def _inner(units=5, kind="graph"):
    x = hb.Input((5,))
    dense = [hb.layers.Dense(4, activation="tanh"), hb.layers.Dense(units)]
    return (
        hb.Model(x, dense[1](dense[0](x)), name="inner")
        if kind == "graph"
        else hb.Sequential([x, *dense], "inner")
    )


def _chain(layer):
    return lambda L, x: layer(layer(x))


def _each(layer):
    return lambda L, x, y: L.Subtract()([layer(x), layer(y)])


def _three(layer):
    return lambda L, x: [L.Add()([layer(x), layer(x)]), layer(x)]


def _compiled(**options):
    model = hb.Sequential([hb.Input((4,)), hb.layers.Dense(3)])
    model.compile(**options)
    return model


def _states(L, x, y):
    _, h, c = L.LSTM(3, return_state=True)(x)
    return L.LSTM(3)(y, initial_state=[h, c])


# Which libraries load each model: `both`, or only Keras 3 if the two need different names.
SECOND = {
    "two inputs": ("both", lambda: _graph_of([(4,), (3,)], lambda L, x,
        y: L.Dense(2)(L.Concatenate()([L.Dense(3)(x), y])))),
    "two outputs": ("both", lambda: _graph_of([(4,)], lambda L, x: [L.Dense(2)(x), L.Dense(1)(x)])),
    "named outputs": ("both", lambda: _graph_of([(4,)], lambda L,
        x: {"p": L.Dense(2)(x), "q": L.Dense(1)(x)})),
    "shared": ("both", lambda: _graph_of([(4,), (4,)], _each(hb.layers.Dense(3)))),
    "shared chain": ("both", lambda: _graph_of([(4,)],
        _chain(hb.layers.Dense(4, activation="tanh")))),
    "merges": (
        "both",
        lambda: _graph_of([(4,), (4,)], lambda L, x, y: L.Concatenate()([
            m([x, y]) for m in (L.Add(), L.Average(), L.Maximum(), L.Minimum(), L.Multiply(),
                L.Dot(1), L.Dot(1, True))
        ])),
    ),
    "nested graph": ("both", lambda: _graph_of([(5,)], lambda L, x: L.Dense(2)(_inner()(x)))),
    "nested stack": ("both", lambda: _graph_of([(5,)], lambda L,
        x: L.Dense(2)(_inner(3, "stack")(x)))),
    "nested output": ("both", lambda: _graph_of([(5,)], lambda L,
        x: _inner(3, "stack")(L.Dense(5)(x)))),
    "nested chain": ("both", lambda: _graph_of([(5,)], _chain(_inner()))),
    "nested stack chain": ("both", lambda: _graph_of([(5,)], _chain(_inner(5, "stack")))),
    "nested twice": ("both", lambda: _graph_of([(5,), (5,)], _each(_inner()))),
    "nested, one input": ("both", lambda: _graph_of([(5,)], _three(_inner()))),
    "nested twice deep": (
        "both", lambda: _graph_of([(5,)], lambda L,
            x: L.Dense(2)(_graph_of([(5,)], lambda _, y: _inner()(y))(x)))
    ),
    "two out of nested": (
        "both",
        lambda: _graph_of([(4,), (3,)], lambda L, x, y: L.Multiply()(
            _graph_of([(4,), (3,)], lambda _, p, q: [L.Dense(2)(p), L.Dense(2)(q)])([x, y])
        )),
    ),
    "graph in stack": ("both", lambda: hb.Sequential([hb.Input((5,)), _inner(),
        hb.layers.Dense(2)])),
    "graph at each step": ("both", lambda: _graph_of([(6, 5)], lambda L,
        x: L.TimeDistributed(_inner())(x))),
    "by keyword": ("both", lambda: _graph_of([(4,)], lambda L, x: L.Activation("tanh")(inputs=x))),
    "mixed": ("both", lambda: _graph_of([(4,)], lambda L,
        x: L.Dense(2, dtype="mixed_bfloat16")(x))),
    "operators": (
        "both", lambda: _graph_of([(4,), (4,)], lambda L, x,
            y: (x + L.Dense(4)(y)) * 2 - (1.0 - x) * y + -x / 4 - 3)
    ),
    "ops": (
        "both",
        lambda: _graph_of([(3, 4), (3, 4)], lambda L, x, y,
            o=hb.ops: o.softmax(o.reshape(o.transpose(
                o.concatenate([o.relu(x), o.tanh(y), o.maximum(x, o.exp(y))], axis=1), (0, 2, 1)),
                (-1, 36)))),
    ),
    "division": ("Keras 3", lambda: _graph_of([(4,)], lambda L, x: x / 3.0 + x / x)),
    "slices": ("Keras 3", lambda: _graph_of([(6, 4)], lambda L, x: L.Dense(2)(x[:, 0]))),
    "broadcasting": ("Keras 3", lambda: _graph_of([(4,), (1,)], lambda L, x, y: x + y)),
    "operators on masked": (
        "Keras 3", lambda: _graph_of([(6, 3)], lambda L, x: L.GRU(2)(L.Masking()(x) * 2.0))
    ),
    "states": ("Keras 3", lambda: _graph_of([(6, 4), (5, 4)], _states)),
    "attention": ("Keras 3", lambda: _graph_of([(6, 4)], lambda L,
        x: L.MultiHeadAttention(2, 2)(x, x))),
    "sparse": ("both", lambda: _compiled(optimizer="sgd",
        loss=hb.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[hb.metrics.SparseTopKCategoricalAccuracy(k=2)])),
    "schedule": ("both", lambda: _compiled(
        optimizer=hb.optimizers.Adam(hb.optimizers.schedules.CosineDecay(0.1, 10), clipnorm=1.0),
        loss="huber")),
}  # fmt: skip


def _saved_second(name, path):
    hb.utils.set_random_seed(2)
    model = SECOND[name][1]()
    rng = np.random.default_rng(1)
    model.set_weights([w + 0.1 * rng.random(w.shape).astype(w.dtype) for w in model.get_weights()])
    x = [rng.standard_normal((3, *x.shape[1:])).astype("float32") for x in model.inputs]
    x = x if len(x) > 1 else x[0]
    model.save(path)
    return model, x, hb.tree.flatten(model.predict(x, verbose=0))


def _close(outputs, expected, name):
    for a, b in zip(outputs, expected, strict=True):
        tolerance = 0.05 if name == "mixed" else 1e-5  # bfloat16 rounds differently
        np.testing.assert_allclose(
            np.asarray(a, "float32"), np.asarray(b, "float32"), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("name", mostly_slow(SECOND, list(SECOND)[::3]))
def test_h5_in_the_words_of_both(tmp_path, name):
    path = str(tmp_path / "m.h5")
    model, x, expected = _saved_second(name, path)
    with h5py.File(path) as file:
        assert ("batch_input_shape" in file.attrs["model_config"]) == (SECOND[name][0] == "both")
    _close(keras.tree.flatten(keras.models.load_model(path).predict(x, verbose=0)), expected, name)
    again = hb.saving.load_model(path)
    _close(hb.tree.flatten(again.predict(x, verbose=0)), expected, name)
    for layer, old in zip(
        again.layers, (model.get_layer(layer.name) for layer in model.layers), strict=False
    ):
        assert len(layer._inbound_nodes) <= len(old._inbound_nodes) + 1
    again.save(tmp_path / "again.h5")
    with h5py.File(path) as first, h5py.File(tmp_path / "again.h5") as second:
        assert first.attrs["model_config"] == second.attrs["model_config"]


@pytest.mark.parametrize("name", SECOND)
def test_h5_for_tf_keras(tmp_path, name):
    tf_keras = pytest.importorskip("tf_keras", reason="tf.keras 2 (tf_keras) is not installed")
    _, x, expected = _saved_second(name, str(tmp_path / "m.h5"))
    if SECOND[name][0] == "both":
        model = tf_keras.models.load_model(str(tmp_path / "m.h5"))
        _close(hb.tree.flatten(model.predict(x, verbose=0)), expected, name)
    else:  # if this fails, tf.keras 2 reads the names of Keras 3, and files can use them
        with pytest.raises(TypeError, match="batch_shape"):
            tf_keras.models.load_model(str(tmp_path / "m.h5"))


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_lambdas_are_saved_as_code_that_loads_where_allowed(tmp_path, ending):
    def model(factor):
        return hb.Sequential(
            [hb.Input((3,)), hb.layers.Lambda(lambda x: factor * x + 2, name="twice")]
        )

    path, x = tmp_path / f"model.{ending}", np.ones((2, 3), "float32")
    with pytest.warns(UserWarning, match="safe_mode=False"):
        model(3).save(path)
    with pytest.raises(hb.errors.FileError, match="Lambda"):
        hb.models.load_model(path)
    for library in (hb, keras):
        np.testing.assert_array_equal(
            library.models.load_model(path, safe_mode=False).predict(x, verbose=0), 3 * x + 2
        )
    # Keras cannot load its own files if a lambda has default arguments.
    shifted = hb.Sequential(
        [hb.Input((3,)), hb.layers.Lambda(lambda x, shift=(1.0, 2.0): x + shift[1])]
    )
    with pytest.warns(UserWarning, match="safe_mode=False"):
        shifted.save(tmp_path / f"shifted.{ending}")
    loaded = hb.models.load_model(tmp_path / f"shifted.{ending}", safe_mode=False)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), x + 2)
    given = hb.models.load_model(path, custom_objects={"twice": lambda x: -x})
    np.testing.assert_array_equal(given.predict(x, verbose=0), -x)
    with pytest.raises(ValueError, match="values that it captures"):
        model(np.ones(3, "float32")).save(path)
