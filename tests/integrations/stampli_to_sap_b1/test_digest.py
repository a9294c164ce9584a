"""The mail to finance: told once, bounded, exact, and without anything that is nobody's business."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.postgres import postgres_server, postgres_url  # noqa: F401
from tieout.integrations.run import Run
from tieout.integrations.stampli_to_sap_b1.digest import LISTED, Digest, compose, note_sent
from tieout.ledger import EntityOutcome, HeldDraft, Ledger, Tally

ENTITIES = ("vendors", "invoices", "payments")


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr("tieout.ledger.database.SYNCHRONOUS", "OFF")
    url = (
        f"sqlite:///{tmp_path / 'ledger.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    )
    with Ledger.open(url, migrate=True) as opened:
        yield opened


def run(number: int = 1, **changes: Any) -> Run:
    stamp = datetime(2026, 3, 5, 8, tzinfo=UTC)
    return replace(Run("stampli_to_sap_b1", "default", f"run-{number}", "incremental", None, None, stamp), **changes)


def draft(number: int, **changes: Any) -> HeldDraft:
    fields: dict[str, Any] = {
        "source_key": f"inv-{number}",
        "reason_code": "UNKNOWN_ACCOUNT",
        "message": f"Invoice {number} names the G/L account 6999, which SAP does not have.",
        "fix_hint": "In Stampli, choose another account, or create it in SAP.",
        "owner": "finance",
        "payload": b"nobody,needs,to,read,this",
        "label": f"INV-{number} of Acme",
        "currency": "EUR",
        "amount": Decimal(number),
    }
    return HeldDraft(**{**fields, **changes})


def go(
    ledger: Ledger, this: Run, *, hold: Sequence[HeldDraft] = (), settle: Sequence[str] = (), entity: str = "invoices"
) -> None:
    """A run of one entity that holds and settles these."""
    key, none = this.key(entity), Tally()
    ledger.begin_run(key, mode=this.mode, dry_run=False, interval_start=None, interval_end=None, window={})
    ledger.record_extracted(key, none)
    ledger.record_prepared(key, to_send=none, held=none, duplicate=none, excluded=none, mapping_version="1")
    with ledger.acquire(key.scope, "test") as lease:
        outcome = EntityOutcome(held=hold, settled=settle)
        base_version = ledger.entity_version(key.scope)
        ledger.commit_entity(key, token=lease.token, base_version=base_version, outcome=outcome)


def told(ledger: Ledger, this: Run, **options: Any) -> Digest | None:
    return compose(ledger, this, ENTITIES, **{"base_url": "https://airflow.example.com", **options})


def test_new_open_and_settled_are_told_apart(ledger: Ledger) -> None:
    go(ledger, run(1), hold=[draft(1), draft(2, amount=Decimal("1234.50"), currency="USD")])
    vendor = draft(8, label="Müller GmbH", currency=None, amount=None, owner="data engineer")
    go(ledger, run(2), hold=[draft(3, amount=Decimal("0.10")), draft(4, amount=Decimal("0.20"))], settle=["inv-1"])
    go(ledger, run(2), hold=[vendor], entity="vendors")

    digest = told(ledger, run(2))

    assert digest is not None
    assert (digest.new, digest.still_open, digest.settled) == (3, 1, 1)
    assert digest.subject == "Tieout stampli_to_sap_b1: 3 new, 1 open, 1 settled"
    new, old, settled = (digest.text.partition(title)[2] for title in ("\nNewly held", "\nStill open", "\nSettled"))
    assert new.startswith(": 3 (EUR 0.30)\n")
    assert "* Invoice INV-4 of Acme: EUR 0.20 (held since " in new
    assert "* Vendor Müller GmbH: no amount" in new
    assert "  What is wrong: Invoice 4 names the G/L account 6999, which SAP does not have." in new
    assert "  Where to correct it (finance): In Stampli, choose another account, or create it in SAP." in new
    assert "  Where to correct it (data engineer): " in new
    assert old.startswith(" since earlier runs: 1 (USD 1234.50)\n")
    assert settled.startswith(" by this run: 1 (EUR 1)\n")
    assert "INV-1 of Acme" in settled and "INV-2" not in settled
    assert "tried again by itself at the next run" in digest.text
    assert "https://airflow.example.com/tieout/" in digest.text
    for words in ("INV-4 of Acme", "EUR 0.20", "Müller GmbH", 'href="https://airflow.example.com/tieout/"'):
        assert words in digest.html
    assert "nobody,needs" not in digest.text + digest.html + digest.subject


def test_nothing_is_told_where_nothing_is_held(ledger: Ledger) -> None:
    go(ledger, run(1))

    assert told(ledger, run(1)) is None


def test_a_dry_run_tells_nothing(ledger: Ledger) -> None:
    go(ledger, run(1), hold=[draft(1)])

    assert told(ledger, run(2, dry_run=True)) is None


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_what_is_merely_still_open_is_told_once_a_day(ledger: Ledger, zone: str) -> None:
    go(ledger, run(1), hold=[draft(1)])
    first = told(ledger, run(1))
    assert first is not None
    note_sent(ledger, run(1), first)
    tomorrow = datetime.now(ZoneInfo(zone)).date() + timedelta(days=1)
    midnight = datetime.combine(tomorrow, time.min, tzinfo=ZoneInfo(zone))
    go(ledger, run(2), hold=[draft(1)])

    assert told(ledger, run(2), time_zone=zone, now=midnight - timedelta(minutes=1)) is None
    again = told(ledger, run(2), time_zone=zone, now=midnight + timedelta(minutes=1))

    assert again is not None
    assert (again.new, again.still_open) == (0, 1)
    assert "tried 2 times" in again.text


def test_what_is_still_open_is_told_today_when_nobody_was_told_of_it(ledger: Ledger) -> None:
    go(ledger, run(1), hold=[draft(1)])
    go(ledger, run(2), hold=[draft(1)])

    assert told(ledger, run(2)) is not None, "the first run never came to its mail"


def test_a_task_that_is_repeated_does_not_send_twice(ledger: Ledger) -> None:
    go(ledger, run(1), hold=[draft(1)])
    digest = told(ledger, run(1))
    assert digest is not None
    note_sent(ledger, run(1), digest)

    assert told(ledger, run(1)) is None


def test_a_run_that_is_begun_anew_tells_again(ledger: Ledger) -> None:
    go(ledger, run(1), hold=[draft(1)])
    digest = told(ledger, run(1))
    assert digest is not None
    note_sent(ledger, run(1), digest)

    go(ledger, run(1), hold=[draft(1), draft(2)])

    again = told(ledger, run(1))
    assert again is not None and again.new == 2


def test_only_this_instances_records_are_told(ledger: Ledger) -> None:
    go(ledger, run(1, instance="north"), hold=[draft(1)])
    go(ledger, run(1), hold=[draft(2)], entity="purchase_orders")

    assert told(ledger, run(1)) is None
    north = told(ledger, run(1, instance="north"), base_url=None)
    assert north is not None
    assert north.subject == "Tieout stampli_to_sap_b1__north: 1 new, 0 open, 0 settled"
    assert "bin/tieout held --integration stampli_to_sap_b1 --instance north" in north.text


def test_many_records_are_counted_and_few_written_out(ledger: Ledger) -> None:
    many = [draft(number, message="x" * 2_000) for number in range(1, 3_001)]
    go(ledger, run(1), hold=many)
    go(
        ledger,
        run(2),
        hold=[draft(number) for number in range(5_001, 5_101)],
        settle=[f"inv-{n}" for n in range(1, 51)],
    )

    tracemalloc.start()
    digest = told(ledger, run(2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert digest is not None
    assert digest.subject.endswith("100 new, 2950 open, 50 settled")
    new, old, settled = (digest.text.partition(title)[2] for title in ("\nNewly held", "\nStill open s", "\nSettled"))
    assert new.startswith(f": 100 (EUR {sum(range(5_001, 5_101))})")
    assert new.partition("\n\n")[0].count("* Invoice") == LISTED
    assert "INV-5100 " in new and "INV-5081 " in new and "INV-5080 " not in new
    assert new.partition("\n\n")[0].endswith("... and 80 more")
    oldest, _, largest = old.partition("\n\n")
    assert oldest.count("* Invoice") == LISTED and "INV-51 " in oldest and "INV-70 " in oldest
    largest = largest.partition("\n\n")[0]
    assert largest.count("* Invoice") == LISTED and "INV-3000 " in largest
    assert largest.endswith("... and 2910 more")
    assert settled.endswith("... and 30 more\n")
    assert len(digest.text) < 100_000
    assert peak < 4_000_000, "the held records were loaded at once"


@pytest.mark.parametrize(
    ("held", "listed", "more"), [(LISTED, LISTED, 0), (LISTED + 1, LISTED + 1, 0), (2 * LISTED + 5, 2 * LISTED, 5)]
)
def test_older_records_are_written_out_once_each(ledger: Ledger, held: int, listed: int, more: int) -> None:
    go(ledger, run(1), hold=[draft(number) for number in range(1, held + 1)])
    go(ledger, run(2))

    digest = told(ledger, run(2))

    assert digest is not None
    names = [line.split()[2] for line in digest.text.splitlines() if line.startswith("* ")]
    assert len(names) == len(set(names)) == listed
    assert (f"... and {more} more" in digest.text) == bool(more)


class Tags(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_sources_text_is_only_text(ledger: Ledger) -> None:
    nasty = "<script>alert(1)</script>\r\nBcc: thief@example.com\u202e\x1b[31m & Söhne"
    go(ledger, run(1), hold=[draft(1, label=nasty, message=nasty, fix_hint=nasty, currency="E<b>")])

    digest = told(ledger, run(1))

    assert digest is not None
    page = Tags(digest.html)
    assert not {"script", "b>"} & page.tags
    assert "<script>alert(1)</script> Bcc: thief@example.com[31m & Söhne" in page.text
    assert "\nBcc" not in digest.text and "\u202e" not in digest.text and "\x1b" not in digest.text
