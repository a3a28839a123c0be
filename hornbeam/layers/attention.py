"""Attention without projections: scores of queries against keys weight the values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import ops, random
from hornbeam.core.random import SeedGenerator
from hornbeam.core.tracing import is_unknown, shape_with_unknowns
from hornbeam.layers.arguments import choice, keep
from hornbeam.layers.layer import Layer
from hornbeam.typing import Shape, Structure, Tensor

__all__ = ["AdditiveAttention", "Attention", "where_allowed"]


def where_allowed(scores: Tensor, allowed: Tensor | None) -> Tensor:
    """Return `scores` with very small values where `allowed` is false, so softmax gives weight 0.

    If a row allows nothing, all its entries are equal, and softmax returns no NaN.

    Args:
        scores: Scores, (..., T, S).
        allowed: Boolean tensor that broadcasts to `scores`, or `None`, which allows all.
    """
    if allowed is None:
        return scores
    return jnp.where(allowed, scores, jnp.asarray(jnp.finfo(scores.dtype).min / 2, scores.dtype))


class _Attention(Layer):
    """Base of both layers: handles masks, dropout and the weighted sum."""

    dropout: float

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Check the constructor's `locals()` and keep them as attributes."""
        keep(self, arguments)
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout <= 1:
            raise ValueError(
                f"{type(self).__name__}: `dropout` must be a number from 0 to 1, received"
                f" {self.dropout!r}."
            )
        if self.dropout > 0:
            self.seed_generator = SeedGenerator(arguments["seed"])
        self.supports_masking = True

    def build(self, input_shape: Sequence[Shape]) -> None:
        self._check(
            input_shape
            if isinstance(input_shape, (list, tuple)) and isinstance(input_shape[0], (list, tuple))
            else None
        )
        self._make_weights(input_shape[0][-1])

    def _check(self, inputs: Any, masks: Any = None) -> None:
        if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3):
            raise ValueError(
                f"{self._label()} takes a list of 2 or 3 tensors: [query, value] or [query, value,"
                " key]."
            )
        for name, x in zip(("query", "value", "key"), inputs, strict=False):
            shape = getattr(x, "shape", x)  # `build` gets shapes
            if len(shape) < 2:
                raise ValueError(
                    f"{self._label()}: the {name} must have the axes (..., steps, channels),"
                    f" received shape {shape_with_unknowns(shape)}. Add the missing axes, such as"
                    " by `x[None]`."
                )
        if masks is not None and (not isinstance(masks, (list, tuple)) or len(masks) not in (2, 3)):
            raise ValueError(
                f"{self._label()}: `mask` must be a list [query_mask, value_mask] (each may be"
                f" None), received {masks!r}."
            )

    def _make_weights(self, size: int | None) -> None:
        """Create the weights for queries of `size` channels."""
        raise NotImplementedError  # each of the two layers implements it

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        """Return the scores (..., T, S) of queries (..., T, C) against keys (..., S, C)."""
        raise NotImplementedError  # each of the two layers implements it

    def call(
        self, inputs: Sequence[Tensor], mask: Sequence[Tensor | None] | None = None,
        training: bool = False, return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Tensor:  # fmt: skip
        self._check(inputs, mask)
        query, value = inputs[0], inputs[1]
        scores = self._scores(query, inputs[2] if len(inputs) > 2 else value)  # (B, Tq, Tv)
        allowed = self._allowed(None if mask is None else mask[1], scores)
        if use_causal_mask:
            causal = jnp.tril(jnp.ones(scores.shape[-2:], bool))
            allowed = causal if allowed is None else jnp.logical_and(allowed, causal)
        weights = jax.nn.softmax(where_allowed(scores, allowed), axis=-1)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        result = jnp.matmul(weights, value)
        if mask is not None and mask[0] is not None:
            shown = jnp.asarray(mask[0], result.dtype)
            self._check_mask("query", shown, result.shape[:-1])
            result = result * shown[..., None]
        return (result, weights) if return_attention_scores else result

    def _allowed(self, mask: Tensor | None, scores: Tensor) -> Tensor | None:
        """Return the mask of the values, (B, S), or of pairs, (B, T, S), for the scores."""
        if mask is None:
            return None
        allowed = jnp.asarray(mask, bool)
        if 1 < allowed.ndim < scores.ndim:  # one for all queries
            allowed = allowed[..., None, :]
        self._check_mask("value", allowed, scores.shape)
        return allowed

    def _check_mask(self, name: str, mask: Tensor, full: tuple[int, ...]) -> None:
        """Raise unless `mask` broadcasts to `full`."""
        own = mask.shape
        if len(own) > len(full) or any(
            size not in (1, whole) and not is_unknown(size) and not is_unknown(whole)
            for size, whole in zip(own[::-1], full[::-1], strict=False)
        ):
            raise ValueError(
                f"{self._label()}: the mask of the {name}, of shape {shape_with_unknowns(own)},"
                f" must broadcast to shape {shape_with_unknowns(full)}. Pass one boolean per step:"
                " (batch, steps)."
            )

    def compute_mask(self, inputs: Sequence[Tensor], mask: Structure = None) -> Tensor | None:
        query = mask[0] if isinstance(mask, (list, tuple)) else None
        return None if query is None else ops.convert_to_tensor(query)


class Attention(_Attention):
    """Dot-product attention: `softmax(scale * query @ key^T) @ value`.

    Call it as `layer([query, value])` or `layer([query, value, key])`; the key defaults to the
    value. The call also takes `mask=[query_mask, value_mask]` (masked values get weight 0, masked
    queries give 0), `use_causal_mask=True` (step t sees the values up to t),
    `return_attention_scores=True` (returns the weights too) and `training`.

    Input: query (B, T, C), value (B, S, D), key (B, S, C): B the batch size, T and S steps, C and D
    channels. Output: (B, T, D), or a pair with the weights (B, T, S). B may be several axes, or
    none.

    Args:
        use_scale: Whether to multiply the scores by a learned factor. Default: False.
        score_mode: `"dot"`, or `"concat"` for the scores `concat_score_weight * sum(tanh(scale *
            (query + key)))`. Default: `"dot"`.
        dropout: Fraction of the weights set to zero in training. Default: 0.
        seed: Integer seed of the dropout. Default: random.

    Weights: `scale` with `use_scale`, `concat_score_weight` in mode `"concat"`, both scalars.

    Raises:
        ValueError: If an argument is out of range, or the input is not a list of 2 or 3 tensors.

    Source: Luong et al. 2015, Effective approaches to attention-based neural machine translation.

    Example:
        >>> import hornbeam as hb
        >>> question, text = hb.Input((12, 64)), hb.Input((200, 64))
        >>> found = hb.layers.Attention()([question, text])
        >>> hb.Model([question, text], found).output_shape
        (None, 12, 64)
    """

    use_scale: bool

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0,
        seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self._keep(locals())
        self.score_mode = choice("Attention", "score_mode", score_mode, ("dot", "concat"))

    def _make_weights(self, size: int | None) -> None:
        self.scale = self.concat_score_weight = None
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(
                name="concat_score_weight", shape=(), initializer="ones"
            )

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        scale = 1.0 if self.scale is None else self.scale.value
        if self.concat_score_weight is None:
            return jnp.matmul(query, jnp.swapaxes(key, -1, -2)) * scale
        both = jnp.tanh(scale * (query[..., :, None, :] + key[..., None, :, :]))
        return self.concat_score_weight.value * jnp.sum(both, axis=-1)


class AdditiveAttention(_Attention):
    """Additive attention: `softmax(sum(scale * tanh(query + key))) @ value`.

    Call it as `layer([query, value])` or `layer([query, value, key])`; the key defaults to the
    value. The call also takes `mask=[query_mask, value_mask]` (masked values get weight 0, masked
    queries give 0), `use_causal_mask=True` (step t sees the values up to t),
    `return_attention_scores=True` (returns the weights too) and `training`.

    Input: query (B, T, C), value (B, S, D), key (B, S, C): B the batch size, T and S steps, C and D
    channels. Output: (B, T, D), or a pair with the weights (B, T, S). B may be several axes, or
    none.

    Args:
        use_scale: Whether to multiply each channel by a learned factor. Default: True.
        dropout: Fraction of the weights set to zero in training. Default: 0.
        seed: Integer seed of the dropout. Default: random.

    Weights: `scale` (C,) with `use_scale`.

    Raises:
        ValueError: If an argument is out of range, or the input is not a list of 2 or 3 tensors.

    Source: Bahdanau et al. 2015, Neural machine translation by jointly learning to align and
    translate.

    Example:
        >>> import hornbeam as hb
        >>> decoded, encoded = hb.Input((10, 32)), hb.Input((15, 32))
        >>> context = hb.layers.AdditiveAttention()([decoded, encoded])
        >>> hb.Model([decoded, encoded], context).output_shape
        (None, 10, 32)
    """

    use_scale: bool

    def __init__(
        self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self._keep(locals())

    def _make_weights(self, size: int | None) -> None:
        self.scale = None
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(size,), initializer="glorot_uniform")

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        scale = 1.0 if self.scale is None else self.scale.value
        return jnp.sum(scale * jnp.tanh(query[..., :, None, :] + key[..., None, :, :]), axis=-1)
