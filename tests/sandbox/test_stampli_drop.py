"""The drop folder, and the mixed drop whose promises are counted again from its files."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from xml.dom import minidom

import pytest
from stampli_books import BOOKS

from sandbox.sap_b1 import generate_company
from sandbox.stampli.drop import StampliDrop, file_name
from sandbox.stampli.mixture import correction_drop, mixed_drop
from sandbox.stampli.scenario import DroppedFile, DropSizes, Scenario

IDS = {"invoices": "stampli_invoice_id", "vendors": "vendor_id", "payments": "payment_id"}
TOTALS = {"invoices": "total_amount", "payments": "amount"}


@pytest.fixture
def drop(tmp_path: Path) -> StampliDrop:
    return StampliDrop(tmp_path)


def test_file_names() -> None:
    moment = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
    assert file_name("invoices", "C1", moment, "csv") == "invoices_C1_20261121T080000Z.csv"


def test_a_file_is_put_whole(drop: StampliDrop) -> None:
    moment = datetime(2025, 6, 30, 6, tzinfo=UTC)
    path = drop.put("a.csv", b"one", at=moment)
    drop.put("a.csv", b"two", at=moment)
    assert drop.waiting() == ["a.csv"]
    assert drop.read("a.csv") == b"two"
    assert path.stat().st_mtime == moment.timestamp()
    drop.remove("a.csv")
    assert drop.waiting() == []
    for missing in (lambda: drop.read("a.csv"), lambda: drop.remove("a.csv")):
        with pytest.raises(KeyError):
            missing()


def test_a_file_comes_in_pieces(drop: StampliDrop) -> None:
    drop.begin_upload("a.csv", b"0123456789", first=3)
    assert drop.read("a.csv") == b"012"
    assert drop.continue_upload("a.csv", 4) == 3
    assert drop.read("a.csv") == b"0123456"
    drop.finish_upload("a.csv")
    assert drop.read("a.csv") == b"0123456789"
    with pytest.raises(KeyError):
        drop.continue_upload("a.csv", 1)


def test_the_archive_is_listed(drop: StampliDrop) -> None:
    drop.put("a.csv", b"x")
    archive = drop.outbound / "archive" / "2025" / "06"
    archive.mkdir(parents=True)
    (drop.outbound / "a.csv").rename(archive / "a.csv")
    assert (drop.waiting(), drop.archived()) == ([], ["2025/06/a.csv"])
    assert drop.read("archive/2025/06/a.csv") == b"x"


@pytest.mark.parametrize("name", ["", "../a.csv", "archive/a.csv", ".hidden"])
def test_only_plain_names_are_put(drop: StampliDrop, name: str) -> None:
    with pytest.raises(ValueError, match="no plain file name"):
        drop.put(name, b"")


def decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")


def csv_headers(content: bytes, entity: str) -> list[dict[str, str]]:
    """The first row of each record; a row without an id is a record of its own."""
    text = decoded(content)
    delimiter = ";" if text.split("\n", 1)[0].count(";") > 5 else ","
    found: dict[str, dict[str, str]] = {}
    for number, row in enumerate(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)):
        found.setdefault(row[IDS[entity]] or f"#{number}", row)
    return list(found.values())


def xml_headers(content: bytes) -> list[dict[str, str]]:
    headers = minidom.parseString(content).getElementsByTagName("Header")
    return [
        {
            child.localName: "".join(node.data for node in child.childNodes)
            for child in header.childNodes
            if isinstance(child, minidom.Element)
        }
        for header in headers
    ]


def headers(drop: StampliDrop, file: DroppedFile) -> list[dict[str, str]]:
    content = drop.read(file.name)
    return xml_headers(content) if file.name.endswith(".xml") else csv_headers(content, file.entity)


@pytest.fixture(params=[1, 2, 3])
def scenario(drop: StampliDrop, request: pytest.FixtureRequest) -> Scenario:
    return mixed_drop(drop, BOOKS, seed=request.param)


def test_files_hold_as_many_records_as_are_promised(drop: StampliDrop, scenario: Scenario) -> None:
    assert [file.name for file in scenario.files] == sorted(
        drop.waiting(), key=lambda name: (drop.outbound / name).stat().st_mtime
    )
    sound = [file for file in scenario.files if "broken" not in file.note]
    assert [len(headers(drop, file)) for file in sound] == [file.records for file in sound]
    per_entity: Counter[str] = Counter()
    for file in scenario.files:
        per_entity[file.entity] += file.records
    assert per_entity == {entity: expected.extracted for entity, expected in scenario.expected.items()}


def test_posted_money_is_what_the_files_state(drop: StampliDrop, scenario: Scenario) -> None:
    """Counted from the files: records of invoices and payments that are expected as entries, each once."""
    totals: dict[str, dict[str, Decimal]] = {entity: defaultdict(Decimal) for entity in TOTALS}
    seen = set()
    for file in scenario.files:
        if file.entity in TOTALS and "broken" not in file.note:
            for header in headers(drop, file):
                key = header[IDS[file.entity]]
                if key in scenario.entries and key not in seen:
                    seen.add(key)
                    totals[file.entity][header["currency"]] += Decimal(header[TOTALS[file.entity]])
    assert seen == set(scenario.entries)
    assert totals == {entity: scenario.expected[entity].money["posted"] for entity in TOTALS}
    assert len(totals["invoices"]) == 3


def test_each_place_has_what_is_promised(drop: StampliDrop, scenario: Scenario) -> None:
    invoices = scenario.expected["invoices"]
    assert invoices.posted == len(scenario.invoices) == 40
    of_others = [key for key in scenario.held if key.startswith(("P", "N", "vendors"))]
    assert invoices.held.total() == len(scenario.held) - len(of_others)
    copied = next(file for file in scenario.files if "same bytes" in file.note)
    original = scenario.files[scenario.files.index(copied) - 1]
    assert drop.read(copied.name) == drop.read(original.name)
    assert invoices.duplicate == copied.records + 3
    assert invoices.excluded == {"VOID": 1}
    assert scenario.expected["vendors"].posted == len(scenario.partners) == 5
    assert scenario.expected["payments"].excluded == {"SCHEDULED": 1}
    assert scenario.as_dict()["expected"]["invoices"]["extracted"] == invoices.extracted


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    def bytes_of(folder: str, seed: int) -> dict[str, bytes]:
        drop = StampliDrop(tmp_path / folder)
        mixed_drop(drop, BOOKS, seed=seed)
        return {name: drop.read(name) for name in drop.waiting()}

    assert bytes_of("a", 1) == bytes_of("b", 1)
    assert not bytes_of("a", 1).keys() & bytes_of("c", 2).keys()


def test_sizes_can_be_cut_down_to_nothing(drop: StampliDrop) -> None:
    nothing = DropSizes(
        invoices=0, new_vendors=0, changed_vendors=0, unchanged_vendors=0, payments=0, defects=False, broken=()
    )
    assert mixed_drop(drop, BOOKS, sizes=nothing).files == []
    few = DropSizes(invoices=3, files=2, max_lines=2, repeated=0, same_bytes=False, defects=False, broken=("empty",))
    scenario = mixed_drop(drop, BOOKS, seed=2, sizes=few)
    assert scenario.expected["invoices"].as_dict()["held"] == {"EMPTY_FILE": 1}
    assert max(len(invoice.lines) for invoice in scenario.invoices) == 2


def test_an_unknown_kind_of_broken_file_is_told(drop: StampliDrop) -> None:
    with pytest.raises(ValueError, match=r"'torn' is no kind of broken file; known are .*unterminated_quote"):
        mixed_drop(drop, BOOKS, sizes=DropSizes(broken=("torn",)))


def test_correction_drop(drop: StampliDrop) -> None:
    scenario = mixed_drop(drop, BOOKS)
    before = set(drop.waiting())
    file = correction_drop(drop, scenario, changed=2, voided=1)
    assert set(drop.waiting()) - before == {file.name}
    found = headers(drop, file)
    first, second, third = scenario.invoices[:3]
    assert [header["stampli_invoice_id"] for header in found] == [
        first.invoice_id,
        second.invoice_id,
        third.invoice_id,
    ]
    assert [header["status"] for header in found] == ["APPROVED", "APPROVED", "VOID"]
    assert Decimal(found[0]["total_amount"]) == scenario.exports.changed(first).total != first.total


def test_a_generated_company_gives_the_codes(drop: StampliDrop) -> None:
    company = generate_company(1)
    scenario = mixed_drop(drop, company)
    accounts = {row["Code"] for row in company.rows("ChartOfAccounts")}
    partners = {row["CardCode"] for row in company.rows("BusinessPartners")} | scenario.partners.keys()
    lines = [line for entry in scenario.entries.values() for line in entry.lines]
    assert {line.account for line in lines} - {""} <= accounts
    assert {line.partner for line in lines} - {""} <= partners
