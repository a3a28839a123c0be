"""A smoke test of a few seconds: one model trains, saves, loads and predicts."""

import numpy as np

import hornbeam as hb
from hornbeam import layers


def test_a_small_model_learns_saves_and_loads(tmp_path):
    x = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
    y = (x[:, 0] > x[:, 1]).astype("int32")
    model = hb.Sequential(
        [layers.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(2)]
    )
    model.compile(
        optimizer=hb.optimizers.Adam(0.02),
        loss=hb.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(x, y, batch_size=32, epochs=8, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.9
    model.save(tmp_path / "model.keras")
    loaded = hb.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
