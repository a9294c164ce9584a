"""`python -m benchmarks.stampli_sandbox INVOICES LATENCY_MS`: Stampli's folder and the Service Layer, in a process.

One file of so many sound invoices, of 1 to 40 lines each, waits in the folder. The same number makes the same books and
the same file. Prints the Airflow connections as JSON, then serves until stdin is closed.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from benchmarks.service_layer import serving

CONNECTIONS = ("sap_b1", "stampli_sftp")


@contextlib.contextmanager
def running(invoices: int, latency_ms: float) -> Iterator[dict[str, dict[str, Any]]]:
    """Connection id → its fields, of a fresh sandbox with so many invoices to post."""
    with serving("benchmarks.stampli_sandbox", str(invoices), str(latency_ms)) as connections:
        yield connections


def main(invoices: int, latency_ms: float) -> None:
    """Serves."""
    from sandbox.lifetime import Lifetime
    from sandbox.sap_b1.data import AS_OF, Sizes
    from sandbox.stampli import Books, CsvStyle, StampliExports, export_file, text_record
    from sandbox.stampli.drop import file_name
    from sandbox.world import Sandbox

    lifetime = Lifetime()
    sizes = Sizes(customers=6, suppliers=40, leads=1, items=4, invoices=4, credit_notes=1)
    with Sandbox(size=sizes, latency_ms=latency_ms, only=CONNECTIONS) as sandbox:
        exports = StampliExports(Books.of(sandbox.company, AS_OF))
        records = [text_record(exports.invoice()) for _ in range(invoices)]
        moment = datetime(2026, 3, 1, tzinfo=UTC)
        content = export_file("invoices", records, CsvStyle())
        sandbox.stampli.drop.put(file_name("invoices", "C1", moment, "csv"), content, at=moment)
        fields = {name: json.loads(sandbox.env[f"AIRFLOW_CONN_{name.upper()}"]) for name in CONNECTIONS}
        print(json.dumps(fields), flush=True)
        lifetime.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
