"""Runs the integration's steps, as its DAG does, without Airflow: real HTTP, real SSH, a real ledger, real rules."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sandbox.banqup import BanqupClient as Client
from sandbox.banqup import BanqupSimulator, Document, DocumentStore, ReceivedFile, coda, received, ubl
from sandbox.banqup.documents import BANK, CREDIT_NOTE, INVOICE, PURCHASES, SALES, STATEMENT
from sandbox.clock import SandboxClock
from tieout.alerts.writing import mail_text, told
from tieout.delivery import SftpTarget
from tieout.errors import TieoutError
from tieout.integrations.banqup_to_sftp import alerts, collecting, index, sending, steps, validating
from tieout.integrations.banqup_to_sftp.config import BanqupToSftp
from tieout.integrations.banqup_to_sftp.plan import Asked, ClientPlan
from tieout.integrations.run import Run
from tieout.integrations.tie_out import Verdict, tie_out
from tieout.ledger import Filters, HeldRow, Ledger, ReceiverRow, RunRow, Scope
from tieout.systems.banqup import BanqupClient, BanqupSettings
from tieout.systems.banqup.patience import Timing
from tieout.yaml_file import parse_yaml

INTEGRATION = "banqup_to_sftp"
FILE_NAME = "include/integrations/banqup_to_sftp/default.yaml"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""The sandbox's moment at the beginning, two months after the activation of its clients."""
MINUTE = timedelta(minutes=1)
ONE, TWO, THREE = "C1001", "C1002", "C1003"
"""The clients: the first two have servers of their own, the third one shares the next."""


@dataclass
class Outcome:
    """What one run did.

    Attributes:
        rows: The ledger's row per client.
        verdicts: The tie-out per client.
        shares: The clients of each delivering task.
        errors: What the delivering tasks raised.
        mails: Subject and text of what was told.
        quality: What the quality gate returned.
    """

    run: Run
    plans: list[ClientPlan] = field(default_factory=list)
    rows: dict[str, RunRow] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    shares: list[list[str]] = field(default_factory=list)
    errors: list[TieoutError] = field(default_factory=list)
    mails: list[tuple[str, str]] = field(default_factory=list)
    quality: dict[str, Any] = field(default_factory=dict)

    @property
    def ties_out(self) -> bool:
        """Whether every client does."""
        return bool(self.verdicts) and all(verdict.ties_out for verdict in self.verdicts.values())

    @property
    def red(self) -> dict[str, str]:
        """Client → why it does not tie out."""
        return {name: verdict.problem for name, verdict in self.verdicts.items() if not verdict.ties_out}

    def counts(self, client: str = ONE) -> tuple[int, int, int, int]:
        """Delivered, held, duplicate, excluded."""
        row = self.rows[client]
        return row.delivered, row.held, row.duplicate, row.excluded


@dataclass
class Rehearsal:
    """Banqup, the clients' servers, a ledger and a staging folder over several runs."""

    banqup: BanqupSimulator
    clock: SandboxClock
    ledger: Ledger
    folder: Path
    config: BanqupToSftp
    runs: int = 0
    added: int = 0
    page_size: int = 50
    gate: bool = False
    """Whether runs go through Great Expectations: it takes most of a small run's time, and by default holds nothing."""
    targets: dict[str, Callable[[SftpTarget], SftpTarget]] = field(default_factory=dict)
    """Connection id → what is put in place of it."""
    worth: dict[str, tuple[str, Decimal]] = field(default_factory=dict)
    """Document → currency and amount, as its author knows them."""

    @property
    def documents(self) -> DocumentStore:
        """What Banqup holds."""
        return self.banqup.documents

    def configure(self, **changes: Any) -> None:
        """Another instance file: these keys, and the clients unless they are among them."""
        self.config = instance_config(self.banqup, changes)

    def client(self, name: str = ONE) -> Client:
        """A client as the sandbox has it."""
        return self.banqup.scenario.client(name)

    # What happens in Banqup

    def add(
        self,
        client: str = ONE,
        folder: str = PURCHASES,
        category: str = INVOICE,
        *,
        defect: str = "",
        minutes: float = 60,
        seller: ubl.Party | None = None,
        shape: str = "plain",
        **details: Any,
    ) -> Document:
        """A small document that got its status so many minutes ago; with a defect of `sandbox.banqup.ubl.DEFECTS`."""
        self.added += 1
        moment = details.pop("status_at", self.clock.now() - minutes * MINUTE)
        number = details.pop("number", f"2026-{self.added:04d}")
        ours, other = own_party(self.client(client)), seller or ubl.belgian_party(self.added)
        document = ubl.ubl_document(
            f"{client} {self.added}", kind="invoice" if category == INVOICE else "credit_note", number=number,
            issue_date=date(2026, 2, 1), max_lines=1, shape="mixed_rates" if defect else shape,
            seller=ours if folder == SALES else other, buyer=other if folder == SALES else ours,
        )  # fmt: skip
        sound = ubl.render(document)
        data, rule = (ubl.spoil(document, defect), ubl.DEFECTS[defect].rule) if defect else (sound, "")
        put = self.documents.add_document(
            self.client(client).space_id, folder, category, details.pop("data", data), number=number,
            issue_date="2026-02-01", status_at=moment, rule=rule, repaired=sound if rule else None, **details,
        )  # fmt: skip
        self.worth[put.id] = (document.currency, document.tax_inclusive)
        return put

    def add_statement(
        self, client: str = ONE, *, days: int = 1, skip: int = 0, defect: str = "", minutes: float = 60, **details: Any
    ) -> Document:
        """The account's next statement, so many days after the one before it; `skip` leaves numbers out."""
        account = self.account(client)
        self.added += 1
        account.number += skip
        day = account.last_day + timedelta(days=days)
        found = account.statement(day, coda.movements(f"{client} {self.added}", day, 3), **details.pop("options", {}))
        sound = coda.render([found])
        data, rule = (coda.spoil(sound, defect), coda.DEFECTS[defect].rule) if defect else (sound, "")
        put = self.documents.add_document(
            self.client(client).space_id, BANK, STATEMENT, data, number=f"{account.iban} {found.number:03d}",
            issue_date=day.isoformat(), rule=rule, repaired=sound if rule else None,
            **{"status_at": self.clock.now() - minutes * MINUTE, **details},
        )  # fmt: skip
        self.worth[put.id] = (found.currency, found.debit + found.credit)
        return put

    def account(self, client: str = ONE) -> coda.Account:
        """The account of a client's statements."""
        return self.banqup.scenario.accounts[self.client(client).space_id]

    def later(self, minutes: float = 30) -> datetime:
        """The sandbox's time goes on."""
        return self.clock.advance(minutes * MINUTE)

    # A run

    def new_run(self, **changes: Any) -> Run:
        """A run as Airflow would describe it."""
        self.runs += 1
        plain = Run(INTEGRATION, "default", f"run-{self.runs}", "incremental", None, None, self.clock.now())
        return replace(plain, **changes)

    def staging(self, run: Run) -> Path:
        """The run's staging folder."""
        return self.folder / "staging" / run.run_id

    def settings(self) -> BanqupSettings:
        """Where Banqup is."""
        fields = json.loads(self.banqup.environment()["AIRFLOW_CONN_BANQUP"])
        return BanqupSettings.from_connection(
            host=fields["host"],
            login=fields["login"],
            password=fields["password"],
            extra={"retry_seconds": 5, "page_size": self.page_size},
        )

    def timing(self) -> Timing:
        """Nobody waits: pauses between attempts pass at once."""
        waited = [0.0]

        def sleep(pause: float) -> None:
            waited[0] += pause

        return Timing(clock=lambda: waited[0], sleep=sleep, jitter=lambda: 0.5)

    def target(self, conn_id: str) -> SftpTarget:
        """A client's server, as its connection says."""
        fields = json.loads(self.banqup.environment()[f"AIRFLOW_CONN_{conn_id.upper()}"])
        found = SftpTarget.from_connection(
            fields["host"], fields["port"], fields["login"], fields["password"], fields["extra"], production=True
        )
        return self.targets.get(conn_id, lambda same: same)(found)

    def open(self, run: Run, asked: Asked | None = None) -> list[ClientPlan]:
        """What the run is going to read; by way of JSON, as between tasks."""
        plans = steps.open_run(run, asked or Asked(), self.config, self.ledger)
        return [ClientPlan.from_json(json.loads(json.dumps(plan.to_json()))) for plan in plans]

    def collect(self, run: Run, plans: Sequence[ClientPlan]) -> dict[str, collecting.Collected]:
        """Reads Banqup."""
        with BanqupClient(self.settings(), self.timing()) as client:
            return collecting.collect(run, self.config, plans, self.ledger, self.staging(run), client)

    def validate(self, run: Run, plans: Sequence[ClientPlan]) -> dict[str, int]:
        """Checks what was fetched."""
        return validating.validate(self.config, [plan.client for plan in plans], self.staging(run))

    def check_index(self, run: Run, plans: Sequence[ClientPlan]) -> dict[str, Any]:
        """Checks all documents together."""
        return index.check_index(run, plans, self.ledger, self.staging(run))

    def plan_deliveries(self, run: Run, plans: Sequence[ClientPlan]) -> list[list[str]]:
        """Gives every document its place."""
        return steps.plan_deliveries(run, self.config, plans, self.ledger, self.staging(run))

    def ready(self, run: Run, asked: Asked | None = None) -> tuple[list[ClientPlan], list[list[str]]]:
        """Everything up to the effect: plans, and the clients of each delivering task."""
        plans = self.open(run, asked)
        self.collect(run, plans)
        self.validate(run, plans)
        if self.gate:
            self.check_index(run, plans)
        return plans, self.plan_deliveries(run, plans)

    def deliver(self, run: Run, plans: Sequence[ClientPlan], share: Sequence[str]) -> dict[str, Any]:
        """One delivering task."""
        by_client = {plan.client: plan for plan in plans}
        return sending.deliver(run, self.config, by_client, share, self.ledger, self.staging(run), self.target)

    def close(self, outcome: Outcome) -> Outcome:
        """What comes after the effect: mails, and the proof."""
        run = outcome.run
        if not run.dry_run:
            known = {notice.id for notice in self.ledger.notices()}
            alerts.tell(run, self.config, self.ledger)
            new = [told(notice, None) for notice in self.ledger.notices() if notice.id not in known]
            outcome.mails += [(words.subject, mail_text(words)) for words in new]
        verdicts = tie_out(run, [plan.client for plan in outcome.plans], self.ledger)
        outcome.verdicts = {verdict.entity: verdict for verdict in verdicts}
        outcome.rows = {row.entity: row for row in self.ledger.runs(Filters(run_id=run.run_id))}
        self._check(outcome)
        return outcome

    def go(self, asked: Asked | None = None, **changes: Any) -> Outcome:
        """A whole run."""
        outcome = Outcome(self.new_run(**changes))
        run = outcome.run
        outcome.plans = self.open(run, asked)
        self.collect(run, outcome.plans)
        self.validate(run, outcome.plans)
        outcome.quality = self.check_index(run, outcome.plans) if self.gate else {}
        outcome.shares = self.plan_deliveries(run, outcome.plans)
        for share in outcome.shares:
            try:
                self.deliver(run, outcome.plans, share)
            except TieoutError as error:
                outcome.errors.append(error)
        return self.close(outcome)

    def _check(self, outcome: Outcome) -> None:
        """What was delivered is worth what the documents' author says; apart from the tie-out, which knows him not."""
        for client, row in outcome.rows.items():
            if outcome.verdicts[client].ties_out and not row.dry_run:
                assert row.extracted == row.delivered + row.held + row.duplicate + row.excluded
                files = [file for file in self.ledger.files_of_run(row.key) if file.created_at >= row.started_at]
                sent = [file.file_name.rpartition(".")[0] for file in files if file.state == "delivered"]
                ids = [name.rpartition("_")[2] for name in sent]
                if all(each in self.worth for each in ids):
                    assert {k: v for k, v in row.target_totals.items() if v} == self.money(ids)

    def money(self, ids: Iterable[str]) -> dict[str, Decimal]:
        """What documents are worth together, per currency."""
        totals: dict[str, Decimal] = {}
        for each in ids:
            currency, amount = self.worth[each]
            totals[currency] = totals.get(currency, Decimal(0)) + amount
        return totals

    # What came of it

    def received(self, client: str = ONE) -> dict[str, ReceivedFile]:
        """Files at a client's by document id; unfinished ones under their names. None comes twice."""
        files = received(self.banqup.receivers[client])
        keys = [file.name if file.name.startswith(".") else file.document_id for file in files]
        assert [key for key, count in Counter(keys).items() if count > 1] == []
        return dict(zip(keys, files, strict=True))

    def paths(self, client: str = ONE) -> list[str]:
        """Of the files at a client's."""
        return [file.path for file in received(self.banqup.receivers[client])]

    def data(self, document: Document | str) -> bytes:
        """A document's bytes in Banqup."""
        return self.documents.file_of(document if isinstance(document, str) else document.id).data

    def has(self, *documents: Document, client: str = ONE) -> bool:
        """Whether a client has exactly these documents, byte for byte."""
        expected = {document.id: self.data(document) for document in documents}
        return {key: file.data for key, file in self.received(client).items()} == expected

    def held(self, client: str | None = None) -> dict[str, str]:
        """Open held documents: id → reason code."""
        return {row.source_key: row.reason_code for row in self.held_rows(client)}

    def held_rows(self, client: str | None = None, status: str = "held") -> list[HeldRow]:
        """Held documents."""
        return self.ledger.held(Filters(INTEGRATION, "default", client, status=status))

    def watermark(self, client: str = ONE) -> Mapping[str, Any]:
        """Where the next run goes on."""
        return self.ledger.watermarks(INTEGRATION, "default").get(client) or {}

    def receiver(self, client: str = ONE) -> ReceiverRow:
        """What the ledger knows of a client's server."""
        return self.ledger.receivers(INTEGRATION, "default")[client]

    def scope(self, client: str = ONE) -> Scope:
        """A client in the ledger."""
        return Scope(INTEGRATION, "default", client)


def own_party(client: Client) -> ubl.Party:
    """A client as a party of its invoices."""
    return replace(ubl.belgian_party(client.external_id), name=client.name, number=client.uen_number,
                   vat=f"BE{client.uen_number}")  # fmt: skip


def instance_config(banqup: BanqupSimulator, changes: Mapping[str, Any] | None = None) -> BanqupToSftp:
    """An instance with the sandbox's clients and one validating process."""
    clients = parse_yaml(banqup.instance_yaml(), FILE_NAME).content["clients"]
    told: dict[str, Any] = {
        "timezone": "Europe/Brussels", "validation": {"workers": 1}, "clients": clients, **(changes or {}),
    }  # fmt: skip
    # Long enough for what a test adds to be listed once more by the run after it.
    told["source"] = {"lookback_minutes": 60, **told.get("source", {})}
    return read_config(json.dumps(told))


def read_config(text: str) -> BanqupToSftp:
    """An instance from the text of its file."""
    return parse_yaml(text, FILE_NAME).validate(BanqupToSftp)


__all__ = [
    "BANK", "CREDIT_NOTE", "FILE_NAME", "INTEGRATION", "INVOICE", "MINUTE", "NOW", "ONE", "PURCHASES", "SALES",
    "STATEMENT", "THREE", "TWO", "Outcome", "Rehearsal", "instance_config", "own_party", "read_config",
]  # fmt: skip
