"""Learning rates of parts of a model: factors by patterns of variables' paths."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hornbeam import errors
from hornbeam.core.loading import refuse_slow_pattern
from hornbeam.core.variable import Variable

__all__ = ["RatesByPath", "check_matches"]


class RatesByPath:
    """The part of `Optimizer` that gives variables learning rates of their own."""

    _factor: float | None = None  # that of the variable whose update is under way

    @property
    def learning_rates(self) -> dict[str, float]:
        """Factors of the learning rate by pattern; empty if there are none. It can be set."""
        own = self.__dict__.get("_factors", {})
        return dict(own or next((o.learning_rates for o in self._inner() if o.learning_rates), {}))

    @learning_rates.setter
    def learning_rates(self, factors: Mapping[str, float] | None) -> None:
        self.__dict__["_factors"] = _checked(type(self).__name__, factors or {})
        for optimizer in self._inner() if factors is not None else ():
            optimizer.learning_rates = factors

    def _inner(self) -> list[Any]:
        """Return the optimizers inside this one, which do the updates."""
        return []

    def _factor_of(self, variable: Variable) -> float:
        """Return the factor of a variable's learning rate."""
        for pattern, factor in self.__dict__.get("_factors", {}).items():
            if re.search(pattern, variable.path):
                return factor
        return 1.0

    def _rate_for(self, variable: Variable, rate: Any) -> Any:
        """Return the learning rate, or the step, of one variable from that of all."""
        factor = self._factor_of(variable)
        return rate if factor == 1.0 else rate * factor

    @contextlib.contextmanager
    def _factor_applied(self, variable: Variable) -> Iterator[None]:
        """Let `learning_rate` be the variable's own, for an own rule that reads it there."""
        factor = self._factor_of(variable)
        self.__dict__["_factor"] = None if factor == 1.0 else factor
        try:
            yield
        finally:
            self.__dict__["_factor"] = None


def _checked(label: str, factors: Any) -> dict[str, float]:
    if not isinstance(factors, Mapping):
        raise TypeError(
            f"{label}: `learning_rates` must be a dict of factors by pattern, such as"
            f" {{'backbone': 0.1}}, received {errors.describe(factors)}."
        )
    found = {}
    for pattern, factor in factors.items():
        number = isinstance(factor, (int, float)) and not isinstance(factor, bool)
        if not isinstance(pattern, str) or not number or not 0 <= factor < float("inf"):
            raise ValueError(
                f"{label}: `learning_rates` must have a pattern and a factor that is at least 0,"
                f" such as {{'backbone': 0.1}}, received {{{pattern!r}: {factor!r}}}."
            )
        refuse_slow_pattern(f"{label}: `learning_rates`", pattern)
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"{label}: `learning_rates`: {pattern!r} is not a regular expression: {error}."
                f" To find it literally, pass {re.escape(pattern)!r}."
            ) from None
        found[pattern] = float(factor)
    return found


def check_matches(label: str, factors: Mapping[str, float], variables: Iterable[Variable]) -> None:
    """Raise `ValueError` if a pattern is found in the path of no variable.

    Args:
        label: Function, for the error message.
        factors: The factors by pattern.
        variables: All variables of the model.
    """
    paths = [v.path for v in variables]
    for pattern in factors:
        if not any(re.search(pattern, path) for path in paths):
            shown = [*paths[:3], *paths[-2:]] if len(paths) > 5 else paths
            raise ValueError(
                f"{label}: `learning_rates` has the pattern {pattern!r}, which is found in no path"
                f" of a variable. Paths are such as {errors.listed(shown)}."
            )
