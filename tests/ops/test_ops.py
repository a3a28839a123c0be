"""Ops against Keras: values, dtypes, symbolic shapes and saved names."""

import jax
import keras
import numpy as np
import pytest

import hornbeam as hb
from hornbeam import ops

# Hundreds of comparisons with small programs take minutes in total.
pytestmark = pytest.mark.slow

rng = np.random.default_rng(0)
X = rng.uniform(0.1, 0.9, (2, 3)).astype("float32")
Y = rng.uniform(0.1, 0.9, (2, 3)).astype("float32")
S = (lambda a: a @ a.T + np.eye(3, dtype="float32"))(rng.normal(size=(3, 3)).astype("float32"))
I = np.array([[1, 2, 3], [4, 0, 6]], "int32")
B = np.array([[True, False, True], [False, False, True]])
IMG = rng.normal(size=(2, 6, 6, 4)).astype("float32")
SEQ = rng.normal(size=(2, 7, 4)).astype("float32")
Z = np.array([[1.0, np.nan, 3.0], [np.inf, -np.inf, 0.0]], "float32")
N = np.array([[1.0, np.nan, 3.0], [4.0, 2.0, 0.0]], "float32")
K = rng.normal(size=(3, 3, 4, 5)).astype("float32")
Q = rng.normal(size=(2, 5, 4, 8)).astype("float32")

UNARY = """
abs absolute fabs negative sign signbit square reciprocal ceil floor trunc sqrt cbrt rsqrt exp
exp2 expm1 log log10 log1p log2 sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arctanh
sinc i0 erf erfc erfinv deg2rad rad2deg real imag conj conjugate angle isfinite isinf isnan
isneginf isposinf isreal logical_not copy relu relu6 sigmoid sparse_sigmoid softplus softsign silu
selu log_sigmoid hard_sigmoid hard_silu hard_tanh tanh_shrink sparse_plus leaky_relu elu celu gelu
soft_shrink hard_shrink squareplus softmax log_softmax sparsemax sum mean std var any all max min
amax amin argmax argmin median ptp prod nansum nanmean nanstd nanvar nanmax nanmin nanprod
nanmedian nanargmax nanargmin cumsum cumprod nancumsum nancumprod count_nonzero logsumexp ravel
flip fliplr flipud transpose sort argsort zeros_like ones_like diag diagflat diagonal trace tril
triu array convert_to_tensor stop_gradient average corrcoef diff trapezoid norm normalize
layer_normalization rms_normalization nan_to_num round squeeze rot90 hstack vstack dstack unstack
""".split()
BINARY = """
add subtract multiply true_divide divide divide_no_nan floor_divide mod fmod power maximum minimum
fmax fmin equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor
arctan2 hypot logaddexp logaddexp2 heaviside isclose nextafter isin outer kron inner append
""".split()
INTEGER = (
    "bitwise_and bitwise_or bitwise_xor left_shift right_shift bitwise_left_shift"
    " bitwise_right_shift gcd lcm ldexp".split()
)
AXES = "sum mean std var any all max min prod median logsumexp amax ptp".split()

ROWS = [(name, (x,), {}) for name in UNARY for x in (X, I)]
ROWS += [
    (name, (B,), {})
    for name in "sum mean any all argmax cumsum exp sqrt logical_not max std count_nonzero".split()
]
ROWS += [
    (name, (X.astype("float16"),), {}) for name in "sum mean var exp softmax norm logsumexp".split()
]
ROWS += [(name, (Z,), {}) for name in "isfinite isinf isnan isneginf nan_to_num".split()]
ROWS += [
    (name, (N,), {"axis": 1})
    for name in "nansum nanmean nanvar nanmax nanargmax nanmedian nancumsum".split()
]
ROWS += [
    (name, args, {})
    for name in BINARY
    for args in ((X, Y), (I, I + 1), (X, I), (I, 2), (X, 2), (I, 0.5), (2, X))
]
ROWS += [(name, (I, I + 1), {}) for name in INTEGER]
ROWS += [
    (name, (X,), {"axis": axis, "keepdims": keep})
    for name in AXES
    for axis in (0, -1, (0, 1))
    for keep in (0, 1)
]
ROWS += [
    ("bitwise_not", (I,), {}), ("bitwise_invert", (I,), {}), ("arccosh", (X + 1,), {}),
    ("view_as_complex", (X[:, :2],), {}), ("polar", (X, Y), {}), ("view", (X, "int32"), {}),
    ("dsplit", (IMG, 2), {}), ("clip", (X, 0.3, 0.5), {}), ("clip", (I, 1, 4), {}),
    ("round", (X, 1), {}), ("allclose", (X, Y), {}),
    ("where", (B, X, Y), {}), ("where", (B, 1.0, I), {}), ("where", (B, 1, 2), {}),
    ("select", ([B, ~B], [X, Y]), {}),
    ("cast", (X, "int32"), {}), ("cast", (I, "float16"), {}),
    ("saturate_cast", (I * 100, "int8"), {}),
    ("saturate_cast", (X * 1000, "uint8"), {}),
    ("average", (X,), {"axis": 1, "weights": Y}), ("quantile", (X, 0.3), {"axis": 1}),
    ("quantile", (X, [0.2, 0.5]), {}),
    ("percentile", (X, 30.0), {}), ("nanquantile", (N, 0.3), {"axis": 0}),
    ("nanpercentile", (N, 30.0), {}),
    ("moments", (IMG, [0, 1]), {}), ("moments", (IMG, (0, 1)), {"keepdims": True}),
    ("moments", (I, (0,)), {}), ("moments", (B, (1,)), {}),
    ("segment_sum", (X, np.array([0, 0]), 2), {}), ("segment_max", (X, np.array([0, 1]), 2), {}),
    ("segment_min", (X, np.array([0, 1])), {}), ("segment_prod", (X, np.array([1, 1]), 2), {}),
    ("prod", (I,), {"axis": 1, "dtype": "float32"}),
    ("cumsum", (X,), {"axis": 1, "dtype": "float16"}),
    ("max", (X,), {"axis": 1, "initial": 0.8}), ("trapezoid", (X,), {"dx": 0.5, "axis": 0}),
    ("reshape", (X, (-1, 2)), {}), ("reshape", (X, 6), {}), ("concatenate", ([X, Y],), {"axis": 1}),
    ("concatenate", ([X, I],), {}), ("stack", ([X, Y],), {"axis": 1}),
    ("transpose", (IMG, (0, 3, 1, 2)), {}),
    ("expand_dims", (X, 1), {}), ("expand_dims", (X, (0, 1)), {}), ("squeeze", (X[:, None], 1), {}),
    ("broadcast_to", (X, (4, 2, 3)), {}), ("tile", (X, [1, 2]), {}), ("tile", (X, 2), {}),
    ("repeat", (X, 2, 1), {}),
    ("flip", (X, 1), {}), ("swapaxes", (IMG, 1, 3), {}), ("moveaxis", (IMG, 0, -1), {}),
    ("roll", (X, 1, 1), {}),
    ("pad", (X, ((0, 0), (1, 2))), {}), ("pad", (X, 1), {"constant_values": 3.0}),
    ("pad", (X, 1, "reflect"), {}),
    ("split", (IMG, 2, -1), {}), ("split", (X, [1], 1), {}), ("array_split", (SEQ, 3, 1), {}),
    ("hsplit", (X, 3), {}),
    ("vsplit", (X, 2), {}), ("unstack", (IMG,), {"axis": 2}), ("meshgrid", (X[0], Y[1]), {}),
    ("meshgrid", (X[0], Y[1]), {"indexing": "ij"}), ("depth_to_space", (IMG, 2), {}),
    ("space_to_depth", (IMG, 2), {}),
    ("depth_to_space", (IMG.transpose(0, 3, 1, 2), 2), {"data_format": "channels_first"}),
    ("space_to_depth", (IMG.transpose(0, 3, 1, 2), 2), {"data_format": "channels_first"}),
    ("rearrange", (IMG, "b (h p) w c -> b h (w p) c"), {"p": 2}),
    ("diff", (IMG,), {"n": 2, "axis": 1}),
    ("take", (X, [0, 2, 1], 1), {}), ("take", (X, -1, 1), {}), ("take", (X, [5, 0]), {}),
    ("take_along_axis", (X, I[:, :2] % 3, 1), {}),
    ("get_item", (X, (slice(None), 0)), {}), ("get_item", (X, (..., None, slice(1, None))), {}),
    ("get_item", (X, 1), {}),
    ("one_hot", (I, 7), {}), ("one_hot", (I, 4, 1, "int32"), {}), ("multi_hot", (I, 7), {}),
    ("multi_hot", (I[0], 7), {}), ("multi_hot", (I[0] + 0.5, 7), {}),
    ("scatter", (np.array([[1], [1]]), X, (4, 3)), {}),
    ("scatter_update", (X, [[0, 1], [1, 1]], [5.0, 6.0]), {}),
    ("scatter_update", (X, [[0, 1]], [5.0], "add"), {}), ("slice", (X, (0, 1), (2, 2)), {}),
    ("slice_update", (X, (0, 1), np.zeros((2, 1), "float32")), {}), ("argpartition", (X[0], 1), {}),
    ("top_k", (X, 2), {}), ("in_top_k", (np.array([0, 1]), X, 1), {}),
    ("searchsorted", (np.sort(X[0]), Y[0]), {}),
    ("digitize", (X, np.array([0.2, 0.5])), {}), ("histogram", (X, 4), {}),
    ("bincount", (I[0],), {}),
    ("bincount", (I,), {"minlength": 9}), ("bincount", (I[0],), {"weights": X[0]}),
    ("nonzero", (I,), {}),
    ("unique", (I,), {}), ("unravel_index", (I, (4, 4)), {}), ("unravel_index", (I, 9), {}),
    ("argsort", (X, None), {}), ("where", (B,), {}),
    ("zeros", ((2, 3),), {}), ("ones", ((2,), "int32"), {}), ("full", ((2,), 3), {}),
    ("full", ((2,), 3.5, "int32"), {}),
    ("empty_like", (X,), {}), ("full_like", (X, 2), {}), ("full_like", (X, 2, "int32"), {}),
    ("eye", (3, 4, 1), {}),
    ("identity", (3,), {}), ("tri", (3,), {"k": -1}), ("arange", (5,), {}),
    ("arange", (1, 5, 2), {}),
    ("arange", (0.0, 1.0, 0.25), {}), ("arange", (3,), {"dtype": "float32"}),
    ("linspace", (0, 1, 5), {}),
    ("linspace", (X, Y, 3), {"axis": 1}), ("logspace", (0, 2, 3), {}),
    ("geomspace", (1.0, 8.0, 4), {}),
    ("bartlett", (5,), {}), ("blackman", (5,), {}), ("hamming", (5,), {}), ("hanning", (5,), {}),
    ("kaiser", (5, 2.0), {}),
    ("vander", (X[0],), {"N": 2}), ("ndim", (X,), {}), ("size", (X,), {}), ("shape", (X,), {}),
    ("matmul", (X, Y.T), {}), ("matmul", (I, I.T), {}), ("matmul", (X, I.T), {}),
    ("dot", (X, Y.T), {}), ("dot", (X, 2), {}),
    ("matmul", (I.astype("int8"), I.T.astype("int8")), {}),
    ("vdot", (X[0], Y[0]), {}), ("tensordot", (X, Y, [[1], [1]]), {}), ("cross", (X, Y), {}),
    ("correlate", (X[0], Y[0], "full"), {}), ("einsum", ("ij,kj->ik", X, Y), {}),
    ("norm", (X,), {"ord": 1, "axis": 1}),
    ("norm", (X,), {"ord": "fro"}), ("cdist", (X, Y), {}), ("cholesky", (S,), {}),
    ("cholesky", (S, True), {}),
    ("cholesky_inverse", (np.linalg.cholesky(S),), {}), ("det", (S,), {}), ("slogdet", (S,), {}),
    ("logdet", (S,), {}),
    ("eigh", (S,), {}), ("inv", (S,), {}), ("pinv", (X,), {}), ("matrix_rank", (S,), {}),
    ("lu_factor", (S,), {}),
    ("qr", (X,), {}), ("qr", (X.T, "complete"), {}), ("solve", (S, X[0]), {}),
    ("solve", (S, X.T), {}),
    ("solve_triangular", (S, X.T), {"lower": True}), ("svd", (X,), {}),
    ("svd", (X, False, False), {}),
    ("lstsq", (X.T, Y[0]), {}), ("glu", (IMG,), {}), ("threshold", (X, 0.5, -1.0), {}),
    ("celu", (X - 0.5, 2.0), {}),
    ("leaky_relu", (X - 0.5, 0.3), {}), ("softmax", (IMG, (1, 2)), {}),
    ("softmax", (IMG, None), {}),
    ("gelu", (X, False), {}), ("sparsemax", (X, 0), {}), ("normalize", (X, 0, 1), {}),
    ("psnr", (X, Y, 1.0), {}),
    ("binary_crossentropy", (B.astype("float32"), X), {}),
    ("binary_crossentropy", (B, X), {"from_logits": True}),
    ("categorical_crossentropy", (X, Y), {}), ("categorical_crossentropy", (X, Y, True), {}),
    ("sparse_categorical_crossentropy", (I[:, 1], np.pad(X, ((0, 0), (0, 3)))), {}),
    ("sparse_categorical_crossentropy", (I[:, 1:2], np.pad(X, ((0, 0), (0, 3))), True), {}),
    ("batch_normalization", (X, X[0], Y[0], -1), {"offset": X[1], "scale": Y[1]}),
    ("layer_normalization", (X, X[0], Y[0]), {"epsilon": 0.01}),
    ("rms_normalization", (X, X[0]), {}),
    ("dot_product_attention", (Q, Q, Q), {}), ("dot_product_attention",
        (Q, Q[:, :, :2], Q[:, :, :2]), {"is_causal": True}),
    ("dot_product_attention", (Q, Q, Q), {"mask": rng.random((2, 1, 5, 5)) > 0.4, "scale": 0.3}),
    ("dot_product_attention", (Q, Q, Q), {"bias": rng.random((2, 4, 5, 5)).astype("float32"),
        "attn_logits_soft_cap": 2.0}),
    ("conv", (IMG, K), {}), ("conv", (IMG, K, 2, "same"), {}),
    ("conv", (IMG, K[:, :, :2, :4]), {"dilation_rate": 2}),
    ("conv", (SEQ, K[0]), {"padding": "same"}),
    ("depthwise_conv", (IMG, K[..., :2], 2, "same"), {}),
    ("separable_conv", (IMG, K[..., :2], rng.normal(size=(1, 1, 8, 3)).astype("float32")), {}),
    ("max_pool", (IMG, 2), {}), ("max_pool", (IMG, (3, 2), 2, "same"), {}),
    ("average_pool", (IMG, 3, 2, "same"), {}),
    ("average_pool", (SEQ, 2), {}), ("adaptive_average_pool", (IMG, (4, 3)), {}),
    ("adaptive_max_pool", (IMG, 4), {}),
    ("max_pool", (IMG, 2), {"data_format": "channels_first"}),
]  # fmt: skip
ROWS += [
    ("conv_transpose", (IMG, K.transpose(0, 1, 3, 2)),
        {"strides": s, "padding": p, "output_padding": o, "dilation_rate": d})
    for s in (1, 2, 3) for p in ("valid", "same") for o in (None, 0, 1) for d in (1, 2)
    if (o or 0) < s and (s == 1 or d == 1)
]  # fmt: skip


def ident(row):
    name, args, kwargs = row
    shown = [f"{a.dtype}{list(a.shape)}" if hasattr(a, "dtype") else str(a)[:20] for a in args]
    return f"{name}({','.join(shown)}{kwargs or ''})"[:90]


def leaves(x):
    return list(x) if isinstance(x, (list, tuple)) else [x]


@pytest.mark.parametrize("row", ROWS, ids=ident)
def test_like_keras(row):
    name, args, kwargs = row
    if name == "sparsemax":
        pytest.skip("Keras's does not sum to 1; see test_sparsemax")
    if name in ("layer_normalization", "rms_normalization") and args[0].dtype == "int32":
        pytest.skip("Keras returns integers")
    try:
        expected = leaves(getattr(keras.ops, name)(*args, **kwargs))
    except Exception as error:
        pytest.skip(f"Keras raises {type(error).__name__}")
    ours = leaves(getattr(ops, name)(*args, **kwargs))
    assert len(ours) == len(expected)
    for a, b in zip(ours, expected, strict=True):
        a_array, b_array = np.asarray(a), np.asarray(b)
        assert a_array.shape == b_array.shape
        assert a_array.dtype == b_array.dtype
        half = b_array.dtype.name == "float16"
        np.testing.assert_allclose(
            a_array, b_array, rtol=2e-3 if half else 1e-5, atol=1e-3 if half else 2e-6
        )


SYMBOLIC = [
    row for row in ROWS
    if isinstance(row[1][0], np.ndarray) and row[1][0].ndim > 1
    and row[0] not in ("nonzero", "unique", "bincount", "shape", "size", "ndim", "view", "in_top_k")
    and not (row[0] == "segment_min") and not (row[0] == "where" and len(row[1]) == 1)
]  # fmt: skip


@pytest.mark.parametrize("row", SYMBOLIC, ids=ident)
def test_symbolic(row):
    """Symbolic shapes equal array shapes; saved class, settings and arguments equal Keras's."""
    name, args, kwargs = row
    first = args[0]
    try:
        source = keras.Input(batch_shape=first.shape, dtype=first.dtype.name)
        theirs = leaves(getattr(keras.ops, name)(source, *args[1:], **kwargs))
        operation = theirs[0]._keras_history.operation
    except Exception as error:
        pytest.skip(f"Keras raises {type(error).__name__}")
    x = hb.Input(batch_shape=first.shape, dtype=first.dtype.name)
    ours = leaves(getattr(ops, name)(x, *args[1:], **kwargs))
    eager = leaves(getattr(ops, name)(*args, **kwargs))
    for a, b in zip(ours, eager, strict=True):
        assert (a.shape, a.dtype) == (np.shape(b), np.asarray(b).dtype.name)
    node = ours[0].history[0]
    call = node.operation
    config = operation.get_config()
    assert (call.info.module, call.info.class_name) == (
        type(operation).__module__,
        type(operation).__name__,
    )
    assert set(config) - {"name"} == set(call.settings)
    # Hornbeam reads Keras's files: a call with Keras's split of arguments gives the same result.
    arguments = operation._inbound_nodes[0].arguments
    swap = lambda v: first if isinstance(v, keras.KerasTensor) else v  # noqa: E731
    again = call.call(
        *map(swap, arguments.args), **{k: swap(v) for k, v in arguments.kwargs.items()}
    )
    for a, b in zip(leaves(again), eager, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-6)


def test_small_ones():
    """Ops whose results are not arrays that rows can compare."""
    assert ops.is_tensor(ops.ones(2))
    assert not ops.is_tensor([1.0])
    assert isinstance(ops.convert_to_numpy(ops.ones(2)), np.ndarray)
    assert (ops.empty((2, 3), "int32").shape, ops.empty((2, 3), "int32").dtype) == ((2, 3), "int32")
    parts = np.asarray(ops.view_as_real(np.array([1 + 2j, 3 - 1j], "complex64")))
    np.testing.assert_array_equal(parts, [[1, 2], [3, -1]])
    values, vectors = ops.eig(S)
    np.testing.assert_allclose(S @ vectors, np.asarray(vectors) * values, rtol=1e-4, atol=1e-4)

    @ops.custom_gradient
    def doubled(x):
        return x, lambda *args, upstream=None: 2 * (args[0] if upstream is None else upstream)

    assert float(jax.grad(doubled)(3.0)) == 2.0


BATCH = [
    (lambda o, x: o.reshape(x, (-1, 6)), (None, 6)), (lambda o, x: o.sum(x, axis=0), (2, 3)),
    (lambda o, x: o.concatenate([x, x], axis=0), (None, 2, 3)),
    (lambda o, x: o.matmul(x, o.ones((3, 4))), (None, 2, 4)),
    (lambda o, x: x[:, 0], (None, 3)), (lambda o, x: x[0], (2, 3)),
    (lambda o, x: x / 2 + 1 - x, (None, 2, 3)),
    (lambda o, x: o.einsum("bij,bkj->bik", x, x), (None, 2, 2)),
    (lambda o, x: o.expand_dims(x, 0), (1, None, 2, 3)),
    (lambda o, x: o.transpose(x), (3, 2, None)), (lambda o, x: o.split(x, 3, -1)[1], (None, 2, 1)),
    (lambda o, x: o.reshape(x, (o.shape(x)[0], 3, 2)), (None, 3, 2)),
    (lambda o, x: abs(-x) ** 2 > 1, (None, 2, 3)),
    (lambda o, x: o.vectorized_map(lambda row: row[0], x), (None, 3)),
    (lambda o, x: o.svd(x)[0], (None, 2, 2)),
    (lambda o, x: o.scan(lambda c, s: (c + s, c), o.zeros((2, 3)), x)[1], (None, 2, 3)),
    (lambda o, x: o.pad(x, ((0, 0), (1, 1), (0, 0))), (None, 4, 3)),
    (lambda o, x: o.rearrange(x, "b t c -> b (t c)"), (None, 6)),
    (lambda o, x: o.fori_loop(0, 3, lambda i, v: v + 1.0, x), (None, 2, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("function", "shape"), BATCH)
def test_unknown_batch(function, shape):
    x = hb.Input((2, 3))
    y = function(ops, x)
    assert y.shape == shape
    value = rng.normal(size=(5, 2, 3)).astype("float32")
    np.testing.assert_allclose(
        hb.Function(x, y)(value), function(ops, ops.convert_to_tensor(value)), rtol=1e-5
    )


BAD = [
    (lambda x: np.log(x), "symbolic.*numpy.log.*hornbeam.ops"),
    (lambda x: np.add.reduce(x), "symbolic.*numpy.add"),
    (lambda x: ops.nonzero(x), r"nonzero: the size.*\(None, 3\).*ops.where"),
    (lambda x: ops.where(x), "where: the size.*`x1` and `x2`"),
    (lambda x: ops.unique(x), "unique: the size.*`size`"),
    (lambda x: x + hb.Input((4,)), r"\(None, 3\), \(None, 4\).*ops.add was called with 0: float32"),
    (
        lambda x: ops.matmul(x, hb.Input(batch_shape=(4, 2))),
        r"got \(3,\) and \(4,\).*ops.matmul",
    ),
]


@pytest.mark.parametrize(("call", "text"), BAD)
def test_errors_of_symbolic_calls(call, text):
    """Errors name the op and its inputs, with `None` for unknown sizes."""
    with pytest.raises((ValueError, TypeError), match=f"(?s){text}"):
        call(hb.Input((3,)))


def test_arrays_and_symbolic_tensors_in_one_expression():
    x = hb.Input((3,))
    y = np.ones(3, "float32") - x * np.float32(2) + (np.arange(3) < x)
    value = rng.normal(size=(2, 3)).astype("float32")
    np.testing.assert_allclose(
        hb.Function(x, y)(value), 1 - value * 2 + (np.arange(3) < value), rtol=1e-6
    )


def test_control():
    add = lambda c, x: (c + x, c * x)  # noqa: E731
    for mine, theirs in [
        (ops.scan(add, 0.0, X[0]), keras.ops.scan(add, 0.0, X[0])),
        (ops.associative_scan(lambda a, b: a + b, X),
            keras.ops.associative_scan(lambda a, b: a + b, X)),
        (ops.while_loop(lambda i, v: i < 9, lambda i, v: (i + 1, v * 2), (0, 1.0), 3), (3, 8.0)),
        (ops.cond(True, lambda: 1, lambda: 2), 1), (ops.switch(1, [lambda: 1, lambda: 2]), 2),
        (ops.map(lambda x: x + 1, X), X + 1), (ops.vectorize(lambda a, b: a + b)(X, 1.0), X + 1),
        (ops.fori_loop(0, 3, lambda i, v: v + i, 0), 3),
        (ops.jvp(lambda x: x * x, [X], [Y]), (X * X, 2 * X * Y)),
    ]:  # fmt: skip
        for a, b in zip(leaves(mine), leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


def test_variables_lists_and_numbers():
    v = hb.Variable([1.0, 2.0])
    assert float(ops.sum(v)) == 3.0
    assert float(ops.dot([1.0, 2.0], v)) == 5.0
    assert ops.add(1, 2).dtype == "int32"
    assert ops.exp([0, 1]).dtype == "float32"
    assert ops.dtype(ops.add(np.ones(2, "float64"), 1)) == "float32"


@pytest.mark.parametrize("axis", [0, -1])
def test_sparsemax(axis):
    """Sparsemax is the nearest point of the simplex; the test finds its threshold by bisection."""
    low, high = X.min(axis, keepdims=True) - 1, X.max(axis, keepdims=True)
    for _ in range(60):
        middle = (low + high) / 2
        much = np.maximum(X - middle, 0).sum(axis, keepdims=True) > 1
        low, high = np.where(much, middle, low), np.where(much, high, middle)
    np.testing.assert_allclose(ops.sparsemax(X, axis), np.maximum(X - low, 0), atol=1e-5)


def test_names():
    public = {
        n for n in dir(keras.ops) if not n.startswith("_") and callable(getattr(keras.ops, n))
    }
    assert public <= set(ops.__all__)
