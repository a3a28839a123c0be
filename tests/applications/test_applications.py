"""The networks of `applications`: their layers, outputs, weights and files are Keras's."""

import re
from pathlib import Path

import networks
import numpy as np
import pytest
from compare import close, mostly_slow
from networks import FAMILIES, QUICK, ROWS, SMALLEST

import hornbeam as hb
from hornbeam import applications, ops


def real(name):
    import keras

    return getattr(keras.applications, name)


@pytest.mark.parametrize("row", mostly_slow(ROWS, QUICK))
def test_layers_and_weights_are_keras_s(row):
    """Layers with their configurations and inputs, and weights with names, order and shapes."""
    name, options, parameters, digest = networks.parsed(row)
    model = getattr(applications, name)(weights=None, **options)
    assert model.count_params() == parameters
    assert networks.digest(model) == digest, "\n".join(networks.listing(model))


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if networks.parsed(row)[0] in FAMILIES])
def test_the_recorded_digests_are_keras_s(row):
    """Keras gives the digests of one network of each family; the largest take minutes there."""
    name, options, parameters, digest = networks.parsed(row)
    model = real(name)(weights=None, **options)
    assert (model.count_params(), networks.digest(model)) == (parameters, digest)


def test_all_networks_have_a_row():
    public = {name for name in applications.__all__ if name[0].isupper()}
    assert public == {networks.parsed(row)[0] for row in ROWS}


def with_random_statistics(model):
    """Give a model random weights that keep its features of ordinary size."""
    random = np.random.default_rng(0)
    values = []
    for variable in model.weights:
        shape, name = tuple(variable.shape), variable.path.rpartition("/")[2]
        if name in ("moving_variance", "variance"):
            value = random.uniform(0.5, 1.5, shape)
        elif name in ("gamma", "count"):
            value = random.uniform(0.8, 1.2, shape)
        else:
            fan = max(np.prod(shape[:-1]), 1) if len(shape) > 1 else 100
            value = random.normal(size=shape) * np.sqrt(1.5 / fan)
        values.append(value.astype(str(variable.dtype)))
    model.set_weights(values)
    return values


@pytest.mark.parametrize("name", mostly_slow(FAMILIES, []))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_outputs_are_keras_s(name):
    """The same weights give the same outputs, with the top or, for every second one, without it."""
    import keras

    size = SMALLEST.get(name, 32)
    # Sizes decide which layers a NASNet has.
    shape = {"input_shape": (size, size + 3, 3)} if name == "NASNetMobile" else {}
    images = np.random.default_rng(1).integers(0, 256, (2, size, size + 3, 3)).astype("float32")
    ways = (
        {"input_shape": (size, size + 3, 3), "classes": 5},
        {"include_top": False, "pooling": "max", **shape},
    )
    number = FAMILIES.index(name)
    for options in ways if name == "VGG16" else [ways[number % 2]]:
        keras.utils.clear_session()
        model = getattr(applications, name)(weights=None, **options)
        theirs = real(name)(weights=None, **options)
        theirs.set_weights(with_random_statistics(model))
        expected = np.asarray(theirs.predict(images, verbose=0))
        assert np.std(expected) > 1e-4
        close(model.predict(images, verbose=0), expected, wide=10)


# --- pixels and classes


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first", None])
@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_preprocess_input_is_keras_s(mode, data_format):
    import keras

    theirs = keras.applications.imagenet_utils.preprocess_input
    ours = applications.imagenet_utils.preprocess_input
    first = data_format == "channels_first"
    for batch in ((), (2,)):
        shape = (*batch, 3, 4, 5) if first else (*batch, 4, 5, 3)
        images = np.random.default_rng(0).integers(0, 256, shape)
        for dtype in ("uint8", "int64", "float32", "float64", "float16"):
            x = images.astype(dtype)
            found = ours(x, data_format, mode)
            expected = theirs(x.copy(), data_format, mode)
            assert (type(found), found.dtype) == (np.ndarray, expected.dtype)
            close(found, expected, wide=1e3 if dtype == "float16" else 1)
            np.testing.assert_array_equal(x, images)
        tensor = ours(ops.convert_to_tensor(images.astype("float32")), data_format, mode)
        close(tensor, theirs(images.astype("float32"), data_format, mode))
        if batch:
            symbol = hb.Input(shape[1:])
            model = hb.Model(symbol, ours(symbol, data_format, mode))
            close(model(images.astype("float32")), tensor)


@pytest.mark.parametrize("family", ["convnext", "efficientnet", "efficientnet_v2", "mobilenet_v3"])
def test_some_networks_take_pixels(family):
    x = np.ones((2, 2, 3), "uint8")
    assert getattr(applications, family).preprocess_input(x) is x


def test_modes_of_the_families_are_keras_s():
    import keras

    x = np.random.default_rng(0).uniform(0, 255, (1, 2, 2, 3))
    families = [name for name in applications.__all__ if name.islower()]
    assert len(families) > 16
    for family in set(families) & set(dir(keras.applications)):
        theirs = getattr(keras.applications, family).preprocess_input(x.copy())
        close(getattr(applications, family).preprocess_input(x), theirs)


def test_preprocess_input_refuses_what_is_no_image():
    preprocess = applications.imagenet_utils.preprocess_input
    x = np.zeros((2, 2, 3))
    with pytest.raises(ValueError, match="`mode`.*'tensorflow'"):
        preprocess(x, mode="tensorflow")
    with pytest.raises(ValueError, match="`data_format`.*'last'"):
        preprocess(x, data_format="last")
    with pytest.raises(ValueError, match=r"3 axes or a batch of 4.*\(3,\)"):
        preprocess(np.zeros(3))
    with pytest.raises(ValueError, match=r"3 colors.*\(2, 2, 1\)"):
        preprocess(np.zeros((2, 2, 1)))


# --- files, other layouts and the page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize("name", ["ConvNeXtTiny", "EfficientNetB0", "MobileNetV2"])
def test_files_go_both_ways(tmp_path, name):
    import keras

    options = {"input_shape": (32, 32, 3), "classes": 5}
    ours = getattr(applications, name)(weights=None, **options)
    values = with_random_statistics(ours)
    theirs = real(name)(weights=None, **options)
    theirs.set_weights([np.zeros(x.shape, x.dtype) for x in values])
    # Keras loads no .h5 file of a ConvNeXt, not even its own.
    whole = (".keras",) if name == "ConvNeXtTiny" else (".keras", ".h5")
    for ending in (".weights.h5", *whole):
        path = str(tmp_path / f"ours{ending}")
        (ours.save_weights if ending == ".weights.h5" else ours.save)(path)
        again = theirs
        if ending == ".weights.h5":
            theirs.load_weights(path)
        else:
            again = keras.models.load_model(path)
        for x, y in zip(again.weights, values, strict=True):
            np.testing.assert_array_equal(np.asarray(x.value), y)
        path = str(tmp_path / f"theirs{ending}")
        (again.save_weights if ending == ".weights.h5" else again.save)(path)
        loaded = getattr(applications, name)(weights=path, **options)
        for x, y in zip(loaded.get_weights(), values, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "ConvNeXtTiny"])
def test_channels_first(name):
    """The layers are Keras's; the numbers, of every second network, those of channels last."""
    import keras

    size = SMALLEST.get(name, 32)
    images = np.random.default_rng(1).uniform(0, 255, (1, size, size, 3)).astype("float32")
    options = {"include_top": False, "weights": None, "input_shape": (size, size, 3)}
    with_numbers = FAMILIES.index(name) % 2 == 1
    if with_numbers:
        last = getattr(applications, name)(**options)
        values = with_random_statistics(last)
        expected = last.predict(images, verbose=0)
    options["input_shape"] = (3, size, size)
    hb.config.set_image_data_format("channels_first")
    keras.config.set_image_data_format("channels_first")
    hb.utils.clear_session()
    first = getattr(applications, name)(**options)
    if name not in ("DenseNet121", "NASNetMobile"):  # Keras has them with channels last only
        assert networks.listing(first) == networks.listing(real(name)(**options))
    if with_numbers:
        first.set_weights(values)
        found = first.predict(images.transpose(0, 3, 1, 2), verbose=0)
        close(found.transpose(0, 2, 3, 1), expected, wide=10)


def test_convnext_has_its_channels_last():
    hb.config.set_image_data_format("channels_first")
    with pytest.raises(ValueError, match="ConvNeXtTiny: expected the data format 'channels_last'"):
        applications.ConvNeXtTiny(weights=None)


@pytest.mark.slow
def test_the_programs_of_the_page(capsys):
    page = Path(__file__).resolve().parents[2] / "docs" / "applications.md"
    text = page.read_text()
    programs = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    program = "\n".join(programs)
    exec(compile(program, str(page), "exec"), {})
    promised = re.findall(r"^print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == promised
    assert len(programs) == 3


def test_the_table_of_the_page():
    page = Path(__file__).resolve().parents[2] / "docs" / "applications.md"
    table = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", page.read_text(), re.MULTILINE))
    rows = [networks.parsed(row) for row in ROWS]
    assert table == {name: f"{count:,}" for name, options, count, _ in rows if not options}
