"""`keras.src.testing`: the base class of test cases."""

from __future__ import annotations

import json
import shutil
import tempfile
import unittest
from typing import Any

import numpy as np

from hornbeam import tree
from hornbeam.backend import clear_session
from hornbeam.core.registry import custom_object_scope
from hornbeam.layers.shapes import is_shape
from hornbeam.objects.configuration import deserialize, serialize

__all__ = ["TestCase", "jax_uses_gpu", "tensorflow_uses_gpu", "torch_uses_gpu", "uses_gpu"]


class TestCase(unittest.TestCase):
    """`unittest.TestCase` with assertions about arrays."""

    __test__ = False  # pytest collects subclasses only, which set it anew
    maxDiff = None

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.__test__ = True

    def setUp(self) -> None:
        """Start names anew."""
        clear_session(free_memory=False)

    def get_temp_dir(self) -> str:
        """Return a new folder that is deleted after the test."""
        folder = tempfile.mkdtemp()
        self.addCleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        return folder

    def assertAllClose(
        self, x1: Any, x2: Any, atol: float = 1e-6, rtol: float = 1e-6, msg: Any = None
    ) -> None:
        """Check that two structures of arrays are close."""
        for a, b in _pairs(x1, x2):
            np.testing.assert_allclose(
                np.asarray(a, "float64"), np.asarray(b, "float64"), rtol, atol, err_msg=msg or ""
            )

    def assertNotAllClose(
        self, x1: Any, x2: Any, atol: float = 1e-6, rtol: float = 1e-6, msg: Any = None
    ) -> None:
        """Check that two structures of arrays are not close."""
        try:
            self.assertAllClose(x1, x2, atol, rtol)
        except AssertionError:
            return
        raise AssertionError(msg or "The arrays are close, which was not expected.")

    def assertAllEqual(self, x1: Any, x2: Any, msg: Any = None) -> None:
        """Check that two structures are equal."""
        for a, b in _pairs(x1, x2):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=msg or "")

    def assertAlmostEqual(  # type: ignore[override]  # of arrays too
        self, x1: Any, x2: Any, decimal: int = 3, tpu_decimal: Any = None, msg: Any = None
    ) -> None:
        """Check that two arrays are equal in their first decimals."""
        np.testing.assert_almost_equal(
            np.asarray(x1), np.asarray(x2), decimal=decimal, err_msg=msg or ""
        )

    def assertLen(self, iterable: Any, expected_len: int, msg: Any = None) -> None:
        """Check the number of items."""
        assert len(iterable) == expected_len, msg or f"{len(iterable)} items, not {expected_len}"

    def assertDType(self, x: Any, dtype: str, msg: Any = None) -> None:
        """Check the dtype of a tensor."""
        assert str(x.dtype) == dtype, msg or f"dtype {x.dtype}, not {dtype}"

    def run_class_serialization_test(self, instance: Any, custom_objects: Any = None) -> Any:
        """Check that an object and its copy from the configuration have equal configurations."""
        with custom_object_scope(custom_objects or {}):
            config = instance.get_config()
            again = type(instance).from_config(config)
            text = json.dumps(serialize(again), sort_keys=True)
            revived = deserialize(json.loads(text))
        assert json.dumps(serialize(instance), sort_keys=True) == text
        assert type(revived) is type(instance)
        return revived

    def run_layer_test(
        self, layer_cls: Any, init_kwargs: dict[str, Any], input_shape: Any = None,
        input_dtype: str = "float32", input_data: Any = None, call_kwargs: Any = None,
        expected_output_shape: Any = None, expected_output_dtype: str | None = None,
        expected_output: Any = None, expected_num_trainable_weights: int | None = None,
        expected_num_non_trainable_weights: int | None = None,
        expected_num_losses: int | None = None, supports_masking: bool | None = None,
        custom_objects: Any = None, run_training_check: bool = True, **others: Any,
    ) -> None:  # fmt: skip
        """Check construction, configuration, a call and the shapes of a layer.

        Args:
            layer_cls, init_kwargs: The layer and its arguments.
            input_shape, input_dtype, input_data, call_kwargs: The call.
            expected_output_shape, expected_output_dtype, expected_output: Its result.
            expected_num_trainable_weights, expected_num_non_trainable_weights,
                expected_num_losses, supports_masking: What the layer has after the call.
            custom_objects: Classes for its configuration.
            run_training_check, **others: Without effect.
        """
        layer = layer_cls(**init_kwargs)
        self.run_class_serialization_test(layer, custom_objects)
        data = input_data
        if data is None and input_shape is not None:
            data = tree.map_shape_structure(lambda shape: np.ones(shape, input_dtype), input_shape)
            data = data if is_shape(input_shape) else tree.map_structure(np.asarray, data)
        if data is None:
            return
        output = layer(data, **(call_kwargs or {}))
        if expected_output_shape is not None:
            shapes = tree.map_structure(lambda x: tuple(x.shape), output)
            assert shapes == expected_output_shape, f"output of shape {shapes}"
        if expected_output_dtype is not None:
            self.assertDType(tree.flatten(output)[0], expected_output_dtype)
        if expected_output is not None:
            self.assertAllClose(output, expected_output, 1e-5, 1e-5)
        for expected, found in (
            (expected_num_trainable_weights, len(layer.trainable_weights)),
            (expected_num_non_trainable_weights, len(layer.non_trainable_weights)),
            (expected_num_losses, len(layer.losses)),
            (supports_masking, layer.supports_masking),
        ):
            if expected is not None:
                assert found == expected, f"{found}, not {expected}"


def _pairs(x1: Any, x2: Any) -> list[tuple[Any, Any]]:
    """Return the arrays to compare: a list of numbers is an array, lists of arrays are many."""
    if isinstance(x1, dict) or any(np.ndim(x) for x in tree.flatten([x1, x2])):
        flat = tree.flatten(x1), tree.flatten(x2)
        if len(flat[0]) == len(flat[1]):
            return list(zip(*flat, strict=True))
    return [(x1, x2)]


def jax_uses_gpu() -> bool:
    """Return false: tests are written for CPUs."""
    return False


uses_gpu = tensorflow_uses_gpu = torch_uses_gpu = jax_uses_gpu
