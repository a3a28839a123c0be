"""Files from URLs: downloaded once, checked, and kept in a folder."""

from __future__ import annotations

import os
import re
import tempfile
import urllib.parse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hornbeam.typing import FilePath
from hornbeam.utils.extraction import archive_kind, extract_archive
from hornbeam.utils.transfer import SCHEMES, download, has_hash

__all__ = ["get_file"]

_SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.bz", ".tar.xz")


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | Sequence[str] | None = "auto",
    cache_dir: FilePath | None = None,
    force_download: bool = False,
) -> str:
    """Return the path of a file from a URL; it is downloaded if it is not in the cache.

    The file is written under another name and renamed when it is complete and its hash matches.
    Several processes may therefore ask for it at once, and none sees a part of it. If the
    connection ends early, the part is kept, and the next call requests only the rest. Archives are
    unpacked aside, too. Only files and folders are unpacked, and all stay inside one folder (see
    `Raises`).

    Args:
        fname: Name in the cache, without a path. Default: the last part of `origin`. With
            `extract`, a name without an extension names the folder.
        origin: URL (`https`, `http`, `ftp` or `file`). A server may redirect only to `http` and
            `https`.
        untar: Keras 1's name for `extract`.
        md5_hash: Keras 1's name for `file_hash`.
        file_hash: SHA-256 or MD5 of the file, in hexadecimal digits.
        cache_subdir: Folder below `cache_dir`, or an absolute one. Any folder is allowed.
        hash_algorithm: `"sha256"`, `"md5"` or `"auto"`, which decides by the length of `file_hash`.
        extract: Whether the file is an archive to unpack.
        archive_format: `"auto"` (tar and zip), `"tar"` (also compressed), `"zip"`, a list of these,
            or `None` for no unpacking.
        cache_dir: Folder of the cache. Default: `KERAS_HOME`, or `~/.keras` if that is not set.
        force_download: Whether to download the file even if it is in the cache.

    Returns:
        Path of the file; with `extract`, of the folder with its members.

    Raises:
        ValueError: If an argument is wrong, or the hash does not match.
        FileError: If the archive is damaged, unpacks to far more than its size, or holds links or
            members outside of its folder.
        OSError: If the URL cannot be downloaded completely.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "words.txt").write_text("a b c")
        >>> path = get_file(origin=(folder / "words.txt").as_uri(), cache_dir=folder / "cache")
        >>> pathlib.Path(path).read_text()
        'a b c'
    """
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    url = _checked(origin, file_hash, hash_algorithm)
    name = _name(fname, url)
    folder = _cache_folder(cache_dir) / cache_subdir
    target = folder / name
    extract = extract or untar
    if extract:
        suffix = "" if fname is None else _suffix(name)
        # A name without an extension is the folder's; the archive gets another name.
        archive = target if suffix else folder / f"{name}_archive"
        members = folder / f"{name.removesuffix(suffix)}_extracted" if suffix else target
    else:
        archive, members = target, None
    fresh = force_download or not archive.is_file()
    if not fresh and file_hash is not None and not has_hash(archive, file_hash, hash_algorithm):
        warnings.warn(
            f"get_file: '{archive}' does not have the given hash; it is downloaded again.",
            stacklevel=2,
        )
        fresh = True
    if fresh:
        _fetch(url, archive, file_hash, hash_algorithm)
    if members is None:
        return str(archive)
    if fresh or not members.is_dir():
        kind = archive_kind(archive, archive_format)
        if kind is None and not archive_format:
            return str(archive)
        if kind is None:
            raise ValueError(
                f"get_file: '{name}' from {origin} is no archive of format {archive_format!r}."
            )
        extract_archive(archive, members, kind)
    return str(members)


def _checked(origin: Any, file_hash: Any, hash_algorithm: Any) -> str:
    """Return the URL; raise an error if it, the hash or the name of the algorithm is wrong."""
    if not origin:
        raise ValueError("get_file: `origin` is missing. Pass the URL to download.")
    if not isinstance(origin, str) or not origin.isascii():
        raise ValueError(
            "get_file: `origin` must be a URL, a string of ASCII letters (`urllib.parse.quote`"
            f" encodes others), received {origin!r}."
        )
    if hash_algorithm not in ("auto", "sha256", "md5"):
        raise ValueError(
            "get_file: `hash_algorithm` must be 'auto', 'sha256' or 'md5', received"
            f" {hash_algorithm!r}."
        )
    if file_hash is not None and not (
        isinstance(file_hash, str) and re.fullmatch("[0-9a-fA-F]{32}|[0-9a-fA-F]{64}", file_hash)
    ):
        raise ValueError(
            "get_file: `file_hash` must be 32 (MD5) or 64 (SHA-256) hexadecimal digits, received"
            f" {file_hash!r}."
        )
    return origin


def _name(fname: str | None, origin: str) -> str:
    name = (
        os.fsdecode(fname)
        if fname is not None
        else Path(urllib.parse.unquote(urllib.parse.urlsplit(origin).path)).name
    )
    if not name or name in (".", ".."):
        raise ValueError(f"get_file: {origin!r} names no file; pass `fname`.")
    if "/" in name or "\\" in name or "\0" in name or (os.name == "nt" and ":" in name):
        raise ValueError(
            f"get_file: `fname` must be a name without a path, received {name!r}. Folders are"
            " chosen by `cache_dir` and `cache_subdir`."
        )
    return name


def _suffix(name: str) -> str:
    return next((s for s in _SUFFIXES if name.lower().endswith(s)), Path(name).suffix)


def _cache_folder(cache_dir: Any) -> Path:
    """Return the cache folder; if it is not writable, this user's folder in the temporary one."""
    folder = Path(cache_dir or os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        pass
    if os.access(folder, os.W_OK):
        return folder
    # Others can predict the name and create the folder first, so it must belong to this user.
    user = os.getuid() if hasattr(os, "getuid") else "user"
    other = Path(tempfile.gettempdir()) / f".keras-{user}"
    other.mkdir(mode=0o700, exist_ok=True)
    if other.is_symlink() or (hasattr(os, "getuid") and other.stat().st_uid != user):
        raise OSError(
            f"get_file: neither '{folder}' nor '{other}' can be used as cache. Pass `cache_dir`."
        )
    return other


def _fetch(origin: str, target: Path, file_hash: str | None, algorithm: str) -> None:
    if urllib.parse.urlsplit(origin).scheme not in SCHEMES:
        raise ValueError(
            f"get_file: `origin` must be a URL of https, http, ftp or file, received {origin!r}."
        )
    download(origin, target, file_hash, algorithm)
