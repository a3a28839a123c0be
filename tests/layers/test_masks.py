"""Masks of all shapes that Keras takes, against Keras; other shapes are errors that name both."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
rng = np.random.default_rng(0)


def data(*shape):
    return rng.normal(size=shape).astype("float32")


def mask_of(*shape):
    return (np.arange(int(np.prod(shape))) % 3 != 1).reshape(shape)


def both(recipe, inputs, **call):
    """Return the results of Hornbeam's and Keras's layer with equal weights."""
    results, weights = [], None
    for library in (keras, hb):
        layer = recipe(library.layers)
        layer(*inputs)
        weights = [w + 0.1 for w in layer.get_weights()] if weights is None else weights
        layer.set_weights(weights)
        results.append(np.asarray(layer(*inputs, **call)))
    return results


RECURRENT = {
    "SimpleRNN": lambda L: L.SimpleRNN(3, return_sequences=True),
    "LSTM": lambda L: L.LSTM(3, return_sequences=True),
    "GRU": lambda L: L.GRU(3),
    "unrolled": lambda L: L.LSTM(3, unroll=True),
    "stacked": lambda L: L.RNN([L.LSTMCell(3), L.GRUCell(2)]),
    "Bidirectional": lambda L: L.Bidirectional(L.LSTM(3)),
    "ConvLSTM1D": lambda L: L.ConvLSTM1D(2, 2),
}


def sequence(name):
    return data(4, 6, 5, 2) if name == "ConvLSTM1D" else data(4, 6, 4)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (1, 6)])
@pytest.mark.parametrize("name", mostly_slow(RECURRENT, list(RECURRENT)[::3]))
def test_recurrent_masks(name, shape):
    if name == "ConvLSTM1D" and shape == (1, 6):  # Keras's scan refuses it
        shape = (4, 6, 1)
    theirs, ours = both(RECURRENT[name], [sequence(name)], mask=mask_of(*shape))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 5), (5, 6), (4,), (4, 1), (4, 6, 4)])
@pytest.mark.parametrize("name", RECURRENT)
def test_wrong_recurrent_masks(name, shape):
    layer = RECURRENT[name](hb.layers)
    axes = r"`mask` must have the first two axes of the sequences, \(4, 6\)"
    text = rf"{axes}, received shape .{shape[0]},"
    with pytest.raises(ValueError, match=text):
        layer(sequence(name), mask=mask_of(*shape))


@pytest.mark.parametrize("shape", [(4, 5), (5, 6), (4,), (1, 6)])
def test_wrong_masks_of_time_distributed(shape):
    layer = hb.layers.TimeDistributed(hb.layers.Dense(2))
    with pytest.raises(ValueError, match=r"must start with the batch and the steps.*\(4, 6\)"):
        layer(data(4, 6, 4), mask=mask_of(*shape))


HEADS = {
    "heads": lambda L: L.MultiHeadAttention(2, 3),
    "groups": lambda L: L.GroupQueryAttention(3, 2, 1),
}
PAIRS = [
    (3, 5),
    (2, 3, 5),
    (1, 3, 5),
    (2, 1, 5),
    (1, 1, 5),
    (2, 2, 3, 5),
    (2, 1, 3, 5),
    (1, 2, 3, 5),
]


@pytest.mark.parametrize("shape", PAIRS)
@pytest.mark.parametrize("name", HEADS)
def test_masks_of_pairs(name, shape):
    theirs, ours = both(HEADS[name], [data(2, 3, 4), data(2, 5, 4)], attention_mask=mask_of(*shape))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("argument", ["value_mask", "key_mask"])
@pytest.mark.parametrize("shape", [(2, 5), (1, 5), (5,)])
@pytest.mark.parametrize("name", HEADS)
def test_masks_of_values(name, shape, argument):
    theirs, ours = both(HEADS[name], [data(2, 3, 4), data(2, 5, 4)], **{argument: mask_of(*shape)})
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("argument", "shape", "text"),
    [
        ("attention_mask", (2,), r"the scores, of shape \(2, 2, 3, 5\).*received \(2,\)"),
        ("attention_mask", (2, 5), r"received \(2, 5\).*`value_mask`"),
        ("attention_mask", (2, 3, 5, 1), r"received \(2, 3, 5, 1\)"),
        ("value_mask", (2, 4), r"`value_mask` must have shape \(2, 5\), received \(2, 4\)"),
        ("query_mask", (2, 5), r"`query_mask` must have shape \(2, 3\), received \(2, 5\)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", HEADS)
def test_wrong_masks_of_heads(name, argument, shape, text):
    layer = HEADS[name](hb.layers)
    with pytest.raises(ValueError, match=text):
        layer(data(2, 3, 4), data(2, 5, 4), **{argument: mask_of(*shape)})


SEVERAL_AXES = [  # query, value, attention_axes, attention_mask
    ((2, 3, 2, 4), (2, 5, 2, 4), None, (2, 3, 2, 5, 2)),
    ((2, 3, 2, 4), (2, 5, 2, 4), 1, (2, 3, 5)),
    ((2, 3, 2, 4), (2, 5, 2, 4), 1, (2, 2, 3, 5)),
    ((2, 3, 2, 4), (2, 3, 5, 4), 2, (2, 2, 5)),
    ((2, 3, 2, 4), (2, 3, 5, 4), 2, (2, 3, 2, 5)),
    ((2, 3, 2, 2, 4), (2, 3, 2, 2, 4), (2, 3), (2, 3, 2, 2, 2, 2)),
]


@pytest.mark.parametrize(("query", "value", "axes", "shape"), SEVERAL_AXES)
def test_masks_with_several_axes(query, value, axes, shape):
    axes = (axes,) if isinstance(axes, int) else axes
    theirs, ours = both(
        lambda L: L.MultiHeadAttention(2, 3, attention_axes=axes),
        [data(*query), data(*value)],
        attention_mask=mask_of(*shape),
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_position_masks_equal_masks_of_pairs():
    """Masks of positions on attended and other axes, written as one mask of pairs."""
    query, value = data(2, 3, 4, 5), data(2, 3, 6, 5)
    q, v = mask_of(2, 3, 4), mask_of(2, 3, 6)
    layer = hb.layers.MultiHeadAttention(2, 3, attention_axes=(2,))
    pairs = q[..., :, None] & v[..., None, :] & np.tri(4, 6, dtype=bool)
    np.testing.assert_allclose(
        layer(query, value, query_mask=q, value_mask=v, use_causal_mask=True),
        layer(query, value, attention_mask=pairs), atol=1e-6,
    )  # fmt: skip


ATTENTION = {
    "dot": lambda L: L.Attention(),
    "concat": lambda L: L.Attention(use_scale=True, score_mode="concat"),
    "additive": lambda L: L.AdditiveAttention(),
}
LISTS = [
    ((2, 3), (2, 5)), (None, (1, 5)), (None, (5,)), (None, (2, 1, 5)), (None, (2, 3, 5)),
    ((2, 3), (2, 5), (2, 5)), ((1, 3), None),
]  # fmt: skip


@pytest.mark.parametrize("shapes", LISTS)
@pytest.mark.parametrize("name", ATTENTION)
def test_masks_of_plain_attention(name, shapes):
    masks = [None if shape is None else mask_of(*shape) for shape in shapes]
    theirs, ours = both(ATTENTION[name], [[data(2, 3, 4), data(2, 5, 4)]], mask=masks)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("first", [(), (2, 2)])
@pytest.mark.parametrize("name", ATTENTION)
def test_plain_attention_of_any_rank(name, first):
    query, value = data(*first, 3, 4), data(*first, 5, 4)
    theirs, ours = both(ATTENTION[name], [[query, value]])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    masks = [mask_of(*query.shape[:-1]), mask_of(*value.shape[:-1])]
    layer = ATTENTION[name](hb.layers)
    flat = [x.reshape(-1, *x.shape[-2:]) for x in (query, value)]  # Keras takes masks only of these
    expected = layer(flat, mask=[m.reshape(-1, m.shape[-1]) for m in masks])
    np.testing.assert_allclose(
        layer([query, value], mask=masks), np.reshape(expected, query.shape), atol=1e-5
    )
    made = ATTENTION[name](hb.layers)([hb.Input(query.shape[1:]), hb.Input(value.shape[1:])])
    assert made.shape == (None, *query.shape[1:])


@pytest.mark.parametrize("shapes", [((2, 4), None), (None, (2, 4)), (None, (2, 2, 3, 5))])
@pytest.mark.parametrize("name", ATTENTION)
def test_wrong_masks_of_plain_attention(name, shapes):
    masks = [None if shape is None else mask_of(*shape) for shape in shapes]
    with pytest.raises(ValueError, match=r"the mask of the (query|value), of shape .* must broadc"):
        ATTENTION[name](hb.layers)([data(2, 3, 4), data(2, 5, 4)], mask=masks)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (2, 3, 4)])
def test_masks_of_concatenate(shape):
    x, mask = data(2, 3, 4), mask_of(*shape)
    ours, theirs = (
        library.layers.Concatenate().compute_mask(
            [x, x], mask=[library.ops.convert_to_tensor(mask)] * 2
        )
        for library in (hb, keras)
    )
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["Add", "Concatenate", "Maximum"])
def test_too_few_masks_of_a_merge(name):
    x, mask = data(2, 3, 4), mask_of(2, 3)
    with pytest.raises(ValueError, match="one mask, or None, for each of the 2 inputs, received 1"):
        getattr(hb.layers, name)().compute_mask([x, x], [mask])


class _Doubled(hb.layers.Layer):
    def call(self, x, mask=None):
        return x * 2


class _Keras1(_Doubled):
    def compute_mask(self, input, input_mask=None):
        return input_mask


class _Inputs(_Doubled):
    def compute_mask(self, inputs, input_mask=None):
        return input_mask


class _Own(_Doubled):
    def compute_mask(self, x, x_mask=None):
        return x_mask


@pytest.mark.parametrize("make", [_Keras1, _Inputs, _Own])
def test_names_of_the_arguments_of_compute_mask(make):
    words = hb.layers.Embedding(5, 3, mask_zero=True)(np.array([[1, 0], [2, 2]]))
    np.testing.assert_array_equal(
        hb.core.masks.get_mask(make()(words)), [[True, False], [True] * 2]
    )
