"""The command `hornbeam`."""

from __future__ import annotations

import argparse
import builtins
import contextlib
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import hornbeam.keras
from hornbeam.distribution import initialize
from hornbeam.keras import install_as_keras
from hornbeam.launching import LAUNCHED, end_with_launcher, launch

__all__ = ["main", "run_code", "run_module", "run_script"]

_DESCRIPTION = "Hornbeam, a deep-learning framework with the Keras interface."
_USAGE = "hornbeam run [-h] [--no-tensorflow] (SCRIPT | -m MODULE | -c CODE | -) [ARGUMENT ...]"
_RUN = """Run Python code that imports keras or tensorflow.keras, unchanged, on Hornbeam. The forms
are those of Python: a script, a module (-m), code (-c), or code from the standard input (-).
Arguments after it are passed on."""
_LAUNCH = """Run a program in several processes on this machine. They are connected before the
program starts (hornbeam.distribution.initialize), so a model that is compiled with a distribution
is trained by all of them together. The output of process 0 is shown, and the errors of all."""
_LAUNCH_USAGE = (
    "hornbeam launch [-h] --processes N [--all-output] [--cores N]"
    " (SCRIPT | -m MODULE) [ARGUMENT ...]"
)
_NO_TENSORFLOW = "--no-tensorflow"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: Arguments after `hornbeam`. Default: the arguments of this process.

    Returns:
        0 if the code ran to its end, 1 if it raised, 2 if it cannot be read.

    Raises:
        SystemExit: If the code raises it, or with code 2 if the command line is wrong.

    Example:
        >>> main(["run", "no-such-script.py"])
        2
    """
    parser = argparse.ArgumentParser(prog="hornbeam", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"hornbeam {_version()}")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run",
        help="run Keras code on Hornbeam",
        description=_RUN,
        usage=_USAGE,
        prefix_chars="\0",
        add_help=False,
    )
    run.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    launched = commands.add_parser(
        "launch",
        help="run a program in several processes that train together",
        description=_LAUNCH,
        usage=_LAUNCH_USAGE,
    )
    _add_launch_options(launched)
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    end = _end_of_options(arguments) if arguments[:1] == ["launch"] else len(arguments)
    given = parser.parse_args(arguments[:end])
    if given.command == "launch":
        return _launch(launched, given, arguments[end:])
    rest = given.rest
    tensorflow = True
    while rest and rest[0] in (_NO_TENSORFLOW, "-h", "--help"):
        if rest.pop(0) != _NO_TENSORFLOW:
            run.print_help()
            return 0
        tensorflow = False
    if not rest:
        run.error("expected a script, `-m MODULE`, `-c CODE` or `-`")
    first, *others = rest
    if first in ("-m", "-c"):
        if not others:
            run.error(f"expected {'a module' if first == '-m' else 'code'} after `{first}`")
        function = run_module if first == "-m" else run_code
        return function(others[0], others[1:], tensorflow)
    if first == "-":
        return run_code(sys.stdin.read(), others, tensorflow, name="<stdin>", shown="-")
    if first.startswith("-"):
        run.error(f"unknown option {first!r}")
    return run_script(first, others, tensorflow)


def _add_launch_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--processes", "-n", type=int, required=True, metavar="N", help="number of processes")
    add("--all-output", action="store_true", help="show the output of all processes, with numbers")
    add("--cores", type=int, metavar="N", help="cores of each process; default: all share all")


def _end_of_options(arguments: list[str]) -> int:
    """Return where the program begins after `launch` and its options."""
    end = 1
    while end < len(arguments) and arguments[end].startswith("-"):
        if arguments[end] in ("-m", "--"):
            break
        end += 2 if arguments[end] in ("-n", "--processes", "--cores") else 1
    return min(end, len(arguments))


def _launch(parser: argparse.ArgumentParser, given: argparse.Namespace, program: list[str]) -> int:
    program = program[1:] if program[:1] == ["--"] else program
    for name in ("processes", "cores"):
        value = getattr(given, name)
        if value is not None and value < 1:
            parser.error(f"`--{name}` must be at least 1, received {value}")
    if given.cores is not None and not hasattr(os, "sched_setaffinity"):
        parser.error("`--cores` needs Linux; leave it out here")
    if not program or (program[0] == "-m" and len(program) < 2):
        parser.error("expected a script or `-m MODULE`")
    if program[0].startswith("-") and program[0] != "-m":
        parser.error(f"expected a script or `-m MODULE`, received {program[0]!r}")
    if program[0] != "-m" and not os.path.isfile(program[0]):
        print(f"hornbeam launch: there is no script {program[0]!r}.", file=sys.stderr)
        return 2
    return launch(program, given.processes, given.all_output, given.cores)


def _version() -> str:
    try:
        return metadata.version("hornbeam")
    except metadata.PackageNotFoundError:  # run from a checkout
        return "(not installed)"


def run_script(path: str, arguments: Sequence[str] = (), tensorflow: bool = True) -> int:
    """Run a script like `python path arguments...`, with Hornbeam instead of Keras.

    Changes `sys.argv`, `sys.path[0]` and the module `__main__` of this process.

    Args:
        path: Path of the script.
        arguments: The script's arguments, `sys.argv[1:]`.
        tensorflow: Whether `tensorflow` is Hornbeam too.

    Returns:
        0 if the script ran to its end, 1 if it raised (the traceback is printed), 130 after Ctrl-C,
        2 if it cannot be read.

    Raises:
        SystemExit: If the script raises it.

    Example:
        >>> run_script("no-such-script.py")
        2
    """
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(
            f"hornbeam run: cannot read {path!r}: {error.strerror}. Give the path of a Python "
            "script: hornbeam run script.py [arguments]",
            file=sys.stderr,
        )
        return 2
    folder = os.path.dirname(os.path.realpath(path))
    return _run_source(source, path, [path, *arguments], folder, tensorflow, {"__file__": path})


def run_code(
    source: str, arguments: Sequence[str] = (), tensorflow: bool = True, name: str = "<string>",
    shown: str = "-c",
) -> int:  # fmt: skip
    """Run code like `python -c source arguments...`; otherwise as `run_script`.

    Args:
        source: The code.
        arguments, tensorflow: As for `run_script`.
        name: File name in tracebacks.
        shown: `sys.argv[0]` of the code.

    Example:
        >>> run_code("1 / 0")
        1
    """
    return _run_source(source, name, [shown, *arguments], "", tensorflow, {})


def _run_source(
    source: bytes | str, name: str, argv: list[str], folder: str, tensorflow: bool,
    values: dict[str, Any],
) -> int:  # fmt: skip
    _prepare(argv, folder, tensorflow)
    module = ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, **values)
    sys.modules["__main__"] = module

    def run() -> None:
        exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)

    return _shown(run)


def run_module(name: str, arguments: Sequence[str] = (), tensorflow: bool = True) -> int:
    """Run a module like `python -m name arguments...`; otherwise as `run_script`.

    Args:
        name: Name of the module, or of a package with `__main__`, such as `"pytest"`.
        arguments, tensorflow: As for `run_script`.
    """
    _prepare([name, *arguments], os.getcwd(), tensorflow)
    return _shown(lambda: runpy.run_module(name, run_name="__main__", alter_sys=True))


def _prepare(argv: list[str], folder: str, tensorflow: bool) -> None:
    if pipe := os.environ.pop(LAUNCHED, None):  # not for processes that this one starts
        end_with_launcher(int(pipe))
        initialize()
    install_as_keras(tensorflow=tensorflow)
    sys.argv = argv
    if not sys.flags.safe_path:  # without -P, Python puts the script's folder first
        sys.path[0] = folder
    _tell_children(tensorflow)


def _tell_children(tensorflow: bool) -> None:
    """Make `import keras` mean Hornbeam in Python processes that the code starts by any means.

    They find packages that install the stand-ins: by `PYTHONPATH`, or by `sys.path`, which workers
    of joblib copy.
    """
    home = Path(hornbeam.keras.__file__).parent / "children"
    folders = [str(home / "keras_only"), *([str(home / "tensorflow_too")] if tensorflow else [])]
    sys.path[1:1] = [path for path in folders if path not in sys.path]
    package = str(Path(hornbeam.keras.__file__).parents[2])
    before = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    paths = dict.fromkeys([*folders, *before, package])
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def _shown(run: Callable[[], Any]) -> int:
    """Run, print the traceback of an error as Python does, and return the exit code."""
    try:
        run()
    except SystemExit:
        raise
    except BaseException as error:
        trace = _of_user(error.__traceback__)
        with contextlib.suppress(BrokenPipeError):
            sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _of_user(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this file and of `runpy` at its start."""
    ours = (__file__, runpy.__file__, "<frozen runpy>")
    while trace is not None and trace.tb_frame.f_code.co_filename in ours:
        trace = trace.tb_next
    return trace
