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


def test_the_workers_of_keras_2_in_predict():
    assert MODEL.predict(X, verbose=0, workers=1).shape == (2, 1)
    with pytest.warns(UserWarning, match="'workers' has no effect"):
        MODEL.predict(X, verbose=0, workers=4)
