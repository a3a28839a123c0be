"""Stateless use of models: trees of variable values, and losses as pure functions of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hornbeam import errors, tree
from hornbeam.core.naming import nested_by_path
from hornbeam.core.variable import Overlay, Variable
from hornbeam.training.step import loss_of
from hornbeam.typing import Structure

__all__ = ["ModelState"]

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

    _Base = Trainable  # `Model` has both: the methods here use the attributes of `Trainable`
else:
    _Base = object


class ModelState(_Base):
    """Methods of `Model` that take or return the values of its variables."""

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """Return the values of all variables as nested dicts, by group and the parts of the path.

        Args:
            value_format: `"backend_tensor"` or `"numpy_array"`.

        Raises:
            ValueError: If `value_format` is another, or two variables have the same path.

        Example:
            >>> import hornbeam as hb
            >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1, name="d")], name="m")
            >>> sorted(model.get_state_tree()["trainable_variables"]["m"]["d"])
            ['bias', 'kernel']
        """
        if value_format not in ("backend_tensor", "numpy_array"):
            raise ValueError(
                f"{self._label()}: get_state_tree: `value_format` must be 'backend_tensor' or"
                f" 'numpy_array', received {value_format!r}."
            )

        def value(variable: Variable) -> Any:
            return variable.numpy() if value_format == "numpy_array" else variable.value

        return {kind: self._nested(group, value) for kind, group in self._groups().items()}

    def _groups(self) -> dict[str, list[Variable]]:
        """Return the variables by the names of the groups of a state tree."""
        return {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": self.optimizer.variables if self.optimizer else [],
            "metrics_variables": self.metrics_variables,
        }

    def _nested(self, variables: Sequence[Variable], value: Any) -> dict[str, Any]:
        """Return the values of variables as dicts, nested by the parts of the variables' paths."""
        return nested_by_path(f"{self._label()}: get_state_tree", variables, value)

    def set_state_tree(self, state_tree: dict[str, Any]) -> None:
        """Set variables from the result of `get_state_tree`.

        Args:
            state_tree: Nested dicts, or one dict by path (`"model/dense/kernel"`) per group.

        Raises:
            ValueError: If a group is unknown, or the model has no variable with one of the paths.
        """
        groups = self._groups()
        for kind, values in state_tree.items():
            if kind not in groups:
                raise errors.unknown_name("group of variables", kind, groups)
            by_path = {v.path: v for v in groups[kind]}
            for keys, value in tree.flatten_with_path(values):
                path = "/".join(keys)
                if path not in by_path:
                    raise errors.unknown_name(kind, path, by_path)
                by_path[path].assign(value)

    def jax_state_sync(self) -> None:
        """Do nothing: the variables are always up to date.

        In Keras, the training loop holds the values and this method copies them to the variables.
        """

    def stateless_compute_loss(
        self, trainable_variables: Sequence[Any], non_trainable_variables: Sequence[Any],
        metrics_variables: Sequence[Any], x: Structure = None, y: Structure = None,
        y_pred: Structure = None, sample_weight: Structure = None, training: bool = True,
    ) -> tuple[Any, tuple[list[Any], ...]]:  # fmt: skip
        """Return the result of `compute_loss` for given values of the variables, without effects.

        Args:
            trainable_variables, non_trainable_variables, metrics_variables: Values, in the order of
                the model's lists.
            x, y, y_pred, sample_weight, training: As for `compute_loss`.

        Returns:
            The loss and the updated values: (trainable, non-trainable, metrics).

        Raises:
            ValueError: If a list has the wrong length.
        """
        given = (trainable_variables, non_trainable_variables, metrics_variables)
        with self._with_values("stateless_compute_loss", *given) as values:
            loss = loss_of(self, x, y, y_pred, sample_weight, training)
            return loss, values()

    def compute_loss_and_updates(
        self, trainable_variables: Sequence[Any], non_trainable_variables: Sequence[Any],
        metrics_variables: Sequence[Any], x: Structure, y: Structure, sample_weight: Structure,
        training: bool = False, optimizer_variables: Sequence[Any] | None = None,
    ) -> tuple[Any, tuple[Any, ...]]:  # fmt: skip
        """Return the loss of a batch and updates; a pure function for `jax.value_and_grad`.

        Use it with `has_aux=True`.

        Args:
            trainable_variables, non_trainable_variables, metrics_variables: Values, in the order of
                the model's lists.
            x, y, sample_weight: The batch.
            training: Whether the model runs in training mode.
            optimizer_variables: Values of the optimizer's variables. If they are given and
                `training` is true, the optimizer's loss scaling is applied.

        Returns:
            The loss to differentiate, and a tuple (unscaled loss, outputs, non-trainable values,
            metric values).

        Raises:
            ValueError: If a list has the wrong length.

        Example:
            >>> import hornbeam as hb, jax, numpy as np
            >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1, use_bias=False)])
            >>> model.compile("sgd", "mse")
            >>> values = [v.value for v in model.trainable_variables]
            >>> metrics = [v.value for v in model.metrics_variables]
            >>> function = jax.grad(model.compute_loss_and_updates, has_aux=True)
            >>> x, y = np.ones((2, 3)), np.ones((2, 1))
            >>> gradients, _ = function(values, [], metrics, x, y, None)
            >>> gradients[0].shape
            (3, 1)
        """
        given = (trainable_variables, non_trainable_variables, metrics_variables)
        with self._with_values("compute_loss_and_updates", *given, optimizer_variables) as values:
            y_pred = self(x, training=training)
            loss = loss_of(self, x, y, y_pred, sample_weight, training)
            scaled = loss
            if training and optimizer_variables is not None:
                scaled = self.optimizer.scale_loss(loss)
            return scaled, (loss, y_pred, *values()[1:])

    @contextmanager
    def _with_values(
        self, method: str, trainable: Sequence[Any], others: Sequence[Any], metrics: Sequence[Any],
        optimizer: Sequence[Any] | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """Set the variables to these values inside the block.

        Yields a function that returns the current values of the first three groups.
        """
        groups = {
            "trainable_variables": (self.trainable_variables, trainable),
            "non_trainable_variables": (self.non_trainable_variables, others),
            "metrics_variables": (self.metrics_variables, metrics),
        }
        shown = list(groups)
        if optimizer is not None:
            groups["optimizer_variables"] = (self.optimizer.variables, optimizer)
        for name, (own, values) in groups.items():
            if len(own) != len(values):
                raise ValueError(
                    f"{self._label()}: {method} expected {len(own)} values in `{name}`, received"
                    f" {len(values)}."
                )
        variables = [v for own, _ in groups.values() for v in own]
        values = [
            v.value if isinstance(v, Variable) else v for _, given in groups.values() for v in given
        ]
        with Overlay(variables, values) as overlay:
            yield lambda: tuple([overlay.value_of(v) for v in groups[name][0]] for name in shown)
