"""scikit-learn estimators that train a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, validate_data

from hornbeam.models import Model, clone_model

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]

# Parameter prefixes, as in `model__units`, that set one entry of a dictionary of arguments.
_ROUTES = {"model__": "model_kwargs", "fit__": "fit_kwargs"}


class _ModelEstimator(BaseEstimator):
    """Base class of the estimators: makes the model, trains it and computes its outputs."""

    model_: Model
    history_: Any
    classes_: Any

    # scikit-learn reads the names of the arguments from this signature.
    def __init__(
        self,
        model: Model | Callable[..., Model],
        warm_start: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        fit_kwargs: Mapping[str, Any] | None = None,
    ):
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    # --- arguments ------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the constructor.

        Args:
            deep: Whether to add each entry of `model_kwargs` as `model__NAME`, and each entry of
                `fit_kwargs` as `fit__NAME`.
        """
        params = super().get_params(deep=False)
        if deep:
            for prefix, route in _ROUTES.items():
                if isinstance(params[route], Mapping):
                    params |= {f"{prefix}{name}": v for name, v in params[route].items()}
        return params

    def set_params(self, **params: Any) -> _ModelEstimator:
        """Set arguments of the constructor.

        `model__NAME` sets one entry of `model_kwargs`, and `fit__NAME` sets one entry of
        `fit_kwargs`, so hyperparameter searches can vary the entries of both.

        Raises:
            ValueError: If a name is unknown, or `model__NAME` is given but `model` is a Model
                instead of a function.
        """
        entries: dict[str, dict[str, Any]] = {route: {} for route in _ROUTES.values()}
        for name in list(params):
            prefix, _, entry = name.partition("__")
            if entry and f"{prefix}__" in _ROUTES:
                entries[_ROUTES[f"{prefix}__"]][entry] = params.pop(name)
        super().set_params(**params)
        if entries["model_kwargs"] and isinstance(self.model, Model):
            name = next(iter(entries["model_kwargs"]))
            raise ValueError(
                f"{type(self).__name__}: `model__{name}` needs `model` to be a function, but"
                " `model` is a Model. Pass a function of `X`, `y` and the arguments that returns a"
                " compiled model."
            )
        for route, given in entries.items():
            if given:
                setattr(self, route, {**(getattr(self, route) or {}), **given})
        return self

    # --- training -------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, **kwargs: Any) -> _ModelEstimator:
        """Train a model.

        Args:
            X: Inputs of shape (n, ...).
            y: Targets of shape (n,) or (n, outputs).
            **kwargs: Arguments of `Model.fit`. They take precedence over `fit_kwargs`.

        Returns:
            The estimator. `model_` is the trained model, and `history_` is its `History`.
        """
        X, y = self._checked_data(X, y)
        y = self._learned_targets(y)
        goes_on = self.warm_start and hasattr(self, "model_")
        model = self.model_ if goes_on else self._made_model(X, y)
        arguments = {"verbose": "auto", **(self.fit_kwargs or {}), **kwargs}
        if arguments.get("validation_data") is not None:
            x_val, y_val, *weights = arguments["validation_data"]
            y_val = self._targets_for(model, self._coded(y_val))
            arguments["validation_data"] = (np.asarray(x_val), y_val, *weights)
        self.history_ = model.fit(X, self._targets_for(model, y), **arguments)
        self.model_ = model
        return self

    def _made_model(self, X: Any, y: Any) -> Model:
        """Return the compiled model to train on `X` and `y`."""
        owner = type(self).__name__
        if isinstance(self.model, Model):
            model = self.model
            if model.compiled and not self.warm_start:
                model = clone_model(model)
        elif callable(self.model):
            model = self.model(X=X, y=y, **(self.model_kwargs or {}))
        else:
            raise TypeError(
                f"{owner}: `model` must be a compiled Model, or a function of `X` and `y` that"
                f" returns a compiled Model, received {self.model!r}."
            )
        if not isinstance(model, Model):
            raise TypeError(
                f"{owner}: the function `model` must return a compiled Model, but it returned"
                f" {model!r}."
            )
        if not model.compiled:
            raise RuntimeError(
                f"{owner}: {type(model).__name__} {model.name!r} is not compiled. Call"
                " `model.compile(optimizer, loss)` first."
            )
        return model

    def _checked_data(self, X: Any, y: Any) -> tuple[Any, Any]:
        return validate_data(self, X, y, allow_nd=True, multi_output=False)

    def _learned_targets(self, y: Any) -> Any:
        """Learn the kind of targets, and return the targets to pass to the function `model`."""
        self._single = True
        return self._coded(y)

    def _coded(self, y: Any) -> Any:
        """Encode targets as a numeric array of shape (n, outputs)."""
        y = np.asarray(y)
        return y[:, None] if y.ndim == 1 else y

    def _targets_for(self, model: Model, y: Any) -> Any:
        """Convert encoded targets to the format that the loss of a model expects."""
        return y

    # --- results --------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> Any:
        """Return the model's outputs for inputs."""
        check_is_fitted(self, "model_")
        X = validate_data(self, X, reset=False, allow_nd=True)
        return self.model_.predict(X, verbose=0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags


class SKLearnClassifier(ClassifierMixin, _ModelEstimator):
    """scikit-learn classifier that trains a model.

    The model has one output per class, or a single output for two classes. After `fit`, `model_` is
    the trained model, `history_` its `History`, and `classes_` the class labels. The interface is
    Keras's. In addition, hyperparameter searches can set `model__NAME` and `fit__NAME`, which are
    entries of `model_kwargs` and `fit_kwargs`, and sparse losses and models with a single output
    are supported.

    Args:
        model: A compiled model, or a function that returns a compiled model. The function is called
            as `model(X=X, y=y, **model_kwargs)`, where `y` are one-hot classes of shape
            (n, classes). A model is cloned before each training, with new weights.
        warm_start: Whether training continues with the weights of the last `fit`. A model is then
            not cloned. Default: False.
        model_kwargs: Further arguments of the function `model`. Default: none.
        fit_kwargs: Arguments of `Model.fit`, for example `epochs` and `callbacks`. Default: none.

    Raises:
        ImportError: If scikit-learn is not installed.

    Example:
        >>> import hornbeam as hb
        >>> def network(X, y, units=4):
        ...     outputs = hb.layers.Dense(y.shape[1], activation="softmax")
        ...     model = hb.Sequential([hb.layers.Dense(units, activation="relu"), outputs])
        ...     model.compile("adam", "categorical_crossentropy")
        ...     return model
        >>> X, y = np.ones((6, 2)), ["ash", "elm", "oak"] * 2
        >>> classifier = SKLearnClassifier(network, fit_kwargs={"epochs": 2, "verbose": 0})
        >>> classifier.fit(X, y).predict(X).shape
        (6,)
    """

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each row, an array of shape (n,)."""
        scores = self._scores(X)
        return self.classes_[np.argmax(scores, axis=-1)]

    def predict_proba(self, X: Any) -> Any:
        """Return the class probabilities of each row, an array of shape (n, classes)."""
        scores = self._scores(X)
        if getattr(self.model_.loss, "from_logits", False):
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return scores / scores.sum(axis=-1, keepdims=True)

    def decision_function(self, X: Any) -> Any:
        """Return the model's outputs, an array of shape (n, classes).

        For two classes, returns the difference between the outputs for the second and the first
        class, an array of shape (n,).
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _scores(self, X: Any) -> Any:
        """Return one output per class."""
        outputs = self._outputs(X)
        if outputs.shape[-1] == 1:
            from_logits = getattr(self.model_.loss, "from_logits", False)
            other = np.zeros_like(outputs) if from_logits else 1 - outputs
            outputs = np.concatenate([other, outputs], axis=-1)
        return outputs[..., : len(self.classes_)]

    def _learned_targets(self, y: Any) -> Any:
        kind = type_of_target(y, raise_unknown=True)
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"{type(self).__name__}: Only binary and multiclass targets are supported, received"
                f" y of type {kind!r}. Unknown label type: {kind}."
            )
        self.classes_ = np.unique(column_or_1d(y))
        if len(self.classes_) == 1:
            raise ValueError(
                f"{type(self).__name__}: Classifier can't train when only one class is present:"
                f" {self.classes_.tolist()[0]!r}."
            )
        return self._coded(y)

    def _coded(self, y: Any) -> Any:
        y = column_or_1d(y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"{type(self).__name__}: `validation_data` has the class"
                f" {unknown.tolist()[0]!r}, which is not in the training data."
            )
        return np.eye(len(self.classes_))[np.searchsorted(self.classes_, y)]

    def _targets_for(self, model: Model, y: Any) -> Any:
        single = y.shape[1] == 2 and model.built and model.output_shape[-1] == 1
        if single or _takes_class_numbers(model.loss):
            return np.argmax(y, axis=-1)[:, None]
        return y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


def _takes_class_numbers(loss: Any) -> bool:
    names = (loss, getattr(loss, "__name__", ""), type(loss).__name__)
    return any(isinstance(name, str) and name.lower().startswith("sparse") for name in names)


class SKLearnRegressor(RegressorMixin, _ModelEstimator):
    """scikit-learn regressor that trains a model.

    After `fit`, `model_` is the trained model, and `history_` is its `History`. The interface is
    Keras's. In addition, models may have several outputs, and hyperparameter searches can set
    `model__NAME` and `fit__NAME`, which are entries of `model_kwargs` and `fit_kwargs`.

    Args:
        model: A compiled model, or a function that returns a compiled model. The function is called
            as `model(X=X, y=y, **model_kwargs)`, where `y` has shape (n, outputs). A model is
            cloned before each training, with new weights.
        warm_start: Whether training continues with the weights of the last `fit`. A model is then
            not cloned. Default: False.
        model_kwargs: Further arguments of the function `model`. Default: none.
        fit_kwargs: Arguments of `Model.fit`, for example `epochs` and `callbacks`. Default: none.

    Raises:
        ImportError: If scikit-learn is not installed.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> X, y = np.ones((6, 2)), np.arange(6)
        >>> SKLearnRegressor(model, fit_kwargs={"verbose": 0}).fit(X, y).predict(X).shape
        (6,)
    """

    def predict(self, X: Any) -> Any:
        """Return the model's outputs, of shape (n,) for targets of shape (n,) or (n, 1)."""
        outputs = self._outputs(X)
        return outputs.reshape(len(outputs)) if self._single else outputs

    def _checked_data(self, X: Any, y: Any) -> tuple[Any, Any]:
        X, y = validate_data(self, X, y, allow_nd=True, multi_output=True, y_numeric=True)
        if y.ndim > 1 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _learned_targets(self, y: Any) -> Any:
        self._single = y.ndim == 1
        return self._coded(y)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        tags.target_tags.multi_output = True
        return tags


class SKLearnTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _ModelEstimator):
    """scikit-learn transformer that trains a model and returns its outputs.

    After `fit`, `model_` is the trained model, and `history_` is its `History`. The interface is
    Keras's. In addition, `y` may have several columns, and `set_output` is supported.

    Args:
        model: A compiled model, or a function that returns a compiled model. The function is called
            as `model(X=X, y=y, **model_kwargs)`, where `y` has shape (n, outputs). A model is
            cloned before each training, with new weights.
        warm_start: Whether training continues with the weights of the last `fit`. A model is then
            not cloned. Default: False.
        model_kwargs: Further arguments of the function `model`. Default: none.
        fit_kwargs: Arguments of `Model.fit`, for example `epochs` and `callbacks`. Default: none.

    Raises:
        ImportError: If scikit-learn is not installed.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(3)])
        >>> model.compile("adam", "mse")
        >>> X, y = np.ones((6, 2)), np.ones((6, 3))
        >>> SKLearnTransformer(model, fit_kwargs={"verbose": 0}).fit_transform(X, y).shape
        (6, 3)
    """

    def transform(self, X: Any) -> Any:
        """Return the model's outputs."""
        return self._outputs(X)

    def _checked_data(self, X: Any, y: Any) -> tuple[Any, Any]:
        X = validate_data(self, X, allow_nd=True)
        if y is None:
            raise ValueError(
                f"{type(self).__name__}: requires y to be passed, but the target y is None. Pass"
                " the targets of the model's outputs."
            )
        return X, check_array(y, ensure_2d=False, allow_nd=True, dtype=None)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.model_.output_shape[-1]
