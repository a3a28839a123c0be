"""compile, fit, evaluate and predict against Keras: equal histories from equal weights."""

import threading
import warnings

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb

# Keras's variables do not support NumPy 2's `copy` argument.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword"
)

R = np.random.RandomState(0)
N = 14
X = R.randn(N, 5).astype("float32")
SERIES = R.randn(N, 4, 5).astype("float32")
CLASSES = R.randint(0, 3, N)
ONE_HOT = np.eye(3, dtype="float32")[CLASSES]
YES = R.randint(0, 2, (N, 1)).astype("float32")
LABELS = R.randint(0, 2, (N, 3)).astype("float32")
NUMBERS = R.randn(N, 2).astype("float32")
STEPS = R.randn(N, 4, 2).astype("float32")
WEIGHT = R.rand(N).astype("float32") + 0.1
STEP_WEIGHT = R.rand(N, 4).astype("float32")


def stack(units, activation=None, shape=(5,), **first):
    """Return a recipe of a network with one hidden layer."""
    return lambda k: k.Sequential(
        [
            k.Input(shape),
            k.layers.Dense(4, activation="tanh", **first),
            k.layers.Dense(units, activation=activation),
        ]
    )


def branches(k):
    """Return a model with two inputs and two outputs."""
    a, b = k.Input((5,), name="a"), k.Input((2,), name="b")
    h = k.layers.Concatenate()([k.layers.Dense(3, activation="tanh", name="h")(a), b])
    kind = k.layers.Dense(3, activation="softmax", name="kind")(h)
    return k.Model([a, b], [kind, k.layers.Dense(2, name="size")(h)])


def named(k):
    """Return a model with named inputs and outputs."""
    a = k.Input((5,), name="a")
    outputs = {
        "yes": k.layers.Dense(1, activation="sigmoid", name="yes")(a),
        "size": k.layers.Dense(2, name="size")(a),
    }
    return k.Model({"a": a}, outputs)


BOTH = ["categorical_crossentropy", "mse"]
TWO = {"x": [X, NUMBERS], "y": [ONE_HOT, NUMBERS]}
SPARSE = {"loss": "sparse_categorical_crossentropy"}
# name: (recipe, arguments of compile, arguments of fit)
CASES = {
    "regression": (stack(2), {"loss": "mse", "metrics": ["mae", "mse"]}, {"x": X, "y": NUMBERS}),
    "classes": (
        stack(3, "softmax"), {"loss": "categorical_crossentropy",
            "metrics": ["accuracy", "precision", "recall", "auc"]},
        {"x": X, "y": ONE_HOT, "validation_split": 0.3}),
    "sparse": (
        stack(3, "softmax"), {**SPARSE, "metrics": ["acc", "sparse_categorical_crossentropy"]},
        {"x": X, "y": CLASSES, "validation_data": (X[:6], CLASSES[:6]), "validation_freq": 2}),
    "sparse_column": (stack(3, "softmax"), {**SPARSE, "metrics": ["accuracy"]},
        {"x": X, "y": CLASSES[:, None]}),
    "binary": (
        stack(1, "sigmoid"), {"loss": "binary_crossentropy",
            "metrics": ["accuracy", "Precision", "Recall", "AUC"]},
        {"x": X, "y": YES, "sample_weight": WEIGHT}),
    "objects": (
        stack(3), {"loss": lambda k: k.losses.CategoricalCrossentropy(from_logits=True,
            label_smoothing=0.1),
            "metrics": lambda k: [k.metrics.F1Score(average="macro"),
                k.metrics.CategoricalAccuracy(name="good")],
            "optimizer": lambda k: k.optimizers.Adam(0.01)}, {"x": X, "y": ONE_HOT}),
    "functions": (
        stack(2), {"loss": lambda k: k.losses.huber,
            "metrics": lambda k: [k.metrics.mean_squared_error],
            "optimizer": lambda k: k.optimizers.RMSprop(0.01)}, {"x": X, "y": NUMBERS}),
    "weighted": (
        stack(3, "softmax"), {**SPARSE, "metrics": ["accuracy"], "weighted_metrics": ["accuracy"]},
        {"x": X, "y": CLASSES, "sample_weight": WEIGHT, "validation_data": (X, CLASSES, WEIGHT)}),
    "class_weight_sparse": (stack(3, "softmax"), SPARSE,
        {"x": X, "y": CLASSES, "class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}),
    "class_weight_one_hot": (
        stack(3, "softmax"), {"loss": "categorical_crossentropy", "weighted_metrics": ["accuracy"]},
        {"x": X, "y": ONE_HOT, "class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}),
    "temporal": (stack(2, shape=(4, 5)), {"loss": "mse"},
        {"x": SERIES, "y": STEPS, "sample_weight": STEP_WEIGHT}),
    "penalties": (
        stack(2, kernel_regularizer="l2", activity_regularizer="l1"),
        {"loss": "mae", "loss_weights": [0.5]}, {"x": X, "y": NUMBERS}),
    "two_outputs": (branches, {"loss": BOTH, "metrics": [["accuracy"], ["mae"]],
        "loss_weights": [1.0, 0.3]}, TWO),
    "two_outputs_named": (
        branches, {"loss": {"kind": BOTH[0], "size": "mse"},
            "metrics": {"kind": ["accuracy"], "size": "mae"}},
        {"x": {"a": X, "b": NUMBERS}, "y": {"kind": ONE_HOT, "size": NUMBERS},
            "validation_split": 0.3}),
    "two_outputs_weights": (branches, {"loss": BOTH},
        {**TWO, "sample_weight": [WEIGHT, WEIGHT[::-1].copy()]}),
    "one_loss_of_two": (branches, {"loss": {"kind": None, "size": "mse"}}, TWO),
    "dict_outputs": (
        named, {"loss": {"yes": "binary_crossentropy", "size": "mse"},
            "loss_weights": {"yes": 2.0, "size": 1.0}},
        {"x": {"a": X}, "y": {"yes": YES, "size": NUMBERS},
            "sample_weight": {"yes": WEIGHT, "size": WEIGHT}}),
    "steps_per_epoch": (stack(2), {"loss": "mse"},
        {"x": X, "y": NUMBERS, "steps_per_epoch": 2, "initial_epoch": 1}),
    "steps_per_execution": (stack(2), {"loss": "mse", "steps_per_execution": 2},
        {"x": X, "y": NUMBERS}),
    "run_eagerly": (stack(2), {"loss": "mse", "run_eagerly": True}, {"x": X[:8], "y": NUMBERS[:8]}),
    "adamw": (stack(2), {"loss": "mse", "optimizer": lambda k: k.optimizers.AdamW(0.01)},
        {"x": X, "y": NUMBERS}),
}  # fmt: skip


def start(k, recipe, compile_arguments):
    """Return the compiled model, with weights that do not depend on the library."""
    k.utils.clear_session(free_memory=False)
    model = recipe(k)
    random = np.random.RandomState(1)
    model.set_weights([random.randn(*w.shape) / 2 for w in model.weights])
    arguments = {"optimizer": lambda k: k.optimizers.SGD(0.1, momentum=0.5), **compile_arguments}
    model.compile(**{n: v(k) if callable(v) else v for n, v in arguments.items()})
    return model


def equal(a, b):
    for x, y in zip(hb.tree.flatten(a), hb.tree.flatten(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-6)


def by_words(logs):
    """Return logs with names that do not depend on numbering ("auc_1" becomes "auc")."""
    return {name.rstrip("_0123456789"): value for name, value in logs.items()}


@pytest.mark.parametrize("name", mostly_slow(CASES, list(CASES)[::6]))
def test_histories(name):
    recipe, compile_arguments, fit_arguments = CASES[name]
    results = []
    for k in (hb, keras):
        model = start(k, recipe, compile_arguments)
        options = {"epochs": 2, "batch_size": 4, "shuffle": False, "verbose": 0}
        history = model.fit(**{**options, **fit_arguments})
        x, y = fit_arguments["x"], fit_arguments["y"]
        weights = (
            {"sample_weight": fit_arguments["sample_weight"]}
            if "sample_weight" in fit_arguments
            else {}
        )
        # The validation's batch size, whose program is already compiled.
        evaluated = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True, **weights)
        results.append([
            {n: np.asarray(v) for n, v in by_words(history.history).items()}, history.epoch,
            by_words(evaluated), model.predict(x, verbose=0), model.get_weights(),
        ])  # fmt: skip
    ours, reference = results
    for i in (0, 2):
        assert set(ours[i]) == set(reference[i])
        for key in reference[i]:
            np.testing.assert_allclose(
                ours[i][key], reference[i][key], rtol=2e-5, atol=2e-6, err_msg=key
            )
    assert ours[1] == reference[1]
    assert type(ours[3]) is type(reference[3])
    equal(ours[3:], reference[3:])


def test_batches_by_hand():
    """train_on_batch, test_on_batch and predict_on_batch."""
    results = []
    for k in (hb, keras):
        model = start(k, stack(3, "softmax"), {**SPARSE, "metrics": ["accuracy"]})
        values = [model.train_on_batch(X, CLASSES) for _ in range(2)]
        values.append(model.train_on_batch(X, CLASSES, sample_weight=WEIGHT))
        values.append(model.train_on_batch(X, CLASSES, class_weight={0: 1.0, 1: 3.0, 2: 1.0}))
        model.reset_metrics()
        values.append(model.test_on_batch(X, CLASSES))
        values.append(model.test_on_batch(X[:4], CLASSES[:4]))
        named = model.train_on_batch(X, CLASSES, return_dict=True)
        values.append([named["loss"], named["accuracy"]])
        values.append(model.evaluate(X, CLASSES, verbose=0))
        results.append([values, model.predict_on_batch(X)])
    equal(*results)


def test_what_data_may_be():
    """JAX arrays, pandas frames and series, lists and generators give the same training."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=list("abcde"))

    def batches():
        while True:
            for i in range(0, 12, 4):
                yield X[i : i + 4], YES[i : i + 4]

    sources = {
        "numpy": {"x": X[:12], "y": YES[:12]},
        "jax": {"x": jnp.asarray(X[:12]), "y": jnp.asarray(YES[:12])},
        "pandas": {"x": frame[:12], "y": pandas.Series(YES[:12, 0])},
        "lists": {"x": X[:12].tolist(), "y": YES[:12].tolist()},
        "float64": {"x": X[:12].astype("float64"), "y": YES[:12].astype("int64")},
        "generator": {"x": batches(), "steps_per_epoch": 3},
    }
    results = {}
    for name, source in sources.items():
        model = start(hb, stack(1, "sigmoid"), {"loss": "binary_crossentropy"})
        options = {} if name == "generator" else {"batch_size": 4}
        results[name] = model.fit(**source, epochs=2, shuffle=False, verbose=0, **options).history[
            "loss"
        ]
    for name, losses in results.items():
        np.testing.assert_allclose(losses, results["numpy"], rtol=1e-6, err_msg=name)


def test_a_seed_gives_the_same_numbers_bit_for_bit():
    def run():
        hb.utils.set_random_seed(7)
        model = hb.Sequential([
            hb.Input((5,)), hb.layers.Dense(8, activation="relu"), hb.layers.Dropout(0.5),
            hb.layers.BatchNormalization(), hb.layers.Dense(3, activation="softmax"),
        ])  # fmt: skip
        model.compile("adam", **SPARSE, metrics=["accuracy"])
        history = model.fit(X, CLASSES, epochs=3, batch_size=4, verbose=0).history
        return history, [w.tobytes() for w in model.get_weights()]

    first, second = run(), run()
    assert first == second


def test_own_steps():
    """A user's train_step, as uncompiled code and in Keras's stateless form."""

    class Plain(hb.Model):
        def __init__(self):
            super().__init__()
            self.dense = hb.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data

            def loss_of_batch():
                return jnp.mean(jnp.square(self(x, training=True) - y))

            loss, gradients = hb.value_and_grad(loss_of_batch, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss, "twice": 2 * loss}

    def stateless(k):
        class Stateless(k.Model):
            def __init__(self):
                super().__init__()
                self.dense = k.layers.Dense(2)

            def call(self, x, training=False):
                return self.dense(x)

            def compute_loss_and_updates(self, trainable, others, x, y):
                import jax

                def loss(trainable):
                    y_pred, _ = self.stateless_call(trainable, others, x, training=True)
                    return jnp.mean(jnp.square(y_pred - y))

                return jax.value_and_grad(loss)(trainable)

            def train_step(self, state, data):
                trainable, others, slots, metrics = state
                x, y = data
                loss, gradients = self.compute_loss_and_updates(trainable, others, x, y)
                trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
                return {"loss": loss, "twice": 2 * loss}, (trainable, others, slots, metrics)

        return Stateless()

    histories = []
    for k, make in ((hb, Plain), (hb, lambda: stateless(hb)), (keras, lambda: stateless(keras))):
        model = make()
        model(X)
        model.set_weights([np.ones(w.shape, "float32") for w in model.weights])
        model.compile(optimizer=k.optimizers.SGD(0.1))
        histories.append(
            model.fit(X, NUMBERS, epochs=2, batch_size=7, shuffle=False, verbose=0).history
        )
    for history in histories[:2]:
        assert set(history) == {"loss", "twice"}
        equal([history["loss"], history["twice"]], [histories[2]["loss"], histories[2]["twice"]])


def test_trainable_switched_after_compile():
    results = []
    for k in (hb, keras):
        model = start(k, stack(2), {"loss": "mse"})
        model.fit(X, NUMBERS, shuffle=False, verbose=0)
        model.layers[0].trainable = False
        model.compile(k.optimizers.SGD(0.1), "mse")
        before = model.layers[0].get_weights()
        model.fit(X, NUMBERS, shuffle=False, verbose=0)
        equal(model.layers[0].get_weights(), before)
        results.append(model.get_weights())
    equal(*results)


def test_a_model_frozen_after_compile_is_trained_as_it_was_compiled():
    """Keras 1 and 2 kept what was trainable in `compile`; GANs were written so."""
    head = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1)], name="judge")
    head.compile("sgd", "mse")
    head.trainable = False
    maker = hb.Sequential([hb.Input((2,)), hb.layers.Dense(3)], name="maker")
    both = hb.Sequential([maker, head])
    both.compile("sgd", "mse")
    before = head.get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head.train_on_batch(np.ones((5, 3)), np.ones((5, 1)))
        trained = head.get_weights()
        assert not np.array_equal(trained[0], before[0])
        both.train_on_batch(np.ones((4, 2)), np.ones((4, 1)))
        equal(head.get_weights(), trained)
        unbuilt = hb.Sequential([hb.layers.Dense(1)])
        unbuilt.compile("sgd", "mse")
        unbuilt.train_on_batch(np.ones((4, 3)), np.ones((4, 1)))
    head.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="Model 'judge': none of its 2 weights.*compile and train"):
        head.train_on_batch(np.ones((4, 3)), np.ones((4, 1)))
    equal(head.get_weights(), trained)


def test_a_new_head_on_a_saved_base(tmp_path):
    """Transfer learning; also, training in two parts with a saved file equals training at once."""
    base = start(hb, stack(4, "tanh"), {"loss": "mse"})
    base.fit(X, R.randn(N, 4), verbose=0)
    base.save(tmp_path / "base.keras")
    base = hb.models.load_model(tmp_path / "base.keras")
    base.trainable = False
    kept = base.get_weights()
    model = hb.Sequential(
        [base, hb.layers.Dense(3, activation="softmax", kernel_initializer="zeros")]
    )
    model.compile(hb.optimizers.Adam(0.05), **SPARSE)
    losses = model.fit(X, CLASSES, epochs=4, verbose=0, shuffle=False).history["loss"]
    assert losses[-1] < losses[0]
    equal(base.get_weights(), kept)

    model.save(tmp_path / "half.keras")
    whole = model.fit(X, CLASSES, epochs=2, verbose=0, shuffle=False).history["loss"]
    again = hb.models.load_model(tmp_path / "half.keras")
    assert again.fit(X, CLASSES, epochs=2, verbose=0, shuffle=False).history["loss"] == whole


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains(policy):
    hb.config.set_dtype_policy(policy)
    model = hb.Sequential(
        [
            hb.Input((5,)),
            hb.layers.Dense(16, activation="relu"),
            hb.layers.Dense(3, dtype="float32"),
        ]
    )
    model.compile("adam", hb.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert isinstance(model.optimizer, hb.optimizers.LossScaleOptimizer) == (
        policy == "mixed_float16"
    )
    losses = model.fit(X, CLASSES, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert {w.dtype for w in model.weights} == {"float32"}
    assert model.layers[0](X).dtype == policy.removeprefix("mixed_")


def test_threads_build_trace_and_predict_at_once():
    expected, results = {}, {}

    def work(i):
        model = hb.Sequential(
            [hb.Input((5,)), hb.layers.Dense(3 + i, activation="tanh"), hb.layers.Dense(2)]
        )
        random = np.random.RandomState(i)
        model.set_weights([random.randn(*w.shape) for w in model.weights])
        w = model.get_weights()
        expected[i] = np.tanh(X @ w[0] + w[1]) @ w[2] + w[3]
        results[i] = [model.predict(X, verbose=0), model(X)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        for y in results[i]:
            np.testing.assert_allclose(y, expected[i], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["plain", "stateless"])
def test_own_steps_that_go_through_the_metrics(form):
    """The metrics of `compile` exist from the first step, with the names given to `compile`."""

    class Plain(hb.Model):
        def train_step(self, data):
            x, y = data

            def loss_of_batch():
                y_pred = self(x, training=True)
                return self.compute_loss(y=y, y_pred=y_pred), y_pred

            (loss, y_pred), gradients = hb.value_and_grad(
                loss_of_batch, self.trainable_variables, has_aux=True
            )
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            for metric in self.metrics:
                metric.update_state(*([loss] if metric.name == "loss" else [y, y_pred]))
            return {metric.name: metric.result() for metric in self.metrics}

    class Stateless(hb.Model):
        def train_step(self, state, data):
            import jax

            trainable, others, slots, metrics = state
            x, y = data

            def loss_of_batch(trainable):
                y_pred, _ = self.stateless_call(trainable, others, x, training=True)
                return self.compute_loss(y=y, y_pred=y_pred), y_pred

            (loss, y_pred), gradients = jax.value_and_grad(loss_of_batch, has_aux=True)(trainable)
            trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
            kept, logs = [], {}
            for metric in self.metrics:
                values = metrics[len(kept) : len(kept) + len(metric.variables)]
                values = metric.stateless_update_state(
                    values, *([loss] if metric.name == "loss" else [y, y_pred])
                )
                logs[metric.name] = metric.stateless_result(values)
                kept += values
            return logs, (trainable, others, slots, kept)

    inputs = hb.Input((5,))
    model = {"plain": Plain, "stateless": Stateless}[form](inputs, hb.layers.Dense(3)(inputs))
    weights = model.get_weights()
    model.compile("sgd", "mse", metrics=["mae", hb.metrics.CosineSimilarity(name="cos")])
    history = model.fit(X, ONE_HOT, epochs=2, verbose=0).history
    usual = hb.Model(inputs, model.output)
    usual.set_weights(weights)
    usual.compile("sgd", "mse", metrics=["mae", hb.metrics.CosineSimilarity(name="cos")])
    expected = usual.fit(X, ONE_HOT, epochs=2, verbose=0).history
    assert list(history) == list(expected) == ["loss", "mae", "cos"]
    for name in history:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-5)


SOFTMAX = stack(3, "softmax")
# (compile arguments, fit arguments, pattern of the message)
BAD = {
    "unknown_loss": ({"loss": "mean_sqared"}, {}, "mean_squared"),
    "unknown_metric": ({"loss": "mse", "metrics": ["acuracy"]}, {}, "accuracy"),
    "unknown_optimizer": ({"optimizer": "adaam", "loss": "mse"}, {}, "adam"),
    "accuracy_as_loss": ({"loss": "accuracy"}, {}, "is a metric.*metrics=\\['accuracy'\\]"),
    "metric_as_loss": ({"loss": hb.metrics.AUC()}, {}, "'AUC', which is a metric"),
    "numpy_loss": ({"loss": np.subtract}, {}, "subtract of numpy, which needs values"),
    "numpy_metric": ({"loss": "mse", "metrics": [np.mean]}, {}, "mean of numpy.*run_eagerly"),
    "numpy_in_a_loss": (
        {"loss": lambda y_true, y_pred: np.log(y_pred)},
        {"x": X, "y": ONE_HOT},
        "the loss 'lambda'.*NumPy function.*hornbeam.ops",
    ),
    "binary_with_several_units": (
        {"loss": "binary_crossentropy"},
        {"x": X, "y": CLASSES % 2},
        "one label each.*sigmoid.*sparse_categorical_crossentropy",
    ),
    "objects": (
        {"loss": "mse"},
        {"x": np.array([[1.0, 2, 3, 4, 5]] * 9 + [[1.0, 2, "?", 4, None]], object), "y": ONE_HOT},
        r"column 2 \(row 9: '\?'\)",
    ),
    "misspelt_fit": ({"loss": "mse"}, {"x": X, "y": ONE_HOT, "epoch": 3}, "mean 'epochs'"),
    "misspelt_compile": ({"loss": "mse", "metric": ["mae"]}, {}, "mean 'metrics'"),
    "class_out_of_range": (SPARSE, {"x": X, "y": CLASSES + 1}, "numbered from 0"),
    "class_negative": (SPARSE, {"x": X, "y": CLASSES - 1}, "from -1"),
    "one_hot_for_sparse": (SPARSE, {"x": X, "y": ONE_HOT}, "argmax|one-hot"),
    "numbers_for_one_hot": (
        {"loss": "categorical_crossentropy"},
        {"x": X, "y": CLASSES},
        "to_categorical",
    ),
    "nan_targets": ({"loss": "mse"}, {"x": X, "y": np.where(ONE_HOT == 1, np.nan, 0)}, "NaN"),
    "empty": ({"loss": "mse"}, {"x": X[:0], "y": ONE_HOT[:0]}, "empty|no rows|0 rows|no samples"),
    "lengths": ({"loss": "mse"}, {"x": X, "y": ONE_HOT[:5]}, "14.*5|5.*14"),
    "wrong_width": ({"loss": "mse"}, {"x": X[:, :4], "y": ONE_HOT}, "5"),
    "wrong_rank": ({"loss": "mse"}, {"x": SERIES[:, :, :4], "y": ONE_HOT}, "dense|sequential"),
    "text": ({"loss": "mse"}, {"x": np.array([["a"] * 5] * N), "y": ONE_HOT}, "dtype|numbers"),
    "ragged": (
        {"loss": "mse"},
        {"x": [[1.0, 2.0], [3.0]], "y": ONE_HOT[:2]},
        "`x` cannot become.*one length",
    ),
    "no_flatten": (
        {"loss": "sparse_categorical_crossentropy"},
        {"x": X[:, None], "y": CLASSES},
        "Flatten|must have shape",
    ),
    "validation_data": (
        {"loss": "mse"},
        {"x": X, "y": ONE_HOT, "validation_data": X},
        "`validation_data`.*targets",
    ),
    "accuracy_of_numbers": (
        {**SPARSE, "metrics": [hb.metrics.Accuracy()]},
        {"x": X, "y": CLASSES},
        "Accuracy: `y_true`.*sparse_categorical",
    ),
    "no_targets": ({"loss": "mse"}, {"x": X}, "targets"),
    "too_many_losses": ({"loss": ["mse", "mse"]}, {}, "2 entries for 1 output"),
    "binary_out_of_range": (
        {"loss": "binary_crossentropy"},
        {"x": X, "y": ONE_HOT * 2 - 1},
        "0 to 1",
    ),
    "unknown_output": ({"loss": {"nothing": "mse"}}, {}, "nothing"),
    "epochs": ({"loss": "mse"}, {"x": X, "y": ONE_HOT, "epochs": 1.5}, "epochs"),
    "class_weight": (SPARSE, {"x": X, "y": CLASSES, "class_weight": [1, 2]}, "class_weight"),
    "sample_weight": (SPARSE, {"x": X, "y": CLASSES, "sample_weight": WEIGHT[:3]}, "sample_weight"),
    "validation_split": (
        {"loss": "mse"},
        {"x": X, "y": ONE_HOT, "validation_split": 1.5},
        "validation_split",
    ),
    "batch_size": ({"loss": "mse"}, {"x": X, "y": ONE_HOT, "batch_size": 0}, "batch_size"),
}


@pytest.mark.filterwarnings("ignore:.*one axis more")
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_before_a_step(name):
    compile_arguments, fit_arguments, text = BAD[name]
    model = SOFTMAX(hb)
    before = model.get_weights()

    def use():
        model.compile(**{"optimizer": "sgd", **compile_arguments})
        model.fit(**{"verbose": 0, **fit_arguments})

    with pytest.raises((ValueError, TypeError), match=text) as caught:
        use()
    equal(model.get_weights(), before)
    assert len(str(caught.value)) > 30


def test_fit_before_compile():
    for method in ("fit", "evaluate", "train_on_batch"):
        with pytest.raises((RuntimeError, ValueError), match="compile"):
            getattr(SOFTMAX(hb), method)(X, CLASSES)


def test_limits_of_the_configuration():
    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((32, 3), "float32"), np.ones((32, 1), "float32")
    hb.config.set_max_epochs(2)
    hb.config.set_max_steps_per_epoch(3)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            history = model.fit(x, y, epochs=5, batch_size=4, verbose=0)
        assert ["limits epochs to 2" in str(w.message) for w in caught] == [True, False]
        assert (history.epoch, int(model.optimizer.iterations.value)) == ([0, 1], 6)
        with pytest.warns(UserWarning, match="limits steps to 3"):
            assert len(model.predict(x, batch_size=4, verbose=0)) == 12
    finally:
        hb.config.set_max_epochs(None)
        hb.config.set_max_steps_per_epoch(None)
    assert len(model.predict(x, batch_size=4, verbose=0)) == 32
    with pytest.raises(ValueError, match="positive integer"):
        hb.config.set_max_epochs(0)
    with pytest.raises(ValueError, match="jax"):
        hb.config.set_backend("torch")
