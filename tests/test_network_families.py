"""Networks whose neurons are hashed by comparisons: they learn, and say what they cannot."""

import numpy as np
import pytest

import hashgrad
from conftest import from_bytes, hashed, network, same_bits, to_bytes
from hashgrad import LSH, Adam, Dense, Network, export_c

FAMILIES = ["dwta", "minhash"]


def layer(family, **settings):
    return hashed(family=family, **{"probes": 1, **settings})


def right(net, data, **how):
    return float((net.predict(data[0], **how) == data[1]).mean())


@pytest.mark.parametrize("batch_size", [1, 25])
@pytest.mark.parametrize("lookup", ["scan", "tables"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_learns_with_every_family(blobs, family, lookup, batch_size):
    layers = [layer(family, lookup=lookup), layer(family, lookup=lookup, n=32)]
    net = network(*layers, optimizer=Adam(0.01), batch_size=batch_size).fit(*blobs, epochs=6)
    assert right(net, blobs) > 0.9
    assert [way["lookup"] for way in net.arrangement()[:2]] == [lookup] * 2


@pytest.mark.parametrize("family", FAMILIES)
def test_threads_without_locks_learn_with_every_family(blobs, family):
    net = network(layer(family, lookup="tables"), threads=2, optimizer="adam").fit(*blobs, epochs=6)
    assert right(net, blobs) > 0.9


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_holds_all_of_it(tags, family, pooled):
    top = layer(family, n=6, fraction=0.4, pooled=pooled, lookup="tables")
    settings = {"loss": "logistic", "batch_size": 25, "optimizer": Adam(0.01)}
    net = Network(24, [Dense(16), top], **settings).fit(*tags, epochs=4)
    loaded = from_bytes(to_bytes(net))
    assert same_bits(net, loaded)
    for exact in (False, True):
        ranked, _ = net.predict_topk(tags[0], 2, exact=exact)
        np.testing.assert_array_equal(ranked, loaded.predict_topk(tags[0], 2, exact=exact)[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_pooled_outputs_learn_and_grow(tags, family):
    top = Dense(6, active=LSH(0.4, family=family, pooled=True, bits=4, tables=16, lookup="tables"))
    settings = {"loss": "logistic", "batch_size": 25, "optimizer": Adam(0.02)}
    net = Network(24, [Dense(16), top], **settings).fit(*tags, epochs=12)
    truth = tags[1].toarray()
    best = net.predict_topk(tags[0], 1, exact=True)[0][:, 0]
    some = truth.any(axis=1)
    assert truth[some, best[some]].mean() > 0.9
    net.add_labels(3)
    assert net.predict_topk(tags[0], 1)[0].shape == (400, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_compact_copy_hashes_as_the_network_does(blobs, family):
    net = network(layer(family), optimizer="adam").fit(*blobs, epochs=6)
    copied = net.compact()
    assert (copied.predict(blobs[0]) == net.predict(blobs[0])).mean() > 0.97


@pytest.mark.parametrize("family", FAMILIES)
def test_c_has_no_such_hashes(blobs, tmp_path, family):
    net = network(layer(family)).fit(*blobs, epochs=1)
    with pytest.raises(
        ValueError, match=rf"layers\[0\].active.family must be 'simhash' .*{family}"
    ):
        export_c(net, tmp_path / "net.c")


REFUSED = {
    "code_bits must be 1, 2, 4 or 8, got 3": {"code_bits": 3},
    "bits must be a multiple of code_bits = 4, got 6": {"code_bits": 4, "bits": 6},
    "projection must be left at 'subspace' .*'dwta'.* got 'gaussian'": {"projection": "gaussian"},
    "rank must be left at 32 .* got 8": {"rank": 8},
    "center must be left at True .* got False": {"center": False},
    "family='dwta' needs transform='none', got transform='simple'": {"transform": "simple"},
    "family='dwta' needs probes=1, got probes=2": {"probes": 2},
    "family='dwta' needs rehash='rows', got rehash='incremental'": {"rehash": "incremental"},
    "family='dwta' needs code='bits', got code='bytes'": {"code": "bytes"},
}


@pytest.mark.parametrize(("rule", "settings"), REFUSED.items(), ids=lambda value: str(value)[:20])
def test_what_does_not_go_together_is_refused(rule, settings):
    with pytest.raises(ValueError, match=rule):
        LSH(family="dwta", **settings)


def test_projections_have_no_codes_of_several_bits():
    with pytest.raises(ValueError, match=r"code_bits needs family='dwta' or 'minhash', got .*=2"):
        LSH(code_bits=2)


def test_code_bits_follow_from_bits():
    assert [LSH(family="dwta", bits=bits).bits_of_code for bits in (8, 7)] == [2, 1]
    assert LSH(family="minhash", code_bits=4).bits_of_code == 4
    assert LSH().bits_of_code == 1
    assert hashgrad.LSH(family="minhash").probes == 1
