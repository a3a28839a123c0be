"""Where the weights of a network come from, and errors about arguments and files."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from mirror import mirror_server

import hornbeam as hb
from hornbeam import applications
from hornbeam.applications import imagenet_utils, mobilenet
from hornbeam.applications.hashes import HASHES
from hornbeam.applications.weights import Weights
from hornbeam.errors import FileError

SMALL = {"alpha": 0.25, "input_shape": (32, 32, 3), "include_top": False}


def small(weights=None, **options):
    return applications.MobileNet(weights=weights, **{**SMALL, **options})


@pytest.fixture(autouse=True)
def homes(monkeypatch, tmp_path):
    """Empty caches of Hornbeam and Keras, and no way to the network."""
    for name in ("HORNBEAM_HOME", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
        (tmp_path / name / "models").mkdir(parents=True)
    monkeypatch.setenv("HORNBEAM_MIRROR", "http://127.0.0.1:9/")  # nobody answers there
    return tmp_path / "HORNBEAM_HOME" / "models", tmp_path / "KERAS_HOME" / "models"


@pytest.fixture(scope="module")
def model():
    model = small()
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.1, 1, w.shape) for w in model.weights])
    return model


@pytest.fixture(scope="module")
def content(model, tmp_path_factory):
    """The bytes of a file as Keras publishes it."""
    path = tmp_path_factory.mktemp("weights") / "w.h5"
    model.save_weights(path)
    return path.read_bytes()


@pytest.fixture
def published(monkeypatch, content):
    """Publish the small file instead of the real ones; its name is the value."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    monkeypatch.setitem(HASHES, "small", (md5, md5))
    weights = Weights("small", "folder/w{top}.h5")
    monkeypatch.setattr(mobilenet, "Weights", lambda *_: weights)
    return "w_notop.h5"


def same(a, b):
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("home", [0, 1])
def test_weights_in_a_cache_need_no_network(homes, published, content, model, home):
    (homes[home] / published).write_bytes(content)
    same(small("imagenet"), model)


def test_weights_are_downloaded_once(monkeypatch, homes, published, content, model):
    with mirror_server() as mirror:
        monkeypatch.setenv("HORNBEAM_MIRROR", mirror.url)
        mirror.files[published] = content
        same(small("imagenet"), model)
        same(small("imagenet"), model)
        assert mirror.asked == [(published, 0)]
    assert (homes[0] / published).read_bytes() == content
    assert not list(homes[1].iterdir())


@pytest.mark.parametrize("fault", ["cut", "wrong", 404, 500])
def test_a_failed_download_leaves_nothing_behind(monkeypatch, homes, published, content, fault):
    with mirror_server() as mirror:
        monkeypatch.setenv("HORNBEAM_MIRROR", mirror.url)
        mirror.files[published], mirror.faults[published] = content, fault
        with pytest.raises(
            (OSError, FileError), match=rf"network's file '{published}'.*{homes[0]}"
        ):
            small("imagenet")
    assert not (homes[0] / published).exists()


def test_without_a_network_the_error_says_where_to_put_the_file(homes):
    with pytest.raises(OSError, match=r"resnet50_weights.*127\.0\.0\.1:9/.*put it in.*models"):
        applications.ResNet50(include_top=False)


@pytest.mark.parametrize("change", [slice(0, 5000), slice(None, -1)])
def test_an_altered_file_in_the_cache_is_refused(homes, published, content, change):
    (homes[1] / published).write_bytes(content[change])
    with pytest.raises(FileError, match=r"w_notop\.h5' is incomplete or was changed.*Delete it"):
        small("imagenet")


@pytest.mark.parametrize("ending", [".h5", ".weights.h5", ".keras", ".safetensors"])
def test_weights_of_any_form(tmp_path, model, ending):
    path = tmp_path / f"w{ending}"
    (model.save if ending == ".keras" else model.save_weights)(path)
    same(small(path), model)
    same(small(str(path)), model)


def test_a_whole_model_of_keras_2_s_form(tmp_path, model):
    model.save(tmp_path / "m.h5")
    same(small(tmp_path / "m.h5"), model)


@pytest.mark.parametrize("ending", [".h5", ".weights.h5", ".keras", ".safetensors"])
def test_a_truncated_file_of_the_user(tmp_path, model, ending):
    path = tmp_path / f"w{ending}"
    (model.save if ending == ".keras" else model.save_weights)(path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(FileError, match=f"MobileNet: .*w{ending}"):
        small(path)


def test_the_weights_of_another_network(tmp_path, model):
    model.save_weights(tmp_path / "w.h5")
    with pytest.raises(FileError, match="MobileNet: `weights` do not fit this network: "):
        small(tmp_path / "w.h5", alpha=0.5)


# --- arguments

WRONG = {
    "a path without a file": ({"weights": "nowhere.h5"}, "no file 'nowhere.h5'"),
    "weights of another type": ({"weights": 3}, "`weights` must be 'imagenet', None or"),
    "classes that the weights lack": (
        {"weights": "imagenet", "classes": 10}, "have 1000 classes, received `classes=10`",
    ),
    "no classes": ({"classes": 0}, "`classes`.*0"),
    "a shape that the weights lack": (
        {"weights": "imagenet", "input_shape": (100, 100, 3)},
        r"must be \(224, 224, 3\), received \(100, 100, 3\)",
    ),
    "channels that the weights lack": (
        {"weights": "imagenet", "input_shape": (224, 224, 1)}, "3 channels",
    ),
    "small images": ({"input_shape": (31, 40, 3)}, r"at least 32 by 32 pixels, received.*\(31, 40"),
    "small images by a tensor": (
        {"input_tensor": lambda: hb.Input((16, 16, 3))}, "at least 32 by 32 pixels.*`input_tensor`",
    ),
    "an array as tensor": ({"input_tensor": lambda: np.ones((1, 64, 64, 3))}, "must be symbolic"),
    "a shape with a batch": ({"input_shape": (1, 64, 64, 3)}, "three sizes"),
    "unknown sizes with the top": ({"input_shape": (None, None, 3)}, "must be known"),
    "pooling": ({"include_top": False, "pooling": "mean"}, "'avg', 'max' or None, received 'mean'"),
    "an activation that the weights lack": (
        {"weights": "imagenet", "classifier_activation": "relu"}, "'softmax' or None",
    ),
    "an unknown argument": ({"inputshape": 3}, "Did you mean 'input_shape'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_arguments(fault):
    options, message = WRONG[fault]
    options = {key: value() if callable(value) else value for key, value in options.items()}
    with pytest.raises((ValueError, TypeError), match=message) as error:
        applications.ResNet50(**{"weights": None, **options})
    assert "ResNet50" in str(error.value)


def test_a_network_on_a_tensor():
    inputs = hb.Input((40, 32, 3), name="photos")
    x = hb.layers.RandomFlip()(inputs)
    model = small(input_tensor=x)
    assert [x.name for x in model.inputs] == ["photos"]
    assert model.output_shape == (None, 1, 1, 256)


def test_a_warning_for_the_published_size_is_not_needed():
    assert applications.MobileNet(weights=None, input_shape=(160, 160, 3)).name.endswith("1.00_160")


# --- names of classes


def test_decode_predictions(monkeypatch, homes):
    classes = {str(n): [f"n{n:08}", f"class {n}"] for n in range(1000)}
    text = json.dumps(classes)
    md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    file = dataclasses.replace(imagenet_utils.CLASSES, file_hash=md5)
    monkeypatch.setattr(imagenet_utils, "CLASSES", file)
    (homes[1] / "imagenet_class_index.json").write_text(text)
    scores = np.random.default_rng(0).permutation(2000).reshape(2, 1000) / 2000
    for decode in (imagenet_utils.decode_predictions, applications.vgg16.decode_predictions):
        found = decode(scores, top=3)
        assert [len(row) for row in found] == [3, 3]
        for row, values in zip(found, scores, strict=True):
            best = sorted(range(1000), key=lambda n: -values[n])[:3]
            assert row == [(f"n{n:08}", f"class {n}", values[n]) for n in best]
    assert len(decode(scores)[0]) == 5
    for wrong in (scores[0], scores[:, :10]):
        with pytest.raises(ValueError, match="`preds` must have the shape"):
            decode(wrong)
