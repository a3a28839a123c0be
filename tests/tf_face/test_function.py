"""`tf.function`, variables, modules, loops, checks and random draws."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

import hornbeam as hb
from hornbeam.keras import install_as_keras, uninstall_as_keras


@pytest.fixture(scope="module")
def tf() -> Iterator[Any]:
    install_as_keras(force=True)
    import tensorflow as tf

    yield tf
    uninstall_as_keras()


def test_function_is_traced_per_shape_dtype_and_python_value(tf: Any) -> None:
    seen = []

    @tf.function
    def scaled(x: Any, factor: float = 2.0) -> Any:
        seen.append((x.shape, factor))
        return x * factor if factor > 0 else -x

    for x in (tf.ones([2]), tf.zeros([2]), tf.ones([3])):
        scaled(x)
    assert scaled(tf.ones([2]), -1.0).numpy().tolist() == [-1, -1]
    assert len(seen) == 3
    assert scaled.get_concrete_function(tf.ones([2]))(tf.ones([2])).shape == (2,)


def test_function_changes_variables_and_makes_them_once(tf: Any) -> None:
    class Counter(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.total = None

        @tf.function
        def add(self, x: Any) -> Any:
            if self.total is None:
                self.total = tf.Variable(0.0)
            self.total.assign_add(x)
            return self.total

    one, two = Counter(), Counter()
    assert float(one.add(tf.constant(2.0))) == 2
    assert float(one.add(tf.constant(3.0))) == 5
    assert float(two.add(tf.constant(1.0))) == 1
    assert [len(c.trainable_variables) for c in (one, two)] == [1, 1]


def test_function_with_a_condition_on_values_runs_as_python(tf: Any) -> None:
    @tf.function
    def positive_part(x: Any) -> Any:
        if tf.reduce_sum(x) > 0:
            return x
        return tf.zeros_like(x)

    with pytest.warns(UserWarning, match=r"tf\.cond"):
        assert positive_part(tf.constant([1.0, 2.0])).numpy().tolist() == [1, 2]
    assert positive_part(tf.constant([-1.0])).numpy().tolist() == [0]


def test_function_that_needs_values_otherwise_runs_as_python(tf: Any) -> None:
    def written(x: Any) -> Any:
        """Write into an array in a loop; x is known, or traced."""
        start = [tf.constant(0), tf.TensorArray(tf.float32, size=3)]

        def body(i: Any, array: Any) -> Any:
            return i + 1, array.write(i, x * tf.cast(i, tf.float32))

        return tf.while_loop(lambda i, array: i < 3, body, start)[1].stack()

    def by_python(x: Any) -> Any:
        return tf.py_function(lambda a: a.numpy() * 2, [x], tf.float32)

    x = tf.constant([1.0, 2.0])
    assert written(x).numpy().tolist() == [[0, 0], [1, 2], [2, 4]]
    with pytest.warns(UserWarning, match="while_loop: a TensorArray"):
        assert tf.function(written)(x).numpy().tolist() == [[0, 0], [1, 2], [2, 4]]
    with pytest.warns(UserWarning, match="py_function: its tensors have no values"):
        assert tf.function(by_python)(x).numpy().tolist() == [2, 4]


def test_function_checks_its_signature(tf: Any) -> None:
    class Spec:
        shape, dtype = (None, 2), "float32"

    double = tf.function(lambda x: x * 2, input_signature=[Spec()])
    assert double([[1, 2]]).dtype == "float32"
    with pytest.raises(TypeError, match="shape"):
        double(tf.ones([3]))


def test_functions_run_eagerly_on_demand(tf: Any) -> None:
    calls = []
    function = tf.function(lambda x: calls.append(1) or x)
    tf.config.run_functions_eagerly(True)
    try:
        for _ in range(3):
            function(tf.ones([1]))
    finally:
        tf.config.run_functions_eagerly(False)
    assert len(calls) == 3


def test_loops_and_conditions_in_functions(tf: Any) -> None:
    @tf.function
    def run(x: Any) -> Any:
        _, total = tf.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s * x), [0, x])
        return total + tf.cond(x > 1, lambda: x, lambda: -x) + tf.reduce_sum(
            tf.map_fn(lambda r: r * x, tf.ones([3]))
        )  # fmt: skip

    assert float(run(tf.constant(2.0))) == 64 + 2 + 6

    def power(x: Any) -> Any:
        body = lambda s: [s * x]  # noqa: E731
        return tf.while_loop(lambda s: s < 9.0, body, [x], maximum_iterations=8)[0]

    limited = tf.function(jax.grad(power))
    assert float(limited(tf.constant(2.0))) == 4 * 2**3


def test_dropout_is_drawn_anew_in_each_step(tf: Any) -> None:
    layer, x = tf.keras.layers.Dropout(0.5), tf.ones([4, 32])
    draws = []
    for _ in range(2):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        gradient = tape.gradient(y, x)
        assert np.array_equal(gradient, y)  # the factor of each element is its gradient
        draws.append(np.asarray(y))
    assert not np.array_equal(*draws)


def test_settings_changed_between_tapes_count(tf: Any) -> None:
    layer, x = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"), tf.ones([1, 2])
    layer(x)

    def gradient() -> Any:
        with tf.GradientTape() as tape:
            y = layer(x)
        return tape.gradient(y, layer.trainable_variables)

    assert len(gradient()) == 1
    layer.trainable = False
    assert gradient() == []
    layer.trainable = True
    layer.activation = tf.keras.activations.get("relu")
    layer.kernel.assign(-tf.ones([2, 1]))
    assert np.asarray(gradient()[0]).tolist() == [[0], [0]]


def test_printing_and_keeping_in_call_see_values(tf: Any) -> None:
    class Kept(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = tf.keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            self.__dict__["hidden"] = self.dense(x)
            return self.hidden * 2 if float(tf.reduce_sum(x)) > 0 else self.hidden

    model = Kept()
    with tf.GradientTape() as tape:
        y = model(tf.ones([1, 3]))
    assert tape.gradient(y, model.hidden).numpy().tolist() == [[2, 2]]


def test_tape_says_what_is_wrong(tf: Any) -> None:
    x = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        with pytest.raises(ValueError, match="records already"):
            tape.__enter__()
        with pytest.raises(ValueError, match="convert_to_tensor"):
            tape.watch(1.0)
        with pytest.warns(UserWarning, match="floating-point"):
            tape.watch(tf.constant(1))
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(y, x)
    with pytest.raises(ValueError, match="with"), tape.stop_recording():
        pass
    with pytest.raises(ValueError, match="same number of rows"), tf.GradientTape() as tape:
        tape.batch_jacobian(tf.ones([2, 1]), tf.ones([3, 1]))


def test_tape_leaves_nothing_behind_after_an_error(tf: Any) -> None:
    with pytest.raises(ZeroDivisionError), tf.GradientTape():
        1 / 0  # noqa: B018
    assert hb.core.tape_trace.tape_trace() is None


def test_variables(tf: Any) -> None:
    v = tf.Variable([[1.0, 2.0]], name="v", dtype=tf.float32)
    assert v.shape.as_list() == [1, 2]
    assert v.dtype == tf.float32
    assert isinstance(v, tf.Variable)
    kept = v.read_value()
    assert v.assign_add([[1.0, 1.0]]).assign_sub([[0.5, 0.5]]).numpy().tolist() == [[1.5, 2.5]]
    assert kept.numpy().tolist() == [[1, 2]]
    assert v.scatter_nd_add([[0, 1]], [1.0]).numpy().tolist() == [[1.5, 3.5]]
    assert tf.Variable(lambda: tf.zeros([2])).numpy().tolist() == [0, 0]
    with pytest.raises(ValueError, match="shape"):
        v.assign([1.0])


def test_tensors_have_tensorflows_methods_while_installed(tf: Any) -> None:
    x = tf.constant([[1.0, 2.0]])
    assert x.shape.as_list() == x.get_shape().as_list() == [1, 2]
    assert isinstance(x.numpy(), np.ndarray)
    assert isinstance(x, tf.Tensor)
    assert not isinstance(np.ones(1), tf.Tensor)
    assert (x * [3.0, 4.0]).numpy().tolist() == [[3, 8]]
    symbolic = tf.keras.Input((4,))
    assert symbolic.shape.as_list() == [None, 4]
    assert isinstance(symbolic, tf.Tensor)
    assert tf.is_tensor(x)
    assert {x.ref(): 1}[x.ref()] == 1
    assert all(
        type(f(x)) in (np.ndarray, np.float32) for f in (np.squeeze, np.sum, np.max, np.round)
    )
    assert isinstance(x.squeeze(), tf.Tensor)
    with pytest.raises(AttributeError, match=r"tf\.print"):
        jax.jit(lambda x: x.numpy())(x)


def test_functional_models_of_tf_functions(tf: Any) -> None:
    inputs = tf.keras.Input((4,))
    x = tf.concat([inputs, tf.nn.relu(inputs) * 2], axis=-1)
    x = tf.reshape(x, [tf.shape(x)[0], 2, 4])
    outputs = tf.reduce_sum(tf.square(x), axis=[1, 2]) + tf.reduce_mean(inputs, 1)
    model = tf.keras.Model(inputs, outputs)
    a = np.array([[1.0, -1.0, 2.0, 0.0]], "float32")
    assert float(model(a)[0]) == 6 + 4 * 5 + 0.5
    flat = tf.keras.layers.Lambda(lambda x: tf.reshape(x, (tf.shape(x)[0], -1)))
    assert flat(tf.keras.Input((2, 3))).shape == (None, 6)


def test_dtypes(tf: Any) -> None:
    assert tf.float32.name == "float32"
    assert tf.as_dtype(np.int64) == tf.int64
    assert tf.uint8.max == 255
    assert tf.float16.is_floating
    assert not tf.string.is_integer
    assert np.zeros(1, tf.int32).dtype == np.int32
    assert tf.zeros([1], tf.float16).dtype == tf.float16
    assert tf.int32.as_numpy_dtype is np.int32
    assert repr(tf.bool) == "tf.bool"


def test_checks(tf: Any) -> None:
    tf.debugging.assert_equal([1, 2], [1, 2])
    tf.debugging.assert_near([1.0], [1.0000001])
    tf.debugging.assert_shapes([(tf.ones([2, 3]), ("n", 3)), (tf.ones([2]), ("n",))])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"why assert_less failed for array"):
        tf.debugging.assert_less([1, 2], [2, 2], message="why")
    with pytest.raises(ValueError, match="expected 1"):
        tf.debugging.assert_rank(tf.ones([2, 3]), 1)
    with pytest.raises(ValueError, match="assert_all_finite"):
        tf.debugging.assert_all_finite(tf.constant([np.nan]), "bad")


def test_random_draws(tf: Any) -> None:
    tf.random.set_seed(3)
    first = tf.random.normal([4, 2], seed=1)
    assert first.dtype == tf.float32
    assert not np.array_equal(first, tf.random.normal([4, 2], seed=1))
    tf.random.set_seed(3)
    assert np.array_equal(first, tf.random.normal([4, 2], seed=1))
    x = np.asarray(tf.random.normal([4000], mean=2.0, stddev=3.0))
    assert abs(x.mean() - 2) < 0.3
    assert abs(x.std() - 3) < 0.2
    u = np.asarray(tf.random.uniform([4000], -1.0, 3.0))
    assert -1 <= u.min() < -0.9
    assert 2.9 < u.max() < 3
    assert set(np.asarray(tf.random.uniform([200], 1, 4, tf.int32)).tolist()) == {1, 2, 3}
    assert abs(np.asarray(tf.random.truncated_normal([1000]))).max() <= 2
    assert tf.random.gamma([500], [1.0, 4.0], 2.0).shape == (500, 2)
    assert abs(float(tf.reduce_mean(tf.random.poisson([2000], 3.0))) - 3) < 0.3
    drawn = tf.random.categorical(tf.math.log([[0.01, 0.99], [0.99, 0.01]]), 200)
    assert np.asarray(drawn).mean(1).round().tolist() == [1, 0]
    assert sorted(np.asarray(tf.random.shuffle(tf.range(9))).tolist()) == list(range(9))
    same = [np.asarray(tf.random.stateless_uniform([3], seed=[1, 2])) for _ in range(2)]
    assert np.array_equal(*same)
    generators = [tf.random.Generator.from_seed(5).normal([3]) for _ in range(2)]
    assert np.array_equal(*generators)


def test_devices_scopes_and_strategies(tf: Any) -> None:
    assert tf.config.list_logical_devices("CPU")[0].name == "/device:CPU:0"
    tf.config.experimental.set_memory_growth(tf.config.list_physical_devices()[0], True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strategy = tf.distribute.MirroredStrategy()
    with strategy.scope(), tf.device("/GPU:7"), tf.name_scope("outer"):
        dense = tf.keras.layers.Dense(1)
    assert strategy.run(lambda x: x + 1, args=(1,)) == 2
    assert dense(tf.ones([1, 1])).shape == (1, 1)
    assert strategy.num_replicas_in_sync == 1


def test_what_is_absent_says_the_way_round(tf: Any) -> None:
    with pytest.raises(RuntimeError, match="operations run at once"):
        tf.compat.v1.disable_eager_execution()
    with pytest.raises(RuntimeError, match="numpy"), tf.compat.v1.Session() as session:
        session.run([])
    with pytest.raises(RuntimeError, match="GradientTape"):
        tf.gradients(1, 2)
    with pytest.raises(AttributeError, match="model.save"):
        _ = tf.saved_model.save
    with pytest.raises(AttributeError, match="no 'tensorflow.no_such_function'"):
        _ = tf.no_such_function
    tf.compat.v1.set_random_seed(1)


def test_python_and_numpy_functions(tf: Any) -> None:
    x = tf.constant([1.0, 2.0])
    assert tf.py_function(lambda a: [a + 1, 3], [x], [tf.float32, tf.int32])[1].numpy() == 3
    with pytest.raises(ValueError, match="pure_callback"):
        jax.jit(lambda x: tf.numpy_function(np.sin, [x], tf.float32))(x)


def test_printing(tf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    tf.print("sum:", tf.constant([1, 2]), [tf.constant(1.5)], output_stream="file://stdout")
    assert capsys.readouterr().out == "sum: [1 2] [1.5]\n"
