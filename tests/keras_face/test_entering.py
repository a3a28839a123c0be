"""Ways to make `keras` mean Hornbeam: forms of `hornbeam run`, child processes, the drop-in."""

import importlib.metadata
import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import hornbeam as hb
from hornbeam.keras import install_as_keras, uninstall_as_keras
from hornbeam.keras.modules import face_module, is_face_name
from hornbeam.keras.table import KERAS_MODULES, KERAS_ROOTS

ROOT = Path(__file__).resolve().parents[2]
VERSION = "3.15.1+hornbeam"


def python(folder, *arguments, path=ROOT, code=""):
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, "PYTHONPATH": str(path)},
        input=code, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def face():
    install_as_keras(force=True)
    yield
    uninstall_as_keras()


WORKERS = """
    import multiprocessing, subprocess, sys
    import keras
    from joblib import Parallel, delayed

    def version(_):
        import keras
        return keras.__version__

    if __name__ == "__main__":
        print("here", keras.__version__, sys.argv[1:])
        for method in METHODS:
            with multiprocessing.get_context(method).Pool(1) as pool:
                print(method, pool.map(version, [0]))
        print("loky", Parallel(n_jobs=2)(delayed(version)(i) for i in range(2)))
        child = [sys.executable, "-c", "import keras; print(keras.__version__)"]
        print("child", subprocess.run(child, capture_output=True, text=True).stdout)
        1 / 0
"""


def check_workers(result, methods):
    assert result.returncode == 1, result.stderr[-3000:]
    assert result.stdout.count(VERSION) == len(methods) + 4, result.stdout + result.stderr[-3000:]
    *_, line, marks, error = result.stderr.rstrip().splitlines()
    assert (line.strip(), error) == ("1 / 0", "ZeroDivisionError: division by zero")
    assert "cli.py" not in result.stderr
    assert "runpy" not in result.stderr


@pytest.mark.slow
def test_a_module_and_all_its_workers(tmp_path):
    methods = ["spawn", "forkserver"]
    code = textwrap.dedent(WORKERS).replace("METHODS", str(methods))
    (tmp_path / "work.py").write_text(code)
    result = python(tmp_path, "-m", "hornbeam", "run", "-m", "work", "--epochs", "3")
    assert "['--epochs', '3']" in result.stdout
    check_workers(result, methods)


def test_code_and_the_size_without_tensorflow(tmp_path):
    code = "import sys, keras; print(sys.argv, keras.__version__)\nimport tensorflow"
    result = python(tmp_path, "-m", "hornbeam", "run", "--no-tensorflow", "-c", code, "x")
    assert f"['-c', 'x'] {VERSION}" in result.stdout
    assert result.stderr.rstrip().endswith("No module named 'tensorflow'")


def test_the_standard_input(tmp_path):
    code = "import sys, tensorflow as tf\nprint(tf.keras.__version__, sys.argv)\nsys.exit(3)"
    result = python(tmp_path, "-m", "hornbeam", "run", "-", "x", code=code)
    assert (result.returncode, result.stdout) == (3, f"{VERSION} ['-', 'x']\n")


def install_drop_in(folder):
    """Do what `pip install --target` does, without its network."""
    project = tomllib.loads((ROOT / "drop_in" / "pyproject.toml").read_text())["project"]
    shutil.copytree(ROOT / "drop_in" / "keras", folder / "keras")
    about = folder / f"keras-{project['version']}.dist-info"
    about.mkdir()
    lines = [f"Name: {project['name']}", f"Version: {project['version']}"]
    lines += [f"Requires-Dist: {name}" for name in project["dependencies"]]
    (about / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines]) + "\n")
    return f"{folder}{os.pathsep}{ROOT}"


@pytest.mark.slow
def test_the_drop_in_in_all_workers(tmp_path):
    path = install_drop_in(tmp_path / "site")
    methods = ["spawn", "fork"]
    code = textwrap.dedent(WORKERS).replace("METHODS", str(methods))
    (tmp_path / "work.py").write_text(code)
    check_workers(python(tmp_path, "work.py", path=path), methods)


def test_the_drop_in_is_the_distribution_keras(tmp_path):
    path = install_drop_in(tmp_path / "site")
    code = """
        import importlib.metadata, importlib.util
        from packaging.requirements import Requirement
        found = importlib.metadata.version("keras")
        print(found, Requirement("keras>=3").specifier.contains(found))
        print(importlib.metadata.requires("keras"), importlib.util.find_spec("tensorflow"))
        from keras.layers import Dense
        import keras
        print(Dense.__module__, keras.version(), keras.__version__)
    """
    result = python(tmp_path, "-c", textwrap.dedent(code), path=path)
    assert result.stdout.splitlines() == [
        f"{VERSION} True", "['hornbeam'] None", f"hornbeam.layers.core {VERSION} {VERSION}",
    ], result.stderr  # fmt: skip


def test_the_extension_of_ipython():
    hb.load_ipython_extension(None) if "keras" not in sys.modules else install_as_keras(force=True)
    try:
        assert importlib.import_module("keras").layers.Dense is hb.layers.Dense
    finally:
        hb.unload_ipython_extension(None)


@pytest.mark.usefixtures("face")
def test_a_module_that_is_absent_has_no_spec():
    assert importlib.util.find_spec("keras.nonsense") is None
    assert importlib.util.find_spec("keras.layers").name == "keras.layers"
    with pytest.raises(ImportError, match=r"no counterpart of 'keras\.nonsense'"):
        importlib.import_module("keras.nonsense")


@pytest.mark.usefixtures("face")
def test_modules_pickle_and_lists_hold_what_is_there():
    keras = importlib.import_module("keras")
    assert pickle.loads(pickle.dumps(keras.layers)) is keras.layers
    for name in KERAS_MODULES:
        full = f"keras.{name}".rstrip(".")
        if is_face_name(full) and "scikit_learn" not in name:
            module = face_module(full)
            for public in module.__all__:
                getattr(module, public)


@pytest.mark.usefixtures("face")
def test_each_deep_module_has_its_package():
    for name in KERAS_MODULES:
        package = name.rpartition(".")[0]
        assert not package or is_face_name(f"keras.{package}"), name
    for root in KERAS_ROOTS:
        assert importlib.import_module(f"{root}.layers").Dense is hb.layers.Dense


DEEP = """
    keras.src.layers.convolutional.base_conv BaseConv, keras.src.layers.merging.base_merge Merge,
    keras.src.layers.pooling.base_pooling BasePooling, keras.src.utils.backend_utils in_tf_graph,
    keras.src.layers.pooling.base_global_pooling BaseGlobalPooling, keras.src.backend jax,
    keras.src.ops.numpy Matmul, keras.src.saving.serialization_lib in_safe_mode,
    keras.src.utils.argument_validation standardize_tuple, keras.src.models.functional Functional,
    keras.src.trainers.data_adapters.data_adapter_utils class_weight_to_sample_weights,
    keras.src.ops.operation_utils compute_conv_output_shape, keras.src.testing TestCase,
    keras.src.backend.common KerasVariable, keras.src.utils.module_utils tensorflow,
    keras.layers.convolutional Conv, keras.layers.merge _Merge, keras.layers.pooling _Pooling1D,
    keras.layers.core TFOpLambda, keras.engine.network Network, keras.engine.training slice_X,
    keras.utils.generic_utils has_arg, keras.utils.conv_utils normalize_tuple,
    keras.utils.tf_utils smart_cond, keras.utils.losses_utils compute_weighted_loss,
    keras.utils.layer_utils count_params, keras.legacy.interfaces legacy_dense_support,
    keras.utils.io_utils HDF5Matrix, keras.utils.data_utils OrderedEnqueuer,
    keras.utils multi_gpu_model, keras.backend get_session, keras.initializations normal,
    keras.callbacks BaseLogger, keras.constraints RadialConstraint, keras.metrics MeanTensor,
    keras.losses Reduction, keras.layers AbstractRNNCell, keras.optimizers.rmsprop RMSprop,
    tf_keras.layers Dense, tensorflow.compat.v1.keras.layers Dense, keras.saving.hdf5_format
    load_model, keras.layers.preprocessing.image_preprocessing RandomHeight,
    keras.wrappers.scikit_learn KerasClassifier, keras.utils.np_utils to_categorical
"""


@pytest.mark.usefixtures("face")
@pytest.mark.parametrize("row", [" ".join(row.split()) for row in DEEP.split(",")])
def test_deep_names(row):
    module, name = row.split()
    scope = {}
    exec(f"from {module} import {name} as found", scope)
    assert scope["found"] is not None


@pytest.mark.usefixtures("face")
def test_a_class_and_a_module_of_one_name():
    scope = {}
    exec("import keras.optimizers.rmsprop\nfrom keras.optimizers import rmsprop", scope)
    assert scope["rmsprop"] is hb.optimizers.RMSprop


@pytest.mark.usefixtures("face")
def test_classes_of_ops():
    from keras.src.ops.numpy import Add, Concatenate, Multiply

    node = (hb.Input((2,)) + 1.0)._keras_history[0]
    assert isinstance(node, Add)
    assert not isinstance(node, Multiply)
    assert Concatenate(axis=0)([hb.ops.ones((1, 2)), hb.ops.ones((2, 2))]).shape == (3, 2)


def test_initializations_make_variables():
    from hornbeam.legacy import initializations

    assert initializations.normal((3, 2), scale=0.01, name="w").shape == (3, 2)
    assert initializations.uniform().maxval == 0.05
    assert initializations.one((2,)).numpy().tolist() == [1.0, 1.0]
    square = initializations.identity((2, 2), scale=3.0).numpy()
    assert square.tolist() == [[3.0, 0.0], [0.0, 3.0]]
