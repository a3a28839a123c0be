"""Scripts in the idioms of TensorFlow 2; `era_scripts.py` says how they work."""

__all__ = ["TENSORFLOW_MORE"]

TENSORFLOW_MORE = {
    "subclassing": """
import tensorflow as tf
from tensorflow.keras import Model
from tensorflow.keras.layers import Conv2D, Dense, Flatten

images = values(8, 5, 5, 1)
labels = np.arange(8) % 3
train_ds = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)

class MyModel(Model):
    def __init__(self):
        super().__init__()
        self.conv1 = Conv2D(2, 3, activation="relu")
        self.flatten = Flatten()
        self.d1 = Dense(4, activation="relu")
        self.d2 = Dense(3)

    def call(self, x):
        x = self.flatten(self.conv1(x))
        return self.d2(self.d1(x))

model = MyModel()
model(images[:1])
fix(model)
loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = tf.keras.optimizers.Adam()
train_loss = tf.keras.metrics.Mean(name="train_loss")
train_accuracy = tf.keras.metrics.SparseCategoricalAccuracy(name="train_accuracy")

@tf.function
def train_step(images, labels):
    with tf.GradientTape() as tape:
        predictions = model(images, training=True)
        loss = loss_object(labels, predictions)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    train_loss(loss)
    train_accuracy(labels, predictions)

R["loss"], R["accuracy"] = [], []
for epoch in range(2):
    train_loss.reset_state()
    train_accuracy.reset_state()
    for batch, targets in train_ds:
        train_step(batch, targets)
    R["loss"].append(train_loss.result().numpy())
    R["accuracy"].append(train_accuracy.result().numpy())
R["count"] = [int(optimizer.iterations.numpy()), len(model.trainable_variables)]
""",
    "own_loss_and_metric": """
import tensorflow as tf
from tensorflow import keras

class CustomMSE(keras.losses.Loss):
    def __init__(self, regularization_factor=0.1, name="custom_mse"):
        super().__init__(name=name)
        self.regularization_factor = regularization_factor

    def call(self, y_true, y_pred):
        mse = tf.math.reduce_mean(tf.square(y_true - y_pred))
        reg = tf.math.reduce_mean(tf.square(0.5 - y_pred))
        return mse + reg * self.regularization_factor

class F1(keras.metrics.Metric):
    def __init__(self, name="f1", **kwargs):
        super().__init__(name=name, **kwargs)
        self.precision, self.recall = keras.metrics.Precision(), keras.metrics.Recall()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.precision.update_state(y_true, y_pred, sample_weight)
        self.recall.update_state(y_true, y_pred, sample_weight)

    def result(self):
        p, r = self.precision.result(), self.recall.result()
        return 2 * ((p * r) / (p + r + keras.backend.epsilon()))

    def reset_state(self):
        self.precision.reset_state()
        self.recall.reset_state()

inputs = keras.Input(shape=(4,))
model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(inputs))
fix(model)
model.compile(keras.optimizers.Adam(0.05), CustomMSE(), metrics=[F1(), "mae"])
targets = Y[:, None].astype("float32")
history = model.fit(X, targets, epochs=3, batch_size=4, shuffle=False, verbose=0).history
R["loss"], R["f1"], R["mae"] = history["loss"], history["f1"], history["mae"]
""",
    "weights_in_h5": """
import tensorflow as tf

def build(units):
    return tf.keras.Sequential([
        tf.keras.layers.Dense(3, activation="relu", input_shape=(4,), name="body"),
        tf.keras.layers.Dense(units, name=f"head_{units}")])

first = build(2)
fix(first)
first.compile("adam", "mse")
first.fit(X, X[:, :2], epochs=1, verbose=0, shuffle=False)
first.save_weights("first.h5")
same = build(2)
same.load_weights("first.h5")
R["same"] = float(np.abs(same.predict(X, verbose=0) - first.predict(X, verbose=0)).max())
other = build(1)
fix(other)
other.load_weights("first.h5", by_name=True)
R["body"] = other.get_layer("body").get_weights()[0]
R["y"] = other(X[:2]).numpy()
first.save("whole.h5")
again = tf.keras.models.load_model("whole.h5")
R["again"] = again.evaluate(X, X[:, :2], verbose=0)
R["trained"] = again.fit(X, X[:, :2], epochs=1, verbose=0, shuffle=False).history["loss"]
""",
    "pipeline": """
import tensorflow as tf

def parse(features, label):
    features = tf.cast(features, tf.float32) / 2.0
    return tf.concat([features, tf.math.square(features[:1])], axis=0), tf.one_hot(label, 2)

dataset = tf.data.Dataset.from_tensor_slices((X, Y))
train = (dataset.skip(4).map(parse, num_parallel_calls=tf.data.AUTOTUNE).cache().repeat(2)
         .batch(4, drop_remainder=True).prefetch(tf.data.AUTOTUNE))
valid = dataset.take(4).map(parse).batch(2)
R["shape"] = train.element_spec[0].shape.as_list()
R["count"] = [int(train.cardinality()), len(list(valid))]
R["first"] = [part.numpy() for part in next(iter(train))][0]
model = tf.keras.Sequential([tf.keras.layers.Dense(2, activation="softmax", input_shape=(5,))])
fix(model)
model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
history = model.fit(train, validation_data=valid, epochs=2, verbose=0).history
R["loss"], R["val_loss"] = history["loss"], history["val_loss"]
R["val_accuracy"] = history["val_accuracy"]
R["y"] = model.predict(valid, verbose=0)
""",
    "records": """
import tensorflow as tf

with tf.io.TFRecordWriter("data.tfrecord") as writer:
    for row, label in zip(X, Y):
        feature = {
            "row": tf.train.Feature(float_list=tf.train.FloatList(value=row)),
            "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            "name": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"r%d" % label]))}
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        writer.write(example.SerializeToString())

description = {"row": tf.io.FixedLenFeature([4], tf.float32),
               "label": tf.io.FixedLenFeature([], tf.int64),
               "name": tf.io.FixedLenFeature([], tf.string, default_value="")}

def read(record):
    example = tf.io.parse_single_example(record, description)
    return example["row"], example["label"] + tf.cast(
        tf.strings.length(example["name"]) - 2, tf.int64)

dataset = tf.data.TFRecordDataset(["data.tfrecord"]).map(read).batch(5)
R["labels"] = np.concatenate([y.numpy() for _, y in dataset])
model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(4,))])
fix(model)
model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
R["loss"] = model.fit(dataset, epochs=2, verbose=0).history["loss"]
""",
    "strategy": """
import tensorflow as tf

strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(4,))])
    optimizer = tf.keras.optimizers.SGD(0.1)
    loss_object = tf.keras.losses.MeanSquaredError(reduction=tf.keras.losses.Reduction.NONE)
fix(model)
dataset = tf.data.Dataset.from_tensor_slices((X, X[:, :2])).batch(6)
dist_dataset = strategy.experimental_distribute_dataset(dataset)

def train_step(inputs):
    x, y = inputs
    with tf.GradientTape() as tape:
        per_example = loss_object(y, model(x, training=True))
        loss = tf.nn.compute_average_loss(per_example, global_batch_size=6)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss

@tf.function
def distributed_train_step(inputs):
    losses = strategy.run(train_step, args=(inputs,))
    return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

R["losses"] = [float(distributed_train_step(batch)) for batch in dist_dataset]
R["replicas"] = strategy.num_replicas_in_sync
""",
    "grad_cam": """
import tensorflow as tf
from tensorflow import keras

x = keras.Input((6, 6, 1))
h = keras.layers.Conv2D(3, 3, activation="relu", name="last_conv")(x)
y = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(h))
model = keras.Model(x, y)
fix(model)
grad_model = keras.models.Model(
    [model.inputs], [model.get_layer("last_conv").output, model.output])
image = tf.constant(values(1, 6, 6, 1))
with tf.GradientTape() as tape:
    last_conv_layer_output, preds = grad_model(image)
    pred_index = tf.argmax(preds[0])
    class_channel = preds[:, pred_index]
grads = tape.gradient(class_channel, last_conv_layer_output)
pooled_grads = tf.reduce_mean(grads, axis=(0, 1, 2))
heatmap = last_conv_layer_output[0] @ pooled_grads[..., tf.newaxis]
heatmap = tf.squeeze(heatmap)
R["heatmap"] = (tf.maximum(heatmap, 0) / tf.math.reduce_max(tf.abs(heatmap))).numpy()
R["pooled"] = pooled_grads.numpy()
adversarial = tf.Variable(image)
with tf.GradientTape() as tape:
    tape.watch(image)
    loss = keras.losses.sparse_categorical_crossentropy([1], model(image), from_logits=True)
R["sign"] = tf.sign(tape.gradient(loss, image)).numpy()
""",
    "unet": """
from tensorflow import keras
from tensorflow.keras import layers

inputs = keras.Input(shape=(8, 8, 1))
c1 = layers.Conv2D(2, 3, activation="relu", padding="same")(inputs)
c2 = layers.SeparableConv2D(3, 3, activation="relu", padding="same")(layers.MaxPooling2D()(c1))
u1 = layers.Conv2DTranspose(2, 3, strides=2, padding="same")(c2)
u2 = layers.UpSampling2D(2, interpolation="bilinear")(c2)
x = layers.concatenate([u1, c1, u2], axis=-1)
outputs = layers.Conv2D(1, 1, activation="sigmoid")(x)
model = keras.Model(inputs, outputs)
fix(model)

def dice(y_true, y_pred, smooth=1.0):
    y_true, y_pred = keras.backend.flatten(y_true), keras.backend.flatten(y_pred)
    overlap = keras.backend.sum(y_true * y_pred)
    total = keras.backend.sum(y_true) + keras.backend.sum(y_pred)
    return (2.0 * overlap + smooth) / (total + smooth)

def dice_loss(y_true, y_pred):
    return 1 - dice(y_true, y_pred)

images = values(4, 8, 8, 1)
masks = (images > 0).astype("float32")
model.compile("adam", dice_loss, metrics=[dice])
history = model.fit(images, masks, epochs=2, batch_size=2, shuffle=False, verbose=0).history
R["loss"], R["dice"] = history["loss"], history["dice"]
R["y"] = model.predict(images[:1], verbose=0)[0, :2]
""",
    "deep_q": """
import tensorflow as tf
from tensorflow import keras

def create_q_model():
    inputs = keras.layers.Input(shape=(4,))
    layer = keras.layers.Dense(3, activation="relu")(inputs)
    return keras.Model(inputs=inputs, outputs=keras.layers.Dense(2, activation="linear")(layer))

model, model_target = create_q_model(), create_q_model()
fix(model)
model_target.set_weights(model.get_weights())
optimizer = keras.optimizers.Adam(learning_rate=0.01, clipnorm=1.0)
loss_function = keras.losses.Huber()
state, next_state, action = X[:6], X[6:], Y[:6]
R["loss"] = []
for step in range(3):
    future_rewards = model_target.predict(next_state, verbose=0)
    updated_q_values = X[:6, 0] + 0.9 * tf.reduce_max(future_rewards, axis=1)
    masks = tf.one_hot(action, 2)
    with tf.GradientTape() as tape:
        q_values = model(state)
        q_action = tf.reduce_sum(tf.multiply(q_values, masks), axis=1)
        loss = loss_function(updated_q_values, q_action)
    grads = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables))
    R["loss"].append(float(loss))
state_tensor = tf.expand_dims(tf.convert_to_tensor(X[0]), 0)
R["action"] = tf.argmax(model(state_tensor, training=False)[0]).numpy()
R["weights"] = model.get_weights()[0]
""",
    "transformer_block": """
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

class TransformerBlock(layers.Layer):
    def __init__(self, embed_dim, num_heads, ff_dim, rate=0.0):
        super().__init__()
        self.att = layers.MultiHeadAttention(num_heads=num_heads, key_dim=embed_dim)
        self.ffn = keras.Sequential(
            [layers.Dense(ff_dim, activation="relu"), layers.Dense(embed_dim)])
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-6)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-6)
        self.dropout1 = layers.Dropout(rate)

    def call(self, inputs, training=None):
        attn_output = self.dropout1(self.att(inputs, inputs), training=training)
        out1 = self.layernorm1(inputs + attn_output)
        return self.layernorm2(out1 + self.ffn(out1))

class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab_size, embed_dim):
        super().__init__()
        self.token_emb = layers.Embedding(input_dim=vocab_size, output_dim=embed_dim)
        self.pos_emb = layers.Embedding(input_dim=maxlen, output_dim=embed_dim)

    def call(self, x):
        maxlen = tf.shape(x)[-1]
        positions = tf.range(start=0, limit=maxlen, delta=1)
        return self.token_emb(x) + self.pos_emb(positions)

inputs = layers.Input(shape=(5,))
x = TokenAndPositionEmbedding(5, 9, 4)(inputs)
x = layers.GlobalAveragePooling1D()(TransformerBlock(4, 2, 3)(x))
model = keras.Model(inputs=inputs, outputs=layers.Dense(2, activation="softmax")(x))
for w in model.weights:
    w.assign(values(*w.shape) * 0.3 + 0.2)
words = np.arange(20).reshape(4, 5) % 9
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
R["loss"] = model.fit(words, np.array([0, 1, 1, 0]), epochs=2, shuffle=False,
                      verbose=0).history["loss"]
R["y"] = model.predict(words, verbose=0)
""",
    "weighted_samples": """
import tensorflow as tf
from tensorflow import keras

user, item = keras.Input((1,), name="user"), keras.Input((1,), name="item")
u = keras.layers.Flatten()(keras.layers.Embedding(5, 3)(user))
i = keras.layers.Flatten()(keras.layers.Embedding(6, 3)(item))
rating = keras.layers.Dot(axes=1)([u, i])
bias = keras.layers.Flatten()(keras.layers.Embedding(6, 1)(item))
model = keras.Model([user, item], keras.layers.Activation("sigmoid")(rating + bias))
fix(model)
model.compile("adam", "mse", weighted_metrics=["mae"])
users, items = np.arange(12) % 5, np.arange(12) % 6
history = model.fit({"user": users, "item": items}, Y.astype("float32"), batch_size=4, epochs=2,
                    sample_weight=np.arange(12) / 6.0, shuffle=False, verbose=0)
R["loss"], R["mae"] = history.history["loss"], history.history["mae"]
R["scores"] = model.evaluate([users, items], Y.astype("float32"), verbose=0,
                             sample_weight=np.ones(12), return_dict=True)["mae"]
R["y"] = model.predict([users[:3], items[:3]], verbose=0)
""",
    "mixed_precision": """
from tensorflow import keras
from tensorflow.keras import mixed_precision

mixed_precision.set_global_policy("mixed_bfloat16")
inputs = keras.Input(shape=(4,))
hidden = keras.layers.Dense(4, activation="relu", name="hidden")
x = hidden(inputs)
outputs = keras.layers.Activation("softmax", dtype="float32")(keras.layers.Dense(2)(x))
model = keras.Model(inputs, outputs)
mixed_precision.set_global_policy("float32")
fix(model)
R["dtypes"] = [hidden.dtype_policy.name == "mixed_bfloat16" if hasattr(hidden, "dtype_policy")
               else True, hidden.kernel.dtype in ("float32",), "bfloat16" in str(x.dtype),
               "float32" in str(outputs.dtype)]
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(X, Y, epochs=2, batch_size=12, verbose=0)
R["loss"] = [round(float(loss), 1) for loss in history.history["loss"]]
""",
}
