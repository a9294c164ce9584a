"""Where the packaged rules lag behind: what newer ones allow passes, and only that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.formats.ubl.conftest import Validate
from tests.formats.ubl.invoices import BUYER, SELF_BILLING, SELLER, Document, Line, Party, build, changed
from tieout.formats.ubl import Verdict
from tieout.formats.ubl.adjustments import ADJUSTMENTS

PLUGINS = Path(__file__).parents[3] / "plugins"
GERMAN = Party("Lieferant GmbH", "DE123456789", "9930", "DE", "DE123456789")
DUTCH = Party("Leverancier BV", "12345678", "0106", "NL", "NL123456789B01")
SWEDISH = Party("Leverantör AB", "5567212047", "0007", "SE", "SE556721204701")
DANISH = Party("Kunde ApS", "12345678", "0184", "DK", "DK12345678")


def found(verdict: Verdict, rule: str) -> set[str]:
    return {finding.severity for finding in verdict.findings if finding.rule == rule}


def of(document: Document, *replacements: tuple[str, str]) -> bytes:
    data = build(document)
    for old, new in replacements:
        data = changed(data, old, new, -1)
    return data


def typed(document: Document, code: str) -> bytes:
    return of(document, (">380<", f">{code}<"))


def scheme(code: str) -> bytes:
    return of(Document(), ('<cbc:EndpointID schemeID="0208">0739484052', f'<cbc:EndpointID schemeID="{code}">x'))


def charged(code: str) -> bytes:
    charge = Document(charge=Line().price)
    return of(
        charge,
        (
            "<cbc:AllowanceChargeReason>",
            f"<cbc:AllowanceChargeReasonCode>{code}</cbc:AllowanceChargeReasonCode><cbc:AllowanceChargeReason>",
        ),
    )


SWEDISH_RATE = Document(lines=(Line(rate=("S", "21")),), seller=SWEDISH)
TWO_NOTES = Document(notes=("a", "b"))
PAID_OUT = Document("CreditNote", means="", seller=DUTCH)
GREEK = Document(seller=Party("Προμηθευτής", "x", "9933", "GR", "EL123456789"))

# rule → a document that it no longer concerns (and what is left of it), and one that it still does.
CASES: dict[str, tuple[bytes, set[str], bytes | None]] = {
    "PEPPOL-EN16931-CL008": (scheme("0242"), {"warning"}, None),
    "BR-CL-25": (scheme("0999"), {"warning"}, None),
    "PEPPOL-EN16931-CL007": (build(Document(currency="SLE")), set(), build(Document(currency="EUX"))),
    "PEPPOL-EN16931-CL003": (charged("PRV"), set(), charged("QQQ")),
    "PEPPOL-EN16931-R002": (
        build(replace(TWO_NOTES, seller=GERMAN, buyer=GERMAN)),
        set(),
        build(replace(TWO_NOTES, seller=GERMAN)),
    ),
    "PEPPOL-EN16931-P0100": (
        typed(Document(seller=GERMAN, buyer=GERMAN), "384"),
        set(),
        typed(Document(seller=GERMAN), "384"),
    ),
    "PEPPOL-EN16931-R007": (
        build(Document(profile="urn:peppol:bis:billing_with_response")),
        set(),
        build(Document(profile="urn:peppol:bis:billing")),
    ),
    "PEPPOL-COMMON-R042": (
        build(Document(buyer=DANISH)),
        set(),
        build(Document(buyer=replace(DANISH, number="1234567"))),
    ),
    "NL-R-007": (build(PAID_OUT), set(), build(replace(PAID_OUT, kind="Invoice"))),
    "NL-R-008": (
        build(Document(seller=DUTCH, means="54")),
        set(),
        build(Document(seller=DUTCH, buyer=DUTCH, means="54")),
    ),
    "SE-R-006": (build(SWEDISH_RATE), set(), build(replace(SWEDISH_RATE, buyer=SWEDISH))),
    "GR-R-001-5": (of(GREEK, ("<cbc:ID>2026-0001<", "<cbc:ID>x|x|x|99.9|x|x<")), set(), None),
}


def test_every_adjustment_has_a_case() -> None:
    assert set(CASES) == {adjustment.rule for adjustment in ADJUSTMENTS}


@pytest.mark.parametrize("rule", CASES)
def test_what_newer_rules_allow_is_not_fatal(rule: str, validate: Validate) -> None:
    allowed, left, _ = CASES[rule]
    assert found(validate(allowed), rule) == left


@pytest.mark.parametrize("rule", [rule for rule in CASES if CASES[rule][2] is not None])
def test_what_they_still_forbid_is_fatal(rule: str, validate: Validate) -> None:
    forbidden = CASES[rule][2]
    assert forbidden is not None
    assert found(validate(forbidden), rule) == {"fatal"}


@pytest.mark.parametrize(
    "allowed", ["PEPPOL-EN16931-CL007", "PEPPOL-EN16931-CL003", "PEPPOL-EN16931-R007", "PEPPOL-COMMON-R042", "NL-R-008"]
)
def test_documents_of_today_are_valid_altogether(allowed: str, validate: Validate) -> None:
    assert not validate(CASES[allowed][0]).findings


UNADJUSTED = """
import json, sys
from tieout.formats.ubl import adjustments, artefacts, checking

adjustments._BY_RULE.clear()
checker = checking.Checker(artefacts.Artefacts.find())
for rule, document in json.load(sys.stdin).items():
    if rule not in {finding.rule for finding in checker.check(document.encode(), "auto") if finding.fatal}:
        print(rule)
"""


def test_the_packaged_rules_alone_would_refuse_them() -> None:
    """Else an adjustment would be one too many. Saxon answers in a process of its own, as ever."""
    documents = {rule: allowed.decode() for rule, (allowed, _, _) in CASES.items()}
    answer = subprocess.run(
        [sys.executable, "-c", UNADJUSTED],
        input=json.dumps(documents),
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.split() == []


def test_belgian_schemes_are_never_forgiven(validate: Validate) -> None:
    """They are on every list, so that only a broken list could report them; a number is still checked."""
    assert not found(validate(scheme("9925")), "PEPPOL-EN16931-CL008")
    assert found(validate(build(Document(buyer=replace(BUYER, number="0739484053")))), "PEPPOL-COMMON-R043") == {
        "fatal"
    }


SELF_BILLED = Document(customization=SELF_BILLING, profile="urn:fdc:peppol.eu:2017:poacc:selfbilling:01:1.0")


def test_self_billed_documents_are_peppol_documents(validate: Validate) -> None:
    assert not validate(typed(SELF_BILLED, "389")).findings
    assert not validate(of(replace(SELF_BILLED, kind="CreditNote"), (">381<", ">261<"))).findings


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (typed(SELF_BILLED, "380"), "PEPPOL-EN16931-P0100"),
        (build(replace(SELF_BILLED, kind="CreditNote")), "PEPPOL-EN16931-P0101"),
        (typed(replace(SELF_BILLED, profile=Document().profile), "389"), "PEPPOL-EN16931-R007"),
        (typed(replace(SELF_BILLED, customization=f"{SELF_BILLING}::2.1"), "389"), "PEPPOL-EN16931-R004"),
        (typed(replace(SELF_BILLED, seller=replace(SELLER, number="0479899779")), "389"), "PEPPOL-COMMON-R043"),
    ],
    ids=["type", "type of credit note", "process", "identifier", "number"],
)
def test_self_billed_documents_have_rules_as_well(data: bytes, rule: str, validate: Validate) -> None:
    assert {finding.rule for finding in validate(data).findings if finding.fatal} == {rule}


def test_national_rules_do_not_apply_to_self_billing(validate: Validate) -> None:
    dutch = replace(SELF_BILLED, seller=DUTCH, buyer=DUTCH, means="54")
    assert not validate(typed(dutch, "389")).findings


def test_vat_of_a_category_is_in_the_documents_currency(validate: Validate) -> None:
    [finding] = [f for f in validate(of(Document(), ('"EUR">42.00<', '"USD">42.00<'))).findings if f.layer == "TIEOUT"]
    assert finding.path == "/Invoice/cac:TaxTotal/cac:TaxSubtotal[1]/cbc:TaxAmount"
    assert "is in USD; it must be in the document's currency, EUR." in finding.message
