"""What to do instead of parts of Keras and TensorFlow that Hornbeam lacks; `keras.version`."""

from __future__ import annotations

import re

from hornbeam.keras.table import KERAS_VERSION

__all__ = ["version", "way_round"]

# Patterns of names without `keras.` or `tensorflow.`, and the way round; the first that matches.
_WAYS = {
    r"datasets.*": "Load the arrays from a file, for example with `numpy.load`.",
    r"wrappers.*": "Use `keras.wrappers.SKLearnClassifier` or `SKLearnRegressor`.",
    r"estimator.*": "Train with `model.fit`.",
    r"data(\..*)?": "Use `hornbeam.data.Dataset`, which has the same methods.",
    r"(compat\.v1\.)?(Session|placeholder|global_variables_initializer|get_default_graph|Graph)": (
        "Leave out sessions and graphs: models run directly."
    ),
    r"saved_model(\..*)?|train\.Checkpoint.*": (
        "Save models with `model.save('model.keras')`, and for other programs with"
        " `model.export(path)`; load them with `keras.models.load_model`."
    ),
    r"summary(\..*)?": "Use `keras.callbacks.TensorBoard(profile_batch=...)` for profiles.",
    r"lite(\..*)?": "Export the model with `model.export(path)`.",
    r"autograph.*": "`tf.function` traces functions with JAX; there is no code to show.",
    r"(train|queue)(\..*)?": "Feed the model with `tf.data.Dataset` or with arrays.",
    r"contrib(\..*)?": "It was removed in TensorFlow 2.",
    r"sets(\..*)?": "Use Python's sets, or NumPy's `union1d`, `intersect1d` and `setdiff1d`.",
    r"(truncated|random)_(normal|uniform)|set_random_seed": "Use the function of `tf.random`.",
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
