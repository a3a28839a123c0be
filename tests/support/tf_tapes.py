# ruff: noqa: B905
"""Programs around `tf.GradientTape`, run by Hornbeam's stand-in and by TensorFlow.

Each takes `tf` and returns numbers, tensors, or lists of them; `None` stays `None`.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def _wave(*shape: int, step: float = 0.7) -> Any:
    return np.sin(np.arange(np.prod(shape)) * step).reshape(shape).astype("float32")


def _fixed(model: Any, step: float = 0.9) -> Any:
    """Give a model weights that do not depend on the framework."""
    model.set_weights([(abs(_wave(*w.shape, step=step)) if "variance" in getattr(w, "path", w.name)
                        else 0.5 * _wave(*w.shape, step=step)) for w in model.weights])  # fmt: skip
    return model


def _scalar(tf: Any, function: Any, *values: float, **settings: Any) -> Any:
    xs = [tf.constant(v) for v in values]
    with tf.GradientTape(**settings) as tape:
        tape.watch(xs)
        y = function(*xs)
    return tape.gradient(y, xs)


def square(tf: Any) -> Any:
    return _scalar(tf, lambda x: x * x, 3.0)


def two_sources(tf: Any) -> Any:
    return _scalar(tf, lambda x, y: x * tf.sin(y) + y / x, 1.5, 0.5)


def unconnected(tf: Any) -> Any:
    return _scalar(tf, lambda x, y: x * 2, 1.5, 0.5)


def stopped(tf: Any) -> Any:
    return _scalar(tf, lambda x: x * tf.stop_gradient(x), 3.0)


def only_stopped(tf: Any) -> Any:
    return _scalar(tf, tf.stop_gradient, 3.0)


def rounded(tf: Any) -> Any:
    return [*_scalar(tf, tf.floor, 1.5), *_scalar(tf, tf.round, 1.5), *_scalar(tf, tf.sign, 1.5)]


def through_integers(tf: Any) -> Any:
    return _scalar(tf, lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32) * 2, 1.5)


def python_condition(tf: Any) -> Any:
    return [*_scalar(tf, lambda x: x * x if x > 1 else -x, 3.0),
            *_scalar(tf, lambda x: x * x if x > 1 else -x, 0.5)]  # fmt: skip


def python_loop(tf: Any) -> Any:
    def run(x: Any) -> Any:
        y = tf.constant(1.0)
        while y < 20:
            y = y * x
        return y

    return _scalar(tf, run, 3.0)


def numpy_breaks(tf: Any) -> Any:
    return _scalar(tf, lambda x: tf.constant(x.numpy() ** 2) * x, 3.0)


def variable_sum(tf: Any) -> Any:
    v = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(v * v * [1.0, 3.0])
    return tape.gradient(y, v)


def assigned_between(tf: Any) -> Any:
    v = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = v * v
        v.assign_add(1.0)
        z = y + v * 3
    return [tape.gradient(z, v), v]


def assigned_from_watched(tf: Any) -> Any:
    v, x = tf.Variable(2.0), tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        v.assign(x * 2)
        y = v * x
    return tape.gradient(y, [x, v])


def not_trainable(tf: Any) -> Any:
    v = tf.Variable(2.0, trainable=False)
    with tf.GradientTape(persistent=True) as tape:
        y = v * v
        tape.watch(v)
        z = v * v * v
    return [tape.gradient(y, v), tape.gradient(z, v)]


def no_watching(tf: Any) -> Any:
    v, w = tf.Variable(2.0), tf.Variable(3.0)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(w)
        y = v * w
    return [*tape.gradient(y, [v, w]), len(tape.watched_variables())]


def persistent(tf: Any) -> Any:
    x = tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    return [tape.gradient(z, x), tape.gradient(y, x), tape.gradient(z, y)]


def inside_own_tape(tf: Any) -> Any:
    x = tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x * x
        d = tape.gradient(y, x)
    return [d, tape.gradient(d, x)]


def second_order(tf: Any) -> Any:
    x = tf.Variable(1.2)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = tf.exp(x) * x**3
        d = inner.gradient(y, x)
    return [d, outer.gradient(d, x)]


def third_order(tf: Any) -> Any:
    x = tf.constant(1.2)
    with tf.GradientTape() as a:
        a.watch(x)
        with tf.GradientTape() as b:
            b.watch(x)
            with tf.GradientTape() as c:
                c.watch(x)
                y = tf.sin(x) * tf.nn.softplus(x)
            d = c.gradient(y, x)
        e = b.gradient(d, x)
    return [d, e, a.gradient(e, x)]


def through_intermediate(tf: Any) -> Any:
    x = tf.constant(1.2)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            h = x * x
            y = tf.sin(h)
        d = inner.gradient(y, x)
    return outer.gradient(d, [x, h])


def paused(tf: Any) -> Any:
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * 2
        with tape.stop_recording():
            z = y * 3
        q = z * x
    return tape.gradient(q, [x, y])


def after_reset(tf: Any) -> Any:
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * 2
        tape.reset()
        tape.watch(x)
        z = x * x
    return tape.gradient(z, [x, y])


def weighted_targets(tf: Any) -> Any:
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, z = x * x, x * 3
    return tape.gradient([y, z], x, output_gradients=[tf.constant([1.0, 2.0]), tf.ones([2])])


def zeros_for_none(tf: Any) -> Any:
    x, y = tf.constant([1.0, 2.0]), tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        z = y * y
    return tape.gradient(z, {"a": x, "b": [y]}, unconnected_gradients="zero")["a"]


def jacobian(tf: Any) -> Any:
    x, w = tf.constant(_wave(3)), tf.Variable(_wave(3, 2))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.tanh(tf.linalg.matvec(w, x, transpose_a=True))
    return [*tape.jacobian(y, [x, w]), tape.jacobian(y, x, experimental_use_pfor=False)]


def batch_jacobian(tf: Any) -> Any:
    x = tf.constant(_wave(4, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.stack([x[:, 0] * x[:, 1], tf.square(x[:, 2])], 1)
    return tape.batch_jacobian(y, x)


def hessian(tf: Any) -> Any:
    x = tf.Variable(_wave(3))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = tf.reduce_sum(x**4) * x[0]
        d = inner.gradient(y, x)
    return outer.jacobian(d, x)


def indexing(tf: Any) -> Any:
    x = tf.constant(_wave(3, 4))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.gather(x, [0, 2, 0]) ** 2) + tf.reduce_sum(x[1:, ::2])
        y += tf.reduce_max(x) + tf.reduce_sum(tf.gather_nd(x, [[0, 1], [2, 3]]))
    return tape.gradient(y, x)


def joined(tf: Any) -> Any:
    x, y = tf.constant(_wave(2, 3)), tf.constant(_wave(2, 3, step=0.3))
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        z = tf.concat([x, tf.stack([y[0], x[1]])], 0) * tf.reshape(tf.range(12.0), [4, 3])
        a, b = tf.split(tf.transpose(z), [1, 2])
        total = tf.reduce_sum(a) + tf.reduce_sum(tf.tile(b, [2, 1]) ** 2)
        total += tf.reduce_sum(tf.where(x > 0, x, y * y))
    return tape.gradient(total, [x, y])


def operators(tf: Any) -> Any:
    return _scalar(tf, lambda x, y: (2 - x) / y + x**y - -x * 3 + y % 2 + abs(x), 1.5, 0.5)


def loops(tf: Any) -> Any:
    x = tf.constant(1.5)
    with tf.GradientTape() as tape:
        tape.watch(x)
        _, y = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), [0, x])
        y += tf.reduce_sum(tf.map_fn(lambda r: r * x, tf.constant([1.0, 2.0])))
        y += tf.cond(x > 1, lambda: x * x, lambda: x)
        y += tf.reduce_sum(tf.scan(lambda a, r: a * r, tf.stack([x, x, x])))
    return tape.gradient(y, x)


def own_gradient(tf: Any) -> Any:
    @tf.custom_gradient
    def reversed_gradient(x: Any) -> Any:
        return x * 2, lambda dy: -dy

    return _scalar(tf, lambda x: reversed_gradient(x) * x, 3.0)


def in_function(tf: Any) -> Any:
    v = tf.Variable(_wave(3))

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(v * x))
        gradient = tape.gradient(loss, v)
        v.assign_sub(0.1 * gradient)
        return loss

    return [step(tf.constant(2.0)), step(tf.constant(2.0)), v]


def around_function(tf: Any) -> Any:
    v = tf.Variable(2.0)
    f = tf.function(lambda x: v * x * x)
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x) * 2
    return tape.gradient(y, [x, v])


def second_order_in_function(tf: Any) -> Any:
    x = tf.Variable(1.2)

    @tf.function
    def run() -> Any:
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                y = tf.nn.relu(x) * tf.nn.softplus(x) * x
            d = inner.gradient(y, x)
        return d, outer.gradient(d, x)

    return list(run())


# --- models ------------------------------------------------------------------------------------


def _dense(tf: Any) -> Any:
    layers = tf.keras.layers
    return _fixed(tf.keras.Sequential([
        layers.Input((4,)), layers.Dense(5, activation="tanh"), layers.BatchNormalization(),
        layers.Dense(3),
    ]))  # fmt: skip


def model_weights(tf: Any) -> Any:
    model, x, y = _dense(tf), tf.constant(_wave(6, 4)), tf.constant([0, 1, 2, 0, 1, 2])
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        loss = loss_of(y, model(x, training=True))
    return [loss, *tape.gradient(loss, model.trainable_variables), *model.layers[1].weights[2:]]


def model_inputs(tf: Any) -> Any:
    model, x = _dense(tf), tf.constant(_wave(6, 4))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(model(x)[:, 1])
    return tape.gradient(y, x)


def loop_of_steps(tf: Any) -> Any:
    model, x, y = _dense(tf), tf.constant(_wave(6, 4)), tf.constant(_wave(6, 3))
    optimizer = tf.keras.optimizers.SGD(0.1, momentum=0.9)
    losses = []
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        losses.append(loss)
    return [*losses, *model.weights]


def two_tapes(tf: Any) -> Any:
    layers = tf.keras.layers
    make = _fixed(tf.keras.Sequential([layers.Input((2,)), layers.Dense(3)]))
    judge = _fixed(tf.keras.Sequential([layers.Input((3,)), layers.Dense(1)]), 0.4)
    noise, real = tf.constant(_wave(4, 2)), tf.constant(_wave(4, 3))
    entropy = tf.keras.losses.BinaryCrossentropy(from_logits=True)
    with tf.GradientTape() as tape_1, tf.GradientTape() as tape_2:
        fake = make(noise, training=True)
        on_fake, on_real = judge(fake, training=True), judge(real, training=True)
        loss_1 = entropy(tf.ones_like(on_fake), on_fake)
        loss_2 = entropy(tf.ones_like(on_real), on_real) + entropy(tf.zeros_like(on_fake), on_fake)
    return [*tape_1.gradient(loss_1, make.trainable_variables),
            *tape_2.gradient(loss_2, judge.trainable_variables)]  # fmt: skip


def gradient_penalty(tf: Any) -> Any:
    layers = tf.keras.layers
    judge = _fixed(tf.keras.Sequential([
        layers.Input((3,)), layers.Dense(4, activation="softplus"), layers.Dense(1),
    ]))  # fmt: skip
    x = tf.constant(_wave(5, 3))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            score = judge(x, training=True)
        d = inner.gradient(score, [x])[0]
        norm = tf.sqrt(tf.reduce_sum(tf.square(d), axis=[1]))
        loss = tf.reduce_mean((norm - 1.0) ** 2) + tf.reduce_mean(score)
    return [loss, *outer.gradient(loss, judge.trainable_variables)[:3]]


def intermediate_of_model(tf: Any) -> Any:
    layers, keras = tf.keras.layers, tf.keras
    inputs = keras.Input((6, 6, 2))
    features = layers.Conv2D(3, 3, activation="relu", name="conv")(inputs)
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(features))
    model = _fixed(keras.Model(inputs, [features, outputs]))
    x = tf.constant(_wave(1, 6, 6, 2))
    with tf.GradientTape() as tape:
        maps, scores = model(x)
        score = scores[:, tf.argmax(scores[0])]
    gradients = tape.gradient(score, maps)
    pooled = tf.reduce_mean(gradients, axis=(0, 1, 2))
    heat = tf.squeeze(maps[0] @ pooled[..., tf.newaxis])
    return [pooled, tf.maximum(heat, 0) / tf.math.reduce_max(heat)]


def style_of_input(tf: Any) -> Any:
    conv = tf.keras.layers.Conv2D(3, 3)
    conv.build((None, 5, 5, 2))
    _fixed(conv)
    image = tf.Variable(_wave(1, 5, 5, 2))
    with tf.GradientTape() as tape:
        x = conv(image)
        gram = tf.linalg.einsum("bijc,bijd->bcd", x, x) / tf.cast(tf.shape(x)[1], tf.float32)
        loss = tf.add_n([tf.reduce_mean((gram - 1.0) ** 2), 0.1 * tf.reduce_sum(tf.abs(image))])
    image.assign(tf.clip_by_value(image - 0.01 * tape.gradient(loss, image), -1.0, 1.0))
    return [loss, image]


def chosen_actions(tf: Any) -> Any:
    model = _fixed(tf.keras.Sequential([tf.keras.layers.Input((3,)), tf.keras.layers.Dense(4)]))
    actions = tf.constant([1, 3, 0])
    with tf.GradientTape() as tape:
        values = model(tf.constant(_wave(3, 3)))
        chosen = tf.reduce_sum(tf.multiply(values, tf.one_hot(actions, 4)), axis=1)
        again = tf.gather(values, actions, batch_dims=1)
        loss = tf.keras.losses.Huber()(tf.constant([0.5, 1.0, 0.0]), chosen + again)
    return [loss, *tape.gradient(loss, model.trainable_variables)]


def own_layer_with_loss(tf: Any) -> Any:
    class Code(tf.keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.mean = self.add_weight(shape=(shape[-1], 2), initializer="ones", name="mean")
            self.spread = self.add_weight(shape=(shape[-1], 2), initializer="ones", name="spread")

        def call(self, x: Any) -> Any:
            mean, spread = tf.matmul(x, self.mean), tf.matmul(x, self.spread) * 0.1
            batch, size = tf.shape(mean)[0], tf.shape(mean)[1]
            self.add_loss(-0.5 * tf.reduce_mean(1 + spread - tf.square(mean) - tf.exp(spread)))
            return mean + tf.exp(0.5 * spread) * tf.ones(shape=(batch, size)) * 0.3

    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [layers.Input((3,)), Code(), layers.Dense(3, kernel_regularizer="l2")]
    )
    _fixed(model)
    x = tf.constant(_wave(4, 3))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x) - x)) + sum(model.losses)
    return [loss, *tape.gradient(loss, model.trainable_weights)]


def own_step(tf: Any) -> Any:
    class Trained(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = tf.keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def train_step(self, data: Any) -> Any:
            x, y = data
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return {"loss": loss}

    model = Trained()
    model(_wave(1, 3))
    _fixed(model)
    model.compile(tf.keras.optimizers.SGD(0.1), "mse")
    model.fit(_wave(8, 3), _wave(8, 1), batch_size=4, epochs=2, shuffle=False, verbose=0)
    return model.get_weights()


def recurrent(tf: Any) -> Any:
    layers = tf.keras.layers
    model = _fixed(tf.keras.Sequential([
        layers.Input((4,), dtype="int32"), layers.Embedding(6, 3, mask_zero=True), layers.GRU(2),
    ]))  # fmt: skip
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(model(tf.constant([[1, 2, 3, 0], [4, 5, 0, 0]])) ** 2)
    return [tf.convert_to_tensor(g) for g in tape.gradient(y, model.trainable_variables)]


PROGRAMS = {
    name: x for name, x in list(globals().items())
    if callable(x) and not name.startswith("_") and getattr(x, "__module__", "") == __name__
}  # fmt: skip
