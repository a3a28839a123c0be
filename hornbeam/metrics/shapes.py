"""Targets and outputs brought to one shape and dtype."""

from __future__ import annotations

from typing import Any

from hornbeam import config
from hornbeam.core.symbolic import convert
from hornbeam.dtypes import is_float

__all__ = ["match"]


def match(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return both as float tensors of one dtype; a last axis of size 1 is added or dropped where only it differs.

    Raises:
        ValueError: If the shapes cannot belong together.
    """
    y_pred = convert(y_pred)
    if not is_float(y_pred.dtype):
        y_pred = y_pred.astype(config.floatx())
    y_true = convert(y_true).astype(y_pred.dtype)
    t, p = y_true.shape, y_pred.shape
    if len(t) == len(p) + 1 and t[-1] == 1:
        y_true = y_true[..., 0]
    elif len(p) == len(t) + 1 and p[-1] == 1:
        y_true = y_true[..., None]
    t = y_true.shape
    if any(a != b and 1 not in (a, b) for a, b in zip(reversed(t), reversed(p), strict=False)):
        raise ValueError(
            f"Targets of shape {t} do not fit outputs of shape {p}; a metric compares them element by element. For class "
            "numbers use a sparse metric."
        )
    return y_true, y_pred
