"""Models as estimators of scikit-learn: scikit-learn's own checks, and values."""

import pickle
import sys
import warnings

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import hornbeam as hb

X = np.random.RandomState(0).randn(40, 3)
LABELS = np.where(X[:, 0] > 0, "oak", "elm")


def network(X, y, units=4, loss="categorical_crossentropy"):
    """Return a compiled network, each time with the same weights."""
    hb.utils.set_random_seed(0)
    activation = None if loss == "mse" else "softmax"
    model = hb.Sequential(
        [
            hb.Input(X.shape[1:]),
            hb.layers.Dense(units, activation="relu"),
            hb.layers.Dense(y.shape[1], activation=activation),
        ]
    )
    model.compile(hb.optimizers.Adam(0.05), loss)
    return model


def compiled(library, units, activation, loss):
    model = library.Sequential(
        [library.Input((3,)), library.layers.Dense(units, activation=activation)]
    )
    model.compile(library.optimizers.SGD(0.1), loss)
    return model


QUIET = {"epochs": 1, "verbose": 0}
REGRESSION = {"model_kwargs": {"loss": "mse"}, "fit_kwargs": QUIET}
ESTIMATORS = {
    "classifier": hb.wrappers.SKLearnClassifier(network, fit_kwargs=QUIET),
    "regressor": hb.wrappers.SKLearnRegressor(network, **REGRESSION),
    "transformer": hb.wrappers.SKLearnTransformer(network, **REGRESSION),
}
# What does not hold, and why.
EXPECTED = {
    "check_classifiers_one_label_sample_weights": "one epoch does not learn it",
    "check_regressor_multioutput": "predictions have the dtype of the model, float32",
}
QUICK = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_requires_y_none",
    "check_estimators_unfitted",
)


def checks():
    for kind, estimator in ESTIMATORS.items():
        for number, (made, check) in enumerate(estimator_checks_generator(estimator)):
            name = check.func.__name__
            marks = [] if name in QUICK else [pytest.mark.slow]
            yield pytest.param(made, check, id=f"{kind}-{number}-{name}", marks=marks)


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_the_checks_of_scikit_learn(estimator, check):
    if check.func.__name__ in EXPECTED:
        pytest.skip(EXPECTED[check.func.__name__])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks give warnings of their own
        check(estimator)


def test_a_classifier_learns_labels_in_a_search_over_a_pipeline():
    stopping = hb.callbacks.EarlyStopping("loss", patience=50)
    classifier = hb.wrappers.SKLearnClassifier(
        network, model_kwargs={"units": 8}, fit_kwargs={"verbose": 0, "callbacks": [stopping]}
    )
    search = GridSearchCV(
        make_pipeline(StandardScaler(), classifier),
        {"sklearnclassifier__model__units": [8], "sklearnclassifier__fit__epochs": [1, 40]},
        cv=2,
    ).fit(X, LABELS)
    assert search.best_params_["sklearnclassifier__fit__epochs"] == 40
    assert search.score(X, LABELS) > 0.9
    best = search.best_estimator_[-1]
    assert best.get_params()["model__units"] == best.model_.layers[0].units == 8
    assert len(best.history_.history["loss"]) == 40
    assert classifier.fit_kwargs == {"verbose": 0, "callbacks": [stopping]}
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(again.predict(X), best.predict(X))
    np.testing.assert_allclose(again.predict_proba(X), best.predict_proba(X), rtol=1e-5)
    # Scores that need probabilities.
    assert np.all(cross_val_score(clone(best), X, LABELS, cv=2, scoring="roc_auc") > 0.9)


@pytest.mark.parametrize(
    ("units", "activation", "loss"),
    [
        (2, "softmax", "categorical_crossentropy"),
        (2, "softmax", "sparse_categorical_crossentropy"),
        (2, None, hb.losses.SparseCategoricalCrossentropy(from_logits=True)),
        (1, "sigmoid", "binary_crossentropy"),
        (1, None, hb.losses.BinaryCrossentropy(from_logits=True)),
    ],
    ids=["one_hot", "numbers", "numbers_logits", "sigmoid", "logits"],
)
def test_two_classes_as_each_loss_takes_them(units, activation, loss):
    model = compiled(hb, units, activation, loss)
    first = model.get_weights()[0]
    classifier = hb.wrappers.SKLearnClassifier(model, fit_kwargs={"epochs": 30, "verbose": 0})
    classifier.fit(X, LABELS, validation_data=(X[:5], LABELS[:5]), batch_size=4)
    assert "val_loss" in classifier.history_.history
    assert classifier.score(X, LABELS) > 0.85
    chances, decisions = classifier.predict_proba(X), classifier.decision_function(X)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(classifier.predict(X) == "oak", decisions > 0)
    np.testing.assert_array_equal(chances[:, 1] > 0.5, decisions > 0)
    # The model was copied.
    assert classifier.model_ is not model
    np.testing.assert_array_equal(model.get_weights()[0], first)


# Keras converts its variables in a way that NumPy deprecates.
@pytest.mark.filterwarnings("ignore:__array__")
def test_results_of_the_same_weights_are_those_of_keras():
    targets = {
        "SKLearnClassifier": np.array(["a", "b", "c", "a"] * 10),
        "SKLearnRegressor": X[:, 1],
    }
    for name, y in targets.items():
        units, loss = (1, "mse") if "Reg" in name else (3, "categorical_crossentropy")
        ours, theirs = (
            getattr(library.wrappers, name)(
                compiled(library, units, "softmax" if units > 1 else None, loss),
                fit_kwargs=QUIET,
            ).fit(X, y)
            for library in (hb, keras)
        )
        ours.model_.set_weights(theirs.model_.get_weights())
        for method in ("predict", "decision_function", "score")[:: 1 if units > 1 else 2]:
            data = (X, y) if method == "score" else (X,)
            result, expected = getattr(ours, method)(*data), getattr(theirs, method)(*data)
            assert np.asarray(result).dtype == np.asarray(expected).dtype
            if np.asarray(result).dtype.kind == "U":
                np.testing.assert_array_equal(result, expected)
            else:
                np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_several_targets_and_inputs_with_more_axes():
    images = X.reshape(40, 3, 1)
    flat = hb.Sequential([hb.Input((3, 1)), hb.layers.Flatten(), hb.layers.Dense(2)])
    flat.compile("sgd", "mse")
    regressor = hb.wrappers.SKLearnRegressor(flat, fit_kwargs=QUIET).fit(images, X[:, :2])
    assert regressor.predict(images).shape == (40, 2)
    with pytest.warns(DataConversionWarning, match="column-vector"):
        regressor = hb.wrappers.SKLearnRegressor(network, **REGRESSION).fit(X, X[:, :1])
    assert regressor.predict(X).shape == (40,)
    transformer = hb.wrappers.SKLearnTransformer(network, **REGRESSION).fit(X, X[:, :2])
    assert transformer.transform(X).shape == (40, 2)
    assert list(transformer.get_feature_names_out()) == [
        "sklearntransformer0",
        "sklearntransformer1",
    ]
    frame = transformer.set_output(transform="pandas").transform(X)
    assert list(frame.columns) == ["sklearntransformer0", "sklearntransformer1"]


def test_a_warm_start_goes_on_with_the_same_weights():
    model = compiled(hb, 1, None, "mse")
    regressor = hb.wrappers.SKLearnRegressor(model, warm_start=True, fit_kwargs=QUIET)
    losses = [regressor.fit(X, X[:, 0]).history_.history["loss"][0] for _ in range(3)]
    assert losses == sorted(losses, reverse=True)
    assert regressor.model_ is model


def test_errors_name_the_estimator_and_the_remedy():
    make = hb.wrappers.SKLearnClassifier
    with pytest.raises(NotFittedError):
        make(network).predict(X)
    with pytest.raises(RuntimeError, match=r"SKLearnClassifier: .* is not compiled.*compile\("):
        make(hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)])).fit(X, LABELS)
    with pytest.raises(TypeError, match=r"`model` must be a compiled Model.*received 3"):
        make(3).fit(X, LABELS)
    with pytest.raises(TypeError, match=r"function `model` must return .*None"):
        make(lambda X, y: None).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"binary and multiclass.*'continuous'"):
        make(network).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="only one class"):
        make(network).fit(X, np.ones(40))
    with pytest.raises(ValueError, match=r"`validation_data` has the class 'ash'"):
        make(network, fit_kwargs=QUIET).fit(X, LABELS, validation_data=(X[:1], ["ash"]))
    with pytest.raises(ValueError, match=r"`model__units`.*`model` is a Model"):
        make(compiled(hb, 2, "softmax", "mse")).set_params(model__units=3)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r'SKLearnClassifier needs .*"hornbeam\[sklearn\]"'):
        hb.wrappers.SKLearnClassifier  # noqa: B018
