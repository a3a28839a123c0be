"""Settings of the test run; they must stand before JAX or Keras is imported."""

import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path

# A shell that starts a command in the background has it ignore Ctrl-C; tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"

# The real Keras serves as the reference, on the same engine. Its folder is the checkout's own, so
# that what a developer keeps in ~/.keras cannot change a result.
os.environ["KERAS_BACKEND"] = "jax"
os.environ["KERAS_HOME"] = str(CACHE / "keras")
os.environ["MPLBACKEND"] = "Agg"
# What XLA compiled is kept, so that a second run starts fast.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
# Small programs run once: most of the time of a run is their compilation, which a lower level and
# XLA's older way to write loops shorten. (At level 0 the last bit of a sum of products may differ
# from what NumPy and the usual level give.)
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    quick = ["--xla_backend_optimization_level=1"]
    if version("jaxlib").startswith(
        "0.10."
    ):  # a process ends at a flag that XLA does not know, which another may not
        quick.append("--xla_cpu_use_fusion_emitters=false")
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *quick]).strip()

import pytest  # noqa: E402


@pytest.fixture(autouse=True)
def fresh_state():
    """Give each test the names, seeds and settings of a new process.

    Memory is left to Python: collecting it before every test took most of the time of a run.
    """
    import hornbeam as hb

    hb.utils.clear_session(free_memory=False)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session(free_memory=False)
    hb.utils.set_random_seed(0)
    floatx, epsilon = hb.config.floatx(), hb.config.epsilon()
    layout, logging = hb.config.image_data_format(), hb.config.is_interactive_logging_enabled()
    yield
    hb.config.set_floatx(floatx)
    hb.config.set_epsilon(epsilon)
    hb.config.set_image_data_format(layout)
    hb.config.set_dtype_policy(None)
    if logging:
        hb.config.enable_interactive_logging()
    else:
        hb.config.disable_interactive_logging()
