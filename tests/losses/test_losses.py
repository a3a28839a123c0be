"""Losses against Keras: one row per loss, and the same checks for every row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb
from hornbeam import losses
from hornbeam.core.masks import set_mask
from hornbeam.core.program import Program

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(4, 3)).astype("float32")
REAL2 = RNG.normal(size=(4, 3)).astype("float32")
SHARES = RNG.dirichlet(np.ones(3), size=4).astype("float32")
UNSCALED = RNG.uniform(0.05, 0.95, size=(4, 3)).astype("float32")
ONE_HOT = np.eye(3, dtype="float32")[[0, 2, 1, 2]]
BITS = (RNG.random((4, 3)) > 0.5).astype("float32")
LABELS = np.array([0, 2, 1, 2])
DEEP = RNG.uniform(0.05, 0.95, size=(2, 4, 5)).astype("float32")
EDGES = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]], "float32")

# Class, function, settings, targets, predictions.
LOSSES = [
    ("MeanSquaredError", "mean_squared_error", {}, REAL, REAL2),
    ("MeanAbsoluteError", "mean_absolute_error", {}, REAL, REAL2),
    ("MeanAbsolutePercentageError", "mean_absolute_percentage_error", {}, REAL, REAL2),
    ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", {}, UNSCALED, SHARES),
    ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", {}, REAL, REAL2),
    ("CosineSimilarity", "cosine_similarity", {}, REAL, REAL2),
    ("Huber", "huber", {"delta": 0.7}, REAL, REAL2),
    ("LogCosh", "log_cosh", {}, REAL, 10 * REAL2),
    ("Hinge", "hinge", {}, BITS, REAL),
    ("Hinge", "hinge", {}, REAL, REAL2),
    ("SquaredHinge", "squared_hinge", {}, 2 * BITS - 1, REAL),
    ("CategoricalHinge", "categorical_hinge", {}, ONE_HOT, REAL),
    ("KLDivergence", "kl_divergence", {}, SHARES, UNSCALED),
    ("Poisson", "poisson", {}, UNSCALED, SHARES),
    ("BinaryCrossentropy", "binary_crossentropy", {}, BITS, UNSCALED),
    ("BinaryCrossentropy", "binary_crossentropy", {}, BITS, EDGES),
    (
        "BinaryCrossentropy",
        "binary_crossentropy",
        {"from_logits": True, "label_smoothing": 0.1},
        BITS,
        REAL,
    ),
    ("BinaryFocalCrossentropy", "binary_focal_crossentropy", {}, BITS, UNSCALED),
    (
        "BinaryFocalCrossentropy",
        "binary_focal_crossentropy",
        {
            "apply_class_balancing": True,
            "alpha": 0.3,
            "gamma": 1.5,
            "from_logits": True,
            "label_smoothing": 0.1,
        },
        BITS,
        REAL,
    ),
    ("CategoricalCrossentropy", "categorical_crossentropy", {}, ONE_HOT, UNSCALED),
    ("CategoricalCrossentropy", "categorical_crossentropy", {}, ONE_HOT, EDGES),
    (
        "CategoricalCrossentropy",
        "categorical_crossentropy",
        {"from_logits": True, "label_smoothing": 0.2},
        ONE_HOT,
        REAL,
    ),
    ("CategoricalCrossentropy", "categorical_crossentropy", {"axis": 1}, DEEP[:, ::-1], DEEP),
    ("CategoricalFocalCrossentropy", "categorical_focal_crossentropy", {}, ONE_HOT, UNSCALED),
    (
        "CategoricalFocalCrossentropy",
        "categorical_focal_crossentropy",
        {"alpha": 0.3, "gamma": 1.5, "from_logits": True, "label_smoothing": 0.1},
        ONE_HOT,
        REAL,
    ),
    ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", {}, LABELS, UNSCALED),
    (
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        {},
        LABELS[:, None],
        EDGES,
    ),
    (
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        {"from_logits": True},
        LABELS,
        REAL,
    ),
    (
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        {"ignore_class": 2},
        LABELS,
        UNSCALED,
    ),
    (
        "CategoricalGeneralizedCrossEntropy",
        "categorical_generalized_cross_entropy",
        {"q": 0.5},
        LABELS,
        SHARES,
    ),
    ("Dice", "dice", {"axis": 1}, BITS, UNSCALED),
    ("Tversky", "tversky", {"alpha": 0.3, "beta": 0.7, "axis": 1}, BITS, UNSCALED),
    ("Circle", "circle", {"gamma": 10.0, "margin": 0.3}, np.array([0, 1, 0, 1]), SHARES),
    (
        "CTC",
        "ctc",
        {},
        np.array([[1, 2, 0], [1, 1, 2]]),
        RNG.normal(size=(2, 6, 4)).astype("float32"),
    ),
]
IDS = [f"{row[1]}-{i}" for i, row in enumerate(LOSSES)]
every_loss = pytest.mark.parametrize(
    ("cls", "name", "settings", "y_true", "y_pred"), LOSSES, ids=IDS
)


def close(ours, theirs):
    assert np.shape(ours) == np.shape(theirs)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=1e-5)


@every_loss
def test_function_and_gradient_are_kerass(cls, name, settings, y_true, y_pred):
    import keras

    ours, theirs = getattr(losses, name), getattr(keras.losses, name)
    close(ours(y_true, y_pred, **settings), theirs(y_true, y_pred, **settings))
    true = jnp.asarray(y_true)
    gradients = jax.jit(
        lambda p: [
            jax.grad(lambda p, f=f: jnp.sum(f(true, p, **settings)))(p) for f in (ours, theirs)
        ]
    )(jnp.asarray(y_pred))
    assert np.isfinite(gradients[0]).all() or not np.isfinite(gradients[1]).all()
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


@every_loss
@pytest.mark.parametrize(
    "reduction",
    mostly_slow(
        ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"],
        ["sum_over_batch_size", "none"],
    ),
)
def test_object_is_kerass(cls, name, settings, y_true, y_pred, reduction):
    import keras

    ours = getattr(losses, cls)(reduction=reduction, **settings)
    theirs = getattr(keras.losses, cls)(reduction=reduction, **settings)
    assert ours.name == theirs.name
    close(ours(y_true, y_pred), theirs(y_true, y_pred))
    # Weighted mean with several values per weight: Keras divides by the sum of the weights without
    # repeating them.
    odd = reduction == "mean_with_sample_weight" and settings.get("axis") == 1
    if name != "dice" and name != "tversky" and not odd:
        weights = np.arange(1.0, len(y_pred) + 1)
        weights = weights[:, None] if y_pred.ndim == 3 and cls != "CTC" else weights
        close(
            ours(y_true, y_pred, sample_weight=weights),
            theirs(y_true, y_pred, sample_weight=weights),
        )


@every_loss
def test_config_round_trip_and_program(cls, name, settings, y_true, y_pred):
    import keras

    loss = getattr(losses, cls)(**settings)
    config = losses.serialize(loss)
    theirs = keras.losses.serialize(getattr(keras.losses, cls)(**settings))
    assert theirs["config"].items() <= config["config"].items()
    assert {k: config[k] for k in ("module", "class_name")} == {
        k: theirs[k] for k in ("module", "class_name")
    }
    again = losses.deserialize(config)
    assert again.get_config() == loss.get_config()
    close(Program(again)(jnp.asarray(y_true), jnp.asarray(y_pred)), loss(y_true, y_pred))


@pytest.mark.parametrize(
    "reduction", ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", None]
)
@pytest.mark.parametrize("weights", [None, np.array([[1.0, 2, 3]]).T])
def test_mask_of_the_predictions(reduction, weights):
    import keras

    x = np.array([[[1.0, 2]], [[0, 0]], [[3, 4]]], "float32")
    theirs = keras.losses.MeanSquaredError(reduction=reduction)(
        np.zeros((3, 1, 2)), keras.layers.Masking()(x), sample_weight=weights
    )
    y_pred = jnp.asarray(x)
    set_mask(y_pred, jnp.array([[True], [False], [True]]))
    ours = losses.MeanSquaredError(reduction=reduction)(
        np.zeros((3, 1, 2)), y_pred, sample_weight=weights
    )
    close(ours, theirs)


@pytest.mark.parametrize("ignored", [0, 1])
def test_mask_of_the_predictions_and_an_ignored_class(ignored):
    import keras

    steps, labels = np.append(REAL, 0 * REAL[:2], axis=0)[None], np.array([[*LABELS, 1, 2]])
    theirs = keras.losses.SparseCategoricalCrossentropy(True, ignore_class=ignored)(
        labels, keras.layers.Masking()(steps)
    )
    y_pred = jnp.asarray(steps)
    set_mask(y_pred, jnp.asarray(steps.any(-1)))
    close(losses.SparseCategoricalCrossentropy(True, ignore_class=ignored)(labels, y_pred), theirs)


NAMES = (
    "mse MSE mae MAE mape MAPE msle MSLE bce BCE kld KLD kullback_leibler_divergence logcosh"
    " log_cosh huber huber_loss cosine_proximity cosine_similarity mean_squared_error"
    " MeanSquaredError sparse_categorical_crossentropy categorical_hinge KLDivergence dice Dice"
    " ctc CTC"
).split()


@pytest.mark.parametrize("name", NAMES)
def test_get_by_name(name):
    assert callable(losses.get(name))


def test_get_other_things():
    assert losses.get(None) is None
    assert isinstance(losses.get(losses.Huber), losses.Huber)
    assert losses.get(losses.serialize(losses.Huber(delta=3.0))).delta == 3.0
    assert losses.get({"class_name": "Huber", "config": {"delta": 2.0}}).delta == 2.0
    assert losses.get(len) is len
    assert losses.MeanSquaredError(reduction="auto").reduction == "sum_over_batch_size"
    with pytest.raises(ValueError, match="Did you mean 'mse'"):
        losses.get("msee")
    with pytest.raises(ValueError, match="reduction"):
        losses.MeanSquaredError(reduction="average")


SHAPES = [((3,), (3, 1)), ((3, 1), (3,)), ((3, 2), (3, 2, 1)), ((3, 2), (3, 1)), ((3,), (3,))]


@pytest.mark.parametrize(("t", "p"), SHAPES)
def test_ranks_are_matched_as_in_keras(t, p):
    import keras

    y_true, y_pred = np.arange(np.prod(t)).reshape(t), np.ones(p, "float32")
    close(
        losses.MeanSquaredError(reduction=None)(y_true, y_pred),
        keras.losses.MeanSquaredError(reduction=None)(y_true, y_pred),
    )


@pytest.mark.parametrize(("t", "p"), [*SHAPES, ((3, 1), (3, 2, 1)), ((3, 1, 1), (3,))])
def test_a_loss_function_of_the_users_gets_the_shapes_that_it_gets_from_keras(t, p):
    """Targets `(B,)` would otherwise be broadcast with predictions `(B, 1)`, without a word."""
    import keras

    found = {}
    for library in (hb, keras):
        shapes = []

        class Same(library.Model):
            def call(self, x):
                return x

        def loss(y_true, y_pred, shapes=shapes, library=library):
            shapes.append((tuple(y_true.shape), tuple(y_pred.shape)))
            return library.ops.mean(y_pred, axis=-1)

        model = Same()
        model.compile(loss=loss, run_eagerly=True)
        model.evaluate(np.ones(p, "float32"), np.ones(t, "float32"), verbose=0)
        found[library] = set(shapes)
    assert found[hb] == found[keras]


def test_one_weight_a_sample_for_many_values():
    x = np.ones((2, 3, 4), "float32")
    values = losses.MeanSquaredError(reduction=None)(
        np.zeros((2, 3, 4)), x, sample_weight=[1.0, 2.0]
    )
    np.testing.assert_array_equal(values, [[1, 1, 1], [2, 2, 2]])


REFUSED = [
    ("sparse_categorical_crossentropy", (4,), (4, 5, 3), "Flatten"),
    ("categorical_crossentropy", (4,), (4, 3), "use sparse_categorical_crossentropy"),
    ("categorical_crossentropy", (4, 1), (4, 3), "use sparse_categorical_crossentropy"),
    ("sparse_categorical_crossentropy", (4, 3), (4, 3), "use categorical_crossentropy"),
    ("mean_squared_error", (3, 2), (4, 2), "do not fit"),
    ("categorical_crossentropy", (4, 2), (4, 3), "expected the same shape"),
]


@pytest.mark.parametrize(("name", "t", "p", "words"), REFUSED)
def test_shapes_that_do_not_fit(name, t, p, words):
    with pytest.raises(ValueError, match=words):
        getattr(losses, name)(np.ones(t), np.ones(p))


def test_gradients_stay_finite():
    grad = jax.grad(lambda p: jnp.sum(losses.cosine_similarity(jnp.ones((1, 2)), p)))(
        jnp.zeros((1, 2))
    )
    assert np.isfinite(grad).all()
    grad = jax.grad(
        lambda p: jnp.sum(losses.binary_crossentropy(jnp.ones((1, 2)), p, from_logits=True))
    )(jnp.array([[500.0, -500.0]]))
    np.testing.assert_allclose(grad, [[0.0, -0.5]])


def test_symbolic_tensors():
    from hornbeam.core.tensor import KerasTensor

    assert losses.mean_squared_error(KerasTensor((None, 3)), KerasTensor((None, 3))).shape == (
        None,
    )


def test_own_loss_keeps_its_arguments():
    class Power(losses.Loss):
        def __init__(self, power=2, **kwargs):
            super().__init__(**kwargs)
            self.power = power

        def call(self, y_true, y_pred):
            return jnp.mean(jnp.abs(y_true - y_pred) ** self.power, axis=-1)

    loss = Power(power=3, reduction="sum")
    assert float(loss([[0.0]], [[2.0]])) == 8.0
    assert loss.get_config() == {"name": "power", "reduction": "sum", "power": 3}
    assert Power.from_config(loss.get_config()).power == 3
