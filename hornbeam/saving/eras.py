"""The version of Keras that wrote a file, and the interface to the translator of old files.

This package reads files of Keras 3. Files of Keras 1 and 2 use other names, other orders of weights
and other shapes. `hornbeam.legacy.files` translates them. It registers itself here when `hornbeam`
is imported. Nothing in `hornbeam.saving` or `hornbeam.models` imports it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from hornbeam.core.variable import Variable
from hornbeam.layers.layer import Layer
from hornbeam.optimizers.optimizer import Optimizer
from hornbeam.typing import CustomObjects

__all__ = ["Era", "OlderFiles", "Pairs", "Saved", "announce_older_files", "older_files"]


@dataclasses.dataclass
class Saved:
    """An array in a file.

    Args:
        name: Its name in the file.
        shape: Its shape.
        read: Function that returns its values. Takes the dtype to use if the file holds raw bytes.
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[str | None], np.ndarray]

    def changed(self, shape: Sequence[int], change: Callable[[np.ndarray], np.ndarray]) -> Saved:
        """Return the array with a new shape; its values are passed to `change` when read."""
        return Saved(self.name, tuple(shape), lambda dtype: change(self.read(dtype)))


Pairs = list[tuple[Variable, Saved]]


@dataclasses.dataclass(frozen=True)
class Era:
    """The version of Keras that wrote a file.

    Args:
        first: Whether Keras 1 wrote it.
        backend: Keras's backend, `""` if unknown.
        old: Whether Keras 1 or 2 wrote it.
        sorted: Whether the optimizer's state follows the weights sorted by name, as before Keras
            2.0.6.
    """

    first: bool = False
    backend: str = ""
    old: bool = False
    sorted: bool = False

    @property
    def rearranged(self) -> bool:
        """Whether the order and shapes of weights and optimizer state differ from Keras 3."""
        return self.first or self.sorted or self.backend == "theano"


class OlderFiles(Protocol):
    """Functions that translate files of Keras 1 and 2; see `hornbeam.legacy.files`."""

    def modern_model(
        self,
        config: dict[str, Any],
        version: str | None = None,
        custom_objects: CustomObjects = None,
    ) -> dict[str, Any]:
        """Return a model's configuration in Keras 3's format."""

    def modern_graph(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return a functional model's configuration with layer calls in Keras 3's format."""

    def modern_name(self, name: str) -> str:
        """Return a layer's name without slashes."""

    def modern_training(self, config: Any, old: bool = False) -> dict[str, Any]:
        """Return the `training_config` of an `.h5` file as arguments of `compile_from_config`."""

    def parse_yaml(self, text: str | bytes, what: str) -> Any:
        """Return the configuration in a model's YAML text."""

    def looks_first(self, names: Sequence[str]) -> bool:
        """Return whether these are names of weights from Keras 1."""

    def backend_by_names(self, names: Sequence[str]) -> str:
        """Return the backend of Keras 1, recognised by the names of the weights."""

    def arrange(self, layer: Layer, arrays: list[Saved], era: Era) -> Pairs | None:
        """Pair the variables of a layer with the arrays that a file has for it."""

    def match_optimizer(
        self, optimizer: Optimizer, arrays: list[Saved], by_weight: bool = False
    ) -> Pairs | None:
        """Pair the variables of an optimizer with its saved state."""

    def state_by_weights(
        self,
        optimizer: Optimizer,
        arrays: list[Saved],
        layers: list[tuple[Any, list[Saved]]],
        era: Era,
    ) -> Pairs | None:
        """Pair the variables of an optimizer with a state in the order of the file's weights."""

    def keras2_model(self, config: Any) -> Any:
        """Return a model's configuration in Keras 2's format."""

    def keras2_training(self, value: Any) -> Any:
        """Return losses and metrics of a training configuration in Keras 2's format."""


_announced: list[OlderFiles] = []


def announce_older_files(translator: OlderFiles) -> None:
    """Register `translator` as the translator for files of Keras 1 and 2."""
    _announced[:] = [translator]


def older_files() -> OlderFiles:
    """Return the translator for files of Keras 1 and 2.

    Example:
        >>> older_files().modern_name("conv1/bn")
        'conv1_bn'
    """
    return _announced[0]
