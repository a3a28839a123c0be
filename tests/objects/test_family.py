"""Families of objects: name look-up, and the names that files may use."""

import doctest
import importlib
import inspect
import json

import keras
import pytest

import hornbeam as hb
from hornbeam.callbacks import CALLBACKS
from hornbeam.core import registry
from hornbeam.objects import configuration

# Module, its family's name, a name that it knows, and a configuration of another family (None if it
# accepts any callable).
ROWS = [
    ("activations", "activation", "relu"),
    ("initializers", "initializer", "zeros"),
    ("regularizers", "regularizer", "l2"),
    ("constraints", "constraint", "non_neg"),
    ("losses", "loss", "Huber"),
    ("metrics", "metric", "AUC"),
    ("optimizers", "optimizer", "adam"),
    ("quantizers", "quantizer", "abs_max_quantizer"),
]
WITHOUT_GET = [("layers", "layer"), ("optimizers.schedules", "learning-rate schedule")]
ALL = [row[:2] for row in ROWS] + WITHOUT_GET


def module_of(name):
    return importlib.import_module(f"hornbeam.{name}")


@pytest.mark.parametrize(("name", "family"), ALL)
def test_functions_of_a_module(name, family):
    """The docstring examples run, arguments have Keras's names, and functions pickle by name."""
    module, theirs = module_of(name), keras
    for part in name.split("."):
        theirs = getattr(theirs, part)
    for function in ("get", "serialize", "deserialize"):
        if not hasattr(theirs, function):
            continue
        ours = getattr(module, function)
        assert ours.__module__ == module.__name__
        own = list(inspect.signature(ours).parameters)
        today = list(inspect.signature(getattr(theirs, function)).parameters)
        assert own[: len(today)] == today
        assert set(own[len(today) :]) <= {"use_legacy_format", "name"}  # of Keras 2
        test = doctest.DocTestParser().get_doctest(
            ours.__doc__, dict(vars(module)), function, None, 0
        )
        assert test.examples
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


@pytest.mark.parametrize(("name", "family", "known"), ROWS)
def test_what_identifiers_mean(name, family, known):
    module = module_of(name)
    part = module.get(known)
    assert module.get(part) is part
    assert module.get(None) is (hb.activations.linear if name == "activations" else None)
    again = module.deserialize(module.serialize(part))
    assert type(again) is type(part)
    assert type(module.get(module.serialize(part))) is type(part)
    with pytest.raises(ValueError, match=f"Unknown {family} '{known}x'. Did you mean .*{known}"):
        module.get(known + "x")
    with pytest.raises(ValueError, match=f"Expected an? {family}'s name"):
        module.get(object())


@pytest.mark.parametrize(("name", "family", "known"), ROWS)
def test_what_the_user_registered_comes_first(name, family, known):
    mine = object()
    with registry.custom_object_scope({known: lambda: mine}):
        assert module_of(name).get(known)() is mine


@pytest.mark.parametrize("name", ["layers", "optimizers", "optimizers.schedules"])
def test_a_configuration_of_another_family(name):
    config = hb.initializers.serialize(hb.initializers.Zeros())
    with pytest.raises(
        ValueError, match="Expected the configuration of an? .*received the configuration of Zeros"
    ):
        module_of(name).deserialize(config)


def test_keyword_of_keras():
    assert hb.losses.deserialize(name="mse") is hb.losses.mean_squared_error
    assert hb.optimizers.schedules.serialize(
        learning_rate_schedule=hb.optimizers.schedules.CosineDecay(1.0, 2)
    )
    with pytest.raises(TypeError, match="argument: 'layer'"):
        hb.layers.serialize(lass=hb.layers.Dense(1))


def test_files_name_only_announced_families():
    """Files cannot create callbacks, ops' modules or Python functions: no model contains them."""
    modules = {
        "keras.activations", "keras.constraints", "keras.distillation", "keras.initializers",
        "keras.layers", "keras.losses", "keras.metrics", "keras.models", "keras.optimizers",
        "keras.optimizers.schedules", "keras.quantizers", "keras.random", "keras.regularizers",
        "keras.src.applications.convnext", "keras.src.applications.inception_resnet_v2",
        "keras.src.layers.preprocessing.feature_space", "keras.utils", "hornbeam.models.zoo",
    }  # fmt: skip
    assert set(registry.families()) == modules
    for module, name in [
        ("keras.callbacks", "CSVLogger"),
        ("keras.utils", "get_file"),
        ("builtins", "eval"),
    ]:
        with pytest.raises(ValueError, match=f"Unknown class '{name}'"):
            configuration.deserialize(
                {"module": module, "class_name": name, "config": {"filename": "x"}}
            )


def test_a_name_of_two_families():
    """If a file omits the module, layers take precedence, in any import order."""
    config = {"class_name": "Identity", "config": {}}
    assert isinstance(configuration.deserialize(config), hb.layers.Identity)
    found = configuration.deserialize({**config, "module": "keras.initializers"})
    assert isinstance(found, hb.initializers.Identity)


def test_a_family_of_ones_own():
    """Files find the members of a family only if its `in_files` is true."""
    from hornbeam.objects.family import Family

    class Clock:
        def get_config(self):
            return {}

        @classmethod
        def from_config(cls, config):
            return cls()

    namespace = {"__name__": __name__, "__all__": ["Clock"], "Clock": Clock}
    clocks = Family(
        "clock", Clock, "keras.clocks", namespace, names={"clock": Clock}, in_files=False
    )
    assert isinstance(clocks.get("Clock"), Clock)
    config = {"module": "keras.clocks", "class_name": "Clock", "config": {}}
    with pytest.raises(ValueError, match="Unknown class 'Clock'"):
        configuration.deserialize(config)
    assert isinstance(clocks.deserialize(config), Clock)  # the family's own `deserialize` finds it
    with pytest.raises(LookupError, match="No family is called 'watch'"):
        registry.family("watch")
    try:
        clocks.in_files = True
        assert isinstance(configuration.deserialize(config), Clock)
        assert clocks.serialize(Clock())["module"] == "keras.clocks"
    finally:
        del registry._families["keras.clocks"]


CALLBACKS_TO_WRITE = {
    "stop": lambda c: c.EarlyStopping(patience=3, restore_best_weights=True),
    "log": lambda c: c.CSVLogger("log.csv", append=True),
    "rate": lambda c: c.ReduceLROnPlateau(factor=0.5, epsilon=0.1),
    "save": lambda c: c.ModelCheckpoint("best.keras", save_best_only=True, period=2),
    "nan": lambda c: c.TerminateOnNaN(),
    "backup": lambda c: c.BackupAndRestore("backup"),
}


@pytest.mark.parametrize("row", CALLBACKS_TO_WRITE)
def test_callbacks_become_json_and_come_back(row):
    callback = CALLBACKS_TO_WRITE[row](hb.callbacks)
    config = json.loads(json.dumps(CALLBACKS.serialize(callback)))
    again = CALLBACKS.deserialize(config)
    assert type(again) is type(callback)
    public = {k: v for k, v in vars(callback).items() if not k.startswith("_")}
    assert {k: v for k, v in vars(again).items() if not k.startswith("_")} == public


def test_callbacks_by_name():
    names = hb.callbacks.CallbackList(["TerminateOnNaN", "History"]).callbacks
    assert [type(c) for c in names] == [hb.callbacks.TerminateOnNaN, hb.callbacks.History]
    with pytest.raises(ValueError, match="Unknown callback 'Histroy'.*'History'"):
        hb.callbacks.CallbackList(["Histroy"])
    with pytest.raises(ValueError, match="Cannot save"):
        CALLBACKS.serialize(hb.callbacks.RemoteMonitor(headers=object()))
    with pytest.warns(UserWarning, match="lambda is saved as code"):
        CALLBACKS.serialize(hb.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None))
