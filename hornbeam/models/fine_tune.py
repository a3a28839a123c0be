"""`Model.fine_tune`: the new head first, then the whole model with a smaller learning rate."""

from __future__ import annotations

from typing import Annotated, Any

from hornbeam import errors
from hornbeam.callbacks.history import History
from hornbeam.checked import Count, Positive, Range, check
from hornbeam.core.variable import Variable
from hornbeam.layers.layer import Layer
from hornbeam.layers.normalization import BatchNormalization
from hornbeam.layers.state import flatten_layers
from hornbeam.models.choice import Chosen, all_layers, check_model, matching, set_trainable
from hornbeam.optimizers.optax import OptaxOptimizer
from hornbeam.training.trainable import Trainable
from hornbeam.typing import Data, Structure

__all__ = ["FineTuning"]


class FineTuning:
    """The method of `Model` that trains a network with pretrained weights for another task."""

    def fine_tune(
        self,
        x: Data = None,
        y: Structure = None,
        *,
        epochs: int = 1,
        freeze_epochs: int = 1,
        head: Chosen = None,
        rate_factor: float = 0.1,
        train_normalization: bool = False,
        **kwargs: Any,
    ) -> History:
        """Train a new head on frozen layers, then all layers with a smaller learning rate.

        The model must be compiled. Each phase begins with a new optimizer of the same settings.
        Layers that are frozen before remain frozen. Afterwards the model is compiled as in the
        second phase, so `fit` continues it.

        Args:
            x, y: Data, as for `fit`.
            epochs: Epochs in which all layers are trained.
            freeze_epochs: Epochs before them, in which only the head is trained.
            head: The head: layers, or patterns that are found in their names, as for
                `models.freeze`. Default: the layers after the last nested model; without nested
                models, the last layer with weights.
            rate_factor: Learning rate of the second phase over that of the first.
            train_normalization: Whether `BatchNormalization` outside of the head is trained in the
                second phase. By default it keeps its statistics, which the new data would change.
            **kwargs: Other arguments of `fit`. The callbacks see two trainings.

        Returns:
            A `History` of both phases, whose epochs are numbered on.

        Raises:
            ValueError: If the model is not compiled or built, or an argument is wrong.

        Example:
            >>> import hornbeam as hb, numpy as np
            >>> body = [hb.layers.Dense(4, activation="relu"), hb.layers.Dense(9)]
            >>> model = hb.models.with_head(hb.Sequential([hb.Input((3,)), *body]), 2)
            >>> model.compile("adam", "sparse_categorical_crossentropy")
            >>> history = model.fine_tune(np.ones((8, 3)), np.zeros(8), epochs=2, verbose=0)
            >>> history.epoch
            [0, 1, 2]
        """
        model: Any = self
        _check_arguments(model, epochs, freeze_epochs, rate_factor, kwargs)
        inside = {id(x) for layer in _head(model, head) for x in flatten_layers(layer)}
        flags = [(layer, layer.trainable) for layer in flatten_layers(model)]
        compiled = model.require_compiled("fine_tune")
        past: tuple[list[int], dict[str, list[Any]]] = ([], {})
        try:
            if freeze_epochs:
                set_trainable(flags)
                _freeze_body(model, inside)
                _compile(model, compiled.arguments, 1.0)
                history = model.fit(x, y, epochs=freeze_epochs, **kwargs)
                past = (history.epoch, dict(history.history))
            set_trainable(flags)
            _freeze_the_rest(model, inside, train_normalization)
            _compile(model, compiled.arguments, rate_factor)
            first = len(past[0])
            history = model.fit(x, y, epochs=first + epochs, initial_epoch=first, **kwargs)
        except BaseException:
            set_trainable(flags)
            raise
        history.epoch = [*past[0], *history.epoch]
        for name, values in past[1].items():
            history.history[name] = [*values, *history.history.get(name, [])]
        return history


def _check_arguments(
    model: Any, epochs: Any, freeze_epochs: Any, rate_factor: Any, kwargs: dict[str, Any]
) -> None:
    check_model("fine_tune", model)
    check("fine_tune", "epochs", epochs, Count)
    check("fine_tune", "freeze_epochs", freeze_epochs, Annotated[int, Range(at_least=0)])
    check("fine_tune", "rate_factor", rate_factor, Positive)
    for name in ("initial_epoch", "resume"):
        if kwargs.get(name):
            raise ValueError(
                f"fine_tune: `{name}` is not supported, because there are two trainings. Call"
                " `models.freeze` and `fit` for each of them."
            )


def _head(model: Any, head: Chosen) -> list[Layer]:
    """Return the layers of the head."""
    if head is not None:
        return matching("fine_tune", model, all_layers(model), head)
    weighted = [layer for layer in model.layers if layer.weights]
    if not weighted:
        raise ValueError(f"fine_tune: model '{model.name}' has no weights.")
    nested = [n for n, layer in enumerate(weighted[:-1]) if isinstance(layer, Trainable)]
    return weighted[nested[-1] + 1 :] if nested else weighted[-1:]


def _freeze_body(model: Any, head: set[int]) -> None:
    """Freeze all layers but the head, whose layers are given by `id`."""
    for layer in all_layers(model):
        if id(layer) not in head:
            layer.trainable = False
    if not model.trainable_variables:
        raise ValueError(
            f"fine_tune: the head of model '{model.name}' has no trainable weights. Call"
            " `models.unfreeze(model)` first, or name other layers in `head`."
        )


def _freeze_the_rest(model: Any, head: set[int], train_normalization: bool) -> None:
    """Freeze the normalization outside of the head, unless it is trained too."""
    outside = [layer for layer in flatten_layers(model) if id(layer) not in head]
    if not any(x.trainable_variables for x in all_layers(model) if id(x) not in head):
        errors.warn(
            f"fine_tune: all layers of model '{model.name}' but the head are frozen, so the second"
            " phase trains the head only. Call `models.unfreeze(model)` first."
        )
    for layer in outside:
        if isinstance(layer, BatchNormalization) and not train_normalization:
            layer.trainable = False


def _compile(model: Any, arguments: dict[str, Any], factor: float) -> None:
    """Compile the model anew, with a new optimizer whose learning rate is multiplied."""
    optimizer = _new(model.optimizer)
    rate = getattr(optimizer, "learning_rate", None)
    if factor != 1.0 and isinstance(rate, Variable):
        rate.assign(rate.value * factor)
    elif factor != 1.0 and optimizer is not None:  # a schedule, or several optimizers
        rates = {pattern: own * factor for pattern, own in optimizer.learning_rates.items()}
        optimizer.learning_rates = {**rates, "": rates.get("", factor)}
    given = {**arguments, "optimizer": optimizer, "distribution": model.distribution}
    model.compile(**given)


def _new(optimizer: Any) -> Any:
    """Return an optimizer of the same settings, without state."""
    if isinstance(optimizer, OptaxOptimizer):
        options = {name: getattr(optimizer, name) for name in _OPTIONS}
        return OptaxOptimizer(optimizer.transformation, **options)
    return optimizer and type(optimizer).from_config(optimizer.get_config())


_OPTIONS = (
    "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum",
    "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps",
    "learning_rates",
)  # fmt: skip
