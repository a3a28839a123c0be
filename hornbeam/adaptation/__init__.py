"""Adaptation of weights: quantization and low-rank adaptation (LoRA).

Layers compute with the functions of `hornbeam.adaptation.products`. Quantization and low-rank
adaptation set the attribute `adapted` of a variable to an `AdaptedWeight`, which these functions
then call. Nothing in this package imports a layer.
"""
