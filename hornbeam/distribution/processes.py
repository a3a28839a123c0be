"""Several processes: how they find each other."""

from __future__ import annotations

import os
from typing import Any

import jax

from hornbeam import errors

__all__ = ["initialize"]


def initialize(
    job_addresses: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Connect this process with the others of a job, by `jax.distributed.initialize`.

    Call it before anything is computed. Each argument may come from the environment instead, from
    `KERAS_DISTRIBUTION_JOB_ADDRESSES`, `KERAS_DISTRIBUTION_NUM_PROCESSES` and
    `KERAS_DISTRIBUTION_PROCESS_ID`. Without any, JAX finds the job of a cluster that it knows
    (SLURM, Open MPI, Kubernetes, TPU).

    Args:
        job_addresses: Address and port of the first process, such as `"10.0.0.1:1234"`; of a list
            with commas, the first is used.
        num_processes: Number of processes.
        process_id: Number of this process, from 0.

    Raises:
        ValueError: If a number is none, or `process_id` is not below `num_processes`.
        RuntimeError: If something was computed before, or a process is missing.
    """
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
    jax.distributed.initialize(
        coordinator_address=coordinator, num_processes=count, process_id=number
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
