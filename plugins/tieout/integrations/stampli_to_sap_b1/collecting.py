"""From Stampli's folder to staging: fetch each complete file, parse it, and add the held records that are due.

A file whose bytes were dealt with before, under whatever name, is recognised by its digest: its records count as
duplicates and nothing else happens. A file that cannot be parsed is held as it is, with its bytes; the others go on.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tieout.config import StampliToSapB1, include_folder
from tieout.delivery import SftpSession, SftpTarget
from tieout.delivery.collecting import FileTooLarge, NotCollected, RemoteFile, as_source
from tieout.integrations.backing_off import due
from tieout.integrations.held_again import allowed
from tieout.integrations.run import Run
from tieout.integrations.stampli_to_sap_b1.accounting import Accounting
from tieout.integrations.stampli_to_sap_b1.content import content_fingerprint
from tieout.integrations.stampli_to_sap_b1.staged import RecordWriter, money_of, staged, write_collected
from tieout.ledger import FileRecord, Ledger, Tally, totals_text
from tieout.staging import Folder, StagedPath
from tieout.systems.stampli import (
    Layout,
    Layouts,
    Limits,
    SourceRecord,
    UnreadableFile,
    file_name_of,
    load_layouts,
    read_file,
    read_payload,
    reread_file,
    unreadable_record,
)

WHOLE_FILE = "application/octet-stream"

log = logging.getLogger(__name__)

Target = Callable[[], SftpTarget]


def layouts_of(run: Run) -> Layouts:
    """The layouts of Stampli's files.

    Raises:
        ConfigurationInvalid: one is missing or wrong; says file, line and key.
    """
    return load_layouts(include_folder() / "mappings" / run.integration)


def accounting_of(run: Run, config: StampliToSapB1) -> Accounting:
    """The rules and cross-references.

    Raises:
        ConfigurationInvalid: one is wrong; says file, line and key.
    """
    return Accounting(include_folder() / "mappings" / run.integration, config)


@dataclass
class _Entity:
    """What is being collected of one entity."""

    folder: Folder
    writer: RecordWriter
    credit_types: Sequence[str]
    files: list[int] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    readable: list[str] = field(default_factory=list)


def collect(
    run: Run,
    config: StampliToSapB1,
    entities: Sequence[str],
    ledger: Ledger,
    staging: Folder,
    target: Target,
    seen: Sequence[RemoteFile],
) -> dict[str, int]:
    """Fetch and parse the files that were seen to be complete; entity → how many records there are to work on.

    Raises:
        SourceUnavailable: the connection to Stampli's server was lost.
        CredentialsRejected, HostKeyMismatch: as the engine says.
    """
    layouts, limits = layouts_of(run), Limits(max_bytes=config.collect.max_file_bytes)
    credit_types = accounting_of(run, config).invoices.credit_types
    working: dict[str, _Entity] = {}
    for entity in entities:
        folder = staging / entity / "collected"
        folder.mkdir(parents=True, exist_ok=True)
        working[entity] = _Entity(folder, RecordWriter(folder), credit_types)
    wanted = [
        (file, layout)
        for file in sorted(seen, key=lambda file: (file.mtime, file.name))
        if (layout := layouts.for_file(file.name)) is not None and layout.entity in working
    ]
    if wanted and run.mode != "held_only":
        (staging / "files").mkdir(parents=True, exist_ok=True)
        with as_source(), SftpSession(target()) as session:
            digests: set[str] = set()
            for position, (file, layout) in enumerate(wanted):
                local = staging / "files" / f"{position:04d}_{file.name}"
                fetched = _fetch(run, config, ledger, session, file, local)
                if fetched is not None:
                    repeated = fetched in digests or _known(run, ledger, fetched)
                    digests.add(fetched)
                    _take(run, ledger, working[layout.entity], file, local, layout, fetched, limits, repeated)
    for entity, work in working.items():
        for record in _held_records(run, config, ledger, entity, layouts, limits, work):
            work.writer.add(staged(record, credit_types))
        collected = write_collected(work.folder, work.writer, work.files, work.readable)
        ledger.record_extracted(run.key(entity), collected.tally)
        log.info("%s: %s records from %s files.", entity, collected.tally.count, len(work.files))
    return {entity: work.writer.tally.count for entity, work in working.items()}


def _fetch(
    run: Run, config: StampliToSapB1, ledger: Ledger, session: SftpSession, file: RemoteFile, local: StagedPath
) -> str | None:
    """Download one file; its digest, or None when it is not to be had now and stays for a later run."""
    for known in ledger.inbound_at(run.integration, run.instance, [file.path]).get(file.path, ()):
        if known.state == "left" and (known.bytes, known.source_mtime) == (file.size, file.mtime):
            return None  # dealt with, and only still there because we may not move it
    try:
        with local.open("wb") as sink:
            got = session.download(file.path, sink.write, max_bytes=config.collect.max_file_bytes, expect=file)
    except FileTooLarge as error:
        log.error("%s is left where it is: %s", file.path, error)
        return None
    except NotCollected as error:
        log.warning("%s is left for the next run: %s", file.path, error)
        return None
    log.info("%s: %s bytes, SHA-256 %s.", file.path, got.bytes, got.sha256)
    return got.sha256


def _known(run: Run, ledger: Ledger, sha256: str) -> bool:
    """Whether these bytes were dealt with before."""
    return bool(ledger.inbound_with_digest(run.integration, run.instance, [sha256]))


def _take(
    run: Run,
    ledger: Ledger,
    work: _Entity,
    file: RemoteFile,
    local: StagedPath,
    layout: Layout,
    sha256: str,
    limits: Limits,
    repeated: bool,
) -> None:
    """Parse one fetched file into the entity's records, and enter it into the ledger."""
    tally = Tally()
    entered: list[FileRecord] = []
    for record in read_fetched(file, local, layout, sha256, limits):
        work.writer.add(staged(record, work.credit_types, repeated=repeated))
        tally.add_record(*money_of(record, work.credit_types))
        if not repeated:
            work.keys.add(record.source_key)
        entered.append(
            FileRecord(record.source_key, content_fingerprint(record), record.label, record.byte_start, record.byte_end)
        )
    if not run.dry_run:
        row = ledger.collect_file(
            run.key(layout.entity),
            file_name=file.name,
            remote_path=file.path,
            local_uri=str(local),
            bytes=file.size,
            sha256=sha256,
            source_mtime=file.mtime,
            records=tally.count,
            control_totals=totals_text(tally.totals),
            records_iter=entered,
        )
        work.files.append(row.id)
    log.info("%s: %s records%s.", file.name, tally.count, ", bytes seen before" if repeated else "")


def read_fetched(
    file: RemoteFile, local: StagedPath, layout: Layout, sha256: str, limits: Limits
) -> Iterator[SourceRecord]:
    """The file's records; one that stands for the whole file where it cannot be parsed."""
    try:
        yield from read_file(local, file.name, layout, limits)
    except UnreadableFile as error:
        log.error("%s is held as it is: %s", file.name, error)
        with local.open("rb") as source:
            data = source.read()
        yield unreadable_record(file.name, layout.entity, data, sha256, error)


def _held_records(
    run: Run, config: StampliToSapB1, ledger: Ledger, entity: str, layouts: Layouts, limits: Limits, work: _Entity
) -> Iterator[SourceRecord]:
    """The held records that this run tries again; one that came anew in a file is not read twice."""
    now = datetime.now(UTC)
    rows = [
        row
        for row in ledger.open_held(run.scope(entity))
        if row.source_key not in work.keys
        and (not run.held_ids or row.id in run.held_ids)
        and (not run.by_schedule or due(row, config.held, now))
    ]
    by_id = {row.id: row for row in allowed(run, config.second_person, ledger, rows)}
    for held_id, payload in ledger.held_payloads(list(by_id)):
        row = by_id[held_id]
        if not row.content_type.startswith(WHOLE_FILE):
            where = f"held record {row.source_key}"
            yield read_payload(entity, payload, row.content_type, layouts, where)
            continue
        found = list(_whole_file(payload, row.content_type, entity, layouts, limits))
        if all(record.source_key != row.source_key for record in found):
            work.readable.append(row.source_key)
        yield from found


def _whole_file(
    payload: bytes, content_type: str, entity: str, layouts: Layouts, limits: Limits
) -> Iterable[SourceRecord]:
    """The records of a file that could not be parsed before, or the file itself if it still cannot."""
    try:
        return list(reread_file(payload, content_type, layouts, limits))
    except UnreadableFile as error:
        return [
            unreadable_record(file_name_of(content_type), entity, payload, hashlib.sha256(payload).hexdigest(), error)
        ]


def read_again(
    payload: bytes, content_type: str, entity: str, layouts: Layouts, limits: Limits, where: str
) -> SourceRecord:
    """One staged record from its bytes."""
    if content_type.startswith(WHOLE_FILE):
        return next(iter(_whole_file(payload, content_type, entity, layouts, limits)))
    return read_payload(entity, payload, content_type, layouts, where)
