"""`K.get_session` of Keras 1 and 2, as far as a session means something here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hornbeam import errors, tree
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.legacy.backend_graphs import function

__all__ = ["Session", "get_graph", "get_session", "set_session"]


_MOST_FUNCTIONS = 64


class Graph:
    """What `session.graph` and `K.get_graph()` return: there is one graph, which needs no care."""

    def as_default(self) -> Graph:
        """Return the graph, for `with graph.as_default():`."""
        return self

    def finalize(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *error: Any) -> None:
        """Do nothing."""


class Session:
    """Computes symbolic tensors from values of others.

    Args:
        target, graph, config: Without effect.

    Example:
        >>> import hornbeam as hb
        >>> x = hb.Input((2,))
        >>> Session().run(2 * x, {x: np.ones((1, 2))}).tolist()
        [[2.0, 2.0]]
    """

    def __init__(self, target: str = "", graph: Any = None, config: Any = None):
        self.graph = Graph() if graph is None else graph
        # With the tensors, whose `id`s are the keys.
        self._functions: dict[tuple[int, ...], tuple[list[Any], list[Any], Any]] = {}

    def run(
        self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None, options: Any = None,
        run_metadata: Any = None,
    ) -> Any:  # fmt: skip
        """Return values as NumPy arrays.

        Args:
            fetches: A symbolic tensor, a variable, an array, `None` (for operations that initialize
                variables, which need none here), or a structure of these.
            feed_dict: Values of the symbolic tensors from which `fetches` are computed. The phase
                of learning, `K.learning_phase()`, may be among them.
            options, run_metadata: Without effect.

        Raises:
            TypeError: If a fetch is none of these.
        """
        feeds = dict(feed_dict or {})
        for x in tree.flatten(fetches):
            if not (x is None or isinstance(x, (KerasTensor, Variable)) or hasattr(x, "shape")):
                raise TypeError(
                    f"Session.run: expected symbolic tensors or variables, received"
                    f" {errors.describe(x)}. There are no other operations: models run directly."
                )
        symbolic = [x for x in tree.flatten(fetches) if isinstance(x, KerasTensor)]
        computed = iter(
            self._function(list(feeds), symbolic)(list(feeds.values())) if symbolic else ()
        )

        def value(x: Any) -> Any:
            if x is None:
                return None
            return next(computed) if isinstance(x, KerasTensor) else np.array(x)

        return tree.map_structure(value, fetches)

    def _function(self, inputs: list[Any], outputs: list[Any]) -> Any:
        """Return the compiled function, which is kept, because a script runs it many times."""
        key = tuple(map(id, [*inputs, None, *outputs]))
        if key not in self._functions:
            if len(self._functions) >= _MOST_FUNCTIONS:
                self._functions.clear()
            self._functions[key] = (inputs, outputs, function(inputs, outputs))
        return self._functions[key][2]

    def as_default(self) -> Session:
        """Return the session, for `with session.as_default():`."""
        return self

    def list_devices(self) -> list[Any]:
        """Return an empty list; `jax.devices()` lists the devices."""
        return []

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: Any) -> None:
        """Do nothing."""


_session = [Session()]


def get_session(op_input_list: Any = ()) -> Any:
    """Return the session that `set_session` set."""
    return _session[0]


def set_session(session: Any) -> None:
    """Make `get_session` return this session."""
    _session[0] = session


def get_graph() -> Graph:
    """Return the graph."""
    return Graph()
