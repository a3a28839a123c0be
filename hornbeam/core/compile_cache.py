"""XLA's compiled programs kept on disk, so that a second start of a script need not compile.

The folder belongs to the user alone, since what lies there is run. Entries carry a checksum, are written
aside and renamed; so processes may share the folder, and one that is killed leaves nothing half written.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import jax

__all__ = ["default_folder", "disable", "enable", "folder"]

_ENDING = ".xla"
_CHECKSUM = 16  # bytes before an entry's content
_in_use: Path | None = None


def default_folder() -> Path:
    """Return the user's folder for compiled programs, of this kind of processor."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local"))
    elif sys.platform == "darwin":
        base = home / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "hornbeam" / f"xla-{_processor()}"


def folder() -> Path | None:
    """Return the folder in use, `None` where programs are not kept (or a user's own setting of JAX keeps them)."""
    return _in_use


def enable(path: Any = None, max_bytes: int = 2**31) -> bool:
    """Keep compiled programs in `path`; return whether that is possible.

    Args:
        path: The folder. Default: `default_folder()`.
        max_bytes: Size above which the entries used longest ago are removed.
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
        from jax._src import compilation_cache

        compilation_cache.reset_cache()
        compilation_cache._cache = _make_cache(place, max_bytes)
        compilation_cache._cache_initialized = True
    except (ImportError, AttributeError, TypeError):
        pass  # another JAX: its own cache of files does the work
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    _in_use = place
    return True


def disable() -> None:
    """Keep no compiled programs."""
    global _in_use
    if _in_use is not None:
        from jax._src import compilation_cache

        compilation_cache.reset_cache()
        jax.config.update("jax_compilation_cache_dir", None)
        _in_use = None


def enable_by_default() -> None:
    """Do what the environment says at import: `HORNBEAM_COMPILE_CACHE` is `0` or a folder; JAX's own setting wins."""
    wanted = os.environ.get("HORNBEAM_COMPILE_CACHE", "")
    if wanted.lower() in ("0", "off", "false", "no") or jax.config.jax_compilation_cache_dir is not None:
        return
    with contextlib.suppress(RuntimeError):  # no home folder
        enable(wanted or None)


def _processor() -> str:
    """Return a short name of the instructions that programs compiled here may use."""
    text = platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", "rb") as file:
        lines = file.read(8192).splitlines()
        text += repr([line for line in lines if line.startswith((b"flags", b"Features", b"model name"))][:2])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _make_cache(place: Path, max_bytes: int) -> Any:
    from jax._src.compilation_cache_interface import CacheInterface

    class Cache(CacheInterface):
        """JAX's cache of compiled programs, as files that are whole or not there."""

        def __init__(self) -> None:
            self._path = place
            self._looked_after = False

        def _file(self, key: str) -> Path:
            return place / f"{hashlib.blake2b(key.encode(), digest_size=20).hexdigest()}{_ENDING}"

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
                os.utime(path)  # what was used last is removed last
            return content

        def put(self, key: str, value: bytes) -> None:
            aside = ""
            try:
                handle, aside = tempfile.mkstemp(dir=place)
                with os.fdopen(handle, "wb") as file:
                    file.write(_checksum(key, value) + value)
                os.replace(aside, self._file(key))
            except OSError:  # a full disk or a read-only folder: it will be compiled again
                with contextlib.suppress(OSError):
                    os.unlink(aside)
            if not self._looked_after:
                self._looked_after = True
                threading.Thread(target=_prune, args=(place, max_bytes), daemon=True).start()

    return Cache()


def _checksum(key: str, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECKSUM, key=key.encode()[:64]).digest()


def _prune(place: Path, max_bytes: int) -> None:
    """Remove the entries used longest ago until a fifth of the allowed size is free, where it is exceeded."""
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
