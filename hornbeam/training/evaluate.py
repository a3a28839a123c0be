"""The loop of `evaluate`, which `fit` runs for validation too."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hornbeam import errors, settings
from hornbeam.callbacks import CallbackList
from hornbeam.data.sources import ArraySource, Source
from hornbeam.training.checks import check_before_training
from hornbeam.training.hooks import BatchHooks, callback_list
from hornbeam.training.host import source_for, source_on_host
from hornbeam.training.interrupts import Interrupts
from hornbeam.training.journal import drop
from hornbeam.training.logs import Logs
from hornbeam.training.padding import rows_are_independent
from hornbeam.training.plan import InFlight, Plan, compile_ahead, make_plan
from hornbeam.training.requests import EvaluateRequest, warn_of_batch_size
from hornbeam.training.resume import Terminated
from hornbeam.training.step import steps_for
from hornbeam.training.together import check_same_data

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["Evaluation", "evaluate", "without_names"]


def evaluate(model: Trainable, request: EvaluateRequest) -> Any:
    """Evaluate a model; see `Model.evaluate`."""
    model.require_compiled("evaluate")
    source = source_for(
        model, request.x, request.y, request.sample_weight, request.batch_size, steps=request.steps
    )
    source = source_on_host(model, source)
    warn_of_batch_size("evaluate", source, request.batch_size)
    check_before_training(model, source)
    callbacks = callback_list("evaluate", request, model, 1, request.steps or source.num_batches)
    evaluation = Evaluation(model, source, request.steps, callbacks)
    with Interrupts() as interrupts, contextlib.closing(source):
        results = evaluation.run(interrupts)
    return results if request.return_dict else without_names(results)


def without_names(results: dict[str, Any]) -> Any:
    """Return results without names, as Keras does: a list, or the value if there is one."""
    values = list(results.values())
    return values[0] if len(values) == 1 else values


class Evaluation:
    """Runs the steps of evaluation over a source, any number of times.

    Args:
        model: A compiled model.
        source: The data.
        number: Steps of an evaluation; `None` for all batches.
        callbacks: The callbacks.

    Attributes:
        consumed: Batches that were read and cannot be read again.
    """

    def __init__(
        self, model: Trainable, source: Source, number: int | None, callbacks: CallbackList
    ):
        self._model, self._source, self._number, self._callbacks = model, source, number, callbacks
        fixed = model.require_compiled("evaluate").steps_per_execution
        self._fixed = fixed if fixed > 1 else None
        self._hooks = BatchHooks(callbacks, "test", self._fixed)
        self.consumed = 0
        self._told = False
        self._plan: Plan | None = None
        self._compiling: concurrent.futures.Future[None] | None = None

    def _made_plan(self) -> Plan:
        if self._plan is None:
            pad = isinstance(self._source, ArraySource) and rows_are_independent(
                self._model, "test"
            )
            steps = steps_for(self._model, "test", keep_all=self._hooks.every_step, padded=pad)
            self._plan = make_plan(steps, self._source, fixed=self._fixed, pad=pad)
        return self._plan

    def compile_ahead(self) -> None:
        """Compile in the background what the first evaluation will need."""
        if (
            self._plan is None
            and isinstance(self._source, ArraySource)
            and not self._model.run_eagerly
        ):
            self._compiling = compile_ahead(self._made_plan().compile)

    @property
    def batches(self) -> int | None:
        """The maximum number of batches of an evaluation; `None` if it is not known."""
        return self._number or settings.max_steps_per_epoch() or self._source.num_batches

    def skip(self, batches: int, note: Callable[[], None]) -> None:
        """Drop batches that an earlier process has evaluated, if they cannot be read again."""
        if not self._source.can_restart:
            drop(self._source.epoch(0, 0), batches, note)
            self.consumed += batches

    def run(self, interrupts: Interrupts) -> dict[str, Any]:
        """Evaluate; return the results by name.

        Raises:
            Terminated: If SIGTERM came.
            ValueError: If the data yield no batch.
        """
        if self._compiling is not None:
            concurrent.futures.wait([self._compiling])
            self._compiling = None
        check_same_data("an evaluation", self._source, self._number)
        plan = self._made_plan()
        self._model.reset_metrics()
        self._callbacks.on_test_begin()
        logs: dict[str, Any] = Logs()
        done = 0
        with interrupts.held():
            plan.begin(0)
        in_flight = InFlight(plan.steps)
        for dispatch in plan.take(self._number or settings.max_steps_per_epoch(), self._hooks.most):
            self._hooks.begin(done)
            with interrupts.held():
                results = dispatch.run()
            in_flight.add(dispatch.steps, results)
            logs = self._hooks.end(done, dispatch, results)
            done += dispatch.steps
            if interrupts.terminated:
                raise Terminated
        in_flight.wait()
        self._check_number(done)
        if not self._source.can_restart:
            self.consumed += done
        found = dict(logs)
        self._callbacks.on_test_end(found)
        return found

    def _check_number(self, done: int) -> None:
        """Raise if the data yielded nothing, warn if fewer batches than asked for."""
        if done == 0 and not self.consumed:
            raise ValueError("evaluate: the data yielded no batch.")
        if (done == 0 or (self._number or 0) > done) and not self._told:
            self._told = True
            asked = "" if self._number is None else f" of {self._number}"
            remedy = (
                ""
                if self._source.can_restart
                else " A generator that is exhausted cannot start again: yield as many batches as"
                " all evaluations need, or pass data that can be iterated anew."
            )
            errors.warn(f"The data of the evaluation ended after {done}{asked} steps.{remedy}")
