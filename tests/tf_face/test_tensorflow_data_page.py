"""The program of docs/tensorflow-data.md runs; each function of the data namespaces is tested."""

import re
from pathlib import Path

import pytest

from hornbeam.keras import face_module, uninstall_as_keras
from hornbeam.keras.finder import install_as_keras
from hornbeam.keras.table import TENSORFLOW_MODULES

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "tensorflow-data.md"
NAMESPACES = (
    "audio", "data", "data.experimental", "image", "io", "io.gfile", "lookup",
    "lookup.experimental", "ragged", "sets", "sparse", "strings", "train",
)  # fmt: skip


def test_the_program_of_the_page(capsys):
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    install_as_keras(force=True)
    try:
        exec(compile(program.replace("install_as_keras()\n", ""), str(PAGE), "exec"), {})
    finally:
        uninstall_as_keras()
    assert capsys.readouterr().out.splitlines() == ["[2, 3]", "[0.   0.25 0.75 1.  ]"]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_each_name_is_there_and_tested(namespace):
    files = ("data_expressions.txt", "data_expressions.py", "test_host.py", "test_scripts.py")
    words = set(re.findall(r"\w+", "".join((HERE / name).read_text() for name in files)))
    module = face_module(f"tensorflow.{namespace}")
    names = [name for place in TENSORFLOW_MODULES[namespace]
             for name in __import__(f"hornbeam.{place}", fromlist=["__all__"]).__all__]  # fmt: skip
    assert names
    for name in names:
        assert getattr(module, name) is not None
    assert sorted(set(names) - words) == []
