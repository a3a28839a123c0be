"""Names of users' classes and functions under `saving` and `utils`, as in Keras."""

import keras
import pytest

import hornbeam as hb

PLACES = [(library, place) for library in (hb, keras) for place in ("saving", "utils")]
IDS = [f"{library.__name__}.{place}" for library, place in PLACES]


@pytest.fixture(params=PLACES, ids=IDS)
def place(request):
    library, name = request.param
    return getattr(library, name)


def test_a_registered_class_is_known_by_its_name(place):
    @place.register_keras_serializable("custom_objects_test", name="Renamed")
    class Own:
        def __init__(self, units=1):
            self.units = units

        def get_config(self):
            return {"units": self.units}

        @classmethod
        def from_config(cls, config):
            return cls(**config)

    name = "custom_objects_test>Renamed"
    assert place.get_registered_name(Own) == name
    assert place.get_registered_object(name) is Own
    assert place.get_custom_objects().get(name) is None or place.get_custom_objects()[name] is Own
    stored = place.serialize_keras_object(Own(3))
    assert (stored["registered_name"], stored["config"]) == (name, {"units": 3})
    assert place.deserialize_keras_object(stored).units == 3


@pytest.mark.parametrize(
    ("module", "name", "config"),
    [
        ("keras.layers", "Dense", {"units": 1}), ("keras.optimizers", "SGD", {}),
        ("keras.metrics", "Mean", {}), ("keras", "Sequential", {"name": "s", "layers": []}),
        ("keras", "DTypePolicy", {"name": "float32"}),
    ],
)  # fmt: skip
def test_own_classes_have_no_registered_name(place, module, name, config):
    stored = {"module": module, "class_name": name, "config": config}
    for registered in (None, name):
        made = place.deserialize_keras_object({**stored, "registered_name": registered})
        assert type(made).__name__ == name
    with pytest.raises(ValueError, match=f"registered_name='other>{name}'"):
        place.deserialize_keras_object({**stored, "registered_name": f"other>{name}"})


def test_what_is_not_registered_has_its_own_name(place):
    def own():
        pass

    assert place.get_registered_name(own) == "own"
    assert place.get_registered_object("own") is None
    assert place.get_registered_object("own", custom_objects={"own": own}) is own


def test_registering_needs_a_class_that_can_be_saved(place):
    with pytest.raises(ValueError, match="get_config"):
        place.register_keras_serializable()(type("Own", (), {}))


@pytest.mark.parametrize("scope", ["custom_object_scope", "CustomObjectScope"])
def test_names_hold_inside_a_scope(place, scope):
    def twice(x):
        return 2 * x

    layers = (hb if place in (hb.saving, hb.utils) else keras).layers
    config = layers.Dense(1, activation=twice).get_config()
    with getattr(place, scope)({"twice": twice}):
        assert place.get_registered_object("twice") is twice
        assert layers.Dense.from_config(config).activation is twice
    assert place.get_registered_object("twice") is None


def test_names_that_are_kept(place):
    def thrice(x):
        return 3 * x

    layers = (hb if place in (hb.saving, hb.utils) else keras).layers
    config = layers.Dense(1, activation=thrice).get_config()
    place.get_custom_objects()["thrice"] = thrice
    try:
        assert place.get_registered_object("thrice") is thrice
        assert layers.Dense.from_config(config).activation is thrice
    finally:
        del place.get_custom_objects()["thrice"]
    assert place.get_registered_object("thrice") is None


def test_save_model_is_a_model_s_save(tmp_path):
    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)])
    hb.saving.save_model(model, tmp_path / "model.keras")
    again = hb.saving.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        hb.saving.save_model(model, tmp_path / "model.keras", overwrite=False)
    with pytest.raises(ValueError, match=r"must end in '\.keras'"):
        hb.saving.save_model(model, tmp_path / "model.txt")
    with pytest.raises(ValueError, match="`zipped` applies to '.keras' only"):
        hb.saving.save_model(model, tmp_path / "model.h5", zipped=True)
    with pytest.raises(TypeError, match="unexpected argument 'other'"):
        hb.saving.save_model(model, tmp_path / "model.keras", other=1)


def test_saving_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'open_model'"):
        hb.saving.open_model  # noqa: B018  (looking it up is the test)
