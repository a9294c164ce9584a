"""Runs the integration's steps, as its DAG does, without Airflow: real HTTP, real SSH, a real ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from sandbox.syspro.books import Books
from sandbox.world import Sandbox
from tests.support.rehearsing import sftp_target
from tieout.config import SysproToLegacyErp, include_folder
from tieout.delivery import SftpTarget
from tieout.errors import TieoutError
from tieout.integrations.run import Run
from tieout.integrations.syspro_to_legacy_erp import sending, steps
from tieout.integrations.syspro_to_legacy_erp.plan import Asked, Plan
from tieout.integrations.syspro_to_legacy_erp.setup import Setup
from tieout.integrations.tie_out import Verdict, tie_out
from tieout.ledger import FileRow, Filters, HeldRow, Ledger, NumberRow, RunRow, Scope
from tieout.systems.syspro.client import SysproClient
from tieout.systems.syspro.settings import SysproSettings

INTEGRATION = "syspro_to_legacy_erp"
GL = "gl_postings"
BEGIN = datetime(2026, 2, 10, tzinfo=UTC)
"""Runs begin here, an hour apart, when 2026-01 is the period closed last."""
SIDECARS = (".sha256", ".manifest.json", ".done")

Entries = Sequence[tuple[str, Any]]


@dataclass
class Outcome:
    """What one run did.

    Attributes:
        rows: The ledger's row per entity.
        verdicts: The tie-out per entity.
        error: What a step raised.
        files: Name → content of the files that the run added at the receiver, or changed.
        preview: What `prepare` gave for Airflow's page, by entity.
    """

    run: Run
    plans: list[Plan] = field(default_factory=list)
    rows: dict[str, RunRow] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    error: TieoutError | None = None
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def ties_out(self) -> bool:
        """Whether every entity does."""
        return self.error is None and all(verdict.ties_out for verdict in self.verdicts)

    @property
    def problems(self) -> dict[str, str]:
        """Entity → why it does not tie out."""
        return {verdict.entity: verdict.problem for verdict in self.verdicts if verdict.problem}

    @property
    def data(self) -> dict[str, bytes]:
        """The data files only."""
        return {name: content for name, content in self.files.items() if not name.lower().endswith(SIDECARS)}

    @property
    def one(self) -> bytes:
        """The only data file's bytes."""
        (content,) = self.data.values()
        return content

    def manifest(self, name: str) -> dict[str, Any]:
        """A data file's manifest."""
        found: dict[str, Any] = json.loads(self.files[f"{name}.manifest.json"])
        return found

    def counts(self, entity: str = GL) -> tuple[int, int, int, int]:
        """Delivered, held, duplicate, excluded."""
        row = self.rows[entity]
        return row.delivered, row.held, row.duplicate, row.excluded


@dataclass
class Rehearsal:
    """A sandbox, a ledger, a staging folder and an archive over several runs.

    Attributes:
        config: The instance; `configure` changes it.
        instance: Its name.
        at: When the next run is.
        target_changes: Other fields of the receiver's connection; see `sftp_target`.
        other_target: Another receiver.
    """

    sandbox: Sandbox
    ledger: Ledger
    folder: Path
    config: SysproToLegacyErp
    instance: str = "default"
    at: datetime = BEGIN
    runs: int = 0
    target_changes: dict[str, Any] = field(default_factory=dict)
    other_target: Callable[[], SftpTarget] | None = None
    test_content: bool = True

    # -- the surroundings ---------------------------------------------------------------------------------------------

    @property
    def books(self) -> Books:
        """The company's books."""
        return self.sandbox.syspro.books

    @property
    def archive(self) -> Path:
        """The exact bytes of what went."""
        return self.folder / "archive" / self.instance

    @property
    def inbound(self) -> Path:
        """The receiver's folder."""
        return self.sandbox.legacy_erp.inbox.inbound

    def post(
        self, year: int, period: int, *entries: tuple[str, Any], day: date | None = None, status: str = "P"
    ) -> int:
        """Posts a journal; its number."""
        return self.books.post_journal(year, period, entries, day=day, status=status)

    def configure(self, **changes: Any) -> None:
        """Changes the instance, by key as in its YAML; a mapping changes what it names and leaves the rest."""
        self.config = instance_config(changes, base=_written(self.config))

    def send_only(self, **entities: Mapping[str, Any]) -> None:
        """The instance has these entities and no others."""
        base = _written(self.config) | {"entities": {}}
        self.config = instance_config({"entities": entities}, base=base)

    def change_yaml(self, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Changes a mapping file, such as `accounts`, in the copy of the include folder."""
        path = mapping_file(name)
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")

    def client(self) -> AbstractContextManager[SysproClient]:
        """One session, as a run has."""
        fields_ = json.loads(self.sandbox.env["AIRFLOW_CONN_SYSPRO"])
        extra = {**fields_["extra"], "retry_seconds": 2}
        return SysproClient(
            SysproSettings.from_connection(
                host=fields_["host"], login=fields_["login"], password=fields_["password"], extra=extra
            )
        )

    def target(self) -> SftpTarget:
        """Where the legacy ERP's SFTP server is."""
        if self.other_target is not None:
            return self.other_target()
        return sftp_target(self.sandbox, "legacy_erp_sftp", self.target_changes)

    # -- runs ---------------------------------------------------------------------------------------------------------

    def new_run(self, **changes: Any) -> Run:
        """A run as Airflow would describe it; each has a time of its own."""
        self.runs += 1
        stamp = self.at + timedelta(hours=self.runs)
        run_id = f"{self.instance}-{self.runs}"
        run = Run(INTEGRATION, self.instance, run_id, "incremental", None, None, stamp)
        return replace(run, **changes)

    def setup(self, run: Run) -> Setup:
        """What holds for a run."""
        return Setup.of(run, self.config, self.books.company, test_content=self.test_content)

    def staging(self, run: Run) -> Path:
        """The run's staging folder."""
        return self.folder / "staging" / run.run_id

    def places(self, run: Run) -> sending.Places:
        """Staging folder and archive."""
        return sending.Places(self.staging(run), self.archive)

    def open(self, run: Run, **asked: Any) -> list[Plan]:
        """The first step; `asked` is `conf`."""
        plans = steps.open_run(self.setup(run), Asked.of(asked), self.ledger, self.archive)
        return [Plan.from_json(json.loads(json.dumps(plan.to_json()))) for plan in plans]

    def extract(self, run: Run, plans: Sequence[Plan]) -> None:
        """Read every entity, on one session."""
        with self.client() as client:
            for plan in plans:
                steps.extract(self.setup(run), plan, self.ledger, self.staging(run), client)

    def prepare(self, run: Run, plans: Sequence[Plan]) -> None:
        """Write the files that would go."""
        for plan in plans:
            steps.prepare(self.setup(run), plan, self.ledger, self.staging(run), self.archive, self.target)

    def ready(self, run: Run, **asked: Any) -> list[Plan]:
        """All steps up to the effect, but for the quality gate."""
        plans = self.open(run, **asked)
        self.extract(run, plans)
        self.prepare(run, plans)
        return plans

    def deliver(self, run: Run, plans: Sequence[Plan], verdicts: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The effect."""
        return sending.deliver(self.setup(run), plans, verdicts or {}, self.ledger, self.places(run), self.target)

    def go(self, *, gate: bool = False, tries: int = 1, **changes: Any) -> Outcome:
        """A whole run.

        Args:
            gate: Whether Great Expectations has its say; most tests are about other things.
            tries: How often `deliver` is tried, as Airflow would.
            changes: Fields of `Run`, or what `conf` asks for: `period`, `resend`, `regenerate`.
        """
        described = {name: changes.pop(name) for name in [each.name for each in fields(Run)] if name in changes}
        outcome = Outcome(self.new_run(**described))
        before = self.received()
        try:
            outcome.plans = self.ready(outcome.run, **changes)
            staging = self.staging(outcome.run)
            setup = self.setup(outcome.run)
            verdicts = steps.check_quality(setup, outcome.plans, self.ledger, staging) if gate else {}
        except TieoutError as error:
            outcome.error = error
            return outcome
        for _ in range(tries):
            outcome.error = None
            try:
                self.deliver(outcome.run, outcome.plans, verdicts)
                break
            except TieoutError as error:
                outcome.error = error
        return self.close(outcome, before)

    def close(self, outcome: Outcome, before: Mapping[str, bytes]) -> Outcome:
        """The proof, and what arrived."""
        run, plans = outcome.run, outcome.plans
        found = steps.gone_from_source(plans, self.staging(run))
        outcome.verdicts = tie_out(run, [plan.entity for plan in plans], self.ledger, found=found)
        outcome.rows = {row.entity: row for row in self.ledger.runs(Filters(run_id=run.run_id))}
        outcome.files = {name: data for name, data in self.received().items() if before.get(name) != data}
        return outcome

    # -- what came of it ----------------------------------------------------------------------------------------------

    def received(self) -> dict[str, bytes]:
        """What stands in the receiver's inbound folder, temporary names and all."""
        if not self.inbound.is_dir():
            return {}
        return {path.name: path.read_bytes() for path in self.inbound.iterdir() if path.is_file()}

    def load(self) -> list[str]:
        """The legacy ERP reads its inbox; all that it finds wrong."""
        inbox = self.sandbox.legacy_erp.inbox
        inbox.load()
        return inbox.problems

    def held_rows(self, entity: str = GL) -> list[HeldRow]:
        """Open held records, by their keys."""
        rows = self.ledger.held(Filters(INTEGRATION, self.instance, entity, status="held"))
        return sorted(rows, key=lambda row: row.source_key)

    def held(self, entity: str = GL) -> dict[str, str]:
        """Open held records: source key → reason code."""
        return {row.source_key: row.reason_code for row in self.held_rows(entity)}

    def numbers(self, counter: str = "file") -> list[NumberRow]:
        """The partner's numbers, the first first."""
        partner = Scope(INTEGRATION, "*", self.config.partner_name)
        return self.ledger.numbers(partner, counter=counter)[::-1]

    def states(self, counter: str = "file") -> dict[int, str]:
        """Number → used, void or allocated."""
        return {row.number: row.state for row in self.numbers(counter)}

    def data_files(self, entity: str = GL) -> list[FileRow]:
        """The ledger's delivered data files, the first first."""
        rows = self.ledger.files(Filters(INTEGRATION, self.instance, entity, status="delivered"))
        return [row for row in rows if row.kind == "data"][::-1]


def mapping_file(name: str) -> Path:
    """A mapping file of the include folder in use."""
    return include_folder() / "mappings" / INTEGRATION / f"{name}.yaml"


def instance_config(changes: Mapping[str, Any], *, base: Mapping[str, Any] | None = None) -> SysproToLegacyErp:
    """The instance that the repository ships, or another one, with changes."""
    if base is None:
        path = include_folder() / "integrations" / INTEGRATION / "default.yaml"
        base = yaml.safe_load(path.read_text(encoding="utf-8"))
    return SysproToLegacyErp.model_validate(_merged(base, changes))


def _written(config: SysproToLegacyErp) -> dict[str, Any]:
    """An instance as its YAML has it: what was not said is not there, and modes are octal."""
    content = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    folder = content.get("target", {})
    for name in ("file_mode", "directory_mode"):
        if name in folder:
            folder[name] = f"{folder[name]:04o}"
    return content


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        inner = merged.get(name)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(inner, value) if both else value  # type: ignore[arg-type]
    return merged
