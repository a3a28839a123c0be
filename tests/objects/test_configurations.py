"""Configurations that hold layers, objects, functions, tuples and seed generators."""

import keras
import numpy as np
import pytest

import hornbeam as hb


@hb.saving.register_keras_serializable("tests")
class Holder(hb.layers.Layer):
    """A layer whose configuration holds any value, as it is."""

    def __init__(self, held, **kwargs):
        super().__init__(**kwargs)
        self.held = held

    def get_config(self):
        return {**super().get_config(), "held": self.held}

    @classmethod
    def from_config(cls, config):
        held = hb.saving.deserialize_keras_object(config.pop("held"))
        return cls(held, **config)

    def call(self, x):
        return x


HELD = {
    "layer": (lambda: hb.layers.Dense(3), lambda x: x.units == 3),
    "layers": (lambda: [hb.layers.Dense(1), hb.layers.Dense(2)], lambda x: x[1].units == 2),
    "dict": (lambda: {"a": hb.layers.Dense(4)}, lambda x: x["a"].units == 4),
    "tuple": (lambda: (1, (2, 3)), lambda x: x == [1, [2, 3]]),
    "mixed tuple": (lambda: (1, hb.layers.Dense(2)), lambda x: x[1].units == 2),
    "initializer": (lambda: hb.initializers.Constant(2.0), lambda x: x.value == 2),
    "regularizer": (lambda: hb.regularizers.L2(0.5), lambda x: x.l2 == 0.5),
    "loss": (lambda: hb.losses.Huber(3.0), lambda x: x.delta == 3.0),
    "optimizer": (lambda: hb.optimizers.SGD(0.5), lambda x: float(x.learning_rate) == 0.5),
    "metric": (lambda: hb.metrics.Mean("m"), lambda x: x.name == "m"),
    "function": (lambda: hb.activations.relu, lambda x: x is hb.activations.relu),
    "array": (lambda: np.ones(2), lambda x: x.tolist() == [1, 1]),
    "number": (lambda: np.float32(1.5), lambda x: x == 1.5),
    "policy": (lambda: hb.DTypePolicy("float16"), lambda x: x.name == "float16"),
    "slice": (lambda: slice(1, 2), lambda x: x == slice(1, 2)),
    "generator": (lambda: hb.random.SeedGenerator(5), lambda x: x.get_config()["seed"] == 5),
}


@pytest.mark.parametrize("name", HELD)
def test_what_a_config_may_hold(name, tmp_path):
    make, fits = HELD[name]
    model = hb.Sequential([hb.Input((2,)), Holder(make())])
    model.save(path := tmp_path / "model.keras")
    assert fits(hb.saving.load_model(path).layers[0].held)
    assert fits(hb.models.model_from_json(model.to_json()).layers[0].held)


def test_what_it_may_not_hold(tmp_path):
    model = hb.Sequential([hb.Input((2,)), Holder({1, 2})])
    with pytest.raises(ValueError, match="config of Holder cannot be saved"):
        model.save(tmp_path / "model.keras")


@pytest.mark.parametrize("library", [hb, keras])
def test_tuples_and_seeds_in_configs(library):
    assert library.layers.Conv2D(2, 3).get_config()["kernel_size"] == (3, 3)
    seed = library.random.SeedGenerator(5, name="seed")
    relu = library.activations.relu
    config = library.saving.serialize_keras_object({"f": [relu], "g": relu})
    assert library.saving.deserialize_keras_object(config) == {"f": [relu], "g": relu}
    assert config["f"][0]["class_name"] == "function"
    config = library.saving.serialize_keras_object(seed)
    assert config == {
        "module": "keras.random", "class_name": "SeedGenerator",
        "config": {"seed": 5, "name": "seed"}, "registered_name": None,
    }  # fmt: skip
    assert library.saving.deserialize_keras_object(config).get_config() == seed.get_config()
    drawn = library.initializers.RandomNormal(seed=seed)
    again = library.initializers.deserialize(library.initializers.serialize(drawn))
    np.testing.assert_array_equal(again((2,)), library.initializers.RandomNormal(seed=5)((2,)))


@pytest.mark.parametrize("library", [hb, keras])
def test_operations_have_configs(library):
    class Scale(library.Operation):
        def __init__(self, factor, *, name=None):
            super().__init__(name=name)
            self.kept = factor

        def call(self, x):
            return x * self.kept

    operation = Scale(3, name="scale")
    assert operation.get_config() == {"name": "scale", "factor": 3}
    assert Scale.from_config(operation.get_config()).kept == 3
    assert library.Operation(name="a").get_config() == {"name": "a"}
    with pytest.raises(NotImplementedError, match="get_config"):
        Scale(lambda x: x).get_config()


@pytest.mark.filterwarnings("ignore:A lambda is saved as code")
@pytest.mark.parametrize("library", [hb, keras])
def test_lambdas_from_configs(library):
    config = library.layers.Lambda(lambda x: x + 1).get_config()
    if library is hb:
        with pytest.raises(hb.errors.FileError, match="holds Python code"):
            hb.layers.Lambda.from_config(config)
    layer = library.layers.Lambda.from_config(config, safe_mode=False)
    np.testing.assert_array_equal(layer(np.ones(1, "float32")), 2)
    with library.saving.custom_object_scope(None):
        pass
