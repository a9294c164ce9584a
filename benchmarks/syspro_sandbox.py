"""`python -m benchmarks.syspro_sandbox LINES LATENCY_MS`: SYSPRO with so many G/L lines in one period, in a process.

Prints its Airflow connection as JSON, then serves until stdin is closed.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.service_layer import serving

PERIOD = (2026, 10)


@contextlib.contextmanager
def running(lines: int, latency_ms: float) -> Iterator[dict[str, Any]]:
    """The fields of the connection to a fresh SYSPRO."""
    with serving("benchmarks.syspro_sandbox", str(lines), str(latency_ms)) as connection:
        yield connection


def main(lines: int, latency_ms: float) -> None:
    """Serves."""
    from sandbox.lifetime import Lifetime
    from sandbox.syspro import BookSizes, SysproSimulator

    lifetime = Lifetime()
    simulator = SysproSimulator(BookSizes(large_period=PERIOD, large_lines=lines), latency_ms=latency_ms)
    simulator.start()
    try:
        print(simulator.environment()["AIRFLOW_CONN_SYSPRO"], flush=True)
        lifetime.wait()
    finally:
        simulator.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
