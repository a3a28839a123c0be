"""Attention with learned projections and several heads."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.checks import check_axes
from hornbeam.core.tracing import is_unknown, shape_with_unknowns
from hornbeam.layers.activation import Softmax
from hornbeam.layers.arguments import keep, positive_integer
from hornbeam.layers.attention import where_allowed
from hornbeam.layers.einsum_dense import EinsumDense
from hornbeam.layers.layer import Layer
from hornbeam.layers.regularization import Dropout
from hornbeam.ops import routes
from hornbeam.ops.neural import dot_product_attention
from hornbeam.typing import Axis, Identifier, Shape, Tensor

__all__ = ["GroupQueryAttention", "GroupedQueryAttention", "MultiHeadAttention"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class _HeadAttention(Layer):
    """Base of both layers: handles projections, masks, scores and the gate.

    A subclass's constructor passes its arguments to `_keep`. Its `build` creates the projections
    with `_project`.
    """

    kernel_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    bias_constraint: Any
    use_bias: bool
    use_gate: bool
    flash_attention: bool | None
    seed: int | None
    dropout: float
    sliding_window: int | None
    # Set by `build`.
    _score_equation: str
    _sum_equation: str
    _softmax: Softmax
    _dropout_layer: Dropout
    _gate_dense: EinsumDense
    _attended: tuple[int, ...] = (1,)
    _heads: int
    # Attributes of the query, key, value and output projections. Keras's files use these names.
    _projections = ("_query_dense", "_key_dense", "_value_dense", "_output_dense")

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Check the constructor's `locals()` and keep them as attributes."""
        keep(self, arguments)
        name = type(self).__name__
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout <= 1:
            raise ValueError(
                f"{name}: `dropout` must be a number from 0 to 1, received {self.dropout!r}."
            )
        if self.sliding_window is not None:
            positive_integer(name, "sliding_window", self.sliding_window)
        flash = arguments["flash_attention"]
        if flash not in (None, True, False):
            raise ValueError(
                f"{name}: `flash_attention` must be True, False or None, received {flash!r}."
            )
        if flash and self.dropout:
            raise ValueError(
                f"{name}: `flash_attention=True` requires the fused kernel, which has no dropout,"
                f" but `dropout` is {self.dropout}. Leave one of the two out."
            )
        self.supports_masking = True

    def _project(self, equation: str, output_shape: Any, bias_axes: str, name: str) -> EinsumDense:
        """Return a projection with this layer's initializers, regularizers and constraints."""

        def own(initializer: Any) -> Any:
            # Copy the initializer: each projection needs its own random numbers.
            return (
                type(initializer).from_config(initializer.get_config())
                if hasattr(initializer, "get_config")
                else initializer
            )

        projection = EinsumDense(
            equation, output_shape, bias_axes=bias_axes if self.use_bias else None, name=name,
            kernel_initializer=own(self.kernel_initializer),
            bias_initializer=own(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer, bias_regularizer=self.bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            kernel_constraint=self.kernel_constraint, bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
        )  # fmt: skip
        projection.supports_masking = True  # a projection does not move positions
        return projection

    def _check_shapes(self, query: Shape, value: Shape, key: Shape | None) -> None:
        key = value if key is None else key
        if len({len(query), len(value), len(key)}) > 1:
            raise ValueError(
                f"{self._label()}: query, value and key must have equally many axes, received"
                f" shapes {tuple(query)}, {tuple(value)} and {tuple(key)}."
            )
        if list(value[1:-1]) != list(key[1:-1]):
            raise ValueError(
                f"{self._label()}: value and key must have equal positions, received shapes"
                f" {tuple(value)} and {tuple(key)}."
            )

    def _allowed(
        self, query: Tensor, value: Tensor, masks: dict[str, Tensor | None], use_causal_mask: bool
    ) -> Any:
        """Return which values each query may see, a mask that broadcasts to the scores, or `None`.

        A query that may see no value gets the mean of all values; its mask makes the next layer
        ignore it.
        """
        T, S = ([x.shape[axis] for axis in self._attended] for x in (query, value))
        rank = query.ndim + len(self._attended)
        parts = []
        for name, mask in masks.items():
            if mask is None:
                continue
            mask = jnp.asarray(mask, bool)
            if name == "attention_mask":
                parts.append(self._pair_mask(mask, query, value))
            else:
                parts.append(self._position_mask(name, mask, query, value))
        distance = jnp.arange(math.prod(T))[:, None] - jnp.arange(math.prod(S))
        distance = distance.reshape((1,) * (rank - len(T) - len(S)) + (*T, *S))
        if use_causal_mask:
            parts.append(distance >= 0)
        if self.sliding_window is not None:
            parts.append(jnp.abs(distance) < self.sliding_window)
        return functools.reduce(jnp.logical_and, parts) if parts else None

    def _position_mask(self, name: str, mask: Tensor, query: Tensor, value: Tensor) -> Tensor:
        """Return a mask of the query's or value's positions with the axes of the scores."""
        of_query = name == "query_mask"
        positions = (query if of_query else value).shape[:-1]
        if mask.ndim == 1:
            mask = mask[None]
        if not _broadcasts(mask.shape, positions[: mask.ndim]):
            raise ValueError(
                f"{self._label()}: `{name}` must have shape {shape_with_unknowns(positions)},"
                f" received {shape_with_unknowns(mask.shape)}."
            )
        mask = mask.reshape(mask.shape + (1,) * (len(positions) - mask.ndim))
        free = [axis for axis in range(1, len(positions)) if axis not in self._attended]
        mask = jnp.transpose(mask, (0, *free, *self._attended))
        before, own = mask.shape[: 1 + len(free)], mask.shape[1 + len(free) :]
        ones = (1,) * len(own)
        return mask.reshape(before + (1,) + (own + ones if of_query else ones + own))

    def _pair_mask(self, mask: Tensor, query: Tensor, value: Tensor) -> Tensor:
        """Return the mask of pairs of a query and a value with the axes of the scores."""
        T, S = (tuple(x.shape[axis] for axis in self._attended) for x in (query, value))
        free = [size for axis, size in enumerate(query.shape[:-1]) if axis not in self._attended]
        scores = (*free, self._heads, *T, *S)
        start = mask.ndim - len(T + S)
        ones = (1,) * (len(scores) - mask.ndim)
        placed = mask.shape[: max(start, 0)] + ones + mask.shape[max(start, 0) :]
        if start < 0 or not _broadcasts(placed, scores):
            raise ValueError(
                f"{self._label()}: `attention_mask` must broadcast to the scores, of shape"
                f" {shape_with_unknowns(scores)} (batch, heads, queries, values; the axis of heads"
                f" may be left out), received {shape_with_unknowns(mask.shape)}. Pass a mask of"
                " the values, (batch, values), as `value_mask`."
            )
        return mask.reshape(placed)

    def call(
        self, query: Tensor, value: Tensor, key: Tensor | None = None,
        query_mask: Tensor | None = None, value_mask: Tensor | None = None,
        key_mask: Tensor | None = None, attention_mask: Tensor | None = None,
        return_attention_scores: bool = False, training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Tensor:  # fmt: skip
        into_query, into_key, into_value, into_output = (
            getattr(self, name) for name in self._projections
        )
        masks = {
            "query_mask": query_mask, "value_mask": value_mask, "key_mask": key_mask,
            "attention_mask": attention_mask,
        }  # fmt: skip
        allowed = self._allowed(query, value, masks, use_causal_mask)
        q = into_query(query)
        q = q / math.sqrt(q.shape[-1])
        k, v = into_key(value if key is None else key), into_value(value)
        others = (*masks.values(), self.sliding_window)
        only_causal = use_causal_mask and all(other is None for other in others)
        result, weights = self._attend(
            q, k, v, allowed, only_causal, training, return_attention_scores
        )
        if self.use_gate:
            result = result * jax.nn.sigmoid(self._gate_dense(query))
        result = into_output(result)
        return (result, weights) if return_attention_scores else result

    def _attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        allowed: Tensor | None,
        only_causal: bool,
        training: Any,
        wants_scores: bool,
    ) -> tuple[Any, Any]:
        """Return the results (B, ..., heads, H) and the weights, or `None` for them if fused.

        Args:
            q, k, v: Projected tensors; `q` is already scaled.
            allowed: Mask with the axes of the scores, or `None`.
            only_causal: Whether `allowed` is only the causal mask, which the fused kernel builds
                itself.
            training: Whether to apply dropout.
            wants_scores: Whether the caller needs the weights.
        """
        masked = allowed is not None and not only_causal
        if self._is_fused(q, k, v, masked, wants_scores):
            mask = None if only_causal else allowed
            flash = self.flash_attention
            result = dot_product_attention(
                q, k, v, mask=mask, scale=1.0, is_causal=only_causal, flash_attention=flash
            )
            return result, None
        group = q.shape[-2] // k.shape[-2]
        if group > 1:
            k, v = jnp.repeat(k, group, axis=-2), jnp.repeat(v, group, axis=-2)
        scores = jnp.einsum(self._score_equation, q, k)  # (B, other axes, heads, T, S)
        # Where a query may see nothing, it sees all, as in the fused kernels.
        weights = self._softmax(where_allowed(scores, allowed))
        dropped = self._dropout_layer(weights, training=training)
        return jnp.einsum(self._sum_equation, dropped, v), weights

    def _is_fused(self, q: Tensor, k: Tensor, v: Tensor, masked: bool, wants_scores: bool) -> bool:
        """Return whether the fused kernel runs this call; raise if it must but cannot."""
        if wants_scores and self.flash_attention:
            raise ValueError(
                "`return_attention_scores=True` requires the scores, which the fused kernel of"
                " `flash_attention=True` never computes as a whole. Leave one of the two out."
            )
        if self._attended != (1,) or q.ndim != 4:
            return False  # as in Keras, even with `flash_attention=True`
        extra = (
            "the scores are required"
            if wants_scores
            else "it has no dropout"
            if self.dropout
            else None
        )
        route = routes.attention(
            type(self).__name__, self.flash_attention, (q.dtype, k.dtype, v.dtype),
            (q.shape[1], k.shape[1]),
            (q.shape[-1], v.shape[-1]), masked, extra,
        )  # fmt: skip
        return route.name != "plain"

    def get_config(self) -> dict[str, Any]:
        # Not saved: the machine that loads the file chooses the kernel.
        return {
            name: value for name, value in super().get_config().items() if name != "flash_attention"
        }


class MultiHeadAttention(_HeadAttention):
    """Attends with several heads, each with its own projections of query, key and value.

    `head = softmax(q @ k^T / sqrt(key_dim)) @ v`; the output is a projection of all heads. Call it
    as `layer(query, value, key=value)`. The call also takes `attention_mask` (true where a query
    may see a value: (T, S), (B, T, S) or (B, heads, T, S)), `use_causal_mask`, and
    `return_attention_scores` to return the weights.

    Args:
        num_heads: Number of heads.
        key_dim: Size of a head's queries and keys.
        value_dim: Size of a head's values. Default: `key_dim`.
        dropout: Fraction of the weights set to zero in training. Default: 0.
        use_bias: Whether the projections have a bias. Default: True.
        output_shape: Size or sizes of the output at each position. Default: the query's.
        attention_axes: Axes to attend over. Default: all but the first and the last.
        sliding_window: A query sees only the values less than this many steps away. Default: all.
        flash_attention: True requires the fused kernel, which supports neither dropout nor scores;
            False avoids it; `None` (default) uses it where possible.
        kernel_initializer, ..., bias_constraint: For the projections, as for `Dense`.
        use_gate: Whether to multiply the heads' results by `sigmoid` of a projection of the query.
            Default: False.
        seed: Integer seed of the dropout. Default: random.

    Weights: `kernel` and `bias` of `query`, `key`, `value`, `attention_output` and, if used,
    `gate`. Input: query (B, T, C), value and key (B, S, D). Output: (B, T, C), or a pair with the
    weights (B, heads, T, S).

    Raises:
        ValueError: If an argument is out of range, or the shapes do not fit.
        RuntimeError: If `flash_attention` is true and the kernel cannot run.

    Source: Vaswani et al. 2017, Attention is all you need.

    Example:
        >>> import hornbeam as hb
        >>> tokens = hb.Input((20, 32))
        >>> hb.layers.MultiHeadAttention(2, key_dim=16)(tokens, tokens, use_causal_mask=True).shape
        (None, 20, 32)
    """

    _projections = ("query_dense", "key_dense", "value_dense", "output_dense")

    def __init__(
        self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0,
        use_bias: bool = True, output_shape: int | Sequence[int] | None = None,
        attention_axes: Axis = None, sliding_window: int | None = None,
        flash_attention: bool | None = None, kernel_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros", kernel_regularizer: Identifier = None,
        bias_regularizer: Identifier = None, activity_regularizer: Identifier = None,
        kernel_constraint: Identifier = None, bias_constraint: Identifier = None,
        use_gate: bool = False, seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        self.num_heads = positive_integer("MultiHeadAttention", "num_heads", num_heads)
        self.key_dim = positive_integer("MultiHeadAttention", "key_dim", key_dim)
        self.value_dim = positive_integer("MultiHeadAttention", "value_dim", value_dim or key_dim)
        self.attention_axes = (
            (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        )
        if isinstance(self.attention_axes, list):
            self.attention_axes = tuple(self.attention_axes)
        if output_shape is not None:
            self.output_shape = (
                (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
            )

    def build(self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None) -> None:
        self._check_shapes(query_shape, value_shape, key_shape)
        rank = len(query_shape)
        if self.attention_axes is None:
            self.attention_axes = tuple(range(1, rank - 1))
        axes = self._attended = check_axes(
            self._label(), self.attention_axes, rank, "attention_axes"
        )
        inner = tuple(query_shape[1:-1])
        heads = self._heads = self.num_heads
        space = _LETTERS[: rank - 1]
        into = f"{space}x,xyz->{space}yz"
        self.query_dense = self._project(into, (*inner, heads, self.key_dim), "yz", "query")
        self.query_dense.build(query_shape)
        inner_values = tuple(value_shape[1:-1])
        self.key_dense = self._project(into, (*inner_values, heads, self.key_dim), "yz", "key")
        self.key_dense.build(key_shape or value_shape)
        if self.use_gate:
            self._gate_dense = self._project(into, (*inner, heads, self.value_dim), "yz", "gate")
            self._gate_dense.build(query_shape)
        self.value_dense = self._project(
            into, (*inner_values, heads, self.value_dim), "yz", "value"
        )
        self.value_dense.build(value_shape)
        self._score_equation, self._sum_equation = _equations(rank, axes)
        self._softmax = Softmax(
            axis=-1 if len(axes) == 1 else list(range(-len(axes), 0)), dtype=self.dtype_policy
        )
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)
        shape = (query_shape[-1],) if self.output_shape is None else self.output_shape
        last = "uvwst"[: len(shape)]
        if len(last) < len(shape):
            raise ValueError(
                f"{self._label()}: `output_shape` may have up to 5 axes, received {shape}."
            )
        self.output_dense = self._project(
            f"{space}yz,yz{last}->{space}{last}", (*inner, *shape), last, "attention_output"
        )
        self.output_dense.build((*query_shape[:-1], heads, self.value_dim))


def _broadcasts(shape: Sequence[int], full: Sequence[int]) -> bool:
    """Return whether `shape` has the rank of `full` and broadcasts to it."""
    return len(shape) == len(full) and all(
        size in (1, whole) or is_unknown(size) or is_unknown(whole)
        for size, whole in zip(shape, full, strict=True)
    )


def _equations(rank: int, axes: tuple[int, ...]) -> tuple[str, str]:
    """Return the einsum equations of scores and sums for tensors (B, ..., heads, size).

    The tensors have `rank` + 1 axes. The scores have the axes that are not attended over, the
    heads, the attended axes of the queries, then the attended axes of the values.
    """
    query = _LETTERS[: rank - 1] + "yz"
    values = list(query)
    for number, axis in enumerate(axes):
        values[axis] = "klmnopqrst"[number]
    value = "".join(values)
    free = "".join(letter for axis, letter in enumerate(query[:-2]) if axis not in axes) + "y"
    scores = free + "".join(query[axis] for axis in axes) + "".join(value[axis] for axis in axes)
    return f"{query},{value}->{scores}", f"{scores},{value}->{query}"


class GroupedQueryAttention(_HeadAttention):
    """Attends with groups of query heads that share keys and values.

    With as many key-value heads as query heads it is multi-head attention; with one key-value head,
    multi-query attention. The call takes the same arguments as `MultiHeadAttention`.

    Args:
        head_dim: Size of a head.
        num_query_heads: Number of heads of the query.
        num_key_value_heads: Number of heads of key and value, a divisor of `num_query_heads`.
        dropout: Fraction of the weights set to zero in training. Default: 0.
        use_bias: Whether the projections have a bias. Default: True.
        sliding_window: A query sees only the values less than this many steps away. Default: all.
        flash_attention: True requires the fused kernel, which supports neither dropout nor scores;
            False avoids it; `None` (default) uses it where possible.
        kernel_initializer, ..., bias_constraint: For the projections, as for `Dense`.
        use_gate: Whether to multiply the heads' results by `sigmoid` of a projection of the query.
            Default: False.
        seed: Integer seed of the dropout. Default: random.

    Weights: as for `MultiHeadAttention`.

    Input: query (B, T, C), value and key (B, S, D). Output: (B, T, C), or a pair with the weights
    (B, heads, T, S).

    Raises:
        ValueError: If an argument is out of range, or the shapes do not fit.
        RuntimeError: If `flash_attention` is true and the kernel cannot run.

    Source: Ainslie et al. 2023, GQA: training generalized multi-query transformer models.

    Example:
        >>> import hornbeam as hb
        >>> layer = hb.layers.GroupQueryAttention(16, num_query_heads=4, num_key_value_heads=2)
        >>> tokens = hb.Input((20, 32))
        >>> layer(tokens, tokens).shape
        (None, 20, 32)
    """

    head_dim: int
    num_query_heads: int
    num_key_value_heads: int

    _saved_as = "GroupQueryAttention"  # Keras's public name for a class of this name

    def __init__(
        self, head_dim: int, num_query_heads: int, num_key_value_heads: int, dropout: float = 0.0,
        use_bias: bool = True, sliding_window: int | None = None,
        flash_attention: bool | None = None, kernel_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros", kernel_regularizer: Identifier = None,
        bias_regularizer: Identifier = None, activity_regularizer: Identifier = None,
        kernel_constraint: Identifier = None, bias_constraint: Identifier = None,
        use_gate: bool = False, seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        for argument in ("head_dim", "num_query_heads", "num_key_value_heads"):
            positive_integer("GroupQueryAttention", argument, getattr(self, argument))
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                f"GroupQueryAttention: `num_query_heads` ({num_query_heads}) must be a multiple of "
                f"`num_key_value_heads` ({num_key_value_heads})."
            )

    def build(self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None) -> None:
        self._check_shapes(query_shape, value_shape, key_shape)
        if len(query_shape) != 3:
            raise ValueError(
                f"{self._label()}: query must have shape (B, T, C), received {tuple(query_shape)}."
            )
        self._heads = self.num_query_heads
        heads, shared, size = self.num_query_heads, self.num_key_value_heads, self.head_dim
        into = "bqm,mnh->bqnh"
        self._query_dense = self._project(into, (None, heads, size), "nh", "query")
        self._query_dense.build(query_shape)
        self._key_dense = self._project(into, (None, shared, size), "nh", "key")
        self._key_dense.build(key_shape or value_shape)
        if self.use_gate:
            self._gate_dense = self._project(into, (None, heads, size), "nh", "gate")
            self._gate_dense.build(query_shape)
        self._value_dense = self._project(into, (None, shared, size), "nh", "value")
        self._value_dense.build(value_shape)
        self._score_equation, self._sum_equation = "btnh,bsnh->bnts", "bnts,bsnh->btnh"
        self._softmax = Softmax(axis=-1, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)
        self._output_dense = self._project(
            "bqnh,nhm->bqm", (None, query_shape[-1]), "m", "attention_output"
        )
        self._output_dense.build((*query_shape[:-1], heads, size))


GroupQueryAttention = GroupedQueryAttention
