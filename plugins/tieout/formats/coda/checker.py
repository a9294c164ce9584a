"""One statement, checked record by record as its lines go by."""

from __future__ import annotations

from tieout.formats.coda import checked_fields
from tieout.formats.coda.fields import UNWRITTEN_CURRENCY, account_and_currency, money, text
from tieout.formats.coda.header import Header, is_known_version, read_header
from tieout.formats.coda.layout import PARTED
from tieout.formats.coda.lines import LENGTH
from tieout.formats.coda.movements import Movements
from tieout.formats.coda.opening import Opening, read_opening
from tieout.formats.coda.order import Order
from tieout.formats.coda.reports import Findings
from tieout.formats.coda.statement import Statement

# The trailer has six digits for the number of records.
_RECORDS_MODULUS = 10**6


class StatementChecker:
    """Takes a statement's records in their order and reports what is wrong with them.

    What cannot be read is reported where it stands; sums that depend on it are then not compared.

    Attributes:
        readable: False for a statement of another version, of which nothing is read.
        multiple_code: What the trailer says of statements after this one: 1 another follows, 2 none.
    """

    def __init__(self, number: int, line: bytes, findings: Findings) -> None:
        """Begins with the header, in line `number`."""
        self.readable = True
        self.multiple_code = b""
        self._findings = findings
        self._first_line = number
        self._order = Order(findings)
        self._movements = Movements(findings)
        self._header: Header | None = None
        self._opening: Opening | None = None
        self._closing: tuple[int, str | None] | None = None
        self._closing_line = 0
        self._records = 0
        if self._whole(number, line):
            self.readable = is_known_version(number, line, findings)
            self._header = read_header(number, line, findings) if self.readable else None

    def take(self, number: int, line: bytes) -> None:
        """The next record, up to but not including the trailer."""
        kind = line[:2] if line[:1] in (b"2", b"3") else line[:1]
        whole = self._whole(number, line)
        if kind in PARTED:
            self._order.take(number, kind, line)
            self._movements.take(number, kind, line)
            self._records += 1
        elif kind == b"1":
            self._take_opening(number, line, whole=whole)
        elif kind == b"8":
            self._take_closing(number, line, whole=whole)
        elif kind == b"4":
            self._order.take(number, kind, line)
        elif whole:
            self._take_unknown(number, line)

    def finish(self, number: int, line: bytes) -> Statement | None:
        """The trailer: compares counts, totals and balances.

        Returns:
            The statement, or None when its header or balances cannot be read.
        """
        self._order.take(number, b"9", line)
        if self._whole(number, line):
            self.multiple_code = line[127:128]
            self._compare_count(number, line[16:22])
            self._compare_total(number, "debit in positions 23-37", line[22:37], self._movements.debit)
            self._compare_total(number, "credit in positions 38-52", line[37:52], self._movements.credit)
        if not self._order.closed:
            self._do_without_closing(number)
        self._compare_balances()
        return self._statement(number)

    def break_off(self, number: int) -> None:
        """The statement ends without a trailer, before line `number`."""
        self._findings.fatal(
            "CODA-TRAILER",
            self._first_line,
            f"The statement that begins here has no trailer (9) before line {number}: its end is missing.",
        )
        self._compare_balances()

    def _take_opening(self, number: int, line: bytes, *, whole: bool) -> None:
        again = self._order.opened
        self._order.take(number, b"1", line)
        self._records += 1
        if whole and not again:
            self._opening = read_opening(number, line, self._findings)

    def _take_closing(self, number: int, line: bytes, *, whole: bool) -> None:
        again = self._order.closed
        self._order.take(number, b"8", line)
        self._records += 1
        if not whole or again:
            return
        balance = checked_fields.amount(self._findings, number, line[41:57], "new balance in positions 42-57")
        date = checked_fields.date(
            self._findings, number, line[57:63], "date of the new balance in positions 58-63", zeros="warning"
        )
        if balance is not None:
            self._closing, self._closing_line = (balance, date), number
        if self._opening is not None:
            self._compare_account(number, self._opening, line[4:41])
            self._compare_dates(number, self._opening.date, date)

    def _take_unknown(self, number: int, line: bytes) -> None:
        if line[:1] in (b"2", b"3"):
            self._records += 1
            message = f"Records 2 and 3 have parts 1 to 3; this one begins with {text(line[:2])!r}."
        else:
            message = f"Records have types 0 to 4, 8 and 9; this one begins with {text(line[:1])!r}."
        # A type that the standard leaves free carries no money and is not counted: readers pass over it.
        if line[:1] in (b"5", b"6", b"7"):
            self._findings.warn("CODA-ORDER", number, message)
        else:
            self._findings.fatal("CODA-ORDER", number, message)

    def _do_without_closing(self, number: int) -> None:
        if self._movements.count:
            self._findings.fatal(
                "CODA-ORDER",
                number,
                f"The new balance (8) is missing, although there are {self._movements.count} movements.",
            )
        elif self._opening is not None:
            self._closing = (self._opening.balance, None)

    def _statement(self, last_line: int) -> Statement | None:
        header, opening, closing = self._header, self._opening, self._closing
        if header is None or opening is None or closing is None:
            return None
        return Statement(
            account=opening.account,
            account_structure=opening.structure,
            iban_ok=opening.iban_ok,
            currency=opening.currency,
            statement_number=opening.statement_number,
            coda_sequence=opening.coda_sequence,
            creation_date=header.creation_date,
            duplicate=header.duplicate,
            old_balance=money(opening.balance),
            old_date=opening.date,
            new_balance=money(closing[0]),
            new_date=closing[1],
            debit=money(self._movements.debit),
            credit=money(self._movements.credit),
            movements=self._movements.count,
            records=self._records,
            holder=opening.holder or header.addressee,
            bic=header.bic,
            enterprise_number=header.enterprise_number,
            separate_application=header.separate_application,
            first_line=self._first_line,
            last_line=last_line,
        )

    def _compare_account(self, number: int, opening: Opening, field: bytes) -> None:
        account, currency = account_and_currency(opening.structure, field)
        if (account, currency or UNWRITTEN_CURRENCY) != (opening.account, opening.currency):
            self._findings.fatal(
                "CODA-ACCOUNT",
                number,
                f"The new balance is of account {account!r} in {currency!r}; the old balance is of "
                f"{opening.account!r} in {opening.currency!r}.",
            )

    def _compare_dates(self, number: int, old: str | None, new: str | None) -> None:
        if old and new and old > new:
            self._findings.warn("CODA-DATE", number, f"The new balance is of {new}; the old one is of {old}, later.")

    def _compare_count(self, number: int, written: bytes) -> None:
        if not written.isdigit():
            self._findings.fatal(
                "CODA-COUNT",
                number,
                f"The number of records in positions 17-22 is {text(written)!r}, expected is "
                f"{self._records % _RECORDS_MODULUS:06d}.",
            )
        elif int(written) != self._records % _RECORDS_MODULUS:
            self._findings.fatal(
                "CODA-COUNT",
                number,
                f"The trailer counts {int(written)} records of types 1, 2, 3 and 8; there are {self._records}.",
            )

    def _compare_total(self, number: int, name: str, written: bytes, counted: int) -> None:
        if not written.isdigit():
            self._findings.fatal(
                "CODA-AMOUNT", number, f"The total {name} is {text(written)!r}; expected are 15 digits."
            )
        elif self._movements.sums_known and int(written) != counted:
            self._findings.fatal(
                "CODA-TOTALS",
                number,
                f"The total {name} is {money(int(written))}; the movements add up to {money(counted)}.",
            )

    def _compare_balances(self) -> None:
        moved = self._movements
        if not moved.sums_known or self._opening is None or self._closing is None:
            return
        old, new = self._opening.balance, self._closing[0]
        expected = old + moved.credit - moved.debit
        if new == expected:
            return
        message = (
            f"The new balance is {money(new)}; the old balance {money(old)} less {money(moved.debit)} debit plus "
            f"{money(moved.credit)} credit is {money(expected)}."
        )
        if self._header is not None and self._header.separate_application:
            # A file of only some kinds of movements need not carry the account's own balances.
            self._findings.warn("CODA-BALANCE", self._closing_line, message)
        else:
            self._findings.fatal("CODA-BALANCE", self._closing_line, message)

    def _whole(self, number: int, line: bytes) -> bool:
        """Whether the line has its length and can be cut into fields."""
        if len(line) != LENGTH:
            self._findings.fatal("CODA-LENGTH", number, f"The line has {len(line)} characters; expected are {LENGTH}.")
        return len(line) == LENGTH
