"""Random invoices: every entry balances, in both currencies, and says what the invoice says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.integrations.stampli_to_sap_b1.records import REFERENCES, accounting, entry, invoice, line
from tieout.currencies import minor_units
from tieout.integrations.stampli_to_sap_b1.legs import Leg, lines, mirrored, shares
from tieout.systems.stampli.records import SourceRecord

BOOKS = accounting()
CURRENCIES = ["EUR", "USD", "JPY", "KWD"]
SIDES = ("Debit", "Credit")


@st.composite
def invoices(draw: st.DrawFn, kind: str = "INVOICE") -> SourceRecord:
    currency = draw(st.sampled_from(CURRENCIES))
    unit = Decimal(1).scaleb(-minor_units(currency))
    cents = st.one_of(st.integers(-300, 300), st.integers(-10_000_000, 10_000_000))
    rows = [
        line(
            str(draw(cents) * unit),
            gl_account=draw(st.sampled_from(["600000", "610000"])),
            tax_code=draw(st.sampled_from(["I1", "I2", "I0"])),
            cost_center=draw(st.sampled_from(["CC1", "ANY", None])),
        )
        for _ in range(draw(st.integers(1, 12)))
    ]
    tax = draw(st.one_of(st.just(0), cents)) * unit
    off = draw(st.sampled_from([0, 0, 1, -1])) * Decimal("0.01") if minor_units(currency) >= 2 else Decimal(0)
    total = sum((row["line_amount"] for row in rows), Decimal(0)) + tax + off
    return invoice(rows, currency=currency, tax_amount=tax, total_amount=total, invoice_type=kind)


rates = st.one_of(
    st.decimals(min_value="0.0001", max_value="200", places=6), st.sampled_from([Decimal(1), Decimal("0.0061")])
)


def posted(record: SourceRecord, rate: Decimal | None) -> list[Mapping[str, Any]]:
    key = f"{record.header['currency']} {record.header['posting_date']}"
    draft = entry(BOOKS.draft(record, replace(REFERENCES, rates={key: rate})))
    assert draft.body is not None
    rows: list[Mapping[str, Any]] = draft.body["JournalEntryLines"]
    return rows


def net(rows: list[Mapping[str, Any]], prefix: str = "") -> Decimal:
    return sum((row.get(f"{prefix}Debit", 0) - row.get(f"{prefix}Credit", 0) for row in rows), Decimal(0))


@given(invoices(), st.one_of(st.none(), rates))
def test_entries_balance(record: SourceRecord, rate: Decimal | None) -> None:
    currency, total = record.header["currency"], record.header["total_amount"]
    rows = posted(record, rate)
    own = "" if currency == "EUR" else "FC"
    assert net(rows, own) == 0
    assert net(rows) == 0
    for row in rows:
        assert all(row.get(f"{prefix}{side}", 0) >= 0 for side in SIDES for prefix in ("", "FC"))
        assert ("FCCurrency" in row) == (currency != "EUR")
        # One side only, and the same one in both currencies.
        given_sides = [{side for side in SIDES if f"{prefix}{side}" in row} for prefix in ("", "FC")]
        assert all(len(each) <= 1 for each in given_sides)
        assert currency == "EUR" or rate is None or given_sides[0] == given_sides[1]
    vendor = [row for row in rows if "ShortName" in row]
    assert -net(vendor, own) == total
    if currency != "EUR" and rate is not None:
        expected = Fraction(total) * Fraction(rate)
        assert abs(Fraction(-net(vendor)) - expected) <= Fraction(1, 200) * (1 if len(rows) < 200 else 2)


@given(invoices())
def test_accounts_get_what_the_lines_say(record: SourceRecord) -> None:
    """All but a cent of rounding, which is on the line with the greatest amount."""
    own = "" if record.header["currency"] == "EUR" else "FC"
    expected: dict[tuple[str, Any], Decimal] = defaultdict(Decimal)
    for row in record.lines:
        expected[row["gl_account"], row["cost_center"]] += row["line_amount"]
    booked: dict[tuple[str, Any], Decimal] = defaultdict(Decimal)
    tax = Decimal(0)
    for each in posted(record, None):
        if "VatLine" in each:
            tax += net([each], own)
        elif "AccountCode" in each:
            booked[each["AccountCode"], each.get("CostingCode")] += net([each], own)
    assert tax == record.header["tax_amount"]
    off = record.header["total_amount"] - tax - sum((row["line_amount"] for row in record.lines), Decimal(0))
    differences = [booked[key] - expected[key] for key in {*booked, *expected} if booked[key] != expected[key]]
    assert differences in ([], [off])


@given(invoices(kind="CREDIT"), st.one_of(st.none(), rates))
def test_a_credit_mirrors_the_invoice(credit: SourceRecord, rate: Decimal | None) -> None:
    negative = credit.header["total_amount"] < 0
    header = {**credit.header, "invoice_type": "INVOICE"}
    # A credit with negative amounts is booked just like an invoice with them.
    as_invoice = posted(replace(credit, header=header), rate)
    turned = {"Debit": "Credit", "Credit": "Debit", "FCDebit": "FCCredit", "FCCredit": "FCDebit"}
    mirror = as_invoice if negative else [{turned.get(k, k): v for k, v in row.items()} for row in as_invoice]
    booked = posted(credit, rate)
    if any(net([row], p) for row in booked for p in ("", "FC")):
        assert booked == mirror


@given(invoices())
def test_the_fingerprint_is_stable(record: SourceRecord) -> None:
    first = entry(BOOKS.draft(record, REFERENCES)).fingerprint
    shuffled = replace(
        record,
        header=dict(reversed(record.header.items())),
        lines=tuple({**row, "line_amount": row["line_amount"] + Decimal("0.0000")} for row in record.lines),
    )
    assert entry(BOOKS.draft(shuffled, REFERENCES)).fingerprint == first


@given(st.integers(-10_000, 10_000), st.lists(st.decimals(-1000, 1000, places=4), min_size=1, max_size=8))
def test_shares_add_up(cents: int, weights: list[Decimal]) -> None:
    total = Decimal(cents) / 100
    parts = shares(total, weights, "EUR")
    assert sum(parts) == total
    assert all(part == round(part, 2) for part in parts)
    off = [abs(part - weight) > Decimal("0.005") for part, weight in zip(parts, weights, strict=True)]
    assert sum(off) <= 1


def test_very_many_lines_of_next_to_nothing_keep_their_sides() -> None:
    """1000 lines of 1 JPY are 0.01 EUR each when rounded alone, but 6.10 EUR together."""
    legs = [Leg(Decimal(1), "Debit") for _ in range(1000)] + [Leg(Decimal(-1000), "Credit", is_partner=True)]
    for each in (legs, mirrored(legs)):
        rows = lines(each, "JPY", "EUR", Decimal("0.0061"))
        assert net(rows) == net(rows, "FC") == 0
        assert sum(row.get("Debit", Decimal(0)) for row in rows) == Decimal("6.10")
        assert all(("Debit" in row) == ("FCDebit" in row) for row in rows)
