"""Compile a loaded model as its file says."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hornbeam.core.registry import custom_object_scope
from hornbeam.typing import CustomObjects

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["compile_or_warn"]


def compile_or_warn(
    model: Model, config: Mapping[str, Any], custom_objects: CustomObjects, what: str
) -> None:
    """Compile `model`; what cannot be understood leaves it uncompiled, with a warning.

    Args:
        model: The model just made.
        config: What `get_compile_config` gave.
        custom_objects: Classes and functions of yours by name.
        what: Name of the file for the warning.
    """
    try:
        with custom_object_scope(custom_objects or {}):
            model.compile_from_config(dict(config))
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        NotImplementedError,
        IndexError,
    ) as error:
        model.optimizer = None
        model._compiled = None
        warnings.warn(
            f"{what}: the model was loaded but not compiled: {error} Call `model.compile(...)`"
            " before training.",
            stacklevel=4,
        )
