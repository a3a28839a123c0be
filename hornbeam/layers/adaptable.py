"""Layers with low-rank adaptation: `enable_lora`, and how files store the adapted weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hornbeam.adaptation.change import add_low_rank
from hornbeam.core.provenance import is_library_code
from hornbeam.core.variable import Variable
from hornbeam.layers.arguments import positive_integer
from hornbeam.layers.layer import Layer
from hornbeam.typing import Identifier

__all__ = ["Adaptable"]

ALL_MODES = ("int8", "float8", "int4", "gptq", "awq")
_MODES_IN_ORDER = ("int8", "int4", "float8", "gptq", "awq")


class Adaptable(Layer):
    """Base of layers that support low-rank adaptation (LoRA) of one weight.

    A subclass names that weight in `_adapted_name`, keeps the arguments `lora_rank` and
    `lora_alpha`, calls `_adapt_new_weights` at the end of `build`, and multiplies by the weight
    with the functions of `hornbeam.adaptation.products`.
    """

    _adapted_name = "kernel"
    lora_rank: int | None
    lora_alpha: float | None
    lora_enabled = False

    @property
    def lora_a(self) -> Variable:
        """The first factor of the low-rank term, the attribute `lora_NAME_a`."""
        factor: Variable = getattr(self, f"lora_{self._adapted_name}_a")
        return factor

    @property
    def lora_b(self) -> Variable:
        """The second factor of the low-rank term, the attribute `lora_NAME_b`."""
        factor: Variable = getattr(self, f"lora_{self._adapted_name}_b")
        return factor

    def enable_lora(
        self, rank: int, lora_alpha: float | None = None, a_initializer: Identifier = "he_uniform",
        b_initializer: Identifier = "zeros",
    ) -> None:  # fmt: skip
        """Freeze the weight W, train A and B, and compute with `W + (lora_alpha / rank) * A @ B`.

        For a kernel (*inputs, outputs), A has the shape (*inputs, rank) and B (rank, outputs).
        Source: Hu et al. 2021, LoRA: low-rank adaptation of large language models.

        Args:
            rank: Number of columns of A and rows of B.
            lora_alpha: Factor of the product. Default: `rank`.
            a_initializer, b_initializer: Default: `"he_uniform"`, `"zeros"`.

        Raises:
            ValueError: If the layer is not built or already adapted, its weight has a constraint,
                or `rank` is not a positive integer.

        Example:
            >>> from hornbeam.layers import Dense
            >>> layer = Dense(3)
            >>> layer.build((None, 8))
            >>> layer.enable_lora(2)
            >>> [(w.name, w.shape) for w in layer.trainable_weights]
            [('bias', (3,)), ('lora_kernel_a', (8, 2)), ('lora_kernel_b', (2, 3))]
        """
        name = self._adapted_name
        if self.lora_enabled:
            raise ValueError(f"{self._label()}: low-rank adaptation is on already.")
        if not self.built and name not in self.__dict__:
            raise ValueError(
                f"{self._label()}: build the layer, or call it on data, before `enable_lora`."
            )
        if getattr(self, f"{name}_constraint") is not None:
            raise ValueError(
                f"{self._label()}: a weight with a constraint cannot be adapted. Leave"
                f" `{name}_constraint` out."
            )
        self.lora_rank = positive_integer(type(self).__name__, "rank", rank)
        self.lora_alpha = lora_alpha if lora_alpha is not None else rank
        add_low_rank(self, name, self.lora_rank, a_initializer, b_initializer)
        self.lora_enabled = True

    def _adapt_new_weights(self) -> None:
        """Quantize new weights if the dtype policy says so; adapt them if `lora_rank` is given."""
        policy = self.dtype_policy.for_path(self.path)
        if self._quantization_modes and policy.quantization_mode is not None:
            self._hold(policy, self.quantization_config)
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    # --- files: they store the sum as the weight, so they also load without adaptation ------------

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        """Names of the attributes whose variables files hold, in order, by quantization mode.

        Override it to change which variables files hold, and their order. `None` is the mode of
        a layer that is not quantized. A variable that the layer does not have is left out, such as
        the bias with `use_bias=False`.
        """
        name = self._adapted_name
        bias = [] if name == "embeddings" else ["bias"]
        scales = [f"{name}_scale", f"{name}_zero"]
        float8 = ["inputs_scale", "inputs_amax_history", f"{name}_scale", f"{name}_amax_history"]
        float8 += ["outputs_grad_scale", "outputs_grad_amax_history"]
        spec = {
            None: [name, *bias],
            "int8": [name, *bias, *scales[:1]],
            "int4": [name, *bias, *scales, "g_idx"],
            "float8": [name, *bias, *float8],
            "gptq": [*bias, f"quantized_{name}", *scales, "g_idx"],
            "awq": [*bias, f"quantized_{name}", *scales, "awq_scales", "g_idx"],
        }
        return {mode: spec[mode] for mode in (None, *_MODES_IN_ORDER) if self._has_mode(mode)}

    def _has_mode(self, mode: str | None) -> bool:
        return mode is None or mode in self._quantization_modes

    def _variables_of_spec(self) -> list[Variable]:
        """Return the variables that a subclass's `variable_serialization_spec` names."""
        spec, mode = self.variable_serialization_spec, self.quantization_mode
        if mode not in spec:
            raise ValueError(
                f"{self._label()}: `variable_serialization_spec` has no entry for the quantization"
                f" mode {mode!r}, only for {list(spec)}. Add one."
            )
        usual = Adaptable.variable_serialization_spec.__get__(self)[mode]
        missing = [n for n in spec[mode] if n not in usual and not hasattr(self, n)]
        if missing:
            raise ValueError(
                f"{self._label()}: `variable_serialization_spec` names {missing}, which are no"
                " attributes of the layer. Correct the names."
            )
        found = [getattr(self, n, None) for n in spec[mode]]
        return [variable for variable in found if variable is not None]

    def _saved_variables(self) -> list[Variable]:
        spec: Any = type(self).variable_serialization_spec
        if not is_library_code(getattr(spec, "fget", None)):
            return self._variables_of_spec()
        thin = (self.lora_a, self.lora_b) if self.lora_enabled else ()
        saved = [variable for variable in self._direct_variables() if variable not in thin]
        if self.quantization_mode in ("int8", "int4"):  # Keras writes the weight first
            saved.sort(key=lambda variable: variable is not getattr(self, self._adapted_name))
        return saved

    def _saved_value(self, variable: Variable) -> Any:
        if not self.lora_enabled:
            return super()._saved_value(variable)
        return getattr(self, self._adapted_name).adapted.saved_value(variable)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Read this layer's own variables from `store`; see `Layer.load_own_variables`."""
        super().load_own_variables(store)
        if self.lora_enabled:  # the loaded weight includes the low-rank term
            self.lora_a.assign(np.zeros(self.lora_a.shape))
            self.lora_b.assign(np.zeros(self.lora_b.shape))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; LoRA's only if it is enabled, as in Keras."""
        config = super().get_config()
        lora = {name: config.pop(name) for name in ("lora_rank", "lora_alpha") if name in config}
        if lora.get("lora_rank"):
            config |= {"lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha or self.lora_rank}
        return config
