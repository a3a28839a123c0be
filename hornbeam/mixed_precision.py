"""Names of `tf.keras.mixed_precision`: dtype policies and the loss-scaling optimizer."""

from hornbeam.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from hornbeam.optimizers import LossScaleOptimizer

__all__ = [
    "DTypePolicy", "LossScaleOptimizer", "Policy", "dtype_policy", "global_policy",
    "set_dtype_policy", "set_global_policy",
]  # fmt: skip

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy
