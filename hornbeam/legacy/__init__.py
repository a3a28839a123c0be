"""Keras 1 and 2: their words, layers, functions and files, all in this room.

Older words of arguments are in `arguments`; layers by their old names in `convolutions` and
`merge`; layers that are gone since in `keras1_layers` and `keras2_layers`; metrics in `metrics`;
small parts in `parts`; first values of Keras 1 in `initializations`; `keras.backend` in `backend`;
`fit_generator` and its siblings in `generators`; further methods of layers and models in
`layer_methods`; objects as dictionaries in `saving`; whole files in `files`. Keras has two more
addresses for older names, which only name: `hornbeam.optimizers.legacy` and
`hornbeam.utils.legacy`.

No other room imports this one. It announces itself to the rooms that it serves, here, when
`hornbeam` is imported.
"""

import hornbeam.layers
from hornbeam.layers import Layer
from hornbeam.layers.constructors import announce_translation
from hornbeam.legacy import (
    arguments,
    backend,
    backend_graphs,
    convolutions,
    files,
    generators,
    keras2_layers,
    layer_methods,
    layers,
    merge,
    metrics,
    parts,
    saving,
)
from hornbeam.legacy.internals import attention, engine
from hornbeam.metrics import Metric
from hornbeam.models import Model
from hornbeam.optimizers import Optimizer
from hornbeam.saving.eras import announce_older_files

__all__ = ["backend", "keras2_layers", "layers", "metrics", "parts", "saving"]

announce_translation(arguments.modern_arguments)
announce_older_files(files)
for _room in (convolutions, merge):
    for _name in _room.__all__:
        setattr(hornbeam.layers, _name, getattr(_room, _name))
for _name in generators.__all__:
    setattr(Model, _name, getattr(generators, _name))
for _name, _part in layer_methods.LAYER_METHODS.items():
    setattr(Layer, _name, _part)
for _name, _part in layer_methods.MODEL_METHODS.items():
    setattr(Model, _name, _part)
for _name, _part in metrics.METRIC_METHODS.items():
    setattr(Metric, _name, _part)
for _part in (backend_graphs.get_gradients, backend_graphs.get_updates):
    setattr(Optimizer, _part.__name__, _part)
attention.announce()
engine.announce()
