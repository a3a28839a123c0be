"""Types for public signatures.

Example:
    >>> shape: Shape = (None, 3)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["ArrayLike", "Axis", "DType", "FilePath", "Shape", "Tensor"]

Tensor: TypeAlias = Annotated[Any, "Tensor"]
"""A JAX array, a variable, a number, a nested list, or a symbolic tensor while a model is built.

Ops annotate their tensor arguments with it, and `@op` reads the annotation.
"""

Shape: TypeAlias = tuple[int | None, ...]
"""Sizes of a tensor's axes; an unknown size is `None`."""

DType: TypeAlias = str | type[Any] | np.dtype[Any]
"""A dtype: its name, a Python or NumPy type, or a NumPy dtype."""

Axis: TypeAlias = int | Sequence[int] | None
"""One axis, several axes, or `None` for all axes."""

FilePath: TypeAlias = str | os.PathLike[str]
"""The path of a file or a folder."""
