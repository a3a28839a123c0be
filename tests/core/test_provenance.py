"""The top-level package decides whether code is Hornbeam's or the user's."""

import functools

import numpy as np
import pytest

import hornbeam as hb
from hornbeam.core.provenance import is_library_code


class Own(hb.layers.Dense):
    pass


class Extra:
    pass


Extra.__module__ = "hornbeam_extras.layers"


@functools.wraps(hb.losses.mean_squared_error)
def dressed(y_true, y_pred):
    return 0.0


LIBRARY = [
    hb.layers.Dense, hb.layers.Dense(1), hb.layers.Dense(1).call, hb.losses.mean_squared_error,
    hb.activations.relu, hb.losses.Huber, hb.metrics.Mean(), hb.ops.matmul,
]  # fmt: skip
USER = [
    Own,
    Own(1),
    Extra,
    Extra(),
    dressed,
    lambda x: x,
    len,
    np.tanh,
    None,
    3,
    "hornbeam",
    functools.partial(hb.ops.add, 1),
]


@pytest.mark.parametrize("x", LIBRARY)
def test_library(x):
    assert is_library_code(x)


@pytest.mark.parametrize("x", USER)
def test_user(x):
    assert not is_library_code(x)


# Keras's classes are made when the test runs: importing Keras takes seconds.
def real():
    import keras

    return keras


class Holds(hb.Model):
    def __init__(self, part):
        super().__init__()
        self.part = part


REFUSED = {
    "in a Sequential": lambda k: hb.Sequential([k.layers.Dense(1)]),
    "a model in a Sequential": lambda k: hb.Sequential([k.Sequential([k.layers.Dense(1)])]),
    "in an attribute": lambda k: Holds(k.layers.Dense(1)),
    "in a list": lambda k: Holds([k.layers.Dense(1)]),
    "in a wrapper": lambda k: hb.layers.TimeDistributed(k.layers.Dense(1)),
    "cell": lambda k: hb.layers.RNN(k.layers.LSTMCell(1)),
    "tensor": lambda k: hb.layers.Dense(1)(k.Input((3,))),
    "tensor in an op": lambda k: hb.ops.relu(k.Input((3,))),
    "tensors of a model": lambda k: hb.Model(k.Input((3,)), k.Input((3,))),
    "optimizer": lambda k: hb.Sequential().compile(k.optimizers.SGD()),
    "metric": lambda k: hb.Sequential().compile("sgd", "mse", [k.metrics.MeanSquaredError()]),
    "variable": lambda k: Holds(k.Variable(1.0)),
    "ours in a layer": lambda k: k.layers.Dense(1)(hb.Input((3,))),
    "ours in an op": lambda k: k.ops.relu(hb.Input((3,))),
    "ours in a call": lambda k: k.layers.Lambda(hb.layers.Dense(1))(np.ones((2, 3))),
}


@pytest.mark.parametrize("name", REFUSED)
def test_parts_of_keras_itself_are_refused(name):
    with pytest.raises(TypeError, match="do not mix"):
        REFUSED[name](real())
