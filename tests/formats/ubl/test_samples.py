"""Known documents: two valid, and thirteen with one defect each, named after the rule that finds it."""

from __future__ import annotations

import pytest

from tests.formats.ubl.conftest import Validate
from tests.formats.ubl.invoices import SAMPLES

SUPPLIER_TOTALS = "/Invoice/cac:LegalMonetaryTotal"
BUYER = "/Invoice/cac:AccountingCustomerParty/cac:Party"
SUBTOTAL = "/Invoice/cac:TaxTotal/cac:TaxSubtotal[1]"
EXPECTED = {
    "ok_invoice": [],
    "ok_creditnote": [],
    "bad_total_BR-CO-15": [("EN16931", "BR-CO-15", "/Invoice"), ("EN16931", "BR-CO-16", SUPPLIER_TOTALS)],
    "bad_vat_BR-S-09": [
        ("EN16931", "BR-CO-17", SUBTOTAL),
        ("EN16931", "BR-S-09", f"{SUBTOTAL}/cac:TaxCategory"),
    ],
    "bad_kbo_R043": [
        ("PEPPOL", "PEPPOL-COMMON-R043", f"{BUYER}/cbc:EndpointID"),
        ("PEPPOL", "PEPPOL-COMMON-R043", f"{BUYER}/cac:PartyLegalEntity/cbc:CompanyID"),
    ],
    "bad_no_buyer_endpoint_R010": [("PEPPOL", "PEPPOL-EN16931-R010", BUYER)],
    "bad_no_ref_R003": [("PEPPOL", "PEPPOL-EN16931-R003", "/Invoice")],
    "bad_customization_R004": [("PEPPOL", "PEPPOL-EN16931-R004", "/Invoice")],
    "bad_profile_R007": [("PEPPOL", "PEPPOL-EN16931-R007", "/Invoice")],
    "bad_empty_R008": [("PEPPOL", "PEPPOL-EN16931-R008", "/Invoice/cbc:BuyerReference")],
    "bad_line_R120": [("PEPPOL", "PEPPOL-EN16931-R120", "/Invoice/cac:InvoiceLine[1]")],
    "bad_currency_mix_R051": [("PEPPOL", "PEPPOL-EN16931-R051", f"{SUPPLIER_TOTALS}/cbc:PayableAmount")],
    "bad_order_XSD": [("XSD", "XSD", "/Invoice/cbc:DueDate")],
    "bad_creditnote_duedate_XSD": [("XSD", "XSD", "/CreditNote/cbc:DueDate")],
    "bad_date_XSD": [
        ("XSD", "XSD", "/Invoice/cbc:IssueDate"),
        ("PEPPOL", "PEPPOL-EN16931-F001", "/Invoice/cbc:IssueDate"),
    ],
}


def test_the_table_has_all_samples() -> None:
    assert {file.stem for file in SAMPLES.glob("*.xml")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_has_exactly_its_findings(name: str, validate: Validate) -> None:
    verdict = validate((SAMPLES / f"{name}.xml").read_bytes())
    assert [(finding.layer, finding.rule, finding.path) for finding in verdict.findings] == EXPECTED[name]
    assert verdict.fatal == bool(EXPECTED[name])
    assert all(finding.fatal for finding in verdict.findings)


def test_a_finding_is_a_sentence_without_markup(validate: Validate) -> None:
    [first, _] = validate((SAMPLES / "bad_total_BR-CO-15.xml").read_bytes()).findings
    assert first.message == (
        "Invoice total amount with VAT (BT-112) = Invoice total amount without VAT (BT-109) + Invoice total VAT "
        "amount (BT-110)."
    )
    [order] = validate((SAMPLES / "bad_order_XSD.xml").read_bytes()).findings
    assert order.message == (
        "Element 'cbc:DueDate': This element is not expected. Expected is one of "
        "( cbc:CopyIndicator, cbc:UUID, cbc:IssueDate )."
    )
    assert order.line == 2
