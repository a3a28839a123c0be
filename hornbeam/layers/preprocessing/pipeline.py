"""Layer that applies other layers in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hornbeam import errors
from hornbeam.layers.layer import Layer
from hornbeam.typing import Structure, Tensor

__all__ = ["Pipeline"]


class Pipeline(Layer):
    """Applies preprocessing layers in order, to images or to a dictionary of images and labels.

    Args:
        layers: The layers.
        name: Name of the layer. Default: `"pipeline"`, numbered.

    Input: as for the first layer. Output: as for the last layer. As in Keras.

    Raises:
        ValueError: If `layers` is not a list of layers.

    Example:
        >>> import hornbeam as hb
        >>> prepare = hb.layers.Pipeline([
        ...     hb.layers.RandomFlip("horizontal"), hb.layers.Rescaling(1 / 255)
        ... ])
        >>> prepare(hb.ops.full((2, 8, 8, 3), 255.0))[0, 0, 0].tolist()
        [1.0, 1.0, 1.0]
    """

    def __init__(self, layers: Sequence[Layer], name: str | None = None, **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.layers = list(layers) if isinstance(layers, (list, tuple)) else layers
        if not isinstance(layers, (list, tuple)) or not all(isinstance(x, Layer) for x in layers):
            raise ValueError(
                f"Pipeline: `layers` must be a list of layers, received {errors.describe(layers)}."
            )

    def call(
        self, inputs: Structure, training: bool | None = True, mask: Tensor | None = None
    ) -> Structure:
        for layer in self.layers:
            inputs = layer(inputs, training=training)
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # Keras's constructor accepts only these arguments.
        return {key: config[key] for key in ("layers", "name")}

    def get_build_config(self) -> dict[str, Any] | None:
        """Return `None`, because each inner layer's configuration has its build configuration."""
        return None
