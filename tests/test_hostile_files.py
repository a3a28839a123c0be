"""No file can harm: hostile files loaded under watch, archives of any origin, damaged bytes."""

import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_files import LOADS, MARK, ROWS, SENTINEL

ROOT = Path(__file__).resolve().parent.parent
# What loading may take beyond twice the file's size: the allowance for what files compress, and JAX's own tracing.
CONSTANT = 160 * 2**20
SECONDS = 60


class Child:
    """A process that loads files under watch (see `guarded.py`)."""

    def __init__(self, scratch):
        self.scratch = scratch
        (scratch / f"{SENTINEL}.py").write_text(f"open({str(scratch / MARK)!r}, 'w').close()\nclass Layer: pass\n")
        environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": f"{ROOT}{os.pathsep}{scratch}"}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(ROOT / "tests/guarded.py"), str(scratch)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=scratch, env=environment,
        )  # fmt: skip
        assert self._line(300) == "ready\n"

    def _line(self, seconds):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            self.close()
            pytest.fail("loading did not end")
        return self.process.stdout.readline()

    def load(self, path, kind="model", **kwargs):
        self.process.stdin.write(json.dumps({"kind": kind, "path": str(path), "kwargs": kwargs}) + "\n")
        self.process.stdin.flush()
        line = self._line(SECONDS)
        assert line, f"the process died ({self.process.wait()})"
        return json.loads(line)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def children(tmp_path_factory):
    """One child for all tests; where it died or hung, the next test gets another."""
    found = [Child(tmp_path_factory.mktemp("guarded"))]
    yield found
    found[0].close()


@pytest.fixture
def child(children, tmp_path_factory):
    if children[0].process.poll() is not None:
        children[0] = Child(tmp_path_factory.mktemp("guarded"))
    return children[0]


def size_of(path):
    return sum(p.stat().st_size for p in [path, *path.rglob("*")] if p.is_file())


def check_harmless(child, path, answer):
    assert answer["seen"] == []
    assert answer["settings"] == ["float32", False]
    assert not (child.scratch / MARK).exists()
    assert not Path(MARK).exists()
    assert answer["peak"] <= 2 * size_of(path) + CONSTANT


@pytest.mark.parametrize("name", ROWS)
def test_hostile_file(child, tmp_path, name):
    build, kind, expect = ROWS[name]
    path = build(tmp_path)
    answer = child.load(path, kind)
    check_harmless(child, path, answer)
    if expect == LOADS:
        assert answer["outcome"] == "loaded", answer["message"]
    elif expect != "any":
        assert answer["outcome"] == "FileError" or kind == "layer" and answer["outcome"] != "loaded", answer
        assert expect is None or re.search(expect, answer["message"]), answer["message"]
