"""Forms of user's layers: order in the constructor, weights given as lists, own builds."""

from __future__ import annotations

import numpy as np
import pytest

import hornbeam as hb

X = np.ones((2, 3), "float32")


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, (1, 2), [hb.layers.InputSpec(ndim=2)]])
def test_attributes_before_the_constructor_of_the_base(value):
    class Early(hb.layers.Layer):
        def __init__(self, **kwargs):
            self.kept, self.inner = value, hb.layers.Dense(2)
            super().__init__(**kwargs)

        def call(self, x):
            return self.inner(x)

    layer = Early()
    assert layer(X).shape == (2, 2)
    assert (len(layer.weights), layer.kept) == (2, value)


def test_weights_given_as_lists():
    class Old(hb.layers.Layer):
        def build(self, shape):
            self.w, self.other = hb.Variable(np.ones((3, 2))), hb.Variable(0.0)
            self.trainable_weights = [self.w]
            self.non_trainable_weights = [self.other]

        def call(self, x):
            return x @ self.w.value

    layer = Old()
    assert layer(X).shape == (2, 2)
    assert (layer.trainable_weights, layer.non_trainable_weights) == ([layer.w], [layer.other])
    with pytest.raises(ValueError, match="`trainable_weights` must be a list of variables"):
        layer.trainable_weights = [3]


@pytest.mark.parametrize(
    ("base", "arguments"),
    [
        ("Activation", ["relu"]), ("Dropout", [0.5]), ("ReLU", []), ("Reshape", [(3,)]),
        ("Identity", []), ("Masking", []), ("UnitNormalization", []), ("Flatten", []),
    ],
)  # fmt: skip
def test_a_weightless_layer_with_weights(base, arguments):
    class Weighted(getattr(hb.layers, base)):
        def build(self, shape):
            self.w = self.add_weight((shape[-1],), name="w")

        def call(self, x):
            return x * self.w

    layer = Weighted(*arguments)
    assert (layer(X).shape, len(layer.weights)) == ((2, 3), 1)


def test_dtype_policy_is_set_by_name():
    layer = hb.layers.Dense(2)
    layer.dtype_policy = "mixed_bfloat16"
    assert (layer.compute_dtype, str(layer(X).dtype)) == ("bfloat16", "bfloat16")
    with pytest.raises(ValueError, match="nope"):
        layer.dtype_policy = "nope"
