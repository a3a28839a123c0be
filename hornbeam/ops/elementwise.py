"""Arithmetic, comparisons and functions that are applied element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.convert import convert, with_values
from hornbeam.core.op import op
from hornbeam.dtypes import standardize_dtype
from hornbeam.ops.lift import binary, named, number, unary
from hornbeam.typing import DType, Tensor

__all__ = [
    "abs", "absolute", "add", "allclose", "angle", "arccos", "arccosh", "arcsin", "arcsinh",
    "arctan", "arctan2", "arctanh", "bitwise_and", "bitwise_invert", "bitwise_left_shift",
    "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "cast", "cbrt", "ceil",
    "clip", "conj", "conjugate", "copy", "cos", "cosh", "deg2rad", "divide", "divide_no_nan",
    "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "fabs", "floor", "floor_divide",
    "fmax", "fmin", "fmod", "gcd", "greater", "greater_equal", "heaviside", "hypot", "i0", "imag",
    "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf", "isreal", "lcm",
    "ldexp", "left_shift", "less", "less_equal", "log", "log10", "log1p", "log2", "logaddexp",
    "logaddexp2", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum",
    "mod", "multiply", "nan_to_num", "negative", "nextafter", "not_equal", "polar", "power",
    "rad2deg", "real", "reciprocal", "right_shift", "round", "rsqrt", "saturate_cast", "select",
    "sign", "signbit", "sin", "sinc", "sinh", "sqrt", "square", "subtract", "tan", "tanh",
    "true_divide", "trunc", "view", "view_as_complex", "view_as_real", "where",
]  # fmt: skip

# --- one tensor -------------------------------------------------------------------------------


def _floating(x: Any) -> Any:
    """Return integers as `floatx()`, anything else as it is."""
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(standardize_dtype(None))


absolute = unary("absolute", jnp.absolute, "Return the absolute value of each element.", -2.0, 2.0)
abs = absolute
fabs = unary(
    "fabs", lambda x: jnp.fabs(_floating(x)), "Return absolute values, as floats.", -2, 2.0
)
negative = unary("negative", jnp.negative, "Return `-x`.", 2.0, -2.0)
sign = unary("sign", jnp.sign, "Return -1, 0 or 1 by the sign of each element.", -3.0, -1.0)
signbit = unary(
    "signbit", jnp.signbit, "Return whether the sign bit of each element is set.", -3.0, True
)
square = unary("square", jnp.square, "Return `x * x`.", 3.0, 9.0)
reciprocal = unary("reciprocal", jnp.reciprocal, "Return `1 / x`.", 2.0, 0.5)
ceil = unary("ceil", lambda x: jnp.ceil(_floating(x)), "Round up.", 1.2, 2.0)
floor = unary("floor", lambda x: jnp.floor(_floating(x)), "Round down.", 1.8, 1.0)
trunc = unary("trunc", jnp.trunc, "Round towards zero.", -1.8, -1.0)
sqrt = unary("sqrt", lambda x: jnp.sqrt(_floating(x)), "Return the square root.", 4.0, 2.0)
cbrt = unary("cbrt", lambda x: jnp.cbrt(_floating(x)), "Return the cube root.", 0.0, 0.0)
rsqrt = unary(
    "rsqrt", lambda x: jax.lax.rsqrt(_floating(x)), "Return `1 / sqrt(x)`.", 4.0, 0.5, "math"
)
exp = unary("exp", lambda x: jnp.exp(_floating(x)), "Return `e**x`.", 0.0, 1.0)
exp2 = unary("exp2", lambda x: jnp.exp2(_floating(x)), "Return `2**x`.", 0.0, 1.0)
expm1 = unary(
    "expm1", lambda x: jnp.expm1(_floating(x)), "Return `exp(x) - 1`, accurate near 0.", 0.0, 0.0
)
log = unary("log", lambda x: jnp.log(_floating(x)), "Return the natural logarithm.", 1.0, 0.0)
log10 = unary(
    "log10", lambda x: jnp.log10(_floating(x)), "Return the logarithm to base 10.", 1.0, 0.0
)
log1p = unary(
    "log1p", lambda x: jnp.log1p(_floating(x)), "Return `log(1 + x)`, accurate near 0.", 0.0, 0.0
)
log2 = unary("log2", lambda x: jnp.log2(_floating(x)), "Return the logarithm to base 2.", 1.0, 0.0)
sin = unary("sin", lambda x: jnp.sin(_floating(x)), "Return the sine; angles in radians.", 0.0, 0.0)
cos = unary(
    "cos", lambda x: jnp.cos(_floating(x)), "Return the cosine; angles in radians.", 0.0, 1.0
)
tan = unary(
    "tan", lambda x: jnp.tan(_floating(x)), "Return the tangent; angles in radians.", 0.0, 0.0
)
sinh = unary("sinh", lambda x: jnp.sinh(_floating(x)), "Return the hyperbolic sine.", 0.0, 0.0)
cosh = unary("cosh", lambda x: jnp.cosh(_floating(x)), "Return the hyperbolic cosine.", 0.0, 1.0)
tanh = unary("tanh", lambda x: jnp.tanh(_floating(x)), "Return the hyperbolic tangent.", 0.0, 0.0)
arcsin = unary(
    "arcsin", lambda x: jnp.arcsin(_floating(x)), "Return the inverse sine, in radians.", 0.0, 0.0
)
arccos = unary(
    "arccos", lambda x: jnp.arccos(_floating(x)), "Return the inverse cosine, in radians.", 1.0, 0.0
)
arctan = unary(
    "arctan",
    lambda x: jnp.arctan(_floating(x)),
    "Return the inverse tangent, in radians.",
    0.0,
    0.0,
)
arcsinh = unary(
    "arcsinh", lambda x: jnp.arcsinh(_floating(x)), "Return the inverse hyperbolic sine.", 0.0, 0.0
)
arccosh = unary(
    "arccosh",
    lambda x: jnp.arccosh(_floating(x)),
    "Return the inverse hyperbolic cosine.",
    1.0,
    0.0,
)
arctanh = unary(
    "arctanh",
    lambda x: jnp.arctanh(_floating(x)),
    "Return the inverse hyperbolic tangent.",
    0.0,
    0.0,
)
sinc = unary(
    "sinc",
    lambda x: jnp.sinc(_floating(x)),
    "Return `sin(pi * x) / (pi * x)`, and 1 at 0.",
    0.0,
    1.0,
)
i0 = unary(
    "i0", lambda x: jnp.i0(_floating(x)), "Return the modified Bessel function of order 0.", [], []
)
erf = unary(
    "erf", lambda x: jax.lax.erf(_floating(x)), "Return the error function.", 0.0, 0.0, "math"
)
erfc = unary("erfc", lambda x: jax.lax.erfc(_floating(x)), "Return `1 - erf(x)`.", 0.0, 1.0, "math")
erfinv = unary(
    "erfinv",
    lambda x: jax.lax.erf_inv(_floating(x)),
    "Return the inverse of `erf`.",
    0.0,
    0.0,
    "math",
)
deg2rad = unary(
    "deg2rad", lambda x: jnp.deg2rad(_floating(x)), "Convert degrees to radians.", 0.0, 0.0
)
rad2deg = unary(
    "rad2deg", lambda x: jnp.rad2deg(_floating(x)), "Convert radians to degrees.", 0.0, 0.0
)
real = unary("real", jnp.real, "Return the real part.", 1.0, 1.0)
imag = unary("imag", jnp.imag, "Return the imaginary part.", 1.0, 0.0)
conjugate = unary("conjugate", jnp.conjugate, "Return the complex conjugate.", 1.0, 1.0)
conj = conjugate
angle = unary(
    "angle", lambda x: jnp.angle(_floating(x)), "Return the angle of complex numbers.", 1.0, 0.0
)
isfinite = unary("isfinite", jnp.isfinite, "Tell which elements are finite.", 1.0, True)
isinf = unary("isinf", jnp.isinf, "Tell which elements are infinite.", 1.0, False)
isnan = unary("isnan", jnp.isnan, "Tell which elements are not a number.", 1.0, False)
isneginf = unary("isneginf", jnp.isneginf, "Tell which elements are minus infinity.", 1.0, False)
isposinf = unary("isposinf", jnp.isposinf, "Tell which elements are plus infinity.", 1.0, False)
isreal = unary("isreal", jnp.isreal, "Tell which elements have no imaginary part.", 1.0, True)
logical_not = unary(
    "logical_not", jnp.logical_not, "Tell which elements are zero or false.", True, False
)
bitwise_not = unary("bitwise_not", jnp.bitwise_not, "Flip every bit.", 1, -2)
bitwise_invert = unary("bitwise_invert", jnp.invert, "Flip every bit.", 1, -2)
copy = unary("copy", jnp.copy, "Return a copy.", 1.0, 1.0)
view_as_complex = unary(
    "view_as_complex", lambda x: jax.lax.complex(x[..., 0], x[..., 1]),
    "Return pairs (real, imaginary) on the last axis as complex numbers.", [1.0, 2.0], 1 + 2j,
    "math",
)  # fmt: skip
view_as_real = unary(
    "view_as_real", lambda x: jnp.stack([x.real, x.imag], -1),
    "Return complex numbers as pairs (real, imaginary) on a last axis.", 1 + 2j, [1.0, 2.0], "math",
)  # fmt: skip

# --- two tensors ------------------------------------------------------------------------------


def _divide_no_nan(x1: Any, x2: Any) -> Any:
    quotient = jnp.true_divide(x1, x2)
    safe = jnp.true_divide(x1, jnp.where(x2 == 0, jnp.ones_like(x2), x2))
    return jnp.where(x2 == 0, jnp.zeros_like(quotient), safe)


add = binary("add", jnp.add, "Return `x1 + x2`.", (1, 2), 3)
subtract = binary("subtract", jnp.subtract, "Return `x1 - x2`.", (1, 2), -1)
multiply = binary("multiply", jnp.multiply, "Return `x1 * x2`.", (2, 3), 6)
true_divide = binary("true_divide", jnp.true_divide, "Return `x1 / x2`, as a float.", (1, 2), 0.5)
divide = binary("divide", jnp.true_divide, "Return `x1 / x2`, as a float.", (1, 2), 0.5)
divide_no_nan = binary(
    "divide_no_nan", _divide_no_nan, "Return `x1 / x2`, and 0 where `x2` is 0.", (1.0, 0.0), 0.0
)
floor_divide = binary(
    "floor_divide", jnp.floor_divide, "Return `x1 / x2`, rounded down.", (7, 2), 3
)
mod = binary(
    "mod", jnp.mod, "Return the remainder of `x1 / x2`, with the sign of `x2`.", (-7, 3), 2
)
fmod = binary(
    "fmod", jnp.fmod, "Return the remainder of `x1 / x2`, with the sign of `x1`.", (-7, 3), -1
)
power = binary("power", jnp.power, "Return `x1` to the power of `x2`.", (2.0, 3.0), 8.0)
maximum = binary("maximum", jnp.maximum, "Return the greater of each pair.", (1, 2), 2)
minimum = binary("minimum", jnp.minimum, "Return the lesser of each pair.", (1, 2), 1)
fmax = binary(
    "fmax", jnp.fmax, "Return the greater of each pair; a number wins over NaN.", (1.0, 2.0), 2.0
)
fmin = binary(
    "fmin", jnp.fmin, "Return the lesser of each pair; a number wins over NaN.", (1.0, 2.0), 1.0
)
equal = binary("equal", jnp.equal, "Return whether `x1 == x2`, element by element.", (1, 2), False)
not_equal = binary(
    "not_equal", jnp.not_equal, "Return whether `x1 != x2`, element by element.", (1, 2), True
)
less = binary("less", jnp.less, "Return whether `x1 < x2`, element by element.", (1, 2), True)
less_equal = binary(
    "less_equal", jnp.less_equal, "Return whether `x1 <= x2`, element by element.", (1, 2), True
)
greater = binary(
    "greater", jnp.greater, "Return whether `x1 > x2`, element by element.", (1, 2), False
)
greater_equal = binary(
    "greater_equal",
    jnp.greater_equal,
    "Return whether `x1 >= x2`, element by element.",
    (1, 2),
    False,
)
logical_and = binary(
    "logical_and", jnp.logical_and, "Return whether both elements are true.", (True, False), False
)
logical_or = binary(
    "logical_or",
    jnp.logical_or,
    "Return whether at least one of two elements is true.",
    (True, False),
    True,
)
logical_xor = binary(
    "logical_xor",
    jnp.logical_xor,
    "Return whether exactly one of two elements is true.",
    (True, False),
    True,
)
arctan2 = binary(
    "arctan2",
    jnp.arctan2,
    "Return the angle of the point (x2, x1), in radians from -pi to pi.",
    (0.0, 1.0),
    0.0,
)
hypot = binary("hypot", jnp.hypot, "Return `sqrt(x1^2 + x2^2)`.", (3.0, 4.0), 5.0)
logaddexp = binary("logaddexp", jnp.logaddexp, "Return `log(exp(x1) + exp(x2))`.", (0.0, -1e9), 0.0)
logaddexp2 = binary("logaddexp2", jnp.logaddexp2, "Return `log2(2^x1 + 2^x2)`.", (1.0, 1.0), 2.0)
heaviside = binary(
    "heaviside",
    jnp.heaviside,
    "Return 0 where `x1` is negative, `x2` where it is 0, 1 where it is positive.",
    (2.0, 0.5),
    1.0,
)
gcd = binary("gcd", jnp.gcd, "Return the greatest common divisor.", (4, 6), 2)
lcm = binary("lcm", jnp.lcm, "Return the least common multiple.", (4, 6), 12)
ldexp = binary("ldexp", jnp.ldexp, "Return `x1 * 2^x2`.", (1.0, 3), 8.0)
nextafter = binary(
    "nextafter",
    jnp.nextafter,
    "Return the next floating-point number after `x1` in the direction of `x2`.",
    (1.0, 1.0),
    1.0,
)


def _bitwise(name: str, function: Callable[[Any, Any], Any], doc: str, result: int) -> Any:
    def lifted(x: Tensor, y: Tensor) -> Tensor:
        return function(number(x), number(y))

    named(lifted, name, __name__, doc, f"{name}(6, 3)", result)
    return op("numpy")(lifted)


bitwise_and = _bitwise("bitwise_and", jnp.bitwise_and, "Return the bits that are set in both.", 2)
bitwise_or = _bitwise(
    "bitwise_or", jnp.bitwise_or, "Return the bits that are set in at least one of the two.", 7
)
bitwise_xor = _bitwise(
    "bitwise_xor", jnp.bitwise_xor, "Return the bits that are set in exactly one of the two.", 5
)
bitwise_left_shift = _bitwise("bitwise_left_shift", jnp.left_shift, "Return `x * 2^y`.", 48)
left_shift = _bitwise("left_shift", jnp.left_shift, "Return `x * 2^y`.", 48)
bitwise_right_shift = _bitwise("bitwise_right_shift", jnp.right_shift, "Return `x // 2^y`.", 0)
right_shift = _bitwise("right_shift", jnp.right_shift, "Return `x // 2^y`.", 0)

# --- with settings ----------------------------------------------------------------------------


@op("numpy")
def clip(x: Tensor, x_min: Any, x_max: Any) -> Tensor:
    """Limit the elements of `x` to the range from `x_min` to `x_max`.

    Args:
        x: Tensor; booleans become int32.
        x_min, x_max: Bounds, numbers or tensors that broadcast to `x`; `None` for no bound.

    Example:
        >>> clip(jnp.array([-1.0, 3.0]), 0.0, 1.0)
        Array([0., 1.], dtype=float32)
    """
    x = convert(x)
    x = x.astype("int32") if x.dtype == bool else x
    return jnp.clip(x, x_min, x_max)


@op("numpy")
def round(x: Tensor, decimals: int = 0) -> Tensor:
    """Round to `decimals` decimal places; halves go to the even neighbour.

    Example:
        >>> round(jnp.array([1.5, 2.5]))
        Array([2., 2.], dtype=float32)
    """
    return jnp.round(convert(x), decimals)


@op("numpy")
def nan_to_num(
    x: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Replace NaN and the infinities.

    Args:
        x: Tensor.
        nan: Value in place of NaN.
        posinf: Value in place of infinity. Default: the largest finite number of the dtype.
        neginf: Value in place of minus infinity. Default: the smallest finite number.

    Example:
        >>> nan_to_num(jnp.array([1.0, jnp.nan]))
        Array([1., 0.], dtype=float32)
    """
    return jnp.nan_to_num(convert(x), nan=nan, posinf=posinf, neginf=neginf)


@op("numpy")
def isclose(
    x1: Tensor, x2: Tensor, rtol: Tensor = 1e-05, atol: Tensor = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Return whether `|x1 - x2| <= atol + rtol * |x2|`, element by element.

    Example:
        >>> isclose(jnp.array([1.0, 2.0]), 1.0)
        Array([ True, False], dtype=bool)
    """
    return jnp.isclose(number(x1), number(x2), rtol, atol, equal_nan)


@op("numpy", "AllClose")
def allclose(
    x1: Tensor, x2: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Return whether all elements are close, as `isclose` defines it.

    Example:
        >>> allclose(jnp.ones(2), 1.0)
        Array(True, dtype=bool)
    """
    return jnp.allclose(number(x1), number(x2), rtol, atol, equal_nan)


@op("numpy", "IsIn")
def isin(x1: Tensor, x2: Tensor, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Return whether each element of `x1` occurs in `x2`.

    Args:
        x1: Tensor of any shape.
        x2: The values to look for, of any shape.
        assume_unique: Whether the caller knows that neither tensor holds a value twice, which is
            faster.
        invert: Whether to return the opposite.

    Example:
        >>> isin(jnp.array([1, 2]), jnp.array([2, 3]))
        Array([False,  True], dtype=bool)
    """
    return jnp.isin(convert(x1), convert(x2), assume_unique=assume_unique, invert=invert)


@op("numpy")
def where(condition: Tensor, x1: Tensor = None, x2: Tensor = None) -> Tensor:
    """Return `x1` where `condition` is true and `x2` elsewhere.

    Args:
        condition: Boolean tensor.
        x1, x2: Tensors or numbers; all three broadcast.

    Returns:
        A tensor; without `x1` and `x2`, a list of int32 vectors: the indices of the true elements,
        one for each axis.

    Raises:
        ValueError: If only one of `x1` and `x2` is given, or neither while the values of
            `condition` are unknown.

    Example:
        >>> where(jnp.array([True, False]), 1.0, 2.0).tolist()
        [1.0, 2.0]
    """
    if (x1 is None) != (x2 is None):
        raise ValueError(
            "where: `x1` and `x2` go together, received only one of them. Give both, or neither."
        )
    if x1 is None:
        return list(jnp.where(with_values(condition, "where", "give `x1` and `x2`")))
    return jnp.where(convert(condition).astype(bool), number(x1), number(x2))


@op("numpy")
def select(condlist: Tensor, choicelist: Tensor, default: Tensor = 0) -> Tensor:
    """Choose each element from the tensor of the first condition that is true there.

    Args:
        condlist: List of boolean tensors.
        choicelist: List of as many tensors of the same shapes.
        default: Value where no condition is true.

    Example:
        >>> select([jnp.array([True, False])], [jnp.array([1, 1])], 5)
        Array([1, 5], dtype=int32)
    """
    return jnp.select(
        [convert(c) for c in condlist], [convert(c) for c in choicelist], number(default)
    )


@op("core")
def cast(x: Tensor, dtype: DType) -> Tensor:
    """Convert a tensor to another dtype.

    Example:
        >>> cast(jnp.array([1.5]), "int32")
        Array([1], dtype=int32)
    """
    return convert(x).astype(standardize_dtype(dtype))


@op("core")
def saturate_cast(x: Tensor, dtype: DType) -> Tensor:
    """Convert a tensor to another dtype, with values clipped to the range of that dtype.

    Example:
        >>> saturate_cast(jnp.array([-1.0, 300.0]), "uint8")
        Array([  0, 255], dtype=uint8)
    """
    x, dtype = convert(x), jnp.dtype(standardize_dtype(dtype))
    if dtype == jnp.dtype("bool"):
        return x.astype(bool)
    limits = jnp.iinfo(dtype) if jnp.issubdtype(dtype, jnp.integer) else jnp.finfo(dtype)
    own: Any = None
    if x.dtype == bool:
        return x.astype(dtype)
    own = jnp.iinfo(x.dtype) if jnp.issubdtype(x.dtype, jnp.integer) else jnp.finfo(x.dtype)
    low, high = max(float(limits.min), float(own.min)), min(float(limits.max), float(own.max))
    if jnp.issubdtype(x.dtype, jnp.integer):
        return jnp.clip(x, int(low), int(high)).astype(dtype)
    return jnp.clip(x, low, high).astype(dtype)


@op("numpy")
def view(x: Tensor, dtype: DType | None = None) -> Tensor:
    """Reinterpret the bytes of `x` as another dtype; the last axis changes with the item size.

    Example:
        >>> view(jnp.array([1.0]), "int32")
        Array([1065353216], dtype=int32)
    """
    return convert(x).view(None if dtype is None else standardize_dtype(dtype))


@op("nn")
def polar(abs_: Tensor, angle: Tensor) -> Tensor:
    """Return the complex numbers with the modulus `abs_` and the angle `angle`, in radians.

    Example:
        >>> polar(jnp.array(2.0), jnp.array(0.0)).tolist()
        (2+0j)
    """
    modulus, angle = convert(abs_), convert(angle)
    return jax.lax.complex(modulus * jnp.cos(angle), modulus * jnp.sin(angle))
