"""Connectionist temporal classification: labels without alignment (Graves et al. 2006)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.typing import Tensor

__all__ = ["ctc_decode", "ctc_loss"]

_IMPOSSIBLE = -1e5  # a log-probability that is finite, so that gradients are finite too


@op("nn", "CTCLoss")
def ctc_loss(
    target: Tensor,
    output: Tensor,
    target_length: Tensor,
    output_length: Tensor,
    mask_index: int = 0,
) -> Tensor:
    """Return `-log p(target)`, with `p` summed over all alignments of the labels to the steps.

    Args:
        target: Class indices, (B, N).
        output: Scores before softmax, (B, T, C).
        target_length: Number of labels of each sample, (B,).
        output_length: Number of steps of each sample, (B,).
        mask_index: Class of the blank.

    Returns:
        A float tensor (B,).

    Raises:
        ValueError: If `target` does not have 2 axes, `output` 3, or the batch sizes differ.

    Example:
        >>> length = jnp.array([1])
        >>> ctc_loss(jnp.array([[1]]), jnp.zeros((1, 1, 2)), length, length).round(4).tolist()
        [0.6930999755859375]
    """
    labels, scores = convert(target).astype("int32"), convert(output)
    if labels.ndim != 2 or scores.ndim != 3 or labels.shape[0] != scores.shape[0]:
        raise ValueError(
            "ctc_loss: expected `target` of shape (B, N) and `output` of shape (B, T, C), received"
            f" {labels.shape} and {scores.shape}."
        )
    lengths = convert(target_length).astype("int32")[:, None]
    steps = convert(output_length).astype("int32")
    count, longest = labels.shape
    logs = jax.nn.log_softmax(scores, axis=-1)
    # Blanks are before, between and after the labels: 2N + 1 positions.
    places = jnp.full((count, 2 * longest + 1), mask_index, "int32").at[:, 1::2].set(labels)
    before_last = jnp.pad(places, ((0, 0), (2, 0)), constant_values=-1)[:, :-2]
    may_skip = (jnp.arange(2 * longest + 1) % 2 == 1) & (places != before_last)
    chosen = jnp.take_along_axis(logs, places[:, None, :], axis=-1)  # (B, T, 2N + 1)

    def shifted(x: Any, by: int) -> Any:
        return jnp.pad(x, ((0, 0), (by, 0)), constant_values=_IMPOSSIBLE)[:, : x.shape[1]]

    def step(alpha: Any, now: Any) -> tuple[Any, None]:
        log_p, number = now
        skip = jnp.where(may_skip, shifted(alpha, 2), _IMPOSSIBLE)
        after = jax.nn.logsumexp(jnp.stack([alpha, shifted(alpha, 1), skip]), axis=0) + log_p
        return jnp.where((number < steps)[:, None], after, alpha), None

    start = jnp.where(jnp.arange(places.shape[1]) < 2, chosen[:, 0], _IMPOSSIBLE)
    later = (jnp.swapaxes(chosen, 0, 1)[1:], jnp.arange(1, scores.shape[1]))
    alpha, _ = jax.lax.scan(step, start, later)
    last = 2 * lengths  # the blank after the last label
    blank = jnp.take_along_axis(alpha, last, axis=1)[:, 0]
    label = jnp.take_along_axis(alpha, jnp.maximum(last - 1, 0), axis=1)[:, 0]
    label = jnp.where(lengths[:, 0] > 0, label, _IMPOSSIBLE)
    return -jax.nn.logsumexp(jnp.stack([blank, label]), axis=0)


@op("nn", "CTCDecode")
def ctc_decode(
    inputs: Tensor, sequence_lengths: Tensor, strategy: str = "greedy", beam_width: int = 100,
    top_paths: int = 1, merge_repeated: bool = True, mask_index: int = 0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return the most likely label sequences.

    Args:
        inputs: Scores before softmax, (B, T, C).
        sequence_lengths: Number of steps of each sample, (B,).
        strategy: `"greedy"`: the most likely class of each step. `"beam_search"`: the most likely
            sequences, with probabilities summed over alignments.
        beam_width: Number of sequences that the beam search keeps.
        top_paths: Number of sequences returned; 1 with `"greedy"`.
        merge_repeated: Whether a class that is repeated without a blank in between counts once.
        mask_index: Class of the blank.

    Returns:
        Labels (top_paths, B, T), int32, filled with -1 at the end; and scores (B, top_paths):
        log-probabilities, or for `"greedy"` the negative sum of the chosen scores.

    Raises:
        ValueError: If `strategy` is unknown, or `top_paths` is larger than `beam_width`.

    Example:
        >>> labels, _ = ctc_decode(jnp.eye(3)[None, jnp.array([1, 1, 0, 2])], jnp.array([4]))
        >>> labels.tolist()
        [[[1, 2, -1, -1]]]
    """
    scores, lengths = convert(inputs), convert(sequence_lengths).astype("int32")
    if scores.ndim != 3:
        raise ValueError(
            f"ctc_decode: `inputs` must have shape (B, T, C), received {scores.shape}."
        )
    mask_index = mask_index % scores.shape[-1]
    if strategy == "greedy":
        return _greedy(scores, lengths, merge_repeated, mask_index)
    if strategy != "beam_search":
        raise ValueError(
            f"ctc_decode: `strategy` must be 'greedy' or 'beam_search', received {strategy!r}."
        )
    if not 1 <= top_paths <= beam_width:
        raise ValueError(
            f"ctc_decode: `top_paths` ({top_paths}) must be from 1 to `beam_width` ({beam_width})."
        )
    logs = jax.nn.log_softmax(scores, axis=-1)
    search = jax.vmap(
        lambda x, n: _beam_search(x, n, beam_width, top_paths, merge_repeated, mask_index)
    )
    labels, values = search(logs, lengths)
    return jnp.swapaxes(labels, 0, 1), values


def _greedy(scores: Any, lengths: Any, merge_repeated: bool, blank: int) -> tuple[Any, Any]:
    there = jnp.arange(scores.shape[1]) < lengths[:, None]
    best = jnp.argmax(scores, axis=-1).astype("int32")
    kept = there & (best != blank)
    if merge_repeated:
        kept &= jnp.pad(best, ((0, 0), (1, 0)), constant_values=-1)[:, :-1] != best
    order = jnp.argsort(~kept, axis=1, stable=True)  # kept classes come first
    labels = jnp.take_along_axis(jnp.where(kept, best, -1), order, axis=1)
    total = -jnp.sum(jnp.where(there, jnp.max(scores, axis=-1), 0), axis=1)
    return labels[None], total[:, None]


def _beam_search(
    logs: Any, length: Any, width: int, paths: int, merge_repeated: bool, blank: int
) -> tuple[Any, Any]:
    """Run a beam search for one sample.

    Each prefix keeps the log-probabilities that it ends in a blank and in a label (Hannun 2017).
    """
    steps, classes = logs.shape
    none = -jnp.inf
    start = (
        jnp.full((width, steps), -1, "int32"),  # prefixes
        jnp.zeros(width, "int32"),  # their lengths
        jnp.full(width, none).at[0].set(0.0),  # ending in a blank
        jnp.full(width, none),  # ending in a label
    )

    def step(state: Any, now: Any) -> tuple[Any, None]:
        prefixes, sizes, in_blank, in_label = state
        log_p, number = now
        total = jnp.logaddexp(in_blank, in_label)
        last = jnp.where(
            sizes > 0,
            jnp.take_along_axis(prefixes, jnp.maximum(sizes - 1, 0)[:, None], 1)[:, 0],
            blank,
        )
        stay_blank = total + log_p[blank]
        stay_label = jnp.where((sizes > 0) & merge_repeated, in_label + log_p[last], none)
        # A class that repeats the last one extends the prefix only after a blank.
        repeats = (jnp.arange(classes) == last[:, None]) & merge_repeated
        longer = jnp.where(repeats, in_blank[:, None], total[:, None]) + log_p
        longer = longer.at[:, blank].set(none)
        # An extended prefix may equal one that is kept already; their probabilities add up.
        equal = (prefixes[:, None] == prefixes[None]) | (jnp.arange(steps) >= sizes[:, None, None])
        child = (
            equal.all(-1)
            & (sizes[None] == sizes[:, None] + 1)
            & (total > none)[:, None]
            & (total > none)[None]
        )
        ways = jnp.where(child, longer[:, last], none)  # (parent, child)
        stay_label = jnp.logaddexp(stay_label, jax.nn.logsumexp(ways, axis=0))
        taken = jnp.zeros(longer.shape, bool).at[jnp.arange(width)[:, None], last[None]].max(child)
        longer = jnp.where(taken, none, longer)
        stay = jnp.logaddexp(stay_blank, stay_label)
        value, index = jax.lax.top_k(jnp.concatenate([stay, longer.reshape(-1)]), width)
        grown = index >= width
        parent = jnp.where(grown, (index - width) // classes, index)
        label = ((index - width) % classes).astype("int32")
        new, size = prefixes[parent], sizes[parent]
        place = (jnp.arange(steps) == size[:, None]) & grown[:, None]
        after = (
            jnp.where(place, label[:, None], new),
            size + grown,
            jnp.where(grown, none, stay_blank[parent]),
            jnp.where(grown, value, stay_label[parent]),
        )
        return jax.tree.map(lambda a, b: jnp.where(number < length, a, b), after, state), None

    (prefixes, _, in_blank, in_label), _ = jax.lax.scan(step, start, (logs, jnp.arange(steps)))
    values, index = jax.lax.top_k(jnp.logaddexp(in_blank, in_label), paths)
    return jnp.where((values > none)[:, None], prefixes[index], -1), values
