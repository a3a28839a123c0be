"""Class weights: the loss equals a computation by hand, for every form of targets."""

import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb

WEIGHTS = {0: 1.0, 1: 10.0, 2: 5.0}
weights_of = np.vectorize(WEIGHTS.get)
STEPS = [(), (1,), (3,), (2, 3)]
ROWS = 4


class Called(hb.Model):
    """A model whose outputs are known only after a call."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, x):
        return self.layer(x)


def sparse(labels):
    return labels, "sparse_categorical_crossentropy", 3


def sparse_column(labels):
    return labels[..., None], "sparse_categorical_crossentropy", 3


def one_hot(labels):
    return np.eye(3, dtype="float32")[labels], "categorical_crossentropy", 3


def one_hot_for_another_loss(labels):
    return np.eye(3, dtype="float32")[labels], "mse", 3


def number(labels):
    return labels % 2, "binary_crossentropy", 1


def number_column(labels):
    return (labels % 2)[..., None], "mse", 1


FORMS = [sparse, sparse_column, one_hot, one_hot_for_another_loss, number, number_column]


def losses_by_hand(form, labels, scores):
    """Return one value per class number, and the weights of the classes."""
    if form in (number, number_column):
        labels = labels % 2
        p = scores[..., 0]
        values = (p - labels) ** 2 if form is number_column else -np.log(abs(1 - labels - p))
    elif form is one_hot_for_another_loss:
        values = np.mean((np.eye(3)[labels] - scores) ** 2, axis=-1)
    else:
        values = -np.log(np.take_along_axis(scores, labels[..., None], -1)[..., 0])
    return values, weights_of(labels)


def model_and_data(form, steps, subclass, random):
    labels = random.integers(0, 3, (ROWS, *steps))
    x = random.normal(size=(ROWS, *steps, 2)).astype("float32")
    targets, loss, units = form(labels)
    layer = hb.layers.Dense(units, activation="softmax" if units > 1 else "sigmoid")
    model = Called(layer) if subclass else hb.Sequential([hb.Input((*steps, 2)), layer])
    model.compile(hb.optimizers.SGD(0.0), loss, run_eagerly=True)
    return model, x, targets, labels


@pytest.mark.parametrize("subclass", [False, True])
@pytest.mark.parametrize("steps", mostly_slow(STEPS, [(3,)]))
@pytest.mark.parametrize("form", FORMS)
def test_the_loss_is_computed_by_hand(form, steps, subclass):
    random = np.random.default_rng(0)
    model, x, targets, labels = model_and_data(form, steps, subclass, random)
    for given in (None, random.random(ROWS), random.random((ROWS, *steps))):
        ours = model.train_on_batch(x, targets, sample_weight=given, class_weight=WEIGHTS)
        values, weights = losses_by_hand(form, labels, np.asarray(model(x)))
        if given is not None:
            weights = weights * given.reshape(given.shape + (1,) * (weights.ndim - given.ndim))
        np.testing.assert_allclose(ours, np.mean(weights * values), rtol=1e-5)


def test_a_loss_over_another_axis():
    """One-hot targets have their classes on the axis of the loss."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, (ROWS, 5))
    model = hb.Sequential([hb.Input((3, 5)), hb.layers.Softmax(axis=1)])
    model.compile("sgd", hb.losses.CategoricalCrossentropy(axis=1))
    x = random.normal(size=(ROWS, 3, 5))
    targets = np.moveaxis(np.eye(3)[labels], -1, 1)
    ours = model.train_on_batch(x, targets, class_weight=WEIGHTS)
    scores = np.moveaxis(np.asarray(model(x)), 1, -1)
    values = -np.log(np.take_along_axis(scores, labels[..., None], -1)[..., 0])
    np.testing.assert_allclose(ours, np.mean(weights_of(labels) * values), rtol=1e-5)


@pytest.mark.parametrize("kind", ["arrays", "batches"])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("as_list", [False, True])
def test_several_outputs(kind, given, as_list):
    """One output has class numbers per step, one one-hot rows, one no class weights."""
    random = np.random.default_rng(0)
    steps, kinds = random.integers(0, 3, (ROWS, 6)), random.integers(0, 3, ROWS)
    x = hb.Input((6, 2))
    flat = hb.layers.Flatten()(x)
    model = hb.Model(x, [
        hb.layers.Dense(3, activation="softmax", name="steps")(x),
        hb.layers.Dense(3, activation="softmax", name="kind")(flat),
        hb.layers.Dense(1, name="size")(flat),
    ])  # fmt: skip
    losses = ["sparse_categorical_crossentropy", "categorical_crossentropy", "mse"]
    model.compile(hb.optimizers.SGD(0.0), losses)
    data, sizes = random.normal(size=(ROWS, 6, 2)), random.normal(size=(ROWS, 1))
    of_kinds = {0: 1.0, 1: 1.0, 2: 7.0}
    tables = [WEIGHTS, of_kinds, None] if as_list else {"steps": WEIGHTS, "kind": of_kinds}
    rows = random.random(ROWS) if given else np.ones(ROWS)
    batch = (data, (steps, np.eye(3)[kinds], sizes), *([(rows, rows, rows)] if given else []))
    arguments = {"class_weight": tables, "verbose": 0}
    if kind == "batches":
        history = model.fit(iter([batch]), **arguments).history
    else:
        history = model.fit(*batch[:2], sample_weight=(batch + (None,))[2], **arguments).history
    scores = [np.asarray(y) for y in model(data)]
    by_hand = [
        -np.log(np.take_along_axis(scores[0], steps[..., None], -1)[..., 0]) * weights_of(steps),
        -np.log(scores[1][np.arange(ROWS), kinds]) * np.where(kinds == 2, 7.0, 1.0),
        np.mean((scores[2] - sizes) ** 2, axis=-1),
    ]
    by_hand = [np.mean(v * rows.reshape(-1, *(1,) * (v.ndim - 1))) for v in by_hand]
    np.testing.assert_allclose(history["loss"][0], sum(by_hand), rtol=1e-5)
    np.testing.assert_allclose(history["steps_loss"][0], by_hand[0], rtol=1e-5)


def test_outputs_of_a_subclass_have_the_names_of_the_targets():
    class Two(hb.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = hb.layers.Dense(3, activation="softmax"), hb.layers.Dense(1)

        def call(self, x):
            return {"one": self.one(x), "two": self.two(x)}

    random = np.random.default_rng(0)
    labels, x = random.integers(0, 3, ROWS), random.normal(size=(ROWS, 2)).astype("float32")
    targets = {"one": labels, "two": np.zeros((ROWS, 1))}
    model = Two()
    model.compile(hb.optimizers.SGD(0.0), {"one": "sparse_categorical_crossentropy", "two": "mse"})
    ours = model.train_on_batch(x, targets, class_weight={"one": WEIGHTS})
    y = model(x)
    by_hand = np.mean(weights_of(labels) * -np.log(np.asarray(y["one"])[np.arange(ROWS), labels]))
    ours = ours[0] if isinstance(ours, list) else ours
    np.testing.assert_allclose(ours, by_hand + np.mean(np.asarray(y["two"]) ** 2), rtol=1e-5)
    with pytest.raises(ValueError, match="one.*two"):
        model.train_on_batch(x, targets, class_weight=WEIGHTS)
