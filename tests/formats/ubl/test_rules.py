"""Each rule finds its defect, in each form a document may have; embedded files change nothing."""

from __future__ import annotations

import base64
import random
from decimal import Decimal

import pytest

from tests.formats.ubl.conftest import Validate
from tests.formats.ubl.invoices import PLAIN, Document, Line, Party, build, changed
from tests.formats.ubl.test_reading import FORMS, encoded, prefixed
from tieout.formats.findings import Finding
from tieout.formats.ubl import Profile, checking

PDF = base64.b64encode(random.Random(1).randbytes(8_000_000)).decode()
INVOICE = build(Document())
CREDIT_NOTE = build(Document("CreditNote"))

# What is replaced by what, and the rules that must find it.
DEFECTS: dict[str, tuple[str, str, set[str]]] = {
    "sum of lines": (
        ">250.00</cbc:LineExtensionAmount>",
        ">251.00</cbc:LineExtensionAmount>",
        {"BR-CO-10", "BR-CO-13"},
    ),
    "without VAT": (">250.00</cbc:TaxExclusiveAmount>", ">249.00</cbc:TaxExclusiveAmount>", {"BR-CO-13", "BR-CO-15"}),
    "with VAT": (">295.00</cbc:TaxInclusiveAmount>", ">295.01</cbc:TaxInclusiveAmount>", {"BR-CO-15", "BR-CO-16"}),
    "payable": (">295.00</cbc:PayableAmount>", ">295.01</cbc:PayableAmount>", {"BR-CO-16"}),
    "total VAT": (">45.00</cbc:TaxAmount>", ">46.00</cbc:TaxAmount>", {"BR-CO-14", "BR-CO-15"}),
    "VAT of a category": (">42.00</cbc:TaxAmount>", ">41.00</cbc:TaxAmount>", {"BR-CO-14", "BR-CO-17", "BR-S-09"}),
    "taxable": (">200.00</cbc:TaxableAmount>", ">210.00</cbc:TaxableAmount>", {"BR-CO-17", "BR-S-08", "BR-S-09"}),
    "line": (
        ">200.00</cbc:LineExtensionAmount>",
        ">200.03</cbc:LineExtensionAmount>",
        {"BR-CO-10", "PEPPOL-EN16931-R120"},
    ),
    "price": (">10</cbc:PriceAmount>", ">11</cbc:PriceAmount>", {"PEPPOL-EN16931-R120"}),
    "negative price": (">10</cbc:PriceAmount>", ">-10</cbc:PriceAmount>", {"BR-27", "PEPPOL-EN16931-R120"}),
    "three decimals": (">295.00</cbc:PayableAmount>", ">295.000</cbc:PayableAmount>", {"BR-DEC-18", "UBL-DT-01"}),
    "currency": (
        'currencyID="EUR">295.00</cbc:PayableAmount>',
        'currencyID="USD">295.00</cbc:PayableAmount>',
        {"PEPPOL-EN16931-R051"},
    ),
    "currency of VAT in a category": ('currencyID="EUR">42.00', 'currencyID="USD">42.00', {"PEPPOL-EN16931-R051"}),
    "no number": ("<cbc:ID>2026-0001</cbc:ID>", "", {"BR-02", "XSD"}),
    "no seller's address": ("<cbc:IdentificationCode>BE</cbc:IdentificationCode>", "", {"BR-09"}),
    "unknown country": (
        "<cbc:IdentificationCode>BE</cbc:IdentificationCode>",
        "<cbc:IdentificationCode>BX</cbc:IdentificationCode>",
        {"BR-CL-14"},
    ),
    "unknown unit": ('unitCode="C62"', 'unitCode="PIECE"', {"BR-CL-23"}),
    "unknown currency": ("<cbc:DocumentCurrencyCode>EUR", "<cbc:DocumentCurrencyCode>EURO", {"BR-CL-04"}),
    "enterprise number": ("0479899778</cbc:EndpointID>", "0479899779</cbc:EndpointID>", {"PEPPOL-COMMON-R043"}),
    "no endpoint": ('<cbc:EndpointID schemeID="0208">0479899778</cbc:EndpointID>', "", {"PEPPOL-EN16931-R020"}),
    "two notes": (
        "<cbc:DocumentCurrencyCode>",
        "<cbc:Note>a</cbc:Note><cbc:Note>b</cbc:Note><cbc:DocumentCurrencyCode>",
        {"PEPPOL-EN16931-R002"},
    ),
    "empty element": ("<cbc:BuyerReference>PO-7<", "<cbc:BuyerReference> <", {"PEPPOL-EN16931-R008"}),
    "element in the wrong place": (
        "<cbc:BuyerReference>PO-7</cbc:BuyerReference>",
        "<cbc:BuyerReference>PO-7</cbc:BuyerReference><cbc:TaxPointDate>2026-01-15</cbc:TaxPointDate>",
        {"XSD"},
    ),
    "date": ("2026-01-15", "2026-02-30", {"XSD", "PEPPOL-EN16931-F001"}),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found_by_its_rules(defect: str, validate: Validate) -> None:
    old, new, rules = DEFECTS[defect]
    assert rules <= {finding.rule for finding in validate(changed(INVOICE, old, new)).findings if finding.fatal}


def test_the_same_defect_in_a_credit_note(validate: Validate) -> None:
    [finding] = validate(changed(CREDIT_NOTE, ">295.00</cbc:PayableAmount>", ">295.01</cbc:PayableAmount>")).findings
    assert (finding.rule, finding.path) == ("BR-CO-16", "/CreditNote/cac:LegalMonetaryTotal")
    [due] = validate(
        changed(CREDIT_NOTE, "</cbc:IssueDate>", "</cbc:IssueDate><cbc:DueDate>2026-02-14</cbc:DueDate>")
    ).findings
    assert (due.layer, due.path) == ("XSD", "/CreditNote/cbc:DueDate")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_judged_alike(form: str, validate: Validate) -> None:
    assert not validate(FORMS[form]).findings
    codec = {"UTF-16": "utf-16", "ISO-8859-1": "latin-1", "windows-1252": "cp1252"}.get(form, "utf-8")
    broken = FORMS[form].decode(codec).replace(">285.93<", ">285.94<", 1).encode(codec)
    [first, second] = validate(broken).findings
    assert [(first.rule, first.path), (second.rule, second.path)] == [
        ("BR-CO-15", "/Invoice"),
        ("BR-CO-16", "/Invoice/cac:LegalMonetaryTotal"),
    ]


def test_paths_of_schema_errors_do_not_depend_on_prefixes(validate: Validate) -> None:
    broken = changed(INVOICE, "<cbc:ID>1</cbc:ID>", "<cbc:ID>1</cbc:ID><cbc:Wrong/>")
    expected = "/Invoice/cac:InvoiceLine[1]/cbc:Wrong"
    assert [finding.path for finding in validate(broken).findings if finding.layer == "XSD"] == [expected]
    assert [finding.path for finding in validate(prefixed(broken)).findings if finding.layer == "XSD"] == [expected]


def test_texts_beyond_ascii_reach_the_rules_unharmed(validate: Validate) -> None:
    # A rule compares a text of Swedish sellers: SE-R-005.
    scheme = (
        "</cac:PartyTaxScheme><cac:PartyTaxScheme><cbc:CompanyID>Godkänd för F-skatt</cbc:CompanyID><cac:TaxScheme>"
        "<cbc:ID>TAX</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme>"
    )
    seller = Party("Leverantör AB", "5567212047", "0007", "SE", "SE556721204701")
    swedish = changed(build(Document(seller=seller)), "</cac:PartyTaxScheme>", scheme)
    for data in (swedish, encoded(swedish, "UTF-16", "utf-16"), encoded(swedish, "ISO-8859-1", "latin-1")):
        assert "SE-R-005" not in {finding.rule for finding in validate(data).findings}
    assert "SE-R-005" in {finding.rule for finding in validate(changed(swedish, "Godkänd", "Godkand")).findings}


def test_a_large_embedded_file_changes_nothing(validate: Validate) -> None:
    data = build(Document(attachment=PDF))
    assert len(data) > 10_000_000  # libxml2's limit for one text, unless it is lifted
    assert not validate(data).findings
    [finding] = validate(changed(data, ">295.00</cbc:PayableAmount>", ">295.01</cbc:PayableAmount>")).findings
    assert finding.rule == "BR-CO-16"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('mimeCode="application/pdf"', 'mimeCode="application/zip"', {"BR-CL-24", "PEPPOL-EN16931-CL001"}),
        (' filename="copy.pdf"', "", {"UBL-DT-07"}),
        ('mimeCode="application/pdf" ', "", {"UBL-DT-06", "XSD"}),
        (f">{PDF[:400]}<", f">{' ' * 400}<", {"PEPPOL-EN16931-R008"}),
        (f">{PDF[:400]}<", f">{PDF[:399]}<", {"XSD"}),
    ],
    ids=["type", "no file name", "no type", "blank", "not base64"],
)
def test_what_rules_see_of_an_embedded_file_they_still_see(
    old: str, new: str, expected: set[str], validate: Validate
) -> None:
    data = build(Document(attachment=PDF[:400]))
    assert {finding.rule for finding in validate(changed(data, old, new)).findings} == expected


def test_a_document_that_is_wrong_everywhere_is_described_in_a_few_hundred_sentences(validate: Validate) -> None:
    lines = (Line(price=Decimal(0)),) * (checking.MOST_FINDINGS + 50)
    data = changed(build(Document(lines=lines)), ">0</cbc:PriceAmount>", ">1</cbc:PriceAmount>", -1)
    findings = validate(data).findings
    assert len(findings) == checking.MOST_FINDINGS + 1
    assert findings[-1].sentence() == "MORE: 50 further findings are not listed."
    assert len({finding.path for finding in findings}) == len(findings)


def test_each_finding_is_told_once_and_layer_by_layer() -> None:
    first, second = Finding("R1", "PEPPOL", "fatal", "x", "/a"), Finding("R2", "XSD", "fatal", "x", "/a")
    elsewhere = Finding("R1", "PEPPOL", "fatal", "x", "/b")
    assert checking._bounded([first, second, first, elsewhere]) == (second, first, elsewhere)


def test_comments_and_instructions_do_not_get_in_the_way(validate: Validate) -> None:
    """Several rules break on an element with two texts, such as the one that checks the form of dates."""
    divided = changed(INVOICE, ">2026-01-15<", ">2026-<!-- January -->01-<?a b?>15<")
    assert not validate(divided).findings
    [finding] = validate(changed(divided, ">295.00</cbc:PayableAmount>", ">295.01</cbc:PayableAmount>")).findings
    assert finding.rule == "BR-CO-16"


PROFILES: list[tuple[Profile, list[tuple[str, str, str]]]] = [
    ("auto", [("PEPPOL-EN16931-R004", "TIEOUT", "warning")]),
    ("peppol", [("PEPPOL-EN16931-R004", "TIEOUT", "fatal")]),
    ("en16931", []),
]


@pytest.mark.parametrize(("profile", "expected"), PROFILES)
def test_plain_en16931_documents(profile: Profile, expected: list[tuple[str, str, str]], validate: Validate) -> None:
    """No Peppol rule is applied to them: this one would have no buyer reference."""
    plain = changed(build(Document(customization=PLAIN)), "<cbc:BuyerReference>PO-7</cbc:BuyerReference>", "")
    findings = validate(plain, profile).findings
    assert [(finding.rule, finding.layer, finding.severity) for finding in findings] == expected
    wrong = validate(changed(plain, ">295.00</cbc:PayableAmount>", ">295.01</cbc:PayableAmount>"), profile)
    assert "BR-CO-16" in {finding.rule for finding in wrong.findings}


def test_peppol_rules_apply_to_every_other_customization(validate: Validate) -> None:
    for other in (f"{PLAIN}#conformant#urn:UBL.BE:1.0.0.20180214", f"{PLAIN}#", "x"):
        findings = validate(build(Document(customization=other))).findings
        assert [(finding.rule, finding.layer) for finding in findings] == [("PEPPOL-EN16931-R004", "PEPPOL")]
    no_reference = changed(INVOICE, "<cbc:BuyerReference>PO-7</cbc:BuyerReference>", "")
    assert validate(no_reference).fatal and validate(no_reference, "peppol").fatal
    assert not validate(no_reference, "en16931").findings
