"""The canonical file as fixed-width records: a detail per row, by a record spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa

from tieout.errors import ConfigurationInvalid
from tieout.formats.fixed_width import (
    FieldSpec,
    FixedBlock,
    FixedWidthSpec,
    FixedWidthWriter,
    Totals,
    ValueDoesNotFit,
)
from tieout.integrations.syspro_to_legacy_erp.canonical import Chunk, Content, Rows, Unfit, column_types, typed
from tieout.mapping.compiler import CompiledMapping
from tieout.staging import StagedPath

_POSITIVE, _NEGATIVE = "{ABCDEFGHI", "}JKLMNOPQR"


@dataclass(frozen=True)
class FixedWidthFormat:
    """How the partner wants fixed-width records.

    Attributes:
        spec: The record spec.
        values: What header, subtotals and trailer take besides the spec's totals, such as company and run date.
    """

    spec: FixedWidthSpec
    values: Mapping[str, object] = field(default_factory=dict)


class FixedWidthFileWriter:
    """Writes one file."""

    sums: Sequence[str] = ()

    def __init__(self, target: FixedWidthFormat, compiled: CompiledMapping) -> None:
        missing = [name for name in target.spec.columns if name not in compiled.header]
        if missing:
            raise ConfigurationInvalid(
                f"The record spec takes {', '.join(missing)}, which the mapping {compiled.mapping.entity} does not "
                f"have. It has: {', '.join(compiled.header)}. Correct `from` in the record spec."
            )
        self._target = target
        self._types = column_types(compiled)
        self._writer = FixedWidthWriter(target.spec)
        # The header may show totals, so that they must be known before the first detail is written.
        self._totals = Totals(target.spec.totals)
        self._batch: pa.RecordBatch | None = None
        self._blocks: Iterator[FixedBlock] = iter(())

    def unfit(self, chunk: Chunk) -> Iterator[Unfit]:
        """Records with values that do not fit; the totals of all chunks are known afterwards."""
        batch, found = typed(chunk, self._types)
        yield from found
        misfits = list(self._writer.check(batch))
        try:
            self._totals.add(batch)
        except ValueDoesNotFit as error:
            yield Unfit(chunk.record_of(error.row), error.reason_code, str(error), error.fix_hint)
        for misfit in misfits:
            yield Unfit(chunk.record_of(misfit.row), misfit.reason_code, misfit.message, misfit.fix_hint)

    def start(self) -> bytes:
        """The header record, if there is one."""
        totals = self._totals.values()
        header = {**self._target.values, **{name: totals[name] for name in self._target.spec.header_totals}}
        self._blocks = self._writer.blocks(self._batches(), header)
        return next(self._blocks).data if self._target.spec.records.header else b""

    def write(self, chunk: Chunk) -> tuple[bytes, Rows, Rows]:
        """The details, and where each begins and ends in them."""
        self._batch, _ = typed(chunk, self._types)
        block = next(self._blocks)
        return block.data, block.offsets, block.offsets + block.length

    def finish(self) -> bytes:
        """The last subtotal and the trailer, as far as there are such."""
        self._batch = None
        return b"".join(block.data for block in self._blocks)

    @property
    def altered(self) -> Mapping[str, int]:
        """How many characters were replaced and texts cut, as the spec allows."""
        counts = {"substituted": self._writer.substituted, "truncated": self._writer.truncated}
        return {name: count for name, count in counts.items() if count}

    def _batches(self) -> Iterable[pa.RecordBatch]:
        while self._batch is not None:
            batch, self._batch = self._batch, None
            yield batch


def read_back(
    path: StagedPath, target: FixedWidthFormat, compiled: CompiledMapping, starts: Rows, size: int
) -> Content:
    """What the finished file holds, by slicing it.

    Args:
        path: The file.
        target: Its record spec.
        compiled: Says which columns tell a record's money.
        starts: Where each record's first detail begins.
        size: The file's bytes.
    """
    records, totals = target.spec.records, compiled.mapping.totals
    amount = _field(records.detail.fields, totals.amount if totals else None, numbers=True)
    currency = _field(records.detail.fields, totals.currency if totals else None, numbers=False)
    found = Content(records=len(starts), rows=_details(target.spec, size))
    if amount is None or currency is None:
        found.money = None
        return found
    encoding = target.spec.file.encoding
    with path.open("rb") as file:
        for start in starts.tolist():
            file.seek(start)
            detail = file.read(records.detail.length)
            code = detail[currency.start - 1 : currency.end].decode(encoding).strip(currency.pad or " ")
            found.add_money(code, _number(detail, amount, records.detail.fields, encoding))
    return found


def _details(spec: FixedWidthSpec, size: int) -> int | None:
    """How many details a file of that size has; None where it has subtotals too."""
    if spec.records.subtotal:
        return None
    separator = len(spec.file.record_separator.encode(spec.file.encoding))
    around = sum(record.length + separator for record in (spec.records.header, spec.records.trailer) if record)
    details, rest = divmod(size - around, spec.records.detail.length + separator)
    if rest:
        raise ValueError("its size is no whole number of records")
    return details


def _field(fields: Sequence[FieldSpec], source: str | None, *, numbers: bool) -> FieldSpec | None:
    """The field that shows a column whole."""
    shown = (each for each in fields if source and each.source == source and not each.truncate)
    return next((each for each in shown if each.is_number == numbers), None)


def _number(detail: bytes, spec: FieldSpec, fields: Sequence[FieldSpec], encoding: str) -> Decimal:
    """The number in a field, its sign and its point where the spec says they are; blanks are zero."""
    data = detail[spec.start - 1 : spec.end]
    text = data.decode(encoding)
    negative = "-" in text
    if spec.sign == "overpunch" and text.strip():
        last, negative = _overpunched(data[-1], text[-1])
        text = text[:-1] + last
    if spec.sign == "dc":
        letter = next(each for each in fields if each.type == "dc" and each.source == spec.source)
        negative = detail[letter.start - 1 : letter.end].decode(encoding) == (letter.format or "DC")[1]
    digits = "".join(character for character in text if character.isdigit() and character.isascii())
    number = Decimal(digits or "0").scaleb(-spec.places)
    return -number if negative else number


def _overpunched(byte: int, character: str) -> tuple[str, bool]:
    if 0xC0 <= byte <= 0xC9 or 0xD0 <= byte <= 0xD9:
        # Zoned decimals of EBCDIC, whatever character its national code page shows for them.
        return str(byte & 0x0F), byte >= 0xD0
    signs = _NEGATIVE if character in _NEGATIVE else _POSITIVE
    return str(signs.index(character)), signs is _NEGATIVE
