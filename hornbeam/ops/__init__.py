"""Functions of tensors, with the names of `keras.ops`."""

from hornbeam.ops import control as control
from hornbeam.ops import conv as _conv_module
from hornbeam.ops import (
    create,
    ctc,
    elementwise,
    fourier,
    index,
    linalg,
    neural,
    patches,
    pool,
    reduce,
)
from hornbeam.ops import image as image
from hornbeam.ops import nn as nn
from hornbeam.ops import numpy as numpy
from hornbeam.ops import shape as _shape_module
from hornbeam.ops import sparse as _sparse_rules  # noqa: F401  # after the ops that it adds to

# The `__all__` of each family lists the public names.
from hornbeam.ops.control import *  # noqa: F403
from hornbeam.ops.conv import *  # noqa: F403
from hornbeam.ops.create import *  # noqa: F403
from hornbeam.ops.ctc import *  # noqa: F403
from hornbeam.ops.elementwise import *  # noqa: F403
from hornbeam.ops.fourier import *  # noqa: F403
from hornbeam.ops.index import *  # noqa: F403
from hornbeam.ops.linalg import *  # noqa: F403
from hornbeam.ops.neural import *  # noqa: F403
from hornbeam.ops.patches import *  # noqa: F403
from hornbeam.ops.pool import *  # noqa: F403
from hornbeam.ops.reduce import *  # noqa: F403
from hornbeam.ops.shape import *  # noqa: F403

__all__ = sorted(
    {
        name
        for module in (
            control,
            _conv_module,
            create,
            ctc,
            elementwise,
            fourier,
            index,
            linalg,
            neural,
            patches,
            pool,
            reduce,
            _shape_module,
        )  # fmt: skip
        for name in module.__all__
    }
    | {"image", "linalg", "nn", "numpy"}
)
