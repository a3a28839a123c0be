"""Sequential, functional and subclassed models against Keras."""

import json

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from compare import close, plain

import hornbeam as hb

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword",
    "ignore:Do not pass an `input_shape`",
)

R = np.random.RandomState(0)
X = R.randn(4, 5).astype("float32")
Z = R.randn(4, 5).astype("float32")
IMAGES = R.randn(2, 6, 6, 2).astype("float32")


def from_input(k):
    return k.Sequential(
        [k.Input((5,)), k.layers.Dense(4, activation="relu"), k.layers.Dense(2)], name="net"
    )


def from_shape(k):
    return k.Sequential(
        [k.layers.Dense(4, input_shape=(5,)), k.layers.Dropout(0.5), k.layers.Dense(2)]
    )


def from_first_call(k):
    model = k.Sequential()
    model.add(k.layers.Dense(4, activation="tanh"))
    model.add(k.layers.Dense(7))
    model.pop()
    model.add(k.layers.Dense(2))
    model(X)
    return model


def images(k):
    return k.Sequential([
        k.Input((6, 6, 2)), k.layers.Conv2D(3, 3, activation="relu"), k.layers.BatchNormalization(),
        k.layers.MaxPooling2D(2), k.layers.Flatten(), k.layers.Dense(2, activation="softmax"),
    ])  # fmt: skip


def branches(k):
    a, b = k.Input((5,), name="a"), k.Input((5,), name="b")
    shared = k.layers.Dense(3, activation="tanh", name="shared")
    left, right = shared(a), shared(b)
    merged = k.layers.Concatenate(name="both")([left, right, k.layers.Add()([left, right])])
    return k.Model(
        [a, b], [k.layers.Dense(2, name="first")(merged), k.layers.Dense(1, name="second")(left)]
    )


def by_name(k):
    a, b = k.Input((5,), name="a"), k.Input((5,), name="b")
    h = k.layers.Multiply()([k.layers.Dense(3)(a), k.layers.Dense(3)(b)])
    return k.Model(
        {"a": a, "b": b},
        {"out": k.layers.Dense(2, name="out")(h), "sum": k.layers.Add(name="sum")([a, b])},
    )


def operators(k):
    x = k.Input((5,), name="x")
    h = k.layers.Dense(3)(x)
    y = k.ops.exp(-h) * 2.0 + 1.0 / (1.0 + h**2)
    return k.Model(x, k.ops.concatenate([y, k.ops.mean(h, axis=-1, keepdims=True)], axis=-1))


def nested(k):
    inner = k.Sequential(
        [k.Input((5,)), k.layers.Dense(4, activation="relu"), k.layers.Dense(5)], name="inner"
    )
    x = k.Input((5,), name="x")
    return k.Model(x, k.layers.Dense(2)(inner(inner(x)) + x), name="outer")


# name: (recipe, inputs)
MODELS = {
    "from_input": (from_input, X), "from_shape": (from_shape, X),
    "from_first_call": (from_first_call, X),
    "images": (images, IMAGES), "branches": (branches, [X, Z]),
    "by_name": (by_name, {"a": X, "b": Z}),
    "operators": (operators, X), "nested": (nested, X),
}  # fmt: skip


def make(recipe, k):
    """Return the model with weights that do not depend on the library."""
    k.utils.clear_session(free_memory=False)
    model = recipe(k)
    random = np.random.RandomState(1)
    model.set_weights([random.rand(*w.shape) for w in model.weights])
    return model


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    recipe, x = MODELS[name]
    ours, reference = make(recipe, hb), make(recipe, keras)
    result, expected = ours(x), reference(x)
    assert hb.tree.map_structure(lambda a: tuple(a.shape), result) == hb.tree.map_structure(
        lambda a: tuple(a.shape), expected
    )
    close(result, expected)
    for what in (
        lambda m: m.name,
        lambda m: [(layer.name, type(layer).__name__) for layer in m.layers],
        lambda m: [(w.path, tuple(w.shape)) for w in m.weights],
        lambda m: [w.path for w in m.trainable_weights],
        lambda m: [w.path for w in m.non_trainable_weights],
        lambda m: m.count_params(),
        lambda m: m.output_names if type(m).__name__ == "Functional" else None,
        lambda m: [m.get_layer(layer.name) is layer for layer in m.layers],
        lambda m: m.get_layer(index=1).name,
    ):
        assert what(ours) == what(reference)
    if name != "from_first_call":  # Keras fixes the batch size of the first call there
        # For named inputs Keras returns a list of shapes; Hornbeam, like Keras 2, returns shapes by
        # name.
        assert str(ours.input_shape).count("None") == str(reference.input_shape).count("None")
        assert [x.shape for x in ours.inputs] == [x.shape for x in reference.inputs]
        assert [x.shape for x in ours.outputs] == [x.shape for x in reference.outputs]
    again = type(ours).from_config(ours.get_config())
    again.set_weights(ours.get_weights())
    close(again(x), result)
    copy = hb.models.clone_model(ours)
    assert copy is not ours
    assert [w.shape for w in copy.weights] == [w.shape for w in ours.weights]
    copy.set_weights(ours.get_weights())
    close(copy(x), result)


@pytest.mark.parametrize("name", ["from_input", "from_shape", "images", "branches", "nested"])
def test_configurations(name):
    ours, reference = make(MODELS[name][0], hb), make(MODELS[name][0], keras)
    one, other = (json.dumps(plain(m.get_config())) for m in (ours, reference))
    # Keras records that inner models are not compiled.
    assert json.loads(one) == json.loads(other.replace(', "compile_config": {}', ""))
    text = json.loads(ours.to_json())
    assert {k: text[k] for k in ("module", "class_name")} == {
        k: json.loads(reference.to_json())[k] for k in ("module", "class_name")
    }
    close(hb.models.model_from_json(ours.to_json()).count_params(), ours.count_params())


@pytest.mark.parametrize("name", ["from_input", "images", "branches", "nested"])
def test_summaries(name):
    """The words of `summary`, with the optimizer's variables counted after training."""
    words = []
    for k in (hb, keras):
        recipe, x = MODELS[name]
        model = make(recipe, k)
        model.layers[1].trainable = False
        lines: list[str] = []

        def note(line, lines=lines, **_):
            lines.append(line)

        model.summary(print_fn=note, line_length=80, expand_nested=True)
        if name == "from_input":
            model.compile("adam", "mse")
            model.train_on_batch(x, np.zeros((4, 2), "float32"))
            model.summary(print_fn=note, line_length=80)
        text = "\n".join(lines)
        # Column widths may differ, but their contents must not.
        words.append([word for word in text.split() if word.strip("┏┳┓┡╇┩├┼┤└┴┘━─┃│")])
    assert words[0] == words[1]


def test_a_summary_shows_what_trains():
    model = make(nested, hb)
    model.layers[1].trainable = False
    lines = []
    model.summary(print_fn=lines.append, show_trainable=True, expand_nested=True)
    rows = {
        line.split()[1]: line.split()[-2]
        for line in lines
        if line.startswith("│") and "(" in line.split("│")[1]
    }
    assert rows == {"x": "-", "inner": "N", "└": "N", "add": "-", "dense_2": "Y"}


def test_subclassed_models():
    def define(k):
        class Net(k.Model):
            def __init__(self, units, **kwargs):
                super().__init__(**kwargs)
                self.units = units
                self.blocks = [k.layers.Dense(units, activation="relu"), k.layers.Dense(units)]
                self.heads = {"a": k.layers.Dense(1), "b": k.layers.Dense(2)}
                self.drop = k.layers.Dropout(0.5)

            def call(self, x, training=False):
                for block in self.blocks:
                    x = block(x)
                x = self.drop(x, training=training)
                return self.heads["a"](x), self.heads["b"](x)

        return Net(3, name="net")

    ours, reference = define(hb), define(keras)
    ours(X), reference(X)
    weights = [R.randn(*w.shape) for w in reference.weights]
    ours.set_weights(weights), reference.set_weights(weights)
    assert [w.path for w in ours.weights] == [w.path for w in reference.weights]
    close(ours(X), reference(X))
    assert ours.get_config()["units"] == 3
    assert len(ours.layers) == len(reference.layers)


def test_losses_of_layers():
    def define(k, mean):
        class Penalty(k.layers.Layer):
            def call(self, x):
                self.add_loss(0.1 * mean(x))
                return x

        x = k.Input((5,))
        h = k.layers.Dense(3, kernel_regularizer="l2", activity_regularizer="l1")(x)
        return k.Model(x, k.layers.Dense(1, bias_regularizer="l1")(Penalty()(h)))

    results = []
    for k in (hb, keras):
        model = make(lambda k: define(k, k.ops.mean), k)
        model(X)
        losses = sorted(float(v) for v in model.losses)
        model.compile("sgd", "mse")
        results.append(
            [losses, model.evaluate(X, X[:, :1], verbose=0), model.train_on_batch(X, X[:, :1])]
        )
        assert [m.name for m in model.metrics][0] == "loss"
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_trainable_switches():
    for recipe in (from_input, nested):
        ours, reference = make(recipe, hb), make(recipe, keras)
        for switch in (
            lambda m: setattr(m.layers[-1], "trainable", False),
            lambda m: setattr(m, "trainable", False),
            lambda m: setattr(m, "trainable", True),
            lambda m: setattr(m.layers[1], "trainable", False),
        ):
            switch(ours), switch(reference)
            assert [w.path for w in ours.trainable_weights] == [
                w.path for w in reference.trainable_weights
            ]
            assert [w.path for w in ours.non_trainable_weights] == [
                w.path for w in reference.non_trainable_weights
            ]


def test_clone_with_changes():
    def swap(layer):
        return (
            hb.layers.Dense(layer.units, activation="tanh")
            if isinstance(layer, hb.layers.Dense)
            else layer
        )

    model = make(from_input, hb)
    copy = hb.models.clone_model(model, clone_function=swap)
    assert copy.layers[0].activation is hb.activations.tanh
    moved = hb.models.clone_model(
        make(branches, hb), input_tensors=[hb.Input((5,), name="c"), hb.Input((5,), name="d")]
    )
    assert [x.name for x in moved.inputs] == ["c", "d"]


def test_reset_metrics_and_stop_training():
    model = make(from_input, hb)
    model.compile("sgd", "mse", metrics=["mae"])
    model.evaluate(X, X[:, :2], verbose=0)
    assert any(np.any(v.numpy()) for m in model.metrics for v in m.variables)
    model.reset_metrics()
    assert not any(np.any(v.numpy()) for m in model.metrics for v in m.variables)
    stop = hb.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 1)
    )
    assert len(model.fit(X, X[:, :2], epochs=9, verbose=0, callbacks=[stop]).epoch) == 2


def two_of_a_name():
    x = hb.Input((5,))
    return hb.Model(x, hb.layers.Dense(2, name="one")(hb.layers.Dense(2, name="one")(x)))


def unconnected():
    a, b = hb.Input((5,), name="a"), hb.Input((5,), name="b")
    return hb.Model(a, hb.layers.Add()([a, b]))


def test_symbolic_losses():
    """A variational autoencoder in the style of Keras 2: `add_loss` with symbolic tensors.

    Some layers serve only the loss.
    """
    x = np.random.RandomState(0).rand(16, 3).astype("float32")
    inputs = hb.Input((3,))
    outputs = hb.layers.Dense(3, name="out")(inputs)
    spread = hb.layers.Dense(1, name="spread")(inputs)
    model = hb.Model(inputs, outputs)
    model.add_loss(hb.ops.mean(hb.ops.square(inputs - outputs)))
    model.add_loss(hb.ops.square(spread))  # its mean counts
    assert len(model.trainable_variables) == 4
    model.compile("sgd")
    expected = np.mean((x - np.asarray(model(x))) ** 2) + np.mean(
        np.square(x @ model.get_layer("spread").kernel.numpy())
    )
    np.testing.assert_allclose(sum(map(float, model.losses)), expected, rtol=1e-5)
    history = model.fit(x, epochs=3, batch_size=16, verbose=0).history["loss"]
    np.testing.assert_allclose(history[0], expected, rtol=1e-5)
    assert history[2] < history[0]
    with pytest.raises(
        ValueError, match="add_loss needs a tensor computed from the model's inputs"
    ):
        model.add_loss(hb.ops.mean(hb.Input((2,))))


def test_reset_states():
    model = hb.Sequential([hb.Input(batch_shape=(2, 3, 1)), hb.layers.LSTM(2, stateful=True)])
    x = np.ones((2, 3, 1), "float32")
    first, second = model.predict(x, verbose=0), model.predict(x, verbose=0)
    assert not np.allclose(first, second)
    model.reset_states()
    np.testing.assert_allclose(model.predict(x, verbose=0), first, rtol=1e-6)


BAD = {
    "layer_name": (lambda: make(branches, hb).get_layer("shard"), "shard.*shared"),
    "layer_index": (lambda: make(branches, hb).get_layer(index=40), "40"),
    "two_of_a_name": (two_of_a_name, "'one'"),
    "unconnected": (unconnected, "b"),
    "no_layer": (lambda: hb.Sequential([3]), "a layer, received 3"),
    "weights": (lambda: make(from_input, hb).set_weights([np.ones(3)]), "4 arrays"),
    "weight_shape": (
        lambda: make(from_input, hb).set_weights([np.ones(3)] * 4),
        r"\(5, 4\).*\(3,\)",
    ),
    "number_of_inputs": (lambda: make(branches, hb)([X]), "2 inputs"),
    "shape": (lambda: make(from_input, hb)(X[:, :3]), "input_layer.*5.*3"),
    "merge": (lambda: hb.layers.Add()([hb.Input((3,)), hb.Input((4,))]), "add"),
    "inputs": (lambda: hb.Model(X, X), "expected `inputs` and `outputs`"),
    "empty": (lambda: hb.Sequential().pop(), "no layer|empty"),
    "unbuilt": (lambda: hb.Sequential([hb.layers.Dense(2)]).count_params(), "built"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, text = BAD[name]
    with pytest.raises((ValueError, TypeError), match=f"(?s){text}"):
        call()


def test_a_model_is_a_pure_function_too():
    model = make(images, hb)
    trainable = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]
    y, new = model.stateless_call(trainable, others, IMAGES, training=True)
    assert any((a != b).any() for a, b in zip(new, others, strict=True))
    assert all(
        (v.value == b).all() for v, b in zip(model.non_trainable_variables, others, strict=True)
    )
    assert isinstance(y, jnp.ndarray)


def test_inputs_by_name():
    x = np.ones((2, 3), "float32")
    dense = hb.layers.Dense(4)
    np.testing.assert_array_equal(dense(inputs=x), dense(x))
    ends = hb.Input((3,))
    model = hb.Model(ends, hb.layers.Dropout(0.5)(inputs=dense(inputs=ends), training=False))
    np.testing.assert_allclose(model(inputs=x), dense(x), rtol=1e-6)
    assert hb.Model.from_config(model.get_config()).output_shape == (None, 4)
