"""The reference samples, byte for byte, from their values."""

from __future__ import annotations

import pytest

from tests.formats.x12.data import (
    SAMPLE_GL,
    SAMPLE_INVOICE,
    SAMPLE_ORDER,
    SAMPLES,
    gl_batch,
    gl_header,
    invoice_batch,
    new_document_writer,
    new_gl_writer,
    order_batch,
    text_of,
)

ONE_NAME = {"4000-20-100": "OFFICE SUPPLIES"}
BOTH_NAMES = {**ONE_NAME, "2100-30-000": "AP CONTROL"}


def sample(name: str) -> str:
    return (SAMPLES / name).read_bytes().decode()


@pytest.mark.parametrize("cut", [1, 2, 3], ids=lambda size: f"batches of {size}")
@pytest.mark.parametrize(
    ("set_id", "names", "name"),
    [("830", ONE_NAME, "830_004010_gl_postings.edi"), ("821", BOTH_NAMES, "821_004010_gl_postings.edi")],
    ids=["830", "821"],
)
def test_gl(set_id: str, names: dict[str, str], name: str, cut: int) -> None:
    writer = new_gl_writer(set_id, gl_header(account_names=names))
    batches = [gl_batch(SAMPLE_GL[at : at + cut]) for at in range(0, 3, cut)]
    assert text_of(writer, *batches) == sample(name)


@pytest.mark.parametrize("cut", [1, 2], ids=lambda size: f"batches of {size}")
def test_invoice(cut: int) -> None:
    batches = [invoice_batch(SAMPLE_INVOICE[at : at + cut]) for at in range(0, 2, cut)]
    assert text_of(new_document_writer("810"), *batches) == sample("810_004010_minimal.edi")


@pytest.mark.parametrize("cut", [1, 2], ids=lambda size: f"batches of {size}")
def test_purchase_order(cut: int) -> None:
    batches = [order_batch(SAMPLE_ORDER[at : at + cut]) for at in range(0, 2, cut)]
    assert text_of(new_document_writer("850"), *batches) == sample("850_004010_minimal.edi")
