"""Models, layers, optimizers and histories that were used can be copied and pickled."""

import copy
import pickle

import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb

X = np.random.RandomState(0).randn(8, 4).astype("float32")
Y = X[:, :1].copy()


class Called(hb.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = hb.layers.Dense(3), hb.layers.Dense(1)

    def call(self, x):
        return self.last(self.first(x))


def sequential():
    return hb.Sequential([
        hb.Input((4,)), hb.layers.Dense(3), hb.layers.BatchNormalization(),
        hb.layers.Dropout(0.5), hb.layers.Dense(1),
    ])  # fmt: skip


def functional():
    x = hb.Input((4,))
    y = hb.layers.LSTM(3)(hb.ops.reshape(x, (-1, 2, 2)))
    return hb.Model(x, hb.ops.tanh(hb.layers.Dense(1)(y)) + 1.0)


WAYS = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "oldest pickle": lambda x: pickle.loads(pickle.dumps(x, protocol=2)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", mostly_slow([sequential, functional, Called], [functional]))
def test_a_copy_trains_on_like_the_original(make, way):
    model = make()
    model.compile("adam", "mse", metrics=["mae", hb.metrics.RootMeanSquaredError()])
    history = model.fit(X, Y, verbose=0, validation_split=0.25)
    model.predict(X, verbose=0)
    copied = WAYS[way]({"model": model, "history": history})["model"]
    assert not {id(v) for v in copied.variables} & {id(v) for v in model.variables}
    np.testing.assert_array_equal(copied.predict(X, verbose=0), model.predict(X, verbose=0))
    weights = model.get_weights()
    results = copied.fit(X, Y, verbose=0, shuffle=False, epochs=2).history
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert results == model.fit(X, Y, verbose=0, shuffle=False, epochs=2).history
    assert int(copied.optimizer.iterations) == int(model.optimizer.iterations) == 3
    assert WAYS[way](history).history == history.history
    assert WAYS[way](model.optimizer).get_config() == model.optimizer.get_config()
    layer = WAYS[way](model.layers[-1])
    assert [v.shape for v in layer.weights] == [v.shape for v in model.layers[-1].weights]
