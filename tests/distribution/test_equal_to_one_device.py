"""Models of four kinds, with weights and batches that cannot be divided equally, train as on one
device.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import sys
import jax, numpy as np
import hornbeam as hb

D, layers = hb.distribution, hb.layers
rng = np.random.default_rng(0)
ROWS = 39  # batches of 13, which no number of devices here divides
numbers = rng.normal(size=(ROWS, 16)).astype("float32")
images = rng.normal(size=(ROWS, 6, 6, 2)).astype("float32")
words = rng.integers(0, 20, (ROWS, 7)) * (np.arange(7) < rng.integers(2, 8, (ROWS, 1)))
labels = rng.integers(0, 3, ROWS)
yes = rng.integers(0, 2, (ROWS, 1))

def mlp():
    return hb.Sequential([hb.Input((16,)), layers.Dense(16, "relu"), layers.Dropout(0.2),
                          layers.Dense(1, "sigmoid")]), numbers, yes

def cnn():
    return hb.Sequential([
        hb.Input((6, 6, 2)), layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU(),
        layers.Flatten(), layers.Dense(3, "softmax")]), images, labels

def lstm():
    return hb.Sequential([
        hb.Input((7,)), layers.Embedding(24, 8, mask_zero=True), layers.LSTM(8),
        layers.Dense(3, "softmax")]), words, labels

def transformer():
    tokens = hb.Input((7,))
    x = layers.Embedding(24, 8)(tokens)
    x = x + layers.MultiHeadAttention(8, 4)(layers.LayerNormalization()(x), x)
    x = layers.Dense(16, "gelu")(layers.LayerNormalization()(x))
    return hb.Model(tokens, layers.Dense(3, "softmax")(x[:, 0])), words, labels

def trained(make, chosen):
    hb.utils.clear_session()
    hb.utils.set_random_seed(3)
    model, x, y = make()
    binary = y is yes
    loss = "binary_crossentropy" if binary else "sparse_categorical_crossentropy"
    metrics = ["AUC", "Precision", "Recall"] if binary else ["accuracy"]
    model.compile(hb.optimizers.SGD(0.05, momentum=0.9), loss, metrics,
                  weighted_metrics=["mae"] if binary else None, distribution=chosen)
    weights = dict(class_weight={0: 2.0, 1: 0.5, 2: 1.0}) if not binary else dict(
        sample_weight=np.linspace(0.5, 2, ROWS))
    logs = model.fit(x, y, batch_size=13, verbose=0, shuffle=False, **weights).history
    return [*(np.asarray(v) for v in logs.values()),
            *(v.numpy() for v in model.weights if "seed" not in v.path),
            model.predict(x[:5], verbose=0)]


n = len(jax.devices())
MODELS = dict(mlp=mlp, cnn=cnn, lstm=lstm, transformer=transformer)
def run(chosen):
    return {name: trained(make, chosen()) for name, make in MODELS.items()}

strategies = {"one": None} if n == 1 else {
    "fsdp": D.FullyShardedDataParallel(min_size=8), "tensor": "tensor"}
found = {f"{name} {model} {i}": array for name, chosen in strategies.items()
         for model, arrays in run(lambda: chosen).items() for i, array in enumerate(arrays)}
np.savez(sys.argv[1], **found)
"""


def results_on(devices, folder):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, folder / f"{devices}.npz"],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(np.load(folder / f"{devices}.npz"))


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    return {name.removeprefix("one "): a for name, a in results_on(1, folder).items()}


@pytest.mark.slow
def test_results_are_those_of_one_device(one, tmp_path):
    wrong = []
    for name, found in results_on(2, tmp_path).items():
        _, model, number = name.split(" ")
        expected = one[f"{model} {number}"]
        # A bias before BatchNormalization has a gradient of zero, up to rounding.
        difference = np.abs(expected - found).max() / max(np.abs(expected).max(), 0.1)
        if not difference <= 1e-5:
            wrong.append((name, float(difference)))
    assert not wrong
