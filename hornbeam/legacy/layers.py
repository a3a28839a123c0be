"""Layers by their names in Keras 1: old names of today's layers, and removed layers."""

from hornbeam.layers import Dense as TimeDistributedDense
from hornbeam.legacy.convolutions import (
    AtrousConvolution1D,
    AtrousConvolution2D,
    Convolution1D,
    Convolution2D,
    Convolution3D,
    Deconvolution2D,
    Deconvolution3D,
    SeparableConvolution1D,
    SeparableConvolution2D,
)
from hornbeam.legacy.keras1_layers import Highway, MaxoutDense, ParametricSoftplus, SReLU
from hornbeam.legacy.merge import Merge, merge

__all__ = [
    "AtrousConvolution1D",
    "AtrousConvolution2D",
    "Convolution1D",
    "Convolution2D",
    "Convolution3D",
    "Deconvolution2D",
    "Deconvolution3D",
    "Highway",
    "MaxoutDense",
    "Merge",
    "ParametricSoftplus",
    "SReLU",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "TimeDistributedDense",
    "merge",
]
