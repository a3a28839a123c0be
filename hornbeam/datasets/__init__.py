"""Data sets for first steps.

A data set is a module with the function `load_data`. To add one, write `hornbeam/datasets/NAME.py`:
declare each file as a `DatasetFile` (`dataset_file.py`) with its name, URL, SHA-256 and size, and a
reader from `readers.py`; let `load_data` call `read()` and return
`(x_train, y_train), (x_test, y_test)`; import the module here and add it to `__all__`.
`DatasetFile` downloads, caches and checks the file, and the readers refuse damaged and hostile
ones, so that the module holds only what is its own:
    addresses,
shapes and the meaning of the arrays. A file of a few MB whose licence allows it may be bundled,
with `None` as address.
"""

from hornbeam.datasets import mnist

__all__ = ["mnist"]
