from __future__ import annotations

from datetime import date

import pytest

from tieout.errors import ConfigurationInvalid
from tieout.systems.sap_b1.entities import entity_set, window_filter

A, B = date(2026, 1, 5), date(2026, 2, 1)


@pytest.mark.parametrize(
    ("name", "since", "until", "expected"),
    [
        ("Invoices", A, None, "UpdateDate ge '2026-01-05' or CreationDate ge '2026-01-05'"),
        ("Items", A, None, "UpdateDate ge '2026-01-05' or CreateDate ge '2026-01-05'"),
        ("CreditNotes", A, B, "(UpdateDate ge '2026-01-05' and UpdateDate lt '2026-02-01')"),
        ("Orders", None, B, "UpdateDate lt '2026-02-01'"),
        ("BusinessPartners", None, None, None),
        ("IncomingPayments", A, B, None),
        ("ChartOfAccounts", A, None, None),
        ("VatGroups", A, None, None),
    ],
)
def test_window(name: str, since: date | None, until: date | None, expected: str | None) -> None:
    assert window_filter(entity_set(name), since, until) == expected


def test_unknown_entity_set() -> None:
    with pytest.raises(ConfigurationInvalid, match="'Invoice' is not known; known are Attachments2"):
        entity_set("Invoice")
