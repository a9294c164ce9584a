"""Control totals over the details: counts, sums, debits and credits, hash totals. Exact at any size."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.errors import ConfigurationInvalid
from tieout.formats.fixed_width.columns import as_decimal
from tieout.formats.fixed_width.field_spec import FieldSpec
from tieout.formats.fixed_width.misfits import Misfit, ValueDoesNotFit
from tieout.formats.fixed_width.spec import TotalSpec

# Wide enough that no sum of 38-digit numbers is ever rounded.
_EXACT = Context(prec=100)


class Totals:
    """The running totals of a spec. What a header shows is found by a first pass over the batches with one of these."""

    def __init__(self, specs: Mapping[str, TotalSpec]) -> None:
        self._specs = specs
        self._details = 0
        self._sums = dict.fromkeys((name for name, spec in specs.items() if spec.sum is not None), Decimal(0))

    def add(self, batch: pa.RecordBatch) -> None:
        """Counts a batch of details.

        Raises:
            ConfigurationInvalid: A column to be summed is missing or is no number.
            ValueDoesNotFit: A text to be summed is no number.
        """
        found = {name: _EXACT.add(known, _sum(name, self._specs[name], batch)) for name, known in self._sums.items()}
        self._sums = found
        self._details += batch.num_rows

    def values(self, *, records: int | None = None) -> dict[str, int | Decimal]:
        """Each total by its name, money with the decimals that the column has.

        Args:
            records: The number of all records, where it is known; totals that count them are left out otherwise.
        """
        values: dict[str, int | Decimal] = {}
        for name, spec in self._specs.items():
            if spec.sum is not None:
                total = self._sums[name]
                values[name] = _EXACT.remainder(total, Decimal(spec.modulo)) if spec.modulo else total
            elif spec.count == "details":
                values[name] = self._details
            elif records is not None:
                values[name] = records
        return values


def _sum(name: str, spec: TotalSpec, batch: pa.RecordBatch) -> Decimal:
    if spec.sum not in batch.schema.names:
        raise ConfigurationInvalid(
            f"The total {name!r} sums `{spec.sum}`, which the details do not have. They have: "
            f"{', '.join(batch.schema.names)}. Correct the record spec."
        )
    column = FieldSpec.model_validate({"name": name, "start": 1, "width": 1, "from": spec.sum, "type": "num"})
    numbers, bad = as_decimal(batch.column(spec.sum), column, "totals")
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        message = f"The total {name!r} sums `{spec.sum}`, but a value of it is no plain number."
        raise ValueDoesNotFit(Misfit(row, "totals", name, "NOT_A_NUMBER", message, "Correct the value at its source."))
    if spec.side is not None:
        zero = pa.scalar(Decimal(0), numbers.type)
        wanted = pc.greater(numbers, zero) if spec.side == "debit" else pc.less(numbers, zero)
        numbers = pc.if_else(wanted, numbers, zero)
    total = pc.sum(numbers).as_py() or Decimal(0)
    return total.copy_negate() if spec.side == "credit" and total else total
