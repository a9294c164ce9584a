"""Which periods a run reads."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.syspro_to_legacy_erp.rehearsal import GL, INTEGRATION, Rehearsal, instance_config
from tieout.calendars import load_calendar
from tieout.errors import ConfigurationInvalid
from tieout.integrations.run import Run
from tieout.integrations.syspro_to_legacy_erp.plan import Asked, Plan, is_closed, named_period, plan_run, run_period
from tieout.ledger import Ledger

FEBRUARY = datetime(2026, 2, 10, tzinfo=UTC)


def run(stamp: datetime = FEBRUARY, **changes: Any) -> Run:
    described: dict[str, Any] = {"mode": "incremental", "interval_start": None, "interval_end": None} | changes
    return Run(INTEGRATION, "default", "r1", stamp=stamp, **described)


def interval(year: int, month: int) -> dict[str, datetime]:
    first = datetime(year, month, 1, tzinfo=UTC)
    return {"interval_start": first, "interval_end": (first + timedelta(days=31)).replace(day=1)}


@pytest.mark.parametrize(
    ("of_run", "asked", "code"),
    [
        (run(), Asked(), "202601"),
        (run(datetime(2026, 2, 4, 5, 59, tzinfo=UTC)), Asked(), "202512"),
        (run(datetime(2026, 2, 4, 6, 0, tzinfo=UTC)), Asked(), "202601"),
        (run(**interval(2025, 11), by_schedule=True), Asked(), "202511"),
        (run(**interval(2025, 11), mode="backfill"), Asked(), "202511"),
        (run(**interval(2025, 11)), Asked(), "202601"),
        (run(**interval(2025, 11), mode="backfill"), Asked("2025-03"), "202503"),
        (run(), Asked("2025-03"), "202503"),
        (run(), Asked("202503"), "202503"),
        (run(), Asked.of({"period": " 2025-03 "}), "202503"),
        (run(), Asked.of({"period": 202503}), "202503"),
        (run(), Asked.of({"period": None}), "202601"),
        (run(), Asked("2026-13"), "202613"),
    ],
    ids=[
        "closed last", "a minute before a close", "at a close", "scheduled", "backfill", "by hand, with an interval",
        "asked for in a backfill", "asked for", "as SYSPRO writes it", "with blanks", "as a number", "not asked for",
        "adjustments",
    ],
)  # fmt: skip
def test_the_period_of_a_run(include: Path, of_run: Run, asked: Asked, code: str) -> None:
    assert run_period(of_run, asked, load_calendar("calendar_months")).code == code


@pytest.mark.parametrize("label", ["2026-14", "2026-16", "2026-00", "january", "2026-1x", "26-01", "../etc"])
def test_no_period(include: Path, label: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=label):
        run_period(run(), Asked(label), load_calendar("calendar_months"))


def test_an_adjustment_period_is_dated_at_the_years_end_and_closes_with_it(include: Path) -> None:
    calendar = load_calendar("calendar_months")
    period = named_period("202513", calendar)
    assert (period.first_day, period.last_day, period.adjustment) == (date(2025, 12, 31), date(2025, 12, 31), True)
    assert not is_closed(period, calendar, datetime(2026, 1, 2, tzinfo=UTC))
    assert is_closed(period, calendar, datetime(2026, 1, 10, tzinfo=UTC))


# -- what else is read ------------------------------------------------------------------------------------------------


@pytest.fixture
def plan(
    include: Path, tmp_path: Path, new_ledger: Callable[[str], Ledger], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Plan]]:
    """Plans of a run; `sent` and `held` say what the ledger knows."""
    ledger = new_ledger("ledger")
    config = instance_config({"source": {"late_periods": 2}})

    def made(
        of_run: Run | None = None,
        sent: tuple[str, ...] = (),
        held: tuple[str, ...] = (),
        late: int = 2,
        **asked: Any,
    ) -> list[Plan]:
        monkeypatch.setattr(ledger, "packed_partitions", lambda scope: sorted(sent))
        monkeypatch.setattr(ledger, "open_held_keys", lambda scope: list(held) if scope.entity == GL else [])
        chosen = config.model_copy(update={"source": config.source.model_copy(update={"late_periods": late})})
        calendar = load_calendar("calendar_months")
        return plan_run(of_run or run(entities=(GL,)), Asked.of(asked), chosen, calendar, ledger, tmp_path / "archive")

    return made


@pytest.mark.parametrize(
    ("changes", "periods"),
    [
        ({}, ("202601",)),
        ({"sent": ("2026|1",)}, ("202601",)),
        ({"sent": ("2025|9", "2025|10", "2025|12")}, ("202601", "202510", "202512")),
        ({"sent": ("2025|9", "2025|10", "2025|12"), "late": 5}, ("202601", "202509", "202510", "202512")),
        ({"sent": ("2025|12",), "late": 0}, ("202601",)),
        ({"sent": ("2026|2", "2025|13")}, ("202601", "202513")),
        ({"held": ("2025|3|7|1", "2025|3|7|2", "2026|2|1|1")}, ("202601", "202503", "202602")),
        ({"held": ("2025|12|7|1",), "sent": ("2025|12",)}, ("202601", "202512")),
        ({"sent": ("2025|12",), "regenerate": True}, ("202601",)),
        ({"sent": ("2025|12",), "of_run": run(full_refresh=(GL,), entities=(GL,))}, ("202601",)),
        ({"sent": ("2025|12",), "held": ("2025|3|7|1",),
          "of_run": run(**interval(2026, 1), mode="backfill", entities=(GL,))}, ("202601",)),
        ({"sent": ("2025|10", "2025|12"), "period": "2025-11"}, ("202511", "202510")),
    ],
    ids=[
        "nothing was sent", "itself was sent", "the last two that were sent", "more of them", "none are wanted",
        "later ones are not earlier", "held postings", "held in a period that was sent", "regenerate", "full refresh",
        "backfill", "an older period",
    ],
)  # fmt: skip
def test_the_periods_that_are_read(
    plan: Callable[..., list[Plan]], changes: dict[str, Any], periods: tuple[str, ...]
) -> None:
    (found,) = plan(**changes)
    assert found.periods == periods
    assert Plan.from_json(found.to_json()) == found


def test_only_the_periods_of_held_postings_are_replayed(plan: Callable[..., list[Plan]]) -> None:
    (found,) = plan(run(mode="held_only"), sent=("2025|12",), held=("2025|3|7|1", "2025|9|1|1"))
    assert (found.read, found.periods) == ("held", ("202503", "202509"))
    assert plan(run(mode="held_only")) == []


@pytest.mark.parametrize(
    ("asked", "of_run", "says"),
    [
        ({"regenerate": ["ledgers"]}, run(), "conf.regenerate names 'ledgers'"),
        ({}, run(entities=("ledgers",)), "conf.entities names 'ledgers'"),
        ({"resend": True}, run(), "nothing of that was delivered"),
        ({}, run(mode="held_only", held_ids=(99,)), "conf.held_ids names 99"),
    ],
)
def test_what_is_not_there(plan: Callable[..., list[Plan]], asked: dict[str, Any], of_run: Run, says: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=says):
        plan(of_run, **asked)


def test_documents_of_a_backfill_are_those_of_its_days(plan: Callable[..., list[Plan]]) -> None:
    plans = {each.entity: each for each in plan(run(**interval(2025, 11), mode="backfill"))}
    assert plans.keys() == {GL, "invoices", "purchase_orders"}, "masters have no days"
    invoices = plans["invoices"]
    assert (invoices.since, invoices.until, invoices.moves_watermark) == ("2025-11-01", "2025-12-01", False)


def test_a_period_that_is_still_open_is_said_so(rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        rehearsal.open(rehearsal.new_run())
        assert caplog.text == ""
        rehearsal.open(rehearsal.new_run(), period="2026-02")
    assert "Period 202602 is not closed yet" in caplog.text
