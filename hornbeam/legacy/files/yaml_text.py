"""Architectures in YAML, as `to_yaml` of Keras 1 and 2 wrote them."""

from __future__ import annotations

import json
from typing import Any

from hornbeam.errors import FileError
from hornbeam.saving.disk import parse_json

__all__ = ["parse_yaml"]

_MAX_TEXT = 16 * 2**20
_MAX_VALUES = 1_000_000


def parse_yaml(text: str | bytes, what: str) -> Any:
    """Return the value of a YAML text, which may hold plain data only and is bounded in size.

    Args:
        text: The text.
        what: Its name for messages.

    Raises:
        FileError: If it is no YAML, is too long, or has tags that make objects.
        ImportError: If PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise ImportError("Models in YAML need PyYAML: `pip install 'hornbeam[yaml]'`.") from None

    class Loader(yaml.SafeLoader):
        """PyYAML's safe loader, plus the tuples and Python 2 strings that Keras wrote."""

    Loader.add_constructor(
        "tag:yaml.org,2002:python/tuple",
        lambda loader, node: loader.construct_sequence(node, deep=True),
    )
    for kind in ("unicode", "str"):
        Loader.add_constructor(
            f"tag:yaml.org,2002:python/{kind}", lambda loader, node: loader.construct_scalar(node)
        )
    if len(text) > _MAX_TEXT:
        raise FileError(
            f"{what} is {len(text)} bytes long, more than a model's configuration can be."
        )
    try:
        value = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise FileError(f"{what} is no YAML of plain data: {error}.") from None
    except RecursionError:
        raise FileError(f"{what} is nested too deeply.") from None
    # A reference to another value takes a few bytes and can mean any number of values.
    left, rest = _MAX_VALUES, [value]
    while rest:
        left -= 1
        if left < 0:
            raise FileError(f"{what} has more values than a model's configuration can have.")
        item = rest.pop()
        rest.extend(
            item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        )
    try:
        return parse_json(json.dumps(value), what)
    except (TypeError, ValueError) as error:
        raise FileError(f"{what} is no model's configuration: {error}.") from None
