"""Control totals from the bytes of a file; currencies."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tieout.currencies import MINOR_UNITS, is_currency, minor_units
from tieout.formats import csv as csv_format
from tieout.mapping.totals import file_totals

ROWS = 'id,cur,total,line\r\n1,EUR,10.10,a\r\n1,EUR,10.10,"b\r\nc"\r\n2,JPY,1000,a\r\n3,EUR,-0.10,a\r\n4,EUR,,a\r\n'


@pytest.mark.parametrize("block", [8, 40, 1 << 20], ids=["tiny blocks", "small blocks", "one block"])
def test_a_record_counts_once_wherever_blocks_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    # Blocks must hold a row each, so the text of a line stays shorter than the smallest block that is allowed.
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", max(block, 24))
    path = tmp_path / "x.csv"
    path.write_bytes(ROWS.encode())
    totals = file_totals(path, key="id", currency="cur", amount="total")
    assert (totals.records, totals.rows) == (4, 5)
    assert totals.money == {"EUR": Decimal("10.00"), "JPY": Decimal(1000)}


def test_without_money(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(ROWS.encode())
    assert file_totals(path, key="id", currency=None, amount=None).money == {}


def test_exact_beyond_floats(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(
        b"id,cur,total\r\n" + b"".join(b"%d,EUR,0.10\r\n" % n for n in range(1000)) + b"x,EUR,90071992547409.93\r\n"
    )
    assert file_totals(path, key="id", currency="cur", amount="total").money == {"EUR": Decimal("90071992547509.93")}


@pytest.mark.parametrize(
    ("code", "decimals"),
    [
        ("EUR", 2),
        ("USD", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("ISK", 0),
        ("KWD", 3),
        ("BHD", 3),
        ("TND", 3),
        ("CLF", 4),
        ("HUF", 2),
    ],
)
def test_minor_units(code: str, decimals: int) -> None:
    assert is_currency(code)
    assert minor_units(code) == decimals


@pytest.mark.parametrize("code", ["", "XQX", "eur", "EURO", "XXX", "XAU", "##"])
def test_not_money(code: str) -> None:
    assert not is_currency(code)


def test_table_is_whole() -> None:
    assert len(MINOR_UNITS) > 165
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in MINOR_UNITS)
