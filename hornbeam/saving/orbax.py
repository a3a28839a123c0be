"""Checkpoints of Orbax: folders with a numbered folder for each saved step.

All devices and processes write their own parts of a model's arrays at the same time, and read only
the parts that they keep. The layout is Keras's: the item `pytree` has the variables by group and
path, the item `model_config` has the configuration.
"""

from __future__ import annotations

import collections
import json
import logging
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from hornbeam.core.loading import current_loading
from hornbeam.core.naming import nested_by_path
from hornbeam.core.placement import dividing
from hornbeam.core.variable import Variable
from hornbeam.errors import FileError, listed
from hornbeam.objects import configuration
from hornbeam.optional import import_module
from hornbeam.saving.compiling import compile_or_warn
from hornbeam.saving.disk import parse_json
from hornbeam.saving.layout import Differences, file_label
from hornbeam.typing import CustomObjects, FilePath

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["OrbaxFolder", "load_orbax", "load_orbax_weights", "orbax_step"]

_VARIABLES, _CONFIG = "pytree", "model_config"
_OPTIMIZER, _METRICS = "optimizer_variables", "metrics_variables"
_TRAINABLE, _FROZEN = _WEIGHTS = "trainable_variables", "non_trainable_variables"

Key = tuple[str, ...]  # the group of a variable, and the parts of its path


class OrbaxFolder:
    """A folder of checkpoints that grows step by step.

    A checkpoint is written to a temporary folder and renamed when it is complete; older ones are
    deleted after that. So a process that is killed leaves the previous checkpoint intact.

    Args:
        path: The folder; it is created. Incomplete checkpoints of killed processes are deleted.
        keep: Number of checkpoints to keep; `None`: all.
        in_background: Whether `save` returns once the arrays are copied to the host, and threads
            write them.

    Raises:
        ImportError: If Orbax is not installed.
    """

    def __init__(self, path: FilePath, keep: int | None = 1, in_background: bool = True):
        orbax = _orbax()
        self._manager = orbax.CheckpointManager(
            Path(path).absolute(),
            item_handlers={_VARIABLES: _handler(), _CONFIG: _handler()},
            options=orbax.CheckpointManagerOptions(
                max_to_keep=keep,
                enable_async_checkpointing=in_background,
                cleanup_tmp_directories=True,
            ),
        )

    def save(self, step: int, model: Model, weights_only: bool = False) -> int:
        """Save a model.

        Args:
            step: Number of the step. If the folder has checkpoints up to this one or a later one,
                the next number is used.
            model: A built model.
            weights_only: Whether to leave out the configuration and the state of the training.

        Returns:
            The number that was used.
        """
        args = _orbax().args
        newest = self._manager.latest_step()
        step = step if newest is None else max(step, newest + 1)
        items = {_VARIABLES: args.PyTreeSave(_nested(model, weights_only))}
        if not weights_only:
            text = json.dumps(configuration.serialize(model))
            items[_CONFIG] = args.PyTreeSave({"config": text})
        # Paths begin with other names in a model that is made anew, so their order is kept too.
        order = {name: [list(key) for key in _keys(group)] for name, group in _parts(model).items()}
        with _quiet():
            self._manager.save(
                step, args=args.Composite(**items), force=True, custom_metadata={"order": order}
            )
        return step

    def close(self) -> None:
        """Wait until the last checkpoint is complete.

        Raises:
            OSError: If writing failed, for example because the disk is full.
        """
        with _quiet():
            self._manager.wait_until_finished()
            self._manager.close()


def orbax_step(path: FilePath) -> Path | None:
    """Return the folder of the newest complete checkpoint.

    Args:
        path: A folder of checkpoints, or the folder of one step.

    Returns:
        The folder; `None` if `path` is neither.
    """
    path = Path(path)
    if (path / _VARIABLES / "_METADATA").is_file():
        return path
    steps = [p for p in path.glob("*") if p.name.isdecimal() and len(p.name) < 20]
    complete = [p for p in steps if (p / _VARIABLES / "_METADATA").is_file()]
    return max(complete, key=lambda p: int(p.name), default=None)


def load_orbax(
    filepath: FilePath,
    custom_objects: CustomObjects = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Model:
    """Return the model in a checkpoint; see `hornbeam.saving.load_model`."""
    what, step = file_label(filepath), _step(filepath)
    place = step / _CONFIG / "_strings.json"
    if not place.is_file():
        raise FileError(
            f"{what} holds weights only. Build the model in your program and call"
            " `model.load_weights(path)`."
        )
    texts = parse_json(place.read_bytes(), f"{what}: {_CONFIG}")
    text = texts.get("config") if isinstance(texts, dict) else None
    config = parse_json(text if isinstance(text, str) else b"", f"{what}: {_CONFIG}")
    if not isinstance(config, dict) or "class_name" not in config:
        raise FileError(f"{what}: {_CONFIG} does not describe a model.")
    compile_config = config.pop("compile_config", None)
    model: Any = configuration.deserialize(
        config, custom_objects=custom_objects, safe_mode=safe_mode
    )
    if compile and compile_config:
        compile_or_warn(model, compile_config, custom_objects, what)
    _load(model, step, what)
    return model


def load_orbax_weights(
    model: Model, filepath: FilePath, skip_mismatch: bool = False, by_name: bool = False,
    skipped: Collection[int] = (),
) -> None:  # fmt: skip
    """Load the variables of a checkpoint into a built model; each device reads its own parts.

    Raises:
        FileError: If the checkpoint is damaged.
        ValueError: If the variables do not fit; nothing is changed then.
    """
    if by_name or skipped:
        raise ValueError(
            "load_weights: checkpoints of Orbax match variables by their paths; leave out `by_name`"
            " and `objects_to_skip`."
        )
    _load(model, _step(filepath), file_label(filepath), skip_mismatch, keep_compiled=True)


# --- the variables of a model ---------------------------------------------------------------------


def _on_device(variable: Variable) -> jax.Array:
    return jnp.asarray(variable.stored)  # zeros that were not used yet are on the host


def _nested(model: Any, weights_only: bool) -> dict[str, Any]:
    """Return the values of variables as dicts, nested by group and the parts of the paths."""
    kinds = _WEIGHTS if weights_only else (*_WEIGHTS, _OPTIMIZER, _METRICS)
    by_kind: dict[str, list[Variable]] = {kind: [] for kind in kinds}
    for group in _parts(model).values():
        for kind, variable in group:
            if kind in by_kind:
                by_kind[kind].append(variable)
    return {
        kind: nested_by_path("OrbaxCheckpoint", variables, _on_device)
        for kind, variables in by_kind.items()
    }


def _parts(model: Any) -> dict[str, list[tuple[str, Variable]]]:
    """Return pairs of a group and a variable: of the model, its optimizer and its metrics."""
    trained = set(model.trainable_variables)
    of_model = [(_TRAINABLE if v in trained else _FROZEN, v) for v in model.variables]
    slots = model.optimizer.variables if model.optimizer is not None else []
    return {
        "model": of_model,
        "optimizer": [(_OPTIMIZER, v) for v in slots],
        "metrics": [(_METRICS, v) for v in model.metrics_variables],
    }


def _keys(group: list[tuple[str, Variable]]) -> list[Key]:
    return [(kind, *variable.path.split("/")) for kind, variable in group]


def _load(
    model: Any, step: Path, what: str, skip_mismatch: bool = False, keep_compiled: bool = False
) -> None:
    """Read the variables of a checkpoint into a model."""
    orbax = _orbax()
    with _quiet(), _damage_named(what):
        saved = _Saved(orbax.Checkpointer(_handler()).metadata(step / _VARIABLES), step, what)
    wanted = _wanted(model, saved, skip_mismatch, keep_compiled)
    if not wanted:
        return
    if (rules := current_loading()) is not None:
        for variable in wanted.values():
            rules.pay(variable.nbytes, f"the variable '{variable.path}'", variable)
    tree: dict[str, Any] = {}
    for (*outer, last), variable in wanted.items():
        place = tree
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = jax.ShapeDtypeStruct(
            variable.shape, variable.stored_dtype, sharding=_sharding(variable)
        )
    restore = orbax.args.PyTreeRestore(
        tree, orbax.checkpoint_utils.construct_restore_args(tree), partial_restore=True
    )
    with _quiet(), _damage_named(what):
        found = orbax.Checkpointer(_handler()).restore(step / _VARIABLES, args=restore)
    for path, variable in wanted.items():
        value = found
        for part in path:
            value = value[part]
        variable.take_over(value)


class _Saved:
    """What a checkpoint holds: the shapes of its variables, their order, the model's name."""

    def __init__(self, metadata: Any, step: Path, what: str):
        self.what = what
        self.shapes = {key: tuple(array.shape) for key, array in _flat(metadata)}
        self.order: Any = {}
        notes = step / "_CHECKPOINT_METADATA"
        if notes.is_file():
            found = parse_json(notes.read_bytes(), f"{what}: {notes.name}")
            custom = found.get("custom_metadata") if isinstance(found, dict) else None
            order = custom.get("order") if isinstance(custom, dict) else None
            self.order = order if isinstance(order, dict) else {}

    def places(self, name: str, group: list[tuple[str, Variable]], own_name: str) -> list[Any]:
        """Return for each variable of a group its key in the checkpoint, or `None`.

        Names count first, then the order of a checkpoint of Hornbeam, then names without the
        model's.
        """
        kinds = {kind for kind, _ in group} | ({_TRAINABLE, _FROZEN} if name == "model" else set())
        by_path = {key[1:]: key for key in self.shapes if key[0] in kinds}
        paths = [tuple(v.path.split("/")) for _, v in group]
        if all(path in by_path for path in paths):
            return [by_path[path] for path in paths]
        listed = self.order.get(name)
        keys = [tuple(map(str, key)) for key in listed] if isinstance(listed, list) else []
        shapes = [self.shapes.get(key) for key in keys]
        if shapes == [v.shape for _, v in group]:
            return keys
        firsts = collections.Counter(k[1] for k in self.shapes if k[0] in _WEIGHTS and len(k) > 3)
        name_there = firsts.most_common(1)[0][0] if firsts else own_name
        short = {_short(key, name_there): key for key in by_path.values()}
        own = [(kind, *path) for (kind, _), path in zip(group, paths, strict=True)]
        return [by_path.get(key[1:]) or short.get(_short(key, own_name)) for key in own]


def _short(key: Key, name: str) -> Key:
    """Return a path without the names of the model and the optimizer."""
    kind, *path = key
    if kind == _OPTIMIZER:
        return (path[-1].removeprefix(f"{name}_"),)
    return tuple(path[1:] if len(path) > 1 and path[0] == name else path)


def _wanted(model: Any, saved: _Saved, skip: bool, keep_compiled: bool) -> dict[Key, Variable]:
    """Return the variables to read, by their keys in the checkpoint; report differences."""
    differences = Differences(saved.what, skip)
    wanted: dict[Key, Variable] = {}
    has_slots = any(key[0] == _OPTIMIZER for key in saved.shapes)
    if has_slots and model.optimizer is not None:
        model.optimizer.build(model.trainable_variables)
    unfit = 0
    for name, group in _parts(model).items():
        places = saved.places(name, group, model.name)
        for (_, variable), key in zip(group, places, strict=True):
            if key is not None and saved.shapes[key] == variable.shape:
                wanted[key] = variable
                differences.loaded.append(variable.path)
            elif name == "model" and not _is_seed(variable.path):
                there = "is not there" if key is None else f"has shape {saved.shapes[key]}"
                differences.add(f"'{variable.path}' {variable.shape} {there} in the checkpoint.")
            elif name == "optimizer" and has_slots:
                unfit += 1
    if not differences.lines:
        paths = ["/".join(k[1:]) for k in saved.shapes if k[0] in _WEIGHTS and k not in wanted]
        if rest := [path for path in paths if not _is_seed(path)]:
            differences.add(f"the checkpoint has {listed(rest[:6])}, which the model lacks.")
    if unfit:
        told = (
            f"the state of the optimizer has no value for {unfit} of the"
            f" {len(model.optimizer.variables)} variables of '{model.optimizer.name}'."
        )
        if keep_compiled:
            warnings.warn(f"{saved.what}: {told}", stacklevel=5)
        else:
            differences.add(told)
    differences.report()
    if model.optimizer is not None and keep_compiled:
        kept = model.optimizer.__dict__.get("_learning_rate")
        wanted = {key: v for key, v in wanted.items() if v is not kept}
    return wanted


def _is_seed(path: str) -> bool:
    return path.endswith("seed_generator_state")  # numbered anew in every model


def _sharding(variable: Variable) -> jax.sharding.Sharding:
    divided = dividing(variable)
    return jax.sharding.SingleDeviceSharding(jax.devices()[0]) if divided is None else divided


# --- Orbax ----------------------------------------------------------------------------------------


def _orbax() -> Any:
    return import_module("orbax.checkpoint", extra="orbax", needed_for="A checkpoint of Orbax")


def _handler() -> Any:
    # As in other formats, arrays are not compressed: the size of a file limits the memory that
    # loading it takes.
    return _orbax().PyTreeCheckpointHandler(use_zarr3=True, use_compression=False)


def _step(path: FilePath) -> Path:
    step = orbax_step(path)
    if step is None:
        raise FileError(f"{file_label(path)} holds no complete checkpoint.")
    return step.absolute()


def _flat(metadata: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    tree = getattr(getattr(metadata, "item_metadata", metadata), "tree", None)

    def visit(place: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        if isinstance(place, dict):
            for key, below in place.items():
                yield from visit(below, (*path, str(key)))
        elif hasattr(place, "shape"):
            yield path, place

    yield from visit(tree, ())


@contextmanager
def _damage_named(what: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, OSError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise FileError(f"{what} is a damaged checkpoint: {first}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out Orbax's notes about files that one process does not need."""
    log = logging.getLogger("absl")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
