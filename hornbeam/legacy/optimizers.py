"""Optimizers by their names in Keras 1 and 2, which are in lower case."""

from hornbeam.optimizers import SGD as sgd
from hornbeam.optimizers import Adadelta as adadelta
from hornbeam.optimizers import Adagrad as adagrad
from hornbeam.optimizers import Adam as adam
from hornbeam.optimizers import Adamax as adamax
from hornbeam.optimizers import Ftrl as ftrl
from hornbeam.optimizers import Nadam as nadam
from hornbeam.optimizers import RMSprop as rmsprop

__all__ = ["adadelta", "adagrad", "adam", "adamax", "ftrl", "nadam", "rmsprop", "sgd"]
