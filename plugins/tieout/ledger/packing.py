"""Packs a file's records into compressed columns, for files that have too many of them for a database row each.

A chunk becomes two blobs of Parquet, so that a key or a label is looked up without reading the fingerprints, which are
four fifths of the bytes and do not compress. A million records take about 8 MB for keys, labels and byte ranges, and
half the characters of their fingerprints where these are hexadecimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

CHUNK_RECORDS = 65_536
"""Records in a chunk: few enough to hold in memory, enough to compress well."""

PACKED_SCHEMA = pa.schema(
    [
        ("source_key", pa.string()),
        ("fingerprint", pa.string()),
        ("label", pa.string()),
        ("byte_start", pa.int64()),
        ("byte_end", pa.int64()),
    ]
)
"""What is packed, and what comes out again: the fields of a `FileRecord`."""

# Chunks of several partitions may be filled at once; all of them together stay below this.
_MOST_GATHERED = 4 * CHUNK_RECORDS

_ENCODINGS: Mapping[str, str] = {
    "source_key": "DELTA_BYTE_ARRAY",
    "label": "DELTA_BYTE_ARRAY",
    "byte_start": "DELTA_BINARY_PACKED",
    "length": "DELTA_BINARY_PACKED",
    "fingerprint": "PLAIN",
}


class Packed(NamedTuple):
    """A chunk as it is stored.

    Attributes:
        records: How many there are.
        lines: Their source keys, labels and byte ranges.
        fingerprints: Their fingerprints, in the same order.
    """

    records: int
    lines: bytes
    fingerprints: bytes


def gather(batches: Iterable[tuple[str, pa.RecordBatch]]) -> Iterator[tuple[str, pa.Table]]:
    """Put the batches of a partition together into chunks of `CHUNK_RECORDS`, the last ones excepted.

    Args:
        batches: Batches of any size with their partitions, in any order.

    Yields:
        Partition and chunk. Of one partition, the records keep their order.

    Raises:
        ValueError: A batch lacks a column, a value is missing, or a column is of another kind.
    """
    waiting: dict[str, list[pa.Table]] = {}
    counts: dict[str, int] = {}
    for partition, batch in batches:
        waiting.setdefault(partition, []).append(_conformed(batch))
        counts[partition] = counts.get(partition, 0) + batch.num_rows
        if counts[partition] >= CHUNK_RECORDS:
            gathered = pa.concat_tables(waiting.pop(partition))
            full = counts.pop(partition) // CHUNK_RECORDS * CHUNK_RECORDS
            for start in range(0, full, CHUNK_RECORDS):
                yield partition, gathered.slice(start, CHUNK_RECORDS)
            if full < gathered.num_rows:
                waiting[partition], counts[partition] = [gathered.slice(full)], gathered.num_rows - full
        if sum(counts.values()) >= _MOST_GATHERED:
            largest = max(counts, key=lambda name: counts[name])
            counts.pop(largest)
            yield largest, pa.concat_tables(waiting.pop(largest))
    for partition, tables in waiting.items():
        if counts[partition]:
            yield partition, pa.concat_tables(tables)


def pack(chunk: pa.Table) -> Packed:
    """Compress a chunk (`PACKED_SCHEMA`)."""
    chunk = chunk.combine_chunks()
    length = pc.subtract_checked(chunk["byte_end"], chunk["byte_start"])
    lines = chunk.select(["source_key", "label", "byte_start"]).append_column("length", length)
    fingerprints = pa.table({"fingerprint": _as_bytes(chunk["fingerprint"])})
    return Packed(chunk.num_rows, _compressed(lines), _compressed(fingerprints))


def unpack(packed: Packed) -> pa.RecordBatch:
    """A chunk as it was."""
    lines = unpack_lines(packed.lines, ("source_key", "label", "byte_start", "length"))
    columns = {
        "source_key": lines["source_key"],
        "fingerprint": unpack_fingerprints(packed.fingerprints),
        "label": lines["label"],
        "byte_start": lines["byte_start"],
        "byte_end": pc.add(lines["byte_start"], lines["length"]),
    }
    return pa.table(columns, schema=PACKED_SCHEMA).combine_chunks().to_batches()[0]


def unpack_lines(lines: bytes, columns: Sequence[str]) -> pa.Table:
    """Some columns of a chunk's `lines`: source_key, label, byte_start, length."""
    return pq.read_table(pa.BufferReader(lines), columns=list(columns), use_threads=False)


def unpack_fingerprints(fingerprints: bytes) -> pa.ChunkedArray:
    """A chunk's fingerprints, as the text they were."""
    stored = pq.read_table(pa.BufferReader(fingerprints), use_threads=False)["fingerprint"]
    if not pa.types.is_fixed_size_binary(stored.type):
        return stored
    digits = b"".join(stored.to_pylist()).hex()
    width = 2 * stored.type.byte_width
    offsets = np.arange(len(stored) + 1, dtype=np.int32) * width
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(digits.encode())]
    return pa.chunked_array([pa.Array.from_buffers(pa.string(), len(stored), buffers)])


def hashes(keys: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """A 64-bit number per key, the same for the same key in this process; eight bytes instead of a text."""
    return np.fromiter(map(hash, keys.to_pylist()), dtype=np.int64, count=len(keys))


def repeated(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The hashes that occur more than once."""
    if not parts:
        return np.empty(0, np.int64)
    together = np.concatenate(parts)
    together.sort()
    return np.unique(together[1:][together[1:] == together[:-1]])


def _conformed(batch: pa.RecordBatch) -> pa.Table:
    missing = [name for name in PACKED_SCHEMA.names if name not in batch.schema.names]
    if missing:
        raise ValueError(f"A batch of packed records lacks the column {', '.join(missing)}.")
    table = pa.Table.from_batches([batch]).select(PACKED_SCHEMA.names)
    try:
        table = table.cast(PACKED_SCHEMA)
    except pa.ArrowException as error:
        raise ValueError(f"A batch of packed records has a column of another kind than it should: {error}") from error
    for name in PACKED_SCHEMA.names:
        if table[name].null_count:
            raise ValueError(f"A batch of packed records has a record without {name}.")
    return table


def _as_bytes(fingerprints: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Hexadecimal digests of one length as bytes, half the size; anything else as it is."""
    width = len(fingerprints[0].as_py())
    if width == 0 or width % 2 or pc.any(pc.not_equal(pc.binary_length(fingerprints), width)).as_py():
        return fingerprints
    digits = "".join(fingerprints.to_pylist())
    try:
        digests = bytes.fromhex(digits)
    except ValueError:
        return fingerprints
    if digests.hex() != digits:  # capitals, or blanks, which fromhex passes over
        return fingerprints
    stored = pa.binary(width // 2)
    return pa.Array.from_buffers(stored, len(fingerprints), [None, pa.py_buffer(digests)])


def _compressed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=False,
        column_encoding={name: _ENCODINGS[name] for name in table.column_names},
        write_statistics=False,
        store_schema=False,
    )
    return bytes(sink.getvalue())
