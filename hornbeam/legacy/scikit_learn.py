"""`keras.wrappers.scikit_learn`: the scikit-learn estimators of Keras 1 and 2."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from hornbeam.models import Model
from hornbeam.optional import import_module

import_module("sklearn.base", extra="sklearn", needed_for="keras.wrappers.scikit_learn")
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin  # noqa: E402

__all__ = ["BaseWrapper", "KerasClassifier", "KerasRegressor"]


class BaseWrapper(BaseEstimator):
    """Base class of the estimators.

    Args:
        build_fn: Function, or object with `__call__`, that returns a compiled model. Default: the
            `__call__` of the estimator's subclass.
        **sk_params: Arguments of `build_fn`, and of the model's `fit`, `predict` and `evaluate`,
            for example `epochs`.

    Raises:
        ValueError: If an argument is not in any of these functions.
    """

    model: Model

    def __init__(self, build_fn: Any = None, **sk_params: Any) -> None:
        self.build_fn, self.sk_params = build_fn, sk_params
        self.check_params(sk_params)

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the estimator has a model."""
        return hasattr(self, "model")

    def _maker(self) -> Callable[..., Model]:
        """Return the function that makes the model."""
        if self.build_fn is None:
            return self.__call__  # type: ignore[attr-defined]  # a subclass has it
        is_function = inspect.isfunction(self.build_fn) or inspect.ismethod(self.build_fn)
        return self.build_fn if is_function else self.build_fn.__call__

    def check_params(self, params: dict[str, Any]) -> None:
        """Check that `build_fn` or a method of the model accepts each argument.

        Args:
            params: The arguments.

        Raises:
            ValueError: If an argument is not in any of these functions.
        """
        maker = self._maker()
        functions: list[Callable[..., Any]] = [Model.fit, Model.predict, Model.evaluate, maker]
        known = {"nb_epoch"}
        for function in functions:
            parameters = inspect.signature(function).parameters
            if function is maker and any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
                return
            known |= set(parameters)
        for name in params:
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__}: '{name}' is not an argument of `build_fn`, or of the"
                    " model's `fit`, `predict` or `evaluate`."
                )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the constructor.

        Args:
            deep: Without effect. Part of scikit-learn's interface.
        """
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> BaseWrapper:
        """Set arguments of the constructor, and return the estimator.

        Args:
            **params: The new values.
        """
        if "build_fn" in params:
            self.build_fn = params.pop("build_fn")
        self.check_params(params)
        self.sk_params.update(params)
        return self

    def filter_sk_params(
        self, fn: Callable[..., Any], override: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the entries of `sk_params` that a function accepts.

        Args:
            fn: The function.
            override: Further arguments, which take precedence.
        """
        known = inspect.signature(fn).parameters
        found = {name: value for name, value in self.sk_params.items() if name in known}
        return found | (override or {})

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Make a new model and train it.

        Args:
            x, y: Inputs and targets. Class indices are converted to one-hot rows if the loss is
                `"categorical_crossentropy"`.
            **kwargs: Arguments of `Model.fit`.

        Returns:
            The `History`.
        """
        self.model = self._maker()(**self.filter_sk_params(self._maker()))
        loss = getattr(self.model.loss, "__name__", self.model.loss)
        y = np.asarray(y)
        if loss == "categorical_crossentropy" and y.ndim != 2:
            y = _one_hot(np.asarray(y))
        arguments = copy.deepcopy(self.filter_sk_params(Model.fit, kwargs))
        if "nb_epoch" in self.sk_params:
            arguments.setdefault("epochs", self.sk_params["nb_epoch"])
        return self.model.fit(x, y, **arguments)

    def _evaluate(self, x: Any, y: Any, kwargs: dict[str, Any]) -> dict[str, float]:
        loss = getattr(self.model.loss, "__name__", self.model.loss)
        if loss == "categorical_crossentropy" and np.ndim(y) != 2:
            y = _one_hot(np.asarray(y))
        arguments = self.filter_sk_params(Model.evaluate, kwargs)
        return self.model.evaluate(x, y, **{**arguments, "return_dict": True})


def _one_hot(y: np.ndarray) -> np.ndarray:
    return np.eye(int(y.max()) + 1, dtype="float32")[y.reshape(-1).astype(int)]


class KerasClassifier(ClassifierMixin, BaseWrapper):
    """scikit-learn classifier that trains the model returned by a function.

    In new code, use `keras.wrappers.SKLearnClassifier`.

    Args:
        build_fn, **sk_params: As in `BaseWrapper`.

    Example:
        >>> import hornbeam as hb
        >>> def make(units=4):
        ...     layers = [hb.layers.Dense(units), hb.layers.Dense(2, "softmax")]
        ...     model = hb.Sequential(layers)
        ...     model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        ...     return model
        >>> classifier = KerasClassifier(make, units=8, epochs=2, verbose=0)
        >>> _ = classifier.fit(np.eye(4), np.array(["a", "b", "a", "b"]))
        >>> classifier.predict(np.eye(4)).shape
        (4,)
    """

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Make a new model and train it.

        Args:
            x: Inputs.
            y: Class labels of any type, or one-hot rows.
            **kwargs: Arguments of `Model.fit`.

        Returns:
            The `History`.
        """
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_, y = np.unique(y, return_inverse=True)
            y = y.reshape(-1)
        self.n_classes_ = len(self.classes_)
        return super().fit(x, y, **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Return the most probable class of each row.

        Args:
            x: Inputs.
            **kwargs: Arguments of `Model.predict`.
        """
        return self.classes_[self.predict_proba(x, **kwargs).argmax(axis=-1)]

    def predict_proba(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Return the class probabilities, an array of shape (rows, classes).

        Args:
            x: Inputs.
            **kwargs: Arguments of `Model.predict`.
        """
        y = self.model.predict(x, **self.filter_sk_params(Model.predict, kwargs))
        return np.hstack([1 - y, y]) if y.shape[1] == 1 else y

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """Return the accuracy.

        Args:
            x: Inputs.
            y: Class labels.
            **kwargs: Arguments of `Model.evaluate`.

        Raises:
            ValueError: If the model was compiled without the metric "accuracy".
        """
        y = np.asarray(y)
        if y.ndim != 2 or y.shape[1] == 1:
            y = np.searchsorted(self.classes_, y.reshape(-1))
        results = self._evaluate(x, y, kwargs)
        for name in ("accuracy", "acc"):
            if name in results:
                return results[name]
        raise ValueError(
            "KerasClassifier.score: the model has no metric 'accuracy'. Compile it with"
            " `metrics=['accuracy']`."
        )


class KerasRegressor(RegressorMixin, BaseWrapper):
    """scikit-learn regressor that trains the model returned by a function.

    In new code, use `keras.wrappers.SKLearnRegressor`.

    Args:
        build_fn, **sk_params: As in `BaseWrapper`.

    Example:
        >>> import hornbeam as hb
        >>> def make():
        ...     model = hb.Sequential([hb.layers.Dense(1)])
        ...     model.compile("sgd", "mse")
        ...     return model
        >>> regressor = KerasRegressor(make, epochs=2, verbose=0)
        >>> _ = regressor.fit(np.eye(4), np.arange(4.0))
        >>> regressor.predict(np.eye(4)).shape
        (4,)
    """

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Return the predictions, without a last axis of size 1.

        Args:
            x: Inputs.
            **kwargs: Arguments of `Model.predict`.
        """
        y = self.model.predict(x, **self.filter_sk_params(Model.predict, kwargs))
        return y[..., 0] if y.shape[-1] == 1 else y

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """Return the negative loss, where larger is better.

        Args:
            x: Inputs.
            y: Targets.
            **kwargs: Arguments of `Model.evaluate`.
        """
        return -self._evaluate(x, y, kwargs)["loss"]
