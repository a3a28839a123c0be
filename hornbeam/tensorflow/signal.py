"""`tf.signal`: Fourier transforms, windows and frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.scipy.fft as scipy_fft
import numpy as np

from hornbeam.tensorflow.dtypes import device_dtype
from hornbeam.tensorflow.functions import named, static, tensor

__all__ = [
    "dct", "fft", "fft2d", "fft3d", "fftshift", "frame", "hamming_window", "hann_window", "idct",
    "ifft", "ifft2d", "ifft3d", "ifftshift", "inverse_stft", "inverse_stft_window_fn", "irfft",
    "irfft2d", "irfft3d", "kaiser_window", "linear_to_mel_weight_matrix",
    "mfccs_from_log_mel_spectrograms", "overlap_and_add", "rfft", "rfft2d", "rfft3d", "stft",
    "vorbis_window",
]  # fmt: skip


def _complex(function: Callable[..., Any], axes: int, name: str) -> Callable[..., Any]:
    """Return a complex transform over the last axes."""

    def transform(input: Any, name: Any = None) -> Any:
        return function(tensor(input), axes=tuple(range(-axes, 0)))

    return named(transform, name)


def _real(function: Callable[..., Any], axes: int, name: str) -> Callable[..., Any]:
    """Return a transform from or to real numbers over the last axes."""

    def transform(input_tensor: Any, fft_length: Any = None, name: Any = None) -> Any:
        lengths = static(fft_length)
        lengths = lengths if lengths is None or isinstance(lengths, tuple) else (lengths,)
        return function(tensor(input_tensor), lengths, axes=tuple(range(-axes, 0)))

    return named(transform, name)


fft, ifft = _complex(jnp.fft.fftn, 1, "fft"), _complex(jnp.fft.ifftn, 1, "ifft")
fft2d, ifft2d = _complex(jnp.fft.fftn, 2, "fft2d"), _complex(jnp.fft.ifftn, 2, "ifft2d")
fft3d, ifft3d = _complex(jnp.fft.fftn, 3, "fft3d"), _complex(jnp.fft.ifftn, 3, "ifft3d")
rfft, irfft = _real(jnp.fft.rfftn, 1, "rfft"), _real(jnp.fft.irfftn, 1, "irfft")
rfft2d, irfft2d = _real(jnp.fft.rfftn, 2, "rfft2d"), _real(jnp.fft.irfftn, 2, "irfft2d")
rfft3d, irfft3d = _real(jnp.fft.rfftn, 3, "rfft3d"), _real(jnp.fft.irfftn, 3, "irfft3d")


def fftshift(x: Any, axes: Any = None, name: Any = None) -> Any:
    """Return a spectrum with the frequency 0 in the middle."""
    return jnp.fft.fftshift(tensor(x), static(axes))


def ifftshift(x: Any, axes: Any = None, name: Any = None) -> Any:
    """Return a spectrum with the frequency 0 at the start."""
    return jnp.fft.ifftshift(tensor(x), static(axes))


def dct(
    input: Any, type: int = 2, n: Any = None, axis: int = -1, norm: str | None = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return the discrete cosine transform along the last axis."""
    _check_type("dct", type)
    return scipy_fft.dct(tensor(input), type=type, n=n, axis=axis, norm=norm)


def idct(
    input: Any, type: int = 2, n: Any = None, axis: int = -1, norm: str | None = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return the inverse discrete cosine transform, up to a factor of 2n if `norm` is `None`."""
    _check_type("idct", type)
    x = scipy_fft.idct(tensor(input), type=type, n=n, axis=axis, norm=norm)
    return x if norm == "ortho" else x * 2 * x.shape[axis]


def _check_type(name: str, type: int) -> None:
    if type != 2:
        raise NotImplementedError(f"signal.{name}: only type 2 is supported, received {type}.")


# --- windows and frames ------------------------------------------------------------------------


def _cosine(length: Any, periodic: bool, dtype: Any, a: float) -> Any:
    n = int(static(length))
    if n == 1:
        return jnp.ones(1, device_dtype(dtype))
    period = n if periodic and n % 2 == 0 else n - 1  # an odd window is symmetric in any case
    place = np.arange(n)
    return jnp.asarray(a - (1 - a) * np.cos(2 * np.pi * place / period), device_dtype(dtype))


def hann_window(
    window_length: Any, periodic: bool = True, dtype: Any = "float32", name: Any = None
) -> Any:
    """Return a Hann window.

    Example:
        >>> hann_window(4)
        Array([0. , 0.5, 1. , 0.5], dtype=float32)
    """
    return _cosine(window_length, periodic, dtype, 0.5)


def hamming_window(
    window_length: Any, periodic: bool = True, dtype: Any = "float32", name: Any = None
) -> Any:
    """Return a Hamming window."""
    return _cosine(window_length, periodic, dtype, 0.54)


def kaiser_window(
    window_length: Any, beta: float = 12.0, dtype: Any = "float32", name: Any = None
) -> Any:
    """Return a Kaiser window."""
    return jnp.asarray(np.kaiser(int(static(window_length)), beta), device_dtype(dtype))


def vorbis_window(window_length: Any, dtype: Any = "float32", name: Any = None) -> Any:
    """Return a Vorbis power complementary window."""
    n = int(static(window_length))
    inner = np.sin(np.pi / n * (np.arange(n) + 0.5)) ** 2
    return jnp.asarray(np.sin(np.pi / 2 * inner), device_dtype(dtype))


def frame(
    signal: Any, frame_length: Any, frame_step: Any, pad_end: bool = False, pad_value: Any = 0,
    axis: int = -1, name: Any = None,
) -> Any:  # fmt: skip
    """Return windows of a signal along an axis, `(..., frames, frame_length, ...)`.

    Args:
        signal: Tensor.
        frame_length: Samples of a frame.
        frame_step: Samples from one frame to the next.
        pad_end: Whether to pad the signal so that the last samples are in a frame.
        pad_value: Value of the padding.
        axis: Axis of the samples.
        name: No effect.
    """
    x, length, step = tensor(signal), int(static(frame_length)), int(static(frame_step))
    axis = axis % x.ndim
    n = x.shape[axis]
    count = -(-n // step) if pad_end else max(0, 1 + (n - length) // step)
    missing = max(0, (count - 1) * step + length - n)
    if pad_end and missing:
        widths = [(0, missing if i == axis else 0) for i in range(x.ndim)]
        x = jnp.pad(x, widths, constant_values=pad_value)
    places = np.arange(count)[:, None] * step + np.arange(length)
    return jnp.take(x, places, axis=axis)


def overlap_and_add(signal: Any, frame_step: Any, name: Any = None) -> Any:
    """Return the signal whose frames `(..., frames, frame_length)` are added where they overlap."""
    x, step = tensor(signal), int(static(frame_step))
    count, length = x.shape[-2:]
    places = np.arange(count)[:, None] * step + np.arange(length)
    empty = jnp.zeros((*x.shape[:-2], (count - 1) * step + length), x.dtype)
    return empty.at[..., places].add(x)


def _fft_length(frame_length: int, fft_length: Any) -> int:
    if fft_length is not None:
        return int(static(fft_length))
    return 2 ** max(0, math.ceil(math.log2(frame_length)))


def stft(
    signals: Any, frame_length: Any, frame_step: Any, fft_length: Any = None,
    window_fn: Any = hann_window, pad_end: bool = False, name: Any = None,
) -> Any:  # fmt: skip
    """Return the spectra of the windows of a signal, `(..., frames, fft_length // 2 + 1)`."""
    length = int(static(frame_length))
    frames = frame(signals, length, frame_step, pad_end)
    if window_fn is not None:
        frames = frames * window_fn(length, dtype=frames.dtype)
    return jnp.fft.rfft(frames, _fft_length(length, fft_length))


def inverse_stft(
    stfts: Any, frame_length: Any, frame_step: Any, fft_length: Any = None,
    window_fn: Any = hann_window, name: Any = None,
) -> Any:  # fmt: skip
    """Return the signal of spectra; `inverse_stft_window_fn` gives the right window."""
    length = int(static(frame_length))
    frames = jnp.fft.irfft(tensor(stfts), _fft_length(length, fft_length))[..., :length]
    missing = length - frames.shape[-1]
    frames = jnp.pad(frames, [(0, 0)] * (frames.ndim - 1) + [(0, max(0, missing))])
    if window_fn is not None:
        frames = frames * window_fn(length, dtype=frames.dtype)
    return overlap_and_add(frames, frame_step)


def inverse_stft_window_fn(
    frame_step: Any, forward_window_fn: Any = hann_window, name: Any = None
) -> Callable[..., Any]:
    """Return the function of the window for `inverse_stft` that undoes `forward_window_fn`."""

    def window(frame_length: Any, dtype: Any = "float32") -> Any:
        length, step = int(static(frame_length)), int(static(frame_step))
        forward = forward_window_fn(length, dtype=dtype)
        overlaps = -(-length // step)
        padded = jnp.pad(jnp.square(forward), (0, overlaps * step - length)).reshape(overlaps, step)
        total = jnp.tile(padded.sum(0), overlaps)[:length]
        return forward / total

    return window


def linear_to_mel_weight_matrix(
    num_mel_bins: Any = 20, num_spectrogram_bins: Any = 129, sample_rate: Any = 8000,
    lower_edge_hertz: Any = 125.0, upper_edge_hertz: Any = 3800.0, dtype: Any = "float32",
    name: Any = None,
) -> Any:  # fmt: skip
    """Return the matrix from spectra to mel scales, `(num_spectrogram_bins, num_mel_bins)`."""

    def mel(hertz: Any) -> Any:
        return 1127.0 * np.log1p(np.asarray(hertz, "float64") / 700.0)

    bins, rate = int(static(num_spectrogram_bins)), float(static(sample_rate))
    places = mel(np.linspace(0.0, rate / 2, bins)[1:])[:, None]
    edges = np.linspace(mel(static(lower_edge_hertz)), mel(static(upper_edge_hertz)),
                        int(static(num_mel_bins)) + 2)  # fmt: skip
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    slopes = np.minimum((places - low) / (middle - low), (high - places) / (high - middle))
    return jnp.asarray(np.pad(np.maximum(0.0, slopes), [(1, 0), (0, 0)]), device_dtype(dtype))


def mfccs_from_log_mel_spectrograms(log_mel_spectrograms: Any, name: Any = None) -> Any:
    """Return the mel-frequency cepstral coefficients of logarithms of mel spectra."""
    x = tensor(log_mel_spectrograms)
    return dct(x) / math.sqrt(2.0 * x.shape[-1])
