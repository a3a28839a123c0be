"""Several processes: how they find each other, and what is equal in all of them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import socket
import sys
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from hornbeam import errors
from hornbeam._version import __version__
from hornbeam.core.team import Team, open_hub, running_team, set_team

__all__ = ["initialize"]

_MOST_BYTES = 4096  # of the first process's addresses


def initialize(
    job_addresses: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    timeout: float = 300.0,
    patience: float = 600.0,
) -> None:
    """Connect this process with the others of a job, by `jax.distributed.initialize`.

    Call it before anything is computed. Each of the first three arguments may come from the
    environment instead, from `KERAS_DISTRIBUTION_JOB_ADDRESSES`,
    `KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID`. Without any, JAX finds
    the job of a cluster that it knows (SLURM, Open MPI, Kubernetes, TPU). Under `hornbeam launch`
    the processes are connected before the script starts, and a further call does nothing.

    The generators of Python and NumPy get the state of the first process, so seeds that are drawn
    from them are equal in all processes. From now on the processes watch each other: if one ends
    or is stuck, the others end with an error that names it.

    Args:
        job_addresses: Address and port of the first process, such as `"10.0.0.1:1234"`; of a list
            with commas, the first is used.
        num_processes: Number of processes.
        process_id: Number of this process, from 0.
        timeout: Seconds to wait for the other processes to start.
        patience: Seconds after which the others give up waiting for a process that lives but does
            not come to the point where they meet. It is named after 30 seconds.

    Raises:
        ValueError: If a number is none, or `process_id` is not below `num_processes`.
        OSError: If the port of the first process is in use.
        RuntimeError: If something was computed before, or a process is missing.
    """
    if running_team() is not None:
        return
    name = "KERAS_DISTRIBUTION_"
    job_addresses = job_addresses or os.environ.get(f"{name}JOB_ADDRESSES") or None
    count = _number("num_processes", num_processes, os.environ.get(f"{name}NUM_PROCESSES"))
    number = _number("process_id", process_id, os.environ.get(f"{name}PROCESS_ID"))
    if count is not None and number is not None and not 0 <= number < count:
        raise ValueError(
            f"initialize: `process_id` must be from 0 to {count - 1}, since `num_processes` is"
            f" {count}; received {number}."
        )
    coordinator = job_addresses.split(",")[0].strip() if job_addresses else None
    if coordinator is not None and ":" not in coordinator:
        raise ValueError(
            "initialize: `job_addresses` must be an address and a port, such as '10.0.0.1:1234';"
            f" received {job_addresses!r}."
        )
    if coordinator is not None and number == 0:
        _check_port(coordinator)
    # JAX would take SIGTERM over, which then neither ends a process nor makes a backup.
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        coordinator_address=coordinator,
        num_processes=count,
        process_id=number,
        initialization_timeout=max(int(timeout), 1),
    )
    if jax.process_count() > 1:
        _form_team(coordinator, patience)


def _check_port(coordinator: str) -> None:
    """Check that the first process can listen on its port; JAX would only wait."""
    port = _number("job_addresses", coordinator.rsplit(":", 1)[1], None)
    assert port is not None
    try:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("", port))
    except OSError as error:
        raise OSError(
            error.errno,
            f"initialize: port {port} of {coordinator!r} cannot be used: {error.strerror}. Choose"
            " another port for `job_addresses`",
        ) from error


def _form_team(coordinator: str | None, patience: float) -> None:
    """Connect with the first process, and take over the state of its random generators."""
    number, count = jax.process_index(), jax.process_count()
    told = np.zeros(_MOST_BYTES, "uint8")
    hub = None
    if number == 0:
        hub = open_hub()
        hosts = [coordinator.rsplit(":", 1)[0]] if coordinator else []
        text = json.dumps([hub.getsockname()[1], secrets.token_hex(16), hosts + _own_addresses()])
        told[: len(text)] = np.frombuffer(text.encode(), "uint8")
    heard = np.asarray(multihost_utils.broadcast_one_to_all(told)).tobytes().rstrip(b"\0")
    port, token, hosts = json.loads(heard)
    link = hub or _connected(hosts, port)
    team = Team(number, count, link, token, patience)
    set_team(team)
    versions = {
        "the version of Hornbeam": __version__,
        "the version of JAX": jax.__version__,
        "the version of Python": ".".join(map(str, sys.version_info[:2])),
        "the number of devices": len(jax.local_devices()),
    }
    team.agree("the start", versions)
    kind, numbers, gauss = random.getstate()
    algorithm, keys, *rest = np.random.get_state(legacy=True)
    states = [kind, list(numbers), gauss, algorithm, np.asarray(keys).tolist(), rest]
    kind, numbers, gauss, algorithm, keys, rest = team.meet("the start", states)[0]
    random.setstate((kind, tuple(numbers), gauss))
    np.random.set_state((algorithm, np.array(keys, "uint32"), *rest))


def _own_addresses() -> list[str]:
    """Return the names and addresses under which others may reach this machine."""
    found = [socket.gethostname()]
    with contextlib.suppress(OSError):
        found += socket.gethostbyname_ex(socket.gethostname())[2]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; the system chooses the outward address
        found.append(probe.getsockname()[0])
    return found


def _connected(hosts: list[str], port: int) -> socket.socket:
    """Return a connection with the first process."""
    for host in dict.fromkeys(hosts):
        with contextlib.suppress(OSError):
            return socket.create_connection((host, port), timeout=10)
    raise RuntimeError(
        f"initialize: the first process cannot be reached at port {port} of any of"
        f" {errors.listed(hosts)}. Open this port between the machines."
    )


def _number(argument: str, value: Any, text: str | None) -> int | None:
    found = text if value is None else value
    if found is None or found == "":
        return None
    try:
        if isinstance(found, (bool, float)):
            raise ValueError
        return int(found)
    except (TypeError, ValueError):
        raise ValueError(
            f"initialize: `{argument}` must be an integer, received {errors.describe(found)}."
        ) from None
