"""The partner's formats for G/L postings behind one interface: a beginning, batches, an end.

Batches have the columns of `SCHEMA`, in the order of cost centre and account.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tieout.config import PartnerCsv
from tieout.currencies import minor_units
from tieout.errors import ConfigurationInvalid
from tieout.formats.csv import CsvDialect, content, end_lines, has_any, header_line, join, quote
from tieout.formats.fixed_width import FixedWidthSpec, FixedWidthWriter, Misfit, Totals, ValueDoesNotFit
from tieout.formats.x12 import ControlNumbers, GlHeader, Party, X12Misfit, X12Profile, gl_writer, voucher
from tieout.integrations.syspro_to_legacy_erp.gl.rules import GlColumn
from tieout.mapping.compiler import CUT_OFF
from tieout.mapping.held import INVALID_CHARACTER, HeldReason
from tieout.odata.layout import MONEY

Offsets = npt.NDArray[np.int64]

SCHEMA = pa.schema(
    [
        ("cost_centre", pa.string()),
        ("account", pa.string()),
        ("source_gl_code", pa.string()),
        ("year", pa.int64()),
        ("period", pa.int64()),
        ("journal", pa.int64()),
        ("entry", pa.int64()),
        ("date", pa.string()),
        ("source", pa.string()),
        ("reference", pa.string()),
        ("description", pa.string()),
        ("amount", MONEY),
        ("_position", pa.int64()),
        ("_fingerprint", pa.string()),
    ]
)
"""A posting: `amount` is positive for debits, `date` is YYYY-MM-DD; `_position` is its place among those read."""


@dataclass(frozen=True)
class Numbers:
    """Numbers of one file, allocated in the ledger.

    Attributes:
        file: The sequence number; also the batch's.
        interchange: ISA13, for X12.
        group: GS06, for X12.
    """

    file: int
    interchange: int = 1
    group: int = 1


@dataclass(frozen=True)
class Facts:
    """What a file says of itself.

    Attributes:
        company: The company's code.
        company_name: Its name.
        partner_name: The receiver's name.
        code: The period, YYYYPP.
        period_start: Its first day.
        period_end: Its last day.
        currency: Of the amounts.
        made: When the run was, by the partner's clock.
        replaces: Whether the file replaces an earlier one.
        account_names: Account of the receiver → its name.
        test_content: Whether the data are a test's.
    """

    company: str
    company_name: str
    partner_name: str
    code: str
    period_start: date
    period_end: date
    currency: str
    made: datetime
    replaces: bool = False
    account_names: dict[str, str] = field(default_factory=dict)
    test_content: bool = False


@dataclass(frozen=True)
class Piece:
    """Bytes of the file.

    Attributes:
        data: The bytes, to be written after those of the piece before.
        batch: The postings in it; None for what is around them.
        starts: Per posting the offset of its first byte in the whole file.
        ends: Offset after its last byte.
    """

    data: bytes | memoryview
    batch: pa.RecordBatch | None = None
    starts: Offsets = field(default_factory=lambda: np.empty(0, np.int64))
    ends: Offsets = field(default_factory=lambda: np.empty(0, np.int64))


class GlFileWriter(Protocol):
    """One file's writer."""

    def pieces(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Piece]:
        """The whole file.

        Raises:
            BadRecord: A posting does not fit; `misfits` tells all that do not.
        """
        ...

    def misfits(self, batch: pa.RecordBatch) -> Iterator[tuple[int, HeldReason]]:
        """The rows of a batch that do not fit, and why."""
        ...


MISFITS = (ValueDoesNotFit, X12Misfit)


class CsvGl:
    """CSV with the rules' columns in the partner's dialect."""

    def __init__(self, columns: Iterable[GlColumn], csv: PartnerCsv, facts: Facts) -> None:
        self._columns = list(columns)
        self._csv = csv
        self._facts = facts
        self._dialect = CsvDialect(csv.delimiter, csv.line_end, csv.quoting, csv.header)
        self._is_utf8 = codecs.lookup(csv.encoding).name == "utf-8"

    def pieces(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Piece]:
        """The header row, then the postings'; totals are in the manifest."""
        names = [column.name for column in self._columns]
        head = header_line(names, self._dialect).decode().encode(self._csv.encoding)
        written = len(head)
        yield Piece(head)
        for batch in batches:
            for row, why in self.misfits(batch):
                raise ValueDoesNotFit(Misfit(row, "row", "", why.reason_code, why.message, why.fix_hint))
            texts = [self._text(batch, column.source) for column in self._columns]
            data, lengths = self._encoded(end_lines(join(texts, self._dialect), self._dialect))
            ends = written + np.cumsum(lengths)
            yield Piece(data, batch, np.concatenate(([written], ends[:-1])), ends)
            written += len(data)

    def _encoded(self, rows: pa.Array) -> tuple[bytes | memoryview, Offsets]:
        """The rows' bytes, and each one's length."""
        if self._is_utf8:
            return content(rows), pc.binary_length(rows).to_numpy(zero_copy_only=False).astype(np.int64)
        data = bytes(content(rows)).decode().encode(self._csv.encoding)
        lengths: Offsets = pc.utf8_length(rows).to_numpy(zero_copy_only=False).astype(np.int64)
        if len(data) != lengths.sum():
            raise ConfigurationInvalid(
                f"partner.csv.encoding: {self._csv.encoding} takes more than one byte for a character; write utf-8, or "
                "an encoding of one byte such as cp1252."
            )
        return data, lengths

    def misfits(self, batch: pa.RecordBatch) -> Iterator[tuple[int, HeldReason]]:
        """Texts that the encoding does not have, or that cut the file off."""
        for column in self._columns:
            if column.source not in batch.schema.names:
                continue
            values = batch.column(column.source)
            if not pa.types.is_string(values.type):
                continue
            if has_any(values, CUT_OFF):
                bad = pc.fill_null(pc.match_substring_regex(values, f"[{CUT_OFF}]"), False)
                for position in np.flatnonzero(bad.to_numpy(zero_copy_only=False)):
                    yield int(position), _cut_off(column.name)
            if self._is_utf8:
                continue
            try:
                bytes(content(pc.fill_null(values, ""))).decode().encode(self._csv.encoding)
            except UnicodeEncodeError:
                for row, text in enumerate(values.to_pylist()):
                    reason = _not_encoded(column.name, text or "", self._csv.encoding)
                    if reason:
                        yield row, reason

    def _text(self, batch: pa.RecordBatch, source: str) -> pa.Array:
        match source:
            case "debit" | "credit":
                return self._money(side_of(batch.column("amount"), source))
            case "amount":
                return self._money(batch.column("amount"))
            case "company" | "currency":
                value = self._facts.company if source == "company" else self._facts.currency
                return quote(pa.repeat(pa.scalar(value, pa.string()), batch.num_rows), self._dialect)
            case "voucher":
                return quote(voucher_of(batch), self._dialect)
        values = batch.column(source)
        return quote(values if pa.types.is_string(values.type) else values.cast(pa.string()), self._dialect)

    def _money(self, amounts: pa.Array) -> pa.Array:
        text = money_text(amounts, self._facts.currency)
        if self._csv.decimal_mark == ",":
            text = pc.replace_substring(text, ".", ",")
        return quote(text, self._dialect)


def money_text(amounts: pa.Array, currency: str) -> pa.Array:
    """Amounts with the currency's decimals; one that has more of them keeps those that it has."""
    try:
        return amounts.cast(pa.decimal128(38, minor_units(currency))).cast(pa.string())
    except pa.ArrowInvalid:
        return amounts.cast(pa.string())


def side_of(amounts: pa.Array, side: str) -> pa.Array:
    """The debits or the credits, not negative; zero for the others."""
    zero = pa.scalar(Decimal(0), amounts.type)
    if side == "debit":
        return pc.if_else(pc.greater(amounts, zero), amounts, zero)
    return pc.if_else(pc.less(amounts, zero), pc.negate(amounts), zero)


def _cut_off(column: str) -> HeldReason:
    return HeldReason(
        INVALID_CHARACTER,
        f"{column} holds an invisible control character (NUL or Ctrl-Z) that cuts the text off for a receiver.",
        "In SYSPRO, the text cannot be changed once it is posted: discard the record and enter the journal anew.",
    )


def _not_encoded(column: str, text: str, encoding: str) -> HeldReason | None:
    try:
        text.encode(encoding)
    except UnicodeEncodeError as error:
        return HeldReason(
            INVALID_CHARACTER,
            f"{column} holds the character {text[error.start]!r}, which the encoding {encoding} does not have.",
            "Agree on another encoding with the partner (partner.csv.encoding), such as utf-8.",
            "data engineer",
        )
    return None


def voucher_of(batch: pa.RecordBatch) -> pa.Array:
    """`YYYYPP-nnnnnnnnnn`: a journal's number is unique only within year and period."""
    return voucher(batch.column("year"), batch.column("period"), batch.column("journal"))


class FixedWidthGl:
    """A record spec's file."""

    def __init__(
        self, spec: FixedWidthSpec, facts: Facts, numbers: Numbers, first_pass: Callable[[], Iterable[pa.RecordBatch]]
    ) -> None:
        self._spec = spec
        self._writer = FixedWidthWriter(spec)
        self._values: dict[str, object] = {
            "company": facts.company,
            "company_name": facts.company_name,
            "partner_name": facts.partner_name,
            "run_date": facts.made.date(),
            "batch": numbers.file,
            "period_code": facts.code,
            "year": int(facts.code[:4]),
            "period": int(facts.code[4:]),
            "period_start": facts.period_start,
            "period_end": facts.period_end,
            "currency": facts.currency,
        }
        if spec.header_totals:
            totals = Totals(spec.totals)
            for batch in first_pass():
                totals.add(batch)
            self._values |= totals.values()

    def pieces(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Piece]:
        """Header, details with the subtotals of their cost centres, trailer."""
        passing: list[pa.RecordBatch] = []

        def noted() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                passing[:] = [batch]
                yield batch

        written = 0
        for block in self._writer.blocks(noted(), self._values):
            starts = written + block.offsets
            written += len(block.data)
            yield Piece(block.data, passing[0] if len(starts) else None, starts, starts + block.length)

    def misfits(self, batch: pa.RecordBatch) -> Iterator[tuple[int, HeldReason]]:
        """Values that their fields have no room for."""
        for misfit in self._writer.check(batch):
            yield misfit.row, HeldReason(misfit.reason_code, misfit.message, misfit.fix_hint)


class X12Gl:
    """An 830 or an 821."""

    def __init__(
        self,
        set_id: Literal["830", "821"],
        profile: X12Profile,
        facts: Facts,
        numbers: Numbers,
        *,
        late: bool = False,
    ) -> None:
        reference = f"{facts.company}-GL-{facts.code}"
        header = GlHeader(
            company=Party(facts.company_name, facts.company),
            partner=Party(facts.partner_name, profile.receiver.group_id),
            batch=f"GL{facts.code}-{numbers.file:04d}",
            period_start=facts.period_start,
            period_end=facts.period_end,
            generated=facts.made.date(),
            currency=facts.currency,
            purpose="05" if facts.replaces else "00",
            # A receiver that knows files by BFR02 must not take late postings for the file that it has.
            reference=f"{reference}-{numbers.file:04d}" if late else reference,
            account_names=facts.account_names,
        )
        controls = ControlNumbers(numbers.interchange, numbers.group)
        self._writer = gl_writer(set_id, profile, header, controls, facts.made, test_content=facts.test_content)

    def pieces(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Piece]:
        """ISA to IEA."""
        yield Piece(self._writer.start().data)
        for batch in batches:
            block = self._writer.write(batch)
            yield Piece(block.data, batch, block.starts, block.ends)
        yield Piece(self._writer.finish().data)

    def misfits(self, batch: pa.RecordBatch) -> Iterator[tuple[int, HeldReason]]:
        """Values that their elements have no room for."""
        for misfit in self._writer.misfits(batch):
            # Which batch it was in depends on how they were cut; the posting is told by its key.
            message = str(misfit).removeprefix(f"Row {misfit.row + 1} of the batch: ")
            reason = HeldReason(misfit.reason_code, message, misfit.fix_hint)
            yield from ((row, reason) for row in misfit.rows)
