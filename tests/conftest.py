"""Settings of the test run; they must be made before JAX or Keras is imported."""

import functools
import gc
import os
import signal
import sys
import threading
from importlib.metadata import version
from pathlib import Path

# A command that a shell starts in the background ignores Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"

# The real Keras, on the same engine, is the reference. Its folder is in the checkout, so files in
# the user's caches cannot change a result.
os.environ["KERAS_BACKEND"] = "jax"
os.environ["KERAS_HOME"] = str(CACHE / "keras")
os.environ["HORNBEAM_HOME"] = str(CACHE / "hornbeam")
os.environ["MPLBACKEND"] = "Agg"
# Processes that tests start import Hornbeam from bytecode, wherever the checkout may be written to.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["PYTHONPYCACHEPREFIX"] = str(CACHE / "bytecode")
# Compiled programs are kept, so a second run starts fast.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Most of the time of a run is the compilation of small programs that run once. A lower optimization
# level and XLA's older code generator for loops shorten it. (At level 0 the last bit of a sum of
# products may differ from NumPy's and from that at the usual level.)
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    quick = ["--xla_backend_optimization_level=1"]
    # XLA ends the process if it does not know a flag, so other versions of it do not get this one.
    if version("jaxlib").startswith("0.10."):
        quick.append("--xla_cpu_use_fusion_emitters=false")
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *quick]).strip()

import numpy as np  # noqa: E402
import pytest  # noqa: E402

GENERATORS = {}
"""The random generators in the modules of tests, with their states after the import."""


def pytest_collection_finish(session):
    """Note the generators, and keep garbage collections short: what is imported by now stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    for module in {getattr(item, "module", None) for item in session.items} - {None}:
        for value in vars(module).values():
            if isinstance(value, np.random.Generator):
                GENERATORS.setdefault(module, []).append((value, value.bit_generator.state))
            elif isinstance(value, np.random.RandomState):
                GENERATORS.setdefault(module, []).append((value, value.get_state()))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Give each test, and each fixture, the same random numbers, whatever ran before it."""
    for generator, state in GENERATORS.get(getattr(item, "module", None), ()):
        if isinstance(generator, np.random.Generator):
            generator.bit_generator.state = state
        else:
            generator.set_state(state)


@pytest.fixture(autouse=True)
def fresh_state():
    """Give each test the names, seeds and settings of a new process.

    Garbage is not collected: doing so before every test took most of the time of a run.
    """
    import hornbeam as hb

    shared_context()
    before = settings_of(hb)
    hb.utils.clear_session(free_memory=False)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session(free_memory=False)
    hb.utils.set_random_seed(0)
    yield
    restore(hb, before)
    if "keras" in sys.modules:
        restore(sys.modules["keras"], before)
    give_memory_back()


def settings_of(package):
    """Return the settings of the whole process, which Hornbeam and Keras name alike."""
    config = package.config
    return {
        "floatx": config.floatx(),
        "epsilon": config.epsilon(),
        "image_data_format": config.image_data_format(),
        "logging": config.is_interactive_logging_enabled(),
    }


def restore(package, settings):
    """Set the settings again, so that what a test changed does not reach the next one."""
    config = package.config
    config.set_floatx(settings["floatx"])
    config.set_epsilon(settings["epsilon"])
    config.set_image_data_format(settings["image_data_format"])
    config.set_dtype_policy(settings["floatx"])
    if settings["logging"]:
        config.enable_interactive_logging()
    else:
        config.disable_interactive_logging()


@functools.cache
def shared_context():
    """Let the programs of this process share one MLIR context; return the function that keeps it.

    JAX makes a context for each program that it compiles, which takes a fifth of the time of tests
    that compile many small programs. A program that is compiled while another one is lowered, or in
    another thread, still gets a context of its own. So does all where JAX has no such function.
    """
    from jax._src.interpreters import mlir

    make = getattr(mlir, "make_ir_context", None)
    keep = functools.cache(make or object)

    def choose():
        alone = threading.current_thread() is threading.main_thread()
        return keep() if alone and mlir.ir.Context.current is None else make()

    if make:
        mlir.make_ir_context = choose
    return keep


MEMORY = {"may grow to": 2.2 * 2**30}


def give_memory_back():
    """Drop compiled programs when this process has grown. Later tests read them from the disk."""
    if resident() < MEMORY["may grow to"]:
        return
    import jax

    import hornbeam as hb

    jax.clear_caches()
    shared_context().cache_clear()
    hb.utils.clear_session()
    MEMORY["may grow to"] = max(MEMORY["may grow to"], resident() + 2**29)


def resident():
    """Return the memory of this process in bytes; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
