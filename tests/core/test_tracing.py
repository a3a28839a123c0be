"""Shape inference by tracing: unknown sizes stay unknown for all windows, strides and slices."""

import keras
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.tracing import infer, is_unknown

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword"
)

N = None

# The call, the shapes of its inputs, and sizes for the unknown axes in a concrete call. `k` is the
# library.
ROWS = {
    "conv": (lambda k: k.layers.Conv1D(2, 5001), [(N, N, 3)], 5100),
    "conv same": (lambda k: k.layers.Conv1D(2, 5001, padding="same"), [(N, N, 3)], 70),
    "conv causal dilated": (
        lambda k: k.layers.Conv1D(2, 3, dilation_rate=5000, padding="causal"),
        [(N, N, 3)],
        100,
    ),
    "conv dilated": (lambda k: k.layers.Conv1D(2, 11, dilation_rate=1000), [(N, N, 3)], 10_005),
    "conv strided": (
        lambda k: k.layers.Conv1D(2, 3, strides=5000, padding="same"),
        [(N, N, 3)],
        10_001,
    ),
    "conv strided valid": (lambda k: k.layers.Conv1D(2, 3, strides=5000), [(N, N, 3)], 10_003),
    "conv 2d": (lambda k: k.layers.Conv2D(2, (3000, 1)), [(N, N, N, 3)], 3001),
    "conv 2d half known": (lambda k: k.layers.Conv2D(2, (3000, 1)), [(N, N, 2, 3)], 3001),
    "conv 3d": (lambda k: k.layers.Conv3D(2, (1, 1, 900)), [(N, N, N, N, 1)], None),
    "depthwise": (lambda k: k.layers.DepthwiseConv1D(5001), [(N, N, 3)], 5100),
    "separable": (lambda k: k.layers.SeparableConv1D(2, 5001), [(N, N, 3)], 5100),
    "transposed": (lambda k: k.layers.Conv1DTranspose(2, 5001, strides=7), [(N, N, 3)], 9),
    "cropping 1d": (lambda k: k.layers.Cropping1D(5000), [(N, N, 32)], 10_007),
    "cropping 2d": (lambda k: k.layers.Cropping2D((5000, 1)), [(N, N, 9, 3)], 10_007),
    "cropping 3d": (lambda k: k.layers.Cropping3D(50_000), [(N, N, N, N, 3)], None),
    "cropping a batch": (lambda k: k.layers.Cropping1D(5000), [(2, N, 3)], 10_007),
    "max pooling": (lambda k: k.layers.MaxPooling1D(1700, 1), [(N, N, 3)], 1705),
    "max pooling strided": (lambda k: k.layers.MaxPooling1D(3, 5000), [(N, N, 3)], 10_004),
    "max pooling first": (
        lambda k: k.layers.MaxPooling1D(1700, 50, "same", data_format="channels_first"),
        [(N, 3, N)],
        70,
    ),
    "average pooling": (
        lambda k: k.layers.AveragePooling1D(1001, 5000, "same"),
        [(N, N, 3)],
        10_004,
    ),
    "average pooling 2d": (
        lambda k: k.layers.AveragePooling2D((1001, 1), (50, 1)),
        [(N, N, N, 1)],
        None,
    ),
    "zeros": (lambda k: k.layers.ZeroPadding2D(5000), [(N, N, N, 1)], None),
    "up-sampling": (lambda k: k.layers.UpSampling1D(5000), [(N, N, 1)], 3),
    "slice from": (lambda k: lambda x: x[:, 5000:], [(N, N, 3)], 5002),
    "slice inside": (lambda k: lambda x: x[:, 5000:-5000], [(N, N, 3)], 10_002),
    "slice strided": (lambda k: lambda x: x[:, ::7], [(N, N, 3)], 15),
    "slice by large strides": (lambda k: lambda x: x[:, ::5000], [(N, N, 3)], 10_002),
    "ops.slice": (lambda k: lambda x: k.ops.slice(x, (0, 5000, 0), (1, 5, 3)), [(N, N, 3)], 5007),
    "element": (lambda k: lambda x: x[:, 5000], [(N, N, 3)], 5002),
    "split at": (lambda k: lambda x: k.ops.split(x, [5000], axis=1)[1], [(N, N, 3)], 5002),
    "split in 13": (lambda k: lambda x: k.ops.split(x, 13, axis=1)[1], [(N, N, 3)], 26),
    "reshape": (lambda k: k.layers.Reshape((-1, 13)), [(N, N, 3)], 26),
    "reshape to known": (lambda k: k.layers.Reshape((10, 3)), [(N, N, 3)], 10),
    "ops.reshape": (lambda k: lambda x: k.ops.reshape(x, (-1, 17 * 19)), [(N, N)], 17 * 19),
    "flatten": (lambda k: k.layers.Flatten(), [(N, N, N, 3)], 4),
    "patches": (
        lambda k: lambda x: k.ops.image.extract_patches(x, (900, 900)),
        [(N, N, N, 3)],
        None,
    ),
    "space to depth": (lambda k: lambda x: k.ops.space_to_depth(x, 11), [(N, N, N, 2)], 22),
    "join along": (lambda k: lambda a, b: k.ops.concatenate([a, b], 1), [(N, N, 3), (N, 5, 3)], 5),
    "join two unknown": (
        lambda k: lambda a, b: k.ops.concatenate([a, b], -1),
        [(N, N, 3), (N, N, 4)],
        6,
    ),
    "add two unknown": (lambda k: lambda a, b: a + b, [(N, N, 3), (N, N, 3)], 6),
    "add known": (lambda k: lambda a, b: a + b, [(N, N, 3), (N, 5, 3)], 5),
    "add a known batch": (lambda k: lambda a, b: a + b, [(N, 3), (5, 3)], 5),
    "broadcast": (lambda k: lambda a, b: a * b, [(N, 1, N), (N, N, 1)], 5),
    "product": (lambda k: lambda a, b: k.ops.matmul(a, b), [(N, N, 4), (N, 4, N)], 5),
    # Two unknown sizes that differ: the second is 3.
    "product of two batches": (lambda k: k.ops.matmul, [(N, 3), (N, 4)], None),
    "dot of two batches": (lambda k: k.ops.dot, [(N, 3), (N, 4)], None),
    "einsum of two batches": (
        lambda k: lambda a, b: k.ops.einsum("ab,bc->ac", a, b),
        [(N, 3), (N, 4)],
        None,
    ),
    "einsum of steps": (
        lambda k: lambda a, b: k.ops.einsum("...b,bc->...c", a, b),
        [(N, N, 3), (N, 4)],
        None,
    ),
    "tensordot of two batches": (
        lambda k: lambda a, b: k.ops.tensordot(a, b, 1),
        [(N, 3), (N, 4)],
        None,
    ),
    "broadcast to": (lambda k: lambda x: k.ops.broadcast_to(x, (4, 3)), [(N, 1)], None),
}


def inputs(library, shapes):
    return [library.Input(batch_shape=shape) for shape in shapes]


@pytest.mark.parametrize("name", ROWS)
def test_unknown_sizes_stay_unknown(name):
    make, shapes, size = ROWS[name]
    found = make(hb)(*inputs(hb, shapes)).shape
    assert found == tuple(make(keras)(*inputs(keras, shapes)).shape)
    if size is not None:
        filled = [tuple(size if n is None else n for n in shape[1:]) for shape in shapes]
        batches = [
            size if name.startswith(("add a", "ops.r")) else 2 if s[0] is None else s[0]
            for s in shapes
        ]
        arrays = [
            np.zeros((b, *inner), "float32") for b, inner in zip(batches, filled, strict=True)
        ]
        given = make(hb)(*[hb.ops.convert_to_tensor(a) for a in arrays]).shape
        assert len(given) == len(found)
        assert all(n in (None, m) for n, m in zip(found, given, strict=True)), (found, given)


def test_known_sizes():
    # Keras returns `None`, although the sizes are known.
    (x,) = inputs(hb, [(N, N, 3)])
    assert x[:, :5].shape == x[:, -5:].shape == (N, 5, 3)
    a, b = inputs(hb, [(N, N, 3), (N, 5, 3)])
    assert hb.layers.Concatenate()([a, b]).shape == (N, 5, 6)
    a, b = inputs(hb, [(N, N), (5, 5)])
    assert (a + b).shape == (5, 5)


# The call, the shape of its input, the shape that is found, and a shape of a concrete input.
KNOWN = {
    "array": (lambda k: lambda x: x + np.ones((2, 3), "f"), (N, 3), (2, 3), (2, 3)),
    "array of steps": (
        lambda k: lambda x: x * np.ones((1, 5, 3), "f"), (N, N, 3), (N, 5, 3), (2, 5, 3)
    ),
    "array from the left": (
        lambda k: lambda x: k.ops.add(np.ones((5, 1)), x), (N, N), (5, N), (5, 2)
    ),
    "two sizes": (
        lambda k: lambda x: x + np.ones((1, 4, 5, 3), "f"),
        (N, N, N, 3), (N, 4, 5, 3), (2, 4, 5, 3),
    ),
    "product": (lambda k: lambda x: k.ops.matmul(x, np.ones((4, 5), "f")), (N, N), (N, 5), (2, 4)),
    "batched product": (
        lambda k: lambda x: k.ops.matmul(x, np.ones((2, 4, 5), "f")),
        (N, 3, 4), (2, 3, 5), (2, 3, 4),
    ),
    "repeat": (lambda k: lambda x: k.ops.repeat(x, [1, 2], axis=0), (N, 3), (3, 3), (2, 3)),
    "reshape batch": (
        lambda k: lambda x: k.ops.reshape(x, (x.shape[0], -1)), (N, 2, 3), (N, 6), (4, 2, 3)
    ),
    "reshape steps": (
        lambda k: lambda x: k.ops.reshape(x, (*x.shape[:2], 3, 2)),
        (N, N, 6), (N, N, 3, 2), (4, 5, 6),
    ),
    "broadcast_to": (
        lambda k: lambda x: k.ops.broadcast_to(x, (5, *x.shape)), (N, 3), (5, N, 3), (2, 3)
    ),
    "argpartition": (
        lambda k: lambda x: k.ops.argpartition(x, 1, axis=None), (N, 3), (N,), (2, 3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_sizes_of_arguments(name):
    make, shape, expected, concrete = KNOWN[name]
    (x,) = inputs(hb, [shape])
    y = make(hb)(x)
    assert y.shape == expected
    if name != "array from the left":  # Keras lets NumPy convert the symbolic tensor
        theirs = make(keras)(*inputs(keras, [shape])).shape
        assert all(n in (None, m) for n, m in zip(theirs, expected, strict=True))
    given = hb.Model(x, y)(np.ones(concrete, "float32")).shape
    assert all(n in (None, m) for n, m in zip(expected, given, strict=True))


def test_known_sizes_of_weights():
    class Positions(hb.layers.Layer):
        def build(self, shape):
            self.table = self.add_weight((1, 5, 3))

        def call(self, x):
            return x + self.table

    assert Positions()(hb.Input((N, 3))).shape == (N, 5, 3)


def test_what_one_function_loses_is_found():
    # Three steps that each divide by 100: no single divisor exceeds the first trial sizes.
    def shrink(x):
        for _ in range(3):
            x = hb.ops.average_pool(x, 1, 100, "same")
        return x

    assert infer(shrink, KerasTensor((N, N, 3))).shape == (N, N, 3)
    assert infer(
        lambda x: hb.ops.pad(x[:, 5000:], ((0, 0), (3, 0))), KerasTensor((N, N))
    ).shape == (N, N)


def test_layers_inside_a_layer_get_large_trials():
    class Two(hb.layers.Layer):
        def __init__(self):
            super().__init__()
            self.first = hb.layers.Conv1D(4, 3)
            self.second = hb.layers.Conv1D(2, 20_001)
            self.third = hb.layers.Cropping1D(30_000)

        def call(self, x):
            return self.third(self.second(self.first(x)))

    layer = Two()
    assert layer(hb.Input((N, 3))).shape == (N, N, 2)
    assert [v.shape for v in layer.weights] == [(3, 3, 4), (4,), (20_001, 4, 2), (2,)]


@pytest.mark.parametrize(
    ("make", "shape", "text"),
    [
        (
            lambda: hb.layers.Cropping1D(5),
            (3, 2),
            "leaves nothing of axis 1 of the input \\(None, 3, 2\\)",
        ),
        (lambda: hb.layers.Conv1D(3, 5), (3, 2), "larger than the input \\(None, 3, 2\\)"),
        (lambda: hb.layers.MaxPooling1D(5), (3, 2), "larger than the input \\(None, 3, 2\\)"),
        (lambda: hb.layers.Reshape((4,)), (3, 2), "has 6 numbers"),
    ],
)
def test_known_sizes_are_checked(make, shape, text):
    with pytest.raises(ValueError, match=text):
        make()(hb.Input(shape))


def test_errors_show_no_trial_size():
    with pytest.raises((ValueError, TypeError), match="None") as caught:
        hb.ops.matmul(*inputs(hb, [(N, N, 3), (N, 4, N)]))
    assert not any(str(n) in str(caught.value) for n in (840, 1680, 10_080))


def test_is_unknown_inside_a_trace():
    seen = []

    def look(x):
        seen.append([is_unknown(n) for n in x.shape])
        return x

    infer(look, KerasTensor((N, N, 3)))
    assert seen == [[True, True, False]] * 2


def splice(library):
    """Return a small version of SpliceAI: dilated convolutions, then a crop of 10,000 positions."""
    layers = library.layers
    x = start = library.Input((N, 4))
    x = layers.Conv1D(3, 1)(x)
    for window, rate in [(11, 1), (11, 4), (21, 10), (41, 25)]:
        y = layers.Conv1D(3, window, dilation_rate=rate, padding="same", activation="relu")(x)
        x = layers.Add()([x, y])
    x = layers.Cropping1D(5000)(x)
    return library.Model(start, layers.Conv1D(3, 1, activation="softmax")(x))


@pytest.mark.parametrize(("writer", "reader"), [(hb, keras), (keras, hb), (hb, hb)])
@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_model_over_ten_thousand_positions_in_files(writer, reader, ending, tmp_path):
    model, x = (
        splice(writer),
        np.random.default_rng(0).normal(size=(1, 10_020, 4)).astype("float32"),
    )
    model.save(tmp_path / f"model.{ending}")
    loaded = reader.saving.load_model(tmp_path / f"model.{ending}")
    assert tuple(loaded.output_shape) == (N, N, 3)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)
