"""Backups of a training, and continuing from them as if it had never stopped.

A backup holds everything that the rest of a training depends on: the variables (of the model, the
optimizer, the metrics and the seeds), the position in the data, the results so far, the state of
callbacks and of random generators. The training thread copies it between two steps, and another
thread writes it.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from hornbeam import tree
from hornbeam.callbacks import BackupAndRestore, CallbackList
from hornbeam.core.placement import current_team, whole
from hornbeam.core.random import existing_global_generator, make_default_seed
from hornbeam.core.structure import structure_version
from hornbeam.core.variable import Variable
from hornbeam.data.sources import ArraySource, IterableSource, Source
from hornbeam.errors import FileError
from hornbeam.saving.checkpoint import BackgroundWriter, CheckpointFolder, Packed
from hornbeam.training.journal import Journal, random_state, set_random_state
from hornbeam.training.plan import Plan
from hornbeam.training.step import Steps
from hornbeam.training.together import meet, value_of_first
from hornbeam.typing import FilePath

if TYPE_CHECKING:
    from hornbeam.training.evaluate import Evaluation
    from hornbeam.training.interrupts import Interrupts
    from hornbeam.training.trainable import Trainable

__all__ = ["Backups", "Progress", "Terminated"]

# Time that backups after epochs may take, in seconds and as a fraction of the training's time: if
# epochs are very short and many, not each is backed up. Writing, in another thread, is not counted.
GRACE, SHARE = 0.01, 0.03

# How many trainings of this process have ended, by the folder of their backups. The n-th `fit` of a
# script has backups of its own, so that an earlier one, run again, does not use them.
_finished: Counter[str] = Counter()


class Terminated(BaseException):
    """Ends a training after SIGTERM, once its state is backed up."""


@dataclasses.dataclass
class Progress:
    """How far a training has come.

    Attributes:
        epoch: Number of the epoch.
        done: Steps of it that are done.
        position: Number of the pass over the data, and number of the next step in it.
        logs: Results of the last step.
        stopped: Whether a callback has stopped the training.
    """

    epoch: int
    done: int = 0
    position: tuple[int, int] = (0, 0)
    logs: dict[str, Any] = dataclasses.field(default_factory=dict)
    stopped: bool = False


class Backups:
    """The backups of a training; does nothing without `BackupAndRestore` or `resume`.

    Args:
        model: The model.
        callbacks: The callbacks.
        resume: The argument of `fit`.

    Attributes:
        active: Whether there are backups at all.

    Raises:
        FileError: If there are backups and all are damaged.
        OSError: If the folder cannot be written to.
        ValueError: If `resume` or the callbacks contradict each other.
    """

    def __init__(self, model: Trainable, callbacks: CallbackList, resume: FilePath | bool | None):
        self._model, self._callbacks = model, callbacks
        settings = _settings(model, callbacks, resume)
        self._state: dict[str, Any] | None = None  # of the training that continues
        self._remembered: Any = None
        self._since = 0  # steps since the last backup
        self._begun = time.perf_counter()  # when the training began
        self._spent = 0.0  # seconds that backups took since
        self._warned = False
        self._found: tuple[Any, list[Variable]] = (None, [])
        self.active = settings is not None
        if settings is None:
            return
        self._settings = settings
        self._key = os.path.realpath(settings.backup_dir)
        self._folder = CheckpointFolder(
            settings.backup_dir, f"training-{_finished[self._key]}", settings.keep
        )
        team = current_team()
        self._writes = team is None or team.number == 0
        try:
            if self._writes:
                self._folder.prepare()
        except OSError as error:
            raise type(error)(
                error.errno,
                "BackupAndRestore: backups cannot be written to the folder"
                f" '{settings.backup_dir}': {error.strerror}",
            ) from error
        self._writer = BackgroundWriter(self._folder)
        self._every = (
            settings.save_freq
            if isinstance(settings.save_freq, int) and settings.save_freq
            else None
        )
        meet("the reading of backups")
        found = self._folder.newest()
        if found is not None:
            self._state = _checked(found, settings.backup_dir)
        if team is not None:
            # All must see the same files.
            progress = None if self._state is None else self._state["progress"]
            read = progress and [progress["epoch"], progress["done"]]
            team.agree(
                f"the reading of backups in '{settings.backup_dir}'",
                {"the epoch and step of the backup": read},
            )

    # --- going on ---------------------------------------------------------------------------

    def watch(self, source: Source) -> Source:
        """Return a source of the same data whose reading can be repeated."""
        return (
            Journal(source, self._note)
            if self.active and isinstance(source, IterableSource)
            else source
        )

    def attach(
        self,
        steps: Steps,
        source: Source,
        validator: Evaluation | None,
        epochs: int,
        total: int | None,
    ) -> None:
        """Take the parts of the training and its length: epochs, and steps per epoch if known."""
        self._steps, self._source, self._validator = steps, source, validator
        self._epochs, self._total = epochs, total
        self._callbacks.set_params({**self._callbacks.params, "resumed": self._state is not None})

    @property
    def seed(self) -> int:
        """The seed of the order of the data: a new one, or the seed of the training that
        continues.
        """
        if not hasattr(self, "_seed"):
            self._seed = make_default_seed() if self._state is None else int(self._state["seed"])
            self._seed = value_of_first("the choice of the seed of the data", self._seed)
        return self._seed

    def begin(self, plan: Plan, initial_epoch: int, interrupts: Interrupts) -> Progress:
        """Start the pass over the data at the training's position; return its progress."""
        self._plan, self._interrupts = plan, interrupts
        if self._state is None:
            with interrupts.held():
                plan.begin(initial_epoch)
            return Progress(initial_epoch, position=plan.position)
        progress = Progress(**self._state["progress"])
        number, start = progress.position
        told, now = self._state["data"], _description(self._source)
        if start and told != now:
            raise ValueError(
                f"fit: the backups in '{self._settings.backup_dir}' are of a training in the middle"
                f" of data with {_listed(told)}; these have {_listed(now)}. Pass the same data to"
                " go on, or delete the folder to train from the start."
            )
        # Otherwise nothing is left to do.
        going_on = progress.epoch < self._epochs and bool(progress.done or not progress.stopped)
        if going_on:
            self._check_position(start)
        shapes = _shapes(self._state["batch"])
        if shapes is not None:
            try:
                self._steps.trace(*shapes)  # creates the variables that a first step would
            except Exception as error:
                raise FileError(
                    f"The batches of the training in '{self._settings.backup_dir}' do not fit the"
                    f" model: {error} Delete the folder to train from the start."
                ) from error
        if self._validator is not None and going_on:
            self._validator.skip(self._state["validated"], self._note)
        with interrupts.held():
            self.restore()
        # Reading the used batches again may take long, so Ctrl-C may end it.
        if isinstance(self._source, Journal) and going_on:
            self._source.replay(self._state["journal"], number, self._state["random"])
        if going_on:
            plan.begin(number, start)
        return progress

    def _check_position(self, start: int) -> None:
        """Check that a training of these epochs and steps can have this position, before data are
        read to reach it.

        Raises:
            FileError: If it cannot.
        """
        state, source = self._state, self._source
        assert state is not None
        self._check_count("steps of a pass over the data", start, source.num_batches)
        # The last step may have looked ahead.
        most = None if self._total is None else (self._epochs + 1) * self._total
        self._check_count("steps", start, most)
        if isinstance(source, Journal) and not source.can_restart:
            self._check_count("batches", sum(mark["read"] for mark in state["journal"]), most)
        if self._validator is not None and self._validator.batches is not None:
            self._check_count(
                "batches of validation",
                state["validated"],
                (self._epochs + 1) * self._validator.batches,
            )

    def _check_count(self, what: str, count: int, most: int | None) -> None:
        if most is not None and count > most:
            raise FileError(
                f"The backups in '{self._settings.backup_dir}' are of a training that had done"
                f" {count} {what}; this one has {most} at most. Pass the same `epochs` and"
                " `steps_per_epoch` to go on, or delete the folder to train from the start."
            )

    def _note(self) -> None:
        """Run after each batch that is read again: SIGTERM ends the reading and leaves the backup
        as it is.

        Raises:
            Terminated: If SIGTERM came.
        """
        if self._interrupts.terminated:
            raise Terminated

    def restore(self) -> None:
        """Restore everything but the position; does nothing if no training continues."""
        state = self._state
        if state is None:
            return
        self._restore_variables(state["variables"])
        self._since = state["since"]
        states = {(name, number): own for name, number, own in state["callbacks"]}
        for name, number, callback in _numbered(self._callbacks.called):
            if (name, number) in states and hasattr(callback, "load_state_dict"):
                self._restore_callback(name, callback, states[name, number])
        self._model.stop_training = state["progress"]["stopped"]
        set_random_state(state["random"])

    def _restore_callback(self, name: str, callback: Any, state: Any) -> None:
        try:
            callback.load_state_dict(state)
        except (
            TypeError,
            ValueError,
            KeyError,
            IndexError,
            AttributeError,
            OverflowError,
            OSError,
        ) as error:
            raise FileError(
                f"The state of {name} in '{self._settings.backup_dir}' does not fit it: {error!r}."
                " Delete the folder to train from the start."
            ) from error

    def _restore_variables(self, saved: list[Any]) -> None:
        variables = _variables(self._model, self._steps)
        pairs = list(itertools.zip_longest(variables, saved))
        wrong = [
            f"{'nothing' if there is None else f'{there[0]} {there[1].dtype}{there[1].shape}'}"
            f" there, {'nothing' if own is None else f'{own.path} {own.stored_dtype}{own.shape}'}"
            " here"
            for own, there in pairs
            if own is None
            or there is None
            or there[1].shape != own.shape
            or there[1].dtype.name != own.stored_dtype
        ]
        if wrong:
            raise ValueError(
                f"fit: the backups in '{self._settings.backup_dir}' are of another model or"
                f" optimizer: {len(saved)} variables there, {len(variables)} here;"
                f" {'; '.join(wrong[:3])}. Delete the folder to train from the start, or give each"
                " training its own."
            )
        for variable, (_, array) in pairs:
            variable.assign(array)

    # --- backing up ---------------------------------------------------------------------------

    def most(self) -> int | None:
        """Return the maximum number of steps until a backup is due; `None` for any number."""
        return max(self._every - self._since, 1) if self.active and self._every else None

    def after_steps(self, count: int, progress: Progress, terminated: bool) -> None:
        """Count steps that were done; back up if it is time.

        Raises:
            Terminated: If SIGTERM came.
        """
        if not self.active:
            return
        self._since += count
        due = self._every is not None and self._since >= self._every
        if due:
            self._since = 0
        if due or terminated:
            self._save(progress, terminated)

    def after_epoch(self, progress: Progress, terminated: bool, last: bool) -> None:
        """Back up at the end of an epoch if it is the last one, or if backups have not used up
        their share of the time.

        Raises:
            Terminated: If SIGTERM came.
        """
        if not self.active:
            return
        due = self._settings.save_freq == "epoch"
        if due and not (terminated or last):
            due = value_of_first("the question whether to back up", self._affordable)
        if terminated or due:
            self._save(progress, terminated)

    @property
    def _affordable(self) -> bool:
        return self._spent <= GRACE + SHARE * (time.perf_counter() - self._begun)

    def remember(self, progress: Progress) -> None:
        """Keep the state in memory, for a backup if SIGTERM comes during validation."""
        if self.active:
            self._remembered = self._packed(progress)

    def _save(self, progress: Progress, terminated: bool) -> None:
        self._tell_failure()
        start = time.perf_counter()
        packed = self._packed(progress)
        # `remember` is not counted: it runs before every validation and could leave no time for
        # backups.
        self._spent += time.perf_counter() - start
        if terminated:
            self._remembered = packed
            raise Terminated
        if self._writes:
            self._writer.put(packed)

    def _packed(self, progress: Progress) -> Any:
        variables = self._known_variables()
        if not self._writes:
            for variable in variables:
                whole(variable.stored)  # takes part where values are gathered
            return None
        if jax.default_backend() != "cpu":
            for variable in variables:
                variable.stored.copy_to_host_async()
        packed = Packed()
        packed.tree = packed.pack(
            {
                "progress": {**vars(progress), "logs": dict(progress.logs.items())},
                "seed": self.seed,
                "since": self._since,
                "data": _description(self._source),
                "batch": _as_lists(self._plan.shapes()),
                "journal": self._source.marks if isinstance(self._source, Journal) else [],
                "validated": 0 if self._validator is None else self._validator.consumed,
                "random": random_state(),
            },
            "state",
        )
        packed.tree["variables"] = packed.pack_named(
            ((v.path, v.stored) for v in variables), "variables"
        )
        packed.tree["callbacks"] = [
            [name, number, packed.pack(callback.state_dict(), f"{name}.state_dict()")]
            for name, number, callback in _numbered(self._callbacks.callbacks)
            if hasattr(callback, "state_dict")
        ]
        return packed

    def _known_variables(self) -> list[Variable]:
        """Return all variables, cached: finding them takes longer than copying the variables of a
        small model.
        """
        optimizer = self._model.optimizer
        now = (
            structure_version.number,
            len(self._steps.variables),
            0 if optimizer is None else len(optimizer.variables),
        )
        if self._found[0] != now:
            self._found = now, _variables(self._model, self._steps)
        return self._found[1]

    def _tell_failure(self) -> None:
        failure, self._writer.failure = self._writer.failure, None
        if failure is not None and not self._warned:
            self._warned = True
            warnings.warn(
                f"BackupAndRestore: a backup could not be written to '{self._settings.backup_dir}':"
                f" {failure}. Training goes on, and so do the attempts; the last backup that was"
                " written is whole.",
                stacklevel=5,
            )

    # --- the end ------------------------------------------------------------------------------

    def finish(self, terminated: bool) -> None:
        """Close a training that has ended: delete its backups, unless the user wants to keep
        them.
        """
        if self.active and self._settings.delete_checkpoint and not terminated:
            self._writer.close(drop=True)
            self._writer.failure = None
            if self._writes:
                self._folder.clear()
            _finished[self._key] += 1

    def __enter__(self) -> Backups:
        return self

    def __exit__(self, kind: Any, *exc: Any) -> None:
        if not self.active:
            return
        if kind is Terminated and self._remembered is not None and self._writes:
            self._writer.put(self._remembered)
        self._writer.close()
        self._tell_failure()
        if kind is Terminated:
            meet("the end of the last backup")


def _settings(model: Any, callbacks: CallbackList, resume: Any) -> BackupAndRestore | None:
    """Return the callback with the settings of backups, made from `resume` if the user passed
    none.
    """
    given = [c for c in callbacks.callbacks if isinstance(c, BackupAndRestore)]
    if len(given) > 1:
        raise ValueError(f"fit: one BackupAndRestore is enough, received {len(given)}.")
    if resume is None or resume is False:
        return given[0] if given else None
    if not isinstance(resume, (str, os.PathLike)):
        raise ValueError(
            f'fit: `resume` must be "auto", the path of a folder, or None, received {resume!r}.'
        )
    if given:
        if resume != "auto" and os.path.realpath(resume) != os.path.realpath(given[0].backup_dir):
            raise ValueError(
                f"fit: `resume` is '{os.fspath(resume)}' and `backup_dir` of BackupAndRestore"
                f" '{given[0].backup_dir}'; one training has one folder. Pass `resume=\"auto\"` or"
                " leave it out."
            )
        return given[0]
    if resume == "auto":
        script = Path(getattr(sys.modules["__main__"], "__file__", None) or "session").stem
        resume = Path(".hornbeam") / f"{script}-{model.name}".replace("/", "_")
    return BackupAndRestore(resume)


def _variables(model: Any, steps: Steps) -> list[Variable]:
    """Return every variable that the next step may depend on, in the same order in each process."""
    optimizer = [] if model.optimizer is None else model.optimizer.variables
    found: Iterable[Variable] = [
        *model.variables,
        *optimizer,
        *model.metrics_variables,
        *steps.variables,
    ]
    ours = existing_global_generator()  # saved with the random generators
    return [v for v in dict.fromkeys(found) if ours is None or v is not ours.state]


def _numbered(callbacks: list[Any]) -> list[tuple[str, int, Any]]:
    """Return callbacks with the name of their class and their number among the callbacks of that
    class.
    """
    seen: Counter[str] = Counter()
    found = []
    for callback in callbacks:
        name = type(callback).__name__
        found.append((name, seen[name], callback))
        seen[name] += 1
    return found


def _description(source: Source) -> dict[str, Any]:
    if isinstance(source, ArraySource):
        return {"rows": source.num_rows, "rows a batch": source.batch_size}
    return {"batches": source.num_batches}


def _listed(description: dict[str, Any]) -> str:
    return ", ".join(f"{value} {name}" for name, value in description.items())


def _as_lists(shapes: Any) -> Any:
    """Return shapes of arrays as lists that a checkpoint may hold: the structure with numbers, then
    shapes and dtypes.
    """
    if shapes is None:
        return None
    leaves = [a for a in tree.flatten(shapes) if a is not None]
    numbers = itertools.count()
    structure = tree.map_structure(lambda a: None if a is None else next(numbers), shapes)
    return [structure, [[list(a.shape), np.dtype(a.dtype).name] for a in leaves]]


def _shapes(lists: Any) -> Any:
    if lists is None:
        return None
    structure, leaves = lists

    def shape_of(number: Any) -> Any:
        if number is None:
            return None
        shape, dtype = leaves[number]
        return jax.ShapeDtypeStruct(tuple(shape), dtype)

    return tree.map_structure(shape_of, structure)


def _are_shapes(lists: Any) -> bool:
    """Return whether these are lists as `_as_lists` makes them."""
    if lists is None:
        return True
    if not isinstance(lists, list) or len(lists) != 2 or not isinstance(lists[1], list):
        return False
    structure, leaves = lists
    numbers = [n for n in tree.flatten(structure) if n is not None]
    return all(type(n) is int and 0 <= n < len(leaves) for n in numbers) and all(
        isinstance(leaf, list) and len(leaf) == 2 and isinstance(leaf[0],
            list) and isinstance(leaf[1], str)
        and all(type(n) is int and 0 <= n < 2**31 for n in leaf[0]) and _is_dtype(leaf[1])
        for leaf in leaves
    ) and isinstance(structure, (list, tuple))  # fmt: skip


def _is_dtype(name: str) -> bool:
    try:
        return np.dtype(name).kind in "biufcV"
    except TypeError:
        return False


def _are_results(value: Any) -> bool:
    """Return whether these are results as `Logs` holds them: numbers, or arrays of numbers, by
    name.
    """
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(x,
            (int, float, np.generic, np.ndarray)) and np.asarray(x).dtype.kind in "biufcV"
        for name, x in value.items()
    )  # fmt: skip


def _is_mark(mark: Any) -> bool:
    """Return whether this is a mark of a `Journal`."""
    return (
        isinstance(mark, dict) and set(mark) == {"pass", "random", "read"}
        and (mark["pass"] is None or (type(mark["pass"]) is int and mark["pass"] >= 0))
        and (mark["random"] is None or isinstance(mark["random"],
            dict)) and type(mark["read"]) is int and mark["read"] >= 0
    )  # fmt: skip


_FIELDS = {
    "progress": dict, "seed": int, "since": int, "data": dict, "journal": list, "validated": int,
    "random": dict, "variables": list, "callbacks": list,
}  # fmt: skip


def _checked(state: Any, place: str) -> dict[str, Any]:
    """Return a state that was read, after a check of its form.

    Raises:
        FileError: If it is not the state of a training.
    """
    fits = isinstance(state, dict) and all(
        isinstance(state.get(name), kind) for name, kind in _FIELDS.items()
    )
    if fits:
        progress = state["progress"]
        position = progress.get("position")
        fits = (
            set(progress) == {"epoch", "done", "position", "logs", "stopped"}
            and isinstance(position, tuple) and len(position) == 2
            and all(type(n) is int and n >= 0 for n in (progress["epoch"], progress["done"],
                *position))
            and isinstance(progress["logs"], dict) and isinstance(progress["stopped"], bool)
            and (not progress["done"] or _are_results(progress["logs"]))
            and all(isinstance(row, list) and len(row) == 2 and isinstance(row[1],
                np.ndarray) for row in state["variables"])
            and all(isinstance(row, list) and len(row) == 3 for row in state["callbacks"])
            and all(type(row[0]) is str and type(row[1]) is int for row in state["callbacks"])
            and "batch" in state and _are_shapes(state["batch"])
            and all(map(_is_mark, state["journal"]))
            and 0 <= state["seed"] < 2**64 and state["since"] >= 0 and state["validated"] >= 0
        )  # fmt: skip
    if not fits:
        raise FileError(
            f"The checkpoints in '{place}' are not backups of a training, or of another version of"
            " Hornbeam. Delete the folder to train from the start."
        )
    return state
