"""The loops of `fit`, `evaluate` and `predict`, which read top to bottom.

Source of batches -> compiled steps -> events for callbacks. Weights are variables
of the model at every moment: whatever interrupts a loop, the model keeps the
weights of the last finished step.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from hornbeam import errors, settings, tree
from hornbeam.callbacks import CallbackList, History
from hornbeam.data.dataset import PyDataset
from hornbeam.data.sources import ArraySource, Source, as_arrays, make_source
from hornbeam.layers.state import changes, flatten_layers, own_variables
from hornbeam.training.checks import check_before_training
from hornbeam.training.hooks import BatchHooks, Logs
from hornbeam.training.interrupts import Interrupts
from hornbeam.training.journal import drop
from hornbeam.training.padding import padded_size, rows_are_independent
from hornbeam.training.plan import Dispatch, InFlight, Plan, compile_ahead, make_plan
from hornbeam.training.resume import Backups, Progress, Terminated
from hornbeam.training.step import Steps
from hornbeam.training.weighting import class_weighted

__all__ = ["call_compiled", "evaluate", "fit", "on_batch", "predict", "predict_on_batch"]


def fit(
    model: Any,
    x: Any,
    y: Any,
    *,
    batch_size: int | None,
    epochs: int,
    verbose: Any,
    callbacks: Any,
    validation_split: float,
    validation_data: Any,
    shuffle: Any,
    class_weight: Any,
    sample_weight: Any,
    initial_epoch: int,
    steps_per_epoch: int | None,
    validation_steps: int | None,
    validation_batch_size: int | None,
    validation_freq: Any,
    resume: Any = None,
    **old: Any,
) -> Any:
    """Train; see `Model.fit`."""
    epochs = _old_arguments(old, epochs, x)
    compiled = model._need_compiled("fit")
    _check_numbers(epochs, initial_epoch, steps_per_epoch)
    epochs, steps_per_epoch = _limited("epochs", epochs), _limited_steps(steps_per_epoch)
    source = make_source(x, y, sample_weight, batch_size, shuffle)
    source, validation = _split(source, validation_data, validation_split, validation_batch_size, batch_size)
    check_before_training(model, source)
    total = steps_per_epoch or _limited_steps(source.num_batches)
    callbacks = _listed(callbacks, model, verbose, epochs, total, add_history=True)
    model.history = next((c for c in callbacks.callbacks if isinstance(c, History)), None)
    backups = Backups(model, callbacks, resume)
    watched = source = backups.watch(source)
    if class_weight is not None:
        source = class_weighted(source, class_weight, model)
    fixed = compiled.steps_per_execution if compiled.steps_per_execution > 1 else None
    hooks = BatchHooks(callbacks, "train", fixed)
    steps = steps_for(model, "train", keep_all=hooks.every_step)
    plan = make_plan(steps, source, backups.seed, fixed)
    validator = None if validation is None else _Validator(model, validation, validation_steps, callbacks)
    backups.attach(steps, watched, validator, epochs, total)
    model.stop_training = False

    with (
        Interrupts(backups.active) as interrupts,
        contextlib.closing(source),
        contextlib.closing(validation or Source()),
        backups,
    ):
        callbacks.on_train_begin()
        progress = backups.begin(plan, initial_epoch, interrupts)
        run = _Run(
            model, plan, steps, hooks, interrupts, validator, backups, callbacks, source, epochs, steps_per_epoch,
            validation_freq,
        )  # fmt: skip
        logs = run.train(progress)
        finish = getattr(model.optimizer, "finalize_variable_values", None)
        if finish is not None and model.optimizer is not None and epochs > initial_epoch:
            finish(model.trainable_variables)
        callbacks.on_train_end(logs)
        backups.finish(interrupts.terminated)
    return model.history


def _check_numbers(epochs: Any, initial_epoch: Any, steps_per_epoch: Any) -> None:
    for name, number in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 0:
            raise ValueError(f"fit: `{name}` must be a non-negative integer, received {number!r}.")
    if steps_per_epoch is not None and steps_per_epoch < 1:
        raise ValueError(f"fit: `steps_per_epoch` must be a positive integer, received {steps_per_epoch}.")


def _split(
    source: Source, validation_data: Any, validation_split: float, validation_batch_size: int | None,
    batch_size: int | None,
) -> tuple[Source, Source | None]:  # fmt: skip
    """Return what is trained on and what is validated on."""
    if validation_data is not None:
        return source, _validation_source(validation_data, validation_batch_size or batch_size)
    if not validation_split:
        return source, None
    if not isinstance(source, ArraySource):
        raise ValueError("fit: `validation_split` needs arrays; pass `validation_data` beside a generator.")
    if not 0 < validation_split < 1:
        raise ValueError(f"fit: `validation_split` must be between 0 and 1, received {validation_split}.")
    source, validation = source.split(validation_split)
    if validation_batch_size:
        validation = ArraySource(*validation.data, batch_size=validation_batch_size)
    return source, validation


def _listed(callbacks: Any, model: Any, verbose: Any, epochs: int, steps: int | None, **more: Any) -> CallbackList:
    """Return the callbacks as a list that calls them all, with a progress bar where one is wanted."""
    if isinstance(callbacks, CallbackList):
        return callbacks
    verbose = _verbosity(verbose)
    return CallbackList(
        callbacks, add_progbar=verbose != 0, model=model, verbose=verbose, epochs=epochs, steps=steps, **more
    )


@dataclasses.dataclass
class _Run:
    """The epochs of a training, and what they work with."""

    model: Any
    plan: Plan
    steps: Steps
    hooks: BatchHooks
    interrupts: Any
    validator: Any
    backups: Backups
    callbacks: CallbackList
    source: Source
    epochs: int
    steps_per_epoch: int | None
    validation_freq: Any

    def train(self, progress: Progress) -> Any:
        """Run the epochs that are left; return the last one's results."""
        first, logs = progress.epoch, progress.logs
        for epoch in range(first, self.epochs if progress.done or not progress.stopped else first):
            if epoch > first:
                progress = Progress(epoch)
                if self.steps_per_epoch is None:
                    self.plan.begin(epoch)
            logs = self.whole_epoch(progress)
            if self.model.stop_training:
                break
        return logs

    def whole_epoch(self, progress: Progress) -> Any:
        """Run an epoch, or the rest of it, with its validation and its events; return its results."""
        epoch, model, steps = progress.epoch, self.model, self.steps_per_epoch
        if not progress.done:
            model.reset_metrics()
        self.callbacks.on_epoch_begin(epoch)
        if progress.done:  # the epoch had begun before: hooks of its beginning are not to count twice
            self.backups.restore()
        budget = settings.max_steps_per_epoch() if steps is None else steps
        following = epoch + 1 if steps is None and epoch + 1 < self.epochs else None
        done, logs = self.epoch(progress, budget, steps is not None, following)
        if done == 0:
            raise ValueError(
                f"fit: the data yielded no batch in epoch {epoch + 1}. A generator must yield at least "
                "one; an exhausted one cannot start again (pass `steps_per_epoch`, or a data set "
                "that can be iterated anew)."
            )
        ended_early = steps is not None and done < steps and not model.stop_training
        if self.validator is not None and self.interrupts.on_terminate:
            self.backups.remember(Progress(epoch, done, self.plan.position, logs, model.stop_training))
        _flush_gradients(model, self.interrupts)
        self.source.on_epoch_end()
        epoch_logs = dict(logs.items())
        if self.validator is not None and _due(epoch, self.validation_freq):
            results = self.validator.run(self.interrupts)
            epoch_logs.update({f"val_{name}": value for name, value in results.items()})
        self.callbacks.on_epoch_end(epoch, epoch_logs)
        if ended_early:
            warnings.warn(
                f"fit: the data ended after {done} of {steps} steps in epoch {epoch + 1}; "
                "training stops. Yield at least steps_per_epoch * epochs batches.",
                stacklevel=5,
            )
            model.stop_training = True
        position = (epoch + 1, 0) if steps is None else self.plan.position
        after = Progress(epoch + 1, 0, position, epoch_logs, model.stop_training)
        self.backups.after_epoch(after, self.interrupts.terminated, epoch + 1 == self.epochs or model.stop_training)
        return epoch_logs

    def epoch(self, start: Progress, budget: int | None, over_passes: bool, following: int | None) -> tuple[int, Any]:
        """Run the steps of an epoch; return their number and the last results.

        Args:
            start: Where the epoch stands: not at its beginning where a training goes on.
            budget: Most steps; `None`: to the end of the pass.
            over_passes: Whether the data start anew where they end before the budget.
            following: Number of the pass that will follow, if it is known.
        """
        done, logs = start.done, Logs(start.logs)
        left = 0 if start.stopped else budget if budget is None else budget - done
        in_flight = InFlight(self.steps)
        self.plan.expect(following)
        for dispatch in self.plan.take(left, self._most, over_passes):
            self.hooks.begin(done)
            with self.interrupts.held():
                results = dispatch.run()
            if done == start.done and self.validator is not None:
                self.validator.compile_ahead()
            in_flight.add(dispatch.steps, results)
            logs = self.hooks.end(done, dispatch, results)
            done += dispatch.steps
            now = Progress(start.epoch, done, self.plan.position, logs, self.model.stop_training)
            self.backups.after_steps(dispatch.steps, now, self.interrupts.terminated)
            if self.model.stop_training:
                break
        in_flight.wait()
        return done, logs

    def _most(self) -> int | None:
        """Return the most steps until somebody must act."""
        return min((n for n in (self.hooks.most(), self.backups.most()) if n is not None), default=None)


def _flush_gradients(model: Any, interrupts: Any) -> None:
    """Let an optimizer that accumulates gradients use what an epoch's end left over."""
    flush = getattr(model.optimizer, "flush_gradients", None)
    if flush is not None:
        with interrupts.held():
            flush()


def evaluate(
    model: Any, x: Any, y: Any, batch_size: int | None, verbose: Any, sample_weight: Any,
    steps: int | None, callbacks: Any, return_dict: bool, **old: Any,
) -> Any:  # fmt: skip
    """Evaluate; see `Model.evaluate`."""
    _old_arguments(old, 1)
    model._need_compiled("evaluate")
    source = make_source(x, y, sample_weight, batch_size)
    check_before_training(model, source)
    callbacks = _listed(callbacks, model, verbose, 1, steps or source.num_batches)
    validator = _Validator(model, source, _limited_steps(steps), callbacks)
    with Interrupts() as interrupts, contextlib.closing(source):
        results = validator.run(interrupts)
    if return_dict:
        return results
    values = list(results.values())
    return values[0] if len(values) == 1 else values


class _Validator:
    """Runs the steps of evaluation over a source, any number of times."""

    def __init__(self, model: Any, source: Source, number: int | None, callbacks: Any):
        self._model, self._source, self._number, self._callbacks = model, source, number, callbacks
        fixed = model._compiled.steps_per_execution
        self._fixed = fixed if fixed > 1 else None
        self._hooks = BatchHooks(callbacks, "test", self._fixed)
        self.consumed = 0  # batches that cannot be read again
        self._plan: Plan | None = None
        self._compiling: concurrent.futures.Future | None = None

    def _prepare(self) -> None:
        pad = isinstance(self._source, ArraySource) and rows_are_independent(self._model, "test")
        self._steps = steps_for(self._model, "test", keep_all=self._hooks.every_step, padded=pad)
        self._plan = make_plan(self._steps, self._source, fixed=self._fixed, pad=pad)

    def compile_ahead(self) -> None:
        """Compile in the background what the first evaluation will need."""
        if self._plan is None and isinstance(self._source, ArraySource) and not self._model.run_eagerly:
            self._prepare()
            assert self._plan is not None
            self._compiling = compile_ahead(self._plan.compile)

    @property
    def batches(self) -> int | None:
        """The most batches of an evaluation; `None`: not known."""
        return self._number or settings.max_steps_per_epoch() or self._source.num_batches

    def skip(self, batches: int, note: Callable[[], None]) -> None:
        """Read and drop batches that an earlier process has evaluated, where they cannot be read again."""
        if not self._source.can_restart:
            drop(self._source.epoch(0, 0), batches, note)
            self.consumed += batches

    def run(self, interrupts: Any) -> dict[str, Any]:
        """Evaluate; return the results by name."""
        if self._compiling is not None:
            concurrent.futures.wait([self._compiling])
            self._compiling = None
        if self._plan is None:
            self._prepare()
        assert self._plan is not None
        model, hooks, callbacks = self._model, self._hooks, self._callbacks
        model.reset_metrics()
        callbacks.on_test_begin()
        logs, done = Logs({}), 0
        with interrupts.held():
            self._plan.begin(0)
        in_flight = InFlight(self._steps)
        for dispatch in self._plan.take(self._number or settings.max_steps_per_epoch(), hooks.most):
            hooks.begin(done)
            with interrupts.held():
                results = dispatch.run()
            in_flight.add(dispatch.steps, results)
            logs = hooks.end(done, dispatch, results)
            done += dispatch.steps
            if interrupts.terminated:
                raise Terminated
        in_flight.wait()
        if not self._source.can_restart:
            self.consumed += done
        if done == 0:
            raise ValueError("evaluate: the data yielded no batch.")
        found = dict(logs.items())
        callbacks.on_test_end(found)
        return found


def predict(model: Any, x: Any, batch_size: int | None, verbose: Any, steps: int | None, callbacks: Any) -> Any:
    """Predict; see `Model.predict`."""
    if callbacks is None and steps is None and isinstance(x, (np.ndarray, jax.Array)) and verbose in (0, "auto"):
        if 0 < len(x) <= (batch_size or 32) and (verbose == 0 or not settings.output_is_terminal()):
            return _predict_rows(model, x)
    source = make_source(x, batch_size=batch_size)
    if isinstance(source, ArraySource):
        for a in tree.flatten(source.data[0]):
            if a is not None and a.dtype.kind not in "biufcV":
                raise ValueError(f"predict: `x` has dtype {a.dtype}; expected numbers.")
    steps = _limited_steps(steps)
    callbacks = _listed(callbacks, model, verbose, 1, steps or _limited_steps(source.num_batches))
    hooks = BatchHooks(callbacks, "predict")
    program = steps_for(model, "predict", keep_all=True)
    pad = isinstance(source, ArraySource) and rows_are_independent(model, "predict")
    plan = make_plan(program, source, pad=pad)
    gathered = _Outputs()
    callbacks.on_predict_begin()
    done = 0
    with contextlib.closing(source):
        plan.begin(0)
        in_flight = InFlight(program)
        for dispatch in plan.take(steps or settings.max_steps_per_epoch(), hooks.most):
            hooks.begin(done)
            results = dispatch.run()
            in_flight.add(dispatch.steps, results)
            gathered.add(dispatch, results)
            hooks.end(done, dispatch, results if hooks.every_step else gathered.latest if hooks.acts else None)
            done += dispatch.steps
    callbacks.on_predict_end()
    return gathered.rows()


class _Outputs:
    """Rows of outputs, copied to the host when the device has them."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._waiting: list[tuple[Dispatch, Any]] = []

    def add(self, dispatch: Dispatch, results: Any) -> None:
        self._waiting.append((dispatch, results))
        if len(self._waiting) > 2:
            self._take()

    @property
    def latest(self) -> Any:
        while self._waiting:
            self._take()
        return self._parts[-1]

    def _take(self) -> None:
        dispatch, results = self._waiting.pop(0)
        self._parts.append(dispatch.by_row(results))

    def rows(self) -> Any:
        while self._waiting:
            self._take()
        if not self._parts:
            raise ValueError("predict: the data yielded no batch.")
        if len(self._parts) == 1:
            return tree.map_structure(lambda a: a if a.flags.writeable else np.array(a), self._parts[0])
        return tree.map_structure(lambda *parts: np.concatenate(parts), *self._parts)


def _predict_rows(model: Any, x: Any) -> Any:
    """Return the outputs for one batch of rows: the short way."""
    batch = as_arrays(x, "x")
    if batch.dtype.kind not in "biufcV":
        raise ValueError(f"predict: `x` has dtype {batch.dtype}; expected numbers.")
    program = steps_for(model, "predict", keep_all=True)
    rows = len(batch)
    size = rows if program.exact_rows else padded_size(rows, 2**31)
    if size > rows:
        batch = np.concatenate([batch, np.broadcast_to(batch[-1:], (size - rows, *batch.shape[1:]))])
    outputs = program.once((batch, None, None))
    if isinstance(outputs, jax.Array):
        return np.array(outputs)[:rows]
    return tree.map_structure(lambda a: np.array(a)[:rows], outputs)


def on_batch(model: Any, kind: str, x: Any, y: Any, sample_weight: Any, class_weight: Any, return_dict: bool) -> Any:
    """Run one batch through a step of training or evaluation; see `Model.train_on_batch`."""
    model._need_compiled(f"{kind}_on_batch")
    rows = next((len(a) for a in tree.flatten(x) if hasattr(a, "__len__")), 0)
    source: Source = ArraySource(x, y, sample_weight, batch_size=max(rows, 1))
    check_before_training(model, source)
    if class_weight is not None:
        source = class_weighted(source, class_weight, model)
    batch = next(source.epoch(0, 0))
    model.reset_metrics()  # a result is of this batch alone
    with Interrupts() as interrupts, interrupts.held():
        results = Logs(steps_for(model, kind).once(batch)).read()
    if return_dict:
        return results
    values = list(results.values())
    return values[0] if len(values) == 1 else values


def predict_on_batch(model: Any, x: Any) -> Any:
    """Return outputs for one batch; see `Model.predict_on_batch`."""
    outputs = steps_for(model, "predict", keep_all=True).once((as_arrays(x, "x"), None, None))
    return tree.map_structure(np.asarray, outputs)


# --- parts of the loops ---------------------------------------------------------------------------


def steps_for(model: Any, kind: str, keep_all: bool = False, padded: bool = False, own: bool = True) -> Steps:
    """Return the model's compiled steps of a kind, made anew when what they rest on changed; see `Steps`."""
    name = (kind, keep_all, padded, own, model.run_eagerly)
    known = model._programs.get(name)
    if known is not None and known[0] == changes.count:
        return known[2]
    # Adaptation and quantization give a layer other variables.
    now = changes.count
    switches = tuple((layer.trainable, len(own_variables(layer))) for layer in flatten_layers(model))
    steps = known[2] if known is not None and known[1] == switches else Steps(model, kind, keep_all, padded, own)
    model._programs[name] = (now, switches, steps)
    return steps


def call_compiled(model: Any, inputs: Any) -> Any:
    """Return `model(inputs)` outside of training, by the compiled step of prediction."""
    return steps_for(model, "predict", keep_all=True).once((inputs, None, None))


def _due(epoch: int, frequency: Any) -> bool:
    if isinstance(frequency, (list, tuple, set)):
        return epoch + 1 in frequency
    if not isinstance(frequency, (int, np.integer)) or frequency < 1:
        raise ValueError(
            f"fit: `validation_freq` must be a positive integer or a list of epochs, received {frequency!r}."
        )
    return (epoch + 1) % frequency == 0


def _validation_source(data: Any, batch_size: int | None) -> Source:
    if isinstance(data, (list, tuple)):
        if len(data) not in (2, 3):
            raise ValueError(
                "fit: `validation_data` must be `(x, y)`, `(x, y, sample_weight)` or an iterable of batches, "
                f"received a {type(data).__name__} of {len(data)}."
            )
        return (
            make_source(*data, batch_size=batch_size)
            if len(data) == 2
            else ArraySource(*data, batch_size=batch_size or 32)
        )
    if hasattr(data, "shape"):
        raise ValueError(
            "fit: `validation_data` must be `(x, y)`, `(x, y, sample_weight)` or an iterable of batches, received a "
            f"{errors.describe(data)}. Add the targets."
        )
    return make_source(data, batch_size=batch_size)


def _verbosity(verbose: Any) -> int:
    if verbose == "auto":
        return 1 if settings.output_is_terminal() else 2
    if verbose not in (0, 1, 2):
        raise ValueError(f"`verbose` must be 0, 1, 2 or 'auto', received {verbose!r}.")
    return int(verbose)


def _limited(what: str, number: int) -> int:
    """Return `number`, or the limit that `hornbeam.config` sets to it, with a warning."""
    limit = settings.max_epochs() if what == "epochs" else settings.max_steps_per_epoch()
    if limit is None or number <= limit:
        return number
    warnings.warn(f"`hornbeam.config` limits {what} to {limit} (of {number}).", stacklevel=4)
    return limit


def _limited_steps(steps: int | None) -> int | None:
    return None if steps is None else _limited("steps", steps)


def _old_arguments(old: dict[str, Any], epochs: int, data: Any = None) -> int:
    """Take the arguments that earlier Keras versions knew; those about workers belong to a `PyDataset` today."""
    for name in ("max_queue_size", "workers", "use_multiprocessing"):
        if name in old and isinstance(data, PyDataset) and old[name] is not None:
            setattr(data, name, old[name])
    if "nb_epoch" in old:
        warnings.warn("`nb_epoch` is Keras 1's word for `epochs`.", DeprecationWarning, stacklevel=4)
        epochs = old.pop("nb_epoch")
    for name in (
        "max_queue_size",
        "max_q_size",
        "workers",
        "nb_worker",
        "use_multiprocessing",
        "pickle_safe",
        "show_accuracy",
    ):
        old.pop(name, None)
    if old:
        raise TypeError(f"Unexpected arguments {errors.one_of(sorted(old))}.")
    return epochs
