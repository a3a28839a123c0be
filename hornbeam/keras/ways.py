"""What to do instead of parts of Keras and TensorFlow that Hornbeam lacks; `keras.version`."""

from __future__ import annotations

import re

from hornbeam.keras.table import KERAS_VERSION

__all__ = ["version", "way_round"]

# Patterns of names without `keras.` or `tensorflow.`, and the way round; the first that matches.
_WAYS = {
    r"applications.*": (
        "Build the network from layers, or load one that Keras saved with"
        " `keras.models.load_model`."
    ),
    r"datasets.*": "Load the arrays from a file, for example with `numpy.load`.",
    r"wrappers.*": "Use `keras.wrappers.SKLearnClassifier` or `SKLearnRegressor`.",
    r"estimator.*": "Train with `model.fit`.",
    r"data(\..*)?": "Use `hornbeam.data.Dataset`, which has the same methods.",
    r"GradientTape": "Override `train_step`, and differentiate with `hornbeam.value_and_grad`.",
    r"function": "Leave it out: steps are compiled anyway.",
    r"Session|placeholder|global_variables_initializer|get_default_graph": (
        "Leave out sessions and graphs: models run directly."
    ),
}


def way_round(name: str) -> str:
    """Return what to do instead of a name that is absent; an empty string if nothing is known.

    Example:
        >>> way_round("tensorflow.data.Dataset")
        'Use `hornbeam.data.Dataset`, which has the same methods.'
    """
    short = re.sub(r"^(tensorflow\.)?(python\.)?(keras\.)?", "", name)
    return next((way for form, way in _WAYS.items() if re.fullmatch(form, short)), "")


def version() -> str:
    """Return the version of Keras that the stand-in `keras` follows.

    Example:
        >>> version().startswith("3.")
        True
    """
    return KERAS_VERSION
