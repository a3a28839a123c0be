"""Dtype policies: which dtypes layers store and compute in."""

from __future__ import annotations

from typing import Any

from hornbeam import config
from hornbeam.core.patterns import PatternMap
from hornbeam.dtypes import DTypePolicy, get_policy

__all__ = ["DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy", "deserialize", "get", "serialize"]

FloatDTypePolicy = DTypePolicy


class DTypePolicyMap(DTypePolicy, PatternMap):
    """A policy for each layer, chosen by the layer's path; give it to layers as their `dtype`.

    Args:
        default_policy: For layers that match no pattern. Default: `hornbeam.config.dtype_policy()`.
        policy_map: Patterns (regular expressions that match a whole path) and policies.

    Raises:
        ValueError: On a lookup, if several patterns match.

    Example:
        >>> policies = DTypePolicyMap("mixed_bfloat16", {".*/head": "float32"})
        >>> policies["net/head"].compute_dtype, policies["net/body"].compute_dtype
        ('float32', 'bfloat16')
    """

    def __init__(self, default_policy: Any = None, policy_map: Any = None):
        self._given = None if default_policy is None else get_policy(default_policy)
        PatternMap.__init__(self, None, policy_map)

    def _value(self, value: Any) -> DTypePolicy:
        return get_policy(value)

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of layers that match no pattern."""
        return self._given or config.dtype_policy()

    @property
    def name(self) -> str:
        return f"map_{self.default_policy.name}"

    @property
    def compute_dtype(self) -> str:
        """Dtype of the default policy's arithmetic."""
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """Dtype of the default policy's variables."""
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


def get(identifier: Any) -> DTypePolicy:
    """Return the policy that a name, a dtype, a config or a policy stands for.

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
    """Return the config of a policy, with its class, ready for JSON.

    Example:
        >>> serialize(DTypePolicy("float16"))["config"]
        {'name': 'float16'}
    """
    a_map = isinstance(dtype_policy, DTypePolicyMap)
    return {
        "module": "keras.dtype_policies" if a_map else "keras",
        "class_name": type(dtype_policy).__name__,
        "config": dtype_policy.get_config(),
        "registered_name": None,
    }


def deserialize(config: dict[str, Any], custom_objects: Any = None) -> DTypePolicy:
    """Return the policy of a config with its class.

    Example:
        >>> deserialize(serialize(DTypePolicy("float16")))
        <DTypePolicy "float16">
    """
    if config.get("class_name") == "DTypePolicyMap":
        return DTypePolicyMap(**config["config"])
    return get_policy(config)
