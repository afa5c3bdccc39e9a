"""Labels come and go on a trained network: the others stay as they are, and training goes on."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

import hashgrad
from conftest import hashed, same_bits, smallest_batch
from hashgrad import SGD, Adam, Dense, Network, WinnerTakeAll
from hashgrad.halves import widened
from hashgrad.labels import as_targets

N_INPUTS, N_LABELS, NEW = 20, 40, 3
POOLED = {"pooled": True, "rank": 16}
# The output layer, and what goes with it.
HEADS = {
    "dense": (Dense(N_LABELS, layout="neuron"), {}),
    "by input": (Dense(N_LABELS, layout="input"), {}),
    "winner-take-all": (Dense(N_LABELS, active=WinnerTakeAll(0.3)), {}),
    "bytes": (hashed(N_LABELS, 0.3), {}),
    "bits": (hashed(N_LABELS, 0.3, code="bits", rehash="rows"), {}),
    "tables": (hashed(N_LABELS, 0.3, lookup="tables", probes=4), {}),
    "simple": (hashed(N_LABELS, 0.3, transform="simple", projection="gaussian"), {}),
    "pooled": (hashed(N_LABELS, 0.1, **POOLED), {"batch_size": 8}),
    "pooled halves": (
        replace(hashed(N_LABELS, 0.1, **POOLED), dtype="bfloat16"),
        {"batch_size": 8},
    ),
    "pooled tables": (hashed(N_LABELS, 0.1, lookup="tables", **POOLED), {"batch_size": 8}),
}
OPTIMIZERS = ["sgd", "momentum", "adagrad", "adam", "row-adagrad"]
OPTIMIZERS += [Adam(state="bfloat16"), Adam(state="row"), Adam(state="8-bit")]
OPTIMIZERS += [Adam(lazy=False)]


def balls(labels, n=10, seed=0):
    """n rows of each of these labels, near a centre of the label's own."""
    centres = np.random.default_rng(9).normal(size=(N_LABELS + NEW, N_INPUTS))
    y = np.repeat(labels, n)
    noise = np.random.default_rng(seed).normal(size=(len(y), N_INPUTS))
    return (3 * centres[y] + noise).astype(np.float32), y


def trained(head="bytes", loss="softmax", **settings):
    layer, more = HEADS[head]
    settings = {"optimizer": SGD(0.02), **more, **settings}
    net = Network(N_INPUTS, [Dense(32), layer], loss=loss, **settings)
    X, y = balls(np.arange(N_LABELS))
    return net.fit(X, y if loss == "softmax" else y[:, None].tolist(), epochs=6)


def tensors(net):
    return {name: np.array(tensor) for name, tensor in net._core.tensors().items()}


def through_a_file(net, tmp_path):
    net.save(tmp_path / "net")
    return hashgrad.load(tmp_path / "net")


def codes_by_output(code):
    """The bytes of each output, which lie with those of fifteen others."""
    padded = -(-N_LABELS // 16) * 16
    width = len(code) // padded
    i, r = np.arange(N_LABELS)[:, None], np.arange(width)
    lane = i % 16
    return code[(i - lane) * width + 64 * (lane % 4) + 16 * (lane // 4) + r // 16 * 256 + r % 16]


# ---- what stays ----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("head", HEADS)
def test_the_scores_of_the_labels_there_were_keep_their_bits(head, loss):
    net = trained(head, loss)
    X = balls(np.arange(N_LABELS), seed=1)[0]
    scores = dense_scores(net, X)
    assert net.add_labels(NEW).tolist() == [40, 41, 42]
    assert np.array_equal(dense_scores(net, X)[:, :N_LABELS], scores)
    assert np.isfinite(dense_scores(net, X)).all()
    net.retire_labels([40, 41, 42])
    assert np.array_equal(dense_scores(net, X)[:, :N_LABELS], scores)
    net.retire_labels([7, 39, 0])
    left = np.delete(np.arange(N_LABELS), [7, 39, 0])
    assert np.array_equal(dense_scores(net, X)[:, left], scores[:, left])


def dense_scores(net, X):
    """Scores of all labels, whatever the layer would keep."""
    k = net.layers[-1].n
    labels, found = net.predict_topk(X, k, exact=True)
    scores = np.full((len(X), net.n_outputs), -np.inf, np.float32)
    np.put_along_axis(scores, labels.astype(np.int64), found, axis=1)
    return scores


@pytest.mark.parametrize("layout", ["neuron", "input"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_state_stays_with_its_label_and_is_zero_for_a_new_one(name, layout):
    layers = [Dense(16), Dense(N_LABELS, layout=layout)]
    net = Network(N_INPUTS, layers, optimizer=name, batch_size=smallest_batch(name))
    net.fit(*balls(np.arange(N_LABELS)), epochs=1)
    before, step = tensors(net), net._core.step
    net.add_labels(NEW)
    net.retire_labels([1, 41])
    after = tensors(net)
    assert net._core.step == step
    kept = np.delete(np.arange(N_LABELS), 1)
    assert list(after) == list(before)
    for key, tensor in after.items():
        by_row = key.endswith(("row_square", "row_units", "row_update"))
        shared = key.startswith("layers.0.") or (layout == "input" and by_row)
        old = before[key] if shared else before[key][kept]
        assert np.array_equal(tensor if shared else tensor[: len(kept)], old), key
        if "optimizer" in key and not shared:
            missed_none = net._core.state()["updates"]
            new = missed_none if key.endswith("row_update") else 0
            assert (tensor[len(kept) :] == new).all(), key


@pytest.mark.parametrize("head", ["bytes", "bits", "tables", "simple", "pooled"])
def test_hashes_follow_those_there_were_and_new_ones_are_as_a_rebuild_would_make_them(head):
    net = trained(head)
    net._core.rehash()
    before = tensors(net)
    net.retire_labels([3])
    net.add_labels(1, weights=before["layers.1.weight"][[3]], biases=before["layers.1.bias"][[3]])
    after = tensors(net)
    order = [*np.delete(np.arange(N_LABELS), 3), 3]
    for key, tensor in after.items():
        if ".lsh." not in key:
            continue
        if key.endswith("code"):
            was = codes_by_output(before[key])
            np.testing.assert_array_equal(codes_by_output(tensor), was[order], err_msg=key)
        elif tensor.shape == before[key].shape and len(tensor) != N_LABELS:
            assert np.array_equal(tensor, before[key]), key
        else:
            np.testing.assert_allclose(tensor, before[key][order], atol=1e-3, err_msg=key)


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("head", ["dense", "bytes", "tables", "pooled"])
def test_new_labels_are_ordinary_ones_that_seldom_outdo_others(head, loss):
    net = trained(head, loss)
    before = tensors(net)["layers.1.weight"]
    net.add_labels(100)
    net.add_labels(100)
    fresh = tensors(net)["layers.1.weight"][N_LABELS:]
    np.testing.assert_allclose(fresh.mean(axis=0), before.mean(axis=0), atol=0.15)
    np.testing.assert_allclose(fresh.std(axis=0), before.std(axis=0) / 2, rtol=0.3)
    assert len(np.unique(fresh, axis=0)) == 200
    X, y = balls(np.arange(N_LABELS), seed=1)
    for exact in (False, True):
        assert (net.predict_topk(X, 1, exact)[0] >= N_LABELS).mean() < 0.02
        assert (net.predict_topk(X, 1, exact)[0][:, 0] == y).mean() > 0.85


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_a_new_label_begins_at_its_prior_or_at_the_lowest_bias(loss):
    y = np.repeat(np.arange(N_LABELS), 10)
    answers = y if loss == "softmax" else y[:, None].tolist()
    net = trained(loss=loss, prior=True)
    net.add_labels(1)
    bias = tensors(net)["layers.1.bias"]
    expected = as_targets(answers, loss, N_LABELS + 1).prior(loss)[-1]
    assert bias[-1] == pytest.approx(expected, abs=0.01)
    net = trained(loss=loss)
    net.add_labels(2)
    bias = tensors(net)["layers.1.bias"]
    assert set(bias[N_LABELS:]) == {bias[:N_LABELS].min()}


def test_weights_and_biases_may_be_given():
    net = trained()
    weights = np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)
    net.add_labels(2, weights=weights, biases=[1.0, -1.0])
    assert np.array_equal(tensors(net)["layers.1.weight"][-2:], weights)
    assert tensors(net)["layers.1.bias"][-2:].tolist() == [1.0, -1.0]
    net = trained("pooled halves")
    weights[0, 0] = 3.4e38  # above the largest of bfloat16
    net.add_labels(2, weights=weights, biases=[1.0, -1.0])
    kept = widened(tensors(net)["layers.1.weight"])[-2:]
    assert (np.abs(kept - weights) <= 2**-8 * np.abs(weights)).all()  # the nearest ones
    assert tensors(net)["layers.1.bias"][-2:].tolist() == [1.0, -1.0]


def test_an_untrained_network_takes_labels_too():
    net = Network(N_INPUTS, [Dense(32), hashed(N_LABELS, 0.3)], prior=True, optimizer=SGD(0.02))
    net.add_labels(NEW)
    net.retire_labels([0])
    X, y = balls(np.arange(1, N_LABELS + NEW))
    assert net.fit(X, y, epochs=6).evaluate(X, y)["accuracy"] > 0.9


# ---- what is learned -----------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("head", HEADS)
def test_a_new_label_is_learned_in_a_few_steps_and_found_through_the_hashes(head, loss):
    net = trained(head, loss)
    old = balls(np.arange(N_LABELS), seed=1)
    new = balls(np.arange(N_LABELS, N_LABELS + NEW), n=20, seed=1)
    net.add_labels(NEW)
    assert (net.predict_topk(new[0], 1)[0][:, 0] == new[1]).mean() < 0.5
    X, y = balls(np.arange(N_LABELS + NEW), n=10, seed=2)
    for _ in range(5):
        net.partial_fit(X, y if loss == "softmax" else y[:, None].tolist())
    assert (net.predict_topk(new[0], 1, exact=False)[0][:, 0] == new[1]).mean() > 0.85
    assert (net.predict_topk(old[0], 1, exact=False)[0][:, 0] == old[1]).mean() > 0.85


@pytest.mark.parametrize("head", ["bytes", "bits", "tables", "simple", "pooled", "pooled tables"])
def test_a_new_label_with_given_weights_is_found_at_once(head):
    net = trained(head)
    rows = balls([5], n=20, seed=1)[0]
    weights, biases = (tensors(net)[f"layers.1.{kind}"][[5]] for kind in ("weight", "bias"))
    net.add_labels(1, weights=weights, biases=biases + 1)
    assert (net.predict_topk(rows, 1, exact=False)[0] == N_LABELS).mean() > 0.85


# ---- what is retired -----------------------------------------------------------------------------


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("head", HEADS)
def test_a_retired_label_is_never_predicted_and_the_others_keep_their_numbers(head, loss, small):
    net = trained(head, loss)
    gone = [0, 5, 6, 39]
    left = np.delete(np.arange(N_LABELS), gone)
    net.retire_labels(gone)
    net.partial_fit(*balls(left)) if loss == "softmax" else None
    assert (net.retired, net.n_outputs, net.layers[-1].n) == (gone, N_LABELS, len(left))
    X, y = balls(np.arange(N_LABELS), seed=1)
    mine = np.isin(y, left)
    model = net.compact() if small else net
    for exact in (False, True):
        found, scores = model.predict_topk(X, len(left), exact)
        assert not np.isin(found, gone).any()
        assert np.array_equal(found < 0, np.isneginf(scores))
        assert (found[mine, 0] == y[mine]).mean() > 0.85
        assert np.isneginf(model.decision_function(X, exact)[:, gone]).all()
        assert not model.predict_proba(X, exact)[:, gone].any()
        predicted = model.predict(X, exact)
        if loss == "softmax":
            assert not np.isin(predicted, gone).any()
            assert (predicted[mine] == y[mine]).mean() > 0.85
        else:
            assert predicted.shape == (len(X), N_LABELS)
            assert predicted[:, gone].nnz == 0
        assert [model.predict_one(x, exact) for x in X[:50]] == found[:50, 0].tolist()
    with pytest.raises(ValueError, match=r"k must be an integer in \[1, 36\], got 37"):
        model.predict_topk(X, 37)


def test_a_retired_label_takes_no_place_in_tables_and_no_memory():
    net = trained("tables")
    before = net.memory_bytes
    net.retire_labels(range(8, N_LABELS))
    loads = net._core.tables()[1]["bucket_loads"]
    assert sum(load * int(n) for load, n in enumerate(loads)) <= 8 * 16
    assert tensors(net)["layers.1.weight"].shape == (8, 32)
    assert net.memory_bytes < before


@pytest.mark.parametrize("kind", ["lists", "sparse", "dense"])
def test_rows_of_several_labels_may_name_a_retired_one_which_is_left_out(kind):
    sets = [[0, 3], [3], [2, 5], []] * 20
    indicator = np.zeros((80, 6), np.int8)
    for row, labels in enumerate(sets):
        indicator[row, labels] = 1
    y = {"lists": sets, "sparse": csr_array(indicator), "dense": indicator}[kind]
    without = [[label - (label > 3) for label in labels if label != 3] for labels in sets]
    X = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)

    net = Network(4, [Dense(8), Dense(6)], loss="logistic")
    twin = Network(4, [Dense(8), Dense(5)], loss="logistic")
    net.retire_labels([3])
    for name, tensor in twin._core.tensors().items():
        net._core.tensors()[name][...] = tensor
    net.fit(X, y, epochs=2, class_weight={0: 2.0, 3: 9.0, 5: 0.5})
    twin.fit(X, without, epochs=2, class_weight={0: 2.0, 4: 0.5})
    for name, tensor in tensors(twin).items():
        assert np.array_equal(tensors(net)[name], tensor), name
    assert net.evaluate(X, y) == twin.evaluate(X, without)


def test_class_weights_may_name_retired_labels():
    X, y = balls(np.arange(1, N_LABELS), n=3)
    nets = [Network(N_INPUTS, [Dense(8), Dense(N_LABELS)]) for _ in range(3)]
    weights = np.linspace(1, 2, N_LABELS)
    by_number = dict(enumerate(weights.tolist()))
    for net, given in zip(nets, (weights, by_number, None), strict=True):
        net.retire_labels([0])
        net.fit(X, y, epochs=1, class_weight=given)
    assert same_bits(nets[0], nets[1])
    assert not same_bits(nets[0], nets[2])


def test_the_number_of_a_retired_label_is_not_given_out_again():
    net = trained()
    net.retire_labels([39])
    assert net.add_labels(1).tolist() == [40]
    net.retire_labels([2, 40])
    assert net.retired == [2, 39, 40]
    assert net.n_outputs == 41
    assert 40 not in net.predict_topk(balls([1])[0], 5)[0]


def test_no_labels_to_retire_change_nothing():
    net, twin = trained(), trained()
    net.retire_labels([])
    assert same_bits(net, twin)


# ---- training and files --------------------------------------------------------------------------


@pytest.mark.parametrize("head", HEADS)
def test_after_a_file_all_is_as_before_and_training_goes_on_with_the_same_bits(head, tmp_path):
    net = trained(head, optimizer=Adam(0.003))
    net.add_labels(NEW)
    net.retire_labels([4, 41])
    loaded = through_a_file(net, tmp_path)
    copy = pickle.loads(pickle.dumps(net))
    X, y = balls(np.delete(np.arange(N_LABELS + NEW), [4, 41]))
    for other in (loaded, copy):
        assert (other.retired, other.n_outputs) == ([4, 41], 43)
        assert np.array_equal(other.predict(X), net.predict(X))
        assert np.array_equal(other.decision_function(X), net.decision_function(X))
    for one in (net, loaded, copy):
        one.fit(X, y, epochs=8)
    assert same_bits(loaded, net)
    assert same_bits(copy, net)


def test_a_fit_that_was_stopped_goes_on_with_other_labels():
    net = Network(N_INPUTS, [Dense(16), Dense(N_LABELS)], known=0.9, optimizer=SGD(0.05))
    X, y = balls(np.arange(N_LABELS))
    wrong = X, (y + 1) % N_LABELS  # so that the first epoch is the best

    def interrupt(record):
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    net.fit(X, y, epochs=9, validation=wrong, early_stopping=5, callbacks=[interrupt])
    assert net._state.best
    assert net._state.resting is not None
    net.add_labels(1)
    assert not net._state.best
    assert net._state.resting is None
    net.fit(X, y, epochs=5, validation=0.2)
    assert net.epochs == 5
    assert net.report().to_dict()["examples"] == 640
    assert net.history[-1]["accuracy"] > 0.9


def test_early_stopping_and_validation_know_what_is_retired():
    net = trained()
    net.retire_labels([0, 1])
    X, y = balls(np.arange(2, N_LABELS))
    for validation in (0.25, balls(np.arange(2, N_LABELS), seed=3)):
        net.fit(X, y, epochs=net.epochs + 2, validation=validation, early_stopping=1)
        assert net.history[-1]["accuracy"] > 0.85


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([40], ValueError, "labels must be from 0 to 39, got 40"),
        ([3, -1], ValueError, "labels must be from 0 to 39, got -1"),
        ([3, 8, 3], ValueError, "labels must name each label once, got 3 twice"),
        ([8, 2], ValueError, "labels must not be retired already, got 2"),
        ([*range(2), *range(3, 40)], ValueError, "leave at least one label, got all 39 of them"),
        ([0.5], TypeError, r"labels must be a list of integers, got \[0.5\]"),
        (["a"], TypeError, r"labels must be a list of integers, got \['a'\]"),
        (3, ValueError, r"labels must be a list of labels, got shape \(\)"),
    ],
)
def test_labels_that_cannot_be_retired_are_refused(labels, error, message):
    net = trained("dense")
    net.retire_labels([2])
    before = tensors(net)
    with pytest.raises(error, match=message):
        net.retire_labels(labels)
    assert net.retired == [2]
    assert all(np.array_equal(tensors(net)[name], t) for name, t in before.items())


@pytest.mark.parametrize(
    ("n", "given", "error", "message"),
    [
        (0, {}, ValueError, r"n must be an integer in \[1, 2147483607\], got 0"),
        (2**31, {}, ValueError, "n must be an integer in .*, got 2147483648"),
        (1.5, {}, TypeError, "n must be an integer, got 1.5"),
        (2, {"weights": np.ones((3, 32))}, ValueError, r"weights must have the shape \(2, 32\)"),
        (2, {"weights": np.ones(64)}, ValueError, r"shape \(2, 32\), got \(64,\)"),
        (2, {"biases": [1.0]}, ValueError, r"biases must have the shape \(2,\), got \(1,\)"),
        (1, {"biases": [np.nan]}, ValueError, "biases must be finite, got nan"),
        (1, {"weights": [["a"] * 32]}, TypeError, "weights must hold numbers"),
    ],
)
def test_labels_that_cannot_be_added_are_refused(n, given, error, message):
    net = trained("dense")
    with pytest.raises(error, match=message):
        net.add_labels(n, **given)
    assert net.n_outputs == N_LABELS


def test_a_regression_has_no_labels():
    net = Network(4, [Dense(3)], loss="squared")
    for change in (lambda: net.add_labels(1), lambda: net.retire_labels([0])):
        with pytest.raises(ValueError, match=r"loss must be .* 'logistic' .*, got 'squared'"):
            change()


def test_a_row_with_a_retired_label_alone_is_refused_with_its_number():
    net = trained("dense")
    net.retire_labels([7])
    X, y = balls([6, 7, 8], n=1)
    for call in (net.fit, net.partial_fit, net.evaluate):
        with pytest.raises(ValueError, match="y must not hold retired labels, got 7 in row 1"):
            call(X, y)
    with pytest.raises(ValueError, match="validation y must not hold retired labels, got 7"):
        net.fit(*balls([6, 8]), epochs=9, validation=(X, y))
