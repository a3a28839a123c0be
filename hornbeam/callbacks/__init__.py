"""Callbacks: code that runs at events of training, evaluation and prediction."""

from hornbeam.callbacks.backup_and_restore import BackupAndRestore
from hornbeam.callbacks.callback import Callback
from hornbeam.callbacks.callback_list import CallbackList
from hornbeam.callbacks.early_stopping import EarlyStopping
from hornbeam.callbacks.history import History
from hornbeam.callbacks.model_checkpoint import ModelCheckpoint
from hornbeam.callbacks.orbax_checkpoint import OrbaxCheckpoint
from hornbeam.callbacks.progbar_logger import ProgbarLogger
from hornbeam.callbacks.rates import LearningRateScheduler, ReduceLROnPlateau
from hornbeam.callbacks.remote_monitor import RemoteMonitor
from hornbeam.callbacks.small import CSVLogger, LambdaCallback, TerminateOnNaN
from hornbeam.callbacks.swap_ema_weights import SwapEMAWeights
from hornbeam.callbacks.tensorboard import TensorBoard
from hornbeam.objects.family import Family

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "OrbaxCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]

# Model files hold no callbacks, and may not name them: a callback may write files.
CALLBACKS = Family(
    "callback", Callback, "keras.callbacks", globals(), takes_functions=False, in_files=False
)
