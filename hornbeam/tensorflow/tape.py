"""`tf.GradientTape`: gradients of what code computes while a tape is open."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import errors, tree
from hornbeam.core.convert import convert
from hornbeam.core.records import is_differentiable
from hornbeam.core.tape import Tape
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.typing import Structure, Tensor

__all__ = ["GradientTape", "UnconnectedGradients"]


class UnconnectedGradients(enum.Enum):
    """What the gradient is where the target does not depend on the source."""

    NONE = "none"
    ZERO = "zero"


class GradientTape:
    """Records what code computes, so that it can be differentiated.

    Args:
        persistent: Whether more than one gradient can be computed. Default: False.
        watch_accessed_variables: Whether it follows each trainable variable that is read. Default:
            True.

    Example:
        >>> x = jnp.asarray(3.0)
        >>> with GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x * x
        >>> float(tape.gradient(y, x))
        6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        self._persistent = persistent
        self._tape = Tape(watch_accessed_variables)
        self._is_used = False

    def __enter__(self) -> GradientTape:
        if self._tape.is_open:
            raise ValueError(
                "GradientTape: it records already. Make a new one for the inner block."
            )
        if not self._persistent:
            self._tape.clear()
            self._is_used = False
        self._tape.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self._tape.close()

    def watch(self, tensor: Structure) -> None:
        """Follow a tensor or variable, or a structure of them.

        Raises:
            ValueError: If one of them is neither a tensor nor a variable.
        """
        for x in tree.flatten(tensor):
            if isinstance(x, KerasTensor):
                raise ValueError(
                    f"GradientTape.watch: {x!r} is symbolic and has no value. Watch arrays, and"
                    " call the model on them inside the block."
                )
            if not isinstance(x, (jax.Array, Variable)):
                raise ValueError(
                    "GradientTape.watch: expected a tensor or a variable, received"
                    f" {errors.describe(x)}. Convert it first by `tf.convert_to_tensor`."
                )
            if not jnp.issubdtype(x.dtype, jnp.inexact):
                warnings.warn(
                    f"GradientTape.watch: the tensor of dtype {x.dtype} has no gradient. Cast it to"
                    " a floating-point dtype first.",
                    stacklevel=2,
                )
                continue
            self._tape.watch(x)

    def watched_variables(self) -> tuple[Variable, ...]:
        """Return the variables that it follows, in the order of their first reading."""
        return tuple(self._tape.variables)

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Record nothing in a block.

        Raises:
            ValueError: If it does not record.
        """
        if not self._tape.is_open:
            raise ValueError(
                "GradientTape.stop_recording: the tape does not record. Call it inside the tape's"
                " `with` block."
            )
        self._tape.close()
        try:
            yield
        finally:
            self._tape.open()

    def reset(self) -> None:
        """Forget everything recorded so far."""
        self._tape.clear()
        self._is_used = False

    def gradient(
        self,
        target: Structure,
        sources: Structure,
        output_gradients: Structure = None,
        unconnected_gradients: UnconnectedGradients | str = UnconnectedGradients.NONE,
    ) -> Structure:
        """Return the gradient of the sum of `target`.

        Args:
            target: Tensor or structure of tensors.
            sources: Tensors and variables, in any structure.
            output_gradients: Weights of the targets' elements, one tensor per target. Default: 1.
            unconnected_gradients: `"none"` or `"zero"`: the gradient where no target depends on a
                source.

        Returns:
            A structure like `sources`.

        Raises:
            RuntimeError: If the tape is not persistent and was used before.
        """
        self._use()
        targets = [x for x in map(_as_target, tree.flatten(target)) if x is not None]
        given: list[Any] = [None] * len(targets)
        if output_gradients is not None:
            given = tree.flatten(output_gradients)
        seeds = [
            jnp.ones_like(x) if g is None else convert(g, x.dtype)
            for x, g in zip(targets, given, strict=True)
        ]
        flat = tree.flatten(sources)
        found = self._tape.pull_back(targets, seeds, flat)
        found = [_in_form(g, x, unconnected_gradients) for g, x in zip(found, flat, strict=True)]
        return tree.pack_sequence_as(sources, found)

    def jacobian(
        self,
        target: Tensor,
        sources: Structure,
        unconnected_gradients: UnconnectedGradients | str = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Structure:
        """Return the derivative of each element of `target` by each element of the sources.

        Args:
            target: Tensor.
            sources: Tensors and variables, in any structure.
            unconnected_gradients: As for `gradient`.
            parallel_iterations: No effect; all rows are computed at once.
            experimental_use_pfor: Whether to compute all rows at once, rather than one by one.

        Returns:
            A structure like `sources` of tensors of the shape `target.shape + source.shape`.
        """
        self._use()
        flat = tree.flatten(sources)
        rows = jnp.eye(target.size, dtype=target.dtype).reshape(-1, *target.shape)
        found = self._rows(target, rows, flat, experimental_use_pfor)
        results = [
            _in_form(g, x, unconnected_gradients, target.shape)
            if g is None else g.reshape(*target.shape, *x.shape)
            for g, x in zip(found, flat, strict=True)
        ]  # fmt: skip
        return tree.pack_sequence_as(sources, results)

    def batch_jacobian(
        self,
        target: Tensor,
        source: Tensor,
        unconnected_gradients: UnconnectedGradients | str = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Tensor:
        """Return the Jacobian of each row of `target` by the same row of `source`.

        Args:
            target: Tensor of shape `(B, ...)`.
            source: Tensor of shape `(B, ...)`.
            unconnected_gradients: As for `gradient`.
            parallel_iterations: No effect.
            experimental_use_pfor: As for `jacobian`.

        Returns:
            A tensor of shape `(B, *target.shape[1:], *source.shape[1:])`.

        Raises:
            ValueError: If the numbers of rows differ.
        """
        if not target.ndim or not source.ndim or target.shape[0] != source.shape[0]:
            raise ValueError(
                "GradientTape.batch_jacobian: target and source must have the same number of rows,"
                f" received shapes {target.shape} and {source.shape}."
            )
        self._use()
        size = target[0].size
        rows = jnp.eye(size, dtype=target.dtype).reshape(size, 1, *target.shape[1:])
        rows = jnp.broadcast_to(rows, (size, *target.shape))
        (found,) = self._rows(target, rows, [source], experimental_use_pfor)
        if found is None:
            return _in_form(None, source, unconnected_gradients, target.shape)
        return jnp.moveaxis(found, 0, 1).reshape(*target.shape, *source.shape[1:])

    def _rows(self, target: Any, rows: Any, sources: list[Any], at_once: bool) -> list[Any]:
        connected: list[bool] = []

        def pull(row: Any) -> list[Any]:
            found = self._tape.pull_back([target], [row], sources)
            connected[:] = [g is not None for g in found]
            return [g for g in found if g is not None]

        if at_once:
            columns = jax.vmap(pull)(rows)
        else:
            columns = [jnp.stack(column) for column in zip(*map(pull, rows), strict=True)]
        remaining = iter(columns)
        return [next(remaining) if flag else None for flag in connected]

    def _use(self) -> None:
        if self._is_used and not self._persistent:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of gradients (or"
                " jacobians). Make it with `persistent=True` for more."
            )
        self._is_used = True
        if not self._persistent:
            self._tape.close()


def _as_target(x: Any) -> Any:
    """Return a target as an array; `None` if it cannot have a gradient."""
    if isinstance(x, Variable):
        x = x.value
    if x is None or not is_differentiable(x):
        return None
    return x


def _in_form(gradient: Any, source: Any, unconnected: Any, outer: tuple[int, ...] = ()) -> Any:
    if gradient is not None:
        return gradient
    if UnconnectedGradients(unconnected) is UnconnectedGradients.NONE:
        return None
    return jnp.zeros((*outer, *source.shape), source.dtype)
