"""A period's postings in the order of cost centres and accounts, whatever their number, in flat memory.

Postings come in the order of SYSPRO's key and are put into buckets on the local disk, each with some of the groups in
the order of the file; a bucket is sorted when it is read. A group that is larger than a bucket has one of its own and
needs no sorting, since within a group SYSPRO's order stays.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BUCKET_ROWS = 60_000
BATCH_ROWS = 10_000
GROUP = "_group"


class Grouped:
    """Postings by group. Use as a context manager: the buckets vanish at its end.

    Args:
        schema: Of the batches.
        sizes: How many postings each group will have; groups are numbered in the order of the file.
    """

    def __init__(self, schema: pa.Schema, sizes: npt.NDArray[np.int64]) -> None:
        self._schema = schema.append(pa.field(GROUP, pa.int32()))
        self._bucket_of, self._single = _buckets(sizes)
        self._stack = ExitStack()
        self._writers: dict[int, pa.ipc.RecordBatchFileWriter] = {}

    def __enter__(self) -> Grouped:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tieout-groups-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, batch: pa.RecordBatch, groups: npt.NDArray[np.int32]) -> None:
        """More postings, each with the number of its group."""
        if batch.num_rows == 0:
            return
        buckets = self._bucket_of[groups]
        order = np.argsort(buckets, kind="stable")
        with_group = batch.append_column(GROUP, pa.array(groups, pa.int32())).take(pa.array(order))
        present, starts = np.unique(buckets[order], return_index=True)
        for bucket, start, end in zip(present.tolist(), starts, [*starts[1:], len(order)], strict=True):
            self._writer(bucket).write_batch(with_group.slice(start, end - start))

    def _writer(self, bucket: int) -> pa.ipc.RecordBatchFileWriter:
        writer = self._writers.get(bucket)
        if writer is None:
            sink = self._stack.enter_context(pa.OSFile(str(self._path(bucket)), "wb"))
            writer = self._stack.enter_context(pa.ipc.new_stream(sink, self._schema))
            self._writers[bucket] = writer
        return writer

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket}.arrows"

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All postings in the order of their groups; nothing can be added any more."""
        for writer in self._writers.values():
            writer.close()
        for bucket in sorted(self._writers):
            with pa.OSFile(str(self._path(bucket)), "rb") as file, pa.ipc.open_stream(file) as stream:
                if self._single[bucket]:
                    for batch in stream:
                        yield batch.drop_columns([GROUP])
                    continue
                table = stream.read_all()
            order = np.argsort(table.column(GROUP).to_numpy(), kind="stable")
            whole = table.drop_columns([GROUP]).combine_chunks().to_batches()[0]
            del table
            for start in range(0, len(order), BATCH_ROWS):
                yield whole.take(pa.array(order[start : start + BATCH_ROWS]))


def _buckets(sizes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], list[bool]]:
    """The bucket of each group, and for each bucket whether it has one group only."""
    bucket_of = np.zeros(len(sizes), np.int64)
    single: list[bool] = []
    filled = BUCKET_ROWS + 1
    for group, size in enumerate(sizes.tolist()):
        if size == 0:
            continue
        if filled + size > BUCKET_ROWS:
            single.append(True)
            filled = 0
        else:
            single[-1] = single[-1] and filled == 0
        filled += size
        bucket_of[group] = len(single) - 1
    return bucket_of, single


def in_order(keys: list[tuple[str, str]]) -> npt.NDArray[np.int32]:
    """For each key of a group its number in the order of the file: by the bytes of the texts; equal ones share it."""
    unique = sorted(set(keys), key=lambda key: tuple(part.encode() for part in key))
    number = {key: position for position, key in enumerate(unique)}
    return np.array([number[key] for key in keys], np.int32)


def sums_by_group(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Per cost centre and account of a batch: their `postings`, `debit` and `credit` (not negative)."""
    amount = batch.column("amount")
    zero = pa.scalar(0, amount.type)
    table = pa.table(
        {
            "cost_centre": batch.column("cost_centre"),
            "account": batch.column("account"),
            "debit": pc.if_else(pc.greater(amount, zero), amount, zero),
            "credit": pc.if_else(pc.less(amount, zero), pc.negate(amount), zero),
        }
    )
    sums = table.group_by(["cost_centre", "account"], use_threads=False).aggregate(
        [("debit", "sum"), ("credit", "sum"), ([], "count_all")]
    )
    yield from sums.rename_columns({"debit_sum": "debit", "credit_sum": "credit", "count_all": "postings"}).to_pylist()
