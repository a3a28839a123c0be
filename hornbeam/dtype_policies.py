"""Dtype policies: the dtypes of layers' variables and computations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hornbeam import settings
from hornbeam.core.convert import convert
from hornbeam.core.patterns import PatternMap
from hornbeam.dtypes import is_float, standardize_dtype
from hornbeam.typing import CustomObjects, Policy, Tensor

__all__ = [
    "AWQDTypePolicy", "DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy", "GPTQDTypePolicy",
    "Int4DTypePolicy", "QuantizedDTypePolicy", "QuantizedFloat8DTypePolicy", "deserialize", "get",
    "serialize",
]  # fmt: skip


class DTypePolicy:
    """The dtypes of a layer's variables and of its computations.

    Args:
        name: A dtype name for both, or `"mixed_bfloat16"` or `"mixed_float16"` (float32 variables,
            16-bit computations). Default: the name of `hornbeam.config.dtype_policy()`.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> policy = DTypePolicy("mixed_bfloat16")
        >>> policy.variable_dtype, policy.compute_dtype
        ('float32', 'bfloat16')
    """

    def __init__(self, name: str | None = None):
        # A layer's own policy is not quantized, as long as it does not ask for it.
        name = dtype_policy().name.rpartition("_from_")[2] if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"DTypePolicy: expected `name` to be a string, received {name!r}.")
        self._name = name
        if name.startswith("mixed_"):
            compute = name.removeprefix("mixed_")
            if compute not in ("bfloat16", "float16"):
                raise ValueError(
                    f"DTypePolicy: unknown policy {name!r}. Mixed policies are 'mixed_bfloat16' and"
                    " 'mixed_float16'."
                )
            self._compute_dtype, self._variable_dtype = compute, "float32"
        else:
            try:
                self._compute_dtype = self._variable_dtype = standardize_dtype(name)
            except ValueError as error:
                raise ValueError(
                    "DTypePolicy: expected `name` to be a dtype name, 'mixed_bfloat16',"
                    " 'mixed_float16' or a quantized policy such as 'int8_from_float32', received"
                    f" unknown policy {name!r}."
                ) from error

    @property
    def name(self) -> str:
        return self._name

    @property
    def compute_dtype(self) -> str:
        """Dtype of the layer's computations and outputs."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """Dtype of the layer's variables."""
        return self._variable_dtype

    @property
    def quantization_mode(self) -> str | None:
        """Quantization mode of the weights, such as `"int8"`, or `None`."""
        return None

    def for_path(self, path: str) -> DTypePolicy:
        """Return the policy of the layer at `path`: this policy for every path."""
        return self

    def convert_input(self, x: Tensor, autocast: bool, dtype: str) -> Tensor:
        """Return `x` as a tensor. With `autocast`, floating-point tensors are cast to `dtype`."""
        x = convert(x)
        if autocast and is_float(x.dtype) and standardize_dtype(x.dtype) != dtype:
            return x.astype(dtype)
        return x

    def get_config(self) -> dict[str, Any]:
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


FloatDTypePolicy = DTypePolicy
MODES = ("int8", "float8", "int4", "gptq", "awq")


class QuantizedDTypePolicy(DTypePolicy):
    """The dtypes of a layer with quantized weights.

    Layers without quantized weights use the dtypes of the source policy.

    Args:
        mode: `"int8"`, `"int4"` (one scale per channel) or `"float8"`.
        source_name: Name of the policy before quantization. Default:
            `hornbeam.config.dtype_policy()`.

    Raises:
        ValueError: If the mode is unknown, or does not support float16 as the source.

    Example:
        >>> QuantizedDTypePolicy("int8", "mixed_bfloat16").name
        'int8_from_mixed_bfloat16'
    """

    def __init__(self, mode: str, source_name: str | None = None):
        self._mode = mode
        self._source_name = dtype_policy().name if source_name is None else source_name
        source = get_policy(self._source_name)
        self._compute_dtype, self._variable_dtype = source.compute_dtype, source.variable_dtype
        self._name = f"{mode}_from_{self._source_name}"
        if self.quantization_mode not in MODES or (
            type(self) is QuantizedDTypePolicy and mode not in MODES
        ):
            raise ValueError(
                f"{type(self).__name__}: `mode` must be one of {MODES}, received {mode!r}."
            )
        if self._compute_dtype == "float16" and self.quantization_mode in ("int8", "int4"):
            raise ValueError(
                f"{type(self).__name__}: {self.quantization_mode} weights have scales outside the"
                f" range of float16, received the source {self._source_name!r}. Use"
                " 'mixed_bfloat16' or 'float32'."
            )

    @property
    def quantization_mode(self) -> str:
        """Quantization mode of the weights: `mode` without its numbers."""
        return str(self._mode).partition("/")[0]

    def _numbers(self, names: str) -> list[int]:
        """Return the integers in the mode, which must have the form `names`."""
        word, *numbers = str(self._mode).split("/")
        if (
            word != names.partition("/")[0]
            or len(numbers) != names.count("/")
            or not all(map(_is_integer, numbers))
        ):
            raise ValueError(
                f"{type(self).__name__}: `mode` must have the form {names!r}, received"
                f" {self._mode!r}."
            )
        return [int(number) for number in numbers]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {"mode": self._mode, "source_name": self._source_name}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.get_config() == self.get_config()

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{self._name}">'


class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """The dtypes of a layer with matrix products in 8-bit floating point.

    Args:
        mode: `"float8"`.
        source_name: As for `QuantizedDTypePolicy`.
        amax_history_length: Number of steps whose largest absolute values determine the scales.

    Raises:
        TypeError: If the length is not an integer.

    Example:
        >>> QuantizedFloat8DTypePolicy("float8", "float32", 16).amax_history_length
        16
    """

    default_amax_history_length = 1024

    def __init__(self, mode: str, source_name: str | None = None, amax_history_length: int = 1024):
        super().__init__(mode, source_name)
        if not isinstance(amax_history_length, int) or isinstance(amax_history_length, bool):
            raise TypeError(
                f"{type(self).__name__}: `amax_history_length` must be an integer, received"
                f" {amax_history_length!r}."
            )
        self.amax_history_length = amax_history_length

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "amax_history_length": self.amax_history_length}


class Int4DTypePolicy(QuantizedDTypePolicy):
    """The dtypes of a layer with 4-bit weights and one scale per block.

    Args:
        mode: `"int4/BLOCK_SIZE"`; -1 for one block per channel.
        source_name: As for `QuantizedDTypePolicy`.

    Raises:
        ValueError: If the mode does not have this form.

    Example:
        >>> Int4DTypePolicy("int4/128", "float32").block_size
        128
    """

    def __init__(self, mode: str, source_name: str | None = None):
        super().__init__(mode, source_name)
        (self.block_size,) = self._numbers("int4/<block_size>")
        _check_size(type(self).__name__, "block_size", self.block_size)
        self.mode = "int4"


class GPTQDTypePolicy(QuantizedDTypePolicy):
    """The dtypes of a layer with weights quantized by GPTQ.

    Args:
        mode: `"gptq/BITS/GROUP_SIZE"`, with 2, 3, 4 or 8 bits, and the number of rows that share a
            scale (-1 for all rows).
        source_name: As for `QuantizedDTypePolicy`.

    Raises:
        ValueError: If the mode does not have this form.

    Example:
        >>> GPTQDTypePolicy("gptq/4/128", "float32").weight_bits
        4
    """

    _bits: tuple[int, ...] = (2, 3, 4, 8)
    _word = "gptq"

    def __init__(self, mode: str, source_name: str | None = None):
        super().__init__(mode, source_name)
        self.weight_bits, self.group_size = self._numbers(
            f"{self._word}/<weight_bits>/<group_size>"
        )
        if self.weight_bits not in self._bits:
            raise ValueError(
                f"{type(self).__name__}: `weight_bits` must be one of {self._bits}, received"
                f" {self.weight_bits} in {mode!r}."
            )
        _check_size(type(self).__name__, "group_size", self.group_size)
        self.mode = self._word


class AWQDTypePolicy(GPTQDTypePolicy):
    """The dtypes of a layer with weights quantized by AWQ.

    Args:
        mode: `"awq/4/GROUP_SIZE"`.
        source_name: As for `QuantizedDTypePolicy`.

    Raises:
        ValueError: If the mode does not have this form.

    Example:
        >>> AWQDTypePolicy("awq/4/128", "float32").group_size
        128
    """

    _bits = (4,)
    _word = "awq"


_BY_MODE = {"float8": QuantizedFloat8DTypePolicy, "gptq": GPTQDTypePolicy, "awq": AWQDTypePolicy}


def quantized_policy(
    mode: str, source_name: str | None = None, class_name: str | None = None, **options: Any
) -> QuantizedDTypePolicy:
    """Return the policy of a mode such as `"int8"` or `"int4/128"`.

    Args:
        mode: The mode.
        source_name: Name of the policy before quantization.
        class_name: Name of the class, if the mode does not determine it.
        **options: Further arguments of the class.
    """
    mode = str(mode)
    by_mode = (
        Int4DTypePolicy
        if mode.startswith("int4/")
        else _BY_MODE.get(mode.partition("/")[0], QuantizedDTypePolicy)
    )
    cls = QuantizedDTypePolicy if class_name == "QuantizedDTypePolicy" else by_mode
    return cls(mode, source_name, **options)


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _check_size(owner: str, name: str, size: int) -> None:
    if size < 1 and size != -1:
        raise ValueError(
            f"{owner}: `{name}` must be a positive integer or -1 (one for all), received {size}."
        )


class DTypePolicyMap(DTypePolicy, PatternMap):
    """A policy for each layer, chosen by its path. Pass it to layers as their `dtype`.

    Args:
        default_policy: Policy of layers that match no pattern. Default:
            `hornbeam.config.dtype_policy()`.
        policy_map: Policies by pattern: regular expressions that must match the full path.

    Raises:
        ValueError: During a lookup, if several patterns match.

    Example:
        >>> policies = DTypePolicyMap("mixed_bfloat16", {".*/head": "float32"})
        >>> policies["net/head"].compute_dtype, policies["net/body"].compute_dtype
        ('float32', 'bfloat16')
    """

    def __init__(self, default_policy: Policy = None, policy_map: Mapping[str, Any] | None = None):
        self._given = None if default_policy is None else get_policy(default_policy)
        PatternMap.__init__(self, None, policy_map)

    def _value(self, value: Any) -> DTypePolicy:
        return get_policy(value)

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of layers that match no pattern."""
        return self._given or dtype_policy()

    @property
    def name(self) -> str:
        return f"map_{self.default_policy.name}"

    @property
    def compute_dtype(self) -> str:
        """Compute dtype of the default policy."""
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """Variable dtype of the default policy."""
        return self.default_policy.variable_dtype

    def for_path(self, path: str) -> DTypePolicy:
        """Return the policy of the layer at `path`."""
        return self[path] or self.default_policy

    def __getitem__(self, path: str) -> DTypePolicy:
        return PatternMap.__getitem__(self, path) or self.default_policy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicyMap) and other.get_config() == self.get_config()

    __hash__ = object.__hash__
    __repr__ = PatternMap.__repr__

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "default_policy": None if self._given is None else serialize(self._given),
            "policy_map": {pattern: serialize(policy) for pattern, policy in self._entries.items()},
        }


def get(identifier: Policy) -> DTypePolicy:
    """Return the policy for a name, dtype, config or policy.

    Raises:
        ValueError: If a name is unknown.

    Example:
        >>> get("mixed_float16").compute_dtype
        'float16'
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    return get_policy(identifier)


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """Return the config of a policy, including its class, ready for JSON.

    Example:
        >>> serialize(DTypePolicy("float16"))["config"]
        {'name': 'float16'}
    """
    return {
        "module": "keras" if type(dtype_policy) is DTypePolicy else "keras.dtype_policies",
        "class_name": type(dtype_policy).__name__,
        "config": dtype_policy.get_config(),
        "registered_name": None,
    }


def deserialize(config: dict[str, Any], custom_objects: CustomObjects = None) -> DTypePolicy:
    """Return the policy for a config that includes the class.

    Example:
        >>> deserialize(serialize(DTypePolicy("float16")))
        <DTypePolicy "float16">
    """
    if config.get("class_name") == "DTypePolicyMap":
        return DTypePolicyMap(**config["config"])
    return get_policy(config)


def get_policy(identifier: Policy) -> DTypePolicy:
    """Return the policy for a name, dtype, config or policy.

    Example:
        >>> get_policy("mixed_float16").compute_dtype
        'float16'
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        if identifier.get("class_name") == "DTypePolicyMap":
            return DTypePolicyMap(**identifier["config"])
        if "mode" in identifier["config"]:
            return quantized_policy(**identifier["config"], class_name=identifier.get("class_name"))
        # Keras 2 saved policies as class "Policy", Keras 3 as "DTypePolicy".
        return DTypePolicy(identifier["config"]["name"])
    if isinstance(identifier, str):
        mode, separator, source = identifier.partition("_from_")
        if separator:
            return quantized_policy(mode, source)
        return DTypePolicy(identifier)
    if hasattr(identifier, "compute_dtype"):
        # A policy of the package Keras itself lacks methods of ours, but its name says it all.
        return identifier if hasattr(identifier, "for_path") else DTypePolicy(identifier.name)
    return DTypePolicy(standardize_dtype(identifier))


_default: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """Return the default `DTypePolicy` of new layers.

    Example:
        >>> dtype_policy().name
        'float32'
    """
    return _default or DTypePolicy(settings.floatx())


def set_dtype_policy(policy: Policy) -> None:
    """Set the default dtype policy of new layers.

    Args:
        policy: A name such as `"mixed_bfloat16"`, a `DTypePolicy`, or `None` for `floatx()`.

    Example:
        >>> set_dtype_policy("float32")
    """
    global _default
    _default = None if policy is None else get_policy(policy)
