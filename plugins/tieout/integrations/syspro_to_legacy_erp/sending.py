"""From prepared files to delivered ones: numbers, names, archive, data → checksum → manifest → trigger, commit."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from tieout.delivery import remote_join
from tieout.errors import TieoutError
from tieout.integrations.delivering import Receiver, receiver, send, settle_leftovers
from tieout.integrations.expectations import unfit
from tieout.integrations.outcome import sentence
from tieout.integrations.sorting import Place, read_held
from tieout.integrations.syspro_to_legacy_erp import naming
from tieout.integrations.syspro_to_legacy_erp.archive import archived, keep, keep_bytes, manifest_name
from tieout.integrations.syspro_to_legacy_erp.completing import complete
from tieout.integrations.syspro_to_legacy_erp.conversion import read_index
from tieout.integrations.syspro_to_legacy_erp.gl.files import index_batches
from tieout.integrations.syspro_to_legacy_erp.gl.preparing import HELD
from tieout.integrations.syspro_to_legacy_erp.numbering import (
    FILE,
    GROUP,
    INTERCHANGE,
    allocated,
    counters,
    expected,
)
from tieout.integrations.syspro_to_legacy_erp.plan import GL_POSTINGS, Plan
from tieout.integrations.syspro_to_legacy_erp.prepared import Output, Prepared
from tieout.integrations.syspro_to_legacy_erp.preparing import INDEX, PREPARED, own_files, part_folder, prepare_entity
from tieout.integrations.syspro_to_legacy_erp.setup import Setup
from tieout.integrations.syspro_to_legacy_erp.steps import Target, holder, record_prepared
from tieout.ledger import DeliveredFile, EntityOutcome, FileRow, Filters, HeldDraft, Lease, Ledger, RunKey, Tally
from tieout.staging import Folder, StagedPath

log = logging.getLogger(__name__)

Batch = list[tuple[FileRow, StagedPath]]


@dataclass(frozen=True)
class Places:
    """Where things lie: the run's staging folder, and the archive of what went."""

    staging: Folder
    archive: Folder


def deliver(
    setup: Setup,
    plans: Sequence[Plan],
    verdicts: Mapping[str, Any],
    ledger: Ledger,
    places: Places,
    target: Target,
) -> dict[str, Any]:
    """Deliver and commit every prepared entity, in order; one that fails does not stop the others.

    Raises:
        TieoutError: The first failure, after the others have had their turn.
    """
    done: dict[str, Any] = {}
    failures: list[TieoutError] = []
    with receiver(target, ledger) as to:
        for plan in plans:
            entity = plan.entity
            prepared = Prepared.load(places.staging / entity / PREPARED)
            if prepared is None or not verdicts.get(entity, {"may_go": True})["may_go"]:
                continue  # an earlier step has said why
            try:
                done[entity] = _deliver_entity(setup, plan, prepared, ledger, places, to)
            except TieoutError as error:
                failures.append(error)
                ledger.fail_run(setup.run.key(entity), sentence(error))
                log.error("%s: %s", entity, error)
                to.start_anew()
    if failures:
        raise failures[0]
    return done


def _deliver_entity(
    setup: Setup, plan: Plan, prepared: Prepared, ledger: Ledger, places: Places, to: Receiver
) -> dict[str, Any]:
    run, entity = setup.run, prepared.entity
    key, scope = run.key(entity), run.scope(entity)
    row = ledger.get_run(key)
    if row is not None and row.status in ("delivered", "success"):
        return {"already": "delivered by an earlier attempt of this task"}
    wanting = bool(unfit(places.staging / entity / PREPARED))
    if run.dry_run:
        if wanting:
            prepared = _again(setup, plan, ledger, places, expected(setup, entity, ledger))
        return {"dry_run": True, **prepared.summary()}
    with ledger.acquire(scope, holder=holder(run)) as lease:
        settle_leftovers(ledger, scope, to, not_of_run=run.run_id)
        partly_there = any(file.state == "delivered" for file in own_files(setup, ledger, entity))
        if not partly_there:
            # What has arrived of this run is not judged again: it would look like somebody else's.
            if plan.read != "archive" and (wanting or ledger.entity_version(scope) != prepared.base_version):
                prepared = _again(setup, plan, ledger, places, expected(setup, entity, ledger))
            _void_unused(setup, entity, ledger)
            if prepared.outputs:
                prepared = _numbered(setup, plan, prepared, ledger, places, to)
        settle_leftovers(ledger, scope, to, of_run=run.run_id)
        complete(setup, entity, ledger, lease, places.archive, to)
        delivered = _send(setup, plan, prepared, ledger, lease, places, to)
        tally = prepared.tallies[Place.SEND]
        ledger.commit_entity(
            key,
            token=lease.token,
            # Under the lease only what arrived of this very run can have moved it since it was compared.
            base_version=ledger.entity_version(scope),
            outcome=EntityOutcome(
                delivered=delivered,
                held=_held(places.staging, plan, prepared),
                settled=prepared.settled,
                watermark=prepared.watermark,
                tally=Tally(tally.count, dict(tally.totals)),
            ),
        )
    log.info("%s: %s records delivered in %s files.", entity, tally.count, len(delivered))
    return prepared.summary() | {"names": _names(ledger, key)}


def _again(setup: Setup, plan: Plan, ledger: Ledger, places: Places, number: Any) -> Prepared:
    prepared = prepare_entity(setup, plan, ledger, places.staging, number)
    record_prepared(setup, prepared, ledger)
    return prepared


def _names(ledger: Ledger, key: RunKey) -> list[str]:
    return [file.file_name for file in ledger.files_of_run(key) if file.state == "delivered" and file.kind == "data"]


def _void_unused(setup: Setup, entity: str, ledger: Ledger) -> None:
    """Numbers of earlier runs of this entity whose file never went are void, and never given again."""
    prefix = f"{setup.run.instance}/{entity}/"
    voided = ledger.void_numbers(
        setup.partner,
        owner_prefix=prefix,
        except_owner_prefix=f"{prefix}{setup.run.run_id}/",
        why="the run that took it did not deliver its file",
    )
    if voided:
        log.warning("%s numbers of runs that did not deliver are void.", voided)


def _numbered(setup: Setup, plan: Plan, prepared: Prepared, ledger: Ledger, places: Places, to: Receiver) -> Prepared:
    """Allocate the files' numbers, once the receiver has answered; files that have others in them are written anew."""
    to.session()
    if plan.read == "archive":
        return prepared
    number = allocated(setup, prepared.entity, ledger)
    given = [number(output.part) for output in prepared.outputs]
    if given == [output.numbers for output in prepared.outputs]:
        return prepared
    by_part = dict(zip((output.part for output in prepared.outputs), given, strict=True))
    likely = expected(setup, prepared.entity, ledger)
    if setup.entity(prepared.entity).format == "csv":
        # Nothing of a CSV file depends on its number.
        prepared.outputs = [
            Output(**{**vars(output), "numbers": each}) for output, each in zip(prepared.outputs, given, strict=True)
        ]
        prepared.save(places.staging / prepared.entity / PREPARED)
        return prepared
    # A period whose postings turn out not to fit has no file, and takes no number.
    again = _again(setup, plan, ledger, places, lambda part: by_part.get(part) or likely(part))
    return _numbered(setup, plan, again, ledger, places, to)


def _held(staging: Folder, plan: Plan, prepared: Prepared) -> Iterator[HeldDraft]:
    """The held records of all parts."""
    if plan.read == "archive":
        return
    folder = staging / prepared.entity / PREPARED
    for part in sorted(path.name for path in folder.iterdir() if (path / HELD).exists()):
        yield from read_held(folder / part)


# --- sending


def _send(
    setup: Setup, plan: Plan, prepared: Prepared, ledger: Ledger, lease: Lease, places: Places, to: Receiver
) -> list[DeliveredFile]:
    """Enter the files into the ledger and send them: all data, then all checksums, all manifests, all triggers."""
    there = {file.remote_path: file for file in own_files(setup, ledger, prepared.entity) if file.state == "delivered"}
    done = [DeliveredFile(file.id, file.verification or "size", datetime.now(UTC)) for file in there.values()]
    key, root = setup.run.key(prepared.entity), setup.config.target.root
    batches: dict[str, Batch] = {"data": [], "checksum": [], "manifest": [], "trigger": []}
    for output in prepared.outputs:
        name = _name(setup, plan, output, ledger, key)
        path = keep_output(setup, prepared, output, name, places)
        remote = remote_join(root, name)
        row = there.get(remote) or _enter_data(key, ledger, places, prepared, output, name, remote, path)
        _use_numbers(setup, prepared.entity, output, row.id, ledger)
        if remote not in there:
            batches["data"].append((row, path))
        for kind, beside, content in _beside(setup, output, name):
            small = remote_join(root, beside)
            if small not in there:
                batches[kind].append(_enter_small(key, ledger, places, output, kind, beside, small, content))
        _expect_answer(setup, prepared.entity, output, row, ledger)
    receipts = [
        receipt for batch in batches.values() for receipt in send(ledger, lease, to, setup.config.target, batch)
    ]
    return done + [DeliveredFile(receipt.file_id, receipt.verification, receipt.delivered_at) for receipt in receipts]


def _name(setup: Setup, plan: Plan, output: Output, ledger: Ledger, key: RunKey) -> str:
    if plan.read == "archive":
        scope = key.scope
        delivered = ledger.files(Filters(scope.integration, scope.instance, scope.entity, status="delivered"))
        times = sum(
            file.kind == "data" and file.sha256 == output.sha256 and file.run_id != key.run_id for file in delivered
        )
        return naming.resent_name(setup.config.partner, output.name, times)
    return setup.file_name(key.entity, output.part, output.numbers.file)


def keep_output(setup: Setup, prepared: Prepared, output: Output, name: str, places: Places) -> StagedPath:
    """The file's bytes in the archive, with its manifest beside them, under the name that the partner sees."""
    data = part_folder(places.staging, prepared.entity, output.part) / "data"
    if output.name:
        data = archived(places.archive, output.sha256, output.name)
    path = data if output.name == name else keep(places.archive, data, output.sha256, name)
    keep_bytes(places.archive, _manifest(output, name), output.sha256, manifest_name(name))
    return path


def _manifest(output: Output, name: str) -> bytes:
    more: dict[str, object] = {"supplementary": True} if output.supplementary else {}
    return naming.manifest(
        name, output.bytes, output.sha256, output.records, output.part, output.control_totals, **more
    )


def _beside(setup: Setup, output: Output, name: str) -> Iterator[tuple[str, str, bytes]]:
    """Kind, name and content of the files that follow a data file."""
    partner = setup.config.partner
    cased = str.upper if partner.upper_case else str
    if partner.checksum_suffix:
        yield "checksum", name + cased(partner.checksum_suffix), naming.checksum(name, output.sha256)
    yield "manifest", name + cased(partner.manifest_suffix), _manifest(output, name)
    if partner.trigger_suffix:
        yield "trigger", name + cased(partner.trigger_suffix), b""


def _enter_data(
    key: RunKey,
    ledger: Ledger,
    places: Places,
    prepared: Prepared,
    output: Output,
    name: str,
    remote: str,
    path: StagedPath,
) -> FileRow:
    """Enter a data file with its records, so that a crash leaves a trail of what was in it."""
    common: dict[str, Any] = {
        "file_name": name,
        "remote_path": remote,
        "local_uri": str(path),
        "bytes": output.bytes,
        "sha256": output.sha256,
        "records": output.records,
        "control_totals": output.control_totals,
    }
    if output.name:
        return ledger.prepare_file(key, **common)
    folder = part_folder(places.staging, prepared.entity, output.part)
    if prepared.entity != GL_POSTINGS:
        return ledger.prepare_file(key, **common, records_iter=read_index(folder / INDEX))
    partition = f"{int(output.part[:4])}|{int(output.part[4:])}"

    def packed() -> Iterator[tuple[str, pa.RecordBatch]]:
        for batch in index_batches(folder):
            yield partition, batch

    return ledger.prepare_packed_file(key, **common, packed=packed())


def _enter_small(
    key: RunKey,
    ledger: Ledger,
    places: Places,
    output: Output,
    kind: str,
    name: str,
    remote: str,
    content: bytes,
) -> tuple[FileRow, StagedPath]:
    path = keep_bytes(places.archive, content, output.sha256, name)
    is_manifest = kind == "manifest"
    row = ledger.prepare_file(
        key,
        file_name=name,
        remote_path=remote,
        local_uri=str(path),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        records=output.records if is_manifest else 0,
        control_totals=output.control_totals if is_manifest else {},
        kind=kind,
    )
    return row, path


def _use_numbers(setup: Setup, entity: str, output: Output, file_id: int, ledger: Ledger) -> None:
    """Say which file has the numbers; they are used once it is delivered."""
    if output.name:
        return
    numbers = {FILE: output.numbers.file, INTERCHANGE: output.numbers.interchange, GROUP: output.numbers.group}
    for counter in counters(setup, entity):
        ledger.number_used(setup.partner, counter, numbers[counter], file_id)


def _expect_answer(setup: Setup, entity: str, output: Output, row: FileRow, ledger: Ledger) -> None:
    """Note that the partner owes an acknowledgement of an X12 file, where it sends any."""
    asked = setup.config.acknowledgements
    if asked is None or setup.entity(entity).format != "x12" or output.name:
        return
    from tieout.formats.x12.tables import FUNCTIONAL_GROUPS

    set_id = {"invoices": "810", "purchase_orders": "850", "items": "832"}.get(entity) or (
        setup.entity(entity).gl_set or (setup.config.partner.x12.gl_set if setup.config.partner.x12 else None) or "830"
    )
    ledger.expect_acknowledgement(
        row.id,
        setup.partner,
        interchange=output.numbers.interchange,
        group=output.numbers.group,
        functional_id=FUNCTIONAL_GROUPS[set_id],
        due_at=datetime.now(UTC) + timedelta(hours=asked.overdue_hours),
    )
