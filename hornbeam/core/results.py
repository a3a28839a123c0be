"""Results by name, which answer to the older spellings of accuracy and learning rate too."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["Results"]

_SPELLINGS = {
    "acc": "accuracy", "accuracy": "acc", "lr": "learning_rate", "learning_rate": "lr",
}  # fmt: skip


def _other_spelling(name: object) -> object:
    """Return `val_accuracy` for `val_acc` and the other way round; other names as they are."""
    if not isinstance(name, str):
        return name
    return re.sub(rf"(?<![^_])({'|'.join(_SPELLINGS)})$", lambda found: _SPELLINGS[found[0]], name)


class Results(dict[str, Any]):
    """A dict of results by name, in which `acc` also finds `accuracy`, and `lr` `learning_rate`.

    Earlier Keras versions used the shorter words. Each word also finds the value of the other. The
    dict holds and lists each name once.

    Example:
        >>> results = Results(val_accuracy=0.5)
        >>> results["val_acc"], "val_acc" in results, list(results)
        (0.5, True, ['val_accuracy'])
    """

    def __missing__(self, name: str) -> Any:
        other = _other_spelling(name)
        if dict.__contains__(self, other):
            return self[other]  # type: ignore[index]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or dict.__contains__(self, _other_spelling(name))

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or `default` where the name is missing."""
        return self[name] if name in self else default
