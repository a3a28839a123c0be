"""Functions of the `tensorflow` face against what TensorFlow 2.21 gave, see data_expressions.py."""

import json
import warnings
from pathlib import Path

import data_expressions as expressions
import numpy as np
import pytest

from hornbeam.keras import face_module

EXPECTED = json.loads(Path(__file__).with_name("data_expected.json").read_text())


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return expressions.names(face_module("tensorflow"), tmp_path_factory.mktemp("files"))


def same(found, expected, where=""):
    """Assert that two results are equal, floating-point numbers to 1e-5 of the largest."""
    assert type(found) is type(expected), where
    if isinstance(found, dict):
        assert found.keys() == expected.keys(), where
        if "values" in found and found["dtype"].startswith("float"):
            assert found["shape"] == expected["shape"], where
            assert found["dtype"] == expected["dtype"], where
            a, b = (np.array(x["values"], "float64") for x in (found, expected))
            scale = np.abs(b[np.isfinite(b)]).max(initial=0.1)
            level = 2e-3 if found["dtype"] == "float16" else 1e-5
            np.testing.assert_allclose(a, b, rtol=0, atol=level * scale, err_msg=where)
            return
        for key in found:
            same(found[key], expected[key], f"{where}.{key}")
    elif isinstance(found, list):
        assert len(found) == len(expected), where
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            same(a, b, f"{where}[{i}]")
    else:
        assert found == expected, where


# What differs on purpose: numbers of 64 bits that pass through the device have 32 bits, and
# TensorFlow's images of `uint8` may differ by one level after a rounding.
@pytest.mark.parametrize(("group", "row"), expressions.rows())
def test_a_value_is_tensorflows(known, group, row):
    expected = EXPECTED[row]
    if isinstance(expected, dict) and "error" in expected:
        with pytest.raises(Exception):  # noqa: B017, PT011
            expressions.value(eval(row, dict(known)))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(json.loads(json.dumps(expressions.value(eval(row, dict(known))))), expected)
