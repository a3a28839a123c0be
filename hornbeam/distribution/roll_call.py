"""The roll call before JAX connects the processes of a job.

If a process is missing, JAX ends the others by a signal, without an error of Python. So all report
to the first process before, at the port that JAX then uses.
"""

from __future__ import annotations

import contextlib
import socket
import time

__all__ = ["roll_call"]

_WORD = "hornbeam-roll-call"


def roll_call(address: str, number: int, count: int, timeout: float) -> None:
    """Wait until every process has come.

    Args:
        address: Address and port of the first process.
        number: Number of this process.
        count: Number of processes.
        timeout: Seconds to wait.

    Raises:
        OSError: In the first process, if its port is in use.
        RuntimeError: In every process that has come, if one is missing or two have one number.
    """
    host, port = address.rsplit(":", 1)
    deadline = time.monotonic() + timeout
    if number == 0:
        _receive(address, int(port), count, deadline, timeout)
    else:
        _report(address, (host.strip("[]"), int(port)), number, count, deadline, timeout)


def _receive(address: str, port: int, count: int, deadline: float, timeout: float) -> None:
    try:
        server = socket.create_server(("", port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OSError(
            getattr(error, "errno", None),
            f"initialize: port {port} of {address!r} cannot be used: {reason}. Choose another port"
            " for `job_addresses`",
        ) from error
    come: set[int] = set()
    answered: list[socket.socket] = []
    fault = ""
    with server, contextlib.ExitStack() as links:
        while len(come) < count - 1 and not fault:
            server.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                link = links.enter_context(server.accept()[0])
                link.settimeout(5.0)
                word, number, their_count = link.makefile().readline().split()
                if word != _WORD:
                    continue
            except TimeoutError:
                if time.monotonic() < deadline:
                    continue
                missing = [str(i) for i in range(1, count) if i not in come]
                fault = (
                    f"process {', '.join(missing)} of {count} did not come within {timeout:g} s to"
                    f" {address}. Start all processes with this address, or give a larger `timeout`"
                )
                break
            except (OSError, ValueError):
                continue  # a stranger
            if int(their_count) != count:
                fault = f"process {number} expects {their_count} processes, process 0 {count}"
            elif int(number) in come:
                fault = f"two processes have the number {number}. Give each its `process_id`"
            come.add(int(number))
            answered.append(link)
        for link in answered:
            with contextlib.suppress(OSError):
                link.sendall((fault or "go").encode() + b"\n")
                link.recv(1)  # the other one closes first, so that the port is free at once
    if fault:
        raise RuntimeError(f"initialize: {fault}.")


def _report(
    address: str, place: tuple[str, int], number: int, count: int, deadline: float, timeout: float
) -> None:
    answer = ""
    while not answer:
        left = deadline - time.monotonic()
        if left < 0:
            raise RuntimeError(
                f"initialize: process 0 of {count} was not found within {timeout:g} s at {address}."
                " Start it, check the address, and open its port."
            )
        try:
            with socket.create_connection(place, timeout=min(left, 10.0)) as link:
                link.sendall(f"{_WORD} {number} {count}\n".encode())
                link.settimeout(max(deadline - time.monotonic(), 0.0) + 5.0)
                answer = link.makefile().readline().strip()
        except OSError:
            pass
        if not answer:
            time.sleep(0.1)
    if answer != "go":
        raise RuntimeError(f"initialize: {answer}.")
