"""The ground floor: variables, symbolic tensors and graphs, `@op`, names, random state, rules of
loading.
"""
