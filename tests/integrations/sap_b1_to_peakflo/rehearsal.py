"""Runs the integration's steps, as its DAG does, without Airflow: real HTTP, real SSH, a real ledger."""

from __future__ import annotations

import csv
import io
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.world import Sandbox
from tests.support.rehearsing import one_session, sap_settings, sftp_target
from tieout.config import SapB1ToPeakflo, load_instance
from tieout.delivery import SftpTarget
from tieout.errors import TieoutError
from tieout.integrations.run import EntityPlan, Run
from tieout.integrations.sap_b1_to_peakflo import gate, steps
from tieout.integrations.sap_b1_to_peakflo.plan import plan_run
from tieout.integrations.tie_out import Verdict, tie_out
from tieout.ledger import Filters, Ledger, RunRow
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.settings import SapB1Settings

INTEGRATION = "sap_b1_to_peakflo"


@dataclass
class Outcome:
    """What one run did.

    Attributes:
        rows: The ledger's row per entity.
        verdicts: The tie-out per entity.
        error: What `deliver` or an earlier step raised.
        files: Name → content of the files that the run added at the receiver.
    """

    run: Run
    rows: dict[str, RunRow] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    error: TieoutError | None = None
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def ties_out(self) -> bool:
        """Whether every entity does."""
        return all(verdict.ties_out for verdict in self.verdicts)

    def records(self, entity: str) -> list[dict[str, str]]:
        """The rows of the CSV files that the run delivered for an entity."""
        found: list[dict[str, str]] = []
        for name, content in sorted(self.files.items()):
            if name.startswith(f"{entity}/") and name.endswith(".csv"):
                found += csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
        return found

    def keys(self, entity: str) -> set[str]:
        """The source keys that were delivered for an entity."""
        return {row["externalId"] for row in self.records(entity)}


@dataclass
class Rehearsal:
    """A sandbox, a ledger and a staging folder over several runs."""

    sandbox: Sandbox
    ledger: Ledger
    folder: Any  # a local path, or anything that `tieout.staging.Folder` describes
    config: SapB1ToPeakflo
    runs: int = 0
    sftp: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> SapB1Settings:
        """Where the sandbox's Service Layer is."""
        return sap_settings(self.sandbox)

    def target(self) -> SftpTarget:
        """Where the sandbox's SFTP server is."""
        return sftp_target(self.sandbox, "peakflo_sftp", self.sftp)

    def client(self) -> AbstractContextManager[SapB1Client]:
        """One session, as a run has."""
        return one_session(self.settings())

    def new_run(self, **changes: Any) -> Run:
        """A run as Airflow would describe it; each has a time of its own."""
        self.runs += 1
        stamp = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=self.runs)
        run = Run(INTEGRATION, "default", f"run-{self.runs}", "incremental", None, None, stamp)
        return replace(run, **changes)

    def received(self) -> dict[str, bytes]:
        """What stands under final names in the receiver's inbound folder."""
        inbound = self.sandbox.sftp.root / "inbound"
        return {
            str(path.relative_to(inbound)): path.read_bytes()
            for path in inbound.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }

    def staging(self, run: Run) -> Any:
        """The run's staging folder."""
        return self.folder / run.run_id

    def read_and_prepare(self, run: Run, client: SapB1Client) -> list[EntityPlan]:
        """The steps up to the effect."""
        plans = plan_run(run, self.config, self.ledger)
        for plan in plans:
            steps.extract(run, self.config, plan, self.ledger, self.staging(run), client)
        for plan in plans:
            steps.prepare(run, self.config, plan, self.ledger, self.staging(run), client, self.target)
        return plans

    def deliver(self, run: Run, plans: list[EntityPlan], client: SapB1Client) -> None:
        """The effect."""
        verdicts = gate.check_quality(run, plans, self.ledger, self.staging(run))
        steps.deliver(run, self.config, plans, verdicts, self.ledger, self.staging(run), lambda: client, self.target)

    def go(self, **changes: Any) -> Outcome:
        """A whole run."""
        run = self.new_run(**changes)
        before = self.received()
        outcome = Outcome(run)
        with self.client() as client:
            plans = self.read_and_prepare(run, client)
            try:
                self.deliver(run, plans, client)
            except TieoutError as error:
                outcome.error = error
        return self.close(outcome, [plan.entity for plan in plans], before)

    def close(self, outcome: Outcome, entities: list[str], before: dict[str, bytes]) -> Outcome:
        """The proof, and what arrived."""
        outcome.verdicts = tie_out(outcome.run, entities, self.ledger)
        outcome.rows = {row.entity: row for row in self.ledger.runs(Filters(run_id=outcome.run.run_id))}
        outcome.files = {name: content for name, content in self.received().items() if before.get(name) != content}
        return outcome

    def held(self, entity: str | None = None) -> dict[str, str]:
        """Open held records: source key → reason code."""
        rows = self.ledger.held(Filters(INTEGRATION, "default", entity, status="held"))
        return {row.source_key: row.reason_code for row in rows}


def default_config() -> SapB1ToPeakflo:
    """The instance that the repository ships."""
    return load_instance(INTEGRATION, "default", SapB1ToPeakflo).config
