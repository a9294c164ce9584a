"""How much memory Stampli → SAP Business One takes for N and for ten times N invoices.

Each measurement is a process of its own that collects one file of so many invoices with 1 to 40 lines, prepares and
posts them, with the steps and the settings of the posting benchmark above: one stream, a new ledger in SQLite. Nothing
is added to the replies of the Service Layer, which runs beside it, as does the SFTP server. What is reported is the
most memory that the process ever had (`VmHWM`) by the end of each step, Python and its libraries included.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Row, peak_mib, progress

TITLE = "Memory of posting"
ROOT = Path(__file__).resolve().parents[1]
LAST = "peak MiB after post"


def child(invoices: int, folder: Path) -> Row:
    """Collects, prepares and posts; the row has the peaks."""
    from benchmarks.stampli_run import carry_out
    from benchmarks.stampli_sandbox import running

    peaks: Row = {}
    with running(invoices, 0) as connections:
        seconds, bodies = carry_out(
            connections, invoices, folder, streams=1, after=lambda step: peaks.update({step: peak_mib()})
        )
    collected = sum(path.stat().st_size for path in (folder / "files").iterdir())
    return {
        "invoices": invoices,
        "file MB": round(collected / 1e6, 1),
        "posted MB": round(sum(map(len, bodies)) / 1e6, 1),
        "seconds": round(seconds.whole, 1),
        **{f"peak MiB after {step}": peak for step, peak in peaks.items()},
    }


def _in_child(invoices: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.posting_memory_bench", str(invoices), folder]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout)
    progress(f"{invoices} invoices: {row[LAST]} MiB, {row['seconds']} s")
    return row


def run(*, quick: bool = False) -> list[Row]:
    """One row per size, the one with the median peak of its rounds; `times N` is its peak by that of N."""
    number, rounds = (20, 1) if quick else (500, 3)
    rows = []
    for invoices in (number, 10 * number):
        found = [_in_child(invoices) for _ in range(rounds)]
        middle = statistics.median_low([row[LAST] for row in found])
        rows.append(next(row for row in found if row[LAST] == middle))
    for row in rows:
        row["times the peak of N"] = round(row[LAST] / rows[0][LAST], 2)
    return rows


if __name__ == "__main__":
    print(json.dumps(child(int(sys.argv[1]), Path(sys.argv[2]))))
