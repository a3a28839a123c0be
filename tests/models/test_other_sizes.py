"""A `Sequential` without `Input` takes batches of other sizes than the first."""

import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb

L = hb.layers
R = np.random.RandomState(0)
STACKS = {  # the layers, a first batch, a batch of other sizes
    "lengths": (
        lambda: [L.Embedding(50, 8, mask_zero=True), L.LSTM(8), L.Dense(1)],
        R.randint(0, 50, (4, 3)),
        R.randint(0, 50, (4, 9)),
    ),
    "images": (
        lambda: [L.Conv2D(3, 3, padding="same"), L.GlobalAveragePooling2D(), L.Dropout(0.3)],
        R.rand(4, 8, 8, 3),
        R.rand(4, 16, 12, 3),
    ),
    "steps": (lambda: [L.LayerNormalization(), L.Dense(2)], R.rand(4, 3, 5), R.rand(4, 7, 5)),
}


@pytest.mark.parametrize("how", ["batch", "build"])
@pytest.mark.parametrize("name", mostly_slow(STACKS, ["steps"]))
def test_batches_of_other_sizes(tmp_path, name, how):
    make, first, second = STACKS[name]
    model = hb.Sequential(make())
    if how == "build":
        model.build((None, *first.shape[1:]))
    y = np.ones_like(model(first))
    model.compile("sgd", "mse")
    model.fit(first, y, verbose=0)
    assert model.input_shape == (None, *first.shape[1:])
    wanted = second
    for layer in model.layers:
        wanted = layer(wanted)
    np.testing.assert_allclose(model(second), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict(second, verbose=0), wanted, rtol=1e-5, atol=1e-6)
    assert model(hb.Input(second.shape[1:])).shape == (None, *wanted.shape[1:])
    y = np.ones_like(wanted)
    loss = model.evaluate(second, y, verbose=0)
    np.testing.assert_allclose(loss, np.mean((wanted - y) ** 2), rtol=1e-5)
    model.save(tmp_path / "m.keras")
    copy = hb.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(copy(second), wanted, rtol=1e-5, atol=1e-6)
    assert hb.models.clone_model(model)(second).shape == wanted.shape
    before = model.get_weights()
    model.fit(second, y, verbose=0)
    if before:
        assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def test_sizes_that_do_not_fit_are_errors():
    model = hb.Sequential([L.Dense(2)])
    model(np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"Dense.*size 3 on axis -1"):
        model(np.ones((4, 5)))
    given = hb.Sequential([hb.Input((3, 5)), L.Dense(2)])
    with pytest.raises(ValueError, match=r"must have shape \(None, 3, 5\)"):
        given(np.ones((4, 7, 5)))
