"""Optimizers against Keras: three steps each, slots, configurations and older names."""

import keras
import numpy as np
import optax
import pytest
from compare import mostly_slow, plain

import hornbeam as hb
from hornbeam.core.program import Program

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword"
)

# name: recipe `k -> optimizer`
ROWS = {
    "sgd": lambda k: k.optimizers.SGD(0.1),
    "sgd_momentum": lambda k: k.optimizers.SGD(0.1, momentum=0.9),
    "sgd_nesterov": lambda k: k.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "sgd_clipnorm": lambda k: k.optimizers.SGD(0.1, clipnorm=0.5),
    "sgd_clipvalue": lambda k: k.optimizers.SGD(0.1, clipvalue=0.3),
    "sgd_global_clipnorm": lambda k: k.optimizers.SGD(0.1, global_clipnorm=0.5),
    "sgd_weight_decay": lambda k: k.optimizers.SGD(0.1, weight_decay=0.01),
    "sgd_ema": lambda k: k.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8,
        ema_overwrite_frequency=2),
    "sgd_accumulated": lambda k: k.optimizers.SGD(0.1, momentum=0.5, gradient_accumulation_steps=2),
    "sgd_schedule": lambda k: k.optimizers.SGD(k.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5,
        staircase=True)),
    "sgd_inverse": lambda k: k.optimizers.SGD(k.optimizers.schedules.InverseTimeDecay(0.1, 2, 0.5)),
    "rmsprop": lambda k: k.optimizers.RMSprop(0.01),
    "rmsprop_momentum": lambda k: k.optimizers.RMSprop(0.01, rho=0.8, momentum=0.5, epsilon=1e-4),
    "rmsprop_centered": lambda k: k.optimizers.RMSprop(0.01, centered=True, momentum=0.5),
    "adam": lambda k: k.optimizers.Adam(0.01),
    "adam_options": lambda k: k.optimizers.Adam(0.01, beta_1=0.8, beta_2=0.9, epsilon=1e-3,
        amsgrad=True),
    "adam_ema": lambda k: k.optimizers.Adam(0.01, use_ema=True, weight_decay=0.1, clipnorm=1.0),
    "adam_accumulated": lambda k: k.optimizers.Adam(0.01, gradient_accumulation_steps=3),
    "sgd_ema_accumulated": lambda k: k.optimizers.SGD(
        0.1, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=2,
        gradient_accumulation_steps=2),
    "adam_ema_accumulated": lambda k: k.optimizers.Adam(0.01, use_ema=True,
        gradient_accumulation_steps=2),
    "adamw": lambda k: k.optimizers.AdamW(0.01),
    "adamw_options": lambda k: k.optimizers.AdamW(0.01, weight_decay=0.1, amsgrad=True,
        name="mine"),
    "adagrad": lambda k: k.optimizers.Adagrad(0.1, initial_accumulator_value=0.2),
    "adadelta": lambda k: k.optimizers.Adadelta(0.5, rho=0.9, epsilon=1e-4),
    "adamax": lambda k: k.optimizers.Adamax(0.1, beta_1=0.8),
    "nadam": lambda k: k.optimizers.Nadam(0.1, beta_2=0.9),
    "nadam_accumulated": lambda k: k.optimizers.Nadam(0.1, gradient_accumulation_steps=2),
    "ftrl": lambda k: k.optimizers.Ftrl(0.1),
    "ftrl_options": lambda k: k.optimizers.Ftrl(
        0.1, -0.6, 0.2, l1_regularization_strength=0.05, l2_regularization_strength=0.1,
        l2_shrinkage_regularization_strength=0.1, beta=0.2),
    "lamb": lambda k: k.optimizers.Lamb(0.1, weight_decay=0.02),
    "lion": lambda k: k.optimizers.Lion(0.01, beta_1=0.8, weight_decay=0.1),
    "adafactor": lambda k: k.optimizers.Adafactor(0.5),
    "adafactor_options": lambda k: k.optimizers.Adafactor(0.1, -0.7, 1e-6, 0.01, clip_threshold=0.5,
        relative_step=False),
    "adafactor_large_rate": lambda k: k.optimizers.Adafactor(0.8, relative_step=False),
    "muon": lambda k: k.optimizers.Muon(0.1),
    "muon_options": lambda k: k.optimizers.Muon(
        0.1, adam_weight_decay=None, weight_decay=0.1, exclude_layers=["second"], momentum=0.8,
        ns_steps=3, nesterov=False, rms_rate=None, adam_lr_ratio=0.5),
    "muon_other_options": lambda k: k.optimizers.Muon(
        0.1, adam_beta_1=0.8, adam_beta_2=0.9, epsilon=1e-3, weight_decay=None, rms_rate=None,
        adam_weight_decay=0.1, muon_a=3.0, muon_b=-4.0, muon_c=1.8),
    "schedule_free": lambda k: k.optimizers.ScheduleFreeAdamW(0.1),
    "schedule_free_options": lambda k: k.optimizers.ScheduleFreeAdamW(0.1, beta_1=0.8,
        warmup_steps=3, weight_decay=0.1),
    "multi": lambda k: k.optimizers.MultiOptimizer(
        k.optimizers.OptimizerMap(k.optimizers.SGD(0.1, momentum=0.9),
            {".*first.*": k.optimizers.Adam(0.2)})),
    "cosine": lambda k: k.optimizers.SGD(k.optimizers.schedules.CosineDecay(0.1, 4, 0.1,
        warmup_target=0.5, warmup_steps=2)),
    "restarts": lambda k: k.optimizers.SGD(k.optimizers.schedules.CosineDecayRestarts(0.5, 2, 1.5,
        0.5, alpha=0.1)),
    "restarts_equal": lambda k: k.optimizers.SGD(k.optimizers.schedules.CosineDecayRestarts(0.5, 2,
        1.0)),
    "piecewise": lambda k: k.optimizers.SGD(k.optimizers.schedules.PiecewiseConstantDecay([1, 2],
        [0.5, 0.2, 0.1])),
    "polynomial": lambda k: k.optimizers.SGD(k.optimizers.schedules.PolynomialDecay(0.5, 3, 0.1,
        power=2.0)),
    "polynomial_cycle": lambda k: k.optimizers.SGD(k.optimizers.schedules.PolynomialDecay(0.5, 2,
        0.1, cycle=True)),
    "scaled": lambda k: k.optimizers.LossScaleOptimizer(k.optimizers.SGD(0.1, momentum=0.5),
        initial_scale=4.0),
}  # fmt: skip


def variables(k):
    random = np.random.RandomState(0)
    layers = [k.layers.Dense(2, name="first"), k.layers.Dense(3, use_bias=False, name="second")]
    model = k.Sequential([k.Input((3,)), *layers], name="net")
    model.set_weights([random.randn(*w.shape) for w in model.weights])
    return model.trainable_variables


# In uncompiled code Keras's LossScaleOptimizer leaks a tracer; a separate test is below.
@pytest.mark.parametrize(
    "name", mostly_slow([name for name in ROWS if name != "scaled"], list(ROWS)[::3])
)
def test_four_steps(name):
    results = []
    for k in (hb, keras):
        k.utils.clear_session(free_memory=False)
        optimizer, weights = ROWS[name](k), variables(k)
        random = np.random.RandomState(1)
        history = []
        for _ in range(4):
            optimizer.apply([random.randn(*w.shape).astype("float32") for w in weights], weights)
            history.append([np.asarray(w) for w in weights])
        optimizer.finalize_variable_values(weights)
        history.append([np.asarray(w) for w in weights])
        slots = [(v.path, v.shape, str(v.dtype), np.asarray(v)) for v in optimizer.variables]
        scalars = [] if name.startswith("multi") else [float(optimizer.learning_rate)]
        results.append((history, slots, *scalars, int(optimizer.iterations)))
    (ours, our_slots, *scalars), (reference, slots, *others) = results
    for step, (a, b) in enumerate(zip(ours, reference, strict=True)):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6, err_msg=f"step {step}")
    # Keras does not name some of these after the variable.
    named = name.partition("_")[0] not in ("adafactor", "nadam")
    assert [s[not named : 2 if not named else 3] for s in our_slots] == [
        s[not named : 2 if not named else 3] for s in slots
    ]
    for x, y in zip(our_slots, slots, strict=True):
        np.testing.assert_allclose(x[3], y[3], rtol=1e-5, atol=1e-6, err_msg=x[0])
    np.testing.assert_allclose(scalars, others, rtol=1e-6)


@pytest.mark.parametrize("name", ROWS)
def test_configuration(name):
    keras.utils.clear_session(free_memory=False)
    ours, reference = ROWS[name](hb), ROWS[name](keras)
    assert plain(ours.get_config()) == plain(reference.get_config())
    again = type(ours).from_config(ours.get_config())
    assert again.get_config() == ours.get_config()


def test_loss_scale_skips_what_overflows():
    # Not compared with Keras: its optimizer fails in the step in which the scale grows.
    weights = variables(hb)
    optimizer = hb.optimizers.LossScaleOptimizer(
        hb.optimizers.SGD(1.0), initial_scale=8.0, dynamic_growth_steps=2
    )
    before = [w.numpy() for w in weights]
    optimizer.build(weights)
    assert float(optimizer.scale_loss(2.0)) == 16.0
    optimizer.apply([np.full(w.shape, np.inf, "float32") for w in weights], weights)
    assert all((w.numpy() == b).all() for w, b in zip(weights, before, strict=True))
    assert float(optimizer.dynamic_scale.value) == 4.0
    for _ in range(2):
        optimizer.apply([np.full(w.shape, 4.0, "float32") for w in weights], weights)
    assert float(optimizer.dynamic_scale.value) == 8.0
    for w, b in zip(weights, before, strict=True):
        np.testing.assert_allclose(w.numpy(), b - 2.0, rtol=1e-6)


def test_older_spellings():
    adam = hb.optimizers.Adam(
        lr=0.002, beta_1=0.9, beta_2=0.999, epsilon=None, decay=0.0, amsgrad=False, name="a"
    )
    assert adam.get_config() == hb.optimizers.Adam(0.002, name="a").get_config()
    assert float(adam.lr) == np.float32(0.002)
    sgd = hb.optimizers.SGD(lr=0.1, decay=0.5, momentum=0.9, nesterov=True)
    weights = variables(hb)
    rates = []
    for _ in range(3):
        rates.append(float(sgd.learning_rate))
        sgd.apply([np.ones(w.shape, "float32") for w in weights], weights)
    np.testing.assert_allclose(rates, [0.1, 0.1 / 1.5, 0.1 / 2], rtol=1e-6)
    assert hb.optimizers.get("adam").learning_rate == np.float32(0.001)
    assert float(hb.optimizers.SGD(lr=0.5, momentum=0.9, clipnorm=1.0).lr) == 0.5
    config = {
        "name": "a",
        "learning_rate": 0.002,
        "jit_compile": True,
        "is_legacy_optimizer": False,
    }
    # As TensorFlow 2.11 wrote it.
    assert hb.optimizers.Adam.from_config(config).get_config() == adam.get_config()


def test_schedule_decay_of_nadam():
    """The `schedule_decay` of Nadam in Keras 1 and 2.

    The momentum of step t is `beta_1 (1 - 0.5 * 0.96^(t schedule_decay))`, as in Dozat's paper.
    """
    optimizer = hb.optimizers.Nadam(0.1, beta_1=0.8, beta_2=0.9, epsilon=0.0, schedule_decay=0.004)
    weight, w, m, v, product = hb.Variable(np.float32(1.0)), 1.0, 0.0, 0.0, 1.0
    for t, g in enumerate([0.5, -0.25, 0.75], 1):
        now, after = (0.8 * (1 - 0.5 * 0.96 ** (step * 0.004)) for step in (t, t + 1))
        product *= now
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        mean = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
        w -= 0.1 * mean / np.sqrt(v / (1 - 0.9**t))
        optimizer.apply([np.float32(g)], [weight])
        np.testing.assert_allclose(float(weight.value), w, rtol=1e-5)
    again = hb.optimizers.Nadam.from_config(optimizer.get_config())
    assert again.schedule_decay == 0.004
    assert "schedule_decay" not in hb.optimizers.Nadam().get_config()


def test_jit_compile_of_an_optimizer():
    hb.optimizers.SGD(jit_compile=True)  # the default, no warning
    with pytest.warns(UserWarning, match="SGD: `jit_compile` has no effect.*run_eagerly") as caught:
        hb.optimizers.SGD(jit_compile=False)
    assert (len(caught), caught[0].filename) == (1, __file__)


BAD = {
    "unknown": (lambda: hb.optimizers.get("adaam"), "adam"),
    "rate": (lambda: hb.optimizers.SGD("fast"), "learning_rate"),
    "argument": (lambda: hb.optimizers.Adam(beta1=0.9), "'beta1'.*Did you mean 'beta_1'"),
    "momentum": (lambda: hb.optimizers.SGD(momentum=2.0), "momentum"),
    "ema_momentum": (
        lambda: hb.optimizers.SGD(use_ema=True, ema_momentum=1.5),
        "ema_momentum.*1.5",
    ),
    "clips": (lambda: hb.optimizers.SGD(clipnorm=1.0, clipvalue=1.0), "clipnorm"),
    "lr_and_learning_rate": (
        lambda: hb.optimizers.Adam(learning_rate=0.5, lr=0.1),
        "only `learning_rate`",
    ),
    "lr": (lambda: hb.optimizers.Adam(lr="fast"), "`lr` must be a number"),
    "decay": (
        lambda: hb.optimizers.Adam(lr=0.1, decay=-1.0),
        "`decay` must be a number of at least 0",
    ),
    "decay_and_schedule": (
        lambda: hb.optimizers.SGD(hb.optimizers.schedules.CosineDecay(0.1, 9), decay=0.1),
        "`decay` needs a number",
    ),
    "schedule_decay": (
        lambda: hb.optimizers.Adam(schedule_decay=0.5),
        "Adam: unexpected argument 'schedule_decay'",
    ),
    "momentum_cache": (
        lambda: hb.optimizers.Nadam(momentum_cache=1.0),
        "Nadam: unexpected argument 'momentum_cache'",
    ),
    "adamw": (lambda: hb.optimizers.AdamW(weight_decay=None), "Use Adam"),
    "scale": (
        lambda: hb.optimizers.LossScaleOptimizer("sgd", clipnorm=1.0),
        "unexpected argument 'clipnorm'",
    ),
    "fixed_scale": (
        lambda: hb.optimizers.LossScaleOptimizer("sgd", dynamic=False),
        "loss_scale_factor",
    ),
    "no_optimizer": (lambda: hb.optimizers.LossScaleOptimizer(None), "inner_optimizer"),
    "no_default": (lambda: hb.optimizers.OptimizerMap(None), "OptimizerMap"),
    "optax": (
        lambda: hb.optimizers.OptaxOptimizer(optax.sgd(0.1), weight_decay=0.1),
        "`weight_decay` is part of",
    ),
    "set_rate": (
        lambda: setattr(hb.optimizers.OptaxOptimizer(optax.sgd(0.1)), "learning_rate", 0.1),
        "Give Optax",
    ),
    "accumulation": (
        lambda: hb.optimizers.SGD(gradient_accumulation_steps=1.5),
        "gradient_accumulation_steps",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name):
    make, text = BAD[name]
    with pytest.raises((AttributeError, ValueError, TypeError), match=text):
        make()


def test_gradients_of_others_are_refused():
    weights = variables(hb)
    optimizer = hb.optimizers.SGD(0.1)
    with pytest.raises(ValueError, match="gradient"):
        optimizer.apply([np.ones(w.shape, "float32") for w in weights[:1]], weights)
    with pytest.raises(ValueError, match="gradient"):
        optimizer.apply([None] * len(weights), weights)


def test_one_cycle():
    rate = hb.optimizers.schedules.OneCycle(
        2.0, total_steps=10, rise=0.4, start_factor=0.1, end_factor=0.01
    )
    steps = [float(rate(step)) for step in range(13)]
    np.testing.assert_allclose(
        [steps[0], steps[4], steps[10], steps[12]], [0.2, 2.0, 0.02, 0.02], rtol=1e-5
    )
    assert steps[:5] == sorted(steps[:5])
    assert steps[4:] == sorted(steps[4:], reverse=True)
    schedules = hb.optimizers.schedules
    assert schedules.deserialize(schedules.serialize(rate)).get_config() == rate.get_config()
    with pytest.raises(ValueError, match="rise"):
        schedules.OneCycle(1.0, 10, rise=2.0)


def test_own_schedule_and_optimizer():
    class Halving(hb.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.5**step

    class Plain(hb.optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            variable.assign(variable.value - learning_rate * gradient)

    weights = variables(hb)
    before = weights[0].numpy()
    optimizer = Plain(Halving())
    for _ in range(2):
        optimizer.apply([np.ones(w.shape, "float32") for w in weights], weights)
    np.testing.assert_allclose(weights[0].numpy(), before - 1.5, rtol=1e-5)
    config = hb.optimizers.serialize(hb.optimizers.Adam(0.1))
    assert hb.optimizers.deserialize(config).get_config() == config["config"]


def own_optimizers(k):
    """Return optimizers written as in Keras's guides, one also as in Keras 2."""

    class Momentum(k.optimizers.Optimizer):
        def __init__(self, learning_rate=0.1, momentum=0.9, name="own", **kwargs):
            super().__init__(learning_rate=learning_rate, name=name, **kwargs)
            self.momentum, self.calls = momentum, k.Variable(0.0, name="calls")

        def build(self, variables):
            if self.built:
                return
            super().build(variables)
            self.momentums = [
                self.add_variable_from_reference(reference_variable=v, name="momentum")
                for v in variables
            ]

        def update_step(self, gradient, variable, learning_rate):
            rate = k.ops.cast(learning_rate, variable.dtype)
            m = self.momentums[self._get_variable_index(variable)]
            self.assign(m, self.momentum * m - rate * gradient)
            self.assign_add(variable, m)
            self.assign_add(self.calls, 1.0)

        def get_config(self):
            return {**super().get_config(), "momentum": self.momentum}

    class Pairs(k.optimizers.Optimizer):
        def build(self, variables):
            super().build(variables)
            self.m, self.v = self.add_optimizer_variables(variables, ["m", "v"], ["zeros", "ones"])

        def update_step(self, gradient, variable, learning_rate):
            i = self._trainable_variables_indices[self._var_key(variable)]
            self.m[i].assign(0.5 * self.m[i] + gradient)
            self.v[i].assign(self.v[i] + k.ops.square(gradient))
            variable.assign_sub(self._get_current_learning_rate() * self.m[i] / self.v[i])

    class Slots(k.optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            i = self._get_variable_index(variable)
            self._momentums[i].assign(0.5 * self._momentums[i] + gradient)
            self._velocities[i].assign(self._velocities[i] + k.ops.square(gradient))
            variable.assign_sub(learning_rate * self._momentums[i] / (1 + self._velocities[i]))

    return [
        Momentum(0.2), Momentum(0.2, use_ema=True, gradient_accumulation_steps=2), Pairs(0.1),
        Slots(0.1), Momentum(k.optimizers.schedules.InverseTimeDecay(0.2, 2, 0.5)),
    ]  # fmt: skip


def test_own_optimizers_of_the_guides():
    results = []
    for k in (keras, hb):
        results.append([])
        for optimizer in own_optimizers(k):
            weights = variables(k)
            for step in range(4):
                optimizer.apply([np.full(w.shape, 0.1 * step, "float32") for w in weights], weights)
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            results[-1].append(([v.name for v in inner.variables], weights + inner.variables))
    for (names, values), (theirs, expected) in zip(*reversed(results), strict=True):
        assert names == theirs
        for mine, other in zip(values, expected, strict=True):
            np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)


def test_own_optimizer_of_keras_2_in_fit():
    class Own(hb.optimizers.Optimizer):
        def __init__(self, learning_rate=0.1, name="own", **kwargs):
            super().__init__(name=name, **kwargs)
            self._learning_rate = self._build_learning_rate(learning_rate)

        def build(self, var_list):
            super().build(var_list)
            self.sums = [
                self.add_variable_from_reference(model_variable=v, variable_name="sum")
                for v in var_list
            ]

        def update_step(self, gradient, variable):
            self.sums[self._index_dict[self._var_key(variable)]].assign_add(gradient)
            variable.assign_sub(self.learning_rate * gradient)

    model = hb.Sequential([hb.layers.Dense(1, kernel_initializer="ones", use_bias=False)])
    model.compile(Own(0.1), "mse")  # built by its first, compiled step
    x = np.ones((2, 1), "float32")
    model.fit(x, 0 * x, epochs=2, verbose=0)
    np.testing.assert_allclose(model.layers[0].kernel.numpy(), [[0.64]], rtol=1e-6)
    np.testing.assert_allclose(model.optimizer.sums[0].numpy(), [[3.6]], rtol=1e-6)
    assert [v.name for v in model.optimizer.variables] == [
        "iteration", "learning_rate", f"{model.name}_dense_kernel_sum".replace("/", "_"),
    ] or len(model.optimizer.variables) == 3  # fmt: skip
    with pytest.raises(AttributeError, match="super"):
        type("Bare", (Own,), {"__init__": lambda self: None})().variables  # noqa: B018


def test_a_schedule_replaces_a_rate():
    class Change(hb.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.optimizer.learning_rate = halves

        def on_epoch_end(self, epoch, logs=None):
            kernels.append(float(self.model.layers[0].kernel.numpy()[0, 0]))

    kernels, halves = [], hb.optimizers.schedules.PiecewiseConstantDecay([1], [0.75, 0.25])
    model = hb.Sequential(
        [hb.Input((1,)), hb.layers.Dense(1, kernel_initializer="ones", use_bias=False)]
    )
    model.compile(hb.optimizers.SGD(0.25), "mse")
    x = np.ones((2, 1), "float32")
    model.fit(x, 0 * x, epochs=3, verbose=0, callbacks=[Change()])
    assert kernels == [0.5, -0.25, -0.125]
    assert [v.name for v in model.optimizer.variables] == ["iteration"]
    config = model.optimizer.get_config()
    assert float(type(model.optimizer).from_config(config).learning_rate) == 0.75
    scaled = hb.optimizers.LossScaleOptimizer(hb.optimizers.SGD(0.1))
    scaled.learning_rate = lambda: 0.5
    assert float(scaled.learning_rate) == 0.5
    with pytest.raises(TypeError, match="follows PiecewiseConstantDecay.*Set another schedule"):
        model.optimizer.learning_rate = 0.1


CHANGES = {
    "clipnorm": (lambda: hb.optimizers.SGD(1.0), {"clipnorm": 0.5}, 0.5),
    "global_clipnorm": (lambda: hb.optimizers.SGD(1.0), {"global_clipnorm": 0.5}, 0.5),
    "clipvalue": (lambda: hb.optimizers.SGD(1.0), {"clipvalue": 0.5}, 0.5),
    "no clipvalue": (lambda: hb.optimizers.SGD(1.0, clipvalue=0.5), {"clipvalue": None}, 1.0),
    "weight_decay": (lambda: hb.optimizers.SGD(1.0), {"weight_decay": 0.5}, 6.5),
    "momentum": (lambda: hb.optimizers.SGD(1.0, 0.5), {"momentum": 0.25}, 1.25),
    "nesterov": (lambda: hb.optimizers.SGD(1.0, 0.5), {"nesterov": True}, 1.75),
    "epsilon": (lambda: hb.optimizers.Adam(1.0), {"epsilon": 1.0}, 0.0428085),
    "use_ema": (
        lambda: hb.optimizers.SGD(
            1.0, use_ema=True, ema_momentum=0.0, ema_overwrite_frequency=1
        ), {"ema_momentum": 1.0}, 0.0),
    "inner": (
        lambda: hb.optimizers.LossScaleOptimizer(hb.optimizers.SGD(1.0), 1.0),
        {"clipnorm": 0.5}, 0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_takes_effect_in_compiled_steps(name):
    make, change, step = CHANGES[name]
    optimizer, weight = make(), hb.Variable(np.full(1, 12.0, "float32"))
    apply = Program(lambda: optimizer.apply([np.ones(1, "float32")], [weight]))
    apply()
    before = float(weight.numpy()[0])
    for key, value in change.items():
        setattr(getattr(optimizer, "inner_optimizer", optimizer), key, value)
    apply()
    np.testing.assert_allclose(before - float(weight.numpy()[0]), step, rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "name", "value"), [
        (lambda: hb.optimizers.SGD(), "momentum", 0.9),
        (lambda: hb.optimizers.Adam(), "amsgrad", True),
        (lambda: hb.optimizers.Adam(), "use_ema", True),
        (lambda: hb.optimizers.Muon(), "exclude_layers", ["weight"]),
        (lambda: hb.optimizers.SGD(gradient_accumulation_steps=2),
            "gradient_accumulation_steps", 3)],
)  # fmt: skip
def test_a_setting_that_needs_other_variables_cannot_change(make, name, value):
    optimizer = make()
    old = getattr(optimizer, name)
    optimizer.build([hb.Variable(np.ones((2, 2), "float32"), name="weight")])
    with pytest.raises(ValueError, match=f"`{name}` cannot change .* new optimizer"):
        setattr(optimizer, name, value)
    assert getattr(optimizer, name) == old


@pytest.mark.parametrize(
    "options", [{"gradient_accumulation_steps": 2}, {"use_ema": True}, {"loss_scale_factor": 4.0},
                {"clipnorm": 0.1}, {"weight_decay": 0.1}], ids=str,
)  # fmt: skip
def test_weights_that_take_their_gradient_as_value(options):
    results = []
    for k in (keras, hb):
        weights = [k.Variable(np.ones(3, "float32")), k.Variable(np.ones(2, "float32"))]
        weights[0].overwrite_with_gradient = True
        optimizer = k.optimizers.SGD(0.1, momentum=0.5, **options)
        results.append([])
        for step in (1.0, 2.0, 3.0):
            optimizer.apply([np.full(w.shape, 0.1 * step, "float32") for w in weights], weights)
            results[-1] += [w.numpy() for w in weights]
        optimizer.finalize_variable_values(weights)
        results[-1] += [*(w.numpy() for w in weights), len(optimizer.variables)]
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_overwriting_weights_beside_loss_scales_and_epoch_ends():
    weight = hb.Variable(np.ones(2, "float32"))
    weight.overwrite_with_gradient = True
    scaled = hb.optimizers.LossScaleOptimizer(hb.optimizers.SGD(0.1))
    scaled.apply([np.full(2, 0.5, "float32")], [weight])
    assert weight.numpy().tolist() == [0.5, 0.5]
    accumulating = hb.optimizers.SGD(0.1, gradient_accumulation_steps=4)
    for value in (0.1, 0.2):
        accumulating.apply([np.full(2, value, "float32")], [weight])
    accumulating.flush_gradients()
    np.testing.assert_allclose(weight.numpy(), 0.2, rtol=1e-6)


CONFIGURATIONS = {
    "name": ("optimizers", {"class_name": "adam", "config": {"learning_rate": 0.5}}, "Adam"),
    "case": ("optimizers", {"class_name": "RMSPROP", "config": {}}, "RMSprop"),
    "bare": ("optimizers", {"class_name": "sgd"}, "SGD"),
    "metric": ("metrics", {"class_name": "mse", "config": {}}, "MeanSquaredError"),
    "metric_case": ("metrics", {"class_name": "auc", "config": {}}, "AUC"),
    "loss": ("losses", {"class_name": "mean_squared_error", "config": {}}, "function"),
    "regularizer": ("regularizers", {"class_name": "l1_l2", "config": {"l1": 0.5}}, "L1L2"),
    "quantizer": ("quantizers", {"class_name": "abs_max_quantizer", "config": {"axis": 0}},
        "AbsMaxQuantizer"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configurations_that_a_person_wrote(name):
    family, config, made = CONFIGURATIONS[name]
    for function in ("get", "deserialize"):
        part = getattr(getattr(hb, family), function)(dict(config))
        assert type(part).__name__ == made
    if name == "name":
        assert float(part.learning_rate) == 0.5


def test_optax_is_accepted():
    x, y = np.random.RandomState(0).randn(32, 3).astype("float32"), np.ones((32, 1), "float32")
    histories = []
    for optimizer in (optax.adam(0.01, eps=1e-7), hb.optimizers.Adam(0.01)):
        hb.utils.set_random_seed(1)
        model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1)])
        model.compile(optimizer, "mse")
        histories.append(model.fit(x, y, epochs=3, batch_size=8, verbose=0).history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-5)
    made = hb.optimizers.OptaxOptimizer(optax.sgd(0.1, momentum=0.9))
    weights = variables(hb)
    made.build(weights)
    assert len(made.variables) == 2 + len(weights)
    with pytest.raises(AttributeError, match="schedule"):
        made.learning_rate  # noqa: B018
    with pytest.raises(TypeError, match="transformation"):
        hb.optimizers.OptaxOptimizer("adam")


def test_several_optimizers_in_fit():
    x, y = np.random.RandomState(0).randn(32, 3).astype("float32"), np.ones((32, 1), "float32")
    results = []
    for k in (hb, keras):
        k.utils.clear_session(free_memory=False)
        model = k.Sequential(
            [k.Input((3,)), k.layers.Dense(4, name="first"), k.layers.Dense(1, name="second")]
        )
        model.set_weights([np.random.RandomState(2).randn(*w.shape) for w in model.weights])
        chosen = k.optimizers.OptimizerMap(k.optimizers.SGD(0.1))
        chosen[".*second.*"] = k.optimizers.RMSprop(0.01)
        model.compile(k.optimizers.MultiOptimizer(chosen), "mse")
        results.append(
            model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0).history["loss"]
        )
    np.testing.assert_allclose(*results, rtol=1e-4)
    with pytest.raises(ValueError, match="several patterns"):
        hb.optimizers.OptimizerMap("sgd", {".*a": "adam", "b.*": "adam"})["b/a"]
    with pytest.warns(UserWarning, match="no variable's path"):
        hb.optimizers.MultiOptimizer(hb.optimizers.OptimizerMap("sgd", {"kernel": "adam"})).build(
            variables(hb)
        )
