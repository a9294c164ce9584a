"""Who decides alone and what a second person is asked: limits, sums, requests, agreements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from tests.support.holding import hold
from tieout import approvals, replays
from tieout.config import SecondPerson
from tieout.errors import ConfigurationInvalid, TieoutError
from tieout.ledger import Filters, Ledger, RunKey

KEY = RunKey("stampli_to_sap_b1", "default", "invoices", "scheduled__1")
RULE = SecondPerson.model_validate({"above": {"EUR": "10000", "JPY": 1_000_000, "*": "500"}})
NOW = datetime.now(UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", migrate=True) as book:
        yield book


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The instance's file, with a limit of 10,000 EUR."""
    path = tmp_path / "include" / "integrations" / KEY.integration / "default.yaml"
    path.parent.mkdir(parents=True)
    path.write_text('schedule: null\nsecond_person: {above: {EUR: "10000"}}\n')
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path / "include"))
    return path


@pytest.mark.parametrize(
    ("currency", "amount", "needed"),
    [
        ("EUR", "10000", False),
        ("EUR", "10000.01", True),
        ("EUR", "-10000.01", True),
        ("JPY", "1000000", False),
        ("JPY", "1000001", True),
        ("USD", "500", False),
        ("USD", "500.01", True),
        ("EUR", None, True),
        (None, None, True),
        (None, "1", True),
    ],
)
def test_one_person_decides_up_to_the_limit(currency: str | None, amount: str | None, needed: bool) -> None:
    assert RULE.is_needed("replay", currency, None if amount is None else Decimal(amount)) is needed


def test_a_currency_without_a_limit_needs_a_second_person() -> None:
    rule = SecondPerson.model_validate({"above": {"EUR": "10000"}})
    assert rule.is_needed("discard", "USD", Decimal("0.01"))


def test_only_what_the_rule_applies_to() -> None:
    rule = SecondPerson.model_validate({"above": {"*": "0"}, "applies_to": ["discard"]})
    assert not rule.is_needed("replay", "EUR", Decimal(1))
    assert rule.is_needed("discard", "EUR", Decimal(1))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"above": {"EUR": 10000.5}}, "in quotes"),
        ({"above": {"EUR": "-1"}}, "greater than or equal"),
        ({"above": {"EUR": "NaN"}}, "finite"),
        ({"above": {"eur": "1"}}, "pattern"),
        ({"above": {}}, "at least 1"),
        ({}, "required"),
        ({"above": {"*": "1"}, "applies_to": []}, "at least 1"),
        ({"above": {"*": "1"}, "people": []}, "not permitted"),
    ],
)
def test_a_rule_that_says_nothing_clear_is_refused(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SecondPerson.model_validate(section)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1945.580000", "EUR", "1945.58"),
        ("1945.000000", "EUR", "1945.00"),
        ("1945.123400", "EUR", "1945.1234"),
        ("1000000.000000", "JPY", "1000000"),
        ("-5", "KWD", "-5.000"),
        ("0E+2", "*", "0.00"),
        ("123456789012345678901234567890.12", "EUR", "123456789012345678901234567890.12"),
    ],
)
def test_money_is_written_with_the_currencys_decimals(amount: str, currency: str, text: str) -> None:
    assert approvals.money_text(Decimal(amount), currency) == text


def test_the_rule_is_the_instances_own(instance: Path) -> None:
    rule = approvals.rule_of(KEY.integration, "default")
    assert rule is not None and rule.above == {"EUR": Decimal(10000)}
    assert approvals.rule_of(KEY.integration, "gone") is None
    instance.write_text("second_person: {above: {EUR: 1.5}}\n")
    with pytest.raises(ConfigurationInvalid, match=r"default\.yaml.*above\.EUR"):
        approvals.rule_of(KEY.integration, "default")


def test_a_replay_is_split_at_the_limit(instance: Path, ledger: Ledger) -> None:
    rows = hold(ledger, KEY, {"A": ("10000", "EUR"), "B": ("10000.01", "EUR"), "C": None})
    (item,) = replays.everything(ledger, Filters())
    preview = item.as_json(None, "preview")
    assert (preview["records"], preview["needs_second_person"]) == (3, 2)
    assert preview["amounts"] == {"EUR": "20000.01"}
    assert preview["limit"] == {"EUR": "10000.00"}

    at_once, request = item.at_once(), item.request()
    assert at_once is not None and request is not None
    assert (len(at_once.rows), at_once.conf) == (1, {"held_only": True, "held_ids": []})
    assert request.dag_id == "stampli_to_sap_b1_second_person"
    assert request.conf == {"action": "replay", "held_ids": [rows["B"].id, rows["C"].id], "why": ""}

    (chosen,) = replays.chosen(ledger, [rows["C"].id], Filters())
    assert chosen.at_once() is None
    (small,) = replays.chosen(ledger, [rows["A"].id], Filters())
    assert small.request() is None and small.at_once() == small


def test_without_a_rule_one_person_decides(instance: Path, ledger: Ledger) -> None:
    instance.write_text("schedule: null\n")
    hold(ledger, KEY, {"A": ("999999", "EUR"), "B": None})
    (item,) = replays.everything(ledger, Filters())
    assert (item.request(), item.at_once(), item.as_json(None, "preview")["limit"]) == (None, item, None)


def test_what_a_search_leaves_is_asked_for_by_id(instance: Path, ledger: Ledger) -> None:
    rows = hold(ledger, KEY, {"A1": ("1", "EUR"), "B1": ("1", "EUR")})
    (item,) = replays.everything(ledger, Filters(search="A"))
    assert item.held_ids == (rows["A1"].id,)


def test_a_person_is_not_asked_about_more_than_a_person_can_read(instance: Path, ledger: Ledger) -> None:
    row = hold(ledger, KEY, {"A": None})["A"]
    many = tuple(replace(row, id=number) for number in range(1, approvals.MOST_RECORDS + 2))
    asked = approvals.request_for(many[1:], "replay", "", RULE)
    assert asked is not None and len(asked.conf["held_ids"]) == approvals.MOST_RECORDS
    item = replays.Replay(KEY.integration, "default", many, whole=True, rule=RULE)
    for ask in (item.request, item.at_once, lambda: item.as_json(None, "preview")):
        with pytest.raises(TieoutError, match="1001 records of stampli_to_sap_b1 need a second person"):
            ask()


def test_an_agreement_is_for_one_run_one_content_and_a_time(ledger: Ledger) -> None:
    rows = hold(ledger, KEY, {"A": ("10001", "EUR"), "B": ("10001", "EUR"), "C": ("10001", "EUR")})
    run_id = approvals.run_agreed_to("manual__1")
    ledger.note_held(approvals.AGREED, [rows["A"], rows["B"]], run_id, {"by": "Anna", "asked_by": "Jan"})

    now = datetime.now(UTC)

    def agreed(run: str = run_id, now: datetime = now) -> set[int]:
        found = [*ledger.open_held(KEY.scope)]
        return set(approvals.agreed(ledger, run, found, RULE, now))

    assert agreed() == {rows["A"].id, rows["B"].id}
    assert agreed(run="manual__1") == set()
    assert agreed(now=now + timedelta(hours=RULE.valid_hours, minutes=5)) == set()

    hold(ledger, replace(KEY, run_id="scheduled__2"), {"B": ("99999", "EUR")}, payload=b"{'another': 1}")
    assert agreed() == {rows["A"].id}


@pytest.mark.parametrize(
    ("one", "other", "same"), [("anna", "Anna ", True), ("STRASSE", "straße", True), ("anna", "jan", False)]
)
def test_who_is_the_same_person(one: str, other: str, same: bool) -> None:
    assert approvals.is_same_person(one, other) is same


@pytest.mark.parametrize("base_url", ["https://airflow.example.com/", "https://airflow.example.com", ""])
def test_the_page_where_the_second_person_answers(base_url: str) -> None:
    url = approvals.approval_url(base_url, "x_second_person", "manual__2026-01-01T00:00:00+00:00")
    place = "/dags/x_second_person/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00/tasks/ask_second_person"
    assert url == f"{base_url.rstrip('/')}{place}/required_actions"


Action = Literal["replay", "discard"]


@pytest.mark.parametrize("action", ["replay", "discard"])
def test_the_audit_trail_says_what_the_record_was(ledger: Ledger, action: Action) -> None:
    row = hold(ledger, KEY, {"A": ("10001.5", "EUR")})["A"]
    ledger.note_held(approvals.ASKED, [row], "manual__1", {"action": action, "by": "Jan"})
    detail = ledger.get_held(row.id)
    assert detail is not None
    event = detail.history[-1]
    assert (event.what, event.run_id, event.source_key) == (approvals.ASKED, "manual__1", "A")
    told = {"action": action, "by": "Jan", "payload_sha256": row.payload_sha256, "currency": "EUR"}
    assert {name: event.detail[name] for name in told} == told
    assert Decimal(str(event.detail["amount"])) == Decimal("10001.5")
