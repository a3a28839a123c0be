"""Sound files of all kinds as samples."""

import io
import struct
import sys

import numpy as np
import pytest

from hornbeam.errors import FileError
from hornbeam.utils import audio_dataset_from_directory
from hornbeam.utils.sounds import read_sound

SAMPLES = np.array([[-1.0, 0.5], [0.0, -0.25], [0.25, 0.125]])


def riff(samples, kind, channels, frame, rate=8000, order="<", extra=b"", size=None, before=b""):
    """Return a WAV file with a header of some kind."""
    header = struct.pack(f"{order}HHIIHH", kind, channels, rate, rate * frame, frame, 8) + extra
    body = b"WAVEfmt " + struct.pack(f"{order}I", len(header)) + header + before + b"data"
    body += struct.pack(f"{order}I", len(samples) if size is None else size) + samples
    return (b"RIFF" if order == "<" else b"RIFX") + struct.pack(f"{order}I", len(body)) + body


def integers(width, order="<"):
    """Return the samples as integers of some bytes."""
    scaled = (SAMPLES.ravel() * 2 ** (8 * width - 1)).astype(int).tolist()
    if width == 1:
        return bytes(value + 128 for value in scaled)
    name = "little" if order == "<" else "big"
    return b"".join(value.to_bytes(width, name, signed=True) for value in scaled)


EXTENSIBLE = struct.pack("<HHI", 22, 16, 3) + b"\1\0" + bytes(14)
FILES = {
    **{f"{8 * width} bits": riff(integers(width), 1, 2, 2 * width) for width in range(1, 9)},
    "32 bits, big end first": riff(integers(4, ">"), 1, 2, 8, order=">"),
    "16 bits, big end first": riff(integers(2, ">"), 1, 2, 4, order=">"),
    "float32": riff(SAMPLES.astype("<f4").tobytes(), 3, 2, 8),
    "float64": riff(SAMPLES.astype("<f8").tobytes(), 3, 2, 16),
    "extensible": riff(integers(2), 0xFFFE, 2, 4, extra=EXTENSIBLE),
    "a stream of unknown length": riff(integers(2), 1, 2, 4, size=0xFFFFFFFF),
    "other parts first": riff(integers(2), 1, 2, 4, before=b"LIST\3\0\0\0abc\0"),
}


@pytest.mark.parametrize("name", FILES)
def test_kinds_of_wav_files(name, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(FILES[name])
    x, rate = read_sound(str(path), "test")
    assert (x.dtype, rate) == ("float32", 8000)
    np.testing.assert_array_equal(x, SAMPLES)


WRONG = {
    "cut": (FILES["16 bits"][:-1], r"it claims 12 bytes of samples and has 11"),
    "no samples": (FILES["16 bits"][:30], "it ends too early"),
    "no header": (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "it ends too early"),
    "half a header": (b"RIFF\0\0\0\0WAVEfmt \2\0\0\0\1\0data\0\0\0\0", "not a complete WAV file"),
    "part of a sample": (riff(integers(2)[:-2], 1, 2, 4), "is damaged"),
    "no channels": (riff(b"", 1, 0, 4), "is damaged"),
    "9 bytes": (riff(bytes(18), 1, 1, 9), "is damaged"),
    "AVI": (b"RIFF\0\0\0\0AVI ", "not a complete WAV or FLAC"),
    "empty": (b"", "not a complete WAV or FLAC"),
}


@pytest.mark.parametrize("name", WRONG)
def test_damaged_files_are_named(name, tmp_path):
    content, match = WRONG[name]
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(FileError, match=rf"test: '.*a\.wav'.*{match}"):
        read_sound(str(tmp_path / "a.wav"), "test")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "0.wav"
    path.write_bytes(riff(bytes(2), 7, 1, 1))  # mu-law
    with pytest.raises(ImportError, match=r"0\.wav' needs .*pip install \"hornbeam\[audio\]\""):
        read_sound(str(path), "test")
    (tmp_path / "a" / "0.FLAC").write_bytes(b"fLaC")
    with pytest.raises(ImportError, match=r"FLAC files needs .*hornbeam\[audio\]"):
        audio_dataset_from_directory(tmp_path, verbose=False)


# --- with soundfile -------------------------------------------------------------------------------


@pytest.fixture
def soundfile():
    return pytest.importorskip("soundfile", reason="soundfile is not installed")


def flac(soundfile, samples, rate=8000, subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype=subtype)
    return file.getvalue()


def test_flac_gives_the_samples_of_wav(soundfile, tmp_path):
    rng = np.random.default_rng(0)
    long = rng.integers(-(2**15), 2**15, (9000, 2)).astype("int16")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "0.wav").write_bytes(riff(long.tobytes(), 1, 2, 4))
    (tmp_path / "a" / "1.flac").write_bytes(flac(soundfile, long))
    (tmp_path / "b" / "0.Flac").write_bytes(flac(soundfile, SAMPLES, subtype="PCM_24"))
    ((x, y),) = audio_dataset_from_directory(tmp_path, shuffle=False, verbose=False)
    assert (x.shape, y.tolist()) == ((3, 9000, 2), [0, 0, 1])
    np.testing.assert_array_equal(x[1], x[0])
    np.testing.assert_allclose(x[2, :3], SAMPLES, atol=1e-6)  # 1 is no sample: it is cut
    slower = audio_dataset_from_directory(
        tmp_path, shuffle=False, verbose=False, sampling_rate=4000, output_sequence_length=100
    )
    ((x, _),) = slower
    assert x.shape == (3, 100, 2)
    np.testing.assert_array_equal(x[1], x[0])


def test_damaged_flac_files_are_named(soundfile, tmp_path):
    whole = flac(soundfile, np.random.default_rng(0).normal(size=9000) / 10)
    claims = bytearray(whole)
    claims[21:26] = b"\xff" * 5  # 2**36 samples
    path = tmp_path / "a.flac"
    for content in (whole[:4], whole[:60], whole[: len(whole) // 2], bytes(claims)):
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"a\.flac' is (damaged|not a complete sound)"):
            read_sound(str(path), "test")


def test_other_codecs_in_wav_files(soundfile, tmp_path):
    file = io.BytesIO()
    soundfile.write(file, SAMPLES, 8000, format="WAV", subtype="ULAW")
    (tmp_path / "a.wav").write_bytes(file.getvalue())
    x, rate = read_sound(str(tmp_path / "a.wav"), "test")
    assert (x.shape, rate) == ((3, 2), 8000)
    np.testing.assert_allclose(x, SAMPLES, atol=0.03)
