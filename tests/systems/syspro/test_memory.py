"""Memory is bounded by pages, whatever the number of lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys
from tieout.systems.syspro.odata_reader import ODataReader
from tieout.systems.syspro.settings import SysproSettings
from tieout.systems.syspro.tables import GEN_JOURNAL_DETAIL, TableRead

TOTAL = int(sys.argv[1])

def fetch(path, params, parse):
    text = params.get("$filter", "")
    first = int(text.rsplit("EntryNumber gt ", 1)[1].split(")")[0]) + 1 if text else 1
    last = min(TOTAL, first + int(params["$top"]) - 1)
    filler = "x" * 200
    rows = ",".join(f'{{"GlYear":2026,"GlPeriod":1,"Journal":1,"EntryNumber":{n},"EntryValue":{n}.25,'
                    f'"Comment":"{filler}"}}' for n in range(first, last + 1))
    return parse(f'{{"value":[{rows}]}}'.encode())

settings = SysproSettings("http://x", "o", "p", "EDU1")
lines = sum(batch.num_rows for batch in ODataReader(fetch, settings).read(TableRead(GEN_JOURNAL_DETAIL)))
assert lines == TOTAL, lines
# Not ru_maxrss: a new program inherits its parent's there.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


@pytest.mark.integration
def test_many_times_the_lines_in_the_same_memory() -> None:
    plugins = str(Path(__file__).parents[3] / "plugins")
    peaks = []
    for number in (80_000, 500_000):
        command = [sys.executable, "-c", PROGRAM, str(number)]
        done = subprocess.run(command, env={"PYTHONPATH": plugins}, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)

    # The larger one is 150 MB of JSON text.
    assert peaks[1] - peaks[0] < 30, f"peak memory in MB: {peaks}"
