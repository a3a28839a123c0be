"""Stateless methods of models, functions of iterators and scopes, compared with Keras."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from compare import plain

import hornbeam as hb

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword"
)

X = np.random.RandomState(0).rand(4, 3).astype("float32")
Y = np.random.RandomState(1).rand(4, 2).astype("float32")


def made(library, scaled=False):
    model = library.Sequential([
        library.Input((3,)),
        library.layers.Dense(2, activity_regularizer="l2", kernel_regularizer="l1"),
        library.layers.Dropout(0.3, seed=5),
        library.layers.BatchNormalization(),
    ])  # fmt: skip
    model.layers[0].set_weights([np.full((3, 2), 0.5, "float32"), np.ones(2, "float32")])
    optimizer = library.optimizers.Adam(0.1)
    if scaled:
        optimizer = library.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
    model.compile(optimizer, "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    model.evaluate(X, Y, verbose=0)
    return model


def pair(**options):
    return made(hb, **options), made(keras, **options)


def values(variables):
    return [np.array(v.value) for v in variables]


def state(model, *, optimizer=False, metrics=True):
    groups = [model.trainable_variables, model.non_trainable_variables]
    groups += [model.optimizer.variables] if optimizer else []
    groups += [model.metrics_variables] if metrics else []
    return tuple(values(group) for group in groups)


def close(ours, theirs):
    ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-6)


def test_stateless_losses():
    for scaled in (False, True):
        model, reference = pair(scaled=scaled)
        before = state(model)
        results = []
        for one in (model, reference):
            loss = one.stateless_compute_loss(*state(one), x=X, y=Y, y_pred=Y * 2)
            updates = one.compute_loss_and_updates(
                *state(one),
                X,
                Y,
                None,
                training=True,
                optimizer_variables=values(one.optimizer.variables),
            )
            # The loss's mean weights the number of samples differently, with the same mean.
            results.append([loss[0], loss[1][:2], updates[0], updates[1][:3]])
        close(*results)
        assert float(results[0][2]) == pytest.approx(
            float(results[0][3][0]) * (8 if scaled else 1), rel=1e-6
        )
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(state(model)), strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="expected 4 values in `trainable_variables`, received 0"):
        model.stateless_compute_loss([], [], [], y=Y, y_pred=Y)


def test_a_training_step_by_hand():
    """A training step as in Keras's JAX guide.

    It uses gradients of `compute_loss_and_updates` and `optimizer.stateless_apply`.
    """
    losses = []
    for one in pair():
        function = jax.jit(
            jax.value_and_grad(one.compute_loss_and_updates, has_aux=True),
            static_argnames="training",
        )
        trainable, others, metrics = state(one)
        slots = values(one.optimizer.variables)
        for _ in range(3):
            (loss, (_, _, others, metrics)), gradients = function(
                trainable, others, metrics, X, Y, None, training=True, optimizer_variables=slots
            )
            trainable, slots = one.optimizer.stateless_apply(slots, gradients, trainable)
            losses.append(float(loss))
        # Variables stand for their values.
        both = one.optimizer.variables, one.trainable_variables
        for given in (both, [values(v) for v in both]):
            new, _ = one.optimizer.stateless_apply(given[0], gradients, given[1])
            losses.append(float(np.sum(np.abs(new[0]))))
        one.jax_state_sync()
    np.testing.assert_allclose(losses[:5], losses[5:], rtol=1e-5)
    assert losses[3] == losses[4]


def test_functions_of_iterators():
    for kind, batch in (("train", (X, Y)), ("test", (X, Y)), ("predict", (X,))):
        model, reference = pair()  # Keras does not update its variables in a step
        results = []
        for one in (model, reference):
            assert one is reference or getattr(one, f"{kind}_function") is None
            getattr(one, f"make_{kind}_function")()
            own = state(one, optimizer=kind == "train", metrics=kind != "predict")
            outputs, new = getattr(one, f"{kind}_function")(
                tuple(jax.tree.map(jnp.array, own)), iter([batch])
            )
            outputs = (
                {k: v for k, v in outputs.items() if k != "loss"}
                if isinstance(outputs, dict)
                else outputs
            )
            results.append([outputs, new[0]])
        close(*results)
    # The form of Keras 2: the variables are the state.
    again = model.make_train_function()
    assert again is model.train_function is not model.make_train_function(force=True)
    before = model.get_weights()
    logs = model.train_function(iter([(X, Y)]))
    assert list(logs) == ["loss", "mae"]
    assert not np.array_equal(before[0], model.get_weights()[0])
    with pytest.raises(ValueError, match=r"train_function: the state must hold \[4, 3"):
        model.train_function(([], [], [], []), iter([(X, Y)]))
    model.compile("sgd", "mse")
    assert model.train_function is None
    with pytest.raises(ValueError, match="needs a compiled model"):
        hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)]).make_train_function()


def test_a_subclass_gives_fit_its_steps():
    class Own(hb.Sequential):
        seen = 0

        def make_train_function(self, force=False):
            inner = super().make_train_function(force)

            def function(iterator):
                self.seen += 1
                return inner(iterator)

            return function

    model = Own([hb.Input((3,)), hb.layers.Dense(2)])
    model.compile("sgd", "mse")
    plain_one = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)])
    plain_one.set_weights(model.get_weights())
    plain_one.compile("sgd", "mse")
    histories = [
        m.fit(X, Y, batch_size=2, epochs=2, verbose=0, shuffle=False).history
        for m in (model, plain_one)
    ]
    assert model.seen == 4
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-6)


def test_stateless_scope():
    seen = []
    for library in (hb, keras):
        v, w = library.Variable(np.ones(2), name="v"), library.Variable(np.zeros(2), name="w")
        with library.StatelessScope(
            state_mapping=[(v, library.ops.ones(2) * 5)], collect_losses=True
        ) as scope:
            w.assign(library.ops.ones(2) * 3)
            v.assign_add(library.ops.ones(2))
            scope.add_update((w, library.ops.ones(2) * 4))
            library.layers.ActivityRegularization(l2=1.0)(np.ones((1, 2), "float32"))
            inside = [np.asarray(v.value), np.asarray(w.value), *scope.losses]
            mapped = len(scope.state_mapping)
        after = [
            np.asarray(v.value),
            np.asarray(w.value),
            scope.get_current_value(v),
            scope.get_current_value(w),
        ]
        seen.append([inside, after, mapped, scope.get_current_value(library.Variable(1.0)) is None])
        for bad in ([(1, 2)], [(v, np.ones(3))]):
            with pytest.raises(ValueError, match="StatelessScope"):
                library.StatelessScope(state_mapping=bad)
    close(*seen)


def test_symbolic_scope_and_device():
    from hornbeam.core.scopes import in_symbolic_scope

    with hb.SymbolicScope():
        assert in_symbolic_scope()
        assert float(hb.ops.add(1.0, 1.0)) == 2.0
    assert not in_symbolic_scope()
    for library in (hb, keras):
        for name in ("cpu:0", "CPU:0", "cpu", jax.devices("cpu")[0]):
            with library.device(name):
                assert library.ops.ones(2).devices() == {jax.devices("cpu")[0]}
        for name, error in (
            (3, ValueError),
            (None, ValueError),
            ("cpu:77", ValueError),
            ("foo", RuntimeError),
        ):
            with pytest.raises(error, match="77|foo|device_name"), library.device(name):
                pass


class Part:
    def __init__(self, a=1):
        self.a = a

    def get_config(self):
        return {"a": self.a}


def test_legacy_serialization():
    results = []
    for library in (hb, keras):
        saving = library.legacy.saving
        config = saving.serialize_keras_object(Part(3))
        layer = saving.serialize_keras_object(library.layers.Dense(2, name="d"))
        names = [
            saving.serialize_keras_object(x) for x in (None, library.losses.mean_squared_error)
        ]
        results.append((config, layer["class_name"], sorted(layer), names))
        dense = saving.deserialize_keras_object(
            layer, module_objects={"Dense": library.layers.Dense}
        )
        assert (dense.units, dense.name) == (2, "d")
        for bad, text in (
            (3, "thing"),
            ({"class_name": "B", "config": {}}, "thing.*B"),
            ({"a": 1}, "class_name"),
        ):
            with pytest.raises(ValueError, match=text):
                saving.deserialize_keras_object(
                    bad, module_objects={"Part": Part}, printable_module_name="thing"
                )
        with pytest.raises(ValueError, match="get_config"):
            saving.serialize_keras_object(3)
    assert plain(results[0]) == plain(results[1])
    saving = hb.utils.legacy
    assert saving.deserialize_keras_object(config, custom_objects={"Part": Part}).a == 3
    assert (
        saving.deserialize_keras_object("relu", module_objects=vars(hb.activations))
        is hb.activations.relu
    )
    assert saving.deserialize_keras_object(None) is None


def test_state_trees():
    """Nested as in Keras; flat ones, which older versions gave, are taken too."""

    def kinds(tree):
        return {k: kinds(v) if isinstance(v, dict) else v.shape for k, v in tree.items()}

    def built(library):
        inner = library.Sequential([library.layers.Dense(1, name="dense")], name="inner")
        last = [library.layers.Dropout(0.5, seed=1), library.layers.BatchNormalization(name="bn")]
        model = library.Sequential([library.Input((3,)), inner, *last], name="outer")
        model.compile(library.optimizers.Adam(name="adam"), "mse", metrics=["mae"])
        model.fit(X, Y[:, :1], verbose=0)
        return model

    ours, theirs = built(hb), built(keras)
    tree = ours.get_state_tree("numpy_array")
    expected = kinds(theirs.get_state_tree("numpy_array"))
    for found in (one := kinds(tree)), expected:  # the numbers of automatic names may differ
        found["non_trainable_variables"] = len(found["non_trainable_variables"])
    assert one == expected
    for given in (tree, {"trainable_variables": {"outer/inner/dense/bias": np.ones(1)}}):
        ours.set_state_tree(given)
    assert ours.get_state_tree()["trainable_variables"]["outer"]["inner"]["dense"]["bias"] == 1
    with pytest.raises(ValueError, match="Unknown trainable_variables 'x/y'"):
        ours.set_state_tree({"trainable_variables": {"x": {"y": 1.0}}})
    with pytest.raises(ValueError, match="group of variables 'weights'"):
        ours.set_state_tree({"weights": {}})
    with pytest.raises(ValueError, match="`value_format` must be"):
        ours.get_state_tree("list")
    same = hb.Sequential([hb.layers.Dense(1, name="d"), hb.layers.Dense(1, name="e")])
    same.build((None, 3))
    same.layers[1].kernel.path = same.layers[0].kernel.path
    with pytest.raises(ValueError, match="two variables have the path"):
        same.get_state_tree()
