"""The op for standard recurrences on both routes.

It is compared with NumPy in float64, a plain scan, JAX's transformations and the layers.
"""

import functools
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb
from hornbeam.ops import recurrence, routes
from hornbeam.ops.recurrence import CELLS, recur

needs_kernels = pytest.mark.skipif(
    isinstance(routes.kernels(), str), reason="hornbeam-cpu is not installed: pip install ./native"
)


@pytest.fixture(params=["plain", pytest.param("native", marks=needs_kernels)])
def route(request):
    """Run a test on the plain and the native route."""
    before = hb.config.kernels()
    hb.config.set_kernels("plain" if request.param == "plain" else "auto")
    yield request.param
    hb.config.set_kernels(before)


def draw(cell, seed, T=None, B=None, U=None):
    """Return random operands of a recurrence in float64, and a mask or `None`."""
    rng = np.random.default_rng(seed)
    gates, states, _ = CELLS[cell]
    T, B = T or int(rng.integers(1, 8)), int(rng.integers(1, 12)) if B is None else B
    U = U or int(rng.choice([1, 3, 8, 16, 17, 32, 35, 70]))
    shapes = (T, B, gates * U), (U, gates * U), (gates * U,), (states, B, U)
    x, kernel, bias, start = (rng.standard_normal(shape) for shape in shapes)
    return (x, kernel / np.sqrt(U), bias, start), rng.random((T, B)) > 0.4 if seed % 2 else None


def single(arrays):
    return [jnp.asarray(x, "float32") for x in arrays]


def in_numpy(cell, x, kernel, bias, start, mask):
    """Compute the recurrences in NumPy, as the docstring of `recur` defines them."""
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    U, states, outputs = kernel.shape[0], list(start), []
    for t, x_t in enumerate(x):
        h = states[0]
        inner = h @ kernel + bias
        if cell == "simple":
            new = [np.tanh(x_t + inner)]
        elif cell == "lstm":
            i, f, g, o = np.split(x_t + inner, 4, axis=-1)
            c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
            new = [sigmoid(o) * np.tanh(c), c]
        else:
            z, r = np.split(sigmoid((x_t + inner)[:, : 2 * U]), 2, axis=-1)
            candidate = (
                r * inner[:, 2 * U :]
                if cell == "gru"
                else (r * h) @ kernel[:, 2 * U :] + bias[2 * U :]
            )
            new = [z * h + (1 - z) * np.tanh(x_t[:, 2 * U :] + candidate)]
        states = [
            n if mask is None else np.where(mask[t][:, None], n, s)
            for n, s in zip(new, states, strict=True)
        ]
        outputs.append(states[0])
    return np.stack(outputs), np.stack(states)


def in_scan(cell, x, kernel, bias, start, mask):
    """Compute the recurrence with a scan and no primitives, for derivatives."""

    def body(states, now):
        x_t, keep = now
        new, _ = recurrence._step(cell, x_t, states, kernel, bias)
        if keep is not None:
            new = [jnp.where(keep[:, None], a, b) for a, b in zip(new, states, strict=True)]
        return new, new[0]

    states, outputs = jax.lax.scan(body, list(start), (x, mask))
    return outputs, jnp.stack(states)


def loss(function, cell, mask, x, kernel, bias, start):
    outputs, last = function(cell, x, kernel, bias, start, mask)
    return jnp.sum(jnp.sin(outputs)) + jnp.sum(last * jnp.cos(last))


def close(a, b, tolerance=2e-5):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(
            x, y, rtol=tolerance, atol=tolerance * max(1.0, float(np.max(np.abs(y), initial=0)))
        )


SEEDS = [0, 1, *[pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 20)]]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cell", CELLS)
def test_values_and_gradients(cell, seed, route):
    arrays, mask = draw(cell, seed)
    expected = in_numpy(cell, *arrays, mask)

    @jax.jit
    def both(x, *others):
        value = recur(cell, x, *others, mask)
        return value, jax.grad(functools.partial(loss, recur, cell, mask), (0, 1, 2, 3))(x, *others)

    value, gradient = both(*single(arrays))
    close(value, expected)
    close(
        gradient,
        jax.jit(jax.grad(functools.partial(loss, in_scan, cell, mask), (0, 1, 2, 3)))(
            *single(arrays)
        ),
    )
    assert any(
        op.startswith(f"{cell} float32") and taken.name == route
        for op, taken in routes.taken().items()
    )


@pytest.mark.parametrize("cell", CELLS)
def test_float64_directions(cell, route):
    """Gradients along random directions match differences of two losses in float64."""
    arrays, mask = draw(cell, 3, T=5, B=3, U=17)
    gradient = jax.jit(jax.grad(functools.partial(loss, recur, cell, mask), (0, 1, 2, 3)))(
        *single(arrays)
    )
    rng = np.random.default_rng(0)
    for position, array in enumerate(arrays):
        direction = rng.standard_normal(array.shape)
        values = []
        for step in (1e-5, -1e-5):
            moved = [a + step * direction if i == position else a for i, a in enumerate(arrays)]
            outputs, last = in_numpy(cell, *moved, mask)
            values.append(np.sum(np.sin(outputs)) + np.sum(last * np.cos(last)))
        np.testing.assert_allclose(
            np.vdot(gradient[position], direction), (values[0] - values[1]) / 2e-5, 1e-4, 1e-5
        )


@pytest.mark.parametrize("cell", mostly_slow(CELLS, ["lstm"]))
def test_forward_mode_and_second_order(cell, route):
    arrays, mask = draw(cell, 5, T=3, B=2, U=4)
    arrays = single(arrays)
    directions = single(draw(cell, 6, T=3, B=2, U=4)[0])
    results = []
    for function in (recur, in_scan):
        objective = functools.partial(loss, function, cell, mask)
        gradient = jax.grad(objective, (0, 1, 2, 3))

        @jax.jit
        def all_of(objective=objective, gradient=gradient):
            return (
                jax.jvp(objective, arrays, directions),
                jax.jvp(gradient, arrays, directions),
                jax.grad(
                    lambda *a: sum(
                        jnp.vdot(g, d) for g, d in zip(gradient(*a), directions, strict=True)
                    )
                )(*arrays),
            )

        results.append(all_of())
    close(*results, tolerance=1e-4)


@pytest.mark.parametrize("cell", mostly_slow(CELLS, ["lstm", "gru"]))
def test_batches_of_recurrences(cell, route):
    """vmap over all operands and over the data only, forward and backward; scan and remat."""
    (x, kernel, bias, start), mask = draw(cell, 7, T=3, B=2, U=5)
    rng = np.random.default_rng(1)
    x, kernel, start = (rng.standard_normal((3, *a.shape)) for a in (x, kernel, start))
    gradient = jax.grad(functools.partial(loss, recur, cell, mask), (0, 1, 2, 3))
    expected = [gradient(*single((x[i], kernel[i], bias, start[i]))) for i in range(3)]
    result = jax.jit(jax.vmap(gradient, (0, 0, None, 0)))(*single((x, kernel, bias, start)))
    close(result, jax.tree.map(lambda *a: jnp.stack(a), *expected))
    expected = [gradient(*single((x[i], kernel[0], bias, start[0]))) for i in range(3)]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *expected)
    others = single((kernel[0], bias, start[0]))
    close(jax.jit(jax.vmap(lambda x: gradient(x, *others)))(single([x])[0]), stacked)
    step = jax.checkpoint(lambda x: functools.partial(loss, recur, cell, mask)(x, *others))
    close(jax.lax.scan(lambda n, x: (n, jax.grad(step)(x)), 0, single([x])[0])[1], stacked[0])


@pytest.mark.parametrize("cell", mostly_slow(CELLS, ["lstm"]))
def test_gradients_of_the_last_states_alone(cell, route):
    """If only the last states have gradients, `pull` gets an empty gradient of the outputs.

    This also holds to second order and under vmap.
    """
    arrays, mask = draw(cell, 9, T=4, B=3, U=5)
    results = []
    for function in (recur, in_scan):
        gradient = jax.grad(
            lambda *a, f=function: jnp.sum(jnp.sin(f(cell, *a, mask)[1])), (0, 1, 2, 3)
        )
        second = jax.grad(lambda *a, g=gradient: sum(jnp.sum(x**2) for x in g(*a)), (0, 1, 2, 3))
        stacked = [jnp.stack([a, 2 * a]) for a in single(arrays)]
        axes = (0, None, None, 0)
        batched = jax.vmap(gradient, axes)
        several = [s if axis == 0 else s[0] for s, axis in zip(stacked, axes, strict=True)]
        results.append(
            jax.jit(
                lambda g=gradient, s=second, b=batched, a=several: (
                    g(*single(arrays)),
                    s(*single(arrays)),
                    b(*a),
                )
            )()
        )
    close(*results, tolerance=1e-4)
    shown = str(
        jax.make_jaxpr(jax.grad(lambda *a: jnp.sum(recur(cell, *a, mask)[1])))(*single(arrays))
    )
    assert "hornbeam_recurrence_pull" in shown
    assert "f32[0,3,5]" in shown


@pytest.mark.parametrize("cell", CELLS)
def test_empty(cell, route):
    arrays, _ = draw(cell, 0, T=4, B=0, U=3)
    value, back = jax.vjp(functools.partial(recur, cell), *single(arrays))
    gradient = back(jax.tree.map(jnp.ones_like, value))
    assert [x.shape for x in gradient] == [a.shape for a in arrays]
    assert not np.any(gradient[1])


@pytest.mark.parametrize("cell", CELLS)
def test_several_threads(cell, route):
    """Large enough for several XLA threads, from several Python threads at once."""
    arrays, mask = draw(cell, 1, T=20, B=13, U=40)
    gradient = jax.jit(jax.grad(functools.partial(loss, recur, cell, mask), (0, 1, 2, 3)))
    expected, results = gradient(*single(arrays)), {}
    close(
        expected,
        jax.jit(jax.grad(functools.partial(loss, in_scan, cell, mask), (0, 1, 2, 3)))(
            *single(arrays)
        ),
        1e-4,
    )

    def work(name):
        results[name] = [gradient(*single(arrays)) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for repeated in results.values():
        for result in repeated:
            for a, b in zip(result, expected, strict=True):
                np.testing.assert_array_equal(a, b)


@needs_kernels
@pytest.mark.parametrize("least", mostly_slow(["avx2", "portable"], []))
def test_other_instruction_sets(least, monkeypatch):
    """The code for processors without AVX-512, in a new process because the choice is final."""
    import os
    import subprocess
    import sys

    tests = Path(__file__).resolve().parents[1]
    files = [
        __file__,
        str(tests / "native" / "test_native.py"),
        str(tests / "native" / "test_native_steps.py"),
    ]
    wanted = (
        "((values_and_gradients or several_threads) and native) or test_depthwise or test_few or"
        " not_finite or test_adam"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", wanted]
    environment = {**os.environ, "HORNBEAM_INSTRUCTIONS": least}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-2000:]


WRONG = [
    ({"cell": "elman"}, {}, "no cell is called elman"),
    ({"masked": True}, {}, "the mask"),
    ({}, {0: (3, 2, 9)}, "x is missing or has a wrong shape"),
    ({}, {1: (4, 9)}, "wrong shape"),
    ({}, {2: (11,)}, "the bias"),
    ({}, {3: (1, 2, 3)}, "the start"),
    ({}, {0: (3, 12)}, "wrong rank"),
]


def test_use_cudnn_false_takes_the_plain_loop(monkeypatch):
    """The plain loop runs even if a kernel is available."""
    monkeypatch.setattr(routes, "why_plain", lambda *_: None)
    assert routes.recurrence("lstm", "float32", (3, 2, 12), (3, 12)).name == "native"
    hb.layers.LSTM(3, use_cudnn=False)(np.ones((2, 7, 5), "float32"))
    assert [
        route.name for op, route in routes.taken().items() if op == "lstm float32 7x2x12 units 3"
    ] == ["plain"]


@needs_kernels
@pytest.mark.parametrize(("attributes", "shapes", "message"), WRONG)
def test_wrong_calls_are_errors(attributes, shapes, message):
    """Kernels reject invalid operands with an error and never crash."""
    right = [(3, 2, 12), (3, 12), (12,), (2, 2, 3)]
    operands = [jnp.zeros(shapes.get(i, shape)) for i, shape in enumerate(right)]
    results = [jax.ShapeDtypeStruct(shape, "float32") for shape in ((3, 2, 3), (2, 2, 3))]
    call = jax.ffi.ffi_call("hornbeam_recurrence", results)
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        jax.block_until_ready(call(*operands, **({"cell": "lstm", "masked": False} | attributes)))


@needs_kernels
@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({0: (2, 2, 3)}, "the gradient of h is missing or has a wrong shape"),
        ({0: (3, 3)}, "the gradient of h is missing"),
        ({4: (2, 2, 3)}, "wrong shape"),
        ({5: (3, 2, 4)}, "h before each step"),
        ({6: (3, 2, 9)}, "the gates"),
        ({7: (3, 1, 3)}, "what was kept"),
    ],
)
def test_wrong_calls_of_the_gradient_are_errors(shapes, message):
    right = [(3, 2, 3), (2, 2, 3), (3, 12), (2, 2, 3), (3, 2, 3), (3, 2, 3), (3, 2, 12), (3, 2, 3)]
    operands = [jnp.zeros(shapes.get(i, shape)) for i, shape in enumerate(right)]
    results = [jax.ShapeDtypeStruct(shape, "float32") for shape in ((3, 2, 12), (2, 2, 3))]
    call = jax.ffi.ffi_call("hornbeam_recurrence_pull", results)
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        jax.block_until_ready(call(*operands, cell="lstm", masked=False))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize(
    "arguments",
    [
        {"return_sequences": True, "return_state": True},
        {"go_backwards": True, "use_bias": False},
        {"return_sequences": True, "zero_output_for_mask": True},
        {"unroll": True, "stateful": True},
    ],
)
def test_layers_equal_the_generic_loop(name, arguments, route, monkeypatch):
    x = np.random.default_rng(0).standard_normal((2, 6, 5)).astype("float32")
    mask = np.array([[0, 1, 0, 1, 1, 0], [1, 1, 1, 0, 0, 1]], bool)
    for more in [{}, {"reset_after": False}] if name == "GRU" else [{}]:
        layer = getattr(hb.layers, name)(4, **arguments, **more)
        layer.build(x.shape)
        layer.set_weights(
            [0.5 * np.random.default_rng(w.ndim).standard_normal(w.shape) for w in layer.weights]
        )
        results = []
        for standard in (True, False):
            with monkeypatch.context() as patch:
                if not standard:
                    patch.setattr(type(layer), "_is_standard", lambda *_: False)
                if layer.stateful:
                    layer.reset_state()
                results.append([layer(x), layer(x, mask=mask)])
        close(*results, tolerance=1e-5)


def test_the_latest_choices_are_remembered():
    for length in range(1, 1003):
        routes.recurrence("lstm", "float32", (length, 2, 12), (3, 12))
    taken = routes.taken()
    assert len(taken) == 1000
    assert "lstm float32 1002x2x12 units 3" in taken
    assert "lstm float32 1x2x12 units 3" not in taken
