"""Records 2 and 3: what moved, and whether the records are numbered one after another."""

from __future__ import annotations

from tieout.formats.coda import checked_fields
from tieout.formats.coda.fields import NO_DATE, SIGNS, iso_date, text
from tieout.formats.coda.layout import BOOKED, DETAILS, name_of
from tieout.formats.coda.lines import LENGTH
from tieout.formats.coda.reports import Findings

# Sequence and detail numbers have four digits; after 9999 they start over.
_MODULUS = 10**4


class Movements:
    """The movements of one statement.

    Attributes:
        debit: Sum of the booked amounts that were taken, in thousandths.
        credit: Sum of those that were added.
        count: How many are booked.
        sums_known: False when an amount could not be read: the sums say nothing then.
    """

    def __init__(self, findings: Findings) -> None:
        self.debit = self.credit = self.count = 0
        self.sums_known = True
        self._findings = findings
        self._sequence: int | None = 0
        self._detail = -1
        self._number = b""

    def take(self, number: int, kind: bytes, line: bytes) -> None:
        """The next record 2 or 3."""
        if len(line) != LENGTH:
            # Its fields are not where they should be; only its number may still be what the next part refers to.
            self.sums_known = self.sums_known and kind != b"21"
            self._number = line[2:10]
            self._sequence = None
        elif kind == b"21":
            self._take_amount(number, line)
            self._take_dates(number, line)
            self._take_number(number, line[2:10])
        elif kind == b"31":
            self._take_information(number, line)
        elif line[2:10] != self._number:
            self._findings.fatal(
                "CODA-SEQUENCE",
                number,
                f"The {name_of(kind)} has the number {text(line[2:10])}; the part before it has {text(self._number)}.",
            )

    def _take_amount(self, number: int, line: bytes) -> None:
        sign, digits, transaction = line[31:32], line[32:47], line[53:54]
        if sign not in SIGNS or not digits.isdigit():
            checked_fields.amount(self._findings, number, line[31:47], "amount in positions 32-47")
            self.sums_known = False
        elif transaction in BOOKED:
            if sign == b"1":
                self.debit += int(digits)
            else:
                self.credit += int(digits)
        # By its type, not by its detail number, which is 0000 again after 9999 details.
        if transaction in BOOKED:
            self.count += 1
        elif transaction not in DETAILS:
            self._findings.warn(
                "CODA-CODE",
                number,
                f"The transaction type in position 54 is {text(transaction)!r}, expected is 0 to 3 or 5 to 9; "
                "the amount is not counted.",
            )

    def _take_dates(self, number: int, line: bytes) -> None:
        value, entry = line[47:53], line[115:121]
        if value != NO_DATE and iso_date(value) is None:
            checked_fields.date(self._findings, number, value, "value date in positions 48-53", zeros=None)
        if iso_date(entry) is None:
            checked_fields.date(self._findings, number, entry, "entry date in positions 116-121", zeros="warning")

    def _take_number(self, number: int, written: bytes) -> None:
        self._number = written
        if not written.isdigit():
            self._findings.fatal(
                "CODA-SEQUENCE",
                number,
                f"The movement's number in positions 3-10 is {text(written)!r}, expected are eight digits.",
            )
            self._sequence = None
            return
        sequence, detail = int(written[:4]), int(written[4:])
        if self._sequence is not None:
            self._compare(number, self._sequence, sequence, detail)
        self._sequence, self._detail = sequence, detail

    def _compare(self, number: int, before: int, sequence: int, detail: int) -> None:
        step = (sequence - before) % _MODULUS
        # After 9999 comes 0000 by the standard; some go on with 0001.
        if step == 1 or (before, sequence) == (9999, 1):
            return
        if step > _MODULUS // 2:
            self._descends(number, f"The movement's sequence number is {sequence:04d} after {before:04d}")
        elif step:
            self._findings.warn(
                "CODA-SEQUENCE",
                number,
                f"The movement's sequence number is {sequence:04d} after {before:04d}: numbers are left out.",
            )
        elif not 0 < (detail - self._detail) % _MODULUS <= _MODULUS // 2:
            self._descends(
                number, f"The detail number of movement {sequence:04d} is {detail:04d} after {self._detail:04d}"
            )

    def _descends(self, number: int, sentence: str) -> None:
        self._findings.fatal("CODA-SEQUENCE", number, f"{sentence}; numbers have to ascend.")

    def _take_information(self, number: int, line: bytes) -> None:
        if line[2:6] != self._number[:4]:
            self._findings.warn(
                "CODA-SEQUENCE",
                number,
                f"The information is on movement {text(line[2:6])} and stands after movement {text(self._number[:4])}.",
            )
        self._number = line[2:10]
