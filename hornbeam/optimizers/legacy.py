"""Names of tf.keras 2's earlier optimizers: today's, which take their arguments."""

from hornbeam.optimizers.adam import Adam, Adamax, Nadam
from hornbeam.optimizers.gradient_descent import SGD, Adadelta, Adagrad, Ftrl, RMSprop
from hornbeam.optimizers.optimizer import Optimizer

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "Optimizer", "RMSprop"]
