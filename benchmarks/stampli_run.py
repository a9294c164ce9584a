"""Stampli → SAP Business One without Airflow: the steps that its DAG has, each with its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import timed
from tieout.config import StampliToSapB1, load_instance
from tieout.delivery import SftpSession, SftpTarget
from tieout.integrations.run import Run
from tieout.integrations.stampli_to_sap_b1 import steps
from tieout.integrations.stampli_to_sap_b1.collecting import collect
from tieout.ledger import Filters, Ledger
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.sessions import MemorySessionStore
from tieout.systems.sap_b1.settings import SapB1Settings

INTEGRATION = "stampli_to_sap_b1"

Connections = Mapping[str, Mapping[str, Any]]
After = Callable[[str], None]


@dataclass(frozen=True)
class Seconds:
    """Wall seconds of the steps."""

    collect: float
    prepare: float
    post: float

    @property
    def whole(self) -> float:
        """All of them."""
        return self.collect + self.prepare + self.post


@contextmanager
def sap_session(connections: Connections) -> Iterator[SapB1Client]:
    """A client that is logged in, as a run's tasks find it."""
    fields = connections["sap_b1"]
    settings = SapB1Settings.from_connection(
        host=fields["host"], login=fields["login"], password=fields["password"], extra=fields["extra"]
    )
    client = SapB1Client(settings, MemorySessionStore())
    try:
        client.login()
        yield client
    finally:
        client.logout()
        client.close()


def _sftp_target(connections: Connections) -> SftpTarget:
    fields = connections["stampli_sftp"]
    return SftpTarget.from_connection(
        fields["host"], fields["port"], fields["login"], fields["password"], fields["extra"], production=True
    )


def carry_out(
    connections: Connections, invoices: int, folder: Path, *, streams: int, after: After = lambda step: None
) -> tuple[Seconds, list[bytes]]:
    """One run from the folder into the books, with a new ledger in SQLite.

    Args:
        connections: Where Stampli's folder and SAP are.
        invoices: How many there are to post.
        folder: Staging and the ledger.
        streams: Requests under way at once.
        after: Called with the name of each step when it is over.

    Returns:
        Its times, and the bodies that it posted.

    Raises:
        AssertionError: not every invoice was posted, or SAP has not just as many more entries.
    """
    config = load_instance(INTEGRATION, "default", StampliToSapB1).config
    config = config.model_copy(update={"posting": config.posting.model_copy(update={"streams": streams})})
    run = Run(INTEGRATION, "default", "benchmark", "incremental", None, None, datetime.now(UTC))
    with Ledger.open(f"sqlite:///{folder / 'ledger.db'}", migrate=True) as ledger, sap_session(connections) as client:
        before = client.count("JournalEntries")
        seconds = _timed_steps(run, config, ledger, folder, connections, client, after)
        row = next(row for row in ledger.runs(Filters(entity="invoices")))
        entries = client.count("JournalEntries") - before
        if (row.posted, row.held, row.duplicate, row.excluded, entries) != (invoices, 0, 0, 0, invoices):
            raise AssertionError(f"All {invoices} invoices must be posted, each once: {entries} entries; {row}")
        ids = [posting.id for posting in ledger.posted_by_run(run.key("invoices"), row.started_at)]
        bodies = ledger.posting_bodies(ids)
    return seconds, [bodies[posting_id] for posting_id in ids]


def _timed_steps(
    run: Run,
    config: StampliToSapB1,
    ledger: Ledger,
    staging: Path,
    connections: Connections,
    client: SapB1Client,
    after: After,
) -> Seconds:
    entities = steps.begin(run, config, ledger)
    with SftpSession(_sftp_target(connections)) as session:
        seen = session.list_folder(config.collect.folder)
    company = client.settings.company_db
    verdicts: dict[str, Any] = {}

    def prepare() -> None:
        steps.prepare(run, config, entities, ledger, staging, lambda: client)
        verdicts.update(steps.check_quality(run, entities, ledger, staging))

    works: dict[str, Callable[[], object]] = {
        "collect": lambda: collect(run, config, entities, ledger, staging, lambda: _sftp_target(connections), seen),
        "prepare": prepare,
        "post": lambda: steps.post(run, config, entities, verdicts, ledger, staging, lambda: client, company),
    }
    seconds = {}
    for name, work in works.items():
        seconds[name] = timed(work)[0]
        after(name)
    return Seconds(**seconds)
