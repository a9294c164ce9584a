"""Bad statement files: sound ones with one thing wrong, and the rule that must find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Defect:
    """One thing that can be wrong with a file: `change` is told the first line of type `record`."""

    rule: str
    record: str
    change: Callable[[str], str]


def spoil(data: bytes, defect: str) -> bytes:
    """The file with one of `DEFECTS` in its first statement.

    Raises:
        ValueError: There is no such defect, or the file has no record that can have it.
    """
    if defect not in DEFECTS:
        raise ValueError(f"Unknown defect {defect!r}; known are {', '.join(DEFECTS)}.")
    wanted = DEFECTS[defect]
    lines = data.decode("cp1252").splitlines(keepends=True)
    for index, line in enumerate(lines):
        if line.startswith(wanted.record):
            text = line.rstrip("\r\n")
            changed = wanted.change(text)
            lines[index] = changed + line[len(text) :] if changed else ""
            return "".join(lines).encode("cp1252")
    raise ValueError(f"This file has no record {wanted.record}, so that it cannot have the defect {defect}.")


def _put(position: int, text: str) -> Callable[[str], str]:
    """Writes over the characters from a position, counted from 1."""
    return lambda line: line[: position - 1] + text + line[position - 1 + len(text) :]


def _raise(start: int, end: int, by: int) -> Callable[[str], str]:
    """Adds to the number in these positions, both counted from 1 and included."""

    def change(line: str) -> str:
        width = end - start + 1
        return _put(start, f"{int(line[start - 1 : end]) + by:0{width}d}")(line)

    return change


DEFECTS: dict[str, Defect] = {
    "wrong_balance": Defect("CODA-BALANCE", "8", _raise(43, 57, 10)),
    "wrong_totals": Defect("CODA-TOTALS", "9", _raise(23, 37, 1000)),
    "wrong_count": Defect("CODA-COUNT", "9", _raise(17, 22, 1)),
    "short_line": Defect("CODA-LENGTH", "21", lambda line: line[:-1]),
    "long_line": Defect("CODA-LENGTH", "21", lambda line: line + " "),
    "old_version": Defect("CODA-VERSION", "0", _put(128, "1")),
    "bad_date": Defect("CODA-DATE", "21", _put(116, "300226")),
    "bad_amount": Defect("CODA-AMOUNT", "21", _put(47, "O")),
    "other_account": Defect("CODA-ACCOUNT", "8", _put(5, "BE00")),
    "no_trailer": Defect("CODA-TRAILER", "9", lambda line: ""),
}
"""What can be wrong with a file of statements that move something and have record 8."""
