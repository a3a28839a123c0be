"""JAX primitives with a reference implementation for any platform and kernels for some."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

__all__ = ["define"]


def define(
    name: str,
    plain: Callable[..., Any],
    shapes: Callable[..., Any],
    kernels: Mapping[str, Callable[..., Any]] | None = None,
    options: Sequence[str] = (),
    many: bool = False,
) -> Primitive:
    """Return a new primitive.

    Batching and differentiation are derived from the reference implementation. To override them,
    set `batching.primitive_batchers[primitive]`, `ad.primitive_jvps[primitive]`,
    `ad.primitive_transposes[primitive]`, or call `ad.defbilinear`.

    Args:
        name: Name of the primitive.
        plain: Reference implementation, in JAX operations. It takes the operands, and the options
            by name.
        shapes: Function of the same arguments that returns the shape of the result. The dtype of a
            result is that of the first operand.
        kernels: Other implementations by platform, `"cpu"` or `"cuda"`.
        options: Names of the options; their values must be hashable.
        many: Whether `plain` returns a list of results, and `shapes` a list of shapes.

    Example:
        >>> import jax.numpy as jnp
        >>> def shift(x, *, by):
        ...     return x + by
        >>> shift_p = define("example_shift", shift, lambda x, *, by: x.shape, options=["by"])
        >>> jax.grad(lambda x: shift_p.bind(x, by=2.0) ** 2)(1.0)
        Array(6., dtype=float32, weak_type=True)
    """
    primitive = Primitive(name)
    primitive.multiple_results = many

    def abstract(*operands: Any, **given: Any) -> Any:
        found, dtype = shapes(*operands, **given), operands[0].dtype
        return (
            [jax.core.ShapedArray(shape, dtype) for shape in found]
            if many
            else jax.core.ShapedArray(found, dtype)
        )

    def batch(operands: Any, axes: Any, **given: Any) -> Any:
        outputs = jax.vmap(functools.partial(plain, **given), axes)(*operands)
        return outputs, [0] * len(outputs) if many else 0

    def jvp(primals: Any, tangents: Any, **given: Any) -> Any:
        whole = tuple(ad.instantiate_zeros(tangent) for tangent in tangents)
        return jax.jvp(functools.partial(plain, **given), tuple(primals), whole)

    primitive.def_impl(jax.jit(primitive.bind, static_argnames=tuple(options)))
    primitive.def_abstract_eval(abstract)
    mlir.register_lowering(primitive, mlir.lower_fun(plain, multiple_results=many))
    for platform, kernel in (kernels or {}).items():
        mlir.register_lowering(primitive, _unless_exported(plain, kernel, many), platform=platform)
    batching.primitive_batchers[primitive] = batch
    ad.primitive_jvps[primitive] = jvp
    return primitive


def _unless_exported(
    plain: Callable[..., Any], kernel: Callable[..., Any], many: bool
) -> Callable[..., Any]:
    """Return a rule that lowers to the kernel, but to the plain version for `jax.export`.

    An exported program leaves the process, and its sizes may be symbols.
    """
    to_plain = mlir.lower_fun(plain, multiple_results=many)
    to_kernel = mlir.lower_fun(kernel, multiple_results=many)

    def rule(context: Any, *operands: Any, **given: Any) -> Any:
        parameters = context.module_context.lowering_parameters
        exported = getattr(parameters, "for_export", False)
        return (to_plain if exported else to_kernel)(context, *operands, **given)

    return rule
