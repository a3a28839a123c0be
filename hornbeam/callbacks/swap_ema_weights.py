"""`SwapEMAWeights`: evaluates, and saves, moving averages of the weights instead of the weights."""

from __future__ import annotations

from typing import Any

from hornbeam.callbacks.callback import Callback, check_weights
from hornbeam.typing import Logs

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Replaces the weights by the optimizer's moving averages for evaluation, then restores them.

    Args:
        swap_on_epoch: Whether the averages are also in place between the end of an epoch and the
            beginning of the next, so that callbacks after this one in the list, such as
            `ModelCheckpoint`, save them.

    Raises:
        ValueError: When training or evaluation begins, if the optimizer was not created with
            `use_ema=True`.

    Example:
        >>> SwapEMAWeights(swap_on_epoch=True).swap_on_epoch
        True
    """

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._weights: list[Any] | None = None  # the weights, while the averages are in place
        self._for_test = False

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check_weights("weights", state["weights"], self.model.trainable_variables)
        self._weights = state["weights"]

    def _put_averages(self) -> None:
        optimizer = self.model.optimizer
        if not getattr(getattr(optimizer, "inner_optimizer", optimizer), "use_ema", False):
            raise ValueError(
                "SwapEMAWeights: the model's optimizer keeps no averages of the weights. Compile"
                " with an optimizer created with `use_ema=True`, such as `Adam(use_ema=True)`."
            )
        variables = self.model.trainable_variables
        self._weights = [v.value for v in variables]
        optimizer.finalize_variable_values(variables)

    def _put_weights(self) -> None:
        if self._weights is not None:
            for variable, value in zip(self.model.trainable_variables, self._weights, strict=True):
                variable.assign(value)
            self._weights = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._put_weights()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch:
            self._put_averages()

    def on_test_begin(self, logs: Logs = None) -> None:
        if self._weights is None:  # otherwise another callback evaluates between two epochs
            self._put_averages()
            self._for_test = True

    def on_test_end(self, logs: Logs = None) -> None:
        if self._for_test:
            self._put_weights()
            self._for_test = False

    def on_train_end(self, logs: Logs = None) -> None:
        self._weights = None  # the optimizer has made the averages the weights
