"""`ProgbarLogger`: the progress display."""

from __future__ import annotations

from typing import Any

from hornbeam.callbacks.callback import Callback
from hornbeam.callbacks.notebook_bar import Page, in_notebook
from hornbeam.callbacks.progbar import Progbar, write_line
from hornbeam.settings import output_is_terminal
from hornbeam.typing import Logs

__all__ = ["ProgbarLogger"]


class ProgbarLogger(Callback):
    """Shows progress: a bar in a terminal or a notebook (`verbose=1`), a line an epoch
    (`verbose=2`). Where the output is a file or a pipe, epochs that take minutes write a line a
    minute.

    Args:
        count_mode: `"steps"`; `"samples"` of Keras 2 counts steps too.
        stateful_metrics: Without effect: all results are means over the epoch so far.

    Raises:
        ValueError: If `count_mode` is another word.

    Example:
        >>> ProgbarLogger().samples_only
        True
    """

    samples_only = True
    first_process_only = True

    def __init__(self, count_mode: str = "steps", stateful_metrics: Any = None) -> None:
        super().__init__()
        if count_mode not in ("steps", "samples"):
            raise ValueError(
                "ProgbarLogger: `count_mode` must be 'steps' or 'samples', received"
                f" {count_mode!r}."
            )
        self._bar: Progbar | None = None
        self._page: Page | None = None  # where a notebook shows all epochs of a training
        self._in_training = False
        self._done = 0

    def _start(self) -> None:
        # In a file, a line a minute shows that a long epoch goes on.
        interval = 0.05 if output_is_terminal() else 60.0
        # Results are means already.
        self._bar = Progbar(
            self.params.get("steps"), verbose=self.params.get("verbose", 1),
            stateless_metrics=(), interval=interval,
        )  # fmt: skip
        self._bar.page = self._page
        self._done = 0

    def _advance(self, batch: int, logs: Any) -> None:
        assert self._bar is not None
        self._done = batch + 1
        self._bar.note(self._done)
        # The last step is drawn at the epoch's end, with the validation's results.
        if self._bar.due():
            self._bar.update(self._done, list((logs or {}).items()), finalize=False)

    def _finish(self, logs: Any) -> None:
        assert self._bar is not None
        if self._bar.target is None:
            self._bar.target = self._done
        self._bar.update(self._bar.target, list((logs or {}).items()), finalize=True)

    def _head(self, text: str) -> None:
        """Show a line above the bar."""
        if self._page is not None:
            self._page.add(text)
        else:
            write_line(text)

    def on_train_begin(self, logs: Logs = None) -> None:
        self._in_training = True
        if self.params.get("verbose") == 1 and in_notebook():
            self._page = Page()

    def on_train_end(self, logs: Logs = None) -> None:
        self._in_training = False
        self._page = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self.params.get("verbose") and self.params.get("epochs", 1) > 1:
            self._head(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._start()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._advance(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._in_training:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._in_training:
            self._advance(batch, logs)

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._in_training:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._start()

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._advance(batch, None)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._finish(None)
