"""Keras's scopes: variables with given values, the symbolic stage, and devices."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import errors
from hornbeam.core.variable import Overlay, Variable
from hornbeam.typing import Tensor

__all__ = ["StatelessScope", "SymbolicScope", "device", "in_symbolic_scope"]

_symbolic: ContextVar[bool] = ContextVar("hornbeam_symbolic_scope", default=False)


class StatelessScope:
    """A scope in which variables have given values and assignments are kept apart.

    Args:
        state_mapping: Pairs of a variable and its value, of the same shape.
        collect_losses: Whether losses that layers add by `add_loss` are kept in `losses`.
        initialize_variables: Part of Keras's signature. A variable made inside gets its first value
            at once.

    Raises:
        ValueError: If a key is no variable, or a value has another shape.

    Example:
        >>> counter = Variable(0.0)
        >>> with StatelessScope([(counter, 5.0)]) as scope:
        ...     _ = counter.assign_add(1.0)
        >>> float(scope.get_current_value(counter)), float(counter.value)
        (6.0, 0.0)
    """

    def __init__(
        self,
        state_mapping: Iterable[tuple[Variable, Any]] | None = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ):
        self.collect_losses, self.initialize_variables = collect_losses, initialize_variables
        self._added: list[Any] = []
        self._known: dict[Variable, None] = {}
        values = []
        for variable, value in state_mapping or ():
            if not isinstance(variable, Variable):
                raise ValueError(
                    "StatelessScope: `state_mapping` takes pairs of a variable and its value,"
                    f" received {errors.describe(variable)} as a variable."
                )
            array = jnp.asarray(value, variable.dtype)
            if array.shape != variable.shape:
                raise ValueError(
                    f"StatelessScope: the value of variable '{variable.path}' must have shape"
                    f" {variable.shape}, received {array.shape}."
                )
            self._known[variable] = None
            values.append(array)
        self._overlay = Overlay(self._known, values)

    def __enter__(self) -> StatelessScope:
        self._overlay.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._overlay.__exit__(*exc)

    @property
    def state_mapping(self) -> dict[int, Any]:
        """The given and assigned values, by the `id` of the variable."""
        return {id(v): self._overlay.value_of(v) for v in [*self._known, *self._overlay.assigned]}

    @property
    def losses(self) -> list[Any]:
        """The losses added by `add_loss`, of this scope and of layers."""
        added = [value for _, value in self._overlay.losses] if self.collect_losses else []
        return [*self._added, *added]

    def add_loss(self, loss: Tensor) -> None:
        """Add a loss."""
        self._added.append(loss)

    def add_update(self, update: tuple[Variable, Any]) -> None:
        """Set the value of a variable inside the scope: `(variable, value)`."""
        variable, value = update
        self._overlay.assign(variable, jnp.asarray(value, variable.dtype))

    def get_current_value(self, variable: Variable) -> Tensor:
        """Return the given or assigned value of a variable, or `None`."""
        known = variable in self._known or variable in self._overlay.assigned
        return self._overlay.value_of(variable) if known else None


class SymbolicScope:
    """A mark for code that runs only for shape inference, read by `in_symbolic_scope()`.

    It does not change ops or variables.

    Example:
        >>> with SymbolicScope():
        ...     in_symbolic_scope()
        True
    """

    def __enter__(self) -> SymbolicScope:
        self._token = _symbolic.set(True)
        return self

    def __exit__(self, *exc: object) -> None:
        _symbolic.reset(self._token)


def in_symbolic_scope() -> bool:
    """Return whether a `SymbolicScope` is open in this context."""
    return _symbolic.get()


def device(device_name: Any) -> AbstractContextManager[Any]:
    """Return a context whose arrays are made, and functions run, on a device.

    Args:
        device_name: Such as `"cpu:0"`, `"gpu:1"` or `"tpu"` (its first), or a `jax.Device`.

    Raises:
        ValueError: If it names no device.
        RuntimeError: If there is no such platform here.

    Example:
        >>> with device("cpu:0"):
        ...     jax.numpy.ones(2).device.platform
        'cpu'
    """
    if isinstance(device_name, jax.Device):
        return jax.default_device(device_name)
    if not isinstance(device_name, str) or not device_name:
        raise ValueError(
            "device: `device_name` must be a string such as 'gpu:0' or a jax.Device, received"
            f" {device_name!r}."
        )
    platform, _, number = (
        device_name.lower().removeprefix("/").removeprefix("device:").partition(":")
    )
    known = sorted({d.platform for d in jax.devices()} | {"cpu"})
    try:
        devices = jax.devices(platform)
    except RuntimeError:
        raise RuntimeError(
            f"device: no platform '{platform}' here, only {errors.listed(known)}."
        ) from None
    if not (number or "0").isdigit() or int(number or 0) >= len(devices):
        raise ValueError(
            f"device: there is no '{device_name}'; there are"
            f" {', '.join(f'{platform}:{i}' for i in range(len(devices)))}."
        )
    return jax.default_device(devices[int(number or 0)])
