"""The dtype policy in a layer's configuration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hornbeam.core.provenance import is_library_code
from hornbeam.dtype_policies import DTypePolicyMap
from hornbeam.layers.state import flatten_layers
from hornbeam.objects.configuration import serialize

if TYPE_CHECKING:
    from hornbeam.layers.layer import Layer

__all__ = ["dtype_config"]


def dtype_config(layer: Layer) -> dict[str, Any] | str | None:
    """Return a layer's policy for its configuration.

    A layer of Hornbeam recreates the layers inside it from its arguments, so its configuration
    holds their quantized policies too, as a map from path to policy.
    """
    policy = layer.dtype_policy
    if not is_library_code(type(layer)) or policy.quantization_mode is not None:
        return serialize(policy)
    inside = {
        f"(.*/)?{re.escape(below.path[below.path.find(f'{layer.name}/') :])}": below.dtype_policy
        for below in flatten_layers(layer, include_self=False)
        if below.quantization_mode is not None and f"{layer.name}/" in below.path
    }
    return serialize(DTypePolicyMap(policy, inside) if inside else policy)
