"""The base class of exporters, and their helpers: the model as a pure function, symbolic inputs."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp  # noqa: F401  (examples use it)
from jax import export as jax_export

from hornbeam.core.variable import Overlay, Variable
from hornbeam.dtypes import standardize_dtype
from hornbeam.ops import routes
from hornbeam.typing import FilePath, Structure

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["Exporter", "pure_call", "symbolic_inputs"]


class Exporter(abc.ABC):
    """Base class of exporters; an exporter writes models in one format.

    Attributes:
        name: Name of the format, such as `"stablehlo"`.
        extra: Name of the optional dependencies that the exporter needs, such as `"onnx"` for
            `pip install hornbeam[onnx]`; `None` if it needs none.

    Example:
        >>> class Summary(Exporter):
        ...     name = "summary"
        ...
        ...     def write(self, model, path, input_signature=None, **options):
        ...         Path(path).write_text(f"{model.name}: {model.count_params()} weights")
        >>> import tempfile
        >>> from pathlib import Path
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)], name="net")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Summary().write(model, f"{folder}/a.txt")
        ...     print(Path(f"{folder}/a.txt").read_text())
        net: 8 weights
    """

    name: str
    extra: str | None = None

    @abc.abstractmethod
    def write(
        self, model: Model, path: FilePath, input_signature: Structure = None, **options: Any
    ) -> None:
        """Write a built model to a file.

        Args:
            model: The model.
            path: Path of the file; an existing one is replaced.
            input_signature: The inputs, in the structure in which the model is called. Each tensor
                is any object with a `shape` and a `dtype`; unknown sizes are `None`. Default: the
                model's symbolic inputs.
            **options: Options of the format.
        """


def symbolic_inputs(model: Model, given: Structure = None) -> Structure:
    """Return a model's inputs as `jax.ShapeDtypeStruct`s, with symbols for unknown sizes.

    An unknown size of the first axis is the symbol `batch` in all inputs. Every other unknown size
    gets a symbol of its own.

    Args:
        model: The model.
        given: The argument `input_signature` of `Exporter.write`.

    Raises:
        ValueError: If the model does not know its inputs, or a part of `given` has no shape.

    Example:
        >>> import hornbeam as hb
        >>> symbolic_inputs(hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)])).shape
        (batch, 3)
    """
    if given is None and getattr(model, "inputs", None):
        given = model.input
    if given is None:
        raise ValueError(
            f"export: the model '{model.name}' does not know the shapes of its inputs. Expected a"
            " functional or Sequential model with inputs. Pass `input_signature`, such as"
            " [jax.ShapeDtypeStruct((8, 28, 28), 'float32')]."
        )
    if isinstance(given, (list, tuple)) and len(given) == 1:
        given = given[0]  # Keras wraps the signature of a single input in a list
    scope = jax_export.SymbolicScope()
    names = (f"size_{number}" for number in itertools.count(1))

    def read(x: Any) -> jax.ShapeDtypeStruct:
        if getattr(x, "shape", None) is None:
            raise ValueError(
                "export: `input_signature` must hold objects with a `shape` and a `dtype`, such as"
                f" arrays or jax.ShapeDtypeStruct, received {x!r}."
            )
        free = [
            "batch" if axis == 0 else next(names) if n is None else n
            for axis, n in enumerate(x.shape)
        ]
        sizes = [name if n is None else n for n, name in zip(x.shape, free, strict=True)]
        shape = jax_export.symbolic_shape(
            f"({', '.join(map(str, sizes))},)" if sizes else "()", scope=scope
        )
        return jax.ShapeDtypeStruct(shape, standardize_dtype(getattr(x, "dtype", None)))

    return jax.tree.map(read, given, is_leaf=lambda x: hasattr(x, "shape"))


def pure_call(model: Model) -> tuple[Callable[[Sequence[Any], Any], Any], list[Variable]]:
    """Return a model's inference as a pure function, and the model's weights.

    The arguments of the function are the values of the weights and the inputs. All ops use their
    portable implementation, so the program also runs without Hornbeam's kernels.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2, kernel_initializer="ones")])
        >>> function, weights = pure_call(model)
        >>> function([weight.value for weight in weights], jnp.ones((1, 3))).tolist()
        [[3.0, 3.0]]
    """
    weights = list(model.weights)

    def call(values: Sequence[Any], inputs: Any) -> Any:
        with routes.portable(), Overlay(weights, values):
            return model(inputs, training=False)

    return call, weights
