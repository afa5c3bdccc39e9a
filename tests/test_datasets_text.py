"""Text files: `.amat`, svmlight, and the Extreme Classification Repository's format."""

from __future__ import annotations

import gzip
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from hashgrad.datasets import load, read_amat, read_svmlight, read_xc
from hashgrad.datasets.sparse_rows import parse_pairs


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


# .amat


@pytest.mark.parametrize("name", ["set.amat", "set.amat.gz"])
def test_amat_takes_the_last_column_as_the_label(tmp_path: Path, name: str):
    path = write(tmp_path / name, "# from PLearn\n 0.25 1.0 1.0\n\n0.5\t0 0.000e+00\n")
    x, y = read_amat(path)
    np.testing.assert_array_equal(x, np.array([[0.25, 1], [0.5, 0]], np.float32))
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    assert y.tolist() == [1, 0]
    data = load(path)
    assert (data.task, data.n_classes, data.y_train.dtype) == ("classification", 2, np.int32)


def test_amat_train_and_test_files_make_one_set(tmp_path: Path):
    train = write(tmp_path / "a_train.amat", "0 0 1\n1 1 0\n")
    test = write(tmp_path / "a_test.amat", "1 0 2\n")
    data = load(train, test=test)
    assert data.x_test.tolist() == [[1, 0]]
    assert data.n_classes == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0 1\n1 0\n", "line 2: every line must hold 3 values as the first does, got 2"),
        ("0 0 1\n\n# note\n1 0 0 1\n", "line 4: every line must hold 3 values .* got 4"),
        ("0 0 1\n1 zero 0\n", "line 2: every value must be a number, got 'zero'"),
        ("", "must hold one row or more, got none"),
        ("# only a comment\n", "must hold one row or more, got none"),
        ("7\n", "one feature or more and then the label, got '7' alone"),
    ],
)
def test_amat_names_the_bad_line(tmp_path: Path, text: str, message: str):
    with pytest.raises(ValueError, match=rf"bad\.amat.*{message}"):
        load(write(tmp_path / "bad.amat", text))


def test_amat_cut_short_in_a_row_is_refused(tmp_path: Path):
    whole = "".join(" ".join(["0.5"] * 10) + " 1\n" for _ in range(50))
    with pytest.raises(ValueError, match=r"line 50: every line must hold 11 values"):
        read_amat(write(tmp_path / "cut.amat", whole[:-20]))


# svmlight


@pytest.mark.parametrize("name", ["a.svm", "a.svmlight", "a.libsvm", "a.txt", "a.svm.gz"])
def test_svmlight_stays_sparse(tmp_path: Path, name: str):
    data = load(write(tmp_path / name, "2 1:0.5 4:1  # first\n0 2:3\n1\n"))
    assert data.x_train.format == "csr"
    assert data.x_train.dtype == np.float32
    assert data.x_train.toarray().tolist() == [[0.5, 0, 0, 1], [0, 3, 0, 0], [0, 0, 0, 0]]
    assert data.y_train.tolist() == [2, 0, 1]


def test_svmlight_files_share_width_and_first_index(tmp_path: Path):
    train = write(tmp_path / "train.svm", "1 1:1 2:1\n0 1:1\n")
    test = write(tmp_path / "test.svm", "1 0:5 6:1\n")
    data = load(train, test=test)
    assert data.x_train.toarray().tolist() == [[0, 1, 1, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0]]
    assert data.x_test.toarray().tolist() == [[5, 0, 0, 0, 0, 0, 1]]


def test_svmlight_is_widened_to_a_models_features(tmp_path: Path):
    path = write(tmp_path / "few.svm", "1 1:1\n0 2:1\n")
    assert load(path, n_features=9).n_features == 9
    with pytest.raises(
        ValueError, match=r"few\.svm, line 2: every feature must be below 2, got 2 "
    ):
        load(path, n_features=1)


def test_svmlight_lists_of_labels_become_an_indicator(tmp_path: Path):
    data = load(write(tmp_path / "many.svm", "0,2 1:1\n 3:1\n1 2:1\n"))
    assert (data.task, data.n_classes) == ("multilabel", 3)
    assert data.y_train.toarray().tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_multilabel_files_share_the_number_of_labels(tmp_path: Path):
    train = write(tmp_path / "train.svm", "0,1 1:1\n")
    test = write(tmp_path / "test.svm", "4 1:1\n")
    data = load(train, test=test)
    assert data.y_train.shape == (1, 5)
    assert data.y_test.toarray().tolist() == [[0, 0, 0, 0, 1]]


def test_a_task_decides_where_the_file_does_not(tmp_path: Path):
    path = write(tmp_path / "plain.svm", "1 1:1\n3 2:1\n")
    assert load(path).task == "classification"
    assert load(path, task="regression").y_train.dtype == np.float32
    assert load(path, task="multilabel").y_train.toarray().tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 1:1\n0 2:x\n", "line 2: every entry must read index:value, got '2:x'"),
        ("1 1:1\nhello\n", "line 2: every target must be a number, got 'hello'"),
        ("1 1:1\n0 7\n", "line 2: every entry must read index:value, got '7'"),
        ("1 3:1 2:1\n", "line 1: every feature must be above the one before it, got 2"),
        ("1 2:1 2:1\n", "line 1: every feature must be above the one before it, got 2"),
        ("1 -3:1\n", "line 1: every entry must read index:value, got '-3:1'"),
        ("1 1:nan\n", "line 1: every entry must read index:value, got '1:nan'"),
        ("1 1:1_0\n", "line 1: every entry must read index:value, got '1:1_0'"),
        ("1 1:1e39\n", r"line 1: every value must be finite in float32, got 1e\+39"),
        ("1 2147483648:1\n", "line 1: every feature must be below 2147483647, got 2147483648"),
        ("1 1:1\x0b2:1\n", "line 1: every entry must read index:value"),
        ("", "the file must hold one row or more, got none"),
        ("1 1:1\nnan 1:1\n", "line 2: every target must be a number, got 'nan'"),
        ("1 1:1\n1e999 1:1\n", "line 2: every target must be finite, got '1e999'"),
        ("0,1.5 1:1\n", "line 1: labels must be whole numbers with commas between, got '0,1.5'"),
        ("0,-1 1:1\n", "line 1: labels must be whole numbers with commas between, got '0,-1'"),
        ("0,0 1:1\n", "line 1: no label may occur twice, got 0"),
    ],
)
def test_svmlight_names_the_bad_line(tmp_path: Path, text: str, message: str):
    with pytest.raises(ValueError, match=rf"bad\.svm(, |: ){message}"):
        load(write(tmp_path / "bad.svm", text))


def test_lists_of_labels_are_refused_where_one_label_is_wanted(tmp_path: Path):
    path = write(tmp_path / "many.svm", "0,2 1:1\n")
    with pytest.raises(ValueError, match=r"line 1: .*lists of labels need task='multilabel'"):
        load(path, task="classification")


def test_svmlight_cut_short_while_compressed_is_refused(tmp_path: Path):
    path = tmp_path / "cut.svm.gz"
    path.write_bytes(gzip.compress(b"1 1:1\n" * 1000)[:-10])
    with pytest.raises(ValueError, match=r"cut\.svm\.gz: gzip data is cut short"):
        read_svmlight([path])


def test_every_short_line_is_seen_to_be_pairs_or_not():
    lines = ["".join(word) for n in range(7) for word in itertools.product("7:. -", repeat=n)]
    bad: dict[int, str] = {}
    parse_pairs([line.encode() for line in lines], bad)
    value = r"-?(7+\.?7*|\.7+)"
    expected = {
        place
        for place, line in enumerate(lines)
        if not all(re.fullmatch(f"7+:{value}", word) for word in line.split())
    }
    assert set(bad) == expected
    assert 0 < len(expected) < len(lines)


def test_numbers_are_the_nearest_to_what_is_written():
    random = np.random.default_rng(0)
    values = 10 ** random.uniform(-20, 20, size=3000)
    words = [f"{v:.{d}f}" for v, d in zip(values, random.integers(0, 17, 3000), strict=True)]
    words += [f"{v:.{d}e}" for v, d in zip(values, random.integers(0, 17, 3000), strict=True)]
    words += map(repr, values.tolist())
    words += ["-" + word for word in words[::7]] + ["1.", ".5", "+3", "0" * 30 + "7", "-0"]
    text = " ".join(f"{place}:{word}" for place, word in enumerate(words)).encode()
    found = parse_pairs([text], {})
    assert found.ids.tolist() == list(range(len(words)))
    assert found.values.tolist() == [float(word) for word in words]


# Extreme Classification Repository

XC = "3 5 4\n0,3 1:0.5 4:2\n 0:1\n2\n"


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_xc_reads_labels_and_features_counted_from_zero(tmp_path: Path, name: str):
    path = write(tmp_path / name, XC)
    x, y = read_xc(path)
    assert x.toarray().tolist() == [[0, 0.5, 0, 0, 2], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert x.dtype == np.float32
    assert y.toarray().tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert load(path).task == "multilabel"  # told from svmlight by its first line


def test_xc_sorts_features_within_a_row(tmp_path: Path):
    x, _ = read_xc(write(tmp_path / "a.txt", "1 5 4\n0 4:2 1:0.5\n"))
    assert x.indices.tolist() == [1, 4]
    assert x.data.tolist() == [0.5, 2]


def test_a_folder_with_train_and_test_is_one_set(tmp_path: Path):
    write(tmp_path / "train.txt.gz", XC)
    write(tmp_path / "test.txt", "1 5 4\n1 1:1\n")
    data = load(tmp_path)
    assert (data.n_features, data.n_classes, data.x_test.shape) == (5, 4, (1, 5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line must be 'rows features labels'"),
        ("1 5\n0 1:1\n", "a file of features alone .* must be called .*X_Xf.txt"),
        ("1 5 4 2\n0 1:1\n", "the first line must be 'rows features labels'"),
        ("0 5 4\n", "the file must hold one row or more, got none"),
        ("2 5 4\n0 1:1\n", "the header promises 2 rows, got 1"),
        ("1 5 4\n0 1:1\n0 1:1\n", "the header promises 1 rows, got more"),
        ("1 5 4\n4 1:1\n", "line 2: every label must be below 4, got 4"),
        ("1 5 4\n0 5:1\n", "line 2: every feature must be below 5, got 5"),
        ("1 5 4\n0 1:1 1:2\n", "line 2: no feature may occur twice"),
        ("1 5 4\n0,0 1:1\n", "line 2: no label may occur twice"),
        ("1 5 4\n0,x 1:1\n", "line 2: labels must be whole numbers .* got '0,x'"),
        ("1 5 4\n0 1:1 2\n", "line 2: every entry must read feature:value, got '2'"),
        ("1 5 4\n0 1:1 2 3:4:5\n", "line 2: every entry must read feature:value, got '2'"),
        ("1 5 4\n0 1:one\n", "line 2: every entry must read feature:value, got '1:one'"),
        ("1 5 4\n0 -1:1\n", "line 2: every entry must read feature:value, got '-1:1'"),
        ("1 5 4\n1:1 2:1\n", "line 2: labels must be whole numbers .* got '1:1'"),
        ("1 9999999999 4\n0 1:1\n", r"must be fewer than 2\*\*31, got 9999999999"),
    ],
)
def test_xc_names_the_bad_line(tmp_path: Path, text: str, message: str):
    with pytest.raises(ValueError, match=rf"bad\.txt.*{message}"):
        read_xc(write(tmp_path / "bad.txt", text))
