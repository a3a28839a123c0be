"""Stand-in modules with Keras's names, whose attributes are looked up in Hornbeam."""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
from types import ModuleType
from typing import Any

from hornbeam.keras.table import (
    ALIASES,
    KERAS_MODULES,
    KERAS_ROOTS,
    KERAS_VERSION,
    TENSORFLOW_MODULES,
    TENSORFLOW_VERSION,
)
from hornbeam.keras.ways import way_round

__all__ = ["FaceModule", "face_module", "is_face_name", "why_missing"]

# Packages above a root, which hold nothing else.
_PLAIN_PARENTS = frozenset(
    root[: len(root) - len(rest)]
    for root in KERAS_ROOTS
    for rest in (root[i:] for i, letter in enumerate(root) if letter == ".")
    if root[: len(root) - len(rest)] not in (*KERAS_ROOTS, "tensorflow")
)


class FaceModule(ModuleType):
    """A stand-in for a Keras module, with the attributes of one or more Hornbeam modules.

    Args:
        name: Full name, such as `"tensorflow.keras.layers"`.
        places: Names of the Hornbeam modules that are searched for attributes, in order.

    Example:
        >>> FaceModule("keras.utils", ("hornbeam.utils",)).__name__
        'keras.utils'
    """

    def __init__(self, name: str, places: tuple[str, ...]):
        super().__init__(name, f"Hornbeam's stand-in for `{name}`.")
        self.__path__: list[str] = []
        self._places = places
        if name in KERAS_ROOTS:
            self.__version__ = KERAS_VERSION
        elif name == "tensorflow":
            self.__version__ = TENSORFLOW_VERSION

    def _modules(self) -> list[ModuleType]:
        return [importlib.import_module(place) for place in self._places]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            if name == "__all__":
                return [
                    public
                    for public in dir(self)
                    if not public.startswith("_") and _has(self, public)
                ]
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        found = self._found(name)
        if self.__name__.startswith("tensorflow") and ".keras" not in self.__name__:
            # Functions of a pipeline look names up for each element.
            self.__dict__[name] = found
        return found

    def _found(self, name: str) -> Any:
        inner = f"{self.__name__}.{name}"
        if is_face_name(inner):
            same = self._class_of(name)
            return face_module(inner) if same is None else same
        alias = ALIASES.get(self.__name__, {}).get(name)
        if alias is not None:
            return _resolve(alias)
        for module in self._modules():
            found = getattr(module, name, None)
            if found is None and not hasattr(module, name):
                continue
            if module.__name__.startswith("hornbeam.tensorflow") and name not in module.__all__:
                continue
            # A file of Hornbeam, such as `hornbeam.optimizers.adam`, is no attribute of Keras's.
            if not isinstance(found, ModuleType) or name in getattr(module, "__all__", ()):
                return found
        raise AttributeError(
            f"module {self.__name__!r} has no attribute {name!r}. {why_missing(inner)}"
        )

    def _class_of(self, name: str) -> type | None:
        """Return the class of a name that is a module's too: `keras.optimizers.rmsprop` is both."""
        if self.__name__.endswith("optimizers"):
            for module in self._modules():
                found = getattr(module, name, None)
                if isinstance(found, type):
                    return found
        return None

    def __setattr__(self, name: str, value: Any) -> None:
        # Python sets an imported module as an attribute of its package.
        if not isinstance(value, FaceModule) or self._class_of(name) is None:
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return face_module, (self.__name__,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function of the module's name: in Keras 1, `keras.layers.merge` was one."""
        name = self.__name__.rpartition(".")[2]
        functions = [
            function
            for module in self._modules()
            if callable(function := getattr(module, name, None))
        ]
        if not functions:
            raise TypeError(f"module {self.__name__!r} is not callable")
        return functions[0](*args, **kwargs)

    def __dir__(self) -> list[str]:
        names = set(self.__dict__) | set(ALIASES.get(self.__name__, {})) | _children(self.__name__)
        for module in self._modules():
            names |= set(getattr(module, "__all__", None) or dir(module))
        return sorted(names)


def _resolve(place: str) -> Any:
    module, _, name = f"hornbeam.{place}".rpartition(".")
    return getattr(importlib.import_module(module), name)


def _children(name: str) -> set[str]:
    candidates = {f"{root}.{module}" for root in KERAS_ROOTS for module in KERAS_MODULES if module}
    candidates |= {*KERAS_ROOTS, *_PLAIN_PARENTS, *ALIASES, "tensorflow"}
    candidates |= {f"tensorflow.{inner}" for inner in TENSORFLOW_MODULES if inner}
    starts = [other for other in candidates if other.startswith(f"{name}.")]
    return {
        other[len(name) + 1 :]
        for other in starts
        if "." not in other[len(name) + 1 :] and is_face_name(other)
    }


@functools.cache
def _places(name: str) -> tuple[str, ...] | None:
    """Return the Hornbeam modules behind a stand-in, or `None` if there is no such stand-in."""
    top, _, inner = name.partition(".")
    if top == "tensorflow" and inner in TENSORFLOW_MODULES:
        places = [f"hornbeam.{place}" for place in TENSORFLOW_MODULES[inner]]
        return tuple(place for place in places if _exists(place))
    root = next((root for root in KERAS_ROOTS if name == root or name.startswith(f"{root}.")), None)
    rows = () if root is None else KERAS_MODULES.get(name[len(root) + 1 :], ())
    places = [f"hornbeam.{place}" if place else "hornbeam" for place in rows]
    found = tuple(place for place in places if _exists(place))
    if found:
        return found
    return () if name in _PLAIN_PARENTS or name in ALIASES else None


def _exists(place: str) -> bool:
    try:
        return importlib.util.find_spec(place) is not None
    except ModuleNotFoundError:  # a parent is missing or is not a package
        return False


def is_face_name(name: str) -> bool:
    """Return whether there is a stand-in module with this full name.

    Example:
        >>> is_face_name("keras.utils"), is_face_name("keras.no_such_module")
        (True, False)
    """
    return _places(name) is not None


@functools.cache
def face_module(name: str) -> ModuleType:
    """Return the stand-in module with a full name, such as `"keras.layers"`; it is cached.

    Raises:
        ModuleNotFoundError: If there is no such stand-in.

    Example:
        >>> face_module("tensorflow.keras.utils").__name__
        'tensorflow.keras.utils'
    """
    places = _places(name)
    if places is None:
        raise ModuleNotFoundError(f"No module named {name!r}. {why_missing(name)}", name=name)
    return FaceModule(name, places)


def why_missing(name: str) -> str:
    """Return why a stand-in has no such name, with the most similar names that it has.

    Example:
        >>> why_missing("keras.utils.to_categorial").split(". ")[1]
        "Did you mean 'to_categorical' or 'to_ordinal'?"
    """
    parent, _, last = name.rpartition(".")
    if name.startswith("tensorflow.") and not name.startswith(KERAS_ROOTS):
        reason = (
            "Hornbeam's stand-in for TensorFlow covers what scripts around Keras use, and has no"
            f" {name!r}."
        )
    else:
        reason = f"Hornbeam stands in for Keras here and has no counterpart of {name!r}."
    module = face_module(parent) if is_face_name(parent) else None
    close = difflib.get_close_matches(last, dir(module) if module else [], n=4)
    near = [hit for hit in close if hit != last and _has(module, hit)][:2]
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    way = way_round(name)
    return reason + (f" {way}" if way and not hint else hint)


def _has(module: Any, name: str) -> bool:
    """Return whether a stand-in has a name; its list also holds modules of names that it lacks."""
    return (
        is_face_name(f"{module.__name__}.{name}")
        or name in ALIASES.get(module.__name__, {})
        or any(hasattr(part, name) for part in module._modules())
    )
