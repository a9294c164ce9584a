from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.syspro.books import BookSizes
from sandbox.syspro.simulator import SysproSimulator
from sandbox.world import Sandbox
from tests.integrations.syspro_to_legacy_erp.rehearsal import Rehearsal, instance_config
from tieout.ledger import Ledger

REPOSITORY = Path(__file__).parents[3]
TINY = BookSizes(first_year=2025, years=2, lines=4, suppliers=2, items=3)


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the include folder, which tests may change."""
    folder = tmp_path / "include"
    for name in ("calendars", "integrations", "mappings", "quality"):
        shutil.copytree(REPOSITORY / "include" / name, folder / name)
    monkeypatch.setenv("TIEOUT_INCLUDE", str(folder))
    return folder


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A company with a journal or two in each period of 2025 and 2026, and the legacy ERP."""
    with Sandbox(folder=tmp_path / "sandbox", only=("legacy_erp",)) as found:
        syspro = SysproSimulator(TINY, clock=found.clock)
        syspro.start()
        found.simulators["syspro"] = syspro
        yield found
        assert syspro.server.failures == []
        assert syspro.server.statistics()["writes_tried"] == 0


@pytest.fixture
def new_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Ledger]]:
    """Opens a ledger by name; no plug is pulled, so that it need not wait for the disk."""
    monkeypatch.setattr("tieout.ledger.database.SYNCHRONOUS", "OFF")
    opened: list[Ledger] = []

    def new(name: str) -> Ledger:
        opened.append(Ledger.open(f"sqlite:///{tmp_path / name}.db", migrate=True))
        return opened[-1]

    yield new
    for ledger in opened:
        ledger.close()


@pytest.fixture
def rehearsal(
    include: Path, sandbox: Sandbox, new_ledger: Callable[[str], Ledger], tmp_path: Path, request: Any
) -> Rehearsal:
    """G/L postings only, as the shipped instance sends them; `send_only` chooses others."""
    found = Rehearsal(sandbox, new_ledger("ledger"), tmp_path, instance_config({}))
    found.send_only(gl_postings={})
    return found
