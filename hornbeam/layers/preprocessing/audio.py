"""Layers that convert audio to spectrograms."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam.core.checks import check_choice
from hornbeam.core.loading import pay_for
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.ops.fourier import extract_sequences, stft
from hornbeam.optional import scipy_signal
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Shape, Tensor

__all__ = ["MelSpectrogram", "STFTSpectrogram"]


class MelSpectrogram(Layer):
    """Computes mel spectrograms of audio, with frequencies on the perceptual mel scale.

    Args:
        fft_length: Length of the Fourier transform. Default: 2048.
        sequence_stride: Distance between the starts of windows. Default: 512.
        sequence_length: Length of a window. Default: `fft_length`.
        window: `"hann"`, `"hamming"`, or `None` for equal weights. Default: `"hann"`.
        sampling_rate: Samples per second. Default: 16000.
        num_mel_bins: Number of mel bands. Default: 128.
        min_freq: Lowest frequency in hertz. Default: 20.
        max_freq: Highest frequency in hertz. Default: half the sampling rate.
        power_to_db: Whether to convert power to decibels. Default: True.
        top_db: Dynamic range in decibels. Values further below the maximum of a signal are clipped.
            Default: 80.
        mag_exp: Exponent of the magnitude: 1 for energy, 2 for power. Default: 2.
        min_power: Smaller powers are raised to this value. Default: 1e-10.
        ref_power: Power that corresponds to 0 decibels. Default: 1.

    Input: (B, T) or (T,). Output: (B, num_mel_bins, windows), without B if the input has none. As
    in Keras.

    Raises:
        ValueError: If an argument has an invalid value.

    Source: Davis and Mermelstein 1980, Comparison of parametric representations for monosyllabic
    word recognition in continuously spoken sentences.

    Example:
        >>> import hornbeam as hb
        >>> second = hb.ops.sin(2 * np.pi * 440 * hb.ops.arange(16000) / 16000)
        >>> hb.layers.MelSpectrogram(num_mel_bins=64)(second).shape
        (64, 32)
    """

    def __init__(
        self, fft_length: int = 2048, sequence_stride: int = 512,
        sequence_length: int | None = None, window: str | None = "hann",
        sampling_rate: int = 16000, num_mel_bins: int = 128, min_freq: float = 20.0,
        max_freq: float | None = None, power_to_db: bool = True, top_db: float = 80.0,
        mag_exp: float = 2.0, min_power: float = 1e-10, ref_power: float = 1.0, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        for name, value in (
            ("fft_length", fft_length), ("sequence_stride", sequence_stride),
            ("num_mel_bins", num_mel_bins), ("sampling_rate", sampling_rate),
            ("sequence_length", fft_length if sequence_length is None else sequence_length),
        ):  # fmt: skip
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
                raise ValueError(
                    f"MelSpectrogram: `{name}` must be a positive number, received {value!r}."
                )
        check_choice("MelSpectrogram", "window", window, ("hann", "hamming", None))
        self.fft_length, self.sequence_stride = fft_length, sequence_stride
        self.sequence_length = sequence_length or fft_length
        self.window, self.sampling_rate, self.num_mel_bins = window, sampling_rate, num_mel_bins
        self.min_freq, self.max_freq = min_freq, max_freq or sampling_rate // 2
        if not 0 <= self.min_freq < self.max_freq:
            raise ValueError(
                "MelSpectrogram: `min_freq` must be at least 0 and less than `max_freq`, received"
                f" {min_freq!r} and {max_freq!r}."
            )
        self.power_to_db, self.top_db, self.mag_exp = power_to_db, top_db, mag_exp
        self.min_power, self.ref_power = min_power, ref_power

    def call(self, inputs: Tensor) -> Tensor:
        x = inputs.astype(self.compute_dtype)
        real, imaginary = stft(
            x, self.sequence_length, self.sequence_stride, self.fft_length, self.window
        )
        power = jnp.sqrt(jnp.square(real) + jnp.square(imaginary)) ** self.mag_exp
        bands = jnp.swapaxes(power @ jnp.asarray(self._bands(), power.dtype), -1, -2)
        return (self._decibels(bands) if self.power_to_db else bands).astype(self.compute_dtype)

    def _decibels(self, power: Tensor) -> Tensor:
        decibels = 10 * jnp.log10(jnp.maximum(power, self.min_power))
        decibels = decibels - 10 * np.log10(max(self.ref_power, self.min_power))
        largest = jnp.max(decibels, axis=(-2, -1), keepdims=True)
        return jnp.maximum(decibels, largest - self.top_db)

    def _bands(self) -> np.ndarray:
        """Return the weight of each frequency in each band: triangles on the mel scale."""
        pay_for("MelSpectrogram: `num_mel_bins`", 16 * self.fft_length * self.num_mel_bins)
        edges = np.linspace(_mel(self.min_freq), _mel(self.max_freq), self.num_mel_bins + 2)
        frequencies = np.linspace(0, self.sampling_rate / 2, self.fft_length // 2 + 1)
        places = _mel(frequencies)[:, None]
        low, middle, high = edges[:-2], edges[1:-1], edges[2:]
        weights = np.minimum((places - low) / (middle - low), (high - places) / (high - middle))
        weights[0] = 0  # ignore frequency 0, the mean of the signal
        return np.maximum(weights, 0)


def _mel(frequency: Any) -> Any:
    return 1127 * np.log(1 + np.asarray(frequency) / 700)


_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")


class STFTSpectrogram(Layer):
    """Computes spectrograms of audio by the short-time Fourier transform, with weights.

    The weights are initialized with the sines and cosines of the transform, times the window. With
    `trainable=True`, training changes them.

    Args:
        mode: `"log"` or `"magnitude"` (both with magnitudes of at least sqrt(1e-7)), `"psd"` (the
            sum of the power at positive and negative frequencies), `"real"`, `"imag"`, `"angle"`,
            or `"stft"` (the real parts, followed by the imaginary parts). Default: `"log"`.
        frame_length: Length of a window. Default: 256.
        frame_step: Distance between the starts of windows, at most `frame_length`. Default: half
            of `frame_length`.
        fft_length: Length of the transform, at least `frame_length`. An odd length is rounded down.
            Default: the next power of two.
        window: Name of a window of `scipy.signal`, weights of shape (frame_length,), or `None` for
            equal weights without scaling. Default: `"hann"`.
        periodic: Whether the window is periodic instead of symmetric. Default: False.
        scaling: `"density"`, `"spectrum"`, or `None`. Default: `"density"`.
        padding: `"valid"` or `"same"`. Default: `"valid"`.
        expand_dims: Whether the frequencies have a separate axis. Default: False.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input: (B, T, C). Output: (B, windows, C * frequencies), or (B, windows, frequencies, C) with
    `expand_dims`. With `"channels_first"`, C or C * frequencies is the second axis. As in Keras.
    Integer inputs are also supported.

    Raises:
        ValueError: If an argument has an invalid value.

    Source: Cheuk et al. 2020, nnAudio.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.STFTSpectrogram(frame_length=8)(np.ones((1, 40, 1))).shape
        (1, 9, 5)
    """

    def __init__(
        self, mode: str = "log", frame_length: int = 256, frame_step: int | None = None,
        fft_length: int | None = None, window: Any = "hann", periodic: bool = False,
        scaling: str | None = "density", padding: str = "valid", expand_dims: bool = False,
        data_format: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        owner = "STFTSpectrogram"
        check_choice(owner, "mode", mode, _MODES)
        check_choice(owner, "scaling", scaling, ("density", "spectrum", None))
        check_choice(owner, "padding", padding, ("valid", "same"))
        _check_length("frame_length", frame_length, 1, None)
        if frame_step is not None:
            _check_length("frame_step", frame_step, 1, frame_length)
        if fft_length is not None:
            _check_length("fft_length", fft_length, frame_length, None)
        self.mode, self.frame_length, self.frame_step = mode, frame_length, frame_step
        self.fft_length, self.periodic, self.scaling = fft_length, periodic, scaling
        self.window = window.tolist() if isinstance(window, np.ndarray) else window
        self.padding, self.expand_dims = padding, expand_dims
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=3)
        self._step = frame_step or max(frame_length // 2, 1)
        self._last = (fft_length or 1 << (frame_length - 1).bit_length()) // 2
        pay_for(f"{owner}: `fft_length`", 48 * frame_length * (self._last + 1))
        self._weights_of_window()  # raises an error if `window` is invalid

    def build(self, input_shape: Shape) -> None:
        times, places = np.arange(self.frame_length)[:, None], np.arange(self._last + 1)
        angles = np.pi * times * places / max(self._last, 1)
        parts = {"real": np.cos(angles), "imag": -np.sin(angles)}
        for name, waves in parts.items():
            if self.mode not in parts or self.mode == name:
                start = (self._weights_of_window()[:, None] * waves)[:, None, :]
                kernel = self.add_weight(
                    start.shape, lambda shape, dtype, start=start: start.astype(dtype),
                    name=f"{name}_kernel",
                )  # fmt: skip
                setattr(self, f"{name}_kernel", kernel)

    def call(self, inputs: Tensor) -> Tensor:
        x = inputs.astype(self.compute_dtype)
        first = self.data_format == "channels_first"
        x = x if first else jnp.swapaxes(x, 1, 2)
        if self.padding == "same":
            missing = self.frame_length - 1 - (x.shape[-1] - 1) % self._step
            x = jnp.pad(x, ((0, 0), (0, 0), (missing // 2, (missing + 1) // 2)))
        frames = extract_sequences(x, self.frame_length, self._step)
        y = self._measured(frames)  # (B, C, windows, frequencies)
        if self.expand_dims:
            return y if first else jnp.moveaxis(y, 1, -1)
        y = jnp.swapaxes(y, 2, 3)
        y = y.reshape(y.shape[0], -1, y.shape[3])
        return y if first else jnp.swapaxes(y, 1, 2)

    def _measured(self, frames: Tensor) -> Tensor:
        """Return the result of `mode` for frames of shape (..., frame_length)."""
        parts = [
            frames @ jnp.asarray(getattr(self, f"{name}_kernel"), frames.dtype)[:, 0]
            for name in ("real", "imag")
            if hasattr(self, f"{name}_kernel")
        ]
        if self.mode in ("real", "imag"):
            return parts[0]
        if self.mode == "stft":
            return jnp.concatenate(parts, axis=-1)
        if self.mode == "angle":
            return jnp.arctan2(parts[1], parts[0])
        power = jnp.square(parts[0]) + jnp.square(parts[1])
        if self.mode == "psd":
            return power.at[..., 1:-1].multiply(2)
        magnitude = jnp.sqrt(jnp.maximum(power, 1e-7))
        return jnp.log(magnitude) if self.mode == "log" else magnitude

    def _weights_of_window(self) -> np.ndarray:
        """Return the scaled window, of shape (frame_length,)."""
        window = self.window
        if window is None:
            return np.ones(self.frame_length)
        if isinstance(window, str) or (len(window) and isinstance(window[0], str)):
            name = window if isinstance(window, str) else tuple(window)
            weights = scipy_signal().get_window(name, self.frame_length, self.periodic)
        else:
            weights = np.asarray(window, "float64")
        if weights.shape != (self.frame_length,):
            raise ValueError(
                f"STFTSpectrogram: `window` must have shape ({self.frame_length},), from"
                f" `frame_length`, received shape {weights.shape}."
            )
        if self.scaling == "density":
            return weights / np.sqrt(np.sum(np.square(weights)))
        return weights / np.sum(weights) if self.scaling == "spectrum" else weights


def _check_length(name: str, value: Any, least: int, most: int | None) -> None:
    fine = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if not fine or (most is not None and value > most):
        raise ValueError(
            f"STFTSpectrogram: `{name}` must be an integer from {least}"
            + ("" if most is None else f" to {most} (`frame_length`)")
            + f", received {value!r}."
        )
