"""The steps: pure functions of a batch and the model's variables.

They read and assign variables like ordinary code; `Program` makes them pure.
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from hornbeam import tree
from hornbeam.core.convert import convert
from hornbeam.core.placement import (
    Placement,
    current_placement,
    rows_of_process,
    team_of,
    without_filling,
)
from hornbeam.core.program import Program
from hornbeam.core.sparse import as_dense, is_sparse
from hornbeam.core.structure import structure_version
from hornbeam.core.variable import Overlay, Variable, value_and_grad
from hornbeam.data.sources import unpack
from hornbeam.layers.state import flatten_layers, switches_of, trainable_variables_with
from hornbeam.ops import rows
from hornbeam.ops.routes import convolutions_are_loop_safe
from hornbeam.training.advice import at_first_step, label_gradients
from hornbeam.training.graph_losses import values_for_losses
from hornbeam.training.overrides import overrides
from hornbeam.training.padding import count_rows, mark_rows, rows_are_independent, rows_counted
from hornbeam.typing import Data, Structure, Tensor

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = [
    "Steps", "metrics_result", "predict_step", "set_state", "state_groups", "steps_for",
    "test_step", "train_step",
]  # fmt: skip

BYTES_TO_LOOP = 2**29
"""On an accelerator, a compiled loop may carry weights, moments and metrics of fewer bytes than
this.
"""


def loss_of(
    model: Trainable, x: Structure, y: Structure, y_pred: Structure, sample_weight: Structure,
    training: bool = True,
) -> Tensor:  # fmt: skip
    """Return `model.compute_loss`; one that a class overrides may name its arguments freely."""
    given = {"x": x, "y": y, "y_pred": y_pred, "sample_weight": sample_weight}
    parameters = inspect.signature(model.compute_loss).parameters
    free = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    last = {"training": training} if free or "training" in parameters else {}
    with values_for_losses(model, x):
        if free or set(given) <= set(parameters):
            return model.compute_loss(**given, **last)
        return model.compute_loss(*given.values(), **last)


def train_step(model: Trainable, data: Data) -> dict[str, Any]:
    """One step of training on a batch; returns results by name."""
    x, y, sample_weight = unpack(data)
    optimizer = model.optimizer
    is_first = optimizer is None or not optimizer.built
    if is_first and not all(layer.built for layer in flatten_layers(model, include_self=False)):
        with Overlay():  # builds the model, so that this step trains all its weights
            model(x, training=True)
    variables = trained_variables(model)

    def loss_of_batch() -> tuple[Any, Any]:
        y_pred = model(x, training=True)
        loss = loss_of(model, x, y, y_pred, sample_weight)
        scaled = loss if optimizer is None else optimizer.scale_loss(loss)
        return scaled, (loss, y_pred)

    if not variables:  # nothing to train, as in a model of frozen layers: metrics only
        _, (loss, y_pred) = loss_of_batch()
        _warn_of_frozen(model)
    else:
        differentiate = (
            rows.value_and_grad if optimizer is not None and optimizer.takes_row_sums else None
        )
        (_, (loss, y_pred)), gradients = value_and_grad(
            loss_of_batch, variables, True, differentiate
        )
        optimizer.apply_gradients(zip(label_gradients(gradients), variables, strict=True))
    _track(model, loss, x)
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def trained_variables(model: Trainable) -> list[Variable]:
    """Return the variables that a step changes.

    `trainable` counts as it is when the step runs. If it leaves nothing to train, it counts as it
    was when `compile` ran. Programs of Keras 1 and 2 compile a discriminator, freeze it for a
    second model, and train both.
    """
    now = model.trainable_variables
    if now or not model.compiled:
        return now
    return trainable_variables_with(model, model.require_compiled("fit").trainable)


def _warn_of_frozen(model: Trainable) -> None:
    """Warn once per model that has weights and trains none of them."""
    if model._warned_of_frozen or not model.weights or trained_variables(model):
        return
    model._warned_of_frozen = True
    warnings.warn(
        f"Model '{model.name}': none of its {len(model.weights)} weights is trainable, so this step"
        f" trains nothing. Set `trainable = True` before you compile and train '{model.name}'.",
        stacklevel=3,
    )


def test_step(model: Trainable, data: Data) -> dict[str, Any]:
    """Loss and metrics of a batch."""
    x, y, sample_weight = unpack(data)
    y_pred = mark_rows(model(x, training=False))
    compiled: Any = model._compiled
    if y is not None or compiled.loss is None:
        try:
            loss = loss_of(model, x, y, y_pred, sample_weight, training=False)
        except ValueError:
            if compiled.loss is not None:
                raise
        else:
            _track(model, loss, x)
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def predict_step(model: Trainable, data: Data) -> Structure:
    """Outputs for a batch."""
    x, _, _ = unpack(data)
    return model(x, training=False)


def _track(model: Any, loss: Any, x: Any) -> None:
    first = next((a for a in tree.flatten(x) if getattr(a, "shape", ())), None)
    model._compiled.loss_tracker.update_state(
        loss, sample_weight=jnp.asarray(count_rows(first), "float32")
    )


def metrics_result(model: Trainable) -> dict[str, Any]:
    """Return the current value of each metric of `model` by name."""
    results: dict[str, Any] = {}
    for metric in model.metrics:
        value = metric.result()
        if isinstance(value, dict):
            results.update(value)
        else:
            results[
                metric.name if model._compiled is None else model._compiled.log_name(metric)
            ] = value
    # A metric may return its variable, which changes when the metric is reset.
    return {
        name: value.value if isinstance(value, Variable) else value
        for name, value in results.items()
    }


# --- programs ----------------------------------------------------------------------------------


class Steps:
    """One kind of step of a model, compiled: one batch per call, or many in one compiled loop.

    Args:
        model: The model.
        kind: `"train"`, `"test"` or `"predict"`.
        keep_all: Whether `loop` returns the results of all its steps, not only of the last.
        padded: Whether batches come with a vector that says which rows count.
        user_functions: Whether an overridden `make_train_function` (or a sibling) provides the
            step.

    Attributes:
        seconds_per_step: Recent time of a step, `None` while not measured.
        exact_rows: Whether a batch may not be filled up with further rows.
    """

    def __init__(
        self,
        model: Trainable,
        kind: str,
        keep_all: bool = False,
        padded: bool = False,
        user_functions: bool = True,
    ):
        # Its maker decides whether it is compiled.
        given = _user_function(model, kind) if user_functions else None
        step = given or _step_of(model, kind)
        makes_metrics = kind != "predict" and overrides(model, f"{kind}_step")
        self.kind, self.keep_all, self.padded = kind, keep_all, padded
        self.seconds_per_step: float | None = None
        self.exact_rows = not rows_are_independent(
            model, "predict" if kind == "predict" else "test"
        )
        self._names: list[str] | None = None
        self._loop_safe: dict[Any, bool] = {}
        self._prepared: set[Any] = set()

        def one_step(batch: Any, counted: Any = None) -> Any:
            batch = tree.map_structure(lambda a: None if a is None else convert(a), batch)
            if makes_metrics:
                _make_metrics(model, batch)
                _build(model, batch)
            with rows_counted(counted):
                results = step(batch if kind == "predict" else _packed(batch))
            if kind == "predict":
                return tree.map_structure(lambda x: as_dense(x) if is_sparse(x) else x, results)
            if isinstance(results, dict):
                # JAX sorts a dictionary's keys; people count on the loss being first.
                self._names = list(results)
                return tuple(results.values())
            return results

        self._model, self._advised = model, kind != "train"
        self._step = one_step
        eager = model.run_eagerly or given is not None
        self._program = None if eager else _compiled(model, kind, one_step, keep_all)

    @property
    def trace_count(self) -> int:
        """How often the step was traced."""
        return 0 if self._program is None else self._program.trace_count

    @property
    def variables(self) -> list[Variable]:
        """The variables that the step reads or assigns; complete after the first trace."""
        return [] if self._program is None else self._program.variables

    @property
    def shared_placement(self) -> Placement | None:
        """The placement of the steps if several processes run them together, else `None`."""
        placement = None if self._program is None else self._program.placement
        return None if team_of(placement) is None else placement

    def trace(self, *args: Any) -> None:
        """Trace the step without running it; creates the variables that a first step would."""
        if self._program is not None:
            self._program.primitives(*args)
        else:  # eager code may do what cannot be traced
            with contextlib.suppress(Exception):
                Program(self._step).primitives(*args)

    def place(self, slab: Structure) -> Structure:
        """Return a slab of batches with its arrays on the devices where the steps want them."""
        if self._program is None or self._program.placement is None:
            return jax.device_put(slab)
        return self._program.place(slab, 1)

    def once(self, *args: Any) -> Structure:
        """Run one batch; `args` are the batch and, if `padded`, the vector of rows that count."""
        results = self._named((self._program or self._step)(*args))
        if self.kind == "predict" and (placement := self.shared_placement) is not None:
            results = rows_of_process(placement, results, 0)
        if not self._advised:
            self._advise(args)
        return results

    def loop(self, slabs: tuple[Any, ...], start: int, count: int) -> Structure:
        """Run `count` batches that lie along the first axis of `slabs`, from `start` on."""
        assert self._program is not None
        results = self._named(self._program.loop(slabs, start, count))
        if self.kind == "predict" and (placement := self.shared_placement) is not None:
            results = rows_of_process(placement, results, 1)
        if not self._advised:
            self._advise(jax.tree.map(lambda a: a[0], slabs))
        return results

    def prepare(self, *args: Any, steps: int | None = None) -> None:
        """Compile for arguments of these shapes: the single step, or the loop over slabs of `steps`
        batches.
        """
        key = (_shapes_key(args), steps)
        if self._program is not None and key not in self._prepared:
            self._prepared.add(key)
            self._program.prepare(*args, steps=steps)

    def can_loop(self, *args: Any) -> bool:
        """Return whether batches of these shapes run in a compiled loop without losing speed."""
        if self._program is None:
            return False
        if jax.default_backend() != "cpu":
            # Queued calls cost little where steps are long, and a loop needs memory for the weights
            # twice.
            self._program.primitives(*args)
            return self._program.assigned_bytes < BYTES_TO_LOOP
        if convolutions_are_loop_safe():
            return True
        key = _shapes_key(args)
        if key not in self._loop_safe:
            # XLA computes a convolution's gradient on CPU about 20 times slower inside a loop.
            names = self._program.primitives(*args)
            self._loop_safe[key] = not any(
                "conv" in name and "convert" not in name for name in names
            )
        return self._loop_safe[key]

    def _advise(self, args: tuple[Any, ...]) -> None:
        """Warn of mistakes that a first step of training shows."""
        self._advised = True
        jaxpr = None if self._program is None else self._program.traced(*args)
        at_first_step(self._model, without_filling(None, args[0]), jaxpr)

    def _named(self, results: Any) -> Any:
        if self._names is None or self.kind == "predict":
            return results
        return dict(zip(self._names, results, strict=True))


def _make_metrics(model: Any, batch: Any) -> None:
    """Create the metrics of `compile` before a user's step, which may iterate over
    `model.metrics`.
    """
    if model._compiled is not None:
        with contextlib.suppress(ValueError, TypeError):  # targets may mean anything to such a step
            model._compiled.build_ahead(model, unpack(batch)[1])


def _build(model: Any, batch: Any) -> None:
    """Build a model before a user's step, which may ask for `model.trainable_variables` first."""
    if not all(layer.built for layer in flatten_layers(model, include_self=False)):
        # Such a step may call the model on something else than `x`.
        with contextlib.suppress(Exception), Overlay():
            model(unpack(batch)[0], training=True)


def _shapes_key(args: Any) -> Any:
    leaves, structure = jax.tree.flatten(args)
    return structure, tuple((a.shape, str(a.dtype)) for a in leaves)


def _compiled(model: Any, kind: str, step: Callable[..., Any], keep_all: bool) -> Program:
    everything = model.variables
    label = f"a step of {'training' if kind == 'train' else 'evaluation'} of '{model.name}'"
    if kind == "predict":
        return Program(
            step,
            read=everything,
            donate=False,
            keep_all=True,
            label=f"a step of prediction of '{model.name}'",
        )
    tracked = [*(v for v in model.metrics_variables)]
    if kind == "test":
        return Program(step, tracked, everything, keep_all=keep_all, label=label)
    if model.optimizer is not None and model.built:
        model.optimizer.build(trained_variables(model))
        tracked += model.optimizer.variables
    trainable = set(trained_variables(model))
    changing = [v for v in everything if v in trainable or not v.trainable]
    return Program(step, [*changing, *tracked], everything, keep_all=keep_all, label=label)


def _packed(batch: Any) -> Any:
    """Return a batch as steps receive it, without missing parts: `x`, `(x, y)` or `(x, y,
    sample_weight)`.
    """
    x, y, sample_weight = unpack(batch)
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (tuple, list)) else x


def _step_of(model: Any, kind: str) -> Callable[[Any], Any]:
    """Return `train_step`, `test_step` or `predict_step` as a function of a batch; adapts Keras's
    stateless form.
    """
    step = getattr(model, f"{kind}_step")
    required = [
        p
        for p in inspect.signature(step).parameters.values()
        if p.kind in (0, 1) and p.default is p.empty
    ]
    if len(required) < 2:
        return step

    def stateful(data: Any) -> Any:
        groups = state_groups(model, kind)
        state = tuple([v.value for v in group] for group in groups)
        result, new_state = step(state, data)
        set_state(f"{kind}_step", groups[: len(new_state)], new_state)
        return result

    return stateful


def _user_function(model: Any, kind: str) -> Callable[[Any], Any] | None:
    """Return the step of a model that overrides `make_train_function` or a sibling; `None` if it
    does not.
    """
    method = f"make_{kind}_function"
    if not overrides(model, method):
        return None
    made = getattr(model, method)()
    function = made if callable(made) else getattr(model, f"{kind}_function")
    return lambda batch: function(iter([batch]))


# --- state in Keras's form for JAX ----------------------------------------------------------------


def state_groups(model: Trainable, kind: str) -> list[list[Variable]]:
    """Return the variables whose values are the state that a step in Keras's form for JAX takes and
    returns.
    """
    groups = [model.trainable_variables, model.non_trainable_variables]
    if kind == "train":
        if model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
        groups.append(model.optimizer.variables if model.optimizer is not None else [])
    if kind != "predict":
        groups.append(model.metrics_variables)
    return groups


def set_state(owner: str, groups: list[list[Variable]], state: Sequence[Sequence[Any]]) -> None:
    """Assign values to variables, group by group.

    Raises:
        ValueError: If the number of values does not fit.
    """
    numbers = [len(values) for values in state]
    if numbers != [len(group) for group in groups]:
        raise ValueError(
            f"{owner}: the state must hold {[len(g) for g in groups]} values, received {numbers}."
        )
    for group, values in zip(groups, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)


# --- the steps that a model keeps -----------------------------------------------------------------


def steps_for(
    model: Trainable,
    kind: str,
    keep_all: bool = False,
    padded: bool = False,
    user_functions: bool = True,
) -> Steps:
    """Return the compiled steps that the model keeps, made anew when its parts or switches changed;
    see `Steps`.
    """
    name = (kind, keep_all, padded, user_functions, model.run_eagerly, current_placement())
    programs = model._programs
    known = programs.get(name)
    if known is not None and known[0] == structure_version.number:
        return known[2]
    now = structure_version.number
    switches = switches_of(model)
    steps = (
        known[2]
        if known is not None and known[1] == switches
        else Steps(model, kind, keep_all, padded, user_functions)
    )
    programs[name] = (now, switches, steps)
    return steps
