"""`tf.audio`: sounds in WAV files."""

from __future__ import annotations

import io
import wave
from typing import Any, NamedTuple

import numpy as np

from hornbeam.errors import FileError
from hornbeam.tensorflow.host import as_host, host_array
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings

__all__ = ["decode_wav", "encode_wav"]


class DecodedWav(NamedTuple):
    """A sound: samples (samples, channels) from -1 to 1, and how many there are per second."""

    audio: Any
    sample_rate: Any


def decode_wav(
    contents: Any, desired_channels: int = -1, desired_samples: int = -1, name: str | None = None
) -> DecodedWav:
    """Return the samples of a WAV file of 16 bits.

    Args:
        contents: The content of the file, as a tensor of text.
        desired_channels: Number of channels of the result: a single one is repeated, more are cut.
            Default: that of the file.
        desired_samples: Number of samples to which the sound is cut or filled with zeros. Default:
            that of the file.
        name: Ignored.

    Raises:
        FileError: If it is no complete WAV file.
        ValueError: If the samples have not 16 bits.
    """
    data = as_strings(contents, "contents").numpy()
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width = file.getnchannels(), file.getsampwidth()
            rate, count = file.getframerate(), file.getnframes()
            raw = file.readframes(count) if count * channels * width <= len(data) else None
    except (wave.Error, EOFError, RuntimeError) as error:  # RuntimeError: a jump outside
        raise FileError(f"decode_wav: the data are no WAV file of PCM: {error}.") from None
    if width != 2:
        raise ValueError(f"decode_wav: samples must have 16 bits, received {8 * width}.")
    if not channels or raw is None or len(raw) != count * channels * width:
        raise FileError("decode_wav: the WAV file is damaged: it holds fewer samples than it says.")
    x = np.frombuffer(raw, "<i2").reshape(count, channels).astype("float32") / 32768
    wanted = int(desired_channels)
    if wanted > 0 and wanted != channels:
        if channels > 1 and wanted > channels:
            raise ValueError(f"decode_wav: {channels} channels cannot become {wanted}.")
        x = np.repeat(x, wanted, axis=1) if channels == 1 else x[:, :wanted]
    length = int(desired_samples)
    if length >= 0:
        x = np.concatenate([x[:length], np.zeros((max(length - len(x), 0), x.shape[1]), x.dtype)])
    return DecodedWav(as_host(x), as_host(rate, "int32"))


def encode_wav(audio: Any, sample_rate: Any, name: str | None = None) -> StringTensor:
    """Return samples as the content of a WAV file of 16 bits.

    Args:
        audio: Samples (samples, channels), from -1 to 1.
        sample_rate: Samples per second.
        name: Ignored.

    Example:
        >>> decode_wav(encode_wav([[0.5], [-0.5]], 8000)).audio.numpy().ravel()
        array([ 0.5, -0.5], dtype=float32)
    """
    x = host_array(audio).astype("float32")
    if x.ndim != 2:
        raise ValueError(
            f"encode_wav: `audio` must have samples and channels, received shape {x.shape}."
        )
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(x.shape[1])
        sound.setsampwidth(2)
        sound.setframerate(int(sample_rate))
        scaled = np.clip(np.rint(x * np.float32(32768)), -32768, 32767)
        sound.writeframes(scaled.astype("<i2").tobytes())
    return StringTensor(file.getvalue())
