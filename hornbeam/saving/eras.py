"""Which Keras wrote a file, and who translates what Keras 1 and 2 wrote.

This package reads what Keras 3 writes. Files of Keras 1 and 2 use other words, other orders of
weights and other shapes. `hornbeam.legacy.files` translates them. It announces itself here when
`hornbeam` is imported; nothing in `hornbeam.saving` or `hornbeam.models` imports it.
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
    """An array of a file.

    Args:
        name: Its name in the file.
        shape: Its shape.
        read: Returns its values. Takes the dtype to use where the file holds raw bytes.
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[str | None], np.ndarray]

    def changed(self, shape: Sequence[int], change: Callable[[np.ndarray], np.ndarray]) -> Saved:
        """Return the array with another shape; `change` is applied to the values when they are
        read.
        """
        return Saved(self.name, tuple(shape), lambda dtype: change(self.read(dtype)))


Pairs = list[tuple[Variable, Saved]]


@dataclasses.dataclass(frozen=True)
class Era:
    """What a file says about its writer.

    Args:
        first: Whether Keras 1 wrote it.
        backend: Keras's backend, `""` if unknown.
        old: Whether Keras 1 or 2 wrote it.
        sorted: Whether the optimizer kept the weights sorted by name, as before Keras 2.0.6.
    """

    first: bool = False
    backend: str = ""
    old: bool = False
    sorted: bool = False

    @property
    def rearranged(self) -> bool:
        """Whether the weights, and so the optimizer's state, never have today's order and
        shapes.
        """
        return self.first or self.sorted or self.backend == "theano"


class OlderFiles(Protocol):
    """Translates files of Keras 1 and 2: `hornbeam.legacy.files` has these functions and describes
    them.
    """

    def modern_model(
        self,
        config: dict[str, Any],
        version: str | None = None,
        custom_objects: CustomObjects = None,
    ) -> dict[str, Any]:
        """Return a model's configuration in Keras 3's words."""

    def modern_graph(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return a functional model's configuration with the calls of its layers in Keras 3's
        form.
        """

    def modern_name(self, name: str) -> str:
        """Return a layer's name without slashes."""

    def modern_training(self, config: Any, old: bool = False) -> dict[str, Any]:
        """Return the `training_config` of an `.h5` file as arguments of `compile_from_config`."""

    def parse_yaml(self, text: str | bytes, what: str) -> Any:
        """Return the value of a model's YAML text."""

    def looks_first(self, names: Sequence[str]) -> bool:
        """Return whether Keras 1 gave weights these names."""

    def backend_by_names(self, names: Sequence[str]) -> str:
        """Return the backend that Keras 1 used, by the names of its weights."""

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
        """Pair the variables of an optimizer with a state that follows the file's own weights."""

    def keras2_model(self, config: Any) -> Any:
        """Return a model's configuration in Keras 2's form."""

    def keras2_training(self, value: Any) -> Any:
        """Return losses and metrics of a training's configuration in Keras 2's form."""


_announced: list[OlderFiles] = []


def announce_older_files(translator: OlderFiles) -> None:
    """Let `translator` read what Keras 1 and 2 wrote, from now on."""
    _announced[:] = [translator]


def older_files() -> OlderFiles:
    """Return the translator of what Keras 1 and 2 wrote.

    Example:
        >>> older_files().modern_name("conv1/bn")
        'conv1_bn'
    """
    return _announced[0]
