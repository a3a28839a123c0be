"""Errors for unknown arguments, and for objects of another kind."""

import numpy as np
import pytest

import hornbeam as hb

MODEL = hb.Sequential([hb.Input((2,)), hb.layers.Dense(1)])
X = np.ones((2, 2))

UNKNOWN = {
    "predict": (lambda: MODEL.predict(X, batchsize=2), "batch_size"),
    "evaluate": (lambda: MODEL.evaluate(X, step=2), "steps"),
    "train_on_batch": (lambda: MODEL.train_on_batch(X, X, sample_weights=X), "sample_weight"),
    "test_on_batch": (lambda: MODEL.test_on_batch(X, X, return_dicts=True), "return_dict"),
    "summary": (lambda: MODEL.summary(line_lenght=80), "line_length"),
    "get_layer": (lambda: MODEL.get_layer(nam="a"), "name"),
    "save": (lambda: MODEL.save("model.keras", overwite=True), "overwrite"),
    "load_model": (lambda: hb.models.load_model("model.keras", custom_object={}), "custom_objects"),
    "Input": (lambda: hb.Input(shap=(2,)), "shape"),
    "Dense": (lambda: hb.layers.Dense(1, activations="relu"), "activation"),
    "SGD": (lambda: hb.optimizers.SGD(momentun=0.9), "momentum"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_arguments(name):
    call, near = UNKNOWN[name]
    with pytest.raises(TypeError, match=f"unexpected argument.*Did you mean '{near}'") as caught:
        call()
    assert isinstance(caught.value, ValueError)  # Keras raises either, by the function


def test_objects_of_another_kind():
    for call in (lambda: hb.Sequential([3]), lambda: hb.Sequential().add({}), lambda: hb.Model(3)):
        with pytest.raises(ValueError, match="expected"):
            call()


PARTS = {
    "LSTM": lambda: hb.layers.LSTM("a"),
    "GRU": lambda: hb.layers.GRU(-1),
    "SimpleRNN": lambda: hb.layers.SimpleRNN(0),
    "ConvLSTM2D": lambda: hb.layers.ConvLSTM2D(2, 3, data_format="x"),
    "RNN": lambda: hb.layers.RNN([hb.layers.LSTMCell(2), 3]),
}


@pytest.mark.parametrize("name", PARTS)
def test_arguments_of_parts_inside(name):
    with pytest.raises(ValueError, match=f"^{name}: "):
        PARTS[name]()


def test_an_error_inside_nested_models_has_the_whole_path():
    class Wrong(hb.layers.Layer):
        def call(self, x):
            raise ValueError("no")

    class Wrapper(hb.Model):
        def __init__(self, part, **kwargs):
            super().__init__(**kwargs)
            self.part = part

        def call(self, x):
            return self.part(x)

    inner = hb.Sequential([hb.Input((4,)), hb.layers.Dense(2)], name="inner")
    cases = (Wrapper(Wrapper(Wrong(name="bad"), name="mid"), name="top"), "'top/mid/bad'"), (
        Wrapper(Wrapper(inner, name="mid"), name="top"), "'top/mid/inner'"
    )  # fmt: skip
    for model, path in cases:
        for call in (model, model.predict):
            with pytest.raises(ValueError, match=path):
                call(np.ones((2, 3)))


def test_the_workers_of_keras_2_in_predict():
    assert MODEL.predict(X, verbose=0, workers=1).shape == (2, 1)
    with pytest.warns(UserWarning, match="'workers' has no effect"):
        MODEL.predict(X, verbose=0, workers=4)
