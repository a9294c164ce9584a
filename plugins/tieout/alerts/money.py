"""What a run that stopped means for the money, by its rows in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from tieout.ledger import RunRow, Tally, Totals, decimal_text

NOTHING_LOST = (
    "Nothing is lost: what has not arrived is read again by the next run, and what has arrived is not sent again."
)
_SETTLED = ("delivered", "success", "dry_run")


def at_stake(rows: Sequence[RunRow]) -> str:
    """What of a run has not arrived, and what has; in sentences."""
    waiting = [row for row in rows if row.status not in _SETTLED and row.stage != "delivered"]
    arrived = [row for row in rows if row.stage == "delivered" and row.delivered + row.posted]
    prepared = [_named(row.entity, row.tally("to_send")) for row in waiting if row.stage == "prepared" and row.to_send]
    read = [_named(row.entity, row.tally("extracted")) for row in waiting if row.stage == "extracted" and row.extracted]
    unread = sorted(row.entity for row in waiting if row.stage == "running")
    sentences = []
    if prepared:
        sentences.append(f"Not delivered or posted yet: {_listed(prepared)}.")
    if read:
        sentences.append(f"Read from the source, and neither sent nor held yet: {_listed(read)}.")
    if unread:
        sentences.append(f"Not read yet, so of unknown amount: {_listed(unread)}.")
    if arrived:
        done = [_named(row.entity, Tally(row.delivered + row.posted, dict(row.target_totals))) for row in arrived]
        sentences.append(f"Delivered or posted by this run: {_listed(done)}.")
    if not rows:
        sentences.append("Nothing was read, so no amount is known.")
    return " ".join([*sentences, NOTHING_LOST])


def imbalance(rows: Sequence[RunRow]) -> str:
    """What does not agree, entity by entity: what was extracted against what has a place."""
    sentences = []
    for row in rows:
        ended: dict[str, Decimal] = {}
        for totals in (row.target_totals, row.held_totals, row.duplicate_totals, row.excluded_totals):
            for currency, amount in totals.items():
                ended[currency] = ended.get(currency, Decimal(0)) + amount
        placed = row.delivered + row.posted + row.held + row.duplicate + row.excluded
        sentences.append(
            f"{row.entity}: extracted {worth(Tally(row.extracted, dict(row.source_totals)))}; "
            f"delivered, posted, held, duplicate and excluded together {worth(Tally(placed, ended))}."
        )
    return "\n".join(sentences)


def worth(tally: Tally) -> str:
    """`3 records, EUR 12.50 and USD 1.00`."""
    count = "1 record" if tally.count == 1 else f"{tally.count} records"
    return f"{count}, {amounts(tally.totals)}" if tally.totals else count


def amounts(totals: Totals) -> str:
    """`EUR 12.50 and USD 1.00`."""
    return " and ".join(f"{currency} {decimal_text(amount)}".strip() for currency, amount in sorted(totals.items()))


def _named(entity: str, tally: Tally) -> str:
    return f"{entity} ({worth(tally)})"


_LISTED = 12


def _listed(names: Sequence[str]) -> str:
    """Where there are hundreds of clients, the first of them."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
