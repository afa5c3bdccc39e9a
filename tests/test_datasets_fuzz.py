"""Readers of sparse rows on files that are almost right, judged by a slow, plain reader.

Both refuse a file, or both find the same rows good and the same ones bad. A round is short; with
`HASHGRAD_FUZZ_SECONDS=600` each test goes on for ten minutes with new files. `corpus/` has what an
earlier reader of ours misread without a word or fell over, and corners like those; it is read in
every run.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib
import itertools
import os
import re
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import reader_reference as reference
from data_files import packed
from hashgrad.datasets import BadRows, RowStream, read_parquet, read_xc, row_stream
from hashgrad.datasets.svmlight import read_files

SECONDS = float(os.environ.get("HASHGRAD_FUZZ_SECONDS", "0"))
EXAMPLES = 150  # of a round
SLOWEST = 20_000  # milliseconds that a file of some lines may take: more is a hang
CORPUS = Path(__file__).parent / "corpus"


def fuzz(check: Callable[[Any], None], files: st.SearchStrategy[Any]) -> None:
    """Check generated files: one round, the same in every run, then others while time is left."""
    end, number = time.monotonic() + SECONDS, 0
    while number == 0 or time.monotonic() < end:

        @seed(number)
        @settings(
            max_examples=EXAMPLES,
            deadline=SLOWEST,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(files)
        def probe(file: Any) -> None:
            check(file)

        probe()
        number += 1
    if SECONDS:
        sys.stdout.write(f"{number} rounds of {EXAMPLES} files in {SECONDS:.0f} s\n")


# ---- files that are almost right -----------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(0, 20).map(str),
    st.floats(-1e6, 1e6, allow_nan=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(0, 1).map(lambda value: f"{value:.6f}"),
    st.integers(0, 10**22).map(str),
    st.sampled_from([
        "1.", ".5", "+1", "-0", "1e5", "1E-3", "1e39", "3.4028235e38", "3.4028236e38", "1e-46",
        "0000000000000000000007", "0.1000000000000000055511151231257827", "123456789012345.6",
        "9007199254740993", "1e400", "00.5", "1e+05", "5.e-1",
    ]),
)  # fmt: skip
ODD = st.sampled_from([
    b"nan", b"inf", b"1_0", b"0x1", b"--1", b"1e", b"e5", b".", b"+", b":", b"::", b",", b",,",
    b"#", b" ", b"  ", b"\t", b"\r", b"\n", b"\r\n", b"\x0b", b"\x0c", b"\x00", b"\xff",
    b"\xc2\xa0", b"\xef\xbb\xbf", b"1:1", b"0:1", b"1:", b":1", b"-1:1", b"2147483646:1",
    b"2147483647:1", b"4294967296:1", b"99999999999999999999:1", b"9" * 400 + b":1",
    b"1:" + b"9" * 400, b"qid:3", b" qid:3 ", b"1 ", b"0,1", b"\xd9\xa1:1", b"1:1e", b"1.0:1",
    b"3 3 3\n", b"1:1 1:1",
])  # fmt: skip
BLANKS = st.sampled_from([" ", "  ", "\t", " \t"])
LABELS = st.lists(st.integers(0, 6), unique=True, max_size=4)
ROWS = st.lists(
    st.tuples(LABELS, st.dictionaries(st.integers(0, 9), NUMBERS, max_size=5)),
    min_size=1,
    max_size=8,
)


@st.composite
def changed(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes after none or some small accidents."""
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        place = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["insert", "replace", "remove", "cut", "repeat", "move"])):
            case "insert":
                data = data[:place] + draw(ODD) + data[place:]
            case "replace":
                data = data[:place] + draw(st.binary(min_size=1, max_size=1)) + data[place + 1 :]
            case "remove":
                data = data[:place] + data[place + draw(st.integers(1, 4)) :]
            case "cut":
                data = data[:place]
            case "repeat":
                lines = data.splitlines(keepends=True) or [b""]
                where = draw(st.integers(0, len(lines) - 1))
                data = b"".join([*lines[:where], lines[where], *lines[where:]])
            case "move":
                lines = data.splitlines(keepends=True) or [b""]
                data = b"".join(draw(st.permutations(lines)))
    return data


@st.composite
def ended(draw: st.DrawFn, lines: list[str]) -> bytes:
    """Lines with an end of one kind or another, the last perhaps without."""
    end = draw(st.sampled_from(["\n", "\n", "\r\n", " \n"]))
    return (end.join(lines) + draw(st.sampled_from(["", end, end + "\n \n"]))).encode()


def counted_again(data: bytes) -> bytes:
    """The header's number of rows as it should be, if there is a header."""
    first, feed, rest = data.partition(b"\n")
    n_rows = len(reference.lines_of(rest)) if rest else 0
    return re.sub(rb"^\d+", b"%d" % n_rows, first) + feed + rest


def equally_long(one: bytes, other: bytes) -> tuple[bytes, bytes]:
    """Two files with as many lines as the shorter one has."""
    n_lines = min(len(reference.lines_of(file)) for file in (one, other))
    both = (b"\n".join(reference.lines_of(file)[:n_lines]) for file in (one, other))
    first, second = (counted_again(file + b"\n") for file in both)
    return first, second


def pairs(row: dict[int, str], blank: str, shift: int = 0) -> str:
    return blank.join(f"{index + shift}:{value}" for index, value in row.items())


@st.composite
def xc_files(draw: st.DrawFn) -> bytes:
    rows, blank = draw(ROWS), draw(BLANKS)
    sizes = [len(rows), draw(st.sampled_from([10, 10, 9])), draw(st.sampled_from([7, 7, 6]))]
    lines = [blank.join(map(str, sizes))]
    lines += [",".join(map(str, labels)) + blank + pairs(row, blank) for labels, row in rows]
    data = draw(changed(draw(ended(lines))))
    return counted_again(data) if draw(st.integers(0, 4)) else data


@st.composite
def xc_pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    rows, blank = draw(ROWS), draw(BLANKS)
    one = st.sampled_from(["1", "1.0", "1.00000", "1e0"] * 5 + ["0", "2"])
    features = [f"{len(rows)} 10", *(pairs(row, blank) for _, row in rows)]
    beside = [pairs({label: draw(one) for label in labels}, blank) for labels, _ in rows]
    files = draw(ended(features)), draw(ended([f"{len(rows)}{blank}7", *beside]))
    which = draw(st.sampled_from([(True, False), (False, True), (True, True)]))
    first, second = (
        draw(changed(file)) if touch else file for file, touch in zip(files, which, strict=True)
    )
    return equally_long(first, second) if draw(st.integers(0, 4)) else (first, second)


@st.composite
def svmlight_files(draw: st.DrawFn) -> bytes:
    rows, blank, shift = draw(ROWS), draw(BLANKS), draw(st.integers(0, 1))
    many = draw(st.booleans())
    lines = []
    for labels, row in rows:
        rising = dict(sorted(row.items())) if draw(st.integers(0, 5)) else row
        head = ",".join(map(str, labels)) if many else draw(NUMBERS)
        query = draw(st.sampled_from(["", "", "", "qid:7 "]))
        comment = draw(st.sampled_from(["", "", "", " # note 1:1", "#"]))
        lines.append(head + blank + query + pairs(rising, blank, shift) + comment)
        if not draw(st.integers(0, 9)):
            lines.append(draw(st.sampled_from(["", "# only", "  "])))
    return draw(changed(draw(ended(lines))))


@st.composite
def wrapped(draw: st.DrawFn, files: st.SearchStrategy[bytes]) -> bytes:
    """A file, compressed or not, with accidents to the compressed bytes."""
    ending = draw(st.sampled_from(["", "", ".gz", ".zst"]))
    data = packed(ending, draw(files))
    return draw(changed(data)) if ending and draw(st.booleans()) else data


def unwrapped(data: bytes) -> bytes:
    """The file without its compression, all at once."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    zstd = importlib.import_module(name)
    try:
        if data[:2] == b"\x1f\x8b":
            return gzip.decompress(data)
        if data[:4] == b"\x28\xb5\x2f\xfd":
            return bytes(zstd.decompress(data))
    except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        raise reference.RefusedError("compression") from error
    return data


# ---- both readers, and what they say -------------------------------------------------------------


def dense_rows(matrix: Any) -> list[dict[int, float]]:
    some = [slice(a, b) for a, b in itertools.pairwise(matrix.indptr.tolist())]
    return [
        dict(zip(matrix.indices[s].tolist(), matrix.data[s].tolist(), strict=True)) for s in some
    ]


def line_number(message: str) -> int:
    """Which line a message about a bad row names."""
    found = re.search(r", line (\d+): ", message)
    assert found, message
    return int(found[1])


def compare(
    expected: reference.Answer | None,
    read: Callable[[str | BadRows], tuple[Any, Any]],
    number: Callable[[str], int] = line_number,
) -> None:
    """The reader's answers, where bad rows are skipped and where they are refused."""
    skipped = BadRows("skip")
    if expected is None:
        for how in (skipped, "refuse"):
            with pytest.raises(ValueError, match="rows"):
                read(how)
        return
    x, y = read(skipped)
    assert skipped.count == len(expected.bad)
    assert list(map(number, skipped.first)) == expected.bad[:5]
    if expected.bad:
        with pytest.raises(ValueError, match="rows") as refused:
            read("refuse")
        assert number(str(refused.value)) == expected.bad[0]
    else:
        again_x, again_y = read("refuse")
        assert dense_rows(again_x) == dense_rows(x)
        assert again_y.shape == y.shape
    shift = expected.first_index
    rows = [{index - shift: value for index, value in row.items()} for row in expected.features]
    assert x.shape == (len(rows), expected.n_features)
    assert x.dtype == np.float32
    assert dense_rows(x) == rows
    assert all(list(row) == sorted(row) for row in dense_rows(x))
    if y.ndim == 1:
        assert y.tolist() == expected.targets
    else:
        assert y.shape == (len(rows), expected.n_labels)
        assert [set(row) for row in dense_rows(y)] == expected.targets
        assert set(y.data.tolist()) <= {1}


def compare_stream(expected: reference.Answer | None, path: Path) -> None:
    """A stream of small blocks has the same rows in another order."""
    before, row_stream.BLOCK = row_stream.BLOCK, 40
    try:
        if expected is None:
            with pytest.raises(ValueError, match="rows"):
                RowStream(path, bad_rows=BadRows("skip"))
            return
        stream = RowStream(path, bad_rows=BadRows("skip"), buffer=100)
        parts = list(stream.rows())
    finally:
        row_stream.BLOCK = before
    shift = expected.first_index
    rows = [{index - shift: value for index, value in row.items()} for row in expected.features]
    found = [row for x, _ in parts for row in dense_rows(x)]
    labels = [set(row) for _, y in parts for row in dense_rows(y)]
    key = [repr((sorted(a.items()), sorted(b))) for a, b in zip(found, labels, strict=True)]
    wanted = zip(rows, expected.targets, strict=True)
    assert sorted(key) == sorted(repr((sorted(a.items()), sorted(b))) for a, b in wanted)
    assert (stream.n_features, stream.n_labels) == (expected.n_features, expected.n_labels)


def answer(read: Callable[..., reference.Answer], *files: bytes) -> reference.Answer | None:
    try:
        return read(*map(unwrapped, files))
    except reference.RefusedError:
        return None


def check_xc(data: bytes) -> None:
    expected = answer(reference.xc, data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.txt")
        path.write_bytes(data)
        compare(expected, lambda how: read_xc(path, bad_rows=how))
        if expected is not None:
            compare_stream(expected, path)


def check_pair(files: tuple[bytes, bytes]) -> None:
    expected = answer(reference.xc_pair, *files)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"rows_X_{name}.txt") for name in ("Xf", "Y")]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        compare(expected, lambda how: read_xc(*paths, bad_rows=how))
        if expected is not None:
            compare_stream(expected, paths[0])


def check_svmlight(data: bytes) -> None:
    expected = answer(reference.svmlight, data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.svm")
        path.write_bytes(data)

        def read(how: str | BadRows) -> tuple[Any, Any]:
            [rows], first_index = read_files([path], None, None, None, how)
            assert expected is None or first_index == expected.first_index
            return rows

        compare(expected, read)
        if expected is not None and isinstance(expected.targets[0], set):
            compare_stream(expected, path)


IDS = st.one_of(st.integers(0, 9), st.integers(-3, 2**31), st.none())
FINE = st.lists(st.integers(0, 9), unique=True, max_size=3)
SHORT = st.integers(0, 9).flatmap(lambda n: FINE if n else st.lists(IDS, max_size=3))
FINITE = st.floats(-1e6, 1e6)
VALUES = st.integers(0, 19).flatmap(lambda n: FINITE if n else st.one_of(st.floats(), st.none()))


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Columns, their types, and rows of a row group."""
    rows = []
    for _ in range(draw(st.integers(1, 8))):
        indices, labels = draw(SHORT), draw(SHORT)
        n_values = draw(st.sampled_from([len(indices)] * 20 + [1]))
        values = [draw(VALUES) for _ in range(n_values)]
        row = [indices, values, labels]
        if not draw(st.integers(0, 30)):
            row[draw(st.integers(0, 2))] = None
        rows.append(row)
    columns = {
        name: [row[place] for row in rows]
        for place, name in enumerate(("indices", "values", "labels"))
    }
    if draw(st.booleans()):
        del columns["values"]
    outer = draw(st.sampled_from([pa.list_, pa.large_list]))
    ids = draw(st.sampled_from([pa.int64(), pa.int64(), pa.int32(), pa.uint8(), pa.uint64()]))
    kinds = {"indices": outer(ids), "labels": outer(pa.int64()), "values": outer(pa.float64())}
    return columns, kinds, draw(st.integers(1, 4))


def check_parquet(case: tuple[dict[str, Any], dict[str, Any], int]) -> None:
    columns, kinds, group = case
    try:
        table = pa.table({name: pa.array(rows, kinds[name]) for name, rows in columns.items()})
    except (pa.ArrowInvalid, OverflowError, ValueError):  # a number that the type cannot hold
        return
    expected = answer(lambda: reference.parquet(columns))

    def row_number(message: str) -> int:
        found = re.search(r", row (\d+) of row group (\d+): ", message)
        assert found, message
        return int(found[2]) * group + int(found[1])

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        pq.write_table(table, path, row_group_size=group)
        compare(expected, lambda how: read_parquet([path], bad_rows=how)[0], row_number)
        if expected is not None:
            compare_stream(expected, path)


def check_damaged_parquet(data: bytes) -> None:
    """Bytes that were Parquet once: an answer, or a refusal that names the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        path.write_bytes(data)
        with contextlib.suppress(ValueError):
            [(x, y)] = read_parquet([path], bad_rows=BadRows("skip"))
            assert x.shape[0] == y.shape[0] > 0


@st.composite
def damaged_parquet(draw: st.DrawFn) -> bytes:
    columns, kinds, group = draw(tables())
    fits = {name: kinds[name] for name in columns} | {"indices": pa.list_(pa.int64())}
    table = pa.table({name: pa.array(rows, fits[name]) for name, rows in columns.items()})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        pq.write_table(table, path, row_group_size=group, write_page_checksum=draw(st.booleans()))
        return draw(changed(packed(draw(st.sampled_from(["", "", ".gz"])), path.read_bytes())))


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(CORPUS.iterdir()) if not path.name.endswith("_X_Y.txt")],
    ids=lambda path: path.name,
)
def test_what_was_found_once_is_read_as_the_plain_reader_reads_it(path: Path) -> None:
    data = path.read_bytes()
    if path.name.startswith("pair-"):
        check_pair((data, path.with_name(path.name.replace("_X_Xf", "_X_Y")).read_bytes()))
    else:
        {".txt": check_xc, ".svm": check_svmlight, ".parquet": check_damaged_parquet}[path.suffix](
            data
        )


# ---- the tests -----------------------------------------------------------------------------------


def test_files_of_the_repository_are_read_as_the_plain_reader_reads_them() -> None:
    fuzz(check_xc, wrapped(xc_files()))


def test_pairs_of_the_repository_are_read_as_the_plain_reader_reads_them() -> None:
    fuzz(check_pair, xc_pairs())


def test_svmlight_is_read_as_the_plain_reader_reads_it() -> None:
    fuzz(check_svmlight, wrapped(svmlight_files()))


def test_parquet_is_read_as_python_has_it() -> None:
    fuzz(check_parquet, tables())


def test_damaged_parquet_is_refused_or_read_and_nothing_else() -> None:
    fuzz(check_damaged_parquet, damaged_parquet())
