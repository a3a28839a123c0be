"""VGG19, the VGG of 19 layers; see `vgg16`."""

from hornbeam.applications.network import variant
from hornbeam.applications.vgg16 import decode_predictions, preprocess_input, vgg

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]

VGG19 = variant(vgg, "VGG19", name="vgg19")
