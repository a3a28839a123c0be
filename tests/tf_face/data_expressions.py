"""The expressions of data_expressions.txt, whose values TensorFlow 2.21 recorded.

`python tests/tf_face/record_data.py` records them in data_expected.json, in an environment with
TensorFlow. `tf`, `np` and the names below are known in them.
"""

from pathlib import Path

import numpy as np

WORDS = ["Hello World", "a,b,,c", "", " x  y ", "Ärger 42"]
IMAGE = (np.arange(48).reshape(4, 4, 3) * 37 % 256).astype("uint8")
FLOATS = (IMAGE / np.float32(255)).astype("float32")
WIDE = ((np.arange(5 * 7 * 2) * 29 % 97) / 97).reshape(1, 5, 7, 2).astype("float32")
LARGE = ((np.arange(2 * 24 * 26) * 31 % 101) / 101).reshape(2, 24, 26, 1).astype("float32")
OTHER = np.clip(LARGE * 0.9 + 0.05, 0, 1).astype("float32")
BOXES = np.array([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 2, 1, 3], [0, 2, 1, 2.9]], "float32")
SCORES = np.array([0.9, 0.8, 0.7, 0.75], "float32")

CSV_TEXT = 'a,b,c\n1,2.5,x\n2,,"y, z"\n3,4.5,\n'


def rows():
    """Return the group and text of each expression."""
    found, group = [], ""
    for line in Path(__file__).with_name("data_expressions.txt").read_text().split("\n"):
        if line.startswith("# "):
            group = line[2:]
        elif line:
            found.append((group, line))
    return found


def names(tf, folder):
    """Return the names that expressions know."""
    import re
    import string

    path = folder / "table.csv"
    path.write_text(CSV_TEXT)

    def example(**features):
        train = tf.train

        def one(values):
            if isinstance(values[0], str):
                return train.Feature(bytes_list=train.BytesList(value=[v.encode() for v in values]))
            if isinstance(values[0], float):
                return train.Feature(float_list=train.FloatList(value=values))
            return train.Feature(int64_list=train.Int64List(value=values))

        found = {name: one(values) for name, values in features.items()}
        return train.Example(features=train.Features(feature=found)).SerializeToString()

    known = {"tf": tf, "np": np, "re": re, "string": string, "CSV": str(path), "example": example}
    for name in ("WORDS", "IMAGE", "FLOATS", "WIDE", "LARGE", "OTHER", "BOXES", "SCORES"):
        known[name] = globals()[name]
    return known


def value(x):
    """Return a result as plain data: dtypes, shapes and values."""
    if isinstance(x, dict):
        return {key: value(part) for key, part in x.items()}
    if hasattr(x, "element_spec") and hasattr(x, "batch"):
        return {"elements": [value(element) for element in x]}
    if hasattr(x, "dense_shape"):
        return {"sparse": [value(part) for part in (x.indices, x.values, x.dense_shape)]}
    if hasattr(x, "row_splits"):
        return {"ragged": _plain(x.to_list()), "dtype": dtype_of(x.dtype)}
    if isinstance(x, (tuple, list)):
        return [value(part) for part in x]
    if hasattr(x, "dtype") and hasattr(x, "shape"):
        array = x.numpy() if hasattr(x, "numpy") else x
        found = np.asarray(array, object if isinstance(array, bytes) else None)
        return {"dtype": dtype_of(x.dtype), "shape": list(found.shape),
                "values": _plain(found.ravel().tolist())}  # fmt: skip
    return _plain(x)


def dtype_of(dtype):
    """Return the name of a dtype."""
    name = dtype if type(dtype) is str else getattr(dtype, "name", str(dtype))
    return "string" if name == "object" else name


def _plain(x):
    if isinstance(x, list):
        return [_plain(part) for part in x]
    if isinstance(x, bytes):
        return x.decode("latin-1")
    return float(f"{x:.7g}") if isinstance(x, float) else x
