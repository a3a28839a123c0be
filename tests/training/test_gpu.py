"""Tests that need a GPU: cuDNN kernels, data that stay on the device, and training.

The results are compared with the plain path.
"""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.ops import routes
from hornbeam.training import plan

pytestmark = pytest.mark.skipif(
    jax.default_backend() != "gpu", reason="needs a GPU that JAX can use"
)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def random(*shape, seed=0, dtype="float32"):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def close(actual, expected, tolerance=1e-4):
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a, "float32"), np.asarray(b, "float32")
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, np.abs(b).max()))


# --- cuDNN kernels --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (32, 80, 128, 128), (1, 1, 1, 1), (5, 7, 3, 33)])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_lstm(shape, go_backwards):
    """Values and gradients use the kernel, other derivatives the plain path."""
    batch, steps, features, units = shape
    x = random(batch, steps, features)
    layers = [hb.layers.LSTM(units, return_sequences=True, return_state=True,
        go_backwards=go_backwards, use_cudnn=u)
        for u in ("auto", False)]  # fmt: skip
    for layer in layers:
        layer.build(x.shape)
        layer.set_weights(
            [np.asarray(random(*w.shape, seed=i)) / 4 for i, w in enumerate(layer.weights)]
        )

    def of(layer):
        def run(weights, x):
            return layer.stateless_call(
                weights, [w.value for w in layer.non_trainable_variables], x
            )[0]

        return [w.value for w in layer.trainable_variables], run

    (weights, fused), (_, plain) = map(of, layers)

    def loss(run):
        return lambda weights, x: sum(jnp.sum(jnp.sin(y)) for y in run(weights, x))

    close(jax.jit(fused)(weights, x), jax.jit(plain)(weights, x))
    assert any(name.startswith("lstm") and route == "cudnn" for name, route in _routes().items()), (
        _routes()
    )
    close(
        *(jax.jit(jax.grad(loss(run), (0, 1)))(weights, x) for run in (fused, plain)),
        tolerance=1e-3,
    )
    if steps > 10:
        return
    tangent = (weights, jnp.ones_like(x))
    close(*(jax.jvp(loss(run), (weights, x), tangent) for run in (fused, plain)), tolerance=1e-3)
    many = jnp.stack([x, 2 * x])
    close(*(jax.vmap(run, (None, 0))(weights, many) for run in (fused, plain)))
    close(
        *(jax.vmap(jax.grad(loss(run), 1), (None, 0))(weights, many) for run in (fused, plain)),
        tolerance=1e-3,
    )

    def second(run):
        return jax.grad(lambda x: jnp.sum(jnp.square(jax.grad(loss(run), 1)(weights, x))))(x)

    close(second(fused), second(plain), tolerance=1e-3)


def _routes():
    return {name: route.name for name, route in hb.ops.routes.taken().items()}


@pytest.mark.parametrize("kind", ["none", "causal", "mask", "both", "shared", "bias"])
def test_attention(kind):
    x = [random(2, 8, 4, 64, seed=i) for i in range(3)]
    mask = (
        None
        if kind not in ("mask", "both")
        else jnp.arange(8)[None, None, None] < jnp.asarray([3, 8])[:, None, None, None]
    )
    if kind == "shared":
        x[1:] = [part[:, :, :2] for part in x[1:]]

    bias = random(4, 8, 8) if kind == "bias" else None

    def loss(q, k, v, flash):
        options = {
            "mask": mask,
            "bias": bias,
            "is_causal": kind in ("causal", "both"),
            "flash_attention": flash,
        }
        y = hb.ops.dot_product_attention(q, k, v, **options)
        return jnp.sum(jnp.sin(y.astype("float32"))), y

    both = []
    for dtype, flash in (("bfloat16", True), ("float32", False)):
        function = jax.jit(jax.grad(lambda *x, f=flash: loss(*x, f), (0, 1, 2), has_aux=True))
        both.append(function(*[part.astype(dtype) for part in x]))
    close(*both, tolerance=0.03)


@pytest.mark.parametrize("causal", [False, True])
def test_layer_of_attention(causal):
    layer = hb.layers.MultiHeadAttention(4, 64, dtype="bfloat16")
    x = random(2, 16, 32)
    results = []
    for flash in (True, False):
        layer.flash_attention = flash
        results.append(layer(x, x, use_causal_mask=causal))
    close(*results, tolerance=0.03)


# --- training -------------------------------------------------------------------------------------


def network(policy=None):
    hb.utils.set_random_seed(0)
    layers = hb.layers
    model = hb.Sequential(
        [
            hb.Input((12, 12, 3)), layers.Conv2D(8, 3, padding="same", dtype=policy),
            layers.BatchNormalization(dtype=policy),
            layers.Activation("relu"), layers.MaxPooling2D(),
            layers.Conv2D(8, 3, activation="relu", dtype=policy),
            layers.Flatten(), layers.Dropout(0.2, dtype=policy), layers.Dense(4, dtype=policy),
        ]
    )  # fmt: skip
    model.compile("adam", hb.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
    return model


def data(rows=150):
    y = np.arange(rows) % 4
    x = np.random.default_rng(0).standard_normal((rows, 12, 12, 3)).astype("float32")
    return x + y[:, None, None, None], y


def trained(monkeypatch=None, epochs=3, **settings):
    model = network()
    x, y = data()
    for name, value in settings.items():
        if name != "steps_per_execution":
            monkeypatch.setattr(plan, name, value)
    if "steps_per_execution" in settings:
        model.compile(
            "adam", model.loss, ["accuracy"], steps_per_execution=settings["steps_per_execution"]
        )
    history = model.fit(
        x, y, batch_size=16, epochs=epochs, verbose=0, validation_data=(x[:33], y[:33])
    )
    return model, history.history


def test_training_is_the_same_however_data_and_steps_are_cut(monkeypatch):
    """The order of rows and the results do not depend on dispatches.

    Data are resident or streamed, with one step or many per dispatch.
    """
    model, history = trained()
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    expected = model.get_weights()
    for settings in (
        {"steps_per_execution": 1}, {"steps_per_execution": 4}, {"SHARE_OF_DEVICE_MEMORY": 0.0},
        {"BYTES_PER_SLAB": 1}, {"BYTES_PER_SLAB": 1, "SHARE_OF_DEVICE_MEMORY": 0.0},
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            other, told = trained(patch, **settings)
        close(other.get_weights(), expected, tolerance=2e-3)
        close(told["loss"], history["loss"], tolerance=2e-3)


def test_streaming_needs_little_memory(monkeypatch):
    device = jax.local_devices()[0]
    monkeypatch.setattr(plan, "SHARE_OF_DEVICE_MEMORY", 0.0)
    model = hb.Sequential([hb.Input((1024,)), hb.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((2**16, 1024), "float32")  # 256 MB
    model.fit(x[:2048], np.ones(2048), batch_size=256, verbose=0)
    before = device.memory_stats()["bytes_in_use"]
    seen = []
    watch = hb.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(device.memory_stats()["bytes_in_use"])
    )
    model.fit(x, np.ones(len(x)), batch_size=256, epochs=3, verbose=0, callbacks=[watch])
    assert max(seen) - before < 64 * 2**20, (before, seen)


def test_mixed_precision_and_threads():
    model = network("mixed_bfloat16")
    x, y = data()
    history = model.fit(x, y, batch_size=16, epochs=4, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    expected = model.predict(x, verbose=0)
    assert expected.shape == (150, 4)
    failures = []

    def predict():
        for _ in range(5):
            if not np.allclose(model.predict(x, verbose=0), expected, atol=1e-2):
                failures.append("differs")

    threads = [threading.Thread(target=predict) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_odd_widths():
    """The product with a padded kernel and its gradients equal the results in float32."""
    x, kernel = random(300, 64, dtype="bfloat16"), random(64, 60_001, seed=1, dtype="bfloat16")
    assert routes.columns_to_add(x.dtype, *x.shape, kernel.shape[1]) == 31

    def value_and_slopes(x, kernel):
        return hb.ops.matmul(x, kernel), jax.grad(
            lambda *g: hb.ops.mean(hb.ops.matmul(*g) ** 2), (0, 1)
        )(x, kernel)

    single = (a.astype("float32") for a in (x, kernel))
    close(jax.jit(value_and_slopes)(x, kernel), jax.jit(value_and_slopes)(*single), tolerance=3e-2)


def test_interrupted_training_goes_on(tmp_path):
    x, y = data()
    whole = network()
    whole.fit(x, y, batch_size=16, epochs=4, verbose=0)

    class Stop(hb.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations >= 15:
                raise KeyboardInterrupt

    parts = network()
    backup = {"backup_dir": str(tmp_path), "save_freq": 5}
    with pytest.raises(KeyboardInterrupt):
        parts.fit(
            x,
            y,
            batch_size=16,
            epochs=4,
            verbose=0,
            callbacks=[hb.callbacks.BackupAndRestore(**backup), Stop()],
        )
    parts = network()
    parts.fit(
        x,
        y,
        batch_size=16,
        epochs=4,
        verbose=0,
        callbacks=[hb.callbacks.BackupAndRestore(**backup)],
    )
    close(parts.get_weights(), whole.get_weights(), tolerance=2e-3)


def test_saved_models_and_other_devices(tmp_path):
    model = network()
    x, _ = data(5)
    expected = model.predict(x, verbose=0)
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        close(hb.saving.load_model(tmp_path / name).predict(x, verbose=0), expected)
    with jax.default_device(jax.devices("cpu")[0]):
        other = hb.saving.load_model(tmp_path / "model.keras")
        close(other.predict(x, verbose=0), expected)
