"""Files of Keras 1 and 2: translation to Keras 3's form, and `.h5` files for Keras 2.

`hornbeam.saving` and `hornbeam.models` call the functions listed here through
`hornbeam.saving.eras`. All functions translate plain data to plain data: nothing is built, and no
code of a file runs.
"""

from hornbeam.legacy.files.keras2 import keras2_model, keras2_training
from hornbeam.legacy.files.layers import modern_name
from hornbeam.legacy.files.models import modern_graph, modern_model
from hornbeam.legacy.files.training import modern_training
from hornbeam.legacy.files.weights import (
    arrange,
    backend_by_names,
    looks_first,
    match_optimizer,
    state_by_weights,
)
from hornbeam.legacy.files.yaml_text import parse_yaml

__all__ = [
    "arrange",
    "backend_by_names",
    "keras2_model",
    "keras2_training",
    "looks_first",
    "match_optimizer",
    "modern_graph",
    "modern_model",
    "modern_name",
    "modern_training",
    "parse_yaml",
    "state_by_weights",
]
