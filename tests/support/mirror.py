"""A web server on the loopback address that serves files, and can fail in chosen ways."""

import http.server
import re
import threading
from contextlib import contextmanager


class Mirror:
    """The files of a server by name, and how it serves them.

    Attributes:
        files: Contents by name.
        faults: What happens instead, by name: an HTTP status; `"cut"` (the connection ends in the
            middle of each answer), `"wrong"` (the bytes are others), `"slow"` (small pieces).
        asked: (name, first byte asked for) of all requests.
        ranges: Whether parts can be requested.
    """

    def __init__(self):
        self.files, self.faults, self.asked, self.ranges = {}, {}, [], True
        self.etag = '"1"'
        self.url = ""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        mirror = self.server.mirror
        name = self.path.lstrip("/")
        fault = mirror.faults.get(name, 404 if name not in mirror.files else None)
        start = int(re.sub(r"\D", "", self.headers.get("Range") or "0"))
        mirror.asked.append((name, start))
        if isinstance(fault, int):
            return self.send_error(fault)
        content = mirror.files[name]
        if fault == "wrong":
            content = bytes(255 - byte for byte in content)
        total = len(content)
        unchanged = self.headers.get("If-Range") in (None, mirror.etag)
        if start and mirror.ranges and unchanged:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            content = content[start:]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        if mirror.etag:
            self.send_header("ETag", mirror.etag)
        self.end_headers()
        if fault == "cut":
            content = content[: max(len(content) // 2, 1)]
        size = 1000 if fault == "slow" else len(content)
        for first in range(0, len(content), max(size, 1)):
            self.wfile.write(content[first : first + size])
            self.wfile.flush()
        self.close_connection = True

    def log_message(self, *args):
        pass


@contextmanager
def mirror_server():
    """Yield a `Mirror` that answers at its `url` until the block ends."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.mirror = Mirror()
    server.mirror.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.mirror
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
