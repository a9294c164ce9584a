"""Documents with their lines: two tables read one after the other, joined on disk.

Both come in the server's order of their keys, which are texts of an unknown collation. Nothing is taken from that
order: headers are put aside in chunks, each line goes to the chunk of its header, and one chunk at a time is put
together. Memory holds a chunk and the headers' keys, whatever the order and the number of lines.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tieout.errors import ContractBroken
from tieout.odata.layout import KEY, RAW
from tieout.systems.syspro.columns import batch_schema
from tieout.systems.syspro.tables import TableRead

CHUNK = 2_000
"""Headers that are put together at once."""

_AT = "_at"
# How a row ends as OData sends it and as COMFND does, and what stands around, between and after the lines in it.
_JSON = (b"}", b',"%b":[', b",", b"]}")
_XML = (b"</Row>", b"<%b>", b"", b"</%b></Row>")


class DocumentLines:
    """Puts the rows of a line table into a list column of their headers.

    Args:
        read: The read of the line table, whose key begins with the header's.
        header_key: How many columns the header's key has.

    Attributes:
        unclaimed: Lines whose header was not among those given.
    """

    def __init__(self, read: TableRead, header_key: int) -> None:
        self._name = read.table.name
        self._members = [entry for entry in batch_schema(read) if entry.name not in (KEY, RAW)]
        self._key = read.table.key[:header_key]
        self._order = read.table.key[header_key:]
        self.unclaimed = 0

    def nested(self, headers: Iterable[pa.RecordBatch], lines: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The headers in their order, with a column of the line table's name: list<struct>, empty without lines.

        `_raw` becomes the header's original row with the original rows of its lines in it, under the table's name.

        Raises:
            ContractBroken: A header comes twice.
        """
        with tempfile.TemporaryDirectory(prefix="tieout-lines-") as scratch:
            put_aside = _Chunks(Path(scratch), "headers")
            positions = self._put_aside(headers, put_aside)
            claimed = _Chunks(Path(scratch), "lines")
            for batch in lines:
                self._claim(batch, positions, claimed)
            del positions
            for number in range(put_aside.count):
                chunk = put_aside.read(number)
                assert chunk is not None, "positions have no gaps"
                yield self._joined(chunk, claimed.read(number))

    def _put_aside(self, headers: Iterable[pa.RecordBatch], chunks: _Chunks) -> dict[str, int]:
        positions: dict[str, int] = {}
        for batch in headers:
            before = len(positions)
            keys = batch.column(KEY).to_pylist()
            positions.update(zip(keys, range(before, before + len(keys)), strict=True))
            if len(positions) != before + len(keys):
                raise ContractBroken(
                    f"SYSPRO lists a document of {self._name} twice in one read. Nothing of this read is used; run it "
                    "again."
                )
            chunks.add(batch, np.arange(before, before + len(keys)))
        return positions

    def _claim(self, lines: pa.RecordBatch, positions: dict[str, int], chunks: _Chunks) -> None:
        texts = [pc.fill_null(lines.column(name).cast(pa.string()), "") for name in self._key]
        keys = pc.binary_join_element_wise(*texts, "|").dictionary_encode()
        known = np.array([positions.get(key, -1) for key in keys.dictionary.to_pylist()], dtype=np.int64)
        at = known[keys.indices.to_numpy()]
        there = at >= 0
        self.unclaimed += int((~there).sum())
        if there.any():
            mine = lines.append_column(_AT, pa.array(at))
            chunks.add(mine if there.all() else mine.filter(pa.array(there)), at[there])

    def _joined(self, headers: pa.Table, lines: pa.Table | None) -> pa.RecordBatch:
        batch = headers.combine_chunks().to_batches()[0]
        if lines is None:
            lines = pa.schema([*self._members, (RAW, pa.binary()), (_AT, pa.int64())]).empty_table()
        lines = lines.sort_by([(_AT, "ascending"), *((name, "ascending") for name in self._order)])
        counts = np.bincount(lines[_AT].to_numpy() % CHUNK, minlength=batch.num_rows)
        offsets = pa.array(np.concatenate(([0], np.cumsum(counts))), pa.int32())
        members = [_array(lines[entry.name]) for entry in self._members]
        structs = pa.StructArray.from_arrays(members, fields=self._members)
        raw = self._raw(batch.column(RAW), pa.ListArray.from_arrays(offsets, _array(lines[RAW])), counts > 0)
        batch = batch.set_column(batch.schema.get_field_index(RAW), RAW, raw)
        return batch.append_column(self._name, pa.ListArray.from_arrays(offsets, structs))

    def _raw(self, headers: pa.Array, lines: pa.ListArray, has_lines: npt.NDArray[np.bool_]) -> pa.Array:
        name = self._name.encode()
        result = headers
        for end, opening, between, closing in (_JSON, _XML):
            fits = pc.and_(pc.ends_with(headers, pattern=end), pa.array(has_lines))
            whole = pc.binary_join_element_wise(
                pc.binary_slice(headers, 0, -len(end)),
                opening.replace(b"%b", name),
                pc.binary_join(lines, between),
                closing.replace(b"%b", name),
                b"",
            )
            result = pc.if_else(fits, whole, result)
        return result


class _Chunks:
    """Rows on disk, by the chunk that their header's position falls into; no file stays open."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._schema: pa.Schema | None = None
        self.count = 0

    def add(self, batch: pa.RecordBatch, at: npt.NDArray[np.int64]) -> None:
        """Adds rows, given the position of each one's header."""
        self._schema = batch.schema
        numbers = at // CHUNK
        for number in np.unique(numbers).tolist():
            mine = numbers == number
            with self._path(number).open("ab") as file:
                file.write((batch if mine.all() else batch.filter(pa.array(mine))).serialize())
            self.count = max(self.count, number + 1)

    def read(self, number: int) -> pa.Table | None:
        """A chunk's rows in the order they came, None when there are none; it can be read once, after all is added."""
        path = self._path(number)
        if not path.exists():
            return None
        batches = []
        with pa.OSFile(str(path)) as file:
            while file.tell() < file.size():
                batches.append(pa.ipc.read_record_batch(pa.ipc.read_message(file), self._schema))
        path.unlink()
        return pa.Table.from_batches(batches)

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number}.arrow"


def _array(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)
