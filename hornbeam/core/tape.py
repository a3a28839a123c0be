"""Gradient tapes: what code computes while a tape is open can be differentiated afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hornbeam.core.records import Record, is_differentiable
from hornbeam.core.tape_trace import TapeTrace, close_trace, open_trace
from hornbeam.core.variable import Variable

__all__ = ["Tape"]


class Tape:
    """Records the operations on the values that it follows.

    Values are told apart by the objects, so the tape keeps each one that it follows.

    Args:
        watches_variables: Whether it follows the trainable variables that are read.

    Attributes:
        values: The values that it follows, by `id`.

    Example:
        >>> import jax.numpy as jnp
        >>> tape, x = Tape(), jnp.asarray(3.0)
        >>> with tape.recording():
        ...     tape.watch(x)
        ...     y = x * x
        >>> [float(g) for g in tape.pull_back([y], [jnp.asarray(1.0)], [x])]
        [6.0]
    """

    def __init__(self, watches_variables: bool = True):
        self.watches_variables = watches_variables
        self._trace: TapeTrace | None = None
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.values: dict[int, Any] = {}
        self._records: list[Record] = []
        # The values of each variable that were read, and the variable of each of these.
        self._reads: dict[Variable, list[Any]] = {}
        self._owners: dict[int, Variable] = {}

    @property
    def is_open(self) -> bool:
        """Whether it records."""
        return self._trace is not None

    @property
    def variables(self) -> list[Variable]:
        """The variables that it follows."""
        return list(self._reads)

    def open(self) -> None:
        """Start to record the operations of this thread."""
        self._trace = open_trace(self)

    def close(self) -> None:
        """Stop to record."""
        if self._trace is not None:
            close_trace(self._trace, self)
            self._trace = None

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record in a block."""
        self.open()
        try:
            yield
        finally:
            self.close()

    def watch(self, value: Any) -> None:
        """Follow an array, or a variable from its next reading on."""
        if isinstance(value, Variable):
            self._reads.setdefault(value, [])
        else:
            self.values[id(value)] = value

    def add(self, record: Record) -> None:
        """Keep a record, and follow its results."""
        self._records.append(record)
        for x in (*record.outputs, *record.residuals):
            self.values[id(x)] = x

    def is_foreign(self, variable: Variable, value: Any) -> bool:
        """Return whether a variable's value is followed as something else."""
        return id(value) in self.values and self._owners.get(id(value)) is not variable

    def read(self, variable: Variable, value: Any) -> None:
        """Take note that `value` was read from a variable."""
        if id(value) in self._owners or not is_differentiable(value):
            return
        if variable in self._reads or (self.watches_variables and variable.trainable):
            self._reads.setdefault(variable, []).append(value)
            self._owners[id(value)] = variable
            self.values[id(value)] = value

    def pull_back(
        self, targets: Sequence[Any], cotangents: Sequence[Any], sources: Sequence[Any]
    ) -> list[Any]:
        """Return the cotangents of the sources; `None` where no target depends on them.

        Args:
            targets: Arrays.
            cotangents: One per target.
            sources: Arrays and variables.
        """
        arrays = [self._reads.get(s, []) if isinstance(s, Variable) else [s] for s in sources]
        wanted = {id(a) for row in arrays for a in row}
        sums: dict[int, Any] = {}
        for target, cotangent in zip(targets, cotangents, strict=True):
            _add(sums, target, cotangent)
        for record, positions in reversed(self._path(wanted)):
            outs = [sums.get(id(x)) for x in record.outputs]
            inner = [sums.get(id(x)) for x in record.residuals]
            if all(c is None for c in (*outs, *inner)):
                continue
            for x in (*record.outputs, *record.residuals):
                if id(x) not in wanted:
                    sums.pop(id(x), None)
            for i, c in zip(positions, record.pull(positions, outs, inner), strict=True):
                _add(sums, record.args[i], c)
        found = [[sums[id(a)] for a in row if id(a) in sums] for row in arrays]
        return [sum(row[1:], row[0]) if row else None for row in found]

    def _path(self, wanted: set[int]) -> list[tuple[Record, tuple[int, ...]]]:
        """Return the records that depend on the wanted values, with the positions that do."""
        reached = set(wanted)
        path = []
        for record in self._records:
            positions = tuple(i for i in record.positions if id(record.args[i]) in reached)
            if positions:
                reached.update(id(x) for x in (*record.outputs, *record.residuals))
                path.append((record, positions))
        return path


def _add(sums: dict[int, Any], value: Any, cotangent: Any) -> None:
    known = sums.get(id(value))
    sums[id(value)] = cotangent if known is None else known + cotangent
