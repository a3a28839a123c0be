"""Models: functional graphs, stacks, subclasses; copies and summaries of them."""

from hornbeam.models.clone import clone_model, model_from_config, model_from_json, model_from_yaml
from hornbeam.models.functional import Function, Functional
from hornbeam.models.model import Model
from hornbeam.models.sequential import Sequential

__all__ = [
    "Function",
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_config",
    "model_from_json",
    "model_from_yaml",
    "save_model",
]


def __getattr__(name: str) -> object:
    # Files stand above models; these two are here because Keras names them here.
    if name in ("load_model", "save_model"):
        from hornbeam import saving

        return getattr(saving, name)
    raise AttributeError(f"module 'hornbeam.models' has no attribute {name!r}")
