"""Scripts of three eras of Keras give what tf_keras 2.21 (and Keras 3.15, for `keras.ops`) gives.

The scripts of Keras 1 were compared by equal ones of Keras 2. `era_results.json` holds the results.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from compare import mostly_slow
from era_scripts import SCRIPTS, SETUP

import hornbeam as hb
from hornbeam.keras import install_as_keras, uninstall_as_keras

RESULTS = json.loads((Path(__file__).parent / "era_results.json").read_text())
QUICK = {
    "keras_1-saliency", "keras_1-policy", "keras_1-image_th", "keras_2-callbacks",
    "keras_2-own_layer", "keras_2-own_optimizer", "keras_2-nodes", "keras_2-stateful",
    "keras_3-saved",
}  # fmt: skip


def flat(value):
    if isinstance(value, (list, tuple)):
        return [x for item in value for x in flat(item)]
    return [np.nan] if value is None else np.asarray(value, "float64").reshape(-1).tolist()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", mostly_slow(SCRIPTS, QUICK))
def test_a_script_gives_what_it_gave(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hb.utils.clear_session()
    install_as_keras(force=True)
    try:
        namespace = {"__name__": "script"}
        exec(compile(SETUP + SCRIPTS[name], f"{name}.py", "exec"), namespace)
        found = {key: flat(value) for key, value in namespace["R"].items()}
    finally:
        uninstall_as_keras()
    assert set(found) == set(RESULTS[name])
    for key, value in RESULTS[name].items():
        expected = np.array(flat(value))
        np.testing.assert_allclose(
            found[key], expected, rtol=1e-3, atol=1e-4 * np.nanmax(np.abs(expected)), err_msg=key
        )
