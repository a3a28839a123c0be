"""Which way an op is computed, and why: the one place where that is decided.

There are three ways. "plain" is XLA, on every platform and for every argument. "native" is a kernel of the
distribution `hornbeam-cpu`, which is used where it is installed, on CPU, for what it knows. "cudnn" is a kernel of
NVIDIA's library, called by JAX on their GPUs. All give the same results up to rounding. The functions below are read
top to bottom: the first reason that holds decides.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import platform
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import numpy as np

from hornbeam import settings

__all__ = [
    "Route",
    "attention",
    "columns_to_add",
    "convolution",
    "convolutions_are_loop_safe",
    "cudnn_recurrence",
    "portable",
    "product",
    "recurrence",
    "taken",
    "update",
]


class Route(NamedTuple):
    """A way to compute, `"native"`, `"cudnn"` or `"plain"`, and the reason for it."""

    name: str
    reason: str


_portable: ContextVar[bool] = ContextVar("hornbeam_portable", default=False)
_taken: dict[str, Route] = {}
_INTERFACE = 5  # of hornbeam-cpu
_REMEMBERED = 1000  # choices, the latest, so that a long process does not grow


@contextlib.contextmanager
def portable() -> Iterator[None]:
    """Take the plain way for everything that is traced inside the block.

    It is for programs that leave the process, such as those that `hornbeam.export` writes: they hold no call of a native
    kernel or of cuDNN. The setting belongs to the context, so other threads are not affected. A function that
    `jax.jit` has traced before keeps the way that was chosen then: trace a new function inside the block.

    Example:
        >>> with portable():
        ...     convolution("forward", "float32", ((8, 8), (3, 3)), ((1, 1), (1, 1))).name
        'plain'
    """
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


@functools.cache
def kernels() -> Any:
    """Return the module `hornbeam_cpu`, or the reason, a string, why its kernels cannot be used."""
    try:
        import hornbeam_cpu
    except ImportError:
        if sys.platform == "linux" and platform.machine() == "x86_64":
            logging.getLogger("hornbeam").info("Faster kernels for CPU exist: pip install 'hornbeam[cpu]'")
        return "hornbeam-cpu is not installed"
    except (OSError, RuntimeError, AttributeError) as error:  # built for another jaxlib or another machine
        return f"hornbeam-cpu does not load: {error}"
    if getattr(hornbeam_cpu, "INTERFACE", 1) != _INTERFACE:
        reason = "hornbeam-cpu is of another version than Hornbeam"
        logging.getLogger("hornbeam").warning("Its kernels are not used: %s. Install both again.", reason)
        return reason
    return hornbeam_cpu


def why_plain(dtype: Any) -> str | None:
    """Return why no native kernel may be used with this dtype, whatever the op; `None` if one may."""
    if _portable.get():
        return "the program is to run elsewhere"
    if settings.kernels() == "plain":
        return "hornbeam.config.set_kernels('plain')"
    if jax.default_backend() != "cpu":
        return f"the platform is {jax.default_backend()}"
    if jax.local_device_count() > 1:
        return "several CPU devices: XLA can divide its own ops among them, not a native kernel"
    if isinstance(kernels(), str):
        return kernels()
    if np.dtype(dtype) not in kernels().dtypes():
        return f"no native kernel for {np.dtype(dtype).name} on this processor"
    return None


def convolution(kind: str, dtype: Any, sizes: Any, padding: Any, empty: bool = False) -> Route:
    """Choose for a convolution (`"forward"`) or its gradient by the `"inputs"` or the `"kernel"`.

    Args:
        kind: One of the three.
        dtype: Dtype of inputs and kernel.
        sizes: Spatial sizes of inputs and window, for each spatial axis.
        padding: (before, after) for each spatial axis.
        empty: Whether an array is empty.

    Example:
        >>> convolution("forward", "float64", ((8, 8), (3, 3)), ((1, 1), (1, 1))).name
        'plain'
    """
    reason = why_plain(dtype)
    if reason is None and len(padding) not in (1, 2, 3):
        reason = f"{len(padding)} spatial axes"
    if reason is None and any(n < 0 for pair in padding for n in pair):
        reason = "the padding takes away instead of adding"
    if reason is None and any(n >= size for pair, size in zip(padding, sizes[1], strict=True) for n in pair if n):
        reason = "the padding is wider than the window"
    if reason is None and empty:
        reason = "nothing to compute"
    route = Route("native", "by hornbeam-cpu") if reason is None else Route("plain", reason)
    return _remember(f"conv {kind} {np.dtype(dtype).name} {'x'.join(map(str, sizes[0]))} window "
                     f"{'x'.join(map(str, sizes[1]))}", route)  # fmt: skip


def native_convolution(kind: str, dtype: Any, spec: Any, batch: int, channels: tuple[int, int]) -> str:
    """Choose among the native ways for a convolution.

    Args:
        kind: `"forward"`, `"inputs"` or `"kernel"`.
        dtype: Dtype of inputs and kernel.
        spec: What the convolution is, a `conv_primitive.Spec`.
        batch: Number of examples.
        channels: Those of the inputs and of the outputs.

    Returns:
        `"onednn"`: its convolution. `"depthwise"`, `"few channels"`: our own. Where a window of one element makes it a
        product of two matrices, `"product"`: XLA's, or `"native product"`: oneDNN's, for the gradient by the kernel.
    """
    # A filter for each channel, square windows that move by one element: up to 1.6 times as fast as oneDNN's.
    ours = spec.window in ((3, 3), (5, 5)) and set(spec.strides) == set(spec.dilation) == {1} and kind != "kernel"
    if ours and 1 < spec.groups == channels[0] == channels[1] and np.dtype(dtype) == np.float32:
        return "depthwise"
    # From few channels, as 3 of colour, to many, up to a tenth faster than oneDNN's; from many to few, since that makes 16 at
    # once, 3 to 8 times.
    few, many = sorted(channels)
    to_few = channels[kind == "forward"] == few
    dense = len(spec.space) == 2 and spec.groups == 1 and set(spec.dilation) == {1} and set(spec.window) != {1}
    moved = kind == "forward" or (kind == "inputs" and set(spec.strides) == {1})
    if dense and moved and few <= 4 and many % (16 if to_few else 64) == 0 and np.dtype(dtype) == np.float32:
        return "few channels"
    whole = set(spec.window) == set(spec.strides) == {1} and not any(map(any, spec.padding)) and spec.groups == 1
    # oneDNN's convolutions fill vectors of 16 channels, whatever they make: from 64 channels to 2, XLA takes a third of the time.
    if whole and kind != "kernel" and channels[kind == "forward"] <= 8:
        return "product"
    # A kernel that outweighs inputs and outputs: to bring it into oneDNN's form takes a tenth of the time or more.
    rows = batch * math.prod(spec.space)
    outweighs = math.prod(channels) > rows * sum(channels) >= 2**16
    if whole and outweighs and kind != "kernel" and np.dtype(dtype) == np.float32:
        return "product"
    # Wide kernels: up to a quarter faster than the convolution; narrow ones: slower.
    if whole and kind == "kernel" and min(channels) >= 64 and np.dtype(dtype) == np.float32:
        return "native product"
    return "onednn"


def product(dtype: Any, rows: int, columns: int, results: int) -> Route:
    """Choose for the gradient by the kernel of a product of rows (rows, columns) by a kernel (columns, results).

    Example:
        >>> product("float64", 128, 512, 512).name
        'plain'
    """
    reason = why_plain(dtype)
    if reason is None and np.dtype(dtype) != np.float32:
        reason = f"no native product for {np.dtype(dtype).name}"
    if reason is None and rows < 8:
        reason = "few rows: XLA multiplies without copying"
    if reason is None and rows * columns * results < 2**18:
        reason = "small: a call of a kernel would cost more than it saves"
    route = Route("native", "oneDNN, by hornbeam-cpu") if reason is None else Route("plain", reason)
    return _remember(f"product {np.dtype(dtype).name} {rows}x{columns} by {columns}x{results}", route)


def rows(dtype: Any, shape: Any) -> Route:
    """Choose for the gradient of a table of which rows are taken.

    Example:
        >>> rows("float64", (20000, 128)).name
        'plain'
    """
    reason = why_plain(dtype)
    if reason is None and np.dtype(dtype) != np.float32:
        reason = f"no native sum of rows for {np.dtype(dtype).name}"
    if reason is None and np.prod(shape) < 2**16:
        reason = "small: it stays in the caches until it is read"
    route = Route("native", "by hornbeam-cpu") if reason is None else Route("plain", reason)
    return _remember(f"rows {np.dtype(dtype).name} {'x'.join(map(str, shape))}", route)


def update(part: str, dtype: Any, size: int) -> Route:
    """Choose for a part of an optimizer's work: `"adam"`, its step, or `"order"`, that gradients come first.

    Args:
        part: One of the two.
        dtype: Dtype of the weights.
        size: Number of weights, of the largest array for `"order"`.

    Example:
        >>> update("adam", "float64", 1_000_000).name
        'plain'
    """
    reason = why_plain(dtype)
    if reason is None and np.dtype(dtype) != np.float32:
        reason = f"no native optimizer for {np.dtype(dtype).name}"
    if reason is None and size < 2**16:
        reason = "small: it stays in the caches between XLA's loops"
    route = Route("native", "by hornbeam-cpu") if reason is None else Route("plain", reason)
    return _remember(f"optimizer {part} {np.dtype(dtype).name} {size}", route)


def convolutions_are_loop_safe(dtype: Any = "float32") -> bool:
    """Tell whether convolutions are as fast inside a compiled loop as outside of one.

    XLA's own are on GPU and TPU; on CPU their gradients are about twenty times slower there, the native ones not.

    Example:
        >>> convolutions_are_loop_safe() in (True, False)
        True
    """
    return jax.default_backend() != "cpu" or why_plain(dtype) is None


def compute_capability() -> tuple[int, ...] | None:
    """Return what NVIDIA calls the compute capability of the first device, such as (9, 0); `None` for others."""
    if jax.default_backend() not in ("gpu", "cuda"):
        return None
    told = str(getattr(jax.local_devices()[0], "compute_capability", ""))
    parts = told.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else None


def why_no_cudnn() -> str | None:
    """Return why no kernel of cuDNN may be used, whatever the op; `None` if one may."""
    if _portable.get():
        return "the program is to run elsewhere"
    if compute_capability() is None:
        return f"it is a kernel of cuDNN, for GPUs of NVIDIA, and the platform is {jax.default_backend()}"
    return None


def columns_to_add(dtype: Any, rows: int, columns: int, results: int) -> int:
    """Choose how many columns of zeros a kernel (columns, results) is given for a product with (rows, columns).

    The matrix units of NVIDIA's GPUs take half as long where rows of numbers of two bytes begin at multiples of 16 bytes:
    the logits of a GPT-2, 50,257 of them, in a training step. The copy of the kernel costs little beside many rows.

    Example:
        >>> columns_to_add("float32", 8192, 768, 50257)
        0
    """
    if why_no_cudnn() is not None or settings.kernels() == "plain":
        return 0
    if np.dtype(dtype).itemsize != 2 or results % 8 == 0 or rows < 256 or rows * columns * results < 2**30:
        return 0
    return -results % 64


def attention(
    owner: str, asked: bool | None, dtypes: Any, lengths: Any, heads: Any, masked: bool, extra: str | None = None
) -> Route:
    """Choose for attention: cuDNN's fused kernel, which never holds all scores, or the plain way.

    Args:
        owner: Who asks, for the error.
        asked: `flash_attention`: true insists, false declines, `None` follows `config.enable_flash_attention`.
        dtypes: Dtypes of query, key and value.
        lengths: (T, S), positions of queries and values.
        heads: Sizes of a head of queries and of values.
        masked: Whether a mask or a bias is added to the scores.
        extra: What else is wanted that the kernel does not know.

    Raises:
        RuntimeError: If the kernel is insisted on and cannot be used.

    Example:
        >>> attention("example", False, ["bfloat16"] * 3, (8, 8), (64, 64), False).name
        'plain'
    """
    names = sorted({np.dtype(dtype).name for dtype in dtypes})
    largest = 128 if (compute_capability() or (0,)) < (9,) else 256
    reason = None
    if asked is False:
        reason = "flash_attention=False"
    elif asked is None and settings.is_flash_attention_enabled() is False:
        reason = "hornbeam.config.disable_flash_attention()"
    reason = reason or why_no_cudnn()
    if reason is None and (compute_capability() or (0,)) < (8,):
        reason = "the GPU's compute capability is below 8.0"
    if reason is None and names not in (["bfloat16"], ["float16"]):
        reason = f"it takes bfloat16 or float16, and the inputs are {' and '.join(names)}"
    if reason is None and (heads[0] != heads[1] or heads[0] % 8 or heads[0] > largest):
        reason = f"a head's size must be a multiple of 8 up to {largest}, the same for values, and it is {heads}"
    reason = reason or extra
    # The kernel's gradient needs it; who insists may want no gradient.
    if reason is None and asked is None and masked and any(length % 2 for length in lengths):
        reason = f"with a mask or bias the positions must be even in number, and are {lengths}"
    if reason is not None and asked and not _portable.get():
        raise RuntimeError(
            f"{owner}: `flash_attention=True` asks for the fused kernel, which cannot be used here: {reason}. "
            "With `flash_attention=None` it is used wherever it can be."
        )
    route = Route("cudnn", "cuDNN's fused kernel") if reason is None else Route("plain", reason)
    return _remember(f"attention {'/'.join(names)} {'x'.join(map(str, lengths))} heads of {heads[0]}", route)


def recurrence(cell: str, dtype: Any, shape: Any, kernel: Any, fused: bool = True) -> Route:
    """Choose for a recurrence of a standard cell along time, its gradient included.

    Args:
        cell: One of `hornbeam.ops.recurrence.CELLS`.
        dtype: Dtype of inputs and weights.
        shape: (T, B, gates * units), of the projected inputs.
        kernel: (units, gates * units), of the recurrent weights.
        fused: Whether a kernel may run the loop.

    Example:
        >>> recurrence("lstm", "float64", (5, 2, 12), (3, 12)).name
        'plain'
    """
    reason = why_plain(dtype) if fused else "use_cudnn=False"
    if reason is None and np.dtype(dtype) != np.float32:
        reason = f"no native recurrence for {np.dtype(dtype).name}"
    route = Route("native", "one kernel, by hornbeam-cpu") if reason is None else Route("plain", reason)
    return _remember(f"{_recurrence_name(cell, dtype, shape)} units {kernel[0]}", route)


def cudnn_recurrence(owner: str, asked: bool, dtype: Any, shape: Any, extra: str | None = None) -> Route:
    """Choose for an LSTM: cuDNN's kernel, or the way that there is elsewhere.

    Args:
        owner: Who asks, for the error.
        asked: Whether the kernel is insisted on.
        dtype: Dtype of inputs and weights.
        shape: (T, B, C), of the inputs.
        extra: What is wanted that the kernel does not know.

    Raises:
        ValueError: If the kernel is insisted on and cannot be used.

    Example:
        >>> with portable():
        ...     cudnn_recurrence("example", True, "float32", (5, 2, 3)).name
        'plain'
    """
    reason = why_no_cudnn() or extra
    if reason is None and np.dtype(dtype) != np.float32:
        reason = f"JAX calls the kernel for float32 alone, and the inputs are {np.dtype(dtype).name}"
    if reason is None and 0 in shape:
        reason = "there is nothing to run"
    if reason is not None and asked and not _portable.get():
        raise ValueError(
            f"{owner}: `use_cudnn=True` asks for cuDNN's kernel, which cannot be used here: {reason}. "
            "With `use_cudnn='auto'` the fastest way that there is runs the layer."
        )
    route = Route("cudnn", "cuDNN's kernel") if reason is None else Route("plain", reason)
    return route if reason is not None and not asked else _remember(_recurrence_name("lstm", dtype, shape), route)


def _recurrence_name(cell: str, dtype: Any, shape: Any) -> str:
    return f"{cell} {np.dtype(dtype).name} {'x'.join(map(str, shape))}"


def taken() -> dict[str, Route]:
    """Return the routes chosen so far in this process, by op."""
    return dict(_taken)


def _remember(op: str, route: Route) -> Route:
    _taken.pop(op, None)
    _taken[op] = route
    if len(_taken) > _REMEMBERED:  # the oldest goes; another thread may be at the same
        with contextlib.suppress(StopIteration, RuntimeError):
            _taken.pop(next(iter(_taken)), None)
    return route
