from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tieout.ledger import EventRow, Ledger, ReceiverRow, RunKey, Scope

SCOPE = Scope("banqup_to_sftp", "partner", "client-1")
START = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def fails(
    ledger: Ledger, minutes: int, scope: Scope = SCOPE, *, kind: str = "ReceiverUnavailable", waiting: int = 3
) -> None:
    ledger.receiver_failed(
        scope,
        error=f"{scope.entity} refuses connections.",
        error_kind=kind,
        waiting=waiting,
        next_try_at=at(minutes + 15),
        now=at(minutes),
    )


def answers(ledger: Ledger, minutes: int, scope: Scope = SCOPE) -> None:
    ledger.receiver_reached(scope, now=at(minutes))


def told(ledger: Ledger, minutes: int, kind: str) -> None:
    ledger.note_receiver_alert(SCOPE, kind, now=at(minutes))  # type: ignore[arg-type]


def row(ledger: Ledger, scope: Scope = SCOPE) -> ReceiverRow:
    return ledger.receivers(scope.integration, scope.instance)[scope.entity]


def trail(ledger: Ledger, scope: Scope = SCOPE) -> list[EventRow]:
    return ledger.events_of_run(RunKey(scope.integration, scope.instance, scope.entity, ""))


def to_alert(ledger: Ledger, minutes: int) -> list[str]:
    found = ledger.receivers_to_alert("banqup_to_sftp", "partner", down_since_before=at(minutes))
    return [receiver.entity for receiver in found]


def to_recover(ledger: Ledger) -> list[str]:
    return [receiver.entity for receiver in ledger.receivers_to_recover("banqup_to_sftp", "partner")]


def test_a_receiver_that_was_never_tried(ledger: Ledger) -> None:
    assert ledger.receivers("banqup_to_sftp", "partner") == {}
    assert to_alert(ledger, 0) == [] == to_recover(ledger)
    with pytest.raises(ValueError, match=r"client-1 of banqup_to_sftp \(partner\) was never tried"):
        told(ledger, 0, "down")
    assert trail(ledger) == []


def test_an_outage_from_its_beginning_to_its_end(ledger: Ledger) -> None:
    answers(ledger, 0)
    fails(ledger, 15, waiting=3)
    fails(ledger, 30, waiting=5)
    down = row(ledger)
    assert (down.scope, down.state, down.failures, down.waiting) == (SCOPE, "down", 2, 5)
    assert (down.last_error, down.error_kind) == ("client-1 refuses connections.", "ReceiverUnavailable")
    assert (down.down_since, down.last_tried_at, down.next_try_at, down.up_since) == (at(15), at(30), at(45), None)
    answers(ledger, 45)
    answers(ledger, 60)
    up = row(ledger)
    assert (up.state, up.failures, up.waiting, up.next_try_at) == ("up", 0, 0, None)
    assert (up.down_since, up.up_since, up.last_tried_at) == (at(15), at(45), at(60))
    assert up.last_error == "client-1 refuses connections."
    assert json.loads(json.dumps(up.as_json()))["up_since"] == "2026-05-04T08:45:00Z"


def test_the_trail_has_beginnings_and_ends_not_attempts(ledger: Ledger) -> None:
    answers(ledger, 0)
    fails(ledger, 15)
    fails(ledger, 30)
    told(ledger, 31, "down")
    fails(ledger, 45, kind="CredentialsRejected")
    answers(ledger, 60)
    answers(ledger, 75)
    told(ledger, 76, "up")
    events = trail(ledger)
    assert [event.what for event in events] == [
        "receiver down", "receiver alert sent", "receiver down", "receiver back", "receiver alert sent",
    ]  # fmt: skip
    assert events[0].detail["last_error"] == "client-1 refuses connections."
    assert (events[2].detail["error_kind"], events[2].detail["failures"]) == ("CredentialsRejected", 3)
    assert events[3].detail == {
        "down_since": "2026-05-04T08:15:00Z", "failures": 3, "waiting": 3, "error_kind": "CredentialsRejected",
    }  # fmt: skip
    assert [event.detail["kind"] for event in events if event.what == "receiver alert sent"] == ["down", "up"]


def test_an_alert_is_due_once_per_long_outage(ledger: Ledger) -> None:
    fails(ledger, 10)
    assert to_alert(ledger, 9) == []
    assert to_alert(ledger, 10) == ["client-1"]
    told(ledger, 70, "down")
    assert to_alert(ledger, 70) == []
    assert to_recover(ledger) == []
    answers(ledger, 80)
    assert to_alert(ledger, 80) == []
    assert to_recover(ledger) == ["client-1"]
    told(ledger, 81, "up")
    assert to_recover(ledger) == []
    assert (row(ledger).alerted_at, row(ledger).recovered_alerted_at) == (at(70), at(81))
    fails(ledger, 90)
    assert to_alert(ledger, 90) == ["client-1"]
    assert (row(ledger).alerted_at, row(ledger).recovered_alerted_at) == (None, None)


def test_a_short_outage_is_never_spoken_of(ledger: Ledger) -> None:
    fails(ledger, 10)
    answers(ledger, 20)
    assert to_recover(ledger) == [] == to_alert(ledger, 60)


def test_down_again_before_people_were_told_that_it_was_up(ledger: Ledger) -> None:
    """They still take it for down, which it is: neither of the two messages would be news."""
    fails(ledger, 10)
    told(ledger, 70, "down")
    answers(ledger, 80)
    fails(ledger, 90)
    assert row(ledger).down_since == at(90)
    assert to_alert(ledger, 200) == [] == to_recover(ledger)
    answers(ledger, 300)
    assert to_recover(ledger) == ["client-1"]


def test_back_while_people_were_being_told_that_it_is_down(ledger: Ledger) -> None:
    fails(ledger, 10)
    answers(ledger, 70)
    told(ledger, 71, "down")
    assert to_recover(ledger) == ["client-1"]


def test_down_again_while_people_were_being_told_that_it_is_up(ledger: Ledger) -> None:
    fails(ledger, 10)
    told(ledger, 70, "down")
    answers(ledger, 80)
    fails(ledger, 90)
    told(ledger, 91, "up")
    assert to_alert(ledger, 90) == ["client-1"]
    answers(ledger, 100)
    assert to_recover(ledger) == []


def test_instances_do_not_mix_and_the_longest_down_comes_first(ledger: Ledger) -> None:
    late, early = Scope("banqup_to_sftp", "partner", "a-late"), Scope("banqup_to_sftp", "partner", "z-early")
    others = [Scope("banqup_to_sftp", "other", "client-1"), Scope("sap_b1_to_peakflo", "partner", "invoices")]
    fails(ledger, 20, late)
    fails(ledger, 10, early)
    for scope in others:
        fails(ledger, 5, scope)
    assert list(ledger.receivers("banqup_to_sftp", "partner")) == ["a-late", "z-early"]
    assert to_alert(ledger, 60) == ["z-early", "a-late"]
    for scope in (early, late):
        ledger.note_receiver_alert(scope, "down")
        answers(ledger, 70, scope)
    assert to_recover(ledger) == ["z-early", "a-late"]
    assert [row(ledger, scope).state for scope in others] == ["down", "down"]


def test_a_receiver_says_nothing_of_its_scopes_books(ledger: Ledger) -> None:
    fails(ledger, 10)
    answers(ledger, 20)
    assert ledger.entity_version(SCOPE) == 0 and ledger.watermark(SCOPE) is None


NAIVE: dict[str, Callable[[Ledger, datetime], None]] = {
    "failed": lambda ledger, now: fails_at(ledger, now=now),
    "next try": lambda ledger, now: fails_at(ledger, next_try_at=now),
    "reached": lambda ledger, now: ledger.receiver_reached(SCOPE, now=now),
}


def fails_at(ledger: Ledger, now: datetime | None = None, next_try_at: datetime | None = None) -> None:
    ledger.receiver_failed(SCOPE, error="x", error_kind="X", waiting=0, next_try_at=next_try_at, now=now)


@pytest.mark.parametrize("which", NAIVE)
def test_a_guessed_time_zone_is_refused(ledger: Ledger, which: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        NAIVE[which](ledger, datetime(2026, 1, 1))
    assert ledger.receivers("banqup_to_sftp", "partner") == {}


def test_the_clock_and_an_unknown_next_try(ledger: Ledger) -> None:
    before = datetime.now(UTC)
    fails_at(ledger)
    found = row(ledger)
    assert found.down_since is not None and before <= found.down_since <= datetime.now(UTC)
    assert (found.last_tried_at, found.next_try_at) == (found.down_since, None)
