"""Files of sparse rows: pairs of the XC Repository, Parquet, Zstandard, and what bad rows do."""

from __future__ import annotations

import builtins
import gzip
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_files import packed
from hashgrad.datasets import BadRows, line_blocks, load, read_parquet, read_svmlight, read_xc

FEATURES = "3 5\n1:0.5 4:2\n\n0:1\n"
LABELS = "3 4\n3:1 0:1.00000\n2:1\n\n"


def write(path: Path, text: str) -> Path:
    path.write_bytes(packed(path.suffix, text.encode()))
    return path


# ---- features and labels in two files ------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_labels_are_found_beside_their_features(tmp_path: Path, ending: str) -> None:
    features = write(tmp_path / f"trn_X_Xf.txt{ending}", FEATURES)
    write(tmp_path / "trn_X_Y.txt", LABELS)
    data = load(features)
    assert data.x_train.toarray().tolist() == [[0, 0.5, 0, 0, 2], [0] * 5, [1, 0, 0, 0, 0]]
    assert data.y_train.toarray().tolist() == [[1, 0, 0, 1], [0, 0, 1, 0], [0] * 4]
    assert (data.task, data.x_train.dtype, data.y_train.dtype) == (
        "multilabel", np.float32, np.int8
    )  # fmt: skip


def test_a_pair_is_the_same_rows_as_one_file(tmp_path: Path) -> None:
    one = read_xc(write(tmp_path / "one.txt", "3 5 4\n0,3 1:0.5 4:2\n2\n 0:1\n"))
    pair = read_xc(write(tmp_path / "x", FEATURES), write(tmp_path / "y", LABELS))
    for a, b in zip(one, pair, strict=True):
        assert (a != b).nnz == 0


def test_a_folder_of_the_repository_is_one_set(tmp_path: Path) -> None:
    for part in ("trn", "tst"):
        write(tmp_path / f"{part}_X_Xf.txt.gz", FEATURES)
        write(tmp_path / f"{part}_X_Y.txt", LABELS)
    data = load(tmp_path)
    assert (data.x_train.shape, data.x_test.shape, data.n_classes) == ((3, 5), (3, 5), 4)


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (FEATURES, "2 4\n1:1\n1:1\n", "y.txt: there must be a row for each of the 3 of .* got 2"),
        (FEATURES, "3 4 1\n", "y.txt: the first line must be 'rows labels'"),
        ("3 5 1\n", LABELS, "x.txt: the first line must be 'rows features'"),
        (FEATURES + "1:1\n", LABELS, "x.txt: the header promises 3 rows, got more"),
        (FEATURES, LABELS + "1:1\n", "y.txt: the header promises 3 rows, got more"),
        (FEATURES[:-4], LABELS, "x.txt: the header promises 3 rows, got 2"),
        (FEATURES, LABELS[:-1], "y.txt: the header promises 3 rows, got 2"),
        (FEATURES, "3 4\n1:1\n2:0.5\n\n", r"x.txt, line 3: .* value 1, got 0.5 \(in y.txt\)"),
        (FEATURES, "3 4\n1:1\n4:1\n\n", r"x.txt, line 3: every label must be below 4, got 4"),
        (FEATURES, "3 4\n1:1\n2\n\n", r"x.txt, line 3: every entry must read label:1, got '2'"),
        ("3 5\n\n5:1\n\n", LABELS, "x.txt, line 3: every feature must be below 5, got 5"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(
    tmp_path: Path, features: str, labels: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_xc(write(tmp_path / "x.txt", features), write(tmp_path / "y.txt", labels))


def test_features_without_labels_say_where_they_are_sought(tmp_path: Path) -> None:
    path = write(tmp_path / "trn_X_Xf.txt", FEATURES)
    with pytest.raises(ValueError, match=r"called \.\.\._X_Xf\.txt, .* in \.\.\._X_Y\.txt"):
        load(path)


# ---- Zstandard -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [5, 40])
@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_compressed_files_cut_short_are_refused(tmp_path: Path, ending: str, cut: int) -> None:
    whole = packed(ending, b"".join(b"%d %d:1\n" % (i % 7, i) for i in range(1, 2000)))
    path = tmp_path / f"cut.svm{ending}"
    path.write_bytes(whole[:-cut])
    kind = {".gz": "gzip", ".zst": "zstd"}[ending]
    with pytest.raises(ValueError, match=rf"cut\.svm\{ending}: {kind} data is cut short or dam"):
        load(path)
    path.write_bytes(whole[:100] + b"\xff\x00\xff" + whole[103:])
    with pytest.raises(ValueError, match=rf"cut\.svm\{ending}"):
        load(path)


def test_several_zstandard_frames_are_one_file(tmp_path: Path) -> None:
    path = tmp_path / "two.svm.zst"
    path.write_bytes(packed(".zst", b"1 1:1\n") + packed(".zst", b"0 2:1\n"))
    assert load(path).x_train.toarray().tolist() == [[1, 0], [0, 1]]


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make imports of some modules fail."""
    real_import, real_module = builtins.__import__, importlib.import_module

    def absent(name: str, *more: Any, **settings: Any) -> Any:
        if name in names:
            raise ModuleNotFoundError(name)
        return real_import(name, *more, **settings)

    def no_module(name: str, package: str | None = None) -> Any:
        if name in names:
            raise ModuleNotFoundError(name)
        return real_module(name, package)

    monkeypatch.setattr(builtins, "__import__", absent)
    monkeypatch.setattr(importlib, "import_module", no_module)


def test_missing_packages_are_named_with_the_command_that_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed_rows = write(tmp_path / "a.svm.zst", "1 1:1\n")
    table = tables(tmp_path / "a.parquet")
    without(monkeypatch, "backports.zstd", "compression.zstd", "pyarrow.parquet")
    with pytest.raises(ModuleNotFoundError, match=r'a\.svm\.zst: .*pip install "hashgrad\[zst\]"'):
        load(packed_rows)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "hashgrad\[parquet\]"'):
        load(table)


# ---- Parquet -------------------------------------------------------------------------------------

TABLE = {
    "indices": [[1, 4], [], [0]],
    "values": [[0.5, 2.0], [], [1.0]],
    "labels": [[3, 0], [2], []],
}

NO_LISTS = pa.array([], pa.list_(pa.int8()))


def tables(path: Path, table: dict[str, Any] | None = None, **writing: Any) -> Path:
    pq.write_table(pa.table(table or TABLE), path, **writing)
    return path


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_parquet_is_read_as_the_same_rows_as_text(tmp_path: Path, ending: str) -> None:
    path = tables(tmp_path / "a.parquet", row_group_size=2)
    whole = tmp_path / f"b.parquet{ending}"
    whole.write_bytes(packed(ending, path.read_bytes()))
    data = load(whole, n_features=5)
    x, y = read_xc(write(tmp_path / "one.txt", "3 5 4\n0,3 1:0.5 4:2\n2\n 0:1\n"))
    assert (data.x_train != x).nnz == (data.y_train != y).nnz == 0
    assert (data.x_train.dtype, data.task) == (np.float32, "multilabel")


def test_parquet_columns_may_have_other_names_and_types(tmp_path: Path) -> None:
    table = {
        "tags": pa.array(TABLE["labels"], pa.large_list(pa.uint8())),
        "where": pa.array(TABLE["indices"], pa.list_(pa.uint64())),
        "what": pa.array([[1, 2], [], [3]], pa.list_(pa.int16())),
        "more": ["a", "b", "c"],
    }
    data = load(tables(tmp_path / "a.pq", table), columns=("where", "what", "tags"))
    assert data.x_train.toarray().tolist() == [[0, 1, 0, 0, 2], [0] * 5, [3, 0, 0, 0, 0]]
    assert data.n_classes == 4


def test_parquet_train_and_test_files_share_their_widths(tmp_path: Path) -> None:
    train = tables(tmp_path / "a.parquet")
    test = tables(tmp_path / "b.parquet", {"indices": [[6]], "labels": [[8]]})
    data = load(train, test=test)
    assert (data.n_features, data.n_classes, data.x_test.toarray()[0, 6]) == (7, 9, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"values": [[0.5, 2.0], [1.0], [1.0]]}, "indices and values .* equally long, got 0 and 1"),
        ({"indices": [[1, 4], None, [0]]}, "indices must be a list, got null"),
        ({"labels": [[3, 0], [None], []]}, "labels must hold numbers, got null"),
        ({"labels": [[3, 0], [-1], []]}, "every label must be at least 0, got -1"),
        ({"labels": [[3, 0], [1, 1], []]}, "no label may occur twice, got 1"),
        ({"indices": [[1, 4], [2, 2], [0]], "values": [[1, 1], [1, 1], [1]]}, "no feature may occ"),
        (
            {"indices": [[1, 4], [2**31], [0]], "values": [[1, 1], [1], [1]]},
            "must be below 21474836",
        ),
        ({"indices": [[1, 4], [3], [0]], "values": [[1, 1], [np.nan], [1]]}, "finite .* got nan"),
        ({"indices": [[1, 4], [3], [0]], "values": [[1, 1], [1e39], [1]]}, r"finite .* got 1e\+39"),
    ],
)
def test_parquet_names_the_bad_row(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = tables(tmp_path / "bad.parquet", TABLE | change)
    with pytest.raises(ValueError, match=rf"bad\.parquet, row 1 of row group 0: .*{reason}"):
        load(path)
    skipped = BadRows("skip")
    assert load(path, bad_rows=skipped).x_train.shape == (2, 5)
    assert skipped.count == 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"indices": [[1]]}, r"one column 'labels' for the labels, got \"'indices'\""),
        ({"indices": [["a"]], "labels": [[1]]}, "'indices' must hold lists of whole numbers"),
        ({"indices": [[0.5]], "labels": [[1]]}, "'indices' must hold lists of whole numbers"),
        ({"indices": [[1]], "values": [["a"]], "labels": [[1]]}, "'values' must hold lists of num"),
        ({"indices": [1], "labels": [[1]]}, "'indices' must hold lists of whole .* got int64"),
        ({"indices": NO_LISTS, "labels": NO_LISTS}, "one row or more, got none"),
    ],
)  # fmt: skip
def test_parquet_of_another_shape_is_refused(
    tmp_path: Path, table: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"bad\.parquet: .*{message}"):
        load(tables(tmp_path / "bad.parquet", table))


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    whole = tables(tmp_path / "a.parquet", write_page_checksum=True).read_bytes()
    path = tmp_path / "bad.parquet"
    start = whole.index(b"PAR1") + 4
    for data in (b"", b"PAR1", whole[:-9], whole[:start] + bytes(60) + whole[start + 60 :]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"bad\.parquet: not a Parquet file, or damaged"):
            load(path)
    with pytest.raises(ValueError, match=r"columns must be three names, .* got"):
        read_parquet([path], columns=("a", "a", "b"))


# ---- bad rows ------------------------------------------------------------------------------------

BAD = "6 3 4\n0 1:1\nx 1:1\n1 9:1\n2 0:1 0:1\n3 2:2\n3 1:1e99\n"


def test_bad_rows_are_skipped_and_counted_where_the_user_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "bad.txt", BAD)
    with pytest.raises(ValueError, match=r"bad\.txt, line 3: labels must be whole numbers .*'x'"):
        read_xc(path)
    skipped = BadRows("skip")
    x, y = read_xc(path, bad_rows=skipped)
    assert x.toarray().tolist() == [[0, 1, 0], [0, 0, 2]]
    assert y.toarray().tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]
    assert skipped.count == 4
    lines = str(skipped).splitlines()
    assert lines[0] == "4 bad rows skipped"
    assert [line.split(": ")[0].split(", ")[1] for line in lines[1:]] == [
        "line 3", "line 4", "line 5", "line 7"
    ]  # fmt: skip
    read_xc(path, bad_rows=skipped)
    assert skipped.count == 4  # of the last reading


def test_skipping_is_never_silent(tmp_path: Path) -> None:
    path = write(tmp_path / "bad.txt", BAD)
    with pytest.warns(UserWarning, match=r"4 bad rows skipped\n.*bad\.txt, line 3: labels"):
        assert load(path, bad_rows="skip").x_train.shape == (2, 3)


def test_a_row_of_a_pair_is_skipped_with_its_labels(tmp_path: Path) -> None:
    x = write(tmp_path / "x", "3 2\n0:1\n1:1\n0:2\n")
    y = write(tmp_path / "y", "3 2\n0:1\n1:3\n1:1\n")
    features, labels = read_xc(x, y, bad_rows=BadRows("skip"))
    assert features.toarray().tolist() == [[1, 0], [2, 0]]
    assert labels.toarray().tolist() == [[1, 0], [0, 1]]


def test_only_the_first_bad_rows_are_told_in_full(tmp_path: Path) -> None:
    skipped = BadRows("skip")
    path = write(tmp_path / "bad.svm", "1 1:1\n" + "x\n" * 1000)
    assert read_svmlight([path], bad_rows=skipped)[0][0].shape == (1, 1)
    assert (skipped.count, len(skipped.first)) == (1000, 5)
    assert str(skipped).startswith("1,000 bad rows skipped\n")
    assert str(skipped).endswith("...")


def test_a_file_of_bad_rows_alone_is_refused_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "bad.svm", "x\ny\n")
    with pytest.raises(ValueError, match=r"one row or more, got none \(2 bad rows skipped"):
        load(path, bad_rows="skip")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bad_rows": "ignore"}, "bad_rows must be one of 'refuse', 'skip', got 'ignore'"),
        ({"first_index": 2}, r"first_index must be an integer in \[0, 1\], or None, got 2"),
        (
            {"columns": ("a", "b", "c")},
            r"columns is for Parquet files, got \('a', 'b', 'c'\) for .*a.svm",
        ),
    ],
)
def test_settings_that_do_not_apply_are_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path / "a.svm", "1 1:1\n"), **settings)
    with pytest.raises(ValueError, match=r"bad_rows is for sparse text .* got 'skip' for"):
        load(write(tmp_path / "a.amat", "1 1\n"), bad_rows="skip")
    with pytest.raises(ValueError, match="first_index is for files, 'digits' is a set"):
        load("digits", first_index=1)


# ---- where counting begins -----------------------------------------------------------------------


def test_the_first_index_can_be_stated(tmp_path: Path) -> None:
    path = write(tmp_path / "a.svm", "1 1:1\n0 2:1\n")
    assert (load(path).first_index, load(path).n_features) == (1, 2)
    stated = load(path, first_index=0)
    assert stated.first_index == 0
    assert stated.x_train.toarray().tolist() == [[0, 1, 0], [0, 0, 1]]
    zero = write(tmp_path / "b.svm", "1 0:1\n0 2:1\n")
    assert load(zero).first_index == 0
    with pytest.raises(ValueError, match=r"line 1: every feature .* 1, got 0 \(first_index=1\)"):
        load(zero, first_index=1)
    assert load(path, n_features=2).x_train.toarray().tolist() == [[1, 0], [0, 1]]


# ---- blocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("text", ["", "a", "a\n", "\n\n", "ab\n\ncd\nefghijklmnop\nq"])
def test_blocks_are_the_lines_and_can_be_found_again(tmp_path: Path, text: str, size: int) -> None:
    path = write(tmp_path / "a", text)
    blocks = list(line_blocks.line_blocks([path], size=size))
    lines = [line for block in blocks for line in block.lines[0]]
    assert lines == text.encode().split(b"\n")[: len(lines)]
    assert len(lines) == text.count("\n") + (not text.endswith("\n") and text != "")
    for block in blocks:
        assert next(line_blocks.line_blocks([path], block.place, size)) == block


def test_a_line_that_never_ends_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_blocks, "LONGEST_LINE", 1 << 20)
    path = tmp_path / "bomb.svm.gz"
    path.write_bytes(gzip.compress(b"1 1:1\n" + b"1" * (20 << 20)))
    with pytest.raises(ValueError, match=r"bomb\.svm\.gz, line 2: .* shorter than 1 MiB"):
        load(path)
