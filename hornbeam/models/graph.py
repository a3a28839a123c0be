"""The graph between symbolic inputs and outputs, with its nodes in topological order."""

from __future__ import annotations

import collections
from typing import Any

from hornbeam import tree
from hornbeam.core.graph import Node, Operation
from hornbeam.core.tensor import KerasTensor

__all__ = ["Graph"]


class Graph:
    """The nodes between input and output tensors, in topological order.

    The depth of an operation is its largest distance from the outputs. Operations are sorted from
    the deepest to the shallowest; operations of equal depth are in the order in which a traversal
    from the outputs visits them. Keras sorts `model.layers` in this way, and its files depend on
    it.

    Args:
        inputs: Symbolic tensors, flat.
        outputs: Symbolic tensors, flat.

    Raises:
        ValueError: If an output depends on tensors that are not in `inputs`.
    """

    def __init__(self, inputs: list[KerasTensor], outputs: list[KerasTensor]):
        self.inputs, self.outputs = inputs, outputs
        sources = {id(x) for x in inputs}
        met: dict[Operation, int] = {}
        postorder: list[Node] = []
        state: dict[int, bool] = {}  # by `id` of the node: whether it is finished

        def needed(node: Node) -> list[Node]:
            if _makes_source(node, sources):
                return []
            made = [(x, x.history[0]) for x in node.inputs if x.history]
            return [
                maker for x, maker in made if id(x) not in sources or _makes_source(maker, sources)
            ]

        for output in outputs:
            if output.history is None:
                if id(output) not in sources:
                    raise ValueError(f"Output {output!r} is not the output of a layer.")
                continue
            stack = [output.history[0]]
            while stack:
                node = stack[-1]
                if id(node) not in state:
                    state[id(node)] = False
                    met.setdefault(node.operation, len(met))
                    stack.extend(n for n in reversed(needed(node)) if id(n) not in state)
                    if not node.inputs and not _makes_source(node, sources):
                        raise ValueError(
                            f"The outputs depend on {node.outputs!r} of '{node.operation.name}', "
                            f"which is not among the inputs {[x.name for x in inputs]}. Add it to "
                            "`inputs`."
                        )
                else:
                    stack.pop()
                    if not state[id(node)]:
                        state[id(node)] = True
                        postorder.append(node)
        for x in inputs:
            if x.history is not None and id(x.history[0]) not in state:
                postorder.append(x.history[0])
                met.setdefault(x.history[0].operation, len(met))

        node_depth: dict[int, int] = collections.defaultdict(int)
        depth: dict[Operation, int] = {}
        for node in reversed(postorder):
            level = max(node_depth[id(node)], depth.get(node.operation, 0))
            depth[node.operation] = node_depth[id(node)] = level
            for parent in needed(node):
                node_depth[id(parent)] = max(node_depth[id(parent)], level + 1)
        self.operations = sorted(met, key=lambda o: (-depth[o], met[o]))
        rank = {id(node): i for i, node in enumerate(postorder)}
        self.nodes = sorted(postorder, key=lambda n: (-node_depth[id(n)], rank[id(n)]))
        self.sources = sources

    def run(self, values: list[Any]) -> list[Any]:
        """Return the values of the outputs for values of the inputs."""
        known = {id(x): value for x, value in zip(self.inputs, values, strict=True)}
        for node in self.nodes:
            flat = tree.flatten(node.outputs)
            if all(id(x) in known for x in flat):
                continue
            results = node.run(known)
            for symbolic, value in zip(flat, tree.flatten(results), strict=True):
                known[id(symbolic)] = value
        return [known[id(x)] for x in self.outputs]


def _makes_source(node: Node, sources: set[int]) -> bool:
    return all(id(x) in sources for x in tree.flatten(node.outputs))
