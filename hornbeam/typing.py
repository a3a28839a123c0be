"""Types for public signatures.

Types with a name, such as `Structure`, tell readers what an argument is. `@checked` does not check
them: the function that uses the value does, with its own message.

Example:
    >>> shape: Shape = (None, 3)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "ArrayLike",
    "Axis",
    "ClassWeights",
    "CustomObjects",
    "DType",
    "Data",
    "FilePath",
    "Identifier",
    "Logs",
    "Policy",
    "Shape",
    "Shapes",
    "Structure",
    "Tensor",
]

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

Structure: TypeAlias = Annotated[Any, "Structure"]
"""A tensor, or nested lists, tuples and dicts of tensors."""

Shapes: TypeAlias = Annotated[Any, "Shapes"]
"""A shape, or nested lists, tuples and dicts of shapes."""

Data: TypeAlias = Annotated[Any, "Data"]
"""What feeds a model: arrays or a structure of them, tables and arrays of other libraries, a data
set, or an iterable or generator of batches.
"""

Identifier: TypeAlias = Annotated[str | Mapping[str, Any] | Callable[..., Any] | None, "Identifier"]
"""A part by its name, its configuration, a function, a class or an object; `None` for no part."""

Policy: TypeAlias = Annotated[Any, "Policy"]
"""A dtype, a `DTypePolicy`, or the name or the configuration of a policy."""

Logs: TypeAlias = dict[str, Any] | None
"""Results by name, as callbacks receive them."""

CustomObjects: TypeAlias = Mapping[str, Any] | None
"""Classes and functions of the user by the name under which files mention them."""

ClassWeights: TypeAlias = Mapping[Any, Any] | Sequence[Mapping[Any, float] | None] | None
"""`{class: weight}`, or that by output, as `Model.fit` takes it."""
