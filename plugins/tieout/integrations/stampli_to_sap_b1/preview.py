"""What a run would post, from the files that are there now: nothing is posted, moved or remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

from tieout.config import StampliToSapB1
from tieout.delivery import SftpSession, SftpTarget
from tieout.delivery.collecting import as_source
from tieout.integrations.run import Run
from tieout.integrations.stampli_to_sap_b1 import steps
from tieout.integrations.stampli_to_sap_b1.collecting import accounting_of, layouts_of, read_fetched
from tieout.integrations.stampli_to_sap_b1.drafts import EntryDraft, PartnerDraft
from tieout.integrations.stampli_to_sap_b1.judging import Judged, Partners
from tieout.integrations.stampli_to_sap_b1.staged import RecordWriter, staged, write_collected
from tieout.ledger import Ledger
from tieout.staging import Folder
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.stampli import Limits, SourceRecord


def preview(
    run: Run,
    config: StampliToSapB1,
    entity: str,
    limit: int,
    ledger: Ledger,
    folder: Folder,
    client: Callable[[], SapB1Client],
    target: SftpTarget,
) -> list[dict[str, Any]]:
    """One row per line of what the first records would become; `(outcome)` says where each goes.

    Args:
        run: Stands for a run.
        config: The instance.
        entity: vendors, invoices or payments.
        limit: Most records.
        ledger: Tells what was posted before; only read.
        folder: An empty folder for the files.
        client: SAP, read only.
        target: Stampli's server, read only.
    """
    # An invoice's vendor may be new in the same files, so vendors are looked at too.
    entities = list(dict.fromkeys(("vendors", entity)))
    records: dict[str, list[SourceRecord]] = {
        each: list(islice(_records(run, config, each, folder, target), limit if each == entity else None))
        for each in entities
    }
    credit_types = accounting_of(run, config).invoices.credit_types
    for each, found in records.items():
        place = folder / each / "collected"
        place.mkdir(parents=True, exist_ok=True)
        writer = RecordWriter(place)
        for record in found:
            writer.add(staged(record, credit_types))
        write_collected(place, writer, (), ())
    references = steps.work_out(run, config, entities, ledger, folder, client)
    partners = Partners(references, ledger, run)
    rows: list[dict[str, Any]] = []
    for each in entities:
        judged = list(steps.would_go(run, config, each, references, partners, ledger, folder))
        if each == entity:
            rows = [row for item in judged for row in _rows(item)]
    return rows


def _records(
    run: Run, config: StampliToSapB1, entity: str, folder: Folder, target: SftpTarget
) -> Iterator[SourceRecord]:
    layouts, limits = layouts_of(run), Limits(max_bytes=config.collect.max_file_bytes)
    with as_source(), SftpSession(target) as session:
        for position, file in enumerate(session.list_folder(config.collect.folder)):
            layout = layouts.for_file(file.name)
            fits = any(fnmatchcase(file.name.lower(), pattern.lower()) for pattern in config.collect.patterns)
            if layout is None or layout.entity != entity or not fits:
                continue
            local = folder / f"{entity}_{position:04d}"
            with local.open("wb") as sink:
                got = session.download(file.path, sink.write, max_bytes=config.collect.max_file_bytes, expect=file)
            yield from read_fetched(file, local, layout, got.sha256, limits)


def _rows(judged: Judged) -> Iterator[dict[str, Any]]:
    decision, draft = judged.decision, judged.prepared.draft
    reasons = " ".join(reason.message for reason in decision.reasons)
    why = reasons or decision.why
    head = {
        "(outcome)": f"{decision.place.value}: {why}" if why else decision.place.value,
        "source_key": judged.staged.source_key,
        "label": judged.staged.label,
    }
    if isinstance(draft, PartnerDraft):
        yield {**head, "CardCode": draft.card_code, **{name: _text(value) for name, value in draft.owned.items()}}
    elif isinstance(draft, EntryDraft) and draft.body is not None:
        lines: Sequence[Mapping[str, Any]] = draft.body["JournalEntryLines"]
        for line in lines:
            yield {**head, "ReferenceDate": draft.body["ReferenceDate"], **{n: _text(v) for n, v in line.items()}}
    else:
        yield head


def _text(value: Any) -> str:
    return "" if value is None else str(value)
