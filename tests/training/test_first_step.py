"""The step that builds a model trains as any other."""

import numpy as np
import pytest

import hornbeam as hb

X, Y = np.random.RandomState(0).rand(8, 4).astype("float32"), np.ones((8, 1), "float32")


class Net(hb.Model):
    def __init__(self):
        super().__init__()
        self.dense = hb.layers.Dense(1, kernel_initializer="ones")

    def call(self, x):
        return self.dense(x)


OPTIMIZERS = {
    "SGD": lambda: hb.optimizers.SGD(0.1),
    "averages": lambda: hb.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5),
    "schedule-free": lambda: hb.optimizers.ScheduleFreeAdamW(0.1),
}


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_building_costs_no_step(name, eager):
    x = hb.Input((4,))
    built = hb.Model(x, hb.layers.Dense(1, kernel_initializer="ones")(x))
    stack = hb.Sequential([hb.layers.Dense(1, kernel_initializer="ones")])
    results = []
    for model in (built, Net(), stack):
        model.compile(OPTIMIZERS[name](), "mse", run_eagerly=eager)
        for start in (0, 4):
            model.train_on_batch(X[start : start + 4], Y[start : start + 4])
        assert int(model.optimizer.iterations.value) == 2
        results.append(model.get_weights()[0])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)
    np.testing.assert_allclose(results[2], results[0], rtol=1e-5)


@pytest.mark.parametrize("eager", [False, True])
def test_own_steps_find_a_built_model(eager):
    """A step that asks for the weights before it calls the model gets them all."""

    class Own(Net):
        def train_step(self, data):
            x, y = data

            def loss():
                return self.compute_loss(x, y, self(x, training=True))

            value, gradients = hb.value_and_grad(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": value}

    results = []
    for model in (Net(), Own()):
        model.compile(hb.optimizers.SGD(0.1), "mse", run_eagerly=eager)
        model.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
        assert int(model.optimizer.iterations.value) == len(X) // 4
        results.append(model.get_weights()[0])
    np.testing.assert_allclose(*results, rtol=1e-5)
