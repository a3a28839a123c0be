"""The names of `keras.ops.nn`: ops of neural networks."""

from hornbeam.ops.conv import (
    conv,
    conv_transpose,
    depthwise_conv,
    separable_conv,
)  # fmt: skip
from hornbeam.ops.ctc import ctc_decode, ctc_loss
from hornbeam.ops.elementwise import (
    polar,
)  # fmt: skip
from hornbeam.ops.index import (
    multi_hot,
    one_hot,
)  # fmt: skip
from hornbeam.ops.neural import (
    batch_normalization,
    binary_crossentropy,
    categorical_crossentropy,
    celu,
    dot_product_attention,
    elu,
    gelu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    layer_normalization,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    normalize,
    psnr,
    relu,
    relu6,
    rms_normalization,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_categorical_crossentropy,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh_shrink,
    threshold,
)  # fmt: skip
from hornbeam.ops.patches import fold, unfold
from hornbeam.ops.pool import (
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    max_pool,
)  # fmt: skip
from hornbeam.ops.reduce import (
    moments,
)  # fmt: skip
from hornbeam.ops.shape import (
    depth_to_space,
    space_to_depth,
)  # fmt: skip

__all__ = [
    "ctc_decode", "ctc_loss", "fold", "unfold",
    "adaptive_average_pool", "adaptive_max_pool", "average_pool", "batch_normalization",
    "binary_crossentropy", "categorical_crossentropy", "celu", "conv", "conv_transpose",
    "depth_to_space", "depthwise_conv", "dot_product_attention", "elu", "gelu", "glu",
    "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "layer_normalization",
    "leaky_relu", "log_sigmoid", "log_softmax", "max_pool", "moments", "multi_hot", "normalize",
    "one_hot", "polar", "psnr", "relu", "relu6", "rms_normalization", "selu", "separable_conv",
    "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "space_to_depth",
    "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus",
    "swish", "tanh_shrink", "threshold",
]  # fmt: skip
