"""Recurrent layers against Keras: values, states, gradients, masks and configurations."""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from compare import close, mostly_slow, plain

import hornbeam as hb
from hornbeam.core.variable import Variable, value_and_grad
from hornbeam.layers import bidirectional, recurrent
from hornbeam.layers.core import Dense, Masking
from hornbeam.ops import cudnn

# Keras's variables do not support NumPy 2's `copy` argument.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword"
)

B, T, C = 2, 4, 5
MASK = np.array([[0, 1, 0, 1], [1, 1, 1, 0]], bool)


def data(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype("float32")


def ours(name):
    return getattr(hb.layers, name)


def pair(make):
    """Return a Hornbeam layer and a Keras layer from one recipe `make(find)`."""
    return make(ours), make(lambda name: getattr(keras.layers, name))


def flat(outputs):
    return [np.asarray(x) for x in hb.tree.flatten(outputs)]


def with_equal_weights(make, x):
    """Build both layers on `x` and give them the same random weights."""
    layer, reference = pair(make)
    reference(x)
    layer(x)
    weights = [data(*w.shape, seed=i) / 2 for i, w in enumerate(reference.weights)]
    reference.set_weights(weights)
    layer.set_weights(weights)
    for one in (layer, reference):
        if getattr(one, "stateful", False):
            one.reset_state()
    return layer, reference


ROWS = {
    "simple": lambda L: L("SimpleRNN")(3),
    "simple_relu_backwards": lambda L: L("SimpleRNN")(
        3, activation="relu", use_bias=False, go_backwards=True
    ),
    "simple_sequences_state": lambda L: L("SimpleRNN")(3, return_sequences=True, return_state=True),
    "lstm": lambda L: L("LSTM")(3),
    "lstm_sequences_state": lambda L: L("LSTM")(3, return_sequences=True, return_state=True),
    "lstm_backwards": lambda L: L("LSTM")(
        3, return_sequences=True, go_backwards=True, return_state=True
    ),
    "lstm_unroll": lambda L: L("LSTM")(
        3, unroll=True, recurrent_activation="hard_sigmoid", unit_forget_bias=False
    ),
    "lstm_zero": lambda L: L("LSTM")(3, return_sequences=True, zero_output_for_mask=True),
    "lstm_zero_last": lambda L: L("LSTM")(3, zero_output_for_mask=True),
    "gru": lambda L: L("GRU")(3, return_state=True),
    "gru_before": lambda L: L("GRU")(3, reset_after=False, return_sequences=True),
    "gru_no_bias": lambda L: L("GRU")(3, use_bias=False, activation="relu"),
    "gru_stateful": lambda L: L("GRU")(3, stateful=True, return_sequences=True),
    "rnn_cell": lambda L: L("RNN")(L("GRUCell")(3), return_sequences=True, return_state=True),
    "rnn_stack": lambda L: L("RNN")(
        [L("LSTMCell")(3), L("GRUCell")(2), L("SimpleRNNCell")(4)], return_state=True
    ),
    "rnn_stack_cells": lambda L: L("RNN")(
        L("StackedRNNCells")([L("GRUCell")(3), L("LSTMCell")(2)]), unroll=True
    ),
    "bi": lambda L: L("Bidirectional")(L("LSTM")(3)),
    "bi_sequences_state": lambda L: L("Bidirectional")(
        L("LSTM")(3, return_sequences=True, return_state=True)
    ),
    "bi_sum": lambda L: L("Bidirectional")(L("GRU")(3, return_sequences=True), merge_mode="sum"),
    "bi_mul": lambda L: L("Bidirectional")(L("GRU")(3), merge_mode="mul"),
    "bi_ave": lambda L: L("Bidirectional")(L("SimpleRNN")(3, return_state=True), merge_mode="ave"),
    "bi_none": lambda L: L("Bidirectional")(
        L("GRU")(3, return_sequences=True, return_state=True), merge_mode=None
    ),
    "bi_backward_layer": lambda L: L("Bidirectional")(
        L("LSTM")(3), backward_layer=L("GRU")(2, go_backwards=True)
    ),
    "bi_stateful": lambda L: L("Bidirectional")(L("LSTM")(3, stateful=True)),
    "time_dense": lambda L: L("TimeDistributed")(L("Dense")(3, activation="tanh")),
}
# Additional rows that only check configurations.
CONFIG_ROWS = ROWS | {
    "lstm_arguments": lambda L: L("LSTM")(
        3, kernel_regularizer="l2", activity_regularizer="l1", recurrent_constraint="max_norm",
        bias_initializer="ones", dropout=0.1, recurrent_dropout=0.2, seed=4, name="memory",
        trainable=False,
    ),
    "gru_cell": lambda L: L("GRUCell")(3, reset_after=False, seed=2),
    "lstm_cell": lambda L: L("LSTMCell")(3, dropout=0.5),
    "simple_cell": lambda L: L("SimpleRNNCell")(3, activation="relu"),
}  # fmt: skip


@pytest.mark.parametrize("row", mostly_slow(ROWS, list(ROWS)[::4]))
def test_values(row):
    x = data(B, T, C)
    layer, reference = with_equal_weights(ROWS[row], x)
    assert [(w.path, w.shape) for w in layer.weights] == [
        (w.path, w.shape) for w in reference.weights
    ]
    assert len(layer.variables) == len(reference.variables)
    result, expected = layer(x), reference(x)
    assert isinstance(result, tuple) == isinstance(expected, tuple)
    close(result, expected)
    if "stateful" in row:
        close(layer(x), reference(x))  # both continue from the last states
        # If the first steps are masked, Keras repeats the initial state unless unrolled; here the
        # output is zero.
        layer.reset_state(), reference.reset_state()
    close(layer(x, mask=MASK), reference(x, mask=MASK))


# For two directions of different sizes, Keras reports the forward size twice.
@pytest.mark.parametrize("row", [row for row in ROWS if row != "bi_backward_layer"])
def test_symbolic_shapes(row):
    shape = (B, T, C) if "stateful" in row else (None, None, C)
    layer, reference = pair(ROWS[row])
    symbolic = layer(hb.Input(batch_shape=shape))
    expected = reference(keras.Input(batch_shape=shape))
    assert [x.shape for x in hb.tree.flatten(symbolic)] == [
        x.shape for x in keras.tree.flatten(expected)
    ]
    assert [x.dtype for x in hb.tree.flatten(symbolic)] == [
        x.dtype for x in keras.tree.flatten(expected)
    ]


@pytest.mark.parametrize("row", CONFIG_ROWS)
def test_config(row):
    keras.utils.clear_session(free_memory=False)
    layer, reference = pair(CONFIG_ROWS[row])
    assert plain(layer.get_config()) == plain(reference.get_config())
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    "row", mostly_slow(["simple", "lstm", "gru", "gru_before", "rnn_stack", "bi_sum"], ["lstm"])
)
def test_gradients(row):
    x = data(B, T, C)
    layer, reference = with_equal_weights(ROWS[row], x)

    def loss(outputs):
        return sum(jnp.sum(jnp.square(y)) for y in hb.tree.flatten(outputs))

    _, result = value_and_grad(lambda: loss(layer(x, mask=MASK)), layer.trainable_variables)

    @jax.jit
    @jax.grad
    def plain(values):
        others = [v.value for v in reference.non_trainable_variables]
        return loss(reference.stateless_call(values, others, x, mask=MASK)[0])

    expected = plain([v.value for v in reference.trainable_variables])
    for a, b in zip(result, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


STATES = {
    "simple": (3,), "lstm": (3, 3), "gru": (3,), "bi": (3, 3, 3, 3), "rnn_cell": (3,),
    "gru_stateful": (3,),
}  # fmt: skip


@pytest.mark.parametrize("row", STATES)
def test_initial_state(row):
    x = data(B, T, C)
    layer, reference = with_equal_weights(ROWS[row], x)
    start = [data(B, n, seed=i) for i, n in enumerate(STATES[row])]
    expected = reference(x, initial_state=[jnp.asarray(s) for s in start])
    close(layer(x, initial_state=start), expected)
    if "stateful" not in row:
        close(layer([x, *start]), expected)  # the form of Keras 1 and 2
        symbolic = [hb.Input(s.shape[1:]) for s in start]
        inputs = hb.Input((None, C))
        model = hb.Model([inputs, *symbolic], layer(inputs, initial_state=symbolic))
        close(model([x, *start]), expected)


def test_initial_state_errors():
    layer = recurrent.LSTM(3)
    with pytest.raises(ValueError, match="must hold 2 states"):
        layer(data(B, T, C), initial_state=[data(B, 3)])
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        layer(data(B, T, C), initial_state=[data(B, 4), data(B, 4)])


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_equal_seeds_start_alike(name):
    x = data(B, T, C)
    results = []
    for library in (hb, keras):
        library.utils.set_random_seed(3)
        layer = getattr(library.layers, name)(3, return_sequences=True)
        results.append([layer(x), *layer.weights])
    close(*results)


DRAWS = {
    "simple": lambda L, **options: L("SimpleRNN")(3, **options),
    "lstm": lambda L, **options: L("LSTM")(3, return_sequences=True, **options),
    "gru": lambda L, **options: L("GRU")(3, go_backwards=True, **options),
    "gru_before": lambda L, **options: L("GRU")(3, reset_after=False, **options),
    "stack": lambda L, **options: L("RNN")(
        [L("GRUCell")(3, **options), L("LSTMCell")(2, **options)]
    ),
    "bi": lambda L, **options: L("Bidirectional")(L("LSTM")(3, **options)),
    "conv": lambda L, **options: L("ConvLSTM1D")(3, 2, **options),
}


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        # Without the slow tests: single rates run for one layer, both rates together for all
        # layers.
        pytest.param(name, rates, marks=() if name == "lstm" or all(rates) else pytest.mark.slow)
        for name in DRAWS
        for rates in ((0.3, 0.0), (0.0, 0.4), (0.3, 0.4))
    ],
)
def test_seeded_dropout_draws_what_keras_draws(name, rates):
    x = data(B, T, 5, C) if name == "conv" else data(B, T, C)
    options = {"dropout": rates[0], "recurrent_dropout": rates[1], "seed": 5}
    layer, reference = pair(lambda L: DRAWS[name](L, **options))
    # The layers are not called outside training, because Keras draws random numbers there too.
    for one in (layer, reference):
        one.build(x.shape)
        one.set_weights([data(*w.shape, seed=i) for i, w in enumerate(one.weights)])
    for _ in range(2):
        close(layer(x, training=True), reference(x, training=True))


def test_dropout_is_one_draw_a_sequence():
    cell = recurrent.SimpleRNNCell(
        6,
        dropout=0.5,
        kernel_initializer="identity",
        recurrent_initializer="zeros",
        activation="linear",
    )
    for layer in (
        recurrent.RNN(cell, return_sequences=True),
        recurrent.RNN([cell], return_sequences=True),
    ):
        x = np.ones((3, 7, 6), "float32")
        first, second = (np.asarray(layer(x, training=True)) for _ in range(2))
        assert (first == first[:, :1]).all()
        assert set(np.unique(first)) == {0.0, 2.0}
        assert (first != second).any()
        assert (np.asarray(layer(x)) == 1).all()


def test_states_are_kept_until_reset():
    x = data(B, 6, C)
    layer = recurrent.LSTM(3, stateful=True, return_sequences=True)
    whole = layer(x)
    assert layer.weights == layer.trainable_weights
    layer.reset_states()
    parts = [layer(x[:, :2]), layer(x[:, 2:])]
    close(jnp.concatenate(parts, axis=1), whole)
    assert all(isinstance(state, Variable) and not state.trainable for state in layer.states)
    layer.reset_state()
    assert not any(np.any(state.numpy()) for state in layer.states)
    with pytest.raises(ValueError, match="fixed size"):
        layer(x[:1])
    with pytest.raises(ValueError, match="batch size"):
        recurrent.GRU(3, stateful=True)(hb.Input((4, 5)))


def test_states_are_kept_through_fit():
    x, y = data(4, T, C), data(4, 3)
    model = hb.Sequential(
        [hb.Input(batch_shape=(2, T, C)), recurrent.LSTM(3, stateful=True, dropout=0.2)]
    )
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    kept = [state.numpy() for state in model.layers[-1].states]
    assert all(np.any(state) for state in kept)
    model.predict(x, batch_size=2, verbose=0)
    assert any(
        (state.numpy() != before).any()
        for state, before in zip(model.layers[-1].states, kept, strict=True)
    )


class Counting(hb.layers.Layer):
    """A user's cell: a dense step with dropout and a counter."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units
        self.dense, self.drop = Dense(units), hb.layers.Dropout(0.5)

    def build(self, input_shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, inputs, states, training=False):
        self.calls.assign_add(1.0)
        h = self.drop(self.dense(inputs) + states[0])
        return h, [h]


@pytest.mark.parametrize("stacked", [False, True])
def test_cells_of_the_user(stacked):
    cell = Counting(3)
    layer = recurrent.RNN(
        [recurrent.GRUCell(4), cell] if stacked else cell, return_sequences=True, return_state=True
    )
    outputs, *states = layer(data(B, T, C), training=True)
    assert outputs.shape == (B, T, 3)
    assert float(cell.calls) == T
    assert 0 < np.mean(np.diff(np.asarray(outputs), axis=1) == 0) < 1 or np.any(
        np.asarray(outputs) == 0
    )
    close(hb.tree.flatten(states)[-1], outputs[:, -1])
    dropped = np.asarray(outputs) == 0
    assert (dropped[:, :1] != dropped).any()  # every step has its own draw
    jitted = jax.jit(lambda x: layer.stateless_call([v.value for v in layer.trainable_variables],
        [v.value for v in layer.non_trainable_variables], x)[0][0])  # fmt: skip
    close(jitted(data(B, T, C)), layer(data(B, T, C))[0])


def test_subclasses_that_override_the_step():
    class Doubled(recurrent.GRUCell):
        def call(self, inputs, states, training=False):
            output, states = super().call(inputs, states, training)
            return 2 * output, states

    x = data(B, T, C)
    plain, doubled = recurrent.RNN(recurrent.GRUCell(3)), recurrent.RNN(Doubled(3))
    plain.build(x.shape), doubled.build(x.shape)
    doubled.set_weights(plain.get_weights())
    close(doubled(x), 2 * plain(x))


def test_time_major():
    x = data(B, T, C)
    layer = recurrent.GRU(3, return_sequences=True)
    major = recurrent.GRU(3, return_sequences=True, time_major=True)
    expected = layer(x, mask=MASK)
    major.build((T, B, C))
    major.set_weights(layer.get_weights())
    close(jnp.swapaxes(major(x.swapaxes(0, 1), mask=MASK.T), 0, 1), expected)


def test_masks_travel():
    x = data(B, T, C) * MASK[..., None]
    make = {
        "time": lambda L: [L("Masking")(), L("TimeDistributed")(L("Dense")(4)), L("GRU")(3)],
        "bi": lambda L: [
            L("Masking")(),
            L("Bidirectional")(L("LSTM")(3, return_sequences=True)),
            L("LSTM")(2),
        ],
    }
    for row in make.values():
        layers, references = pair(row)
        model = hb.Sequential([hb.Input((T, C)), *layers])
        reference = keras.Sequential([keras.Input((T, C)), *references])
        model.set_weights(reference.get_weights())
        close(model(x), reference(x))
    assert isinstance(layers[0], Masking)


def test_time_distributed_recurrence_and_convolution():
    cases = [
        (lambda L: L("TimeDistributed")(L("LSTM")(3)), (B, T, 6, C)),
        (lambda L: L("TimeDistributed")(L("Conv2D")(3, 2)), (B, T, 5, 5, 2)),
    ]
    for make, shape in cases:
        x = data(*shape)
        layer, reference = with_equal_weights(make, x)
        close(layer(x), reference(x))
    deep = np.random.RandomState(1).rand(B, T, 6) > 0.4
    inner, outer = recurrent.LSTM(3), None
    outer = bidirectional.TimeDistributed(inner)
    x = data(B, T, 6, C)
    close(outer(x, mask=deep)[:, 1], inner(x[:, 1], mask=deep[:, 1]))


STEPS_LEAVE = {
    "dropout": lambda L: L("Dropout")(0.5, seed=3),
    "batch_normalization": lambda L: L("BatchNormalization")(momentum=0.5),
    "activity": lambda L: L("Dense")(2, activity_regularizer="l2", kernel_initializer="ones"),
    "noise": lambda L: L("GaussianNoise")(0.5, seed=4),
}


@pytest.mark.parametrize("name", STEPS_LEAVE)
@pytest.mark.parametrize("training", [False, True])
def test_time_distributed_steps_that_leave_something(name, training):
    """Seeds, moving averages and losses carry over from step to step, in a layer and in a model."""
    inner, inner_reference = pair(STEPS_LEAVE[name])
    layer, reference = (
        bidirectional.TimeDistributed(inner),
        keras.layers.TimeDistributed(inner_reference),
    )
    model = hb.Sequential([hb.Input((T, C)), layer])
    for seed in range(2):
        x = data(B, T, C, seed=seed)
        expected = reference(x, training=training)
        close((model if seed else layer)(x, training=training), expected)
        if name == "activity":
            # Keras loses these losses, so the reference is the inner layer on all steps.
            inner_reference(x)
            total = sum(float(loss) for loss in (model if seed else layer).losses)
            assert total == pytest.approx(float(inner_reference.losses[0]), rel=1e-5)
        for ours_, theirs in zip(inner.variables, inner_reference.variables, strict=True):
            close(ours_, theirs)


UNFIT_FOR_CUDNN = [
    ("LSTM", {}, False), ("LSTM", {"activation": "relu"}, False),
    ("LSTM", {"use_bias": False}, False),
    ("LSTM", {"recurrent_dropout": 0.2}, False), ("LSTM", {"unroll": True}, False),
    ("LSTM", {}, True),
    ("GRU", {"recurrent_dropout": 0.2}, False), ("GRU", {"unroll": True}, False),
    ("GRU", {"reset_after": False}, False),
    ("GRU", {}, True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "masked"), UNFIT_FOR_CUDNN)
def test_insisting_on_cudnn(name, arguments, masked):
    """`use_cudnn=True` raises an error where Keras on CPU raises one."""
    for library in (hb, keras):
        layer = getattr(library.layers, name)(3, use_cudnn=True, **arguments)
        with pytest.raises(ValueError, match="use_cudnn"):
            layer(data(B, T, C), mask=MASK if masked else None)
    with pytest.raises(ValueError, match="use_cudnn"):
        bidirectional.Bidirectional(layer_with(name, arguments))(
            data(B, T, C), mask=MASK if masked else None
        )


def layer_with(name, arguments):
    return ours(name)(3, use_cudnn=True, **arguments)


def test_use_cudnn_where_keras_takes_it():
    for arguments in ({}, {"activation": "relu", "use_bias": False, "dropout": 0.0}):
        layer, reference = with_equal_weights(
            lambda L, a=arguments: L("GRU")(3, use_cudnn=True, **a), data(B, T, C)
        )
        close(layer(data(B, T, C)), reference(data(B, T, C)))
        assert "use_cudnn" not in layer.get_config()
    with pytest.raises(ValueError, match="`use_cudnn` must be"):
        recurrent.GRU(3, use_cudnn="yes")


@pytest.mark.parametrize(
    "arguments",
    [
        {"return_sequences": True, "return_state": True},
        {"go_backwards": True, "dropout": 0.4, "seed": 1},
        {"stateful": True},
    ],
)
def test_cudnn_gets_what_the_plain_loop_gets(arguments, gpu):
    x = data(B, T, C)
    results = []
    for use_cudnn in (False, "auto", True):
        layer = recurrent.LSTM(3, use_cudnn=use_cudnn, **arguments)
        layer.build(x.shape)
        layer.set_weights([data(*w.shape, seed=i) / 2 for i, w in enumerate(layer.weights)])
        gpu.clear()
        results.append([layer(x, training=True), layer(x[:, ::-1], training=False)])
        assert gpu == ([] if use_cudnn is False else [3, 3])
    close(results[0], results[1])
    close(results[0], results[2])
    gpu.clear()
    if "return_state" in arguments:
        with hb.ops.routes.portable():
            layer(x)
        with pytest.raises(ValueError, match="only for float32"):
            recurrent.LSTM(3, use_cudnn=True, dtype="bfloat16")(x)
        with pytest.raises(ValueError, match="there is nothing to compute"):
            recurrent.LSTM(3, use_cudnn=True)(x[:0])
        for other in (
            {"dtype": "bfloat16"},
            {"unroll": True},
            {"activation": "relu"},
            {"use_bias": False},
        ):
            recurrent.LSTM(3, **other)(x)
        recurrent.LSTM(3)(x, mask=MASK)
        recurrent.LSTM(3)(x[:0])
        recurrent.GRU(3, reset_after=False)(x)
        assert gpu == []


@pytest.mark.slow
def test_derivatives_with_cudnn(gpu):
    """First derivatives use the kernels; vmap, tangents and second derivatives the plain path."""
    x, start = data(T, B, C), data(2, B, 3, seed=1)
    weights = [data(*shape, seed=i) / 2 for i, shape in enumerate([(C, 12), (3, 12), (12,)])]
    operands = [jnp.asarray(a) for a in (x, *weights, start)]

    def loss(run, *operands):
        hs, last = run(*operands)
        return jnp.sum(jnp.sin(hs)) + jnp.sum(jnp.cos(last))

    def of(run):
        gradient = jax.grad(functools.partial(loss, run), range(5))
        yield jax.jit(gradient)(*operands)
        yield gradient(*operands)
        assert set(gpu.backwards) == ({3} if run is cudnn.cudnn_lstm else set())
        tangent = [jnp.ones_like(a) for a in operands]
        yield jax.jvp(functools.partial(loss, run), operands, tangent)
        yield jax.jvp(gradient, operands, tangent)
        yield jax.jit(jax.grad(lambda *a: sum(jnp.sum(g * g) for g in gradient(*a)), range(5)))(
            *operands
        )
        yield jax.vmap(gradient, (0, *[None] * 4))(
            jnp.stack([operands[0], -operands[0]]), *operands[1:]
        )
        yield jax.linear_transpose(
            lambda dx: jax.jvp(lambda x: run(x, *operands[1:])[0], (x,), (dx,))[1], x
        )(operands[0][..., :3])
        yield jax.grad(jax.checkpoint(functools.partial(loss, run)))(*operands)

    expected = list(of(cudnn._lstm))
    for result, by_plain in zip(of(cudnn.cudnn_lstm), expected, strict=True):
        close(result, by_plain)


@pytest.fixture
def gpu(monkeypatch):
    """Simulate cuDNN with JAX's reference implementation in place of the kernels.

    Returns the units of each LSTM that ran on cuDNN. Its `backwards` lists the units of each
    compiled gradient.
    """
    from jax.experimental import rnn
    from jax.interpreters import ad

    from hornbeam.ops.primitive import define

    class Asked(list):
        backwards: list

    def reference(x, h, c, weights, lengths, inputs, units):
        parts = rnn.unpack_lstm_weights(weights, inputs, units, 1, False)
        return rnn.lstm_ref(x, h, c, *parts, lengths, inputs, units, 1, 0.0, False)

    def forward(x, h, c, weights, lengths, inputs, units, *others):
        assert others == (1, 0.0, False, None)
        return reference(x, h, c, weights, lengths, inputs, units), (
            x,
            h,
            c,
            weights,
            lengths,
            None,
            jnp.ones(7),
        )

    def backward(inputs, units, *others):
        *others, (*operands, lengths, hs, reserve), given = others
        assert others == [1, 0.0, False, None]
        assert reserve.shape == (7,)
        assert hs.shape == given[0].shape
        asked.backwards.append(units)
        back = jax.vjp(lambda *operands: reference(*operands, lengths, inputs, units), *operands)[1]
        return *back(tuple(given)), jnp.zeros_like(lengths)

    def kernel(*operands):
        asked.append(operands[2].shape[0])
        return cudnn.cudnn_lstm(*operands)

    asked = Asked()
    asked.backwards = []
    monkeypatch.setattr(rnn, "lstm_fwd", forward)
    monkeypatch.setattr(rnn, "lstm_bwd", backward)
    monkeypatch.setattr("hornbeam.ops.routes.compute_capability", lambda: (9, 0))
    monkeypatch.setattr("hornbeam.layers.recurrent.cudnn_lstm", kernel)
    # Define separate primitives whose kernels run on CPU.
    for name in ("_run", "_pull"):
        plain, shapes, by_kernel = (
            getattr(cudnn, f"{name}_{part}") for part in ("plain", "shapes", "kernel")
        )
        primitive = define(name, plain, shapes, {"cpu": by_kernel}, ["keep"], many=True)
        monkeypatch.setattr(cudnn, f"{name}_p", primitive)
    ad.primitive_jvps[cudnn._run_p] = cudnn._run_jvp
    ad.primitive_transposes[cudnn._pull_p] = functools.partial(
        cudnn._transpose, lambda: cudnn._push_p, 2
    )
    return asked


def test_mixed_precision():
    for make in (ROWS["lstm_sequences_state"], ROWS["bi"], ROWS["rnn_stack"]):
        hb.config.set_dtype_policy("mixed_bfloat16")
        layer = make(ours)
        outputs = flat(layer(data(B, T, C), mask=MASK))
        assert {str(x.dtype) for x in outputs} == {"bfloat16"}
        assert {w.dtype for w in layer.weights} == {"float32"}


BAD = [
    (lambda: recurrent.LSTM(0), "`units` must be a positive integer"),
    (lambda: recurrent.RNN(3), "`cell` takes cells"),
    (lambda: recurrent.StackedRNNCells([recurrent.GRUCell(2), "x"]), "`cells` takes cells"),
    (lambda: bidirectional.Bidirectional(3), "must be a layer"),
    (lambda: bidirectional.Bidirectional(Dense(3)), "no recurrent layer"),
    (
        lambda: bidirectional.Bidirectional(recurrent.GRU(3), merge_mode="max"),
        "`merge_mode` must be one of",
    ),
    (
        lambda: bidirectional.Bidirectional(recurrent.GRU(3), backward_layer=recurrent.GRU(3)),
        "different directions",
    ),
    (
        lambda: bidirectional.Bidirectional(
            recurrent.GRU(3),
            backward_layer=recurrent.GRU(3, go_backwards=True, return_sequences=True),
        ),
        "same `return_sequences`",
    ),
    (lambda: bidirectional.TimeDistributed("x"), "must be a layer"),
    (lambda: bidirectional.TimeDistributed(Dense(2))(data(B, C)), "at least 3 dimensions"),
    (lambda: recurrent.LSTM(2)(data(B, C)), "must have 3 dimensions"),
]


@pytest.mark.parametrize(("make", "text"), BAD, ids=[row[1] for row in BAD])
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_weights_argument_and_delegated_properties():
    shapes = [(C, 12), (3, 12), (12,)] * 2
    values = [data(*s, seed=i) for i, s in enumerate(shapes)]
    layer = bidirectional.Bidirectional(recurrent.LSTM(3), weights=values)
    layer(data(B, T, C))
    close(layer.get_weights(), values)
    lstm = recurrent.LSTM(3, dropout=0.1, use_bias=False)
    assert (lstm.units, lstm.dropout, lstm.use_bias, lstm.state_size) == (3, 0.1, False, [3, 3])
    assert lstm.activation is lstm.cell.activation
    lstm.trainable = False
    lstm(data(B, T, C))
    assert not lstm.trainable_weights
