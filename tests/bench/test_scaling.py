"""The plan for many devices, and what compiled programs show."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench import scaling  # noqa: E402


def test_the_plan_follows_its_formulae():
    sizes = {name: round(model.parameters / 1e9) for name, model in scaling.TRANSFORMERS.items()}
    assert sizes == {"7B": 7, "70B": 70}
    small, data = scaling.TRANSFORMERS["7B"], scaling.plan("7B", 64, "data")
    assert data["state"] == 16 * small.parameters
    assert data["sent"] == 2 * 63 / 64 * 2 * small.parameters
    fsdp = scaling.plan("7B", 64, "fsdp")
    assert fsdp["state"] == data["state"] / 64
    assert fsdp["sent"] == 1.5 * data["sent"]
    assert fsdp["seconds: NVLink 4, 8 GPUs"] == fsdp["sent"] / 450e9
    assert scaling.plan("70B", 8, "tensor + fsdp")["sent"] == 4 * 80 * 1.75 * 2 * 8 * 4096 * 8192
    found = scaling.collectives(
        "%a = f32[8] all-gather(%b)\n%c = (f32[8], u32[]) all-reduce-start(%d)"
    )
    assert (found["all-gather"], found["all-reduce"], found["all-to-all"]) == (1, 1, 0)


def test_the_page_holds_the_plan(capsys):
    scaling.print_plan()
    page = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    assert all(line in page for line in capsys.readouterr().out.splitlines() if "4096" not in line)


@pytest.mark.slow
def test_compiled_programs_divide_the_state():
    found = {}
    for strategy in ("data", "fsdp", "rules"):
        command = [sys.executable, "-m", "bench.scaling", "compile", "--devices", "8"]
        command += ["--strategy", strategy, "--layers", "1", "--width", "256", "--length", "32"]
        done = subprocess.run(
            command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found[strategy] = json.loads(done.stdout.splitlines()[-1])
    whole = found["data"]["state_bytes"]
    assert abs(found["fsdp"]["state_bytes"] / (whole / 8) - 1) < 0.05
    assert abs(found["rules"]["state_bytes"] / (whole / 8) - 1) < 0.05
    assert found["data"]["collectives"]["all-reduce"] > 0
    assert found["data"]["collectives"]["all-gather"] == 0
    assert found["fsdp"]["collectives"]["all-gather"] > 0
