"""Scripts in the idioms of Keras 1, 2 and 3. Each leaves its results in `R`.

Weights and data are fixed, so that the results can be compared with those of tf_keras 2.21.
"""

from more_era_scripts import KERAS_2_MORE
from tensorflow_scripts import TENSORFLOW_MORE

SETUP = """
import numpy as np

R = {}


def values(*shape):
    count = int(np.prod(shape))
    return (np.sin(np.arange(count) * 1.7) * 0.5).reshape(shape).astype("float32")


def fix(model):
    model.set_weights([values(*w.shape) for w in model.get_weights()])


X = values(12, 4) * 2
Y = (X.sum(axis=1) > 0).astype("int32")
"""

KERAS_1 = {
    "mlp": """
from keras.models import Sequential
from keras.layers.core import Activation, Dense, Dropout
from keras.optimizers import SGD
from keras.utils import np_utils

Y_train = np_utils.to_categorical(Y, nb_classes=2)
model = Sequential()
model.add(Dense(output_dim=5, input_dim=4, init="uniform"))
model.add(Activation("tanh"))
model.add(Dropout(p=0.0))
model.add(Dense(2, init="glorot_uniform"))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", metrics=["accuracy"],
              optimizer=SGD(lr=0.1, decay=0.01, momentum=0.9, nesterov=True))
fix(model)
history = model.fit(X, Y_train, nb_epoch=3, batch_size=4, shuffle=False, verbose=0)
R["loss"] = history.history["loss"]
R["acc"] = history.history["acc"]
R["score"] = model.evaluate(X, Y_train, verbose=0)
R["classes"] = model.predict_classes(X, verbose=0)
""",
    "image_th": """
from keras.models import Sequential
from keras.layers import Activation, Convolution2D, Dense, Flatten, MaxPooling2D

model = Sequential()
model.add(Convolution2D(3, 3, 3, border_mode="same", dim_ordering="th", input_shape=(1, 6, 6)))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2), dim_ordering="th"))
model.add(Flatten())
model.add(Dense(2, activation="sigmoid"))
fix(model)
R["shape"] = model.layers[2].output_shape[1:]
R["y"] = model.predict(values(2, 1, 6, 6), verbose=0)
""",
    "merge": """
from keras.layers import Dense, Input, merge
from keras.models import Model

a, b = Input(shape=(4,), name="a"), Input(shape=(4,), name="b")
left, right = Dense(3, activation="tanh")(a), Dense(3)(b)
both = merge([left, right], mode="concat", concat_axis=1)
product = merge([left, right], mode="mul")
model = Model(input=[a, b], output=[Dense(1)(both), product])
fix(model)
R["both"], R["product"] = model.predict([X, X[::-1]], verbose=0)
model.compile("sgd", ["mse", "mae"], loss_weights=[1.0, 0.5])
R["losses"] = model.evaluate({"a": X, "b": X[::-1]}, [X[:, :1], X[:, :3]], verbose=0)
""",
    "sequence": """
from keras.models import Sequential
from keras.layers.embeddings import Embedding
from keras.layers.recurrent import SimpleRNN
from keras.layers import Dense, TimeDistributedDense

words = np.arange(20).reshape(4, 5) % 7
model = Sequential()
model.add(Embedding(7, 3, input_length=5))
model.add(SimpleRNN(output_dim=4, return_sequences=True, inner_init="orthogonal"))
model.add(TimeDistributedDense(3))
model.add(SimpleRNN(2))
model.add(Dense(1))
fix(model)
model.compile(loss="mse", optimizer="sgd")
R["y"] = model.predict(words, verbose=0)
R["loss"] = [model.train_on_batch(words, np.ones((4, 1))) for _ in range(3)]
""",
    "generator": """
from keras.models import Sequential
from keras.layers import Dense

def batches(rows):
    while True:
        for start in range(0, 12, rows):
            yield X[start:start + rows], X[start:start + rows, :1]

model = Sequential([Dense(3, input_dim=4, activation="relu"), Dense(1)])
fix(model)
model.compile("rmsprop", "mean_squared_error")
history = model.fit_generator(batches(4), samples_per_epoch=12, nb_epoch=2, verbose=0,
                              validation_data=batches(6), nb_val_samples=12)
R["loss"] = history.history["loss"]
R["val_loss"] = history.history["val_loss"]
R["again"] = model.evaluate_generator(batches(3), val_samples=12)
R["y"] = model.predict_generator(batches(6), val_samples=12)
""",
    "saliency": """
from keras import backend as K
from keras.models import Sequential
from keras.layers import Dense, Dropout

model = Sequential([Dense(3, input_dim=4, activation="tanh"), Dropout(0.5), Dense(2)])
fix(model)
loss = K.sum(model.output[:, 1])
grads = K.gradients(loss, model.input)[0]
grads = grads / (K.sqrt(K.mean(K.square(grads))) + 1e-5)
saliency = K.function([model.input, K.learning_phase()], [loss, grads])
R["loss"], R["grads"] = saliency([X[:3], 0])
R["hidden"] = K.function([model.layers[0].input], [model.layers[0].output])([X[:2]])[0]
""",
    "policy": """
from keras import backend as K
from keras.layers import Dense, Input
from keras.models import Model
from keras.optimizers import Adam

state = Input(shape=(4,))
actor = Model(input=state, output=Dense(2, activation="softmax")(state))
fix(actor)
action, reward = K.placeholder(shape=(None, 2)), K.placeholder(shape=(None,))
chosen = K.sum(action * actor.output, axis=1)
loss = -K.mean(K.log(chosen) * reward)
optimizer = Adam(lr=0.05)
updates = optimizer.get_updates(actor.trainable_weights, [], loss)
train = K.function([actor.input, action, reward], [loss], updates=updates)
one_hot = np.eye(2)[Y]
R["loss"] = [train([X, one_hot, X[:, 0]])[0] for _ in range(4)]
R["weights"] = actor.get_weights()[0]
""",
}

KERAS_2 = {
    "two_outputs": """
import keras
from keras.layers import Concatenate, Dense, Input
from keras.models import Model

a, b = Input(shape=(4,), name="a"), Input(shape=(2,), name="b")
x = Concatenate()([Dense(3, activation="relu", name="hidden")(a), b])
model = Model(inputs=[a, b], outputs=[Dense(1, name="size")(x),
                                      Dense(2, activation="softmax", name="kind")(x)])
fix(model)
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.05),
              loss={"size": "mse", "kind": "sparse_categorical_crossentropy"},
              loss_weights={"size": 1.0, "kind": 0.2}, metrics={"kind": "accuracy"})
data = {"a": X, "b": X[:, :2]}, {"size": X[:, :1], "kind": Y}
history = model.fit(*data, epochs=2, batch_size=4, shuffle=False, verbose=0)
R["history"] = [history.history[name] for name in
                ("loss", "size_loss", "kind_loss", "kind_accuracy")]
R["hidden"] = Model(model.input, model.get_layer("hidden").output).predict(data[0], verbose=0)
""",
    "own_layer": """
from keras import backend as K
from keras.layers import Layer
from keras.models import Sequential, load_model
from keras.layers import Dense

class Scale(Layer):
    def __init__(self, units, **kwargs):
        self.units = units
        super(Scale, self).__init__(**kwargs)

    def build(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], self.units),
                                      initializer="uniform", trainable=True)
        super(Scale, self).build(input_shape)

    def call(self, x):
        return K.dot(x, self.kernel)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def get_config(self):
        config = super(Scale, self).get_config()
        config["units"] = self.units
        return config

def distance(y_true, y_pred):
    return K.sqrt(K.sum(K.square(y_true - y_pred), axis=-1) + K.epsilon())

model = Sequential([Scale(3, input_shape=(4,)), Dense(2)])
fix(model)
model.compile("sgd", distance, metrics=["mae"])
R["loss"] = model.fit(X, X[:, :2], epochs=2, shuffle=False, verbose=0).history["loss"]
model.save("scale.h5")
again = load_model("scale.h5", custom_objects={"Scale": Scale, "distance": distance})
R["again"] = again.predict(X[:2], verbose=0)
R["same"] = float(np.abs(again.predict(X) - model.predict(X)).max())
""",
    "vae": """
from keras import backend as K
from keras.layers import Dense, Input, Lambda
from keras.models import Model

x = Input(shape=(4,))
h = Dense(3, activation="relu")(x)
mean, log_var = Dense(2)(h), Dense(2)(h)
z = Lambda(lambda args: args[0] + K.exp(0.5 * args[1]) * 0.1, output_shape=(2,))([mean, log_var])
decoded = Dense(4, activation="sigmoid")(z)
vae = Model(x, decoded)
fix(vae)
entropy = 4 * K.mean(K.square(x - decoded), axis=-1)
kl = -0.5 * K.sum(1 + log_var - K.square(mean) - K.exp(log_var), axis=-1)
vae.add_loss(K.mean(entropy + kl))
vae.compile(optimizer="rmsprop")
R["loss"] = vae.fit(X, epochs=3, batch_size=6, shuffle=False, verbose=0).history["loss"]
R["encoded"] = Model(x, mean).predict(X[:2], verbose=0)
""",
    "attention": """
from keras.layers import (LSTM, Activation, Bidirectional, Dense, Dot, Input, Permute, Reshape,
                          TimeDistributed)
from keras.models import Model

x = Input(shape=(5, 3))
h = Bidirectional(LSTM(2, return_sequences=True))(x)
scores = Reshape((5,))(TimeDistributed(Dense(1, activation="tanh"))(h))
weights = Activation("softmax", name="weights")(scores)
context = Dot(axes=1)([weights, h])
model = Model(x, [Dense(2)(context), Permute((2, 1))(h)])
fix(model)
R["y"], R["h"] = model.predict(values(2, 5, 3), verbose=0)
R["weights"] = Model(x, model.get_layer("weights").output).predict(values(2, 5, 3), verbose=0)
""",
    "callbacks": """
import csv
import keras
from keras import backend as K
from keras.callbacks import (Callback, CSVLogger, EarlyStopping, LambdaCallback,
                             LearningRateScheduler, ModelCheckpoint)
from keras.layers import Dense
from keras.models import Sequential

class Rates(Callback):
    def on_train_begin(self, logs={}):
        self.rates = []

    def on_epoch_end(self, epoch, logs={}):
        self.rates.append(float(K.get_value(self.model.optimizer.lr)))
        if epoch == 1:
            K.set_value(self.model.optimizer.lr, 0.5)

model = Sequential([Dense(2, input_shape=(4,))])
fix(model)
model.compile(keras.optimizers.SGD(0.1), "mse")
rates, seen = Rates(), []
model.fit(X, X[:, :2], epochs=6, shuffle=False, verbose=0, callbacks=[
    LearningRateScheduler(lambda epoch, lr: lr if epoch < 3 else lr * 0.5), rates,
    CSVLogger("log.csv"), EarlyStopping(monitor="loss", patience=3),
    ModelCheckpoint("best.h5", monitor="loss", save_best_only=True),
    LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))])
R["rates"], R["seen"] = rates.rates, seen
with open("log.csv") as file:
    R["losses"] = [float(row["loss"]) for row in csv.DictReader(file)]
""",
    "sequence": """
import keras
from keras.layers import Dense
from keras.models import Sequential

class Batches(keras.utils.Sequence):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = slice(4 * index, 4 * index + 4)
        return X[rows], Y[rows]

model = Sequential([Dense(2, activation="softmax", input_shape=(4,))])
fix(model)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
history = model.fit(Batches(), epochs=2, shuffle=False, verbose=0, class_weight={0: 1.0, 1: 3.0})
R["loss"], R["acc"] = history.history["loss"], history.history["acc"]
R["score"] = model.evaluate(Batches(), verbose=0)
""",
    "gan": """
from keras.layers import Dense, Input, LeakyReLU
from keras.models import Model, Sequential
from keras.optimizers import Adam

generator = Sequential([Dense(4, input_dim=2), LeakyReLU(alpha=0.2), Dense(4)])
discriminator = Sequential([Dense(3, input_dim=4), LeakyReLU(0.2), Dense(1, activation="sigmoid")])
discriminator.compile(loss="binary_crossentropy", optimizer=Adam(0.01, 0.5))
z = Input(shape=(2,))
discriminator.trainable = False
combined = Model(z, discriminator(generator(z)))
combined.compile(loss="binary_crossentropy", optimizer=Adam(0.01, 0.5))
fix(generator)
fix(discriminator)
noise, losses = values(12, 2), []
for step in range(3):
    fake = generator.predict(noise, verbose=0)
    real_loss = discriminator.train_on_batch(X, np.ones((12, 1)))
    fake_loss = discriminator.train_on_batch(fake, np.zeros((12, 1)))
    losses.append([real_loss, fake_loss, combined.train_on_batch(noise, np.ones((12, 1)))])
R["losses"] = losses
R["fake"] = generator.predict(noise[:2], verbose=0)
""",
    "own_optimizer": """
from tensorflow import keras

class Heavy(keras.optimizers.legacy.Optimizer):
    def __init__(self, learning_rate=0.1, momentum=0.5, name="Heavy", **kwargs):
        super().__init__(name, **kwargs)
        self._set_hyper("learning_rate", kwargs.get("lr", learning_rate))
        self._set_hyper("momentum", momentum)

    def _create_slots(self, var_list):
        for variable in var_list:
            self.add_slot(variable, "m")

    def _resource_apply_dense(self, grad, var, apply_state=None):
        m = self.get_slot(var, "m")
        new = m.assign(self._get_hyper("momentum", "float32") * m + grad)
        return var.assign_sub(self._get_hyper("learning_rate", "float32") * new)

    def get_config(self):
        config = super().get_config()
        config["momentum"] = self._serialize_hyperparameter("momentum")
        return config

model = keras.Sequential([keras.layers.Dense(2, input_shape=(4,))])
fix(model)
model.compile(Heavy(0.05), "mse")
R["loss"] = model.fit(X, X[:, :2], epochs=3, batch_size=4, shuffle=False, verbose=0).history["loss"]
R["momentum"] = model.optimizer.get_config()["momentum"]
""",
    "own_metric": """
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import backend as K

class Hits(keras.metrics.Metric):
    def __init__(self, name="hits", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        hits = K.cast(K.equal(K.cast(y_true, "float32"), K.round(y_pred)), "float32")
        self.total.assign_add(K.sum(hits))

    def result(self):
        return self.total

    def reset_states(self):
        self.total.assign(0.0)

model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid", input_shape=(4,))])
fix(model)
model.compile("sgd", keras.losses.BinaryCrossentropy(), metrics=[Hits(), keras.metrics.AUC()])
targets = Y[:, None].astype("float32")
history = model.fit(X, targets, epochs=2, batch_size=6, shuffle=False, verbose=0)
R["hits"], R["loss"] = history.history["hits"], history.history["loss"]
table = keras.metrics.MeanTensor()
table.update_state([[1.0, 2.0]])
table.update_state([[3.0, 6.0]], sample_weight=[3.0])
R["table"] = np.array(table.result())
""",
    "text": """
from keras.layers import Dense, Embedding, GlobalAveragePooling1D
from keras.models import Sequential
from keras.preprocessing.sequence import pad_sequences
from keras.preprocessing.text import Tokenizer

texts = ["The cat sat", "the dog sat on the cat", "a dog", "cat and dog and bird"]
tokenizer = Tokenizer(num_words=8, oov_token="<unk>")
tokenizer.fit_on_texts(texts)
rows = pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=5, padding="post")
model = Sequential([Embedding(8, 3, input_length=5, mask_zero=True), GlobalAveragePooling1D(),
                    Dense(1, activation="sigmoid")])
model.build((None, 5))
fix(model)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
R["rows"] = rows
R["loss"] = model.fit(rows, np.array([0, 1, 1, 0]), epochs=3, shuffle=False,
                      verbose=0).history["loss"]
R["y"] = model.predict(rows, verbose=0)
""",
    "stateful": """
from keras.layers import GRU, Dense
from keras.models import Sequential

model = Sequential([GRU(2, stateful=True, batch_input_shape=(2, 3, 1)), Dense(1)])
fix(model)
parts = [values(2, 3, 1), values(2, 3, 1) + 0.3]
R["first"] = [model.predict(part, batch_size=2, verbose=0) for part in parts]
model.reset_states()
R["again"] = model.predict(parts[1], batch_size=2, verbose=0)
""",
    "nodes": """
from keras.layers import Dense, Input
from keras.models import Model

shared = Dense(3, activation="tanh", name="shared")
a, b = Input(shape=(4,)), Input(batch_shape=(2, 4))
first, second = shared(a), shared(b)
R["shapes"] = [shared.get_input_shape_at(1), shared.get_output_shape_at(1)]
R["count"] = len(shared._inbound_nodes)
model = Model(shared.get_input_at(0), shared.get_output_at(0))
fix(model)
R["y"] = model.predict(X[:2], verbose=0)
R["paths"] = len(model.get_weight_paths())
R["depth"] = sorted(model._nodes_by_depth)
""",
}

KERAS_3 = {
    "own_step": """
import keras
from keras import ops

class Block(keras.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.inner = keras.layers.Dense(units, activation="relu")
        self.outer = keras.layers.Dense(units)

    def call(self, x):
        return x + self.outer(self.inner(x))

model = keras.Sequential([keras.Input((4,)), Block(4), keras.layers.Dense(1)])
fix(model)
model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1), keras.losses.Huber(delta=0.5),
              metrics=[keras.metrics.MeanAbsoluteError(name="mae")])
history = model.fit(X, X[:, :1], epochs=3, batch_size=5, shuffle=False, verbose=0)
R["loss"], R["mae"] = history.history["loss"], history.history["mae"]
R["y"] = ops.convert_to_numpy(model(ops.convert_to_tensor(X[:2])))
""",
    "images": """
import keras

(x, y), _ = keras.datasets.mnist.load_data()
x = x[:64, ::2, ::2, None].astype("float32") / 255
model = keras.Sequential([
    keras.Input((14, 14, 1)), keras.layers.Conv2D(3, 3, activation="relu"),
    keras.layers.MaxPooling2D(), keras.layers.Flatten(),
    keras.layers.Dense(10, activation="softmax")])
fix(model)
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y[:64], epochs=3, batch_size=16, shuffle=False, verbose=0)
R["loss"], R["accuracy"] = history.history["loss"], history.history["accuracy"]
""",
    "saved": """
import keras

@keras.saving.register_keras_serializable(package="Ours")
def cube(x):
    return x**3

x = keras.Input((4,), name="x")
model = keras.Model(x, keras.layers.Dense(2, activation=cube)(x))
fix(model)
model.save("cube.keras")
again = keras.saving.load_model("cube.keras")
R["y"] = again.predict(X[:2], verbose=0)
R["same"] = float(np.abs(again.predict(X, verbose=0) - model.predict(X, verbose=0)).max())
copy = keras.models.clone_model(model)
R["copied"] = len(copy.get_weights())
""",
}

SCRIPTS = {
    f"keras_{era}-{name}": source
    for era, scripts in ((1, KERAS_1), (2, KERAS_2), (2, KERAS_2_MORE), (3, KERAS_3))
    for name, source in scripts.items()
} | {f"tensorflow-{name}": source for name, source in TENSORFLOW_MORE.items()}
