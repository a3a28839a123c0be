"""The drop-in `keras` module: names of Keras 1 to 3 and tensorflow.keras lead to Hornbeam."""

import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import hornbeam as hb
from hornbeam import cli
from hornbeam.keras import install_as_keras, uninstall_as_keras
from hornbeam.keras.modules import why_missing
from hornbeam.keras.table import ALIASES, KERAS_MODULES, KERAS_ROOTS

ROOT = Path(__file__).resolve().parents[2]


def exists(module):
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


@pytest.fixture
def face():
    """Install the drop-in module, then restore the real Keras that other tests imported."""
    install_as_keras(force=True)
    yield
    uninstall_as_keras()


def run_script(folder, source, *arguments):
    (folder / "script.py").write_text(textwrap.dedent(source))
    return run_hornbeam(folder, "run", "script.py", *arguments)


def run_hornbeam(folder, *arguments):
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    return subprocess.run(
        [sys.executable, "-m", "hornbeam", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


# Names to import, and the Hornbeam objects that they must be.
IMPORTS = [
    ("keras.models", "Sequential", "models.Sequential"),
    ("keras.layers", "Dense", "layers.Dense"),
    ("keras.datasets", "mnist", None),
    ("keras.datasets.mnist", "load_data", "datasets.mnist.load_data"),
    ("keras.utils", "to_categorical", "utils.to_categorical"),
    ("keras.utils.np_utils", "to_categorical", "utils.to_categorical"),
    ("keras.layers.core", "Dense", "layers.Dense"),
    ("keras.layers.core", "Flatten", "layers.Flatten"),
    ("keras.layers.convolutional", "Conv2D", "layers.Conv2D"),
    ("keras.layers.pooling", "MaxPooling2D", "layers.MaxPooling2D"),
    ("keras.layers.normalization", "BatchNormalization", "layers.BatchNormalization"),
    ("keras.layers.recurrent", "LSTM", "layers.LSTM"),
    ("keras.layers.embeddings", "Embedding", "layers.Embedding"),
    ("keras.layers.advanced_activations", "LeakyReLU", "layers.LeakyReLU"),
    ("keras.layers.merge", "concatenate", "layers.concatenate"),
    ("keras.engine", "Layer", "layers.Layer"),
    ("keras.backend", "int_shape", "legacy.backend.int_shape"),
    ("keras.backend", "floatx", "backend.floatx"),
    ("tensorflow.keras.backend", "sum", "legacy.backend.sum"),
    ("keras.layers", "MaxoutDense", "legacy.layers.MaxoutDense"),
    ("keras.layers.core", "TimeDistributedDense", "layers.Dense"),
    ("keras.layers.core", "Highway", "legacy.layers.Highway"),
    ("keras.initializations", "get", "initializers.get"),
    ("keras.engine.topology", "Layer", "layers.Layer"),
    ("keras.engine.training", "Model", "models.Model"),
    ("keras.objectives", "mean_squared_error", "losses.mean_squared_error"),
    ("keras.optimizers", "Adam", "optimizers.Adam"),
    ("keras.optimizers", "rmsprop", "optimizers.RMSprop"),
    ("keras.optimizers.adam_v2", "Adam", "optimizers.Adam"),
    ("keras.optimizer_v2.gradient_descent", "SGD", "optimizers.SGD"),
    ("tensorflow.keras.optimizers.experimental", "AdamW", "optimizers.AdamW"),
    ("keras.src.layers", "Dense", "layers.Dense"),
    ("keras.callbacks", "ModelCheckpoint", "callbacks.ModelCheckpoint"),
    ("keras.regularizers", "L2", "regularizers.L2"),
    ("keras.initializers", "GlorotUniform", "initializers.GlorotUniform"),
    ("keras", "Input", "Input"),
    ("tensorflow", "keras", None),
    ("tensorflow.keras", "Model", "Model"),
    ("tensorflow.keras.layers", "Dense", "layers.Dense"),
    ("tensorflow.python.keras.layers", "Dense", "layers.Dense"),
    ("tensorflow.python.keras.layers.core", "Dense", "layers.Dense"),
    ("tensorflow", "GradientTape", "tensorflow.tape.GradientTape"),
    ("tensorflow.math", "reduce_sum", "tensorflow.host_math.reduce_sum"),
    ("tensorflow.nn", "relu", "tensorflow.nn.relu"),
]


@pytest.mark.usefixtures("face")
@pytest.mark.parametrize(("module", "name", "place"), IMPORTS)
def test_a_name_is_hornbeams(module, name, place):
    scope = {}
    exec(f"import {module}\nfrom {module} import {name} as found", scope)
    if place is not None:
        expected = hb
        for part in place.split("."):
            expected = getattr(expected, part)
        assert scope["found"] is expected
    assert getattr(importlib.import_module(module), name) is scope["found"]


@pytest.mark.usefixtures("face")
def test_the_forms_of_import():
    import keras
    import tensorflow as tf
    import tensorflow.keras as tf_keras
    from tensorflow import keras as from_tf

    assert keras.layers.Dense is hb.layers.Dense
    assert keras.layers.core.Dense is hb.layers.Dense
    assert tf.keras is tf_keras is from_tf
    assert tf.keras.layers.Dense is hb.layers.Dense
    assert keras.__version__.startswith("3.")
    assert tf.__version__.startswith("2.")
    assert keras.__version__.endswith("+hornbeam")
    assert keras.version() == keras.__version__
    assert float(keras.optimizers.adam(lr=0.5).lr) == 0.5


@pytest.mark.usefixtures("face")
def test_star_import():
    scope = {}
    for root in (*KERAS_ROOTS, "tensorflow", "keras.optimizers", "tensorflow.keras.datasets"):
        exec(f"from {root} import *", {})
    exec("from keras.layers import *", scope)
    assert scope["Dense"] is hb.layers.Dense
    assert not [name for name in scope if name.startswith("_") and name != "__builtins__"]


@pytest.mark.usefixtures("face")
def test_importing_old_modules_leaves_hornbeam_alone():
    before = {name: getattr(hb.layers, name) for name in dir(hb.layers)}
    for name in KERAS_MODULES:
        if name.startswith("layers."):
            importlib.import_module(f"keras.{name}")
    assert {name: getattr(hb.layers, name) for name in dir(hb.layers)} == before
    assert hb.layers.__spec__.name == hb.layers.__name__ == "hornbeam.layers"


@pytest.mark.usefixtures("face")
@pytest.mark.parametrize("root", KERAS_ROOTS)
def test_every_row_is_importable_or_absent_from_hornbeam(root):
    found = 0
    for name, places in KERAS_MODULES.items():
        full = f"{root}.{name}".rstrip(".")
        if any(exists(f"hornbeam.{place}".rstrip(".")) for place in places):
            found += 1
            module = importlib.import_module(full)
            assert module.__name__ == full
            assert dir(module)
        else:
            with pytest.raises(ImportError, match="Hornbeam"):
                importlib.import_module(full)
    assert found > 25


@pytest.mark.usefixtures("face")
@pytest.mark.parametrize("module", sorted(ALIASES))
def test_every_alias_resolves(module):
    for name in ALIASES[module]:
        assert getattr(importlib.import_module(module), name) is not None


ABSENT = {
    "tensorflow.keras.wrappers.torch": "SKLearnClassifier",
    "tensorflow.saved_model": "model.save",
    "keras.datasets.kitten": "numpy.load",
}


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_absent_comes_with_the_way_round(name):
    """No name is suggested that is absent too, such as that of the module itself."""
    text = why_missing(name)
    assert ABSENT[name] in text
    assert "Did you mean" not in text


@pytest.mark.usefixtures("face")
def test_what_is_missing_is_an_ordinary_kind_error():
    with pytest.raises(ImportError, match=r"keras\.wrappers\.torch|keras\.wrappers"):
        importlib.import_module("keras.wrappers.torch")
    with pytest.raises(ImportError, match=r"no counterpart of 'keras\.layers\.Dens'.*'Dense'"):
        exec("from keras.layers import Dens")
    with pytest.raises(ImportError, match=r"Hornbeam.*Did you mean 'to_categorical'"):
        exec("from keras.utils import to_categoricall")
    with pytest.raises(ImportError, match=r"has no 'tensorflow\.estimator'"):
        importlib.import_module("tensorflow.estimator")
    import keras
    import tensorflow as tf

    with pytest.raises(AttributeError, match=r"'keras\.layers' has no attribute 'Dens'.*'Dense'"):
        _ = keras.layers.Dens
    with pytest.raises(AttributeError, match=r"'no_such_name'.*stand-in for TensorFlow"):
        _ = tf.no_such_name
    assert not hasattr(keras, "no_such_name")


@pytest.mark.usefixtures("face")
def test_the_tensorflow_stand_in_counts_devices_and_seeds():
    import tensorflow as tf

    assert [device.device_type for device in tf.config.list_physical_devices("CPU")] == ["CPU"]
    assert tf.config.list_physical_devices("TPU") == []
    tf.random.set_seed(3)
    first = hb.random.normal((4,))
    tf.random.set_seed(3)
    assert (first == hb.random.normal((4,))).all()
    assert float(tf.reduce_mean(tf.constant([1.0, 3.0]))) == 2.0
    assert str(tf.cast(tf.constant([1, 2]), tf.float32).dtype) == "float32"


def test_the_face_is_usable_without_installing():
    assert hb.keras.layers.Dense is hb.layers.Dense
    assert hb.keras.utils.np_utils.to_categorical is hb.utils.to_categorical
    assert "layers" in dir(hb.keras)


def test_uninstall_brings_the_real_modules_back(monkeypatch):
    real = type(sys)("keras")
    monkeypatch.setitem(sys.modules, "keras", real)
    finders = list(sys.meta_path)
    with pytest.raises(RuntimeError, match="real keras.*imported before.*force=True"):
        install_as_keras()
    assert sys.meta_path == finders
    install_as_keras(force=True)
    install_as_keras()  # a second call changes nothing
    try:
        assert importlib.import_module("keras").layers.Dense is hb.layers.Dense
    finally:
        uninstall_as_keras()
    assert sys.modules["keras"] is real
    assert sys.meta_path == finders
    uninstall_as_keras()
    assert sys.modules["keras"] is real


KERAS_1_LAYERS = """
    import numpy as np
    from keras.models import Sequential, Model
    from keras.layers import Dense, Embedding, GRU, Input, Merge, merge
    from keras.layers.convolutional import Convolution2D, MaxPooling2D
    from keras.layers.core import Activation, Dropout, Flatten
    from keras.layers.normalization import BatchNormalization
    from keras.regularizers import activity_l2, l2
    from keras.constraints import maxnorm
    from keras.optimizers import SGD
    from keras.utils import np_utils

    x = np.random.rand(16, 8, 8, 1)
    y = np_utils.to_categorical(np.arange(16) % 2, 2)
    image = Sequential()
    image.add(Convolution2D(4, 3, 3, border_mode="same", input_shape=(8, 8, 1),
                            W_constraint=maxnorm(m=2)))
    image.add(Activation("relu"))
    image.add(MaxPooling2D(pool_size=(2, 2)))
    image.add(BatchNormalization(mode=0, axis=-1))
    image.add(Dropout(0.25))
    image.add(Flatten())
    image.add(Dense(3, init="uniform", W_regularizer=l2(l=0.01),
                    activity_regularizer=activity_l2(0.01)))
    words = Sequential([Embedding(9, 4, input_length=5)])
    words.add(GRU(output_dim=3, inner_activation="hard_sigmoid"))
    model = Sequential()
    model.add(Merge([image, words], mode="concat", concat_axis=1))
    model.add(Dense(2, activation="softmax"))
    model.compile(loss="categorical_crossentropy", metrics=["accuracy"],
                  optimizer=SGD(lr=0.1, decay=1e-6, momentum=0.9))
    text = np.random.randint(0, 9, (16, 5))
    model.fit([x, text], y, nb_epoch=1, batch_size=8, verbose=0)
    print(model.predict_proba([x, text]).shape, model.predict_classes([x, text]).shape)
    a = Input(shape=(4,))
    graph = Model(input=a, output=merge([Dense(2)(a), Dense(2)(a)], mode="mul"))
    print(graph.predict(np.ones((3, 4)), verbose=0).shape)
"""

KERAS_1 = """
    import numpy as np
    np.random.seed(1337)
    from keras.models import Sequential
    from keras.layers.core import Dense, Dropout, Activation, Flatten
    from keras.layers.convolutional import Conv2D
    from keras.layers.pooling import MaxPooling2D
    from keras.optimizers import RMSprop
    from keras.utils import np_utils

    X_train = np.random.rand(64, 8, 8, 1).astype("float32")
    y_train = (X_train.mean(axis=(1, 2, 3)) > 0.5).astype("int")
    Y_train = np_utils.to_categorical(y_train, 2)

    model = Sequential()
    model.add(Conv2D(4, (3, 3), input_shape=(8, 8, 1)))
    model.add(Activation("relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Flatten())
    model.add(Dropout(0.25))
    model.add(Dense(2))
    model.add(Activation("softmax"))
    model.compile(loss="categorical_crossentropy", optimizer=RMSprop(), metrics=["accuracy"])
    model.fit(X_train, Y_train, batch_size=16, epochs=2, verbose=1,
              validation_data=(X_train, Y_train))
    score = model.evaluate(X_train, Y_train, verbose=0)
    print("Test score:", len(score), score[0] > 0)
"""

KERAS_2 = """
    import tensorflow as tf
    from tensorflow import keras
    from tensorflow.keras import layers
    from tensorflow.keras.models import Model
    from tensorflow.keras.callbacks import EarlyStopping, ModelCheckpoint
    import numpy as np

    tf.random.set_seed(42)
    print("GPUs:", len(tf.config.list_physical_devices("GPU")))
    words = layers.Input(shape=(12,), dtype="int32")
    x = layers.Embedding(50, 8)(words)
    x = layers.LSTM(8, return_sequences=True)(x)
    x = layers.LSTM(4)(x)
    outputs = layers.Dense(1, activation="sigmoid")(x)
    model = Model(words, outputs)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.01),
                  loss="binary_crossentropy", metrics=["accuracy"])
    X = np.random.randint(0, 50, (40, 12))
    y = (X[:, 0] > 25).astype("float32")
    model.fit(X, y, epochs=2, batch_size=8, validation_split=0.2, verbose=2,
              callbacks=[EarlyStopping(patience=5),
                         ModelCheckpoint("best.keras", save_best_only=True)])
    again = tf.keras.models.load_model("best.keras")
    print(again.predict(X[:3]).shape, type(model).__module__.split(".")[0])
"""

KERAS_3 = """
    import os
    os.environ["KERAS_BACKEND"] = "jax"
    import keras
    from keras import layers, ops

    keras.utils.set_random_seed(812)

    class Scale(layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones")

        def call(self, inputs):
            return ops.multiply(inputs, self.factor)

    model = keras.Sequential([keras.Input(shape=(4,)), Scale(), layers.Dense(3)])
    model.compile(optimizer="sgd", loss="mse", metrics=[keras.metrics.MeanAbsoluteError()])
    x = keras.random.normal((32, 4))
    history = model.fit(x, ops.ones((32, 3)), epochs=3, verbose=0)
    print(sorted(history.history), history.history["loss"][-1] < history.history["loss"][0])
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (KERAS_1, ["Epoch 2/2", "Test score: 2 True"]),
        (KERAS_1_LAYERS, ["(16, 2) (16,)", "(3, 2)"]),
        pytest.param(KERAS_2, ["GPUs:", "(3, 1) hornbeam"], marks=pytest.mark.slow),
        (KERAS_3, ["['loss', 'mean_absolute_error'] True"]),
    ],
    ids=["keras_1", "keras_1_layers", "keras_2", "keras_3"],
)
def test_a_tutorials_script_runs(tmp_path, source, expected):
    result = run_script(tmp_path, source)
    assert result.returncode == 0, result.stderr[-4000:]
    for words in expected:
        assert words in result.stdout


def test_a_script_sees_what_python_would_show_it(tmp_path):
    (tmp_path / "beside.py").write_text("VALUE = 41\n")
    source = """
        import sys, os
        import beside
        print(__name__, sys.argv, beside.VALUE + 1, sys.path[0] == os.getcwd())
        print(os.path.basename(__file__), sys.modules["__main__"].__dict__ is globals())
        sys.exit(7)
    """
    result = run_script(tmp_path, source, "--epochs", "3", "-v")
    assert result.returncode == 7
    assert "__main__ ['script.py', '--epochs', '3', '-v'] 42 True" in result.stdout
    assert "script.py True" in result.stdout


def test_spawned_workers_import_hornbeam(tmp_path):
    source = """
        import multiprocessing
        import keras

        def version(_):
            import keras
            return keras.__version__

        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(version, [0]))
    """
    result = run_script(tmp_path, source)
    assert result.returncode == 0, result.stderr[-4000:]
    assert "+hornbeam" in result.stdout


def test_a_process_forked_after_a_model_was_used_says_so(tmp_path):
    source = """
        import os
        import sys
        import numpy as np
        import keras

        x = np.ones((2, 3), "float32")
        children = [os.fork()]  # before: it works
        if children[0] == 0:
            keras.ops.add(x, x)
            os._exit(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.predict(x, verbose=0)
        model.save("model.keras")
        uses = (
            lambda: model.predict(x, verbose=0), lambda: model(x), lambda: keras.ops.add(x, x),
            lambda: keras.saving.load_model("model.keras"), lambda: keras.random.normal((2,)),
        )
        for use in uses:
            children.append(os.fork())
            if children[-1] == 0:
                use()
                sys.exit(0)
        print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
    """
    result = run_script(tmp_path, source)
    assert "[0, 1, 1, 1, 1, 1]" in result.stdout, result.stderr[-4000:]
    assert result.stderr.count("Start workers by `multiprocessing.get_context('spawn')`") >= 5


def test_an_error_reads_as_under_python(tmp_path):
    source = "def f():\n    raise KeyError('lost')\n\nf()\n"
    (tmp_path / "script.py").write_text(source)
    plain = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    ours = run_script(tmp_path, source)
    assert ours.returncode == plain.returncode == 1
    assert "KeyError: 'lost'" in ours.stderr
    # Python shows a script's path in full or as given. Everything else is the same.
    assert ours.stderr.replace(str(tmp_path / "script.py"), "script.py") == plain.stderr.replace(
        str(tmp_path / "script.py"), "script.py"
    )


def test_a_syntax_error_is_the_scripts(tmp_path):
    result = run_script(tmp_path, "x = = 1\n")
    assert result.returncode == 1
    assert "SyntaxError" in result.stderr
    assert "cli.py" not in result.stderr


def test_missing_script_and_missing_words(tmp_path, capsys):
    assert cli.main(["run", str(tmp_path / "none.py")]) == 2
    assert "cannot read" in capsys.readouterr().err
    assert cli.main(["run", str(tmp_path)]) == 2
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    assert stop.value.code == 2


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("hornbeam ")


def test_real_keras_is_never_imported(tmp_path):
    source = """
        import sys
        import keras, tensorflow
        from keras.utils import to_categorical
        files = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
        real = "site-packages/keras", "site-packages/tensorflow"
        print([file for file in files if any(package in file for package in real)])
    """
    result = run_script(tmp_path, source)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
