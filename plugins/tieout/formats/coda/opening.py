"""Record 1, the old balance: whose account it is, in which currency, and what was on it."""

from __future__ import annotations

from dataclasses import dataclass

from tieout.formats.belgian import is_iban
from tieout.formats.coda import checked_fields
from tieout.formats.coda.fields import UNWRITTEN_CURRENCY, account_and_currency, text
from tieout.formats.coda.reports import Findings


@dataclass(frozen=True, slots=True)
class Opening:
    """What record 1 says; the attributes are the statement's, the balance is in thousandths."""

    account: str
    structure: str
    iban_ok: bool | None
    currency: str
    statement_number: str
    coda_sequence: int
    balance: int
    date: str | None
    holder: str


def read_opening(number: int, line: bytes, findings: Findings) -> Opening | None:
    """The old balance, or None when account, currency or amount cannot be read."""
    structure = _structure(number, text(line[1:2]), findings)
    account, written_currency = account_and_currency(structure, line[5:42])
    currency = _currency(number, written_currency, findings)
    balance = checked_fields.amount(findings, number, line[42:58], "old balance in positions 43-58")
    date = checked_fields.date(
        findings, number, line[58:64], "date of the old balance in positions 59-64", zeros="warning"
    )
    sequence = _coda_sequence(number, line[125:128], findings)
    if not account:
        findings.fatal("CODA-ACCOUNT", number, "The account in positions 6-42 is blank.")
    if not account or not currency or balance is None:
        return None
    return Opening(
        account=account,
        structure=structure,
        iban_ok=_iban_ok(number, structure, account, findings),
        currency=currency,
        statement_number=text(line[2:5]),
        coda_sequence=sequence,
        balance=balance,
        date=date,
        holder=text(line[64:90]),
    )


def _structure(number: int, structure: str, findings: Findings) -> str:
    if not structure:
        findings.warn("CODA-ACCOUNT", number, "The account's structure in position 2 is blank; expected is 0 to 3.")
    elif structure not in "0123":
        findings.fatal(
            "CODA-ACCOUNT", number, f"The account's structure in position 2 is {structure!r}; expected is 0 to 3."
        )
    return structure


def _currency(number: int, currency: str, findings: Findings) -> str:
    if not currency:
        findings.warn(
            "CODA-ACCOUNT", number, f"The account has no currency; it is taken to be in {UNWRITTEN_CURRENCY}."
        )
        return UNWRITTEN_CURRENCY
    if len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper():
        return currency
    findings.fatal("CODA-ACCOUNT", number, f"The account's currency is {currency!r}; expected are three capitals.")
    return ""


def _iban_ok(number: int, structure: str, account: str, findings: Findings) -> bool | None:
    if structure not in ("2", "3"):
        return None
    correct = is_iban(account) and (structure == "3" or account.startswith("BE"))
    if not correct:
        wanted = "a Belgian IBAN" if structure == "2" else "an IBAN"
        # Zeros stand for no account, as in the sample that febelfin-coda ships.
        report = findings.fatal if account[2:].strip("0") else findings.warn
        report("CODA-IBAN", number, f"The account {account!r} is not {wanted} with correct check digits.")
    return correct


def _coda_sequence(number: int, digits: bytes, findings: Findings) -> int:
    if digits.isdigit():
        return int(digits)
    findings.warn(
        "CODA-SEQUENCE",
        number,
        f"The statement's number in positions 126-128 is {text(digits)!r}, expected are digits.",
    )
    return 0
