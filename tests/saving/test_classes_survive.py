"""The user's classes in files and copies: functional models, and parts made in `build`."""

import keras
import numpy as np
import pytest
from compare import mostly_slow

import hornbeam as hb

# Keras's variables do not support NumPy 2's `copy` argument.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword",
    "ignore:.*no gradient reaches",
)

X, Y = np.random.RandomState(0).rand(4, 4).astype("float32"), np.ones((4, 1), "float32")


class NoInit(hb.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 0.0 * hb.ops.mean(y_pred) + 7.0


class Star(NoInit):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = hb.metrics.Mean(name="seen")


class OnlyStar(NoInit):
    def __init__(self, *args):
        super().__init__(*args)


class Own(NoInit):
    def __init__(self, inputs, outputs, alpha=0.5, **kwargs):
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.alpha = alpha


class OtherNames(NoInit):
    def __init__(self, start, end, alpha=0.5):
        super().__init__(start, end)
        self.alpha = alpha


class OwnFirst(NoInit):
    def __init__(self, alpha, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha


class OwnConfig(Own):
    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


class Makes(NoInit):
    def __init__(self, alpha=0.5, **kwargs):
        x = hb.Input((4,))
        super().__init__(x, hb.layers.Dense(1)(x), **kwargs)
        self.alpha = alpha


class Adds(NoInit):
    def __init__(self, inputs, features):
        super().__init__(inputs, hb.layers.Dense(1)(features))


def graph(cls, *args, **kwargs):
    x = hb.Input((4,))
    return cls(x, hb.layers.Dense(1)(x), *args, **kwargs)


def keywords(cls, **kwargs):
    x = hb.Input((4,))
    return cls(inputs=x, outputs=hb.layers.Dense(1)(x), **kwargs)


def from_the_middle(cls, **kwargs):
    hidden = hb.layers.Dense(4)(hb.Input((4,)))
    return cls(hidden, hb.layers.Dense(1)(hidden), **kwargs)


MODELS = {
    "no init": lambda: graph(NoInit, name="mine"),
    "star": lambda: graph(Star, name="mine"),
    "only star": lambda: graph(OnlyStar),
    "own": lambda: graph(Own, 2.0, name="mine"),
    "own, keywords": lambda: keywords(Own, alpha=2.0),
    "own, from the middle": lambda: from_the_middle(Own, alpha=2.0),
    "other names": lambda: graph(OtherNames, 2.0),
    "own first": lambda: keywords(OwnFirst, alpha=2.0),
    "own config": lambda: graph(OwnConfig, alpha=2.0),
    "makes its graph": lambda: Makes(2.0, name="mine"),
}
CLASSES = {
    c.__name__: c for c in (NoInit, Star, OnlyStar, Own, OtherNames, OwnFirst, OwnConfig, Makes)
}


def saved(model, path):
    model.save(path)
    return hb.models.load_model(path, custom_objects=CLASSES)


def nested(model, path):
    x = hb.Input((4,))
    return saved(hb.Model(x, model(x)), path).layers[-1]


WAYS = {
    "keras": lambda model, folder: saved(model, folder / "m.keras"),
    "h5": lambda model, folder: saved(model, folder / "m.h5"),
    "nested": lambda model, folder: nested(model, folder / "m.keras"),
    "clone": lambda model, folder: hb.models.clone_model(model),
    "config": lambda model, folder: CLASSES[type(model).__name__].from_config(model.get_config()),
}


@pytest.mark.parametrize("name", mostly_slow(MODELS, list(MODELS)[::3]))
def test_functional_models_keep_their_class(tmp_path, name):
    model = MODELS[name]()
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    for way, make in WAYS.items():
        copy = make(model, tmp_path)
        assert (type(copy).__name__, copy.name) == (type(model).__name__, model.name), way
        assert getattr(copy, "alpha", None) == getattr(model, "alpha", None), way
        if way in ("keras", "h5", "nested"):
            np.testing.assert_allclose(copy(X), model(X), rtol=1e-6)
        copy.compile("sgd", "mse")
        assert copy.fit(X, Y, verbose=0).history["loss"] == [7.0], way


def test_a_class_that_cannot_be_made_says_why(tmp_path):
    model = graph(Adds)
    with pytest.raises(ValueError, match="Adds: argument `features` is a symbolic tensor.*config"):
        model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="plain Functional. Adds"):
        assert type(hb.models.clone_model(model)) is hb.models.Functional
    config = graph(NoInit).get_config()
    with pytest.raises(TypeError, match=r"OwnFirst.*saved graph.*alpha.*`\*\*kwargs`"):
        OwnFirst.from_config(config)


def test_keras_and_hornbeam_read_each_others_classes(tmp_path):
    class Theirs(keras.Model):
        pass

    x = keras.Input((4,))
    model = Theirs(x, keras.layers.Dense(1)(x), name="mine")
    model.save(tmp_path / "theirs.keras")
    ours = hb.models.load_model(tmp_path / "theirs.keras", custom_objects={"Theirs": NoInit})
    assert type(ours).__name__ == "NoInit"
    graph(NoInit, name="mine").save(tmp_path / "ours.keras")
    back = keras.models.load_model(tmp_path / "ours.keras", custom_objects={"NoInit": Theirs})
    assert type(back) is type(model)


class BuildsDense(hb.layers.Layer):
    def build(self, shape):
        self.inner = [hb.layers.Dense(3), hb.layers.LayerNormalization()]

    def call(self, x):
        for layer in self.inner:
            x = layer(x)
        return x


class TakesTwo(hb.layers.Layer):
    def build(self, a_shape, b_shape):
        self.inner = hb.layers.Dense(3)

    def call(self, a, b):
        return self.inner(a) + self.inner(b)


class BuildsModel(hb.Model):
    part = BuildsDense

    def build(self, input_shape):
        self.inner = self.part()

    def call(self, x):
        return self.inner(x, x) if self.part is TakesTwo else self.inner(x)


class BuildsTwo(BuildsModel):
    part = TakesTwo


class BuildsPlain(BuildsModel):
    part = staticmethod(lambda: hb.layers.Dense(3))


class Holds(hb.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = BuildsDense()

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize("compiles", [False, True])
@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize(
    "cls", mostly_slow([BuildsModel, BuildsTwo, BuildsPlain, Holds], [BuildsTwo])
)
def test_layers_made_in_build(tmp_path, cls, ending, compiles):
    model = cls()
    model.compile("adam", "mse")
    model.fit(X, np.ones((4, 3)), verbose=0)
    path = tmp_path / f"m.{ending}"
    model.save(path)
    known = {c.__name__: c for c in (cls, BuildsDense, TakesTwo)}
    copy = hb.models.load_model(path, custom_objects=known, compile=compiles)
    np.testing.assert_allclose(copy.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-6)
