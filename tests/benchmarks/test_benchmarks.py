"""The measurements run and agree on what they measure; how fast anything is, is not asserted."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from benchmarks import (
    banqup_run,
    banqup_sandbox,
    close_bench,
    mapping_bench,
    posting_bench,
    posting_memory_bench,
    stampli_run,
    stampli_sandbox,
    syspro_sandbox,
    validation_bench,
)
from benchmarks.__main__ import NAMES, main
from benchmarks.measure import ratio, table
from tests.support.sshd import ssh_server
from tieout.formats.ubl import ValidatorPool

ROOT = Path(__file__).resolve().parents[2]


def _children_find_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m benchmarks` sets this for the processes that it starts."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'plugins'}{os.pathsep}{ROOT}")


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


@pytest.mark.integration
def test_both_ways_post_the_same_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    _children_find_us(monkeypatch)

    seconds, bodies = posting_bench.with_tieout(6, streams=4, latency_ms=0)

    assert min(seconds.collect, seconds.prepare, seconds.post) > 0
    assert len(set(bodies)) == 6
    assert posting_bench.with_requests(bodies, 6, latency_ms=0) > 0


@pytest.mark.integration
def test_a_run_that_does_not_post_every_invoice_is_no_measurement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _children_find_us(monkeypatch)

    with (
        stampli_sandbox.running(3, 0) as connections,
        pytest.raises(AssertionError, match="All 4 invoices must be posted, each once: 3 entries"),
    ):
        stampli_run.carry_out(connections, 4, tmp_path, streams=1)


@pytest.mark.integration
def test_memory_is_reported_by_the_end_of_each_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _children_find_us(monkeypatch)

    row = posting_memory_bench.child(3, tmp_path)

    peaks = [row[f"peak MiB after {step}"] for step in ("collect", "prepare", "post")]
    assert 0 < peaks[0] <= peaks[1] <= peaks[2]


@pytest.mark.integration
def test_a_close_is_measured_step_by_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _children_find_us(monkeypatch)

    with ssh_server(tmp_path / "sshd") as server, syspro_sandbox.running(2_000, 0) as syspro:
        row = close_bench.measured_close(server, syspro, "csv")

    parts = [row[name] for name in ("extract s", "prepare s", "quality gate s", "deliver s")]
    assert min(parts) > 0
    assert row["whole s"] == pytest.approx(sum(parts))
    assert row["MiB prepare"] > 0


@pytest.mark.integration
def test_each_way_of_validation_finds_the_one_bad_invoice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _children_find_us(monkeypatch)
    contents = [validation_bench.invoice(1, 5), validation_bench.invoice(2, 100), validation_bench.invoice(3, 5, 2_000)]
    contents.append(contents[0].replace(b">380<", b">999<"))
    files = [tmp_path / f"{number}.xml" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)

    with ValidatorPool(workers=1) as pool:
        assert validation_bench.with_pool(pool, files) == 1
    seconds, invalid = validation_bench.with_peppol_py(files)
    assert (invalid, seconds > 0) == (1, True)
    assert validation_bench.one_process_each(files[-2:]) == 1


@pytest.mark.parametrize(("lines", "pdf_bytes"), [(1, 0), (5, 0), (100, 0), (5, 200_000)])
def test_invoices_have_what_the_table_says(lines: int, pdf_bytes: int) -> None:
    content = validation_bench.invoice(7, lines, pdf_bytes)

    assert len(re.findall(rb"<[\w:]*InvoicedQuantity", content)) == lines
    assert content == validation_bench.invoice(7, lines, pdf_bytes) != validation_bench.invoice(8, lines, pdf_bytes)
    assert (len(content) > pdf_bytes * 4 / 3) and (bool(pdf_bytes) == (b"EmbeddedDocumentBinaryObject" in content))


@pytest.mark.integration
def test_quick_clients_prints_a_row_per_way_and_per_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _children_find_us(monkeypatch)

    assert main(["--quick", "--only", "clients"]) == 0

    printed = re.findall(r"^\| (\d+) (invoices|documents) .*? \| (.*?) \|", capsys.readouterr().out, re.MULTILINE)
    ways = ["tieout, as to clients", "sftp -b", "paramiko"]
    assert [way for *_, way in printed] == [*ways, *banqup_run.STEPS, "whole"]


@pytest.mark.integration
def test_runs_for_clients_deliver_what_is_new_and_nothing_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _children_find_us(monkeypatch)

    with banqup_sandbox.running(2, 4, tmp_path / "clients") as banqup:
        assert banqup.missing() == 4
        for number, documents in enumerate((4, 0, banqup.one_more_each)):
            expected = documents if isinstance(documents, int) else documents()
            seconds = banqup_run.carry_out(banqup, expected, tmp_path, number)
            assert set(seconds) == set(banqup_run.STEPS)
        next((tmp_path / "clients").rglob("*.xml")).write_bytes(b"")
        assert banqup.missing() == 1
        with pytest.raises(AssertionError, match="All 1 documents must be delivered, each once: 0; "):
            banqup_run.carry_out(banqup, 1, tmp_path, 3)


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
