"""`Progbar` and the progress of `fit`: values as Keras shows them, files, notebooks, the logger."""

import io
import logging
import re
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import hornbeam as hb


def values_shown(k, updates, **arguments):
    """Return the values of each drawing, as text."""
    bar = k.utils.Progbar(interval=0, **arguments)
    for current, values in updates:
        bar.update(current, values)
    drawings = re.split("[\r\n]", re.sub(r"\x1b\[[0-9;]*m|\x08", "", sys.stdout.getvalue()))
    return [re.findall(r"- (\w+: \S+)", drawing) for drawing in drawings if drawing.strip()]


UPDATES = [
    (1, [("loss", 1.0), ("acc", 0.5)]), (3, [("loss", 4.0), ("acc", 0.7)]),
    (4, [("loss", 2.0), ("acc", 0.9)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "updates"),
    [
        ({"target": 4}, UPDATES),
        ({"target": 4, "stateful_metrics": ["acc"]}, UPDATES),
        ({"target": 4, "stateless_metrics": ["acc"]}, UPDATES),
        ({"target": 4, "verbose": 2}, UPDATES),
        ({"target": 4, "verbose": 0}, UPDATES),
        ({"target": None}, UPDATES),
        ({"target": 4}, [(1, None), (2, [("loss", 1.0)]), (4, [("loss", 4.0)])]),
    ],
)
def test_values_are_keras_s(arguments, updates, monkeypatch):
    found = []
    for k in (keras, hb):
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        found.append(values_shown(k, updates, **arguments))
    assert found[0] == found[1]


def test_other_values(capsys):
    bar = hb.utils.Progbar(3, interval=0, unit_name="file", width=6)
    bar.add(1, [("name", "a.txt"), ("none", None), ("each", np.ones(2))])
    bar.add(1, [("each", 3 * np.ones(2))])
    shown = capsys.readouterr().out
    assert "/file - name: a.txt - none: None - each: [1. 1.]" in shown
    assert "name: a.txt - none: None - each: [2. 2.]" in shown


def trained(epochs, steps, seconds, monkeypatch, **arguments):
    """Call the hooks of a training in which each step takes some seconds."""
    now = [0.0]
    monkeypatch.setattr("hornbeam.callbacks.progbar.time.perf_counter", lambda: now[0])
    logger = hb.callbacks.ProgbarLogger()
    logger.set_params({"epochs": epochs, "steps": steps, "verbose": 1, **arguments})
    logger.on_train_begin()
    for epoch in range(epochs):
        logger.on_epoch_begin(epoch)
        for step in range(steps):
            now[0] += seconds
            logger.on_train_batch_end(step, {"loss": 0.5})
        logger.on_epoch_end(epoch, {"loss": 0.25})
    logger.on_train_end()


@pytest.mark.parametrize("verbose", [1, 2])
def test_a_file_gets_a_line_an_epoch_and_a_line_a_minute(verbose, monkeypatch, capsys):
    trained(2, 10, 1.0, monkeypatch, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0] == "Epoch 1/2"
    assert "10/10" in lines[1]
    assert "loss: 0.2500" in lines[1]
    trained(1, 10, 25.0, monkeypatch, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["3/10", "6/10", "9/10", "10/10"]


def test_a_notebook_has_one_bar(monkeypatch, capsys):
    pages = []

    class Handle:
        def update(self, page):
            pages[-1].append(page)

    def display(page, display_id):
        pages.append([page])
        return Handle()

    fake = SimpleNamespace(display=display, HTML=str)
    for name in ("ipykernel", "IPython", "IPython.display"):
        monkeypatch.setitem(sys.modules, name, fake)
    trained(9, 10, 1.0, monkeypatch)
    assert len(pages) == 1  # one output for all epochs
    first, last = pages[0][0], pages[0][-1]
    assert '<progress value="1" max="10"></progress>' in first
    assert "<progress" not in last
    assert last.count("Epoch") == 9
    assert "12 more lines" in last
    hb.utils.Progbar(2).update(1, [("<b>", 1.0)])
    assert "&lt;b&gt;" in pages[1][0]
    assert capsys.readouterr().out == ""


def test_progress_goes_to_the_logger(monkeypatch, capsys, caplog):
    hb.config.disable_interactive_logging()
    try:
        with caplog.at_level(logging.INFO, "hornbeam"):
            trained(2, 10, 1.0, monkeypatch)
    finally:
        hb.config.enable_interactive_logging()
    assert capsys.readouterr().out == ""
    assert [message.split()[0] for message in caplog.messages] == ["Epoch", "10/10"] * 2
