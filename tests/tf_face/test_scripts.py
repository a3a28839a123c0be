"""Scripts in the idiom of public tutorials: pipelines of `tf.data` that feed a model."""

import runpy
import textwrap

import numpy as np
import pytest

from hornbeam.keras import install_as_keras, uninstall_as_keras
from hornbeam.utils import save_img


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a script in a folder, with the stand-ins, in this process."""
    monkeypatch.chdir(tmp_path)
    install_as_keras(force=True)

    def run_script(source):
        (tmp_path / "script.py").write_text(textwrap.dedent(source))
        return runpy.run_path(str(tmp_path / "script.py"), run_name="__main__")

    yield run_script
    uninstall_as_keras()


def folder_of_images(root):
    for number in range(12):
        label = ("cats", "dogs")[number % 2]
        (root / "images" / label).mkdir(parents=True, exist_ok=True)
        pixels = np.full((9 + number, 12, 3), 200 * (number % 2) + number)
        save_img(root / "images" / label / f"{number}.png", pixels, scale=False)


def test_images_of_folders_with_augmentation(run, tmp_path):
    folder_of_images(tmp_path)
    script = run("""
        import os, pathlib
        import numpy as np
        import tensorflow as tf
        from tensorflow.keras import layers

        AUTOTUNE = tf.data.AUTOTUNE
        data_dir = pathlib.Path("images")
        list_ds = tf.data.Dataset.list_files(str(data_dir / "*/*.png"), shuffle=False)
        image_count = len(list_ds)
        list_ds = list_ds.shuffle(image_count, reshuffle_each_iteration=False)
        class_names = np.array(sorted(item.name for item in data_dir.glob("*")))
        val_size = int(image_count * 0.25)
        train_ds, val_ds = list_ds.skip(val_size), list_ds.take(val_size)
        assert tf.data.experimental.cardinality(train_ds).numpy() == 9

        def get_label(file_path):
            parts = tf.strings.split(file_path, os.path.sep)
            one_hot = parts[-2] == class_names
            return tf.argmax(one_hot)

        def process_path(file_path):
            img = tf.io.read_file(file_path)
            img = tf.io.decode_jpeg(img, channels=3)
            return tf.image.resize(img, [8, 8]), get_label(file_path)

        def augment(image, label):
            image = tf.image.random_flip_left_right(image)
            image = tf.image.random_brightness(image, max_delta=10.0)
            image = tf.image.random_crop(tf.image.resize_with_crop_or_pad(image, 10, 10), [8, 8, 3])
            return image / 255.0, label

        train_ds = train_ds.map(process_path, num_parallel_calls=AUTOTUNE).cache()
        val_ds = val_ds.map(process_path, num_parallel_calls=AUTOTUNE)
        for image, label in train_ds.take(1):
            assert image.numpy().shape == (8, 8, 3), image.shape
            assert label.numpy() in (0, 1)
        train_ds = train_ds.map(augment).shuffle(9).batch(4).prefetch(AUTOTUNE)
        val_ds = val_ds.map(lambda x, y: (x / 255.0, y)).batch(4)
        image_batch, label_batch = next(iter(train_ds))
        assert label_batch.numpy().shape == (4,)

        model = tf.keras.Sequential([
            layers.Flatten(input_shape=(8, 8, 3)), layers.Dense(2),
        ])
        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"])
        history = model.fit(train_ds, validation_data=val_ds, epochs=1, verbose=0)
    """)
    assert np.isfinite(script["history"].history["val_loss"]).all()


def test_the_functions_of_keras_return_data_sets_of_tensors(run, tmp_path):
    folder_of_images(tmp_path)
    run("""
        import tensorflow as tf
        train_ds = tf.keras.utils.image_dataset_from_directory(
            "images", validation_split=0.25, subset="training", seed=1, image_size=(6, 6),
            batch_size=4)
        assert train_ds.class_names == ["cats", "dogs"]
        for images, labels in train_ds.take(1):
            pixels = images[0].numpy().astype("uint8")
            assert pixels.shape == (6, 6, 3) and int(labels[0]) in (0, 1)
        scale = tf.keras.layers.Rescaling(1 / 255)
        normalized = train_ds.map(lambda x, y: (scale(x), y)).cache().prefetch(tf.data.AUTOTUNE)
        images, labels = next(iter(normalized))
        assert images.numpy().max() <= 1
        assert isinstance(normalized, tf.data.Dataset)
        images, labels = tuple(zip(*train_ds.unbatch().batch(99)))
        assert images[0].shape == (9, 6, 6, 3)
        assert train_ds.element_spec[0].shape.as_list() == [None, 6, 6, 3]
        windows = tf.keras.preprocessing.timeseries_dataset_from_array(
            [1.0, 2, 3, 4], None, sequence_length=2)
        assert next(iter(windows)).numpy().tolist() == [[1, 2], [2, 3], [3, 4]]
    """)


def test_texts_through_a_text_vectorization(run, tmp_path):
    for number in range(8):
        label = ("neg", "pos")[number % 2]
        (tmp_path / "train" / label).mkdir(parents=True, exist_ok=True)
        text = f"A {'good' if number % 2 else 'bad'} film!<br />Number {number}."
        (tmp_path / "train" / label / f"{number}.txt").write_text(text)
    script = run(r"""
        import re, string
        import tensorflow as tf
        from tensorflow.keras import layers
        from tensorflow.keras.layers import TextVectorization

        raw_train_ds = tf.keras.utils.text_dataset_from_directory("train", batch_size=4, seed=3)
        for text_batch, label_batch in raw_train_ds.take(1):
            assert text_batch.numpy()[0].startswith(b"A ")
            label = raw_train_ds.class_names[label_batch.numpy()[0]]

        def custom_standardization(input_data):
            lowercase = tf.strings.lower(input_data)
            stripped_html = tf.strings.regex_replace(lowercase, "<br />", " ")
            return tf.strings.regex_replace(
                stripped_html, "[%s]" % re.escape(string.punctuation), "")

        vectorize_layer = TextVectorization(
            standardize=custom_standardization, max_tokens=20, output_mode="int",
            output_sequence_length=5)
        vectorize_layer.adapt(raw_train_ds.map(lambda text, label: text))
        assert "film" in vectorize_layer.get_vocabulary()

        def vectorize_text(text, label):
            text = tf.expand_dims(text, -1)
            return vectorize_layer(text), label

        train_ds = raw_train_ds.map(vectorize_text).cache().prefetch(buffer_size=tf.data.AUTOTUNE)
        model = tf.keras.Sequential([
            layers.Embedding(20, 4), layers.GlobalAveragePooling1D(), layers.Dense(1),
        ])
        model.compile(
            loss=tf.keras.losses.BinaryCrossentropy(from_logits=True), optimizer="adam",
            metrics=[tf.metrics.BinaryAccuracy(threshold=0.0)])
        history = model.fit(train_ds, epochs=1, verbose=0)
    """)
    assert np.isfinite(script["history"].history["loss"]).all()


def test_rows_of_a_csv_file(run, tmp_path):
    rows = "".join(f"{n},{'ab'[n % 2]},{n * 0.5},{n % 2}\n" for n in range(12))
    (tmp_path / "titanic.csv").write_text("age,sex,fare,survived\n" + rows)
    script = run("""
        import numpy as np, pandas as pd
        import tensorflow as tf
        from tensorflow.keras import layers

        batches = tf.data.experimental.make_csv_dataset(
            "titanic.csv", batch_size=4, label_name="survived", num_epochs=1, ignore_errors=False)
        for batch, label in batches.take(1):
            assert list(batch) == ["age", "sex", "fare"]
            assert batch["sex"].numpy()[0] in (b"a", b"b")

        titanic = pd.read_csv("titanic.csv")
        labels = titanic.pop("survived")
        inputs = {}
        for name, column in titanic.items():
            dtype = tf.string if name == "sex" else tf.float32
            inputs[name] = tf.keras.Input(shape=(1,), name=name, dtype=dtype)
        numeric = layers.Concatenate()([inputs["age"], inputs["fare"]])
        norm = layers.Normalization()
        norm.adapt(np.array(titanic[["age", "fare"]]))
        lookup = layers.StringLookup(vocabulary=np.unique(titanic["sex"]))
        one_hot = layers.CategoryEncoding(lookup.vocabulary_size(), output_mode="one_hot")
        encoded = one_hot(lookup(inputs["sex"]))
        preprocessing = tf.keras.Model(inputs, layers.Concatenate()([norm(numeric), encoded]))
        features = {name: np.array(value)[:, None] for name, value in titanic.items()}
        ds = tf.data.Dataset.from_tensor_slices((dict(features), labels)).batch(4)
        ds = ds.map(lambda x, y: (preprocessing(x), y))
        model = tf.keras.Sequential([layers.Dense(1, activation="sigmoid")])
        model.compile("adam", "binary_crossentropy")
        history = model.fit(ds, epochs=1, verbose=0)
    """)
    assert np.isfinite(script["history"].history["loss"]).all()


def test_records_that_are_written_and_read(run, tmp_path):
    script = run("""
        import numpy as np
        import tensorflow as tf

        def _bytes_feature(value):
            if isinstance(value, type(tf.constant(0))):
                value = value.numpy()
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

        def _int64_feature(value):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

        images = np.random.RandomState(0).randint(0, 255, (8, 5, 4, 1)).astype("uint8")
        with tf.io.TFRecordWriter("train.tfrecords", tf.io.TFRecordOptions("GZIP")) as writer:
            for number, image in enumerate(images):
                feature = {
                    "image": _bytes_feature(tf.io.encode_png(image).numpy()),
                    "label": _int64_feature(number % 2),
                    "values": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0, 2.0])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(example.SerializeToString())

        description = {
            "image": tf.io.FixedLenFeature([], tf.string),
            "label": tf.io.FixedLenFeature([], tf.int64, default_value=0),
            "values": tf.io.VarLenFeature(tf.float32),
        }

        def parse(record):
            example = tf.io.parse_single_example(record, description)
            image = tf.io.decode_png(example["image"], channels=1)
            image = tf.image.convert_image_dtype(image, tf.float32)
            assert tf.sparse.to_dense(example["values"]).shape == [2]
            return image, example["label"]

        files = tf.data.Dataset.list_files("*.tfrecords")
        raw = files.interleave(
            lambda name: tf.data.TFRecordDataset(name, compression_type="GZIP"), cycle_length=2)
        dataset = raw.map(parse, num_parallel_calls=2).shuffle(8, seed=1)
        count = dataset.reduce(0, lambda total, _: total + 1)
        assert int(count) == 8
        model = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(2)])
        model.compile("sgd", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        history = model.fit(dataset.batch(4, drop_remainder=True).repeat(), epochs=1,
                            steps_per_epoch=3, verbose=0)
        found = sorted(image.numpy().tobytes() for image, _ in dataset)
    """)
    expected = sorted((i / np.float32(255)).astype("float32").tobytes() for i in script["images"])
    assert all(
        np.allclose(np.frombuffer(a, "float32"), np.frombuffer(b, "float32"))
        for a, b in zip(script["found"], expected, strict=True)
    )
    assert np.isfinite(script["history"].history["loss"]).all()


def test_sounds(run, tmp_path):
    script = run("""
        import os
        import numpy as np
        import tensorflow as tf

        for number in range(6):
            os.makedirs(f"sounds/{'ab'[number % 2]}", exist_ok=True)
            wave = np.sin(np.arange(700 + 10 * number) * (0.1 + number % 2))[:, None]
            tf.io.write_file(f"sounds/{'ab'[number % 2]}/{number}.wav",
                             tf.audio.encode_wav(wave.astype("float32"), 16000))
        filenames = tf.io.gfile.glob("sounds/*/*.wav")
        labels = np.array(tf.io.gfile.listdir("sounds"))

        def decode(path):
            audio, rate = tf.audio.decode_wav(tf.io.read_file(path), desired_channels=1,
                                              desired_samples=800)
            assert rate == 16000
            label = tf.strings.split(path, "/")[-2]
            return tf.squeeze(audio, axis=-1), tf.argmax(label == labels)

        files = tf.data.Dataset.from_tensor_slices(filenames)
        waves = files.map(decode, num_parallel_calls=tf.data.AUTOTUNE).batch(3)
        model = tf.keras.Sequential([tf.keras.layers.Dense(2)])
        model.compile("sgd", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        history = model.fit(waves, epochs=1, verbose=0)
    """)
    assert np.isfinite(script["history"].history["loss"]).all()


def test_windows_of_a_series(run, tmp_path):
    script = run("""
        import numpy as np
        import tensorflow as tf

        series = np.sin(np.arange(40) * 0.3)

        def windowed_dataset(series, window_size, batch_size, shuffle_buffer):
            dataset = tf.data.Dataset.from_tensor_slices(series)
            dataset = dataset.window(window_size + 1, shift=1, drop_remainder=True)
            dataset = dataset.flat_map(lambda window: window.batch(window_size + 1))
            dataset = dataset.shuffle(shuffle_buffer)
            dataset = dataset.map(lambda window: (window[:-1], window[-1]))
            return dataset.batch(batch_size).prefetch(1)

        dataset = windowed_dataset(series, 5, 8, 100)
        x, y = next(iter(dataset))
        assert x.numpy().shape == (8, 5) and y.numpy().shape == (8,)
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=[5])])
        model.compile(loss="mse", optimizer="sgd")
        history = model.fit(dataset, epochs=2, verbose=0)
        forecast = model.predict(
            tf.data.Dataset.from_tensor_slices(series).window(5, shift=1, drop_remainder=True)
            .flat_map(lambda w: w.batch(5)).batch(32).prefetch(1), verbose=0)
    """)
    assert script["forecast"].shape == (36, 1)
    assert np.isfinite(script["history"].history["loss"]).all()


def test_pairs_of_images_and_captions(run, tmp_path):
    script = run(r"""
        import numpy as np
        import tensorflow as tf
        from tensorflow.keras import layers

        captions = [["<start> a dog <end>", "<start> the dog <end>"], ["<start> a cat <end>"] * 2]
        image_ids = np.arange(2)
        rng = np.random.RandomState(0)
        pixels = rng.rand(2, 4, 4, 3).astype("float32")
        vectorization = layers.TextVectorization(
            max_tokens=12, output_sequence_length=6, standardize=lambda s: tf.strings.lower(s))
        vectorization.adapt([c for row in captions for c in row])

        def process(image, caption):
            return image, vectorization(caption)

        dataset = tf.data.Dataset.zip((
            tf.data.Dataset.from_tensor_slices(pixels),
            tf.data.Dataset.from_tensor_slices(captions).map(vectorization),
        ))
        dataset = dataset.map(lambda image, tokens: ((image, tokens[:, :-1]), tokens[:, 1:]))
        flat = dataset.flat_map(lambda x, y: tf.data.Dataset.from_tensor_slices(
            ((tf.repeat(x[0][tf.newaxis], 2, axis=0), x[1]), y)))
        assert len(list(flat)) == 4
        image = layers.Input((4, 4, 3))
        tokens = layers.Input((5,), dtype="int64")
        features = layers.Reshape((1, 4))(layers.Dense(4)(layers.Flatten()(image)))
        x = layers.Add()([layers.Embedding(12, 4)(tokens), features])
        model = tf.keras.Model([image, tokens], layers.Dense(12)(x))
        model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        history = model.fit(flat.batch(2), epochs=1, verbose=0)
    """)
    assert np.isfinite(script["history"].history["loss"]).all()
