"""Held records in a mail: which, how much, what is wrong with each and where to correct it.

Only figures, names and sentences of the ledger go into it, never a record's payload. The ledger is read as a stream and
what is written out is bounded, so ten thousand held records make a mail as short as forty do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from zoneinfo import ZoneInfo

from tieout.ledger import HeldRow, HeldSummary, Ledger, Tally, decimal_text

LISTED = 20
"""Records written out in a list; the others are counted."""

_LONGEST_TEXT = 500
_ONE = {"invoices": "Invoice", "vendors": "Vendor", "payments": "Payment", "purchase_orders": "Purchase order"}
_STYLE = "border-bottom:1px solid #ccc;padding:6px 12px 6px 0;text-align:left;vertical-align:top"


@dataclass(frozen=True)
class Listing:
    """A part of a mail: a heading, some records, and how many more there are."""

    heading: str
    rows: Sequence[HeldRow]
    more: int = 0


def listing(ledger: Ledger, title: str, group: HeldSummary, ids: Sequence[int]) -> list[Listing]:
    """These records of a group under a title that says what the whole group is worth; nothing of an empty group."""
    if not group.tally.count:
        return []
    return [Listing(f"{title}: {worth(group.tally)}", ledger.held_rows(ids), group.tally.count - len(ids))]


def oldest_and_largest(ledger: Ledger, title: str, group: HeldSummary) -> list[Listing]:
    """All of them where they are few; else those held longest, then the largest of the others."""
    if group.tally.count <= LISTED:
        return listing(ledger, title, group, group.oldest)
    largest = [held_id for held_id in group.largest if held_id not in group.oldest]
    rest = group.tally.count - len(group.oldest) - len(largest)
    listings = [Listing(f"{title}: {worth(group.tally)}. The oldest", ledger.held_rows(group.oldest))]
    if not largest:
        return [Listing(listings[0].heading, listings[0].rows, rest)]
    return [*listings, Listing("Still open: the largest amounts among the others", ledger.held_rows(largest), rest)]


def as_text(part: Listing, zone: ZoneInfo) -> Iterator[str]:
    """Lines of plain text; dates are the zone's."""
    yield from ("", part.heading, "-" * len(part.heading))
    for row in part.rows:
        yield f"* {_name(row)}: {_money(row)} ({_since(row, zone)})"
        yield from (f"  {label}: {words}" for label, words in _story(row))
    if part.more:
        yield f"... and {part.more} more"


def as_html(part: Listing, zone: ZoneInfo) -> Iterator[str]:
    """The same as HTML."""
    yield f'<h3>{escape(part.heading)}</h3><table style="border-collapse:collapse">'
    for row in part.rows:
        story = "<br>".join(f"<b>{label}:</b> {escape(words)}" for label, words in _story(row))
        cells = (escape(_name(row)), escape(_money(row)), escape(_since(row, zone)), story)
        yield "<tr>" + "".join(f'<td style="{_STYLE}">{cell}</td>' for cell in cells) + "</tr>"
    yield "</table>"
    if part.more:
        yield f"<p>&hellip; and {part.more} more</p>"


def worth(tally: Tally) -> str:
    """`12 (EUR 1.00, USD 2.00)`."""
    totals = ", ".join(
        f"{plain(currency)} {decimal_text(amount)}".strip() for currency, amount in sorted(tally.totals.items())
    )
    return f"{tally.count} ({totals})" if totals else str(tally.count)


def plain(text: str) -> str:
    """A source's text on one line and of bounded length; what cannot be seen must not disturb the mail."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1] + "…"


def _name(row: HeldRow) -> str:
    kind = _ONE.get(row.entity, row.entity.replace("_", " ").capitalize())
    return f"{kind} {plain(row.label or row.source_key)}"


def _money(row: HeldRow) -> str:
    return "no amount" if row.amount is None else f"{plain(row.currency or '')} {decimal_text(row.amount)}".strip()


def _since(row: HeldRow, zone: ZoneInfo) -> str:
    tried = "tried once" if row.attempts == 1 else f"tried {row.attempts} times"
    return f"held since {row.first_seen.astimezone(zone).date()}, {tried}"


def _story(row: HeldRow) -> Iterator[tuple[str, str]]:
    """What finance needs to know of a record: what was wrong, and where to correct it as long as it is."""
    if row.status == "held":
        yield "What is wrong", plain(row.message)
        yield f"Where to correct it ({row.owner})", plain(row.fix_hint)
    else:
        yield "What was wrong", plain(row.message)
        yield "Now", plain(row.closed_why) or "settled"
