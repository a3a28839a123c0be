"""Small data sets for first experiments.

Each data set is a module with a function `load_data`. It looks for its files in the folder
`datasets` of `HORNBEAM_HOME` (default `~/.hornbeam`), then in Keras's cache (`KERAS_HOME`, default
`~/.keras`), and downloads them if they are in neither. If `HORNBEAM_MIRROR` is set to the URL of a
folder, files are downloaded from there instead. MNIST is bundled.

To add a data set:

1. Write `hornbeam/datasets/NAME.py`. Declare each file as a `DatasetFile` (`dataset_file.py`) with
   its name, URL and checksum, and a reader from `readers.py`.
2. Let `load_data` call `read()` and return `(x_train, y_train), (x_test, y_test)`.
3. Import the module here and add it to `__all__`.

`DatasetFile` downloads, caches and checks the file, and the readers reject damaged and malicious
files, so the module only declares the URLs, and the shapes and meaning of the arrays. A file of a
few MB may be bundled if its license allows it. Its `address` is then `None`.
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
