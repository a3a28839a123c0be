"""Layers that turn sound into spectrograms, against Keras."""

import keras
import numpy as np
import pytest
from compare import close, mostly_slow, plain

import hornbeam as hb

SOUND = np.random.RandomState(0).randn(2, 600).astype("float32")


@pytest.mark.parametrize(
    "arguments",
    [
        {"power_to_db": False},
        {"sequence_length": 100, "window": "hamming", "mag_exp": 1.0, "top_db": 20.0},
    ],
    ids=["power", "decibels"],
)
def test_a_mel_spectrogram_is_that_of_keras(arguments):
    arguments = {"fft_length": 128, "sequence_stride": 64, "num_mel_bins": 12, **arguments}
    ours, theirs = (lib.layers.MelSpectrogram(**arguments) for lib in (hb, keras))
    close(ours(SOUND), theirs(SOUND), wide=10)
    close(ours(SOUND[0]), theirs(SOUND[0]), wide=10)
    assert plain(ours.get_config()) == {**plain(theirs.get_config()), "name": ours.name}
    again = type(ours).from_config(ours.get_config())
    model = hb.Sequential([hb.Input((600,)), again])
    assert model.output_shape == (None, 12, 10)
    close(model.predict(SOUND, verbose=0), theirs(SOUND), wide=10)


def test_frequencies_out_of_range_are_named():
    for arguments, message in (
        ({"min_freq": 9000}, "`min_freq`"),
        ({"fft_length": 0}, "`fft_length`"),
        ({"window": "square"}, "`window`"),
    ):
        with pytest.raises(ValueError, match=message):
            hb.layers.MelSpectrogram(**arguments)


CHANNELS = np.random.RandomState(1).randn(2, 20, 3).astype("float32")
STFT = {
    "log": {},
    "magnitude": {"mode": "magnitude", "window": None, "frame_step": 3},
    "psd": {"mode": "psd", "fft_length": 9, "padding": "same", "frame_step": 3},
    "real": {"mode": "real", "fft_length": 16, "window": "hamming", "periodic": True},
    "imag": {"mode": "imag", "scaling": "spectrum", "expand_dims": True},
    "stft": {"mode": "stft", "scaling": None, "window": list(range(1, 9)), "expand_dims": True},
    "odd": {"mode": "magnitude", "frame_length": 7, "fft_length": 7, "padding": "same"},
}


def stft_layer(library, row, **other):
    return library.layers.STFTSpectrogram(**{"frame_length": 8, **STFT[row], **other})


@pytest.mark.filterwarnings("ignore:__array__")
@pytest.mark.filterwarnings("ignore:`fft_length` is recommended")
@pytest.mark.parametrize("row", mostly_slow(STFT, ("log", "psd", "stft")))
def test_a_transform_with_weights_is_that_of_keras(row, tmp_path):
    ours, theirs = stft_layer(hb, row), stft_layer(keras, row)
    expected = theirs(CHANNELS)
    close(ours(CHANNELS), expected, wide=10)
    close(ours(0 * CHANNELS), theirs(0 * CHANNELS))
    assert [w.name for w in ours.trainable_weights] == [w.name for w in theirs.trainable_weights]
    assert plain(ours.get_config()) == {**plain(theirs.get_config()), "name": ours.name}
    first = stft_layer(hb, row, data_format="channels_first")
    close(first(np.moveaxis(CHANNELS, 1, 2)), np.moveaxis(np.asarray(expected), -1, 1), wide=10)

    assert stft_layer(hb, row)(hb.Input((None, 3))).shape[1:] == (None, *expected.shape[2:])
    model = hb.Sequential([hb.Input((20, 3)), ours])
    assert model.output_shape == (None, *expected.shape[1:])
    model.save(tmp_path / "ours.keras")
    again = keras.saving.load_model(tmp_path / "ours.keras")
    close(again.predict(CHANNELS, verbose=0), expected, wide=10)
    keras.Sequential([keras.Input((20, 3)), theirs]).save(tmp_path / "theirs.keras")
    again = hb.saving.load_model(tmp_path / "theirs.keras")
    close(again.predict(CHANNELS, verbose=0), expected, wide=10)


def test_an_angle_is_that_of_the_parts():
    arguments = {name: STFT["real"][name] for name in ("fft_length", "window", "periodic")}
    angle = hb.layers.STFTSpectrogram("angle", frame_length=8, **arguments)
    parts = hb.layers.STFTSpectrogram("stft", frame_length=8, **arguments)(CHANNELS)
    parts = np.asarray(parts).reshape(2, 4, 3, 2, 9)
    close(
        np.asarray(angle(CHANNELS)).reshape(2, 4, 3, 9),
        np.arctan2(parts[..., 1, :], parts[..., 0, :]),
    )


def test_lengths_and_windows_of_a_transform_are_named():
    for arguments, message in (
        ({"mode": "power"}, "`mode`"),
        ({"frame_length": 0}, "`frame_length` must be an integer from 1"),
        ({"frame_step": 20}, "`frame_step` must be an integer from 1 to 8"),
        ({"fft_length": 4}, "`fft_length` must be an integer from 8"),
        ({"window": [1.0]}, r"`window` must have shape \(8,\)"),
        ({"window": "square"}, "square"),
    ):
        with pytest.raises(ValueError, match=message):
            stft_layer(hb, "log", **arguments)
    with pytest.raises(ValueError, match="shorter than"):
        stft_layer(hb, "log", frame_length=50)(CHANNELS)
    assert stft_layer(hb, "log")(CHANNELS.astype("int32")).dtype == "float32"
