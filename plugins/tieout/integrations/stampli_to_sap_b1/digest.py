"""Finance's one mail per run: what is newly held, what was settled, and what is still open.

Only figures, names and sentences of the ledger go into it, never a record's payload. The ledger is read as a stream and
what is written out is bounded, so ten thousand held records make a mail as short as forty do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from html import escape
from zoneinfo import ZoneInfo

from tieout.alerts.held_listing import LISTED, Listing, as_html, as_text, listing, oldest_and_largest, plain, worth
from tieout.integrations.run import Run
from tieout.ledger import Ledger, Tally

SENT = "digest sent"
"""The event that says which run has told what."""


@dataclass(frozen=True)
class Digest:
    """A mail that is ready to be sent, and how many records it tells of.

    Attributes:
        key: Names the run as it was last begun: what was told of it is not told again.
        summary: The figures without the lists, for a webhook.
    """

    key: str
    subject: str
    summary: str
    text: str
    html: str
    new: int
    still_open: int
    settled: int


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
    begun = _begun(ledger, run, entities)
    sent_before, sent_today = _sent(ledger, run, begun, today)
    if sent_before:
        return None
    of_run = (run.integration, run.instance, entities, run.run_id)
    new = ledger.summarize_held(*of_run, "new", LISTED)
    old = ledger.summarize_held(*of_run, "old", LISTED)
    settled = ledger.summarize_held(*of_run, "settled", LISTED)
    if not new.tally.count and not settled.tally.count and (not old.tally.count or sent_today):
        return None
    listings = [
        *listing(ledger, "Newly held", new, new.largest),
        *oldest_and_largest(ledger, "Still open since earlier runs", old),
        *listing(ledger, "Settled by this run", settled, settled.largest),
    ]
    return _write(run, begun, new.tally, old.tally, settled.tally, listings, base_url, zone)


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


def _begun(ledger: Ledger, run: Run, entities: Sequence[str]) -> datetime:
    """When the run was last begun, or begun anew."""
    begun = [row.started_at for entity in entities if (row := ledger.get_run(run.key(entity))) is not None]
    return max(begun, default=datetime.min.replace(tzinfo=UTC))


def _sent(ledger: Ledger, run: Run, since: datetime, today: datetime) -> tuple[bool, bool]:
    """Whether this run was told already since it was begun, and whether any run was told today."""
    told = ledger.noted(run.integration, run.instance, SENT, min(since, today.astimezone(UTC)))
    return any(run_id == run.run_id and at >= since for run_id, at in told), any(at >= today for _, at in told)


# --- writing


def _write(
    run: Run,
    begun: datetime,
    new: Tally,
    old: Tally,
    settled: Tally,
    listings: Sequence[Listing],
    base_url: str | None,
    zone: ZoneInfo,
) -> Digest:
    dag_id = run.integration if run.instance == "default" else f"{run.integration}__{run.instance}"
    counts = f"{new.count} new, {old.count} open, {settled.count} settled"
    opening = [
        f"Held by the run {plain(run.run_id)} of {dag_id}, and not lost:",
        f"- newly held: {worth(new)}",
        f"- still open since earlier runs: {worth(old)}",
        f"- settled by this run: {worth(settled)}",
        "Once the cause is corrected nothing has to be sent again: every held record is tried again by itself at the "
        "next run (one that has failed many times, a few runs later).",
    ]
    page = f"{base_url.rstrip('/')}/tieout/" if base_url else None
    command = f"bin/tieout held --integration {run.integration} --instance {run.instance}"
    text = [*opening, f"All held records: {page or command}"]
    html = [f"<p>{'<br>'.join(map(escape, opening[:4]))}</p>", f"<p>{escape(opening[4])}</p>"]
    html.append(f'<p><a href="{escape(page)}">All held records</a></p>' if page else f"<p>{escape(command)}</p>")
    for part in listings:
        text += as_text(part, zone)
        html += as_html(part, zone)
    return Digest(
        key=f"held {dag_id} {run.run_id} {begun.isoformat()}",
        subject=f"Tieout {dag_id}: {counts}",
        summary="\n".join(opening),
        text="\n".join(text) + "\n",
        html=f'<html><body style="font-family:sans-serif">{"".join(html)}</body></html>',
        new=new.count,
        still_open=old.count,
        settled=settled.count,
    )
