"""Ops on sparse tensors: the values of the dense ones, and sparse where Keras's are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from jax.experimental.sparse import BCOO

import hornbeam as hb
from hornbeam import ops

DENSE = np.array([[0.0, 0.5, 0.0], [-0.25, 0.0, 0.75]], "float32")
OTHER = np.array([[0.25, 1.0, 0.0], [0.0, 0.0, -0.5]], "float32")
KERNEL = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "float32")
FULL = np.array([[2.0, 1.0, 4.0], [5.0, 3.0, 2.0]], "float32")


def sparse(x=DENSE, doubled=False):
    """Return a sparse tensor; if `doubled`, each entry is the sum of two, and two fill up."""
    x = BCOO.fromdense(jnp.asarray(x))
    if not doubled:
        return x
    padding = jnp.full((2, x.ndim), 9, "int32")
    entries = jnp.concatenate([x.data / 4, 3 * x.data / 4, jnp.zeros(2)])
    return BCOO((entries, jnp.concatenate([x.indices, x.indices, padding])), shape=x.shape)


def _applied(name, full=None):
    """Return an op of two tensors; `full` is the place of a dense one among its arguments."""
    function = getattr(ops, name)
    if full is None:
        return lambda x, y: function(x, y)
    return lambda x, y: function(FULL, x) if full == 0 else function(x, FULL)


# By name: the call on a tensor `x` and another `y`, and whether the result is sparse.
CALLS = {
    **{name: (getattr(ops, name), True) for name in (
        "abs", "negative", "square", "sin", "tan", "tanh", "sinh", "arcsin", "arctan", "arcsinh",
        "arctanh", "expm1", "log1p", "sign", "floor", "ceil", "round", "real", "imag", "conj",
        "copy", "relu", "relu6", "leaky_relu", "elu", "selu", "silu", "gelu", "hard_tanh",
        "tanh_shrink", "soft_shrink", "hard_shrink", "softsign", "stop_gradient", "transpose",
        "sum", "mean", "squeeze", "ravel",
    )},
    **{name: (getattr(ops, name), False) for name in (
        "exp", "cos", "isfinite", "isnan", "zeros_like", "ones_like", "max", "any", "std", "argmax",
        "cumsum", "flip", "softmax", "sigmoid", "logsumexp", "sort", "count_nonzero", "norm",
    )},
    **{f"{name} two": (_applied(name), True)
       for name in ("add", "subtract", "multiply", "maximum", "minimum")},
    **{f"{name} dense": (_applied(name, 1), False)
       for name in ("add", "subtract", "maximum", "power", "equal", "logical_and")},
    **{f"dense {name}": (_applied(name, 0), False)
       for name in ("add", "subtract", "minimum", "greater", "arctan2")},
    "times dense": (lambda x, y: ops.multiply(x, FULL), True),
    "dense times": (lambda x, y: ops.multiply(FULL, x), True),
    "times row": (lambda x, y: ops.multiply(x, FULL[0]), True),
    "times column": (lambda x, y: ops.multiply(FULL[:, :1], x), True),
    "times number": (lambda x, y: ops.multiply(3.0, x), True),
    "times larger": (lambda x, y: ops.multiply(x, np.ones((2, 2, 3), "float32")), False),
    "over number": (lambda x, y: ops.divide(x, 4.0), True),
    "over dense": (lambda x, y: ops.true_divide(x, FULL), True),
    "dense over": (lambda x, y: ops.divide(FULL, ops.add(x, 2.0)), False),
    "where": (lambda x, y: ops.where(FULL > 2, x, y), False),
    "matmul dense": (lambda x, y: ops.matmul(x, KERNEL), False),
    "dense matmul": (lambda x, y: ops.matmul(KERNEL, x), False),
    "matmul two": (lambda x, y: ops.matmul(x, ops.transpose(y)), True),
    "matmul deep": (lambda x, y: ops.matmul(ops.expand_dims(x, 0), KERNEL), False),
    "dot": (lambda x, y: ops.dot(x, KERNEL), False),
    "einsum": (lambda x, y: ops.einsum("ab,bc->ac", x, KERNEL), False),
    "sum rows": (lambda x, y: ops.sum(x, axis=0), True),
    "sum kept": (lambda x, y: ops.sum(x, axis=-1, keepdims=True), True),
    "mean rows": (lambda x, y: ops.mean(x, axis=(1,)), True),
    "mean int": (lambda x, y: ops.mean(ops.cast(x * 4, "int32"), axis=1), True),
    "reshape": (lambda x, y: ops.reshape(x, (3, -1)), True),
    "expand": (lambda x, y: ops.expand_dims(x, -1), True),
    "axes": (lambda x, y: ops.transpose(x, (-1, 0)), True),
    "cast": (lambda x, y: ops.cast(x * 4, "int32"), True),
    "concatenate": (lambda x, y: ops.concatenate([x, y], axis=-1), True),
    "concatenate mixed": (lambda x, y: ops.concatenate([x, FULL], axis=0), False),
    "stack": (lambda x, y: ops.stack([x, y]), False),
    "take": (lambda x, y: ops.take(x, [1, 0], axis=0), False),
    "convert": (lambda x, y: ops.convert_to_tensor(x, "float16"), True),
    "convert to dense": (lambda x, y: ops.convert_to_tensor(x, sparse=False), False),
    "loss": (lambda x, y: hb.losses.MeanSquaredError()(FULL, x), False),
}  # fmt: skip

QUICK = ("tanh", "add two", "times row", "matmul dense", "sum rows", "exp")


def _both(name):
    call = CALLS[name][0]
    return call if getattr(call, "__name__", "") == "<lambda>" else lambda x, y: call(x)


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CALLS]
)
def test_values_and_kinds(name):
    both, is_sparse = _both(name), CALLS[name][1]
    expected = both(DENSE, OTHER)
    for x in (sparse(), sparse(doubled=True)):
        found = both(x, sparse(OTHER))
        assert isinstance(found, BCOO) == is_sparse
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        dense = np.asarray(found.todense() if is_sparse else found)
        np.testing.assert_allclose(dense, expected, rtol=1e-5, atol=1e-6)


def test_compiled_and_symbolic():
    names = [name for name in CALLS if name not in ("loss", "over dense")]

    @jax.jit
    def compute(x, y):
        return {name: _both(name)(x, y) for name in names}

    found = compute(sparse(doubled=True), sparse(OTHER))
    rows, others = (hb.Input(batch_shape=(2, 3), sparse=True) for _ in range(2))
    for name in names:
        is_sparse = CALLS[name][1]
        assert isinstance(found[name], BCOO) == is_sparse, name
        np.testing.assert_allclose(
            np.asarray(ops.convert_to_tensor(found[name], sparse=False), "float32"),
            np.asarray(_both(name)(DENSE, OTHER), "float32"), rtol=1e-5, atol=1e-6, err_msg=name,
        )  # fmt: skip
        symbolic = _both(name)(rows, others)
        assert (symbolic.sparse, symbolic.shape) == (is_sparse, found[name].shape), name


def test_gradients():
    x = sparse(doubled=True)
    for function in (
        lambda k, x: jnp.sum(ops.matmul(x, k) ** 2),
        lambda k, x: jnp.sum(ops.convert_to_tensor(ops.multiply(x, k[:, 0]), sparse=False) ** 3),
    ):
        found = jax.grad(function)(jnp.asarray(KERNEL), x)
        np.testing.assert_allclose(found, jax.grad(function)(KERNEL, DENSE), rtol=1e-5)
    entries = jax.grad(
        lambda data: jnp.sum(ops.square(BCOO((data, x.indices), shape=x.shape)).todense())
    )(x.data)
    np.testing.assert_allclose(entries[:6], np.tile(2 * DENSE[DENSE != 0], 2), rtol=1e-5)


def test_indices_become_sparse():
    one = np.array([[1, 2], [0, 3], [2, 2]])
    for call in (
        lambda **how: ops.one_hot(one, 3, **how), lambda **how: ops.one_hot(one, 4, axis=0, **how),
        lambda **how: ops.multi_hot(one, 4, **how),
        lambda **how: ops.bincount(one, minlength=4, **how),
    ):  # fmt: skip
        found = call(sparse=True)
        assert isinstance(found, BCOO)
        np.testing.assert_array_equal(found.todense(), call())
    counts = ops.bincount(BCOO.fromdense(jnp.array([0, 2, 2])), minlength=4)
    assert isinstance(counts, BCOO)
    assert counts.todense().tolist() == [1, 0, 2, 0]
    assert hb.Input((2,), dtype="int32").sparse is False


def test_other_forms():
    for x in (
        scipy.sparse.csr_matrix(DENSE), scipy.sparse.csc_array(DENSE),
        scipy.sparse.coo_matrix(DENSE), jax.experimental.sparse.BCSR.fromdense(DENSE),
        BCOO.fromdense(DENSE, n_batch=1),
        BCOO.fromdense(DENSE, n_dense=1),
    ):  # fmt: skip
        found = ops.convert_to_tensor(x)
        assert isinstance(found, BCOO)
        assert ops.is_tensor(found)
        np.testing.assert_array_equal(found.todense(), DENSE)
        np.testing.assert_array_equal(ops.convert_to_numpy(x), DENSE)
        assert isinstance(ops.tanh(x), BCOO)
        assert ops.exp(x).shape == (2, 3)
    twice = scipy.sparse.coo_matrix(([1.0, 2.0], ([0, 0], [1, 1])), shape=(1, 2))
    assert ops.convert_to_tensor(twice).todense().tolist() == [[0.0, 3.0]]
