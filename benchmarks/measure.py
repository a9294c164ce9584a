"""What the measurements have in common: rounds side by side, medians, tables, and on what was measured."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

Row = dict[str, Any]

PACKAGES = ("pyarrow", "msgspec", "urllib3", "asyncssh", "apache-airflow", "pandas", "polars", "dlt", "requests",
            "paramiko")  # fmt: skip


def progress(text: str) -> None:
    """A line of progress, on stderr."""
    print(f"  {text}", file=sys.stderr, flush=True)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds, and what the work returned."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def side_by_side(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round. The ways take turns, so that a busy machine is busy for all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(1, rounds + 1):
        for name, work in ways.items():
            took, _ = timed(work)
            seconds[name].append(took)
            progress(f"round {number} of {rounds}: {name}: {took:.2f} s")
    return seconds


def spread(seconds: Sequence[float]) -> Row:
    """Median, least and most, for a row."""
    return {"median s": round(statistics.median(seconds), 2), "range s": f"{min(seconds):.2f}-{max(seconds):.2f}"}


def peak_mib() -> int:
    """The most memory that this process ever had."""
    # `ru_maxrss` will not do: a new program inherits its parent's there, and never shows less.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(kib / 1024)


def ratio(seconds: Mapping[str, Sequence[float]], name: str, base: str) -> float:
    """How many times as long as `base` the way `name` takes: the median of the rounds' own ratios."""
    return statistics.median(other / own for other, own in zip(seconds[name], seconds[base], strict=True))


def table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table; what a row lacks stays empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def surroundings() -> list[str]:
    """The machine, the versions and how busy it was, a line each."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    return [
        f"{_processor()}, {os.cpu_count()} CPUs, {_memory():.0f} GiB memory, {platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}; {versions}",
        "load average (1, 5, 15 min) at the start: " + ", ".join(f"{value:.1f}" for value in os.getloadavg()),
    ]


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
