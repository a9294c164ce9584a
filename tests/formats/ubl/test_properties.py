"""Generated documents: all are valid, and none stays valid when one of its amounts changes."""

from __future__ import annotations

import re
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.formats.ubl.conftest import Validate
from tests.formats.ubl.invoices import Document, Line, Rate, build

RATES: list[Rate] = [("S", "6"), ("S", "12"), ("S", "21"), ("Z", "0"), ("E", "0"), ("AE", "0")]
AMOUNT = re.compile(
    rb">(-?[0-9.]+)</cbc:(LineExtensionAmount|TaxExclusiveAmount|TaxInclusiveAmount|PayableAmount|TaxableAmount|"
    rb"TaxAmount|AllowanceTotalAmount|ChargeTotalAmount|Amount)>"
)

money = st.decimals("0", "9999.99", places=2)
lines = st.builds(
    Line,
    quantity=st.decimals("0.001", "999", places=3),
    price=st.decimals("0", "9999.9999", places=4),
    rate=st.sampled_from(RATES),
    allowance=money,
)
documents = st.builds(
    Document,
    kind=st.sampled_from(["Invoice", "CreditNote"]),
    lines=st.lists(lines, min_size=1, max_size=8).map(tuple),
    allowance=money,
    charge=money,
    currency=st.sampled_from(["EUR", "USD", "SEK"]),
    notes=st.sampled_from([(), ("Merci · dank u ✓",)]),
)
several = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@several
@given(documents)
def test_documents_whose_totals_are_right_are_valid(validate: Validate, document: Document) -> None:
    assert [finding.sentence() for finding in validate(build(document)).findings] == []


@several
@given(documents, st.data())
def test_no_amount_can_change_unnoticed(validate: Validate, document: Document, data: st.DataObject) -> None:
    original = build(document)
    amount = data.draw(st.sampled_from(list(AMOUNT.finditer(original))))
    changed = str(Decimal(amount[1].decode()) + data.draw(st.sampled_from([Decimal("-2.50"), Decimal("3.75")])))
    tampered = original[: amount.start(1)] + changed.encode() + original[amount.end(1) :]
    assert validate(tampered).fatal
