"""How much memory extraction and preparation take for N and for ten times N invoices.

Each measurement is a process of its own that reads invoices from a source inside it (pages of 500, four ranges side by
side, to Parquet), then sorts them into their places with the mapping and a new ledger in SQLite, and writes the CSV.
What is reported is the most memory that the process ever had (`VmHWM`), Python and its libraries included. The
invoices repeat those of one page under other keys, hence the small Parquet files.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import Row, peak_mib, progress

TITLE = "Memory"
ROOT = Path(__file__).resolve().parents[1]
PAGE = 500

_AFTER = re.compile(r"DocEntry gt (\d+)")
_UPTO = re.compile(r"DocEntry le (\d+)")


class _Source:
    """Invoices with the keys 1 to `total`, made from those of one page, so that the source itself needs no memory."""

    def __init__(self, total: int) -> None:
        from benchmarks.mapping_bench import make_pages

        self._total = total
        records = json.loads(make_pages(1, PAGE)[0])["value"]
        for record in records:
            record["DocEntry"] = record["DocNum"] = None
        self._records = [
            json.dumps(record).replace('"DocEntry": null, "DocNum": null', '"DocEntry": {0}, "DocNum": {0}')
            for record in records
        ]

    def get_page(self, entity_set: str, params: Mapping[str, str]) -> bytes:
        text = params.get("$filter", "")
        after, upto = _AFTER.search(text), _UPTO.search(text)
        first = int(after[1]) + 1 if after else 1
        end = int(upto[1]) if upto else self._total
        if "desc" in params["$orderby"]:
            first = end = self._total
        last = min(first + PAGE - 1, end)
        rows = ",".join(self._record(number) for number in range(first, last + 1))
        link = ',"@odata.nextLink":"more"' if last < end else ""
        return f'{{"value":[{rows}]{link}}}'.encode()

    def _record(self, number: int) -> str:
        return self._records[number % PAGE].replace("{0}", str(number), 2)

    def count(self, entity_set: str, filter: str | None = None) -> int:
        return self._total


def child(total: int, folder: Path) -> Row:
    """Extracts and prepares; the row has the peak."""
    from benchmarks.mapping_bench import MAPPING
    from tieout.integrations.sorting import Place, Sorter
    from tieout.ledger import Ledger, Scope
    from tieout.mapping.compiler import compile_mapping
    from tieout.mapping.frame import MapContext
    from tieout.mapping.loader import load_mapping
    from tieout.odata.entity_read import EntityRead
    from tieout.odata.extraction import extract
    from tieout.odata.query import KeyType
    from tieout.staging import read_parts

    mapping = load_mapping(MAPPING)
    start = time.perf_counter()
    read = EntityRead("Invoices", "DocEntry", KeyType.INTEGER, mapping.record_schema())
    manifest = extract(_Source(total), read, folder / "extract")
    prepared = folder / "prepared"
    prepared.mkdir()
    with Ledger.open(f"sqlite:///{folder / 'ledger.db'}", migrate=True) as ledger:
        sorter = Sorter(
            compile_mapping(mapping, manifest.custom_fields),
            MapContext(settings={"local_currency": "EUR"}),
            ledger,
            Scope("benchmark", "default", "invoices"),
        )
        outcome = sorter.sort(read_parts(folder / "extract", names=manifest.part_names), prepared)
    if outcome.tallies[Place.SEND].count != total:
        raise AssertionError(f"All {total} invoices must be good: {outcome.tallies}")
    return {
        "invoices": total,
        "staged MB": round(manifest.bytes / 1e6),
        "CSV MB": round(outcome.bytes / 1e6),
        "seconds": round(time.perf_counter() - start, 1),
        "peak MiB": peak_mib(),
    }


def _in_child(total: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.memory_bench", str(total), folder]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout)
    progress(f"{total} invoices: {row['peak MiB']} MiB, {row['seconds']} s")
    return row


def run(*, quick: bool = False) -> list[Row]:
    """One row per size, the one with the median peak of its rounds; `times N` is its peak by that of N."""
    number, rounds = (5_000, 1) if quick else (10_000, 2)
    rows = []
    for total in (number, 10 * number):
        found = [_in_child(total) for _ in range(rounds)]
        middle = statistics.median_low([row["peak MiB"] for row in found])
        rows.append(next(row for row in found if row["peak MiB"] == middle))
    for row in rows:
        row["times the peak of N"] = round(row["peak MiB"] / rows[0]["peak MiB"], 2)
    return rows


if __name__ == "__main__":
    print(json.dumps(child(int(sys.argv[1]), Path(sys.argv[2]))))
