"""Quantization of whole models: which layers, and calibration block by block."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from hornbeam import errors
from hornbeam.core.variable import Overlay
from hornbeam.layers.layer import Layer
from hornbeam.layers.quantized import Quantizable
from hornbeam.layers.state import flatten_layers, label_of
from hornbeam.quantizers import calibration
from hornbeam.quantizers.configs import AWQConfig, GPTQConfig, find_config
from hornbeam.quantizers.schemes import Scheme

__all__ = ["quantize_model"]


def quantize_model(model: Any, mode: Any, config: Any, filters: Any, type_check: bool) -> None:
    """Quantize the layers of a model; see `Model.quantize`."""
    config = find_config(label_of(model), mode, config)
    wanted = _filter(filters)
    if not model.built:
        raise ValueError(f"{label_of(model)}: build the model, or call it on data, before `quantize`.")
    calibrated = isinstance(config, (GPTQConfig, AWQConfig))
    blocks = _structure(model, config) if calibrated else None
    done: list[Layer] = []
    if blocks is not None:
        done = _calibrate(*blocks, config, wanted, type_check)
    else:
        for layer in _quantizable(model, config.mode, wanted):
            if _try(layer, config, type_check):
                done.append(layer)
    if not done:
        warnings.warn(
            f"{label_of(model)}: no layer was quantized: none that has the mode {config.mode!r} passes the filters.",
            stacklevel=3,
        )


def _filter(filters: Any) -> Callable[[Layer], bool]:
    """Return whether a layer is meant."""
    if filters is None:
        return lambda layer: True
    if callable(filters):
        return filters
    patterns = [filters] if isinstance(filters, str) else filters
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(p, str) for p in patterns):
        raise ValueError(
            "quantize: `filters` must be a regular expression, a list of them, or a function of a layer, received "
            f"{errors.describe(filters)}."
        )
    compiled = [re.compile(pattern) for pattern in patterns]
    return lambda layer: any(p.search(layer.name) or p.search(layer.path) for p in compiled)


def _quantizable(part: Layer, mode: str, wanted: Callable[[Layer], bool]) -> list[Any]:
    below = flatten_layers(part)
    return [layer for layer in below if isinstance(layer, Quantizable) and mode in layer._modes and wanted(layer)]


def _try(layer: Any, config: Any, type_check: bool) -> bool:
    """Quantize a layer; one that refuses is left as it is, with a warning."""
    try:
        layer.quantize(config=config, type_check=type_check)
    except NotImplementedError as error:
        warnings.warn(str(error), stacklevel=4)
        return False
    return True


# --- calibration ------------------------------------------------------------------------------------


def _structure(model: Any, config: Any) -> tuple[list[Layer], list[Layer]]:
    """Return the layers before the first block, and the blocks."""
    structure = config.quantization_layer_structure or model.get_quantization_layer_structure(config.mode)
    if not isinstance(structure, dict) or not {"pre_block_layers", "sequential_blocks"} <= set(structure):
        raise ValueError(
            f"{label_of(model)}: the mode {config.mode!r} needs to know the order of the layers. Pass "
            "`quantization_layer_structure={'pre_block_layers': [...], 'sequential_blocks': [...]}` to the config, or "
            f"override `get_quantization_layer_structure`. Received {structure!r}."
        )
    return list(structure["pre_block_layers"]), list(structure["sequential_blocks"])


def _calibrate(
    before: list[Layer], blocks: list[Layer], config: Any, wanted: Callable[[Layer], bool], type_check: bool
) -> list[Layer]:
    """Round the layers of each block by the inputs that the rounded blocks before it give them."""
    hidden = _samples(config)
    for layer in before:
        hidden = [layer(x) for x in hidden]
    done = []
    for block in blocks:
        layers = _quantizable(block, config.mode, wanted)
        recorders = [_Recorder(layer) for layer in layers]
        try:
            with Overlay():  # a model is then not compiled, so that the recorders see its values
                for x in hidden:
                    block(x)
        finally:
            for recorder in recorders:
                recorder.remove()
        for layer, recorder in zip(layers, recorders, strict=True):
            weights = np.asarray(recorder.held.product.matrix(recorder.weight()), "float64")
            if recorder.count and _try(layer, config, type_check):
                scheme = layer._schemes[recorder.held.name]
                scheme.assign(scheme.calibrated(**recorder.rounded(weights, config)))
                done.append(layer)
        hidden = [block(x) for x in hidden]
    return done


class _Recorder(Scheme):
    """Stands in a layer's place for its scheme, multiplies as the layer does, and sums up what its inputs are like."""

    def __init__(self, layer: Any):
        held = layer._held()[0]
        super().__init__(layer, held)
        rows = int(np.prod([self.shape[axis] for axis in held.product.summed_axes]))
        self.moments, self.magnitudes, self.count = np.zeros((rows, rows)), np.zeros(rows), 0
        layer._schemes = {held.name: self}

    def multiply(self, inputs: Any, training: bool = False) -> Any:
        x = np.asarray(self.held.product.rows_of(inputs, self.shape), "float64")
        self.moments += x.T @ x
        self.magnitudes += np.abs(x).sum(0)
        self.count += x.shape[0]
        return super().multiply(inputs, training)

    def remove(self) -> None:
        """Leave the layer as it was."""
        self.layer._schemes = {}

    def rounded(self, weights: np.ndarray, config: Any) -> dict[str, Any]:
        """Return what GPTQ or AWQ chooses for `weights`."""
        if config.mode == "gptq":
            integers, scale, zero, index = calibration.gptq(
                weights, self.moments, config.weight_bits, config.group_size, config.symmetric, config.hessian_damping,
                config.activation_order, config.per_channel,
            )  # fmt: skip
            return {"integers": integers, "scale": scale, "zero": zero, "index": index}
        integers, scale, zero, factors = calibration.awq(
            weights, self.moments, self.magnitudes / self.count, config.weight_bits, config.group_size,
            config.num_grid_points,
        )  # fmt: skip
        return {"integers": integers, "scale": scale, "zero": zero, "input_scales": factors}


def _samples(config: Any) -> list[np.ndarray]:
    """Return the inputs to calibrate with: `num_samples` sequences, evenly spread over the data."""
    name = type(config).__name__
    if config.dataset is None or isinstance(config.dataset, str):
        raise ValueError(
            f"{name}: `dataset` must be an iterable of token arrays or strings, received {config.dataset!r}."
        )
    texts = [_tokens(item, config) for item in config.dataset]
    if not texts:
        raise ValueError(f"{name}: `dataset` is empty.")
    if texts[0].dtype.kind == "f":  # features rather than tokens: taken as they are
        return texts[: config.num_samples]
    stream = np.concatenate([text.reshape(-1) for text in texts])
    length = config.sequence_length
    stream = np.tile(stream, -(-length // stream.size)) if stream.size < length else stream
    starts = np.linspace(0, stream.size - length, config.num_samples).round().astype(int)
    return [stream[None, start : start + length] for start in starts]


def _tokens(item: Any, config: Any) -> np.ndarray:
    if isinstance(item, str):
        if config.tokenizer is None:
            raise ValueError(f"{type(config).__name__}: `dataset` holds strings, so it needs a `tokenizer`.")
        item = getattr(config.tokenizer, "tokenize", config.tokenizer)(item)
    return np.asarray(item)
