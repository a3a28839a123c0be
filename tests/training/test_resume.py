"""An interrupted training run, started again, ends bit for bit like an uninterrupted one."""

import itertools
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb
from hornbeam.saving import checkpoint as files
from hornbeam.training import resume as resuming

ROOT = Path(__file__).resolve().parents[2]
R = np.random.RandomState(0)
X = R.randn(90, 5).astype("float32")
Y = R.randint(0, 3, 90)
STEPS = 6  # steps per epoch, of 16 rows each
cb = hb.callbacks


class Interruption(Exception):
    pass


class Interrupt(cb.Callback):
    """Raises an exception after a number of steps."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise Interruption


class Count(cb.Callback):
    """A user's callback with state."""

    def __init__(self):
        super().__init__()
        self.begun, self.seen = 0, []

    def state_dict(self):
        return {"begun": self.begun, "seen": self.seen, ("a", 1): np.float32(0.1), "text": b"\x00"}

    def load_state_dict(self, state):
        assert state["a", 1] == np.float32(0.1)
        assert state["text"] == b"\x00"
        self.begun, self.seen = state["begun"], state["seen"]

    def on_epoch_begin(self, epoch, logs=None):
        self.begun += 1

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, logs["loss"]))


# --- data -----------------------------------------------------------------------------------------


class Shuffled(hb.utils.PyDataset):
    """Shuffles its batches between epochs and adds noise, both with NumPy's global generator."""

    def __init__(self):
        super().__init__()
        self.order, self.read = np.arange(len(X)), []

    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        self.read.append(index)
        rows = self.order[index * 16 : (index + 1) * 16]
        return X[rows] + np.random.rand(len(rows), 1).astype("float32"), Y[rows]

    def on_epoch_begin(self):
        self.shift = np.random.randint(90)
        self.order = np.roll(self.order, self.shift)

    def on_epoch_end(self):
        np.random.shuffle(self.order)


def drawn():
    while True:
        rows = [random.randrange(len(X)) for _ in range(8)]
        yield X[rows] * np.float32(np.random.rand()), Y[rows]


class Iterated:
    """Yields the batches in a new order in each epoch."""

    def __iter__(self):
        for start in np.random.permutation(range(0, len(X), 16)):
            yield X[start : start + 16], Y[start : start + 16]


def in_turn():
    for i in range(1000):
        yield X[i % 80 : i % 80 + 10], Y[i % 80 : i % 80 + 10]


# --- models ---------------------------------------------------------------------------------------


class Noise(hb.Layer):
    """Draws from NumPy's global generator."""

    def call(self, x, training=False):
        return x + 0.1 * hb.random.normal(hb.ops.shape(x)) if training else x


def network(optimizer="adam", unbuilt=False, **arguments):
    layers = [
        hb.layers.Dense(8, activation="relu"),
        hb.layers.Dropout(0.3),
        Noise(),
        hb.layers.BatchNormalization(),
    ]
    last = hb.layers.Dense(3, activation="softmax")
    model = hb.Sequential([*([] if unbuilt else [hb.Input((5,))]), *layers, last])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **arguments)
    return model


class TwoOptimizers(hb.Model):
    """Creates its optimizers' variables in its first step."""

    def __init__(self):
        super().__init__()
        self.first, self.second = hb.layers.Dense(4, activation="tanh"), hb.layers.Dense(3)
        self.optimizers = {
            "first": hb.optimizers.Adam(0.01),
            "second": hb.optimizers.SGD(0.1, momentum=0.9),
        }
        self.seeds = hb.random.SeedGenerator()
        self.tracker = hb.metrics.Mean(name="loss")

    def call(self, x):
        return self.second(self.first(x))

    def train_step(self, data):
        x, y = data
        keep = hb.ops.cast(hb.random.uniform(hb.ops.shape(x), seed=self.seeds) > 0.2, "float32")
        self(x)
        parts = {"first": self.first.trainable_variables, "second": self.second.trainable_variables}

        def loss():
            return hb.ops.mean(
                hb.losses.sparse_categorical_crossentropy(y, self(x * keep), from_logits=True)
            )

        value, gradients = hb.value_and_grad(loss, [*parts["first"], *parts["second"]])
        for name, some in (("first", gradients[:2]), ("second", gradients[2:])):
            self.optimizers[name].apply(some, parts[name])
        self.tracker.update_state(value)
        return {"loss": self.tracker.result()}

    @property
    def metrics(self):
        return [self.tracker]


def two_optimizers():
    model = TwoOptimizers()
    model.compile()
    return model


def watching(folder):
    return [
        cb.EarlyStopping("loss", patience=2, min_delta=0.05, restore_best_weights=True),
        cb.ReduceLROnPlateau("val_loss", factor=0.5, patience=0, min_delta=0.2, cooldown=1),
        cb.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        cb.CSVLogger(folder / "log.csv"),
        cb.ModelCheckpoint(
            folder / "best.weights.h5", "loss", save_best_only=True, save_weights_only=True
        ),
        cb.ModelCheckpoint(
            folder / "step-{epoch}-{batch}.weights.h5", save_freq=4, save_weights_only=True
        ),
        Count(),
    ]


# Maps each way to a model, arguments of `fit`, and the number of steps between backups.
ARRAYS = {"x": X, "y": Y, "batch_size": 16}
WAYS = {
    "arrays": (network, lambda: ARRAYS, 4),
    "every step": (network, lambda: {**ARRAYS, "shuffle": "batch"}, 1),
    "epochs": (network, lambda: {**ARRAYS, "validation_split": 0.1}, "epoch"),
    "steps": (network, lambda: {**ARRAYS, "steps_per_epoch": 5}, 3),
    "three at a time": (lambda: network(steps_per_execution=3), lambda: ARRAYS, 3),
    "eager": (lambda: network(run_eagerly=True), lambda: {**ARRAYS, "batch_size": 30}, 4),
    "unbuilt": (lambda: network(unbuilt=True), lambda: ARRAYS, 4),
    "accumulated": (
        lambda: network(
            hb.optimizers.SGD(
                0.1, gradient_accumulation_steps=4, use_ema=True, ema_overwrite_frequency=5
            )
        ),
        lambda: ARRAYS,
        "epoch",
    ),
    "averaged": (
        lambda: network(hb.optimizers.Adam(0.01, use_ema=True)),
        lambda: {**ARRAYS, "validation_split": 0.1},
        4,
    ),
    "averaged, epochs": (
        lambda: network(hb.optimizers.Adam(0.01, use_ema=True)),
        lambda: ARRAYS,
        "epoch",
    ),
    "two optimizers": (two_optimizers, lambda: ARRAYS, 4),
    "data set": (network, lambda: {"x": Shuffled()}, 4),
    "data set, steps": (network, lambda: {"x": Shuffled(), "steps_per_epoch": 4}, 3),
    "data set, weighted": (network, lambda: {"x": Shuffled(), "class_weight": {0: 2.0}}, "epoch"),
    "generator": (
        network,
        lambda: {
            "x": drawn(),
            "steps_per_epoch": 5,
            "validation_data": in_turn(),
            "validation_steps": 3,
        },
        "epoch",
    ),
    "generator, within": (network, lambda: {"x": drawn(), "steps_per_epoch": 5}, 3),
    "asked": (network, lambda: ARRAYS, False),
    "iterated": (network, lambda: {"x": Iterated()}, 4),
}

EXTRA = {
    "averaged": lambda: [cb.SwapEMAWeights()],
    "averaged, epochs": lambda: [cb.SwapEMAWeights(swap_on_epoch=True)],
}


def train(way, folder, seed=1, interrupt=None, callbacks=(), **arguments):
    """Train in a way as a new process that runs the script would; return model and history."""
    hb.utils.clear_session(free_memory=False)
    hb.utils.set_random_seed(seed)
    make, fit_arguments, frequency = WAYS[way]
    model = make()
    backup = cb.BackupAndRestore(folder / "backup", save_freq=frequency)
    callbacks = [
        backup,
        *callbacks,
        *EXTRA.get(way, list)(),
        *([] if interrupt is None else [Interrupt(interrupt)]),
    ]
    history = model.fit(
        **{"epochs": 4, "verbose": 0, **fit_arguments(), "callbacks": callbacks, **arguments}
    )
    return model, history.history


def values_of(model):
    """Return all variables of a model and its optimizers."""
    more = list(getattr(model, "optimizers", {}).values())
    optimizers = [o for o in (model.optimizer, *more) if o is not None]
    return [v.numpy() for v in [*model.variables, *(v for o in optimizers for v in o.variables)]]


def assert_equal(model, history, expected, expected_history):
    assert history == expected_history
    for a, b in zip(values_of(model), values_of(expected), strict=True):
        np.testing.assert_array_equal(a, b)


QUICK = ("arrays", "data set")


@pytest.mark.filterwarnings(
    "ignore:fit. the data ended after", "ignore:fit. `class_weight` does not list"
)
@pytest.mark.parametrize(
    "way",
    [w if w in QUICK else pytest.param(w, marks=pytest.mark.slow) for w in WAYS if w != "asked"],
)
def test_ways_to_train(way, tmp_path):
    expected, history = train(way, tmp_path / "whole")
    assert not (tmp_path / "whole/backup").exists()
    # Use a different seed each time: results depend only on what the script itself does.
    for seed, after in ((1, 8), (2, 5)):
        with pytest.raises(Interruption):
            train(way, tmp_path, seed, after)
    model, own = train(way, tmp_path, 3)
    assert_equal(model, own, expected, history)


def test_callbacks_go_on(tmp_path):
    def run(folder, **how):
        folder.mkdir(exist_ok=True)
        callbacks = watching(folder)
        model, history = train(
            "arrays", folder, callbacks=callbacks, epochs=9, validation_split=0.2, **how
        )
        return model, history, callbacks

    expected, history, known = run(tmp_path / "whole")
    assert 3 < len(history["loss"]) < 9
    assert known[1].best is not None
    for seed, after in enumerate((7, 3, 9), 1):
        with pytest.raises(Interruption):
            run(tmp_path / "parts", interrupt=after, seed=seed)
    model, own, callbacks = run(tmp_path / "parts", seed=9)
    assert_equal(model, own, expected, history)
    for a, b in zip(callbacks, known, strict=True):
        if not isinstance(a, cb.CSVLogger):
            np.testing.assert_equal(a.state_dict(), b.state_dict())
    assert (tmp_path / "parts/log.csv").read_text() == (tmp_path / "whole/log.csv").read_text()
    names = {p.name for p in (tmp_path / "whole").glob("*.h5")}
    assert names == {p.name for p in (tmp_path / "parts").glob("*.h5")}
    assert len(names) > 3


def test_what_comes_after_a_training_is_the_same(tmp_path):
    """Random draws after `fit` continue from the state that training left."""
    train("arrays", tmp_path / "whole")
    expected = random.random(), np.random.rand(), np.asarray(hb.random.normal((3,)))
    with pytest.raises(Interruption):
        train("arrays", tmp_path, interrupt=9)
    train("arrays", tmp_path, seed=5)
    np.testing.assert_equal(
        (random.random(), np.random.rand(), np.asarray(hb.random.normal((3,)))), expected
    )


def test_data_sets_are_not_read_again(tmp_path):
    data = [Shuffled() for _ in range(3)]
    train("data set", tmp_path / "whole", x=data[0])
    with pytest.raises(Interruption):
        train("data set", tmp_path, x=data[1], interrupt=10)
    train("data set", tmp_path, x=data[2])
    assert data[0].read == [*range(STEPS)] * 4
    assert data[2].read == data[0].read[8:]


def test_a_training_that_was_stopped_stays_stopped(tmp_path):
    """The process is killed after the last epoch, before the backups are deleted."""

    class Ends(cb.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

        def on_train_end(self, logs=None):
            raise Interruption

    with pytest.raises(Interruption):
        train("epochs", tmp_path, callbacks=[Ends()])
    model, history = train("epochs", tmp_path, seed=4)
    expected, known = train("epochs", tmp_path / "whole", epochs=2)
    assert_equal(model, history, expected, known)


def test_a_step_may_stop_the_training(tmp_path):
    class Ends(cb.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                self.model.stop_training = True

        def on_epoch_end(self, epoch, logs=None):
            if interrupted:
                raise Interruption

    interrupted = False
    expected, known = train("every step", tmp_path / "whole", callbacks=[Ends()])
    interrupted = True
    with pytest.raises(Interruption):
        train("every step", tmp_path, callbacks=[Ends()])
    interrupted = False
    model, history = train("every step", tmp_path, seed=4, callbacks=[Ends()])
    assert_equal(model, history, expected, known)
    assert len(history["loss"]) == 1


def test_two_trainings_in_one_folder(tmp_path):
    """When the script runs again, the second run's backups are not mistaken for the first's."""

    def script(interrupt=None):
        resuming._finished.clear()  # a new process
        hb.utils.set_random_seed(0)
        model = network()
        for after in (None, interrupt):
            extra = [] if after is None else [Interrupt(after)]
            model.fit(
                X,
                Y,
                16,
                epochs=2,
                verbose=0,
                callbacks=[cb.BackupAndRestore(tmp_path / "b", 2), *extra],
            )
        return values_of(model)

    expected = script()
    with pytest.raises(Interruption):
        script(interrupt=9)
    for a, b in zip(script(), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_resume_by_argument(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(resume, interrupt=None, **more):
        hb.utils.clear_session(free_memory=False)
        hb.utils.set_random_seed(0)
        model, count = network(), Count()
        extra = [count] if interrupt is None else [Interrupt(interrupt)]
        model.fit(X, Y, 16, epochs=3, verbose=0, resume=resume, callbacks=extra, **more)
        return values_of(model), len(count.seen)

    expected, steps = run(None)
    assert steps == 18
    for resume in ("auto", tmp_path / "there"):
        with pytest.raises(Interruption):
            run(resume, interrupt=9)
        assert len([*tmp_path.rglob("*.checkpoint")]) == 1
        values, steps = run(resume)
        assert steps == 12
        for a, b in zip(values, expected, strict=True):
            np.testing.assert_array_equal(a, b)
        assert not [*tmp_path.rglob("*.checkpoint")]
    for wrong in (True, 3):
        with pytest.raises(ValueError, match="resume"):
            run(wrong)
    with pytest.raises(ValueError, match="one folder"):
        network().fit(X, Y, verbose=0, resume="a", callbacks=[cb.BackupAndRestore("b")])
    with pytest.raises(ValueError, match="one BackupAndRestore"):
        network().fit(
            X, Y, verbose=0, callbacks=[cb.BackupAndRestore("b"), cb.BackupAndRestore("a")]
        )


def test_arguments():
    for wrong in ("", None):
        with pytest.raises(ValueError, match="backup_dir"):
            cb.BackupAndRestore(wrong)
    for wrong in ("batch", 0, -1, 1.5, True):
        with pytest.raises(ValueError, match="save_freq"):
            cb.BackupAndRestore("a", save_freq=wrong)
    with pytest.raises(ValueError, match="keep"):
        cb.BackupAndRestore("a", keep=0)
    assert cb.BackupAndRestore("a", double_checkpoint=True).keep == 2


def test_backups_that_are_kept(tmp_path):
    hb.utils.set_random_seed(0)
    model = network()
    callback = cb.BackupAndRestore(tmp_path, keep=3, delete_checkpoint=False)
    for epochs in (2, 4, 6):  # each run continues where the last ended
        model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[callback])
        assert model.history.epoch == list(range(epochs))
    assert 1 <= len([*tmp_path.iterdir()]) <= 3


@pytest.fixture
def every_other(monkeypatch):
    """Make the backup after every second epoch too slow; return the epochs that were saved."""
    turns, saved, save = itertools.cycle([False, True]), [], resuming.Backups._save

    def note(self, progress, terminated):
        saved.append(progress.epoch)
        save(self, progress, terminated)

    monkeypatch.setattr(resuming.Backups, "_affordable", property(lambda self: next(turns)))
    monkeypatch.setattr(resuming.Backups, "_save", note)
    return saved


@pytest.mark.parametrize("way", ["epochs", "generator"])
def test_epochs_that_are_left_out(way, tmp_path, every_other):
    expected, history = train(way, tmp_path / "whole", epochs=5)
    assert every_other == [2, 4, 5]
    with pytest.raises(Interruption):
        # Interrupted in the fourth epoch; the second epoch was backed up.
        train(way, tmp_path, 1, 3 * (STEPS if way == "epochs" else 5) + 2, epochs=5)
    count = Count()
    model, own = train(way, tmp_path, 3, callbacks=[count], epochs=5)
    assert_equal(model, own, expected, history)
    assert len(count.seen) == 3 * (STEPS if way == "epochs" else 5)


def test_sigterm_after_an_epoch_that_was_left_out(tmp_path, every_other):
    with pytest.raises(SystemExit):
        train("epochs", tmp_path, callbacks=[Terminate(step=STEPS)])
    (file,) = (tmp_path / "backup").iterdir()
    assert files.read_checkpoint(file)["progress"]["done"] == STEPS
    assert every_other == [0]


@pytest.mark.parametrize("validation_data", [None, (X, Y)], ids=["alone", "validated"])
def test_few_short_epochs_are_all_backed_up(tmp_path, monkeypatch, validation_data):
    """Uses a clock on which a backup takes as long as an epoch.

    The state kept for SIGTERM does not reduce the number of backups.
    """
    saved, save, ticks = [], resuming.Backups._save, itertools.count()
    monkeypatch.setattr(
        resuming.Backups,
        "_save",
        lambda self, *args: (saved.append(args[0].epoch), save(self, *args)),
    )
    monkeypatch.setattr(
        resuming, "time", types.SimpleNamespace(perf_counter=lambda: next(ticks) * 0.0005)
    )
    callbacks = [cb.BackupAndRestore(tmp_path)]
    network().fit(
        X, Y, epochs=60, batch_size=90, verbose=0, callbacks=callbacks,
        validation_data=validation_data,
        validation_batch_size=None if validation_data is None else 90,
    )  # fmt: skip
    assert saved[:20] == list(range(1, 21))
    assert 21 < len(saved) < 40
    assert saved[-1] == 60


# --- mismatches and damage ------------------------------------------------------------------------


def test_backups_of_something_else(tmp_path):
    with pytest.raises(Interruption):
        train("arrays", tmp_path, interrupt=9)
    place = tmp_path / "backup"
    other = hb.Sequential([hb.Input((5,)), hb.layers.Dense(3)])
    other.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"another model or optimizer.*Delete the folder"):
        other.fit(X, Y, 16, verbose=0, resume=place)
    with pytest.raises(ValueError, match="90 rows, 16 rows a batch; these have 80 rows"):
        network().fit(X[:80], Y[:80], batch_size=16, verbose=0, resume=place)


class Unkept(cb.Callback):
    def state_dict(self):
        return {"model": [self.model]}


def test_state_that_cannot_be_kept(tmp_path):
    with pytest.raises(TypeError, match=r"Unkept.state_dict\(\)\['model'\]\[0\] is .* cannot hold"):
        train("arrays", tmp_path, callbacks=[Unkept()])


STATE = {
    "numbers": [1, -(2**70), 0.1, float("inf"), True, None, "text \ud800"],
    "floats": [float(i) / 3 for i in range(100)],
    "arrays": (
        np.arange(6.0).reshape(2, 3),
        np.float32(0.1),
        np.zeros((0, 3), "int8"),
        np.array(5, ">i4"),
    ),
    "dict": {1: "a", ("b", 2): {3, 4}, "@": b"bytes"},
}


def test_a_state_comes_back(tmp_path):
    packed = files.Packed()
    packed.tree = packed.pack({**STATE, "half": hb.ops.ones((3,), "bfloat16")}, "state")
    files.write_checkpoint(tmp_path / "a", packed)
    state = files.read_checkpoint(tmp_path / "a")
    half = state.pop("half")
    assert half.dtype.name == "bfloat16"
    assert half.tolist() == [1, 1, 1]
    np.testing.assert_equal(state, STATE)
    assert type(state["arrays"][1]) is np.float32
    assert state["arrays"][2].shape == (0, 3)
    for wrong in (object(), np.array(["a"]), np.array([None]), print, 1j):
        with pytest.raises(TypeError, match="cannot hold"):
            files.Packed().pack({"a": [wrong]}, "state")


def test_damaged_files(tmp_path):
    """Every kind of damage to a checkpoint raises the same error; any flipped bit is detected."""
    packed = files.Packed()
    packed.tree = packed.pack(STATE, "state")
    path = tmp_path / "a"
    files.write_checkpoint(path, packed)
    whole, draw = path.read_bytes(), random.Random(0)
    for i in range(400):
        data = bytearray(whole)
        if i % 4 == 0:
            data = data[: draw.randrange(len(data))]
        elif i % 4 == 1:
            data += b"more"
        else:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        with pytest.raises(hb.saving.FileError):
            files.read_checkpoint(path)


def hostile(header):
    import json
    import struct
    import zlib

    text = json.dumps(header).encode()
    return b"\x93HORNBEAM-CKPT1\n" + struct.pack("<QI", len(text), zlib.crc32(text)) + text


@pytest.mark.parametrize(
    "header",
    [
        [], {}, {"arrays": [], "state": {"@": "array", "is": 0}},
        {"arrays": [["float32", [2**40], 0]], "state": 0},
        {"arrays": [["object", [1], 0]], "state": 0},
        {"arrays": [["float32,int8", [1], 0]], "state": 0},
        {"arrays": [["finfo", [0], 0]], "state": 0}, {"arrays": [["float32", [-1], 0]], "state": 0},
        {"arrays": [["float32", [0] * 64, 0]], "state": 0}, {"arrays": [[]], "state": 0},
        {"arrays": [], "state": {"@": "dict", "is": [[[], 1]]}},
        {"arrays": [], "state": {"@": "set", "is": [[]]}},
        {"arrays": [], "state": {"@": "dict", "is": 3}},
        {"arrays": [], "state": {"@": "code", "is": []}},
        {"arrays": [], "state": {"@": "tuple"}},
    ],
)  # fmt: skip
def test_hostile_files(tmp_path, header):
    (tmp_path / "a").write_bytes(hostile(header))
    with pytest.raises(hb.saving.FileError):
        files.read_checkpoint(tmp_path / "a")


def test_a_damaged_backup(tmp_path):
    """The previous backup is used with a warning. If none is intact, the error gives the remedy."""
    with pytest.raises(Interruption):
        train("arrays", tmp_path, interrupt=9)
    folder = files.CheckpointFolder(tmp_path / "backup", "training-0", keep=2)
    (newest,) = folder.files()
    before = newest.with_name("training-0-000001.checkpoint")
    newest.with_name("training-0-000900.checkpoint").write_bytes(newest.read_bytes()[:-1])
    newest.rename(before)
    resuming._finished.clear()
    with pytest.warns(UserWarning, match="damaged"):
        train("arrays", tmp_path)
    before.parent.mkdir()
    before.write_bytes(b"nothing")
    resuming._finished.clear()
    with pytest.raises(hb.saving.FileError, match="Delete the folder"):
        train("arrays", tmp_path)
    before.write_bytes(hostile({"arrays": [], "state": {"progress": {"epoch": -1}}}))
    with pytest.raises(hb.saving.FileError, match="not backups of a training"):
        train("arrays", tmp_path)


class FillsTheDisk(cb.Callback):
    """Prevents files from growing after a given step, once a backup exists."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.steps = folder, 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == 8:
            while not [*self.folder.glob("*.checkpoint")]:  # written by a thread
                time.sleep(0.001)
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))


def test_a_full_disk(tmp_path):
    """A failed write is reported once; training continues, and the previous backup is intact."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    model = network()
    backup = cb.BackupAndRestore(tmp_path, save_freq=6)
    try:
        with pytest.warns(
            UserWarning, match="a backup could not be written .* File too large"
        ) as told:
            with pytest.raises(Interruption):
                model.fit(
                    X,
                    Y,
                    16,
                    epochs=9,
                    verbose=0,
                    callbacks=[backup, FillsTheDisk(tmp_path), Interrupt(50)],
                )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(told) == 1
    (file,) = tmp_path.iterdir()
    assert files.read_checkpoint(file)["progress"]["epoch"] == 0
    again = network()
    again.fit(X, Y, 16, epochs=2, verbose=0, callbacks=[backup])
    assert again.history.epoch == [0, 1]


def test_a_folder_that_cannot_be_written_to(tmp_path):
    """The error comes before training begins."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="backups cannot be written to the folder"):
        network().fit(X, Y, verbose=0, callbacks=[cb.BackupAndRestore(tmp_path / "file")])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only folders")
def test_a_read_only_folder(tmp_path):
    with pytest.raises(Interruption):
        train("arrays", tmp_path, interrupt=9)
    place = tmp_path / "backup"
    place.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="backups cannot be written"):
            train("arrays", tmp_path)
    finally:
        place.chmod(0o700)
    assert len([*place.iterdir()]) == 1


def test_remains_of_killed_writes_are_removed(tmp_path):
    rest = tmp_path / ".training-0-000007.checkpoint.abcdef12"
    rest.mkdir()
    (rest / "training-0-000007.checkpoint").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("the user's own")
    network().fit(X, Y, verbose=0, callbacks=[cb.BackupAndRestore(tmp_path)])
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


# --- signals --------------------------------------------------------------------------------------


class Terminate(cb.Callback):
    """Sends SIGTERM to this process during a step of training or evaluation."""

    def __init__(self, step=None, evaluation=None):
        super().__init__()
        self.step, self.evaluation, self.count, self.evaluated = step, evaluation, 0, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.count += 1
        if self.count == self.step:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_test_batch_begin(self, batch, logs=None):
        self.evaluated += 1
        if self.evaluated == self.evaluation:
            os.kill(os.getpid(), signal.SIGTERM)


MOMENTS = [{"step": 8}, {"step": 1}, {"step": 12}, {"evaluation": 5}]


@pytest.mark.parametrize("moment", mostly_slow(MOMENTS, MOMENTS[:1]), ids=str)
def test_sigterm(moment, tmp_path):
    """The step finishes and is backed up; no step runs twice."""
    more = {"validation_data": (X, Y), "validation_batch_size": 32}
    expected, history = train("epochs", tmp_path / "whole", validation_split=0, **more)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left:
        train("epochs", tmp_path, callbacks=[Terminate(**moment)], validation_split=0, **more)
    assert left.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    count = Count()
    model, own = train("epochs", tmp_path, seed=2, callbacks=[count], validation_split=0, **more)
    assert_equal(model, own, expected, history)
    assert len(count.seen) == 4 * STEPS - moment.get("step", 12)


def test_sigterm_where_a_user_handles_it(tmp_path):
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *args: seen.append(args[0]))
    try:
        with pytest.raises(SystemExit):
            train("asked", tmp_path, callbacks=[Terminate(step=3)])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]
    (file,) = (tmp_path / "backup").iterdir()
    assert files.read_checkpoint(file)["progress"]["done"] == 3


def test_training_in_another_thread(tmp_path):
    """Only the main thread handles signals, but backups work in any thread."""
    problems = []

    def work():
        try:
            train("arrays", tmp_path, interrupt=9)
        except BaseException as error:
            problems.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert problems == [Interruption]
    assert len([*(tmp_path / "backup").iterdir()]) == 1


# --- kill -9 --------------------------------------------------------------------------------------

SCRIPT = """
import json, os, sys, time
import numpy as np
import hornbeam as hb
from hornbeam import callbacks as cb

way, folder, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
hb.utils.set_random_seed(7)
rows = np.random.RandomState(0)
x, y = rows.randn(90, 20).astype("float32"), rows.randint(0, 3, 90)


class Tell(cb.Callback):
    def on_train_batch_end(self, batch, logs=None):
        os.write(1, b".")
        time.sleep(pause)


class Shuffled(hb.utils.PyDataset):
    order = np.arange(90)

    def __len__(self):
        return 6

    def __getitem__(self, index):
        some = self.order[index * 16 : index * 16 + 16]
        return x[some] + np.random.rand(len(some), 1).astype("float32"), y[some]

    def on_epoch_end(self):
        np.random.shuffle(self.order)


def doubled(x, y):
    return 2 * x, y


def parts(rows):
    return hb.data.Dataset.range(3).interleave(
        lambda n: rows.shard(3, int(n)).shuffle(30), cycle_length=2, block_length=5
    )


def pipeline():
    rows = parts(hb.data.Dataset.from_tensor_slices((x, y)))
    mapped = rows.shuffle(20).map(doubled, num_parallel_calls=3)
    return mapped.repeat().batch(16).prefetch(3)


def drawn():
    while True:
        some = np.random.randint(0, 90, 16)
        yield x[some], y[some]


model = hb.Sequential([hb.Input((20,)), hb.layers.Dense(4096, activation="relu")])
model.add(hb.layers.Dropout(0.2))
model.add(hb.layers.Dense(3))
loss = hb.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss, metrics=["accuracy"])
data = {
    "arrays": {"x": x, "y": y, "batch_size": 16, "validation_split": 0.1},
    "data set": {"x": Shuffled(), "validation_data": (x, y)},
    "generator": {"x": drawn(), "steps_per_epoch": 6},
    "pipeline": {"x": pipeline(), "steps_per_epoch": 6},
}
callbacks = [
    cb.BackupAndRestore(
        folder + "/backup",
        save_freq={"arrays": 4, "data set": 1, "pipeline": 2}.get(way, "epoch"),
    ),
    cb.ReduceLROnPlateau("loss", factor=0.7, patience=1),
    cb.EarlyStopping("accuracy", patience=30, restore_best_weights=True),
    cb.CSVLogger(folder + "/log.csv"),
    Tell(),
]
history = model.fit(**data[way], epochs=12, verbose=0, callbacks=callbacks).history
values = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
np.savez(folder + "/values.new.npz", *values)
with open(folder + "/history.json", "w") as file:
    json.dump(history, file)
os.replace(folder + "/values.new.npz", folder + "/values.npz")
"""


def start(script, way, folder, cache, pause=0.0):
    folder.mkdir(exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= {"PYTHONPATH": str(ROOT), "HORNBEAM_COMPILE_CACHE": str(cache)}
    return subprocess.Popen(
        [sys.executable, str(script), way, str(folder), str(pause)],
        env=environment,
        stdout=subprocess.PIPE,
    )


def ended(process):
    """Wait for the process to end; return its last output and its exit code."""
    with process:
        return process.stdout.read(), process.wait()


def result_of(folder):
    with np.load(folder / "values.npz") as file:
        values = [file[name] for name in file.files]
    return values, (folder / "history.json").read_text(), (folder / "log.csv").read_text()


def strike(process, draw, backup):
    """Kill a process at a random time, after some steps or during a backup, or send SIGTERM."""
    how = draw.choice(["any time", "steps", "steps", "write", "write", "ask"])
    if how == "any time":
        time.sleep(draw.uniform(0, 4))
    elif process.stdout.read(draw.randrange(1, 25)) and how == "write":
        until = time.monotonic() + 5
        while process.poll() is None and time.monotonic() < until and not [*backup.glob(".*")]:
            pass
        time.sleep(draw.choice([0, 0, 0.001, 0.01]))
    elif how == "steps":
        time.sleep(draw.uniform(0, 0.02))
    process.send_signal(signal.SIGTERM if how == "ask" else signal.SIGKILL)
    _, code = ended(process)
    if how == "ask":
        assert code in (143, -signal.SIGTERM, 0)
    return code != 0


@pytest.mark.slow
def test_kills_at_random_moments(tmp_path):
    """HORNBEAM_KILLS sets the number of kills, HORNBEAM_SEED their times."""
    kills, draw = (
        int(os.environ.get("HORNBEAM_KILLS", 20)),
        random.Random(os.environ.get("HORNBEAM_SEED", "0")),
    )
    (script := tmp_path / "script.py").write_text(SCRIPT)
    ways, cache = ("arrays", "data set", "generator", "pipeline"), tmp_path / "cache"
    expected, running = {}, {}
    for way in ways:
        process = start(script, way, tmp_path / way, cache)
        assert [len(part) if isinstance(part, bytes) else part for part in ended(process)] == [
            72,
            0,
        ]
        expected[way] = result_of(tmp_path / way)
        running[way] = tmp_path / f"{way}, killed"

    done = tries = 0
    while done < kills:
        tries += 1
        way = ways[tries % len(ways)]
        if strike(
            start(script, way, running[way], cache, pause=0.02), draw, running[way] / "backup"
        ):
            done += 1
        else:  # the process had already ended
            np.testing.assert_equal(result_of(running[way]), expected[way])
            running[way] = tmp_path / f"{way}, killed after {done} others"
    for way in ways:
        process = start(script, way, running[way], cache)
        assert ended(process)[1] == 0
        np.testing.assert_equal(result_of(running[way]), expected[way])
        assert not (running[way] / "backup").exists()


def _in_numpy(**changes):
    return lambda state: state["random"]["numpy"]["state"].update(changes)


def _in_early_stopping(**changes):
    return lambda state: next(
        own for name, _, own in state["callbacks"] if name == "EarlyStopping"
    ).update(changes)


# Invalid states in a checkpoint. NumPy crashes on the first ones.
HOSTILE_STATES = {
    "position of random numbers": _in_numpy(pos=10**9),
    "negative position": _in_numpy(pos=-(10**9)),
    "too few random numbers": _in_numpy(key=np.zeros(3, "uint32")),
    "leaves that are not there": lambda state: state.update(batch=[[7, 8], []]),
    "vast batches": lambda state: state.update(batch=[[0], [[[2**40, 2], "float32"]]]),
    "state of a callback": lambda state: state.update(callbacks=[["EarlyStopping", 0, {"x": 1}]]),
    "callbacks without names": lambda state: state.update(callbacks=[[[1], {}, None]]),
    "best value of a callback": _in_early_stopping(best="x"),
    "weights of a callback": _in_early_stopping(best_weights=[np.ones(3)]),
    "size of a log file": (
        lambda state: state["callbacks"].append(
            ["CSVLogger", 0, {"keys": [], "header": True, "size": -1}]
        )
    ),
    "batches of another model": lambda state: state.update(
        batch=[[0, 1, None], [[[4, 9], "float32"], [[4, 1], "float32"]]]
    ),
    "no structure of batches": lambda state: state.update(batch=[0, [[[4, 2], "float32"]]]),
    "dtype of batches": lambda state: state.update(batch=[[0, 0, None], [[[4, 2], "dict"]]]),
    "results": lambda state: state["progress"].update(logs={"loss": "x"}, done=1),
    "results in results": (
        lambda state: state["progress"].update(logs={"loss": {"loss": 1.0}}, done=1)
    ),
    "no results": lambda state: state["progress"].update(logs={"loss": None}, done=1),
    "no batch": lambda state: state.pop("batch"),
    "negative seed": lambda state: state.update(seed=-1),
    "negative count of steps": lambda state: state.update(since=-(10**12)),
    "a step beyond the data": (
        lambda state: state["progress"].update(position=(1, 10**12), done=10**12)
    ),
    "marks of something else": lambda state: state.update(
        journal=[{"pass": "x", "random": None, "read": 1}]
    ),
    "a negative mark": lambda state: state.update(
        journal=[{"pass": 0, "random": None, "read": -1}]
    ),
}


@pytest.mark.parametrize("kind", [*HOSTILE_STATES, "pipe"])
def test_hostile_states(tmp_path, kind):
    def callbacks():
        stopping = hb.callbacks.EarlyStopping(monitor="loss", patience=9)
        log = hb.callbacks.CSVLogger(tmp_path / "log")
        return [hb.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False), log, stopping]

    model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = np.ones((4, 2)), np.ones((4, 1))
    model.fit(*data, epochs=2, verbose=0, callbacks=callbacks())
    (file,) = tmp_path.glob("*.checkpoint")
    if kind == "pipe":
        file.unlink()
        os.mkfifo(file)
    else:
        state = files.read_checkpoint(file)
        HOSTILE_STATES[kind](state)
        packed = files.Packed()
        packed.tree = packed.pack(state, "state")
        files.write_checkpoint(file, packed)
    with pytest.raises(hb.saving.FileError):
        model.fit(*data, epochs=3, verbose=0, callbacks=callbacks())


def _position(number, **more):
    def change(state):
        state["progress"]["position"] = (0, number)
        state["journal"][-1]["read"] = number
        state.update(more)

    return change


def batches(number=10**15):
    for _ in range(number):
        yield np.ones((4, 2)), np.ones((4, 1))


# Invalid positions of a generator in a checkpoint. Resuming reads the generator up to the position.
POSITIONS = {
    "more than a training reads": (
        _position(10**12), {"steps_per_epoch": 2}, "done 1000000000000 steps"),
    "many parts": (
        lambda state: state.update(journal=[{"pass": 0, "random": None, "read": 3}] * 5),
        {"steps_per_epoch": 2}, "done 15 batches"),
    "a validation that reads more": (
        lambda state: state.update(validated=10**12),
        {"steps_per_epoch": 2, "validation_data": batches, "validation_steps": 1},
        "batches of validation"),
    "random state of a mark": (
        lambda state: state["journal"][-1].update(random={"numpy": {}}), {"steps_per_epoch": 2},
        "does not fit"),
    "data that end": (_position(10**12), {"data": lambda: batches(50)}, "ended after 50 batches"),
    "validation data that end": (
        lambda state: state.update(validated=10**12),
        {"steps_per_epoch": 2, "validation_data": lambda: batches(9)}, "after 9 batches"),
}  # fmt: skip


def fit_from(folder, epochs=3, data=batches, validation_data=None, **arguments):
    resuming._finished.clear()
    model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(1)])
    model.compile("sgd", "mse")
    backup = cb.BackupAndRestore(folder, save_freq=1, delete_checkpoint=False)
    if validation_data is not None:
        arguments["validation_data"] = validation_data()
    model.fit(data(), epochs=epochs, verbose=0, callbacks=[backup], **arguments)


def backed_up_in(folder, change):
    """Train on a generator, then modify the backup."""
    fit_from(folder, epochs=1, data=batches, steps_per_epoch=2)
    (file,) = folder.glob("*.checkpoint")
    state = files.read_checkpoint(file)
    change(state)
    packed = files.Packed()
    packed.tree = packed.pack(state, "state")
    files.write_checkpoint(file, packed)


@pytest.mark.parametrize("kind", POSITIONS)
def test_hostile_positions(tmp_path, kind):
    change, arguments, match = POSITIONS[kind]
    backed_up_in(tmp_path, change)
    with pytest.raises(ValueError, match=match):
        fit_from(tmp_path, **arguments)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_reading_again_can_be_ended(tmp_path, number, monkeypatch):
    """A wrong position can make resuming read for very long: it reports this and can be ended."""
    monkeypatch.setattr("hornbeam.training.journal.TELL", 0.2)
    backed_up_in(tmp_path, _position(10**12))
    (file,) = tmp_path.glob("*.checkpoint")
    before = file.read_bytes()
    timer = threading.Timer(2, os.kill, (os.getpid(), number))
    timer.start()
    with (
        pytest.warns(UserWarning, match=r"read again: \d+ of 1000000000000"),
        pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit),
    ):
        fit_from(tmp_path)
    timer.join()
    assert file.read_bytes() == before


def test_nothing_is_read_again_for_nothing(tmp_path):
    """If training is over, the data are not read again."""

    def change(state):
        _position(10**12)(state)
        state["progress"].update(epoch=1, done=0)

    backed_up_in(tmp_path, change)
    fit_from(tmp_path, epochs=1, data=lambda: batches(0), steps_per_epoch=2)
