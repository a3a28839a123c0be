"""Unpacking archives of any origin: only files and folders, inside one folder, of bounded size."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from hornbeam.core.loading import ALLOWANCE
from hornbeam.errors import FileError
from hornbeam.typing import FilePath

__all__ = ["archive_kind", "extract_archive", "most_unpacked"]

# Text compresses tenfold, sparse tables a hundredfold; more than this is a decompression bomb.
_RATIO = 200
_MAX_HEADER = 2**20
_MAX_DEPTH = 100
_LONG_HEADERS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def archive_kind(path: FilePath, archive_format: str | Sequence[str] | None = "auto") -> str | None:
    """Return the kind of an archive by its content: `"tar"`, `"zip"`, or `None` for another file.

    Args:
        path: The file.
        archive_format: The kinds to look for: `"auto"` (both), `"tar"`, `"zip"`, a list of these,
            or `None`.

    Raises:
        ValueError: If `archive_format` names another kind.
    """
    formats = ["tar", "zip"] if archive_format == "auto" else archive_format or []
    formats = [formats] if isinstance(formats, str) else list(formats)
    for name in formats:
        if name not in ("tar", "zip"):
            raise ValueError(
                "`archive_format` must be 'auto', 'tar', 'zip', a list of these or None, received"
                f" {name!r}."
            )
        if name == "zip" and zipfile.is_zipfile(path):
            return name
        if name == "tar":
            try:
                with tarfile.open(path, tarinfo=_Header):
                    return name
            except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, RecursionError):
                continue
    return None


def most_unpacked(path: FilePath) -> int:
    """Return how many bytes a file may unpack to; a larger claim is a decompression bomb."""
    return _RATIO * Path(path).stat().st_size + ALLOWANCE


def extract_archive(path: FilePath, folder: FilePath, kind: str) -> None:
    """Unpack an archive. `folder` appears only when all members are unpacked.

    Args:
        path: The archive.
        folder: Folder for the members; an existing one is replaced.
        kind: `"tar"` or `"zip"`.

    Raises:
        FileError: If the archive is damaged, unpacks to far more than its size, or has a member
            that is a link or a device or would be written outside of `folder`.
    """
    path, folder = Path(path), Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        aside = place / "new"
        aside.mkdir()
        size = path.stat().st_size
        left, members = most_unpacked(path), 10_000 + size // 64
        with _one_error(path):
            for name, is_folder, executable, source in (
                _tar_members if kind == "tar" else _zip_members
            )(path):
                members -= 1
                if members < 0:
                    raise FileError(
                        f"'{path.name}' has more members than an archive of {size} bytes should."
                    )
                target = aside / _checked(name, path)
                try:
                    (target if is_folder else target.parent).mkdir(parents=True, exist_ok=True)
                    if is_folder:
                        continue
                    file = target.open("wb")
                except (FileExistsError, NotADirectoryError, IsADirectoryError):
                    raise FileError(
                        f"'{path.name}' has {name!r} both as a file and as a folder."
                    ) from None
                with file:
                    left -= _copy(source, file, left, path)
                target.chmod(0o755 if executable else 0o644)
        if folder.exists():
            os.replace(folder, place / "old")
        try:
            os.replace(aside, folder)
        except OSError:
            if not folder.is_dir():
                raise  # otherwise another process was faster, with the same members
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _copy(source: Any, target: BinaryIO, limit: int, path: Path) -> int:
    copied = 0
    with source() as file:
        while piece := file.read(2**20):
            copied += len(piece)
            if copied > limit:
                raise FileError(
                    f"'{path.name}' unpacks to more than {_RATIO} times its size, as decompression"
                    " bombs do. If you trust it, unpack it by hand."
                )
            target.write(piece)
    return copied


def _checked(name: str, path: Path) -> Path:
    """Return the relative path of a member; it must stay inside the folder."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    outside = (
        name.startswith(("/", "\\"))
        or ".." in parts
        or any(":" in part for part in parts)
        and os.name == "nt"
    )
    if outside or "\0" in name or len(name) > 4096 or (len(name) > 1 and name[1] == ":"):
        raise FileError(
            f"'{path.name}' has the member {name!r:.200}, which would be written outside of its"
            " folder."
        )
    if len(parts) > _MAX_DEPTH or any(len(os.fsencode(part)) > 255 for part in parts):
        raise FileError(
            f"'{path.name}' has the member {name!r:.200}, whose name is longer or deeper than a"
            " file's can be."
        )
    return Path(*parts)


def _tar_members(path: Path) -> Iterator[tuple[str, bool, bool, Any]]:
    with tarfile.open(path, tarinfo=_Header) as archive:
        before = -1
        for member in archive:
            if member.offset <= before:
                raise FileError(f"'{path.name}' is damaged: its members form a cycle.")
            before = member.offset
            if not (member.isreg() or member.isdir()) or member.issparse():
                kind = "a link" if member.issym() or member.islnk() else "not a regular file"
                raise FileError(
                    f"'{path.name}' has the member {member.name!r}, which is {kind}; these are not"
                    " unpacked."
                )
            yield (
                member.name,
                member.isdir(),
                bool(member.mode & 0o100),
                lambda m=member: archive.extractfile(m),
            )


class _Header(tarfile.TarInfo):
    """A member's header that refuses negative sizes, and headers longer than any name."""

    def _block(self, count: int) -> int:
        if count < 0:
            raise tarfile.ReadError("a negative size")
        return super()._block(count)  # type: ignore[misc]

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type == tarfile.GNUTYPE_SPARSE or (
            self.type in _LONG_HEADERS and self.size > _MAX_HEADER
        ):
            raise tarfile.ReadError("a header that no archive needs")
        return super()._proc_member(archive)  # type: ignore[misc]


def _zip_members(path: Path) -> Iterator[tuple[str, bool, bool, Any]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if stat.S_ISLNK(mode):
                raise FileError(
                    f"'{path.name}' has the member {info.filename!r}, which is a link; these are"
                    " not unpacked."
                )
            if info.flag_bits & 1 or info.compress_type not in _ZIP_METHODS:
                raise FileError(
                    f"'{path.name}' has the member {info.filename!r}, which is encrypted or"
                    " compressed by an unsupported method."
                )
            yield (
                info.filename,
                info.is_dir(),
                bool(mode & 0o100),
                lambda i=info: _opened(archive, i),
            )


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    return archive.open(info)


@contextmanager
def _one_error(path: Path) -> Iterator[None]:
    damage = (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    )
    try:
        yield
    except FileError:
        raise
    except (*damage, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # a full disk, or a folder without write permission
        raise FileError(f"'{path.name}' is a damaged archive: {error}.") from error
