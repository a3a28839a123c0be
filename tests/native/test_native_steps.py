"""Kernels of hornbeam-cpu for dense and embedding gradients and for Adam.

They are compared with float64 and run under JAX's transformations.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb
from hornbeam.core.variable import Overlay
from hornbeam.ops import product, routes
from hornbeam.ops.product import rows_product
from hornbeam.ops.rows import RowSum, dense, sum_rows, take_rows
from hornbeam.ops.rows import value_and_grad as value_and_row_sums
from hornbeam.optimizers import native

kernels = pytest.importorskip(
    "hornbeam_cpu",
    reason="hornbeam-cpu is not installed: pip install ./native",
    exc_type=ImportError,
)


def matrices(rows, columns, results, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, columns)), rng.standard_normal((rows, results))


def by_kernel(x, y):
    return product._product_p.bind(
        jnp.asarray(x, "float32"), jnp.asarray(y, "float32"), summed="rows"
    )


def close(result, expected, tolerance):
    scale = np.abs(expected).max(initial=1e-30)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(
    ("rows", "columns", "results"),
    [
        (1, 1, 1), (7, 5, 3), (128, 784, 512), (128, 512, 10), (2560, 128, 512), (33, 31, 97),
        (4000, 65, 33),
        (1000, 1, 300), (17, 700, 1), (0, 4, 5), (4, 0, 5), (4, 5, 0),
    ],
)  # fmt: skip
def test_sums_over_rows_equal_float64(rows, columns, results):
    x, y = matrices(rows, columns, results)
    result = by_kernel(x, y)
    assert (result.shape, result.dtype) == ((columns, results), jnp.float32)
    close(result, x.T @ y, 2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_many_random_products(seed):
    rng = np.random.default_rng(seed)
    sizes = [int(2 ** rng.uniform(0, high)) for high in (12, 10, 10)]
    x, y = matrices(*sizes, seed)
    close(by_kernel(x, y), x.T @ y, 2e-6)


@pytest.mark.parametrize("leading", [(64,), (4, 16), (2, 4, 8)])
def test_derivatives_to_second_order_equal_the_plain_way(leading):
    rng = np.random.default_rng(1)
    x, kernel = (
        jnp.asarray(rng.standard_normal(shape), "float32") for shape in ((*leading, 64), (64, 80))
    )

    def third(f):
        def loss(x, kernel):
            return jnp.sum(jnp.sin(f(x, kernel)))

        def of_gradients(x, kernel):
            return sum(jnp.sum(g**2) for g in jax.grad(loss, (0, 1))(x, kernel))

        return f(x, kernel), jax.grad(loss, (0, 1))(x, kernel), jax.grad(of_gradients, (0, 1))(
            x, kernel
        ), jax.jvp(
            jax.grad(loss, (0, 1)), (x, kernel), (kernel[0, 0] * x, x.mean() * kernel)
        )  # fmt: skip

    ours = jax.jit(lambda: third(rows_product))
    assert "hornbeam_product" in str(jax.make_jaxpr(lambda: third(rows_product))())
    plain = jax.jit(lambda: third(lambda x, kernel: jnp.tensordot(x, kernel, 1)))
    for result, expected in zip(jax.tree.leaves(ours()), jax.tree.leaves(plain()), strict=True):
        close(result, expected, 1e-5)


@pytest.mark.parametrize("axes", [(0, None), (None, 1), (1, 0)])
def test_vmap_scan_and_checkpoint(axes):
    rng = np.random.default_rng(2)
    examples = [
        [jnp.asarray(rng.standard_normal(shape), "float32") for _ in range(3)]
        for shape in ((64, 64), (64, 72))
    ]
    given = [
        jnp.stack(e, axis) if axis is not None else e[0]
        for e, axis in zip(examples, axes, strict=True)
    ]

    def slope(x, kernel):
        return jax.grad(jax.checkpoint(lambda k: jnp.sum(jnp.sin(rows_product(x, k)))))(kernel)

    result = jax.vmap(slope, axes)(*given)
    _, scanned = jax.lax.scan(lambda _, i: (None, slope(*(jnp.take(g, i, a) if a is not None else g
        for g, a in zip(given, axes, strict=True)))),
        None, jnp.arange(3))  # fmt: skip
    for i in range(3):
        one = slope(
            *(e[i] if axis is not None else e[0] for e, axis in zip(examples, axes, strict=True))
        )
        close(result[i], one, 1e-5)
        close(scanned[i], one, 1e-5)


@pytest.mark.parametrize(
    ("shapes", "dtype", "message"),
    [
        (((4, 3), (5, 2), (3, 2)), "float32", "same number of rows"),
        (((4, 3), (4, 2), (2, 3)), "float32", "result has a wrong shape"),
        (((4, 3, 1), (4, 2), (3, 2)), "float32", "must be matrices"),
        (((4, 3), (4, 2), (3, 2)), "float16", "must be of float32"),
    ],
)
def test_wrong_calls_are_errors(shapes, dtype, message):
    call = jax.ffi.ffi_call("hornbeam_product", jax.ShapeDtypeStruct(shapes[2], dtype))
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        call(jnp.ones(shapes[0], dtype), jnp.ones(shapes[1], dtype))


def test_routes_name_their_reason():
    assert routes.product("float32", 128, 512, 512).name == "native"
    assert "few rows" in routes.product("float32", 4, 512, 512).reason
    assert "small" in routes.product("float32", 32, 64, 64).reason
    assert "bfloat16" in routes.product("bfloat16", 128, 512, 512).reason
    hb.ops.matmul(jnp.ones((100, 123)), jnp.ones((123, 45)))
    assert hb.config.kernel_routes()["product float32 100x123 by 123x45"][0] == "native"
    try:
        hb.config.set_kernels("plain")
        assert "set_kernels" in routes.product("float32", 128, 512, 512).reason
    finally:
        hb.config.set_kernels("auto")


FACTORS = (0.1, 0.001, 1e-7)


def adam_state(size, seed=0):
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(size) for _ in range(3)] + [rng.uniform(0, 1, size)]
    return [jnp.asarray(a, "float32") for a in arrays]


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 65_536, 300_001])
def test_adam_equals_the_plain_way(size):
    given = [*adam_state(size), jnp.float32(0.01)]
    for ours, plain in zip(
        native._native_adam(FACTORS, given[:1], *given[1:]),
        jax.jit(native._plain_adam, static_argnums=0)(FACTORS, *given),
        strict=True,
    ):
        # Up to one ulp of the weights: XLA may fuse multiply and add where an instruction set
        # cannot.
        np.testing.assert_allclose(ours, plain, rtol=1e-6, atol=5e-8)


def test_adam_under_transformations():
    g, w, m, v = adam_state(100)
    alpha = jnp.float32(0.01)

    def meta(step):
        """Return a loss after two steps, as a function of the first gradient and the rate."""

        def loss(g, alpha):
            state = step(FACTORS, g, w, m, v, alpha)
            return jnp.sum(jnp.square(step(FACTORS, jnp.sin(state[0]), *state, alpha)[0]))

        return jax.jit(jax.value_and_grad(loss, (0, 1)))(g, alpha)

    def kernel(factors, g, *others):
        return native._native_adam(factors, (g,), *others)

    for ours, plain in zip(
        jax.tree.leaves(meta(kernel)), jax.tree.leaves(meta(native._plain_adam)), strict=True
    ):
        close(np.asarray(ours), np.asarray(plain), 1e-5)
    gs = jnp.stack([g, -g, 2 * g])
    batched = jax.vmap(lambda g: kernel(FACTORS, g, w, m, v, alpha)[0])(gs)
    for i in range(3):
        close(batched[i], native._plain_adam(FACTORS, gs[i], w, m, v, alpha)[0], 1e-6)
    # A buffer that the caller still holds is not overwritten.
    before = np.array(w)
    kernel(FACTORS, g, w, m, v, alpha)
    np.testing.assert_array_equal(w, before)


def table_state(rows, width, count, seed=0):
    """Return an index with repeated and invalid rows, gradient rows, and a table with moments."""
    rng = np.random.default_rng(seed)
    index = jnp.asarray(rng.integers(-rows - 2, min(rows, 50) + 2, count), "int32")
    back = jnp.asarray(rng.standard_normal((count, width)), "float32")
    return index, back, [x.reshape(rows, width) for x in adam_state(rows * width)[1:]]


@pytest.mark.parametrize(
    ("rows", "width", "count"),
    [
        (1, 1, 5),
        (3, 0, 4),
        (0, 3, 4),
        (40, 7, 0),
        (1300, 60, 77),
        (70_000, 1, 9),
        (3, 30_000, 200),
        (3000, 100, 5000),
    ],
)
def test_adam_by_rows_equals_adam_by_their_sum(rows, width, count):
    index, back, state = table_state(rows, width, count)
    whole = sum_rows(back, index, rows)
    by_rows = native._native_adam(FACTORS, (index, back), *state, jnp.float32(0.01))
    by_sum = native._native_adam(FACTORS, (whole,), *state, jnp.float32(0.01))
    for ours, other in zip(by_rows, by_sum, strict=True):
        np.testing.assert_array_equal(ours, other)


def test_adam_by_rows_under_transformations():
    index, back, state = table_state(70, 9, 20)

    def loss(by_rows, back, alpha):
        g = (index, back) if by_rows else (sum_rows(back, index, 70),)
        return sum(jnp.sum(jnp.sin(x)) for x in native._native_adam(FACTORS, g, *state, alpha))

    given = back, jnp.float32(0.01)
    for ours, plain in zip(
        *(jax.grad(functools.partial(loss, by_rows), (0, 1))(*given) for by_rows in (True, False)),
        strict=True,
    ):
        close(ours, plain, 1e-6)
    many = jnp.stack([back, -back]), jnp.float32(0.01)
    ours, plain = (
        jax.vmap(functools.partial(loss, by_rows), (0, None))(*many) for by_rows in (True, False)
    )
    close(ours, plain, 1e-6)


EMBEDDERS = {
    "one": (True, lambda e, x: e(x), {}),
    "several updates by one program": (True, lambda e, x: e(x), {"steps_per_execution": 3}),
    "used twice": (False, lambda e, x: e(x) + e(x[:, ::-1]), {}),
    "tied to the outputs": (False, lambda e, x: hb.ops.matmul(e(x),
        hb.ops.transpose(e.embeddings))[..., :40], {}),
    "clipped": (False, lambda e, x: e(x),
        {"optimizer": lambda: hb.optimizers.Adam(0.01, clipnorm=0.1)}),
    "decayed": (True, lambda e, x: e(x), {"optimizer": lambda: hb.optimizers.AdamW(0.01,
        weight_decay=0.1)}),
    "accumulated": (
        False, lambda e, x: e(x), {"optimizer": lambda: hb.optimizers.Adam(0.01,
            gradient_accumulation_steps=2)}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", mostly_slow(EMBEDDERS, list(EMBEDDERS)[::3]))
def test_fit_of_a_table_never_lays_out_its_gradient(name, monkeypatch):
    """Where possible, `fit` never forms the dense gradient of a table.

    The results are bit-identical.
    """
    apart, call, options = EMBEDDERS[name]
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 2000, (60, 6)), rng.integers(0, 3, 60)
    seen = []

    class Embedder(hb.Model):
        def __init__(self):
            super().__init__()
            self.embedding, self.dense = hb.layers.Embedding(2000, 40), hb.layers.Dense(3)

        def call(self, x):
            return self.dense(hb.ops.mean(call(self.embedding, x), axis=1))

    def fitted():
        hb.utils.set_random_seed(1)
        model = Embedder()
        others = {name: value for name, value in options.items() if name != "optimizer"}
        loss = hb.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(options.get("optimizer", lambda: hb.optimizers.Adam(0.01))(), loss, **others)
        model.fit(x, y, batch_size=10, epochs=2, verbose=0, shuffle=False)
        return model.get_weights()

    def watch(factors, g, *others):
        seen.append(len(g))
        return kernel(factors, g, *others)

    kernel = native._native_adam
    monkeypatch.setattr(native, "_native_adam", watch)
    ours = fitted()
    assert (2 in seen) == apart  # an index and rows, not a dense gradient
    monkeypatch.setattr(hb.optimizers.Adam, "takes_row_sums", False)
    for a, b in zip(ours, fitted(), strict=True):
        np.testing.assert_array_equal(a, b)


def gradients_of_a_table(use, optimizer, traced=True):
    """Return the kinds of gradient in the backward pass of `use`, and the update rule's inputs."""
    table, index = hb.Variable(jnp.ones((3000, 40))), jnp.array([5, 0, 5, 2])
    kinds = []
    given = optimizer.update_step

    def watch(gradient, *others):
        kinds.append(type(gradient).__name__)
        return given(gradient, *others)

    def step(index):
        differentiate = value_and_row_sums if optimizer.takes_row_sums else None
        _, gradients = hb.value_and_grad(
            lambda: use(table, index), [table], differentiate=differentiate
        )
        kinds.append(type(gradients[0]).__name__)
        optimizer.update_step = watch
        optimizer.apply(gradients, [table])
        return dense(gradients[0])

    if not traced:
        return kinds, step(index)
    optimizer.build([table])

    def pure(value, index):
        with Overlay([table], [value]):
            return step(index)

    return kinds, jax.jit(pure)(table.value, index)


TABLE_USES = {
    "once": (True, lambda t, i: jnp.sum(take_rows(t.value, i) ** 2)),
    "twice": (False, lambda t, i: jnp.sum(take_rows(t.value, i) * take_rows(t.value, i + 1))),
    "also as a whole": (False, lambda t, i: jnp.sum(take_rows(t.value, i)) + jnp.sum(t.value**2)),
    "scaled first": (False, lambda t, i: jnp.sum(take_rows(t.value * 2.0, i))),
    "in a loop": (
        False,
        lambda t, i: jax.lax.fori_loop(0, 2, lambda _, s: s + jnp.sum(take_rows(t.value, i)), 0.0),
    ),
    "not at all": (False, lambda t, i: jnp.sum(i).astype("float32")),
}


@pytest.mark.parametrize(("apart", "use"), TABLE_USES.values(), ids=TABLE_USES)
def test_the_gradient_of_a_table_is_a_row_sum_where_rows_are_taken_once(apart, use):
    kinds, gradient = gradients_of_a_table(use, hb.optimizers.Adam())
    assert ("RowSum" in kinds[0]) == ("RowSum" in kinds[1]) == apart
    _, expected = gradients_of_a_table(use, hb.optimizers.SGD())
    np.testing.assert_array_equal(gradient, expected)


class AdamOfAUser(hb.optimizers.Adam):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient * 1.0, variable, learning_rate)


@pytest.mark.parametrize(
    "optimizer",
    [
        AdamOfAUser, hb.optimizers.SGD, lambda: hb.optimizers.Adam(amsgrad=True),
        lambda: hb.optimizers.Adam(clipvalue=0.1),
        lambda: hb.optimizers.Adam(loss_scale_factor=2.0),
        lambda: hb.optimizers.Adam(gradient_accumulation_steps=2),
        lambda: hb.optimizers.LossScaleOptimizer(hb.optimizers.Adam()),
    ],
)  # fmt: skip
def test_only_the_rule_of_adam_is_given_a_row_sum(optimizer):
    kinds, _ = gradients_of_a_table(TABLE_USES["once"][1], optimizer())
    assert not any("RowSum" in kind for kind in kinds)


def test_optimizers_inside_another_are_given_a_row_sum_if_they_can_use_it():
    for inner in (hb.optimizers.Adam(), hb.optimizers.SGD()):
        seen, given = [], inner.update_step
        inner.update_step = lambda gradient, *others, seen=seen, given=given: (
            seen.append(gradient),
            given(gradient, *others),
        )
        outer = hb.optimizers.MultiOptimizer(lambda variable, inner=inner: inner)
        gradients_of_a_table(TABLE_USES["once"][1], outer)
        assert isinstance(seen[0], RowSum) == isinstance(inner, hb.optimizers.Adam)


def test_a_gradient_outside_of_a_trace_is_an_array():
    kinds, _ = gradients_of_a_table(TABLE_USES["once"][1], hb.optimizers.Adam(), traced=False)
    assert not any("RowSum" in kind for kind in kinds)


def test_order_keeps_the_rate_and_its_slope():
    rate, gradients = jnp.float32(0.1), [jnp.ones(3), jnp.zeros((2, 2))]
    assert native.after(rate, gradients, "float32", 10**6) == rate
    assert jax.grad(lambda r: native.after(r, gradients, "float32", 10**6) ** 2)(rate) == 2 * rate
    assert jax.vmap(lambda r: native.after(r, gradients, "float32", 10**6))(
        jnp.arange(3.0)
    ).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: hb.optimizers.Adam(0.01), lambda: hb.optimizers.AdamW(0.01, clipnorm=0.5),
        lambda: hb.optimizers.Adam(0.01, use_ema=True, global_clipnorm=1.0),
        lambda: hb.optimizers.Adam(0.01, amsgrad=True),
        lambda: hb.optimizers.Adam(0.01, gradient_accumulation_steps=3),
        lambda: hb.optimizers.SGD(0.01, 0.9),
    ],
    ids=["adam", "adamw", "ema", "amsgrad", "accumulated", "sgd"],
)  # fmt: skip
def test_fit_of_large_weights_equals_the_plain_way(optimizer):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((160, 260)).astype("float32"), rng.integers(0, 7, 160)

    def fitted():
        hb.utils.set_random_seed(1)
        dense = hb.layers.Dense
        model = hb.Sequential([hb.Input((260,)), dense(270, "relu"), dense(260, "tanh"), dense(7)])
        model.compile(optimizer(), hb.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, y, batch_size=32, epochs=2, verbose=0, shuffle=False)
        return model.get_weights()

    ours = fitted()
    assert hb.config.kernel_routes()["optimizer order float32 70200"][0] == "native"
    try:
        hb.config.set_kernels("plain")
        plain = fitted()
    finally:
        hb.config.set_kernels("auto")
    for a, b in zip(ours, plain, strict=True):
        close(a, b, 2e-4)


def call_adam(shapes=(8, 8, 8, 8), rate=(), results=(8, 8, 8), dtype="float32"):
    call = jax.ffi.ffi_call("hornbeam_adam", [jax.ShapeDtypeStruct((n,), dtype) for n in results])
    names = ("new_1", "new_2", "epsilon")
    arrays = [jnp.ones(n, dtype) for n in shapes]
    return call(*arrays, jnp.ones(rate, dtype), **{name: np.float32(0.1) for name in names})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shapes": (8, 8, 7, 8)}, "differ in size"),
        ({"results": (8, 9, 8)}, "differ in size"),
        ({"rate": (2,)}, "one number"),
        ({"dtype": "float16"}, "must be of float32"),
    ],
)
def test_wrong_calls_of_adam_are_errors(changes, message):
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        call_adam(**changes)


@pytest.mark.parametrize(
    ("index", "rows", "weights", "message"),
    [
        (jnp.zeros(3, "float32"), (3, 4), (5, 4), "index must be of int32"),
        (jnp.zeros(3, "int32"), (2, 4), (5, 4), "do not fit"),
        (jnp.zeros(3, "int32"), (3, 4), (5, 3), "do not fit"),
        (jnp.zeros((3, 1), "int32"), (3, 4), (5, 4), "wrong rank"),
        (jnp.zeros(3, "int32"), (3, 4), (20,), "wrong rank"),
    ],
)
def test_wrong_calls_of_adam_by_rows_are_errors(index, rows, weights, message):
    call = jax.ffi.ffi_call("hornbeam_adam_rows", [jax.ShapeDtypeStruct(weights, "float32")] * 3)
    factors = {name: np.float32(0.1) for name in ("new_1", "new_2", "epsilon")}
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        call(index, jnp.ones(rows), *[jnp.ones(weights)] * 3, jnp.float32(0.1), **factors)


def test_wrong_calls_for_order_are_errors():
    call = jax.ffi.ffi_call("hornbeam_after", jax.ShapeDtypeStruct((2,), "float32"))
    for wrong in (jnp.ones(3), jnp.ones(2, "int32")):
        with pytest.raises(jax.errors.JaxRuntimeError, match="differ"):
            call(wrong)


@pytest.mark.parametrize(("rows", "width", "shape"), [
    (1300, 60, (9, 40)), (70_000, 1, (5,)), (1, 70_000, (3,)), (3, 30_000, (200,)),
    (2000, 40, (0,)), (2000, 40, ())
])  # fmt: skip
def test_gradient_of_rows_equals_the_plain_way(rows, width, shape):
    rng = np.random.default_rng(4)
    table = jnp.asarray(rng.standard_normal((rows, width)), "float32")
    index = jnp.asarray(rng.integers(-rows - 2, rows + 2, shape), "int32")
    back = jnp.asarray(rng.standard_normal((*shape, width)), "float32")
    assert routes.rows(table.dtype, table.shape).name == "native"
    results = []
    for take in (take_rows, lambda table, index: jnp.take(table, index, axis=0)):
        value, pull = jax.vjp(lambda table, take=take: take(table, index), table)
        results.append((value, *pull(back)))
    for ours, plain in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, plain)  # the same sums in the same order


def test_rows_under_transformations():
    rng = np.random.default_rng(5)
    table, index = (
        jnp.asarray(rng.standard_normal((1300, 60)), "float32"),
        jnp.asarray(rng.integers(-1300, 1300, (9, 40)), "int32"),
    )

    def all_of(take):
        def loss(table):
            return jnp.sum(jnp.sin(take(table, index)))

        gradient = jax.grad(loss)
        return (
            gradient(table),
            jax.grad(lambda table: jnp.sum(gradient(table) ** 3))(table),
            jax.jvp(gradient, (table,), (jnp.cos(table),))[1],
            jax.vmap(lambda scale: jax.grad(lambda t: loss(t * scale))(table))(jnp.arange(3.0)),
            jax.vmap(lambda i: jax.grad(lambda t: jnp.sum(jnp.sin(take(t, i))))(table))(index),
            jax.lax.scan(
                lambda t, i: (t - jax.grad(lambda t: jnp.sum(jnp.sin(take(t, i))))(t), 0),
                table,
                index,
            )[0],
        )

    assert "hornbeam_rows" in str(jax.make_jaxpr(lambda: all_of(take_rows))())
    ours, plain = (
        jax.jit(lambda: all_of(take_rows))(),
        jax.jit(lambda: all_of(lambda t, i: jnp.take(t, i, axis=0)))(),
    )
    for a, b in zip(ours, plain, strict=True):
        close(a, b, 1e-5)


@pytest.mark.parametrize(
    ("index", "rows", "result", "message"),
    [
        (jnp.zeros(3), jnp.zeros((3, 2)), (5, 2), "index must be of int32"),
        (jnp.zeros(3, "int32"), jnp.zeros((3, 2), "float16"), (5, 2), "must be of float32"),
        (jnp.zeros(3, "int32"), jnp.zeros((4, 2)), (5, 2), "differ in length"),
        (jnp.zeros(3, "int32"), jnp.zeros((3, 2)), (5, 3), "differ in width"),
        (jnp.zeros((3, 1), "int32"), jnp.zeros((3, 2)), (5, 2), "wrong rank"),
    ],
)
def test_wrong_calls_for_rows_are_errors(index, rows, result, message):
    call = jax.ffi.ffi_call("hornbeam_rows", jax.ShapeDtypeStruct(result, "float32"))
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        call(index, rows)


def test_an_embedding_takes_rows():
    layer = hb.layers.Embedding(2000, 40)
    layer.build()

    def loss(table, index):
        return jnp.sum(layer.stateless_call([table], [], index)[0] ** 2)

    index = jnp.array([[1, 1999], [7, 1]])
    table = layer.embeddings.value
    expected = np.zeros(table.shape, "float32")
    np.add.at(expected, np.asarray(index), 2 * np.asarray(table)[np.asarray(index)])
    close(jax.jit(jax.grad(loss))(table, index), expected, 1e-6)
    assert hb.config.kernel_routes()["rows float32 2000x40"][0] == "native"
    assert "small" in routes.rows("float32", (20, 40)).reason
