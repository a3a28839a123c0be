"""The programs of docs/transfer.md run and print what their comments say."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "transfer.md"


@pytest.mark.slow
def test_the_programs_of_the_page(capsys):
    programs = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    program = "\n".join(programs)
    exec(compile(program, str(PAGE), "exec"), {})
    promised = re.findall(r"^print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == promised
    assert len(programs) == 4
