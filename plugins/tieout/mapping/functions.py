"""The named functions of `derive`: amounts that follow from other amounts.

Each takes decimal128(28, 6) arrays of one length and gives such an array, unless it says otherwise.
An absent amount counts as zero where amounts are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.mapping.frame import Elements, to_mask
from tieout.odata.layout import MONEY

ZERO = pa.scalar(Decimal(0), MONEY)
_EXACT = pa.decimal256(MONEY.precision, MONEY.scale)


def total(amounts: Sequence[pa.Array]) -> pa.Array:
    """`sum`: the amounts added up, absent ones as zero."""
    result = pc.fill_null(amounts[0], ZERO)
    for amount in amounts[1:]:
        result = pc.add(result, pc.fill_null(amount, ZERO)).cast(MONEY)
    return result


def difference(amounts: Sequence[pa.Array]) -> pa.Array:
    """`difference`: the first amount less all others; absent when the first one is."""
    result = amounts[0]
    for amount in amounts[1:]:
        result = pc.subtract(result, pc.fill_null(amount, ZERO)).cast(MONEY)
    return result


def product(left: pa.Array, right: pa.Array) -> pa.Array:
    """`product`: the exact product, decimal256 with twelve decimals, so that it is rounded once, where it goes to.

    Absent when one of the two is.
    """
    return pc.multiply(left.cast(_EXACT), right.cast(_EXACT))


def sign(amount: pa.Array) -> pa.Array:
    """`sign`: -1, 0 or 1; absent where the amount is."""
    return pc.sign(amount).cast(MONEY)


def collection_sum(elements: Elements | None, member: str, records: int) -> pa.Array:
    """`collection_sum`: one property added up over the elements of a collection, zero for an empty one."""
    if elements is None or (values := elements.member(member, MONEY)) is None or len(values) == 0:
        return pa.repeat(ZERO, records)
    sums = pa.table({"owner": elements.owner, "value": values}).group_by("owner").aggregate([("value", "sum")])
    positions = np.full(records, -1, dtype=np.int64)
    positions[sums["owner"].to_numpy()] = np.arange(sums.num_rows)
    taken = sums["value_sum"].combine_chunks().cast(MONEY).take(pa.array(positions, mask=positions < 0))
    return pc.fill_null(taken, ZERO)


def document_amount(local: pa.Array, foreign: pa.Array, is_foreign: pa.Array) -> pa.Array:
    """`document_amount`: the amount in the document's own currency.

    SAP Business One keeps two amounts of each document in foreign currency, one in local currency (`DocTotal`) and one
    in the document's (`DocTotalFc`), and leaves the second one zero for documents in local currency.
    """
    return _choose(to_mask(is_foreign), foreign, local)


def document_line_tax(
    local: pa.Array,
    foreign_choices: Sequence[pa.Array],
    is_foreign: pa.Array,
    document_local: pa.Array,
    document_foreign: pa.Array,
) -> pa.Array:
    """`document_line_tax`: a line's tax in the document's own currency.

    Of a document in foreign currency it is the first of `foreign_choices` that is there. Not every build has such a
    property on lines; then the local tax is converted by the document's own ratio of foreign to local tax, which needs
    no exchange rate and so no knowledge of the direction in which the company quotes rates.
    """
    mask = to_mask(is_foreign)
    if not mask.any():
        return local
    # A zero next to a local tax is a property that the build leaves empty.
    no_tax = pc.fill_null(pc.equal(local, ZERO), True)
    filled = [pc.if_else(pc.or_(no_tax, pc.not_equal(choice, ZERO)), choice, None) for choice in foreign_choices]
    foreign = pc.coalesce(*filled)
    missing = np.flatnonzero(mask & to_mask(pc.is_null(foreign)) & to_mask(pc.is_valid(local)))
    if len(missing):
        positions = pa.array(missing)
        converted = [
            _by_ratio(amount, document_tax_local, document_tax_foreign)
            for amount, document_tax_local, document_tax_foreign in zip(
                local.take(positions).to_pylist(),
                document_local.take(positions).to_pylist(),
                document_foreign.take(positions).to_pylist(),
                strict=True,
            )
        ]
        gaps = np.full(len(mask), False)
        gaps[missing] = True
        foreign = pc.replace_with_mask(foreign, pa.array(gaps), pa.array(converted, MONEY))
    return _choose(mask, foreign, local)


def _choose(mask: np.ndarray, chosen: pa.Array, otherwise: pa.Array) -> pa.Array:
    """`chosen` where the mask is set; most batches are of one kind and need no work at all."""
    if not mask.any():
        return otherwise
    return chosen if mask.all() else pc.if_else(pa.array(mask), chosen, otherwise)


def _by_ratio(amount: Decimal, local: Decimal | None, foreign: Decimal | None) -> Decimal | None:
    """`amount * foreign / local` to six decimals; None when it cannot be told."""
    if amount == 0:
        return amount
    if not local or foreign is None:
        return None
    with localcontext() as context:
        context.prec = 60
        context.rounding = "ROUND_HALF_UP"
        return (amount * foreign / local).quantize(Decimal("0.000001"))
