"""The drop-in replacement: `import keras` and `import tensorflow.keras` can import Hornbeam.

After `hornbeam.install_as_keras()`, imports of the modules of Keras 1, 2 and 3 import stand-ins
that look up their attributes in Hornbeam. `hornbeam run script.py` runs an unchanged script in this
way. This package has the attributes of `keras`, such as `hornbeam.keras.layers.Dense`.
"""

from __future__ import annotations

from typing import Any

from hornbeam.keras.finder import install_as_keras, uninstall_as_keras
from hornbeam.keras.modules import face_module

__all__ = ["install_as_keras", "uninstall_as_keras"]


def __getattr__(name: str) -> Any:
    return getattr(face_module("keras"), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *dir(face_module("keras"))})
