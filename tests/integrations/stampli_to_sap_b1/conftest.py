from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.sap_b1.data import Sizes
from sandbox.world import Sandbox
from tests.integrations.stampli_to_sap_b1.rehearsal import Rehearsal, default_config
from tieout.ledger import Ledger

SMALL = Sizes(customers=6, suppliers=8, leads=1, items=4, invoices=4, credit_notes=1)


@pytest.fixture
def rehearsal(tmp_path: Path) -> Iterator[Rehearsal]:
    """A small company and Stampli's folder."""
    with (
        Sandbox(size=SMALL, folder=tmp_path / "sandbox", only=("sap_b1", "stampli_sftp")) as sandbox,
        Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", migrate=True) as ledger,
    ):
        yield Rehearsal(sandbox, ledger, tmp_path / "staging", default_config())
