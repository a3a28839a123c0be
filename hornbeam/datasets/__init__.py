"""Small data sets for first experiments.

A data set is a module with the function `load_data`. Its files are looked for in the folder
`datasets` of `HORNBEAM_HOME` (default `~/.hornbeam`), then in Keras's cache (`KERAS_HOME`, default
`~/.keras`), and downloaded if they are in neither. `HORNBEAM_MIRROR` is the URL of a folder to
download from instead. MNIST is bundled.

To add a data set:

1. Write `hornbeam/datasets/NAME.py`. Declare each file as a `DatasetFile` (`dataset_file.py`) with
   its name, URL, checksum, and a reader from `readers.py`.
2. Let `load_data` call `read()` and return `(x_train, y_train), (x_test, y_test)`.
3. Import the module here and add it to `__all__`.

`DatasetFile` downloads, caches and checks the file, and the readers reject damaged and malicious
files. The module needs only the addresses, the shapes and the meaning of the arrays. A file of a
few MB whose licence allows it may be bundled, with `None` as its address.
"""

from hornbeam.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)

__all__ = [
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "imdb",
    "mnist",
    "reuters",
]
