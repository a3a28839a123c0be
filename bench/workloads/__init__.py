"""What is measured: `table` names the workloads, `data` makes their data, and each library family
builds and trains them.

`keras_family` is one description for Hornbeam and Keras, `torch_family` and `jax_family` are the
same models by hand.
"""
