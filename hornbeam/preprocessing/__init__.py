"""The public names of `keras.preprocessing`."""

from hornbeam.preprocessing import image, sequence, text
from hornbeam.utils.from_directory import image_dataset_from_directory, text_dataset_from_directory
from hornbeam.utils.timeseries import timeseries_dataset_from_array

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
