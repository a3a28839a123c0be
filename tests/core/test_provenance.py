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
