"""What to do instead of parts of Keras and TensorFlow that Hornbeam lacks."""

from __future__ import annotations

import re

__all__ = ["way_round"]

_IMAGES = (
    "Read images into arrays, for example with Pillow, and change them at random in a"
    " `keras.utils.PyDataset`."
)
# Patterns of names without `keras.` or `tensorflow.`, and the way round; the first that matches.
_WAYS = {
    r"layers\.(Random|AutoContrast|AugMix|CutMix|MixUp|RandAugment|Equalization|Solarization).*": (
        "Change the arrays in a `keras.utils.PyDataset`, or write a Layer with `keras.random` and"
        " `keras.ops.image`."
    ),
    r"layers\.DenseFeatures": "Encode the columns as numbers, and join them by `Concatenate`.",
    r"(legacy\.)?preprocessing\.image.*|utils\.image_dataset_from_directory": _IMAGES,
    r"(legacy\.)?preprocessing\.text.*|utils\.text_dataset_from_directory": (
        "Number the words with a dict, and pass arrays of these numbers to `Embedding`."
    ),
    r"(legacy\.)?preprocessing.*|utils\.\w+_from_directory": (
        "Prepare arrays with NumPy, or read batches in a `keras.utils.PyDataset`."
    ),
    r"applications.*": (
        "Build the network from layers, or load one that Keras saved with"
        " `keras.models.load_model`."
    ),
    r"datasets.*": "Load the arrays from a file, for example with `numpy.load`.",
    r"wrappers.*": "Use `keras.wrappers.SKLearnClassifier` or `SKLearnRegressor`.",
    r"estimator.*": "Train with `model.fit`.",
    r"data(\..*)?": "Pass arrays, a generator or a `keras.utils.PyDataset` to `fit`.",
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
        'Pass arrays, a generator or a `keras.utils.PyDataset` to `fit`.'
    """
    short = re.sub(r"^(tensorflow\.)?(python\.)?(keras\.)?", "", name)
    return next((way for form, way in _WAYS.items() if re.fullmatch(form, short)), "")
