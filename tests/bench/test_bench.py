"""The benchmark runs, survives failing peers, ends its processes and compares equal models."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import jax
import numpy as np
import pytest

import hornbeam as hb

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench import backup, distribution, report, worker  # noqa: E402
from bench.workloads import data, jax_family, keras_family, table  # noqa: E402

BENCH = [sys.executable, "-m", "bench.run"]

# The workloads with small sizes. The code that runs is the same.
SMALL = {
    "mlp": {"inputs": 12, "hidden": (8, 8)},
    "cnn": {"image": (12, 12, 1), "filters": (4, 6)},
    "cnn-unpooled": {"image": (12, 12, 1), "filters": (4, 6), "units": 8},
    "resnet20": {"image": (8, 8, 3), "widths": (4, 6), "blocks": (1, 1)},
    "transformer": {"vocabulary": 600, "length": 9, "width": 16, "heads": 2},
    "lstm": {"vocabulary": 500, "length": 9},
    "gru": {"vocabulary": 500, "length": 9},
    "resnet50": {"image": (32, 32, 3), "widths": (4, 8), "blocks": (1, 1), "classes": 10},
    "gpt2": {"vocabulary": 50, "length": 16, "width": 24, "heads": 2, "depth": 2},
}


def small(name):
    workload = table.WORKLOADS[name]
    sizes = {**workload.sizes, **SMALL.get(name, {})}
    return replace(workload, sizes=sizes, batch_size=4, steps=2, epochs=1)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return one quick run, which includes a peer that this environment may lack."""
    file = tmp_path_factory.mktemp("bench") / "results.json"
    options = ["tiny", "--quick", "--peers", "hornbeam,jax-scan,torch", "--python", sys.executable]
    run = subprocess.run(
        [*BENCH, *options, "--json", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(file.read_text()), run


@pytest.mark.slow
def test_every_peer_has_its_numbers(results):
    found, _ = results
    assert set(found) >= {"format", "date", "commit", "machine", "options", "imports", "workloads"}
    assert found["machine"]["cores_used"] >= 1
    (workload,) = found["workloads"].values()
    for name in ("hornbeam", "jax-scan"):
        entry = workload["peers"][name]
        assert "failed" not in entry
        for kind in ("first_starts", "second_starts"):
            (start,) = entry[kind]
            assert 0 < start["import_s"] < start["first_step_s"] <= start["first_epoch_s"]
        assert len(entry["fit_ms"]) == 1
        assert entry["fit_ms"][0] > 0
        assert entry["peak_mb"] > 50
        assert entry["last_loss"] < entry["first_loss"]
        assert entry["versions"]["hornbeam"] == hb.__version__
    assert set(workload["peers"]["hornbeam"]["predict_us"]) == {
        "predict",
        "predict_on_batch",
        "model(x)",
    }
    assert found["imports"]["hornbeam"]["import_s"][0] > 0


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is not None, reason="needs an environment without torch"
)
@pytest.mark.slow
def test_a_peer_that_fails_is_named(results):
    found, run = results
    reason = found["workloads"]["tiny"]["peers"]["torch"]["failed"]
    assert "No module named 'torch'" in reason
    assert f"PyTorch, failed: {reason}. (MLP 20-64-64-10, b32)" in run.stdout


@pytest.mark.slow
def test_tables_divide_by_hornbeam(results, tmp_path):
    found, run = results
    peers = found["workloads"]["tiny"]["peers"]
    peers["hornbeam"]["fit_ms"], peers["jax-scan"]["fit_ms"] = [3.0, 2.0, 9.0], [1.5, 1.0, 1.25]
    first = next(line for line in report.text(found).splitlines() if line.startswith("| MLP"))
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells[1] == "3.00 ms"
    assert cells[3] == "0.42"

    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n")
    report.write_readme(found, readme)
    report.write_readme(found, readme)
    text = readme.read_text()
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
    assert "old" not in text
    assert text.count("3.00 ms") == 1
    assert max(len(line) for line in text.split("\n") if not line.startswith("|")) <= 100
    readme.write_text("no marks")
    with pytest.raises(SystemExit, match="lacks the marks"):
        report.write_readme(found, readme)


def test_what_was_not_measured_has_no_table():
    """Unmeasured workloads, as with `--fit-only`, have no table.

    A failed workload is still named.
    """
    peers = {"hornbeam": {"fit_ms": [2.0]}, "torch": {"fit_ms": [3.0]}}
    workloads = {
        "tiny": {"title": "MLP", "peers": peers},
        "mlp": {"title": "Wide", "peers": {"hornbeam": {"failed": "no"}}},
    }
    found = {"workloads": workloads}
    numbers = report.MEASURES["Training: `fit`, ms per step"][1]
    table = report._comparison(found, "fit", "ms", numbers, max)
    assert "| MLP  |  2.00 ms |" in table
    assert "| Wide |   failed |" in table
    del workloads["mlp"]
    title = "Second start of the same script, to the end of its first step"
    assert report._comparison(found, title, "s", report.MEASURES[title][1], max) == ""


def test_the_readme_has_its_marks():
    text = (ROOT / "README.md").read_text("utf-8")
    assert text.count(report.BEGIN) == text.count(report.END) == 1


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds processes in /proc")
def test_an_interrupt_ends_every_process(tmp_path):
    options = ["tiny", "--peers", "jax-step,jax-scan", "--python", sys.executable]
    run = subprocess.Popen(
        [*BENCH, *options, "--json", tmp_path / "results.json"],
        cwd=ROOT, env=dict(os.environ, TMPDIR=str(tmp_path)),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def workers():
        lines = [
            file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()
        ]
        return [
            line for line in lines if b"bench.worker" in line and str(tmp_path).encode() in line
        ]

    try:
        for line in run.stderr:
            if "second start" in line:
                break
        for _ in range(600):
            if workers():
                break
            time.sleep(0.1)
        assert workers()
        run.send_signal(signal.SIGINT)
        run.stderr.read()
        assert run.wait(30) == 130
    finally:
        run.kill()
        run.stderr.close()
    # A worker that has just started ends when it notices that the benchmark is gone.
    for _ in range(200):
        if not workers():
            break
        time.sleep(0.1)
    assert workers() == []
    assert json.loads((tmp_path / "results.json").read_text())["interrupted"] is True
    assert list(tmp_path.glob("hornbeam-bench-*")) == []


def test_a_worker_ends_with_what_started_it(tmp_path):
    """The worker is in the middle of a training that would take days."""
    workload = small("tiny")
    data.save(workload, tmp_path)
    setup = {"workload": asdict(workload), "data": str(tmp_path), "cores": 0, "peer": "jax-scan"}
    command = [
        sys.executable,
        "-m",
        "bench.worker",
        json.dumps({**setup, "spawned": time.monotonic()}),
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        try:
            assert "failed" not in json.loads(run.stdout.readline())
            run.stdin.write(json.dumps({"do": "fit", "epochs": 10**9, "at_least": 0}) + "\n")
            run.stdin.flush()
            with pytest.raises(subprocess.TimeoutExpired):
                run.wait(1)
            run.stdin.close()
            assert run.wait(60) == 0
        finally:
            run.kill()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No workload is named nothing"),
        (["tiny", "--peers", "nobody"], "No peer is named nobody"),
    ],
)
def test_unknown_names_are_told(arguments, message):
    from bench.run import main

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match=message):
        main([*arguments, "--python", sys.executable])
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("name", table.WORKLOADS)
def test_both_families_build_the_same_model(name):
    workload = small(name)
    x, y = data.make(workload)
    ours = keras_family.Trainer(hb, "", workload, x, y)
    floor = jax_family.Trainer(jax, "step", workload, x, y)
    weights = floor.state[0]
    theirs, layout = jax.tree.flatten(weights["trained"])
    assert sum(w.size for w in theirs) == sum(np.size(v) for v in ours.model.trainable_variables)
    if workload.family != "transformer" and workload.precision == "float32":
        # Both lists go from input to output, but a shortcut may come before or after its block.
        left = [v.numpy() for v in ours.model.trainable_variables]
        values = [left.pop([v.size for v in left].index(w.size)).reshape(w.shape) for w in theirs]
        same = floor.call({**weights, "trained": jax.tree.unflatten(layout, values)}, x)
        np.testing.assert_allclose(ours.model.predict(x, verbose=0), same, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", table.WORKLOADS)
def test_both_families_train_and_predict(name):
    workload = small(name)
    x, y = data.make(workload)
    for trainer in (
        keras_family.Trainer(hb, "", workload, x, y),
        jax_family.Trainer(jax, "step", workload, x, y),
    ):
        assert np.isfinite(trainer.fit(1)).all()
        for predict in trainer.predictions().values():
            assert predict().shape == (
                1,
                *y.shape[1:],
                workload.sizes.get("classes") or workload.sizes["vocabulary"],
            )


def test_step_and_scan_by_hand_are_the_same():
    workload = small("mlp")
    x, y = data.make(workload)
    losses = [
        jax_family.Trainer(jax, variant, workload, x, y).fit(3) for variant in ("step", "scan")
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_operations_are_counted_as_published():
    # He et al. 2015 give 3.8e9 multiply-adds for ResNet-50. The current form, with the stride in
    # the 3x3 convolution, has 4.09e9.
    assert table.WORKLOADS["resnet50"].flops / 128 == pytest.approx(24.5e9, rel=0.01)
    # Six operations per weight and token for GPT-2's 124e6 weights, plus attention.
    gpt2 = table.WORKLOADS["gpt2"]
    assert gpt2.flops / (8 * 1024) == pytest.approx(6 * 124e6 + 12 * 12 * 768 * 1024, rel=0.01)


def test_a_worker_times_calls():
    seconds, calls = worker.timed(lambda: time.sleep(0.01), 0.05)
    assert calls >= 2
    assert seconds >= 0.01


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="reads resident memory from /proc"
)
@pytest.mark.slow
def test_soak_tells_a_leak_from_flat():
    """A new process runs it: one that ran other tests may give memory back at any time."""
    program = """
import numpy as np
from bench import soak
kept = []
assert not soak.soak("leak", lambda _: kept.append(np.ones(2**18)), 50, 20)  # 2 MB per call
assert soak.main(["--fits", "10", "--predicts", "40", "--allow-mb", "60"]) == 0
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "leak: NOT flat" in run.stdout
    assert "predict: flat" in run.stdout


def test_backup_compares_by_turns():
    turns = []
    result = backup.compare(
        lambda: turns.append("a"), lambda: (turns.append("b"), time.sleep(0.02)), 3
    )
    assert "".join(turns) == "abbaab"
    assert result["wall ratio"] > 5
    assert len(result["seconds"]["plain"]) == len(result["seconds"]["other"]) == 3


@pytest.mark.slow
def test_distribution_measures(tmp_path, capsys):
    file = tmp_path / "d.json"
    assert distribution.main(["tiny", "--rounds", "1", "--epochs", "1", "--json", str(file)]) == 0
    assert "| MLP 20-64-64-10, b32 |" in capsys.readouterr().out
    one, two = json.loads(file.read_text())["tiny"].values()
    assert one[0]["speed"] > 0
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], rel=1e-3)


@pytest.mark.slow
def test_backup_measures(tmp_path, capsys):
    options = [
        "--pairs",
        "1",
        "--seconds",
        "0.1",
        "--steps",
        "4",
        "--json",
        str(tmp_path / "b.json"),
        "--allow-percent",
    ]
    assert backup.main([*options, "1e6"]) == 0
    assert capsys.readouterr().out.count("backups cost") == 2
    wide = json.loads((tmp_path / "b.json").read_text())["wide"]
    assert wide["weights MB"] > 20
    assert wide["wall ratio"] > 0
