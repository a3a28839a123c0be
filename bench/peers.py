"""The peers, their environments, and the communication with worker processes."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.workloads.table import Workload

__all__ = ["PEERS", "Failed", "Peer", "Worker", "clean_environment", "find", "prepare", "unsuited"]

ROOT = Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A peer cannot be measured; the message says why."""


@dataclass(frozen=True)
class Peer:
    """A library, in one of its variants, that the benchmark measures.

    Attributes:
        name: Name on the command line.
        title: Heading of its column.
        family: `keras`, `jax` or `torch`; the module `bench.workloads.<family>_family` trains it.
        module: Module that it imports.
        environment: It runs in the environment `.venv/bench-<environment>`.
        variant: Variant of the family.
        variables: Environment variables of its process.
    """

    name: str
    title: str
    family: str
    module: str
    environment: str
    variant: str = ""
    variables: dict[str, str] = field(default_factory=dict)


PEERS = {
    peer.name: peer
    for peer in (
        Peer("hornbeam", "Hornbeam", "keras", "hornbeam", "hornbeam"),
        Peer("jax-step", "JAX step", "jax", "jax", "hornbeam", "step"),
        Peer("jax-scan", "JAX scan", "jax", "jax", "hornbeam", "scan"),
        Peer(
            "keras-jax",
            "Keras JAX",
            "keras",
            "keras",
            "keras-jax",
            variables={"KERAS_BACKEND": "jax"},
        ),
        Peer(
            "keras-tf",
            "Keras TF",
            "keras",
            "keras",
            "keras-tf",
            variables={"KERAS_BACKEND": "tensorflow"},
        ),
        Peer(
            "keras-torch",
            "Keras torch",
            "keras",
            "keras",
            "torch",
            variables={"KERAS_BACKEND": "torch"},
        ),
        Peer("torch", "PyTorch", "torch", "torch", "torch", "eager"),
        Peer("torch-channels-last", "channels_last", "torch", "torch", "torch", "channels_last"),
        Peer("torch-compile", "torch.compile", "torch", "torch", "torch", "compile"),
    )
}

# The packages of each environment.
_REQUIREMENTS = {
    "hornbeam": "-e .",
    "keras-jax": "keras==3.15.* jax>=0.10,<1",
    "keras-tf": "keras==3.15.* tensorflow-cpu==2.21.*",
    "torch": "keras==3.15.* torch==2.13.0",
}
_GPU_EXTRAS = {"hornbeam": " jax[cuda12]>=0.10,<1", "keras-jax": " jax[cuda12]>=0.10,<1"}


def find(names: str | None, device: str) -> list[Peer]:
    """Return the peers of these names (separated by commas), or all that `device` can measure."""
    chosen = names.split(",") if names else list(PEERS)
    unknown = [name for name in chosen if name not in PEERS]
    if unknown:
        raise SystemExit(f"No peer is named {', '.join(unknown)}. Peers: {', '.join(PEERS)}.")
    return [
        PEERS[name]
        for name in chosen
        if names or device == "cpu" or name not in ("keras-tf", "keras-torch")
    ]


def unsuited(peer: Peer, workload: Workload, device: str) -> str | None:
    """Return the reason why a peer is left out of a workload, or `None`."""
    convolves = workload.family in ("conv", "resnet")
    if peer.variant == "channels_last" and not convolves:
        return "the model has no convolution"
    if peer.variant == "scan" and convolves and device == "cpu":
        return "XLA on CPU runs gradients of convolutions about 20 times slower inside a loop"
    return None


def prepare(environment: str, device: str) -> Path:
    """Create the environment `.venv/bench-NAME` if it is missing; return its Python."""
    requirement, files = _REQUIREMENTS[environment], ["pyproject.toml"]
    name = f"bench-{environment}"
    if device == "gpu":
        requirement, name = (
            requirement + _GPU_EXTRAS.get(environment, ""),
            f"bench-gpu-{environment}",
        )
    native = ROOT / "native"
    if environment == "hornbeam" and native.is_dir() and device == "cpu":
        try:
            return _install(name, f"{requirement} ./native", [*files, "native"])
        except Failed as reason:
            print(f"Hornbeam is measured without its native kernels: {reason}", file=sys.stderr)
    return _install(name, requirement, files)


def _install(name: str, requirement: str, files: list[str]) -> Path:
    command = [
        "bash",
        "-ec",
        'source script/environment; use_environment "$@"',
        "bench",
        name,
        requirement,
        *files,
    ]
    result = subprocess.run(
        command, cwd=ROOT, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False
    )
    if result.returncode:
        raise Failed(f"its environment could not be created: {_last_lines(result.stderr)}")
    return ROOT / ".venv" / name / "bin" / "python"


def clean_environment(peer: Peer, home: Path, device: str) -> dict[str, str]:
    """Return a process environment without the user's settings that could change a result.

    `home` holds the caches of compiled programs. With a new folder, the process makes a first
    start; with a used folder, a second start.
    """
    settings = (
        "JAX_",
        "XLA_",
        "KERAS_",
        "TF_",
        "TORCH",
        "OMP_",
        "MKL_",
        "HORNBEAM_",
        "PYTHON",
        "XDG_",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    kept.update(
        HOME=str(home), TORCHINDUCTOR_CACHE_DIR=str(home / "inductor"), TF_CPP_MIN_LOG_LEVEL="3"
    )
    if device == "gpu":
        # Several workers share the GPU; only one works at a time.
        kept.update(XLA_PYTHON_CLIENT_PREALLOCATE="false", TF_FORCE_GPU_ALLOW_GROWTH="true")
    else:
        kept.update(JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="")
    return {**kept, **peer.variables}


def _last_lines(text: str, count: int = 3) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:])[-500:] or "it printed nothing"


class Worker:
    """A process that trains one workload with one peer and times calls on request.

    Messages are lines of JSON. A worker first runs as a script would (import, build, first epoch);
    `started` holds these times. Then `ask` requests timed rounds.

    Args:
        python: The interpreter.
        peer: The peer to measure.
        setup: Settings of the worker: workload, folder of the data, number of cores.
        home: Folder of its caches.
        device: `cpu` or `gpu`.
        timeout: Seconds after which an answer counts as failed.
    """

    def __init__(
        self,
        python: Path,
        peer: Peer,
        setup: dict[str, Any],
        home: Path,
        device: str,
        timeout: float,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.timeout, self.log = timeout, home / "log"
        setup = {**setup, "peer": peer.name, "spawned": time.monotonic()}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [python, "-m", "bench.worker", json.dumps(setup)],
                cwd=ROOT,
                env=clean_environment(peer, home, device),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # `close` then ends its children too
            )
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.started = self._answer()
        except BaseException:
            self.close()
            raise

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.answers.put(line)
        self.answers.put("")

    def _answer(self) -> dict[str, Any]:
        try:
            line = self.answers.get(timeout=self.timeout)
        except queue.Empty:
            raise Failed(f"no answer within {self.timeout:.0f} seconds") from None
        if not line:
            self.process.wait()
            raise Failed(
                f"it ended with code {self.process.returncode}: {_last_lines(self.log.read_text())}"
            )
        answer = json.loads(line)
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer."""
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended; its last message gives the reason
        return self._answer()

    def close(self) -> None:
        """End the process and its children."""
        with contextlib.suppress(OSError):
            assert self.process.stdin
            self.process.stdin.close()
        try:
            self.process.wait(0.5)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
