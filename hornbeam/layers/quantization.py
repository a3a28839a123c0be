"""The quantization methods of every layer, as in Keras."""

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
    """The part of `Layer` that quantizes weights.

    A layer that supports it names its modes in `_quantization_modes`, describes the weights in
    `_weight_layouts` and multiplies with the functions of `hornbeam.adaptation.products`. All other
    layers raise `NotImplementedError`.
    """

    _quantization_modes: tuple[str, ...] = ()
    quantization_config: Any = None
    # Set by the constructor of `Layer` and by subclasses.
    dtype_policy: Any
    build: Callable[..., None]
    call: Callable[..., Any]

    def _weight_layouts(self) -> tuple[Layout, ...]:
        """Return the layouts of the weights that quantization changes, the main weight first."""
        return ()

    @property
    def quantization_mode(self) -> str | None:
        """The quantization mode of the weights, such as "int8", or `None` if they are floats."""
        mode: str | None = self.dtype_policy.for_path(self.path).quantization_mode
        return mode

    def quantize(
        self,
        mode: str | None = None,
        type_check: bool = True,
        config: QuantizationConfig | None = None,
    ) -> None:
        """Quantize the weights in place.

        Args:
            mode: `"int8"`, `"int4"`, `"float8"`, or with a `config` `"gptq"` or `"awq"`. Here the
                last two round to the nearest integer; `Model.quantize` calibrates them with data.
            type_check: Whether to refuse a subclass that you wrote, because its `call` may use the
                weight in other ways. Default: True.
            config: A `hornbeam.quantizers.QuantizationConfig`. Default: the mode's.

        Raises:
            ValueError: If the layer is not built, is already quantized, or `mode` and `config` give
                no known mode.
            NotImplementedError: If the layer does not support quantization or the mode, or its
                class is a subclass and `type_check` is true.

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
        self._dtype_policy, self.quantization_config = policy, config

    def quantized_build(self, input_shape: Shapes, mode: str | QuantizationConfig) -> None:
        """Build the layer for an input shape with quantized weights.

        Args:
            input_shape: As for `build`.
            mode: A mode as for `quantize`, or a `QuantizationConfig`.

        Raises:
            NotImplementedError: If the layer does not support quantization or the mode.
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
        """Return the outputs of a quantized layer, the same as `call`.

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
