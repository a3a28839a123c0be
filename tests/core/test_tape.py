"""Gradient tapes below the stand-in `tensorflow`: what is recorded, and how."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hornbeam as hb
from hornbeam import ops
from hornbeam.core.tape import Tape
from hornbeam.core.tape_trace import tape_trace


def gradients(function: Any, *sources: Any) -> list[Any]:
    tape = Tape()
    with tape.recording():
        for x in sources:
            tape.watch(x)
        y = function()
    return tape.pull_back([y], [jnp.ones_like(y)], sources)


def test_jax_numpy_ops_and_operators_are_recorded() -> None:
    x = jnp.asarray(1.5)

    def mixed() -> Any:
        y = jnp.sin(x) * ops.exp(x) + jax.nn.relu(x) ** 2 + jax.nn.softplus(x)
        y = y + jax.jit(lambda a: a * 3)(x) + jax.vmap(lambda a: a * x)(jnp.arange(3.0)).sum()
        return (
            y + jax.grad(lambda a: a**3)(x) + jax.lax.scan(lambda c, i: (c * x, c), x, None, 2)[0]
        )

    def plain(x: Any) -> Any:
        y = jnp.sin(x) * jnp.exp(x) + x**2 + jax.nn.softplus(x) + x * 3 + 3 * x
        return y + 3 * x**2 + x**3

    for _ in range(2):  # the second time by what is kept
        np.testing.assert_allclose(gradients(mixed, x)[0], jax.grad(plain)(x), rtol=1e-5)


def test_functions_that_close_over_followed_values_are_connected() -> None:
    x, w = jnp.arange(3.0), jnp.asarray(2.0)
    found = gradients(lambda: ops.sum(ops.map(lambda row: row * w, x)), x, w)
    assert [np.asarray(g).tolist() for g in found] == [[2, 2, 2], 3]

    layer = hb.layers.Dense(
        1, activation=lambda y: y * w, use_bias=False, kernel_initializer="ones"
    )
    a = jnp.ones((1, 2))
    layer(a)
    assert float(gradients(lambda: ops.sum(layer(a)), w)[0]) == 2


def test_two_variables_that_share_an_array_are_told_apart() -> None:
    one = hb.Variable(jnp.asarray(3.0))
    two = hb.Variable(0.0)
    two.assign(one.value)
    found = gradients(lambda: one.value * 2 + two.value * 5, one, two)
    assert [float(g) for g in found] == [2, 5]


def test_programs_inside_a_tape_keep_working() -> None:
    model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, w = np.ones((4, 2), "float32"), hb.Variable(2.0)
    tape = Tape()
    with tape.recording():
        model.fit(x, np.ones((4, 1)), verbose=0)
        y = w.value * float(model.predict(x, verbose=0).sum() * 0 + 3)
    assert float(tape.pull_back([y], [jnp.ones(())], [w])[0]) == 3
    assert tape_trace() is None


def test_masks_losses_and_states_of_a_recorded_layer_count() -> None:
    layers = [
        hb.layers.Embedding(5, 2, mask_zero=True),
        hb.layers.Dense(2, activity_regularizer="l2"),
    ]
    model = hb.Sequential([hb.Input((3,), dtype="int32"), *layers])
    x = jnp.asarray([[1, 2, 0]])
    wanted = model(x, training=False)
    tape = Tape()
    with tape.recording():
        y = model(x, training=True)
        penalty = sum(model.losses)
    np.testing.assert_allclose(y, wanted, rtol=1e-6)
    assert np.asarray(y._keras_mask).tolist() == [[True, True, False]]
    found = tape.pull_back([penalty], [jnp.ones(())], model.trainable_variables)
    assert all(float(jnp.abs(g).max()) > 0 for g in found[:2])
