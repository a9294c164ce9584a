"""The order of a statement's records: 0, 1, then 2 and 3, then 8, then 4, then 9."""

from __future__ import annotations

from tieout.formats.coda.layout import PARTED, PARTS_BEFORE, codes_before, codes_of, name_of
from tieout.formats.coda.lines import LENGTH
from tieout.formats.coda.reports import Findings

_WITH_CODES = (*PARTED, b"8", b"4")


class Order:
    """Compares each record's place with what was before it, and with what the one before said of it.

    Attributes:
        opened: Whether there was an old balance.
        closed: Whether there was a new balance.
    """

    def __init__(self, findings: Findings) -> None:
        self.opened = self.closed = False
        self._findings = findings
        self._moved = self._told = False
        self._previous, self._previous_number, self._codes = b"0", 0, b""

    def take(self, number: int, kind: bytes, line: bytes) -> None:
        """The next record."""
        reason = self._why_not(kind)
        if reason:
            self._misplaced(number, kind, reason)
        elif self._previous == b"4" and kind not in (b"4", b"9"):
            self._findings.warn(
                "CODA-ORDER", number, f"The {name_of(kind)} stands after a free communication, which ends a statement."
            )
        if self._codes and self._codes != (expected := codes_before(self._previous, kind)):
            self._report_codes(kind, expected)
        self.opened = self.opened or kind == b"1"
        self._moved = self._moved or kind == b"21"
        self.closed = self.closed or kind == b"8"
        self._previous, self._previous_number = kind, number
        self._codes = codes_of(kind, line) if kind in _WITH_CODES and len(line) == LENGTH else b""

    def _why_not(self, kind: bytes) -> str:
        """Why a record of this type cannot stand here; empty when it can."""
        if kind in PARTS_BEFORE and self._previous not in PARTS_BEFORE[kind]:
            return f"it cannot come after {name_of(self._previous)}"
        if kind == b"1":
            return "it comes once, right after the header" if self._previous != b"0" else ""
        if not self.opened:
            return "the old balance (1) has to come first"
        if kind == b"31" and not self._moved:
            return "there is no movement before it"
        if self.closed and kind not in (b"4", b"9"):
            return "the new balance (8) was before it"
        return ""

    def _misplaced(self, number: int, kind: bytes, reason: str) -> None:
        """Reports a record out of its place, once in a statement: the next ones are out of theirs by it."""
        if not self._told:
            self._findings.fatal("CODA-ORDER", number, f"The {name_of(kind)} is out of its place: {reason}.")
        self._told = True

    def _report_codes(self, following: bytes, expected: bytes) -> None:
        written, wanted = (" and ".join(repr(chr(byte)) for byte in codes) for codes in (self._codes, expected))
        places = "positions 126 and 128" if len(expected) == 2 else "position 128"
        self._findings.warn(
            "CODA-LINK",
            self._previous_number,
            f"The {name_of(self._previous)} has {written} in {places}; expected is {wanted}, "
            f"as the {name_of(following)} comes next.",
        )
