"""Arguments of all public optimizers, schedules, losses, metrics and other small objects."""

import inspect

import numpy as np
import optax
import pytest

import hornbeam as hb

FAMILIES = {
    "optimizers": hb.optimizers, "schedules": hb.optimizers.schedules, "losses": hb.losses,
    "metrics": hb.metrics, "initializers": hb.initializers, "regularizers": hb.regularizers,
    "constraints": hb.constraints,
}  # fmt: skip
CLASSES = {
    f"{family}.{cls.__name__}": cls
    for family, module in FAMILIES.items()
    for cls in (getattr(module, name) for name in module.__all__)
    if isinstance(cls, type)
}

# Arguments that the constructors require.
REQUIRED = {
    "optimizers.LossScaleOptimizer": {"inner_optimizer": "sgd"},
    "optimizers.OptimizerMap": {"default_optimizer": "sgd"},
    "optimizers.MultiOptimizer": {"optimizer_map": lambda variable: hb.optimizers.SGD()},
    "optimizers.OptaxOptimizer": {"transformation": optax.sgd(0.1)},
    "schedules.ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 9,
        "decay_rate": 0.5},
    "schedules.InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 9,
        "decay_rate": 0.5},
    "schedules.PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 9},
    "schedules.CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 9},
    "schedules.CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 9},
    "schedules.PiecewiseConstantDecay": {"boundaries": [1, 2], "values": [0.3, 0.2, 0.1]},
    "schedules.OneCycle": {"max_learning_rate": 0.1, "total_steps": 9},
    "metrics.MeanMetricWrapper": {"fn": lambda y_true, y_pred: y_pred},
    "metrics.MeanIoU": {"num_classes": 3}, "metrics.OneHotMeanIoU": {"num_classes": 3},
    "metrics.IoU": {"num_classes": 3, "target_class_ids": [0]},
    "metrics.OneHotIoU": {"num_classes": 3, "target_class_ids": [0]},
    "metrics.PrecisionAtRecall": {"recall": 0.5}, "metrics.RecallAtPrecision": {"precision": 0.5},
    "metrics.SensitivityAtSpecificity": {"specificity": 0.5},
    "metrics.SpecificityAtSensitivity": {"sensitivity": 0.5},
}  # fmt: skip
# Arguments that accept any value, and arguments that are looked up by name, whose errors do not
# name the argument.
ANYTHING = {("initializers.Constant", "value")}
LOOKED_UP = {
    ("optimizers.LossScaleOptimizer", "inner_optimizer"),
    ("optimizers.OptimizerMap", "default_optimizer"),
}


def arguments(cls):
    """Return the names of a constructor's arguments, including its bases' keyword arguments."""
    names = {}
    for c in cls.__mro__[:-1]:
        if "__init__" in c.__dict__:
            parameters = list(inspect.signature(c.__dict__["__init__"]).parameters.values())[1:]
            names |= {p.name: None for p in parameters if p.kind is not p.VAR_KEYWORD}
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return list(names)


@pytest.mark.parametrize("name", CLASSES)
def test_unknown_arguments_are_refused(name):
    if name == "metrics.MeanMetricWrapper":  # passes them to its function
        return
    with pytest.raises(TypeError, match=rf"{CLASSES[name].__name__}.*(nonsense|no arguments)"):
        CLASSES[name](**REQUIRED.get(name, {}), nonsense=1)


@pytest.mark.parametrize(
    ("name", "argument"), [(name, a) for name, cls in CLASSES.items() for a in arguments(cls)]
)
def test_values_of_a_wrong_kind_are_refused(name, argument):
    if (name, argument) in ANYTHING:
        return
    words = (
        "optimizer"
        if (name, argument) in LOOKED_UP
        else rf"{CLASSES[name].__name__}: .*[`']{argument}[`']"
    )
    for value in (object(), dict):
        with pytest.raises((TypeError, ValueError), match=words):
            CLASSES[name](**{**REQUIRED.get(name, {}), argument: value})


NAN = float("nan")
MOMENTUM = (
    [-0.1, 1.0, 1, 2, True, "0.9", None, NAN, [0.5]],
    [0, 0.0, 0.9, np.float32(0.5), np.array(0.5)],
)
FRACTION = [-0.1, 1.5, True, "0.9", None, NAN], [0, 1, 0.5]
ABOVE_0_TO_1 = [-0.1, 0, 1.5, True, None, NAN], [1, 0.5]
NOT_NEGATIVE = [-1, True, "1", NAN], [0, 0.5, 3]
POSITIVE = [-1, 0, True, "1", NAN], [0.5, 3, float("inf")]
NOT_POSITIVE = [0.5, True, NAN], [0, -0.5]
COUNT = [0, -1, 1.5, True, "1"], [1, 3, np.int64(2)]
FLAG = [2, 0.5, "yes", []], [True, False, 1, 0, np.bool_(True)]
NUMBER = ["0.5", True, NAN, []], [-1, 0, 0.5]
INTEGER = [0.5, "1", True, NAN], [-1, 0, np.int32(2)]
AXIS = [0.5, "1", {}], [-1, 0, [0, 1], (0,), None]
NAMED = [1, 0.5, []], ["mine", None]

# Class, argument, rejected values, accepted values.
BOUNDS = [
    *[(f"optimizers.{cls}", beta, *MOMENTUM) for cls in ("Adam", "AdamW", "Adamax", "Nadam", "Lamb")
      for beta in ("beta_1", "beta_2")],
    *[("optimizers.Muon", beta, *MOMENTUM) for beta in ("adam_beta_1", "adam_beta_2")],
    ("optimizers.ScheduleFreeAdamW", "beta_1", *ABOVE_0_TO_1),
    ("optimizers.ScheduleFreeAdamW", "beta_2", *MOMENTUM),
    ("optimizers.ScheduleFreeAdamW", "warmup_steps", *NOT_NEGATIVE),
    ("optimizers.Lion", "beta_1", *ABOVE_0_TO_1),
    ("optimizers.Lion", "beta_2", *FRACTION), ("optimizers.SGD", "momentum", *FRACTION),
    ("optimizers.SGD", "nesterov", *FLAG), ("optimizers.RMSprop", "rho", *FRACTION),
    ("optimizers.RMSprop", "momentum", *FRACTION), ("optimizers.RMSprop", "centered", *FLAG),
    ("optimizers.Adadelta", "rho", *FRACTION), ("optimizers.Adam", "epsilon", *NOT_NEGATIVE),
    ("optimizers.Adam", "amsgrad", *FLAG), ("optimizers.Adagrad", "initial_accumulator_value",
        *NOT_NEGATIVE),
    ("optimizers.Ftrl", "learning_rate_power", *NOT_POSITIVE),
    ("optimizers.Ftrl", "beta", *NOT_NEGATIVE),
    ("optimizers.Ftrl", "l1_regularization_strength", *NOT_NEGATIVE),
    ("optimizers.Muon", "ns_steps", *COUNT),
    ("optimizers.Adafactor", "beta_2_decay", *NOT_POSITIVE),
    ("optimizers.Adafactor", "clip_threshold", *POSITIVE),
    ("optimizers.Muon", "exclude_layers", ["logits", [1], 1], [["logits"], (), None]),
    ("optimizers.SGD", "learning_rate", ["fast", True, [0.1], NAN,
        hb.optimizers.schedules.CosineDecay],
     [1, 0.1, -0.5, np.float32(0.1), hb.Variable(0.1), lambda: 0.1,
         hb.optimizers.schedules.CosineDecay(0.1, 9)]),
    ("optimizers.SGD", "weight_decay", *NOT_NEGATIVE), ("optimizers.SGD", "clipnorm", *POSITIVE),
    ("optimizers.SGD", "ema_momentum", *FRACTION),
    ("optimizers.SGD", "loss_scale_factor", *POSITIVE),
    ("optimizers.SGD", "ema_overwrite_frequency", [-1, 1.5, "x", True], [None, 0, 1, 100]),
    ("optimizers.SGD", "gradient_accumulation_steps", [1, 2.5, True], [None, 2]),
    ("optimizers.SGD", "name", *NAMED),
    ("optimizers.LossScaleOptimizer", "initial_scale", *POSITIVE),
    ("optimizers.LossScaleOptimizer", "dynamic_growth_steps", *COUNT),
    ("schedules.ExponentialDecay", "decay_steps", *POSITIVE),
    ("schedules.ExponentialDecay", "decay_rate", *NOT_NEGATIVE),
    ("schedules.PolynomialDecay", "power", *NOT_NEGATIVE),
    ("schedules.CosineDecay", "alpha", *NUMBER),
    ("schedules.CosineDecay", "warmup_steps", *NOT_NEGATIVE),
    ("schedules.CosineDecayRestarts", "t_mul", *POSITIVE),
    ("schedules.PiecewiseConstantDecay", "boundaries", [[2, 1], [1], ["a", "b"], 1],
        [[1, 2], (1.5, 2), np.array([1, 2])]),
    ("schedules.OneCycle", "rise", *FRACTION),
    ("losses.Huber", "delta", *POSITIVE), ("losses.CosineSimilarity", "axis", *AXIS),
    ("losses.Dice", "axis", *AXIS),
    ("losses.BinaryCrossentropy", "label_smoothing", *FRACTION),
    ("losses.BinaryCrossentropy", "from_logits", *FLAG),
    ("losses.BinaryFocalCrossentropy", "alpha", *FRACTION),
    ("losses.BinaryFocalCrossentropy", "gamma", *NOT_NEGATIVE),
    ("losses.CategoricalFocalCrossentropy", "alpha", [-1, [0.5, -1], "x"], [0.25, [0.25, 0.5]]),
    ("losses.SparseCategoricalCrossentropy", "ignore_class", *INTEGER),
    ("losses.Tversky", "alpha", *NOT_NEGATIVE),
    ("losses.CategoricalGeneralizedCrossEntropy", "q", *ABOVE_0_TO_1),
    ("losses.Circle", "margin", *FRACTION),
    ("losses.Poisson", "name", *NAMED), ("losses.Poisson", "reduction", ["average", 1],
        ["sum", None]),
    ("losses.Poisson", "dtype", [-1, {}], ["float16", np.float32, None]),
    ("metrics.Poisson", "dtype", [-1, {}], ["float16", np.float32, None]),
    ("metrics.Poisson", "name", *NAMED),
    ("metrics.TopKCategoricalAccuracy", "k", *COUNT),
    ("metrics.BinaryAccuracy", "threshold", *NUMBER),
    ("metrics.Precision", "thresholds", [-0.1, 2, [0.5, "x"], [None], True],
        [0, 0.5, [0.2, 0.6], np.array([0.5]), None]),
    ("metrics.Precision", "top_k", *COUNT), ("metrics.Precision", "class_id", *INTEGER),
    ("metrics.PrecisionAtRecall", "recall", *FRACTION),
    ("metrics.PrecisionAtRecall", "num_thresholds", *COUNT),
    ("metrics.AUC", "num_thresholds", [1, 2.5, None], [2, 50]),
    ("metrics.AUC", "curve", ["x", 1], ["PR", "roc"]),
    ("metrics.AUC", "thresholds", [[2.0], [-0.5], "x"], [[0.5, 0.2], None]),
    ("metrics.FBetaScore", "beta", *POSITIVE),
    ("metrics.FBetaScore", "threshold", [0, 1.5, "x"], [None, 1, 0.5]),
    ("metrics.FBetaScore", "average", ["mean", 1], ["micro", None]),
    ("metrics.R2Score", "num_regressors", [-1, 0.5], [0, 2]),
    ("metrics.MeanIoU", "num_classes", *COUNT),
    ("metrics.IoU", "target_class_ids", [[3], [0.5], 1], [[0, 2], range(3)]),
    ("metrics.IoU", "ignore_class", *INTEGER),
    ("initializers.RandomNormal", "mean", *NUMBER),
    ("initializers.RandomNormal", "seed", [0.5, True, "x"],
        [1, np.int64(3), None, hb.random.SeedGenerator(1)]),
    ("initializers.VarianceScaling", "scale", *POSITIVE),
    ("initializers.HeNormal", "input_axes", *AXIS),
    ("regularizers.L1", "l1", *NOT_NEGATIVE), ("regularizers.L1L2", "l2", *NOT_NEGATIVE),
    ("regularizers.OrthogonalRegularizer", "mode", ["row", 1], ["rows", "columns"]),
    ("constraints.MaxNorm", "max_value", *NOT_NEGATIVE), ("constraints.MaxNorm", "axis", *AXIS),
    ("constraints.MinMaxNorm", "rate", *FRACTION),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "argument", "refused", "accepted"), BOUNDS, ids=[f"{r[0]}-{r[1]}" for r in BOUNDS]
)
def test_bounds(name, argument, refused, accepted):
    cls, required = CLASSES[name], REQUIRED.get(name, {})
    for value in refused:
        with pytest.raises(ValueError, match=rf"{cls.__name__}: .*`{argument}`"):
            cls(**{**required, argument: value})
    for value in accepted:
        cls(**{**required, argument: value})


def test_a_message_says_the_bound_the_value_and_the_near_name():
    with pytest.raises(
        ValueError,
        match=r"^Adam: `beta_1` must be a number of at least 0 and below 1, received 1.0\.$",
    ):
        hb.optimizers.Adam(beta_1=1.0)
    with pytest.raises(
        TypeError, match=r"^Adam: unexpected argument 'beta1'\. Did you mean 'beta_1'\?$"
    ):
        hb.optimizers.Adam(beta1=0.9)
    with pytest.raises(
        TypeError,
        match=r"^MeanSquaredError: unexpected argument 'reductoin'\. Did you mean 'reduction'\?$",
    ):
        hb.losses.MeanSquaredError(reductoin="sum")
    with pytest.raises(TypeError, match=r"^Zeros\(\) takes no arguments$"):
        hb.initializers.Zeros(gain=1)
    with pytest.raises(TypeError, match=r"^MeanIoU: missing a required argument: 'num_classes'\.$"):
        hb.metrics.MeanIoU()


def test_values_in_a_traced_function_are_accepted():
    import jax

    loss = jax.jit(lambda delta: hb.losses.Huber(delta=delta)(np.zeros((1, 1)), np.ones((1, 1))))
    assert float(loss(0.5)) == 0.375


def test_own_classes_are_checked_by_their_parents():
    class Mine(hb.optimizers.Adam):
        def __init__(self, half_life=1, **kwargs):
            super().__init__(beta_1=0.5**half_life, **kwargs)

    assert Mine(learning_rate=0.1).beta_1 == 0.5
    with pytest.raises(
        ValueError, match="Mine: `beta_1` must be a number of at least 0 and below 1"
    ):
        Mine(half_life=0)
    with pytest.raises(
        TypeError, match="Mine: unexpected argument 'halflife'. Did you mean 'half_life'"
    ):
        Mine(halflife=1)
