"""The models written by hand in JAX.

Each function returns initial weights and `apply(trained, statistics, x, key)`. `trained` and
`statistics` (moving averages of batch normalization) are lists in the order of the layers. `apply`
returns the logits and the new statistics; without a key it predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["MODELS"]

Model = tuple[dict[str, Any], Callable[..., Any]]


def _glorot(rng: Any, *shape: int) -> np.ndarray:
    field = int(np.prod(shape[:-2]))
    limit = np.sqrt(6 / (field * (shape[-2] + shape[-1])))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def _linear(rng: Any, inputs: int, units: int) -> tuple[np.ndarray, np.ndarray]:
    return _glorot(rng, inputs, units), np.zeros(units, np.float32)


def _affine(x: Any, weights: Any) -> Any:
    kernel, bias = weights
    return x @ kernel + bias


def _drop(x: Any, rate: float, key: Any, number: int) -> Any:
    if key is None or not rate:
        return x
    kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), 0)


def _dense(
    rng: Any, inputs: int, hidden: tuple[int, ...], classes: int, dropout: float = 0.0
) -> Model:
    sizes = (inputs, *hidden, classes)
    trained = [_linear(rng, *pair) for pair in zip(sizes, sizes[1:], strict=False)]

    def apply(trained: Any, statistics: Any, x: Any, key: Any) -> Any:
        for number, weights in enumerate(trained[:-1]):
            x = _drop(jax.nn.relu(_affine(x, weights)), dropout, key, number)
        return _affine(x, trained[-1]), statistics

    return {"trained": trained, "statistics": []}, apply


def _convolve(x: Any, kernel: Any, stride: int = 1, padding: str = "SAME") -> Any:
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=layout)


def _conv(
    rng: Any,
    image: tuple[int, ...],
    filters: tuple[int, ...],
    units: int,
    classes: int,
    pool_each: bool,
    dropout: float,
) -> Model:
    height, width, channels = image
    trained = []
    pooled = [pool_each or place == len(filters) - 1 for place in range(len(filters))]
    for count, halve in zip(filters, pooled, strict=True):
        trained.append((_glorot(rng, 3, 3, channels, count), np.zeros(count, np.float32)))
        height, width, channels = height - 2, width - 2, count
        if halve:
            height, width = height // 2, width // 2
    sizes = (height * width * channels, *([units] if units else []), classes)
    trained += [_linear(rng, *pair) for pair in zip(sizes, sizes[1:], strict=False)]

    def halved(x: Any) -> Any:
        B, H, W, C = x.shape
        return x[:, : H // 2 * 2, : W // 2 * 2].reshape(B, H // 2, 2, W // 2, 2, C).max((2, 4))

    def apply(trained: Any, statistics: Any, x: Any, key: Any) -> Any:
        for (kernel, bias), halve in zip(trained, pooled, strict=False):
            x = jax.nn.relu(_convolve(x, kernel, padding="VALID") + bias)
            x = halved(x) if halve else x
        x = _drop(x.reshape(len(x), -1), dropout, key, 0)
        for weights in trained[len(filters) : -1]:
            x = jax.nn.relu(_affine(x, weights))
        return _affine(x, trained[-1]), statistics

    return {"trained": trained, "statistics": []}, apply


def _recurrent(
    rng: Any, vocabulary: int, length: int, width: int, units: int, classes: int, cell: str
) -> Model:
    gates = 4 if cell == "LSTM" else 3
    table = rng.uniform(-0.05, 0.05, (vocabulary, width)).astype(np.float32)
    inner = np.concatenate(
        [np.linalg.qr(rng.standard_normal((units, units)))[0] for _ in range(gates)], 1
    )
    biases = np.zeros((1 if cell == "LSTM" else 2, gates * units), np.float32)  # as in Keras
    trained = [
        table,
        _glorot(rng, width, gates * units),
        inner.astype(np.float32),
        biases,
        _linear(rng, units, classes),
    ]

    def lstm(carry: Any, given: Any, inner: Any, bias: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(given + h @ inner, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    def gru(carry: Any, given: Any, inner: Any, bias: Any) -> Any:
        (h,) = carry
        z, r, n = jnp.split(given, 3, axis=-1)
        hz, hr, hn = jnp.split(h @ inner + bias, 3, axis=-1)
        z, r = jax.nn.sigmoid(z + hz), jax.nn.sigmoid(r + hr)
        return (z * h + (1 - z) * jnp.tanh(n + r * hn),), None

    def apply(trained: Any, statistics: Any, x: Any, key: Any) -> Any:
        table, outer, inner, biases, head = trained
        given = table[x.T] @ outer + biases[0]  # (T, B, gates * units): one product for all steps
        zeros = jnp.zeros((x.shape[0], units), given.dtype)
        step, start = (lstm, (zeros, zeros)) if cell == "LSTM" else (gru, (zeros,))
        (h, *_), _ = lax.scan(
            lambda carry, given: step(carry, given, inner, biases[-1]), start, given
        )
        return _affine(h, head), statistics

    return {"trained": trained, "statistics": []}, apply


def _normalize_batch(x: Any, weights: Any, averages: Any, training: bool) -> tuple[Any, Any]:
    scale, offset = weights
    wide = x.astype(jnp.float32)
    if training:
        mean, variance = wide.mean((0, 1, 2)), wide.var((0, 1, 2))
        averages = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, averages, (mean, variance))
    else:
        mean, variance = averages
    factor = scale * lax.rsqrt(variance + 1e-5)
    return (wide * factor + (offset - mean * factor)).astype(x.dtype), averages


def _resnet_convs(
    channels: int, widths: tuple[int, ...], blocks: tuple[int, ...], bottleneck: bool
) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield each convolution in order: role, window size, channels in, channels out, stride."""
    yield ("stem", 7, channels, widths[0], 2) if bottleneck else ("stem", 3, channels, widths[0], 1)
    channels = widths[0]
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for block in range(count):
            stride = 2 if stage and not block else 1
            filters = 4 * width if bottleneck else width
            yield (
                "start" if stride == 1 and channels == filters else "shortcut",
                1,
                channels,
                filters,
                stride,
            )
            if bottleneck:
                yield ("relu", 1, channels, width, 1)
                yield ("relu", 3, width, width, stride)
                yield ("add", 1, width, filters, 1)
            else:
                yield ("relu", 3, channels, width, stride)
                yield ("add", 3, width, width, 1)
            channels = filters


def _resnet(
    rng: Any,
    image: tuple[int, ...],
    widths: tuple[int, ...],
    blocks: tuple[int, ...],
    bottleneck: bool,
    classes: int,
) -> Model:
    convs = list(_resnet_convs(image[-1], widths, blocks, bottleneck))
    trained: list[Any] = []
    statistics = []
    for role, size, inputs, filters, _ in convs:
        if role != "start":
            kernel = rng.standard_normal((size, size, inputs, filters), np.float32) * np.sqrt(
                2 / (size**2 * inputs)
            )
            trained.append((kernel, (np.ones(filters, np.float32), np.zeros(filters, np.float32))))
            statistics.append((np.zeros(filters, np.float32), np.ones(filters, np.float32)))
    trained.append(_linear(rng, convs[-1][3], classes))

    def apply(trained: Any, statistics: Any, x: Any, key: Any) -> Any:
        layers = iter(zip(trained, statistics, strict=False))
        new: list[Any] = []

        def conv(x: Any, stride: int) -> Any:
            (kernel, weights), averages = next(layers)
            x, averages = _normalize_batch(
                _convolve(x, kernel, stride), weights, averages, key is not None
            )
            new.append(averages)
            return x

        for role, _, _, _, stride in convs:
            if role in ("start", "shortcut"):
                shortcut = x if role == "start" else conv(x, stride)
                continue
            x = conv(x, stride)
            x = jax.nn.relu(x + shortcut if role == "add" else x)
            if role == "stem" and bottleneck:
                x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
        return _affine(x.mean((1, 2)), trained[-1]), new

    return {"trained": trained, "statistics": statistics}, apply


def _normalize(x: Any, weights: Any) -> Any:
    scale, offset = weights
    wide = x.astype(jnp.float32)
    mean = wide.mean(-1, keepdims=True)
    variance = jnp.square(wide - mean).mean(-1, keepdims=True)
    return ((wide - mean) * lax.rsqrt(variance + 1e-5) * scale + offset).astype(x.dtype)


def _transformer(
    rng: Any,
    vocabulary: int,
    length: int,
    width: int,
    heads: int,
    depth: int,
    classes: int = 0,
    dropout: float = 0.0,
    language: bool = False,
) -> Model:
    def norm() -> Any:
        return np.ones(width, np.float32), np.zeros(width, np.float32)

    tables = [
        0.02 * rng.standard_normal((rows, width), np.float32) for rows in (vocabulary, length)
    ]
    blocks = [
        {
            "norms": (norm(), norm()),
            "project": _linear(rng, width, 3 * width),
            "join": _linear(rng, width, width),
            "feed": (_linear(rng, width, 4 * width), _linear(rng, 4 * width, width)),
        }
        for _ in range(depth)
    ]
    head = (_glorot(rng, width, vocabulary),) if language else _linear(rng, width, classes)

    def block(x: Any, weights: Any, key: Any, number: int) -> Any:
        B, T, C = x.shape
        y = _affine(_normalize(x, weights["norms"][0]), weights["project"])
        q, k, v = (part.reshape(B, T, heads, -1) for part in jnp.split(y, 3, axis=-1))
        fused = "cudnn" if x.dtype == jnp.bfloat16 and jax.default_backend() == "gpu" else None
        y = jax.nn.dot_product_attention(q, k, v, is_causal=language, implementation=fused).reshape(
            B, T, C
        )
        x = x + _drop(_affine(y, weights["join"]), dropout, key, 2 * number + 1)
        y = _affine(_normalize(x, weights["norms"][1]), weights["feed"][0])
        y = _affine(jax.nn.gelu(y, approximate=False), weights["feed"][1])
        return x + _drop(y, dropout, key, 2 * number + 2)

    def apply(trained: Any, statistics: Any, x: Any, key: Any) -> Any:
        (tokens, positions), blocks, last, head = trained
        x = _drop(tokens[x] + positions, dropout, key, 0)
        for number, weights in enumerate(blocks):
            x = block(x, weights, key, number)
        x = _normalize(x, last)
        return (x @ head[0] if language else _affine(x.mean(1), head)), statistics

    return {"trained": [tables, blocks, norm(), head], "statistics": []}, apply


MODELS = {
    "dense": _dense,
    "conv": _conv,
    "recurrent": _recurrent,
    "resnet": _resnet,
    "transformer": _transformer,
}
