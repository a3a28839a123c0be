"""Helper for the comparisons with Keras."""

from typing import Any

import numpy as np

__all__ = ["plain"]


def plain(config: Any) -> Any:
    """Return a configuration as in JSON, without `None` entries, numbers in single precision."""
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items() if value is not None}
    if isinstance(config, (list, tuple)):
        return [plain(value) for value in config]
    return float(np.float32(config)) if isinstance(config, float) else config
