"""Configurations of `quantize`: the mode, and the quantizers of weights and activations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from hornbeam import errors
from hornbeam.core import registry
from hornbeam.dtype_policies import MODES
from hornbeam.objects.configuration import serialize
from hornbeam.quantizers.rounding import AbsMaxQuantizer, Quantizer
from hornbeam.typing import Identifier

__all__ = [
    "AWQConfig", "Float8QuantizationConfig", "GPTQConfig", "Int4QuantizationConfig",
    "Int8QuantizationConfig", "QuantizationConfig", "find_config",
]  # fmt: skip


class QuantizationConfig:
    """Base class of the configurations of `quantize`; subclasses have a `mode`.

    Args:
        weight_quantizer: Quantizer of the weights. Default: the mode's default quantizer.
        activation_quantizer: Quantizer of the layers' inputs. Default: inputs stay floats.

    Raises:
        ValueError: If the dtype or range of the weight quantizer does not fit the mode.

    Example:
        >>> Int8QuantizationConfig().mode
        'int8'
    """

    # The dtype and range that the weight quantizer must have.
    _weight_dtype = "int8"
    _value_range: tuple[int, int] | None = None

    def __init__(
        self,
        weight_quantizer: Quantizer | Identifier = None,
        activation_quantizer: Quantizer | Identifier = None,
    ):
        quantizers = registry.family("quantizer")
        self.weight_quantizer = quantizers.get(weight_quantizer)
        self.activation_quantizer = quantizers.get(activation_quantizer)
        dtype = getattr(self.weight_quantizer, "output_dtype", self._weight_dtype)
        if dtype != self._weight_dtype:
            raise ValueError(
                f"{type(self).__name__}: `weight_quantizer` must have"
                f" output_dtype={self._weight_dtype!r}, received {dtype!r}."
            )
        value_range = getattr(self.weight_quantizer, "value_range", self._value_range)
        if self._value_range is not None and tuple(value_range or ()) != self._value_range:
            raise ValueError(
                f"{type(self).__name__}: `weight_quantizer` must have"
                f" value_range={self._value_range}, received {value_range}."
            )

    @property
    def mode(self) -> str:
        """The mode, as for `quantize`."""
        raise NotImplementedError(
            f"{type(self).__name__} has no `mode`. Use one of the subclasses."
        )

    @property
    def policy_mode(self) -> str:
        """The mode with its parameters, as in the name of a dtype policy."""
        return self.mode

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        quantizers = {
            "weight_quantizer": self.weight_quantizer,
            "activation_quantizer": self.activation_quantizer,
        }
        return {
            name: None if value is None else serialize(value) for name, value in quantizers.items()
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a configuration made from the result of `get_config`."""
        return cls(**config)

    @staticmethod
    def weight_quantizer_or_default(
        config: QuantizationConfig | None, default: Quantizer | None
    ) -> Quantizer | None:
        """Return the weight quantizer of `config`, or `default` if there is none."""
        found = None if config is None else config.weight_quantizer
        return default if found is None else found

    @staticmethod
    def activation_quantizer_or_default(
        config: QuantizationConfig | None, default: Quantizer | None
    ) -> Quantizer | None:
        """Return the activation quantizer of `config`, or `default` if `config` is `None`."""
        return default if config is None else config.activation_quantizer


class Int8QuantizationConfig(QuantizationConfig):
    """8-bit integers with one scale per channel: `weight = integers / scale`.

    Args:
        weight_quantizer: Quantizer of the weights. Default: `AbsMaxQuantizer` over the axes that
            the layer's product sums over.
        activation_quantizer: Quantizer of the layers' inputs. `"default"`: `AbsMaxQuantizer` over
            the same axes. `None`: inputs stay floats.

    Raises:
        ValueError: If the weight quantizer does not give int8.

    Example:
        >>> Int8QuantizationConfig(activation_quantizer=None).get_config()
        {'weight_quantizer': None, 'activation_quantizer': None}
    """

    mode = "int8"

    def __init__(
        self,
        weight_quantizer: Quantizer | Identifier = None,
        activation_quantizer: Quantizer | Identifier = "default",
    ):
        default = isinstance(activation_quantizer, str) and activation_quantizer == "default"
        super().__init__(weight_quantizer, AbsMaxQuantizer() if default else activation_quantizer)


class Int4QuantizationConfig(QuantizationConfig):
    """4-bit integers, two in each byte.

    Args:
        weight_quantizer: Quantizer to int8 with `value_range` (-8, 7). Default: an
            `AbsMaxQuantizer` with this range.
        activation_quantizer: Quantizer of the layers' inputs. `"default"` and `None`: inputs stay
            floats.
        block_size: Number of consecutive rows of a column that share a scale and a zero point. -1
            or `None`: one scale per column and no zero point.

    Raises:
        ValueError: If `block_size` is invalid, or quantizers are given with a positive
            `block_size`.

    Example:
        >>> Int4QuantizationConfig(block_size=32).policy_mode
        'int4/32'
    """

    mode = "int4"
    _value_range = (-8, 7)

    def __init__(
        self,
        weight_quantizer: Quantizer | Identifier = None,
        activation_quantizer: Quantizer | Identifier = "default",
        block_size: int | None = 128,
    ):
        if block_size is not None and (
            not isinstance(block_size, int) or (block_size < 1 and block_size != -1)
        ):
            raise ValueError(
                "Int4QuantizationConfig: `block_size` must be None, -1 or a positive integer,"
                f" received {block_size!r}."
            )
        default = isinstance(activation_quantizer, str) and activation_quantizer == "default"
        super().__init__(weight_quantizer, None if default else activation_quantizer)
        self.block_size = block_size
        if block_size not in (None, -1) and (self.weight_quantizer or self.activation_quantizer):
            raise ValueError(
                "Int4QuantizationConfig: quantizers need one scale per channel, received"
                f" block_size={block_size}. Leave the quantizers out, or pass block_size=-1."
            )

    @property
    def policy_mode(self) -> str:
        """The mode with its parameters, as in the name of a dtype policy."""
        return f"int4/{-1 if self.block_size is None else self.block_size}"

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "block_size": self.block_size}


class Float8QuantizationConfig(QuantizationConfig):
    """Products in 8-bit floating point, for training (Micikevicius et al. 2022).

    Example:
        >>> Float8QuantizationConfig().mode
        'float8'
    """

    mode = "float8"

    def __init__(self) -> None:
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {}


class _CalibratedConfig(QuantizationConfig):
    """Common arguments of GPTQ and AWQ: calibration data, number of bits, group size."""

    _bits: tuple[int, ...] = (4,)
    dataset: Any
    tokenizer: Any
    weight_bits: int
    num_samples: int
    sequence_length: int
    group_size: int
    quantization_layer_structure: Any

    def _keep(self, **arguments: Any) -> None:
        """Check the constructor's arguments and store them as attributes."""
        super().__init__()
        for name, value in arguments.items():
            setattr(self, name, value)
        name = type(self).__name__
        if self.weight_bits not in self._bits:
            raise ValueError(
                f"{name}: `weight_bits` must be one of {self._bits}, received {self.weight_bits!r}."
            )
        for count in ("num_samples", "sequence_length", "num_grid_points"):
            if getattr(self, count, 1) < 1:
                raise ValueError(
                    f"{name}: `{count}` must be a positive integer, received"
                    f" {getattr(self, count)!r}."
                )
        if self.group_size < 1 and self.group_size != -1:
            raise ValueError(
                f"{name}: `group_size` must be -1 or a positive integer, received"
                f" {self.group_size!r}."
            )
        structure = self.quantization_layer_structure
        if structure is not None and not isinstance(structure, dict):
            raise ValueError(
                f"{name}: `quantization_layer_structure` must be a dict with 'pre_block_layers' and"
                f" 'sequential_blocks', received {errors.describe(structure)}."
            )
        self._names = tuple(arguments)

    @property
    def policy_mode(self) -> str:
        """The mode with its parameters, as in the name of a dtype policy."""
        return f"{self.mode}/{self.weight_bits}/{self.group_size}"

    def dtype_policy_string(self) -> str:
        """Return the mode with its parameters, as in the name of a dtype policy."""
        return self.policy_mode

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON, without data and layers."""
        not_for_files = ("dataset", "tokenizer", "quantization_layer_structure")
        return {
            name: None if name in not_for_files else getattr(self, name) for name in self._names
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a configuration made from the result of `get_config`, without data."""
        return cls(**{"dataset": None, "tokenizer": None, **config})


class GPTQConfig(_CalibratedConfig):
    """GPTQ: weights rounded row by row, with compensation of errors (Frantar et al. 2022).

    Args:
        dataset: Calibration data: an iterable of token arrays of shape (length,) or (1, length),
            or of strings.
        tokenizer: A function, or an object with a method `tokenize`, that turns strings into
            tokens.
        weight_bits: 2, 3, 4 or 8.
        num_samples: Number of sequences to calibrate with.
        per_channel: Whether each column has its own scales.
        sequence_length: Number of tokens per sequence.
        hessian_damping: Fraction of the mean of the Hessian's diagonal that is added to the
            diagonal, between 0 and 1.
        group_size: Number of rows that share a scale; -1 for all rows.
        symmetric: Whether the zero point is in the middle of the integers.
        activation_order: Whether rows with large inputs are rounded first.
        quantization_layer_structure: Dict with `"pre_block_layers"`, the layers before the first
            block, and `"sequential_blocks"`, the blocks whose layers are rounded. Default: the
            model's `get_quantization_layer_structure`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> GPTQConfig(dataset=[[1, 2, 3]], tokenizer=None, sequence_length=2).dtype_policy_string()
        'gptq/4/128'
    """

    mode = "gptq"
    _bits = (2, 3, 4, 8)
    per_channel: bool
    hessian_damping: float
    symmetric: bool
    activation_order: bool

    def __init__(
        self, dataset: Iterable[Any], tokenizer: Any, *, weight_bits: int = 4,
        num_samples: int = 128, per_channel: bool = True, sequence_length: int = 512,
        hessian_damping: float = 0.01, group_size: int = 128, symmetric: bool = False,
        activation_order: bool = False,
        quantization_layer_structure: Mapping[str, Any] | None = None,
    ):  # fmt: skip
        self._keep(
            dataset=dataset, tokenizer=tokenizer, weight_bits=weight_bits, num_samples=num_samples,
            per_channel=per_channel, sequence_length=sequence_length,
            hessian_damping=hessian_damping, group_size=group_size, symmetric=symmetric,
            activation_order=activation_order,
            quantization_layer_structure=quantization_layer_structure,
        )  # fmt: skip
        if not 0 <= hessian_damping <= 1:
            raise ValueError(
                "GPTQConfig: `hessian_damping` must be between 0 and 1, received"
                f" {hessian_damping!r}."
            )


class AWQConfig(_CalibratedConfig):
    """AWQ: weights rounded after rows with large inputs are scaled up (Lin et al. 2023).

    Args:
        dataset, tokenizer, num_samples, sequence_length, group_size, quantization_layer_structure:
            As for `GPTQConfig`.
        weight_bits: 4.
        num_grid_points: Number of scalings to try per layer.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> AWQConfig(dataset=[[1, 2, 3]], tokenizer=None, group_size=-1).dtype_policy_string()
        'awq/4/-1'
    """

    mode = "awq"
    num_grid_points: int

    def __init__(
        self, dataset: Iterable[Any], tokenizer: Any, *, weight_bits: int = 4,
        num_samples: int = 128, sequence_length: int = 512, group_size: int = 128,
        num_grid_points: int = 20, quantization_layer_structure: Mapping[str, Any] | None = None,
    ):  # fmt: skip
        self._keep(
            dataset=dataset, tokenizer=tokenizer, weight_bits=weight_bits, num_samples=num_samples,
            sequence_length=sequence_length, group_size=group_size, num_grid_points=num_grid_points,
            quantization_layer_structure=quantization_layer_structure,
        )  # fmt: skip


_DEFAULTS: dict[str, type[QuantizationConfig]] = {
    "int8": Int8QuantizationConfig,
    "int4": Int4QuantizationConfig,
    "float8": Float8QuantizationConfig,
}


def find_config(
    label: str, mode: str | QuantizationConfig | None, config: QuantizationConfig | None
) -> QuantizationConfig:
    """Return the configuration for the arguments of `quantize`.

    Args:
        label: Name of the layer or model, for messages.
        mode: A mode, `None` if `config` gives it, or a configuration.
        config: A configuration, or `None` for the mode's default configuration.

    Raises:
        ValueError: If both are missing, they disagree, or the mode is unknown.

    Example:
        >>> find_config("Layer 'dense'", "int4", None).block_size
        128
    """
    if isinstance(mode, QuantizationConfig) and config is None:
        mode, config = None, mode
    if mode is None and config is None:
        raise ValueError(
            f"{label}: quantize expected a `mode` ({', '.join(MODES)}) or a `config`, received"
            " neither."
        )
    if mode is not None and mode not in MODES:
        raise ValueError(
            f"{label}: the quantization `mode` must be one of {MODES}, received {mode!r}."
        )
    if config is None:
        assert mode is not None
        if mode not in _DEFAULTS:
            name = {"gptq": "GPTQConfig", "awq": "AWQConfig"}[mode]
            raise ValueError(
                f"{label}: the mode {mode!r} needs data for calibration. Pass"
                f" `config=hornbeam.quantizers.{name}(dataset, tokenizer)`."
            )
        return _DEFAULTS[mode]()
    if not isinstance(config, QuantizationConfig):
        raise ValueError(
            f"{label}: `config` must be a hornbeam.quantizers.QuantizationConfig, received"
            f" {errors.describe(config)}."
        )
    if mode is not None and config.mode != mode:
        raise ValueError(
            f"{label}: `mode` is {mode!r}, but the mode of `config` is {config.mode!r}. Leave one"
            " out."
        )
    return config
