"""Hostile model files, made from real ones: known attacks on loaders of Keras files, and variants.

`ROWS` maps a name to a builder, a kind and an expectation. The builder writes the file into a given
folder and returns its path. The kind says how to open the file. The expectation is a pattern for
the error (`None`: any `FileError`; `LOADS`: the file is harmless and loads).
"""

import base64
import io
import json
import marshal
import pickle
import re
import zipfile

import h5py
import numpy as np

import hornbeam as hb

LOADS = "loads"
ROWS = {}
MARK = "hostile_mark"
SENTINEL = "hostile_sentinel"  # a module that no file may import


def row(*args, expect=None, kind="model"):
    """Register a builder as one row, or as one row for each of `args`."""

    def register(build):
        for arg in args or (None,):
            name = build.__name__ + (f"[{arg}]" if arg is not None else "")
            ROWS[name] = (
                build if arg is None else (lambda folder, arg=arg: build(folder, arg)),
                kind,
                expect,
            )
        return build

    return register


def small():
    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2, name="head")], name="m")
    model.compile("sgd", "mse")
    return model


_saved = {}


def save_small(path, **kwargs):
    """Write the small model to `path`; it is saved once for each extension and then copied."""
    key = path.name.partition(".")[2]
    if kwargs:
        return small().save(path, **kwargs)
    if key not in _saved:
        model = small()
        model.save_weights(path) if key == "weights.h5" else model.save(path)
        _saved[key] = path.read_bytes()
    path.write_bytes(_saved[key])


def with_config(path, edit):
    """Write the small model after `edit(config)`, which changes or replaces its configuration."""
    save_small(path)
    if str(path).endswith(".h5"):
        with h5py.File(path, "a") as file:
            config = json.loads(file.attrs["model_config"])
            file.attrs["model_config"] = as_text(edited(config, edit))
        return path
    members = read_zip(path)
    config = json.loads(members["config.json"])
    members["config.json"] = as_text(edited(config, edit))
    return write_zip(path, members)


def edited(config, edit):
    changed = edit(config)
    return config if changed is None else changed


def as_text(config):
    return config if isinstance(config, str) else json.dumps(config)


def read_zip(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items() if isinstance(members, dict) else members:
            archive.writestr(name, data)
    return path


def with_weights(path, edit):
    """Write the small model after `edit(file)`, which changes its HDF5 file."""
    save_small(path)
    if str(path).endswith(".h5"):
        with h5py.File(path, "a") as file:
            edit(file)
        return path
    members = read_zip(path)
    data = io.BytesIO(members["model.weights.h5"])
    with h5py.File(data, "a") as file:
        edit(file)
    return write_zip(path, members | {"model.weights.h5": data.getvalue()})


FILES = ("a.keras", "a.h5", "a.weights.h5")


def kernel_of(file):
    """Return the group and the name of the small model's kernel in any file layout."""
    names = []
    file.visititems(
        lambda name, item: names.append(name) if getattr(item, "shape", None) == (3, 2) else None
    )
    parent, _, name = names[0].rpartition("/")
    return file[parent], name


# --- code


def payload(x=None):
    open("hostile_mark", "w").close()
    return x


CODE = base64.b64encode(marshal.dumps(payload.__code__)).decode()
LAMBDA3 = {"class_name": "__lambda__", "config": {"code": CODE, "defaults": None, "closure": None}}
LAYER3 = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {"name": "evil", "function": LAMBDA3},
    "registered_name": None,
}
LAYER2 = {
    "class_name": "Lambda",
    "config": {
        "name": "evil",
        "function": [CODE, None, None],
        "function_type": "lambda",
        "module": "__main__",
        "output_shape": None,
        "output_shape_type": "raw",
        "arguments": {},
    },
}


def add_layer(config, layer):
    config["config"]["layers"].append(layer)


@row("a.keras", "a.h5", expect="code")
def lambda_of_keras_3(folder, name):
    return with_config(folder / name, lambda c: add_layer(c, LAYER3))


@row("a.keras", "a.h5", expect="code")
def lambda_of_keras_2(folder, name):
    return with_config(folder / name, lambda c: add_layer(c, LAYER2))


@row("TimeDistributed", "Bidirectional", "Wrapper", expect="code")
def lambda_inside_a_wrapper(folder, wrapper):
    return with_config(
        folder / "a.keras",
        lambda c: add_layer(
            c, {"module": "keras.layers", "class_name": wrapper, "config": {"layer": LAYER3}}
        ),
    )


@row(
    "activation", "kernel_initializer", "kernel_regularizer", "kernel_constraint",
    "bias_initializer", "dtype", "name", "units",
)  # fmt: skip
def lambda_as_an_argument(folder, argument):
    return with_config(
        folder / "a.keras", lambda c: c["config"]["layers"][1]["config"].update({argument: LAMBDA3})
    )


# The model loads uncompiled, with a warning.
@row("loss", "optimizer", "metrics", "loss_weights", expect=LOADS)
def lambda_in_the_training_state(folder, part):
    return with_config(folder / "a.keras", lambda c: c["compile_config"].update({part: LAMBDA3}))


@row("safe_mode", "enable_unsafe_deserialization", expect="code")
def a_file_that_allows_itself_code(folder, word):
    def edit(config):
        config[word] = config["config"][word + "_"] = word != "safe_mode"
        evil = json.loads(json.dumps(LAYER3))
        evil[word] = evil["config"]["function"][word] = word != "safe_mode"
        add_layer(config, evil)
        del config["config"][word + "_"]

    return with_config(folder / "a.keras", edit)


@row(expect="code", kind="json")
def lambda_in_json(folder):
    path = folder / "a.json"
    path.write_text(
        json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": [LAYER3]}})
    )
    return path


@row("3", "2", expect="code", kind="layer")
def lambda_as_a_layer(folder, era):
    path = folder / "a.json"
    path.write_text(json.dumps(LAYER3 if era == "3" else LAYER2))
    return path


# --- names

NAMED = {
    "module": {"module": SENTINEL, "class_name": "Layer", "config": {}, "registered_name": None},
    "registered": {"module": SENTINEL, "class_name": "Layer", "config": {},
        "registered_name": f"{SENTINEL}>Layer"},
    "system": {"module": "os", "class_name": "system", "config": f"touch {MARK}",
        "registered_name": None},
    "function": {"module": "os", "class_name": "function", "config": "system",
        "registered_name": "function"},
    "builtin": {"module": "builtins", "class_name": "function", "config": "eval",
        "registered_name": "function"},
    "function_name": {"class_name": "function", "module": "builtins",
        "config": {"module": "os", "function_name": "system"}},
    "get_file": {"module": "keras.utils", "class_name": "get_file",
        "config": {"origin": "http://127.0.0.1:9/x", "fname": "x"}},
    "get_file_as_function": {"module": "keras.utils", "class_name": "function",
        "config": "get_file", "registered_name": "function"},
    "unsafe": {"module": "keras.config", "class_name": "enable_unsafe_deserialization",
        "config": {}},
    "unsafe_as_function": {"module": "keras.config", "class_name": "function",
        "config": "enable_unsafe_deserialization"},
    "floatx": {"module": "keras.config", "class_name": "set_floatx",
        "config": {"value": "float64"}},
    "floatx_as_function": {"module": "keras.backend", "class_name": "function",
        "config": "set_floatx"},
    "load_model": {"module": "keras.saving", "class_name": "load_model",
        "config": {"filepath": "/etc/passwd", "safe_mode": False}},
    "partial": {"module": "functools", "class_name": "partial", "config": {"func": "os.system"}},
    "Popen": {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", MARK]}},
    "numpy": {"module": "numpy", "class_name": "load",
        "config": {"file": "/etc/passwd", "allow_pickle": True}},
    "dunder": {"module": "keras.layers", "class_name": "__builtins__", "config": {}},
    "private": {"module": "keras.layers", "class_name": "layer.os.system", "config": {}},
    "deserializer": {"module": "keras.activations", "class_name": "function",
        "config": "deserialize"},
    "callback": {"module": "keras.callbacks", "class_name": "CSVLogger",
        "config": {"filename": MARK}},
    "op": {"module": "keras.src.ops.numpy", "class_name": "system", "config": {"name": "x"},
        "registered_name": "system"},
    "bytes": {"class_name": "__bytes__", "config": {"value": "00"}},
    "class": {"class_name": "__class__", "config": "os.system"},
    "TFSMLayer": {"module": "keras.layers", "class_name": "TFSMLayer",
        "config": {"filepath": "/tmp/evil"}},
    "TorchModuleWrapper": {"module": "keras.layers", "class_name": "TorchModuleWrapper",
        "config": {"module": "gASVAAAA"}},
    "JaxLayer": {"module": "keras.layers", "class_name": "JaxLayer",
        "config": {"call_fn": LAMBDA3}},
    "FlaxLayer": {"module": "keras.layers", "class_name": "FlaxLayer",
        "config": {"module": {"module": SENTINEL, "class_name": "M", "config": {}}}},
}  # fmt: skip


@row(*NAMED)
def named_as_a_layer(folder, name):
    return with_config(folder / "a.keras", lambda c: add_layer(c, NAMED[name]))


@row(*NAMED)
def named_as_an_activation(folder, name):
    return with_config(
        folder / "a.h5", lambda c: c["config"]["layers"][1]["config"].update(activation=NAMED[name])
    )


@row(*NAMED, kind="layer")
def named_to_deserialize(folder, name):
    path = folder / "a.json"
    path.write_text(json.dumps(NAMED[name]))
    return path


@row("get_file", "set_floatx", "system", f"{SENTINEL}.Layer", "eval", "__import__")
def named_by_a_string(folder, word):
    return with_config(
        folder / "a.keras", lambda c: c["config"]["layers"][1]["config"].update(activation=word)
    )


@row("unsafe", "floatx", "get_file", "system", expect=LOADS)
def named_as_the_optimizer(folder, name):
    return with_config(
        folder / "a.keras", lambda c: c["compile_config"].update(optimizer=NAMED[name])
    )


@row("unsafe", "floatx", "get_file", "system")
def named_as_the_model(folder, name):
    return with_config(folder / "a.keras", lambda c: NAMED[name])


# --- other files


@row(
    "StringLookup",
    "IntegerLookup",
    "TextVectorization",
    "Hashing",
    "Discretization",
    "Embedding",
    "Normalization",
)
def vocabulary_from_a_path(folder, layer):
    config = {"name": "v", "vocabulary": "/etc/passwd", "idf_weights": "/etc/passwd"}
    return with_config(
        folder / "a.keras",
        lambda c: add_layer(
            c,
            {
                "module": "keras.layers",
                "class_name": layer,
                "config": config,
                "registered_name": None,
            },
        ),
    )


@row("StringLookup", "IntegerLookup", "TextVectorization")
def vocabulary_from_a_url(folder, layer):
    config = {"name": "v", "vocabulary": "http://127.0.0.1:9/words.txt"}
    return with_config(
        folder / "a.keras",
        lambda c: add_layer(
            c,
            {
                "module": "keras.layers",
                "class_name": layer,
                "config": config,
                "registered_name": None,
            },
        ),
    )


@row("a.keras", "a.h5")
def a_path_as_the_model(folder, name):
    return with_config(folder / name, lambda c: "/etc/passwd")


@row(*FILES, expect="link")
def external_link(folder, name):
    save_small(folder / "other.weights.h5")

    def edit(file):
        group, kernel = kernel_of(file)
        del group[kernel]
        group[kernel] = h5py.ExternalLink("other.weights.h5", "/layers/dense/vars/0")

    return with_weights(folder / name, edit)


@row(*FILES, expect="link")
def soft_link(folder, name):
    def edit(file):
        group, kernel = kernel_of(file)
        group.move(kernel, "moved")
        group[kernel] = h5py.SoftLink(f"{group.name}/moved")

    return with_weights(folder / name, edit)


@row(*FILES, expect="outside")
def external_storage(folder, name):
    (folder / "secret.bin").write_bytes(bytes(64))

    def edit(file):
        group, kernel = kernel_of(file)
        del group[kernel]
        group.create_dataset(
            kernel, (3, 2), "float32", external=[(str(folder / "secret.bin"), 0, 24)]
        )

    return with_weights(folder / name, edit)


@row(*FILES, expect="other arrays|version")
def virtual_dataset(folder, name):
    with h5py.File(folder / "secret.h5", "w") as file:
        file["x"] = np.ones((3, 2), "float32")

    def edit(file):
        group, kernel = kernel_of(file)
        del group[kernel]
        layout = h5py.VirtualLayout((3, 2), "float32")
        layout[...] = h5py.VirtualSource(str(folder / "secret.h5"), "x", (3, 2))
        group.create_virtual_dataset(kernel, layout)

    return with_weights(folder / name, edit)


@row(
    "../evil",
    "/etc/evil",
    "assets/../../evil",
    "extra.txt",
    "..\\evil",
    "C:evil",
    "assets/C:evil",
    "model.weights.h5/x",
    expect="member",
)
def member_outside(folder, member):
    save_small(folder / "a.keras")
    return write_zip(folder / "a.keras", read_zip(folder / "a.keras") | {member: b"x"})


@row("config.json", "model.weights.h5", "assets/words.txt", expect="member")
def member_that_is_a_link(folder, member):
    save_small(folder / "a.keras")
    members = read_zip(folder / "a.keras")
    members.pop(member, None)
    link = zipfile.ZipInfo(member)
    link.external_attr, link.create_system = 0o120777 << 16, 3
    return write_zip(folder / "a.keras", [*members.items(), (link, "/etc/passwd")])


@row("config.json", "model.weights.h5", "assets", expect="link")
def folder_with_a_link(folder, member):
    path = folder / "a.keras"
    save_small(path, zipped=False)
    if (path / member).exists():
        (path / member).rename(folder / "moved")
    (path / member).symlink_to(folder / "moved" if (folder / "moved").exists() else "/etc")
    return path


@row("config.json", "model.weights.h5", "metadata.json", expect="two members")
def duplicate_members(folder, member):
    save_small(folder / "a.keras")
    members = list(read_zip(folder / "a.keras").items())
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return write_zip(folder / "a.keras", [*members, (member, b"{}")])


@row(expect="SavedModel")
def saved_model(folder):
    (folder / "s").mkdir()
    (folder / "s" / "saved_model.pb").write_bytes(b"x")
    return folder / "s"


# --- pickles


class Trap:
    """Calls `open` when it is unpickled."""

    def __reduce__(self):
        return (open, ("hostile_mark", "w"))


@row("a.keras", "a.h5", "a.weights.h5", "a.pkl", "a.npz")
def pickle_by_another_name(folder, name):
    (folder / name).write_bytes(pickle.dumps(Trap()))
    return folder / name


@row("config.json", "model.weights.h5", "metadata.json")
def pickle_in_the_archive(folder, member):
    save_small(folder / "a.keras")
    return write_zip(
        folder / "a.keras", read_zip(folder / "a.keras") | {member: pickle.dumps(Trap())}
    )


@row(*FILES)
def pickle_in_an_array(folder, name):
    def edit(file):
        group, kernel = kernel_of(file)
        del group[kernel]
        group[kernel] = np.void(pickle.dumps(Trap()))

    return with_weights(folder / name, edit)


@row()
def arrays_of_objects(folder):
    save_small(folder / "a.keras")
    data = io.BytesIO()
    np.savez(data, x=np.array([Trap()], object))
    return write_zip(
        folder / "a.keras", read_zip(folder / "a.keras") | {"model.weights.h5": data.getvalue()}
    )


# --- bombs


@row(2**27, 2**31, 2**40, 10**30, -1, 0, 1.5, "many")
def units(folder, number):
    return with_config(
        folder / "a.keras", lambda c: c["config"]["layers"][1]["config"].update(units=number)
    )


@row("a.h5", "a.keras")
def wide_layer_without_weights(folder, name):
    wide = {"module": "keras.layers", "class_name": "Dense",
        "config": {"name": "wide", "units": 2**27}, "registered_name": None,
            "build_config": {"input_shape": [None, 2**20]}}  # fmt: skip
    return with_config(folder / name, lambda c: add_layer(c, wide))


@row(expect=LOADS, kind="json")
def wide_layer_in_json(folder):
    path = folder / "a.json"
    wide = {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"units": 2**27},
        "build_config": {"input_shape": [None, 2**4]},
    }
    path.write_text(json.dumps({"class_name": "Sequential", "config": {"layers": [wide]}}))
    return path


LAYERS = {
    "Embedding": {"input_dim": 2**31, "output_dim": 64},
    "Dense": {"units": 2**27},
    "LSTM": {"units": 2**20},
    "MultiHeadAttention": {"num_heads": 2**20, "key_dim": 2**10},
    "Conv2D": {"filters": 2**20, "kernel_size": [999, 999]},
    "Conv1D": {"filters": 2**30, "kernel_size": [2**30]},
    "BatchNormalization": {},
    "SpectralNormalization": {
        "layer": {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2**27}}
    },
    "RandomFourierFeatures": {"output_dim": 2**40},
    "RepeatVector": {"n": 2**60},
    "ZeroPadding1D": {"padding": 2**60},
    "CategoryEncoding": {"num_tokens": 2**50, "output_mode": "multi_hot"},
    "STFTSpectrogram": {"fft_length": 2**27, "frame_length": 2**27, "frame_step": 1},
    "MelSpectrogram": {"fft_length": 2**27, "num_mel_bins": 2**20},
    "Hashing": {"num_bins": 2**60},
    "Discretization": {"num_bins": 2**40},
    "Reshape": {"target_shape": [2**60]},
    "UpSampling1D": {"size": 2**50},
}


@row(*LAYERS, kind="layer")
def large_layer(folder, name):
    path = folder / "a.json"
    build = {"input_shape": [None, 2**10, 2**20]}
    path.write_text(
        json.dumps(
            {
                "module": "keras.layers",
                "class_name": name,
                "config": LAYERS[name],
                "build_config": build,
            }
        )
    )
    return path


ROWS |= {
    name: (build, kind, "any")
    for name, (build, kind, _) in ROWS.items()
    if name.startswith("large_layer")
}


@row("AUC", "PrecisionAtRecall", "MeanIoU", expect=LOADS)
def large_metric(folder, name):
    config = {"num_thresholds": 10**9, "recall": 0.5, "num_classes": 10**6}
    config = {
        "AUC": ["num_thresholds"],
        "PrecisionAtRecall": ["num_thresholds", "recall"],
        "MeanIoU": ["num_classes"],
    }[name] and {
        key: config[key]
        for key in {
            "AUC": ["num_thresholds"],
            "PrecisionAtRecall": ["num_thresholds", "recall"],
            "MeanIoU": ["num_classes"],
        }[name]
    }
    metric = {
        "module": "keras.metrics",
        "class_name": name,
        "config": config,
        "registered_name": None,
    }
    return with_config(folder / "a.keras", lambda c: c["compile_config"].update(metrics=[metric]))


def graph(function, shape=(4, 6)):
    """Return the configuration of a functional model that calls `function` on its input."""
    x = hb.Input(shape, name="x")
    return json.loads(hb.Model(x, function(x)).to_json())


def node_of(config):
    return config["config"]["layers"][-1]


GRAPHS = {
    "split": (lambda x: hb.ops.split(x, 2, axis=1), {"indices_or_sections": 2**27}, (4, 6)),
    "array_split": (
        lambda x: hb.ops.array_split(x, 2, axis=1),
        {"indices_or_sections": 2**27},
        (4, 6),
    ),
    "diff": (lambda x: hb.ops.diff(x, 2, axis=1), {"n": 2**27}, (4, 6)),
    "diff of many": (lambda x: hb.ops.diff(x, 2, axis=1), {"n": 2**27}, (2**28,)),
    "unstack": (lambda x: hb.ops.unstack(x, 4, axis=1), {"num": 2**27}, (4, 6)),
    "extract_sequences": (
        lambda x: hb.ops.extract_sequences(x, 2, 1),
        {"sequence_length": 2**20},
        (2**22,),
    ),
    "adaptive": (
        lambda x: hb.layers.AdaptiveAveragePooling1D(2)(x),
        {"output_size": [2**27]},
        (4, 6),
    ),
    "repeat": (lambda x: hb.ops.repeat(x, 2, axis=1), {"repeats": 2**50}, (4, 6)),
    "one_hot": (
        lambda x: hb.ops.one_hot(hb.ops.cast(x, "int32"), 2),
        {"num_classes": 2**50},
        (4, 6),
    ),
    "pad": (
        lambda x: hb.ops.pad(x, [[0, 0], [0, 1], [0, 0]]),
        {"pad_width": [[0, 0], [0, 2**50], [0, 0]]},
        (4, 6),
    ),
    "rnn": (lambda x: hb.layers.LSTM(2, unroll=True)(x), {"unroll": True}, (2**27, 2)),
}


@row(*GRAPHS, kind="json")
def graph_of_many_parts(folder, name):
    function, settings, shape = GRAPHS[name]
    path = folder / "a.json"
    config = graph(function, shape if name != "rnn" else (4, 2))
    node_of(config)["config"].update(settings)
    if name == "rnn":
        config["config"]["layers"][0]["config"]["batch_shape"] = [None, 2**27, 2]
    path.write_text(json.dumps(config))
    return path


ROWS |= {
    name: (build, kind, "any")
    for name, (build, kind, _) in ROWS.items()
    if name.startswith("graph_of_many")
}


def called_twice(depth):
    """Return a functional model that calls a model twice, which calls another one twice, etc."""
    config = json.loads(hb.Sequential([hb.Input((None, 2)), hb.layers.Dense(2)]).to_json())
    config["name"] = config["config"]["name"] = "m0"
    for level in range(1, depth + 1):
        shape, name, inner = [None, 7 if level == depth else None, 2], f"m{level}", f"m{level - 1}"
        first = {
            "module": "keras.layers", "class_name": "InputLayer", "name": "x", "inbound_nodes": [],
            "config": {"batch_shape": shape, "dtype": "float32", "name": "x"},
        }  # fmt: skip

        def call(*history, shape=shape):
            tensor = {"shape": shape, "dtype": "float32", "keras_history": list(history)}
            return {"args": [{"class_name": "__keras_tensor__", "config": tensor}], "kwargs": {}}

        config |= {"name": inner, "inbound_nodes": [call("x", 0, 0), call(inner, 0, 0)]}
        # Keras numbers the calls of a functional model from 1 instead of 0.
        made = int(config["class_name"] == "Functional")
        ends = {"input_layers": [["x", 0, 0]], "output_layers": [[inner, 1 + made, 0]]}
        config = {
            "module": "keras", "class_name": "Functional",
            "config": {"name": name, "layers": [first, config], **ends},
        }  # fmt: skip
    return config


def described(name, **settings):
    return {"module": "keras.layers", "class_name": name, "config": settings}


MANY = {
    "cells": lambda: described("RNN", cell=[described("LSTMCell", units=2)] * 20_000),
    "cells in a stack": lambda: described("RNN",
        cell=described("StackedRNNCells", cells=[described("GRUCell", units=2)] * 20_000)),
    "layers": lambda: [described("Dense", units=2)] * 20_000,
    "wrapped layers": lambda: [described("TimeDistributed",
        layer=described("Dense", units=2))] * 20_000,
    "models": lambda: called_twice(20),
    "axes": lambda: described("LayerNormalization", axis=[-1] * 1_000_000),
    "other axes": lambda: described("LayerNormalization", axis=list(range(1_000_000))),
}  # fmt: skip


@row(*MANY, expect="too many layers|1000000 dimensions|`axis`", kind="json")
def much_to_do(folder, name):
    """Small files that would keep the reader busy for minutes or years."""
    made, path = MANY[name](), folder / "a.json"
    if name != "models":
        config = json.loads(hb.Sequential([hb.Input((3, 2))]).to_json())
        config["config"]["layers"] += made if isinstance(made, list) else [made]
        made = config
    path.write_text(json.dumps(made))
    return path


@row(expect=LOADS, kind="json")
def layers_in_the_wrong_order(folder):
    """Each layer is called on the result of a later one."""

    def ops(x):
        for _ in range(3000):
            x = hb.ops.relu(x)
        return x

    config = graph(ops)
    config["config"]["layers"].reverse()
    (folder / "a.json").write_text(json.dumps(config))
    return folder / "a.json"


@row(expect=LOADS, kind="json")
def models_in_models(folder):
    """A number of nested models that a real file may have."""
    (folder / "a.json").write_text(json.dumps(called_twice(6)))
    return folder / "a.json"


@row("DTypePolicyMap", expect="forever")
@row("Muon", expect=LOADS)  # the model loads uncompiled, with a warning
def pattern_that_takes_for_ever(folder, name):
    """Both the names and the patterns come from the file."""

    def edit(config):
        head = config["config"]["layers"][-1]["config"]
        head["name"] = "a" * 60
        policies = {"default_policy": "float32", "policy_map": {"(a+)+!": "float32"}}
        if name == "DTypePolicyMap":
            head["dtype"] = {
                "module": "keras.dtype_policies",
                "class_name": name,
                "config": policies,
                "registered_name": None,
            }
        else:
            muon = {"learning_rate": 0.1, "exclude_layers": ["(a+)+!"]}
            config["compile_config"]["optimizer"] = {
                "module": "keras.optimizers", "class_name": name, "config": muon,
                "registered_name": None,
            }  # fmt: skip

    return with_config(folder / "a.keras", edit)


@row(expect="no tensor", kind="json")
def graph_that_computes(folder):
    """An op with only numbers as arguments, which would run while the file is loaded."""
    config = graph(lambda x: hb.ops.repeat(x, 2, axis=1))
    node_of(config)["config"].update(repeats=2**32, axis=None)
    node_of(config)["inbound_nodes"][0]["args"] = [[1.0, 2.0]]
    path = folder / "a.json"
    path.write_text(json.dumps(config))
    return path


@row("contiguous", "chunked", "gzip", "early")
def dataset_of_two_gigabytes(folder, kind):
    def edit(file):
        group, kernel = kernel_of(file)
        del group[kernel]
        options = {
            "chunked": {"chunks": (2**10, 2**10)},
            "gzip": {"chunks": (2**10, 2**10), "compression": "gzip"},
        }.get(kind, {})
        group.create_dataset(kernel, (2**14, 2**15), "float32", **options)

    return with_weights(folder / "a.weights.h5", edit)


ROWS |= {
    name: (build, "weights", x)
    for name, (build, _, x) in ROWS.items()
    if name.startswith("dataset_of_two")
}


@row(expect="claims|needs")
def weights_that_unpack_to_gigabytes(folder):
    """Zeros, compressed to a thousandth, in a model of the uncompressed size."""

    def edit(config):
        config["config"]["layers"][1]["config"]["units"] = 2**26

    with_config(folder / "a.keras", edit)
    members = read_zip(folder / "a.keras")
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for name, shape in (("0", (3, 2**26)), ("1", (2**26,))):
            options = {"chunks": (*shape[:-1], 2**20), "compression": "gzip", "compression_opts": 9}
            dataset = file.create_dataset(f"layers/dense/vars/{name}", shape, "float32", **options)
            if name == "1":
                dataset[:] = 0
    return write_zip(folder / "a.keras", members | {"model.weights.h5": data.getvalue()})


@row("model.weights.h5", "config.json", "assets/x", expect="claims")
def archive_that_unpacks_to_gigabytes(folder, member):
    save_small(folder / "a.keras")
    members = read_zip(folder / "a.keras")
    return write_zip(
        folder / "a.keras",
        members | {member: members.get(member, b"") + bytes(300 * 2**20)},
        zipfile.ZIP_DEFLATED,
    )


@row("lies", "lzma", "encrypted", "bzip2")
def odd_archives(folder, kind):
    path = folder / "a.keras"
    save_small(path)
    members = read_zip(path)
    if kind in ("lzma", "bzip2"):
        return write_zip(path, members, zipfile.ZIP_LZMA if kind == "lzma" else zipfile.ZIP_BZIP2)
    write_zip(path, members, zipfile.ZIP_DEFLATED)
    raw = bytearray(path.read_bytes())
    for place in [m.start() for m in re.finditer(b"PK\1\2", bytes(raw))]:
        if kind == "encrypted":
            raw[place + 8] |= 1
        else:
            raw[place + 24 : place + 28] = (10).to_bytes(4, "little")  # the unpacked size
    path.write_bytes(raw)
    return path


@row()
def one_array_for_many_layers(folder):
    """A hundred layers that share one stored array."""
    one = np.zeros((1000, 1000), "float32")
    names = [f"d{i}" for i in range(100)]
    dense = [
        {"class_name": "Dense", "config": {"name": name, "units": 1000, "use_bias": False}}
        for name in names
    ]
    first = {"class_name": "InputLayer", "config": {"batch_shape": [None, 1000], "name": "i"}}
    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": {"name": "m", "layers": [first, *dense]}}
        )
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [n.encode() for n in names]
        kernel = file.create_dataset("k", data=one)
        for name in names:
            group.create_group(name).attrs["weight_names"] = [b"kernel"]
            group[name]["kernel"] = kernel
    return path


@row()
def texts_that_repeat(folder):
    """A list of thousands of long names that are all stored at the same place."""

    def edit(file):
        names = np.array(["x" * 60_000] * 2000, h5py.string_dtype())
        file["model_weights"].attrs.create("layer_names", np.array([b"x" * 50_000]))
        file["model_weights"].attrs["layer_names"] = names[:4]
        file["names"] = names

    return with_weights(folder / "a.h5", edit)


@row(expect="itself|levels|storage|members|holds|nothing")
def groups_in_a_circle(folder):
    def edit(file):
        group, kernel = kernel_of(file)
        del group[kernel]
        group[kernel] = file["/"]

    return with_weights(folder / "a.weights.h5", edit)


def pieces_node(level, child, times):
    """Return a node of the tree that lists an array's chunks, with equal entries."""
    key = (4).to_bytes(4, "little") + bytes(4 + 3 * 8)
    head = b"TREE" + bytes([1, level]) + times.to_bytes(2, "little") + b"\xff" * 16
    return head + (key + child.to_bytes(8, "little")) * times + key


@row(expect="does not end", kind="weights")
def pieces_listed_many_times(folder):
    """Three nodes of a tree, each with 50,000 links to the next: about 10^14 chunks."""

    def edit(file):
        group, kernel = kernel_of(file)
        del group[kernel]
        group.create_dataset(kernel, data=np.ones((3, 2), "float32"), chunks=(1, 1))

    path = with_weights(folder / "a.weights.h5", edit)
    raw = bytearray(path.read_bytes())
    tree = next(m.start() for m in re.finditer(b"TREE\x01", bytes(raw)))
    below = tree
    for level in (0, 1, 2):
        node, below = pieces_node(level, below, 50_000), len(raw)
        raw += node
    place = raw.find(tree.to_bytes(8, "little"))
    raw[place : place + 8] = below.to_bytes(8, "little")
    raw[40:48] = len(raw).to_bytes(8, "little")
    path.write_bytes(raw)
    return path


# --- JSON

TEXTS = {
    "deep_lists": "[" * 50_000 + "]" * 50_000,
    "deep_dicts": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "deep_layers": '{"class_name":"Sequential","config":{"layers":[' * 60 + "]}}" * 60,
    "open_lists": "[" * 50_000,
    "twice": '{"class_name": "Sequential", "config": {"layers": []}, "config": {"layers": []}}',
    "long_number": '{"class_name": "Sequential", "config": {"layers": [' + "9" * 10_000 + "]}}",
    "many_values": "[" + "[]," * 3_000_000 + "[]]",
    "no_json": "{",
    "empty": "",
    "null": "null",
    "number": "1",
    "string": '"Sequential"',
    "list": "[1, 2]",
    "odd_class": '{"class_name": ["Dense"], "config": {}}',
    "no_config": '{"class_name": "Sequential"}',
    "null_config": '{"class_name": "Sequential", "config": null}',
    "wide_text": '{"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "S999999999"}}',
    "objects": '{"class_name": "__numpy__", "config": {"value": [{}], "dtype": "O"}}',
    "not_finite": '{"class_name": "Dense", "config": {"units": NaN}}',
    "infinite": '{"class_name": "Dense", "config": {"units": Infinity}}',
}


@row(*TEXTS)
def text_in_the_archive(folder, name):
    return with_config(folder / "a.keras", lambda c: TEXTS[name])


@row(
    *[name for name in TEXTS if name not in ("number", "null", "string", "list", "empty")],
    kind="json",
)
def text_alone(folder, name):
    (folder / "a.json").write_text(TEXTS[name])
    return folder / "a.json"


ROWS |= {
    name: (build, kind, "any") for name, (build, kind, _) in ROWS.items() if "[deep_layers]" in name
}


@row("a.h5")
def long_text_in_hdf5(folder, name):
    return with_config(folder / name, lambda c: TEXTS["deep_dicts"])


# --- dtypes

VALUES = {
    "nan": (np.full((3, 2), np.nan, "float32"), LOADS),
    "infinite": (np.full((3, 2), np.inf, "float32"), LOADS),
    "double": (np.ones((3, 2), "float64"), LOADS),
    "half": (np.ones((3, 2), "float16"), LOADS),
    "big_endian": (np.ones((3, 2), ">f4"), LOADS),
    "int": (np.ones((3, 2), "int64"), LOADS),
    "text": (np.array([[b"a", b"b"]] * 3), None),
    "long_text": (np.array([["a", "b"]] * 3, h5py.string_dtype()), None),
    "record": (np.zeros((3, 2), [("x", "f4"), ("y", "i4")]), None),
    "opaque": (np.zeros((3, 2), "V7"), None),
    "references": (np.empty((3, 2), h5py.ref_dtype), None),
    "ragged": (np.empty((3, 2), h5py.vlen_dtype("f4")), None),
    "enum": (np.zeros((3, 2), h5py.enum_dtype({"A": 0}, "i4")), LOADS),
    "scalar": (np.float32(1), None),
    "flat": (np.ones(6, "float32"), None),
    "empty": (np.ones((3, 0), "float32"), None),
    "null": (h5py.Empty("f4"), None),
}


def _value_row(name, file_name):
    value, expect = VALUES[name]

    def build(folder):
        def edit(file):
            group, kernel = kernel_of(file)
            del group[kernel]
            if (
                getattr(value, "dtype", None) is not None
                and value.dtype.kind == "O"
                and h5py.check_dtype(vlen=value.dtype) is None
            ):
                group.create_dataset(kernel, value.shape, value.dtype)
            elif getattr(value, "dtype", None) is not None and value.dtype.kind == "O":
                group.create_dataset(
                    kernel,
                    value.shape,
                    value.dtype,
                    data=value if value.size and value.flat[0] is not None else None,
                )
            else:
                group[kernel] = value

        return with_weights(folder / file_name, edit)

    ROWS[f"value[{name}-{file_name}]"] = (
        build,
        "weights" if file_name.endswith(".weights.h5") else "model",
        expect,
    )


for _name in VALUES:
    for _file in FILES:
        _value_row(_name, _file)

ROWS |= {
    name: (build, "weights", x)
    for name, (build, _, x) in ROWS.items()
    if "weights.h5]" in name and name.split("[")[1][:2] == "a."
}
