"""Every public name has a row in a test table, so an untested new object fails here."""

import ast
import builtins
import importlib
import inspect
import re
from pathlib import Path

import pytest

import hornbeam as hb

TESTS = Path(__file__).resolve().parent

# Maps each family to the files that contain its rows. (Rows of activations are made from their
# public names.)
FAMILIES = {
    "layers": (
        "layer_rows.py",
        "test_layers.py",
        "test_recurrent.py",
        "test_models.py",
        "test_legacy_layers.py",
        "test_image_layers.py",
        "test_audio_layers.py",
        "test_text_and_categories.py",
    ),
    "losses": ("test_losses.py",),
    "metrics": ("test_metrics.py",),
    "optimizers": ("test_optimizers.py",),
    "optimizers.schedules": ("test_optimizers.py",),
    "callbacks": (
        "test_callbacks.py",
        "test_resume.py",
        "test_orbax_checkpoint.py",
        "test_tensorboard.py",
    ),
    "initializers": ("test_small_parts.py", "test_signal_ops.py"),
    "regularizers": ("test_small_parts.py",),
    "constraints": ("test_small_parts.py",),
    "random": ("test_small_parts.py", "test_ops.py"),
    "dtype_policies": ("test_small_parts.py", "test_quantization.py"),
    "quantizers": ("test_quantization.py",),
    "tree": ("test_small_parts.py",),
    "ops": ("test_ops.py", "test_signal_ops.py", "test_image_ops.py"),
    "ops.image": ("test_image_ops.py",),
    "saving": (
        "test_saving.py",
        "test_custom_objects.py",
        "test_hostile_files.py",
        "test_parts_of_files.py",
    ),
    "applications": ("networks.py", "test_applications.py"),
    "data": ("test_sources.py", "test_dataset.py"),
    "datasets": ("test_datasets.py",),
    "distribution": ("test_distribution.py",),
}


OURS = ("hornbeam", "keras")


def words_in(source):
    """Return the words that a test file uses: names, attributes and strings.

    Docstrings, comments, messages and argument names do not count, nor do names of Python or of
    other packages.
    """
    tree = ast.parse(source)
    skipped, foreign = set(), set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring or other string statement
            skipped.add(id(node.value))
        elif isinstance(node, ast.Assert) and node.msg:
            skipped.update(map(id, ast.walk(node.msg)))
        elif isinstance(node, ast.keyword) and node.arg == "match":
            skipped.update(map(id, ast.walk(node.value)))
        elif isinstance(node, ast.Import):
            foreign.update(
                a.asname or a.name.split(".")[0]
                for a in node.names
                if a.name.split(".")[0] not in OURS
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in OURS:
            foreign.update(a.asname or a.name for a in node.names)
    words = set()
    for node in ast.walk(tree):
        if id(node) in skipped and not isinstance(node, ast.Call):
            continue
        if isinstance(node, ast.Name) and node.id not in foreign:
            words.add(node.id)
        elif isinstance(node, ast.Attribute) and root(node) not in foreign:
            words.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words.update(re.findall(r"\w+", node.value))
    return words


def root(node):
    """Return the name before the first dot of an attribute, or `None`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def test_only_code_counts_as_a_row():
    source = '''
"""Dense"""
# Conv2D
import numpy as np
from jax.nn import softplus
from hornbeam.layers import Flatten
def test(x):
    """Dropout"""
    row("LSTM", layers.GRU, Adam, add=1)
    "Softmax"
    assert np.mean(x) == softplus(sum(x)) == f"Embedding {x}", "in a message: ReLU"
    raises(match="Permute")
'''
    words = words_in(source)
    assert words >= {"LSTM", "GRU", "Adam", "Embedding"}
    assert not words & {
        "Dense",
        "Conv2D",
        "Dropout",
        "Softmax",
        "Flatten",
        "mean",
        "softplus",
        "sum",
        "ReLU",
        "Permute",
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_every_public_name_has_a_row(family):
    importlib.import_module(f"hornbeam.{family}")
    module = hb
    for part in family.split("."):
        module = getattr(module, part)
    files = [path for name in FAMILIES[family] for path in TESTS.rglob(name)]
    words = set().union(*(words_in(path.read_text()) for path in files))
    named = {id(getattr(module, name)) for name in module.__all__ if name in words}
    parts = {name: getattr(module, name) for name in module.__all__}
    classes = [part for part in parts.values() if inspect.isclass(part)]

    def needs_none(part):
        # An alias of a name with a row, a module, which has separate rows, or a base class, which
        # each row runs.
        base = inspect.isclass(part) and any(part in other.__mro__[1:] for other in classes)
        return id(part) in named or inspect.ismodule(part) or base

    missing = [name for name, part in parts.items() if not needs_none(part)]
    assert not missing, f"no row of {FAMILIES[family]} names {missing}"
