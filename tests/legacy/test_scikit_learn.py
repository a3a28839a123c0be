"""The estimators of `keras.wrappers.scikit_learn`, as scripts of Keras 1 and 2 use them."""

import numpy as np
import pytest

import hornbeam as hb

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from hornbeam.legacy.scikit_learn import KerasClassifier, KerasRegressor

X = np.random.RandomState(7).rand(40, 3)
HALF = X[:, 0] > 0.5


def model_of(units, activation, loss, optimizer="adam"):
    layers = [hb.layers.Dense(6, "relu"), hb.layers.Dense(units, activation)]
    model = hb.Sequential(layers)
    model.compile(hb.optimizers.get({"class_name": optimizer, "config": {}}), loss, ["accuracy"])
    model.optimizer.learning_rate = 0.1
    return model


def binary(optimizer="adam"):
    return model_of(1, "sigmoid", "binary_crossentropy", optimizer)


def one_hot():
    return model_of(2, "softmax", "categorical_crossentropy")


def sparse():
    return model_of(2, "softmax", "sparse_categorical_crossentropy")


class Maker:
    def __call__(self):
        return one_hot()


@pytest.mark.parametrize("make", [binary, one_hot, sparse, Maker()])
def test_classes_of_any_kind(make):
    names = np.where(HALF, "yes", "no")
    classifier = KerasClassifier(build_fn=make, epochs=15, batch_size=10, verbose=0)
    assert len(classifier.fit(X, names).history["loss"]) == 15
    assert classifier.classes_.tolist() == ["no", "yes"]
    found = classifier.predict(X)
    assert set(found) <= {"no", "yes"}
    assert classifier.score(X, names) == pytest.approx((found == names).mean())
    assert (found == names).mean() > 0.8
    proba = classifier.predict_proba(X[:5], batch_size=2)
    np.testing.assert_allclose(proba.sum(axis=1), np.ones(5), rtol=1e-5)


def test_searches_pipelines_and_scores():
    classifier = KerasClassifier(build_fn=binary, nb_epoch=2, verbose=0)
    assert len(cross_val_score(classifier, X, HALF.astype(int), cv=2)) == 2
    grid = {"optimizer": ["rmsprop", "adam"], "epochs": [1]}
    search = GridSearchCV(KerasClassifier(binary, verbose=0), grid, cv=2).fit(X, HALF)
    assert search.best_params_["epochs"] == 1
    steps = [("scale", StandardScaler()), ("net", KerasRegressor(regression, epochs=2, verbose=0))]
    scores = cross_val_score(Pipeline(steps), X, X[:, 0], cv=2)
    assert (scores < 0).all()


def regression():
    return model_of(1, None, "mse")


def test_regression():
    regressor = KerasRegressor(regression, verbose=0)
    assert regressor.set_params(epochs=20) is regressor
    regressor = clone(regressor)
    assert regressor.get_params() == {"build_fn": regression, "epochs": 20, "verbose": 0}
    regressor.fit(X, X[:, 0] + 1, batch_size=8)
    assert regressor.predict(X).shape == (40,)
    mean = ((regressor.predict(X) - X[:, 0] - 1) ** 2).mean()
    assert regressor.score(X, X[:, 0] + 1) == pytest.approx(-mean, rel=1e-4)


def test_one_hot_targets_and_an_own_call():
    class Own(KerasClassifier):
        def __call__(self, units):
            return model_of(units, "softmax", "categorical_crossentropy")

    own = Own(units=2, epochs=1, verbose=0)
    own.fit(X, np.eye(2)[HALF.astype(int)])
    assert own.classes_.tolist() == [0, 1]
    assert own.predict(X).shape == (40,)


def test_errors():
    with pytest.raises(ValueError, match="'units' is not an argument"):
        KerasClassifier(binary, units=3)

    def without_metric():
        model = one_hot()
        model.compile("sgd", "categorical_crossentropy")
        return model

    classifier = KerasClassifier(without_metric, verbose=0)
    classifier.fit(X, HALF)
    with pytest.raises(ValueError, match="no metric 'accuracy'"):
        classifier.score(X, HALF)
