# ruff: noqa: E501
"""Expressions of `tf`, evaluated by Hornbeam's stand-in and by TensorFlow.

`record.py` writes what TensorFlow gives to `expected.json`.
"""

from __future__ import annotations

import numpy as np

A = np.array([[0.5, -1.25, 2.0], [1.5, 0.25, -0.75]], "float32")
B = np.array([[1.0, 0.5, -2.0], [0.25, 3.0, 1.0]], "float32")
P = np.array([[0.2, 0.7], [0.5, 0.9]], "float32")
I = np.array([[3, -1, 2], [0, 5, -4]], "int32")
S = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.25], [0.5, 0.25, 2.0]], "float32")
X = np.sin(np.arange(2 * 5 * 6 * 3)).reshape(2, 5, 6, 3).astype("float32")
K = np.cos(np.arange(3 * 3 * 3 * 4)).reshape(3, 3, 3, 4).astype("float32")
W = np.sin(np.arange(40) * 0.7).astype("float32")
SEQ = np.sin(np.arange(2 * 7 * 3)).reshape(2, 7, 3).astype("float32")

_UNARY = """abs acos asin asinh atan ceil cos cosh digamma erf erfc exp expm1 floor lgamma log1p
log_sigmoid negative reciprocal rint round sigmoid sign sin sinh softplus softsign square tan tanh
reciprocal_no_nan bessel_i0 bessel_i0e bessel_i1 bessel_i1e"""
_POSITIVE = "acosh atanh erfinv log log1p ndtri rsqrt sqrt erfcinv"
_BINARY = """add divide divide_no_nan equal floordiv floormod greater greater_equal less less_equal
maximum minimum mod multiply multiply_no_nan not_equal subtract truediv squared_difference xdivy"""
_REDUCE = """max min sum prod mean std variance logsumexp euclidean_norm"""

ROWS = [
    *(f"tf.math.{name}({'P' if name in ('acos', 'asin') else 'A'})" for name in _UNARY.split()),
    *(f"tf.math.{name}(P + {1 if name == 'acosh' else 0})" for name in _POSITIVE.split()),
    *(f"tf.math.{name}(A, B)" for name in _BINARY.split()),
    *(f"tf.math.reduce_{name}(A, axis=1)" for name in _REDUCE.split()),
    *(f"tf.math.reduce_{name}(A)" for name in _REDUCE.split()),
    *(f"tf.math.reduce_{name}(A, [0, 1], keepdims=True)" for name in _REDUCE.split()),
    *(f"tf.math.reduce_{name}(I, 0)" for name in ("max", "min", "sum", "prod", "mean")),
    "tf.reduce_mean(I)", "tf.reduce_all([[True, False], [True, True]], 1)",
    "tf.reduce_any([[True, False], [False, False]], axis=0)",
    "tf.math.xlogy(P, P)", "tf.math.xlog1py(P, P)", "tf.math.pow(P, 2.0)", "tf.pow(I, 2)",
    "tf.math.logical_and([True, False], [True, True])", "tf.math.logical_not([True, False])",
    "tf.math.logical_xor([True, False], [True, True])", "tf.math.atan2(A, B)",
    "tf.math.is_nan(A)", "tf.math.is_inf(A)", "tf.math.is_finite(A)", "tf.add(I, 2)",
    "tf.abs(I)", "tf.multiply(A, 2)", "tf.divide(I, 2)", "tf.math.floordiv(I, 2)",
    "tf.math.floormod(I, 3)", "tf.sign(I)", "tf.math.scalar_mul(2.0, A)", "tf.add_n([A, B, A])",
    "tf.math.polyval([1.0, 2.0, 3.0], P)", "tf.math.betainc(P + 1, P + 2, P)",
    "tf.math.igamma(P + 1, P)", "tf.math.igammac(P + 1, P)", "tf.math.lbeta(P)",
    "tf.math.zeta(P + 2, P + 1)", "tf.math.polygamma(P * 0 + 1, P)",
    "tf.argmax(A)", "tf.argmax(A, 1)", "tf.argmin(A, axis=1, output_type=tf.int32)",
    "tf.math.count_nonzero(I, 1)", "tf.math.zero_fraction(I)",
    "tf.cumsum(A, 1)", "tf.cumsum(A, exclusive=True)", "tf.cumsum(A, 1, exclusive=True, reverse=True)",
    "tf.math.cumprod(A, 1, reverse=True)", "tf.math.cumulative_logsumexp(A, 1)",
    "tf.math.l2_normalize(A)", "tf.math.l2_normalize(A, axis=1)", "tf.math.softmax(A)",
    "tf.math.log_softmax(A, axis=0)", "tf.math.top_k(A, 2)", "tf.nn.top_k(A, k=2)[1]",
    "tf.math.in_top_k([2, 1], A, 1)", "tf.math.bincount([1, 1, 3])",
    "tf.math.bincount([1, 1, 3], weights=[0.5, 1.0, 2.0], minlength=5)",
    "tf.math.confusion_matrix([0, 1, 1], [0, 0, 1])",
    "tf.math.confusion_matrix([0, 1, 2], [0, 0, 1], 4)",
    *(f"tf.math.segment_{name}(A, [0, 2])" for name in ("sum", "mean", "max", "min", "prod")),
    *(f"tf.math.unsorted_segment_{name}(A, [1, 1], 3)" for name in ("sum", "mean", "prod", "sqrt_n")),
    "tf.math.unsorted_segment_max(A, [1, 0], 2)", "tf.math.invert_permutation([2, 0, 1])",
    "tf.math.is_non_decreasing([1, 1, 2])", "tf.math.is_strictly_increasing([1, 1, 2])",
    "tf.math.real(tf.complex(A, B))", "tf.math.imag(tf.complex(A, B))",
    "tf.math.angle(tf.complex(A, B))", "tf.math.conj(tf.complex(A, B))", "tf.abs(tf.complex(A, B))",
    # arrays
    "tf.constant(1.5, shape=(2, 2))", "tf.constant([1, 2, 3, 4], tf.float32, [2, 2])",
    "tf.constant([True, False])", "tf.zeros([2, 3])", "tf.ones((2,), tf.int32)",
    "tf.zeros_like(I)", "tf.ones_like(A, dtype=tf.int32)", "tf.fill([2, 2], 3)", "tf.eye(2, 3)",
    "tf.eye(2, batch_shape=[2])", "tf.range(5)", "tf.range(1.0, 2.0, 0.25)", "tf.range(10, 0, -3)",
    "tf.linspace(0.0, 1.0, 5)", "tf.one_hot([0, 2], 3)", "tf.one_hot([0, 2], 3, 5, -1)",
    "tf.one_hot([0, 2], 3, axis=0, dtype=tf.int32)", "tf.one_hot([-1, 1], depth=2, on_value=2.0)",
    "tf.meshgrid([1, 2], [3, 4, 5])[0]", "tf.meshgrid([1, 2], [3, 4, 5], indexing='ij')[1]",
    "tf.sequence_mask([1, 3])", "tf.sequence_mask([1, 3], 4, tf.float32)", "tf.shape(A)",
    "tf.shape(A)[1] * 2", "tf.size(A)", "tf.rank(A)", "tf.reshape(A, [-1, 2])",
    "tf.expand_dims(A, -1)", "tf.squeeze(A[:, None])", "tf.squeeze(A[:, None], axis=[1])",
    "tf.transpose(A)", "tf.transpose(X, [0, 3, 1, 2])", "tf.broadcast_to([1, 2], [2, 2])",
    "tf.concat([A, B], 0)", "tf.concat([A, B], axis=-1)", "tf.stack([A, B], axis=1)",
    "tf.unstack(A, axis=1)[2]", "tf.split(A, 3, axis=1)[1]", "tf.split(A, [1, -1], 1)[1]",
    "tf.tile(A, [2, 1])", "tf.repeat(I, 2, axis=0)", "tf.repeat([1, 2], [2, 3])", "tf.repeat(I, 2)",
    "tf.roll(A, 1, axis=1)", "tf.roll(A, [1, 2], [0, 1])", "tf.reverse(A, [1])",
    "tf.pad(A, [[1, 0], [0, 2]])", "tf.pad(A, [[0, 1], [1, 1]], constant_values=9)",
    "tf.pad(A, [[1, 1], [2, 2]], 'REFLECT')", "tf.pad(A, [[1, 1], [2, 2]], mode='SYMMETRIC')",
    "tf.slice(A, [0, 1], [2, 2])", "tf.slice(A, [1, 0], [-1, -1])",
    "tf.strided_slice(A, [0, 0], [2, 3], [1, 2])",
    "tf.strided_slice(A, [0, 1], [2, 3], begin_mask=1, shrink_axis_mask=2)",
    "tf.dynamic_partition([1, 2, 3], [0, 1, 0], 2)[0]",
    "tf.dynamic_stitch([[0, 2], [1]], [[1, 3], [2]])",
    "tf.reverse_sequence(SEQ, [3, 7], seq_axis=1, batch_axis=0)",
    "tf.gather(A, [1, 0])", "tf.gather(A, [2, 0], axis=1)", "tf.gather(A, [[2], [0]], batch_dims=1)",
    "tf.gather(SEQ, [[0, 1], [2, 3]], axis=1, batch_dims=1)", "tf.gather(A, 1)",
    "tf.gather_nd(A, [[0, 1], [1, 2]])", "tf.gather_nd(A, [[1]])",
    "tf.gather_nd(SEQ, [[[1], [2]], [[0], [3]]], batch_dims=1)",
    "tf.scatter_nd([[1], [3], [1]], [9, 10, 1], [5])",
    *(f"tf.tensor_scatter_nd_{name}(A, [[0, 1], [1, 2]], [7.0, -8.0])"
      for name in ("update", "add", "sub", "max", "min")),
    "tf.boolean_mask(A, A > 0)", "tf.boolean_mask(A, [True, False])",
    "tf.boolean_mask(A, [True, False, True], axis=1)", "tf.where(A > 0)", "tf.where(A > 0, A, B)",
    "tf.where(A > 0, A, 0.0)", "tf.where([True, False], [1, 2], [3, 4])", "tf.sort(A, axis=1)",
    "tf.sort(A, direction='DESCENDING')", "tf.argsort(A, 0)", "tf.argsort(A, direction='DESCENDING')",
    "tf.searchsorted([1.0, 3.0, 5.0], [0.0, 3.0, 6.0])",
    "tf.searchsorted([[1, 3], [2, 4]], [[3], [3]], side='right')", "tf.unique([3, 1, 3, 2])[0]",
    "tf.unique([3, 1, 3, 2])[1]", "tf.unique_with_counts([3, 1, 3, 2])[2]",
    "tf.unravel_index([5, 3], [2, 3])", "tf.histogram_fixed_width(A, [-2.0, 2.0], nbins=4)",
    "tf.identity(A)", "tf.stop_gradient(A)", "tf.cast(A, tf.int32)", "tf.cast(I, tf.float32)",
    "tf.cast([True, False], 'float32')", "tf.cast(A, tf.bool)",
    "tf.saturate_cast([300, -1], tf.uint8)", "tf.bitcast(A, tf.int32)",
    "tf.clip_by_value(A, -0.5, 1.0)", "tf.clip_by_norm(A, 1.0)", "tf.clip_by_norm(A, 1.0, [1])",
    "tf.clip_by_global_norm([A, B], 1.0)[0][1]", "tf.clip_by_global_norm([A, B], 1.0)[1]",
    "tf.bitwise.bitwise_and([6, 3], [3, 1])", "tf.bitwise.left_shift([1, 2], [2, 1])",
    "tf.complex(A, B)",
    # linalg
    "tf.matmul(A, B, transpose_b=True)", "tf.matmul(A, B, transpose_a=True)", "tf.linalg.matvec(S, A[0])",
    "tf.einsum('ij,kj->ik', A, B)", "tf.tensordot(A, B, [[1], [1]])", "tf.tensordot(A, S, 1)",
    "tf.norm(A)", "tf.norm(A, axis=1)", "tf.norm(A, ord=1, axis=1, keepdims=True)",
    "tf.norm(A, ord=np.inf, axis=0)", "tf.linalg.normalize(A, axis=1)[0]", "tf.linalg.trace(S)",
    "tf.linalg.det(S)", "tf.linalg.slogdet(S)[1]", "tf.linalg.logdet(S)", "tf.linalg.inv(S)",
    "tf.linalg.pinv(A)", "tf.linalg.cholesky(S)", "tf.linalg.cholesky_solve(tf.linalg.cholesky(S), S + 1)",
    "tf.linalg.triangular_solve(S, S + 1)", "tf.linalg.solve(S, S + 1)", "tf.linalg.lstsq(S, S + 1)",
    "tf.linalg.lu(S)[0]", "tf.linalg.lu(S)[1]", "tf.linalg.svd(A)[0]", "tf.linalg.svd(A, compute_uv=False)",
    "tf.linalg.eigh(S)[0]", "tf.linalg.eigvalsh(S)", "tf.linalg.expm(S)", "tf.linalg.sqrtm(S)",
    "tf.linalg.cross(A, B)", "tf.linalg.band_part(S, 0, -1)", "tf.linalg.band_part(S, 1, 0)",
    "tf.linalg.diag([1, 2])", "tf.linalg.diag([1.0, 2.0], k=1)", "tf.linalg.diag_part(S)",
    "tf.linalg.set_diag(S, [9.0, 8.0, 7.0])", "tf.linalg.tensor_diag([1, 2])",
    "tf.linalg.tensor_diag_part(S)", "tf.linalg.matrix_transpose(A)", "tf.linalg.global_norm([A, B])",
    "tf.linalg.matrix_rank(S)", "tf.linalg.adjoint(tf.complex(A, B))",
    "tf.abs(tf.matmul(*[tf.linalg.qr(S)[0]] * 2, transpose_a=True))",
    # nn
    *(f"tf.nn.{name}(A)" for name in
      "elu relu relu6 selu gelu leaky_relu silu swish crelu softplus tanh sigmoid l2_loss".split()),
    "tf.nn.gelu(A, approximate=True)", "tf.nn.leaky_relu(A, alpha=0.1)", "tf.nn.silu(A, 2.0)",
    "tf.nn.sigmoid_cross_entropy_with_logits(labels=P, logits=P)",
    "tf.nn.weighted_cross_entropy_with_logits(P, P, 2.0)",
    "tf.nn.softmax_cross_entropy_with_logits(labels=P, logits=P)",
    "tf.nn.softmax_cross_entropy_with_logits(P, P, axis=0)",
    "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[2, 0], logits=A)",
    "tf.nn.log_poisson_loss(P + 1, P, True)", "tf.nn.compute_average_loss([1.0, 2.0], global_batch_size=4)",
    "tf.nn.moments(A, [0])[1]", "tf.nn.moments(A, axes=[0, 1], keepdims=True)[0]",
    "tf.nn.weighted_moments(A, [1], P[:, :1])[1]",
    "tf.nn.batch_normalization(A, 0.5, 2.0, 1.0, 3.0, 0.001)",
    "tf.nn.batch_normalization(A, 0.5, 2.0, None, None, variance_epsilon=0.001)",
    "tf.nn.local_response_normalization(X, 1, 1.0, 0.5, 0.75)", "tf.nn.bias_add(A, [1.0, 2.0, 3.0])",
    "tf.nn.conv2d(X, K, 1, 'SAME')", "tf.nn.conv2d(X, K, strides=[1, 2, 2, 1], padding='VALID')",
    "tf.nn.conv2d(X, K, 1, 'VALID', dilations=2)",
    "tf.nn.conv2d(X, K, 1, [[0, 0], [1, 0], [2, 1], [0, 0]])", "tf.nn.conv1d(SEQ, K[0], 2, 'SAME')",
    "tf.nn.conv3d(X[:, None], K[None], [1, 1, 1, 1, 1], 'SAME')", "tf.nn.convolution(X, K)",
    "tf.nn.atrous_conv2d(X, K, 2, 'SAME')",
    "tf.nn.conv2d_transpose(X, K.transpose(0, 1, 3, 2), [2, 10, 12, 4], 2)",
    "tf.nn.conv2d_transpose(X, K.transpose(0, 1, 3, 2), [2, 7, 8, 4], [1, 1], 'VALID')",
    "tf.nn.conv1d_transpose(SEQ, K[0].transpose(0, 2, 1), [2, 14, 4], 2)",
    "tf.nn.depthwise_conv2d(X, K[..., :2], [1, 1, 1, 1], 'SAME')",
    "tf.nn.separable_conv2d(X, K[..., :2], np.ones((1, 1, 6, 2), 'float32'), [1, 2, 2, 1], 'SAME')",
    "tf.nn.max_pool2d(X, 2, 2, 'VALID')", "tf.nn.max_pool2d(X, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding='SAME')",
    "tf.nn.avg_pool2d(X, 2, 2, 'SAME')", "tf.nn.avg_pool(X, [3, 2], [1, 1], 'VALID')",
    "tf.nn.max_pool1d(SEQ, 2, 2, 'SAME')", "tf.nn.avg_pool1d(SEQ, 3, 1, 'VALID')",
    "tf.nn.max_pool(SEQ, 2, 1, 'VALID')", "tf.nn.pool(X, [2, 2], 'AVG', [2, 2], 'SAME')",
    "tf.nn.space_to_depth(X[:, :4], 2)", "tf.nn.depth_to_space(tf.nn.space_to_depth(X[:, :4], 2), 2)",
    "tf.nn.embedding_lookup(S, [2, 0])", "tf.nn.embedding_lookup(S, [2, 0], max_norm=1.0)",
    "tf.nn.zero_fraction(I)", "tf.nn.l2_normalize(A, 1)", "tf.nn.softmax(A, axis=0)",
    # signal
    "tf.signal.fft(tf.complex(W[:8], W[8:16]))", "tf.signal.ifft2d(tf.complex(A, B))",
    "tf.signal.rfft(W)", "tf.signal.rfft(W, [16])", "tf.signal.irfft(tf.signal.rfft(W))",
    "tf.signal.fft2d(tf.complex(A, B))", "tf.signal.rfft2d(S)", "tf.signal.fftshift(W[:5])",
    "tf.signal.ifftshift(W[:5])", "tf.signal.dct(W)", "tf.signal.dct(W, norm='ortho')",
    "tf.signal.idct(W)", "tf.signal.idct(W, norm='ortho')", "tf.signal.hann_window(7)",
    "tf.signal.hann_window(8, periodic=False)", "tf.signal.hann_window(8)", "tf.signal.hamming_window(6)",
    "tf.signal.kaiser_window(6, 4.0)", "tf.signal.vorbis_window(6)", "tf.signal.frame(W, 8, 5)",
    "tf.signal.frame(W, 8, 5, pad_end=True)", "tf.signal.overlap_and_add(np.ones((3, 4), 'float32'), 2)",
    "tf.signal.stft(W, frame_length=8, frame_step=4)", "tf.signal.stft(W, 7, 3, fft_length=16, pad_end=True)",
    "tf.signal.stft(W, 8, 4, window_fn=None)", "tf.signal.inverse_stft(tf.signal.stft(W, 8, 4), 8, 4)",
    "tf.signal.inverse_stft(tf.signal.stft(W, 8, 4), 8, 4, window_fn=tf.signal.inverse_stft_window_fn(4))",
    "tf.signal.linear_to_mel_weight_matrix(4, 17, 1000, 20.0, 450.0)",
    "tf.signal.mfccs_from_log_mel_spectrograms(S)",
    # control flow
    "tf.cond(tf.constant(True), lambda: tf.constant(1), lambda: tf.constant(2))",
    "tf.case([(tf.constant(False), lambda: 1), (tf.constant(True), lambda: 2)], default=lambda: 3) + 0",
    "tf.switch_case(tf.constant(1), {0: lambda: tf.constant(5), 1: lambda: tf.constant(6)})",
    "tf.switch_case(tf.constant(7), [lambda: tf.constant(5), lambda: tf.constant(6)])",
    "tf.while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s + i), [tf.constant(0), tf.constant(0)])[1]",
    "tf.while_loop(lambda i: i < 9, lambda i: [i + 1], [tf.constant(0)], maximum_iterations=3)[0]",
    "tf.map_fn(lambda x: x * 2, A)", "tf.map_fn(lambda x: x[0] + x[1], (A, B), fn_output_signature=tf.float32)",
    "tf.vectorized_map(lambda x: tf.reduce_sum(x), A)", "tf.scan(lambda a, x: a + x, A)",
    "tf.scan(lambda a, x: a * x, W[:4], initializer=2.0, reverse=True)",
    "tf.foldl(lambda a, x: a - x, W[:4])", "tf.foldr(lambda a, x: a - x, W[:4], initializer=1.0)",
    "tf.TensorArray(tf.float32, 2).write(0, 1.0).write(1, 3.0).stack()",
    "tf.TensorArray(tf.float32, 0, dynamic_size=True).write(2, [1.0]).stack()",
    "tf.TensorArray(tf.float32, 2).unstack(A).read(1)", "tf.TensorArray(tf.float32, 2).unstack(A).concat()",
    "tf.py_function(lambda x: x + 1, [A], tf.float32)",
    "tf.numpy_function(lambda x: np.flip(x).copy(), [A], tf.float32)",
    "tf.function(lambda x: tf.reduce_sum(x) * 2)(tf.constant(A))",
    "tf.nest.flatten({'b': A, 'a': [B]})[0]", "tf.experimental.numpy.mean(tf.constant(A), 1)",
    # variables
    "tf.Variable(A).assign_add(B)", "tf.Variable([1, 2]).assign_sub([1, 1])",
    "tf.Variable([1.0, 2.0]).scatter_nd_update([[1]], [5.0])", "tf.Variable(3) + 2", "2.0 - tf.Variable(A)",
    "tf.Variable(A)[1, :2]", "tf.Variable(tf.ones([2])).read_value()",
]  # fmt: skip
