"""What a statement says, and what a check of a file comes to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from tieout.formats.findings import Finding


@dataclass(frozen=True, slots=True)
class Statement:
    """One coded statement of account: the records from a header (0) to its trailer (9).

    Money is in `currency`, with three decimals as in the file; a balance is negative when the account is overdrawn.
    Dates are `YYYY-MM-DD`.

    Attributes:
        account: The account's number as written, without the blanks around it: an IBAN, or a national number.
        account_structure: 0 Belgian number, 1 foreign number, 2 Belgian IBAN, 3 foreign IBAN; empty where the bank
            leaves it blank.
        iban_ok: Whether the IBAN's check digits hold; None where the account is given as a national number.
        currency: ISO 4217.
        statement_number: Of the statement on paper, or a day of the year, or `000`: three characters.
        coda_sequence: Counts the account's coded statements from 1 each year; 0 where the bank does not.
        creation_date: Of the file; a duplicate keeps the original's.
        duplicate: Whether the bank says that it sends this statement again.
        old_balance: Before the movements.
        old_date: Of the old balance; None where the bank has none.
        new_balance: After the movements; the old one where nothing moved and the record is left out.
        new_date: Of the new balance; None where there is none.
        debit: Sum of what was taken, by the movement records that are booked (details of a total are not).
        credit: Sum of what was added, by the same records.
        movements: How many movements are booked.
        records: How many records there are of types 1, 2, 3 and 8: what the trailer counts.
        holder: Whose account it is; the addressee where record 1 names nobody.
        bic: The bank's.
        enterprise_number: The holder's, ten digits; None where it is left out or is none.
        separate_application: The bank's code for a file of only some kinds of movements, empty for an ordinary
            statement. Such files have numbers and balances of their own.
        first_line: The header's line in the file, counted from 1.
        last_line: The trailer's.
    """

    account: str
    account_structure: str
    iban_ok: bool | None
    currency: str
    statement_number: str
    coda_sequence: int
    creation_date: str
    duplicate: bool
    old_balance: Decimal
    old_date: str | None
    new_balance: Decimal
    new_date: str | None
    debit: Decimal
    credit: Decimal
    movements: int
    records: int
    holder: str
    bic: str
    enterprise_number: str | None
    separate_application: str
    first_line: int
    last_line: int

    @property
    def turnover(self) -> Decimal:
        """What moved, either way: the sum of the booked amounts without their signs."""
        return self.debit + self.credit


@dataclass(frozen=True, slots=True)
class CodaResult:
    """A file's statements and what is wrong with it.

    Attributes:
        statements: In the file's order; one whose header or balances cannot be read is missing, and fatally reported.
        findings: In the file's order, at most a few of each kind and then how many more there are.
    """

    statements: tuple[Statement, ...]
    findings: tuple[Finding, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing fatal was found."""
        return not any(finding.fatal for finding in self.findings)

    @property
    def turnover(self) -> dict[str, Decimal]:
        """What moved, by currency, from the movement records."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for statement in self.statements:
            sums[statement.currency] += statement.turnover
        return dict(sums)
