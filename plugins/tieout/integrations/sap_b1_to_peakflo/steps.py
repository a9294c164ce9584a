"""The steps of a run, in order: begin, extract, prepare, check quality, deliver.

Each works on one entity's folder in staging::

    <entity>/extract/part-*.parquet, extract.json    what SAP gave
    <entity>/prepared/data.csv, records.parquet, held.jsonl, prepared.json    where every record goes

A step that is repeated begins its folder anew, so that a retry after a crash gives the same bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tieout.config import SapB1Export, include_folder
from tieout.delivery import SftpTarget, remote_join, render_name
from tieout.errors import TieoutError
from tieout.integrations.delivering import Receiver, receiver, send, settle_leftovers
from tieout.integrations.expectations import suite_path
from tieout.integrations.outcome import sentence
from tieout.integrations.run import EntityPlan, Run
from tieout.integrations.sap_b1_to_peakflo import pdfs, reading, waiting
from tieout.integrations.sap_b1_to_peakflo.prepared import Prepared
from tieout.integrations.sap_b1_to_peakflo.source_money import source_money
from tieout.integrations.sap_b1_to_peakflo.waiting import INVOICE_PDFS, INVOICES, PAYMENTS
from tieout.integrations.sorting import HeldCheck, Place, Sorter, read_held, read_records
from tieout.ledger import DeliveredFile, EntityOutcome, FileRow, Lease, Ledger, RunKey, Tally
from tieout.mapping.compiler import compile_mapping
from tieout.mapping.frame import MapContext
from tieout.mapping.loader import find_mapping, load_mapping
from tieout.mapping.model import EntityMapping
from tieout.staging import Folder, StagedPath, read_parts, write_bytes_atomically
from tieout.systems.sap_b1.client import SapB1Client

# Tables that a mapping's `lookup: {runtime: …}` may name.
INVOICE_NUMBERS = "invoice_numbers"
DELIVERED_BEFORE = "delivered_before"

log = logging.getLogger(__name__)

Target = Callable[[], SftpTarget]


def mapping_of(run: Run, config: SapB1Export, entity: str) -> EntityMapping:
    """The mapping file of an entity, plain or encrypted.

    Raises:
        ConfigurationInvalid: it is missing or wrong; says file, line and key.
    """
    name = config.entities[entity].mapping or entity
    return load_mapping(find_mapping(include_folder() / "mappings" / run.integration, name))


def load_mappings(run: Run, config: SapB1Export) -> None:
    """Read every mapping and suite before anything else, so that a mistake shows before SAP is asked.

    Raises:
        ConfigurationInvalid: one of them is wrong; says file, line and key.
    """
    from tieout.quality import load_suite

    for entity in config.enabled_entities():
        mapping_of(run, config, entity)
        load_suite(suite_path(run, entity))


def begin(run: Run, plan: EntityPlan, ledger: Ledger) -> None:
    """Open the entity's row in the ledger."""
    ledger.begin_run(
        run.key(plan.entity),
        mode="full_refresh" if plan.resend and run.mode == "incremental" else run.mode,
        dry_run=run.dry_run,
        interval_start=run.interval_start,
        interval_end=run.interval_end,
        window=plan.window(),
    )


def extract(
    run: Run, config: SapB1Export, plan: EntityPlan, ledger: Ledger, staging: Folder, client: SapB1Client
) -> dict[str, Any]:
    """Read an entity from SAP into staging; returns counts for Airflow's page.

    Raises:
        SourceUnavailable, CredentialsRejected, ContractBroken: as the client says.
    """
    begin(run, plan, ledger)
    Prepared.forget(staging, plan.entity)
    folder = staging / plan.entity / "extract"
    folder.mkdir(parents=True, exist_ok=True)
    mapping = mapping_of(run, config, plan.entity)
    held = reading.held_keys(ledger, run, plan, mapping)
    read = reading.entity_read(mapping, plan, held)
    if plan.entity == INVOICE_PDFS:
        manifest = pdfs.extract(client, read, folder, parallel=config.source.parallel_ranges)
    else:
        manifest = reading.read(client, read, folder, parallel=config.source.parallel_ranges)
        other = mapping.alternative()
        if manifest.records == 0 and plan.read == "all" and other is not None:
            log.info("%s has no records; reading %s.", mapping.source.entity_set, other.source.entity_set)
            read = reading.entity_read(other, plan, held)
            manifest = reading.read(client, read, folder, parallel=config.source.parallel_ranges)
    tally = Tally(manifest.records, source_money(plan.entity, folder, manifest, config.source.local_currency))
    write_bytes_atomically(folder / "extract.json", [manifest.to_json().encode()])
    ledger.record_extracted(run.key(plan.entity), tally)
    log.info("%s: %s records extracted in %s requests.", plan.entity, manifest.records, manifest.requests)
    return {"entity": plan.entity, "records": manifest.records, "requests": manifest.requests}


def prepare(
    run: Run,
    config: SapB1Export,
    plan: EntityPlan,
    ledger: Ledger,
    staging: Folder,
    client: SapB1Client,
    target: Target,
) -> dict[str, Any]:
    """Sort the extracted records into their places and write the file that would go.

    Raises:
        ReceiverUnavailable: an earlier attempt's file must be looked up first and cannot be.
        DoesNotTieOut: the finished file does not read back as what was written.
    """
    scope = run.scope(plan.entity)
    with receiver(target, ledger) as to:
        if not run.dry_run and ledger.unsettled_files(scope, not_run_id=None):
            with ledger.acquire(scope, holder=_holder(run)):
                settle_leftovers(ledger, scope, to)
    prepared = _prepare(run, config, plan, ledger, staging, lambda: client, waiting.checks_at_once(plan.entity))
    for line in prepared.preview if run.dry_run else ():
        log.info("%s | %s", plan.entity, line)
    return prepared.summary()


def _prepare(
    run: Run,
    config: SapB1Export,
    plan: EntityPlan,
    ledger: Ledger,
    staging: Folder,
    client: Callable[[], SapB1Client],
    checks: Sequence[HeldCheck],
) -> Prepared:
    """Sort and write; `checks` are rules that look beyond a record."""
    scope, entity = run.scope(plan.entity), plan.entity
    base_version = ledger.entity_version(scope)
    extracted = staging / entity / "extract"
    manifest = reading.read_manifest(extracted)
    mapping = mapping_of(run, config, entity)
    other = mapping.alternative()
    if other is not None and manifest.entity == other.source.entity_set:
        mapping = other
    folder = staging / entity / "prepared"
    folder.mkdir(parents=True, exist_ok=True)
    sorter = Sorter(
        compile_mapping(mapping, manifest.custom_fields),
        map_context(run, config, entity, ledger, client),
        ledger,
        scope,
        resend=plan.resend,
        also_held=checks,
        send_anyway=ledger.not_in_a_manifest(scope) if entity == INVOICE_PDFS else (),
    )
    outcome = sorter.sort(read_parts(extracted, names=manifest.part_names), folder)
    prepared = Prepared(
        entity=entity,
        base_version=base_version,
        mapping_version=mapping.version,
        sorted=outcome,
        watermark=reading.next_watermark(plan, run, manifest, ledger.watermark(scope)),
    )
    tallies = outcome.tallies
    if entity == PAYMENTS:
        # Those in foreign currency have no total of their own in SAP: what they are worth is the mapping's to work out.
        # The local currency's total stays what `extract` read from SAP's bytes.
        worked_out = sum(tallies.values(), start=Tally()).totals
        row, local = ledger.get_run(run.key(entity)), config.source.local_currency
        read = {local: row.source_totals[local]} if row is not None and local in row.source_totals else {}
        ledger.record_extracted(run.key(entity), Tally(manifest.records, {**worked_out, **read}))
    ledger.record_prepared(
        run.key(entity),
        to_send=tallies[Place.SEND],
        held=tallies[Place.HELD],
        duplicate=tallies[Place.DUPLICATE],
        excluded=tallies[Place.EXCLUDED],
        mapping_version=mapping.version,
    )
    write_bytes_atomically(folder / "prepared.json", [prepared.to_json()])
    return prepared


def map_context(
    run: Run, config: SapB1Export, entity: str, ledger: Ledger, client: Callable[[], SapB1Client]
) -> MapContext:
    """What mappings get from the run: the tables that their lookups name, and the instance's settings."""

    def invoice_numbers(keys: Sequence[str]) -> Mapping[str, str]:
        known = ledger.labels(run.scope(INVOICES), keys)
        missing = [key for key in keys if key not in known]
        return {**known, **(reading.invoice_numbers(client(), missing) if missing else {})}

    def delivered_before(keys: Sequence[str]) -> Mapping[str, str]:
        return dict.fromkeys(ledger.fingerprints(run.scope(entity), keys), "yes")

    return MapContext(
        lookups={INVOICE_NUMBERS: invoice_numbers, DELIVERED_BEFORE: delivered_before},
        settings={"local_currency": config.source.local_currency},
    )


def _file_name(run: Run, config: SapB1Export, entity: str, ledger: Ledger, sha256: str) -> str:
    """The name for this run's file.

    An attempt that never began to send leaves its name to the next one, and the same bytes keep the name they had.
    """
    row = ledger.get_run(run.key(entity))
    for file in ledger.files_of_run(run.key(entity)):
        if file.kind != _kind(entity) or row is None or file.created_at < row.started_at:
            continue
        if file.state == "prepared" or (file.sha256 == sha256 and file.state != "refused"):
            return file.file_name
    return render_name(
        config.target.file_name,
        {
            "entity": entity,
            "instance": run.instance,
            "timestamp": run.timestamp,
            "seq": ledger.next_sequence(run.scope(entity), "file"),
        },
    )


def _kind(entity: str) -> str:
    """What the entity's CSV is: the data themselves, or a list of them."""
    return "manifest" if entity == INVOICE_PDFS else "data"


def deliver(
    run: Run,
    config: SapB1Export,
    plans: Sequence[EntityPlan],
    verdicts: Mapping[str, Any],
    ledger: Ledger,
    staging: Folder,
    client: Callable[[], SapB1Client],
    target: Target,
) -> dict[str, Any]:
    """Deliver and commit every prepared entity, in order; one that fails does not stop those that need nothing of it.

    Raises:
        TieoutError: the first failure, after the others have had their turn.
    """
    done: dict[str, Any] = {}
    missing: set[str] = set()
    failures: list[TieoutError] = []
    with receiver(target, ledger) as to:
        for plan in plans:
            entity = plan.entity
            prepared = Prepared.load(staging, entity)
            needed = [name for name in config.entities[entity].after if name in missing]
            if prepared is None or not verdicts.get(entity, {"may_go": True})["may_go"]:
                missing.add(entity)  # an earlier step has said why
            elif needed:
                # Not held: nothing is wrong with these records, and the next run brings them together.
                missing.add(entity)
                ledger.fail_run(run.key(entity), f"waits for {needed[0]}")
            else:
                try:
                    done[entity] = _deliver_entity(run, config, plan, prepared, ledger, staging, client, to)
                except TieoutError as error:
                    missing.add(entity)
                    failures.append(error)
                    ledger.fail_run(run.key(entity), sentence(error))
                    log.error("%s: %s", entity, error)
                    to.start_anew()
    if failures:
        raise failures[0]
    return done


def _deliver_entity(
    run: Run,
    config: SapB1Export,
    plan: EntityPlan,
    prepared: Prepared,
    ledger: Ledger,
    staging: Folder,
    client: Callable[[], SapB1Client],
    to: Receiver,
) -> dict[str, Any]:
    entity, key, scope = plan.entity, run.key(plan.entity), run.scope(plan.entity)
    row = ledger.get_run(key)
    if row is not None and row.status in ("delivered", "success"):
        return {"already": "delivered by an earlier attempt of this task"}
    if run.dry_run:
        checks = waiting.checks_beyond(run, entity, ledger, staging)
        if checks:
            prepared = _prepare(run, config, plan, ledger, staging, client, checks)
        return {"dry_run": True, **prepared.summary()}
    with ledger.acquire(scope, holder=_holder(run)) as lease:
        settle_leftovers(ledger, scope, to, not_of_run=run.run_id)
        # What else may hold a record is known only now, when those it needs have gone: then all are sorted again.
        checks = waiting.checks_beyond(run, entity, ledger, staging)
        if checks or ledger.entity_version(scope) != prepared.base_version:
            prepared = _prepare(run, config, plan, ledger, staging, client, checks)
        if prepared.sorted.tallies[Place.SEND].count:
            # Only now: a run that never gets here uses up no number.
            prepared.file_name = _file_name(run, config, entity, ledger, prepared.sorted.sha256)
        arrived = settle_leftovers(ledger, scope, to, of_run=run.run_id)
        delivered = _send(run, config, prepared, arrived, ledger, lease, staging, to)
        tally = prepared.sorted.tallies[Place.SEND]
        ledger.commit_entity(
            key,
            token=lease.token,
            # What arrived by an interrupted attempt of this very run is its own work, and no other run's.
            base_version=prepared.base_version + len(arrived),
            outcome=EntityOutcome(
                delivered=delivered,
                held=read_held(staging / entity / "prepared"),
                settled=prepared.sorted.settled,
                watermark=prepared.watermark,
                tally=Tally(tally.count, dict(tally.totals)),
            ),
        )
    log.info("%s: %s records delivered in %s files.", entity, tally.count, len(delivered))
    return prepared.summary()


def _send(
    run: Run,
    config: SapB1Export,
    prepared: Prepared,
    arrived: Mapping[str, FileRow],
    ledger: Ledger,
    lease: Lease,
    staging: Folder,
    to: Receiver,
) -> list[DeliveredFile]:
    """Enter what goes into the ledger, then send it; what an interrupted attempt brought there is not sent again."""
    if not prepared.file_name:
        return []
    key, remote = run.key(prepared.entity), remote_join(config.target.root, prepared.entity)
    done = [DeliveredFile(file.id, file.verification or "size", datetime.now(UTC)) for file in arrived.values()]
    batches: list[list[tuple[FileRow, StagedPath]]] = []
    if prepared.entity == INVOICE_PDFS:
        there = {*arrived, *_delivered_before(ledger, key, staging, remote)}
        batches.append(pdfs.register(key, ledger, staging / INVOICE_PDFS, remote, there))
    path = remote_join(remote, prepared.file_name)
    if path not in arrived:
        batches.append([_register(key, ledger, prepared, path, staging / prepared.entity / "prepared")])
    # One batch after the other: the manifest says that the PDFs it lists are there.
    receipts = [receipt for batch in batches for receipt in send(ledger, lease, to, config.target, batch)]
    return done + [DeliveredFile(receipt.file_id, receipt.verification, receipt.delivered_at) for receipt in receipts]


def _delivered_before(ledger: Ledger, key: RunKey, staging: Folder, remote: str) -> set[str]:
    """Paths of PDFs that an earlier run delivered but never listed: this run's manifest lists them."""
    unlisted = ledger.not_in_a_manifest(key.scope)
    there = set()
    for source_key, name, sha256 in pdfs.staged(staging / INVOICE_PDFS) if unlisted else ():
        path = remote_join(remote, name)
        if source_key in unlisted and sha256 in ledger.delivered_digests(key.scope, path):
            there.add(path)
    return there


def _register(
    key: RunKey, ledger: Ledger, prepared: Prepared, remote_path: str, folder: Folder
) -> tuple[FileRow, StagedPath]:
    """Enter the entity's CSV with its records, so that a crash leaves a trail of what was in it."""
    row = ledger.prepare_file(
        key,
        file_name=prepared.file_name,
        remote_path=remote_path,
        local_uri=str(folder / "data.csv"),
        bytes=prepared.sorted.bytes,
        sha256=prepared.sorted.sha256,
        records=prepared.sorted.tallies[Place.SEND].count,
        control_totals=prepared.sorted.control_totals,
        records_iter=read_records(folder),
        kind=_kind(prepared.entity),
    )
    return row, folder / "data.csv"


def _holder(run: Run) -> str:
    return f"{run.integration}/{run.instance} run {run.run_id}"
