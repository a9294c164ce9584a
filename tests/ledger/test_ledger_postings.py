from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from sqlalchemy import text

from tests.ledger import processes
from tests.ledger.builders import (
    COMPANY,
    begin,
    commit_posted,
    done,
    post,
    posting_draft,
    posting_lease,
    posting_run,
    prepared,
)
from tests.ledger.test_ledger_leases import PATIENCE, process, said
from tieout.errors import Superseded
from tieout.ledger import Filters, Lease, Ledger, PostingResult, PostingRow, PostingState, Scope

KEY = posting_run()
SCOPE = KEY.scope


@pytest.fixture
def ready(ledger: Ledger) -> Ledger:
    prepared(ledger, KEY)
    return ledger


def the(ledger: Ledger, row: PostingRow) -> PostingRow:
    """The row as it is now."""
    (now,) = [other for other in ledger.postings(Filters()) if other.id == row.id]
    return now


def whats(ledger: Ledger, source_key: str) -> list[str]:
    (record,) = ledger.trace(source_key)["records"]
    return [event["what"] for event in record["events"]]


def everything(ledger: Ledger) -> tuple[object, ...]:
    rows = ledger.postings(Filters())
    return rows, ledger.posting_bodies([row.id for row in rows]), ledger.events_of_run(KEY)


def test_a_posting_from_intention_to_the_books(ready: Ledger) -> None:
    draft = posting_draft("7", body=b'{"Reference3": "TO1-7-1"}', high_water=41)
    with posting_lease(ready) as lease:
        (row,) = ready.intend(KEY, [draft], lease=lease)
        assert (row.state, row.attempts, row.sent_at, row.settled_at) == ("intended", 0, None, None)
        assert (row.currency, row.amount, row.high_water, row.key) == ("EUR", Decimal("10.00"), 41, KEY)
        assert row.body_sha256 == hashlib.sha256(draft.body).hexdigest()
        assert ready.unsettled_postings(SCOPE) == []
        ready.mark_sending([row.id], lease=lease)
        (sent,) = ready.unsettled_postings(SCOPE)
        assert (sent.state, sent.attempts, sent.sent_at is not None) == ("sending", 1, True)
        ready.settle_postings(KEY, [PostingResult(row.id, "done", "17", "1017")], lease=lease)
    final = the(ready, row)
    assert (final.state, final.target_key, final.target_number) == ("done", "17", "1017")
    assert final.settled_run_id == KEY.run_id and final.settled_at is not None
    assert ready.unsettled_postings(SCOPE) == []
    assert ready.posting_bodies([row.id, 999]) == {row.id: draft.body}
    assert whats(ready, "7") == ["posting intended", "posting sending", "posted"]


def settle(state: PostingState, **told: str) -> Callable[[Ledger, Lease, int], None]:
    return lambda ledger, lease, posting_id: ledger.settle_postings(
        KEY, [PostingResult(posting_id, state, **told)], lease=lease
    )


def mark(ledger: Ledger, lease: Lease, posting_id: int) -> None:
    ledger.mark_sending([posting_id], lease=lease)


def sent_then(state: PostingState) -> Callable[[Ledger, Lease, int], None]:
    def steps(ledger: Ledger, lease: Lease, posting_id: int) -> None:
        mark(ledger, lease, posting_id)
        settle(state)(ledger, lease, posting_id)

    return steps


PATHS: dict[str, Callable[[Ledger, Lease, int], None]] = {
    "intended": lambda ledger, lease, posting_id: None,
    "sending": mark,
    "done": sent_then("done"),
    "refused": sent_then("refused"),
    "not_sent": settle("not_sent"),
    "awaiting_approval": sent_then("awaiting_approval"),
    "cancelled": settle("cancelled"),
    "withdrawn": settle("withdrawn"),
}
SETTLING = {
    "intended": {"done", "not_sent", "awaiting_approval", "cancelled", "withdrawn"},
    "sending": {"sending", "done", "refused", "not_sent", "awaiting_approval", "cancelled"},
    "done": {"done", "cancelled"},
    "refused": {"done", "refused", "awaiting_approval", "cancelled", "withdrawn"},
    "not_sent": {"done", "not_sent", "awaiting_approval", "cancelled", "withdrawn"},
    "awaiting_approval": {"done", "refused", "awaiting_approval", "cancelled", "withdrawn"},
    "cancelled": {"cancelled"},
    "withdrawn": {"done", "awaiting_approval", "cancelled", "withdrawn"},
}
MAY_BE_SENT = {"intended", "not_sent", "sending"}
MAY_BE_INTENDED = {"intended", "refused", "not_sent", "withdrawn"}


@pytest.mark.parametrize("before", PATHS)
def test_what_may_be_settled_as_what(ready: Ledger, before: str) -> None:
    for state in get_args(PostingState):
        with posting_lease(ready) as lease:
            (row,) = ready.intend(KEY, [posting_draft(state)], lease=lease)
            PATHS[before](ready, lease, row.id)
            assert the(ready, row).state == before
            if state in SETTLING[before]:
                settle(state)(ready, lease, row.id)
                assert the(ready, row).state == state
            else:
                earlier = everything(ready)
                sentence = rf"TO1-{state}-1 .*INV-{state}.* is {before}; it cannot become {state}"
                with pytest.raises(ValueError, match=sentence):
                    settle(state)(ready, lease, row.id)
                assert everything(ready) == earlier


@pytest.mark.parametrize("before", PATHS)
def test_what_may_be_sent(ready: Ledger, before: str) -> None:
    with posting_lease(ready) as lease:
        first, second = ready.intend(KEY, [posting_draft("6"), posting_draft("7")], lease=lease)
        PATHS[before](ready, lease, second.id)
        attempts = the(ready, second).attempts
        if before in MAY_BE_SENT:
            ready.mark_sending([first.id, second.id], lease=lease)
            assert [row.state for row in ready.unsettled_postings(SCOPE)] == ["sending", "sending"]
            assert the(ready, second).attempts == attempts + 1
        else:
            earlier = everything(ready)
            with pytest.raises(ValueError, match=rf"TO1-7-1 .* is {before}; it cannot be sent"):
                ready.mark_sending([first.id, second.id], lease=lease)
            assert everything(ready) == earlier


@pytest.mark.parametrize("before", PATHS)
def test_what_may_be_intended_again(ready: Ledger, before: str) -> None:
    later = posting_run("scheduled__2")
    prepared(ready, later)
    again = replace(
        posting_draft("7", body=b"corrected", version="2", high_water=5, identity="V200|INV-7|INVOICE"),
        amount=Decimal("11.50"),
        currency="USD",
        label="INV-7b",
    )
    with posting_lease(ready) as lease:
        (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
        PATHS[before](ready, lease, row.id)
        old = the(ready, row)
        if before in MAY_BE_INTENDED:
            new, other = ready.intend(later, [again, posting_draft("8")], lease=lease)
            assert (new.id, new.run_id, new.state) == (row.id, "scheduled__2", "intended")
            assert (new.fingerprint, new.amount, new.currency) == ("fingerprint 7 v2", Decimal("11.50"), "USD")
            assert (new.identity, new.label, new.high_water) == ("V200|INV-7|INVOICE", "INV-7b", 5)
            assert (new.attempts, new.code, new.message, new.sent_at) == (old.attempts, "", "", None)
            assert new.created_at == row.created_at and other.id > row.id
            assert ready.posting_bodies([row.id]) == {row.id: b"corrected"}
        else:
            earlier = everything(ready)
            sentence = rf"TO1-7-1 \(journal_entry of invoices INV-7\) is {before}.* cannot be intended again"
            with pytest.raises(ValueError, match=sentence):
                ready.intend(later, [posting_draft("8"), again], lease=lease)
            assert everything(ready) == earlier


def test_what_went_out_under_another_lease_is_looked_up_first(ready: Ledger) -> None:
    with posting_lease(ready, "first task") as lease:
        (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
        ready.mark_sending([row.id], lease=lease)
    with posting_lease(ready, "its retry") as lease:
        with pytest.raises(ValueError, match="may be in the books already; look it up"):
            ready.mark_sending([row.id], lease=lease)
        assert the(ready, row).attempts == 1
        ready.settle_postings(KEY, [PostingResult(row.id, "not_sent", message="Not in SAP.")], lease=lease)
        ready.mark_sending([row.id], lease=lease)
    assert (the(ready, row).state, the(ready, row).attempts) == ("sending", 2)


def test_without_a_reply_the_sender_too_has_to_look_it_up(ready: Ledger) -> None:
    with posting_lease(ready) as lease:
        (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
        ready.mark_sending([row.id], lease=lease)
        ready.mark_sending([row.id], lease=lease)  # the session had expired: the first bytes did not count
        ready.settle_postings(KEY, [PostingResult(row.id, "sending", message="No reply in 30 s.")], lease=lease)
        with pytest.raises(ValueError, match="look it up"):
            ready.mark_sending([row.id], lease=lease)
    now = the(ready, row)
    assert (now.state, now.attempts, now.message) == ("sending", 2, "No reply in 30 s.")
    assert whats(ready, "7") == ["posting intended", "posting sending", "posting sending", "posting unknown"]


def test_a_killed_process_leaves_what_has_to_be_looked_up(ledger: Ledger, ledger_url: str) -> None:
    with process(processes.die_while_posting, ledger_url, COMPANY, 1.0) as (child, pipe):
        assert said(pipe) == "the bytes are on their way"
        child.join(PATIENCE)
    assert [row.source_key for row in ledger.unsettled_postings(SCOPE)] == ["1", "2"]
    prepared(ledger, KEY)
    one, two, three = (rows[0] for rows in ledger.postings_of(SCOPE, ["1", "2", "3"]).values())
    with ledger.lock(COMPANY, "the next run", wait=PATIENCE) as lease:
        with pytest.raises(ValueError, match="is sending and cannot be intended again: look it up"):
            ledger.intend(KEY, [posting_draft("1")], lease=lease)
        found = [PostingResult(one.id, "done", "17"), PostingResult(two.id, "not_sent")]
        ledger.settle_postings(KEY, found, lease=lease)
        again = ledger.intend(KEY, [posting_draft("2"), posting_draft("3")], lease=lease)
        assert [row.id for row in again] == [two.id, three.id]
    run = ledger.get_run(KEY)
    assert run is not None
    assert [row.source_key for row in ledger.posted_by_run(KEY, run.started_at)] == ["1"]
    assert the(ledger, one).run_id == "killed"


def test_one_posting_key_has_one_row_whoever_intends_it(ledger: Ledger, ledger_url: str) -> None:
    """Even under leases of different names, which nobody should use for one company."""
    keys = [str(number) for number in range(40)]
    arguments = [(processes.intend, ledger_url, f"lease {number}", f"run {number}", keys) for number in (1, 2)]
    with process(*arguments[0]) as (_, one), process(*arguments[1]) as (_, two):
        assert said(one) == said(two) == "ready"
        one.send("go")
        two.send("go")
        told = [said(one), said(two)]
    # The second takes the first one's rows over, or is turned away by the unique key.
    ids = [answer for answer in told if isinstance(answer, list)]
    assert ids and ids[0] == ids[-1]
    assert all("uq_postings_posting_key" in answer for answer in told if isinstance(answer, str))
    assert ledger.count_postings(Filters()) == 40


@pytest.mark.parametrize("step", ["intend", "mark", "settle", "commit"])
@pytest.mark.parametrize("lost", ["taken over", "given back"])
def test_nothing_moves_without_the_lease(ready: Ledger, step: str, lost: str) -> None:
    old = posting_lease(ready, "old")
    (row,) = ready.intend(KEY, [posting_draft("7")], lease=old)
    old.release()
    steps: dict[str, Callable[[], Any]] = {
        "intend": lambda: ready.intend(KEY, [posting_draft("7", version="2")], lease=old),
        "mark": lambda: mark(ready, old, row.id),
        "settle": lambda: settle("done")(ready, old, row.id),
        "commit": lambda: commit_posted(ready, KEY, old),
    }
    with ExitStack() as stack:
        if lost == "taken over":
            stack.enter_context(posting_lease(ready, "new"))
        before, run = everything(ready), ready.get_run(KEY)
        with pytest.raises(Superseded, match="new has it now" if lost == "taken over" else "nobody holds it now"):
            steps[step]()
        assert (everything(ready), ready.get_run(KEY), ready.entity_version(SCOPE)) == (before, run, 0)


def test_the_lease_may_be_that_of_a_scope(ready: Ledger) -> None:
    with ready.acquire(SCOPE, "test") as lease:
        assert [row.state for row in post(ready, KEY, lease, posting_draft("7"))] == ["intended"]


def test_all_or_nothing_in_the_order_given(ready: Ledger) -> None:
    with posting_lease(ready) as lease:
        ready.intend(KEY, [posting_draft("b")], lease=lease)
        rows = ready.intend(KEY, [posting_draft(key) for key in ("c", "b", "a")], lease=lease)
        assert [row.source_key for row in rows] == ["c", "b", "a"]
        ready.mark_sending([rows[0].id], lease=lease)
        before = everything(ready)
        results = [PostingResult(rows[0].id, "done", "1"), PostingResult(rows[1].id, "refused")]
        with pytest.raises(ValueError, match="is intended; it cannot become refused"):
            ready.settle_postings(KEY, results, lease=lease)
        with pytest.raises(ValueError, match="has no posting 999"):
            ready.mark_sending([rows[1].id, 999], lease=lease)
        assert everything(ready) == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "invoice"}, "'invoice' is no kind of posting"),
        ({"posting_key": "TO1-8-1"}, "posting key journal_entry TO1-8-1 is given twice"),
        ({"amount": 10.0}, "must be a Decimal"),
    ],
    ids=["kind", "key twice", "float"],
)
def test_drafts_that_are_none(ready: Ledger, change: dict[str, Any], sentence: str) -> None:
    with posting_lease(ready) as lease, pytest.raises(ValueError, match=sentence):
        ready.intend(KEY, [posting_draft("8"), replace(posting_draft("7"), **change)], lease=lease)
    assert ready.count_postings(Filters()) == 0


def test_one_key_per_kind_and_instance(ready: Ledger) -> None:
    asia, payments = posting_run(instance="asia"), posting_run(entity="payments")
    for key in (asia, payments):
        prepared(ready, key)
    entry, cancellation = posting_draft("7"), posting_draft("7", kind="cancellation")
    with posting_lease(ready) as lease:
        first = ready.intend(KEY, [entry, cancellation], lease=lease)
        first += ready.intend(asia, [entry], lease=lease)
        assert len({row.id for row in first}) == 3
        with pytest.raises(ValueError, match=r"TO1-7-1 \(journal_entry of invoices INV-7\) has this key already"):
            ready.intend(payments, [posting_draft("99", posting_key="TO1-7-1")], lease=lease)
        with pytest.raises(ValueError, match="is not one of the run scheduled__1 of payments"):
            ready.settle_postings(payments, [PostingResult(first[0].id, "withdrawn")], lease=lease)


def test_what_carries_no_money(ready: Ledger) -> None:
    draft = replace(posting_draft("V1", kind="business_partner"), currency=None, amount=None)
    with posting_lease(ready) as lease:
        (row,) = ready.intend(KEY, [draft], lease=lease)
    assert (row.currency, row.amount) == (None, None)


def test_runs_that_may_not_post(ready: Ledger) -> None:
    preview = posting_run("preview")
    begin(ready, preview, dry_run=True)
    with posting_lease(ready) as lease:
        (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
        with pytest.raises(ValueError, match="dry run"):
            ready.intend(preview, [posting_draft("8")], lease=lease)
        with pytest.raises(ValueError, match="dry run"):
            ready.settle_postings(preview, [PostingResult(row.id, "withdrawn")], lease=lease)
        with pytest.raises(ValueError, match="has no run unknown"):
            ready.intend(posting_run("unknown"), [posting_draft("8")], lease=lease)
    assert ready.count_postings(Filters()) == 1


class TestSettling:
    def test_the_same_result_again_changes_nothing(self, ready: Ledger) -> None:
        later = posting_run("scheduled__2")
        prepared(ready, later)
        with posting_lease(ready) as lease:
            (row,) = post(ready, KEY, lease, posting_draft("7"))
            before = everything(ready)
            ready.settle_postings(later, [done(row, 1)], lease=lease)
            ready.settle_postings(later, [PostingResult(row.id, "done", message="found")], lease=lease)
        assert everything(ready) == before

    def test_what_was_not_known_at_first_is_filled_in(self, ready: Ledger) -> None:
        with posting_lease(ready) as lease:
            (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
            settle("done")(ready, lease, row.id)
            first = the(ready, row)
            settle("done", target_key="17")(ready, lease, row.id)
            settle("done", target_number="1017")(ready, lease, row.id)
        now = the(ready, row)
        assert (now.target_key, now.target_number, now.settled_at) == ("17", "1017", first.settled_at)

    @pytest.mark.parametrize("state", ["awaiting_approval", "done", "cancelled"])
    def test_who_saw_it_first_answers_for_it(self, ready: Ledger, state: PostingState) -> None:
        later = posting_run("scheduled__2")
        prepared(ready, later)
        with posting_lease(ready) as lease:
            (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
            settle(state)(ready, lease, row.id)
            first = the(ready, row)
            ready.settle_postings(later, [PostingResult(row.id, state, "17", message="Still there.")], lease=lease)
        now = the(ready, row)
        assert (now.target_key, now.settled_run_id, now.settled_at) == ("17", KEY.run_id, first.settled_at)

    def test_once_too_often_in_the_books(self, ready: Ledger) -> None:
        with posting_lease(ready) as lease:
            (row,) = post(ready, KEY, lease, posting_draft("7"))
            with pytest.raises(ValueError, match="in the books as 1 and now was seen there as 2"):
                settle("done", target_key="2")(ready, lease, row.id)
        assert the(ready, row).target_key == "1"

    def test_given_twice(self, ready: Ledger) -> None:
        with posting_lease(ready) as lease:
            (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
            with pytest.raises(ValueError, match=f"posting {row.id} is given twice"):
                ready.settle_postings(KEY, [PostingResult(row.id, "withdrawn")] * 2, lease=lease)

    def test_a_draft_that_is_approved_later_counts_for_the_run_that_saw_it(self, ready: Ledger) -> None:
        later = posting_run("scheduled__2")
        prepared(ready, later)
        with posting_lease(ready) as lease:
            (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
            ready.mark_sending([row.id], lease=lease)
            settle("awaiting_approval", target_key="draft 5")(ready, lease, row.id)
            assert (the(ready, row).settled_run_id, list_posted(ready)) == (KEY.run_id, [])
            ready.settle_postings(later, [PostingResult(row.id, "done", "17")], lease=lease)
        now = the(ready, row)
        assert (now.target_key, now.settled_run_id) == ("17", "scheduled__2")
        assert whats(ready, "7")[-2:] == ["posting awaiting approval", "posted"]

    @pytest.mark.parametrize("state", ["refused", "withdrawn"])
    def test_a_draft_that_came_to_nothing_was_never_in_the_books(self, ready: Ledger, state: PostingState) -> None:
        with posting_lease(ready) as lease:
            (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
            settle("awaiting_approval")(ready, lease, row.id)
            settle(state, code="-5", message="Rejected by the approver.")(ready, lease, row.id)
        now = the(ready, row)
        assert (now.settled_at, now.settled_run_id, now.code) == (None, None, "-5")

    def test_the_erps_words_whatever_they_are(self, ready: Ledger) -> None:
        with posting_lease(ready) as lease:
            (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
            ready.mark_sending([row.id], lease=lease)
            settle("refused", code="10001153", message="bad \x00 \ud800 日本")(ready, lease, row.id)
        assert the(ready, row).message == "bad \ufffd \ufffd 日本"


class TestCancelling:
    @pytest.mark.parametrize("before", ["sending", "awaiting_approval", "done"])
    def test_the_entry_is_cancelled_with_its_cancellation(self, ready: Ledger, before: str) -> None:
        later = posting_run("scheduled__2")
        prepared(ready, later)
        with posting_lease(ready) as lease:
            entries = [posting_draft("7"), posting_draft("7", revision=2), posting_draft("8")]
            first, second, other = ready.intend(KEY, entries, lease=lease)
            PATHS[before](ready, lease, first.id)
            PATHS["done"](ready, lease, second.id)
            PATHS["done"](ready, lease, other.id)
            cancellation = posting_draft("7", kind="cancellation", high_water=3)
            post(ready, later, lease, cancellation, first_number=4)
        states = {(row.source_key, row.kind, row.revision): row.state for row in ready.postings(Filters())}
        assert states == {
            ("7", "journal_entry", 1): "cancelled",
            ("7", "journal_entry", 2): "done",
            ("8", "journal_entry", 1): "done",
            ("7", "cancellation", 1): "done",
        }
        assert whats(ready, "7")[-2:] == ["posted", "posting cancelled"]
        # Who posted it, answers for it; what nobody had seen in the books is seen by the one who cancelled it.
        assert the(ready, first).settled_run_id == (KEY.run_id if before == "done" else "scheduled__2")

    def test_what_never_was_in_the_books_stays_as_it_is(self, ready: Ledger) -> None:
        with posting_lease(ready) as lease:
            (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
            settle("not_sent")(ready, lease, row.id)
            post(ready, KEY, lease, posting_draft("7", kind="cancellation"))
        assert the(ready, row).state == "not_sent"

    def test_a_refused_cancellation_cancels_nothing(self, ready: Ledger) -> None:
        with posting_lease(ready) as lease:
            (row,) = post(ready, KEY, lease, posting_draft("7"))
            (cancellation,) = ready.intend(KEY, [posting_draft("7", kind="cancellation")], lease=lease)
            ready.mark_sending([cancellation.id], lease=lease)
            settle("refused", code="-5006")(ready, lease, cancellation.id)
        assert the(ready, row).state == "done"

    def test_other_scopes_are_left_alone(self, ready: Ledger) -> None:
        asia = posting_run(instance="asia")
        prepared(ready, asia)
        with posting_lease(ready) as lease:
            (row,) = post(ready, asia, lease, posting_draft("7"))
            post(ready, KEY, lease, posting_draft("7", kind="cancellation"))
        assert the(ready, row).state == "done"


def list_posted(ledger: Ledger, run_id: str = KEY.run_id) -> list[str]:
    key = posting_run(run_id)
    run = ledger.get_run(key)
    assert run is not None
    return [row.source_key for row in ledger.posted_by_run(key, run.started_at)]


class TestLists:
    def test_posted_by_this_attempt_of_this_run(self, ready: Ledger) -> None:
        other = posting_run("scheduled__2")
        prepared(ready, other)
        with posting_lease(ready) as lease:
            post(ready, other, lease, posting_draft("0"))
            post(ready, KEY, lease, posting_draft("1"), posting_draft("2"))
            post(ready, KEY, lease, posting_draft("2", kind="cancellation"))
            (refused,) = ready.intend(KEY, [posting_draft("3")], lease=lease)
            PATHS["refused"](ready, lease, refused.id)
            assert list_posted(ready) == ["1", "2", "2"]
            begin(ready, KEY)
            assert list_posted(ready) == []
            post(ready, KEY, lease, posting_draft("4"))
        assert list_posted(ready) == ["4"] and list_posted(ready, "scheduled__2") == ["0"]

    def test_more_than_a_page_of_them(self, ready: Ledger) -> None:
        keys = [f"{number:04}" for number in range(2_001)]
        with posting_lease(ready) as lease:
            post(ready, KEY, lease, *map(posting_draft, keys))
        assert list_posted(ready) == keys
        found = ready.postings_of(SCOPE, [*keys, "unknown"])
        assert list(found) == keys and all(len(rows) == 1 for rows in found.values())
        assert len(ready.posting_bodies([rows[0].id for rows in found.values()])) == 2_001

    def test_by_source_key_and_by_identity(self, ready: Ledger) -> None:
        same = "V100|INV-1|INVOICE"
        with posting_lease(ready) as lease:
            drafts = [
                posting_draft("a", identity=same),
                posting_draft("a", revision=2, identity=same),
                posting_draft("b", identity=same),
                posting_draft("c"),
            ]
            ready.intend(KEY, drafts, lease=lease)
        by_key = ready.postings_of(SCOPE, ["b", "a", "a", "x"])
        assert {key: [row.revision for row in rows] for key, rows in by_key.items()} == {"a": [1, 2], "b": [1]}
        by_identity = ready.postings_by_identity(SCOPE, [same, "V100|INV-2|INVOICE"])
        assert {key: [row.source_key for row in rows] for key, rows in by_identity.items()} == {same: ["a", "a", "b"]}
        elsewhere = Scope(SCOPE.integration, "asia", SCOPE.entity)
        assert ready.postings_of(elsewhere, ["a"]) == {} == ready.postings_by_identity(elsewhere, [same])

    def test_filtered_and_newest_first(self, ready: Ledger) -> None:
        with posting_lease(ready) as lease:
            rows = ready.intend(KEY, [posting_draft(str(number)) for number in range(5)], lease=lease)
            ready.mark_sending([rows[1].id], lease=lease)
        assert [row.id for row in ready.postings(Filters(), 2, 1)] == [rows[3].id, rows[2].id]
        assert [row.id for row in ready.postings(Filters(status="sending"))] == [rows[1].id]
        changed = the(ready, rows[1]).updated_at
        assert [row.id for row in ready.postings(Filters(since=changed))] == [rows[1].id]
        assert ready.count_postings(Filters(since=changed + timedelta(days=1))) == 0
        assert ready.count_postings(Filters(entity="payments")) == 0
        assert ready.count_postings(Filters(run_id=KEY.run_id, instance="default")) == 5


class TestTrace:
    @pytest.mark.parametrize("name", ["7", "INV-7", "TO1-7-1", "17", "1017"])
    def test_by_every_name_a_posting_has(self, ready: Ledger, name: str) -> None:
        with posting_lease(ready) as lease:
            post(ready, KEY, lease, posting_draft("7"), first_number=17)
            post(ready, KEY, lease, posting_draft("9"), first_number=99)
        (record,) = json.loads(json.dumps(ready.trace(name)))["records"]
        assert (record["entity"], record["source_key"]) == ("invoices", "7")
        (posting,) = record["postings"]
        assert (posting["state"], posting["target_key"], posting["target_number"]) == ("done", "17", "1017")
        assert (posting["amount"], posting["attempts"], posting["posting_key"]) == ("10.00", 1, "TO1-7-1")
        assert "body" not in posting and [run["run_id"] for run in record["runs"]] == [KEY.run_id]
        posted = record["events"][-1]
        assert (posted["what"], posted["detail"]["target_key"]) == ("posted", "17")

    def test_with_the_run_that_settled_it(self, ready: Ledger) -> None:
        later = posting_run("scheduled__2")
        prepared(ready, later)
        with posting_lease(ready) as lease:
            (row,) = ready.intend(KEY, [posting_draft("7")], lease=lease)
            ready.mark_sending([row.id], lease=lease)
            ready.settle_postings(later, [PostingResult(row.id, "done", "17")], lease=lease)
        (record,) = ready.trace("17")["records"]
        assert [run["run_id"] for run in record["runs"]] == [KEY.run_id, "scheduled__2"]


def test_bodies_stay_out_of_texts(ready: Ledger) -> None:
    draft = posting_draft("7", body=b"confidential")
    with posting_lease(ready) as lease:
        rows = ready.intend(KEY, [draft], lease=lease)
    assert "confidential" not in repr(draft) + repr(rows) + json.dumps(ready.trace("7"))


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("integration = 'i' AND instance = 'd' AND entity = 'e' AND state = 'sending'", "ix_postings_unsettled"),
        ("source_key = '1' AND integration = 'i' AND instance = 'd' AND entity = 'e'", "ix_postings_source_key"),
        ("identity = '1' AND integration = 'i' AND instance = 'd' AND entity = 'e'", "ix_postings_identity"),
        ("settled_run_id = 'r' AND entity = 'e'", "ix_postings_settled_run"),
        ("target_key = '17'", "ix_postings_target_key"),
        ("target_number = '17'", "ix_postings_target_number"),
    ],
)
def test_look_ups_use_their_index(ledger: Ledger, condition: str, index: str) -> None:
    """What finance waits for must not read the whole book."""
    with ledger._reading() as connection:
        if ledger._is_postgres:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            plan = connection.execute(text(f"EXPLAIN SELECT id FROM postings WHERE {condition}"))
        else:
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN SELECT body FROM postings WHERE {condition}"))
        assert index in str(plan.all())
