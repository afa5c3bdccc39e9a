"""Pictures of networks that the build trains: what `Network.plot` shows, a report, a curve."""

from __future__ import annotations

import functools
from html import escape

from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from charts import Chart
from hashgrad import LSH, Dense, Network, datasets, sparsify
from hashgrad.pages import document, figures, model, model_figures
from hashgrad.pages.look import PALETTE, key, looks
from hashgrad.pages.page import Figure

DROP = 1.0  # points of accuracy, as on the page of `sparsify`


@functools.cache
def trained() -> Network:
    """The network of the page `howto/plot.md`."""
    digits = datasets.load("digits")
    hashed = LSH(0.05, lookup="tables", code="bits")
    net = Network(64, [Dense(500, active=hashed), Dense(500, active=LSH(0.2)), Dense(10)])
    return net.fit(digits.x_train, digits.y_train, epochs=12, validation=0.2)


@functools.cache
def plot() -> str:
    """The panels of `Network.plot`, each as wide as a phone, in the theme's colours."""
    net = trained()
    drawn = model_figures.all_figures(net, net.usage(datasets.load("digits").x_test))
    panels = "".join(_panel(figure, looks(drawn)) for figure in drawn)
    return f'<div class="pictures"><style>{_colours()}</style>{panels}</div>'


def _panel(figure: Figure, seen: dict) -> str:
    """A figure's one panel under its title and the names of its lines."""
    names = figure.line_names()
    keys = "".join(
        f"<span>{key(seen[name], figures.is_dashed(figure, name), figure.bars)} "
        f"{escape(name)}</span>"
        for name in names
    )
    (panel,) = figures.panels(figure, seen)
    head, _, rest = panel.partition(">")
    title = head.partition('aria-label="')[2].rstrip('"')
    svg = f"{head}><title>{title}</title>{rest}"
    legend = f'<p class="legend">{keys}</p>'
    return f'<div class="picture plot"><p><b>{escape(figure.title)}</b></p>{legend}{svg}</div>'


def _colours() -> str:
    """The lines' colours in both schemes of the theme."""
    schemes = []
    for theme, scheme in enumerate(("default", "slate")):
        values = ";".join(f"--line-{place}:{pair[theme]}" for place, pair in enumerate(PALETTE))
        schemes.append(f'[data-md-color-scheme="{scheme}"] .plot{{{values}}}')
    return "".join(schemes)


def report() -> str:
    """The page that `hashgrad report` writes of this network."""
    digits = datasets.load("digits")
    measured = model.measure(trained(), digits.x_test, digits.y_test, "test rows of digits")
    facts = [("Data", "digits"), ("Task", "classification")]
    return document.html(model.page(trained(), "digits.hashgrad", facts, measured))


@functools.cache
def curve() -> str:
    """Accuracy of a dense network by the share of its hidden neurons that is kept."""
    digits = datasets.load("digits")
    dense = MLPClassifier((512, 512), tol=0.02, n_iter_no_change=2, random_state=0)
    with threadpool_limits(1):  # small products only wait for each other
        dense.fit(digits.x_train, digits.y_train)
    result = sparsify(
        dense, (digits.x_test, digits.y_test), DROP,
        stopwatch=lambda functions, rows: [1e-6] * len(functions),  # the picture shows no times
    )  # fmt: skip
    points = {p.share: p.accuracy for p in result.curve if all("hashed" not in w for w in p.ways)}
    bound = result.curve[0].accuracy - DROP / 100
    ends = min(points) / 1.2, 1.2
    low, high = min(points.values()) - 0.01, min(1.0, max(points.values()) + 0.005)
    chart = Chart(
        "Accuracy by the share of hidden neurons kept: "
        + ", ".join(f"{accuracy:.1%} at {share:.0%}" for share, accuracy in sorted(points.items())),
        height=220,
        x=ends,
        y=(low, high),
        x_ticks={x: f"{x:.0%}" for x in (0.1, 0.2, 0.5, 1.0) if x > ends[0]},
        y_ticks={y / 100: f"{y}%" for y in range(80, 101, 2) if low < y / 100 <= high},
        x_label="hidden neurons kept, the largest activations",
        y_label="accuracy on the rows that choose",
        logarithmic=True,
    )
    chart.picture.line([(chart.x(x), chart.y(bound)) for x in ends], "other", 1.5, "5 4")
    for share, accuracy in points.items():
        chart.dot(share, accuracy, "hit")
    chart.label(ends[1], bound, f"{DROP:g} point below dense", "other", "end", (0, 15))
    return chart.render()
