"""`tf.summary`: writes numbers, histograms, images, sounds and texts for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import numpy as np

from hornbeam.core import naming
from hornbeam.core.variable import Variable
from hornbeam.tensorflow.audio import encode_wav
from hornbeam.tensorflow.event_file import EventFile
from hornbeam.tensorflow.host import as_host, host_array
from hornbeam.tensorflow.image_files import encode_png
from hornbeam.tensorflow.string_tensor import as_strings, text_of

__all__ = [
    "SummaryWriter", "audio", "create_file_writer", "create_noop_writer", "experimental", "flush",
    "histogram", "image", "record_if", "scalar", "should_record_summaries", "text", "write",
]  # fmt: skip


class _State(NamedTuple):
    """What the functions use where no argument says otherwise."""

    writer: Any = None
    step: Any = None
    records: Any = True


# In a list, so that what `set_as_default` and `set_step` set holds in the blocks around them too.
_process = [_State()]
_of_block: ContextVar[_State | None] = ContextVar("hornbeam_summaries", default=None)


def _state() -> _State:
    return _of_block.get() or _process[0]


def _set(**changes: Any) -> None:
    if _of_block.get() is None:
        _process[0] = _process[0]._replace(**changes)
    else:
        _of_block.set(_state()._replace(**changes))


@contextmanager
def _changed(**changes: Any) -> Iterator[None]:
    token = _of_block.set(_state()._replace(**changes))
    try:
        yield
    finally:
        _of_block.reset(token)


class SummaryWriter:
    """Writes to a file. The functions of `tf.summary` write to the default one.

    Args:
        file: An `EventFile`, or `None` to write nothing.

    Example:
        >>> writer = create_file_writer("logs")  # doctest: +SKIP
        >>> with writer.as_default():  # doctest: +SKIP
        ...     scalar("loss", 0.5, step=1)
    """

    def __init__(self, file: EventFile | None):
        self.file = file

    @contextmanager
    def as_default(self, step: Any = None) -> Iterator[SummaryWriter]:
        """Write to this one in a block, which ends with a `flush`.

        Args:
            step: The step of values that are written without one.
        """
        with _changed(writer=self, step=_state().step if step is None else step):
            yield self
        self.flush()

    def set_as_default(self, step: Any = None) -> None:
        """Write to this one from now on."""
        _set(writer=self, step=_state().step if step is None else step)

    def init(self) -> None:
        """Do nothing; the file is made when the first value is written."""

    def flush(self) -> None:
        """Write what is held in memory to the file."""
        if self.file is not None:
            jax.effects_barrier()  # compiled functions may still write
            self.file.flush()

    def close(self) -> None:
        """Finish the file."""
        self.flush()
        if self.file is not None:
            self.file.close()


def create_file_writer(
    logdir: Any, max_queue: Any = None, flush_millis: Any = None, filename_suffix: Any = None,
    name: Any = None, experimental_trackable: bool = False, experimental_mesh: Any = None,
) -> SummaryWriter:  # fmt: skip
    """Return a writer of an event file.

    Args:
        logdir: The folder of the file.
        max_queue, flush_millis: Ignored; the file is complete after `flush` and `close`.
        filename_suffix: End of the file's name. Default: `".v2"`.
        name, experimental_trackable, experimental_mesh: Ignored.
    """
    return SummaryWriter(EventFile(logdir, text_of(filename_suffix or "")))


def create_noop_writer() -> SummaryWriter:
    """Return a writer that writes nothing."""
    return SummaryWriter(None)


def flush(writer: SummaryWriter | None = None, name: Any = None) -> None:
    """Write what a writer, or the default one, holds in memory to its file."""
    writer = writer or _state().writer
    if writer is not None:
        writer.flush()


def should_record_summaries() -> Any:
    """Return whether values are written: there is a writer, and `record_if` is true."""
    records = _state().records
    records = records() if callable(records) else records
    return as_host(_state().writer is not None and bool(records))


@contextmanager
def record_if(condition: Any) -> Iterator[None]:
    """Write values in a block only if a condition is true.

    Args:
        condition: A truth value, or a function that returns it.
    """
    with _changed(records=condition):
        yield


def _set_step(step: Any) -> None:
    """Set the step of values that are written without one; a variable is read each time."""
    _set(step=step)


def _get_step() -> Any:
    """Return what `set_step` set."""
    return _state().step


experimental = SimpleNamespace(set_step=_set_step, get_step=_get_step)


def _write(
    name: str, data: Any, step: Any, plugin: str, prepare: Callable[[Any], Any],
    description: Any = None, content: bytes = b"",
) -> Any:  # fmt: skip
    """Write what `prepare` makes of data; in compiled functions, each time that they run."""
    file = getattr(_state().writer, "file", None)
    recorded = should_record_summaries()
    if not recorded or file is None:
        return as_host(False)
    step = _state().step if step is None else step
    if step is None:
        raise ValueError(
            f"tf.summary: {name!r} has no step. Pass `step`, or set one by"
            " `tf.summary.experimental.set_step`."
        )
    tag = "/".join(filter(None, [naming.current_path(), text_of(name)]))
    about = None if description is None else text_of(description)

    def put(data: Any, step: Any) -> None:
        file.write(tag, prepare(data), int(step), plugin, content, about)

    data = data.value if isinstance(data, Variable) else data
    step = step.value if isinstance(step, Variable) else step
    if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves((data, step))):
        jax.debug.callback(put, data, step, ordered=False)
    else:
        put(data, step)
    return recorded


def scalar(name: str, data: Any, step: Any = None, description: Any = None) -> Any:
    """Write a number.

    Args:
        name: Its name; names of scopes come before it.
        data: The number.
        step: The step that it belongs to. Default: that of `set_step`.
        description: A text that TensorBoard shows with it.

    Returns:
        Whether it was written.
    """

    def prepare(data: Any) -> np.ndarray:
        number = host_array(data).astype("float32")
        if number.ndim:
            raise ValueError(
                f"tf.summary.scalar: {name!r} must be one number, received shape {number.shape}."
            )
        return number

    return _write(name, data, step, "scalars", prepare, description)


def histogram(
    name: str, data: Any, step: Any = None, buckets: int | None = None, description: Any = None
) -> Any:
    """Write how many numbers lie in each of `buckets` (default: 30) ranges of equal width."""
    count = 30 if buckets is None else int(buckets)

    def prepare(data: Any) -> np.ndarray:
        x = host_array(data).astype("float64").reshape(-1)
        if not len(x):
            return np.zeros((count, 3))
        low, high = x.min(), x.max()
        if low == high:
            numbers = np.zeros(count)
            numbers[-1:] = len(x)
            edges = np.full(count + 1, low)
        else:
            numbers, edges = np.histogram(x, count)
        return np.stack([edges[:-1], edges[1:], numbers], axis=1)

    return _write(name, data, step, "histograms", prepare, description)


def image(
    name: str, data: Any, step: Any = None, max_outputs: int = 3, description: Any = None
) -> Any:
    """Write the first `max_outputs` of images (images, height, width, channels).

    Floating-point numbers are from 0 to 1, integers from 0 to 255.
    """

    def prepare(data: Any) -> list[bytes]:
        pixels = host_array(data)
        if pixels.ndim != 4:
            raise ValueError(
                f"tf.summary.image: {name!r} must have the axes (images, height, width, channels),"
                f" received shape {pixels.shape}. Add the first axis by `x[None]`."
            )
        if pixels.dtype.kind == "f":
            pixels = np.clip(pixels * 255.0 + 0.5, 0, 255)
        pixels = pixels.astype("uint8")
        sizes = [str(n).encode() for n in (pixels.shape[2], pixels.shape[1])]
        return sizes + [encode_png(x).numpy() for x in pixels[: int(max_outputs)]]

    return _write(name, data, step, "images", prepare, description)


def audio(
    name: str, data: Any, sample_rate: Any, step: Any = None, max_outputs: int = 3,
    encoding: Any = None, description: Any = None,
) -> Any:  # fmt: skip
    """Write the first `max_outputs` of sounds (sounds, samples, channels), from -1 to 1.

    Raises:
        ValueError: If `encoding` is another one than `"wav"`.
    """
    if encoding not in (None, "wav"):
        raise ValueError(f"tf.summary.audio: `encoding` must be 'wav', received {encoding!r}.")

    def prepare(data: Any) -> list[list[bytes]]:
        sounds = host_array(data)
        return [[encode_wav(x, sample_rate).numpy(), b""] for x in sounds[: int(max_outputs)]]

    return _write(name, data, step, "audio", prepare, description, b"\x10\x0b")  # kind 11: WAV


def text(name: str, data: Any, step: Any = None, description: Any = None) -> Any:
    """Write texts, which TensorBoard shows as Markdown."""
    return _write(name, data, step, "text", as_strings, description)


def write(tag: str, tensor: Any, step: Any = None, metadata: Any = None, name: Any = None) -> Any:
    """Write any tensor.

    Args:
        tag: Its name.
        tensor: Numbers or texts.
        step: The step that it belongs to. Default: that of `set_step`.
        metadata: `None`, as messages of the plugins of TensorBoard are not there.
        name: Ignored.
    """
    if metadata is not None:
        raise ValueError(
            "tf.summary.write: `metadata` must be None. Use `scalar`, `histogram`, `image`, `audio`"
            " or `text` for what TensorBoard shows."
        )
    return _write(tag, tensor, step, "", lambda x: x)
