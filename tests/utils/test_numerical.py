"""`to_categorical` and `normalize` against Keras."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.utils.numerical import normalize, to_categorical

LABELS = [
    ([0, 2, 1], None),
    ([0, 2, 1], 5),
    ([[0], [2]], None),
    ([[0, 1], [2, 1]], 4),
    (np.zeros((2, 1, 1), "uint8"), 2),
    (np.array([1.7, 0.0]), None),
    ([True, False], None),
    (2, None),
    ([-1, 0, 1], 3),
    ([], 3),
]


@pytest.mark.parametrize(("x", "num_classes"), LABELS)
def test_to_categorical_is_kerass(x, num_classes):
    import keras

    ours, theirs = to_categorical(x, num_classes), keras.utils.to_categorical(x, num_classes)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(ours, theirs)


def test_to_categorical_of_a_jax_array():
    rows = to_categorical(jnp.array([[1], [0]]), 2)
    assert isinstance(rows, type(jnp.ones(1)))
    assert rows.dtype == "float32"
    np.testing.assert_array_equal(rows, [[0, 1], [1, 0]])


def test_to_categorical_names_the_class_that_has_no_place():
    with pytest.raises(IndexError, match="x holds 5, but num_classes=3"):
        to_categorical([0, 5, 1], 3)
    with pytest.raises(IndexError, match="x holds -4, but num_classes=3"):
        to_categorical([0, -4], 3)


@pytest.mark.parametrize(("x", "words"), [(["cat"], "whole numbers"), ([], "x is empty")])
def test_to_categorical_refuses(x, words):
    with pytest.raises(ValueError, match=words):
        to_categorical(x)


@pytest.mark.parametrize("order", [1, 2, 3, np.inf])
@pytest.mark.parametrize("axis", [1, 2, -1, -2])
def test_normalize_is_kerass(axis, order):
    import keras

    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    x[1, :, 0] = 0
    np.testing.assert_array_equal(normalize(x, axis, order), keras.utils.normalize(x, axis, order))


@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_normalize_along_the_first_axis(order):
    # Keras treats axis=0 as -1 in one place and fails here, so the transpose is the reference.
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    np.testing.assert_allclose(normalize(x, 0, order), normalize(x.T, -1, order).T)


def test_normalize_of_vectors_lists_and_zeros():
    np.testing.assert_allclose(normalize([[3, 4]]), [[0.6, 0.8]])
    assert normalize(np.array([3.0, 4.0])).shape == (1, 2)
    np.testing.assert_array_equal(normalize(np.zeros((2, 2))), np.zeros((2, 2)))


def test_normalize_of_tensors():
    rows = normalize(jnp.array([[3.0, 4.0], [0.0, 0.0]]))
    assert isinstance(rows, jax.Array)
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
    assert normalize(jnp.ones(2), order=1).tolist() == [[0.5, 0.5]]
    x = hb.Input((2,))
    y = hb.Model(x, normalize(x, order=1))(np.array([[1.0, 3.0]]))
    np.testing.assert_allclose(y, [[0.25, 0.75]], rtol=1e-6)


@pytest.mark.parametrize(("axis", "order"), [(2, 2), (None, 2), (0, 0), (0, "fro"), (0, None)])
def test_normalize_refuses(axis, order):
    with pytest.raises(ValueError, match="axis must be" if order == 2 else "order must be"):
        normalize(np.ones((2, 2)), axis, order)
