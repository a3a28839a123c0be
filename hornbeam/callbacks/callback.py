"""The base of callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hornbeam.checked import named
from hornbeam.core.provenance import is_library_code
from hornbeam.objects.configuration import serialize
from hornbeam.objects.constructor import captured_arguments, from_constructor_config
from hornbeam.typing import Logs

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["Callback", "check_number", "check_weights"]


class Callback:
    """Code that runs at events of training, evaluation and prediction.

    Attributes:
        model: The model.
        params: `verbose`, `epochs`, `steps`; `resumed`: whether `fit` goes on with an interrupted
            training.
        observes_only: True promises that the hooks of batches only look. Steps may then run many at
            a time on the device, and the hooks are called for each of them afterwards, with its
            results. Without the promise a callback with such hooks makes every step run by itself.
        samples_only: True promises that they need not even be called for every step: they are
            called now and then, with the latest results.
        first_process_only: Whether only the first of several processes calls its hooks, as for
            callbacks that write files.

    Example:
        >>> class Stop(Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         self.model.stop_training = True
        >>> Stop().model is None
        True
    """

    observes_only = False
    samples_only = False
    first_process_only = False
    _captured: tuple[tuple[Any, ...], dict[str, Any]]

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__ and is_library_code(cls):
            cls.__init__ = named(cls.__dict__["__init__"])  # type: ignore[method-assign]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        callback = super().__new__(cls)
        callback._captured = (args, kwargs)  # for `get_config`
        return callback

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    @property
    def model(self) -> Model:
        """The model; `None` before the first event."""
        return self.__dict__.get("_model")  # type: ignore[return-value]

    def set_params(self, params: dict[str, Any]) -> None:
        """Take `params`."""
        self.params = params

    def set_model(self, model: Model) -> None:
        """Take the model."""
        self._model = model

    def steps_until_action(self) -> int | None:
        """Return after how many steps a callback that otherwise observes must act; `None`: never.

        The loop then ends a run of steps just there, so that `on_train_batch_end` of that step
        finds the model as the step left it.
        """
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the state that `load_state_dict` restores; see `BackupAndRestore`.

        It may hold numbers, texts, `None`, bytes, arrays, and lists, tuples, dicts and sets of
        them.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state that `state_dict` returned in the process that was interrupted.

        Called after `on_train_begin`; where the training stopped within an epoch again after its
        `on_epoch_begin`, which had been called for it before.
        """

    def get_config(self) -> dict[str, Any]:
        """Return the arguments with which the callback was created, ready for JSON.

        Raises:
            ValueError: If an argument cannot be written as JSON, such as a lambda.
        """
        return {name: serialize(value) for name, value in captured_arguments(self).items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Create a callback from what `get_config` returned."""
        return from_constructor_config(cls, config)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Run before an epoch (numbered from 0)."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Run after an epoch; `logs` holds its results by name."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Run before a step of training; older name."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Run after a step of training; older name."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Run before a step of training."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Run after a step of training."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Run before a batch of evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Run after a batch of evaluation."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Run before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Run after a batch of prediction."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Run when training starts."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Run when training ends."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Run when evaluation starts."""

    def on_test_end(self, logs: Logs = None) -> None:
        """Run when evaluation ends."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Run when prediction starts."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """Run when prediction ends."""


def check_number(name: str, value: object) -> None:
    """Raise `ValueError` unless a part of a callback's state is a number or `None`."""
    if value is not None and not isinstance(value, (int, float, np.generic)):
        raise ValueError(f"`{name}` must be a number, received {value!r:.80}")


def check_weights(name: str, values: object, variables: list[Any]) -> None:
    """Raise `ValueError` unless a part of a state is `None` or has values for these variables."""
    if values is not None and (
        not isinstance(values, list)
        or [getattr(v, "shape", None) for v in values] != [tuple(v.shape) for v in variables]
    ):
        raise ValueError(f"`{name}` must be values of the weights")
