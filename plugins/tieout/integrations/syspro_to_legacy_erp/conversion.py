"""An entity's canonical file in the format that the partner takes: CSV in its dialect, fixed-width records, or X12.

The canonical file is read twice: once to find every record that the format has no room for, and only if there is none
once more to write. What was written is then read back, and must be what the canonical file holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tieout.config import PartnerCsv
from tieout.errors import ConfigurationInvalid, DoesNotTieOut
from tieout.formats.csv import CsvDialect
from tieout.formats.fixed_width import FixedWidthSpec
from tieout.formats.x12 import ControlNumbers, DocumentHeader, Party, X12Profile
from tieout.integrations.sorting import RECORDS_SCHEMA
from tieout.integrations.syspro_to_legacy_erp import as_csv, as_fixed_width, as_x12
from tieout.integrations.syspro_to_legacy_erp.canonical import (
    Chunk,
    Content,
    Rows,
    Unfit,
    add_content,
    read_chunks,
    record_batches,
)
from tieout.integrations.syspro_to_legacy_erp.gl.writers import Facts, Numbers
from tieout.ledger import FileRecord
from tieout.mapping.compiler import CompiledMapping
from tieout.staging import StagedPath, write_bytes_atomically

SETS: Mapping[str, as_x12.SetId] = {"invoices": "810", "purchase_orders": "850", "items": "832"}
"""Entity → the transaction set that carries it."""

Misfit = tuple[str, str, str]
"""Reason code, message, hint."""

Format = as_csv.CsvFormat | as_fixed_width.FixedWidthFormat | as_x12.X12Format


@dataclass(frozen=True)
class DocumentTarget:
    """Where and how an entity's file is written.

    Attributes:
        path: The file.
        index: Its records with their byte ranges, Parquet of `tieout.integrations.sorting.RECORDS_SCHEMA`.
        format: csv, fixed_width or x12.
        facts: What the file says of itself.
        numbers: Its numbers.
        csv: For csv: how the partner wants it.
        spec: For fixed_width: the record spec.
        profile: For x12: the partner's agreement.
    """

    path: StagedPath
    index: StagedPath
    format: Literal["csv", "fixed_width", "x12"]
    facts: Facts
    numbers: Numbers
    csv: PartnerCsv = field(default_factory=PartnerCsv)
    spec: FixedWidthSpec | None = None
    profile: X12Profile | None = None


@dataclass(frozen=True)
class Converted:
    """A file in the partner's format, or why there is none.

    Attributes:
        bytes: Its size.
        sha256: Its digest, hex.
        records: Records in it.
        money: Currency → amount, read back from the finished bytes; None where the format does not tell.
        altered: What the format's rules changed, as far as they allow it: place → how many characters or texts.
        misfits: Source key → why the record cannot be written. If there are any, nothing was written.
    """

    bytes: int = 0
    sha256: str = ""
    records: int = 0
    money: dict[str, Decimal] | None = None
    altered: Mapping[str, int] = field(default_factory=dict)
    misfits: dict[str, Misfit] = field(default_factory=dict)


class _Writer(Protocol):
    """One file's writer: `unfit` for every chunk, then `start`, `write` for every chunk again, and `finish`."""

    @property
    def sums(self) -> Sequence[str]:
        """Columns whose sums are compared when the file is read back."""

    @property
    def altered(self) -> Mapping[str, int]:
        """What was changed by the format's rules."""

    def unfit(self, chunk: Chunk) -> Iterator[Unfit]: ...

    def start(self) -> bytes: ...

    def write(self, chunk: Chunk) -> tuple[bytes, Rows, Rows]: ...

    def finish(self) -> bytes: ...


def convert(data: StagedPath, records: StagedPath, mapping: CompiledMapping, target: DocumentTarget) -> Converted:
    """Writes the partner's file from the canonical one.

    Args:
        data: The canonical `data.csv`.
        records: Its `records.parquet`.
        mapping: What wrote it.
        target: Where and how.

    Raises:
        ConfigurationInvalid: The mapping, the record spec or the profile cannot make this file.
        DoesNotTieOut: What was written is not what is read back.
    """
    wanted = file_format(mapping, target)
    writer = _writer(wanted, mapping)
    misfits = _misfits(read_chunks(data, records, mapping), writer, mapping)
    if misfits:
        return Converted(misfits=misfits)
    file = _File(writer, mapping)
    size = write_bytes_atomically(target.path, file.blocks(read_chunks(data, records, mapping)))
    if not file.content.records:
        raise DoesNotTieOut(f"{mapping.mapping.entity}: there are no records to be written to {target.path.name}.")
    starts, ends = file.ranges()
    try:
        found, starts, ends = _read_back(wanted, mapping, target.path, starts, ends, size)
    except (ValueError, ArithmeticError, IndexError) as error:
        raise DoesNotTieOut(
            f"{mapping.mapping.entity}: the finished {target.format} file cannot be read back ({error}). Nothing was "
            "sent; please report this with the staged files."
        ) from None
    difference = file.content.difference(found) or (len(starts) != file.content.records and "other records") or ""
    if difference:
        raise DoesNotTieOut(
            f"{mapping.mapping.entity}: the finished {target.format} file reads back with {difference}. Nothing was "
            "sent; please report this with the staged files."
        )
    _write_index(records, target.index, starts, ends)
    return Converted(size, file.digest, file.content.records, found.money, writer.altered)


def read_index(path: StagedPath) -> Iterator[FileRecord]:
    """The records of a converted file, for the ledger."""
    with path.open("rb") as file:
        for batch in record_batches(file):
            for row in batch.to_pylist():
                yield FileRecord(**row)


# --- formats


def file_format(mapping: CompiledMapping, target: DocumentTarget) -> Format:
    """How the partner wants this entity.

    Raises:
        ConfigurationInvalid: The format lacks what it needs, or there is no set for this entity.
    """
    entity = mapping.mapping.entity
    if target.format == "csv":
        csv = target.csv
        dialect = CsvDialect(csv.delimiter, csv.line_end, csv.quoting, csv.header)
        return as_csv.CsvFormat(dialect, csv.encoding, csv.decimal_mark)
    if target.format == "fixed_width":
        if target.spec is None:
            raise ConfigurationInvalid(f"entities.{entity}: fixed_width needs `record_spec`. Add it.")
        return as_fixed_width.FixedWidthFormat(target.spec, _file_values(target))
    set_id = SETS.get(entity)
    if target.profile is None or set_id is None:
        lacking = "there is no X12 set for it" if set_id is None else "x12 needs the agreement under partner.x12"
        raise ConfigurationInvalid(f"entities.{entity}: {lacking}. Correct it, or write csv or fixed_width.")
    return _x12_format(set_id, mapping, target, target.profile)


def _file_values(target: DocumentTarget) -> dict[str, object]:
    """What header and trailer records may show besides the spec's totals."""
    facts = target.facts
    return {
        "company": facts.company,
        "company_name": facts.company_name,
        "partner_name": facts.partner_name,
        "run_date": facts.made.date(),
        "batch": target.numbers.file,
        "period_code": facts.code,
        "year": int(facts.code[:4]),
        "period": int(facts.code[4:]),
        "period_start": facts.period_start,
        "period_end": facts.period_end,
        "currency": facts.currency,
    }


def _x12_format(
    set_id: as_x12.SetId, mapping: CompiledMapping, target: DocumentTarget, profile: X12Profile
) -> as_x12.X12Format:
    facts, numbers = target.facts, target.numbers
    batch = f"{facts.code}-{numbers.file:04d}"
    priced = set_id != "832" or "unit_price" in mapping.header
    header = DocumentHeader(
        company=Party(facts.company_name, facts.company),
        currency=facts.currency if priced else None,
        purpose="05" if facts.replaces else "00",
        partner=Party(facts.partner_name, profile.receiver.group_id),
        batch=batch,
        catalogue=batch,
    )
    controls = ControlNumbers(numbers.interchange, numbers.group)
    return as_x12.X12Format(set_id, profile, header, controls, facts.made, facts.test_content)


def _writer(wanted: Format, mapping: CompiledMapping) -> _Writer:
    if isinstance(wanted, as_csv.CsvFormat):
        return as_csv.CsvWriter(wanted, mapping)
    if isinstance(wanted, as_fixed_width.FixedWidthFormat):
        return as_fixed_width.FixedWidthFileWriter(wanted, mapping)
    return as_x12.X12FileWriter(wanted, mapping)


def _read_back(
    wanted: Format, mapping: CompiledMapping, path: StagedPath, starts: Rows, ends: Rows, size: int
) -> tuple[Content, Rows, Rows]:
    """What the file holds, and where its records are."""
    if isinstance(wanted, as_csv.CsvFormat):
        return as_csv.read_back(path, wanted, mapping), starts, ends
    if isinstance(wanted, as_fixed_width.FixedWidthFormat):
        return as_fixed_width.read_back(path, wanted, mapping, starts, size), starts, ends
    found, set_starts, set_ends = as_x12.read_back(path, wanted)
    # A document is a whole set, head and foot included; items share one set and have their own segments only.
    return (found, starts, ends) if wanted.set_id == "832" else (found, set_starts, set_ends)


# --- passes


def _misfits(chunks: Iterator[Chunk], writer: _Writer, mapping: CompiledMapping) -> dict[str, Misfit]:
    """Every record that cannot be written, with all reasons."""
    found: dict[str, Misfit] = {}
    for chunk in chunks:
        reasons: dict[int, list[Unfit]] = {}
        for unfit in writer.unfit(chunk):
            reasons.setdefault(unfit.record, []).append(unfit)
        for record, unfits in sorted(reasons.items()):
            key, label = (chunk.records.column(name)[record].as_py() for name in ("source_key", "label"))
            messages = dict.fromkeys(unfit.message for unfit in unfits)
            hints = dict.fromkeys(unfit.fix_hint for unfit in unfits)
            called = f"{mapping.mapping.record_name} {label or key}"
            found[key] = (unfits[0].reason_code, f"{called}: {' '.join(messages)}", " ".join(hints))
    return found


class _File:
    """Writes the file, and remembers what went into it and where."""

    def __init__(self, writer: _Writer, mapping: CompiledMapping) -> None:
        self._writer = writer
        self._mapping = mapping
        self._hash = hashlib.sha256()
        self._position = 0
        self._starts: list[Rows] = []
        self._ends: list[Rows] = []
        self.content = Content()

    @property
    def digest(self) -> str:
        """SHA-256 of what was written."""
        return self._hash.hexdigest()

    def blocks(self, chunks: Iterator[Chunk]) -> Iterator[bytes]:
        """The file's bytes."""
        begun = False
        for chunk in chunks:
            if not begun:
                yield self._passed(self._writer.start())
                begun = True
            add_content(self.content, chunk, self._mapping, self._writer.sums)
            data, starts, ends = self._writer.write(chunk)
            self._starts.append(self._position + starts[chunk.first_rows])
            self._ends.append(self._position + ends[chunk.last_rows])
            yield self._passed(data)
        if begun:
            yield self._passed(self._writer.finish())

    def ranges(self) -> tuple[Rows, Rows]:
        """Where each record begins and ends."""
        return np.concatenate(self._starts), np.concatenate(self._ends)

    def _passed(self, data: bytes) -> bytes:
        self._hash.update(data)
        self._position += len(data)
        return data


def _write_index(records: StagedPath, index: StagedPath, starts: Rows, ends: Rows) -> None:
    """The records as they were, with where they are in the partner's file."""
    done = 0
    with (
        records.open("rb") as source,
        index.open("wb") as sink,
        pq.ParquetWriter(sink, RECORDS_SCHEMA, compression="zstd") as writer,
    ):
        for batch in record_batches(source):
            stop = done + batch.num_rows
            columns = [batch.column(name) for name in ("source_key", "fingerprint", "label")]
            columns += [pa.array(places[done:stop], pa.int64()) for places in (starts, ends)]
            writer.write_table(pa.table(columns, schema=RECORDS_SCHEMA))
            done = stop
