"""Quantization of whole models: selection of layers, and calibration block by block."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from hornbeam import errors
from hornbeam.adaptation.equation import Equation
from hornbeam.adaptation.integers import Calibrated
from hornbeam.adaptation.weights import AdaptedWeight, LowRank
from hornbeam.core.variable import Overlay
from hornbeam.layers.layer import Layer
from hornbeam.layers.state import flatten_layers, label_of
from hornbeam.quantizers import calibration
from hornbeam.quantizers.configs import AWQConfig, GPTQConfig, QuantizationConfig, find_config

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["quantize_model"]


def quantize_model(
    model: Model,
    mode: str | None,
    config: QuantizationConfig | None,
    filters: str | Sequence[str] | Callable[[Layer], bool] | None,
    type_check: bool,
) -> None:
    """Quantize the layers of a model; see `Model.quantize`.

    Args:
        model: A built model.
        mode, config, filters: As for `Model.quantize`.
        type_check: Whether to skip subclasses of layers, with a warning.

    Raises:
        ValueError: If the model is not built, a layer is already quantized, or the arguments
            specify no valid mode.
    """
    config = find_config(label_of(model), mode, config)
    wanted = _filter(filters)
    if not model.built:
        raise ValueError(
            f"{label_of(model)}: `quantize` needs a built model. Build it or call it on data first."
        )
    if isinstance(config, (GPTQConfig, AWQConfig)):
        done = _calibrate(*_structure(model, config), config, wanted, type_check)
    else:
        done = [
            layer
            for layer in _quantizable(model, config.mode, wanted)
            if _try(layer, config, type_check)
        ]
    if not done:
        warnings.warn(
            f"{label_of(model)}: no layer was quantized: no layer that supports the mode"
            f" {config.mode!r} passes the filters.",
            stacklevel=3,
        )


def _filter(filters: Any) -> Callable[[Layer], bool]:
    """Return a function that returns whether a layer passes the filters."""
    if filters is None:
        return lambda layer: True
    if callable(filters):
        return filters
    patterns = [filters] if isinstance(filters, str) else filters
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(p, str) for p in patterns):
        raise ValueError(
            "quantize: `filters` must be a regular expression, a list of them, or a function of a"
            f" layer, received {errors.describe(filters)}."
        )
    compiled = [re.compile(pattern) for pattern in patterns]
    return lambda layer: any(p.search(layer.name) or p.search(layer.path) for p in compiled)


def _quantizable(part: Layer, mode: str, wanted: Callable[[Layer], bool]) -> list[Layer]:
    """Return the layers of `part` that support the mode and pass the filters."""
    return [
        layer
        for layer in flatten_layers(part)
        if mode in layer._quantization_modes and wanted(layer)
    ]


def _try(layer: Layer, config: QuantizationConfig, type_check: bool) -> bool:
    """Quantize a layer and return True; if it refuses, warn and return False."""
    try:
        layer.quantize(config=config, type_check=type_check)
    except NotImplementedError as error:
        warnings.warn(str(error), stacklevel=4)
        return False
    return True


# --- calibration --------------------------------------------------------------------------------


_CalibratedConfig = GPTQConfig | AWQConfig


def _structure(model: Any, config: _CalibratedConfig) -> tuple[list[Layer], list[Layer]]:
    """Return the layers before the first block, and the blocks."""
    structure = config.quantization_layer_structure or model.get_quantization_layer_structure(
        config.mode
    )
    if not isinstance(structure, dict) or not {"pre_block_layers", "sequential_blocks"} <= set(
        structure
    ):
        raise ValueError(
            f"{label_of(model)}: the mode {config.mode!r} needs the order of the layers as a dict"
            f" of 'pre_block_layers' and 'sequential_blocks', received {structure!r}. Pass"
            " `quantization_layer_structure={'pre_block_layers': [...], 'sequential_blocks':"
            " [...]}` to the config, or override `get_quantization_layer_structure`."
        )
    return list(structure["pre_block_layers"]), list(structure["sequential_blocks"])


def _calibrate(
    before: list[Layer], blocks: list[Layer], config: _CalibratedConfig,
    wanted: Callable[[Layer], bool], type_check: bool,
) -> list[Layer]:  # fmt: skip
    """Quantize the layers block by block, calibrating on outputs of the quantized blocks before."""
    hidden: list[Any] = _samples(config)
    for layer in before:
        hidden = [layer(x) for x in hidden]
    done: list[Layer] = []
    for block in blocks:
        layers = _quantizable(block, config.mode, wanted)
        recorders = [_Recorder(layer) for layer in layers]
        try:
            with Overlay():  # disables compilation, so the recorders see concrete values
                for x in hidden:
                    block(x)
        finally:
            for recorder in recorders:
                recorder.remove()
        for layer, recorder in zip(layers, recorders, strict=True):
            if recorder.count and _try(layer, config, type_check):
                weight = recorder.calibrated_weight()
                weight.assign(weight.chosen(**recorder.rounded(config)))
                done.append(layer)
        hidden = [block(x) for x in hidden]
    return done


class _Recorder(AdaptedWeight):
    """Computes the products with a weight and accumulates statistics of their inputs.

    Args:
        layer: A layer with a weight that can be quantized. The recorder computes its products until
            `remove` is called.
    """

    def __init__(self, layer: Layer):
        self._layer = layer
        self._layout = layer._weight_layouts()[0]
        super().__init__(getattr(layer, self._layout.name))
        self._before: AdaptedWeight | None = self.variable.adapted
        self._weights = np.asarray(self._layout.equation.matrix(self.floats()), "float64")
        rows = self._weights.shape[0]
        self.moments, self.magnitudes, self.count = np.zeros((rows, rows)), np.zeros(rows), 0
        self.variable.adapted = self

    def multiply(
        self, equation: Equation, x: jax.Array, training: bool = False, cast: bool = False
    ) -> jax.Array:
        rows = np.asarray(equation.rows_of(x, self.shape), "float64")
        self.moments += rows.T @ rows
        self.magnitudes += np.abs(rows).sum(0)
        self.count += rows.shape[0]
        if self._before is not None:
            return self._before.multiply(equation, x, training, cast)
        return super().multiply(equation, x, training, cast)

    def remove(self) -> None:
        """Restore the layer."""
        self.variable.adapted = self._before

    def calibrated_weight(self) -> Calibrated:
        """Return the quantized layer's weight, without the LoRA term if it has one."""
        weight = getattr(self._layer, self._layout.name).adapted
        held = weight.frozen if isinstance(weight, LowRank) else weight
        assert isinstance(held, Calibrated)
        return held

    def rounded(self, config: _CalibratedConfig) -> dict[str, Any]:
        """Return the result of GPTQ or AWQ for the weight, as arguments of `Calibrated.chosen`."""
        if isinstance(config, GPTQConfig):
            integers, scale, zero, index = calibration.gptq(
                self._weights, self.moments, config.weight_bits, config.group_size,
                config.symmetric, config.hessian_damping, config.activation_order,
                config.per_channel,
            )  # fmt: skip
            return {"integers": integers, "scale": scale, "zero": zero, "index": index}
        integers, scale, zero, factors = calibration.awq(
            self._weights, self.moments, self.magnitudes / self.count, config.weight_bits,
            config.group_size, config.num_grid_points,
        )  # fmt: skip
        return {"integers": integers, "scale": scale, "zero": zero, "input_scales": factors}


def _samples(config: _CalibratedConfig) -> list[np.ndarray]:
    """Return `num_samples` sequences (1, sequence_length) that are evenly spaced in the data.

    Raises:
        ValueError: If the dataset is missing or empty, or holds strings without a tokenizer.
    """
    name = type(config).__name__
    if config.dataset is None or isinstance(config.dataset, str):
        raise ValueError(
            f"{name}: `dataset` must be an iterable of token arrays or strings, received"
            f" {config.dataset!r}."
        )
    texts = [_tokens(item, config) for item in config.dataset]
    if not texts:
        raise ValueError(f"{name}: `dataset` is empty.")
    if texts[0].dtype.kind == "f":  # features, not tokens: used unchanged
        return texts[: config.num_samples]
    stream = np.concatenate([text.reshape(-1) for text in texts])
    length = config.sequence_length
    stream = np.tile(stream, -(-length // stream.size)) if stream.size < length else stream
    starts = np.linspace(0, stream.size - length, config.num_samples).round().astype(int)
    return [stream[None, start : start + length] for start in starts]


def _tokens(item: Any, config: _CalibratedConfig) -> np.ndarray:
    if isinstance(item, str):
        if config.tokenizer is None:
            raise ValueError(
                f"{type(config).__name__}: `dataset` holds strings, so it needs a `tokenizer`."
            )
        item = getattr(config.tokenizer, "tokenize", config.tokenizer)(item)
    return np.asarray(item)
