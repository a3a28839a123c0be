"""Outputs of layers inside models, settings changed later, masks as attributes, and copies."""

import keras
import numpy as np
import pytest

import hornbeam as hb

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword",
    "ignore:.*no gradient reaches",
)

X = np.random.RandomState(0).rand(2, 4).astype("float32")
LIBRARIES = pytest.mark.parametrize("library", [hb, keras])


def stack(library, *sizes):
    model = library.Sequential()
    model.add(library.Input((4,)))
    for size in sizes:
        model.add(library.layers.Dense(size))
    return model


def shapes(model):
    return [tuple(layer.output.shape) for layer in model.layers]


@LIBRARIES
def test_each_layer_of_a_stack_keeps_one_output(library):
    model = stack(library, 3, 2, 1)
    assert shapes(model) == [(None, 3), (None, 2), (None, 1)]
    assert [tuple(x.input.shape) for x in model.layers] == [(None, 4), (None, 3), (None, 2)]
    last = model.pop()
    model.add(library.layers.Dense(7))
    assert shapes(model) == [(None, 3), (None, 2), (None, 7)]
    features = library.Model(model.inputs, [layer.output for layer in model.layers])
    np.testing.assert_allclose(features([X])[2], model(X), rtol=1e-6)
    # the first call counts, and a layer may be used again
    model.pop()
    model.add(last)
    model.layers[1](library.Input((3,)))
    model.build((None, 4))
    outer = library.Sequential([library.Input((4,)), model, library.layers.Dense(5)])
    assert shapes(model) == [(None, 3), (None, 2), (None, 1)]
    assert shapes(outer) == [(None, 1), (None, 5)]


def test_parts_of_a_graph_leave_it_as_it_is():
    model = stack(hb, 3, 2, 1)
    head = hb.Model(model.layers[1].input, model.output)
    assert shapes(model) == [(None, 3), (None, 2), (None, 1)]
    whole = hb.Model(model.input, [layer.output for layer in model.layers])
    np.testing.assert_allclose(head(whole(X)[0]), model(X), rtol=1e-6)
    grown = hb.Sequential([hb.layers.Dense(3)])
    grown(X)
    grown.add(hb.layers.Dense(1))
    assert shapes(grown) == [(None, 3), (None, 1)]
    assert grown(X).shape == (2, 1)


@LIBRARIES
def test_a_new_setting_counts_in_the_next_call(library):
    model = stack(library, 2)
    model.layers[0].activation = library.activations.softmax
    np.testing.assert_allclose(np.sum(model(X), axis=1), 1, rtol=1e-6)
    model.layers[0].activation = None
    w, b = model.get_weights()
    np.testing.assert_allclose(model(X), X @ w + b, rtol=1e-5)
    model.add(library.layers.LeakyReLU(negative_slope=0.5))
    model(X)
    model.layers[1].negative_slope = 0.0
    np.testing.assert_allclose(model(X), np.maximum(X @ w + b, 0), rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: hb.layers.EinsumDense("ab,bc->ac", 2, activation="relu"), (2, 3)),
        (lambda: hb.layers.Conv1D(2, 1, activation="relu"), (2, 3, 1)),
        (lambda: hb.layers.SeparableConv2D(1, 1, activation="relu"), (1, 2, 2, 1)),
        (lambda: hb.layers.LocallyConnected1D(1, 1, activation="relu"), (1, 2, 1)),
        (lambda: hb.layers.Activation("relu"), (2, 3)),
        (lambda: hb.layers.GRUCell(2), (2, 3)),
        (lambda: hb.layers.LSTMCell(2), (2, 3)),
        (lambda: hb.layers.SimpleRNNCell(2), (2, 3)),
    ],
)
def test_an_activation_may_be_none_or_a_name(layer, shape):
    layer = layer()
    args = [np.ones(shape, "float32")]
    if hasattr(layer, "get_initial_state"):
        args.append(layer.get_initial_state(batch_size=2))

    def output():
        first = layer(*args)
        return np.asarray(first[0] if isinstance(first, tuple) else first)

    output()
    layer.activation = None
    plain = output()
    layer.activation = "linear"
    np.testing.assert_array_equal(output(), plain)


@LIBRARIES
def test_masks_are_attributes_of_tensors(library):
    embedding = library.layers.Embedding(5, 2, mask_zero=True)
    ids = np.array([[1, 0, 0]])
    np.testing.assert_array_equal(embedding(ids)._keras_mask, [[True, False, False]])
    assert tuple(embedding(library.Input((3,)))._keras_mask.shape) == (None, 3)
    # a mask that the user sets, and the mask of a model's output
    lstm = library.layers.LSTM(1, kernel_initializer="ones", recurrent_initializer="ones")
    x = library.ops.ones((1, 3, 2))
    x._keras_mask = library.ops.convert_to_tensor([[True, False, False]])
    np.testing.assert_allclose(lstm(x), lstm(x[:, :1]), rtol=1e-6)
    model = library.Sequential([library.Input((3,)), embedding])
    for _ in range(2):
        found = lstm(model(ids))
    np.testing.assert_allclose(found, lstm(embedding(ids[:, :1])), rtol=1e-6)


@LIBRARIES
def test_clones_are_compiled_like_the_model(library):
    model = stack(library, 1)
    model.compile(library.optimizers.Adam(0.3), "mse", metrics=["mae"])
    model.fit(X, X[:, :1], verbose=0)
    model.trainable = False
    clone = library.models.clone_model(model)
    assert clone.compiled
    assert clone.optimizer is not model.optimizer
    assert not clone.trainable
    assert float(clone.optimizer.learning_rate) == pytest.approx(0.3)
    assert set(clone.evaluate(X, X[:, :1], verbose=0, return_dict=True)) == {"loss", "mae"} or (
        library is keras
    )


def test_clones_share_no_layer_and_take_any_loss():
    class Outer(hb.layers.Layer):
        def __init__(self, inner, **kwargs):
            super().__init__(**kwargs)
            self.inner = inner

        def get_config(self):
            return {**super().get_config(), "inner": self.inner}

        @classmethod
        def from_config(cls, config):
            inner = hb.saving.deserialize_keras_object(config.pop("inner"))
            return cls(inner, **config)

        def call(self, x):
            return self.inner(x)

    model = hb.Sequential([hb.Input((4,)), Outer(hb.layers.Dense(1))])
    model.compile("sgd", lambda y, p: hb.ops.mean(p - y), metrics=[hb.metrics.MeanAbsoluteError()])
    clone = hb.models.clone_model(model)
    assert clone.layers[0].inner is not model.layers[0].inner
    clone.fit(X, X[:, :1], verbose=0)


def test_one_more_axis_where_the_layers_allow_it():
    for make in (
        lambda last: hb.Sequential([hb.Input((4,)), last]),
        lambda last: hb.Model(x := hb.Input((4,)), last(x)),
    ):
        model = make(hb.layers.Dense(2))
        with pytest.warns(UserWarning, match="one axis more"):
            found = model(X[None])
        np.testing.assert_allclose(found[0], model(X), rtol=1e-5)
        assert model.predict(X[None], verbose=0).shape == (1, 2, 2)
        assert model(hb.Input((7, 4))).shape == (None, 7, 2)
    model = hb.Sequential([hb.Input((4, 2)), hb.layers.Conv1D(2, 1)])
    with (
        pytest.warns(UserWarning, match="one axis more"),
        pytest.raises(ValueError, match="3 dimensions"),
    ):
        model(np.ones((1, 3, 4, 2), "float32"))
    with pytest.raises(ValueError, match="must have shape"):
        model(np.ones((1, 3, 5, 2), "float32"))


@pytest.mark.parametrize("make", [hb.Model, lambda x, y: hb.Sequential([x, hb.layers.Dense(4)])])
def test_a_loss_may_use_tensors_of_the_graph(make):
    x = hb.Input((4,))
    model = make(x, hb.layers.Dense(4)(x))
    inner = model.layers[-1].output
    model.compile("sgd", lambda y, p: hb.ops.mean((y - p) ** 2, -1) + hb.ops.sum(inner**2, -1))
    y = np.asarray(model(X))
    expected = float(np.mean((X - y) ** 2) + np.mean(np.sum(y**2, -1)))
    before = model.get_weights()
    assert model.evaluate(X, X, verbose=0) == pytest.approx(expected, rel=1e-5)
    history = model.fit(X, X, verbose=0, epochs=3).history["loss"]
    assert history[-1] < history[0]
    assert (model.get_weights()[0] != before[0]).any()


def test_metrics_of_tensors_of_the_graph():
    x = hb.Input((4,))
    inner = hb.layers.Dense(2)(x)
    model = hb.Model(x, hb.layers.Dense(1)(inner))
    model.add_metric(hb.ops.mean(inner**2), name="size", aggregation="mean")
    model.add_loss(hb.ops.mean(inner))
    model.compile("sgd", "mse")
    expected = np.mean(np.asarray(model.layers[1](X)) ** 2)
    results = model.evaluate(X, X[:, :1], verbose=0, return_dict=True)
    assert results["size"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="add_metric needs a tensor computed from the model"):
        model.add_metric(hb.Input(()), name="other")


@LIBRARIES
def test_a_summary_shows_the_shapes_of_calls(library):
    class Called(library.Model):
        def __init__(self):
            super().__init__()
            self.first, self.last = library.layers.Dense(8), library.layers.Dense(2)

        def call(self, x):
            return self.last(self.first(x))

    model, lines = Called(), []
    model.compile("adam", "mse")
    model(X)
    model.summary(print_fn=lambda line, **_: lines.append(line))
    batch = None if library is hb else 2
    shown = "\n".join(lines)
    assert str((batch, 8)) in shown
    assert str((batch, 2)) in shown
    assert "Optimizer params" not in shown
    model.fit(X, X[:, :2], verbose=0)
    model.summary(print_fn=lambda line, **_: lines.append(line))
    assert "Optimizer params" in "\n".join(lines)


def test_functions_are_graphs():
    x = hb.KerasTensor((None, 3))
    function = hb.Function([x], {"y": hb.ops.relu(x)})
    assert len(function.operations) == 1
    assert function.inputs == [x]
    assert function.compute_output_shape([(2, 3)]) == {"y": (2, 3)}
    assert function.layers == []
    assert len(function.outputs) == 1


@LIBRARIES
def test_run_eagerly_before_compile(library):
    model = stack(library, 1)
    model.run_eagerly = True
    assert model.run_eagerly
    model.compile("sgd", "mse")
    assert not model.run_eagerly


def structure(outputs):
    if isinstance(outputs, (list, tuple)):
        return [structure(x) for x in outputs]
    return {k: structure(x) for k, x in outputs.items()} if isinstance(outputs, dict) else "tensor"


ENDS = {
    "a list": (lambda x: [x], lambda y: [y]),
    "a list in a list": (lambda x: [[x]], lambda y: [[y]]),
    "a list around the outputs": (lambda x: x, lambda y: [y]),
    "a dict in a list": (lambda x: {"a": [x]}, lambda y: [{"y": y}]),
}


@pytest.mark.parametrize("name", ENDS)
def test_lists_of_one(name):
    found = {}
    around_inputs, around_outputs = ENDS[name]
    inputs = around_inputs(X)
    for library in (hb, keras):
        x = library.Input((4,), name="a")
        y = library.layers.Dense(1, name="d")(x)
        model = library.Model(around_inputs(x), around_outputs(y))
        read = library.models.model_from_json(model.to_json())
        config, again = model.get_config(), read.get_config()
        found[library] = (
            [config[ends] for ends in ("input_layers", "output_layers")],
            [again[ends] for ends in ("input_layers", "output_layers")],
            [structure(made) for made in (model(inputs), read(inputs), model.output)],
        )
    assert found[hb] == found[keras]


@LIBRARIES
def test_a_list_of_one_is_trained_as_its_member(library):
    x = library.Input((4,))
    model = library.Model([x], [library.layers.Dense(1, name="d")(x)])
    assert (model.input_shape, model.output_shape) == ((None, 4), (None, 1))
    model.compile("sgd", ["mse"], metrics=["mae"])
    history = model.fit([X], [np.ones((2, 1))], verbose=0).history
    assert set(history) == {"loss", "mae"}
    assert model.predict(X, verbose=0).shape == model.predict_on_batch(X).shape == (2, 1)
    if library is hb:  # Keras refuses the list here
        assert hb.Sequential([hb.Input((4,)), model, hb.layers.Dense(3)])(X).shape == (2, 3)


@LIBRARIES
def test_inputs_of_a_tensor(library):
    a, b = (library.Input((3,), name=name) for name in "ab")
    inner = library.Model(a, library.layers.Dense(3)(a))
    joined = library.layers.Add()([b, inner(a)])
    for tensor, names in ((a, "a"), (inner(b), "b"), (joined, "ba"), (joined + a, "ba")):
        assert [x.name for x in library.utils.get_source_inputs(tensor)] == list(names)
    assert library.utils.get_source_inputs(3) == 3
