"""Row-level checks: what is wrong with single records, found for a whole batch at once.

The masks are vectorised; sentences are made only for the records that a check holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.currencies import MINOR_UNITS
from tieout.mapping.expressions import Evaluator, Values
from tieout.mapping.frame import Level, to_mask
from tieout.mapping.functions import ZERO, total
from tieout.mapping.held import LINE_SUM_MISMATCH, MISSING_VALUE, UNKNOWN_CURRENCY, HeldReason
from tieout.mapping.model import Check, CurrencyCheck, LineSumCheck, LocalSum, RequiredCheck
from tieout.odata.layout import MONEY

Found = Iterator[tuple[int, HeldReason]]
Namer = Callable[[int], str]
"""What a record is called in a sentence, such as `invoice 100017`."""


def run_check(check: Check, evaluator: Evaluator, called: Namer) -> Found:
    """The positions of the records that a check holds, with the reasons."""
    if isinstance(check, RequiredCheck):
        yield from _required(check, evaluator, called)
    elif isinstance(check, CurrencyCheck):
        yield from _currency(check, evaluator, called)
    else:
        yield from _line_sum(check, evaluator, called)


def _required(check: RequiredCheck, evaluator: Evaluator, called: Namer) -> Found:
    for name in check.columns:
        values = evaluator.value(name)
        for record in _records(evaluator, values, _empty(values.array)):
            message = f"{called(record)} has no {name}."
            yield record, HeldReason(MISSING_VALUE, message, check.fix_hint, check.owner)


def _currency(check: CurrencyCheck, evaluator: Evaluator, called: Namer) -> Found:
    values = evaluator.value(check.column)
    known = pc.is_in(values.array, value_set=pa.array(sorted(MINOR_UNITS), pa.string()))
    texts = values.array
    for record in _records(evaluator, values, ~to_mask(known)):
        code = texts[record].as_py() if values.level is Level.RECORD else None
        shown = f"the currency {code!r}, which is" if code else "a currency that is empty or"
        message = f"{called(record)} has {shown} not a code of ISO 4217."
        yield record, HeldReason(UNKNOWN_CURRENCY, message, check.fix_hint, check.owner)


def _line_sum(check: LineSumCheck, evaluator: Evaluator, called: Namer) -> Found:
    """Lines + plus - minus = total, after rounding to the currency, up to the tolerance."""
    local = check.in_local_currency
    in_local = np.full(evaluator.frame.records, False) if local is None else _lacks_foreign_amount(local, evaluator)
    yield from _differences(check, check, evaluator, called, ~in_local)
    if local is not None and in_local.any():
        yield from _differences(check, local, evaluator, called, in_local)


def _lacks_foreign_amount(local: LocalSum, evaluator: Evaluator) -> np.ndarray:
    """The documents in foreign currency that have an amount in local currency only."""
    lacking = np.full(evaluator.frame.records, False)
    for foreign_name, local_name in local.when_absent.items():
        lacking |= _zero(evaluator, foreign_name) & ~_zero(evaluator, local_name)
    return lacking & ~_zero(evaluator, local.foreign_when)


def _zero(evaluator: Evaluator, name: str) -> np.ndarray:
    return to_mask(pc.equal(_amount(evaluator, name), ZERO))


def _differences(
    check: LineSumCheck, terms: LineSumCheck | LocalSum, evaluator: Evaluator, called: Namer, among: np.ndarray
) -> Found:
    lines = evaluator.sum_of_lines(evaluator.value(terms.lines))
    plus = {name: _amount(evaluator, name) for name in terms.plus}
    minus = {name: _amount(evaluator, name) for name in terms.minus}
    added = total([lines, *plus.values()])
    expected = pc.subtract(added, total(list(minus.values()))).cast(MONEY) if minus else added
    currency, _ = evaluator.money(terms.currency, Level.RECORD, None)
    stated = currency.round(_amount(evaluator, terms.total))
    gap = pc.abs(pc.subtract(currency.round(expected), stated))
    wrong = to_mask(pc.greater(gap, pa.scalar(check.tolerance, gap.type))) & among
    for record in map(int, np.flatnonzero(wrong)):
        parts = [f"lines {_plain(lines, record)}"]
        parts += [f"+ {name} {_plain(amounts, record)}" for name, amounts in plus.items()]
        parts += [f"- {name} {_plain(amounts, record)}" for name, amounts in minus.items()]
        message = (
            f"{called(record)} does not add up: {' '.join(parts)} = {_plain(expected, record)}, "
            f"but its total is {_plain(stated, record)}."
        )
        yield record, HeldReason(LINE_SUM_MISMATCH, message, check.fix_hint, check.owner)


def _amount(evaluator: Evaluator, name: str) -> pa.Array:
    """An amount of each record, an absent one as zero."""
    return pc.fill_null(evaluator.value(name).array.cast(MONEY), ZERO)


def _records(evaluator: Evaluator, values: Values, mask: np.ndarray) -> list[int]:
    """The records that a mask over the values' level touches."""
    if values.level is Level.ROW:
        return [int(record) for record in evaluator.frame.records_of_rows(mask)]
    return [int(record) for record in np.flatnonzero(mask)]


def _empty(values: pa.Array) -> np.ndarray:
    if pa.types.is_string(values.type):
        return to_mask(pc.equal(pc.utf8_trim_whitespace(pc.fill_null(values, "")), ""))
    return to_mask(pc.is_null(values))


def _plain(amounts: pa.Array, record: int) -> str:
    """An amount for a sentence: at least two decimals, no needless zeros."""
    text = f"{amounts[record].as_py():f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"
