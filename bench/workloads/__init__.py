"""The workloads: `table` lists them, `data` makes their data, and each library family trains them.

`keras_family` builds the models for both Hornbeam and Keras. `torch_family` and `jax_family` hold
the same models written by hand.
"""
