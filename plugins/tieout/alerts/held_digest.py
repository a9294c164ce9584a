"""The daily digest of what is held, one per instance, for finance."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from zoneinfo import ZoneInfo

from tieout.alerts.config import HeldDigest
from tieout.alerts.held_listing import LISTED, as_html, as_text, oldest_and_largest, worth
from tieout.alerts.raising import announce
from tieout.alerts.writing import link_path
from tieout.config import dag_id_of
from tieout.ledger import HeldSummary, Ledger

OF_THEIR_OWN = frozenset({"stampli_to_sap_b1"})
"""Integrations whose runs tell finance themselves what they hold, and once a day what stays open."""


def announce_held(
    ledger: Ledger, config: HeldDigest, *, base_url: str | None = None, now: datetime | None = None
) -> list[str]:
    """Write today's digests, if it is time and they are not written yet.

    What was first held after the digest's time of day is told tomorrow.

    Args:
        ledger: The book of record.
        config: When.
        base_url: Airflow's address, for the link.
        now: Aware; the present moment by default.

    Returns:
        The titles of those that are new.
    """
    now = now or datetime.now(UTC)
    zone = ZoneInfo(config.timezone)
    if config.at is None or now.astimezone(zone).time() < config.at:
        return []
    day = now.astimezone(zone).date()
    due = datetime.combine(day, config.at, tzinfo=zone).astimezone(UTC)
    titles = []
    for (integration, instance), held in sorted(ledger.open_held_by_instance().items()):
        key = f"held {integration}/{instance} {day}"
        if integration in OF_THEIR_OWN or held.oldest_since > due or ledger.has_notice(key):
            continue
        entities = ledger.entities_with_held(integration, instance)
        # Judged by no run: then all that is open counts as old.
        group = ledger.summarize_held(integration, instance, entities, "", "old", LISTED)
        title, what, text, html = _write(ledger, integration, instance, group, zone, base_url)
        path = link_path("held", integration=integration, instance=instance)
        if announce(
            ledger, key, "held_digest", integration, instance,
            title=title, what=what, text=text, html=html, link_path=path, now=now,
        ):  # fmt: skip
            titles.append(title)
    return titles


def _write(
    ledger: Ledger, integration: str, instance: str, group: HeldSummary, zone: ZoneInfo, base_url: str | None
) -> tuple[str, str, str, str]:
    """Title, the short form, and the mail as text and HTML."""
    dag = dag_id_of(integration, instance)
    opening = (
        f"{dag} holds {worth(group.tally)}: these have not arrived, and are not lost. Once the cause of one is "
        "corrected it goes by itself with the next run."
    )
    path = link_path("held", integration=integration, instance=instance)
    where = f"{base_url.rstrip('/')}/tieout/{path}" if base_url else None
    command = f"bin/tieout held --integration {integration} --instance {instance}"
    parts = oldest_and_largest(ledger, "Held", group)
    text = [opening, f"All held records: {where or command}", *(line for part in parts for line in as_text(part, zone))]
    link = f'<a href="{escape(where)}">All held records</a>' if where else escape(command)
    html = [f"<p>{escape(opening)}</p><p>{link}</p>", *(line for part in parts for line in as_html(part, zone))]
    body = f'<html><body style="font-family:sans-serif">{"".join(html)}</body></html>'
    return f"{dag}: {group.tally.count} held", opening, "\n".join(text) + "\n", body
