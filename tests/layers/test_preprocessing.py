"""Layers that learn from data before training: the base class's contract and its files."""

import numpy as np
import pytest

import hornbeam as hb
from hornbeam.data import ArraySource
from hornbeam.layers.preprocessing.base import PreprocessingLayer


@hb.saving.register_keras_serializable("test_preprocessing")
class Largest(PreprocessingLayer):
    """Scales by the largest value, a weight, and stores the number of batches as text, an asset."""

    def build(self, input_shape=None):
        self.built_for = input_shape
        self.largest = self.add_weight(shape=(), initializer="ones", trainable=False)
        self.note = ""

    def reset_state(self):
        self.seen = []

    def update_state(self, data):
        if data.min() < 0:
            raise ValueError("negative")
        self.seen.append(float(data.max()))

    def finalize_state(self):
        self.largest.assign(max(self.seen))
        self.note = f"{len(self.seen)} batches"

    def save_assets(self, folder):
        with open(f"{folder}/note.txt", "w") as file:
            file.write(self.note)

    def load_assets(self, folder):
        with open(f"{folder}/note.txt") as file:
            self.note = file.read()

    def call(self, x):
        return x / self.largest


X = np.arange(1.0, 13.0).reshape(6, 2)


class Pieces(hb.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return X[2 * index : 2 * index + 2], np.zeros(2)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (X, 1),
        (X.tolist(), 1),
        (Pieces(), 3),
        ((row[None] for row in X), 6),
        (ArraySource(X, batch_size=4), 2),
    ],
    ids=["array", "list", "PyDataset", "generator", "source"],
)
def test_adapt_streams_over_any_data(data, count):
    layer = Largest()
    layer.adapt(data)
    assert layer.built_for == (None, 2)
    assert layer.note == f"{count} batches"
    np.testing.assert_allclose(layer(X), X / 12)


def test_adapt_starts_anew_and_keeps_nothing_beside():
    layer = Largest()
    layer.adapt(X)
    layer.adapt(X / 2)
    assert float(layer.largest) == 6
    assert layer.seen == []


def test_a_failed_adapt_leaves_what_was_learned():
    layer = Largest(name="largest")
    layer.adapt(X)
    with pytest.raises(ValueError, match="negative"):
        layer.adapt(iter([100 * X, -X]))
    with pytest.raises(ValueError, match=r"largest.*no samples"):
        layer.adapt(iter([np.zeros((0, 2))]))
    with pytest.raises(ValueError, match=r"largest.*batch axis"):
        layer.adapt(iter([np.float32(3)]))
    assert float(layer.largest) == 12
    assert layer.seen == []


def test_weights_and_assets_are_saved_and_loaded(tmp_path):
    model = hb.Sequential([hb.Input((2,)), Largest()])
    model.layers[0].adapt(Pieces())
    model.save(tmp_path / "model.keras")
    again = hb.saving.load_model(tmp_path / "model.keras")
    assert again.layers[0].note == "3 batches"
    np.testing.assert_allclose(again.predict(X, verbose=0), X / 12, rtol=1e-6)


def test_a_subclass_must_say_what_it_learns():
    for method, arguments in (("reset_state", ()), ("update_state", (X,)), ("finalize_state", ())):
        with pytest.raises(
            NotImplementedError, match=f"PreprocessingLayer must implement `{method}"
        ):
            getattr(PreprocessingLayer(), method)(*arguments)


@pytest.mark.parametrize(
    "data",
    [np.array([["a"], ["b"]]), np.array([["a"], [None]], object), np.ones((2, 1), "complex64")],
)
def test_normalization_takes_numbers_only(data):
    with pytest.raises(ValueError, match="must hold numbers"):
        hb.layers.Normalization().adapt(data)


def test_normalization_takes_python_numbers_and_narrow_floats():
    for dtype in (object, hb.ops.zeros((), "bfloat16").dtype):
        layer = hb.layers.Normalization()
        layer.adapt(X.astype(dtype))
        np.testing.assert_allclose(layer.mean, X.mean(0)[None])


def test_finalize_without_data_changes_nothing():
    layer = hb.layers.Normalization()
    layer.adapt(X)
    layer.finalize_state()
    np.testing.assert_allclose(layer.mean, X.mean(0)[None])
