"""Layers against Keras 2.0: inputs, weights and outputs recorded by the keras-js project.

The recordings do not contain the layers' arguments. The rows below list the arguments that
reproduce each output, found by trying the values that the shapes allow.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import hornbeam as hb
from hornbeam import activations
from hornbeam import layers as L
from hornbeam.legacy.files.layers import hard_sigmoid_of_keras_2

RECORDINGS = (
    Path(__file__).resolve().parents[3] / "shared" / "fixtures" / "keras-js" / "test" / "data"
)
FIRST = {"data_format": "channels_first"}


def branches(merge, count=2, repeat=None):
    """Return a model with `count` merged dense layers, each first repeated as `repeat` steps."""
    start = hb.Input((6,))
    ends = [L.Dense(2)(start) for _ in range(count)]
    return hb.Model(
        start, merge(ends if repeat is None else [L.RepeatVector(repeat)(x) for x in ends])
    )


def lanes(merge, *stacks, shape=(8, 8, 2), then=()):
    """Return a model of merged stacks, each with its own input, followed by the layers `then`."""
    starts = [hb.Input(shape) for _ in stacks]
    x = merge([_through(stack, start) for stack, start in zip(stacks, starts, strict=True)])
    return hb.Model(starts, _through(then, x))


def _through(stack, x):
    for layer in stack:
        x = layer(x)
    return x


def conv_relu(*arguments, **options):
    return L.Conv2D(*arguments, activation="relu", **options)


def two_convolutions(merge):
    return lanes(merge, [conv_relu(4, 3)], [conv_relu(4, 3)])


def conv_chain(*convolutions):
    """Return convolutions from rows of filters, size, padding, strides, activation."""
    return [L.Conv2D(n, k, strides=s, padding=p, activation=a) for n, k, p, s, a in convolutions]


def normalized_chain(*rows, epsilon=0.001):
    """Return `conv_chain` with batch normalization after each convolution."""
    return [
        layer for row in rows for layer in (*conv_chain(row), L.BatchNormalization(epsilon=epsilon))
    ]


def deep_chain(pooling):
    chain = normalized_chain(
        (5, 3, "valid", 2, "relu"), (4, 3, "same", 1, "relu"), (3, 3, "same", 1, "relu"),
        (4, 3, "valid", 1, "linear"), (2, 3, "same", 1, "relu"))  # fmt: skip
    return [*chain[:6], pooling(2), *chain[6:], pooling(2)]


def recurrent(layer, size, **options):
    """Return the nine recorded cases of a recurrent layer; stateful cases are second calls."""
    sequences, back, state = {"return_sequences": True}, {"go_backwards": True}, {"stateful": True}
    logistic = {"activation": "sigmoid"} | ({"recurrent_activation": "sigmoid"} if options else {})
    return [
        lambda: layer(size, **options),
        lambda: layer(size + 1, **options | logistic),
        lambda: layer(size, **options, **sequences),
        lambda: layer(size, **options, **back),
        lambda: layer(size, **options, **sequences, **back),
        lambda: layer(size, **options, **state),
        lambda: layer(size, **options, **state, **sequences),
        lambda: layer(size, **options, **state, **back),
        lambda: layer(size, **options, **state, **sequences, **back, **WITHOUT_BIAS.get(layer, {})),
    ]


WITHOUT_BIAS = {L.GRU: {"use_bias": False}, L.SimpleRNN: {"use_bias": False}}
LSTM_OF_KERAS_2 = {"recurrent_activation": hard_sigmoid_of_keras_2, "implementation": 0}
GRU_OF_KERAS_2 = {**LSTM_OF_KERAS_2, "reset_after": False}


def poolings(layer, rank):
    """Return the recorded cases of max and average pooling."""
    even, odd = ((2,) * rank, (3,) * rank)
    mixed, mixed_same = {1: (3, 3), 2: ((2, 1), (2, 1)), 3: ((2, 1, 2), (1, 2, 1))}[rank]
    rows = [
        lambda: layer(even, strides=None, padding="valid"),
        lambda: layer(even, strides=1, padding="valid"),
        lambda: layer(even, strides=mixed, padding="valid"),
        *(
            []
            if rank == 1
            else [
                lambda: layer(odd, padding="valid"),
                lambda: layer(odd, strides=3, padding="valid"),
            ]
        ),
        lambda: layer(even, padding="same"),
        lambda: layer(even, strides=1, padding="same"),
        lambda: layer(even, strides=mixed_same, padding="same"),
    ]
    if rank == 1:
        return [
            *rows,
            lambda: layer(3, padding="valid"),
            lambda: layer(3, 1, "same"),
            lambda: layer(3, padding="same"),
        ]
    return [
        *rows,
        lambda: layer(odd, padding="same"),
        lambda: layer(odd, strides=3, padding="same"),
        lambda: layer(odd, strides=2, padding="valid", **FIRST),
        lambda: layer(odd, strides=1, padding="same", **FIRST),
        lambda: layer(even, padding="valid", **FIRST),
    ]


# Maps each file of recordings to one recipe per case, in the order of the case numbers. Lists are
# stacks.
CASES = {
    "activations": {
        "softmax": [activations.softmax] * 3,
        "elu": [activations.elu] * 3 + [lambda x: activations.elu(x, alpha=0.5)],
        "selu": [activations.selu] * 3,
        "softplus": [activations.softplus] * 3,
        "softsign": [activations.softsign] * 3,
        "relu": [activations.relu] * 3
        + [lambda x: activations.relu(x, max_value=0.5),
            lambda x: activations.relu(x, negative_slope=0.3)],
        "tanh": [activations.tanh] * 3,
        "sigmoid": [activations.sigmoid] * 3,
        "hard_sigmoid": [hard_sigmoid_of_keras_2] * 3,
        "linear": [activations.linear] * 3,
    },
    "layers/advanced_activations": {
        "LeakyReLU": [lambda: L.LeakyReLU(alpha=0.4)],
        "PReLU": [lambda: L.PReLU()],
        "ELU": [lambda: L.ELU(alpha=1.1)],
        "ThresholdedReLU": [lambda: L.ThresholdedReLU(theta=0.9)],
    },
    "layers/convolutional/Conv1D": [
        lambda: L.Conv1D(4, 3),
        lambda: L.Conv1D(4, 3, use_bias=False),
        lambda: L.Conv1D(2, 3, strides=2, padding="same", activation="sigmoid"),
        lambda: L.Conv1D(2, 7, padding="same", activation="tanh"),
        lambda: L.Conv1D(2, 7, padding="same", dilation_rate=2, activation="tanh"),
    ],
    "layers/convolutional/Conv2D": [
        lambda: L.Conv2D(4, 3),
        lambda: L.Conv2D(4, 3, use_bias=False),
        lambda: conv_relu(4, 3, strides=2),
        lambda: conv_relu(5, 4, strides=(2, 1)),
        lambda: conv_relu(4, 3, padding="same"),
        lambda: conv_relu(4, 3, padding="same", strides=2),
        lambda: conv_relu(4, 3, padding="same", strides=(3, 2)),
        lambda: L.Conv2D(4, 3, dilation_rate=2),
        lambda: L.Conv2D(4, 3, dilation_rate=2, use_bias=False),
        lambda: conv_relu(4, 3, dilation_rate=3),
        lambda: conv_relu(3, 4, padding="same", dilation_rate=2),
        lambda: conv_relu(4, 3, padding="same", dilation_rate=4),
    ],
    "layers/convolutional/Conv2DTranspose": [
        lambda: L.Conv2DTranspose(4, 3, use_bias=False),
        lambda: L.Conv2DTranspose(4, 3),
        lambda: L.Conv2DTranspose(4, 3, strides=2, activation="relu"),
        lambda: L.Conv2DTranspose(4, 3, padding="same", activation="relu"),
        lambda: L.Conv2DTranspose(5, 3, padding="same", strides=2, activation="relu"),
        lambda: L.Conv2DTranspose(3, (2, 3), padding="same", activation="relu"),
    ],
    "layers/convolutional/Conv3D": [
        lambda: L.Conv3D(4, 3),
        lambda: L.Conv3D(2, 3, activation="sigmoid", use_bias=False),
        lambda: L.Conv3D(2, 3, padding="same", activation="relu"),
        lambda: L.Conv3D(2, (3, 3, 2), strides=(2, 1, 1), padding="same", activation="relu"),
        lambda: L.Conv3D(2, 3, strides=(3, 3, 2), padding="same", activation="relu"),
        lambda: L.Conv3D(2, 3, dilation_rate=(2, 1, 1), activation="relu"),
        lambda: L.Conv3D(2, 3, dilation_rate=(1, 2, 1), padding="same", activation="relu"),
    ],
    "layers/convolutional/SeparableConv2D": [
        lambda: L.SeparableConv2D(4, 3),
        lambda: L.SeparableConv2D(4, 3, depth_multiplier=2, activation="relu"),
        lambda: L.SeparableConv2D(16, 3, depth_multiplier=3, activation="relu"),
        lambda: L.SeparableConv2D(4, 3, strides=2, activation="relu"),
        lambda: L.SeparableConv2D(4, 3, padding="same", activation="relu"),
        lambda: L.SeparableConv2D(4, 3, padding="same", depth_multiplier=2, activation="relu",
            use_bias=False),
        lambda: L.SeparableConv2D(4, 3, padding="same", depth_multiplier=2, strides=2,
            activation="relu"),
    ],
    "layers/convolutional/Cropping1D": [lambda: L.Cropping1D(1), lambda: L.Cropping1D((2, 3)),
        lambda: L.Cropping1D(2)],
    "layers/convolutional/Cropping2D": [
        lambda: L.Cropping2D(1),
        lambda: L.Cropping2D(1, **FIRST),
        lambda: L.Cropping2D(((4, 2), (3, 1))),
        lambda: L.Cropping2D(((4, 2), (3, 1)), **FIRST),
        lambda: L.Cropping2D((2, 3)),
        lambda: L.Cropping2D(1),
    ],
    "layers/convolutional/Cropping3D": [
        lambda: L.Cropping3D(1),
        lambda: L.Cropping3D(1, **FIRST),
        lambda: L.Cropping3D(((3, 2), (2, 1), (2, 3))),
        lambda: L.Cropping3D(((3, 2), (2, 1), (2, 3)), **FIRST),
        lambda: L.Cropping3D((1, 2, 3)),
        lambda: L.Cropping3D(2),
    ],
    "layers/convolutional/UpSampling1D": [lambda: L.UpSampling1D(2), lambda: L.UpSampling1D(3)],
    "layers/convolutional/UpSampling2D": [
        lambda: L.UpSampling2D(2),
        lambda: L.UpSampling2D(2, **FIRST),
        lambda: L.UpSampling2D((3, 2)),
        lambda: L.UpSampling2D((1, 3), **FIRST),
        lambda: L.UpSampling2D(2),
    ],
    "layers/convolutional/UpSampling3D": [
        lambda: L.UpSampling3D(2),
        lambda: L.UpSampling3D(2, **FIRST),
        lambda: L.UpSampling3D((1, 3, 2)),
        lambda: L.UpSampling3D((2, 1, 2), **FIRST),
        lambda: L.UpSampling3D(2),
    ],
    "layers/convolutional/ZeroPadding1D": [
        lambda: L.ZeroPadding1D(1), lambda: L.ZeroPadding1D(3), lambda: L.ZeroPadding1D((3, 2)),
    ],
    "layers/convolutional/ZeroPadding2D": [
        lambda: L.ZeroPadding2D(1),
        lambda: L.ZeroPadding2D(1, **FIRST),
        lambda: L.ZeroPadding2D((3, 2)),
        lambda: L.ZeroPadding2D((3, 2), **FIRST),
        lambda: L.ZeroPadding2D(((1, 2), (3, 4))),
        lambda: L.ZeroPadding2D(2),
    ],
    "layers/convolutional/ZeroPadding3D": [
        lambda: L.ZeroPadding3D(1),
        lambda: L.ZeroPadding3D(1, **FIRST),
        lambda: L.ZeroPadding3D((3, 2, 2)),
        lambda: L.ZeroPadding3D((3, 2, 2), **FIRST),
        lambda: L.ZeroPadding3D(((1, 2), (3, 4), (3, 1))),
        lambda: L.ZeroPadding3D(2),
    ],
    "layers/core/Activation": [
        lambda name=name: [L.Dense(2), L.Activation(name)]
        for name in ("softmax", "elu", "selu", "softplus", "softsign", "relu", "tanh", "sigmoid",
            hard_sigmoid_of_keras_2, "linear")
    ],
    "layers/core/Dense": [
        lambda: L.Dense(2),
        lambda: L.Dense(2, activation="sigmoid"),
        lambda: L.Dense(2, activation="softplus", use_bias=False),
        lambda: L.Dense(2),
        lambda: L.Dense(2, activation="sigmoid"),
        lambda: L.Dense(2, activation="softplus", use_bias=False),
    ],
    "layers/core/Dropout": [lambda: [L.Dense(2), L.Dropout(0.3)]],
    "layers/core/Flatten": [lambda: L.Flatten()] * 3,
    "layers/core/Permute": [
        lambda: L.Permute((2, 1)), lambda: L.Permute((3, 2, 1)), lambda: L.Permute((2, 1, 3)),
        lambda: L.Permute((3, 1, 2, 4)),
    ],
    "layers/core/RepeatVector": [lambda: L.RepeatVector(7)],
    "layers/core/Reshape": [lambda: L.Reshape((2, 3)), lambda: L.Reshape((6,)),
        lambda: L.Reshape((4, 3))],
    "layers/embeddings/Embedding": [
        lambda: L.Embedding(5, 3, input_length=7),
        lambda: L.Embedding(20, 5, input_length=10),
        lambda: L.Embedding(33, 2, input_length=5),
    ],
    "layers/merge/Add": [lambda n=n: branches(L.Add(), n) for n in (2, 3, 4)],
    "layers/merge/Average": [lambda n=n: branches(L.Average(), n) for n in (2, 3, 4)],
    "layers/merge/Concatenate": [
        lambda: branches(L.Concatenate()),
        lambda: branches(L.Concatenate(axis=-1), repeat=3),
        lambda: branches(L.Concatenate(axis=-2), repeat=3),
        lambda: branches(L.Concatenate(axis=1), repeat=3),
        lambda: branches(L.Concatenate(axis=2), repeat=3),
        lambda: branches(L.Concatenate(), 3, repeat=3),
        lambda: branches(L.Concatenate(), 4, repeat=3),
    ],
    "layers/merge/Dot": [
        lambda: branches(L.Dot(1), repeat=3),
        lambda: branches(L.Dot(2), repeat=3),
        lambda: branches(L.Dot(1, normalize=True), repeat=3),
        lambda: branches(L.Dot(2, normalize=True), repeat=3),
        lambda: branches(L.Dot((2, 2), normalize=True), repeat=3),
    ],
    "layers/merge/Maximum": [lambda n=n: branches(L.Maximum(), n) for n in (2, 3, 4)],
    "layers/merge/Minimum": [lambda n=n: branches(L.Minimum(), n) for n in (2, 3, 4)],
    "layers/merge/Multiply": [lambda n=n: branches(L.Multiply(), n) for n in (2, 3, 4)],
    "layers/merge/Subtract": [lambda: branches(L.Subtract())],
    "layers/noise/GaussianDropout": [lambda: [L.Dense(2), L.GaussianDropout(0.3)]],
    "layers/noise/GaussianNoise": [lambda: [L.Dense(2), L.GaussianNoise(0.3)]],
    "layers/normalization/BatchNormalization": [
        lambda: L.BatchNormalization(epsilon=1e-5, axis=-1),
        lambda: L.BatchNormalization(epsilon=1e-2, axis=-1),
        lambda: L.BatchNormalization(epsilon=1e-5, axis=1),
        lambda: L.BatchNormalization(epsilon=1e-5, axis=2),
        lambda: L.BatchNormalization(epsilon=1e-5, axis=3, scale=False),
        lambda: L.BatchNormalization(epsilon=1e-5, axis=3, center=False),
        lambda: L.BatchNormalization(epsilon=1e-3, axis=-1, center=False, scale=False),
    ],
    "layers/pooling/AveragePooling1D": poolings(L.AveragePooling1D, 1),
    "layers/pooling/AveragePooling2D": poolings(L.AveragePooling2D, 2),
    "layers/pooling/AveragePooling3D": poolings(L.AveragePooling3D, 3),
    "layers/pooling/MaxPooling1D": poolings(L.MaxPooling1D, 1),
    "layers/pooling/MaxPooling2D": poolings(L.MaxPooling2D, 2),
    "layers/pooling/MaxPooling3D": poolings(L.MaxPooling3D, 3),
    "layers/pooling/GlobalAveragePooling1D": [lambda: L.GlobalAveragePooling1D()] * 3,
    "layers/pooling/GlobalAveragePooling2D": [
        lambda: L.GlobalAveragePooling2D(), lambda: L.GlobalAveragePooling2D(**FIRST),
        lambda: L.GlobalAveragePooling2D(),
    ],
    "layers/pooling/GlobalAveragePooling3D": [
        lambda: L.GlobalAveragePooling3D(), lambda: L.GlobalAveragePooling3D(**FIRST),
        lambda: L.GlobalAveragePooling3D(),
    ],
    "layers/pooling/GlobalMaxPooling1D": [lambda: L.GlobalMaxPooling1D()] * 3,
    "layers/pooling/GlobalMaxPooling2D": [
        lambda: L.GlobalMaxPooling2D(), lambda: L.GlobalMaxPooling2D(**FIRST),
        lambda: L.GlobalMaxPooling2D(),
    ],
    "layers/pooling/GlobalMaxPooling3D": [
        lambda: L.GlobalMaxPooling3D(), lambda: L.GlobalMaxPooling3D(**FIRST),
        lambda: L.GlobalMaxPooling3D(),
    ],
    "layers/recurrent/SimpleRNN": recurrent(L.SimpleRNN, 4),
    "layers/recurrent/LSTM": recurrent(L.LSTM, 4, **LSTM_OF_KERAS_2),
    "layers/recurrent/GRU": recurrent(L.GRU, 4, **GRU_OF_KERAS_2),
    "layers/wrappers/Bidirectional": [
        lambda: L.Bidirectional(L.SimpleRNN(4), merge_mode="sum"),
        lambda: L.Bidirectional(L.SimpleRNN(4), merge_mode="mul"),
        lambda: L.Bidirectional(L.SimpleRNN(4), merge_mode="concat"),
        lambda: L.Bidirectional(L.SimpleRNN(4), merge_mode="ave"),
        lambda: L.Bidirectional(L.SimpleRNN(4, return_sequences=True), merge_mode="concat"),
        lambda: L.Bidirectional(L.GRU(4, return_sequences=True, **GRU_OF_KERAS_2),
            merge_mode="concat"),
        lambda: L.Bidirectional(L.LSTM(4, return_sequences=True, **LSTM_OF_KERAS_2),
            merge_mode="concat"),
        lambda: L.Bidirectional(L.SimpleRNN(4, return_sequences=True), merge_mode="sum"),
    ],
    "layers/wrappers/TimeDistributed": [lambda: L.TimeDistributed(L.Dense(4)),
        lambda: L.TimeDistributed(L.Conv2D(6, 3))],
    "graph/00": [lambda: lanes(L.Concatenate(), [L.Permute((1, 3, 2))], [L.Permute((2, 3, 1))],
        shape=(3, 3, 5))],
    "graph/01": [lambda: two_convolutions(L.Add())],
    "graph/02": [lambda: two_convolutions(L.Average())],
    "graph/03": [lambda: two_convolutions(L.Multiply())],
    "graph/04": [lambda: two_convolutions(L.Maximum())],
    "graph/05": [lambda: two_convolutions(L.Concatenate())],
    "graph/06": [
        lambda: lanes(
            L.Concatenate(),
            [conv_relu(4, 3, padding="same")],
            [conv_relu(2, 1), conv_relu(4, 3, padding="same"), conv_relu(2, 1)],
            [conv_relu(5, 3, padding="same"), conv_relu(3, 3, padding="same")],
        )
    ],
    "graph/07": [
        lambda: lanes(
            L.Concatenate(),
            [conv_relu(4, 3, padding="same"), conv_relu(4, 3, padding="same")],
            [conv_relu(4, 3, padding="same"), conv_relu(4, 3, padding="same")],
            then=[L.Conv2D(4, 3, padding="same")],
        )
    ],
    "pipeline/00": [lambda: [conv_relu(4, 3), conv_relu(4, 3), conv_relu(4, 3)]],
    "pipeline/01": [
        lambda: conv_chain(
            (5, 3, "same", 2, "relu"), (4, 3, "same", 1, "linear"), (2, 3, "valid", 1, "relu"),
            (3, 5, "valid", 1, "relu"), (2, 3, "valid", 1, "relu"))
    ],
    "pipeline/02": [
        lambda: conv_chain(
            (5, 3, "same", 2, "relu"), (4, 3, "valid", 1, "linear"), (2, 1, "valid", 1, "relu"),
            (3, 5, "same", 1, "relu"), (2, 3, "same", 1, "linear"), (4, 1, "valid", 1, "relu"),
            (2, 3, "valid", 1, "linear"))
    ],
    "pipeline/03": [lambda: normalized_chain((4, 3, "valid", 1, "relu"), epsilon=1e-5)],
    "pipeline/04": [
        lambda: normalized_chain(
            (5, 3, "valid", 1, "relu"), (4, 1, "valid", 1, "linear"), (3, 3, "same", 1, "relu"),
            (2, 3, "valid", 2, "relu"))
    ],
    "pipeline/05": [lambda: [conv_relu(4, 3), L.MaxPooling2D(2)]],
    "pipeline/06": [lambda: deep_chain(L.MaxPooling2D)],
    "pipeline/07": [lambda: [conv_relu(4, 3), L.MaxPooling2D(2, 1)]],
    "pipeline/08": [lambda: [conv_relu(4, 3, padding="same"), conv_relu(4, 3),
        L.MaxPooling2D(2, 1, "same")]],
    "pipeline/09": [lambda: [conv_relu(4, 3), L.AveragePooling2D(2)]],
    "pipeline/10": [lambda: deep_chain(L.AveragePooling2D)],
    "pipeline/11": [lambda: [conv_relu(4, 3), L.AveragePooling2D(2, 1)]],
    "pipeline/12": [lambda: [conv_relu(4, 3, padding="same"), conv_relu(4, 3),
        L.AveragePooling2D(2, 1, "same")]],
    # The outputs of its first dense layer are all zero, so the layers before it hardly matter.
    "pipeline/13": [
        lambda: [
            conv_relu(2, 3), conv_relu(2, 3), L.MaxPooling2D(2, padding="same"), L.Flatten(),
            L.Dense(3, activation="relu"),
            L.Dense(3, activation="softmax"),
        ]
    ],
    "pipeline/14": [lambda: [L.SeparableConv2D(2, 3), L.SeparableConv2D(2, 3)]],
    "pipeline/15": [
        lambda: [
            L.Conv2D(2, 3), L.BatchNormalization(), L.Activation("relu"),
            L.SeparableConv2D(2, 3, padding="same"),
            L.BatchNormalization(),
        ]
    ],
    "pipeline/16": [
        lambda: [
            L.Conv2D(4, 3, strides=2, use_bias=False), L.BatchNormalization(), L.Activation("relu"),
            L.ZeroPadding2D(((0, 1), (0, 1))), L.Cropping2D(((1, 0), (1, 0))),
            L.AveragePooling2D(1, strides=2),
        ]
    ],
}  # fmt: skip

# Inputs and weights were rounded to six decimals after the output was computed, so long sums are
# less accurate.
LOOSE = {"graph/07": 1e-4, "pipeline/01": 1e-4, "pipeline/02": 1e-4}


def rows():
    """Return every case: its file, the recording's name and the recipe."""
    for file, recipes in CASES.items():
        families = recipes if isinstance(recipes, dict) else {None: recipes}
        for family, cases in families.items():
            for number, recipe in enumerate(cases):
                if file.startswith(("graph", "pipeline")):
                    yield file, file.replace("/", "_"), recipe
                else:
                    prefix = ".".join(file.split("/")[1:]) if file.startswith("layers/") else file
                    yield (
                        file,
                        f"{prefix}.{family}.{number}" if family else f"{prefix}.{number}",
                        recipe,
                    )


ROWS = list(rows())
needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recordings of keras-js are not beside this checkout"
)


@needs_recordings
def test_every_recording_has_a_row():
    files = {
        str(path.relative_to(RECORDINGS).with_suffix("")) for path in RECORDINGS.rglob("*.json")
    }
    recorded = {
        (file, name)
        for file in files
        for name in json.loads((RECORDINGS / f"{file}.json").read_text())
    }
    assert {(file, name) for file, name, _ in ROWS} == recorded
    assert len(recorded) == 334


def array(recorded, dtype="float32"):
    return np.array(recorded["data"], dtype).reshape(recorded["shape"])


@needs_recordings
@pytest.mark.parametrize(
    ("file", "name", "recipe"),
    [
        pytest.param(*row, id=row[1], marks=pytest.mark.slow if number % 3 else ())
        for number, row in enumerate(ROWS)
    ],
)
def test_recorded(file, name, recipe):
    case = json.loads((RECORDINGS / f"{file}.json").read_text())[name]
    expected = array(case["expected"])
    inputs = [array(x)[None] for x in case.get("inputs") or [case["input"]]]
    tolerance = LOOSE.get(file, 1e-5)
    if file == "activations":
        x = inputs[0] if inputs[0].ndim > 2 else inputs[0].reshape(-1, inputs[0].shape[-1])
        np.testing.assert_allclose(
            np.reshape(recipe(x), expected.shape), expected, rtol=tolerance, atol=tolerance
        )
        return
    model = recipe()
    if isinstance(model, list):
        model = hb.Sequential(model)
    x = inputs if len(inputs) > 1 else inputs[0]
    if not model.built:
        model.build(x.shape)
    model.set_weights([array(w) for w in case.get("weights", [])])
    if getattr(model, "stateful", False):
        model(x)  # the recording is of the second call
    np.testing.assert_allclose(np.asarray(model(x))[0], expected, rtol=tolerance, atol=tolerance)
