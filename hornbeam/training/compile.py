"""What `compile` chose: the optimizer, and losses and metrics matched to the model's outputs."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import errors, losses, metrics, optimizers, tree
from hornbeam.core.provenance import refuse_real_keras
from hornbeam.layers.state import flatten_layers
from hornbeam.losses import Loss
from hornbeam.losses.targets import averages_numbers, for_function
from hornbeam.metrics import Metric
from hornbeam.objects.configuration import deserialize, serialize
from hornbeam.optimizers.optimizer import Optimizer
from hornbeam.training.advice import about_no_loss, about_output
from hornbeam.training.compile_checks import (
    check_function,
    check_loss_name,
    chosen_distribution,
    explained,
    not_a_loss,
    set_learning_rates,
)
from hornbeam.training.graph_losses import values_in_batch
from hornbeam.training.metric_choice import (
    NAMES_BY_SHAPE,
    NEEDS_ONE_HOT,
    as_metric,
    metric_by_name,
    one_hot_if_sparse,
    unique,
)  # fmt: skip
from hornbeam.training.outputs import along, has_levels, path_names
from hornbeam.training.padding import count_rows, weigh_rows
from hornbeam.training.requests import check_flag
from hornbeam.typing import Identifier, Structure, Tensor

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["Compiled", "compile_from_config", "compile_model"]


def compile_model(model: Trainable, **arguments: Any) -> None:
    """Set `model.optimizer` and the model's `Compiled`; see `Model.compile`."""
    _take_older(arguments)
    unknown = set(arguments).difference(_ARGUMENTS)
    if unknown:
        raise errors.unexpected("compile", unknown, _ARGUMENTS)
    steps = arguments["steps_per_execution"]
    if steps != "auto" and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise ValueError(
            'compile: `steps_per_execution` must be a positive integer or "auto", received'
            f" {steps!r}."
        )
    for name in ("run_eagerly", "auto_scale_loss"):
        check_flag("compile", name, False if arguments[name] is None else arguments[name])
    if arguments["jit_compile"] not in (True, False, None, "auto"):
        raise ValueError(
            'compile: `jit_compile` must be True, False or "auto", received'
            f" {arguments['jit_compile']!r}."
        )
    distribution = chosen_distribution(arguments.pop("distribution", None), model)
    optimizer = optimizers.get(arguments["optimizer"])
    policy = getattr(model.dtype_policy, "name", "")
    if arguments["auto_scale_loss"] and policy == "mixed_float16" and optimizer is not None:
        if not isinstance(optimizer, optimizers.LossScaleOptimizer):
            optimizer = optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer")
    set_learning_rates(model, optimizer, arguments.pop("learning_rates", None))
    compiled = Compiled(model, arguments)
    model.optimizer, model.distribution = optimizer, distribution
    model._compiled = compiled
    model._programs = {}
    model.train_function = model.test_function = model.predict_function = None
    model.stop_training = False


_ARGUMENTS = (
    "optimizer", "loss", "metrics", "loss_weights", "weighted_metrics", "run_eagerly",
    "steps_per_execution", "jit_compile", "auto_scale_loss", "distribution",
    "learning_rates",
)  # fmt: skip


def _take_older(arguments: dict[str, Any]) -> None:
    """Remove the arguments that only earlier Keras versions knew, with one warning where one would
    have an effect there.

    Raises:
        ValueError: If `target_tensors` is given: without it the model would learn something else.
    """
    if arguments.pop("target_tensors", None) is not None:
        raise ValueError(
            "compile: `target_tensors` is not supported. Pass the targets to `fit` as `y`."
        )
    without_effect = ("sample_weight_mode", "class_mode", "experimental_run_tf_function")
    given = [name for name in without_effect if arguments.pop(name, None) is not None]
    if given:
        warnings.warn(
            f"compile: {errors.listed(given)} {'has' if len(given) == 1 else 'have'} no effect. The"
            " shapes of data decide: `sample_weight` of shape (B,) weighs rows, of shape (B, T)"
            " time steps.",
            stacklevel=4,
        )


def compile_from_config(model: Trainable, config: dict[str, Any]) -> None:
    """Compile `model` from what `get_compile_config` returned; builds the optimizer's slots."""

    def revive(value: Any) -> Any:
        if isinstance(value, dict) and "class_name" in value:
            return deserialize(value)
        if isinstance(value, dict):
            return {key: revive(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [revive(item) for item in value]
        return value

    accepted = set(inspect.signature(model.compile).parameters)
    arguments = {key: revive(value) for key, value in config.items() if key in accepted}
    model.compile(**arguments)
    if model.optimizer is not None and model.built:
        model.optimizer.build(model.trainable_variables)


@dataclass
class _MetricOfOutput:
    """A metric of one output.

    Attributes:
        metric: The metric.
        weighted: Whether it takes `sample_weight` into account.
        map_target: Makes the targets that the metric expects, from targets and outputs; `None`:
            they are as given.
    """

    metric: Metric
    weighted: bool
    map_target: Callable[[Any, Any], Any] | None


class Compiled:
    """Losses and metrics of a compiled model.

    They are matched to the outputs when the first batch shows their shapes.

    Args:
        model: The model.
        arguments: The arguments of `compile`.

    Attributes:
        arguments: The arguments of `compile`.
        loss: The argument `loss`; `None` for an empty list or dict.
        run_eagerly: Whether steps run uncompiled.
        steps_per_execution: Steps per dispatch, as the user chose.
        loss_tracker: Mean of the total loss.
        said: What was warned of since then.
        trainable: `trainable` of each layer when `compile` ran, by the layer's `id`.
    """

    def __init__(self, model: Trainable, arguments: dict[str, Any]):
        self.arguments = arguments
        given = arguments["loss"]
        self.loss = None if isinstance(given, (dict, list, tuple)) and not given else given
        self.run_eagerly = bool(arguments["run_eagerly"])
        # With 1 the plan chooses the number by the time that a step takes, and no callback notices.
        self.steps_per_execution = (
            1 if arguments["steps_per_execution"] == "auto" else arguments["steps_per_execution"]
        )
        self.loss_tracker = metrics.Mean(name="loss")
        self.said: set[str] = set()
        self.trainable = {id(layer): layer.trainable for layer in flatten_layers(model)}
        self._losses: list[Loss | None] | None = None
        self._loss_weights: list[Any] = []
        self._output_trackers: list[Any] = []
        self._metrics: list[list[_MetricOfOutput]] | None = None
        self._log_names: dict[Metric, str] = {}
        self._names: list[str] = []
        self._levels: Any = None  # the outputs, if they are nested more deeply than a list or dict
        self._note_levels(
            tree.only(getattr(model, "output", None)) if _output_names(model) else None
        )
        self._check_names(model)

    def _check_names(self, model: Any) -> None:
        """Look up every name, so that a misspelling is an error before any data are read."""
        for entry in tree.flatten(_plain(self.loss)):
            if isinstance(entry, str):
                check_loss_name(entry)
            elif isinstance(entry, Metric):
                raise ValueError(not_a_loss(type(entry).__name__))
            elif entry is not None and not callable(entry):
                raise ValueError(
                    f"compile: `loss` must be a name, a function or a Loss, received {entry!r}."
                )
            elif entry is not None:
                # A loss needs a gradient, which eager values do not give either.
                check_function("loss", entry, False)
        for weight in tree.flatten(_plain(self.arguments["loss_weights"])):
            if not (weight is None or isinstance(weight, (int, float)) or hasattr(weight, "shape")):
                raise ValueError(f"compile: `loss_weights` must hold numbers, received {weight!r}.")
        for kind in ("metrics", "weighted_metrics"):
            for entry in tree.flatten(_plain(self.arguments[kind])):
                refuse_real_keras(f"compile: `{kind}`", entry)
                if isinstance(entry, str) and entry not in NAMES_BY_SHAPE:
                    metric_by_name(entry)
                elif callable(entry) and not isinstance(entry, Metric):
                    check_function(kind, entry, self.run_eagerly)
                elif entry is not None and not isinstance(entry, (str, Metric)):
                    raise ValueError(
                        f"compile: `{kind}` must hold names, functions or Metrics, received"
                        f" {entry!r}."
                    )
        names = _output_names(model)
        if names:
            self.spread(self.loss, names, "loss")
            for kind in ("metrics", "weighted_metrics", "loss_weights"):
                self.spread(self.arguments[kind], names, kind)

    # --- matching to outputs -------------------------------------------------------------

    def _note_levels(self, outputs: Any) -> None:
        if has_levels(outputs):
            self._levels = tree.map_structure(lambda _: 0, outputs)

    def spread(self, given: Any, names: list[str], kind: str) -> list[Any]:
        """Return one entry per output from an argument of `compile`."""
        several = kind in ("metrics", "weighted_metrics")
        count = len(names)
        if self._levels is not None and isinstance(given, (Mapping, list, tuple)):
            entries = along(given, self._levels)
            if entries is not None:
                return [_as_list(e) for e in entries] if several else entries
        if given is None:
            return [[] for _ in names] if several else [None] * count
        if isinstance(given, Mapping):
            unknown = [key for key in given if key not in names]
            if unknown:
                raise ValueError(
                    f"compile: `{kind}` names outputs {errors.listed(unknown)} that do not exist;"
                    f" the model's outputs are {errors.listed(names)}."
                )
            entries = [given.get(name) for name in names]
            return [_as_list(e) for e in entries] if several else entries
        if several:
            if not isinstance(given, (list, tuple)):
                given = [given]
            nested = any(isinstance(e, (list, tuple)) or e is None for e in given)
            if count == 1 and not (nested and len(given) == 1):
                return [list(given)]
            if nested or (len(given) == count and count > 1):
                if len(given) != count:
                    raise ValueError(
                        f"compile: `{kind}` has {len(given)} entries for {count} outputs"
                        f" ({errors.listed(names)})."
                    )
                return [_as_list(e) for e in given]
            # One flat list for several outputs: to each of them.
            return [list(given) for _ in names]
        if isinstance(given, (list, tuple)):
            if len(given) != count:
                raise ValueError(
                    f"compile: `{kind}` has {len(given)} entries for {count} output"
                    f"{'s' if count > 1 else ''} ({errors.listed(names)})."
                )
            return list(given)
        return [given] * count

    def _names_for(self, model: Any, y_pred: Any) -> list[str]:
        self._note_levels(y_pred)
        count = len(tree.flatten(y_pred))
        names = _output_names(model)
        if names and len(names) == count:
            return names
        if isinstance(y_pred, Mapping) and len(y_pred) == count:
            return sorted(y_pred)
        return [f"output_{i + 1}" if count > 1 else "output" for i in range(count)]

    def _build_losses(self, model: Any, y_true: Any, y_pred: Any) -> None:
        if self._losses is not None:
            return
        self._names = names = self._names_for(model, y_pred)
        entries = self.spread(self.loss, names, "loss")
        _refuse_texts(model, names, "loss", entries)
        weights = self.spread(self.arguments["loss_weights"], names, "loss_weights")
        self._loss_weights = [1.0 if w is None else w for w in weights]
        made = [None if e is None else as_loss(e) for e in entries]
        if sum(loss is not None for loss in made) > 1:
            shown = names if self._levels is None else path_names(self._levels, names)
            self._output_trackers = [
                metrics.Mean(name=f"{n}_loss") if e is not None else None
                for n, e in zip(shown, made, strict=True)
            ]
        self._losses = made

    def _build_metrics(self, model: Any, y_true: Any, y_pred: Any) -> None:
        if self._metrics is not None:
            return
        names = self._names_for(model, y_pred)
        loss_entries = self.spread(self.loss, names, "loss")
        rows: list[list[_MetricOfOutput]] = [[] for _ in names]
        targets = self.by_output(y_true, names)
        outputs = tree.flatten(y_pred)
        for kind, weighted in (("metrics", False), ("weighted_metrics", True)):
            given_entries = self.spread(self.arguments[kind], names, kind)
            _refuse_texts(model, names, kind, given_entries)
            for i, entries in enumerate(given_entries):
                for entry in entries:
                    if entry is None:
                        continue
                    metric = as_metric(entry, targets[i], outputs[i], loss_entries[i])
                    # A name given as a string is the name in logs, as in Keras: "mae" stays "mae".
                    given = entry if isinstance(entry, str) else metric.name
                    prefix = "" if len(names) == 1 else f"{names[i]}_"
                    name = prefix + given
                    if weighted and name in self._log_names.values():
                        name = f"{prefix}weighted_{given}"
                    self._log_names[metric] = name = unique(name, self._log_names.values())
                    map_target = None
                    if isinstance(entry, str):
                        metric.name = name  # the user's steps may make logs by `metric.name`
                        map_target = (
                            one_hot_if_sparse if type(metric).__name__ in NEEDS_ONE_HOT else None
                        )
                    rows[i].append(_MetricOfOutput(metric, weighted, map_target))
        self._metrics = rows

    @property
    def every_output_has_loss(self) -> bool:
        """Whether each output has a loss, as far as the outputs were seen."""
        return all(loss is not None for loss in self._losses or [])

    def log_name(self, metric: Metric) -> str:
        """Return the name of a metric in logs."""
        return self._log_names.get(metric, metric.name)

    def by_output(self, y_true: Structure, names: list[str], what: str = "y") -> list[Any]:
        """Return one array per output, from a tensor, list or dict of targets or weights."""
        if y_true is None:
            return [None] * len(names)
        if self._levels is not None and isinstance(y_true, (Mapping, list, tuple)):
            entries = along(y_true, self._levels)
            if entries is not None:
                return entries
        if isinstance(y_true, Mapping):
            unknown = [key for key in y_true if key not in names]
            if unknown:
                raise ValueError(
                    f"`{what}` names outputs {errors.listed(map(str, unknown))} that do not exist;"
                    f" the model's outputs are {errors.listed(names)}."
                )
            return [y_true.get(name) for name in names]
        if isinstance(y_true, (list, tuple)):
            flat = list(y_true)
            if len(flat) != len(names):
                raise ValueError(
                    f"`{what}` has {len(flat)} arrays for {len(names)} output"
                    f"{'s' if len(names) > 1 else ''} ({errors.listed(names)})."
                )
            return flat
        if len(names) > 1 and what == "y":
            raise ValueError(
                f"The model has {len(names)} outputs ({errors.listed(names)}), `y` holds one array."
                " Pass a list or a dict by output name."
            )
        return [y_true] * len(names)

    def build_ahead(self, model: Trainable, y: Structure) -> None:
        """Make losses and metrics before the first step if the outputs' shapes are known, so that
        it is traced once.

        Args:
            y: Targets, arrays of any number of rows.
        """
        outputs = getattr(model, "outputs", None) if model.built else None
        if not outputs or y is None or any(None in x.shape[1:] for x in outputs):
            return

        def one_row(shape: Any, dtype: Any) -> np.ndarray:
            return np.broadcast_to(np.zeros((), dtype), (1, *shape[1:]))

        y_pred = tree.map_structure(lambda x: one_row(x.shape, "float32"), tree.only(model.output))
        targets = tree.map_structure(lambda a: None if a is None else one_row(a.shape, a.dtype), y)
        if self.loss is not None:
            self._build_losses(model, targets, y_pred)
        if self.arguments["metrics"] is not None or self.arguments["weighted_metrics"] is not None:
            self._build_metrics(model, targets, y_pred)

    # --- use in a step -----------------------------------------------------------------------

    def total_loss(
        self,
        model: Trainable,
        y: Structure,
        y_pred: Structure,
        sample_weight: Structure,
        training: bool = True,
    ) -> Tensor:
        """Return the weighted sum of the outputs' losses and of `model.losses`; 0 without any."""
        if y_pred is None and self.loss is not None:
            raise ValueError(
                f"Model '{model.name}': `call` returned None. End it with `return` and the outputs."
            )
        extra = model.losses
        terms = self.losses_of_outputs(model, y, y_pred, sample_weight)
        terms.extend(jnp.asarray(value) for value in extra)
        if not terms:
            if training:
                about_no_loss(model)
            return jnp.zeros(())
        total = terms[0]
        for term in terms[1:]:
            total = total + term.astype(total.dtype)
        return total

    def losses_of_outputs(
        self, model: Trainable, y: Structure, y_pred: Structure, sample_weight: Structure
    ) -> list[Any]:
        """Return the weighted loss of each output that has one."""
        if self.loss is None:
            return []
        terms = []
        self._build_losses(model, y, y_pred)
        assert self._losses is not None
        targets = self.by_output(y, self._names)
        weights = self.by_output(sample_weight, self._names, "sample_weight")
        for i, (loss, target, output) in enumerate(
            zip(self._losses, targets, tree.flatten(y_pred), strict=True)
        ):
            if loss is None:
                continue
            if target is None:
                raise ValueError(
                    f"Model '{model.name}': output '{self._names[i]}' has the loss"
                    f" {loss.name!r} but no target. Pass `y` (or set its loss to None)."
                )
            _check_target(loss, target, output, self._names[i])
            about_output(model, self._names[i], loss, target, output)
            with explained(f"the loss '{loss.name}'"):
                value = loss(target, output, sample_weight=weights[i])
            if self._output_trackers and self._output_trackers[i] is not None:
                self._output_trackers[i].update_state(
                    jax.lax.stop_gradient(value), sample_weight=count_rows(output)
                )
            terms.append(value * self._loss_weights[i])
        return terms

    def update_metrics(
        self, model: Trainable, y: Structure, y_pred: Structure, sample_weight: Structure
    ) -> None:
        """Update the metrics of `compile` with a batch."""
        if self.arguments["metrics"] is None and self.arguments["weighted_metrics"] is None:
            return
        self._build_metrics(model, y, y_pred)
        assert self._metrics is not None
        names = self._names_for(model, y_pred)
        targets = self.by_output(y, names)
        weights = self.by_output(sample_weight, names, "sample_weight")
        for row, target, output, weight in zip(
            self._metrics, targets, tree.flatten(y_pred), weights, strict=True
        ):
            for entry in row:
                if target is None:
                    continue
                given = entry.map_target(target, output) if entry.map_target else target
                weights_of_rows = weigh_rows(weight if entry.weighted else None)
                with explained(f"the metric '{entry.metric.name}'"):
                    entry.metric.update_state(given, output, sample_weight=weights_of_rows)

    def all_metrics(self) -> list[Metric]:
        """Loss tracker, trackers of outputs, metrics."""
        rows = [entry.metric for row in self._metrics or [] for entry in row]
        return [self.loss_tracker, *(t for t in self._output_trackers if t is not None), *rows]

    def get_config(self, optimizer: Optimizer | None) -> dict[str, Any]:
        """Return the arguments of `compile`, with the optimizer in use, ready for JSON."""

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: plain(item) for key, item in value.items()}
            if isinstance(value, (list, tuple)):
                return [plain(item) for item in value]
            return serialize(value)

        order = (
            "loss",
            "loss_weights",
            "metrics",
            "weighted_metrics",
            "run_eagerly",
            "steps_per_execution",
        )
        config = {
            "optimizer": serialize(optimizer),
            **{key: plain(self.arguments[key]) for key in order},
        }
        config["jit_compile"] = self.arguments["jit_compile"] is not False
        return config


def _refuse_texts(model: Any, names: list[str], kind: str, entries: list[Any]) -> None:
    """Raise an error if an output that is text has a loss or a metric."""
    outputs = getattr(model, "outputs", None) or []
    for name, output, entry in zip(names, outputs, entries, strict=False):
        if entry and output.dtype == "string":
            raise ValueError(
                f"compile: `{kind}` has an entry for output '{name}', which is text. Pass a dict"
                f" with entries for the other outputs, or train a model without this output."
            )


def _as_list(entry: Any) -> list[Any]:
    if entry is None:
        return []
    return list(entry) if isinstance(entry, (list, tuple)) else [entry]


def _plain(x: Any) -> Any:
    return dict(x) if isinstance(x, Mapping) else x


def _output_names(model: Any) -> list[str] | None:
    try:
        return list(model.output_names)
    except AttributeError:
        return None


def as_loss(entry: Loss | Identifier) -> Loss:
    """Return a `Loss` for a name, function or `Loss`."""
    found = losses.get(entry)
    if isinstance(found, Loss):
        return found
    if isinstance(found, type) and issubclass(found, Loss):
        return found()
    if not callable(found):
        raise ValueError(
            f"compile: `loss` must be a name, a function or a Loss, received {entry!r}."
        )
    return _FunctionLoss(found)


class _FunctionLoss(Loss):
    """A loss from a function of `(y_true, y_pred)`."""

    def __init__(self, function: Any):
        name = getattr(function, "__name__", None) or type(function).__name__
        super().__init__(name=name.strip("<>"), reduction="sum_over_batch_size")
        self._function = function

    def call(self, y_true: Any, y_pred: Structure) -> Any:
        return values_in_batch(self._function(*for_function(y_true, y_pred)), self.name)

    def _averages_numbers(self) -> bool:
        return averages_numbers(self._function, {})


def _check_target(loss: Loss, target: Any, output: Any, name: str) -> None:
    """Raise where targets and outputs of a crossentropy cannot belong together."""
    kind = type(loss).__name__.lower() + " " + str(loss.name)
    t, o = tuple(jnp.shape(target)), tuple(jnp.shape(output))
    if "sparse" not in kind and "categorical" in kind and "crossentropy" in kind:
        if len(t) == len(o) - 1 or (len(t) == len(o) and t[-1] == 1 and o[-1] > 1):
            raise ValueError(
                f"Output '{name}' has shape {o} and its targets have shape {t}, which look like"
                " class numbers; 'categorical_crossentropy' expects one-hot rows of the output's"
                " shape. Use loss='sparse_categorical_crossentropy', or"
                " `hornbeam.utils.to_categorical(y)`."
            )
        if len(t) == len(o) and t[-1] != o[-1]:
            raise ValueError(
                f"Output '{name}' has {o[-1]} classes (shape {o}), its targets have {t[-1]} (shape"
                f" {t}). Make the last layer's units equal to the number of classes."
            )
    elif "binary" in kind and "crossentropy" in kind and o and o[-1] > 1 and len(t) == len(o) - 1:
        raise ValueError(
            f"Output '{name}' has shape {o} and its targets have shape {t}: one label each for"
            f" {o[-1]} numbers; 'binary_crossentropy' expects equal shapes. Use"
            " `Dense(1, activation='sigmoid')`, or keep the units and use"
            " loss='sparse_categorical_crossentropy' with `activation='softmax'`."
        )
    elif "sparse" in kind and len(t) == len(o) and t[-1] == o[-1] and o[-1] > 1 and len(o) == 2:
        raise ValueError(
            f"Output '{name}' has shape {o} and its targets have shape {t}, which look like one-hot"
            " rows; 'sparse_categorical_crossentropy' expects class numbers. Use"
            " loss='categorical_crossentropy', or pass `y.argmax(-1)`."
        )
