"""The program of docs/zoo.md runs and prints what its comment says."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"


@pytest.mark.slow
def test_the_program_of_the_page(capsys):
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    exec(compile(program, str(PAGE), "exec"), {})
    assert capsys.readouterr().out == "(1, 7)\n"
