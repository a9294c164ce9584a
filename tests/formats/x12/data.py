"""Profiles, headers and rows from which the samples and the random files are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from tieout.formats.x12 import (
    Block,
    ControlNumbers,
    DocumentHeader,
    GlHeader,
    Participant,
    Party,
    SetFileWriter,
    X12Profile,
    document_writer,
    gl_writer,
)

SAMPLES = Path(__file__).parent / "samples"
CREATED = datetime(2026, 1, 31, 6, 5)
COMPANY = Party("EDU1 MANUFACTURING", "EDU1")
PARTNER = Party("LEGACY ERP", "LEGACY")

AMOUNT = pa.decimal128(28, 6)
GL_SCHEMA = pa.schema(
    [
        ("cost_centre", pa.string()),
        ("account", pa.string()),
        ("source_gl_code", pa.string()),
        ("year", pa.int16()),
        ("period", pa.int8()),
        ("journal", pa.int64()),
        ("entry", pa.int64()),
        ("date", pa.string()),
        ("source", pa.string()),
        ("reference", pa.string()),
        ("description", pa.string()),
        ("amount", AMOUNT),
    ]
)


def profile(**changes: Any) -> X12Profile:
    settings: dict[str, Any] = {
        "sender": Participant(id="SYSPROEDU1"),
        "receiver": Participant(id="LEGACYERP"),
        "test_indicator": "T",
    }
    return X12Profile(**{**settings, **changes})


def gl_header(**changes: Any) -> GlHeader:
    settings: dict[str, Any] = {
        "company": COMPANY,
        "partner": PARTNER,
        "batch": "GL202601-0001",
        "reference": "EDU1-GL-202601",
        "period_start": date(2026, 1, 1),
        "period_end": date(2026, 1, 31),
        "generated": date(2026, 2, 1),
        "currency": "USD",
    }
    return GlHeader(**{**settings, **changes})


def gl_row(cost_centre: Any, account: Any, amount: str, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "cost_centre": cost_centre,
        "account": account,
        "source_gl_code": account,
        "year": 2026,
        "period": 1,
        "journal": 12345,
        "entry": 1,
        "date": "2026-01-15",
        "source": "APIN",
        "reference": "INV-1001",
        "description": "OFFICE SUPPLIES",
        "amount": Decimal(amount),
    }
    return {**row, **changes}


SAMPLE_GL = [
    gl_row("20", "4000-20-100", "250"),
    gl_row("20", "4000-20-100", "-40.5", journal=12360, date="2026-01-20", source="APCR"),
    gl_row("30", "2100-30-000", "-209.5", journal=12360, date="2026-01-20"),
]


def gl_batch(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), GL_SCHEMA)


ITEM_FIELDS: dict[str, pa.DataType] = {
    "line_number": pa.int64(),
    "quantity": pa.decimal128(18, 6),
    "uom": pa.string(),
    "unit_price": pa.decimal128(15, 5),
    "stock_code": pa.string(),
    "supplier_stock_code": pa.string(),
    "description": pa.string(),
    "line_account": pa.string(),
}
INVOICE_SCHEMA = pa.schema(
    {
        "supplier": pa.string(),
        "supplier_name": pa.string(),
        "invoice_number": pa.string(),
        "invoice_date": pa.string(),
        "purchase_order": pa.string(),
        "purchase_order_date": pa.string(),
        "invoice_type": pa.string(),
        "currency": pa.string(),
        "voucher": pa.string(),
        "due_date": pa.string(),
        "net_days": pa.int32(),
        "ship_date": pa.string(),
        "account": pa.string(),
        "total_amount": pa.decimal128(14, 2),
        **ITEM_FIELDS,
    }.items()
)
ORDER_SCHEMA = pa.schema(
    {
        "purchase_order": pa.string(),
        "order_date": pa.string(),
        "currency": pa.string(),
        "cost_centre": pa.string(),
        "delivery_date": pa.string(),
        "supplier": pa.string(),
        "supplier_name": pa.string(),
        **ITEM_FIELDS,
    }.items()
)

ITEM_ROWS: list[dict[str, Any]] = [
    {
        "line_number": 1,
        "quantity": Decimal(10),
        "uom": "EA",
        "unit_price": Decimal("12.5"),
        "stock_code": "A100",
        "supplier_stock_code": "ACM-A100",
        "description": "BRACKET, LEFT",
    },
    {
        "line_number": 2,
        "quantity": Decimal(4),
        "uom": "EA",
        "unit_price": Decimal("31.25"),
        "stock_code": "B200",
    },
]
SUPPLIER = {"supplier": "ACM001", "supplier_name": "ACME PARTS LTD"}
INVOICE: dict[str, Any] = {
    **SUPPLIER,
    "invoice_number": "INV-1001",
    "invoice_date": "2026-01-15",
    "purchase_order": "000000000150802",
    "purchase_order_date": "2026-01-05",
    "invoice_type": "DI",
    "currency": "USD",
    "voucher": "202601-0000012345",
    "due_date": "2026-02-14",
    "net_days": 30,
    "ship_date": "2026-01-14",
    "account": "4000-20-100",
    "total_amount": Decimal(250),
}
SAMPLE_INVOICE = [
    {**INVOICE, **ITEM_ROWS[0], "line_account": "4000-20-100"},
    {**INVOICE, **ITEM_ROWS[1], "description": "BEARING 608"},
]
ORDER = {
    **SUPPLIER,
    "purchase_order": "000000000150802",
    "order_date": "2026-01-05",
    "currency": "USD",
    "cost_centre": "20",
    "delivery_date": "2026-01-20",
}
SAMPLE_ORDER = [{**ORDER, **item} for item in ITEM_ROWS]


def invoice_batch(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), INVOICE_SCHEMA)


def order_batch(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), ORDER_SCHEMA)


def blocks(writer: SetFileWriter, batches: Iterable[pa.RecordBatch]) -> list[Block]:
    return [writer.start(), *(writer.write(batch) for batch in batches), writer.finish()]


def text_of(writer: SetFileWriter, *batches: pa.RecordBatch) -> str:
    return b"".join(block.data for block in blocks(writer, batches)).decode()


def new_gl_writer(set_id: Any = "830", header: GlHeader | None = None, **changes: Any) -> SetFileWriter:
    return gl_writer(
        set_id,
        profile(**changes),
        header or gl_header(),
        ControlNumbers(103 if set_id == "830" else 104, 103 if set_id == "830" else 104),
        CREATED,
        test_content=True,
    )


def new_document_writer(set_id: Any, header: DocumentHeader | None = None, **changes: Any) -> SetFileWriter:
    number = {"810": 101, "850": 102, "832": 105}[set_id]
    return document_writer(
        set_id,
        profile(**changes),
        header or DocumentHeader(company=COMPANY),
        ControlNumbers(number, number),
        CREATED,
        test_content=True,
    )
