"""Steps as functions of an iterator: `Model.make_train_function` and its siblings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from hornbeam.training.step import set_state, state_groups, steps_for

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["make_function"]


def make_function(model: Trainable, kind: str, force: bool = False) -> Callable[..., Any]:
    """Return the function of one step of a model, and keep it in the attribute that Keras has for
    it.

    Args:
        model: The model.
        kind: `"train"`, `"test"` or `"predict"`.
        force: Whether an existing function is replaced.
    """
    attribute = f"{kind}_function"
    known: Callable[..., Any] | None = getattr(model, attribute, None)
    if known is not None and not force:
        return known

    def function(*arguments: Any) -> Any:
        if len(arguments) not in (1, 2):
            raise TypeError(
                f"{attribute} takes an iterator, or a state and an iterator; received"
                f" {len(arguments)} arguments."
            )
        groups = []
        if len(arguments) == 2:
            groups = state_groups(model, kind)
            set_state(attribute, groups, arguments[0])
        batch = next(arguments[-1] if isinstance(arguments[-1], Iterator) else iter(arguments[-1]))
        results = steps_for(model, kind, keep_all=True, user_functions=False).once(batch)
        return (results, tuple([v.value for v in group] for group in groups)) if groups else results

    if kind != "predict":
        model.require_compiled(f"make_{attribute}")
    setattr(model, attribute, function)
    return function
