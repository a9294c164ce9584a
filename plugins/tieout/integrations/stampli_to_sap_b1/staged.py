"""The records of a run in staging: each with its original bytes, which alone are enough to read it again.

<entity>/collected/records.parquet  the records in the order they were collected, held ones that are tried again last
<entity>/collected/collected.json   counts, money and files
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tieout.currencies import is_currency
from tieout.integrations.stampli_to_sap_b1.checks import one_of
from tieout.ledger import Tally, totals_text
from tieout.staging import Folder, write_bytes_atomically
from tieout.systems.stampli import SourceRecord

_ROWS = 250
_SCHEMA = pa.schema(
    [
        ("source_key", pa.string()),
        ("label", pa.string()),
        ("payload", pa.binary()),
        ("content_type", pa.string()),
        ("where", pa.string()),
        ("currency", pa.string()),
        ("amount", pa.string()),
        ("repeated", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class StagedRecord:
    """One record as it was collected.

    Attributes:
        repeated: It came in a file whose bytes were seen before.
        currency: ISO 4217; None where the record has no readable amount.
        amount: The record's total; negative for a credit.
    """

    source_key: str
    label: str
    payload: bytes = field(repr=False)
    content_type: str
    where: str
    currency: str | None
    amount: Decimal | None
    repeated: bool = False


@dataclass(frozen=True)
class Collected:
    """What was collected of one entity.

    Attributes:
        tally: Records and money, held ones that are tried again included.
        files: The ledger's ids of the files.
        readable: Keys of held files that can be parsed now: their records stand for them.
    """

    tally: Tally
    files: tuple[int, ...] = ()
    readable: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """For staging."""
        content = {
            "records": self.tally.count,
            "totals": totals_text(self.tally.totals),
            "files": self.files,
            "readable": self.readable,
        }
        return json.dumps(content).encode()

    @classmethod
    def load(cls, staging: Folder, entity: str) -> Collected | None:
        """What `collect` wrote; None when it did not get so far."""
        path = staging / entity / "collected" / "collected.json"
        if not path.exists():
            return None
        with path.open("rb") as file:
            content: Mapping[str, Any] = json.loads(file.read())
        totals = {currency: Decimal(amount) for currency, amount in content["totals"].items()}
        return cls(Tally(content["records"], totals), tuple(content["files"]), tuple(content["readable"]))


def money_of(record: SourceRecord, credit_types: Iterable[str]) -> tuple[str | None, Decimal | None]:
    """Currency and total of a record, as far as they can be read; vendors have none.

    A credit counts negative, with whichever sign Stampli exports it: so the totals are what SAP comes to owe.

    Args:
        record: The record.
        credit_types: Words of `invoice_type` that say that an invoice is a credit.
    """
    currency = str(record.header.get("currency") or "")
    amount = record.header.get("total_amount" if record.entity == "invoices" else "amount")
    if record.entity == "vendors" or not isinstance(amount, Decimal) or not is_currency(currency):
        return None, None
    is_credit = record.entity == "invoices" and one_of(str(record.header.get("invoice_type") or ""), credit_types)
    return currency, -abs(amount) if is_credit else amount


def staged(record: SourceRecord, credit_types: Iterable[str], *, repeated: bool = False) -> StagedRecord:
    """A record as it goes to staging."""
    currency, amount = money_of(record, credit_types)
    return StagedRecord(
        record.source_key, record.label, record.payload, record.content_type, record.where, currency, amount, repeated
    )


class RecordWriter:
    """Writes an entity's records, some hundred at a time, and sums their money."""

    def __init__(self, folder: Folder) -> None:
        self._file = (folder / "records.parquet").open("wb")
        self._parquet = pq.ParquetWriter(self._file, _SCHEMA, compression="zstd")
        self._waiting: list[StagedRecord] = []
        self.tally = Tally()

    def add(self, record: StagedRecord) -> None:
        """Add one record."""
        self.tally.add_record(record.currency, record.amount)
        self._waiting.append(record)
        if len(self._waiting) >= _ROWS:
            self._flush()

    def close(self) -> None:
        """Complete the file."""
        self._flush()
        self._parquet.close()
        self._file.close()

    def _flush(self) -> None:
        rows = [
            {
                **{name: getattr(record, name) for name in _SCHEMA.names},
                "amount": None if record.amount is None else str(record.amount),
            }
            for record in self._waiting
        ]
        if rows:
            self._parquet.write_batch(pa.RecordBatch.from_pylist(rows, schema=_SCHEMA))
        self._waiting = []


def write_collected(folder: Folder, writer: RecordWriter, files: Iterable[int], readable: Iterable[str]) -> Collected:
    """Complete an entity's collection."""
    writer.close()
    collected = Collected(writer.tally, tuple(files), tuple(readable))
    write_bytes_atomically(folder / "collected.json", [collected.to_json()])
    return collected


def read_staged(staging: Folder, entity: str) -> Iterator[StagedRecord]:
    """The collected records of an entity, in order."""
    path = staging / entity / "collected" / "records.parquet"
    with path.open("rb") as file, pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=_ROWS):
            for row in batch.to_pylist():
                amount = row.pop("amount")
                yield StagedRecord(**row, amount=None if amount is None else Decimal(amount))
