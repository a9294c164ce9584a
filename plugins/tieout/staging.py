"""Staged data between the stages of a run: Parquet part files in a folder, local or in an object store.

A folder is anything that behaves like a `pathlib.Path`: a `Path`, a `upath.UPath`, Airflow's `ObjectStoragePath`.
A part file appears under its name only when it is complete: on a local disk it is written under a temporary name
and renamed, elsewhere it is built locally and then put in one piece.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

log = logging.getLogger(__name__)

PART_PREFIX = "part-"
PART_SUFFIX = ".parquet"
_TEMPORARY_MARK = ".tmp-"
_LOCAL_PROTOCOLS = ("", "file", "local")

_ROW_GROUP_BYTES = 16 * 1024 * 1024
_ROW_GROUP_ROWS = 10_000


@runtime_checkable
class StagedPath(Protocol):
    """What the core needs of a path; `pathlib.Path`, `UPath` and `ObjectStoragePath` all have it."""

    @property
    def name(self) -> str:
        """The last component."""
        ...

    def __truediv__(self, other: str, /) -> StagedPath:
        """The path of a child."""
        ...

    def open(self, mode: str) -> IO[Any]:
        """Opens the file, `rb` or `wb`."""
        ...

    def exists(self) -> bool:
        """Whether there is a file or folder of this name."""
        ...

    def mkdir(self, *, parents: bool = ..., exist_ok: bool = ...) -> None:
        """Makes the folder."""
        ...

    def iterdir(self) -> Iterator[Any]:
        """The children of a folder."""
        ...

    def unlink(self) -> None:
        """Removes the file."""
        ...


Folder = StagedPath


def local_path(path: StagedPath) -> Path | None:
    """The path on the local disk, or None when it lies in an object store."""
    protocol = getattr(path, "protocol", "" if isinstance(path, Path) else None)
    return Path(str(getattr(path, "path", path))) if protocol in _LOCAL_PROTOCOLS else None


def write_bytes_atomically(path: StagedPath, chunks: Iterable[bytes]) -> int:
    """Writes a file of which nobody ever sees a half under its own name.

    Args:
        path: Where to; its folder exists.
        chunks: The content, streamed.

    Returns:
        The number of bytes written.
    """
    written = 0
    with _CompleteFile(path) as file:
        for chunk in chunks:
            file.write(chunk)
            written += len(chunk)
    return written


class _CompleteFile:
    """A local file under a temporary name that becomes `path` when the block ends well, and vanishes otherwise."""

    def __init__(self, path: StagedPath) -> None:
        self._target = path
        self._local = local_path(path)
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if self._local is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="tieout-staging-")
            self._temporary = Path(self._scratch.name) / "content"
        else:
            name = f".{self._local.name}{_TEMPORARY_MARK}{os.getpid()}-{secrets.token_hex(4)}"
            self._temporary = self._local.with_name(name)
        self.file: IO[bytes] = self._temporary.open("wb")

    def __enter__(self) -> IO[bytes]:
        return self.file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.complete()
        else:
            self.abandon()

    def complete(self) -> None:
        """Gives the file its name."""
        try:
            self._publish()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Removes what is there of the file under its temporary name."""
        self.file.close()
        with suppress(FileNotFoundError):
            self._temporary.unlink()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _publish(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if self._local is not None:
            os.replace(self._temporary, self._local)
            return
        # An object store shows an object only once it was put whole, but an upload that is broken off by an
        # exception would still be completed by the file's own `close`. Hence the local copy first.
        with self._temporary.open("rb") as source, self._target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1024 * 1024)


@dataclass(frozen=True)
class Part:
    """One finished part file: `name` in its folder, `records`, `bytes`, and the `sha256` of its content in hex."""

    name: str
    records: int
    bytes: int
    sha256: str


def part_name(walk: int, sequence: int) -> str:
    """The name of a part file: parts of one walk follow each other, walks are in key order.

    >>> part_name(3, 0)
    'part-00003-00000.parquet'
    """
    return f"{PART_PREFIX}{walk:05d}-{sequence:05d}{PART_SUFFIX}"


def is_part(name: str) -> bool:
    """Whether a file name is that of a finished part."""
    return name.startswith(PART_PREFIX) and name.endswith(PART_SUFFIX)


def remove_parts(folder: Folder) -> None:
    """Removes what an earlier attempt left: its parts, and temporary files that it had no time to remove."""
    if not folder.exists():
        return
    for path in list(folder.iterdir()):
        if is_part(path.name) or (path.name.startswith(f".{PART_PREFIX}") and _TEMPORARY_MARK in path.name):
            path.unlink()


class PartWriter:
    """Writes tables of one key range to part files, in row groups of bounded size.

    A part file has one schema. When a table brings custom fields that were not there before, a new part file begins;
    readers unify. The bytes depend on the tables alone, not on the clock: the same data gives the same files.

    Use as a context manager: when the block fails, the unfinished part is removed.
    """

    def __init__(self, folder: Folder, walk: int = 0) -> None:
        self._folder = folder
        self._walk = walk
        self._schema: pa.Schema | None = None
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0
        self._pending_rows = 0
        self._open: _OpenPart | None = None
        self.parts: list[Part] = []

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish_part()
        elif self._open is not None:
            self._open.abandon()

    def write(self, table: pa.Table) -> None:
        """Adds the records of a table in the staged layout, after those written before."""
        if self._schema is None:
            self._schema = table.schema
        elif not table.schema.equals(self._schema):
            union = union_schema([self._schema, table.schema])
            if not union.equals(self._schema):
                self._finish_part()
                self._schema = union
            table = conform(table, union)
        self._pending.append(table)
        self._pending_rows += table.num_rows
        self._pending_bytes += table.nbytes
        if self._pending_rows >= _ROW_GROUP_ROWS or self._pending_bytes >= _ROW_GROUP_BYTES:
            self._write_row_group()

    def _write_row_group(self) -> None:
        if not self._pending_rows:
            return
        assert self._schema is not None
        if self._open is None:
            self._open = _OpenPart(self._folder / part_name(self._walk, len(self.parts)), self._schema)
        self._open.write(pa.concat_tables(self._pending))
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _finish_part(self) -> None:
        self._write_row_group()
        if self._open is not None:
            self.parts.append(self._open.complete())
            self._open = None


class _OpenPart:
    """A part file that is being written."""

    def __init__(self, path: StagedPath, schema: pa.Schema) -> None:
        self._path = path
        self._records = 0
        self._file = _CompleteFile(path)
        self._sink = _Hashing(self._file.file)
        # The original bytes never repeat: a dictionary of them costs memory and gains nothing.
        dictionaries = _leaf_paths(schema, without=("_raw",))
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd", use_dictionary=dictionaries)

    def write(self, table: pa.Table) -> None:
        self._records += table.num_rows
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))

    def complete(self) -> Part:
        try:
            self._writer.close()
        except BaseException:
            self._file.abandon()
            raise
        self._file.complete()
        return Part(self._path.name, self._records, self._sink.size, self._sink.digest.hexdigest())

    def abandon(self) -> None:
        with suppress(Exception):
            self._writer.close()
        self._file.abandon()


class _Hashing:
    """A write-only file that hashes what passes, so that a part need not be read again for its digest."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.digest.update(view)
        self.size += view.nbytes
        self._file.write(view)
        return view.nbytes

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Left to the owner of the file."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def _leaf_paths(schema: pa.Schema, without: Sequence[str]) -> list[str]:
    paths: list[str] = []

    def visit(path: str, kind: pa.DataType) -> None:
        if pa.types.is_list(kind):
            visit(f"{path}.list.element", kind.value_type)
        elif pa.types.is_struct(kind):
            for child in kind:
                visit(f"{path}.{child.name}", child.type)
        else:
            paths.append(path)

    for entry in schema:
        if entry.name not in without:
            visit(entry.name, entry.type)
    return paths


def part_paths(folder: Folder, names: Sequence[str] | None = None) -> list[StagedPath]:
    """The part files of a folder in name order, which is key order.

    Args:
        folder: The folder of one entity.
        names: The parts of a manifest; None takes those that are there.

    Raises:
        FileNotFoundError: A named part is missing.
    """
    if names is None:
        found = [path for path in folder.iterdir() if is_part(path.name)] if folder.exists() else []
        return sorted(found, key=lambda path: str(path.name))
    paths = [folder / name for name in sorted(names)]
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"The staged part {path} is missing; run the extraction of this entity again.")
    return paths


def parts_schema(paths: Iterable[StagedPath]) -> pa.Schema:
    """The union of the schemas of part files: custom fields that only some of them have are in it."""
    schemas = []
    for path in paths:
        with path.open("rb") as file:
            schemas.append(pq.read_schema(file).remove_metadata())
    return union_schema(schemas)


def read_parts(
    folder: Folder,
    columns: Sequence[str] | None = None,
    batch_rows: int = 5_000,
    *,
    names: Sequence[str] | None = None,
    schema: pa.Schema | None = None,
) -> Iterator[pa.RecordBatch]:
    """Streams the records of a staged entity, in key order; memory is bounded by one row group.

    Args:
        folder: The folder of one entity.
        columns: Only these columns (a collection comes whole); None for all. A column that no part has is refused.
        batch_rows: Most records per batch.
        names: The parts of a manifest; None takes those that are there.
        schema: The layout that every batch shall have, e.g. of `tieout.odata.layout.staged_schema` with the
            manifest's custom fields; by default the union over the parts. What a part lacks is null.

    Raises:
        KeyError: A wanted column does not exist.
        FileNotFoundError: A named part is missing.
    """
    paths = part_paths(folder, names)
    wanted = parts_schema(paths) if schema is None else schema
    if columns is not None and (paths or schema is not None):
        missing = [name for name in columns if name not in wanted.names]
        if missing:
            raise KeyError(f"The staged records in {folder} have no column {', '.join(missing)}.")
        wanted = pa.schema([wanted.field(name) for name in columns])
    for path in paths:
        with path.open("rb") as file:
            yield from _read_part(file, wanted, batch_rows)


def _read_part(file: IO[bytes], wanted: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    parquet = pq.ParquetFile(file, pre_buffer=False)
    present = [name for name in wanted.names if name in parquet.schema_arrow.names]
    if not present:
        for group in range(parquet.num_row_groups):
            yield _nulls(wanted, parquet.metadata.row_group(group).num_rows)
        return
    # One row group after another: `iter_batches` over all of them may read ahead.
    for group in range(parquet.num_row_groups):
        for batch in parquet.iter_batches(batch_rows, row_groups=[group], columns=present):
            yield conform(pa.Table.from_batches([batch]), wanted).combine_chunks().to_batches()[0]


def _nulls(schema: pa.Schema, rows: int) -> pa.RecordBatch:
    return pa.record_batch([pa.nulls(rows, entry.type) for entry in schema], schema=schema)


def union_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """All columns of all schemas, members of nested ones included, in the order of their first appearance.

    Raises:
        TypeError: One name has two types.
    """
    columns: dict[str, pa.DataType] = {}
    for schema in schemas:
        for entry in schema:
            known = columns.get(entry.name)
            columns[entry.name] = entry.type if known is None else _union_type(entry.name, known, entry.type)
    return pa.schema(list(columns.items()))


def _union_type(name: str, left: pa.DataType, right: pa.DataType) -> pa.DataType:
    if left.equals(right):
        return left
    if pa.types.is_list(left) and pa.types.is_list(right):
        return pa.list_(_union_type(name, left.value_type, right.value_type))
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        return pa.struct(list(union_schema([pa.schema(list(left)), pa.schema(list(right))])))
    raise TypeError(f"The staged column {name} is {left} in one part and {right} in another.")


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly the columns of `schema`: missing ones, members of nested ones too, are null."""
    if table.schema.equals(schema):
        return table
    columns = []
    for entry in schema:
        if entry.name in table.column_names:
            columns.append(_conform_array(_one_chunk(table[entry.name]), entry.type))
        else:
            columns.append(pa.nulls(table.num_rows, entry.type))
    return pa.table(columns, schema=schema)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _conform_array(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type.equals(kind):
        return array
    if pa.types.is_list(kind) and pa.types.is_list(array.type):
        return map_elements(array, lambda elements: _conform_array(elements, kind.value_type))
    if pa.types.is_struct(kind) and pa.types.is_struct(array.type):
        present = {child.name: values for child, values in zip(array.type, array.flatten(), strict=True)}
        members = [
            _conform_array(present[child.name], child.type)
            if child.name in present
            else pa.nulls(len(array), child.type)
            for child in kind
        ]
        return pa.StructArray.from_arrays(members, fields=list(kind), mask=array.is_null())
    return array.cast(kind)


def map_elements(array: pa.ListArray, change: Callable[[pa.Array], pa.Array]) -> pa.ListArray:
    """The list array with `change` applied to its flattened elements; null lists and slices are kept as they are."""
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
    elements = change(array.flatten())
    return pa.ListArray.from_arrays(offsets, elements, mask=array.is_null())
