"""Reading a period's journals from SYSPRO into staging, and what they are worth by SYSPRO's own figures.

Details are read before their headers: a journal that is posted meanwhile is then in the headers only and belongs to
the next run; no posting is ever without its header because of the order of reading.

    <folder>/<YYYYPP>/part-*.parquet    GenJournalDetail, in the order of its key
    <folder>/<YYYYPP>/journals.parquet  GenJournalCtl
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tieout.odata.layout import MONEY
from tieout.staging import Folder, PartWriter, remove_parts, write_bytes_atomically
from tieout.systems.syspro.client import SysproClient
from tieout.systems.syspro.columns import batch_schema
from tieout.systems.syspro.errors import SysproError
from tieout.systems.syspro.tables import GEN_JOURNAL_CTL, GEN_JOURNAL_DETAIL, GEN_MASTER, Condition, TableRead

DETAIL_COLUMNS = ("GlCode", "Reference", "Comment", "EntryValue", "EntryDate", "EntryPosted", "Source")
HEADER_COLUMNS = ("JournalDate", "DebitAmount", "CreditAmount", "NumOfEntries", "Source", "JnlStatus")
JOURNALS = "journals.parquet"
ACCOUNT_NAMES = "account_names.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PeriodRead:
    """One period as it was read.

    Attributes:
        code: YYYYPP.
        parts: Names of the part files with its postings.
        postings: How many there are, posted or not.
        debit: Sum of the debits of all of them, in the company's currency.
        credit: Sum of the credits, not negative.
        headers: Whether SYSPRO has a table of journal headers at all.
    """

    code: str
    parts: tuple[str, ...]
    postings: int
    debit: Decimal
    credit: Decimal
    headers: bool

    def to_json(self) -> dict[str, Any]:
        """For staging."""
        return {**asdict(self), "parts": list(self.parts), "debit": str(self.debit), "credit": str(self.credit)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PeriodRead:
        """From staging."""
        amounts = {"debit": Decimal(data["debit"]), "credit": Decimal(data["credit"])}
        return cls(**{**data, **amounts, "parts": tuple(data["parts"])})


def read_periods(
    client: SysproClient,
    periods: Iterable[str],
    folder: Folder,
    *,
    debit_is: str = "positive",
    journals: Mapping[str, Sequence[int]] | None = None,
    most: int | None = None,
) -> list[PeriodRead]:
    """Read periods whole.

    Args:
        client: The session.
        periods: YYYYPP each.
        folder: Where a folder for each period is made.
        debit_is: The sign of a debit in SYSPRO.
        journals: Per period the only journals that are wanted; all of them by default.
        most: Stop after so many postings, at the end of a journal.

    Raises:
        SourceUnavailable, CredentialsRejected, ContractBroken, SysproError: As the client says.
    """
    found = [
        _read_period(client, code, folder / code, debit_is, journals[code] if journals is not None else None, most)
        for code in periods
    ]
    content = json.dumps([period.to_json() for period in found]).encode()
    write_bytes_atomically(folder / "extract.json", [content])
    return found


def load_periods(folder: Folder) -> list[PeriodRead]:
    """What `read_periods` left in staging."""
    with (folder / "extract.json").open("rb") as file:
        return [PeriodRead.from_json(data) for data in json.loads(file.read())]


def _read_period(
    client: SysproClient, code: str, folder: Folder, debit_is: str, journals: Sequence[int] | None, most: int | None
) -> PeriodRead:
    folder.mkdir(parents=True, exist_ok=True)
    remove_parts(folder)
    of_period = (Condition("GlYear", "eq", int(code[:4])), Condition("GlPeriod", "eq", int(code[4:])))
    debit = credit = Decimal(0)
    postings = 0
    with PartWriter(folder) as parts:
        for batch in client.read(TableRead(GEN_JOURNAL_DETAIL, of_period, DETAIL_COLUMNS)):
            if journals is not None:
                batch = batch.filter(pc.is_in(batch.column("Journal"), pa.array(journals, pa.int64())))
            if most is not None:
                batch = _first_journals(batch, most - postings)
            postings += batch.num_rows
            positive, negative = _sides(batch.column("EntryValue"))
            debit, credit = debit + positive, credit + negative
            parts.write(pa.Table.from_batches([batch]))
            if most is not None and postings >= most:
                break
    headers = _read_headers(client, TableRead(GEN_JOURNAL_CTL, of_period, HEADER_COLUMNS, raw=False), folder)
    if debit_is == "negative":
        debit, credit = credit, debit
    names = tuple(part.name for part in parts.parts)
    log.info("Period %s: %s postings, %s journal headers.", code, postings, "no" if headers is None else headers)
    return PeriodRead(code, names, postings, debit, credit, headers is not None)


def _first_journals(batch: pa.RecordBatch, most: int) -> pa.RecordBatch:
    """The first postings and the rest of their last journal, which may go on in the next batch if there is no end."""
    if batch.num_rows <= most:
        return batch
    last = batch.column("Journal")[most - 1]
    end = pc.index(pc.not_equal(batch.column("Journal").slice(most), last), True).as_py()
    return batch if end < 0 else batch.slice(0, most + end)


def _sides(values: pa.Array) -> tuple[Decimal, Decimal]:
    """Sums of the positive and, without sign, of the negative values."""
    zero = pa.scalar(Decimal(0), MONEY)
    positive = pc.sum(pc.if_else(pc.greater(values, zero), values, zero)).as_py() or Decimal(0)
    negative = pc.sum(pc.if_else(pc.less(values, zero), values, zero)).as_py() or Decimal(0)
    return positive, -negative


def _read_headers(client: SysproClient, read: TableRead, folder: Folder) -> int | None:
    """How many headers; None where SYSPRO shows no such table."""
    try:
        batches = list(client.read(read))
    except SysproError as error:
        if error.status != 404:
            raise
        log.warning("SYSPRO shows no table %s; what is posted is told by the entries alone.", read.table.name)
        batches = []
        known = False
    else:
        known = True
    table = pa.Table.from_batches(batches, schema=batch_schema(read))
    with (folder / JOURNALS).open("wb") as file:
        pq.write_table(table, file, compression="zstd")
    return table.num_rows if known else None


def read_account_names(client: SysproClient, folder: Folder) -> None:
    """The chart's account names, for formats that show them; a site that does not show its chart goes without."""
    names: dict[str, str] = {}
    try:
        for batch in client.read(TableRead(GEN_MASTER, columns=("Description",), raw=False)):
            pairs = zip(batch.column("GlCode").to_pylist(), batch.column("Description").to_pylist(), strict=True)
            names.update((code, name) for code, name in pairs if code and name)
    except SysproError as error:
        if error.status != 404:
            raise
        log.warning("SYSPRO shows no chart of accounts (%s); accounts go without names.", GEN_MASTER.name)
    write_bytes_atomically(folder / ACCOUNT_NAMES, [json.dumps(names).encode()])


def load_account_names(folder: Folder) -> dict[str, str]:
    """What `read_account_names` left in staging; empty where nobody needed them."""
    path = folder / ACCOUNT_NAMES
    if not path.exists():
        return {}
    with path.open("rb") as file:
        names: dict[str, str] = json.loads(file.read())
    return names
