"""Values, shapes and dtypes of the functions of `tf`, against TensorFlow's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import tf_rows as rows
from support.compare import mostly_slow

from hornbeam.keras.modules import face_module

tf = face_module("tensorflow")
EXPECTED = json.loads((Path(__file__).parent / "expected.json").read_text())
_NARROW = {"int64": "int32", "float64": "float32", "complex128": "complex64"}


def _parts(row: str) -> list[np.ndarray]:
    x = eval(row, {**vars(rows), "tf": tf, "np": np})
    arrays = [np.asarray(p) for p in (x if isinstance(x, tuple) else [x])]
    return [np.stack([a.real, a.imag]) if a.dtype.kind == "c" else a for a in arrays]


@pytest.mark.parametrize("row", mostly_slow(rows.ROWS, rows.ROWS[::12]))
def test_function_equals_tensorflows(row: str) -> None:
    parts = _parts(row)
    assert len(parts) == len(EXPECTED[row])
    for found, (shape, dtype, values) in zip(parts, EXPECTED[row], strict=True):
        assert list(found.shape) == shape
        assert _NARROW.get(str(found.dtype), str(found.dtype)) == _NARROW.get(dtype, dtype)
        wanted = np.array(values).reshape(shape)
        largest = max(1e-3, np.abs(wanted[np.isfinite(wanted)]).max(initial=0))
        np.testing.assert_allclose(found.astype("float64"), wanted, rtol=1e-5, atol=3e-6 * largest)
