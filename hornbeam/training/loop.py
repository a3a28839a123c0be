"""The loops of `fit`, `evaluate` and `predict`, which read top to bottom.

Source of batches -> compiled steps -> events for callbacks. Weights are variables
of the model at every moment: whatever interrupts a loop, the model keeps the
weights of the last finished step.
"""

from __future__ import annotations

import itertools
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from hornbeam import config, errors, tree
from hornbeam.callbacks import Callback, CallbackList, History
from hornbeam.core.random import make_default_seed
from hornbeam.data.sources import ArraySource, Source, make_source
from hornbeam.training.checks import check_before_training
from hornbeam.training.step import make_program
from hornbeam.training.weighting import ClassWeighted

__all__ = ["evaluate", "fit", "on_batch", "predict", "predict_on_batch"]


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
    **old: Any,
) -> Any:
    """Train; see `Model.fit`."""
    epochs = _old_arguments(old, epochs)
    compiled = model._need_compiled("fit")
    for name, number in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 0:
            raise ValueError(f"fit: `{name}` must be a non-negative integer, received {number!r}.")
    if steps_per_epoch is not None and steps_per_epoch < 1:
        raise ValueError(f"fit: `steps_per_epoch` must be a positive integer, received {steps_per_epoch}.")

    epochs, steps_per_epoch = _limited("epochs", epochs), _limited_steps(steps_per_epoch)
    source = make_source(x, y, sample_weight, batch_size, shuffle)
    validation: Source | None = None
    if validation_data is not None:
        validation = _validation_source(validation_data, validation_batch_size or batch_size)
    elif validation_split:
        if not isinstance(source, ArraySource):
            raise ValueError("fit: `validation_split` needs arrays; pass `validation_data` beside a generator.")
        if not 0 < validation_split < 1:
            raise ValueError(f"fit: `validation_split` must be between 0 and 1, received {validation_split}.")
        source, validation = source.split(validation_split)
        if validation_batch_size:
            validation = ArraySource(*validation.data, batch_size=validation_batch_size)
    check_before_training(model, source)
    if class_weight is not None:
        source = ClassWeighted(source, class_weight, model)

    steps = steps_per_epoch or _limited_steps(source.num_batches)
    verbose = _verbosity(verbose)
    if not isinstance(callbacks, CallbackList):
        callbacks = CallbackList(
            callbacks, add_history=True, add_progbar=verbose != 0, model=model,
            verbose=verbose, epochs=epochs, steps=steps,
        )  # fmt: skip
    model.history = next((c for c in callbacks.callbacks if isinstance(c, History)), None)
    program = _program(model, "train")
    seed = make_default_seed()
    eager_logs = _wants_logs(callbacks, "train")
    model.stop_training = False
    logs: dict[str, Any] = {}

    with _Interrupts() as interrupts:
        callbacks.on_train_begin()
        batches: Iterator[Any] | None = None
        for epoch in range(initial_epoch, epochs):
            model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            if batches is None:
                batches = source.epoch(seed, epoch)
            if steps_per_epoch is None:
                taken = itertools.islice(batches, config.max_steps_per_epoch())
            else:
                taken = _take(source, batches, steps_per_epoch, seed, epoch)
            step, logs = 0, {}
            for chunk in _chunks(taken, compiled.steps_per_execution):
                callbacks.on_train_batch_begin(step)
                with interrupts.held():
                    logs = Logs(program(*chunk))
                step += len(chunk)
                callbacks.on_train_batch_end(step - 1, dict(logs.read()) if eager_logs else logs)
                if model.stop_training:
                    break
            if step == 0:
                raise ValueError(
                    f"fit: the data yielded no batch in epoch {epoch + 1}. A generator must yield at least "
                    "one; an exhausted one cannot start again (pass `steps_per_epoch`, or a data set "
                    "that can be iterated anew)."
                )
            ended_early = steps_per_epoch is not None and step < steps_per_epoch and not model.stop_training
            if steps_per_epoch is None or ended_early:
                batches = None
            source.on_epoch_end()
            epoch_logs = dict(logs.read())
            if validation is not None and _due(epoch, validation_freq):
                results = _run_evaluation(model, validation, validation_steps, callbacks, interrupts)
                epoch_logs.update({f"val_{name}": value for name, value in results.items()})
            callbacks.on_epoch_end(epoch, epoch_logs)
            logs = Logs(epoch_logs)
            if ended_early:
                warnings.warn(
                    f"fit: the data ended after {step} of {steps_per_epoch} steps in epoch {epoch + 1}; "
                    "training stops. Yield at least steps_per_epoch * epochs batches.",
                    stacklevel=3,
                )
                model.stop_training = True
            if model.stop_training:
                break
        finish = getattr(model.optimizer, "finalize_variable_values", None)
        if finish is not None and model.optimizer is not None and epochs > initial_epoch:
            finish(model.trainable_variables)
        callbacks.on_train_end(dict(logs.read()) if isinstance(logs, Logs) else {})
    return model.history


def evaluate(
    model: Any, x: Any, y: Any, batch_size: int | None, verbose: Any, sample_weight: Any,
    steps: int | None, callbacks: Any, return_dict: bool, **old: Any,
) -> Any:  # fmt: skip
    """Evaluate; see `Model.evaluate`."""
    _old_arguments(old, 1)
    model._need_compiled("evaluate")
    source = make_source(x, y, sample_weight, batch_size)
    check_before_training(model, source)
    verbose = _verbosity(verbose)
    if not isinstance(callbacks, CallbackList):
        callbacks = CallbackList(
            callbacks, add_progbar=verbose != 0, model=model, verbose=verbose, epochs=1,
            steps=steps or source.num_batches,
        )  # fmt: skip
    steps = _limited_steps(steps)
    with _Interrupts() as interrupts:
        results = _run_evaluation(model, source, steps, callbacks, interrupts)
    if return_dict:
        return results
    values = list(results.values())
    return values[0] if len(values) == 1 else values


def _run_evaluation(model: Any, source: Source, steps: int | None, callbacks: Any, interrupts: Any) -> dict[str, Any]:
    program = _program(model, "test")
    eager_logs = _wants_logs(callbacks, "test")
    model.reset_metrics()
    callbacks.on_test_begin()
    logs, step = Logs({}), 0
    for batch in itertools.islice(source.epoch(0, 0), steps or config.max_steps_per_epoch()):
        callbacks.on_test_batch_begin(step)
        with interrupts.held():
            logs = Logs(program(batch))
        callbacks.on_test_batch_end(step, dict(logs.read()) if eager_logs else logs)
        step += 1
    if step == 0:
        raise ValueError("evaluate: the data yielded no batch.")
    results = dict(logs.read())
    callbacks.on_test_end(results)
    return results


def predict(model: Any, x: Any, batch_size: int | None, verbose: Any, steps: int | None, callbacks: Any) -> Any:
    """Predict; see `Model.predict`."""
    source = make_source(x, batch_size=batch_size)
    if isinstance(source, ArraySource):
        for a in tree.flatten(source.data[0]):
            if a is not None and a.dtype.kind not in "biufcV":
                raise ValueError(f"predict: `x` has dtype {a.dtype}; expected numbers.")
    verbose = _verbosity(verbose)
    steps = _limited_steps(steps)
    total = steps or _limited_steps(source.num_batches)
    if not isinstance(callbacks, CallbackList):
        callbacks = CallbackList(
            callbacks, add_progbar=verbose != 0, model=model, verbose=verbose, epochs=1, steps=total
        )
    program = _program(model, "predict")
    outputs: list[Any] = []
    callbacks.on_predict_begin()
    for step, (batch, _, _) in enumerate(itertools.islice(source.epoch(0, 0), steps or config.max_steps_per_epoch())):
        callbacks.on_predict_batch_begin(step)
        # A batch of inputs alone, whatever nests in it.
        result = program((batch, None, None))[0]
        outputs.append(result)
        callbacks.on_predict_batch_end(step, {"outputs": result})
    callbacks.on_predict_end()
    if not outputs:
        raise ValueError("predict: the data yielded no batch.")
    return tree.map_structure(lambda *parts: np.concatenate([np.asarray(p) for p in parts]), *outputs)


def on_batch(model: Any, kind: str, x: Any, y: Any, sample_weight: Any, class_weight: Any, return_dict: bool) -> Any:
    """Run one batch through a step of training or evaluation; see `Model.train_on_batch`."""
    model._need_compiled(f"{kind}_on_batch")
    rows = next((len(a) for a in tree.flatten(x) if hasattr(a, "__len__")), 0)
    source: Source = ArraySource(x, y, sample_weight, batch_size=max(rows, 1))
    check_before_training(model, source)
    if class_weight is not None:
        source = ClassWeighted(source, class_weight, model)
    batch = next(source.epoch(0, 0))
    model.reset_metrics()  # a result is of this batch alone
    with _Interrupts() as interrupts, interrupts.held():
        results = Logs(_program(model, kind)(batch)).read()
    if return_dict:
        return results
    values = list(results.values())
    return values[0] if len(values) == 1 else values


def predict_on_batch(model: Any, x: Any) -> Any:
    """Return outputs for one batch; see `Model.predict_on_batch`."""
    (batch, _, _) = next(ArraySource(x, batch_size=2**31).epoch(0, 0))
    return tree.map_structure(np.asarray, _program(model, "predict")((batch, None, None))[0])


# --- parts of the loops ---------------------------------------------------------------------------


class Logs(dict):
    """Results by name that are fetched from the device when somebody reads them."""

    def __init__(self, values: Any):
        super().__init__(values or {})
        self._fetched = False

    def read(self) -> Logs:
        """Fetch all values, as floats (arrays for metrics with several)."""
        if not self._fetched:
            self._fetched = True
            for name, value in list(super().items()):
                array = np.asarray(value) if not isinstance(value, (int, float)) else value
                super().__setitem__(name, float(array) if np.ndim(array) == 0 else array)
        return self

    def __getitem__(self, name: str) -> Any:
        return dict.__getitem__(self.read(), name)

    def get(self, name: str, default: Any = None) -> Any:
        return dict.get(self.read(), name, default)

    def items(self) -> Any:
        return dict.items(self.read())

    def values(self) -> Any:
        return dict.values(self.read())

    def copy(self) -> dict[str, Any]:
        return dict(self.items())


def _program(model: Any, kind: str) -> Any:
    """Return the model's compiled program of a kind, made anew when what it rests on changed."""
    key = (model.run_eagerly, tuple(layer.trainable for layer in model._flatten_layers()))
    known = model._programs.get(kind)
    if known is None or known[0] != key:
        known = (key, make_program(model, kind))
        model._programs[kind] = known
    return known[1]


def _chunks(batches: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    """Group batches of equal shapes into tuples of `size`; what does not fill one comes singly."""
    if size == 1:
        for batch in batches:
            yield (batch,)
        return
    pending: list[Any] = []
    shapes: Any = None
    for batch in batches:
        own = [np.shape(a) for a in tree.flatten(batch)]
        if pending and own != shapes:
            yield from ((b,) for b in pending)
            pending = []
        shapes = own
        pending.append(batch)
        if len(pending) == size:
            yield tuple(pending)
            pending = []
    yield from ((b,) for b in pending)


def _take(source: Source, batches: Iterator[Any], count: int, seed: int, epoch: int) -> Iterator[Any]:
    """Yield `count` batches; what can be iterated anew starts again where it ends."""
    taken = 0
    restarts = 0
    while taken < count:
        any_left = False
        for batch in batches:
            any_left = True
            yield batch
            taken += 1
            if taken == count:
                return
        if getattr(source, "_once", None) is not None or (not any_left and restarts):
            return
        restarts += 1
        batches = source.epoch(seed, epoch + 1000003 * restarts)


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
    return make_source(data, batch_size=batch_size)


def _verbosity(verbose: Any) -> int:
    if verbose == "auto":
        return 1 if config.output_is_terminal() else 2
    if verbose not in (0, 1, 2):
        raise ValueError(f"`verbose` must be 0, 1, 2 or 'auto', received {verbose!r}.")
    return int(verbose)


def _wants_logs(callbacks: Any, kind: str) -> bool:
    """Tell whether a callback reads the logs of every batch."""
    hooks = (f"on_{kind}_batch_end", "on_batch_end") if kind == "train" else (f"on_{kind}_batch_end",)
    return any(
        not getattr(c, "observes_only", False)
        and any(getattr(type(c), hook, None) is not getattr(Callback, hook, None) for hook in hooks)
        for c in callbacks.callbacks
    )


def _limited(what: str, number: int) -> int:
    """Return `number`, or the limit that `hornbeam.config` sets to it, with a warning."""
    limit = config.max_epochs() if what == "epochs" else config.max_steps_per_epoch()
    if limit is None or number <= limit:
        return number
    warnings.warn(f"`hornbeam.config` limits {what} to {limit} (of {number}).", stacklevel=4)
    return limit


def _limited_steps(steps: int | None) -> int | None:
    return None if steps is None else _limited("steps", steps)


def _old_arguments(old: dict[str, Any], epochs: int) -> int:
    """Take the arguments that earlier Keras versions knew."""
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


class _Interrupts:
    """Hold Ctrl-C back while a step's results are taken over, so that no state is half new."""

    def __init__(self) -> None:
        self._held = self._pending = False
        self._before: Any = None

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if callable(self._before):
                signal.signal(signal.SIGINT, self._handle)
            else:
                self._before = None
        return self

    def __exit__(self, *exc: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: Any) -> None:
        if self._held:
            self._pending = True
        else:
            self._before(number, frame)

    def held(self) -> _Held:
        """Return a block in which Ctrl-C waits for the end."""
        return _Held(self)


class _Held:
    def __init__(self, interrupts: _Interrupts):
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._interrupts._held = True

    def __exit__(self, *exc: object) -> None:
        self._interrupts._held = False
        if self._interrupts._pending:
            self._interrupts._pending = False
            raise KeyboardInterrupt
