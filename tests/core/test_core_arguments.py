"""Constructors in `hornbeam.core` reject invalid values, including all that Keras rejects."""

import keras
import numpy as np
import pytest

import hornbeam as hb

ONES = np.ones(2, "float32")

# The constructor, its arguments, and whether Keras rejects them too.
ROWS = [
    ("Variable", {"initializer": ONES, "aggregation": "nonsense"}, True),
    ("Variable", {"initializer": ONES, "aggregation": 3}, True),
    ("Variable", {"initializer": ONES, "synchronization": "nonsense"}, True),
    ("Variable", {"initializer": ONES, "name": 3}, True),
    ("Variable", {"initializer": ONES, "name": "a/b"}, True),
    ("Variable", {"initializer": ONES, "trainable": "nonsense"}, False),
    ("Variable", {"initializer": ONES, "autocast": 2}, False),
    ("Variable", {"initializer": ONES, "dtype": "nonsense"}, True),
    ("Variable", {"initializer": ONES, "shape": 2}, False),
    ("Variable", {"initializer": ONES, "layout": "nonsense"}, True),
    ("Variable", {"initializer": "nonsense", "shape": (2,)}, True),
    ("Variable", {"initializer": "zeros", "shape": (1.5,)}, True),
    ("Variable", {"initializer": "zeros", "shape": (-1,)}, True),
    ("Variable", {"initializer": "zeros", "shape": (None,)}, True),
    ("KerasTensor", {"shape": "abc"}, True),
    ("KerasTensor", {"shape": 3}, True),
    ("KerasTensor", {"shape": None}, True),
    ("KerasTensor", {"shape": (-1,)}, True),
    ("KerasTensor", {"shape": (1.5,)}, True),
    ("KerasTensor", {"shape": (2,), "dtype": "nonsense"}, True),
    ("KerasTensor", {"shape": (2,), "sparse": "nonsense"}, False),
    ("KerasTensor", {"shape": (2,), "ragged": True}, False),
    ("KerasTensor", {"shape": (2,), "record_history": "nonsense"}, False),
    ("KerasTensor", {"shape": (2,), "name": 3}, False),
    ("Operation", {"name": 3}, True),
    ("Operation", {"name": "a/b"}, True),
    ("random.SeedGenerator", {"seed": "nonsense"}, True),
    ("random.SeedGenerator", {"seed": 1.5}, True),
    ("random.SeedGenerator", {"name": 3}, True),
    ("random.SeedGenerator", {"name": "a/b"}, True),
]


@pytest.mark.parametrize(("name", "arguments", "keras_refuses"), ROWS)
def test_nonsense_is_refused(name, arguments, keras_refuses):
    argument = list(arguments)[-1]
    with pytest.raises(
        ValueError, match=f"`{argument}`|Unknown (dtype|initializer) 'nonsense'|ragged"
    ) as caught:
        _find(hb, name)(**arguments)
    assert name.split(".")[-1] in str(caught.value) or "nonsense" in str(caught.value)
    if keras_refuses:
        with pytest.raises((ValueError, TypeError)):
            _find(keras, name)(**arguments)


@pytest.mark.parametrize("aggregation", [None, "none", "mean", "sum", "only_first_replica"])
def test_known_aggregations(aggregation):
    assert hb.Variable(ONES, aggregation=aggregation).aggregation == aggregation
    assert keras.Variable(ONES, aggregation=aggregation).aggregation in (aggregation, "none")


def test_a_tensor_without_history():
    x = hb.KerasTensor((2,), record_history=False)
    hb.core.graph.Node(hb.Operation(), (), {}, x)
    assert x.history is None


def _find(library, name):
    for part in name.split("."):
        library = getattr(library, part)
    return library
