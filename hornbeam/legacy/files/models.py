"""Configurations of models of Keras 1 and 2 in the words of Keras 3: plain data in, plain data out.

A model's configuration is walked from the outside in. `files.layers` translates the entry of each
layer, `files.ops` the TensorFlow ops of a graph, and this file the calls of layers. Configurations
of Keras 3 are returned as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from hornbeam.core.registry import custom_object_scope
from hornbeam.legacy.files.layers import modern_layer, modern_name, plain_values
from hornbeam.legacy.files.ops import OP_LAYERS, modern_op
from hornbeam.typing import CustomObjects

__all__ = ["is_old", "is_reference", "modern_graph", "modern_model", "modern_nodes"]

_STACKS = ("Sequential",)
_CONSTANT = "_CONSTANT_VALUE"
_SILENT = tuple(
    f"{kind}{rank}" for kind in ("Cropping", "UpSampling", "ZeroPadding") for rank in ("2D", "3D")
)


def is_old(config: Any, version: str | None = None) -> bool:
    """Return whether Keras 1 or 2 wrote a model's configuration.

    Args:
        config: The configuration, with its class.
        version: Version of Keras that the file states, if any.

    Example:
        >>> is_old({"class_name": "Sequential", "config": []})
        True
        >>> is_old({"module": "keras", "class_name": "Model"})
        False
    """
    if not isinstance(config, Mapping):
        return False
    version = version or config.get("keras_version")
    if version:
        return str(version).split(".")[0] in ("0", "1", "2")
    inner = config.get("config")
    if isinstance(inner, list):
        return True
    module = str(config.get("module") or "")
    if module.startswith("keras") or not isinstance(inner, Mapping):
        return False
    # Keras 3 leaves out modules in `.h5` files too, but writes `batch_shape` where Keras 2 has
    # `batch_input_shape`.
    text = [
        str(key)
        for layer in inner.get("layers") or ()
        if isinstance(layer, Mapping)
        for key in _keys(layer)
    ]
    return "batch_shape" not in text


def _keys(layer: Mapping[str, Any]) -> list[str]:
    inner = layer.get("config")
    return list(inner) if isinstance(inner, Mapping) else []


def modern_model(
    config: Any, version: str | None = None, custom_objects: CustomObjects = None
) -> Any:
    """Return a model's configuration in Keras 3's form.

    Configurations of Keras 3 are returned unchanged.

    Args:
        config: `{"class_name": ..., "config": ...}` of a model or layer.
        version: Version of Keras that the file states, if any.
        custom_objects: The user's classes by name. Their configurations are not translated.

    Raises:
        ValueError: If a layer has no counterpart any more. The message names the layer.

    Example:
        >>> layers = [{"class_name": "Dropout", "config": {"p": 0.5, "name": "d"}}]
        >>> old = {"class_name": "Sequential", "config": layers}
        >>> modern_model(old)["config"]["layers"]
        [{'class_name': 'Dropout', 'config': {'p': 0.5, 'name': 'd'}}]
    """
    if not is_old(config, version):
        return config
    first = str(version or config.get("keras_version") or "").startswith(
        ("0", "1")
    ) or _looks_first(config)
    config = plain_values(config)
    if first and set(_values_of(config, "dim_ordering")) - {"default"} == {"th"}:
        config = _channels_first(config)
    with custom_object_scope(custom_objects or {}):
        return _entry(config, first)


def _values_of(config: Any, name: str) -> Iterator[str]:
    """Yield all strings that a configuration holds under `name`, at any depth."""
    if isinstance(config, Mapping):
        if isinstance(config.get(name), str):
            yield config[name]
        config = list(config.values())
    for item in config if isinstance(config, list) else ():
        yield from _values_of(item, name)


def _channels_first(config: Any) -> Any:
    """Return a configuration of Keras 1 with the axis order in all layers.

    Keras 1 omitted it in some layers.
    """
    if isinstance(config, list):
        return [_channels_first(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    config = {key: _channels_first(item) for key, item in config.items()}
    if config.get("class_name") in _SILENT and isinstance(config.get("config"), Mapping):
        config["config"] = {"dim_ordering": "th", **config["config"]}
    return config


def _looks_first(config: Any) -> bool:
    """Return whether a configuration has words that only Keras 1 used."""
    if isinstance(config, Mapping):
        if {"W_regularizer", "dim_ordering", "border_mode", "inner_init", "beta_init"} & set(
            config
        ):
            return True
        return any(_looks_first(item) for item in config.values())
    return isinstance(config, list) and any(map(_looks_first, config))


def _entry(entry: Any, first: bool) -> Any:
    """Return the entry of a layer or model in Keras 3's words.

    Args:
        entry: Class name and configuration.
        first: Whether Keras 1 wrote it.
    """
    name: str = entry.get("class_name")
    inner: Any = entry.get("config")
    if name in _STACKS:
        stack: dict[str, Any] = dict(inner) if isinstance(inner, Mapping) else {"layers": inner}
        layers = [dict(layer) for layer in stack.get("layers", [])]
        if layers and layers[0].get("class_name") == "Merge":
            return _merged_stack(stack, layers, first)
        translated = [_entry(layer, first) for layer in layers]
        return {**_bare(entry), "config": {**stack, "layers": _with_input(translated, layers)}}
    if isinstance(inner, Mapping) and "layers" in inner and "input_layers" in inner:
        return {**_bare(entry), "config": _graph(dict(inner), first)}
    if not isinstance(inner, Mapping):
        return entry
    inner = {key: _part(value, first) for key, value in inner.items()}
    name, arguments, call_arguments = modern_layer(str(name), inner, first)
    layer = {**_bare(entry), "class_name": name, "config": arguments}
    return {**layer, "call_arguments": call_arguments} if call_arguments else layer


def _part(value: Any, first: bool) -> Any:
    """Return an argument of a layer in Keras 3's words, if it is a layer or a list of cells."""
    if isinstance(value, list) and value and all(map(_is_layer, value)):
        return [_entry(item, first) for item in value]
    return _entry(value, first) if _is_layer(value) else value


def _is_layer(value: Any) -> bool:
    """Return whether a value is the entry of a layer.

    Unlike the entries of initializers and similar objects, it has a name.
    """
    if not isinstance(value, Mapping) or not {"class_name", "config"} <= set(value):
        return False
    inner = value["config"]
    return isinstance(inner, list) or (
        isinstance(inner, Mapping)
        and "name" in inner
        and ("trainable" in inner or "layers" in inner)
    )


def _bare(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry without its module, which differs in Keras 3.

    Classes that the user registered keep their registered name.
    """
    kept = {
        key: value
        for key, value in entry.items()
        if key not in ("module", "build_config", "keras_version", "backend")
    }
    if ">" not in str(kept.get("registered_name")) or str(kept.get("registered_name")).startswith(
        "Custom>"
    ):
        kept.pop("registered_name", None)
    return kept


def _with_input(translated: list[Any], layers: list[Any]) -> list[Any]:
    """Return the layers of a stack, with an input layer if the first layer has an input shape."""
    if not layers or layers[0].get("class_name") == "InputLayer":
        return translated
    old = layers[0].get("config")
    if not isinstance(old, Mapping):
        return translated
    shape = old.get("batch_input_shape")
    if shape is None:
        return translated
    return [_input_entry(old, shape, layers[0]["class_name"]), *translated]


def _input_entry(old: Mapping[str, Any], shape: Any, class_name: str) -> dict[str, Any]:
    """Return the entry of an input before a layer with the configuration `old`."""
    dtype = old.get("input_dtype") or old.get("dtype")
    dtype = dtype if isinstance(dtype, str) else "float32"
    config = {"batch_shape": list(shape), "dtype": "int32" if class_name == "Embedding" else dtype}
    return {
        "class_name": "InputLayer",
        "config": {**config, "name": modern_name(f"{old.get('name')}_input")},
    }


# --- graphs ---------------------------------------------------------------------------------------


def is_reference(value: object) -> bool:
    """Return whether a value is Keras 2's form of a tensor: layer, call index, output index."""
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(isinstance(n, int) and not isinstance(n, bool) for n in value[1:3])
        and (len(value) == 3 or isinstance(value[3], Mapping))
    )


def tensor(name: str, call: int = 0, output: int = 0) -> dict[str, Any]:
    """Return Keras 3's form of a tensor in a graph.

    Args:
        name: Name of the layer that computes it.
        call: Index of the layer's call.
        output: Index among the outputs of that call.

    Example:
        >>> tensor("dense")
        {'class_name': '__keras_tensor__', 'config': {'keras_history': ['dense', 0, 0]}}
    """
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, call, output]}}


def modern_nodes(calls: list[Any]) -> list[dict[str, Any]]:
    """Return the calls of a layer in Keras 3's form: positional and keyword arguments.

    Args:
        calls: In Keras 2's or Keras 3's form.

    Example:
        >>> modern_nodes([[["x", 0, 0, {"training": None}]]])[0]["kwargs"]
        {'training': None}
    """
    return [
        dict(call) if isinstance(call, Mapping) and "args" in call else _call(call)
        for call in calls
    ]


def _call(call: Any) -> dict[str, Any]:
    """Return a call of a layer in Keras 3's form."""
    kwargs: dict[str, Any] = {}

    def argument(value: Any) -> Any:
        """Return a positional argument. Keras 2 repeats the keyword arguments with each tensor."""
        if isinstance(value, list) and len(value) in (3, 4) and value[0] == _CONSTANT:
            kwargs.update(value[3] if len(value) > 3 else {})
            return value[2]
        if is_reference(value):
            kwargs.update(value[3] if len(value) > 3 else {})
            return tensor(*value[:3])
        if isinstance(value, Mapping):
            return {key: argument(item) for key, item in value.items()}
        return [argument(item) for item in value] if isinstance(value, list) else value

    if isinstance(call, list) and len(call) == 1 and isinstance(call[0], list):
        call = call[0]
    first = argument(call)
    return {"args": [first], "kwargs": {key: _keyword(value) for key, value in kwargs.items()}}


def _keyword(value: Any) -> Any:
    """Return a keyword argument of a call in Keras 3's form."""
    if isinstance(value, list) and value and value[0] == _CONSTANT:
        return value[2]
    if is_reference(value):
        return tensor(*value[:3])
    if isinstance(value, list):
        return [_keyword(item) for item in value]
    return (
        {key: _keyword(item) for key, item in value.items()}
        if isinstance(value, Mapping)
        else value
    )


def modern_graph(config: dict[str, Any]) -> dict[str, Any]:
    """Return a functional model's configuration with the calls of its layers in Keras 3's form."""
    forms = [
        isinstance(c, Mapping) and "args" in c
        for e in config["layers"]
        for c in e.get("inbound_nodes", [])
    ]
    config = config if all(forms) else _called_once(config)
    inside, outside = _renumbered(config, all(forms))

    def shifted(value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get("class_name") == "__keras_tensor__":
                name, number, output = value["config"]["keras_history"]
                return tensor(name, inside.get(name, {}).get(number, number), output)
            return {key: shifted(item) for key, item in value.items()}
        return [shifted(item) for item in value] if isinstance(value, list) else value

    def end(structure: Any) -> Any:
        if is_reference(structure):
            return [
                structure[0],
                outside.get(structure[0], {}).get(structure[1], structure[1]),
                structure[2],
            ]
        if isinstance(structure, Mapping):
            return {key: end(item) for key, item in structure.items()}
        return [end(item) for item in structure]

    layers = [
        {**entry, "inbound_nodes": shifted(modern_nodes(list(entry.get("inbound_nodes", []))))}
        for entry in config["layers"]
    ]
    return {
        **config,
        "layers": layers,
        "input_layers": end(config["input_layers"]),
        "output_layers": end(config["output_layers"]),
    }


def _called_once(config: dict[str, Any]) -> dict[str, Any]:
    """Return a graph with one entry for each call of a nested model; `keras2_model` writes two."""
    used: dict[str, set[int]] = {}
    _look(
        [[entry.get("inbound_nodes", []) for entry in config["layers"]], config["output_layers"]],
        used,
    )

    def once(entry: dict[str, Any]) -> dict[str, Any]:
        calls, inner = list(entry.get("inbound_nodes", [])), entry.get("config")
        is_model = isinstance(inner, Mapping) and "layers" in inner
        numbers = used.get(_name(entry), set())
        if (
            not is_model
            or not numbers
            or calls[::2] != calls[1::2]
            or not all(n % 2 for n in numbers)
        ):
            return entry
        return {**entry, "inbound_nodes": calls[::2]}

    return {**config, "layers": [once(entry) for entry in config["layers"]]}


def _graph(config: dict[str, Any], first: bool) -> dict[str, Any]:
    """Return the configuration of a functional model in Keras 3's words."""
    config = modern_graph(config)
    places = _Places(config)
    layers: list[dict[str, Any]] = []
    for entry in places.entries:
        old = _name(entry)
        if old in places.ops:
            for number in range(len(places.calls[old])):
                layers.extend(modern_op(places.moved[old, number][0], places.op_calls))
            continue
        new = _entry({key: value for key, value in entry.items() if key != "inbound_nodes"}, first)
        name = places.names[old]
        if isinstance(new["config"], Mapping):
            new["config"] = {**new["config"], "name": name}
        extra = new.pop("call_arguments", {})
        nodes = [
            {"args": c["args"], "kwargs": {**_given(c["kwargs"]), **extra}}
            for c in places.calls[old]
        ]
        layers.append({**new, "name": name, "inbound_nodes": nodes})
    return {
        **config,
        "layers": layers,
        "input_layers": places.ends(config["input_layers"]),
        "output_layers": places.ends(config["output_layers"]),
    }


class _Places:
    """Where the tensors of an old graph are in the new one, whose layers have new names.

    Attributes:
        entries: The configurations of the layers.
        names: New name of each layer, by its old name.
        ops: The entries that are ops.
        moved: New name and number of a call, by the old ones. An op that is called twice becomes
            two ops, because each call has its own settings.
        calls: Arguments of the calls of each layer, by its old name; tensors have new places.
        op_calls: The entry and the arguments of each new op.
    """

    def __init__(self, config: Mapping[str, Any]):
        self._model = config.get("name")
        self.entries = [dict(entry) for entry in config["layers"]]
        self.names = _new_names([_name(entry) for entry in self.entries])
        self.ops = {_name(e): e for e in self.entries if e.get("class_name") in OP_LAYERS}
        self._nested = {
            _name(entry)
            for entry in self.entries
            if isinstance(entry["config"], Mapping) and "input_layers" in entry["config"]
        }
        calls = {_name(entry): list(entry.get("inbound_nodes", [])) for entry in self.entries}
        self.moved: dict[tuple[str, int], tuple[str, int]] = {}
        for old, new in self.names.items():
            for number in range(max(1, len(calls[old]))):
                apart = old in self.ops and number > 0
                self.moved[old, number] = (
                    (f"{new}_call_{number}", 0)
                    if apart
                    else (new, 0 if old in self.ops else number)
                )
        self.calls = {
            old: [
                {"args": self._point(c["args"]), "kwargs": self._point(c["kwargs"])} for c in made
            ]
            for old, made in calls.items()
        }
        self.op_calls = {
            self.moved[old, number][0]: (entry, call)
            for old, entry in self.ops.items()
            for number, call in enumerate(self.calls[old])
        }

    def ends(self, structure: Any) -> Any:
        """Return the model's inputs or outputs with new places."""
        if is_reference(structure):
            name, number = self._place(structure[0], structure[1])
            # Keras 3 counts the call that made the nested model itself.
            return [name, number + (structure[0] in self._nested), structure[2]]
        if isinstance(structure, Mapping):
            return {key: self.ends(item) for key, item in structure.items()}
        return [self.ends(item) for item in structure]

    def _place(self, name: str, number: int) -> tuple[str, int]:
        if name not in self.names:
            raise ValueError(
                f"The saved graph of '{self._model}' uses the layer {name!r}, which it does not"
                " hold. Save the model again, or build it in your program and load its weights."
            )
        return self.moved.get((name, number), (self.names[name], number))

    def _point(self, value: Any) -> Any:
        """Return a value whose tensors have new places."""
        if isinstance(value, Mapping):
            if value.get("class_name") == "__keras_tensor__":
                name, number, output = value["config"]["keras_history"]
                return tensor(*self._place(name, number), output)
            return {key: self._point(item) for key, item in value.items()}
        return [self._point(item) for item in value] if isinstance(value, list) else value


def _given(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in kwargs.items() if value is not None}


def _name(entry: Mapping[str, Any]) -> str:
    inner = entry.get("config")
    return str(entry.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None))


def _new_names(old: list[str]) -> dict[str, str]:
    """Return the layers' names without slashes, all different, by their old names."""
    taken = {name for name in old if "/" not in name}
    names: dict[str, str] = {}
    for name in old:
        new, number = modern_name(name), 1
        while "/" in name and new in taken:
            new, number = f"{modern_name(name)}_{number}", number + 1
        taken.add(new)
        names[name] = new
    return names


Numbers = dict[str, dict[int, int]]


def _look(value: Any, used: dict[str, set[int]]) -> None:
    """Add to `used` which calls of which layers the tensors in `value` come from."""
    if is_reference(value):
        used.setdefault(value[0], set()).add(value[1])
        value = value[3] if len(value) > 3 else {}
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            name, number, _ = value["config"]["keras_history"]
            used.setdefault(name, set()).add(number)
            return
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        _look(item, used)


def _renumbered(config: Mapping[str, Any], modern: bool) -> tuple[Numbers, Numbers]:
    """Return the indices of layer calls within the graph, by layer and index in the file.

    Keras 2 also counts the call that made a nested model, and calls in other models. Keras 3 does
    so for the outputs of the graph only.

    Args:
        config: Configuration of the functional model.
        modern: Whether the calls have Keras 3's form.

    Returns:
        Two tables, for tensors that layers take and for the graph's outputs.
    """
    taken: dict[str, set[int]] = {}
    given: dict[str, set[int]] = {}

    for entry in config["layers"]:
        _look(entry.get("inbound_nodes", []), taken)
    _look(config["output_layers"], given)
    inside: Numbers = {}
    outside: Numbers = {}
    for entry in config["layers"]:
        name, calls, inner = _name(entry), len(entry.get("inbound_nodes", [])), entry.get("config")
        nested = isinstance(inner, list) or (isinstance(inner, Mapping) and "layers" in inner)
        graph = isinstance(inner, Mapping) and "input_layers" in inner
        late = 1 if modern and graph else 0
        numbers = sorted(taken.get(name, set()) | {max(0, n - late) for n in given.get(name, ())})
        if not numbers or not calls:
            continue
        change = {n: n for n in numbers}
        if numbers[-1] >= calls or (nested and not modern and numbers[0] > 0):
            every = len(numbers) == calls  # then each call has one of them, in this order
            change = {n: i if every else max(0, n - 1) for i, n in enumerate(numbers)}
        inside[name] = change
        outside[name] = {n: change[max(0, n - late)] for n in given.get(name, ())}
    return inside, outside


# --- Keras 1: stacks that start with a Merge ------------------------------------------------------


def _merged_stack(inner: dict[str, Any], layers: list[Any], first: bool) -> Any:
    """Return a stack that starts with a `Merge` of branches as a graph. Layers keep their names."""
    made: dict[str, dict[str, Any]] = {}
    used: Counter[str] = Counter()

    def add(layer: Mapping[str, Any], calls: list[Any]) -> list[Any]:
        name = _name(layer)
        known = made.get(name)
        if known is not None:  # a branch that is given twice has its layers once
            known["inbound_nodes"].append(calls)
            used[name] += 1
        else:
            made[name] = {**layer, "name": name, "inbound_nodes": [calls] if calls else []}
            used[name] = 0
        return [name, used[name], 0, {}]

    def branch(part: Mapping[str, Any]) -> list[Any]:
        content = part["config"]
        stack = [
            dict(x) for x in (content if isinstance(content, list) else content.get("layers", []))
        ]
        if part["class_name"] not in _STACKS:
            stack = [dict(part)]
        if stack and stack[0]["class_name"] == "Merge":
            end = add(
                stack[0] | {"config": _without_branches(stack[0])},
                [branch(b) for b in stack[0]["config"]["layers"]],
            )
        else:
            head = stack[0]["config"]
            shape = head.get("batch_input_shape") if isinstance(head, Mapping) else None
            if shape is None:
                raise ValueError(
                    f"The merged branch '{_name(part)}' does not state the shape of its input."
                    " Build the model in your program and load its weights."
                )
            given = stack[0]["class_name"] == "InputLayer"
            start = stack[0] if given else _input_entry(head, shape, stack[0]["class_name"])
            name = _name(start)
            if name not in made:
                add(start, [])
                inputs.append([name, 0, 0])
            end = [name, 0, 0, {}]
            if not given:
                end = add(stack[0], [end])
        for layer in stack[1:]:
            end = add(layer, [end])
        return end

    inputs: list[Any] = []
    end = branch({"class_name": "Sequential", "config": layers})
    graph = {
        "name": inner.get("name"),
        "layers": list(made.values()),
        "input_layers": inputs,
        "output_layers": [end[:3]],
    }
    return {"class_name": "Functional", "config": _graph(graph, first)}


def _without_branches(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry["config"].items() if key != "layers"}
