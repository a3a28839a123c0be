"""Conversion of objects to JSON and back.

Class names in a file are looked up in the announced families and among the objects that the user
registered or passed. Loading never imports or runs anything that a file names.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from hornbeam import dtype_policies, errors
from hornbeam.core import registry
from hornbeam.core.graph import Operation
from hornbeam.core.loading import count_work
from hornbeam.core.op import OpCall
from hornbeam.core.op_table import OPS
from hornbeam.core.provenance import is_library_code
from hornbeam.core.registry import custom_object_scope, get_registered_name, get_registered_object
from hornbeam.dtype_policies import DTypePolicy, get_policy
from hornbeam.dtypes import standardize_dtype
from hornbeam.errors import FileError
from hornbeam.objects.bytecode import function_from, stored_form
from hornbeam.objects.guard import guarded_configuration
from hornbeam.typing import CustomObjects

__all__ = ["deserialize", "deserialize_op", "serialize", "serialize_object", "serialize_op"]


# --- the allowlist -------------------------------------------------------------------------------

# If several families have a name and the file does not state the module, the first of these counts.
_ORDER = (
    "keras.layers", "keras.models", "keras.initializers", "keras.regularizers", "keras.constraints",
    "keras.losses", "keras.metrics", "keras.optimizers", "keras.optimizers.schedules",
    "keras.activations", "keras.quantizers",
)  # fmt: skip
# In files, the module of models is the whole package, `keras`.
_MODELS = "keras.models"
# Packages of Keras's classes in files of all versions. Keras 3 puts some into `builtins`.
_OWN_MODULES = ("keras", "tensorflow", "tf_keras", "keras_core", "hornbeam", "builtins")


def _families() -> dict[str, registry.AnnouncedFamily]:
    """Return the announced families by module, in the lookup order for names without a module."""
    announced = registry.families()
    return {module: announced[module] for module in (*_ORDER, *announced) if module in announced}


def _module_of(cls: type) -> str | None:
    """Return the module of a public Hornbeam class in Keras's files, or `None`."""
    return _modules(tuple(_families().items())).get(cls)


@functools.lru_cache(maxsize=4)  # families announce themselves while Hornbeam is imported
def _modules(families: tuple[tuple[str, registry.AnnouncedFamily], ...]) -> dict[Any, str]:
    """Return the module of each public class; the first family that has the class counts."""
    return {
        member: module
        for module, family in reversed(families)
        for member in family.members.values()
        if isinstance(member, type)
    }


def _find_class(module: str | None, name: str, registered: str | None) -> Any:
    for key in (registered, name):
        found = get_registered_object(key) if key else None
        if found is not None:
            return found
    if (
        registered
        and ">" in registered
        and not str(module).startswith(("keras", "tf_keras", "hornbeam"))
    ):
        return None  # a user's class, possibly with the name of a Hornbeam class
    if name == "Policy" or name in dtype_policies.__all__:
        return _unregistered(DTypePolicy, name, registered)
    families = _families()
    if name in ("Functional", "Model", "Sequential"):
        return _unregistered(families[_MODELS].find_class(name), name, registered)
    if module and str(module).split(".")[0] not in _OWN_MODULES:
        return None  # a class of another library, with the name of a Hornbeam class
    public = (
        (module or "")
        .replace("tensorflow.", "")
        .replace("tf_keras", "keras")
        .replace("keras.src", "keras")
    )
    if public == "keras":
        public = _MODELS
    order = [
        family for key, family in families.items() if public == key or public.startswith(f"{key}.")
    ]
    for family in [*order, *families.values()]:
        found = family.find_class(name)
        if found is not None:
            return _unregistered(found, name, registered)
    return None


def _unregistered(found: Any, name: str, registered: object) -> Any:
    """Return Hornbeam's class `found`; raise if the configuration names a registered class."""
    if registered in (None, "", name):
        return found
    raise ValueError(
        f"The configuration of {name} has `registered_name={registered!r}`, but {name} is"
        " Hornbeam's own class. Remove `registered_name`, or register your class under it with"
        " `@hornbeam.saving.register_keras_serializable()` before loading."
    )


# --- to JSON -------------------------------------------------------------------------------------


def serialize(obj: object) -> Any:
    """Return the configuration of `obj`, ready for JSON.

    Args:
        obj: A number, string, list, dict, array, dtype policy, class, function, or an object with
            `get_config`.

    Raises:
        ValueError: If `obj` has no `get_config`.

    Example:
        >>> serialize((1, 2)), serialize(None)
        ((1, 2), None)
    """
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, (np.generic, jax.Array, np.ndarray)):
        if np.ndim(obj) == 0:
            return np.asarray(obj).item()
        array = np.asarray(obj)
        return {
            "class_name": "__numpy__",
            "config": {"value": array.tolist(), "dtype": array.dtype.name},
        }
    if isinstance(obj, (list, tuple)):
        items = [serialize(item) for item in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, slice):
        ends = {
            "start": serialize(obj.start),
            "stop": serialize(obj.stop),
            "step": serialize(obj.step),
        }
        return {"class_name": "__slice__", "config": ends}
    if isinstance(obj, Mapping) and not hasattr(obj, "get_config"):
        return {key: serialize(item) for key, item in obj.items()}
    if isinstance(obj, DTypePolicy):
        return dtype_policies.serialize(obj)
    if isinstance(obj, OpCall):
        return serialize_op(obj)
    if inspect.isclass(obj) or (callable(obj) and not hasattr(obj, "get_config")):
        return _serialize_function(obj)
    if not hasattr(obj, "get_config"):
        raise ValueError(
            f"Cannot save {errors.describe(obj)}: it has no `get_config`. Add one to its class and"
            " register the class with `@hornbeam.saving.register_keras_serializable()`."
        )
    cls = getattr(type(obj), "_of", type(obj))
    module = _module_of(cls)
    if cls.__name__ == "Functional" and module:
        module = "keras.src.models.functional"
    try:
        config_of = serialize if module else serialize_object
        inner = config_of(obj.get_config())
    except ValueError as error:
        raise ValueError(f"The config of {cls.__name__} cannot be saved. {error}") from None
    config: dict[str, Any] = {
        "module": module or cls.__module__,
        "class_name": getattr(cls, "_saved_as", cls.__name__),
        "config": inner,
        "registered_name": None if module else get_registered_name(cls),
    }
    if module == "keras.models":
        config["module"] = "keras"
    if (
        isinstance(obj, Operation)
        and hasattr(obj, "get_build_config")
        and getattr(obj, "built", False)
    ):
        build = obj.get_build_config()
        if build and cls.__name__ not in ("InputLayer",):
            config["build_config"] = build
    if getattr(obj, "compiled", False) and hasattr(obj, "get_compile_config"):
        config["compile_config"] = obj.get_compile_config()
    return config


def serialize_object(obj: Any) -> Any:
    """Return the configuration of `obj`, ready for JSON, with functions as dictionaries.

    `deserialize_keras_object` makes an equal object of it. Hornbeam's own configurations hold names
    of functions instead, because their readers know which kind of function is meant.

    Args:
        obj: As for `serialize`, or a list, tuple or dictionary of such objects.

    Raises:
        ValueError: If `obj` has no `get_config`.

    Example:
        >>> import hornbeam as hb
        >>> config = serialize_object(hb.activations.relu)
        >>> config["class_name"], config["config"]
        ('function', 'relu')
    """
    if isinstance(obj, dict):
        return {key: serialize_object(value) for key, value in obj.items()}
    if isinstance(obj, (list, tuple)):
        items = [serialize_object(value) for value in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    name = serialize(obj)
    if inspect.isfunction(obj) and isinstance(name, str):
        return _named_function(name)
    return name


def _named_function(name: str) -> dict[str, Any]:
    return {
        "module": "builtins", "class_name": "function", "config": name,
        "registered_name": "function",
    }  # fmt: skip


def _serialize_function(function: Any) -> Any:
    name = getattr(function, "__name__", type(function).__name__)
    if name == "<lambda>":
        return stored_form(function, serialize)
    registered = get_registered_name(function)
    if registered != name:
        return _named_function(registered)
    return name if is_library_code(function) else _named_function(name)


def serialize_op(operation: OpCall) -> dict[str, Any]:
    """Return the configuration of an op in a graph, in Keras's form."""
    info = operation.info
    settings = {key: serialize(value) for key, value in operation.settings.items()}
    return {
        "module": info.module,
        "class_name": info.class_name,
        # Keras's ops outside `keras.src.ops` take no name.
        "config": (
            {"name": operation.name, **settings}
            if info.module.startswith("keras.src.ops")
            else settings
        ),
        "registered_name": info.class_name,
    }


# --- from JSON -----------------------------------------------------------------------------------


def deserialize(config: Any, custom_objects: CustomObjects = None, safe_mode: bool = True) -> Any:
    """Return the object that `config` describes.

    Args:
        config: The result of `serialize`, or a configuration written by Keras.
        custom_objects: Custom classes and functions by name.
        safe_mode: Whether to refuse functions stored as bytecode. With `False`, they may run: use
            it only if you trust the config like a program. During `load_model(safe_mode=False)`,
            they are allowed in any case.

    Raises:
        FileError: If the config holds code and `safe_mode` is true, or is nested too deeply.
        ValueError: If a class is unknown.

    Example:
        >>> from hornbeam import initializers
        >>> deserialize(serialize(initializers.Zeros())).__class__.__name__
        'Zeros'
    """
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
    # `.h5` files omit modules. A layer's config has `trainable` or `dtype`, an op's has neither.
    bare_op = (
        module is None
        and name in OPS
        and isinstance(inner, Mapping)
        and not {"trainable", "dtype"} & set(inner)
    )
    named_op = name in OPS and registered == name and module not in _families()
    if str(module).startswith("keras.src.ops") or named_op or bare_op:
        return deserialize_op(dict(config))
    cls: Any = _find_class(module, str(name), registered)
    if cls is None:
        if name in _REFUSED:
            raise FileError(
                f"The configuration holds a {name}, which {_REFUSED[name]}; Hornbeam does not"
                " load it."
            )
        raise _unknown("class", str(registered or name))
    if not isinstance(cls, type):
        return cls
    made_by: Any = cls
    if cls is DTypePolicy:
        return get_policy(config)
    if not isinstance(inner, (Mapping, list)):
        raise ValueError(f"The config of {name} must be a dict, received {errors.describe(inner)}.")
    obj = made_by.from_config(dict(inner) if isinstance(inner, Mapping) else inner)
    if isinstance(obj, Operation):  # recurrent layers also call their cells
        count_work(name, 8 if hasattr(obj, "state_size") else 2)
    if config.get("build_config") and not getattr(obj, "built", True):
        try:
            obj.build_from_config(config["build_config"])
        except (TypeError, ValueError, NotImplementedError, AttributeError):
            pass  # built in the first call; loading weights before it reports what is missing
    if config.get("compile_config") and hasattr(obj, "compile_from_config"):
        obj.compile_from_config(config["compile_config"])
    return obj


_PLAIN = frozenset(
    ["__numpy__", "__tensor__", "__tuple__", "__lambda__", "__bytes__", "__ellipsis__", "__slice__"]
)
# Keras classes that run code from files.
_REFUSED = {
    "TFSMLayer": "runs a SavedModel, a program in another file",
    "TorchModuleWrapper": "holds a pickled PyTorch module",
}


def _plain_value(name: str, inner: Any, config: Mapping[str, Any]) -> Any:
    """Return a value of a type that JSON lacks; refuses bytecode unless the user allowed it."""
    if name == "__lambda__":
        return function_from(inner)
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__slice__":
        return slice(inner.get("start"), inner.get("stop"), inner.get("step"))
    if name == "__bytes__":
        raise FileError("The configuration holds bytes, which no model configuration needs.")
    items = inner.get("value", config.get("items", [])) if isinstance(inner, Mapping) else inner
    if name == "__tuple__":
        return tuple(items)
    # Checks the dtype: object arrays and wide strings could take any amount of memory.
    return np.array(items, dtype=standardize_dtype(inner.get("dtype")))


def _own_function(name: str) -> Any:
    families = _families()
    for module in ("keras.activations", "keras.losses", "keras.metrics"):
        found = families[module].members.get(name) if module in families else None
        if inspect.isfunction(found):
            return found
    return None


def _unknown(kind: str, name: str) -> ValueError:
    short = name.split(">")[-1]
    return ValueError(
        f"Unknown {kind} {name!r}. If it is yours, pass `custom_objects={{{short!r}: {short}}}`, or"
        " register it with `@hornbeam.saving.register_keras_serializable()` before loading."
    )


def deserialize_op(config: dict[str, Any]) -> OpCall:
    """Return the op of a graph from its configuration in Keras's form.

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
            f"The saved op {config['class_name']} has unknown settings"
            f" {errors.listed(sorted(unknown))}."
        )
    full = {
        key: p.default
        for key, p in info.signature.parameters.items()
        if key in known and p.default is not p.empty
    }
    values = {key: _tuples(deserialize(value)) for key, value in settings.items()}
    return OpCall(info, {**full, **values}, name)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
