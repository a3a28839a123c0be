"""Every layer against Keras's: values, gradients, dtypes, shapes, configurations, files."""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from compare import plain
from layer_rows import ROWS

import hornbeam as hb
from hornbeam.core.symbolic import get_mask

pytestmark = [
    # Keras calls this argument deprecated.
    pytest.mark.filterwarnings("ignore:You passed `rms_scaling"),
    # Keras's own variables do not know NumPy 2's `copy` argument.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]


def pair(row):
    """Return Hornbeam's layer and Keras's of one row."""
    keras.utils.clear_session(free_memory=False)
    return row.make(lambda name: getattr(hb.layers, name)), row.make(lambda name: getattr(keras.layers, name))


def call(row, layer, x, **more):
    """Call a layer, or its pure form, as the row says."""
    return layer(*(x if row.spread else [x]), **(row.options or {}), **more)


def built_pair(row, x):
    """Return both layers built on `x`, with the same random weights."""
    ours, reference = pair(row)
    shape = [a.shape for a in x] if isinstance(x, list) else x.shape
    for layer in (ours, reference):
        if not layer.built:
            layer.build(*(shape if row.spread else [shape]))
    random = np.random.RandomState(1)
    weights = [np.asarray(random.rand(*w.shape) + 0.1, "float32") for w in reference.weights]
    reference.set_weights(weights)
    ours.set_weights(weights)
    return ours, reference


def close(a, b, row=None):
    a, b = [[np.asarray(x, "float32") for x in hb.tree.flatten(tensors)] for tensors in (a, b)]
    assert [x.shape for x in a] == [x.shape for x in b]
    wide = 10 if row is not None and row.why_loose else 1
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5 * wide, atol=2e-6 * wide)


def pure(row, layer, training):
    """Return `layer` as a function of trainable values and inputs: outputs and new states."""

    def run(trainable, x):
        others = [v.value for v in layer.non_trainable_variables]
        return call(row, functools.partial(layer.stateless_call, trainable, others), x, **training)

    return run


@pytest.mark.parametrize("name", ROWS)
def test_values_and_gradients(name):
    """Outputs, states and gradients compiled, in use and in training; outputs and penalties uncompiled."""
    row = ROWS[name]
    x = row.inputs()
    ours, reference = built_pair(row, x)
    names = [(w.path, w.shape, w.dtype, w.trainable) for w in reference.weights]
    assert [(w.path, w.shape, w.dtype, w.trainable) for w in ours.weights] == names
    accepts = "training" in ours._call_signature.parameters
    for training in [{"training": True}, {"training": False}] if accepts else [{}]:
        results = []
        for layer in (ours, reference):
            run = pure(row, layer, training)

            def loss(trainable, x, run=run):
                y, others = run(trainable, x)
                # A different weight for each number: an error in one does not cancel another's.
                total = sum(
                    jnp.sum(z * jnp.cos(jnp.arange(z.size, dtype=z.dtype)).reshape(z.shape)) for z in jax.tree.leaves(y)
                )
                return total, (y, others)

            wanted = (0,) if row.integers else (0, 1)
            compiled = jax.jit(jax.grad(loss, argnums=wanted, has_aux=True))
            results.append(compiled([v.value for v in layer.trainable_variables], x))
        close(*results, row)
    x = jax.tree.map(jnp.asarray, x)
    close(call(row, ours, x), call(row, reference, x), row)  # uncompiled
    close(ours.losses, reference.losses)


@pytest.mark.parametrize("name", ROWS)
def test_symbolic_shapes_and_dtypes(name):
    row = ROWS[name]
    shapes = row.shape if isinstance(row.shape, list) else [row.shape]
    dtype = "int32" if row.integers else "float32"
    for policy in ("float32", "mixed_bfloat16"):
        results = []
        for library, layer in zip((hb, keras), pair(row), strict=True):
            layer = type(layer).from_config({**layer.get_config(), "dtype": policy})
            inputs = [library.Input(shape[1:], dtype=dtype) for shape in shapes]
            outputs = call(row, layer, inputs if isinstance(row.shape, list) else inputs[0])
            outputs = hb.tree.flatten(outputs)
            results.append(([(y.shape, str(y.dtype)) for y in outputs], [str(w.dtype) for w in layer.weights]))
            if library is hb and policy != "float32":
                values = hb.tree.flatten(call(row, layer, row.inputs()))
                assert [(y.shape[1:], str(y.dtype)) for y in values] == [(y.shape[1:], str(y.dtype)) for y in outputs]
        if not row.why_other_shape:
            assert results[0] == results[1]


@pytest.mark.parametrize("name", ROWS)
def test_configuration(name):
    ours, reference = pair(ROWS[name])
    assert plain(ours.get_config()) == plain(reference.get_config())
    again = type(ours).from_config(ours.get_config())
    assert again.get_config() == ours.get_config()


def test_files_in_both_directions(tmp_path):
    """All rows as the branches of one model, which each library writes and the other opens."""
    models = []
    for library in (hb, keras):
        branches = {".keras": ([], [], []), ".h5": ([], [], [])}
        for row in (row for row in ROWS.values() if not row.why_no_file):
            several = isinstance(row.shape, list)
            dtype = "int32" if row.integers else "float32"
            new = [library.Input(shape[1:], dtype=dtype) for shape in (row.shape if several else [row.shape])]
            layer = row.make(lambda name, library=library: getattr(library.layers, name))
            results = hb.tree.flatten(call(row, layer, new if several else new[0]))
            for suffix, (inputs, outputs, data) in branches.items():
                if suffix == ".keras" or not row.why_no_h5:
                    inputs += new
                    outputs += results
                    data += row.inputs() if several else [row.inputs()]
        models.append({suffix: (library.Model(i, o), x) for suffix, (i, o, x) in branches.items()})
    for writers, reader in ((models[0], keras), (models[1], hb)):
        for suffix, (writer, x) in writers.items():
            path = str(tmp_path / f"model{suffix}")
            writer.save(path)
            close(reader.models.load_model(path, compile=False)(x), writer(x))


MASKED = {
    "dense": lambda L: [L("Dense")(3, activation="tanh")],
    "activation": lambda L: [L("Activation")("relu"), L("Dropout")(0.1), L("LayerNormalization")()],
    "pooled": lambda L: [L("GlobalAveragePooling1D")()],
    "normalized": lambda L: [L("BatchNormalization")()],
    "reshaped": lambda L: [L("Reshape")((3, 4)), L("LeakyReLU")()],
    "flat": lambda L: [L("Flatten")()],
    "convolved": lambda L: [L("Conv1D")(2, 2)],
}


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.filterwarnings("ignore:.*does not support mask")
def test_masks_pass_as_in_keras(name):
    x = np.array([[1, 2, 0, 0], [3, 0, 4, 0]], "int32")
    results = []
    for library in (hb, keras):
        layers = [library.layers.Embedding(5, 3, mask_zero=True)]
        layers += MASKED[name](lambda name, library=library: getattr(library.layers, name))
        model = library.Sequential(layers)
        model.build((None, 4))
        random = np.random.RandomState(2)
        model.set_weights([random.rand(*w.shape) for w in model.weights])
        y = jnp.asarray(x)
        for layer in layers:
            y = layer(y)
        training = [model(x, training=True)] if name == "normalized" else []
        results.append((get_mask(y) if library is hb else getattr(y, "_keras_mask", None), [y, *training]))
    (ours, y), (reference, expected) = results
    close(y, expected)
    assert (ours is None) == (reference is None)
    if ours is not None:
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(reference))


# (old, new): what scripts of Keras 1 and 2 write, and its meaning
OLD = {
    "dense": (
        lambda L: L.Dense(output_dim=3, init="he_normal", W_regularizer="l2", bias=False, input_dim=4),
        lambda L: L.Dense(3, kernel_initializer="he_normal", kernel_regularizer="l2", use_bias=False, input_shape=(4,)),
    ),
    "batch_input_shape": (lambda L: L.Dense(2, batch_input_shape=(8, 4)), lambda L: L.Dense(2, input_shape=(4,))),
    "conv1d": (
        lambda L: L.Conv1D(nb_filter=3, filter_length=2, border_mode="same", subsample_length=2),
        lambda L: L.Conv1D(3, 2, padding="same", strides=2),
    ),
    "conv2d": (
        lambda L: L.Convolution2D(3, 2, border_mode="same", subsample=(2, 2), dim_ordering="th"),
        lambda L: L.Conv2D(3, 2, padding="same", strides=(2, 2), data_format="channels_first"),
    ),
    "pooling": (
        lambda L: L.MaxPooling1D(pool_length=3, stride=2, border_mode="same"),
        lambda L: L.MaxPooling1D(3, strides=2, padding="same"),
    ),
    "dropout": (lambda L: L.Dropout(p=0.3), lambda L: L.Dropout(0.3)),
    "embedding": (
        lambda L: L.Embedding(5, 3, init="normal", W_regularizer="l1", input_length=7),
        lambda L: L.Embedding(5, 3, "normal", embeddings_regularizer="l1"),
    ),
    "leaky_relu": (lambda L: L.LeakyReLU(alpha=0.1), lambda L: L.LeakyReLU(negative_slope=0.1)),
    "elu": (lambda L: L.ELU(alpha=0.1), lambda L: L.ELU(0.1)),
}


@pytest.mark.parametrize("name", OLD)
def test_older_words(name):
    configs = [{**make(hb.layers).get_config(), "name": None} for make in OLD[name]]
    assert configs[0] == configs[1]


def test_weights_at_the_start():
    weights = [np.ones((4, 2), "float32"), np.full(2, 3.0, "float32")]
    layer = hb.layers.Dense(2, weights=weights, input_dim=4)
    hb.Sequential([layer])
    for ours, given in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, given)


# (recipe, input, what the message says)
BAD = {
    "units": (lambda: hb.layers.Dense(-1), None, "Dense: `units`.*-1"),
    "filters": (lambda: hb.layers.Conv2D(0, 3), None, "Conv2D: `filters`.*0"),
    "kernel_size": (lambda: hb.layers.Conv2D(1, (1, 2, 3)), None, "Conv2D: `kernel_size`"),
    "padding": (lambda: hb.layers.Conv2D(1, 1, padding="full"), None, "Conv2D: `padding`.*full"),
    "activation": (lambda: hb.layers.Dense(1, activation="rlu"), None, "rlu.*relu"),
    "initializer": (lambda: hb.layers.Dense(1, kernel_initializer="he_norml"), None, "he_normal"),
    "argument": (lambda: hb.layers.Dense(1, units_=3), None, "units_.*kernel_initializer"),
    "rate": (lambda: hb.layers.Dropout(1.5), None, "rate.*1.5"),
    "groups": (lambda: hb.layers.Conv2D(4, 1, groups=3), None, "groups"),
    "rank": (lambda: hb.layers.Conv2D(1, 1, name="c"), np.ones((2, 3, 3)), "'c' .*4"),
    "reshape": (lambda: hb.layers.Reshape((7,), name="r"), np.ones((2, 6)), "'r'.*6 numbers.*7"),
    "concatenate": (lambda: hb.layers.Concatenate(name="m"), [np.ones((2, 3)), np.ones((3, 3))], "'m'"),
    "no_list": (lambda: hb.layers.Add(name="m"), np.ones((2, 3)), "'m'.*list"),
    "window": (lambda: hb.layers.MaxPooling2D(9, name="p"), np.ones((1, 4, 4, 1)), "9.*'p'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name):
    make, x, text = BAD[name]
    with pytest.raises((ValueError, TypeError), match=f"(?s){text}"):
        make()(x)
