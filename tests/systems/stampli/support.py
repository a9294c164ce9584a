"""Files to read, and the project's own layouts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tieout.systems.stampli import Layout, Layouts, Limits, SourceRecord, load_layout, load_layouts, read_file
from tieout.systems.stampli.columns import RECORD_KINDS
from tieout.systems.stampli.layout import LayoutSettings

FOLDER = Path(__file__).parents[3] / "include/mappings/stampli_to_sap_b1"
LAYOUTS: Layouts = load_layouts(FOLDER)
INVOICES, VENDORS, PAYMENTS = (LAYOUTS.for_entity(entity) for entity in ("invoices", "vendors", "payments"))
COLUMNS: dict[str, list[str]] = {entity: list(kind.columns) for entity, kind in RECORD_KINDS.items()}

INVOICE = {
    "stampli_invoice_id": "S-1",
    "company_id": "C1",
    "invoice_number": "INV-1",
    "vendor_id": "V1",
    "vendor_name": "Acme",
    "invoice_date": "2026-11-02",
    "due_date": "2026-12-02",
    "currency": "EUR",
    "total_amount": "121.00",
    "tax_amount": "21.00",
    "status": "APPROVED",
    "approved_at": "2026-11-21T23:30:00Z",
    "line_number": "1",
    "gl_account": "6000",
    "line_amount": "100.00",
}
VENDOR = {
    "vendor_id": "V1",
    "name": "Acme",
    "country": "BE",
    "active": "Yes",
    "updated_at": "2026-11-02T01:02:03+02:00",
}
PAYMENT = {
    "payment_id": "P1",
    "payment_date": "2026-11-30",
    "method": "ACH",
    "amount": "300.00",
    "currency": "EUR",
    "vendor_id": "V1",
    "status": "PAID",
    "reference": "REF-1",
    "invoice_number": "INV-1",
    "applied_amount": "100.00",
}


class Memory:
    """A staged file that is in memory, read in pieces as small as wanted."""

    def __init__(self, data: bytes, piece: int | None = None) -> None:
        self.data = data
        self.piece = piece

    def open(self, mode: str) -> Any:
        assert mode == "rb"
        return io.BytesIO(self.data) if self.piece is None else _Pieces(self.data, self.piece)


class _Pieces(io.BytesIO):
    def __init__(self, data: bytes, piece: int) -> None:
        super().__init__(data)
        self._piece = piece

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._piece if size is None or size < 0 else min(size, self._piece))


def table(
    rows: Iterable[Mapping[str, str]],
    columns: Sequence[str] = COLUMNS["invoices"],
    *,
    encoding: str = "utf-8",
    **options: Any,
) -> bytes:
    """A CSV file by Python's own writer."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", **{"lineterminator": "\r\n", **options})
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def read(
    data: bytes, name: str = "invoices_C1.csv", layout: Layout | None = None, limits: Limits | None = None
) -> list[SourceRecord]:
    layout = layout or LAYOUTS.for_file(name)
    assert layout is not None
    return list(read_file(Memory(data), name, layout, limits or Limits()))  # type: ignore[arg-type]


def one(data: bytes, name: str = "invoices_C1.csv", layout: Layout | None = None) -> SourceRecord:
    (record,) = read(data, name, layout)
    return record


def adapted(layout: Layout, **settings: Any) -> Layout:
    """A layout with other settings."""
    return Layout(LayoutSettings.model_validate({**layout.settings.model_dump(), **settings}))


def layout_file(folder: Path, text: str, entity: str = "invoices") -> Layout:
    path = folder / f"{entity}.yaml"
    path.write_text(text)
    return load_layout(path)


def without_range(record: SourceRecord) -> SourceRecord:
    """A record but for its byte range, which a payload does not know."""
    return replace(record, byte_start=0, byte_end=0)
