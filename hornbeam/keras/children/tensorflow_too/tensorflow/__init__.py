"""Stands for `tensorflow` in the processes that `hornbeam run` starts; see `hornbeam.cli`."""

import importlib
import sys

from hornbeam.keras import install_as_keras

del sys.modules[__name__]
install_as_keras(tensorflow=True)
importlib.import_module(__name__)
