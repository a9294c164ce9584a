"""Files: what was prepared for a receiver, how far each got, and which records are in it.

Files collected from a source lie in the same table; what happens to them is in `inbound`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, insert, literal_column, or_, select, union, update
from sqlalchemy.exc import IntegrityError

from tieout.errors import Superseded
from tieout.ledger.acknowledgements import acknowledgement_states
from tieout.ledger.columns import plain_json
from tieout.ledger.database import KEYS_PER_QUERY, ROWS_PER_INSERT, Database, chunks, update_rows, utc_now
from tieout.ledger.events import add_events, add_file_events, event_values
from tieout.ledger.filters import FEW, by_key, by_scope, called, narrowed, page
from tieout.ledger.leases import require_token
from tieout.ledger.models import file_records, files, records
from tieout.ledger.rows import FileDraft, FileRecord, FileRow, Filters, RunKey, Scope
from tieout.ledger.runs import require_real_run

FILE_TRANSITIONS: Mapping[str, frozenset[str]] = {
    # Its records are still being written into the ledger; nobody else sees it.
    "preparing": frozenset({"prepared"}),
    "prepared": frozenset({"sending", "refused", "abandoned"}),
    # From here on its effect is unknown until it is looked up.
    "sending": frozenset({"sending", "verified", "delivered", "refused", "abandoned", "prepared"}),
    # Complete under its temporary name and about to be renamed.
    "verified": frozenset({"verified", "delivered", "refused", "abandoned", "prepared"}),
    # Certainly not with the receiver: may be sent again once the receiver is repaired.
    "refused": frozenset({"prepared", "sending", "abandoned"}),
    "delivered": frozenset(),
    "abandoned": frozenset(),
}
"""What may follow what. `delivered` is given by a commit only: the records move in the same transaction."""

VERIFICATIONS = ("size", "server_hash", "read_back")
"""The rungs of the verification ladder, lowest first."""

# Written out: only so do the databases see that the partial index fits.
_UNSETTLED = files.c.state.in_([literal_column("'sending'"), literal_column("'verified'")])


class FileStore(Database):
    """The files in the ledger."""

    def prepare_file(
        self,
        key: RunKey,
        *,
        file_name: str,
        remote_path: str,
        local_uri: str,
        bytes: int,
        sha256: str,
        records: int,
        control_totals: Mapping[str, Any],
        records_iter: Iterable[FileRecord] = (),
        kind: str = "data",
    ) -> FileRow:
        """Enter a file as prepared, with any number of records.

        It replaces a file of the same run and name that was prepared earlier and never sent.

        Args:
            key: The run that made it.
            file_name: Its final name.
            remote_path: Its final path at the receiver.
            local_uri: Where it lies in staging.
            bytes: Its size.
            sha256: Its digest, hex.
            records: How many source records are in it.
            control_totals: Money as `Decimal` or decimal text, counts as int; floats are refused.
            records_iter: The records, streamed: read once, never held as a whole.
            kind: What it is to its run: data, manifest, trigger …

        Raises:
            ValueError: The run is unknown or a dry run, or a source record is in the file twice.
            Superseded: The run was begun again while the records were being written.
        """
        draft = FileDraft(file_name, remote_path, local_uri, bytes, sha256, records, control_totals, kind=kind)
        file_id = self._begin_file(key, draft)
        # One short transaction per chunk: other writers need not wait for a million records.
        for chunk in chunks(records_iter, ROWS_PER_INSERT):
            with self._writing() as connection:
                insert_records(connection, file_id, file_name, chunk)
        return self._publish_file(key, file_id, file_name)

    def prepare_files(self, key: RunKey, drafts: Sequence[FileDraft]) -> list[FileRow]:
        """Enter many small files at once, all or none, in the order given. As `prepare_file` otherwise."""
        names = Counter(draft.file_name for draft in drafts)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(f"The {key} would send two files of the same name: {', '.join(sorted(twice)[:5])}.")
        with self._writing() as connection:
            require_real_run(connection, key)
            file_ids: list[int] = []
            for some in chunks(drafts, KEYS_PER_QUERY):
                _drop_replaced(connection, key, [draft.file_name for draft in some], keep_ids=())
                new_ids = insert_files(connection, key, some, "prepared")
                for draft in some:
                    _refuse_twice(draft.file_name, draft.file_records)
                rows = [
                    {"file_id": file_id} | record._asdict()
                    for file_id, draft in zip(new_ids, some, strict=True)
                    for record in draft.file_records
                ]
                for chunk in chunks(rows, ROWS_PER_INSERT):
                    connection.execute(insert(file_records), list(chunk))
                file_ids += new_ids
            _note_prepared(connection, key, file_ids)
            found = find_files(connection, file_ids)
        return [FileRow(**found[file_id]) for file_id in file_ids]

    def file_states(
        self,
        file_ids: Sequence[int],
        state: str,
        *,
        temp_path_by_id: Mapping[int, str] | None = None,
        verification: Mapping[int, str] | str | None = None,
        message: str | None = None,
        token: int | None = None,
    ) -> None:
        """Move files to their next state, all or none, with an event for each.

        Args:
            file_ids: The files.
            state: sending, verified, refused, abandoned, or prepared again; delivered is given by a commit.
            temp_path_by_id: The temporary names they are sent under.
            verification: The rung reached, for each or for all.
            message: Why, for refused and abandoned.
            token: The lease token that must still be the newest.

        Raises:
            ValueError: There is no such file, or the state may not follow its present one.
            Superseded: The token is no longer the newest.
        """
        if state not in FILE_TRANSITIONS or state in ("delivered", "preparing"):
            raise ValueError(
                f"A file cannot be set to {state!r} by itself"
                + (
                    ": commit the entity, so that its records move in the same transaction."
                    if state == "delivered"
                    else "."
                )
            )
        with self._writing() as connection:
            if token is not None:
                # Lease first, files then, as in a commit: two that wait for each other would be stuck.
                for scope in _scopes_of(find_files(connection, file_ids)):
                    require_token(connection, scope, token)
            rows = find_files(connection, file_ids, lock=True)
            check_file_transitions(rows, state)
            now = utc_now()
            common: dict[str, Any] = {"state": state, "message": message or "", "updated_at": now}
            changes = []
            for file_id, row in rows.items():
                rung = verification if isinstance(verification, str) else (verification or {}).get(file_id)
                _check_verification(rung)
                temp_path = (temp_path_by_id or {}).get(file_id, row["temp_path"])
                changes.append({"id": file_id, "temp_path": temp_path, "verification": rung or row["verification"]})
            update_rows(connection, files, common, changes)
            add_file_events(connection, file_ids, f"file {state}", now, {"message": message} if message else {})

    def abandon_prepared(self, key: RunKey, why: str) -> int:
        """Abandon the files of a run that were prepared but never sent; returns how many there were."""
        mine = (*by_key(files, key), files.c.state == "prepared")
        with self._writing() as connection:
            file_ids = list(connection.execute(select(files.c.id).where(*mine).with_for_update()).scalars())
            now = utc_now()
            common = {"state": "abandoned", "message": why, "updated_at": now}
            update_rows(connection, files, common, [{"id": file_id} for file_id in file_ids])
            add_file_events(connection, file_ids, "file abandoned", now, {"message": why})
        return len(file_ids)

    def files_of_run(self, key: RunKey) -> list[FileRow]:
        """All files of a run in the order they were prepared, whatever became of them."""
        query = select(files).where(*by_key(files, key), files.c.state != "preparing").order_by(files.c.id)
        return self._file_rows(query)

    def get_file(self, file_id: int) -> FileRow | None:
        """One file, or None if there is none of that id."""
        found = self._file_rows(select(files).where(files.c.id == file_id))
        return found[0] if found else None

    def unsettled_files(self, scope: Scope, *, not_run_id: str | None = None) -> list[FileRow]:
        """Files whose effect is unknown: they were being sent when their run ended.

        They are looked up at the receiver before anything of the scope is prepared.

        Args:
            scope: Whose files.
            not_run_id: Leave out the files of this run.
        """
        query = select(files).where(*by_scope(files, scope), _UNSETTLED).order_by(files.c.id)
        if not_run_id is not None:
            query = query.where(files.c.run_id != not_run_id)
        return self._file_rows(query)

    def files(self, filters: Filters, limit: int | None = None, offset: int = 0) -> list[FileRow]:
        """Files, the last prepared first."""
        with self._reading() as connection:
            query = self._narrowed_files(connection, select(files), filters)
            ordered = query.order_by(files.c.id.desc())
            found = [FileRow(**row) for row in page(connection, ordered, files, limit, offset)]
            return _with_acknowledgements(connection, found)

    def count_files(self, filters: Filters) -> int:
        """How many files there are."""
        with self._reading() as connection:
            query = self._narrowed_files(connection, select(func.count()).select_from(files), filters)
            return connection.execute(query).scalar_one()

    def delivered_digests(self, scope: Scope, remote_path: str) -> set[str]:
        """SHA-256 digests of what we ourselves delivered under this path: only that may be replaced there."""
        query = select(files.c.sha256).where(
            *by_scope(files, scope), files.c.remote_path == remote_path, files.c.state == "delivered"
        )
        with self._reading() as connection:
            return set(connection.execute(query).scalars())

    def _narrowed_files(self, connection: Connection, query: Select[Any], filters: Filters) -> Select[Any]:
        narrow = _narrow(query, filters)
        if not filters.search:
            return narrow
        named = called(connection, files, ("file_name", "remote_path"), filters.search, postgres=self._is_postgres)
        return narrow.where(or_(named, files.c.id.in_(_with_record(connection, filters.search))))

    def _begin_file(self, key: RunKey, draft: FileDraft) -> int:
        """Enter a file whose records follow; nobody sees it yet."""
        with self._writing() as connection:
            require_real_run(connection, key)
            return insert_files(connection, key, [draft], "preparing")[0]

    def _publish_file(self, key: RunKey, file_id: int, file_name: str) -> FileRow:
        """Make a file prepared whose records are complete.

        Raises:
            Superseded: The file is gone: the run was begun again meanwhile.
        """
        with self._writing() as connection:
            _drop_replaced(connection, key, [file_name], keep_ids=[file_id])
            publish = {"state": "prepared", "updated_at": utc_now()}
            published = connection.execute(update(files).where(files.c.id == file_id).values(publish).returning(files))
            row = published.one_or_none()
            if row is None:
                raise begun_again(file_name)
            _note_prepared(connection, key, [file_id])
        return FileRow(**row._mapping)

    def _file_rows(self, query: Select[Any]) -> list[FileRow]:
        with self._reading() as connection:
            rows = [FileRow(**row._mapping) for row in connection.execute(query)]
            return _with_acknowledgements(connection, rows)


def _with_acknowledgements(connection: Connection, rows: list[FileRow]) -> list[FileRow]:
    answers = acknowledgement_states(connection, [row.id for row in rows if row.state == "delivered"])
    return [replace(row, acknowledgement=answers[row.id]) if row.id in answers else row for row in rows]


def _with_record(connection: Connection, name: str) -> list[int] | Select[Any]:
    """The files that have a record of this source key or label: a list, or a query where they are many."""
    found = union(
        select(file_records.c.file_id).where(file_records.c.source_key == name),
        select(records.c.file_id).where(records.c.label == name, records.c.file_id.is_not(None)),
    ).subquery()
    ids = list(connection.execute(select(found.c.file_id).limit(FEW + 1)).scalars())
    return ids if len(ids) <= FEW else select(found.c.file_id)


def mark_delivered(
    connection: Connection, key: RunKey, delivered: Sequence[tuple[int, str, datetime]], how: str
) -> list[int]:
    """Set files of a run to delivered inside the caller's transaction.

    Returns:
        The ids that were not delivered before.

    Raises:
        ValueError: A file is unknown, of another run, in a state before sending, or its verification is no rung.
    """
    by_id = {file_id: (verification, at) for file_id, verification, at in delivered}
    rows = find_files(connection, list(by_id), lock=True)
    for row in rows.values():
        if RunKey(row["integration"], row["instance"], row["entity"], row["run_id"]) != key:
            raise ValueError(f"File {row['id']} ({row['file_name']}) is not a file of the {key}.")
    # A file found delivered after a crash is committed a second time by the attempt that found it.
    new = {file_id: row for file_id, row in rows.items() if row["state"] != "delivered"}
    check_file_transitions(new, "delivered")
    changes = []
    for file_id in new:
        verification, at = by_id[file_id]
        _check_verification(verification, required=True)
        changes.append({"id": file_id, "verification": verification, "delivered_at": at})
    now = utc_now()
    update_rows(connection, files, {"state": "delivered", "message": "", "updated_at": now}, changes)
    add_file_events(connection, list(new), "file delivered", now, {"how": how})
    return list(new)


def check_file_transitions(rows: Mapping[int, Mapping[str, Any]], state: str) -> None:
    """Check that all files may go to a state.

    Raises:
        ValueError: One may not.
    """
    for row in rows.values():
        # An inbound file's states are not in this table: it is never sent.
        if state not in FILE_TRANSITIONS.get(row["state"], ()):
            raise ValueError(f"File {row['id']} ({row['file_name']}) is {row['state']}; it cannot become {state}.")


def find_files(connection: Connection, file_ids: Sequence[int], *, lock: bool = False) -> dict[int, Mapping[str, Any]]:
    """Files by their ids, in the order of the ids, locked until the commit if asked.

    Raises:
        ValueError: There is no such file.
    """
    found: dict[int, Mapping[str, Any]] = {}
    for ids in chunks(file_ids, KEYS_PER_QUERY):
        query = select(files).where(files.c.id.in_(ids)).order_by(files.c.id)
        for row in connection.execute(query.with_for_update() if lock else query):
            found[row.id] = row._asdict()
    missing = [file_id for file_id in file_ids if file_id not in found]
    if missing:
        raise ValueError(f"The ledger has no file {missing[0]}; its run may have been begun again meanwhile.")
    return found


def _scopes_of(rows: Mapping[int, Mapping[str, Any]]) -> set[Scope]:
    return {Scope(row["integration"], row["instance"], row["entity"]) for row in rows.values()}


def _check_verification(verification: str | None, *, required: bool = False) -> None:
    if verification not in VERIFICATIONS and (required or verification is not None):
        raise ValueError(f"{verification!r} is no rung of the verification ladder ({', '.join(VERIFICATIONS)}).")


def insert_files(connection: Connection, key: RunKey, drafts: Sequence[FileDraft], state: str) -> list[int]:
    """Enter files without their records inside the caller's transaction; returns their ids, in order."""
    now = utc_now()
    rows = [_file_values(key, draft, state, now) for draft in drafts]
    statement = insert(files).returning(files.c.id, sort_by_parameter_order=True)
    return list(connection.execute(statement, rows).scalars())


def _file_values(key: RunKey, draft: FileDraft, state: str, now: datetime) -> dict[str, Any]:
    return {
        "integration": key.integration,
        "instance": key.instance,
        "entity": key.entity,
        "run_id": key.run_id,
        "kind": draft.kind,
        "file_name": draft.file_name,
        "remote_path": draft.remote_path,
        "local_uri": draft.local_uri,
        "bytes": draft.bytes,
        "sha256": draft.sha256,
        "records": draft.records,
        "control_totals": plain_json(draft.control_totals, floats=False),
        "state": state,
        "message": "",
        "created_at": now,
        "updated_at": now,
    }


def insert_records(connection: Connection, file_id: int, file_name: str, chunk: Sequence[FileRecord]) -> None:
    """Enter some of a file's records inside the caller's transaction.

    Raises:
        ValueError: A record is in the file twice.
        Superseded: The file is gone: the run was begun again meanwhile.
    """
    _refuse_twice(file_name, chunk)
    if connection.execute(select(files.c.id).where(files.c.id == file_id)).first() is None:
        raise begun_again(file_name)
    try:
        connection.execute(insert(file_records), [{"file_id": file_id} | record._asdict() for record in chunk])
    except IntegrityError as error:
        raise ValueError(
            f"A source record between {chunk[0].source_key!r} and {chunk[-1].source_key!r} is in file {file_name} "
            "twice; every record has one place in a file."
        ) from error


def _refuse_twice(file_name: str, chunk: Sequence[FileRecord]) -> None:
    if len({record.source_key for record in chunk}) < len(chunk):
        key, _ = Counter(record.source_key for record in chunk).most_common(1)[0]
        raise ValueError(f"Source record {key!r} is in file {file_name} twice; every record has one place in a file.")


def _drop_replaced(connection: Connection, key: RunKey, names: Sequence[str], keep_ids: Sequence[int]) -> None:
    """Remove what an earlier attempt of the same run had prepared under the same names and never sent."""
    replaced = select(files.c.id).where(
        *by_key(files, key),
        files.c.file_name.in_(names),
        files.c.state.in_(("preparing", "prepared")),
        files.c.id.not_in(keep_ids),
    )
    ids = list(connection.execute(replaced).scalars())
    for some in chunks(ids, KEYS_PER_QUERY):
        connection.execute(file_records.delete().where(file_records.c.file_id.in_(some)))
        connection.execute(files.delete().where(files.c.id.in_(some)))
    values = event_values(key, "file replaced before sending", utc_now(), {})
    add_events(connection, [values | {"file_id": file_id} for file_id in ids])


def _note_prepared(connection: Connection, key: RunKey, file_ids: Sequence[int]) -> None:
    add_file_events(connection, file_ids, "file prepared", utc_now(), {})


def begun_again(file_name: str) -> Superseded:
    """The error of an attempt whose file was taken away by the next one."""
    return Superseded(
        f"The run was begun again, or its task tried again, while {file_name} was being entered; this attempt stops."
    )


def _narrow(query: Select[Any], filters: Filters) -> Select[Any]:
    visible = query.where(files.c.state != "preparing") if filters.status is None else query
    walked = () if filters.instance else ("integration",)
    return narrowed(visible, files, filters, since=files.c.created_at, status=files.c.state, walked=walked)
