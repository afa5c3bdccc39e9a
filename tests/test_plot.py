"""`Network.plot`: what a network shows of itself."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import hashed, network
from hashgrad import Dense, Network
from hashgrad.ledger import dense_by_layer
from hashgrad.pages import model_figures

pytest.importorskip("matplotlib")


def titles(sheet):
    return [axes.get_title(loc="left") for axes in sheet.axes]


def test_a_trained_network_shows_curves_layers_buckets_and_neurons(blobs):
    X, y = blobs
    net = network(hashed(lookup="tables"), hashed(40, lookup="tables"))
    net.fit(X, y, epochs=3, validation=0.2)
    sheet = net.plot(X=X)
    assert titles(sheet) == [
        "Loss", "Validation", "Share of each layer", "Recall of the selection",
        "Loads of hash buckets", "Use of the neurons",
    ]  # fmt: skip
    loss, accuracy = (axes.lines[0].get_ydata() for axes in sheet.axes[:2])
    assert list(loss) == [record["loss"] for record in net.history]
    assert list(accuracy) == [record["accuracy"] for record in net.history]
    heights = [bar.get_height() for bar in sheet.axes[2].patches]
    layers = net.report().to_dict()["layers"]
    assert heights == [
        *(layer["active_fraction"] for layer in layers),
        *(layer["multiplications_fraction"] for layer in layers),
    ]


def test_what_there_is_nothing_of_is_left_out(blobs):
    net = network(Dense(16)).fit(*blobs, epochs=1)
    assert titles(net.plot()) == ["Loss", "Share of each layer"]
    scans = network(hashed(lookup="scan")).fit(*blobs, epochs=1)
    assert "Loads of hash buckets" not in titles(scans.plot())
    once = network().partial_fit(*blobs)
    assert titles(once.plot()) == ["Share of each layer"]


@pytest.mark.parametrize(
    ("net", "data", "labels"),
    [
        (lambda: network(outputs=6, loss="logistic"), "tags", ["P@1", "P@3", "P@5"]),
        (lambda: network(outputs=1, loss="squared"), "line", ["R²"]),
    ],
)
def test_scores_are_those_of_the_task(request, net, data, labels):
    X, y = request.getfixturevalue(data)
    trained = net().fit(X, y, epochs=2, validation=0.2)
    figures = {figure.name: figure for figure in model_figures.all_figures(trained, None)}
    assert figures["scores"].line_names() == labels
    assert figures["scores"].y_percent == (labels != ["R²"])
    assert ("nats" in figures["loss"].y_label) == (data == "tags")


def test_an_epoch_that_is_not_done_is_not_drawn(blobs):
    def interrupt(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    net = network().fit(*blobs, epochs=4, callbacks=[interrupt])
    net.history.append({**net.history[-1], "epoch": 3, "partial": True})
    assert list(net.plot().axes[0].lines[0].get_xdata()) == [1, 2]


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.PDF", b"%PDF")]
)
def test_a_file_is_of_the_kind_its_name_says_and_the_same_each_time(blobs, tmp_path, name, start):
    net = network(threads=1).fit(*blobs, epochs=2)
    written = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        net.plot(tmp_path / folder / name, X=blobs[0])
        written.append((tmp_path / folder / name).read_bytes())
    assert written[0].startswith(start)
    assert written[0] == written[1]


@pytest.mark.parametrize("name", ["plot.txt", "plot"])
def test_another_kind_of_file_is_refused(blobs, tmp_path, name):
    net = network().fit(*blobs, epochs=1)
    message = "the kind of file of path must be one of 'png', 'svg', 'pdf', got "
    with pytest.raises(ValueError, match=message):
        net.plot(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_was_never_trained_has_nothing_to_plot():
    with pytest.raises(RuntimeError, match="nothing to plot yet: call fit or partial_fit first"):
        network(Dense(8)).plot()


def test_without_matplotlib_it_says_how_to_get_it(blobs, monkeypatch):
    net = network().fit(*blobs, epochs=1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'hashgrad\[report\]'"):
        net.plot()


def test_loads_of_many_neurons_a_bucket_share_bars_and_none_is_lost(blobs):
    net = network(hashed(600, bits=2, lookup="tables")).fit(*blobs, epochs=1)
    loads = net._core.tables()[0]["bucket_loads"]
    assert len(loads) > 100
    [line] = model_figures.bucket_loads(net).panels[0].lines
    assert len(line.points) <= 40
    assert sum(y for _, y, *_ in line.points) == pytest.approx(1)
    step = line.points[1][0]
    assert f"in steps of {step:g}" in model_figures.bucket_loads(net).x_label
    full = max(x for x, y, *_ in line.points if y)
    assert full <= np.flatnonzero(loads)[-1] < full + step


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam"}, {"batch_size": 8, "l2": 0.1}])
def test_the_dense_layers_add_up_to_the_dense_network(settings):
    net = Network(10, [Dense(7), Dense(5), Dense(3)], **settings)
    assert sum(dense_by_layer(net)) == pytest.approx(sum(net._dense_reference().values()))


def test_a_plot_opens_no_window(blobs, tmp_path: Path):
    before = set(sys.modules)
    network().fit(*blobs, epochs=1).plot(tmp_path / "a.png")
    assert "matplotlib.pyplot" not in set(sys.modules) - before
