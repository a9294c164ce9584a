"""From judged postings to the partner's file: coded, grouped by cost centre, written, and read back.

<folder>/data            the file as it would go
<folder>/index.arrows    its postings: key, what was sent, label, byte range
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tieout.config import SysproSource
from tieout.errors import DoesNotTieOut
from tieout.integrations.sorting import Place, in_currency
from tieout.integrations.syspro_to_legacy_erp.gl.grouping import Grouped, in_order, sums_by_group
from tieout.integrations.syspro_to_legacy_erp.gl.judging import ENTRIES, Judged, content_of
from tieout.integrations.syspro_to_legacy_erp.gl.reading import JOURNALS, PeriodRead
from tieout.integrations.syspro_to_legacy_erp.gl.rules import GlRules
from tieout.integrations.syspro_to_legacy_erp.gl.writers import SCHEMA, GlFileWriter, Piece, voucher_of
from tieout.mapping.held import HeldReason
from tieout.odata.layout import MONEY
from tieout.staging import Folder, StagedPath, read_parts, write_bytes_atomically

DATA = "data"
INDEX = "index.arrows"
GROUPS = "groups.csv"

INDEX_SCHEMA = pa.schema(
    [
        ("source_key", pa.string()),
        ("fingerprint", pa.string()),
        ("label", pa.string()),
        ("byte_start", pa.int64()),
        ("byte_end", pa.int64()),
    ]
)
TEXTS = ("EntryDate", "Source", "Reference", "Comment")
SPILLED = pa.schema(
    [
        ("_position", pa.int64()),
        ("date", pa.string()),
        ("source", pa.string()),
        ("reference", pa.string()),
        ("description", pa.string()),
    ]
)
"""What of a posting goes through the disk; its numbers stay in memory."""


MakeWriter = Callable[[Callable[[], Iterator[pa.RecordBatch]]], GlFileWriter]
"""Makes a file's writer; it is given the batches for a first pass, for headers that show totals."""


@dataclass
class GroupTotals:
    """What one cost centre and account come to; credits are not negative."""

    postings: int = 0
    debit: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)

    def add(self, postings: int, debit: Decimal, credit: Decimal) -> None:
        """More postings."""
        self.postings += postings
        self.debit += debit
        self.credit += credit


@dataclass
class GlFile:
    """A written file.

    Attributes:
        bytes: Its size.
        sha256: Its digest.
        total: Of the file.
        groups: Per cost centre and account, in the order of the file.
        preview: The first lines, for people.
    """

    bytes: int = 0
    sha256: str = ""
    total: GroupTotals = field(default_factory=GroupTotals)
    groups: dict[tuple[str, str], GroupTotals] = field(default_factory=dict)
    preview: list[str] = field(default_factory=list)

    def add(self, batch: pa.RecordBatch) -> None:
        """Postings that were written."""
        for found in sums_by_group(batch):
            figures = found["postings"], found["debit"], found["credit"]
            self.groups.setdefault((found["cost_centre"], found["account"]), GroupTotals()).add(*figures)
            self.total.add(*figures)

    def control_totals(self, currency: str) -> dict[str, Any]:
        """As the manifest has them, decimal text."""
        centres: dict[str, GroupTotals] = {}
        for (centre, _), group in self.groups.items():
            centres.setdefault(centre, GroupTotals()).add(group.postings, group.debit, group.credit)

        def text(amount: Decimal) -> str:
            return f"{in_currency(currency, amount):f}"

        return {
            "debit": text(self.total.debit),
            "credit": text(self.total.credit),
            "currency": currency,
            "by_cost_centre": {
                centre: {"debit": text(group.debit), "credit": text(group.credit)} for centre, group in centres.items()
            },
        }

    def write_groups(self, period: str, path: StagedPath) -> None:
        """One row per group, for the quality gate."""
        text = io.StringIO(newline="")
        rows = csv.writer(text)
        rows.writerow(("group", "period", "cost_centre", "account", "postings", "debit", "credit"))
        for (centre, account), group in self.groups.items():
            figures = (group.postings, f"{group.debit:f}", f"{group.credit:f}")
            rows.writerow((f"{centre}|{account}", period, centre, account, *figures))
        write_bytes_atomically(path, [text.getvalue().encode()])


class PeriodFile:
    """A period's postings that are to go, grouped; a context manager, since the groups lie on the local disk.

    Args:
        folder: The period's staging folder, as it was read.
        period: What was read.
        judged: Where each posting goes.
        rules: What codes become.
        source: What SYSPRO's codes mean.
    """

    def __init__(
        self, folder: Folder, period: PeriodRead, judged: Judged, rules: GlRules, source: SysproSource
    ) -> None:
        self._folder, self._period, self._judged, self._source = folder, period, judged, source
        coded = [rules.code(code) for code in judged.gl_codes]
        self._centres = pa.array([each.cost_centre for each in coded], pa.string())
        self._accounts = pa.array([each.account for each in coded], pa.string())
        self._gl_codes = pa.array(judged.gl_codes, pa.string())
        self._groups = in_order([(each.cost_centre or "", each.account or "") for each in coded])
        self._stack = ExitStack()

    def __enter__(self) -> PeriodFile:
        send = self._judged.places == Place.SEND
        sizes = np.bincount(self._groups[self._judged.codes[send]], minlength=1) if send.any() else np.zeros(1, int)
        self._grouped = self._stack.enter_context(Grouped(SPILLED, sizes.astype(np.int64)))
        headers = _HeaderTexts(self._folder)
        at = 0
        for batch in read_parts(self._folder, names=self._period.parts, columns=list(TEXTS), batch_rows=50_000):
            rows = np.flatnonzero(send[at : at + batch.num_rows])
            if len(rows):
                chosen = batch if len(rows) == batch.num_rows else batch.take(pa.array(rows))
                positions = at + rows
                journals = self._judged.keys[positions] // ENTRIES
                texts = [
                    headers.fill("JournalDate", chosen.column("EntryDate"), journals),
                    headers.fill("Source", chosen.column("Source"), journals),
                    chosen.column("Reference"),
                    chosen.column("Comment"),
                ]
                spilled = pa.RecordBatch.from_arrays([pa.array(positions, pa.int64()), *texts], schema=SPILLED)
                self._grouped.add(spilled, self._groups[self._judged.codes[positions]])
            at += batch.num_rows
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The postings in the order of the file."""
        for batch in self._grouped.batches():
            yield self._coded(batch)

    def _coded(self, spilled: pa.RecordBatch) -> pa.RecordBatch:
        """A posting's texts from the disk with its numbers, which are in memory."""
        positions = spilled.column("_position").to_numpy(zero_copy_only=False)
        codes = pa.array(self._judged.codes[positions])
        journals, entries = np.divmod(self._judged.keys[positions], ENTRIES)
        amounts = _decimals(self._judged.values[positions])
        gl_codes = self._gl_codes.take(codes)
        year, month = int(self._period.code[:4]), int(self._period.code[4:])
        columns = {
            "cost_centre": self._centres.take(codes),
            "account": self._accounts.take(codes),
            "source_gl_code": gl_codes,
            "year": pa.repeat(pa.scalar(year, pa.int64()), len(positions)),
            "period": pa.repeat(pa.scalar(month, pa.int64()), len(positions)),
            "journal": pa.array(journals),
            "entry": pa.array(entries),
            "date": spilled.column("date"),
            "source": spilled.column("source"),
            "reference": spilled.column("reference"),
            "description": spilled.column("description"),
            "amount": amounts if self._source.debit_is == "positive" else pc.negate(amounts),
            "_position": spilled.column("_position"),
            "_fingerprint": content_of(gl_codes, amounts),
        }
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=SCHEMA)

    def misfits(self, make: MakeWriter) -> dict[int, HeldReason]:
        """Position → why, of the postings that the format has no room for."""
        writer = make(self.batches)
        found: dict[int, HeldReason] = {}
        for batch in self.batches():
            for row, reason in writer.misfits(batch):
                found.setdefault(batch.column("_position")[row].as_py(), reason)
        return found

    def write(self, make: MakeWriter, folder: Folder) -> GlFile:
        """Write the file and its index.

        Raises:
            BadRecord: A posting does not fit: ask `misfits` for all of them, and judge again.
        """
        result = GlFile()
        digest = hashlib.sha256()
        writer = make(self.batches)
        with (
            (folder / DATA).open("wb") as data,
            (folder / INDEX).open("wb") as sink,
            pa.ipc.new_stream(sink, INDEX_SCHEMA) as index,
            ThreadPoolExecutor(1, thread_name_prefix="written") as aside,
        ):

            def keep(piece: Piece) -> None:
                data.write(piece.data)
                digest.update(piece.data)
                result.bytes += len(piece.data)
                _preview(result, piece)
                if piece.batch is not None:
                    index.write_batch(_index_of(piece))
                    result.add(piece.batch)

            # One piece is kept while the next is made; never more, so that memory holds two of them.
            kept: Future[None] | None = None
            for piece in writer.pieces(self.batches()):
                if kept is not None:
                    kept.result()
                kept = aside.submit(keep, piece)
            if kept is not None:
                kept.result()
        result.sha256 = digest.hexdigest()
        return result


def _decimals(millionths: npt.NDArray[np.int64]) -> pa.Array:
    """Amounts out of whole millionths, without a detour over texts."""
    words = np.empty((len(millionths), 2), np.int64)
    words[:, 0], words[:, 1] = millionths, millionths >> 63  # little-endian: the low word first, then the sign
    return pa.Array.from_buffers(MONEY, len(millionths), [None, pa.py_buffer(words.tobytes())])


def _index_of(piece: Piece) -> pa.RecordBatch:
    batch = piece.batch
    assert batch is not None
    parts = [batch.column(name).cast(pa.string()) for name in ("year", "period", "journal", "entry")]
    return pa.RecordBatch.from_arrays(
        [
            pc.binary_join_element_wise(*parts, "|"),
            batch.column("_fingerprint"),
            voucher_of(batch),
            pa.array(piece.starts, pa.int64()),
            pa.array(piece.ends, pa.int64()),
        ],
        schema=INDEX_SCHEMA,
    )


def _preview(result: GlFile, piece: Piece) -> None:
    """The first lines, as they can be shown."""
    if len(result.preview) < 8:
        text = bytes(piece.data[:4_000]).decode("latin-1" if b"\x00" in bytes(piece.data[:64]) else "utf-8", "replace")
        result.preview += [line for line in text.splitlines() if line][: 8 - len(result.preview)]


class _HeaderTexts:
    """What journal headers say where an entry says nothing."""

    def __init__(self, folder: Folder) -> None:
        with (folder / JOURNALS).open("rb") as file:
            table = pq.read_table(file, columns=["GlJournal", "JournalDate", "Source"])
        order = pc.sort_indices(table, sort_keys=[("GlJournal", "ascending")])
        self._table = table.take(order).combine_chunks()
        self._journals = self._table["GlJournal"].to_numpy()

    def fill(self, name: str, values: pa.Array, wanted: npt.NDArray[np.int64]) -> pa.Array:
        """Values, and the header's where there is none."""
        if values.null_count == 0 or not len(self._journals):
            return values
        at = np.minimum(np.searchsorted(self._journals, wanted), len(self._journals) - 1)
        own = pa.array(at, mask=self._journals[at] != wanted)
        texts = self._table[name].combine_chunks()
        return pc.coalesce(values, texts.take(own))


def check_totals(judged: Judged, period: PeriodRead, file: GlFile) -> None:
    """Debits and credits read from SYSPRO are those of the four places, and those to be sent are in the file.

    Raises:
        DoesNotTieOut: They are not.
    """
    sides = [judged.sides(place) for place in Place]
    debit, credit = (sum(side, Decimal(0)) for side in zip(*sides, strict=True))
    if (debit, credit) != (period.debit, period.credit):
        raise DoesNotTieOut(
            f"Period {period.code}: SYSPRO's postings have debits of {period.debit} and credits of {period.credit}, "
            f"but {debit} and {credit} have a place. Nothing was sent; please report this with the staged files."
        )
    sent = judged.count(Place.SEND), *judged.sides(Place.SEND)
    written = file.total.postings, file.total.debit, file.total.credit
    if written != sent:
        raise DoesNotTieOut(
            f"Period {period.code}: {sent[0]} postings with debits of {sent[1]} and credits of {sent[2]} were to be "
            f"written, but the file has {written[0]}, {written[1]} and {written[2]}. Nothing was sent; report this "
            "with the staged files."
        )


def index_batches(folder: Folder) -> Iterator[pa.RecordBatch]:
    """The file's postings, for the ledger."""
    with (folder / INDEX).open("rb") as file, pa.ipc.open_stream(file) as stream:
        yield from stream
