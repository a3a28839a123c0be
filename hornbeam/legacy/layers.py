"""Layers that Keras 1 had, for scripts: those of its files, and `TimeDistributedDense`, which `Dense` has become."""

from hornbeam.layers import Dense as TimeDistributedDense
from hornbeam.saving.legacy_classes import Highway, MaxoutDense, ParametricSoftplus, SReLU

__all__ = ["Highway", "MaxoutDense", "ParametricSoftplus", "SReLU", "TimeDistributedDense"]
