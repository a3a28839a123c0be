"""JAX's functions and transformations take variables; Python's operators take symbolic tensors."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.core.variable import Overlay

VALUE = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")

CALLS = {
    "jit": lambda v: jax.jit(lambda a: a * 2)(v),
    "sum": jnp.sum,
    "two": lambda v: jnp.dot(v, v),
    "lax": lambda v: jax.lax.add(v, v),
    "list": lambda v: jnp.stack([v, v]),
    "grad": jax.grad(lambda a: jnp.sum(jnp.square(a))),
    "vmap": jax.vmap(lambda a: a + 1),
    "scan": lambda v: jax.lax.scan(lambda c, x: (c + x, c), jnp.zeros(2), v)[0],
    "nn": jax.nn.relu,
    "norm": jnp.linalg.norm,
    "jvp": lambda v: jax.jvp(lambda a: a * a, (v,), (v,))[1],
    "linearize": lambda v: jax.linearize(lambda a: a * a, v)[1](jnp.ones((2, 2))),
    "jacfwd": jax.jacfwd(lambda a: a * a),
    "jacrev": lambda v: jax.jacrev(lambda p: p["a"] * p["a"])({"a": v})["a"],
    "hessian": jax.hessian(lambda a: jnp.sum(a * a * a)),
    "result type": lambda v: jnp.ones(2, jnp.result_type(v, "float16")),
    "shape": lambda v: jnp.zeros(jax.eval_shape(lambda a: a @ a, v).shape),
    "regularizer": hb.regularizers.L1L2(0.1, 0.2),
    "orthogonal": hb.regularizers.OrthogonalRegularizer(),
    "constraint": hb.constraints.MaxNorm(),
    "min max": hb.constraints.MinMaxNorm(),
}


@pytest.mark.parametrize("name", CALLS)
def test_variables(name):
    variable, call = hb.Variable(VALUE), CALLS[name]
    np.testing.assert_allclose(call(variable), call(jnp.asarray(VALUE)), rtol=1e-6)
    variable.assign(2 * VALUE)
    np.testing.assert_allclose(call(variable), call(jnp.asarray(2 * VALUE)), rtol=1e-6)


def test_variables_inside_an_overlay():
    variable = hb.Variable(VALUE)

    @jax.jit
    def total(value):
        with Overlay([variable], [value]):
            return jnp.sum(variable)

    assert float(total(jnp.ones((2, 2)))) == 4


def test_arrays_and_symbolic_tensors():
    x = hb.Input((3,))
    for y in (jnp.ones((1, 3)) + x, x * jnp.ones(3), jnp.ones(3) < x, hb.Variable(np.ones(3)) - x):
        assert y.shape == (None, 3)
    assert (jnp.ones((4, 5)) @ hb.Input((5, 3))).shape == (None, 4, 3)
    for call in (jnp.sum, jax.nn.relu, jax.jit(lambda a: a)):
        with pytest.raises((TypeError, ValueError), match="KerasTensor"):
            call(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda shape, dtype: np.ones(shape),
        lambda shape, name=None: hb.Variable(np.ones(shape), name=name),
        lambda shape: np.ones(shape),
        lambda shape, **kwargs: np.ones(shape, kwargs["dtype"]),
    ],
)
def test_functions_as_initializers(function):
    layer = hb.layers.LSTM(2, kernel_initializer=function, bias_initializer=function)
    layer.build((None, 3, 4))
    assert layer.cell.kernel.dtype == "float32"
    np.testing.assert_array_equal(layer.get_weights()[0], 1)


def test_deques_are_nested():
    queue = collections.deque([1, (2, 3)], maxlen=4)
    doubled = hb.tree.map_structure(lambda x: 2 * x, queue)
    assert doubled == collections.deque([2, (4, 6)])
    assert doubled.maxlen == 4
    assert hb.tree.flatten(queue) == [1, 2, 3]
    assert hb.tree.is_nested(queue)
    assert hb.tree.pack_sequence_as(queue, [4, 5, 6]) == collections.deque([4, (5, 6)])
    assert hb.tree.flatten_with_path(queue)[1] == ((1, 0), 2)
