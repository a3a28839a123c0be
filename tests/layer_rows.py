"""One row a layer: how to make it with either library, and what to feed it.

A recipe takes `L`, which finds a layer class by name, so the same line makes Hornbeam's and
Keras's. To add a layer, add a row: every sweep of test_layers.py then runs over it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Row:
    """A layer to compare.

    Args:
        make: Recipe, `L -> layer`.
        shape: Shape of the input with its batch axis, or a list of shapes.
        integers: If set, inputs are integers below it.
        why_loose: Why tolerance is ten times wider than 1e-5, if it is.
    """

    make: Any
    shape: Any
    integers: int = 0
    why_loose: str = ""

    def inputs(self, seed: int = 0) -> Any:
        random = np.random.RandomState(seed)

        def one(shape: Any) -> np.ndarray:
            if self.integers:
                return random.randint(0, self.integers, shape).astype("int32")
            return random.randn(*shape).astype("float32")

        return [one(shape) for shape in self.shape] if isinstance(self.shape, list) else one(self.shape)


VECTOR, SEQUENCE, IMAGE, VOLUME = (2, 5), (2, 6, 4), (2, 6, 5, 4), (2, 4, 5, 6, 2)
PAIR = [(2, 3, 4), (2, 3, 4)]

ROWS = {
    # core
    "dense": Row(lambda L: L("Dense")(3), VECTOR),
    "dense_options": Row(
        lambda L: L("Dense")(3, activation="tanh", use_bias=False, kernel_regularizer="l2", activity_regularizer="l1",
                             kernel_constraint="max_norm", kernel_initializer="he_normal"), SEQUENCE),
    "dense_rank_4": Row(lambda L: L("Dense")(2, activation="softmax", bias_initializer="ones"), IMAGE),
    "activation": Row(lambda L: L("Activation")("tanh"), VECTOR),
    "embedding": Row(lambda L: L("Embedding")(7, 3), (2, 5), integers=7),
    "embedding_mask": Row(lambda L: L("Embedding")(7, 3, mask_zero=True, embeddings_regularizer="l1"), (2, 5), integers=7),
    "masking": Row(lambda L: L("Masking")(mask_value=0.5), SEQUENCE),
    "identity": Row(lambda L: L("Identity")(), VECTOR),
    "rescaling": Row(lambda L: L("Rescaling")(0.5, offset=1.0), IMAGE),
    # convolutions
    "conv1d": Row(lambda L: L("Conv1D")(3, 2), SEQUENCE),
    "conv1d_causal": Row(lambda L: L("Conv1D")(3, 3, padding="causal", dilation_rate=2, activation="relu"), SEQUENCE),
    "conv2d": Row(lambda L: L("Conv2D")(3, 3), IMAGE),
    "conv2d_same_strides": Row(lambda L: L("Conv2D")(3, (3, 2), strides=(2, 1), padding="same", activation="elu"), IMAGE),
    "conv2d_groups": Row(lambda L: L("Conv2D")(4, 2, groups=2, use_bias=False, kernel_regularizer="l1"), IMAGE),
    "conv2d_dilation": Row(lambda L: L("Conv2D")(2, 2, dilation_rate=2, padding="same"), IMAGE),
    "conv2d_first": Row(lambda L: L("Conv2D")(3, 2, data_format="channels_first"), IMAGE),
    "conv3d": Row(lambda L: L("Conv3D")(2, 2, strides=2, padding="same"), VOLUME),
    # pooling
    "max_pooling1d": Row(lambda L: L("MaxPooling1D")(2), SEQUENCE),
    "max_pooling2d": Row(lambda L: L("MaxPooling2D")(2), IMAGE),
    "max_pooling2d_same": Row(lambda L: L("MaxPooling2D")((3, 2), strides=2, padding="same"), IMAGE),
    "max_pooling2d_first": Row(lambda L: L("MaxPooling2D")(2, data_format="channels_first"), IMAGE),
    "max_pooling3d": Row(lambda L: L("MaxPooling3D")(2), VOLUME),
    "average_pooling1d": Row(lambda L: L("AveragePooling1D")(3, strides=1, padding="same"), SEQUENCE),
    "average_pooling2d": Row(lambda L: L("AveragePooling2D")(2), IMAGE),
    "average_pooling2d_same": Row(lambda L: L("AveragePooling2D")((2, 3), strides=1, padding="same"), IMAGE),
    "average_pooling3d": Row(lambda L: L("AveragePooling3D")(2), VOLUME),
    "global_average1d": Row(lambda L: L("GlobalAveragePooling1D")(), SEQUENCE),
    "global_average2d": Row(lambda L: L("GlobalAveragePooling2D")(), IMAGE),
    "global_average2d_keep": Row(lambda L: L("GlobalAveragePooling2D")(keepdims=True, data_format="channels_first"), IMAGE),
    "global_average3d": Row(lambda L: L("GlobalAveragePooling3D")(), VOLUME),
    "global_max1d": Row(lambda L: L("GlobalMaxPooling1D")(), SEQUENCE),
    "global_max2d": Row(lambda L: L("GlobalMaxPooling2D")(), IMAGE),
    "global_max3d": Row(lambda L: L("GlobalMaxPooling3D")(keepdims=True), VOLUME),
    # normalization
    "batch_normalization": Row(lambda L: L("BatchNormalization")(momentum=0.9), VECTOR),
    "batch_normalization_image": Row(lambda L: L("BatchNormalization")(scale=False, epsilon=0.01), IMAGE),
    "batch_normalization_axis": Row(lambda L: L("BatchNormalization")(axis=1, center=False), IMAGE),
    "layer_normalization": Row(lambda L: L("LayerNormalization")(), SEQUENCE),
    "layer_normalization_axes": Row(lambda L: L("LayerNormalization")(axis=[1, 2], center=False, epsilon=0.1), IMAGE),
    "layer_normalization_rms": Row(lambda L: L("LayerNormalization")(rms_scaling=True), SEQUENCE),
    # merging
    "add": Row(lambda L: L("Add")(), PAIR),
    "add_broadcast": Row(lambda L: L("Add")(), [(2, 3, 4), (2, 1, 4), (2, 4)]),
    "subtract": Row(lambda L: L("Subtract")(), PAIR),
    "multiply": Row(lambda L: L("Multiply")(), PAIR),
    "average": Row(lambda L: L("Average")(), [*PAIR, (2, 3, 4)]),
    "maximum": Row(lambda L: L("Maximum")(), PAIR),
    "minimum": Row(lambda L: L("Minimum")(), PAIR),
    "concatenate": Row(lambda L: L("Concatenate")(), [(2, 3, 4), (2, 3, 1)]),
    "concatenate_axis": Row(lambda L: L("Concatenate")(axis=1), [(2, 3, 4), (2, 1, 4)]),
    "dot": Row(lambda L: L("Dot")(axes=(2, 1)), [(2, 3, 4), (2, 4, 5)]),
    "dot_normalize": Row(lambda L: L("Dot")(axes=1, normalize=True), [(2, 4), (2, 4)]),
    # regularization; in training seeds must draw alike
    "dropout": Row(lambda L: L("Dropout")(0.4, seed=3), VECTOR),
    "dropout_noise_shape": Row(lambda L: L("Dropout")(0.5, noise_shape=(None, 1, 4), seed=3), SEQUENCE),
    "spatial_dropout1d": Row(lambda L: L("SpatialDropout1D")(0.5, seed=3), SEQUENCE),
    "spatial_dropout2d": Row(lambda L: L("SpatialDropout2D")(0.5, seed=3), IMAGE),
    "spatial_dropout3d": Row(lambda L: L("SpatialDropout3D")(0.5, seed=3), VOLUME),
    "gaussian_noise": Row(lambda L: L("GaussianNoise")(0.5, seed=3), VECTOR),
    "gaussian_dropout": Row(lambda L: L("GaussianDropout")(0.5, seed=3), VECTOR),
    "activity_regularization": Row(lambda L: L("ActivityRegularization")(l1=0.1, l2=0.2), VECTOR),
    # reshaping
    "flatten": Row(lambda L: L("Flatten")(), IMAGE),
    "flatten_first": Row(lambda L: L("Flatten")(data_format="channels_first"), IMAGE),
    "reshape": Row(lambda L: L("Reshape")((2, -1)), SEQUENCE),
    "permute": Row(lambda L: L("Permute")((2, 1)), SEQUENCE),
    "repeat_vector": Row(lambda L: L("RepeatVector")(3), VECTOR),
    # activation
    "relu": Row(lambda L: L("ReLU")(max_value=1.0, negative_slope=0.1, threshold=0.2), VECTOR),
    "leaky_relu": Row(lambda L: L("LeakyReLU")(negative_slope=0.2), VECTOR),
    "elu": Row(lambda L: L("ELU")(alpha=0.5), VECTOR),
    "softmax": Row(lambda L: L("Softmax")(), SEQUENCE),
    "softmax_axes": Row(lambda L: L("Softmax")(axis=[1, 2]), IMAGE),
}  # fmt: skip
