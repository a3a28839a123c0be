"""Sound files as arrays of samples: WAV by NumPy; FLAC and rarer kinds of WAV by soundfile."""

from __future__ import annotations

import io
import struct

import numpy as np

from hornbeam.errors import FileError
from hornbeam.optional import import_module

__all__ = ["read_sound"]

_INTEGERS, _FLOATS, _EXTENSIBLE = 1, 3, 0xFFFE  # formats of samples in a WAV file
_UNKNOWN_SIZE = 0xFFFFFFFF  # of a stream, or of a file whose size has 64 bits
_BLOCK = 2**20  # samples


def read_sound(path: str, function: str) -> tuple[np.ndarray, int]:
    """Return a sound as an array (samples, channels) of float32, and its samples per second.

    Integers become numbers from -1 to 1.

    Args:
        path: A WAV file; with soundfile, also a FLAC file.
        function: Name of the caller, for errors.

    Raises:
        FileError: If the file is no complete sound.
        ImportError: If it needs soundfile, which is not installed.
        OSError: If there is no such file.
    """
    with open(path, "rb") as file:
        data = file.read()
    kind = data[:4]
    if kind in (b"fLaC", b"OggS"):
        return _read_with_soundfile(data, path, function)
    if kind not in (b"RIFF", b"RIFX", b"RF64") or data[8:12] != b"WAVE":
        raise FileError(f"{function}: '{path}' is not a complete WAV or FLAC file.")
    order = ">" if kind == b"RIFX" else "<"
    try:
        header, samples = _parts_of_wav(data, order)
        kind_of_samples, channels, rate, _, frame, _ = struct.unpack(f"{order}HHIIHH", header[:16])
        if kind_of_samples == _EXTENSIBLE:
            (kind_of_samples,) = struct.unpack(f"{order}H", header[24:26])
    except (struct.error, EOFError) as error:
        raise FileError(f"{function}: '{path}' is not a complete WAV file: {error}.") from None
    width = frame // channels if channels else 0
    known = range(1, 9) if kind_of_samples == _INTEGERS else (4, 8)
    if kind_of_samples not in (_INTEGERS, _FLOATS):
        return _read_with_soundfile(data, path, function)
    if width not in known or frame != width * channels or not rate or len(samples) % frame:
        raise FileError(
            f"{function}: '{path}' is damaged: it claims samples of {channels} channels in {frame}"
            f" bytes, {rate} per second, and has {len(samples)} bytes of them."
        )
    if kind_of_samples == _FLOATS:
        x = np.frombuffer(samples, f"{order}f{width}").astype("float32")
    else:
        x = _from_integers(samples, width, order)
    return x.reshape(-1, channels), rate


def _parts_of_wav(data: bytes, order: str) -> tuple[bytes, bytes]:
    """Return the header and the samples of a WAV file."""
    header, start, unknown = b"", 12, None
    while start + 8 <= len(data):
        name, (size,) = data[start : start + 4], struct.unpack_from(f"{order}I", data, start + 4)
        start += 8
        if name == b"data" and header:
            if size == _UNKNOWN_SIZE:
                size = len(data) - start if unknown is None else unknown
            if size > len(data) - start:
                raise EOFError(f"it claims {size} bytes of samples and has {len(data) - start}")
            return header, data[start : start + size]
        if name == b"fmt ":
            header = data[start : start + size]
        if name == b"ds64":  # the sizes of RF64, for large files
            (unknown,) = struct.unpack_from("<Q", data, start + 8)
        start += size + size % 2
    raise EOFError("it ends too early")


def _from_integers(samples: bytes, width: int, order: str) -> np.ndarray:
    """Return integers of `width` bytes as numbers from -1 to 1."""
    if width == 1:
        return np.frombuffer(samples, "u1").astype("float32") / 128 - 1
    if width == 2:
        return np.frombuffer(samples, f"{order}i2").astype("float32") / 2**15
    bytes_of = np.frombuffer(samples, "u1").reshape(-1, width)
    wide = np.zeros((len(bytes_of), 8), "u1")
    wide[:, 8 - width :] = bytes_of if order == "<" else bytes_of[:, ::-1]
    return (wide.view("<i8")[:, 0] / 2**63).astype("float32")


def _read_with_soundfile(data: bytes, path: str, function: str) -> tuple[np.ndarray, int]:
    library = import_module("soundfile", extra="audio", needed_for=f"{function}: '{path}'")
    blocks = []
    try:
        with library.SoundFile(io.BytesIO(data)) as file:
            count, channels, rate = file.frames, file.channels, file.samplerate
            # The file may claim any number of samples, so no memory is taken in advance.
            while True:
                block = file.read(_BLOCK // max(channels, 1) + 1, dtype="float32", always_2d=True)
                if not len(block):
                    break
                blocks.append(block)
    except (RuntimeError, TypeError, ValueError) as error:
        raise FileError(f"{function}: '{path}' is not a complete sound: {error}.") from None
    x = np.concatenate(blocks) if blocks else np.zeros((0, channels), "float32")
    if len(x) != count:
        raise FileError(
            f"{function}: '{path}' is damaged: it claims {count} samples and has {len(x)}."
        )
    return x, rate
