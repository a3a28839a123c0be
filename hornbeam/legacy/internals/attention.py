"""Attributes of `MultiHeadAttention` that are not public in Keras, but that libraries use."""

from __future__ import annotations

import math
from typing import Any

from hornbeam import ops
from hornbeam.layers import MultiHeadAttention
from hornbeam.legacy.computed import Computed

__all__ = ["announce"]

# Keras's attribute, and today's.
_ATTRIBUTES = {
    f"_{name}": name
    for name in (
        "query_dense", "key_dense", "value_dense", "output_dense", "num_heads", "key_dim",
        "value_dim", "use_bias", "dropout", "output_shape", "kernel_initializer",
        "bias_initializer", "kernel_regularizer", "bias_regularizer", "activity_regularizer",
        "kernel_constraint", "bias_constraint", "flash_attention",
    )
} | {
    "_attention_axes": "_attended",
    "_dot_product_equation": "_score_equation",
    "_combine_equation": "_sum_equation",
}  # fmt: skip


def _masked_softmax(self: Any, attention_scores: Any, attention_mask: Any = None) -> Any:
    """Return the weights for scores, 0 where the mask is false."""
    if attention_mask is not None:
        while len(attention_mask.shape) < len(attention_scores.shape):
            attention_mask = ops.expand_dims(attention_mask, -len(self._attended) * 2 - 1)
    return self._softmax(attention_scores, mask=attention_mask)


def _compute_attention_mask(
    self: Any, query: Any, value: Any, query_mask: Any = None, value_mask: Any = None,
    key_mask: Any = None, attention_mask: Any = None, use_causal_mask: bool = False,
) -> Any:  # fmt: skip
    """Return which values each query may see, or `None`."""
    masks = {
        "query_mask": query_mask, "value_mask": value_mask, "key_mask": key_mask,
        "attention_mask": attention_mask,
    }  # fmt: skip
    return self._allowed(query, value, masks, use_causal_mask)


def _compute_attention(
    self: Any, query: Any, key: Any, value: Any, attention_mask: Any = None,
    training: bool | None = None, return_attention_scores: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """Return the heads' results and the weights for projected queries, keys and values."""
    if attention_mask is not None:
        rank = len(query.shape) - 1 + len(self._attended)  # of the scores
        while len(attention_mask.shape) < rank:
            attention_mask = ops.expand_dims(attention_mask, -len(self._attended) * 2 - 1)
    return self._attend(
        query / math.sqrt(query.shape[-1]), key, value, attention_mask, False, training,
        return_attention_scores,
    )  # fmt: skip


def _read(name: str) -> Computed:
    """Return an attribute that has the value of another one."""
    return Computed(lambda layer: getattr(layer, name))


def announce() -> None:
    """Give `MultiHeadAttention` these attributes."""
    for name, today in _ATTRIBUTES.items():
        setattr(MultiHeadAttention, name, _read(today))
    setattr(  # noqa: B010  # it follows from another
        MultiHeadAttention,
        "_inverse_sqrt_key_dim",
        Computed(lambda layer: 1.0 / math.sqrt(float(layer.key_dim))),
    )
    for function in (_masked_softmax, _compute_attention_mask, _compute_attention):
        setattr(MultiHeadAttention, function.__name__, function)
