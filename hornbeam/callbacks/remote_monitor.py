"""`RemoteMonitor`: sends each epoch's results to a server."""

from __future__ import annotations

import http.client
import json
import urllib.parse
import urllib.request
import warnings

import numpy as np

from hornbeam.callbacks.callback import Callback
from hornbeam.typing import Logs

__all__ = ["RemoteMonitor"]


class RemoteMonitor(Callback):
    """Sends each epoch's results to a server by HTTP POST; warns if it cannot be reached.

    Args:
        root: Address of the server, beginning with `http://` or `https://`.
        path: Path on the server.
        field: Name of the form field that holds the results as JSON; unused with `send_as_json`.
        headers: Additional HTTP headers by name.
        send_as_json: Whether the body is the JSON itself instead of a form.

    Raises:
        ValueError: If `root` does not begin so.

    Example:
        >>> RemoteMonitor(root="http://localhost:9000").path
        '/publish/epoch/end/'
    """

    first_process_only = True

    def __init__(
        self, root: str = "http://localhost:9000", path: str = "/publish/epoch/end/",
        field: str = "data", headers: dict[str, str] | None = None, send_as_json: bool = False,
    ):  # fmt: skip
        super().__init__()
        if not str(root).lower().startswith(("http://", "https://")):
            raise ValueError(
                f"RemoteMonitor: `root` must begin with http:// or https://, received {root!r}."
            )
        self.root, self.path, self.field, self.headers, self.send_as_json = (
            root,
            path,
            field,
            headers,
            send_as_json,
        )

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        results = {
            "epoch": epoch,
            **{name: np.asarray(value).tolist() for name, value in (logs or {}).items()},
        }
        text = json.dumps(results)
        if self.send_as_json:
            body, kind = text, "application/json"
        else:
            body, kind = (
                urllib.parse.urlencode({self.field: text}),
                "application/x-www-form-urlencoded",
            )
        try:
            headers = {"Content-Type": kind, **(self.headers or {})}
            request = urllib.request.Request(
                self.root + self.path, body.encode(), headers, method="POST"
            )
            with urllib.request.urlopen(request, timeout=10):
                pass
        except (OSError, http.client.HTTPException) as error:
            warnings.warn(
                f"RemoteMonitor: the results of epoch {epoch + 1} could not be sent to {self.root}:"
                f" {error}.",
                stacklevel=3,
            )
