"""Single behaviours of layers, compared with Keras: spreads, masks, float16, subclasses, LoRA."""

import keras
import numpy as np
import pytest

import hornbeam as hb

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword"
)
LIBRARIES = pytest.mark.parametrize("library", [hb, keras])

# The equation, the output's shape, the input's shape, and the fans of the kernel.
SPREADS = {
    "heads": ("abc,cde->abde", (None, 4, 16), (None, 5, 32), 32, 64),
    "heads to outputs": ("abcd,cde->abe", (None, 32), (None, 5, 4, 16), 64, 32),
    "a kept axis": ("abc,bcd->abd", (5, 32), (None, 5, 64), 64, 160),
    "two summed": ("abc,bce->ae", (64,), (None, 5, 32), 160, 64),
    "outputs first": ("abc,dce->abde", (None, 4, 16), (None, 5, 32), 32, 64),
    "hidden axes": ("...x,xyz->...yz", (4, 16), (None, 5, 32), 32, 64),
}


@pytest.mark.parametrize("name", SPREADS)
def test_the_spread_of_einsum_kernels(name):
    equation, output, inputs, fan_in, fan_out = SPREADS[name]
    for initializer, fan in (("glorot_normal", (fan_in + fan_out) / 2), ("lecun_normal", fan_in)):
        found = []
        for library in (hb, keras):
            given = library.initializers.get(initializer).clone()
            layer = library.layers.EinsumDense(equation, output, kernel_initializer=given)
            layer.build(inputs)
            assert layer.kernel_initializer.get_config()["input_axes"] is None
            found.append(np.std(np.asarray(layer.kernel)))
        np.testing.assert_allclose(found, 1 / np.sqrt(fan), rtol=0.1)


def test_axes_of_initializers():
    for axes in ({"input_axes": (0,), "output_axes": (1,)}, {"input_axes": (0,)}):
        ours, theirs = (
            np.std(np.asarray(library.initializers.GlorotUniform(seed=1, **axes)((64, 8, 16))))
            for library in (hb, keras)
        )
        assert ours == pytest.approx(theirs, rel=0.05)


def test_the_spread_of_attention_kernels():
    x = np.ones((1, 2, 64), "float32")
    ours, theirs = (
        [np.std(np.asarray(w)) for w in layer.weights if w.name == "kernel"]
        for layer in (hb.layers.MultiHeadAttention(8, 8), keras.layers.MultiHeadAttention(8, 8))
        if layer(x, x) is not None
    )
    np.testing.assert_allclose(ours, theirs, rtol=0.1)


@LIBRARIES
def test_softmax_where_all_is_masked(library):
    x = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], "float32")
    mask = np.array([[False] * 3, [True, False, True]])
    found = np.asarray(library.layers.Softmax()(x, mask=mask))
    assert found[0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(found[1], [0.1192, 0, 0.8808], atol=1e-4)
    with pytest.raises(ValueError, match="mask|broadcast|Incompatible"):
        library.layers.Softmax()(x, mask=mask[:, None])


def test_a_mask_of_steps_passes_through_softmax():
    """In Keras, it is an error or, where the sizes happen to fit, masks classes."""
    x = np.arange(12.0).reshape(3, 2, 2).astype("float32")
    steps = hb.layers.Masking(0.0)(x)
    steps._keras_mask = np.array([[True, False], [False, False], [True, True]])
    found = hb.layers.Softmax()(steps)
    np.testing.assert_allclose(found, hb.layers.Softmax()(x))
    np.testing.assert_array_equal(found._keras_mask, steps._keras_mask)


@pytest.mark.parametrize(
    "make",
    [
        lambda **k: hb.layers.GroupNormalization(2, **k),
        lambda **k: hb.layers.LayerNormalization(**k),
        lambda **k: hb.layers.BatchNormalization(**k),
        lambda **k: hb.layers.RMSNormalization(**k),
        lambda **k: hb.layers.UnitNormalization(**k),
    ],
)
@pytest.mark.parametrize("dtype", ["float16", "mixed_float16"])
def test_normalization_in_float16_far_from_zero(make, dtype):
    # squares of these numbers are larger than float16 can hold
    x = np.random.RandomState(0).randint(-8, 9, (4, 8)).astype("float16") * 4 + 2000
    layer, exact = make(dtype=dtype), make(dtype="float32")
    options = {"training": True} if isinstance(layer, hb.layers.BatchNormalization) else {}
    found = np.asarray(layer(x, **options), "float32")
    expected = np.asarray(exact(x.astype("float32"), **options))
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def step_with_mask(library):
    class Step(library.layers.Layer):
        def call(self, x, mask=None):
            return x if mask is None else x * library.ops.cast(mask, x.dtype)[:, None]

    return library.layers.TimeDistributed(Step())


@LIBRARIES
def test_time_distributed_gives_each_step_its_mask(library):
    layer = step_with_mask(library)
    mask = np.array([[False, True], [True, False]])
    found = np.asarray(layer(np.ones((2, 2, 1), "float32"), mask=mask))
    np.testing.assert_array_equal(found[..., 0], mask)


WEIGHTLESS = {
    "Identity": (), "Activation": ("relu",), "ReLU": (), "Dropout": (0.5,), "Flatten": (),
    "Rescaling": (2.0,), "Permute": ((1,),), "Reshape": ((3,),), "RepeatVector": (2,),
    "GaussianNoise": (0.1,), "ActivityRegularization": (), "UnitNormalization": (),
    "Softmax": (), "LeakyReLU": (), "ELU": (),
}  # fmt: skip


@pytest.mark.parametrize("name", WEIGHTLESS)
def test_build_of_a_subclass_is_called(name):
    class Own(getattr(hb.layers, name)):
        def build(self, input_shape):
            super().build(input_shape)
            self.factor = self.add_weight((1,), initializer="ones")

    layer = Own(*WEIGHTLESS[name])
    assert not layer.built
    layer(np.ones((2, 3), "float32"))
    assert layer.factor.shape == (1,)


@LIBRARIES
def test_penalties_of_adapted_weights(library):
    for make in (
        lambda k: k.layers.Dense(5, kernel_regularizer="l2", bias_regularizer="l1"),
        lambda k: k.layers.EinsumDense("ab,bc->ac", 5, kernel_regularizer="l2"),
        lambda k: k.layers.Conv1D(5, 1, kernel_regularizer="l2"),
        lambda k: k.layers.Embedding(5, 3, embeddings_regularizer="l2"),
    ):
        layer = make(library)
        layer.build((None, 2, 3) if "Conv" in type(layer).__name__ else (None, 3))
        before = len(layer.losses)
        layer.enable_lora(2)
        assert len(layer.losses) == before + 1
        penalty = 0.01 * np.sum(np.square(np.asarray(lora_a(layer))))
        np.testing.assert_allclose(max(map(float, layer.losses)), penalty, rtol=1e-5)


def lora_a(layer):
    return next(w for w in layer.trainable_weights if w.name.endswith("_a"))


@LIBRARIES
def test_operators_of_variables_are_logical(library):
    a = library.Variable(np.array([2, 1], "int32"))
    b = library.Variable(np.array([1, 0], "int32"))
    for found, expected in (
        (a & b, [True, False]), (a | b, [True, True]), (a ^ b, [False, True]),
        (1 & a, [True, True]), (b | 0, [True, False]), (round(a), [2, 1]),
    ):  # fmt: skip
        assert np.asarray(found).tolist() == expected


def test_small_errors_of_attention():
    for layer in (hb.layers.Attention(), hb.layers.AdditiveAttention()):
        with pytest.raises(ValueError, match="the query must have the axes"):
            layer([np.ones(3, "float32")] * 2)
    x, mask = np.ones((1, 2, 3), "float32"), np.array([[True, False]])
    assert hb.layers.MultiHeadAttention(1, 2).compute_mask([x, x], mask) is mask


@pytest.mark.parametrize(
    "options",
    [{}, {"renorm_clipping": {"rmin": 0.5, "rmax": 1.5, "dmax": 0.3}, "renorm_momentum": 0.8}],
)
def test_batch_renormalization(options, tmp_path):
    x = np.random.RandomState(0).rand(8, 4).astype("float32") * 3 + 5
    made = []
    for library in (hb, keras):
        layer = library.layers.BatchNormalization(renorm=True, momentum=0.9, **options)
        outputs = [np.asarray(layer(x * (i + 1), training=True)) for i in range(3)]
        made.append([*outputs, np.asarray(layer(x)), *layer.get_weights()])
        names = [w.name for w in layer.weights]
        assert names[2:] == [
            "moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev",
        ]  # fmt: skip
        assert layer.get_config()["renorm_clipping"] == options.get("renorm_clipping", {})
    for ours, theirs in zip(*made, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max())
    model = keras.Sequential([keras.Input((4,)), layer])
    model.save(tmp_path / "model.keras")
    loaded = hb.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), made[1][3], atol=1e-4)
    with pytest.raises(ValueError, match="may have the keys"):
        hb.layers.BatchNormalization(renorm=True, renorm_clipping={"max": 1.0})


MESSAGES = {
    r"'steps' \(TimeDistributed\) calls 'conv2d.*must have 4 dimensions.*\(2, 8\)": lambda: (
        hb.layers.TimeDistributed(hb.layers.Conv2D(2, 3), name="steps")(np.ones((2, 5, 8)))
    ),
    "^LSTM: `dropout` must be a number from 0 to 1, received 'x'": lambda: hb.layers.LSTM(
        2, dropout="x"
    ),
    "^GRU: `recurrent_dropout` must be a number": lambda: hb.layers.GRU(2, recurrent_dropout="x"),
}


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_name_the_layer_and_the_argument(message):
    with pytest.raises(ValueError, match=message):
        MESSAGES[message]()


@pytest.mark.parametrize(
    "make",
    [
        lambda: hb.layers.Dense(3), lambda: hb.layers.Conv1D(3, 1), lambda: hb.layers.LSTM(3),
        hb.layers.BatchNormalization, hb.layers.Flatten, hb.layers.LayerNormalization,
        lambda: hb.layers.Embedding(2, 2),
    ],
)  # fmt: skip
def test_a_list_of_one_tensor(make):
    x = np.ones((1, 4, 2), "float32")
    for inputs, kind in (([x], "list"), ((x,), "tuple"), ({"a": x}, "dict")):
        with pytest.raises(
            (TypeError, ValueError), match=f"Pass the tensor itself, not the {kind}"
        ):
            make()(inputs)
    assert hb.layers.Activation("relu")([x])[0].shape == (1, 4, 2)


def test_rates_of_recurrent_dropout_are_cut_as_in_keras():
    for library in (hb, keras):
        cell = library.layers.LSTMCell(2, dropout=3, recurrent_dropout=-1)
        assert (cell.dropout, cell.recurrent_dropout) == (1, 0)
