"""Specifications refuse what they cannot mean, naming the argument, the rule and the value."""

import dataclasses
import json

import numpy as np
import pytest

from hashgrad import (
    LSH,
    SGD,
    Adagrad,
    Adam,
    Adaptive,
    All,
    Constant,
    Cosine,
    Dense,
    Exponential,
    Momentum,
    Network,
    Random,
    RowAdagrad,
    Step,
    WinnerTakeAll,
)
from hashgrad.defaults import PARAMETERS, check, from_dict
from hashgrad.layers import layer_from_dict
from hashgrad.optimizers import OPTIMIZERS
from hashgrad.schedules import SCHEDULES
from hashgrad.selectors import SELECTORS
from hashgrad.specification import core_schedule


def pooled(active=None, **how):
    """A network whose outputs are pooled."""
    layers = [Dense(4), Dense(9, active=active or LSH(pooled=True))]
    return Network(3, layers, **{"batch_size": 8, "loss": "logistic", **how})


def inverse(**how):
    """The same, of which some outputs are drawn and count the inverse of their chance."""
    return pooled(**how, active=LSH(pooled=True, fill=9, correction="inverse"))


SELECTING = [Random, Adaptive, WinnerTakeAll, LSH]


@pytest.mark.parametrize("selector", SELECTING)
@pytest.mark.parametrize("fraction", [0, -0.1, 1.5, float("nan"), float("inf")])
def test_a_fraction_outside_0_to_1_is_refused(selector, fraction):
    with pytest.raises(ValueError, match=r"fraction must be in \(0, 1\], got "):
        selector(fraction=fraction)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSH(tables=0), r"tables must be an integer in \[1, 256\], got 0"),
        (lambda: LSH(bits=17), r"bits must be an integer in \[1, 16\], got 17"),
        (lambda: LSH(bits=16, tables=256), r"bits \* tables must be at most 2048, got 16 \* 256"),
        (lambda: LSH(bits=3, probes=9), r"probes must be at most 2\*\*bits = 8, got 9"),
        (lambda: LSH(candidates=0.5), r"candidates must be in \[1, 10000\], or None, got 0.5"),
        (lambda: LSH(rank=1), r"rank must be an integer in \[2, "),
        (lambda: LSH(projection="gausian"), r"did you mean 'gaussian'\?"),
        (lambda: LSH(transform="sign_alsh"), r"did you mean 'sign-alsh'\?"),
        (lambda: LSH(lookup="scan", ranking="collisions"), "lookup='scan' needs ranking"),
        (lambda: LSH(rebuild_every=0), "rebuild_every must be an integer in"),
        (lambda: LSH(pooled=True, lookup="exact"), "pooled=True needs lookup='scan' or 'tables'"),
        (lambda: LSH(pooled=True, rehash="incremental"), "pooled=True needs rehash='rows'"),
        (lambda: LSH(fill=9), "fill needs pooled=True, got fill=9"),
        (lambda: LSH(pooled=True, correction="inverse"), "correction='inverse' needs fill above 0"),
        (lambda: inverse(loss="softmax"), "correction 'inverse' needs loss 'logistic', got 'soft"),
        (lambda: LSH(fill=-1), "fill must be an integer in"),
        (
            lambda: LSH(precision="bfloat16"),
            "precision needs pooled=True, got 'bfloat16' with pooled=False",
        ),
        (
            lambda: LSH(pooled=True, precision="half"),
            "precision must be one of 'float32', 'bfloat16', got 'half'",
        ),
        (lambda: LSH(query_every=4), "query_every needs pooled=True, got 4 with pooled=False"),
        (lambda: LSH(pooled=True, query_every=-1), r"query_every must be an integer in .* got -1"),
        (lambda: Dense(9, active=LSH(pooled=True), layout="input"), "layout must be 'auto' or"),
        (
            lambda: Network(3, [Dense(9, active=LSH(pooled=True)), Dense(2)], batch_size=8),
            r"layers\[0\].active.pooled must be False in a hidden layer, got True",
        ),
        (lambda: pooled(batch_size=1), "batch_size must be above 1 where outputs are pooled"),
        (lambda: pooled(loss="squared"), "loss must be 'softmax' or 'logistic' where outputs are"),
        (
            lambda: pooled(optimizer="row-adagrad", l2=0.1),
            "l2 must be 0 where outputs are pooled and the optimizer is 'row-adagrad', got 0.1",
        ),
        (
            lambda: Network(3, [Dense(9, active=LSH(pooled=True))], batch_size=8),
            "layers must have a hidden layer where outputs are pooled, got one layer",
        ),
        (lambda: Adaptive(alpha=float("nan")), "alpha must be in"),
        (lambda: Dense(0), r"n must be an integer in \[1, "),
        (lambda: Dense(8, activation="rleu"), r"got 'rleu'; did you mean 'relu'\?"),
        (lambda: Dense(8, active="winner"), r"did you mean 'winner-take-all'\?"),
        (lambda: SGD(rate=0), "rate must be > 0, got 0"),
        (lambda: Momentum(momentum=1), r"momentum must be in \[0, 1\), got 1"),
        (lambda: Adam(beta2=-0.1), r"beta2 must be in \[0, 1\), got -0.1"),
        (lambda: Exponential(factor=2), r"factor must be in \(0, 1\], got 2"),
        (lambda: Cosine(floor=2), r"floor must be in \[0, 1\], got 2"),
        (lambda: Step(every=0), "every must be"),
        (lambda: Constant(warmup=-1), "warmup must be"),
        (lambda: Network(0, [Dense(2)]), "n_inputs must be an integer in"),
        (lambda: Network(3, []), "layers must have at least one layer, got none"),
        (lambda: Network(3, [Dense(2)], loss="softmx"), r"did you mean 'softmax'\?"),
        (lambda: Network(3, [Dense(2)], optimizer="adm"), r"did you mean 'adam'\?"),
        (lambda: Network(3, [Dense(2)], schedule="cosin"), r"did you mean 'cosine'\?"),
        (lambda: Network(3, [Dense(2)], batch_size=0), "batch_size must be an integer in"),
        (lambda: Network(3, [Dense(2)], threads=-1), "threads must be an integer in"),
        (lambda: Network(3, [Dense(2)], seed=-1), "seed must be an integer in"),
        (lambda: Network(3, [Dense(2)], l2=-1), "l2 must be >= 0, got -1"),
        (lambda: Network(3, [Dense(2, "relu")]), r"layers\[0\].activation must be 'linear'"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSH(bits="six"), r"bits must be an integer, got 'six' \(str\)"),
        (lambda: LSH(bits=6.0), r"bits must be an integer, got 6.0 \(float\)"),
        (lambda: LSH(bits=True), r"bits must be an integer, got True \(bool\)"),
        (lambda: LSH(center="yes"), r"center must be True or False, got 'yes' \(str\)"),
        (lambda: LSH("0.5"), r"fraction must be a number, got '0.5' \(str\)"),
        (lambda: Dense(8, activation=3), "activation must be one of"),
        (lambda: Dense(8, active=0.05), "active must be one of .* or a name, got 0.05"),
        (lambda: Dense(8, active=LSH), "active must be one of"),
        (lambda: Network(3, Dense(2)), "layers must be a list of Dense"),
        (lambda: Network(3, [Dense(4), 2]), r"layers\[1\] must be a Dense, got 2 \(int\)"),
        (lambda: Network(3, [Dense(2)], optimizer=Cosine()), "optimizer must be one of"),
        (lambda: Network("3", [Dense(2)]), "n_inputs must be an integer"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(
    ("fraction", "n", "kept"), [(0.05, 1000, 50), (0.05, 10, 1), (0.001, 10, 1), (0.25, 10, 3)]
)
def test_a_selector_keeps_its_share_rounded_half_up_and_at_least_one(fraction, n, kept):
    assert WinnerTakeAll(fraction).kept(n) == kept
    assert All().kept(n) == n


def test_default_probes_fit_few_bits_but_chosen_ones_are_taken_at_their_word():
    assert LSH(bits=2).probes == 4
    assert LSH(bits=8).probes == PARAMETERS["probes"].default


def test_every_default_of_the_table_satisfies_its_own_constraint():
    for name, parameter in PARAMETERS.items():
        if parameter.default is not None:
            assert check(name, parameter.default) == parameter.default, name
        assert parameter.help.endswith("."), name


@pytest.mark.parametrize("member", [*SELECTORS.values(), *OPTIMIZERS.values(), *SCHEDULES.values()])
def test_every_field_of_a_specification_is_in_the_table(member):
    assert {field.name for field in dataclasses.fields(member)} <= set(PARAMETERS)


def test_numbers_of_numpy_become_plain_ones():
    lsh = LSH(np.float32(0.5), bits=np.int64(4), center=np.bool_(False))
    assert json.loads(json.dumps(lsh.to_dict()))["bits"] == 4
    assert type(lsh.fraction) is float


def test_specifications_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        LSH().bits = 3


@pytest.mark.parametrize(
    "layer",
    [
        Dense(8),
        Dense(8, "tanh", "random"),
        Dense(8, active=Adaptive(0.3, alpha=2.0)),
        Dense(8, active=LSH(0.3, bits=5)),
    ],
)
def test_a_layer_survives_its_json(layer):
    assert layer_from_dict("layer", json.loads(json.dumps(layer.to_dict()))) == layer


def test_a_name_stands_for_the_specification_with_its_defaults():
    assert Dense(8, active="lsh").selector == LSH()
    net = Network(3, [Dense(2)], optimizer="row-adagrad", schedule="step")
    assert (net.optimizer, net.schedule) == (RowAdagrad(), Step())


def test_hidden_layers_are_relu_and_the_last_is_linear_unless_told_otherwise():
    net = Network(3, [Dense(4), Dense(4, "tanh"), Dense(2)])
    assert [layer.activation for layer in net.layers] == ["relu", "tanh", "linear"]


def test_a_network_shows_how_to_make_it_again():
    net = Network(3, [Dense(4, active=LSH(0.5)), Dense(2)], optimizer=Adagrad(momentum=0.5), seed=7)
    names = (LSH, SGD, Adagrad, All, Cosine, Dense, Network)
    again = eval(repr(net), {kind.__name__: kind for kind in names})
    assert again.specification() == net.specification()


@pytest.mark.parametrize(
    ("schedule", "epoch", "share"),
    [
        (Constant(), 3, 1.0),
        (Constant(warmup=2), 1, 0.5),
        (Step(every=2, factor=0.1), 1.99, 1.0),
        (Step(every=2, factor=0.1), 4, 0.01),
        (Exponential(factor=0.5), 2, 0.25),
        (Cosine(), 0, 1.0),
        (Cosine(), 5, 0.5),
        (Cosine(floor=0.2), 10, 0.2),
        (Cosine(), 30, 0.0),
    ],
)
def test_a_schedule_counts_in_epochs(schedule, epoch, share):
    spec = core_schedule(schedule, rate=0.1, rows=1000, total=10_000)
    assert spec.at(round(epoch * 1000)) == pytest.approx(0.1 * share, abs=1e-4)


def test_a_selector_of_a_file_from_before_there_were_families_hashes_by_angles():
    selector = LSH(0.1, bits=5)
    older = {k: v for k, v in selector.to_dict().items() if k not in LSH.added}
    assert len(older) == len(selector.to_dict()) - 5
    assert from_dict("active", older, SELECTORS) == selector
