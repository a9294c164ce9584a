"""What a run would send, from SYSPRO as it is now: nothing is sent, numbered or remembered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tieout.integrations.sorting import Place
from tieout.integrations.syspro_to_legacy_erp.documents import DocumentWindow, read_documents
from tieout.integrations.syspro_to_legacy_erp.gl.files import PeriodFile
from tieout.integrations.syspro_to_legacy_erp.gl.judging import Judged, judge_period
from tieout.integrations.syspro_to_legacy_erp.gl.reading import read_periods
from tieout.integrations.syspro_to_legacy_erp.gl.writers import money_text, side_of
from tieout.integrations.syspro_to_legacy_erp.plan import Asked, run_period
from tieout.integrations.syspro_to_legacy_erp.preparing import known_of, map_context
from tieout.integrations.syspro_to_legacy_erp.setup import Setup
from tieout.ledger import Ledger
from tieout.mapping.compiler import CompiledMapping, MappedBatch, compile_mapping
from tieout.staging import Folder, read_parts
from tieout.systems.syspro.client import SysproClient
from tieout.systems.syspro.tables import TableRead


def preview_postings(
    setup: Setup, limit: int, ledger: Ledger, folder: Folder, client: SysproClient
) -> list[dict[str, Any]]:
    """The first postings of the period closed last, with `(outcome)`; whole journals are judged.

    Args:
        setup: The run's surroundings.
        limit: How many postings.
        ledger: Tells what was sent before; only read.
        folder: An empty folder.
        client: SYSPRO.
    """
    code = run_period(setup.run, Asked(), setup.calendar).code
    rules, source = setup.gl_rules(), setup.config.source
    (period,) = read_periods(client, [code], folder, debit_is=source.debit_is, most=limit)
    judged = judge_period(folder / code, period, rules, source, known_of(setup, ledger, code))
    outcomes = [_outcome(judged, position) for position in range(len(judged.places))]
    # All of them are coded, so that the held ones show what they lack.
    judged.places[:] = Place.SEND
    rows: dict[int, dict[str, Any]] = {}
    with PeriodFile(folder / code, period, judged, rules, source) as grouped:
        for batch in grouped.batches():
            for row in _postings(batch, source.currency, [column.source for column in rules.file.columns]):
                rows[row.pop("_position")] = row
    shown = sorted(rows)[:limit]
    return [{"(outcome)": outcomes[position], **rows[position]} for position in shown]


def _outcome(judged: Judged, position: int) -> str:
    place = Place(int(judged.places[position]))
    if place is Place.HELD:
        return f"held: {judged.reasons.of(position).message}"
    return {Place.EXCLUDED: "excluded: not posted", Place.DUPLICATE: "duplicate: sent before"}.get(place, "send")


def _postings(batch: pa.RecordBatch, currency: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    amounts = batch.column("amount")
    texts = {
        "amount": money_text(amounts, currency),
        "debit": money_text(side_of(amounts, "debit"), currency),
        "credit": money_text(side_of(amounts, "credit"), currency),
    }
    for position, row in enumerate(batch.to_pylist()):
        shown = {name: texts[name][position].as_py() if name in texts else row.get(name) for name in columns}
        yield {"_position": row["_position"], **{name: "" if v is None else str(v) for name, v in shown.items()}}


def preview_documents(
    setup: Setup, entity: str, limit: int, ledger: Ledger, folder: Folder, client: SysproClient
) -> tuple[CompiledMapping, MappedBatch, pa.Table] | None:
    """The first documents, mapped; None where there are none. Arguments as `preview_postings`."""
    mapping = setup.mapping(entity)
    first = _FirstRecords(client, mapping.source.entity_set, limit)
    found = read_documents(first, mapping, DocumentWindow(), folder, local_currency=setup.config.source.currency)
    batches = list(read_parts(folder, names=found.part_names))
    if not batches:
        return None
    table = pa.Table.from_batches(batches)
    compiled = compile_mapping(mapping)
    return compiled, compiled.map_batch(table, map_context(setup, entity, ledger)), table


class _FirstRecords(SysproClient):
    """A client that gives only the first rows of one table."""

    def __init__(self, client: SysproClient, table: str, limit: int) -> None:
        self._client, self._table, self._left = client, table, limit

    def read(self, read: TableRead) -> Iterator[pa.RecordBatch]:
        """As the client's."""
        for batch in self._client.read(read):
            if read.table.name != self._table:
                yield batch
                continue
            yield batch.slice(0, self._left)
            self._left -= batch.num_rows
            if self._left <= 0:
                return
