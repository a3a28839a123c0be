"""Layout of diagrams, and curves: nothing overlaps, few lines cross, gaps where numbers lack."""

import itertools
import random
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import hornbeam as hb
from hornbeam.drawing.curves import curves_svg
from hornbeam.drawing.layered import Edge, lay_out


@pytest.mark.parametrize("seed", range(8))
def test_boxes_do_not_overlap_and_edges_meet_them(seed):
    chance = random.Random(seed)
    count = chance.randint(2, 40)
    sizes = [(chance.uniform(10, 90), chance.uniform(10, 40)) for _ in range(count)]
    edges = [Edge(*(chance.randrange(count) for _ in "ab")) for _ in range(count)]
    layout = lay_out(sizes, edges, right_angles=seed % 2 == 0)
    for a, b in itertools.combinations(range(count), 2):
        apart = [
            abs(layout.centers[a][i] - layout.centers[b][i]) - (sizes[a][i] + sizes[b][i]) / 2
            for i in (0, 1)
        ]
        assert max(apart) >= -1e-6
    for edge, route in zip(edges, layout.routes, strict=True):
        if edge.start == edge.end:
            continue
        forward = edge.start < edge.end
        for node, corner, side in ((edge.start, route[0], 1), (edge.end, route[-1], -1)):
            (x, y), (_, height) = layout.centers[node], sizes[node]
            side = side if forward else -side
            assert corner == pytest.approx((x, y + side * height / 2))
        if seed % 2 == 0:
            steps = itertools.pairwise(route)
            assert all(min(abs(a[0] - b[0]), abs(a[1] - b[1])) < 1 for a, b in steps)
    assert all(0 <= x <= layout.size[0] and 0 <= y <= layout.size[1]
               for route in layout.routes for x, y in route)  # fmt: skip


def test_chains_are_straight_and_branches_do_not_cross():
    #  0 -> 1 -> 2 -> 5 and 0 -> 3 -> 4 -> 5, with a shortcut 0 -> 5
    edges = [Edge(*e) for e in [(0, 1), (1, 2), (2, 5), (0, 5), (0, 3), (3, 4), (4, 5)]]
    layout = lay_out([(30, 10), (20, 10), (60, 10), (20, 10), (40, 10), (30, 10)], edges)
    x = [center[0] for center in layout.centers]
    assert x[1] == pytest.approx(x[2])
    assert x[3] == pytest.approx(x[4])
    assert len(lay_out([], []).centers) == 0
    assert lay_out([(5, 5)] * 3, []).size[1] > 5


def test_history_shows_itself(tmp_path):
    history = hb.callbacks.History()
    assert repr(history) == history._repr_html_().replace("&lt;", "<").replace("&gt;", ">")
    with pytest.raises(ValueError, match="no results yet"):
        history.plot()
    for epoch, loss in enumerate([2.0, 1.0, float("nan"), 0.5]):
        logs = {"loss": loss, "val_loss": loss + 1, "f1<b>": [1.0, 2.0], "accuracy": 0.1 * epoch}
        history.on_epoch_end(epoch, logs | ({"val_accuracy": 0.2} if epoch == 3 else {}))
    assert "loss=0.5" in repr(history)
    shown = history._repr_html_()
    assert "0.5 (epoch 4)" in shown
    svg = ElementTree.fromstring(shown.partition("<table>")[0])
    # The curves of the two losses have a gap where they are NaN.
    assert len([e for e in svg.iter() if e.tag.endswith("}polyline")]) == 3
    figure = history.plot(path=tmp_path / "a.png", log_scale=True)
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_xdata(), [4])
    assert (tmp_path / "a.png").read_bytes() == figure._repr_png_()
    assert len(history.plot("acc").axes) == 1
    with pytest.raises(ValueError, match="nothing"):
        history.plot(["loss", "nothing"])


def test_curves_without_numbers():
    ElementTree.fromstring(curves_svg({"a": {"b": [float("inf")]}}, [1], "step"))
    long = curves_svg({"a": {"b": list(range(50_000))}}, list(range(50_000)), "step")
    assert len(long) < 40_000
