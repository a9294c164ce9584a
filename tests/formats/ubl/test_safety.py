"""Files from strangers: nothing in them is expanded, fetched or executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.formats.ubl.conftest import Validate
from tests.formats.ubl.invoices import Document, build, changed
from tieout.formats.ubl import UblUnreadable, money_of, read_facts, safe_xml

INVOICE = build(Document())


def declared(doctype: str, use: str) -> bytes:
    data = changed(INVOICE, "<Invoice ", f"<!DOCTYPE Invoice {doctype}>\n<Invoice ")
    return changed(data, "<cbc:ID>2026-0001</cbc:ID>", f"<cbc:ID>{use}</cbc:ID>")


def laughs(levels: int) -> str:
    """Entities of ten times the one before: 10 to the power of the levels."""
    entities = ['<!ENTITY l0 "lol">']
    entities += [f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, levels)]
    return f"[{''.join(entities)}]"


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("secret") / "secret.txt"
    file.write_text("hush")
    return file


ATTACKS = {
    "document type alone": ("SYSTEM 'invoice.dtd'", "1"),
    "internal entity": ("[<!ENTITY a 'b'>]", "&a;"),
    "external entity": ("[<!ENTITY a SYSTEM 'file://SECRET'>]", "&a;"),
    "parameter entity": ("[<!ENTITY % p SYSTEM 'http://127.0.0.1:1/x.dtd'> %p;]", "1"),
    "billion laughs": (laughs(10), "&l9;"),
    "billion laughs in an attribute": (laughs(10), "1</cbc:ID><cbc:ID schemeID='&l9;'>1"),
    "default attribute": ("[<!ATTLIST Invoice x CDATA 'y'>]", "1"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_document_types_are_refused_unread(attack: str, secret: Path, validate: Validate) -> None:
    doctype, use = ATTACKS[attack]
    data = declared(doctype.replace("SECRET", str(secret)), use)
    with pytest.raises(UblUnreadable, match="document type declaration") as caught:
        read_facts(data)
    assert (caught.value.rule, caught.value.line) == ("XML-DTD", 2)
    assert money_of(data) is None
    [finding] = validate(data).findings
    assert (finding.layer, finding.rule, finding.fatal) == ("XML", "XML-DTD", True)
    assert "hush" not in finding.sentence()


def test_a_document_type_is_seen_in_any_encoding_and_behind_a_long_comment() -> None:
    data = changed(declared("[<!ENTITY a 'b'>]", "&a;"), "<!DOCTYPE", f"<!--{'x' * 200_000}-->\n<!DOCTYPE")
    for variant in (data, data.decode().replace("UTF-8", "UTF-16").encode("utf-16")):
        with pytest.raises(UblUnreadable) as caught:
            read_facts(variant)
        assert (caught.value.rule, caught.value.line) == ("XML-DTD", 3)
    commented = changed(INVOICE, "<Invoice ", f"<!--{'<!DOCTYPE x>' * 20_000}-->\n<Invoice ")
    assert read_facts(commented) == read_facts(INVOICE)


def test_a_file_beyond_the_limit_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_xml, "LARGEST", len(INVOICE))
    read_facts(INVOICE)
    with pytest.raises(UblUnreadable, match="are not read"):
        read_facts(INVOICE + b" ")


@pytest.mark.parametrize(
    ("data", "layer", "rule"),
    [
        (b"", "XML", "XML"),
        (b"not XML at all", "XML", "XML"),
        (b"<Invoice/>", "XSD", "XSD"),
        (b"<a>" * 5000 + b"</a>" * 5000, "XML", "XML"),
    ],
    ids=["empty", "text", "other root", "deep"],
)
def test_what_cannot_be_read_is_one_finding(data: bytes, layer: str, rule: str, validate: Validate) -> None:
    [finding] = validate(data).findings
    assert (finding.layer, finding.rule, finding.fatal) == (layer, rule, True)


def test_nesting_beyond_the_parsers_limit_is_a_finding_and_the_worker_lives(validate: Validate) -> None:
    deep = changed(INVOICE, "<cbc:ID>2026-0001</cbc:ID>", f"<cbc:ID>{'<a>' * 150}{'</a>' * 150}</cbc:ID>")
    assert {finding.layer for finding in validate(deep).findings} == {"XML", "XSD"}
    assert not validate(INVOICE).findings


def test_hundreds_of_thousands_of_ampersands_are_no_attack(validate: Validate) -> None:
    """Saxon's own parser counts each `&amp;` as an entity unless it is told not to."""
    assert not validate(changed(INVOICE, "Consulting", "&amp;" * 300_000)).findings
