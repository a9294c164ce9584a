"""Many times the documents in the same memory: read with their lines, and written in all formats."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PROGRAM = """
import sys
from pathlib import Path
from datetime import date, datetime
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from tieout.integrations.syspro_to_legacy_erp.documents import DocumentWindow, read_documents
from tieout.integrations.syspro_to_legacy_erp.conversion import DocumentTarget, convert
from tieout.integrations.syspro_to_legacy_erp.gl.writers import Facts, Numbers
from tieout.integrations.sorting import RECORDS_SCHEMA
from tieout.formats.fixed_width import FixedWidthSpec
from tieout.formats.x12 import Participant, X12Profile
from tieout.mapping.compiler import compile_mapping
from tieout.mapping.frame import MapContext
from tieout.mapping.loader import load_mapping
from tieout.staging import read_parts
from tieout.systems.syspro.columns import batch_schema

what, total, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
LINES = 5

class Source:
    def read(self, read):
        schema = batch_schema(read)
        each = LINES if read.table.name == "PorMasterDetail" else 1
        for start in range(0, total, 2000):
            at = np.repeat(np.arange(start, min(start + 2000, total)), each)
            numbers = [f"P{n:08d}" for n in at]
            values = {"PurchaseOrder": numbers, "Line": np.tile(np.arange(each), len(at) // each),
                      "OrderEntryDate": ["2026-03-05"] * len(at), "OrderStatus": ["1"] * len(at),
                      "Supplier": ["S1"] * len(at), "_raw": [b"{" + b"x" * 300 + b"}"] * len(at),
                      "StockCode": numbers, "Description": ["Nut"] * len(at), "LongDesc": ["x" * 600] * len(at),
                      "Currency": ["USD"] * len(at)}
            values["_key"] = numbers
            yield pa.record_batch([pa.array(values[f.name]).cast(f.type) if f.name in values
                                   else pa.nulls(len(at), f.type) for f in schema], schema=schema)

entity = "purchase_orders" if what == "read" else "items"
mapping = load_mapping(Path("include/mappings/syspro_to_legacy_erp") / f"{entity}.yaml")
found = read_documents(Source(), mapping, DocumentWindow(), folder, local_currency="USD")
assert found.records == total
if what != "read":
    compiled = compile_mapping(mapping)
    context = MapContext({"delivered_before": {}}, {"currency": "USD"})
    position = len(compiled.header_line())
    with open(folder / "data.csv", "wb") as data, pq.ParquetWriter(folder / "records", RECORDS_SCHEMA) as records:
        data.write(compiled.header_line())
        for batch in read_parts(folder, names=found.part_names):
            made = compiled.map_batch(batch, context)
            data.write(made.csv_bytes())
            ends = position + np.cumsum(made.row_bytes)
            starts = np.concatenate(([position], ends[:-1]))
            position = int(ends[-1])
            columns = [made.keys, made.fingerprints, made.labels, pa.array(starts), pa.array(ends)]
            records.write_table(pa.table(columns, schema=RECORDS_SCHEMA))
    facts = Facts("EDU1", "EDU1", "LEGACY", "202603", date(2026, 3, 1), date(2026, 3, 31), "USD", datetime(2026, 4, 1))
    sides = {"sender": Participant(id="EDU1"), "receiver": Participant(id="LEGACY")}
    spec = {"records": {"detail": {"length": 30, "fields": [
        {"name": "a", "start": 1, "width": 30, "from": "stock_code"}]}}}
    formats = {"csv": {}, "x12": {"profile": X12Profile(**sides, test_indicator="T")},
               "fixed_width": {"spec": FixedWidthSpec.model_validate(spec)}}
    for name, more in formats.items():
        target = DocumentTarget(folder / "out", folder / "index", name, facts, Numbers(1), **more)
        assert convert(folder / "data.csv", folder / "records", compiled, target).records == total
# Not ru_maxrss: a new program inherits its parent's there.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


@pytest.mark.integration
@pytest.mark.parametrize(("what", "few", "many"), [("read", 10_000, 60_000), ("write", 10_000, 100_000)])
def test_many_times_the_documents_in_the_same_memory(tmp_path: Path, what: str, few: int, many: int) -> None:
    peaks = []
    for number in (few, many):
        folder = tmp_path / str(number)
        command = [sys.executable, "-c", PROGRAM, what, str(number), str(folder)]
        environment = {"PYTHONPATH": str(ROOT / "plugins"), "ARROW_DEFAULT_MEMORY_POOL": "system"}
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout) / 1024)
    # The larger ones are some 200 MB of rows, and 70 MB of text in a file.
    assert peaks[1] - peaks[0] < 90, f"peak memory in MB: {peaks}"
