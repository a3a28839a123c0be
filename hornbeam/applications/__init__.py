"""Networks with published weights, as in `keras.applications`.

The networks are not available yet. `convnext` has the layer `LayerScale`, which files of ConvNeXt
need and `keras.layers` does not have.
"""

from hornbeam.applications import convnext

__all__ = ["convnext"]
