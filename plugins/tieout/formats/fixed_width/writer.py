"""Writes a fixed-width file: record batches in, the file's bytes out, a block at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tieout.errors import ConfigurationInvalid, DoesNotTieOut
from tieout.formats.fixed_width.charset import Bytes, Charset
from tieout.formats.fixed_width.groups import Groups
from tieout.formats.fixed_width.misfits import Misfit, Report, ValueDoesNotFit
from tieout.formats.fixed_width.records import RecordKind
from tieout.formats.fixed_width.spec import FixedWidthSpec
from tieout.formats.fixed_width.totals import Totals

Offsets = npt.NDArray[np.int64]
Values = Mapping[str, object]


@dataclass(frozen=True)
class FixedBlock:
    """A piece of the file.

    Attributes:
        data: Its bytes.
        offsets: Where each detail of the batch begins in `data`; empty where the block holds no details.
        length: Bytes of each detail, with its separator.
        substituted: Characters that were replaced, as the spec allows.
        truncated: Texts that were cut, as the spec allows.
    """

    data: bytes = field(repr=False)
    offsets: Offsets = field(repr=False)
    length: int = 0
    substituted: int = 0
    truncated: int = 0


class FixedWidthWriter:
    """One file's writer: it numbers the records and adds up the totals from one call to the next.

    Call `header`, then `details` for each batch, then `trailer`; or `blocks`, which does this and puts the subtotals
    where they belong. The bytes depend on the values only, not on how the details are cut into batches.

    Attributes:
        records: Records written so far.
        details_written: Details written so far.
        substituted: Characters replaced so far.
        truncated: Texts cut so far.
    """

    def __init__(self, spec: FixedWidthSpec) -> None:
        self.spec = spec
        self.records = 0
        self.details_written = 0
        self.substituted = 0
        self.truncated = 0
        charset = Charset(spec.file)
        self._kinds = {name: RecordKind(name, record, charset) for name, record in spec.records.items()}
        self._totals = Totals(spec.totals)

    def totals(self) -> dict[str, int | Decimal]:
        """The spec's totals over the details written so far; `count: records` counts all records so far."""
        return self._totals.values(records=self.records)

    def header(self, values: Values) -> bytes:
        """The header record.

        Args:
            values: What its fields take: text, int, Decimal, date, or None. Other names are left aside.

        Raises:
            ConfigurationInvalid: The spec has no header, a value is missing, or one does not fit.
        """
        return self._single("header", [values])

    def check(self, batch: pa.RecordBatch) -> tuple[Misfit, ...]:
        """All values of a batch that `details` would refuse, by row; nothing is written or counted.

        Raises:
            ConfigurationInvalid: A column is missing, or of a type that its field cannot show.
        """
        report = Report("detail")
        unnumbered = np.zeros(batch.num_rows, np.int64)
        self._encoded(batch, unnumbered, unnumbered, report)
        return tuple(sorted(report.misfits, key=lambda misfit: misfit.row))

    def details(self, batch: pa.RecordBatch) -> FixedBlock:
        """The detail records of a batch, in its order.

        Args:
            batch: Columns of at least the names in the spec's `columns`.

        Raises:
            ValueDoesNotFit: A value does not fit; nothing of the batch was written or counted.
            ConfigurationInvalid: A column is missing, or of a type that its field cannot show, or there are more
                details than the sequence field can number.
        """
        return self._details(batch, 0)

    def subtotal(self, values: Values) -> bytes:
        """A subtotal record from values given by the caller.

        Raises:
            ConfigurationInvalid: The spec has no subtotal, a value is missing, or one does not fit.
        """
        return self._single("subtotal", [values])

    def trailer(self, values: Values | None = None) -> bytes:
        """The trailer record, with the spec's totals over the details that were written.

        Args:
            values: What else its fields take; totals that are given too are compared with the writer's own.

        Raises:
            DoesNotTieOut: A total that is given differs from what was written.
            ConfigurationInvalid: The spec has no trailer, a value is missing, or one does not fit.
        """
        own = self._totals.values(records=self.records + 1)
        for name, total in own.items():
            claimed = (values or {}).get(name, total)
            if claimed != total:
                raise DoesNotTieOut(
                    f"The trailer should say {name} {claimed}, but the details that were written come to {total}. "
                    "Nothing may be sent before somebody has looked at where they part."
                )
        return self._single("trailer", [{**(values or {}), **own}])

    def blocks(
        self, batches: Iterable[pa.RecordBatch], header: Values | None = None, trailer: Values | None = None
    ) -> Iterator[FixedBlock]:
        """The whole file: header, details with their subtotals, trailer, as far as the spec has them.

        Args:
            batches: The details; with subtotals, all of a group one after another.
            header: Values for the header, and for subtotals and trailer as well.
            trailer: Values for the trailer only.

        Raises:
            ContractBroken: A group's details are not all together.
            ValueDoesNotFit, ConfigurationInvalid, DoesNotTieOut: As the single records'.
        """
        shared = header or {}
        if "header" in self._kinds:
            yield FixedBlock(self.header(shared), _no_offsets())
        if self.spec.records.subtotal is None:
            for batch in batches:
                yield self.details(batch)
        else:
            yield from self._grouped(batches, Groups(self.spec.records.subtotal.per, self.spec.totals), shared)
        if "trailer" in self._kinds:
            yield FixedBlock(self.trailer({**shared, **(trailer or {})}), _no_offsets())

    def _grouped(self, batches: Iterable[pa.RecordBatch], groups: Groups, shared: Values) -> Iterator[FixedBlock]:
        for batch in batches:
            ended = groups.add(batch)
            rows = np.array([row for row, _ in ended], np.int64)
            subtotals_at = self.records + rows + np.arange(1, len(rows) + 1)
            before = np.searchsorted(rows, np.arange(batch.num_rows), side="right")
            block = self._details(batch, before)
            subtotals = self._single("subtotal", [{**shared, **values} for _, values in ended], subtotals_at)
            yield _interleaved(block, rows, subtotals, before)
        last = groups.close()
        if last is not None:
            yield FixedBlock(self.subtotal({**shared, **last}), _no_offsets())

    def _details(self, batch: pa.RecordBatch, subtotals_before: Offsets | int) -> FixedBlock:
        """Details with so many subtotals, not counted yet, before each row."""
        kind = self._kinds["detail"]
        rows: Offsets = np.arange(1, batch.num_rows + 1, dtype=np.int64)
        report = Report("detail")
        positions: Offsets = self.records + rows + np.asarray(subtotals_before, np.int64)
        table = self._encoded(batch, self.details_written + rows, positions, report)
        first = report.first()
        if first is not None:
            raise ValueDoesNotFit(first)
        self._totals.add(batch)
        self.details_written += batch.num_rows
        self._count(batch.num_rows, report)
        offsets = (rows - 1) * kind.length
        return FixedBlock(table.tobytes(), offsets, kind.length, report.substituted, report.truncated)

    def _encoded(self, batch: pa.RecordBatch, numbers: Offsets, positions: Offsets, report: Report) -> Bytes:
        kind = self._kinds["detail"]
        missing = [name for name in kind.spec.sources if name not in batch.schema.names]
        if missing:
            raise ConfigurationInvalid(
                f"Record 'detail' takes {', '.join(missing)}, which the details do not have. They have: "
                f"{', '.join(batch.schema.names)}. Correct `from` in the record spec."
            )
        return kind.encode({name: batch.column(name) for name in kind.spec.sources}, numbers, positions, report)

    def _single(self, name: str, rows: Sequence[Values], positions: Offsets | None = None) -> bytes:
        """Records that are made of values, not of batches; they follow what was written unless positions are given."""
        kind = self._kinds.get(name)
        if kind is None:
            raise ConfigurationInvalid(f"The record spec has no {name}. Add `records.{name}`, or do not ask for one.")
        if positions is None:
            positions = self.records + np.arange(1, len(rows) + 1, dtype=np.int64)
        report = Report(name)
        columns = {source: kind.values(source, rows) for source in kind.spec.sources}
        data = kind.encode(columns, positions, positions, report).tobytes()
        first = report.first()
        if first is not None:
            raise ConfigurationInvalid(f"{first.message} {first.fix_hint}")
        self._count(len(rows), report)
        return data

    def _count(self, records: int, report: Report) -> None:
        self.records += records
        self.substituted += report.substituted
        self.truncated += report.truncated


def _interleaved(block: FixedBlock, rows: Offsets, subtotals: bytes, before: Offsets) -> FixedBlock:
    """Details with each subtotal before its row."""
    if len(rows) == 0:
        return block
    length = len(subtotals) // len(rows)
    pieces = [block.data[: rows[0] * block.length]]
    for number, row in enumerate(rows):
        end = rows[number + 1] * block.length if number + 1 < len(rows) else None
        pieces.append(subtotals[number * length : (number + 1) * length])
        pieces.append(block.data[row * block.length : end])
    return replace(block, data=b"".join(pieces), offsets=block.offsets + before * length)


def _no_offsets() -> Offsets:
    return np.empty(0, np.int64)
