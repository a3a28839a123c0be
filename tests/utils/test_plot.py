"""`plot_model` and `model_to_dot`: what pictures show, for all kinds of models; formats; errors."""

import re
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import hornbeam as hb
from hornbeam import optional
from hornbeam.utils import plot

L = hb.layers


def edges(dot):
    return sum("->" in line for line in dot.lines)


def branching():
    a = hb.Input((4,), name="a")
    layers = [hb.Input((4,)), L.Dense(3, "relu"), L.Dense(2)]
    inner = hb.Sequential(layers, name="inner")
    left, right = inner(a), L.Dense(2, name="right")(a)
    return hb.Model(a, L.Add()([left, right]) * 2.0)


def several_ends():
    """A nested model with two inputs and two outputs, a layer called on its own output."""
    a, b = hb.Input((4,)), hb.Input((4,))
    c, d = hb.Input((4,)), hb.Input((4,))
    e = L.Dense(4)(c)
    two = hb.Model([c, d], [L.Add()([e, d]), e * 2.0], name="two")
    shared = L.Dense(4, name="shared")
    first, second = two([a, b])
    return hb.Model([a, b], [shared(shared(first)), L.Concatenate()([second, b])])


def subclassed():
    class Own(hb.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = L.Dense(3), L.Dense(2)

        def call(self, x):
            return self.second(self.first(x))

    model = Own()
    model(np.ones((2, 4), "float32"))
    return model


def deep():
    return hb.Sequential([hb.Input((4,)), *(L.Activation("relu") for _ in range(300))])


def texts(svg):
    """Return the texts of a picture, which must be well-formed XML."""
    return [e.text for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("}text")]


def heads(svg):
    return svg.count(b"<polygon")


def test_what_is_shown():
    model = branching()
    plain = hb.utils.model_to_dot(model, show_layer_names=False)
    assert edges(plain) == heads(plain.draw()) == 5
    assert "right" not in plain.to_string()
    model.get_layer("right").trainable = False
    shown = hb.utils.model_to_dot(
        model, show_shapes=True, show_dtype=True, show_layer_names=True, rankdir="LR", dpi=96,
        show_layer_activations=True, show_trainable=True,
    )  # fmt: skip
    for words in ("right (Dense)", "(None, 4)", "float32", "linear", "Trainable:", "Multiply"):
        assert words in shown.to_string(), words
        assert words.encode() in shown.draw(), words
    assert "rankdir=LR" in str(shown)
    assert "dpi=96" in str(shown)
    nested = hb.utils.model_to_dot(model, expand_nested=True)
    assert "cluster" in nested.to_string()
    assert edges(nested) == 7
    part = hb.utils.model_to_dot(model, show_layer_names=True, layer_range=["inner", "right"])
    assert "a (InputLayer)" not in part.to_string()
    assert hb.utils.model_to_dot(model, subgraph=True).to_string().startswith("subgraph cluster")


@pytest.mark.parametrize(
    ("make", "boxes", "arrows"),
    [(branching, 7, 7), (several_ends, 9, 10), (subclassed, 2, 0), (deep, 301, 300)],
)
def test_every_kind_of_model_has_a_picture(make, boxes, arrows):
    model = make()
    for direction in ("TB", "LR", "BT", "RL") if make is not deep else ("TB",):
        for splines in ("ortho", "curved", "line"):
            svg = hb.utils.model_to_dot(
                model, expand_nested=True, rankdir=direction, splines=splines
            ).draw()
            found = [text for text in texts(svg) if re.search(r"\(\w+\)$", text)]
            # An arrow into a frame ends at the box inside it, so each box inside has its own.
            assert len(found) == boxes
            assert heads(svg) == arrows
    assert heads(hb.utils.model_to_dot(model, splines="none").draw()) == 0


@pytest.mark.filterwarnings("ignore:Glyph")  # Matplotlib's font has no such letter
def test_names_cannot_be_markup():
    name = "<script>&\"'\x07\n$x_y$ 層"
    model = hb.Sequential([hb.Input((4,)), L.Dense(3, name=name)], name="<b>&")
    outer = hb.Sequential([hb.Input((4,)), model])
    dot = hb.utils.model_to_dot(outer, expand_nested=True)
    assert "<script>&\"'\ufffd\ufffd$x_y$ 層 (Dense)" in texts(dot.draw())
    assert "<script>" not in dot.to_string()
    assert "<b>&<" not in dot.to_string()
    assert dot.draw("png").startswith(b"\x89PNG")
    assert "<script>" not in outer._repr_html_()


def test_files(tmp_path, monkeypatch):
    model = hb.Sequential([hb.Input((4,)), L.Dense(3)])
    assert edges(hb.utils.model_to_dot(model)) == 1
    monkeypatch.setattr(shutil, "which", lambda name: None)
    starts = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph"}
    for ending, start in starts.items():
        path = tmp_path / f"a.{ending}"
        assert hb.utils.plot_model(model, path, show_shapes=True, dpi=30) is None
        assert path.read_bytes().startswith(start), ending
    dot = hb.utils.model_to_dot(model)
    assert dot.create(prog="dot", format="svg") == dot.create_svg() == dot.draw()
    dot.write_svg(tmp_path / "b.svg")
    assert dot._repr_svg_() == (tmp_path / "b.svg").read_text()


def test_errors(tmp_path, monkeypatch):
    model = hb.Sequential([hb.Input((4,)), L.Dense(3)])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    dot = hb.utils.model_to_dot(model)
    for wrong in ({"prog": "neato", "format": "svg"}, {"format": "gif"}):
        with pytest.raises(FileNotFoundError, match="Graphviz"):
            dot.create(**wrong)
    with pytest.raises(AttributeError, match="get_nothing"):
        dot.get_nothing()
    with pytest.raises(FileNotFoundError, match="Graphviz"):
        hb.utils.plot_model(model, tmp_path / "a.svg", engine="graphviz")
    with pytest.raises(ValueError, match="not built"):
        hb.utils.plot_model(hb.Sequential([L.Dense(3)]))
    for name, value in {
        "layer_range": ["dense", "nonsense"], "rankdir": "up", "splines": "x", "dpi": 0,
        "engine": "x",
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=name):
            hb.utils.plot_model(model, tmp_path / "a.svg", **{name: value})
    with pytest.raises(TypeError, match="show_shape"):
        hb.utils.plot_model(model, tmp_path / "a.svg", show_shape=True)

    def missing(name):
        raise ModuleNotFoundError(name, name=name)

    monkeypatch.setattr(optional.importlib, "import_module", missing)
    with pytest.warns(UserWarning, match=r"hornbeam\[viz\]"):
        hb.utils.plot_model(model, tmp_path / "c.png")
    assert (tmp_path / "c.svg").read_text().startswith("<svg")
    with pytest.raises(ImportError, match=r"hornbeam\[viz\]"):
        dot.create(format="png")


def test_in_a_notebook(monkeypatch):
    model = branching()
    bundle = model._repr_mimebundle_()
    assert bundle["text/plain"] == repr(model)
    assert "Total params" in bundle["text/html"]
    assert "<svg" in bundle["text/html"]
    unbuilt = hb.Sequential([L.Dense(3)])
    assert "<svg" not in unbuilt._repr_html_()

    class Notebook:
        get_ipython = staticmethod(lambda: object())
        SVG = staticmethod(bytes)

    monkeypatch.setattr(plot.importlib, "import_module", lambda name: Notebook)
    assert hb.utils.plot_model(model, None).startswith(b"<svg")
