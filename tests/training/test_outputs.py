"""Losses, metrics and weights of several outputs, some without a loss, some nested."""

import keras
import numpy as np
import pytest

import hornbeam as hb

# Keras's variables do not support NumPy 2's `copy` argument.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword"
)

X = np.ones((4, 4), "float32")
A, B, C = (np.ones((4, n), "float32") for n in (1, 2, 3))
NESTED = {"u": [A, B], "v": {"w": C}}
LOSSES = {"u": ["mse", "mae"], "v": {"w": "mse"}}


def make(k, kind):
    x = k.Input((4,))
    a, b, c = (
        k.layers.Dense(n, name=name, kernel_initializer="ones")(x)
        for n, name in ((1, "a"), (2, "b"), (3, "c"))
    )
    return k.Model(
        x,
        {
            "list": [a, b],
            "dict": {"a": a, "b": b},
            "nested": {"u": [a, b], "v": {"w": c}},
            "nested list": [a, [b]],
        }[kind],
    )


CASES = {  # the outputs, the arguments of `compile`, the targets
    "None in a list": ("list", {"loss": [None, "mse"]}, [A, B]),
    "None in a list of targets": ("list", {"loss": [None, "mse"]}, [None, B]),
    "dict outputs": ("dict", {"loss": {"b": "mse"}}, {"b": B}),
    "dict outputs, all targets": ("dict", {"loss": {"b": "mse"}}, {"a": A, "b": B}),
    "None in a dict": ("dict", {"loss": {"a": None, "b": "mse"}}, {"b": B}),
    "nested": ("nested", {"loss": LOSSES}, NESTED),
    "nested, some": ("nested", {"loss": {"u": ["mse", None], "v": {"w": "mse"}}}, NESTED),
    "nested, one for all": ("nested", {"loss": "mse"}, NESTED),
    "metrics of one name": (
        "list",
        {"loss": "mse", "metrics": [["mae", "mae"], ["mae"]], "weighted_metrics": [["mae"], []]},
        [A, B],
    ),
    "nested metrics": (
        "nested",
        {"loss": LOSSES, "metrics": {"u": [["mae"], ["mse"]], "v": {"w": ["mae"]}}},
        NESTED,
    ),
    "nested weights": (
        "nested",
        {"loss": LOSSES, "loss_weights": {"u": [1.0, 2.0], "v": {"w": 3.0}}},
        NESTED,
    ),
    "nested list": (
        "nested list",
        {"loss": ["mse", ["mae"]], "metrics": ["mae", ["mse"]]},
        [A, [B]],
    ),
    "nested list, some": (
        "nested list",
        {"loss": ["mse", [None]], "loss_weights": [2.0, [None]]},
        [A, [B]],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_outputs_as_in_keras(name):
    kind, arguments, y = CASES[name]
    histories = []
    for k in (hb, keras):
        model = make(k, kind)
        model.compile("sgd", **arguments)
        history = model.fit(X, y, sample_weight=None, verbose=0, epochs=2).history
        histories.append({key: np.round(values, 3) for key, values in history.items()})
        results = model.evaluate(X, y, verbose=0, return_dict=True)
        histories[-1].update({f"evaluated {n}": np.round(v, 3) for n, v in results.items()})
    ours, reference = histories
    assert set(ours) == set(reference)
    for key in ours:
        np.testing.assert_allclose(ours[key], reference[key], atol=2e-3, err_msg=key)


@pytest.mark.parametrize("y", [{"b": B}, [A, B], {"a": A, "b": B}])
def test_a_dict_of_some_losses_for_a_list_of_outputs(y):
    """Keras 2 trains these outputs; Keras 3.15 raises."""
    model = make(hb, "list")
    model.compile("sgd", {"b": "mse"}, metrics={"b": ["mae"]})
    before = [np.array(w) for w in model.get_weights()]
    history = model.fit(X, y, verbose=0).history
    assert history == {"loss": [9.0], "b_mae": [3.0]}
    changed = [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, True, True]


def test_unknown_outputs_are_named():
    with pytest.raises(ValueError, match="`loss` names outputs 'q' that do not exist.*'a', 'b'"):
        make(hb, "list").compile("sgd", {"q": "mse"})


def test_nested_outputs_of_a_subclass():
    class Net(hb.Model):
        def __init__(self):
            super().__init__()
            self.parts = [hb.layers.Dense(n, kernel_initializer="ones") for n in (1, 2, 3)]

        def call(self, x):
            a, b, c = (part(x) for part in self.parts)
            return {"u": [a, b], "v": {"w": c}}

    model = Net()
    model.compile("sgd", LOSSES, metrics={"v": {"w": ["mae"]}})
    weights = {"u": [np.zeros(4), np.ones(4)], "v": {"w": np.ones(4)}}
    history = model.fit(X, NESTED, sample_weight=weights, verbose=0).history
    assert [v[0] for v in history.values()] == [12.0, 0.0, 3.0, 9.0, 3.0]
