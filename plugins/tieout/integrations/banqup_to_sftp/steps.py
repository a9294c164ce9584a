"""From checked documents to a plan of deliveries: where each goes, and which task serves which client.

Clients that get nothing in a run are committed here, all together; each of the others is a delivery of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tieout.errors import Superseded
from tieout.integrations.banqup_to_sftp.collecting import Collected
from tieout.integrations.banqup_to_sftp.config import BanqupClientConfig, BanqupToSftp
from tieout.integrations.banqup_to_sftp.documents import read_documents, read_judged
from tieout.integrations.banqup_to_sftp.index import last_statements, newest, read_unfit, suite_path
from tieout.integrations.banqup_to_sftp.placing import NO_BYTES, Prepared, held_drafts, place_documents
from tieout.integrations.banqup_to_sftp.plan import Asked, ClientPlan, day_of, plan_run, year_of
from tieout.integrations.banqup_to_sftp.validating import rules
from tieout.integrations.run import Run
from tieout.integrations.sorting import Place
from tieout.ledger import DeliveredFile, EntityOutcome, Filters, HeldRow, IdleRun, Lease, Ledger, RunRow, Scope, Tally
from tieout.staging import Folder

log = logging.getLogger(__name__)


def open_run(run: Run, asked: Asked, config: BanqupToSftp, ledger: Ledger) -> list[ClientPlan]:
    """Check everything that is configured, and decide what to read of each client.

    Raises:
        ConfigurationInvalid: The instance, a suite or `conf` is wrong; nothing was read.
    """
    from tieout.formats.belgian import is_enterprise_number
    from tieout.quality import load_suite

    for name in ("invoices", "statements"):
        load_suite(suite_path(run, name))
    plans = plan_run(run, asked, config, ledger)
    clients = config.enabled_clients()
    for plan in plans:
        client = clients[plan.client]
        if client.uen_number.lstrip("BE").isdigit() and not is_enterprise_number(client.uen_number):
            log.warning("%s: %s fails the check digits of an enterprise number.", client.title, client.uen_number)
    return plans


def place_client(
    run: Run,
    config: BanqupToSftp,
    client: BanqupClientConfig,
    plan: ClientPlan,
    ledger: Ledger,
    staging: Folder,
    refused: Mapping[str, Any] | None = None,
) -> Prepared:
    """Where each document of a client goes, written into its folder of staging."""
    folder = staging / plan.client
    collected = Collected.load(folder) or Collected()
    watermark = None
    if plan.moves_watermark:
        statements = last_statements(list(read_documents(folder)), read_judged(folder))
        watermark = dict(collected.watermark or plan.watermark)
        if statements:
            watermark["statements"] = newest(watermark.get("statements", {}), statements)
    row = ledger.get_run(run.key(plan.client))
    prepared = place_documents(
        run,
        client,
        folder,
        ledger,
        day=day_of(run, config),
        year=year_of(run, config),
        resend=plan.resend,
        unfit=read_unfit(folder),
        refused=refused,
        watermark=watermark if watermark != plan.watermark else None,
        begun=row.started_at if row is not None else None,
    )
    prepared.save(folder)
    return prepared


def record(run: Run, prepared: Sequence[Prepared], ledger: Ledger) -> None:
    """Enter into the ledger where the documents go."""
    if prepared:
        ledger.record_prepared_many({run.key(each.client): each.places for each in prepared}, mapping_version=rules())


def plan_deliveries(
    run: Run, config: BanqupToSftp, plans: Sequence[ClientPlan], ledger: Ledger, staging: Folder
) -> list[list[str]]:
    """Place every document, commit the clients that get nothing, and share the others out among tasks.

    Returns:
        The clients of each task. A client whose server could not be reached last time has a task of its own, so that
        it is seen at a glance.
    """
    clients = config.enabled_clients()
    idle: dict[str, IdleRun] = {}
    busy: list[str] = []
    placed: list[tuple[ClientPlan, Prepared]] = []
    unsettled = _with_unsettled_files(run, ledger)
    rows = {row.entity: row for row in ledger.runs(Filters(run.integration, run.instance, run_id=run.run_id))}
    for plan in plans:
        collected, row = Collected.load(staging / plan.client), rows.get(plan.client)
        if collected is None or (row is not None and (_failed(row) or is_done(row))):
            continue  # an earlier step has said why, or an earlier attempt has done it all
        if collected.quiet:
            if plan.client in unsettled and not run.dry_run:
                busy.append(plan.client)
            idle[plan.client] = IdleRun(
                plan.window(), collected.watermark, plan.watermark or None, collected.known, collected.excluded
            )
            continue
        placed.append((plan, place_client(run, config, clients[plan.client], plan, ledger, staging)))
    record(run, [prepared for _, prepared in placed], ledger)
    if not run.dry_run:
        _note_verdicts(run, [plan.client for plan, _ in placed], ledger, staging)
    for plan, prepared in placed:
        if run.dry_run:
            for each in prepared.outgoing:
                log.info("%s | would go to %s", clients[plan.client].title, each.path)
        elif prepared.outgoing or plan.client in unsettled:
            # What an earlier run left open is looked up before anything of the client counts.
            busy.append(plan.client)
        elif not _committed_without_delivery(run, plan, prepared, ledger, staging):
            busy.append(plan.client)
    ledger.finish_idle_runs(
        run.integration,
        run.instance,
        run.run_id,
        idle,
        mode=run.mode,
        interval_start=run.interval_start,
        interval_end=run.interval_end,
        dry_run=run.dry_run,
    )
    return _shared_out(run, config, busy, ledger)


def _with_unsettled_files(run: Run, ledger: Ledger) -> set[str]:
    """Clients of whose files nobody knows whether they arrived."""
    return {
        file.entity
        for state in ("sending", "verified")
        for file in ledger.files(Filters(run.integration, run.instance, status=state))
    }


def _failed(row: RunRow) -> bool:
    return row.status == "failed" and row.stage == "running"


def is_done(row: RunRow) -> bool:
    """Whether an attempt of this run has delivered the client's documents, or found that none is to go."""
    return row.status in ("delivered", "success") and row.extracted > 0


def _committed_without_delivery(
    run: Run, plan: ClientPlan, prepared: Prepared, ledger: Ledger, staging: Folder
) -> bool:
    """Commit the held, duplicate and excluded documents of a client that gets nothing.

    Returns:
        False where another run works on the client, or has since it was looked at: a delivering task waits for it
        and looks again, and keeps nobody else waiting.
    """
    try:
        with ledger.acquire(run.scope(plan.client), holder=holder(run, plan.client), wait=0) as lease:
            commit(run, prepared, [], ledger, lease, staging)
    except Superseded as error:
        log.info("%s", error)
        return False
    return True


def commit(
    run: Run,
    prepared: Prepared,
    delivered: Sequence[DeliveredFile],
    ledger: Ledger,
    lease: Lease,
    staging: Folder,
) -> None:
    """Enter what became of a client's documents, with the verdicts and the place where the next run goes on."""
    key, folder = run.key(prepared.client), staging / prepared.client
    tally = prepared.tallies[Place.SEND]
    earlier = _bytes_held_before(key.scope, prepared, folder, ledger)
    ledger.commit_entity(
        key,
        token=lease.token,
        base_version=prepared.base_version,
        outcome=EntityOutcome(
            delivered=delivered,
            held=held_drafts(prepared, folder, earlier),
            settled=prepared.settled,
            watermark=prepared.watermark,
            tally=Tally(tally.count, dict(tally.totals)),
        ),
    )


def _bytes_held_before(
    scope: Scope, prepared: Prepared, folder: Folder, ledger: Ledger
) -> dict[str, tuple[HeldRow, bytes]]:
    """Held documents whose bytes cannot be had now, with those in the ledger: perhaps the last ones that there are."""
    without = {each.key for each in read_documents(folder) if each.key in prepared.held and not each.sha256}
    if not without:
        return {}
    rows = {
        row.id: row for row in ledger.open_held(scope) if row.source_key in without and row.content_type != NO_BYTES
    }
    return {rows[held_id].source_key: (rows[held_id], payload) for held_id, payload in ledger.held_payloads(rows)}


def _note_verdicts(run: Run, clients: Sequence[str], ledger: Ledger, staging: Folder) -> None:
    """The audit trail has, of each document, what it was checked by and what was found."""
    applied = rules()
    ledger.note_records(
        "validated",
        {
            run.key(client): {
                key: {
                    "rules": applied,
                    "verdict": "not checked" if verdict.failed else "invalid" if verdict.invalid else "valid",
                    "findings": [finding.to_json() for finding in verdict.findings],
                }
                for key, verdict in read_judged(staging / client).items()
            }
            for client in clients
        },
    )


def _shared_out(run: Run, config: BanqupToSftp, busy: Sequence[str], ledger: Ledger) -> list[list[str]]:
    """One client a task as long as they are few; else several a task, but for those in trouble.

    Those in trouble come last: waiting for their servers keeps no task slot from the others.
    """
    receivers = ledger.receivers(run.integration, run.instance)
    down = [client for client in busy if client in receivers and receivers[client].state == "down"]
    well = [client for client in busy if client not in down]
    most = config.delivery.tasks
    if len(busy) <= most:
        return [[client] for client in (*well, *down)]
    alone = down[: most // 2]
    others = [*well, *down[len(alone) :]]
    tasks = min(config.delivery.shared_tasks, len(others))
    return [*(others[start::tasks] for start in range(tasks)), *([client] for client in alone)]


def holder(run: Run, client: str) -> str:
    """How a lease names this run."""
    return f"{run.integration}/{run.instance} client {client} run {run.run_id}"
