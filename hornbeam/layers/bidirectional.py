"""Wrappers around a layer: both directions of time, every time step, and their base."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import errors, tree
from hornbeam.core.effects import Effects
from hornbeam.core.provenance import refuse_real_keras
from hornbeam.core.registry import custom_object_scope
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.tracing import shape_with_unknowns
from hornbeam.layers.input_spec import InputSpec, check_input_spec
from hornbeam.layers.layer import Layer
from hornbeam.layers.mask_passing import step_mask
from hornbeam.layers.recurrent import sequence_shape_only, split_states
from hornbeam.layers.state import parameters_of_call
from hornbeam.objects.configuration import serialize
from hornbeam.typing import ArrayLike, Shape, Shapes, Structure, Tensor

__all__ = ["Bidirectional", "TimeDistributed", "Wrapper"]

_MERGES = {
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "ave": lambda a, b: (a + b) / 2,
    "concat": lambda a, b: jnp.concatenate([a, b], axis=-1),
}


def _check_layer(owner: str, layer: Any) -> None:
    """Raise `ValueError` unless `layer` is a layer."""
    if not isinstance(layer, Layer):
        hint = (
            f" Write `{layer.__name__}(...)`."
            if isinstance(layer, type) and issubclass(layer, Layer)
            else ""
        )
        refuse_real_keras(f"{owner}: `layer`", layer)
        raise ValueError(
            f"{owner}: `layer` must be a layer, received {errors.describe(layer)}.{hint}"
        )


class Wrapper(Layer):
    """Base of layers that wrap another layer and change its behavior.

    Args:
        layer: The wrapped layer. `build` builds it, and the wrapper has its weights.
        **kwargs: Arguments of `Layer`.

    Input and output: a subclass's `call` decides. As in Keras.

    Raises:
        ValueError: If `layer` is not a layer.

    Example:
        >>> import hornbeam as hb
        >>> class Residual(hb.layers.Wrapper):
        ...     def call(self, inputs):
        ...         return inputs + self.layer(inputs)
        >>> model = hb.Sequential([hb.Input((32,)), Residual(hb.layers.Dense(32, "relu"))])
        >>> model.output_shape, model.count_params()
        ((None, 32), 1056)
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        _check_layer(type(self).__name__, layer)
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Shapes = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)


class TimeDistributed(Wrapper):
    """Applies a layer to every step of a sequence, with the same weights.

    The layer gets all steps as one batch of B * T samples. If it draws random numbers, changes
    variables or adds losses, it gets the steps one after the other, as batches of B samples.

    Args:
        layer: The layer. If its `call` takes a mask, it gets the mask (B, T, ...) step by step.

    Input: (B, T, ...). Output: (B, T, *the layer's output shape without the batch axis).
    As in Keras.

    Raises:
        ValueError: If `layer` is not a layer, or the input has fewer than 3 axes.

    Example:
        >>> import hornbeam as hb
        >>> frames = hb.Input((10, 28, 28, 3))
        >>> x = hb.layers.TimeDistributed(hb.layers.Conv2D(8, 3))(frames)
        >>> hb.Model(frames, x).output_shape
        (None, 10, 26, 26, 8)
    """

    _takes_sequences = True

    def __init__(self, layer: Layer, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.supports_masking = True
        self.input_spec = InputSpec(min_ndim=3)

    def build(self, input_shape: Shape) -> None:
        step = (input_shape[0], *input_shape[2:])
        if self.layer.input_spec is not None:
            check_input_spec(
                self.layer.input_spec, KerasTensor(step),
                f"{self._label()} calls '{self.layer.name}' at each step",
            )  # fmt: skip
        super().build(step)

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        B, T = inputs.shape[:2]
        masks = None
        if mask is not None and jnp.shape(mask)[:2] != (B, T):
            raise ValueError(
                f"{self._label()}: `mask` must start with the batch and the steps of the input,"
                f" {shape_with_unknowns((B, T))}, received shape"
                f" {shape_with_unknowns(jnp.shape(mask))}. Pass one boolean per step."
            )
        if mask is not None and "mask" in parameters_of_call(self.layer):
            masks = mask
        steps = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), (inputs, masks))
        effects = Effects()
        tracked = effects.track(
            self._step, *jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), steps)
        )
        if effects.is_pure or T == 0:
            outputs = self._step(*jax.tree.map(_join, (inputs, masks)))
            return self._in_compute_dtype(
                tree.map_structure(lambda x: x.reshape(B, T, *x.shape[1:]), outputs)
            )

        def body(state: Any, now: Any) -> Any:
            outputs, state = tracked(state, *now)
            return state, outputs

        state, outputs = jax.lax.scan(body, effects.start(), steps)
        effects.finish(state)
        return self._in_compute_dtype(tree.map_structure(lambda x: jnp.moveaxis(x, 0, 1), outputs))

    def _step(self, x: Tensor, mask: Tensor | None) -> Any:
        return self.layer(x) if mask is None else self.layer(x, mask=mask)


def _join(x: Tensor) -> Tensor:
    """Return (B, T, ...) as (B * T, ...)."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


class Bidirectional(Layer):
    """Runs a recurrent layer in both directions of time and merges the two outputs.

    Args:
        layer: The forward layer: `LSTM`, `GRU`, ..., or any layer with `go_backwards`,
            `return_sequences` and `return_state`. It is copied.
        merge_mode: `"concat"` (default), `"sum"`, `"mul"`, `"ave"`, or `None` for both outputs.
        weights: Initial weights, the forward layer's first. Default: `None`.
        backward_layer: The backward layer. Default: a copy of `layer`.
        **kwargs: Arguments of `Layer`.

    Input: (B, T, C). Output: the layer's shape, with twice the channels for `"concat"`. The
    backward outputs are in forward time order. With `return_state`, a tuple: the output, then the
    states, forward states first.

    Raises:
        ValueError: If `layer` is not a recurrent layer, `merge_mode` is unknown, or the two layers
            differ in more than direction or run in the same direction.

    Source: Schuster and Paliwal 1997, Bidirectional recurrent neural networks.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((200,), dtype="int32"), hb.layers.Embedding(5000, 32),
        ...     hb.layers.Bidirectional(hb.layers.LSTM(16)), hb.layers.Dense(1, "sigmoid"),
        ... ])
        >>> model.layers[1].output.shape
        (None, 32)
    """

    _takes_sequences = True

    def __init__(
        self, layer: Layer, merge_mode: str | None = "concat",
        weights: Sequence[ArrayLike] | None = None, backward_layer: Layer | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        name = type(self).__name__
        for given in (layer, *([] if backward_layer is None else [backward_layer])):
            _check_layer(name, given)
            missing = [
                a
                for a in ("go_backwards", "return_sequences", "return_state")
                if not hasattr(given, a)
            ]
            if missing:
                raise ValueError(
                    f"{name}: {given!r} is no recurrent layer: it has no {errors.listed(missing)}."
                )
        if merge_mode is not None and merge_mode not in _MERGES:
            raise ValueError(
                f"{name}: `merge_mode` must be one of {errors.listed(_MERGES)} or None, received"
                f" {merge_mode!r}."
            )
        super().__init__(weights=weights, **kwargs)
        forward: Any = layer
        self.merge_mode = merge_mode
        # The two directions have different last outputs, so masked steps give zero, as in Keras.
        changes = {"zero_output_for_mask": True} if forward.return_sequences else {}
        self.forward_layer = _copy(layer, "forward_", **changes)
        backward: Any = backward_layer
        if backward is None:
            backward = _copy(layer, "backward_", go_backwards=not forward.go_backwards, **changes)
        self.backward_layer = backward
        self._check_pair()
        self.return_sequences, self.return_state = forward.return_sequences, forward.return_state
        self.stateful = getattr(layer, "stateful", False)
        self.supports_masking = True
        self.input_spec = InputSpec(ndim=3)
        self.input_spec.remedy = (
            " If a recurrent layer makes the input, give that layer `return_sequences=True`."
        )

    def _check_pair(self) -> None:
        """Raise `ValueError` unless the layers differ only in direction."""
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                f"{self._label()}: the two layers must run in different directions, but both have"
                f" `go_backwards={forward.go_backwards}`. Make `backward_layer` with"
                " `go_backwards=True`."
            )
        for name in ("stateful", "return_sequences", "return_state"):
            values = getattr(forward, name, False), getattr(backward, name, False)
            if values[0] != values[1]:
                raise ValueError(
                    f"{self._label()}: the two layers must have the same `{name}`, received"
                    f" {values[0]} forwards and {values[1]} backwards."
                )

    @property
    def states(self) -> list[Any] | None:
        """The states that stateful layers keep, forward states first."""
        pair = self.forward_layer.states, self.backward_layer.states
        return None if None in pair else [*pair[0], *pair[1]]

    def reset_state(self) -> None:
        """Reset the states of both layers to zero."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def build(self, input_shape: Shape) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(input_shape)

    def build_from_config(self, config: dict[str, Any]) -> None:
        super().build_from_config(sequence_shape_only(config))

    def __call__(self, sequences: Tensor | Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        """Run the layer. `[sequences, *states]` gives initial states, as in Keras 1 and 2."""
        return super().__call__(*split_states(sequences, args, kwargs), **kwargs)

    def call(
        self,
        sequences: Tensor,
        initial_state: Sequence[Tensor] | None = None,
        mask: Tensor | None = None,
        training: bool | None = None,
    ) -> Structure:
        starts: list[dict[str, Any]] = [{}, {}]
        if initial_state is not None:
            states = list(initial_state)
            if len(states) % 2:
                raise ValueError(
                    "`initial_state` must hold equally many states for each direction, received"
                    f" {len(states)}."
                )
            half = len(states) // 2
            starts = [{"initial_state": states[:half]}, {"initial_state": states[half:]}]
        if mask is not None:
            mask = step_mask(self.forward_layer, mask, sequences.shape[:2])
        layers = self.forward_layer, self.backward_layer
        results = [
            layer(sequences, mask=mask, training=training, **start)
            for layer, start in zip(layers, starts, strict=True)
        ]
        states = [state for result in results for state in result[1:]] if self.return_state else []
        y, y_back = [result[0] for result in results] if self.return_state else results
        if self.return_sequences:
            y_back = jnp.flip(
                y_back, axis=0 if getattr(self.backward_layer, "time_major", False) else 1
            )
            if mask is not None:  # a given `backward_layer` may repeat outputs
                y_back = jnp.where(mask.reshape(*mask.shape, *(1,) * (y_back.ndim - 2)), y_back, 0)
        y, y_back = self._in_compute_dtype((y, y_back))
        merged = (y, y_back) if self.merge_mode is None else (_MERGES[self.merge_mode](y, y_back),)
        return (*merged, *states) if len(merged) + len(states) > 1 else merged[0]

    def compute_mask(self, inputs: Tensor, mask: Structure = None) -> Structure:
        mask = mask if self.return_sequences else None
        return [mask, mask] if self.merge_mode is None else mask

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("weights", None)
        config["layer"], config["backward_layer"] = (
            serialize(self.forward_layer),
            serialize(self.backward_layer),
        )
        return config


def _copy(layer: Any, prefix: str, **changes: Any) -> Any:
    """Return a new layer with the configuration of `layer`, `changes` and a prefixed name."""
    config = layer.get_config()
    name = config["name"].removeprefix("forward_")
    parts = (layer, getattr(layer, "cell", layer))
    functions = {
        f.__name__: f for part in parts for f in vars(part).values() if inspect.isfunction(f)
    }
    with custom_object_scope(functions):  # the layer's own functions need no registration
        copy = type(layer).from_config({**config, "name": prefix + name, **changes})
    if hasattr(layer, "use_cudnn"):  # no configuration holds it
        copy.use_cudnn = layer.use_cudnn
    return copy
