"""Import hook that finds stand-ins for `keras`, `tensorflow` and all modules below them."""

from __future__ import annotations

import multiprocessing.spawn
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from hornbeam.keras.modules import face_module, is_face_name, why_missing
from hornbeam.tensorflow.methods import add_methods, remove_methods

__all__ = ["FaceFinder", "install_as_keras", "uninstall_as_keras"]

_ROOTS = ("keras", "tensorflow")


class FaceFinder(MetaPathFinder, Loader):
    """Finds and loads the stand-in modules.

    While it is installed, the real Keras and TensorFlow cannot be imported.

    Example:
        >>> FaceFinder().find_spec("numpy") is None
        True
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec, or `None` for names outside `keras` and `tensorflow`.

        Raises:
            ModuleNotFoundError: If there is no stand-in for a name inside them.
        """
        if name.partition(".")[0] not in _ROOTS:
            return None
        if is_face_name(name):
            return ModuleSpec(name, self, origin="hornbeam.keras", is_package=True)
        # For `from keras.layers import X`, Python also looks for a module X. It would replace an
        # error with the name of X by a generic error without the reason. So the error has the
        # parent's name.
        parent = name.rpartition(".")[0]
        raise ModuleNotFoundError(f"Cannot import {name!r}. {why_missing(name)}", name=parent)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the stand-in module with the name of `spec`."""
        return face_module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing; a stand-in looks up each attribute when it is used.

        With `tensorflow`, arrays get the methods of its tensors.
        """
        if module.__name__ == "tensorflow":
            add_methods()


_finder = FaceFinder()
_set_aside: dict[str, ModuleType] = {}
_spawning: Any = multiprocessing.spawn
_describe_process: Callable[[str], dict[str, Any]] = _spawning.get_preparation_data


class _Install:
    """Installs the stand-ins in the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return install_as_keras, ()


def _describe_process_with_face(name: str) -> dict[str, Any]:
    """Return what a spawned worker reads before it imports the main script."""
    return {**_describe_process(name), "hornbeam": _Install()}


def install_as_keras(force: bool = False) -> None:
    """Make `import keras` and `import tensorflow.keras` import Hornbeam.

    This holds in this process, and in those that it starts by `multiprocessing`.

    Args:
        force: Whether to continue if the real Keras or TensorFlow was imported before. Objects that
            were imported from them keep working; new imports use Hornbeam.

    Raises:
        RuntimeError: If the real Keras or TensorFlow was imported before and `force` is false.

    Example:
        >>> install_as_keras(force=True)
        >>> from keras.utils import to_categorical
        >>> to_categorical([1], 2)
        array([[0., 1.]])
        >>> uninstall_as_keras()
    """
    if _finder in sys.meta_path:
        return
    real = {name: sys.modules[name] for name in list(sys.modules) if _is_below_root(name)}
    if real and not force:
        found = " and ".join(root for root in _ROOTS if root in real) or next(iter(real))
        raise RuntimeError(
            f"install_as_keras: the real {found} was imported before. Call install_as_keras() "
            "first, start the script with `hornbeam run`, or pass force=True to go on."
        )
    for name in real:
        _set_aside[name] = sys.modules.pop(name)
    sys.meta_path.insert(0, _finder)
    _spawning.get_preparation_data = _describe_process_with_face


def uninstall_as_keras() -> None:
    """Undo `install_as_keras`: new imports use the real Keras and TensorFlow again.

    Example:
        >>> uninstall_as_keras()
    """
    if _finder not in sys.meta_path:
        return
    sys.meta_path.remove(_finder)
    remove_methods()
    _spawning.get_preparation_data = _describe_process
    for name in [name for name in sys.modules if _is_below_root(name)]:
        del sys.modules[name]
    sys.modules.update(_set_aside)
    _set_aside.clear()


def _is_below_root(name: str) -> bool:
    return name.partition(".")[0] in _ROOTS
