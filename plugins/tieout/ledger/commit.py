"""The commit: everything an effect stands for moves in one transaction, after the effect."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, func, select, update

from tieout.ledger.database import utc_now
from tieout.ledger.events import add_event
from tieout.ledger.files import FileStore, mark_delivered
from tieout.ledger.filters import by_key
from tieout.ledger.held import HeldStore, settle_files, settle_keys, settle_posted
from tieout.ledger.leases import Lease, require_lease, require_token
from tieout.ledger.models import file_records, files, runs
from tieout.ledger.packed import count_packed
from tieout.ledger.records import RecordStore
from tieout.ledger.rows import EntityOutcome, FileRow, HeldDraft, RunKey
from tieout.ledger.runs import move_run, require_real_run
from tieout.ledger.scopes import ScopeStore, bump_version, move_watermark
from tieout.ledger.tally import Tally


class CommitStore(ScopeStore, RecordStore, HeldStore, FileStore):
    """The transactions after which something counts as delivered or posted."""

    def commit_entity(self, key: RunKey, *, token: int, base_version: int, outcome: EntityOutcome) -> None:
        """Commit what a run did to its entity: all of it or nothing.

        Files become delivered and their records' fingerprints known; held rows open, are brought up to date or
        settled; the watermark moves; the scope's version grows by one; the run becomes `delivered`.

        Args:
            key: The run.
            token: The token of the lease held on the scope.
            base_version: `entity_version` as it was when the fingerprints were read.
            outcome: What was done. A file that was found delivered earlier (`settle_delivered`) may be named again.

        Raises:
            Superseded: The lease is lost, or another run has committed since `base_version`; nothing was committed.
            ValueError: The run or a file is not in a state to be delivered; nothing was committed.
        """
        with self._writing() as connection:
            require_real_run(connection, key)
            require_token(connection, key.scope, token)
            scope_id = self._scope_id(connection, key.scope)
            version = bump_version(connection, key.scope, scope_id, base_version)
            file_ids = mark_delivered(connection, key, outcome.delivered, "sent")
            self._enter_delivered(connection, scope_id, key.run_id, file_ids)
            settle_files(connection, key, file_ids)
            settle_keys(connection, key, outcome.settled)
            self._hold(connection, key, outcome.held)
            if outcome.watermark is not None:
                move_watermark(connection, scope_id, key, outcome.watermark)
            tally = outcome.tally
            move_run(connection, key, "delivered", {"delivered": tally.count, "target_totals": tally.totals})
            add_event(connection, key, "committed", detail={"version": version, "watermark": outcome.watermark})

    def commit_postings(
        self,
        key: RunKey,
        *,
        lease: Lease,
        held: Iterable[HeldDraft],
        settled: Iterable[str],
        tally: Tally,
        duplicate: Tally,
        held_tally: Tally,
        excluded: Tally,
        mapping_version: str,
    ) -> None:
        """Commit what a posting run did to its entity, after its postings are settled: all of it or nothing.

        The run gets its four places and becomes `delivered`; held rows are opened, brought up to date or settled; the
        scope's version grows by one.

        Args:
            key: The run.
            lease: The lease under which it posted.
            held: Records that could not be posted.
            settled: Keys of all other records of the run: an open held row of theirs is settled.
            tally: Counts and money of the posted records.
            duplicate: Counts and money of those that were in the books already.
            held_tally: Counts and money of the held records.
            excluded: Counts and money of those that are not to be posted.
            mapping_version: The mapping that made the postings.

        Raises:
            Superseded: The lease is lost; nothing was committed.
            ValueError: The run is not in a state to be delivered; nothing was committed.
        """
        places = {"held": held_tally, "duplicate": duplicate, "excluded": excluded}
        figures: dict[str, object] = {"posted": tally.count, "target_totals": tally.totals}
        for place, part in places.items():
            figures |= {place: part.count, f"{place}_totals": part.totals}
        with self._writing() as connection:
            require_lease(connection, lease)
            require_real_run(connection, key)
            scope_id = self._scope_id(connection, key.scope)
            version = bump_version(connection, key.scope, scope_id)
            settle_posted(connection, key, settled)
            self._hold(connection, key, held)
            move_run(connection, key, "delivered", figures | {"mapping_version": mapping_version})
            add_event(connection, key, "committed", detail={"version": version})

    def settle_delivered(self, file_id: int, *, verification: str, how: str) -> int:
        """Commit a file whose effect was unknown and that was found at the receiver.

        Does nothing if it is delivered already.

        Args:
            file_id: The file.
            verification: The rung that the look-up reached.
            how: What the look-up saw, for the audit trail.

        Returns:
            The scope's version afterwards: what a commit by the same, unchanged work has to name as its base.

        Raises:
            ValueError: There is no such file, or it was not being sent.
        """
        with self._writing() as connection:
            row = connection.execute(select(files).where(files.c.id == file_id)).one_or_none()
            if row is None:
                raise ValueError(f"The ledger has no file {file_id}.")
            key = FileRow(**row._mapping).key
            scope_id = self._scope_id(connection, key.scope)
            new_ids = mark_delivered(connection, key, [(file_id, verification, utc_now())], how)
            if new_ids:
                self._enter_delivered(connection, scope_id, key.run_id, new_ids)
                settle_files(connection, key, new_ids)
                _count_settled(connection, key)
                bump_version(connection, key.scope, scope_id)
        return self.entity_version(key.scope)


def _count_settled(connection: Connection, key: RunKey) -> None:
    """Show in the run what turned out to be delivered; its money once all it had to send is there."""
    # By their keys, not by the files' own counts: a manifest counts what is in other files.
    sent = (
        select(func.count(file_records.c.source_key.distinct()))
        .join(files, files.c.id == file_records.c.file_id)
        .where(*by_key(files, key), files.c.state == "delivered")
    )
    delivered = connection.execute(sent).scalar_one() + count_packed(connection, key)
    run = connection.execute(select(runs).where(*by_key(runs, key))).one_or_none()
    if run is None:
        return
    values = {"delivered": delivered}
    if delivered == run.to_send:
        values["target_totals"] = run.to_send_totals
    connection.execute(update(runs).where(runs.c.id == run.id).values(values))
