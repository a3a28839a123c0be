"""Measure the peers: start them, then run one workload in all of them in turn."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import peers as parties
from bench.peers import ROOT, Failed, Peer, Worker
from bench.workloads import data
from bench.workloads.table import Workload

__all__ = ["Comparison", "imports", "say"]


def say(text: str) -> None:
    """Print a line of progress to standard error."""
    print(text, file=sys.stderr, flush=True)


_IMPORT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def imports(
    chosen: list[Peer], pythons: dict[str, Path], options: argparse.Namespace, scratch: Path
) -> dict[str, Any]:
    """Time `import` of each library, and of plain JAX for comparison, in new processes."""
    timed = {
        peer.name: peer
        for peer in chosen
        if peer.name in pythons and peer.variant in ("", "eager", "step")
    }
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    failures: dict[str, str] = {}
    # The first round is not counted, because it brings the files into memory.
    for repeat in range(options.repeats + 1):
        say(f"import: round {repeat} of {options.repeats}")
        for name in _rotated(list(timed), repeat):
            try:
                elapsed = _import_seconds(timed[name], pythons[name], options, scratch)
            except Failed as reason:
                failures[name] = str(reason)
                continue
            if repeat:
                seconds[name].append(elapsed)
    return {
        name: {"failed": failures[name]} if name in failures else {"import_s": seconds[name]}
        for name in timed
    }


def _import_seconds(peer: Peer, python: Path, options: argparse.Namespace, home: Path) -> float:
    environment = parties.clean_environment(peer, home, options.device)
    command = [python, "-c", _IMPORT.format(peer.module)]
    try:
        result = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=options.timeout,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"its import takes more than {options.timeout:.0f} seconds") from None
    except subprocess.CalledProcessError as error:
        raise Failed((error.stderr.strip().splitlines() or ["it printed nothing"])[-1]) from None
    return float(result.stdout.split()[-1])


def _rotated(items: list[Any], by: int) -> list[Any]:
    by %= max(1, len(items))
    return items[by:] + items[:by]


class Comparison:
    """All peers on one workload; they take turns, and each round begins with another peer."""

    def __init__(
        self,
        workload: Workload,
        chosen: list[Peer],
        pythons: dict[str, Path],
        options: argparse.Namespace,
        scratch: Path,
        results: dict[str, Any],
    ) -> None:
        self.workload, self.pythons, self.options, self.scratch, self.results = (
            workload, pythons, options, scratch, results,
        )  # fmt: skip
        self.chosen = []
        for peer in chosen:
            reason = parties.unsuited(peer, workload, options.device)
            if reason is not None:
                results[peer.name] = {"left_out": reason}
            elif peer.name in pythons:
                results[peer.name] = {
                    "first_starts": [],
                    "second_starts": [],
                    "fit_ms": [],
                    "predict_us": {},
                    "losses": [],
                }
                self.chosen.append(peer)
        self.workers: dict[str, Worker] = {}

    def run(self) -> None:
        """Measure starts, then rounds of `fit` and of prediction."""
        self.scratch.mkdir(parents=True)
        data.save(self.workload, self.scratch)
        try:
            for number in range(self.options.starts):
                for peer in _rotated(self.chosen, number):
                    self._guarded(peer, self._starts, number, number + 1 == self.options.starts)
            self._rounds("warm up", 1, self._fit, counted=False)
            self._rounds("fit", self.options.repeats, self._fit)
            if not self.options.fit_only:
                self._rounds("predict", self.options.repeats, self._predict)
        finally:
            for worker in self.workers.values():
                worker.close()
        for peer in self.chosen:
            self._check(peer)

    def _say(self, peer: Peer, text: str) -> None:
        say(f"{self.workload.name}, {peer.title}: {text}")

    def _guarded(self, peer: Peer, action: Any, *arguments: Any) -> None:
        """Run one measurement; if it fails, record the reason and continue without this peer."""
        entry = self.results[peer.name]
        if "failed" in entry:
            return
        try:
            action(peer, *arguments)
        except Failed as reason:
            entry["failed"] = str(reason)
            self._say(peer, f"failed: {reason}")
            if peer.name in self.workers:
                self.workers.pop(peer.name).close()

    def _starts(self, peer: Peer, number: int, keep: bool) -> None:
        """Measure a start with empty caches and a second start with the caches of the first.

        If `keep` is true, the last worker stays alive for the rounds.
        """
        entry = self.results[peer.name]
        setup = {"workload": asdict(self.workload), "data": str(self.scratch)}
        setup["cores"] = self.options.cores if self.options.device == "cpu" else 0
        home = self.scratch / f"{peer.name}-{number}"
        kinds = ("first_starts",) if self.options.fit_only else ("first_starts", "second_starts")
        for kind in kinds:
            worker = Worker(
                self.pythons[peer.name],
                peer,
                setup,
                home,
                self.options.device,
                self.options.timeout,
            )
            started = worker.started
            entry["versions"], entry["device"] = started.pop("versions"), started.pop("device")
            entry["losses"] = started.pop("losses")
            entry[kind].append(started)
            if keep and kind == kinds[-1]:
                self.workers[peer.name] = worker
            else:
                worker.close()
            told = "first epoch" if kind == "first_starts" else "first step of a second start"
            seconds = started["first_epoch_s" if kind == "first_starts" else "first_step_s"]
            self._say(peer, f"{told} after {seconds:.1f} s")

    def _rounds(self, what: str, repeats: int, action: Any, counted: bool = True) -> None:
        for repeat in range(repeats):
            begun = time.monotonic()
            for peer in _rotated(self.chosen, repeat):
                self._guarded(peer, action, counted)
            say(
                f"{self.workload.name}: {what}, round {repeat + 1} of {repeats},"
                f" {time.monotonic() - begun:.1f} s"
            )

    def _fit(self, peer: Peer, counted: bool) -> None:
        entry = self.results[peer.name]
        at_least = 0.3 if counted else 0
        answer = self.workers[peer.name].ask(
            do="fit", epochs=self.workload.epochs, at_least=at_least
        )
        entry["losses"] += answer["losses"]
        entry["peak_mb"], entry["device_peak_mb"] = answer["peak_mb"], answer.get("device_peak_mb")
        if counted:
            entry["fit_ms"].append(
                1e3 * answer["seconds"] / (self.workload.steps * self.workload.epochs)
            )

    def _predict(self, peer: Peer, counted: bool) -> None:
        answer = self.workers[peer.name].ask(do="predict", at_least=0.2)
        for way, seconds in answer["seconds"].items():
            self.results[peer.name]["predict_us"].setdefault(way, []).append(1e6 * seconds)

    def _check(self, peer: Peer) -> None:
        """Mark the peer as failed unless all losses are finite and the last is below the first."""
        entry = self.results[peer.name]
        losses = entry.pop("losses")
        if losses:
            entry["first_loss"], entry["last_loss"], entry["epochs_trained"] = (
                losses[0],
                losses[-1],
                len(losses),
            )
        if "failed" not in entry and not (
            all(loss - loss == 0 for loss in losses) and losses[-1] < losses[0]
        ):
            entry["failed"] = (
                f"its loss does not fall: {losses[0]:.4g} at the start, {losses[-1]:.4g} after"
                f" {len(losses)} epochs"
            )
            self._say(peer, f"failed: {entry['failed']}")
