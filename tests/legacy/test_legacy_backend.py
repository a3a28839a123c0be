"""The functions of `keras.backend` in Keras 1 and 2 against NumPy.

The literal numbers come from tf_keras 2.21.
"""

import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.legacy import backend as K

R = np.random.RandomState(0)
X = R.randn(2, 3, 4).astype("float32")
Y = R.randn(2, 4, 5).astype("float32")
V = R.rand(2, 4).astype("float32")
IMAGE = R.randn(2, 4, 5, 3).astype("float32")
HOT = np.eye(4, dtype="float32")[[1, 2]]


def kept_first(x):
    return np.transpose(x, (0, 3, 1, 2))


# (call, expected result)
ROWS = {
    "axes_as_lists": (lambda: K.mean(X, axis=[0, 2], keepdims=True), X.mean((0, 2), keepdims=True)),
    "any": (lambda: K.any(X > 2, axis=1), (X > 2).any(1)),
    "argmax": (lambda: K.argmax(X), X.argmax(-1)),
    "clip": (lambda: K.clip(X, None, 0.5), np.minimum(X, 0.5)),
    "concatenate": (lambda: K.concatenate([X, X]), np.concatenate([X, X], -1)),
    "cumsum": (lambda: K.cumsum(X), X.cumsum(0)),
    "hard_sigmoid": (lambda: K.hard_sigmoid(X), np.clip(0.2 * X + 0.5, 0, 1)),
    "elu": (lambda: K.elu(X, 0.5), np.where(X > 0, X, 0.5 * np.expm1(X))),
    "sqrt": (lambda: K.sqrt(X), np.sqrt(np.maximum(X, 0))),
    "relu": (lambda: K.relu(X, 0.1, 1.0, 0.2),
        np.minimum(np.where(X >= 0.2, X, 0.1 * (X - 0.2)), 1)),
    "l2_normalize": (lambda: K.l2_normalize(X, -1), X / np.linalg.norm(X, axis=-1, keepdims=True)),
    "dot": (lambda: K.dot(X, Y[0]), X @ Y[0]),
    "batch_dot": (lambda: K.batch_dot(X, Y), X @ Y),
    "batch_dot_axes": (lambda: K.batch_dot(X, X, axes=[1, 1]), np.einsum("bsi,bsj->bij", X, X)),
    "batch_dot_vectors": (lambda: K.batch_dot(V, V), np.sum(V * V, 1, keepdims=True)),
    "batch_dot_mixed": (lambda: K.batch_dot(X, V, axes=(2, 1)), np.einsum("bts,bs->bt", X, V)),
    "batch_flatten": (lambda: K.batch_flatten(X), X.reshape(2, 12)),
    "bias_add": (lambda: K.bias_add(IMAGE, IMAGE[0, 0, 0]), IMAGE + IMAGE[0, 0, 0]),
    "bias_add_first": (
        lambda: K.bias_add(kept_first(IMAGE), IMAGE[0], "channels_first"),
        kept_first(IMAGE) + kept_first(IMAGE[:1])),
    "bias_add_one": (
        lambda: K.bias_add(kept_first(IMAGE), IMAGE[0, 0, 0], "channels_first"),
        kept_first(IMAGE + IMAGE[0, 0, 0])),
    "batch_normalization": (
        lambda: K.batch_normalization(X, X[0, 0], X[0, 1] ** 2, X[0, 2], X[1, 0]),
        (X - X[0, 0]) / np.sqrt(X[0, 1] ** 2 + 1e-3) * X[1, 0] + X[0, 2]),
    "in_training": (
        lambda: K.normalize_batch_in_training(X, X[0, 0], X[1, 1], [0, 1])[0],
        (X - X.mean((0, 1))) / np.sqrt(X.var((0, 1)) + 1e-3) * X[0, 0] + X[1, 1]),
    "one_hot": (lambda: K.one_hot([1, 2], 4), HOT),
    "permute": (lambda: K.permute_dimensions(X, (2, 0, 1)), X.transpose(2, 0, 1)),
    "repeat": (lambda: K.repeat(V, 3), np.repeat(V[:, None], 3, 1)),
    "repeat_elements": (lambda: K.repeat_elements(X, 2, 1), np.repeat(X, 2, 1)),
    "reverse": (lambda: K.reverse(X, [0, 2]), X[::-1, :, ::-1]),
    "gather": (lambda: K.gather(X, [1, 0, 1]), X[[1, 0, 1]]),
    "resize_images": (lambda: K.resize_images(IMAGE, 2, 3, "channels_last"),
        IMAGE.repeat(2, 1).repeat(3, 2)),
    "temporal_padding": (lambda: K.temporal_padding(X, (1, 2)),
        np.pad(X, [(0, 0), (1, 2), (0, 0)])),
    "spatial_padding": (lambda: K.spatial_2d_padding(IMAGE, ((1, 0), (0, 2))),
        np.pad(IMAGE, [(0, 0), (1, 0), (0, 2), (0, 0)])),
    "causal": (
        lambda: K.conv1d(X, Y[:, :4], padding="causal", dilation_rate=2),
        np.pad(X, [(0, 0), (2, 0), (0, 0)])[:, :3] @ Y[0, :4] + X @ Y[1, :4]),
    "pool": (lambda: K.pool2d(IMAGE, (4, 5), pool_mode="avg"), IMAGE.mean((1, 2), keepdims=True)),
    "crossentropy": (lambda: K.categorical_crossentropy(HOT, V),
        -np.log(np.sum(HOT * V, -1) / V.sum(-1))),
    "binary": (lambda: K.binary_crossentropy(HOT, V), -np.log(np.where(HOT == 1, V, 1 - V))),
    "focal": (
        lambda: K.categorical_focal_crossentropy(HOT, V),
        (lambda p: -0.25 * (1 - p) ** 2 * np.log(p))(np.sum(HOT * V, -1) / V.sum(-1))),
    "binary_focal": (
        lambda: K.binary_focal_crossentropy(HOT, V, True, 0.3),
        (lambda p: -np.where(HOT == 1, 0.3, 0.7) * (1 - p) ** 2 * np.log(p))(
            np.where(HOT == 1, V, 1 - V))),
    "ignored": (
        lambda: K.sparse_categorical_crossentropy(np.array([1, 2]), V, ignore_class=2),
        [-np.log(V[0, 1] / V[0].sum()), 0]),
    "foldl": (lambda: K.foldl(lambda a, b: a + 2 * b, X), X[0] + 2 * X[1]),
    "foldr": (lambda: K.foldr(lambda a, b: a + 2 * b, X), X[1] + 2 * X[0]),
    "map": (lambda: K.map_fn(lambda x: 2 * x, X), 2 * X),
    "switch": (lambda: K.switch(jnp.array([True, False]), V, -V), V * [[1], [-1]]),
    "switch_functions": (lambda: K.switch(K.constant(1.0) > 0, lambda: V, lambda: -V), V),
    "rnn": (
        lambda: K.rnn(lambda x, states: (x + states[0], [x]), X, [V])[1],
        X + np.stack([V, X[:, 0], X[:, 1]], 1)),
    "rnn_masked": (
        lambda: K.rnn(lambda x, states: (x + states[0], [x + states[0]]), X, [V],
            mask=jnp.array([[1, 0, 1], [1, 1, 0]]))[0],
        V + np.stack([X[0, 0] + X[0, 2], X[1, 0] + X[1, 1]])),
    "rnn_backwards": (
        lambda: K.rnn(lambda x, s: (x, [x + s[1]]), X, [V], go_backwards=True, constants=[V])[2][0],
        X[:, 0] + V),
    "ctc": (  # one label, two steps: the first, the second or both emit it
        lambda: K.ctc_batch_cost(np.array([[0]]), np.full((1, 2, 2), 0.5, "float32"),
            np.array([[2]]), np.array([[1]])),
        [[-np.log(0.75)]]),
    "transposed": (  # the larger of the two sizes that fit strides of 2
        lambda: K.conv2d_transpose(IMAGE, np.ones((1, 1, 2, 3), "float32"), (2, 8, 10, 2), (2, 2),
            "valid")[:, ::2, ::2, 0],
        IMAGE.sum(-1)),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_values(name):
    call, expected = ROWS[name]
    np.testing.assert_allclose(np.asarray(call()), expected, rtol=1e-5, atol=1e-5)


def test_variables():
    x = K.variable([1.0, 2.0], name="x")
    K.update_add(x, [1.0, 1.0])
    K.update_sub(x, [0.5, 0.5])
    K.moving_average_update(x, np.array([4.0, 4.0]), 0.5)
    np.testing.assert_allclose(K.get_value(x), [2.75, 3.25])
    K.batch_set_value([(x, [5.0, 6.0])])
    assert K.batch_get_value([x])[0].tolist() == K.eval(x).tolist() == [5.0, 6.0]
    assert (K.count_params(x), K.int_shape(x), K.ndim(x), K.dtype(x)) == (2, (2,), 1, "float32")
    assert K.random_normal_variable((2, 3), 0.0, 1.0).shape == (2, 3)


def test_graphs():
    """`function`, with a learning phase and with inner tensors, and `gradients`."""
    inputs = hb.Input((3,))
    inner = hb.layers.Dense(4, activation="tanh")(inputs)
    model = hb.Model(inputs, hb.layers.Dropout(0.5)(inner))
    run = K.function([model.input, K.learning_phase()], [model.output, inner])
    x = np.ones((2, 3), "float32")
    still, trained = run([x, 0])[0], run([x, 1])[0]
    np.testing.assert_allclose(still, model(x))
    assert (trained == 0).any()
    assert (still != 0).all()
    assert isinstance(still, np.ndarray)
    (gradient,) = K.gradients(K.sum(inner), model.input)
    kernel = model.layers[1].kernel.numpy()
    np.testing.assert_allclose(
        K.function([model.input], gradient)([x]),
        (1 - np.tanh(x @ kernel) ** 2) @ kernel.T,
        rtol=1e-4,
    )
    with pytest.raises(ValueError, match="list of 2 values, received 1"):
        run([x])
    with pytest.raises(ValueError, match="symbolic tensor.*or a variable"):
        K.gradients(K.sum(inner), "kernel")


def test_phases():
    class Noisy(hb.layers.Layer):
        def call(self, x):
            return K.in_train_phase(lambda: x + 1.0, x)

    assert float(Noisy()(jnp.zeros(1))[0]) == 0.0
    assert float(hb.Sequential([Noisy()])(jnp.zeros((1, 1)), training=True)[0, 0]) == 1.0
    assert K.in_test_phase(1, 2) == 1
    with K.learning_phase_scope(1):
        assert K.in_train_phase(1, 2) == K.learning_phase() == 1
    assert K.learning_phase() == 0


def test_every_name_is_callable_and_told_of():
    for name in K.__all__:
        assert callable(getattr(K, name)), name
        assert getattr(K, name).__doc__, name
