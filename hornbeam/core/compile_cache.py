"""A cache of compiled XLA programs on disk, which saves compilation when a script starts again.

Only the user may be able to write to the folder, because its programs are run. Each entry has a
checksum. It is written under another name and then renamed, so processes can share the folder, and
a killed process leaves no incomplete entry.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import platform
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import jax

from hornbeam.typing import FilePath

__all__ = ["default_folder", "disable", "enable", "folder"]


def _private_module(name: str) -> Any:
    """Return a private module of JAX; `None` if this version of JAX lacks it."""
    try:
        return importlib.import_module(f"jax._src.{name}")
    except ImportError:
        return None


_compilation_cache = _private_module("compilation_cache")
_CacheInterface: Any = getattr(
    _private_module("compilation_cache_interface"), "CacheInterface", object
)
_jax_config: Any = jax.config  # its settings are attributes that mypy does not see

_ENDING = ".xla"
_CHECKSUM = 16  # bytes before an entry's content
_in_use: Path | None = None


def default_folder() -> Path:
    """Return the folder of the user for programs compiled for this kind of processor."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local"))
    elif sys.platform == "darwin":
        base = home / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "hornbeam" / f"xla-{_processor()}"


def folder() -> Path | None:
    """Return the folder in use, or `None` if the cache is disabled or JAX's setting is used."""
    return _in_use


def enable(path: FilePath | None = None, max_bytes: int = 2**31) -> bool:
    """Keep compiled programs in a folder.

    Args:
        path: The folder. Default: `default_folder()`.
        max_bytes: Size of all entries above which the least recently used ones are removed.

    Returns:
        Whether it is possible. It is not where the folder cannot be made, or others may write in
        it.
    """
    global _in_use
    place = Path(path) if path is not None else default_folder()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = place.stat()
    except OSError:
        return False
    if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
        return False  # somebody else could put programs there
    try:
        _compilation_cache.reset_cache()
        _compilation_cache._cache = _Cache(place, max_bytes)
        _compilation_cache._cache_initialized = True
    except (AttributeError, TypeError):
        pass  # another version of JAX: its own cache of files does the work
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    _in_use = place
    return True


def disable() -> None:
    """Keep no compiled programs."""
    global _in_use
    if _in_use is not None:
        _compilation_cache.reset_cache()
        jax.config.update("jax_compilation_cache_dir", None)
        _in_use = None


def enable_by_default() -> None:
    """Enable the cache at import, unless `HORNBEAM_COMPILE_CACHE` is "0" or JAX has a cache."""
    wanted = os.environ.get("HORNBEAM_COMPILE_CACHE", "")
    if (
        wanted.lower() in ("0", "off", "false", "no")
        or _jax_config.jax_compilation_cache_dir is not None
    ):
        return
    with contextlib.suppress(RuntimeError):  # no home folder
        enable(wanted or None)


def _processor() -> str:
    """Return a hash of the processor's instruction set, which compiled programs depend on."""
    text = platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", "rb") as file:
        lines = file.read(8192).splitlines()
        text += repr(
            [line for line in lines if line.startswith((b"flags", b"Features", b"model name"))][:2]
        )
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


class _Cache(_CacheInterface):
    """JAX's cache of compiled programs, in files that are whole or absent."""

    def __init__(self, place: Path, max_bytes: int) -> None:
        self._path, self._max_bytes = place, max_bytes
        self._pruned = False

    def _file(self, key: str) -> Path:
        return self._path / f"{hashlib.blake2b(key.encode(), digest_size=20).hexdigest()}{_ENDING}"

    def get(self, key: str) -> bytes | None:
        path = self._file(key)
        try:
            entry = path.read_bytes()
        except OSError:
            return None
        content = entry[_CHECKSUM:]
        if _checksum(key, content) != entry[:_CHECKSUM]:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the entries used last are removed last
        return content

    def put(self, key: str, value: bytes) -> None:
        aside = ""
        try:
            handle, aside = tempfile.mkstemp(dir=self._path)
            with os.fdopen(handle, "wb") as file:
                file.write(_checksum(key, value) + value)
            os.replace(aside, self._file(key))
        except OSError:  # a full disk or a read-only folder: the program will be compiled again
            with contextlib.suppress(OSError):
                os.unlink(aside)
        if not self._pruned:
            self._pruned = True
            threading.Thread(target=_prune, args=(self._path, self._max_bytes), daemon=True).start()


def _checksum(key: str, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECKSUM, key=key.encode()[:64]).digest()


def _prune(place: Path, max_bytes: int) -> None:
    """Remove the least recently used entries if the cache exceeds `max_bytes`.

    Frees a fifth of `max_bytes`.
    """
    entries = []
    with contextlib.suppress(OSError):
        for item in os.scandir(place):
            with contextlib.suppress(OSError):
                status = item.stat()
                entries.append((status.st_mtime, status.st_size, item.path))
    size = sum(bytes for _, bytes, _ in entries)
    if size <= max_bytes:
        return
    for _, bytes, path in sorted(entries):
        with contextlib.suppress(OSError):
            os.unlink(path)
        size -= bytes
        if size <= 0.8 * max_bytes:
            return
