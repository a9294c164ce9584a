"""A known file, byte for byte: the spec that partners know, and the one that is delivered with the project."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from tieout.formats.fixed_width import FixedWidthSpec, FixedWidthWriter
from tieout.yaml_file import load_yaml, parse_yaml

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / "include/mappings/syspro_to_legacy_erp/record_specs/gl_fixed_width.yaml"

SPEC = r"""
file:
  name: "GL_{company}_{period_yyyymm}_{seq:06d}.dat"
  encoding: cp1252
  record_separator: "\r\n"
  on_overflow: error
records:
  header:
    length: 100
    fields:
      - {name: rec_type, start: 1,  width: 1,  const: "H"}
      - {name: company,  start: 2,  width: 4,  from: company}
      - {name: run_date, start: 6,  width: 8,  from: run, type: date, format: "%Y%m%d"}
      - {name: batch,    start: 14, width: 6,  from: batch, type: num, scale: 0}
      - {name: filler,   start: 20, width: 81, const: ""}
  detail:
    length: 100
    fields:
      - {name: rec_type, start: 1,  width: 1,  const: "D"}
      - {name: seq,      start: 2,  width: 6,  from: seq, type: num, scale: 0}
      - {name: cc,       start: 8,  width: 10, from: cc}
      - {name: gl_code,  start: 18, width: 35, from: gl}
      - {name: year,     start: 53, width: 4,  from: year, type: num, scale: 0}
      - {name: period,   start: 57, width: 2,  from: period, type: num, scale: 0}
      - {name: journal,  start: 59, width: 10, from: journal, type: num, scale: 0}
      - {name: entry_dt, start: 69, width: 8,  from: dt, type: date, format: "%Y%m%d", "null": zeros}
      - {name: amount,   start: 77, width: 14, from: amt, type: num, scale: 2, sign: overpunch}
      - {name: ref,      start: 91, width: 10, from: ref, truncate: true}
  trailer:
    length: 100
    fields:
      - {name: rec_type, start: 1,  width: 1,  const: "T"}
      - {name: count,    start: 2,  width: 9,  from: count, type: num, scale: 0}
      - {name: debits,   start: 11, width: 15, from: debit, type: num, scale: 2}
      - {name: credits,  start: 26, width: 15, from: credit, type: num, scale: 2}
      - {name: hash,     start: 41, width: 10, from: hash, type: num, scale: 0}
      - {name: filler,   start: 51, width: 50, const: ""}
"""

LINES = [
    "HEDU120260131000001" + 81 * " ",
    "D00000120        4000-20-100                        2026010000012345202601150000000002500{INV-1001  ",
    "D00000220        4000-20-100                        2026010000012360202601200000000000405}CRN-77    ",
    "D00000330        2100-30-000                        2026010000012360202601200000000002095}INV-1001  ",
    "T0000000030000000000250000000000000250000000037065" + 50 * " ",
]

CENTRES = ["20", "20", "30"]
ACCOUNTS = ["4000-20-100", "4000-20-100", "2100-30-000"]
JOURNALS = [12345, 12360, 12360]
DATES = ["2026-01-15", "2026-01-20", "2026-01-20"]
AMOUNTS = [Decimal("250.00"), Decimal("-40.50"), Decimal("-209.50")]
REFERENCES = ["INV-1001", "CRN-77", "INV-1001"]


def postings() -> pa.RecordBatch:
    """The sample's postings with the columns of mapped G/L lines."""
    return pa.record_batch(
        {
            "cost_centre": CENTRES,
            "account": ACCOUNTS,
            "source_gl_code": ACCOUNTS,
            "year": [2026] * 3,
            "period": pa.array([1] * 3, pa.int32()),
            "journal": JOURNALS,
            "entry": [1, 1, 2],
            "date": DATES,
            "source": ["AP"] * 3,
            "reference": REFERENCES,
            "description": [None] * 3,
            "amount": pa.array(AMOUNTS, pa.decimal128(28, 6)),
        }
    )


def test_the_sample_byte_for_byte() -> None:
    writer = FixedWidthWriter(parse_yaml(SPEC, "sample.yaml").validate(FixedWidthSpec))
    lines = pa.record_batch(
        {
            "seq": [1, 2, 3],
            "cc": CENTRES,
            "gl": ACCOUNTS,
            "year": ["2026"] * 3,
            "period": ["01"] * 3,
            "journal": JOURNALS,
            "dt": DATES,
            "amt": pa.array(AMOUNTS, pa.decimal128(28, 6)),
            "ref": REFERENCES,
        }
    )
    header = writer.header({"company": "EDU1", "run": date(2026, 1, 31), "batch": 1})
    details = writer.details(lines)
    trailer = writer.trailer({"count": 3, "debit": Decimal("250.00"), "credit": Decimal("250.00"), "hash": 37065})
    assert header + details.data + trailer == "".join(line + "\r\n" for line in LINES).encode("cp1252")
    assert details.offsets.tolist() == [0, 102, 204]
    assert details.length == 102


def test_the_sample_in_ebcdic_has_the_same_characters() -> None:
    text = SPEC.replace("encoding: cp1252", "encoding: cp037").replace(r'"\r\n"', "none")
    writer = FixedWidthWriter(parse_yaml(text, "sample.yaml").validate(FixedWidthSpec))
    header = writer.header({"company": "EDU1", "run": "2026-01-31", "batch": "000001"})
    assert header.decode("cp037") == LINES[0]
    assert len(header) == 100


def test_the_default_spec_is_the_sample_with_nine_digits_for_line_numbers() -> None:
    writer = FixedWidthWriter(load_yaml(DEFAULT).validate(FixedWidthSpec))
    blocks = writer.blocks([postings()], {"company": "EDU1", "run_date": "2026-01-31", "batch": 1})
    lines = b"".join(block.data for block in blocks).decode("cp1252").split("\r\n")
    details = [f"D000{line[1:]}" for line in LINES[1:4]]
    assert lines == [LINES[0] + "   ", *details, LINES[4] + "   ", ""]
    assert {len(line) for line in lines[:-1]} == {103}


def test_the_default_spec_takes_the_columns_of_mapped_lines() -> None:
    spec = load_yaml(DEFAULT).validate(FixedWidthSpec)
    assert set(spec.columns) <= set(postings().schema.names)
    assert spec.header_totals == ()
