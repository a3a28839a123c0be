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


def test_a_step_without_memory():
    squares = Squares()
    model = hb.Sequential([hb.Input((1,)), squares, hb.layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.ones((1000, 1), "float32")
    for call in (
        lambda: model.predict(x, batch_size=1000, verbose=0),
        lambda: model.fit(x, x, batch_size=1000, verbose=0),
    ):
        with pytest.raises(MemoryError, match=r"of shape \(1000, 300000, 300000.*bytes"):
            call()
        lines = []
        model.summary(print_fn=lines.append)
        assert lines
    squares.size = 2
    model.compile("adam", "mse")
    assert np.isfinite(model.fit(x, x, batch_size=1000, verbose=0).history["loss"][0])
