"""Packed records: a file of a million records keeps them as compressed columns, in the database beside the file.

A row per record in `file_records` and `records` takes a million records about 13 seconds and 250 MB; packed they take
about a second and 20 MB. They are delivered when their file is: nothing is copied, and what was delivered of a scope is
read partition by partition (`packed_records`), not looked up by key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Row, Select, insert, select
from sqlalchemy.exc import IntegrityError, NoResultFound

from tieout.ledger.database import KEYS_PER_QUERY, chunks
from tieout.ledger.files import FileStore, begun_again
from tieout.ledger.filters import by_key, by_scope
from tieout.ledger.models import files, packed_records, scopes
from tieout.ledger.rows import FileDraft, FileRow, RunKey, Scope
from tieout.ledger.scopes import ScopeStore

# Arrow is imported where records are packed or unpacked: most commands only list, and should not wait for it.
if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from tieout.ledger.packing import Packed

MOST_LINES = 100
"""Records that a search by label gives: a label, unlike a key, may be that of thousands."""

_IS_DELIVERED = files.c.state == "delivered"
_IS_VISIBLE = files.c.state != "preparing"


@dataclass(frozen=True)
class PackedLine:
    """A record found in a packed file."""

    file: FileRow
    source_key: str
    fingerprint: str
    label: str
    byte_start: int
    byte_end: int


@dataclass(frozen=True)
class PackedSearch:
    """What a search found.

    Attributes:
        lines: By scope and source key, the first file first.
        left_out: How many further lines match.
    """

    lines: Mapping[tuple[Scope, str], list[PackedLine]]
    left_out: int = 0


class PackedStore(ScopeStore, FileStore):
    """The packed records in the ledger."""

    def prepare_packed_file(
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
        packed: Iterable[tuple[str, pa.RecordBatch]],
        kind: str = "data",
    ) -> FileRow:
        """Enter a file as prepared, its records packed. As `prepare_file` otherwise.

        Args:
            key: The run that made it.
            file_name: Its final name.
            remote_path: Its final path at the receiver.
            local_uri: Where it lies in staging.
            bytes: Its size.
            sha256: Its digest, hex.
            records: How many source records are in it.
            control_totals: Money as `Decimal` or decimal text, counts as int; floats are refused.
            packed: Batches with the columns `source_key`, `fingerprint`, `label` (text), `byte_start`, `byte_end`
                (int64), each with the partition that its records belong to; streamed: read once, never held as a
                whole. A source key always belongs to the same partition: its first two parts, such as `2026|10` of
                `2026|10|417|3`.
            kind: What it is to its run: data, manifest, trigger …

        Raises:
            ValueError: The run is unknown or a dry run, a source record is in the file twice, or a batch has not
                the columns it should have.
            Superseded: The run was begun again while the records were being written.
        """
        from tieout.ledger.packing import gather, hashes, pack, repeated

        draft = FileDraft(file_name, remote_path, local_uri, bytes, sha256, records, control_totals, kind=kind)
        file_id = self._begin_file(key, draft)
        with self._writing() as connection:
            scope_id = self._scope_id(connection, key.scope)
        seen: list[np.ndarray] = []
        # One short transaction per chunk: other writers need not wait for a million records.
        for number, (partition, chunk) in enumerate(gather(packed)):
            seen.append(hashes(chunk["source_key"]))
            row = {"file_id": file_id, "chunk": number, "scope_id": scope_id, "partition": partition}
            row |= pack(chunk)._asdict()
            try:
                with self._writing() as connection:
                    connection.execute(insert(packed_records), row)
            except IntegrityError as error:
                # Its file is gone.
                raise begun_again(file_name) from error
        self._refuse_repeated(file_id, file_name, repeated(seen))
        return self._publish_file(key, file_id, file_name)

    def packed_records(self, scope: Scope, partition: str) -> Iterator[tuple[int, pa.RecordBatch]]:
        """All records of a partition in delivered packed files, newest file last, a chunk at a time.

        A record that was delivered several times comes several times; the last one is what the receiver has.

        Yields:
            The file's id, and a batch with the columns given to `prepare_packed_file`.
        """
        from tieout.ledger.packing import unpack

        chosen = (*by_scope(scopes, scope), packed_records.c.partition == partition, _IS_DELIVERED)
        with self._reading() as connection:
            places = connection.execute(_places(*chosen)).all()
        for place in places:
            # A transaction each: the caller may take long over a batch.
            with self._reading() as connection:
                packed = _fetch(connection, place)
            yield place.file_id, unpack(packed)

    def packed_partitions(self, scope: Scope) -> list[str]:
        """The partitions of a scope that delivered packed files have records of, sorted as texts."""
        query = (
            select(packed_records.c.partition)
            .distinct()
            .join(scopes, scopes.c.id == packed_records.c.scope_id)
            .join(files, files.c.id == packed_records.c.file_id)
            .where(*by_scope(scopes, scope), _IS_DELIVERED)
        )
        with self._reading() as connection:
            return sorted(connection.execute(query).scalars())

    def _refuse_repeated(self, file_id: int, file_name: str, suspects: np.ndarray) -> None:
        """Look closer at keys whose hashes are the same.

        Raises:
            ValueError: A key is in the file twice.
        """
        if not len(suspects):
            return
        import numpy as np

        from tieout.ledger.packing import hashes

        seen: set[str] = set()
        with self._reading() as connection:
            for keys in packed_keys(connection, [file_id]):
                for position in np.flatnonzero(np.isin(hashes(keys), suspects)):
                    key = keys[int(position)].as_py()
                    if key in seen:
                        raise ValueError(
                            f"Source record {key!r} is in file {file_name} twice; every record has one place in a file."
                        )
                    seen.add(key)


def any_packed(connection: Connection, file_ids: Sequence[int]) -> bool:
    """Whether one of these files has packed records."""
    some = select(packed_records.c.file_id).limit(1)
    return any(
        connection.execute(some.where(packed_records.c.file_id.in_(ids))).first() is not None
        for ids in chunks(file_ids, KEYS_PER_QUERY)
    )


def packed_keys(connection: Connection, file_ids: Sequence[int]) -> Iterator[pa.ChunkedArray]:
    """Source keys of all packed records of these files, a chunk at a time."""
    for ids in chunks(file_ids, KEYS_PER_QUERY):
        for place in connection.execute(_places(packed_records.c.file_id.in_(ids))).all():
            yield _lines(connection, place, "source_key")["source_key"]


def packed_among(connection: Connection, file_ids: Sequence[int], keys: Sequence[str]) -> Iterator[list[str]]:
    """Those of the keys that are in these packed files, a chunk at a time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(keys, pa.string())
    for found in packed_keys(connection, file_ids):
        yield found.filter(pc.is_in(found, value_set=wanted)).to_pylist()


def count_packed(connection: Connection, key: RunKey) -> int:
    """How many different source records are in the run's delivered packed files."""
    query = (
        select(packed_records.c.file_id, packed_records.c.partition, packed_records.c.records)
        .join(files, files.c.id == packed_records.c.file_id)
        .where(*by_key(files, key), _IS_DELIVERED)
    )
    files_of: dict[str, set[int]] = {}
    counts: dict[str, int] = {}
    for file_id, partition, records in connection.execute(query):
        files_of.setdefault(partition, set()).add(file_id)
        counts[partition] = counts.get(partition, 0) + records
    # A record is in a file once: only where several files have the same partition, it may be counted twice.
    for partition, file_ids in files_of.items():
        if len(file_ids) > 1:
            counts[partition] = _distinct(connection, partition, sorted(file_ids))
    return sum(counts.values())


def find_lines(connection: Connection, key: str, scope: Scope | None = None, *, by_label: bool = True) -> PackedSearch:
    """Find packed records by source key or label.

    Where the key's own partition is there, only that is looked through; for anything else, all partitions.

    Args:
        connection: The caller's transaction.
        key: A source key or a label.
        scope: Only this scope's.
        by_label: Look at labels, too.
    """
    if not key:
        return PackedSearch({})
    where = [_IS_VISIBLE, *(by_scope(scopes, scope) if scope else ())]
    partition = "|".join(key.split("|")[:2])
    names: tuple[str, ...] = ("source_key", "label") if by_label else ("source_key",)
    places = connection.execute(_places(*where, packed_records.c.partition == partition)).all()
    if not places:
        # Keys of packed records have parts; a name without any can only be a label.
        if "|" not in key:
            names = names[1:]
        places = connection.execute(_places(*where)).all() if names else []
    found: dict[tuple[Scope, str], list[PackedLine]] = {}
    left_out = 0
    for place in places:
        try:
            positions = _positions(connection, place, key, names)
            lines = _take(connection, place, positions[: MOST_LINES - len(found)])
        except NoResultFound:
            continue  # prepared, and replaced meanwhile
        left_out += len(positions) - len(lines)
        for line in lines:
            found.setdefault((line.file.key.scope, line.source_key), []).append(line)
    return PackedSearch(found, left_out)


def _places(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Where chunks lie, the oldest file's first; without the chunks themselves."""
    return (
        select(packed_records.c.file_id, packed_records.c.chunk)
        .join(scopes, scopes.c.id == packed_records.c.scope_id)
        .join(files, files.c.id == packed_records.c.file_id)
        .where(*conditions)
        .order_by(packed_records.c.file_id, packed_records.c.chunk)
    )


def _at(place: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    return (packed_records.c.file_id == place.file_id, packed_records.c.chunk == place.chunk)


def _fetch(connection: Connection, place: Row[Any]) -> Packed:
    from tieout.ledger.packing import Packed

    columns = (packed_records.c.records, packed_records.c.lines, packed_records.c.fingerprints)
    return Packed(*connection.execute(select(*columns).where(*_at(place))).one())


def _lines(connection: Connection, place: Row[Any], *columns: str) -> pa.Table:
    from tieout.ledger.packing import unpack_lines

    data: bytes = connection.execute(select(packed_records.c.lines).where(*_at(place))).scalar_one()
    return unpack_lines(data, columns)


def _positions(connection: Connection, place: Row[Any], key: str, names: Sequence[str]) -> list[int]:
    import numpy as np
    import pyarrow.compute as pc

    lines = _lines(connection, place, *names)
    hits = np.zeros(lines.num_rows, bool)
    for name in names:
        hits |= pc.equal(lines[name], key).to_numpy()
    return [int(position) for position in np.flatnonzero(hits)]


def _take(connection: Connection, place: Row[Any], positions: Sequence[int]) -> list[PackedLine]:
    from tieout.ledger.packing import unpack

    if not positions:
        return []
    file = FileRow(**connection.execute(select(files).where(files.c.id == place.file_id)).one()._mapping)
    return [PackedLine(file, **row) for row in unpack(_fetch(connection, place)).take(positions).to_pylist()]


def _distinct(connection: Connection, partition: str, file_ids: Sequence[int]) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    chosen = (packed_records.c.partition == partition, packed_records.c.file_id.in_(file_ids))
    places = connection.execute(_places(*chosen)).all()
    parts = [_lines(connection, place, "source_key")["source_key"].combine_chunks() for place in places]
    count: int = pc.count_distinct(pa.chunked_array(parts, pa.string())).as_py()
    return count
