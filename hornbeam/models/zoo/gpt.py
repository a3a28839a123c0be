"""`GPT`: a transformer that continues texts, with a cache of keys and values."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.program import Program
from hornbeam.layers import Dense, Dropout, Embedding, Layer, LayerNormalization
from hornbeam.layers.arguments import keep
from hornbeam.models.model import Model
from hornbeam.models.zoo.generation import beam_search, continue_texts
from hornbeam.models.zoo.transformers import check_heads
from hornbeam.ops.neural import dot_product_attention
from hornbeam.typing import Shapes, Tensor

__all__ = ["GPT", "DecoderBlock"]


class DecoderBlock(Layer):
    """Attention to earlier tokens, then two dense layers; normalization comes first.

    Args:
        heads: Number of heads of attention.
        dropout: Fraction of features dropped in training.
        **kwargs: Arguments of `Layer`.

    Example:
        >>> import hornbeam as hb
        >>> DecoderBlock(heads=2)(hb.ops.zeros((1, 5, 8))).shape
        (1, 5, 8)
    """

    heads: int
    dropout: float

    def __init__(self, heads: int, dropout: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        keep(self, locals())

    def build(self, input_shape: Shapes = None) -> None:
        width = input_shape[-1]
        self.attention_norm = LayerNormalization(epsilon=1e-5)
        self.project = Dense(3 * width)
        self.merge = Dense(width)
        self.dense_norm = LayerNormalization(epsilon=1e-5)
        self.widen = Dense(4 * width, activation="gelu")
        self.narrow = Dense(width)
        self.drop = Dropout(self.dropout)
        for layer in (self.attention_norm, self.project, self.merge, self.dense_norm, self.widen):
            layer.build((None, None, width))
        self.narrow.build((None, None, 4 * width))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        query, key, value = self._heads(inputs)
        new = dot_product_attention(query, key, value, is_causal=True)
        return self._end(inputs, new, training)

    def _heads(self, x: Tensor) -> list[Tensor]:
        """Return queries, keys and values, each (B, T, N, H)."""
        parts = jnp.split(self.project(self.attention_norm(x)), 3, axis=-1)
        return [part.reshape(*part.shape[:2], self.heads, -1) for part in parts]

    def _end(self, x: Tensor, new: Tensor, training: bool | None) -> Tensor:
        x = x + self.drop(self.merge(new.reshape(x.shape)), training=training)
        return x + self.drop(self.narrow(self.widen(self.dense_norm(x))), training=training)

    def step(self, x: Tensor, cache: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs for the tokens from `position` on, and the new cache.

        Args:
            x: (B, T, C), the features of these tokens.
            cache: (2, B, L, N, H), keys and values of all positions; later ones are not read.
            position: Number of the first token.
        """
        query, key, value = self._heads(x)
        new = jnp.stack([key, value]).astype(cache.dtype)
        cache = jax.lax.dynamic_update_slice(cache, new, (0, 0, position, 0, 0))
        rows = position + jnp.arange(x.shape[1])
        mask = jnp.arange(cache.shape[2])[None, :] <= rows[:, None]
        result = dot_product_attention(query, cache[0], cache[1], mask=mask[None, None])
        return self._end(x, result, False), cache


class GPT(Model):
    """A transformer that predicts the next token (Radford et al. 2019).

    It is called on tokens (B, T) and returns logits (B, T, `vocabulary`). Train it on targets that
    are the tokens shifted by one, with `SparseCategoricalCrossentropy(from_logits=True)`.

    Args:
        vocabulary: Number of tokens.
        length: Largest number of tokens of a text.
        depth: Number of blocks.
        width: Number of features, a multiple of `heads`.
        heads: Number of heads of attention.
        dropout: Fraction of features dropped in training.
        **kwargs: Arguments of `Model`.

    Example:
        >>> import numpy as np
        >>> model = GPT(20, length=16, depth=1, width=8, heads=2)
        >>> model.generate(np.array([[1, 2, 3]]), 4).shape
        (1, 7)
    """

    vocabulary: int
    length: int
    depth: int
    width: int
    heads: int
    dropout: float

    def __init__(
        self,
        vocabulary: int,
        length: int = 256,
        depth: int = 4,
        width: int = 128,
        heads: int = 4,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_heads("GPT", width, heads)
        keep(self, locals())
        self.tokens = Embedding(vocabulary, width, name="tokens")
        self.positions = Embedding(length, width, name="positions")
        self.drop = Dropout(dropout)
        self.blocks = [DecoderBlock(heads, dropout, name=f"block_{n}") for n in range(depth)]
        self.norm = LayerNormalization(epsilon=1e-5, name="norm")
        self.logits = Dense(vocabulary, use_bias=False, name="logits")
        self._programs_of_generation: dict[str, Program] = {}

    def build(self, input_shape: Shapes = None) -> None:
        self.tokens.build((None, None))
        self.positions.build((None, None))
        for layer in (*self.blocks, self.norm, self.logits):
            layer.build((None, None, self.width))
        super().build(None)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = self.tokens(inputs) + self.positions(jnp.arange(inputs.shape[1]))
        x = self.drop(x, training=training)
        for block in self.blocks:
            x = block(x, training=training)
        return self.logits(self.norm(x))

    def _step(self, tokens: Tensor, caches: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits after the last token, and the new caches."""
        places = position + jnp.arange(tokens.shape[1])
        x, new = self.tokens(tokens) + self.positions(places), []
        for number, block in enumerate(self.blocks):
            x, cache = block.step(x, caches[number], position)
            new.append(cache)
        return self.logits(self.norm(x[:, -1])), jnp.stack(new)

    def _program(self, name: str) -> Program:
        if name not in self._programs_of_generation:
            function = self._step if name == "step" else lambda x: self(x, training=False)
            program = Program(function, read=self.variables, donate=False)
            self._programs_of_generation[name] = program
        return self._programs_of_generation[name]

    def next_logits(self, cached: bool, rows: int) -> Any:
        """Return a function from all tokens so far, (B, T), to the logits of the next one.

        Args:
            cached: Whether keys and values of earlier calls are kept, so only new tokens are
                computed.
            rows: Number of texts.
        """
        if not cached:
            return _Whole(self._program("whole"), self.length)
        shape = (self.depth, 2, rows, self.length, self.heads, self.width // self.heads)
        return _Cached(self._program("step"), np.zeros(shape, self.compute_dtype))

    def generate(
        self,
        prompt: Any,
        count: int,
        *,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        beams: int | None = None,
        end: int | None = None,
        seed: int | None = None,
        cached: bool = True,
    ) -> np.ndarray:
        """Continue texts, token by token.

        Args:
            prompt: Tokens, (B, T).
            count: Number of tokens to add.
            temperature: 0 takes the most likely token (greedy); above 0, tokens are drawn from
                the probabilities of logits over the temperature.
            top_k: Draw only from so many most likely tokens.
            top_p: Draw only from the most likely tokens that together have this probability.
            beams: Keep so many texts in each step and return the most likely one.
            end: Token that ends a text; it is repeated up to the end.
            seed: Seed of the draws.
            cached: Whether keys and values are kept from step to step. The result is the same
                without, up to rounding, but slower.

        Returns:
            The tokens of prompts and continuations, (B, T + count).

        Raises:
            ValueError: If the texts would be longer than `length`, or an argument is out of range.
        """
        tokens = np.asarray(prompt, "int32")
        if tokens.ndim != 2 or tokens.shape[1] < 1:
            raise ValueError(
                f"GPT.generate: `prompt` must have the shape (B, T), received {tokens.shape}."
            )
        if count < 1 or tokens.shape[1] + count > self.length:
            raise ValueError(
                f"GPT.generate: `count` must be from 1 to {self.length - tokens.shape[1]}, because"
                f" `length` is {self.length} and the prompt has {tokens.shape[1]} tokens; received"
                f" {count}."
            )
        if not self.built:
            self.build()
        if beams is not None:
            if temperature or top_k is not None or top_p is not None:
                raise ValueError(
                    "GPT.generate: `beams` draws no tokens. Leave out `temperature`, `top_k` and"
                    " `top_p`."
                )
            step = self.next_logits(cached, len(tokens) * beams)
            return beam_search(step, tokens, count, beams, end)
        step = self.next_logits(cached, len(tokens))
        return continue_texts(step, tokens, count, temperature, top_k, top_p, end, seed)


class _Whole:
    """Logits computed from all tokens each time, padded to one length for one program."""

    def __init__(self, program: Program, length: int):
        self._program, self._length = program, length

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        padded = np.zeros((len(tokens), self._length), "int32")
        padded[:, : tokens.shape[1]] = tokens
        return np.asarray(self._program(padded))[:, tokens.shape[1] - 1]

    def reorder(self, rows: np.ndarray) -> None:
        """Do nothing: there is no cache."""


class _Cached:
    """Logits computed from new tokens and the keys and values of earlier ones."""

    def __init__(self, program: Program, caches: Any):
        self._program, self._caches, self._done = program, caches, 0

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        new = tokens[:, self._done :]
        logits, self._caches = self._program(new, self._caches, np.int32(self._done))
        self._done = tokens.shape[1]
        return np.asarray(logits)

    def reorder(self, rows: np.ndarray) -> None:
        """Let row i continue what row `rows[i]` was."""
        self._caches = jnp.take(self._caches, rows, axis=2)
