"""Tracebacks show the user's frames and the last one; the last line is the message."""

import traceback

import numpy as np
import pytest

import hornbeam as hb

X = np.ones((4, 7), "float32")


class Mine(hb.layers.Layer):
    def call(self, x):
        raise RuntimeError("from my layer")


class Failing(hb.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("from my callback")


def model(*layers):
    made = hb.Sequential([hb.Input((4,)), hb.layers.Dense(1), *layers])
    made.compile("sgd", "mse")
    return made


RUNS = {
    "fit": (lambda: model().fit(X, X[:, :1], verbose=0), "received shape"),
    "predict": (lambda: model().predict(X, verbose=0), "received shape"),
    "evaluate": (lambda: model().evaluate(X, X[:, :1], verbose=0), "received shape"),
    "train_on_batch": (lambda: model().train_on_batch(X, X[:, :1]), "received shape"),
    "a call": (lambda: model()(X), "received shape"),
    "a layer": (lambda: hb.layers.Dense(1)(np.ones(3)), "batch axis"),
    "compile": (lambda: model().compile("adm"), "Unknown optimizer"),
    "an op": (lambda: hb.ops.matmul(np.ones((2, 3)), np.ones((2, 3))), "shape"),
    "my layer": (lambda: Mine()(X), "RuntimeError: from my layer"),
    "my layer in a model": (lambda: model(Mine()), "RuntimeError: from my layer"),
    "my callback": (
        lambda: model().fit(X[:, :4], X[:, :1], verbose=0, callbacks=[Failing()]),
        "RuntimeError: from my callback",
    ),
}


def shown(run):
    with pytest.raises(Exception) as caught:  # noqa: PT011  # its text is compared below
        run()
    frames = traceback.extract_tb(caught.value.__traceback__)
    return frames, traceback.format_exception(caught.value)[-1]


@pytest.mark.parametrize("name", RUNS)
def test_tracebacks_are_short(name):
    run, text = RUNS[name]
    frames, last = shown(run)
    assert text in last
    others = [frame for frame in frames if frame.filename != __file__]
    assert len(others) <= 3
    if "my" in name:
        assert frames[-1].filename == __file__


def test_all_frames_are_shown_if_asked_for():
    run, _ = RUNS["fit"]
    hb.config.disable_traceback_filtering()
    try:
        assert len(shown(run)[0]) > 20
    finally:
        hb.config.enable_traceback_filtering()
    assert len(shown(run)[0]) < 10
