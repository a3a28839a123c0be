"""`keras`, provided by Hornbeam."""

import importlib
import sys

from hornbeam.keras import install_as_keras

del sys.modules[__name__]
install_as_keras(tensorflow=False)
importlib.import_module(__name__)
