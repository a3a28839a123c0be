"""Measure Hornbeam and its peers side by side, as bench/README.md describes.

`soak` measures memory instead, `backup` the cost of backups, `distribution` several processes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import peers as parties
from bench import report
from bench.comparison import Comparison, imports, say
from bench.peers import PEERS, ROOT, Failed, Peer
from bench.workloads import table


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help=f"workloads: {', '.join(table.WORKLOADS)} (default: all)"
    )
    parser.add_argument("--peers", help=f"separated by commas: {', '.join(PEERS)} (default: all)")
    parser.add_argument(
        "--repeats", type=int, help="timed rounds of each peer (default 5, with --quick 1)"
    )
    parser.add_argument(
        "--starts",
        type=int,
        help="first and second starts of each peer (default 2, with --quick 1)",
    )
    parser.add_argument(
        "--fit-only", action="store_true", help="one start of each peer, no imports, no prediction"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few steps: shows that everything works, not the speed"
    )
    parser.add_argument(
        "--device", choices=("cpu", "gpu"), default="cpu", help="gpu adds resnet50 and gpt2"
    )
    parser.add_argument(
        "--cores", type=int, default=2, help="cores of each peer on CPU (default 2; 0: all)"
    )
    parser.add_argument(
        "--peak",
        type=float,
        help="the device's bfloat16 peak in FLOP/s, for model FLOP utilisation",
    )
    parser.add_argument(
        "--timeout", type=float, default=900, help="seconds to wait for one answer (default 900)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results")
    parser.add_argument(
        "--from",
        type=Path,
        dest="source",
        metavar="FILE",
        help="measure nothing, read results from FILE",
    )
    parser.add_argument("--readme", action="store_true", help="write the tables into README.md")
    parser.add_argument(
        "--python",
        type=Path,
        metavar="PATH",
        help="run all peers with this Python, create no environment",
    )
    options = parser.parse_args(arguments)
    options.repeats = options.repeats or (1 if options.quick else 5)
    options.starts = 1 if options.fit_only else options.starts or (1 if options.quick else 2)
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 1 if Hornbeam could not be measured, 130 if interrupted, else 0."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] in (["soak"], ["backup"], ["distribution"]):
        try:
            python = parties.prepare("hornbeam", "cpu")
        except Failed as reason:
            raise SystemExit(f"Hornbeam: {reason}") from None
        return subprocess.run(
            [python, "-m", f"bench.{arguments[0]}", *arguments[1:]], cwd=ROOT, check=False
        ).returncode
    options = parse(arguments)
    if options.source:
        results, code = json.loads(options.source.read_text()), 0
    else:
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            results, code = measure(options)
        finally:
            signal.signal(signal.SIGTERM, before)
        save(results, options)
    print(report.text(results))
    if options.readme and code == 0:
        report.write_readme(results, ROOT / "README.md")
        say("README.md now holds the tables.")
    return code


def save(results: dict[str, Any], options: argparse.Namespace) -> None:
    """Write the results to the file of `--json`, if given."""
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Run the measurements of `options`; return the results and the exit code."""
    workloads = table.find(options.names, options.device)
    if options.quick:
        workloads = [workload.quick() for workload in workloads]
    chosen = parties.find(options.peers, options.device)
    results = header(options)
    code = 0
    scratch = Path(tempfile.mkdtemp(prefix="hornbeam-bench-"))
    try:
        pythons, missing = interpreters(chosen, options)
        results["missing"] = missing
        if not options.fit_only:
            results["imports"] = imports(chosen, pythons, options, scratch)
        for workload in workloads:
            entry = asdict(workload) | {
                "peers": {name: {"failed": reason} for name, reason in missing.items()}
            }
            results["workloads"][workload.name] = entry
            Comparison(
                workload, chosen, pythons, options, scratch / workload.name, entry["peers"]
            ).run()
            save(results, options)
    except KeyboardInterrupt:
        say("Interrupted. The results so far follow.")
        results["interrupted"], code = True, 130
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    own = [entry["peers"].get("hornbeam", {}) for entry in results["workloads"].values()]
    if not code and any("failed" in entry for entry in own):
        code = 1
    return results, code


def header(options: argparse.Namespace) -> dict[str, Any]:
    """Return the results without measurements: date, machine and options."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    load = os.getloadavg()[0]
    if load > 0.5:
        say(f"Other programs run on this machine (load {load:.1f}). Expect noise.")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "format": 1,
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": _git("describe", "--always", "--dirty"),
        "machine": {
            "processor": _processor(),
            "cores": cores,
            "cores_used": min(cores, options.cores or cores) if options.device == "cpu" else cores,
            "memory_gb": round(memory, 1),
            "system": platform.platform(),
            "load": load,
        },
        "options": {
            name: str(v) if isinstance(v, Path) else v
            for name, v in vars(options).items()
            if name != "source"
        },
        "versions": {},
        "missing": {},
        "imports": {},
        "workloads": {},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        found = {
            key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
        }
        return f"{found['model name']} (family {found['cpu family']}, model {found['model']})"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def _git(*arguments: str) -> str | None:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def interpreters(
    chosen: list[Peer], options: argparse.Namespace
) -> tuple[dict[str, Path], dict[str, str]]:
    """Create the environments; return the Python of each peer, and reasons for missing ones."""
    pythons: dict[str, Path] = {}
    missing: dict[str, str] = {}
    made: dict[str, Path | Failed] = {}
    for peer in chosen:
        if peer.environment not in made:
            try:
                made[peer.environment] = options.python or parties.prepare(
                    peer.environment, options.device
                )
            except Failed as reason:
                made[peer.environment] = reason
        python = made[peer.environment]
        if isinstance(python, Failed):
            missing[peer.name] = str(python)
            say(f"{peer.title} is left out: {python}")
        else:
            pythons[peer.name] = python
    return pythons, missing


if __name__ == "__main__":
    sys.exit(main())
