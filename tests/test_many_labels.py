"""Many labels from Python and the command line: weighting, priors, pooled outputs, rankings."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import ndcg_score

import hashgrad as library
from cli_help import Hashgrad, caller
from conftest import same_bits
from hashgrad import LSH, Dense, Network
from hashgrad.datasets import Weighting
from hashgrad.metrics import inverse_propensities, ndcg_at_k, psp_at_k, recall_at_k

N_FEATURES, N_LABELS, N_ROWS = 60, 40, 300


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


@pytest.fixture
def texts() -> tuple[csr_matrix, csr_matrix]:
    """Counts of words, of which label l likes word l best; one to three labels a row."""
    random = np.random.default_rng(0)
    y = np.zeros((N_ROWS, N_LABELS), np.int8)
    x = random.poisson(0.1, size=(N_ROWS, N_FEATURES)).astype(np.float32)
    for row in range(N_ROWS):
        labels = random.choice(N_LABELS, random.integers(1, 4), replace=False)
        y[row, labels] = 1
        x[row, labels] += random.integers(2, 6, size=len(labels))
    return csr_matrix(x), csr_matrix(y)


@pytest.fixture
def texts_file(texts: tuple[csr_matrix, csr_matrix], tmp_path: Path) -> Path:
    """The same in the format of the Extreme Classification Repository."""
    x, y = texts
    lines = [f"{N_ROWS} {N_FEATURES} {N_LABELS}"]
    for row in range(N_ROWS):
        labels = ",".join(map(str, y[row].indices))
        words = " ".join(f"{j}:{v:g}" for j, v in zip(x[row].indices, x[row].data, strict=True))
        lines.append(f"{labels} {words}")
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def pooled(batch_size: int = 16, **lsh: object) -> Network:
    hashing = {"pooled": True, "rank": 16, "rehash_every": 40, "rebuild_every": 400, **lsh}
    top = Dense(N_LABELS, active=LSH(0.1, **hashing))
    how = {"loss": "logistic", "optimizer": library.Adam(0.02), "prior": True}
    return Network(N_FEATURES, [Dense(24), top], batch_size=batch_size, **how)


# ---- weighting -----------------------------------------------------------------------------------


def test_tfidf_is_what_its_formula_says(texts: tuple[csr_matrix, csr_matrix]) -> None:
    x = texts[0].toarray().astype(float)
    found = (x > 0).sum(axis=0)
    expected = np.log1p(x) * (np.log((1 + N_ROWS) / (1 + found)) + 1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for counts in (texts[0], x):
        got = Weighting.fitted("tfidf", counts).apply(counts)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got.toarray(), expected, rtol=1e-6)


@pytest.mark.parametrize(("name", "inner"), [("log", np.log1p), ("none", lambda x: x)])
def test_the_others_do_without_the_other_rows(name: str, inner: object) -> None:
    x = np.array([[1.0, 0, 3], [0, 0, 0], [0, 7, 0]])
    expected = inner(x)  # type: ignore[operator]
    expected[[0, 2]] /= np.linalg.norm(expected[[0, 2]], axis=1, keepdims=True)
    np.testing.assert_allclose(Weighting.fitted(name, x).apply(x).toarray(), expected, rtol=1e-6)


def test_a_weighting_survives_json(texts: tuple[csr_matrix, csr_matrix]) -> None:
    first = Weighting.fitted("tfidf", texts[0])
    again = Weighting.from_dict(first.to_dict())
    assert (again.apply(texts[0]) != first.apply(texts[0])).nnz == 0


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: Weighting.fitted("tdidf", np.eye(2)), "weighting must be one of .*'tdidf'"),
        (lambda: Weighting("tfidf"), "found must be given with 'tfidf'"),
        (lambda: Weighting.fitted("tfidf", np.eye(2)).apply(np.eye(3)), "X must have 2 columns"),
        (lambda: Weighting("log").apply(np.ones(3)), r"X must have the shape \(n, d\), got \(3,\)"),
        (
            lambda: Weighting.from_dict({"name": "tfidf", "n_rows": 1, "found": [2]}),
            "weighting.found must be at most n_rows=1, got 2",
        ),
        (lambda: Weighting("log").apply(-np.eye(2)), "X must hold counts, at least 0, got -1"),
        (lambda: Weighting.from_dict({"name": "log"}), "weighting must be an object with name"),
        (
            lambda: Weighting.from_dict({"name": "tfidf", "n_rows": 1, "found": [-1]}),
            "weighting.found must be",
        ),
    ],
)
def test_a_weighting_that_is_none_is_refused(call: object, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        call()  # type: ignore[operator]


# ---- rankings ------------------------------------------------------------------------------------


def test_rankings_are_scored_as_others_score_them(texts: tuple[csr_matrix, csr_matrix]) -> None:
    y = texts[1]
    random = np.random.default_rng(1)
    scores = random.normal(size=y.shape) + 2 * y.toarray()
    ranked = np.argsort(-scores, axis=1)[:, :5]
    truth = y.indptr, y.indices
    for k in (1, 3, 5):
        expected = ndcg_score(y.toarray(), scores, k=k)
        assert ndcg_at_k(*truth, ranked, k) == pytest.approx(expected)
        hits = np.take_along_axis(y.toarray(), ranked[:, :k], axis=1)
        per_row = hits.sum(axis=1) / y.toarray().sum(axis=1)
        assert recall_at_k(*truth, ranked, k) == pytest.approx(per_row.mean())


def test_propensities_weigh_rare_labels_more(texts: tuple[csr_matrix, csr_matrix]) -> None:
    y = texts[1]
    worth = inverse_propensities(np.arange(N_LABELS) ** 2, N_ROWS)
    assert (np.diff(worth) < 0).all()
    ranked = np.random.default_rng(1).permuted(np.tile(np.arange(N_LABELS), (N_ROWS, 1)), axis=1)
    truth = y.indptr, y.indices
    for k in (1, 3, 5):
        found = most = 0.0
        for row, guesses in enumerate(ranked[:, :k]):
            true = y[row].indices
            found += worth[np.intersect1d(guesses, true)].sum()
            most += np.sort(worth[true])[::-1][:k].sum()
        assert psp_at_k(*truth, ranked, k, worth) == pytest.approx(found / most)
    best = np.argsort(-y.toarray() * worth, axis=1)
    assert psp_at_k(*truth, best, 3, worth) == pytest.approx(1)
    with pytest.raises(ValueError, match="n_rows must be at least 3, got 0"):
        inverse_propensities([1], 0)


@pytest.mark.parametrize(
    ("ranked", "worth", "rule"),
    [
        (np.zeros((3, 5), int), np.ones(4), r"ranked must have the shape \(2, k\).* got \(3, 5\)"),
        (np.zeros(2, int), np.ones(4), r"ranked must have the shape \(2, k\).* got \(2,\)"),
        (np.zeros((2, 5), int), np.ones(3), "worth must have a number for each label, more than 3"),
        (np.zeros((2, 5), int), 1.0, "worth must have a number for each label"),
    ],
)
def test_rankings_that_do_not_fit_are_refused(ranked: object, worth: object, rule: str) -> None:
    truth = np.array([0, 1, 2]), np.array([3, 0], np.int32)
    with pytest.raises(ValueError, match=rule):
        psp_at_k(*truth, ranked, 1, worth)


def test_rankings_of_nothing_score_nothing() -> None:
    none, ranked = (np.zeros(3, np.int64), np.zeros(0, np.int32)), np.zeros((2, 5), np.int32)
    assert recall_at_k(*none, ranked, 5) == ndcg_at_k(*none, ranked, 5) == 0
    assert psp_at_k(*none, ranked, 5, np.ones(1)) == 0


# ---- priors --------------------------------------------------------------------------------------


def first_scores(loss: str, y: object, prior: bool, n: int = 2) -> np.ndarray:
    """What a network says after a first step that is next to nothing."""
    x = np.zeros((8, 3), np.float32)
    net = Network(3, [Dense(n)], loss=loss, optimizer=library.SGD(1e-9), prior=prior)
    return net.partial_fit(x, y).decision_function(x[:1])[0]


def test_a_network_with_a_prior_begins_with_the_labels_frequencies() -> None:
    y = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    assert np.allclose(first_scores("softmax", y, False), 0, atol=1e-6)
    np.testing.assert_allclose(first_scores("softmax", y, True), np.log([6.5 / 9, 2.5 / 9]), 1e-5)
    sets = [[0, 1], [0], [], [], [], [], [], []]
    expected = [np.log(2.5 / 6.5), np.log(1.5 / 7.5)]
    np.testing.assert_allclose(first_scores("logistic", sets, True), expected, 1e-5)
    values = np.tile([1.0, -3.0], (8, 1))
    np.testing.assert_allclose(first_scores("squared", values, True), [1, -3], 1e-5)


def test_the_labels_of_a_row_share_its_part_of_a_softmax_prior() -> None:
    scores = first_scores("softmax", [[0, 1, 2], [3]] * 4, True, n=4)
    assert scores[0] == pytest.approx(scores[1])
    assert np.exp(scores) == pytest.approx(np.array([4 / 3, 4 / 3, 4 / 3, 4]) / 10 + 0.05)


def test_a_prior_is_set_once(texts: tuple[csr_matrix, csr_matrix]) -> None:
    net = pooled().fit(*texts, epochs=1)
    bias = net._core.tensors()["layers.1.bias"].copy()
    net.partial_fit(texts[0][:1], texts[1][:1])
    assert np.abs(net._core.tensors()["layers.1.bias"] - bias).max() < 0.1


# ---- several labels and softmax ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "rule"),
    [
        ([[0, 0, 1, 0]] * 8, r"none twice .*got \[0, 0, 1, 0\] in row 0"),
        ([[0, 1, 2, 3]] * 8, "some and none twice"),
    ],
)
def test_a_one_hot_list_is_not_taken_for_labels(y: object, rule: str) -> None:
    net = Network(3, [Dense(4)])
    with pytest.raises(ValueError, match=rule):
        net.fit(np.zeros((8, 3)), y)


def test_classes_cannot_be_weighed_where_labels_share_a_row() -> None:
    net = Network(3, [Dense(4)])
    with pytest.raises(ValueError, match="class_weight must be None with several labels a row"):
        net.fit(np.zeros((8, 3)), [[0, 1]] * 8, class_weight="balanced")


# ---- pooled outputs ------------------------------------------------------------------------------


@pytest.mark.parametrize("lookup", ["scan", "tables"])
@pytest.mark.parametrize("code", ["bits", "auto"])
def test_a_pooled_network_goes_on_exactly_from_a_file(
    texts: tuple[csr_matrix, csr_matrix], tmp_path: Path, lookup: str, code: str
) -> None:
    whole = pooled(lookup=lookup, code=code).fit(*texts, epochs=4)
    kept = pooled(lookup=lookup, code=code)
    kept.fit(*texts, epochs=4, callbacks=[lambda record: record["epoch"] == 2])
    kept.save(tmp_path / "net.safetensors")
    loaded = library.load(tmp_path / "net.safetensors")
    assert same_bits(loaded, kept)
    assert same_bits(loaded.fit(*texts, epochs=4), whole)


def test_a_pooled_network_learns_and_is_found_again_by_its_hashes(
    texts: tuple[csr_matrix, csr_matrix],
) -> None:
    net = pooled(lookup="scan").fit(*texts, epochs=12)
    hashed, exact = (net.evaluate(*texts, exact=exact) for exact in (False, True))
    assert exact["precision_at_1"] > 0.95
    assert hashed["precision_at_1"] > 0.95 * exact["precision_at_1"]


def test_the_example_runs_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(__file__).parent.parent / "examples" / "many_labels.py"
    specification = importlib.util.spec_from_file_location("many_labels", path)
    assert specification is not None
    assert specification.loader is not None
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)

    def absent(name: str) -> None:
        raise FileNotFoundError(name)

    whole = example.made_up
    monkeypatch.setattr(example.datasets, "load", absent)
    monkeypatch.setattr(
        example, "made_up", lambda n, seed: whole(n // 10, seed, n_words=500, n_labels=60)
    )
    example.main()
    out = capsys.readouterr().out
    assert "P@5" in out
    assert "of the dense network's multiplications" in out


# ---- the command line ----------------------------------------------------------------------------


def test_train_with_many_labels_evaluate_and_predict(
    hashgrad: Hashgrad, texts_file: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.safetensors"
    words = ("--task", "multilabel", "--weighting", "tfidf", "--hidden", 32, "--epochs", 60)
    saved = ("--output", model, "--json", "-")
    trained = hashgrad("train", texts_file, "--test", texts_file, *words, *saved).json
    network = trained["network"]
    assert (network["loss"], network["prior"], network["batch_size"]) == ("logistic", True, 48)
    assert network["optimizer"]["name"] == "adam"
    hidden, top = network["layers"]
    assert (hidden["n"], hidden["active"]["name"]) == (32, "dense")
    assert (top["active"]["name"], top["active"]["pooled"]) == ("lsh", True)
    assert top["active"]["fraction"] == pytest.approx(15 / N_LABELS)
    assert (top["active"]["query_every"], top["active"]["candidates"]) == (4, 10)
    assert trained["precision_at_1"] > 0.9
    judged = hashgrad("evaluate", model, texts_file, "--json", "-").json
    assert judged["precision_at_1"] == trained["precision_at_1"]
    raw = library.load(model).evaluate(*library.datasets.read_xc(texts_file))
    assert any(raw[name] != judged[name] for name in raw)  # rows are not weighted there
    counts = library.datasets.read_xc(texts_file)[0].toarray()
    np.save(tmp_path / "rows.npy", counts)
    for source in (texts_file, tmp_path / "rows.npy"):
        out = tmp_path / f"{source.stem}.csv"
        assert hashgrad("predict", model, source, "--output", out).code == 0
    assert (tmp_path / "texts.csv").read_text() == (tmp_path / "rows.csv").read_text()
    more = hashgrad("train", texts_file, "--resume", model, "--epochs", 61, "--json", "-").json
    assert more["epochs"] == 61
    assert library.load(model).extra["input_weighting"]["name"] == "tfidf"
    told = hashgrad("info", model).out
    for line in ("weighting   tfidf", "batch size  48", "prior       labels' frequencies"):
        assert line in told


def test_the_users_own_words_come_first(hashgrad: Hashgrad, texts_file: Path) -> None:
    words = ("--task", "multilabel", "--loss", "softmax", "--batch-size", 10, "--no-prior")
    more = ("--optimizer", "row-adagrad", "--active", 0.3, "--fill", 20, "--epochs", 1)
    more += ("--query-every", 2, "--precision", "bfloat16", "--dtype", "bfloat16")
    network = hashgrad("train", texts_file, *words, *more, "--json", "-").json["network"]
    assert (network["loss"], network["batch_size"], network["prior"]) == ("softmax", 10, False)
    assert network["optimizer"] == {"name": "row-adagrad", "rate": 0.01, "epsilon": 1e-8}
    active = network["layers"][-1]["active"]
    assert (active["fraction"], active["fill"], active["query_every"]) == (0.3, 20, 2)
    assert active["precision"] == network["layers"][-1]["dtype"] == "bfloat16"
    model = texts_file.with_suffix(".hashgrad")
    hashgrad("train", texts_file, *words, *more, "--output", model)
    assert "weights in bfloat16" in hashgrad("info", model).out
    words = ("train", texts_file, "--task", "multilabel", "--epochs", 1, "--json", "-")
    by_row = hashgrad(*words, "--optimizer-state", "row").json["network"]["optimizer"]
    assert (by_row["name"], by_row["rate"], by_row["state"]) == ("adam", 0.006, "row")
    alone = hashgrad(*words, "--no-pooled").json["network"]["layers"][-1]["active"]
    assert (alone["pooled"], alone["query_every"], alone["candidates"]) == (False, 1, None)
    assert alone["fraction"] == pytest.approx(4 / N_LABELS)
    dense = hashgrad(*words, "--selector", "dense").json["network"]
    assert dense["layers"][-1]["active"] == {"name": "dense"}


def test_what_a_user_keeps_in_a_model_does_not_mislead_the_command_line(
    hashgrad: Hashgrad, texts_file: Path, tmp_path: Path
) -> None:
    net = Network(N_FEATURES, [Dense(4), Dense(N_LABELS)], loss="logistic")
    net.fit(*library.datasets.read_xc(texts_file), epochs=1)
    net.extra = {"task": "spam", "weighting": "my notes"}
    net.save(tmp_path / "model")
    assert hashgrad("evaluate", tmp_path / "model", texts_file).code == 0


def test_rows_that_cannot_be_weighted_are_told_from_files_that_cannot_be_read(
    hashgrad: Hashgrad, texts_file: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    words = ("--task", "multilabel", "--weighting", "tfidf", "--epochs", 1, "--output", model)
    assert hashgrad("train", texts_file, *words).code == 0
    for rows, rule in (
        (-np.ones((2, N_FEATURES)), "X must hold counts, at least 0, got -1"),
        (np.ones((2, 7)), f"X must have {N_FEATURES} columns, got 7"),
        (np.ones(N_FEATURES), "X must have the shape (n, d)"),
    ):
        np.save(tmp_path / "rows.npy", rows)
        assert rule in hashgrad("predict", model, tmp_path / "rows.npy").complaint


def test_outputs_can_be_pooled_above_hashed_layers(hashgrad: Hashgrad, texts_file: Path) -> None:
    words = ("--hidden", 40, "--active", "0.2,0.1", "--pooled", "--fill", 8, "--batch-size", 8)
    network = hashgrad("train", texts_file, *words, "--epochs", 1, "--json", "-").json["network"]
    active = [layer["active"] for layer in network["layers"]]
    assert [(one["pooled"], one["fill"]) for one in active] == [(False, 0), (True, 8)]


def test_a_file_without_labels_is_refused(hashgrad: Hashgrad, tmp_path: Path) -> None:
    path = tmp_path / "none.svm"
    path.write_text(" 1:1 2:2\n" * 20)
    answer = hashgrad("train", path, "--task", "multilabel")
    assert "must have labels, got none in any row" in answer.complaint


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("--task", "tags"), "--task must be one of"),
        (("--weighting", "idf"), "--weighting must be one of"),
        (
            ("--task", "multilabel", "--loss", "squared"),
            "--loss must be logistic or softmax with --task multilabel, got 'squared'",
        ),
        (
            ("--task", "multilabel", "--active", "0.1,0.2"),
            "--active must have one value with --task multilabel",
        ),
        (("--pooled",), "--pooled needs --active with a share for the output layer as well, or"),
        (("--fill", "50"), "--fill needs --active with a share for the output layer as well, or"),
        (
            ("--task", "multilabel", "--rehash", "incremental"),
            "--pooled needs --rehash rows, got 'incremental' (--task multilabel sets hidden 256",
        ),
        (("--resume", "model", "--task", "multilabel"), "--task has no effect with --resume"),
        (("--resume", "model", "--weighting", "log"), "--weighting has no effect with --resume"),
    ],
)
def test_words_that_do_not_go_together_are_refused(
    hashgrad: Hashgrad, texts_file: Path, words: tuple[str, ...], rule: str
) -> None:
    answer = hashgrad("train", texts_file, *words)
    assert answer.code == 2
    assert rule in answer.complaint
