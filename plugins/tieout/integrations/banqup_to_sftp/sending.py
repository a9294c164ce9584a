"""Delivering to the clients, each to its own server: what one of them does or does not is no other's affair."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tieout.delivery import DeliveryOptions, NameTaken, OutgoingFile, Receipt, SftpTarget
from tieout.errors import (
    ConfigurationInvalid,
    CredentialsRejected,
    HostKeyMismatch,
    ReceiverRefused,
    ReceiverUnavailable,
    TieoutError,
)
from tieout.integrations.backing_off import pause
from tieout.integrations.banqup_to_sftp.config import BanqupClientConfig, BanqupDelivery, BanqupToSftp
from tieout.integrations.banqup_to_sftp.documents import FILES, Reason
from tieout.integrations.banqup_to_sftp.placing import Outgoing, Prepared
from tieout.integrations.banqup_to_sftp.plan import ClientPlan
from tieout.integrations.banqup_to_sftp.steps import commit, holder, is_done, place_client, record
from tieout.integrations.delivering import LedgerJournal, Receiver, announce_found, receiver, settle_leftovers
from tieout.integrations.outcome import sentence
from tieout.integrations.run import Run
from tieout.integrations.sorting import Place
from tieout.ledger import DeliveredFile, FileDraft, FileRecord, Lease, Ledger
from tieout.staging import Folder

log = logging.getLogger(__name__)

OF_THE_SERVER = (ReceiverUnavailable, CredentialsRejected, HostKeyMismatch, ReceiverRefused, ConfigurationInvalid)
"""Failures that are the server's or its connection's; it is tried ever more rarely."""

Target = Callable[[str], SftpTarget]
"""From a connection's id to the server."""


def target_of(client: BanqupClientConfig, delivery: BanqupDelivery, target: Target) -> SftpTarget:
    """The client's server and account: its connection, with what the client's own settings put in place."""
    found = target(client.conn_id)
    return replace(
        found,
        host=client.host or found.host,
        port=client.port or found.port,
        username=client.user or found.username,
        connect_timeout=min(found.connect_timeout, delivery.connect_seconds),
    )


def deliver(
    run: Run,
    config: BanqupToSftp,
    plans: Mapping[str, ClientPlan],
    names: Sequence[str],
    ledger: Ledger,
    staging: Folder,
    target: Target,
) -> dict[str, Any]:
    """Deliver to these clients, side by side; returns client → what was delivered.

    Raises:
        TieoutError: The first client's failure, after all others have had their turn; what is not delivered waits.
    """
    clients = config.enabled_clients()

    def one(name: str) -> dict[str, Any] | TieoutError:
        try:
            return _deliver_client(run, config, clients[name], plans[name], ledger, staging, target)
        except TieoutError as error:
            _note_failure(run, config, clients[name], error, ledger, staging)
            return error

    done: dict[str, Any] = {}
    failures: list[TieoutError] = []
    with ThreadPoolExecutor(config.delivery.parallel, thread_name_prefix="deliver") as pool:
        for name, outcome in zip(names, pool.map(one, names), strict=True):
            if isinstance(outcome, TieoutError):
                log.error("%s: %s", clients[name].title, outcome)
                failures.append(outcome)
            else:
                done[name] = outcome
    if failures:
        raise failures[0]
    return done


def _note_failure(
    run: Run, config: BanqupToSftp, client: BanqupClientConfig, error: TieoutError, ledger: Ledger, staging: Folder
) -> None:
    """The client's row says why it is red; what goes wrong with a server again and again is tried ever more rarely."""
    name = client.external_id
    prepared = Prepared.load(staging / name)
    waiting = prepared.tallies[Place.SEND].count if prepared else 0
    if ledger.get_run(run.key(name)) is not None:
        ledger.fail_run(run.key(name), f"{waiting} documents wait. {sentence(error)}" if waiting else sentence(error))
    if not isinstance(error, OF_THE_SERVER):
        return
    before = ledger.receivers(run.integration, run.instance).get(name)
    failures = (before.failures if before and before.state == "down" else 0) + 1
    delivery = config.delivery
    # Attempts with a rejected password lock accounts, so none of them is an eager one.
    eager = 0 if isinstance(error, CredentialsRejected | HostKeyMismatch) else delivery.eager_attempts
    wait = pause(
        failures,
        eager=eager,
        first_minutes=delivery.first_delay_minutes,
        longest_minutes=delivery.max_delay_minutes,
    )
    ledger.receiver_failed(
        run.scope(name),
        error=sentence(error),
        error_kind=type(error).__name__,
        waiting=waiting,
        next_try_at=datetime.now(UTC) + wait,
    )


def _deliver_client(
    run: Run,
    config: BanqupToSftp,
    client: BanqupClientConfig,
    plan: ClientPlan,
    ledger: Ledger,
    staging: Folder,
    target: Target,
) -> dict[str, Any]:
    name = client.external_id
    key, scope = run.key(name), run.scope(name)
    asked: list[SftpTarget] = []

    def server() -> SftpTarget:
        asked.append(target_of(client, config.delivery, target))
        return asked[-1]

    with (
        receiver(server, ledger) as to,
        ledger.acquire(scope, holder=holder(run, name)) as lease,
    ):
        settle_leftovers(ledger, scope, to, not_of_run=run.run_id)
        row, prepared = ledger.get_run(key), Prepared.load(staging / name)
        if row is None or prepared is None or is_done(row):
            # There was nothing but what an earlier run had left open, or another attempt has delivered it all.
            _note_reached(run, name, asked, ledger)
            return {"documents": 0}
        settle_leftovers(ledger, scope, to, of_run=run.run_id)
        if ledger.entity_version(scope) != prepared.base_version:
            # Another run has delivered meanwhile, or it turned out that an earlier one, or attempt, had.
            prepared = place_client(run, config, client, plan, ledger, staging)
            record(run, [prepared], ledger)
        arrived = {
            file.remote_path
            for file in ledger.files_of_run(key)
            if file.state == "delivered" and file.created_at >= row.started_at
        }
        delivered, refused = _send(run, config, client, prepared, arrived, ledger, lease, staging, to)
        if refused:
            prepared = _without(run, config, client, plan, prepared, refused, ledger, staging)
        commit(run, prepared, delivered, ledger, lease, staging)
    _note_reached(run, name, asked, ledger)
    count = prepared.tallies[Place.SEND].count
    log.info("%s: %s documents delivered.", client.title, count)
    return {"documents": count, "held": len(prepared.held)}


def _note_reached(run: Run, name: str, asked: Sequence[SftpTarget], ledger: Ledger) -> None:
    """The client's server has answered; of one that always does, the ledger knows it."""
    known = ledger.receivers(run.integration, run.instance).get(name)
    if asked and (known is None or known.state == "down"):
        ledger.receiver_reached(run.scope(name))


def _send(
    run: Run,
    config: BanqupToSftp,
    client: BanqupClientConfig,
    prepared: Prepared,
    arrived: Collection[str],
    ledger: Ledger,
    lease: Lease,
    staging: Folder,
    to: Receiver,
) -> tuple[list[DeliveredFile], dict[str, Reason]]:
    """Enter what goes into the ledger, then send it; returns what is there, and what the server does not take."""
    key, files = run.key(client.external_id), staging / client.external_id / FILES
    done: list[DeliveredFile] = []
    going = [each for each in prepared.outgoing if each.path not in arrived]
    rows = ledger.prepare_files(key, [_draft(each, files) for each in going])
    outgoing = [
        OutgoingFile(
            file_id=row.id,
            local=files / each.staged_name,
            remote_path=each.path,
            size=each.bytes,
            sha256=each.sha256,
            mode=config.delivery.file_mode,
        )
        for row, each in zip(rows, going, strict=True)
    ]
    options = DeliveryOptions(
        verification=config.delivery.verification,
        create_directories=config.delivery.create_directories,
        directory_mode=config.delivery.directory_mode,
        concurrency=client.concurrency,
        ordered=True,
    )
    outcomes = _deliver_with_patience(outgoing, options, LedgerJournal(ledger, lease), ledger, to)
    refused: dict[str, Reason] = {}
    for each, file, outcome in zip(going, outgoing, outcomes, strict=True):
        if isinstance(outcome, Receipt):
            done.append(DeliveredFile(outcome.file_id, outcome.verification, outcome.delivered_at))
            continue
        refused[each.key] = Reason(
            "RECEIVER_REFUSED",
            f"{each.number or each.key}: {outcome}",
            "Correct it on the client's server; it is tried again by the next run.",
            "administrator",
        )
        ledger.file_states([file.file_id], "refused", message=str(outcome), token=lease.token)
    wholly = [each for each in outcomes if isinstance(each, ReceiverRefused) and not isinstance(each, NameTaken)]
    if wholly and len(refused) == len(going) and not arrived:
        # Nothing at all was taken, and not for the names' sake: that is the server's trouble, not the documents'.
        raise wholly[0]
    return done, refused


def _deliver_with_patience(
    files: Sequence[OutgoingFile], options: DeliveryOptions, journal: LedgerJournal, ledger: Ledger, to: Receiver
) -> list[Receipt | ReceiverRefused]:
    """Deliver; a connection that was there and broke off is made once more, and what had arrived is found there."""
    if not files:
        return []
    session = to.session()
    try:
        outcomes = session.deliver_each(files, options, journal)
    except ReceiverUnavailable as error:
        log.warning("%s Trying once more.", error)
        to.start_anew()
        outcomes = to.session().deliver_each(files, options, journal)
    announce_found([each for each in outcomes if isinstance(each, Receipt)], files, ledger, journal)
    return outcomes


def _draft(each: Outgoing, files: Folder) -> FileDraft:
    return FileDraft(
        file_name=each.path.rpartition("/")[2],
        remote_path=each.path,
        local_uri=str(files / each.staged_name),
        bytes=each.bytes,
        sha256=each.sha256,
        records=1,
        control_totals={currency: Decimal(amount) for currency, amount in each.money.items()},
        file_records=[FileRecord(each.key, each.fingerprint, each.number, 0, each.bytes)],
    )


def _without(
    run: Run,
    config: BanqupToSftp,
    client: BanqupClientConfig,
    plan: ClientPlan,
    prepared: Prepared,
    refused: Mapping[str, Reason],
    ledger: Ledger,
    staging: Folder,
) -> Prepared:
    """The same documents, with those held that the server does not take."""
    again = place_client(run, config, client, plan, ledger, staging, refused)
    record(run, [again], ledger)
    again.base_version = prepared.base_version
    return again
