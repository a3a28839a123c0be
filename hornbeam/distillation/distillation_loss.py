"""Losses between the outputs of a teacher and a student."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, Self

import jax
import jax.numpy as jnp

from hornbeam import errors, losses, tree
from hornbeam.core.convert import convert
from hornbeam.objects.configuration import deserialize, serialize
from hornbeam.typing import Structure, Tensor

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["DistillationLoss", "FeatureDistillation", "LogitsDistillation"]


class DistillationLoss:
    """Base class of distillation losses. Subclasses implement `compute_loss`.

    Example:
        >>> class LargestGap(DistillationLoss):
        ...     def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        ...         return jnp.max(jnp.abs(teacher_outputs - student_outputs))
        >>> float(LargestGap().compute_loss(jnp.zeros((2, 1)), jnp.ones((2, 1))))
        1.0
    """

    def compute_loss(
        self, teacher_outputs: Structure, student_outputs: Structure, **kwargs: Any
    ) -> Tensor:
        """Compute the loss between the outputs of the teacher and the student.

        Args:
            teacher_outputs: Tensor, or list or dict of tensors.
            student_outputs: Like `teacher_outputs`.
            **kwargs: Further arguments of a subclass.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `compute_loss`.")

    def validate_outputs(self, teacher_outputs: Structure, student_outputs: Structure) -> None:
        """Raise `ValueError` unless the outputs have the same nested structure."""
        _same_structure(type(self).__name__, "the teacher's", teacher_outputs, student_outputs)

    def validate_model_compatibility(self, teacher: Model, student: Model) -> None:
        """Raise `ValueError` if the loss does not support these models. Subclasses override it."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a loss from the result of `get_config`."""
        return cls(**{key: _revived(value) for key, value in config.items()})


class _LossOfOutputs(DistillationLoss):
    """Base class of losses that apply a loss to each output."""

    def __init__(self, loss: Any):
        owner = type(self).__name__
        self.loss = tree.map_structure(lambda entry: _loss_of(owner, entry), loss)
        if all(entry is None for entry in tree.flatten(self.loss)):
            raise ValueError(
                f"{owner}: `loss` must hold at least one loss that is not None, received {loss!r}."
            )

    def validate_outputs(self, teacher_outputs: Structure, student_outputs: Structure) -> None:
        """Raise `ValueError` unless both outputs and `loss` have the same nested structure."""
        super().validate_outputs(teacher_outputs, student_outputs)
        _same_structure(type(self).__name__, "`loss`'s", self.loss, student_outputs)

    def compute_loss(
        self, teacher_outputs: Structure, student_outputs: Structure, **kwargs: Any
    ) -> Tensor:
        """Return the sum of the losses of the outputs."""
        _LossOfOutputs.validate_outputs(self, teacher_outputs, student_outputs)
        outputs = zip(
            tree.flatten(self.loss),
            tree.flatten(teacher_outputs),
            tree.flatten(student_outputs),
            strict=True,
        )
        total: Any = 0.0
        for loss, teacher, student in outputs:
            if loss is not None:
                teacher, student = convert(teacher), convert(student)
                self._check_shapes(teacher.shape, student.shape)
                total = total + jnp.mean(self._value(loss, teacher, student))
        return total

    def _value(self, loss: Any, teacher: Any, student: Any) -> Any:
        return loss(teacher, student)

    def _check_shapes(self, teacher: tuple, student: tuple) -> None:
        try:
            jnp.broadcast_shapes(teacher, student)
        except ValueError:
            raise ValueError(
                f"{type(self).__name__}: expected equal shapes from the teacher and the student,"
                f" received {teacher} and {student}. Choose layers with equal output shapes, or add"
                " a projection layer to the student."
            ) from None


class LogitsDistillation(_LossOfOutputs):
    """Loss between the final outputs of both models, divided by a temperature.

    With a `losses.KLDivergence` object, the outputs are logits: the loss compares the softmax of
    the divided outputs, and is multiplied by the square of the temperature (Hinton et al., 2015).
    With every other loss, including the function `"kl_divergence"`, the outputs are only divided,
    as in Keras. Use `"kl_divergence"` for outputs that are probabilities.

    Args:
        temperature: Divisor of the outputs. Must be greater than 0.
        loss: Name, function or `Loss`. For several outputs, a list or dict of losses, with None for
            outputs to ignore.

    Raises:
        ValueError: If `temperature` is not a positive number, or `loss` contains no loss.

    Example:
        >>> loss = LogitsDistillation(temperature=2.0, loss="mse")
        >>> float(loss.compute_loss(jnp.zeros((1, 2)), jnp.full((1, 2), 4.0)))
        4.0
        >>> loss = LogitsDistillation(loss=losses.KLDivergence())  # for logits
        >>> round(float(loss.compute_loss(jnp.eye(2), jnp.zeros((2, 2)))), 3)
        0.123
    """

    temperature: float

    def __init__(self, temperature: float = 3.0, loss: Any = "kl_divergence"):
        if not isinstance(temperature, numbers.Real) or not temperature > 0:
            raise ValueError(
                "LogitsDistillation: `temperature` must be a number above 0, received"
                f" {temperature!r}."
            )
        self.temperature = temperature
        super().__init__(loss)

    def _value(self, loss: Any, teacher: Any, student: Any) -> Any:
        teacher, student = teacher / self.temperature, student / self.temperature
        if isinstance(loss, losses.KLDivergence):
            return loss(jax.nn.softmax(teacher), jax.nn.softmax(student)) * self.temperature**2
        return loss(teacher, student)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {"temperature": self.temperature, "loss": _in_file(self.loss)}


class FeatureDistillation(_LossOfOutputs):
    """Loss between the outputs of a layer of the teacher and a layer of the student.

    Args:
        loss: Name, function or `Loss`. For several outputs, a list or dict of losses, with None for
            outputs to ignore.
        teacher_layer_name: Name of the teacher's layer. Default: the teacher's final outputs.
        student_layer_name: Name of the student's layer. Default: the student's final outputs.

    Raises:
        ValueError: If `loss` contains no loss.

    Example:
        >>> loss = FeatureDistillation("mae")
        >>> float(loss.compute_loss(jnp.zeros((1, 2)), jnp.ones((1, 2))))
        1.0
    """

    def __init__(
        self,
        loss: Any = "mse",
        teacher_layer_name: str | None = None,
        student_layer_name: str | None = None,
    ):
        self.teacher_layer_name = teacher_layer_name
        self.student_layer_name = student_layer_name
        super().__init__(loss)

    def validate_model_compatibility(self, teacher: Model, student: Model) -> None:
        """Raise `ValueError` if a model has no layer with the given name."""
        for role, model, name in (
            ("teacher", teacher, self.teacher_layer_name),
            ("student", student, self.student_layer_name),
        ):
            if name is None:
                continue
            if type(model).__dict__.get("call") and not hasattr(model, "inputs"):
                raise ValueError(
                    f"FeatureDistillation: `{role}_layer_name` needs a functional or sequential"
                    f" model, but the {role} '{model.name}' is a {type(model).__name__}, a subclass"
                    " with its own `call`. Omit the layer names to compare the final outputs."
                )
            try:
                model.get_layer(name)
            except ValueError as error:
                raise ValueError(
                    f"FeatureDistillation: `{role}_layer_name`={name!r}. {error}"
                ) from None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "loss": _in_file(self.loss),
            "teacher_layer_name": self.teacher_layer_name,
            "student_layer_name": self.student_layer_name,
        }


def _loss_of(owner: str, entry: Any) -> Any:
    if not (entry is None or isinstance(entry, str) or callable(entry)):
        raise ValueError(
            f"{owner}: `loss` must hold names, functions or Losses, received"
            f" {errors.describe(entry)}."
        )
    found = losses.get(entry)
    return found() if isinstance(found, type) else found


def _same_structure(owner: str, whose: str, wanted: Structure, outputs: Structure) -> None:
    try:
        tree.assert_same_structure(tree.lists_to_tuples(wanted), tree.lists_to_tuples(outputs))
    except ValueError:

        def skeleton(x: Any) -> Any:
            return tree.map_structure(lambda _: "*", x)

        raise ValueError(
            f"{owner}: the student's outputs must have {whose} nested structure,"
            f" {skeleton(wanted)}, received {skeleton(outputs)}. Pass one loss per output, or None"
            " to ignore an output."
        ) from None


def _in_file(loss: Any) -> Any:
    """Serialize losses for JSON, with functions in Keras's format."""

    def plain(entry: Any) -> Any:
        config = serialize(entry)
        if not isinstance(config, str):
            return config
        return {
            "module": "builtins", "class_name": "function", "config": config,
            "registered_name": "function",
        }  # fmt: skip

    return tree.map_structure(plain, loss)


def _revived(value: Any) -> Any:
    if isinstance(value, dict) and "class_name" in value:
        return deserialize(value)
    if isinstance(value, dict):
        return {key: _revived(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_revived(item) for item in value]
    return value
