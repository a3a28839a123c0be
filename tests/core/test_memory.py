"""Errors about memory inside a step."""

import numpy as np
import pytest

import hornbeam as hb


class Squares(hb.layers.Layer):
    """Needs more memory than an address can name if `size` is large."""

    size = 300_000

    def call(self, x):
        wide = hb.ops.repeat(x, self.size, axis=-1)
        table = hb.ops.matmul(wide[:, :, None], wide[:, None, :])
        return hb.ops.sum(hb.ops.sort(table, axis=-1), axis=(1, 2))[:, None]


@pytest.mark.slow
def test_a_step_without_memory():
    squares = Squares()
    model = hb.Sequential([hb.Input((1,)), squares, hb.layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.ones((1000, 1), "float32")
    for call in (
        lambda: model.predict(x, batch_size=1000, verbose=0),
        lambda: model.fit(x, x, batch_size=1000, verbose=0),
    ):
        with pytest.raises(MemoryError, match=r"of shape \(1000, 300000, 300000.*squares'"):
            call()
        lines = []
        model.summary(print_fn=lines.append)
        assert lines
    squares.size = 2
    model.compile("adam", "mse")
    assert np.isfinite(model.fit(x, x, batch_size=1000, verbose=0).history["loss"][0])


class Pairs(Squares):
    """Needs that memory for large batches only."""

    def call(self, x):
        self.size = 300_000 if len(x) > 4 else 2
        return super().call(x)


def test_a_step_without_memory_keeps_weights_and_moments():
    hb.utils.set_random_seed(0)
    model = hb.Sequential([hb.Input((1,)), Pairs(), hb.layers.Dense(1)])
    model.compile(hb.optimizers.Adam(0.1), "mse", metrics=["mae"])
    x = np.ones((4, 1), "float32")
    model.train_on_batch(x, x)
    before = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    big = np.ones((1000, 1), "float32")
    for call in (
        lambda: model.train_on_batch(big, big),
        lambda: model.fit(big, big, batch_size=1000, verbose=0),
    ):
        with pytest.raises(MemoryError, match="pairs'"):
            call()
    after = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(model.evaluate(big, big, batch_size=4, verbose=0)).all()
    assert np.isfinite(model.fit(big, big, batch_size=4, verbose=0).history["loss"][0])
    assert int(model.optimizer.iterations.value) == 251
