"""The same models in PyTorch, trained by a plain loop.

The data are on the device from the start, and a permutation selects the rows of each batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bench.workloads.table import ADAM, Workload

__all__ = ["Trainer"]


class Trainer:
    """A workload trained by PyTorch.

    `variant` is `eager`, `channels_last` (for convolutions) or `compile`.
    """

    def __init__(
        self, library: Any, variant: str, workload: Workload, x: np.ndarray, y: np.ndarray
    ) -> None:
        torch.manual_seed(0)
        torch.set_float32_matmul_precision("high")  # TF32 on a GPU, as XLA uses there
        self.workload = workload
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = MODELS[workload.family](**workload.sizes).to(self.device)
        self.channels_last = variant == "channels_last"
        if self.channels_last:
            model = model.to(memory_format=torch.channels_last)
        # The fused form is PyTorch's fastest Adam, on CPU too.
        betas = (ADAM["beta_1"], ADAM["beta_2"])
        self.optimizer = torch.optim.Adam(
            model.parameters(),
            lr=ADAM["learning_rate"],
            betas=betas,
            eps=ADAM["epsilon"],
            fused=True,
        )
        self.model = torch.compile(model) if variant == "compile" else model
        self.one = x[:1]
        self.x, self.y = self._inputs(x), torch.from_numpy(y).long().to(self.device)

    def _inputs(self, x: np.ndarray) -> torch.Tensor:
        """Copy rows to the device; images in PyTorch's layout, or unchanged for `channels_last`."""
        x = torch.from_numpy(x).to(self.device)
        return x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 and not self.channels_last else x

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.permute(0, 3, 1, 2) if self.channels_last else x
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.workload.precision == "bfloat16"
        ):
            return self.model(x)

    def fit(self, epochs: int, on_first_step: Callable[[], None] | None = None) -> list[float]:
        """Train, shuffled; return the mean loss of each epoch."""
        self.model.train()
        size, losses = self.workload.batch_size, []
        for _ in range(epochs):
            order = torch.randperm(len(self.x), device=self.device)
            total = torch.zeros((), device=self.device)
            for start in range(0, len(self.x), size):
                rows = order[start : start + size]
                logits = self._forward(self.x[rows]).flatten(0, -2)
                loss = F.cross_entropy(logits.float(), self.y[rows].flatten())
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                total += loss.detach()
                if on_first_step is not None:
                    loss.item()  # waits for the device
                    on_first_step()
                    on_first_step = None
            losses.append(total.item() / self.workload.steps)
        return losses

    def predictions(self) -> dict[str, Callable[[], np.ndarray]]:
        """Return the way to predict one row, from a NumPy array to a NumPy array."""
        self.model.eval()

        @torch.inference_mode()
        def predict() -> np.ndarray:
            return self._forward(self._inputs(self.one)).float().cpu().numpy()

        return {"predict": predict}


def _dense(inputs: int, hidden: tuple[int, ...], classes: int, dropout: float = 0.0) -> nn.Module:
    stack: list[nn.Module] = []
    for units in hidden:
        stack += [nn.Linear(inputs, units), nn.ReLU()]
        if dropout:
            stack.append(nn.Dropout(dropout))
        inputs = units
    return nn.Sequential(*stack, nn.Linear(inputs, classes))


def _conv(
    image: tuple[int, ...],
    filters: tuple[int, ...],
    units: int,
    classes: int,
    pool_each: bool,
    dropout: float,
) -> nn.Module:
    height, width, channels = image
    stack: list[nn.Module] = []
    for place, count in enumerate(filters):
        stack += [nn.Conv2d(channels, count, 3), nn.ReLU()]
        height, width, channels = height - 2, width - 2, count
        if pool_each or place == len(filters) - 1:
            stack.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
    stack += [nn.Flatten(), *([nn.Dropout(dropout)] if dropout else [])]
    size = height * width * channels
    if units:
        stack += [nn.Linear(size, units), nn.ReLU()]
    return nn.Sequential(*stack, nn.Linear(units or size, classes))


class _Recurrent(nn.Module):
    def __init__(
        self, vocabulary: int, length: int, width: int, units: int, classes: int, cell: str
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.cell = getattr(nn, cell)(width, units, batch_first=True)
        self.head = nn.Linear(units, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(self.embedding(x))[0][:, -1])


class _Conv(nn.Sequential):
    def __init__(
        self, channels: int, filters: int, size: int, stride: int = 1, relu: bool = True
    ) -> None:
        parts: list[nn.Module] = [
            nn.Conv2d(channels, filters, size, stride, padding=size // 2, bias=False),
            nn.BatchNorm2d(filters),
        ]
        super().__init__(*parts, *([nn.ReLU(inplace=True)] if relu else []))


class _Residual(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        self.filters = 4 * width if bottleneck else width
        if bottleneck:
            parts = [
                _Conv(channels, width, 1),
                _Conv(width, width, 3, stride),
                _Conv(width, self.filters, 1, relu=False),
            ]
        else:
            parts = [_Conv(channels, width, 3, stride), _Conv(width, width, 3, relu=False)]
        self.body = nn.Sequential(*parts)
        same = stride == 1 and channels == self.filters
        self.shortcut = (
            nn.Identity() if same else _Conv(channels, self.filters, 1, stride, relu=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


def _resnet(
    image: tuple[int, ...],
    widths: tuple[int, ...],
    blocks: tuple[int, ...],
    bottleneck: bool,
    classes: int,
) -> nn.Module:
    channels = widths[0]
    stack: list[nn.Module] = [
        _Conv(image[-1], channels, 7, 2) if bottleneck else _Conv(image[-1], channels, 3)
    ]
    if bottleneck:
        stack.append(nn.MaxPool2d(3, 2, padding=1))
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for block in range(count):
            residual = _Residual(channels, width, 2 if stage and not block else 1, bottleneck)
            stack.append(residual)
            channels = residual.filters
    return nn.Sequential(
        *stack, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, self.heads, -1).transpose(1, 2)
            for part in self.project(self.norm_1(x)).chunk(3, -1)
        )
        y = (
            F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
            .transpose(1, 2)
            .reshape(B, T, C)
        )
        x = x + self.dropout(self.join(y))
        return x + self.dropout(self.feed(self.norm_2(x)))


class _Transformer(nn.Module):
    def __init__(
        self,
        vocabulary: int,
        length: int,
        width: int,
        heads: int,
        depth: int,
        classes: int = 0,
        dropout: float = 0.0,
        language: bool = False,
    ) -> None:
        super().__init__()
        self.language = language
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(
            *[_Block(width, heads, dropout, language) for _ in range(depth)]
        )
        self.norm = nn.LayerNorm(width)
        self.head = (
            nn.Linear(width, vocabulary, bias=False) if language else nn.Linear(width, classes)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.dropout(self.tokens(x) + self.positions.weight)
        x = self.norm(self.blocks(x))
        return self.head(x if self.language else x.mean(1))


MODELS = {
    "dense": _dense,
    "conv": _conv,
    "recurrent": _Recurrent,
    "resnet": _resnet,
    "transformer": _Transformer,
}
