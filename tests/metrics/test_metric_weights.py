"""Losses and metrics with weights of every shape, equal to a computation by hand."""

import numpy as np
import pytest
from compare import mostly_slow

from hornbeam import layers, losses, metrics, models, optimizers
from hornbeam.core.convert import convert
from hornbeam.core.masks import set_mask

RANDOM = np.random.default_rng(3)


def sigmoid_entropy(t, p):
    return -t * np.log(p) - (1 - t) * np.log(1 - p)


# Values of each number, whose mean over the last axis is the loss.
PER_NUMBER = {
    "MeanSquaredError": lambda t, p: (t - p) ** 2,
    "MeanAbsoluteError": lambda t, p: abs(t - p),
    "MeanAbsolutePercentageError": lambda t, p: 100 * abs(t - p) / np.maximum(abs(t), 1e-7),
    "MeanSquaredLogarithmicError": lambda t, p: (np.log1p(t) - np.log1p(p)) ** 2,
    "LogCosh": lambda t, p: np.log(np.cosh(t - p)),
    "Huber": lambda t, p: 0.5 * (t - p) ** 2,
    "Poisson": lambda t, p: p - t * np.log(p + 1e-7),
    "Hinge": lambda t, p: np.maximum(1 - (2 * t - 1) * p, 0),
    "SquaredHinge": lambda t, p: np.maximum(1 - (2 * t - 1) * p, 0) ** 2,
    "BinaryCrossentropy": sigmoid_entropy,
    "BinaryFocalCrossentropy": lambda t, p: (
        (1 - np.where(t == 1, p, 1 - p)) ** 2 * sigmoid_entropy(t, p)
    ),
    "Accuracy": lambda t, p: t == p,
    "BinaryAccuracy": lambda t, p: t == (p > 0.5),
    "RootMeanSquaredError": lambda t, p: (t - p) ** 2,
}
# Values of each row of classes.
PER_ROW = {
    "CategoricalCrossentropy": lambda t, p: -np.log(p[t == 1]).reshape(t.shape[:-1]),
    "CategoricalAccuracy": lambda t, p: t.argmax(-1) == p.argmax(-1),
    "TopKCategoricalAccuracy": lambda t, p: (p > p[t == 1].reshape(*t.shape[:-1], 1)).sum(-1) < 2,
    "KLDivergence": lambda t, p: -np.log(p[t == 1]).reshape(t.shape[:-1]),
    "CategoricalHinge": lambda t, p: np.maximum(
        1 + np.where(t == 1, -1, p).max(-1) - (t * p).sum(-1), 0
    ),
    "CosineSimilarity": lambda t, p: (t * p).sum(-1) / np.sqrt((p**2).sum(-1)),
}
RANKS = [(4,), (4, 1), (4, 3), (4, 2, 3), (4, 2, 1), (4, 5, 2, 3)]
SETTINGS = {"TopKCategoricalAccuracy": {"k": 2}, "SparseTopKCategoricalAccuracy": {"k": 2}}


def known(module, name):
    return hasattr(module, name)


def weights_of_shapes(shape):
    """Return weights for rows, and for each longer beginning of `shape`."""
    shapes = [shape[:n] for n in range(1, len(shape) + 1)]
    shapes += [(*s, 1) for s in shapes if s[-1] != 1]
    return [RANDOM.random(s).astype("float32") for s in dict.fromkeys(shapes)]


def spread(weights, shape):
    """Return weights for each number of `shape`, as a reader would expect."""
    if weights.ndim > len(shape):
        weights = weights[..., 0]
    weights = weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))
    return np.broadcast_to(weights, shape)


def numbers(name, shape):
    t = RANDOM.integers(0, 2, shape).astype("float32")
    p = RANDOM.uniform(0.1, 0.9, shape).astype("float32")
    return t, np.where(p < 0.4, t, 1 - t) if name == "Accuracy" else p


def check(name, values, t, p, weights):
    """Compare the loss and the metric `name` with the weighted means of `values`."""
    weights_by_hand = None if weights is None else spread(weights, values.shape)
    total = np.mean(values if weights is None else weights_by_hand * values)
    if known(losses, name) and name != "CosineSimilarity":
        ours = getattr(losses, name)()(t, p, sample_weight=weights)
        np.testing.assert_allclose(ours, total, rtol=1e-4, err_msg=name)
        by_hand = np.average(values, weights=weights_by_hand)
        loss = getattr(losses, name)(reduction="mean_with_sample_weight")
        np.testing.assert_allclose(
            loss(t, p, sample_weight=weights), by_hand, rtol=1e-4, err_msg=name
        )
    name = {"LogCosh": "LogCoshError"}.get(name, name)
    if known(metrics, name):
        ours = getattr(metrics, name)(**SETTINGS.get(name, {}))(t, p, sample_weight=weights)
        by_hand = np.average(values, weights=weights_by_hand)
        by_hand = np.sqrt(by_hand) if name == "RootMeanSquaredError" else by_hand
        np.testing.assert_allclose(ours, by_hand, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("shape", RANKS)
@pytest.mark.parametrize("name", mostly_slow(PER_NUMBER, ("MeanSquaredError", "BinaryAccuracy")))
def test_a_weight_for_each_number(name, shape):
    t, p = numbers(name, shape)
    values = PER_NUMBER[name](t.astype("float64"), p.astype("float64")).astype("float64")
    for weights in (None, *weights_of_shapes(shape)):
        check(name, values, t, p, weights)
        if shape[-1] == 1:  # targets without the last axis
            check(name, values, t[..., 0], p, weights)


@pytest.mark.parametrize("shape", [s for s in RANKS if s[-1] == 3])
@pytest.mark.parametrize("name", mostly_slow(PER_ROW, ("CategoricalCrossentropy",)))
def test_a_weight_for_each_row_of_classes(name, shape):
    p = RANDOM.uniform(0.1, 0.9, shape)
    p = (p / p.sum(-1, keepdims=True)).astype("float32")
    labels = RANDOM.integers(0, 3, shape[:-1])
    t = np.eye(3, dtype="float32")[labels]
    values = PER_ROW[name](t, p.astype("float64")).astype("float64")
    for weights in (None, *weights_of_shapes(shape[:-1])):
        check(name, values, t, p, weights)
        if name in ("CategoricalCrossentropy", "CategoricalAccuracy", "TopKCategoricalAccuracy"):
            for y in (labels, labels[..., None]):
                check("Sparse" + name, values, y, p, weights)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 2)])
def test_an_ignored_class_does_not_count(shape):
    labels = RANDOM.integers(0, 3, shape)
    labels.flat[:2] = 0, 1  # at least one that counts
    p = RANDOM.uniform(0.1, 0.9, (*shape, 3))
    p = (p / p.sum(-1, keepdims=True)).astype("float32")
    chosen = np.take_along_axis(p, labels[..., None], -1)[..., 0]
    for ignored in (1, 2):
        counts = labels != ignored
        for weights in (None, *weights_of_shapes(shape)):
            factor = counts * (1.0 if weights is None else spread(weights, shape))
            total = np.sum(factor * -np.log(chosen))
            loss = losses.SparseCategoricalCrossentropy(ignore_class=ignored)
            ours = loss(labels, p, sample_weight=weights)
            np.testing.assert_allclose(ours, total / counts.sum(), rtol=1e-4)
            metric = metrics.SparseCategoricalCrossentropy(ignore_class=ignored)
            ours = metric(labels, p, sample_weight=weights)
            np.testing.assert_allclose(ours, total / factor.sum(), rtol=1e-4)
            iou = metrics.MeanIoU(3, ignore_class=ignored, sparse_y_pred=False)
            ours = iou(labels, p, sample_weight=weights)
            np.testing.assert_allclose(ours, iou_by_hand(labels, p.argmax(-1), factor), rtol=1e-4)


def iou_by_hand(t, p, weights):
    scores = []
    for number in range(3):
        both = np.sum(weights * ((t == number) & (p == number)))
        either = np.sum(weights * ((t == number) | (p == number)))
        scores += [both / either] if either else []
    return np.mean(scores)


@pytest.mark.parametrize("t", [[-1, 0, 1, 2], [0, 0, 1, 2], [3, 0, 1, 2]])
@pytest.mark.parametrize("p", [[2, 0, 1, 1], [-1, 0, 1, 1], [5, 0, 1, 1]])
def test_numbers_that_are_no_class_do_not_count(t, p):
    t, p = np.array(t), np.array(p)
    counts = np.array([t[0] in (0, 1, 2) and p[0] in (0, 1, 2), 1, 1, 1])
    weights = np.array([0.5, 0.25, 0.75, 1.5])
    for given in (None, weights):
        factor = counts * (1 if given is None else weights)
        ours = metrics.MeanIoU(3)(t, p, sample_weight=given)
        np.testing.assert_allclose(ours, iou_by_hand(t, p, factor), rtol=1e-5)


MASK = np.arange(5) < np.array([5, 3, 1, 2])[:, None]


def masked(p):
    """Return predictions that carry `MASK`, a mask of steps."""
    scores = convert(p)
    set_mask(scores, MASK)
    return scores


def check_masked(name, values, t, p, weights):
    """Compare the masked loss and metric `name` with means of the values that are not masked."""
    valid = spread(MASK, values.shape)
    factor = valid * (1.0 if weights is None else spread(weights, values.shape))
    total = np.sum(values * factor)
    if known(losses, name) and name != "CosineSimilarity":
        ours = getattr(losses, name)()(t, masked(p), sample_weight=weights)
        np.testing.assert_allclose(ours, total / valid.sum(), rtol=1e-4, err_msg=name)
        loss = getattr(losses, name)(reduction="mean_with_sample_weight")
        ours = loss(t, masked(p), sample_weight=weights)
        np.testing.assert_allclose(ours, total / factor.sum(), rtol=1e-4, err_msg=name)
    name = {"LogCosh": "LogCoshError"}.get(name, name)
    if known(metrics, name):
        ours = getattr(metrics, name)(**SETTINGS.get(name, {}))(t, masked(p), sample_weight=weights)
        by_hand = total / factor.sum()
        by_hand = np.sqrt(by_hand) if name == "RootMeanSquaredError" else by_hand
        np.testing.assert_allclose(ours, by_hand, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", mostly_slow(PER_NUMBER, ("RootMeanSquaredError", "Hinge")))
def test_a_mask_and_weights(name):
    """A mask of steps and weights of rows, steps or numbers multiply."""
    for shape in ((4, 5, 2), (4, 5, 1)):
        t, p = numbers(name, shape)
        values = PER_NUMBER[name](t.astype("float64"), p.astype("float64")).astype("float64")
        for weights in (None, *weights_of_shapes(shape)):
            check_masked(name, values, t, p, weights)
            if shape[-1] == 1:
                check_masked(name, values, t[..., 0], p, weights)


@pytest.mark.parametrize("name", mostly_slow(PER_ROW, ("CategoricalAccuracy",)))
def test_a_mask_and_weights_of_rows_of_classes(name):
    p = RANDOM.uniform(0.1, 0.9, (4, 5, 3))
    p = (p / p.sum(-1, keepdims=True)).astype("float32")
    labels = RANDOM.integers(0, 3, (4, 5))
    t = np.eye(3, dtype="float32")[labels]
    values = PER_ROW[name](t, p.astype("float64")).astype("float64")
    for weights in (None, *weights_of_shapes((4, 5))):
        check_masked(name, values, t, p, weights)
        if name in ("CategoricalCrossentropy", "CategoricalAccuracy", "TopKCategoricalAccuracy"):
            for y in (labels, labels[..., None]):
                check_masked("Sparse" + name, values, y, p, weights)


@pytest.mark.parametrize("ignored", mostly_slow([-1, 1, 255], quick=[-1]))
def test_a_mask_and_an_ignored_class(ignored):
    labels = RANDOM.integers(0, 3, (4, 5))
    labels[1, 1:3] = labels[2, 4] = ignored
    p = RANDOM.uniform(0.1, 0.9, (4, 5, 3))
    p = (p / p.sum(-1, keepdims=True)).astype("float32")
    counts = (labels != ignored) & MASK
    rows = np.where(labels == ignored, 0, labels)
    values = -np.log(np.take_along_axis(p, rows[..., None], -1)[..., 0])
    for weights in (None, *weights_of_shapes((4, 5))):
        factor = counts * (1.0 if weights is None else spread(weights, labels.shape))
        total = np.sum(factor * values)
        for reduction, divisor in (
            ("sum_over_batch_size", counts.sum()),
            ("sum", 1),
            ("mean_with_sample_weight", factor.sum()),
        ):
            loss = losses.SparseCategoricalCrossentropy(ignore_class=ignored, reduction=reduction)
            ours = loss(labels, masked(p), sample_weight=weights)
            np.testing.assert_allclose(ours, total / divisor, rtol=1e-4)
        metric = metrics.SparseCategoricalCrossentropy(ignore_class=ignored)
        ours = metric(labels, masked(p), sample_weight=weights)
        np.testing.assert_allclose(ours, total / factor.sum(), rtol=1e-4)
        for iou in (
            metrics.MeanIoU(3, ignore_class=ignored, sparse_y_pred=False),
            metrics.IoU(3, [0, 1, 2], ignore_class=ignored, sparse_y_pred=False),
        ):
            ours = iou(labels, masked(p), sample_weight=weights)
            np.testing.assert_allclose(ours, iou_by_hand(labels, p.argmax(-1), factor), rtol=1e-4)


OTHER_METRICS = {
    "AUC": lambda: metrics.AUC(num_thresholds=10),
    "labels' AUC": lambda: metrics.AUC(num_thresholds=10, multi_label=True),
    "Precision": lambda: metrics.Precision(),
    "Recall": lambda: metrics.Recall(top_k=1),
    "TrueNegatives": lambda: metrics.TrueNegatives([0.3, 0.7]),
    "SensitivityAtSpecificity": lambda: metrics.SensitivityAtSpecificity(0.3, num_thresholds=10),
    "BinaryIoU": lambda: metrics.BinaryIoU(),
    "OneHotMeanIoU": lambda: metrics.OneHotMeanIoU(3),
    "F1Score": lambda: metrics.F1Score(threshold=0.4),
    "R2Score": lambda: metrics.R2Score(),
}


@pytest.mark.parametrize("name", mostly_slow(OTHER_METRICS, ("BinaryIoU", "F1Score")))
def test_masked_steps_do_not_count(name):
    """A masked batch is as good as the rows that are not masked."""
    t, p = numbers("", (4, 5, 3))
    for weights in (None, *weights_of_shapes((4, 5))):
        ours, by_hand = OTHER_METRICS[name](), OTHER_METRICS[name]()
        ours.update_state(t, masked(p), sample_weight=weights)
        given = None if weights is None else spread(weights, (4, 5))[MASK]
        by_hand.update_state(t[MASK], p[MASK], sample_weight=given)
        np.testing.assert_allclose(ours.result(), by_hand.result(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("eager", mostly_slow([False, True], quick=[False]))
def test_masks_of_layers_reach_losses_and_metrics(eager):
    """In `fit` and `evaluate`: means of steps that are not padding, weighted where it is asked."""
    tokens = np.array([[1, 2, 3, 4, 1], [4, 3, 2, 0, 0], [2, 0, 0, 0, 0], [1, 1, 0, 0, 0]])
    labels = RANDOM.integers(0, 3, tokens.shape)
    labels[0, 1] = -1
    model = models.Sequential(
        [
            layers.Input((None,)),
            layers.Embedding(5, 3, mask_zero=True),
            layers.Dense(3, activation="softmax"),
        ]
    )
    names = ["sparse_categorical_accuracy"]
    iou = metrics.MeanIoU(3, name="iou", sparse_y_pred=False)
    model.compile(
        optimizers.SGD(0.0),
        losses.SparseCategoricalCrossentropy(ignore_class=-1),
        names,
        weighted_metrics=["sparse_categorical_accuracy", iou],
        run_eagerly=eager,
    )
    p = np.asarray(model(tokens)).astype("float64")
    counts = (tokens > 0) & (labels >= 0)
    chosen = np.take_along_axis(p, np.maximum(labels, 0)[..., None], -1)[..., 0]
    hits = labels == p.argmax(-1)
    for weights in (None, RANDOM.random((4, 5))):
        w = np.ones((4, 5)) if weights is None else spread(weights, (4, 5))
        by_hand = {
            "loss": np.sum(-np.log(chosen) * w * counts) / counts.sum(),
            "sparse_categorical_accuracy": hits[tokens > 0].mean(),
            "weighted_sparse_categorical_accuracy": np.average(hits, weights=w * (tokens > 0)),
            "iou": iou_by_hand(labels, p.argmax(-1), w * counts),
        }
        ours = model.evaluate(
            tokens, labels, sample_weight=weights, batch_size=4, verbose=0, return_dict=True
        )
        assert ours == pytest.approx(by_hand, rel=1e-4, abs=1e-6)
        history = model.fit(tokens, labels, sample_weight=weights, batch_size=4, verbose=0).history
        assert {k: v[0] for k, v in history.items()} == pytest.approx(by_hand, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("shape", RANKS)
def test_counts_of_outcomes(shape):
    t, p = numbers("", shape)
    for weights in (None, *weights_of_shapes(shape)):
        factor = np.ones(shape) if weights is None else spread(weights, shape)
        hits = np.sum(factor * t * (p > 0.5))
        for targets in (t, t[..., 0]) if shape[-1] == 1 else (t,):
            for name, by_hand in (
                ("TruePositives", hits),
                ("FalseNegatives", np.sum(factor * t * (p <= 0.5))),
                ("Precision", hits / max(np.sum(factor * (p > 0.5)), 1e-9)),
                ("Recall", hits / max(np.sum(factor * t), 1e-9)),
            ):
                ours = getattr(metrics, name)()(targets, p, sample_weight=weights)
                np.testing.assert_allclose(ours, by_hand, rtol=1e-4, atol=1e-6)
            ours = metrics.BinaryIoU()(targets, p, sample_weight=weights)
            by_hand = iou_by_hand(t, p > 0.5, factor)
            np.testing.assert_allclose(ours, by_hand, rtol=1e-4)


def r2_score(t, p, weights, aggregation, regressors):
    t, p, w = (np.asarray(a, "float64").reshape(-1, a.shape[-1]) for a in (t, p, weights))
    mean = (t * w).sum(0) / w.sum(0)
    total = (w * (t - mean) ** 2).sum(0)
    scores = 1 - (w * (t - p) ** 2).sum(0) / total
    if aggregation == "uniform_average":
        scores = scores.mean()
    elif aggregation is not None:
        scores = (scores * total).sum() / total.sum()
    return 1 - (1 - scores) * (len(t) - 1) / (len(t) - regressors - 1) if regressors else scores


@pytest.mark.parametrize("shape", mostly_slow([(8, 3), (8,), (8, 1), (8, 2, 3)], quick=[(8, 3)]))
def test_r2_score(shape):
    rows = shape if len(shape) > 1 else (*shape, 1)
    for offset in (0, 2000):  # the squares of targets far from zero lose their digits
        t = (RANDOM.normal(size=shape) + offset).astype("float32")
        p = (t + RANDOM.normal(size=shape) / 3).astype("float32")
        for weights in (None, *weights_of_shapes(shape)):
            given = np.ones(shape) if weights is None else spread(weights, shape)
            for aggregation in ("uniform_average", "variance_weighted_average", None):
                regressors = 2 if len(shape) < 3 and aggregation else 0
                score = metrics.R2Score(aggregation, regressors)
                for part in (slice(0, 3), slice(3, 8)):
                    score.update_state(t[part], p[part], None if weights is None else weights[part])
                np.testing.assert_allclose(
                    score.result(),
                    r2_score(*(a.reshape(rows) for a in (t, p, given)), aggregation, regressors),
                    rtol=2e-3, atol=1e-4,
                )  # fmt: skip


@pytest.mark.parametrize("average", mostly_slow([None, "micro", "macro", "weighted"], quick=[None]))
def test_f_scores(average):
    for shape in ((6, 3), (6, 1), (6, 2, 3)):
        t, p = numbers("MeanSquaredError", shape)
        for weights in (None, *weights_of_shapes(shape)):
            given = np.ones(shape) if weights is None else spread(weights, shape)
            hits, w = (a.reshape(-1, shape[-1]) for a in (p > 0.4, given.astype("float64")))
            y = t.reshape(-1, shape[-1])
            axis = None if average == "micro" else 0
            tp, found, there = ((a * w).sum(axis) for a in (y * hits, hits, y))
            expected = 5 * tp / np.maximum(found + 4 * there, 1e-9)
            if average == "weighted":
                expected = (expected * there).sum() / there.sum()
            elif average == "macro":
                expected = expected.mean()
            found = metrics.FBetaScore(average, 2.0, 0.4)(t, p, sample_weight=weights)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
