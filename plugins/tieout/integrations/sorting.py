"""Each staged record goes to exactly one place: the file to send, the held ones, the duplicates, the excluded.

The file is written as the records pass by; what went where is counted and summed per currency on the way.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tieout.currencies import minor_units
from tieout.errors import DoesNotTieOut
from tieout.ledger import FileRecord, HeldDraft, Ledger, Scope, Tally, totals_text
from tieout.mapping.compiler import CompiledMapping, MappedBatch
from tieout.mapping.frame import MapContext
from tieout.mapping.held import HeldReason
from tieout.staging import Folder, StagedPath

PREVIEW_ROWS = 5

RECORDS_SCHEMA = pa.schema(
    [
        ("source_key", pa.string()),
        ("fingerprint", pa.string()),
        ("label", pa.string()),
        ("byte_start", pa.int64()),
        ("byte_end", pa.int64()),
    ]
)


class Place(IntEnum):
    """Where a record ends."""

    SEND = 0
    DUPLICATE = 1
    HELD = 2
    EXCLUDED = 3


@dataclass
class Sorted:
    """The outcome of one entity.

    Attributes:
        tallies: Count and money of each place.
        settled: Keys with an open held record that are not held any more.
        bytes: Size of the file; 0 when nothing is to be sent.
        sha256: Digest of the file.
        control_totals: Money per currency, read back from the finished file by another reader.
        preview: The header and the first rows.
    """

    tallies: dict[Place, Tally] = field(default_factory=lambda: {place: Tally() for place in Place})
    settled: list[str] = field(default_factory=list)
    bytes: int = 0
    sha256: str = ""
    control_totals: dict[str, Decimal] = field(default_factory=dict)
    preview: list[str] = field(default_factory=list)


HeldCheck = Callable[[pa.RecordBatch], Mapping[int, HeldReason]]
"""Further reasons to hold, by position in a staged batch; for rules that look beyond the record itself."""


class Sorter:
    """Sorts one entity's staged records into their places and writes the file.

    Args:
        compiled: The mapping.
        context: What the mapping gets from the run.
        ledger: Knows what was delivered, held and discarded before.
        scope: Whose records these are.
        resend: Send also what was delivered before with the same content.
        also_held: Rules that look beyond the record itself.
        send_anyway: Keys that go into the file although their content was delivered before.
    """

    def __init__(
        self,
        compiled: CompiledMapping,
        context: MapContext,
        ledger: Ledger,
        scope: Scope,
        *,
        resend: bool = False,
        also_held: Sequence[HeldCheck] = (),
        send_anyway: Container[str] = (),
    ) -> None:
        self._compiled = compiled
        self._context = context
        self._ledger = ledger
        self._scope = scope
        self._resend = resend
        self._also_held = also_held
        self._send_anyway = send_anyway
        self._open = set(ledger.open_held_keys(scope))

    def sort(self, batches: Iterable[pa.RecordBatch], folder: Folder) -> Sorted:
        """Write `data.csv`, `records.parquet` and `held.jsonl` into the folder.

        Raises:
            DoesNotTieOut: the finished file, read back, does not hold what was written to it.
        """
        result = Sorted()
        digest = hashlib.sha256()
        with (
            (folder / "data.csv").open("wb") as data,
            (folder / "held.jsonl").open("wb") as held,
            (folder / "records.parquet").open("wb") as records_file,
            pq.ParquetWriter(records_file, RECORDS_SCHEMA, compression="zstd") as records,
        ):
            head = self._compiled.header_line()
            result.preview.append(head.decode().rstrip("\r\n"))
            data.write(head)
            digest.update(head)
            result.bytes = len(head)
            for batch in batches:
                mapped = self._compiled.map_batch(batch, self._context)
                places, reasons = self._places(mapped, batch)
                self._count(result, mapped, places)
                for line in self._held_lines(mapped, batch, reasons):
                    held.write(line)
                chunk = self._write_rows(result, mapped, places, records)
                data.write(chunk)
                digest.update(chunk)
        result.sha256 = digest.hexdigest()
        self._read_back(result, folder / "data.csv")
        return result

    def _places(self, mapped: MappedBatch, batch: pa.RecordBatch) -> tuple[np.ndarray, dict[int, list[HeldReason]]]:
        keys: list[str] = mapped.keys.to_pylist()
        reasons: dict[int, list[HeldReason]] = {position: list(found) for position, found in mapped.held.items()}
        for check in self._also_held:
            for position, reason in check(batch).items():
                reasons.setdefault(position, []).insert(0, reason)
        places = np.full(len(keys), Place.SEND, dtype=np.int8)
        if not self._resend:
            delivered = self._ledger.fingerprints(self._scope, keys)
            for position, fingerprint in enumerate(mapped.fingerprints.to_pylist()):
                if delivered.get(keys[position]) == fingerprint and keys[position] not in self._send_anyway:
                    places[position] = Place.DUPLICATE
        for position in mapped.excluded:
            places[position] = Place.EXCLUDED
            reasons.pop(position, None)
        discarded = self._ledger.discarded_payloads(self._scope, [keys[position] for position in reasons])
        for position in list(reasons):
            places[position] = Place.HELD
            known = discarded.get(keys[position])
            if known is not None and known == hashlib.sha256(_payload(batch, position)).hexdigest():
                places[position] = Place.EXCLUDED
                del reasons[position]
        return places, reasons

    def _count(self, result: Sorted, mapped: MappedBatch, places: np.ndarray) -> None:
        for place in Place:
            mask = places == place
            if not mask.any():
                continue
            tally = result.tallies[place]
            tally.count += int(mask.sum())
            if place != Place.HELD and self._open:
                result.settled += [key for key in mapped.keys.filter(pa.array(mask)).to_pylist() if key in self._open]
            for currency, amount in _sums(mapped, mask):
                tally.add(currency, amount)

    def _held_lines(
        self, mapped: MappedBatch, batch: pa.RecordBatch, reasons: Mapping[int, Sequence[HeldReason]]
    ) -> Iterator[bytes]:
        for position in sorted(reasons):
            first = reasons[position][0]
            amount = mapped.amount[position].as_py()
            draft = {
                "source_key": mapped.keys[position].as_py(),
                "label": mapped.labels[position].as_py() or "",
                "reason_code": first.reason_code,
                "message": " ".join(reason.message for reason in reasons[position]),
                "fix_hint": " ".join(dict.fromkeys(reason.fix_hint for reason in reasons[position])),
                "owner": first.owner,
                "payload": base64.b64encode(_payload(batch, position)).decode(),
                "currency": mapped.currency[position].as_py(),
                "amount": None if amount is None else str(amount),
            }
            yield json.dumps(draft).encode() + b"\n"

    def _write_rows(
        self, result: Sorted, mapped: MappedBatch, places: np.ndarray, records: pq.ParquetWriter
    ) -> bytes | memoryview:
        send = places == Place.SEND
        if not send.any():
            return b""
        mask = pa.array(send)
        ends = result.bytes + np.cumsum(mapped.row_bytes[send])
        starts = np.concatenate(([result.bytes], ends[:-1]))
        columns = [
            mapped.keys.filter(mask),
            mapped.fingerprints.filter(mask),
            mapped.labels.filter(mask),
            pa.array(starts, pa.int64()),
            pa.array(ends, pa.int64()),
        ]
        records.write_table(pa.table(columns, schema=RECORDS_SCHEMA))
        chunk = mapped.csv_bytes(send)
        missing = PREVIEW_ROWS + 1 - len(result.preview)
        if missing > 0:
            wanted = mapped.rows.filter(pa.array(np.repeat(send, np.diff(mapped.row_offsets))))[:missing]
            result.preview += [row.rstrip("\r\n") for row in wanted.to_pylist()]
        result.bytes = int(ends[-1])
        return chunk

    def _read_back(self, result: Sorted, path: StagedPath) -> None:
        sent = result.tallies[Place.SEND]
        if sent.count == 0:
            result.bytes, result.sha256 = 0, ""
            return
        found = self._compiled.file_totals(path)
        totals = {currency: in_currency(currency, amount) for currency, amount in found.money.items()}
        if not sent.agrees_with(Tally(found.records, totals)):
            raise DoesNotTieOut(
                f"{self._scope.entity}: the finished file reads back as {found.records} records and "
                f"{totals_text(totals)}, but {sent.count} records and {totals_text(sent.totals)} were written to it. "
                "Nothing was sent; please report this with the staged file."
            )
        result.control_totals = totals


def _sums(mapped: MappedBatch, mask: np.ndarray) -> Iterator[tuple[str, Decimal]]:
    """Money per currency of the records in a mask."""
    table = pa.table({"currency": mapped.currency, "amount": mapped.amount}).filter(pa.array(mask))
    sums = table.group_by("currency").aggregate([("amount", "sum")])
    for currency, amount in zip(sums["currency"].to_pylist(), sums["amount_sum"].to_pylist(), strict=True):
        if amount is not None:
            yield currency or "", in_currency(currency or "", amount)


def in_currency(currency: str, amount: Decimal) -> Decimal:
    """The same amount, written with the currency's decimals."""
    return amount.quantize(Decimal(1).scaleb(-minor_units(currency)), context=Context(prec=60, traps=[Inexact]))


def _payload(batch: pa.RecordBatch, position: int) -> bytes:
    """The record's original bytes."""
    payload: Any = batch.column("_raw")[position].as_py()
    return bytes(payload or b"")


def read_held(folder: Folder) -> Iterator[HeldDraft]:
    """The held records of a sorted entity, for the ledger."""
    with (folder / "held.jsonl").open("rb") as lines:
        for line in lines:
            draft = json.loads(line)
            amount = draft.pop("amount")
            yield HeldDraft(
                **{
                    **draft,
                    "payload": base64.b64decode(draft["payload"]),
                    "content_type": "application/json",
                    "amount": Decimal(amount) if amount is not None else None,
                }
            )


def read_records(folder: Folder) -> Iterator[FileRecord]:
    """The records of the file, for the ledger."""
    with (folder / "records.parquet").open("rb") as file:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=5_000):
            for row in batch.to_pylist():
                yield FileRecord(**row)
