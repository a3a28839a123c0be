"""The programs of docs/data.md run and print what their comments say."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def promised(program):
    """Return the comments beside calls of `print`, and on the lines below them."""
    found, below = [], False
    for line in program.splitlines():
        text = re.match(r"# (.*)" if below else r" *print\(.*\)  # (.*)", line)
        below = text is not None and below or re.fullmatch(r"print\([^#]*\)", line) is not None
        found += [text[1]] if text else []
    return found


def test_the_programs_of_the_page(capsys):
    programs = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(programs) == 7
    program = "\n".join(programs)
    exec(compile(program, str(PAGE), "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed == promised(program)
