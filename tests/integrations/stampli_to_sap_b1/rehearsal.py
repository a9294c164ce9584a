"""Runs the integration's steps, as its DAG does, without Airflow: real HTTP, real SSH, a real ledger."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from sandbox.sap_b1.data import AS_OF
from sandbox.stampli import Books, CsvStyle, Scenario, StampliExports, XmlStyle, export_file, text_record
from sandbox.stampli.drop import StampliDrop, file_name
from sandbox.stampli.model import Invoice
from sandbox.stampli.text_records import TextRecord
from sandbox.world import Sandbox
from tests.support.rehearsing import one_session, sap_settings, sftp_target
from tieout.config import StampliToSapB1, load_instance
from tieout.delivery import SftpSession, SftpTarget
from tieout.errors import TieoutError
from tieout.integrations.run import Run
from tieout.integrations.stampli_to_sap_b1 import steps
from tieout.integrations.stampli_to_sap_b1.collecting import collect
from tieout.integrations.tie_out import Verdict, tie_out
from tieout.ledger import Filters, HeldRow, Ledger, RunRow
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.settings import SapB1Settings

INTEGRATION = "stampli_to_sap_b1"


@dataclass
class Outcome:
    """What one run did.

    Attributes:
        rows: The ledger's row per entity.
        verdicts: The tie-out per entity.
        error: What `post` or an earlier step raised.
    """

    run: Run
    rows: dict[str, RunRow] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    error: TieoutError | None = None

    @property
    def ties_out(self) -> bool:
        """Whether every entity does."""
        return bool(self.verdicts) and all(verdict.ties_out for verdict in self.verdicts)

    def counts(self, entity: str) -> tuple[int, int, int, int]:
        """Posted, held, duplicate, excluded."""
        row = self.rows[entity]
        return row.posted, row.held, row.duplicate, row.excluded


@dataclass
class Rehearsal:
    """A sandbox, a ledger and a staging folder over several runs."""

    sandbox: Sandbox
    ledger: Ledger
    folder: Path
    config: StampliToSapB1
    runs: int = 0
    puts: int = 0

    @cached_property
    def exports(self) -> StampliExports:
        """Makes records for the sandbox's company."""
        return StampliExports(Books.of(self.sandbox.company, AS_OF), seed=7)

    def invoices(self, count: int, **options: Any) -> list[Invoice]:
        """Sound invoices of a known vendor, small ones."""
        return [self.exports.invoice(lines=options.pop("lines", 2), **options) for _ in range(count)]

    @property
    def drop(self) -> StampliDrop:
        """Stampli's folder."""
        return self.sandbox.stampli.drop

    def mixed(self, **changes: Any) -> Scenario:
        """A day's files of every kind."""
        return self.sandbox.stampli.mixed_drop(**changes)

    def put(self, entity: str, *records: Any, style: CsvStyle | XmlStyle | None = None) -> str:
        """A file of these records, model objects or text records; its name."""
        self.puts += 1
        moment = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=self.puts)
        chosen = style or CsvStyle()
        name = file_name(entity, "C1", moment, "csv" if isinstance(chosen, CsvStyle) else "xml")
        texts = [record if isinstance(record, TextRecord) else text_record(record) for record in records]
        self.drop.put(name, export_file(entity, texts, chosen), at=moment)
        return name

    def settings(self) -> SapB1Settings:
        """Where the sandbox's Service Layer is."""
        return sap_settings(self.sandbox)

    def target(self) -> SftpTarget:
        """Where Stampli's SFTP server is."""
        return sftp_target(self.sandbox, "stampli_sftp")

    def client(self) -> AbstractContextManager[SapB1Client]:
        """One session, as a run has."""
        return one_session(self.settings())

    def new_run(self, **changes: Any) -> Run:
        """A run as Airflow would describe it."""
        self.runs += 1
        stamp = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=self.runs)
        return replace(Run(INTEGRATION, "default", f"run-{self.runs}", "incremental", None, None, stamp), **changes)

    def staging(self, run: Run) -> Path:
        """The run's staging folder."""
        return self.folder / run.run_id

    def collect(self, run: Run) -> list[str]:
        """Begin a run and take the files that are there."""
        entities = steps.begin(run, self.config, self.ledger)
        with SftpSession(self.target()) as session:
            seen = session.list_folder(self.config.collect.folder)
        collect(run, self.config, entities, self.ledger, self.staging(run), self.target, seen)
        return entities

    def prepare(self, run: Run, entities: Sequence[str], client: SapB1Client) -> dict[str, Any]:
        """The steps up to the effect; the quality gate's verdicts."""
        steps.prepare(run, self.config, entities, self.ledger, self.staging(run), lambda: client)
        return steps.check_quality(run, entities, self.ledger, self.staging(run))

    def post(self, run: Run, entities: Sequence[str], verdicts: dict[str, Any], client: SapB1Client) -> None:
        """The effect."""
        staging, company = self.staging(run), client.settings.company_db
        steps.post(run, self.config, entities, verdicts, self.ledger, staging, lambda: client, company)

    def go(self, *, tries: int = 1, **changes: Any) -> Outcome:
        """A whole run; `post` is tried so many times, as Airflow would."""
        run = self.new_run(**changes)
        outcome = Outcome(run)
        entities = self.collect(run)
        with self.client() as client:
            verdicts = self.prepare(run, entities, client)
            for _ in range(tries):
                outcome.error = None
                try:
                    self.post(run, entities, verdicts, client)
                    break
                except TieoutError as error:
                    outcome.error = error
            found = {} if outcome.error else steps.read_back(run, entities, self.ledger, lambda: client)
        if outcome.error is None:
            steps.archive(run, self.config, self.ledger, self.target)
        outcome.verdicts = tie_out(run, entities, self.ledger, found)
        outcome.rows = {row.entity: row for row in self.ledger.runs(Filters(run_id=run.run_id))}
        return outcome

    def held(self, entity: str | None = None) -> dict[str, str]:
        """Open held records: source key → reason code."""
        return {row.source_key: row.reason_code for row in self.held_rows(entity)}

    def held_rows(self, entity: str | None = None) -> list[HeldRow]:
        """Open held records."""
        return self.ledger.held(Filters(INTEGRATION, "default", entity, status="held"))


def default_config(**changes: Any) -> StampliToSapB1:
    """The instance that the repository ships, quick to look again."""
    config = load_instance(INTEGRATION, "default", StampliToSapB1).config
    posting = config.posting.model_copy(update={"settle_seconds": 0.05, "wait_seconds": 20, **changes})
    return config.model_copy(update={"posting": posting})


def posted(rehearsal: Rehearsal, invoice_id: str) -> list[dict[str, Any]]:
    """SAP's journal entries of one of Stampli's invoices, reversals included, oldest first."""
    return [entry for entry in rehearsal.sandbox.company.entries() if entry["Reference2"] == invoice_id]
