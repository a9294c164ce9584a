"""pyx12's reader as an independent check of ISA, GS and ST: counts and control numbers."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.formats.x12.data import (
    INVOICE,
    ITEM_ROWS,
    ORDER,
    SAMPLE_GL,
    gl_batch,
    invoice_batch,
    new_document_writer,
    new_gl_writer,
    order_batch,
    text_of,
)

x12file = pytest.importorskip("pyx12.x12file")

INVOICES = invoice_batch([{**INVOICE, "invoice_number": f"I{n}", **item} for n in range(3) for item in ITEM_ROWS])
ORDERS = order_batch([{**ORDER, "purchase_order": f"P{n}", **item} for n in range(3) for item in ITEM_ROWS])


def files(**changes: Any) -> dict[str, str]:
    return {
        "830": text_of(new_gl_writer("830", **changes), gl_batch(SAMPLE_GL)),
        "821": text_of(new_gl_writer("821", **changes), gl_batch(SAMPLE_GL)),
        "810": text_of(new_document_writer("810", **changes), INVOICES.slice(0, 3), INVOICES.slice(3)),
        "850": text_of(new_document_writer("850", **changes), ORDERS),
        "832": text_of(new_document_writer("832", **changes), ORDERS),
    }


def errors(text: str) -> list[tuple[Any, ...]]:
    reader = x12file.X12Reader(io.StringIO(text))
    found = [error for _ in reader for error in reader.pop_errors()]
    reader.cleanup()
    return found + reader.pop_errors()


@pytest.mark.parametrize("version", ["004010", "005010"])
@pytest.mark.parametrize("set_id", ["810", "850", "830", "821", "832"])
def test_no_errors(set_id: str, version: str) -> None:
    text = files(version=version)[set_id]
    assert errors(text) == []
    assert errors(text.replace("\nSE*", "\nSE*9", 1)), "the check itself is blind"
