"""Random models with layers, ops, masks, nested models, several outputs and compile options."""

import numpy as np


def random_model(lib, seed):
    """Return a compiled model of library `lib` and inputs; equal seeds give equal models."""
    rng = np.random.default_rng(seed)
    layers, ops = lib.layers, lib.ops

    def pick(*choices):
        return choices[rng.integers(len(choices))]

    def dense(x, units):
        return layers.Dense(
            units,
            activation=pick("relu", "tanh", "gelu", None, "leaky_relu"),
            use_bias=bool(pick(0, 1)),
        )(x)

    def vector_step(x):
        width = int(x.shape[-1])
        kind = rng.integers(10)
        if kind == 0:
            return x * 0.5 + dense(x, width)
        if kind == 1:
            return ops.concatenate([x, ops.tanh(x)], axis=-1)
        if kind == 2:
            return layers.BatchNormalization()(dense(x, 5))
        if kind == 3:
            return layers.Dropout(0.3)(ops.relu(x - ops.mean(x, axis=-1, keepdims=True)))
        if kind == 4:
            inner = lib.Sequential(
                [
                    lib.Input((width,)),
                    layers.Dense(4, activation="relu"),
                    layers.LayerNormalization(),
                ]
            )
            return inner(x)
        if kind == 5:
            start = lib.Input((width,))
            inner = lib.Model(start, layers.Add()([layers.Dense(width)(start), start]))
            return inner(inner(x))
        if kind == 6:
            return x[:, : max(1, width // 2)] / (1.0 + ops.abs(x[:, :1]))
        if kind == 7:
            shared = layers.Dense(
                width, kernel_regularizer=pick("l2", None), kernel_constraint=pick("max_norm", None)
            )
            return ops.maximum(shared(x), shared(ops.negative(x)))
        if kind == 8:
            return ops.reshape(ops.stack([x, x**2], axis=1), (-1, 2 * width))
        return layers.Activation(pick("selu", "softplus", "swish", "elu"))(x)

    kind = seed % 4
    if kind == 0:  # words
        inputs = lib.Input((7,), dtype="int32", name="words")
        x = layers.Embedding(11, 6, mask_zero=bool(pick(0, 1, 1)))(inputs)
        cell = pick(layers.LSTM, layers.GRU, layers.SimpleRNN)
        if pick(0, 1):
            x = layers.Bidirectional(
                cell(3, return_sequences=True), merge_mode=pick("concat", "sum")
            )(x)
        x = (
            pick(layers.LSTM, layers.GRU)(4)(x)
            if pick(0, 1)
            else layers.GlobalAveragePooling1D()(x)
        )
        data = rng.integers(0, 11, (5, 7)).astype("int32")
    elif kind == 1:  # pictures
        inputs = lib.Input((8, 8, 2), name="picture")
        x = layers.Conv2D(3, 3, padding=pick("same", "valid"), strides=pick(1, 2))(inputs)
        x = pick(
            layers.BatchNormalization(), layers.GroupNormalization(3), layers.SpatialDropout2D(0.1)
        )(x)
        x = pick(
            layers.DepthwiseConv2D(2), layers.SeparableConv2D(4, 2), layers.Conv2DTranspose(2, 2)
        )(x)
        x = pick(layers.Flatten(), layers.GlobalMaxPooling2D(), layers.GlobalAveragePooling2D())(
            ops.relu(x)
        )
        data = rng.standard_normal((5, 8, 8, 2)).astype("float32")
    elif kind == 2:  # sequences
        inputs = lib.Input((6, 4), name="steps")
        x = layers.Masking(0.0)(inputs) if pick(0, 1) else inputs
        x = (
            layers.TimeDistributed(layers.Dense(4))(x)
            if pick(0, 1)
            else layers.Conv1D(4, 3, padding="causal")(inputs)
        )
        x = layers.MultiHeadAttention(2, 2)(x, x) if pick(0, 1) else x + ops.flip(x, axis=1)
        x = layers.GRU(5)(x) if pick(0, 1) else layers.Flatten()(x)
        data = rng.standard_normal((5, 6, 4)).astype("float32")
    else:  # columns, one or two inputs
        first = lib.Input((4,), name="a")
        inputs, x = first, first
        data = rng.standard_normal((5, 4)).astype("float32")
        if pick(0, 1):
            second = lib.Input((4,), name="b")
            inputs, x = (
                [first, second],
                pick(layers.Multiply(), layers.Concatenate(), layers.Subtract())([first, second]),
            )
            data = [data, rng.standard_normal((5, 4)).astype("float32")]
    for _ in range(rng.integers(1, 4)):
        x = vector_step(x)
    outputs = layers.Dense(1, activation="sigmoid", name="yes")(x)
    several = bool(pick(0, 1))
    if several:
        outputs = pick(list, lambda pair: {"yes": pair[0], "no": pair[1]})(
            [outputs, layers.Dense(3, name="no")(x)]
        )
    model = lib.Model(inputs, outputs)
    named = isinstance(outputs, dict)
    one = pick(
        "binary_crossentropy",
        "mse",
        lib.losses.Huber(),
        lib.losses.BinaryCrossentropy(label_smoothing=0.1),
        "mae",
    )
    loss = (
        one
        if not several
        else {"yes": one, "no": "mse"}
        if named
        else [one, lib.losses.MeanSquaredError()]
    )
    metrics = pick(
        None,
        ["mae"],
        ["accuracy", lib.metrics.AUC()],
        [lib.metrics.MeanAbsoluteError(name="far"), "mse"],
    )
    if metrics is not None and several:
        metrics = {"yes": metrics, "no": ["mae"]} if named else [metrics, ["mae"]]
    optimizer = pick(
        "adam", "rmsprop", lib.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
        lib.optimizers.AdamW(1e-3, amsgrad=True),
        lib.optimizers.Adam(lib.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)),
        lib.optimizers.Nadam(clipnorm=1.0),
    )  # fmt: skip
    model.compile(optimizer, loss, metrics=metrics)
    return model, data


def targets(model, data):
    """Return targets with the shapes of the outputs."""
    made = model(data)
    if isinstance(made, dict):
        return {name: np.full(np.shape(y), 0.5, "float32") for name, y in made.items()}
    if isinstance(made, (list, tuple)):
        return [np.full(np.shape(y), 0.5, "float32") for y in made]
    return np.full(np.shape(made), 0.5, "float32")
