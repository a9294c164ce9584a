"""Mappings, staged records and a source of rows for the tests of documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tieout.integrations.sorting import RECORDS_SCHEMA
from tieout.mapping.compiler import CompiledMapping, MappedBatch, compile_mapping
from tieout.mapping.frame import MapContext
from tieout.mapping.loader import load_mapping
from tieout.mapping.model import EntityMapping
from tieout.odata.layout import staged_schema
from tieout.staging import read_parts
from tieout.systems.syspro.client import SysproClient
from tieout.systems.syspro.columns import build_batch
from tieout.systems.syspro.errors import SysproError
from tieout.systems.syspro.tables import TableRead

INCLUDE = Path(__file__).parents[3] / "include"
MAPPINGS = INCLUDE / "mappings/syspro_to_legacy_erp"
ENTITIES = ("invoices", "purchase_orders", "suppliers", "items")


def project(entity: str) -> EntityMapping:
    """One of the project's mappings."""
    return load_mapping(MAPPINGS / f"{entity}.yaml")


@dataclass
class Rows:
    """Tables as a server gives them: rows in the order in which they stand here, so many at a time.

    Attributes:
        tables: Table → rows.
        page: Rows per batch.
        reads: What was asked for.
    """

    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    page: int = 2
    reads: list[TableRead] = field(default_factory=list)

    def read(self, read: TableRead) -> Iterator[pa.RecordBatch]:
        """As the client's."""
        self.reads.append(read)
        if read.table.name not in self.tables:
            raise SysproError(404, "there is nothing", read.table.name)
        rows = self.tables[read.table.name]
        for start in range(0, len(rows), self.page):
            page = rows[start : start + self.page]
            values = {name: [_text(row.get(name)) for row in page] for name in read.names}
            raw = [json.dumps(row, default=str).encode() for row in page] if read.raw else []
            batch = build_batch(read, values, raw, f"page at {start}")
            if batch.num_rows:
                yield batch

    @property
    def client(self) -> SysproClient:
        """In place of a client: only its `read` is used."""
        return cast(SysproClient, self)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def staged(folder: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The staged records."""
    return [row for batch in read_parts(folder, names=names) for row in batch.to_pylist()]


def as_staged(mapping: EntityMapping, records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Records in the staged layout; what they lack is null."""
    schema = staged_schema(mapping.record_schema())
    for name in mapping.source.provided:
        if name != "_key":
            schema = schema.append(pa.field(name, pa.string()))
    keys = ("Supplier", "Invoice") if mapping.entity == "invoices" else (mapping.source.key,)
    rows = [
        {"_key": "|".join(str(record.get(name) or "") for name in keys), "_raw": b"{}", **record} for record in records
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def mapped(
    mapping: EntityMapping, records: Sequence[Mapping[str, Any]], *, sent_before: Sequence[str] = ()
) -> tuple[CompiledMapping, MappedBatch]:
    """Records as the mapping sees them."""
    compiled = compile_mapping(mapping)
    context = MapContext(
        lookups={"delivered_before": dict.fromkeys(sent_before, "yes")}, settings={"currency": "USD", "company": "EDU1"}
    )
    return compiled, compiled.map_batch(as_staged(mapping, records), context)


@dataclass(frozen=True)
class Canonical:
    """A canonical file: where it and its index are, and what made it."""

    data: Path
    records: Path
    compiled: CompiledMapping
    keys: list[str]


def canonical(
    folder: Path, mapping: EntityMapping, records: Sequence[Mapping[str, Any]], *, sent_before: Sequence[str] = ()
) -> Canonical:
    """Writes the canonical file of records, none of which is held."""
    compiled, batch = mapped(mapping, records, sent_before=sent_before)
    assert not batch.held, batch.held
    head = compiled.header_line()
    ends = len(head) + np.cumsum(batch.row_bytes)
    starts = np.concatenate(([len(head)], ends[:-1])) if len(ends) else ends
    (folder / "data.csv").write_bytes(head + bytes(batch.csv_bytes()))
    columns = [batch.keys, batch.fingerprints, batch.labels, pa.array(starts), pa.array(ends)]
    pq.write_table(pa.table(columns, schema=RECORDS_SCHEMA), folder / "records.parquet")
    return Canonical(folder / "data.csv", folder / "records.parquet", compiled, batch.keys.to_pylist())
