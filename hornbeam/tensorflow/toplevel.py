"""The functions of other namespaces that `tf` has itself too."""

from __future__ import annotations

from hornbeam.tensorflow.debugging import (
    Assert,
    assert_equal,
    assert_greater,
    assert_less,
    assert_rank,
)
from hornbeam.tensorflow.linalg import eig, eigvals, einsum, matmul, norm, tensordot
from hornbeam.tensorflow.math import *  # noqa: F403
from hornbeam.tensorflow.math import __all__ as _of_math

# What `tf` does not have itself, only `tf.math`.
_MATH_ONLY = {
    "accumulate_n", "angle", "bessel_i0", "bessel_i0e", "bessel_i1", "bessel_i1e", "betainc",
    "bincount", "ceil", "confusion_matrix", "conj", "count_nonzero", "cumprod",
    "cumulative_logsumexp", "digamma", "divide_no_nan", "erf", "erfc", "erfcinv", "erfinv", "expm1",
    "floordiv", "floormod", "igamma", "igammac", "imag", "in_top_k", "invert_permutation",
    "is_finite", "is_inf", "is_nan", "is_non_decreasing", "is_strictly_increasing", "l2_normalize",
    "lbeta", "lgamma", "log", "log1p", "log_sigmoid", "log_softmax", "logical_xor", "mod",
    "multiply_no_nan", "ndtri", "nextafter", "polygamma", "polyval", "real", "reciprocal",
    "reciprocal_no_nan", "reduce_euclidean_norm", "reduce_std", "reduce_variance", "rint", "rsqrt",
    "segment_max", "segment_mean", "segment_min", "segment_prod", "segment_sum", "softmax",
    "softplus", "softsign", "squared_difference", "top_k", "unsorted_segment_max",
    "unsorted_segment_mean", "unsorted_segment_min", "unsorted_segment_prod",
    "unsorted_segment_sqrt_n", "unsorted_segment_sum", "xdivy", "xlog1py", "xlogy", "zero_fraction",
    "zeta",
}  # fmt: skip

__all__ = [
    "Assert", "assert_equal", "assert_greater", "assert_less", "assert_rank", "eig", "eigvals",
    "einsum", "matmul", "norm", "tensordot", *(name for name in _of_math if name not in _MATH_ONLY),
]  # fmt: skip
