"""A floor is what an example must read and multiply, phase by phase, and its least time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from conftest import N_INPUTS, hashed, network
from hashgrad import LSH, Adaptive, Dense, Network, Random, WinnerTakeAll
from hashgrad.calibration import REFERENCE, SIZES, Machine
from hashgrad.floors import PHASES, Floor, of_example

NEAR = float(SIZES["near"])


def total(floors: dict[str, Floor], what: str) -> float:
    return float(sum(getattr(floor, what) for floor in floors.values()))


def floors_of(blobs: Any, *layers: Dense, **settings: Any) -> dict[str, Floor]:
    """Of a network that was trained on the tests' data."""
    return of_example(network(*layers, **settings).fit(*blobs, epochs=1), blobs[0])


ALL_KINDS = [
    hashed(64, 0.1),
    Dense(48, active=WinnerTakeAll(0.2)),
    Dense(48, active=Adaptive(0.2)),
    Dense(32, layout="input"),
    Dense(32, layout="neuron"),
]


def test_a_network_without_tables_has_no_floors_yet(blobs: Any) -> None:
    with pytest.raises(RuntimeError, match="no tables yet: call fit or partial_fit first"):
        of_example(network(), blobs[0])


def test_rows_of_another_width_are_refused(blobs: Any) -> None:
    net = network().fit(*blobs, epochs=1)
    with pytest.raises(ValueError, match="X must have 24 columns"):
        of_example(net, blobs[0][:, :10])


def test_every_phase_has_a_floor_and_none_takes_less_than_its_parts(blobs: Any) -> None:
    floors = floors_of(blobs, *ALL_KINDS)
    assert tuple(floors) == PHASES
    here = Machine(REFERENCE, "reference")
    for phase, floor in floors.items():
        assert floor.bytes > 0, phase
        assert floor.nanoseconds > 0, phase
        assert floor.nanoseconds >= floor.multiplications * here.cost("product") * (1 - 1e-9), phase
        assert floor.nanoseconds >= floor.bytes / 64 * here.cost("stream", 1) * (1 - 1e-9), phase
    assert floors["input"].multiplications == 0


def test_a_layer_adds_its_own_floor_to_those_below(blobs: Any) -> None:
    X, y = blobs
    low, high = (Dense(n, "tanh", layout="neuron") for n in (48, 32))
    both = floors_of(blobs, low, high)
    hidden = np.random.default_rng(0).normal(size=(len(X), 48)).astype(np.float32)
    alone = of_example(Network(48, [high, Dense(4)]).fit(hidden, y, epochs=1), hidden)
    assert both["forward"].multiplications == pytest.approx(
        48 * 32 + alone["forward"].multiplications, rel=1e-3
    )


def test_an_adding_up_takes_the_longer_of_reading_and_multiplying() -> None:
    here = Machine({"stream.near": 2.0, "stream.far": 8.0, "product": 0.5}, "made up")
    floor = Floor()
    floor.add(here, n_bytes=640, multiplications=10, working_set=NEAR)
    assert (floor.bytes, floor.multiplications, floor.nanoseconds) == (640, 10, 20)
    floor.add(here, n_bytes=64, multiplications=100, working_set=1.0)
    assert (floor.bytes, floor.multiplications, floor.nanoseconds) == (704, 110, 70)
    floor.add(here, n_bytes=64, multiplications=0, working_set=float(SIZES["far"]))
    assert floor.nanoseconds == 78


def test_a_dense_layer_by_neuron_multiplies_whole_lines_of_its_rows(blobs: Any) -> None:
    X = np.abs(np.hstack([blobs[0], blobs[0][:, :7]])) + 0.5  # 31 inputs, none zero, and the bias
    net = Network(31, [Dense(48, layout="neuron"), Dense(4, layout="neuron")])
    floors = of_example(net.fit(X, blobs[1], epochs=1), X)
    above = 24 + 1  # half of the neurons are at zero, and the bias
    assert floors["input"].bytes == 4 * 31
    assert 48 * 32 + 4 * above <= floors["forward"].multiplications <= 48 * 32 + 4 * 64
    assert floors["forward"].bytes == 4 * floors["forward"].multiplications
    for phase in ("hash", "query", "candidates", "re-hash"):
        assert floors[phase] == Floor(), phase


def test_a_dense_layer_by_input_reads_a_row_for_each_entry(blobs: Any) -> None:
    X = np.abs(blobs[0]) + 0.5
    layers = [Dense(48, layout="input"), Dense(4, layout="input")]
    floors = of_example(Network(N_INPUTS, layers).fit(X, blobs[1], epochs=1), X)
    assert floors["forward"].multiplications == 25 * 48 + 25 * 4
    assert floors["forward"].bytes == 4 * floors["forward"].multiplications
    for phase in ("hash", "query", "candidates", "re-hash"):
        assert floors[phase] == Floor(), phase


@pytest.mark.parametrize("layout", ["input", "neuron"])
def test_zeros_in_the_input_cost_nothing(blobs: Any, layout: str) -> None:
    X, y = np.tile(blobs[0], 9), blobs[1]
    few, spread = (X * (np.arange(216) < 8), X * (np.arange(216) % 32 == 0))
    net = Network(216, [Dense(48, layout=layout), Dense(4)]).fit(X, y, epochs=1)
    full = of_example(net, X)
    for sparse in (few, spread):  # in one line, or in every other one
        floors = of_example(net, sparse)
        for phase in ("forward", "backward and update"):
            assert floors[phase].multiplications < full[phase].multiplications
            assert floors[phase].bytes < full[phase].bytes
            assert floors[phase].nanoseconds < full[phase].nanoseconds
        assert of_example(net, csr_array(sparse)) == floors


@pytest.mark.parametrize("layout", ["input", "neuron"])
def test_fewer_entries_in_the_same_lines_are_no_more_to_read(blobs: Any, layout: str) -> None:
    X, y = np.tile(blobs[0], 9), blobs[1]
    net = Network(216, [Dense(48, layout=layout), Dense(4)]).fit(X, y, epochs=1)
    floors = [of_example(net, X * (np.arange(216) < n)) for n in range(2, 14)]
    for phase in ("forward", "backward and update"):
        read = [of_n[phase].bytes for of_n in floors]
        assert read == sorted(read)


@pytest.mark.parametrize(
    "kind",
    [
        {"layout": "input"},
        {"layout": "neuron"},
        {"active": WinnerTakeAll(0.25), "layout": "neuron"},
        {"active": LSH(0.25, lookup="scan")},
        {"active": LSH(0.25, lookup="scan", code="bits")},
        {"active": LSH(0.25, lookup="tables")},
        {"active": LSH(0.25, lookup="exact"), "layout": "input"},
    ],
    ids=["by input", "by neuron", "winners", "scan", "bits", "tables", "exact"],
)
def test_more_neurons_and_more_of_them_kept_cost_more(blobs: Any, kind: dict[str, Any]) -> None:
    small, large = (floors_of(blobs, Dense(n, **kind), Dense(n, **kind)) for n in (64, 256))
    for what in ("bytes", "multiplications", "nanoseconds"):
        assert total(large, what) > total(small, what)
    for phase in ("forward", "backward and update"):
        assert large[phase].nanoseconds > small[phase].nanoseconds
    if isinstance(kind.get("active"), LSH):
        few = LSH(0.05, lookup=kind["active"].lookup, code=kind["active"].code)
        fewer = floors_of(blobs, *[Dense(256, **{**kind, "active": few})] * 2)
        assert total(fewer, "nanoseconds") < total(large, "nanoseconds")


def test_hashing_pays_in_a_wide_layer_at_a_small_share(blobs: Any) -> None:
    hidden = [Dense(1024, layout="neuron"), Dense(1024, layout="neuron")]
    every = floors_of(blobs, *hidden)
    few = [Dense(1024, active=LSH(0.02, lookup="scan"))] * 2
    hashed_floors = floors_of(blobs, *few)
    assert hashed_floors["forward"].bytes < 0.1 * every["forward"].bytes
    assert total(hashed_floors, "nanoseconds") < 0.5 * total(every, "nanoseconds")
    assert hashed_floors["hash"].multiplications > 0
    assert hashed_floors["query"].bytes > 0
    assert hashed_floors["re-hash"].multiplications > 0


def test_codes_of_bits_are_shorter_and_leave_more_candidates(blobs: Any) -> None:
    bits, bytes_ = (
        floors_of(blobs, Dense(512, active=LSH(0.05, lookup="scan", code=code, bits=4, tables=16)))
        for code in ("bits", "bytes")
    )
    assert bits["query"].bytes == 512 * 64 / 8
    assert bytes_["query"].bytes == 512 * 25  # as many dimensions as there are inputs, and the bias
    assert bits["candidates"].multiplications == pytest.approx(
        3 / 0.5 * bytes_["candidates"].multiplications
    )


def test_asking_for_more_candidates_raises_their_floor_alone(blobs: Any) -> None:
    one, three = (
        floors_of(blobs, Dense(256, active=LSH(0.1, lookup="scan", candidates=candidates)))
        for candidates in (1, 3)
    )
    assert one["candidates"] == Floor()
    assert three["candidates"].multiplications > 0
    for phase in set(PHASES) - {"candidates"}:
        assert one[phase] == three[phase], phase


def test_dropout_evaluates_the_neurons_it_keeps_alone(blobs: Any) -> None:
    """Unlike selectors that must know all of them to choose."""
    dropout, winners = (
        floors_of(blobs, Dense(512, active=selector, layout="neuron"))
        for selector in (Random(0.1), WinnerTakeAll(0.1))
    )
    assert dropout["forward"].multiplications < 0.3 * winners["forward"].multiplications


def test_tables_are_visited_and_not_scanned(blobs: Any) -> None:
    """What a look-up reads depends on the tables, hardly on how many neurons there are."""
    rare = {"bits": 12, "tables": 4, "probes": 1, "lookup": "tables"}
    small, large = (
        floors_of(blobs, Dense(n, active=LSH(16 / n, **rare))) for n in (512, 4096)
    )  # fmt: skip
    assert large["query"].bytes < 2 * small["query"].bytes


def test_the_costs_of_this_machine_are_what_floors_are_made_of(
    blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(*ALL_KINDS).fit(*blobs, epochs=1)
    plain = of_example(net, blobs[0])
    slow = Machine({name: 3 * cost for name, cost in REFERENCE.items()}, "three times slower")
    monkeypatch.setattr("hashgrad.floors.machine", lambda: slow)
    for phase, floor in of_example(net, blobs[0]).items():
        assert floor.nanoseconds == pytest.approx(3 * plain[phase].nanoseconds)
        assert floor.bytes == plain[phase].bytes
        assert floor.multiplications == plain[phase].multiplications


def test_asking_changes_nothing_in_the_network(blobs: Any) -> None:
    net = network(*ALL_KINDS).fit(*blobs, epochs=1)
    before, scores = net.report().to_dict(), net.decision_function(blobs[0])
    of_example(net, blobs[0])
    assert {**net.report().to_dict(), "prediction": None} == {**before, "prediction": None}
    assert np.array_equal(net.decision_function(blobs[0]), scores)
