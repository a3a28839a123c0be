"""Callback logs: Python floats for every way of reading, and on the device until read."""

import copy
import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb
from hornbeam.training.logs import Logs

X, Y = np.ones((8, 4), "float32"), np.ones((8, 2), "float32")
WAYS = {
    "dict": dict,
    "stars": lambda logs: {**logs},
    "keywords": lambda logs: dict(**logs),
    "copy": lambda logs: logs.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "items": lambda logs: dict(logs.items()),
    "values": lambda logs: dict(zip(logs.keys(), logs.values(), strict=True)),
    "indexing": lambda logs: {name: logs[name] for name in logs},
    "get": lambda logs: {name: logs.get(name) for name in logs},
    "pop": lambda logs: {name: logs.pop(name) for name in list(logs)},
    "popitem": lambda logs: dict([logs.popitem() for _ in range(len(logs))][::-1]),
    "setdefault": lambda logs: {name: logs.setdefault(name, 0) for name in list(logs)},
    "or": lambda logs: logs | {},
    "reversed_or": lambda logs: {} | logs,
    "update": lambda logs: _updated({}, logs),
    "pickle": lambda logs: pickle.loads(pickle.dumps(logs)),
    "json": lambda logs: json.loads(json.dumps(logs)),
    "repr": lambda logs: eval(repr(logs)),
    "format": lambda logs: {
        "loss": float("{loss}".format(**logs)),
        "mae": float("{mae}".format_map(logs)),
    },
}


def _updated(target, logs):
    target.update(logs)
    return target


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32"])
def test_every_way_gives_floats(way, dtype):
    logs = Logs({"loss": jnp.asarray(2, dtype), "mae": np.asarray(3, dtype)})
    read = WAYS[way](logs)
    assert {name: type(value) for name, value in read.items()} == {"loss": float, "mae": float}
    assert list(read) == ["loss", "mae"]
    assert read == {"loss": 2.0, "mae": 3.0}


def test_arrays_and_texts_stay_what_they_are():
    read = dict(
        Logs({"row": jnp.arange(2), "word": "yes", "none": None, "parts": [jnp.float32(1), 2]})
    )
    assert isinstance(read["row"], np.ndarray)
    assert (read["word"], read["none"], read["parts"]) == ("yes", None, [1.0, 2.0])


def test_names_are_read_without_a_wait():
    logs = Logs({"loss": jnp.float32(1)})
    assert (list(logs), len(logs), "loss" in logs) == (["loss"], 1, True)
    assert isinstance(dict.__getitem__(logs, "loss"), jax.Array)
    assert logs == {"loss": 1.0}
    assert isinstance(dict.__getitem__(logs, "loss"), float)


class Reads(hb.callbacks.Callback):
    """Reads logs in one way in all methods."""

    def __init__(self, way, **flags):
        super().__init__()
        self.way, self.types = way, set()
        for name, value in flags.items():
            setattr(self, name, value)

    def look(self, logs):
        self.types |= {type(value) for value in self.way(logs).values()}

    def on_train_batch_end(self, batch, logs=None):
        self.look(logs)

    def on_test_batch_end(self, batch, logs=None):
        self.look(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.look(logs)

    def on_test_end(self, logs=None):
        self.look(logs)

    def on_train_end(self, logs=None):
        self.look(logs)


@pytest.mark.parametrize("steps_per_execution", [1, 2])
@pytest.mark.parametrize("way", mostly_slow(["dict", "stars", "pop", "json"], ["dict"]))
@pytest.mark.parametrize("flags", [{}, {"observes_only": True}, {"samples_only": True}], ids=str)
def test_hooks_get_floats(steps_per_execution, way, flags):
    model = hb.Sequential([hb.Input((4,)), hb.layers.Dense(2)])
    model.compile("sgd", "mse", metrics=["mae"], steps_per_execution=steps_per_execution)
    reader = Reads(WAYS[way], **flags)
    model.fit(X, Y, batch_size=2, epochs=2, verbose=0, callbacks=[reader], validation_data=(X, Y))
    assert reader.types == {float}
    assert {type(v) for v in model.train_on_batch(X, Y, return_dict=True).values()} == {float}
    assert type(model.train_on_batch(X, Y, return_dict=True)) is dict
