"""Keras 1 and 2: their words, layers, functions and files, all in this room.

Older words of arguments are in `arguments`; layers by their old names in `convolutions` and
`merge`; layers that are gone since in `keras1_layers`; `keras.backend` in `backend`;
`fit_generator` and its siblings in `generators`; objects as dictionaries in `saving`; whole files
in `files`. Keras has two more addresses for older names, which only name:
`hornbeam.optimizers.legacy` and `hornbeam.utils.legacy`.

No other room imports this one. It announces itself to the rooms that it serves, here, when
`hornbeam` is imported.
"""

import hornbeam.layers
from hornbeam.layers.constructors import announce_translation
from hornbeam.legacy import (
    arguments,
    backend,
    convolutions,
    files,
    generators,
    layers,
    merge,
    saving,
)
from hornbeam.models import Model
from hornbeam.saving.eras import announce_older_files

__all__ = ["backend", "layers", "saving"]

announce_translation(arguments.modern_arguments)
announce_older_files(files)
for _room in (convolutions, merge):
    for _name in _room.__all__:
        setattr(hornbeam.layers, _name, getattr(_room, _name))
for _name in generators.__all__:
    setattr(Model, _name, getattr(generators, _name))
