"""`hornbeam launch`: several processes of one program on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO, Any

__all__ = ["LAUNCHED", "end_with_launcher", "launch"]

LAUNCHED = "HORNBEAM_LAUNCHED"
"""Environment variable of the processes that `launch` starts: the number of a pipe's end."""
SECONDS_TO_END = 15.0
"""Time that the others have to end by themselves after one process has failed."""


def launch(
    arguments: Sequence[str], processes: int, all_output: bool = False, cores: int | None = None
) -> int:
    """Run a program in several processes, connected by `hornbeam.distribution.initialize`.

    The output of the first process is shown. Of the others, errors are shown, with the number of
    the process before each line. When a process fails, the others end within seconds. Ctrl-C and
    SIGTERM are passed on to all.

    Args:
        arguments: A script with its arguments, or `-m MODULE` with them, as for `hornbeam run`.
        processes: Number of processes.
        all_output: Whether the output of the others is shown too.
        cores: Number of cores of each process. Default: all processes share all cores.

    Returns:
        0 if every process ended without an error; else the exit code of the first that failed, 128
        and the signal's number if a signal ended it.
    """
    address = f"127.0.0.1:{_free_port()}"
    theirs, ours = os.pipe()  # its end in this process closes when this process ends, however
    children: list[subprocess.Popen[bytes]] = []
    threads = []
    try:
        for number in range(processes):
            child = _start(arguments, number, processes, address, theirs, all_output)
            children.append(child)
            if cores is not None:
                _pin(child.pid, number, cores)
            for stream, shown in ((child.stdout, sys.stdout), (child.stderr, sys.stderr)):
                if stream is not None:
                    copy = threading.Thread(target=_show, args=(stream, shown, number), daemon=True)
                    copy.start()
                    threads.append(copy)
        code = _wait(children)
    finally:
        for child in children:
            if child.poll() is None:
                _signal(child, signal.SIGKILL)
        os.close(theirs)
        os.close(ours)
    for thread in threads:
        thread.join(5)
    return code


def _start(
    arguments: Sequence[str], number: int, count: int, address: str, pipe: int, all_output: bool
) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        LAUNCHED: str(pipe),
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
        "KERAS_DISTRIBUTION_PROCESS_ID": str(number),
    }
    hidden = subprocess.PIPE if all_output else subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-m", "hornbeam", "run", *arguments],
        env=environment,
        stdin=None if number == 0 else subprocess.DEVNULL,
        stdout=hidden if number else None,
        stderr=subprocess.PIPE if number else None,
        start_new_session=True,  # a terminal's Ctrl-C comes to this process only
        pass_fds=(pipe,),
    )


def end_with_launcher(pipe: int) -> None:
    """End this process soon after the launcher has ended, also if the launcher was killed."""

    def wait() -> None:
        os.read(pipe, 1)  # returns when the launcher's end of the pipe is closed
        print("hornbeam launch has ended, so this process ends too.", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)  # a backup may be made
        time.sleep(SECONDS_TO_END)
        os._exit(1)

    threading.Thread(target=wait, name="hornbeam-launcher", daemon=True).start()


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _pin(pid: int, number: int, cores: int) -> None:
    """Give a process some cores of its own, in turn if there are too few."""
    mine = sorted(os.sched_getaffinity(0))
    chosen = {mine[(number * cores + i) % len(mine)] for i in range(cores)}
    os.sched_setaffinity(pid, chosen)


def _show(stream: IO[bytes], shown: Any, number: int) -> None:
    """Copy lines, with the number of the process before each."""
    with stream:
        for line in stream:
            shown.write(f"[{number}] {line.decode(errors='replace')}")
            shown.flush()


def _wait(children: list[subprocess.Popen[bytes]]) -> int:
    """Wait for all processes, pass signals on, and end all when one fails; return the exit code."""
    signals: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: signals.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    first, deadline = 0, None
    try:
        while any(child.poll() is None for child in children):
            while signals:
                number = signals.pop(0)
                for child in children:
                    _signal(child, number)
            codes = [child.poll() for child in children]
            failed = [code for code in codes if code not in (None, 0)]
            if failed and deadline is None:
                first, deadline = failed[0] or 0, time.monotonic() + SECONDS_TO_END
            if deadline is not None and time.monotonic() > deadline:
                for child in children:
                    _signal(child, signal.SIGKILL)
            time.sleep(0.05)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if first == 0:
        first = next((child.returncode for child in children if child.returncode), 0)
    return 128 - first if first < 0 else first


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    if child.poll() is None:
        child.send_signal(number)
