"""`Distiller`: trains a student on targets and on the outputs of a teacher."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import errors, tree
from hornbeam.distillation.distillation_loss import DistillationLoss
from hornbeam.metrics import Mean
from hornbeam.models.model import Model
from hornbeam.objects.configuration import serialize
from hornbeam.training.padding import count_rows
from hornbeam.typing import Structure, Tensor

__all__ = ["Distiller"]


class Distiller(Model):
    """Model that trains a student to predict the targets and the outputs of a teacher.

    The loss is `student_loss_weight` times the loss of `compile`, plus 1 - `student_loss_weight`
    times the weighted sum of the distillation losses, plus the student's regularization. Calling
    the model, and `predict`, return the student's outputs. The teacher runs with `training=False`
    and is frozen.

    Args:
        teacher: Trained model. Its `trainable` is set to False.
        student: Model to train.
        distillation_losses: A `DistillationLoss`, or a list of them.
        distillation_loss_weights: Weight of each distillation loss. Default: 1 each.
        student_loss_weight: Number from 0 to 1. With 0, the targets are not used. With 1, the
            teacher is not used.
        name: Name of the model.
        **kwargs: Other arguments of `Model`.

    Raises:
        ValueError: If an argument has an invalid value, or the models have different shapes or
            dtypes.

    Example:
        >>> import hornbeam as hb, numpy as np
        >>> from hornbeam.distillation import LogitsDistillation
        >>> teacher, student = [hb.Sequential([hb.Input((4,)), hb.layers.Dense(2)]) for _ in "ab"]
        >>> model = Distiller(teacher, student, LogitsDistillation(loss="mse"))
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0).history
        >>> list(history)
        ['loss', 'student_loss', 'distillation_loss', 'total_loss']
    """

    teacher: Model
    student: Model
    student_loss_weight: float
    distillation_losses: list[DistillationLoss]
    distillation_loss_weights: list[float]
    student_loss_tracker: Mean
    distillation_loss_tracker: Mean
    total_loss_tracker: Mean

    _not_children = Model._not_children | {"_extractors", "_pending"}

    def __init__(
        self,
        teacher: Model,
        student: Model,
        distillation_losses: DistillationLoss | Sequence[DistillationLoss],
        distillation_loss_weights: Sequence[float] | float | None = None,
        student_loss_weight: float = 0.5,
        name: str = "distiller",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        _check_models(teacher, student)
        if not isinstance(student_loss_weight, numbers.Real) or not 0 <= student_loss_weight <= 1:
            raise ValueError(
                "Distiller: `student_loss_weight` must be a number from 0 to 1, received"
                f" {student_loss_weight!r}."
            )
        self.teacher, self.student = teacher, student
        self.student_loss_weight = student_loss_weight
        self.distillation_losses = _losses(distillation_losses)
        self.distillation_loss_weights = _weights(
            distillation_loss_weights, len(self.distillation_losses)
        )
        for loss in self.distillation_losses:
            loss.validate_model_compatibility(teacher, student)
        teacher.trainable = False
        self.student_loss_tracker = Mean(name="student_loss")
        self.distillation_loss_tracker = Mean(name="distillation_loss")
        self.total_loss_tracker = Mean(name="total_loss")
        self._extractors: dict[str, Model] = {}
        self._pending: tuple[Structure, dict[str, Any]] | None = None

    @property
    def output_names(self) -> list[str]:
        """The names of the student's outputs."""
        return self.student.output_names  # type: ignore[attr-defined]  # of models with a graph

    def compile(  # type: ignore[override]  # the rest is in `kwargs`, as in Keras
        self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Set the optimizer, and the student's loss and metrics, as in `Model.compile`.

        Raises:
            ValueError: If `loss` is None.
        """
        if loss is None:
            raise ValueError(
                f"{self._label()}: compile: `loss` must be the student's loss, received None. To"
                " train only on the teacher, pass any loss and set `student_loss_weight=0`."
            )
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile from the result of `get_compile_config`."""
        if config.get("loss") is None:
            warnings.warn(
                f"{self._label()}: the file has no loss, because Keras does not save the loss of a"
                " Distiller. Call `compile` before you train or evaluate the model.",
                stacklevel=2,
            )
            return
        super().compile_from_config(config)

    def call(self, inputs: Structure, training: bool | None = None, **kwargs: Any) -> Structure:
        """Return the student's outputs."""
        if not self.teacher.built:
            self.teacher(inputs, training=False)
        names = self._names("student")
        if training and names and not kwargs:
            # The student runs only once, because a second run would draw other dropout masks and
            # update the moving statistics again.
            outputs, features = self._run("student", inputs, training)
            self._pending = (outputs, features)
            return outputs
        return self.student(inputs, training=training, **kwargs)

    def compute_loss(
        self,
        x: Structure = None,
        y: Structure = None,
        y_pred: Structure = None,
        sample_weight: Structure = None,
        training: bool = True,
    ) -> Tensor:
        """Return the weighted sum of the student's loss and the distillation losses."""
        compiled = self.require_compiled("compute_loss")
        share = self.student_loss_weight
        student: Any = jnp.zeros(())
        if share > 0:
            student = sum(compiled.losses_of_outputs(self, y, y_pred, sample_weight), student)
        distillation: Any = jnp.zeros(())
        if share < 1:
            distillation = self._distillation_loss(x, y_pred, training)
        total = share * student + (1 - share) * distillation
        total = total + sum(self.student.losses)
        rows = jnp.asarray(count_rows(next(iter(tree.flatten(y_pred)))), "float32")
        for tracker, value in (
            (self.student_loss_tracker, student),
            (self.distillation_loss_tracker, distillation),
            (self.total_loss_tracker, total),
        ):
            tracker.update_state(jax.lax.stop_gradient(value), sample_weight=rows)
        return total

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "name": self.name,
            "trainable": self._trainable,
            "dtype": serialize(self.dtype_policy),
            "teacher": serialize(self.teacher),
            "student": serialize(self.student),
            "distillation_losses": [serialize(loss) for loss in self.distillation_losses],
            "distillation_loss_weights": list(self.distillation_loss_weights),
            "student_loss_weight": self.student_loss_weight,
        }

    # --- features --------------------------------------------------------------------------------

    def _distillation_loss(self, x: Structure, y_pred: Structure, training: bool) -> Any:
        outputs, features = self._run("teacher", x, False)
        teacher = tree.map_structure(jax.lax.stop_gradient, {"outputs": outputs, **features})
        student = {"outputs": y_pred, **self._student_features(x, y_pred, training)}
        total: Any = jnp.zeros(())
        for loss, weight in zip(
            self.distillation_losses, self.distillation_loss_weights, strict=True
        ):
            pair = teacher[_key(loss, "teacher")], student[_key(loss, "student")]
            loss.validate_outputs(*pair)
            total = total + weight * loss.compute_loss(*pair)
        return total

    def _student_features(self, x: Structure, y_pred: Structure, training: bool) -> dict[str, Any]:
        if not self._names("student"):
            return {}
        pending, self._pending = self._pending, None
        if pending is not None and training:
            return pending[1]
        return self._run("student", x, training)[1]

    def _names(self, role: str) -> list[str]:
        """Return the names of the layers whose outputs the losses need from one model."""
        names = (getattr(loss, f"{role}_layer_name", None) for loss in self.distillation_losses)
        return list(dict.fromkeys(name for name in names if name is not None))

    def _run(self, role: str, x: Structure, training: bool) -> tuple[Structure, dict[str, Any]]:
        """Return the outputs of a model, and the outputs of its layers by key."""
        model: Any = getattr(self, role)
        names = self._names(role)
        if not names:
            return model(x, training=training), {}
        if not model.built:
            model(x, training=False)
        extractor = self._extractors.get(role)
        if extractor is None:
            features = {f"layer {name}": model.get_layer(name).output for name in names}
            extractor = Model(model.input, {"outputs": model.output, "features": features})
            self._extractors[role] = extractor
        found = extractor(x, training=training)
        return found["outputs"], found["features"]


def _key(loss: DistillationLoss, role: str) -> str:
    name = getattr(loss, f"{role}_layer_name", None)
    return "outputs" if name is None else f"layer {name}"


def _losses(given: Any) -> list[DistillationLoss]:
    many = list(given) if isinstance(given, (list, tuple)) else [given]
    for loss in many:
        if not isinstance(loss, DistillationLoss):
            raise ValueError(
                "Distiller: `distillation_losses` must be a DistillationLoss or a list of them,"
                f" received {errors.describe(loss)}. Use `LogitsDistillation(loss=...)` or"
                " `FeatureDistillation(loss=...)`."
            )
    return many


def _weights(given: Any, count: int) -> list[Any]:
    if given is None:
        return [1.0] * count
    weights = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(weights) != count or not all(isinstance(w, numbers.Real) for w in weights):
        raise ValueError(
            "Distiller: `distillation_loss_weights` must hold one number per distillation loss,"
            f" {count} in total, received {given!r}."
        )
    return weights


def _check_models(teacher: Any, student: Any) -> None:
    for role, model in (("teacher", teacher), ("student", student)):
        if not isinstance(model, Model):
            raise ValueError(
                f"Distiller: `{role}` must be a Model, received {errors.describe(model)}."
            )
    for what in ("inputs", "outputs"):
        pair = getattr(teacher, what, None) or [], getattr(student, what, None) or []
        if not all(pair):  # unknown
            continue
        if len(pair[0]) != len(pair[1]):
            raise ValueError(
                f"Distiller: the student must have the same number of {what} as the teacher,"
                f" {len(pair[0])}, received {len(pair[1])}."
            )
        for of_teacher, of_student in zip(*pair, strict=True):
            _check_pair(what, of_teacher, of_student)


def _check_pair(what: str, teacher: Any, student: Any) -> None:
    sizes = zip(teacher.shape, student.shape, strict=False)
    if len(teacher.shape) != len(student.shape) or any(
        a != b and None not in (a, b) for a, b in sizes
    ):
        raise ValueError(
            f"Distiller: the {what} of both models must have equal shapes, received"
            f" {teacher.shape} from the teacher and {student.shape} from the student."
        )
    if teacher.dtype != student.dtype:
        raise ValueError(
            f"Distiller: the {what} of both models must have equal dtypes, received"
            f" {teacher.dtype} from the teacher and {student.dtype} from the student."
        )
