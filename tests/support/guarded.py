"""A child process that loads files and reports forbidden actions.

    python tests/support/guarded.py SCRATCH

Each line of standard input is a request in JSON. During a load, an audit hook records everything
that loading must not do: compile or run code, import a module, open a socket, start a process, or
touch a file other than the requested one and those in SCRATCH. Peak memory is measured for each
request. One process serves all requests, so a test takes milliseconds.
"""

import gc
import json
import os
import sys
import time
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
os.environ["HORNBEAM_COMPILE_CACHE"] = "0"

RUNS_CODE = (
    "exec",
    "compile",
    "marshal.loads",
    "marshal.load",
    "pickle.find_class",
    "code.__new__",
    "import",
)
LEAVES = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn",
    "urllib.", "ctypes.dlopen", "ftplib.", "http.client.", "winreg.", "webbrowser.",
)  # fmt: skip
TOUCHES = (
    "open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir", "os.rmdir",
    "os.link", "os.symlink", "os.chmod", "os.truncate", "os.utime", "shutil.", "glob.", "tempfile.",
)  # fmt: skip


class Watch:
    """Records events while `files` is set."""

    def __init__(self, scratch):
        self.scratch = os.path.realpath(scratch)
        self.files, self.seen, self.busy = None, [], False

    def __call__(self, event, args):
        if self.files is None or self.busy:
            return
        self.busy = True
        try:
            self._look(event, args)
        finally:
            self.busy = False

    def _look(self, event, args):
        if event.startswith(RUNS_CODE):
            frame, names = sys._getframe(2), []
            while frame:
                names.append(frame.f_code.co_filename)
                frame = frame.f_back
            # Late imports of modules of Hornbeam, JAX and Python run no code of the file.
            late = event == "import" and str(args[0]).split(".")[0] in {
                *sys.stdlib_module_names,
                "hornbeam",
                "jax",
                "jaxlib",
                "numpy",
            }
            inside = event != "import" and any(
                "importlib" in n or n.endswith("dataclasses.py") or "collections" in n
                for n in names
            )
            if not late and not inside:
                self.seen.append(f"{event} {args!r:.200}")
        elif event.startswith(LEAVES):
            self.seen.append(f"{event} {args!r:.200}")
        elif event.startswith(TOUCHES):
            path = args[0] if args else None
            if not isinstance(path, (str, bytes, os.PathLike)):
                return
            real = os.path.realpath(os.fsdecode(path))
            source = real.endswith((".py", ".pyc", ".so", "__pycache__")) or event == "os.listdir"
            library = source and real.startswith(
                (sys.prefix, sys.base_prefix, str(ROOT / "hornbeam"), str(ROOT / "tests"))
            )
            if not library and not any(
                real == f or real.startswith(f + os.sep) for f in (*self.files, self.scratch)
            ):
                self.seen.append(f"{event} {args!r:.200}")


def status(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def serve(scratch):
    import hornbeam as hb
    from hornbeam.ops import routes

    routes.kernels()  # imports `hornbeam_cpu`, if installed, before the watch begins
    watch = Watch(scratch)
    sys.addaudithook(watch)
    model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(2, name="head")])
    model.compile("adam", "mse", metrics=["mae"])
    for name in ("warm.keras", "warm.h5", "warm.weights.h5"):  # triggers late imports
        path = os.path.join(scratch, name)
        model.save_weights(path) if name.endswith(".weights.h5") else model.save(path)
        model.load_weights(path)
        if not name.endswith(".weights.h5"):
            hb.models.load_model(path)

    def load(request):
        kind, path = request["kind"], request["path"]
        if kind == "model":
            return hb.models.load_model(path, **request.get("kwargs", {}))
        if kind == "weights":
            return model.load_weights(path)
        text = Path(path).read_text(errors="surrogateescape")
        if kind == "json":
            return hb.models.model_from_json(text)
        return hb.layers.deserialize(json.loads(text))

    gc.collect()
    gc.freeze()  # makes later collections quick
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before, start = status("VmRSS"), time.perf_counter()
        watch.seen = []
        answer = {"outcome": "loaded", "message": ""}
        allowed = [os.path.realpath(request["path"])]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                watch.files = allowed
                load(request)
        except Exception as error:
            watch.files = None
            answer = {
                "outcome": type(error).__name__,
                "message": str(error),
                "trace": traceback.format_exc()[-2000:],
            }
        watch.files = None
        answer |= {
            "seen": watch.seen,
            "peak": status("VmHWM") - before,
            "seconds": time.perf_counter() - start,
        }
        answer["settings"] = [hb.config.floatx(), hb.config.is_unsafe_deserialization_enabled()]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
