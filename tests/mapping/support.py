"""Small mappings and staged records for the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from tieout.mapping.compiler import CompiledMapping, MappedBatch, compile_mapping
from tieout.mapping.frame import MapContext
from tieout.mapping.loader import load_mapping
from tieout.mapping.model import EntityMapping
from tieout.odata.layout import staged_schema
from tieout.yaml_file import parse_yaml

MAPPINGS = Path(__file__).parents[2] / "include/mappings/sap_b1_to_peakflo"
SETTINGS = {"local_currency": "EUR"}
CUSTOM = {"header": ["U_Note", "U_Region"], "DocumentLines": ["U_Lot"]}


def inline(text: str) -> EntityMapping:
    """A mapping from YAML text, shape checked."""
    return parse_yaml(text, "inline.yaml").validate(EntityMapping)


def project(entity: str) -> EntityMapping:
    """One of the project's mappings."""
    return load_mapping(MAPPINGS / f"{entity}.yaml")


def staged(
    mapping: EntityMapping, records: Sequence[Mapping[str, Any]], custom: Mapping[str, Sequence[str]] | None = None
) -> pa.Table:
    """Records in the staged layout; properties that they lack are null."""
    key = mapping.source.key
    rows = [{"_key": str(record.get(key, "")), "_raw": b"{}", **record} for record in records]
    return pa.Table.from_pylist(rows, schema=staged_schema(mapping.record_schema(), custom))


def run(
    entity: str | EntityMapping,
    records: Sequence[Mapping[str, Any]],
    *,
    custom: Mapping[str, Sequence[str]] | None = None,
    lookups: Mapping[str, Any] | None = None,
    settings: Mapping[str, str] | None = None,
) -> tuple[CompiledMapping, MappedBatch]:
    """Maps records."""
    mapping = project(entity) if isinstance(entity, str) else entity
    compiled = compile_mapping(mapping, custom)
    context = MapContext(lookups=lookups or {}, settings=SETTINGS if settings is None else settings)
    return compiled, compiled.map_batch(staged(mapping, records, custom), context)


def cells(compiled: CompiledMapping, mapped: MappedBatch) -> list[dict[str, str]]:
    """All rows, good or not, read by Python's own csv module."""
    import csv
    import io

    text = b"".join(row.encode() for row in mapped.rows.to_pylist()).decode()
    return [dict(zip(compiled.header, row, strict=True)) for row in csv.reader(io.StringIO(text, newline=""))]


def codes(mapped: MappedBatch) -> dict[int, list[str]]:
    """Position of each held record → reason codes."""
    return {record: [reason.reason_code for reason in reasons] for record, reasons in mapped.held.items()}


def line(number: int = 0, total: str = "100", **more: Any) -> dict[str, Any]:
    """A document line in local currency."""
    amount = Decimal(total)
    return {"LineNum": number, "ItemCode": "I1", "Quantity": Decimal(1), "Price": amount, "LineTotal": amount, **more}


def document(entry: int = 1, **more: Any) -> dict[str, Any]:
    """An invoice or credit note of 100 + 21 EUR that adds up."""
    return {
        "DocEntry": entry,
        "DocNum": 1000 + entry,
        "CardCode": "C1",
        "DocDate": "2026-01-05",
        "DocDueDate": "2026-02-05",
        "DocCurrency": "EUR",
        "DocTotal": Decimal(121),
        "DocTotalFc": Decimal(0),
        "VatSum": Decimal(21),
        "PaidToDate": Decimal(0),
        "Cancelled": "tNO",
        "CancelStatus": "csNo",
        "DocumentStatus": "bost_Open",
        "DocumentLines": [line(TaxTotal=Decimal(21))],
        **more,
    }


def foreign(entry: int = 1, **more: Any) -> dict[str, Any]:
    """A document of 200 + 42 USD in a EUR company at a rate of 0.5."""
    lines = [line(RowTotalFC=Decimal(200), TaxTotal=Decimal(21), NetTaxAmountFC=Decimal(42))]
    amounts = {
        "DocTotalFc": Decimal(242),
        "VatSumFc": Decimal(42),
        "PaidToDateFC": Decimal(2),
        "PaidToDate": Decimal(1),
    }
    return document(entry, **{"DocCurrency": "USD", "DocumentLines": lines, **amounts, **more})


def payment(entry: int = 1, **more: Any) -> dict[str, Any]:
    """A bank transfer of 121 EUR on account."""
    return {
        "DocEntry": entry,
        "DocType": "rCustomer",
        "CardCode": "C1",
        "DocDate": "2026-01-06",
        "DocCurrency": "EUR",
        "TransferSum": Decimal(121),
        "Cancelled": "tNO",
        **more,
    }


def applied(invoice: int, local: str, own: str = "0", kind: str = "it_Invoice") -> dict[str, Any]:
    """A part of a payment that is applied to a document."""
    return {"DocEntry": invoice, "InvoiceType": kind, "SumApplied": Decimal(local), "AppliedFC": Decimal(own)}
