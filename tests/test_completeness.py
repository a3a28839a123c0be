"""Every public name has a row: a new part without a test fails here."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import hornbeam as hb

TESTS = Path(__file__).resolve().parent

# Family of parts: the files that hold its rows. (Those of activations are made from their public names.)
FAMILIES = {
    "layers": ("layer_rows.py", "test_layers.py", "test_recurrent.py", "test_models.py"),
    "losses": ("test_losses.py",),
    "metrics": ("test_metrics.py",),
    "optimizers": ("test_optimizers.py",),
    "optimizers.schedules": ("test_optimizers.py",),
    "callbacks": ("test_callbacks.py", "test_resume.py", "test_tensorboard.py"),
    "initializers": ("test_small_parts.py", "test_signal_ops.py"),
    "regularizers": ("test_small_parts.py",),
    "constraints": ("test_small_parts.py",),
    "random": ("test_small_parts.py", "test_ops.py"),
    "dtype_policies": ("test_small_parts.py", "test_quantization.py"),
    "quantizers": ("test_quantization.py",),
    "tree": ("test_small_parts.py",),
    "ops": ("test_ops.py", "test_signal_ops.py", "test_image_ops.py"),
    "ops.image": ("test_image_ops.py",),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_public_name_has_a_row(family):
    importlib.import_module(f"hornbeam.{family}")
    module = hb
    for part in family.split("."):
        module = getattr(module, part)
    text = "".join(path.read_text() for name in FAMILIES[family] for path in TESTS.rglob(name))
    words = set(re.findall(r"\w+", text))
    named = {id(getattr(module, name)) for name in module.__all__ if name in words}
    parts = {name: getattr(module, name) for name in module.__all__}
    classes = [part for part in parts.values() if inspect.isclass(part)]

    def needs_none(part):
        # A second name of what has a row; a module, which has rows of its own; a base class, which each row runs.
        base = inspect.isclass(part) and any(part in other.__mro__[1:] for other in classes)
        return id(part) in named or inspect.ismodule(part) or base

    missing = [name for name, part in parts.items() if not needs_none(part)]
    assert not missing, f"no row of {FAMILIES[family]} names {missing}"
