"""`BackupAndRestore`: an interrupted training resumes as if it had not been interrupted."""

from __future__ import annotations

import os

from hornbeam.callbacks.callback import Callback
from hornbeam.typing import FilePath

__all__ = ["BackupAndRestore"]


class BackupAndRestore(Callback):
    """Backs up the training; an interrupted script that is run again resumes where it stopped.

    The result equals that of an uninterrupted training bit for bit: weights, optimizer, metrics,
        `History`. A thread
    writes each backup to a temporary file, syncs it and renames it, so that a kill or a full disk
    leaves the previous one intact. If a backup fails, a warning says so and training continues. On
    SIGTERM the current step finishes, a backup is written, and the process exits with code 143. A
    training that ends deletes its backups, so that the next run starts from the beginning.

    Arrays and `PyDataset`s resume without reading again what was used. A plain generator is read
    again up to its last position and must yield the same batches. Callbacks resume their own state
    if they have `state_dict` and `load_state_dict` (see `Callback`). `fit` does the work; in a
    custom loop this callback does nothing. On a GPU, kernels are chosen anew in each process; set
    `XLA_FLAGS=--xla_gpu_deterministic_ops=true` for equal bits.

    Args:
        backup_dir: A folder for the backups of this training only.
        save_freq: `"epoch"`, a number of steps, or `False` for SIGTERM only. When epochs take
            milliseconds, `"epoch"` skips some, so that backups take a few percent of the time; the
            last epoch is always backed up.
        double_checkpoint: Whether the last two backups are kept, in case the disk damages one.
        delete_checkpoint: Whether the backups are deleted when the training ends.
        keep: Number of backups to keep. Default: 1, or 2 with `double_checkpoint`.
        save_before_preemption: Without effect, an argument of Keras 2: SIGTERM always leaves a
            backup.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> BackupAndRestore("backups/digits", save_freq=500).keep
        1
    """

    samples_only = True

    def __init__(
        self,
        backup_dir: FilePath,
        save_freq: int | str | bool = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        keep: int | None = None,
        save_before_preemption: bool = False,
    ):
        super().__init__()
        if not backup_dir:
            raise ValueError(
                "BackupAndRestore: `backup_dir` must be the path of a folder, received"
                f" {backup_dir!r}."
            )
        is_number = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if not is_number and save_freq is not False and save_freq != "epoch":
            raise ValueError(
                "BackupAndRestore: `save_freq` must be 'epoch', a positive number of steps, or"
                f" False, received {save_freq!r}."
            )
        if keep is not None and (isinstance(keep, bool) or not isinstance(keep, int) or keep < 1):
            raise ValueError(
                f"BackupAndRestore: `keep` must be a positive integer, received {keep!r}."
            )
        self.backup_dir, self.save_freq = os.fspath(backup_dir), save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self.keep = keep or (2 if double_checkpoint else 1)
