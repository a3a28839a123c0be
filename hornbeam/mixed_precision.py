"""Names of `tf.keras.mixed_precision`: dtype policies, and the optimizer that scales losses."""

from hornbeam.config import dtype_policy, set_dtype_policy
from hornbeam.dtypes import DTypePolicy
from hornbeam.optimizers import LossScaleOptimizer

__all__ = [
    "DTypePolicy", "LossScaleOptimizer", "Policy", "dtype_policy", "global_policy", "set_dtype_policy",
    "set_global_policy",
]  # fmt: skip

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy
