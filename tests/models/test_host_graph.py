"""Models whose layers for text are at the start, in the middle, at the end, or in inner models."""

import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb

L, ops = hb.layers, hb.ops
X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = np.arange(40) % 3
WORDS = ["a", "b", "c"]


def classifier():
    """Return a model with class probabilities and the name of the most probable class."""
    x = hb.Input((4,))
    probabilities = L.Dense(3, "softmax", name="p")(x)
    label = L.StringLookup(vocabulary=WORDS, num_oov_indices=0, invert=True, name="label")
    return hb.Model(x, {"p": probabilities, "label": label(ops.argmax(probabilities, axis=-1))})


def test_outputs_of_text(tmp_path):
    model = classifier()
    model.compile("sgd", {"p": "sparse_categorical_crossentropy"}, metrics={"p": ["accuracy"]})
    history = model.fit(X, {"p": Y}, verbose=0, validation_data=(X, {"p": Y})).history
    assert set(history) == {"loss", "p_accuracy", "val_loss", "val_p_accuracy"}
    model.save(tmp_path / "model.keras")
    batches = hb.data.Dataset.from_tensor_slices(X).batch(16)
    for found in (
        model.predict(X, verbose=0), model.predict(X, batch_size=64, verbose=0), model(X),
        model.predict(batches, verbose=0), model.predict_on_batch(X),
        hb.saving.load_model(tmp_path / "model.keras").predict(X, verbose=0),
    ):  # fmt: skip
        expected = np.array(WORDS)[np.asarray(found["p"]).argmax(-1)]
        np.testing.assert_array_equal(found["label"], expected)


def test_text_has_no_loss():
    model = classifier()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="output 'label', which is text. Pass a dict"):
        model.fit(X, {"p": Y, "label": Y}, verbose=0)
    model.compile("sgd", {"p": "sparse_categorical_crossentropy"}, metrics={"label": ["accuracy"]})
    with pytest.raises(ValueError, match="`metrics` has an entry for output 'label'"):
        model.fit(X, {"p": Y}, verbose=0)


def test_text_that_goes_in_and_out():
    words = hb.Input((1,), dtype="string")
    ids = L.StringLookup(vocabulary=WORDS)(words)
    again = L.StringLookup(vocabulary=WORDS, invert=True)(ids)
    model = hb.Model(words, [again, ids])
    texts, numbers = model.predict(np.array([["b"], ["x"]]), verbose=0)
    assert texts.tolist() == [["b"], ["[UNK]"]]
    assert numbers.tolist() == [[2], [0]]
    with pytest.raises(ValueError, match="is an output.* Turn it into numbers first"):
        hb.Model(words, [words, ids]).predict(np.array([["b"]]), verbose=0)


def hashed(x):
    return L.Hashing(7)(ops.argmax(x, axis=-1, keepdims=True))


def hashed_to_vectors(x):
    return L.Hashing(7, output_mode="one_hot")(ops.argmax(x, axis=-1, keepdims=True))


def through_text(x):
    text = L.StringLookup(vocabulary=WORDS, invert=True)(ops.argmax(x, axis=-1, keepdims=True))
    return L.TextVectorization(vocabulary=WORDS, output_sequence_length=2)(text)


@pytest.mark.parametrize(
    "middle", mostly_slow([hashed, hashed_to_vectors, through_text], [hashed_to_vectors])
)
def test_layers_for_the_host_after_trained_ones(middle):
    """They run in callbacks, through which no gradient passes."""
    hb.utils.set_random_seed(1)
    x = hb.Input((4,))
    first = L.Dense(3, name="first")(x)
    found = ops.cast(middle(first), "float32")
    model = hb.Model(x, L.Dense(1)(L.Concatenate()([found, first])))
    model.compile(hb.optimizers.Adam(0.01), "mse")
    losses = model.fit(X, Y, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    outputs = model(X)
    np.testing.assert_allclose(model.predict(X, verbose=0), outputs, rtol=1e-4, atol=1e-4)
    error = np.mean((np.asarray(outputs)[:, 0] - Y) ** 2)
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0), error, rtol=1e-4)


def test_results_of_unknown_size_need_one():
    x = hb.Input((4,))
    text = L.StringLookup(vocabulary=WORDS, invert=True)(
        ops.argmax(L.Dense(3)(x), axis=-1, keepdims=True)
    )
    model = hb.Model(x, L.TextVectorization(vocabulary=WORDS)(text))
    with pytest.raises(ValueError, match="Pass `output_sequence_length`"):
        model.predict(X, verbose=0)


def test_a_text_input_that_meets_trained_layers():
    x, word = hb.Input((4,)), hb.Input((1,), dtype="string", name="word")
    number = ops.argmax(L.Dense(3)(x), axis=-1, keepdims=True)
    model = hb.Model([x, word], L.HashedCrossing(5)((number, word)))
    with pytest.raises(ValueError, match="the text input 'word'.*meets results of trained layers"):
        model.predict([X, np.array([["a"]] * 40)], verbose=0)


def inner_models():
    """Return models that take text and call a model with layers for text."""
    vectorize = L.TextVectorization(vocabulary=WORDS, output_sequence_length=3)
    words = hb.Input((1,), dtype="string")
    prepare = hb.Model(words, {"ids": vectorize(words)})
    encoder = hb.Sequential(
        [hb.Input((1,), dtype="string"), vectorize, L.Embedding(6, 2), L.Flatten(), L.Dense(2)]
    )
    text, number = hb.Input((1,), dtype="string"), hb.Input((1,))
    return {
        "a graph": hb.Model([text, number], L.Concatenate()([prepare(text)["ids"], number])),
        "a trained stack": hb.Model(
            [text, number], L.Concatenate()([encoder(text, mask=None), number])
        ),
        "twice": hb.Model([text, number], encoder(text) + 2 * encoder(text) + number),
        "in a stack": hb.Sequential([hb.Input((1,), dtype="string"), encoder, L.Dense(1)]),
    }


@pytest.mark.parametrize("name", ["a graph", "a trained stack", "twice", "in a stack"])
def test_models_in_models(name, tmp_path):
    model = inner_models()[name]
    texts = np.array([["a b"], ["c zz a b"], [""]], object)
    x = texts if name == "in a stack" else [texts, np.ones((3, 1), "float32")]
    expected = np.asarray(model(x))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = hb.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    if model.trainable_weights:
        model.compile(hb.optimizers.SGD(0.01), "mse")
        target = np.ones(expected.shape)
        losses = model.fit(x, target, epochs=3, verbose=0).history["loss"]
        assert losses[-1] < losses[0]


def test_frozen_layers_before_a_hash_run_on_the_host():
    x = hb.Input((4,))
    dense = L.Dense(3)
    model = hb.Model(x, hashed(dense(x)))
    before = model.predict(X, verbose=0)
    dense.trainable = False
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)
    assert model.host_layers() is not None


def test_rows_of_a_data_set_pass_through_the_layers_for_the_host():
    x = hb.Input((2,), dtype="int32")
    model = hb.Model(x, L.Hashing(7)(x))
    numbers = np.arange(20).reshape(10, 2)
    batches = hb.data.Dataset.from_tensor_slices(numbers).batch(4)
    np.testing.assert_array_equal(model.predict(batches, verbose=0), model(numbers))
