"""Details that are sorted by a column, taken apart into its groups with their totals."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from tieout.errors import ConfigurationInvalid, ContractBroken
from tieout.formats.fixed_width.spec import TotalSpec
from tieout.formats.fixed_width.totals import Totals

GroupValues = dict[str, object]


class Groups:
    """Follows the groups from batch to batch; one that goes on in the next batch stays open."""

    def __init__(self, per: str, totals: Mapping[str, TotalSpec]) -> None:
        self._per = per
        self._specs = totals
        self._totals = Totals(totals)
        self._open: str | None = None
        self._seen: set[str | None] = set()

    def add(self, batch: pa.RecordBatch) -> list[tuple[int, GroupValues]]:
        """Counts a batch.

        Returns:
            For each group that ended: the row of the batch before which it did, and its column's value and totals.

        Raises:
            ConfigurationInvalid: The batch lacks the column.
            ContractBroken: A group begins that had ended before: the details are not sorted by it.
        """
        if self._per not in batch.schema.names:
            raise ConfigurationInvalid(
                f"Subtotals are per `{self._per}`, which the details do not have. Correct `per` in the record spec."
            )
        ended: list[tuple[int, GroupValues]] = []
        runs = pc.run_end_encode(batch.column(self._per).cast(pa.string()))
        start = 0
        for group, stop in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            if not self._seen or group != self._open:
                if self._seen:
                    ended.append((start, self._close()))
                self._begin(group)
            self._totals.add(batch.slice(start, stop - start))
            start = stop
        return ended

    def close(self) -> GroupValues | None:
        """The last group's value and totals; None where there were no details at all."""
        return self._close() if self._seen else None

    def _begin(self, group: str | None) -> None:
        if group in self._seen:
            raise ContractBroken(
                f"Details of {self._per} {group!r} come in more than one place, so there is no subtotal of them. Sort "
                f"the details by `{self._per}`."
            )
        self._seen.add(group)
        self._open = group
        self._totals = Totals(self._specs)

    def _close(self) -> GroupValues:
        values: dict[str, int | Decimal] = self._totals.values()
        return {self._per: self._open, **values}
