"""Tools that Keras offers under `keras.utils`."""

from hornbeam.backend import clear_session, is_keras_tensor, standardize_dtype
from hornbeam.callbacks.progbar import Progbar
from hornbeam.core.random import set_random_seed
from hornbeam.core.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from hornbeam.data.py_dataset import PyDataset
from hornbeam.objects.configuration import deserialize as deserialize_keras_object
from hornbeam.objects.configuration import serialize as serialize_keras_object
from hornbeam.settings import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from hornbeam.utils import bounding_boxes, legacy
from hornbeam.utils.config import Config
from hornbeam.utils.download import get_file
from hornbeam.utils.feature_space import FeatureSpace
from hornbeam.utils.from_dataframe import image_dataset_from_dataframe
from hornbeam.utils.from_directory import (
    audio_dataset_from_directory,
    image_dataset_from_directory,
    text_dataset_from_directory,
)
from hornbeam.utils.graphs import get_source_inputs
from hornbeam.utils.images import array_to_img, img_to_array, load_img, save_img
from hornbeam.utils.numerical import normalize, to_categorical
from hornbeam.utils.plot import model_to_dot, plot_model
from hornbeam.utils.sequences import pad_sequences
from hornbeam.utils.timeseries import timeseries_dataset_from_array
from hornbeam.utils.training_data import (
    pack_x_y_sample_weight,
    split_dataset,
    unpack_x_y_sample_weight,
)

__all__ = [
    "Config",
    "CustomObjectScope",
    "FeatureSpace",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "bounding_boxes",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_dataframe",
    "image_dataset_from_directory",
    "img_to_array",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "legacy",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

Sequence = PyDataset
"""Keras 2's name for `PyDataset`."""
