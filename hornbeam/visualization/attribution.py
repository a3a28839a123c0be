"""What a model sees: the outputs of its layers, and which parts of an input a result depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import errors
from hornbeam.models import Model
from hornbeam.typing import Tensor
from hornbeam.visualization.gallery import channels_last

__all__ = ["draw_heatmaps", "feature_maps", "grad_cam", "integrated_gradients"]


def feature_maps(
    model: Model, x: Any, layers: Sequence[str] | str | None = None
) -> dict[str, np.ndarray]:
    """Return the outputs of layers for an input.

    Args:
        model: A functional or sequential model.
        x: Its inputs.
        layers: Names of layers. Default: all whose output is an image (B, H, W, C).

    Returns:
        Arrays by the layers' names.

    Raises:
        ValueError: If the model is not a graph of layers, or a name is unknown.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((8, 8, 3)), hb.layers.Conv2D(2, 3, name="a")])
        >>> feature_maps(model, np.zeros((1, 8, 8, 3)))["a"].shape
        (1, 6, 6, 2)
    """
    graph: Any = model
    outputs = _outputs("feature_maps", model)
    if layers is None:
        names = [name for name, tensor in outputs.items() if len(tensor.shape) == 4]
    else:
        names = [layers] if isinstance(layers, str) else list(layers)
    for name in names:
        if name not in outputs:
            raise errors.unknown_name("layer", name, list(outputs))
    if not names:
        raise ValueError(
            f"feature_maps: no layer of model '{model.name}' has images (B, H, W, C) as its output."
            " Name the layers."
        )
    found = Model(graph.inputs, [outputs[name] for name in names]).predict(x, verbose=0)
    return dict(zip(names, found if isinstance(found, list) else [found], strict=True))


def grad_cam(
    model: Model, x: Any, classes: Any = None, layer: str | None = None, resize: bool = True
) -> np.ndarray:
    """Return which regions of images the score of a class depends on.

    Selvaraju and others 2017, "Grad-CAM: visual explanations from deep networks via gradient-based
    localization": the channels of a layer, weighted by the means of their gradients.

    Args:
        model: A functional or sequential model whose output is scores (B, classes). Scores before
            the softmax show more.
        x: Images (B, H, W, C).
        classes: The class for each image, or one for all. Default: the one with the highest score.
        layer: Name of the layer. Default: the last one whose output is an image.
        resize: Whether the maps get the images' size. Otherwise they have the layer's.

    Returns:
        Maps (B, H, W) with numbers from 0 to 1.

    Raises:
        ValueError: If the model is not such a graph, or a name is unknown.

    Example:
        >>> import hornbeam as hb
        >>> layers = [hb.layers.Conv2D(2, 3), hb.layers.Flatten(), hb.layers.Dense(3)]
        >>> model = hb.Sequential([hb.Input((8, 8, 3)), *layers])
        >>> grad_cam(model, np.ones((2, 8, 8, 3))).shape
        (2, 8, 8)
    """
    graph: Any = model
    outputs = _outputs("grad_cam", model)
    if layer is None:
        images = [name for name, tensor in outputs.items() if len(tensor.shape) == 4]
        inputs = {id(tensor) for tensor in graph.inputs}
        images = [name for name in images if id(outputs[name]) not in inputs]
        if not images:
            raise ValueError(
                f"grad_cam: no layer of model '{model.name}' has images (B, H, W, C) as its output."
                " Use `integrated_gradients`, which needs none."
            )
        layer = images[-1]
    elif layer not in outputs:
        raise errors.unknown_name("layer", layer, list(outputs))
    below, above = Model(graph.inputs, outputs[layer]), Model(outputs[layer], graph.outputs[0])
    maps = jnp.asarray(below.predict(x, verbose=0))
    chosen = _classes("grad_cam", above(maps), classes)
    gradients = jax.grad(lambda a: _scores(above, a, chosen).sum())(maps)
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    heat = jnp.maximum((weights * maps).sum(axis=-1), 0)
    heat = heat / jnp.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-12)
    if resize:
        heat = jax.image.resize(heat, (len(heat), *np.shape(x)[1:3]), "linear")
    return np.asarray(heat)


def integrated_gradients(
    model: Model, x: Any, classes: Any = None, baseline: Any = None, steps: int = 50
) -> np.ndarray:
    """Return how much each number of an input adds to the score of a class.

    Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep networks": the gradients along
    the straight line from a baseline to the input. Their sum is about the score's difference.

    Args:
        model: A model with one input, whose output is scores (B, classes) or (B, 1).
        x: The input, a batch.
        classes: The class for each row, or one for all. Default: the one with the highest score.
        baseline: An input without content, like a row of `x` or like `x`. Default: zeros.
        steps: Number of points on the line. More are more exact.

    Returns:
        An array of the shape of `x`.

    Raises:
        ValueError: If `steps` is below 1, or a class does not exist.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2, kernel_initializer="ones")])
        >>> integrated_gradients(model, np.array([[1.0, 2.0, 3.0]]), classes=0).round(4).tolist()
        [[1.0, 2.0, 3.0]]
    """
    if steps < 1:
        raise ValueError(f"integrated_gradients: `steps` must be 1 or more, received {steps!r}.")
    given = jnp.asarray(x, "float32")
    start = jnp.zeros_like(given) if baseline is None else jnp.broadcast_to(
        jnp.asarray(baseline, "float32"), given.shape
    )  # fmt: skip
    chosen = _classes("integrated_gradients", model(given, training=False), classes)

    @jax.jit
    def at(share: Tensor) -> Tensor:
        point = start + share * (given - start)
        return jax.grad(lambda a: _scores(model, a, chosen).sum())(point)

    # The middles of equal parts of the line.
    total = sum(at(jnp.float32((step + 0.5) / steps)) for step in range(steps))
    return np.asarray((given - start) * total / steps)


def draw_heatmaps(
    images: Any, heatmaps: Any, alpha: float = 0.5, data_format: str | None = None
) -> np.ndarray:
    """Draw maps of numbers over images, from blue for the lowest to red for the highest.

    Args:
        images: Images (B, H, W, C) with values from 0 to 255.
        heatmaps: Maps (B, H, W), such as those of `grad_cam`, or attributions (B, H, W, C), whose
            absolute values are added over channels.
        alpha: Opacity of the maps, from 0 to 1.
        data_format: Axes of `images`. Default: `config.image_data_format()`.

    Returns:
        Images (B, H, W, 3), dtype `uint8`, for `plot_image_gallery`.

    Raises:
        ValueError: If shapes do not fit.

    Example:
        >>> draw_heatmaps(np.zeros((1, 4, 4, 3)), np.eye(4)[None], alpha=1.0)[0, 0, :2].tolist()
        [[255, 0, 0], [0, 0, 255]]
    """
    pictures = channels_last("draw_heatmaps", images, data_format).astype("float32")
    heat = np.asarray(heatmaps, "float32")
    heat = np.abs(heat).sum(axis=-1) if heat.ndim == 4 else heat
    if heat.shape != pictures.shape[:3]:
        raise ValueError(
            f"draw_heatmaps: `heatmaps` must have the shape {pictures.shape[:3]} of the images,"
            f" received {np.shape(heatmaps)}."
        )
    low, high = heat.min((1, 2), keepdims=True), heat.max((1, 2), keepdims=True)
    level = (heat - low) / np.maximum(high - low, 1e-12)
    # Blue, cyan, green, yellow, red.
    colors = 255 * np.stack(
        [np.clip(4 * level - 2, 0, 1), np.clip(2 - np.abs(4 * level - 2), 0, 1),
         np.clip(2 - 4 * level, 0, 1)], axis=-1,
    )  # fmt: skip
    return np.clip(pictures[..., :3] * (1 - alpha) + colors * alpha, 0, 255).astype("uint8")


def _outputs(function: str, model: Any) -> dict[str, Any]:
    """Return the symbolic outputs of a model's layers by name."""
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"{function}: model '{model.name}' is not a graph of layers. Pass a functional or"
            " sequential model that is built."
        )
    found = {}
    for layer in model.layers:
        output = getattr(layer, "output", None)
        if hasattr(output, "shape"):
            found[layer.name] = output
    return found


def _classes(function: str, scores: Tensor, classes: Any) -> Tensor:
    """Return the chosen class of each row."""
    if scores.ndim != 2:
        raise ValueError(
            f"{function}: the model's output must be scores (B, classes), received the shape"
            f" {scores.shape}."
        )
    if classes is None:
        return jnp.argmax(scores, axis=-1)
    chosen = np.broadcast_to(np.asarray(classes), (len(scores),))
    if chosen.min() < 0 or chosen.max() >= scores.shape[1]:
        raise ValueError(
            f"{function}: `classes` must be from 0 to {scores.shape[1] - 1}, received {classes!r}."
        )
    return jnp.asarray(chosen)


def _scores(model: Any, x: Tensor, classes: Tensor) -> Tensor:
    scores = model(x, training=False)
    return jnp.take_along_axis(scores, classes[:, None], axis=1)
