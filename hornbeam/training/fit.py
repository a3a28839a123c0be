"""The loop of `fit`.

A source yields batches, compiled steps run them, and callbacks get events. Weights are variables of
the model at every moment: whatever interrupts the loop, the model keeps the weights of the last
finished step.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hornbeam import errors, settings
from hornbeam.callbacks import CallbackList, History
from hornbeam.callbacks.monitor import expect_names
from hornbeam.core.results import Results
from hornbeam.data.adapters import refuse_mistakes
from hornbeam.data.sources import ArraySource, Source
from hornbeam.training.checks import check_before_training
from hornbeam.training.evaluate import Evaluation
from hornbeam.training.hooks import BatchHooks, callback_list
from hornbeam.training.host import source_for, source_on_host
from hornbeam.training.interrupts import Interrupts
from hornbeam.training.logs import Logs
from hornbeam.training.overrides import overrides
from hornbeam.training.plan import InFlight, Plan, make_plan
from hornbeam.training.requests import FitRequest, limited, warn_of_batch_size
from hornbeam.training.resume import Backups, Progress
from hornbeam.training.step import steps_for
from hornbeam.training.together import any_stops, check_same_data, meet
from hornbeam.training.weighting import class_weighted

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["fit"]


def fit(model: Trainable, request: FitRequest) -> History:
    """Train a model; see `Model.fit`."""
    compiled = model.require_compiled("fit")
    source = source_for(
        model, request.x, request.y, request.sample_weight, request.batch_size, request.shuffle,
        request.steps_per_epoch, trains=True,
    )  # fmt: skip
    warn_of_batch_size("fit", source, request.batch_size)
    source, validation = _split(model, source, request)
    check_before_training(model, source)
    total = request.steps_per_epoch or _limited_batches(source)
    callbacks = callback_list("fit", request, model, request.epochs, total, add_history=True)
    model.history = next((c for c in callbacks.callbacks if isinstance(c, History)), None)
    backups = Backups(model, callbacks, request.resume)
    check_same_data("fit", source, total, **{"the number of epochs": request.epochs})
    watched = source = backups.watch(source)
    source = source_on_host(model, source)
    if request.class_weight is not None:
        source = class_weighted(source, request.class_weight, model)
    fixed = compiled.steps_per_execution if compiled.steps_per_execution > 1 else None
    hooks = BatchHooks(callbacks, "train", fixed)
    steps = steps_for(model, "train", keep_all=hooks.every_step)
    plan = make_plan(steps, source, backups.seed, fixed)
    evaluation = (
        None
        if validation is None
        else Evaluation(model, validation, request.validation_steps, callbacks)
    )
    backups.attach(steps, watched, evaluation, request.epochs, total)
    model.stop_training = False

    with (
        Interrupts(backups.active) as interrupts,
        contextlib.closing(source),
        contextlib.closing(validation or Source()),
        backups,
    ):
        callbacks.on_train_begin()
        progress = backups.begin(plan, request.initial_epoch, interrupts)
        training = _Training(
            model, request, source, plan, hooks, callbacks, interrupts, backups, evaluation
        )
        logs = training.run_epochs(progress)
        meet("the end of fit")
        if model.optimizer is not None and request.epochs > request.initial_epoch:
            _finalize_weights(model)
        callbacks.on_train_end(logs)
        backups.finish(interrupts.terminated)
    return model.history


@dataclass
class _Training:
    """The epochs of a training, and the parts that they work with."""

    model: Trainable
    request: FitRequest
    source: Source
    plan: Plan
    hooks: BatchHooks
    callbacks: CallbackList
    interrupts: Interrupts
    backups: Backups
    evaluation: Evaluation | None
    _told_of_short_epoch: bool = False

    def run_epochs(self, progress: Progress) -> dict[str, Any]:
        """Run the remaining epochs; return the results of the last one."""
        first, logs = progress.epoch, progress.logs
        for epoch in range(
            first, self.request.epochs if progress.done or not progress.stopped else first
        ):
            if epoch > first:
                progress = Progress(epoch)
                if self.request.steps_per_epoch is None:
                    self.plan.begin(epoch)
            logs = self.run_epoch(progress) or logs
            if self.model.stop_training:
                break
        return logs

    def run_epoch(self, progress: Progress) -> dict[str, Any]:
        """Run an epoch, or its rest, with validation and events; return its results, none if the
        data are exhausted.
        """
        epoch, model, budget = progress.epoch, self.model, self.request.steps_per_epoch
        if not progress.done:
            model.reset_metrics()
        self.callbacks.on_epoch_begin(epoch)
        # `on_epoch_begin` of this epoch ran before the interruption: undo its second run
        if progress.done:
            self.backups.restore()
        done, logs = self.run_steps(progress)
        if done == 0:
            return self._without_batch(epoch)
        if self.evaluation is not None and self.interrupts.on_terminate:
            self.backups.remember(
                Progress(epoch, done, self.plan.position, logs, model.stop_training)
            )
        self._flush_gradients()
        self.source.on_epoch_end()
        epoch_logs = Results(logs)
        if epoch == self.request.initial_epoch:
            self._expect_names(epoch_logs)
        if self.evaluation is not None and self.request.validates_after(epoch):
            results = self.evaluation.run(self.interrupts)
            epoch_logs.update({f"val_{name}": value for name, value in results.items()})
        self.callbacks.on_epoch_end(epoch, epoch_logs)
        any_stops(model)
        if budget is not None and done < budget and not model.stop_training:
            self._end_early(epoch, done, budget)
        position = (epoch + 1, 0) if budget is None else self.plan.position
        is_last = epoch + 1 == self.request.epochs or model.stop_training
        after = Progress(epoch + 1, 0, position, epoch_logs, model.stop_training)
        self.backups.after_epoch(after, self.interrupts.terminated, is_last)
        return epoch_logs

    def _without_batch(self, epoch: int) -> dict[str, Any]:
        """End the training where the data yield nothing; raise in the first epoch."""
        text = f"fit: the data yielded no batch in epoch {epoch + 1}"
        remedy = (
            " A generator that is exhausted cannot start again: yield at least"
            " steps_per_epoch * epochs batches, or pass data that can be iterated anew."
        )
        if epoch == self.request.initial_epoch:
            raise ValueError(f"{text}.{remedy}")
        errors.warn(f"{text}; training stops.{remedy}")
        self.model.stop_training = True
        return {}

    def _end_early(self, epoch: int, done: int, budget: int) -> None:
        """Warn of an epoch that is shorter than `steps_per_epoch`."""
        text = f"fit: the data ended after {done} of {budget} steps in epoch {epoch + 1}"
        if not self.source.can_restart:
            errors.warn(f"{text}; training stops. Yield at least steps_per_epoch * epochs batches.")
            self.model.stop_training = True
        elif not self._told_of_short_epoch:
            self._told_of_short_epoch = True
            errors.warn(
                f"{text}. The next epoch starts a new pass over them. Leave out `steps_per_epoch`"
                " to make each epoch one pass."
            )

    def _expect_names(self, logs: dict[str, Any]) -> None:
        """Tell callbacks which results later epochs will have, as far as that is known."""
        names = list(logs)
        if self.evaluation is not None:
            if overrides(self.model, "test_step"):
                return
            names += [f"val_{name}" for name in names]
        expect_names(self.callbacks.callbacks, names)

    def run_steps(self, start: Progress) -> tuple[int, dict[str, Any]]:
        """Run the steps of an epoch from `start` on; return how many steps of it are done, and the
        last results.
        """
        done = start.done
        logs: dict[str, Any] = Logs(start.logs)
        asked = self.request.steps_per_epoch
        budget = settings.max_steps_per_epoch() if asked is None else asked
        left = 0 if start.stopped else budget if budget is None else budget - done
        in_flight = InFlight(self.plan.steps)
        self.plan.expect(
            start.epoch + 1 if asked is None and start.epoch + 1 < self.request.epochs else None
        )
        # With a given number of steps, a pass may last for several epochs.
        renew = asked is not None and done == 0
        for dispatch in self.plan.take(left, self._most_steps, renew):
            self.hooks.begin(done)
            with self.interrupts.held():
                results = dispatch.run()
            if done == start.done and self.evaluation is not None:
                self.evaluation.compile_ahead()
            in_flight.add(dispatch.steps, results)
            logs = self.hooks.end(done, dispatch, results)
            done += dispatch.steps
            if self.hooks.acts or self.hooks.every_step:
                any_stops(self.model)
            now = Progress(start.epoch, done, self.plan.position, logs, self.model.stop_training)
            self.backups.after_steps(dispatch.steps, now, self.interrupts.terminated)
            if self.model.stop_training:
                break
        in_flight.wait()
        return done, logs

    def _most_steps(self) -> int | None:
        """Return the number of steps until a callback or a backup must act; `None`: any."""
        return min(
            (n for n in (self.hooks.most(), self.backups.most()) if n is not None), default=None
        )

    def _flush_gradients(self) -> None:
        """Apply the gradients that an optimizer has accumulated so far."""
        flush = getattr(self.model.optimizer, "flush_gradients", None)
        if flush is not None:
            with self.interrupts.held():
                flush()


def _finalize_weights(model: Any) -> None:
    """Let an optimizer that averages weights set them to their averages."""
    finalize = getattr(model.optimizer, "finalize_variable_values", None)
    if finalize is not None:
        finalize(model.trainable_variables)


def _limited_batches(source: Source) -> int | None:
    number = source.num_batches
    return (
        None
        if number is None
        else limited("steps", number, settings.max_steps_per_epoch(), stacklevel=5)
    )


def _split(model: Trainable, source: Source, request: FitRequest) -> tuple[Source, Source | None]:
    """Return the sources of training and of validation."""
    batch_size = request.validation_batch_size or request.batch_size
    if request.validation_data is not None:
        return source, _validation_source(
            model, request.validation_data, batch_size, request.validation_steps
        )
    if not request.validation_split:
        return source, None
    if not isinstance(source, ArraySource):
        raise ValueError(
            "fit: `validation_split` needs arrays; pass `validation_data` beside a generator."
        )
    source, validation = source.split(request.validation_split)
    if request.validation_batch_size:
        x, y, sample_weight = validation.data
        validation = ArraySource(x, y, sample_weight, request.validation_batch_size)
    return source, validation


def _validation_source(
    model: Trainable, data: Any, batch_size: int | None, steps: int | None
) -> Source:
    if isinstance(data, (list, tuple)) and len(data) in (2, 3):
        x, y, sample_weight = (*data, None)[:3]
        return source_for(model, x, y, sample_weight, batch_size, steps=steps)
    refuse_mistakes(data, "validation_data")
    is_iterable = any(hasattr(data, name) for name in ("__iter__", "__next__", "__getitem__"))
    if not is_iterable or hasattr(data, "shape") or isinstance(data, (list, tuple, str, bytes)):
        raise ValueError(
            "fit: `validation_data` must be `(x, y)`, `(x, y, sample_weight)` or an iterable of"
            f" batches, received {errors.describe(data)}. Add the targets."
        )
    return source_on_host(model, source_for(model, data, batch_size=batch_size))
