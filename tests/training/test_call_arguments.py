"""Arguments are used, rejected or named in a warning, including arguments of older Keras."""

import inspect
import warnings

import numpy as np
import pytest

import hornbeam as hb

X, Y = np.ones((8, 4), "float32"), np.ones((8, 2), "float32")

# method: (required arguments, further names accepted in **kwargs)
METHODS = {
    "compile": (
        {"optimizer": "sgd", "loss": "mse"},
        ["sample_weight_mode", "target_tensors", "class_mode", "experimental_run_tf_function"],
    ),
    "fit": (
        {"x": X, "y": Y, "verbose": 0},
        ["nb_epoch", "show_accuracy", "workers", "max_queue_size", "use_multiprocessing",
            "nb_worker", "max_q_size",
         "pickle_safe"],
    ),
    "evaluate": (
        {"x": X, "y": Y, "verbose": 0}, ["show_accuracy", "workers", "max_queue_size",
            "use_multiprocessing", "nb_epoch"],
    ),
    "predict": ({"x": X, "verbose": 0}, []),
    "train_on_batch": ({"x": X, "y": Y}, []),
    "test_on_batch": ({"x": X, "y": Y}, []),
    "predict_on_batch": ({"x": X}, []),
    "summary": ({"print_fn": lambda line: None}, []),
    "save": ({"filepath": "model.keras"}, ["include_optimizer", "save_format", "signatures",
        "options", "save_traces"]),
}  # fmt: skip


MODERN = {
    "max_q_size": "max_queue_size",
    "nb_worker": "workers",
    "pickle_safe": "use_multiprocessing",
}


class Nonsense:
    pass


def parameters(method):
    """Return a method's argument names from its signature, so new arguments need no row."""
    found = inspect.signature(getattr(hb.Model, method)).parameters
    named = [
        n
        for n, p in found.items()
        if n != "self" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    return [*named, *METHODS[method][1]]


def network():
    model = hb.Sequential([hb.Input((4,)), hb.layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(("method", "name"), [(m, n) for m in METHODS for n in parameters(m)])
def test_a_nonsense_value_is_refused_or_named(method, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = network()
    before = model.get_weights()
    refused = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            getattr(model, method)(**{**METHODS[method][0], name: Nonsense()})
        except (TypeError, ValueError) as error:
            refused = str(error)
    if refused is None:
        assert any(
            repr(MODERN.get(name, name)) in str(w.message) or f"`{name}`" in str(w.message)
            for w in caught
        )
    else:
        assert len(refused) > 20
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("method", METHODS)
def test_a_nonsense_name_is_refused(method, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match="nonsense"):
        getattr(network(), method)(**METHODS[method][0], nonsense=1)


REFUSED = {
    "target_tensors": ("compile", {"target_tensors": [1]}, "`y`"),
    "loss_weights": ("compile", {"loss_weights": ["much"]}, "must hold numbers"),
    "run_eagerly": ("compile", {"run_eagerly": "yes"}, "True or False"),
    "jit_compile": ("compile", {"jit_compile": "always"}, "auto"),
    "steps_per_execution": ("compile", {"steps_per_execution": 0}, "positive integer"),
    "validation_freq": ("fit", {"validation_freq": 0}, "positive integer or a list"),
    "validation_steps": (
        "fit",
        {"validation_split": 0.5, "validation_steps": -1},
        "positive integer",
    ),
    "validation_data": ("fit", {"validation_data": "xy"}, "targets"),
    "shuffle": ("fit", {"shuffle": "rows"}, '"batch"'),
    "verbose": ("fit", {"verbose": 3}, "'auto'"),
    "class_weight": ("fit", {"class_weight": {0: "much"}}, "must map class numbers to numbers"),
    "epochs_of_evaluate": ("evaluate", {"nb_epoch": 3}, "nb_epoch"),
    "steps": ("predict", {"steps": 0}, "positive integer"),
    "small_batch": ("predict", {"batch_size": 0}, "positive integer"),
    "return_dict": ("test_on_batch", {"return_dict": "yes"}, "True or False"),
    "layer_range": ("summary", {"layer_range": 3}, "two names"),
    "save_format": ("save", {"save_format": "pickle"}, "'keras', 'h5'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_values_that_cannot_be_meant(name):
    method, arguments, text = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=text):
        getattr(network(), method)(**{**METHODS[method][0], **arguments})


def batches():
    while True:
        yield X, Y


WARNED = {
    "sample_weight_mode": ("compile", {"sample_weight_mode": "temporal"},
        "'sample_weight_mode' has no effect.*time steps"),
    "class_mode": ("compile", {"class_mode": "binary", "experimental_run_tf_function": False},
        "have no effect"),
    "workers": ("fit", {"workers": 4, "use_multiprocessing": True},
        "'workers', 'use_multiprocessing' have no effect"),
    "show_accuracy": ("fit", {"show_accuracy": True}, "metrics="),
    "validation_steps": ("fit", {"validation_steps": 3}, "without validation data"),
    "batch_size": ("fit", {"x": batches(), "y": None, "steps_per_epoch": 1, "batch_size": 3},
        "already yield batches"),
    "of_evaluate": ("evaluate", {"workers": 4}, "'workers' has no effect"),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNED)
def test_what_has_no_effect_is_named_once(name):
    method, arguments, text = WARNED[name]
    with pytest.warns(match=text) as caught:
        getattr(network(), method)(**{**METHODS[method][0], **arguments})
    assert len(caught) == 1
    assert caught[0].filename == __file__  # the warning points to the caller's line


def test_words_that_ask_for_nothing_are_accepted():
    model = network()
    model.compile("sgd", "mse", sample_weight_mode=None, target_tensors=None)
    model.fit(
        X,
        Y,
        verbose=0,
        workers=1,
        max_queue_size=10,
        use_multiprocessing=False,
        validation_split=None,
    )
    model.compile("sgd", "mse", steps_per_execution="auto")
    assert (
        len(model.fit(X, Y, batch_size=4, verbose=0, steps_per_epoch=1.5, epochs=2).history["loss"])
        == 2
    )
    assert int(model.optimizer.iterations.value) == 4  # a fraction of a step rounds up
