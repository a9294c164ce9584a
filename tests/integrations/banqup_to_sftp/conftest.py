from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from sandbox.banqup import BanqupSimulator, Mixture
from sandbox.clock import SandboxClock
from tests.integrations.banqup_to_sftp.rehearsal import NOW, Rehearsal, instance_config
from tieout.formats.ubl import ValidatorPool
from tieout.integrations.banqup_to_sftp import validating
from tieout.ledger import Ledger


@pytest.fixture(scope="session")
def warm_pool() -> Iterator[ValidatorPool]:
    """One validating process for all tests: it takes about a second to start."""
    with ValidatorPool(workers=1) as pool:
        yield pool


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that each test has a copy of: to migrate one takes half a second."""
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    Ledger.open(f"sqlite:///{path}", migrate=True).close()
    return path


@pytest.fixture
def ledger(tmp_path: Path, empty_ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """No plug is pulled, so that it need not wait for the disk."""
    monkeypatch.setattr("tieout.ledger.database.SYNCHRONOUS", "OFF")
    shutil.copy(empty_ledger, tmp_path / "ledger.db")
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as found:
        yield found


@pytest.fixture
def rehearsal(
    tmp_path: Path, ledger: Ledger, warm_pool: ValidatorPool, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rehearsal]:
    """Three clients without documents; the sandbox's time stands still until it is moved."""
    monkeypatch.setattr(validating, "ValidatorPool", lambda workers: nullcontext(warm_pool))
    clock = SandboxClock(NOW)
    banqup = BanqupSimulator(tmp_path / "clients", Mixture(clients=3, documents=0), clock=clock)
    banqup.start()
    try:
        yield Rehearsal(banqup, clock, ledger, tmp_path, instance_config(banqup))
        assert banqup.server.failures == []
    finally:
        banqup.stop()
