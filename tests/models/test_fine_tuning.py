"""Freezing, features, new heads, two-phase training and learning rates of parts."""

import re

import jax
import numpy as np
import optax
import pytest
from compare import mostly_slow

import hornbeam as hb
from hornbeam import layers, models, optimizers

X = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
Y = np.array([0, 1, 0, 1])


def network(names=("block1_a", "block1_b", "block10_a", "logits"), units=3):
    parts = [layers.Dense(units, name=name, activation="tanh") for name in names]
    return hb.Sequential([hb.Input((3,)), *parts], name="net")


def trained(model):
    return [layer.name for layer in models.choice.all_layers(model) if layer.trainable_variables]


def nested():
    norm = layers.BatchNormalization(name="norm")
    body = hb.Sequential([hb.Input((3,)), layers.Dense(4, name="dense"), norm], name="body")
    return hb.Sequential([hb.Input((3,)), body, layers.Dense(2, name="logits")])


FREEZES = {
    "all": ({}, []),
    "pattern": ({"layers": "^block1_"}, ["block10_a", "logits"]),
    "list": ({"layers": ["_b", "logits"]}, ["block1_a", "block10_a"]),
    "name": ({"until": "block10_a"}, ["block10_a", "logits"]),
    "number": ({"until": -1}, ["logits"]),
    "both": ({"layers": "_a", "until": 2}, ["block1_b", "block10_a", "logits"]),
}


@pytest.mark.parametrize("row", FREEZES)
def test_freeze_chooses_layers(row):
    options, left = FREEZES[row]
    model = network()
    frozen = models.freeze(model, **options)
    assert trained(model) == left
    assert len(frozen) + len(left) == 4
    models.unfreeze(model, frozen)
    assert len(trained(model)) == 4


def test_layers_of_frozen_models_can_be_unfrozen():
    model = nested()
    model.trainable = False
    models.unfreeze(model, "dense")
    assert trained(model) == ["dense"]
    assert model.trainable_variables == model.layers[0].layers[0].trainable_variables
    models.freeze(model, model.layers[0])
    assert not model.trainable_variables


BAD = {
    "freeze: 'conv' chooses no layer of model 'net'": lambda m: models.freeze(m, "conv"),
    "Unknown layer in model 'net': 'logit'": lambda m: models.freeze(m, until="logit"),
    "freeze: `until` must be a layer's name or number": lambda m: models.freeze(m, until=1.5),
    "freeze: `until`=0 leaves no layer": lambda m: models.freeze(m, until=0),
    "freeze: `model` must be a Model": lambda m: models.freeze(3),
    "freeze: layers must be objects or patterns": lambda m: models.freeze(m, [3]),
    "Unknown layer in model 'net': 'block2'": lambda m: models.features(m, "block2"),
    "features: `layers` must have at least one": lambda m: models.features(m, []),
    "with_head: `head` must be a number of classes": lambda m: models.with_head(m, "3"),
    "with_head: `head` must be a positive integer": lambda m: models.with_head(m, 0),
    "compile: `learning_rates` has the pattern 'conv'": lambda m: m.compile(
        learning_rates={"conv": 0.1}
    ),
    "is not a regular expression": lambda m: m.compile(learning_rates={"(": 0.1}),
    "must have a pattern and a factor": lambda m: m.compile(learning_rates={"net": -1}),
    "fine_tune: `epochs` must be": lambda m: m.fine_tune(X, Y, epochs=0),
    "fine_tune: `resume` is not supported": lambda m: m.fine_tune(X, Y, resume=True),
    "`fine_tune` needs a compiled model": lambda m: m.fine_tune(X, Y),
}


@pytest.mark.parametrize("message", BAD)
def test_errors_name_argument_and_remedy(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        BAD[message](network())


def test_features_end_at_named_layers():
    model = network()
    outputs = models.features(model, ["block1", "block10_a", model.layers[0]])(X)
    x, expected = X, []
    for layer in model.layers:
        x = layer(x)
        expected.append(np.asarray(x))
    for output, wanted in zip(outputs, [expected[1], expected[2], expected[0]], strict=True):
        np.testing.assert_allclose(output, wanted, rtol=1e-6)
    inputs = {"a": hb.Input((3,), name="a"), "b": hb.Input((3,), name="b")}
    added = layers.Add(name="sum")([inputs["a"], inputs["b"]])
    several = models.features(hb.Model(inputs, model(added)), "sum")
    np.testing.assert_allclose(several({"a": X, "b": X}), 2 * X)


def test_with_head_replaces_the_classifier():
    model = network()
    new = models.with_head(model, 5)
    assert [layer.name for layer in new.layers[1:]] == [
        "block1_a", "block1_b", "block10_a", "predictions",
    ]  # fmt: skip
    assert new.layers[1] is model.layers[0]
    np.testing.assert_allclose(np.sum(new(X), -1), 1, rtol=1e-6)
    image = hb.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(image)
    pixel = layers.GlobalAveragePooling2D(keepdims=True)(x)
    one = layers.Reshape((7,))(layers.Conv2D(7, 1, name="logits")(pixel))
    names = [x.name for x in models.with_head(hb.Model(image, one), 2).layers]
    assert "conv" in names
    assert "logits" not in names
    head = [layers.Dense(6), layers.Dense(2)]
    assert models.with_head(hb.Model(image, x), head, name="n").output_shape == (None, 2)


class Descent(optimizers.Optimizer):
    """A rule that reads its rate from the optimizer, as rules of Keras 2 do."""

    def update_step(self, gradient, variable):
        variable.assign_sub(self.learning_rate * gradient)


def schedule():
    return optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)


SLOW, FAST = {"block1_a": 0.25, "block1": 0.0}, {}
OPTIMIZERS = {
    "sgd": lambda **o: optimizers.SGD(0.1, momentum=0.9, **o),
    "adamw": lambda **o: optimizers.AdamW(0.1, weight_decay=0.1, **o),
    "schedule": lambda **o: optimizers.SGD(schedule(), **o),
    "accumulation": lambda **o: optimizers.SGD(0.1, gradient_accumulation_steps=2, **o),
    "own": lambda **o: Descent(0.1, **o),
    "own schedule": lambda **o: Descent(schedule(), **o),
    "scaled": lambda **o: optimizers.LossScaleOptimizer(optimizers.SGD(0.1, **o)),
    "optax": lambda **o: optimizers.get(optax.sgd(0.1)),
    "several": lambda **o: optimizers.MultiOptimizer(
        optimizers.multi.OptimizerMap(optimizers.SGD(0.1, **o))
    ),
    **{
        name: lambda name=name, **o: getattr(optimizers, name)(0.1, **o)
        for name in ("Adagrad", "Adadelta", "Adafactor", "Adamax", "Lamb", "Lion", "Muon", "Nadam",
                     "RMSprop")
    },
}  # fmt: skip


def steps(make, factors, count=2):
    """Return how far each variable moved in the same steps."""
    variables = [
        hb.Variable(np.full((2, 2), 0.5, "float32"), name=name)
        for name in ("block1_a", "block1_b", "logits")
    ]
    optimizer = make()
    optimizer.learning_rates = factors
    optimizer.build(variables)
    for _ in range(count):
        optimizer.apply([np.full((2, 2), 0.3, "float32")] * 3, variables)
    return [np.asarray(v.value) - 0.5 for v in variables]


@pytest.mark.parametrize("name", mostly_slow(OPTIMIZERS, {"sgd", "accumulation", "own schedule"}))
def test_learning_rates_of_parts(name):
    # The first step of these is a multiple of the rate, for equal gradients.
    count = 2 if name == "accumulation" else 1
    moved, whole = steps(OPTIMIZERS[name], SLOW, count), steps(OPTIMIZERS[name], FAST, count)
    assert np.all(whole[0] != 0)
    np.testing.assert_allclose(moved[0], 0.25 * whole[0], rtol=1e-4, atol=1e-7)
    assert np.all(moved[1] == 0)
    np.testing.assert_array_equal(moved[2], whole[2])


def test_learning_rates_survive_files_and_copies(tmp_path):
    model = network()
    optimizer = optimizers.Adam(0.1, use_ema=True)
    model.compile(optimizer, "mse", learning_rates={"block1_": 0.0})
    before = [v.numpy() for v in model.variables]
    model.fit(X, X, verbose=0)
    after = [v.numpy() for v in model.variables]
    assert all(np.array_equal(a, b) for a, b in zip(before[:4], after[:4], strict=True))
    assert np.all(before[4] != after[4])
    model.save(tmp_path / "model.keras")
    for other in (models.load_model(tmp_path / "model.keras"), models.clone_model(model)):
        assert other.optimizer.learning_rates == {"block1_": 0.0}
    model.optimizer.learning_rates = {}
    model.fit(X, X, verbose=0)
    assert np.all(model.variables[0].numpy() != after[0])


def test_fine_tune_trains_the_head_then_all():
    model = nested()
    model.compile(optimizers.SGD(0.1), hb.losses.SparseCategoricalCrossentropy(from_logits=True))
    seen = []

    class Watch(hb.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append((trained(self.model), float(self.model.optimizer.learning_rate)))

    norm = model.layers[0].layers[1]
    statistics = [v.numpy() for v in norm.non_trainable_variables]
    history = model.fine_tune(
        X, Y, epochs=2, freeze_epochs=1, rate_factor=0.01, callbacks=[Watch()], verbose=0
    )
    assert seen[0][0] == ["logits"]
    assert seen[1][0] == ["dense", "logits"]
    np.testing.assert_allclose([rate for _, rate in seen], [0.1, 0.001], rtol=1e-6)
    assert history.epoch == [0, 1, 2]
    assert len(history.history["loss"]) == 3
    assert model.history is history
    kept = [v.numpy() for v in norm.variables if not v.trainable]
    assert all(np.array_equal(a, b) for a, b in zip(statistics, kept, strict=False))
    models.unfreeze(model)
    model.fine_tune(X, Y, train_normalization=True, freeze_epochs=0, verbose=0)
    assert trained(model) == ["dense", "norm", "logits"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["schedule", "optax", "several", "scaled"])
def test_fine_tune_slows_any_optimizer(name):
    model = network()
    model.compile(OPTIMIZERS[name](), "mse")
    model.fine_tune(X, X, rate_factor=1e-6, freeze_epochs=0, verbose=0)
    before = [v.numpy() for v in model.variables]
    model.fit(X, X, verbose=0)
    moved = max(np.max(np.abs(a - v.numpy())) for a, v in zip(before, model.variables, strict=True))
    assert moved < 1e-5


def test_an_interrupted_fine_tune_unfreezes():
    model = nested()
    model.compile("sgd", "mse")

    class Stop(hb.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fine_tune(X, np.eye(2)[Y], callbacks=[Stop()], verbose=0)
    assert trained(model) == ["dense", "norm", "logits"]


def test_head_of_several_layers_and_warning_of_a_frozen_body():
    body = network()
    body.trainable = False
    model = hb.Sequential([hb.Input((3,)), body, layers.Dense(4, name="a"), layers.Dense(2)])
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    before = jax.tree.map(np.asarray, [v.value for v in model.layers[1].variables])
    with pytest.warns(UserWarning, match="but the head are frozen"):
        model.fine_tune(X, Y, verbose=0)
    assert np.any(before[0] != model.layers[1].variables[0].numpy())
