"""Version 2 of ResNet, whose blocks begin with activations; see `resnet`."""

from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import variant
from hornbeam.applications.resnet import resnet

__all__ = [
    "ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input",
]  # fmt: skip

ResNet50V2 = variant(resnet, "ResNet50V2", name="resnet50v2")
ResNet101V2 = variant(resnet, "ResNet101V2", name="resnet101v2")
ResNet152V2 = variant(resnet, "ResNet152V2", name="resnet152v2")
preprocess_input, decode_predictions = for_mode("tf")
