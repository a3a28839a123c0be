"""The workloads: sizes, batch, steps, precision. All library families use the same row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["ADAM", "WORKLOADS", "Workload", "find"]

# All libraries train all workloads by Adam on the mean cross-entropy of class numbers and logits.
ADAM = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}


@dataclass(frozen=True)
class Workload:
    """A model, its data and the length of its training; `ADAM` holds the optimizer's settings.

    Attributes:
        name: Name on the command line.
        title: Name in the tables.
        family: `dense`, `conv`, `recurrent`, `resnet` or `transformer`; selects the function that
            builds it.
        sizes: Arguments of these functions.
        batch_size: Rows per step.
        steps: Steps per epoch; the data have exactly `steps * batch_size` rows.
        epochs: Epochs of one timed `fit`.
        precision: `float32`, or `bfloat16` for mixed precision (the weights are float32).
        device: `cpu` if runs on both devices measure it, `gpu` if only runs on a GPU do.
        flops: Floating-point operations of one training step, for model FLOP utilisation. With
            `None` it is not reported.
    """

    name: str
    title: str
    family: str
    sizes: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 32
    steps: int = 100
    epochs: int = 1
    precision: str = "float32"
    device: str = "cpu"
    flops: float | None = None

    @property
    def rows(self) -> int:
        """Number of rows of data."""
        return self.steps * self.batch_size

    def quick(self) -> Workload:
        """Return the same model with few steps, to check that everything works."""
        return replace(self, steps=max(2, min(self.steps // 10, 20)), epochs=1)


def _resnet_flops(image: int, batch: int) -> float:
    """Return the operations of a training step of ResNet-50.

    The forward pass takes 4.09e9 multiply-adds for an image of 224 x 224, the backward pass twice
    as many.
    """
    return 3 * 2 * 4.09e9 * (image / 224) ** 2 * batch


def _transformer_flops(vocabulary: int, length: int, width: int, depth: int, batch: int) -> float:
    """Return the operations of a training step of a causal transformer.

    They are 6 per weight and token, and those of attention's two products (Chowdhery et al. 2022,
    appendix B).
    """
    weights = depth * 12 * width**2 + vocabulary * width
    return (6 * weights + 12 * depth * width * length) * length * batch


_RESNET_20 = {
    "image": (32, 32, 3),
    "widths": (16, 32, 64),
    "blocks": (3, 3, 3),
    "bottleneck": False,
    "classes": 10,
}
_RESNET_50 = {
    "image": (224, 224, 3),
    "widths": (64, 128, 256, 512),
    "blocks": (3, 4, 6, 3),
    "bottleneck": True,
    "classes": 1000,
}
_DIGITS = {"image": (28, 28, 1), "filters": (32, 64), "classes": 10}
_WORDS = {"vocabulary": 20_000, "length": 80, "width": 128, "units": 128, "classes": 2}
_SMALL = {
    "vocabulary": 8_000,
    "length": 64,
    "width": 128,
    "heads": 4,
    "depth": 2,
    "classes": 10,
    "dropout": 0.1,
}
_GPT_2 = {
    "vocabulary": 50_257,
    "length": 1024,
    "width": 768,
    "heads": 12,
    "depth": 12,
    "language": True,
}

WORKLOADS = {
    row.name: row
    for row in (
        Workload(
            "tiny",
            "MLP 20-64-64-10, b32",
            "dense",
            {"inputs": 20, "hidden": (64, 64), "classes": 10},
            32,
            1000,
            3,
        ),
        Workload(
            "mlp",
            "MLP 784-512-512-10, dropout, b128",
            "dense",
            {"inputs": 784, "hidden": (512, 512), "classes": 10, "dropout": 0.2},
            128,
            100,
            2,
        ),
        Workload(
            "cnn",
            "MNIST CNN 32-64, b128",
            "conv",
            {**_DIGITS, "pool_each": True, "units": 0, "dropout": 0.5},
            128,
            100,
        ),
        Workload(
            "cnn-unpooled",
            "MNIST CNN 32-64, pooled once, b128",
            "conv",
            {**_DIGITS, "pool_each": False, "units": 128, "dropout": 0.0},
            128,
            40,
        ),
        Workload(
            "lstm",
            "Embedding + LSTM 128, T 80, b32",
            "recurrent",
            {**_WORDS, "cell": "LSTM"},
            32,
            40,
        ),
        Workload(
            "gru", "Embedding + GRU 128, T 80, b32", "recurrent", {**_WORDS, "cell": "GRU"}, 32, 40
        ),
        Workload("resnet20", "ResNet-20, 32x32, BN, b128", "resnet", _RESNET_20, 128, 8),
        Workload("transformer", "Transformer 2x128, T 64, b32", "transformer", _SMALL, 32, 40),
        Workload(
            "resnet50",
            "ResNet-50, 224x224, b128, bf16",
            "resnet",
            _RESNET_50,
            128,
            8,
            8,
            precision="bfloat16",
            device="gpu",
            flops=_resnet_flops(224, 128),
        ),
        Workload(
            "gpt2",
            "GPT-2 size, T 1024, b8, bf16",
            "transformer",
            _GPT_2,
            8,
            16,
            2,
            precision="bfloat16",
            device="gpu",
            flops=_transformer_flops(50_257, 1024, 768, 12, 8),
        ),
    )
}


def find(names: list[str], device: str) -> list[Workload]:
    """Return the workloads of these names, or all workloads of `device` if there are none."""
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise SystemExit(
            f"No workload is named {', '.join(unknown)}. Workloads: {', '.join(WORKLOADS)}."
        )
    if not names:
        return [row for row in WORKLOADS.values() if device == "gpu" or row.device == "cpu"]
    return [WORKLOADS[name] for name in names]
