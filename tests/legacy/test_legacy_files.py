"""Files of Keras 1, 2 and 3: real files where available, and small files in the old formats."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb
from hornbeam.errors import FileError
from hornbeam.legacy.files.ops import _SIGNATURES

SHARED = Path(__file__).resolve().parents[3] / "shared" / "models"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the collected model files (../shared/models) are absent"
)
NAMES = sorted(place.name for place in SHARED.iterdir()) if SHARED.is_dir() else []
LAMBDAS = ("k2_carnd_lambda_elu", "k3_siamese_nested_lambda")
# Warnings that loading may give once: an unavailable loss, metric or optimizer.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(loaded but not compiled|state of its optimizer):UserWarning"
)


class L1(hb.layers.Layer):
    """The custom layer of one of the collected files."""

    def call(self, inputs):
        return abs(inputs[0] - inputs[1])


class NestedDenseModel(hb.Model):
    """The custom model of one of the collected files, with its layers in a list of tuples."""

    def __init__(self, num=3, **kwargs):
        super().__init__(**kwargs)
        self.num = num
        self.blocks = [(hb.layers.Dense(4, use_bias=False, name=f"d_{i}"),) for i in range(num)]
        self.out = hb.layers.Dense(2)

    def call(self, x):
        for (block,) in self.blocks:
            x = block(x)
        return self.out(x)


CUSTOM = {"L1": L1, "MyLayers>L1": L1, "legacy_nested_container>NestedDenseModel": NestedDenseModel}


def close(made, real):
    """Compare with Keras: errors are at most 1e-5 of the largest value (or of 1, if smaller)."""
    assert np.abs(made - real).max() <= 1e-5 * max(1.0, np.abs(real).max())


def load(name):
    place = SHARED / name
    path = place / json.loads((place / "meta.json").read_text())["file"]
    if name != "k3_mnist_mlp_weights_only":
        return hb.saving.load_model(path, custom_objects=CUSTOM)
    model = hb.models.model_from_json((place / "architecture.json").read_text())
    model.load_weights(path)
    return model


@needs_shared
@pytest.mark.parametrize(
    "name", mostly_slow([name for name in NAMES if name not in LAMBDAS], NAMES[::8])
)
def test_collected_file(name):
    place = SHARED / name
    model, meta = load(name), json.loads((place / "meta.json").read_text())
    for real in meta["refs"].values():
        if real.get("params"):
            assert model.count_params() == real["params"]
        if "layers" in real:
            kinds = [name for name in real["layers"] if name != "InputLayer"]
            assert len([x for x in model.layers if type(x).__name__ != "InputLayer"]) == len(kinds)
    inputs = [np.load(path) for path in sorted(place.glob("x*.npy"))]
    outputs = sorted(place.glob("y0_*.npy"))
    assert bool(inputs) == bool(outputs)
    for path in outputs:
        close(model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0), np.load(path))


@needs_shared
@pytest.mark.parametrize(("name", "layer"), list(zip(LAMBDAS, ("lambda_1", "lambda"), strict=True)))
def test_collected_file_with_code(name, layer):
    with pytest.raises(FileError, match=rf"(?s){layer}.*(code|lambda)"):
        load(name)


# --- small files in the old formats ---------------------------------------------------------------


def write_h5(path, layers, config=None, version=None, root="model_weights", **attributes):
    """Write an `.h5` file with groups of arrays by layer, as Keras 1 and 2 did."""
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = json.dumps(config).encode()
        for key, value in {"keras_version": version, **attributes}.items():
            if value is not None:
                file.attrs[key] = value.encode() if isinstance(value, str) else value
        group = file.create_group(root) if root else file
        group.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, arrays in layers.items():
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = [name.encode() for name in arrays] or np.zeros(0, "S1")
            for name, value in arrays.items():
                inner[name] = value


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def old_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def layer(kind, **config):
    return {"class_name": kind, "config": config}


FIRST_DENSE = {
    "W_constraint": {"name": "MaxNorm", "m": 3, "axis": 0},
    "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01}, "b_constraint": None,
    "b_regularizer": None, "activity_regularizer": None, "init": "glorot_uniform",
    "trainable": True, "bias": True, "input_dim": None,
}  # fmt: skip


def first_dense(name, units, activation="linear", **more):
    return layer(
        "Dense",
        **{**FIRST_DENSE, "name": name, "output_dim": units, "activation": activation, **more},
    )


def test_first_stack(tmp_path):
    """Keras 1: a plain list of layers, old names, and a running "std" that is a variance."""
    config = {
        "class_name": "Sequential",
        "config": [
            first_dense("dense_1", 4, batch_input_shape=[None, 3], input_dim=3,
                input_dtype="float32"),
            layer("BatchNormalization", name="bn", mode=0, axis=-1, epsilon=1e-3, momentum=0.99,
                trainable=True,
                  gamma_regularizer=None, beta_regularizer=None),
            layer("Dropout", name="dropout_1", p=0.5, trainable=True),
            first_dense("dense_2", 1, "sigmoid"),
        ],
    }  # fmt: skip
    w, b, v, c = numbers(3, 4), numbers(4, seed=1), numbers(4, 1, seed=2), numbers(1, seed=3)
    norm = [numbers(4, seed=4), numbers(4, seed=5), numbers(4, seed=6), np.abs(numbers(4, seed=7))]
    layers = {
        "dense_1": {"dense_1_W:0": w, "dense_1_b:0": b},
        "bn": dict(
            zip(
                ("bn_gamma:0", "bn_beta:0", "bn_running_mean:0", "bn_running_std:0"),
                norm,
                strict=True,
            )
        ),
        "dropout_1": {},
        "dense_2": {"dense_2_W:0": v, "dense_2_b:0": c},
    }
    training = {"loss": "mse", "metrics": [], "sample_weight_mode": None, "loss_weights": None,
        "optimizer_config": {"class_name": "SGD",
            "config": {"lr": 0.1, "momentum": 0.0, "decay": 0.0, "nesterov": False}}}  # fmt: skip
    write_h5(tmp_path / "m.keras", layers, config, "1.2.2", training_config=json.dumps(training))
    model = hb.saving.load_model(tmp_path / "m.keras")
    x = numbers(5, 3, seed=8)
    h = (x @ w + b - norm[2]) / np.sqrt(norm[3] + 1e-3) * norm[0] + norm[1]
    close(model.predict(x, verbose=0), sigmoid(h @ v + c))
    assert float(model.optimizer.learning_rate.value) == pytest.approx(0.1)
    assert model.layers[2].rate == 0.5


def lstm_of_first(x, gates, u):
    """Run Keras 1's LSTM with the old slope of hard_sigmoid."""
    h = c = np.zeros((len(x), u), "float32")
    for t in range(x.shape[1]):
        i, f, o = (
            old_sigmoid(x[:, t] @ gates[g][0] + h @ gates[g][1] + gates[g][2]) for g in "ifo"
        )
        c = f * c + i * np.tanh(x[:, t] @ gates["c"][0] + h @ gates["c"][1] + gates["c"][2])
        h = o * np.tanh(c)
    return h


@pytest.mark.parametrize("names", [True, False])
def test_first_lstm(tmp_path, names):
    """Keras 1 stored the gates separately, in the order i, c, f, o."""
    config = layer("LSTM", name="lstm_1", output_dim=3, init="glorot_uniform",
        inner_init="orthogonal", forget_bias_init="one",
        activation="tanh", inner_activation="hard_sigmoid", W_regularizer=None,
        U_regularizer=None, b_regularizer=None, dropout_W=0.0, dropout_U=0.0,
        return_sequences=False, go_backwards=False, stateful=False, unroll=False,
        consume_less="cpu", input_dim=2, input_length=None, trainable=True,
        batch_input_shape=[None, 4, 2], input_dtype="float32")  # fmt: skip
    gates = {
        g: (numbers(2, 3, seed=k), numbers(3, 3, seed=k + 4), numbers(3, seed=k + 8))
        for k, g in enumerate("icfo")
    }
    arrays = {}
    for g, parts in gates.items():
        for word, value in zip("WUb", parts, strict=True):
            arrays[f"lstm_1_{word}_{g}" if names else f"param_{len(arrays)}"] = value
    write_h5(
        tmp_path / "m.h5",
        {"lstm_1": arrays},
        {"class_name": "Sequential", "config": [config]},
        "1.0.5",
    )
    model = hb.saving.load_model(tmp_path / "m.h5")
    x = numbers(5, 4, 2, seed=20)
    close(model.predict(x, verbose=0), lstm_of_first(x, gates, 3))
    # New files store the old slope under a separate name.
    model.save(tmp_path / "again.keras")
    close(
        hb.saving.load_model(tmp_path / "again.keras").predict(x, verbose=0),
        lstm_of_first(x, gates, 3),
    )


def test_first_merges(tmp_path):
    """Keras 1: a stack on merged stacks, one of them used twice.

    The weights are stored under the inner layers' names.
    """
    left = {
        "class_name": "Sequential",
        "config": [first_dense("left", 2, batch_input_shape=[None, 3])],
    }
    right = {
        "class_name": "Sequential",
        "config": [first_dense("right", 2, batch_input_shape=[None, 3])],
    }
    x, y = numbers(5, 3, seed=9), numbers(5, 3, seed=10)
    w = {name: numbers(3, 2, seed=k) for k, name in enumerate(("left", "right"))}
    zero = np.zeros(2, "float32")
    groups = {name: {f"{name}_W": w[name], f"{name}_b": zero} for name in w}
    a, b = x @ w["left"], y @ w["right"]
    expected = {
        "sum": a + b, "mul": a * b, "ave": (a + b) / 2, "max": np.maximum(a, b),
        "concat": np.concatenate([a, b], 1),
        "dot": (a * b).sum(1, keepdims=True),
    }  # fmt: skip
    for mode, real in expected.items():
        merge = layer("Merge", layers=[left, right], mode=mode, mode_type="raw", concat_axis=-1,
            dot_axes=1, name="merge_1",
            output_shape=None, output_shape_type="raw", output_mask=None,
            output_mask_type="raw", arguments={}, node_indices=None,
            tensor_indices=None)  # fmt: skip
        write_h5(
            tmp_path / "m.h5",
            {**groups, "merge_1": {}},
            {"class_name": "Sequential", "config": [merge]},
            "1.2.2",
        )
        close(hb.saving.load_model(tmp_path / "m.h5").predict([x, y], verbose=0), real)


def conv_by_hand(x, kernel):
    """Correlate (B, H, W, C) with (h, w, C, F)."""
    h, w = kernel.shape[:2]
    rows, columns = x.shape[1] - h + 1, x.shape[2] - w + 1
    return sum(
        x[:, i : i + rows, j : j + columns] @ kernel[i, j] for i in range(h) for j in range(w)
    )  # fmt: skip


@pytest.mark.parametrize("theano", [False, True])
def test_theano_order(tmp_path, theano):
    """Kernels of `dim_ordering="th"` are (out, in, rows, columns); Theano's files flip them.

    Keras 1 does not record which backend wrote a file, but TensorFlow's variables end in ":0". Its
    padding layers do not record the order.
    """
    config = layer("Convolution2D", name="c", nb_filter=3, nb_row=3, nb_col=2,
        init="glorot_uniform", activation="linear",
        border_mode="valid", subsample=[1, 1], dim_ordering="th", W_regularizer=None,
        b_regularizer=None, activity_regularizer=None, W_constraint=None,
        b_constraint=None, bias=True, trainable=True, batch_input_shape=[None, 2, 6, 5],
        input_dtype="float32")  # fmt: skip
    padding = layer("ZeroPadding2D", name="p", padding=[1, 2], trainable=True)
    kernel, bias = numbers(3, 3, 2, 2).transpose(0, 3, 1, 2).copy(), numbers(3, seed=1)
    end = "" if theano else ":0"
    write_h5(tmp_path / "m.h5", {"c": {f"c_W{end}": kernel, f"c_b{end}": bias}, "p": {}},
        {"class_name": "Sequential", "config": [config, padding]}, "1.2.2")  # fmt: skip
    x = numbers(2, 2, 6, 5, seed=2)
    today = kernel.transpose(2, 3, 1, 0)
    today = today[::-1, ::-1] if theano else today
    real = conv_by_hand(x.transpose(0, 2, 3, 1), today) + bias
    real = np.pad(real.transpose(0, 3, 1, 2), [(0, 0), (0, 0), (1, 1), (2, 2)])
    close(hb.saving.load_model(tmp_path / "m.h5").predict(x, verbose=0), real)


def test_padding_of_theano(tmp_path):
    """Theano padded both sides equally, which no current layer does; loading reports it."""
    config = layer("Convolution2D", name="c", nb_filter=3, nb_row=3, nb_col=3, border_mode="same",
        subsample=[2, 2],
        dim_ordering="tf", bias=False, trainable=True,
        batch_input_shape=[None, 6, 6, 2])  # fmt: skip
    write_h5(
        tmp_path / "m.h5",
        {"c": {"c_W": numbers(3, 3, 2, 3)}},
        {"class_name": "Sequential", "config": [config]},
        "1.2.2",
    )
    with pytest.warns(UserWarning, match="Theano.*c differ"):
        hb.saving.load_model(tmp_path / "m.h5")


# Layers that only Keras 1 has: arguments, arrays, and the results of Keras 1.2.2 (measured).
def of_a_batch(x, gamma, beta, mean, variance):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 0.1) * gamma + beta


def of_a_sample(x, gamma, beta, mean, variance):
    centered = x - x.mean(1, keepdims=True)
    return centered / (np.sqrt(x.var(1, keepdims=True) + 0.1) + 0.1) * gamma + beta


def highway(x, w, carry, b, carry_bias):
    gate = sigmoid(x @ carry + carry_bias)
    return gate * np.tanh(x @ w + b) + (1 - gate) * x


def s_shape(x, t_left, a_left, t_right, a_right):
    bent = np.where(x > t_left, x - t_left, a_left * (x - t_left))
    right = t_left + abs(t_right)
    return t_left + np.minimum(bent, abs(t_right)) + a_right * np.maximum(x - right, 0)


FIRST_ONLY = {
    "batch": ("BatchNormalization", {"mode": 2, "axis": -1, "epsilon": 0.1, "momentum": 0.99},
        ("gamma", "beta", "running_mean", "running_std"), of_a_batch),
    "sample": ("BatchNormalization", {"mode": 1, "axis": -1, "epsilon": 0.1, "momentum": 0.99},
        ("gamma", "beta", "running_mean", "running_std"), of_a_sample),
    "highway": ("Highway", {"init": "glorot_uniform", "activation": "tanh", "bias": True,
        "W_regularizer": None}, ("W", "W_carry", "b", "b_carry"), highway),
    "maxout": ("MaxoutDense", {"output_dim": 3, "nb_feature": 2, "init": "glorot_uniform",
        "bias": True}, ("W", "b"),
        lambda x, w, b: (np.einsum("bi,kio->bko", x, w) + b).max(1)),
    "softplus": ("ParametricSoftplus", {"alpha_init": 0.2, "beta_init": 5.0}, ("alphas", "betas"),
        lambda x, a, b: a * np.log1p(np.exp(b * x))),
    "s_shape": ("SReLU", {"t_left_init": "zero", "a_left_init": "glorot_uniform",
        "t_right_init": "glorot_uniform", "a_right_init": "one"},
        ("t_left", "a_left", "t_right", "a_right"), s_shape),
    # shared axes, which the file does not record
    "slopes": ("PReLU", {"init": "zero"}, ("alphas",), lambda x, a: np.where(x > 0, x, a * x)),
}  # fmt: skip


@pytest.mark.parametrize("case", FIRST_ONLY)
def test_layers_of_first_alone(tmp_path, case):
    kind, arguments, names, function = FIRST_ONLY[case]
    config = layer(
        kind,
        name="g",
        trainable=True,
        batch_input_shape=[None, 3],
        input_dtype="float32",
        **arguments,
    )
    shapes = (
        {"W": (3, 3), "W_carry": (3, 3)}
        if case == "highway"
        else {"W": (2, 3, 3), "b": (2, 3)}
        if case == "maxout"
        else {}
    )
    shapes = {"alphas": (1,)} if case == "slopes" else shapes
    arrays = [numbers(*shapes.get(name, (3,)), seed=k) for k, name in enumerate(names)]
    group = {f"g_{name}": value for name, value in zip(names, arrays, strict=True)}
    write_h5(
        tmp_path / "m.h5", {"g": group}, {"class_name": "Sequential", "config": [config]}, "1.2.2"
    )
    model = hb.saving.load_model(tmp_path / "m.h5")
    x = numbers(6, 3, seed=9)
    close(model.predict(x, verbose=0), function(x, *arrays))
    model.save(tmp_path / "again.keras")
    close(
        hb.saving.load_model(tmp_path / "again.keras").predict(x, verbose=0), function(x, *arrays)
    )
    own = type(kind, (hb.layers.Layer,), {"call": lambda self, inputs: inputs})
    # A user's class takes precedence.
    if not hasattr(hb.layers, kind):
        plain = {
            "class_name": "Sequential",
            "config": [layer(kind, name="g", trainable=True, batch_input_shape=[None, 3])],
        }
        made = hb.models.model_from_config(
            plain | {"keras_version": "1.2.2"}, custom_objects={kind: own}
        )
        assert type(made.layers[-1]) is own


def test_dropped_words(tmp_path):
    """Keras 1's Embedding could drop words: all occurrences of a word together."""
    config = layer("Embedding", name="e", input_dim=50, output_dim=2, dropout=0.5, init="uniform",
        mask_zero=False,
        input_length=40, batch_input_shape=[None, 40], input_dtype="int32", W_regularizer=None,
        trainable=True)  # fmt: skip
    table = np.ones((50, 2), "float32")
    write_h5(
        tmp_path / "m.h5",
        {"e": {"e_W": table}},
        {"class_name": "Sequential", "config": [config]},
        "1.2.2",
    )
    model = hb.saving.load_model(tmp_path / "m.h5")
    x = np.arange(80).reshape(2, 40) % 25
    close(model.predict(x, verbose=0), np.ones((2, 40, 2)))
    drawn = np.asarray(model(x, training=True)).reshape(80, 2)
    assert set(drawn.ravel().tolist()) == {0.0, 2.0}
    close(drawn[:25], drawn[25:50])


def test_numbered_weights(tmp_path):
    """Before Keras 1, weights files had numbered groups: `layer_0/param_0`."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["nb_layers"] = 2
        for i, arrays in enumerate(([numbers(3, 2), numbers(2)], [])):
            group = file.create_group(f"layer_{i}")
            group.attrs["nb_params"] = len(arrays)
            for j, value in enumerate(arrays):
                group[f"param_{j}"] = value
    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)])
    model.load_weights(tmp_path / "w.h5")
    close(model.get_weights()[0], numbers(3, 2))


@pytest.mark.parametrize("kind", ["CuDNNLSTM", "CuDNNGRU"])
def test_cudnn_weights(tmp_path, kind):
    """cuDNN stores two biases, and each gate's kernel as (units, inputs)."""
    gates, u, n = (4, 3, 2) if kind == "CuDNNLSTM" else (3, 3, 2)
    kernel, recurrent, bias = (
        numbers(n, gates * u),
        numbers(u, gates * u, seed=1),
        numbers(2 * gates * u, seed=2),
    )
    inner = {"name": "r", "units": u, "return_sequences": False, "return_state": False,
        "go_backwards": False,
        "stateful": False, "trainable": True, "batch_input_shape": [None, 4, n],
        "dtype": "float32", "kernel_initializer": layer("VarianceScaling", scale=1.0,
            mode="fan_avg", distribution="uniform", seed=None)}  # fmt: skip
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer(kind, **inner)]}}
    arrays = {"r/kernel:0": kernel, "r/recurrent_kernel:0": recurrent, "r/bias:0": bias}
    write_h5(tmp_path / "m.h5", {"r": arrays}, config, "2.2.4", backend="tensorflow")
    model = hb.saving.load_model(tmp_path / "m.h5")
    x = numbers(5, 4, n, seed=3)
    w = [part.ravel().reshape(u, n).T for part in np.split(kernel, gates, 1)]
    r = [part.T for part in np.split(recurrent, gates, 1)]
    b, rb = np.split(bias[: gates * u], gates), np.split(bias[gates * u :], gates)
    h = c = np.zeros((5, u), "float32")
    for t in range(4):
        a = [x[:, t] @ w[k] + b[k] for k in range(gates)]
        s = [h @ r[k] + rb[k] for k in range(gates)]
        if kind == "CuDNNLSTM":
            i, f, g, o = (
                sigmoid(a[0] + s[0]),
                sigmoid(a[1] + s[1]),
                np.tanh(a[2] + s[2]),
                sigmoid(a[3] + s[3]),
            )
            c = f * c + i * g
            h = o * np.tanh(c)
        else:
            z, reset = sigmoid(a[0] + s[0]), sigmoid(a[1] + s[1])
            h = z * h + (1 - z) * np.tanh(a[2] + reset * s[2])
    close(model.predict(x, verbose=0), h)


def second_dense(name, units, **more):
    zeros = {
        "module": "keras.initializers",
        "class_name": "Zeros",
        "config": {"dtype": "float32"},
        "registered_name": None,
    }
    return layer("Dense", name=name, trainable=True, dtype="float32", units=units,
        activation="linear", use_bias=True,
        kernel_initializer={"class_name": "GlorotUniform",
            "config": {"seed": None, "dtype": "float32"}},
        bias_initializer=zeros, kernel_regularizer=None, bias_regularizer=None,
        activity_regularizer=None, kernel_constraint=None, bias_constraint=None,
        **more)  # fmt: skip


def inputs_of(name, *shape):
    config = {
        "batch_input_shape": [None, *shape],
        "dtype": "float32",
        "sparse": False,
        "ragged": False,
        "name": name,
    }
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def graph_of(layers, inputs, outputs, name="model"):
    config = {
        "name": name,
        "layers": layers,
        "input_layers": [[n, 0, 0] for n in inputs],
        "output_layers": outputs,
    }
    return {"class_name": "Functional", "config": config}


def test_tensorflow_ops_in_graphs():
    """tf.keras 2.4 and later: functions by name, tensors as arguments, slices as dictionaries."""

    def op(name, function, call, kind="TFOpLambda"):
        config = {"name": name, "trainable": True, "dtype": "float32", "function": function}
        return {"class_name": kind, "config": config, "name": name, "inbound_nodes": [call]}

    steps = [
        inputs_of("x", 4),
        op("a", "math.multiply", ["x", 0, 0, {"y": 2.0, "name": None}]),
        op("b", "__operators__.add", ["a", 0, 0, {"y": ["x", 0, 0], "name": None}]),
        op("c", "concat", [["a", 0, 0, {"axis": -1}], ["b", 0, 0, {"axis": -1}]]),
        op("d", "__operators__.getitem", ["c", 0, 0,
            {"slice_spec": [{"start": None, "stop": None, "step": None},
           {"start": 1, "stop": 7, "step": 2}]}], "SlicingOpLambda"),
        op("e", "math.subtract", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["d", 0, 0], "name": None}]),
        op("s", "compat.v1.shape", ["e", 0, 0, {"out_type": "int32"}]),
        op("n", "__operators__.getitem", ["s", 0, 0, {"slice_spec": 0}], "SlicingOpLambda"),
        op("f", "reshape", ["e", 0, 0, {"shape": [["n", 0, 0], 3, 1]}]),
        op("g", "math.reduce_mean", ["f", 0, 0, {"axis": [1], "keepdims": False}]),
        op("h", "math.l2_normalize", ["e", 0, 0, {"axis": 1}]),
    ]  # fmt: skip
    config = graph_of(steps, ["x"], [["f", 0, 0], ["g", 0, 0], ["h", 0, 0]])
    model = hb.models.model_from_json(
        json.dumps({**config, "keras_version": "2.8.0", "backend": "tensorflow"})
    )
    x = numbers(5, 4)
    e = 1 - np.concatenate([2 * x, 3 * x], 1)[:, 1:7:2]
    made = model.predict(x, verbose=0)
    for a, b in zip(
        made,
        (e[..., None], e.mean(1, keepdims=True), e / np.linalg.norm(e, axis=1, keepdims=True)),
        strict=True,
    ):
        close(a, b)
    steps[1]["config"]["function"] = "audio.decode_wav"
    with pytest.raises(FileError, match=r"'a'.*audio\.decode_wav"):
        hb.models.model_from_json(json.dumps({**config, "keras_version": "2.8.0"}))


def test_pieces_of_tensorflow_graphs():
    """tf.keras 2.0 to 2.3: an op as a node of a TensorFlow graph, with its constants."""
    node = {
        "name": "mul",
        "op": "Mul",
        "input": ["x", "mul/y"],
        "attr": {"T": {"type": "DT_FLOAT"}},
    }
    config = {
        "name": "tf_op_layer_mul",
        "trainable": True,
        "dtype": "float32",
        "node_def": node,
        "constants": {"1": 3.0},
    }
    mean = {
        "name": "mean",
        "op": "Mean",
        "input": ["m", "axis"],
        "attr": {"keep_dims": {"b": True}},
    }
    second = {
        "name": "tf_op_layer_mean",
        "trainable": True,
        "dtype": "float32",
        "node_def": json.dumps(mean),
        "constants": {"1": -1},
    }
    layers = [
        inputs_of("x", 4),
        {"class_name": "TensorFlowOpLayer", "config": config, "name": "tf_op_layer_mul",
            "inbound_nodes": [[["x", 0, 0, {}]]]},
        {"class_name": "TensorFlowOpLayer", "config": second, "name": "tf_op_layer_mean",
         "inbound_nodes": [[["tf_op_layer_mul", 0, 0, {}]]]},
    ]  # fmt: skip
    model = hb.models.model_from_config(
        graph_of(layers, ["x"], [["tf_op_layer_mean", 0, 0]]) | {"keras_version": "2.3.0-tf"}
    )
    x = numbers(5, 4)
    close(model.predict(x, verbose=0), 3 * x.mean(1, keepdims=True))


def test_translated_ops_exist():
    import inspect
    import re

    from hornbeam.core.op_table import OPS
    from hornbeam.legacy.files import ops

    named = set(re.findall(r'ops\("(\w+)"', inspect.getsource(ops)))
    assert named
    assert named <= OPS.keys()
    assert len(_SIGNATURES) > 100


def test_nested_models(tmp_path):
    """Nested models of Keras 2.

    Keras 2 counted their calls from 1 and wrote frozen weights in another order. Names may contain
    slashes.
    """
    norm = layer("BatchNormalization", name="block/bn", trainable=False, dtype="float32", axis=[1],
        momentum=0.99, epsilon=1e-3,
        center=True, scale=True, beta_initializer=layer("Zeros"),
        gamma_initializer=layer("Ones"))  # fmt: skip
    inner = graph_of(
        [inputs_of("i", 3), {**second_dense("block/d", 3), "name": "block/d",
            "inbound_nodes": [[["i", 0, 0, {}]]]},
         {**norm, "name": "block/bn", "inbound_nodes": [[["block/d", 0, 0, {}]]]}],
        ["i"], [["block/bn", 0, 0]], "inner",
    )  # fmt: skip
    outer = graph_of(
        [inputs_of("a", 3), inputs_of("b", 3),
         {**inner, "name": "inner", "inbound_nodes": [[["a", 0, 0, {}]], [["b", 0, 0, {}]]]},
         {"class_name": "Subtract", "config": {"name": "s", "trainable": True}, "name": "s",
          "inbound_nodes": [[["inner", 1, 0, {}], ["inner", 2, 0, {}]]]}],
        ["a", "b"], [["s", 0, 0]],
    )  # fmt: skip
    w, b = numbers(3, 3), numbers(3, seed=1)
    parts = [numbers(3, seed=2), numbers(3, seed=3), numbers(3, seed=4), np.abs(numbers(3, seed=5))]
    norm_arrays = dict(
        zip(
            (f"block/bn/{n}:0" for n in ("gamma", "beta", "moving_mean", "moving_variance")),
            parts,
            strict=True,
        )
    )
    orders = [
        {"block/d/kernel:0": w, "block/d/bias:0": b, **norm_arrays},
        {**norm_arrays, "block/d/kernel:0": w, "block/d/bias:0": b},
    ]
    x, y = numbers(5, 3, seed=6), numbers(5, 3, seed=7)
    for arrays in orders:
        write_h5(
            tmp_path / "m.h5",
            {"a": {}, "b": {}, "inner": arrays, "s": {}},
            outer,
            "2.4.0",
            backend="tensorflow",
        )
        model = hb.saving.load_model(tmp_path / "m.h5")
        close(model.predict([x, y], verbose=0), (x - y) @ w / np.sqrt(parts[3] + 1e-3) * parts[0])
        assert [part.name for part in model.get_layer("inner").layers] == [
            "i",
            "block_d",
            "block_bn",
        ]


def test_lists_of_names_in_pieces(tmp_path):
    """Long lists of names are split into numbered attributes. Names may be bytes or text."""
    model = hb.Sequential(
        [hb.Input((3,)), hb.layers.Dense(3, name="first"), hb.layers.Dense(2, name="second")]
    )
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"first"], ["second"]
        for name, shape in (("first", (3, 3)), ("second", (3, 2))):
            group = file.create_group(name)
            group.attrs["weight_names0"], group.attrs["weight_names1"] = (
                [f"{name}/kernel:0"],
                [f"{name}/bias:0".encode()],
            )
            group[f"{name}/kernel:0"], group[f"{name}/bias:0"] = np.ones(shape), np.zeros(shape[1])
    model.load_weights(tmp_path / "w.h5")
    close(model.predict(np.ones((1, 3)), verbose=0), np.full((1, 2), 9.0))


def test_code_names_its_layer(tmp_path):
    config = {"name": "crop", "trainable": True, "function": ["4wEAAAAA\n", None, None],
        "function_type": "lambda",
        "output_shape": None, "output_shape_type": "raw", "arguments": {},
        "batch_input_shape": [None, 3]}  # fmt: skip
    write_h5(
        tmp_path / "m.h5",
        {"crop": {}},
        {"class_name": "Sequential", "config": [layer("Lambda", **config)]},
        "2.2.4",
    )
    with pytest.raises(FileError, match="crop"):
        hb.saving.load_model(tmp_path / "m.h5")
    config |= {"function": "double", "function_type": "function", "module": "__main__"}
    write_h5(
        tmp_path / "m.h5",
        {"crop": {}},
        {"class_name": "Sequential", "config": [layer("Lambda", **config)]},
        "2.2.4",
    )
    model = hb.saving.load_model(tmp_path / "m.h5", custom_objects={"double": lambda x: 2 * x})
    close(model.predict(np.ones((1, 3)), verbose=0), np.full((1, 3), 2.0))


OLD_OPTIMIZERS = {
    "by slot": (
        "Adam/iter:0",
        ["Adam/d/kernel/m:0", "Adam/d/bias/m:0", "Adam/d/kernel/v:0", "Adam/d/bias/v:0"],
        "mmvv",
    ),
    "by weight": (
        "iteration:0",
        ["Adam/m/d/kernel:0", "Adam/v/d/kernel:0", "Adam/m/d/bias:0", "Adam/v/d/bias:0"],
        "mvmv",
    ),
}


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("form", OLD_OPTIMIZERS)
def test_old_optimizer_state(tmp_path, form, scaled):
    """With a scaled loss, tf.keras 2 wrote the inner optimizer's state, but not the scale."""
    count, names, order = OLD_OPTIMIZERS[form]
    config = {
        "class_name": "Sequential",
        "config": {"name": "s", "layers": [second_dense("d", 2, batch_input_shape=[None, 3])]},
    }
    training = {"loss": {"class_name": "MeanSquaredError",
        "config": {"reduction": "auto", "name": "mse", "fn": "mean_squared_error"}},
        "metrics": [[{"class_name": "MeanMetricWrapper",
            "config": {"name": "accuracy", "dtype": "float32", "fn": "binary_accuracy"}}]],
        "optimizer_config": {"class_name": "Custom>Adam",
            "config": {"name": "Adam", "learning_rate": 0.01, "jit_compile": True,
                "is_legacy_optimizer": False}}}  # fmt: skip
    if scaled:
        inner = training["optimizer_config"]
        settings = {
            "inner_optimizer": inner,
            "dynamic": False,
            "initial_scale": 128.0,
            "dynamic_growth_steps": None,
        }
        training["optimizer_config"] = {"class_name": "LossScaleOptimizerV3", "config": settings}
    arrays = {"d/kernel:0": numbers(3, 2), "d/bias:0": numbers(2)}
    write_h5(
        tmp_path / "m.h5", {"d": arrays}, config, "2.11.0", training_config=json.dumps(training)
    )
    with h5py.File(tmp_path / "m.h5", "a") as file:
        state = file.create_group("optimizer_weights")
        state.attrs["weight_names"] = [name.encode() for name in (count, *names)]
        state[count] = np.int64(7)
        for name, slot in zip(names, order, strict=True):
            state[name] = np.full(
                (3, 2) if "kernel" in name else (2,), {"m": 1.0, "v": 2.0}[slot], "float32"
            )
    model = hb.saving.load_model(tmp_path / "m.h5")
    optimizer = model.optimizer.inner_optimizer if scaled else model.optimizer
    assert int(optimizer.iterations.value) == 7
    values = {
        v.path.rsplit("_", 1)[-1]: float(np.asarray(v.value).flat[0])
        for v in optimizer.variables[2:]
    }
    assert values == {"momentum": 1.0, "velocity": 2.0}
    if scaled:
        model.train_on_batch(numbers(4, 3), numbers(4, 2))
        assert float(model.optimizer.dynamic_scale.value) == 128.0


def test_first_optimizer_state(tmp_path):
    """Before 2.0.6, the state was in the order of the weights' names, with each gate separate."""
    lstm = layer(
        "LSTM",
        name="z",
        output_dim=2,
        inner_activation="hard_sigmoid",
        batch_input_shape=[None, 4, 2],
        trainable=True,
    )
    config = {"class_name": "Sequential", "config": [lstm, first_dense("d", 2)]}
    groups = {
        "z": {f"z_{w}_{g}": numbers(*((2, 2) if w in "WU" else (2,)))
            for g in "icfo" for w in "WUb"},
        "d": {"d_W": numbers(2, 2), "d_b": numbers(2)}}  # fmt: skip
    training = {
        "loss": "mse",
        "metrics": [],
        "optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1, "momentum": 0.9}},
    }
    write_h5(tmp_path / "m.h5", groups, config, "1.2.2", training_config=json.dumps(training))
    names = sorted(name for group in groups.values() for name in group)
    with h5py.File(tmp_path / "m.h5", "a") as file:
        state = file.create_group("optimizer_weights")
        shapes = {name: value.shape for group in groups.values() for name, value in group.items()}
        state.attrs["weight_names"] = [
            b"/iterations",
            *(f"param_{i + 1}".encode() for i in range(len(names))),
        ]
        # Keras 2.0 used this name, at the root.
        state["/iterations"] = np.float32(5)
        for i, name in enumerate(names):
            state[f"param_{i + 1}"] = np.full(shapes[name], i, "float32")
    optimizer = hb.saving.load_model(tmp_path / "m.h5").optimizer
    assert int(optimizer.iterations.value) == 5
    found = [np.asarray(v.value) for v in optimizer.variables[2:]]
    place = {name: float(i) for i, name in enumerate(names)}
    for value, word in zip(found[:3], "WUb", strict=True):
        np.testing.assert_array_equal(
            value.reshape(-1, 8)[0], np.repeat([place[f"z_{word}_{g}"] for g in "ifco"], 2)
        )
    assert [float(v.flat[0]) for v in found[3:]] == [place["d_W"], place["d_b"]]


def test_a_loss_that_is_not_at_hand(tmp_path):
    config = {
        "class_name": "Sequential",
        "config": {"name": "s", "layers": [second_dense("d", 2, batch_input_shape=[None, 3])]},
    }
    training = {
        "loss": "my_loss",
        "metrics": [],
        "optimizer_config": {"class_name": "Adam", "config": {}},
    }
    arrays = {"d/kernel:0": numbers(3, 2), "d/bias:0": numbers(2)}
    write_h5(
        tmp_path / "m.h5", {"d": arrays}, config, "2.3.1", training_config=json.dumps(training)
    )
    with pytest.warns(UserWarning, match="my_loss") as said:
        model = hb.saving.load_model(tmp_path / "m.h5")
    assert len(said) == 1
    close(model.get_weights()[0], arrays["d/kernel:0"])
    with pytest.raises(ValueError, match="compile"):
        model.evaluate(np.ones((1, 3)), np.ones((1, 2)), verbose=0)


YAML = """
backend: tensorflow
class_name: Sequential
config:
- class_name: Dense
  config:
    activation: relu
    batch_input_shape: !!python/tuple [null, 3]
    init: glorot_uniform
    name: !!python/unicode 'dense_1'
    output_dim: 2
    W_regularizer: &nothing null
    b_regularizer: *nothing
keras_version: 1.2.2
"""


def test_yaml():
    pytest.importorskip("yaml", reason="needs PyYAML (the extra `yaml`)")
    model = hb.models.model_from_yaml(YAML)
    assert model.count_params() == 8
    for bad in ("!!python/object/apply:os.system ['true']", "a: &a [*a]", "[" * 5000, "{"):
        with pytest.raises(FileError):
            hb.models.model_from_yaml(bad)
    bomb = "a: &a0 [x, x]\n" + "".join(f"b{i}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(30))
    with pytest.raises(FileError, match="more values"):
        hb.models.model_from_yaml(bomb)


@pytest.mark.parametrize(
    ("name", "settings", "old"),
    [
        ("RMSprop", {}, True),
        ("Adagrad", {}, True),
        ("Custom>RMSprop", {}, False),
        ("RMSprop", {"momentum": 0.9}, False),
    ],
)
def test_epsilon_stood_outside_of_the_root(tmp_path, name, settings, old):
    """Keras 1 to 2.3 and tf.keras before 2.11 divided by sqrt(v) + epsilon.

    With gradients of 1e-4, the steps are 10 times smaller.
    """
    model = hb.Sequential([hb.Input((1,)), hb.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((1, 1), "float32")])
    model.save(tmp_path / "m.h5")
    config = {"learning_rate": 0.01, "epsilon": 1e-7, **settings}
    if "Adagrad" in name:
        config["initial_accumulator_value"] = 0.0
    training = {
        "loss": "mean_absolute_error",
        "optimizer_config": {"class_name": name, "config": config},
    }
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["keras_version"] = file["model_weights"].attrs["keras_version"] = "2.3.1"
        file.attrs["training_config"] = json.dumps(training)
    model = hb.saving.load_model(tmp_path / "m.h5")
    model.train_on_batch(np.full((1, 1), 1e-4, "float32"), -np.ones((1, 1)))
    v = 1e-8 * (1.0 if "Adagrad" in name else 0.1)
    step = 0.01 * 1e-4 / (np.sqrt(v) + 1e-7 if old else np.sqrt(v + 1e-7))
    np.testing.assert_allclose(model.get_weights()[0], [[-step]], rtol=0.005)


# --- random models of Keras 3 ---------------------------------------------------------------------


def flat(outputs):
    return (
        [outputs[k] for k in sorted(outputs)]
        if isinstance(outputs, dict)
        else outputs
        if isinstance(outputs, list)
        else [outputs]
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("seed", range(24))
def test_random_models_of_keras(tmp_path, seed):
    """Hornbeam loads all files, and Keras loads what Hornbeam writes.

    Keras 3.15 itself loads only about half of its files.
    """
    import keras
    from random_models import random_model, targets

    real, x = random_model(keras, seed)
    real.fit(x, targets(real, x), verbose=0)
    outputs = flat(real.predict(x, verbose=0))
    real.save(str(tmp_path / "keras.h5"))
    model = hb.saving.load_model(tmp_path / "keras.h5")
    assert model.compiled
    for a, b in zip(flat(model.predict(x, verbose=0)), outputs, strict=True):
        close(a, b)
    for name in ("again.h5", "again.keras"):
        model.save(tmp_path / name)
        again = hb.saving.load_model(tmp_path / name)
        for a, b in zip(flat(again.predict(x, verbose=0)), outputs, strict=True):
            close(a, b)
    again.fit(x, targets(again, x), verbose=0)


# Models of `keras.applications` with layers or ops that the others lack, and their smallest input.
APPLICATIONS = {
    "ConvNeXtTiny": 32, "EfficientNetV2B0": 32, "InceptionV3": 75, "MobileNetV3Small": 32,
    "ResNet50V2": 32, "Xception": 71,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", APPLICATIONS)
def test_models_of_applications(tmp_path, name):
    import keras

    keras.utils.set_random_seed(0)
    size, random = APPLICATIONS[name], np.random.RandomState(0)
    real = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=5, classifier_activation=None
    )
    for part in real.layers:
        if type(part).__name__ == "BatchNormalization":
            *rest, mean, variance = part.get_weights()
            part.set_weights(
                [*rest, random.randn(*mean.shape) * 0.1, random.rand(*variance.shape) + 0.5]
            )
    x = random.rand(2, size, size, 3).astype("float32") * 255
    expected = np.asarray(real(x, training=False))
    for ending in (".keras", ".h5"):
        real.save(str(tmp_path / f"m{ending}"))
        model = hb.saving.load_model(tmp_path / f"m{ending}")
        close(model.predict(x, verbose=0), expected)
