"""The canonical file as a partner's CSV: other delimiters, quotes, line ends, decimal marks and encodings."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from tieout.errors import ConfigurationInvalid
from tieout.formats.csv import RFC_4180, CsvDialect, content, end_lines, header_line, join, quote
from tieout.integrations.syspro_to_legacy_erp.canonical import Chunk, Content, Rows, Unfit, column_types
from tieout.mapping.compiler import CompiledMapping
from tieout.odata.schema import FieldType
from tieout.staging import StagedPath

READ_BYTES = 512 * 1024
"""Read back at once, and no row is longer. Arrow reads many such blocks ahead."""


@dataclass(frozen=True)
class CsvFormat:
    """How the partner wants CSV.

    Attributes:
        dialect: Delimiter, line end, quoting, header.
        encoding: Any text encoding of Python's.
        decimal_mark: Of numbers.
    """

    dialect: CsvDialect = RFC_4180
    encoding: str = "utf-8"
    decimal_mark: Literal[".", ","] = "."


class CsvWriter:
    """Writes one file."""

    def __init__(self, target: CsvFormat, compiled: CompiledMapping) -> None:
        self._target = target
        self._compiled = compiled
        self._types = column_types(compiled)
        self.sums = summed(compiled)
        self._codec = codecs.lookup(target.encoding)
        # What a byte order mark is written by stands once in the file, not once per chunk.
        self._encoder = codecs.getincrementalencoder(target.encoding)()
        self.altered: Mapping[str, int] = {}

    def unfit(self, chunk: Chunk) -> Iterator[Unfit]:
        """Records with characters that the encoding does not have."""
        if self._is_utf_8:
            return
        for name in chunk.rows.schema.names:
            values = chunk.rows.column(name)
            if not self._lacking(str(content(values), "utf-8")):
                continue
            encoded = values.dictionary_encode()
            lacking = {at: self._lacking(text) for at, text in enumerate(encoded.dictionary.to_pylist())}
            bad = [at for at, character in lacking.items() if character]
            codes = np.asarray(encoded.indices)
            for row in np.flatnonzero(np.isin(codes, bad)):
                character = lacking[int(codes[row])]
                yield Unfit(
                    chunk.record_of(int(row)),
                    "CHARACTER_NOT_ALLOWED",
                    f"{name} holds {character!r} (U+{ord(character):04X}), which is not in {self._target.encoding}.",
                    f"Change the text in SYSPRO, translate it in the mapping of the column {name}, or agree on another "
                    "encoding with the partner (partner.csv.encoding).",
                )

    @cached_property
    def _is_utf_8(self) -> bool:
        return self._codec.name in ("utf-8", "utf-8-sig")

    def _lacking(self, text: str) -> str:
        """The first character that the encoding does not have; empty when it has all."""
        try:
            self._codec.encode(text, "strict")
        except UnicodeEncodeError as error:
            return text[error.start]
        return ""

    def start(self) -> bytes:
        """The header row, if there is to be one.

        Raises:
            ConfigurationInvalid: The encoding does not have a character of a column's name.
        """
        text = header_line(self._compiled.header, self._target.dialect).decode()
        character = "" if self._is_utf_8 else self._lacking(text)
        if character:
            raise ConfigurationInvalid(
                f"The mapping {self._compiled.mapping.entity} has a column name with {character!r}, which "
                f"{self._target.encoding} does not have. Rename the column, or change partner.csv.encoding."
            )
        return self._encoder.encode(text)

    def write(self, chunk: Chunk) -> tuple[bytes, Rows, Rows]:
        """The rows, and where each begins and ends in them."""
        columns = [quote(self._shown(name, chunk.rows.column(name)), self._target.dialect) for name in self._types]
        rows = end_lines(join(columns, self._target.dialect), self._target.dialect)
        data, lengths = self._encoded(rows)
        ends: Rows = np.cumsum(lengths, dtype=np.int64)
        return data, ends - lengths, ends

    def finish(self) -> bytes:
        """Nothing: a CSV has no end of its own."""
        return b""

    def _shown(self, name: str, values: pa.Array) -> pa.Array:
        if self._target.decimal_mark == "." or self._types[name] is not FieldType.NUMBER:
            return values
        return pc.replace_substring(values, ".", self._target.decimal_mark)

    def _encoded(self, rows: pa.Array) -> tuple[bytes, Rows]:
        """The bytes, and how many each row has."""
        if self._is_utf_8:
            return bytes(content(rows)), np.asarray(pc.binary_length(rows), np.int64)
        text = str(content(rows), "utf-8")
        data, _ = self._codec.encode(text, "strict")
        if len(data) == len(text):
            return data, np.asarray(pc.utf8_length(rows), np.int64)
        pieces = [self._encoder.encode(row) for row in rows.to_pylist()]
        return b"".join(pieces), np.array([len(piece) for piece in pieces], np.int64)


def summed(compiled: CompiledMapping) -> Sequence[str]:
    """The columns of numbers, without those that may have a text by default."""
    types = column_types(compiled)
    columns = compiled.mapping.columns
    return [each.name for each in columns if types[each.name] is FieldType.NUMBER and each.default is None]


def read_back(path: StagedPath, target: CsvFormat, compiled: CompiledMapping) -> Content:
    """What the finished file holds, by a reader that is not what wrote it.

    Raises:
        ConfigurationInvalid: It is not read as the columns that were written.
    """
    totals, key = compiled.mapping.totals, compiled.mapping.key_name
    found = Content()
    last: str | None = None
    for batch in _batches(path, target, compiled.header):
        keys = batch.column(key)
        before = pa.concat_arrays([pa.array([last], pa.string()), keys[:-1]])
        first = pc.fill_null(pc.not_equal(keys, before), True)
        last = keys[-1].as_py()
        found.records = (found.records or 0) + pc.sum(first).as_py()
        found.rows = (found.rows or 0) + batch.num_rows
        for name in summed(compiled):
            found.add_sum(name, pc.replace_substring(batch.column(name), target.decimal_mark, "."))
        if totals:
            currencies = batch.column(totals.currency).filter(first).to_pylist()
            amounts = batch.column(totals.amount).filter(first).to_pylist()
            for currency, amount in zip(currencies, amounts, strict=True):
                found.add_money(currency, Decimal(amount.replace(target.decimal_mark, ".") or "0"))
    return found


def _batches(path: StagedPath, target: CsvFormat, header: list[str]) -> Iterator[pa.RecordBatch]:
    with path.open("rb") as stream:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(
                block_size=READ_BYTES, use_threads=False, encoding=target.encoding,
                column_names=None if target.dialect.header else header,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=target.dialect.delimiter, newlines_in_values=True, ignore_empty_lines=False
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False
            ),
        )  # fmt: skip
        if reader.schema.names != header:
            raise ConfigurationInvalid(
                f"The CSV reads back with the columns {', '.join(reader.schema.names)} instead of {', '.join(header)}. "
                "Correct partner.csv: its delimiter, quoting and encoding must leave the file readable."
            )
        yield from (batch for batch in reader if batch.num_rows)
