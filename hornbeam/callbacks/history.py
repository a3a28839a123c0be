"""`History`: the results of every epoch."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from hornbeam import errors
from hornbeam.callbacks.callback import Callback
from hornbeam.core.results import Results
from hornbeam.drawing.curves import curves_figure, curves_svg
from hornbeam.drawing.figure import finish
from hornbeam.typing import FilePath, Logs

__all__ = ["History"]


class History(Callback):
    """Collects each epoch's results; `fit` returns it.

    Attributes:
        epoch: Numbers of the epochs.
        history: Lists of values by name. `acc` finds `accuracy` too.

    Example:
        >>> h = History(); h.on_epoch_end(0, {"loss": 1.0}); h.history
        {'loss': [1.0]}
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = Results()

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch, self.history = [], Results()

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "history": dict(self.history)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch = list(state["epoch"])
        self.history = Results({name: list(values) for name, values in state["history"].items()})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self

    def plot(
        self, metrics: str | Sequence[str] | None = None, path: FilePath | None = None,
        show: bool = False, log_scale: bool = False,
    ) -> Any:  # fmt: skip
        """Plot results over epochs, each beside that of the validation data.

        Needs Matplotlib, the extra `viz`.

        Args:
            metrics: Names, such as `"loss"`. Default: all.
            path: File for the plot, such as `"history.png"`.
            show: Whether to show the plot in a window. A notebook shows it without.
            log_scale: Whether the vertical axes are logarithmic.

        Returns:
            The figure of Matplotlib.

        Raises:
            ImportError: If Matplotlib is not installed.
            ValueError: If there are no results, or none of a name.

        Example:
            >>> h = History(); h.on_epoch_end(0, {"loss": 1.0, "val_loss": 2.0})
            >>> len(h.plot().axes)
            1
        """
        panels = self._panels()
        if not panels:
            raise ValueError(
                "History.plot: there are no results yet. Call `fit` with one epoch or more."
            )
        if metrics is not None:
            names = [metrics] if isinstance(metrics, str) else list(metrics)
            for name in names:
                if name not in panels:
                    raise errors.unknown_name("result", name, list(panels))
            panels = Results({name: panels[name] for name in names})
        figure = curves_figure(
            panels, self._epochs(), "epoch", log_y=log_scale, show=show, needed_for="History.plot"
        )
        return finish(figure, path, show)

    def _epochs(self) -> list[float]:
        return [epoch + 1 for epoch in self.epoch]

    def _panels(self) -> Results:
        """Return the numbers by name, with those of the validation data beside them."""
        numbers = {
            name: values
            for name, values in self.history.items()
            if values and not np.ndim(values[0])
        }
        panels = Results()
        for name, values in numbers.items():
            base = name.removeprefix("val_")
            panels.setdefault(base if base in numbers else name, {})[name] = values
        return panels

    def __repr__(self) -> str:
        last = [
            f"{name}={float(values[-1]):.4g}"
            for curves in self._panels().values()
            for name, values in curves.items()
        ]
        return f"<History epochs={len(self.epoch)}" + "".join(f", {x}" for x in last) + ">"

    def _repr_html_(self) -> str:
        """Return curves and a table of the last and the best results, for a notebook."""
        panels = self._panels()
        if not panels:
            return html.escape(repr(self))
        rows = []
        for curves in panels.values():
            for name, values in curves.items():
                numbers = np.asarray(values, dtype=float)
                low, high = (int(f(np.where(np.isnan(numbers), g, numbers)))
                             for f, g in ((np.argmin, np.inf), (np.argmax, -np.inf)))  # fmt: skip
                cells = [f"{numbers[-1]:.4g}"]
                offset = len(self.epoch) - len(numbers)
                cells += [
                    f"{numbers[i]:.4g} (epoch {self.epoch[offset + i] + 1})" for i in (low, high)
                ]
                row = "".join(f"<td>{cell}</td>" for cell in cells)
                rows.append(f"<tr><th>{html.escape(name)}</th>{row}</tr>")
        head = "<tr><th></th><th>last</th><th>lowest</th><th>highest</th></tr>"
        picture = curves_svg(panels, self._epochs(), "epoch")
        return f"{picture}<table>{head}{''.join(rows)}</table>"
