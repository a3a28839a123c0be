"""Event files of `tf.summary`; the expected values are those of TensorFlow 2.21."""

import struct

import jax.numpy as jnp
import numpy as np
import pytest

from hornbeam.core.naming import name_scope
from hornbeam.core.variable import Variable
from hornbeam.tensorflow import summary
from hornbeam.tensorflow.function import function
from hornbeam.tensorflow.tensor_proto import parse_tensor
from hornbeam.tensorflow.tfrecord import records_of
from hornbeam.tensorflow.wire import fields


def events(folder):
    """Return tag, step, metadata and tensor of each value in the one file of a folder."""
    (path,) = folder.iterdir()
    first, *others = map(dict, map(fields, records_of(path)))
    assert bytes(first[3]) == b"brain.Event:2"
    found = []
    for event in others:
        assert struct.unpack("<d", event[1])[0] > 1e9  # seconds since 1970
        value = dict(fields(dict(fields(event[5]))[1]))
        found.append((bytes(value[1]).decode(), event[2], bytes(value[9]), bytes(value[8])))
    return found


def test_kinds_of_values(tmp_path):
    writer = summary.create_file_writer(str(tmp_path))
    with writer.as_default():
        assert summary.scalar("a", 1.5, step=3, description="hm")
        summary.histogram("h", [1.0, 2.0, 2.5, 4.0], step=1, buckets=3)
        summary.histogram("same", [2.0, 2.0], step=1, buckets=3)
        summary.histogram("none", np.zeros(0), step=1, buckets=2)
        summary.image("i", jnp.full((1, 2, 3, 1), 0.5), step=1)
        summary.text("t", ["x", "y"], step=1)
        summary.audio("s", np.zeros((1, 4, 1), "float32"), 8000, step=1)
        with name_scope("n"):
            summary.scalar("b", 2, step=1)
        summary.write("w", np.arange(3), step=2)
    writer.close()
    a, h, same, none, i, t, s, b, w = events(tmp_path)
    assert a[:3] == ("a", 3, b"\n\t\n\x07scalars\x1a\x02hm")
    assert float(parse_tensor(a[3], "float32")) == 1.5
    assert h[2] == b"\n\x0c\n\nhistograms"
    for row, expected in (
        (h, [[1, 2, 1], [2, 3, 2], [3, 4, 1]]),
        (same, [[2, 2, 0], [2, 2, 0], [2, 2, 2]]),
        (none, [[0, 0, 0], [0, 0, 0]]),
    ):
        assert parse_tensor(row[3], "float64").tolist() == expected
    assert i[2] == b"\n\x08\n\x06images"
    width, height, png = parse_tensor(i[3], "string").numpy()
    assert (width, height, png[1:4]) == (b"3", b"2", b"PNG")
    assert t[2] == b"\n\x06\n\x04text"
    assert parse_tensor(t[3], "string").numpy().tolist() == [b"x", b"y"]
    assert s[2] == b"\n\x0b\n\x05audio\x12\x02\x10\x0b"
    assert parse_tensor(s[3], "string").numpy()[0, 0][:4] == b"RIFF"
    assert b[0] == "n/b"
    assert w[:3] == ("w", 2, b"")
    assert parse_tensor(w[3], "int64").tolist() == [0, 1, 2]


def test_default_writer_and_step(tmp_path):
    assert not summary.scalar("a", 1.0, step=1)  # no writer
    writer = summary.create_file_writer(tmp_path)
    step = Variable(5, dtype="int32", trainable=False)
    with writer.as_default():
        with pytest.raises(ValueError, match="'a' has no step.*set_step"):
            summary.scalar("a", 1.0)
        with summary.record_if(lambda: False):
            assert not summary.scalar("a", 1.0, step=1)
        summary.experimental.set_step(step)
        summary.scalar("a", 1.0)
        step.assign(6)
        summary.scalar("a", 2.0)
        with pytest.raises(ValueError, match=r"'a' must be one number, received shape \(2,\)"):
            summary.scalar("a", [1.0, 2.0])
    writer.close()
    assert [event[1] for event in events(tmp_path)] == [5, 6]
    with writer.as_default(step=1), pytest.raises(RuntimeError, match="closed"):
        summary.scalar("a", 1.0)
    with summary.create_noop_writer().as_default(step=1):
        assert not summary.scalar("a", 1.0)
    assert summary.experimental.get_step() is None


def test_in_compiled_functions(tmp_path):
    writer = summary.create_file_writer(tmp_path)

    @function
    def step(x, number):
        summary.scalar("sum", jnp.sum(x), step=number)
        return x + 1

    with writer.as_default():
        for number in range(3):
            step(jnp.ones(2) * number, jnp.asarray(number))
    writer.close()
    found = {event[1]: float(parse_tensor(event[3], "float32")) for event in events(tmp_path)}
    assert found == {0: 0.0, 1: 2.0, 2: 4.0}
