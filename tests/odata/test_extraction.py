"""From an entity set to staged parts: complete, in key order, the same bytes again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.service_layer import select_rows
from tieout.errors import ContractBroken
from tieout.odata.entity_read import EntityRead
from tieout.odata.extraction import extract
from tieout.odata.layout import staged_schema
from tieout.odata.manifest import ExtractManifest
from tieout.odata.query import KeyType
from tieout.odata.schema import FieldType, RecordSchema
from tieout.staging import read_parts

SCHEMA = RecordSchema(
    {"DocEntry": FieldType.INTEGER, "DocTotal": FieldType.NUMBER},
    {"DocumentLines": {"LineNum": FieldType.INTEGER}},
    custom_fields=True,
    custom_line_fields=("DocumentLines",),
)
READ = EntityRead("Invoices", "DocEntry", KeyType.INTEGER, SCHEMA, change_columns=("UpdateDate", "CreationDate"))


def invoice(number: int, **more: Any) -> dict[str, Any]:
    lines = [{"LineNum": line} for line in range(number % 3)]
    dates = {"UpdateDate": f"2026-01-{number % 28 + 1:02d}T00:00:00Z", "CreationDate": None}
    return {"DocEntry": number, "DocTotal": number / 4, "DocumentLines": lines, **dates, **more}


class Service:
    """An entity set; `before` is called ahead of every answer and may change the rows."""

    def __init__(self, rows: list[dict[str, Any]], key: str = "DocEntry", size: int = 10) -> None:
        self.rows = rows
        self.key = key
        self.size = size
        self.lock = threading.Lock()
        self.asked: list[dict[str, str]] = []
        self.before: Callable[[int, Mapping[str, str]], None] = lambda number, params: None
        self.counts: list[int] = []

    def get_page(self, entity_set: str, params: Mapping[str, str]) -> bytes:
        with self.lock:
            self.asked.append(dict(params))
            self.before(len(self.asked), params)
            found = select_rows(self.rows, self.key, dict(params))
            page = found[: min(self.size, int(params.get("$top", 10**9)))]
        if "$select" in params:
            page = [{name: row[name] for name in params["$select"].split(",")} for row in page]
        body: dict[str, Any] = {"value": page}
        if len(page) == self.size:
            body["@odata.nextLink"] = "x"
        return json.dumps(body).encode()

    def count(self, entity_set: str, filter: str | None = None) -> int:
        with self.lock:
            if self.counts:
                return self.counts.pop(0)
            return len(select_rows(self.rows, self.key, {"$filter": filter} if filter else {}))


def staged_keys(folder: Path, manifest: ExtractManifest) -> list[str]:
    return [
        key for batch in read_parts(folder, ["_key"], names=manifest.part_names) for key in batch["_key"].to_pylist()
    ]


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 20, 21, 500, 501])
def test_all_records_in_key_order(tmp_path: Path, number: int, workers: int) -> None:
    service = Service([invoice(n) for n in range(1, number + 1)])

    manifest = extract(service, READ, tmp_path / "Invoices", workers=workers)

    assert manifest.records == manifest.source_rows == number
    assert staged_keys(tmp_path / "Invoices", manifest) == [str(n) for n in range(1, number + 1)]
    assert manifest.max_key == (str(number) if number else None)
    assert manifest.requests >= len(service.asked)


def test_manifest_tells_what_was_read(tmp_path: Path) -> None:
    rows = [invoice(n) for n in range(1, 100)]
    rows[70]["U_New"] = None
    rows[80]["DocumentLines"] = [{"LineNum": 0, "U_Lot": 5.0}]

    manifest = extract(Service(rows), READ, tmp_path, server_time="2026-11-20T10:11:12+00:00")

    assert manifest.max_values == {"UpdateDate": "2026-01-28"}
    assert manifest.custom_fields == {"header": ("U_New",), "DocumentLines": ("U_Lot",)}
    assert manifest.server_date == "2026-11-20"
    assert manifest.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert ExtractManifest.from_json(manifest.to_json()) == manifest
    table = list(read_parts(tmp_path, schema=staged_schema(SCHEMA, manifest.custom_fields), batch_rows=7))
    assert sum(batch.num_rows for batch in table) == 99
    assert len({batch.schema for batch in table}) == 1
    records = [record for batch in table for record in batch.to_pylist()]
    assert records[80]["DocumentLines"] == [{"LineNum": 0, "U_Lot": "5"}]
    assert records[79]["DocumentLines"] == [{"LineNum": 0, "U_Lot": None}, {"LineNum": 1, "U_Lot": None}]
    assert records[98]["DocTotal"] == Decimal("24.750000")
    assert "U_New" in records[0]


def test_the_same_data_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = [invoice(n, **({"U_A": "x"} if n % 17 == 0 else {})) for n in range(1, 400)]

    first = extract(Service(rows), READ, tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "part-00099-00000.parquet").write_bytes(b"of an earlier attempt")
    (tmp_path / "b" / ".part-00000-00000.parquet.tmp-1-00").write_bytes(b"of one that was killed")
    second = extract(Service(rows), READ, tmp_path / "b")

    assert first.parts == second.parts
    contents = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab"]
    assert contents[0] == contents[1]


def test_workers_read_side_by_side(tmp_path: Path) -> None:
    service = Service([invoice(n) for n in range(1, 200)])
    together = threading.Barrier(4, timeout=20)
    calls = iter(range(10**6))
    get_page = service.get_page

    def wait_for_others(entity_set: str, params: Mapping[str, str]) -> bytes:
        # After the first page and the greatest key, four workers must be asking at the same time.
        if 2 <= next(calls) < 6:
            together.wait()
        return get_page(entity_set, params)

    service.get_page = wait_for_others  # type: ignore[method-assign]

    assert extract(service, READ, tmp_path, workers=4).records == 199


def test_rows_inserted_behind_the_cursor_are_fetched(tmp_path: Path) -> None:
    service = Service([invoice(n) for n in range(2, 60, 2)])

    def insert(number: int, params: Mapping[str, str]) -> None:
        if number == 3:
            service.rows += [invoice(1), invoice(5)]

    service.before = insert
    manifest = extract(service, READ, tmp_path, workers=1)

    assert sorted(map(int, staged_keys(tmp_path, manifest))) == sorted([1, 5, *range(2, 60, 2)])
    assert manifest.records == 31


@pytest.mark.parametrize("workers", [1, 4])
def test_rows_deleted_meanwhile_are_accepted(tmp_path: Path, workers: int) -> None:
    service = Service([invoice(n) for n in range(1, 100)])

    def delete(number: int, params: Mapping[str, str]) -> None:
        if number == 3:
            service.rows = [row for row in service.rows if row["DocEntry"] not in (2, 3, 98)]

    service.before = delete
    manifest = extract(service, READ, tmp_path, workers=workers)

    assert manifest.records - manifest.vanished == 96
    assert set(range(1, 100)) - {2, 3, 98} <= set(map(int, staged_keys(tmp_path, manifest)))


def test_text_keys_inserted_and_deleted(tmp_path: Path) -> None:
    schema = RecordSchema({"CardCode": FieldType.TEXT})
    service = Service([{"CardCode": f"C{n:03d}"} for n in range(0, 100, 2)], key="CardCode")

    def change(number: int, params: Mapping[str, str]) -> None:
        if number == 3:
            service.rows = [row for row in service.rows if row["CardCode"] not in ("C004", "C006", "C098")]
            service.rows += [{"CardCode": "C001"}]

    service.before = change
    manifest = extract(service, EntityRead("BusinessPartners", "CardCode", KeyType.TEXT, schema), tmp_path)

    staged = staged_keys(tmp_path, manifest)
    assert len(staged) == len(set(staged)) == 50
    assert "C001" in staged and "C098" not in staged
    assert manifest.vanished == 2


def test_a_count_that_never_agrees(tmp_path: Path) -> None:
    service = Service([invoice(n) for n in range(1, 8)])
    service.counts = [9] * 10

    with pytest.raises(ContractBroken, match=r"counts 9 Invoices .*lists only 7"):
        extract(service, READ, tmp_path)


def test_a_count_that_agrees_later(tmp_path: Path) -> None:
    service = Service([invoice(n) for n in range(1, 8)])
    service.counts = [9, 9]

    assert extract(service, READ, tmp_path).records == 7


def test_a_server_that_forgets_rows_within_a_range(tmp_path: Path) -> None:
    service = Service([invoice(n) for n in range(1, 60)])
    get_page = service.get_page

    def forgetful(entity_set: str, params: Mapping[str, str]) -> bytes:
        if params.get("$select") == "DocEntry" or " eq " in params.get("$filter", ""):
            return get_page(entity_set, params)
        body = json.loads(get_page(entity_set, params))
        body["value"] = [row for row in body["value"] if row["DocEntry"] != 33]
        return json.dumps(body).encode()

    service.get_page = forgetful  # type: ignore[method-assign]
    manifest = extract(service, READ, tmp_path)

    assert sorted(map(int, staged_keys(tmp_path, manifest))) == list(range(1, 60))


def test_held_records_are_read_again_without_doubling(tmp_path: Path) -> None:
    service = Service([invoice(n) for n in range(1, 40)])
    read = EntityRead(
        "Invoices", "DocEntry", KeyType.INTEGER, SCHEMA, filter="DocEntry gt 20", extra_keys=(3, 25, 7, 99)
    )

    manifest = extract(service, read, tmp_path)

    assert staged_keys(tmp_path, manifest) == [*map(str, range(21, 40)), "3", "7"]
    assert manifest.missing_keys == ("99",)


def test_elements_of_a_collection(tmp_path: Path) -> None:
    schema = RecordSchema({"InternalCode": FieldType.INTEGER}, parent_fields={"CardCode": FieldType.TEXT})
    rows = [
        {
            "CardCode": f"C{n:02d}",
            "UpdateDate": "2026-01-05",
            "ContactEmployees": [{"InternalCode": 100 * n + each} for each in range(n % 3)],
        }
        for n in range(25)
    ]
    read = EntityRead(
        "BusinessPartners", "CardCode", KeyType.TEXT, schema,
        record_path="ContactEmployees", record_key="InternalCode", change_columns=("UpdateDate",),
    )  # fmt: skip

    manifest = extract(Service(rows, key="CardCode"), read, tmp_path)

    assert (manifest.records, manifest.source_rows) == (24, 25)
    assert manifest.max_values == {"UpdateDate": "2026-01-05"}
    assert staged_keys(tmp_path, manifest)[:3] == ["100", "200", "201"]


def test_a_failure_in_one_range_fails_the_whole(tmp_path: Path) -> None:
    service = Service([invoice(n) for n in range(1, 500)])
    service.rows[300]["DocTotal"] = "much"

    with pytest.raises(ContractBroken, match="record 301 whose DocTotal"):
        extract(service, READ, tmp_path)

    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
