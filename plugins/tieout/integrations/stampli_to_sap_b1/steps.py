"""The steps of a run, in order: begin, collect, prepare, post, archive, read back.

Each works in the run's folder in staging::

    files/<n>_<name>                 what was fetched
    <entity>/collected/              records as they came
    references.json                  what SAP has that they refer to
    <entity>/prepared/               what each record would become
    <entity>/held.jsonl              what could not be posted

A step that is repeated writes its part anew; only `post` and `archive` have effects outside.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from tieout.config import StampliToSapB1
from tieout.delivery import RemoteFile, SftpSession, SftpTarget, as_source, remote_join
from tieout.integrations.expectations import judge_batch, suite_path, unfit
from tieout.integrations.run import Run, wanted
from tieout.integrations.stampli_to_sap_b1 import purchase_orders
from tieout.integrations.stampli_to_sap_b1.accounting import Accounting
from tieout.integrations.stampli_to_sap_b1.changes import changes
from tieout.integrations.stampli_to_sap_b1.collecting import accounting_of, layouts_of, read_again
from tieout.integrations.stampli_to_sap_b1.content import content_fingerprint
from tieout.integrations.stampli_to_sap_b1.deciding import ENTRY, Circumstances, Place
from tieout.integrations.stampli_to_sap_b1.drafts import EntryDraft, PartnerDraft
from tieout.integrations.stampli_to_sap_b1.entity_posting import EntityPosting, Outcome
from tieout.integrations.stampli_to_sap_b1.judging import Judge, Judged, Partners
from tieout.integrations.stampli_to_sap_b1.prepared import PreparedRecord
from tieout.integrations.stampli_to_sap_b1.references import SUPPLIER, Needed, References, read_references
from tieout.integrations.stampli_to_sap_b1.staged import Collected, read_staged
from tieout.ledger import FileRow, Lease, Ledger, PostingRow, RunRow, Scope, Tally
from tieout.staging import Folder, write_bytes_atomically
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.journal import Booked, find_booked, find_by_number
from tieout.systems.stampli import Limits, SourceRecord

POSTED_ENTITIES = ("vendors", "invoices", "payments")
_INDEX = ("source_key", "label", "partner", "currency", "amount", "lines", "debit", "credit", "date")
_NAMES_TRIED = 100

log = logging.getLogger(__name__)

Client = Callable[[], SapB1Client]
Target = Callable[[], SftpTarget]


def entities_of(run: Run, config: StampliToSapB1) -> list[str]:
    """What this run posts, in order.

    Raises:
        ConfigurationInvalid: `conf` names an entity that there is not.
    """
    return [entity for entity in wanted(run, config.enabled_entities()) if entity in POSTED_ENTITIES]


def begin(run: Run, config: StampliToSapB1, ledger: Ledger) -> list[str]:
    """Read every mapping before anything else, and open the entities' rows in the ledger.

    Raises:
        ConfigurationInvalid: a file of ours or `conf` is wrong; nothing was read.
    """
    from tieout.quality import load_suite

    entities = entities_of(run, config)
    layouts_of(run)
    accounting_of(run, config)
    if config.purchase_orders:
        purchase_orders.load_mapping(run, config)
    for entity in entities:
        load_suite(suite_path(run, entity))
        ledger.begin_run(
            run.key(entity),
            mode=run.mode,
            dry_run=run.dry_run,
            interval_start=run.interval_start,
            interval_end=run.interval_end,
            window={"read": "held" if run.mode == "held_only" else "files"},
        )
    return entities


# -- prepare ----------------------------------------------------------------------------------------------------------


def prepare(
    run: Run, config: StampliToSapB1, entities: Sequence[str], ledger: Ledger, staging: Folder, client: Client
) -> dict[str, Any]:
    """Read what SAP has, and work out what each record would become.

    Raises:
        SourceUnavailable, CredentialsRejected, ContractBroken: as the client says.
    """
    references = work_out(run, config, entities, ledger, staging, client)
    if not run.dry_run:
        # A payment names its vendor by Stampli's id alone, and comes days after the invoice that tells SAP's code.
        suppliers = {code for code, row in references.suppliers.items() if row.get("CardType") == SUPPLIER}
        learnt = {vendor: code for vendor, code in references.card_codes.items() if code in suppliers}
        ledger.remember_codes(run.scope("vendors"), learnt)
    partners = Partners(references, ledger, run)
    return {entity: _preview(run, config, entity, references, partners, ledger, staging) for entity in entities}


def work_out(
    run: Run, config: StampliToSapB1, entities: Sequence[str], ledger: Ledger, staging: Folder, client: Client
) -> References:
    """What each record would become, into staging, and what SAP has that they refer to. Changes nothing elsewhere."""
    accounting = accounting_of(run, config)
    needed = Needed()
    latest = {entity: _latest(run, config, entity, accounting, staging, needed) for entity in entities}
    references = References(local_currency=config.local_currency)
    if any(latest.values()):
        _add_vendors_known(run, ledger, needed)
        references = read_references(client(), needed, config)
    write_bytes_atomically(staging / "references.json", [references.to_json()])
    for entity in entities:
        _prepare_entity(run, config, entity, accounting, references, latest[entity], staging)
    return references


def _read(run: Run, config: StampliToSapB1, entity: str, staging: Folder) -> Iterator[tuple[SourceRecord, bool, bytes]]:
    """The records again from their bytes, whether they are repeated, and the bytes."""
    layouts, limits = layouts_of(run), Limits(max_bytes=config.collect.max_file_bytes)
    for staged in read_staged(staging, entity):
        record = read_again(staged.payload, staged.content_type, entity, layouts, limits, staged.where)
        yield record, staged.repeated, staged.payload


def _latest(
    run: Run, config: StampliToSapB1, entity: str, accounting: Accounting, staging: Folder, needed: Needed
) -> dict[str, tuple[int, str]]:
    """Source key → position and content of its last record in this run; notes what the records refer to in SAP."""
    latest: dict[str, tuple[int, str]] = {}
    for position, (record, repeated, _) in enumerate(_read(run, config, entity, staging)):
        if not repeated:
            latest[record.source_key] = (position, content_fingerprint(record))
            accounting.need(record, needed)
    return latest


def _add_vendors_known(run: Run, ledger: Ledger, needed: Needed) -> None:
    """Codes of vendors that no record of this run tells: learnt by earlier runs, or given by us."""
    unknown = sorted(needed.vendor_ids - set(needed.card_codes))
    needed.card_codes.update(ledger.codes(run.scope("vendors"), unknown))
    for vendor, history in ledger.postings_of(run.scope("vendors"), unknown).items():
        posted = [posting.target_key for posting in history if posting.state == "done" and posting.target_key]
        if posted:
            needed.card_codes[vendor] = posted[-1]


def _prepare_entity(
    run: Run,
    config: StampliToSapB1,
    entity: str,
    accounting: Accounting,
    references: References,
    latest: Mapping[str, tuple[int, str]],
    staging: Folder,
) -> None:
    folder = staging / entity / "prepared"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "drafts.jsonl").open("wb") as drafts, (folder / "index.csv").open("wb") as index:
        index.write(_csv_line(_INDEX))
        for position, (record, repeated, payload) in enumerate(_read(run, config, entity, staging)):
            last, content = latest.get(record.source_key, (position, ""))
            prepared = PreparedRecord(
                source_key=record.source_key,
                label=record.label,
                content=content_fingerprint(record),
                payload_sha256=hashlib.sha256(payload).hexdigest(),
                repeated=repeated,
                followed_by=content if not repeated and last > position else None,
                draft=accounting.draft(record, references),
            )
            drafts.write(prepared.to_json() + b"\n")
            row = None if repeated or prepared.followed_by is not None else _index_row(prepared)
            if row is not None:
                index.write(_csv_line(row))


def _index_row(prepared: PreparedRecord) -> tuple[str, ...] | None:
    """What Great Expectations sees of a record that would be posted."""
    draft = prepared.draft
    if isinstance(draft, PartnerDraft):
        return (prepared.source_key, prepared.label, draft.card_code, "", "", "", "", "", "")
    if not isinstance(draft, EntryDraft) or draft.body is None:
        return None
    lines = draft.body["JournalEntryLines"]
    debit, credit = (
        sum((Decimal(str(line.get(f"FC{side}", line.get(side)) or 0)) for line in lines), Decimal(0))
        for side in ("Debit", "Credit")
    )
    return (
        prepared.source_key,
        prepared.label,
        draft.partner,
        draft.currency,
        str(draft.amount),
        str(len(lines)),
        f"{debit.normalize():f}",
        f"{credit.normalize():f}",
        str(draft.body["ReferenceDate"]),
    )


def _csv_line(values: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue().encode()


def _preview(
    run: Run,
    config: StampliToSapB1,
    entity: str,
    references: References,
    partners: Partners,
    ledger: Ledger,
    staging: Folder,
) -> dict[str, int]:
    """Where the records would go as things stand; what `post` finds under the lease is what counts."""
    outcome, to_send = Outcome(), Tally()
    for judged in would_go(run, config, entity, references, partners, ledger, staging):
        place = judged.decision.place
        if place in (Place.HELD, Place.DUPLICATE, Place.EXCLUDED):
            outcome.count(place.value, judged.staged)
        else:
            to_send.add_record(judged.staged.currency, judged.staged.amount)
        if run.dry_run:
            reasons = " ".join(reason.message for reason in judged.decision.reasons)
            log.info("%s | %s %s %s", entity, judged.staged.label, place.value, reasons or judged.decision.why)
    ledger.record_prepared(
        run.key(entity),
        to_send=to_send,
        held=outcome.held,
        duplicate=outcome.duplicate,
        excluded=outcome.excluded,
        mapping_version=accounting_of(run, config).version,
    )
    counts = outcome.as_json()
    del counts["posted"]
    return {"to_post": to_send.count, **counts}


def would_go(
    run: Run,
    config: StampliToSapB1,
    entity: str,
    references: References,
    partners: Partners,
    ledger: Ledger,
    staging: Folder,
) -> Iterator[Judged]:
    """The prepared records with their places, as the ledger stands now."""
    judge = Judge(run, entity, ledger, staging, _circumstances(run, config, entity, ledger, partners), {})
    for chunk in judge.chunks():
        for judged in judge.judge(chunk):
            if entity == "vendors":
                partners.note(judged, references)
            yield judged


def _circumstances(run: Run, config: StampliToSapB1, entity: str, ledger: Ledger, partners: Partners) -> Circumstances:
    row = ledger.get_run(run.key(entity))
    return Circumstances(
        run_id=run.run_id,
        started_at=row.started_at if row is not None else datetime.now(UTC),
        on_change=config.posting.on_change,
        replay=run.mode == "held_only",
        partner=partners.state,
        changes=partial(changes, ledger),
    )


# -- quality ----------------------------------------------------------------------------------------------------------


def check_quality(run: Run, entities: Sequence[str], ledger: Ledger, staging: Folder) -> dict[str, Any]:
    """Great Expectations on each batch about to be posted; entity → whether it may go, and what fails.

    Single records that do not meet an expectation are held, a mostly wrong batch is not posted at all.
    """
    verdicts: dict[str, Any] = {}
    for entity in entities:
        folder = staging / entity / "prepared"
        if not (folder / "index.csv").exists():
            continue
        with (folder / "index.csv").open("rb") as file:
            records = sum(1 for _ in csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline=""))) - 1
        if records:
            verdicts[entity] = judge_batch(run, entity, folder, "index.csv", records, ledger)
    return verdicts


# -- post -------------------------------------------------------------------------------------------------------------


def company_stream(company: str) -> Scope:
    """What the lease is on: one stream of postings per company, whichever instance posts."""
    return Scope("sap_b1", company, "postings")


def post(
    run: Run,
    config: StampliToSapB1,
    entities: Sequence[str],
    verdicts: Mapping[str, Any],
    ledger: Ledger,
    staging: Folder,
    client: Client,
    company: str,
) -> dict[str, Any]:
    """Post every entity in order; returns counts for Airflow's page.

    Args:
        run: The run.
        config: The instance.
        entities: What to post.
        verdicts: From `check_quality`.
        ledger: The book of record.
        staging: The run's folder.
        client: Opens the run's session when it is first needed.
        company: Host and company database, for the lease and the posting keys.

    Raises:
        SourceUnavailable: SAP cannot serve; the next attempt goes on from here, nothing is posted twice.
        Superseded: another run has taken over.
    """
    if run.dry_run:
        return {"dry_run": True}
    with (staging / "references.json").open("rb") as file:
        references = References.from_json(file.read())
    done: dict[str, Any] = {}
    holder = f"{run.integration}/{run.instance} run {run.run_id}"
    with ledger.acquire(company_stream(company), holder, wait=config.posting.wait_seconds) as lease:
        partners = Partners(references, ledger, run)
        for entity in entities:
            row = ledger.get_run(run.key(entity))
            if row is not None and row.status in ("delivered", "success"):
                done[entity] = {"already": "posted by an earlier attempt of this task"}
                continue
            if not verdicts.get(entity, {"may_go": True})["may_go"]:
                continue
            posting = EntityPosting(
                run=run,
                config=config,
                entity=entity,
                company=company,
                references=references,
                partners=partners,
                ledger=ledger,
                lease=lease,
                client=client,
                staging=staging,
                circumstances=_circumstances(run, config, entity, ledger, partners),
                unfit=unfit(staging / entity / "prepared"),
            )
            posting.carry_out()
            _commit(run, config, entity, posting, ledger, lease, staging)
            done[entity] = posting.outcome.as_json()
            log.info("%s: %s", entity, done[entity])
    return done


def _commit(
    run: Run,
    config: StampliToSapB1,
    entity: str,
    posting: EntityPosting,
    ledger: Ledger,
    lease: Lease,
    staging: Folder,
) -> None:
    outcome, collected = posting.outcome, Collected.load(staging, entity)
    ledger.commit_postings(
        run.key(entity),
        lease=lease,
        held=posting.held(),
        settled=[*outcome.settled, *(collected.readable if collected is not None else ())],
        tally=outcome.posted,
        duplicate=outcome.duplicate,
        held_tally=outcome.held,
        excluded=outcome.excluded,
        mapping_version=accounting_of(run, config).version,
    )
    rows = map(ledger.get_file, collected.files if collected is not None else ())
    # One that another run has taken over meanwhile is that run's to settle.
    mine = [row.id for row in rows if row is not None and (row.run_id, row.state) == (run.run_id, "collected")]
    ledger.inbound_states(mine, "settled")


# -- archive ----------------------------------------------------------------------------------------------------------


def archive(run: Run, config: StampliToSapB1, ledger: Ledger, target: Target) -> dict[str, int]:
    """Move every file whose records are all settled or held; one that may not be moved stays and is remembered.

    Raises:
        SourceUnavailable: the connection to Stampli's server was lost; the next attempt goes on from here.
    """
    counts = {"archived": 0, "left": 0}
    settled = [file for file in ledger.inbound_open(run.integration, run.instance) if file.state == "settled"]
    if run.dry_run or not settled:
        return counts
    folder = config.collect.archive.format(
        year=f"{run.stamp.year:04d}", month=f"{run.stamp.month:02d}", day=f"{run.stamp.day:02d}"
    )
    with as_source(), SftpSession(target()) as session:
        for file in settled:
            counts[_archive_one(session, file, folder, ledger)] += 1
            if config.collect.complete_when == "trigger_file":
                trigger = file.remote_path + config.collect.trigger_suffix
                session.move(trigger, remote_join(folder, trigger.rpartition("/")[2]))
    log.info("%s files archived under %s, %s left in place.", counts["archived"], folder, counts["left"])
    return counts


def _archive_one(session: SftpSession, file: FileRow, folder: str, ledger: Ledger) -> str:
    # Only what was collected: a file of the same name that came meanwhile is the next run's.
    seen = RemoteFile(file.remote_path, file.file_name, file.bytes, file.source_mtime or 0)
    for name in _archive_names(file):
        path = remote_join(folder, name)
        moved = session.move(file.remote_path, path, expect=seen)
        if moved.outcome == "taken":
            continue
        if moved.outcome == "refused":
            ledger.inbound_states([file.id], "left", message=f"it may not be moved: {moved.reason}")
            return "left"
        gone = "it was gone: another run had moved it" if moved.outcome == "gone" else ""
        ledger.inbound_states([file.id], "archived", archive_path=path, message=gone)
        return "archived"
    ledger.inbound_states([file.id], "left", message=f"every name for it in {folder} is taken")
    return "left"


def _archive_names(file: FileRow) -> Iterator[str]:
    """Its own name; where that is taken, one with its digest and a number."""
    stem, dot, suffix = file.file_name.rpartition(".")
    yield file.file_name
    yield f"{stem}.{file.sha256[:8]}{dot}{suffix}"
    for number in range(2, _NAMES_TRIED):
        yield f"{stem}.{file.sha256[:8]}.{number}{dot}{suffix}"


# -- read back --------------------------------------------------------------------------------------------------------


def read_back(run: Run, entities: Sequence[str], ledger: Ledger, client: Client) -> dict[str, str]:
    """Ask SAP's own books for what this run posted; entity → what does not agree, empty where all does.

    Raises:
        SourceUnavailable: SAP cannot be asked now.
    """
    problems: dict[str, str] = {}
    for entity in entities:
        row = ledger.get_run(run.key(entity))
        if run.dry_run or row is None or not row.posted or entity == "vendors":
            continue
        found = list(_disagreements(run, row, ledger, client))
        if found:
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            problems[entity] = "SAP's books differ: " + "; ".join(found[:5]) + more
    return problems


def _disagreements(run: Run, row: RunRow, ledger: Ledger, client: Client) -> Iterator[str]:
    waiting: list[PostingRow] = []
    for posting in ledger.posted_by_run(run.key(row.entity), row.started_at):
        if posting.kind == ENTRY:
            waiting.append(posting)
        if len(waiting) >= 250:
            yield from _compare(waiting, client)
            waiting = []
    if waiting:
        yield from _compare(waiting, client)


def _compare(postings: Sequence[PostingRow], client: Client) -> Iterator[str]:
    booked = find_booked(client(), [posting.posting_key for posting in postings])
    # An entry that was approved as a draft may have lost its key on the way.
    keyless = [int(each.target_key) for each in postings if each.posting_key not in booked and each.target_key]
    numbered = find_by_number(client(), keyless) if keyless else {}
    for posting in postings:
        entry = numbered.get(int(posting.target_key or 0))
        problem = _difference(posting, booked.get(posting.posting_key) or (Booked(entry) if entry else None))
        if problem:
            yield f"{posting.label} ({posting.posting_key}) {problem}"


def _difference(posting: PostingRow, booked: Booked | None) -> str:
    if booked is None:
        return "is not there"
    if booked.extra:
        numbers = ", ".join(str(entry.jdt_num) for entry in (booked.entry, *booked.extra))
        return f"is there {1 + len(booked.extra)} times (journal entries {numbers})"
    if posting.target_key != str(booked.entry.jdt_num):
        return f"is journal entry {booked.entry.jdt_num}, not {posting.target_key}"
    if (posting.state == "cancelled") != (booked.reversal is not None):
        return "is cancelled there" if booked.reversal is not None else "is not cancelled there"
    partner = posting.identity.split("|", 1)[0]
    owed = {currency: -net for currency, net in booked.entry.net_of(partner).items()}
    # An invoice over nothing leaves nothing on its vendor.
    if posting.entity == "invoices" and posting.amount not in (owed or {"": Decimal(0)}).values():
        there = ", ".join(f"{currency or 'local'} {amount}" for currency, amount in owed.items()) or "nothing"
        return f"says that {partner} is owed {there}, not {posting.currency} {posting.amount}"
    return ""
