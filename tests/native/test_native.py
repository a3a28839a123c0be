"""The kernels of hornbeam-cpu against NumPy in float64 and plain XLA.

They also run under JAX's transformations and in several threads.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import multiprocessing
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import hornbeam as hb
from hornbeam.ops import conv_primitive, routes
from hornbeam.ops.conv_primitive import Spec, convolve, convolve_fused

kernels = pytest.importorskip(
    "hornbeam_cpu",
    reason="hornbeam-cpu is not installed: pip install ./native",
    exc_type=ImportError,
)

KINDS = ("forward", "inputs", "kernel")
TOLERANCE = {"float32": 2e-6, "bfloat16": 1e-2}
needs_bfloat16 = pytest.mark.skipif(
    jnp.dtype("bfloat16") not in kernels.dtypes(),
    reason="this processor has no AVX-512, which bfloat16 kernels need",
)
DTYPES = ["float32", pytest.param("bfloat16", marks=needs_bfloat16)]


def random_case(seed):
    """Return a random convolution with inputs, kernel and output gradient in float64."""
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 4))

    def draw(low, high):
        return tuple(int(n) for n in rng.integers(low, high, rank))

    groups, batch = int(rng.choice([1, 1, 2, 3])), int(rng.integers(1, 6))
    window, dilation = draw(1, 5), draw(1, 3)
    limits = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    # The padding is smaller than the window; the plain path handles larger padding.
    padding = tuple((int(rng.integers(0, w)), int(rng.integers(0, w))) for w in window)
    space = tuple(int(rng.integers(limit, limit + 8)) for limit in limits)
    spec = Spec("forward", space, window, draw(1, 4), padding, dilation, groups)
    # Odd numbers of channels, and numbers that fill whole vectors.
    channels, filters = (groups * int(rng.choice([1, 3, 5, 8, 16, 17])) for _ in range(2))
    arrays = (
        rng.standard_normal((batch, *space, channels)),
        rng.standard_normal((*window, channels // groups, filters)),
        rng.standard_normal((batch, *spec.out_space(), filters)),
    )
    return spec, arrays


def taps(spec):
    """Yield each element of the window with the slices of the padded inputs that it multiplies."""
    for tap in itertools.product(*map(range, spec.window)):
        yield (
            tap,
            tuple(
                slice(t * d, t * d + (n - 1) * s + 1, s)
                for t, d, n, s in zip(
                    tap, spec.dilation, spec.out_space(), spec.strides, strict=True
                )
            ),
        )


def reference(spec, inputs, kernel, gradient):
    """Compute one kind of a convolution in NumPy, one window element at a time."""
    width = [(0, 0), *spec.padding, (0, 0)]
    grouped = (*kernel.shape[:-1], spec.groups, -1)
    weights, padded = kernel.reshape(grouped), np.pad(inputs, width)
    outputs = gradient.reshape(*gradient.shape[:-1], spec.groups, -1)
    result = {
        "forward": np.zeros_like(outputs),
        "inputs": np.zeros_like(padded),
        "kernel": np.zeros_like(weights),
    }
    for tap, places in taps(spec):
        met = padded[:, *places].reshape(*outputs.shape[:-1], -1)
        if spec.kind == "forward":
            result["forward"] += np.einsum("...gi,igo->...go", met, weights[tap])
        elif spec.kind == "inputs":
            part = np.einsum("...go,igo->...gi", outputs, weights[tap])
            result["inputs"][:, *places] += part.reshape(*part.shape[:-2], -1)
        else:
            result["kernel"][tap] += np.einsum(
                "ngi,ngo->igo", *(a.reshape(-1, *a.shape[-2:]) for a in (met, outputs))
            )
    if spec.kind == "inputs":
        inner = tuple(
            slice(before, before + n)
            for (before, _), n in zip(spec.padding, spec.space, strict=True)
        )
        return result["inputs"][:, *inner]
    shape = gradient.shape if spec.kind == "forward" else kernel.shape
    return result[spec.kind].reshape(shape)


def operands(kind, inputs, kernel, gradient):
    return {
        "forward": (inputs, kernel),
        "inputs": (gradient, kernel),
        "kernel": (inputs, gradient),
    }[kind]


def close(result, expected, tolerance):
    """Compare errors relative to the largest value."""
    expected = np.asarray(expected, "float64")
    assert result.shape == expected.shape
    error = np.abs(np.asarray(result, "float64") - expected).max() / max(
        np.abs(expected).max(), 1e-30
    )
    assert error < tolerance, error


def check_case(seed, dtype, plain):
    check_arrays(*random_case(seed), dtype, plain)


def check_arrays(spec, arrays, dtype, plain, tolerance=None):
    tolerance = tolerance or TOLERANCE[dtype]
    rounded = [jnp.asarray(a, dtype) for a in arrays]
    for kind in KINDS:
        of_kind = spec.as_kind(kind)
        given = operands(kind, *rounded)
        assert (
            routes.convolution(kind, dtype, (spec.space, spec.window), spec.padding).name
            == "native"
        )
        result = convolve(*given, of_kind)
        assert result.dtype == dtype
        close(result, reference(of_kind, *(np.asarray(a, "float64") for a in rounded)), tolerance)
        if plain:
            close(
                result,
                jax.jit(lambda a, b, s=of_kind: conv_primitive._plain(a, b, spec=s))(*given),
                tolerance,
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(30))
def test_random_convolutions(seed, dtype):
    check_case(seed, dtype, plain=seed < 5)


# Few large examples are split into bands of rows, many into parts of the batch. A large kernel is
# reordered in parts, and each thread computes its gradient for some of the filters.
LARGE = [
    (1, Spec("forward", (31, 32), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)), 32, 48),
    (1, Spec("forward", (33, 20), (4, 2), (3, 1), ((2, 1), (0, 0)), (2, 1)), 24, 40),
    (1, Spec("forward", (40, 20), (2, 3), (4, 4), ((0, 0), (1, 1)), (1, 1)), 40, 60),
    (3, Spec("forward", (29,), (5,), (2,), ((4, 0),), (1,)), 96, 128),
    (1, Spec("forward", (12, 10, 9), (3, 3, 3), (1, 2, 1), ((1, 1),) * 3, (1, 1, 1)), 16, 32),
    (3, Spec("forward", (20, 20), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 64), 64, 128),
    (5, Spec("forward", (8, 8), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)), 128, 256),
    (1, Spec("forward", (9, 8), (3, 2), (2, 1), ((1, 0), (0, 1)), (1, 2)), 70, 96),
    (
        2,
        Spec("forward", (5, 6, 4), (3, 3, 2), (1, 1, 1), ((1, 1), (1, 1), (0, 0)), (1, 1, 1)),
        32,
        64,
    ),
    (3, Spec("forward", (17,), (5,), (1,), ((4, 0),), (1,)), 160, 128),
    (2, Spec("forward", (40, 40), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)), 64, 8),
    (2, Spec("forward", (13, 9), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)), 70, 130),
    (1, Spec("forward", (7, 9), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)), 1200, 80),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("batch", "spec", "channels", "filters"), LARGE)
def test_work_shared_among_threads(batch, spec, channels, filters, dtype):
    rng = np.random.default_rng(0)
    shapes = (batch, *spec.space, channels), (*spec.window, channels // spec.groups, filters)
    arrays = [
        rng.standard_normal(shape) for shape in (*shapes, (batch, *spec.out_space(), filters))
    ]
    check_arrays(spec, arrays, dtype, plain=False)


def depthwise(space, window, padding, channels):
    return Spec("forward", space, window, (1, 1), padding, (1, 1), channels)


# Whole vectors and remainders, images smaller than the window, windows entirely in the padding,
# many rows.
DEPTHWISE = [
    (2, depthwise((7, 7), (3, 3), ((1, 1), (1, 1)), 16)),
    (1, depthwise((5, 9), (3, 3), ((0, 0), (0, 0)), 21)),
    (3, depthwise((4, 6), (3, 3), ((2, 0), (0, 2)), 39)),
    (2, depthwise((6, 5), (3, 3), ((0, 2), (2, 2)), 3)),
    (1, depthwise((1, 1), (3, 3), ((2, 2), (1, 1)), 20)),
    (2, depthwise((9, 8), (5, 5), ((2, 2), (2, 2)), 17)),
    (1, depthwise((2, 3), (5, 5), ((4, 3), (1, 4)), 24)),
    (2, depthwise((40, 70), (3, 3), ((1, 1), (1, 1)), 112)),
    (3, depthwise((33, 32), (5, 5), ((2, 2), (2, 2)), 32)),
]


def check_own(batch, spec, channels, filters, ways):
    """Check a convolution that Hornbeam's kernels compute: `ways` lists the route of each kind."""
    for kind, way in zip(KINDS, ways, strict=True):
        assert routes.native_convolution(kind, "float32", spec, batch, (channels, filters)) == way
    rng = np.random.default_rng(0)
    kernel = (*spec.window, channels // spec.groups, filters)
    arrays = [
        rng.standard_normal(s)
        for s in ((batch, *spec.space, channels), kernel, (batch, *spec.out_space(), filters))
    ]
    # oneDNN's kernel gradient sums thousands of numbers sequentially.
    check_arrays(spec, arrays, "float32", plain=True, tolerance=5e-6)
    inputs, kernel = (jnp.asarray(a, "float32") for a in arrays[:2])
    bias = jnp.arange(filters, dtype="float32") / filters - 0.5
    for activation in ("linear", "relu"):
        fused = dataclasses.replace(spec, activation=activation)
        plain = conv_primitive._plain_fused(inputs, kernel, bias, spec=fused)
        close(convolve_fused(inputs, kernel, bias, fused), plain, 2e-6)


@pytest.mark.parametrize(("batch", "spec"), DEPTHWISE)
def test_depthwise(batch, spec):
    check_own(batch, spec, spec.groups, spec.groups, ("depthwise", "depthwise", "onednn"))


def few(space, window, strides, padding):
    return Spec("forward", space, window, strides, padding, (1, 1))


# Whole blocks of columns and remainders, images smaller than the window, strides larger than the
# window, many rows.
FEW_CHANNELS = [
    (2, few((12, 13), (3, 3), (1, 1), ((1, 1), (1, 1))), 3, 64),
    (1, few((9, 11), (5, 3), (2, 1), ((2, 2), (0, 0))), 1, 128),
    (3, few((4, 6), (3, 4), (1, 2), ((2, 0), (0, 3))), 2, 64),
    (1, few((1, 1), (3, 3), (1, 1), ((2, 2), (1, 1))), 4, 64),
    (2, few((17, 16), (2, 2), (3, 5), ((0, 0), (1, 0))), 3, 64),
    (2, few((40, 43), (7, 7), (2, 2), ((3, 3), (3, 3))), 3, 64),
    (5, few((20, 19), (3, 3), (1, 1), ((1, 1), (1, 1))), 1, 64),
    (2, few((12, 13), (3, 3), (1, 1), ((1, 1), (1, 1))), 64, 3),
    (1, few((9, 11), (5, 3), (2, 1), ((2, 2), (0, 0))), 16, 1),
    (3, few((4, 6), (3, 4), (1, 1), ((2, 0), (0, 3))), 80, 4),
    (2, few((1, 2), (3, 5), (1, 1), ((2, 1), (1, 3))), 32, 2),
    (5, few((20, 19), (3, 3), (1, 1), ((0, 2), (2, 0))), 48, 1),
]


@pytest.mark.parametrize(("batch", "spec", "channels", "filters"), FEW_CHANNELS)
def test_few_channels(batch, spec, channels, filters):
    # The input gradient runs in reverse: from 64 channels or more to few, or back.
    known = set(spec.strides) == {1} and (channels < filters or filters <= 4 and channels % 64 == 0)
    check_own(
        batch,
        spec,
        channels,
        filters,
        ("few channels", "few channels" if known else "onednn", "onednn"),
    )


@pytest.mark.parametrize(
    ("spec", "kernel"),
    [
        (depthwise((5, 6), (3, 3), ((1, 1), (1, 1)), 18), (3, 3, 1, 18)),
        (few((5, 6), (3, 3), (1, 1), ((1, 1), (1, 1))), (3, 3, 2, 64)),
        (few((5, 6), (3, 3), (1, 1), ((1, 1), (1, 1))), (3, 3, 64, 2)),
    ],
    ids=["depthwise", "from few", "to few"],
)
def test_what_is_not_finite_stays_in_its_window(spec, kernel):
    channels, filters = kernel[-2] * spec.groups, kernel[-1]
    inputs = np.ones((2, 5, 6, channels), "float32")
    inputs[0, 0, 0, 1], inputs[1, 4, 3, -1] = np.inf, np.nan
    for activation, sign in itertools.product(("linear", "relu"), (1, -1)):
        fused = dataclasses.replace(spec, activation=activation)
        given = jnp.asarray(inputs), sign * jnp.ones(kernel), jnp.zeros(filters), fused
        expected = conv_primitive._plain_fused(*given[:3], spec=fused)
        np.testing.assert_array_equal(convolve_fused(*given), expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_many_random_depthwise(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.choice([3, 5]))
    padding = tuple((int(rng.integers(0, size)), int(rng.integers(0, size))) for _ in range(2))
    space = tuple(max(int(rng.integers(1, 20)), size - sum(pads)) for pads in padding)
    test_depthwise(
        int(rng.integers(1, 5)), depthwise(space, (size, size), padding, int(rng.integers(2, 70)))
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(80))
def test_many_random_few_channels(seed):
    rng = np.random.default_rng(seed)
    window = tuple(int(n) for n in rng.integers(1, 6, 2) + (1, 0))
    strides = tuple(int(n) for n in rng.integers(1, 6, 2)) if seed % 2 else (1, 1)
    padding = tuple((int(rng.integers(0, size)), int(rng.integers(0, size))) for size in window)
    sizes = [
        max(int(rng.integers(1, 30)), w - sum(pads))
        for w, pads in zip(window, padding, strict=True)
    ]
    channels = (int(rng.integers(1, 5)), 64 * int(rng.integers(1, 3)))
    test_few_channels(
        3, few(tuple(sizes), window, strides, padding), *channels[:: int(rng.choice([1, -1]))]
    )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_many_random_convolutions(seed, dtype):
    check_case(seed, dtype, plain=seed % 4 == 0)


SMALL = Spec("forward", (6, 5), (3, 2), (2, 1), ((1, 1), (0, 1)), (1, 2), 1)
GROUPED = dataclasses.replace(SMALL, groups=2)
APART = depthwise((6, 5), (3, 3), ((1, 1), (0, 2)), 4)
SPECS = {"one group": SMALL, "two groups": GROUPED, "depthwise": APART}


def small_arrays(spec, seed=0):
    rng = np.random.default_rng(seed)
    filters = 4 if spec is APART else 6
    shapes = (
        (2, *spec.space, 4),
        (*spec.window, 4 // spec.groups, filters),
        (2, *spec.out_space(), filters),
    )
    return [jnp.asarray(rng.standard_normal(shape), "float32") for shape in shapes]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_to_second_order(kind, spec):
    given = operands(kind, *small_arrays(spec))
    check_grads(
        lambda a, b: convolve(a, b, spec.as_kind(kind)),
        given,
        order=2,
        modes=("fwd", "rev"),
        rtol=2e-2,
        atol=2e-2,
    )
    # Finite differences are inaccurate in float32; the derivatives of the plain path are exact.
    ours, plain = (
        jax.jit(jax.hessian(lambda a, b, f=f: jnp.sum(jnp.sin(f(a, b)))))(*given)
        for f in (
            lambda a, b: convolve(a, b, spec.as_kind(kind)),
            lambda a, b: conv_primitive._plain(a, b, spec=spec.as_kind(kind)),
        )
    )
    close(ours, plain, 1e-5)


def plain_fused(inputs, kernel, bias, activation):
    spec = dataclasses.replace(SMALL, activation=activation)
    return conv_primitive._plain_fused(inputs, kernel, bias, spec=spec)


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_bias_and_activation_in_the_kernel(activation):
    inputs, kernel, _ = small_arrays(SMALL)
    bias = jnp.asarray(np.random.default_rng(1).standard_normal(6), "float32")
    spec = dataclasses.replace(SMALL, activation=activation)

    def ours(*given):
        return convolve_fused(*given, spec)

    def plain(*given):
        return plain_fused(*given, activation)

    given = (inputs, kernel, bias)
    close(ours(*given), plain(*given), 1e-6)
    for transform in (
        lambda f: jax.grad(lambda *a: jnp.sum(jnp.sin(f(*a))), (0, 1, 2)),
        lambda f: jax.grad(
            lambda *a: sum(
                jnp.sum(g**2) for g in jax.grad(lambda *b: jnp.sum(jnp.sin(f(*b))), (0, 1))(*a)),
            (0, 1, 2)),
        lambda f: lambda *a: jax.jvp(f, a, a),
        lambda f: lambda *a: jax.jvp(lambda b: f(a[0], a[1], b), (a[2],), (a[2],)),
    ):  # fmt: skip
        for result, expected in zip(
            jax.tree.leaves(transform(ours)(*given)),
            jax.tree.leaves(jax.jit(transform(plain))(*given)),
            strict=True,
        ):
            close(result, expected, 1e-5)
    for axes in itertools.product((0, None), repeat=3):
        if axes == (None, None, None):
            continue
        batched = [
            jnp.stack([a, 2 * a, -a]) if axis == 0 else a
            for a, axis in zip(given, axes, strict=True)
        ]
        close(jax.vmap(ours, axes)(*batched), jax.vmap(plain, axes)(*batched), 1e-6)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("axes", [(0, None), (None, 1), (2, 0)])
@pytest.mark.parametrize("kind", KINDS)
def test_vmap(kind, axes, spec):
    given = operands(kind, *small_arrays(spec))
    examples = [
        [a * k for k in (1.0, -2.0, 0.5)] if axis is not None else a
        for a, axis in zip(given, axes, strict=True)
    ]
    batched = [
        jnp.stack(e, axis) if axis is not None else e
        for e, axis in zip(examples, axes, strict=True)
    ]

    def function(lhs, rhs):
        return convolve(lhs, rhs, spec.as_kind(kind))

    result = jax.vmap(function, axes)(*batched)
    for i in range(3):
        one = [e[i] if axis is not None else e for e, axis in zip(examples, axes, strict=True)]
        close(result[i], function(*one), 1e-6)


def test_scan_and_donation_and_remat():
    inputs, kernel, gradient = small_arrays(SMALL)

    @jax.checkpoint
    def loss(kernel):
        return jnp.sum((convolve(inputs, kernel, SMALL) - gradient) ** 2)

    def step(kernel, _):
        value, slope = jax.value_and_grad(loss)(kernel)
        return kernel - 1e-3 * slope, value

    many = jax.jit(lambda kernel: jax.lax.scan(step, kernel, None, 5), donate_argnums=0)
    stepped, losses = kernel, []
    for _ in range(5):
        stepped, value = step(stepped, None)
        losses.append(value)
    result, scanned = many(kernel + 0)
    close(result, stepped, 1e-5)
    close(scanned, jnp.stack(losses), 1e-5)
    assert losses[-1] < losses[0]


OPS = {
    "conv": lambda x, k, **o: hb.ops.conv(x, k, **o),
    "grouped": lambda x, k, **o: hb.ops.conv(x, k[..., :2, :], **o),
    "depthwise": lambda x, k, **o: hb.ops.depthwise_conv(x, k, **o),
    "separable": lambda x, k, **o: hb.ops.separable_conv(x, k[..., :2],
        k[(slice(1),) * (k.ndim - 2)].repeat(2, -2), **o),
    "transposed": lambda x, k, **o: hb.ops.conv_transpose(x, jnp.swapaxes(k, -1, -2), **o),
}  # fmt: skip
OPTIONS = [
    {"padding": "valid", "strides": 2}, {"padding": "same", "strides": 3},
    {"padding": "same", "dilation_rate": 2}, {"padding": "same"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("data_format", "dtype", "cases"),
    [
        ("channels_last", "float32", [(2, OPTIONS[0]), (2, OPTIONS[1]), (2, OPTIONS[2])]),
        ("channels_first", "float32", [(1, OPTIONS[0]), (3, OPTIONS[3])]),
        *(
            pytest.param(
                layout,
                dtype,
                list(itertools.product((1, 2, 3), OPTIONS)),
                marks=[pytest.mark.slow, *marks],
            )
            for layout in ("channels_last", "channels_first")
            for dtype, marks in (("float32", []), ("bfloat16", [needs_bfloat16]))
        ),
    ],
    ids=[
        "last",
        "first",
        *(f"{layout} {dtype}" for layout in ("last", "first") for dtype in ("float32", "bfloat16")),
    ],
)
@pytest.mark.parametrize("name", OPS)
def test_ops_and_their_gradients_equal_the_plain_way(name, data_format, dtype, cases):
    for rank, options in cases:
        rng = np.random.default_rng(rank)
        inputs = jnp.asarray(rng.standard_normal((3, *(7, 6, 5)[:rank], 4)), dtype)
        kernel = jnp.asarray(rng.standard_normal((*(3, 2, 3)[:rank], 4, 6)), dtype)
        if data_format == "channels_first":
            inputs = jnp.moveaxis(inputs, -1, 1)

        @jax.jit
        def both(inputs, kernel, options=options):
            outputs, pull = jax.vjp(
                lambda x, k: OPS[name](x, k, data_format=data_format, **options), inputs, kernel
            )
            return outputs, *pull(outputs)

        ours = both(inputs, kernel)
        with routes.portable():
            plain = both.__wrapped__(inputs, kernel)
        assert "hornbeam_convolution" in both.lower(inputs, kernel).as_text()
        for result, expected in zip(ours, plain, strict=True):
            close(result, expected, 3 * TOLERANCE[dtype])


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_causal_and_other_paddings_of_layers(padding):
    layer = hb.layers.Conv1D(6, 3, padding=padding, dilation_rate=2, activation="relu")
    inputs = jnp.asarray(np.random.default_rng(0).standard_normal((2, 9, 4)), "float32")
    ours = layer(inputs)
    with routes.portable():
        close(ours, layer(inputs), 1e-6)


def test_empty_batches_and_sizes():
    kernel = jnp.ones((3, 3, 2, 4))
    for shape, out in (((0, 8, 8, 2), (0, 6, 6, 4)), ((2, 2, 8, 2), (2, 0, 6, 4))):
        outputs, pull = jax.vjp(hb.ops.conv, jnp.ones(shape), kernel)
        assert outputs.shape == out
        inputs_gradient, kernel_gradient = pull(outputs)
        assert inputs_gradient.shape == shape
        assert not kernel_gradient.any()


def call(lhs, rhs, result, **changes):
    attributes = {
        "kind": "forward", "by": "onednn", "activation": "linear", "strides": [1, 1],
        "dilation": [1, 1], "before": [0, 0], "after": [0, 0], "groups": 1, **changes,
    }  # fmt: skip
    attributes = {
        k: v if isinstance(v, str) else np.asarray(v, np.int64)[()] for k, v in attributes.items()
    }
    dtype = changes.get("dtype", lhs.dtype)
    attributes.pop("dtype", None)
    function = jax.ffi.ffi_call("hornbeam_convolution", jax.ShapeDtypeStruct(result, dtype))
    return function(lhs, rhs, **attributes)


FEW_CALL = {"by": "few channels", "rhs": (3, 3, 3, 64), "result": (2, 6, 6, 64)}
APART_CALL = {"by": "depthwise", "groups": 3, "rhs": (3, 3, 1, 3), "result": (2, 6, 6, 3)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"result": (2, 7, 6, 4)}, "shapes do not fit"),
        ({"result": (3, 6, 6, 4)}, "shapes do not fit"),
        ({"result": (2, 6, 6, 5)}, "shapes do not fit"),
        ({"result": (2, 36, 4)}, "expected arrays of 4 axes"),
        ({"lhs": (2, 8, 8, 2)}, "shapes do not fit"),
        ({"lhs": (8,)}, "expected arrays of 4 axes"),
        ({"rhs": (3, 3, 4)}, "expected arrays of 4 axes"),
        ({"rhs": (0, 3, 3, 4)}, "must be positive"),
        ({"strides": [0, 1]}, "must be positive"),
        ({"strides": [-1, 1]}, "negative or too large"),
        ({"strides": [1]}, "one stride"),
        ({"dilation": [0, 1]}, "negative or too large"),
        ({"before": [-1, 0]}, "negative or too large"),
        ({"before": [3, 0]}, "wider than the window"),
        ({"after": [0]}, "one stride"),
        (
            {"strides": [1] * 4, "dilation": [1] * 4, "before": [0] * 4, "after": [0] * 4},
            "1 to 3 spatial axes",
        ),
        ({"groups": 0}, "shapes do not fit"),
        ({"groups": 3}, "shapes do not fit"),
        ({"groups": -(2**62)}, "negative or too large"),
        ({"before": [2**62, 0], "after": [2**62, 0]}, "too large"),
        ({"kind": "sideways"}, "kind must be"),
        ({"kind": "kernel"}, "shapes do not fit"),
        ({"activation": "gelu"}, "activation must be"),
        ({"kind": "inputs", "activation": "relu"}, "only forward"),
        ({"dtype": "float16"}, "dtype"),
        ({"by": "hand"}, "by must be"),
        ({"by": "depthwise"}, "expected a filter a channel"),
        ({"by": "few channels"}, "numbers of channels"),
        (
            {"by": "few channels", "kind": "inputs", "lhs": (2, 6, 6, 4), "result": (2, 8, 8, 3)},
            "numbers of channels",
        ),
        (
            {
                **FEW_CALL,
                "kind": "inputs",
                "strides": [2, 2],
                "lhs": (2, 3, 3, 64),
                "result": (2, 8, 8, 3),
            },
            "strides",
        ),
        ({**FEW_CALL, "result": (2, 6, 7, 64)}, "shapes do not fit"),
        ({**FEW_CALL, "dilation": [2, 2], "result": (2, 4, 4, 64)}, "dilation must be 1"),
        (
            {**FEW_CALL, "groups": 3, "rhs": (3, 3, 1, 192), "result": (2, 6, 6, 192)},
            "expected one group",
        ),
        (
            {**FEW_CALL, "kind": "kernel", "rhs": (2, 6, 6, 64), "result": (3, 3, 3, 64)},
            "kind must be",
        ),
        ({**APART_CALL, "result": (2, 6, 6, 4)}, "shapes do not fit"),
        (
            {**APART_CALL, "kind": "kernel", "rhs": (2, 6, 6, 3), "result": (3, 3, 1, 3)},
            "kind must be",
        ),
        ({**APART_CALL, "strides": [2, 2], "result": (2, 3, 3, 3)}, "strides and dilation"),
        ({**APART_CALL, "dilation": [2, 2], "result": (2, 4, 4, 3)}, "strides and dilation"),
        ({**APART_CALL, "rhs": (7, 7, 1, 3), "result": (2, 2, 2, 3)}, "window of this size"),
        ({**APART_CALL, "rhs": (3, 5, 1, 3), "result": (2, 6, 4, 3)}, "window of this size"),
    ],
)
def test_wrong_calls_are_errors(changes, message):
    changes = dict(changes)
    lhs, rhs = (
        jnp.ones(changes.pop(name, shape))
        for name, shape in (("lhs", (2, 8, 8, 3)), ("rhs", (3, 3, 3, 4)))
    )
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        call(lhs, rhs, changes.pop("result", (2, 6, 6, 4)), **changes)


def test_the_native_way_depends_on_what_weighs_most():
    spec = Spec("forward", (7, 9), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    for kind, batch, dtype, way in (
        ("forward", 1, "float32", "product"), ("inputs", 1, "float32", "product"),
        ("forward", 9, "float32", "onednn"),
        ("inputs", 1, "bfloat16", "onednn"), ("kernel", 1, "float32", "native product"),
    ):  # fmt: skip
        assert routes.native_convolution(kind, dtype, spec, batch, (1200, 80)) == way


def test_routes_name_their_reason():
    def route(
        kind="forward", dtype="float32", sizes=((8, 8), (3, 3)), padding=((1, 1), (1, 1)), **options
    ):
        return routes.convolution(kind, dtype, sizes, padding, **options)

    assert route().name == "native"
    assert "float64" in route(dtype="float64").reason
    assert "takes away" in route(padding=((-1, 1), (0, 0))).reason
    assert "wider than the window" in route(padding=((3, 0), (0, 0))).reason
    assert "spatial axes" in route(sizes=((8,) * 4, (3,) * 4), padding=((1, 1),) * 4).reason
    assert "nothing" in route(empty=True).reason
    assert routes.convolutions_are_loop_safe()
    try:
        hb.config.set_kernels("plain")
        assert "set_kernels" in route().reason
        assert not routes.convolutions_are_loop_safe()
        hb.ops.conv(jnp.ones((1, 11, 3)), jnp.ones((3, 3, 2)))
        assert hb.config.kernel_routes()["conv forward float32 11 window 3"][0] == "plain"
    finally:
        hb.config.set_kernels("auto")
    hb.ops.conv(jnp.ones((1, 11, 3)), jnp.ones((3, 3, 2)))
    assert hb.config.kernel_routes()["conv forward float32 11 window 3"][0] == "native"
    with pytest.raises(ValueError, match="expected 'auto' or 'plain'"):
        hb.config.set_kernels("fast")


def test_kernels_of_another_version_are_left_alone(monkeypatch, caplog):
    monkeypatch.setattr(kernels, "INTERFACE", kernels.INTERFACE + 1)
    routes.kernels.cache_clear()
    try:
        assert "another version" in routes.product("float32", 128, 512, 512).reason
        assert "Install both again" in caplog.text
    finally:
        monkeypatch.undo()
        routes.kernels.cache_clear()
    assert routes.product("float32", 128, 512, 512).name == "native"


def make_model(seed):
    hb.utils.set_random_seed(seed)
    layers = hb.layers
    model = hb.Sequential(
        [
            hb.Input((12, 12, 3)), layers.Conv2D(8, 3, activation="relu"),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Conv2D(8, 3, 2), layers.Flatten(), layers.Dense(5),
        ]
    )  # fmt: skip
    model.compile("sgd", hb.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_threads_predict_while_one_trains():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 12, 12, 3)).astype("float32"), rng.integers(0, 5, 64)
    predictor, trained, serial = make_model(1), make_model(2), make_model(2)
    sizes = (1, 2, 7, 64)
    expected = {n: np.asarray(predictor.predict_on_batch(x[:n])) for n in sizes}
    serial_losses = [float(serial.train_on_batch(x, y)) for _ in range(20)]
    wrong, stop = [], threading.Event()

    def predict():
        while not stop.is_set():
            for n in sizes:
                if not np.array_equal(predictor.predict_on_batch(x[:n]), expected[n]):
                    wrong.append(n)

    threads = [threading.Thread(target=predict) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        losses = [float(trained.train_on_batch(x, y)) for _ in range(20)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert losses == serial_losses
    for ours, theirs in zip(trained.weights, serial.weights, strict=True):
        assert np.array_equal(ours.value, theirs.value)


def predictions(seed):
    x = np.random.default_rng(seed).standard_normal((7, 12, 12, 3)).astype("float32")
    model = make_model(seed)
    return np.stack([model.predict_on_batch(x) for _ in range(20)])


@pytest.mark.slow
def test_processes_predict_at_once():
    # JAX's threads do not survive a fork, so these processes are spawned.
    with concurrent.futures.ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        for result in pool.map(predictions, [1, 1, 1]):
            assert np.array_equal(result, predictions(1))
