"""The daily digest: at its time, once a day, bounded, with what finance needs and nothing more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tieout.alerts.config import HeldDigest
from tieout.alerts.held_digest import announce_held
from tieout.ledger import EntityOutcome, Filters, HeldDraft, Ledger, RunKey, Tally

BRUSSELS = HeldDigest.model_validate({"at": "07:30", "timezone": "Europe/Brussels"})
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).replace(hour=4, minute=0, second=0, microsecond=0)


def hold(ledger: Ledger, count: int = 1, *, integration: str = "sap_b1_to_peakflo", entity: str = "invoices") -> None:
    key, none = RunKey(integration, "default", entity, "r1"), Tally()
    ledger.begin_run(key, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
    ledger.record_extracted(key, none)
    ledger.record_prepared(key, to_send=none, held=none, duplicate=none, excluded=none, mapping_version="1")
    drafts = [
        HeldDraft(
            source_key=f"{entity}-{number}", reason_code="X", message=f"Invoice {number} has no customer.",
            fix_hint="In SAP, choose a customer.", owner="finance", payload=b"nobody needs to read this",
            label=f"INV-{number}", currency="EUR", amount=Decimal("1.50"),
        )
        for number in range(count)
    ]  # fmt: skip
    with ledger.acquire(key.scope, "test") as lease:
        version = ledger.entity_version(key.scope)
        ledger.commit_entity(key, token=lease.token, base_version=version, outcome=EntityOutcome(held=drafts))


def digest(ledger: Ledger, hours: float, *, days: int = 0) -> list[str]:
    """At so many hours of tomorrow, UTC."""
    moment = TOMORROW.replace(hour=0) + timedelta(days=days, hours=hours)
    return announce_held(ledger, BRUSSELS, base_url="https://airflow.example.com", now=moment)


def test_once_a_day_from_its_time_on(ledger: Ledger) -> None:
    hold(ledger, 2)
    assert digest(ledger, 4) == [], "too early in Brussels, summer and winter"
    assert digest(ledger, 6.6) == ["sap_b1_to_peakflo: 2 held"]
    assert digest(ledger, 6.7) == digest(ledger, 20) == []
    assert digest(ledger, 6.6, days=1) == ["sap_b1_to_peakflo: 2 held"]
    assert announce_held(ledger, HeldDigest.model_validate({"at": None}), now=TOMORROW + timedelta(days=9)) == []


def test_what_was_held_after_its_time_is_told_the_next_day(book: Ledger) -> None:
    hold(book)
    midnight = HeldDigest.model_validate({"at": "00:00"})
    today = book.held(Filters())[0].first_seen
    assert announce_held(book, midnight, now=today) == [], "held since, a moment ago"
    assert len(announce_held(book, midnight, now=today + timedelta(days=1))) == 1


def test_where_nothing_is_held_nothing_is_told(book: Ledger) -> None:
    assert digest(book, 12) == []


def test_an_integration_whose_runs_tell_it_themselves_is_left_out(book: Ledger) -> None:
    hold(book, integration="stampli_to_sap_b1")
    assert digest(book, 12) == []


def test_the_mail_is_bounded_and_says_what_to_correct(book: Ledger) -> None:
    hold(book, 200)
    hold(book, 1, entity="payments")
    assert digest(book, 12) == ["sap_b1_to_peakflo: 201 held"]
    content = book.notices()[0].content
    text = content["text"]
    assert text.startswith("sap_b1_to_peakflo holds 201 (EUR 301.50): these have not arrived, and are not lost.")
    assert "https://airflow.example.com/tieout/#/held?integration=sap_b1_to_peakflo&instance=default" in text
    assert "What is wrong: Invoice 0 has no customer." in text and "In SAP, choose a customer." in text
    assert "nobody needs to read" not in str(content)
    assert "more" in text and len(text) < 20_000 and content["what"] in text
