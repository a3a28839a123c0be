"""Layers that change images, in or before a model."""

from hornbeam.layers.preprocessing.image.color import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomInvert,
    RandomPosterization,
    RandomSaturation,
    RandomSharpness,
    Solarization,
)
from hornbeam.layers.preprocessing.image.geometry import (
    RandomFlip,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from hornbeam.layers.preprocessing.image.histogram import AutoContrast, Equalization
from hornbeam.layers.preprocessing.image.sizes import CenterCrop, RandomCrop, Resizing

__all__ = [
    "AutoContrast", "CenterCrop", "Equalization", "RandomBrightness", "RandomColorDegeneration",
    "RandomColorJitter", "RandomContrast", "RandomCrop", "RandomFlip", "RandomGrayscale",
    "RandomHue", "RandomInvert", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom", "Resizing",
    "Solarization",
]  # fmt: skip
