"""`plot_model` and `model_to_dot`: the text of the graph, and files without Graphviz."""

import shutil

import pytest

import hornbeam as hb


def edges(dot):
    return sum("->" in line for line in dot.lines)


def branching():
    a = hb.Input((4,), name="a")
    layers = [hb.Input((4,)), hb.layers.Dense(3, "relu"), hb.layers.Dense(2)]
    inner = hb.Sequential(layers, name="inner")
    left, right = inner(a), hb.layers.Dense(2, name="right")(a)
    return hb.Model(a, hb.layers.Add()([left, right]) * 2.0)


def test_what_is_shown():
    model = branching()
    plain = hb.utils.model_to_dot(model, show_layer_names=False)
    assert edges(plain) == 5
    assert "right" not in plain.to_string()
    model.get_layer("right").trainable = False
    text = hb.utils.model_to_dot(
        model, show_shapes=True, show_dtype=True, show_layer_names=True, rankdir="LR", dpi=96,
        show_layer_activations=True, show_trainable=True,
    ).to_string()  # fmt: skip
    for words in ("right (Dense)", "(None, 4)", "float32", "rankdir=LR", "dpi=96", "linear",
                  "Non-trainable", "Multiply"):  # fmt: skip
        assert words in text, words
    nested = hb.utils.model_to_dot(model, expand_nested=True)
    assert "cluster" in nested.to_string()
    assert edges(nested) == 7
    part = hb.utils.model_to_dot(model, show_layer_names=True, layer_range=["inner", "right"])
    assert "a (InputLayer)" not in part.to_string()


def test_files(tmp_path, monkeypatch):
    model = hb.Sequential([hb.Input((4,)), hb.layers.Dense(3)])
    assert edges(hb.utils.model_to_dot(model)) == 1
    monkeypatch.setattr(shutil, "which", lambda name: None)
    hb.utils.plot_model(model, tmp_path / "a.dot")
    with pytest.warns(UserWarning, match=r"Graphviz.*b\.dot"):
        hb.utils.plot_model(model, to_file=str(tmp_path / "b.png"), show_shapes=True)
    assert (tmp_path / "a.dot").read_text().startswith("digraph")
    assert "(None, 3)" in (tmp_path / "b.dot").read_text()
    with pytest.raises(FileNotFoundError, match="Graphviz"):
        hb.utils.model_to_dot(model).create(format="svg")
    with pytest.raises(ValueError, match="not built"):
        hb.utils.plot_model(hb.Sequential([hb.layers.Dense(3)]))
    with pytest.raises(ValueError, match="layer_range"):
        hb.utils.plot_model(model, layer_range=["dense", "nonsense"])
