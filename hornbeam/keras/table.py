"""Tables that map Keras modules to Hornbeam modules.

`KERAS_MODULES` maps the name of a module, without its root (`keras`, `tensorflow.keras`, ...), to
the modules below `hornbeam` that are searched for its attributes, in order. The empty name is
`hornbeam` itself. A Keras module whose Hornbeam modules do not exist cannot be imported.
`TENSORFLOW_MODULES` does the same for the namespaces of TensorFlow.
"""

from __future__ import annotations

from hornbeam.keras.deep_paths import DEEP_MODULES, OLDER_NAMES

__all__ = [
    "ALIASES", "KERAS_MODULES", "KERAS_ROOTS", "KERAS_VERSION", "TENSORFLOW_MODULES",
    "TENSORFLOW_VERSION",
]  # fmt: skip

# Scripts read `__version__` to find out which interface they use. The suffix shows that Hornbeam
# provides it.
KERAS_VERSION = "3.15.1+hornbeam"
TENSORFLOW_VERSION = "2.21.0+hornbeam"

# All roots have the same modules.
KERAS_ROOTS = (
    "keras.src", "keras", "tf_keras.src", "tf_keras", "tensorflow.keras", "tensorflow.python.keras",
    "tensorflow.compat.v1.keras", "tensorflow.compat.v2.keras", "tensorflow.contrib.keras",
)  # fmt: skip

_CURRENT = [
    "activations", "backend", "callbacks", "config", "constraints", "datasets",
    "datasets.boston_housing", "datasets.california_housing", "datasets.cifar10",
    "datasets.cifar100", "datasets.fashion_mnist", "datasets.imdb", "datasets.mnist",
    "datasets.reuters", "distillation", "distribution", "dtype_policies", "export", "initializers",
    "layers", "legacy", "legacy.saving", "losses", "metrics", "mixed_precision", "models", "ops",
    "ops.image", "ops.linalg", "ops.nn", "ops.numpy", "optimizers", "optimizers.legacy",
    "optimizers.schedules", "preprocessing", "preprocessing.image", "preprocessing.sequence",
    "preprocessing.text", "quantizers", "random", "regularizers", "saving", "tree", "utils",
    "utils.bounding_boxes", "utils.legacy", "visualization", "wrappers",
    "applications", "applications.convnext", "applications.densenet",
    "applications.efficientnet", "applications.efficientnet_v2", "applications.imagenet_utils",
    "applications.inception_resnet_v2", "applications.inception_v3", "applications.mobilenet",
    "applications.mobilenet_v2", "applications.mobilenet_v3", "applications.nasnet",
    "applications.regnet", "applications.resnet", "applications.resnet50",
    "applications.resnet_rs", "applications.resnet_v2", "applications.vgg16",
    "applications.vgg19", "applications.xception",
]  # fmt: skip

KERAS_MODULES: dict[str, tuple[str, ...]] = {"": ("",)}
KERAS_MODULES |= {name: (name,) for name in _CURRENT}

# Modules of TensorFlow 2's optimizers.
KERAS_MODULES |= {
    name: ("legacy.optimizers", "optimizers", "optimizers.schedules")
    for package in ("optimizer_v2", "optimizers.optimizer_v2")
    for name in (
        package,
        *(
            f"{package}.{module}"
            for module in (
                "adadelta", "adagrad", "adam", "adamax", "ftrl", "gradient_descent",
                "learning_rate_schedule", "nadam", "optimizer_v2", "rmsprop",
            )
        ),
    )
}  # fmt: skip
KERAS_MODULES |= {
    f"optimizers.{name}_v2": ("optimizers",)
    for name in ("adadelta", "adagrad", "adam", "adamax", "gradient_descent", "nadam", "rmsprop")
}

# Deep modules come last, because some rows name more places than those above.
KERAS_MODULES |= DEEP_MODULES
KERAS_MODULES["applications.mobilenetv2"] = ("applications.mobilenet_v2",)
KERAS_MODULES["optimizers"] = ("legacy.optimizers", "optimizers")

# Functions that return data sets return those of `tf.data`, as in Keras with any backend.
KERAS_MODULES |= {
    name: ("tensorflow.keras_data", *KERAS_MODULES[name])
    for name in ("preprocessing", "preprocessing.image", "preprocessing.text", "utils")
}

# Namespaces of TensorFlow, without `tensorflow.`. Only names in `__all__` of the modules are found.
TENSORFLOW_MODULES: dict[str, tuple[str, ...]] = {
    "": tuple(
        f"tensorflow.{name}"
        for name in (
            "root_data", "host_arrays", "host_math", "dtypes", "arrays", "indexing", "toplevel",
            "tape", "function", "control", "variables", "methods", "general",
        )
    ),
    "bitwise": ("tensorflow.bitwise",),
    "compat": ("tensorflow.compat",),
    "compat.v1": ("tensorflow.compat",),
    "config": ("tensorflow.config",),
    "config.experimental": ("tensorflow.config",),
    "debugging": ("tensorflow.debugging",),
    "distribute": ("tensorflow.distribute",),
    "distribute.experimental": ("tensorflow.distribute",),
    "dtypes": ("tensorflow.dtypes",),
    # parts of models, which Keras has too
    "initializers": ("initializers",),
    "losses": ("losses",),
    "metrics": ("metrics",),
    "optimizers": ("legacy.optimizers", "optimizers"),
    "optimizers.schedules": ("optimizers.schedules",),
    # data and files, on the host
    "audio": ("tensorflow.audio",),
    "data": ("tensorflow.data",),
    "data.experimental": ("tensorflow.data_experimental",),
    "image": (
        "tensorflow.image", "tensorflow.image_boxes", "tensorflow.image_colors",
        "tensorflow.image_files", "tensorflow.image_measures", "tensorflow.image_random",
    ),
    "io": ("tensorflow.io", "tensorflow.image_files"),
    "io.gfile": ("tensorflow.gfile",),
    "lookup": ("tensorflow.lookup",),
    "lookup.experimental": ("tensorflow.lookup_experimental",),
    "ragged": ("tensorflow.ragged",),
    "sets": ("tensorflow.sets",),
    "sparse": ("tensorflow.sparse",),
    "strings": ("tensorflow.strings",),
    "summary": ("tensorflow.summary",),
    "train": ("tensorflow.example_proto",),
    "errors": ("tensorflow.errors",),
    "experimental": (),
    "experimental.numpy": ("tensorflow.experimental_numpy",),
    "linalg": ("tensorflow.linalg",),
    "math": ("tensorflow.host_math", "tensorflow.math"),
    "nest": ("tensorflow.nest",),
    "nn": ("tensorflow.nn",),
    "random": ("tensorflow.random",),
    "random.experimental": ("tensorflow.random",),
    "signal": ("tensorflow.signal",),
    "test": ("tensorflow.testing",),
}  # fmt: skip

# Additional names of a module: module -> name -> path below `hornbeam`.
ALIASES: dict[str, dict[str, str]] = {
    **{
        f"{root}.{module}".rstrip("."): names
        for root in KERAS_ROOTS
        for module, names in OLDER_NAMES.items()
    },
}
