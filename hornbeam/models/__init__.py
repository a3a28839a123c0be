"""Models: functional, sequential and subclassed; cloning and summaries."""

from hornbeam.models.clone import clone_model, model_from_config, model_from_json, model_from_yaml
from hornbeam.models.functional import Function, Functional
from hornbeam.models.model import Model
from hornbeam.models.sequential import Sequential
from hornbeam.models.torch_weights import load_torch_weights
from hornbeam.models.transfer import features, freeze, unfreeze, with_head
from hornbeam.objects.family import Family
from hornbeam.saving import load_model, save_model

__all__ = [
    "Function",
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "features",
    "freeze",
    "load_model",
    "load_torch_weights",
    "model_from_config",
    "model_from_json",
    "model_from_yaml",
    "save_model",
    "unfreeze",
    "with_head",
]

MODELS = Family(
    "model", Model, "keras.models", globals(), takes_functions=False,
    # Keras 2 saved functional models under the class `Model`.
    read_as={"Model": Functional},
)  # fmt: skip
