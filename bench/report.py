"""Tables of the results, as text that is also valid Markdown."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.peers import PEERS

__all__ = ["text", "write_readme"]

BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"
FLOOR = ("jax-step", "jax-scan")

# Dense bfloat16 operations per second by the name of the device, from the vendors' data sheets.
PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
}

Numbers = Callable[[dict[str, Any]], list[float] | None]


def _fit(entry: dict[str, Any]) -> list[float] | None:
    return entry.get("fit_ms")


def _starts(kind: str, what: str) -> Numbers:
    return lambda entry: [start[what] for start in entry.get(kind, ())]


def _predict(way: str) -> Numbers:
    def numbers(entry: dict[str, Any]) -> list[float] | None:
        ways = entry.get("predict_us", {})
        # PyTorch and JAX have one way to predict, which is compared with each way of Hornbeam.
        return ways.get(way, ways.get("predict") if len(ways) == 1 else None)

    return numbers


def _memory(entry: dict[str, Any]) -> list[float] | None:
    peak = entry.get("device_peak_mb") or entry.get("peak_mb")
    return [peak] if peak else None


MEASURES: dict[str, tuple[str, Numbers]] = {
    "Training: `fit`, ms per step": ("ms", _fit),
    "End of the first epoch, from the start of the process with empty caches": (
        "s",
        _starts("first_starts", "first_epoch_s"),
    ),
    "Second start of the same script, to the end of its first step": (
        "s",
        _starts("second_starts", "first_step_s"),
    ),
    "`predict` of one row": ("us", _predict("predict")),
    "`predict_on_batch` of one row": ("us", _predict("predict_on_batch")),
    "`model(x)` of one row": ("us", _predict("model(x)")),
    "Peak memory": ("MB", _memory),
}


def text(results: dict[str, Any]) -> str:
    """Return all tables, and the peers that failed or were left out, with reasons."""
    parts = [_heading(results)]
    for title, (unit, numbers) in MEASURES.items():
        parts.append(_comparison(results, title, unit, numbers, statistics.median))
    parts.insert(2, _comparison(results, "The same, fastest round", "ms", _fit, min))
    parts += [_imports(results), _utilisation(results), _remarks(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_readme(results: dict[str, Any], readme: Path) -> None:
    """Write the tables of training, prediction and starts between the README's two marks."""
    content = readme.read_text("utf-8")
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{readme} lacks the marks {BEGIN} and {END} around the tables; add both.")
    parts = [_heading(results)]
    for title, (unit, numbers) in MEASURES.items():
        if unit != "MB" and "`model(x)`" not in title and "on_batch" not in title:
            parts.append(_comparison(results, title, unit, numbers, statistics.median))
    parts += [_imports(results), _utilisation(results), _remarks(results)]
    table = "\n\n".join(part for part in parts if part)
    lines = "\n".join(_wrapped(line) for line in table.split("\n"))
    readme.write_text(f"{before}{BEGIN}\n\n{lines}\n\n{END}{after}", "utf-8")


def _wrapped(line: str) -> str:
    """Return a line of prose as lines of at most 100 columns; rows of tables stay whole."""
    if line.startswith("|"):
        return line
    indent = "  " if line.startswith("- ") else ""
    return textwrap.fill(
        line, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _heading(results: dict[str, Any]) -> str:
    machine, options = results["machine"], results["options"]
    devices = {
        e["device"]
        for w in results["workloads"].values()
        for e in w["peers"].values()
        if "device" in e
    }
    on = (
        ", ".join(sorted(devices - {"cpu"}))
        if options["device"] == "gpu"
        else f"{machine['cores_used']} cores"
    )
    versions = ", ".join(
        f"{name} {version}" for name, version in sorted(_versions(results).items())
    )
    lines = [
        f"{results['date'][:10]}, {machine['processor']}, {on}. {versions}.",
        "",
        (
            "Each peer's cell is its time divided by Hornbeam's; above 1, Hornbeam is faster. Times"
            f" are medians of {options['repeats']} rounds, times of starts medians of"
            f" {options['starts']} starts. `JAX step` and `JAX scan` are the same steps written by"
            " hand, without shuffling; they are the lower bound."
        ),
    ]
    if options["quick"]:
        lines.append("This was a quick run. It shows that everything works, not the speed.")
    if results.get("interrupted"):
        lines.append("The run was interrupted.")
    return "\n".join(lines)


def _versions(results: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for workload in results["workloads"].values():
        for entry in workload["peers"].values():
            found.update(entry.get("versions", {}))
    found.pop("jaxlib", None)
    return found


def _columns(results: dict[str, Any]) -> list[str]:
    """Return the peers with at least one result, in the order of `PEERS`."""
    present = {
        name
        for workload in results["workloads"].values()
        for name, entry in workload["peers"].items()
        if entry.get("first_starts")
    }
    return [name for name in PEERS if name in present and name != "hornbeam"]


def _comparison(
    results: dict[str, Any],
    title: str,
    unit: str,
    numbers: Numbers,
    middle: Callable[[list[float]], float],
) -> str:
    columns = _columns(results)
    rows = []
    for workload in results["workloads"].values():
        values: dict[str, float] = {}
        for name, entry in workload["peers"].items():
            found = [] if "failed" in entry else numbers(entry)
            if found:
                values[name] = middle(found)
        own = values.get("hornbeam")
        if own is None:
            failed = "failed" in workload["peers"].get("hornbeam", {})
            if failed or values:  # otherwise nothing was measured here
                said = "failed" if failed else "-"
                rows.append(
                    [
                        workload["title"],
                        said,
                        "",
                        *(_amount(values.get(name), unit) for name in columns),
                    ]
                )
            continue
        ratios = {name: value / own for name, value in values.items() if name != "hornbeam"}
        rivals = {name: ratio for name, ratio in ratios.items() if name not in FLOOR}
        best = f"{min(rivals.values()):.2f}" if rivals else ""
        rows.append(
            [
                workload["title"],
                _amount(own, unit),
                best,
                *(f"{ratios[n]:.2f}" if n in ratios else "-" for n in columns),
            ]
        )
    if not rows:
        return ""
    head = ["", "Hornbeam", "best peer", *(PEERS[name].title for name in columns)]
    return f"**{title}**\n\n{_markdown(head, rows)}"


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}"


def _imports(results: dict[str, Any]) -> str:
    times = {
        n: statistics.median(e["import_s"])
        for n, e in results["imports"].items()
        if e.get("import_s")
    }
    if not times:
        return ""
    jax = times.get("jax-step")
    rows = []
    for name, seconds in times.items():
        title = "JAX" if name == "jax-step" else PEERS[name].title
        over = f"{seconds - jax:+.2f} s" if jax and name in ("hornbeam", "keras-jax") else ""
        rows.append([title, f"{seconds:.2f} s", over])
    return f"**Import**\n\n{_markdown(['', 'time', 'over JAX'], rows)}"


def _utilisation(results: dict[str, Any]) -> str:
    """Return the table of model FLOP utilisation.

    It is the number of operations per second that the model's mathematics needs, divided by the
    device's peak.
    """
    rows = []
    for workload in results["workloads"].values():
        for name, entry in workload["peers"].items():
            if not workload["flops"] or not entry.get("fit_ms"):
                continue
            speed = workload["flops"] / statistics.median(entry["fit_ms"]) * 1e3
            peak = results["options"].get("peak") or next(
                (
                    value
                    for word, value in PEAKS.items()
                    if all(w in entry["device"] for w in word.split())
                ),
                None,
            )
            share = f"{100 * speed / peak:.1f} %" if peak else "peak unknown (--peak)"
            rows.append([workload["title"], PEERS[name].title, f"{speed / 1e12:.3g}", share])
    if not rows:
        return ""
    return f"**Model FLOP utilisation**\n\n{_markdown(['', '', 'TFLOP/s', 'of the peak'], rows)}"


def _remarks(results: dict[str, Any]) -> str:
    """Return a line for each peer and reason, with the workloads concerned."""
    titles: dict[tuple[str, str, str], list[str]] = {}
    for workload in results["workloads"].values():
        for name, entry in workload["peers"].items():
            for word, said in (("failed", "failed"), ("left_out", "left out")):
                if word in entry:
                    titles.setdefault((PEERS[name].title, said, entry[word]), []).append(
                        workload["title"]
                    )
    return "\n".join(
        f"- {peer}, {said}: {reason}. ({'; '.join(at)})"
        for (peer, said, reason), at in titles.items()
    )


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return an aligned Markdown table with its numbers aligned to the right."""
    widths = [max(3, *(len(row[i]) for row in [head, *rows])) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        first, *others = cells
        padded = [
            first.ljust(widths[0]),
            *(c.rjust(w) for c, w in zip(others, widths[1:], strict=True)),
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([line(head), f"|{rule}|", *map(line, rows)])
