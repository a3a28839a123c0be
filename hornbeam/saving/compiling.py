"""Compilation of a loaded model with the configuration from its file."""

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
    """Compile `model`; if its configuration cannot be used, warn and leave it uncompiled.

    Args:
        model: The loaded model.
        config: The result of `get_compile_config`.
        custom_objects: Custom classes and functions by name.
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
