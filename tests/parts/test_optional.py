"""A missing optional package raises an error that names the extra.

`import hornbeam` does not import heavy packages.
"""

import subprocess
import sys

import pytest

from hornbeam import optional


def test_an_installed_module_is_returned():
    assert (
        optional.import_module("json.decoder", extra="yaml", needed_for="A test").__name__
        == "json.decoder"
    )


@pytest.mark.parametrize(
    "name", ["hornbeam_has_no_such_package", "hornbeam_has_no_such_package.part"]
)
def test_a_missing_package_names_the_extra_and_the_need(name):
    with pytest.raises(
        ImportError, match=r'A test needs .*hornbeam_has_no_such_package.*"hornbeam\[viz\]"'
    ) as caught:
        optional.import_module(name, extra="viz", needed_for="A test")
    assert caught.value.name == "hornbeam_has_no_such_package"


def test_an_error_inside_an_installed_package_is_not_hidden(monkeypatch, tmp_path):
    (tmp_path / "broken_package.py").write_text("import hornbeam_has_no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'hornbeam_has_no_such_package'"):
        optional.import_module("broken_package", extra="viz", needed_for="A test")


def test_heavy_and_optional_packages_are_not_imported_with_hornbeam():
    names = (
        "h5py",
        "pandas",
        "matplotlib",
        "scipy.sparse",
        "jax.experimental.sparse",
        "sklearn",
        "PIL",
        "polars",
        "pyarrow",
        "tensorboardX",
        "yaml",
        "flax",
        "optax",
    )
    code = f"import sys, hornbeam; print([name for name in {names} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
