"""Gradients of `tf.GradientTape`, against TensorFlow's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tf_tapes import PROGRAMS

from hornbeam.keras.modules import face_module
from hornbeam.tensorflow.methods import add_methods, remove_methods

EXPECTED = json.loads((Path(__file__).parent / "expected_tapes.json").read_text())


@pytest.fixture(scope="module")
def tf() -> Iterator[Any]:
    add_methods()
    yield face_module("tensorflow")
    remove_methods()


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_equal_tensorflows(name: str, tf: Any) -> None:
    x = PROGRAMS[name](tf)
    parts = x if isinstance(x, list) else [x]
    assert len(parts) == len(EXPECTED[name])
    for i, (found, wanted) in enumerate(zip(parts, EXPECTED[name], strict=True)):
        if wanted is None or found is None:
            assert found is wanted is None, i
            continue
        found = np.asarray(found)
        assert list(found.shape) == wanted[0], i
        values = np.array(wanted[2]).reshape(wanted[0])
        largest = max(1e-3, np.abs(values).max(initial=0))
        np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-5 * largest, err_msg=str(i))
