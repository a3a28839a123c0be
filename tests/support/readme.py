"""Print the README's first Python program: `python tests/support/readme.py | python -`."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def first_program() -> str:
    """Return the first fenced block marked `python`."""
    block = re.search(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    if block is None:
        raise SystemExit(f"{README} has no block marked `python`.")
    return block.group(1)


if __name__ == "__main__":
    print(first_program(), end="")
