"""The arithmetic of a journal entry: legs in the document's currency, as lines with debit and credit that balance.

A leg is a signed amount, debit positive. All legs of an entry add up to zero in the document's currency; in local
currency they are made to, to the cent, by the leg with the greatest amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from tieout.currencies import minor_units

ZERO = Decimal(0)
Side = Literal["Debit", "Credit"]


@dataclass(frozen=True)
class Leg:
    """One line of an entry.

    Attributes:
        amount: In the document's currency, debit positive.
        side: The side that the line is on when its amount is zero.
        properties: Everything of the line but its amounts.
        base: For tax lines: what the tax was reckoned on, in the document's currency.
        is_partner: Whether this is the business partner's line; its amount is the document's total and stays as it is.
    """

    amount: Decimal
    side: Side
    properties: dict[str, Any] = field(default_factory=dict)
    base: Decimal | None = None
    is_partner: bool = False


class Unbalanced(Exception):
    """Legs that do not add up to zero. Nothing in a file can cause it."""


def rounded(amount: Decimal, currency: str) -> Decimal:
    """An amount in a currency's precision, half away from zero."""
    return amount.quantize(Decimal(1).scaleb(-minor_units(currency)), rounding=ROUND_HALF_UP)


def mirrored(legs: Sequence[Leg]) -> list[Leg]:
    """The same entry the other way round."""
    return [replace(leg, amount=-leg.amount, side="Credit" if leg.side == "Debit" else "Debit") for leg in legs]


def lines(legs: Sequence[Leg], currency: str, local_currency: str, rate: Decimal | None) -> list[dict[str, Any]]:
    """The `JournalEntryLines` of an entry.

    A negative leg goes to the other side as a positive amount. Legs of zero are left out, unless there is no other.

    Args:
        legs: In the document's currency, precise to its decimals.
        currency: The document's.
        local_currency: The company's.
        rate: Local currency per unit of the document's; None: SAP computes local amounts itself.

    Raises:
        Unbalanced: Debit and credit differ, in either currency.
    """
    kept = [leg for leg in legs if leg.amount] or list(legs)
    if sum((leg.amount for leg in kept), ZERO) != 0:
        raise Unbalanced(f"the legs of the entry add up to {sum((leg.amount for leg in kept), ZERO):f} {currency}")
    if currency == local_currency:
        return [_line(leg, None, rounded(leg.amount, currency), leg.base) for leg in kept]
    if rate is None:
        return [_line(leg, currency, None, None) for leg in kept]
    local = _local_amounts(kept, local_currency, rate)
    if sum(local, ZERO) != 0:
        raise Unbalanced(f"the lines of the entry add up to {sum(local, ZERO):f} {local_currency}")
    return [
        _line(leg, currency, amount, None if leg.base is None else rounded(leg.base * rate, local_currency))
        for leg, amount in zip(kept, local, strict=True)
    ]


def _line(leg: Leg, foreign: str | None, local: Decimal | None, base: Decimal | None) -> dict[str, Any]:
    side = leg.side if not leg.amount else "Debit" if leg.amount > 0 else "Credit"
    line = dict(leg.properties)
    if local is not None:
        line[side] = abs(local)
    if foreign is not None:
        line["FCCurrency"] = foreign
        line[f"FC{side}"] = abs(rounded(leg.amount, foreign))
    if base is not None:
        line["BaseSum"] = abs(base)
    return line


def _local_amounts(legs: Sequence[Leg], currency: str, rate: Decimal) -> list[Decimal]:
    """Each leg at the rate; what is left over by rounding goes to the greatest leg that is not the partner's."""
    amounts = [rounded(leg.amount * rate, currency) for leg in legs]
    others = [position for position, leg in enumerate(legs) if not leg.is_partner] or list(range(len(legs)))
    greatest = max(others, key=lambda position: abs(legs[position].amount))
    adjusted = amounts[greatest] - sum(amounts, ZERO)
    if adjusted * legs[greatest].amount >= 0:
        amounts[greatest] = adjusted
        return amounts
    return _running(legs, currency, rate)


def _running(legs: Sequence[Leg], currency: str, rate: Decimal) -> list[Decimal]:
    """For very many lines of next to nothing, whose left-over is more than the greatest of them.

    Debits and credits are each rounded as running totals, so that no line is off by more than the smallest unit, none
    changes sides, and both end at the same total.
    """
    totals = {True: (ZERO, ZERO), False: (ZERO, ZERO)}
    amounts = []
    for leg in legs:
        exact, given = totals[leg.amount > 0]
        exact += leg.amount * rate
        amount = rounded(exact, currency) - given
        totals[leg.amount > 0] = (exact, given + amount)
        amounts.append(amount)
    return amounts


def shares(total: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Splits an amount: each weight rounded as it is, and what is left over to the greatest of them.

    With weights of zero only, the first one gets all.
    """
    parts = [rounded(weight, currency) for weight in weights]
    greatest = max(range(len(parts)), key=lambda position: abs(parts[position]))
    parts[greatest] += total - sum(parts, ZERO)
    return parts
