"""Event files, which TensorBoard shows: records of messages `Event`."""

from __future__ import annotations

import itertools
import os
import socket
import struct
import threading
import time
from typing import Any

from hornbeam.tensorflow.string_tensor import text_of
from hornbeam.tensorflow.tensor_proto import serialize_tensor
from hornbeam.tensorflow.tfrecord import TFRecordWriter
from hornbeam.tensorflow.wire import bytes_field, number_field

__all__ = ["EventFile"]

_EIGHT_BYTES = 1  # the wire type of a `double`
_numbers = itertools.count()  # of the files of this process


class EventFile:
    """A file of values by tag and step, in a folder that TensorBoard reads.

    The file is made when the first value is written.

    Args:
        folder: The folder, which is made too.
        suffix: End of the file's name.

    Example:
        >>> file = EventFile("logs")  # doctest: +SKIP
        >>> file.write("loss", 0.5, step=1, plugin="scalars")  # doctest: +SKIP
    """

    def __init__(self, folder: Any, suffix: str = ""):
        self.folder = os.fspath(folder) if isinstance(folder, os.PathLike) else text_of(folder)
        self._suffix = suffix
        self._lock = threading.Lock()  # compiled functions write from threads of their own
        self._records: TFRecordWriter | None = None
        self._closed = False

    def write(
        self, tag: str, value: Any, step: int, plugin: str = "", content: bytes = b"",
        description: str | None = None,
    ) -> None:  # fmt: skip
        """Write a tensor.

        Args:
            tag: Its name.
            value: Numbers or texts.
            step: The step that it belongs to.
            plugin: The part of TensorBoard that shows it.
            content: What this part reads beside the tensor.
            description: A text that is shown with it.
        """
        part = bytes_field(1, plugin.encode()) if plugin else b""
        part += bytes_field(2, content) if content else b""
        metadata = bytes_field(1, part) if part else b""
        metadata += bytes_field(3, description.encode()) if description else b""
        tensor = serialize_tensor(value).array.item()
        fields = bytes_field(1, tag.encode()) + bytes_field(8, tensor) + bytes_field(9, metadata)
        self._append(number_field(2, step) + bytes_field(5, bytes_field(1, fields)))

    def _append(self, event: bytes) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError(
                    f"SummaryWriter of '{self.folder}': it is closed. Create another one."
                )
            if self._records is None:
                self._records = self._open()
            self._records.write(_now() + event)

    def _open(self) -> TFRecordWriter:
        os.makedirs(self.folder, exist_ok=True)
        parts = int(time.time()), socket.gethostname(), os.getpid(), next(_numbers)
        name = "events.out.tfevents." + ".".join(map(str, parts)) + (self._suffix or ".v2")
        records = TFRecordWriter(os.path.join(self.folder, name))
        records.write(_now() + bytes_field(3, b"brain.Event:2"))
        return records

    def flush(self) -> None:
        """Write what is held in memory to the file."""
        with self._lock:
            if self._records is not None and not self._closed:
                self._records.flush()

    def close(self) -> None:
        """Finish the file; nothing can be written afterwards."""
        with self._lock:
            if self._records is not None:
                self._records.close()
            self._closed = True


def _now() -> bytes:
    return bytes([1 << 3 | _EIGHT_BYTES]) + struct.pack("<d", time.time())
