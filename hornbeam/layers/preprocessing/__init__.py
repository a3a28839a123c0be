"""Layers that prepare data, either before a model or as part of it."""

from hornbeam.layers.preprocessing.image import (
    AutoContrast,
    CenterCrop,
    Equalization,
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomGrayscale,
    RandomHue,
    RandomInvert,
    RandomPosterization,
    RandomRotation,
    RandomSaturation,
    RandomSharpness,
    RandomShear,
    RandomTranslation,
    RandomZoom,
    Resizing,
    Solarization,
)
from hornbeam.layers.preprocessing.normalization import Normalization
from hornbeam.layers.preprocessing.pipeline import Pipeline
from hornbeam.layers.preprocessing.rescaling import Rescaling

__all__ = [
    "AutoContrast", "CenterCrop", "Equalization", "Normalization", "Pipeline",
    "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomCrop", "RandomFlip", "RandomGrayscale", "RandomHue", "RandomInvert",
    "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness",
    "RandomShear", "RandomTranslation", "RandomZoom", "Rescaling", "Resizing", "Solarization",
]  # fmt: skip
