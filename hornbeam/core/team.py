"""The processes of one job: how they meet, and how each notices that another is gone or stuck.

The first process keeps one connection to each other process. `Team.meet` returns when every process
has come to the same point. A connection that breaks means that a process has ended. A message each
second shows that a process lives, and which line its main thread runs.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Team", "open_hub", "running_team", "set_team"]

SECONDS_UNTIL_WARNING = 30.0
"""After this time, a process that the others wait for is named."""
SECONDS_OF_SILENCE = 50.0
"""After this time without a sign of life, a process counts as ended."""
SECONDS_TO_END = 5.0
"""Time that the main thread has to end by an error before the process is ended."""

_team: Team | None = None


def running_team() -> Team | None:
    """Return the team of this process, or `None` if it is on its own."""
    return _team


def set_team(team: Team | None) -> None:
    """Set the team of this process."""
    global _team
    _team = team


def open_hub(host: str = "") -> socket.socket:
    """Return a socket of the first process on a free port, to which the others connect."""
    hub = socket.create_server((host, 0))
    hub.settimeout(1.0)
    return hub


class Team:
    """The processes of one job.

    Args:
        number: Number of this process, from 0.
        count: Number of processes.
        link: In the first process, the socket of `open_hub`; elsewhere, the connection to it.
        token: A word that all processes know; a stranger's connection is refused.
        patience: Seconds after which the others give up waiting for a process that lives.
        end: Ends this process if its main thread does not; for tests.

    Attributes:
        number: Number of this process, from 0.
        count: Number of processes.
        asked: Words that this process sends with its next meeting, such as `"interrupt"`.
        agreed: The words that any process sent with the latest meeting.
    """

    def __init__(
        self,
        number: int,
        count: int,
        link: socket.socket,
        token: str,
        patience: float = 600.0,
        end: Callable[[int], Any] = os._exit,
    ):
        self.number, self.count = number, count
        self.asked: set[str] = set()
        self.agreed: set[str] = set()
        self._token, self._patience, self._end = token, patience, end
        self._main = threading.main_thread()
        self._lock, self._sending = threading.RLock(), threading.Lock()
        self._begun = self._ended = 0  # meetings
        self._results: queue.Queue[Any] = queue.Queue()
        self._failure: str | None = None
        self._left: dict[int, str] = {}
        self._closed = False
        self._failed_here: str | None = None
        self._hub = _Hub(self, link) if number == 0 else None
        self._link = link
        if number:
            link.settimeout(None)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._send({"hello": token, "number": number})
        threading.Thread(target=self._work, name="hornbeam-team", daemon=True).start()
        threading.Thread(target=self._live, name="hornbeam-alive", daemon=True).start()
        self._before_hook = sys.excepthook
        sys.excepthook = self._note_error
        atexit.register(self.leave)

    # --- meeting ------------------------------------------------------------------------------

    def meet(self, point: str, note: Any = None) -> list[Any]:
        """Wait until every process has come to the same point; return the note of each.

        Args:
            point: The point, in words such as `"the end of an epoch"`.
            note: Any value of JSON.

        Raises:
            RuntimeError: If a process is at another point, has ended, or does not come.
        """
        with self._lock:
            self._check()
            self._begun += 1
            sent = {"meet": point, "note": note, "asked": sorted(self.asked)}
            if self._left:
                self._fall(self._absent(point))
            if self._hub is not None:
                self._hub.arrive(0, sent)
            else:
                self._send(sent)
            rows = self._results.get()
            self._check()
        points = [row["meet"] for row in rows]
        if len(set(points)) > 1:
            listed = "; ".join(f"process {i}: {text}" for i, text in enumerate(points))
            raise RuntimeError(
                f"The processes are not at the same point of the program. {listed}. Every process"
                " must run the same code on the same data: check what depends on the number of"
                " the process, on random numbers, or on the lengths of data."
            )
        self.agreed = {word for row in rows for word in row["asked"]}
        return [row["note"] for row in rows]

    def agree(self, point: str, note: dict[str, Any]) -> None:
        """Check that the notes of all processes are equal.

        Raises:
            RuntimeError: In every process, with what differs.
        """
        notes = self.meet(point, note)
        for name in dict.fromkeys(name for each in notes for name in each):
            values = [each.get(name) for each in notes]
            if any(value != values[0] for value in values):
                listed = "; ".join(f"process {i}: {value}" for i, value in enumerate(values))
                raise RuntimeError(
                    f"The processes differ in {name} ({point}). {listed}. Every process must run"
                    " the same code on the same data, with the same seeds."
                )

    def _check(self) -> None:
        if self._failure is not None:
            raise RuntimeError(self._failure)

    def _absent(self, point: str) -> str:
        number, how = next(iter(self._left.items()))
        return f"Process {number} of {self.count} {how}, while process {self.number} is at {point}."

    # --- watching -----------------------------------------------------------------------------

    def _work(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._hub is not None:
                self._hub.serve()
            else:
                with self._link.makefile("rb") as lines:
                    for line in lines:
                        self._hear(json.loads(line))
        if self._hub is None and not self._closed and 0 not in self._left:
            self._fall(f"Process 0 of {self.count} has ended without a word.")

    def _hear(self, message: dict[str, Any]) -> None:
        if "met" in message:
            self._ended += 1
            self._results.put(message["met"])
        elif "fall" in message:
            self._fall(message["fall"])
        elif "late" in message:
            _say(self.number, message["late"])
        elif "left" in message:
            self._left[message["left"]] = "has left the program"
            if self._begun > self._ended:
                self._fall(self._absent("a point where all must meet"))

    def _live(self) -> None:
        while not self._closed:
            time.sleep(1.0)
            place = self.place()
            if self._hub is not None:
                self._hub.alive(0, place)
            else:
                with contextlib.suppress(OSError):
                    self._send({"alive": place})

    def place(self) -> str:
        """Return the line that the main thread runs, in the user's code if it is there."""
        # The main thread runs on meanwhile, so that a frame may vanish.
        with contextlib.suppress(Exception):
            frame: Any = sys._current_frames()[self._main.ident or 0]
            innermost = frame
            while frame is not None:
                if not any(part in frame.f_code.co_filename for part in _LIBRARIES):
                    return _line_of(frame)
                frame = frame.f_back
            return _line_of(innermost)
        return "an unknown line"

    def _fall(self, why: str) -> None:
        """End this process: the main thread by an error if it meets the others, else from here."""
        if self._failure is not None or self._closed or self._failed_here is not None:
            return
        self._failure = f"{why} Process {self.number} ends too."
        _say(self.number, self._failure)
        self._results.put([])
        timer = threading.Timer(SECONDS_TO_END, self._end, (1,))
        timer.daemon = True
        timer.start()

    # --- the end --------------------------------------------------------------------------------

    def _note_error(self, kind: Any, error: Any, trace: Any) -> None:
        self._failed_here = f"{getattr(kind, '__name__', kind)}: {error}"[:500]
        self._before_hook(kind, error, trace)

    def leave(self) -> None:
        """Tell the others that this process ends. After an error, end at once: JAX would wait."""
        if self._closed:
            return
        failed = self._failed_here or self._failure
        text = {"bye": self._failed_here}
        with contextlib.suppress(OSError):
            if self._hub is not None:
                self._hub.gone(0, self._failed_here)
            else:
                self._send(text)
        self._closed = True
        if failed is not None:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            time.sleep(0.2)  # until the message has gone
            self._end(1)

    def _send(self, message: dict[str, Any]) -> None:
        try:
            with self._sending:
                self._link.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            if "meet" in message:
                self._fall(f"Process 0 of {self.count} cannot be reached.")


class _Hub:
    """The part of the first process that talks with all others."""

    def __init__(self, team: Team, server: socket.socket):
        self._team, self._server = team, server
        self._lock, self._sending = threading.RLock(), threading.Lock()
        self._links: dict[int, socket.socket] = {}
        self._arrived: dict[int, dict[str, Any]] = {}
        self._since = 0.0
        self._told = 0.0
        self._alive: dict[int, tuple[float, str]] = {}
        self._left: dict[int, str] = {}

    def serve(self) -> None:
        with selectors.DefaultSelector() as found:
            self._server.setblocking(False)
            found.register(self._server, selectors.EVENT_READ)
            buffers: dict[Any, bytes] = {}
            while not self._team._closed:
                for key, _ in found.select(1.0):
                    link: Any = key.fileobj
                    if link is self._server:
                        link = self._server.accept()[0]
                        link.settimeout(10.0)  # a stuck process must not stop the others
                        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        buffers[link] = b""
                        found.register(link, selectors.EVENT_READ)
                        continue
                    try:
                        got = link.recv(1 << 16)
                    except OSError:
                        got = b""
                    if not got:
                        found.unregister(link)
                        self._lost(link)
                        continue
                    *lines, buffers[link] = (buffers[link] + got).split(b"\n")
                    for line in lines:
                        if not self._take(link, line):
                            found.unregister(link)
                            link.close()
                            break
                self._look()

    def _number_of(self, link: Any) -> int | None:
        return next((n for n, other in self._links.items() if other is link), None)

    def _take(self, link: Any, line: bytes) -> bool:
        """Handle a message; return whether the connection stays."""
        try:
            message = json.loads(line)
        except ValueError:
            return False
        number = self._number_of(link)
        if number is None:
            if message.get("hello") != self._team._token:
                return False
            self._links[int(message["number"])] = link
            self.alive(int(message["number"]), "its start")
        elif "meet" in message:
            self.arrive(number, message)
        elif "alive" in message:
            self.alive(number, message["alive"])
        elif "bye" in message:
            self.gone(number, message["bye"])
        return True

    def arrive(self, number: int, message: dict[str, Any]) -> None:
        with self._lock:
            if not self._arrived:
                self._since = self._told = time.monotonic()
            self._arrived[number] = message
            if len(self._arrived) < self._team.count:
                return
            rows = [self._arrived[i] for i in range(self._team.count)]
            self._arrived = {}
        self._tell({"met": rows})

    def alive(self, number: int, place: str) -> None:
        self._alive[number] = (time.monotonic(), place)

    def gone(self, number: int, error: str | None) -> None:
        if error is not None:
            self._tell({"fall": f"Process {number} of {self._team.count} failed ({error})."})
        else:
            self._left[number] = "left"
            self._tell({"left": number})

    def _lost(self, link: Any) -> None:
        number = self._number_of(link)
        if number is not None and number not in self._left:
            self._tell({
                "fall": f"Process {number} of {self._team.count} has ended without a word"
                " (killed, or its connection broke)."
            })  # fmt: skip

    def _tell(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._sending:
            for number, link in list(self._links.items()):
                if number not in self._left:
                    with contextlib.suppress(OSError):
                        link.sendall(data)
        if 0 not in self._left:
            self._team._hear(message)

    def _look(self) -> None:
        """Name the processes that the others wait for, and give up in the end."""
        now, count = time.monotonic(), self._team.count
        for number, (seen, place) in list(self._alive.items()):
            if number and number not in self._left and now - seen > SECONDS_OF_SILENCE:
                self._left[number] = "silent"
                self._tell({
                    "fall": f"Process {number} of {count} has given no sign of life for"
                    f" {SECONDS_OF_SILENCE:.0f} s; it was last at {place}."
                })  # fmt: skip
        with self._lock:
            waited = now - self._since
            late = [i for i in range(count) if i not in self._arrived] if self._arrived else []
            if not late or now - self._told < SECONDS_UNTIL_WARNING:
                return
            self._told = now
            point = next(iter(self._arrived.values()))["meet"]
        where = "; ".join(
            f"process {i} is at {self._alive[i][1]}" for i in late if i in self._alive
        )
        names = ", ".join(map(str, late))
        text = f"waited {waited:.0f} s at {point} for process {names} of {count}: {where}."
        if waited > self._team._patience:
            self._tell({"fall": f"The others have {text}"})
        else:
            self._tell({"late": f"The others have {text} They wait for {self._team._patience} s."})


_LIBRARIES = ("site-packages", f"{os.sep}hornbeam{os.sep}", f"lib{os.sep}python", "<frozen")


def _line_of(frame: Any) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _say(number: int, text: str) -> None:
    with contextlib.suppress(Exception):
        print(f"hornbeam, process {number}: {text}", file=sys.stderr, flush=True)
