"""Weights in HDF5 in Keras 3's layout: one group per part of a model, named by its attribute.

A part is a layer, a model or an optimizer. Its group contains the group `vars`, with the arrays of
the part itself, and one group for each part below it. A list or dictionary of parts is also a
group; its members are named by their classes.
"""

from __future__ import annotations

import collections
import functools
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hornbeam.core.naming import to_snake_case
from hornbeam.core.variable import Variable
from hornbeam.errors import listed
from hornbeam.layers.adaptable import Adaptable
from hornbeam.layers.layer import Layer
from hornbeam.layers.state import flatten_layers, saved_variables
from hornbeam.optimizers import Optimizer
from hornbeam.saving.eras import Saved, older_files
from hornbeam.saving.hdf5 import Dataset, Group
from hornbeam.saving.stores import ReadStore, WrittenStore, member, read_array
from hornbeam.typing import FilePath

if TYPE_CHECKING:
    import h5py

    from hornbeam.models.model import Model

__all__ = [
    "Differences",
    "optimizer_mismatch",
    "parts_of",
    "read_weights",
    "walk",
    "write_weights",
]

# Attributes of the base classes that hold no parts.
_SKIPPED = frozenset(
    ["input", "output", "inputs", "outputs", "history", "metrics", "trainable_variables"]
)


class Differences:
    """The differences between a file and a model, collected for one message.

    Args:
        what: Name of the file for the message.
        skip: Whether `report` warns instead of raising.
    """

    def __init__(self, what: str, skip: bool = False):
        self.what, self.skip = what, skip
        self.lines: list[str] = []
        self.loaded: list[str] = []  # names of layers or weights that fit

    def add(self, line: str) -> None:
        """Add one difference."""
        self.lines.append(line)

    def count(self, label: str, variables: Sequence[Any], arrays: Sequence[Any]) -> None:
        """Add the difference between the numbers of weights of a part and in the file."""
        own = ", ".join(f"{v.name} {v.shape}" for v in variables[:6]) or "none"
        given = ", ".join(f"{a.name} {a.shape}" for a in arrays[:6]) or "none"
        self.add(
            f"{label}: the layer has {len(variables)} weights ({own}), the file {len(arrays)}"
            f" ({given})."
        )

    def names(self, model: Model, saved: Iterable[str]) -> None:
        """Report names that only the model or only the file has, where layers match by name.

        They are usual where part of a model is loaded. So they are told only if `skip` is true, or
        if no name is the same.

        Args:
            model: The model.
            saved: Names of the layers whose weights the file has.
        """
        own = [layer.name for layer in model.layers if layer.weights]
        given = set(saved)
        missing, unused = [n for n in own if n not in given], sorted(given - set(own))
        if self.skip:
            if missing:
                self.add(f"the file has no layers called {listed(missing)}.")
            if unused:
                self.add(f"the model has no layers called {listed(unused)}.")
        elif own and given and len(missing) == len(own):
            warnings.warn(
                f"{self.what}: nothing was loaded by name. The file has layers called"
                f" {listed(unused[:8])}, the model {listed(own[:8])}. Give the layers these names,"
                " or leave `by_name` out.",
                stacklevel=5,
            )

    def report(self) -> None:
        """Raise `ValueError`, or warn, if there are differences."""
        if not self.lines:
            return
        shown = "\n".join(f"  - {line}" for line in self.lines[:20])
        rest = len(self.lines) - 20
        more = f"\n  and {rest} more" if rest > 0 else ""
        if self.skip:
            loaded = ", ".join(f"'{name}'" for name in self.loaded[:20]) or "nothing"
            warnings.warn(
                f"{self.what}: skipped weights that do not fit:\n{shown}{more}\nLoaded:"
                f" {loaded}{' and more' if len(self.loaded) > 20 else ''}. The rest is unchanged.",
                stacklevel=4,
            )
            return
        raise ValueError(
            f"{self.what} does not fit the model, nothing was loaded:\n{shown}{more}\nBuild the"
            " same architecture first, or pass `skip_mismatch=True` to load only what fits."
        )


# --- the parts of a model -------------------------------------------------------------------------


def walk(part: object) -> Iterator[tuple[str, Any]]:
    """Yield path and object of `part` and of each layer and optimizer below it, each once.

    Attributes are visited in the order of their names, private ones last. A part that has two
    names gets the path of the first.

    Args:
        part: A layer, model or optimizer.

    Example:
        >>> from hornbeam.layers import Dense
        >>> [path for path, _ in walk(Dense(2))]
        ['']
    """
    yield from _walk(part, "", set())


def _walk(part: Any, path: str, visited: set[int]) -> Iterator[tuple[str, Any]]:
    if id(part) in visited:
        return
    visited.add(id(part))
    yield path, part
    for name, child in _children(part):
        below = f"{path}/{name}" if path else name
        if isinstance(child, (Layer, Optimizer)):
            yield from _walk(child, below, visited)
        else:
            yield from _walk_container(child, below, visited)


def _walk_container(container: Any, path: str, visited: set[int]) -> Iterator[tuple[str, Any]]:
    if id(container) in visited:
        return
    visited.add(id(container))
    counts: collections.Counter[str] = collections.Counter()
    items = container.values() if isinstance(container, Mapping) else container
    for item in items:
        is_part = isinstance(item, (Layer, Optimizer))
        if not is_part and not _holds_parts(item):
            continue
        name = to_snake_case(_class_name(item)) if is_part else "container"
        number = counts[name]
        counts[name] += 1
        below = f"{path}/{name}_{number}" if number else f"{path}/{name}"
        if is_part:
            yield from _walk(item, below, visited)
        else:
            yield from _walk_container(item, below, visited)


def _class_name(part: Any) -> str:
    return getattr(type(part), "_of", type(part)).__name__


def _holds_parts(x: Any, depth: int = 0) -> bool:
    if not isinstance(x, (list, tuple, set, dict)) or depth > 8:
        return False
    items = x.values() if isinstance(x, dict) else x
    return any(
        isinstance(item, (Layer, Optimizer)) or _holds_parts(item, depth + 1) for item in items
    )


def _children(part: Any) -> list[tuple[str, Any]]:
    """Return the attributes of `part` that hold parts, in Keras's order."""
    if isinstance(part, Optimizer):
        inner = getattr(part, "inner_optimizer", None)
        return [("inner_optimizer", inner)] if inner is not None else []
    hidden = type(part)._not_children - {"optimizer"}
    names = {name for name in vars(part) if name not in hidden}
    for cls in type(part).__mro__:
        if cls is Layer:
            break
        if cls.__module__.startswith(("hornbeam.models.", "hornbeam.training.")):
            continue
        names.update(n for n, value in vars(cls).items() if isinstance(value, property))
    names -= _SKIPPED | hidden
    found: dict[str, Any] = {}
    for name in names:
        try:
            value = getattr(part, name)
        except Exception:  # a property of a user's class may raise any error; it is no part then
            continue
        if isinstance(value, (Layer, Optimizer)) or _holds_parts(value):
            found[name] = value
    if hasattr(part, "_compiled"):  # a model: its layers, including the graph's inputs
        layers = part.layers
        if layers:
            found["layers"] = layers
        if part.optimizer is None:
            found.pop("optimizer", None)
    return sorted(found.items(), key=lambda item: (item[0].startswith("_"), item[0]))


# --- writing and reading --------------------------------------------------------------------------


def write_weights(
    root: h5py.Group, model: Model, include_optimizer: bool = True, skipped: Collection[int] = ()
) -> None:
    """Write the weights of `model` below `root`.

    Args:
        root: The group in the file.
        model: The model.
        include_optimizer: Whether the optimizer's state is written too.
        skipped: Ids of parts that are left out, as `parts_of` returns them.
    """
    for path, part in walk(model):
        if id(part) in skipped or (not include_optimizer and isinstance(part, Optimizer)):
            continue
        group = root.require_group(f"{path}/vars" if path else "vars")
        group.attrs["name"] = str(part.name)
        part.save_own_variables(WrittenStore(group))


def read_weights(
    root: Group,
    model: Model,
    what: str,
    skip_mismatch: bool = False,
    by_name: bool = False,
    keep_compiled: bool = False,
    skipped: Collection[int] = (),
) -> None:
    """Read the weights of `model` below `root`, in the layout of `write_weights` and Keras.

    All shapes are compared before any weight is changed.

    Args:
        root: The group in the file.
        model: A built model.
        what: Name of the file for messages.
        skip_mismatch: Whether weights that do not fit are skipped with a warning.
        by_name: Whether the model's layers are matched by name instead of position.
        keep_compiled: Whether the optimizer is the user's choice: it keeps its learning rate, and a
            state that does not fit it is named in a warning.
        skipped: Ids of parts that keep their weights, as `parts_of` returns them.

    Raises:
        ValueError: If the weights do not fit; the message lists all differences.
    """
    differences = Differences(what, skip_mismatch)
    pairs: list[tuple[Any, Any]] = [(root, model)]
    if by_name:
        named = _named_groups(root)
        pairs = [(named[layer.name], layer) for layer in model.layers if layer.name in named]
        differences.names(model, named)
    jobs: list[Callable[[], None]] = []
    unfit: list[str] = []
    known: set[str] = set()
    for start, top in pairs:
        listed = _listed(top)
        for path, part in walk(top):
            group = _vars(start, path)
            if group is None and id(part) in listed:
                group = member(start, f"{listed[id(part)]}/vars")
            if group is not None:
                known.add(group.name)
            if id(part) in skipped:
                continue
            if isinstance(part, Optimizer):
                job = _plan_optimizer(part, group, model, what, keep_compiled)
                if isinstance(job, str):
                    unfit.append(job)
                else:
                    jobs.append(job)
            elif group is None:
                if _own(part):
                    differences.add(f"{_label(part, path)}: the file has no weights for it.")
            elif _plan(part, group, path, differences):
                if _own(part):
                    differences.loaded.append(part.name)
                jobs.append(functools.partial(part.load_own_variables, ReadStore(group)))
    if not by_name:
        for place, shapes in _extra(root, model, known):
            differences.add(
                f"the file has {len(shapes)} arrays at '{place}' ({_some(shapes)}), which the model"
                " lacks."
            )
    if differences.lines and not skip_mismatch:
        differences.report()
    for job in jobs:
        job()
    if differences.lines:
        differences.lines.extend(unfit)
        differences.report()
    elif unfit:
        warnings.warn(f"{what}: the weights were loaded, but {unfit[0]}", stacklevel=5)


def parts_of(objects: Sequence[Any]) -> frozenset[int]:
    """Return the ids of some parts and of all parts below them."""
    return frozenset(id(part) for top in objects for _, part in walk(top))


def _some(shapes: list[Any]) -> str:
    return ", ".join(map(str, shapes[:4])) + (", ..." if len(shapes) > 4 else "")


def _extra(root: Any, model: Any, known: set[str]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the path and the shapes of arrays of layers that the model does not have.

    States of optimizers, metrics and seed generators in the same tree are skipped.
    """

    def visit(group: Any, path: list[str]) -> Iterator[tuple[str, list[Any]]]:
        for name in group:
            below = [*path, name]
            if name == "vars":
                if group[name].name not in known:
                    shapes = [
                        array.shape for array in group[name].values() if isinstance(array, Dataset)
                    ]
                    if shapes:
                        yield "/".join(path), shapes
            elif (
                name not in _NO_WEIGHTS
                and isinstance(group[name], Group)
                and not _is_state(model, below)
            ):
                yield from visit(group[name], below)

    yield from visit(root, [])


# Names of groups that hold states instead of weights.
_NO_WEIGHTS = frozenset(
    [
        "optimizer",
        "metrics",
        "_metrics",
        "_compile_metrics",
        "_loss_tracker",
        "seed_generator",
        "_random_generator",
    ]
)


def _is_state(model: Any, path: list[str]) -> bool:
    """Return whether a path leads to a metric or seed generator of the model."""
    found = model
    for name in path:
        found = vars(found).get(name) if hasattr(found, "__dict__") else None
    return found is not None and not isinstance(found, (Layer, list, tuple, dict, set))


def _listed(model: Any) -> dict[int, str]:
    """Return the path of each layer below `layers`.

    Keras before 3.15 wrote layers that are in lists of tuples to these paths.
    """
    counts: collections.Counter[str] = collections.Counter()
    places: dict[int, str] = {}
    for layer in getattr(model, "layers", ()):
        name = to_snake_case(_class_name(layer))
        places[id(layer)] = f"layers/{name}_{counts[name]}" if counts[name] else f"layers/{name}"
        counts[name] += 1
    return places


def _vars(start: Any, path: str) -> Any:
    """Return the group with the arrays of a part itself.

    An attribute that is public now may have been private when the file was written.
    """
    found = member(start, f"{path}/vars" if path else "vars")
    if found is None and "/" in path:
        above, _, name = path.rpartition("/")
        found = member(start, f"{above}/_{name}/vars")
    return found


def _label(part: Any, path: str) -> str:
    return f"{_class_name(part)} '{part.name}'" + (f" (at '{path}')" if path else "")


def _own(part: Any) -> list[Variable]:
    return saved_variables(part)


def _plan(part: Any, group: Any, path: str, differences: Differences) -> bool:
    """Return whether the arrays of `group` fit `part`; collect differences."""
    if type(part).load_own_variables not in (
        Layer.load_own_variables,
        Adaptable.load_own_variables,
    ):
        return True  # the class has its own format of arrays
    own = _own(part)
    if len(group) != len(own):
        hint = "" if part.built or own else " It is not built yet: call the model on data first."
        differences.add(
            f"{_label(part, path)}: the layer has {len(own)} variables, the file {len(group)} "
            f"({', '.join(str(getattr(member(group, n), 'shape', '?')) for n in list(group)[:6])})."
            f"{hint}"
        )
        return False
    fits = True
    for index, variable in enumerate(own):
        dataset = member(group, str(index))
        shape = getattr(dataset, "shape", None)
        if shape != variable.shape:
            differences.add(
                f"{_label(part, path)}: '{variable.name}' has shape {variable.shape}; in the file"
                f" it has {shape}."
            )
            fits = False
    return fits


def _plan_optimizer(
    optimizer: Any, group: Any, model: Any, what: str, keep_compiled: bool
) -> Callable[[], None] | str:
    """Return what loads the state of an optimizer, or else why it is not loaded."""
    if group is None:
        return lambda: None
    if (
        not optimizer.built
        and len(group) > len(optimizer._variables)
        and optimizer is model.optimizer
    ):
        optimizer.build(model.trainable_variables)
    arrays = []
    for index in range(len(group)):
        array = member(group, str(index))
        if isinstance(array, Dataset):
            arrays.append(Saved(str(index), array.shape, functools.partial(read_array, array)))
    pairs = older_files().match_optimizer(optimizer, arrays, by_weight=True)
    if pairs is not None:
        kept = optimizer.__dict__.get("_learning_rate") if keep_compiled else None
        return functools.partial(_assign_all, [pair for pair in pairs if pair[0] is not kept])
    if optimizer is not model.optimizer:  # the optimizer of a nested model is not used for training
        return lambda: None
    if not keep_compiled:
        raise ValueError(optimizer_mismatch(what, optimizer, len(group)))
    return (
        f"the saved state of the optimizer ({len(group)} variables) does not fit '{optimizer.name}'"
        f" ({type(optimizer).__name__}, {len(optimizer.variables)} variables) with"
        f" {len(model.trainable_variables)} weights to train; its state is as it was. To continue"
        " that training, compile with the same optimizer and the same frozen layers before"
        " `load_weights`."
    )


def _assign_all(pairs: list[tuple[Any, Saved]]) -> None:
    for variable, array in pairs:
        variable.assign(array.read(variable.stored_dtype))


def optimizer_mismatch(what: str, optimizer: Optimizer, count: int) -> str:
    """Return the message for an optimizer's state that does not fit the model's optimizer."""
    return (
        f"{what}: the saved state of the optimizer does not fit '{optimizer.name}'"
        f" ({type(optimizer).__name__}), which has {len(optimizer.variables)} variables, the file"
        f" {count}, or their shapes differ. Skip its state with"
        " `load_model(path, compile=False)`."
    )


def _named_groups(root: Group) -> dict[str, Any]:
    """Return the groups of layers in the file by the names of the layers."""
    named: dict[str, Any] = {}
    for container in ("layers", ""):
        holder = member(root, container) if container else root
        for key in holder if isinstance(holder, Group) else ():
            own = member(holder, f"{key}/vars")
            if own is not None and "name" in own.attrs:
                named.setdefault(_text(own.attrs["name"]), member(holder, key))
    return named


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def check_built(model: Model, what: str) -> None:
    """Raise `ValueError` if `model` lacks weights yet.

    A model that was never called is complete if all its layers were built one by one.
    """
    if model.built:
        return
    inner = flatten_layers(model, include_self=False)
    unbuilt = [layer.name for layer in inner if not layer.built]
    if unbuilt or not model.weights:
        these = f"its layers {listed(unbuilt[:8])} have" if unbuilt else "it has"
        raise ValueError(
            f"{what}: the model '{model.name}' is not built, so {these} no weights yet. Call the"
            " model on data or call `build(input_shape)` first."
        )


def file_label(path: FilePath) -> str:
    """Return the name of a file as messages show it."""
    return f"'{Path(path).name}'"
