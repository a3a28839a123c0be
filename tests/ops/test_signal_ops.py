"""Fourier transforms, patches and CTC against Keras, or the definition where Keras is wrong."""

import itertools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import hornbeam as hb
from hornbeam import ops

R = np.random.RandomState(0)
A, B = R.randn(2, 6, 8).astype("float32"), R.randn(2, 6, 8).astype("float32")
SIGNAL = R.randn(2, 20).astype("float32")
HALF = (R.randn(2, 5).astype("float32"), R.randn(2, 5).astype("float32"))
# Real and imaginary parts of as many frames as `stft` makes of `SIGNAL`, centred and not.
CENTRED, PLAIN = R.randn(2, 2, 7, 5).astype("float32"), R.randn(2, 2, 5, 5).astype("float32")
IMAGES = R.randn(2, 3, 6, 7).astype("float32")
SCORES = (2 * R.randn(2, 5, 4)).astype("float32")
LABELS, LENGTHS, STEPS = np.array([[1, 2, 0], [3, 3, 1]]), np.array([2, 2]), np.array([5, 4])

# (op, tensor arguments, settings)
ROWS = [
    ("fft", ((A, B),), {}), ("fft2", ((A, B),), {}), ("ifft2", ((A, B),), {}),
    ("rfft", (A,), {}), ("rfft", (A,), {"fft_length": 6}), ("rfft", (A,), {"fft_length": 11}),
    ("irfft", (HALF,), {}), ("irfft", (HALF,), {"fft_length": 7}),
    ("extract_sequences", (SIGNAL,), {"sequence_length": 6, "sequence_stride": 4}),
    *[("stft", (SIGNAL,), {"sequence_length": 6, "sequence_stride": 3, "fft_length": 8, "window": w,
        "center": c})
        for w in ("hann", "hamming", None, np.arange(1.0, 7.0, dtype="float32"))
        for c in (True, False)],
    ("istft", (tuple(CENTRED),), {"sequence_length": 6, "sequence_stride": 3, "fft_length": 8}),
    ("istft", (tuple(CENTRED),), {"sequence_length": 6, "sequence_stride": 3, "fft_length": 8,
        "length": 20, "window": "hamming"}),
    ("istft", (tuple(PLAIN),), {"sequence_length": 6, "sequence_stride": 3, "fft_length": 8,
        "center": False}),
    ("unfold", (IMAGES,), {"kernel_size": 2}),
    ("unfold", (IMAGES,), {"kernel_size": (3, 2), "dilation": (1, 2), "padding": (1, 0),
        "stride": 2}),
    ("fold", (R.randn(2, 12, 30).astype("float32"),), {"output_size": (6, 7), "kernel_size": 2}),
    ("fold", (R.randn(2, 12, 9).astype("float32"),),
        {"output_size": 6, "kernel_size": 2, "dilation": 2, "padding": 1, "stride": 2}),
    ("ctc_loss", (LABELS, SCORES, LENGTHS, STEPS), {}),
    ("ctc_decode", (SCORES, STEPS), {}), ("ctc_decode", (SCORES, STEPS), {"merge_repeated": False}),
    ("ctc_decode", (SCORES, STEPS), {"mask_index": 3}),
    ("ctc_decode", (SCORES, STEPS), {"strategy": "beam_search", "top_paths": 3}),
    ("ctc_decode", (SCORES, STEPS), {"strategy": "beam_search", "mask_index": 3, "top_paths": 2}),
]  # fmt: skip


def close(ours, theirs):
    ours, theirs = hb.tree.flatten(ours), hb.tree.flatten(theirs)
    assert [(np.shape(x), str(x.dtype)) for x in ours] == [
        (np.shape(x), str(x.dtype)) for x in theirs
    ]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("name", "args", "settings"),
    [
        pytest.param(*row, id=f"{row[0]}-{i}", marks=pytest.mark.slow if i % 4 else ())
        for i, row in enumerate(ROWS)
    ],
)
def test_like_keras(name, args, settings):
    """Values equal Keras's, also compiled, and shapes and saved names equal Keras's."""
    ours = getattr(ops, name)(*args, **settings)
    close(ours, getattr(keras.ops, name)(*args, **settings))
    close(jax.jit(lambda *x: getattr(ops, name)(*x, **settings))(*args), ours)
    found = []
    for library in (hb, keras):
        inputs = hb.tree.map_structure(
            lambda x, library=library: library.Input(
                x.shape[1:], dtype=str(x.dtype).replace("64", "32")
            ),
            args,
        )
        outputs = hb.tree.flatten(getattr(library.ops, name)(*inputs, **settings))
        if library is hb:
            call = outputs[0].history[0].operation
            found.append((call.info.module, call.info.class_name))
            known = [[n for n in y.shape if n is not None] for y in outputs]
            batch = [list(np.shape(y)) for y in hb.tree.flatten(ours)]
            assert known == [
                [
                    n
                    for axis, n in enumerate(shape)
                    if axis != (name == "ctc_decode" and len(shape) == 3)
                ]
                for shape in batch
            ]
        else:
            operation = type(outputs[0]._keras_history.operation)
            found.append((operation.__module__, operation.__name__))
    assert found[0] == found[1]


def test_a_signal_comes_back():
    for window, center in itertools.product(("hann", None, np.arange(1.0, 7.0)), (True, False)):
        parts = ops.stft(SIGNAL, 6, 2, 8, window=window, center=center)
        again = np.asarray(ops.istft(parts, 6, 2, 8, length=20, window=window, center=center))
        # Without reflection, the window's zeros hide the ends.
        inner = slice(None) if center else slice(3, 17)
        np.testing.assert_allclose(again[:, inner], SIGNAL[:, inner], rtol=1e-4, atol=1e-5)


def alignments(logs, blank):
    """Return the log-probability of each label sequence, summed over all paths."""
    found = {}
    for path in itertools.product(range(logs.shape[1]), repeat=len(logs)):
        labels = tuple(c for c, _ in itertools.groupby(path) if c != blank)
        found[labels] = np.logaddexp(
            found.get(labels, -np.inf), sum(logs[t, c] for t, c in enumerate(path))
        )
    return found


@pytest.mark.parametrize("blank", [0, 3])
def test_ctc_is_the_sum_over_alignments(blank):
    logs = np.asarray(jax.nn.log_softmax(SCORES))
    labels = np.where(LABELS == blank, (blank + 1) % 4, LABELS)
    losses = ops.ctc_loss(labels, SCORES, LENGTHS, STEPS, mask_index=blank)
    decoded, values = ops.ctc_decode(
        SCORES, STEPS, strategy="beam_search", top_paths=3, mask_index=blank
    )
    for i in range(2):
        found = alignments(logs[i, : STEPS[i]], blank)
        np.testing.assert_allclose(losses[i], -found[tuple(labels[i, : LENGTHS[i]])], rtol=1e-4)
        best = sorted(found.items(), key=lambda item: -item[1])[:3]
        assert [tuple(int(c) for c in row if c >= 0) for row in np.asarray(decoded)[:, i]] == [
            labels for labels, _ in best
        ]
        np.testing.assert_allclose(values[i], [value for _, value in best], rtol=1e-4)


def test_gradients():
    for function in (
        lambda x: ops.stft(x, 6, 3, 8)[0],
        lambda x: ops.unfold(x.reshape(2, 1, 4, 5), 2),
        lambda x: ops.ctc_loss(LABELS, x[:, :20].reshape(2, 5, 4), LENGTHS, STEPS),
    ):
        weight = jnp.cos(jnp.arange(1000.0))

        @jax.jit
        def loss(x, function=function, weight=weight):
            y = function(x)
            return jnp.sum(y * weight[: y.size].reshape(y.shape))

        direction = np.ones_like(SIGNAL)
        slope = float(jnp.vdot(jax.grad(loss)(jnp.asarray(SIGNAL)), direction))
        step = 1e-2
        measured = (
            float(loss(SIGNAL + step * direction)) - float(loss(SIGNAL - step * direction))
        ) / (2 * step)
        np.testing.assert_allclose(slope, measured, rtol=2e-2, atol=2e-3)


# (call, pattern of the message)
BAD = [
    (lambda: ops.fft(A), "fft.*pair"), (lambda: ops.fft((A, B[:1])), "the same shape"),
    (lambda: ops.stft(SIGNAL, 6, 3, 4), "fft_length.*4.*6"),
    (lambda: ops.stft(SIGNAL, 6, 3, 8, window="box"), "window.*box"),
    (lambda: ops.istft((SIGNAL[0], SIGNAL[0]), 6, 3, 8), "at least 2 axes"),
    (lambda: ops.extract_sequences(SIGNAL, 30, 1), "shorter"),
    (lambda: ops.extract_sequences(SIGNAL, 3, 0), "sequence_stride"),
    (lambda: ops.unfold(IMAGES, 9), "larger"), (lambda: ops.fold(A, 6, 2), "fold.*shape"),
    (lambda: ops.ctc_decode(SCORES, STEPS, strategy="best"), "strategy.*best"),
    (lambda: ops.ctc_decode(SCORES, STEPS, strategy="beam_search", beam_width=2, top_paths=3),
        "top_paths"),
    (lambda: ops.ctc_loss(LABELS[0], SCORES, LENGTHS, STEPS), "ctc_loss.*target"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), BAD)
def test_bad_input(call, text):
    with pytest.raises((ValueError, TypeError), match=f"(?s){text}"):
        call()
