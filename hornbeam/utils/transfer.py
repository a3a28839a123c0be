"""Downloads: complete or not at all, checked, and continued after an interruption."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from hornbeam import settings
from hornbeam.callbacks.progbar import Progbar
from hornbeam.saving.disk import written_aside

try:
    import fcntl
except ImportError:  # not on Windows; there, an interrupted download starts again
    fcntl = None  # type: ignore[assignment]

__all__ = ["SCHEMES", "download", "has_hash"]

SCHEMES = ("https", "http", "ftp", "file")
_PIECE = 2**20
_TIMEOUT = 60
_TRIES = 4


class _Cut(OSError):
    """The connection ended before the file did."""


def has_hash(path: Path, file_hash: str, algorithm: str = "auto") -> bool:
    """Return whether a file has a hash.

    Args:
        path: The file.
        file_hash: SHA-256 or MD5, in hexadecimal digits.
        algorithm: `"sha256"`, `"md5"` or `"auto"`, which decides by the length of `file_hash`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "empty")
        >>> path.touch()
        >>> has_hash(path, "d41d8cd98f00b204e9800998ecf8427e")
        True
    """
    if algorithm == "auto":
        algorithm = "sha256" if len(file_hash) == 64 else "md5"
    found = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest() == file_hash.lower()


def download(
    origin: str, target: Path, file_hash: str | None = None, algorithm: str = "auto"
) -> None:
    """Download a URL to a file, which appears when it is complete and its hash matches.

    If the connection ends early, the rest is requested up to three times. If that fails too, the
    part is kept in a hidden file beside `target`, and the next call requests the rest. A part is
    continued only if the server's file is still the same (by its `ETag` or `Last-Modified`), or if
    a hash can prove it.

    Args:
        origin: URL of `https`, `http`, `ftp` or `file`.
        target: The file to write; its folder is created.
        file_hash, algorithm: As in `has_hash`.

    Raises:
        ValueError: If the hash does not match.
        OSError: If the file cannot be downloaded completely.
    """
    show = settings.is_interactive_logging_enabled() and not origin.startswith("file:")
    if show:
        print(f"Downloading data from {origin}")
    try:
        answer = _request(origin, file_hash)
        with answer, _place(origin, target, answer, file_hash) as (aside, continued):
            _receive(origin, answer, aside, continued, show, file_hash)
            if file_hash is not None and not has_hash(aside, file_hash, algorithm):
                aside.unlink()
                raise ValueError(
                    f"get_file: the file from {origin} does not have the hash {file_hash}: it may"
                    " be incomplete, or not the one expected. Check `file_hash`, or try again."
                )
    except urllib.error.HTTPError as error:
        raise OSError(f"URL fetch failure on {origin}: {error.code} -- {error.reason}") from error
    except urllib.error.URLError as error:
        raise OSError(f"URL fetch failure on {origin}: {error.reason}") from error
    except http.client.HTTPException as error:  # the answer is malformed or incomplete
        raise OSError(
            f"URL fetch failure on {origin}: {type(error).__name__}: {error!s:.200}"
        ) from error


def _request(origin: str, file_hash: str | None, **headers: str) -> Any:
    """Return the answer to a request, which may have been redirected to http or https only."""
    request = urllib.request.Request(origin, headers=headers)
    answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
    begun, ended = (
        urllib.parse.urlsplit(url).scheme
        for url in (origin, getattr(answer, "url", None) or origin)
    )
    if begun in ("https", "http") and ended not in ("https", "http"):
        raise OSError(
            f"get_file: {origin} redirects to {answer.url}, which is not an http or https URL. Pass"
            " a URL that serves the file itself."
        )
    if (begun, ended) == ("https", "http") and file_hash is None:
        warnings.warn(
            f"get_file: {origin} redirects to {answer.url}, an unencrypted address, whose answer"
            " others can change. Pass `file_hash`.",
            stacklevel=4,
        )
    return answer


def _validator(answer: Any) -> str | None:
    """Return what identifies the version of the server's file: a strong ETag, or its date."""
    etag = answer.headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return str(etag)
    return answer.headers.get("Last-Modified")


def _total(answer: Any) -> int | None:
    length = answer.headers.get("Content-Length")
    return int(length) if length and re.fullmatch("[0-9]{1,40}", length) else None


@contextmanager
def _place(
    origin: str, target: Path, answer: Any, file_hash: str | None
) -> Iterator[tuple[Path, bool]]:
    """Yield the file to write to, and whether it may hold the start already.

    The file replaces `target` when the block ends without an error. A part is kept only if it can
    be continued, and no other process writes to it.
    """
    version = file_hash or _validator(answer)
    held = None
    if version and _total(answer) and origin.startswith("http"):
        tag = hashlib.sha256(repr((origin, version, _total(answer))).encode()).hexdigest()[:16]
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{tag}.part")
        held = _lock(part)
    if held is None:
        with written_aside(target) as aside:
            yield aside, False
        return
    try:
        yield part, True
        with written_aside(target) as aside:
            os.replace(part, aside)
        for old in target.parent.glob(f".{_escaped(target.name)}.*.part"):
            _remove_part(old)
    finally:
        # The path may hold the part of another process by now.
        with contextlib.suppress(OSError):
            if not part.stat().st_size and _is(held, part):
                part.unlink()
        held.close()


def _remove_part(part: Path) -> None:
    """Remove the part of an earlier version of a file, unless another process writes to it."""
    held = _lock(part)
    if held is not None:
        with contextlib.suppress(OSError):
            part.unlink()
        held.close()


def _is(file: BinaryIO, path: Path) -> bool:
    return os.path.samestat(os.fstat(file.fileno()), path.stat())


def _escaped(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _lock(part: Path) -> BinaryIO | None:
    """Return the part's file, locked; `None` if another process holds it or locks are missing."""
    if fcntl is None:
        return None
    try:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        file = os.fdopen(os.open(part, flags, 0o600), "r+b")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is(file, part):
            return file
    except OSError:
        pass  # locked by another process, or renamed by it a moment ago
    file.close()
    return None


def _receive(
    origin: str, answer: Any, target: Path, continued: bool, show: bool, file_hash: str | None
) -> None:
    """Write the body of an answer to a file, after the part that the file holds already.

    Raises:
        OSError: If the connection ends early again and again.
    """
    total, version = _total(answer), _validator(answer)
    bar = Progbar(total, verbose=int(show), unit_name="byte")
    for again in range(_TRIES):
        done = target.stat().st_size if continued and target.exists() else 0
        if total and done >= total:
            done = 0 if done > total else done
        if done and done != total:
            answer, done = _rest(origin, answer, done, version, file_hash)
        try:
            if done != total or not total:
                _write(answer, target, done, total, bar)
            return
        except (_Cut, TimeoutError, ConnectionError) as error:
            after = target.stat().st_size
            if not continued or after <= done or again == _TRIES - 1:
                remedy = "Run again to continue." if continued else "Try again."
                raise OSError(
                    f"get_file: {origin} ended after {after} of {total} bytes"
                    f"{'' if isinstance(error, _Cut) else f' ({error})'}. {remedy}"
                ) from error
        finally:
            answer.close()


def _rest(
    origin: str, answer: Any, done: int, version: str | None, file_hash: str | None
) -> tuple[Any, int]:
    """Return an answer with the bytes from `done` on, or with all bytes, and where it starts."""
    answer.close()
    condition = {"If-Range": version} if version else {}
    try:
        answer = _request(origin, file_hash, Range=f"bytes={done}-", **condition)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        return _request(origin, file_hash), 0
    starts = re.match(r"bytes ([0-9]{1,40})-", answer.headers.get("Content-Range") or "")
    if answer.status == 206 and starts and int(starts[1]) == done:
        return answer, done
    if answer.status == 206:  # another part than the one that was asked for
        answer.close()
        answer = _request(origin, file_hash)
    return answer, 0


def _write(answer: Any, target: Path, done: int, total: int | None, bar: Progbar) -> None:
    with target.open("r+b" if done else "wb") as file:
        file.seek(done)
        while piece := answer.read(_PIECE):
            file.write(piece)
            done += len(piece)
            bar.update(done)
    if total and done != total:
        raise _Cut(f"{done} of {total} bytes")
