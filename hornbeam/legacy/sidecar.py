"""`SidecarEvaluator` of Keras 2: evaluates the checkpoints that another process writes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hornbeam.callbacks.callback import Callback
from hornbeam.callbacks.callback_list import CallbackList
from hornbeam.models import Model
from hornbeam.saving import load_model
from hornbeam.typing import Data, FilePath, Logs

__all__ = ["SidecarEvaluator", "SidecarEvaluatorModelExport"]

_ENDINGS = (".weights.h5", ".keras", ".h5", ".safetensors")


class SidecarEvaluator:
    """Waits for checkpoints in a folder, and evaluates each new one.

    `ModelCheckpoint` of the training writes them: whole models or weights.

    Args:
        model: A compiled model, whose weights are replaced.
        data: Data for `evaluate`.
        checkpoint_dir: The folder.
        steps: Steps of an evaluation. Default: until the data end.
        max_evaluations: Number of evaluations. Default: without end.
        callbacks: Callbacks of `evaluate`.
    """

    poll_seconds = 1.0
    """Time between two looks into the folder."""

    def __init__(
        self, model: Model, data: Data, checkpoint_dir: FilePath, steps: int | None = None,
        max_evaluations: int | None = None,
        callbacks: Callback | Sequence[Callback | str] | None = None,
    ):  # fmt: skip
        self.model, self.data, self.checkpoint_dir = model, data, os.fspath(checkpoint_dir)
        self.steps, self.max_evaluations = steps, max_evaluations
        self.callbacks = CallbackList(callbacks, model=model)
        self.latest_checkpoint: str | None = None

    def _newest(self) -> tuple[str, int] | None:
        files = [
            path for path in Path(self.checkpoint_dir).glob("*") if path.name.endswith(_ENDINGS)
        ]
        if not files:
            return None
        newest = max(files, key=lambda path: (path.stat().st_mtime_ns, path.name))
        return str(newest), newest.stat().st_mtime_ns

    def start(self) -> list[Any]:
        """Evaluate checkpoints, and return the results of all evaluations."""
        results: list[Any] = []
        seen: tuple[str, int] | None = None
        while self.max_evaluations is None or len(results) < self.max_evaluations:
            newest = self._newest()
            if newest is None or newest == seen:
                time.sleep(self.poll_seconds)
                continue
            seen = newest
            self.latest_checkpoint = newest[0]
            if newest[0].endswith((".weights.h5", ".safetensors")):
                self.model.load_weights(newest[0])
            else:
                self.model.set_weights(load_model(newest[0], compile=False).get_weights())
            results.append(
                self.model.evaluate(
                    self.data, steps=self.steps, callbacks=self.callbacks.callbacks,
                    return_dict=True,
                )
            )  # fmt: skip
        return results


class SidecarEvaluatorModelExport(Callback):
    """Saves the model after an evaluation that was the best so far; for `SidecarEvaluator`.

    Args:
        export_filepath: Path of the file.
        checkpoint_filepath: Without effect; the evaluator knows which checkpoint it evaluates.
        monitor: Name of the result. Default: `"loss"`.
        mode: `"min"` or `"max"`. Default: `"auto"`, `"max"` for names with `acc` or `auc`.
    """

    def __init__(
        self, export_filepath: FilePath, checkpoint_filepath: Any = None, monitor: str = "loss",
        mode: str = "auto", **kwargs: Any,
    ):  # fmt: skip
        super().__init__()
        self.export_filepath, self.checkpoint_filepath = export_filepath, checkpoint_filepath
        self.monitor = monitor.removeprefix("val_")
        rises = any(word in monitor.lower() for word in ("acc", "auc"))
        self.mode = ("max" if rises else "min") if mode == "auto" else mode
        self.best: float | None = None

    def on_test_end(self, logs: Logs = None) -> None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            return
        value = float(value)
        if self.best is None or (value > self.best if self.mode == "max" else value < self.best):
            self.best = value
            self.model.save(self.export_filepath, overwrite=True)
