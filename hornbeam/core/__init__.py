"""Variables, symbolic tensors, names and random state: what everything above stands on."""
