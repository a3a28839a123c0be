"""Layers whose weight can be held in fewer bits; how, the schemes of `hornbeam.quantizers` know."""

from __future__ import annotations

from typing import Any

from hornbeam.core import naming
from hornbeam.core.variable import Variable
from hornbeam.dtype_policies import quantized_policy
from hornbeam.layers.lora import Adaptable
from hornbeam.quantizers.configs import QuantizationConfig, find_config
from hornbeam.quantizers.schemes import Held, Scheme, scheme_for

__all__ = ["Quantizable"]


class Quantizable(Adaptable):
    """A layer with a product of inputs and a weight that can be held in fewer bits, and adapted on top.

    A subclass tells by `_held` what is held, keeps `quantization_config`, calls `_finish_build` at the end of `build`,
    and multiplies by `_product`.
    """

    _modes: tuple[str, ...] = ("int8", "float8", "int4", "gptq", "awq")
    quantization_config: Any = None
    _schemes: dict[str, Scheme] = {}  # replaced, never changed

    def _held(self) -> tuple[Held, ...]:
        """Return what the layer holds, the adapted weight first."""
        raise NotImplementedError  # for subclasses to say

    def _finish_build(self) -> None:
        """Hold the new weights as the dtype policy says, and adapt where the constructor was given a rank."""
        policy = self.dtype_policy.for_path(self.path)
        if policy.quantization_mode is not None:
            self._hold(policy, self.quantization_config)
        self._start_lora()

    def _hold(self, policy: Any, config: Any) -> None:
        mode = policy.quantization_mode
        if mode not in self._modes:
            raise NotImplementedError(f"{self._label()}: {mode!r} is not for this layer; its modes are {self._modes}.")
        schemes = {held.name: scheme_for(self, held, policy, config) for held in self._held()}
        with naming.name_scope(self.path) if not naming.current_path() else naming.no_scope():
            for scheme in schemes.values():
                scheme.hold()
        self._schemes = schemes

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """Hold the weight in fewer bits from now on.

        Args:
            mode: `"int8"`, `"int4"`, `"float8"`; `"gptq"` and `"awq"` with a `config`. These two round to the nearest
                integer here; `Model.quantize` calibrates them with data.
            type_check: Whether a subclass, whose `call` may use the weight otherwise, is refused.
            config: A `hornbeam.quantizers.QuantizationConfig`. Default: that of the mode.

        Raises:
            ValueError: If the layer is not built or quantized already, or the arguments are no mode.
            NotImplementedError: If the layer lacks the mode, or its class is a subclass.

        Example:
            >>> from hornbeam.layers import Dense
            >>> layer = Dense(3)
            >>> layer.build((None, 8))
            >>> layer.quantize("int8")
            >>> layer.kernel.dtype, layer.dtype_policy.name
            ('int8', 'int8_from_float32')
        """
        config = find_config(self._label(), mode, config)
        if type_check and type(self).__module__.split(".")[0] != "hornbeam":
            raise NotImplementedError(
                f"{self._label()}: a subclass may use its weight in ways that quantization does not know. Pass "
                "type_check=False if its `call` does not."
            )
        policy = self.dtype_policy.for_path(self.path)
        if policy.quantization_mode is not None:
            raise ValueError(f"{self._label()} is quantized already, by the policy {policy.name!r}.")
        if not self.built:
            raise ValueError(f"{self._label()}: build the layer, or call it on data, before `quantize`.")
        policy = quantized_policy(config.policy_mode, policy.name)
        self._hold(policy, config)
        self.dtype_policy, self.quantization_config = policy, config

    def quantized_build(self, input_shape: Any, mode: Any) -> None:
        """Build for inputs of a shape, with the weights held by a mode (or a configuration)."""
        if not self.built:
            self.build(input_shape)
        if self.quantization_mode is None:
            given = isinstance(mode, QuantizationConfig)
            self.quantize(config=mode, type_check=False) if given else self.quantize(mode, type_check=False)

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs with the weights as they are held; what `call` does for a quantized layer."""
        if self.quantization_mode is None:
            return super().quantized_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    # --- arithmetic -----------------------------------------------------------------------

    def _product(
        self, inputs: Any, training: bool | None = None, name: str | None = None, cast: bool = False
    ) -> Any:  # fmt: skip
        """Return the product of inputs and a weight, with what adaptation adds.

        Args:
            inputs: Tensor.
            training: Whether float8 scales follow the inputs.
            name: Attribute of the weight. Default: the adapted one.
            cast: Whether a weight of floats takes the dtype of the inputs.
        """
        adapted = name in (None, self._adapted)
        held = next(h for h in self._held() if h.name == (name or self._adapted))
        scheme = self._schemes.get(held.name)
        if scheme is None:
            weight = self._adapted_value() if adapted else getattr(self, held.name).value
            return held.product(inputs, weight.astype(inputs.dtype) if cast else weight)
        outputs = scheme.multiply(inputs, bool(training))
        if adapted and self.lora_enabled:
            outputs = outputs + held.product(inputs, self._lora_delta().astype(inputs.dtype))
        return outputs

    def _frozen_value(self) -> Any:
        scheme = self._schemes.get(self._adapted)
        return super()._frozen_value() if scheme is None else scheme.weight()

    def _adapted_shape(self) -> tuple[int, ...]:
        scheme = self._schemes.get(self._adapted)
        return super()._adapted_shape() if scheme is None else scheme.shape

    # --- files ------------------------------------------------------------------------------

    def _saved_variables(self) -> list[Variable]:
        saved = super()._saved_variables()
        if self.quantization_mode in ("int8", "int4"):  # as Keras, which puts the weight first
            saved.sort(key=lambda variable: variable is not getattr(self, self._adapted))
        return saved

    def _saved_value(self, variable: Variable) -> Any:
        scheme = self._schemes.get(self._adapted)
        if scheme is None or not self.lora_enabled:
            return super()._saved_value(variable)
        return scheme.saved_value(variable, self._adapted_value())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "quantization_config": self._quantization_config_for_files()}

    def _quantization_config_for_files(self) -> Any:
        from hornbeam import quantizers

        config = self.quantization_config
        return None if config is None else quantizers.serialize(config)
