from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ledger.builders import (
    commit_posted,
    euros,
    extracted,
    held_draft,
    note_prepared,
    post,
    posting_draft,
    posting_lease,
    posting_run,
    prepared,
)
from tieout.ledger import Filters, HeldDraft, Ledger, RunRow, Tally

KEY = posting_run()
SCOPE = KEY.scope


def run_of(ledger: Ledger) -> RunRow:
    run = ledger.get_run(KEY)
    assert run is not None
    return run


def hold_earlier(ledger: Ledger, *source_keys: str) -> None:
    earlier = posting_run("earlier")
    prepared(ledger, earlier)
    with posting_lease(ledger) as lease:
        commit_posted(ledger, earlier, lease, held=[held_draft(key) for key in source_keys])


def everything(ledger: Ledger) -> tuple[object, ...]:
    return (
        ledger.runs(Filters()),
        ledger.held(Filters()),
        ledger.postings(Filters()),
        ledger.entity_version(SCOPE),
        ledger.events_of_run(KEY),
    )


def test_everything_moves_together(ledger: Ledger) -> None:
    hold_earlier(ledger, "1", "2", "3", "9")
    prepared(ledger, KEY)
    with posting_lease(ledger) as lease:
        post(ledger, KEY, lease, posting_draft("1"))
        commit_posted(ledger, KEY, lease, held=[held_draft("3"), held_draft("4")], settled=["1", "2"])
    run = run_of(ledger)
    assert (run.status, run.stage, run.mapping_version, run.delivered) == ("delivered", "delivered", "v7", 0)
    assert run.tally("posted") == euros(1, "10.00")
    assert run.tally("duplicate") == euros(1, "7.00") and run.tally("excluded") == Tally()
    assert run.tally("held") == euros(1, "13.00")
    rows = {row.source_key: row for row in ledger.held(Filters())}
    assert {key: (row.status, row.closed_why) for key, row in rows.items()} == {
        "1": ("settled", "posted"),
        "2": ("settled", "duplicate or excluded"),
        "3": ("held", ""),
        "4": ("held", ""),
        "9": ("held", ""),
    }
    assert rows["3"].attempts == 2
    assert ledger.entity_version(SCOPE) == 2
    assert ledger.events_of_run(KEY)[-1].what == "committed"
    assert ledger.fingerprints(SCOPE, ["1"]) == {} and ledger.watermark(SCOPE) is None
    shown = run.as_json()
    assert (shown["posted"], shown["target_totals"], shown["held"]) == (1, {"EUR": "10.00"}, 1)


def test_what_another_run_posted_is_not_said_to_be_posted_by_this_one(ledger: Ledger) -> None:
    hold_earlier(ledger, "1")
    other = posting_run("other")
    prepared(ledger, other)
    prepared(ledger, KEY)
    with posting_lease(ledger) as lease:
        post(ledger, other, lease, posting_draft("1"))
        commit_posted(ledger, KEY, lease, settled=["1"])
    assert [row.closed_why for row in ledger.held(Filters())] == ["duplicate or excluded"]


def test_an_exception_in_the_middle_leaves_nothing(ledger: Ledger) -> None:
    hold_earlier(ledger, "1")
    prepared(ledger, KEY)

    def drafts() -> Iterator[HeldDraft]:
        yield from (held_draft(str(number)) for number in range(700))
        raise OSError("held.jsonl cannot be read")

    with posting_lease(ledger) as lease:
        before = everything(ledger)
        with pytest.raises(OSError, match="cannot be read"):
            commit_posted(ledger, KEY, lease, held=drafts(), settled=["1"])
        assert everything(ledger) == before
        commit_posted(ledger, KEY, lease, settled=["1"])
    assert ledger.open_held_keys(SCOPE) == [] and run_of(ledger).status == "delivered"


def test_not_before_it_is_prepared(ledger: Ledger) -> None:
    extracted(ledger, KEY)
    with posting_lease(ledger) as lease:
        before = everything(ledger)
        with pytest.raises(ValueError, match="is extracted; a run cannot become delivered"):
            commit_posted(ledger, KEY, lease, held=[held_draft("1")])
        assert everything(ledger) == before
        note_prepared(ledger, KEY)
        commit_posted(ledger, KEY, lease)


def test_a_task_that_is_tried_again_commits_again(ledger: Ledger) -> None:
    prepared(ledger, KEY)
    with posting_lease(ledger) as lease:
        commit_posted(ledger, KEY, lease)
        ledger.finish_run(KEY, ties_out=True)
        commit_posted(ledger, KEY, lease, posted=euros(2, "20.00"))
    run = run_of(ledger)
    assert (run.status, run.posted, run.ties_out) == ("delivered", 2, None)


def test_the_figures_of_an_earlier_attempt_stay_in_the_trail(ledger: Ledger) -> None:
    prepared(ledger, KEY)
    with posting_lease(ledger) as lease:
        commit_posted(ledger, KEY, lease)
    prepared(ledger, KEY)
    assert run_of(ledger).posted == 0
    (again,) = [event for event in ledger.events_of_run(KEY) if event.what == "run begun again"]
    assert (again.detail["posted"], again.detail["target_totals"]) == (1, {"EUR": "10.00"})


def test_a_dry_run_commits_nothing(ledger: Ledger) -> None:
    prepared(ledger, KEY, dry_run=True)
    with posting_lease(ledger) as lease, pytest.raises(ValueError, match="dry run"):
        commit_posted(ledger, KEY, lease)
    assert ledger.entity_version(SCOPE) == 0
