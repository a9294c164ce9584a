"""What a run reads of each client: watermark, mode and options on one side, the plan on the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integrations.banqup_to_sftp.rehearsal import INTEGRATION, ONE, TWO, read_config
from tieout.errors import ConfigurationInvalid
from tieout.integrations.banqup_to_sftp.plan import QUERIES, Asked, ClientPlan, day_of, plan_run, year_of
from tieout.integrations.run import Run
from tieout.ledger import EntityOutcome, HeldDraft, Ledger, Tally

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACTIVATED = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = [query.name for query in QUERIES]
CLIENTS = [
    {"external_id": name, "uen_number": "0701234576", "space_id": name, "conn_id": name} for name in (ONE, TWO)
]  # fmt: skip
INSTANCE: dict[str, Any] = {
    "timezone": "Europe/Brussels",
    "defaults": {"activated_at": "2026-01-01T00:00:00Z", "invoice_path": "/in/[external_id]/[invoice_type]"},
    "clients": CLIENTS,
}


def config(**changes: Any) -> Any:
    return read_config(json.dumps({**INSTANCE, **changes}))


def run(**changes: Any) -> Run:
    return Run(**{"integration": INTEGRATION, "instance": "default", "run_id": "run", "mode": "incremental",
                  "interval_start": None, "interval_end": None, "stamp": NOON, **changes})  # fmt: skip


def leave(ledger: Ledger, watermark: dict[str, Any] | None, held: Mapping[str, int] | None = None) -> None:
    """What earlier runs of the first client left behind: `held` says how often each document was tried."""
    for attempt in range(max([1, *(held or {}).values()])):
        key = run(run_id=f"earlier-{attempt}").key(ONE)
        ledger.begin_run(key, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
        ledger.record_extracted(key, Tally())
        ledger.record_prepared(
            key, to_send=Tally(), held=Tally(), duplicate=Tally(), excluded=Tally(), mapping_version="1"
        )
        drafts = [
            HeldDraft(each, "BR-CO-15", "No.", "Yes.", "finance", b"<x/>")
            for each, attempts in (held or {}).items()
            if attempts > attempt
        ]
        with ledger.acquire(key.scope, "test") as lease:
            ledger.commit_entity(
                key,
                token=lease.token,
                base_version=ledger.entity_version(key.scope),
                outcome=EntityOutcome(held=drafts, watermark=watermark),
            )


def planned(ledger: Ledger, the_run: Run | None = None, asked: Asked | None = None, **changes: Any) -> ClientPlan:
    """The first client's plan, as it travels between tasks."""
    plans = plan_run(the_run or run(), asked or Asked(), config(**changes), ledger)
    plan = next(plan for plan in plans if plan.client == ONE)
    assert ClientPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    return plan


def since(plan: ClientPlan) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(moment) for name, moment in plan.since.items()}


def test_the_first_run_reads_from_the_activation_on(ledger: Ledger) -> None:
    plan = planned(ledger)
    assert plan.read == "changed" and plan.moves_watermark and plan.until is None and plan.before is None
    assert since(plan) == dict.fromkeys(NAMES, ACTIVATED)
    assert datetime.fromisoformat(plan.after) == ACTIVATED
    assert plan.window() == {"read": "changed", "after": plan.after, "since": plan.after}


def test_each_list_goes_on_from_its_own_watermark_less_the_lookback(ledger: Ledger) -> None:
    leave(ledger, {"seen": {"sales_invoices": "2026-02-01T10:00:00+00:00", "statements": "2026-01-01T00:10:00+00:00"}})
    assert since(planned(ledger)) == dict.fromkeys(NAMES, ACTIVATED) | {
        "sales_invoices": datetime(2026, 2, 1, 9, 45, tzinfo=UTC),
        "statements": ACTIVATED,
    }
    assert since(planned(ledger, source={"lookback_minutes": 0}))["sales_invoices"] == datetime(
        2026, 2, 1, 10, tzinfo=UTC
    )
    other = next(plan for plan in plan_run(run(), Asked(), config(), ledger) if plan.client == TWO)
    assert since(other) == dict.fromkeys(NAMES, ACTIVATED)


def test_a_client_switched_on_anew_is_not_read_from_before(ledger: Ledger) -> None:
    leave(ledger, {"seen": dict.fromkeys(NAMES, "2026-02-01T10:00:00+00:00")})
    later = {**INSTANCE["defaults"], "activated_at": "2026-03-01"}
    plan = planned(ledger, defaults=later)
    assert since(plan) == dict.fromkeys(NAMES, datetime(2026, 2, 28, 23, tzinfo=UTC))


BACKFILLS: list[Any] = [
    pytest.param("2026-01-01", None, "give both", id="no end"),
    pytest.param(None, "2026-01-01", "give both", id="no beginning"),
    pytest.param("2026-02-01", "2026-01-01", "must be after", id="reversed"),
    pytest.param("2026-02-01", "2026-02-01", "must be after", id="empty"),
    pytest.param("2025-01-01", "2026-01-03", "at most 366 days", id="367 days"),
    pytest.param("January", "2026-01-03", "conf.backfill_from is 'January'", id="no date"),
    pytest.param("2025-01-01", "2026-02-30", "conf.backfill_to is '2026-02-30'", id="no such day"),
]


@pytest.mark.parametrize(("begin", "end", "said"), BACKFILLS)
def test_a_backfill_that_is_refused(begin: str | None, end: str | None, said: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=said):
        Asked.read(begin, end, "Europe/Brussels")


def test_a_backfill_is_bounded_and_leaves_the_watermark(ledger: Ledger) -> None:
    leave(ledger, {"seen": dict.fromkeys(NAMES, "2026-02-01T10:00:00+00:00")}, {"A": 1})
    asked = Asked.read("2025-01-01", "2026-01-02", "Europe/Brussels")
    plan = planned(ledger, asked=asked)
    begin = datetime(2024, 12, 31, 23, tzinfo=UTC)
    assert (plan.read, plan.moves_watermark, plan.held_keys, plan.until) == ("backfill", False, (), None)
    assert since(plan) == dict.fromkeys(NAMES, begin), "earlier than the activation, that is what it is for"
    assert datetime.fromisoformat(plan.after) == begin - timedelta(microseconds=1)
    assert plan.before is not None
    assert datetime.fromisoformat(plan.before) == datetime(2026, 1, 1, 23, tzinfo=UTC)
    assert Asked.read("2026-01-01T06:00:00Z", "2026-01-02", "UTC").since == datetime(2026, 1, 1, 6, tzinfo=UTC)
    assert Asked.read(None, None, "UTC") == Asked.read("", "", "UTC") == Asked()


@pytest.mark.parametrize("changes", [{"full_refresh": (ONE,)}, {"mode": "held_only"}, {"mode": "backfill"}])
def test_a_backfill_is_nothing_else_besides(ledger: Ledger, changes: dict[str, Any]) -> None:
    asked = Asked.read("2025-01-01", "2025-02-01", "UTC")
    with pytest.raises(ConfigurationInvalid, match="leave full_refresh and held_only out"):
        planned(ledger, run(**changes), asked)


def test_an_interval_of_airflow_leaves_the_watermark(ledger: Ledger) -> None:
    leave(ledger, {"seen": dict.fromkeys(NAMES, "2026-02-01T10:00:00+00:00")}, {"A": 1})
    begin, end = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC)
    plan = planned(ledger, run(mode="backfill", interval_start=begin, interval_end=end))
    assert (plan.read, plan.moves_watermark, plan.held_keys) == ("interval", False, ())
    assert since(plan) == dict.fromkeys(NAMES, begin)
    assert plan.until is not None and datetime.fromisoformat(plan.until) == end
    assert datetime.fromisoformat(plan.after) == ACTIVATED
    with pytest.raises(ConfigurationInvalid, match="no data interval"):
        planned(ledger, run(mode="backfill"))


def test_full_refresh_reads_one_client_from_its_activation_on(ledger: Ledger) -> None:
    leave(ledger, {"seen": dict.fromkeys(NAMES, "2026-02-01T10:00:00+00:00")})
    plan = planned(ledger, run(full_refresh=(ONE,)))
    assert plan.resend and since(plan) == dict.fromkeys(NAMES, ACTIVATED)
    assert not planned(ledger, run(full_refresh=(TWO,))).resend


def test_only_the_held_ones(ledger: Ledger) -> None:
    leave(ledger, {"seen": {"statements": "2026-02-01T10:00:00+00:00"}}, {"A": 1, "B": 1})
    plan = planned(ledger, run(mode="held_only"))
    assert (plan.read, plan.since, plan.held_keys, plan.moves_watermark) == ("held", {}, ("A", "B"), False)
    ids = {row.source_key: row.id for row in ledger.open_held(run().scope(ONE))}
    assert planned(ledger, run(mode="held_only", held_ids=(ids["B"],))).held_keys == ("B",)
    assert planned(ledger, run(mode="held_only", held_ids=(999,))).held_keys == ()


@pytest.mark.parametrize(
    ("by_schedule", "attempts", "again"),
    [(True, 2, ("A",)), (True, 3, ()), (False, 3, ("A",))],
    ids=["still eager", "not due", "somebody asks"],
)
def test_held_documents_are_tried_ever_more_rarely_by_the_schedule_alone(
    ledger: Ledger, by_schedule: bool, attempts: int, again: tuple[str, ...]
) -> None:
    leave(ledger, None, {"A": attempts})
    held = {"eager_attempts": 2, "first_delay_minutes": 15, "max_delay_minutes": 60}
    assert planned(ledger, run(by_schedule=by_schedule), held=held).held_keys == again


@pytest.mark.parametrize(
    ("by_schedule", "minutes", "waits"),
    [(True, 5, True), (True, -5, False), (False, 5, False), (True, None, False)],
    ids=["not yet", "due", "somebody asks", "the next run"],
)
def test_a_client_waits_for_its_server(ledger: Ledger, by_schedule: bool, minutes: float | None, waits: bool) -> None:
    # The plan compares with the present moment, which here is the machine's.
    at = None if minutes is None else datetime.now(UTC) + timedelta(minutes=minutes)
    ledger.receiver_failed(
        run().scope(ONE), error="It is down.", error_kind="ReceiverUnavailable", waiting=3, next_try_at=at
    )
    plans = plan_run(run(by_schedule=by_schedule), Asked(), config(), ledger)
    assert [bool(plan.waits) for plan in plans] == [waits, False]
    assert not waits or plans[0].waits.startswith("It is down. The next try is due at 2")


def test_a_server_that_is_back_keeps_nobody_waiting(ledger: Ledger) -> None:
    scope = run().scope(ONE)
    later = datetime.now(UTC) + timedelta(hours=1)
    ledger.receiver_failed(scope, error="Down.", error_kind="ReceiverUnavailable", waiting=3, next_try_at=later)
    ledger.receiver_reached(scope)
    assert planned(ledger, run(by_schedule=True)).waits == ""


@pytest.mark.parametrize("option", ["entities", "full_refresh"])
def test_a_client_that_there_is_not(ledger: Ledger, option: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=rf"conf.{option} names 'C9', .* it has C1001, C1002\."):
        planned(ledger, run(**{option: (ONE, "C9")}))


def test_only_the_clients_that_are_asked_for(ledger: Ledger) -> None:
    plans = plan_run(run(entities=(TWO,)), Asked(), config(), ledger)
    assert [plan.client for plan in plans] == [TWO]
    off = [CLIENTS[0], {**CLIENTS[1], "enabled": False}]
    assert [plan.client for plan in plan_run(run(), Asked(), config(clients=off), ledger)] == [ONE]


def test_year_and_day_are_those_of_the_instances_clock() -> None:
    late = run(stamp=datetime(2026, 12, 31, 23, 30, tzinfo=UTC))
    assert (year_of(late, config()), day_of(late, config())) == ("2027", "20270101")
    assert (year_of(late, config(timezone="UTC")), day_of(late, config(timezone="UTC"))) == ("2026", "20261231")
