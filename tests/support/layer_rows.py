"""One row per layer: how to create it with either library, and its inputs.

A recipe takes `L`, which finds a layer class by name, so the same line creates Hornbeam's and
Keras's layer. To add a layer, add a row; all parametrized tests of test_layers.py then run for
it.
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
        spread: Whether several inputs are separate arguments, not a list.
        options: Other arguments of the call.
        why_loose: Why the tolerance is ten times wider than 1e-5, if it is.
        why_other_shape: Why Keras's symbolic shape or dtype differs from its results, if it does.
        why_no_file, why_no_h5: Why Keras cannot read its own files, in any format or only in .h5,
            if it cannot.
    """

    make: Any
    shape: Any
    integers: int = 0
    spread: bool = False
    options: Any = None
    why_loose: str = ""
    why_other_shape: str = ""
    why_no_file: str = ""
    why_no_h5: str = ""

    def inputs(self, seed: int = 0) -> Any:
        random = np.random.RandomState(seed)

        def one(shape: Any) -> np.ndarray:
            if self.integers:
                return random.randint(0, self.integers, shape).astype("int32")
            return random.randn(*shape).astype("float32")

        return (
            [one(shape) for shape in self.shape]
            if isinstance(self.shape, list)
            else one(self.shape)
        )


VECTOR, SEQUENCE, IMAGE, VOLUME = (2, 5), (2, 6, 4), (2, 6, 5, 4), (2, 4, 5, 6, 2)
PAIR = [(2, 3, 4), (2, 3, 4)]
SUMS = "numbers of both signs are summed in another order"

ROWS = {
    # core
    "dense": Row(lambda L: L("Dense")(3), VECTOR),
    "dense_options": Row(
        lambda L: L("Dense")(3, activation="tanh", use_bias=False, kernel_regularizer="l2",
            activity_regularizer="l1",
                             kernel_constraint="max_norm", kernel_initializer="he_normal"),
                             SEQUENCE),
    "dense_rank_4": Row(lambda L: L("Dense")(2, activation="softmax", bias_initializer="ones"),
        IMAGE),
    "activation": Row(lambda L: L("Activation")("tanh"), VECTOR),
    "embedding": Row(lambda L: L("Embedding")(7, 3), (2, 5), integers=7),
    # indices outside the table
    "embedding_outside": Row(lambda L: L("Embedding")(5, 3), (2, 5), integers=7),
    "embedding_mask": Row(lambda L: L("Embedding")(7, 3, mask_zero=True,
        embeddings_regularizer="l1"), (2, 5), integers=7),
    "masking": Row(lambda L: L("Masking")(mask_value=0.5), SEQUENCE),
    "identity": Row(lambda L: L("Identity")(), VECTOR),
    "rescaling": Row(lambda L: L("Rescaling")(0.5, offset=1.0), IMAGE),
    "rescaling_lists": Row(lambda L: L("Rescaling")([0.5, 1.0, 2.0, 3.0],
        offset=[0.0, 1.0, 2.0, 3.0]), IMAGE),
    "normalization": Row(lambda L: L("Normalization")(), SEQUENCE),
    "normalization_given": Row(lambda L: L("Normalization")(mean=[1.0, 2.0, 0.0, 3.0],
        variance=[1.0, 0.5, 2.0, 0.0]), SEQUENCE),
    "normalization_axes": Row(lambda L: L("Normalization")(axis=(3, 1), invert=True), IMAGE,
        why_no_h5="a list of axes is lost"),
    "normalization_one": Row(lambda L: L("Normalization")(axis=None, mean=2.0, variance=4.0),
        IMAGE),
    "embedding_lora": Row(lambda L: L("Embedding")(7, 3, lora_rank=2), (2, 5), integers=7),
    "dense_lora": Row(lambda L: L("Dense")(3, lora_rank=2), VECTOR),
    "reversible_embedding": Row(
        lambda L: L("ReversibleEmbedding")(7, 4, tie_weights=False, mask_zero=True), (2, 5),
        integers=7),
    "reversible_embedding_back": Row(
        lambda L: L("ReversibleEmbedding")(7, 4, logit_soft_cap=2.0), SEQUENCE,
        options={"reverse": True}),
    "einsum_dense": Row(lambda L: L("EinsumDense")("abc,cde->abde", (None, 2, 3), bias_axes="de",
        activation="relu"), SEQUENCE,
                        why_other_shape="it drops sizes that are known from the input"),
    "einsum_dense_ahead": Row(lambda L: L("EinsumDense")("...x,xy->...y", 3, bias_axes="y"), IMAGE,
                              why_other_shape="it drops sizes that are known from the input"),
    "einsum_dense_behind": Row(lambda L: L("EinsumDense")("ab...,bc->ac...", 3, bias_axes="c",
        lora_rank=2), SEQUENCE),
    # convolutions
    "conv1d": Row(lambda L: L("Conv1D")(3, 2), SEQUENCE),
    "conv1d_causal": Row(lambda L: L("Conv1D")(3, 3, padding="causal", dilation_rate=2,
        activation="relu"), SEQUENCE),
    "conv2d": Row(lambda L: L("Conv2D")(3, 3), IMAGE),
    "conv2d_same_strides": Row(lambda L: L("Conv2D")(3, (3, 2), strides=(2, 1), padding="same",
        activation="elu"), IMAGE),
    "conv2d_groups": Row(lambda L: L("Conv2D")(4, 2, groups=2, use_bias=False,
        kernel_regularizer="l1"), IMAGE),
    "conv2d_dilation": Row(lambda L: L("Conv2D")(2, 2, dilation_rate=2, padding="same"), IMAGE),
    "conv2d_first": Row(lambda L: L("Conv2D")(3, 2, data_format="channels_first"), IMAGE),
    "conv3d": Row(lambda L: L("Conv3D")(2, 2, strides=2, padding="same"), VOLUME),
    "conv1d_transpose": Row(lambda L: L("Conv1DTranspose")(3, 3, strides=2, padding="same",
        activation="tanh"), SEQUENCE),
    "conv2d_transpose": Row(lambda L: L("Conv2DTranspose")(3, 3, strides=2), IMAGE),
    "conv2d_transpose_padded": Row(
        lambda L: L("Conv2DTranspose")(3, (3, 2), strides=2, padding="same", output_padding=1,
            use_bias=False), IMAGE),
    "conv2d_transpose_dilated": Row(lambda L: L("Conv2DTranspose")(2, 2, dilation_rate=2,
        data_format="channels_first"), IMAGE),
    "conv3d_transpose": Row(lambda L: L("Conv3DTranspose")(2, 2, strides=(1, 2, 2)), VOLUME),
    "depthwise_conv1d": Row(lambda L: L("DepthwiseConv1D")(3, depth_multiplier=2,
        activation="relu"), SEQUENCE),
    "depthwise_conv2d": Row(
        lambda L: L("DepthwiseConv2D")(3, strides=2, padding="same", depth_multiplier=2,
            depthwise_regularizer="l2"), IMAGE),
    "depthwise_conv2d_dilated": Row(lambda L: L("DepthwiseConv2D")(2, dilation_rate=2,
        use_bias=False), IMAGE),
    "separable_conv1d": Row(lambda L: L("SeparableConv1D")(3, 2, strides=2, padding="same"),
        SEQUENCE),
    "separable_conv2d": Row(lambda L: L("SeparableConv2D")(3, 3, depth_multiplier=2,
        pointwise_regularizer="l1"), IMAGE),
    # pooling
    "max_pooling1d": Row(lambda L: L("MaxPooling1D")(2), SEQUENCE),
    "max_pooling2d": Row(lambda L: L("MaxPooling2D")(2), IMAGE),
    "max_pooling2d_same": Row(lambda L: L("MaxPooling2D")((3, 2), strides=2, padding="same"),
        IMAGE),
    "max_pooling2d_first": Row(lambda L: L("MaxPooling2D")(2, data_format="channels_first"), IMAGE),
    "max_pooling2d_large": Row(lambda L: L("MaxPooling2D")((9, 8), strides=1, padding="same"),
        (1, 10, 10, 2)),
    "max_pooling3d": Row(lambda L: L("MaxPooling3D")(2), VOLUME),
    "average_pooling1d": Row(lambda L: L("AveragePooling1D")(3, strides=1, padding="same"),
        SEQUENCE),
    "average_pooling2d": Row(lambda L: L("AveragePooling2D")(2), IMAGE),
    "average_pooling2d_same": Row(lambda L: L("AveragePooling2D")((2, 3), strides=1,
        padding="same"), IMAGE),
    "average_pooling3d": Row(lambda L: L("AveragePooling3D")(2), VOLUME),
    "global_average1d": Row(lambda L: L("GlobalAveragePooling1D")(), SEQUENCE),
    "global_average2d": Row(lambda L: L("GlobalAveragePooling2D")(), IMAGE),
    "global_average2d_keep": Row(lambda L: L("GlobalAveragePooling2D")(keepdims=True,
        data_format="channels_first"), IMAGE),
    "global_average3d": Row(lambda L: L("GlobalAveragePooling3D")(), VOLUME),
    "global_max1d": Row(lambda L: L("GlobalMaxPooling1D")(), SEQUENCE),
    "global_max2d": Row(lambda L: L("GlobalMaxPooling2D")(), IMAGE),
    "global_max3d": Row(lambda L: L("GlobalMaxPooling3D")(keepdims=True), VOLUME),
    "adaptive_average1d": Row(lambda L: L("AdaptiveAveragePooling1D")(4), SEQUENCE),
    "adaptive_average2d": Row(lambda L: L("AdaptiveAveragePooling2D")((4, 3)), IMAGE),
    "adaptive_average3d": Row(lambda L: L("AdaptiveAveragePooling3D")(2), VOLUME),
    "adaptive_max1d": Row(lambda L: L("AdaptiveMaxPooling1D")(4), SEQUENCE),
    "adaptive_max2d": Row(lambda L: L("AdaptiveMaxPooling2D")(3, data_format="channels_first"),
        IMAGE),
    "adaptive_max3d": Row(lambda L: L("AdaptiveMaxPooling3D")((2, 3, 4)), VOLUME),
    # resizing
    "zero_padding1d": Row(lambda L: L("ZeroPadding1D")((1, 2)), SEQUENCE),
    "zero_padding2d": Row(lambda L: L("ZeroPadding2D")((1, 2)), IMAGE),
    "zero_padding2d_pairs": Row(lambda L: L("ZeroPadding2D")(((1, 0), (0, 2)),
        data_format="channels_first"), IMAGE),
    "zero_padding3d": Row(lambda L: L("ZeroPadding3D")(), VOLUME),
    "cropping1d": Row(lambda L: L("Cropping1D")((1, 2)), SEQUENCE),
    "cropping2d": Row(lambda L: L("Cropping2D")(((1, 0), (2, 1)), data_format="channels_first"),
        (2, 3, 6, 5)),
    "cropping3d": Row(lambda L: L("Cropping3D")(1), VOLUME),
    "up_sampling1d": Row(lambda L: L("UpSampling1D")(3), SEQUENCE),
    "up_sampling2d": Row(lambda L: L("UpSampling2D")((2, 3)), IMAGE),
    "up_sampling2d_bilinear": Row(lambda L: L("UpSampling2D")(2, interpolation="bilinear",
        data_format="channels_first"), IMAGE),
    "up_sampling2d_bicubic": Row(lambda L: L("UpSampling2D")((2, 3), interpolation="bicubic"),
        IMAGE),
    "up_sampling2d_lanczos": Row(lambda L: L("UpSampling2D")(2, interpolation="lanczos5"), IMAGE),
    "up_sampling3d": Row(lambda L: L("UpSampling3D")((1, 2, 3)), VOLUME),
    # attention
    "attention": Row(lambda L: L("Attention")(), [(2, 3, 4), (2, 5, 4)],
        why_no_h5="its score mode is mistaken for a layer"),
    "attention_options": Row(
        lambda L: L("Attention")(use_scale=True, score_mode="concat", dropout=0.3, seed=3),
        [(2, 3, 4), (2, 5, 4), (2, 5, 4)]),
    "attention_causal": Row(
        lambda L: L("Attention")(use_scale=True), [(2, 5, 4), (2, 5, 4)],
        options={"use_causal_mask": True, "return_attention_scores": True},
        why_no_h5="its score mode is mistaken for a layer"),
    "additive_attention": Row(lambda L: L("AdditiveAttention")(), [(2, 3, 4), (2, 5, 4)]),
    "multi_head": Row(lambda L: L("MultiHeadAttention")(2, 3), [(2, 3, 4), (2, 5, 4)], spread=True,
        why_loose=SUMS),
    "multi_head_options": Row(
        lambda L: L("MultiHeadAttention")(2, 3, value_dim=5, output_shape=7, use_gate=False,
            dropout=0.3, seed=1,
                                          kernel_regularizer="l2"),
        [(2, 3, 4), (2, 5, 4), (2, 5, 6)], spread=True, options={"return_attention_scores": True},
        why_other_shape="it confuses the number of queries with the number of keys"),
    "multi_head_window": Row(
        lambda L: L("MultiHeadAttention")(2, 3, sliding_window=2, use_bias=False, use_gate=True),
        [(2, 5, 4), (2, 5, 4)],
        spread=True, options={"use_causal_mask": True}),
    "multi_head_axes": Row(lambda L: L("MultiHeadAttention")(2, 3, attention_axes=(2,)),
        [(2, 3, 4, 5), (2, 3, 4, 5)], spread=True),
    "multi_head_2d": Row(
        lambda L: L("MultiHeadAttention")(2, 3, attention_axes=(1, 2)),
        [(2, 2, 3, 5), (2, 3, 2, 5)], spread=True, why_loose=SUMS,
        options={"return_attention_scores": True}, why_other_shape="it supports only one axis"),
    "group_query": Row(
        lambda L: L("GroupQueryAttention")(3, 4, 2), [(2, 3, 4), (2, 5, 4)], spread=True,
        why_loose=SUMS),
    "group_query_options": Row(
        lambda L: L("GroupQueryAttention")(3, 4, 1, sliding_window=3, use_gate=True, use_bias=False,
            dropout=0.2, seed=1),
        [(2, 5, 4), (2, 5, 4)], spread=True, options={"use_causal_mask": True,
            "return_attention_scores": True},
        why_no_file="a gate is lost"),
    # normalization
    "batch_normalization": Row(lambda L: L("BatchNormalization")(momentum=0.9), VECTOR),
    "batch_normalization_image": Row(lambda L: L("BatchNormalization")(scale=False, epsilon=0.01),
        IMAGE),
    "batch_normalization_axis": Row(lambda L: L("BatchNormalization")(axis=1, center=False), IMAGE),
    "layer_normalization": Row(lambda L: L("LayerNormalization")(), SEQUENCE),
    "layer_normalization_axes": Row(lambda L: L("LayerNormalization")(axis=[1, 2], center=False,
        epsilon=0.1), IMAGE,
                                    why_no_h5="a list of axes is lost"),
    "layer_normalization_rms": Row(lambda L: L("LayerNormalization")(rms_scaling=True), SEQUENCE),
    "group_normalization": Row(lambda L: L("GroupNormalization")(2), IMAGE),
    "group_normalization_axis": Row(lambda L: L("GroupNormalization")(-1, axis=1, epsilon=0.1,
        scale=False), IMAGE),
    "rms_normalization": Row(lambda L: L("RMSNormalization")(), SEQUENCE),
    "unit_normalization": Row(lambda L: L("UnitNormalization")(axis=(1, 2)), SEQUENCE,
        why_no_h5="a list of axes is lost"),
    "spectral_normalization": Row(lambda L: L("SpectralNormalization")(L("Dense")(3)), SEQUENCE),
    "spectral_normalization_conv": Row(lambda L: L("SpectralNormalization")(L("Conv2D")(3, 2),
        power_iterations=3), IMAGE),
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
    # regularization; in training, equal seeds must give equal draws
    "dropout": Row(lambda L: L("Dropout")(0.4, seed=3), VECTOR),
    "dropout_noise_shape": Row(lambda L: L("Dropout")(0.5, noise_shape=(None, 1, 4), seed=3),
        SEQUENCE),
    "spatial_dropout1d": Row(lambda L: L("SpatialDropout1D")(0.5, seed=3), SEQUENCE),
    "spatial_dropout2d": Row(lambda L: L("SpatialDropout2D")(0.5, seed=3), IMAGE),
    "spatial_dropout3d": Row(lambda L: L("SpatialDropout3D")(0.5, seed=3), VOLUME),
    "alpha_dropout": Row(lambda L: L("AlphaDropout")(0.4, seed=3), VECTOR),
    "alpha_dropout_shape": Row(lambda L: L("AlphaDropout")(0.4, noise_shape=(None, 1, 4), seed=3),
        SEQUENCE),
    "gaussian_noise": Row(lambda L: L("GaussianNoise")(0.5, seed=3), VECTOR),
    "gaussian_dropout": Row(lambda L: L("GaussianDropout")(0.5, seed=3), VECTOR),
    "activity_regularization": Row(lambda L: L("ActivityRegularization")(l1=0.1, l2=0.2), VECTOR),
    # reshaping
    "flatten": Row(lambda L: L("Flatten")(), IMAGE),
    "flatten_first": Row(lambda L: L("Flatten")(data_format="channels_first"), IMAGE),
    "reshape": Row(lambda L: L("Reshape")((2, -1)), SEQUENCE),
    "reshape_none": Row(lambda L: L("Reshape")((None, 2)), SEQUENCE,
        why_other_shape="the inferred size stays unknown"),
    "permute": Row(lambda L: L("Permute")((2, 1)), SEQUENCE),
    "repeat_vector": Row(lambda L: L("RepeatVector")(3), VECTOR),
    # activation
    "relu": Row(lambda L: L("ReLU")(max_value=1.0, negative_slope=0.1, threshold=0.2), VECTOR),
    "leaky_relu": Row(lambda L: L("LeakyReLU")(negative_slope=0.2), VECTOR),
    "prelu": Row(lambda L: L("PReLU")(), VECTOR),
    "prelu_shared": Row(lambda L: L("PReLU")(alpha_regularizer="l2", shared_axes=[1, 2]), IMAGE),
    "elu": Row(lambda L: L("ELU")(alpha=0.5), VECTOR),
    "softmax": Row(lambda L: L("Softmax")(), SEQUENCE),
    "softmax_axes": Row(lambda L: L("Softmax")(axis=[1, 2]), IMAGE,
        why_no_h5="a list of axes is lost"),
    # convolutional recurrence
    "conv_lstm1d": Row(lambda L: L("ConvLSTM1D")(3, 2, padding="same", return_sequences=True,
        seed=1), (2, 3, 5, 2)),
    "conv_lstm2d": Row(
        lambda L: L("ConvLSTM2D")(2, (3, 2), strides=2, recurrent_activation="hard_sigmoid",
            kernel_regularizer="l2", seed=1),
        (2, 3, 6, 5, 2)),
    "conv_lstm2d_first": Row(
        lambda L: L("ConvLSTM2D")(2, 2, data_format="channels_first", return_state=True,
            go_backwards=True, seed=1), (2, 3, 2, 5, 4)),
    "conv_lstm3d": Row(lambda L: L("ConvLSTM3D")(2, 2, dilation_rate=2, use_bias=False, seed=1),
        (1, 2, 4, 4, 4, 1)),
}  # fmt: skip
