"""Layout of a graph in rows, so that most edges lead from one row to the next.

After Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical system
structures": choose a row for each node, split long edges at the rows in between, order each row so
that few edges cross, then choose positions so that edges are straight.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Edge", "Layout", "lay_out"]

_BETWEEN = 20.0  # between two nodes of a row
_BESIDE = 10.0  # beside a line that passes through a row
_GAP = 28.0  # between two rows
_TRACK = 7.0  # between two lines that run across, between the same rows
_SWEEPS = 8  # at most, to order the rows


@dataclass
class Edge:
    """An edge between two nodes, by number.

    Attributes:
        from_offset, to_offset: Where the edge is attached, relative to the node's center.
    """

    start: int
    end: int
    from_offset: float = 0.0
    to_offset: float = 0.0


@dataclass
class Layout:
    """Positions of nodes, across and along the rows' direction, and routes of the edges.

    Attributes:
        centers: For each node, the position of its center.
        routes: For each edge, its corners. An edge from a node to itself has none.
        size: The size of the whole.
    """

    centers: list[tuple[float, float]] = field(default_factory=list)
    routes: list[list[tuple[float, float]]] = field(default_factory=list)
    size: tuple[float, float] = (0.0, 0.0)


@dataclass
class _Line:
    """A piece of one or more edges, from a node of a row to a node of the next row."""

    start: int
    end: int
    from_offset: float
    to_offset: float


def lay_out(
    sizes: Sequence[tuple[float, float]], edges: Sequence[Edge], right_angles: bool = True
) -> Layout:
    """Place nodes in rows and route the edges between them.

    Args:
        sizes: Width and height of each node, in the order in which most edges lead forward.
        edges: The edges.
        right_angles: Whether lines run along or across the rows only. Otherwise a route has a
            corner where it leaves a row, and one where it enters the next.
    """
    if not sizes:
        return Layout()
    if not edges:
        return _grid(sizes)
    backward = [edge.start > edge.end for edge in edges]
    forward = [
        Edge(e.end, e.start, e.to_offset, e.from_offset) if back else e
        for e, back in zip(edges, backward, strict=True)
    ]
    rows_of = _rows(len(sizes), forward)
    widths = [width for width, _ in sizes]
    real = len(sizes)
    lines, chains = _split(forward, rows_of, widths)
    rows = _ordered(rows_of, lines)
    x = _positions(rows, lines, widths, real)
    heights = [max(sizes[n][1] if n < real else 0.0 for n in row) for row in rows]
    tracks, counts = _tracks(lines, rows_of, x, len(rows))
    tops, y = [], 0.0
    for row, height in enumerate(heights):
        tops.append(y)
        y += height + (_GAP + _TRACK * max(0, counts[row] - 1) if row + 1 < len(rows) else 0.0)
    places = _Places(sizes, rows_of, x, tops, heights, tracks, right_angles)
    routes = []
    for chain, back in zip(chains, backward, strict=True):
        corners = places.route(chain)
        routes.append(corners[::-1] if back else corners)
    centers = [(x[n], tops[rows_of[n]] + heights[rows_of[n]] / 2) for n in range(real)]
    return _at_zero(Layout(centers, routes), sizes, y)


def _grid(sizes: Sequence[tuple[float, float]]) -> Layout:
    """Place nodes without edges in a block, line by line."""
    columns = math.ceil(math.sqrt(len(sizes) / 2))
    widths = [max(w for w, _ in sizes[c::columns]) for c in range(columns)]
    lefts = [sum(widths[:c]) + c * _BETWEEN for c in range(columns)]
    centers, y = [], 0.0
    for first in range(0, len(sizes), columns):
        row = sizes[first : first + columns]
        height = max(h for _, h in row)
        centers += [(lefts[c] + widths[c] / 2, y + height / 2) for c in range(len(row))]
        y += height + _BETWEEN
    return Layout(centers, [], (lefts[-1] + widths[-1], y - _BETWEEN))


def _rows(count: int, edges: Sequence[Edge]) -> list[int]:
    """Return the row of each node: below all nodes from which edges lead to it.

    A node to which no edge leads is right above its next node.
    """
    rows = [0] * count
    followers: list[list[int]] = [[] for _ in range(count)]
    is_source = [True] * count
    for edge in edges:
        if edge.start != edge.end:
            followers[edge.start].append(edge.end)
            is_source[edge.end] = False
    for node in range(count):
        for follower in followers[node]:
            rows[follower] = max(rows[follower], rows[node] + 1)
    for node in range(count):
        if is_source[node] and followers[node]:
            rows[node] = min(rows[follower] for follower in followers[node]) - 1
    first = min(rows)
    return [row - first for row in rows]


def _split(
    edges: Sequence[Edge], rows_of: list[int], widths: list[float]
) -> tuple[list[_Line], list[list[_Line]]]:
    """Split edges into lines between neighboring rows, through new nodes.

    Edges from one node share their lines as long as they run side by side. The new nodes are
    appended to `rows_of` and `widths`.

    Returns:
        The lines, and for each edge those that it consists of.
    """
    passes: dict[tuple[int, float, int], int] = {}
    known: dict[tuple[int, int, float, float], _Line] = {}
    chains = []
    for edge in edges:
        chain: list[_Line] = []
        at, offset = edge.start, edge.from_offset
        for row in range(rows_of[edge.start] + 1, rows_of[edge.end] + 1):
            if row == rows_of[edge.end]:
                target, to_offset = edge.end, edge.to_offset
            else:
                key = (edge.start, edge.from_offset, row)
                if key not in passes:
                    passes[key] = len(rows_of)
                    rows_of.append(row)
                    widths.append(0.0)
                target, to_offset = passes[key], 0.0
            piece = (at, target, offset, to_offset)
            chain.append(known.setdefault(piece, _Line(*piece)))
            at, offset = target, 0.0
        chains.append(chain)
    return list(known.values()), chains


# --- order ----------------------------------------------------------------------------------------


def _ordered(rows_of: list[int], lines: list[_Line]) -> list[list[int]]:
    """Return the nodes of each row in an order in which few lines cross."""
    rows: list[list[int]] = [[] for _ in range(max(rows_of) + 1)]
    above: list[list[int]] = [[] for _ in rows_of]
    below: list[list[int]] = [[] for _ in rows_of]
    for line in lines:
        above[line.end].append(line.start)
        below[line.start].append(line.end)
    for node in _visited(rows_of, above, below):
        rows[rows_of[node]].append(node)
    best, fewest = rows, _crossings(rows, below)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        rows = [list(row) for row in rows]
        down = sweep % 2 == 0
        neighbors = above if down else below
        for number in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            before = {n: i for i, n in enumerate(rows[number - 1 if down else number + 1])}
            own = {n: float(i) for i, n in enumerate(rows[number])}
            for node in rows[number]:
                if neighbors[node]:
                    own[node] = sum(before[n] for n in neighbors[node]) / len(neighbors[node])
            rows[number].sort(key=own.__getitem__)
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _visited(rows_of: list[int], above: list[list[int]], below: list[list[int]]) -> list[int]:
    """Return the nodes in the order of a search that follows lines, so that neighbors are near."""
    order: list[int] = []
    seen = [False] * len(rows_of)
    for first in range(len(rows_of)):
        stack = [] if above[first] else [first]
        while stack:
            node = stack.pop()
            if not seen[node]:
                seen[node] = True
                order.append(node)
                stack.extend(reversed(below[node]))
    return order


def _crossings(rows: list[list[int]], below: list[list[int]]) -> int:
    """Count the pairs of lines that cross."""
    count = 0
    for upper, lower in zip(rows, rows[1:], strict=False):
        place = {node: i for i, node in enumerate(lower)}
        ends: list[int] = []
        for node in upper:
            targets = [place[n] for n in below[node]]
            count += sum(len(ends) - bisect_left(ends, target + 1) for target in targets)
            for target in targets:
                insort(ends, target)
    return count


# --- positions ------------------------------------------------------------------------------------


def _positions(
    rows: list[list[int]], lines: list[_Line], widths: list[float], real: int
) -> list[float]:
    """Return positions across the rows, such that lines are nearly straight.

    Each step moves the nodes of one row to the mean of what their neighbors want, as near as the
    other nodes of the row allow. Lines through several rows count more.
    """
    links: dict[bool, list[list[tuple[int, float, float]]]] = {
        down: [[] for _ in widths] for down in (True, False)
    }
    for line in lines:
        weight = (1.0, 3.0, 8.0)[(line.start >= real) + (line.end >= real)]
        shift = line.from_offset - line.to_offset
        links[True][line.end].append((line.start, shift, weight))
        links[False][line.start].append((line.end, -shift, weight))
    widths = _chain_widths(lines, widths)
    apart = [_distances(row, widths, real) for row in rows]
    x = [0.0] * len(widths)
    for row, distances in zip(rows, apart, strict=True):
        for i, node in enumerate(row):
            x[node] = x[row[i - 1]] + distances[i - 1] if i else 0.0
    # The last sweep looks up only, so that chains are straight.
    for sides in ((True,), (False,), (True,), (False,), (False, True), (True,)):
        for number in range(len(rows)) if sides[0] else range(len(rows) - 1, -1, -1):
            row, wanted, weights = rows[number], [], []
            for node in row:
                near = [link for side in sides for link in links[side][node]]
                total = sum(weight for _, _, weight in near)
                mean = sum((x[n] + shift) * weight for n, shift, weight in near)
                wanted.append(mean / total if near else x[node])
                weights.append(total if near else 0.01)
            for node, place in zip(row, _spread(wanted, weights, apart[number]), strict=True):
                x[node] = place
    return x


def _chain_widths(lines: list[_Line], widths: list[float]) -> list[float]:
    """Return for each node the largest width in its chain of nodes with one neighbor on each side.

    Rows that keep these distances leave room for chains to be straight.
    """
    leaving, coming = [0] * len(widths), [0] * len(widths)
    for line in lines:
        leaving[line.start] += 1
        coming[line.end] += 1
    next_of = {
        line.start: line.end for line in lines if leaving[line.start] == 1 and coming[line.end] == 1
    }
    wide = list(widths)
    for first in set(next_of) - set(next_of.values()):
        chain = [first]
        while chain[-1] in next_of:
            chain.append(next_of[chain[-1]])
        widest = max(widths[n] for n in chain)
        for node in chain:
            wide[node] = widest
    return wide


def _distances(row: list[int], widths: list[float], real: int) -> list[float]:
    return [
        (widths[a] + widths[b]) / 2 + (_BETWEEN if a < real and b < real else _BESIDE)
        for a, b in zip(row, row[1:], strict=False)
    ]


def _spread(wanted: list[float], weights: list[float], distances: list[float]) -> list[float]:
    """Return the positions nearest to the wanted ones, in squares, that keep their distances.

    Nodes that would be too near to each other form blocks, which move together.
    """
    if not distances:
        return wanted
    blocks: list[list[float]] = []  # mean, weight, number of nodes
    starts, start = [0.0], 0.0
    for distance in distances:
        start += distance
        starts.append(start)
    for place, weight, start in zip(wanted, weights, starts, strict=True):
        blocks.append([place - start, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, weight_of_last, number = blocks.pop()
            last = blocks[-1]
            total = last[1] + weight_of_last
            last[0] = (last[0] * last[1] + mean * weight_of_last) / total
            last[1], last[2] = total, last[2] + number
    means = [mean for mean, _, number in blocks for _ in range(int(number))]
    return [mean + start for mean, start in zip(means, starts, strict=True)]


# --- routes ---------------------------------------------------------------------------------------


def _tracks(
    lines: list[_Line], rows_of: list[int], x: list[float], rows: int
) -> tuple[dict[tuple[int, float], int], list[int]]:
    """Return at which of the heights below its row each node's lines run across, and how many
    heights there are below each row.
    """
    spans: list[dict[tuple[int, float], list[float]]] = [{} for _ in range(rows)]
    for line in lines:
        left, right = x[line.start] + line.from_offset, x[line.end] + line.to_offset
        if abs(left - right) >= 1:
            key = (line.start, line.from_offset)
            spans[rows_of[line.start]].setdefault(key, [left]).append(right)
    tracks: dict[tuple[int, float], int] = {}
    counts = []
    for row in spans:
        ends: list[float] = []  # where the last line on each track ends
        for key, points in sorted(row.items(), key=lambda item: min(item[1])):
            free = next((t for t, end in enumerate(ends) if end + 4 < min(points)), len(ends))
            ends[free : free + 1] = [max(points)]
            tracks[key] = free
        counts.append(len(ends))
    return tracks, counts


@dataclass
class _Places:
    """What routes need to know of a layout."""

    sizes: Sequence[tuple[float, float]]
    rows_of: list[int]
    x: list[float]
    tops: list[float]
    heights: list[float]
    tracks: dict[tuple[int, float], int]
    right_angles: bool

    def route(self, chain: list[_Line]) -> list[tuple[float, float]]:
        corners: list[tuple[float, float]] = []
        for line in chain:
            row = self.rows_of[line.start]
            x0, x1 = self.x[line.start] + line.from_offset, self.x[line.end] + line.to_offset
            bottom = self.tops[row] + self.heights[row]
            y1 = self.edge(line.end, -1)
            corners.append((x0, self.edge(line.start, 1)))
            if self.right_angles and abs(x0 - x1) >= 1:
                across = bottom + _GAP / 2 + _TRACK * self.tracks[line.start, line.from_offset]
                corners += [(x0, across), (x1, across)]
            elif not self.right_angles:
                corners += [(x0, bottom), (x1, self.tops[row + 1])]
            corners.append((x1, y1))
        return [c for i, c in enumerate(corners) if i == 0 or c != corners[i - 1]]

    def edge(self, node: int, side: int) -> float:
        """Return where a node begins (`side` = -1) or ends (1), along the rows' direction."""
        row = self.rows_of[node]
        if node >= len(self.sizes):
            return self.tops[row] + (self.heights[row] if side > 0 else 0.0)
        return self.tops[row] + self.heights[row] / 2 + side * self.sizes[node][1] / 2


def _at_zero(layout: Layout, sizes: Sequence[tuple[float, float]], length: float) -> Layout:
    """Move a layout so that it begins at 0."""
    lefts = [c[0] - size[0] / 2 for c, size in zip(layout.centers, sizes, strict=True)]
    rights = [c[0] + size[0] / 2 for c, size in zip(layout.centers, sizes, strict=True)]
    corners = [x for route in layout.routes for x, _ in route]
    left, right = min([*lefts, *corners]), max([*rights, *corners])
    return Layout(
        [(x - left, y) for x, y in layout.centers],
        [[(x - left, y) for x, y in route] for route in layout.routes],
        (right - left, length),
    )
