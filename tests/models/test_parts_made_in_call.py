"""Layers, weights and metrics that code makes in each call instead of once."""

import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb

X, Y = np.ones((8, 4), "float32"), np.ones((8, 3), "float32")


class NewLayer(hb.Model):
    def call(self, x):
        return hb.layers.Dense(3)(x)


class NewLayerInList(hb.Model):
    def __init__(self):
        super().__init__()
        self.dense = []

    def call(self, x):
        self.dense.append(hb.layers.Dense(3))
        return self.dense[-1](x)


class NewParts(hb.Model):
    def call(self, x):
        return hb.layers.MultiHeadAttention(1, 2)(x[:, None], x[:, None])[:, 0, :3]


class NewWeight(hb.Model):
    def call(self, x):
        return x[:, :3] + self.add_weight((3,), name="shift")


class NewLayerInside(hb.layers.Layer):
    def call(self, x):
        return hb.layers.Dense(3)(x)


def functional():
    x = hb.Input((4,))
    return hb.Model(x, NewLayerInside()(x))


MAKERS = {
    "a layer": (NewLayer, r"'new_layer/dense.*Model 'new_layer' \(NewLayer\).*`__init__` or"),
    "a layer in a list": (NewLayerInList, "Dense.*NewLayerInList.*`__init__` or `build`"),
    "a layer that builds others": (NewParts, "'new_parts/multi.*NewParts.*`__init__` or `build`"),
    "a weight": (NewWeight, r"Model 'new_weight' \(NewWeight\).*'shift'.*`__init__` or `build`"),
    "in a layer of a graph": (functional, "Dense.*NewLayerInside.*`__init__` or `build`"),
    "in a layer of a stack": (lambda: hb.Sequential([NewLayerInside()]), "Dense.*NewLayerInside"),
}

WAYS = {
    "call": lambda model: [model(X) for _ in range(3)],
    "fit": lambda model: model.fit(X, Y, batch_size=4, verbose=0),
    "fit, eager": lambda model: model.fit(X, Y, batch_size=4, verbose=0),
    "predict": lambda model: [model.predict(X[: 4 + n], verbose=0) for n in range(2)],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", mostly_slow(MAKERS, list(MAKERS)[:1]))
def test_new_weights_in_each_call_are_an_error(name, way):
    make, message = MAKERS[name]
    hb.utils.clear_session()
    model = make()
    model.compile("sgd", "mse", run_eagerly="eager" in way)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        WAYS[way](model)


@pytest.mark.parametrize("way", WAYS)
def test_parts_made_in_the_first_call_stay(way):
    class Lazy(hb.Model):
        dense = None

        def call(self, x):
            if self.dense is None:
                self.dense = hb.layers.Dense(3)
            return hb.layers.ReLU()(self.dense(x))

    model = Lazy()
    model.compile("sgd", "mse", run_eagerly="eager" in way)
    WAYS[way](model)
    assert len(model.weights) == 2


def test_dropout_made_in_call_draws_new_numbers_in_each_step():
    class Drops(hb.Model):
        def call(self, x):
            return hb.layers.Dropout(0.5, seed=3)(x, training=True)

    seen = Drops().predict(np.ones((40, 50)), batch_size=10, verbose=0).reshape(4, -1)
    assert set(np.unique(seen)) == {0, 2}
    assert len({row.tobytes() for row in seen}) == 4


def test_a_metric_made_in_each_step_is_an_error():
    class Steps(hb.Model):
        def train_step(self, data):
            seen = hb.metrics.Mean(name="seen")
            seen.update_state(1.0)
            return {"seen": seen.result()}

    model = Steps()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"new variables each time.*'seen/total'.*`__init__`"):
        model.fit(X, Y, verbose=0)


def test_a_child_may_be_built_in_a_later_call_of_its_parent():
    class Head(hb.layers.Layer):
        def build(self, input_shape):
            self.inner = hb.layers.Dense(3)
            self.inner.build(input_shape)

        def call(self, x):
            return self.inner(x)

    class Late(hb.Model):
        def __init__(self):
            super().__init__()
            self.head = Head()

        def call(self, x, training=False):
            if training:
                self.head.build(x.shape)
                return self.head(x)
            return x[:, :3]

    model = Late()
    model(X)
    assert model(X, training=True).shape == (8, 3)
    assert len(model.weights) == 2
