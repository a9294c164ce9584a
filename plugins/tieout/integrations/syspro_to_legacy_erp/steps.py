"""The steps of a run, in order: begin, extract, prepare, check quality, deliver.

Each works on one entity's folder in staging::

    gl_postings/extract/<YYYYPP>/part-*.parquet, journals.parquet    what SYSPRO gave
    <entity>/extract/part-*.parquet, extract.json
    <entity>/prepared/<YYYYPP>/data, …                               the files that would go
    <entity>/prepared/prepared.json                                  where every record goes

A step that is repeated begins its folder anew, so that a retry after a crash gives the same bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from tieout.delivery import SftpTarget
from tieout.integrations.delivering import receiver, settle_leftovers
from tieout.integrations.expectations import judge_batch, suite_path, unfit
from tieout.integrations.run import Run
from tieout.integrations.sorting import Place
from tieout.integrations.syspro_to_legacy_erp import plan as planning
from tieout.integrations.syspro_to_legacy_erp.archive import check_archived, manifest_of
from tieout.integrations.syspro_to_legacy_erp.documents import DocumentWindow, read_documents
from tieout.integrations.syspro_to_legacy_erp.gl.files import GROUPS
from tieout.integrations.syspro_to_legacy_erp.gl.reading import read_account_names, read_periods
from tieout.integrations.syspro_to_legacy_erp.gl.writers import Numbers
from tieout.integrations.syspro_to_legacy_erp.numbering import expected
from tieout.integrations.syspro_to_legacy_erp.plan import GL_POSTINGS, Asked, Plan
from tieout.integrations.syspro_to_legacy_erp.prepared import Output, Prepared
from tieout.integrations.syspro_to_legacy_erp.preparing import (
    EXTRACT,
    PREPARED,
    gl_tally,
    own_files,
    part_folder,
    prepare_entity,
)
from tieout.integrations.syspro_to_legacy_erp.setup import Setup
from tieout.integrations.tie_out import money_of_file
from tieout.ledger import FileRow, Filters, Ledger, Tally
from tieout.staging import Folder, write_bytes_atomically
from tieout.systems.syspro.client import SysproClient

log = logging.getLogger(__name__)

Target = Callable[[], SftpTarget]


def open_run(setup: Setup, asked: Asked, ledger: Ledger, archive: Folder) -> list[Plan]:
    """Check everything that is configured, decide what to read, and open the entities' rows in the ledger.

    Raises:
        ConfigurationInvalid: The instance, a mapping, a suite, a record spec or `conf` is wrong; nothing was read.
    """
    from tieout.quality import load_suite

    run = setup.run
    setup.check()
    for name in setup.config.enabled_entities():
        load_suite(suite_path(run, name))
    plans = planning.plan_run(run, asked, setup.config, setup.calendar, ledger, archive)
    for plan in plans:
        begin(run, plan, ledger)
        period = planning.named_period(plan.period, setup.calendar)
        if plan.entity == GL_POSTINGS and not planning.is_closed(period, setup.calendar, run.stamp):
            log.warning(
                "Period %s is not closed yet by the calendar %s: what is posted into it later goes in supplementary "
                "files.",
                plan.period,
                setup.calendar.name,
            )
    return plans


def begin(run: Run, plan: Plan, ledger: Ledger) -> None:
    """Open the entity's row in the ledger."""
    mode = "resend" if plan.read == "archive" else "regenerate" if plan.replaces else run.mode
    ledger.begin_run(
        run.key(plan.entity),
        mode="full_refresh" if plan.resend and mode == "incremental" else mode,
        dry_run=run.dry_run,
        interval_start=run.interval_start,
        interval_end=run.interval_end,
        window=plan.window(),
    )


def extract(setup: Setup, plan: Plan, ledger: Ledger, staging: Folder, client: SysproClient) -> dict[str, Any]:
    """Read an entity from SYSPRO into staging; returns counts for Airflow's page.

    Raises:
        SourceUnavailable, CredentialsRejected, ContractBroken, SysproError: As the client says.
    """
    run, entity = setup.run, plan.entity
    begin(run, plan, ledger)
    Prepared.forget(staging / entity / PREPARED)
    folder = staging / entity / EXTRACT
    folder.mkdir(parents=True, exist_ok=True)
    if plan.read == "archive":
        tally = _of_archive(_files(ledger, run, plan))
    elif entity == GL_POSTINGS:
        tally = _extract_postings(setup, plan, ledger, folder, client)
    else:
        tally = _extract_documents(setup, plan, ledger, folder, client)
    ledger.record_extracted(run.key(entity), tally)
    log.info("%s: %s records extracted.", entity, tally.count)
    return {"entity": entity, "records": tally.count}


def _extract_postings(setup: Setup, plan: Plan, ledger: Ledger, folder: Folder, client: SysproClient) -> Tally:
    journals: dict[str, list[int]] | None = None
    if plan.read == "held":
        journals = {code: [] for code in plan.periods}
        for key in plan.held_keys or ledger.open_held_keys(setup.run.scope(GL_POSTINGS)):
            code = planning.period_of_key(key)
            if code in journals:
                journals[code].append(int(key.split("|")[2]))
    source = setup.config.source
    periods = read_periods(client, plan.periods, folder, debit_is=source.debit_is, journals=journals)
    if setup.entity(GL_POSTINGS).format == "x12":
        read_account_names(client, folder)
    return gl_tally(periods, source.currency)


def _extract_documents(setup: Setup, plan: Plan, ledger: Ledger, folder: Folder, client: SysproClient) -> Tally:
    held = frozenset(plan.held_keys)
    if not held and (plan.read == "held" or plan.moves_watermark):
        held = frozenset(planning.held_again(setup.run, setup.config, plan.entity, ledger))
    window = DocumentWindow(
        since=date.fromisoformat(plan.since) if plan.since else None,
        until=date.fromisoformat(plan.until) if plan.until else None,
        also=held if plan.moves_watermark else frozenset(),
        only=held if plan.read == "held" else None,
    )
    found = read_documents(
        client, setup.mapping(plan.entity), window, folder, local_currency=setup.config.source.currency
    )
    write_bytes_atomically(folder / "extract.json", [found.to_json().encode()])
    return Tally(found.records, found.money)


def _files(ledger: Ledger, run: Run, plan: Plan) -> list[FileRow]:
    """The files of the plan that are sent again, in its order."""
    scope = run.scope(plan.entity)
    delivered = ledger.files(Filters(scope.integration, scope.instance, scope.entity, status="delivered"))
    by_name = {file.file_name: file for file in delivered if file.kind == "data"}
    return [by_name[name] for name in plan.files if name in by_name]


def _of_archive(files: Sequence[FileRow]) -> Tally:
    tally = Tally(sum(file.records for file in files))
    for file in files:
        for currency, amount in money_of_file(file.control_totals).items():
            tally.add(currency, amount)
    return tally


def prepare(
    setup: Setup, plan: Plan, ledger: Ledger, staging: Folder, archive: Folder, target: Target
) -> dict[str, Any]:
    """Judge the extracted records and write the files that would go.

    Raises:
        ReceiverUnavailable: An earlier attempt's file must be looked up first and cannot be.
        DoesNotTieOut: A file does not hold what was to be written to it.
    """
    run = setup.run
    scope = run.scope(plan.entity)
    with receiver(target, ledger) as to:
        if not run.dry_run and ledger.unsettled_files(scope, not_run_id=None):
            with ledger.acquire(scope, holder=holder(run)):
                settle_leftovers(ledger, scope, to)
    kept = Prepared.load(staging / plan.entity / PREPARED)
    if kept is not None and any(file.state == "delivered" for file in own_files(setup, ledger, plan.entity)):
        # What has arrived of this attempt is not judged again: it would look like somebody else's.
        record_prepared(setup, kept, ledger)
        return kept.summary()
    Prepared.forget(staging / plan.entity / PREPARED)
    if plan.read == "archive":
        prepared = _prepare_archived(setup, plan, ledger, staging, archive)
    else:
        prepared = prepare_entity(setup, plan, ledger, staging, expected(setup, plan.entity, ledger))
    record_prepared(setup, prepared, ledger)
    for line in prepared.preview if run.dry_run else ():
        log.info("%s | %s", plan.entity, line)
    return prepared.summary()


def _prepare_archived(setup: Setup, plan: Plan, ledger: Ledger, staging: Folder, archive: Folder) -> Prepared:
    """Files that went before, byte for byte."""
    scope = setup.run.scope(plan.entity)
    files = _files(ledger, setup.run, plan)
    check_archived(archive, files)
    prepared = Prepared(plan.entity, ledger.entity_version(scope), "as sent before")
    prepared.add(Place.SEND, _of_archive(files))
    prepared.outputs = [_archived_output(plan, archive, file) for file in files]
    folder = staging / plan.entity / PREPARED
    folder.mkdir(parents=True, exist_ok=True)
    prepared.save(folder)
    return prepared


def _archived_output(plan: Plan, archive: Folder, file: FileRow) -> Output:
    """A file as it went: what its manifest said of it then is said again."""
    told = manifest_of(archive, file)
    return Output(
        str(told.get("period", plan.period)),
        file.bytes,
        file.sha256,
        file.records,
        file.control_totals,
        Numbers(0),
        supplementary=bool(told.get("supplementary")),
        name=file.file_name,
    )


def record_prepared(setup: Setup, prepared: Prepared, ledger: Ledger) -> None:
    """Where every record goes, for the ledger."""
    ledger.record_prepared(
        setup.run.key(prepared.entity),
        to_send=prepared.tallies[Place.SEND],
        held=prepared.tallies[Place.HELD],
        duplicate=prepared.tallies[Place.DUPLICATE],
        excluded=prepared.tallies[Place.EXCLUDED],
        mapping_version=prepared.mapping_version,
    )


def check_quality(setup: Setup, plans: Sequence[Plan], ledger: Ledger, staging: Folder) -> dict[str, Any]:
    """Great Expectations on everything about to go; entity → whether it may go and what failed.

    Single documents that do not meet an expectation are held and the rest goes. Of postings the groups of cost centre
    and account are looked at: one that is not as expected keeps all back.
    """
    verdicts: dict[str, Any] = {}
    for plan in plans:
        prepared = Prepared.load(staging / plan.entity / PREPARED)
        if prepared is None or plan.read == "archive":
            continue
        for output in prepared.outputs:
            verdicts[plan.entity] = _judge(setup.run, plan.entity, output, ledger, staging)
            if not verdicts[plan.entity]["may_go"]:
                break
    return verdicts


def _judge(run: Run, entity: str, output: Output, ledger: Ledger, staging: Folder) -> dict[str, Any]:
    folder = part_folder(staging, entity, output.part)
    if entity != GL_POSTINGS:
        verdict = judge_batch(run, entity, folder, "data.csv", output.records, ledger)
        with (folder / "unfit.json").open("rb") as found:
            write_bytes_atomically(staging / entity / PREPARED / "unfit.json", [found.read()])
        return verdict
    verdict = judge_batch(run, entity, folder, GROUPS, output.records, ledger)
    if verdict["held"]:
        group, why = next(iter(unfit(folder).items()))
        sentence = f"{verdict['held']} groups of postings are not as expected, first {group}: {why}"
        ledger.fail_run(run.key(entity), f"The postings of {output.part} were not sent: {sentence}")
        return {**verdict, "may_go": False, "failures": [sentence], "held": 0}
    return verdict


def holder(run: Run) -> str:
    """How a lease names this run."""
    return f"{run.integration}/{run.instance} run {run.run_id}"


def gone_from_source(plans: Sequence[Plan], staging: Folder) -> dict[str, str]:
    """Entity → which records were sent and are not posted in SYSPRO any more, which no posted journal can become."""
    found: dict[str, str] = {}
    for plan in plans:
        prepared = Prepared.load(staging / plan.entity / PREPARED)
        if prepared is not None and prepared.missing:
            periods = ", ".join(f"{count} of {period}" for period, count in sorted(prepared.missing.items()))
            found[plan.entity] = (
                f"postings that were sent are not in SYSPRO any more, or not posted ({periods}); find out who removed "
                "them, and correct the receiver's books"
            )
    return found
