"""Layers that wrap JAX functions and Flax modules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import errors, tree
from hornbeam.core.random import SeedGenerator
from hornbeam.core.variable import Variable
from hornbeam.layers.layer import Layer
from hornbeam.objects.configuration import serialize
from hornbeam.typing import Shape, Structure, Tensor

__all__ = ["FlaxLayer", "JaxLayer"]

_CALL_ARGUMENTS = ("params", "state", "rng", "inputs", "training")
_INIT_ARGUMENTS = ("rng", "inputs", "training")


class JaxLayer(Layer):
    """Makes a layer from a JAX function and its parameters.

    Args:
        call_fn: Function of `inputs` and, if it names them, `params`, `state`, `rng` and
            `training`. Returns the outputs, or (outputs, new state) if it takes `state`.
        init_fn: Function of `rng`, `inputs` and, if it names it, `training`. Returns the
            parameters, or (parameters, state) if `call_fn` takes `state`. Required without
            `params`.
        params: Initial parameters: arrays in dicts, lists and tuples. Default: from `init_fn`.
        state: Initial state in the same form, which is not trained. Default: from `init_fn`.
        seed: Integer seed of `rng`. Default: random.
        native_serialization_platforms: No effect; accepted as in Keras.
        **kwargs: Arguments of `Layer`.

    Weights: the parameters, then the state, in the order of `jax.tree.leaves`.

    Input and output: any shapes that `call_fn` takes and returns. As in Keras.

    Raises:
        ValueError: If `call_fn` is not callable, there is neither `init_fn` nor `params`, or a
            function requires unknown arguments.

    Example:
        >>> import hornbeam as hb
        >>> def init(rng, inputs):
        ...     return {"w": jax.random.normal(rng, (inputs.shape[-1], 4)), "b": jnp.zeros(4)}
        >>> def call(params, inputs):
        ...     return jnp.tanh(inputs @ params["w"] + params["b"])
        >>> model = hb.Sequential([hb.Input((3,)), hb.layers.JaxLayer(call, init)])
        >>> model.output_shape, len(model.trainable_weights)
        ((None, 4), 2)
    """

    def __init__(
        self, call_fn: Callable[..., Any], init_fn: Callable[..., Any] | None = None,
        params: Structure = None, state: Structure = None, seed: int | None = None,
        native_serialization_platforms: Sequence[str] | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        name = type(self).__name__
        if not callable(call_fn):
            raise ValueError(
                f"{name}: `call_fn` must be a function, received {errors.describe(call_fn)}."
            )
        if init_fn is None and params is None and state is None:
            raise ValueError(f"{name}: pass `init_fn`, or `params` (and `state`), to begin with.")
        self.call_fn, self.init_fn, self.seed = call_fn, init_fn, seed
        self.native_serialization_platforms = native_serialization_platforms
        self._call_names = _names(name, "call_fn", call_fn, _CALL_ARGUMENTS, needed=("inputs",))
        self._init_names = (
            ()
            if init_fn is None
            else _names(name, "init_fn", init_fn, _INIT_ARGUMENTS, ("inputs",))
        )
        self._given = (params, state)
        if "rng" in self._call_names or "rng" in self._init_names:
            self.seed_generator = SeedGenerator(seed)
        self.params: Any = None
        self.state: Any = None
        if init_fn is None:
            self._keep_values(params, state)
            self.built = True

    def _keep_values(self, params: Any, state: Any) -> None:
        self._params_tree, self._state_tree = jax.tree.structure(params), jax.tree.structure(state)
        self._param_variables = [self._variable(x, True) for x in jax.tree.leaves(params)]
        self._state_variables = [self._variable(x, False) for x in jax.tree.leaves(state)]
        self.params = jax.tree.unflatten(self._params_tree, self._param_variables)
        self.state = jax.tree.unflatten(self._state_tree, self._state_variables)

    def _variable(self, value: Any, trainable: bool) -> Variable:
        value = jnp.asarray(value)
        floating = jnp.issubdtype(value.dtype, jnp.floating)
        return self.add_weight(
            name="params" if trainable else "state", shape=value.shape,
            trainable=trainable and floating, initializer=lambda shape,
            dtype=None: value.astype(dtype or value.dtype),
            dtype=self.variable_dtype if floating else str(value.dtype),
        )  # fmt: skip

    def build(self, input_shape: Shape) -> None:
        if self.init_fn is None:
            return
        shapes = (
            input_shape
            if isinstance(input_shape, (dict, list)) and not _is_shape(input_shape)
            else tuple(input_shape)
        )
        # Unknown sizes, such as the batch size, become 1; parameters do not depend on them.
        inputs = tree.map_shape_structure(
            lambda s: jnp.ones([n or 1 for n in s], self.compute_dtype), shapes
        )
        offered = {"inputs": inputs, "training": True}
        if "rng" in self._init_names:
            offered["rng"] = self.seed_generator.next()
        made = self.init_fn(**{name: offered[name] for name in self._init_names})
        takes_state = "state" in self._call_names
        params, state = made if takes_state else (made, None)
        self._keep_values(params, state)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        offered: dict[str, Any] = {"inputs": inputs, "training": bool(training)}
        offered["params"] = jax.tree.unflatten(
            self._params_tree, [v.value for v in self._param_variables]
        )
        offered["state"] = jax.tree.unflatten(
            self._state_tree, [v.value for v in self._state_variables]
        )
        if "rng" in self._call_names:
            offered["rng"] = self.seed_generator.next()
        result = self.call_fn(**{name: offered[name] for name in self._call_names})
        if "state" not in self._call_names:
            return result
        result, state = result
        for variable, value in zip(self._state_variables, jax.tree.leaves(state), strict=True):
            variable.assign(value)
        return result

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy.name,
            "call_fn": serialize(self.call_fn),
            "init_fn": serialize(self.init_fn),
            "params": serialize(jax.tree.map(np.asarray, self._given[0])),
            "state": serialize(jax.tree.map(np.asarray, self._given[1])),
            "seed": self.seed,
        }


def _is_shape(x: Any) -> bool:
    return all(n is None or isinstance(n, int) for n in x)


def _names(
    layer: str,
    argument: str,
    function: Callable[..., Any],
    known: tuple[str, ...],
    needed: tuple[str, ...],
) -> tuple[str, ...]:
    """Return the `known` arguments that `function` takes; raise if it requires others."""
    parameters = inspect.signature(function).parameters
    kinds = {p.kind for p in parameters.values()}
    names = tuple(
        name for name in known if name in parameters or inspect.Parameter.VAR_KEYWORD in kinds
    )
    extra = [
        name
        for name, p in parameters.items()
        if name not in known
        and p.default is p.empty
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    missing = [name for name in needed if name not in names]
    if extra or missing:
        raise ValueError(
            f"{layer}: `{argument}` must take arguments of the names {known} (at least {needed}),"
            f" received one that takes {tuple(parameters)}."
        )
    return names


class FlaxLayer(JaxLayer):
    """Makes a layer from a Flax module (`flax.linen.Module`).

    Args:
        module: The module. Its call takes the inputs and, if it names it, `training`.
        method: Name of the module's method to call, or a function of (module, inputs) or (module,
            inputs, training). Default: `__call__`.
        variables: Initial variables: a dict of collections, including `"params"`. Default: from the
            module's `init`, at the first call.
        **kwargs: Arguments of `JaxLayer` and `Layer`.

    Weights: the collection `"params"`, which is trained, then the other collections, such as batch
    statistics, which are not.

    Input and output: any shapes that the module takes and returns. As in Keras.

    Raises:
        ImportError: If Flax is not installed: `pip install "hornbeam[flax]"`.
        ValueError: If `module` is not a `flax.linen.Module`.

    Example:
        >>> import flax.linen  # doctest: +SKIP
        >>> import hornbeam as hb
        >>> layer = hb.layers.FlaxLayer(flax.linen.Dense(4))  # doctest: +SKIP
        >>> hb.Sequential([hb.Input((3,)), layer]).output_shape  # doctest: +SKIP
        (None, 4)
    """

    def __init__(
        self,
        module: Any,
        method: str | Callable[..., Any] | None = None,
        variables: Structure = None,
        **kwargs: Any,
    ):
        linen = _flax()
        if isinstance(module, dict):
            raise ValueError(
                "FlaxLayer: files do not hold the code of a Flax module; make the layer in code and"
                " load weights."
            )
        if not isinstance(module, linen.Module):
            raise ValueError(
                "FlaxLayer: `module` must be a flax.linen.Module, received"
                f" {errors.describe(module)}."
            )
        self_call = (
            getattr(type(module), method)
            if isinstance(method, str)
            else method or type(module).__call__
        )
        takes_training = "training" in inspect.signature(self_call).parameters
        params = state = None
        if variables is not None:
            params = dict(variables).get("params", {})
            state = {name: value for name, value in dict(variables).items() if name != "params"}

        def options(training: bool) -> dict[str, Any]:
            return {"method": method, **({"training": training} if takes_training else {})}

        def init_fn(rng: Any, inputs: Any, training: bool) -> Any:
            made = dict(module.init(_streams(rng, "params"), inputs, **options(training)))
            return made.pop("params", {}), made

        def call_fn(params: Any, state: Any, rng: Any, inputs: Any, training: bool) -> Any:
            changing = [name for name in state if training]  # statistics change only in training
            result = module.apply(
                {"params": params, **state},
                inputs,
                rngs=_streams(rng),
                mutable=changing or False,
                **options(training),
            )
            return (result[0], {**state, **result[1]}) if changing else (result, state)

        super().__init__(
            call_fn, None if variables is not None else init_fn, params, state, **kwargs
        )
        self.module, self.method = module, method

    def get_config(self) -> dict[str, Any]:
        raise ValueError(
            f"{self._label()}: files do not hold the code of a Flax module. Save the model's"
            " weights with `save_weights`."
        )


def _flax() -> Any:
    """Import and return the optional module `flax.linen`."""
    try:
        import flax.linen
    except ImportError:
        raise ImportError('FlaxLayer needs Flax: pip install "hornbeam[flax]"') from None
    return flax.linen


def _streams(key: Any, *others: str) -> dict[str, Any]:
    """Return one key for each random stream that modules draw from."""
    return {
        name: jax.random.fold_in(key, number)
        for number, name in enumerate(("dropout", "noise", "default", *others))
    }
