"""Payments: statuses, methods, journal entries."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.stampli_to_sap_b1.records import (
    MAPPINGS,
    REFERENCES,
    accounting,
    amounts,
    codes,
    entry,
    payment,
)
from tieout.integrations.stampli_to_sap_b1.accounting import Accounting
from tieout.integrations.stampli_to_sap_b1.drafts import Exclude, Hold
from tieout.systems.stampli.records import SourceRecord

D = Decimal


@pytest.fixture(scope="module")
def books() -> Accounting:
    return accounting()


def with_methods(folder: Path, **content: Any) -> Accounting:
    shutil.copytree(MAPPINGS, folder / "mappings")
    (folder / "mappings/payment_methods.yaml").write_text(json.dumps({"cross_reference": "payment_methods", **content}))
    return accounting(folder / "mappings")


def test_a_payment_as_a_journal_entry(books: Accounting) -> None:
    draft = entry(books.draft(payment([("INV-7", "100"), ("INV-8", "21")]), REFERENCES))
    line = {"LineMemo": "INV-7, INV-8", "Reference1": "TRX 9", "Reference2": "PAY-1"}
    assert draft.body == {
        "ReferenceDate": "2026-11-20",
        "DueDate": "2026-11-20",
        "TaxDate": "2026-11-20",
        "Memo": "Payment TRX 9",
        "Reference": "TRX 9",
        "Reference2": "PAY-1",
        "AutoVAT": "tNO",
        "JournalEntryLines": [
            {"ShortName": "V1", **line, "Debit": D("121.00")},
            {"AccountCode": "580100", **line, "Credit": D("121.00")},
        ],
    }
    assert (draft.partner, draft.number, draft.identity) == ("V1", "PAY-1", "payment|PAY-1")
    assert (draft.amount, draft.record_only, draft.void, draft.approved) == (D("121.00"), False, False, True)


def test_without_a_reference_the_id_is_one(books: Accounting) -> None:
    draft = entry(books.draft(payment(reference=None), REFERENCES))
    assert draft.body is not None
    assert (draft.body["Reference"], draft.body["Memo"]) == ("PAY-1", "Payment PAY-1")


def test_foreign_currency(books: Accounting) -> None:
    references = replace(REFERENCES, rates={"USD 2026-11-20": D("0.9")})
    draft = entry(books.draft(payment(currency="USD"), references))
    assert amounts(draft, "FCDebit") == [("V1", D("121.00"))]
    assert amounts(draft, "Credit") == [("580100", D("108.90"))]


def test_a_refund_goes_the_other_way(books: Accounting) -> None:
    draft = entry(books.draft(payment([], amount=D(-5)), REFERENCES))
    assert amounts(draft, "Debit") == [("580100", D("5.00"))]
    assert amounts(draft, "Credit") == [("V1", D("5.00"))]


@pytest.mark.parametrize("method", ["WIRE", None])
def test_other_methods_and_none(books: Accounting, method: str | None) -> None:
    draft = entry(books.draft(payment(method=method), REFERENCES))
    assert amounts(draft, "Credit") == [("580900", D("121.00"))]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (payment([("INV-7", "121.01")]), "PAYMENT_OVER_APPLIED"),
        (payment([("INV-7", "100"), ("INV-8", "21.01")]), "PAYMENT_OVER_APPLIED"),
        (payment(status="LOST"), "UNKNOWN_STATUS"),
        (payment(status=None), "UNKNOWN_STATUS"),
        (payment(vendor_id=None), "MISSING_VENDOR"),
        (payment(payment_date=None), "MISSING_VALUE"),
        (payment(amount=None), "MISSING_VALUE"),
        (payment(currency="EURO"), "UNKNOWN_CURRENCY"),
        (payment([], amount=D("1.234")), "AMOUNT_PRECISION"),
        (payment(vendor_id="C1"), "WRONG_PARTNER_TYPE"),
    ],
)
def test_held(books: Accounting, record: SourceRecord, expected: str) -> None:
    assert codes(books.draft(record, REFERENCES)) == [expected]


def test_less_applied_than_paid_is_a_payment_on_account(books: Accounting) -> None:
    assert entry(books.draft(payment([("INV-7", "1")]), REFERENCES)).body


@pytest.mark.parametrize("status", ["scheduled", "PENDING"])
def test_not_made_yet(books: Accounting, status: str) -> None:
    draft = books.draft(payment(status=status, vendor_id=None), REFERENCES)
    assert draft == Exclude(f"payment not made yet (status {status})")


@pytest.mark.parametrize("status", ["VOID", "Returned"])
def test_void(books: Accounting, status: str) -> None:
    draft = entry(books.draft(payment(status=status), REFERENCES))
    assert (draft.void, draft.body, draft.identity) == (True, None, "payment|PAY-1")


def test_methods_that_are_only_recorded(tmp_path: Path) -> None:
    books = with_methods(tmp_path, entries={"CARD": "record_only", "ACH": "580100"}, otherwise="hold")
    card = entry(books.draft(payment(method="CARD"), REFERENCES))
    assert (card.record_only, card.body, card.amount) == (True, None, D("121.00"))
    assert not entry(books.draft(payment(), REFERENCES)).record_only
    other = books.draft(payment(method="WIRE"), REFERENCES)
    assert codes(other) == ["MAPPING_MISSING"]
    assert isinstance(other, Hold)
    assert other.reasons[0].owner == "data engineer"


def test_an_instance_that_only_records(books: Accounting) -> None:
    draft = entry(accounting(posting={"payments": "record_only"}).draft(payment(), REFERENCES))
    assert (draft.record_only, draft.body) == (True, None)


def test_a_clearing_account_that_sap_lacks(tmp_path: Path) -> None:
    books = with_methods(tmp_path, entries={"*": "1"})
    assert codes(books.draft(payment(), REFERENCES)) == ["UNKNOWN_ACCOUNT"]


def test_the_vendor_that_other_records_tell_of(books: Accounting) -> None:
    references = replace(REFERENCES, card_codes={"STV-1": "V1"})
    assert entry(books.draft(payment(vendor_id="STV-1"), references)).partner == "V1"
    assert entry(books.draft(payment(vendor_id="STV-2"), references)).partner == "STV-2"
