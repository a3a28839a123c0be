"""Keras's methods of quantization, which every layer has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from hornbeam.adaptation.change import hold
from hornbeam.adaptation.weights import Layout
from hornbeam.core.provenance import is_library_code
from hornbeam.dtype_policies import quantized_policy
from hornbeam.layers.state import LayerState
from hornbeam.quantizers.configs import QuantizationConfig, find_config
from hornbeam.typing import Shapes, Structure

if TYPE_CHECKING:
    from hornbeam.layers.layer import Layer

__all__ = ["Quantization"]


class Quantization(LayerState):
    """The part of `Layer` that holds weights in fewer bits.

    A layer with such weights names its modes in `_quantization_modes`, describes the weights in
    `_weight_layouts` and multiplies by the functions of `hornbeam.adaptation.products`. All other
    layers refuse.
    """

    _quantization_modes: tuple[str, ...] = ()
    quantization_config: Any = None
    # Set by the constructor of `Layer` and by subclasses.
    dtype_policy: Any
    build: Callable[..., None]
    call: Callable[..., Any]

    def _weight_layouts(self) -> tuple[Layout, ...]:
        """Return the weights that quantization changes, the main one first."""
        return ()

    @property
    def quantization_mode(self) -> str | None:
        """How the layer holds its weights in fewer bits, such as "int8"; `None` if as floats."""
        mode: str | None = self.dtype_policy.for_path(self.path).quantization_mode
        return mode

    def quantize(
        self,
        mode: str | None = None,
        type_check: bool = True,
        config: QuantizationConfig | None = None,
    ) -> None:
        """Hold the weights in fewer bits from now on.

        Args:
            mode: `"int8"`, `"int4"`, `"float8"`; `"gptq"` and `"awq"` with a `config`. These two
                round to the nearest integer here; `Model.quantize` calibrates them with data.
            type_check: Whether to refuse a subclass that you wrote, since its `call` may use the
                weight otherwise.
            config: A `hornbeam.quantizers.QuantizationConfig`. Default: that of the mode.

        Raises:
            ValueError: If the layer is not built or quantized already, or the arguments are no
                mode.
            NotImplementedError: If the layer has no such weights or lacks the mode, or its class is
                a subclass.

        Example:
            >>> from hornbeam.layers import Dense
            >>> layer = Dense(3)
            >>> layer.build((None, 8))
            >>> layer.quantize("int8")
            >>> layer.kernel.dtype, layer.dtype_policy.name
            ('int8', 'int8_from_float32')
        """
        self._refuse_without_modes()
        config = find_config(self._label(), mode, config)
        if type_check and not is_library_code(self):
            raise NotImplementedError(
                f"{self._label()}: a subclass may use its weight in ways that quantization does not"
                " know. Pass type_check=False if its `call` does not."
            )
        policy = self.dtype_policy.for_path(self.path)
        if policy.quantization_mode is not None:
            raise ValueError(
                f"{self._label()} is quantized already, by the policy {policy.name!r}."
            )
        if not self.built:
            raise ValueError(
                f"{self._label()}: build the layer, or call it on data, before `quantize`."
            )
        policy = quantized_policy(config.policy_mode, policy.name)
        self._hold(policy, config)
        self.dtype_policy, self.quantization_config = policy, config

    def quantized_build(self, input_shape: Shapes, mode: str | QuantizationConfig) -> None:
        """Build the layer for inputs of a shape, with its weights in fewer bits.

        Args:
            input_shape: As for `build`.
            mode: A mode as for `quantize`, or a `QuantizationConfig`.

        Raises:
            NotImplementedError: If the layer has no such weights or lacks the mode.
        """
        self._refuse_without_modes()
        if not self.built:
            self.build(input_shape)
        if self.quantization_mode is None:
            if isinstance(mode, QuantizationConfig):
                self.quantize(config=mode, type_check=False)
            else:
                self.quantize(mode, type_check=False)

    def quantized_call(self, *args: Any, **kwargs: Any) -> Structure:
        """Return the outputs of a quantized layer; the same as `call`.

        Raises:
            NotImplementedError: If the layer is not quantized.
        """
        if self.quantization_mode is None or not self._quantization_modes:
            raise NotImplementedError(
                f"{self._label()} is not quantized; call `quantize` first, where it has that."
            )
        return self.call(*args, **kwargs)

    def _hold(self, policy: Any, config: Any) -> None:
        mode, modes = policy.quantization_mode, self._quantization_modes
        if mode not in modes:
            raise NotImplementedError(
                f"{self._label()}: {mode!r} is not for this layer; its modes are {modes}."
            )
        hold(cast("Layer", self), self._weight_layouts(), policy, config)

    def _refuse_without_modes(self) -> None:
        if not self._quantization_modes:
            raise NotImplementedError(
                f"{self._label()} has no weights that are kept in fewer bits."
            )
