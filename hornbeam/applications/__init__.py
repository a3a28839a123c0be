"""Networks with published weights, as in `keras.applications`.

The networks themselves are yet to come: each will be a table of stages over shared blocks, in a
file for its family. So far there is what files of such networks need and `keras.layers` does not
have: ConvNeXt's `LayerScale` in `convnext`.
"""

from hornbeam.applications import convnext

__all__ = ["convnext"]
