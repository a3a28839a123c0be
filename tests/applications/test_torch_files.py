"""Weights of torchvision and Hugging Face for networks of applications."""

import json
from pathlib import Path

import numpy as np
import pytest
from mirror import mirror_server

import hornbeam as hb
from hornbeam import applications
from hornbeam.applications import torch_files
from hornbeam.errors import FileError
from hornbeam.models import torch_weights
from hornbeam.saving.safetensors import write_tensors

# Names and shapes of the state of each network, as torchvision and Hugging Face's library give it.
STATES = json.loads((Path(__file__).parents[1] / "support" / "torch_names.json").read_text())
NETWORKS = {
    "resnet50": "ResNet50", "densenet121": "DenseNet121", "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_small": "MobileNetV3Small", "efficientnet_b0": "EfficientNetB0",
    "convnext_tiny": "ConvNeXtTiny", "hf resnet": "ResNet50", "hf convnext": "ConvNeXtTiny",
    "hf efficientnet": "EfficientNetB0",
}  # fmt: skip


def tensors_of(name):
    return {key: np.full(shape, 0.01, "float32") for key, shape in STATES[name].items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_has_its_place(name, monkeypatch, tmp_path):
    path = tmp_path / "model.safetensors"
    write_tensors(path, {key: np.zeros(1, "float32") for key in STATES[name]})
    monkeypatch.setattr(torch_weights, "read_tensors", lambda _: tensors_of(name))
    model = getattr(applications, NETWORKS[name])(weights=path)
    values = {float(x) for w in model.weights for x in w.numpy().ravel()[:1]}
    assert values <= {np.float32(0.01), 0.0}
    top = getattr(applications, NETWORKS[name])(weights=path, include_top=False)
    assert len(top.weights) < len(model.weights)


@pytest.mark.slow
def test_other_conventions_are_listed_by_layer(monkeypatch, tmp_path):
    path = tmp_path / "model.safetensors"
    write_tensors(path, {key: np.zeros(1, "float32") for key in STATES["mobilenet_v2"]})
    monkeypatch.setattr(torch_weights, "read_tensors", lambda _: tensors_of("mobilenet_v2"))
    model = applications.MobileNetV2(weights=None)
    before = model.get_weights()[0]
    with pytest.raises(FileError, match="'block_1_pad' pads by") as caught:
        hb.models.load_torch_weights(model, path)
    assert "'bn_Conv1' has epsilon=0.001; it is 1e-05 there" in str(caught.value)
    assert "pass the path as `weights`" in str(caught.value)
    np.testing.assert_array_equal(before, model.get_weights()[0])


def folder(tmp_path, kind="resnet", **tensors):
    place = tmp_path / "folder"
    place.mkdir()
    (place / "config.json").write_text(json.dumps({"model_type": kind}))
    if tensors:
        write_tensors(place / "model.safetensors", tensors)
    return place


def test_folders_of_other_networks_are_refused(tmp_path):
    place = folder(tmp_path, "vit", w=np.zeros(2))
    with pytest.raises(FileError, match="ResNet50: `weights` are of a network of the type 'vit'"):
        applications.ResNet50(weights=place)
    (place / "config.json").write_text('{"model_type": "convnext"}')
    with pytest.raises(FileError, match="ResNet50: `weights` are of a network"):
        applications.ResNet50(weights=place)
    (place / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="no 'model.safetensors'"):
        applications.ResNet50(weights=place)
    with pytest.raises(ValueError, match="must be 'hf://owner/name', received 'hf://resnet'"):
        applications.ResNet50(weights="hf://resnet")


def test_files_come_from_the_mirror_once(monkeypatch, tmp_path):
    monkeypatch.setenv("HORNBEAM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    source = folder(tmp_path, "resnet", w=np.ones(2, "float32"))
    files = {name: (source / name).read_bytes() for name in ("config.json", "model.safetensors")}
    damaged = {**files, "model.safetensors": files["model.safetensors"][:-2]}
    with mirror_server() as mirror:
        monkeypatch.setenv("HORNBEAM_MIRROR", mirror.url)
        mirror.files = {f"hf/a/b/{name}": content for name, content in damaged.items()}
        with pytest.raises(FileError, match="is damaged"):
            torch_files.find_torch_file("ResNet50", "hf://a/b")
        mirror.files = {f"hf/a/b/{name}": content for name, content in files.items()}
        found = torch_files.find_torch_file("ResNet50", "hf://a/b")
        mirror.asked.clear()
        assert torch_files.find_torch_file("ResNet50", "hf://a/b") == found
        assert not mirror.asked
    assert found.path.read_bytes() == files["model.safetensors"]
    assert found.like_torch
    monkeypatch.setenv("HORNBEAM_MIRROR", "http://127.0.0.1:9/")
    with pytest.raises(OSError, match="is not on this computer"):
        torch_files.find_torch_file("ResNet50", "hf://a/c")
