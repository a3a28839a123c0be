"""Warnings about likely mistakes, issued once per compiled model, at its first step."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from hornbeam import activations, errors, tree
from hornbeam.core.graph import nodes_of
from hornbeam.core.makers import maker_of
from hornbeam.data.sources import unpack
from hornbeam.layers.activation import Softmax
from hornbeam.layers.core import Activation
from hornbeam.layers.state import flatten_layers, label_of
from hornbeam.losses import Loss
from hornbeam.losses.targets import match_ranks
from hornbeam.ops.rows import RowSum
from hornbeam.typing import Structure

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = [
    "about_classes",
    "about_no_loss",
    "about_numbers",
    "about_output",
    "at_first_step",
    "label_gradients",
]

# Only this many bytes of an input are searched for NaN, which takes a few hundredths of a second.
_MOST_BYTES = 2**28

_GRADIENT = "gradient of weight "


def _say(model: Any, what: str, text: str) -> None:
    """Warn, unless the same warning was issued since the model was compiled."""
    compiled = model._compiled
    if compiled is None or what in compiled.said:
        return
    compiled.said.add(what)
    errors.warn(text)


def about_numbers(model: Trainable, x: Structure) -> None:
    """Warn about NaN and infinite numbers in inputs. Only NumPy arrays are searched."""
    for path, a in tree.flatten_with_path(x):
        if not isinstance(a, np.ndarray) or a.dtype.kind != "f" or not a.size:
            continue
        rows = a[: max(1, _MOST_BYTES // max(a[:1].nbytes, 1))]
        with np.errstate(all="ignore"):
            if np.isfinite(np.sum(rows)):
                continue
        bad = ~np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
        if bad.any():
            name = "`x`" + "".join(f"[{key!r}]" for key in path)
            first = int(bad.argmax())
            kind = "NaN" if np.isnan(rows[first]).any() else "infinite numbers"
            if kind == "NaN" and _replaces_nan(model):
                continue
            _say(
                model,
                f"numbers {name}",
                f"{name} holds {kind} in {int(bad.sum())} of {len(rows)} rows (first: row {first}),"
                " so the loss and all weights can become NaN. Drop or fill those rows.",
            )


def _replaces_nan(model: Any) -> bool:
    """Return whether a model's graph has an op that handles NaN, as in a `FeatureSpace`."""
    ops = (getattr(operation, "info", None) for operation in getattr(model, "operations", ()))
    return any(op is not None and op.class_name in ("NanToNum", "Isnan") for op in ops)


def about_classes(model: Trainable, classes: list[int]) -> None:
    """Warn about classes in the targets that are not in `class_weight`."""
    if classes:
        shown = ", ".join(map(str, classes[:6])) + (", ..." if len(classes) > 6 else "")
        few = len(classes) == 1
        _say(
            model,
            "class_weight",
            f"fit: `class_weight` does not list the class{'' if few else 'es'} {shown} of the"
            f" targets, so {'its' if few else 'their'} weight is 1. List every class.",
        )


def about_no_loss(model: Trainable) -> None:
    """Warn that a model has nothing to minimize."""
    _say(
        model,
        "gradients",
        f"Model '{model.name}' has nothing to minimize, because its loss is always 0. Pass `loss=`"
        " to `compile`, or call `add_loss` in a layer.",
    )


def about_output(model: Trainable, name: str, loss: Loss, target: Any, output: Any) -> None:
    """Warn about a loss that does not match its output, while the step is traced."""
    maker = maker_of(output)
    if maker and getattr(loss, "from_logits", False):
        _say(
            model,
            f"logits {name}",
            f"Model '{model.name}': output '{name}' is the result of {maker}, but its loss"
            f" '{loss.name}' has `from_logits=True`, which expects logits, without {maker}. Remove"
            " the activation, or pass `from_logits=False`.",
        )
    if not loss._averages_numbers() or jnp.ndim(target) == 0:
        return
    t, o = (tuple(a.shape) for a in match_ranks(jnp.asarray(target), jnp.asarray(output)))
    if t != o and len(t) <= len(o) and _broadcast(t, o):
        _say(
            model,
            f"shapes {name}",
            f"Model '{model.name}': output '{name}' has shape {tuple(jnp.shape(output))}, and its"
            f" targets have shape {tuple(jnp.shape(target))}. '{loss.name}' broadcasts them, so it"
            f" compares one number with several. {_remedy(loss, t, o)}",
        )


def _remedy(loss: Loss, target: tuple[int, ...], output: tuple[int, ...]) -> str:
    if str(loss.name).startswith("binary") and target[-1:] == (1,):
        return (
            f"For {output[-1]} classes, use 'sparse_categorical_crossentropy' with softmax. For"
            " binary classification, use `Dense(1, activation='sigmoid')`."
        )
    return "Make the number of units of the last layer match the targets, or reshape the targets."


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(a, b) is not None
    except ValueError:  # the loss itself will raise this error
        return False


def at_first_step(model: Trainable, batch: Structure, jaxpr: Any) -> None:
    """Issue the warnings that need the first training step.

    Args:
        model: The model.
        batch: The batch, or a batch of the same structure.
        jaxpr: The traced step, or `None` if it is not compiled.
    """
    about_numbers(model, unpack(batch)[0])
    for layer in flatten_layers(model):
        if _is_softmax_of_one(layer):
            _say(
                model,
                f"softmax {layer.path}",
                f"{label_of(layer)} applies softmax to one number, which always returns 1. Use"
                " `activation='sigmoid'` for one unit, or use one unit per class.",
            )
    if jaxpr is not None:
        _about_gradients(model, _constant_gradients(jaxpr))


def _is_softmax_of_one(layer: Any) -> bool:
    softmax = getattr(layer, "activation", None) is activations.softmax
    if isinstance(layer, Softmax) or (softmax and isinstance(layer, Activation)):
        axis = getattr(layer, "axis", -1)
        shapes = [node.inputs[0].shape for node in nodes_of(layer) if node.inputs]
        return isinstance(axis, int) and any(shape and shape[axis] == 1 for shape in shapes)
    if getattr(layer, "data_format", None) == "channels_first":
        return False
    return softmax and getattr(layer, "units", getattr(layer, "filters", None)) == 1


# --- gradients that are zero for all data ---------------------------------------------------------


def label_gradients(gradients: list[Any]) -> list[Any]:
    """Label gradients with their numbers, to find them in a traced step."""

    def label(number: int, gradient: Any) -> Any:
        if isinstance(gradient, RowSum):
            return dataclasses.replace(gradient, rows=label(number, gradient.rows))
        return checkpoint_name(gradient, f"{_GRADIENT}{number}")

    return [label(number, gradient) for number, gradient in enumerate(gradients)]


def _constant_gradients(jaxpr: Any) -> list[int]:
    """Return the numbers of the labeled gradients that do not depend on the step's inputs."""
    changing = set(jaxpr.invars)
    constant = []
    for equation in jaxpr.eqns:
        changes = any(
            not isinstance(v, jax.extend.core.Literal) and v in changing for v in equation.invars
        )
        label = str(equation.params.get("name", "")) if equation.primitive.name == "name" else ""
        if changes or not equation.invars and equation.effects:
            changing.update(equation.outvars)
        elif label.startswith(_GRADIENT):
            constant.append(int(label.removeprefix(_GRADIENT)))
    return constant


def _about_gradients(model: Any, numbers: list[int]) -> None:
    if not numbers or not model._compiled.every_output_has_loss:  # some need no gradient
        return
    weights = model.trainable_variables
    paths = errors.listed(weights[number].path for number in numbers[:6])
    more = ", ..." if len(numbers) > 6 else ""
    _say(
        model,
        "gradients",
        f"Model '{model.name}': no gradient reaches {len(numbers)} of {len(weights)} trainable"
        f" weights ({paths}{more}), so training does not change them. Either the loss does not"
        " depend on them, or it depends on them through a function without a derivative, for"
        " example argmax, round or a comparison. Use softmax or sigmoid instead of that function.",
    )
