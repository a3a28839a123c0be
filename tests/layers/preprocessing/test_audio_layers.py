"""Layers that turn sound into spectrograms, against Keras."""

import keras
import numpy as np
import pytest
from compare import close, plain

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
