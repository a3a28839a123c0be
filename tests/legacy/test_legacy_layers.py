"""Constructors of Keras 1 and 2: names, order and values of arguments, and `Merge`."""

import keras
import numpy as np
import pytest
from compare import plain

import hornbeam as hb

# (old form in scripts of Keras 1 and 2, its meaning)
OLD = {
    "dense": (
        lambda L: L.Dense(output_dim=3, init="he_normal", W_regularizer="l2", bias=False,
            input_dim=4),
        lambda L: L.Dense(3, kernel_initializer="he_normal", kernel_regularizer="l2",
            use_bias=False, input_shape=(4,)),
    ),
    "batch_input_shape": (lambda L: L.Dense(2, batch_input_shape=(8, 4)),
        lambda L: L.Dense(2, input_shape=(4,))),
    "conv1d": (
        lambda L: L.Conv1D(nb_filter=3, filter_length=2, border_mode="same", subsample_length=2),
        lambda L: L.Conv1D(3, 2, padding="same", strides=2),
    ),
    "conv2d": (
        lambda L: L.Convolution2D(3, 2, border_mode="same", subsample=(2, 2), dim_ordering="th"),
        lambda L: L.Conv2D(3, 2, padding="same", strides=(2, 2), data_format="channels_first"),
    ),
    "pooling": (
        lambda L: L.MaxPooling1D(pool_length=3, stride=2, border_mode="same"),
        lambda L: L.MaxPooling1D(3, strides=2, padding="same"),
    ),
    "dropout": (lambda L: L.Dropout(p=0.3), lambda L: L.Dropout(0.3)),
    "embedding": (
        lambda L: L.Embedding(5, 3, init="normal", W_regularizer="l1", input_length=7),
        lambda L: L.Embedding(5, 3, "normal", embeddings_regularizer="l1"),
    ),
    "leaky_relu": (lambda L: L.LeakyReLU(alpha=0.1), lambda L: L.LeakyReLU(negative_slope=0.1)),
    "elu": (lambda L: L.ELU(alpha=0.1), lambda L: L.ELU(0.1)),
    "deconvolution": (
        lambda L: L.Deconvolution2D(nb_filter=3, kernel_size=2, subsample=(2, 2),
            border_mode="same"),
        lambda L: L.Conv2DTranspose(3, 2, strides=(2, 2), padding="same"),
    ),
    "up_sampling": (lambda L: L.UpSampling1D(length=3), lambda L: L.UpSampling1D(3)),
    "prelu": (lambda L: L.PReLU(init="ones"), lambda L: L.PReLU("ones")),
    # Keras 1's order of arguments.
    "rows_and_columns": (lambda L: L.Convolution2D(4, 3, 5), lambda L: L.Conv2D(4, (3, 5))),
    "rows_and_columns_beside_an_old_word": (
        lambda L: L.Conv2D(4, 3, 5, border_mode="same"),
        lambda L: L.Conv2D(4, (3, 5), padding="same")),
    "rows_and_columns_by_name": (
        lambda L: L.Convolution2D(nb_filter=4, nb_row=3, nb_col=5), lambda L: L.Conv2D(4, (3, 5))),
    "window_and_strides": (lambda L: L.Convolution2D(4, (3, 5), 2),
        lambda L: L.Conv2D(4, (3, 5), strides=2)),
    "conv1d_order": (
        lambda L: L.Convolution1D(4, 3, "he_normal", "relu", None, "same", 2),
        lambda L: L.Conv1D(4, 3, kernel_initializer="he_normal", activation="relu", padding="same",
            strides=2)),
    "conv2d_order": (
        lambda L: L.Convolution2D(4, 3, 3, "uniform", "relu", None, "same", (2, 2),
            dim_ordering="tf"),
        lambda L: L.Conv2D(4, 3, kernel_initializer="uniform", activation="relu", padding="same",
            strides=2)),
    "conv3d_order": (lambda L: L.Convolution3D(4, 3, 3, 2, "one"),
        lambda L: L.Conv3D(4, (3, 3, 2), kernel_initializer="ones")),
    "atrous1d": (lambda L: L.AtrousConvolution1D(4, 3, atrous_rate=2),
        lambda L: L.Conv1D(4, 3, dilation_rate=2)),
    "atrous2d": (lambda L: L.AtrousConvolution2D(4, 3, 3, atrous_rate=(2, 2)),
        lambda L: L.Conv2D(4, 3, dilation_rate=2)),
    "separable1d": (lambda L: L.SeparableConvolution1D(4, 3, subsample=2),
        lambda L: L.SeparableConv1D(4, 3, strides=2)),
    "separable2d": (
        lambda L: L.SeparableConvolution2D(4, 3, 3, depth_multiplier=2),
        lambda L: L.SeparableConv2D(4, 3, depth_multiplier=2)),
    "output_shape": (
        lambda L: L.Deconvolution2D(4, 3, 3, (None, 14, 15, 4), subsample=(2, 2)),
        lambda L: L.Conv2DTranspose(4, 3, 2, output_padding=(1, 0))),
    "output_shape_by_name": (
        lambda L: L.Deconvolution3D(4, 3, 3, 3, output_shape=(None, 4, 5, 5, 5)),
        lambda L: L.Conv3DTranspose(4, 3)),
    "locally_connected": (lambda L: L.LocallyConnected2D(4, 3, 5, border_mode="valid"),
        lambda L: L.LocallyConnected2D(4, (3, 5))),
    "conv_lstm_order": (
        lambda L: L.ConvLSTM2D(4, 3, 3, "one", "zero", "zero", "relu", border_mode="same"),
        lambda L: L.ConvLSTM2D(4, 3, kernel_initializer="ones", recurrent_initializer="zeros",
            unit_forget_bias=False,
            activation="relu", padding="same")),
    "dense_order": (
        lambda L: L.Dense(3, "uniform", "relu", None, "l2"),
        lambda L: L.Dense(3, "relu", kernel_initializer="uniform", kernel_regularizer="l2")),
    "lstm_order": (
        lambda L: L.LSTM(3, "uniform", "one", "zero", "relu", "tanh"),
        lambda L: L.LSTM(3, "relu", "tanh", kernel_initializer="uniform",
            recurrent_initializer="ones", unit_forget_bias=False)),
    "gru_order": (
        lambda L: L.GRU(3, "uniform", "one", "relu", "tanh"),
        lambda L: L.GRU(3, "relu", "tanh", kernel_initializer="uniform",
            recurrent_initializer="ones")),
    "simple_rnn_order": (
        lambda L: L.SimpleRNN(3, "uniform", "one", "relu", None, None, None, 0.1, 0.2),
        lambda L: L.SimpleRNN(3, "relu", kernel_initializer="uniform", recurrent_initializer="ones",
            dropout=0.1,
            recurrent_dropout=0.2)),
    "embedding_order": (lambda L: L.Embedding(5, 3, "one", 7), lambda L: L.Embedding(5, 3, "ones")),
    "batch_normalization_order": (lambda L: L.BatchNormalization(1e-5, 0, 1),
        lambda L: L.BatchNormalization(1, epsilon=1e-5)),
    "batch_normalization_axis": (lambda L: L.BatchNormalization(1),
        lambda L: L.BatchNormalization(axis=1)),
    "zero_padding_sides": (lambda L: L.ZeroPadding2D((1, 2, 3, 4)),
        lambda L: L.ZeroPadding2D(((1, 2), (3, 4)))),
}  # fmt: skip


@pytest.mark.parametrize("name", OLD)
def test_older_words(name):
    configs = [{**make(hb.layers).get_config(), "name": None} for make in OLD[name]]
    assert configs[0] == configs[1]


def test_old_names_of_convolutions():
    L = hb.layers
    assert isinstance(L.Conv2D(1, 1), L.Convolution2D)
    assert not isinstance(L.Conv1D(1, 1), L.Convolution2D)

    class Mine(L.Convolution2D):
        pass

    mine = Mine(4, 3, 5)
    assert mine.kernel_size == (3, 5)
    assert isinstance(mine, Mine)
    assert not isinstance(L.Conv2D(1, 1), Mine)
    assert hb.layers.serialize(L.Convolution2D(4, 3, 5, name="c"))["class_name"] == "Conv2D"


def test_what_keras_1_had_and_is_left_out():
    L = hb.layers
    with pytest.warns(UserWarning, match="mode=2.*training=True"):
        L.BatchNormalization(mode=2)
    with pytest.raises(ValueError, match="mode=1.*LayerNormalization"):
        L.BatchNormalization(mode=1)
    with pytest.warns(UserWarning, match="dropout=0.2.*SpatialDropout1D"):
        L.Embedding(5, 3, dropout=0.2)
    with pytest.raises(TypeError, match="at most 7.*by name"):
        L.Convolution2D(4, 3, 3, "uniform", "relu", None, "same", (2, 2), "tf")


MERGES = {
    "sum": ({}, lambda L: L.Add()),
    "mul": ({}, lambda L: L.Multiply()),
    "ave": ({}, lambda L: L.Average()),
    "max": ({}, lambda L: L.Maximum()),
    "concat": ({"concat_axis": 1}, lambda L: L.Concatenate(axis=1)),
    "dot": ({"dot_axes": [[2], [2]]}, lambda L: L.Dot((2, 2))),
    "cos": ({"dot_axes": 1}, lambda L: L.Dot(1, normalize=True)),
}


@pytest.mark.parametrize("mode", MERGES)
def test_merges_of_keras_1(mode):
    options, make = MERGES[mode]
    x = [np.random.RandomState(seed).randn(2, 3, 4).astype("float32") for seed in (0, 1)]
    expected = make(keras.layers)(x)
    np.testing.assert_allclose(
        hb.layers.merge(x, mode=mode, **options), expected, rtol=1e-5, atol=1e-6
    )
    layer = hb.layers.Merge(mode=mode, **options, name="m")
    assert plain(hb.layers.serialize(layer)) == plain(
        hb.layers.serialize(make(hb.layers)) | {"config": layer.get_config()}
    )
    branches = [hb.Sequential([hb.layers.Dense(4, input_shape=(3, 4))]) for _ in x]
    model = hb.Sequential([hb.layers.Merge(branches, mode=mode, **options)])
    results = [branch.predict(one, verbose=0) for branch, one in zip(branches, x, strict=True)]
    np.testing.assert_allclose(
        model.predict(x, verbose=0), make(keras.layers)(results), rtol=1e-5, atol=1e-5
    )


def test_a_stack_on_branches(tmp_path):
    L = hb.layers
    left, right = hb.Sequential([L.Dense(2, input_dim=3)]), hb.Sequential([L.Dense(2, input_dim=4)])
    inner = hb.Sequential([L.Merge([left, right], mode=lambda both: both[0] - both[1]), L.Dense(2)])
    third = L.Dense(2, input_dim=5)
    model = hb.Sequential()
    model.add(L.Merge([inner, third, third], mode="concat"))
    model.add(L.Dense(1))
    assert [x.shape for x in model.inputs] == [(None, 3), (None, 4), (None, 5), (None, 5)]
    model.compile("sgd", "mse")
    x = [np.ones((8, n), "float32") for n in (3, 4, 5, 5)]
    before = model.get_weights()
    model.fit(x, np.zeros((8, 1)), epochs=1, verbose=0)
    assert len(before) == 10
    assert all((new != old).any() for new, old in zip(model.get_weights(), before, strict=True))
    shared = hb.Sequential([L.Merge([left, left], mode="sum")])
    np.testing.assert_allclose(
        shared.predict(x[0], verbose=0), 2 * left.predict(x[0], verbose=0), rtol=1e-6
    )
    plain_stack = hb.Sequential([L.Merge([left, right], mode="concat"), L.Dense(1)])
    plain_stack.save(str(tmp_path / "model.keras"))
    again = hb.models.load_model(str(tmp_path / "model.keras"))
    np.testing.assert_array_equal(
        again.predict(x[:2], verbose=0), plain_stack.predict(x[:2], verbose=0)
    )
    with pytest.raises(ValueError, match="mode.*'plus'"):
        L.merge(x[:2], mode="plus")
    with pytest.raises(ValueError, match="'d'.*input_shape"):
        L.Merge([L.Dense(1, name="d"), left])
    with pytest.raises(ValueError, match="layers.*3"):
        L.Merge([left, 3])


OLD_RECURRENT = [
    ("LSTM", {"output_dim": 3, "inner_activation": "hard_sigmoid", "init": "ones",
        "inner_init": "zeros",
        "dropout_W": 0.1, "dropout_U": 0.2, "forget_bias_init": "one", "input_dim": 4,
        "input_length": 6},
        {"units": 3, "recurrent_activation": "hard_sigmoid", "kernel_initializer": "ones",
            "recurrent_initializer": "zeros", "dropout": 0.1, "recurrent_dropout": 0.2}),
    ("GRU", {"units": 3, "implementation": 1, "time_major": False, "input_shape": (6, 4)},
        {"units": 3}),
    ("SimpleRNN", {"output_dim": 3, "W_regularizer": "l2", "consume_less": "gpu"},
        {"units": 3, "kernel_regularizer": "l2"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new"), OLD_RECURRENT, ids=[row[0] for row in OLD_RECURRENT]
)
def test_old_arguments_of_recurrent_layers(name, old, new):
    assert (
        getattr(hb.layers, name)(**old, name="x").get_config()
        == getattr(hb.layers, name)(**new, name="x").get_config()
    )
