"""What follows a data file that arrived, where the attempt that sent it ended before it went.

A receiver takes a file when its manifest or trigger is there. A run that ends between the two leaves a file whose
postings are delivered and that nobody takes, so that the next run sends what is missing.
"""

from __future__ import annotations

import logging

from tieout.integrations.delivering import Receiver, send
from tieout.integrations.syspro_to_legacy_erp.archive import archived
from tieout.integrations.syspro_to_legacy_erp.preparing import own_files
from tieout.integrations.syspro_to_legacy_erp.setup import Setup
from tieout.ledger import FileRow, Filters, Lease, Ledger
from tieout.staging import Folder

log = logging.getLogger(__name__)

BESIDE = ("checksum", "manifest", "trigger")
"""In the order in which they follow the data."""
_LOOK_BACK = 1_000
_NEVER_SENT = ("prepared", "refused", "abandoned")


def complete(setup: Setup, entity: str, ledger: Ledger, lease: Lease, archive: Folder, to: Receiver) -> None:
    """Send checksums, manifests and triggers of files that arrived without them, as they are in the archive.

    Call it under the lease, once it is known what became of files whose sending was interrupted.

    Raises:
        ReceiverUnavailable, ReceiverRefused, HostKeyMismatch, CredentialsRejected: As `send` says.
    """
    missing = _missing(setup, entity, ledger)
    for kind in BESIDE:
        batch = []
        for row, data in missing:
            path = archived(archive, data.sha256, row.file_name)
            if row.kind != kind:
                continue
            if not path.exists():
                log.error("%s should follow %s, but the archive has lost it.", row.file_name, data.remote_path)
                continue
            log.warning("%s follows %s, whose attempt had ended before.", row.file_name, data.remote_path)
            batch.append((_entered_anew(row, ledger), path))
        for receipt in send(ledger, lease, to, setup.config.target, batch):
            how = "sent by a later attempt, after the data file that it belongs to"
            ledger.settle_delivered(receipt.file_id, verification=receipt.verification, how=how)


def _missing(setup: Setup, entity: str, ledger: Ledger) -> list[tuple[FileRow, FileRow]]:
    """Files that were to follow, each with the data file that arrived; the oldest first."""
    scope = setup.run.scope(entity)
    own = {file.id for file in own_files(setup, ledger, entity)}
    rows = ledger.files(Filters(scope.integration, scope.instance, scope.entity), limit=_LOOK_BACK)
    arrived = [row for row in rows if row.state == "delivered"]
    done = {(row.run_id, row.remote_path) for row in arrived}
    found: dict[tuple[str, str], tuple[FileRow, FileRow]] = {}
    for row in rows:
        place = row.run_id, row.remote_path
        if row.kind not in BESIDE or row.state not in _NEVER_SENT or place in done or row.id in own:
            continue
        for data in arrived:
            if data.kind == "data" and data.run_id == row.run_id and row.remote_path.startswith(data.remote_path):
                found.setdefault(place, (row, data))
    return list(found.values())[::-1]


def _entered_anew(row: FileRow, ledger: Ledger) -> FileRow:
    """As a file of its own run; it counts no records, which are those of the data file."""
    return ledger.prepare_file(
        row.key,
        file_name=row.file_name,
        remote_path=row.remote_path,
        local_uri=row.local_uri,
        bytes=row.bytes,
        sha256=row.sha256,
        records=0,
        control_totals={},
        kind=row.kind,
    )
