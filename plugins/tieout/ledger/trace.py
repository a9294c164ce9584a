"""Everything the ledger knows of one record, for the person who asks where it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, and_, or_, select

from tieout.ledger.acknowledgements import find_acknowledgement
from tieout.ledger.columns import iso_z
from tieout.ledger.database import Database
from tieout.ledger.events import find_events
from tieout.ledger.filters import by_scope
from tieout.ledger.held import find_held
from tieout.ledger.models import events, file_records, files, held, postings, records, runs, scopes
from tieout.ledger.packed import PackedLine, find_lines
from tieout.ledger.posting_steps import find_postings
from tieout.ledger.rows import FileRow, RunRow, Scope

_Match = tuple[Scope, str]
_LARGEST_ID = 2**63 - 1
_POSTING_NAMES = (
    postings.c.source_key,
    postings.c.label,
    postings.c.posting_key,
    postings.c.target_key,
    postings.c.target_number,
)


class TraceStore(Database):
    """Looks records up by whatever people have at hand."""

    def trace(self, key: str) -> dict[str, Any]:
        """Everything known by a key that people have at hand.

        That is a source key, a label (invoice number), a posting key, the key or number of what was posted (journal
        entry), a file's name or path, or a held row's id.

        Returns:
            `{"key", "records": [...], "files": [...]}`, ready for JSON. A record has its scope and `source_key`, what
            was last delivered of it (`delivered`, None if nothing was), its `held` rows with their history, the
            `files` it is in with its byte range (of kind `inbound`: those it came from), its `postings`, the `runs` it
            took part in and its `events`. `files` are the files of that name, with their runs and events. Both are
            empty where nothing is known. `lines_left_out` is there where more lines of packed files have this label
            than are given, and says how many.
        """
        with self._reading() as connection:
            packed = find_lines(connection, key)
            lines = dict(packed.lines)
            matches = sorted(_matches(connection, key) | set(lines), key=str)
            for scope, source_key in matches:
                if source_key != key and (scope, source_key) not in lines:
                    lines |= find_lines(connection, source_key, scope, by_label=False).lines
            story: dict[str, Any] = {
                "key": key,
                "records": [
                    story
                    for scope, group in groupby(matches, key=lambda match: match[0])
                    for story in _record_stories(connection, scope, [source_key for _, source_key in group], lines)
                ],
                "files": [_file_story(connection, row) for row in _files_named(connection, key)],
            }
            return story | ({"lines_left_out": packed.left_out} if packed.left_out else {})


def _matches(connection: Connection, key: str) -> set[_Match]:
    scope_columns = (scopes.c.integration, scopes.c.instance, scopes.c.entity)
    held_columns = (held.c.integration, held.c.instance, held.c.entity, held.c.source_key)
    file_columns = (files.c.integration, files.c.instance, files.c.entity, file_records.c.source_key)
    posting_columns = (postings.c.integration, postings.c.instance, postings.c.entity, postings.c.source_key)
    held_as = [held.c.source_key == key, held.c.label == key]
    if key.isascii() and key.isdecimal() and int(key) <= _LARGEST_ID:
        held_as.append(held.c.id == int(key))
    delivered = select(*scope_columns, records.c.source_key).join(records, records.c.scope_id == scopes.c.id)
    in_files = select(*file_columns).join(file_records, file_records.c.file_id == files.c.id)
    queries = (
        # The primary key begins with the scope: naming all of them lets the databases use it.
        delivered.where(records.c.scope_id.in_(select(scopes.c.id)), records.c.source_key == key),
        delivered.where(records.c.label == key),
        select(*held_columns).where(or_(*held_as)),
        in_files.where(file_records.c.source_key == key, files.c.state != "preparing"),
        select(*posting_columns).where(or_(*(column == key for column in _POSTING_NAMES))),
        select(events.c.integration, events.c.instance, events.c.entity, events.c.source_key).where(
            events.c.source_key == key
        ),
    )
    return {
        (Scope(integration, instance, entity), source_key)
        for query in queries
        for integration, instance, entity, source_key in connection.execute(query)
    }


def _record_stories(
    connection: Connection, scope: Scope, keys: Sequence[str], lines: Mapping[_Match, Sequence[PackedLine]]
) -> Iterator[dict[str, Any]]:
    """The stories of some records of one scope, in the order of the keys; what they have in common is read once."""
    held_rows = _by_key(find_held(connection, and_(held.c.source_key.in_(keys), *by_scope(held, scope))))
    posted = _by_key(find_postings(connection, postings.c.source_key.in_(keys), *by_scope(postings, scope)))
    noted = _by_key(find_events(connection, events.c.source_key.in_(keys), *by_scope(events, scope)))
    in_files = _by_key(connection.execute(_in_files(scope, keys)))
    delivered = {row.source_key: row for row in connection.execute(_delivered(scope, keys))}
    told = _FileFacts(connection)
    run_rows: dict[str, RunRow] = {}
    for key in keys:
        own = lines.get((scope, key), ())
        run_ids = {row.run_id for row in (*in_files.get(key, ()), *noted.get(key, ()))}
        run_ids |= {line.file.run_id for line in own}
        run_ids |= {run_id for row in held_rows.get(key, ()) for run_id in (row.first_run_id, row.run_id)}
        if unknown := run_ids - run_rows.keys():
            run_rows |= {row.run_id: row for row in _run_rows(connection, scope, unknown)}
        took_part = [run_rows[run_id] for run_id in run_ids if run_id in run_rows]
        yield {
            "integration": scope.integration,
            "instance": scope.instance,
            "entity": scope.entity,
            "source_key": key,
            "delivered": _delivered_record(delivered.get(key)) or _delivered_line(own),
            "held": [row.as_json() for row in held_rows.get(key, ())],
            "files": [
                *(_place(told, _file_row(row), row) for row in in_files.get(key, ())),
                *(_place(told, line.file, line) for line in own),
            ],
            "postings": [row.as_json() for row in posted.get(key, ())],
            "runs": [row.as_json() for row in sorted(took_part, key=lambda row: row.started_at)],
            "events": [event.as_json() for event in noted.get(key, ())],
        }


_Keyed = TypeVar("_Keyed", bound=Any)


def _by_key(rows: Iterable[_Keyed]) -> dict[str, list[_Keyed]]:
    found: dict[str, list[_Keyed]] = {}
    for row in rows:
        found.setdefault(row.source_key, []).append(row)
    return found


def _in_files(scope: Scope, keys: Sequence[str]) -> Select[Any]:
    return (
        select(
            files,
            file_records.c.source_key,
            file_records.c.fingerprint,
            file_records.c.label,
            file_records.c.byte_start,
            file_records.c.byte_end,
        )
        .join(file_records, file_records.c.file_id == files.c.id)
        .where(file_records.c.source_key.in_(keys), *by_scope(files, scope), files.c.state != "preparing")
        .order_by(files.c.id)
    )


def _file_row(row: Row[Any]) -> FileRow:
    return FileRow(**{column.name: row._mapping[column.name] for column in files.c})


def _delivered(scope: Scope, keys: Sequence[str]) -> Select[Any]:
    query = select(records).join(scopes, scopes.c.id == records.c.scope_id)
    return query.where(*by_scope(scopes, scope), records.c.source_key.in_(keys))


def _delivered_record(row: Row[Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "fingerprint": row.fingerprint,
        "label": row.label,
        "file_id": row.file_id,
        "run_id": row.run_id,
        "delivered_at": iso_z(row.delivered_at),
    }


def _delivered_line(lines: Sequence[PackedLine]) -> dict[str, Any] | None:
    delivered = [line for line in lines if line.file.state == "delivered"]
    if not delivered:
        return None
    last = delivered[-1]
    return {
        "fingerprint": last.fingerprint,
        "label": last.label,
        "file_id": last.file.id,
        "run_id": last.file.run_id,
        "delivered_at": iso_z(last.file.delivered_at),
    }


def _place(told: _FileFacts, file: FileRow, place: Row[Any] | PackedLine) -> dict[str, Any]:
    return told.of(file) | {
        "fingerprint": place.fingerprint,
        "label": place.label,
        "byte_start": place.byte_start,
        "byte_end": place.byte_end,
    }


class _FileFacts:
    """Files' rows with what a list leaves out; of each file once, for many records may be in it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[int, dict[str, Any]] = {}

    def of(self, file: FileRow) -> dict[str, Any]:
        if file.id not in self._known:
            self._known[file.id] = _file_facts(self._connection, file)
        return self._known[file.id]


def _file_facts(connection: Connection, file: FileRow) -> dict[str, Any]:
    answer = find_acknowledgement(connection, file.id)
    facts = replace(file, acknowledgement=answer.state if answer else None).as_json() | {
        "file_id": file.id,
        "kind": file.kind,
        "archive_path": file.archive_path,
        "message": file.message,
        "created_at": iso_z(file.created_at),
    }
    return facts | ({"answer": answer.as_json()} if answer else {})


def _files_named(connection: Connection, name: str) -> list[FileRow]:
    named = or_(files.c.file_name == name, files.c.remote_path == name, files.c.archive_path == name)
    query = select(files).where(named, files.c.state != "preparing").order_by(files.c.id)
    return [FileRow(**row._mapping) for row in connection.execute(query)]


def _file_story(connection: Connection, row: FileRow) -> dict[str, Any]:
    return _file_facts(connection, row) | {
        "runs": [run.as_json() for run in _run_rows(connection, row.key.scope, {row.run_id})],
        "events": [event.as_json() for event in find_events(connection, events.c.file_id == row.id)],
    }


def _run_rows(connection: Connection, scope: Scope, run_ids: Collection[str]) -> list[RunRow]:
    query = select(runs).where(*by_scope(runs, scope), runs.c.run_id.in_(run_ids)).order_by(runs.c.started_at)
    return [RunRow(**row._mapping) for row in connection.execute(query)]
