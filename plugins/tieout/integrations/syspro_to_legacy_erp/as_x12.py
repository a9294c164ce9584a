"""The canonical file as X12: 810 and 850, one set per document, and 832, one set per file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import IO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.errors import ConfigurationInvalid, DoesNotTieOut
from tieout.formats.x12 import ControlNumbers, DocumentHeader, SetFileWriter, X12Profile, document_writer
from tieout.formats.x12.envelope import ISA_CHARACTERS
from tieout.formats.x12.sets import LAYOUTS
from tieout.integrations.syspro_to_legacy_erp.canonical import Chunk, Content, Rows, Unfit, column_types, typed
from tieout.mapping.compiler import CompiledMapping
from tieout.mapping.dates import ISO_DATE
from tieout.odata.layout import MONEY
from tieout.odata.schema import FieldType
from tieout.staging import StagedPath

SetId = Literal["810", "850", "832"]

CREDIT = "CR"
ORIGINAL = "00"
READ_BYTES = 1024 * 1024


@dataclass(frozen=True)
class X12Format:
    """How the partner wants X12.

    Attributes:
        set_id: The transaction set.
        profile: The partner's agreement.
        header: What holds for the whole file.
        controls: Numbers allocated for this file.
        created: Date and time of the interchange.
        test_content: Whether the documents are a test's.
    """

    set_id: SetId
    profile: X12Profile
    header: DocumentHeader
    controls: ControlNumbers
    created: datetime
    test_content: bool

    def writer(self) -> SetFileWriter:
        """A writer of one file."""
        return document_writer(
            self.set_id, self.profile, self.header, self.controls, self.created, test_content=self.test_content
        )


class X12FileWriter:
    """Writes one file."""

    sums: Sequence[str] = ("quantity", "unit_price")

    def __init__(self, target: X12Format, compiled: CompiledMapping) -> None:
        self._target = target
        self._entity = compiled.mapping.entity
        self._types = column_types(compiled)
        self._document = LAYOUTS[target.set_id].document
        self._check_columns(compiled)
        self._writer = target.writer()
        self._seen: set[tuple[str | None, ...]] = set()

    def _check_columns(self, compiled: CompiledMapping) -> None:
        missing = [name for name in LAYOUTS[self._target.set_id].needed if name not in compiled.header]
        if missing:
            raise ConfigurationInvalid(
                f"The mapping {self._entity} has no column {', '.join(missing)}, which an X12 {self._target.set_id} "
                "needs. Add it, or choose another format for this entity."
            )
        for column in compiled.mapping.columns:
            pattern = column.date or compiled.mapping.date
            if self._types[column.name] is FieldType.DATE and pattern != ISO_DATE:
                raise ConfigurationInvalid(
                    f"The mapping {self._entity} writes {column.name} as {pattern}, but X12 has a form of dates of its "
                    f"own and takes them as {ISO_DATE}. Remove the date format from the mapping."
                )

    def unfit(self, chunk: Chunk) -> Iterator[Unfit]:
        """Records with values that do not fit, or with the number of a document that is in the file already."""
        batch, found = self._batch(chunk)
        yield from found
        yield from self._repeated(chunk)
        with _columns_of(self._entity):
            misfits = self._writer.misfits(batch)
        for misfit in misfits:
            words = str(misfit).removeprefix(f"Row {misfit.row + 1} of the batch: ")
            for record in sorted({chunk.record_of(row) for row in misfit.rows}):
                yield Unfit(record, misfit.reason_code, words, misfit.fix_hint)

    def _repeated(self, chunk: Chunk) -> Iterator[Unfit]:
        """A set is told from the next by its document's number alone: two of one number would become one."""
        if not self._document:
            return
        first = pa.array(chunk.first_rows)
        columns = [chunk.rows.column(name).take(first).to_pylist() for name in self._document]
        for record, number in enumerate(zip(*columns, strict=True)):
            if number in self._seen:
                yield Unfit(
                    record,
                    "X12_REPEATED",
                    f"another record of the same file has the same {' and '.join(self._document)}.",
                    f"Correct the mapping {self._entity}: these columns must tell documents apart.",
                )
            self._seen.add(number)

    def start(self) -> bytes:
        """The envelope's beginning."""
        return self._writer.start().data

    def write(self, chunk: Chunk) -> tuple[bytes, Rows, Rows]:
        """The rows' segments, and where each one's own begin and end in them; the heads of sets are before."""
        batch, _ = self._batch(chunk)
        with _columns_of(self._entity):
            block = self._writer.write(batch)
        before = int(block.ends[-1]) - len(block.data)
        return block.data, block.starts - before, block.ends - before

    def finish(self) -> bytes:
        """The last set's end, and the envelope's."""
        return self._writer.finish().data

    @property
    def altered(self) -> Mapping[str, int]:
        """Element → how many characters were replaced in it, as the profile allows."""
        return self._writer.written.replaced

    def _batch(self, chunk: Chunk) -> tuple[pa.RecordBatch, list[Unfit]]:
        batch, unfit = typed(chunk, self._types)
        if self._target.set_id == "810":
            batch = _as_810(batch)
        return batch, unfit


@contextmanager
def _columns_of(entity: str) -> Iterator[None]:
    """A column of a type that an element cannot show is the mapping's mistake."""
    try:
        yield
    except TypeError as error:
        raise ConfigurationInvalid(
            f"The mapping {entity} does not fit X12: {error} Correct the type of the column's source."
        ) from None


def _as_810(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Amounts of credits are positive (BIG07 says what they are), and BIG08 tells only of what is no original."""
    names = batch.schema.names
    if "invoice_type" in names and pa.types.is_decimal(batch.column("total_amount").type):
        credit = pc.fill_null(pc.equal(batch.column("invoice_type"), CREDIT), False)
        total = batch.column("total_amount")
        total = pc.if_else(credit, pc.negate(total), total).cast(MONEY)
        batch = batch.set_column(names.index("total_amount"), "total_amount", total)
    if "purpose" in names and "replacing" not in names:
        purpose = batch.column("purpose")
        replacing = pc.if_else(pc.equal(purpose, ORIGINAL), pa.scalar(None, pa.string()), purpose)
        batch = batch.append_column("replacing", replacing)
    return batch


# --- reading back


def read_back(path: StagedPath, target: X12Format) -> tuple[Content, Rows, Rows]:
    """What the finished file holds, and where each set begins and ends; separators are those of its own ISA.

    Raises:
        DoesNotTieOut: A set's or the group's own counts are not what is there.
    """
    reader = _Reader(target.set_id)
    with path.open("rb") as file:
        for offset, segment in _segments(file, target.profile.encoding):
            reader.add(offset, segment)
    if not reader.complete:
        raise DoesNotTieOut("The finished X12 file has no GE. Nothing was sent; please report this with the file.")
    return reader.found, np.array(reader.starts, np.int64), np.array(reader.ends, np.int64)


@dataclass
class _Reader:
    """Counts and adds up what passes, segment by segment."""

    set_id: SetId
    found: Content = field(default_factory=Content)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    complete: bool = False
    _segments: int = 0
    _ended: bool = False
    _currency: str = ""
    _credit: bool = False

    def __post_init__(self) -> None:
        if self.set_id == "810":
            self.found.rows = None
        else:
            self.found.money = None

    def add(self, offset: int, segment: list[str]) -> None:
        """The next segment."""
        if self._ended:
            self.ends.append(offset)
            self._ended = False
        self._segments += 1
        match segment[0]:
            case "ST":
                self.starts.append(offset)
                self._segments, self._currency, self._credit = 1, "", False
                if self.set_id != "832":
                    self._count("records")
            case "BIG":
                self._credit = _element(segment, 7) == CREDIT
            case "CUR":
                self._currency = _element(segment, 2)
            case "IT1" | "PO1":
                self._add_sum("quantity", segment, 2)
                self._add_sum("unit_price", segment, 4)
                self._count("rows")
            case "LIN":
                self._count("records")
                self._count("rows")
            case "CTP":
                self._add_sum("unit_price", segment, 3)
            case "TDS":
                total = Decimal(_element(segment, 1)).scaleb(-2)
                self.found.add_money(self._currency, -total if self._credit else total)
            case "SE":
                _check_count("SE01", segment, self._segments)
                self._ended = True
            case "GE":
                _check_count("GE01", segment, len(self.starts))
                self.complete = True

    def _count(self, name: Literal["records", "rows"]) -> None:
        known = getattr(self.found, name)
        if known is not None:
            setattr(self.found, name, known + 1)

    def _add_sum(self, name: str, segment: list[str], position: int) -> None:
        amount = Decimal(_element(segment, position) or "0")
        self.found.sums[name] = self.found.sums.get(name, Decimal(0)) + amount


def _check_count(name: str, segment: list[str], found: int) -> None:
    if _element(segment, 1) != str(found):
        raise DoesNotTieOut(
            f"The finished X12 file says {name} {_element(segment, 1)}, but {found} are there. Nothing was sent; "
            "please report this with the file."
        )


def _segments(file: IO[bytes], encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Each segment's offset, and its id and elements."""
    rest = file.read(ISA_CHARACTERS)
    separator, terminator = rest[3:4].decode(encoding), rest[ISA_CHARACTERS - 1 :]
    offset = 0
    while True:
        *whole, rest = rest.split(terminator)
        for data in whole:
            text = data.decode(encoding)
            bare = text.lstrip("\r\n")
            # A line break's characters are one byte each in every encoding of a profile.
            yield offset + len(text) - len(bare), bare.split(separator)
            offset += len(data) + 1
        block = file.read(READ_BYTES)
        if not block:
            return
        rest += block


def _element(segment: list[str], position: int) -> str:
    return segment[position] if position < len(segment) else ""
