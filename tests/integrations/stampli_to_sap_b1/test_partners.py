"""Vendors as business partners: codes, owned properties, changes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.stampli_to_sap_b1.records import MAPPINGS, REFERENCES, accounting, codes, invoice, vendor
from tieout.integrations.stampli_to_sap_b1.accounting import Accounting
from tieout.integrations.stampli_to_sap_b1.drafts import EntryDraft, Hold, PartnerDraft
from tieout.integrations.stampli_to_sap_b1.partners import partner_changes
from tieout.systems.stampli.records import SourceRecord

ADDRESS = {
    "AddressName": "Bill to",
    "AddressType": "bo_BillTo",
    "Street": "ul. Piotrkowska 1",
    "City": "Łódź",
    "ZipCode": "90-001",
    "Country": "PL",
}
OWNED = {
    "CardName": "Łódź Textiles",
    "FederalTaxID": "PL123",
    "EmailAddress": "ap@textiles.example.test",
    "Phone1": "+48 42 1",
    "Frozen": "tNO",
}


@pytest.fixture(scope="module")
def books() -> Accounting:
    return accounting()


def custom(folder: Path, rules: str = "", **codes: str) -> Accounting:
    """The project's files with other rules, or with entries in vendor_codes."""
    copy = folder / "mappings"
    shutil.copytree(MAPPINGS, copy)
    if rules:
        (copy / "business_partners.yaml").write_text(rules)
    if codes:
        (copy / "vendor_codes.yaml").write_text(json.dumps({"cross_reference": "vendor_codes", "entries": codes}))
    return accounting(copy)


def drafted(books: Accounting, record: SourceRecord, **more: Any) -> PartnerDraft:
    draft = books.draft(record, replace(REFERENCES, **more))
    assert isinstance(draft, PartnerDraft), draft
    return draft


def test_a_new_vendor(books: Accounting) -> None:
    draft = drafted(books, vendor())
    assert (draft.card_code, draft.label) == ("N1", "Łódź Textiles")
    assert draft.owned == {**OWNED, "BPAddresses": [ADDRESS]}
    assert draft.create == {"CardCode": "N1", "CardType": "cSupplier", **draft.owned, "Currency": "EUR"}


def test_a_new_vendor_that_is_not_in_use(books: Accounting) -> None:
    create = drafted(books, vendor(active="false")).create
    assert (create["Frozen"], create["Valid"]) == ("tYES", "tNO")


def test_nothing_said_is_nothing_owned(books: Accounting) -> None:
    empty = dict.fromkeys(("tax_id", "email", "phone", "address_line1", "city", "postal_code", "country", "active"))
    draft = drafted(books, vendor(**empty, currency=None))
    assert draft.owned == {"CardName": "Łódź Textiles"}
    assert draft.create == {"CardCode": "N1", "CardType": "cSupplier", "CardName": "Łódź Textiles"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (vendor(vendor_id="V" * 16), "CARD_CODE_INVALID"),
        (vendor(vendor_id="V|1"), "CARD_CODE_INVALID"),
        (vendor(erp_vendor_id="C1"), "WRONG_PARTNER_TYPE"),
        (vendor(name=None), "MISSING_VALUE"),
        (vendor(currency="EURO"), "VALUE_TOO_LONG"),
        (vendor(currency="XQX"), "UNKNOWN_CURRENCY"),
        (vendor(phone="0" * 21), "VALUE_TOO_LONG"),
        (vendor(country="Poland"), "INVALID_VALUE"),
        (vendor(active="maybe"), "INVALID_VALUE"),
        (vendor(vendor_id=None), "MISSING_VENDOR"),
    ],
)
def test_held(books: Accounting, record: SourceRecord, expected: str) -> None:
    assert codes(books.draft(record, REFERENCES)) == [expected]


def test_all_currencies_and_a_long_name(books: Accounting) -> None:
    create = drafted(books, vendor(currency="##", name="x" * 101)).create
    assert (create["Currency"], create["CardName"]) == ("##", "x" * 100)


def test_a_new_vendor_that_may_be_there_already(books: Accounting, tmp_path: Path) -> None:
    holders = {"PL123": ("V7", "V8")}
    held = books.draft(vendor(tax_id="PL 12-3"), replace(REFERENCES, tax_id_holders=holders))
    assert codes(held) == ["VENDOR_MAY_EXIST"]
    assert isinstance(held, Hold)
    assert "V7, V8" in held.reasons[0].message
    # Not where SAP has the vendor under its own code, nor where somebody has said which one it is.
    assert drafted(books, vendor(vendor_id="V1"), tax_id_holders=holders)
    assert drafted(books, vendor(), tax_id_holders={"PL123": ("N1",)})
    assert drafted(custom(tmp_path, N1="V9"), vendor(), tax_id_holders=holders).card_code == "V9"


# -- codes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"vendor_id": "STV-1"}, "V1"),
        ({"vendor_id": "STV-1", "erp": "E1"}, "V1"),
        ({"vendor_id": "STV-2", "erp": "E1"}, "E1"),
        ({"vendor_id": "STV-2"}, "S-STV-2"),
        ({"vendor_id": None, "erp": "E1"}, "E1"),
    ],
    ids=["cross-reference", "before the ERP id", "ERP id", "template", "no vendor id"],
)
def test_a_vendor_and_its_invoices_have_the_same_code(tmp_path: Path, header: dict[str, str], code: str) -> None:
    rules = (MAPPINGS / "business_partners.yaml").read_text().replace('"{vendor_id}"', '"S-{vendor_id}"')
    books = custom(tmp_path, rules, **{"STV-1": "V1"})
    erp = header.get("erp")
    assert drafted(books, vendor(vendor_id=header["vendor_id"], erp_vendor_id=erp)).card_code == code
    draft = books.draft(invoice(vendor_id=header["vendor_id"], vendor_erp_id=erp), REFERENCES)
    assert isinstance(draft, EntryDraft)
    assert draft.partner == code


# -- changes ----------------------------------------------------------------------------------------------------------


def current(**more: Any) -> dict[str, Any]:
    """The vendor as SAP has it, with properties that nobody but SAP decides on."""
    row = {**ADDRESS, "RowNum": 3, "County": None, "TaxCode": "X"}
    return {
        "CardCode": "N1",
        **OWNED,
        "Valid": "tYES",
        "CreditLimit": 5.0,
        "Currency": "USD",
        "BPAddresses": [row],
        **more,
    }


def test_nothing_differs(books: Accounting) -> None:
    assert partner_changes(drafted(books, vendor()), current()) == {}


def test_only_what_differs(books: Accounting) -> None:
    draft = drafted(books, vendor())
    assert partner_changes(draft, current(EmailAddress=None, CardName=" Łódź Textiles ")) == {
        "EmailAddress": "ap@textiles.example.test"
    }


def test_in_use_or_not(books: Accounting) -> None:
    draft = drafted(books, vendor(active="false"))
    assert partner_changes(draft, current()) == {"Frozen": "tYES", "Valid": "tNO"}
    assert partner_changes(draft, current(Valid="tNO")) == {"Frozen": "tYES"}
    back = drafted(books, vendor())
    assert partner_changes(back, current(Frozen="tYES", Valid="tNO")) == {"Frozen": "tNO", "Valid": "tYES"}


def test_an_address_is_changed_in_its_row(books: Accounting) -> None:
    draft = drafted(books, vendor(city="Kraków"))
    changed = {"City": "Kraków", "AddressName": "Bill to", "AddressType": "bo_BillTo", "RowNum": 3}
    assert partner_changes(draft, current()) == {"BPAddresses": [changed]}


def test_the_only_bill_to_address_keeps_its_name(books: Accounting) -> None:
    row = {**ADDRESS, "AddressName": "Head office", "RowNum": 0, "City": "?"}
    ship_to = {**ADDRESS, "AddressType": "bo_ShipTo", "RowNum": 1}
    draft = drafted(books, vendor())
    assert partner_changes(draft, current(BPAddresses=[{**row, "City": "Łódź"}, ship_to])) == {}
    changed = {"City": "Łódź", "AddressName": "Head office", "AddressType": "bo_BillTo", "RowNum": 0}
    assert partner_changes(draft, current(BPAddresses=[row, ship_to])) == {"BPAddresses": [changed]}


@pytest.mark.parametrize("names", [[], ["A", "B"]])
def test_an_address_of_its_own_where_there_is_none_or_several(books: Accounting, names: list[str]) -> None:
    rows = [{**ADDRESS, "AddressName": name, "RowNum": number} for number, name in enumerate(names)]
    assert partner_changes(drafted(books, vendor()), current(BPAddresses=rows)) == {"BPAddresses": [ADDRESS]}


def test_an_empty_value_may_clear(tmp_path: Path) -> None:
    rules = (
        (MAPPINGS / "business_partners.yaml").read_text().replace("when_empty: keep\nowned", "when_empty: clear\nowned")
    )
    draft = drafted(custom(tmp_path, rules), vendor(phone=None, active=None))
    assert partner_changes(draft, current()) == {"Phone1": ""}
    assert "Frozen" not in draft.owned


def test_the_fingerprint_follows_what_is_owned(books: Accounting) -> None:
    first = drafted(books, vendor()).fingerprint
    assert drafted(books, vendor(updated_at="2026-11-21T08:00:00Z", currency="USD")).fingerprint == first
    assert drafted(books, vendor(email="new@example.test")).fingerprint != first
