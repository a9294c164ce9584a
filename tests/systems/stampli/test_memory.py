"""Memory does not grow with a file, as long as a record's rows stand together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
from tieout.systems.stampli import Limits, load_layout, read_file

folder, kind, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
layout = load_layout(Path(sys.argv[4]) / "payments.yaml")
names = ("payment_id", "payment_date", "amount", "currency", "vendor_id", "reference")
note = "x" * 1200
path = folder / f"payments_1.{kind}"
with path.open("w") as file:
    file.write(",".join(names) + "\\n" if kind == "csv" else "<StampliExport>")
    for n in range(number):
        values = (f"P{n}", "2026-11-30", "1.00", "EUR", "V1", note)
        if kind == "csv":
            file.write(",".join(values) + "\\n")
        else:
            file.write("<Payment>" + "".join(f"<{k}>{v}</{k}>" for k, v in zip(names, values)) + "</Payment>")
    file.write("" if kind == "csv" else "</StampliExport>")
assert sum(record.problem is None for record in read_file(path, path.name, layout, Limits())) == number
# Not ru_maxrss: a new program inherits its parent's there, and a large test process would hide what this one takes.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["csv", "xml"])
def test_ten_times_the_records_in_the_same_memory(tmp_path: Path, kind: str) -> None:
    root = Path(__file__).parents[3]
    peaks = []
    for number in (2_000, 20_000):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), kind, str(number)]
        command.append(str(root / "include/mappings/stampli_to_sap_b1"))
        environment = {"PYTHONPATH": str(root / "plugins")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)

    # The ten times larger file has 25 MB more; anything that kept its rows would show.
    assert peaks[1] - peaks[0] < 12, f"peak memory in MB: {peaks}"
