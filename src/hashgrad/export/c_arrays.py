"""Arrays as C99 constants."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

_TYPES = {
    "float32": "float", "int8": "int8_t", "uint16": "uint16_t", "uint32": "uint32_t",
}  # fmt: skip
_A_LINE = {"float32": 6, "int8": 22, "uint16": 14, "uint32": 8}  # numbers, of a hundred characters


class Arrays:
    """The constants of a C file, in the order in which they were added.

    Attributes:
        n_bytes: what they take.
        hash_bytes: what hashes and tables take of it.
    """

    def __init__(self) -> None:
        self.n_bytes = self.hash_bytes = 0
        self._texts: list[str] = []

    def add(self, name: str, values: NDArray[Any]) -> str:
        """Add an array, and return its name.

        >>> import numpy as np
        >>> arrays = Arrays()
        >>> arrays.add("bias", np.array([0.5, -1], np.float32)), arrays.n_bytes
        ('bias', 8)
        >>> print(arrays.text)
        static const float bias[2] = {
          5.00000000e-01f,-1.00000000e+00f
        };
        """
        kind = str(values.dtype)
        flat = values.ravel()
        if kind == "float32":  # nine digits tell one float from the next
            numbers = [f"{number:.8e}f" for number in flat.tolist()]
        else:
            end = "" if kind == "int8" else "u"
            numbers = [f"{number}{end}" for number in flat.tolist()]
        step = _A_LINE[kind]
        lines = [",".join(numbers[at : at + step]) for at in range(0, len(numbers), step)]
        body = ",\n  ".join(lines)
        self._texts.append(
            f"static const {_TYPES[kind]} {name}[{len(numbers)}] = {{\n  {body}\n}};\n"
        )
        self.n_bytes += values.nbytes
        return name

    def add_struct(self, kind: str, name: str, fields: dict[str, Any]) -> None:
        """Add a struct; its few bytes do not count."""
        self._texts.append(f"static const {kind} {name} = {struct(fields)};\n")

    @property
    def text(self) -> str:
        """All of them, as C."""
        return "\n".join(self._texts)


def struct(fields: dict[str, Any]) -> str:
    """A designated initialiser; fields that are 0 or None are left to C, which zeroes them.

    >>> struct({"n": 3, "gain": 0.5, "weight": None, "bias": "layer0_bias"})
    '{.n = 3, .gain = 5.00000000e-01f, .bias = layer0_bias}'
    """
    parts = [
        f".{name} = {f'{value:.8e}f' if isinstance(value, float) else value}"
        for name, value in fields.items()
        if value not in (0, None)
    ]
    return "{" + ", ".join(parts) + "}"


def string(text: str) -> str:
    r"""A C string: what is not plain ASCII is written as the octal numbers of its UTF-8.

    >>> print(string('a "b" é?'))
    "a \042b\042 \303\251\077"
    """
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'
