"""The basic parts: variables, symbolic tensors, graphs, `@op`, names, random state, loading."""
