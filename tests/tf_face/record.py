"""Write what TensorFlow gives for the rows and programs. Run it with TensorFlow's Python."""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))
import tf_rows  # noqa: E402
import tf_tapes  # noqa: E402


def described(x):
    if x is None:
        return None
    a = np.asarray(x)
    a = np.stack([a.real, a.imag]) if a.dtype.kind == "c" else a
    return [list(a.shape), str(a.dtype), [float(f"{v:.7g}") for v in a.ravel().tolist()]]


def write(name, found):
    text = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
    (HERE / name).write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    found = {}
    for row in tf_rows.ROWS:
        x = eval(row, {**vars(tf_rows), "tf": tf, "np": np})
        found[row] = [described(part) for part in (x if isinstance(x, tuple) else [x])]
    write("expected.json", found)
    found = {}
    for name, program in tf_tapes.PROGRAMS.items():
        x = program(tf)
        found[name] = [described(part) for part in (x if isinstance(x, list) else [x])]
    write("expected_tapes.json", found)
