"""How tokens are chosen: the most likely one, draws, and beam search."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from hornbeam.checked import Count, Fraction, NonNegative, check

__all__ = ["beam_search", "continue_texts", "draw"]


class Step(Protocol):
    """A function from tokens (B, T) to the logits of the next ones, (B, V)."""

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Return the logits."""
        ...  # a protocol: models implement it

    def reorder(self, rows: np.ndarray) -> None:
        """Let row i continue what row `rows[i]` was."""


def continue_texts(
    step: Step,
    tokens: np.ndarray,
    count: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    end: int | None,
    seed: int | None,
) -> np.ndarray:
    """Return texts with `count` more tokens; the arguments are those of `GPT.generate`."""
    check("GPT.generate", "temperature", temperature, NonNegative)
    check("GPT.generate", "top_k", top_k, Count | None)
    check("GPT.generate", "top_p", top_p, Fraction | None)
    if not temperature and (top_k is not None or top_p is not None):
        raise ValueError(
            "GPT.generate: `top_k` and `top_p` need a `temperature` above 0, such as 1.0; with 0,"
            " the most likely token is taken."
        )
    random = np.random.default_rng(seed)
    ended = np.zeros(len(tokens), bool)
    for _ in range(count):
        logits = step(tokens)
        if temperature:
            new = draw(logits / temperature, top_k, top_p, random)
        else:
            new = logits.argmax(-1)
        if end is not None:
            new = np.where(ended, end, new)
            ended |= new == end
        tokens = np.concatenate([tokens, new[:, None].astype("int32")], axis=1)
    return tokens


def draw(
    logits: np.ndarray, top_k: int | None, top_p: float | None, random: np.random.Generator
) -> np.ndarray:
    """Draw a token for each row of logits.

    Example:
        >>> random = np.random.default_rng(0)
        >>> draw(np.array([[0.0, 9.0, 1.0]]), 1, None, random).tolist()
        [1]
    """
    order = np.argsort(-logits, axis=-1, kind="stable")
    chances = _softmax(np.take_along_axis(logits, order, -1))
    if top_k is not None:
        chances[:, top_k:] = 0
    if top_p is not None:
        # A token is left out if those before it have the probability already.
        before = np.cumsum(chances / chances.sum(-1, keepdims=True), -1) - chances
        chances = np.where((before < top_p) | (np.arange(chances.shape[1]) == 0), chances, 0)
    limits = np.cumsum(chances / chances.sum(-1, keepdims=True), -1)
    places = (random.random((len(logits), 1)) >= limits).sum(-1)
    last = (chances > 0).sum(-1) - 1  # against rounding
    return np.take_along_axis(order, np.minimum(places, last)[:, None], -1)[:, 0]


def _softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x.astype("float64") - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def beam_search(
    step: Step, tokens: np.ndarray, count: int, beams: int, end: int | None
) -> np.ndarray:
    """Return the most likely continuations among those that beams keep.

    Args:
        step: As in `continue_texts`, for `beams` rows per text.
        tokens: Prompts, (B, T).
        count: Number of tokens to add.
        beams: Number of texts kept for each prompt.
        end: Token that ends a text.
    """
    check("GPT.generate", "beams", beams, Count)
    texts = len(tokens)
    tokens = np.repeat(tokens, beams, 0)
    # All beams of a prompt begin alike, so only the first counts.
    scores: Any = np.full((texts, beams), -np.inf)
    scores[:, 0] = 0
    ended = np.zeros(texts * beams, bool)
    for _ in range(count):
        rates = np.log(np.maximum(_softmax(step(tokens)), 1e-300))
        if end is not None:
            only_end = np.full(rates.shape[1], -np.inf)
            only_end[end] = 0
            rates[ended] = only_end
        size = rates.shape[1]
        total = (scores[:, :, None] + rates.reshape(texts, beams, size)).reshape(texts, -1)
        best = np.argsort(-total, axis=-1, kind="stable")[:, :beams]
        scores = np.take_along_axis(total, best, -1)
        rows = (best // size + beams * np.arange(texts)[:, None]).ravel()
        new = (best % size).ravel()
        step.reorder(rows)
        tokens = np.concatenate([tokens[rows], new[:, None].astype("int32")], axis=1)
        ended = ended[rows] | (new == end) if end is not None else ended
    return tokens.reshape(texts, beams, -1)[np.arange(texts), scores.argmax(-1)]
