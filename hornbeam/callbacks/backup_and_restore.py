"""`BackupAndRestore`: an interrupted training goes on as if it had not been interrupted."""

from __future__ import annotations

import os
from typing import Any

from hornbeam.callbacks.callback import Callback

__all__ = ["BackupAndRestore"]


class BackupAndRestore(Callback):
    """Backs up the training, so that the same script, run again after whatever stopped it, goes on where it stood.

    The result is the one of a training that was never interrupted, bit for bit: weights, optimizer, metrics, `History`.
    A backup is written aside, synced and renamed, in a thread of its own, so that a kill or a full disk leaves the one
    before whole; a failed one is told by a warning and training goes on. SIGTERM lets the step under way finish, backs up
    and exits with code 143. A training that ends deletes its backups, so the next run trains anew.

    Arrays and `PyDataset`s go on without reading what was used; a plain generator is read again up to where it was,
    and must yield the same. State of one's own in callbacks comes back if they have `state_dict` and `load_state_dict`
    (see `Callback`). `fit` does the work: in a loop of one's own this callback does nothing. On a GPU, kernels are chosen
    anew in each process; set `XLA_FLAGS=--xla_gpu_deterministic_ops=true` for equal bits.

    Args:
        backup_dir: Folder of this training's backups, of no other's.
        save_freq: `"epoch"`, a number of steps, or `False`: at SIGTERM alone. Where dozens of epochs take milliseconds each,
            `"epoch"` leaves some out, so that backups take a few hundredths of the time; the last one is always backed up.
        double_checkpoint: Whether the last two backups are kept, in case the disk damages one.
        delete_checkpoint: Whether backups are deleted when the training has ended.
        keep: How many backups are kept. Default: 1, with `double_checkpoint` 2.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> BackupAndRestore("backups/digits", save_freq=500).keep
        1
    """

    samples_only = True

    def __init__(
        self, backup_dir: Any, save_freq: Any = "epoch", double_checkpoint: bool = False, delete_checkpoint: bool = True,
        keep: int | None = None,
    ):  # fmt: skip
        super().__init__()
        if not backup_dir:
            raise ValueError(f"BackupAndRestore: `backup_dir` must be the path of a folder, received {backup_dir!r}.")
        is_number = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if not is_number and save_freq is not False and save_freq != "epoch":
            raise ValueError(
                f"BackupAndRestore: `save_freq` must be 'epoch', a positive number of steps, or False, received {save_freq!r}."
            )
        if keep is not None and (isinstance(keep, bool) or not isinstance(keep, int) or keep < 1):
            raise ValueError(f"BackupAndRestore: `keep` must be a positive integer, received {keep!r}.")
        self.backup_dir, self.save_freq = os.fspath(backup_dir), save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self.keep = keep or (2 if double_checkpoint else 1)
