"""Several processes train as one does. `hornbeam launch` starts them on this machine."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.core.team import Team, open_hub
from hornbeam.distribution.roll_call import roll_call
from hornbeam.launching import launch

# Prints nothing; each process writes its results to a file.
START = """
import json, os, pathlib, signal, sys, time
import jax, numpy as np
import hornbeam as hb

me, count = jax.process_index(), jax.process_count()
out = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(0)
x, y = rng.normal(size=(45, 6)).astype("float32"), rng.integers(0, 3, 45)
D = hb.distribution

def model_of(distribution, units=16):
    hb.utils.clear_session()
    hb.utils.set_random_seed(3)
    layers = hb.layers
    model = hb.Sequential([
        hb.Input((6,)), layers.Dense(units, "relu"), layers.BatchNormalization(),
        layers.Dropout(0.3), layers.Dense(4),
    ])
    loss = hb.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(hb.optimizers.Adam(0.01), loss, ["accuracy"], distribution=distribution)
    return model

def write(results):
    (out / f"{count}-{me}.json").write_text(json.dumps(results))
"""

# Few and small programs, since each process compiles its own.
FIT = """
hb.utils.set_random_seed(3)
model = hb.Sequential([hb.Input((6,)), hb.layers.Dense(2)])
model.compile("sgd", "mse", distribution=None if count == 1 else "data")
history = model.fit(x[:40], x[:40, :2], batch_size=8, verbose=0)
predictions = model.predict(x[:5], verbose=0)
write([history.history, predictions.tolist(), [w.tolist() for w in model.get_weights()]])
"""


def launched(tmp_path, program, processes=2, arguments=(), options=()):
    """Run a program in several processes; return the finished process."""
    script = tmp_path / "program.py"
    script.write_text(START + program)
    return subprocess.run(
        [sys.executable, "-m", "hornbeam", "launch", "--processes", str(processes), *options,
         str(script), str(tmp_path), *arguments],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip


def results_of(tmp_path, processes):
    return [json.loads((tmp_path / f"{processes}-{i}.json").read_text()) for i in range(processes)]


def in_this_process(tmp_path, program, monkeypatch, *arguments):
    """Run a program in this process alone; return its results."""
    monkeypatch.setattr(sys, "argv", ["program.py", str(tmp_path), *arguments])
    exec(compile(START + program, "program.py", "exec"), {})
    return results_of(tmp_path, 1)[0]


def assert_close(one, several):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(several), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_two_processes_fit_as_one(tmp_path, monkeypatch):
    script = tmp_path / "program.py"
    script.write_text(START + FIT)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("XLA_FLAGS", "")
    assert launch([str(script), str(tmp_path)], 2) == 0
    one = in_this_process(tmp_path, FIT, monkeypatch)
    first, second = results_of(tmp_path, 2)
    assert first == second
    assert_close(one, first)


# --- a team without JAX ---------------------------------------------------------------------------


def team_of_two(ends):
    """Return two members of a team, both in this process."""
    hub = open_hub("127.0.0.1")
    first = Team(0, 2, hub, "token", end=ends.append)
    link = socket.create_connection(hub.getsockname())
    return first, Team(1, 2, link, "token", end=ends.append)


def both(first, second, run):
    """Run a function with each member at the same time; return results or errors."""
    found = [None, None]

    def one(i, member):
        try:
            found[i] = run(member)
        except RuntimeError as error:
            found[i] = str(error)

    threads = [threading.Thread(target=one, args=(i, m)) for i, m in enumerate((first, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


@pytest.fixture
def team(monkeypatch):
    ends = []
    monkeypatch.setattr("hornbeam.core.team.SECONDS_TO_END", 0.1)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    first, second = team_of_two(ends)
    yield first, second, ends
    for member in (second, first):
        member.leave()


def test_a_team_meets_and_agrees(team):
    first, second, _ = team
    second.asked.add("interrupt")
    assert both(first, second, lambda m: m.meet("here", m.number)) == [[0, 1], [0, 1]]
    assert first.agreed == second.agreed == {"interrupt"}
    found = both(first, second, lambda m: m.agree("fit", {"rows": 8 - m.number, "epochs": 2}))
    assert found[0] == found[1]
    assert re.match(r"The processes differ in rows \(fit\). process 0: 8; process 1: 7.", found[0])
    found = both(first, second, lambda m: m.meet(f"step {m.number}"))
    assert found[0] == found[1]
    assert "process 0: step 0; process 1: step 1" in found[0]


def test_a_team_names_who_has_ended(team, capsys):
    first, second, ends = team
    second._link.shutdown(socket.SHUT_RDWR)  # as if the process were killed
    with pytest.raises(RuntimeError, match="Process 1 of 2 has ended without a word"):
        first.meet("a step")
    time.sleep(0.3)
    assert 1 in ends  # a main thread that does not notice is ended
    assert "hornbeam, process 0: Process 1 of 2 has ended" in capsys.readouterr().err


def test_a_team_names_who_is_late(team, capsys, monkeypatch):
    monkeypatch.setattr("hornbeam.core.team.SECONDS_UNTIL_WARNING", 1.0)
    first, _, _ = team
    first._patience = 2.0
    with pytest.raises(RuntimeError, match="waited . s at a step for process 1 of 2: process 1 is"):
        first.meet("a step")
    assert "They wait for 2.0 s" in capsys.readouterr().err


# --- all of it, with real processes ---------------------------------------------------------------

KINDS = """
m = D.DeviceMesh((1, count), ["batch", "model"])
rules = D.LayoutMap(m)
rules[".*kernel"] = (None, "model")
kinds = {"data": D.DataParallel(), "fsdp": D.FullyShardedDataParallel(min_size=8),
         "rules": D.ModelParallel(layout_map=rules)}

class Batches(hb.utils.PyDataset):
    def __len__(self):
        return 6
    def __getitem__(self, i):
        return x[i * 8:i * 8 + 8], y[i * 8:i * 8 + 8]

results = {}
for kind in sys.argv[2].split(","):
    distribution = kinds[kind]
    model = model_of(None if count == 1 else distribution)
    seen = [model.fit(x, y, epochs=2, batch_size=8, validation_split=0.2, verbose=0,
                      sample_weight=np.linspace(0.5, 2, 45),
                      class_weight={0: 2.0, 1: 1.0, 2: 1.0}).history]
    seen.append(model.fit(iter([(x[:8], y[:8])] * 3), steps_per_epoch=3, verbose=0).history)
    seen.append(model.fit(Batches(), verbose=0).history)
    data = hb.data.Dataset.from_tensor_slices((x, y)).shuffle(45).batch(8)
    seen.append(model.fit(data, epochs=1, verbose=0).history)
    seen.append(model.evaluate(x, y, batch_size=10, verbose=0))
    seen.append(model.train_on_batch(x[:8], y[:8]))
    seen.append(model.predict(x, batch_size=16, verbose=0).tolist())
    seen.append([w.tolist() for w in model.get_weights()])
    path = str(out / f"{kind}-{count}.keras")
    model.save(path)
    model.load_weights(path)
    assert model.predict(x, batch_size=16, verbose=0).tolist() == seen[-2]
    results[kind] = seen
write(results)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "kinds"), [(2, "data,rules"), (4, "fsdp")])
def test_every_strategy_and_source(tmp_path, monkeypatch, processes, kinds):
    done = launched(tmp_path, KINDS, processes, [kinds])
    assert done.returncode == 0, done.stderr
    one = in_this_process(tmp_path, KINDS, monkeypatch, kinds)
    found = results_of(tmp_path, processes)
    assert all(each == found[0] for each in found)
    assert_close(one, found[0])
    for kind in kinds.split(","):  # a file that several processes wrote, loaded by one
        loaded = hb.saving.load_model(tmp_path / f"{kind}-{processes}.keras")
        expected = np.array(found[0][kind][-1][0])
        np.testing.assert_allclose(loaded.get_weights()[0], expected, rtol=1e-6)


OWN_DATA = """
half = slice(me * 20, me * 20 + 20) if count > 1 else slice(None, 40)
order = np.arange(40).reshape(count, -1, 4).swapaxes(0, 1).reshape(-1) if count == 2 else None
chosen = D.DataParallel(auto_shard_dataset=False)
model = model_of(None if count == 1 else chosen)
if count == 1:  # the batches that two processes make together
    places = np.arange(40).reshape(2, 5, 4).swapaxes(0, 1).reshape(-1)
    model.fit(x[places], y[places], batch_size=8, shuffle=False, verbose=0)
else:
    model.fit(x[half], y[half], batch_size=4, shuffle=False, verbose=0)
predictions = model.predict(x[half], batch_size=4, verbose=0)
write([predictions.tolist(), [w.tolist() for w in model.get_weights()]])
"""


@pytest.mark.slow
def test_each_process_may_have_its_own_data(tmp_path, monkeypatch):
    done = launched(tmp_path, OWN_DATA)
    assert done.returncode == 0, done.stderr
    one = in_this_process(tmp_path, OWN_DATA, monkeypatch)
    first, second = results_of(tmp_path, 2)
    assert first[1] == second[1]
    assert_close(one, [first[0] + second[0], first[1]])


FAULTS = {
    "rows": ("if me: x, y = x[:40], y[:40]", "differ in the number of batches"),
    "data": ("if me: x = x + 1", "differ in the first and last row of the data"),
    "code": ("units = 8 if me else 16", "differ in the value of the variable|not at the same"),
    "seed": ("seed = 4 + me", "differ in the value of the variable 'sequential/dense/kernel'"),
    "kill": ("act = lambda: os.kill(os.getpid(), 9)", "Process 1 of 2 has ended without a word"),
    "raise": ("def act(): raise ValueError('mine')", r"Process 1 of 2 failed \(ValueError: mine"),
    "leave": ("act = sys.exit", "Process 1 of 2 has left the program"),
}  # fmt: skip

FAULT = """
units, seed, act = 16, None, None
exec(sys.argv[2])
model = model_of("data", units)
if seed:
    model.layers[0].kernel.assign(np.full((6, 16), seed, "float32"))

class Act(hb.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if me and epoch == 1 and act:
            act()

model.fit(x, y, epochs=4, batch_size=8, verbose=0, callbacks=[Act()])
"""


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_end_all_processes_and_say_why(tmp_path, fault):
    code, words = FAULTS[fault]
    start = time.monotonic()
    done = launched(tmp_path, FAULT, arguments=[code])
    assert done.returncode not in (0, None)
    # Each process says it, the other one after its number.
    said = {line.startswith("[1]") for line in done.stderr.splitlines() if re.search(words, line)}
    assert said == ({False} if fault in ("kill", "raise", "leave") else {False, True}), done.stderr
    assert time.monotonic() - start < 150


SIGNALS = """
class Ready(hb.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.history.seen = epoch
        if epoch == 2:
            (out / f"ready-{me}").write_text(str(os.getpid()))
        time.sleep(0.02)

model = model_of("data")
backup = hb.callbacks.BackupAndRestore(out / "backup", save_freq=sys.argv[2] == "backup" and 2)
callbacks = [Ready()] if sys.argv[2] == "plain" else [Ready(), backup]
log = hb.callbacks.CSVLogger(str(out / "log.csv"))
best = hb.callbacks.ModelCheckpoint(str(out / "best.keras"))
try:
    model.fit(x, y, epochs=int(sys.argv[3]), batch_size=8, verbose=0,
              callbacks=[*callbacks, log, best])
except KeyboardInterrupt:
    pass
write([len(model.history.epoch), int(model.optimizer.iterations),
       [w.tolist() for w in model.get_weights()]])
"""


def started(tmp_path, *arguments):
    script = tmp_path / "program.py"
    script.write_text(START + SIGNALS)
    with open(tmp_path / "errors", "w") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "hornbeam", "launch", "-n", "2", str(script), str(tmp_path),
             *arguments],
            env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}, stderr=errors,
        )  # fmt: skip


def wait_for(path, process):
    while not path.exists() or not path.read_text():
        assert process.poll() is None, (path.parent / "errors").read_text()
        time.sleep(0.05)
    time.sleep(0.1)
    return int(path.read_text())


def assert_ends(process, folder, *codes):
    assert process.wait(120) in codes, (folder / "errors").read_text()


@pytest.mark.slow
def test_ctrl_c_to_one_process_stops_all_after_the_same_step(tmp_path):
    process = started(tmp_path, "plain", "5000")
    os.kill(wait_for(tmp_path / "ready-1", process), signal.SIGINT)
    assert_ends(process, tmp_path, 0)
    first, second = results_of(tmp_path, 2)
    assert first == second
    assert first[0] < 5000
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) == first[0] + 1  # a header, and each epoch once


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_training_that_was_ended_goes_on(tmp_path, number):
    process = started(tmp_path, "backup", "60")
    os.kill(wait_for(tmp_path / "ready-1", process), number)
    assert_ends(process, tmp_path, 143, 137, 1)
    process = started(tmp_path, "backup", "60")
    assert_ends(process, tmp_path, 0)
    again = results_of(tmp_path, 2)
    whole = tmp_path / "whole"
    whole.mkdir()
    process = started(whole, "backup", "60")
    assert_ends(process, whole, 0)
    expected = results_of(whole, 2)
    assert again == expected


@pytest.mark.slow
def test_processes_end_when_their_launcher_is_killed(tmp_path):
    launcher = started(tmp_path, "plain", "100000")
    numbers = [wait_for(tmp_path / f"ready-{i}", launcher) for i in range(2)]
    launcher.kill()
    launcher.wait()
    deadline = time.monotonic() + 60
    while any(is_alive(number) for number in numbers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_alive(number):
    """Return whether a process runs; one that has ended may wait for its parent to notice."""
    try:
        return " Z " not in Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False


def test_a_port_in_use_and_processes_that_do_not_come():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 'h:{port}' cannot be used"):
            roll_call(f"h:{port}", 0, 2, 1)
    address = f"127.0.0.1:{port}"
    with pytest.raises(RuntimeError, match="process 0 of 2 was not found within 0.2 s"):
        roll_call(address, 1, 2, 0.2)

    def all_of(numbers, counts=(3, 3, 3)):
        found = []

        def one(number, count):
            try:
                roll_call(address, number, count, 1)
                found.append("")
            except RuntimeError as error:
                found.append(str(error))

        threads = [
            threading.Thread(target=one, args=each) for each in zip(numbers, counts, strict=False)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        return set(found)

    assert all_of([0, 1, 2]) == {""}
    (fault,) = all_of([0, 1])
    assert "process 2 of 3 did not come within 1 s" in fault
    (fault,) = all_of([0, 1, 1])
    assert "two processes have the number 1" in fault
    (fault,) = all_of([0, 1], (2, 3))
    assert "process 1 expects 3 processes, process 0 2" in fault
