"""Names of Keras that are not public, but that libraries import, over Hornbeam's public ones.

One file for each module of Keras's utilities; `hornbeam.keras.deep_paths` says which of Keras's
modules each stands for.
"""
