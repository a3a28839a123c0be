"""Functions that quantize a layer's weights or add a low-rank term to a frozen weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hornbeam.adaptation.float8 import Float8
from hornbeam.adaptation.integers import Calibrated, Int4Grouped, Int4PerChannel, PerChannel
from hornbeam.adaptation.weights import AdaptedWeight, Layout, LowRank
from hornbeam.core import naming
from hornbeam.dtype_policies import DTypePolicy
from hornbeam.quantizers.configs import QuantizationConfig
from hornbeam.typing import Identifier

if TYPE_CHECKING:
    from hornbeam.layers.layer import Layer

__all__ = ["add_low_rank", "hold"]


def hold(
    layer: Layer, layouts: Sequence[Layout], policy: DTypePolicy, config: QuantizationConfig | None
) -> None:
    """Quantize weights of a layer; a low-rank term is kept.

    Args:
        layer: The layer, built.
        layouts: Layouts of the weights to quantize.
        policy: The quantized dtype policy that the layer will have.
        config: A `QuantizationConfig`, or `None` for the mode's default quantizers.

    Raises:
        ValueError: If the quantizer's scales do not fit a product.

    Example:
        >>> from hornbeam.dtype_policies import quantized_policy
        >>> from hornbeam.layers import Dense
        >>> layer = Dense(3)
        >>> layer.build((None, 8))
        >>> hold(layer, layer._weight_layouts(), quantized_policy("int8"), None)
        >>> type(layer.kernel.adapted).__name__
        'PerChannel'
    """
    weights = [_weight(layer, layout, policy, config) for layout in layouts]
    with naming.name_scope(layer.path) if not naming.current_path() else naming.no_scope():
        for layout, weight in zip(layouts, weights, strict=True):
            before = getattr(layer, layout.name).adapted
            weight.hold()
            after = LowRank(weight, layer) if isinstance(before, LowRank) else weight
            getattr(layer, layout.name).adapted = after


def _weight(layer: Any, layout: Layout, policy: Any, config: Any) -> Any:
    """Return the adapted weight for the policy's mode, without its variables."""
    mode = policy.quantization_mode
    if mode == "float8":
        return Float8(layer, layout, policy)
    if mode == "int4":
        cls: Any = Int4Grouped if getattr(policy, "block_size", -1) > 0 else Int4PerChannel
    else:
        cls = {"int8": PerChannel, "gptq": Calibrated, "awq": Calibrated}[mode]
    return cls(layer, layout, policy, config)


def add_low_rank(
    layer: Layer, name: str, rank: int, a_initializer: Identifier, b_initializer: Identifier
) -> None:
    """Freeze a weight W and add the trainable term `(lora_alpha / lora_rank) * A @ B`.

    The layer gets the variables `lora_NAME_a` of shape (*W.shape[:-1], rank) and `lora_NAME_b` of
    shape (rank, W.shape[-1]).

    Args:
        layer: The layer, built, with the numbers `lora_alpha` and `lora_rank`.
        name: Attribute of the weight.
        rank: Number of columns of A and rows of B.
        a_initializer, b_initializer: Initializers of A and B.
    """
    variable = getattr(layer, name)
    frozen = variable.adapted or AdaptedWeight(variable)
    *inputs, outputs = frozen.shape
    # The regularizer of the weight, which is frozen now, penalizes what is trained in its place.
    penalty = getattr(layer, f"{name}_regularizer", None)
    factors = {
        f"lora_{name}_a": ((*inputs, rank), a_initializer),
        f"lora_{name}_b": ((rank, outputs), b_initializer),
    }
    for factor, (shape, initializer) in factors.items():
        weight = layer.add_weight(
            name=factor, shape=shape, initializer=initializer, regularizer=penalty
        )
        setattr(layer, factor, weight)
    variable.trainable = False
    variable.adapted = LowRank(frozen, layer)
