"""Files that are left out because they cannot be read."""

from __future__ import annotations

from hornbeam import errors

__all__ = ["Skipped"]


class Skipped(dict[str, str]):
    """The files that a stage left out: why, by name.

    Args:
        reader: Name of the function that reads them, for the warning.

    Example:
        >>> skipped = Skipped("Dataset.from_tar")
        >>> skipped["a.png"] = "it ends early"
        >>> len(skipped)
        1
    """

    def __init__(self, reader: str):
        super().__init__()
        self._reader, self._told = reader, 0

    def warn(self) -> None:
        """Warn of the files that were left out since the last warning."""
        names = list(self)[self._told :]
        self._told += len(names)
        if names:
            count = "1 file is" if len(names) == 1 else f"{len(names)} files are"
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            errors.warn(
                f"{self._reader}: {count} left out, because they cannot be read:"
                f" {errors.listed(names[:3])}{more}. The attribute `skipped_files` of the data set"
                " says why."
            )
