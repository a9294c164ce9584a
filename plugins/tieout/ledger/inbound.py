"""Inbound files: what was collected from a source, which records each held, and where it went afterwards.

They lie in the table of files, with kind `inbound`. A file is `collected` when its records are known, `settled` when
each of them is posted, held, duplicate or excluded, and then `archived` at the source, or `left` where it was if the
account may not move it: its digest is remembered, so that it is not taken for a new one. A file that nobody can read
is no exception: it is one record that is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, literal_column, select, update

from tieout.ledger.database import KEYS_PER_QUERY, ROWS_PER_INSERT, chunks, utc_now
from tieout.ledger.events import add_event, add_file_events
from tieout.ledger.files import begun_again, find_files, insert_files, insert_records
from tieout.ledger.filters import by_key
from tieout.ledger.models import file_records, files
from tieout.ledger.rows import FileDraft, FileRecord, FileRow, RunKey
from tieout.ledger.runs import require_real_run
from tieout.ledger.scopes import ScopeStore

INBOUND_TRANSITIONS: Mapping[str, frozenset[str]] = {
    "collected": frozenset({"collected", "settled"}),
    "settled": frozenset({"settled", "archived", "left"}),
    # The right to move it may have been given meanwhile.
    "left": frozenset({"left", "archived"}),
    "archived": frozenset({"archived"}),
}
"""What may follow what."""

# Written out: only so do the databases see that the partial indexes fit.
_INBOUND = files.c.kind == literal_column("'inbound'")
_OPEN = files.c.state.in_([literal_column("'collected'"), literal_column("'settled'")])


class InboundStore(ScopeStore):
    """The collected files in the ledger."""

    def collect_file(
        self,
        key: RunKey,
        *,
        file_name: str,
        remote_path: str,
        local_uri: str,
        bytes: int,
        sha256: str,
        source_mtime: int | None,
        records: int,
        control_totals: Mapping[str, Any],
        records_iter: Iterable[FileRecord],
    ) -> FileRow:
        """Enter a file as collected, with any number of records.

        The same bytes at the same path, collected earlier and not settled yet, are the same file: its row is taken over
        by this run, and its records are those given now.

        Args:
            key: The run that collected it.
            file_name: Its name at the source.
            remote_path: Its path at the source.
            local_uri: Where it lies in staging.
            bytes: Its size.
            sha256: Its digest, hex.
            source_mtime: When it was last changed at the source, seconds since 1970; None where it does not say.
            records: How many source records are in it.
            control_totals: Money as `Decimal` or decimal text, counts as int; floats are refused.
            records_iter: The records, streamed: read once, never held as a whole. Their keys may be in other files too.

        Raises:
            ValueError: The run is unknown or a dry run, or a source record is in the file twice.
            Superseded: The run was begun again while the records were being written.
        """
        draft = FileDraft(file_name, remote_path, local_uri, bytes, sha256, records, control_totals, kind="inbound")
        with self._writing() as connection:
            require_real_run(connection, key)
            file_id = insert_files(connection, key, [draft], "preparing")[0]
        # One short transaction per chunk: other writers need not wait for a million records.
        for chunk in chunks(records_iter, ROWS_PER_INSERT):
            with self._writing() as connection:
                insert_records(connection, file_id, file_name, chunk)
        with self._writing() as connection:
            # Attempts that collect the same file wait for each other here.
            self._scope_id(connection, key.scope)
            _drop_unfinished(connection, key, remote_path, keep_id=file_id)
            file_id = _publish(connection, key, file_id, file_name, source_mtime)
            return FileRow(**find_files(connection, [file_id])[file_id])

    def inbound_with_digest(self, integration: str, instance: str, sha256s: Sequence[str]) -> dict[str, list[FileRow]]:
        """Files done with earlier (settled, archived or left) that have these digests, under whatever name.

        Returns:
            Newest first, by digest; without the digests never seen.
        """
        done = files.c.state.in_(("settled", "archived", "left"))
        return self._inbound_by(integration, instance, files.c.sha256, sha256s, done)

    def inbound_at(self, integration: str, instance: str, remote_paths: Sequence[str]) -> dict[str, list[FileRow]]:
        """All files ever collected from these paths, newest first, by path; without the paths never seen."""
        return self._inbound_by(integration, instance, files.c.remote_path, remote_paths, files.c.state != "preparing")

    def inbound_open(self, integration: str, instance: str) -> list[FileRow]:
        """Files of all entities that were collected and neither archived nor left yet, oldest first."""
        mine = (files.c.integration == integration, files.c.instance == instance, _INBOUND, _OPEN)
        with self._reading() as connection:
            rows = connection.execute(select(files).where(*mine).order_by(files.c.id))
            return [FileRow(**row._mapping) for row in rows]

    def inbound_states(
        self, file_ids: Sequence[int], state: str, *, archive_path: str | None = None, message: str = ""
    ) -> None:
        """Move inbound files to their next state, all or none, with an event for each.

        The state that a file has already is harmless and changes nothing.

        Args:
            file_ids: The files.
            state: settled, archived or left.
            archive_path: Where an archived file lies at the source now.
            message: Why a file was left.

        Raises:
            ValueError: There is no such inbound file, or the state may not follow its present one.
        """
        with self._writing() as connection:
            rows = find_files(connection, file_ids, lock=True)
            for row in rows.values():
                _check_transition(row, state)
            moved = [file_id for file_id, row in rows.items() if row["state"] != state]
            now = utc_now()
            values = {"state": state, "message": message, "updated_at": now}
            if archive_path is not None:
                values["archive_path"] = archive_path
            for ids in chunks(moved, KEYS_PER_QUERY):
                connection.execute(update(files).where(files.c.id.in_(ids)).values(values))
            detail = {"archive_path": archive_path, "message": message}
            add_file_events(
                connection, moved, f"file {state}", now, {name: said for name, said in detail.items() if said}
            )

    def _inbound_by(
        self,
        integration: str,
        instance: str,
        column: ColumnElement[str],
        values: Sequence[str],
        state: ColumnElement[bool],
    ) -> dict[str, list[FileRow]]:
        mine = (files.c.integration == integration, files.c.instance == instance, _INBOUND, state)
        query = select(files).where(*mine).order_by(files.c.id.desc())
        found: dict[str, list[FileRow]] = {}
        with self._reading() as connection:
            for some in chunks(dict.fromkeys(values), KEYS_PER_QUERY):
                for row in connection.execute(query.where(column.in_(some))):
                    found.setdefault(row._mapping[column], []).append(FileRow(**row._mapping))
        return found


def _check_transition(row: Mapping[str, Any], state: str) -> None:
    if row["kind"] != "inbound":
        raise ValueError(f"File {row['id']} ({row['file_name']}) was not collected from a source.")
    if state not in INBOUND_TRANSITIONS.get(row["state"], ()):
        raise ValueError(f"File {row['id']} ({row['file_name']}) is {row['state']}; it cannot become {state}.")


def _publish(connection: Connection, key: RunKey, file_id: int, file_name: str, source_mtime: int | None) -> int:
    """Make a file visible whose records are complete, in a row of its own or in that which it had; returns the id.

    Raises:
        Superseded: The file is gone: the run was begun again meanwhile.
    """
    new = connection.execute(select(files).where(files.c.id == file_id).with_for_update()).one_or_none()
    if new is None:
        raise begun_again(file_name)
    now = utc_now()
    values: dict[str, Any] = {"state": "collected", "source_mtime": source_mtime, "updated_at": now}
    old = _collected_before(connection, new)
    if old is None:
        connection.execute(update(files).where(files.c.id == file_id).values(values))
        add_event(connection, key, "file collected", file_id=file_id)
        return file_id
    connection.execute(delete(file_records).where(file_records.c.file_id == old.id))
    connection.execute(update(file_records).where(file_records.c.file_id == file_id).values(file_id=old.id))
    connection.execute(delete(files).where(files.c.id == file_id))
    again = ("entity", "run_id", "file_name", "local_uri", "bytes", "records", "control_totals")
    values |= {name: new._mapping[name] for name in again}
    connection.execute(update(files).where(files.c.id == old.id).values(values))
    add_event(connection, key, "file collected again", file_id=old.id, detail={"earlier_run_id": old.run_id})
    return int(old.id)


def _collected_before(connection: Connection, new: Row[Any]) -> Row[Any] | None:
    """The same bytes at the same path, collected earlier and not settled yet; locked until the commit."""
    same = (
        _INBOUND,
        *(files.c[name] == new._mapping[name] for name in ("integration", "instance", "remote_path", "sha256")),
        files.c.state == "collected",
    )
    return connection.execute(select(files).where(*same).order_by(files.c.id).with_for_update()).first()


def _drop_unfinished(connection: Connection, key: RunKey, remote_path: str, *, keep_id: int) -> None:
    """Remove what a killed attempt of the same run had begun to enter for the same file."""
    unfinished = (*by_key(files, key), _INBOUND, files.c.remote_path == remote_path, files.c.state == "preparing")
    ids = select(files.c.id).where(*unfinished, files.c.id != keep_id)
    connection.execute(delete(file_records).where(file_records.c.file_id.in_(ids)))
    connection.execute(delete(files).where(*unfinished, files.c.id != keep_id))
