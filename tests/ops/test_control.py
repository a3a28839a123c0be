"""Variables, random draws and losses inside the functions of conditions, loops and maps."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb
from hornbeam import ops

X = np.arange(12, dtype="float32").reshape(3, 4)


class Noted(hb.layers.Layer):
    """A layer with every kind of effect: a draw, an average, a count and an added loss."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.noise = hb.layers.GaussianNoise(1.0, seed=3)
        self.norm = hb.layers.BatchNormalization(axis=-1, momentum=0.5)
        self.calls = self.add_weight(shape=(), trainable=False, initializer="zeros")

    def build(self, shape):
        self.noise.build(shape)
        self.norm.build((None, shape[-1]))

    def call(self, x):
        self.calls.assign_add(1.0)
        self.add_loss(ops.mean(x) * 0.125)
        return self.norm(self.noise(x, training=True), training=True)


def _times(count, step, x):
    for _ in range(count):
        x = step(x)
    return x


def _rows(step, x):
    return ops.stack([step(row[None])[0] for row in x])


# The op, and the same steps in plain Python.
WAYS = {
    "cond": (lambda f, x: ops.cond(ops.sum(x) > 0, lambda: f(x), lambda: x), lambda f, x: f(x)),
    "cond, other branch": (
        lambda f, x: ops.cond(ops.sum(x) < 0, lambda: f(x), lambda: x), lambda f, x: x),
    "cond, both branches": (
        lambda f, x: ops.cond(ops.sum(x) < 0, lambda: f(x), lambda: f(f(x))),
        lambda f, x: f(f(x))),
    "switch": (
        lambda f, x: ops.switch(ops.cast(ops.sum(x) > 0, "int32"), [lambda x: x, f], x),
        lambda f, x: f(x)),
    "scan": (
        lambda f, x: ops.scan(lambda c, _: (f(c), None), x, length=3)[0],
        lambda f, x: _times(3, f, x)),
    "fori_loop": (
        lambda f, x: ops.fori_loop(0, 3, lambda i, c: f(c), x), lambda f, x: _times(3, f, x)),
    "while_loop": (
        lambda f, x: ops.while_loop(lambda i, c: i < 3, lambda i, c: (i + 1, f(c)), (0, x))[1],
        lambda f, x: _times(3, f, x)),
    "while_loop, condition": (
        lambda f, x: ops.while_loop(
            lambda i, c: ops.max(ops.abs(f(c))) < i, lambda i, c: (i - 9, f(c)), (9, x))[1],
        lambda f, x: _condition(f, x)),
    "map": (lambda f, x: ops.map(lambda row: f(row[None])[0], x), _rows),
    "nested": (
        lambda f, x: ops.fori_loop(
            0, 2, lambda i, c: ops.cond(i > 0, lambda: f(c), lambda: c), x),
        lambda f, x: f(x)),
    "custom_gradient": (
        lambda f, x: ops.custom_gradient(lambda x: (f(x), lambda up: up))(x), lambda f, x: f(x)),
}  # fmt: skip


def _condition(f, x):
    f(x)
    y = f(x)
    f(y)
    return y


class Around(hb.layers.Layer):
    def __init__(self, way, **kwargs):
        super().__init__(**kwargs)
        self.way, self.inner = way, Noted()

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.way(self.inner, x)


@pytest.mark.parametrize("compiled", mostly_slow([False, True], [True]))
@pytest.mark.parametrize("way", WAYS)
def test_effects_are_those_of_plain_python(way, compiled):
    results = []
    for run in WAYS[way]:
        layer = Around(run)
        layer.build((None, 4))
        if compiled:
            values, state, losses = jax.jit(
                lambda x, layer=layer: layer.stateless_call(
                    layer.trainable_variables, layer.non_trainable_variables, x, return_losses=True
                )
            )(X)
        else:
            values, losses = layer(X), layer.losses
            state = layer.non_trainable_variables
        results.append((values, sum(losses), [np.array(v) for v in state]))
    for mine, plain in zip(jax.tree.leaves(results[0]), jax.tree.leaves(results[1]), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-5, atol=1e-5)
    hb.random.normal(())  # the process is still usable


@pytest.mark.parametrize("way", ["cond", "nested", "scan", "map"])
def test_training(way):
    model = hb.Sequential([hb.Input((4,)), Around(WAYS[way][0]), hb.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], batch_size=3, epochs=2, verbose=0)
    plain = Around(WAYS[way][1])
    plain.build((None, 4))
    for _ in range(2):
        plain(X)
    assert float(model.layers[0].inner.calls) == float(plain.inner.calls)


def test_unseeded_draws_in_a_loop_differ():
    drawn = np.array(ops.map(lambda _: hb.random.uniform(()), X))
    assert len(set(drawn.tolist())) == 3


def test_a_loop_sees_new_values_of_variables():
    variable = hb.Variable(1.0)

    def step(carry, x):
        return carry + variable.value, None

    first = ops.scan(step, 0.0, X)[0]
    variable.assign(2.0)
    assert (float(first), float(ops.scan(step, 0.0, X)[0])) == (3.0, 6.0)


TRANSFORMED = {
    "jit": lambda f: jax.jit(f)(X),
    "vmap": lambda f: jax.vmap(f)(X),
    "scan": lambda f: jax.lax.scan(lambda c, x: (c, f(x)), 0.0, X),
    "jit in grad": lambda f: jax.grad(lambda x: jax.jit(f)(x).sum())(X),
}


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("how", TRANSFORMED)
def test_a_value_that_would_not_last(how, inside):
    total = hb.Variable(0.0)
    count = hb.Variable(0, dtype="int32")

    def function(x):
        count.assign(3)  # this value does not depend on the trace
        total.assign_add(ops.sum(x))
        return x

    scope = hb.StatelessScope() if inside else hb.name_scope("plain")
    with scope, pytest.raises(ValueError, match="cannot be assigned inside a function that you"):
        TRANSFORMED[how](function)
    assert (float(total), int(count)) == (0.0, 0 if inside else 3)


@pytest.mark.parametrize("seed", [None, 7])
def test_draws_inside_jit(seed):
    generator = None if seed is None else hb.random.SeedGenerator(seed)
    with pytest.raises(ValueError, match="Pass `seed=`"):
        jax.jit(lambda: hb.random.normal((2,), seed=generator))()
    assert hb.random.normal((2,), seed=generator).shape == (2,)
    with pytest.raises(ValueError, match="Layer 'drop'.*stateless_call"):
        jax.jit(lambda x: hb.layers.Dropout(0.5, name="drop")(x, training=True))(X)


def test_grad_leaves_values_in_variables():
    norm = hb.layers.BatchNormalization(momentum=0.5)
    norm.build((None, 4))
    jax.grad(lambda x: ops.sum(norm(x, training=True)))(X)
    np.testing.assert_allclose(norm.moving_mean, X.mean(0) / 2)


class Sided(hb.layers.Layer):
    """A layer that is a constant for the gradient, by a function with a gradient of its own."""

    def build(self, shape):
        self.scale = self.add_weight(shape=shape[-1:], initializer="ones", name="scale")

    def call(self, x):
        return ops.custom_gradient(lambda z: (z * self.scale, lambda up: 2 * up * self.scale))(x)


@pytest.mark.filterwarnings("ignore:.*no gradient reaches")
@pytest.mark.parametrize("eagerly", [False, True])
def test_a_gradient_of_its_own_may_use_weights(eagerly):
    dense = hb.layers.Dense(4, kernel_initializer="ones", use_bias=False)
    model = hb.Sequential([hb.Input((4,)), dense, Sided()])
    model.compile(hb.optimizers.SGD(0.1), "mse", run_eagerly=eagerly)
    model.fit(np.ones((2, 4)), np.zeros((2, 4)), verbose=0)
    np.testing.assert_allclose(dense.kernel, np.full((4, 4), 1 - 0.1 * 2 * 2), rtol=1e-6)
    np.testing.assert_array_equal(model.layers[1].scale, np.ones(4))


def test_effects_of_all_slices_at_once():
    variable, layer = hb.Variable(1.0, name="count"), hb.layers.Layer()

    def count(row):
        variable.assign_add(2.0)
        return row * 2

    def note(row):
        layer.add_loss(ops.sum(row))
        return row + hb.random.uniform(()) * 0

    np.testing.assert_array_equal(ops.vectorized_map(count, X), X * 2)
    assert float(variable) == 3
    np.testing.assert_array_equal(ops.vectorized_map(note, X), X)
    np.testing.assert_allclose(layer.losses[0], X.sum(), rtol=1e-5)
    with pytest.raises(ValueError, match="depend on the slice to 'count'.*Use `ops.map`"):
        ops.vectorized_map(lambda row: variable.assign(row[0]), X)
