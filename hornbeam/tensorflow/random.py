"""`tf.random`: random draws, with TensorFlow's names and order of arguments."""

from __future__ import annotations

from hornbeam.core import random as core_random

__all__ = ["set_seed"]


def set_seed(seed: int) -> None:
    """Seed Python's, NumPy's and Hornbeam's generators.

    Args:
        seed: An integer from 0 to 2**32 - 1.

    Example:
        >>> set_seed(0)
    """
    core_random.set_random_seed(seed)
