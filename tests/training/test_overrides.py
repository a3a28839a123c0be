"""Overridden methods are found when they are needed, wherever the user defines them."""

import functools

import numpy as np
import pytest

import hornbeam as hb
from hornbeam.training.overrides import overrides
from hornbeam.training.padding import rows_are_independent, runs_library_code

X, Y = np.ones((8, 4), "float32"), np.ones((8, 2), "float32")


class Plain(hb.Model):
    """Overrides only `call`."""

    def __init__(self):
        super().__init__()
        self.dense = hb.layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def in_a_subclass(method):
    return type("Own", (Plain,), {"train_step": method})()


def on_a_parent(method):
    parent = type("Parent", (Plain,), {"train_step": method})
    return type("Child", (parent,), {})()


def patched_afterwards(method):
    cls = type("Own", (Plain,), {})
    model = cls()
    cls.train_step = method
    return model


def on_an_instance(method):
    model = Plain()
    model.train_step = functools.partial(method, model)
    return model


@pytest.mark.parametrize("place", [in_a_subclass, on_a_parent, patched_afterwards, on_an_instance])
def test_an_own_step_is_found_and_used(place):
    @functools.wraps(hb.Model.train_step)  # makes it look like the standard method
    def train_step(self, data):
        return {"mine": 1.0}

    model = place(train_step)
    assert overrides(model, "train_step")
    assert not overrides(model, "test_step", "predict_step", "compute_loss", "make_train_function")
    model.compile("sgd", "mse")
    assert model.fit(X, verbose=0).history == {"mine": [1.0]}  # no targets: this step needs none


def test_a_patched_base_class(monkeypatch):
    """As a library does that records every training run."""
    monkeypatch.setattr(hb.Model, "train_step", lambda self, data: {"mine": 1.0})
    model = Plain()
    assert overrides(model, "train_step")
    model.compile("sgd", "mse")
    assert model.fit(X, verbose=0).history == {"mine": [1.0]}


def network():
    return hb.Sequential([hb.Input((4,)), hb.layers.Dense(2)])


def test_a_patched_layer_is_the_users_code(monkeypatch):
    model, calls = network(), []
    assert runs_library_code(model)
    assert rows_are_independent(model, "predict")
    layer = model.layers[0]
    standard = layer.call
    layer.call = lambda x: calls.append(len(x)) or standard(x)
    assert not runs_library_code(model)
    del layer.call
    assert runs_library_code(model)
    monkeypatch.setattr(hb.layers.Dense, "call", lambda self, x: x[:, :2])
    assert not runs_library_code(network())


def test_a_call_on_an_instance_runs_each_time():
    model, calls = network(), []
    model(X)
    standard = model.call
    model.call = lambda x, **kwargs: calls.append(1) or standard(x, **kwargs)
    model(X)
    model(X)
    assert len(calls) == 2


def test_a_graph_with_losses_has_side_effects():
    x = hb.Input((4,))
    model = hb.Model(x, hb.layers.Dense(2)(x))
    assert runs_library_code(model)
    model.add_loss(hb.ops.sum(model.output))
    assert not runs_library_code(model)
    assert len(model.graph_losses) == 1
