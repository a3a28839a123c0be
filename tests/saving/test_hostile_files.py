"""No file does harm: hostile files loaded in a guarded process, archives, damaged bytes."""

import base64
import json
import marshal
import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from compare import mostly_slow
from hostile_files import (
    CODE,
    LAYER2,
    LAYER3,
    LOADS,
    MARK,
    ROWS,
    SENTINEL,
    add_layer,
    save_small,
    with_config,
)

import hornbeam as hb

ROOT = Path(__file__).resolve().parents[2]
# Memory that loading may use beyond twice the file's size: the allowance for compressed data and
# JAX's tracing.
CONSTANT = 160 * 2**20
SECONDS = 60


class Child:
    """A process that loads files under supervision (see `guarded.py`)."""

    def __init__(self, scratch):
        self.scratch = scratch
        (scratch / f"{SENTINEL}.py").write_text(
            f"open({str(scratch / MARK)!r}, 'w').close()\nclass Layer: pass\n"
        )
        environment = {
            **os.environ,
            "TMPDIR": str(scratch),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{scratch}",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(ROOT / "tests/support/guarded.py"), str(scratch)],
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
        self.process.stdin.write(
            json.dumps({"kind": kind, "path": str(path), "kwargs": kwargs}) + "\n"
        )
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
    """Share one child process among all tests; after a crash or hang, start a new one."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("peak memory of a request is measured through Linux's /proc/self/clear_refs")
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


# Files that keep the reader busy up to a limit: one of them always runs.
BUSY = [name for name in ROWS if name.startswith("much_to_do") and "layers]" not in name]
BUSY += [f"archive_that_unpacks_to_gigabytes[{name}]" for name in ("model.weights.h5", "assets/x")]


@pytest.mark.parametrize("name", mostly_slow(ROWS, set(ROWS) - set(BUSY)))
def test_hostile_file(child, tmp_path, name):
    build, kind, expect = ROWS[name]
    path = build(tmp_path)
    answer = child.load(path, kind)
    check_harmless(child, path, answer)
    if expect == LOADS:
        assert answer["outcome"] == "loaded", answer["message"]
    elif expect != "any":
        assert (
            answer["outcome"] == "FileError" or kind == "layer" and answer["outcome"] != "loaded"
        ), answer
        assert expect is None or re.search(expect, answer["message"]), answer["message"]


def test_damaged_bytes(child, tmp_path):
    """Truncated files and flipped bits in every kind of file; `fuzz_files.py` runs many more."""
    outcomes = set()
    for name in ("a.keras", "a.h5", "a.weights.h5"):
        save_small(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        for number in range(60):
            data = bytearray(whole)
            if number % 3:
                data[number * 7919 % len(data)] ^= 1 << number % 8
            else:
                del data[len(data) * number // 60 :]
            (tmp_path / name).write_bytes(data)
            answer = child.load(tmp_path / name, "weights" if "weights" in name else "model")
            check_harmless(child, tmp_path / name, answer)
            outcomes.add(answer["outcome"])
    assert outcomes == {"loaded", "FileError"}


@pytest.mark.slow
def test_fuzz(tmp_path):
    import fuzz_files

    command = [sys.executable, fuzz_files.__file__, "--count", "400", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("0 problems") == len(fuzz_files.FORMATS)


# --- permissions by the user ----------------------------------------------------------------------


def bytecode(function):
    return base64.b64encode(marshal.dumps(function.__code__)).decode()


def lambda_layer(code, defaults=None, closure=None, name="times"):
    stored = {
        "class_name": "__lambda__",
        "config": {"code": code, "defaults": defaults, "closure": closure},
    }
    return {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": name, "function": stored},
    }


@pytest.mark.parametrize("name", ["a.keras", "a.h5"])
def test_code_runs_if_the_user_says_so(tmp_path, name):
    factor = 3.0

    def times(x, plus=(1, 2)):
        return ops.multiply(x, factor) + plus[0]  # noqa: F821

    layer = lambda_layer(bytecode(times), [[1, 2]], [factor])
    path = with_config(tmp_path / name, lambda c: add_layer(c, layer))
    with pytest.raises(
        hb.saving.FileError, match=r"custom_objects=\{'times': function\}.*safe_mode=False"
    ):
        hb.models.load_model(path)
    model = hb.models.load_model(path, safe_mode=False)
    plain = hb.Sequential(model.layers[:-1])
    assert model(hb.ops.ones((1, 3))).tolist() == (plain(hb.ops.ones((1, 3))) * 3 + 1).tolist()
    given = hb.models.load_model(path, custom_objects={"times": lambda x: x * 5})
    assert given(hb.ops.ones((1, 3))).tolist() == (plain(hb.ops.ones((1, 3))) * 5).tolist()
    with pytest.raises(hb.saving.FileError):  # the permission held for one call
        hb.models.load_model(path)


def test_code_runs_in_a_process_that_says_so():
    layer = lambda_layer(bytecode(lambda x: x * 2))
    old = {
        "class_name": "Lambda",
        "config": {
            "name": "t",
            "function": [bytecode(lambda x: x * 2), None, None],
            "function_type": "lambda",
        },
    }
    entries = [
        lambda: hb.layers.deserialize(layer),
        lambda: hb.layers.deserialize(old),
        lambda: hb.layers.Lambda.from_config(layer["config"]),
        lambda: hb.layers.Lambda(layer["config"]["function"]),
        lambda: hb.Sequential.from_config({"layers": [layer]}).layers[0],
        lambda: hb.models.model_from_json(
            json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
        ).layers[0],
        lambda: hb.saving.deserialize_keras_object(layer),
    ]
    for entry in entries:
        with pytest.raises(hb.saving.FileError, match="code"):
            entry()
    hb.config.enable_unsafe_deserialization()
    try:
        assert hb.config.is_unsafe_deserialization_enabled()
        for entry in entries:
            assert entry()(hb.ops.ones(2)).tolist() == [2, 2]
    finally:
        hb.config.disable_unsafe_deserialization()
    for layer_config in (LAYER2, LAYER3):
        assert CODE in json.dumps(layer_config)
        with pytest.raises(hb.saving.FileError, match="code"):
            hb.layers.deserialize(layer_config)
    assert not Path(MARK).exists()


def _changed_code(change):
    code = (lambda x: print(x)).__code__
    raw = bytearray(code.co_code)
    change(raw)
    return base64.b64encode(marshal.dumps(code.replace(co_code=bytes(raw)))).decode()


def _unknown(raw):
    raw[2] = next(op for op in range(1, 256) if __import__("dis").opname[op].startswith("<"))


@pytest.mark.parametrize(
    "code",
    [
        "4wEAAAAAAAAA",  # truncated
        "!!!!",
        base64.b64encode(marshal.dumps("text")).decode(),
        base64.b64encode(b"c" + bytes(40)).decode(),
        _changed_code(_unknown),
        _changed_code(lambda raw: raw.__setitem__(0, 9)),  # no RESUME, as in Python 3.10 and before
        _changed_code(lambda raw: raw.__setitem__(slice(-2, None), b"\x09\x00")),
    ],
)
def test_code_of_another_python(code):
    with pytest.raises(hb.saving.FileError, match="version"):
        hb.saving.deserialize_keras_object(lambda_layer(code), safe_mode=False)


def test_clones_of_lambdas():
    model = hb.Sequential([hb.Input((3,)), hb.layers.Lambda(lambda x: x * 2, name="twice")])
    assert hb.models.clone_model(model)(hb.ops.ones((1, 3))).tolist() == [[2, 2, 2]]


def test_errors_stay_readable():
    """Messages stay short even if a file contains very long names."""
    config = {
        "class_name": "Sequential",
        "config": {"layers": [{"class_name": "No" * 10**6, "config": {}}]},
    }
    with pytest.raises(hb.saving.FileError) as caught:
        hb.models.model_from_json(json.dumps(config))
    assert "NoNo" in str(caught.value)
    assert len(str(caught.value)) < 4_100


@pytest.mark.slow
def test_a_trusted_file_may_claim_room(tmp_path):
    import zipfile

    model = hb.Sequential([hb.Input((2**9,)), hb.layers.Dense(2**16, kernel_initializer="zeros")])
    model.save(tmp_path / "stored.keras")
    with (
        zipfile.ZipFile(tmp_path / "stored.keras") as stored,
        zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
        stored.extractall(tmp_path / "unpacked")
    with pytest.raises(
        hb.saving.FileError, match=r"unpack it and load the folder.*safe_mode=False"
    ):
        hb.models.load_model(tmp_path / "a.keras")
    assert (
        hb.models.load_model(tmp_path / "a.keras", safe_mode=False).count_params()
        == model.count_params()
    )
    assert hb.models.load_model(tmp_path / "unpacked").count_params() == model.count_params()
    assert hb.models.load_model(tmp_path / "stored.keras").count_params() == model.count_params()


@pytest.mark.slow
def test_averages_and_slots_are_paid_once(tmp_path):
    """The file contains the weights, their averages and two slots."""
    model = hb.Sequential([hb.Input((2**9,)), hb.layers.Dense(2**14)])
    model.compile(hb.optimizers.Adam(use_ema=True), "mse")
    model.optimizer.build(model.trainable_variables)
    for name in ("a.keras", "a.h5"):
        model.save(tmp_path / name)
        assert len(hb.models.load_model(tmp_path / name).optimizer.variables) == 8
