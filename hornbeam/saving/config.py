"""Objects to JSON and back.

A file's class names are looked up in Hornbeam's own registries and among what the
user registered or passed; nothing that a file names is ever imported or run.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import jax
import numpy as np

from hornbeam import dtype_policies, errors
from hornbeam.core.graph import Operation
from hornbeam.core.loading import count_work
from hornbeam.core.op import OpCall
from hornbeam.core.op_table import OPS
from hornbeam.dtypes import DTypePolicy, get_policy, standardize_dtype
from hornbeam.errors import FileError

__all__ = [
    "CustomObjectScope",
    "constructor_config",
    "custom_object_scope",
    "deserialize",
    "deserialize_keras_object",
    "deserialize_op",
    "from_constructor_config",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
    "serialize",
    "serialize_keras_object",
    "serialize_op",
]

_registered: dict[str, Any] = {}
_names: dict[Any, str] = {}
_custom: dict[str, Any] = {}
_lock = threading.Lock()
_scope: ContextVar[dict[str, Any]] = ContextVar("hornbeam_custom_objects", default={})  # noqa: B039  (replaced, never changed)


# --- the user's own classes and functions -----------------------------------------------------


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """Register a class or function of yours, so that files that hold it can be loaded.

    Args:
        package: Prefix of its name in files.
        name: Its name there. Default: its own.

    Raises:
        ValueError: If a class has no `get_config`.

    Example:
        >>> @register_keras_serializable("demo")
        ... def double(x):
        ...     return 2 * x
        >>> get_registered_name(double)
        'demo>double'
    """

    def register(target: Any) -> Any:
        if inspect.isclass(target) and not hasattr(target, "get_config"):
            raise ValueError(f"register_keras_serializable: class {target.__name__} has no `get_config`.")
        full = f"{package}>{name or target.__name__}"
        with _lock:
            _registered[full] = target
            _names[target] = full
        return target

    return register


def get_registered_name(obj: Any) -> str:
    """Return the name under which a class or function is registered, or its own.

    Example:
        >>> get_registered_name(print)
        'print'
    """
    try:
        return _names.get(obj) or obj.__name__
    except TypeError:
        return obj.__name__


def get_registered_object(name: str, custom_objects: Any = None, module_objects: Any = None) -> Any:
    """Return what is registered (or in scope) under `name`, or `None`.

    Example:
        >>> get_registered_object("nothing") is None
        True
    """
    for table in (custom_objects or {}, _scope.get(), _custom, _registered, module_objects or {}):
        if name in table:
            return table[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """Return the table of custom objects of the process, which may be changed.

    Example:
        >>> get_custom_objects()
        {}
    """
    return _custom


class custom_object_scope:
    """Make classes and functions known by name inside a block.

    Args:
        custom_objects: Mapping of names to classes or functions.

    Example:
        >>> with custom_object_scope({"twice": lambda x: 2 * x}):
        ...     get_registered_object("twice")(3)
        6
    """

    def __init__(self, custom_objects: Mapping[str, Any]):
        if not isinstance(custom_objects, Mapping):
            raise TypeError(f"custom_object_scope: expected a dict, received {custom_objects!r}.")
        self._objects = dict(custom_objects)

    def __enter__(self) -> custom_object_scope:
        self._token = _scope.set({**_scope.get(), **self._objects})
        return self

    def __exit__(self, *exc: object) -> None:
        _scope.reset(self._token)


CustomObjectScope = custom_object_scope


# --- the allowlist -------------------------------------------------------------------------------


@functools.cache
def _families() -> dict[str, Any]:
    """Return our modules of classes by the name that Keras's files give them."""
    from hornbeam import (
        activations,
        constraints,
        initializers,
        layers,
        losses,
        metrics,
        models,
        optimizers,
        quantizers,
        regularizers,
    )  # fmt: skip
    from hornbeam.optimizers import schedules
    from hornbeam.saving import application_layers

    return {
        "keras.layers": layers,
        "keras.models": models,
        "keras": models,
        "keras.initializers": initializers,
        "keras.regularizers": regularizers,
        "keras.constraints": constraints,
        "keras.losses": losses,
        "keras.metrics": metrics,
        "keras.optimizers": optimizers,
        "keras.optimizers.schedules": schedules,
        "keras.activations": activations,
        "keras.quantizers": quantizers,
        "keras.src.applications.convnext": application_layers,
    }


@functools.cache
def _our_modules() -> dict[int, str]:
    """Return Keras's module name of each of our public classes, by the class's id."""
    table: dict[int, str] = {}
    for module, ours in _families().items():
        for name in ours.__all__:
            value = getattr(ours, name, None)
            if inspect.isclass(value):
                table.setdefault(id(value), module)
    return table


# Where files of all eras say that Keras's classes stand; `builtins` is where Keras 3 puts some.
_OWN_MODULES = ("keras", "tensorflow", "tf_keras", "keras_core", "hornbeam", "builtins")


def _find_class(module: str | None, name: str, registered: str | None) -> Any:
    for key in (registered, name):
        found = get_registered_object(key) if key else None
        if found is not None:
            return found
    if registered and ">" in registered and not str(module).startswith(("keras", "tf_keras", "hornbeam")):
        return None  # a class of the user's, which may have the name of one of ours
    if name == "Policy" or name in dtype_policies.__all__:
        return DTypePolicy
    if name in ("Functional", "Model", "Sequential"):
        from hornbeam import models

        return models.Functional if name in ("Functional", "Model") else models.Sequential
    if module and str(module).split(".")[0] not in _OWN_MODULES:
        return None  # another's class of a name that we have too
    families = _families()
    public = (module or "").replace("tensorflow.", "").replace("tf_keras", "keras").replace("keras.src", "keras")
    order = [m for key, m in families.items() if key == public]
    order += [m for key, m in families.items() if public.startswith(f"{key}.") and key != "keras"]
    for ours in [*order, *families.values()]:
        if name in ours.__all__ and inspect.isclass(getattr(ours, name)):
            return getattr(ours, name)
    return None


# --- to JSON -----------------------------------------------------------------------------------------


def serialize(obj: Any) -> Any:
    """Return `obj` as JSON can hold it.

    Args:
        obj: Number, string, list, dict, dtype policy, built-in function, or an object with
            `get_config`.

    Raises:
        ValueError: If it is an object that cannot be described.

    Example:
        >>> serialize((1, 2)), serialize(None)
        ([1, 2], None)
    """
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, (np.generic, jax.Array, np.ndarray)):
        if np.ndim(obj) == 0:
            return np.asarray(obj).item()
        array = np.asarray(obj)
        return {"class_name": "__numpy__", "config": {"value": array.tolist(), "dtype": array.dtype.name}}
    if isinstance(obj, (list, tuple)):
        return [serialize(item) for item in obj]
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, slice):
        ends = {"start": serialize(obj.start), "stop": serialize(obj.stop), "step": serialize(obj.step)}
        return {"class_name": "__slice__", "config": ends}
    if isinstance(obj, Mapping) and not hasattr(obj, "get_config"):
        return {key: serialize(item) for key, item in obj.items()}
    if isinstance(obj, DTypePolicy):
        from hornbeam.dtype_policies import serialize as serialize_policy

        return serialize_policy(obj)
    if isinstance(obj, OpCall):
        return serialize_op(obj)
    if inspect.isclass(obj) or (callable(obj) and not hasattr(obj, "get_config")):
        return _serialize_function(obj)
    if not hasattr(obj, "get_config"):
        raise ValueError(
            f"Cannot save {errors.describe(obj)}: it has no `get_config`. Give its class one, and register "
            "it with `hornbeam.saving.register_keras_serializable()`."
        )
    cls = getattr(type(obj), "_of", type(obj))
    module = _our_modules().get(id(cls))
    if cls.__name__ == "Functional" and module:
        module = "keras.src.models.functional"
    config: dict[str, Any] = {
        "module": module or cls.__module__,
        "class_name": getattr(cls, "_saved_as", cls.__name__),
        "config": obj.get_config(),
        "registered_name": None if module else get_registered_name(cls),
    }
    if module == "keras.models":
        config["module"] = "keras"
    if isinstance(obj, Operation) and hasattr(obj, "get_build_config") and getattr(obj, "built", False):
        build = obj.get_build_config()
        if build and cls.__name__ not in ("InputLayer",):
            config["build_config"] = build
    if getattr(obj, "compiled", False) and hasattr(obj, "get_compile_config"):
        config["compile_config"] = obj.get_compile_config()
    return config


def _serialize_function(function: Any) -> Any:
    name = getattr(function, "__name__", type(function).__name__)
    if name == "<lambda>":
        from hornbeam.saving.bytecode import stored_form

        return stored_form(function)
    registered = get_registered_name(function)
    if registered != name:
        return {
            "module": "builtins", "class_name": "function", "config": registered, "registered_name": "function",
        }  # fmt: skip
    module = getattr(function, "__module__", "") or ""
    if module.startswith("hornbeam."):
        return name
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}


def serialize_op(operation: OpCall) -> dict[str, Any]:
    """Return an op of a graph in Keras's form: module, class name, settings."""
    info = operation.info
    settings = {key: serialize(value) for key, value in operation.settings.items()}
    return {
        "module": info.module,
        "class_name": info.class_name,
        # Keras's own ops outside of `ops` take no name.
        "config": {"name": operation.name, **settings} if info.module.startswith("keras.src.ops") else settings,
        "registered_name": info.class_name,
    }


# --- from JSON ----------------------------------------------------------------------------------------


def deserialize(config: Any, custom_objects: Any = None, safe_mode: bool = True) -> Any:
    """Return the object that `config` describes.

    Args:
        config: What `serialize` gave, or Keras wrote.
        custom_objects: Classes and functions of yours by name.
        safe_mode: False says that you trust the config as you trust a program: functions that Keras stored as
            bytecode may run. Inside a call of `load_model` that said so it need not be said again.

    Raises:
        FileError: If the config holds code, or is nested too deeply.
        ValueError: If a class is unknown.

    Example:
        >>> from hornbeam import initializers
        >>> deserialize(serialize(initializers.Zeros())).__class__.__name__
        'Zeros'
    """
    from hornbeam.saving.guard import guarded_configuration

    with guarded_configuration("The configuration", safe_mode):
        if not custom_objects:
            return _object_of(config)
        with custom_object_scope(custom_objects):
            return _object_of(config)


def _object_of(config: Any) -> Any:
    if isinstance(config, (list, tuple)):
        return [_object_of(item) for item in config]
    if isinstance(config, str):
        found = get_registered_object(config)
        return config if found is None else found
    if not isinstance(config, Mapping):
        return config
    if "class_name" not in config or "config" not in config:
        return {key: _object_of(item) for key, item in config.items()}
    name, inner = config["class_name"], config["config"]
    if not isinstance(name, str):
        raise FileError(f"A class name must be a string, received {errors.describe(name)}.")
    module, registered = config.get("module"), config.get("registered_name")
    if name in _PLAIN:
        return _plain_value(name, inner, config)
    if name == "function":
        found = get_registered_object(str(inner)) or _own_function(str(inner))
        if found is None:
            raise _unknown("function", str(inner))
        return found
    # `.h5` files leave modules out; a layer's config states `trainable` or `dtype`, an op's does not.
    bare_op = module is None and name in OPS and isinstance(inner, Mapping) and not {"trainable", "dtype"} & set(inner)
    if str(module).startswith("keras.src.ops") or (name in OPS and registered == name) or bare_op:
        return deserialize_op(dict(config))
    cls = _find_class(module, str(name), registered)
    if cls is None:
        if name in _REFUSED:
            raise FileError(f"The configuration holds a {name}, which {_REFUSED[name]}; Hornbeam does not load it.")
        raise _unknown("class", str(registered or name))
    if not inspect.isclass(cls):
        return cls
    if cls is DTypePolicy:
        return get_policy(config)
    if not isinstance(inner, (Mapping, list)):
        raise ValueError(f"The config of {name} must be a dict, received {errors.describe(inner)}.")
    obj = cls.from_config(dict(inner) if isinstance(inner, Mapping) else inner)
    if isinstance(obj, Operation):  # what is recurrent calls its cells unseen
        count_work(name, 8 if hasattr(obj, "state_size") else 2)
    if config.get("build_config") and not getattr(obj, "built", True):
        try:
            obj.build_from_config(config["build_config"])
        except (TypeError, ValueError, NotImplementedError, AttributeError):
            pass  # built at the first call; loading weights before that says what is missing
    if config.get("compile_config") and hasattr(obj, "compile_from_config"):
        obj.compile_from_config(config["compile_config"])
    return obj


_PLAIN = frozenset(["__numpy__", "__tensor__", "__tuple__", "__lambda__", "__bytes__", "__ellipsis__", "__slice__"])
# Classes of Keras that run what a file names.
_REFUSED = {
    "TFSMLayer": "runs a SavedModel, a program that stands in another file",
    "TorchModuleWrapper": "holds a pickled PyTorch module",
}


def _plain_value(name: str, inner: Any, config: Mapping[str, Any]) -> Any:
    """Return a value that JSON lacks; bytecode only where the user allowed it."""
    if name == "__lambda__":
        from hornbeam.saving.bytecode import function_from

        return function_from(inner)
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__slice__":
        return slice(inner.get("start"), inner.get("stop"), inner.get("step"))
    if name == "__bytes__":
        raise FileError("The configuration holds bytes, which no model's configuration needs.")
    items = inner.get("value", config.get("items", [])) if isinstance(inner, Mapping) else inner
    if name == "__tuple__":
        return tuple(items)
    # Objects and texts of any width may not be made: a few bytes would claim any number.
    return np.array(items, dtype=standardize_dtype(inner.get("dtype")))


def _own_function(name: str) -> Any:
    families = _families()
    for module in ("keras.activations", "keras.losses", "keras.metrics"):
        found = getattr(families[module], name, None) if name in families[module].__all__ else None
        if inspect.isfunction(found) and name not in ("deserialize", "get", "serialize"):
            return found
    return None


def _unknown(kind: str, name: str) -> ValueError:
    short = name.split(">")[-1]
    return ValueError(
        f"Unknown {kind} {name!r}. If it is yours, pass it: `custom_objects={{{short!r}: {short}}}`, or register it "
        "with `@hornbeam.saving.register_keras_serializable()` before loading."
    )


def deserialize_op(config: dict[str, Any]) -> OpCall:
    """Return the op of a graph from Keras's form.

    Raises:
        ValueError: If no op has that name.
    """
    info = OPS.get(config["class_name"])
    if info is None:
        raise errors.unknown_name("op", config["class_name"], OPS)
    settings = dict(config["config"])
    name = settings.pop("name", None)
    known = set(info.signature.parameters) - set(info.tensor_names)
    unknown = set(settings) - known
    if unknown:
        raise ValueError(
            f"The saved op {config['class_name']} has settings {errors.one_of(sorted(unknown))} that are not known."
        )
    full = {key: p.default for key, p in info.signature.parameters.items() if key in known and p.default is not p.empty}
    values = {key: _tuples(deserialize(value)) for key, value in settings.items()}
    return OpCall(info, {**full, **values}, name)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


serialize_keras_object = serialize
deserialize_keras_object = deserialize


# --- configuration from constructors ------------------------------------------------------------------


def constructor_config(obj: Any, base: type, skip: Any = ()) -> dict[str, Any]:
    """Return the values of an object's constructor arguments, ready for JSON.

    An argument's value is the attribute of its name; where there is none, what the
    constructor was given. Classes that override `get_config` and call this through `super()`
    add their own arguments themselves: only classes above them count.

    Args:
        obj: The object.
        base: Base class; its own constructor's arguments are not included.
        skip: Names to leave out.
    """
    cls = getattr(type(obj), "_of", type(obj))
    chain = list(cls.__mro__)
    chain = chain[: chain.index(base)]
    overriding = [i for i, c in enumerate(chain) if "get_config" in c.__dict__ and not _is_ours(c)]
    if overriding:
        chain = chain[overriding[-1] + 1 :]
    names: dict[str, Any] = {}
    captured = _captured_arguments(obj, cls)
    own = True
    for c in chain:
        if "__init__" not in c.__dict__:
            continue
        parameters = list(inspect.signature(c.__init__).parameters.values())[1:]
        for p in parameters:
            if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) or p.name in skip:
                continue
            # What a parent needs and the caller did not give, the class below it supplied.
            if own or p.default is not p.empty or p.name in captured:
                names.setdefault(p.name, p.default)
        own = False
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    config = {}
    for name, default in names.items():
        if name in obj.__dict__ or hasattr(type(obj), name):
            value = getattr(obj, name)
        elif f"_{name}" in obj.__dict__:
            value = obj.__dict__[f"_{name}"]
        else:
            value = captured.get(name, None if default is inspect.Parameter.empty else default)
        try:
            config[name] = serialize(value)
        except ValueError as error:
            raise ValueError(f"{cls.__name__}: argument `{name}` cannot be saved. {error}") from None
    return config


def _is_ours(cls: type) -> bool:
    return cls.__module__.split(".")[0] == "hornbeam"


def _captured_arguments(obj: Any, cls: type) -> dict[str, Any]:
    args, kwargs = getattr(obj, "_captured", ((), {}))
    if cls.__init__ is object.__init__:  # whose signature Python would have to parse
        return dict(kwargs)
    try:
        bound = inspect.signature(cls.__init__).bind(obj, *args, **kwargs)
    except TypeError:
        return dict(kwargs)
    arguments = dict(bound.arguments)
    arguments.update(arguments.pop("kwargs", {}))
    return arguments


def from_constructor_config(cls: type, config: Mapping[str, Any]) -> Any:
    """Make an object from what `constructor_config` gave.

    Raises:
        TypeError: If the constructor does not take an argument of the config.
    """
    values = {}
    for key, value in config.items():
        nested = isinstance(value, Mapping) and "class_name" in value and "config" in value
        lists = isinstance(value, list) and any(isinstance(v, Mapping) and "class_name" in v for v in value)
        values[key] = deserialize(value) if (nested or lists) else value
    try:
        return cls(**values)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}.from_config: {error} The config is {dict(config)!r:.300}.") from error
