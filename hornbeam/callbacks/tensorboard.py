"""`TensorBoard`: writes log files for TensorBoard, with tensorboardX."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from hornbeam import errors, optional
from hornbeam.callbacks.callback import Callback, check_number
from hornbeam.checked import unexpected
from hornbeam.layers.core import Embedding
from hornbeam.layers.state import flatten_layers
from hornbeam.typing import FilePath, Logs

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Writes files for TensorBoard: scalars, histograms and images of weights, graph, profiles.

    View them with `tensorboard --logdir logs`. Needs `pip install "hornbeam[tensorboard]"`. The
    names are Keras's: `epoch_loss`, `batch_loss`, `evaluation_loss_vs_iterations` and so on, under
    `train` and `validation`. The callback only observes, so many steps still run at a time, except
    with `profile_batch` or with steps per second by batch.

    Args:
        log_dir: The folder to write to.
        histogram_freq: Number of epochs between histograms of the weights; 0 for none.
        write_graph: Whether the model's layers are written.
        write_images: Whether each histogram comes with a grey image of the weight, black for its
            smallest number and white for its largest. The longer side is horizontal; filters are
            side by side.
        write_steps_per_second: Whether the speed is written, for epochs and, unless `update_freq`
            is `"epoch"`, batches.
        update_freq: `"epoch"`, or the number of steps between scalars of batches; `"batch"` means
            1.
        profile_batch: The step to profile, counted from 1, or the first and the last one; 0 for
            none.
        embeddings_freq: Number of epochs between copies of the embedding tables, for the projector;
            0 for none.
        embeddings_metadata: Path of a file with one line per row of the table, or a dict of such
            paths by layer name.
        **kwargs: `batch_size`, `write_grads`, `embeddings_layer_names` and `embeddings_data` of
            Keras 1 and 2. They have no effect; a warning names those that had one there.

    Raises:
        ImportError: If tensorboardX is not installed.
        ValueError: If an argument is out of range.

    Example:
        >>> TensorBoard("logs", update_freq=100).update_freq
        100
    """

    observes_only = True
    first_process_only = True

    def __init__(
        self,
        log_dir: FilePath = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: int | str | Sequence[int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: FilePath | Mapping[str, FilePath] | None = None,
        **kwargs: Any,
    ):
        super().__init__()
        _drop_older(kwargs)
        _tensorboardx()  # now, so that it is not missed in the middle of a training
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = _frequency("histogram_freq", histogram_freq)
        self.embeddings_freq = _frequency("embeddings_freq", embeddings_freq)
        self.write_graph, self.write_images = write_graph, write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq: Any = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch" and (
            not isinstance(self.update_freq, int) or self.update_freq < 1
        ):
            raise ValueError(
                "TensorBoard: `update_freq` must be 'epoch', 'batch' or a positive integer,"
                f" received {update_freq!r}."
            )
        self._profiled = _steps_to_profile(profile_batch)
        self.embeddings_metadata = embeddings_metadata
        self._writers: dict[str, Any] = {}
        self._step = self._epoch_start = 0  # steps so far in all, and before this epoch
        self._is_training = False
        self._is_profiling = False

    @property
    def samples_only(self) -> bool:  # type: ignore[override]  # depends on the arguments
        return self.update_freq == "epoch" and self._profiled is None

    def steps_until_action(self) -> int | None:
        ends = [step - self._step for step in self._profiled or () if step > self._step]
        # The clock is read between two dispatches.
        if self.write_steps_per_second and self.update_freq != "epoch":
            ends.append(self.update_freq - self._step % self.update_freq)
        return min(ends, default=None)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self._step, "epoch_start": self._epoch_start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("step", "epoch_start"):
            check_number(name, state[name])
        self._step, self._epoch_start = state["step"], state["epoch_start"]
        self._clock = self._epoch_clock = (self._step, time.monotonic())

    # --- events ----------------------------------------------------------------------------

    def on_train_begin(self, logs: Logs = None) -> None:
        self._clock = (self._step, time.monotonic())
        self._is_training = True
        self._look_for_profile()
        if self.embeddings_freq:
            self._embeddings()  # raises now if a name is unknown
        if self.write_graph:
            self._write_graph()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch_start = self._step
        self._epoch_clock = (self._step, time.monotonic())

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.samples_only:  # not called for every step
            self._step = self._epoch_start + batch + 1
            return
        self._step += 1
        if self.update_freq != "epoch" and self._step % self.update_freq == 0:
            if self.write_steps_per_second:
                self._scalar(
                    "train", "batch_steps_per_second", self._speed_since(self._clock), self._step
                )
                self._clock = (self._step, time.monotonic())
            for name, value in (logs or {}).items():
                self._scalar("train", f"batch_{name}", value, self._step)
        self._look_for_profile()

    def on_test_end(self, logs: Logs = None) -> None:
        for name, value in (logs or {}).items():
            self._scalar("validation", f"evaluation_{name}_vs_iterations", value, self._step)
        if not self._is_training:  # an evaluation by itself
            self._close()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = dict(logs or {})
        for name, value in logs.items():
            run = "validation" if name.startswith("val_") else "train"
            self._scalar(run, f"epoch_{name.removeprefix('val_')}", value, epoch)
        rate = getattr(self.model.optimizer, "learning_rate", None)
        if rate is not None and "learning_rate" not in logs:
            self._scalar("train", "epoch_learning_rate", getattr(rate, "value", rate), epoch)
        if self.write_steps_per_second:
            self._scalar(
                "train", "epoch_steps_per_second", self._speed_since(self._epoch_clock), epoch
            )
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings(epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        if self._is_profiling:
            jax.profiler.stop_trace()
            self._is_profiling = False
        self._close()
        self._is_training = False

    # --- writing ---------------------------------------------------------------------------

    def _writer(self, run: str) -> Any:
        if run not in self._writers:
            self._writers[run] = _tensorboardx().SummaryWriter(os.path.join(self.log_dir, run))
        return self._writers[run]

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _scalar(self, run: str, tag: str, value: Any, step: int) -> None:
        """Write a number, or the mean of several, such as a metric's values per class."""
        self._writer(run).add_scalar(tag, float(np.mean(np.asarray(value))), step)

    def _speed_since(self, then: tuple[int, float]) -> float:
        return (self._step - then[0]) / max(time.monotonic() - then[1], 1e-9)

    def _write_weights(self, epoch: int) -> None:
        writer = self._writer("train")
        for weight in self.model.weights:
            value = weight.numpy().astype("float32")
            if not value.size or not np.all(np.isfinite(value)):
                continue  # such values have no histogram; the loss shows the problem
            writer.add_histogram(f"{weight.path}/histogram", value, epoch)
            if self.write_images:
                writer.add_image(f"{weight.path}/image", _as_image(value), epoch, dataformats="HW")

    def _write_graph(self) -> None:
        """Write the model's configuration in TensorBoard's format for graphs of Keras models."""
        try:
            config = self.model.to_json()
        except (NotImplementedError, TypeError, ValueError):
            return  # a subclassed model without `get_config` has no graph
        summaries, tensors = _tensorboardx(".proto.summary_pb2"), _tensorboardx(".proto.tensor_pb2")
        plugin = summaries.SummaryMetadata.PluginData(plugin_name="graph_keras_model", content=b"1")
        text = tensors.TensorProto(dtype="DT_STRING", string_val=[config.encode()])
        value = summaries.Summary.Value(
            tag="keras", metadata=summaries.SummaryMetadata(plugin_data=plugin), tensor=text
        )
        self._writer("train").file_writer.add_summary(summaries.Summary(value=[value]), 0)

    # --- profiles and embeddings -----------------------------------------------------------

    def _look_for_profile(self) -> None:
        if self._profiled is None:
            return
        before, last = self._profiled
        if self._step == before and not self._is_profiling:
            jax.profiler.start_trace(os.path.join(self.log_dir, "train"))
            self._is_profiling = True
        elif self._step == last and self._is_profiling:
            jax.profiler.stop_trace()
            self._is_profiling = False

    def _embeddings(self) -> list[tuple[Embedding, FilePath | None]]:
        """Return the embedding layers and the paths of their metadata."""
        found = [layer for layer in flatten_layers(self.model) if isinstance(layer, Embedding)]
        given = self.embeddings_metadata
        if given is None:
            return [(layer, None) for layer in found]
        if not isinstance(given, Mapping):
            return [(layer, os.fspath(given)) for layer in found]
        unknown = sorted(set(given) - {layer.name for layer in found})
        if unknown:
            raise ValueError(
                f"TensorBoard: `embeddings_metadata` names {unknown}; the model's embeddings are "
                f"{[layer.name for layer in found]}."
            )
        return [(layer, given.get(layer.name)) for layer in found]

    def _write_embeddings(self, epoch: int) -> None:
        """Write the tables as text, and the file that lists them for the projector."""
        os.makedirs(self.log_dir, exist_ok=True)
        entries = []
        for layer, metadata in self._embeddings():
            name = f"{layer.name}-{epoch}.tsv"
            np.savetxt(os.path.join(self.log_dir, name), layer.embeddings.numpy(), "%.6g", "\t")
            entry = [f'tensor_name: "{layer.path}/embeddings"', f'tensor_path: "{name}"']
            entry += [] if metadata is None else [f'metadata_path: "{metadata}"']
            entries.append("embeddings {\n" + "".join(f"  {line}\n" for line in entry) + "}\n")
        with open(os.path.join(self.log_dir, "projector_config.pbtxt"), "w") as file:
            file.writelines(entries)


def _tensorboardx(part: str = "") -> Any:
    """Import tensorboardX, or a part of it."""
    return optional.import_module(
        f"tensorboardX{part}", extra="tensorboard", needed_for="TensorBoard"
    )


def _frequency(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(
            f"TensorBoard: `{name}` must be a number of epochs, or 0 for never, received {value!r}."
        )
    return value


def _steps_to_profile(given: Any) -> tuple[int, int] | None:
    """Return the numbers of steps after which profiling begins and ends, or `None`."""
    numbers = (
        given.split(",")
        if isinstance(given, str)
        else given
        if isinstance(given, (list, tuple))
        else [given]
    )
    try:
        first, last = (
            int(n) for n in (numbers if len(numbers) == 2 else [numbers[0]] * (3 - len(numbers)))
        )
    except (TypeError, ValueError):
        first, last = -1, -1
    if not 0 <= first <= last or (first == 0 and last > 0):
        raise ValueError(
            "TensorBoard: `profile_batch` must be the number of a step, counted from 1, or the"
            " numbers of the first and the last step to profile, or 0 for none; received"
            f" {given!r}."
        )
    return (first - 1, last) if first else None


def _as_image(value: np.ndarray) -> np.ndarray:
    """Return a weight as a grey image (H, W)."""
    if value.ndim == 4:  # windows (H, W, inputs, outputs): inputs down, outputs across
        height, width, inputs, outputs = value.shape
        value = value.transpose(2, 0, 3, 1).reshape(inputs * height, outputs * width)
    else:
        value = value.reshape(-1, value.shape[-1]) if value.ndim > 1 else value.reshape(1, -1)
        value = value.T if value.shape[0] > value.shape[1] else value
    span = value.max() - value.min()
    return (255 * (value - value.min()) / (span if span > 0 else 1)).astype("uint8")


def _drop_older(kwargs: dict[str, Any]) -> None:
    """Remove the arguments of Keras 1 and 2, with one warning where one had an effect there."""
    kwargs.pop("batch_size", None)  # of the histograms of activations
    older = ("write_grads", "embeddings_layer_names", "embeddings_data")
    given = [name for name in older if kwargs.pop(name, None)]
    if given:
        errors.warn(f"TensorBoard: {errors.listed(given)} of Keras 1 and 2 has no effect.")
    if kwargs:
        raise unexpected(TensorBoard, kwargs)
