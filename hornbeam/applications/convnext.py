"""ConvNeXt (Liu et al. 2022): the layer of its files that `keras.layers` does not have."""

from __future__ import annotations

from typing import Any

from hornbeam.initializers import Constant
from hornbeam.layers.arguments import positive_integer
from hornbeam.layers.layer import Layer
from hornbeam.objects.family import Family
from hornbeam.typing import Shapes, Tensor

__all__ = ["LayerScale"]


class LayerScale(Layer):
    """Multiplies each channel by a learned factor, which starts small (Touvron et al. 2021).

    Args:
        init_values: Initial value of all factors.
        projection_dim: Number of channels.

    Raises:
        ValueError: If `projection_dim` is not a positive integer.

    Weights: `gamma` of shape (projection_dim,).

    Example:
        >>> import numpy as np
        >>> LayerScale(0.5, 2)(np.ones((1, 2)))
        Array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = positive_integer("LayerScale", "projection_dim", projection_dim)

    def build(self, input_shape: Shapes = None) -> None:
        self.gamma = self.add_weight(
            name="gamma",
            shape=(self.projection_dim,),
            initializer=Constant(self.init_values),
            trainable=True,
        )

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * self.gamma.value


APPLICATION_LAYERS = Family(
    "layer of an application",
    Layer,
    "keras.src.applications.convnext",
    globals(),
    takes_functions=False,
)
