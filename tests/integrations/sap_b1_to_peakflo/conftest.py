from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.sap_b1.data import Planted, Sizes
from sandbox.world import Sandbox
from tests.integrations.sap_b1_to_peakflo.rehearsal import Rehearsal, default_config
from tieout.ledger import Ledger

SMALL = Sizes(customers=12, suppliers=3, leads=2, items=8, invoices=40, credit_notes=6)


@pytest.fixture
def rehearsal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rehearsal]:
    """A small company; `@pytest.mark.parametrize("rehearsal", [Planted(…)], indirect=True)` plants bad records."""
    planted: Planted | bool = getattr(request, "param", False)
    with (
        Sandbox(size=SMALL, planted=planted, folder=tmp_path / "sandbox") as sandbox,
        Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", migrate=True) as ledger,
    ):
        yield Rehearsal(sandbox, ledger, tmp_path / "staging", default_config())
