"""The formats of sparse rows once more: slow, plain, byte by byte, to judge the readers by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

MOST_IDS = 2**31 - 1
DIGITS = b"0123456789"


class RefusedError(Exception):
    """The file as a whole is none of its format."""


class BadRowError(Exception):
    """A row breaks a rule."""


@dataclass
class Answer:
    """What a reader has to find: the good rows, the numbers of the bad ones, the widths."""

    features: list[dict[int, float]] = field(default_factory=list)
    targets: list[set[int] | float] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    n_features: int = 0
    n_labels: int = 0
    first_index: int = 0

    def take(self, number: int, row: tuple[dict[int, float], set[int] | float] | None) -> None:
        if row is None:
            self.bad.append(number)
        else:
            self.features.append(row[0])
            self.targets.append(row[1])

    def checked(self) -> Answer:
        if not self.features:
            raise RefusedError("no rows")
        return self


def words(text: bytes) -> list[bytes]:
    """What stands between blanks, and nothing else is a blank here."""
    found, word = [], b""
    for byte in text:
        if byte in b" \t":
            found.append(word)
            word = b""
        else:
            word += bytes([byte])
    return [word for word in [*found, word] if word]


def lines_of(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def trimmed(line: bytes) -> bytes:
    while line and line[-1] in b" \t\r":
        line = line[:-1]
    return line


def whole(word: bytes) -> int:
    if not word or any(byte not in DIGITS for byte in word):
        raise BadRowError(word)
    number = 0
    for byte in word[:1000]:
        number = min(10 * number + byte - 48, 10**30)
    return number


def number(word: bytes) -> float:
    """[sign] digits [. digits] [e [sign] digits], with a digit before or after the point."""
    rest, digits = word, 0
    if rest[:1] in (b"+", b"-"):
        rest = rest[1:]
    while rest and rest[0] in DIGITS:
        rest, digits = rest[1:], digits + 1
    if rest[:1] == b".":
        rest = rest[1:]
        while rest and rest[0] in DIGITS:
            rest, digits = rest[1:], digits + 1
    if digits == 0:
        raise BadRowError(word)
    if rest[:1] in (b"e", b"E"):
        rest = rest[1:]
        if rest[:1] in (b"+", b"-"):
            rest = rest[1:]
        whole(rest)
        rest = b""
    if rest:
        raise BadRowError(word)
    return float(word)


def small(value: float) -> float:
    """As float32 keeps it."""
    with np.errstate(over="ignore"):
        kept = float(np.float32(value))
    if not math.isfinite(kept):
        raise BadRowError(value)
    return kept


def entries(text: bytes, width: int, rising: bool = False) -> dict[int, float]:
    found: dict[int, float] = {}
    last = -1
    for word in words(text):
        if word.count(b":") != 1:
            raise BadRowError(word)
        index, value = word.split(b":")
        where = whole(index)
        if where >= width or where in found or (rising and where <= last):
            raise BadRowError(word)
        found[where] = small(number(value))
        last = where
    return found


def labels_of(word: bytes, width: int) -> set[int]:
    found: set[int] = set()
    for part in word.split(b",") if word else []:
        label = whole(part)
        if label >= width or label in found:
            raise BadRowError(word)
        found.add(label)
    return found


def split(line: bytes) -> tuple[bytes, bytes]:
    for place, byte in enumerate(line):
        if byte in b" \t":
            return line[:place], line[place:]
    return line, b""


def header(data: bytes) -> list[int]:
    first = data.split(b"\n")[0]
    if len(first) + (b"\n" in data) > 200:
        raise RefusedError("header")
    parts = words(trimmed(first))
    if len(parts) not in (2, 3) or any(len(part) > 18 for part in parts):
        raise RefusedError("header")
    try:
        return [whole(part) for part in parts]
    except BadRowError:
        raise RefusedError("header") from None


def body(data: bytes, n_rows: int) -> list[bytes]:
    lines = lines_of(data)[1:]
    if len(lines) < n_rows or any(line.strip() for line in lines[n_rows:]):
        raise RefusedError("rows")
    return lines[:n_rows]


def xc(data: bytes) -> Answer:
    sizes = header(data)
    if len(sizes) != 3 or max(sizes[1:]) > MOST_IDS:
        raise RefusedError("header")
    answer = Answer(n_features=sizes[1], n_labels=sizes[2])
    for place, line in enumerate(body(data, sizes[0]), start=2):
        head, text = split(trimmed(line))
        try:
            row = entries(text, sizes[1]), labels_of(head, sizes[2])
        except BadRowError:
            answer.take(place, None)
        else:
            answer.take(place, row)
    return answer.checked()


def xc_pair(features: bytes, labels: bytes) -> Answer:
    sizes, counts = header(features), header(labels)
    if len(sizes) != 2 or len(counts) != 2 or sizes[0] != counts[0]:
        raise RefusedError("header")
    if max(sizes[1], counts[1]) > MOST_IDS:
        raise RefusedError("header")
    answer = Answer(n_features=sizes[1], n_labels=counts[1])
    both = zip(body(features, sizes[0]), body(labels, sizes[0]), strict=True)
    for place, (line, beside) in enumerate(both, start=2):
        try:
            named = entries(trimmed(beside), counts[1])
            if any(value != 1 for value in named.values()):
                raise BadRowError(beside)
            row = entries(trimmed(line), sizes[1]), set(named)
        except BadRowError:
            answer.take(place, None)
        else:
            answer.take(place, row)
    return answer.checked()


def svmlight(data: bytes) -> Answer:
    contents = []
    for place, line in enumerate(lines_of(data), start=1):
        text = trimmed(line.split(b"#")[0])
        while text and text[0] in b" \t\r":
            text = text[1:]
        contents.append((place, text))
    heads = [split(text)[0] for _, text in contents[:1000]]
    many = any(b"," in head or b":" in head for head in heads)
    answer = Answer()
    for place, text in contents:
        if not text:
            continue
        head, rest = split(text)
        if many and b":" in head:
            head, rest = b"", text
        parts = words(rest)
        if parts and parts[0][:4] == b"qid:" and parts[0][4:].isdigit():
            rest = b" ".join(parts[1:])
        try:
            target: set[int] | float = labels_of(head, MOST_IDS) if many else number(head)
            if not many and not math.isfinite(number(head)):
                raise BadRowError(head)
            row = entries(rest, MOST_IDS, rising=True), target
        except BadRowError:
            answer.take(place, None)
        else:
            answer.take(place, row)
    answer.checked()
    used = [index for row in answer.features for index in row]
    answer.first_index = 0 if 0 in used else 1
    answer.n_features = max(used, default=answer.first_index - 1) + 1 - answer.first_index
    if many:
        answer.n_labels = max((max(row, default=-1) for row in answer.targets), default=-1) + 1
    return answer


def parquet(table: dict[str, list[list[float | None] | None]]) -> Answer:
    """The same of a table's columns, as Python has them; numbers of bad rows are their places."""
    answer = Answer()
    rows = zip(
        table["indices"], table.get("values", table["indices"]), table["labels"], strict=True
    )
    for place, (indices, values, labels) in enumerate(rows):
        try:
            for some in (indices, values, labels):
                if some is None or None in some:
                    raise BadRowError("null")
            if len(indices) != len(values) or len(set(indices)) < len(indices):
                raise BadRowError("lengths")
            if len(set(labels)) < len(labels):
                raise BadRowError("twice")
            if any(not 0 <= i < MOST_IDS for i in [*indices, *labels]):
                raise BadRowError("range")
            kept = [small(value) for value in values] if "values" in table else [1.0] * len(indices)
        except BadRowError:
            answer.take(place, None)
        else:
            answer.take(place, (dict(zip(indices, kept, strict=True)), set(labels)))
    answer.checked()
    answer.n_features = 1 + max((i for row in answer.features for i in row), default=-1)
    answer.n_labels = 1 + max((i for row in answer.targets for i in row), default=-1)
    return answer
