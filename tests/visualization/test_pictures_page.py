"""The programs of docs/pictures.md run and write their pictures."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pictures.md"


@pytest.mark.slow
def test_the_programs_of_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    programs = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    names = {}
    exec(compile("\n".join(programs), str(PAGE), "exec"), names)
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {
        "model.svg", "model.png", "history.png", "gallery.png", "boxes.png", "heat.png",
    }  # fmt: skip
    assert names["heat"].shape == (2, 16, 16)
    assert "3/3" in capsys.readouterr().out
