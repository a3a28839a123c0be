"""Functions of tensors, by the names of `keras.ops`."""

from hornbeam.activations import (  # noqa: F401
    celu,
    elu,
    gelu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    squareplus,
    swish,
    tanh_shrink,
)
from hornbeam.activations import _relu as relu
from hornbeam.ops import elementwise, linalg, reduce, shape as _shape
from hornbeam.ops.elementwise import *  # noqa: F403
from hornbeam.ops.linalg import *  # noqa: F403
from hornbeam.ops.reduce import *  # noqa: F403
from hornbeam.ops.shape import *  # noqa: F403

__all__ = sorted(
    {*elementwise.__all__, *linalg.__all__, *reduce.__all__, *_shape.__all__, "relu", "celu", "elu", "gelu", "glu",
     "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "relu6",
     "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "squareplus", "swish",
     "tanh_shrink"}
)  # fmt: skip
