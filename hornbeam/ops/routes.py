"""How each op is computed, and why: the one place that decides it.

There are three ways. "plain" is XLA, on every platform and for all arguments. "native" is a kernel
of the distribution `hornbeam-cpu`: it is used on CPU, where it is installed, for the arguments that
it supports. "cudnn" is a kernel of NVIDIA's library, which JAX calls on their GPUs. All give the
same results up to rounding. Each function below lists its reasons in order, and the first one that
holds decides.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import platform
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.export import is_symbolic_dim

from hornbeam import settings
from hornbeam.typing import DType

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
    """A way to compute, `"native"`, `"cudnn"` or `"plain"`, and the reason for the choice."""

    name: str
    reason: str


_portable: ContextVar[bool] = ContextVar("hornbeam_portable", default=False)
_taken: dict[str, Route] = {}
_INTERFACE = 6  # the version of hornbeam-cpu's kernels that is called here
# The latest choices are kept; a limit, so that memory does not grow in a long process.
_REMEMBERED = 1000


@contextlib.contextmanager
def portable() -> Iterator[None]:
    """Take the plain way for everything that is traced inside the block.

    It is for programs that leave the process, such as those that `hornbeam.export` writes: they
    hold no call of a native kernel or of cuDNN. The setting belongs to the context, so other
    threads are not affected. A function that `jax.jit` has traced before keeps the way that was
    chosen then: trace a new function inside the
        block.

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
    """Return the module `hornbeam_cpu`, or the reason as a string if its kernels are unusable."""
    try:
        import hornbeam_cpu
    except ImportError:
        if sys.platform == "linux" and platform.machine() == "x86_64":
            logging.getLogger("hornbeam").info(
                "Faster kernels for CPU are available: pip install 'hornbeam[cpu]'"
            )
        return "hornbeam-cpu is not installed"
    except (
        OSError,
        RuntimeError,
        AttributeError,
    ) as error:  # built for another jaxlib or another machine
        return f"hornbeam-cpu does not load: {error}"
    if getattr(hornbeam_cpu, "INTERFACE", 1) != _INTERFACE:
        reason = "hornbeam-cpu is of another version than Hornbeam"
        logging.getLogger("hornbeam").warning(
            "Its kernels are not used: %s. Install both again.", reason
        )
        return reason
    return hornbeam_cpu


def text_kernels() -> Any:
    """Return the module of `hornbeam_cpu` for texts, or `None` if it is not to be used.

    Texts are processed on the host, whatever the device is.
    """
    return None if settings.kernels() == "plain" else getattr(kernels(), "text", None)


def image_kernels() -> Any:
    """Return the module of `hornbeam_cpu` for images, or `None` if it is not to be used."""
    return None if settings.kernels() == "plain" else getattr(kernels(), "images", None)


def why_plain(dtype: DType, sizes: Sequence[Any] = ()) -> str | None:
    """Return why no op may use a native kernel, or `None` if one may.

    Args:
        dtype: Dtype of the numbers.
        sizes: The sizes by which the op would choose; `jax.export` traces with symbols as sizes.
    """
    if _portable.get():
        return "the program is portable"
    if any(is_symbolic_dim(size) for size in sizes):
        return "the program is for any size"
    if settings.kernels() == "plain":
        return "hornbeam.config.set_kernels('plain')"
    if jax.default_backend() != "cpu":
        return f"the platform is {jax.default_backend()}"
    if jax.local_device_count() > 1:
        return "several CPU devices: XLA can divide its own ops among them, but not a native kernel"
    if isinstance(kernels(), str):
        return kernels()
    if np.dtype(dtype) not in kernels().dtypes():
        return f"no native kernel for {np.dtype(dtype).name} on this processor"
    return None


def convolution(
    kind: str,
    dtype: DType,
    sizes: Sequence[Sequence[int]],
    padding: Sequence[tuple[int, int]],
    empty: bool = False,
) -> Route:
    """Choose the way of a convolution or of one of its gradients.

    Args:
        kind: `"forward"`; `"inputs"` or `"kernel"` for the gradient with respect to them.
        dtype: Dtype of inputs and kernel.
        sizes: Spatial sizes of the inputs, and those of the window.
        padding: (before, after) for each spatial axis.
        empty: Whether an array is empty.

    Example:
        >>> convolution("forward", "float64", ((8, 8), (3, 3)), ((1, 1), (1, 1))).name
        'plain'
    """
    reason = why_plain(dtype, [*sizes[0], *(n for pair in padding for n in pair)])
    if reason is None and len(padding) not in (1, 2, 3):
        reason = f"{len(padding)} spatial axes"
    if reason is None and any(n < 0 for pair in padding for n in pair):
        reason = "negative padding, which takes away"
    if reason is None and any(
        n >= size for pair, size in zip(padding, sizes[1], strict=True) for n in pair if n
    ):
        reason = "the padding is wider than the window"
    if reason is None and empty:
        reason = "nothing to compute"
    route = Route("native", "by hornbeam-cpu") if reason is None else Route("plain", reason)
    return _remember(f"conv {kind} {np.dtype(dtype).name} {'x'.join(map(str, sizes[0]))} window "
                     f"{'x'.join(map(str, sizes[1]))}", route)  # fmt: skip


def native_convolution(
    kind: str, dtype: DType, spec: Any, batch: int, channels: tuple[int, int]
) -> str:
    """Choose among the native ways of a convolution.

    Args:
        kind: `"forward"`, `"inputs"` or `"kernel"`.
        dtype: Dtype of inputs and kernel.
        spec: The convolution, a `conv_primitive.Spec`.
        batch: Number of examples.
        channels: Number of input channels and of output channels.

    Returns:
        `"onednn"` for oneDNN's convolution; `"depthwise"` or `"few channels"` for our own. A window
        of one element makes the convolution a product of matrices: `"product"` for XLA's, `"native
        product"` for
            oneDNN's.
    """
    # Depthwise, with square windows and strides of 1: up to 1.6 times as fast as oneDNN.
    ours = (
        spec.window in ((3, 3), (5, 5))
        and set(spec.strides) == set(spec.dilation) == {1}
        and kind != "kernel"
    )
    if ours and 1 < spec.groups == channels[0] == channels[1] and np.dtype(dtype) == np.float32:
        return "depthwise"
    # Few input channels (such as RGB) to many: up to 10 % faster. Many to few: 3 to 8 times as
    # fast, because oneDNN always computes 16 channels.
    few, many = sorted(channels)
    to_few = channels[kind == "forward"] == few
    dense = (
        len(spec.space) == 2
        and spec.groups == 1
        and set(spec.dilation) == {1}
        and set(spec.window) != {1}
    )
    moved = kind == "forward" or (kind == "inputs" and set(spec.strides) == {1})
    if (
        dense
        and moved
        and few <= 4
        and many % (16 if to_few else 64) == 0
        and np.dtype(dtype) == np.float32
    ):
        return "few channels"
    whole = (
        set(spec.window) == set(spec.strides) == {1}
        and not any(map(any, spec.padding))
        and spec.groups == 1
    )
    # oneDNN always computes 16 channels: from 64 channels to 2, XLA takes a third of the time.
    if whole and kind != "kernel" and channels[kind == "forward"] <= 8:
        return "product"
    # A kernel larger than inputs and outputs: converting it to oneDNN's layout takes 10 % of the
    # time or more.
    rows = batch * math.prod(spec.space)
    outweighs = math.prod(channels) > rows * sum(channels) >= 2**16
    if whole and outweighs and kind != "kernel" and np.dtype(dtype) == np.float32:
        return "product"
    # Up to 25 % faster than the convolution for wide kernels, slower for narrow ones.
    if whole and kind == "kernel" and min(channels) >= 64 and np.dtype(dtype) == np.float32:
        return "native product"
    return "onednn"


def product(dtype: DType, rows: int, columns: int, results: int) -> Route:
    """Choose the way of a dense layer's gradient with respect to its kernel.

    Args:
        dtype: Dtype of rows and kernel.
        rows, columns: Shape of the rows.
        results: The kernel has the shape (columns, results).

    Example:
        >>> product("float64", 128, 512, 512).name
        'plain'
    """
    reason = why_plain(dtype, [rows, columns, results])
    if reason is None and np.dtype(dtype) != np.float32:
        reason = f"no native product for {np.dtype(dtype).name}"
    if reason is None and rows < 8:
        reason = "few rows: XLA multiplies without a copy"
    if reason is None and rows * columns * results < 2**18:
        reason = "small: the call of a kernel would cost more than it saves"
    route = Route("native", "oneDNN, by hornbeam-cpu") if reason is None else Route("plain", reason)
    return _remember(
        f"product {np.dtype(dtype).name} {rows}x{columns} by {columns}x{results}", route
    )


def rows(dtype: DType, shape: Sequence[int]) -> Route:
    """Choose the way of the gradient of a table whose rows are taken.

    Args:
        dtype: Dtype of the table.
        shape: (N, W), its shape.

    Example:
        >>> rows("float64", (20000, 128)).name
        'plain'
    """
    reason = why_plain(dtype, shape)
    if reason is None and np.dtype(dtype) != np.float32:
        reason = f"no native sum of rows for {np.dtype(dtype).name}"
    if reason is None and np.prod(shape) < 2**16:
        reason = "small: it stays in the caches until it is read"
    route = Route("native", "by hornbeam-cpu") if reason is None else Route("plain", reason)
    return _remember(f"rows {np.dtype(dtype).name} {'x'.join(map(str, shape))}", route)


def sampled(dtype: DType, images: Sequence[int], places: Sequence[int]) -> Route:
    """Choose the way of images at positions between their pixels.

    Args:
        dtype: Dtype of the images.
        images: Their shape (B, H, W, C).
        places: Shape of the positions, (B, 2, h, w).

    Example:
        >>> sampled("float64", (2, 8, 8, 3), (2, 2, 8, 8)).name
        'plain'
    """
    reason = why_plain(dtype, [*images, *places])
    if reason is None and np.dtype(dtype) != np.float32:
        reason = f"no native sampling for {np.dtype(dtype).name}"
    if reason is None and 0 in (*images, *places):
        reason = "nothing to compute"
    route = Route("native", "by hornbeam-cpu") if reason is None else Route("plain", reason)
    return _remember(f"sampled {np.dtype(dtype).name} {'x'.join(map(str, images))}", route)


def update(part: str, dtype: DType, size: int) -> Route:
    """Choose the way of a part of an optimizer's step.

    Args:
        part: `"adam"` for the update of a weight, `"order"` for the wait until all gradients exist.
        dtype: Dtype of the weights.
        size: Number of weights in the array; for `"order"`, in the largest array.

    Example:
        >>> update("adam", "float64", 1_000_000).name
        'plain'
    """
    reason = why_plain(dtype, [size])
    if reason is None and np.dtype(dtype) != np.float32:
        reason = f"no native optimizer for {np.dtype(dtype).name}"
    if reason is None and size < 2**16:
        reason = "small: it stays in the caches between XLA's loops"
    route = Route("native", "by hornbeam-cpu") if reason is None else Route("plain", reason)
    return _remember(f"optimizer {part} {np.dtype(dtype).name} {size}", route)


def convolutions_are_loop_safe(dtype: DType = "float32") -> bool:
    """Return whether convolutions are as fast inside a compiled loop as outside of one.

    They are on GPU and TPU, and with native kernels. XLA on CPU computes their gradients about 20
    times slower in a loop.

    Example:
        >>> convolutions_are_loop_safe() in (True, False)
        True
    """
    return jax.default_backend() != "cpu" or why_plain(dtype) is None


def compute_capability() -> tuple[int, ...] | None:
    """Return the first NVIDIA GPU's compute capability, such as (9, 0), or `None` without one."""
    if jax.default_backend() not in ("gpu", "cuda"):
        return None
    told = str(getattr(jax.local_devices()[0], "compute_capability", ""))
    parts = told.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else None


def why_no_cudnn() -> str | None:
    """Return why no op may use a kernel of cuDNN, or `None` if one may."""
    if _portable.get():
        return "the program is portable"
    if compute_capability() is None:
        return (
            f"it is a kernel of cuDNN, for NVIDIA GPUs, and the platform is {jax.default_backend()}"
        )
    if settings.kernels() == "plain":
        return "hornbeam.config.set_kernels('plain')"
    return None


def columns_to_add(dtype: DType, rows: int, columns: int, results: int) -> int:
    """Return how many zero columns to add to a kernel (columns, results) for a faster product.

    The other matrix of the product has the shape (rows, columns).

    The matrix units of NVIDIA GPUs take half as long if rows of 2-byte numbers begin at multiples
    of 16 bytes. This matters for the 50,257 logits of a GPT-2 in a training step. With many rows
    the copy of the kernel costs little.

    Example:
        >>> columns_to_add("float32", 8192, 768, 50257)
        0
    """
    if why_no_cudnn() is not None:
        return 0
    if any(map(is_symbolic_dim, (rows, columns, results))):
        return 0
    if (
        np.dtype(dtype).itemsize != 2
        or results % 8 == 0
        or rows < 256
        or rows * columns * results < 2**30
    ):
        return 0
    return -results % 64


def attention(
    owner: str,
    asked: bool | None,
    dtypes: Sequence[DType],
    lengths: tuple[int, int],
    heads: tuple[int, int],
    masked: bool,
    extra: str | None = None,
) -> Route:
    """Choose the way of attention: cuDNN's fused kernel, which never stores all scores, or XLA.

    Args:
        owner: Name of the op or layer, for the error.
        asked: `flash_attention`: `True` requires the kernel, `False` forbids it, `None` follows the
            configuration.
        dtypes: Dtypes of query, key and value.
        lengths: (T, S), number of positions of queries and of values.
        heads: Size of a head of the queries and of the values.
        masked: Whether there is a mask or a bias.
        extra: Another reason against the kernel, if there is one.

    Raises:
        RuntimeError: If the kernel is required and cannot be used.

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
        reason = f"it supports bfloat16 and float16, and the inputs are {' and '.join(names)}"
    if reason is None and (heads[0] != heads[1] or heads[0] % 8 or heads[0] > largest):
        reason = (
            f"a head's size must be a multiple of 8 up to {largest}, the same for queries and"
            f" values, and is {heads}"
        )
    reason = reason or extra
    # Only the gradient of the kernel needs it. A caller that requires the kernel may not need the
    # gradient.
    if reason is None and asked is None and masked and any(length % 2 for length in lengths):
        reason = f"with a mask or a bias the numbers of positions must be even, and are {lengths}"
    if reason is not None and asked and not _portable.get():
        raise RuntimeError(
            f"{owner}: `flash_attention=True` requires the fused kernel, which cannot be used here:"
            f" {reason}. Use `flash_attention=None` to use the kernel only where it is possible."
        )
    route = Route("cudnn", "cuDNN's fused kernel") if reason is None else Route("plain", reason)
    return _remember(
        f"attention {'/'.join(names)} {'x'.join(map(str, lengths))} heads of {heads[0]}", route
    )


def recurrence(
    cell: str, dtype: DType, shape: Sequence[int], kernel: Sequence[int], fused: bool = True
) -> Route:
    """Choose the way of a standard recurrence along time and of its gradient.

    Args:
        cell: One of `hornbeam.ops.recurrence.CELLS`.
        dtype: Dtype of inputs and weights.
        shape: (T, B, gates * units), shape of the projected inputs.
        kernel: (units, gates * units), shape of the recurrent weights.
        fused: Whether a kernel may run the loop.

    Example:
        >>> recurrence("lstm", "float64", (5, 2, 12), (3, 12)).name
        'plain'
    """
    reason = why_plain(dtype, shape) if fused else "use_cudnn=False"
    if reason is None and np.dtype(dtype) != np.float32:
        reason = f"no native recurrence for {np.dtype(dtype).name}"
    route = (
        Route("native", "one kernel, by hornbeam-cpu") if reason is None else Route("plain", reason)
    )
    return _remember(f"{_recurrence_name(cell, dtype, shape)} units {kernel[0]}", route)


def cudnn_recurrence(
    owner: str, asked: bool, dtype: DType, shape: Sequence[int], extra: str | None = None
) -> Route:
    """Choose the way of an LSTM: cuDNN's kernel, or that of the other recurrences.

    Args:
        owner: Name of the layer, for the error.
        asked: Whether the kernel is required.
        dtype: Dtype of inputs and weights.
        shape: (T, B, C), shape of the inputs.
        extra: Another reason against the kernel, if there is one.

    Raises:
        ValueError: If the kernel is required and cannot be used.

    Example:
        >>> with portable():
        ...     cudnn_recurrence("example", True, "float32", (5, 2, 3)).name
        'plain'
    """
    reason = why_no_cudnn() or extra
    if reason is None and np.dtype(dtype) != np.float32:
        reason = f"JAX calls the kernel only for float32, and the inputs are {np.dtype(dtype).name}"
    if reason is None and 0 in shape:
        reason = "there is nothing to compute"
    if reason is not None and asked and not _portable.get():
        raise ValueError(
            f"{owner}: `use_cudnn=True` requires cuDNN's kernel, which cannot be used here:"
            f" {reason}. Use `use_cudnn='auto'` for the fastest way that is available."
        )
    route = Route("cudnn", "cuDNN's kernel") if reason is None else Route("plain", reason)
    return (
        route
        if reason is not None and not asked
        else _remember(_recurrence_name("lstm", dtype, shape), route)
    )


def _recurrence_name(cell: str, dtype: DType, shape: Sequence[int]) -> str:
    return f"{cell} {np.dtype(dtype).name} {'x'.join(map(str, shape))}"


def taken() -> dict[str, Route]:
    """Return the latest routes chosen in this process, by op, with its dtype and sizes."""
    return dict(_taken)


def _remember(op: str, route: Route) -> Route:
    _taken.pop(op, None)
    _taken[op] = route
    if len(_taken) > _REMEMBERED:  # the oldest goes; another thread may remove it too
        with contextlib.suppress(StopIteration, RuntimeError):
            _taken.pop(next(iter(_taken)), None)
    return route
