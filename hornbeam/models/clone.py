"""Copies of models with fresh weights, and models from JSON."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

from hornbeam import errors, saving, tree
from hornbeam.core.graph import Operation, nodes_of
from hornbeam.core.op import OpCall
from hornbeam.core.provenance import refuse_real_keras
from hornbeam.layers.core import Lambda
from hornbeam.layers.layer import Layer
from hornbeam.metrics.metric import Metric
from hornbeam.models.functional import Functional
from hornbeam.models.graph_subclass import (
    make_from_graph,
    own_arguments,
    takes_graph,
    user_class,
)
from hornbeam.models.model import Model
from hornbeam.models.sequential import Sequential
from hornbeam.objects.configuration import serialize
from hornbeam.objects.guard import checked_model, one_error
from hornbeam.optimizers.optimizer import Optimizer
from hornbeam.saving.disk import parse_json
from hornbeam.saving.eras import older_files
from hornbeam.typing import CustomObjects, Structure

__all__ = ["clone_model", "model_from_config", "model_from_json", "model_from_yaml"]


def clone_model(
    model: Model,
    input_tensors: Structure = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Model:
    """Return a model with the same architecture and newly initialized weights.

    The copy of a compiled model is compiled, with a new optimizer and new metrics.

    Args:
        model: A functional or sequential model, or a subclassed one with `get_config`.
        input_tensors: Symbolic tensors to use as the inputs of the copy.
        clone_function: Copies a layer. Default: creates it from its configuration.
        call_function: Called as `call_function(layer, *args, **kwargs)` instead of the layer.
        recursive: Whether to apply `clone_function` inside nested models too.

    Raises:
        ValueError: If `model` is not a model, or is a subclassed one and `clone_function` or
            `input_tensors` is given.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)])
        >>> clone_model(model).count_params()
        8
    """
    if kwargs:
        raise ValueError(f"clone_model: unexpected arguments {errors.listed(kwargs)}.")
    if not isinstance(model, Model):
        refuse_real_keras("clone_model", model)
        raise ValueError(f"clone_model: expected a Model, received {model!r}.")

    clone = _copied_model(model, input_tensors, clone_function, call_function, recursive)
    clone._trainable = model.trainable
    if model.compiled:
        _compile_as(clone, model)
    return clone


def _copied_model(
    model: Model, input_tensors: Any, clone_function: Any, call_function: Any, recursive: bool
) -> Model:
    """Return the clone, not compiled."""

    def copy(layer: Any) -> Any:
        if recursive and isinstance(layer, (Functional, Sequential)):
            return clone_model(layer, None, clone_function, call_function, True)
        if clone_function is not None and isinstance(layer, Layer) and not _is_input(layer):
            return clone_function(layer)
        return _copied(layer)

    if isinstance(model, Sequential):
        clone = Sequential([copy(layer) for layer in model._given_stack()], name=model.name)
        shape = getattr(model, "input_shape", None)  # of a batch, where there is no `Input`
        if shape is not None and not clone.built:
            clone.build(shape)
        if input_tensors is not None:
            return Functional(input_tensors, clone(input_tensors), name=model.name)
        return clone
    if isinstance(model, Functional):
        customized = not (input_tensors is clone_function is call_function is None)
        if not takes_graph(model) and not customized:
            with contextlib.suppress(ValueError, TypeError):  # else a copy of the graph alone
                return user_class(model).from_config(model.get_config())
        return _copied_graph(model, input_tensors, copy, call_function)
    if clone_function is not None or input_tensors is not None:
        raise ValueError(
            "clone_model: `clone_function` and `input_tensors` need a functional or sequential "
            f"model, received the subclassed model {type(model).__name__}."
        )
    return user_class(model).from_config(model.get_config())


def _compile_as(clone: Model, model: Model) -> None:
    """Compile a clone like its model, with a new optimizer and new metrics."""

    def copy(part: Any) -> Any:
        if isinstance(part, (Metric, Optimizer)):
            return type(part).from_config(part.get_config())
        return part

    arguments = model.require_compiled("clone_model").arguments
    arguments = {**arguments, "optimizer": model.optimizer}
    clone.compile(**{name: tree.map_structure(copy, value) for name, value in arguments.items()})


def _copied(layer: Any) -> Any:
    """Return a new layer or op of the same configuration."""
    if isinstance(layer, OpCall):
        return OpCall(layer.info, layer.settings, layer.name)
    if not isinstance(layer, Lambda):
        config = layer.get_config()
        if any(isinstance(x, Operation) for x in tree.flatten(config)):
            config = serialize(config)  # so that the copy has layers of its own
        return type(layer).from_config(config)
    # The function is available, so it need not go through a configuration.
    return type(layer)(
        layer.function,
        output_shape=layer.output_shape,
        mask=layer.mask,
        arguments=layer.arguments,
        name=layer.name,
        trainable=layer.trainable,
        dtype=layer.dtype_policy,
    )


def _copied_graph(
    model: Functional,
    input_tensors: Any,
    copy: Callable[[Any], Any],
    call_function: Callable[..., Any] | None,
) -> Functional:
    """Return a functional model whose operations are copies, called in the same order."""
    copies = {id(o): copy(o) for o in model._graph.operations}
    known: dict[int, Any] = {}
    given = tree.flatten(input_tensors) if input_tensors is not None else None
    for position, x in enumerate(model.inputs):
        made = copies[id(x.producer[0].operation)]
        known[id(x)] = given[position] if given else nodes_of(made)[0].outputs
    for node in model._graph.nodes:
        if not node.inputs:
            continue
        args, kwargs = tree.map_structure(
            lambda v: known[id(v)] if id(v) in known else v, (node.args, node.kwargs)
        )
        operation = copies[id(node.operation)]
        if call_function is None:
            results = operation(*args, **kwargs)
        else:
            results = call_function(operation, *args, **kwargs)
        for old, new in zip(tree.flatten(node.outputs), tree.flatten(results), strict=True):
            known[id(old)] = new
    inputs, outputs = tree.map_structure(
        lambda v: known[id(v)], (model._inputs_struct, model._outputs_struct)
    )
    if not takes_graph(model):  # the class would make a graph of its own
        return Functional(inputs, outputs, name=model.name)
    try:
        own = own_arguments(model)
    except ValueError as error:
        warnings.warn(f"clone_model: the copy is a plain Functional. {error}", stacklevel=3)
        return Functional(inputs, outputs, name=model.name)
    return make_from_graph(user_class(model), inputs, outputs, {"name": model.name, **own})


def _is_input(layer: Layer) -> bool:
    return type(layer).__name__ == "InputLayer"


def model_from_json(json_string: str, custom_objects: CustomObjects = None) -> Model:
    """Return a model, with new weights, from the result of `Model.to_json`.

    Args:
        json_string: The JSON text.
        custom_objects: Custom classes and functions by name.

    Raises:
        FileError: If the text is not the configuration of a model.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)])
        >>> model_from_json(model.to_json()).count_params()
        8
    """
    with one_error("model_from_json: the text"):
        config = older_files().modern_model(
            parse_json(json_string, "model_from_json: the text"), None, custom_objects
        )
        return checked_model(
            saving.deserialize_keras_object(config, custom_objects=custom_objects), "The text"
        )


def model_from_config(config: dict[str, Any], custom_objects: CustomObjects = None) -> Model:
    """Return a model, with new weights, from a configuration.

    Args:
        config: `{"class_name": ..., "config": ...}`, from any version of Keras.
        custom_objects: Custom classes and functions by name.

    Raises:
        FileError: If it is not the configuration of a model.

    Example:
        >>> dense = {"output_dim": 2, "batch_input_shape": [None, 3], "name": "d"}
        >>> layers = [{"class_name": "Dense", "config": dense}]
        >>> model_from_config({"class_name": "Sequential", "config": layers}).count_params()
        8
    """
    with one_error("model_from_config: the configuration"):
        made = saving.deserialize_keras_object(
            older_files().modern_model(config, None, custom_objects), custom_objects=custom_objects
        )
        return checked_model(made, "The configuration")


def model_from_yaml(yaml_string: str, custom_objects: CustomObjects = None) -> Model:
    """Return a model, with new weights, from the result of `Model.to_yaml` of Keras 1 or 2.

    Needs the extra `hornbeam[yaml]`.

    Args:
        yaml_string: The YAML text. Tags that would create Python objects are refused.
        custom_objects: Custom classes and functions by name.

    Raises:
        FileError: If the text is not the configuration of a model.
        ImportError: If PyYAML is not installed.
    """
    with one_error("model_from_yaml: the text"):
        config = older_files().parse_yaml(yaml_string, "model_from_yaml: the text")
    return model_from_config(config, custom_objects)
