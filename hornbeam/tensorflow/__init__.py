"""Functions and classes of TensorFlow, as far as scripts around Keras use them.

Each module stands behind the namespace of `tensorflow` with its name; `hornbeam.keras.table` lists
them. They have TensorFlow's names of arguments, their order and their defaults. Tensors are JAX's
arrays; strings are on the host. Nothing here imports TensorFlow.
"""
