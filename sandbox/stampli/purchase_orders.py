"""Stampli's receiving side: purchase orders that the ERP sends for three-way matching."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.peakflo_columns import Column, Refusal, check_value

COLUMNS = (
    Column("purchase_order_id", required=True), Column("po_number", required=True), Column("vendor_id", required=True),
    Column("currency", "currency", required=True), Column("order_date", "date", required=True),
    Column("line_number", "integer", required=True), Column("quantity", "number", required=True),
    Column("unit_price", "number", required=True), Column("line_amount", "money", required=True),
)  # fmt: skip
"""Columns that a file must have; others may stand beside them."""

Row = dict[str, str]


@dataclass
class ReceivedOrders:
    """What one file brought.

    Attributes:
        orders: `purchase_order_id` → the order's rows.
        refusals: What is wrong, row by row; the header is row 1.
    """

    name: str
    orders: dict[str, list[Row]] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        return {
            "name": self.name,
            "orders": len(self.orders),
            "lines": sum(len(rows) for rows in self.orders.values()),
            "refusals": [vars(refusal) for refusal in self.refusals],
        }


def read_orders(name: str, content: bytes) -> ReceivedOrders:
    """Reads a UTF-8 CSV file of purchase order lines and checks it."""
    received = ReceivedOrders(name)
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        received.refusals.append(Refusal(1, "", "UNREADABLE", f"The file is no UTF-8 CSV: {error}."))
        return received
    header = rows[0] if rows else []
    received.refusals += _header_problems(header)
    if received.refusals:
        return received
    for number, cells in enumerate(rows[1:], start=2):
        if len(cells) != len(header):
            message = f"The row has {len(cells)} cells, the header {len(header)}."
            received.refusals.append(Refusal(number, "", "ROW_LENGTH", message))
            continue
        _take(dict(zip(header, cells, strict=True)), number, received)
    return received


def _header_problems(header: list[str]) -> list[Refusal]:
    missing = [column.name for column in COLUMNS if column.name not in header]
    twice = [name for name, count in Counter(header).items() if count > 1]
    return [Refusal(1, name, "MISSING_COLUMN", f"Column {name} is missing.") for name in missing] + [
        Refusal(1, name, "DUPLICATE_COLUMN", f"Column {name} stands in the header more than once.") for name in twice
    ]


def _take(row: Row, number: int, received: ReceivedOrders) -> None:
    problems = [problem for column in COLUMNS if (problem := check_value(column, row, number)) is not None]
    order = received.orders.get(row["purchase_order_id"], [])
    if any(other["line_number"] == row["line_number"] for other in order):
        message = f"Line {row['line_number']} of order {row['purchase_order_id']} stands in the file twice."
        problems.append(Refusal(number, "line_number", "DUPLICATE_LINE", message))
    for name in ("po_number", "vendor_id", "currency", "order_date"):
        if order and order[0][name] != row[name]:
            message = f"{name} differs from another row of order {row['purchase_order_id']}."
            problems.append(Refusal(number, name, "HEADER_DIFFERS", message))
    if problems:
        received.refusals += problems
    else:
        received.orders.setdefault(row["purchase_order_id"], []).append(row)


def received_orders(root: Path) -> list[ReceivedOrders]:
    """Reads every complete file in `inbound/purchase_orders/`, oldest name first."""
    folder = root / "inbound" / "purchase_orders"
    files = sorted(folder.glob("*.csv")) if folder.is_dir() else []
    return [read_orders(path.name, path.read_bytes()) for path in files if not path.name.startswith(".")]
