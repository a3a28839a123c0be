"""Names of dtypes, the rules that combine them, and dtype policies."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam import config

__all__ = ["DTypePolicy", "FloatDTypePolicy", "get_policy", "is_float", "result_type", "standardize_dtype"]

_PYTHON_TYPES = {bool: "bool", int: "int32", float: None, str: "string"}
_FLOATS = frozenset(["float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"])
ALLOWED = (
    frozenset(
        ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
        + ["complex64", "complex128", "string"]
    )
    | _FLOATS
)


def standardize_dtype(dtype: Any) -> str:
    """Return the name of a dtype given as name, Python type, NumPy or JAX dtype.

    Args:
        dtype: What names a dtype; `None` means `floatx()`.

    Returns:
        A name such as `"float32"`.

    Raises:
        ValueError: If `dtype` names no dtype that arrays can have.

    Example:
        >>> standardize_dtype(np.float32), standardize_dtype(None), standardize_dtype(int)
        ('float32', 'float32', 'int32')
    """
    if dtype is None:
        return config.floatx()
    if isinstance(dtype, type) and dtype in _PYTHON_TYPES:
        return _PYTHON_TYPES[dtype] or config.floatx()
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None)
    if not isinstance(name, str):
        try:
            name = jnp.dtype(dtype).name
        except TypeError:
            name = str(dtype)
    name = {"half": "float16", "float": "float32", "double": "float64", "int": "int32"}.get(name, name)
    if name == "key<fry>" or name in ALLOWED:
        return name
    raise ValueError(f"Unknown dtype {dtype!r}; expected one of {sorted(ALLOWED)}.")


def is_float(dtype: Any) -> bool:
    """Tell whether `dtype` is a floating-point type.

    Example:
        >>> is_float("bfloat16"), is_float("int32")
        (True, False)
    """
    return standardize_dtype(dtype) in _FLOATS


def result_type(*values: Any) -> str:
    """Return the dtype that an operation on these dtypes gives.

    JAX's promotion lattice; Python numbers are weak: they take the other side's dtype.

    Args:
        *values: Dtype names, or Python scalar types (`int`, `float`), or arrays.

    Example:
        >>> result_type("int32", "float16"), result_type("bfloat16", float)
        ('float16', 'bfloat16')
    """
    examples = []
    for value in values:
        if value in (bool, int, float):
            examples.append(value(0))
        elif hasattr(value, "dtype") and not isinstance(value, (type, np.dtype)):
            examples.append(value.dtype)
        else:
            examples.append(jnp.dtype(standardize_dtype(value)))
    return jnp.result_type(*examples).name


class DTypePolicy:
    """The pair of dtypes a layer works with: that of its variables, that of its arithmetic.

    Args:
        name: A dtype name (both are that), `"mixed_bfloat16"` or `"mixed_float16"`
            (float32 variables, half-width arithmetic). Default: `floatx()`.

    Raises:
        ValueError: If the name is none of these.

    Example:
        >>> policy = DTypePolicy("mixed_bfloat16")
        >>> policy.variable_dtype, policy.compute_dtype
        ('float32', 'bfloat16')
    """

    def __init__(self, name: str | None = None):
        name = config.floatx() if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"DTypePolicy: expected `name` to be a string, received {name!r}.")
        self._name = name
        if name.startswith("mixed_"):
            compute = name.removeprefix("mixed_")
            if compute not in ("bfloat16", "float16"):
                raise ValueError(
                    f"DTypePolicy: unknown policy {name!r}; mixed policies are 'mixed_bfloat16' and 'mixed_float16'."
                )
            self._compute_dtype, self._variable_dtype = compute, "float32"
        else:
            try:
                self._compute_dtype = self._variable_dtype = standardize_dtype(name)
            except ValueError as error:
                raise ValueError(
                    f"DTypePolicy: unknown policy {name!r}; expected a dtype name, 'mixed_bfloat16', 'mixed_float16', or "
                    "a quantized one such as 'int8_from_float32'."
                ) from error

    @property
    def name(self) -> str:
        return self._name

    @property
    def compute_dtype(self) -> str:
        """Dtype of the layer's arithmetic and outputs."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """Dtype in which the layer's variables are stored."""
        return self._variable_dtype

    @property
    def quantization_mode(self) -> str | None:
        """How layers keep their weights in fewer bits, such as `"int8"`; `None` if they do not."""
        return None

    def for_path(self, path: str) -> DTypePolicy:
        """Return the policy of the layer at `path`: this one, whatever the path."""
        return self

    def convert_input(self, x: Any, autocast: bool, dtype: str) -> Any:
        """Return `x` as a tensor; cast to `dtype` where `autocast` and `x` is floating point."""
        from hornbeam.core.convert import convert

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


def get_policy(identifier: Any) -> DTypePolicy:
    """Return the policy that a name, a dtype, a config or a policy stands for.

    Example:
        >>> get_policy("mixed_float16").compute_dtype
        'float16'
    """
    if identifier is None:
        return config.dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        if identifier.get("class_name") == "DTypePolicyMap":
            from hornbeam.dtype_policies import DTypePolicyMap

            return DTypePolicyMap(**identifier["config"])
        if "mode" in identifier["config"]:
            from hornbeam.dtype_policies import quantized_policy

            return quantized_policy(**identifier["config"], class_name=identifier.get("class_name"))
        # Keras 2 saved policies as class "Policy"; Keras 3 as "DTypePolicy".
        return DTypePolicy(identifier["config"]["name"])
    if isinstance(identifier, str):
        mode, separator, source = identifier.partition("_from_")
        if separator:
            from hornbeam.dtype_policies import quantized_policy

            return quantized_policy(mode, source)
        return DTypePolicy(identifier)
    if hasattr(identifier, "compute_dtype"):
        return identifier
    return DTypePolicy(standardize_dtype(identifier))
