"""Told once: however often it is raised, and however many processes send."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.support import NOON, Post, alert, config
from tieout.alerts import announce, raise_alert, resolve_after_good_run, resolve_alert
from tieout.alerts.sending import CLAIMED, GIVE_UP, KEPT
from tieout.errors import CredentialsRejected, ReceiverRefused, ReceiverUnavailable
from tieout.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
DOWN = "Tieout: sap_b1_to_peakflo: the receiver cannot be reached"


def key(subject: str = "receiver_unreachable") -> tuple[str, str, str]:
    return "sap_b1_to_peakflo", "default", subject


def test_raised_three_times_told_once(ledger: Ledger) -> None:
    post = Post()
    assert [raise_alert(ledger, alert(), now=NOON) for _ in range(3)] == [True, False, False]
    post.go(ledger)
    post.go(ledger, now=NOON + timedelta(minutes=5))
    assert post.subjects == [DOWN]
    [row] = ledger.open_alerts()
    assert (row.occurrences, row.run_id) == (3, "r+1")


def test_raised_by_many_threads_at_once(ledger_url: str) -> None:
    Ledger.open(ledger_url, migrate=True).close()
    gate = threading.Barrier(6)

    def one(_: int) -> bool:
        with Ledger.open(ledger_url) as own:
            gate.wait(30)
            return raise_alert(own, alert())

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(one, range(6))) == 1
    with Ledger.open(ledger_url) as ledger:
        assert [notice.about for notice in ledger.notices()] == ["raised"]
        assert ledger.open_alerts()[0].occurrences == 6


def test_sent_by_many_threads_at_once(ledger_url: str) -> None:
    with Ledger.open(ledger_url, migrate=True) as ledger:
        for number in range(12):
            raise_alert(ledger, alert(subject=str(number), title=f"Tieout {number}"), now=NOON)
    post, gate = Post(), threading.Barrier(4)

    def one(_: int) -> None:
        with Ledger.open(ledger_url) as own:
            gate.wait(30)
            post.go(own)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    assert sorted(post.subjects) == sorted(f"Tieout {number}" for number in range(12))


@pytest.mark.parametrize(
    "change", [{"subject": "other"}, {"instance": "other"}, {"integration": "banqup_to_sftp"}, {"kind": "run_failed"}]
)
def test_another_subject_is_another_alert(book: Ledger, change: dict[str, str]) -> None:
    post = Post()
    raise_alert(book, alert())
    assert raise_alert(book, alert(**change))
    post.go(book)
    assert len(post.subjects) == 2


def test_what_is_over_is_told_to_those_who_knew_and_begins_anew(ledger: Ledger) -> None:
    post = Post()
    assert not resolve_alert(ledger, "receiver_unreachable", *key()), "there is nothing to end"
    for round_ in range(2):
        at = NOON + timedelta(hours=round_)
        raise_alert(ledger, alert(back_title="the receiver is back"), now=at)
        post.go(ledger, now=at)
        assert resolve_alert(ledger, "receiver_unreachable", *key(), now=at + timedelta(minutes=10))
        post.go(ledger, now=at + timedelta(minutes=10))
    back = "Tieout: the receiver is back"
    assert post.subjects == [DOWN, back, DOWN, back]
    assert ledger.open_alerts() == []


def test_what_is_over_before_anybody_was_told_is_not_told(ledger: Ledger) -> None:
    post = Post()
    raise_alert(ledger, alert(), now=NOON)
    resolve_alert(ledger, "receiver_unreachable", *key(), now=NOON)
    post.go(ledger)
    assert post.subjects == []
    # The same when it waits for the end of quiet hours, or for a mail server.
    raise_alert(ledger, alert(), now=NOON)
    post.failure = ReceiverUnavailable("down")
    post.go(ledger)
    resolve_alert(ledger, "receiver_unreachable", *key(), now=NOON)
    post.failure = None
    post.go(ledger, now=NOON + timedelta(hours=2))
    assert post.subjects == []


def test_over_while_its_message_is_being_sent_in_vain(ledger: Ledger) -> None:
    post = Post()
    raise_alert(ledger, alert(), now=NOON)

    def fail(*_: object) -> None:
        resolve_alert(ledger, "receiver_unreachable", *key(), now=NOON)
        raise ReceiverUnavailable("down")

    from tieout.alerts.sending import send_due

    send_due(ledger, config(), send=fail, base_url="https://a", now=NOON)
    post.go(ledger, now=NOON + timedelta(hours=1))
    assert [(told.fields["about"]) for _, told in post.handed] in ([], ["resolved"])
    assert ledger.messages()[0].state == "dropped"


def test_what_goes_on_is_told_again_after_a_day_and_not_when_it_is_not_seen(ledger: Ledger) -> None:
    post = Post()
    raise_alert(ledger, alert(), now=NOON)
    post.go(ledger)
    post.go(ledger, now=NOON + timedelta(hours=25))
    assert post.subjects == [DOWN], "nobody has seen it since"
    raise_alert(ledger, alert(what="It still refuses."), now=NOON + timedelta(hours=26))
    for minutes in (0, 5, 10):
        post.go(ledger, now=NOON + timedelta(hours=26, minutes=minutes))
    assert post.subjects == [DOWN, DOWN]
    again = post.handed[1][1].sections["What happened"]
    assert "seen 2 times since 2026-11-18 12:00 UTC" in again and "It still refuses." in again


def test_a_digest_is_told_once_per_key(ledger: Ledger) -> None:
    post = Post()
    settings = config("audiences: {finance: {to: [cfo@example.com]}}")
    words: dict[str, Any] = {"title": "3 held", "what": "Three.", "text": "All three.\n", "html": "<p>All three.</p>"}
    assert [announce(ledger, day, "held_digest", *key()[:2], **words, now=NOON) for day in ("a", "a", "b")] == [
        True, False, True,
    ]  # fmt: skip
    post.go(ledger, settings)
    assert post.subjects == ["Tieout: 3 held"] * 2 and post.handed[0][1].text == "All three.\n"


def test_a_good_run_ends_what_names_a_run(ledger: Ledger) -> None:
    raise_alert(ledger, alert())
    raise_alert(ledger, alert(subject="C1001", run_id=""))
    raise_alert(ledger, alert(kind="rotation_due", subject="sap_b1"))
    raise_alert(ledger, alert(instance="other"))
    assert resolve_after_good_run(ledger, "sap_b1_to_peakflo", "default", "r2") == 1
    left = {(row.kind, row.instance, row.subject) for row in ledger.open_alerts()}
    assert left == {
        ("receiver_unreachable", "default", "C1001"),
        ("rotation_due", "default", "sap_b1"),
        ("receiver_unreachable", "other", "receiver_unreachable"),
    }


# --- what is long over


def test_what_ended_and_was_told_goes_after_its_time(ledger: Ledger) -> None:
    post, later = Post(), NOON + KEPT + timedelta(minutes=1)
    for subject in ("over", "open", "of late"):
        raise_alert(ledger, alert(subject=subject), now=NOON)
    announce(ledger, "a digest", "receiver_unreachable", *key()[:2], title="3", what="Three.", now=NOON)
    post.go(ledger)
    resolve_alert(ledger, "receiver_unreachable", *key("over"), now=NOON)
    resolve_alert(ledger, "receiver_unreachable", *key("of late"), now=NOON + timedelta(days=2))
    post.go(ledger)
    told = len(post.subjects)
    assert [len(ledger.notices()), len(ledger.messages()), told] == [6, 6, 6]

    post.go(ledger, now=NOON + KEPT - timedelta(minutes=1))
    assert len(ledger.notices()) == 6
    post.go(ledger, now=later)
    assert sorted(str(notice.content["subject"]) for notice in ledger.notices()) == ["of late", "of late", "open"]
    assert len(ledger.messages()) == 3 and len(post.subjects) == told
    post.go(ledger, now=NOON + 10 * KEPT)
    assert [str(notice.content["subject"]) for notice in ledger.notices()] == ["open"]
    assert [row.subject for row in ledger.open_alerts()] == ["open"]


def test_what_is_still_to_be_told_stays(ledger: Ledger) -> None:
    post = Post()
    raise_alert(ledger, alert(), now=NOON)
    post.go(ledger)
    resolve_alert(ledger, "receiver_unreachable", *key(), now=NOON)
    announce(ledger, "a digest", "receiver_unreachable", *key()[:2], title="3", what="Three.", now=NOON)
    forget: dict[str, Any] = {"before": NOON + timedelta(days=1), "at_most": 10}
    assert ledger.forget_alerts(**forget) == 0, "nobody was asked yet who is told"
    post.failure = ReceiverUnavailable("down")
    post.go(ledger, now=NOON)
    assert ledger.forget_alerts(**forget) == 0, "a message waits"
    assert len(ledger.notices()) == 3
    post.failure = None
    post.go(ledger, now=NOON + timedelta(hours=1))
    assert ledger.forget_alerts(**forget) == 2
    assert (ledger.notices(), ledger.messages()) == ([], [])


def test_a_little_is_forgotten_at_a_time(book: Ledger) -> None:
    for number in range(5):
        raise_alert(book, alert(subject=str(number)), now=NOON)
        resolve_alert(book, "receiver_unreachable", *key(str(number)), now=NOON)
    forgotten = [book.forget_alerts(before=NOON + timedelta(days=1), at_most=2) for _ in range(4)]
    assert forgotten == [0] * 4, "their ends are not told yet"
    Post().go(book)
    forgotten = [book.forget_alerts(before=NOON + timedelta(days=1), at_most=2) for _ in range(4)]
    assert forgotten == [2, 2, 1, 0]


# --- failures


def test_a_server_that_is_down_gets_it_later_once(ledger: Ledger) -> None:
    post = Post(failure=ReceiverUnavailable("The mail server does not answer."))
    raise_alert(ledger, alert(), now=NOON)
    raise_alert(ledger, alert(subject="b"), now=NOON)
    done = post.go(ledger)
    assert done.delayed == ["The mail server does not answer."] and post.tried == 1, "the second waits without a try"
    post.go(ledger, now=NOON + timedelta(seconds=30))
    assert post.tried == 2, "only the one that was not tried"
    post.failure = None
    for minutes in (10, 20, 30):
        post.go(ledger, now=NOON + timedelta(minutes=minutes))
    assert post.subjects == [DOWN, DOWN]
    assert {message.state for message in ledger.messages()} == {"sent"}


def test_a_rejected_password_is_not_tried_again_within_the_hour(book: Ledger) -> None:
    post = Post(failure=CredentialsRejected("refused"))
    raise_alert(book, alert(), now=NOON)
    for minutes in (0, 5, 30, 59):
        post.go(book, now=NOON + timedelta(minutes=minutes))
    assert post.tried == 1
    post.failure = None
    post.go(book, now=NOON + timedelta(minutes=61))
    assert post.subjects == [DOWN]


@pytest.mark.parametrize("failure", [ReceiverRefused("no such recipient"), ValueError("cannot be written")])
def test_a_refused_message_does_not_stop_the_others(book: Ledger, failure: Exception) -> None:
    raise_alert(book, alert(), now=NOON)
    raise_alert(book, alert(subject="b"), now=NOON)
    post = Post()
    first = iter([failure])

    def send(message: object, told: object) -> None:
        for error in first:
            raise error
        post(message, told)  # type: ignore[arg-type]

    from tieout.alerts.sending import send_due

    done = send_due(book, config(), send=send, base_url="https://a", now=NOON)
    assert post.subjects == [DOWN] and len(done.failed) == 1
    assert sorted(message.state for message in book.messages()) == ["failed", "sent"]


def test_given_up_after_a_week(book: Ledger) -> None:
    post = Post(failure=ReceiverUnavailable("down"))
    raise_alert(book, alert(), now=NOON)
    post.go(book)
    done = post.go(book, now=NOON + GIVE_UP + timedelta(minutes=1))
    assert done.failed == ["down"]
    assert book.messages()[0].state == "failed"


# --- a process that dies

DIES = """
import os, signal, sys
from datetime import datetime
from tests.alerts.support import config, alert
from tieout.alerts.sending import send_due
from tieout.ledger import Ledger

def send(message, told):
    open(sys.argv[2], "a").write(told.subject + "\\n") if sys.argv[3] == "after" else None
    os.kill(os.getpid(), signal.SIGKILL)

with Ledger.open(sys.argv[1]) as ledger:
    send_due(ledger, config(), send=send, base_url="https://a", now=datetime.fromisoformat(sys.argv[4]))
"""


def test_killed_before_it_was_handed_over_it_goes_once_when_the_claim_is_over(ledger: Ledger, ledger_url: str) -> None:
    raise_alert(ledger, alert(), now=NOON)
    child = subprocess.run(
        [sys.executable, "-c", DIES, ledger_url, "-", "before", NOON.isoformat()],
        cwd=ROOT, env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}", "PATH": "/usr/bin:/bin"}, check=False,
    )  # fmt: skip
    assert child.returncode == -9
    post = Post()
    post.go(ledger, now=NOON + timedelta(minutes=5))
    assert post.subjects == [], "nobody knows yet that it died"
    for minutes in (1, 2):
        post.go(ledger, now=NOON + CLAIMED + timedelta(minutes=minutes))
    assert post.subjects == [DOWN]


def test_who_was_too_slow_does_not_undo_what_the_next_one_did(ledger: Ledger) -> None:
    post = Post()
    raise_alert(ledger, alert(), now=NOON)
    later = NOON + CLAIMED + timedelta(minutes=1)

    def slow(*_: object) -> None:
        post.go(ledger, now=later)
        raise ReceiverUnavailable("only now")

    from tieout.alerts.sending import send_due

    send_due(ledger, config(), send=slow, base_url="https://a", now=NOON)
    assert post.subjects == [DOWN]
    assert ledger.messages()[0].state == "sent"


def test_who_was_too_slow_does_not_end_what_the_next_one_has_begun(ledger: Ledger) -> None:
    raise_alert(ledger, alert(), now=NOON)
    Post(failure=ReceiverUnavailable("down")).go(ledger)
    at = [NOON + timedelta(hours=1), NOON + timedelta(hours=2)]
    slow, next_ = (ledger.claim_message(now=moment, until=moment + CLAIMED) for moment in at)
    assert slow is not None and next_ is not None and slow.id == next_.id
    ledger.message_delayed(slow, "only now", due_at=at[1])
    assert ledger.messages()[0].state == "sending", "still the next one's"
    ledger.message_sent(next_, now=at[1])
    assert ledger.messages()[0].state == "sent"
