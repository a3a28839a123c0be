"""A worker process, which trains one workload with one library and times rounds on request.

`bench.peers.Worker` starts it. The first argument is its setup as JSON. It answers on standard
output in lines of JSON; all other output goes to standard error. It ends as soon as standard input
ends, even during a measurement, so no worker outlives the benchmark.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import queue
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PACKAGES = (
    "hornbeam",
    "hornbeam-cpu",
    "jax",
    "jaxlib",
    "keras",
    "tensorflow-cpu",
    "torch",
    "numpy",
)


def main() -> None:
    """Run as a script would, report the times, then answer requests."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(requests,), daemon=True).start()
    try:
        trainer, started = start(json.loads(sys.argv[1]))
        answer(**started)
        while True:
            answer(**respond(trainer, json.loads(requests.get())))
    except Exception as error:
        import traceback

        traceback.print_exc()
        answer(failed=f"{type(error).__name__}: {error}"[:500])
        sys.exit(1)


def listen(requests: queue.SimpleQueue[bytes]) -> None:
    """Collect requests until standard input ends, then end the process."""
    # Not `sys.stdin`: Python locks it at exit, which fails while a thread reads from it.
    with open(0, "rb", buffering=0, closefd=False) as lines:
        for line in lines:
            requests.put(line)
    os._exit(0)


def start(setup: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Import the library, build the model and train one epoch.

    Returns:
        The trainer, and a dictionary with the times since the start of the process.
    """
    if setup["cores"] and hasattr(os, "sched_setaffinity"):
        # Done before the libraries count the cores to create their threads.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: setup["cores"]])

    from bench.peers import PEERS
    from bench.workloads import data
    from bench.workloads.table import Workload

    peer, workload = PEERS[setup["peer"]], Workload(**setup["workload"])
    before = time.monotonic()
    library = importlib.import_module(peer.module)
    imported = time.monotonic()
    family = importlib.import_module(f"bench.workloads.{peer.family}_family")
    trainer = family.Trainer(library, peer.variant, workload, *data.load(Path(setup["data"])))

    first: list[float] = []
    losses = trainer.fit(1, lambda: first.append(time.monotonic()))
    finished = time.monotonic()
    return trainer, {
        "import_s": imported - before,
        "first_step_s": first[0] - setup["spawned"],
        "first_epoch_s": finished - setup["spawned"],
        "losses": losses,
        "device": device(peer.module),
        "versions": versions(),
        **memory(),
    }


def respond(trainer: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Time the requested call; the result is a mean over calls for at least `at_least` seconds."""
    if request["do"] == "fit":
        losses: list[float] = []
        seconds, calls = timed(
            lambda: losses.extend(trainer.fit(request["epochs"])), request["at_least"]
        )
        return {"seconds": seconds, "calls": calls, "losses": losses, **memory()}
    assert request["do"] == "predict", request
    ways = {}
    for way, predict in trainer.predictions().items():
        result = predict()  # compiles
        assert result.shape[0] == 1, result.shape
        ways[way] = timed(predict, request["at_least"])[0]
    return {"seconds": ways, **memory()}


def timed(call: Callable[[], Any], at_least: float) -> tuple[float, int]:
    """Call for at least `at_least` seconds; return the mean seconds and the number of calls."""
    calls, begun = 0, time.perf_counter()
    while True:
        call()
        calls += 1
        passed = time.perf_counter() - begun
        if passed >= at_least:
            return passed / calls, calls


def memory() -> dict[str, float]:
    """Return the peak resident memory of this process and, on a GPU, of the device, in MB."""
    try:
        # Unlike `getrusage`, this does not include the process that started this one.
        status = Path("/proc/self/status").read_text()
        peak = (
            next(
                float(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")
            )
            / 1024
        )
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**20 if sys.platform == "darwin" else 2**10
        )
    on_device = None
    if "jax" in sys.modules:
        on_device = (sys.modules["jax"].devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    elif "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        on_device = sys.modules["torch"].cuda.max_memory_allocated()
    return {"peak_mb": peak, **({"device_peak_mb": on_device / 2**20} if on_device else {})}


def device(module: str) -> str:
    """Return the name of the device that the library uses."""
    if "jax" in sys.modules:
        return sys.modules["jax"].devices()[0].device_kind
    if "torch" in sys.modules:
        cuda = sys.modules["torch"].cuda
        return cuda.get_device_name() if cuda.is_available() else "cpu"
    return "cpu"


def versions() -> dict[str, str]:
    """Return the versions of the installed packages."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
