"""Shapes that were found for one layer serve an equal one, and no other."""

import pytest

import hornbeam as hb
from hornbeam.layers import layer as layer_module

L = hb.layers


@pytest.fixture
def traced(monkeypatch):
    """Return a list that gets an entry for each trace of a layer's call."""
    found, infer = [], layer_module.infer

    def counted(call, *args, **kwargs):
        found.append(call)
        return infer(call, *args, **kwargs)

    monkeypatch.setattr(layer_module, "infer", counted)
    return found


def test_an_equal_layer_is_not_traced_again(traced):
    x = hb.Input((17, 13, 3))
    first = L.Conv2D(5, 3, strides=2, activation="relu", name="a")(x)
    count = len(traced)
    second = L.Conv2D(5, 3, strides=2, activation="relu", kernel_initializer="zeros")(x)
    assert len(traced) == count == 1
    assert first.shape == second.shape == (None, 8, 6, 5)
    assert first is not second
    model = hb.Model(x, [first, second])
    assert [tuple(y.shape) for y in model.outputs] == [(None, 8, 6, 5)] * 2


OTHERS = {
    "strides": (lambda: L.Conv2D(5, 3), (None, 15, 11, 5)),
    "filters": (lambda: L.Conv2D(6, 3, strides=2), (None, 8, 6, 6)),
    "padding": (lambda: L.Conv2D(5, 3, strides=2, padding="same"), (None, 9, 7, 5)),
    "dtype": (lambda: L.Conv2D(5, 3, strides=2, dtype="mixed_float16"), (None, 8, 6, 5)),
    "class": (lambda: L.MaxPooling2D(3, strides=2), (None, 8, 6, 3)),
    "own function": (lambda: L.Lambda(lambda x: x[:, :2]), (None, 2, 13, 3)),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_settings_have_shapes_of_their_own(case):
    x = hb.Input((17, 13, 3))
    L.Conv2D(5, 3, strides=2)(x)
    make, shape = OTHERS[case]
    y = make()(x)
    assert tuple(y.shape) == shape
    assert y.dtype == ("float16" if case == "dtype" else "float32")


def test_code_of_the_user_is_always_traced(traced):
    class Own(L.Layer):
        def __init__(self, parts):
            super().__init__()
            self.parts = parts

        def call(self, x):
            return x[:, : len(self.parts)]

    x = hb.Input((9,))
    assert [Own([0] * n)(x).shape[1] for n in (2, 3)] == [2, 3]
    assert len(traced) == 2
