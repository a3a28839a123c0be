"""Fourier transforms. A complex tensor is a pair (real part, imaginary part), as in Keras."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.convert import convert
from hornbeam.core.loading import pay_for
from hornbeam.core.op import op
from hornbeam.core.tracing import too_small
from hornbeam.typing import Tensor

__all__ = ["extract_sequences", "fft", "fft2", "ifft2", "irfft", "istft", "rfft", "stft"]


def _complex(x: Any, name: str) -> Any:
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(
            f"{name}: `x` must be a pair (real part, imaginary part), received {type(x).__name__}."
        )
    real, imaginary = (convert(part) for part in x)
    if real.shape != imaginary.shape:
        raise ValueError(
            f"{name}: both parts of `x` must have the same shape, received {real.shape} and"
            f" {imaginary.shape}."
        )
    return jax.lax.complex(
        *(part.astype(jnp.promote_types(part.dtype, "float32")) for part in (real, imaginary))
    )


def _pair(z: Any) -> tuple[Any, Any]:
    return jnp.real(z), jnp.imag(z)


def _real(x: Any, name: str, least: int = 1) -> Any:
    x = convert(x)
    if x.ndim < least:
        raise ValueError(f"{name}: `x` must have at least {least} axes, received shape {x.shape}.")
    return (
        x.astype(jnp.promote_types(x.dtype, "float32"))
        if jnp.issubdtype(x.dtype, jnp.floating)
        else x.astype("float32")
    )


@op("math", "FFT")
def fft(x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the discrete Fourier transform along the last axis.

    Args:
        x: Pair (real part, imaginary part), each (..., n).

    Example:
        >>> fft((jnp.array([1.0, 0.0]), jnp.zeros(2)))[0].tolist()
        [1.0, 1.0]
    """
    return _pair(jnp.fft.fft(_complex(x, "fft")))


@op("math", "FFT2")
def fft2(x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the Fourier transform over the last two axes of a (real, imaginary) pair.

    Example:
        >>> fft2((jnp.ones((2, 2)), jnp.zeros((2, 2))))[0].tolist()
        [[4.0, 0.0], [0.0, 0.0]]
    """
    return _pair(jnp.fft.fft2(_complex(x, "fft2")))


@op("math", "IFFT2")
def ifft2(x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the inverse of `fft2`.

    Example:
        >>> ifft2((jnp.ones((2, 2)), jnp.zeros((2, 2))))[0].tolist()
        [[1.0, 0.0], [0.0, 0.0]]
    """
    return _pair(jnp.fft.ifft2(_complex(x, "ifft2")))


@op("math", "RFFT")
def rfft(x: Tensor, fft_length: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the nonnegative frequencies of a real tensor's Fourier transform on the last axis.

    Args:
        x: (..., n).
        fft_length: Length to which the axis is cut or padded with zeros. Default: n.

    Returns:
        Pair (real part, imaginary part), each (..., fft_length // 2 + 1).

    Example:
        >>> rfft(jnp.array([1.0, 0.0, 0.0, 0.0]))[0].tolist()
        [1.0, 1.0, 1.0]
    """
    return _pair(jnp.fft.rfft(_real(x, "rfft"), n=fft_length))


@op("math", "IRFFT")
def irfft(x: tuple[Tensor, Tensor], fft_length: int | None = None) -> Tensor:
    """Return the inverse of `rfft`.

    Args:
        x: Pair (real part, imaginary part), each (..., n // 2 + 1).
        fft_length: n, the length of the result. Default: 2 * (size of the last axis - 1).

    Example:
        >>> irfft((jnp.ones(3), jnp.zeros(3))).tolist()
        [1.0, 0.0, 0.0, 0.0]
    """
    return jnp.fft.irfft(_complex(x, "irfft"), n=fft_length)


@op("math", "ExtractSequences")
def extract_sequences(x: Tensor, sequence_length: int, sequence_stride: int) -> Tensor:
    """Split the last axis into sequences that may overlap.

    Args:
        x: (..., n).
        sequence_length: Length of a sequence.
        sequence_stride: Distance between the starts of sequences.

    Returns:
        (..., sequences, sequence_length).

    Raises:
        ValueError: If an argument is not positive, or n is less than `sequence_length`.

    Example:
        >>> extract_sequences(jnp.arange(4), 2, 1).tolist()
        [[0, 1], [1, 2], [2, 3]]
    """
    x = convert(x)
    for name, value in (("sequence_length", sequence_length), ("sequence_stride", sequence_stride)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(
                f"extract_sequences: `{name}` must be a positive integer, received {value!r}."
            )
    count = (x.shape[-1] - sequence_length) // sequence_stride + 1
    if count < 1:
        raise too_small(
            f"extract_sequences: the last axis of {x.shape} is shorter than `sequence_length`"
            f" {sequence_length}."
        )
    pay_for("`sequence_length`", 8 * count * sequence_length)
    index = np.arange(count)[:, None] * sequence_stride + np.arange(sequence_length)
    return x[..., index]


def _window(name: str, window: Any, sequence_length: int, fft_length: int) -> Any:
    """Return the window (fft_length,), padded evenly with zeros."""
    if fft_length < sequence_length:
        raise ValueError(
            f"{name}: `fft_length` ({fft_length}) must not be smaller than `sequence_length`"
            f" ({sequence_length})."
        )
    if window is None:
        return jnp.ones(fft_length)
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(
                f"{name}: `window` must be 'hann', 'hamming', None or a tensor, received"
                f" {window!r}."
            )
        low = 0.5 if window == "hann" else 0.54
        pay_for(f"{name}: `sequence_length`", 32 * sequence_length)
        window = low - (1 - low) * np.cos(2 * np.pi * np.arange(sequence_length) / sequence_length)
    window = jnp.asarray(convert(window), "float32")
    if window.shape != (sequence_length,):
        raise ValueError(
            f"{name}: `window` must have shape ({sequence_length},), received {window.shape}."
        )
    before = (fft_length - sequence_length) // 2
    return jnp.pad(window, (before, fft_length - sequence_length - before))


@op("math", "STFT")
def stft(
    x: Tensor,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return the short-time Fourier transform along the last axis.

    Args:
        x: (..., n).
        sequence_length: Length of a window.
        sequence_stride: Distance between the starts of windows.
        fft_length: Length of the transforms, at least `sequence_length`.
        window: `"hann"`, `"hamming"`, weights (sequence_length,), or `None` for equal weights.
        center: Whether x is reflected at its ends, so that the centre of window t is at
            `t * sequence_stride`.

    Returns:
        Pair (real part, imaginary part), each (..., windows, fft_length // 2 + 1).

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> stft(jnp.ones((1, 8)), 4, 2, 4)[0].shape
        (1, 5, 3)
    """
    x = _real(x, "stft")
    weights = _window("stft", window, sequence_length, fft_length).astype(x.dtype)
    if center:
        x = jnp.pad(
            x, [(0, 0)] * (x.ndim - 1) + [(fft_length // 2, fft_length // 2)], mode="reflect"
        )
    return _pair(jnp.fft.rfft(extract_sequences(x, fft_length, sequence_stride) * weights))


@op("math", "ISTFT")
def istft(
    x: tuple[Tensor, Tensor], sequence_length: int, sequence_stride: int, fft_length: int,
    length: int | None = None, window: Any = "hann", center: bool = True,
) -> Tensor:  # fmt: skip
    """Return the signal whose `stft` is closest to x, by least squares (Griffin and Lim 1984).

    Args:
        x: Pair (real part, imaginary part), each (..., windows, fft_length // 2 + 1).
        sequence_length, sequence_stride, fft_length, window, center: As for `stft`.
        length: Length of the result. Default: the length that the windows cover.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> parts = stft(jnp.arange(8.0), 4, 1, 4)
        >>> istft(parts, 4, 1, 4, length=8).round().astype(int).tolist()
        [0, 1, 2, 3, 4, 5, 6, 7]
    """
    z = _complex(x, "istft")
    if z.ndim < 2:
        raise ValueError(f"istft: `x` must have at least 2 axes, received shape {z.shape}.")
    weights = _window("istft", window, sequence_length, fft_length)
    frames = jnp.fft.irfft(z, n=fft_length) * weights
    count = frames.shape[-2]
    whole = (count - 1) * sequence_stride + fft_length
    pay_for("istft: `fft_length`", 8 * count * fft_length)
    index = np.arange(count)[:, None] * sequence_stride + np.arange(fft_length)
    total = jnp.zeros((*frames.shape[:-2], whole), frames.dtype).at[..., index].add(frames)
    power = (
        jnp.zeros(whole, frames.dtype)
        .at[index]
        .add(jnp.broadcast_to(jnp.square(weights), index.shape))
    )
    signal = jnp.where(power > 1e-10, total / jnp.maximum(power, 1e-10), 0.0)
    start = fft_length // 2 if center else 0
    if length is None:
        return signal[..., start : whole - start]
    signal = signal[..., start : start + length]
    return jnp.pad(signal, [(0, 0)] * (signal.ndim - 1) + [(0, length - signal.shape[-1])])
