"""The command `hornbeam`."""

from __future__ import annotations

import argparse
import builtins
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from types import ModuleType

from hornbeam.keras import install_as_keras

__all__ = ["main", "run_script"]

_DESCRIPTION = "Hornbeam, a deep-learning framework with the Keras interface."
_RUN = """Run a Python script that imports keras or tensorflow.keras, unchanged, on Hornbeam.
Arguments after the script's name are passed to it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: Arguments after `hornbeam`. Default: the arguments of this process.

    Returns:
        0 if the script ran to its end, 1 if it raised, 2 if it cannot be read.

    Raises:
        SystemExit: If the script raises it, or with code 2 if the command line is wrong.

    Example:
        >>> main(["run", "no-such-script.py"])
        2
    """
    parser = argparse.ArgumentParser(prog="hornbeam", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"hornbeam {_version()}")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a Keras script on Hornbeam", description=_RUN)
    run.add_argument("script", help="path of the script")
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the script")
    options = parser.parse_args(arguments)
    return run_script(options.script, options.arguments)


def _version() -> str:
    try:
        return metadata.version("hornbeam")
    except metadata.PackageNotFoundError:  # run from a checkout
        return "(not installed)"


def run_script(path: str, arguments: Sequence[str] = ()) -> int:
    """Run a script like `python path arguments...`, with Hornbeam instead of Keras.

    Changes `sys.argv`, `sys.path[0]` and the module `__main__` of this process.

    Args:
        path: Path of the script.
        arguments: The script's arguments, `sys.argv[1:]`.

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

    install_as_keras()
    module = ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=builtins)
    sys.modules["__main__"] = module
    sys.argv = [path, *arguments]
    folder = os.path.dirname(os.path.realpath(path))
    if not sys.flags.safe_path:  # without -P, Python puts the script's folder first
        sys.path[0] = folder
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        # Skips this function's frame, to print the same traceback as Python.
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0
