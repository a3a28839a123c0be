"""`tf.errors`: the errors that scripts catch."""

from __future__ import annotations

from typing import Any

__all__ = [
    "AbortedError", "AlreadyExistsError", "CancelledError", "DataLossError",
    "DeadlineExceededError", "FailedPreconditionError", "InternalError", "InvalidArgumentError",
    "NotFoundError", "OpError", "OperatorNotAllowedInGraphError", "OutOfRangeError",
    "PermissionDeniedError", "ResourceExhaustedError", "UnauthenticatedError", "UnavailableError",
    "UnimplementedError", "UnknownError",
]  # fmt: skip


class OpError(Exception):
    """An operation failed.

    Args:
        node_def: No meaning here.
        op: No meaning here.
        message: The message.
    """

    def __init__(self, node_def: Any = None, op: Any = None, message: str = "", *args: Any):
        super().__init__(message)
        self.node_def, self.op, self.message = node_def, op, message


class InvalidArgumentError(OpError, ValueError):
    """An argument is not allowed. A `ValueError` too, as Hornbeam raises for such arguments."""


class NotFoundError(OpError, FileNotFoundError):
    """A file was not found."""


class AlreadyExistsError(OpError, FileExistsError):
    """A file exists already."""


class OutOfRangeError(OpError, StopIteration):
    """There are no more elements."""


class PermissionDeniedError(OpError, PermissionError):
    """A file may not be read or written."""


class ResourceExhaustedError(OpError, MemoryError):
    """The memory does not suffice."""


class UnimplementedError(OpError, NotImplementedError):
    """Something is not implemented."""


class NeedsValuesError(ValueError):
    """Something needs values that are not known while a function is compiled."""


class OperatorNotAllowedInGraphError(TypeError):
    """A condition of Python depends on a value that is not known yet."""


class AbortedError(OpError):
    """An operation was aborted."""


class CancelledError(OpError):
    """An operation was cancelled."""


class DataLossError(OpError):
    """Data are damaged."""


class DeadlineExceededError(OpError):
    """An operation took too long."""


class FailedPreconditionError(OpError):
    """The state does not allow an operation."""


class InternalError(OpError):
    """Something that should not happen."""


class UnauthenticatedError(OpError):
    """The caller is not known."""


class UnavailableError(OpError):
    """A service does not answer."""


class UnknownError(OpError):
    """An error of another kind."""
