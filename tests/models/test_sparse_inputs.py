"""Sparse inputs of layers and models: the results of the dense ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from jax.experimental.sparse import BCOO

import hornbeam as hb
from hornbeam import layers, ops

RANDOM = np.random.default_rng(0)
DENSE = ((RANDOM.random((6, 8)) < 0.3) * RANDOM.normal(size=(6, 8))).astype("float32")
TARGETS = RANDOM.normal(size=(6, 3)).astype("float32")
FORMS = {
    "bcoo": lambda x: BCOO.fromdense(jnp.asarray(x)),
    "csr": scipy.sparse.csr_matrix,
    "coo": scipy.sparse.coo_array,
}

# By name: the layer, and whether its output for a sparse input is sparse, as in Keras. `Activation`
# keeps zeros, which Keras refuses.
LAYERS = {
    "dense": (lambda: layers.Dense(3, "tanh"), False),
    "lora": (lambda: layers.Dense(3, lora_rank=2), False),
    "half": (lambda: layers.Dense(3, dtype="mixed_bfloat16"), False),
    "flatten": (layers.Flatten, True),
    "reshape": (lambda: layers.Reshape((2, 4)), True),
    "permute": (lambda: layers.Permute((1,)), True),
    "dropout": (lambda: layers.Dropout(0.5), True),
    "identity": (layers.Identity, True),
    "relu": (lambda: layers.Activation("relu"), True),
    "softmax": (layers.Softmax, False),
    "batch": (layers.BatchNormalization, False),
    "layer": (layers.LayerNormalization, False),
    "normalization": (lambda: layers.Normalization(mean=1.0, variance=4.0), False),
    "rescaling": (lambda: layers.Rescaling(2.0, 1.0), False),
    "einsum": (lambda: layers.EinsumDense("ab,bc->ac", 3), False),
    "repeat": (lambda: layers.RepeatVector(2), False),
    "lambda": (lambda: layers.Lambda(lambda x: ops.multiply(x, 2.0)), True),
    "wrapped": (lambda: layers.SpectralNormalization(layers.Dense(2)), False),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    make, is_sparse = LAYERS[name]
    layer = make()
    expected = layer(DENSE)
    for form in FORMS.values():
        found = layer(form(DENSE))
        assert isinstance(found, BCOO) == is_sparse
        found = ops.convert_to_tensor(found, sparse=False)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(
            np.asarray(found, "float32"), np.asarray(expected, "float32"), rtol=1e-2, atol=1e-6
        )
    symbolic = layer(hb.Input((8,), sparse=True))
    assert symbolic.sparse == is_sparse
    assert symbolic.shape == (None, *expected.shape[1:])


def test_merging_layers():
    x, y = FORMS["bcoo"](DENSE), FORMS["bcoo"](DENSE[::-1])
    for layer, is_sparse in (
        (layers.Add(), True), (layers.Subtract(), True), (layers.Multiply(), True),
        (layers.Maximum(), True), (layers.Minimum(), True), (layers.Concatenate(), True),
        (layers.Average(), True), (layers.Dot(1), False),
    ):  # fmt: skip
        expected = layer([DENSE, DENSE[::-1]])
        for other, kind in ((y, is_sparse), (DENSE[::-1], isinstance(layer, layers.Multiply))):
            found = layer([x, other])
            assert isinstance(found, BCOO) == kind, layer.name
            found = ops.convert_to_tensor(found, sparse=False)
            np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=layer.name)


def test_embedding():
    words = (DENSE != 0).astype("int32")
    layer = layers.Embedding(2, 4)
    for form in FORMS.values():
        np.testing.assert_array_equal(layer(form(words)), layer(words))


def _model(sparse):
    hb.utils.set_random_seed(1)
    inputs = hb.Input((8,), sparse=sparse)
    model = hb.Model(inputs, layers.Dense(3)(layers.Dropout(0.0)(inputs)))
    model.compile(hb.optimizers.SGD(0.1), "mse")
    return model


def test_models():
    expected = None
    for sparse, x in ((False, DENSE), *((True, form(DENSE)) for form in FORMS.values())):
        model = _model(sparse)
        history = model.fit(x, TARGETS, batch_size=2, epochs=2, verbose=0).history["loss"]
        validated = model.fit(
            x, TARGETS, batch_size=2, validation_split=0.5, validation_data=None, verbose=0
        ).history
        found = [
            history, validated["loss"], validated["val_loss"],
            model.evaluate(x, TARGETS, batch_size=4, verbose=0),
            model.predict(x, batch_size=4, verbose=0), model.predict_on_batch(x), model(x),
            jax.jit(model)(x if isinstance(x, BCOO) else DENSE), model.train_on_batch(x, TARGETS),
        ]  # fmt: skip
        expected = expected or found
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_generators_and_several_inputs():
    inputs = [hb.Input((8,), sparse=True), hb.Input((8,))]
    outputs = layers.Dense(3, kernel_initializer="ones")(layers.Concatenate()(inputs))
    model = hb.Model(inputs, outputs)
    model.compile("sgd", "mse")
    results = []
    for form in (np.asarray, *FORMS.values()):
        model.layers[-1].set_weights([np.ones((16, 3)), np.zeros(3)])
        x = form(DENSE)
        model.fit([x, DENSE], TARGETS, batch_size=6, verbose=0)
        batches = (((form(DENSE[i : i + 2]), DENSE[:2]), TARGETS[:2]) for i in (0, 2, 4))
        model.fit(batches, verbose=0)
        results.append(model.predict([x, DENSE], verbose=0))
    for result in results:
        np.testing.assert_allclose(result, results[0], rtol=1e-5)


def test_rows_are_read_batch_by_batch():
    rows, columns = 3000, 2_000_000  # 24 GB as a dense array
    places = np.stack([np.arange(rows), np.arange(rows) * 600], 1)
    x = BCOO((jnp.ones(rows), jnp.asarray(places, "int32")), shape=(rows, columns))

    class Sums(hb.Model):
        def call(self, x):
            return ops.sum(x, axis=1, keepdims=True)

    assert Sums().predict(x[:4], batch_size=2, verbose=0).tolist() == [[1.0]] * 4
    assert hb.data.make_source(x, batch_size=4).bytes_per_row == 4 * columns


def test_outputs_that_are_sparse():
    inputs = hb.Input((2,), dtype="int32")
    for mode in ("multi_hot", "count"):
        hot = layers.CategoryEncoding(4, mode, sparse=True)(inputs)
        assert hot.sparse
        model = hb.Model(inputs, hot)
        one = np.array([[1, 2], [0, 3], [2, 2]])
        expected = layers.CategoryEncoding(4, mode)(one)
        assert isinstance(model(one), BCOO)
        np.testing.assert_array_equal(model.predict(one, verbose=0), expected)
        product = layers.Dense(1, kernel_initializer="ones")(hot)
        np.testing.assert_array_equal(
            hb.Model(inputs, product).predict(one, verbose=0)[:, 0], np.sum(expected, 1)
        )
    words = hb.Input((1,), dtype="string")
    hot = layers.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot", sparse=True)(words)
    model = hb.Model(words, layers.Dense(1, kernel_initializer="ones")(hot))
    texts = np.array([["a"], ["c"]], object)
    np.testing.assert_array_equal(model.predict(texts, verbose=0), [[1.0], [1.0]])


def test_own_layers_get_them():
    class Kind(layers.Layer):
        def call(self, x):
            return ops.multiply(ops.convert_to_tensor(x, sparse=False), float(isinstance(x, BCOO)))

    np.testing.assert_array_equal(Kind()(FORMS["csr"](DENSE)), DENSE)
    assert not Kind()(DENSE).any()


def test_files(tmp_path):
    model = _model(sparse=True)
    assert model.inputs[0].sparse
    assert model.layers[0].get_config()["sparse"] is True
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        loaded = hb.models.load_model(tmp_path / name)
        assert loaded.inputs[0].sparse
        assert loaded.layers[0].sparse
        np.testing.assert_allclose(loaded(FORMS["bcoo"](DENSE)), model(DENSE), rtol=1e-5)
    assert hb.models.clone_model(model).inputs[0].sparse
    with pytest.raises(ValueError, match="ragged inputs are not supported"):
        hb.Input((2,), ragged=True)
