"""ResNet50, in the module where Keras 1 had it; see `resnet`."""

from hornbeam.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
