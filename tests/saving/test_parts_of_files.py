"""Open files, weights in several files, files without some layers, and the editor of files."""

import contextlib
import io
import os
import pathlib

import h5py
import keras
import numpy as np
import pytest

import hornbeam as hb

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.linspace(-1, 1, 20, dtype="float32").reshape(1, 20)


def small(k=hb, seed=0):
    k.utils.set_random_seed(seed)
    return k.Sequential(
        [k.Input((20,)), k.layers.Dense(10, name="a"), k.layers.Dense(4, name="b")], name="net"
    )


def test_open_files(tmp_path):
    model = small()
    model.compile("adam", "mse")
    wanted = np.asarray(model(X))
    for save_format in ("keras", "h5"):
        file = io.BytesIO()
        hb.saving.save_model(model, file, save_format=save_format)
        file.seek(0)
        np.testing.assert_allclose(hb.saving.load_model(file)(X), wanted, rtol=1e-6)
    with open(tmp_path / "open", "w+b") as file:
        model.save_weights(file)
        file.seek(0)
        other = small(seed=1)
        other.load_weights(file)
    np.testing.assert_allclose(other(X), wanted, rtol=1e-6)
    with h5py.File(tmp_path / "open.h5", "w") as file:
        model.save(file)
    with h5py.File(tmp_path / "open.h5") as file:
        np.testing.assert_allclose(hb.saving.load_model(file)(X), wanted, rtol=1e-6)
    model.save(pathlib.Path(tmp_path) / "path.keras")
    assert hb.saving.load_model(tmp_path / "path.keras").name == "net"
    with pytest.raises(TypeError, match=r"binary mode to read.*StringIO.*'rb'"):
        hb.saving.load_model(io.StringIO())
    with pytest.raises(TypeError, match=r"binary mode to write.*'wb'"):
        model.save(io.StringIO())


@pytest.mark.parametrize(("writer", "reader"), [(hb, hb), (hb, keras), (keras, hb)])
def test_weights_in_several_files(tmp_path, writer, reader):
    model, other = small(writer), small(reader, seed=1)
    path = str(tmp_path / "net.weights.json")
    model.save_weights(path, max_shard_size=1000 / 2**30)
    assert sorted(os.listdir(tmp_path))[:2] == ["net.weights.json", "net_00000.weights.h5"]
    other.load_weights(path)
    for mine, theirs in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_several_files_are_checked(tmp_path):
    model = small()
    with pytest.raises(ValueError, match=r"array 0 of 'a' has 800 bytes.*`max_shard_size`"):
        model.save_weights(tmp_path / "net.weights.json", max_shard_size=700 / 2**30)
    with pytest.raises(ValueError, match=r"'\.weights\.json' together with `max_shard_size`"):
        model.save_weights(tmp_path / "net.weights.json")
    with pytest.raises(ValueError, match="`max_shard_size` must be a number above 0"):
        model.save_weights(tmp_path / "net.weights.h5", max_shard_size=0)
    index = tmp_path / "net.weights.json"
    for name in ("../net_00000.weights.h5", "/etc/passwd", "net.txt", 3):
        index.write_text(f'{{"weight_map": {{"/vars": {name!r}}}}}'.replace("'", '"'))
        with pytest.raises(hb.saving.FileError, match="no file of weights in its folder"):
            model.load_weights(index)
    index.write_text('{"weight_map": {"/vars": ["gone_00000.weights.h5"]}}')
    with pytest.raises(FileNotFoundError, match="'gone_00000.weights.h5', which is not in its"):
        model.load_weights(index)
    index.write_text("[]")
    with pytest.raises(hb.saving.FileError, match="lacks `weight_map`"):
        model.load_weights(index)


def test_objects_to_skip(tmp_path):
    model, path = small(), tmp_path / "net.weights.h5"
    hb.saving.save_weights(model, path, objects_to_skip=[model.layers[0]])
    model.save(tmp_path / "net.keras")
    for file in (path, tmp_path / "net.keras"):
        other = small(seed=1)
        kept = other.layers[0].kernel.numpy()
        hb.saving.load_weights(other, file, objects_to_skip=[other.layers[0]])
        np.testing.assert_array_equal(other.layers[0].kernel.numpy(), kept)
        np.testing.assert_array_equal(
            other.layers[1].kernel.numpy(), model.layers[1].kernel.numpy()
        )
    with pytest.raises(hb.saving.FileError, match="'a'.*the file has no weights for it"):
        small().load_weights(path)
    with pytest.raises(ValueError, match=r"must hold layers or optimizers, received 'a'"):
        model.save_weights(path, objects_to_skip=["a"])
    with pytest.raises(ValueError, match=r"`objects_to_skip` needs a `filepath`"):
        model.save_weights(tmp_path / "net.safetensors", objects_to_skip=[model.layers[0]])


@pytest.mark.parametrize("quantized", [False, True], ids=["float", "int8"])
def test_layers_built_by_hand_without_a_shape(tmp_path, quantized):
    layer = hb.layers.Embedding(10, 8)
    layer.build()
    if quantized:
        layer.quantize("int8")
    model = hb.Sequential([layer])
    model.save(tmp_path / "net.keras")
    x = np.array([[1, 2, 3]])
    again = hb.saving.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(again(x), model(x))


def edited(k, path):
    """Return what the editor of a library prints and gives for a series of changes."""
    model = small(k)
    model.save_weights(path)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        editor = k.saving.KerasFileEditor(path)
        editor.summary()
        editor.add_object("layers/more", weights={"0": np.ones((2, 3), "float32")})
        editor.rename_object("layers/more", "most")
        editor.delete_object("layers/dense_1")
        editor.summary()
        small_enough = editor.compare(k.Sequential([k.Input((20,)), k.layers.Dense(9)]))
    editor.save(path)
    with h5py.File(path) as file:
        arrays = []
        file.visititems(
            lambda name, x: arrays.append((name, x.shape)) if hasattr(x, "shape") else None
        )
    small_enough.pop("match_count")  # Keras counts some arrays several times
    return printed.getvalue().replace("`", ""), small_enough, arrays


def test_editor_as_keras(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours, theirs = (edited(k, "net.weights.h5") for k in (hb, keras))
    assert ours[1:] == theirs[1:]
    assert ours[0].split() == theirs[0].split()


def test_editor_of_nested_models(tmp_path):
    inner = hb.Sequential([hb.layers.Dense(3), hb.layers.BatchNormalization()], name="inner")
    model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(2), inner])
    model.save(tmp_path / "net.keras")
    editor = hb.saving.KerasFileEditor(tmp_path / "net.keras")
    assert editor.compare(model)["match_count"] == len(model.weights)
    assert editor.config["class_name"] == "Sequential"
    assert "<summary>batch_normalization" in editor._repr_html_()
    with pytest.raises(ValueError, match="Several objects are called 'dense': 'layers/dense',"):
        editor.delete_object("dense")
    with pytest.raises(ValueError, match="no object 'gone'. It has 'layers'"):
        editor.rename_object("gone", "x")
    with pytest.raises(ValueError, match="a name, not a path, received 'a/b'"):
        editor.rename_object("layers/dense", "a/b")
    with pytest.raises(ValueError, match="'sequential' exists there"):
        editor.rename_object("layers/dense", "sequential")
    with pytest.raises(ValueError, match="Path 'nowhere' not found"):
        editor.add_object("nowhere/dense", {})
    with pytest.raises(ValueError, match="dictionary of arrays.*received 3"):
        editor.add_object("layers/new", 3)
    with pytest.raises(ValueError, match="Weight '7' not found in '/layers/dense', which has '0'"):
        editor.delete_weight("layers/dense", "7")
    editor.delete_weight("layers/dense", "1")
    editor.add_weights("layers/dense", {"1": np.full(2, 7.0, "float32")})
    editor.save(tmp_path / "new.weights.h5")
    model.load_weights(tmp_path / "new.weights.h5")
    assert model.layers[0].bias.numpy().tolist() == [7.0, 7.0]
    with pytest.raises(ValueError, match=r"must end in '\.weights\.h5'"):
        editor.save(tmp_path / "new.h5")
    (tmp_path / "bad.keras").write_text("x")
    with pytest.raises(hb.saving.FileError, match="neither a `.keras` nor"):
        hb.saving.KerasFileEditor(tmp_path / "bad.keras")
