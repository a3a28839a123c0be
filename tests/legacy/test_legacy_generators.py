"""Training loops over generators and sequences, as in Keras 1 and 2."""

import itertools

import numpy as np
import pytest

import hornbeam as hb

R = np.random.RandomState(0)
X = R.randn(203, 5).astype("float32")
Y = R.randint(0, 3, 203)


def network():
    hb.utils.set_random_seed(3)
    model = hb.Sequential([hb.Input((5,)), hb.layers.Dense(8, activation="relu")])
    model.add(hb.layers.Dense(3, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_a_sequence_of_keras_2():
    class Old(hb.utils.Sequence):
        def __init__(self, x):
            self.x = x  # does not call the base class's constructor

        def __len__(self):
            return 3

        def __getitem__(self, index):
            return self.x[index * 4 : index * 4 + 4], Y[index * 4 : index * 4 + 4]

    model = network()
    model.fit(Old(X), epochs=1, verbose=0, workers=2, use_multiprocessing=False, max_queue_size=2)
    assert int(model.optimizer.iterations.value) == 3


def test_loops_over_generators_of_keras_1_and_2():
    model, plain = network(), network()

    def batches():
        for i in itertools.count():
            yield X[i % 10 * 8 : i % 10 * 8 + 8], Y[i % 10 * 8 : i % 10 * 8 + 8]

    history = model.fit_generator(
        batches(),
        samples_per_epoch=24,
        nb_epoch=2,
        verbose=0,
        validation_data=batches(),
        nb_val_samples=16,
        nb_worker=1,
    )
    expected = plain.fit(
        batches(),
        steps_per_epoch=3,
        epochs=2,
        verbose=0,
        validation_data=batches(),
        validation_steps=2,
    )
    assert history.history == expected.history
    assert model.evaluate_generator(batches(), 4) == plain.evaluate(batches(), steps=4, verbose=0)
    assert model.predict_generator((x for x, _ in batches()), steps=2, workers=1).shape == (16, 3)
    with pytest.raises(TypeError, match="unexpected argument 'stepz'. It takes 'generator'"):
        model.fit_generator(batches(), stepz=3)
