"""The lineage of every target: each field, element and property that is written has its sources, none is made up."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integrations.stampli_to_sap_b1.records import REFERENCES, accounting, entry, invoice, line, payment, vendor
from tieout.formats.x12.envelope import ControlNumbers, Envelope
from tieout.formats.x12.profile import Participant, X12Profile
from tieout.formats.x12.sets import LAYOUTS
from tieout.integrations.banqup_to_sftp.config import PATH_VARIABLES
from tieout.integrations.banqup_to_sftp.index import SUITES
from tieout.integrations.stampli_to_sap_b1.drafts import PartnerDraft
from tieout.integrations.syspro_to_legacy_erp.conversion import SETS
from tieout.integrations.syspro_to_legacy_erp.gl.rules import SOURCES, read_gl_rules
from tieout.lineage import syspro
from tieout.lineage.banqup import banqup
from tieout.lineage.catalog import TargetLineage, file_lineage, without_mapping_files
from tieout.mapping.lineage import NOTHING, ColumnLineage, Kind
from tieout.systems.stampli.columns import RECORD_KINDS
from tieout.systems.syspro.tables import TABLES

INCLUDE = Path(__file__).parents[2] / "include/mappings"
STAMPLI = INCLUDE / "stampli_to_sap_b1"
SYSPRO = INCLUDE / "syspro_to_legacy_erp"
FILES = sorted(INCLUDE.rglob("*.yaml"))
PROFILE = X12Profile(sender=Participant(id="SENDER"), receiver=Participant(id="RECEIVER"), test_indicator="T")


def kind_of(path: Path) -> str:
    """The first key of a mapping file."""
    return str(next(iter(yaml.safe_load(path.read_text()))))


def of(path: Path, form: str = "", entity: str = "") -> list[ColumnLineage]:
    """The rows of one target."""
    found = [each for each in file_lineage(path) if form in ("", each.form) and entity in ("", each.entity)]
    assert len(found) == 1
    return list(found[0].rows)


def sources(rows: list[ColumnLineage], target: str) -> list[tuple[str, str]]:
    return [(row.source, row.transformation) for row in rows if row.target == target]


def written(body: dict[str, Any], path: str) -> set[str]:
    """The paths of all properties of a record that goes to SAP."""
    found = set()
    for name, value in body.items():
        if isinstance(value, list):
            found |= {inner for row in value for inner in written(row, f"{path}.{name}")}
        else:
            found.add(f"{path}.{name}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_file_has_its_lineage(path: Path) -> None:
    found = file_lineage(path)
    assert bool(found) == (kind_of(path) != "cross_reference")
    for target in found:
        assert target.rows
        assert target.integration in ("sap_b1_to_peakflo", "stampli_to_sap_b1", "syspro_to_legacy_erp")
        for row in target.rows:
            assert row.source and row.target and row.transformation
            assert bool(row.staged) <= (row.kind is not Kind.CONSTANT)


def test_every_cross_reference_is_used() -> None:
    names = {
        yaml.safe_load(path.read_text())["cross_reference"] for path in FILES if kind_of(path) == "cross_reference"
    }
    words = " ".join(row.transformation for path in FILES for target in file_lineage(path) for row in target.rows)
    assert names and all(f"cross-reference {name}" in words for name in names)


# --- SYSPRO


def test_a_posting_has_what_columns_and_specs_may_name() -> None:
    columns = syspro.gl_columns(read_gl_rules(SYSPRO / "gl_postings.yaml"))
    assert set(columns) == set(SOURCES)
    assert all(columns.values())


def test_syspro_sources_are_columns_of_its_tables() -> None:
    found = [row for path in SYSPRO.rglob("*.yaml") for target in file_lineage(path) for row in target.rows]
    for row in found:
        if row.kind.reads_source:
            table, _, column = row.source.partition(".")
            assert column in TABLES[table].columns, row


def test_gl_columns_follow_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "gl_postings.yaml"
    path.write_text(
        "gl_postings: x\ncost_centre: {method: slice, start: 2, length: 3}\n"
        "account: {method: regex, pattern: '^[0-9]+'}\n"
        "columns: [{name: CC, from: cost_centre}, {name: ACC, from: account}, {name: booked, from: date}]\n"
    )
    assert [(row.target, row.source, row.transformation) for row in of(path, "csv")] == [
        ("CC", "GenJournalDetail.GlCode", "characters from 2, 3 of them, then cross-reference cost_centres"),
        ("ACC", "GenJournalDetail.GlCode", "what ^[0-9]+ finds, then cross-reference accounts"),
        ("booked", "GenJournalDetail.EntryDate", "rename"),
        ("booked", "GenJournalCtl.JournalDate", "where the entry has none"),
    ]


def test_every_field_of_the_record_spec() -> None:
    path = SYSPRO / "record_specs/gl_fixed_width.yaml"
    rows = of(path, "fixed_width gl_fixed_width", "gl_postings")
    records = yaml.safe_load(path.read_text())["records"]
    fields = [
        (name, field["name"], field["start"], field["start"] + field["width"] - 1)
        for name, record in records.items()
        for field in record["fields"]
    ]
    expected = [
        f"{record}.{name}, " + (f"positions {start}-{end}" if end > start else f"position {start}")
        for record, name, start, end in fields
    ]
    assert list(dict.fromkeys(row.target for row in rows)) == expected
    assert not [row for row in rows if row.kind is Kind.ABSENT]
    assert sources(rows, "detail.amount, positions 80-93") == [
        ("GenJournalDetail.EntryValue", "sign by source.debit_is, then 2 decimals, sign overpunch")
    ]
    assert sources(rows, "trailer.debit, positions 11-25") == [
        ("GenJournalDetail.EntryValue", "sign by source.debit_is, then sum of amount, debits only")
    ]
    assert sources(rows, "header.company, positions 2-5")[0][0] == "${company_id}"
    assert sources(rows, "detail.line_number, positions 2-10")[0][0] == "(generated)"


SPEC = """
totals: {all: {sum: total_amount}}
records:
  detail:
    length: 20
    fields:
      - {name: number, start: 1, width: 10, from: %s}
      - {name: total, start: 11, width: 10, from: total_amount, type: decimal, scale: 2}
  trailer:
    length: 10
    fields: [{name: sum, start: 1, width: 10, from: all, type: decimal, scale: 2}]
"""


@pytest.mark.parametrize(
    ("column", "entities", "source"),
    [
        ("invoice_number", ["invoices"], "ApInvoice.Invoice"),
        ("purchase_order", ["purchase_orders"], "PorMasterHdr.PurchaseOrder"),
        ("nowhere", [""], NOTHING),
    ],
)
def test_a_record_spec_belongs_to_the_entities_that_have_its_columns(
    tmp_path: Path, column: str, entities: list[str], source: str
) -> None:
    folder = tmp_path / "syspro_to_legacy_erp"
    shutil.copytree(SYSPRO, folder)
    path = folder / "record_specs/mine.yaml"
    path.write_text(SPEC % column)
    found = file_lineage(path)
    assert [each.entity for each in found] == entities
    assert found[0].rows[0].source == source


@pytest.mark.parametrize("set_id", sorted(LAYOUTS))
def test_every_element_of_every_set(set_id: str) -> None:
    found = [each for path in SYSPRO.glob("*.yaml") for each in file_lineage(path) if each.form == f"x12 {set_id}"]
    assert len(found) == 1
    targets = list(dict.fromkeys(row.target for row in found[0].rows))
    envelope = Envelope(PROFILE, set_id, ControlNumbers(1, 1), datetime(2026, 1, 31, tzinfo=UTC))
    opening = _elements(envelope.opening())
    closing = _elements(envelope.closing(1))
    assert targets[: len(opening)] == opening
    assert targets[-len(closing) :] == closing
    inside = sum(len(segment.elements) for segment in LAYOUTS[set_id].segments())
    assert len(targets) == len(opening) + inside + len(closing)


def _elements(text: str) -> list[str]:
    """Which elements the segments of a text have, such as `ISA01`."""
    segments = [segment.strip() for segment in text.split(PROFILE.segment_terminator)]
    return [
        f"{name}{position:02d}"
        for name, *elements in (segment.split(PROFILE.element_separator) for segment in segments if segment)
        for position in range(1, len(elements) + 1)
    ]


def test_sets_are_those_that_are_written() -> None:
    assert dict(SETS) == dict(syspro.DOCUMENT_SETS)
    assert {*syspro.DOCUMENT_SETS.values(), *syspro.GL_SETS} == set(LAYOUTS)


def test_elements_are_filled_as_the_writer_fills_them() -> None:
    order = of(SYSPRO / "purchase_orders.yaml", "x12 850")
    assert sources(order, "BEG03") == [("PorMasterHdr.PurchaseOrder", "rename")]
    assert ("PorMasterDetail.MOrderQty", "rename") in sources(order, "PO102")
    assert sources(order, "REF02 (DP)") == [(NOTHING, "segment not written: the mapping has no column cost_centre")]
    assert sources(order, "REF03 (GZ)") == [("PorMasterDetail.MGlCode", "where REF02 has no room for it")]
    invoices = of(SYSPRO / "invoices.yaml", "x12 810")
    assert ("ApInvoice.OrigInvValue", "rounded to the currency, then credits positive") in sources(invoices, "TDS01")
    postings = of(SYSPRO / "gl_postings.yaml", "x12 830")
    # The head is written before the rows are seen: its reference is the file's, and no posting's.
    assert sources(postings, "BFR02") == [("(generated)", "the period or the file's number")]
    assert sources(postings, "CTT02") == [("GenJournalDetail.EntryValue", "sign by source.debit_is, then sum")]
    assert sources(postings, "PID05") == [("GenMaster.Description", "lookup by account")]


# --- Stampli


def test_every_property_of_entries_has_its_sources() -> None:
    books = accounting()
    rows = of(STAMPLI / "journal_entries.yaml", entity="invoices")
    targets = {row.target for row in rows} - {"JournalEntries.Reference3"}
    lines = [line(cost_center="CC1", project="P1")]
    for currency in ("EUR", "USD"):
        record = invoice(lines, currency=currency, tax_amount=Decimal(21))
        body = entry(books.draft(record, REFERENCES)).body
        assert body is not None and any("VatLine" in each for each in body["JournalEntryLines"])
        assert written(body, "JournalEntries") <= targets
    paid = entry(books.draft(payment(), REFERENCES)).body
    assert paid is not None
    of_payments = {row.target for row in of(STAMPLI / "journal_entries.yaml", entity="payments")}
    assert written(paid, "JournalEntries") <= of_payments


def test_every_property_of_partners_has_its_sources() -> None:
    targets = {row.target for row in of(STAMPLI / "business_partners.yaml")}
    for record in (vendor(), vendor(active="no", state="LD", address_line2="2")):
        draft = accounting().draft(record, REFERENCES)
        assert isinstance(draft, PartnerDraft)
        assert written(draft.create, "BusinessPartners") <= targets
    assert {"BusinessPartners.Valid", "BusinessPartners.BPAddresses.County"} <= targets


@pytest.mark.parametrize("entity", sorted(RECORD_KINDS))
def test_every_staged_column_of_a_layout(entity: str) -> None:
    rows = of(STAMPLI / f"{entity}.yaml", "staged")
    assert list(dict.fromkeys(row.target for row in rows)) == list(RECORD_KINDS[entity].columns)


def test_names_of_the_layout_are_the_sources(tmp_path: Path) -> None:
    folder = tmp_path / "stampli_to_sap_b1"
    shutil.copytree(STAMPLI, folder)
    layout = folder / "invoices.yaml"
    text = layout.read_text().replace("  due_date: due_date", "  due_date: [Due, Due Date]")
    text = text.replace("  project: project", "  project: null").replace("defaults: {}", "defaults: {currency: EUR}")
    layout.write_text(text.replace("values: {}", "values: {gl_account: {a: b}}"))
    rows = of(folder / "journal_entries.yaml", entity="invoices")
    assert [source for source, _ in sources(rows, "JournalEntries.DueDate")[:2]] == [
        "invoices.Due",
        "invoices.Due Date",
    ]
    assert {row.staged for row in rows if row.source == "invoices.Due"} == {"invoices.due_date"}
    at = "JournalEntries.JournalEntryLines"
    assert sources(rows, f"{at}.ProjectCode") == [(NOTHING, "the files have no such column")]
    assert ("(constant)", "the layout's default") in sources(rows, f"{at}.FCCurrency")
    assert ("invoices.lines.gl_account", "words of the layout, then cross-reference accounts") in sources(
        rows, f"{at}.AccountCode"
    )


def test_rules_without_layouts_name_our_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "business_partners.yaml"
    shutil.copy(STAMPLI / "business_partners.yaml", path)
    assert ("vendors.name", "rename") in sources(of(path), "BusinessPartners.CardName")


# --- Banqup


def test_every_column_of_the_indexes_and_every_variable_of_paths() -> None:
    found = banqup()
    for entity, columns in SUITES.items():
        assert {row.target for row in found[entity, "index"]} == set(columns)
        targets = {row.target for row in found[entity, "file"]}
        variables = {f"[{name}] in the path" for name in PATH_VARIABLES}
        named = {f"{part} in the file name" for part in ("day", "number", "id")}
        assert targets == {"content", *variables, *named}


def test_banqup_has_lineage_where_it_has_instances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path))
    assert without_mapping_files() == []
    (tmp_path / "integrations/banqup_to_sftp").mkdir(parents=True)
    found: list[TargetLineage] = without_mapping_files()
    assert {(each.entity, each.form) for each in found} == set(banqup())
