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
from hornbeam.layers.preprocessing.image.distortion import (
    RandomElasticTransform,
    RandomErasing,
    RandomGaussianBlur,
    RandomPerspective,
)
from hornbeam.layers.preprocessing.image.geometry import (
    RandomFlip,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from hornbeam.layers.preprocessing.image.histogram import (
    AutoContrast,
    ContrastLimitedAdaptiveHistogramEqualization,
    Equalization,
)
from hornbeam.layers.preprocessing.image.mixing import CutMix, MaxNumBoundingBoxes, MixUp
from hornbeam.layers.preprocessing.image.policies import AugMix, RandAugment
from hornbeam.layers.preprocessing.image.sizes import CenterCrop, RandomCrop, Resizing

__all__ = [
    "AugMix", "AutoContrast", "CenterCrop",
    "ContrastLimitedAdaptiveHistogramEqualization", "CutMix", "Equalization", "MaxNumBoundingBoxes",
    "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter",
    "RandomContrast", "RandomCrop", "RandomElasticTransform", "RandomErasing", "RandomFlip",
    "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective",
    "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness",
    "RandomShear", "RandomTranslation", "RandomZoom", "Resizing", "Solarization",
]  # fmt: skip
