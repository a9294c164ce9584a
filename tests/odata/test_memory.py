"""Memory is bounded by pages and row groups, whatever the number of records."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
from tieout.odata.entity_read import EntityRead
from tieout.odata.extraction import extract
from tieout.odata.query import KeyType
from tieout.odata.schema import FieldType, RecordSchema
from tieout.staging import read_parts

TOTAL, SIZE = int(sys.argv[2]), 500
FILLER = ",".join(f'"Property{n}":null' for n in range(60))

class Source:
    def get_page(self, entity_set, params):
        text = params.get("$filter", "")
        first = int(text.split("gt ")[1].split(" ")[0]) + 1 if "gt " in text else 1
        last = min(TOTAL, first + SIZE - 1, int(text.split("le ")[1]) if "le " in text else TOTAL)
        if "desc" in params["$orderby"]:
            first = last = TOTAL
        rows = ",".join(f'{{"DocEntry":{n},"DocTotal":{n}.25,"U_Note":"note {n}",{FILLER}}}'
                        for n in range(first, last + 1))
        link = ',"@odata.nextLink":"x"' if last - first + 1 == SIZE else ""
        return f'{{"value":[{rows}]{link}}}'.encode()

    def count(self, entity_set, filter=None):
        return TOTAL

schema = RecordSchema({"DocEntry": FieldType.INTEGER, "DocTotal": FieldType.NUMBER}, custom_fields=True)
folder = Path(sys.argv[1])
manifest = extract(Source(), EntityRead("Invoices", "DocEntry", KeyType.INTEGER, schema), folder, workers=2)
assert manifest.records == TOTAL
assert sum(batch.num_rows for batch in read_parts(folder, ["_key", "_raw", "DocTotal"])) == TOTAL
# Not ru_maxrss: a new program inherits its parent's there, and a large test process would hide what this one takes.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


@pytest.mark.integration
def test_ten_times_the_records_in_the_same_memory(tmp_path: Path) -> None:
    plugins = str(Path(__file__).parents[2] / "plugins")
    peaks = []
    for number in (20_000, 200_000):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / str(number)), str(number)]
        done = subprocess.run(command, env={"PYTHONPATH": plugins}, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)

    # The ten times larger one holds 250 MB of JSON text; anything that grew with it would show.
    assert peaks[1] - peaks[0] < 60, f"peak memory in MB: {peaks}"
