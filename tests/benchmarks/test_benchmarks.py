"""The measurements run and agree on what they measure; how fast anything is, is not asserted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import mapping_bench
from benchmarks.__main__ import NAMES, main
from benchmarks.measure import ratio, table

ROOT = Path(__file__).resolve().parents[2]


def test_quick_mapping_prints_its_table_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    page = ROOT / "docs" / "benchmarks.md"
    before = page.read_bytes()

    assert main(["--quick", "--only", "mapping"]) == 0

    printed = capsys.readouterr().out
    assert re.findall(r"^\| (tieout|pandas|polars) \| 250 \|", printed, re.MULTILINE) == ["tieout", "pandas", "polars"]
    assert page.read_bytes() == before


def test_the_ways_write_the_same_lines() -> None:
    pages = mapping_bench.make_pages(2, 10)

    sizes = {work.__name__: work(pages) for work in (mapping_bench.with_pandas, mapping_bench.with_polars)}

    assert len(set(sizes.values())) == 1, sizes
    assert mapping_bench.with_tieout(pages) > 0


def test_the_page_has_a_place_for_each_measurement() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")

    assert re.findall(r"^<!-- (\w+) -->$", text, re.MULTILINE) == list(NAMES)
    assert re.findall(r"^<!-- /(\w+) -->$", text, re.MULTILINE) == list(NAMES)
    assert {path.stem.removesuffix("_bench") for path in (ROOT / "benchmarks").glob("*_bench.py")} == set(NAMES)


def test_tables_and_ratios() -> None:
    assert table([{"way": "a", "n": 1200}, {"way": "b", "x": 0.5}]).splitlines() == [
        "| way | n | x |",
        "|---|---|---|",
        "| a | 1,200 |  |",
        "| b |  | 0.5 |",
    ]
    assert ratio({"own": [1.0, 2.0, 4.0], "other": [2.0, 6.0, 4.0]}, "other", "own") == 2.0
