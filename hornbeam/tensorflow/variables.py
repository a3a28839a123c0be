"""`tf.Variable` and `tf.Module`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam.core.naming import name_scope, to_snake_case
from hornbeam.core.variable import Variable as _Variable
from hornbeam.layers.layer import Layer
from hornbeam.tensorflow.arrays import convert_to_tensor
from hornbeam.tensorflow.functions import tensor
from hornbeam.tensorflow.host import TensorShape
from hornbeam.tensorflow.indexing import gather_nd

__all__ = ["Module", "Variable", "VariableAggregation", "VariableSynchronization"]


class VariableAggregation:
    """How replicas combine a variable; there is one replica."""

    NONE, SUM, MEAN, ONLY_FIRST_REPLICA = "none", "sum", "mean", "only_first_replica"


class VariableSynchronization:
    """When replicas combine a variable; there is one replica."""

    AUTO, NONE, ON_WRITE, ON_READ = "auto", "none", "on_write", "on_read"


class Variable(_Variable):
    """A tensor that can be assigned.

    Args:
        initial_value: Numbers, a tensor, or a function without arguments that returns one.
        trainable: Whether optimizers change it and tapes watch it. Default: True.
        validate_shape: No effect; the shape is that of the value.
        caching_device: No effect.
        name: Name. Default: `"Variable"`.
        variable_def: No effect.
        dtype: Dtype. Default: that of the value.
        import_scope: No effect.
        constraint: Function that optimizers apply to the new value.
        synchronization: No effect; there is one replica.
        aggregation: No effect; there is one replica.
        shape: Shape; must be that of the value.

    Example:
        >>> v = Variable([1.0, 2.0])
        >>> v.assign_add([1.0, 1.0]).numpy()
        array([2., 3.], dtype=float32)
    """

    def __init__(
        self, initial_value: Any = None, trainable: bool | None = None, validate_shape: bool = True,
        caching_device: Any = None, name: str | None = None, variable_def: Any = None,
        dtype: Any = None, import_scope: Any = None, constraint: Any = None,
        synchronization: Any = "auto", aggregation: Any = "none", shape: Any = None,
    ):  # fmt: skip
        if initial_value is None:
            raise ValueError("Variable: `initial_value` is missing. Give the first value.")
        value = initial_value() if callable(initial_value) else initial_value
        value = convert_to_tensor(value, dtype)
        short = (name or "Variable").replace("/", "_").partition(":")[0]
        super().__init__(value, trainable=trainable is not False, name=short)
        self.constraint = constraint

    @property
    def shape(self) -> Any:
        """The sizes of the axes."""
        return TensorShape(self._shape)

    def assign(  # type: ignore[override]
        self, value: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> Variable:
        """Replace the value; return the variable."""
        super().assign(convert_to_tensor(value, self.stored_dtype))
        return self

    def assign_add(  # type: ignore[override]
        self, delta: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> Variable:
        """Add a tensor; return the variable."""
        super().assign_add(delta)
        return self

    def assign_sub(  # type: ignore[override]
        self, delta: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> Variable:
        """Subtract a tensor; return the variable."""
        super().assign_sub(delta)
        return self

    def numpy(self) -> Any:
        """Return a copy of the value as an array or a number of NumPy."""
        array = np.array(self.value)
        return array if array.ndim else array[()]

    def initialized_value(self) -> Any:
        """Return the value."""
        return self.read_value()

    def read_value(self) -> Any:
        """Return the value as a tensor of its own."""
        return jnp.array(self.value, copy=True)

    def get_shape(self) -> TensorShape:
        """Return the sizes of the axes."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Check the shape."""
        if not self.shape.is_compatible_with(TensorShape(shape)):
            raise ValueError(f"set_shape: a variable of shape {self.shape} is not {tuple(shape)}.")

    def count_up_to(self, limit: int) -> Any:
        """Add 1 and return the value before."""
        before = self.read_value()
        self.assign_add(1)
        return before

    def gather_nd(self, indices: Any, name: Any = None) -> Any:
        """Return the elements at indices."""
        return gather_nd(self.value, indices)

    def sparse_read(self, indices: Any, name: Any = None) -> Any:
        """Return the rows at indices."""
        return jnp.take(self.value, tensor(indices), 0)

    def _at(self, indices: Any) -> Any:
        return self.value.at[tuple(jnp.moveaxis(tensor(indices), -1, 0))]

    def scatter_nd_update(self, indices: Any, updates: Any, name: Any = None) -> Variable:
        """Replace elements at indices."""
        return self.assign(self._at(indices).set(tensor(updates)))

    def scatter_nd_add(self, indices: Any, updates: Any, name: Any = None) -> Variable:
        """Add to elements at indices."""
        return self.assign(self._at(indices).add(tensor(updates)))

    def scatter_nd_sub(self, indices: Any, updates: Any, name: Any = None) -> Variable:
        """Subtract from elements at indices."""
        return self.assign(self._at(indices).add(-tensor(updates)))

    def scatter_update(self, sparse_delta: Any, use_locking: Any = False, name: Any = None) -> Any:
        """Replace the rows of `tf.IndexedSlices`."""
        return self.assign(self.value.at[sparse_delta.indices].set(sparse_delta.values))

    def scatter_add(self, sparse_delta: Any, use_locking: Any = False, name: Any = None) -> Any:
        """Add to the rows of `tf.IndexedSlices`."""
        return self.assign(self.value.at[sparse_delta.indices].add(sparse_delta.values))


def _parts(x: Any, seen: set[int]) -> Iterator[Any]:
    """Yield the variables, modules and layers in an attribute."""
    if id(x) in seen:
        return
    seen.add(id(x))
    if isinstance(x, (_Variable, Module, Layer)):
        yield x
    elif isinstance(x, dict):
        for key in x:
            yield from _parts(x[key], seen)
    elif isinstance(x, (list, tuple)):
        for item in x:
            yield from _parts(item, seen)


class Module:
    """A holder of variables, which it finds in its attributes.

    Args:
        name: Name. Default: the class's name in snake case.

    Example:
        >>> class Scale(Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.factor = Variable(2.0)
        >>> len(Scale().trainable_variables)
        1
    """

    def __init__(self, name: str | None = None):
        self._name = name or to_snake_case(type(self).__name__)

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def name_scope(self) -> AbstractContextManager[Any]:
        """A scope of the module's name."""
        return name_scope(self.name)

    def _all(self) -> list[Any]:
        """Return the parts in the order of the attributes' names."""
        seen: set[int] = {id(self)}
        found = []
        for key in sorted(vars(self)):
            for part in _parts(vars(self)[key], seen):
                found.append(part)
        return found

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables of the module and the modules inside it."""
        found: dict[Any, None] = {}
        for part in self._all():
            inner = [part] if isinstance(part, _Variable) else part.variables
            found.update(dict.fromkeys(inner))
        return tuple(found)

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """The variables that optimizers change."""
        return tuple(v for v in self.variables if v.trainable)

    @property
    def non_trainable_variables(self) -> tuple[Any, ...]:
        """The variables that optimizers leave as they are."""
        return tuple(v for v in self.variables if not v.trainable)

    @property
    def submodules(self) -> tuple[Any, ...]:
        """The modules and layers inside it."""
        found: dict[Any, None] = {}
        for part in self._all():
            if not isinstance(part, _Variable):
                found[part] = None
                found.update(dict.fromkeys(getattr(part, "submodules", ())))
        return tuple(found)

    @classmethod
    def with_name_scope(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method; names of variables do not depend on scopes here."""
        return method
