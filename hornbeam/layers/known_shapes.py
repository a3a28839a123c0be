"""Shapes of outputs that the trace of another layer has found before.

Networks repeat their blocks. If a layer of Hornbeam has the settings and the shapes of weights and
inputs of an earlier one, its outputs have the shapes of the earlier one's, and tracing `call` again
would only take time.
"""

from __future__ import annotations

import threading
import types
from collections.abc import Callable
from typing import Any

from hornbeam import tree
from hornbeam.core.masks import get_mask
from hornbeam.core.provenance import is_library_code
from hornbeam.core.random import SeedGenerator
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.layers.call_scope import training_now
from hornbeam.typing import Structure

__all__ = ["known_or_traced"]

_known: dict[Any, Any] = {}
_lock = threading.Lock()
_KEPT = 4096

# Attributes that differ from layer to layer and have no influence on shapes.
_WITHOUT_INFLUENCE = {
    "name", "input_spec", "_building", "_build_shapes", "_called_shapes", "_captured",
    "_dtype_policy", "_given_name", "_inbound_nodes", "_initial_weights", "_late_maker", "_losses",
    "_own_variables", "_path", "_seen",
}  # fmt: skip
_PARTS_WITHOUT_INFLUENCE = ("_initializer", "_regularizer", "_constraint")


def known_or_traced(layer: Any, trace: Callable[[], Structure], inputs: Any) -> Structure:
    """Return the symbolic outputs of a layer, as known from another one or as `trace` finds them.

    Args:
        layer: A layer.
        trace: Traces the layer's `call`.
        inputs: The arguments of the call.
    """
    try:
        key = _key_of(layer, inputs)
    except TypeError:
        return trace()
    outputs = _known.get(key)
    if outputs is None:
        outputs = trace()
        if any(isinstance(x, KerasTensor) and x.sparse for x in tree.flatten(outputs)):
            return outputs
        with _lock:
            if len(_known) >= _KEPT:
                _known.clear()
            _known[key] = outputs
    # Copies, since a tensor that is handed out gets a history, which holds a whole model.
    return tree.map_structure(
        lambda x: KerasTensor(x.shape, x.dtype) if isinstance(x, KerasTensor) else x, outputs
    )


def _key_of(layer: Any, inputs: Any) -> Any:
    """Return all that the shapes of the outputs depend on.

    Raises:
        TypeError: If they may depend on something else, such as code of the user or inner layers.
    """
    cls = type(layer)
    if not is_library_code(cls) or layer.quantization_mode is not None:
        raise TypeError
    attributes = [
        (name, _fixed(value))
        for name, value in vars(layer).items()
        if name not in _WITHOUT_INFLUENCE and not name.endswith(_PARTS_WITHOUT_INFLUENCE)
    ]
    policy = (layer.compute_dtype, layer.variable_dtype)
    return cls, cls.call, policy, training_now(), tuple(attributes), _fixed(inputs)


def _fixed(x: Any) -> Any:
    """Return a hashable value that says what shapes depend on."""
    if x is None or isinstance(x, (bool, int, float, str)):
        return type(x), x
    if isinstance(x, KerasTensor):
        if get_mask(x) is not None or x.sparse:
            raise TypeError
        return KerasTensor, x.shape, x.dtype
    if isinstance(x, Variable):
        if x.adapted is not None:
            raise TypeError
        return Variable, x.shape, x.stored_dtype
    if isinstance(x, (list, tuple)):
        return (type(x), *map(_fixed, x))
    if isinstance(x, dict):
        return (dict, *((key, _fixed(value)) for key, value in x.items()))
    if isinstance(x, SeedGenerator):
        return SeedGenerator
    if isinstance(x, types.FunctionType) and is_library_code(x):
        return x
    raise TypeError
