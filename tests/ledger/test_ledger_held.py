from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.ledger.builders import commit, deliver, held_draft, hold, outcome_of, prepared, run_key
from tieout.ledger import Filters, Ledger, Scope

KEY = run_key()
SCOPE = KEY.scope
CONTRACT = [
    "id",
    "integration",
    "instance",
    "entity",
    "source_key",
    "reason_code",
    "message",
    "fix_hint",
    "owner",
    "first_seen",
    "attempts",
    "status",
]


def test_json_has_exactly_the_contracts_fields(ledger: Ledger) -> None:
    hold(ledger, KEY, held_draft("1"))
    (row,) = ledger.held(Filters())
    assert list(row.as_json()) == CONTRACT
    assert (row.attempts, row.status, row.amount, row.label) == (1, "held", Decimal("10.00"), "INV-1")


def test_held_again_is_the_same_row(ledger: Ledger) -> None:
    hold(ledger, run_key("1"), held_draft("1"))
    (first,) = ledger.held(Filters())
    hold(ledger, run_key("2"), held_draft("1"))
    hold(ledger, run_key("3"), held_draft("1", payload=b'{"DocEntry": 1, "x": 2}', message="Still wrong."))
    (row,) = ledger.held(Filters())
    assert (row.id, row.attempts, row.first_seen) == (first.id, 3, first.first_seen)
    assert (row.message, row.first_run_id, row.run_id) == ("Still wrong.", "1", "3")
    assert row.last_seen > first.last_seen
    detail = ledger.get_held(row.id)
    assert detail is not None and detail.payload == b'{"DocEntry": 1, "x": 2}'
    assert [event.run_id for event in detail.history] == ["1", "3"]  # what is new; the count is in the row


def test_a_record_named_twice_in_one_run(ledger: Ledger) -> None:
    hold(ledger, KEY, held_draft("1", message="first"), held_draft("1", message="second"))
    (row,) = ledger.held(Filters())
    assert (row.attempts, row.message) == (1, "second")


def test_settled_then_held_anew(ledger: Ledger) -> None:
    hold(ledger, run_key("1"), held_draft("1"))
    deliver(ledger, run_key("2"), "1")
    hold(ledger, run_key("3"), held_draft("1"))
    new, old = ledger.held(Filters())
    assert (old.status, old.closed_by, old.closed_why) == ("settled", "2", "delivered")
    assert (new.status, new.attempts) == ("held", 1)
    detail = ledger.get_held(old.id)
    assert detail is not None and [event.what for event in detail.history] == ["held", "settled"]


def test_many_held_and_settled(ledger: Ledger) -> None:
    keys = [str(number) for number in range(2_500)]
    hold(ledger, run_key("1"), *map(held_draft, keys))
    assert ledger.open_held_keys(SCOPE) == keys
    assert ledger.open_held_keys(SCOPE, limit=2) == ["0", "1"]
    prepared(ledger, run_key("2"))
    commit(ledger, run_key("2"), outcome_of(settled=iter(keys[:2_000])))
    assert ledger.open_held_keys(SCOPE) == keys[2_000:]
    assert ledger.count_held(Filters(status="settled")) == 2_000
    page = ledger.held(Filters(status="held"), 10, 490)
    assert [row.source_key for row in page] == keys[2_000:2_010][::-1]
    assert ledger.count_held(Filters(status="held", since=page[0].last_seen)) > 0


def test_what_a_retry_reads(ledger: Ledger) -> None:
    keys = [f"{number:03}" for number in range(450)]
    hold(ledger, run_key("1"), *(held_draft(key, payload=key.encode()) for key in keys))
    hold(ledger, run_key("2"), held_draft("000", payload=b"000"))
    hold(ledger, run_key("3", "payments"), held_draft("000"))
    ledger.discard_held(2, "no", "anna")
    rows = ledger.open_held(SCOPE)
    assert [row.source_key for row in rows] == [keys[0], *keys[2:]]
    assert [row.attempts for row in rows[:2]] == [2, 1] and rows[0].last_seen > rows[1].last_seen
    ids = [row.id for row in rows][::-1]
    payloads = list(ledger.held_payloads(iter(ids)))
    assert payloads == [(row.id, row.source_key.encode()) for row in rows[::-1]]
    with pytest.raises(ValueError, match="no held record 9999"):
        list(ledger.held_payloads([1, 9999]))


def test_payloads_are_read_as_they_are_needed(ledger: Ledger) -> None:
    hold(ledger, KEY, *(held_draft(str(number)) for number in range(250)))
    asked: list[int] = []

    def ids() -> Iterator[int]:
        for held_id in range(1, 251):
            asked.append(held_id)
            yield held_id

    first = next(ledger.held_payloads(ids()))
    assert first[0] == 1 and len(asked) == 200


def test_other_scopes_are_left_alone(ledger: Ledger) -> None:
    hold(ledger, run_key("1", "payments"), held_draft("1"))
    deliver(ledger, run_key("2", "invoices"), "1")
    assert ledger.open_held_keys(Scope("sap_b1_to_peakflo", "default", "payments")) == ["1"]


def test_discarding(ledger: Ledger) -> None:
    payload = b"\xff\x00 not text"
    hold(ledger, KEY, held_draft("1", payload=payload), held_draft("2"))
    second, first = ledger.held(Filters())
    row = ledger.discard_held(first.id, "A test invoice.", "anna")
    assert (row.status, row.closed_by, row.closed_why) == ("discarded", "anna", "A test invoice.")
    assert ledger.open_held_keys(SCOPE) == ["2"]
    assert ledger.discarded_payloads(SCOPE, ["1", "2"]) == {"1": hashlib.sha256(payload).hexdigest()}
    detail = ledger.get_held(first.id)
    assert detail is not None and detail.payload == payload
    assert detail.history[-1].detail == {"why": "A test invoice.", "by": "anna"}
    shown = json.loads(json.dumps(detail.as_json()))
    assert shown["payload_encoding"] == "base64" and len(shown["history"]) == 2
    assert ledger.get_held(second.id + 1) is None


def test_held_again_after_a_discard_is_a_new_row(ledger: Ledger) -> None:
    hold(ledger, run_key("1"), held_draft("1", payload=b"one"))
    ledger.discard_held(1, "no", "anna")
    hold(ledger, run_key("2"), held_draft("1", payload=b"two"))
    ledger.discard_held(2, "no", "anna")
    assert [row.id for row in ledger.held(Filters())] == [2, 1]
    assert ledger.discarded_payloads(SCOPE, ["1"]) == {"1": hashlib.sha256(b"two").hexdigest()}


@pytest.mark.parametrize(
    ("held_id", "why", "sentence"),
    [(9, "no", "There is no held record 9"), (1, "no", "is discarded already"), (2, " ", "say why")],
    ids=["unknown", "closed", "without a reason"],
)
def test_what_cannot_be_discarded(ledger: Ledger, held_id: int, why: str, sentence: str) -> None:
    hold(ledger, KEY, held_draft("1"), held_draft("2"))
    ledger.discard_held(1, "no", "anna")
    with pytest.raises(ValueError, match=sentence):
        ledger.discard_held(held_id, why, "anna")
    assert ledger.open_held_keys(SCOPE) == ["2"]


def test_payloads_stay_out_of_texts(ledger: Ledger) -> None:
    draft = held_draft("1", payload=b"private")
    hold(ledger, KEY, draft)
    assert "private" not in repr(draft) + repr(ledger.get_held(1)) + repr(ledger.held(Filters()))
