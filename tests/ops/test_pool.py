"""Pooling against Keras and NumPy: values, gradients, ties and transformations."""

import itertools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from hornbeam import ops

rng = np.random.default_rng(0)


def draw():
    """Return a random pooling: name, input and arguments. Every third input is full of ties."""
    rank = int(rng.integers(1, 4))
    space = rng.integers(1, (40, 14, 8)[rank - 1], rank)
    window = np.minimum(rng.integers(1, (24, 10, 6)[rank - 1], rank), space)
    data_format = str(rng.choice(["channels_last", "channels_first"]))
    shape = (2, *space, 3) if data_format == "channels_last" else (2, 3, *space)
    x = rng.normal(size=shape).astype("float32")
    if rng.integers(3) == 0:
        x = np.floor(x)
    strides = tuple(map(int, rng.integers(1, 5, rank)))
    padding = str(rng.choice(["valid", "same"]))
    return (
        str(rng.choice(["max_pool", "average_pool"])),
        x,
        (tuple(map(int, window)), strides, padding, data_format),
    )


DRAWS = [draw() for _ in range(300)]


@pytest.mark.parametrize(
    "first", [0, *[pytest.param(i, marks=pytest.mark.slow) for i in range(6, 300, 6)]]
)
def test_sweep(first):
    """Values and gradients, also of ties, equal Keras's, which use XLA's reduce-window."""
    for name, x, arguments in DRAWS[first : first + 6]:
        upstream = rng.normal(size=getattr(ops, name)(x, *arguments).shape).astype("float32")
        results = []
        for library in (ops, keras.ops):

            @jax.jit
            def both(x, dy, library=library, name=name, arguments=arguments):
                result, back = jax.vjp(lambda x: getattr(library, name)(x, *arguments), x)
                return result, back(dy)[0]

            results.append(both(x, upstream))
        (result, gradient), (expected, reference) = results
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
@pytest.mark.parametrize("window", [2, 3, 11])
def test_transformations(name, window):
    """jit, vmap, scan, forward mode and second derivatives agree with the plain call.

    The program contains no scatter.
    """
    x = jnp.asarray(rng.normal(size=(3, 2, 13, 2)), "float32")
    v = jnp.asarray(rng.normal(size=x.shape), "float32")

    def pool(x):
        return getattr(ops, name)(x, window, 2, "same")

    def loss(x):
        return jnp.sum(jnp.sin(pool(x)))

    one_by_one = jnp.stack([pool(row) for row in x])
    np.testing.assert_allclose(jax.jit(jax.vmap(pool))(x), one_by_one, rtol=1e-6)
    np.testing.assert_allclose(
        jax.lax.scan(lambda _, row: (0, pool(row)), 0, x)[1], one_by_one, rtol=1e-6
    )
    row, tangent = x[0], v[0]
    gradient = jax.grad(loss)(row)
    along = jax.jvp(loss, (row,), (tangent,))[1]
    np.testing.assert_allclose(along, jnp.vdot(gradient, tangent), rtol=1e-4)
    forward_over_reverse = jax.jvp(jax.grad(loss), (row,), (tangent,))[1]
    reverse_over_reverse = jax.grad(lambda x: jnp.vdot(jax.grad(loss)(x), tangent))(row)
    np.testing.assert_allclose(forward_over_reverse, reverse_over_reverse, rtol=1e-4, atol=1e-5)
    step = 1e-2
    difference = (jax.grad(loss)(row + step * tangent) - jax.grad(loss)(row - step * tangent)) / (
        2 * step
    )
    if name == "average_pool":  # another element may become the maximum within the step
        np.testing.assert_allclose(forward_over_reverse, difference, rtol=1e-2, atol=1e-3)
    program = jax.jit(jax.grad(loss)).lower(row).compile().as_text()
    assert "select-and-scatter" not in program
    assert "reduce-window" not in program


def test_against_numpy():
    """Windows of all widths along one axis, for every way in which the op combines them."""
    x = rng.normal(size=(1, 40, 1))
    for width, stride in itertools.product((1, 5, 6, 7, 8, 13, 31, 40), (1, 3, 50)):
        windows = [x[0, i : i + width, 0] for i in range(0, 40 - width + 1, stride)]
        for name, reduce in (("max_pool", np.max), ("average_pool", np.mean)):
            result = getattr(ops, name)(x.astype("float32"), width, stride)
            np.testing.assert_allclose(
                result[0, :, 0], [reduce(w) for w in windows], rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("window", [2, 3, 9])
def test_nan_and_integers(window):
    x = rng.normal(size=(1, 20, 1)).astype("float32")
    x[0, [3, 11]] = np.nan
    np.testing.assert_array_equal(ops.max_pool(x, window, 2), keras.ops.max_pool(x, window, 2))
    whole = rng.integers(-9, 9, (1, 20, 2)).astype("int32")
    result = ops.max_pool(whole, window, 1, "same")
    np.testing.assert_array_equal(result, keras.ops.max_pool(whole, window, 1, "same"))
    assert result.dtype == "int32"


@pytest.mark.parametrize("shape", [(0, 5, 5, 2), (2, 5, 5, 0), (2, 0, 5, 2)])
def test_empty(shape):
    for name in ("max_pool", "average_pool"):
        result = getattr(ops, name)(np.zeros(shape, "float32"), 3, 2, "same")
        assert result.shape == (shape[0], -(-shape[1] // 2), 3, shape[3])


def test_window_larger_than_input():
    with pytest.raises(ValueError, match="larger than the input"):
        ops.max_pool(np.zeros((1, 4, 1), "float32"), 5)
