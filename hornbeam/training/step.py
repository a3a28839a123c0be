"""The steps: pure functions of a batch and the model's variables.

They read and assign variables like ordinary code; `Program` makes them pure.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import tree
from hornbeam.core.program import Program
from hornbeam.core.symbolic import convert
from hornbeam.core.variable import Overlay, Variable, value_and_grad
from hornbeam.data.sources import unpack

__all__ = ["make_program", "metrics_result", "predict_step", "run_steps", "test_step", "train_step"]


def train_step(model: Any, data: Any) -> dict[str, Any]:
    """One step of training on a batch; returns results by name."""
    x, y, sample_weight = unpack(data)
    variables = model.trainable_variables
    optimizer = model.optimizer

    def loss_of_batch() -> tuple[Any, Any]:
        y_pred = model(x, training=True)
        loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        scaled = loss if optimizer is None else optimizer.scale_loss(loss)
        return scaled, (loss, y_pred)

    if not variables:  # nothing to train, as in a model of frozen layers: metrics only
        _, (loss, y_pred) = loss_of_batch()
    else:
        (_, (loss, y_pred)), gradients = value_and_grad(loss_of_batch, variables, has_aux=True)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
    _track(model, loss, x)
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def test_step(model: Any, data: Any) -> dict[str, Any]:
    """Loss and metrics of a batch."""
    x, y, sample_weight = unpack(data)
    y_pred = model(x, training=False)
    if y is not None or model._compiled.arguments["loss"] is None:
        try:
            loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)
        except ValueError:
            if model._compiled.arguments["loss"] is not None:
                raise
        else:
            _track(model, loss, x)
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def predict_step(model: Any, data: Any) -> Any:
    """Outputs for a batch."""
    x, _, _ = unpack(data)
    return model(x, training=False)


def _track(model: Any, loss: Any, x: Any) -> None:
    rows = next((a.shape[0] for a in tree.flatten(x) if getattr(a, "shape", ())), 1)
    model._compiled.loss_tracker.update_state(loss, sample_weight=jnp.asarray(rows, "float32"))


def metrics_result(model: Any) -> dict[str, Any]:
    """Return the current value of each metric of `model` by name."""
    results: dict[str, Any] = {}
    for metric in model.metrics:
        value = metric.result()
        if isinstance(value, dict):
            results.update(value)
        else:
            results[getattr(metric, "_log_name", metric.name)] = value
    return results


# --- programs ----------------------------------------------------------------------------------


def make_program(model: Any, kind: str) -> Callable[[Any], Any]:
    """Return the function that runs a tuple of batches through a kind of step.

    Args:
        model: The model.
        kind: `"train"`, `"test"` or `"predict"`.

    Returns:
        A function of a tuple of batches, which gives the results of the last (the list of
        all outputs for `"predict"`).
    """
    step = _step_of(model, kind)
    names: list[str] = []

    def steps(*batches: Any) -> Any:
        batches = tree.map_structure(lambda a: None if a is None else convert(a), batches)
        results = run_steps(step, tuple(map(_packed, batches)), keep_all=kind == "predict")
        if isinstance(results, dict):
            names[:] = results
        return results

    if model.run_eagerly:
        return steps
    program = _compiled(model, kind, steps)

    def run(*batches: Any) -> Any:
        results = program(*batches)
        # JAX sorts a dictionary's keys; people count on the loss being first.
        return {name: results[name] for name in names} if isinstance(results, dict) else results

    return run


def _compiled(model: Any, kind: str, steps: Callable[..., Any]) -> Program:
    everything = model.variables
    if kind == "predict":
        return Program(steps, read=everything, donate=False)
    tracked = [*(v for v in model.metrics_variables)]
    if kind == "test":
        return Program(steps, assigned=tracked, read=everything)
    if model.optimizer is not None and model.built:
        model.optimizer.build(model.trainable_variables)
        tracked += model.optimizer.variables
    trainable = set(model.trainable_variables)
    changing = [v for v in everything if v in trainable or not v.trainable]
    return Program(steps, assigned=[*changing, *tracked], read=everything)


def _packed(batch: Any) -> Any:
    """Return a batch as steps receive it, without what is not there: `x`, `(x, y)` or all three."""
    x, y, sample_weight = unpack(batch)
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (tuple, list)) else x


def _step_of(model: Any, kind: str) -> Callable[[Any], Any]:
    """Return `train_step`, `test_step` or `predict_step`, Keras's stateless form adapted."""
    step = getattr(model, f"{kind}_step")
    required = [p for p in inspect.signature(step).parameters.values() if p.kind in (0, 1) and p.default is p.empty]
    if len(required) < 2:
        return step
    if kind == "predict":
        groups: list[list[Variable]] = [model.trainable_variables, model.non_trainable_variables]
    elif kind == "test":
        groups = [model.trainable_variables, model.non_trainable_variables, model.metrics_variables]
    else:
        if model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
        groups = [
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables if model.optimizer is not None else [],
            model.metrics_variables,
        ]

    def stateful(data: Any) -> Any:
        state = tuple([v.value for v in group] for group in groups)
        result, new_state = step(state, data)
        for group, values in zip(groups, new_state, strict=False):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return result

    return stateful


def run_steps(step: Callable[[Any], Any], batches: tuple[Any, ...], keep_all: bool = False) -> Any:
    """Run `step` over batches of equal shapes; inside a trace as one loop.

    Args:
        step: Takes a batch; may assign variables.
        batches: The batches.
        keep_all: Whether the results of all are returned, as a list, instead of the last.
    """
    results = [step(batches[0])]
    if len(batches) > 2 and isinstance(tree.flatten(batches)[0], jax.core.Tracer) and not keep_all:
        # The first step ran by itself: it built what was not built. The others are a scan.
        last = _scan(step, batches[1:])
        return {name: last[name] for name in results[0]} if isinstance(last, dict) else last
    results.extend(step(batch) for batch in batches[1:])
    return results if keep_all else results[-1]


def _scan(step: Callable[[Any], Any], batches: tuple[Any, ...]) -> Any:
    stacked = tree.map_structure(lambda *a: None if a[0] is None else jnp.stack(a), *batches)
    assigned: list[Variable] = []

    def probe(batch: Any) -> None:
        with Overlay() as overlay:
            step(batch)
        assigned[:] = overlay.assigned

    jax.eval_shape(probe, batches[0])

    def body(values: list[Any], batch: Any) -> tuple[list[Any], Any]:
        with Overlay(assigned, values) as overlay:
            result = step(batch)
        return [overlay.value_of(v) for v in assigned], result

    values, results = jax.lax.scan(body, [v.value for v in assigned], stacked)
    for variable, value in zip(assigned, values, strict=True):
        variable.assign(value)
    return tree.map_structure(lambda a: a[-1], results)
