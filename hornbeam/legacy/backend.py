"""The functions of `keras.backend` of Keras 1 and 2, such as `K.mean` and `K.int_shape`.

They have the arguments, the order of arguments and the defaults of Keras 2. They take arrays,
variables, numbers and symbolic tensors, and are implemented by ops.

Example:
    >>> import numpy as np
    >>> from hornbeam.legacy import backend as K
    >>> float(K.mean(K.square(np.array([1.0, 3.0]))))
    5.0
    >>> K.int_shape(K.placeholder((None, 3)))
    (None, 3)
"""

from __future__ import annotations

import builtins
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from hornbeam import losses, ops, random, settings, tree
from hornbeam.backend import clear_session
from hornbeam.core.naming import name_scope
from hornbeam.core.sparse import is_sparse
from hornbeam.core.tensor import KerasTensor, any_symbolic
from hornbeam.core.variable import Variable
from hornbeam.layers import Input, UpSampling2D, UpSampling3D
from hornbeam.legacy.backend_few import (
    ctc_label_dense_to_sparse,
    disable_tf_random_generator,
    enable_tf_random_generator,
    is_tf_random_generator_enabled,
    local_conv1d,
    local_conv2d,
)
from hornbeam.legacy.backend_graphs import (
    function,
    gradients,
    in_test_phase,
    in_train_phase,
    learning_phase,
    learning_phase_scope,
    rnn,
    set_learning_phase,
    switch,
    update_of,
)
from hornbeam.legacy.sessions import Session, get_graph, get_session, set_session
from hornbeam.older_words import older_words
from hornbeam.typing import DType, Tensor

# Keras 1's words for the order of axes.
_DATA_FORMATS = {"th": "channels_first", "tf": "channels_last", "default": None}

# --- functions of one line ------------------------------------------------------------------------


def _axis_list(axis: Any) -> Any:
    """Return several axes as a tuple; Keras 2 also took lists."""
    return tuple(axis) if isinstance(axis, list) else axis


def _dtype(dtype: Any) -> str:
    return settings.floatx() if dtype is None else dtype


def _layout(data_format: Any) -> str:
    return settings.standardize_data_format(_DATA_FORMATS.get(data_format, data_format))


def _focal(target: Any, output: Any, alpha: float, gamma: float) -> Any:
    """Return the focal loss of each class's probability (Lin et al. 2017)."""
    return alpha * ops.power(1.0 - output, gamma) * -target * ops.log(output)


def _probabilities(output: Any, from_logits: bool, activation: Callable[..., Any]) -> Any:
    output = activation(output) if from_logits else output
    return ops.clip(output, settings.epsilon(), 1.0 - settings.epsilon())


def _binary_focal(
    target: Any, output: Any, balanced: bool, alpha: float, gamma: float, from_logits: bool
) -> Any:
    p = _probabilities(output, from_logits, ops.sigmoid)
    hit = target * p + (1.0 - target) * (1.0 - p)
    loss = ops.power(1.0 - hit, gamma) * ops.binary_crossentropy(target, p)
    return (target * alpha + (1.0 - target) * (1.0 - alpha)) * loss if balanced else loss


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    # elementwise
    "abs": lambda x: ops.abs(x),
    "cast": lambda x, dtype: ops.cast(x, dtype),
    "clip": lambda x, min_value, max_value: ops.clip(
        x, -math.inf if min_value is None else min_value,
        math.inf if max_value is None else max_value),
    "cos": lambda x: ops.cos(x),
    "elu": lambda x, alpha=1.0: ops.where(ops.greater(x, 0), x,
        alpha * ops.expm1(ops.minimum(x, 0))),
    "equal": lambda x, y: ops.equal(x, y),
    "exp": lambda x: ops.exp(x),
    "greater": lambda x, y: ops.greater(x, y),
    "greater_equal": lambda x, y: ops.greater_equal(x, y),
    "hard_sigmoid": lambda x: ops.clip(0.2 * x + 0.5, 0.0, 1.0),
    "less": lambda x, y: ops.less(x, y),
    "less_equal": lambda x, y: ops.less_equal(x, y),
    "log": lambda x: ops.log(x),
    "maximum": lambda x, y: ops.maximum(x, y),
    "minimum": lambda x, y: ops.minimum(x, y),
    "not_equal": lambda x, y: ops.not_equal(x, y),
    "pow": lambda x, a: ops.power(x, a),
    "round": lambda x: ops.round(x),
    "sigmoid": lambda x: ops.sigmoid(x),
    "sign": lambda x: ops.sign(x),
    "sin": lambda x: ops.sin(x),
    "softmax": lambda x, axis=-1: ops.softmax(x, axis=axis),
    "softplus": lambda x: ops.softplus(x),
    "softsign": lambda x: ops.softsign(x),
    "sqrt": lambda x: ops.sqrt(ops.maximum(x, 0.0)),
    "square": lambda x: ops.square(x),
    "stop_gradient": lambda variables: tree.map_structure(ops.stop_gradient, variables),
    "tanh": lambda x: ops.tanh(x),
    # along axes
    "all": lambda x, axis=None, keepdims=False: ops.all(ops.cast(x, "bool"), _axis_list(axis),
        keepdims),
    "any": lambda x, axis=None, keepdims=False: ops.any(ops.cast(x, "bool"), _axis_list(axis),
        keepdims),
    "argmax": lambda x, axis=-1: ops.argmax(x, axis),
    "argmin": lambda x, axis=-1: ops.argmin(x, axis),
    "cumprod": lambda x, axis=0: ops.cumprod(x, axis),
    "cumsum": lambda x, axis=0: ops.cumsum(x, axis),
    "l2_normalize": lambda x, axis=None: x * ops.rsqrt(
        ops.maximum(ops.sum(ops.square(x), axis=_axis_list(axis), keepdims=True), 1e-12)),
    "logsumexp": lambda x, axis=None, keepdims=False: ops.logsumexp(x, _axis_list(axis), keepdims),
    "max": lambda x, axis=None, keepdims=False: ops.max(x, _axis_list(axis), keepdims),
    "mean": lambda x, axis=None, keepdims=False: ops.mean(x, _axis_list(axis), keepdims),
    "min": lambda x, axis=None, keepdims=False: ops.min(x, _axis_list(axis), keepdims),
    "prod": lambda x, axis=None, keepdims=False: ops.prod(x, _axis_list(axis), keepdims),
    "std": lambda x, axis=None, keepdims=False: ops.std(x, _axis_list(axis), keepdims),
    "sum": lambda x, axis=None, keepdims=False: ops.sum(x, _axis_list(axis), keepdims),
    "var": lambda x, axis=None, keepdims=False: ops.var(x, _axis_list(axis), keepdims),
    # shape
    "arange": lambda start, stop=None, step=1, dtype="int32": ops.arange(start, stop, step, dtype),
    "batch_flatten": lambda x: ops.reshape(x, (-1, math.prod(x.shape[1:]))),
    "concatenate": lambda tensors, axis=-1: ops.concatenate(tensors, axis),
    "expand_dims": lambda x, axis=-1: ops.expand_dims(x, axis),
    "eye": lambda size, dtype=None, name=None: _eye(size, dtype),
    "flatten": lambda x: ops.reshape(x, (-1,)),
    "gather": lambda reference, indices: ops.take(reference, ops.cast(indices, "int32"), axis=0),
    "one_hot": lambda indices, num_classes: ops.one_hot(indices, num_classes),
    "permute_dimensions": lambda x, pattern: ops.transpose(x, pattern),
    "repeat": lambda x, n: ops.repeat(ops.expand_dims(x, 1), n, axis=1),
    "repeat_elements": lambda x, rep, axis: ops.repeat(x, rep, axis=axis),
    "reshape": lambda x, shape: ops.reshape(x, tuple(shape)),
    "reverse": lambda x, axes: ops.flip(x, _axis_list(axes)),
    "squeeze": lambda x, axis: ops.squeeze(x, axis),
    "stack": lambda x, axis=0: ops.stack(x, axis),
    "tile": lambda x, n: ops.tile(x, [n] if isinstance(n, int) else n),
    "transpose": lambda x: ops.transpose(x),
    "shape": lambda x: ops.shape(x),
    "ndim": lambda x: len(x.shape),
    "dtype": lambda x: str(x.dtype),
    "temporal_padding": lambda x, padding=(1, 1): ops.pad(x, [(0, 0), tuple(padding), (0, 0)]),
    # products, windows
    "dot": lambda x, y: ops.dot(x, y),
    "conv1d": lambda x, kernel, strides=1, padding="valid", data_format=None,
    dilation_rate=1: _conv1d(
        x, kernel, strides, padding, _layout(data_format), dilation_rate),
    "conv2d": lambda x, kernel, strides=(1, 1), padding="valid", data_format=None,
    dilation_rate=(1, 1): ops.conv(
        x, kernel, strides, padding, _layout(data_format), dilation_rate),
    "conv3d": lambda x, kernel, strides=(1, 1, 1), padding="valid", data_format=None,
    dilation_rate=(1, 1, 1): ops.conv(
        x, kernel, strides, padding, _layout(data_format), dilation_rate),
    "depthwise_conv2d": lambda x, depthwise_kernel, strides=(1, 1), padding="valid",
    data_format=None, dilation_rate=(1, 1):
        ops.depthwise_conv(x, depthwise_kernel, strides, padding, _layout(data_format),
            dilation_rate),
    "separable_conv2d": lambda x, depthwise_kernel, pointwise_kernel, strides=(1, 1),
    padding="valid", data_format=None,
        dilation_rate=(1, 1): ops.separable_conv(
            x, depthwise_kernel, pointwise_kernel, strides, padding, _layout(data_format),
            dilation_rate),
    "pool2d": lambda x, pool_size, strides=(1, 1), padding="valid", data_format=None,
    pool_mode="max":
        _pool(pool_mode)(x, pool_size, strides, padding, _layout(data_format)),
    "pool3d": lambda x, pool_size, strides=(1, 1, 1), padding="valid", data_format=None,
    pool_mode="max":
        _pool(pool_mode)(x, pool_size, strides, padding, _layout(data_format)),
    # losses: one value per element or per sample
    "binary_crossentropy": lambda target, output,
    from_logits=False: ops.binary_crossentropy(target, output, from_logits),
    "binary_focal_crossentropy": lambda target, output, apply_class_balancing=False, alpha=0.25,
    gamma=2.0, from_logits=False:
        _binary_focal(target, output, apply_class_balancing, alpha, gamma, from_logits),
    "categorical_crossentropy": lambda target, output, from_logits=False,
    axis=-1: ops.categorical_crossentropy(
        target, output, from_logits, axis),
    "categorical_focal_crossentropy": lambda target, output, alpha=0.25, gamma=2.0,
    from_logits=False, axis=-1: ops.sum(
        _focal(target, _probabilities(
            output if from_logits else output / ops.sum(output, axis=axis, keepdims=True),
            from_logits, lambda x: ops.softmax(x, axis=axis)), alpha, gamma), axis=axis),
    "in_top_k": lambda predictions, targets, k: ops.in_top_k(targets, predictions, k),
    # random numbers
    "dropout": lambda x, level, noise_shape=None,
    seed=None: random.dropout(x, level, noise_shape, seed),
    "random_bernoulli": lambda shape, p=0.0, dtype=None, seed=None: ops.cast(
        random.uniform(shape, seed=seed) < p, _dtype(dtype)),
    "random_binomial": lambda shape, p=0.0, dtype=None, seed=None: ops.cast(
        random.uniform(shape, seed=seed) < p, _dtype(dtype)),
    "random_normal": lambda shape, mean=0.0, stddev=1.0, dtype=None,
    seed=None: random.normal(shape, mean, stddev, dtype, seed),
    "random_uniform": lambda shape, minval=0.0, maxval=1.0, dtype=None, seed=None: random.uniform(
        shape, minval, maxval, dtype, seed),
    "truncated_normal": lambda shape, mean=0.0, stddev=1.0, dtype=None,
    seed=None: random.truncated_normal(
        shape, mean, stddev, dtype, seed),
    # arrays and variables
    "constant": lambda value, dtype=None, shape=None, name=None: ops.full(
        np.shape(value) if shape is None else shape, value, _dtype(dtype)),
    "ones": lambda shape, dtype=None, name=None: ops.ones(shape, _dtype(dtype)),
    "ones_like": lambda x, dtype=None, name=None: ops.ones_like(x, dtype),
    "zeros": lambda shape, dtype=None, name=None: ops.zeros(shape, _dtype(dtype)),
    "zeros_like": lambda x, dtype=None, name=None: ops.zeros_like(x, dtype),
    "variable": lambda value, dtype=None, name=None,
    constraint=None: _variable(value, dtype, name, constraint),
    "random_normal_variable": lambda shape, mean, scale, dtype=None, name=None,
    seed=None: _variable(
        random.normal(shape, mean, scale, dtype, seed), dtype, name),
    "random_uniform_variable": lambda shape, low, high, dtype=None, name=None, seed=None: _variable(
        random.uniform(shape, low, high, dtype, seed), dtype, name),
    "count_params": lambda x: math.prod(x.shape),
    "eval": lambda x: np.array(x),
    "get_value": lambda x: np.array(x),
    "batch_get_value": lambda tensors: [np.array(x) for x in tensors],
    "set_value": lambda x, value: x.assign(value),
    "update": lambda x, new_x: update_of(x, new_x),
    "update_add": lambda x, increment: update_of(x, ops.add(x, increment)),
    "update_sub": lambda x, decrement: update_of(x, ops.subtract(x, decrement)),
    "moving_average_update": lambda x, value, momentum: update_of(
        x, ops.add(ops.multiply(x, momentum), ops.multiply(value, 1.0 - momentum))),
    "is_sparse": lambda tensor: is_sparse(tensor) or getattr(tensor, "sparse", False) is True,
    "to_dense": lambda tensor: ops.convert_to_tensor(tensor, sparse=False),
    # functions over elements
    "map_fn": lambda fn, elems, name=None, dtype=None: ops.map(fn, elems),
    "foldl": lambda fn, elems, initializer=None, name=None: _fold(
        fn, elems, initializer, reverse=False),
    "foldr": lambda fn, elems, initializer=None, name=None: _fold(
        fn, elems, initializer, reverse=True),
    # Keras 1
    "image_dim_ordering": lambda: (
        "th" if settings.image_data_format() == "channels_first" else "tf"),
    "set_image_dim_ordering": lambda dim_ordering: settings.set_image_data_format(
        str(_DATA_FORMATS.get(dim_ordering, dim_ordering))),
}  # fmt: skip

# Keras 1's words for arguments, and today's.
_WORDS = {
    "border_mode": "padding", "dim_ordering": "data_format", "filter_dilation": "dilation_rate",
    "std": "stddev", "low": "minval", "high": "maxval", "image_shape": "", "filter_shape": "",
    "volume_shape": "", "X": "x",
}  # fmt: skip


def _with_older_words(function: Callable[..., Any]) -> Callable[..., Any]:
    names = inspect.signature(function).parameters
    words = {
        old: new
        for old, new in _WORDS.items()
        if old not in names and (new in names or (not new and "data_format" in names))
    }
    return older_words(**words)(function) if words else function


for _name, _function in _FUNCTIONS.items():
    _function = _FUNCTIONS[_name] = _with_older_words(_function)
    _function.__name__ = _function.__qualname__ = _name
    _function.__module__ = __name__
    _function.__doc__ = f"`keras.backend.{_name}` of Keras 1 and 2."
globals().update(_FUNCTIONS)

__all__ = [
    *_FUNCTIONS, "Session", "batch_dot", "batch_normalization", "batch_set_value", "bias_add",
    "cast_to_floatx", "conv2d_transpose", "ctc_batch_cost", "ctc_decode",
    "ctc_label_dense_to_sparse", "disable_tf_random_generator", "enable_tf_random_generator",
    "function", "get_graph", "get_session", "gradients", "in_test_phase", "in_train_phase",
    "int_shape", "is_tf_random_generator_enabled", "learning_phase", "learning_phase_scope",
    "local_conv1d", "local_conv2d", "manual_variable_initialization", "name_scope",
    "normalize_batch_in_training", "placeholder", "print_tensor", "relu", "reset_uids",
    "resize_images", "resize_volumes", "rnn", "set_learning_phase", "set_session",
    "sparse_categorical_crossentropy", "spatial_2d_padding", "spatial_3d_padding", "switch",
]  # fmt: skip


def _variable(value: Any, dtype: Any, name: str | None, constraint: Any = None) -> Variable:
    variable = Variable(np.asarray(value), dtype=_dtype(dtype), name=name)
    variable.constraint = constraint
    return variable


def _fold(function: Callable[..., Any], elements: Any, start: Any, reverse: bool) -> Any:
    rows = list(ops.unstack(elements, axis=0))
    rows = rows[::-1] if reverse else rows
    result = rows.pop(0) if start is None else start
    for row in rows:
        result = function(result, row)
    return result


def _eye(size: Any, dtype: Any) -> Any:
    sizes = list(size) if isinstance(size, (list, tuple)) else [size]
    return ops.eye(sizes[0], sizes[-1], dtype=dtype)


def _conv1d(x: Any, kernel: Any, strides: Any, padding: str, layout: str, dilation: Any) -> Any:
    if padding == "causal":
        ahead = (dilation if isinstance(dilation, int) else dilation[0]) * (kernel.shape[0] - 1)
        last = layout == "channels_last"
        x = ops.pad(x, [(0, 0), (ahead, 0), (0, 0)] if last else [(0, 0), (0, 0), (ahead, 0)])
        padding = "valid"
    return ops.conv(x, kernel, strides, padding, layout, dilation)


def _pool(mode: str) -> Callable[..., Any]:
    if mode not in ("max", "avg"):
        raise ValueError(f"pool2d, pool3d: `pool_mode` must be 'max' or 'avg', received {mode!r}.")
    return ops.max_pool if mode == "max" else ops.average_pool


# --- functions of some more lines -----------------------------------------------------------------


def int_shape(x: object) -> tuple[int | None, ...] | None:
    """Return the shape as a tuple, with `None` for unknown sizes, or `None` if `x` has no shape."""
    return tuple(x.shape) if hasattr(x, "shape") else None


def cast_to_floatx(x: Tensor) -> Tensor:
    """Return `x` with dtype `floatx()`; NumPy arrays, lists and numbers become NumPy arrays."""
    if isinstance(x, (jax.Array, KerasTensor, Variable)):
        return ops.cast(x, settings.floatx())
    return np.asarray(x, dtype=settings.floatx())


def placeholder(
    shape: Sequence[int | None] | None = None, ndim: int | None = None, dtype: DType | None = None,
    sparse: bool = False, name: str | None = None, ragged: bool = False,
) -> KerasTensor:  # fmt: skip
    """Return a symbolic tensor. `shape` includes the batch axis."""
    shape = (None,) * (ndim or 0) if shape is None else shape
    return Input(batch_shape=tuple(shape), dtype=dtype, name=name, sparse=sparse, ragged=ragged)


def batch_set_value(tuples: Sequence[tuple[Variable, Any]]) -> None:
    """Assign each variable its value."""
    for variable, value in tuples:
        variable.assign(value)


def batch_dot(x: Tensor, y: Tensor, axes: int | Sequence[int] | None = None) -> Tensor:
    """Return the products of the samples of `x` and `y`, summed over one axis of each.

    The result has at least rank 2.
    """
    a, b = len(x.shape), len(y.shape)
    if axes is None:
        axes = (a - 1, b - 1 if b == 2 else b - 2)
    i, j = (axes, axes) if isinstance(axes, int) else axes
    i, j = i % a, j % b
    if i == 0 or j == 0:
        raise ValueError(f"batch_dot: `axes` must not name the batch axis, received {axes}.")
    letters = "abcdefghijklm"
    left, right = ["z", *letters[: a - 1]], ["z", *letters[a - 1 : a + b - 2]]
    left[i] = right[j] = "s"
    kept = [c for c in left[1:] + right[1:] if c != "s"]
    out = ops.einsum(f"{''.join(left)},{''.join(right)}->z{''.join(kept)}", x, y)
    return out if kept else ops.expand_dims(out, 1)


@_with_older_words
def bias_add(x: Tensor, bias: Tensor, data_format: str | None = None) -> Tensor:
    """Add a bias: one number per channel, or an array of a sample's shape with channels last."""
    rank = len(x.shape)
    if len(bias.shape) not in (1, rank - 1):
        raise ValueError(
            f"bias_add: `bias` must have rank 1 or {rank - 1}, received shape {tuple(bias.shape)}."
        )
    if rank < 3 or _layout(data_format) == "channels_last":
        return x + bias
    if len(bias.shape) == 1:
        return x + ops.reshape(bias, (bias.shape[0],) + (1,) * (rank - 2))
    return x + ops.moveaxis(bias, -1, 0)


def relu(
    x: Tensor, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """Return `x` from `threshold` on, else `alpha * (x - threshold)`; at most `max_value`."""
    above = ops.where(ops.greater_equal(x, threshold), x, alpha * (x - threshold))
    return above if max_value is None else ops.minimum(above, max_value)


def batch_normalization(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    beta: Tensor,
    gamma: Tensor,
    axis: int = -1,
    epsilon: float = 0.001,
) -> Tensor:
    """Return `(x - mean) / sqrt(var + epsilon) * gamma + beta`.

    `mean`, `var`, `beta` and `gamma` are vectors or have the rank of `x`.
    """
    size = x.shape[axis]
    vectors = [None if v is None else ops.reshape(v, (size,)) for v in (mean, var, beta, gamma)]
    return ops.batch_normalization(x, vectors[0], vectors[1], axis, vectors[2], vectors[3], epsilon)


def normalize_batch_in_training(
    x: Tensor, gamma: Tensor, beta: Tensor, reduction_axes: Sequence[int], epsilon: float = 0.001
) -> Tensor:
    """Return the batch scaled to mean `beta` and deviation `gamma`, its mean and its variance."""
    axes = [axis % len(x.shape) for axis in reduction_axes]
    mean, var = ops.moments(x, axes)
    placed = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    placed[0] = 1 if 0 in axes else -1
    y = (x - ops.reshape(mean, placed)) * ops.rsqrt(ops.reshape(var, placed) + epsilon)
    y = y if gamma is None else y * ops.reshape(gamma, placed)
    return (y if beta is None else y + ops.reshape(beta, placed)), mean, var


@_with_older_words
def conv2d_transpose(
    x: Tensor, kernel: Tensor, output_shape: Sequence[Any], strides: int | Sequence[int] = (1, 1),
    padding: str = "valid", data_format: str | None = None,
    dilation_rate: int | Sequence[int] = (1, 1),
) -> Tensor:  # fmt: skip
    """Return the transposed convolution. `output_shape` chooses among the possible sizes."""
    layout = _layout(data_format)
    steps, dilation = ((n, n) if isinstance(n, int) else tuple(n) for n in (strides, dilation_rate))
    sizes = tuple(output_shape)[1:3] if layout == "channels_last" else tuple(output_shape)[2:4]
    given = x.shape[1:3] if layout == "channels_last" else x.shape[2:4]
    more: Any = None
    if builtins.all(isinstance(n, int) for n in (*sizes, *given)):
        reach = [(k - 1) * d for k, d in zip(kernel.shape[:2], dilation, strict=True)]
        least = [
            (n - 1) * s + (1 if padding == "same" else r + 1)
            for n, s, r in zip(given, steps, reach, strict=True)
        ]
        more = tuple(size - small for size, small in zip(sizes, least, strict=True))
    return ops.conv_transpose(x, kernel, strides, padding, more, layout, dilation_rate)


@_with_older_words
def spatial_2d_padding(
    x: Tensor, padding: Sequence[Any] = ((1, 1), (1, 1)), data_format: str | None = None
) -> Tensor:
    """Return images padded with zeros."""
    return _spatial_padding(x, padding, data_format)


@_with_older_words
def spatial_3d_padding(
    x: Tensor, padding: Sequence[Any] = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None
) -> Tensor:
    """Return volumes padded with zeros."""
    return _spatial_padding(x, padding, data_format)


def _spatial_padding(x: Any, padding: Any, data_format: Any) -> Any:
    widths = [tuple(pair) for pair in padding]
    last = _layout(data_format) == "channels_last"
    return ops.pad(x, [(0, 0), *widths, (0, 0)] if last else [(0, 0), (0, 0), *widths])


@_with_older_words
def resize_images(
    x: Tensor,
    height_factor: int,
    width_factor: int,
    data_format: str | None,
    interpolation: str = "nearest",
) -> Tensor:
    """Return images enlarged by integer factors."""
    return UpSampling2D((height_factor, width_factor), data_format, interpolation)(x)


@_with_older_words
def resize_volumes(
    x: Tensor, depth_factor: int, height_factor: int, width_factor: int, data_format: str | None
) -> Tensor:
    """Return volumes enlarged by integer factors."""
    return UpSampling3D((depth_factor, height_factor, width_factor), data_format)(x)


def sparse_categorical_crossentropy(
    target: Tensor,
    output: Tensor,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> Tensor:
    """Return one value per sample, 0 for samples of `ignore_class`."""
    return losses.sparse_categorical_crossentropy(target, output, from_logits, ignore_class, axis)


def ctc_batch_cost(
    y_true: Tensor, y_pred: Tensor, input_length: Tensor, label_length: Tensor
) -> Tensor:
    """Return the CTC loss (B, 1) of probabilities (B, T, classes). The last class is the blank."""
    labels, steps = (ops.reshape(ops.cast(n, "int32"), (-1,)) for n in (label_length, input_length))
    logits = ops.log(ops.clip(y_pred, settings.epsilon(), 1.0))
    loss = ops.ctc_loss(
        ops.cast(y_true, "int32"), logits, labels, steps, mask_index=y_pred.shape[-1] - 1
    )
    return ops.expand_dims(loss, 1)


def ctc_decode(
    y_pred: Tensor,
    input_length: Tensor,
    greedy: bool = True,
    beam_width: int = 100,
    top_paths: int = 1,
) -> tuple[list[Any], Any]:
    """Return the most likely label sequences, padded with -1, and their scores."""
    logits = ops.log(ops.clip(y_pred, settings.epsilon(), 1.0))
    paths, scores = ops.ctc_decode(
        logits, ops.cast(input_length, "int32"), "greedy" if greedy else "beam_search", beam_width,
        top_paths, mask_index=y_pred.shape[-1] - 1,
    )  # fmt: skip
    return list(paths), scores


def print_tensor(x: Tensor, message: str = "", summarize: int = 3) -> Tensor:
    """Print `x` once it has values, and return it. Symbolic tensors are not printed."""
    if not any_symbolic(x):
        jax.debug.print(f"{message.replace('{', '{{').replace('}', '}}')} {{}}", x)
    return x


def reset_uids() -> None:
    """Start the numbering of names and of `get_uid` again."""
    clear_session(free_memory=False)


def manual_variable_initialization(value: object) -> None:
    """Do nothing: variables have values from the start."""
