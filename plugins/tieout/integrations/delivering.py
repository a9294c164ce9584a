"""From prepared files to delivered ones: look up what an interrupted attempt did, send, commit.

Every effect happens under the entity's lease, and the ledger learns of it in one transaction with the watermark.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tieout.config import SftpFolder
from tieout.delivery import Capabilities, DeliveryOptions, OutgoingFile, Receipt, SftpSession, SftpTarget
from tieout.errors import TieoutError
from tieout.ledger import FileRow, Lease, Ledger, Scope
from tieout.staging import StagedPath

log = logging.getLogger(__name__)


@dataclass
class Receiver:
    """The receiver's SFTP server, connected to when first needed and not before.

    What the server can do is asked once per partner and kept in the ledger, until something goes wrong.
    """

    target: Callable[[], SftpTarget]
    ledger: Ledger
    _session: SftpSession | None = field(default=None, repr=False)
    _refused: TieoutError | None = field(default=None, repr=False)

    def session(self) -> SftpSession:
        """The one connection of this task.

        Raises:
            ReceiverUnavailable: the server does not answer.
            HostKeyMismatch: it is not the pinned one.
            CredentialsRejected: it refused us.
        """
        if self._refused is not None:
            # Asking again for the next entity would only wait again, or lock the account.
            raise self._refused
        if self._session is None:
            target = self.target()
            known = self.ledger.load_capabilities(target.label)
            session = SftpSession(target, capabilities=Capabilities.from_json(known) if known else None)
            try:
                session.__enter__()
            except TieoutError as error:
                self._refused = error
                raise
            self._session = session
            if not known:
                self.ledger.save_capabilities(target.label, session.probe().to_json())
        return self._session

    def start_anew(self) -> None:
        """After a failure: the next one connects again, and asks again what the server can do."""
        if self._session is not None:
            self.ledger.save_capabilities(self._session.target.label, {})
        self.close()

    def close(self) -> None:
        """End the connection, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            session.__exit__(None, None, None)


@contextmanager
def receiver(target: Callable[[], SftpTarget], ledger: Ledger) -> Iterator[Receiver]:
    """A receiver for the length of a task."""
    found = Receiver(target, ledger)
    try:
        yield found
    finally:
        found.close()


def settle_leftovers(
    ledger: Ledger, scope: Scope, receiver: Receiver, *, of_run: str | None = None, not_of_run: str | None = None
) -> dict[str, FileRow]:
    """Find out what became of files whose sending was interrupted, before anything is decided.

    A file that the receiver has is delivered and its records are recorded as such; any other is abandoned, and its
    temporary file removed, so that an attempt that still lives somewhere cannot complete it. Call it under the lease.

    Args:
        ledger: Knows which files were being sent.
        scope: Whose files.
        receiver: Asked only when there are any.
        of_run: Only this run's files.
        not_of_run: Only other runs' files.

    Returns:
        The files that had arrived, by their path at the receiver.

    Raises:
        ReceiverUnavailable: nobody can tell now; nothing may be prepared until somebody can.
    """
    arrived: dict[str, FileRow] = {}
    for file in ledger.unsettled_files(scope, not_run_id=not_of_run):
        if of_run is not None and file.run_id != of_run:
            continue
        if _has_arrived(file, receiver):
            ledger.settle_delivered(
                file.id,
                verification=file.verification or "size",
                how="found complete at the receiver after an interrupted attempt",
            )
            arrived[file.remote_path] = file
            log.info("%s had arrived before the interruption; it is not sent again.", file.remote_path)
        else:
            ledger.file_states([file.id], "abandoned", message="an interrupted attempt did not complete it")
            log.info("%s had not arrived; its records are sent anew.", file.remote_path)
    return arrived


def _has_arrived(file: FileRow, receiver: Receiver) -> bool:
    if file.temp_path is None:
        return False
    found = receiver.session().look_up(
        file.remote_path,
        temp_path=file.temp_path,
        size=file.bytes,
        sha256=file.sha256,
        was_verified=file.state == "verified",
    )
    return found == "done"


class LedgerJournal:
    """Writes each step of a delivery to the ledger before it happens, as long as the lease is ours."""

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        self._ledger = ledger
        self._lease = lease

    def sending(self, temp_paths: Mapping[int, str]) -> None:
        """These files are about to be written under temporary names."""
        self._lease.check()
        self._ledger.file_states(list(temp_paths), "sending", temp_path_by_id=temp_paths, token=self._lease.token)

    def verified(self, verification: Mapping[int, str]) -> None:
        """These files are complete and about to get their final names."""
        self._lease.check()
        for rung in sorted(set(verification.values())):
            ids = [file_id for file_id, reached in verification.items() if reached == rung]
            self._ledger.file_states(ids, "verified", verification=rung, token=self._lease.token)


def send(
    ledger: Ledger,
    lease: Lease,
    receiver: Receiver,
    folder: SftpFolder,
    files: Sequence[tuple[FileRow, StagedPath]],
) -> list[Receipt]:
    """Deliver prepared files, all of them or an error.

    Raises:
        ReceiverUnavailable, ReceiverRefused, HostKeyMismatch, CredentialsRejected: as the delivery engine says.
        Superseded: another attempt has taken over.
    """
    if not files:
        return []
    outgoing = [
        OutgoingFile(
            file_id=row.id,
            local=path,
            remote_path=row.remote_path,
            size=row.bytes,
            sha256=row.sha256,
            mode=folder.file_mode,
            may_replace=frozenset(ledger.delivered_digests(row.key.scope, row.remote_path)),
        )
        for row, path in files
    ]
    options = DeliveryOptions(
        verification=folder.verification,
        create_directories=folder.create_directories,
        directory_mode=folder.directory_mode,
    )
    journal = LedgerJournal(ledger, lease)
    receipts = receiver.session().deliver(outgoing, options, journal)
    announce_found(receipts, outgoing, ledger, journal)
    return receipts


def announce_found(
    receipts: Sequence[Receipt], outgoing: Sequence[OutgoingFile], ledger: Ledger, journal: LedgerJournal
) -> None:
    """Enter the steps of files whose bytes stood under the final name already: the engine had nothing to announce."""
    found = {receipt.file_id: receipt.verification for receipt in receipts if receipt.outcome == "already_there"}
    unannounced = [row.id for row in map(ledger.get_file, found) if row is not None and row.state == "prepared"]
    if unannounced:
        journal.sending({file_id: each.temp_path for each in outgoing if (file_id := each.file_id) in unannounced})
        journal.verified({file_id: found[file_id] for file_id in unannounced})
