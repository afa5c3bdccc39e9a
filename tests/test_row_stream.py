"""Rows that need not fit in memory: every one once an epoch, shuffled, read ahead, trained on."""

from __future__ import annotations

import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse

import hashgrad as library
from cli_help import Hashgrad, caller
from conftest import same_bits
from data_files import packed
from hashgrad import LSH, Dense, Network, fit_stream
from hashgrad.datasets import BadRows, RowStream, Weighting, load, row_stream

N_ROWS, N_FEATURES, N_LABELS = 400, 30, 12
BUFFER = 2000  # bytes: about a tenth of the rows


@pytest.fixture
def hashgrad(capsys: pytest.CaptureFixture[str]) -> Hashgrad:
    return caller(capsys)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_stream, "BLOCK", 500)


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> Iterator[None]:
    yield
    assert [t.name for t in threading.enumerate() if t.name == "hashgrad-rows"] == []


@pytest.fixture(scope="module")
def rows() -> tuple[Any, Any]:
    """Label l likes word l; the first column of row i holds i, so that rows can be told apart."""
    random = np.random.default_rng(0)
    x = random.poisson(0.1, size=(N_ROWS, N_FEATURES)).astype(np.float32)
    y = np.zeros((N_ROWS, N_LABELS), np.int8)
    for row in range(N_ROWS):
        labels = random.choice(N_LABELS, random.integers(0, 4), replace=False)
        y[row, labels] = 1
        x[row, labels + 1] += 3
    x[:, 0] = np.arange(N_ROWS) + 1
    x[0, -1] = 1
    y[0, -1] = 1
    return sparse.csr_matrix(x), sparse.csr_matrix(y)


def lists(matrix: Any) -> list[list[float]]:
    return [matrix[row].indices.tolist() for row in range(matrix.shape[0])]


def pairs(matrix: Any, first: int = 0) -> list[str]:
    return [
        " ".join(f"{i + first}:{v:g}" for i, v in zip(row.indices, row.data, strict=True))
        for row in matrix
    ]


def write(folder: Path, kind: str, rows: tuple[Any, Any]) -> Path:
    """The rows in one of the formats; returns the file to name."""
    x, y = rows
    labels = [",".join(map(str, row)) for row in lists(y)]
    form, _, ending = kind.partition(".")
    if form == "pair":
        (folder / "trn_X_Xf.txt").write_text("\n".join([f"{N_ROWS} {N_FEATURES}", *pairs(x)]))
        (folder / "trn_X_Y.txt").write_text("\n".join([f"{N_ROWS} {N_LABELS}", *pairs(y)]))
        return folder / "trn_X_Xf.txt"
    if form == "parquet":
        values = [x[row].data.tolist() for row in range(N_ROWS)]
        table = {"indices": lists(x), "values": values, "labels": lists(y)}
        pq.write_table(pa.table(table), folder / "rows.parquet", row_group_size=15)
        return folder / "rows.parquet"
    svm = form == "svm"
    lines = [f"{a} {b}" for a, b in zip(labels, pairs(x, first=int(svm)), strict=True)]
    lines = lines if svm else [f"{N_ROWS} {N_FEATURES} {N_LABELS}", *lines]
    suffix = f".{ending}" if ending else ""
    path = folder / f"rows{'.svm' if svm else '.txt'}{suffix}"
    path.write_bytes(packed(suffix, "\n".join(lines).encode()))
    return path


KINDS = ["xc", "xc.gz", "pair", "svm", "svm.zst", "parquet"]


def numbers(stream: RowStream, epoch: int = 0) -> list[np.ndarray]:
    """Which rows come, buffer by buffer."""
    return [x[:, [0]].toarray().ravel().astype(int) - 1 for x, _ in stream.rows(epoch)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_has_every_row_once_in_an_order_of_its_own(
    rows: tuple[Any, Any], tmp_path: Path, kind: str
) -> None:
    path = write(tmp_path, kind, rows)
    stream = RowStream(path, seed=3, buffer=BUFFER)
    assert (stream.n_rows, stream.n_features, stream.n_labels) == (N_ROWS, N_FEATURES, N_LABELS)
    parts = list(stream.rows(epoch=1))
    assert len(parts) > 5
    x, y = (sparse.vstack(some, format="csr") for some in zip(*parts, strict=True))
    order = x[:, [0]].toarray().ravel().astype(int) - 1
    assert sorted(order) == list(range(N_ROWS))
    assert (x != rows[0][order]).nnz == (y != rows[1][order]).nnz == 0
    assert all(part[0].dtype == np.float32 and part[1].dtype == np.int8 for part in parts)
    again = RowStream(path, seed=3, buffer=BUFFER)
    assert np.concatenate(numbers(again, 1)).tolist() == order.tolist()
    others = (numbers(again, 2), numbers(RowStream(path, seed=4, buffer=BUFFER), 1))
    assert all(np.concatenate(other).tolist() != order.tolist() for other in others)


def test_blocks_of_plain_files_are_shuffled_those_of_compressed_ones_stay(
    rows: tuple[Any, Any], tmp_path: Path
) -> None:
    plain, packed_up = (
        numbers(RowStream(write(tmp_path, kind, rows), buffer=BUFFER)) for kind in ("xc", "xc.gz")
    )
    spreads = [np.mean([np.ptp(part) for part in parts]) for parts in (plain, packed_up)]
    assert spreads[0] > 4 * spreads[1]
    assert [part.min() for part in packed_up] == sorted(part.min() for part in packed_up)
    assert packed_up[0].tolist() != sorted(packed_up[0])


@pytest.mark.parametrize("kind", ["xc", "svm"])
def test_bad_rows_are_told_once_and_skipped_in_every_epoch(
    rows: tuple[Any, Any], tmp_path: Path, kind: str
) -> None:
    path = write(tmp_path, kind, rows)
    lines = path.read_text().split("\n")
    lines[100] = "1 x:1"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"line 101: every entry must read"):
        RowStream(path)
    skipped = BadRows("skip")
    stream = RowStream(path, bad_rows=skipped, buffer=BUFFER)
    assert (stream.n_rows, skipped.count) == (N_ROWS - 1, 1)
    for epoch in range(2):
        assert sum(len(part) for part in numbers(stream, epoch)) == N_ROWS - 1
    assert skipped.count == 1
    with pytest.warns(UserWarning, match="1 bad row skipped"):
        RowStream(path, bad_rows="skip")


def test_weightings_are_fitted_to_all_rows(rows: tuple[Any, Any], tmp_path: Path) -> None:
    expected = Weighting.fitted("tfidf", rows[0])
    for kind in ("xc", "svm"):
        path = write(tmp_path, kind, rows)
        stream = RowStream(path, weighting="tfidf", n_features=N_FEATURES)
        assert stream.weighting.to_dict() == expected.to_dict()
        [(x, _)] = stream.rows()
        sums = (np.asarray(some.sum(axis=1)).ravel() for some in (x, expected.apply(rows[0])))
        np.testing.assert_allclose(*map(np.sort, sums), rtol=1e-5)


def test_memory_is_bounded_by_the_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_stream, "BLOCK", 1 << 16)
    random = np.random.default_rng(0)
    line = " ".join(f"{i}:{v:.3f}" for i, v in enumerate(random.random(50)))
    n_rows, buffer = 20_000, 1 << 18
    path = tmp_path / "long.txt"
    path.write_text(f"{n_rows} 50 3\n" + f"0,2 {line}\n" * n_rows)
    assert path.stat().st_size > 8e6
    tracemalloc.start()
    try:
        stream = RowStream(path, buffer=buffer)
        scan = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert sum(x.shape[0] for x, _ in stream.rows()) == n_rows
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert scan < 3e6  # a block and what it takes to parse it
    assert peak < 5 * buffer + scan


def test_a_reader_left_alone_ends_with_its_reading(rows: tuple[Any, Any], tmp_path: Path) -> None:
    stream = RowStream(write(tmp_path, "xc", rows), buffer=BUFFER)
    reading = stream.rows()
    assert next(reading)[0].shape[0] > 0
    reading.close()  # the fixture sees whether its thread is gone


def test_a_file_that_changes_under_way_is_refused(rows: tuple[Any, Any], tmp_path: Path) -> None:
    path = write(tmp_path, "xc.gz", rows)
    stream = RowStream(path, buffer=BUFFER)
    text = write(tmp_path, "xc", rows).read_bytes()
    path.write_bytes(packed(".gz", text.replace(b"1:", b"x:", 1)))
    with pytest.raises(ValueError, match=r"rows\.txt\.gz, line \d+: every entry must read"):
        list(stream.rows())
    short = text.replace(b"%d " % N_ROWS, b"%d " % (N_ROWS - 1), 1)
    path.write_bytes(packed(".gz", short[: short.rindex(b"\n")]))
    with pytest.raises(ValueError, match="must not change while it is used; it had 400 rows, got"):
        list(stream.rows())
    plain = write(tmp_path, "pair", rows)
    stream = RowStream(plain, buffer=BUFFER)
    plain.write_bytes(plain.read_bytes()[:2000])
    with pytest.raises(ValueError, match="must not change while it is used"):
        list(stream.rows())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"buffer": 0}, "buffer must be an integer >= 1, got 0"),
        ({"weighting": "idf"}, "weighting must be one of"),
        ({"n_features": 31}, "must have n_features=31, got 30 features"),
    ],
)
def test_streams_that_cannot_be_are_refused(
    rows: tuple[Any, Any], tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        RowStream(write(tmp_path, "xc", rows), **settings)


def test_only_files_of_many_labels_are_streamed(tmp_path: Path) -> None:
    (tmp_path / "a.amat").write_text("1 2\n")
    with pytest.raises(ValueError, match=r"a stream must be svmlight, Parquet or .* got \.amat"):
        RowStream(tmp_path / "a.amat")
    (tmp_path / "a.svm").write_text("# nothing\n")
    with pytest.raises(ValueError, match="one row or more, got none"):
        RowStream(tmp_path / "a.svm")


# ---- training ------------------------------------------------------------------------------------


def made(**settings: Any) -> Network:
    top = Dense(N_LABELS, active=LSH(0.4, pooled=True, rank=8, rehash_every=40, lookup="scan"))
    how = {"loss": "logistic", "optimizer": library.Adam(0.02), "prior": True, "batch_size": 8}
    return Network(N_FEATURES, [Dense(16), top], **{**how, **settings})


def test_a_network_learns_from_a_stream(rows: tuple[Any, Any], tmp_path: Path) -> None:
    path = write(tmp_path, "svm", rows)
    stream = RowStream(path, buffer=BUFFER, weighting="log")
    held_out = stream.weighting.apply(rows[0]), rows[1]
    net = fit_stream(made(), stream, epochs=12, validation=held_out)
    assert [record["examples"] for record in net.history] == [N_ROWS] * 12
    assert net.history[-1]["precision_at_1"] > 0.9 * (rows[1].getnnz(axis=1) > 0).mean()
    assert net.history[-1]["learning_rate"] < 0.1 * net.history[0]["learning_rate"]


class Stopping:
    """A watcher that presses Ctrl-C after some examples."""

    def __init__(self, after: int) -> None:
        self.left = after

    def update(self, examples: int, loss: float) -> None:
        self.left -= examples
        if self.left <= 0:
            raise KeyboardInterrupt

    def start(self, *numbers: int) -> None: ...

    def epoch(self, record: dict[str, Any]) -> None: ...

    def stop(self) -> None: ...


@pytest.mark.parametrize("after", [8, 150, 400, 530])
def test_a_stream_is_taken_up_where_it_was_left(
    rows: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(library.training, "_CHUNK_SECONDS", 0.0)
    stream = RowStream(write(tmp_path, "xc", rows), buffer=BUFFER)
    whole = fit_stream(made(), stream, epochs=3)
    stopped = fit_stream(made(), stream, epochs=3, progress=Stopping(after))
    assert stopped.interrupted
    stopped.save(tmp_path / "net")
    loaded = library.load(tmp_path / "net")
    assert same_bits(fit_stream(loaded, stream, epochs=3), whole)


@pytest.mark.parametrize(
    ("settings", "fitting", "message"),
    [
        ({"known": 0.9}, {}, "known must be None for a stream"),
        ({"loss": "squared", "prior": False}, {}, "loss must be 'logistic' or 'softmax'"),
        ({}, {"early_stopping": 2}, "early_stopping=2 needs validation"),
        ({}, {"epochs": 0}, "epochs must be"),
    ],
)
def test_what_a_stream_cannot_do_is_refused(
    rows: tuple[Any, Any],
    tmp_path: Path,
    settings: dict[str, Any],
    fitting: dict[str, Any],
    message: str,
) -> None:
    stream = RowStream(write(tmp_path, "xc", rows))
    with pytest.raises(ValueError, match=message):
        fit_stream(Network(N_FEATURES, [Dense(N_LABELS)], **settings), stream, **fitting)
    for sizes, rule in (((29, 12), "must have 29 features"), ((30, 11), "at most 11 labels")):
        net = Network(sizes[0], [Dense(sizes[1])], loss="logistic")
        with pytest.raises(ValueError, match=rule):
            fit_stream(net, stream)
    with pytest.raises(TypeError, match="validation must be"):
        fit_stream(made(), stream, validation=0.5)


# ---- the command line ----------------------------------------------------------------------------

WORDS = ("--task", "multilabel", "--hidden", 24, "--batch-size", 8, "--learning-rate", 0.02)


def test_train_from_a_stream_evaluate_and_go_on(
    hashgrad: Hashgrad, rows: tuple[Any, Any], tmp_path: Path
) -> None:
    path, model = write(tmp_path, "svm", rows), tmp_path / "model"
    words = (*WORDS, "--weighting", "tfidf", "--epochs", 8, "--stream", "--output", model)
    trained = hashgrad("train", path, "--test", path, *words, "--json", "-").json
    assert trained["data"]["train_rows"] == trained["data"]["test_rows"] == N_ROWS
    assert trained["precision_at_1"] > 0.7
    judged = hashgrad("evaluate", model, path, "--json", "-").json
    assert judged["precision_at_1"] == pytest.approx(trained["precision_at_1"])
    more = hashgrad("train", path, "--stream", "--resume", model, "--epochs", 9, "--json", "-").json
    assert more["epochs"] == 9
    kept = library.load(model).extra
    assert (kept["input_weighting"]["name"], kept["input_first_index"]) == ("tfidf", 1)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("--validation", "0.1"), "--validation has no effect with --stream, got 0.1"),
        (("--class-weight", "balanced"), "--class-weight has no effect with --stream"),
        (("--test", "0.1"), "--test must be a file with --stream, got '0.1'"),
        (
            ("--known", "0.9", "--loss", "softmax", "--task", "multilabel"),
            "known must be None for a stream",
        ),
        (("--task", "classification"), "--stream needs --task multilabel, got 'classification'"),
    ],
)
def test_options_that_a_stream_cannot_serve_are_refused(
    hashgrad: Hashgrad, rows: tuple[Any, Any], tmp_path: Path, words: tuple[str, ...], rule: str
) -> None:
    answer = hashgrad("train", write(tmp_path, "xc", rows), "--stream", "--epochs", 1, *words)
    assert rule in answer.complaint
    assert "DATA must be a file with --stream" in hashgrad("train", "digits", "--stream").complaint


def test_later_files_are_counted_as_the_first_was(hashgrad: Hashgrad, tmp_path: Path) -> None:
    model, train, later = tmp_path / "model", tmp_path / "a.svm", tmp_path / "b.svm"
    train.write_text("0 0:1\n1 1:1\n" * 30)
    later.write_text("1 1:1\n" * 30)  # by itself its first feature would be number 1
    words = ("--hidden", 8, "--epochs", 20, "--learning-rate", 0.1, "--output", model)
    assert hashgrad("train", train, *words).code == 0
    assert hashgrad("evaluate", model, later, "--json", "-").json["accuracy"] == 1
    assert "first index  0" in hashgrad("info", model).out
    stated = hashgrad("evaluate", model, later, "--first-index", 1, "--json", "-").json
    assert stated["accuracy"] == 0
    rule = "--first-index must be 0 or 1, got 2"
    assert rule in hashgrad("evaluate", model, later, "--first-index", 2).complaint
    later.write_text("1 2:1\n")
    assert (
        "b.svm, line 1: every feature must be below 2, got 2"
        in hashgrad("evaluate", model, later).complaint
    )


def test_the_command_line_skips_bad_rows_where_it_is_told_to(
    hashgrad: Hashgrad, rows: tuple[Any, Any], tmp_path: Path
) -> None:
    path = write(tmp_path, "xc", rows)
    with path.open("a") as file:
        file.write(" x")
    words = ("train", path, *WORDS, "--epochs", 1)
    complaint = hashgrad(*words).complaint
    assert f"{path}, line {N_ROWS + 1}: every entry must read feature:value, got 'x'" in complaint
    for more in ((), ("--stream",)):
        answer = hashgrad(*words, *more, "--bad-rows", "skip", "--json", "-")
        assert answer.json["data"]["skipped_rows"] == 1
        assert answer.json["data"]["train_rows"] == N_ROWS - 1
        assert f"1 bad row skipped\n  {path}, line {N_ROWS + 1}: " in answer.err
    assert (
        "--bad-rows must be one of 'refuse', 'skip'"
        in hashgrad(*words, "--bad-rows", "drop").complaint
    )


def test_parquet_columns_are_kept_with_the_model(hashgrad: Hashgrad, tmp_path: Path) -> None:
    path, model = tmp_path / "a.parquet", tmp_path / "model"
    table = {"words": [[0], [1]] * 20, "values": [[1.0], [1.0]] * 20, "tags": [[0], [1]] * 20}
    pq.write_table(pa.table(table), path)
    assert "one column 'indices'" in hashgrad("train", path).complaint
    named = ("--columns", "words,values,tags", "--hidden", 8, "--epochs", 1, "--output", model)
    assert hashgrad("train", path, *named).code == 0
    assert hashgrad("evaluate", model, path).code == 0
    assert "--columns must be three names" in hashgrad("train", path, "--columns", "a").complaint


@pytest.mark.skipif("HASHGRAD_DATA" not in os.environ, reason="needs eurlex57k")
@pytest.mark.slow
def test_a_real_set_streams_as_it_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_stream, "BLOCK", 1 << 20)
    whole = load("eurlex57k")
    folder = Path(os.environ["HASHGRAD_DATA"]) / "eurlex57k"
    stream = RowStream(folder / "train.txt.gz", buffer=16 << 20)
    assert (stream.n_rows, stream.n_features) == whole.x_train.shape
    parts = list(stream.rows())
    assert len(parts) > 2
    assert sum(x.sum(dtype=float) for x, _ in parts) == whole.x_train.sum(dtype=float)
    assert sum(y.nnz for _, y in parts) == whole.y_train.nnz
