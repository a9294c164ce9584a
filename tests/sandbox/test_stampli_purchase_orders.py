"""Stampli's receiving side: purchase order files are checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.stampli.purchase_orders import read_orders, received_orders

HEADER = (
    "purchase_order_id,po_number,vendor_id,currency,order_date,line_number,quantity,unit_price,line_amount,description"
)
ROWS = [
    "7,107,V1,EUR,2025-06-01,1,2,10,20.00,Ölfarbe",
    "7,107,V1,EUR,2025-06-01,2,1,5,5.00,",
    "8,108,V2,JPY,2025-06-02,1,1,5,5,x",
]


def file(*rows: str, header: str = HEADER) -> bytes:
    return "\r\n".join([header, *rows, ""]).encode()


def test_a_good_file() -> None:
    received = read_orders("a.csv", file(*ROWS))
    assert received.refusals == []
    assert {order: len(rows) for order, rows in received.orders.items()} == {"7": 2, "8": 1}
    assert received.as_dict() == {"name": "a.csv", "orders": 2, "lines": 3, "refusals": []}


@pytest.mark.parametrize(
    ("content", "row", "code"),
    [
        (file(header=HEADER.replace("vendor_id", "vendor")), 1, "MISSING_COLUMN"),
        (file(header=HEADER + ",description"), 1, "DUPLICATE_COLUMN"),
        (b"", 1, "MISSING_COLUMN"),
        (b"\xff", 1, "UNREADABLE"),
        (file('"open'), 1, "UNREADABLE"),
        (file(*ROWS, "9,109"), 5, "ROW_LENGTH"),
        (file(*ROWS, ROWS[0]), 5, "DUPLICATE_LINE"),
        (file(*ROWS, "7,107,V2,EUR,2025-06-01,3,1,5,5.00,"), 5, "HEADER_DIFFERS"),
        (file("9,109,,EUR,2025-06-01,3,1,5,5.00,"), 2, "MISSING_VALUE"),
        (file("9,109,V1,EUR,01.06.2025,3,1,5,5.00,"), 2, "BAD_DATE"),
        (file("9,109,V1,JPY,2025-06-01,3,1,5,5.00,"), 2, "BAD_AMOUNT"),
        (file("9,109,V1,XQX,2025-06-01,3,1,5,5.00,"), 2, "UNKNOWN_CURRENCY"),
    ],
)
def test_what_is_wrong_is_told(content: bytes, row: int, code: str) -> None:
    refusals = read_orders("a.csv", content).refusals
    assert (refusals[0].row, refusals[0].code) == (row, code)


def test_the_folder_is_read_but_for_unfinished_files(tmp_path: Path) -> None:
    assert received_orders(tmp_path) == []
    folder = tmp_path / "inbound" / "purchase_orders"
    folder.mkdir(parents=True)
    (folder / "b.csv").write_bytes(file(ROWS[2]))
    (folder / "a.csv").write_bytes(file(ROWS[0]))
    (folder / ".c.csv").write_bytes(b"")
    assert [(orders.name, list(orders.orders)) for orders in received_orders(tmp_path)] == [
        ("a.csv", ["7"]),
        ("b.csv", ["8"]),
    ]
