"""`python -m benchmarks.service_layer INVOICES LATENCY_MS`: the sandbox's Service Layer in a process of its own.

Prints its Airflow connection as JSON, then serves until stdin is closed. `running` starts and stops it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@contextlib.contextmanager
def serving(module: str, *arguments: str) -> Iterator[dict[str, Any]]:
    """What a module prints as JSON that then serves in a process of its own; it ends with the block."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.communicate()


@contextlib.contextmanager
def running(invoices: int, latency_ms: float) -> Iterator[dict[str, Any]]:
    """The fields of the connection to a fresh Service Layer with so many invoices."""
    with serving("benchmarks.service_layer", str(invoices), str(latency_ms)) as connection:
        yield connection


def main(invoices: int, latency_ms: float) -> None:
    """Serves."""
    from sandbox.lifetime import Lifetime
    from sandbox.sap_b1.data import Sizes
    from sandbox.world import Sandbox

    lifetime = Lifetime()
    sizes = Sizes(customers=250, items=120, invoices=invoices, credit_notes=10, paid_share=0.0)
    with Sandbox(size=sizes, latency_ms=latency_ms, only=("sap_b1",)) as sandbox:
        print(sandbox.env["AIRFLOW_CONN_SAP_B1"], flush=True)
        lifetime.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
