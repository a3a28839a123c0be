"""The loop of `predict`, and the short way for a few rows."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from hornbeam import settings, tree
from hornbeam.callbacks.callback import Callback
from hornbeam.core.tracebacks import ShortTraceback
from hornbeam.data.arrays import as_arrays
from hornbeam.data.lazy import loaded
from hornbeam.data.sources import ArraySource
from hornbeam.training.hooks import BatchHooks, callback_list
from hornbeam.training.host import arrays_on_host, outputs_on_host, source_for, source_on_host
from hornbeam.training.padding import padded_size, rows_are_independent
from hornbeam.training.plan import Dispatch, InFlight, make_plan
from hornbeam.training.requests import PredictRequest, limited, warn_of_batch_size
from hornbeam.training.step import steps_for
from hornbeam.training.together import check_same_data
from hornbeam.typing import Data, Structure

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["call_compiled", "predict", "predict_on_batch"]


def predict(
    model: Trainable,
    x: Data,
    batch_size: int | None,
    verbose: int | str,
    steps: int | None,
    callbacks: Callback | Sequence[Callback | str] | None,
) -> Structure:
    """Predict; see `Model.predict`."""
    x = arrays_on_host(model, x)
    if (
        callbacks is None
        and steps is None
        and isinstance(x, (np.ndarray, jax.Array))
        and _fits(x, batch_size)
    ):
        if (verbose == 0 and not isinstance(verbose, str)) or (
            verbose == "auto" and not settings.output_is_terminal()
        ):
            return outputs_on_host(model, _predict_rows(model, x))
    request = PredictRequest(x, batch_size, verbose, steps, callbacks)
    return outputs_on_host(model, _predict_batches(model, request))


def _fits(x: Any, batch_size: Any) -> bool:
    """Return whether `x` is one batch of rows."""
    if batch_size is None:
        return 0 < len(x) <= 32
    return type(batch_size) is int and 0 < len(x) <= batch_size


def _predict_rows(model: Any, x: Any) -> Any:
    """Return the outputs for one batch of rows: the short way."""
    batch = as_arrays(x, "x")
    if batch.dtype.kind not in "biufcV":
        raise ValueError(f"predict: `x` has dtype {batch.dtype}; expected numbers.")
    program = steps_for(model, "predict", keep_all=True)
    rows = len(batch)
    size = rows if program.exact_rows else padded_size(rows, 2**31)
    if size > rows:
        batch = np.concatenate(
            [batch, np.broadcast_to(batch[-1:], (size - rows, *batch.shape[1:]))]
        )
    outputs = program.once((batch, None, None))
    if isinstance(outputs, jax.Array):
        return np.array(outputs)[:rows]
    return tree.map_structure(lambda a: np.array(a)[:rows], outputs)


def _predict_batches(model: Any, request: PredictRequest) -> Any:
    """Run the steps of prediction over the data; return the rows of the outputs."""
    source = source_for(model, request.x, batch_size=request.batch_size, steps=request.steps)
    source = source_on_host(model, source)
    warn_of_batch_size("predict", source, request.batch_size, stacklevel=5)
    if isinstance(source, ArraySource):
        for a in tree.flatten(source.data[0]):
            if a is not None and a.dtype.kind not in "biufcV":
                raise ValueError(f"predict: `x` has dtype {a.dtype}; expected numbers.")
    most, batches = settings.max_steps_per_epoch(), source.num_batches
    total = request.steps or (
        None if batches is None else limited("steps", batches, most, stacklevel=5)
    )
    check_same_data("predict", source, total)
    callbacks = callback_list("predict", request, model, 1, total)
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
        for dispatch in plan.take(request.steps or most, hooks.most):
            hooks.begin(done)
            results = dispatch.run()
            in_flight.add(dispatch.steps, results)
            gathered.add(dispatch, results)
            hooks.end(
                done,
                dispatch,
                results if hooks.every_step else gathered.latest if hooks.acts else None,
            )
            done += dispatch.steps
    callbacks.on_predict_end()
    return gathered.rows()


class _Outputs:
    """Rows of outputs, copied to the host when the device has computed them."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._waiting: list[tuple[Dispatch, Any]] = []

    def add(self, dispatch: Dispatch, results: Any) -> None:
        self._waiting.append((dispatch, results))
        if len(self._waiting) > 2:
            self._take()

    @property
    def latest(self) -> Structure:
        while self._waiting:
            self._take()
        return self._parts[-1]

    def _take(self) -> None:
        dispatch, results = self._waiting.pop(0)
        self._parts.append(dispatch.by_row(results))

    def rows(self) -> Structure:
        while self._waiting:
            self._take()
        if not self._parts:
            raise ValueError("predict: the data yielded no batch.")
        if len(self._parts) == 1:
            return tree.map_structure(
                lambda a: a if a.flags.writeable else np.array(a), self._parts[0]
            )
        return tree.map_structure(lambda *parts: np.concatenate(parts), *self._parts)


def predict_on_batch(model: Trainable, x: Structure) -> Structure:
    """Return outputs for one batch; see `Model.predict_on_batch`."""
    batch = as_arrays(arrays_on_host(model, x), "x")
    if not isinstance(batch, np.ndarray):
        batch = tree.map_structure(loaded, batch)
    outputs = steps_for(model, "predict", keep_all=True).once((batch, None, None))
    if isinstance(outputs, jax.Array):
        return outputs_on_host(model, np.asarray(outputs))
    return outputs_on_host(model, tree.map_structure(np.asarray, outputs))


def call_compiled(model: Trainable, inputs: Structure) -> Structure:
    """Return `model(inputs)` outside of training, computed by the compiled step of prediction."""
    with ShortTraceback():
        return steps_for(model, "predict", keep_all=True).once((inputs, None, None))
