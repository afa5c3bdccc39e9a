"""What is left to `auto` is chosen by estimated time, once, and stays with the network."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from cli_help import SMALL, caller
from conftest import N_CLASSES, N_INPUTS, from_bytes, network, same_bits, to_bytes
from hashgrad import (
    LSH,
    SGD,
    Adam,
    Adaptive,
    Dense,
    Network,
    Random,
    RowAdagrad,
    WinnerTakeAll,
    calibration,
    load,
)
from hashgrad.calibration import REFERENCE, Machine
from hashgrad.files import from_parts, parts
from hashgrad.planning import Inputs, Way, outputs_of, plan

HERE = Machine(REFERENCE, "reference")
IMAGES = Inputs(785, 151, 26)  # as MNIST has them
WORDS = Inputs.spread(10_000, 50)  # a few of many
BY_NEURON, BY_INPUT = ("neuron", "exact", "none"), ("input", "exact", "none")
SCAN, BITS, TABLES = (
    ("neuron", "scan", "bytes"),
    ("neuron", "scan", "bits"),
    ("neuron", "tables", "bits"),
)

# Costs under which a small layer is computed in the way that the name says.
_DEAR_ROWS = dict.fromkeys(
    (f"{name}.{at}" for name in ("line", "entry", "step") for at in calibration.SIZES), 1e4
)
_DEAR_COLUMNS = {f"column.{at}": 1e6 for at in calibration.SIZES}
_FREE = dict.fromkeys(("project", "word", "bucket", "choose", "row", "scan.near", "scan.middle"), 0)
COSTS = {
    "by neuron": {**REFERENCE, **_DEAR_COLUMNS, "project": 1e6},
    "by input": {**REFERENCE, **_DEAR_ROWS},
    "scan": {**REFERENCE, **_DEAR_COLUMNS, **_FREE, **_DEAR_ROWS},
    "tables": {
        **REFERENCE, **_DEAR_COLUMNS, **_FREE, **_DEAR_ROWS, "scan.near": 1e6, "scan.middle": 1e6,
    },
}  # fmt: skip


def words(way: Way) -> tuple[str, str, str]:
    return way.layout, way.lookup, way.code


def chosen(*layers: Dense, first: Inputs, **settings: Any) -> list[tuple[str, str, str]]:
    how = {"optimizer": SGD(), "l2": 0.0, "machine": HERE, **settings}
    return [words(ways[0]) for ways in plan(layers, first=first, **how)]


def arranged(net: Network) -> list[tuple[str, str, str]]:
    return [(way["layout"], way["lookup"], way["code"]) for way in net.arrangement()]


@pytest.fixture
def costing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Makes the named costs those of this machine."""

    def become(name: str) -> None:
        path = tmp_path / f"{name}.json"
        calibration.save(Machine(COSTS[name], name), path)
        monkeypatch.setenv(calibration.VARIABLE, str(path))

    return become


# What is chosen


def test_a_narrow_layer_of_sparse_inputs_keeps_an_inputs_weights_together() -> None:
    assert chosen(Dense(10), first=WORDS) == [BY_INPUT]
    assert chosen(Dense(10), first=Inputs.spread(1000, 50)) == [BY_INPUT]


def test_a_wide_layer_of_full_inputs_keeps_a_neurons_weights_together() -> None:
    assert chosen(Dense(1000), first=Inputs(785, 785, 50)) == [BY_NEURON]


def test_a_wide_layer_at_a_small_share_is_scanned_and_a_huge_one_looked_up_in_tables() -> None:
    assert chosen(Dense(4000, active=LSH(50 / 4000)), first=IMAGES) == [SCAN]
    few = LSH(50 / 10**6, bits=16, tables=16, probes=4)
    assert chosen(Dense(10**6, active=few), first=IMAGES) == [TABLES]


def test_a_narrow_layer_is_not_worth_hashing() -> None:
    (way,) = chosen(Dense(50, active=LSH(0.5)), first=IMAGES)
    assert way in (BY_NEURON, BY_INPUT)


def test_an_optimizer_with_state_moves_whole_rows_of_inputs_but_only_rows_of_chosen_neurons() -> (
    None
):
    few, hidden = Dense(1000, active=LSH(0.05)), Inputs.spread(1000, 50)
    assert chosen(few, first=hidden, optimizer=SGD()) == [BY_INPUT]
    assert chosen(few, first=hidden, optimizer=Adam()) == [SCAN]
    assert chosen(few, first=hidden, l2=0.1) == [SCAN]
    assert chosen(Dense(256), first=WORDS, optimizer=Adam()) == [BY_INPUT]


def test_outputs_that_are_pooled_are_always_hashed() -> None:
    tiny = Dense(20, active=LSH(0.1, pooled=True))
    assert chosen(tiny, first=IMAGES) in ([SCAN], [TABLES])


def test_a_pool_for_which_nobody_asks_needs_no_tables() -> None:
    def lookups(**how: Any) -> set[str]:
        outputs = Dense(200_000, active=LSH(2e-5, pooled=True, code="bits", **how))
        (ways,) = plan([outputs], SGD(), 0.0, Inputs.spread(128, 128), HERE)
        return {way.lookup for way in ways}

    assert lookups() == lookups(query_every=7) == {"scan", "tables"}
    assert lookups(query_every=0) == {"scan"}
    assert lookups(query_every=0, lookup="tables") == {"tables"}


def test_a_layer_is_planned_for_what_the_one_below_hands_on() -> None:
    few, all_ = Dense(4000, active=LSH(50 / 4000)), Dense(4000, "tanh")
    assert chosen(few, Dense(500), first=IMAGES)[1] == BY_INPUT
    assert chosen(all_, Dense(500), first=IMAGES)[1] == BY_NEURON


@pytest.mark.parametrize(
    ("layer", "entries"),
    [
        (Dense(100, "relu"), 51),
        (Dense(100, "tanh"), 101),
        (Dense(100, "relu", LSH(0.1)), 11),
        (Dense(100, "tanh", WinnerTakeAll(0.1)), 11),
    ],
)
def test_a_layer_hands_on_its_active_outputs_and_a_bias(layer: Dense, entries: int) -> None:
    inputs = outputs_of(layer)
    assert (inputs.n, inputs.entries) == (101, entries)
    assert 1 < inputs.lines <= 100 / 16 + 1


def test_inputs_are_read_by_whole_lines_where_lines_are_full_enough() -> None:
    assert Inputs(785, 785, 50).by_blocks
    assert Inputs(785, 151, 26).by_blocks
    assert not WORDS.by_blocks
    # each anywhere: about as many lines as entries where there are many, all where there are few
    assert 49 < Inputs.spread(10_000, 50).lines < 51
    assert Inputs.spread(160, 100).lines == pytest.approx(11, abs=0.01)


@pytest.mark.parametrize(
    ("layer", "possible"),
    [
        (Dense(100), {BY_NEURON, BY_INPUT}),
        (Dense(100, layout="input"), {BY_INPUT}),
        (Dense(100, layout="neuron"), {BY_NEURON}),
        (Dense(100, active=WinnerTakeAll()), {BY_NEURON, BY_INPUT}),
        (Dense(100, active=WinnerTakeAll(), layout="input"), {BY_INPUT}),
        (Dense(100, active=Adaptive()), {BY_NEURON, BY_INPUT}),
        (Dense(100, active=Random()), {BY_NEURON}),
        (Dense(100, active=Random(), layout="input"), {BY_INPUT}),
        (Dense(100, active=LSH()), {BY_NEURON, BY_INPUT, SCAN, TABLES}),
        (Dense(100, active=LSH(), layout="input"), {BY_INPUT}),
        (Dense(100, active=LSH(), layout="neuron"), {BY_NEURON, SCAN, TABLES}),
        (Dense(100, active=LSH(lookup="exact")), {BY_NEURON, BY_INPUT}),
        (Dense(100, active=LSH(lookup="exact"), layout="input"), {BY_INPUT}),
        (Dense(100, active=LSH(lookup="scan")), {SCAN}),
        (Dense(100, active=LSH(lookup="scan", code="bits")), {BITS}),
        (Dense(100, active=LSH(lookup="scan", transform="simple")), {BITS}),
        (Dense(100, active=LSH(lookup="scan", projection="gaussian")), {BITS}),
        (Dense(100, active=LSH(lookup="tables")), {TABLES}),
        (Dense(100, active=LSH(code="bytes")), {BY_NEURON, BY_INPUT, SCAN}),
        (Dense(100, active=LSH(code="bits")), {BY_NEURON, BY_INPUT, BITS, TABLES}),
        (Dense(100, active=LSH(transform="simple")), {BY_NEURON, BY_INPUT, BITS, TABLES}),
        (Dense(100, active=LSH(ranking="collisions")), {TABLES}),
        (Dense(100, active=LSH(ranking="collisions", lookup="exact")), {BY_NEURON, BY_INPUT}),
        (Dense(100, active=LSH(ranking="collisions"), layout="input"), {BY_INPUT}),
    ],
)
def test_only_ways_that_the_layers_words_allow_are_considered(
    layer: Dense, possible: set[tuple[str, str, str]]
) -> None:
    for first, optimizer, l2 in itertools.product((IMAGES, WORDS), (SGD(), Adam()), (0.0, 0.1)):
        (ways,) = plan([layer], optimizer, l2, first, HERE)
        assert {words(way) for way in ways} == possible
        assert len(ways) == len(possible)
        times = [way.nanoseconds for way in ways]
        assert times == sorted(times)
        assert 0 < times[0] < float("inf")


def test_row_wise_adagrad_keeps_the_rows_of_neurons_whose_state_it_is() -> None:
    for layer in (Dense(10), Dense(10, active=WinnerTakeAll(0.5)), Dense(10, active=LSH(0.5))):
        (ways,) = plan([layer], RowAdagrad(), 0.0, WORDS, HERE)
        assert {way.layout for way in ways} == {"neuron"}


def test_adams_state_by_row_is_an_inputs_where_that_is_cheaper() -> None:
    for state in ("float32", "bfloat16", "row"):
        assert chosen(Dense(256), first=WORDS, optimizer=Adam(state=state)) == [BY_INPUT]
        wide = Inputs(785, 785, 50)
        assert chosen(Dense(1000), first=wide, optimizer=Adam(state=state)) == [BY_NEURON]


def test_fewer_bytes_a_weight_make_a_step_cheaper() -> None:
    def learned(state: str) -> float:
        (ways,) = plan([Dense(256, layout="input")], Adam(state=state), 0.0, WORDS, HERE)
        return ways[0].nanoseconds

    assert learned("row") < learned("bfloat16") < learned("float32")


def test_a_way_can_be_told_in_words() -> None:
    assert Way(*SCAN, 1.0).words == "scan, by neuron"
    assert Way(*BY_INPUT, 1.0).words == "exact, by input"


@pytest.mark.parametrize("name", COSTS)
def test_what_is_dear_on_a_machine_is_avoided(
    blobs: Any, costing: Callable[[str], None], name: str
) -> None:
    costing(name)
    expected = {"by neuron": BY_NEURON, "by input": BY_INPUT, "scan": SCAN, "tables": TABLES}[name]
    net = network(Dense(64, active=LSH(0.1))).fit(*blobs, epochs=1)
    assert arranged(net)[0] == expected
    assert net.evaluate(*blobs)["accuracy"] > 0.5


# What a network does with it


def test_a_network_is_arranged_as_planned_for_the_density_of_its_inputs(blobs: Any) -> None:
    layers = [Dense(300, active=LSH(0.05)), Dense(200, "tanh"), Dense(100, active=LSH(0.5))]
    net = network(*layers, optimizer="momentum").fit(*blobs, epochs=1)
    full = Inputs(N_INPUTS + 1, N_INPUTS + 1, 2)
    assert arranged(net) == chosen(*net.layers, first=full, optimizer=net.optimizer)


def test_sparse_rows_are_planned_for_as_the_dense_ones_that_they_stand_for() -> None:
    y = np.arange(200) % N_CLASSES
    X = random_array((200, 2000), density=0.01, rng=np.random.default_rng(0), dtype=np.float32)
    sparse, dense = csr_array(X), X.toarray()
    nets = [
        Network(2000, [Dense(16), Dense(N_CLASSES)]).fit(x, y, epochs=1) for x in (sparse, dense)
    ]
    assert same_bits(*nets)
    assert arranged(nets[0])[0] == BY_INPUT
    full = Network(2000, [Dense(400), Dense(N_CLASSES)]).fit(dense + 1, y, epochs=1)
    assert arranged(full)[0] == BY_NEURON


def test_untrained_networks_have_no_plan_yet_and_keep_rows_of_neurons(blobs: Any) -> None:
    net = network(Dense(64, active=WinnerTakeAll(0.1)), Dense(30), Dense(20, layout="input"))
    assert arranged(net) == [BY_NEURON, BY_NEURON, BY_INPUT, BY_NEURON]
    net.predict(blobs[0])
    assert arranged(net) == [BY_NEURON, BY_NEURON, BY_INPUT, BY_NEURON]
    net.partial_fit(*blobs)
    assert arranged(net)[1] == BY_INPUT


@pytest.mark.parametrize(
    "layer",
    [
        Dense(64, layout="input"),
        Dense(64, layout="neuron"),
        Dense(64, active=LSH(0.2, lookup="scan")),
        Dense(64, active=LSH(0.2, lookup="scan", code="bits")),
        Dense(64, active=LSH(0.2, lookup="tables")),
        Dense(64, active=LSH(0.2, lookup="exact"), layout="neuron"),
        Dense(64, active=LSH(0.2), layout="input"),
        Dense(64, active=LSH(0.2, lookup="exact", ranking="collisions"), layout="neuron"),
        Dense(64, active=LSH(0.2, ranking="collisions"), layout="input"),
    ],
)
def test_a_layers_own_words_hold_whatever_things_cost(
    blobs: Any, costing: Callable[[str], None], layer: Dense
) -> None:
    for name in COSTS:
        costing(name)
        net = network(layer).fit(*blobs, epochs=1)
        (layout, lookup, code), _ = arranged(net)
        assert layer.layout in ("auto", layout)
        if isinstance(layer.selector, LSH):
            assert layer.selector.lookup in ("auto", lookup)
            assert layer.selector.code in ("auto", code)
        assert from_bytes(to_bytes(net)).arrangement() == net.arrangement()


def test_a_plan_equals_the_same_words_given_by_hand(blobs: Any) -> None:
    shapes = [(300, LSH(0.05)), (40, WinnerTakeAll(0.2))]
    net = network(*(Dense(n, active=active) for n, active in shapes)).fit(*blobs, epochs=2)
    ways = net.arrangement()
    by_hand = []
    for (n, active), way in zip(shapes, ways, strict=False):
        if isinstance(active, LSH):
            active = LSH(0.05, lookup=way["lookup"])
        by_hand.append(Dense(n, active=active, layout=way["layout"]))
    fixed = network(*by_hand).fit(*blobs, epochs=2)
    assert fixed.arrangement() == ways
    for name, tensor in net._core.tensors().items():
        assert np.array_equal(tensor, fixed._core.tensors()[name]), name


def test_with_the_reference_costs_a_training_does_not_depend_on_the_machine(
    blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests' environment says so; what was measured before has no part in it."""
    expected = network(Dense(64, active=LSH(0.1))).fit(*blobs, epochs=1)
    for name in COSTS:
        monkeypatch.setattr(calibration, "_known", [Machine(COSTS[name], name)])
        net = network(Dense(64, active=LSH(0.1))).fit(*blobs, epochs=1)
        assert same_bits(net, expected)


@pytest.mark.parametrize("batch_size", [1, 20])
@pytest.mark.parametrize("name", COSTS)
def test_every_plan_gives_the_same_bits_again(
    blobs: Any, costing: Callable[[str], None], name: str, batch_size: int
) -> None:
    costing(name)
    one, two = (
        network(Dense(64, active=LSH(0.1)), batch_size=batch_size).fit(*blobs, epochs=1)
        for _ in range(2)
    )
    assert same_bits(one, two)


@pytest.mark.parametrize("name", COSTS)
def test_a_plan_is_saved_and_outlasts_other_costs(
    blobs: Any, costing: Callable[[str], None], tmp_path: Path, name: str
) -> None:
    def make(epochs: int) -> Network:
        callbacks = [lambda record: record["epoch"] == epochs]
        return network(Dense(64, active=LSH(0.1))).fit(*blobs, epochs=3, callbacks=callbacks)

    costing(name)
    whole = make(3)
    make(1).save(tmp_path / "net")
    costing("by input" if name != "by input" else "scan")
    loaded = load(tmp_path / "net")
    assert loaded.arrangement() == whole.arrangement()
    assert same_bits(loaded.fit(*blobs, epochs=3), whole)
    assert loaded.arrangement() == whole.arrangement()


def test_a_plan_is_made_once_whatever_rows_come_later(blobs: Any) -> None:
    X, y = np.tile(blobs[0], 9), blobs[1]
    few = np.where(np.arange(X.shape[1]) < 2, X, 0)
    net, other = (Network(X.shape[1], [Dense(64), Dense(N_CLASSES)]) for _ in range(2))
    before = net.fit(X, y, epochs=1).arrangement()
    assert other.fit(few, y, epochs=1).arrangement() != before
    assert net.fit(few, y, epochs=2).partial_fit(few, y).arrangement() == before


def test_an_untrained_network_is_planned_where_it_is_loaded(
    blobs: Any, costing: Callable[[str], None], tmp_path: Path
) -> None:
    network(Dense(64, active=LSH(0.1))).save(tmp_path / "net")
    for name, expected in (("scan", SCAN), ("by input", BY_INPUT)):
        costing(name)
        assert arranged(load(tmp_path / "net").fit(*blobs, epochs=1))[0] == expected


def test_the_command_line_tells_how_the_layers_of_a_file_are_computed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    hashgrad, model = caller(capsys), tmp_path / "model.hashgrad"
    words = ("--lookup", "scan", "--output", model)
    assert hashgrad("train", "digits", *SMALL, *words).code == 0
    assert hashgrad("info", model, "--json", "-").json["arrangement"] == load(model).arrangement()
    lines = hashgrad("info", model).out.splitlines()
    first, last = (next(line for line in lines if f"layer {n}" in line) for n in (1, 2))
    assert first.rstrip().endswith("; weights by neuron, scan of bytes")
    assert last.rstrip().endswith(", all evaluated")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_is_arranged_as_the_original(
    blobs: Any, costing: Callable[[str], None], copied: Callable[[Network], Network]
) -> None:
    costing("scan")
    net = network(Dense(64, active=LSH(0.1))).fit(*blobs, epochs=1)
    costing("by input")
    assert copied(net).arrangement() == net.arrangement()
    assert same_bits(copied(net).fit(*blobs, epochs=2), net.fit(*blobs, epochs=2))


@pytest.mark.parametrize("copied", [lambda net: net, copy.deepcopy])
def test_a_network_that_failed_at_its_first_row_can_be_trained_still(
    line: Any, copied: Callable[[Network], Network]
) -> None:
    X, y = line
    net = network(Dense(64, active=LSH(0.5, lookup="scan")), outputs=1, loss="squared")
    with pytest.raises(FloatingPointError, match="stands as it was before that row"):
        net.fit(X, 1e30 * y, epochs=1)
    net = copied(net)
    assert net.fit(X, y, epochs=3).evaluate(X, y)["r2"] > 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ways: ways.pop(), "arrangement must have one entry a layer, got "),
        (lambda ways: ways.__setitem__(0, "scan"), r"arrangement\[0\] must be an object"),
        (lambda ways: ways[0].pop("code"), r"arrangement\[0\] must have the key 'code'"),
        (lambda ways: ways[0].update(more=1), r"a key of arrangement\[0\] must be one of"),
        (lambda ways: ways[0].update(layout="inputs"), r"\.layout .* did you mean 'input'\?"),
        (lambda ways: ways[0].update(lookup="auto"), r"arrangement\[0\].lookup must be one of"),
        (lambda ways: ways[0].update(code="none"), "must have a code where neurons are hashed"),
        (lambda ways: ways[0].update(lookup="exact"), "must be as its layer asks"),
        (lambda ways: ways[1].update(layout="input"), "must be as its layer asks"),
        (lambda ways: ways[2].update(lookup="scan", code="bytes"), "must be as its layer asks"),
        (lambda ways: ways[0].update(layout="input"), "layout must be 'neuron' where neurons are"),
    ],
)
def test_a_file_with_an_arrangement_that_cannot_be_is_refused(
    blobs: Any, change: Callable[[Any], Any], message: str
) -> None:
    layers = [Dense(64, active=LSH(0.1, lookup="scan")), Dense(48, layout="neuron")]
    text, tensors = parts(network(*layers).fit(*blobs, epochs=1))
    altered = json.loads(text)
    change(altered["arrangement"])
    assert from_parts(text, tensors).epochs == 1
    with pytest.raises(ValueError, match=f"not a valid hashgrad model: .*{message}"):
        from_parts(json.dumps(altered), tensors)
