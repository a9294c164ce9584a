"""`python -m benchmarks`: measure everything side by side, print the tables, and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
NAMES = (
    "extraction", "mapping", "delivery", "memory", "posting", "posting_memory", "close", "validation", "clients",
    "airflow", "clients_airflow", "page",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    # For children, and for the imports below: this runs from a checkout without being installed.
    paths = [str(ROOT / "plugins"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    sys.path[:0] = paths[:2]
    from benchmarks.measure import surroundings, table

    machine = surroundings()
    print("\n".join(machine), flush=True)
    sections: dict[str, str] = {}
    for name in options.only or NAMES:
        module = importlib.import_module(f"benchmarks.{name}_bench")
        print(f"\n{module.TITLE}", flush=True)
        sections[name] = table(module.run(quick=options.quick))
        print(f"\n{sections[name]}", flush=True)
        if not options.quick:
            _write(name, module, sections[name], machine)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, help="only this measurement (repeatable)")
    parser.add_argument("--quick", action="store_true", help="small and once, to see that it works; writes nothing")
    return parser


def _write(name: str, module: ModuleType, rows: str, machine: list[str]) -> None:
    """Puts a measurement's section into the page; the other sections stay."""
    measured = f"Measured on {datetime.now(UTC):%Y-%m-%d} on:\n\n" + "\n".join(f"- {line}" for line in machine)
    section = f"## {module.TITLE}\n\n{(module.__doc__ or '').strip()}\n\n{rows}\n\n{measured}\n"
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    page = PAGE.read_text(encoding="utf-8")
    before, found, rest = page.partition(begin)
    if not found:
        raise SystemExit(f"{PAGE} has no line {begin.strip()}; the table belongs between it and {end.strip()}.")
    PAGE.write_text(before + begin + section + end + rest.partition(end)[2], encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
