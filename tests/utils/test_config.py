"""Settings as attributes, and the arguments of the progress bar."""

import copy
import pickle

import keras
import pytest

import hornbeam as hb


def test_entries_are_attributes_and_can_be_frozen():
    for library in (hb, keras):
        config = library.utils.Config(a=1, b=[2])
        config.c = 3
        config["d"] = 4
        config.update(e=5)
        assert config.a == config["a"] == 1
        assert config.as_dict() == {**config} == {"a": 1, "b": [2], "c": 3, "d": 4, "e": 5}
        assert config.to_json() == '{"a": 1, "b": [2], "c": 3, "d": 4, "e": 5}'
        assert repr(config) == "<Config {'a': 1, 'b': [2], 'c': 3, 'd': 4, 'e': 5}>"
        assert config.pop("e") == 5
        assert (config.get("f"), len(config), "a" in config) == (None, 4, True)
        config.freeze()
        assert config.frozen
        with pytest.raises(ValueError, match="frozen"):
            config.a = 2
        config.unfreeze()
        with pytest.raises(AttributeError, match="'f'"):
            _ = config.f
    config = hb.utils.Config(a=1)
    del config.a
    assert len(config) == 0
    config.a = 2
    for again in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert again.as_dict() == {"a": 2}


def test_a_progress_bar_takes_one_of_two_lists(capsys):
    hb.utils.Progbar(2, verbose=2, stateless_metrics=["loss"]).update(2, [("loss", 3.0)])
    assert "loss: 3.0000" in capsys.readouterr().out
    with pytest.raises(ValueError, match="`stateful_metrics` or `stateless_metrics`"):
        hb.utils.Progbar(2, stateful_metrics=["a"], stateless_metrics=["b"])
