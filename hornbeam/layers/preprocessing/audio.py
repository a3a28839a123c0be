"""Layers that turn sound into spectrograms."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam.core.checks import check_choice
from hornbeam.core.loading import pay_for
from hornbeam.layers.layer import Layer
from hornbeam.ops.fourier import stft
from hornbeam.typing import Tensor

__all__ = ["MelSpectrogram"]


class MelSpectrogram(Layer):
    """Turns sound into a spectrogram on the mel scale, on which equal steps sound equal.

    Args:
        fft_length: Length of the Fourier transforms. Default: 2048.
        sequence_stride: Distance between the starts of windows. Default: 512.
        sequence_length: Length of a window. Default: `fft_length`.
        window: `"hann"`, `"hamming"`, or `None` for equal weights. Default: `"hann"`.
        sampling_rate: Samples per second. Default: 16000.
        num_mel_bins: Number of bands. Default: 128.
        min_freq: Lowest frequency in hertz. Default: 20.
        max_freq: Highest frequency. Default: half the sampling rate.
        power_to_db: Whether to return decibels. Default: True.
        top_db: Range below the maximum of a sound that is kept, in decibels. Default: 80.
        mag_exp: Exponent of the magnitude; 2 gives power, 1 energy. Default: 2.
        min_power: Smallest power that is distinguished from 0. Default: 1e-10.
        ref_power: Power of 0 decibels. Default: 1.

    Input: (B, T) or (T,). Output: (B, num_mel_bins, windows), without B if the input has none. As
    in Keras.

    Raises:
        ValueError: If an argument is out of range.

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
                "MelSpectrogram: `min_freq` must be from 0 to below `max_freq`, received"
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
        """Return the weight of each frequency in each band, triangles on the mel scale."""
        pay_for("MelSpectrogram: `num_mel_bins`", 16 * self.fft_length * self.num_mel_bins)
        edges = np.linspace(_mel(self.min_freq), _mel(self.max_freq), self.num_mel_bins + 2)
        frequencies = np.linspace(0, self.sampling_rate / 2, self.fft_length // 2 + 1)
        places = _mel(frequencies)[:, None]
        low, middle, high = edges[:-2], edges[1:-1], edges[2:]
        weights = np.minimum((places - low) / (middle - low), (high - places) / (high - middle))
        weights[0] = 0  # the mean of the signal is no sound
        return np.maximum(weights, 0)


def _mel(frequency: Any) -> Any:
    return 1127 * np.log(1 + np.asarray(frequency) / 700)
