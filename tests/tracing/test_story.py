"""A record's story: where it stands in the file, what each column was made from, every attempt."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fsspec import AbstractFileSystem

from tieout.ledger import EntityOutcome, FileRecord, HeldDraft, Ledger, RunKey, Tally
from tieout.tracing import tell
from tieout.tracing.kept import NotKept, open_kept

INVOICES = RunKey("sap_b1_to_peakflo", "default", "invoices", "first")
HEAD = b"externalId,invoiceNumber,lineNumber,lineTotal\r\n"
LINES = (b"6,5006,0,1.20\r\n6,5006,1,2.30\r\n", b'7,"50,07",0,9.00\r\n')
NO_X12 = b"ISA*00*          *00*          *ZZ*SYSPROEDU1     *ZZ*LEGACYERP      *261101*1200*U*00401*000000001*0*T*>~\n"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", migrate=True) as opened:
        yield opened


def _deliver(book: Ledger, key: RunKey, path: Path, content: bytes, places: list[FileRecord], *, uri: str = "") -> int:
    """One delivered file."""
    book.begin_run(key, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
    tally = Tally(len(places), {})
    book.record_extracted(key, tally)
    book.record_prepared(key, to_send=tally, held=Tally(), duplicate=Tally(), excluded=Tally(), mapping_version="v")
    path.write_bytes(content)
    file = book.prepare_file(
        key, file_name=path.name, remote_path=f"/inbound/{path.name}", local_uri=uri or str(path), bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(), records=len(places), control_totals={}, records_iter=places,
    )  # fmt: skip
    book.file_states([file.id], "sending", temp_path_by_id={file.id: "/inbound/.x"})
    with book.acquire(key.scope, "test") as lease:
        outcome = EntityOutcome(delivered=[(file.id, "read_back", datetime(2026, 1, 2, tzinfo=UTC))], tally=tally)
        book.commit_entity(key, token=lease.token, base_version=book.entity_version(key.scope), outcome=outcome)
    return file.id


def _places(*records: bytes, start: int) -> list[FileRecord]:
    found = []
    for number, record in enumerate(records):
        found.append(FileRecord(str(number + 6), f"print {number}", f"L{number}", start, start + len(record)))
        start += len(record)
    return found


def _record(book: Ledger, key: str) -> dict[str, Any]:
    (record,) = tell(book, key)["records"]
    return dict(record)


def _column(record: dict[str, Any], target: str) -> list[tuple[str, str, str | None]]:
    return [(each["source"], each["kind"], each["value"]) for each in record["columns"] if each["target"] == target]


def test_a_csv(book: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "invoices.csv"
    file_id = _deliver(book, INVOICES, path, HEAD + b"".join(LINES), _places(*LINES, start=len(HEAD)))
    record = _record(book, "6")
    assert record["dag_id"] == "sap_b1_to_peakflo"
    position = record["position"]
    assert (position["file_id"], position["first_line"], position["last_line"]) == (file_id, 2, 3)
    assert (position["excerpt"], position["segments"]) == (LINES[0].decode(), None)
    assert _column(record, "invoiceNumber") == [("Invoices.DocNum", "identity", "5006")]
    assert {value for _, _, value in _column(record, "lineNumber")} == {"0 | 1"}
    assert {value for _, _, value in _column(record, "note")} == {None}  # the mapping has it, this file has not
    assert record["receipt"]["verification"] == "read_back"
    assert record["files"][0]["kept"] is True
    second = _record(book, "7")
    assert (second["position"]["first_line"], second["position"]["last_line"]) == (4, 4)
    assert {value for _, _, value in _column(second, "invoiceNumber")} == {"50,07"}


def test_a_csv_with_line_breaks_in_a_value(book: Ledger, tmp_path: Path) -> None:
    line = '6,"50\u2028\r\n06",0,1.20\r\n'.encode()
    _deliver(book, INVOICES, tmp_path / "invoices.csv", HEAD + line, _places(line, start=len(HEAD)))
    record = _record(book, "6")
    assert {value for _, _, value in _column(record, "invoiceNumber")} == {"50\u2028\r\n06"}
    assert {value for _, _, value in _column(record, "lineTotal")} == {"1.20"}


@pytest.mark.parametrize("where", ["head", "line"])
def test_a_csv_that_cannot_be_read_has_no_values(book: Ledger, tmp_path: Path, where: str) -> None:
    long = b"x" * (csv.field_size_limit() + 1)
    head, line = (long + b"," + HEAD, LINES[0]) if where == "head" else (HEAD, b"6," + long + b",0,1.20\r\n")
    _deliver(book, INVOICES, tmp_path / "invoices.csv", head + line, _places(line, start=len(head)))
    record = _record(book, "6")
    assert _column(record, "invoiceNumber") == [("Invoices.DocNum", "identity", None)]
    assert record["position"]["excerpt"].startswith("6,")


class _Torn(io.BytesIO):
    """A file whose server goes away while it is read."""

    def read(self, size: int | None = -1) -> bytes:
        raise RuntimeError("the connection was closed")


def _without_a_library(_conn_id: str | None, _options: dict[str, Any]) -> AbstractFileSystem:
    raise ImportError("install s3fs")


def _torn(_conn_id: str | None, _options: dict[str, Any]) -> AbstractFileSystem:
    class Bucket(AbstractFileSystem):
        def open(self, *_: Any, **__: Any) -> _Torn:
            return _Torn()

    return Bucket(skip_instance_cache=True)


@pytest.mark.parametrize(("bucket", "kind"), [(_without_a_library, "ImportError"), (_torn, "RuntimeError")])
@pytest.mark.parametrize("largest", [10, 10_000])
def test_a_bucket_that_cannot_be_read_hides_no_story(
    book: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest: int, bucket: Any, kind: str
) -> None:
    # As Amazon's provider has it. A connection of the test's own, for Airflow keeps what it attached.
    monkeypatch.setattr("airflow.sdk.io.fs._register_filesystems", lambda: {"s3": bucket})
    monkeypatch.setattr("tieout.tracing.places.LARGEST_FILE", largest)
    content = HEAD + b"".join(LINES)
    places = _places(*LINES, start=len(HEAD))
    path = tmp_path / "invoices.csv"
    file_id = _deliver(book, INVOICES, path, content, places, uri=f"s3://{kind}_{largest}@bucket/invoices.csv")
    record = _record(book, "6")
    assert (record["files"][0]["kept"], record["position"]["excerpt"]) == (None, None)
    assert _column(record, "invoiceNumber") == [("Invoices.DocNum", "identity", None)]
    row = book.get_file(file_id)
    assert row is not None
    with pytest.raises(NotKept, match=rf"cannot be read in staging now \({kind}\).*its library and its connection"):
        open_kept(row)


@pytest.mark.parametrize("there", [None, HEAD + b"6,5006,0,9.20\r\n6,5006,1,2.30\r\n" + LINES[1], HEAD])
def test_bytes_that_are_not_those_of_the_ledger_tell_nothing(book: Ledger, tmp_path: Path, there: bytes | None) -> None:
    path = tmp_path / "invoices.csv"
    _deliver(book, INVOICES, path, HEAD + b"".join(LINES), _places(*LINES, start=len(HEAD)))
    path.unlink() if there is None else path.write_bytes(there)
    record = _record(book, "6")
    assert (record["position"]["excerpt"], record["position"]["first_line"]) == (None, None)
    assert record["position"]["byte_start"] == len(HEAD)
    # What it was made from is known all the same.
    assert _column(record, "invoiceNumber") == [("Invoices.DocNum", "identity", None)]
    assert record["receipt"]["sha256"]


def test_a_large_file_is_not_read_whole(book: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tieout.tracing.places.LARGEST_FILE", 10)
    path = tmp_path / "invoices.csv"
    _deliver(book, INVOICES, path, HEAD + b"".join(LINES), _places(*LINES, start=len(HEAD)))
    record = _record(book, "6")
    assert (record["position"]["excerpt"], record["position"]["first_line"]) == (LINES[0].decode(), None)
    assert {value for _, _, value in _column(record, "invoiceNumber")} == {"5006"}


def test_x12(book: Ledger, tmp_path: Path) -> None:
    record = (
        b"ST*810*0001~\nBIG*20260101*INV1~\nREF*VV*42~\nREF*GZ*500000~\nIT1*1*2*EA*10~\nIT1*2*3*EA*11~\nSE*7*0001~\n"
    )
    before = NO_X12 + b"GS*IN*SYSPROEDU1*LEGACYERP*20261101*1200*1*X*004010~\n"
    key = replace(INVOICES, integration="syspro_to_legacy_erp")
    _deliver(book, key, tmp_path / "inv.edi", before + record + b"GE*1*1~\nIEA*1*000000001~\n",
             _places(record, start=len(before)))  # fmt: skip
    told = _record(book, "6")
    assert [(each["number"], each["id"]) for each in told["position"]["segments"]][:2] == [(3, "ST"), (4, "BIG")]
    assert {each["form"] for each in told["columns"]} == {"x12 810"}
    assert {value for _, _, value in _column(told, "BIG02")} == {"INV1"}
    assert {value for _, _, value in _column(told, "REF02 (GZ)")} == {"500000"}
    assert {value for _, _, value in _column(told, "IT102")} == {"2 | 3"}
    assert {value for _, _, value in _column(told, "TDS01")} == {None}


def test_fixed_width(book: Ledger, tmp_path: Path) -> None:
    key = RunKey("syspro_to_legacy_erp", "default", "gl_postings", "close")
    head = b"HEDU120261101000001".ljust(103) + b"\r\n"
    line = (b"D000000001" + b"10".ljust(10) + b"1100-10-000".ljust(35) + b"202610" + b"417".zfill(10) + b"20261008"
            + b"0000000000486D" + b"R\x1cF".ljust(10) + b"\r\n")  # fmt: skip
    _deliver(book, key, tmp_path / "gl.dat", head + line, _places(line, start=len(head)))
    told = _record(book, "6")
    assert {each["form"] for each in told["columns"]} == {"fixed_width gl_fixed_width"}
    assert {value for _, _, value in _column(told, "detail.account, positions 21-55")} == {"1100-10-000"}
    assert {value for _, _, value in _column(told, "detail.reference, positions 94-103")} == {"R\x1cF"}
    assert {value for _, _, value in _column(told, "header.company, positions 2-5")} == {None}


def test_held_first_and_delivered_later(book: Ledger, tmp_path: Path) -> None:
    first = replace(INVOICES, run_id="bad")
    book.begin_run(first, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
    book.record_extracted(first, Tally(1, {}))
    book.record_prepared(
        first, to_send=Tally(), held=Tally(1, {}), duplicate=Tally(), excluded=Tally(), mapping_version="v"
    )
    draft = HeldDraft("6", "TOTAL", "The lines add up to less.", "Correct it in SAP.", "finance", b"{}",
                      currency="EUR", amount=Decimal(1))  # fmt: skip
    with book.acquire(first.scope, "test") as lease:
        version = book.entity_version(first.scope)
        book.commit_entity(first, token=lease.token, base_version=version, outcome=EntityOutcome(held=[draft]))
    report = {"success": False, "results": [
        {"success": False, "type": "sum", "records": ["6"]}, {"success": True, "type": "unique", "records": []},
    ]}  # fmt: skip
    book.event(integration=first.integration, instance=first.instance, entity=first.entity, run_id=first.run_id,
               what="quality", detail=report)  # fmt: skip
    _deliver(book, INVOICES, tmp_path / "invoices.csv", HEAD + LINES[0], _places(LINES[0], start=len(HEAD)))
    record = _record(book, "6")
    assert [(each["check"], each["verdict"]) for each in record["checks"]] == [
        ("held", "TOTAL"),
        ("expectations", "failed"),
    ]
    assert record["checks"][0]["message"] == "The lines add up to less."
    assert [each["type"] for each in record["checks"][1]["findings"]] == ["sum"]
    attempts = [(each["outcome"], each["run_id"], each["mode"]) for each in record["attempts"]]
    assert sorted(attempts) == [("delivered", "first", "incremental"), ("held", "bad", "incremental"),
                                ("settled", "first", "incremental")]  # fmt: skip
    assert record["attempts"] == sorted(record["attempts"], key=lambda each: each["at"])
    json.dumps(record)


def test_only_of_the_instances_that_one_may_see(book: Ledger, tmp_path: Path) -> None:
    _deliver(book, INVOICES, tmp_path / "invoices.csv", HEAD + LINES[0], _places(LINES[0], start=len(HEAD)))
    assert tell(book, "6", {("sap_b1_to_peakflo", "north")})["records"] == []
    assert tell(book, "invoices.csv", {("sap_b1_to_peakflo", "north")})["files"] == []
    assert tell(book, "6", {("sap_b1_to_peakflo", "default")})["records"] != []


def test_a_broken_mapping_hides_no_story(book: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "include" / "mappings" / "sap_b1_to_peakflo"
    folder.mkdir(parents=True)
    (folder / "invoices.yaml").write_text("entity: [")
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path / "include"))
    _deliver(book, INVOICES, tmp_path / "invoices.csv", HEAD + LINES[0], _places(LINES[0], start=len(HEAD)))
    record = _record(book, "6")
    assert record["columns"] == [] and record["position"]["excerpt"] == LINES[0].decode()
