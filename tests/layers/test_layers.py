"""Every layer against Keras: values, gradients, dtypes, shapes, configurations and files."""

import contextlib
import functools
import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from compare import close, mostly_slow, plain
from layer_rows import ROWS, Row

import hornbeam as hb
from hornbeam.core.masks import get_mask, set_mask

pytestmark = [
    # Keras deprecates this argument.
    pytest.mark.filterwarnings("ignore:You passed `rms_scaling"),
    # Keras's variables do not support NumPy 2's `copy` argument.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]


def pair(row):
    """Return Hornbeam's layer and Keras's layer for one row."""
    keras.utils.clear_session(free_memory=False)
    return row.make(lambda name: getattr(hb.layers, name)), row.make(
        lambda name: getattr(keras.layers, name)
    )


def call(row, layer, x, **more):
    """Call a layer, or its pure function, as the row says."""
    return layer(*(x if row.spread else [x]), **(row.options or {}), **more)


def built_pair(row, x):
    """Return both layers built on `x`, with the same random weights."""
    ours, reference = pair(row)
    shape = [a.shape for a in x] if isinstance(x, list) else x.shape
    for layer in (ours, reference):
        if not layer.built:
            layer.build(*(shape if row.spread else [shape]))
    random = np.random.RandomState(1)
    weights = [np.asarray(random.rand(*w.shape) + 0.1, "float32") for w in reference.weights]
    reference.set_weights(weights)
    ours.set_weights(weights)
    for layer in (ours, reference):
        # Keras's Normalization computes with copies of its weights.
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return ours, reference


def pure(row, layer, training):
    """Return `layer` as a pure function of trainable values and inputs: outputs and new states."""

    def run(trainable, x):
        others = [v.value for v in layer.non_trainable_variables]
        return call(row, functools.partial(layer.stateless_call, trainable, others), x, **training)

    return run


@pytest.mark.parametrize("name", mostly_slow(ROWS, list(ROWS)[::3]))
def test_values_and_gradients(name):
    """Compiled: outputs, states and gradients, in inference and training.

    Uncompiled: outputs and penalties.
    """
    row = ROWS[name]
    x = row.inputs()
    layers = ours, reference = built_pair(row, x)
    names = [(w.path, w.shape, w.dtype, w.trainable) for w in reference.weights]
    assert [(w.path, w.shape, w.dtype, w.trainable) for w in ours.weights] == names
    accepts = "training" in ours._call_signature.parameters

    def gradients(layer, training, trainable, x):
        run = pure(row, layer, training)

        def loss(trainable, x):
            y, others = run(trainable, x)
            # Each number has a different weight, so errors do not cancel out.
            total = sum(
                jnp.sum(z * jnp.cos(jnp.arange(z.size, dtype=z.dtype)).reshape(z.shape))
                for z in jax.tree.leaves(y)
            )
            return total, (y, others)

        return jax.grad(loss, argnums=(0,) if row.integers else (0, 1), has_aux=True)(trainable, x)

    # One program per row: compiling four programs would dominate the run time of this file.
    @jax.jit
    def compiled(weights, x):
        modes = [{"training": True}, {"training": False}] if accepts else [{}]
        return [
            [gradients(layer, mode, w, x) for mode in modes]
            for layer, w in zip(layers, weights, strict=True)
        ]

    wide = 10 if row.why_loose else 1
    close(*compiled([[v.value for v in layer.trainable_variables] for layer in layers], x), wide)
    x = jax.tree.map(jnp.asarray, x)
    close(call(row, ours, x), call(row, reference, x), wide)  # uncompiled
    close(ours.losses, reference.losses)


@pytest.mark.parametrize("name", mostly_slow(ROWS, list(ROWS)[::3]))
def test_symbolic_shapes_and_dtypes(name):
    row = ROWS[name]
    shapes = row.shape if isinstance(row.shape, list) else [row.shape]
    dtype = "int32" if row.integers else "float32"
    for policy in ("float32", "mixed_bfloat16"):
        results = []
        for library, layer in zip((hb, keras), pair(row), strict=True):
            layer = type(layer).from_config({**layer.get_config(), "dtype": policy})
            inputs = [library.Input(shape[1:], dtype=dtype) for shape in shapes]
            outputs = call(row, layer, inputs if isinstance(row.shape, list) else inputs[0])
            outputs = hb.tree.flatten(outputs)
            results.append(
                ([(y.shape, str(y.dtype)) for y in outputs], [str(w.dtype) for w in layer.weights])
            )
            if library is hb and policy != "float32":
                values = hb.tree.flatten(call(row, layer, row.inputs()))
                assert [(y.shape[1:], str(y.dtype)) for y in values] == [
                    (y.shape[1:], str(y.dtype)) for y in outputs
                ]
        if not row.why_other_shape:
            assert results[0] == results[1]


@pytest.mark.parametrize("name", ROWS)
def test_configuration(name):
    ours, reference = pair(ROWS[name])
    assert plain(ours.get_config()) == plain(reference.get_config())
    again = type(ours).from_config(ours.get_config())
    assert again.get_config() == ours.get_config()


# Keras 3 says so of `.h5` files that Keras 2 can read too.
@pytest.mark.filterwarnings("ignore:Argument `alpha` is deprecated")
@pytest.mark.parametrize("part", mostly_slow(range(8), [0]))
def test_files_in_both_directions(part, tmp_path):
    """Rows are branches of one model. Each library saves it and the other loads it."""
    models = []
    for library in (hb, keras):
        branches = {".keras": ([], [], []), ".h5": ([], [], [])}
        for row in [row for row in ROWS.values() if not row.why_no_file][part::8]:
            several = isinstance(row.shape, list)
            dtype = "int32" if row.integers else "float32"
            new = [
                library.Input(shape[1:], dtype=dtype)
                for shape in (row.shape if several else [row.shape])
            ]
            layer = row.make(lambda name, library=library: getattr(library.layers, name))
            results = hb.tree.flatten(call(row, layer, new if several else new[0]))
            for suffix, (inputs, outputs, data) in branches.items():
                if suffix == ".keras" or not row.why_no_h5:
                    inputs += new
                    outputs += results
                    data += row.inputs() if several else [row.inputs()]
        models.append({suffix: (library.Model(i, o), x) for suffix, (i, o, x) in branches.items()})
    for writers, reader in ((models[0], keras), (models[1], hb)):
        for suffix, (writer, x) in writers.items():
            path = str(tmp_path / f"model{suffix}")
            writer.save(path)
            close(reader.models.load_model(path, compile=False)(x), writer(x))


ADAPTED = {
    "last": ({}, (7, 4)), "steps": ({}, (5, 3, 4)), "one": ({"axis": None}, (5, 3)),
    "axes": ({"axis": (3, 1)}, (5, 3, 2, 4)),
    "invert": ({"axis": 1, "invert": True}, (5, 3, 4)), "batch": ({"axis": 0}, (5, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", ADAPTED)
def test_adapt(name):
    """`adapt` measures mean and variance as Keras does.

    Batches give the result of the whole array.
    """
    arguments, shape = ADAPTED[name]
    x = (np.random.RandomState(0).randn(*shape) * 3 + 1).astype("float32")
    layers = [library.layers.Normalization(**arguments) for library in (hb, keras)]
    for layer in layers:
        layer.adapt(x * 2)
        layer.adapt(x)
    close(layers[0](x), layers[1](x))
    close(
        [layers[0].mean, layers[0].variance, *layers[0].weights],
        [layers[1].mean, layers[1].variance, *layers[1].weights],
    )
    if name == "batch":
        return

    class Pieces(hb.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return (x[:2], x[2:])[index], np.zeros(1)

    for data in (
        (part for part in (x[:1], x[1:])),
        [part.tolist() for part in x],
        Pieces(),
        jnp.asarray(x),
    ):
        layer = hb.layers.Normalization(**arguments)
        layer.adapt(data)
        close(layer(x), layers[1](x))


def test_normalization_says_what_is_wrong():
    for arguments, text in (
        ({"mean": 1.0}, "both"), ({"axis": "a"}, "axis"),
        ({"mean": [[1.0]], "variance": [[1.0]]}, "must be at most 1"),
        ({"mean": [1.0, 2.0], "variance": 1.0}, "same shape"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=text):
            hb.layers.Normalization(**arguments)
    layer = hb.layers.Normalization(name="n")
    with pytest.raises(ValueError, match=r"n.*a known size along"):
        layer(hb.Input((None,)))
    layer.adapt(np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"4.*\(3, 5\)"):
        layer.adapt(np.ones((3, 5)))
    with pytest.raises(ValueError, match="no samples"):
        layer.adapt(iter([]))
    with pytest.raises(ValueError, match="constructor"):
        hb.layers.Normalization(mean=0.0, variance=1.0).adapt(np.ones((3, 4)))
    with pytest.raises(ValueError, match="`axis` must be from -2 to 1"):
        hb.layers.Normalization(axis=2)(np.ones((3, 4)))


MASKED = {
    "dense": lambda L: [L("Dense")(3, activation="tanh")],
    "activation": lambda L: [L("Activation")("relu"), L("Dropout")(0.1), L("LayerNormalization")()],
    "pooled": lambda L: [L("GlobalAveragePooling1D")()],
    "normalized": lambda L: [L("BatchNormalization")()],
    "reshaped": lambda L: [L("Reshape")((3, 4)), L("LeakyReLU")()],
    "flat": lambda L: [L("Flatten")()],
    "convolved": lambda L: [L("Conv1D")(2, 2)],
}


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.filterwarnings("ignore:.*does not support mask")
def test_masks_pass_as_in_keras(name):
    x = np.array([[1, 2, 0, 0], [3, 0, 4, 0]], "int32")
    results = []
    for library in (hb, keras):
        layers = [library.layers.Embedding(5, 3, mask_zero=True)]
        layers += MASKED[name](lambda name, library=library: getattr(library.layers, name))
        model = library.Sequential(layers)
        model.build((None, 4))
        random = np.random.RandomState(2)
        model.set_weights([random.rand(*w.shape) for w in model.weights])
        y = jnp.asarray(x)
        for layer in layers:
            y = layer(y)
        training = [model(x, training=True)] if name == "normalized" else []
        results.append(
            (get_mask(y) if library is hb else getattr(y, "_keras_mask", None), [y, *training])
        )
    (ours, y), (reference, expected) = results
    close(y, expected)
    assert (ours is None) == (reference is None)
    if ours is not None:
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(reference))


MASKED_MERGES = {
    **{name: (lambda L, name=name: L(name)()) for name in ("Add", "Subtract", "Multiply", "Average",
        "Maximum", "Minimum")},
    "Concatenate": lambda L: L("Concatenate")(),
    "Concatenate_steps": lambda L: L("Concatenate")(axis=1),
}  # fmt: skip


@pytest.mark.parametrize("masked", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("name", MASKED_MERGES)
def test_masks_of_merges(name, masked):
    """Values and masks with masked steps in one input, in both, and in none."""
    x = np.array([[1, 2, 0, 0], [3, 0, 4, 0]], "int32")
    results = []
    for library in (hb, keras):
        layers = [library.layers.Embedding(5, 3, mask_zero=mask) for mask in masked]
        random = np.random.RandomState(2)
        inputs = [library.Input((4,), dtype="int32") for _ in layers]
        merge = MASKED_MERGES[name](lambda name, library=library: getattr(library.layers, name))
        model = library.Model(
            inputs, merge([layer(i) for layer, i in zip(layers, inputs, strict=True)])
        )
        model.set_weights([random.randn(5, 3) for _ in layers])
        y = merge([layer(jnp.asarray(t)) for layer, t in zip(layers, (x, x[:, ::-1]), strict=True)])
        mask = get_mask(y) if library is hb else getattr(y, "_keras_mask", None)
        results.append(([y, model([x, x[:, ::-1].copy()])], mask))
    (ours, mask), (reference, expected) = results
    close(ours, reference)
    assert (mask is None) == (expected is None)
    if mask is not None:
        np.testing.assert_array_equal(np.asarray(mask), np.asarray(expected))


def carry(layer, x, mask):
    """Return `x` with a mask attached, as the layer's library attaches it."""
    x = jnp.asarray(x)
    if isinstance(layer, hb.layers.Layer):
        return set_mask(x, jnp.asarray(mask)) or x
    x._keras_mask = jnp.asarray(mask)
    return x


@pytest.mark.parametrize("masked", [(True, False), (False, True), (True, True)])
def test_masks_of_joined_branches_leave_weights_in_order(masked):
    """Masks are ops of the graph, and their depth decides the order of the layers."""

    def model(library):
        layers, words = library.layers, library.Input((5,), dtype="int32")
        x, y = (
            layers.Embedding(6, 2, mask_zero=zero, name=f"e{zero}{k}")(words)
            for k, zero in enumerate(masked)
        )
        x = layers.PReLU(shared_axes=[1], name="p")(layers.Dense(2, name="d")(x))
        return library.Model(words, layers.LSTM(2, name="l")(layers.Concatenate(name="c")([x, y])))

    ours, reference = model(hb), model(keras)
    assert [layer.name for layer in ours.layers[1:]] == [
        layer.name for layer in reference.layers[1:]
    ]
    reference.set_weights(ours.get_weights())
    words = np.array([[1, 2, 0, 3, 0], [0, 0, 0, 0, 4]])
    close(ours(words), reference(words))


# Layers that take masks of several inputs: (recipe, call).
ATTENTION = {
    "dot": (lambda L: L("Attention")(), lambda layer, q, v, m: layer([q, v], mask=m)),
    "values_alone": (lambda L: L("Attention")(), lambda layer, q, v,
        m: layer([q, v], mask=[None, m[1]], use_causal_mask=True)),
    "additive": (lambda L: L("AdditiveAttention")(), lambda layer, q, v, m: layer([q, v], mask=m)),
    "heads": (
        lambda L: L("MultiHeadAttention")(2, 3), lambda layer, q, v,
        m: layer(carry(layer, q, m[0]), v, value_mask=m[1])),
    "heads_query": (
        lambda L: L("MultiHeadAttention")(2, 3),
        lambda layer, q, v, m: layer(carry(layer, q, m[0]), v, use_causal_mask=True)),
    "heads_self": (
        lambda L: L("MultiHeadAttention")(2, 3),
        lambda layer, q, v, m: layer(carry(layer, v, m[1]), carry(layer, v, m[1]))),
    "heads_key": (
        lambda L: L("MultiHeadAttention")(2, 3), lambda layer, q, v,
        m: layer(q, v, v, key_mask=m[1], use_causal_mask=True)),
    "heads_own": (
        lambda L: L("MultiHeadAttention")(2, 3),
        lambda layer, q, v, m: layer(q, v, attention_mask=m[0][:, :, None] & m[1][:, None],
            value_mask=m[1])),
    "groups": (
        lambda L: L("GroupQueryAttention")(3, 4, 2), lambda layer, q, v,
        m: layer(q, v, value_mask=m[1], use_causal_mask=True)),
    "groups_own": (
        lambda L: L("GroupQueryAttention")(3, 4, 2),
        lambda layer, q, v, m: layer(q, v, attention_mask=m[0][:, :, None] & m[1][:, None])),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTENTION)
def test_masks_of_attention(name):
    make, use = ATTENTION[name]
    random = np.random.RandomState(0)
    q, v = random.randn(2, 3, 4).astype("float32"), random.randn(2, 5, 4).astype("float32")
    masks = [
        np.array([[1, 1, 0], [1, 1, 1]], bool),
        np.array([[1, 1, 0, 1, 0], [1, 0, 0, 1, 1]], bool),
    ]
    ours, reference = pair(Row(make, [q.shape, v.shape]))
    for layer in (ours, reference):
        use(layer, q, v, masks)
    ours.set_weights([random.rand(*w.shape) for w in ours.weights])
    reference.set_weights(ours.get_weights())
    # The sums are in another order.
    close(use(ours, q, v, masks), use(reference, q, v, masks), 10)
    embedded = [
        library.layers.Embedding(3, 4, mask_zero=True)(np.array([[1, 0], [2, 2]]))
        for library in (hb, keras)
    ]
    if name.startswith("heads"):  # the query's mask passes on
        kept = [ours(embedded[0], embedded[0]), reference(embedded[1], embedded[1])]
        np.testing.assert_array_equal(get_mask(kept[0]), kept[1]._keras_mask)
        # A mask passed by name means the same. Keras ignores it in some layers.
        np.testing.assert_array_equal(
            ours(q, v, query_mask=masks[0]), ours(carry(ours, q, masks[0]), v)
        )


# Layers that Keras 3 no longer has: (recipe, a current layer that must agree when all positions
# have the same kernel).
GONE = {
    "local1d": (lambda L: L.LocallyConnected1D(3, 2, strides=2),
        lambda L: L.Conv1D(3, 2, strides=2), (2, 7, 4)),
    "local1d_first": (
        lambda L: L.LocallyConnected1D(3, 2, data_format="channels_first"),
        lambda L: L.Conv1D(3, 2, data_format="channels_first"),
        (2, 4, 7)),
    "local2d": (lambda L: L.LocallyConnected2D(3, (3, 2), activation="tanh"),
        lambda L: L.Conv2D(3, (3, 2), activation="tanh"), (2, 6, 5, 4)),
    "local2d_first": (
        lambda L: L.LocallyConnected2D(3, 2, data_format="channels_first"),
        lambda L: L.Conv2D(3, 2, data_format="channels_first"),
        (2, 4, 5, 6)),
    "local2d_matrix": (
        lambda L: L.LocallyConnected2D(3, (3, 2), strides=2, padding="same", implementation=2),
        lambda L: L.Conv2D(3, (3, 2), strides=2, padding="same"), (2, 6, 5, 4)),
    "local2d_matrix_first": (
        lambda L: L.LocallyConnected2D(3, 2, implementation=2, data_format="channels_first",
            use_bias=False),
        lambda L: L.Conv2D(3, 2, data_format="channels_first", use_bias=False), (2, 4, 5, 6)),
}  # fmt: skip


FUSED = {
    "op": lambda x, **kw: hb.ops.dot_product_attention(
        x, x, x, mask=MASK_OF_HEADS, scale=0.3, **kw
    ),
    "op_shared": lambda x, **kw: hb.ops.dot_product_attention(
        x, x[:, :, :1], x[:, :, :1], is_causal=True, **kw
    ),
    "multi_head": lambda x, **kw: built(hb.layers.MultiHeadAttention, 2, 8, **kw)(
        x[:, :, 0], x[:, :, 1]
    ),
    "multi_head_masked": lambda x, **kw: built(hb.layers.MultiHeadAttention, 2, 8, **kw)(
        x[:, :, 0],
        x[:, :, 1],
        value_mask=jnp.arange(6)[None].repeat(2, 0) < 4,
        use_causal_mask=True,
    ),
    "group_query": lambda x, **kw: built(hb.layers.GroupQueryAttention, 8, 4, 2, **kw)(
        x[:, :, 0], x[:, :, 1]
    ),
}
MASK_OF_HEADS = np.random.RandomState(0).rand(2, 1, 6, 6) > 0.3


def built(kind, *args, **kwargs):
    hb.utils.set_random_seed(1)
    return kind(*args, dtype="bfloat16", **kwargs)


@pytest.fixture
def gpu(monkeypatch):
    """Simulate a platform with cuDNN, whose kernel is XLA's implementation here.

    Returns the requested calls; `masked` says whether the last one had a mask.
    """

    class Asked(list):
        masked = None

    asked = Asked()

    def kernel(*args, implementation, is_causal, **kwargs):
        asked.append(implementation)
        asked.masked = args[4] is not None
        return attention(*args, implementation="xla", is_causal=is_causal, **kwargs)

    attention = jax.nn.dot_product_attention
    monkeypatch.setattr(jax.nn, "dot_product_attention", kernel)
    monkeypatch.setattr("hornbeam.ops.routes.compute_capability", lambda: (9, 0))
    return asked


@pytest.mark.parametrize("name", FUSED)
def test_fused_attention(name, gpu):
    """Attention calls the fused kernel where possible and keeps the plain path's result."""
    x = jnp.asarray(np.random.RandomState(0).randn(2, 6, 2, 16), jnp.bfloat16)
    expected = FUSED[name](x, flash_attention=False)
    assert gpu == []
    for flash in (None, True):
        result = FUSED[name](x, flash_attention=flash)
        np.testing.assert_allclose(np.float32(result), np.float32(expected), rtol=0.02, atol=0.02)
        assert gpu == ["cudnn"]
        assert gpu.masked is (name in ("op", "multi_head_masked"))
        gpu.clear()
    hb.config.disable_flash_attention()
    try:
        FUSED[name](x)
        assert gpu == []
        FUSED[name](x, flash_attention=True)
        assert gpu == ["cudnn"]
    finally:
        hb.config.enable_flash_attention()
    gpu.clear()
    hb.config.set_kernels("plain")
    try:
        FUSED[name](x)
        assert gpu == []
        with pytest.raises(RuntimeError, match=r"set_kernels\('plain'\)"):
            FUSED[name](x, flash_attention=True)
    finally:
        hb.config.set_kernels("auto")
    assert (
        hb.config.is_flash_attention_enabled() is keras.config.is_flash_attention_enabled() is None
    )


def test_fused_attention_is_left_where_it_cannot_be(gpu):
    """Unsupported calls use the plain path, or raise an error if the kernel is required."""
    x = jnp.ones((1, 4, 2, 8), jnp.bfloat16)
    rows = {
        "float32": (x.astype("float32"), {}),
        "head's size": (x[..., :7], {}),
        "soft_cap": (x, {"attn_logits_soft_cap": 2.0}),
    }
    for text, (q, options) in rows.items():
        hb.ops.dot_product_attention(q, q, q, **options)
        with pytest.raises(
            RuntimeError, match=f"dot_product_attention: `flash_attention=True`.*{text}"
        ):
            hb.ops.dot_product_attention(q, q, q, flash_attention=True, **options)
    # An odd number of positions.
    hb.ops.dot_product_attention(x[:, :3], x, x, mask=jnp.ones((1, 1, 3, 4), bool))
    layer = built(hb.layers.MultiHeadAttention, 2, 8)
    layer(x[:, :, 0], x[:, :, 0], return_attention_scores=True)
    built(hb.layers.MultiHeadAttention, 2, 8, dropout=0.2)(x[:, :, 0], x[:, :, 0], training=True)
    built(hb.layers.MultiHeadAttention, 2, 8, attention_axes=(1, 2), flash_attention=True)(x, x)
    assert gpu == []


@pytest.mark.parametrize("name", ["MultiHeadAttention", "GroupQueryAttention"])
def test_insisting_on_fused_attention(name):
    """Raises errors where Keras does: no GPU, dropout, scores. Files do not store the setting."""
    arguments = (2, 8) if name == "MultiHeadAttention" else (8, 2, 1)
    x = np.ones((1, 4, 8), "float32")
    for library in (hb, keras):
        make = functools.partial(getattr(library.layers, name), *arguments, flash_attention=True)
        with pytest.raises(RuntimeError, match="cuDNN" if library is hb else None):
            make()(x, x)
        with pytest.raises(ValueError, match="scores"):
            make()(x, x, return_attention_scores=True)
        with pytest.raises(ValueError, match=r"(?i)dropout"):
            make(dropout=0.1)
        assert "flash_attention" not in make().get_config()


@pytest.mark.parametrize("name", GONE)
def test_locally_connected(name):
    """With the same kernel at every position, these layers are convolutions."""
    old, new, shape = GONE[name]
    layer, reference = old(hb.layers), new(hb.layers)
    x = np.random.RandomState(0).randn(*shape).astype("float32")
    layer.build(shape), reference.build(shape)
    kernel = np.asarray(reference.kernel)  # (*window, channels, filters)
    first = layer.data_format == "channels_first"
    if layer.implementation == 1:
        rows = np.moveaxis(kernel, -2, 0) if first else kernel
        layer.kernel.assign(np.broadcast_to(rows.reshape(-1, 3), layer.kernel.shape))
    else:  # the convolution's output for each single input element
        ones = np.eye(int(np.prod(shape[1:])), dtype="float32").reshape(-1, *shape[1:])
        layer.kernel.assign(
            np.asarray(reference(ones)).reshape(layer.kernel.shape) + 7.0 * outside(layer)
        )
    close(layer(x), reference(x))
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert layer.bias is None or layer.bias.shape == reference(x).shape[1:]


def outside(layer):
    """Return 1 where an input is in no window of an output. These weights must not count."""
    probe = type(layer).from_config(layer.get_config())
    probe.build(layer.get_build_config()["input_shape"])
    probe.kernel.assign(np.ones(probe.kernel.shape))
    size = int(np.prod(layer.get_build_config()["input_shape"][1:]))
    ones = np.eye(size, dtype="float32").reshape(-1, *layer.get_build_config()["input_shape"][1:])
    return (np.asarray(probe(ones)).reshape(probe.kernel.shape) == 0).astype("float32")


def test_input_layer_and_spec():
    for make in (
        lambda L: L.InputLayer(shape=(3,), batch_size=2, dtype="int32", name="x"),
        lambda L: L.InputLayer(batch_shape=(None, None, 4)),
        lambda L: L.InputLayer(shape=(2,), optional=True),
    ):
        assert plain(make(hb.layers).get_config()) == plain(make(keras.layers).get_config())

    class Pairs(hb.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.input_spec = hb.layers.InputSpec(min_ndim=2, max_ndim=3, axes={-1: 2})

        def call(self, inputs):
            return inputs

    layer = Pairs(name="pairs")
    assert layer(np.ones((4, 2))).shape == (4, 2)
    for shape, text in (((4, 3), "axis -1.*2"), ((2,), "2"), ((1, 1, 1, 2), "3")):
        with pytest.raises(ValueError, match=f"(?s)pairs.*{text}"):
            layer(np.ones(shape))


SCOPES = {
    "full": {},
    "activations": {"mode": "activations"},
    "larger_than": {"mode": "larger_than", "output_size_threshold": 7},
    "list_of_layers": {"mode": "list_of_layers", "layer_names": ["inner"]},
    "none": {"mode": None},
}


@pytest.mark.parametrize("name", SCOPES)
def test_rematerialization_changes_no_number(name):
    class Inner(hb.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.normalize, self.dense = (
                hb.layers.BatchNormalization(),
                hb.layers.Dense(4, activation="tanh"),
            )
            self.drop = hb.layers.Dropout(0.5, seed=1)

        def call(self, x, training=False):
            y = self.drop(self.dense(self.normalize(x, training=training)), training=training)
            self.add_loss(hb.ops.sum(y**2))
            return y

    x, results, programs = np.random.RandomState(0).randn(4, 3).astype("float32"), [], []
    for scope in (None, hb.RematScope(**SCOPES[name])):
        hb.utils.set_random_seed(1)
        with scope or contextlib.nullcontext():
            layer = Inner(name="inner")
        layer(x)
        layer.set_weights([np.random.RandomState(2).rand(*w.shape) for w in layer.weights])

        def loss(trainable, layer=layer):
            y, others, losses = layer.stateless_call(
                trainable,
                [v.value for v in layer.non_trainable_variables],
                x,
                training=True,
                return_losses=True,
            )
            return jnp.sum(y) + sum(losses), others

        weights = [v.value for v in layer.trainable_variables]
        results.append(jax.grad(loss, has_aux=True)(weights))
        programs.append(str(jax.make_jaxpr(jax.grad(loss, has_aux=True))(weights)))
    close(*results)
    assert ("remat" in programs[1] or "checkpoint" in programs[1]) == (name != "none")
    with pytest.raises(ValueError, match="mode"):
        hb.RematScope("some")
    assert float(jax.grad(hb.remat(jnp.sin))(0.0)) == 1.0


def test_metrics_added_in_call():
    class Watched(hb.layers.Dense):
        def call(self, inputs):
            y = super().call(inputs)
            self.add_metric(hb.ops.mean(inputs), name="mean_input", aggregation="mean")
            return y

    model = hb.Sequential([hb.Input((3,)), Watched(1)])
    model.compile("sgd", "mse")
    x = np.arange(24, dtype="float32").reshape(8, 3)
    history = model.fit(x, x[:, :1], batch_size=4, verbose=0).history
    np.testing.assert_allclose(history["mean_input"], [x.mean()])
    with pytest.raises(ValueError, match="name"):
        hb.layers.Dense(1).add_metric(1.0)


def test_configs_with_classes():
    layer = hb.layers.Conv2D(3, 2, name="c")
    config = hb.layers.serialize(layer)
    assert plain(config) == plain(keras.layers.serialize(keras.layers.Conv2D(3, 2, name="c")))
    assert hb.layers.deserialize(config).get_config() == layer.get_config()
    with pytest.raises(ValueError, match="MeanSquaredError"):
        hb.layers.deserialize(hb.losses.serialize(hb.losses.MeanSquaredError()))


def test_lambda():
    x = np.random.RandomState(0).randn(2, 3).astype("float32")
    for library in (hb, keras):
        layer = library.layers.Lambda(lambda x, factor: x * factor, arguments={"factor": 3.0})
        np.testing.assert_allclose(layer(x), 3 * x)
        inputs = library.Input((3,))
        assert library.layers.Lambda(lambda x: x[:, :1])(inputs).shape == (None, 1)
    with pytest.raises(ValueError, match="callable"):
        hb.layers.Lambda(3)


def test_thresholded_relu():
    layer = hb.layers.ThresholdedReLU(theta=0.5)
    np.testing.assert_array_equal(
        layer(np.array([[-1.0, 0.5, 0.6]], "float32")), np.array([[0, 0, 0.6]], "float32")
    )


def test_lora_trains_the_thin_matrices_alone():
    x, y = np.random.RandomState(0).randn(16, 5).astype("float32"), np.ones((16, 3), "float32")
    layer = hb.layers.Dense(3)
    model = hb.Sequential([hb.Input((5,)), layer])
    base = np.asarray(layer.kernel)
    before = model.predict(x, verbose=0)
    layer.enable_lora(2, lora_alpha=4)
    np.testing.assert_allclose(model.predict(x, verbose=0), before)
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(layer.kernel, base)
    assert np.abs(np.asarray(layer.lora_b)).max() > 0
    np.testing.assert_allclose(
        layer(x),
        x @ (base + 2 * np.asarray(layer.lora_a) @ np.asarray(layer.lora_b))
        + np.asarray(layer.bias),
        rtol=1e-4,
    )
    store = {}
    layer.save_own_variables(store)
    plain_layer = hb.layers.Dense(3)
    plain_layer.build((None, 5))
    plain_layer.load_own_variables(store)
    np.testing.assert_allclose(plain_layer(x), layer(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="on already"):
        layer.enable_lora(2)


@hb.saving.register_keras_serializable(package="tests")
def scaled(params, state, rng, inputs, training):
    return inputs @ params["w"] + state["calls"], {
        "calls": state["calls"] + (1.0 if training else 0.0)
    }


@hb.saving.register_keras_serializable(package="tests")
def start(rng, inputs):
    return {"w": jax.random.normal(rng, (inputs.shape[-1], 2))}, {"calls": jnp.zeros(())}


def test_jax_layer(tmp_path):
    layer = hb.layers.JaxLayer(scaled, start, seed=1)
    model = hb.Sequential([hb.Input((3,)), layer])
    assert [(w.shape, w.trainable) for w in layer.weights] == [((3, 2), True), ((), False)]
    model.compile("sgd", "mse")
    x = np.ones((8, 3), "float32")
    model.fit(x, np.zeros((8, 2)), batch_size=4, verbose=0)
    assert float(layer.weights[1].value) == 2.0
    model.save(str(tmp_path / "model.keras"))
    again = hb.models.load_model(str(tmp_path / "model.keras"))
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    fixed = hb.layers.JaxLayer(lambda params, inputs: inputs * params, params=jnp.float32(3.0))
    assert float(fixed(np.float32(2.0))) == 6.0
    with pytest.raises(ValueError, match="init_fn"):
        hb.layers.JaxLayer(scaled)
    with pytest.raises(ValueError, match="call_fn.*names"):
        hb.layers.JaxLayer(lambda x: x, params=1.0)


def test_flax_layer_names_what_it_needs():
    try:
        import flax.linen as nn
    except ImportError:
        with pytest.raises(ImportError, match=r"hornbeam\[flax\]"):
            hb.layers.FlaxLayer(None)
        return

    class Block(nn.Module):
        @nn.compact
        def __call__(self, inputs, training=False):
            x = nn.BatchNorm(use_running_average=not training)(nn.Dense(4)(inputs))
            return nn.Dropout(0.5, deterministic=not training)(x)

    layer = hb.layers.FlaxLayer(Block())
    x = np.random.RandomState(0).randn(8, 3).astype("float32")
    assert layer(x).shape == (8, 4)
    assert sorted((w.shape, w.trainable) for w in layer.weights) == [
        ((3, 4), True), ((4,), False), ((4,), False), ((4,), True), ((4,), True),
        ((4,), True)]  # fmt: skip
    before = [np.asarray(w) for w in layer.non_trainable_weights]
    layer(x, training=True)
    assert all(
        (np.asarray(w) != b).any() for w, b in zip(layer.non_trainable_weights, before, strict=True)
    )


def test_bidirectional_leaves_the_callers_layer_alone():
    x, mask = (
        np.random.RandomState(0).randn(2, 4, 3).astype("float32"),
        np.array([[1, 1, 0, 0], [0, 1, 1, 0]], bool),
    )
    results = []
    for library in (hb, keras):
        L = library.layers
        backward = L.GRU(2, return_sequences=True, go_backwards=True)
        layer = L.Bidirectional(L.LSTM(2, return_sequences=True), backward_layer=backward)
        assert layer.backward_layer is backward
        layer.build((None, 4, 3))
        layer.set_weights([np.random.RandomState(1).rand(*w.shape) for w in layer.weights])
        if library is hb:
            assert not backward.zero_output_for_mask
            # On its own, the layer still repeats its last output at a masked step.
            assert np.asarray(backward(x, mask=mask))[1, -1].any()
        results.append(np.asarray(layer(x, mask=mask)))
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)


def test_bidirectional_copies_functions_of_the_users_own():
    def squash(x):
        return x / (1 + hb.ops.abs(x))

    layer = hb.layers.Bidirectional(hb.layers.LSTM(2, activation=squash))
    assert layer.forward_layer.activation is layer.backward_layer.activation is squash


def test_weights_at_the_start():
    weights = [np.ones((4, 2), "float32"), np.full(2, 3.0, "float32")]
    layer = hb.layers.Dense(2, weights=weights, input_dim=4)
    hb.Sequential([layer])
    for ours, given in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, given)


class OwnCode(hb.layers.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


WRAPPERS = {
    "rnn": lambda L, policy: L.RNN(L.LSTMCell(3), return_state=True, dtype=policy),
    "sequences": lambda L, policy: L.RNN(L.GRUCell(3), return_sequences=True, dtype=policy),
    "concat": lambda L, policy: L.Bidirectional(L.LSTM(3, return_sequences=True), dtype=policy),
    "states": lambda L, policy: L.Bidirectional(
        L.LSTM(3, return_state=True), merge_mode="sum", dtype=policy
    ),
    "both": lambda L, policy: L.Bidirectional(L.GRU(3), merge_mode=None, dtype=policy),
    "steps": lambda L, policy: L.TimeDistributed(L.Dense(3), dtype=policy),
    "inner": lambda L, policy: L.TimeDistributed(L.Dense(3, dtype=policy)),
    "spectral": lambda L, policy: L.SpectralNormalization(L.Dense(3), dtype=policy),
}


@pytest.mark.parametrize("name", mostly_slow(WRAPPERS, list(WRAPPERS)[::3]))
def test_policy_of_a_wrapper(name):
    """If the inner layer has another policy, the results have the wrapper's compute dtype."""
    x = np.random.RandomState(0).randn(2, 5, 4).astype("float32")
    results = []
    for library in (hb, keras):
        layer = WRAPPERS[name](library.layers, "mixed_bfloat16")
        parts = layer(x), layer.weights, layer(library.Input((5, 4)))
        results.append([[str(t.dtype) for t in hb.tree.flatten(part)] for part in parts])
    assert results[0][:2] == results[1][:2]
    assert results[0][2] == results[0][0]  # Keras's results differ for states


# (recipe, input, pattern of the message)
BAD = {
    "units": (lambda: hb.layers.Dense(-1), None, "Dense: `units`.*-1"),
    "filters": (lambda: hb.layers.Conv2D(0, 3), None, "Conv2D: `filters`.*0"),
    "kernel_size": (lambda: hb.layers.Conv2D(1, (1, 2, 3)), None, "Conv2D: `kernel_size`"),
    "padding": (lambda: hb.layers.Conv2D(1, 1, padding="full"), None, "Conv2D: `padding`.*full"),
    "activation": (lambda: hb.layers.Dense(1, activation="rlu"), None, "rlu.*relu"),
    "initializer": (lambda: hb.layers.Dense(1, kernel_initializer="he_norml"), None, "he_normal"),
    "argument": (lambda: hb.layers.Dense(1, units_=3), None, "units_.*'units'"),
    "near_argument": (lambda: hb.layers.LSTM(1, return_sequence=True), None, "'return_sequences'"),
    "return_sequences": (
        lambda: hb.Sequential([hb.layers.GRU(2), hb.layers.LSTM(2)]),
        np.ones((2, 3, 4)),
        "return_sequences=True",
    ),
    "data_format": (lambda: hb.layers.Flatten("channel_last"), None, "Flatten: `data_format`"),
    "older_name": (lambda: hb.layers.Dropout(p=1.5), None, "Dropout: `p`.*1.5"),
    "rate": (lambda: hb.layers.Dropout(1.5), None, "rate.*1.5"),
    "noise_sizes": (lambda: hb.layers.Dropout(0.5, (0, -1)), None, r"noise_shape.*\(0, -1\)"),
    "noise_rank": (
        lambda: hb.layers.Dropout(0.5, (None, 1, 1)),
        np.ones((2, 3)),
        r"noise_shape.*\(2, 3\)",
    ),
    "alpha_noise": (
        lambda: hb.layers.AlphaDropout(0.5, (2, 4)),
        np.ones((2, 3)),
        r"noise_shape.*\(2, 3\)",
    ),
    "softmax_mask": (
        lambda: lambda x: hb.layers.Softmax(name="s")(x, mask=np.ones((2, 3), bool)),
        np.ones((2, 3, 4)),
        r"'s'.*`mask` must have a shape that broadcasts to .*\(2, 3, 4\), received \(2, 3\)",
    ),
    "batch_size": (lambda: hb.Input(batch_size=2, batch_shape=(2, 3)), None, "batch_size.*beside"),
    "two_batch_sizes": (
        lambda: hb.layers.Dense(1, batch_size=2, batch_input_shape=(None, 3)),
        None,
        "batch_size.*contradicts",
    ),
    "groups": (lambda: hb.layers.Conv2D(4, 1, groups=3), None, "groups"),
    "rank": (lambda: hb.layers.Conv2D(1, 1, name="c"), np.ones((2, 3, 3)), "'c' .*4"),
    "reshape": (lambda: hb.layers.Reshape((7,), name="r"), np.ones((2, 6)), "'r'.*6 numbers.*7"),
    "concatenate": (
        lambda: hb.layers.Concatenate(name="m"),
        [np.ones((2, 3)), np.ones((3, 3))],
        "'m'",
    ),
    "condition": (
        lambda: OwnCode(lambda x: x if hb.ops.sum(x) > 0 else -x, name="o"),
        hb.Input((3,)),
        "'o'.*Python condition.*ops.where",
    ),
    "numpy": (
        lambda: OwnCode(lambda x: np.log(x), name="o"),
        hb.Input((3,)),
        "'o'.*NumPy function.*hornbeam.ops",
    ),
    "size": (
        lambda: OwnCode(lambda x: np.eye(3)[hb.ops.argmax(x)], name="o"),
        hb.Input((3,)),
        "'o'.*(NumPy|index).*hornbeam.ops",
    ),
    "returns_none": (
        lambda: OwnCode(lambda x: None, name="o"),
        hb.Input((3,)),
        "'o'.*returned None.*return",
    ),
    "class_for_layer": (
        lambda: hb.layers.TimeDistributed(hb.layers.Dense),
        None,
        r"Write `Dense\(\.\.\.\)`",
    ),
    "dot_sizes": (
        lambda: hb.layers.Dot(1, name="m"),
        [np.ones((2, 3, 4)), np.ones((2, 1, 4))],
        r"'m'.*has 3.*has 1.*`axes`",
    ),
    "dot_axes": (
        lambda: hb.layers.Dot(3, name="m"),
        [np.ones((2, 3, 4)), np.ones((2, 3, 4))],
        "'m'.*`axes`.*3.*ranks 3",
    ),
    "dot_batch": (
        lambda: hb.layers.Dot(0, name="m"),
        [np.ones((2, 3)), np.ones((2, 3))],
        "'m'.*`axes`.*batch",
    ),
    "spatial_rank": (
        lambda: hb.layers.SpatialDropout2D(0.1, name="s"),
        np.ones((2, 3, 3)),
        "'s' .*4",
    ),
    "target_shape": (lambda: hb.layers.Reshape((-2, 3)), None, "`target_shape`.*-2"),
    "no_list": (lambda: hb.layers.Add(name="m"), np.ones((2, 3)), "'m'.*list"),
    "output_padding": (
        lambda: hb.layers.Conv2DTranspose(1, 3, strides=2, output_padding=2),
        None,
        "output_padding.*2",
    ),
    "depth_multiplier": (
        lambda: hb.layers.DepthwiseConv2D(3, depth_multiplier=0),
        None,
        "DepthwiseConv2D: `depth_multiplier`",
    ),
    "zero_padding": (lambda: hb.layers.ZeroPadding2D((1, 2, 3)), None, "ZeroPadding2D: `padding`"),
    "cropping": (lambda: hb.layers.Cropping1D(2, name="c"), np.ones((1, 4, 1)), "'c'.*nothing"),
    "interpolation": (
        lambda: hb.layers.UpSampling2D(interpolation="area"),
        None,
        "interpolation.*area",
    ),
    "output_size": (lambda: hb.layers.AdaptiveMaxPooling2D(0), None, "output_size"),
    "group_norm": (
        lambda: hb.layers.GroupNormalization(4, name="g"),
        np.ones((2, 3, 6)),
        "'g'.*6 channels.*4",
    ),
    "equation": (lambda: hb.layers.EinsumDense("ab,bc", 3), None, "equation.*ab,bc"),
    "einsum_rank": (
        lambda: hb.layers.EinsumDense("abc,cd->abd", (3, 4), name="e"),
        np.ones((2, 3)),
        "'e'.*3 axes",
    ),
    "score_mode": (lambda: hb.layers.Attention(score_mode="sum"), None, "score_mode.*sum"),
    "attention_list": (lambda: hb.layers.Attention(name="a"), np.ones((2, 3, 4)), "'a'.*list"),
    "heads": (lambda: hb.layers.MultiHeadAttention(0, 3), None, "num_heads"),
    "head_groups": (lambda: hb.layers.GroupQueryAttention(3, 4, 3), None, "num_query_heads.*4.*3"),
    "conv_lstm": (lambda: hb.layers.ConvLSTM2D(0, 3), None, "ConvLSTM2D: `filters`"),
    "local": (lambda: hb.layers.LocallyConnected1D(2, 3, padding="same"), None, "padding.*same"),
    "lora": (lambda: hb.layers.Dense(2, name="d").enable_lora(2), None, "'d'.*build"),
    "power_iterations": (
        lambda: hb.layers.SpectralNormalization(hb.layers.Dense(1), 0),
        None,
        "power_iterations",
    ),
    "window": (lambda: hb.layers.MaxPooling2D(9, name="p"), np.ones((1, 4, 4, 1)), "'p'.*9"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name):
    make, x, text = BAD[name]
    training = {"training": True} if "noise" in name else {}
    with pytest.raises((ValueError, TypeError), match=f"(?s){text}"):
        make()(x, **training)


def test_a_weight_without_memory_is_named(capsys):
    model = hb.Sequential([hb.layers.Dense(3), hb.layers.Dense(10**15, name="huge")])
    with pytest.raises(
        MemoryError, match=r"huge' .*'kernel' of shape \(3, 10{15}\), 120*\d* bytes"
    ):
        model.build((None, 4))
    model.summary()
    assert "huge (Dense)" in capsys.readouterr().out


AXES = {
    "BatchNormalization": {"axis": 5},
    "Concatenate": {"axis": 5},
    "Dot": {"axes": 5},
    "GroupNormalization": {"axis": 5},
    "LayerNormalization": {"axis": [-4]},
    "MultiHeadAttention": {"num_heads": 1, "key_dim": 2, "attention_axes": [5]},
    "Normalization": {"axis": 5},
    "PReLU": {"shared_axes": [-1]},
    "RMSNormalization": {"axis": 5},
    "Softmax": {"axis": [1, 1]},
    "UnitNormalization": {"axis": [0, 5]},
}


@pytest.mark.parametrize("name", AXES)
def test_an_axis_that_the_input_does_not_have_is_named(name):
    layer = getattr(hb.layers, name)(**AXES[name])
    x = np.ones((2, 3, 4), "float32")
    inputs = [x, x] if name == "MultiHeadAttention" else [[x, x]]
    with pytest.raises(ValueError, match=rf"\({name}\): `\w*ax[ie]s`.* received"):
        layer(*(inputs if name in ("Concatenate", "Dot", "MultiHeadAttention") else [x]))


def test_every_layer_with_axes_has_a_row_above():
    named = {
        name
        for name in hb.layers.__all__
        if isinstance(made := getattr(hb.layers, name), type)
        and any("ax" in p.split("_")[-1] for p in inspect.signature(made).parameters)
    }
    assert named - {"EinsumDense", "InputSpec"} == set(AXES)  # bias_axes are letters
