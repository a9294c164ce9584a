"""G/L postings as X12: sorted lines in, an 830 or an 821 out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from tieout.formats.x12.columns import AMOUNT
from tieout.formats.x12.envelope import ControlNumbers
from tieout.formats.x12.profile import X12Profile
from tieout.formats.x12.sets import GL_821, GL_830
from tieout.formats.x12.tables import segment
from tieout.formats.x12.writer import Columns, SetFileWriter


@dataclass(frozen=True)
class Party:
    """A company as N1 names it: its name, and its code, assigned by the buyer (qualifier 92)."""

    name: str
    code: str


@dataclass(frozen=True)
class GlHeader:
    """What a file of G/L postings says of itself.

    Attributes:
        company: Whose postings they are (N1*FR).
        partner: Who receives them (N1*TO).
        batch: The batch's number (REF*BT, TRN02).
        period_start: The period's first day.
        period_end: Its last day; also stands for the date of a line that has none, where the set must have one (830).
        generated: The day on which the batch was made (BFR08).
        currency: The amounts' currency.
        purpose: `00` original, `05` replaces an earlier file.
        reference: BFR02; the batch's number where absent.
        account_names: Account → its name; an account without one goes without.
        source: Stands for the source of a line that has none, where the set must have one (821).
    """

    company: Party
    partner: Party
    batch: str
    period_start: date
    period_end: date
    generated: date
    currency: str
    purpose: Literal["00", "05"] = "00"
    reference: str | None = None
    account_names: Mapping[str, str] = field(default_factory=dict)
    source: str = "GL"


def gl_writer(
    set_id: Literal["830", "821"],
    profile: X12Profile,
    header: GlHeader,
    controls: ControlNumbers,
    created: datetime,
    *,
    test_content: bool,
) -> SetFileWriter:
    """A writer of one file of G/L postings.

    Its batches have the columns `cost_centre`, `account`, `year`, `period`, `journal`, `date` (text YYYY-MM-DD or
    null), `source` and `amount` (decimal, debit positive), sorted by cost centre and account; others are not looked at.

    Args:
        set_id: The set that the partner takes.
        profile: The partner's agreement.
        header: What the file says of itself.
        controls: Numbers allocated for this file.
        created: Date and time of the interchange.
        test_content: Whether the postings are a test's.

    Raises:
        ConfigurationInvalid: Test data would be announced as production data.
    """
    layout = {"830": GL_830, "821": GL_821}[set_id]
    constants = {
        "company_name": header.company.name,
        "company_code": header.company.code,
        "partner_name": header.partner.name,
        "partner_code": header.partner.code,
        "batch": header.batch,
        "reference": header.reference or header.batch,
        "period_start": header.period_start,
        "period_end": header.period_end,
        "generated": header.generated,
        "currency": header.currency,
        "purpose": header.purpose,
    }
    longest = segment("REF", profile.version).elements[1].maximum

    def derive(columns: Columns) -> Columns:
        return _derived(columns, header, longest)

    return SetFileWriter(layout, profile, constants, controls, created, test_content=test_content, derive=derive)


def _derived(columns: Columns, header: GlHeader, longest_reference: int) -> Columns:
    account = columns["account"].cast(pa.string())
    amount = columns["amount"]
    if not pa.types.is_decimal(amount.type):
        raise TypeError(f"The amount must be a decimal and never a float; its column is {amount.type}.")
    amount = amount.cast(AMOUNT)
    fits = pc.less_equal(pc.utf8_length(account), longest_reference)
    day = columns["date"].cast(pa.string())
    source = columns.get("source", pa.nulls(len(account), pa.string())).cast(pa.string())
    blank = pc.equal(pc.utf8_trim_whitespace(pc.fill_null(source, "")), "")
    return {
        **columns,
        "account": account,
        "account_name": _names(account, header.account_names),
        "short_account": pc.if_else(fits, account, None),
        "amount": amount,
        "absolute_amount": pc.abs(amount),
        "debit_or_credit": pc.if_else(pc.less(amount, pa.scalar(0).cast(AMOUNT)), "C", "D"),
        "date_or_period_end": pc.coalesce(pc.if_else(pc.equal(day, ""), None, day), header.period_end.isoformat()),
        "source": pc.if_else(blank, header.source, source),
        "voucher": voucher(columns["year"], columns["period"], columns["journal"]),
    }


def voucher(year: pa.Array, period: pa.Array, journal: pa.Array) -> pa.Array:
    """A journal's key `YYYYPP-nnnnnnnnnn`: its number is unique only within year and period.

    Null where a part is null or no number.

    Raises:
        TypeError: A column holds floats, which are no numbers of journals.
    """
    return pc.binary_join_element_wise(
        pc.binary_join_element_wise(_digits(year, 4), _digits(period, 2), ""), _digits(journal, 10), "-"
    )


def _digits(values: pa.Array, width: int) -> pa.Array:
    """Numbers, or numbers in text with zeros or blanks in front, with a fixed number of digits."""
    if pa.types.is_floating(values.type):
        raise TypeError(f"Year, period and journal are whole numbers, and never floats; a column is {values.type}.")
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.int64())
    text = values.cast(pa.string())
    if not pa.types.is_integer(values.type):
        text = pc.ascii_trim_whitespace(text)
        digits = pc.ascii_ltrim(text, "0")
        text = pc.if_else(pc.and_(pc.equal(digits, ""), pc.not_equal(text, "")), "0", digits)
    number = pc.and_(pc.utf8_is_digit(text), pc.string_is_ascii(text))
    return pc.utf8_lpad(pc.if_else(number, text, None), width=width, padding="0")


def _names(accounts: pa.Array, names: Mapping[str, str]) -> pa.Array:
    if not names:
        return pa.nulls(len(accounts), pa.string())
    known = pa.array(names.keys(), pa.string())
    return pa.array(names.values(), pa.string()).take(pc.index_in(accounts, known))
