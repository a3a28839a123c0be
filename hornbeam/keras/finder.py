"""Import hook that finds stand-ins for `keras`, `tensorflow` and all modules below them."""

from __future__ import annotations

import multiprocessing.spawn
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any

from hornbeam.keras.modules import face_module, is_face_name, why_missing
from hornbeam.tensorflow.methods import add_methods, remove_methods

__all__ = ["FaceFinder", "install_as_keras", "uninstall_as_keras"]

_KERAS = ("keras", "tf_keras")


class FaceFinder(MetaPathFinder, Loader):
    """Finds and loads the stand-in modules.

    While it is installed, the real Keras cannot be imported, nor TensorFlow if it is claimed too.

    Args:
        roots: Names of the packages that are claimed.

    Example:
        >>> FaceFinder().find_spec("numpy") is None
        True
    """

    def __init__(self, roots: Sequence[str] = (*_KERAS, "tensorflow")):
        self.roots = tuple(roots)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec; `None` for names outside of the claimed packages.

        `importlib.util.find_spec` gets `None` for unknown names inside them, too.

        Raises:
            ModuleNotFoundError: If an unknown name inside them is imported.
        """
        if not self.claims(name):
            return None
        if is_face_name(name):
            return ModuleSpec(name, self, origin="hornbeam.keras", is_package=True)
        if not _is_import():
            return None
        # For `from keras.layers import X`, Python also looks for a module X. It would replace an
        # error with the name of X by a generic error without the reason. So the error has the
        # parent's name.
        parent = name.rpartition(".")[0]
        raise ModuleNotFoundError(f"Cannot import {name!r}. {why_missing(name)}", name=parent)

    def claims(self, name: str) -> bool:
        """Return whether a module's name is inside the claimed packages."""
        return name.partition(".")[0] in self.roots

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the stand-in module with the name of `spec`."""
        return face_module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing; a stand-in looks up each attribute when it is used.

        With `tensorflow`, arrays get the methods of its tensors.
        """
        if module.__name__ == "tensorflow":
            add_methods()


def _is_import() -> bool:
    """Return whether an import asks the finder, and not `importlib.util.find_spec`."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(3):  # importlib's functions above `find_spec`
        if frame is None:
            return False
        if frame.f_code.co_name == "_find_and_load_unlocked":
            return True
        frame = frame.f_back
    return False


# The finder, while it is installed.
_installed: list[FaceFinder] = []
_set_aside: dict[str, ModuleType] = {}
_spawning: Any = multiprocessing.spawn
_describe_process: Callable[[str], dict[str, Any]] = _spawning.get_preparation_data


class _Install:
    """Installs the stand-ins in the process that unpickles it.

    Args:
        tensorflow: Whether TensorFlow is claimed too.
    """

    def __init__(self, tensorflow: bool):
        self.tensorflow = tensorflow

    def __reduce__(self) -> tuple[Callable[..., None], tuple[bool, bool]]:
        return install_as_keras, (False, self.tensorflow)


def _describe_process_with_face(name: str) -> dict[str, Any]:
    """Return what a spawned worker reads before it imports the main script."""
    claimed = bool(_installed) and "tensorflow" in _installed[0].roots
    return {**_describe_process(name), "hornbeam": _Install(claimed)}


def install_as_keras(force: bool = False, tensorflow: bool = True) -> None:
    """Make `import keras` and `import tensorflow.keras` import Hornbeam.

    This holds in this process, and in those that it starts by `multiprocessing`.

    Args:
        force: Whether to continue if the real Keras or TensorFlow was imported before. Objects that
            were imported from them keep working; new imports use Hornbeam.
        tensorflow: Whether to claim `tensorflow` too, for scripts that import `tensorflow.keras`.
            With false only `keras` is Hornbeam: libraries that look for TensorFlow find it only
            where it is installed.

    Raises:
        RuntimeError: If the real Keras or TensorFlow was imported before and `force` is false.

    Example:
        >>> install_as_keras(force=True)
        >>> from keras.utils import to_categorical
        >>> to_categorical([1], 2)
        array([[0., 1.]])
        >>> uninstall_as_keras()
    """
    finder = FaceFinder((*_KERAS, "tensorflow") if tensorflow else _KERAS)
    if _installed:
        if set(finder.roots) <= set(_installed[0].roots):
            return
        uninstall_as_keras()  # to claim more
    real = {name: sys.modules[name] for name in list(sys.modules) if finder.claims(name)}
    if real and not force:
        found = " and ".join(root for root in finder.roots if root in real) or next(iter(real))
        raise RuntimeError(
            f"install_as_keras: the real {found} was imported before. Call install_as_keras() "
            "first, start the script with `hornbeam run`, or pass force=True to go on."
        )
    for name in real:
        _set_aside[name] = sys.modules.pop(name)
    _installed.append(finder)
    sys.meta_path.insert(0, finder)
    _spawning.get_preparation_data = _describe_process_with_face


def uninstall_as_keras() -> None:
    """Undo `install_as_keras`: new imports use the real Keras and TensorFlow again.

    Example:
        >>> uninstall_as_keras()
    """
    if not _installed:
        return
    finder = _installed.pop()
    if finder in sys.meta_path:
        sys.meta_path.remove(finder)
    remove_methods()
    _spawning.get_preparation_data = _describe_process
    for name in [name for name in sys.modules if finder.claims(name)]:
        del sys.modules[name]
    sys.modules.update(_set_aside)
    _set_aside.clear()
