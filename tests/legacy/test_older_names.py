"""Names and behaviour of Keras 1 and 2 beside layers and files; values are those of tf_keras."""

import inspect
import io

import cloudpickle
import joblib
import numpy as np
import pytest

import hornbeam as hb
from hornbeam import legacy
from hornbeam.legacy import backend as K
from hornbeam.legacy.enqueuers import GeneratorEnqueuer, OrderedEnqueuer
from hornbeam.legacy.helpers import HDF5Matrix, TimedThread, multi_gpu_model
from hornbeam.legacy.internals import engine
from hornbeam.legacy.internals.testing import TestCase
from hornbeam.legacy.keras2_layers import (
    DenseFeatures,
    RandomFourierFeatures,
    RandomHeight,
    RandomWidth,
)
from hornbeam.legacy.metrics import MeanRelativeError, MeanTensor
from hornbeam.legacy.parts import RadialConstraint, Reduction
from hornbeam.legacy.sidecar import SidecarEvaluator, SidecarEvaluatorModelExport


@pytest.fixture
def model():
    x = hb.Input((4,), name="x")
    hidden = hb.layers.Dense(3, name="hidden")(x)
    return hb.Model(x, hb.layers.Dense(2, name="end")(hidden))


# --- layers ---------------------------------------------------------------------------------------


def test_the_calls_of_a_layer():
    layer = hb.layers.Dense(3, name="shared")
    with pytest.raises(RuntimeError, match="never called with a symbolic tensor"):
        layer.get_input_at(0)
    assert not hasattr(layer, "output_shape")
    masked = hb.layers.Masking()(hb.Input((4, 5)))
    outputs = [layer(x) for x in (hb.Input((4, 5)), masked, hb.Input((2, 5), batch_size=6))]
    assert [layer.get_output_at(i) is y for i, y in enumerate(outputs)] == [True] * 3
    assert layer.get_input_at(1) is masked
    assert layer.get_input_shape_at(2) == (6, 2, 5)
    assert layer.get_output_shape_at(-1) == (6, 2, 3)
    assert (layer.input_shape, layer.output_shape) == ((None, 4, 5), (None, 4, 3))
    assert layer.get_input_mask_at(0) is None
    assert layer.get_input_mask_at(1).shape == layer.get_output_mask_at(1).shape == (None, 4)
    with pytest.raises(ValueError, match="node 3, but it has 3 nodes"):
        layer.get_output_at(3)
    spec = layer.compute_output_signature(hb.KerasTensor((None, 5)))
    assert (spec.shape, spec.dtype) == ((None, 3), "float32")
    called = []
    layer.add_update([lambda: called.append(1), None])
    assert called == [1]
    assert masked._keras_shape == (None, 4, 5)
    masked._keras_shape = (2, 4, 5)  # layers of Keras 1 set it
    assert masked._keras_shape == (2, 4, 5)
    layer.input_mask = "own"  # subclasses may use the names
    assert layer.input_mask == "own"


def test_whether_training_matters(model):
    assert not model.uses_learning_phase
    assert hb.Sequential([hb.Sequential([hb.layers.Dropout(0.5)])]).uses_learning_phase
    assert hb.layers.BatchNormalization().uses_learning_phase


def test_a_stack_that_begins_with_an_embedding_takes_rows_of_any_length():
    stack = hb.Sequential([hb.layers.Embedding(5, 3), hb.layers.Dense(2)])
    stack.build()
    assert stack.output_shape == (None, None, 2)
    assert stack.count_params() == 23


def test_nodes_know_their_neighbours(model):
    hidden, end = model.get_layer("hidden"), model.get_layer("end")
    (node,) = hidden.inbound_nodes
    assert node.outbound_layer is node.layer is hidden
    assert [n.operation for n in hidden.outbound_nodes] == [end]
    assert end.inbound_nodes[0].parent_nodes == [node]
    assert end.inbound_nodes[0].inbound_layers is hidden
    assert node.output_shapes == (None, 3)
    assert list(model._nodes_by_depth) == [2, 1, 0]
    assert model._nodes_by_depth[1] == [node]
    assert model._operations_by_depth[0] == [end]
    assert model._network_nodes == {"x_ib-0", "hidden_ib-0", "end_ib-0"}
    nodes, by_depth, layers, _ = engine.map_graph_network(model.inputs, model.outputs)
    assert (len(nodes), len(by_depth), layers[-1]) == (3, 3, end)
    again = cloudpickle.loads(cloudpickle.dumps(model))
    assert len(again.get_layer("hidden").inbound_nodes) == 1


def test_models_describe_themselves(model):
    assert sorted(model.get_weight_paths()) == [
        "end.bias", "end.kernel", "hidden.bias", "hidden.kernel",
    ]  # fmt: skip
    assert model.get_weight_paths()["end.kernel"] is model.get_layer("end").kernel
    ((spec,), named) = model.save_spec(dynamic_batch=False)
    assert (spec.shape, named) == ((None, 4), {})
    again = hb.models.model_from_yaml(model.to_yaml())
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


class Twice(hb.layers.Layer):
    def call(self, a, b):
        return hb.ops.concatenate([a, b], -1)

    def compute_output_shape(self, a_shape, b_shape):
        assert super().compute_output_shape(a_shape, b_shape) == (*a_shape[:-1], 7)
        return (*a_shape[:-1], a_shape[-1] + b_shape[-1])


def test_shapes_by_position_and_by_name():
    a, b = hb.Input((3,)), hb.Input((4,))
    assert Twice()(a, b).shape == Twice()(b=b, a=a).shape == (None, 7)
    attention = hb.layers.MultiHeadAttention(2, 3)
    shapes = {"value_shape": (None, 5, 6), "query_shape": (None, 4, 8)}
    assert attention.compute_output_shape(**shapes) == (None, 4, 8)
    assert hb.layers.Dense(2).compute_output_shape(input_shape=(None, 3)) == (None, 2)


def test_masks_by_older_names():
    layer = hb.layers.Dropout(0.5)
    assert layer.compute_mask(None, mask=3) == layer.compute_mask(None, 3) == 3
    layer.add_loss(losses=2.0)
    assert layer.losses == [2.0]


def test_attention_has_keras_attributes():
    layer, x = hb.layers.MultiHeadAttention(2, 3), np.ones((1, 4, 6), "float32")
    y, scores = layer(x, x, return_attention_scores=True, use_causal_mask=True)
    q, k, v = (d(x) for d in (layer._query_dense, layer._key_dense, layer._value_dense))
    mask = layer._compute_attention_mask(x, x, use_causal_mask=True)
    out, weights = layer._compute_attention(q, k, v, mask, return_attention_scores=True)
    np.testing.assert_allclose(weights, scores, rtol=1e-5)
    np.testing.assert_allclose(layer._output_dense(out), y, rtol=1e-4, atol=1e-6)
    assert (layer._num_heads, layer._key_dim) == (2, 3)


def test_random_sizes():
    images = np.arange(2 * 8 * 6, dtype="float32").reshape(2, 8, 6, 1)
    for layer, axis in ((RandomHeight((0.5, 0.5)), 1), (RandomWidth((0.5, 0.5)), 2)):
        sizes = [2, 8, 6, 1]
        assert layer(images).shape == tuple(sizes)
        sizes[axis] = int(sizes[axis] * 1.5)
        assert layer(images, training=True).shape == tuple(sizes)
        again = hb.layers.deserialize(hb.layers.serialize(layer))
        assert list(again.factor) == [0.5, 0.5]
    with pytest.raises(ValueError, match="RandomHeight: `factor`"):
        RandomHeight(-2.0)
    with pytest.raises(NotImplementedError, match="FeatureSpace"):
        DenseFeatures([])


def test_random_features_approximate_a_kernel():
    hb.utils.set_random_seed(0)
    layer = RandomFourierFeatures(4000, scale=2.0)
    x = np.array([[0.0, 0.0], [1.0, 0.5]], "float32")
    a, b = layer(x)
    np.testing.assert_allclose(2 * np.mean(a * b), np.exp(-1.25 / 8), atol=0.05)


# --- parts ----------------------------------------------------------------------------------------


def test_radial_constraint():
    for size, row in ((5, [18, 12, 6, 12, 18]), (4, [15, 5, 5, 15]), (3, [4, 0, 4])):
        w = np.arange(float(size**2)).reshape(size, size, 1, 1)
        assert RadialConstraint()(w)[size // 2, :, 0, 0].tolist() == row
    with pytest.raises(ValueError, match="square window"):
        RadialConstraint()(np.ones((3, 4, 1, 1)))


def test_reductions():
    assert Reduction.all() == ("auto", "none", "sum", "sum_over_batch_size")
    assert hb.losses.MeanSquaredError(reduction=Reduction.AUTO).reduction == "sum_over_batch_size"
    with pytest.raises(ValueError, match="'mean'"):
        Reduction.validate("mean")


def test_metrics():
    mean = MeanTensor()
    with pytest.raises(ValueError, match="before the first"):
        mean.result()
    mean.update_state([[1.0, 2.0], [3.0, 4.0]], sample_weight=[1.0, 0.0])
    mean.update_state([[5.0, 6.0], [7.0, 8.0]])
    assert mean.result().tolist() == [[3.0, 4.0], [7.0, 8.0]]
    with pytest.raises(ValueError, match="shape"):
        mean.update_state([1.0])
    error = MeanRelativeError(normalizer=[1, 3, 2, 3])
    error.update_state([1, 3, 2, 3], [2, 4, 6, 8])
    assert float(error.result()) == 1.25
    again = hb.metrics.deserialize(hb.metrics.serialize(error))
    assert again.normalizer.tolist() == [1.0, 3.0, 2.0, 3.0]


def test_a_metric_was_a_layer():
    metrics = [hb.metrics.Mean() for _ in range(3)]
    for number, metric in enumerate(metrics):
        metric.update_state([float(number)])
    first, *others = metrics
    first.merge_state(others)
    assert float(first.result()) == 1.0
    assert [w.item() for w in first.get_weights()] == [3.0, 3.0]
    others[0].set_weights(first.get_weights())
    store = {}
    others[0].save_own_variables(store)
    others[1].load_own_variables(store)
    assert (float(others[1].result()), first.count_params()) == (1.0, 2)
    assert first.compute_output_shape(None) == ()
    with pytest.raises(RuntimeError, match="never called"):
        first.get_input_at(0)
    with pytest.raises(NotImplementedError, match="layer or of the model"):
        first.add_loss(1.0)


def test_a_metric_may_return_its_variable():
    class Rows(hb.metrics.Metric):
        def __init__(self):
            super().__init__(name="rows")
            self.total = self.add_weight(name="total", initializer="zeros", synchronization=None)

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add(len(y_true))

        def result(self):
            return self.total

    model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Rows()])
    history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0).history
    assert history["rows"] == [4.0, 4.0]


@pytest.mark.parametrize("family", ["layers", "losses", "metrics", "initializers", "regularizers",
                                    "constraints", "optimizers", "activations"])  # fmt: skip
def test_the_format_of_keras_2(family):
    module = getattr(hb, family)
    part = {
        "layers": hb.layers.Dense(2), "losses": hb.losses.Huber(), "metrics": hb.metrics.Mean(),
        "initializers": hb.initializers.Constant(2.0), "regularizers": hb.regularizers.L2(0.5),
        "constraints": hb.constraints.MaxNorm(3), "optimizers": hb.optimizers.SGD(0.5),
        "activations": hb.activations.tanh,
    }[family]  # fmt: skip
    config = module.serialize(part, use_legacy_format=True)
    assert "module" not in str(config)
    again = module.deserialize(config, use_legacy_format=True)
    assert module.serialize(again, use_legacy_format=True) == config


# --- optimizers -----------------------------------------------------------------------------------


def test_minimize_and_its_steps():
    weight = hb.Variable(3.0)
    optimizer = hb.optimizers.SGD(0.25)
    ((gradient, variable),) = optimizer.compute_gradients(lambda: weight * weight, lambda: [weight])
    assert (float(gradient), variable) == (6.0, weight)
    optimizer.minimize(lambda: weight * weight, var_list=[weight], name="step")
    assert float(weight.numpy()) == 1.5
    pairs = optimizer.aggregate_gradients([(1.0, weight)])
    optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)
    assert float(weight.numpy()) == 1.25
    with pytest.raises(ValueError, match="`tape`"):
        optimizer.minimize(3.0, [weight])
    hb.optimizers.Adam().build(var_list=[weight])


def test_numbers_of_own_optimizers_change_compiled_steps():
    class Own(hb.optimizers.Optimizer):
        def __init__(self, factor=1.0, name="Own", **kwargs):
            super().__init__(name, **kwargs)
            self._set_hyper("learning_rate", 0.1)
            self._set_hyper("factor", factor)

        def _resource_apply_dense(self, grad, var):
            var.assign_sub(self._decayed_lr("float32") * self._get_hyper("factor") * 0 + 1.0)

        def _create_slots(self, var_list):
            for variable in var_list:
                self.add_slot(variable, "slot", "ones")

    optimizer = Own(factor=2.0, clipnorm=1.0)
    weight = hb.Variable([3.0])
    optimizer.apply_gradients([(np.ones(1, "float32"), weight)])
    assert weight.numpy().tolist() == [2.0]
    assert optimizer.get_slot(weight, "slot").numpy().tolist() == [1.0]
    assert (optimizer.get_slot_names(), optimizer.name, optimizer.clipnorm) == (["slot"], "Own", 1)
    optimizer.factor = 5.0
    assert float(optimizer._get_hyper("factor")) == optimizer._serialize_hyperparameter("factor")


# --- backend --------------------------------------------------------------------------------------


def test_functions_with_updates():
    x, w = K.placeholder((None, 3)), K.variable(np.ones((3, 2)))
    loss = K.mean(K.square(K.dot(x, w)))
    counter = K.variable(0.0)
    updates = [*hb.optimizers.SGD(0.01).get_updates(loss, [w]), (counter, counter + K.sum(x))]
    step = K.function([x], [loss], updates=updates)
    ones = np.ones((4, 3), "float32")
    losses = [float(step([ones])[0]) for _ in range(3)]
    np.testing.assert_allclose(losses, [9.0, 8.4681, 7.96764], rtol=1e-4)
    assert float(K.get_value(counter)) == 36.0
    slope = K.function([x], K.gradients(loss, w))([ones])[0]
    found, grads = hb.value_and_grad(lambda: hb.ops.mean(hb.ops.matmul(ones, w) ** 2), [w])
    np.testing.assert_allclose(slope, grads[0], rtol=1e-5)
    session = K.get_session()
    value, array = session.run([loss, w], feed_dict={x: ones})
    np.testing.assert_allclose(value, found, rtol=1e-5)
    array[0] = 0.0  # a copy
    with pytest.raises(TypeError, match="Session.run"):
        session.run("loss")
    with pytest.raises(ValueError, match="symbolic `loss`"):
        K.gradients(3.0, w)


def test_older_words_of_the_backend():
    assert K.random_normal((2,), std=0.0, mean=1.0).tolist() == [1.0, 1.0]
    assert K.random_uniform((3,), low=2.0, high=2.0).tolist() == [2.0] * 3
    x = np.arange(32, dtype="float32").reshape(1, 1, 4, 8)
    pooled = K.pool2d(x, (2, 2), (2, 2), border_mode="valid", dim_ordering="th")
    assert pooled.shape == (1, 1, 2, 4)
    value = K.get_value(K.variable([1.0]))
    value[0] = 2.0
    row = K.local_conv1d(np.ones((1, 3, 2)), np.ones((2, 4, 5)), (2,), (1,))
    assert (row.shape, float(row[0, 0, 0])) == ((1, 2, 5), 4.0)
    y = K.local_conv2d(np.ones((1, 1, 3, 3)), np.ones((4, 4, 5)), (2, 2), (1, 1), (2, 2),
                       "channels_first")  # fmt: skip
    assert (y.shape, float(y[0, 0, 0, 0])) == ((1, 5, 2, 2), 4.0)


# --- helpers --------------------------------------------------------------------------------------


def test_enqueuers_raise_what_a_thread_raised():
    enqueuer = OrderedEnqueuer([1, 2, 3], shuffle=True)
    enqueuer.start(workers=2, max_queue_size=2)
    batches = enqueuer.get()
    assert sorted(next(batches) for _ in range(3)) == [1, 2, 3]
    enqueuer.stop()
    assert not enqueuer.is_running()

    def broken():
        yield 1
        raise KeyError("lost")

    enqueuer = GeneratorEnqueuer(broken())
    enqueuer.start()
    with pytest.raises(KeyError, match="lost"):
        list(enqueuer.get())


def test_rows_of_a_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = np.arange(12.0).reshape(6, 2)
    rows = HDF5Matrix(tmp_path / "data.h5", "x", start=1, end=5, normalizer=lambda x: x / 2)
    assert (len(rows), rows.shape, rows[0].tolist()) == (4, (4, 2), [1.0, 1.5])
    assert rows[[3, 0]][:, 0].tolist() == [4.0, 1.0]
    assert np.asarray(rows).sum() == rows[0:4].sum()
    with pytest.raises(IndexError, match="4 rows"):
        rows[4]


def test_a_sidecar_evaluates_each_checkpoint(tmp_path, model):
    model.compile("sgd", "mse")
    model.save_weights(tmp_path / "a.weights.h5")
    data = np.ones((4, 4)), np.ones((4, 2))
    export = SidecarEvaluatorModelExport(tmp_path / "best.keras", None)
    evaluator = SidecarEvaluator(
        model,
        hb.data.Dataset.from_tensor_slices(data).batch(4),
        tmp_path,
        max_evaluations=1,
        callbacks=[export],
    )
    (results,) = evaluator.start()
    assert results["loss"] == export.best
    assert (tmp_path / "best.keras").exists()


def test_small_helpers(model):
    assert multi_gpu_model(model, gpus=1) is model
    with pytest.warns(UserWarning, match="DataParallel"):
        multi_gpu_model(model, gpus=2)
    calls = []

    class Ticks(TimedThread):
        def on_interval(self):
            calls.append(1)
            self.stop()

    with Ticks(0.01) as thread:
        thread.join()
    assert calls == [1]
    assert legacy.saving.serialize_keras_object(None) is None


class TestOfTests(TestCase):
    def test_assertions(self):
        self.assertAllClose([1.0, 2.0], np.array([1.0, 2.0]))
        self.assertNotAllClose(1.0, 2.0)
        self.run_layer_test(
            hb.layers.Dense, {"units": 3}, input_shape=(2, 4), expected_output_shape=(2, 3),
            expected_num_trainable_weights=2, expected_output_dtype="float32",
        )  # fmt: skip


# --- behaviour ------------------------------------------------------------------------------------


def test_constructors_show_their_arguments():
    for cls in (hb.optimizers.Adam, hb.optimizers.SGD, hb.optimizers.Lion):
        assert {"clipnorm", "use_ema", "name"} <= set(inspect.signature(cls).parameters)
    assert list(inspect.signature(hb.losses.Loss).parameters) == ["name", "reduction", "dtype"]
    assert "kernel_size" in inspect.signature(hb.layers.Convolution2D).parameters


def test_symbolic_tensors_have_no_length():
    assert not hasattr(hb.Input((2,)), "__len__")


def test_callback_lists_without_logs():
    seen = []

    class Record(hb.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, logs))

    callbacks = hb.callbacks.CallbackList([Record()])
    callbacks.on_epoch_end(0)
    callbacks.on_epoch_end(1, None)
    callbacks.on_epoch_end(epoch=2, logs={"loss": 1.0})
    assert seen == [(0, {}), (1, {}), (2, {"loss": 1.0})]


def test_results_of_one_batch_or_of_all():
    model = hb.Sequential([hb.Input((2,)), hb.layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    x = np.ones((1, 2))
    assert model.test_on_batch(x, [[1.0]]) == 1.0
    assert model.test_on_batch(x, [[3.0]], reset_metrics=False) == 5.0
    assert model.test_on_batch(x, [[3.0]]) == 9.0


def test_copies_by_other_libraries(model):
    x = np.ones((2, 4), "float32")
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    np.testing.assert_array_equal(joblib.load(file)(x), model(x))
    function = cloudpickle.loads(cloudpickle.dumps(lambda x: hb.ops.sum(model(x))))
    assert function(x) == hb.ops.sum(model(x))
