"""Metrics against Keras: one row per metric, and the same checks for every row."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam
from hornbeam import metrics
from hornbeam.core.masks import set_mask
from hornbeam.core.program import Program

RNG = np.random.default_rng(0)
REAL, REAL2 = RNG.normal(size=(2, 6, 3)).astype("float32")
P = RNG.uniform(0.05, 0.95, size=(6, 3)).astype("float32")
ONE_HOT = np.eye(3, dtype="float32")[[0, 2, 1, 2, 0, 1]]
BITS = (RNG.random((6, 3)) > 0.4).astype("float32")
LABELS = np.array([0, 2, 1, 2, 0, 1])
COLUMN, COLUMN_BITS = P[:, :1], BITS[:, :1]

# Class, settings, targets, predictions.
METRICS = [
    ("Accuracy", {}, LABELS, np.array([0, 2, 2, 2, 1, 1])),
    ("BinaryAccuracy", {}, BITS, P),
    ("BinaryAccuracy", {"threshold": 0.3}, COLUMN_BITS[:, 0], COLUMN),
    ("BinaryAccuracy", {"threshold": 0.0}, BITS, REAL),
    ("BinaryAccuracy", {"threshold": 1.5}, BITS, 3 * P),
    ("CategoricalAccuracy", {}, ONE_HOT, P),
    ("SparseCategoricalAccuracy", {}, LABELS, P),
    ("SparseCategoricalAccuracy", {}, LABELS[:, None], P),
    ("TopKCategoricalAccuracy", {"k": 2}, ONE_HOT, P),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, LABELS, P),
    ("Precision", {}, BITS, P),
    ("Precision", {"thresholds": [0.2, 0.6]}, BITS, P),
    ("Precision", {"top_k": 2}, BITS, P),
    ("Precision", {"class_id": 1}, BITS, P),
    ("Recall", {}, COLUMN_BITS, COLUMN),
    ("Recall", {"top_k": 2, "class_id": 2}, BITS, P),
    ("TruePositives", {}, BITS, P),
    ("FalsePositives", {"thresholds": [0.2, 0.6]}, BITS, P),
    ("TrueNegatives", {}, BITS, P),
    ("FalseNegatives", {}, COLUMN_BITS[:, 0], COLUMN),
    ("AUC", {}, BITS, P),
    ("AUC", {"curve": "PR"}, BITS, P),
    ("AUC", {"curve": "PRGAIN"}, BITS, P),
    ("AUC", {"curve": "prgain", "summation_method": "majoring"}, BITS, P),
    ("AUC", {"curve": "PR", "summation_method": "minoring", "num_thresholds": 20}, BITS, P),
    ("AUC", {"summation_method": "majoring", "thresholds": [0.1, 0.5, 0.7]}, BITS, P),
    ("AUC", {"multi_label": True}, BITS, P),
    (
        "AUC",
        {"multi_label": True, "num_labels": 3, "label_weights": [1.0, 2.0, 0.5], "curve": "PR"},
        BITS,
        P,
    ),
    ("AUC", {"from_logits": True}, BITS, REAL),
    ("F1Score", {}, ONE_HOT, P),
    ("F1Score", {"average": "macro", "threshold": 0.5}, BITS, P),
    ("F1Score", {"average": "micro"}, ONE_HOT, P),
    ("FBetaScore", {"average": "weighted", "beta": 2.0, "threshold": 0.4}, BITS, P),
    ("SensitivityAtSpecificity", {"specificity": 0.4}, BITS, P),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6, "num_thresholds": 50}, BITS, P),
    ("PrecisionAtRecall", {"recall": 0.6}, BITS, P),
    ("RecallAtPrecision", {"precision": 0.6, "class_id": 1}, BITS, P),
    ("MeanSquaredError", {}, REAL, REAL2),
    ("RootMeanSquaredError", {}, REAL, REAL2),
    ("RootMeanSquaredError", {}, REAL, REAL2.astype("float16")),
    ("R2Score", {}, REAL, REAL2.astype("float16")),
    ("MeanAbsoluteError", {}, REAL, REAL2),
    ("MeanAbsolutePercentageError", {}, REAL, REAL2),
    ("MeanSquaredLogarithmicError", {}, P, P[::-1]),
    ("CosineSimilarity", {}, REAL, REAL2),
    ("LogCoshError", {}, REAL, REAL2),
    ("R2Score", {}, REAL, REAL2),
    ("R2Score", {"class_aggregation": None}, REAL, REAL2),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, REAL, REAL2),
    ("PearsonCorrelation", {}, REAL, REAL2),
    ("ConcordanceCorrelation", {}, REAL, REAL2),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, BITS, P),
    ("CategoricalCrossentropy", {"from_logits": True}, ONE_HOT, REAL),
    ("SparseCategoricalCrossentropy", {}, LABELS, P),
    ("KLDivergence", {}, P, P[::-1]),
    ("Poisson", {}, P, P[::-1]),
    ("Hinge", {}, BITS, REAL),
    ("SquaredHinge", {}, BITS, REAL),
    ("CategoricalHinge", {}, ONE_HOT, REAL),
    ("MeanIoU", {"num_classes": 3}, LABELS, np.array([0, 2, 2, 2, 1, 1])),
    (
        "IoU",
        {"num_classes": 3, "target_class_ids": [0, 2], "ignore_class": 1},
        LABELS,
        np.array([0, 2, 2, 2, 1, 1]),
    ),
    ("BinaryIoU", {"threshold": 0.4}, BITS, P),
    ("OneHotIoU", {"num_classes": 3, "target_class_ids": [1, 2]}, ONE_HOT, P),
    ("OneHotMeanIoU", {"num_classes": 3}, ONE_HOT, P),
]
IDS = [f"{row[0]}-{i}" for i, row in enumerate(METRICS)]
# Keras requests int64, which JAX does not enable by default.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Explicitly requested dtype int64", "ignore:You are passing weight as"
)
every_metric = pytest.mark.parametrize(
    ("cls", "settings", "y_true", "y_pred"),
    [
        pytest.param(*row, id=name, marks=pytest.mark.slow if number % 2 else ())
        for number, (row, name) in enumerate(zip(METRICS, IDS, strict=True))
    ],
)


def close(ours, theirs):
    assert np.shape(ours) == np.shape(theirs)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=1e-6)


@every_metric
def test_values_and_state_are_kerass(cls, settings, y_true, y_pred):
    import keras

    keras.utils.clear_session(free_memory=False)
    ours, theirs = getattr(metrics, cls)(**settings), getattr(keras.metrics, cls)(**settings)
    for weights in (None, np.arange(6.0) + 1, (np.arange(6.0) % 2)[:, None]):
        if weights is not None and y_true.shape[-1:] == (3,) and cls in (
            "Precision", "Recall", "TruePositives", "FalsePositives", "TrueNegatives",
            "FalseNegatives", "AUC", "SensitivityAtSpecificity", "SpecificityAtSensitivity",
            "PrecisionAtRecall", "RecallAtPrecision", "BinaryIoU", "R2Score",
            "RootMeanSquaredError",
        ) and weights.ndim == 1:  # fmt: skip
            weights = weights[:, None]
        if (
            weights is not None
            and weights.ndim == 2
            and (cls.endswith("IoU") and cls != "BinaryIoU")
        ):
            weights = weights[:, 0]
        if weights is not None and (cls in ("F1Score", "FBetaScore") or y_pred.ndim == 1):
            # With weights of shape (B, 1), Keras raises an error or makes B * B pairs.
            weights = weights.ravel()
        if weights is not None and cls == "BinaryIoU":
            weights = np.broadcast_to(weights, y_pred.shape).copy()  # Keras flattens all three
        ours.update_state(y_true, y_pred, sample_weight=weights)
        theirs.update_state(y_true, y_pred, sample_weight=weights)
        close(ours.result(), theirs.result())
    # Keras holds the confusion matrix in integers, so it truncates weights.
    assert [
        (v.path, v.shape, "int32" if cls.endswith("IoU") else v.dtype, v.trainable)
        for v in ours.variables
    ] == [(v.path, tuple(v.shape), v.dtype, v.trainable) for v in theirs.variables]
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        if a.name == "num_samples":  # Keras counts each output of a sample as a sample
            continue
        if a.name == "squared_sum":  # Keras's are not about the mean, which loses digits
            continue
        np.testing.assert_allclose(np.asarray(a.value), np.asarray(b.value), rtol=1e-5, atol=1e-5)
    ours.reset_state()
    assert not any(np.any(np.asarray(v.value)) for v in ours.variables)


@every_metric
def test_config_round_trip(cls, settings, y_true, y_pred):
    import keras

    keras.utils.clear_session(free_memory=False)
    ours = getattr(metrics, cls)(**settings)
    config, theirs = (
        metrics.serialize(ours),
        keras.metrics.serialize(getattr(keras.metrics, cls)(**settings)),
    )
    assert {k: config[k] for k in ("module", "class_name")} == {
        k: theirs[k] for k in ("module", "class_name")
    }
    missing = {k: v for k, v in theirs["config"].items() if config["config"].get(k) != v}
    # Keras writes arrays; Hornbeam writes lists.
    assert set(missing) <= {"thresholds", "label_weights"}
    again = metrics.deserialize(config)
    assert again.get_config() == ours.get_config()
    assert getattr(keras.metrics, cls).from_config(config["config"]).name == ours.name
    close(again(y_true, y_pred), ours(y_true, y_pred))


@every_metric
def test_program_and_stateless(cls, settings, y_true, y_pred):
    ours = getattr(metrics, cls)(**settings)
    expected = getattr(metrics, cls)(**settings)
    for _ in range(2):
        expected.update_state(y_true, y_pred)
    step = Program(lambda t, p: ours.update_state(t, p))
    step(y_true, y_pred)
    step(y_true, y_pred)
    close(Program(ours.result)(), expected.result())
    state = ours.stateless_update_state(ours.stateless_reset_state(), y_true, y_pred)
    state = ours.stateless_update_state(state, y_true, y_pred)
    close(ours.stateless_result(state), expected.result())


WEIGHTS = [None, (6,), (6, 1), (6, 3), (1, 3), (), (6, 3, 1)]


@pytest.mark.parametrize("shape", WEIGHTS)
@pytest.mark.parametrize("cls", ["Mean", "Sum"])
def test_weights_of_mean_and_sum(cls, shape):
    import keras

    weights = None if shape is None else np.random.default_rng(1).random(shape).astype("float32")
    ours, theirs = getattr(metrics, cls)(), getattr(keras.metrics, cls)()
    for metric in (ours, theirs):
        metric.update_state(P, sample_weight=weights)
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        close(a.value, b.value)


@pytest.mark.parametrize("weights", [None, np.array([[1.0, 2], [3, 4]])])
def test_mask_of_the_predictions(weights):
    import keras

    x = np.array([[[1.0, 2], [0, 0]], [[3, 4], [5, 6]]], "float32")
    theirs = keras.metrics.MeanSquaredError()
    theirs.update_state(np.zeros((2, 2, 2)), keras.layers.Masking()(x), sample_weight=weights)
    ours, y_pred = metrics.MeanSquaredError(), jnp.asarray(x)
    set_mask(y_pred, jnp.array([[True, False], [True, True]]))
    ours.update_state(np.zeros((2, 2, 2)), y_pred, sample_weight=weights)
    close(ours.result(), theirs.result())


ROWS_OF_CLASSES = [
    "KLDivergence", "CategoricalCrossentropy", "CategoricalHinge", "CategoricalAccuracy",
    "CosineSimilarity",
]  # fmt: skip


@pytest.mark.parametrize(
    "cls", [*ROWS_OF_CLASSES, "MeanSquaredError", "BinaryCrossentropy", "Poisson"]
)
def test_one_vector(cls):
    """For metrics that compare rows, a vector is one row; otherwise it has one number per sample.

    For a single call both equal Keras's result.
    """
    import keras

    close(
        getattr(metrics, cls)()(ONE_HOT[1], P[1]), getattr(keras.metrics, cls)()(ONE_HOT[1], P[1])
    )


def test_half_precision():
    """Predictions are compared in the metric's precision: the square of 300 exceeds float16."""
    y_pred = (300 * REAL2).astype("float16")
    close(metrics.MeanSquaredError()(REAL, y_pred), np.mean((REAL - y_pred.astype("float32")) ** 2))


def test_empty_results_are_zero():
    for cls in (metrics.Mean, metrics.AUC, metrics.Precision, metrics.F1Score, metrics.R2Score):
        assert float(cls().result()) == 0.0


def test_nested_metrics_and_old_spellings():
    class Both(metrics.Metric):
        def __init__(self, scale=2.0, **kwargs):
            super().__init__(**kwargs)
            self.scale = scale
            self.inner = metrics.Mean(name="inner")
            self.extra = self.add_weight("extra", initializer="zeros")

        def update_state(self, value):
            self.inner.update_state(value)
            self.extra.assign_add(1.0)

        def result(self):
            return self.scale * self.inner.result() + self.extra.value

        def reset_states(self):
            super().reset_states()

    metric = Both()
    assert [v.path for v in metric.variables] == ["both/extra", "inner/total", "inner/count"]
    assert float(metric(3.0)) == 7.0
    metric.reset_state()
    assert float(metric.result()) == 0.0
    assert Both.from_config(metric.get_config()).scale == 2.0


def test_names_are_numbered_where_keras_numbers_them():
    made = [
        metrics.AUC(),
        metrics.AUC(),
        metrics.Precision(),
        metrics.Mean(),
        metrics.Mean(),
        metrics.MeanIoU(2),
    ]
    assert [m.name for m in made] == ["auc", "auc_1", "precision", "mean", "mean", "mean_io_u"]


NAMES = (
    "mse MSE mae mape msle rmse bce kld logcosh cosine_similarity cosine_proximity acc accuracy"
    " binary_accuracy AUC auc precision Recall f1_score r2_score top_k_categorical_accuracy sum"
    " mean hinge KLDivergence huber"
).split()


@pytest.mark.parametrize("name", NAMES)
def test_get_by_name(name):
    assert callable(metrics.get(name))


def test_get_other_things():
    assert metrics.get(None) is None
    assert metrics.get(metrics.binary_accuracy) is metrics.binary_accuracy
    assert metrics.get({"class_name": "AUC", "config": {"num_thresholds": 7}}).num_thresholds == 7
    with pytest.raises(ValueError, match="Did you mean"):
        metrics.get("acuracy")
    with pytest.raises(ValueError, match="needs arguments"):
        metrics.get("MeanIoU")
    with pytest.raises(ValueError, match="curve"):
        metrics.AUC(curve="x")


def test_adjusted_r2_counts_samples():
    metric = metrics.R2Score(num_regressors=2, class_aggregation=None)
    plain = metrics.R2Score(class_aggregation=None)
    for one in (metric, plain):
        one.update_state(REAL, REAL2)
    adjusted = 1 - (1 - np.asarray(plain.result())) * (len(REAL) - 1) / (len(REAL) - 2 - 1)
    np.testing.assert_allclose(metric.result(), adjusted, rtol=1e-5)


# Functions that metrics wrap a loss or an accuracy with: (name, targets, predictions).
FUNCTIONS = [
    ("binary_focal_crossentropy", BITS, P), ("categorical_focal_crossentropy", ONE_HOT, P),
    ("squared_hinge", BITS, P),
    ("categorical_crossentropy", ONE_HOT, P), ("categorical_hinge", ONE_HOT, P),
    ("poisson", BITS, P),
    ("sparse_categorical_crossentropy", LABELS, P), ("categorical_accuracy", ONE_HOT, P),
    ("sparse_categorical_accuracy", LABELS, P), ("sparse_top_k_categorical_accuracy", LABELS, P),
    ("concordance_correlation", BITS, P), ("pearson_correlation", BITS, P),
]  # fmt: skip


@pytest.mark.parametrize(("name", "y_true", "y_pred"), FUNCTIONS)
def test_functions_are_kerass(name, y_true, y_pred):
    ours, theirs = (
        np.asarray(getattr(library.metrics, name)(y_true, y_pred)) for library in (hornbeam, keras)
    )
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_function_as_a_metric():
    for library in (hornbeam, keras):
        metric = library.metrics.MeanMetricWrapper(
            lambda y_true, y_pred, power: abs(y_true - y_pred) ** power, power=2
        )
        metric.update_state(
            np.array([[1.0], [2.0]]), np.array([[3.0], [2.0]]), sample_weight=np.array([1.0, 3.0])
        )
        assert float(metric.result()) == 1.0


# Labels of every kind: targets, predictions, and the true and predicted rows of classes.
F_PREDICTIONS = np.random.RandomState(5).rand(12, 3).astype("float32")
F_LABELS = np.random.RandomState(6).randint(0, 3, 12)
F_BITS = (np.random.RandomState(7).rand(12, 3) > 0.5).astype("int32")
F_ROWS = np.eye(3)[F_LABELS], np.eye(3)[F_PREDICTIONS.argmax(-1)]
F_COLUMN = F_BITS[:, :1], F_PREDICTIONS[:, :1] > 0.5
F_SCORES = {
    "class_numbers": (F_LABELS, F_PREDICTIONS, *F_ROWS, {}),
    "column_of_class_numbers": (F_LABELS[:, None], F_PREDICTIONS, *F_ROWS, {}),
    "one_hot": (np.eye(3)[F_LABELS], F_PREDICTIONS, *F_ROWS, {}),
    "steps": (F_LABELS.reshape(4, 3), F_PREDICTIONS.reshape(4, 3, 3), *F_ROWS, {}),
    "multi_label": (F_BITS, F_PREDICTIONS, F_BITS, F_PREDICTIONS > 0.4, {"threshold": 0.4}),
    "binary": (F_BITS[:, 0], F_PREDICTIONS[:, 0], *F_COLUMN, {}),
    "binary_column": (F_BITS[:, :1], F_PREDICTIONS[:, :1], *F_COLUMN, {}),
    "binary_mixed": (F_BITS[:, 0], F_PREDICTIONS[:, :1], *F_COLUMN, {}),
}


def f_score(truth, decision, beta, weights=1.0):
    """Return the F-score of each class by its definition."""
    truth, decision = truth.astype("float64"), decision.astype("float64")
    hits = (weights * truth * decision).sum(0)
    return (1 + beta**2) * hits / (beta**2 * (weights * truth).sum(0) + (weights * decision).sum(0))


@pytest.mark.parametrize("name", F_SCORES)
def test_f_scores_of_labels_of_every_kind(name):
    y_true, y_pred, truth, decision, options = F_SCORES[name]
    for beta in (1.0, 2.0):
        make = (
            metrics.F1Score
            if beta == 1
            else lambda beta=beta, **options: metrics.FBetaScore(beta=beta, **options)
        )
        np.testing.assert_allclose(
            make(**options)(y_true, y_pred), f_score(truth, decision, beta), rtol=1e-5
        )
        micro = f_score(truth.reshape(-1, 1), decision.reshape(-1, 1), beta)[0]
        np.testing.assert_allclose(
            make(average="micro", **options)(y_true, y_pred), micro, rtol=1e-5
        )
    weights = np.arange(1.0, 13.0)
    given = weights.reshape(4, 3) if name == "steps" else weights
    score = metrics.F1Score(average="macro", **options)
    for part in np.split(np.arange(len(y_true)), 2):  # two batches
        score.update_state(y_true[part], y_pred[part], sample_weight=given[part])
    np.testing.assert_allclose(
        score.result(), f_score(truth, decision, 1.0, weights[:, None]).mean(), rtol=1e-5
    )


@pytest.mark.parametrize("name", [name for name in F_SCORES if name != "binary"])
@pytest.mark.parametrize("metric", mostly_slow(["f1_score", "fbeta_score", "object"], ["f1_score"]))
def test_f_scores_in_compile(name, metric):
    y_true, y_pred, truth, decision, options = F_SCORES[name]
    threshold = options.get("threshold")
    if metric != "object" and threshold:  # a metric given by name uses the threshold 0.5
        decision, threshold = y_pred > 0.5, None
    given = (
        metrics.F1Score(average="macro", threshold=threshold, name="object")
        if metric == "object"
        else metric
    )
    loss = {"one_hot": "categorical_crossentropy", "steps": "sparse_categorical_crossentropy"}.get(
        name
    )
    loss = loss or (
        "sparse_categorical_crossentropy" if "class_numbers" in name else "binary_crossentropy"
    )
    model = hornbeam.Sequential([hornbeam.Input(y_pred.shape[1:]), hornbeam.layers.Identity()])
    model.compile("sgd", loss, metrics=[given])
    result = model.evaluate(y_pred, y_true, batch_size=5, verbose=0, return_dict=True)[metric]
    np.testing.assert_allclose(result, f_score(truth, decision, 1.0).mean(), rtol=1e-5)


def test_f_scores_updated_in_call():
    class Scored(hornbeam.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.score = metrics.F1Score(average="macro", name="inner")

        def call(self, inputs):
            labels, predictions = inputs
            self.score.update_state(labels, predictions)
            return predictions

    inputs = [hornbeam.Input((), dtype="int32"), hornbeam.Input((3,))]
    model = hornbeam.Model(inputs, Scored()(inputs))
    model.compile("sgd", "sparse_categorical_crossentropy")
    results = model.evaluate(
        [F_LABELS, F_PREDICTIONS], F_LABELS, batch_size=5, verbose=0, return_dict=True
    )
    np.testing.assert_allclose(results["inner"], f_score(*F_ROWS, 1.0).mean(), rtol=1e-5)


def test_f_scores_name_what_does_not_fit():
    with pytest.raises(
        ValueError, match=r"F1Score.*\(4, 2\).*\(4, 3\).*class numbers of shape \(4,\)"
    ):
        metrics.F1Score()(np.zeros((4, 2)), np.zeros((4, 3)))
