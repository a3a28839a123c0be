"""Warnings of likely mistakes: each is said once, at the first step at the latest."""

import warnings

import numpy as np
import pytest

import hornbeam as hb

layers, losses = hb.layers, hb.losses
X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
ONE, THREE = np.ones((8, 1), "float32"), np.ones((8, 3), "float32")
CLASSES = np.arange(8) % 3


def with_a_bad_row(value):
    x = X.copy()
    x[5, 2] = value
    return x


def dense(units, activation=None):
    return hb.Sequential([hb.Input((4,)), layers.Dense(units, activation=activation)])


def functional(make):
    x = hb.Input((4,))
    return hb.Model(x, make(layers.Dense(8, name="first")(x)))


class Scores(hb.Model):
    """Its softmax is known only from tracing."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return hb.ops.softmax(self.dense(x))


def argmax(x):
    return hb.ops.cast(hb.ops.argmax(x, -1, keepdims=True), "float32")


SPARSE = losses.SparseCategoricalCrossentropy
ROWS = {
    "NaN in x": (lambda: dense(1), "mse", with_a_bad_row(np.nan), ONE, "NaN in 1 of 8 rows.*row 5"),
    "infinity in x": (lambda: dense(1), "mse", with_a_bad_row(np.inf), ONE, "infinite numbers"),
    "softmax of one unit": (
        lambda: dense(1, "softmax"), "binary_crossentropy", X, ONE, "one number.*sigmoid",
    ),
    "softmax of one unit inside": (
        lambda: functional(
            lambda x: layers.Dense(1)(layers.multiply([x, layers.Softmax()(layers.Dense(1)(x))]))
        ),
        "mse", X, ONE, "'softmax' .*one number",
    ),
    "softmax and logits": (
        lambda: dense(3, "softmax"), SPARSE(from_logits=True), X, CLASSES, "of softmax.*logits",
    ),
    "softmax and logits in a subclass": (Scores, SPARSE(from_logits=True), X, CLASSES, "softmax"),
    "sigmoid and logits": (
        lambda: dense(1, "sigmoid"), losses.BinaryCrossentropy(from_logits=True), X, ONE,
        "result of sigmoid",
    ),
    "targets of three numbers": (
        lambda: dense(1), "mse", X, THREE, r"shape \(4, 1\).*shape \(4, 3\)",
    ),
    "targets of one number": (
        lambda: dense(3), losses.Huber(), X, ONE, r"shape \(4, 3\).*shape \(4, 1\)",
    ),
    "argmax at the end": (
        lambda: functional(argmax), "mse", X, ONE, "2 of 2 trainable weights.*'first/kernel'",
    ),
    "argmax before a layer": (
        lambda: functional(lambda x: layers.Dense(1)(argmax(x))), "mse", X, ONE,
        "2 of 4 trainable weights.*'first/kernel'",
    ),
    "rounding": (
        lambda: functional(lambda x: hb.ops.round(layers.Dense(1)(x))), "mse", X, ONE, "gradient",
    ),
    "no loss": (lambda: dense(1), None, X, ONE, "nothing to minimize"),
    "no losses by name": (lambda: dense(1), {}, X, ONE, "nothing to minimize"),
    "no losses": (lambda: dense(1), [], X, ONE, "nothing to minimize"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_mistake_is_named_once(name):
    make, loss, x, y, text = ROWS[name]
    model = make()
    model.compile("adam", loss)
    with pytest.warns(UserWarning, match=text) as caught:
        model.fit(x, y, epochs=2, batch_size=4, verbose=0)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    model.fit(x, y, batch_size=4, verbose=0)
    model.evaluate(x, y, batch_size=4, verbose=0)


def test_batches_of_a_generator_and_eager_steps():
    model = dense(1)
    model.compile("adam", "mse", run_eagerly=True)
    with pytest.warns(UserWarning, match="NaN in 1 of 4 rows"):
        model.fit(((x, x[:, :1]) for x in np.split(with_a_bad_row(np.nan)[4:], 1)), verbose=0)


@pytest.mark.parametrize("as_batches", [False, True])
def test_classes_without_a_weight(as_batches):
    model = dense(3, "softmax")
    model.compile("sgd", "sparse_categorical_crossentropy")
    data = (iter([(X, CLASSES)] * 2),) if as_batches else (X, CLASSES)
    with pytest.warns(UserWarning, match="does not list the classes 0, 2") as caught:
        model.fit(*data, class_weight={1: 2.0}, verbose=0)
    assert len(caught) == 1


def test_evaluation_needs_no_loss():
    model = dense(1)
    model.compile(metrics=["mae"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.evaluate(X, ONE, verbose=0, return_dict=True)["loss"] == 0.0


def test_layers_that_add_losses_need_no_other():
    model = hb.Sequential([hb.Input((4,)), layers.Dense(1, activity_regularizer="l2")])
    model.compile("sgd", {})
    assert model.fit(X, ONE, verbose=0).history["loss"][0] > 0
