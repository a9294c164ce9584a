"""Records: what the receiver has of each source record."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Column, Connection, func, literal, select

from tieout.ledger.acknowledgements import acknowledgement_states
from tieout.ledger.database import KEYS_PER_QUERY, Database, chunks
from tieout.ledger.filters import by_scope
from tieout.ledger.models import file_records, files, records, scopes
from tieout.ledger.rows import FileRow, Scope


class RecordStore(Database):
    """The delivered records in the ledger."""

    def fingerprints(self, scope: Scope, keys: Sequence[str]) -> dict[str, str]:
        """Fingerprints of what was last delivered or posted, by source key; without the keys never delivered."""
        return self._of_records(scope, keys, records.c.fingerprint)

    def labels(self, scope: Scope, keys: Sequence[str]) -> dict[str, str]:
        """Labels, such as invoice numbers, of delivered records, by source key."""
        return self._of_records(scope, keys, records.c.label)

    def delivered_files(self, scope: Scope, source_keys: Collection[str]) -> dict[str, FileRow]:
        """The delivered file that has each record now, by source key; without those that are in none."""
        of_key = select(records.c.source_key, records.c.file_id).where(
            # The primary key begins with the scope's id, so the databases use it.
            records.c.scope_id == select(scopes.c.id).where(*by_scope(scopes, scope)).scalar_subquery(),
            records.c.file_id.is_not(None),
        )
        file_ids: dict[str, int] = {}
        found: dict[int, FileRow] = {}
        with self._reading() as connection:
            for keys in chunks(source_keys, self._keys_per_lookup):
                rows = connection.execute(of_key.where(records.c.source_key.in_(keys)))
                file_ids.update((row.source_key, row.file_id) for row in rows)
            for ids in chunks(sorted(set(file_ids.values())), KEYS_PER_QUERY):
                answers = acknowledgement_states(connection, ids)
                for row in connection.execute(select(files).where(files.c.id.in_(ids))):
                    found[row.id] = FileRow(**row._mapping, acknowledgement=answers.get(row.id))
        return {key: found[file_ids[key]] for key in source_keys if key in file_ids}

    def not_in_a_manifest(self, scope: Scope) -> set[str]:
        """Keys of records that were delivered as files of their own and that no delivered manifest lists yet.

        An attempt that is interrupted between its files and their manifest leaves such records.
        """
        query = (
            select(records.c.source_key)
            .join(scopes, scopes.c.id == records.c.scope_id)
            .join(files, files.c.id == records.c.file_id)
            .where(*by_scope(scopes, scope), files.c.kind == "data")
        )
        with self._reading() as connection:
            return set(connection.execute(query).scalars())

    def _of_records(self, scope: Scope, keys: Sequence[str], column: Column[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        with self._reading() as connection:
            scope_id = connection.execute(select(scopes.c.id).where(*by_scope(scopes, scope))).scalar_one_or_none()
            if scope_id is None:
                return found
            query = select(records.c.source_key, column).where(records.c.scope_id == scope_id)
            for some in chunks(keys, self._keys_per_lookup):
                rows = connection.execute(query.where(records.c.source_key.in_(some)))
                found.update((key, value) for key, value in rows)
        return found

    def _enter_delivered(self, connection: Connection, scope_id: int, run_id: str, file_ids: Sequence[int]) -> None:
        """Note the content of delivered files as what the receiver has; the database does it for all rows at once."""
        for ids in chunks(file_ids, KEYS_PER_QUERY):
            # One statement may change a row only once: of a key in several files, the latest file counts.
            ranked = (
                select(
                    file_records.c.source_key,
                    file_records.c.fingerprint,
                    file_records.c.label,
                    file_records.c.file_id,
                    files.c.delivered_at,
                    func.row_number()
                    .over(partition_by=file_records.c.source_key, order_by=file_records.c.file_id.desc())
                    .label("place"),
                )
                .join(files, files.c.id == file_records.c.file_id)
                .where(file_records.c.file_id.in_(ids))
                .subquery()
            )
            latest = select(
                literal(scope_id, records.c.scope_id.type),
                ranked.c.source_key,
                ranked.c.fingerprint,
                ranked.c.label,
                ranked.c.file_id,
                literal(run_id),
                ranked.c.delivered_at,
            ).where(ranked.c.place == 1)
            statement = self._insert(records).from_select([column.name for column in records.c], latest)
            new: Any = statement.excluded
            changes = {name: new[name] for name in ("fingerprint", "label", "file_id", "run_id", "delivered_at")}
            connection.execute(statement.on_conflict_do_update(index_elements=["scope_id", "source_key"], set_=changes))
