"""Finance's one mail per run: what is newly held, what was settled, and what is still open.

Only figures, names and sentences of the ledger go into it, never a record's payload. The ledger is read as a stream and
what is written out is bounded, so ten thousand held records make a mail as short as forty do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from html import escape
from zoneinfo import ZoneInfo

from tieout.integrations.run import Run
from tieout.ledger import HeldRow, HeldSummary, Ledger, Tally, decimal_text

LISTED = 20
"""Records written out in a list; the others are counted."""

SENT = "digest sent"
"""The event that says which run has told what."""

_LONGEST_TEXT = 500
_ONE = {"invoices": "Invoice", "vendors": "Vendor", "payments": "Payment", "purchase_orders": "Purchase order"}
_STYLE = "border-bottom:1px solid #ccc;padding:6px 12px 6px 0;text-align:left;vertical-align:top"


@dataclass(frozen=True)
class Digest:
    """A mail that is ready to be sent, and how many records it tells of."""

    subject: str
    text: str
    html: str
    new: int
    still_open: int
    settled: int


@dataclass(frozen=True)
class _Listing:
    """A part of the mail: a heading, some records, and how many more there are."""

    heading: str
    rows: Sequence[HeldRow]
    more: int = 0


def compose(
    ledger: Ledger,
    run: Run,
    entities: Sequence[str],
    *,
    base_url: str | None,
    time_zone: str = "UTC",
    now: datetime | None = None,
) -> Digest | None:
    """The mail about a finished run; None when there is nothing to tell.

    A run that held or settled something is told. Where only older records are still open, they are told once a day.
    What a run has told already (`note_sent`) is not told again by a repeated task, only by a run that was begun anew.

    Args:
        ledger: The book of record.
        run: The run.
        entities: Whose records to tell of.
        base_url: Airflow's address, for the link to the Tieout page; None names the command instead.
        time_zone: Whose days "once a day" and the dates in the mail follow.
        now: Aware; the present moment by default.
    """
    if run.dry_run:
        return None
    zone = ZoneInfo(time_zone)
    today = datetime.combine((now or datetime.now(UTC)).astimezone(zone).date(), time.min, tzinfo=zone)
    sent_before, sent_today = _sent(ledger, run, entities, today)
    if sent_before:
        return None
    of_run = (run.integration, run.instance, entities, run.run_id)
    new = ledger.summarize_held(*of_run, "new", LISTED)
    old = ledger.summarize_held(*of_run, "old", LISTED)
    settled = ledger.summarize_held(*of_run, "settled", LISTED)
    if not new.tally.count and not settled.tally.count and (not old.tally.count or sent_today):
        return None
    listings = [
        *_list(ledger, "Newly held", new, new.largest),
        *_list_old(ledger, old),
        *_list(ledger, "Settled by this run", settled, settled.largest),
    ]
    return _write(run, new.tally, old.tally, settled.tally, listings, base_url, zone)


def note_sent(ledger: Ledger, run: Run, digest: Digest) -> None:
    """Remember that the mail has gone; call it right after sending."""
    ledger.event(
        integration=run.integration,
        instance=run.instance,
        entity="",
        run_id=run.run_id,
        what=SENT,
        detail={"new": digest.new, "still_open": digest.still_open, "settled": digest.settled},
    )


# --- reading


def _sent(ledger: Ledger, run: Run, entities: Sequence[str], today: datetime) -> tuple[bool, bool]:
    """Whether this run, as it was last begun, was told already, and whether any run was told today."""
    begun = [row.started_at for entity in entities if (row := ledger.get_run(run.key(entity))) is not None]
    since = max(begun, default=datetime.min.replace(tzinfo=UTC))
    told = ledger.noted(run.integration, run.instance, SENT, min(since, today.astimezone(UTC)))
    return any(run_id == run.run_id and at >= since for run_id, at in told), any(at >= today for _, at in told)


def _list(ledger: Ledger, title: str, group: HeldSummary, ids: Sequence[int]) -> list[_Listing]:
    if not group.tally.count:
        return []
    return [_Listing(f"{title}: {_worth(group.tally)}", ledger.held_rows(ids), group.tally.count - len(ids))]


def _list_old(ledger: Ledger, group: HeldSummary) -> list[_Listing]:
    """All of them where they are few; else those held longest, then the largest of the others."""
    title = "Still open since earlier runs"
    if group.tally.count <= LISTED:
        return _list(ledger, title, group, group.oldest)
    largest = [held_id for held_id in group.largest if held_id not in group.oldest]
    rest = group.tally.count - len(group.oldest) - len(largest)
    listings = [_Listing(f"{title}: {_worth(group.tally)}. The oldest", ledger.held_rows(group.oldest))]
    if not largest:
        return [_Listing(listings[0].heading, listings[0].rows, rest)]
    return [*listings, _Listing("Still open: the largest amounts among the others", ledger.held_rows(largest), rest)]


# --- writing


def _write(
    run: Run, new: Tally, old: Tally, settled: Tally, listings: Sequence[_Listing], base_url: str | None, zone: ZoneInfo
) -> Digest:
    dag_id = run.integration if run.instance == "default" else f"{run.integration}__{run.instance}"
    counts = f"{new.count} new, {old.count} open, {settled.count} settled"
    opening = [
        f"Held by the run {_plain(run.run_id)} of {dag_id}, and not lost:",
        f"- newly held: {_worth(new)}",
        f"- still open since earlier runs: {_worth(old)}",
        f"- settled by this run: {_worth(settled)}",
        "Once the cause is corrected nothing has to be sent again: every held record is tried again by itself at the "
        "next run (one that has failed many times, a few runs later).",
    ]
    page = f"{base_url.rstrip('/')}/tieout/" if base_url else None
    command = f"bin/tieout held --integration {run.integration} --instance {run.instance}"
    text = [*opening, f"All held records: {page or command}"]
    html = [f"<p>{'<br>'.join(map(escape, opening[:4]))}</p>", f"<p>{escape(opening[4])}</p>"]
    html.append(f'<p><a href="{escape(page)}">All held records</a></p>' if page else f"<p>{escape(command)}</p>")
    for listing in listings:
        text += _as_text(listing, zone)
        html += _as_html(listing, zone)
    return Digest(
        subject=f"Tieout {dag_id}: {counts}",
        text="\n".join(text) + "\n",
        html=f'<html><body style="font-family:sans-serif">{"".join(html)}</body></html>',
        new=new.count,
        still_open=old.count,
        settled=settled.count,
    )


def _as_text(listing: _Listing, zone: ZoneInfo) -> Iterator[str]:
    yield from ("", listing.heading, "-" * len(listing.heading))
    for row in listing.rows:
        yield f"* {_name(row)}: {_money(row)} ({_since(row, zone)})"
        yield from (f"  {label}: {words}" for label, words in _story(row))
    if listing.more:
        yield f"... and {listing.more} more"


def _as_html(listing: _Listing, zone: ZoneInfo) -> Iterator[str]:
    yield f'<h3>{escape(listing.heading)}</h3><table style="border-collapse:collapse">'
    for row in listing.rows:
        story = "<br>".join(f"<b>{label}:</b> {escape(words)}" for label, words in _story(row))
        cells = (escape(_name(row)), escape(_money(row)), escape(_since(row, zone)), story)
        yield "<tr>" + "".join(f'<td style="{_STYLE}">{cell}</td>' for cell in cells) + "</tr>"
    yield "</table>"
    if listing.more:
        yield f"<p>&hellip; and {listing.more} more</p>"


def _name(row: HeldRow) -> str:
    kind = _ONE.get(row.entity, row.entity.replace("_", " ").capitalize())
    return f"{kind} {_plain(row.label or row.source_key)}"


def _money(row: HeldRow) -> str:
    return "no amount" if row.amount is None else f"{_plain(row.currency or '')} {decimal_text(row.amount)}".strip()


def _since(row: HeldRow, zone: ZoneInfo) -> str:
    tried = "tried once" if row.attempts == 1 else f"tried {row.attempts} times"
    return f"held since {row.first_seen.astimezone(zone).date()}, {tried}"


def _story(row: HeldRow) -> Iterator[tuple[str, str]]:
    """What finance needs to know of a record: what was wrong, and where to correct it as long as it is."""
    if row.status == "held":
        yield "What is wrong", _plain(row.message)
        yield f"Where to correct it ({row.owner})", _plain(row.fix_hint)
    else:
        yield "What was wrong", _plain(row.message)
        yield "Now", _plain(row.closed_why) or "settled"


def _worth(tally: Tally) -> str:
    totals = ", ".join(
        f"{_plain(currency)} {decimal_text(amount)}".strip() for currency, amount in sorted(tally.totals.items())
    )
    return f"{tally.count} ({totals})" if totals else str(tally.count)


def _plain(text: str) -> str:
    """A source's text on one line and of bounded length; what cannot be seen must not disturb the mail."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1] + "…"
