"""Adaptation of weights: quantization and low-rank adaptation (LoRA).

A layer writes its formula with the products of `hornbeam.adaptation.products`. Quantization and
low-rank adaptation put an `AdaptedWeight` into the variable's attribute `adapted`; the products
then call that object. Nothing in this package imports a layer.
"""
