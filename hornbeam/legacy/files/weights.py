"""Weights and optimizers' states of `.h5` files, in the order and the shapes of today's variables.

Kernels with Theano's order of axes, the separate gates of Keras 1's recurrent layers and cuDNN's
packed gates are converted. Arrays of nested models are matched by name, and by order where the
names do not decide.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hornbeam.core.variable import Variable
from hornbeam.layers.activation import _Activation
from hornbeam.layers.state import flatten_layers, own_variables, sublayers
from hornbeam.saving.eras import Era, Pairs, Saved

if TYPE_CHECKING:
    from hornbeam.layers.layer import Layer
    from hornbeam.optimizers.optimizer import Optimizer

__all__ = ["arrange", "backend_by_names", "looks_first", "match_optimizer", "state_by_weights"]


# Names of weights in Keras 1, after the layer's name: `dense_1_W`, `lstm_1_U_i`.
_FIRST = re.compile(
    r"^(?P<scope>.+)_(?P<name>[WUb](_[a-z]|_carry)?|gamma|beta|running_mean|running_std|alphas?|betas|[at]_(left|right)|param_\d+)(_\d+)?$"
)
_CELL = re.compile(r"^(lstm|gru|simple_rnn|rnn|stacked_rnn)_cells?(_\d+)?$")


def looks_first(names: Sequence[str]) -> bool:
    """Return whether Keras 1 gave weights these names.

    Args:
        names: Names of all weights of a file.

    Example:
        >>> looks_first(["dense_1_W:0", "dense_1_b:0"]), looks_first(["dense_1/kernel:0"])
        (True, False)
    """
    plain = [name.removesuffix(":0") for name in names]
    return bool(plain) and all("/" not in name and _FIRST.match(name) for name in plain)


def backend_by_names(names: Sequence[str]) -> str:
    """Return the backend that wrote a file of Keras 1, which does not state it.

    Names of TensorFlow's variables end in `:0`.

    Args:
        names: Names of all weights of the file.

    Example:
        >>> backend_by_names(["dense_1_W:0"]), backend_by_names(["dense_1_W"])
        ('tensorflow', 'theano')
    """
    return "tensorflow" if any(re.search(r":\d+$", name) for name in names) else "theano"


def _parse(name: str) -> tuple[str, str]:
    """Split a weight's name into the layer's part, with underscores for slashes, and the rest."""
    path = re.sub(r":\d+$", "", name)
    scope, _, last = path.rpartition("/")
    match = _FIRST.match(last)
    if match and (not scope or scope == match["scope"]):
        return match["scope"], match["name"]
    steps = scope.split("/")
    if len(steps) > 1 and _CELL.match(steps[-1]):
        steps = steps[:-1]
    return "_".join(steps), last


def arrange(layer: Layer, arrays: list[Saved], era: Era) -> Pairs | None:
    """Pair the variables of a layer, or of a nested model, with the arrays that a file has for it.

    Args:
        layer: The layer, built.
        arrays: Its arrays in the file's order.
        era: Who wrote the file.

    Returns:
        The pairs, whose shapes may differ, or `None` if the numbers of variables and arrays differ.
    """
    leaves = [part for part in flatten_layers(layer) if own_variables(part)]
    if len(leaves) == 1:
        # In files of Keras 3 a frozen weight of an adapted layer comes after the others.
        orders = [
            _fit(leaves[0], layer, order, era)
            for order in (arrays, _trainable_first(leaves[0], arrays))
        ]
    else:
        named = _by_names(layer, leaves, arrays, era)
        if named is not None:
            return named
        orders = _by_order(layer, leaves, arrays, era)
    candidates = [pairs for pairs in orders if pairs is not None]
    fitting = [pairs for pairs in candidates if all(v.shape == a.shape for v, a in pairs)]
    if not fitting:
        return candidates[0] if candidates else None
    return max(fitting, key=lambda pairs: sum(_parse(a.name)[1] == v.name for v, a in pairs))


def _trainable_first(leaf: Any, arrays: list[Saved]) -> list[Saved]:
    """Return arrays in the order in which a layer created its weights.

    In `arrays`, the trainable weights come first.
    """
    order = [*leaf.trainable_weights, *leaf.non_trainable_weights]
    own = own_variables(leaf)
    if len(order) != len(arrays) or set(order) != set(own):
        return arrays
    given = dict(zip(order, arrays, strict=True))
    return [given[v] for v in own]


def _by_names(layer: Any, leaves: list[Any], arrays: list[Saved], era: Era) -> Pairs | None:
    """Return the pairs found by layer names, or `None` unless all arrays belong and fit."""
    owners = {id(leaf): owner for leaf, owner in _owners(layer)}
    shares: dict[int, list[Saved]] = {id(leaf): [] for leaf in leaves}
    for array in arrays:
        scope = _parse(array.name)[0]
        found = [
            leaf
            for leaf in leaves
            if scope == owners[id(leaf)].name or scope.endswith(f"_{owners[id(leaf)].name}")
        ]
        longest = max((len(owners[id(leaf)].name) for leaf in found), default=0)
        found = [leaf for leaf in found if len(owners[id(leaf)].name) == longest]
        if len(found) != 1:
            return None
        shares[id(found[0])].append(array)
    pairs: Pairs = []
    for leaf in leaves:
        own = _fit(leaf, owners[id(leaf)], shares[id(leaf)], era)
        if own is None or any(v.shape != a.shape for v, a in own):
            return None
        pairs.extend(own)
    return pairs


def _owners(layer: Any, owner: Any = None) -> list[tuple[Any, Any]]:
    """Return each part below `layer` with the layer whose name it has in files.

    A cell has the name of its layer.
    """
    found: dict[int, tuple[Any, Any]] = {}

    def visit(part: Any, owner: Any) -> None:
        if id(part) in found:
            return
        found[id(part)] = (part, owner)
        for child in sublayers(part):
            cell = type(child).__name__.endswith(("Cell", "Cells"))
            visit(child, owner if cell else child)

    visit(layer, layer)
    return list(found.values())


def _by_order(layer: Any, leaves: list[Any], arrays: list[Saved], era: Era) -> list[Pairs | None]:
    """Return the pairs for each order in which Keras versions wrote a nested model's weights."""
    owners = {id(leaf): owner for leaf, owner in _owners(layer)}
    trainable_first = [*layer.trainable_weights, *layer.non_trainable_weights]
    created = [v for v in layer.weights if v.created_trainable] + [
        v for v in layer.weights if not v.created_trainable
    ]
    orders: list[Pairs | None] = []
    if len(trainable_first) == len(arrays):
        by_variable = {id(v): leaf for leaf in leaves for v in own_variables(leaf)}
        for order in (trainable_first, created):
            given = {id(v): array for v, array in zip(order, arrays, strict=True)}
            pairs: Pairs = []
            for leaf in leaves:
                own = [
                    given[id(v)]
                    for v in own_variables(leaf)
                    if id(v) in given and by_variable[id(v)] is leaf
                ]
                pairs.extend(_fit(leaf, owners[id(leaf)], own, era) or [])
            orders.append(pairs)
    counts = [_first_count(leaf) if era.first else len(own_variables(leaf)) for leaf in leaves]
    if sum(counts) == len(arrays):  # one layer after the other
        rest, pairs = list(arrays), []
        for leaf, count in zip(leaves, counts, strict=True):
            pairs.extend(_fit(leaf, owners[id(leaf)], rest[:count], era) or [])
            rest = rest[count:]
        orders.append(pairs)
    return orders


def _first_count(leaf: Any) -> int:
    """Return the number of arrays that Keras 1 wrote for a layer."""
    return {"LSTMCell": 12, "GRUCell": 9}.get(type(leaf).__name__, len(own_variables(leaf)))


def _fit(leaf: Any, owner: Any, arrays: list[Saved], era: Era) -> Pairs | None:
    """Pair the variables of one part with its arrays, converted to their shapes where possible."""
    variables = own_variables(leaf)
    kind = type(leaf).__name__
    gates = _GATES.get(kind)
    if gates is not None and len(arrays) == 3 * len(gates[0]):
        arrays = _join_gates(arrays, gates[0])
    if len(arrays) != len(variables):
        return None
    if gates is not None:
        arrays = _from_cudnn(leaf, arrays, len(gates[0]))
    elif any(word in kind for word in ("Conv1D", "Conv2D", "Conv3D", "ConvLSTM")):
        arrays = [_kernel(v, a, leaf, owner, era) for v, a in zip(variables, arrays, strict=True)]
    elif era.first:
        if kind == "Highway":  # before Keras 1.2 each bias came after its kernel
            arrays = sorted(arrays, key=lambda array: -len(array.shape))
        arrays = [_as_today(v, a, leaf) for v, a in zip(variables, arrays, strict=True)]
    return list(zip(variables, arrays, strict=True))


def _as_today(variable: Variable, array: Saved, leaf: Any) -> Saved:
    """Return an array of Keras 1 in the shape of today's variable, if it holds the same."""
    shape, given = variable.shape, array.shape
    if type(leaf).__name__ == "LocallyConnected2D" and given != shape:
        return (
            array.changed(shape, lambda value: value.reshape(shape))
            if math.prod(given) == math.prod(shape)
            else array
        )
    shared = len(given) == len(shape) and all(
        a in (1, b) for a, b in zip(given, shape, strict=True)
    )
    # The file does not say along which axes it is shared.
    if isinstance(leaf, _Activation) and shared:
        return array.changed(shape, lambda value: np.broadcast_to(value, shape))
    return array


# --- recurrent layers -----------------------------------------------------------------------------

# Gates of cells in the order within today's arrays, and in Keras 1's order of arrays: W, U and b of
# one gate each.
_GATES: dict[str, tuple[str, str]] = {"LSTMCell": ("ifco", "icfo"), "GRUCell": ("zrh", "zrh")}


def _join_gates(arrays: list[Saved], gates: str) -> list[Saved]:
    """Return kernel, recurrent kernel and bias, joined from the arrays of each gate."""
    stored = next(order for today, order in _GATES.values() if today == gates)
    by_name = {_parse(array.name)[1]: array for array in arrays}
    names = [f"{word}_{gate}" for gate in stored for word in "WUb"]
    if set(names) != set(by_name):  # the names say nothing: the order in the file counts
        by_name = dict(zip(names, arrays, strict=True))
    joined = []
    for word in "WUb":
        parts = [by_name[f"{word}_{gate}"] for gate in gates]
        shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
        joined.append(Saved(parts[0].name, shape, functools.partial(_concatenated, parts)))
    return joined


def _concatenated(parts: list[Saved], dtype: str | None) -> np.ndarray:
    return np.concatenate([part.read(dtype) for part in parts], -1)


def _from_cudnn(leaf: Any, arrays: list[Saved], gates: int) -> list[Saved]:
    """Convert arrays from cuDNN's layout, with two biases and transposed kernels of the gates."""
    if len(arrays) != 3 or arrays[2].shape != (2 * gates * leaf.units,):
        return arrays
    kernel, recurrent, bias = arrays
    plain_bias = (gates * leaf.units,)
    target = own_variables(leaf)[2].shape

    def inputs(value: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [
                part.reshape(part.shape[::-1]).T
                for part in map(np.ascontiguousarray, np.split(value, gates, 1))
            ],
            1,
        )

    def states(value: np.ndarray) -> np.ndarray:
        return np.concatenate([part.T for part in np.split(value, gates, 1)], 1)

    if target == plain_bias:
        new_bias = bias.changed(plain_bias, lambda value: value.reshape(2, -1).sum(0))
    else:
        new_bias = bias.changed((2, *plain_bias), lambda value: value.reshape(2, -1))
    return [
        kernel.changed(kernel.shape, inputs),
        recurrent.changed(recurrent.shape, states),
        new_bias,
    ]


# --- convolutions ---------------------------------------------------------------------------------


def _kernel(variable: Variable, array: Saved, leaf: Any, owner: Any, era: Era) -> Saved:
    """Return a kernel with the axes (*space, in, out), for correlation.

    Other weights are returned unchanged.
    """
    if "kernel" not in variable.name or variable.name == "bias":
        return array
    target, rank = variable.shape, len(variable.shape)
    if era.first:
        array = _from_first(array, target, leaf)
    if (
        era.backend == "theano"
        and "Separable" not in type(leaf).__name__
        and "Depthwise" not in type(leaf).__name__
    ):
        # Theano convolves, the other backends correlate.
        flip = tuple(
            slice(None, None, -1) if axis < rank - 2 else slice(None) for axis in range(rank)
        )
        array = array.changed(array.shape, lambda value: value[flip])
    return array


def _from_first(array: Saved, target: tuple[int, ...], leaf: Any) -> Saved:
    """Return a kernel of Keras 1 with today's order of axes."""
    shape, channels_first = array.shape, getattr(leaf, "data_format", None) == "channels_first"
    if len(target) == 3 and len(shape) == 4:  # Keras 1 computed Conv1D as Conv2D
        if shape[1] != 1 or shape[0] != target[0]:
            array = _permuted(array, (2, 3, 1, 0))
        return array.changed((array.shape[0], *array.shape[2:]), lambda value: value[:, 0])
    if len(shape) != len(target) or len(shape) not in (4, 5):
        return array
    space = tuple(range(2, len(shape)))
    if "Transpose" in type(leaf).__name__:
        axes = (
            (*space, 0, 1)
            if channels_first
            else (*range(len(space)), len(shape) - 1, len(shape) - 2)
        )
    else:
        axes = (*space, 1, 0) if channels_first or shape != target else tuple(range(len(shape)))
    return _permuted(array, axes)


def _permuted(array: Saved, axes: tuple[int, ...]) -> Saved:
    return array.changed(
        [array.shape[axis] for axis in axes], lambda value: np.transpose(value, axes)
    )


# --- the optimizer's state ------------------------------------------------------------------------


def match_optimizer(
    optimizer: Optimizer, arrays: list[Saved], by_weight: bool = False
) -> Pairs | None:
    """Pair the variables of an optimizer with its saved state.

    Keras 3 writes weight after weight, each with all its slots. Keras 1 and 2 write slot after
    slot, each for all weights, without the learning rate and in some versions without the count of
    steps.

    Args:
        optimizer: The optimizer. Only an optimizer that is built takes states of older versions.
        arrays: The arrays in the file's order.
        by_weight: Whether the file is known to go weight by weight.

    Returns:
        The pairs, or `None` if the state does not fit.
    """
    variables = optimizer.variables
    if [a.shape for a in arrays] == [v.shape for v in variables]:
        return list(zip(variables, arrays, strict=True))
    if not optimizer.built:
        return None
    inner = getattr(optimizer, "inner_optimizer", None)
    # Tf.keras 2 wrote the inner optimizer's state without the scale of the loss.
    if inner is not None:
        return match_optimizer(inner, arrays, by_weight)
    # Saved before its first step.
    if len(arrays) <= 2 and all(array.shape == () for array in arrays):
        return list(zip(variables[:2], arrays, strict=False))
    return _older_state(optimizer, arrays, by_weight)


def _older_state(optimizer: Any, arrays: list[Saved], together: bool) -> Pairs | None:
    """Pair an optimizer's variables with a state of Keras 1 or 2 that has today's shapes.

    Args:
        optimizer: The optimizer, built.
        arrays: The state in the file.
        together: Whether it goes weight by weight.
    """
    steps_done = optimizer.variables[0]
    slots = [
        v for v in optimizer.variables if v is not steps_done and v is not optimizer._learning_rate
    ]
    weights = optimizer._trainable
    groups = [[group[w] for w in weights if w in group] for group in optimizer._slot.values()]
    scalars = [array for array in arrays if array.shape == () and _last(array) in _COUNTS]
    rest = [
        array
        for array in arrays
        if array.shape != () or _last(array) not in _COUNTS | {"learning_rate"}
    ]
    if rest and not scalars and rest[0].shape == () and len(rest) % max(len(weights), 1) == 1:
        scalars, rest = rest[:1], rest[1:]
    surplus = rest[len(slots) :]
    if len(surplus) == len(weights) and all(array.shape == (1,) for array in surplus):
        rest = rest[
            : len(slots)
        ]  # without `amsgrad`, Keras 2's Adam kept a third slot of one number per weight
    if not slots and len(rest) == len(weights):
        rest = []  # the moments of SGD without momentum, which are zero
    steps = [(optimizer.variables[0], array) for array in scalars[:1]]
    by_slot = [slot for group in groups for slot in group]
    by_weight = [group[i] for i in range(len(weights)) for group in groups if i < len(group)]
    interleaved = any(
        array.name.startswith("iteration") or "/iteration" in array.name for array in arrays
    )
    interleaved = interleaved and not any("iterations" in array.name for array in arrays)
    orders = (by_weight, by_slot) if interleaved or together else (by_slot, by_weight)
    for order in orders:
        if len(order) == len(slots) and [a.shape for a in rest] == [v.shape for v in order]:
            return [*steps, *zip(order, rest, strict=True)]
    return None


def state_by_weights(
    optimizer: Optimizer, arrays: list[Saved], layers: list[tuple[Any, list[Saved]]], era: Era
) -> Pairs | None:
    """Pair an optimizer's variables with a state in the order and shapes of the file's weights.

    Each slot is converted as the weights are: gates are joined, kernels transposed.

    Args:
        optimizer: The optimizer, built.
        arrays: Its state in the file: slot after slot, each for all weights.
        layers: Each layer with its arrays in the file.
        era: Who wrote the file.

    Returns:
        The pairs, or `None` if the state does not fit.
    """
    steps = [(optimizer.variables[0], array) for array in arrays[:1] if array.shape == ()]
    rest = arrays[len(steps) :]
    trained = [
        array
        for layer, own in layers
        for array in own
        if layer.trainable and not _FIXED.search(array.name)
    ]
    if era.sorted:
        trained.sort(key=lambda array: array.name)
    groups = [group for group in optimizer._slot.values() if group]
    surplus = rest[len(trained) * len(groups) :]
    if len(surplus) not in (0, len(trained)) or (surplus and groups and surplus[0].shape != (1,)):
        return None
    pairs = list(steps)
    for number, group in enumerate(groups):
        slot = rest[number * len(trained) : (number + 1) * len(trained)]
        if [array.shape for array in slot] != [array.shape for array in trained]:
            return None
        given = {id(a): Saved(a.name, s.shape, s.read) for a, s in zip(trained, slot, strict=True)}
        for layer, own in layers:
            matched = arrange(layer, [given.get(id(array), array) for array in own], era) or []
            pairs.extend(
                (group[variable], array) for variable, array in matched if variable in group
            )
    filled = {id(slot) for slot, _ in pairs}
    whole = all(id(slot) in filled for group in groups for slot in group.values())
    return pairs if whole and all(v.shape == a.shape for v, a in pairs) else None


# Weights that optimizers do not change.
_FIXED = re.compile(r"(running_mean|running_std|moving_mean|moving_variance)(_\d+)?(:\d+)?$")
_COUNTS = {"iteration", "iterations", "iter"}


def _last(array: Saved) -> str:
    return array.name.split("/")[-1].removesuffix(":0")
