"""More scripts in the idioms of Keras 2 and TensorFlow 2; `era_scripts.py` says how they work."""

__all__ = ["KERAS_2_MORE"]

KERAS_2_MORE = {
    "autoencoder": """
from keras.layers import Dense, Input
from keras.models import Model
from keras import regularizers

encoding_dim = 2
input_img = Input(shape=(4,))
encoded = Dense(encoding_dim, activation="relu",
                activity_regularizer=regularizers.l1(1e-3))(input_img)
decoded = Dense(4, activation="sigmoid")(encoded)
autoencoder = Model(input_img, decoded)
encoder = Model(input_img, encoded)
encoded_input = Input(shape=(encoding_dim,))
decoder = Model(encoded_input, autoencoder.layers[-1](encoded_input))
fix(autoencoder)
autoencoder.compile(optimizer="adadelta", loss="binary_crossentropy")
data = np.abs(X)
R["loss"] = autoencoder.fit(data, data, epochs=2, batch_size=6, shuffle=False, verbose=0,
                            validation_data=(data[:4], data[:4])).history["val_loss"]
R["decoded"] = decoder.predict(encoder.predict(data[:3], verbose=0), verbose=0)
""",
    "vae_class": """
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

class Sampling(layers.Layer):
    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = tf.ones(shape=(tf.shape(z_mean)[0], tf.shape(z_mean)[1])) * 0.1
        return z_mean + tf.exp(0.5 * z_log_var) * epsilon

inputs = keras.Input(shape=(4,))
h = layers.Dense(3, activation="relu")(inputs)
z_mean = layers.Dense(2, name="z_mean")(h)
z_log_var = layers.Dense(2, name="z_log_var")(h)
encoder = keras.Model(inputs, [z_mean, z_log_var, Sampling()([z_mean, z_log_var])], name="encoder")
latent = keras.Input(shape=(2,))
decoder = keras.Model(latent, layers.Dense(4, activation="sigmoid")(latent), name="decoder")
fix(encoder)
fix(decoder)

class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        return [self.total_loss_tracker, self.kl_loss_tracker]

    def train_step(self, data):
        with tf.GradientTape() as tape:
            z_mean, z_log_var, z = self.encoder(data)
            reconstruction = self.decoder(z)
            reconstruction_loss = tf.reduce_mean(
                tf.reduce_sum(keras.losses.binary_crossentropy(data, reconstruction), axis=-1))
            kl_loss = -0.5 * (1 + z_log_var - tf.square(z_mean) - tf.exp(z_log_var))
            kl_loss = tf.reduce_mean(tf.reduce_sum(kl_loss, axis=1))
            total_loss = reconstruction_loss + kl_loss
        grads = tape.gradient(total_loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        self.total_loss_tracker.update_state(total_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return {"loss": self.total_loss_tracker.result(), "kl_loss": self.kl_loss_tracker.result()}

vae = VAE(encoder, decoder)
vae.compile(optimizer=keras.optimizers.Adam(0.01))
history = vae.fit(np.abs(X), epochs=3, batch_size=4, shuffle=False, verbose=0)
R["loss"], R["kl"] = history.history["loss"], history.history["kl_loss"]
R["z"] = encoder.predict(X[:2], verbose=0)[2]
""",
    "seq2seq": """
from keras.layers import LSTM, Dense, Input
from keras.models import Model

num_tokens, latent_dim = 4, 3
encoder_inputs = Input(shape=(None, num_tokens))
encoder = LSTM(latent_dim, return_state=True)
encoder_outputs, state_h, state_c = encoder(encoder_inputs)
encoder_states = [state_h, state_c]
decoder_inputs = Input(shape=(None, num_tokens))
decoder_lstm = LSTM(latent_dim, return_sequences=True, return_state=True)
decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=encoder_states)
decoder_dense = Dense(num_tokens, activation="softmax")
model = Model([encoder_inputs, decoder_inputs], decoder_dense(decoder_outputs))
fix(model)
model.compile(optimizer="rmsprop", loss="categorical_crossentropy")
source = np.eye(4, dtype="float32")[np.arange(18).reshape(3, 6) % 4]
target = np.eye(4, dtype="float32")[np.arange(15).reshape(3, 5) % 4]
R["loss"] = model.fit([source, target[:, :-1]], target[:, 1:], epochs=2, verbose=0,
                      shuffle=False).history["loss"]

encoder_model = Model(encoder_inputs, encoder_states)
state_inputs = [Input(shape=(latent_dim,)), Input(shape=(latent_dim,))]
outputs, h, c = decoder_lstm(decoder_inputs, initial_state=state_inputs)
decoder_model = Model([decoder_inputs] + state_inputs, [decoder_dense(outputs), h, c])
states = encoder_model.predict(source[:1], verbose=0)
R["states"] = states
token, found = np.zeros((1, 1, num_tokens)), []
token[0, 0, 1] = 1.0
for _ in range(4):
    output_tokens, h, c = decoder_model.predict([token] + states, verbose=0)
    best = np.argmax(output_tokens[0, -1, :])
    found.append(output_tokens[0, -1])
    token = np.zeros((1, 1, num_tokens))
    token[0, 0, best] = 1.0
    states = [h, c]
R["found"] = found
""",
    "gan_tape": """
import tensorflow as tf
from tensorflow.keras import layers

generator = tf.keras.Sequential([
    layers.Dense(4, use_bias=False, input_shape=(2,)), layers.BatchNormalization(),
    layers.LeakyReLU(), layers.Dense(4, activation="tanh")])
discriminator = tf.keras.Sequential([layers.Dense(3, input_shape=(4,)), layers.LeakyReLU(),
                                     layers.Dense(1)])
fix(generator)
generator.layers[1].set_weights([np.ones(4), np.zeros(4), np.zeros(4), np.ones(4)])
fix(discriminator)
cross_entropy = tf.keras.losses.BinaryCrossentropy(from_logits=True)

def discriminator_loss(real_output, fake_output):
    real_loss = cross_entropy(tf.ones_like(real_output), real_output)
    return real_loss + cross_entropy(tf.zeros_like(fake_output), fake_output)

generator_optimizer = tf.keras.optimizers.Adam(1e-2)
discriminator_optimizer = tf.keras.optimizers.Adam(1e-2)

@tf.function
def train_step(images, noise):
    with tf.GradientTape() as gen_tape, tf.GradientTape() as disc_tape:
        generated = generator(noise, training=True)
        real_output = discriminator(images, training=True)
        fake_output = discriminator(generated, training=True)
        gen_loss = cross_entropy(tf.ones_like(fake_output), fake_output)
        disc_loss = discriminator_loss(real_output, fake_output)
    gen_gradients = gen_tape.gradient(gen_loss, generator.trainable_variables)
    disc_gradients = disc_tape.gradient(disc_loss, discriminator.trainable_variables)
    generator_optimizer.apply_gradients(zip(gen_gradients, generator.trainable_variables))
    discriminator_optimizer.apply_gradients(
        zip(disc_gradients, discriminator.trainable_variables))
    return gen_loss, disc_loss

dataset = tf.data.Dataset.from_tensor_slices(X).batch(6)
losses = []
for epoch in range(2):
    for batch in dataset:
        losses.append([float(x) for x in train_step(batch, tf.constant(values(6, 2)))])
R["losses"] = losses
R["fake"] = generator(values(2, 2), training=False).numpy()
""",
    "gradient_penalty": """
import tensorflow as tf
from tensorflow import keras

critic = keras.Sequential([keras.layers.Dense(3, activation="tanh", input_shape=(4,)),
                           keras.layers.Dense(1)])
generator = keras.Sequential([keras.layers.Dense(4, input_shape=(2,))])
fix(critic)
fix(generator)

class WGAN(keras.Model):
    def __init__(self, critic, generator, gp_weight=10.0):
        super().__init__()
        self.critic, self.generator, self.gp_weight = critic, generator, gp_weight

    def compile(self, d_optimizer, g_optimizer):
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer

    def gradient_penalty(self, batch_size, real, fake):
        alpha = tf.fill([batch_size, 1], 0.3)
        interpolated = real + alpha * (fake - real)
        with tf.GradientTape() as gp_tape:
            gp_tape.watch(interpolated)
            pred = self.critic(interpolated, training=True)
        grads = gp_tape.gradient(pred, [interpolated])[0]
        norm = tf.sqrt(tf.reduce_sum(tf.square(grads), axis=[1]))
        return tf.reduce_mean((norm - 1.0) ** 2)

    def train_step(self, real):
        batch_size = tf.shape(real)[0]
        noise = tf.ones([batch_size, 2]) * real[:, :2]
        with tf.GradientTape() as tape:
            fake = self.generator(noise, training=True)
            d_cost = (tf.reduce_mean(self.critic(fake, training=True))
                      - tf.reduce_mean(self.critic(real, training=True)))
            gp = self.gradient_penalty(batch_size, real, fake)
            d_loss = d_cost + gp * self.gp_weight
        gradient = tape.gradient(d_loss, self.critic.trainable_variables)
        self.d_optimizer.apply_gradients(zip(gradient, self.critic.trainable_variables))
        with tf.GradientTape() as tape:
            g_loss = -tf.reduce_mean(self.critic(self.generator(noise, training=True)))
        gradient = tape.gradient(g_loss, self.generator.trainable_variables)
        self.g_optimizer.apply_gradients(zip(gradient, self.generator.trainable_variables))
        return {"d_loss": d_loss, "g_loss": g_loss}

wgan = WGAN(critic, generator)
wgan.compile(keras.optimizers.RMSprop(0.01), keras.optimizers.RMSprop(0.01))
history = wgan.fit(X, batch_size=12, epochs=3, verbose=0, shuffle=False)
R["d_loss"], R["g_loss"] = history.history["d_loss"], history.history["g_loss"]
""",
    "own_attention": """
from keras import backend as K
from keras import constraints, initializers, regularizers
from keras.layers import GRU, Dense, Embedding, Input, Layer
from keras.models import Model

class Attention(Layer):
    def __init__(self, W_regularizer=None, bias=True, **kwargs):
        self.supports_masking = True
        self.init = initializers.get("glorot_uniform")
        self.W_regularizer = regularizers.get(W_regularizer)
        self.bias = bias
        super(Attention, self).__init__(**kwargs)

    def build(self, input_shape):
        assert len(input_shape) == 3
        self.W = self.add_weight(shape=(input_shape[-1],), initializer=self.init, name="W",
                                 regularizer=self.W_regularizer)
        if self.bias:
            self.b = self.add_weight(shape=(input_shape[1],), initializer="zero", name="b")
        self.built = True

    def compute_mask(self, input, input_mask=None):
        return None

    def call(self, x, mask=None):
        eij = K.squeeze(K.dot(x, K.expand_dims(self.W)), axis=-1)
        if self.bias:
            eij = eij + self.b
        a = K.exp(K.tanh(eij))
        if mask is not None:
            a *= K.cast(mask, K.floatx())
        a /= K.cast(K.sum(a, axis=1, keepdims=True) + K.epsilon(), K.floatx())
        return K.sum(x * K.expand_dims(a), axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape[0], input_shape[-1]

words = np.array([[1, 2, 3, 0], [4, 5, 0, 0], [2, 2, 4, 1]])
x = Input(shape=(4,), dtype="int32")
h = Embedding(6, 3, mask_zero=True)(x)
h = GRU(2, return_sequences=True, reset_after=False)(h)
model = Model(x, Dense(1, activation="sigmoid")(Attention(regularizers.l2(0.01))(h)))
fix(model)
model.compile("adam", "binary_crossentropy")
R["loss"] = model.fit(words, np.array([0, 1, 1]), epochs=3, shuffle=False,
                      verbose=0).history["loss"]
R["y"] = model.predict(words, verbose=0)
""",
    "schedules": """
import tensorflow as tf
from tensorflow import keras

def train(rate, callbacks=(), epochs=3):
    model = keras.Sequential([keras.layers.Dense(2, input_shape=(4,))])
    fix(model)
    model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
    return model.fit(X, X[:, :2], epochs=epochs, batch_size=4, shuffle=False, verbose=0,
                     callbacks=list(callbacks)).history

schedules = keras.optimizers.schedules
R["exponential"] = train(schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True))["loss"]
R["piecewise"] = train(schedules.PiecewiseConstantDecay([3, 6], [0.1, 0.05, 0.01]))["loss"]
R["cosine"] = train(schedules.CosineDecay(0.1, 6, alpha=0.1))["loss"]

class Warmup(schedules.LearningRateSchedule):
    def __init__(self, d_model, warmup_steps=4):
        super().__init__()
        self.d_model = tf.cast(d_model, tf.float32)
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = tf.cast(step, dtype=tf.float32)
        arg1 = tf.math.rsqrt(step + 1.0)
        arg2 = (step + 1.0) * (self.warmup_steps**-1.5)
        return 0.2 * tf.math.rsqrt(self.d_model) * tf.math.minimum(arg1, arg2)

R["warmup"] = train(Warmup(4))["loss"]
plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=0.3)
R["plateau"] = train(0.1, [plateau], 5)["lr"]
""",
    "transfer": """
from keras.layers import (BatchNormalization, Conv2D, Dense, Dropout, GlobalAveragePooling2D, Input)
from keras.models import Model

x = Input(shape=(6, 6, 3))
h = BatchNormalization(name="bn")(Conv2D(4, 3, activation="relu", name="conv")(x))
base_model = Model(x, h, name="base")
fix(base_model)
base_model.get_layer("bn").set_weights([np.ones(4), np.zeros(4), np.zeros(4), np.ones(4) * 2])
base_model.trainable = False
inputs = Input(shape=(6, 6, 3))
h = GlobalAveragePooling2D()(base_model(inputs, training=False))
outputs = Dense(2, activation="softmax")(Dropout(0.0)(h))
model = Model(inputs, outputs)
model.layers[-1].set_weights([values(4, 2), np.zeros(2)])
images, labels = values(8, 6, 6, 3), np.arange(8) % 2
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
R["count"] = [len(model.trainable_weights), len(model.non_trainable_weights)]
R["frozen"] = model.fit(images, labels, epochs=2, batch_size=4, shuffle=False,
                        verbose=0).history["loss"]
base_model.trainable = True
for layer in base_model.layers[:-1]:
    layer.trainable = False
model.compile("sgd", "sparse_categorical_crossentropy")
R["tuned"] = model.fit(images, labels, epochs=2, batch_size=4, shuffle=False,
                       verbose=0).history["loss"]
R["unchanged"] = float(np.abs(base_model.get_layer("conv").get_weights()[0]
                              - values(3, 3, 3, 4)).max())
R["gamma"] = base_model.get_layer("bn").get_weights()
""",
    "vectorization": """
import tensorflow as tf
from tensorflow.keras import layers

texts = tf.constant(["the cat sat", "the dog sat on the cat", "a dog barks", "cats and dogs"])
labels = tf.constant([0, 1, 1, 0])
vectorize_layer = layers.TextVectorization(max_tokens=8, output_mode="int",
                                           output_sequence_length=5)
vectorize_layer.adapt(tf.data.Dataset.from_tensor_slices(texts).batch(2))
dataset = tf.data.Dataset.from_tensor_slices((texts, labels)).batch(2)
dataset = dataset.map(lambda text, label: (vectorize_layer(text), label))
model = tf.keras.Sequential([
    layers.Embedding(8, 3), layers.Bidirectional(layers.LSTM(2)),
    layers.Dense(1)])
model.build((None, 5))
fix(model)
model.compile(loss=tf.keras.losses.BinaryCrossentropy(from_logits=True), optimizer="adam",
              metrics=[tf.keras.metrics.BinaryAccuracy(threshold=0.0)])
history = model.fit(dataset.cache().prefetch(tf.data.AUTOTUNE), epochs=2, verbose=0)
R["loss"], R["accuracy"] = history.history["loss"], history.history["binary_accuracy"]
R["rows"] = vectorize_layer(["the dog and the cat"]).numpy()
R["size"] = len(vectorize_layer.get_vocabulary())
""",
    "time_series": """
import tensorflow as tf
from tensorflow import keras

series = np.sin(np.arange(30) * 0.4).astype("float32")
raw = np.stack([series, np.cos(series)], axis=1)
dataset = keras.preprocessing.timeseries_dataset_from_array(
    raw[:-3], series[7:], sequence_length=4, sampling_rate=2, batch_size=5, shuffle=False)
for inputs, targets in dataset.take(1):
    R["inputs"], R["targets"] = inputs.numpy(), targets.numpy()
inputs = keras.layers.Input(shape=(inputs.shape[1], inputs.shape[2]))
outputs = keras.layers.Dense(1)(keras.layers.LSTM(3)(inputs))
model = keras.Model(inputs=inputs, outputs=outputs)
fix(model)
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.01), loss="mse")
R["loss"] = model.fit(dataset, epochs=2, validation_data=dataset, verbose=0).history["val_loss"]
""",
    "image_flow": """
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.preprocessing.image import ImageDataGenerator

images = np.abs(values(8, 6, 6, 3)) * 255
labels = np.eye(2)[np.arange(8) % 2]
datagen = ImageDataGenerator(rescale=1.0 / 255, featurewise_center=True, validation_split=0.25)
datagen.fit(images)
train = datagen.flow(images, labels, batch_size=3, shuffle=False, subset="training")
valid = datagen.flow(images, labels, batch_size=2, shuffle=False, subset="validation")
R["count"] = [len(train), len(valid), train.n]
R["mean"] = datagen.mean
model = Sequential([Conv2D(2, (3, 3), activation="relu", input_shape=(6, 6, 3)),
                    MaxPooling2D((2, 2)), Flatten(), Dense(2, activation="softmax")])
fix(model)
model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
history = model.fit(train, steps_per_epoch=len(train), epochs=2, validation_data=valid,
                    verbose=0, shuffle=False)
R["loss"], R["val_loss"] = history.history["loss"], history.history["val_loss"]
valid.reset()
R["y"] = model.predict(valid, verbose=0)
""",
    "functions_of_k": """
from keras import backend as K

a, b = K.constant(values(2, 3, 4)), K.variable(values(2, 4, 2))
R["batch_dot"] = K.eval(K.batch_dot(a, b, axes=[2, 1]))
R["softmax"] = K.eval(K.softmax(a, axis=1))
R["one_hot"] = K.eval(K.one_hot(K.constant([[0, 2]], dtype="int32"), 3))
R["gather"] = K.eval(K.gather(b, K.constant([1, 0], dtype="int32")))
R["permute"] = K.eval(K.permute_dimensions(a, (2, 0, 1)))
R["l2"] = K.eval(K.l2_normalize(a, axis=-1))
R["switch"] = K.eval(K.switch(a > 0, a, a * 0.5))
R["sums"] = K.eval(K.log(K.sum(K.exp(a), axis=2, keepdims=True)))
R["shape"] = [K.int_shape(a), K.ndim(b), K.count_params(b)]
R["rnn"] = K.eval(K.rnn(lambda x, s: (x + s[0], [x + s[0]]), a, [K.zeros((2, 4))])[1])
R["pool"] = K.eval(K.pool2d(K.reshape(a, (1, 4, 6, 1)), (2, 2), strides=(2, 2)))
R["conv"] = K.eval(K.conv1d(a, K.constant(values(2, 4, 1)), padding="causal"))
R["crossentropy"] = K.eval(K.binary_crossentropy(K.round(K.sigmoid(a)), K.sigmoid(a)))
R["foldl"] = K.eval(K.foldl(lambda acc, x: acc * 0.5 + x, a))
R["in_top_k"] = K.eval(K.cast(K.in_top_k(a[0], K.constant([0, 1, 2], dtype="int32"), 2), "int32"))
R["ctc"] = K.get_value(K.update_add(b, K.ones_like(b)))
""",
}
